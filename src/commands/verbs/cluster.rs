//! CLUSTER and its kin, answered as a Redis without cluster support answers them: cluster clients
//! ask first, and go on as clients of a single server.

use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Arity, Fault, Flags, Group};
use crate::commands::{CommandContext, Outcome, SessionRow, session_container, session_row};

const STALE: Flags = Flags::STALE;
const OPERATOR: Flags = STALE.union(Flags::ADMIN);
const CHANGE: Flags = OPERATOR.union(Flags::NO_ASYNC_LOADING);
const RESET: Flags = OPERATOR.union(Flags::NOSCRIPT);
const HELP: Flags = STALE.union(Flags::LOADING);
const MODE: Flags = HELP.union(Flags::FAST);
const VARIES: &[&str] = &["nondeterministic_output"];

/// The family's rows.
pub const ROWS: &[SessionRow] = &[
    session_container("CLUSTER", CLUSTER).says(
        Group::Cluster,
        "3.0.0",
        "Depends on subcommand.",
        "Refuses: there is no cluster here.",
        "",
    ),
    disabled("READONLY", Exactly(1), MODE, "3.0.0", "Lets a cluster's replicas be read.", ""),
    disabled("READWRITE", Exactly(1), MODE, "3.0.0", "Ends READONLY.", ""),
    disabled("ASKING", Exactly(1), Flags::FAST, "3.0.0", "Asks for a slot that moves.", ""),
];

const CLUSTER: &[SessionRow] = &[
    disabled("INFO", Exactly(2), STALE, "3.0.0", "Tells how the cluster is.", "").tips(VARIES),
    disabled("SLOTS", Exactly(2), STALE, "3.0.0", "Tells which node has which slots.", "")
        .tips(VARIES),
    disabled("SHARDS", Exactly(2), STALE, "7.0.0", "Tells which shard has which slots.", "")
        .tips(VARIES),
    disabled("NODES", Exactly(2), STALE, "3.0.0", "Lists the nodes.", "").tips(VARIES),
    disabled("LINKS", Exactly(2), STALE, "7.0.0", "Lists the links between nodes.", "")
        .tips(VARIES),
    disabled("MYID", Exactly(2), STALE, "3.0.0", "Tells the node's id.", ""),
    disabled("MYSHARDID", Exactly(2), STALE, "7.2.0", "Tells the id of the node's shard.", "")
        .tips(VARIES),
    disabled("KEYSLOT", Exactly(3), STALE, "3.0.0", "Tells the slot of a key.", "key:string"),
    disabled("COUNTKEYSINSLOT", Exactly(3), STALE, "3.0.0", "Counts the keys of a slot.", "slot"),
    disabled("GETKEYSINSLOT", Exactly(4), STALE, "3.0.0", "Lists keys of a slot.", "slot count")
        .tips(VARIES),
    disabled("REPLICAS", Exactly(3), OPERATOR, "5.0.0", "Lists the replicas of a node.", "node-id")
        .tips(VARIES),
    disabled("SLAVES", Exactly(3), OPERATOR, "3.0.0", "Lists the replicas of a node.", "node-id")
        .tips(VARIES),
    disabled(
        "COUNT-FAILURE-REPORTS",
        Exactly(3),
        OPERATOR,
        "3.0.0",
        "Counts those who call a node failed.",
        "node-id",
    )
    .tips(VARIES),
    disabled(
        "ADDSLOTS",
        AtLeast(3),
        CHANGE,
        "3.0.0",
        "Gives slots to the node.",
        "slot [slot ...]",
    ),
    disabled(
        "ADDSLOTSRANGE",
        AtLeast(4),
        CHANGE,
        "7.0.0",
        "Gives ranges of slots to the node.",
        "start-slot end-slot [start-slot end-slot ...]",
    ),
    disabled(
        "DELSLOTS",
        AtLeast(3),
        CHANGE,
        "3.0.0",
        "Takes slots from the node.",
        "slot [slot ...]",
    ),
    disabled(
        "DELSLOTSRANGE",
        AtLeast(4),
        CHANGE,
        "7.0.0",
        "Takes ranges of slots from the node.",
        "start-slot end-slot [start-slot end-slot ...]",
    ),
    disabled("FLUSHSLOTS", Exactly(2), CHANGE, "3.0.0", "Takes all slots from the node.", ""),
    disabled(
        "SETSLOT",
        AtLeast(4),
        CHANGE,
        "3.0.0",
        "Says who has a slot.",
        "slot <IMPORTING node-id | MIGRATING node-id | NODE node-id | STABLE>",
    ),
    disabled("MEET", AtLeast(4), CHANGE, "3.0.0", "Adds a node.", "ip port [cluster-bus-port]"),
    disabled("FORGET", Exactly(3), CHANGE, "3.0.0", "Removes a node.", "node-id"),
    disabled("REPLICATE", Exactly(3), CHANGE, "3.0.0", "Makes the node a replica.", "node-id"),
    disabled(
        "FAILOVER",
        AtLeast(2),
        CHANGE,
        "3.0.0",
        "Makes a replica the master.",
        "[FORCE | TAKEOVER]",
    ),
    disabled("RESET", AtLeast(2), RESET, "3.0.0", "Makes the node as new.", "[HARD | SOFT]"),
    disabled("BUMPEPOCH", Exactly(2), CHANGE, "3.0.0", "Raises the epoch.", "").tips(VARIES),
    disabled("SET-CONFIG-EPOCH", Exactly(3), CHANGE, "3.0.0", "Sets the epoch.", "config-epoch"),
    disabled("SAVECONFIG", Exactly(2), CHANGE, "3.0.0", "Writes the node's file.", ""),
    disabled("HELP", Exactly(2), HELP, "5.0.0", "Lists the subcommands.", ""),
];

/// A row of a command that needs a cluster.
const fn disabled(
    name: &'static str,
    arity: Arity,
    flags: Flags,
    since: &'static str,
    summary: &'static str,
    syntax: &'static str,
) -> SessionRow {
    session_row(name, arity, flags, refuse).says(Group::Cluster, since, "O(1)", summary, syntax)
}

fn refuse(_: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    Err(Fault::Static("ERR This instance has cluster support disabled"))
}
