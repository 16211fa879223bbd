//! The table as route rules see it, for the check of a config file.

use super::all::table;
use super::context::Handler;
use crate::command::{Class, Keys};
use crate::config::KnownCommand;

/// All commands and subcommands.
pub fn known() -> Vec<KnownCommand> {
    let known = |it: &super::context::Command| KnownCommand {
        name: it.upper_name.clone(),
        group: it.spec.group,
        has_keys: it.spec.keys != Keys::NONE,
        classes: match it.handler {
            Handler::Either { .. } => vec![Class::Read, Class::Write],
            _ => vec![it.spec.class],
        },
    };
    table().all().iter().map(known).collect()
}
