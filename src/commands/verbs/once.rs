//! The words of PROXY ATLEAST, ONCE and TAG: what a client asks of one command, or of all.

use super::members::named;
use crate::base::position::{Coverage, Offset, Position};
use crate::command::codes::{NO_ATTRIBUTES, UNKNOWN_HISTORY};
use crate::command::{Args, Fault};
use crate::commands::{CommandContext, Outcome};
use crate::node::Writes;
use crate::resp::Protocol;
use crate::route::{Ladder, Level, Step};
use crate::session::{Once, Session, Tags};
use crate::state::Server;
use std::time::Duration;

/// What begins an option of ONCE, and so ends the level before it.
const OPTIONS: &[&str] = &["LEVEL", "ATLEAST", "WAIT", "ELSE", "AT", "SEED", "DO"];

const NOT_AN_OPTION: Fault = Fault::Static(
    "ERR PROXY ONCE takes LEVEL, ATLEAST, WAIT, ELSE, AT and SEED, each once, then DO and a \
     command",
);
const NO_DO: Fault = Fault::Static(
    "ERR DO is missing in front of the command, like PROXY ONCE LEVEL eventual DO GET key",
);
const AT_ALONE: Fault = Fault::Static(
    "ERR AT reads at a member as it is: LEVEL, ATLEAST, WAIT and ELSE do not go with it",
);
const NO_FLOOR: Fault = Fault::Static(
    "ERR a level weaker than sticky keeps no floor: leave out ATLEAST, or take a stronger level",
);

/// What a session has seen, signed; the stream's beginning for one that has seen nothing.
pub fn token_of(server: &Server, session: &Session) -> String {
    let nothing = || Position { replid: server.set.history().replid, offset: Offset::ZERO };
    server.token_signer.sign(session.floor.unwrap_or_else(nothing))
}

/// PROXY TOKEN.
pub fn token(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    context.reply.bulk(token_of(context.server, context.session).as_bytes());
    Ok(Outcome::Answered)
}

/// PROXY ATLEAST. Without WAIT and ELSE the routes' ladders are in force again.
pub fn at_least(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let place = context.server.token_signer.open(context.args.next()?)?;
    let mut on_lag = OnLag::default();
    while on_lag.take(&mut context.args)? {}
    context.args.done()?;
    let floor = floor_of(context.server, place)?;
    let (set, history) = (&context.server.set, context.server.set.history());
    // The floor is of the history of today, and so must the session's be to be compared with it.
    context.session.carry_over(&history);
    match (floor, on_lag.last) {
        (Some(floor), _) => {
            context.session.saw(floor);
        }
        // The remote master knows it: reads go there.
        (None, None | Some(Step::Master)) if set.writes() == Writes::Forwarded => {
            context.session.was_told(place, &history, None);
        }
        // What the master has now is all that it can give.
        (None, Some(Step::Master)) => context.session.saw_all(context.server.set.position()),
        (None, Some(Step::Stale)) => {}
        (None, _) => return Err(UNKNOWN_HISTORY),
    }
    context.session.ladder = on_lag.ladder().map(Box::new);
    context.reply.ok();
    Ok(Outcome::Answered)
}

/// The floor at a token's place, in the history of today; `None` when the token's is not known.
fn floor_of(server: &Server, place: Position) -> Result<Option<Position>, Fault> {
    let set = &server.set;
    match set.cover(place) {
        Coverage::To(offset) => Ok(Some(Position { replid: set.history().replid, offset })),
        Coverage::Lost(from) => {
            Err(Fault::LostWrite { from: from.bytes(), to: place.offset.bytes() })
        }
        Coverage::Foreign => Ok(None),
    }
}

/// What is to be done for a floor that no replica has reached.
#[derive(Default)]
struct OnLag {
    wait: Option<Duration>,
    last: Option<Step>,
}

impl OnLag {
    /// Takes WAIT or ELSE with its value, if one comes next.
    fn take(&mut self, args: &mut Args<'_>) -> Result<bool, Fault> {
        let is_first = if args.word("WAIT") {
            self.wait.replace(milliseconds(args)?).is_none()
        } else if args.word("ELSE") {
            self.last.replace(last_step(args)?).is_none()
        } else {
            return Ok(false);
        };
        if is_first { Ok(true) } else { Err(Fault::Syntax) }
    }

    /// The ladder they ask for, which ends at the master if they do not say where.
    fn ladder(&self) -> Option<Ladder> {
        if self.wait.is_none() && self.last.is_none() {
            return None;
        }
        let wait = self.wait.map(Step::Wait);
        let last = self.last.unwrap_or(Step::Master);
        let steps = [Some(Step::CatchUp), Some(Step::OtherReplica), wait, Some(last)];
        let steps: Vec<Step> = steps.into_iter().flatten().collect();
        Some(Ladder::new(&steps).expect("no step stands twice"))
    }
}

fn milliseconds(args: &mut Args<'_>) -> Result<Duration, Fault> {
    let ms = args.int().ok().and_then(|it| u32::try_from(it).ok());
    let ms = ms.ok_or(Fault::Static("ERR WAIT takes a number of milliseconds"))?;
    Ok(Duration::from_millis(ms.into()))
}

fn last_step(args: &mut Args<'_>) -> Result<Step, Fault> {
    let steps = [("master", Step::Master), ("error", Step::Error), ("stale", Step::Stale)];
    let found = steps.into_iter().find(|(word, _)| args.word(word)).map(|it| it.1);
    found.ok_or(Fault::Static("ERR ELSE takes master, error or stale"))
}

/// Takes what PROXY ONCE says before its command, which is what is left then.
pub fn once(server: &Server, args: &mut Args<'_>) -> Result<Once, Fault> {
    let mut ahead = *args;
    if !ahead.rest().any(|it| it.eq_ignore_ascii_case(b"DO")) {
        return Err(NO_DO);
    }
    let (mut once, mut on_lag, mut token) = (Once::default(), OnLag::default(), None);
    while !args.word("DO") {
        if on_lag.take(args)? {
            continue;
        }
        let is_first = if args.word("LEVEL") {
            once.level.replace(level(args)?).is_none()
        } else if args.word("ATLEAST") {
            token.replace(server.token_signer.open(args.next()?)?).is_none()
        } else if args.word("AT") {
            let member = named(&server.set.member_list(), args.next()?)?.id;
            once.at.replace(member).is_none()
        } else {
            args.word("SEED") && once.seed.replace(args.int()? as u64).is_none()
        };
        if !is_first {
            return Err(NOT_AN_OPTION);
        }
    }
    once.ladder = on_lag.ladder();
    let is_weak = once.level.is_some_and(|it| Level::Sticky.weakness() < it.weakness());
    match &once {
        Once { at: Some(_), level: None, ladder: None, .. } if token.is_none() => {}
        Once { at: Some(_), .. } => return Err(AT_ALONE),
        _ if token.is_some() && is_weak => return Err(NO_FLOOR),
        _ => {}
    }
    let Some(place) = token else { return Ok(once) };
    once.floor = floor_of(server, place)?;
    match (once.floor, on_lag.last) {
        (Some(_), _) => {}
        (None, Some(Step::Master)) => once.level = Some(Level::Master),
        (None, Some(Step::Stale)) => once.may_be_stale = true,
        (None, _) => return Err(UNKNOWN_HISTORY),
    }
    Ok(once)
}

/// A level may be several words, and ends where the next option begins.
fn level(args: &mut Args<'_>) -> Result<Level, Fault> {
    let is_option = |word: &[u8]| OPTIONS.iter().any(|it| it.as_bytes().eq_ignore_ascii_case(word));
    let mut words = Vec::new();
    while args.peek().is_some_and(|it| !is_option(it)) {
        words.push(String::from_utf8_lossy(args.next()?));
    }
    let told = || Fault::Message(format!("ERR a level is {}", Level::ACCEPTED));
    Level::parse(&words.join(" ")).ok_or_else(told)
}

/// PROXY TAG.
pub fn tag(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    const WORDS: [(&str, Tags); 3] =
        [("off", Tags::Off), ("stale", Tags::Stale), ("all", Tags::All)];
    if context.args.left() == 0 {
        let word = WORDS.iter().find(|it| it.1 == context.session.tags).map_or("off", |it| it.0);
        context.reply.bulk(word.as_bytes());
        return Ok(Outcome::Answered);
    }
    let asked = WORDS.into_iter().find(|(word, _)| context.args.word(word)).map(|it| it.1);
    let asked = asked.ok_or(Fault::Static("ERR a tag is off, stale or all"))?;
    context.args.done()?;
    if asked != Tags::Off && context.reply.protocol() == Protocol::Resp2 {
        return Err(NO_ATTRIBUTES);
    }
    context.session.tags = asked;
    context.reply.ok();
    Ok(Outcome::Answered)
}
