//! What runs must have reached: every reason of a plan, every state of followers, members and
//! links, every ending of every wait. The lists come from matches that take every variant, so that
//! one that is new must be reached, too.

use super::runs::Counts;
use entourage::commands::BlockOn;
use entourage::node::{Condition, LinkPhase, MemberFlags};
use entourage::replication::{DisconnectReason, FollowerState};
use entourage::route::Reason;
use entourage::server::connection::Event;
use entourage::state::{Message, UnblockAs};

/// A name for every variant, and all of the names.
macro_rules! names {
    ($all:ident, $name_of:ident: $type:ty, { $($pattern:pat => $name:literal,)* }) => {
        const $all: &[&str] = &[$($name),*];

        /// What this is called where it is counted.
        pub fn $name_of(it: $type) -> &'static str {
            match it { $($pattern => $name,)* }
        }
    };
}

names!(FOLLOWERS, name_of_follower: FollowerState, {
    FollowerState::Handshake => "follower: handshake",
    FollowerState::FullResync { .. } => "follower: full resync",
    FollowerState::Online { .. } => "follower: online",
    FollowerState::Disconnected { why: DisconnectReason::FeedLimit } => "follower: feed limit",
    FollowerState::Disconnected { why: DisconnectReason::NotApplicable } =>
        "follower: not applicable",
    FollowerState::Disconnected { why: DisconnectReason::Quarantined } => "follower: quarantined",
    FollowerState::Disconnected { why: DisconnectReason::Promoted } => "follower: promoted",
    FollowerState::Disconnected { why: DisconnectReason::ResyncFailed } =>
        "follower: resync failed",
    FollowerState::Disconnected { why: DisconnectReason::Removed } => "follower: removed",
    FollowerState::Disconnected { why: DisconnectReason::Replaced } => "follower: replaced",
    FollowerState::Disconnected { why: DisconnectReason::Peer(_) } => "follower: peer fault",
});

names!(LINKS, name_of_link: LinkPhase, {
    LinkPhase::Waiting => "link: waiting",
    LinkPhase::Connecting => "link: connecting",
    LinkPhase::Handshake => "link: handshake",
    LinkPhase::Sync => "link: sync",
    LinkPhase::Connected => "link: connected",
});

names!(WAITS, name_of_wait: BlockOn, {
    BlockOn::Offset(Condition::AckedBy(_), _) => "acks of a number",
    BlockOn::Offset(Condition::AckedByAll { .. }, _) => "acks of all",
    BlockOn::Offset(Condition::InSync { .. }, _) => "acks in sync",
    BlockOn::Offset(Condition::Readable { .. }, _) => "a replica",
    BlockOn::Offset(Condition::Streamed, _) => "the stream",
    BlockOn::Offset(Condition::Durable, _) => "the disk",
    BlockOn::Offset(Condition::DurableAt { .. }, _) => "disks",
    BlockOn::Offset(Condition::Unpaused | Condition::Free { .. } | Condition::Never, _) =>
        "nothing that is an offset's",
    BlockOn::Released => "the end of a pause",
    BlockOn::Free(_) => "a long holder",
    BlockOn::Time => "time",
    BlockOn::Slot(_) => "a job",
    BlockOn::Keys => "keys",
});

names!(ENDINGS, name_of_ending: &Event<'_>, {
    Event::Message(Message::Woken(_) | Message::Filled(..) | Message::Served(..)) => "reached",
    Event::Time(_) => "time up",
    Event::Message(Message::Unblocked(_, UnblockAs::Timeout)) => "unblocked",
    Event::Message(Message::Unblocked(_, UnblockAs::Error)) => "unblocked by an error",
    Event::PeerClosed => "left",
    Event::Message(Message::Killed) => "killed",
    Event::MailboxOverflow => "flooded",
    Event::Message(Message::ServerClosing) => "shut down",
    Event::Message(Message::Push(_) | Message::Shown(_) | Message::Published(_) | Message::Told(_))
        | Event::Message(Message::RulesChanged | Message::UserGone | Message::Disclaimed) | Event::Bytes(_) | Event::Unserved(_) | Event::Received { .. } | Event::Proceed => "nothing that ends a wait",
});

/// What one of these waits has come to, as one word for the counts.
pub fn ending(on: BlockOn, event: &Event<'_>) -> String {
    told(name_of_wait(on), name_of_ending(event))
}

fn told(wait: &str, ending: &str) -> String {
    format!("wait for {wait}: {ending}")
}

/// The flags of members.
pub fn member_states() -> impl Iterator<Item = (MemberFlags, &'static str)> {
    MemberFlags::all().iter_names().map(|(name, flag)| (flag, name))
}

/// Everything that connections over a set can come to.
pub fn of_connections() -> Vec<String> {
    let reasons = Reason::ALL.iter().map(|it| it.as_str().to_owned());
    let followers = FOLLOWERS.iter().map(|it| (*it).to_owned());
    let flags = member_states().map(|it| it.1.to_owned());
    let waits = WAITS.iter().flat_map(|wait| ENDINGS.iter().map(move |it| told(wait, it)));
    reasons.chain(followers).chain(flags).chain(waits).collect()
}

/// Everything that links between sets can come to.
pub fn of_links() -> Vec<String> {
    FOLLOWERS.iter().chain(LINKS).map(|it| (*it).to_owned()).collect()
}

/// Everything is reached but for what begins, or ends, with one of these words; each with its
/// reason. None of those is reached, or the list is out of date.
pub fn must_be_reached(all: &[String], unreachable: &[(&str, &str)], counts: &Counts) {
    let is_named = |it: &str, word: &str| it.starts_with(word) || it.ends_with(word);
    let (mut missed, mut stale) = (Vec::new(), Vec::new());
    for it in all {
        let count = counts.get(it.as_str()).copied().unwrap_or(0);
        let why = unreachable.iter().find(|(word, _)| is_named(it, word)).map(|it| it.1);
        println!("{count:>12}  {it}{}", why.map(|it| format!(", never: {it}")).unwrap_or_default());
        match (count, why) {
            (0, None) => missed.push(it),
            (0, Some(_)) | (_, None) => {}
            (_, Some(_)) => stale.push(it),
        }
    }
    let is_of_none = |word: &&str| !all.iter().any(|it| is_named(it, word));
    let of_none: Vec<&str> = unreachable.iter().map(|it| it.0).filter(is_of_none).collect();
    assert!(missed.is_empty(), "never reached: {missed:#?}");
    assert!(stale.is_empty(), "reached, and said never to be: {stale:#?}");
    assert!(
        of_none.is_empty(),
        "said never to be reached, and there is no such thing: {of_none:?}"
    );
}
