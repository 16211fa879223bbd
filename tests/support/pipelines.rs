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

/// CLIENT REPLY, in one pipeline and one command after the other.
pub fn are_left_out_as_asked(wire: &mut Wire) {
    let lines = "DEL s; CLIENT REPLY SKIP; SET s 1; INCR s; CLIENT REPLY SKIP; INCR s; INCR s; \
        CLIENT REPLY SKIP; GET s; GET s; CLIENT REPLY OFF; INCR s; SET s; GET s; CLIENT REPLY ON; \
        GET s; CLIENT REPLY SKIP; SET s; PING; CLIENT REPLY SKIP; LPUSH s x; INCR s";
    let commands: Vec<_> =
        lines.split("; ").map(|it| words(&it.split(' ').collect::<Vec<_>>())).collect();
    let told = [":2", ":4", "\"4\"", "+OK", "\"5\"", "+PONG", ":6"];
    wire.send(&commands);
    assert!(wire.read().int().is_some());
    assert_eq!(told.map(|_| wire.read().to_string()), told);
    for command in &commands {
        wire.send(std::slice::from_ref(command));
    }
    assert_eq!(wire.read().int(), Some(1));
    assert_eq!(told.map(|_| wire.read().to_string()), told);
}
