//! What there is, as JSON.

use super::content::{Content, Kind};
use super::operators::{self, client_object};
use super::query::Query;
use crate::base::limits::{HTTP_LISTED_MAX, HTTP_SLOW_BYTES_MAX};
use crate::commands::{all_nodes, class_name, observed, prometheus, stats_json, table, unserved};
use crate::metrics::json::Json;
use crate::metrics::render::Names;
use crate::metrics::render_json;
use crate::metrics::snapshot::Snapshot;
use crate::route::{Acks, Route};
use crate::runtime::{clock, process};
use crate::state::version::ENTOURAGE_VERSION;
use crate::state::{Client, EVENTS_KEPT_MAX, Server, Slow};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

fn json(write: impl FnOnce(&mut Json)) -> Content {
    let mut json = Json::default();
    write(&mut json);
    Content::ok(Kind::Json, json.into_text())
}

/// All metrics.
pub fn metrics(server: &Arc<Server>, _: &Query) -> Content {
    Content::ok(Kind::Metrics, prometheus(server, table()))
}

/// PROXY NODES.
pub fn nodes(server: &Arc<Server>, _: &Query) -> Content {
    json(|it| write_nodes(server, it))
}

fn write_nodes(server: &Server, json: &mut Json) {
    json.array(all_nodes(server, clock::mono_now()), |it, (name, fields)| {
        it.object(|it| {
            it.name("name").string(&name);
            fields.iter().for_each(|(name, value)| value.json(it.name(name)));
        });
    });
}

/// The routes in force, in their order.
pub fn routes(server: &Arc<Server>, _: &Query) -> Content {
    json(|it| write_routes(server, it))
}

fn write_routes(server: &Server, json: &mut Json) {
    let settings = server.settings();
    json.array(settings.routes.in_force(), |it, (id, route)| {
        it.object(|it| {
            it.name("name").string(&route.name);
            it.name("matches").string(&route.matches.to_string());
            it.name("level").string(&settings.routes.level(id, None, None).to_string());
            let steps = route.ladder.steps();
            it.name("on-lag").array(steps, |it, step| it.string(&step.to_string()));
            it.name("members").array(&route.members, |it, named| it.string(&named.to_string()));
            it.name("acks").string(&acks(route));
            it.name("refuse").number(route.refuses);
        });
    });
}

fn acks(route: &Route) -> String {
    match route.acks {
        Acks::None => "0".to_owned(),
        Acks::Count(count) => count.to_string(),
        Acks::InSync => "in-sync".to_owned(),
        Acks::All => "all".to_owned(),
        Acks::Fsync => "fsync".to_owned(),
    }
}

/// CLIENT LIST: how many there are, and the first of them.
pub fn clients(server: &Arc<Server>, _: &Query) -> Content {
    let all = server.clients.all();
    json(|it| {
        it.object(|it| {
            it.name("connected").number(all.len());
            it.name("clients").array(all.iter().take(HTTP_LISTED_MAX), |it, client| {
                client_object(server, client, client.commands.load(Relaxed), it);
            });
        });
    })
}

/// The alerts that are raised.
pub fn alerts(server: &Arc<Server>, _: &Query) -> Content {
    json(|it| operators::alerts(server, it))
}

/// PROXY EVENTS: `count=100`.
pub fn events(server: &Arc<Server>, query: &Query) -> Content {
    let count = query.get("count").and_then(|it| it.parse().ok()).unwrap_or(EVENTS_KEPT_MAX);
    json(|it| operators::events(server, count, it))
}

/// PROXY STATS JSON.
pub fn stats(server: &Arc<Server>, _: &Query) -> Content {
    Content::ok(Kind::Json, stats_json(server, table()))
}

/// SLOWLOG GET.
pub fn slowlog(server: &Arc<Server>, _: &Query) -> Content {
    let entries = server.slowlog.lock().newest_within(HTTP_LISTED_MAX, HTTP_SLOW_BYTES_MAX);
    json(|it| it.array(&entries, write_slow))
}

fn write_slow(json: &mut Json, slow: &Slow) {
    json.object(|it| {
        it.name("id").number(slow.id);
        it.name("at-ms").number(slow.at.0);
        it.name("us").number(slow.took_us);
        it.name("words").array(&slow.words, |it, word| it.string(&String::from_utf8_lossy(word)));
        it.name("client").string(&slow.address);
        it.name("client-name").string(&slow.name);
    });
}

/// The settings in force, by their names in CONFIG GET, without secrets and without what is real
/// servers' own.
pub fn config(server: &Arc<Server>, _: &Query) -> Content {
    let settings = server.settings();
    json(|it| {
        it.object(|it| {
            for (name, value) in settings.told_without_secrets(server.upstream.is_some()) {
                it.name(&name).string(&value);
            }
        });
    })
}

/// What the page shows, in one answer: alerts, events and clients, the nodes, the routes, the
/// statistics, and the process.
pub fn status(server: &Arc<Server>, _: &Query) -> Content {
    json(|json| {
        json.object(|it| {
            let clients = server.clients.all();
            write_process(server, &clients, it.name("process"));
            operators::alerts(server, it.name("alerts"));
            operators::events_shown(server, it.name("events"));
            operators::clients_shown(server, &clients, it.name("clients"));
            write_nodes(server, it.name("nodes"));
            write_routes(server, it.name("routes"));
            observed(server, table(), |snapshot, names| write_observed(snapshot, names, it));
            it.name("slow").array(server.slowlog.lock().newest(SLOW_SHOWN).iter(), write_slow);
        });
    })
}

/// Slow commands on the page.
const SLOW_SHOWN: usize = 10;

fn write_observed(snapshot: &Snapshot, names: &Names<'_>, json: &mut Json) {
    json.name("stats").number(render_json::stats_json(snapshot, names));
    let class = |id| class_name(table(), id);
    render_json::latency(json.name("latency"), snapshot, names, class);
    render_json::calls(json.name("calls"), snapshot, names, class);
}

fn write_process(server: &Server, clients: &[Arc<Client>], json: &mut Json) {
    let (memory, settings) = (server.memory(), server.settings());
    let (gains, counters) = (server.rates.lock().gains(), &server.counters);
    let cpu = process::cpu();
    let unserved = unserved(server);
    json.object(|it| {
        it.name("version").string(ENTOURAGE_VERSION);
        it.name("run-id").string(&server.process_info.run_id);
        it.name("port").number(server.process_info.port);
        let remote = server.set.remote().map(|it| it.address.to_string());
        it.name("follows").string_or_null(remote.as_deref());
        it.name("now-ms").number(clock::wall_now().0);
        it.name("up-s").number(server.process_info.at.until(clock::wall_now()) / 1000);
        it.name("unserved").string_or_null(unserved.as_deref());
        it.name("admin").number(settings.http.admin);
        it.name("clients").number(clients.len());
        it.name("clients-blocked").number(clients.iter().filter(|it| it.is_waiting()).count());
        it.name("maxclients").number(settings.server.maxclients);
        it.name("memory-bytes").number(memory.used);
        it.name("memory-peak-bytes").number(memory.peak);
        it.name("memory-resident-bytes").number(memory.resident);
        it.name("machine-bytes").number(process::machine_bytes());
        it.name("cpu-s").number(cpu.user + cpu.system);
        it.name("commands").number(counters.commands.get());
        it.name("commands-per-s").number(gains.commands as u64);
        it.name("errors").number(counters.errors.load(Relaxed));
        it.name("slow-commands").number(server.slowlog.lock().len());
    });
}
