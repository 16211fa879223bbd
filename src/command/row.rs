//! A row of a table of commands: a command's spec beside what runs it.

use super::{Group, Spec};

/// A command: what is known of it, and what runs it.
#[derive(Clone, Copy)]
pub struct Row<R> {
    /// What is known without running it.
    pub spec: Spec,
    /// What runs it.
    pub run: R,
}

impl<R: Copy> Row<R> {
    /// What COMMAND DOCS tells of it: its group, the version that brought it, its complexity, what
    /// it does, and the grammar of its arguments.
    pub const fn says(
        mut self,
        group: Group,
        since: &'static str,
        complexity: &'static str,
        summary: &'static str,
        syntax: &'static str,
    ) -> Row<R> {
        self.spec.group = group;
        self.spec.since = since;
        self.spec.complexity = complexity;
        self.spec.summary = summary;
        self.spec.syntax = syntax;
        self
    }

    /// Redis' hints for clients that route by themselves.
    pub const fn tips(mut self, tips: &'static [&'static str]) -> Row<R> {
        self.spec.tips = tips;
        self
    }
}
