//! How a simulation ends: everything runs dry, and then nothing may be left.

use super::finding::Checker;
use super::members;
use super::peer::Peer;
use super::world::{CLIENTS, World};
use entourage::base::time::Clock;
use std::time::Duration;

impl World {
    /// All orders end, every client takes its replies, and everything runs dry.
    pub fn settle(&mut self) {
        self.set().unpause_clients();
        self.pause = None;
        self.run_dry();
        // What was held back may have held others back.
        self.set().unpause_clients();
        self.pause = None;
        self.run_dry();
    }

    fn run_dry(&mut self) {
        for _ in 0..100 {
            self.end_errands();
            if self.is_alone() {
                members::settle(&self.server.set.clone(), self.clock.mono_now());
            }
            for _ in 0..40 {
                for at in 0..CLIENTS {
                    self.drive(at);
                }
                self.call_errands();
                self.end_errands();
                self.look_for_sleepers();
            }
            if !self.followers.is_empty() {
                self.set().clone().ask_wire_every(Duration::ZERO, self.clock.mono_now());
                self.deliver_all();
            }
            let is_blocked = |it: &Peer| it.shell.connection.is_blocked();
            let is_over = self.jobs.is_empty() && self.is_alone();
            if is_over && !self.peers.iter().flatten().any(is_blocked) {
                return;
            }
            self.begin_job();
            self.jump();
        }
    }

    fn drive(&mut self, at: usize) {
        let Some(peer) = &mut self.peers[at] else { return };
        peer.shell.outbox_room = 4000;
        if !peer.shell.has_hung_up {
            peer.send(usize::MAX);
        }
        if self.is_ready(at) {
            self.turn(at);
        }
    }

    /// Clients that are here say their last; then members are compared.
    pub fn end_all(&mut self) {
        self.settle();
        let clients = [0];
        for at in 0..CLIENTS {
            let Some(mut peer) = self.peers[at].take() else { continue };
            peer.script.end(&mut self.around(&clients));
            self.peers[at] = Some(peer);
        }
        self.settle();
        let left: Vec<(u64, String)> = self
            .peers
            .iter()
            .flatten()
            .filter(|it| !it.script.asked.is_empty())
            .map(|it| (it.id(), format!("{:?}", it.script.asked[0].what)))
            .collect();
        for (id, what) in left {
            self.find(Checker::Answers, format!("client {id} was not answered: {what}"));
        }
        self.look_at_unheard();
        for at in 0..CLIENTS {
            self.hang_up(at);
            self.drive(at);
            self.drive(at);
        }
        if self.server.clients.count() != 0 || self.set().waits() != 0 {
            self.find(Checker::LeftBehind, "somebody is left when all have gone".to_owned());
        }
        self.settle_links();
        // To ask what they have moves the stream.
        members::settle(&self.server.set.clone(), self.clock.mono_now());
        self.look_at_elements();
        self.count_reached();
        for what in members::differences(&self.server.set.clone(), self.start) {
            self.find(Checker::Converged, what);
        }
    }
}
