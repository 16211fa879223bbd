//! What a replica sends while it follows: acknowledgements.

use crate::base::number::parse_i64;
use crate::base::position::Offset;
use crate::replication::PeerFault;
use crate::resp::{AuthState, Decoder, Limits, Request, Step};

/// Something that a replica says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FromReplica {
    /// It has applied all before `applied`, and has all before `on_disk` in its append-only file,
    /// if it says so.
    Acked { applied: Offset, on_disk: Option<Offset> },
    /// It lives.
    Alive,
}

/// Reads what a replica sends, in pieces of any size. What it holds is bounded: a replica has
/// little to say.
pub struct ReplicaReader {
    decoder: Decoder,
    held: Vec<u8>,
}

impl Default for ReplicaReader {
    fn default() -> ReplicaReader {
        let limits = Limits::of(AuthState::Unauthenticated);
        ReplicaReader { decoder: Decoder::new(limits), held: Vec::new() }
    }
}

impl ReplicaReader {
    /// Takes the next bytes, and tells of all that is whole.
    pub fn take(
        &mut self,
        bytes: &[u8],
        mut heard: impl FnMut(FromReplica) -> Result<(), PeerFault>,
    ) -> Result<(), PeerFault> {
        self.held.extend_from_slice(bytes);
        let mut from = 0;
        loop {
            // A replica that loads sends empty lines, so that nobody takes it for dead.
            while self.held.get(from).is_some_and(|it| matches!(it, b'\n' | b'\r')) {
                from += 1;
                heard(FromReplica::Alive)?;
            }
            let step = self.decoder.poll(&self.held[from..]);
            match step.map_err(PeerFault::Malformed)? {
                Step::Ready { consumed } => {
                    let request = self.decoder.request(&self.held[from..]);
                    heard(meaning(request)?)?;
                    from += consumed;
                }
                Step::More { .. } => break,
            }
        }
        self.held.drain(..from);
        Ok(())
    }
}

/// What a request of a replica says. What is none of its business is passed over, as Redis does.
fn meaning(request: Request<'_>) -> Result<FromReplica, PeerFault> {
    let word = |at: usize| request.get(at).unwrap_or_default();
    let is = |at: usize, name: &str| word(at).eq_ignore_ascii_case(name.as_bytes());
    if !is(0, "REPLCONF") || !is(1, "ACK") {
        return Ok(FromReplica::Alive);
    }
    let number = |at: usize| {
        let offset = parse_i64(word(at)).and_then(|it| u64::try_from(it).ok());
        offset.map(Offset::new).ok_or(PeerFault::AckNotANumber)
    };
    let on_disk = if is(3, "FACK") { Some(number(4)?) } else { None };
    Ok(FromReplica::Acked { applied: number(2)?, on_disk })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(pieces: &[&[u8]]) -> Result<Vec<FromReplica>, PeerFault> {
        let (mut reader, mut heard) = (ReplicaReader::default(), vec![]);
        for piece in pieces {
            reader.take(piece, |it| {
                heard.push(it);
                Ok(())
            })?;
        }
        Ok(heard)
    }

    const STREAM: &[u8] =
        b"\n\n*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$2\r\n17\r\n*1\r\n$4\r\nPING\r\n\
        *5\r\n$8\r\nreplconf\r\n$3\r\nack\r\n$2\r\n99\r\n$4\r\nFACK\r\n$2\r\n80\r\n";

    fn wanted() -> Vec<FromReplica> {
        let acked = |it, on_disk: Option<u64>| FromReplica::Acked {
            applied: Offset::new(it),
            on_disk: on_disk.map(Offset::new),
        };
        let alive = FromReplica::Alive;
        vec![alive, alive, acked(17, None), alive, acked(99, Some(80))]
    }

    proptest! {
        #[test]
        fn it_reads_the_same_however_the_bytes_come(
            cuts in prop::collection::vec(0..STREAM.len(), 0..9),
        ) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let mut pieces = vec![];
            let mut from = 0;
            for cut in cuts {
                pieces.push(&STREAM[from..cut.max(from)]);
                from = cut.max(from);
            }
            pieces.push(&STREAM[from..]);
            prop_assert_eq!(read(&pieces), Ok(wanted()));
        }

        #[test]
        fn garbage_is_a_fault_or_is_passed_over(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let _ = read(&[&bytes]);
        }
    }

    #[test]
    fn an_acknowledgement_that_is_no_number_is_a_fault() {
        for bad in ["-5", "x", "18446744073709551615"] {
            let ack = format!("REPLCONF ACK {bad}\r\n");
            assert_eq!(read(&[ack.as_bytes()]), Err(PeerFault::AckNotANumber), "{bad}");
        }
    }

    #[test]
    fn a_request_that_no_replica_makes_is_a_fault() {
        let long = format!("*1\r\n${}\r\n", 1 << 20);
        assert!(matches!(read(&[long.as_bytes()]), Err(PeerFault::Malformed(_))));
    }

    #[test]
    fn only_replconf_ack_acknowledges() {
        for line in ["REPLCONF GETACK 5\r\n", "SET ACK 5\r\n", "REPLCONF\r\n", "PING\r\n"] {
            assert_eq!(read(&[line.as_bytes()]), Ok(vec![FromReplica::Alive]), "{line}");
        }
    }
}
