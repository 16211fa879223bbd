//! A connection that asks one thing at a time and waits: for greetings, faults, and final values.

use crate::resp::ReplyScanner;
use crate::runtime::clock;
use crate::runtime::poller::{Poller, Ready};
use crate::runtime::stream::Socket;
use crate::runtime::tls::{Handshake, TlsClient};
use std::io::ErrorKind;
use std::time::Duration;

const CONNECT_MAX: Duration = Duration::from_secs(5);
const ANSWER_MAX: Duration = Duration::from_secs(30);
const READ_BYTES: usize = 64 << 10;

/// What a connection begins with.
#[derive(Clone, Debug, Default)]
pub struct Greeting {
    /// Commands that are sent first.
    pub words: Vec<Vec<String>>,
    /// What is shown and trusted, where TLS is spoken.
    pub tls: Option<TlsClient>,
}

/// The connection.
pub struct Control {
    // Dropped before the socket that it watches.
    poller: Poller,
    socket: Socket,
    bytes: Vec<u8>,
    taken: usize,
    scanner: ReplyScanner,
    ready: Vec<Ready>,
    patience: Duration,
}

impl Control {
    /// Connects and says what is said first.
    pub fn dial(address: &str, greeting: &Greeting) -> Result<Control, String> {
        Control::dial_within(address, greeting, ANSWER_MAX)
    }

    /// The same, and waits no longer than this for anything.
    pub fn dial_within(
        address: &str,
        greeting: &Greeting,
        patience: Duration,
    ) -> Result<Control, String> {
        let wrong = |why: std::io::Error| format!("cannot connect to {address}: {why}");
        let within = CONNECT_MAX.min(patience);
        let socket = match &greeting.tls {
            None => Socket::connect(address, within),
            Some(tls) => Socket::connect_tls(address, within, tls),
        };
        let socket = socket.map_err(wrong)?;
        let poller = Poller::new().map_err(wrong)?;
        poller.watch(&socket, 0).map_err(wrong)?;
        let (bytes, scanner) = (Vec::new(), ReplyScanner::default());
        let (taken, ready) = (0, Vec::new());
        let mut control = Control { poller, socket, bytes, taken, scanner, ready, patience };
        control.shake().map_err(|it| format!("cannot connect to {address}: {it}"))?;
        for words in &greeting.words {
            let reply = control.ask(words).map_err(|it| format!("{address}: {it}"))?;
            if let Some(why) = error_of(&reply) {
                // A password is not for everybody's eyes.
                let asked = match words[0].as_str() {
                    "PROXY" | "SELECT" => words.join(" "),
                    command => command.to_owned(),
                };
                return Err(format!("{address} refuses {asked}: {why}"));
            }
        }
        Ok(control)
    }

    /// Comes to terms about TLS, where it is spoken.
    fn shake(&mut self) -> Result<(), String> {
        while self.socket.shake().map_err(|it| it.to_string())? != Handshake::Done {
            self.wait()?;
        }
        Ok(())
    }

    /// Asks one thing. Answers the reply's bytes.
    pub fn ask(&mut self, words: &[String]) -> Result<Vec<u8>, String> {
        let words: Vec<&[u8]> = words.iter().map(|it| it.as_bytes()).collect();
        let mut request = Vec::new();
        write_request(&mut request, &words);
        self.send(&request)?;
        self.receive()
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut sent = 0;
        while sent < bytes.len() {
            match self.socket.try_write(&bytes[sent..]) {
                Ok(count) => sent += count,
                Err(it) if it.kind() == ErrorKind::WouldBlock => self.wait()?,
                Err(it) => return Err(it.to_string()),
            }
        }
        Ok(())
    }

    /// Waits for the next reply.
    pub fn receive(&mut self) -> Result<Vec<u8>, String> {
        loop {
            let arrived = &self.bytes[self.taken..];
            match self.scanner.poll(arrived).map_err(|_| "this is no Redis protocol")? {
                Some(len) => {
                    let reply = arrived[..len].to_vec();
                    self.taken += len;
                    return Ok(reply);
                }
                None => self.read()?,
            }
        }
    }

    /// Looks for the next reply, and where nothing has come waits no longer than this for more.
    pub fn receive_within(&mut self, time: Duration) -> Result<Option<Vec<u8>>, String> {
        let arrived = self.scanner.poll(&self.bytes[self.taken..]);
        if arrived.map_err(|_| "this is no Redis protocol")?.is_some() {
            return self.receive().map(Some);
        }
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.reserve(READ_BYTES);
        match self.socket.try_read_more(&mut self.bytes) {
            Ok(0) => Err("the connection has ended".to_owned()),
            Ok(_) => Ok(None),
            Err(it) if it.kind() == ErrorKind::WouldBlock => {
                self.ready.clear();
                self.poller.wait(Some(time), &mut self.ready).map_err(|it| it.to_string())?;
                Ok(None)
            }
            Err(it) => Err(it.to_string()),
        }
    }

    /// Gives the socket up, for others to watch.
    pub fn into_socket(self) -> Socket {
        self.socket
    }

    fn read(&mut self) -> Result<(), String> {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        loop {
            self.bytes.reserve(READ_BYTES);
            match self.socket.try_read_more(&mut self.bytes) {
                Ok(0) => return Err("the connection has ended".to_owned()),
                Ok(_) => return Ok(()),
                Err(it) if it.kind() == ErrorKind::WouldBlock => self.wait()?,
                Err(it) => return Err(it.to_string()),
            }
        }
    }

    fn wait(&mut self) -> Result<(), String> {
        self.ready.clear();
        let began = clock::mono_now();
        let patience = self.patience;
        self.poller.wait(Some(patience), &mut self.ready).map_err(|it| it.to_string())?;
        let waited = Duration::from_micros(clock::mono_now().since(began));
        if self.ready.is_empty() && patience <= waited {
            return Err(format!("no answer within {} s", patience.as_secs()));
        }
        Ok(())
    }
}

/// Appends a request of these words.
pub fn write_request(into: &mut Vec<u8>, words: &[&[u8]]) {
    into.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        into.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        into.extend_from_slice(word);
        into.extend_from_slice(b"\r\n");
    }
}

/// The text of a reply that is an error.
pub fn error_of(reply: &[u8]) -> Option<String> {
    let text = reply.strip_prefix(b"-")?;
    Some(String::from_utf8_lossy(text).trim_end().to_owned())
}

/// The text of a reply that is a bulk string.
pub fn text_of(reply: &[u8]) -> Option<String> {
    let at = reply.iter().position(|it| *it == b'\n')?;
    let body = reply.get(at + 1..reply.len().checked_sub(2)?)?;
    [b'$', b'='].contains(&reply[0]).then(|| String::from_utf8_lossy(body).into_owned())
}
