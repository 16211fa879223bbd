//! Carries connections to one server as they are, later than they come or not at all for a while.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

/// A relay to one server. Dropped, it takes no more connections.
pub struct Relay {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    late_ms: AtomicU64,
    is_stalled: AtomicBool,
    ends: AtomicBool,
}

impl Relay {
    /// To the server at this port of this machine.
    pub fn to(port: u16) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let own = listener.local_addr().expect("an address").port();
        let state = Arc::new(State::default());
        let shared = state.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.ends.load(Relaxed) {
                    return;
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                carry(&client, &server, &shared);
                carry(&server, &client, &shared);
            }
        });
        Relay { port: own, state }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whatever comes is carried so much later.
    pub fn delay(&self, late: Duration) {
        self.state.late_ms.store(late.as_millis() as u64, Relaxed);
    }

    /// Whether nothing is carried.
    pub fn stall(&self, is_stalled: bool) {
        self.state.is_stalled.store(is_stalled, Relaxed);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.state.ends.store(true, Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn carry(from: &TcpStream, to: &TcpStream, state: &Arc<State>) {
    let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else { return };
    let state = state.clone();
    thread::spawn(move || {
        let mut buffer = vec![0; 16 << 10];
        loop {
            let count = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            thread::sleep(Duration::from_millis(state.late_ms.load(Relaxed)));
            while state.is_stalled.load(Relaxed) && !state.ends.load(Relaxed) {
                thread::sleep(Duration::from_millis(2));
            }
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    });
}
