//! What the integration tests share: servers that end with the test, a raw client, scripts.
#![allow(dead_code, unused_imports)] // Each test binary uses a part of it.

pub mod clients;
pub mod contents;
pub mod ending;
pub mod expect;
pub mod faulty_disk;
pub mod furnish;
pub mod http;
pub mod link_proxy;
pub mod relay;
pub mod members;
pub mod on_disk;
pub mod parse;
pub mod patience;
pub mod process;
mod pipelines;
pub mod programs;
pub mod script;
pub mod servers;
pub mod socket;
pub mod suite;
pub mod tls;
pub mod upstream;
pub mod value;
pub mod wire;

pub use clients::{
    info_field, others, until_alone, until_alone_with_replicas, until_blocked, until_gone,
    until_running, until_unsent, waits_are_served,
};
pub use contents::{contents, hold_the_same, shown, until_caught_up};
pub use ending::{ENDINGS, Ending, HANG_UPS};
pub use expect::{ok, starts};
pub use furnish::furnish;
pub use http::{Answer, Site, read_answer};
pub use link_proxy::LinkProxy;
pub use members::{BOTH, digests, node, order, until_behind};
pub use patience::{until, within};
pub use pipelines::{are_answered_in_order, are_left_out_as_asked};
pub use programs::python;
pub use relay::Relay;
pub use servers::{Server, WORKERS};
pub use socket::{Address, Socket};
pub use suite::Suite;
pub use tls::Authority;
pub use upstream::{Kind, RealSet};
pub use value::Value;
pub use wire::{Wire, Words, words};
