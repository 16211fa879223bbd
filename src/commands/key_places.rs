//! Where a request's keys stand: what its row says, but for the few that say it in their own way.

use super::Command;
use super::verbs::migrate;
use crate::command::{Access, Fault};
use crate::resp::Request;

/// Places of the keys of a request of this command, with what is done to them. Routing, rules of
/// users and COMMAND GETKEYS go by them.
pub fn key_places(command: &Command, request: Request<'_>) -> Result<Vec<(usize, Access)>, Fault> {
    let mut places = match command.spec.name {
        "MIGRATE" => migrate::places(request)?,
        "SORT" => sort_places(request),
        _ => command.spec.keys.places(request)?,
    };
    for (_, access) in &mut places {
        *access = narrowed(command, *access, request);
    }
    Ok(places)
}

/// Where it depends on the arguments, what is done to a key is what these arguments do: SET reads
/// only with GET, BITFIELD writes only with something else than GET.
#[inline]
pub fn narrowed(command: &Command, access: Access, request: Request<'_>) -> Access {
    if !access.varies() {
        return access;
    }
    let has = |from: usize, word: &[u8]| {
        request.iter().skip(from).any(|it| it.eq_ignore_ascii_case(word))
    };
    match command.spec.name {
        "SET" if !has(3, b"GET") => Access::REPLACE,
        "BITFIELD" if !has(2, b"SET") && !has(2, b"INCRBY") => Access::READ,
        _ => access,
    }
}

/// The key of SORT, and where it stores: the word behind the last STORE that is no other option's.
fn sort_places(request: Request<'_>) -> Vec<(usize, Access)> {
    let mut places = vec![(1, Access::READ)];
    let mut at = 2;
    while let Some(word) = request.get(at) {
        let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
        if is(b"STORE") && at + 1 < request.len() {
            places.truncate(1);
            places.push((at + 1, Access::REPLACE));
        }
        let values =
            if is(b"LIMIT") { 2 } else { usize::from(is(b"BY") || is(b"GET") || is(b"STORE")) };
        at += 1 + values;
    }
    places
}
