//! What a row says of a command, how a command is looked up by name, and how its arguments are
//! read.
//!
//! **Invariant:** knows no behaviour. Rows stand beside their verbs in the rooms that act.

mod args;
pub mod codes;
mod fault;
pub mod grammar;
pub mod history;
mod keys;
mod lookup;
mod spec;
mod row;
mod help;
mod uses;
mod events;

pub use args::{Args, CallEnv};
pub use events::{Event, EventClasses, RaisedEvent};
pub use fault::{Fault, echo};
pub use help::help;
pub use keys::{Access, AmongOptions, Begin, Find, KeySpec, Keys};
pub use lookup::Lookup;
pub use row::Row;
pub use spec::{Arity, Class, Flags, Group, Spec, spec};
pub use uses::{ExpiredKey, ReadIn, Use, Uses};
