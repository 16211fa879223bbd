//! PROXY RELOAD, carried out on a thread of its own: it reads a file, and the worker has clients to
//! serve.

use super::visitor::Visitor;
use crate::command::Fault;
use crate::runtime::tasks;
use std::sync::atomic::Ordering::Release;

impl Visitor {
    /// Puts the config file in force as it is now, and writes the reply.
    pub async fn reload(&mut self) {
        let (house, asked_by) = (self.house.clone(), format!("client-{}", self.client.id));
        self.client.is_parked.store(true, Release);
        let done = tasks::apart(move || house.reload(&asked_by)).await;
        self.client.is_parked.store(false, Release);
        match done {
            Ok(()) => self.reply.ok(),
            Err(why) => self.answer_fault(&Fault::Told(format!("ERR {why}"))),
        }
    }
}
