//! Clients that are shown every command that is executed (MONITOR).

use super::clients::Client;
use super::mailbox::Message;
use crate::base::monitor_line::write_line;
use crate::runtime::clock;
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};

/// Who is shown them.
#[derive(Default)]
pub struct Monitors {
    are_any: AtomicBool,
    clients: Mutex<Vec<Arc<Client>>>,
}

impl Monitors {
    /// Whether anybody is: asked for each command.
    #[inline]
    pub fn are_any(&self) -> bool {
        self.are_any.load(Relaxed)
    }

    /// From here on this client is.
    pub fn enter(&self, client: Arc<Client>) {
        client.flags.is_monitor.store(true, Relaxed);
        let mut clients = self.clients.lock();
        if !clients.iter().any(|it| it.id == client.id) {
            clients.push(client);
        }
        self.are_any.store(true, Relaxed);
    }

    /// It is not any more.
    pub fn leave(&self, client: &Client) {
        client.flags.is_monitor.store(false, Relaxed);
        let mut clients = self.clients.lock();
        clients.retain(|it| it.id != client.id);
        self.are_any.store(!clients.is_empty(), Relaxed);
    }

    /// Shows them a command, as of now; see [`write_line`]. One whose mailbox is full is closed, as
    /// any client that does not take what it is sent.
    pub fn show<'w>(&self, db: usize, who: &str, words: impl Iterator<Item = &'w [u8]>) {
        let mut line = vec![b'+'];
        write_line(&mut line, clock::wall_us(), db, who, words);
        line.extend_from_slice(b"\r\n");
        let line = Bytes::from(line);
        for client in self.clients.lock().iter() {
            client.mailbox.post(Message::Shown(line.clone()));
        }
    }
}
