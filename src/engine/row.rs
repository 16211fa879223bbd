//! A row of the engine's table, and how its verb is run.

use super::{Effects, Engine, Kind};
use crate::command;
use crate::command::{Args, Arity, Class, Fault, Flags, Group, Keys, Spec, spec};
use crate::resp::{OwnedRequest, Reply, Request};
use std::time::Duration;

/// Looks at data and answers.
pub type ReadVerb = fn(&Engine, Args<'_>, &mut Reply) -> Result<(), Fault>;
/// Changes data, says what changed, and answers.
pub type WriteVerb = fn(&mut Engine, Args<'_>, &mut Effects, &mut Reply) -> Result<(), Fault>;

/// As a write verb, but it may ask to be called again once one of some keys is ready.
pub type BlockingVerb =
    fn(&mut Engine, Args<'_>, &mut Effects, &mut Reply) -> Result<Called, Fault>;

/// How a call has ended that was not refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Called {
    /// It is answered.
    Done,
    /// It has not done what it is for, and is to be made again when one of these keys is ready. Its
    /// reply is what a client gets that cannot wait.
    Block(BlockingKeys),
}

/// What a call waits for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlockingKeys {
    /// Keys of the call's database, in the order in which they are looked at.
    pub keys: Vec<Box<[u8]>>,
    /// What must be under one of them.
    pub kind: Kind,
    /// For how long; `None` is for ever.
    pub timeout: Option<Duration>,
    /// The words with which the call is made again, if not its own: what depends on when it was
    /// made, as `$` does, is settled in them.
    pub again: Option<Box<OwnedRequest>>,
    /// It is made again, too, when one of the keys is gone or holds something else, to be refused.
    pub insists: bool,
}

impl BlockingKeys {
    /// A call that waits for a value of `kind` under one of `keys`.
    pub fn of<'k>(
        keys: impl Iterator<Item = &'k [u8]>,
        kind: Kind,
        timeout: Option<Duration>,
    ) -> BlockingKeys {
        let keys = keys.map(Box::from).collect();
        BlockingKeys { keys, kind, timeout, again: None, insists: false }
    }
}

impl Called {
    /// It is to be made again when a value of `kind` is under one of `keys`.
    pub fn block<'k>(
        keys: impl Iterator<Item = &'k [u8]>,
        kind: Kind,
        timeout: Option<Duration>,
    ) -> Called {
        Called::Block(BlockingKeys::of(keys, kind, timeout))
    }
}

/// What may run a command: only a read can be sent to a replica.
#[derive(Clone, Copy)]
pub enum Run {
    /// Anywhere.
    Read(ReadVerb),
    /// At the master.
    Write(WriteVerb),
    /// At the master, where it may wait for keys.
    Blocking(BlockingVerb),
    /// A read, unless its arguments say that it may wait for keys: then at the master, although it
    /// changes nothing (`XREAD BLOCK`).
    ReadOrWait { wait: BlockingVerb, read: ReadVerb, is_read: fn(Request<'_>) -> bool },
    /// Depends on the arguments: a write unless `is_read` says otherwise (`GETEX k`, `SORT k`).
    Either { write: WriteVerb, read: ReadVerb, is_read: fn(Request<'_>) -> bool },
    /// Only a container of subcommands.
    Container(&'static [Row]),
}

/// A row of the engine's table.
pub type Row = command::Row<Run>;

impl Run {
    /// What it runs as a write, if it can be one that never waits.
    pub fn write_verb(self) -> Option<WriteVerb> {
        match self {
            Run::Write(verb) | Run::Either { write: verb, .. } => Some(verb),
            _ => None,
        }
    }
}

/// A row; [`Row::says`] documents it.
pub const fn row(name: &'static str, arity: Arity, flags: Flags, keys: Keys, run: Run) -> Row {
    let class = match run {
        Run::Read(_) | Run::ReadOrWait { .. } | Run::Container(_) => Class::Read,
        Run::Write(_) | Run::Blocking(_) | Run::Either { .. } => Class::Write,
    };
    Row { spec: spec(name, arity, class, flags, keys, Group::Generic), run }
}

/// A row that only holds subcommands.
pub const fn container(name: &'static str, rows: &'static [Row]) -> Row {
    row(name, Arity::AtLeast(2), Flags::NONE, Keys::NONE, Run::Container(rows))
}

impl Engine {
    /// Runs a write at the master: first deletes what has expired among its keys, then runs the
    /// verb, which is a [`WriteVerb`] or a [`BlockingVerb`]. Their effects are added to those that
    /// are there. A verb that fails has done nothing; its reply is the fault.
    pub fn write<T>(
        &mut self,
        spec: &Spec,
        verb: fn(&mut Engine, Args<'_>, &mut Effects, &mut Reply) -> Result<T, Fault>,
        args: Args<'_>,
        effects: &mut Effects,
        reply: &mut Reply,
    ) -> Result<T, Fault> {
        effects.select(args.db);
        // What only reads hides what has expired.
        if self.any_due(args.db, args.now()) && spec.class == Class::Write {
            let (db, now) = (args.db, args.now());
            spec.keys.each(args.request(), |key| self.expire(db, now, key, effects));
        }
        let (body, mark) = (effects.items().len(), reply.mark());
        verb(self, args, effects, reply).inspect_err(|_| {
            effects.cut(body);
            reply.cut(mark);
        })
    }

    /// Runs a read at any member.
    #[inline]
    pub fn read(&self, verb: ReadVerb, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
        let mark = reply.mark();
        verb(self, args, reply).inspect_err(|_| reply.cut(mark))
    }
}
