//! MODULE, as a Redis that has no modules answers it and may load none.

use super::help::help;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Fault, Flags, Group};
use crate::commands::{CommandContext, Outcome, SessionRow, session_container, session_row};

const LISTS: Flags = Flags::ADMIN.union(Flags::NOSCRIPT);
const LOADS: Flags = LISTS.union(Flags::NO_ASYNC_LOADING);

/// The family's rows.
pub const ROWS: &[SessionRow] = &[session_container("MODULE", MODULE).says(
    Group::Server,
    "4.0.0",
    "Depends on subcommand.",
    "Answers that there are no modules.",
    "",
)];

const MODULE: &[SessionRow] = &[
    session_row("LIST", Exactly(2), LISTS, list)
        .says(Group::Server, "4.0.0", "O(1)", "Lists the modules: none.", "")
        .tips(&["nondeterministic_output_order"]),
    session_row("LOAD", AtLeast(3), LOADS, refuse).says(
        Group::Server,
        "4.0.0",
        "O(1)",
        "Refuses to load a module.",
        "path [arg ...]",
    ),
    session_row("LOADEX", AtLeast(3), LOADS, refuse).says(
        Group::Server,
        "7.0.0",
        "O(1)",
        "Refuses to load a module with parameters.",
        "path [CONFIG name value [CONFIG name value ...]] [ARGS args [args ...]]",
    ),
    session_row("UNLOAD", Exactly(3), LOADS, refuse).says(
        Group::Server,
        "4.0.0",
        "O(1)",
        "Refuses to unload a module.",
        "name",
    ),
    help(Group::Server, "5.0.0"),
];

fn list(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    context.reply.array(0);
    Ok(Outcome::Answered)
}

/// Redis' text while `enable-module-command` is `no`, as it always is here.
fn refuse(_: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    Err(Fault::Static(
        "ERR MODULE command not allowed. If the enable-module-command option is set to \"local\", \
         you can run it from a local connection, otherwise you need to set this option in the \
         configuration file, and then restart the server.",
    ))
}
