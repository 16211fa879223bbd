//! PROXY STATS: service times by route, member and command, staleness served, waits, and who waits
//! for threads for long work.

use super::context::Table;
use crate::metrics::render::{self, Names};
use crate::metrics::render_json;
use crate::metrics::snapshot::Snapshot;
use crate::route::StepKind;
use crate::state::Server;

/// For people.
pub fn stats(server: &Server, table: &Table) -> String {
    observed(server, table, render::stats)
}

/// For programs: one JSON object.
pub fn stats_json(server: &Server, table: &Table) -> String {
    observed(server, table, render_json::stats_json)
}

/// All that was recorded, with the names of what it is about.
pub fn observed<T>(
    server: &Server,
    table: &Table,
    tell: impl FnOnce(&Snapshot, &Names<'_>) -> T,
) -> T {
    let snapshot = server.snapshot();
    let (settings, member_list) = (server.settings(), server.set.member_list());
    let names = Names {
        commands: &table.names(),
        routes: &settings.routes.all().iter().map(|it| it.name.as_str()).collect::<Vec<_>>(),
        members: &member_list.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(),
        ladder: &StepKind::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>(),
    };
    tell(&snapshot, &names)
}
