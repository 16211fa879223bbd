//! A network of addresses, as people write it: `10.0.0.0/8`, `::1`.

use std::fmt;
use std::net::IpAddr;

/// A network: all addresses that begin with the same bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    first: IpAddr,
    bits: u32,
}

impl Network {
    /// What one looks like, for refusals.
    pub const ACCEPTED: &str =
        "an address or a network, like \"10.1.2.3\", \"10.0.0.0/8\" or \"fd00::/8\"";

    /// Reads an address, which is a network of one, or an address and how many of its first bits
    /// count. `None` for anything else, and where the other bits are not zero: which of the two is
    /// meant nobody knows.
    pub fn parse(text: &str) -> Option<Network> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().ok()?;
        let whole = width(first);
        let bits = match bits {
            None => whole,
            Some(digits) if digits.bytes().all(|it| it.is_ascii_digit()) => digits.parse().ok()?,
            Some(_) => return None,
        };
        let is_first = bits <= whole && number(first) & !mask(bits, whole) == 0;
        is_first.then_some(Network { first, bits })
    }

    /// Whether an address is in it. An IPv4 address may be written as one of IPv6.
    pub fn has(&self, address: IpAddr) -> bool {
        let (address, whole) = (address.to_canonical(), width(self.first));
        width(address) == whole && number(address) & mask(self.bits, whole) == number(self.first)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bits == width(self.first) {
            true => self.first.fmt(f),
            false => write!(f, "{}/{}", self.first, self.bits),
        }
    }
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(it) => it.to_bits().into(),
        IpAddr::V6(it) => it.to_bits(),
    }
}

/// The first `bits` of `whole` ones.
fn mask(bits: u32, whole: u32) -> u128 {
    let all = u128::MAX >> (128 - whole);
    all & all.checked_shl(whole - bits).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_addresses_that_begin_as_it_does() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("10.1.2.3", "10.1.2.3", "10.1.2.2"),
            ("10.1.2.2/31", "10.1.2.3", "10.1.2.4"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::/0", "fe80::1", "1.2.3.4"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("::1", "::1", "::2"),
            ("127.0.0.0/8", "::ffff:127.0.0.1", "::1"),
        ] {
            let it = Network::parse(network).unwrap();
            assert_eq!(it.to_string(), network);
            assert!(it.has(inside.parse().unwrap()), "{network} {inside}");
            assert!(!it.has(outside.parse().unwrap()), "{network} {outside}");
        }
    }

    #[test]
    fn what_is_no_network_is_none() {
        for text in [
            "",
            "/",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "::/129",
            "10.0/8",
            "a",
            "1.2.3.4:5",
            "::1/+8",
            "10.0.0.0/ 8",
            "10.0.0.0/8/8",
            "*",
        ] {
            assert_eq!(Network::parse(text), None, "{text:?}");
        }
    }
}
