//! Which members of an Entourage served the reads, as its own statistics have it.

use super::control::{Control, text_of};
use std::collections::BTreeMap;

/// Reads by member, and which of them is the master.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Served {
    /// Reads by the member's name.
    pub reads: BTreeMap<String, u64>,
    /// The master's name.
    pub master: String,
    /// Reads that a master has served.
    pub of_master: u64,
}

impl Served {
    /// Asks a server; `None` if it is no Entourage.
    pub fn ask(control: &mut Control) -> Option<Served> {
        let mut ask = |words: [&str; 2]| control.ask(&words.map(str::to_owned)).ok();
        let reads = reads(&text_of(&ask(["PROXY", "STATS"])?)?);
        let nodes = String::from_utf8_lossy(&ask(["PROXY", "NODES"])?).into_owned();
        Some(Served { reads, master: master(&nodes), of_master: 0 })
    }

    /// What was served from the first of these until the last. Each stretch counts for the master
    /// that it began with.
    pub fn over(all: &[Served]) -> Option<Served> {
        let (first, last) = (all.first()?, all.last()?);
        let reads = last.reads.keys().map(|it| (it.clone(), last.reads_since(first, it)));
        let stretches = all.windows(2);
        let of_master = stretches.map(|it| it[1].reads_since(&it[0], &it[0].master)).sum();
        Some(Served { reads: reads.collect(), master: last.master.clone(), of_master })
    }

    fn reads_since(&self, before: &Served, member: &str) -> u64 {
        let of = |it: &Served| it.reads.get(member).copied().unwrap_or(0);
        of(self).saturating_sub(of(before))
    }

    /// The share of reads that replicas served, from 0 to 1; `None` if there were no reads.
    pub fn share_of_replicas(&self) -> Option<f64> {
        let all: u64 = self.reads.values().sum();
        (all != 0).then(|| all.saturating_sub(self.of_master) as f64 / all as f64)
    }
}

/// How far a replica is behind, as the target has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lag {
    /// Which replica.
    pub member: String,
    /// Bytes of the stream.
    pub bytes: u64,
    /// Time, where the target tells it in microseconds.
    pub us: Option<u64>,
}

/// Asks for the lag of all replicas: an Entourage, or any server that has INFO.
pub fn lags(control: &mut Control, is_entourage: bool) -> Option<Vec<Lag>> {
    let mut ask = |words: [&str; 2]| control.ask(&words.map(str::to_owned)).ok();
    if is_entourage {
        return Some(of_nodes(&String::from_utf8_lossy(&ask(["PROXY", "NODES"])?)));
    }
    Some(of_info(&text_of(&ask(["INFO", "replication"])?)?))
}

/// The values of a reply, one after the other, without what says their kind.
fn values(reply: &str) -> Vec<&str> {
    let is_value = |it: &&str| !it.starts_with(['$', '*', '%']);
    reply.lines().filter(is_value).map(|it| it.strip_prefix(':').unwrap_or(it)).collect()
}

fn of_nodes(reply: &str) -> Vec<Lag> {
    let values = values(reply);
    let mut lags: Vec<Lag> = Vec::new();
    for it in values.windows(3) {
        match (it[1], lags.last_mut()) {
            ("role", _) if it[2] == "replica" => {
                lags.push(Lag { member: it[0].to_owned(), bytes: 0, us: None });
            }
            ("lag-bytes", Some(lag)) => lag.bytes = it[2].parse().unwrap_or(0),
            ("lag-us", Some(lag)) => lag.us = it[2].parse().ok(),
            _ => {}
        }
    }
    lags
}

/// Of `slave0:ip=127.0.0.1,port=6380,state=online,offset=14,lag=0` and `master_repl_offset:20`.
fn of_info(text: &str) -> Vec<Lag> {
    let master = text.lines().find_map(|it| it.strip_prefix("master_repl_offset:"));
    let Some(master) = master.and_then(|it| it.trim().parse::<u64>().ok()) else {
        return Vec::new();
    };
    let lag = |line: &str| {
        let (name, fields) = line.split_once(':')?;
        let number = name.strip_prefix("slave")?;
        number.parse::<u32>().ok()?;
        let field = |name: &str| fields.split(',').find_map(|it| it.strip_prefix(name));
        let offset = field("offset=")?.trim().parse::<u64>().ok()?;
        let member = format!("{}:{}", field("ip=")?, field("port=")?);
        Some(Lag { member, bytes: master.saturating_sub(offset), us: None })
    };
    text.lines().filter_map(lag).collect()
}

/// The name of the master in the reply of PROXY NODES: the word before `role` and `master`.
fn master(nodes: &str) -> String {
    let values = values(nodes);
    let place = values.windows(3).find(|it| it[1..] == ["role", "master"]);
    place.map_or_else(String::new, |it| it[0].to_owned())
}

/// Reads by member, of the lines `staleness_bytes{route=…,member=n2}:count=5,…`.
fn reads(stats: &str) -> BTreeMap<String, u64> {
    let mut reads = BTreeMap::new();
    for line in stats.lines().filter_map(|it| it.strip_prefix("staleness_bytes{")) {
        let Some((labels, values)) = line.split_once("}:") else { continue };
        let member = labels.split(',').find_map(|it| it.strip_prefix("member="));
        let count = values.split(',').find_map(|it| it.strip_prefix("count="));
        let count = count.and_then(|it| it.parse::<u64>().ok());
        if let (Some(member), Some(count)) = (member, count) {
            *reads.entry(member.to_owned()).or_default() += count;
        }
    }
    reads
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_counted_by_member() {
        let at = |reads, master: &str| Served { reads, master: master.to_owned(), of_master: 0 };
        let before = at(reads(""), "n1");
        let now = "staleness_bytes{route=default,member=n1}:count=1,p50=0\nother:1\n\
                   staleness_bytes{route=default,member=n2}:count=99,p50=0\n";
        let now = at(reads(now), "n1");
        let share = |all: &[Served]| Served::over(all).and_then(|it| it.share_of_replicas());
        assert_eq!(share(&[before.clone(), now.clone()]), Some(0.99));
        assert_eq!(share(&[now.clone(), now.clone()]), None);
        // Then n2 becomes the master: what it has served before it served as a replica.
        let promoted = Served { master: "n2".to_owned(), ..now };
        let mut end = promoted.clone();
        *end.reads.get_mut("n1").unwrap() += 99;
        *end.reads.get_mut("n2").unwrap() += 1;
        assert_eq!(share(&[before, promoted, end]), Some(0.99));
        let nodes = "*4\r\n$2\r\nn2\r\n*2\r\n$4\r\nrole\r\n$7\r\nreplica\r\n$2\r\nn1\r\n*2\r\n\
                     $4\r\nrole\r\n$6\r\nmaster\r\n";
        assert_eq!(master(nodes), "n1");
    }

    #[test]
    fn lags_are_told_by_both_kinds_of_servers() {
        let nodes = "$2\r\nn1\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$2\r\nn2\r\n$4\r\nrole\r\n$7\r\n\
                     replica\r\n$9\r\nlag-bytes\r\n:12\r\n$6\r\nlag-us\r\n:345\r\n";
        let n2 = Lag { member: "n2".to_owned(), bytes: 12, us: Some(345) };
        assert_eq!(of_nodes(nodes), [n2]);
        let info = "role:master\r\nslave0:ip=::1,port=6380,state=online,offset=14,lag=0\r\n\
                    slave_expires:0\r\nmaster_repl_offset:20\r\n";
        let lag = Lag { member: "::1:6380".to_owned(), bytes: 6, us: None };
        assert_eq!(of_info(info), [lag]);
    }
}
