//! A server of ours that serves HTTP, and a plain client for it.

use super::{Server, until};
use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A server with a status page.
pub struct Site {
    /// It.
    pub server: Server,
    /// Where the page is.
    pub port: u16,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its number.
    pub status: u16,
    /// The head, in lower case.
    pub head: String,
    /// What it says.
    pub body: String,
}

impl Site {
    /// One with these settings in `[http]`, and more of a file.
    pub fn with(http: &str, more: &str) -> Site {
        let text = format!(
            "[[listener]]\nname = \"main\"\nbind = \"127.0.0.1:{{port}}\"\n\
             [http]\nbind = \"127.0.0.1:0\"\n{http}\n{more}"
        );
        Site::of(Server::entourage_with_config_and(&text, &[]))
    }

    /// One whose log tells where its page is.
    pub fn of(server: Server) -> Site {
        let port = until("the page's port in the log", || {
            let said = server.said();
            let line = said.lines().find(|it| it.contains("event=listen name=http"))?.to_owned();
            line.rsplit(':').next()?.trim().parse().ok()
        });
        Site { server, port }
    }

    /// A new connection.
    pub fn dial(&self) -> TcpStream {
        let socket = TcpStream::connect(("127.0.0.1", self.port)).expect("it accepts");
        socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a time above 0");
        socket
    }

    /// Sends a request of this method with these header lines more.
    pub fn request(&self, method: &str, path: &str, lines: &[&str]) -> Answer {
        let mut socket = self.dial();
        let host = format!("127.0.0.1:{}", self.port);
        let lines: String = lines.iter().map(|it| format!("{it}\r\n")).collect();
        let lines = match lines.to_lowercase().contains("host:") {
            true => lines,
            false => format!("Host: {host}\r\n{lines}"),
        };
        write!(socket, "{method} {path} HTTP/1.1\r\nConnection: close\r\n{lines}\r\n")
            .expect("sent");
        read_answer(&mut socket).expect("an answer")
    }

    /// Gets a path.
    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[])
    }

    /// Gets a path as JSON.
    pub fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
        serde_json::from_str(&answer.body).unwrap_or_else(|it| panic!("{it}: {}", answer.body))
    }
}

/// Reads until the other end closes.
pub fn read_answer(socket: &mut TcpStream) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap_or(0);
    Ok(Answer { status, head: head.to_lowercase(), body: body.to_owned() })
}
