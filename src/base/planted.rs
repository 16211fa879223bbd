//! Faults that the simulator plants to prove that it would find them. Outside the simulator there
//! are none: the question is a constant there, and nothing of it remains.

use crate::IS_SIMULATED;
use std::cell::Cell;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        /// A fault that one line of the product would have if it were wrong.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Planted { $($(#[$doc])* $name,)* }

        /// The fault of this name.
        pub fn named(name: &str) -> Option<Planted> {
            let mut all = [$((stringify!($name), Planted::$name)),*].into_iter();
            all.find(|it| it.0 == name).map(|it| it.1)
        }
    };
}

faults! {
    /// A hang-up is not noticed while a request waits, which is done afterwards.
    HangUpUnnoticed;
    /// A reply whose slot has been filled is sent all the same.
    SlotFilledTwice;
    /// A read does not raise the floor.
    ReadRaisesNoFloor;
    /// A floor of another history is raised by the number of this one.
    HistoriesMixed;
    /// A floor whose history is forgotten gives way to the place of any member.
    FloorForgotten;
    /// What others who share a floor have seen is not looked at.
    SharedFloorUnread;
    /// What a session has seen is given to those who share its floor only with its next batch.
    SharedFloorLate;
    /// One replica's acknowledgement counts for two.
    AckCountedTwice;
    /// A wait whose condition has come to hold is forgotten.
    WaiterNotWoken;
    /// What comes behind a request that waits is served before it has ended.
    ReplyOvertakes;
    /// A client that leaves goes on watching its keys.
    WatchLeftBehind;
    /// A write is served again when what it waited for has come.
    ServedTwice;
    /// WAIT answers what was asked for when its time is up.
    WaitAnswersWanted;
    /// A read that has waited no longer knows what it needs.
    RetryForgetsFloor;
    /// CLIENT UNBLOCK lets a client go on that CLIENT PAUSE holds back.
    UnblockEndsPause;
    /// A wake-up that is meant for an earlier wait ends the one there is.
    AnyWakeUpEndsWait;
    /// A write whose acknowledgements did not come in time is answered as if they had.
    TimeConfirms;
    /// EXEC does not look at the watched keys.
    WatchIgnored;
    /// A connection goes on that was handed more than its mailbox holds, and has lost it.
    OverflowUnnoticed;
    /// What is changed in place is not kept for walks.
    ChangeNotKept;
    /// A key that is new takes part in a walk that began before.
    NewKeyWalked;
    /// What stands where a walk goes on counts as walked.
    CutPassesEarly;
    /// A partial resync leaves out a byte.
    ResumesLate;
    /// A partial resync sends a byte again.
    ResumesEarly;
    /// A partial resync goes on in a history behind the place where it was cut off.
    CutOffResumed;
    /// A replica that has loaded a file acknowledges what it had of the history before.
    OldHistoryAcked;
    /// A file that has been sent counts as acknowledged.
    SentCountsAsAcked;
    /// A snapshot is taken of a member that lacks a write.
    SnapshotLacks;
    /// The stream behind a file does not say which database is selected.
    SelectForgotten;
    /// A floor of a history that was cut off counts in the next.
    FloorKept;
    /// A replica that joins others who read a snapshot lacks what was written since that began.
    JoinsLate;
    /// A replica goes on under the old name when its master's history has another.
    RenameUnnoticed;
    /// The gate opens for a write with one good replica less than it asks for.
    GateOpensEarly;
    /// A key is shown although its time has come.
    ExpiredShown;
    /// Whoever is told a message reads no newer for it.
    MessageRaisesNoFloor;
    /// A message is delivered twice.
    MessageTwice;
    /// A message that comes while a request waits is dropped.
    MessageDropped;
    /// A client that leaves goes on being subscribed.
    SubscriptionLeftBehind;
    /// Whoever waits longest for a key is served last.
    LastComesFirst;
    /// A call that has given up waiting for a key stays in line.
    WaiterStaysInLine;
    /// A call that has waited for a key is served, and its client is not told.
    ServedAndNotTold;
    /// A stream that was cut off counts as whole.
    LossUntold;
}

thread_local! {
    static PLANTED: Cell<Option<Planted>> = const { Cell::new(None) };
}

/// Whether this fault is planted, in this thread.
#[inline(always)]
pub fn is_planted(which: Planted) -> bool {
    IS_SIMULATED && PLANTED.get() == Some(which)
}

/// The fault that is planted in this thread.
pub fn planted() -> Option<Planted> {
    PLANTED.get()
}

/// Plants this fault in place of the one before, in this thread.
pub fn plant(which: Option<Planted>) {
    PLANTED.set(which);
}
