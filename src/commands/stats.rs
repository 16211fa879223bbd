//! PROXY STATS: service times by route, member and command, staleness served, waits, and who waits
//! for threads for long work.

use super::context::Table;
use crate::metrics::render::{self, Names};
use crate::metrics::render_json;
use crate::route::StepKind;
use crate::state::Server;

/// For people.
pub fn stats(server: &Server, table: &Table) -> String {
    with_names(server, table, |names| render::stats(&server.snapshot(), names))
}

/// For programs: one JSON object.
pub fn stats_json(server: &Server, table: &Table) -> String {
    with_names(server, table, |names| render_json::stats_json(&server.snapshot(), names))
}

fn with_names(server: &Server, table: &Table, tell: impl FnOnce(&Names<'_>) -> String) -> String {
    let (settings, member_list) = (server.settings(), server.set.member_list());
    tell(&Names {
        commands: &table.names(),
        routes: &settings.routes.all().iter().map(|it| it.name.as_str()).collect::<Vec<_>>(),
        members: &member_list.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(),
        ladder: &StepKind::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>(),
    })
}
