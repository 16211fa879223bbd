//! Carries connections to one server as they are, later than they come or not at all for a while.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
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
    held: Mutex<Vec<u8>>,
    is_holding: AtomicBool,
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
                carry(&client, &server, &shared, true);
                carry(&server, &client, &shared, false);
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

    /// What a client sends with this in it is held, and all that it sends behind that; what others
    /// send is not.
    pub fn hold(&self, text: &str) {
        *self.state.held.lock().expect("no panic") = text.as_bytes().to_vec();
    }

    /// Whether anything is held.
    pub fn is_holding(&self) -> bool {
        self.state.is_holding.load(Relaxed)
    }

    /// What is held is carried.
    pub fn let_go(&self) {
        self.state.held.lock().expect("no panic").clear();
        self.state.is_holding.store(false, Relaxed);
    }

    /// Whether nothing is carried.
    pub fn stall(&self, is_stalled: bool) {
        self.state.is_stalled.store(is_stalled, Relaxed);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.state.ends.store(true, Relaxed);
        self.let_go();
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl State {
    fn is_held(&self, bytes: &[u8]) -> bool {
        let held = self.held.lock().expect("no panic");
        !held.is_empty() && bytes.windows(held.len()).any(|it| it == held.as_slice())
    }
}

fn carry(from: &TcpStream, to: &TcpStream, state: &Arc<State>, is_of_client: bool) {
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
            if is_of_client && state.is_held(&buffer[..count]) {
                state.is_holding.store(true, Relaxed);
                while state.is_holding.load(Relaxed) {
                    thread::sleep(Duration::from_millis(2));
                }
            }
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
