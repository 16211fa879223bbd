//! A client's mistake, and the one place where the text it is answered with stands.

use std::borrow::Cow;
use std::fmt;

/// What a client did wrong, or why its request cannot be served. Displays as the error reply, code
/// first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Words that do not fit the command's grammar.
    Syntax,
    /// A number was expected, or it does not fit 64 bits.
    NotInteger,
    /// A float was expected.
    NotFloat,
    /// Adding would leave 64 bits.
    Overflow,
    /// The sum is NaN or infinite.
    NanOrInfinity,
    /// The key holds another type.
    WrongType,
    /// The key is not there, for commands that insist.
    NoSuchKey,
    /// A position outside the collection.
    IndexOutOfRange,
    /// A negative count or length where none may be.
    NotPositive,
    /// The string would grow past `proto-max-bulk-len`.
    StringTooLong,
    /// A database number outside 0..16.
    DbOutOfRange,
    /// An expiry that is not positive or overflows, in this command.
    InvalidExpire(&'static str),
    /// Too few or too many arguments, for this command (`get`, `config|set`).
    WrongArity(String),
    /// No such command; the name and the beginnings of its arguments.
    UnknownCommand(String),
    /// No such subcommand of this container.
    UnknownSubcommand { given: String, container: &'static str },
    /// Not authenticated.
    NoAuth,
    /// Fewer good replicas than `min-replicas-to-write`.
    NoReplicas,
    /// No master can take this write now.
    MasterDown,
    /// No member was fresh enough in time. There is no estimate when nobody can tell.
    Lagged { behind_bytes: u64, eta_ms: Option<u64> },
    /// None of the members that may serve this read is in service, and its ladder ends there.
    NoMember,
    /// Too many connections wait for a thread for long work.
    LongQueue,
    /// A script has kept the master busy for long; whether it is a function.
    Busy(bool),
    /// A write was applied, but fewer replicas than asked for confirmed it in time.
    NotDurable { offset: u64, acked: usize, wanted: usize },
    /// The session's last writes were cut off by a failover.
    LostWrite { from: u64, to: u64 },
    /// Any other text, code included.
    Static(&'static str),
    /// Any other text, code included, made for this request.
    Message(String),
}

/// A client's word as an error echoes it: up to a NUL byte, 128 bytes at most, as UTF-8.
pub fn echo(word: &[u8]) -> Cow<'_, str> {
    const ECHOED_BYTES_MAX: usize = 128;
    let end = word.iter().position(|it| *it == 0).unwrap_or(word.len());
    String::from_utf8_lossy(&word[..end.min(ECHOED_BYTES_MAX)])
}

impl Fault {
    /// The error reply, code first.
    pub fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(match self {
            Fault::Syntax => "ERR syntax error",
            Fault::NotInteger => "ERR value is not an integer or out of range",
            Fault::NotFloat => "ERR value is not a valid float",
            Fault::Overflow => "ERR increment or decrement would overflow",
            Fault::NanOrInfinity => "ERR increment would produce NaN or Infinity",
            Fault::WrongType => "WRONGTYPE Operation against a key holding the wrong kind of value",
            Fault::NoSuchKey => "ERR no such key",
            Fault::IndexOutOfRange => "ERR index out of range",
            Fault::NotPositive => "ERR value is out of range, must be positive",
            Fault::StringTooLong => "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
            Fault::DbOutOfRange => "ERR DB index is out of range",
            Fault::NoAuth => "NOAUTH Authentication required.",
            Fault::NoReplicas => "NOREPLICAS Not enough good replicas to write.",
            Fault::MasterDown => {
                "MASTERDOWN The hosted master is out of service and no replica can take over: \
                 PROXY NODES tells why, PROXY NODE RESUME and UNDRAIN let one."
            }
            Fault::NoMember => {
                "LAGGED no member that may serve this read is in service: PROXY NODES tells why; \
                 end the route's ladder in master to read there"
            }
            Fault::LongQueue => {
                "LONGQUEUE too many long commands wait for their turn: try again later, or ask for \
                 less at a time"
            }
            Fault::Busy(false) => {
                "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN \
                 NOSAVE."
            }
            Fault::Busy(true) => {
                "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN \
                 NOSAVE."
            }
            Fault::Static(text) => text,
            Fault::UnknownCommand(text) | Fault::Message(text) => text,
            other => return Cow::Owned(other.told()),
        })
    }

    #[cold]
    fn told(&self) -> String {
        match self {
            Fault::InvalidExpire(name) => format!("ERR invalid expire time in '{name}' command"),
            Fault::WrongArity(name) => {
                format!("ERR wrong number of arguments for '{name}' command")
            }
            Fault::UnknownSubcommand { given, container } => {
                format!("ERR unknown subcommand '{given}'. Try {container} HELP.")
            }
            Fault::Lagged { behind_bytes, eta_ms } => {
                let eta = eta_ms.map_or(String::new(), |it| format!(" eta_ms={it}"));
                format!(
                    "LAGGED no member is fresh enough, {behind_bytes} bytes behind{eta}: try \
                     again, wait longer, or end the ladder in master or stale"
                )
            }
            Fault::NotDurable { offset, acked, wanted } => {
                format!(
                    "NOTDURABLE applied offset={offset} acked={acked}/{wanted}: the write is done, \
                     do not send it again; WAIT tells how many have it"
                )
            }
            Fault::LostWrite { from, to } => {
                format!(
                    "LOSTWRITE a failover cut off this session's writes from offset {from} to \
                     {to}: write again what must not be lost"
                )
            }
            plain => plain.text().into_owned(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}
