//! Any bytes, in any pieces: no panic, the same requests as in one piece, no memory for what was only
//! announced. `cargo +nightly fuzz run --fuzz-dir tests/fuzz decode`.

#![no_main]

mod watched;

use entourage::resp::{AuthState, Decoder, Limits, Malformed, Step};
use libfuzzer_sys::fuzz_target;

/// Spans take 8 bytes for at least 6 on the wire, and a vector's slack doubles that.
const BYTES_PER_BYTE: usize = 3;
const BYTES_SPARE: usize = 4096;

type Found = Result<Vec<Vec<u8>>, Malformed>;

fn poll(decoder: &mut Decoder, bytes: &[u8]) -> Result<Step, Malformed> {
    watched::reset();
    let step = decoder.poll(bytes);
    assert!(watched::largest() <= bytes.len() * BYTES_PER_BYTE + BYTES_SPARE);
    step
}

fn found(auth: AuthState, bytes: &[u8], pieces: &[u8]) -> Vec<Found> {
    let mut decoder = Decoder::new(Limits::of(auth));
    let (mut found, mut start, mut end) = (Vec::new(), 0, 0);
    let mut sizes = pieces.iter().map(|it| usize::from(*it) + 1).chain([bytes.len()]);
    while let Some(size) = sizes.next() {
        end = bytes.len().min(end + size);
        loop {
            match poll(&mut decoder, &bytes[start..end]) {
                Ok(Step::More { .. }) => break,
                Ok(Step::Ready { consumed }) => {
                    let request = decoder.request(&bytes[start..end]);
                    found.push(Ok(request.iter().map(<[u8]>::to_vec).collect()));
                    start += consumed;
                }
                Err(malformed) => {
                    found.push(Err(malformed));
                    return found;
                }
            }
        }
    }
    found
}

fuzz_target!(|input: (bool, Vec<u8>, &[u8])| {
    let (unauthenticated, pieces, bytes) = input;
    let auth = if unauthenticated { AuthState::Unauthenticated } else { AuthState::Known };
    assert_eq!(found(auth, bytes, &pieces), found(auth, bytes, &[]));
});
