//! What one row of the table of parameters says.

use super::slot::Slot;

/// A section of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Section {
    /// `[server]`
    Server,
    /// `[set]`
    Set,
    /// `[engine]`
    Engine,
    /// `[alerts]`: CONFIG GET knows its settings with the section's name in front.
    Alerts,
    /// Not in the file.
    Nowhere,
}

impl Section {
    /// Its name in the file.
    pub fn name(self) -> &'static str {
        match self {
            Section::Server => "server",
            Section::Set => "set",
            Section::Engine => "engine",
            Section::Alerts => "alerts",
            Section::Nowhere => "",
        }
    }
}

/// When a parameter may change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// At run time too.
    Live,
    /// Only before the start.
    Start,
}

/// One parameter.
pub struct Param {
    pub name: &'static str,
    /// Redis' older name.
    pub alias: Option<&'static str>,
    pub section: Section,
    pub when: When,
    /// What it does, in one sentence.
    pub what: &'static str,
    pub slot: Slot,
}

impl Param {
    /// Whether this is its name, or its older one, in any case.
    pub fn is_called(&self, name: &str) -> bool {
        let same = |it: &str| it.eq_ignore_ascii_case(name);
        same(self.name) || self.alias.is_some_and(same)
    }

    /// Whether CONFIG GET tells it.
    pub fn is_told(&self) -> bool {
        !matches!(self.slot, Slot::Secret(_))
    }

    /// Its name in its section of the file.
    pub fn in_section(&self) -> &'static str {
        match self.section {
            Section::Alerts => self.name.strip_prefix("alerts.").unwrap_or(self.name),
            _ => self.name,
        }
    }

    /// Its name in the file.
    pub fn key(&self) -> String {
        match self.section {
            Section::Nowhere => self.name.to_owned(),
            section => format!("{}.{}", section.name(), self.in_section()),
        }
    }

    /// With Redis' older name.
    pub const fn once(mut self, alias: &'static str) -> Param {
        self.alias = Some(alias);
        self
    }
}

/// One that may change at run time.
pub const fn live(section: Section, name: &'static str, what: &'static str, slot: Slot) -> Param {
    Param { name, alias: None, section, when: When::Live, what, slot }
}

/// One that may not.
pub const fn start(section: Section, name: &'static str, what: &'static str, slot: Slot) -> Param {
    Param { name, alias: None, section, when: When::Start, what, slot }
}
