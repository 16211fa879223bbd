//! Connects to one server again, on a thread of its own: nobody's latency waits for it.

use super::client::Lane;
use super::control::Greeting;
use crate::runtime::tasks;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// For a connection and the answers to its greeting, each.
const PATIENCE: Duration = Duration::from_millis(500);

/// Who connects.
pub struct Connector {
    ask: Sender<(usize, u32)>,
    made: Receiver<(usize, Option<Lane>)>,
}

impl Connector {
    /// Connects to this server, which is the target of this number. It ends when it is dropped.
    pub fn new(address: &str, greeting: &Greeting, target: u16) -> Result<Connector, String> {
        let (ask, asked) = channel::<(usize, u32)>();
        let (give, made) = channel();
        let (address, greeting) = (address.to_owned(), greeting.clone());
        let work = move || {
            for (at, client) in asked {
                let lane = Lane::connect(&address, &greeting, client, target, PATIENCE);
                if give.send((at, lane.ok())).is_err() {
                    return;
                }
            }
        };
        tasks::thread("load-connect", work).map_err(|it| format!("threads: {it}"))?;
        Ok(Connector { ask, made })
    }

    /// Asks for a connection of this client, to be the lane of this place.
    pub fn ask(&self, at: usize, client: u32) {
        // Whoever has panicked connects nobody; that is told as a connection that is missing.
        let _ = self.ask.send((at, client));
    }

    /// A lane's place and the lane, or `None` where that could not be connected; if any is ready.
    pub fn take(&self) -> Option<(usize, Option<Lane>)> {
        self.made.try_recv().ok()
    }
}
