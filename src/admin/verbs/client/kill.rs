//! CLIENT KILL: one address, or everyone who fits all of the conditions.

use super::Kind;
use crate::admin::{After, Client, Turn};
use crate::base::number;
use crate::command::Fault;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// What a client must be to be closed.
enum Condition<'a> {
    Id(u64),
    Kind(Kind),
    Address(&'a [u8]),
    LocalAddress(&'a [u8]),
    User(&'a [u8]),
}

impl Condition<'_> {
    fn fits(&self, client: &Client) -> bool {
        match self {
            Condition::Id(id) => client.id == *id,
            Condition::Kind(kind) => kind.is_of(client),
            Condition::Address(address) => client.address.as_bytes() == *address,
            Condition::LocalAddress(address) => client.local_address.as_bytes() == *address,
            Condition::User(user) => client.names.lock().user.as_bytes() == *user,
        }
    }
}

/// CLIENT KILL.
pub fn kill(turn: &mut Turn<'_>) -> Result<After, Fault> {
    if turn.args.left() == 1 {
        return kill_one(turn);
    }
    let mut conditions = Vec::new();
    let mut spares_self = true;
    while turn.args.left() != 0 {
        if 2 <= turn.args.left() && turn.args.word("SKIPME") {
            spares_self = yes_or_no(turn)?;
        } else {
            conditions.push(condition(turn)?);
        }
    }
    let own = turn.client.id;
    let mut clients = turn.house.clients.all();
    clients.retain(|client| conditions.iter().all(|it| it.fits(client)));
    clients.retain(|client| !(spares_self && client.id == own));
    turn.reply.count(clients.len());
    Ok(close(turn, &clients))
}

fn kill_one(turn: &mut Turn<'_>) -> Result<After, Fault> {
    let address = Condition::Address(turn.args.next()?);
    let mut clients = turn.house.clients.all();
    clients.retain(|it| address.fits(it));
    clients.truncate(1);
    if clients.is_empty() {
        return Err(Fault::Says("ERR No such client"));
    }
    turn.reply.ok();
    Ok(close(turn, &clients))
}

fn yes_or_no(turn: &mut Turn<'_>) -> Result<bool, Fault> {
    match (turn.args.word("YES"), turn.args.word("NO")) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err(Fault::Syntax),
    }
}

fn condition<'a>(turn: &mut Turn<'a>) -> Result<Condition<'a>, Fault> {
    let args = &mut turn.args;
    if args.left() < 2 {
        return Err(Fault::Syntax);
    }
    if args.word("ID") {
        let id = number::parse_i64(args.next()?).filter(|it| 0 < *it);
        let id = id.ok_or(Fault::Says("ERR client-id should be greater than 0"))?;
        Ok(Condition::Id(id as u64))
    } else if args.word("TYPE") {
        Kind::parse(args.next()?).map(Condition::Kind)
    } else if args.word("ADDR") {
        args.next().map(Condition::Address)
    } else if args.word("LADDR") {
        args.next().map(Condition::LocalAddress)
    } else if args.word("USER") {
        user(args.next()?)
    } else {
        Err(Fault::Syntax)
    }
}

fn user(name: &[u8]) -> Result<Condition<'_>, Fault> {
    if name == b"default" {
        return Ok(Condition::User(name));
    }
    let name = String::from_utf8_lossy(name);
    Err(Fault::Told(format!("ERR No such user '{name}'")))
}

/// Closes all of them; itself only when the answer is out.
fn close(turn: &Turn<'_>, clients: &[Arc<Client>]) -> After {
    let mut after = After::Answered;
    for client in clients {
        client.flags.is_closing.store(true, Relaxed);
        match client.id == turn.client.id {
            true => after = After::Close,
            false => client.stream.close(),
        }
    }
    after
}
