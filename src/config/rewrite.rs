//! CONFIG REWRITE: what was changed at run time, written into the text of the config file.
//!
//! Three configurations are compared: the file as it was read last, the file as it is now, and what
//! is in force. Only what somebody has changed at run time is written; what somebody has changed in
//! the file meanwhile stays. Where both have changed the same, nobody is right, and nothing is
//! written.

use super::Config;
use super::param::{Param, Section};
use super::slot::Slot;
use super::table::PARAMS;
use super::tree::{OutputLimit, OutputLimits};
use crate::base::size::{format_duration, format_size};
use crate::route::MemberConfig;
use toml_edit::{
    Array, ArrayOfTables, DocumentMut, InlineTable, Item, RawString, Table, TableLike, Value,
};

/// What a rewrite goes by.
pub struct Rewrite<'a> {
    /// What the file said when it was read last, with the flags over it.
    pub read: &'a Config,
    /// What the file says now, likewise.
    pub file: &'a Config,
    /// What is in force.
    pub running: &'a Config,
    /// The members that there are.
    pub members: &'a [MemberConfig],
}

/// A text that is written anew, and which of its keys are.
#[derive(Debug)]
pub struct Rewritten {
    /// The file.
    pub text: String,
    /// Keys that were changed in it; `set.replicas` stands for members too.
    pub keys: Vec<String>,
}

/// The key that stands for all that PROXY NODE ADD and REMOVE change.
pub const REPLICAS: &str = "set.replicas";

impl Rewrite<'_> {
    /// The file of this text with all that has been changed at run time. Refused when a key was
    /// changed at run time and in the file.
    pub fn text(&self, text: &str) -> Result<Rewritten, String> {
        let mut document: DocumentMut = text.parse().map_err(|why| format!("{why}"))?;
        let mut keys = Vec::new();
        for param in PARAMS.iter().filter(|it| is_written(it)) {
            if self.has_changed(param)? {
                self.put(&mut document, param)?;
                keys.push(param.key());
            }
        }
        if self.have_members_changed()? {
            self.put_members(&mut document)?;
            keys.push(REPLICAS.to_owned());
        }
        if keys.is_empty() {
            return Ok(Rewritten { text: text.to_owned(), keys });
        }
        Ok(Rewritten { text: written(&document, text), keys })
    }

    /// Whether a parameter was changed at run time to what the file does not say.
    fn has_changed(&self, param: &Param) -> Result<bool, String> {
        let is_same = |one, other| param.slot.is_same(one, other);
        self.is_to_be_written(
            &param.key(),
            "CONFIG SET",
            [
                is_same(self.read, self.running),
                is_same(self.file, self.running),
                is_same(self.file, self.read),
            ],
        )
    }

    fn have_members_changed(&self) -> Result<bool, String> {
        let (read, file) = (self.read.all_members(), self.file.all_members());
        self.is_to_be_written(
            "set.replicas or [[member]]",
            "PROXY NODE",
            [read == self.members, file == self.members, file == read],
        )
    }

    /// Whether to write it, by whether what is in force is what was read, what is in force is what
    /// the file says, and the file says what was read.
    fn is_to_be_written(&self, key: &str, by: &str, same: [bool; 3]) -> Result<bool, String> {
        match same {
            [true, ..] | [_, true, _] => Ok(false),
            [_, _, true] => Ok(true),
            _ => Err(format!(
                "{key} was changed by {by} and in the file since it was read: PROXY RELOAD takes \
                 what the file says now"
            )),
        }
    }

    fn put(&self, document: &mut DocumentMut, param: &Param) -> Result<(), String> {
        let (table, name) = (section(document, param.section.name())?, param.in_section());
        if let Slot::Master = param.slot {
            put_master(table, name, self.running);
            return Ok(());
        }
        if let Slot::Limits(at) = &param.slot {
            put_limits(table, name, (at.of)(self.file), (at.of)(self.running));
        } else if let Some(value) = value(&param.slot, self.running) {
            put(table, name, value);
        }
        Ok(())
    }

    /// Tables for the members that need one, and how many replicas there are where these do not
    /// say it.
    fn put_members(&self, document: &mut DocumentMut) -> Result<(), String> {
        let mut before = tables_of_members(document)?;
        let is_kept = |it: &MemberConfig| {
            self.members.iter().any(|member| member.name.eq_ignore_ascii_case(&it.name))
        };
        let kept: Vec<bool> = self.file.members.iter().map(is_kept).collect();
        keep_comments(document, &mut before, &kept);
        let before_of =
            |name: &str| self.file.members.iter().position(|it| it.name.eq_ignore_ascii_case(name));
        let needs_table = |(at, it): &(usize, &MemberConfig)| {
            **it != MemberConfig::unnamed(*at) || before_of(&it.name).is_some()
        };
        let described = self.members.iter().enumerate().rfind(needs_table);
        let count = described.map_or(0, |(at, _)| at + 1);
        let mut tables = ArrayOfTables::new();
        for (at, member) in self.members[..count].iter().enumerate() {
            let (mut table, was) = match before_of(&member.name) {
                Some(place) => (
                    before.get_mut(place).map(std::mem::take).unwrap_or_default(),
                    self.file.members[place].clone(),
                ),
                None => (Table::new(), MemberConfig::unnamed(at)),
            };
            describe(&mut table, at, &was, member);
            tables.push(table);
        }
        if count == 0 {
            document.remove(MEMBER);
        } else if document.contains_key(MEMBER) {
            document[MEMBER] = Item::ArrayOfTables(tables);
        } else {
            take_trailing(document, tables.get_mut(0));
            document.insert(MEMBER, Item::ArrayOfTables(tables));
        }
        let replicas = self.members.len() - 1;
        let is_said = document.get("set").and_then(|it| it.get("replicas")).is_some();
        let implied = if count == 0 { Config::default().set.replicas } else { count - 1 };
        if is_said || implied != replicas {
            put(section(document, "set")?, "replicas", (replicas as i64).into());
        }
        Ok(())
    }
}

/// A document as text whose lines end as those of the text end that it was made of.
pub fn written(document: &DocumentMut, text: &str) -> String {
    let ends = if text.contains("\r\n") { "\r\n" } else { "\n" };
    document.to_string().replace("\r\n", "\n").replace('\n', ends)
}

const MEMBER: &str = "member";

/// Whether the file has a place for it that CONFIG SET may change.
fn is_written(param: &Param) -> bool {
    param.section != Section::Nowhere && param.key() != REPLICAS
}

/// The tables of members.
fn tables_of_members(document: &DocumentMut) -> Result<Vec<Table>, String> {
    match document.get(MEMBER) {
        None => Ok(Vec::new()),
        Some(Item::ArrayOfTables(tables)) => Ok(tables.iter().cloned().collect()),
        Some(_) => Err("members can only be written where each has a table, [[member]]".to_owned()),
    }
}

/// What stands above a table that goes is put above the next that stays, or behind everything.
pub fn keep_comments(document: &mut DocumentMut, tables: &mut [Table], kept: &[bool]) {
    let mut carried = String::new();
    for (table, is_kept) in tables.iter_mut().zip(kept) {
        let prefix = table.decor().prefix().and_then(RawString::as_str).unwrap_or_default();
        if !is_kept {
            carried += prefix;
        } else if carried.contains('#') {
            let prefix = std::mem::take(&mut carried) + prefix;
            table.decor_mut().set_prefix(prefix);
        }
    }
    if carried.contains('#') {
        let trailing = document.trailing().as_str().unwrap_or_default();
        let trailing = format!("{carried}{trailing}");
        document.set_trailing(trailing);
    }
}

/// Says of a member what its table does not say.
fn describe(table: &mut Table, at: usize, was: &MemberConfig, is: &MemberConfig) {
    if !table.contains_key("name") && is.name != MemberConfig::default_name(at) {
        put(table, "name", is.name.as_str().into());
    }
    if was.tags != is.tags {
        put(table, "tags", is.tags.iter().map(String::as_str).collect::<Array>().into());
    }
    match &is.zone {
        zone if *zone == was.zone => {}
        Some(zone) => put(table, "zone", zone.as_str().into()),
        None => drop(table.remove("zone")),
    }
    if was.dedicated != is.dedicated {
        put(table, "dedicated", is.dedicated.into());
    }
}

/// The section of this name, added behind all others where there is none.
fn section<'d>(document: &'d mut DocumentMut, name: &str) -> Result<&'d mut dyn TableLike, String> {
    if !document.contains_key(name) {
        let mut table = Table::new();
        take_trailing(document, Some(&mut table));
        document.insert(name, Item::Table(table));
    }
    document[name].as_table_like_mut().ok_or_else(|| format!("`{name}` is not a table"))
}

/// What stands behind the last table stays in front of one that is added.
pub fn take_trailing(document: &mut DocumentMut, table: Option<&mut Table>) {
    let trailing = document.trailing().as_str().unwrap_or_default().to_owned();
    let Some(table) = table.filter(|_| !trailing.trim().is_empty()) else { return };
    document.set_trailing(RawString::default());
    table.decor_mut().set_prefix(format!("{}\n\n", trailing.trim_end()));
}

/// Writes a value, in the place and with the comments of the one that was there.
pub fn put(table: &mut dyn TableLike, key: &str, mut value: Value) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(before) => {
            *value.decor_mut() = before.decor().clone();
            *before = value;
        }
        None => drop(table.insert(key, Item::Value(value))),
    }
}

/// Writes the master, or takes the key away. Who logs in there has keys of its own from then on.
fn put_master(table: &mut dyn TableLike, key: &str, running: &Config) {
    let before = table.get(key).and_then(Item::as_str).unwrap_or_default();
    if before.contains('@') {
        let follow = &running.set.follow;
        for (key, said) in [("masteruser", &follow.user), ("masterauth", &follow.password)] {
            if !said.is_empty() {
                put(table, key, said.as_str().into());
            }
        }
    }
    match &running.set.master {
        Some(master) => put(table, key, master.to_string().into()),
        None => drop(table.remove(key)),
    }
}

/// Writes the kinds that differ, under the names that they have in the file.
fn put_limits(table: &mut dyn TableLike, key: &str, file: &OutputLimits, running: &OutputLimits) {
    let is_table = table.get(key).is_some_and(Item::is_table_like);
    // Words in one text name the kinds as they like; a table takes their place.
    let is_text = table.contains_key(key) && !is_table;
    if !is_table {
        put(table, key, InlineTable::new().into());
    }
    let Some(limits) = table.get_mut(key).and_then(Item::as_table_like_mut) else { return };
    let old_name = limits.contains_key("slave");
    for (kind, was, is) in [
        ("normal", file.normal, running.normal),
        (if old_name { "slave" } else { "replica" }, file.replica, running.replica),
        ("pubsub", file.pubsub, running.pubsub),
    ] {
        if is_text || was != is {
            put(limits, kind, limit(is).into());
        }
    }
}

/// All limits, as the file has them.
pub fn limits(limits: &OutputLimits) -> InlineTable {
    let kinds = [("normal", limits.normal), ("replica", limits.replica), ("pubsub", limits.pubsub)];
    kinds.into_iter().map(|(kind, it)| (kind, Value::from(limit(it)))).collect()
}

/// `32mb 8mb 60`.
fn limit(limit: OutputLimit) -> String {
    let (hard, soft) = (format_size(limit.hard_bytes), format_size(limit.soft_bytes));
    format!("{hard} {soft} {}", limit.soft_for.as_secs())
}

/// A parameter's value as the file has it, where that is one value.
pub fn value(slot: &Slot, config: &Config) -> Option<Value> {
    Some(match slot {
        Slot::Count { at, .. } => (*(at.of)(config) as i64).into(),
        Slot::Signed { at, .. } => (*(at.of)(config)).into(),
        Slot::Size { at, .. } => {
            let bytes = *(at.of)(config);
            match format_size(bytes as u64) {
                plain if plain == bytes.to_string() => (bytes as i64).into(),
                short => short.into(),
            }
        }
        Slot::Time { at, .. } if (at.of)(config).is_zero() => 0.into(),
        Slot::Time { at, .. } => format_duration(*(at.of)(config)).into(),
        Slot::Switch(at) => (*(at.of)(config)).into(),
        Slot::Text(at) | Slot::FileName(at) | Slot::Secret(at) => (at.of)(config).as_str().into(),
        Slot::Events(at) => (at.of)(config).written().into(),
        Slot::Loglevel(_)
        | Slot::LogFormat(_)
        | Slot::Access(_)
        | Slot::CountHosted(_)
        | Slot::Writes(_)
        | Slot::Fsync(_)
        | Slot::Policy(_)
        | Slot::Share(_)
        | Slot::Save(_) => slot.show(config).into(),
        Slot::Percentiles(at) => {
            (at.of)(config).iter().map(|it| percentile(*it)).collect::<Array>().into()
        }
        Slot::OneOf { at, .. } | Slot::Words { at, .. } => (at.of)(config).as_str().into(),
        Slot::Limits(_) | Slot::Master | Slot::Shown(_) => return None,
    })
}

/// `99`, `99.9`.
fn percentile(number: f64) -> Value {
    if number.fract() == 0.0 { (number as i64).into() } else { number.into() }
}

#[cfg(test)]
mod tests;
