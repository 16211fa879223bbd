//! A small blocking RESP client: enough to fill, probe and question a server.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

/// Commands are sent in bursts of about this size, so that no reply can block the sender.
const BURST_BYTES: usize = 32 << 10;
/// A long reply is read in pieces of at most so many bytes.
const CHUNK_BYTES: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(120);
/// Ends a reply of any length: nothing in a collection looks like it.
const MARK: &str = "the-end-of-this-reply";

/// A connection. An error reply is an `Err`, like a broken connection.
pub struct Wire {
    stream: TcpStream,
    got: Vec<u8>,
    taken: usize,
}

impl Wire {
    pub fn dial(port: u16) -> io::Result<Wire> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Wire { stream, got: Vec::new(), taken: 0 })
    }

    /// Sends one command and returns its reply as it came.
    pub fn ask(&mut self, words: &[&str]) -> Result<Vec<u8>, String> {
        self.stream.write_all(&encode(words)).map_err(|it| it.to_string())?;
        self.reply().map(|it| it.to_vec())
    }

    /// Sends one command of any length and waits for its reply, of any length. Nothing of it is
    /// kept: a buffer that grows to a hundred megabytes has the heap of this process for itself for
    /// milliseconds, and other threads of the bench wait there for theirs.
    pub fn ask_long(&mut self, command: &[u8]) -> Result<(), String> {
        self.ask_to_mark(command, |_| {})
    }

    /// As [`Wire::ask_long`], and returns the reply as it came.
    pub fn ask_long_kept(&mut self, command: &[u8]) -> Result<Vec<u8>, String> {
        let mut reply = Vec::new();
        self.ask_to_mark(command, |it| reply.extend_from_slice(it))?;
        reply.truncate(reply.len() - end_of_reply().len());
        Ok(reply)
    }

    fn ask_to_mark(&mut self, command: &[u8], take: impl FnMut(&[u8])) -> Result<(), String> {
        let mut writer = self.stream.try_clone().map_err(|it| it.to_string())?;
        thread::scope(|scope| {
            // The reply may begin before the request has been taken.
            scope.spawn(move || {
                let _ = writer.write_all(command);
                let _ = writer.write_all(&encode(&["ECHO", MARK]));
            });
            self.read_to_mark(take)
        })
    }

    /// Looks at the end only: a reply of a million elements is not parsed each time it grows.
    fn read_to_mark(&mut self, mut take: impl FnMut(&[u8])) -> Result<(), String> {
        let end = end_of_reply();
        let (mut last, mut chunk) = (Vec::new(), vec![0; CHUNK_BYTES]);
        let mut is_first = true;
        while last != end.as_bytes() {
            let len = self.stream.read(&mut chunk).map_err(|it| it.to_string())?;
            if len == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).to_string());
            }
            let bytes = &chunk[..len];
            if std::mem::take(&mut is_first) {
                refuse_error(bytes)?;
            }
            take(bytes);
            last.extend_from_slice(&bytes[len.saturating_sub(end.len())..]);
            last.drain(..last.len().saturating_sub(end.len()));
        }
        Ok(())
    }

    /// Sends encoded commands in pipelined bursts and checks that every one of them succeeds.
    pub fn fill(&mut self, commands: impl Iterator<Item = Vec<u8>>) -> Result<(), String> {
        let mut burst = Vec::with_capacity(2 * BURST_BYTES);
        let mut unanswered = 0;
        for command in commands {
            burst.extend_from_slice(&command);
            unanswered += 1;
            if BURST_BYTES <= burst.len() {
                self.flush(&mut burst, &mut unanswered)?;
            }
        }
        self.flush(&mut burst, &mut unanswered)
    }

    fn flush(&mut self, burst: &mut Vec<u8>, unanswered: &mut u64) -> Result<(), String> {
        self.stream.write_all(burst).map_err(|it| it.to_string())?;
        burst.clear();
        for _ in 0..std::mem::take(unanswered) {
            self.reply()?;
        }
        Ok(())
    }

    fn reply(&mut self) -> Result<&[u8], String> {
        loop {
            if let Some(len) = reply_len(&self.got[self.taken..]) {
                let reply = self.taken..self.taken + len;
                self.taken = reply.end;
                return refuse_error(&self.got[reply]);
            }
            self.got.drain(..self.taken);
            self.taken = 0;
            self.read_more().map_err(|it| it.to_string())?;
        }
    }

    fn read_more(&mut self) -> io::Result<()> {
        let mut chunk = [0; 16 << 10];
        match self.stream.read(&mut chunk)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            len => {
                self.got.extend_from_slice(&chunk[..len]);
                Ok(())
            }
        }
    }
}

fn refuse_error(reply: &[u8]) -> Result<&[u8], String> {
    match reply.first() {
        Some(b'-' | b'!') => Err(String::from_utf8_lossy(reply).trim_end().to_owned()),
        _ => Ok(reply),
    }
}

fn end_of_reply() -> String {
    format!("${}\r\n{MARK}\r\n", MARK.len())
}

/// A command as clients send it: an array of bulk strings.
pub fn encode(words: &[impl AsRef<str>]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        let word = word.as_ref();
        out.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    out
}

/// The length of the first whole reply in `bytes`; `None` while it is still arriving.
pub fn reply_len(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|it| it == b"\r\n")? + 2;
    let count = || std::str::from_utf8(&bytes[1..line - 2]).ok()?.parse::<i64>().ok();
    let whole = match bytes[0] {
        b'$' | b'=' | b'!' => match count()? {
            -1 => line,
            len => line + len as usize + 2,
        },
        b'*' | b'~' | b'>' => elements_end(bytes, line, count()?)?,
        b'%' => elements_end(bytes, line, 2 * count()?)?,
        _ => line,
    };
    (whole <= bytes.len()).then_some(whole)
}

fn elements_end(bytes: &[u8], from: usize, count: i64) -> Option<usize> {
    (0..count).try_fold(from, |at, _| Some(at + reply_len(bytes.get(at..)?)?))
}
