//! What a replica on the wire is sent before the stream: a partial resync, or the file of a
//! snapshot.

use super::{LinkEnd, Registered, ReplicaLink};
use crate::base::position::{Position, ReplId};
use crate::engine::rdb::{FileInfo, SnapshotWriter};
use crate::node::{Overtaken, SnapshotReader, new_replid};
use crate::replication::{FileContents, Started};
use crate::runtime::link::Link;
use crate::runtime::{clock, tasks};
use crate::server::file_info::file_info;
use futures::future::{Either, select};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::*;
use std::time::Duration;

/// How often a replica that waits for its file hears that its master lives.
const ALIVE_EVERY: Duration = Duration::from_secs(1);
/// How often one that waits for others to have their files asks for its own.
const ASK_EVERY: Duration = Duration::from_millis(100);

impl ReplicaLink<Link> {
    /// Sends what it asked for, up to the stream. Answers the name by which the replica knows the
    /// history; `None` when it wanted no stream and has gone.
    pub(super) async fn open(&self) -> Result<Option<ReplId>, LinkEnd> {
        let resumed = self.asked.from.and_then(|it| self.set().resume_wire(self.id(), it));
        if let Some(replid) = resumed {
            self.resume(replid).await?;
            return Ok(Some(replid));
        }
        let wire = &self.set().wire;
        if self.asked.from.is_some() {
            wire.partial_resyncs_refused.fetch_add(1, Relaxed);
        }
        wire.full_resyncs.fetch_add(1, Relaxed);
        let at = self.full_resync().await?;
        if self.asked.hello.wants_file_only {
            self.wait_for_end().await;
            return Ok(None);
        }
        Ok(Some(at.replid))
    }

    async fn resume(&self, replid: ReplId) -> Result<(), LinkEnd> {
        self.set().wire.partial_resyncs.fetch_add(1, Relaxed);
        self.send(self.asked.answer(Started::Resumed { replid }).as_bytes()).await?;
        self.set().heard_wire(self.id(), clock::mono_now());
        let at = self.asked.from.map(|it| it.offset).unwrap_or_default();
        log::info!("event=partial-resync replica={} offset={at}", self.name);
        Ok(())
    }

    async fn full_resync(&self) -> Result<Position, LinkEnd> {
        let began = clock::mono_now();
        let takes_mark = self.asked.hello.takes_mark && self.asked.is_named;
        let Read { file, counted } = self.while_alive(self.snapshot(takes_mark)).await?;
        let at = file.snapshot().at();
        self.send(self.asked.answer(Started::Full { at }).as_bytes()).await?;
        // As long as a replication id, and as random.
        let mark = new_replid().to_string();
        let bytes = match self.asked.hello.contents {
            FileContents::All => {
                *self.file.lock() = Some(file.clone());
                let len = match counted {
                    Some(counted) => Some(self.while_alive(length_of(counted)).await??),
                    None => None,
                };
                self.announce(&mark, len).await?;
                self.send_file(&file, len).await?
            }
            FileContents::NoKeys => {
                let bytes = self.without_keys(file_info(at, file.snapshot().stream_db()));
                let len = bytes.len() as u64;
                self.announce(&mark, (!takes_mark).then_some(len)).await?;
                self.send(&bytes).await?;
                len
            }
        };
        *self.file.lock() = None;
        drop(file);
        self.end_file(takes_mark.then_some(&mark)).await?;
        log::info!(
            "event=full-resync replica={} offset={} bytes={bytes} us={}",
            self.name,
            at.offset,
            clock::mono_now().since(began)
        );
        Ok(at)
    }

    /// Waits for others that want one.
    async fn gather(&self) {
        let settings = self.server.settings();
        let (delay, enough) = (settings.set.diskless_sync_delay, settings.set.sync_max_replicas);
        let mut gathering = self.set().wire.gather(clock::mono_now(), delay, enough);
        let wait = pin!(tasks::sleep(gathering.wait));
        select(wait, &mut gathering.called).await;
    }

    /// Waits for a snapshot. One whose file has to be counted first is nobody else's.
    async fn snapshot(&self, takes_mark: bool) -> Read {
        self.gather().await;
        loop {
            let registered = self.registered.clone();
            let taken = tasks::apart(move || {
                let Registered { set, id } = &*registered;
                if takes_mark {
                    let file = set.snapshot(*id, file_info)?;
                    return Some(Read { file: Arc::new(file), counted: None });
                }
                let [counted, file] = set.counted_snapshot(*id, file_info)?;
                Some(Read { file: Arc::new(file), counted: Some(counted) })
            });
            if let Some(read) = taken.await {
                return read;
            }
            tasks::sleep(ASK_EVERY).await;
        }
    }

    /// Lets the replica know that somebody is there until `work` is done.
    async fn while_alive<T>(&self, work: impl Future<Output = T>) -> Result<T, LinkEnd> {
        let alive = async {
            loop {
                tasks::sleep(ALIVE_EVERY).await;
                if let Err(ended) = self.send(b"\n").await {
                    return ended;
                }
            }
        };
        match select(pin!(work), pin!(alive)).await {
            Either::Left((done, _)) => Ok(done),
            Either::Right((ended, _)) => Err(ended),
        }
    }

    /// A file without keys.
    fn without_keys(&self, info: FileInfo) -> Vec<u8> {
        let (mut file, mut bytes) = (SnapshotWriter::new(info), Vec::new());
        let engine = self.set().new_engine();
        while let Some(piece) = file.next_piece(&engine) {
            bytes.extend_from_slice(piece);
        }
        bytes
    }

    /// Says how long the file will be, or what stands behind it.
    async fn announce(&self, mark: &str, len: Option<u64>) -> Result<(), LinkEnd> {
        let announced = match len {
            Some(len) => format!("${len}\r\n"),
            None => format!("$EOF:{mark}\r\n"),
        };
        self.send(announced.as_bytes()).await
    }

    /// Sends the file. Answers how long it is. A replica that knows its length may have loaded it
    /// before we see its end.
    async fn send_file(&self, file: &SnapshotReader, len: Option<u64>) -> Result<u64, LinkEnd> {
        let mut bytes = 0;
        while let Some(piece) = file.next().await? {
            bytes += piece.len() as u64;
            if len == Some(bytes) {
                self.is_file_sent.store(true, Release);
            }
            self.send(&piece).await?;
            tasks::give_way().await;
        }
        Ok(bytes)
    }

    /// The file is sent: with a mark, the replica says when it has loaded it.
    async fn end_file(&self, mark: Option<&String>) -> Result<(), LinkEnd> {
        let has_stream = !self.asked.hello.wants_file_only;
        if let Some(mark) = mark {
            let loaded = self.loaded.listen();
            self.is_file_sent.store(true, Release);
            self.send(mark.as_bytes()).await?;
            if has_stream {
                loaded.await;
            }
        } else if has_stream {
            self.begin_stream(clock::mono_now());
        }
        Ok(())
    }

    /// It has what it wanted, and closes when it likes.
    async fn wait_for_end(&self) {
        self.server.closed().await;
    }
}

/// A file to send, and the same to count if it is to be announced by its length.
struct Read {
    file: Arc<SnapshotReader>,
    counted: Option<SnapshotReader>,
}

/// How long a file is: it is made once for that alone, and nothing of it is kept.
async fn length_of(file: SnapshotReader) -> Result<u64, Overtaken> {
    let mut bytes = 0;
    while let Some(piece) = file.next().await? {
        bytes += piece.len() as u64;
        tasks::give_way().await;
    }
    Ok(bytes)
}
