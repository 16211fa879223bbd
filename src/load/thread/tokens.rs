//! Tokens, which clients of a thread pass on: who has written gives one to the next.

use super::Thread;
use crate::load::check::TokenEvent;
use crate::load::client::{ATLEAST, Passed, Pending, TOKEN};
use crate::load::control::write_request;
use crate::load::skim::Skimmed;

impl Thread<'_> {
    /// Asks for the token of what a connection has done until now.
    pub(super) fn ask_for_token(&mut self, at: usize) {
        let lane = &mut self.lanes[at];
        write_request(&mut lane.out, &[b"PROXY", b"TOKEN"]);
        let began = lane.pending.back().map_or(0, |it| it.began);
        let asked = Pending { command: TOKEN, key: 0, version: 0, intended: began, began };
        lane.pending.push_back(asked);
    }

    /// Hands in the token that a connection has been given, in front of a read.
    pub(super) fn hand_in_token(&mut self, at: usize, began: u64) {
        let lane = &mut self.lanes[at];
        let Some(Passed { token, from, taken }) = lane.token.take() else { return };
        write_request(&mut lane.out, &[b"PROXY", b"ATLEAST", &token]);
        let (command, key, version) = (ATLEAST, from.into(), taken);
        lane.pending.push_back(Pending { command, key, version, intended: began, began });
    }

    /// A token has come, or one that was handed in has been taken.
    pub(super) fn settle_token(&mut self, at: usize, pending: &Pending, reply: Skimmed<'_>) {
        let from = self.lanes[at].client;
        match reply {
            Skimmed::Error(text) => self.recorder.record_error(&String::from_utf8_lossy(text)),
            Skimmed::Bulk(token) if pending.command == TOKEN => {
                let lanes = self.scenario.lanes();
                let to = (at / lanes + 1) % self.clients.len() * lanes;
                let passed = Passed { token: token.to_vec(), from, taken: pending.began };
                if to != at && self.lanes[to].socket.is_some() {
                    self.lanes[to].token = Some(passed);
                }
            }
            _ if pending.command == ATLEAST => {
                let Some((_, batch)) = &mut self.events else { return };
                let (taken, given) = (pending.version, pending.began);
                batch.tokens.push(TokenEvent { from: pending.key as u32, to: from, taken, given });
            }
            _ => {}
        }
    }
}
