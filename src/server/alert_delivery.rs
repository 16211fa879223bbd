//! Alerts that are raised or cleared, on their way to people: a line of the log, and the command
//! and the webhook of `[alerts]`.
//!
//! **Invariant:** whoever finds an alert waits for nobody: the command and the webhook each have a
//! thread and a short queue of their own, and what the queue does not take is counted.

use crate::base::hysteresis::Edge;
use crate::config::Webhook;
use crate::metrics::json::Json;
use crate::runtime::hooks::{self, Page};
use crate::runtime::{clock, tasks};
use crate::state::{Alert, Changed, Ending, Server};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// Alerts that may wait for one way.
const QUEUED_MAX: usize = 64;

/// The ways to people.
#[derive(Default)]
pub struct AlertDelivery {
    command: Option<SyncSender<Delivery>>,
    webhook: Option<SyncSender<Delivery>>,
}

/// Where one is delivered.
enum Target {
    Command(Vec<String>),
    Webhook(Webhook),
}

/// One alert for one target.
struct Delivery {
    target: Target,
    name: &'static str,
    state: &'static str,
    member: String,
    what: String,
    json: String,
    timeout: Duration,
}

impl AlertDelivery {
    /// Logs what has changed, and hands it to the command and the webhook.
    pub fn deliver(&mut self, server: &Arc<Server>, changed: &[Changed]) {
        let settings = server.settings();
        for it in changed {
            log(it);
            let delivery = |target| Delivery {
                target,
                name: it.alert.kind.as_str(),
                state: state(it.edge),
                member: it.alert.subject.member().to_owned(),
                what: it.alert.what.clone(),
                json: json(server, it),
                timeout: settings.alerts.timeout,
            };
            if !settings.alerts.command.is_empty() {
                let delivery = delivery(Target::Command(settings.alerts.command.clone()));
                send(server, &mut self.command, "alert-command", delivery);
            }
            if let Some(webhook) = &settings.alerts.webhook {
                let delivery = delivery(Target::Webhook(webhook.clone()));
                send(server, &mut self.webhook, "alert-webhook", delivery);
            }
        }
    }
}

fn state(edge: Edge) -> &'static str {
    match edge {
        Edge::Raised => "raised",
        Edge::Cleared { .. } => "cleared",
    }
}

/// Why it is over; empty while it is not.
fn why(ending: Option<Ending>) -> &'static str {
    ending.map_or("", Ending::as_str)
}

fn log(changed: &Changed) {
    let Alert { kind, subject, value, worst, threshold, what, .. } = &changed.alert;
    let name = kind.as_str();
    let mut about = format!("alert={name}");
    for (field, name) in [("member", subject.member()), ("route", subject.route())] {
        if !name.is_empty() {
            about += &format!(" {field}={name}");
        }
    }
    let unit = kind.unit();
    match changed.edge {
        Edge::Raised => log::warn!(
            "event=alert-raised {about} value={value} threshold={threshold} unit={unit} \
             what={what:?}"
        ),
        Edge::Cleared { after_us } => log::info!(
            "event=alert-cleared {about} value={value} worst={worst} unit={unit} after-ms={} \
             why={}",
            after_us / 1000,
            why(changed.ending)
        ),
    }
}

/// What programs are told.
fn json(server: &Server, changed: &Changed) -> String {
    let Changed { alert, edge, ending } = changed;
    let mut json = Json::default();
    json.object(|it| {
        it.name("alert").string(alert.kind.as_str());
        it.name("state").string(state(*edge));
        it.name("why").string(why(*ending));
        alert.describe(it);
        it.name("at-ms").number(clock::wall_now().0);
        it.name("port").number(server.process_info.port);
        it.name("run-id").string(&server.process_info.run_id);
    });
    json.into_text()
}

/// Puts it in the queue of its way, whose thread begins with the first.
fn send(
    server: &Arc<Server>,
    way: &mut Option<SyncSender<Delivery>>,
    thread: &'static str,
    delivery: Delivery,
) {
    let queue = match way {
        Some(queue) => queue,
        None => {
            let (queue, waiting) = sync_channel(QUEUED_MAX);
            let its = server.clone();
            if let Err(why) = tasks::thread(thread, move || carry_out(&its, waiting)) {
                log::error!("event=alert-undelivered why={why}");
                return count(&server.counters.alerts_undelivered);
            }
            way.insert(queue)
        }
    };
    match queue.try_send(delivery) {
        Ok(()) => {}
        Err(TrySendError::Full(it) | TrySendError::Disconnected(it)) => {
            count(&server.counters.alerts_undelivered);
            log::warn!("event=alert-undelivered by={thread} alert={} why=too many wait", it.name);
        }
    }
}

fn count(of: &AtomicU64) {
    of.fetch_add(1, Relaxed);
}

/// One after the other: a way that hangs keeps those behind it waiting, and nobody else.
fn carry_out(server: &Server, waiting: Receiver<Delivery>) {
    for delivery in waiting {
        let Delivery { target, name, state, member, what, json, timeout } = delivery;
        let (by, done) = match target {
            Target::Command(words) => {
                let variables = [
                    ("ENTOURAGE_ALERT", name),
                    ("ENTOURAGE_ALERT_STATE", state),
                    ("ENTOURAGE_ALERT_MEMBER", &member),
                    ("ENTOURAGE_ALERT_WHAT", &what),
                ];
                ("alert-command", hooks::run(&words, &variables, &format!("{json}\n"), timeout))
            }
            Target::Webhook(it) => {
                let (place, is_tls) = (it.place(), it.is_tls);
                let page = Page { host: it.host, port: it.port, is_tls, place, path: it.path };
                ("alert-webhook", page.post(&json, timeout))
            }
        };
        match done {
            Ok(()) => count(&server.counters.alerts_delivered),
            Err(why) => {
                count(&server.counters.alerts_undelivered);
                log::warn!("event=alert-undelivered by={by} alert={name} why={why:?}");
            }
        }
    }
}
