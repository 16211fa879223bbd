//! Commands as rules name them.

use super::Categories;
use crate::base::ids::CommandId;
use std::collections::HashMap;

/// Which of a command's arguments are channels.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Channels {
    /// None, or those that it takes its client off.
    #[default]
    None,
    /// The first.
    First,
    /// All.
    All,
    /// All, and they are patterns.
    AllPatterns,
}

impl Channels {
    /// Those of the command of this lower-case name.
    pub fn of(name: &str) -> Channels {
        match name {
            "publish" | "spublish" => Channels::First,
            "subscribe" | "ssubscribe" => Channels::All,
            "psubscribe" => Channels::AllPatterns,
            _ => Channels::None,
        }
    }
}

/// A command or subcommand.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Lower-case; `container|subcommand` for a subcommand.
    pub name: String,
    /// What it is in.
    pub categories: Categories,
    /// Its subcommands.
    pub subcommands: Vec<CommandId>,
}

/// All commands and subcommands, by number and by name.
#[derive(Debug, Default)]
pub struct Catalogue {
    commands: Vec<Listed>,
    names: HashMap<String, CommandId>,
    /// Of each category, by its bit: a bit for each command.
    members: Vec<Vec<u64>>,
}

impl Catalogue {
    /// All of these, numbered in this order.
    pub fn of(commands: impl Iterator<Item = Listed>) -> Catalogue {
        let commands: Vec<Listed> = commands.collect();
        let numbered = commands.iter().enumerate();
        let names = numbered.map(|(at, it)| (it.name.clone(), CommandId(at as u16))).collect();
        let categories = Categories::all().iter();
        let members = categories.map(|it| members_of(&commands, it)).collect();
        Catalogue { commands, names, members }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// The command of this name, in any case, and its number.
    pub fn named(&self, name: &[u8]) -> Option<(CommandId, &Listed)> {
        let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
        self.names.get(&name).map(|it| (*it, &self.commands[it.index()]))
    }

    /// The members of one category and their subcommands: a bit for each command, by its number.
    pub fn members(&self, category: Categories) -> &[u64] {
        let members = self.members.get(category.bits().trailing_zeros() as usize);
        members.map_or(&[], |it| it.as_slice())
    }
}

fn members_of(commands: &[Listed], category: Categories) -> Vec<u64> {
    let mut members = vec![0; commands.len().div_ceil(64)];
    for (at, listed) in commands.iter().enumerate() {
        if listed.categories.contains(category) {
            let below = listed.subcommands.iter().map(|it| it.index());
            below.chain([at]).for_each(|it| members[it / 64] |= 1 << (it % 64));
        }
    }
    members
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A few commands: GET, SET, DEL, SELECT, CONFIG with GET and SET, PUBLISH, SUBSCRIBE.
    pub fn few() -> Catalogue {
        let listed = |name: &str, categories, subcommands: &[u16]| Listed {
            name: name.to_owned(),
            categories,
            subcommands: subcommands.iter().copied().map(CommandId).collect(),
        };
        let read = Categories::READ.union(Categories::STRING).union(Categories::FAST);
        let write = Categories::WRITE.union(Categories::STRING).union(Categories::SLOW);
        let admin = Categories::ADMIN.union(Categories::DANGEROUS).union(Categories::SLOW);
        let all = [
            listed("get", read, &[]),
            listed("set", write, &[]),
            listed("del", Categories::WRITE.union(Categories::KEYSPACE), &[]),
            listed("select", Categories::CONNECTION.union(Categories::FAST), &[]),
            listed("config", Categories::SLOW, &[5, 6]),
            listed("config|get", admin, &[]),
            listed("config|set", admin, &[]),
            listed("publish", Categories::PUBSUB.union(Categories::FAST), &[]),
            listed("psubscribe", Categories::PUBSUB.union(Categories::SLOW), &[]),
        ];
        Catalogue::of(all.into_iter())
    }

    #[test]
    fn a_command_is_found_by_its_whole_name() {
        let few = few();
        assert_eq!(few.named(b"CONFIG|Get").map(|it| it.0), Some(CommandId(5)));
        assert!(few.named(b"config|").is_none() && few.named(b"ge").is_none());
        assert_eq!((few.len(), few.is_empty()), (9, false));
    }
}
