//! A request's way to its answer: what is refused, top to bottom, the first wins.

use super::guard::{BY_OUR_PAGE, Login, is_by_our_page, is_meant_for_us, login};
use super::query::Query;
use super::resources::{Resource, Tell};
use super::told::Told;
use crate::base::limits::HTTP_BODY_BYTES_MAX;
use crate::runtime::clock;
use crate::runtime::http::{Answering, serve};
use crate::runtime::stream::{Acceptor, Peer};
use crate::state::Server;
use futures::future::{BoxFuture, FutureExt, ready};
use hyper::body::Body;
use hyper::header::{ALLOW, CONNECTION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Method, Request, StatusCode};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Serves here, on a thread of its own, until the process ends.
pub fn start(server: Arc<Server>, acceptor: Acceptor) -> io::Result<()> {
    serve(acceptor, move |request, peer| answer(&server, request, peer))
}

fn answer(server: &Arc<Server>, request: Request<impl Body>, peer: &Peer) -> Answering {
    // A panic is told of by the process' hook, and is one answer: the thread has others to serve.
    let telling = catch_unwind(AssertUnwindSafe(|| told(server, &request, peer)));
    Box::pin(async move {
        let told = match telling {
            Ok(telling) => AssertUnwindSafe(telling).catch_unwind().await,
            Err(panic) => Err(panic),
        };
        let failed =
            |_| Told::refused(StatusCode::INTERNAL_SERVER_ERROR, "this is a bug: see the log");
        told.unwrap_or_else(failed).into_response()
    })
}

fn told(
    server: &Arc<Server>,
    request: &Request<impl Body>,
    peer: &Peer,
) -> BoxFuture<'static, Told> {
    let query = Query::of(request.uri().query().unwrap_or_default());
    let resource = match refused(server, request, peer) {
        Ok(resource) => resource,
        Err(told) => return Box::pin(ready(told)),
    };
    match resource.tell {
        Tell::Now(tell) => Box::pin(ready(tell(server, &query))),
        Tell::Asks(tell) | Tell::Orders(tell) => tell(server.clone(), query),
    }
}

/// What is asked for, or why it is not told.
fn refused(
    server: &Server,
    request: &Request<impl Body>,
    peer: &Peer,
) -> Result<&'static Resource, Told> {
    let (settings, headers) = (server.settings(), request.headers());
    let settings = &settings.http;
    if request.body().size_hint().upper().is_none_or(|it| HTTP_BODY_BYTES_MAX < it) {
        let told = Told::refused(StatusCode::PAYLOAD_TOO_LARGE, "no request here has such a body");
        return Err(told.with(CONNECTION, HeaderValue::from_static("close")));
    }
    if !is_meant_for_us(settings, headers) {
        let why = "this is served for 127.0.0.1 and localhost alone, and the request names \
                   another host";
        return Err(Told::refused(StatusCode::MISDIRECTED_REQUEST, why));
    }
    let Some(resource) = Resource::at(request.uri().path()) else {
        return Err(Told::refused(StatusCode::NOT_FOUND, "there is nothing here"));
    };
    if !resource.takes(request.method()) {
        let told = Told::refused(StatusCode::METHOD_NOT_ALLOWED, resource.methods());
        return Err(told.with(ALLOW, HeaderValue::from_static(resource.methods())));
    }
    if !resource.is_open {
        log_in(server, headers, peer)?;
    }
    if request.method() == Method::POST {
        may_order(settings.admin, headers)?;
    }
    Ok(resource)
}

fn log_in(server: &Server, headers: &HeaderMap, peer: &Peer) -> Result<(), Told> {
    let login = login(&server.settings().http, headers);
    if login == Login::Right {
        return Ok(());
    }
    if login == Login::Wrong
        && let Some(count) = server.log_limits.http_login.note(clock::mono_now())
    {
        log::warn!("event=http-login-failed addr={} count={count}", peer.address);
    }
    let told = Told::refused(StatusCode::UNAUTHORIZED, "this needs the password of [http]");
    let asked = HeaderValue::from_static("Basic realm=\"entourage\", charset=\"UTF-8\"");
    Err(told.with(WWW_AUTHENTICATE, asked))
}

fn may_order(is_admin: bool, headers: &HeaderMap) -> Result<(), Told> {
    let refused = |why: String| Err(Told::refused(StatusCode::FORBIDDEN, why));
    match (is_admin, is_by_our_page(headers)) {
        (true, true) => Ok(()),
        (false, _) => refused("this page only looks: http.admin is false".to_owned()),
        (true, false) => refused(format!("send the header {BY_OUR_PAGE}: 1")),
    }
}
