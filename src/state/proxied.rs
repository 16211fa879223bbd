//! What is counted of clients that come by a proxy which says who they are.

use super::handshakes::Handshakes;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// Headers of the PROXY protocol.
#[derive(Default)]
pub struct Proxied {
    /// Connections whose header has yet to come.
    pub waiting: Handshakes,
    /// Those that had one.
    pub headers: AtomicU64,
    /// Those whose header was wrong, or came too late.
    pub faults: AtomicU64,
    /// Those of others than the proxies that are believed.
    pub untrusted: AtomicU64,
}

impl Proxied {
    /// Forgets what has been counted.
    pub fn reset(&self) {
        let Proxied { headers, faults, untrusted, .. } = self;
        [headers, faults, untrusted].into_iter().for_each(|it| it.store(0, Relaxed));
    }
}
