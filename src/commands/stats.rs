//! PROXY STATS: service times by route, member and command, staleness served, waits, and who waits
//! for threads for long work.

use super::context::Table;
use crate::metrics::render::{self, Names};
use crate::route::StepKind;
use crate::state::Server;

/// The text.
pub fn stats(server: &Server, table: &Table) -> String {
    let (settings, member_list) = (server.settings(), server.set.member_list());
    let names = Names {
        commands: &table.names(),
        routes: &settings.routes.all().iter().map(|it| it.name.as_str()).collect::<Vec<_>>(),
        members: &member_list.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(),
        ladder: &StepKind::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>(),
    };
    let (waiting, refused) = (server.long_queue.waiting(), server.long_queue.refused());
    let stats = render::stats(&server.snapshot(), &names);
    format!("{stats}\r\n# Long work\r\nlong_waiting:{waiting}\r\nlong_refused:{refused}\r\n")
}
