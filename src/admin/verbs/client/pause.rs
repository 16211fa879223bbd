//! CLIENT PAUSE and CLIENT UNPAUSE.

use crate::admin::{After, Turn};
use crate::base::number;
use crate::command::Fault;
use crate::node::Hold;
use crate::runtime::clock;
use std::time::Duration;

/// Holds clients back for a time. Its own words are checked in Redis' order.
pub fn pause(turn: &mut Turn<'_>) -> Result<After, Fault> {
    const NOT_INTEGER: Fault = Fault::Says("ERR timeout is not an integer or out of range");
    const NEGATIVE: Fault = Fault::Says("ERR timeout is negative");
    const MODES: Fault = Fault::Says("ERR CLIENT PAUSE mode must be WRITE or ALL");
    let timeout = turn.args.next()?;
    let hold = match turn.args.left() {
        0 => Hold::All,
        1 if turn.args.word("WRITE") => Hold::Writers,
        1 if turn.args.word("ALL") => Hold::All,
        1 => return Err(MODES),
        _ => return Err(too_many(turn)),
    };
    let ms = number::parse_i64(timeout).ok_or(NOT_INTEGER)?;
    let ms = u64::try_from(ms).map_err(|_| NEGATIVE)?;
    let now = clock::mono_now();
    // Beyond the end of Redis' clock lies its beginning: such a pause is over at once.
    if turn.args.now().0.saturating_add(ms) <= i64::MAX as u64 {
        turn.house.set.hold(hold, now.plus(Duration::from_millis(ms)), now);
    }
    log::info!("event=client-pause client={} hold={hold:?} ms={ms}", turn.client.id);
    turn.reply.ok();
    Ok(After::Answered)
}

fn too_many(turn: &Turn<'_>) -> Fault {
    let word = turn.args.request().get(1).unwrap_or_default();
    let word = String::from_utf8_lossy(&word[..word.len().min(128)]);
    Fault::Told(format!(
        "ERR unknown subcommand or wrong number of arguments for '{word}'. Try CLIENT HELP."
    ))
}

/// Ends the pause.
pub fn unpause(turn: &mut Turn<'_>) -> Result<After, Fault> {
    turn.house.set.let_go();
    log::info!("event=client-unpause client={}", turn.client.id);
    turn.reply.ok();
    Ok(After::Answered)
}
