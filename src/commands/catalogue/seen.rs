//! What metrics are told from.

use crate::base::ids::CommandId;
use crate::commands::class_name;
use crate::commands::context::Table;
use crate::commands::verbs::members::NodeFields;
use crate::config::Config;
use crate::metrics::render::Names;
use crate::metrics::snapshot::Snapshot;
use crate::node::MemberCounts;
use crate::state::{DiskStatus, Memory, Server};
use std::sync::Arc;

/// What all metrics are told from, looked at once.
pub struct Seen<'s> {
    pub server: &'s Server,
    pub settings: Arc<Config>,
    pub snapshot: &'s Snapshot,
    pub names: &'s Names<'s>,
    pub table: &'s Table,
    pub nodes: Vec<(String, NodeFields)>,
    /// What the master's data comes to; of real servers nobody here knows.
    pub counts: Option<MemberCounts>,
    pub memory: Memory,
    pub disk: DiskStatus,
}

impl Seen<'_> {
    /// The class of a command, as a label.
    pub fn class(&self, command: CommandId) -> &'static str {
        class_name(self.table, command)
    }
}
