//! The lines of INFO about alerts.

use super::lines::{Lines, read};
use crate::state::Server;

/// How many are raised, and a line for each.
pub fn alerts(server: &Server, lines: &mut Lines) {
    let raised = server.alerts.raised();
    lines.line("alerts_raised", raised.len());
    lines.line("alerts_delivered", read(&server.counters.alerts_delivered));
    lines.line("alerts_undelivered", read(&server.counters.alerts_undelivered));
    for (at, it) in raised.iter().enumerate() {
        lines.push(format_args!(
            "alert{at}:name={},member={},route={},value={},worst={},threshold={},unit={},\
             since_ms={}",
            it.kind.as_str(),
            it.subject.member(),
            it.subject.route(),
            it.value,
            it.worst,
            it.threshold,
            it.kind.unit(),
            it.since.0,
        ));
    }
}
