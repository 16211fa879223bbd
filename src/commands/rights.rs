//! Whether a user may do what a request asks for, and what is kept of it when not.

use super::client_line::line;
use super::context::{Command, Table};
use super::key_places::{narrowed, possible_places};
use crate::acl::{
    Asked, Channels, Denial, DenialContext, DenialReason, Denied, DeniedName, KeyRights, Selector,
    User,
};
use crate::base::time::{MonoUs, WallMs};
use crate::command::{Access, Begin, Find, Flags, KeySpec};
use crate::resp::Request;
use crate::state::{Client, Server};

/// Whether `user` may do this; if not, what it may not.
#[inline]
pub fn check(user: &User, command: &Command, request: Request<'_>) -> Result<(), Denied> {
    if is_plainly_allowed(user.root(), command, request) {
        return Ok(());
    }
    check_all(user, command, request)
}

/// Whether a user's own rules let through a request whose keys stand where they can be seen without
/// counting: most requests are such. Allocates nothing.
#[inline]
fn is_plainly_allowed(rules: &Selector, command: &Command, request: Request<'_>) -> bool {
    if !rules.allows(command.id) || command.spec.flags.contains(Flags::PUBSUB) {
        return false;
    }
    if rules.has_all_keys() {
        return true;
    }
    let (places, step, access) = match command.spec.keys.0 {
        [] => return true,
        [KeySpec { begin: Begin::Index(at), find: Find::Range { last: 0, .. }, access, .. }] => {
            (*at..at + 1, 1, access)
        }
        [
            KeySpec {
                begin: Begin::Index(at),
                find: Find::Range { last: -1, step, limit: 0 },
                access,
                ..
            },
        ] => (*at..request.len(), *step, access),
        _ => return false,
    };
    if access.varies() {
        return false;
    }
    let Some(needed) = KeyRights::needed(*access) else { return false };
    let is_allowed = |at: usize| rules.allows_key(request.get(at).unwrap_or_default(), needed);
    places.step_by(step).all(is_allowed)
}

fn check_all(user: &User, command: &Command, request: Request<'_>) -> Result<(), Denied> {
    let (one, many);
    let keys: &[(usize, Access)] = match command.spec.keys.0 {
        [] => &[],
        [KeySpec { begin: Begin::Index(at), find: Find::Range { last: 0, .. }, access, .. }] => {
            one = [(*at, narrowed(command, *access, request))];
            if *at < request.len() { &one } else { &[] }
        }
        _ => {
            many = possible_places(command, request);
            &many
        }
    };
    user.check(&asked(command, request, keys))
}

/// Whether `user` may call this command with so much done to every key there is.
pub fn may_on_every_key(
    user: &User,
    command: &Command,
    request: Request<'_>,
    needed: KeyRights,
) -> bool {
    user.may_on_every_key(&asked(command, request, &[]), needed)
}

fn asked<'a>(command: &Command, request: Request<'a>, keys: &'a [(usize, Access)]) -> Asked<'a> {
    let is_pubsub = command.spec.flags.contains(Flags::PUBSUB);
    let channels = if is_pubsub { Channels::of(&command.name) } else { Channels::None };
    let is_open = command.spec.flags.contains(Flags::NO_AUTH);
    Asked { id: command.id, is_open, words: command.words, request, keys, channels }
}

/// What is kept of something that was denied to a client.
pub fn denial(
    table: &Table,
    server: &Server,
    client: &Client,
    reason: DenialReason,
    context: DenialContext,
    (now, wall): (MonoUs, WallMs),
) -> Denial {
    let (settings, head) = (server.settings(), server.set.head());
    let told = line(client, &settings, table, head, now);
    Denial {
        client: told.trim_end().to_owned(),
        user: DeniedName::of(client.names.lock().user.as_bytes()),
        ..Denial::new(reason, context, wall)
    }
}
