//! A connection to another server, of which we are the client: commands out, one-line replies in.

use crate::resp::encode_command;
use crate::runtime::link::{Exchange, Link};
use crate::runtime::tasks;
use std::io::{self, ErrorKind};
use std::time::Duration;

/// The longest line a reply may have.
const LINE_BYTES_MAX: usize = 64 << 10;

/// How much is sent in one step.
const STEP_BYTES: usize = 64 << 10;

/// Another server.
pub struct MigratePeer {
    link: Link,
    patience: Duration,
    got: Vec<u8>,
}

impl MigratePeer {
    /// Connects, and gives every step this much time.
    pub async fn connect(host: &str, port: u16, patience: Duration) -> io::Result<MigratePeer> {
        let connected = tasks::within(patience, Link::connect(host, port)).await;
        let link = connected.ok_or(ErrorKind::TimedOut)??;
        Ok(MigratePeer { link, patience, got: Vec::new() })
    }

    /// Sends one command.
    pub async fn send(&mut self, words: &[&[u8]]) -> io::Result<()> {
        let mut bytes = Vec::new();
        encode_command(&mut bytes, words.iter().copied());
        // The time is for each step: a large value may take many.
        for chunk in bytes.chunks(STEP_BYTES) {
            in_time(self.patience, self.link.send(chunk)).await?;
        }
        Ok(())
    }

    /// The next reply, which must be a line: its text without the sign of an error, in `Err` when
    /// it is one.
    pub async fn receive(&mut self) -> io::Result<Result<(), String>> {
        loop {
            if let Some(end) = self.got.iter().position(|it| *it == b'\n') {
                let line: Vec<u8> = self.got.drain(..=end).collect();
                return Ok(told(&line));
            }
            if LINE_BYTES_MAX < self.got.len() {
                return Err(ErrorKind::InvalidData.into());
            }
            self.read_more().await?;
        }
    }

    async fn read_more(&mut self) -> io::Result<()> {
        let mut chunk = [0; 4 << 10];
        let count = in_time(self.patience, self.link.read(&mut chunk)).await?;
        self.got.extend_from_slice(&chunk[..count]);
        Ok(())
    }
}

async fn in_time<T>(
    patience: Duration,
    step: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    tasks::within(patience, step).await.unwrap_or_else(|| Err(ErrorKind::TimedOut.into()))
}

fn told(line: &[u8]) -> Result<(), String> {
    match line.split_first() {
        Some((b'-', text)) => Err(String::from_utf8_lossy(text).trim_end().to_owned()),
        _ => Ok(()),
    }
}
