//! A request's way to its answer: what is refused, top to bottom, the first wins.

use super::content::Content;
use super::guard::{BY_OUR_PAGE, Login, is_by_our_page, is_meant_for_us, login};
use super::query::Query;
use super::resources::{Handler, Resource};
use crate::base::limits::HTTP_BODY_BYTES_MAX;
use crate::runtime::acceptor::Acceptor;
use crate::runtime::http::{Answering, serve};
use crate::runtime::stream::Peer;
use crate::runtime::{clock, tasks};
use crate::state::Server;
use futures::future::{BoxFuture, FutureExt, pending, ready};
use hyper::body::Body;
use hyper::header::{ALLOW, CONNECTION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Method, Request, StatusCode};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// How long a wrong password waits for its answer. It holds one of few connections meanwhile.
const GUESS_COSTS: Duration = Duration::from_millis(500);

/// Serves here, on a thread of its own, until the process ends. Where another takes its place it
/// accepts nobody more once it shuts down: the other does.
pub fn start(server: Arc<Server>, acceptor: Acceptor) -> io::Result<()> {
    let its = server.clone();
    let replaced = async move {
        its.closed().await;
        if its.upgrade.successor().is_none() {
            pending::<()>().await;
        }
    };
    serve(acceptor, replaced, move |request, peer| answer(&server, request, peer))
}

fn answer(server: &Arc<Server>, request: Request<impl Body>, peer: &Peer) -> Answering {
    // A panic is logged by the process' hook, and is one answer: the thread has others to serve.
    let begun = catch_unwind(AssertUnwindSafe(|| content(server, &request, peer)));
    Box::pin(async move {
        let content = match begun {
            Ok(content) => AssertUnwindSafe(content).catch_unwind().await,
            Err(panic) => Err(panic),
        };
        let failed =
            |_| Content::refused(StatusCode::INTERNAL_SERVER_ERROR, "this is a bug: see the log");
        content.unwrap_or_else(failed).into_response()
    })
}

fn content(
    server: &Arc<Server>,
    request: &Request<impl Body>,
    peer: &Peer,
) -> BoxFuture<'static, Content> {
    let query = Query::of(request.uri().query().unwrap_or_default());
    let resource = match refused(server, request, peer) {
        Ok(resource) => resource,
        Err(content) if content.is_late() => {
            return Box::pin(async move {
                tasks::sleep(GUESS_COSTS).await;
                content
            });
        }
        Err(content) => return Box::pin(ready(content)),
    };
    match resource.handler {
        Handler::Now(handler) => Box::pin(ready(handler(server, &query))),
        Handler::Asks(handler) | Handler::Orders(handler) => handler(server.clone(), query),
    }
}

/// What is asked for, or why it is not answered.
fn refused(
    server: &Server,
    request: &Request<impl Body>,
    peer: &Peer,
) -> Result<&'static Resource, Content> {
    let (settings, headers) = (server.settings(), request.headers());
    let settings = &settings.http;
    if request.body().size_hint().upper().is_none_or(|it| HTTP_BODY_BYTES_MAX < it) {
        let content =
            Content::refused(StatusCode::PAYLOAD_TOO_LARGE, "no request here has such a body");
        return Err(content.with(CONNECTION, HeaderValue::from_static("close")));
    }
    if !is_meant_for_us(settings, headers) {
        let why = "this is served for 127.0.0.1 and localhost alone, and the request names \
                   another host";
        return Err(Content::refused(StatusCode::MISDIRECTED_REQUEST, why));
    }
    let Some(resource) = Resource::at(request.uri().path()) else {
        return Err(Content::refused(StatusCode::NOT_FOUND, "there is nothing here"));
    };
    if !resource.takes(request.method()) {
        let content = Content::refused(StatusCode::METHOD_NOT_ALLOWED, resource.methods());
        return Err(content.with(ALLOW, HeaderValue::from_static(resource.methods())));
    }
    if !resource.is_open {
        log_in(server, headers, peer)?;
    }
    if request.method() == Method::POST {
        may_order(settings.admin, headers)?;
    }
    Ok(resource)
}

fn log_in(server: &Server, headers: &HeaderMap, peer: &Peer) -> Result<(), Content> {
    let login = login(&server.settings().http, headers);
    if login == Login::Right {
        return Ok(());
    }
    let is_guess = login == Login::Wrong;
    if is_guess {
        server.counters.failed_logins.fetch_add(1, Relaxed);
        if let Some(count) = server.log_limits.http_login.note(clock::mono_now()) {
            log::warn!("event=http-login-failed addr={} count={count}", peer.address);
        }
    }
    let content = Content::refused(StatusCode::UNAUTHORIZED, "this needs the password of [http]");
    let asked = HeaderValue::from_static("Basic realm=\"entourage\", charset=\"UTF-8\"");
    let content = content.with(WWW_AUTHENTICATE, asked);
    Err(if is_guess { content.late() } else { content })
}

fn may_order(is_admin: bool, headers: &HeaderMap) -> Result<(), Content> {
    let refused = |why: String| Err(Content::refused(StatusCode::FORBIDDEN, why));
    match (is_admin, is_by_our_page(headers)) {
        (true, true) => Ok(()),
        (false, _) => refused("this page only looks: http.admin is false".to_owned()),
        (true, false) => refused(format!("send the header {BY_OUR_PAGE}: 1")),
    }
}
