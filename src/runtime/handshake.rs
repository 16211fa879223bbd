//! The handshake of a client that has come in where TLS is spoken, at its worker.

use super::stream::{Socket, Stream};
use super::tls::Handshake;
use std::future::poll_fn;
use std::io;

/// Makes the handshake, which takes as long as the client likes. The calling worker watches the
/// socket meanwhile.
pub async fn shake_hands(socket: Socket) -> io::Result<Socket> {
    let stream = Stream::new(socket)?;
    loop {
        match stream.shake()? {
            Handshake::Done => return stream.into_socket(),
            Handshake::Reads => poll_fn(|context| stream.poll_readable(context)).await,
            Handshake::Writes => poll_fn(|context| stream.poll_writable(context)).await,
        }
    }
}
