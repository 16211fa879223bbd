//! CLIENT TRACKING, CACHING, GETREDIR and TRACKINGINFO: a client caches what it reads.

use crate::base::limits::{PREFIX_BYTES_MAX, PREFIXES_MAX};
use crate::base::number;
use crate::command::Fault;
use crate::command::codes::NO_UPSTREAM_TRACKING;
use crate::commands::{CommandContext, Outcome};
use crate::session::{CachedReads, Tracking};
use crate::state::{Client, Server};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

const NO_CLIENT: Fault = Fault::Static("ERR The client ID you want redirect to does not exist");
const ONE_REDIRECT: Fault =
    Fault::Static("ERR A client can only redirect to a single other client");
const PREFIX_ALONE: Fault = Fault::Static("ERR PREFIX option requires BCAST mode to be enabled");
const OTHER_MODE: Fault = Fault::Static(
    "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then \
     re-enabling it with a different mode.",
);
const OPT_BROADCAST: Fault = Fault::Static("ERR OPTIN and OPTOUT are not compatible with BCAST");
const BOTH_OPTS: Fault = Fault::Static("ERR You can't specify both OPTIN mode and OPTOUT mode");
const OTHER_OPT: Fault = Fault::Static(
    "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then \
     re-enabling it with a different mode.",
);
const NOT_CACHING: Fault = Fault::Static(
    "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or \
     OPTOUT mode enabled",
);
const TOO_MANY_PREFIXES: Fault =
    Fault::Static("ERR too many prefixes for a single client, or too long ones");
const YES_IS_OPTIN: Fault =
    Fault::Static("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
const NO_IS_OPTOUT: Fault =
    Fault::Static("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");

/// What CLIENT TRACKING says behind ON.
#[derive(Default)]
struct Options {
    redirect: Option<Arc<Client>>,
    is_broadcast: bool,
    opt_in: bool,
    opt_out: bool,
    no_loop: bool,
    prefixes: Vec<Bytes>,
}

/// CLIENT TRACKING.
pub fn tracking(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    if context.server.upstream.is_some() {
        return Err(NO_UPSTREAM_TRACKING);
    }
    let word = context.args.next()?;
    let said = parse(context)?;
    if word.eq_ignore_ascii_case(b"on") {
        begin(context, said)?;
    } else if word.eq_ignore_ascii_case(b"off") {
        end(context.server, context.client);
        context.session.tracking = None;
    } else {
        return Err(Fault::Syntax);
    }
    context.reply.ok();
    Ok(Outcome::Answered)
}

fn parse(context: &mut CommandContext<'_>) -> Result<Options, Fault> {
    let mut said = Options::default();
    while context.args.left() != 0 {
        let has_more = 2 <= context.args.left();
        if has_more && context.args.word("REDIRECT") {
            if said.redirect.is_some() {
                return Err(ONE_REDIRECT);
            }
            let id = number::parse_i64(context.args.next()?).ok_or(Fault::NotInteger)?;
            let found = u64::try_from(id).ok().and_then(|it| context.server.clients.get(it));
            said.redirect = Some(found.ok_or(NO_CLIENT)?);
        } else if context.args.word("BCAST") {
            said.is_broadcast = true;
        } else if context.args.word("OPTIN") {
            said.opt_in = true;
        } else if context.args.word("OPTOUT") {
            said.opt_out = true;
        } else if context.args.word("NOLOOP") {
            said.no_loop = true;
        } else if has_more && context.args.word("PREFIX") {
            said.prefixes.push(Bytes::copy_from_slice(context.args.next()?));
        } else {
            return Err(Fault::Syntax);
        }
    }
    Ok(said)
}

fn begin(context: &mut CommandContext<'_>, said: Options) -> Result<(), Fault> {
    let before = context.session.tracking.as_deref();
    let asked = settle(before, &said)?;
    let flags = &context.client.flags;
    flags.is_broadcast.store(asked.prefixes.is_some(), Relaxed);
    context.client.redirect.store(1 + asked.redirect.unwrap_or(0), Relaxed);
    context.client.prefixes_bytes.store(asked.kept_bytes() as u64, Relaxed);
    context.server.tracking.enter(context.client, said.redirect, &asked);
    if before.is_none() {
        // Whoever writes from here on tells of it: what is at work comes to its end first.
        context.server.set.note_changes();
    }
    context.session.tracking = Some(Box::new(asked));
    // What it is told is seen by its reads.
    context.session.subscriptions.get_or_insert_default();
    Ok(())
}

/// What the client has asked for together with what it asked for before, checked in Redis' order.
fn settle(before: Option<&Tracking>, said: &Options) -> Result<Tracking, Fault> {
    if !said.is_broadcast && !said.prefixes.is_empty() {
        return Err(PREFIX_ALONE);
    }
    if before.is_some_and(|it| it.prefixes.is_some() != said.is_broadcast) {
        return Err(OTHER_MODE);
    }
    if said.is_broadcast && (said.opt_in || said.opt_out) {
        return Err(OPT_BROADCAST);
    }
    let reads = match (said.opt_in, said.opt_out) {
        (true, true) => return Err(BOTH_OPTS),
        (true, false) => CachedReads::OptIn,
        (false, true) => CachedReads::OptOut,
        (false, false) => CachedReads::All,
    };
    let was = before.map_or(CachedReads::All, |it| it.reads);
    if reads != CachedReads::All && was != CachedReads::All && reads != was {
        return Err(OTHER_OPT);
    }
    let known = before.and_then(|it| it.prefixes.as_ref());
    let prefixes = said.is_broadcast.then(|| prefixes(known, &said.prefixes)).transpose()?;
    let redirect = said.redirect.as_ref().map(|it| it.id);
    let is_said = before.is_some_and(|it| it.is_said);
    Ok(Tracking { redirect, prefixes, no_loop: said.no_loop, reads, is_said })
}

/// Those that are known with those that are said, none of which may begin with another.
fn prefixes(known: Option<&BTreeSet<Bytes>>, said: &[Bytes]) -> Result<BTreeSet<Bytes>, Fault> {
    if PREFIXES_MAX < said.len() {
        return Err(TOO_MANY_PREFIXES);
    }
    let mut all = known.cloned().unwrap_or_default();
    let among = first_overlap(said);
    let last = among.map_or(said.len(), |it| it.0 + 1);
    for prefix in &said[..last] {
        if let Some(other) = known_overlap(&all, prefix) {
            return Err(overlapping(prefix, "an existing", other));
        }
    }
    if let Some((one, other)) = among {
        return Err(overlapping(&said[one], "another provided", &said[other]));
    }
    all.extend(said.iter().cloned());
    if said.is_empty() {
        all.insert(Bytes::new());
    }
    if PREFIXES_MAX < all.len() || PREFIX_BYTES_MAX < all.iter().map(Bytes::len).sum() {
        return Err(TOO_MANY_PREFIXES);
    }
    Ok(all)
}

fn overlapping(one: &[u8], of: &str, other: &[u8]) -> Fault {
    let (one, other) = (String::from_utf8_lossy(one), String::from_utf8_lossy(other));
    Fault::Message(format!(
        "ERR Prefix '{one}' overlaps with {of} prefix '{other}'. Prefixes for a single client must \
         not overlap."
    ))
}

fn overlap(one: &[u8], other: &[u8]) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// The first of those that are known that overlaps with this one. But for the empty one, none of
/// them begins with another: so it is the next before this, or the next behind it.
fn known_overlap<'k>(known: &'k BTreeSet<Bytes>, prefix: &Bytes) -> Option<&'k Bytes> {
    let empty = known.first().filter(|it| it.is_empty());
    let before = known.range::<Bytes, _>(..=prefix).next_back();
    let behind = known.range::<Bytes, _>(prefix..).next();
    [empty, before, behind].into_iter().flatten().find(|it| overlap(it, prefix))
}

/// The places of the first that overlaps with one behind it, and of the first such.
fn first_overlap(said: &[Bytes]) -> Option<(usize, usize)> {
    let mut sorted: Vec<usize> = (0..said.len()).collect();
    sorted.sort_unstable_by_key(|it| &said[*it]);
    // In order those that one begins with stand before it, with nothing else but what they all
    // begin, too: so it overlaps with the last of them that is still open.
    // Each with the first place of those that are.
    let (mut open, mut one) = (Vec::<(usize, usize)>::new(), usize::MAX);
    for at in sorted {
        while open.last().is_some_and(|it| !said[at].starts_with(&said[it.0])) {
            open.pop();
        }
        let lowest = open.last().map_or(at, |it| it.1.min(at));
        if !open.is_empty() {
            one = one.min(lowest);
        }
        open.push((at, lowest));
    }
    if said.len() <= one {
        return None;
    }
    let other = (one + 1..said.len()).find(|it| overlap(&said[one], &said[*it]))?;
    Some((one, other))
}

/// The client caches nothing any more.
pub fn end(server: &Server, client: &Client) {
    client.redirect.store(0, Relaxed);
    client.prefixes_bytes.store(0, Relaxed);
    client.flags.is_broadcast.store(false, Relaxed);
    server.tracking.leave(client.id);
}

/// CLIENT CACHING.
pub fn caching(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    if context.server.upstream.is_some() {
        return Err(NO_UPSTREAM_TRACKING);
    }
    let Some(tracking) = &mut context.session.tracking else { return Err(NOT_CACHING) };
    let (needs, refused) = if context.args.word("YES") {
        (CachedReads::OptIn, YES_IS_OPTIN)
    } else if context.args.word("NO") {
        (CachedReads::OptOut, NO_IS_OPTOUT)
    } else {
        return Err(Fault::Syntax);
    };
    if tracking.reads != needs {
        return Err(refused);
    }
    tracking.is_said = true;
    context.reply.ok();
    Ok(Outcome::Answered)
}

/// Who is told, as CLIENT GETREDIR says it.
fn redirect(context: &CommandContext<'_>) -> i64 {
    let tracking = context.session.tracking.as_ref();
    tracking.map_or(-1, |it| it.redirect.map_or(0, |it| it as i64))
}

/// CLIENT GETREDIR.
pub fn get_redirection(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let redirect = redirect(context);
    context.reply.int(redirect);
    Ok(Outcome::Answered)
}

/// CLIENT TRACKINGINFO.
pub fn tracking_info(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let redirect = redirect(context);
    let (reply, tracking) = (&mut *context.reply, context.session.tracking.as_deref());
    let mut flags = vec![if tracking.is_some() { "on" } else { "off" }];
    let mut prefixes = None;
    if let Some(Tracking { prefixes: of, no_loop, reads, is_said, .. }) = tracking {
        prefixes = of.as_ref();
        flags.extend(of.is_some().then_some("bcast"));
        match reads {
            CachedReads::All => {}
            CachedReads::OptIn => {
                flags.push("optin");
                flags.extend(is_said.then_some("caching-yes"));
            }
            CachedReads::OptOut => {
                flags.push("optout");
                flags.extend(is_said.then_some("caching-no"));
            }
        }
        flags.extend(no_loop.then_some("noloop"));
        let is_broken = context.client.flags.is_redirect_broken.load(Relaxed);
        flags.extend(is_broken.then_some("broken_redirect"));
    }
    reply.map(3);
    reply.bulk(b"flags");
    reply.set(flags.len());
    flags.iter().for_each(|it| reply.bulk(it.as_bytes()));
    reply.bulk(b"redirect");
    reply.int(redirect);
    reply.bulk(b"prefixes");
    reply.array(prefixes.map_or(0, BTreeSet::len));
    prefixes.into_iter().flatten().for_each(|it| reply.bulk(it));
    Ok(Outcome::Answered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As Redis looks: every one is compared with every other.
    fn compared(known: &BTreeSet<Bytes>, said: &[Bytes]) -> Option<(Bytes, &'static str, Bytes)> {
        said.iter().enumerate().find_map(|(at, prefix)| {
            let found = |of, other: &Bytes| (prefix.clone(), of, other.clone());
            let old =
                known.iter().find(|it| overlap(it, prefix)).map(|it| found("an existing", it));
            let new = || said[at + 1..].iter().find(|it| overlap(it, prefix));
            old.or_else(|| new().map(|it| found("another provided", it)))
        })
    }

    #[test]
    fn of_prefixes_that_overlap_the_first_is_refused() {
        let word = || prop::collection::vec(0u8..3, 0..4).prop_map(Bytes::from);
        let words = |most| prop::collection::vec(word(), 0..most);
        proptest!(|(before in words(12), said in words(8))| {
            // What was taken before does not overlap, but the empty one may have come to it.
            let mut known = BTreeSet::new();
            for prefix in before {
                if prefix.is_empty() || known_overlap(&known, &prefix).is_none() {
                    known.insert(prefix);
                }
            }
            let result = prefixes(Some(&known), &said);
            match compared(&known, &said) {
                None => prop_assert!(said.iter().all(|it| result.as_ref().unwrap().contains(it))),
                Some((one, of, other)) => {
                    let wanted = overlapping(&one, of, &other).to_string();
                    prop_assert_eq!(result.unwrap_err().to_string(), wanted);
                }
            }
        });
    }

    #[test]
    fn prefixes_have_a_bound() {
        let some = |from: usize, count: usize| -> Vec<Bytes> {
            (from..from + count).map(|it| format!("{it:08}").into()).collect()
        };
        let all = prefixes(None, &some(0, PREFIXES_MAX)).unwrap();
        assert_eq!(all.len(), PREFIXES_MAX);
        assert!(prefixes(Some(&all), &some(PREFIXES_MAX, 1)).is_err());
        assert!(prefixes(None, &vec![Bytes::from_static(b"a"); 100 * PREFIXES_MAX]).is_err());
        assert!(prefixes(None, &[vec![b'x'; PREFIX_BYTES_MAX].into()]).is_ok());
        assert!(prefixes(None, &[vec![b'x'; PREFIX_BYTES_MAX + 1].into()]).is_err());
    }
}
