//! The replica that is to become the master, as the master knows it: it may have another address
//! there than here, and must be no other replica.

use super::talk::Talk;
use crate::base::ids::MemberId;
use crate::base::remote_address::RemoteAddress;
use crate::node::upstream::Report;
use crate::replication::ASK_MASTER_INFO;
use crate::state::Upstream;

/// The master and a replica of it, each with a connection to it.
pub struct Pair<'t> {
    /// The master.
    pub master: &'t mut Talk,
    /// The replica.
    pub replica: &'t mut Talk,
}

/// Where a master knows a replica.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Listed {
    /// There, where we do.
    Same(RemoteAddress),
    /// By its port alone, at another host: it may be another replica.
    ByPort(RemoteAddress),
}

/// Where the master knows this replica.
pub async fn address_at(
    Pair { master, replica }: Pair<'_>,
    upstream: &Upstream,
    id: MemberId,
) -> Result<RemoteAddress, String> {
    let told = master.ask(&ASK_MASTER_INFO, upstream.settings.replica_timeout).await;
    let told = told.map_err(|it| format!("the master cannot be asked: {it}"))?;
    let listed = replicas_in(&String::from_utf8_lossy(&told));
    let members = upstream.members();
    let others: Vec<_> = members
        .iter()
        .filter(|it| it.id != id && !it.is_gone())
        .map(|it| it.address.clone())
        .collect();
    match find(&listed, &members[id.index()].address, &others)? {
        Listed::Same(address) => Ok(address),
        Listed::ByPort(address) => {
            follows_directly(Pair { master, replica }, upstream).await.map(|()| address)
        }
    }
}

/// Finds a replica among those that the master tells of.
fn find(
    listed: &[RemoteAddress],
    ours: &RemoteAddress,
    others: &[RemoteAddress],
) -> Result<Listed, String> {
    if let Some(same) = listed.iter().find(|it| *it == ours) {
        return Ok(Listed::Same(same.clone()));
    }
    let is_of_port = |it: &&RemoteAddress| it.port == ours.port && !others.contains(it);
    let of_port: Vec<_> = listed.iter().filter(is_of_port).collect();
    match of_port.as_slice() {
        [one] => Ok(Listed::ByPort((*one).clone())),
        [] => Err("the master does not know it as a replica that is online".to_owned()),
        _ => Err("the master knows several replicas by its port".to_owned()),
    }
}

/// Whether the replica follows the master itself, and none of its replicas. It may know it by
/// another address than we do, so the one that it follows is asked who it is.
async fn follows_directly(
    Pair { master, replica }: Pair<'_>,
    upstream: &Upstream,
) -> Result<(), String> {
    let settings = &upstream.settings;
    let cannot = |why: &str| format!("the master knows it by its port alone, and {why}");
    let report = replica.ask(&ASK_MASTER_INFO, settings.replica_timeout).await;
    let followed = report.ok().and_then(|it| Report::read(&it)?.follows);
    let (host, port) = followed.ok_or_else(|| cannot("it does not say whom it follows"))?;
    let there = RemoteAddress { host: String::from_utf8_lossy(&host).into_owned(), port };
    let talk = Talk::with(upstream, &there).await;
    let mut followed =
        talk.map_err(|it| cannot(&format!("{there}, which it follows, cannot be asked: {it}")))?;
    let (ours, its) = (run_id(master, upstream).await, run_id(&mut followed, upstream).await);
    match ours.is_some() && ours == its {
        true => Ok(()),
        false => Err(cannot(&format!("it follows {there}, which is another server"))),
    }
}

/// What a server calls this run of itself.
async fn run_id(talk: &mut Talk, upstream: &Upstream) -> Option<String> {
    let told = talk.ask(&[b"INFO", b"server"], upstream.settings.replica_timeout).await.ok()?;
    let told = String::from_utf8_lossy(&told);
    let id = told.lines().find_map(|it| it.strip_prefix("run_id:"))?.trim();
    (!id.is_empty()).then(|| id.to_owned())
}

/// The replicas that a master tells to be online: `slave0:ip=…,port=…,state=online,…`.
fn replicas_in(info: &str) -> Vec<RemoteAddress> {
    let replica = |line: &str| {
        let (name, fields) = line.trim().split_once(':')?;
        name.strip_prefix("slave")?.parse::<u32>().ok()?;
        let field =
            |name: &str| fields.split(',').find_map(|it| it.strip_prefix(name)?.strip_prefix('='));
        let port = field("port")?.parse().ok()?;
        (field("state")? == "online")
            .then(|| Some(RemoteAddress { host: field("ip")?.to_owned(), port }))?
    };
    info.lines().filter_map(replica).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_read_from_what_their_master_tells() {
        let info = "role:master\r\nconnected_slaves:3\r\n\
                    slave0:ip=10.0.0.1,port=7001,state=online,offset=5,lag=0\r\n\
                    slave1:ip=::1,port=7002,state=wait_bgsave,offset=0,lag=0\r\n\
                    slave2:ip=db,port=7003,state=online,offset=5,lag=1,type=replica\r\n\
                    slave_expires_tracked_keys:0\r\n";
        let told: Vec<String> = replicas_in(info).iter().map(ToString::to_string).collect();
        assert_eq!(told, ["10.0.0.1:7001", "db:7003"]);
    }

    #[test]
    fn a_replica_of_the_same_port_is_not_taken_for_another_member() {
        let at = |host: &str| RemoteAddress { host: host.to_owned(), port: 6379 };
        let found = |listed: &[&str]| {
            let listed: Vec<_> = listed.iter().map(|it| at(it)).collect();
            find(&listed, &at("n2"), &[at("m"), at("n3")])
        };
        assert_eq!(found(&["n3", "n2"]), Ok(Listed::Same(at("n2"))));
        assert_eq!(found(&["n3", "10.0.0.2"]), Ok(Listed::ByPort(at("10.0.0.2"))));
        assert!(found(&["n3"]).is_err_and(|it| it.contains("does not know it")));
        assert!(found(&["10.0.0.3", "10.0.0.2"]).is_err_and(|it| it.contains("several")));
    }
}
