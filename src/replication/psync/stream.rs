//! The stream of another master, split into writes: bytes come in, in pieces of any size.
//!
//! Of the commands it reads only the stream's own words: SELECT, MULTI, EXEC, PING and REPLCONF.

use super::link_fault::LinkFault;
use crate::base::limits::{DATABASES, QUERY_BYTES_MAX, READ_CHUNK_BYTES};
use crate::base::number::parse_u64;
use crate::resp::{AuthState, Decoder, Limits, Request, Step};

/// A command that is none of the stream's own words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamCommand {
    /// Its database.
    pub db: usize,
    /// Where it stands in [`StreamReader::bytes`].
    pub from: usize,
    /// One past its last byte.
    pub to: usize,
}

/// What is applied together: one command, or all from MULTI to EXEC, or none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamWrite {
    /// Where it stands in [`StreamReader::bytes`].
    pub from: usize,
    /// One past its last byte.
    pub to: usize,
    /// Its first command in [`StreamBatch::commands`].
    pub first: usize,
    /// One past its last command.
    pub end: usize,
    /// The database that is selected behind it.
    pub db: usize,
}

/// Whole writes in the order of the stream.
#[derive(Default, Debug)]
pub struct StreamBatch {
    /// The writes.
    pub writes: Vec<StreamWrite>,
    /// Their commands.
    pub commands: Vec<StreamCommand>,
    /// The master asks what has been applied.
    pub asks_ack: bool,
}

impl StreamBatch {
    /// The commands of a write.
    pub fn commands_of(&self, write: &StreamWrite) -> &[StreamCommand] {
        &self.commands[write.first..write.end]
    }

    fn clear(&mut self) {
        self.writes.clear();
        self.commands.clear();
        self.asks_ack = false;
    }
}

/// The stream as it comes. It holds a write that is not whole yet, and nothing that was applied.
pub struct StreamReader {
    decoder: Decoder,
    held: Vec<u8>,
    /// Bytes of `held` that have been given out as whole writes.
    given: usize,
    /// Bytes of `held` that have been understood.
    seen: usize,
    /// The database that is selected at `seen`.
    db: usize,
    /// Between MULTI and EXEC; its commands until now.
    open: Option<Vec<StreamCommand>>,
    asks_ack: bool,
}

/// One of the stream's own words, or another command.
#[derive(Clone, Copy)]
enum Word {
    Select(usize),
    Multi,
    Exec,
    AsksAck,
    Nothing,
    Command,
}

impl StreamReader {
    /// The stream from a place on at which this database is selected.
    pub fn new(db: usize) -> StreamReader {
        StreamReader {
            decoder: Decoder::new(Limits::of(AuthState::Known)),
            held: Vec::new(),
            given: 0,
            seen: 0,
            db,
            open: None,
            asks_ack: false,
        }
    }

    /// The next bytes have come. The places of earlier batches mean nothing from here on.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.given != 0 {
            self.held.drain(..self.given);
            self.seen -= self.given;
            for command in self.open.iter_mut().flatten() {
                command.from -= self.given;
                command.to -= self.given;
            }
            self.given = 0;
            if self.held.is_empty() && 4 * READ_CHUNK_BYTES < self.held.capacity() {
                self.held.shrink_to(bytes.len());
            }
        }
        self.held.extend_from_slice(bytes);
    }

    /// What the places of a batch are of.
    pub fn bytes(&self) -> &[u8] {
        &self.held
    }

    /// Takes the next whole writes, until they have `most` commands or there are no more. After a
    /// fault those in front of it are there.
    pub fn take(&mut self, most: usize, batch: &mut StreamBatch) -> Result<(), LinkFault> {
        batch.clear();
        while batch.commands.len() < most && batch.writes.len() < most {
            let Step::Ready { consumed } =
                self.decoder.poll(&self.held[self.seen..]).map_err(LinkFault::Malformed)?
            else {
                if QUERY_BYTES_MAX < self.held.len() - self.given {
                    return Err(LinkFault::WriteTooLong);
                }
                return Ok(());
            };
            let rest = &self.held[self.seen..];
            let request = self.decoder.request(rest);
            let is_inline = rest[0] != b'*' && !request.is_empty();
            if is_inline {
                return Err(LinkFault::InlineCommand);
            }
            let word = word_of(request)?;
            let (from, to) = (self.seen, self.seen + consumed);
            self.take_word(word, StreamCommand { db: self.db, from, to }, batch)?;
        }
        Ok(())
    }

    fn take_word(
        &mut self,
        word: Word,
        command: StreamCommand,
        batch: &mut StreamBatch,
    ) -> Result<(), LinkFault> {
        let mut alone = None;
        match (word, &mut self.open) {
            (Word::Multi, None) => self.open = Some(Vec::new()),
            (Word::Multi, Some(_)) => return Err(LinkFault::MisplacedWord("MULTI")),
            (Word::Exec, Some(_)) => {}
            (Word::Exec, None) => return Err(LinkFault::MisplacedWord("EXEC")),
            (Word::Command, Some(commands)) => commands.push(command),
            (Word::Command, None) => alone = Some(command),
            (Word::Select(db), _) => self.db = db,
            (Word::AsksAck, _) => self.asks_ack = true,
            (Word::Nothing, _) => {}
        }
        self.seen = command.to;
        let is_whole = self.open.is_none() || matches!(word, Word::Exec);
        if is_whole {
            let first = batch.commands.len();
            batch.commands.extend(self.open.take().into_iter().flatten().chain(alone));
            let (end, db) = (batch.commands.len(), self.db);
            batch.writes.push(StreamWrite { from: self.given, to: self.seen, first, end, db });
            self.given = self.seen;
            batch.asks_ack |= std::mem::take(&mut self.asks_ack);
        }
        Ok(())
    }
}

fn word_of(request: Request<'_>) -> Result<Word, LinkFault> {
    let Some(name) = request.get(0) else { return Ok(Word::Nothing) };
    let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
    let index = request.get(1).unwrap_or_default();
    Ok(match name.len() {
        4 if is("PING") => Word::Nothing,
        4 if is("EXEC") => Word::Exec,
        5 if is("MULTI") => Word::Multi,
        6 if is("SELECT") => {
            let db = parse_u64(index).and_then(|it| usize::try_from(it).ok());
            let no_such = || LinkFault::NoSuchDatabase(String::from_utf8_lossy(index).into_owned());
            Word::Select(db.filter(|it| *it < DATABASES).ok_or_else(no_such)?)
        }
        8 if is("REPLCONF") => {
            let asks = request.get(1).is_some_and(|it| it.eq_ignore_ascii_case(b"GETACK"));
            if asks { Word::AsksAck } else { Word::Nothing }
        }
        _ => Word::Command,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Random;

    /// The writes of a stream that comes in these pieces, as text.
    fn writes(pieces: &[&[u8]], most: usize) -> Result<Vec<String>, LinkFault> {
        let (mut reader, mut batch) = (StreamReader::new(3), StreamBatch::default());
        let mut found = Vec::new();
        for piece in pieces {
            reader.push(piece);
            loop {
                let taken = reader.take(most, &mut batch);
                let text = |from, to| reader.bytes()[from..to].escape_ascii().to_string();
                for write in &batch.writes {
                    let commands = batch.commands_of(write);
                    let commands: Vec<String> = commands
                        .iter()
                        .map(|it| format!("{}:{}", it.db, text(it.from, it.to)))
                        .collect();
                    found.push(format!(
                        "{} db={} [{}]",
                        text(write.from, write.to),
                        write.db,
                        commands.join(" ")
                    ));
                }
                taken?;
                if batch.writes.is_empty() {
                    break;
                }
            }
        }
        Ok(found)
    }

    fn encode(lines: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in lines {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            crate::resp::encode_command(&mut bytes, words.into_iter());
        }
        bytes
    }

    #[test]
    fn a_stream_is_split_into_the_same_writes_however_it_comes() {
        let bytes = encode(&[
            "SET a 1",
            "ping",
            "SELECT 5",
            "SET b 2",
            "multi",
            "SET c 3",
            "select 7",
            "DEL d",
            "exec",
            "REPLCONF GETACK *",
            "SET e 5",
            "MULTI",
            "EXEC",
            "LPUSH f 1",
        ]);
        let whole = writes(&[&bytes], 1000).unwrap();
        assert_eq!(whole.len(), 9);
        assert!(
            whole[3].starts_with("*1\\r\\n$5\\r\\nmulti") || whole[4].contains("multi"),
            "{whole:?}"
        );
        let transaction = whole.iter().find(|it| it.contains("multi")).unwrap();
        assert!(
            transaction.contains(" db=7 [5:") && transaction.contains(" 7:*2"),
            "{transaction}"
        );
        let total: usize = whole.len();
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let pieces = random.pieces(&bytes, 40);
            let most = 1 + random.below(5) as usize;
            let split = writes(&pieces, most).unwrap();
            assert_eq!((split.len(), &split), (total, &whole), "seed {seed}");
        }
    }

    #[test]
    fn what_is_no_stream_has_a_name() {
        let of = |bytes: &[u8]| writes(&[bytes], 100).unwrap_err().name();
        assert_eq!(of(b"SET a 1\r\n"), "inline-command");
        assert_eq!(of(b"*1\r\nfoo\r\n"), "malformed");
        assert_eq!(of(&encode(&["SELECT 99"])), "no-such-database");
        assert_eq!(of(&encode(&["SELECT"])), "no-such-database");
        assert_eq!(of(&encode(&["EXEC"])), "misplaced-word");
        assert_eq!(of(&encode(&["MULTI", "SET a 1", "MULTI"])), "misplaced-word");
        assert_eq!(writes(&[b"\r\n\n"], 100).unwrap().len(), 2, "a newline is a sign of life");
    }

    #[test]
    fn the_master_is_answered_once_everything_before_its_question_is_there() {
        let (mut reader, mut batch) = (StreamReader::new(0), StreamBatch::default());
        reader.push(&encode(&["MULTI", "REPLCONF GETACK *"]));
        reader.take(100, &mut batch).unwrap();
        assert!(!batch.asks_ack && batch.writes.is_empty());
        reader.push(&encode(&["EXEC"]));
        reader.take(100, &mut batch).unwrap();
        assert!(batch.asks_ack && batch.writes.len() == 1);
    }

    #[test]
    fn the_last_database_is_the_one_before_their_number() {
        let select = |it: usize| writes(&[&encode(&[&format!("SELECT {it}")])], 100);
        assert!(select(DATABASES - 1).is_ok());
        assert_eq!(select(DATABASES).unwrap_err().name(), "no-such-database");
    }

    #[test]
    fn a_batch_has_as_many_commands_and_as_many_writes_as_were_asked_for() {
        for line in ["SET a 1", "PING"] {
            let (mut reader, mut batch) = (StreamReader::new(0), StreamBatch::default());
            reader.push(&encode(&[line; 5]));
            for expected in [2, 2, 1, 0] {
                reader.take(2, &mut batch).unwrap();
                assert_eq!(batch.writes.len(), expected, "{line}");
            }
        }
    }

    #[test]
    fn what_has_been_given_is_not_kept_and_its_room_is_given_back() {
        let (mut reader, mut batch) = (StreamReader::new(0), StreamBatch::default());
        let long = encode(&[&format!("SET a {}", "x".repeat(8 * READ_CHUNK_BYTES))]);
        let short = encode(&["SET b 1"]);
        for bytes in [&short, &long, &short, &short] {
            reader.push(bytes);
            assert_eq!(reader.bytes(), &bytes[..], "all before has been taken");
            reader.take(100, &mut batch).unwrap();
            assert_eq!(batch.writes.len(), 1);
        }
        assert!(reader.held.capacity() <= 4 * READ_CHUNK_BYTES);
    }
}
