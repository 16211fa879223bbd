//! What sentinels say of a master and its replicas.

use super::pairs::{Pairs, maps};
use crate::base::number::parse_u64;
use crate::base::remote_address::RemoteAddress;

/// What each sentinel has said last of who the master is.
#[derive(Clone, Debug, Default)]
pub struct MasterVotes {
    votes: Vec<Option<Vote>>,
}

/// What one sentinel has said.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Vote {
    address: RemoteAddress,
    /// Grows with each failover that sentinels have agreed on.
    epoch: u64,
}

impl Vote {
    fn read(reply: &[u8]) -> Option<Vote> {
        let maps = maps(reply)?;
        let map = maps.first()?;
        Some(Vote { address: address_in(map)?, epoch: number(map, b"config-epoch")? })
    }
}

impl MasterVotes {
    /// Nothing has been heard of so many sentinels.
    pub fn new(sentinels: usize) -> MasterVotes {
        MasterVotes { votes: vec![None; sentinels] }
    }

    /// A sentinel has answered SENTINEL MASTER with this.
    pub fn told(&mut self, sentinel: usize, reply: &[u8]) {
        self.votes[sentinel] = Vote::read(reply);
    }

    /// A sentinel has announced this master.
    pub fn announced(&mut self, sentinel: usize, address: RemoteAddress) {
        // The epoch of what it announces is at least one more than of what it said before.
        let epoch = self.votes[sentinel].as_ref().map_or(0, |it| it.epoch + 1);
        self.votes[sentinel] = Some(Vote { address, epoch });
    }

    /// A sentinel does not answer.
    pub fn silent(&mut self, sentinel: usize) {
        self.votes[sentinel] = None;
    }

    /// The master that so many sentinels name. Of two, that of the later failover.
    pub fn master(&self, quorum: usize) -> Option<&RemoteAddress> {
        let votes = || self.votes.iter().flatten();
        let count = |it: &Vote| votes().filter(|other| other.address == it.address).count();
        let named = votes().filter(|it| quorum <= count(it));
        named.max_by_key(|it| it.epoch).map(|it| &it.address)
    }
}

/// The servers in the answer of SENTINEL REPLICAS or SENTINEL MASTER that can be reached.
pub fn replica_addresses(reply: &[u8]) -> Vec<RemoteAddress> {
    maps(reply).unwrap_or_default().iter().filter_map(address_in).collect()
}

fn field<'r>(map: &Pairs<'r>, name: &[u8]) -> Option<&'r [u8]> {
    map.iter().find(|it| it.0 == name).map(|it| it.1)
}

fn number(map: &Pairs<'_>, name: &[u8]) -> Option<u64> {
    parse_u64(field(map, name)?)
}

fn address_in(map: &Pairs<'_>) -> Option<RemoteAddress> {
    let host = String::from_utf8(field(map, b"ip")?.to_vec()).ok()?;
    let port = u16::try_from(number(map, b"port")?).ok()?;
    (!host.is_empty() && port != 0).then_some(RemoteAddress { host, port })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::encode_command;

    fn words(words: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_command(&mut bytes, words.iter().map(|it| it.as_bytes()));
        bytes
    }

    fn master(port: &str, epoch: &str) -> Vec<u8> {
        words(&["name", "mymaster", "ip", "::1", "port", port, "config-epoch", epoch])
    }

    #[test]
    fn a_master_is_whom_enough_sentinels_name_and_of_two_the_later() {
        let mut votes = MasterVotes::new(3);
        assert_eq!(votes.master(2), None);
        votes.told(0, &master("1", "0"));
        assert_eq!(votes.master(2), None);
        votes.told(1, &master("1", "0"));
        assert_eq!(votes.master(2).map(|it| it.port), Some(1));
        votes.told(2, &master("2", "1"));
        assert_eq!(votes.master(1).map(|it| it.port), Some(2));
        votes.announced(0, RemoteAddress { host: "::1".into(), port: 2 });
        assert_eq!(votes.master(2).map(|it| it.port), Some(2));
        votes.silent(2);
        assert_eq!(votes.master(2), None, "one of two is left with either");
        votes.told(0, b"-ERR No such master with that name\r\n");
        assert_eq!((votes.master(1).map(|it| it.port), votes.master(2)), (Some(1), None));
    }

    #[test]
    fn replicas_are_read_from_an_array_of_maps() {
        let mut reply = b"*2\r\n".to_vec();
        reply.extend(words(&["name", "a", "ip", "10.0.0.7", "port", "7001"]));
        reply.extend(words(&["ip", "10.0.0.8", "port", "7002", "flags", "slave"]));
        let told: Vec<String> = replica_addresses(&reply).iter().map(|it| it.to_string()).collect();
        assert_eq!(told, ["10.0.0.7:7001", "10.0.0.8:7002"]);
        for broken in [&b"*0\r\n"[..], b"-ERR no\r\n", b"*1\r\n*2\r\n$1\r\nx", b""] {
            assert_eq!(replica_addresses(broken), [], "{broken:?}");
        }
    }

    #[test]
    fn what_a_sentinel_announces_is_later_than_what_it_said_before() {
        let mut votes = MasterVotes::new(2);
        votes.told(0, &master("1", "5"));
        votes.told(1, &master("2", "5"));
        votes.announced(0, RemoteAddress { host: "::1".into(), port: 3 });
        assert_eq!(votes.master(1).map(|it| it.port), Some(3));
    }

    #[test]
    fn nobody_is_reached_without_a_host_and_a_port() {
        let mut reply = b"*3\r\n".to_vec();
        for (ip, port) in [("", "7001"), ("10.0.0.7", "0"), ("10.0.0.8", "7002")] {
            reply.extend(words(&["ip", ip, "port", port]));
        }
        let told: Vec<String> = replica_addresses(&reply).iter().map(|it| it.to_string()).collect();
        assert_eq!(told, ["10.0.0.8:7002"]);
    }
}
