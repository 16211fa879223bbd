//! PROXY EXPLAIN FAILOVER: what a failover would do now, without doing it.

use super::failover::NOT_A_REPLICA;
use super::members::named;
use crate::command::Fault;
use crate::commands::{CommandContext, Outcome};
use crate::metrics::Delay;
use crate::node::{FollowerStatus, Member, present};
use std::sync::Arc;

const USAGE: Fault = Fault::Static(
    "ERR write PROXY EXPLAIN FAILOVER, alone or with TO and a member's name, or TO host port",
);

/// Whom a failover would make the master.
enum Candidate {
    /// A hosted replica.
    Hosted(Arc<Member>),
    /// A replica on the wire.
    OnWire(FollowerStatus),
}

/// Answers one line each: the candidate and why, what it lacks, for how long writers would wait,
/// what becomes of the others; or why it would be refused.
pub fn explain_failover(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let lines = match asked(context)? {
        Some(candidate) => told(context, &candidate),
        None => vec!["refused: there is no replica that could become the master".to_owned()],
    };
    context.reply.array(lines.len());
    lines.iter().for_each(|it| context.reply.bulk(it.as_bytes()));
    Ok(Outcome::Answered)
}

/// The candidate that was named, or else the one that would take the place of a broken master.
fn asked(context: &mut CommandContext<'_>) -> Result<Option<Candidate>, Fault> {
    let set = &context.server.set;
    if context.args.left() == 0 {
        return Ok(set.best_candidate().map(Candidate::Hosted));
    }
    if !context.args.word("to") {
        return Err(USAGE);
    }
    let name = context.args.next().map_err(|_| USAGE)?;
    if context.args.left() == 0 {
        let member_list = set.member_list();
        return Ok(Some(Candidate::Hosted(named(&member_list, name)?.clone())));
    }
    let port = context.args.next()?;
    context.args.done()?;
    let asked = format!("{}:{}", String::from_utf8_lossy(name), String::from_utf8_lossy(port));
    let mut on_wire = set.followers(context.now).into_iter().filter(FollowerStatus::is_on_wire);
    match on_wire.find(|it| it.name == asked) {
        Some(replica) => Ok(Some(Candidate::OnWire(replica))),
        None => Err(NOT_A_REPLICA),
    }
}

fn told(context: &CommandContext<'_>, candidate: &Candidate) -> Vec<String> {
    match candidate {
        Candidate::Hosted(member) => hosted(context, member),
        Candidate::OnWire(replica) => on_wire(context, replica),
    }
}

fn hosted(context: &CommandContext<'_>, member: &Member) -> Vec<String> {
    let set = &context.server.set;
    let mut lines = vec![format!("candidate {}: a replica that this process hosts", member.name)];
    if let Err(why) = set.fit_to_lead(member) {
        lines.push(format!("refused: {why}"));
        return lines;
    }
    let lacks = set.head().since(member.applied());
    lines.push(format!("lacks {lacks} bytes of the stream{}", takes(set.eta_ms(lacks))));
    lines.push("it applies them while writes go on; then writers wait for the rest".to_owned());
    let pauses = context.server.delay(Delay::FailoverPause);
    lines.push(match pauses.count() {
        0 => "pause: no failover has been measured in this process yet".to_owned(),
        count => format!(
            "pause: writers waited {} us at the median of {count} failovers, {} us at most",
            pauses.shown(50.0),
            pauses.shown(100.0)
        ),
    });
    lines.push("no write is lost and no client gets an error; reads go on meanwhile".to_owned());
    let wire = set.followers(context.now).iter().filter(|it| it.is_on_wire()).count();
    let is_other = |it: &&Arc<Member>| it.id != set.master() && it.id != member.id;
    let others = present(&set.member_list()).filter(is_other).count();
    lines.push(format!(
        "the old master and {others} other hosted replicas follow on; {wire} replicas on the wire \
         resync in part"
    ));
    lines
}

fn on_wire(context: &CommandContext<'_>, replica: &FollowerStatus) -> Vec<String> {
    let set = &context.server.set;
    let mut lines = vec![format!("candidate {}: a replica on the wire", replica.name)];
    if !replica.state.is_online() {
        lines.push(format!("refused: it is {}", replica.state));
        return lines;
    }
    let lacks = set.head().since(replica.acked);
    let behind_us = Some(replica.behind_us).filter(|it| *it != u64::MAX);
    lines.push(format!(
        "lacks {lacks} bytes of the stream by its last acknowledgement{}",
        takes(behind_us.map(|it| it / 1000))
    ));
    lines
        .push("pause: writers wait until it has them and answers that it is the master".to_owned());
    lines.push("then this set follows it: its writes are forwarded or refused".to_owned());
    lines
}

fn takes(ms: Option<u64>) -> String {
    ms.map_or(String::new(), |it| format!(", about {it} ms"))
}
