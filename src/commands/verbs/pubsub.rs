//! Publish and subscribe.

use super::help::help;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Access, Fault, Flags, Group, KeySpec, Keys};
use crate::commands::{CommandContext, Outcome, SessionRow, session_container, session_row};
use crate::session::SubscriptionKind::{self, Channel, Pattern, ShardChannel};
use crate::session::Subscriptions;
use bytes::Bytes;

const LOOKS: Flags = Flags::PUBSUB.union(Flags::LOADING).union(Flags::STALE);
const SUBSCRIBES: Flags = LOOKS.union(Flags::NOSCRIPT).union(Flags::IN_PUBSUB);
const PUBLISHES: Flags = LOOKS.union(Flags::FAST).union(Flags::MAY_REPLICATE);
const SHARD_CHANNEL: Keys = Keys(&[KeySpec::one(1, Access::CHANNEL)]);
const SHARD_CHANNELS: Keys = Keys(&[KeySpec::range(1, -1, 1, Access::CHANNEL)]);

const fn says(
    row: SessionRow,
    since: &'static str,
    complexity: &'static str,
    summary: &'static str,
    syntax: &'static str,
) -> SessionRow {
    row.says(Group::Pubsub, since, complexity, summary, syntax)
}

/// The family's rows.
pub const ROWS: &[SessionRow] = &[
    says(
        session_row("SUBSCRIBE", AtLeast(2), SUBSCRIBES, |it| subscribe(it, Channel)),
        "2.0.0",
        "O(N) where N is the number of channels to subscribe to.",
        "Receives what is published on these channels.",
        "channel [channel ...]",
    ),
    says(
        session_row("UNSUBSCRIBE", AtLeast(1), SUBSCRIBES, |it| unsubscribe(it, Channel)),
        "2.0.0",
        "O(N) where N is the number of channels to unsubscribe from.",
        "Receives no more what is published on these channels, or on any.",
        "[channel [channel ...]]",
    ),
    says(
        session_row("PSUBSCRIBE", AtLeast(2), SUBSCRIBES, |it| subscribe(it, Pattern)),
        "2.0.0",
        "O(N) where N is the number of patterns to subscribe to.",
        "Receives what is published on channels that match these patterns.",
        "pattern [pattern ...]",
    ),
    says(
        session_row("PUNSUBSCRIBE", AtLeast(1), SUBSCRIBES, |it| unsubscribe(it, Pattern)),
        "2.0.0",
        "O(N) where N is the number of patterns to unsubscribe from.",
        "Receives no more what is published on channels that match these patterns, or any.",
        "[pattern [pattern ...]]",
    ),
    says(
        session_row("PUBLISH", Exactly(3), PUBLISHES, |it| publish(it, Channel)),
        "2.0.0",
        "O(N+M) where N is the number of subscribers and M is the number of patterns.",
        "Sends a message to all who subscribe to a channel; answers how many do.",
        "channel message",
    ),
    session_container("PUBSUB", SUBCOMMANDS).says(
        Group::Pubsub,
        "2.8.0",
        "Depends on the subcommand",
        "Looks at channels, patterns and subscribers.",
        "",
    ),
    says(
        session_row("SSUBSCRIBE", AtLeast(2), SUBSCRIBES, |it| subscribe(it, ShardChannel))
            .keys(SHARD_CHANNELS),
        "7.0.0",
        "O(N) where N is the number of shard channels to subscribe to.",
        "Receives what is published on these shard channels.",
        "shardchannel [shardchannel ...]",
    ),
    says(
        session_row("SUNSUBSCRIBE", AtLeast(1), SUBSCRIBES, |it| unsubscribe(it, ShardChannel))
            .keys(SHARD_CHANNELS),
        "7.0.0",
        "O(N) where N is the number of shard channels to unsubscribe from.",
        "Receives no more what is published on these shard channels, or on any.",
        "[shardchannel [shardchannel ...]]",
    ),
    says(
        session_row("SPUBLISH", Exactly(3), PUBLISHES, |it| publish(it, ShardChannel))
            .keys(SHARD_CHANNEL),
        "7.0.0",
        "O(N) where N is the number of subscribers.",
        "Sends a message to all who subscribe to a shard channel; answers how many do.",
        "shardchannel message",
    ),
];

const EVERY_NAME: &str = "O(N) where N is the number of channels";
const EVERY_ARGUMENT: &str = "O(N) where N is the number of requested channels";

const SUBCOMMANDS: &[SessionRow] = &[
    says(
        session_row("CHANNELS", AtLeast(2), LOOKS, |it| names(it, Channel)),
        "2.8.0",
        EVERY_NAME,
        "Lists the channels that have subscribers.",
        "[pattern]",
    ),
    says(
        session_row("NUMPAT", Exactly(2), LOOKS, count_patterns),
        "2.8.0",
        "O(1)",
        "Answers how many patterns have subscribers.",
        "",
    ),
    says(
        session_row("NUMSUB", AtLeast(2), LOOKS, |it| count_subscribers(it, Channel)),
        "2.8.0",
        EVERY_ARGUMENT,
        "Answers how many subscribe to each of these channels.",
        "[channel [channel ...]]",
    ),
    says(
        session_row("SHARDCHANNELS", AtLeast(2), LOOKS, |it| names(it, ShardChannel)),
        "7.0.0",
        EVERY_NAME,
        "Lists the shard channels that have subscribers.",
        "[pattern]",
    ),
    says(
        session_row("SHARDNUMSUB", AtLeast(2), LOOKS, |it| count_subscribers(it, ShardChannel)),
        "7.0.0",
        EVERY_ARGUMENT,
        "Answers how many subscribe to each of these shard channels.",
        "[shardchannel [shardchannel ...]]",
    ),
    help(Group::Pubsub, "6.2.0"),
];

fn subscribe(context: &mut CommandContext<'_>, kind: SubscriptionKind) -> Result<Outcome, Fault> {
    if kind == ShardChannel && context.session.is_in_exec {
        // Redis lets only the two older ones do that.
        return Err(Fault::Static("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client"));
    }
    if context.is_too_long(context.args.left()) {
        return Ok(Outcome::Long);
    }
    let subscriptions = context.session.subscriptions.get_or_insert_default();
    for name in context.args.rest() {
        let kept = Bytes::copy_from_slice(name);
        if subscriptions.add(kind, kept.clone()) {
            context.server.pubsub.subscribe(kind, kept, context.client.clone());
        }
        context.reply.push(3);
        context.reply.bulk(match kind {
            Channel => b"subscribe".as_slice(),
            Pattern => b"psubscribe",
            ShardChannel => b"ssubscribe",
        });
        context.reply.bulk(name);
        context.reply.count(subscriptions.counted_with(kind));
    }
    context.client.subscribed.note(subscriptions);
    Ok(Outcome::Answered)
}

fn unsubscribe(context: &mut CommandContext<'_>, kind: SubscriptionKind) -> Result<Outcome, Fault> {
    let had = context.session.subscriptions.as_ref().map_or(0, |it| it.of(kind).len());
    let names = match context.args.left() {
        0 => had,
        given => given,
    };
    if context.is_too_long(names) {
        return Ok(Outcome::Long);
    }
    let mut none = Subscriptions::default();
    let subscriptions = context.session.subscriptions.as_deref_mut().unwrap_or(&mut none);
    let given = context.args.rest();
    let all: Vec<Bytes> = match given.len() {
        0 => subscriptions.of(kind).iter().cloned().collect(),
        _ => Vec::new(),
    };
    let mut remove = |name: Option<&[u8]>| {
        if let Some(name) = name.filter(|it| subscriptions.remove(kind, it)) {
            context.server.pubsub.unsubscribe(kind, name, context.client.id);
        }
        context.reply.push(3);
        context.reply.bulk(match kind {
            Channel => b"unsubscribe".as_slice(),
            Pattern => b"punsubscribe",
            ShardChannel => b"sunsubscribe",
        });
        context.reply.maybe(name);
        context.reply.count(subscriptions.counted_with(kind));
    };
    if given.len() == 0 && all.is_empty() {
        remove(None);
    }
    given.for_each(|it| remove(Some(it)));
    all.iter().for_each(|it| remove(Some(it)));
    if let Some(subscriptions) = &context.session.subscriptions {
        context.client.subscribed.note(subscriptions);
    }
    Ok(Outcome::Answered)
}

fn publish(_: &mut CommandContext<'_>, kind: SubscriptionKind) -> Result<Outcome, Fault> {
    Ok(Outcome::Publish(kind))
}

fn names(context: &mut CommandContext<'_>, kind: SubscriptionKind) -> Result<Outcome, Fault> {
    let pattern = match context.args.left() {
        0 => None,
        1 => Some(context.args.next()?),
        _ => return Err(context.args.misused("PUBSUB")),
    };
    if context.is_too_long(context.server.pubsub.count(kind)) {
        return Ok(Outcome::Long);
    }
    let names = context.server.pubsub.names(kind, pattern);
    context.reply.array(names.len());
    names.iter().for_each(|it| context.reply.bulk(it));
    Ok(Outcome::Answered)
}

fn count_patterns(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    context.reply.count(context.server.pubsub.count(Pattern));
    Ok(Outcome::Answered)
}

fn count_subscribers(
    context: &mut CommandContext<'_>,
    kind: SubscriptionKind,
) -> Result<Outcome, Fault> {
    if context.is_too_long(context.args.left()) {
        return Ok(Outcome::Long);
    }
    let channels = context.args.rest();
    context.reply.array(2 * channels.len());
    for channel in channels {
        context.reply.bulk(channel);
        context.reply.count(context.server.pubsub.subscribers(kind, channel));
    }
    Ok(Outcome::Answered)
}
