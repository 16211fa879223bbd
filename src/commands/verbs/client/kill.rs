//! CLIENT KILL: one address, or everyone who fits all of the filters.

use super::kind::Kind;
use crate::base::number;
use crate::command::Fault;
use crate::commands::{CommandContext, Outcome};
use crate::state::Client;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// What a client must be to be closed.
enum Filter<'a> {
    Id(u64),
    Kind(Kind),
    Address(&'a [u8]),
    LocalAddress(&'a [u8]),
    User(&'a [u8]),
}

impl Filter<'_> {
    fn fits(&self, client: &Client) -> bool {
        match self {
            Filter::Id(id) => client.id == *id,
            Filter::Kind(kind) => kind.is_of(client),
            Filter::Address(address) => client.peer.address.as_bytes() == *address,
            Filter::LocalAddress(address) => client.peer.local_address.as_bytes() == *address,
            Filter::User(user) => client.names.lock().user.as_bytes() == *user,
        }
    }
}

/// CLIENT KILL.
pub fn kill(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    if context.args.left() == 1 {
        return kill_one(context);
    }
    let mut filters = Vec::new();
    let mut spares_self = true;
    while context.args.left() != 0 {
        if 2 <= context.args.left() && context.args.word("SKIPME") {
            spares_self = yes_or_no(context)?;
        } else {
            filters.push(filter(context)?);
        }
    }
    let own = context.client.id;
    let mut clients = context.server.clients.all();
    clients.retain(|client| filters.iter().all(|it| it.fits(client)));
    clients.retain(|client| !(spares_self && client.id == own));
    context.reply.count(clients.len());
    Ok(close(context, &clients))
}

fn kill_one(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let address = Filter::Address(context.args.next()?);
    let mut clients = context.server.clients.all();
    clients.retain(|it| address.fits(it));
    clients.truncate(1);
    if clients.is_empty() {
        return Err(Fault::Static("ERR No such client"));
    }
    context.reply.ok();
    Ok(close(context, &clients))
}

fn yes_or_no(context: &mut CommandContext<'_>) -> Result<bool, Fault> {
    match (context.args.word("YES"), context.args.word("NO")) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err(Fault::Syntax),
    }
}

fn filter<'a>(context: &mut CommandContext<'a>) -> Result<Filter<'a>, Fault> {
    let args = &mut context.args;
    if args.left() < 2 {
        return Err(Fault::Syntax);
    }
    if args.word("ID") {
        let id = number::parse_i64(args.next()?).filter(|it| 0 < *it);
        let id = id.ok_or(Fault::Static("ERR client-id should be greater than 0"))?;
        Ok(Filter::Id(id as u64))
    } else if args.word("TYPE") {
        Kind::parse(args.next()?).map(Filter::Kind)
    } else if args.word("ADDR") {
        args.next().map(Filter::Address)
    } else if args.word("LADDR") {
        args.next().map(Filter::LocalAddress)
    } else if args.word("USER") {
        let name = args.next()?;
        user(context, name)
    } else {
        Err(Fault::Syntax)
    }
}

fn user<'a>(context: &CommandContext<'_>, name: &'a [u8]) -> Result<Filter<'a>, Fault> {
    let is_there = std::str::from_utf8(name)
        .is_ok_and(|name| context.server.accounts.look(|it| it.get(name).is_some()));
    if is_there {
        return Ok(Filter::User(name));
    }
    let name = String::from_utf8_lossy(name);
    Err(Fault::Message(format!("ERR No such user '{name}'")))
}

/// Closes all of them; itself only when the answer is out.
fn close(context: &CommandContext<'_>, clients: &[Arc<Client>]) -> Outcome {
    let mut outcome = Outcome::Answered;
    for client in clients {
        client.flags.is_closing.store(true, Relaxed);
        if client.id == context.client.id {
            outcome = Outcome::Close;
        } else {
            // Nobody finds it any more, though its own task is yet to hear of it.
            context.server.clients.leave(client.id);
            client.kill();
        }
    }
    outcome
}
