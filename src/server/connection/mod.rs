//! One connection, without I/O: what happens to it comes in as events, what it wants goes out as
//! actions and as bytes to send. The shell around it owns the socket and decides nothing.
//!
//! ```text
//!           Bytes              request             plan, gate            member
//!  shell ─────────▶ core ─────────▶ requests ─────────▶ read, write ─────────▶ node
//!    ▲                │ unread        │ refusals, transaction, execute
//!    └── transmit ────┴── replies ◀───┴── blocked: what waits, and how it goes on
//! ```
//!
//! **Invariant:** no socket, no task, no clock of its own: the simulator runs this code.

mod event;
mod recent;
mod stopwatch;
mod scratch;
mod batch;
mod unread;
mod replies;
mod call;
mod gathered;
mod caller;
mod rights;
mod room;
mod refusals;
mod requests;
mod read;
mod write;
mod forward;
mod upstream;
mod once;
mod tag;
mod publish;
mod tracking;
mod transaction;
mod execute;
mod monitor;
mod read_together;
mod script_buffers;
mod script_call;
mod script;
mod script_host;
mod timing;
mod overflow;
mod durable;
mod blocked;
mod core;

pub use batch::BatchContext;
pub use core::Connection;
pub use durable::SYNC;
pub use event::{Action, Event, Why};
pub use scratch::WorkerScratch;

#[cfg(test)]
mod tests;
