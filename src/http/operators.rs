//! What operators are to know of, as JSON: alerts, recent events, and the busiest clients.

use crate::base::limits::HTTP_LISTED_MAX;
use crate::commands::{client_line, table};
use crate::metrics::json::Json;
use crate::runtime::clock;
use crate::state::{Client, Server};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Events on the page.
const EVENTS_SHOWN: usize = 30;
/// Clients on the page.
const CLIENTS_SHOWN: usize = 50;

/// The alerts that are raised.
pub fn alerts(server: &Server, json: &mut Json) {
    json.array(server.alerts.raised(), |it, alert| {
        it.object(|it| {
            it.name("alert").string(alert.kind.as_str());
            alert.describe(it);
        });
    });
}

/// The newest events.
pub fn events(server: &Server, count: usize, json: &mut Json) {
    json.array(server.logging.events.newest(count.min(HTTP_LISTED_MAX)), |it, event| {
        it.object(|it| {
            it.name("id").number(event.id);
            it.name("at-ms").number(event.at.0);
            it.name("severity").string(event.severity);
            it.name("event").string(&event.kind);
            it.name("text").string(&event.text);
        });
    });
}

/// Those of the page.
pub fn events_shown(server: &Server, json: &mut Json) {
    events(server, EVENTS_SHOWN, json);
}

/// The clients that have sent most commands, of those of the page; how many each has sent tells the
/// page how busy it is.
pub fn clients_shown(server: &Server, all: &[Arc<Client>], json: &mut Json) {
    let mut busiest: Vec<(u64, &Arc<Client>)> =
        all.iter().map(|it| (it.commands.load(Relaxed), it)).collect();
    let most = |it: &(u64, &Arc<Client>)| (std::cmp::Reverse(it.0), it.1.id);
    if CLIENTS_SHOWN < busiest.len() {
        busiest.select_nth_unstable_by_key(CLIENTS_SHOWN, most);
        busiest.truncate(CLIENTS_SHOWN);
    }
    busiest.sort_unstable_by_key(most);
    json.array(&busiest, |it, (commands, client)| client_object(server, client, *commands, it));
}

/// The fields of CLIENT LIST, and how many commands it has sent.
pub fn client_object(server: &Server, client: &Client, commands: u64, json: &mut Json) {
    let line =
        client_line(client, &server.settings(), table(), server.set.head(), clock::mono_now());
    let fields = line.split_whitespace().filter_map(|it| it.split_once('='));
    json.object(|it| {
        fields.for_each(|(name, value)| match value.parse::<i64>() {
            Ok(number) if name != "name" && name != "user" => {
                it.name(name).number(number);
            }
            _ => it.name(name).string(value),
        });
        it.name("commands").number(commands);
    });
}
