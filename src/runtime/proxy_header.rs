//! The header of the PROXY protocol, versions 1 and 2: what a proxy in front of this one says of
//! who has connected there.
//!
//! **Invariant:** no socket. Bytes come in as they are; what they come to goes out.

use crate::base::limits::PROXY_HEADER_BYTES_MAX;
use crc_fast::{CrcAlgorithm, checksum};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What a header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProxyHeader {
    /// The connection is the proxy's own: it looks whether we live.
    Own,
    /// It is somebody's, and the proxy does not say whose.
    Unknown,
    /// It is the one that `from` has made to `to`.
    For {
        /// The client.
        from: SocketAddr,
        /// Where the client has connected.
        to: SocketAddr,
    },
}

/// Why bytes are no header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeaderFault {
    /// They begin as no header does.
    Missing,
    /// It is longer than any may be.
    TooLong,
    /// The connection has ended in its middle.
    Cut,
    /// It says what a header cannot say.
    Wrong(&'static str),
}

impl fmt::Display for HeaderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HeaderFault::Missing => "the connection begins without a header",
            HeaderFault::TooLong => "the header is too long",
            HeaderFault::Cut => "the header is cut off",
            HeaderFault::Wrong(why) => why,
        })
    }
}

const SIGNATURE_1: &[u8] = b"PROXY ";
/// The longest line of version 1, its end included.
const LINE_BYTES_MAX: usize = 107;
const SIGNATURE_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Of version 2, before what its length counts.
const FIXED_BYTES: usize = 16;
/// The type of the entry with a checksum of the header.
const CHECKSUM: u8 = 3;
const CHECKSUM_BYTES: usize = 4;

const _: () = assert!(LINE_BYTES_MAX <= PROXY_HEADER_BYTES_MAX);

/// The header that these bytes begin with, and how many it has; `None` while its end has yet to
/// come. What is not whole and no fault is shorter than [`PROXY_HEADER_BYTES_MAX`].
pub fn parse(bytes: &[u8]) -> Result<Option<(usize, ProxyHeader)>, HeaderFault> {
    if begins(bytes, SIGNATURE_2) {
        return version_2(bytes);
    }
    if begins(bytes, SIGNATURE_1) {
        return version_1(bytes);
    }
    Err(HeaderFault::Missing)
}

/// Whether one of the two is the beginning of the other.
fn begins(bytes: &[u8], signature: &[u8]) -> bool {
    bytes.iter().zip(signature).all(|(one, other)| one == other)
}

fn version_1(bytes: &[u8]) -> Result<Option<(usize, ProxyHeader)>, HeaderFault> {
    let within = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let Some(end) = within.windows(2).position(|it| it == b"\r\n") else {
        return match bytes.len() < LINE_BYTES_MAX {
            true => Ok(None),
            false => Err(HeaderFault::TooLong),
        };
    };
    let line = std::str::from_utf8(&within[..end]).ok();
    let line = line.ok_or(HeaderFault::Wrong("the header is no text"))?;
    let words: Vec<&str> = line.split(' ').collect();
    let header = match words[..] {
        // What stands behind it is to be ignored.
        ["PROXY", "UNKNOWN", ..] => ProxyHeader::Unknown,
        ["PROXY", family @ ("TCP4" | "TCP6"), from, to, from_port, to_port] => {
            let of_family = |text: &str| {
                let ip: IpAddr = match family {
                    "TCP4" => text.parse::<Ipv4Addr>().ok()?.into(),
                    _ => text.parse::<Ipv6Addr>().ok()?.into(),
                };
                Some(ip)
            };
            let end = |ip: &str, number: &str| Some(SocketAddr::new(of_family(ip)?, port(number)?));
            let both = end(from, from_port).zip(end(to, to_port));
            let (from, to) = both.ok_or(HeaderFault::Wrong("the header has a wrong address"))?;
            ProxyHeader::For { from, to }
        }
        _ => return Err(HeaderFault::Wrong("the header says no family that there is")),
    };
    Ok(Some((end + 2, header)))
}

/// A port without zeros in front.
fn port(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|it| it.is_ascii_digit());
    let number: u16 = text.parse().ok().filter(|_| is_plain)?;
    (number == 0 || !text.starts_with('0')).then_some(number).filter(|_| text.len() <= 5)
}

fn version_2(bytes: &[u8]) -> Result<Option<(usize, ProxyHeader)>, HeaderFault> {
    let Some(fixed) = bytes.first_chunk::<FIXED_BYTES>() else {
        // As soon as it is there.
        return bytes.get(12).map_or(Ok(None), |it| version_and_command(*it).map(|_| None));
    };
    let is_own = version_and_command(fixed[12])?;
    let length = FIXED_BYTES + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if PROXY_HEADER_BYTES_MAX < length {
        return Err(HeaderFault::TooLong);
    }
    let Some(whole) = bytes.get(..length) else { return Ok(None) };
    let rest = &whole[FIXED_BYTES..];
    let short = HeaderFault::Wrong("the header is shorter than its addresses");
    let (header, addresses) = match fixed[13] {
        // Of a connection of its own the addresses do not matter, nor their family.
        _ if is_own => (ProxyHeader::Own, None),
        0x00 => (ProxyHeader::Unknown, None),
        0x11 => (addresses::<4>(rest).ok_or(short)?, Some(12)),
        0x21 => (addresses::<16>(rest).ok_or(short)?, Some(36)),
        // Paths of the machine that the proxy runs on say nothing here.
        0x31 => (ProxyHeader::Unknown, Some(216)),
        0x12 | 0x22 | 0x32 => return Err(HeaderFault::Wrong("the header is for datagrams")),
        _ => return Err(HeaderFault::Wrong("the header says no family that there is")),
    };
    if let Some(addresses) = addresses {
        check_entries(whole, FIXED_BYTES + addresses)?;
    }
    Ok(Some((length, header)))
}

/// Whether the connection is the proxy's own.
fn version_and_command(byte: u8) -> Result<bool, HeaderFault> {
    match byte {
        0x20 => Ok(true),
        0x21 => Ok(false),
        _ if byte >> 4 != 2 => {
            Err(HeaderFault::Wrong("the header has a version that nobody knows"))
        }
        _ => Err(HeaderFault::Wrong("the header says no command that there is")),
    }
}

fn addresses<const N: usize>(rest: &[u8]) -> Option<ProxyHeader>
where
    IpAddr: From<[u8; N]>,
{
    let (from, rest) = rest.split_first_chunk::<N>()?;
    let (to, rest) = rest.split_first_chunk::<N>()?;
    let &[a, b, c, d] = rest.first_chunk::<4>()?;
    let (from_port, to_port) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    Some(ProxyHeader::For {
        from: SocketAddr::new(IpAddr::from(*from), from_port),
        to: SocketAddr::new(IpAddr::from(*to), to_port),
    })
}

/// What stands behind the addresses are entries, each with its length. One of them may be a
/// checksum, which has to be right.
fn check_entries(header: &[u8], mut at: usize) -> Result<(), HeaderFault> {
    const CUT: HeaderFault = HeaderFault::Wrong("an entry of the header is longer than the header");
    if header.len() < at {
        return Err(HeaderFault::Wrong("the header is shorter than its addresses"));
    }
    while at < header.len() {
        let &[kind, high, low] = header[at..].first_chunk::<3>().ok_or(CUT)?;
        let (from, length) = (at + 3, usize::from(u16::from_be_bytes([high, low])));
        let value = header.get(from..from + length).ok_or(CUT)?;
        at = from + length;
        if kind == CHECKSUM {
            let told: [u8; CHECKSUM_BYTES] =
                value.try_into().map_err(|_| HeaderFault::Wrong("the checksum has no 4 bytes"))?;
            let mut counted = header.to_vec();
            counted[from..at].fill(0);
            if checksum(CrcAlgorithm::Crc32Iscsi, &counted) != u64::from(u32::from_be_bytes(told)) {
                return Err(HeaderFault::Wrong("the checksum of the header is wrong"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_for(from: &str, to: &str) -> ProxyHeader {
        ProxyHeader::For { from: from.parse().unwrap(), to: to.parse().unwrap() }
    }

    /// A header of version 2.
    fn made(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = (rest.len() as u16).to_be_bytes();
        [SIGNATURE_2, &[command, family], &length, rest].concat()
    }

    const TCP4: [u8; 12] = [10, 1, 2, 3, 10, 0, 0, 1, 0x1f, 0x90, 0x18, 0xeb];

    fn wrong(bytes: &[u8], why: &str) {
        let fault = parse(bytes).unwrap_err();
        assert!(fault.to_string().contains(why), "{fault}: {:?}", String::from_utf8_lossy(bytes));
    }

    #[test]
    fn a_line_of_version_1_says_who_has_connected() {
        for (line, header) in [
            ("PROXY TCP4 1.2.3.4 5.6.7.8 1 65535", is_for("1.2.3.4:1", "5.6.7.8:65535")),
            ("PROXY TCP6 2001:db8::1 ::1 80 0", is_for("[2001:db8::1]:80", "[::1]:0")),
            ("PROXY UNKNOWN", ProxyHeader::Unknown),
            ("PROXY UNKNOWN ffff::1 ffff::1 65535 65535", ProxyHeader::Unknown),
        ] {
            let bytes = format!("{line}\r\nPING\r\n").into_bytes();
            assert_eq!(parse(&bytes), Ok(Some((line.len() + 2, header))), "{line}");
        }
    }

    #[test]
    fn what_version_1_does_not_know_is_wrong() {
        for line in [
            "PROXY TCP4 1.2.3.4 5.6.7.8 1",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3",
            "PROXY  TCP4 1.2.3.4 5.6.7.8 1 2",
            "PROXY UDP4 1.2.3.4 5.6.7.8 1 2",
            "PROXY tcp4 1.2.3.4 5.6.7.8 1 2",
            "PROXY ",
        ] {
            wrong(format!("{line}\r\n").as_bytes(), "no family");
        }
        for line in [
            "PROXY TCP4 ::1 ::1 1 2",
            "PROXY TCP6 1.2.3.4 5.6.7.8 1 2",
            "PROXY TCP4 1.2.3.4 5.6.7.8 65536 2",
            "PROXY TCP4 1.2.3.4 5.6.7.8 +1 2",
            "PROXY TCP4 1.2.3.4 5.6.7.8 01 2",
            "PROXY TCP4 1.2.3.4 5.6.7.8 00000000001 2",
            "PROXY TCP4 1.2.3 5.6.7.8 1 2",
        ] {
            wrong(format!("{line}\r\n").as_bytes(), "wrong address");
        }
        wrong(b"PROXY TCP4 \xff\r\n", "no text");
    }

    #[test]
    fn a_header_of_version_2_says_who_has_connected() {
        let tcp4 = is_for("10.1.2.3:8080", "10.0.0.1:6379");
        let tcp6 = [[0; 15].as_slice(), &[1], &[0; 15], &[2], &[0, 1, 0, 2]].concat();
        let entries = [TCP4.as_slice(), &[4, 0, 2, 0, 0], &[2, 0, 0]].concat();
        for (bytes, header) in [
            (made(0x21, 0x11, &TCP4), tcp4),
            (made(0x21, 0x11, &entries), tcp4),
            (made(0x21, 0x21, &tcp6), is_for("[::1]:1", "[::2]:2")),
            (made(0x21, 0x31, &[b'/'; 216]), ProxyHeader::Unknown),
            (made(0x21, 0x00, &[1, 2, 3]), ProxyHeader::Unknown),
            (made(0x20, 0x00, &[]), ProxyHeader::Own),
            (made(0x20, 0x11, &TCP4), ProxyHeader::Own),
        ] {
            let length = bytes.len();
            let bytes = [bytes, b"PING\r\n".to_vec()].concat();
            assert_eq!(parse(&bytes), Ok(Some((length, header))));
        }
    }

    #[test]
    fn what_version_2_does_not_know_is_wrong() {
        wrong(&made(0x11, 0x11, &TCP4), "version");
        wrong(&made(0x22, 0x11, &TCP4), "no command");
        wrong(&made(0x21, 0x12, &TCP4), "datagrams");
        wrong(&made(0x21, 0x41, &TCP4), "no family");
        wrong(&made(0x21, 0x11, &TCP4[..11]), "shorter than its addresses");
        wrong(&made(0x21, 0x21, &TCP4), "shorter than its addresses");
        wrong(&made(0x21, 0x31, &[0; 215]), "shorter than its addresses");
        wrong(&made(0x21, 0x11, &[TCP4.as_slice(), &[4, 0]].concat()), "an entry");
        wrong(&made(0x21, 0x11, &[TCP4.as_slice(), &[4, 0, 9, 1]].concat()), "an entry");
        // As soon as it can be known.
        wrong(&made(0x31, 0x11, &TCP4)[..13], "version");
    }

    #[test]
    fn a_checksum_has_to_be_right() {
        let mut bytes = made(0x21, 0x11, &[TCP4.as_slice(), &[3, 0, 4, 0, 0, 0, 0]].concat());
        let sum = checksum(CrcAlgorithm::Crc32Iscsi, &bytes) as u32;
        // The polynomial is Castagnoli's, as its published check value says.
        assert_eq!(checksum(CrcAlgorithm::Crc32Iscsi, b"123456789"), 0xe306_9283);
        let at = bytes.len() - 4;
        bytes[at..].copy_from_slice(&sum.to_be_bytes());
        assert!(parse(&bytes).unwrap().is_some());
        bytes[20] ^= 1;
        wrong(&bytes, "checksum");
        wrong(&made(0x21, 0x11, &[TCP4.as_slice(), &[3, 0, 1, 0]].concat()), "checksum");
    }

    #[test]
    fn every_beginning_of_a_header_waits_for_the_rest() {
        let line = b"PROXY TCP4 1.2.3.4 5.6.7.8 1 65535\r\n".to_vec();
        for bytes in [line, made(0x21, 0x11, &TCP4), made(0x20, 0x00, &[])] {
            for length in 0..bytes.len() {
                assert_eq!(parse(&bytes[..length]), Ok(None), "{length}");
            }
        }
    }

    #[test]
    fn what_is_too_long_or_no_header_is_known_at_once() {
        let line = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat();
        assert_eq!(parse(&line[..106]), Ok(None));
        assert_eq!(parse(&line[..107]), Err(HeaderFault::TooLong));
        let most = vec![0; PROXY_HEADER_BYTES_MAX - FIXED_BYTES];
        assert!(parse(&made(0x21, 0x00, &most)).unwrap().is_some());
        let more = made(0x21, 0x00, &vec![0; most.len() + 1]);
        assert_eq!(parse(&more[..16]), Err(HeaderFault::TooLong));
        for bytes in [b"*1\r\n".as_slice(), b"P\n", b"\x16\x03\x01", b"\r\n\r\n\r", b"PROXZ"] {
            assert_eq!(parse(bytes), Err(HeaderFault::Missing), "{bytes:?}");
        }
    }
}
