//! PROXY ALERTS and PROXY EVENTS: what operators are to know of now, and what has happened lately.

use crate::command::Fault;
use crate::commands::{CommandContext, Outcome};
use crate::state::EVENTS_KEPT_MAX;

/// Events that are told where nobody says how many.
const EVENTS_TOLD: usize = 50;

/// A map for each alert that is raised. A member or a route is named where it is about one.
pub fn alerts(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let raised = context.server.alerts.raised();
    context.reply.array(raised.len());
    for alert in raised {
        let texts = [
            ("alert", alert.kind.as_str()),
            ("member", alert.subject.member()),
            ("route", alert.subject.route()),
            ("what", &alert.what),
            ("unit", alert.kind.unit()),
        ];
        let numbers = [
            ("value", alert.value),
            ("worst", alert.worst),
            ("threshold", alert.threshold),
            ("since-ms", alert.since.0),
        ];
        context.reply.map(texts.len() + numbers.len());
        for (name, text) in texts {
            context.reply.bulk(name.as_bytes());
            context.reply.bulk(text.as_bytes());
        }
        for (name, number) in numbers {
            context.reply.bulk(name.as_bytes());
            context.reply.int(i64::try_from(number).unwrap_or(i64::MAX));
        }
    }
    Ok(Outcome::Answered)
}

/// A map for each event, newest first.
pub fn events(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let count = match context.args.left() {
        0 => EVENTS_TOLD,
        _ if !context.args.word("COUNT") => return Err(Fault::Syntax),
        _ => match usize::try_from(context.args.int()?) {
            Ok(count) => count.min(EVENTS_KEPT_MAX),
            Err(_) => return Err(Fault::Static("ERR COUNT is a number from 0")),
        },
    };
    context.args.done()?;
    let events = context.server.logging.events.newest(count);
    context.reply.array(events.len());
    for event in events {
        context.reply.map(5);
        let number = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
        for (name, number) in [("id", number(event.id)), ("at-ms", number(event.at.0))] {
            context.reply.bulk(name.as_bytes());
            context.reply.int(number);
        }
        for (name, text) in
            [("severity", event.severity), ("event", &event.kind), ("text", &event.text)]
        {
            context.reply.bulk(name.as_bytes());
            context.reply.bulk(text.as_bytes());
        }
    }
    Ok(Outcome::Answered)
}
