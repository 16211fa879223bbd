//! Where a request's keys stand: what its row says, but for the few that say it in their own way.

use super::Command;
use super::verbs::migrate;
use crate::command::{Access, Fault};
use crate::resp::Request;

/// Places of the keys of a request of this command, with what is done to them. Rules of users and
/// COMMAND GETKEYS go by them; a route is found by the row alone, in `read_requirements`, since it
/// says where a request goes and not what it may do.
pub fn key_places(command: &Command, request: Request<'_>) -> Result<Vec<(usize, Access)>, Fault> {
    let places = match command.spec.name {
        "MIGRATE" => migrate::places(request)?,
        "SORT" => sort_places(request),
        "GEORADIUS" => radius_places(request, 6),
        "GEORADIUSBYMEMBER" => radius_places(request, 5),
        _ => command.spec.keys.places(request)?,
    };
    Ok(all_narrowed(command, places, request))
}

/// As [`key_places`], of a request whose arguments may not add up: where it does not say how many
/// keys it has, whatever may be one. A real server may read it otherwise.
pub fn possible_places(command: &Command, request: Request<'_>) -> Vec<(usize, Access)> {
    key_places(command, request).unwrap_or_else(|_| {
        all_narrowed(command, command.spec.keys.possible_places(request), request)
    })
}

fn all_narrowed(
    command: &Command,
    mut places: Vec<(usize, Access)>,
    request: Request<'_>,
) -> Vec<(usize, Access)> {
    for (_, access) in &mut places {
        *access = narrowed(command, *access, request);
    }
    places
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

/// The key of GEORADIUS and its like, whose options stand at argument `from` or behind it, and
/// where it stores: the word behind the last STORE or STOREDIST that is no other option's.
fn radius_places(request: Request<'_>, from: usize) -> Vec<(usize, Access)> {
    let mut places = vec![(1, Access::READ)];
    let mut at = from;
    while let Some(word) = request.get(at) {
        let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
        let stores = is(b"STORE") || is(b"STOREDIST");
        if stores && at + 1 < request.len() {
            places.truncate(1);
            places.push((at + 1, Access::REPLACE));
        }
        at += 1 + usize::from(stores || is(b"COUNT"));
    }
    places
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
