//! What a read asks for, strongest first.

use crate::base::size::{format_duration, format_size, parse_duration, parse_size};
use std::fmt;
use std::time::Duration;

/// The promise a read is served under.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Level {
    /// Read at the master.
    Master,
    /// As if there were one copy: the master's offset at arrival is the floor, whoever has written.
    /// Without a master in service it is refused: a floor taken from one that may have been
    /// replaced proves nothing.
    Linearizable,
    /// Sees every write acknowledged through this proxy, and never less than any reply of it has
    /// shown.
    ///
    /// Where the proxy hosts the master, the floor is the same number as at
    /// [`Level::Linearizable`], the end of the stream when the read arrives, since every write has
    /// come through this proxy; the two cost the same and show the same. They differ in what they
    /// need: a global read is served by a replica that has all of the stream also while no master
    /// is in service. And where the master is elsewhere and others write to it, the proxy knows its
    /// own floor without asking, and only a linearizable read asks the master for its.
    #[default]
    Global,
    /// Sees its own writes, and never goes back in time.
    Sticky,
    /// At most this far behind the master; at least one bound is given.
    Bounded {
        /// Milliseconds.
        ms: Option<u64>,
        /// Bytes of the stream.
        bytes: Option<u64>,
    },
    /// Any replica in service.
    Eventual,
}

impl Level {
    /// What [`Level::parse`] takes, for error texts.
    pub const ACCEPTED: &str = "master, linearizable, global, sticky, bounded with a time, a size \
                                or both (\"bounded 50ms 1mb\"), eventual";

    /// Reads a level in any case.
    pub fn parse(text: &str) -> Option<Level> {
        let mut words = text.split_whitespace();
        let level = match words.next()?.to_ascii_lowercase().as_str() {
            "master" => Level::Master,
            "linearizable" => Level::Linearizable,
            "global" => Level::Global,
            "sticky" => Level::Sticky,
            "eventual" => Level::Eventual,
            "bounded" => bounded(&mut words)?,
            _ => return None,
        };
        words.next().is_none().then_some(level)
    }

    /// 0 for the strongest promise, more for weaker ones.
    pub const fn weakness(self) -> u8 {
        match self {
            Level::Master => 0,
            Level::Linearizable => 1,
            Level::Global => 2,
            Level::Sticky => 3,
            Level::Bounded { .. } => 4,
            Level::Eventual => 5,
        }
    }
}

/// One or two bounds, each kind once. A size ends in `b`, so `1m` is a minute and `1mb` a size.
fn bounded<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<Level> {
    let (mut ms, mut bytes) = (None, None);
    for word in words {
        let slot = match word.ends_with(['b', 'B']) {
            true => bytes.replace(parse_size(word.as_bytes())?),
            false => ms.replace(whole_ms(parse_duration(word.as_bytes(), None)?)?),
        };
        if slot.is_some() {
            return None;
        }
    }
    (ms.is_some() || bytes.is_some()).then_some(Level::Bounded { ms, bytes })
}

fn whole_ms(time: Duration) -> Option<u64> {
    let ms = u64::try_from(time.as_millis()).ok()?;
    (Duration::from_millis(ms) == time).then_some(ms)
}

/// A size as [`bounded`] tells it from a time: always with a `b`.
fn marked(bytes: u64) -> String {
    let text = format_size(bytes);
    match text.ends_with('b') {
        true => text,
        false => text + "b",
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ms, bytes) = match self {
            Level::Master => return f.write_str("master"),
            Level::Linearizable => return f.write_str("linearizable"),
            Level::Global => return f.write_str("global"),
            Level::Sticky => return f.write_str("sticky"),
            Level::Eventual => return f.write_str("eventual"),
            Level::Bounded { ms, bytes } => (ms, bytes),
        };
        f.write_str("bounded")?;
        if let Some(ms) = ms {
            write!(f, " {}", format_duration(Duration::from_millis(*ms)))?;
        }
        bytes.map_or(Ok(()), |it| write!(f, " {}", marked(it)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_bound_is_a_time_or_a_size_or_both() {
        let at = |ms, bytes| Some(Level::Bounded { ms, bytes });
        assert_eq!(Level::parse("bounded 50ms"), at(Some(50), None));
        assert_eq!(Level::parse("Bounded 1MB"), at(None, Some(1 << 20)));
        assert_eq!(Level::parse("bounded 1mb 2s"), at(Some(2000), Some(1 << 20)));
        assert_eq!(Level::parse("bounded 1m"), at(Some(60_000), None));
        let bad = ["", "bounded", "bounded 50", "bounded 1ms 2ms", "bounded 1mb 2mb", "bounded 1k"];
        for bad in bad.iter().chain(&["stick", "sticky 1ms", "bounded 5us", "bounded -1ms"]) {
            assert_eq!(Level::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn promises_stand_from_strong_to_weak() {
        let levels = ["master", "linearizable", "global", "sticky", "bounded 1ms", "eventual"];
        let weakness = levels.map(|it| Level::parse(it).unwrap().weakness());
        assert!(weakness.is_sorted());
    }

    proptest! {
        #[test]
        fn a_level_survives_its_text(ms: Option<u32>, bytes: Option<u64>) {
            prop_assume!(ms.is_some() || bytes.is_some());
            let level = Level::Bounded { ms: ms.map(u64::from), bytes };
            prop_assert_eq!(Level::parse(&level.to_string()), Some(level));
        }
    }
}
