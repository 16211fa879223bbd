//! The end: no new clients; those that are here get their answers; then the process is done.

use crate::base::time::MonoUs;
use crate::runtime::{clock, tasks};
use crate::state::{Message, Server};
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Waits for the clients of a closed server to leave, at most `shutdown-timeout`. Each is served
/// what it has sent so far, and hears nothing after that.
pub async fn drain(server: &Server) {
    let began = clock::mono_now();
    let ends = began.plus(server.settings().server.shutdown_timeout);
    log::info!("event=drain clients={}", server.clients.count());
    // Who comes in from here on finds the server closed.
    server.clients.all().iter().for_each(|it| it.mailbox.post(Message::ServerClosing));
    while server.clients.count() != 0 && clock::mono_now() < ends {
        tasks::sleep(LOOK_EVERY).await;
    }
    report(server, began);
}

fn report(server: &Server, began: MonoUs) {
    let (left, ms) = (server.clients.count(), clock::mono_now().since(began) / 1000);
    match left {
        0 => log::info!("event=drained ms={ms}"),
        _ => log::warn!("event=drain-timeout ms={ms} clients-cut-off={left}"),
    }
}
