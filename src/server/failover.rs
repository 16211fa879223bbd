//! PROXY FAILOVER, carried out on a thread of its own: the candidate may have much to apply, and
//! the worker has clients to serve.

use super::connection::Connection;
use crate::command::Fault;
use crate::runtime::tasks;
use std::sync::atomic::Ordering::Release;

impl Connection {
    /// Makes `candidate` the master, and writes the reply.
    pub async fn fail_over(&mut self, candidate: usize) {
        let set = self.server.set.clone();
        self.client.is_parked.store(true, Release);
        let done = tasks::apart(move || set.fail_over(set.member(candidate))).await;
        self.client.is_parked.store(false, Release);
        match done {
            Ok(paused) => self.reply.simple(&format!("OK paused-us={}", paused.0)),
            Err(why) => {
                let name = &self.server.set.member(candidate).name;
                let fault = Fault::Message(format!("ERR {name} cannot take over: {why}"));
                self.answer_fault(&fault);
            }
        }
    }
}
