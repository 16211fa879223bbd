//! HTTP/1: hyper over our sockets, all connections on one thread of their own. What is answered is
//! the caller's.

mod transport;

use super::acceptor::Acceptor;
use super::stream::{Peer, Socket};
use super::tasks;
use crate::base::limits::{
    HTTP_CONNECTIONS_MAX, HTTP_HEAD_BYTES_MAX, HTTP_HEADERS_MAX, HTTP_KEPT_MAX,
};
use bytes::Bytes;
use futures::stream::{FuturesUnordered, Stream};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use std::convert::Infallible;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use transport::{Progress, Transport};

/// The whole body of an answer.
pub struct Whole(Option<Bytes>);

impl Whole {
    /// One of these bytes.
    pub fn of(bytes: impl Into<Bytes>) -> Whole {
        let bytes = bytes.into();
        Whole(Some(bytes).filter(|it| !it.is_empty()))
    }
}

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|it| Ok(Frame::data(it))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |it| it.len() as u64))
    }
}

/// What becomes of a request: an answer, which may take its time.
pub type Answering = Pin<Box<dyn Future<Output = Response<Whole>> + Send>>;

/// What those who find every place taken are told.
const TURNED_AWAY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\
    Content-Length: 21\r\n\r\ntoo many connections\r\n";

/// Serves on a thread of its own, as long as the process lives. Behind `until` nobody new is
/// accepted.
pub fn serve<A>(
    acceptor: Acceptor,
    until: impl Future<Output = ()> + Send + 'static,
    answer: A,
) -> io::Result<()>
where
    A: Fn(Request<Incoming>, &Peer) -> Answering + Send + 'static,
{
    tasks::thread("http", move || async_io::block_on(accept(acceptor, until, Rc::new(answer))))
}

/// What can happen while connections are served.
enum Event {
    Accepted(io::Result<Socket>),
    Ended,
    /// Nobody new is to be accepted.
    Over,
}

async fn accept<A>(acceptor: Acceptor, until: impl Future<Output = ()>, answer: Rc<A>)
where
    A: Fn(Request<Incoming>, &Peer) -> Answering + 'static,
{
    const REST_AFTER_ERROR: Duration = Duration::from_millis(100);
    let mut connections = FuturesUnordered::new();
    let (mut acceptor, mut until) = (Some(acceptor), pin!(until));
    loop {
        let is_open = acceptor.is_some();
        let event = {
            let mut accepting = pin!(accept_one(acceptor.as_ref()));
            let event = poll_fn(|context| match Pin::new(&mut connections).poll_next(context) {
                Poll::Ready(Some(())) => Poll::Ready(Event::Ended),
                _ if is_open && until.as_mut().poll(context).is_ready() => Poll::Ready(Event::Over),
                // Without connections there is none to wait for.
                Poll::Ready(None) | Poll::Pending => {
                    accepting.as_mut().poll(context).map(Event::Accepted)
                }
            });
            event.await
        };
        match event {
            Event::Ended => {}
            Event::Over => acceptor = None,
            Event::Accepted(Ok(socket)) if HTTP_CONNECTIONS_MAX <= connections.len() => {
                // The peer is turned away whether or not it hears why.
                let _ = socket.try_write(TURNED_AWAY);
            }
            Event::Accepted(Ok(socket)) => {
                let is_kept = connections.len() < HTTP_KEPT_MAX;
                connections.push(connection(socket, is_kept, answer.clone()));
            }
            Event::Accepted(Err(error)) => {
                log::warn!("event=accept-failed listener=http why={error}");
                tasks::sleep(REST_AFTER_ERROR).await;
            }
        }
    }
}

/// The next that comes; nobody where there is no acceptor.
async fn accept_one(acceptor: Option<&Acceptor>) -> io::Result<Socket> {
    match acceptor {
        Some(acceptor) => acceptor.accept().await,
        None => pending().await,
    }
}

/// Serves one connection: all of its requests if it is kept, else one. What ends it is the peer's
/// affair: nobody is told.
async fn connection<A>(socket: Socket, is_kept: bool, answer: Rc<A>)
where
    A: Fn(Request<Incoming>, &Peer) -> Answering + 'static,
{
    let (peer, progress) = (socket.peer(), Rc::new(Progress::new()));
    let Ok(transport) = Transport::over(socket, progress.clone()) else { return };
    let service = service_fn(|request| {
        progress.begin_answer();
        let (answering, progress) = (answer(request, &peer), progress.clone());
        async move {
            let answer = answering.await;
            progress.has_answer();
            Ok::<_, Infallible>(answer)
        }
    });
    let mut http = http1::Builder::new();
    http.max_buf_size(HTTP_HEAD_BYTES_MAX).max_headers(HTTP_HEADERS_MAX).half_close(true);
    http.keep_alive(is_kept);
    let _ = http.serve_connection(transport, service).await;
}
