//! Who subscribes to which channels and patterns, who caches which keys, and what they are handed.
//!
//! **Invariant:** no socket, no task. Whoever subscribes is handed messages through
//! [`Subscriber::deliver`], never under a lock.
//! **Invariant:** a message is encoded once, whatever protocols its subscribers speak.

mod delivery;
mod subscribers;
mod publication;
mod registry;
pub mod tracking;

pub use delivery::Delivery;
pub use publication::Publication;
pub use registry::{PubSub, TooMany};
pub use subscribers::Subscriber;
