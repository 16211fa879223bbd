//! PROXY FAILOVER, carried out on a thread of its own: the heir may have much to apply, and the
//! worker has clients to serve.

use super::visitor::Visitor;
use crate::command::Fault;
use crate::runtime::tasks;
use std::sync::atomic::Ordering::Release;

impl Visitor {
    /// Makes `heir` the master, and writes the reply.
    pub async fn fail_over(&mut self, heir: usize) {
        let set = self.house.set.clone();
        self.client.is_parked.store(true, Release);
        let done = tasks::apart(move || set.fail_over(set.member(heir))).await;
        self.client.is_parked.store(false, Release);
        match done {
            Ok(paused) => self.reply.simple(&format!("OK paused-us={}", paused.0)),
            Err(why) => {
                let name = &self.house.set.member(heir).name;
                let fault = Fault::Told(format!("ERR {name} cannot take over: {why}"));
                self.answer_fault(&fault);
            }
        }
    }
}
