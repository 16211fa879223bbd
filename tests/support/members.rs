//! How the members of the set stand, and orders to them.

use super::patience::until;
use super::value::Value;
use super::wire::Wire;
use std::collections::HashMap;

/// The replicas of the default set.
pub const BOTH: &[&str] = &["n2", "n3"];

/// How a member stands, as PROXY NODES tells it.
pub fn node(wire: &mut Wire, name: &str) -> HashMap<String, Value> {
    let nodes = wire.ask("PROXY NODES");
    let found = nodes.list().chunks(2).find(|it| it[0].string() == name);
    let fields = found.unwrap_or_else(|| panic!("no {name} in {nodes}"))[1].list();
    fields.chunks(2).map(|it| (it[0].string(), it[1].clone())).collect()
}

/// Gives an order to each of these members.
pub fn order(wire: &mut Wire, names: &[&str], what: &str) {
    for name in names {
        assert_eq!(wire.ask(&format!("PROXY NODE {name} {what}")).string(), "OK");
    }
}

/// Waits until each of these members is more than `us` microseconds behind.
pub fn until_behind(wire: &mut Wire, names: &[&str], us: i64) {
    for name in names {
        until("a member to fall behind", || {
            node(wire, name)["lag-us"].int().is_some_and(|it| us < it).then_some(())
        });
    }
}

/// The digest of each member, once all are at one offset.
pub fn digests(wire: &mut Wire) -> Vec<String> {
    until("all members to be at one offset", || {
        let reply = wire.ask("DEBUG DIGEST MEMBERS");
        let members: Vec<&[Value]> = reply.list().iter().map(Value::list).collect();
        let same = members.iter().all(|it| it[1] == members[0][1]);
        same.then(|| members.iter().map(|it| it[2].string()).collect())
    })
}
