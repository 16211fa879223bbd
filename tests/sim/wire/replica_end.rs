//! The replica's end of a link, as `server/follow.rs` drives it with a socket.

use super::replica_set::{EARLY, apply_all};
use entourage::base::limits::DATABASES;
use entourage::base::position::{Offset, Position, ReplId, ReplicationHistory};
use entourage::base::time::MonoUs;
use entourage::engine::rdb::{LoadedFile, Loader, Transfer};
use entourage::node::{LinkPhase, RemoteMaster, Repeat, RepeatEnd, ReplicaSet};
use entourage::replication::{
    Answer, LinkFault, ReplicaConfig, ReplicaLink, StreamBatch, StreamReader,
};
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(1_000_000);
/// Few, so that one delivery is several batches.
const COMMANDS_MAX: usize = 7;

/// What has happened at this end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The stream goes on.
    Resumed,
    /// A file will come.
    FullResync,
    /// The data has been replaced.
    Replaced,
}

enum Stage {
    Handshake,
    Loading { loader: Box<Loader>, transfer: Transfer, at: Position },
    Stream(StreamReader),
}

pub struct ReplicaEnd {
    link: ReplicaLink,
    remote: Arc<RemoteMaster>,
    /// The database that is selected where it asks to go on.
    db: usize,
    stage: Stage,
}

impl ReplicaEnd {
    pub fn new(
        set: &ReplicaSet,
        remote: Arc<RemoteMaster>,
        resumes: bool,
        now: MonoUs,
    ) -> ReplicaEnd {
        set.enter_link_phase(&remote, LinkPhase::Handshake, now);
        let (has, db) = set.resume_from();
        let config = ReplicaConfig {
            login: None,
            port: 1,
            ip: None,
            timeout: TIMEOUT,
            asks_to_take_over: false,
            says_version: false,
        };
        let link = ReplicaLink::new(config, has.filter(|_| resumes), now);
        ReplicaEnd { link, remote, db, stage: Stage::Handshake }
    }

    /// Whether the stream has begun.
    pub fn has_stream(&self) -> bool {
        matches!(self.stage, Stage::Stream(_))
    }

    /// What is to be sent now.
    pub fn take_output(&mut self) -> Vec<u8> {
        self.link.take_output()
    }

    pub fn handle_time(&mut self, now: MonoUs) {
        self.link.handle_time(now).expect("nobody is silent for so long");
    }

    /// The link has ended.
    pub fn leave(self, set: &ReplicaSet, now: MonoUs) {
        set.enter_link_phase(&self.remote, LinkPhase::Waiting, now);
    }

    /// Bytes have come. `master` is what the master answers to INFO now.
    pub fn take(
        &mut self,
        set: &ReplicaSet,
        master: &ReplicationHistory,
        bytes: &[u8],
        now: MonoUs,
        events: &mut Vec<Event>,
    ) -> Result<(), LinkFault> {
        self.link.heard(now);
        match &mut self.stage {
            Stage::Handshake => {
                let (taken, answer) = self.link.handle_bytes(bytes, now)?;
                let Some(answer) = answer else { return Ok(()) };
                self.begin(set, master, answer, now, events)?;
                self.take(set, master, &bytes[taken..], now, events)
            }
            Stage::Loading { loader, transfer, .. } => {
                let fed = transfer.feed(bytes, loader);
                let count = fed.map_err(|it| LinkFault::Snapshot(it.to_string()))?;
                if !transfer.is_done() {
                    return Ok(());
                }
                self.put_in_place(set, master, now)?;
                events.push(Event::Replaced);
                self.take(set, master, &bytes[count..], now, events)
            }
            Stage::Stream(reader) => {
                reader.push(bytes);
                self.repeat(set, now)
            }
        }
    }

    fn begin(
        &mut self,
        set: &ReplicaSet,
        master: &ReplicationHistory,
        answer: Answer,
        now: MonoUs,
        events: &mut Vec<Event>,
    ) -> Result<(), LinkFault> {
        match answer {
            Answer::Continue(new) => {
                if let Some(replid) = new {
                    let past = past_of(master, replid)?;
                    let renamed = set.rename_stream(&self.remote, replid, &past);
                    renamed.map_err(|_| LinkFault::NotFollowed)?;
                }
                self.stage = Stage::Stream(StreamReader::new(self.db));
                set.enter_link_phase(&self.remote, LinkPhase::Connected, now);
                events.push(Event::Resumed);
            }
            Answer::FullResync(at) => {
                let loader = Box::new(Loader::new(set.new_engine(), EARLY));
                self.stage = Stage::Loading { loader, transfer: Transfer::default(), at };
                set.enter_link_phase(&self.remote, LinkPhase::Sync, now);
                events.push(Event::FullResync);
            }
        }
        Ok(())
    }

    fn put_in_place(
        &mut self,
        set: &ReplicaSet,
        master: &ReplicationHistory,
        now: MonoUs,
    ) -> Result<(), LinkFault> {
        let Stage::Loading { loader, at, .. } =
            std::mem::replace(&mut self.stage, Stage::Handshake)
        else {
            unreachable!("a file is loaded")
        };
        let loaded = loader.finish().map_err(|it| LinkFault::Snapshot(it.to_string()))?;
        let text = loaded.aux("repl-stream-db").map(String::from_utf8_lossy);
        let db = text.and_then(|it| it.parse().ok()).filter(|it| *it < DATABASES).unwrap_or(0);
        let LoadedFile { engine, .. } = loaded;
        let past = past_of(master, at.replid)?;
        let put = set.replace_data(&self.remote, engine, at, db, &past);
        put.map_err(|_| LinkFault::NotFollowed)?;
        self.link.loaded(at.offset, now);
        self.stage = Stage::Stream(StreamReader::new(db));
        set.enter_link_phase(&self.remote, LinkPhase::Connected, now);
        Ok(())
    }

    /// Does all whole writes that have come.
    fn repeat(&mut self, set: &ReplicaSet, now: MonoUs) -> Result<(), LinkFault> {
        let ReplicaEnd { link, remote, stage: Stage::Stream(reader), .. } = self else {
            unreachable!("the stream has begun")
        };
        let mut batch = StreamBatch::default();
        loop {
            let taken = reader.take(COMMANDS_MAX, &mut batch);
            if batch.writes.is_empty() {
                return taken;
            }
            let (bytes, batch) = (reader.bytes(), &batch);
            let mut repeat = Repeat { remote, bytes, batch, done: 0 };
            loop {
                match set.repeat(&mut repeat)? {
                    RepeatEnd::All => break,
                    RepeatEnd::Some => {}
                    RepeatEnd::Long => set.repeat_long(&mut repeat)?,
                    RepeatEnd::Held | RepeatEnd::Behind(_) => apply_all(set, now),
                }
            }
            link.applied(set.head());
            taken?;
            if batch.asks_ack {
                link.acknowledge(now);
            }
        }
    }
}

/// What a master's INFO says that a history of it went on with.
fn past_of(master: &ReplicationHistory, replid: ReplId) -> Result<Vec<Position>, LinkFault> {
    let past = master.past_of(replid).ok_or(LinkFault::HistoryChanged)?;
    Ok(past.iter().filter(|it| it.offset != Offset::ZERO).copied().collect())
}
