//! What comes from outside of a client: messages, a clock on the wall that jumps, and a set that
//! has changed while it slept.

use super::members;
use super::peer::Peer;
use super::world::{CLIENTS, World};
use entourage::base::limits::MAILBOX_BYTES_MAX;
use entourage::base::time::Clock;
use entourage::state::Message;

impl World {
    /// The wall's clock jumps, or what has expired by it is deleted.
    pub fn change_the_wall(&mut self) {
        if self.below(2) == 0 && self.is_alone() {
            members::expire(self.set(), self.clock.wall_now(), self.clock.mono_now());
            return self.tell("what has expired is deleted".to_owned());
        }
        let ms = self.below(400) as i64 - 150;
        self.clock.jump_wall(ms);
        self.count(if ms < 0 { "jumped back" } else { "jumped forward" });
        self.tell(format!("the wall's clock jumps by {ms} ms"));
    }

    /// Much has changed while they did nothing: clients come back, and look.
    pub fn wake_up(&mut self) {
        for at in 0..CLIENTS {
            let Some(mut peer) = self.peers[at].take() else { continue };
            if peer.script.asked.is_empty() {
                peer.script.look_around(&mut self.around(&[]));
                peer.send(usize::MAX);
            }
            self.peers[at] = Some(peer);
        }
    }

    /// A wake-up for a wait that is over, or never was.
    pub fn repeat_an_old_message(&mut self, at: usize) {
        let Some(peer) = &self.peers[at] else { return };
        let mailbox = &peer.shell.connection.caller.client.mailbox;
        mailbox.post(Message::Woken(entourage::base::ids::BlockId(0)));
    }

    pub fn push(&mut self, at: usize) {
        let Some(peer) = &self.peers[at] else { return };
        let mailbox = &peer.shell.connection.caller.client.mailbox;
        mailbox.post(Message::Push(bytes::Bytes::from_static(b">1\r\n+push\r\n")));
    }

    /// More is pushed than its mailbox holds, before the client's connection has its turn.
    pub fn flood(&mut self, at: usize) {
        // Whoever has gone may be found gone first.
        let is_here = |it: &&Peer| !it.shell.has_hung_up;
        let Some(peer) = self.peers[at].as_ref().filter(is_here) else { return };
        let (id, is_blocked) = (peer.id(), peer.shell.connection.is_blocked());
        let mailbox = &peer.shell.connection.caller.client.mailbox;
        // Pages that nobody writes to take no memory.
        let bytes = bytes::Bytes::from(vec![0; MAILBOX_BYTES_MAX / 2]);
        (0..3).for_each(|_| mailbox.post(Message::Push(bytes.clone())));
        self.flooded.insert(id);
        self.tell(format!("client {id} is flooded"));
        self.count("flooded");
        if is_blocked {
            self.count("flooded while it waits");
        }
    }
}
