//! A pipeline of writes, reads and a mistake, which is answered in order wherever it is done.

use super::{Wire, starts, words};

/// Sends fifty of them, and looks at every reply. `counters` names the keys that are counted up.
pub fn are_answered_in_order(wire: &mut Wire, counters: &str) {
    for round in 0..50 {
        let lines: Vec<String> = (0..40)
            .map(|it| match it % 5 {
                0 | 1 => format!("SET k{it} {round}"),
                2 => "SET k1".to_owned(),
                3 => format!("INCR {counters}{round}"),
                _ => format!("GET k{}", it - 4),
            })
            .collect();
        let commands: Vec<_> =
            lines.iter().map(|it| words(&it.split(' ').collect::<Vec<_>>())).collect();
        let replies = wire.pipeline(&commands);
        for (at, reply) in replies.iter().enumerate() {
            match at % 5 {
                0 | 1 => assert_eq!(reply.string(), "OK", "{at}"),
                2 => starts(reply, "ERR wrong number of arguments"),
                3 => assert_eq!(reply.int(), Some(at as i64 / 5 + 1), "{at}"),
                _ => assert_eq!(reply.string(), round.to_string(), "{at}"),
            }
        }
    }
}
