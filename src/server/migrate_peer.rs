//! A connection to another server, of which we are the client: commands out, one-line replies in.

use crate::resp::encode_command;
use crate::runtime::stream::Stream;
use crate::runtime::tasks;
use std::io::{self, ErrorKind};
use std::time::Duration;

/// The longest line a reply may have.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Another server.
pub struct MigratePeer {
    stream: Stream,
    patience: Duration,
    got: Vec<u8>,
}

impl MigratePeer {
    /// Connects, and gives every step this much time.
    pub async fn connect(host: &str, port: u16, patience: Duration) -> io::Result<MigratePeer> {
        let connected = tasks::within(patience, Stream::connect(host, port)).await;
        let stream = connected.ok_or(ErrorKind::TimedOut)??;
        Ok(MigratePeer { stream, patience, got: Vec::new() })
    }

    /// Sends one command.
    pub async fn send(&self, words: &[&[u8]]) -> io::Result<()> {
        let mut bytes = Vec::new();
        encode_command(&mut bytes, words.iter().copied());
        let mut written = 0;
        while written < bytes.len() {
            match self.stream.try_write(&bytes[written..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.in_time(self.stream.writable()).await?;
                }
                Err(error) => return Err(error),
            }
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
        loop {
            match self.stream.try_read(&mut chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    self.got.extend_from_slice(&chunk[..count]);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.in_time(self.stream.readable()).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn in_time(&self, step: impl Future<Output = ()>) -> io::Result<()> {
        tasks::within(self.patience, step).await.ok_or_else(|| ErrorKind::TimedOut.into())
    }
}

fn told(line: &[u8]) -> Result<(), String> {
    match line.split_first() {
        Some((b'-', text)) => Err(String::from_utf8_lossy(text).trim_end().to_owned()),
        _ => Ok(()),
    }
}
