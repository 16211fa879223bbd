//! The replica's end of a link, from its first byte on: bytes and time come in, bytes to send and
//! the master's answer come out.
//!
//! ```text
//!          no login                        nothing to announce
//!  Ping ──────┬───────▶ ListeningPort ──────────┬──────────▶ Capabilities ──┬──────────▶ Psync
//!    └─▶ Auth ┘               └──▶ IpAddress ───┘                           └▶ Version ─┘ │ │
//!                                                                 +FULLRESYNC │   │ +CONTINUE
//!                                                                             ▼   ▼
//!                                                        Transfer ──loaded──▶ Stream
//! ```
//!
//! What comes after the answer to PSYNC belongs to whoever loads the snapshot, and then to
//! [`super::StreamReader`]; the link only hears that something has come.

use super::link_fault::{LinkFault, Refusal};
use crate::base::number::parse_i64;
use crate::base::planted::{Planted, is_planted};
use crate::base::position::{Offset, Position, ReplId};
use crate::base::time::MonoUs;
use crate::resp::encode_command;
use std::time::Duration;

/// How often a replica says what it has applied, and that it is still there.
const ACK_EVERY: Duration = Duration::from_secs(1);
/// The oldest Valkey whose files hold deadlines of fields.
const READS_FILES_OF: &[u8] = b"9.0.0";
/// No answer of the handshake is longer.
const LINE_BYTES_MAX: usize = 4 << 10;
/// Bytes of an answer that are told.
const SAID_BYTES_MAX: usize = 128;

/// Who logs in at the master.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Login {
    /// `masteruser`; without it, it is the default user.
    pub user: Option<String>,
    /// `masterauth`.
    pub password: String,
}

/// What a replica says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplicaConfig {
    /// Who logs in.
    pub login: Option<Login>,
    /// The port at which others reach it.
    pub port: u16,
    /// The address at which others reach it, where that is not the one it comes from.
    pub ip: Option<String>,
    /// A link on which nothing comes for this long is down (`repl-timeout`).
    pub timeout: Duration,
    /// The peer is asked to become the master.
    pub asks_to_take_over: bool,
    /// It says that it reads files of Valkey 9: who is not told so may have hashes that it cannot
    /// write in any other.
    pub says_version: bool,
}

/// The master's answer to PSYNC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// A snapshot follows, which stands here.
    FullResync(Position),
    /// The stream goes on where it was asked to, from here on under this name.
    Continue(Option<ReplId>),
}

/// Where a link stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Ping,
    Auth,
    ListeningPort,
    IpAddress,
    Capabilities,
    Version,
    Psync,
    /// The snapshot comes.
    Transfer,
    /// The stream comes; all before this has been applied.
    Stream(Offset),
}

impl Stage {
    /// What the peer is asked in it.
    fn name(self) -> &'static str {
        match self {
            Stage::Ping => "PING",
            Stage::Auth => "AUTH",
            Stage::ListeningPort => "REPLCONF listening-port",
            Stage::IpAddress => "REPLCONF ip-address",
            Stage::Capabilities => "REPLCONF capa",
            Stage::Version => "REPLCONF version",
            Stage::Psync => "PSYNC",
            Stage::Transfer => "the transfer",
            Stage::Stream(_) => "the stream",
        }
    }
}

/// A replica's link to its master.
pub struct ReplicaLink {
    config: ReplicaConfig,
    /// What it has, if it may go on from there.
    has: Option<Position>,
    stage: Stage,
    /// An answer, as far as it has come.
    line: Vec<u8>,
    output: Vec<u8>,
    heard_at: MonoUs,
    next_ack: MonoUs,
    /// What is in the append-only file here, if there is one.
    on_disk: Option<Offset>,
}

impl ReplicaLink {
    /// A link that has just been connected. `has` is what the replica has, if it may go on there.
    pub fn new(config: ReplicaConfig, has: Option<Position>, now: MonoUs) -> ReplicaLink {
        let mut link = ReplicaLink {
            config,
            has,
            stage: Stage::Ping,
            line: Vec::new(),
            output: Vec::new(),
            heard_at: now,
            next_ack: now,
            on_disk: None,
        };
        link.say(&[b"PING"]);
        link
    }

    /// Takes the next bytes of the handshake. Answers how many of them belong to it, and what the
    /// master has answered to PSYNC, if that has come: the bytes behind it are of the snapshot, or
    /// of the stream.
    pub fn handle_bytes(
        &mut self,
        bytes: &[u8],
        now: MonoUs,
    ) -> Result<(usize, Option<Answer>), LinkFault> {
        self.heard(now);
        let mut taken = 0;
        while taken < bytes.len() {
            let rest = &bytes[taken..];
            let end = rest.iter().position(|it| *it == b'\n');
            let part = &rest[..end.map_or(rest.len(), |it| it + 1)];
            taken += part.len();
            self.line.extend_from_slice(part);
            if LINE_BYTES_MAX < self.line.len() {
                return Err(LinkFault::EndlessLine);
            }
            if end.is_none() {
                break;
            }
            let line = std::mem::take(&mut self.line);
            // A master that has no answer yet sends empty lines, to be seen alive.
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            if let Some(answer) = self.answered(line, now)? {
                return Ok((taken, Some(answer)));
            }
        }
        Ok((taken, None))
    }

    /// Something of the snapshot or of the stream has come.
    pub fn heard(&mut self, now: MonoUs) {
        self.heard_at = now;
    }

    /// The snapshot has been loaded, and stands here.
    pub fn loaded(&mut self, mut at: Offset, now: MonoUs) {
        if let Some(has) = self.has.filter(|_| is_planted(Planted::OldHistoryAcked)) {
            at = has.offset;
        }
        self.begin_stream(at, now);
    }

    /// All before this has been applied.
    pub fn applied(&mut self, to: Offset) {
        if let Stage::Stream(applied) = &mut self.stage {
            *applied = to;
        }
    }

    /// All before this is in the append-only file, for good; `None` where there is no such file.
    /// The master is told with the next acknowledgement.
    pub fn synced(&mut self, to: Option<Offset>) {
        self.on_disk = to;
    }

    /// The master asks what has been applied, or it should know now.
    pub fn acknowledge(&mut self, now: MonoUs) {
        let Stage::Stream(applied) = self.stage else { return };
        let digits = applied.to_string();
        match self.on_disk.map(|it| it.min(applied).to_string()) {
            None => self.say(&[b"REPLCONF", b"ACK", digits.as_bytes()]),
            Some(on_disk) => {
                let on_disk = on_disk.as_bytes();
                self.say(&[b"REPLCONF", b"ACK", digits.as_bytes(), b"FACK", on_disk]);
            }
        }
        self.next_ack = now.plus(ACK_EVERY);
    }

    /// Time has passed.
    pub fn handle_time(&mut self, now: MonoUs) -> Result<(), LinkFault> {
        if self.silent_at() <= now {
            return Err(LinkFault::Silent);
        }
        if self.next_ack <= now {
            match self.stage {
                // As Redis does, so that the master sees that somebody is loading.
                Stage::Transfer => {
                    self.output.push(b'\n');
                    self.next_ack = now.plus(ACK_EVERY);
                }
                Stage::Stream(_) => self.acknowledge(now),
                _ => {}
            }
        }
        Ok(())
    }

    /// When [`ReplicaLink::handle_time`] has something to do next.
    pub fn poll_deadline(&self) -> MonoUs {
        match self.stage {
            Stage::Transfer | Stage::Stream(_) => self.silent_at().min(self.next_ack),
            _ => self.silent_at(),
        }
    }

    /// What is to be sent now.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// What it waits for.
    pub fn waits_for(&self) -> &'static str {
        self.stage.name()
    }

    fn silent_at(&self) -> MonoUs {
        self.heard_at.plus(self.config.timeout)
    }

    fn say(&mut self, words: &[&[u8]]) {
        encode_command(&mut self.output, words.iter().copied());
    }

    fn begin_stream(&mut self, at: Offset, now: MonoUs) {
        self.stage = Stage::Stream(at);
        // At once: the master counts a replica as there from its first acknowledgement on.
        self.acknowledge(now);
    }

    /// One whole line has come.
    fn answered(&mut self, line: &[u8], now: MonoUs) -> Result<Option<Answer>, LinkFault> {
        let shown = String::from_utf8_lossy(&line[..line.len().min(SAID_BYTES_MAX)]).into_owned();
        let error = shown.strip_prefix('-');
        let refused = |text: &str| LinkFault::Refused(Refusal::of(text), text.to_owned());
        let no_answer =
            |step: Stage| LinkFault::NoAnswer { step: step.name(), said: shown.clone() };
        match (self.stage, error) {
            (Stage::Ping, Some(text)) => {
                let wants_login =
                    matches!(Refusal::of(text), Refusal::NoAuth | Refusal::NoPermission)
                        || text.starts_with("ERR operation not permitted");
                if !wants_login || self.config.login.is_none() {
                    return Err(refused(text));
                }
                self.log_in();
            }
            (Stage::Auth | Stage::Psync, Some(text)) => return Err(refused(text)),
            // Whoever does not know these words has no use for what they say.
            (
                Stage::ListeningPort | Stage::IpAddress | Stage::Capabilities | Stage::Version,
                Some(text),
            ) => match Refusal::of(text) {
                Refusal::Other => self.go_on(),
                _ => return Err(refused(text)),
            },
            (Stage::Psync, None) => {
                let answer = self.psync_answered(line, now)?;
                return answer.map(Some).ok_or_else(|| no_answer(Stage::Psync));
            }
            (stage, None) if !line.starts_with(b"+") => return Err(no_answer(stage)),
            (Stage::Ping, None) if self.config.login.is_some() => self.log_in(),
            (_, None) => self.go_on(),
            (Stage::Transfer | Stage::Stream(_), Some(_)) => {
                unreachable!("what comes then is not given to the handshake")
            }
        }
        Ok(None)
    }

    fn log_in(&mut self) {
        let Some(Login { user, password }) = self.config.login.clone() else { return };
        self.stage = Stage::Auth;
        match user {
            Some(user) => self.say(&[b"AUTH", user.as_bytes(), password.as_bytes()]),
            None => self.say(&[b"AUTH", password.as_bytes()]),
        }
    }

    /// Asks what comes after the step that has been answered.
    fn go_on(&mut self) {
        match self.stage {
            Stage::Ping | Stage::Auth => {
                self.stage = Stage::ListeningPort;
                let port = self.config.port.to_string();
                self.say(&[b"REPLCONF", b"listening-port", port.as_bytes()]);
            }
            Stage::ListeningPort if self.config.ip.is_some() => {
                self.stage = Stage::IpAddress;
                let ip = self.config.ip.clone().unwrap_or_default();
                self.say(&[b"REPLCONF", b"ip-address", ip.as_bytes()]);
            }
            Stage::ListeningPort | Stage::IpAddress => {
                self.stage = Stage::Capabilities;
                self.say(&[b"REPLCONF", b"capa", b"eof", b"capa", b"psync2"]);
            }
            Stage::Capabilities if self.config.says_version => {
                self.stage = Stage::Version;
                self.say(&[b"REPLCONF", b"version", READS_FILES_OF]);
            }
            Stage::Capabilities | Stage::Version => {
                self.stage = Stage::Psync;
                match self.has {
                    Some(Position { replid, offset }) => {
                        // Redis counts the stream's bytes from 1, and asks for the next.
                        let (replid, next) = (replid.to_string(), offset.after(1).to_string());
                        let words =
                            [&b"PSYNC"[..], replid.as_bytes(), next.as_bytes(), b"FAILOVER"];
                        let count = if self.config.asks_to_take_over { 4 } else { 3 };
                        self.say(&words[..count]);
                    }
                    None => self.say(&[b"PSYNC", b"?", b"-1"]),
                }
            }
            Stage::Psync | Stage::Transfer | Stage::Stream(_) => {
                unreachable!("nothing is asked after PSYNC")
            }
        }
    }

    /// `None` when this is no answer to PSYNC.
    fn psync_answered(&mut self, line: &[u8], now: MonoUs) -> Result<Option<Answer>, LinkFault> {
        let text = String::from_utf8_lossy(line);
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let replid = |it: &str| ReplId::parse(it.as_bytes());
        let answer = match words.as_slice() {
            ["+FULLRESYNC", id, offset, ..] => {
                // More than a signed number counts would be no offset to the master either.
                let offset = parse_i64(offset.as_bytes()).and_then(|it| u64::try_from(it).ok());
                let (Some(replid), Some(offset)) = (replid(id), offset) else { return Ok(None) };
                self.stage = Stage::Transfer;
                self.next_ack = now.plus(ACK_EVERY);
                Answer::FullResync(Position { replid, offset: Offset::new(offset) })
            }
            ["+CONTINUE", rest @ ..] => {
                let has = self.has.ok_or(LinkFault::NotAsked)?;
                let new = match rest {
                    [] => None,
                    [id, ..] => match replid(id) {
                        Some(new) => Some(new),
                        None => return Ok(None),
                    },
                };
                self.begin_stream(has.offset, now);
                let new = new.filter(|_| !is_planted(Planted::RenameUnnoticed));
                Answer::Continue(new.filter(|it| *it != has.replid))
            }
            _ => return Ok(None),
        };
        Ok(Some(answer))
    }
}

#[cfg(test)]
mod tests;
