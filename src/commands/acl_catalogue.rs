//! The table as rules of users see it.

use super::context::{Command, Table, categories};
use crate::acl::{Catalogue, Listed};
use std::sync::OnceLock;

/// All commands and subcommands of the one table.
pub fn catalogue(table: &Table) -> &'static Catalogue {
    static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
    CATALOGUE.get_or_init(|| {
        let listed = |it: &Command| Listed {
            name: it.name.clone(),
            categories: categories(it),
            subcommands: it.subcommands.clone(),
        };
        Catalogue::of(table.all().iter().map(listed))
    })
}
