//! The master's end of a link, as `server/replica_link.rs` drives it with a socket.

use super::pipe::Pipe;
use entourage::base::position::{Position, ReplId};
use entourage::base::time::MonoUs;
use entourage::engine::rdb::{FileInfo, ReplicationInfo};
use entourage::node::{Next, Overtaken, Piece, ReplicaSet, SnapshotReader};
use entourage::replication::{
    Asked, FollowerId, FollowerKind, FollowerState, FromReplica, PeerFault, ReplicaHello,
    ReplicaReader, Started,
};
use entourage::resp::{AuthState, Decoder, Limits, Step};
use std::sync::atomic::Ordering::Relaxed;

/// As long as the product's, and the same for every seed.
const MARK: &str = "0123456789abcdef0123456789abcdef01234567";

/// Why it has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ended {
    /// The master has nothing more for it: the replica asks again.
    Told(&'static str),
    /// The replica broke the protocol.
    Peer(PeerFault),
}

impl From<PeerFault> for Ended {
    fn from(fault: PeerFault) -> Ended {
        Ended::Peer(fault)
    }
}

impl From<Overtaken> for Ended {
    fn from(_: Overtaken) -> Ended {
        Ended::Told("overtaken")
    }
}

enum Stage {
    /// The replica says who it is.
    Hello,
    /// It has asked for the stream.
    Asked(Asked),
    /// It is sent the file.
    File(SnapshotReader),
    /// It loads the file.
    Loads(ReplId),
    /// It is sent the stream, under this name of its history.
    Stream(ReplId),
}

pub struct MasterEnd {
    hello: ReplicaHello,
    decoder: Decoder,
    held: Vec<u8>,
    stage: Stage,
    id: Option<FollowerId>,
    reader: ReplicaReader,
    /// It says by a mark where a file ends, and not before how long it is.
    marks: bool,
    /// How much of the file has not been sent, where its length is known.
    left: Option<u64>,
}

impl MasterEnd {
    pub fn new(marks: bool) -> MasterEnd {
        MasterEnd {
            hello: ReplicaHello::default(),
            decoder: Decoder::new(Limits::of(AuthState::Known)),
            held: Vec::new(),
            stage: Stage::Hello,
            id: None,
            reader: ReplicaReader::default(),
            marks,
            left: None,
        }
    }

    /// Whether the replica is sent the stream.
    pub fn serves_stream(&self) -> bool {
        matches!(self.stage, Stage::Stream(_))
    }

    /// Whether the replica counts as one that the stream is sent to.
    pub fn is_online(&self, set: &ReplicaSet) -> bool {
        let is_online = |it| matches!(set.follower_state(it), FollowerState::Online { .. });
        self.id.is_some_and(is_online)
    }

    /// The link has ended: the replica is no follower any more.
    pub fn leave(self, set: &ReplicaSet) {
        let MasterEnd { stage, id, .. } = self;
        drop(stage);
        id.into_iter().for_each(|it| set.remove_follower(it));
    }

    /// Bytes have come.
    pub fn take(
        &mut self,
        set: &ReplicaSet,
        bytes: &[u8],
        now: MonoUs,
        down: &mut Pipe,
    ) -> Result<(), Ended> {
        if let Stage::Hello = self.stage {
            self.held.extend_from_slice(bytes);
            return self.take_hello(set, now, down);
        }
        self.take_acks(set, bytes, now)
    }

    fn take_hello(&mut self, set: &ReplicaSet, now: MonoUs, down: &mut Pipe) -> Result<(), Ended> {
        let held = std::mem::take(&mut self.held);
        let mut from = 0;
        while let Stage::Hello = self.stage {
            let step = self.decoder.poll(&held[from..]).map_err(PeerFault::Malformed)?;
            let Step::Ready { consumed } = step else { break };
            let request = self.decoder.request(&held[from..]);
            let word = |at: usize| request.get(at).unwrap_or_default();
            match word(0) {
                b"PING" => down.send(b"+PONG\r\n"),
                b"REPLCONF" => {
                    let pairs = (1..request.len()).step_by(2);
                    pairs.for_each(|it| self.hello.take(word(it), word(it + 1)).expect("known"));
                    down.send(b"+OK\r\n");
                }
                b"PSYNC" if set.remote().is_some_and(|it| !it.is_connected()) => {
                    down.send(b"-NOMASTERLINK Can't SYNC while not connected with my master\r\n");
                }
                b"PSYNC" => {
                    let asked = Asked::psync(self.hello.clone(), word(1), word(2));
                    self.stage = Stage::Asked(asked);
                    self.id =
                        Some(set.add_wire_follower(FollowerKind::Wire, "replica".to_owned(), 0));
                }
                other => panic!("a replica says {}", other.escape_ascii()),
            }
            from += consumed;
        }
        if let Stage::Hello = self.stage {
            self.held = held[from..].to_vec();
            return Ok(());
        }
        self.take_acks(set, &held[from..], now)
    }

    fn take_acks(&mut self, set: &ReplicaSet, bytes: &[u8], now: MonoUs) -> Result<(), Ended> {
        let Some(id) = self.id else { return Ok(()) };
        let MasterEnd { reader, stage, left, .. } = self;
        let taken = reader.take(bytes, |said| {
            let FromReplica::Acked { applied, .. } = said else { return Ok(()) };
            if let Stage::Loads(replid) = *stage {
                set.online_wire(id, now);
                *stage = Stage::Stream(replid);
            }
            if let (Stage::File(_), Some(0)) = (&*stage, *left) {
                set.online_wire(id, now);
            }
            set.ack(id, applied, now)
        });
        Ok(taken?)
    }

    /// Does the next thing there is to do. Answers whether there was any.
    pub fn work(
        &mut self,
        set: &ReplicaSet,
        most: usize,
        now: MonoUs,
        down: &mut Pipe,
    ) -> Result<bool, Ended> {
        let Some(id) = self.id else { return Ok(false) };
        if let FollowerState::Disconnected { .. } = set.follower_state(id) {
            return Err(Ended::Told("disconnected"));
        }
        let MasterEnd { left, marks, .. } = self;
        let next = match &self.stage {
            Stage::Asked(asked) => MasterEnd::open(left, *marks, set, id, asked, down)?,
            Stage::File(file) => MasterEnd::send_file(left, *marks, set, id, file, now, down)?,
            Stage::Hello | Stage::Loads(_) => None,
            Stage::Stream(replid) => match set.next_for_wire(id, *replid, most) {
                Next::Bytes(bytes) => {
                    down.send(&bytes);
                    return Ok(true);
                }
                Next::Nothing => return Ok(false),
                Next::Renamed => return Err(Ended::Told("renamed")),
                Next::Disconnected(_) => return Err(Ended::Told("disconnected")),
            },
        };
        let worked = next.is_some() || matches!(self.stage, Stage::File(_));
        if let Some(stage) = next {
            self.stage = stage;
        }
        Ok(worked)
    }

    fn open(
        left: &mut Option<u64>,
        marks: bool,
        set: &ReplicaSet,
        id: FollowerId,
        asked: &Asked,
        down: &mut Pipe,
    ) -> Result<Option<Stage>, Ended> {
        if let Some(replid) = asked.from.and_then(|it| set.resume_wire(id, it)) {
            set.wire.partial_resyncs.fetch_add(1, Relaxed);
            down.send(asked.answer(Started::Resumed { replid }).as_bytes());
            return Ok(Some(Stage::Stream(replid)));
        }
        let (file, len) = if marks {
            let Some(file) = set.snapshot(id, file_info) else { return Ok(None) };
            (file, None)
        } else {
            let Some([counted, file]) = set.counted_snapshot(id, file_info) else {
                return Ok(None);
            };
            (file, Some(length_of(counted)?))
        };
        *left = len;
        set.wire.full_resyncs.fetch_add(1, Relaxed);
        let at = file.snapshot().at();
        down.send(asked.answer(Started::Full { at }).as_bytes());
        match len {
            Some(len) => down.send(format!("${len}\r\n").as_bytes()),
            None => down.send(format!("$EOF:{MARK}\r\n").as_bytes()),
        }
        Ok(Some(Stage::File(file)))
    }

    fn send_file(
        left: &mut Option<u64>,
        marks: bool,
        set: &ReplicaSet,
        id: FollowerId,
        file: &SnapshotReader,
        now: MonoUs,
        down: &mut Pipe,
    ) -> Result<Option<Stage>, Ended> {
        match file.look()? {
            Piece::Bytes(bytes) => {
                *left = left.map(|it| it - bytes.len() as u64);
                down.send(&bytes);
            }
            Piece::End => {
                let replid = file.snapshot().at().replid;
                if marks {
                    down.send(MARK.as_bytes());
                    return Ok(Some(Stage::Loads(replid)));
                }
                set.online_wire(id, now);
                return Ok(Some(Stage::Stream(replid)));
            }
            Piece::Again | Piece::Busy | Piece::Ahead => {}
        }
        Ok(None)
    }
}

/// The history's name is left out: it differs from one run to the next.
fn file_info(at: Position, stream_db: Option<usize>) -> FileInfo {
    let (id, offset) = (MARK.to_owned(), at.offset.bytes());
    FileInfo {
        redis_version: "7",
        made_s: 0,
        used_bytes: 0,
        replication: Some(ReplicationInfo { stream_db, id, offset }),
        is_aof_base: false,
    }
}

fn length_of(file: SnapshotReader) -> Result<u64, Overtaken> {
    let mut bytes = 0;
    loop {
        match file.look()? {
            Piece::Bytes(piece) => bytes += piece.len() as u64,
            Piece::End => return Ok(bytes),
            Piece::Again | Piece::Busy | Piece::Ahead => {}
        }
    }
}
