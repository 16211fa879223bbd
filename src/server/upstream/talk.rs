//! A connection over which one task asks and waits for the answer.

use crate::base::remote_address::RemoteAddress;
use crate::resp::encode_command;
use crate::runtime::link::{Exchange, Link};
use crate::runtime::tasks;
use crate::runtime::tls::TlsClient;
use crate::server::link_replies::LinkReplies;
use crate::state::Upstream;
use std::io;
use std::time::Duration;

/// The longest reply: a message that is published may be as long as a value.
const REPLY_BYTES_MAX: usize = 1 << 30;

/// A connection.
pub struct Talk {
    link: Link,
    replies: LinkReplies,
}

/// A request: its words.
pub type Words<'w> = &'w [&'w [u8]];

impl Talk {
    /// Connects to a server of this set, as the settings say.
    pub async fn with(upstream: &Upstream, address: &RemoteAddress) -> io::Result<Talk> {
        let settings = &upstream.settings;
        let (login, timeout) = (settings.login(), settings.connect_timeout);
        Talk::open(address, login, timeout, upstream.tls.upstream()).await
    }

    /// Connects, and logs in where there is somebody to.
    pub async fn open(
        address: &RemoteAddress,
        login: Option<(Option<&str>, &str)>,
        timeout: Duration,
        tls: Option<TlsClient>,
    ) -> io::Result<Talk> {
        let connect = Link::connect_as(&address.host, address.port, tls.as_ref());
        let link = tasks::within(timeout, connect).await;
        let link = link.ok_or_else(|| other("it does not take connections"))??;
        let mut talk = Talk { link, replies: LinkReplies::up_to(REPLY_BYTES_MAX) };
        if let Some((user, password)) = login {
            let words = [Some("AUTH"), user, Some(password)];
            let words: Vec<&[u8]> = words.into_iter().flatten().map(str::as_bytes).collect();
            let reply = talk.ask(&words, timeout).await?;
            if reply.starts_with(b"-") {
                return Err(other(String::from_utf8_lossy(&reply).trim_end()));
            }
        }
        Ok(talk)
    }

    /// Sends this; answers its reply.
    pub async fn ask(&mut self, words: Words<'_>, patience: Duration) -> io::Result<Vec<u8>> {
        let [reply] = self.ask_all([words], patience).await?;
        Ok(reply)
    }

    /// Sends these together; answers their replies.
    pub async fn ask_all<const N: usize>(
        &mut self,
        all: [Words<'_>; N],
        patience: Duration,
    ) -> io::Result<[Vec<u8>; N]> {
        let mut bytes = Vec::new();
        all.iter().for_each(|it| encode_command(&mut bytes, it.iter().copied()));
        let ask = async {
            self.link.send(&bytes).await?;
            let mut replies = [const { Vec::new() }; N];
            for reply in &mut replies {
                *reply = self.next().await?;
            }
            Ok(replies)
        };
        let timed_out = || other("it does not answer");
        tasks::within(patience, ask).await.unwrap_or_else(|| Err(timed_out()))
    }

    /// Sends this; its reply comes by [`Talk::next`].
    pub async fn send(&self, words: Words<'_>) -> io::Result<()> {
        let mut bytes = Vec::new();
        encode_command(&mut bytes, words.iter().copied());
        self.link.send(&bytes).await
    }

    /// The next reply, or what was pushed.
    pub async fn next(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.replies.next(&self.link).await?)
    }
}

/// What ends a conversation that is no matter of the socket.
pub fn other(why: &str) -> io::Error {
    io::Error::other(why.to_owned())
}
