//! A proxy between two servers that splits what it carries, delays it, and cuts links at random.

use entourage::base::random::Random;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// A link is cut after at most so many bytes, in its handshake or in its file, or after a while, in
/// its stream: one of the three is drawn for each way of each link.
const CUT_AFTER: [u64; 3] = [400, 100_000, u64::MAX];
const CUT_AFTER_MS: u64 = 1_500;
/// What is carried at a time is at most as long as one of these.
const PIECES: [u64; 3] = [3, 700, 16 << 10];
const DELAY_US_MAX: u64 = 2_000;

/// A proxy to one server. Dropped, it takes no more links.
pub struct LinkProxy {
    port: u16,
    state: Arc<State>,
}

struct State {
    to: u16,
    cuts: AtomicBool,
    links: AtomicU64,
    ends: AtomicBool,
}

impl LinkProxy {
    /// To the server at this port of this machine. It cuts links from the beginning on.
    pub fn to(port: u16, seed: u64) -> LinkProxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let own = listener.local_addr().expect("an address").port();
        let state = Arc::new(State {
            to: port,
            cuts: AtomicBool::new(true),
            links: AtomicU64::new(0),
            ends: AtomicBool::new(false),
        });
        let shared = state.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.ends.load(Relaxed) {
                    return;
                }
                let number = shared.links.fetch_add(1, Relaxed);
                carry(client, &shared, Random::new(seed ^ (number << 20)));
            }
        });
        LinkProxy { port: own, state }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many links there have been.
    pub fn links(&self) -> u64 {
        self.state.links.load(Relaxed)
    }

    /// From here on links live, and are carried at once.
    pub fn heal(&self) {
        self.state.cuts.store(false, Relaxed);
    }
}

impl Drop for LinkProxy {
    fn drop(&mut self) {
        self.state.ends.store(true, Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Carries one link, both ways.
fn carry(client: TcpStream, state: &Arc<State>, mut random: Random) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", state.to)) else { return };
    for (from, to) in [(&client, &server), (&server, &client)] {
        let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { return };
        let most = CUT_AFTER[random.below(3) as usize];
        let cut_after = random.below(most);
        let cut_at = Instant::now() + Duration::from_millis(300 + random.below(CUT_AFTER_MS));
        let (state, random) = (state.clone(), Random::new(random.bits()));
        thread::spawn(move || {
            one_way(&from, &to, &state, (cut_after, cut_at), random);
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
}

fn one_way(
    mut from: &TcpStream,
    mut to: &TcpStream,
    state: &State,
    (cut_after, cut_at): (u64, Instant),
    mut random: Random,
) {
    let (mut buffer, mut carried) = (vec![0; 16 << 10], 0);
    let piece_max = PIECES[random.below(3) as usize];
    loop {
        let cuts = state.cuts.load(Relaxed);
        let left = if cuts { cut_after.saturating_sub(carried) } else { u64::MAX };
        let most = if cuts { (1 + random.below(piece_max)).min(left) } else { 16 << 10 };
        if most == 0 || cuts && cut_at <= Instant::now() {
            return;
        }
        let count = match from.read(&mut buffer[..most as usize]) {
            Ok(0) => return,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        if cuts && random.below(20) == 0 {
            thread::sleep(Duration::from_micros(random.below(DELAY_US_MAX)));
        }
        if to.write_all(&buffer[..count]).is_err() {
            return;
        }
        carried += count as u64;
    }
}
