//! What PROXY AUDIT tells: how reads of real servers came out that were checked.

use crate::command::Fault;
use crate::commands::{CommandContext, Outcome};

/// A map: of the audit and of the comparison with another set how often each outcome was, and what
/// was found last, the newest first.
pub fn audit(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let Some(upstream) = &context.server.upstream else {
        return Err(Fault::Static("ERR only reads of real servers are checked"));
    };
    let (checks, reply) = (&upstream.checks, &mut *context.reply);
    reply.map(3);
    for (name, check) in [("audit", &checks.audit), ("shadow", &checks.shadow)] {
        reply.bulk(name.as_bytes());
        let counts = check.counts();
        reply.map(counts.len());
        for (name, count) in counts {
            reply.bulk(name.as_bytes());
            reply.int(count as i64);
        }
    }
    reply.bulk(b"findings");
    let findings = checks.findings();
    reply.array(findings.len());
    findings.iter().for_each(|it| reply.bulk(it.as_bytes()));
    Ok(Outcome::Answered)
}
