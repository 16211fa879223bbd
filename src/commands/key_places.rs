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
/// where it stores.
fn radius_places(request: Request<'_>, from: usize) -> Vec<(usize, Access)> {
    let takes_one = |word: &[u8]| is_any(word, &[b"STORE", b"STOREDIST", b"COUNT"]);
    let options = options(request, from, move |word| usize::from(takes_one(word)));
    stored_places(request, options, &[b"STORE", b"STOREDIST"])
}

/// The key of SORT, and where it stores.
fn sort_places(request: Request<'_>) -> Vec<(usize, Access)> {
    stored_places(request, sort_options(request), &[b"STORE"])
}

/// Places of the options of SORT; the words behind one are its values, and no options.
pub fn sort_options(request: Request<'_>) -> impl Iterator<Item = usize> + Clone {
    options(request, 2, |word| match word {
        _ if is_any(word, &[b"LIMIT"]) => 2,
        _ => usize::from(is_any(word, &[b"BY", b"GET", b"STORE"])),
    })
}

/// Places of options from `first` on, of which each takes so many values behind it.
fn options(
    request: Request<'_>,
    first: usize,
    values: impl Fn(&[u8]) -> usize + Clone,
) -> impl Iterator<Item = usize> + Clone {
    std::iter::successors(Some(first), move |at| Some(at + 1 + values(request.get(*at)?)))
        .take_while(move |at| *at < request.len())
}

/// The first key, and what stands behind the last of each option that says where to store.
fn stored_places(
    request: Request<'_>,
    options: impl Iterator<Item = usize> + Clone,
    stores: &[&[u8]],
) -> Vec<(usize, Access)> {
    let last_of = |store: &&[u8]| {
        let is_store = |at: &usize| request.get(*at).is_some_and(|it| is_any(it, &[store]));
        options.clone().filter(|at| is_store(at) && at + 1 < request.len()).last()
    };
    let stored = stores.iter().filter_map(last_of).map(|at| (at + 1, Access::REPLACE));
    [(1, Access::READ)].into_iter().chain(stored).collect()
}

fn is_any(word: &[u8], names: &[&[u8]]) -> bool {
    names.iter().any(|it| word.eq_ignore_ascii_case(it))
}
