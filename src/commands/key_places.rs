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

/// The key of SORT, and where it stores: the word behind its last STORE.
fn sort_places(request: Request<'_>) -> Vec<(usize, Access)> {
    let is_store = |it: &usize| request.get(*it).is_some_and(|it| is(it, b"STORE"));
    let stores = sort_options(request).filter(|at| is_store(at) && at + 1 < request.len()).last();
    let stored = stores.map(|at| (at + 1, Access::REPLACE));
    [(1, Access::READ)].into_iter().chain(stored).collect()
}

/// Places of the options of SORT; the words behind one are its values, and no options.
pub fn sort_options(request: Request<'_>) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(2), move |at| {
        let word = request.get(*at)?;
        let takes_one = [&b"BY"[..], b"GET", b"STORE"].iter().any(|it| is(word, it));
        Some(at + 1 + if is(word, b"LIMIT") { 2 } else { usize::from(takes_one) })
    })
    .take_while(move |at| *at < request.len())
}

fn is(word: &[u8], name: &[u8]) -> bool {
    word.eq_ignore_ascii_case(name)
}
