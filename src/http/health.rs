//! Whether the process lives, and whether it is ready to serve: for who sends clients here.

use super::content::{Content, Kind};
use super::query::Query;
use crate::base::size::{parse_duration, parse_size};
use crate::commands::unserved;
use crate::node::present;
use crate::runtime::clock;
use crate::state::Server;
use hyper::StatusCode;
use std::sync::Arc;
use std::time::Duration;

/// Answering is living.
pub fn health(_: &Arc<Server>, _: &Query) -> Content {
    Content::ok(Kind::Text, "ok")
}

/// Whether a master serves; with `lag`, whether the replicas in service are no further behind, too.
pub fn ready(server: &Arc<Server>, query: &Query) -> Content {
    let unready = |why: String| Content::refused(StatusCode::SERVICE_UNAVAILABLE, why);
    let lag = match query.get("lag").map(|it| (Lag::parse(&it), it)) {
        Some((None, text)) => {
            let why = format!("lag={text} is neither a time, like 500ms, nor a size, like 1mb");
            return Content::refused(StatusCode::BAD_REQUEST, why);
        }
        Some((lag, _)) => lag,
        None => None,
    };
    if let Some(why) = unserved(server) {
        return unready(why);
    }
    match lag.and_then(|it| late(server, it)) {
        Some(why) => unready(why),
        None => Content::ok(Kind::Text, "ready"),
    }
}

/// How far behind a replica may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lag {
    Time(Duration),
    Bytes(u64),
}

impl Lag {
    /// A number alone counts bytes.
    fn parse(text: &str) -> Option<Lag> {
        let time = parse_duration(text.as_bytes(), None).map(Lag::Time);
        time.or_else(|| parse_size(text.as_bytes()).map(Lag::Bytes))
    }

    fn allows(self, behind_bytes: u64, behind_us: u64) -> bool {
        match self {
            Lag::Time(time) => u128::from(behind_us) <= time.as_micros(),
            Lag::Bytes(bytes) => behind_bytes <= bytes,
        }
    }
}

/// Which replica is too far behind.
fn late(server: &Server, lag: Lag) -> Option<String> {
    let now = clock::mono_now();
    if let Some(upstream) = &server.upstream {
        let (view, members) = (upstream.view(), upstream.members());
        let head = view.master.and_then(|it| view.members.get(it.index())?.at);
        let (mut serving, mut some) = (0, false);
        for (member, stands) in view.there(&members) {
            if view.master == Some(member.id) {
                continue;
            }
            some = true;
            if !view.serves_reads(member.id.index()) {
                continue;
            }
            serving += 1;
            let bytes = head.zip(stands.at).map(|(head, at)| head.offset.since(at.offset));
            let us = stands.fresh_at.map(|it| now.since(it));
            let (bytes, us) = (bytes.unwrap_or(u64::MAX), us.unwrap_or(u64::MAX));
            if !lag.allows(bytes, us) {
                return Some(behind(&member.described.name, bytes, us));
            }
        }
        return (some && serving == 0).then(|| NOBODY.to_owned());
    }
    let set = &server.set;
    let (member_list, head, master) = (set.member_list(), set.head(), set.master());
    let replicas = || present(&member_list).filter(|it| it.id != master);
    let serving: Vec<_> = replicas().filter(|it| it.in_service()).collect();
    if serving.is_empty() && replicas().next().is_some() {
        return Some(NOBODY.to_owned());
    }
    serving.into_iter().find_map(|it| {
        let (bytes, us) = (head.since(it.applied()), set.behind_us(it, now));
        (!lag.allows(bytes, us)).then(|| behind(&it.name, bytes, us))
    })
}

const NOBODY: &str = "no replica is in service";

fn behind(name: &str, bytes: u64, us: u64) -> String {
    match (bytes, us) {
        (u64::MAX, _) | (_, u64::MAX) => format!("nobody can tell how far behind {name} is"),
        (bytes, us) => format!("{name} is {bytes} bytes and {} ms behind", us / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_is_a_time_or_a_size() {
        assert_eq!(Lag::parse("500ms"), Some(Lag::Time(Duration::from_millis(500))));
        assert_eq!(Lag::parse("1mb"), Some(Lag::Bytes(1 << 20)));
        assert_eq!(Lag::parse("0"), Some(Lag::Bytes(0)));
        assert_eq!([Lag::parse(""), Lag::parse("soon"), Lag::parse("-1")], [None, None, None]);
        assert!(Lag::Bytes(9).allows(9, u64::MAX) && !Lag::Bytes(9).allows(10, 0));
        let second = Lag::Time(Duration::from_secs(1));
        assert!(second.allows(u64::MAX, 1_000_000) && !second.allows(0, 1_000_001));
    }
}
