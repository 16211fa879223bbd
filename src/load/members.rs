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
}

impl Served {
    /// Asks a server; `None` if it is no Entourage.
    pub fn ask(control: &mut Control) -> Option<Served> {
        let mut ask = |words: [&str; 2]| control.ask(&words.map(str::to_owned)).ok();
        let reads = reads(&text_of(&ask(["PROXY", "STATS"])?)?);
        let nodes = String::from_utf8_lossy(&ask(["PROXY", "NODES"])?).into_owned();
        Some(Served { reads, master: master(&nodes) })
    }

    /// What was served since `before`.
    pub fn since(&self, before: &Served) -> Served {
        let reads = self.reads.iter().map(|(member, reads)| {
            (member.clone(), reads.saturating_sub(*before.reads.get(member).unwrap_or(&0)))
        });
        Served { reads: reads.collect(), master: self.master.clone() }
    }

    /// The share of reads that replicas served, from 0 to 1; `None` if there were no reads.
    pub fn share_of_replicas(&self) -> Option<f64> {
        let all: u64 = self.reads.values().sum();
        let of_master = self.reads.get(&self.master).copied().unwrap_or(0);
        (all != 0).then(|| (all - of_master) as f64 / all as f64)
    }
}

/// The name of the master in the reply of PROXY NODES: the word before `role` and `master`.
fn master(nodes: &str) -> String {
    let words = nodes.lines().filter(|it| !it.starts_with(['$', '*', '%']));
    let words: Vec<&str> = words.collect();
    let place = words.windows(3).find(|it| it[1..] == ["role", "master"]);
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
        let before = Served { reads: reads(""), master: String::new() };
        let now = "staleness_bytes{route=default,member=n1}:count=1,p50=0\nother:1\n\
                   staleness_bytes{route=default,member=n2}:count=99,p50=0\n";
        let now = Served { reads: reads(now), master: "n1".to_owned() };
        assert_eq!(now.since(&before).share_of_replicas(), Some(0.99));
        assert_eq!(now.since(&now).share_of_replicas(), None);
        let nodes = "*4\r\n$2\r\nn2\r\n*2\r\n$4\r\nrole\r\n$7\r\nreplica\r\n$2\r\nn1\r\n*2\r\n\
                     $4\r\nrole\r\n$6\r\nmaster\r\n";
        assert_eq!(master(nodes), "n1");
    }
}
