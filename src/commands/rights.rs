//! Whether a user may do what a request asks for, and what is kept of it when not.

use super::client_line::line;
use super::context::{Command, Table};
use super::key_places::{narrowed, possible_places};
use crate::acl::{Asked, Channels, Denial, DenialContext, DenialReason, Denied, KeyRights, User};
use crate::base::time::{MonoUs, WallMs};
use crate::command::{Access, Begin, Find, Flags, KeySpec};
use crate::resp::Request;
use crate::state::{Client, Server};

/// Whether `user` may do this; if not, what it may not.
pub fn check(user: &User, command: &Command, request: Request<'_>) -> Result<(), Denied> {
    let (one, many);
    let keys: &[(usize, Access)] = match command.spec.keys.0 {
        [] => &[],
        [KeySpec { begin: Begin::Index(at), find: Find::Range { last: 0, .. }, access }] => {
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
        user: client.names.lock().user.clone().into_bytes(),
        ..Denial::new(reason, context, wall)
    }
}
