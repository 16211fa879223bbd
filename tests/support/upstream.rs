//! Sets of real servers, and an Entourage in front of them.

use super::clients::info_field;
use super::patience::until;
use super::servers::Server;
use super::value::Value;
use super::wire::Wire;

/// Whose servers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Redis,
    Valkey,
}

/// A master and its replicas, which have all it has.
pub struct RealSet {
    pub kind: Kind,
    pub members: Vec<Server>,
}

impl Kind {
    /// Those that there are here.
    pub fn all() -> Vec<Kind> {
        let has_valkey = Server::valkey().is_some();
        [Some(Kind::Redis), has_valkey.then_some(Kind::Valkey)].into_iter().flatten().collect()
    }

    /// A server of this kind.
    pub fn server(self, extra: &[&str]) -> Server {
        match self {
            Kind::Redis => Server::redis(extra),
            Kind::Valkey => Server::valkey_with(extra).expect("there is one"),
        }
    }
}

impl RealSet {
    /// A master with so many replicas, all started with these flags.
    pub fn new(kind: Kind, replicas: usize, extra: &[&str]) -> RealSet {
        const QUICK: [&str; 4] = ["--repl-diskless-sync-delay", "0", "--repl-timeout", "10"];
        let flags = [&QUICK[..], extra].concat();
        let master = kind.server(&flags);
        let port = master.port().to_string();
        let replica = |_| {
            let follow = ["--replicaof", "127.0.0.1", &port];
            kind.server(&[&flags[..], &follow].concat())
        };
        let members: Vec<Server> =
            std::iter::once(master).chain((0..replicas).map(replica).collect::<Vec<_>>()).collect();
        let set = RealSet { kind, members };
        set.members[1..].iter().for_each(until_linked);
        set
    }

    /// The members as a config file lists them.
    pub fn listed(&self) -> String {
        self.described(&[])
    }

    /// The same, with what is said of each beside its address.
    pub fn described(&self, said: &[&str]) -> String {
        let member = |(at, it): (usize, &Server)| {
            let said = said.get(at).copied().unwrap_or_default();
            format!("[[member]]\naddress = \"127.0.0.1:{}\"\n{said}", it.port())
        };
        self.members.iter().enumerate().map(member).collect()
    }

    /// An Entourage in front of it, with this at the end of its configuration, once all members
    /// stand as they should.
    pub fn proxy(&self, config: &str) -> Server {
        self.proxy_of(&self.listed(), config)
    }

    /// The same with members that are listed like this.
    pub fn proxy_of(&self, listed: &str, config: &str) -> Server {
        let text = format!(
            "[[listener]]\nbind = \"127.0.0.1:{{port}}\"\n[server]\nthreads = 2\n{listed}{config}"
        );
        let proxy = Server::entourage_with_config_and(&text, &["--loglevel", "notice"]);
        let mut wire = proxy.dial();
        until("the members", || {
            let states = states(&mut wire);
            let replicas = states.iter().filter(|it| *it == "replica").count();
            let are_all_known = states.iter().all(|it| it != "unknown");
            let are_all_there = states.len() == self.members.len() && are_all_known;
            (are_all_there && replicas == states.len() - 1).then_some(())
        });
        proxy
    }
}

/// What sentinels call the set that they watch.
pub const NAME: &str = "mymaster";

/// Three sentinels that watch this master.
pub fn sentinels(master: &Server) -> Vec<Server> {
    let text = format!(
        "port {{port}}\nsentinel monitor {NAME} 127.0.0.1 {} 2\nsentinel \
         down-after-milliseconds {NAME} 800\nsentinel failover-timeout {NAME} 4000\n",
        master.port()
    );
    let all: Vec<Server> = (0..3).map(|_| Server::sentinel(&text)).collect();
    for sentinel in &all {
        let mut wire = sentinel.dial();
        let field = |wire: &mut Wire, name: &str| {
            let master = wire.cmd(&["SENTINEL", "MASTER", NAME]);
            let fields = master.list();
            let found = fields.chunks(2).find(|it| it[0].string() == name);
            found.map(|it| it[1].string()).unwrap_or_default()
        };
        until("sentinels to know each other and the replicas", || {
            let others = field(&mut wire, "num-other-sentinels");
            (others == "2" && field(&mut wire, "num-slaves") == "2").then_some(())
        });
    }
    all
}

/// An Entourage in front of the master and two replicas that these watch.
pub fn proxy_of_sentinels(sentinels: &[Server]) -> Server {
    let list: Vec<String> =
        sentinels.iter().map(|it| format!("\"127.0.0.1:{}\"", it.port())).collect();
    let text = format!(
        "[[listener]]\nbind = \"127.0.0.1:{{port}}\"\n[upstream]\nsentinels = [{}]\n\
         master-name = \"{NAME}\"\nbuffer-for = \"30s\"\nprobe-every = \"100ms\"\n\
         replica-timeout = \"500ms\"\nreply-timeout = \"2s\"\n[consistency]\nlevel = \"sticky\"\n",
        list.join(", ")
    );
    let proxy = Server::entourage_with_config_and(&text, &["--loglevel", "notice"]);
    let mut wire = proxy.dial();
    until("the members", || {
        let mut states = states(&mut wire);
        states.sort();
        (states == ["master", "replica", "replica"]).then_some(())
    });
    proxy
}

/// How the members stand, in their order.
pub fn states(wire: &mut Wire) -> Vec<String> {
    each(wire, "state")
}

/// A field of all members, in their order.
pub fn each(wire: &mut Wire, name: &str) -> Vec<String> {
    let nodes = wire.ask("PROXY NODES");
    nodes.list().chunks(2).map(|it| field_of(&it[1], name)).collect()
}

/// A field of a member, by its place.
pub fn node_field(wire: &mut Wire, place: usize, name: &str) -> String {
    let nodes = wire.ask("PROXY NODES");
    field_of(&nodes.list()[place * 2 + 1], name)
}

fn field_of(member: &Value, name: &str) -> String {
    let fields = member.list();
    let found = fields.chunks(2).find(|it| it[0].string() == name);
    found.map_or_else(String::new, |it| match it[1].int() {
        Some(number) => number.to_string(),
        None => it[1].string(),
    })
}

/// Waits until a replica's link is up.
pub fn until_linked(replica: &Server) {
    let mut wire = replica.dial();
    until("the link", || {
        (info_field(&mut wire, "replication", "master_link_status")? == "up").then_some(())
    });
}
