//! PROXY RELOAD, carried out on a thread of its own: it reads a file, and the worker has clients to
//! serve.

use super::connection::Connection;
use crate::command::Fault;
use crate::runtime::tasks;
use std::sync::atomic::Ordering::Release;

impl Connection {
    /// Puts the config file in force as it is now, and writes the reply.
    pub async fn reload(&mut self) {
        let (server, asked_by) = (self.server.clone(), format!("client-{}", self.client.id));
        self.client.is_parked.store(true, Release);
        let done = tasks::apart(move || server.reload(&asked_by)).await;
        self.client.is_parked.store(false, Release);
        match done {
            Ok(()) => self.reply.ok(),
            Err(why) => self.answer_fault(&Fault::Message(format!("ERR {why}"))),
        }
    }
}
