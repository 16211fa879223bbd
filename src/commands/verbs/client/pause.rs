//! CLIENT PAUSE and CLIENT UNPAUSE.

use crate::base::number;
use crate::command::Fault;
use crate::commands::{CommandContext, Outcome};
use crate::node::PauseMode;
use std::time::Duration;

/// Holds clients back for a time. Its own words are checked in Redis' order.
pub fn pause(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    const NOT_INTEGER: Fault = Fault::Static("ERR timeout is not an integer or out of range");
    const NEGATIVE: Fault = Fault::Static("ERR timeout is negative");
    const MODES: Fault = Fault::Static("ERR CLIENT PAUSE mode must be WRITE or ALL");
    let timeout = context.args.next()?;
    let pause_mode = match context.args.left() {
        0 => PauseMode::All,
        1 if context.args.word("WRITE") => PauseMode::Writers,
        1 if context.args.word("ALL") => PauseMode::All,
        1 => return Err(MODES),
        _ => return Err(context.args.misused("CLIENT")),
    };
    let ms = number::parse_i64(timeout).ok_or(NOT_INTEGER)?;
    let ms = u64::try_from(ms).map_err(|_| NEGATIVE)?;
    let now = context.clock.mono_now();
    // Beyond the end of Redis' clock lies its beginning: such a pause is over at once.
    if context.args.now().0.saturating_add(ms) <= i64::MAX as u64 {
        context.server.set.pause_clients(pause_mode, now.plus(Duration::from_millis(ms)), now);
    }
    log::info!("event=client-pause client={} pause_mode={pause_mode:?} ms={ms}", context.client.id);
    context.reply.ok();
    Ok(Outcome::Answered)
}

/// Ends the pause.
pub fn unpause(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    context.server.set.unpause_clients();
    log::info!("event=client-unpause client={}", context.client.id);
    context.reply.ok();
    Ok(Outcome::Answered)
}
