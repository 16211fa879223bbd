//! How much memory there may be.

use crate::base::number::parse_i64;
use crate::base::size::parse_size;

/// How much memory there may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Memory {
    /// `maxmemory`: bytes; 0 for as much as there is.
    pub bytes: usize,
    /// `maxmemory-eviction-tenacity`: how long one write may evict, from 0 to 100.
    pub tenacity: usize,
    /// `maxmemory-clients`: how much of it the buffers of clients may use.
    pub clients: MemoryShare,
}

impl Default for Memory {
    fn default() -> Memory {
        Memory { bytes: 0, tenacity: 10, clients: MemoryShare::Bytes(0) }
    }
}

impl Memory {
    /// How long one write may evict, in microseconds: as long as Redis lets it.
    pub fn slice_us(self) -> u64 {
        match self.tenacity as u64 {
            tenacity @ ..=10 => 50 * tenacity,
            tenacity @ 11..100 => (500.0 * 1.15_f64.powi(tenacity as i32 - 10)) as u64,
            _ => u64::MAX,
        }
    }

    /// Bytes that the buffers of clients may use; `None` when there is no limit.
    pub fn clients_bytes(self) -> Option<u64> {
        let bytes = match self.clients {
            MemoryShare::Bytes(bytes) => bytes,
            MemoryShare::Percent(percent) => self.bytes as u64 / 100 * u64::from(percent),
        };
        (bytes != 0).then_some(bytes)
    }
}

/// A number of bytes, or a part of `maxmemory`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemoryShare {
    /// Bytes; 0 for as many as there are.
    Bytes(u64),
    /// Percents, of which there are some.
    Percent(u8),
}

impl MemoryShare {
    /// What a file may say here.
    pub const ACCEPTED: &str = "a size like \"100mb\", or a part of maxmemory like \"5%\"";

    /// Reads one, or says what is wrong with it as CONFIG SET does.
    pub fn parse(text: &str) -> Result<MemoryShare, String> {
        let wrong = || "argument must be a memory or percent value".to_owned();
        let Some(number) = text.strip_suffix('%') else {
            return parse_size(text.as_bytes()).map(MemoryShare::Bytes).ok_or_else(wrong);
        };
        match parse_i64(number.as_bytes()).ok_or_else(wrong)? {
            0 => Ok(MemoryShare::Bytes(0)),
            percent @ 1..=100 => Ok(MemoryShare::Percent(percent as u8)),
            101.. => Err("percentage argument must be less or equal to 100".to_owned()),
            _ => Err(wrong()),
        }
    }

    /// As CONFIG GET shows it.
    pub fn show(self) -> String {
        match self {
            MemoryShare::Bytes(bytes) => bytes.to_string(),
            MemoryShare::Percent(percent) => format!("{percent}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_for_evictions_grows_with_tenacity() {
        let of = |tenacity| Memory { tenacity, ..Memory::default() }.slice_us();
        assert_eq!([0, 5, 10].map(of), [0, 250, 500]);
        assert_eq!(of(11), 575);
        assert!((2..=3).contains(&(of(99) / 60_000_000)), "some two minutes");
        assert_eq!(of(100), u64::MAX);
    }

    #[test]
    fn a_share_is_bytes_or_percents() {
        let of = |text| {
            let clients = MemoryShare::parse(text)?;
            let memory = Memory { bytes: 1000, clients, ..Memory::default() };
            Ok((clients.show(), memory.clients_bytes()))
        };
        assert_eq!(of("50%"), Ok(("50%".into(), Some(500))));
        assert_eq!(of("2kb"), Ok(("2048".into(), Some(2048))));
        assert_eq!(of("0%"), Ok(("0".into(), None)));
        let of_nothing = Memory { clients: MemoryShare::Percent(5), ..Memory::default() };
        assert_eq!(of_nothing.clients_bytes(), None);
        for (text, why) in [
            ("-1", "argument must be a memory or percent value"),
            ("-1%", "argument must be a memory or percent value"),
            ("x", "argument must be a memory or percent value"),
            ("101%", "percentage argument must be less or equal to 100"),
        ] {
            assert_eq!(of(text), Err(why.to_owned()), "{text}");
        }
    }
}
