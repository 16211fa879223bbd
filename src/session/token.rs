//! Tokens: positions in the hands of clients, signed so that none can be made up or altered.

use crate::base::position::Position;
use crate::command::Fault;
use crate::command::codes::{FORGED_TOKEN as FORGED, NOT_A_TOKEN as MALFORMED};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Bytes of a signature: 128 bits.
const SIGNATURE_BYTES: usize = 16;
/// Comes before what is signed, so that a signature made for anything else is none here.
const PURPOSE: &[u8] = b"entourage token 1\0";

/// Signs tokens and knows its own. Proxies with the same secret know each other's.
#[derive(Clone)]
pub struct TokenSigner(Hmac<Sha256>);

impl TokenSigner {
    /// A signer that nobody has without this secret.
    pub fn new(secret: &[u8]) -> TokenSigner {
        TokenSigner(Hmac::new_from_slice(secret).expect("a secret of any length is a key"))
    }

    /// `<history>:<offset>:<signature>`: one word.
    pub fn sign(&self, place: Position) -> String {
        let signature = self.over(place).finalize().into_bytes();
        let signature = &signature[..SIGNATURE_BYTES];
        signature.iter().fold(format!("{place}:"), |text, byte| text + &format!("{byte:02x}"))
    }

    /// What the token says, if this signer signed it. Signatures are compared in constant time.
    pub fn open(&self, token: &[u8]) -> Result<Position, Fault> {
        let end = token.iter().rposition(|it| *it == b':').ok_or(MALFORMED)?;
        let place = Position::parse(&token[..end]).ok_or(MALFORMED)?;
        let signature = signature(&token[end + 1..]).ok_or(MALFORMED)?;
        self.over(place).verify_truncated_left(&signature).map_err(|_| FORGED)?;
        Ok(place)
    }

    fn over(&self, place: Position) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(PURPOSE);
        mac.update(place.to_string().as_bytes());
        mac
    }
}

/// The bytes that these hexadecimal digits are.
fn signature(digits: &[u8]) -> Option<[u8; SIGNATURE_BYTES]> {
    let mut bytes = [0; SIGNATURE_BYTES];
    if digits.len() != 2 * SIGNATURE_BYTES {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        let digit = |it: u8| (it as char).to_digit(16);
        *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::position::{Offset, ReplId};

    const PLACE: Position = Position { replid: ReplId::new([7; 20]), offset: Offset::new(42) };

    #[test]
    fn a_token_survives_its_text() {
        let signer = TokenSigner::new(b"a secret of many bytes");
        let token = signer.sign(PLACE);
        assert!(token.bytes().all(|it| it.is_ascii_graphic()), "{token}");
        assert_eq!(signer.open(token.as_bytes()), Ok(PLACE));
        assert_eq!(TokenSigner::new(b"a secret of many bytes").open(token.as_bytes()), Ok(PLACE));
        assert_eq!(TokenSigner::new(b"another").open(token.as_bytes()), Err(FORGED));
    }

    #[test]
    fn a_token_with_any_byte_changed_left_out_or_added_is_none() {
        let signer = TokenSigner::new(b"a secret of many bytes");
        let token = signer.sign(PLACE).into_bytes();
        for at in 0..token.len() {
            let mut forged = token.clone();
            forged[at] = if forged[at] == b'1' { b'2' } else { b'1' };
            assert!(signer.open(&forged).is_err(), "{}", forged.escape_ascii());
            assert!(signer.open(&token[..at]).is_err(), "{at} bytes");
        }
        let longer = [token.as_slice(), b"0"].concat();
        assert_eq!(signer.open(&longer), Err(MALFORMED));
        let unsigned = PLACE.to_string();
        assert_eq!(signer.open(unsigned.as_bytes()), Err(MALFORMED));
    }
}
