//! What tells others of something and may hang: a program that is run, a page that is posted to.
//! Each has a time after which it is given up. For threads of their own: the caller is blocked.

use super::notify::VARIABLES;
use super::tls::{TlsClient, TlsFiles};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Bytes of an answer that are looked at.
const HEAD_BYTES_MAX: usize = 4096;

/// Runs a program with these variables more and this text at its standard input, and waits for it.
/// One that takes longer than `timeout` is killed, with all that it has started.
pub fn run(
    words: &[String],
    variables: &[(&str, &str)],
    input: &str,
    timeout: Duration,
) -> Result<(), String> {
    let Some((program, arguments)) = words.split_first() else { return Ok(()) };
    let mut command = Command::new(program);
    command.args(arguments).envs(variables.iter().copied());
    for name in VARIABLES {
        command.env_remove(name);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // So that what it starts can be ended with it.
    command.process_group(0);
    let mut child = command.spawn().map_err(|why| format!("it cannot be started: {why}"))?;
    if let Some(mut pipe) = child.stdin.take() {
        // It fits a pipe's buffer, and a program may not care for it.
        let _ = pipe.write_all(input.as_bytes());
    }
    let ended = ends_within(&child, timeout);
    if !matches!(ended, Ok(true)) {
        end(&mut child);
    }
    let status = child.wait().map_err(|why| format!("it cannot be waited for: {why}"))?;
    match ended {
        Ok(true) if status.success() => Ok(()),
        Ok(true) => Err(format!("it ended with {status}")),
        Ok(false) => Err(format!("it took longer than {timeout:?}")),
        Err(why) => Err(format!("it cannot be waited for: {why}")),
    }
}

fn ends_within(child: &Child, timeout: Duration) -> io::Result<bool> {
    let ended = pidfd_open(pid(child)?, PidfdFlags::empty())?;
    let until = Instant::now() + timeout;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(|_| ErrorKind::InvalidInput)?;
        match poll(&mut [PollFd::new(&ended, PollFlags::IN)], Some(&left)) {
            Err(rustix::io::Errno::INTR) => {}
            Ok(count) => return Ok(count != 0),
            Err(why) => return Err(why.into()),
        }
    }
}

fn pid(child: &Child) -> io::Result<Pid> {
    let number = i32::try_from(child.id()).ok();
    number.and_then(Pid::from_raw).ok_or(ErrorKind::InvalidInput.into())
}

fn end(child: &mut Child) {
    // It has not been waited for, so the number is still its own.
    if let Ok(pid) = pid(child) {
        let _ = kill_process_group(pid, Signal::KILL);
    }
    let _ = child.kill();
}

/// A page that is posted to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// Its host, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// It speaks TLS, with a certificate for its host that this system trusts.
    pub is_tls: bool,
    /// Host and port, as a request says them.
    pub place: String,
    /// What stands behind them.
    pub path: String,
}

impl Page {
    /// Posts this text of JSON, and waits for an answer that says it was taken.
    pub fn post(&self, text: &str, timeout: Duration) -> Result<(), String> {
        let until = Instant::now() + timeout;
        let status = self.connect(until).and_then(|socket| match self.is_tls {
            true => self.posted(self.shown_tls()?.stream(&self.host, socket)?, text),
            false => self.posted(socket, text),
        });
        let told = |why: io::Error| match why.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => format!("no answer within {timeout:?}"),
            _ => why.to_string(),
        };
        match status.map_err(told)? {
            200..=299 => Ok(()),
            0 => Err("what it answers is no HTTP".to_owned()),
            status => Err(format!("it answers {status}")),
        }
    }

    /// Read when it is needed: it is seldom, and may have changed.
    fn shown_tls(&self) -> io::Result<TlsClient> {
        let files =
            TlsFiles { speaks_12: true, speaks_13: true, checks_name: true, ..TlsFiles::default() };
        TlsClient::read_or_system(&files).map_err(io::Error::other)
    }

    fn connect(&self, until: Instant) -> io::Result<TimedSocket> {
        let mut last = io::Error::new(ErrorKind::NotFound, "its host has no address");
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, left(until)?) {
                Ok(socket) => return Ok(TimedSocket { socket, until }),
                Err(why) => last = why,
            }
        }
        Err(last)
    }

    fn posted(&self, mut socket: impl Read + Write, text: &str) -> io::Result<u16> {
        let Page { path, place, .. } = self;
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {place}\r\nUser-Agent: entourage\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n\
             {text}",
            text.len()
        );
        socket.write_all(request.as_bytes())?;
        socket.flush()?;
        let mut head = Vec::new();
        let mut piece = [0; 512];
        // Its first line says all there is to know.
        while !head.contains(&b'\n') && head.len() < HEAD_BYTES_MAX {
            match socket.read(&mut piece)? {
                0 => break,
                count => head.extend_from_slice(&piece[..count]),
            }
        }
        Ok(status_of(&head))
    }
}

/// The time until then.
fn left(until: Instant) -> io::Result<Duration> {
    match until.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(ErrorKind::TimedOut.into()),
        left => Ok(left),
    }
}

/// A socket that is read and written until then.
struct TimedSocket {
    socket: TcpStream,
    until: Instant,
}

impl Read for TimedSocket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(left(self.until)?))?;
        self.socket.read(bytes)
    }
}

impl Write for TimedSocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(left(self.until)?))?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The number of an answer, by its first line; 0 where there is none.
fn status_of(head: &[u8]) -> u16 {
    let line = String::from_utf8_lossy(head.split(|it| *it == b'\n').next().unwrap_or_default());
    let words: Vec<&str> = line.split(' ').collect();
    match words.as_slice() {
        [version, status, ..] if version.starts_with("HTTP/1.") => {
            status.trim().parse().unwrap_or(0)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    const SOON: Duration = Duration::from_millis(200);
    const LONG: Duration = Duration::from_secs(60);

    fn sh(script: &str, timeout: Duration) -> Result<(), String> {
        let words = ["sh", "-c", script].map(str::to_owned);
        run(&words, &[("WHAT", "it")], "text", timeout)
    }

    #[test]
    fn a_program_gets_what_there_is_to_know() {
        assert_eq!(sh("test \"$WHAT $(cat)\" = 'it text'", LONG), Ok(()));
        assert_eq!(sh("exit 3", LONG), Err("it ended with exit status: 3".to_owned()));
        let missing = run(&["/no/such/program".to_owned()], &[], "", LONG).unwrap_err();
        assert!(missing.starts_with("it cannot be started: "), "{missing}");
        assert_eq!(run(&[], &[], "", LONG), Ok(()));
    }

    #[test]
    fn a_program_that_hangs_is_ended_with_what_it_has_started() {
        let began = Instant::now();
        let why = sh("sleep 1000 & sleep 1000", SOON).unwrap_err();
        assert_eq!(why, "it took longer than 200ms");
        assert!(began.elapsed() < LONG, "nobody waits for what it has started");
    }

    fn page(port: u16, place: &str, path: &str) -> Page {
        let [host, place, path] = ["127.0.0.1", place, path].map(str::to_owned);
        Page { host, port, is_tls: false, place, path }
    }

    fn answered(with: &'static str) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let listening = thread::spawn(move || {
            let mut socket = listener.accept().unwrap().0;
            let mut asked = vec![0; 4096];
            let count = socket.read(&mut asked).unwrap();
            socket.write_all(with.as_bytes()).unwrap();
            String::from_utf8_lossy(&asked[..count]).into_owned()
        });
        let done = page(port, "h:1", "/p?q").post("{}", LONG);
        let asked = listening.join().unwrap();
        assert!(asked.starts_with("POST /p?q HTTP/1.1\r\nHost: h:1\r\n"), "{asked}");
        done
    }

    #[test]
    fn a_page_says_whether_it_has_taken_it() {
        assert_eq!(answered("HTTP/1.1 204 No Content\r\n\r\n"), Ok(()));
        assert_eq!(answered("HTTP/1.0 500\r\n\r\n"), Err("it answers 500".to_owned()));
        assert_eq!(answered("+PONG\r\n"), Err("what it answers is no HTTP".to_owned()));
    }

    #[test]
    fn a_page_that_says_nothing_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let why = page(port, "h", "/").post("{}", SOON).unwrap_err();
        assert_eq!(why, "no answer within 200ms");
        let mut speaks_tls = page(port, "h", "/");
        speaks_tls.is_tls = true;
        assert_eq!(speaks_tls.post("{}", SOON).unwrap_err(), "no answer within 200ms");
        drop(listener);
        assert!(page(port, "h", "/").post("{}", LONG).is_err(), "nobody is there");
    }
}
