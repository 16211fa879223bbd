//! The status page, and what is for programs beside it: whether the process lives and a master
//! serves, metrics, and the same facts as JSON.
//!
//! ```text
//! runtime::http → answer → guard → resources → page, health, api, orders → Content
//!     hyper        size     who     by path         what there is
//! ```
//!
//! **Invariant:** on a thread of its own; a worker is never waited for longer than INFO would.
//! **Invariant:** measures nothing: its answers are those of INFO, PROXY STATS and their like.

mod content;
mod query;
mod guard;
mod health;
mod operators;
mod api;
mod orders;
mod page;
mod resources;
mod answer;
mod reference;

pub use answer::start;
pub use reference::status_reference;
