//! Libraries of functions, as they stand in a file and in the payload of FUNCTION DUMP.

use super::{Payload, Reader, VERSION, Why, Writer, checksum, opcode};
use crate::command::Fault;
use crate::script::{Libraries, Library, load_library};
use std::borrow::Cow;

/// Writes all libraries.
pub fn write(libraries: &Libraries, out: &mut Writer) {
    for library in libraries.iter() {
        out.byte(opcode::FUNCTIONS);
        out.blob(&library.text);
    }
}

/// The library of a text that a file has.
pub fn load(text: &[u8]) -> Result<Library, Why> {
    load_library(text).map_err(|it| Why::Library(String::from_utf8_lossy(&it).into_owned()))
}

/// What FUNCTION DUMP answers: `[library …][version: 2 bytes][checksum: 8 bytes]`.
pub fn dump(libraries: &Libraries) -> Vec<u8> {
    let mut out = Writer::default();
    write(libraries, &mut out);
    out.raw(&VERSION.to_le_bytes());
    let sum = checksum(out.bytes());
    out.raw(&sum.to_le_bytes());
    out.into_bytes()
}

/// The texts of the libraries in such a payload.
pub fn texts(payload: &[u8]) -> Result<Vec<Cow<'_, [u8]>>, Fault> {
    let mut input = Reader::new(Payload::check(payload)?.value);
    let mut texts = Vec::new();
    while let Some(kind) = input.rest().first() {
        match *kind {
            opcode::FUNCTIONS => {}
            opcode::FUNCTIONS_CANDIDATE => {
                return Err(Fault::Static("ERR Pre-GA function format not supported"));
            }
            _ => return Err(Fault::Static("ERR given type is not a function")),
        }
        let text = input.byte().and_then(|_| input.string());
        texts.push(text.map_err(|_| Fault::Static("ERR Failed loading library payload"))?);
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Random;
    use crate::script::Policy;

    #[test]
    fn a_payload_has_the_texts_and_a_broken_one_is_refused() {
        let text = b"#!lua name=lib\nredis.register_function('f', function() return 1 end)";
        let mut libraries = Libraries::default();
        assert!(texts(&dump(&libraries)).unwrap().is_empty());
        libraries.add(vec![load_library(text).unwrap()], Policy::Append).unwrap();
        let payload = dump(&libraries);
        assert_eq!(texts(&payload).unwrap(), [text.as_slice()]);
        let mut random = Random::new(7);
        for round in 0..20_000 {
            let mut broken = payload.clone();
            if round < payload.len() {
                broken.truncate(round);
            } else {
                let at = random.below(payload.len() as u64) as usize;
                broken[at] ^= 1 + random.below(255) as u8;
            }
            assert!(texts(&broken).is_err(), "round {round}");
        }
    }
}
