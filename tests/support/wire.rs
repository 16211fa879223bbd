//! A blocking connection that says exactly what it is told and keeps replies as they came.

use super::parse::parse;
use super::socket::{Address, Socket};
use super::value::Value;
use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// A command: its words, the name first.
pub type Words = Vec<Vec<u8>>;

/// Words from anything that has bytes.
pub fn words(of: &[impl AsRef<[u8]>]) -> Words {
    of.iter().map(|it| it.as_ref().to_vec()).collect()
}

/// A connection to a server.
pub struct Wire {
    socket: Socket,
    got: Vec<u8>,
    taken: usize,
}

impl Wire {
    /// Connects to a port of this machine.
    pub fn dial(port: u16) -> io::Result<Wire> {
        Wire::dial_at(&Address::Tcp(port))
    }

    /// Connects to wherever a server is.
    pub fn dial_at(address: &Address) -> io::Result<Wire> {
        Ok(Wire::over(Socket::dial(address, PATIENCE)?))
    }

    /// Over this socket.
    pub fn over(socket: Socket) -> Wire {
        Wire { socket, got: Vec::new(), taken: 0 }
    }

    /// Its socket, for what is not a matter of requests and replies.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// The socket alone, with whatever comes over it next.
    pub fn into_socket(self) -> Socket {
        self.socket
    }

    /// Sends no more, and goes on reading.
    pub fn half_close(&self) {
        self.socket.half_close();
    }

    /// Closes the connection with a reset.
    pub fn reset(self) {
        self.socket.reset();
    }

    /// Sends one command and waits for its reply.
    pub fn cmd(&mut self, of: &[impl AsRef<[u8]>]) -> Value {
        self.send_raw(&encode(&words(of)));
        self.read()
    }

    /// The same for a command written as one line of words without spaces in them.
    pub fn ask(&mut self, line: &str) -> Value {
        self.cmd(&line.split(' ').collect::<Vec<_>>())
    }

    /// Sends many commands at once, then reads all their replies.
    pub fn pipeline(&mut self, commands: &[Words]) -> Vec<Value> {
        self.send(commands);
        self.read_many(commands.len())
    }

    /// Sends many commands at once.
    pub fn send(&mut self, commands: &[Words]) {
        let bytes: Vec<u8> = commands.iter().flat_map(|it| encode(it)).collect();
        self.send_raw(&bytes);
    }

    /// Sends these bytes.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.try_send_raw(bytes).expect("the server takes requests");
    }

    /// Sends these bytes, unless the server has closed the connection.
    pub fn try_send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// The next reply.
    pub fn read(&mut self) -> Value {
        self.read_raw().0
    }

    /// The next replies.
    pub fn read_many(&mut self, count: usize) -> Vec<Value> {
        (0..count).map(|_| self.read()).collect()
    }

    /// The next reply, and its bytes as they came.
    pub fn read_raw(&mut self) -> (Value, Vec<u8>) {
        self.try_read_raw().expect("a whole reply arrives")
    }

    /// The next reply, or none if the server closes the connection instead.
    pub fn try_read(&mut self) -> Option<Value> {
        match self.try_read_raw() {
            Ok((value, _)) => Some(value),
            Err(it) if it.kind() == ErrorKind::WouldBlock => panic!("neither a reply nor an end"),
            Err(_) => None,
        }
    }

    fn try_read_raw(&mut self) -> io::Result<(Value, Vec<u8>)> {
        loop {
            if let Some((value, len)) = parse(&self.got[self.taken..]) {
                let raw = self.got[self.taken..self.taken + len].to_vec();
                self.taken += len;
                return Ok((value, raw));
            }
            self.more()?;
        }
    }

    /// Bytes up to and with this end, for what is not a reply.
    pub fn read_until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            let rest = &self.got[self.taken..];
            if let Some(at) = rest.windows(end.len()).position(|it| it == end) {
                return self.take(at + end.len());
            }
            self.more().expect("the end arrives");
        }
    }

    /// Exactly this many bytes.
    pub fn read_exact(&mut self, len: usize) -> Vec<u8> {
        while self.got.len() - self.taken < len {
            self.more().expect("all bytes arrive");
        }
        self.take(len)
    }

    /// All that the server still says before it closes the connection.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        let mut rest = self.got.split_off(self.taken);
        self.got.clear();
        self.taken = 0;
        while self.more_or_end() {
            rest.append(&mut self.got);
        }
        rest
    }

    /// Whether something has come that is not read yet.
    pub fn has_input(&mut self) -> bool {
        self.socket.set_nonblocking(true);
        let has_come = self.taken < self.got.len() || self.more().is_ok();
        self.socket.set_nonblocking(false);
        has_come
    }

    /// Whether the server has closed the connection, after all that it still says.
    pub fn is_closed(&mut self) -> bool {
        while self.more_or_end() {}
        true
    }

    /// Reads once more, unless the server has closed the connection.
    fn more_or_end(&mut self) -> bool {
        match self.more() {
            Ok(()) => true,
            Err(it) if it.kind() == ErrorKind::WouldBlock => {
                panic!("it is neither heard nor closed")
            }
            Err(_) => false,
        }
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        self.taken += len;
        self.got[self.taken - len..self.taken].to_vec()
    }

    fn more(&mut self) -> io::Result<()> {
        self.got.drain(..self.taken);
        self.taken = 0;
        let mut chunk = [0; 64 << 10];
        match self.read_some(&mut chunk)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            len => {
                self.got.extend_from_slice(&chunk[..len]);
                Ok(())
            }
        }
    }

    /// A read with a timeout is not begun again by the system after a signal.
    fn read_some(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.socket.read(into) {
                Err(it) if it.kind() == ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }
}

/// A command as clients send it: an array of bulk strings.
pub fn encode(words: &[Vec<u8>]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
    out
}
