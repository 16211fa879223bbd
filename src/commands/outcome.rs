//! What a request has come to, when it is not simply answered: it waits, works apart, or ends more
//! than itself.

use super::migration::Migration;
use crate::base::ids::{MemberId, RouteId, SlotId};
use crate::base::position::{Offset, Position};
use crate::base::remote_address::RemoteAddress;
use crate::base::time::MonoUs;
use crate::metrics::Place;
use crate::metrics::worst::Key;
use crate::node::{Condition, KeyWait, Wanted};
use crate::replication::Asked;
use crate::resp::{OwnedRequest, Protocol};
use crate::route::{Ladder, LadderPosition, StepsTaken};
use crate::session::{Queue, SubscriptionKind};
use crate::state::{AimedRun, EndOrder, FailoverOrder, Forwarded, UnblockAs, UpgradeStep};
use futures::channel::oneshot::{Receiver, Sender};
use std::time::Duration;

/// What a request has come to. Small, since every request has one: what only some need is boxed.
#[derive(Debug)]
pub enum Outcome {
    /// The answer is written.
    Answered,
    /// The answer comes later; nothing else of this connection runs before.
    Block(Box<Block>),
    /// The client is held back by CLIENT PAUSE: the request has not been taken.
    Paused,
    /// Somebody holds this member for long: the request has not been taken.
    Busy(MemberId),
    /// It would take long, which this thread has no time for: the request has not been taken.
    Long,
    /// A job answers, on a thread of its own; nothing else of this connection runs before. The
    /// request is kept for the slow log and for what its writes must have confirmed.
    Apart(Box<(Job, OwnedRequest)>),
    /// A message is published, as the request says.
    Publish(SubscriptionKind),
    /// The queued commands run now, and their answers follow.
    Execute(Box<Queue>),
    /// The connection is served as a replica's from here on.
    Follow(Box<Asked>),
    /// The connection closes once the answer is out.
    Close,
}

impl Outcome {
    /// Work on a thread of its own.
    pub fn apart(job: Job, request: OwnedRequest) -> Outcome {
        Outcome::Apart(Box::new((job, request)))
    }

    /// A wait of a command that has been taken.
    pub fn block(on: BlockOn, timeout: Option<Duration>, then: Resume) -> Outcome {
        Outcome::Block(Box::new(Block::new(on, timeout, then)))
    }
}

/// A wait that a request asks for.
#[derive(Debug)]
pub struct Block {
    /// What it waits for.
    pub on: BlockOn,
    /// How long it waits at most.
    pub timeout: Option<Duration>,
    /// What happens when the wait has ended, one way or another.
    pub then: Resume,
    /// The route whose waits it is counted with.
    pub route: RouteId,
}

impl Block {
    /// A wait that belongs to no route, or not yet.
    pub fn new(on: BlockOn, timeout: Option<Duration>, then: Resume) -> Block {
        Block { on, timeout, then, route: RouteId::DEFAULT }
    }
}

/// What a connection can wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BlockOn {
    /// That this condition holds for this offset.
    Offset(Condition, Offset),
    /// That CLIENT PAUSE is over.
    Released,
    /// That nobody holds this member for long.
    Free(MemberId),
    /// Nothing but the end of its time.
    Time,
    /// That a job fills this slot.
    Slot(SlotId),
    /// That one of its keys is ready and it is served.
    Keys,
}

/// What happens to a request when its wait has ended.
#[derive(Debug)]
pub enum Resume {
    /// WAIT: it answers how many replicas have acknowledged this offset.
    CountAcks(Offset),
    /// WAITAOF: it answers whether this offset is on disk here, and at how many replicas.
    CountFsyncs(Offset),
    /// DEBUG SLEEP: it answers OK. The request is kept for the slow log.
    AnswerOk(OwnedRequest),
    /// A write whose reply is owed until this is confirmed for this offset. It has its slot from
    /// when the wait begins: nothing that is pushed meanwhile leaves before it.
    Confirm { wanted: Wanted, offset: Offset, owed: Vec<u8>, slot: Option<SlotId> },
    /// The read is planned again, from where its ladder stands.
    Retry(Box<ReadRetry>),
    /// The request is served again from the start: it was held back by CLIENT PAUSE.
    Again,
    /// A call that waits for keys: who makes one ready serves it.
    Served(KeyWait),
    /// The reply is in its slot. The request is kept for the slow log and for what its writes must
    /// have confirmed.
    Filled(OwnedRequest),
    /// The same for what waits at the remote master, for keys or for replicas; CLIENT UNBLOCK is
    /// told to who has sent it there, once.
    Remote { request: OwnedRequest, unblock: Option<Sender<UnblockAs>> },
}

/// What earlier plans of one read have settled.
#[derive(Clone, Debug)]
pub struct ReadRetry {
    /// The route of the read.
    pub route: RouteId,
    /// The route's ladder then: a read does not wait on a ladder that is no longer in force.
    pub ladder: Ladder,
    /// The step of that ladder that it stands on.
    pub step: u8,
    /// The steps that were taken so far.
    pub steps: StepsTaken,
    /// When that step's wait ends, if it is one.
    pub ends: Option<MonoUs>,
    /// What it needs: it does not move while the read waits.
    pub needs: Position,
    /// The replica that it waits for, and the first key that is to be read.
    pub waits_for: Option<(Place, Option<Key>)>,
}

impl ReadRetry {
    /// Where that is on the ladder by now.
    pub fn ladder_position(&self, now: MonoUs) -> LadderPosition {
        let left = self.ends.map(|it| Duration::from_micros(it.since(now)));
        LadderPosition { step: self.step, left }
    }
}

/// What is done over a client's own connection to the remote master, which says what becomes of the
/// connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leased {
    /// One call that may wait: the connection is closed behind it.
    Once,
    /// What ends a script, or tells of it: it waits for nobody, since all may wait for the script.
    Kill,
    /// WATCH: the client keeps the connection.
    Watch,
    /// WATCH of a client that watches already, over the connection that was kept.
    WatchMore,
    /// EXEC behind WATCH, over the connection that was kept.
    Exec,
}

/// WAIT for replicas of the remote master.
#[derive(Debug)]
pub struct AckWait {
    /// Where the last write of the session ended.
    pub written: Position,
    /// How many replicas are to have it.
    pub replicas: usize,
    /// How long to wait for that.
    pub timeout: Option<Duration>,
    /// CLIENT UNBLOCK comes here.
    pub unblocked: Option<Receiver<UnblockAs>>,
}

/// DEBUG POPULATE: these keys are made where they are not there.
#[derive(Debug)]
pub struct Populate {
    /// In which database.
    pub db: usize,
    /// How many: `prefix:0` and so on.
    pub count: u64,
    /// What their names begin with.
    pub prefix: Vec<u8>,
    /// How long each value is, cut or filled up with zeros; as long as its text when 0.
    pub value_bytes: usize,
}

/// Work that is done on a thread of its own.
#[derive(Debug)]
pub enum Job {
    /// PROXY FAILOVER to this real server; answers OK, or why not.
    SwitchOver {
        /// Who becomes the master.
        to: MemberId,
        /// How long that may take.
        timeout: Duration,
    },
    /// CONFIG of what is real servers' own; answers what they do.
    ServersConfig(Box<ServersConfig>),
    /// PROXY FAILOVER to the member at this place; answers OK, or why not.
    FailOver { candidate: MemberId },
    /// PROXY NODE REMOVE of the member at this place; answers OK, or why not.
    Remove { member: MemberId },
    /// PROXY RELOAD; answers OK, or why not.
    Reload,
    /// REPLICAOF this master, or nobody; answers OK, or why not.
    Follow { master: Option<RemoteAddress> },
    /// FAILOVER: answers OK, and goes on behind that.
    HandRoleOver(Box<FailoverOrder>),
    /// PROXY UPGRADE: answers OK, or why not.
    Upgrade(Box<UpgradeStep>),
    /// FAILOVER ABORT: answers OK once there is none.
    AbortFailover,
    /// These requests are done by the remote master; it answers their replies.
    Forward(Box<Forwarded>),
    /// These requests are done by a member that is a real server; it answers their replies.
    Upstream(Box<AimedRun>),
    /// These are done by the remote master over the client's own connection.
    Leased(Box<Forwarded>, Leased),
    /// WAIT where writes are forwarded; answers how many replicas of the master have acknowledged.
    WaitAtMaster(Box<AckWait>),
    /// CONFIG REWRITE; answers OK, or why not.
    Rewrite,
    /// ACL LOAD; answers OK, or why not.
    LoadUsers,
    /// ACL SAVE; answers OK, or why not.
    SaveUsers,
    /// SHUTDOWN; answers nothing, or why not.
    End(EndOrder),
    /// SAVE; answers OK, or why not.
    Save,
    /// DEBUG LOADAOF; answers OK, or why not.
    LoadAof,
    /// DEBUG RELOAD; answers OK, or why not.
    ReloadData,
    /// DEBUG POPULATE; answers OK, or why not.
    Populate(Box<Populate>),
    /// MIGRATE of keys of this database; answers what came of it.
    Migrate { db: usize, migration: Box<Migration> },
}

/// What CONFIG asks of real servers.
#[derive(Clone, Debug)]
pub enum ServersConfig {
    /// What these patterns name.
    Get {
        /// What they name here.
        own: Vec<(String, String)>,
        /// The patterns.
        patterns: Vec<Vec<u8>>,
        /// What it is answered in.
        protocol: Protocol,
    },
    /// Each of these names is to have the value behind it.
    Set(Vec<Vec<u8>>),
}

impl Job {
    /// Whether a transaction need not wait for it: it is answered OK there, and done behind it.
    /// Sentinel tells a server so whom to follow.
    pub fn may_be_later(&self) -> bool {
        matches!(self, Job::Follow { .. } | Job::Rewrite | Job::LoadUsers | Job::SaveUsers)
    }
}
