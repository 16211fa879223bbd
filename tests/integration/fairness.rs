//! One client's work does not keep others from theirs. Waiting is counted in commands of the greedy
//! client, not in time, so that a slow machine fails nothing.

use crate::support::{Server, Wire};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

const LOOKS: usize = 100;
/// Without giving way, a whole second of the greedy client's commands passes by.
const COMMANDS_BETWEEN_LOOKS_MAX: i64 = 500_000;

#[test]
fn a_client_that_keeps_its_socket_full_starves_nobody() {
    let server = Server::entourage(&["--threads", "1"]);
    for command in ["MSET a 1 b 2 c 3 d 4 e 5 f 6 g 7", "EXISTS a b c d e f g h i j k l m n"] {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let flood = scope.spawn(|| flood(&server, command, &is_over));
            let mut wire = server.dial();
            let mut before = processed(&mut wire);
            for _ in 0..LOOKS {
                let now = processed(&mut wire);
                assert!(now - before < COMMANDS_BETWEEN_LOOKS_MAX, "{command}: {}", now - before);
                before = now;
            }
            is_over.store(true, Relaxed);
            flood.join().expect("the flood ends well");
        });
    }
}

fn flood(server: &Server, command: &str, is_over: &AtomicBool) {
    let words: Vec<Vec<u8>> = command.split(' ').map(|it| it.as_bytes().to_vec()).collect();
    let many = crate::support::wire::encode(&words).repeat(5000);
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).expect("it accepts");
    let mut replies = stream.try_clone().expect("a second handle");
    thread::scope(|scope| {
        scope.spawn(move || while matches!(replies.read(&mut [0; 1 << 16]), Ok(1..)) {});
        while !is_over.load(Relaxed) {
            stream.write_all(&many).expect("it takes requests");
        }
        stream.shutdown(std::net::Shutdown::Both).expect("an open socket");
    });
}

fn processed(wire: &mut Wire) -> i64 {
    let info = wire.ask("INFO stats").string();
    let line = info.lines().find_map(|it| it.strip_prefix("total_commands_processed:"));
    line.expect("the field").parse().expect("a number")
}
