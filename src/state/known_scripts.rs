//! Scripts that went to real servers, so that one that does not know them is told them again.

use crate::script::sha1hex;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Bytes of scripts that are kept; the oldest go first.
const BYTES_MAX: usize = 16 << 20;

/// Scripts by the name that EVALSHA calls them.
#[derive(Default)]
pub struct KnownScripts(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    by_name: HashMap<Vec<u8>, Arc<[u8]>>,
    order: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl KnownScripts {
    /// A script has gone to a server.
    pub fn note(&self, body: &[u8]) {
        let name = sha1hex(body).to_vec();
        let mut kept = self.0.lock();
        if kept.by_name.contains_key(&name) || BYTES_MAX < body.len() {
            return;
        }
        kept.bytes += body.len();
        kept.by_name.insert(name.clone(), body.into());
        kept.order.push_back(name);
        while BYTES_MAX < kept.bytes {
            let Some(oldest) = kept.order.pop_front() else { break };
            let gone = kept.by_name.remove(&oldest);
            kept.bytes -= gone.map_or(0, |it| it.len());
        }
    }

    /// The script of this name, in any case of letters.
    pub fn find(&self, name: &[u8]) -> Option<Arc<[u8]>> {
        self.0.lock().by_name.get(&name.to_ascii_lowercase()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_scripts_go_first() {
        let known = KnownScripts::default();
        known.note(b"return 1");
        let name = b"E0E1F9FABFC9D4800C877A703B823AC0578FF8DB";
        assert_eq!(known.find(name).as_deref(), Some(&b"return 1"[..]));
        (0..3).for_each(|it| known.note(&vec![it; BYTES_MAX / 2]));
        assert_eq!(known.find(name), None);
        assert!(known.0.lock().by_name.len() <= 2);
    }
}
