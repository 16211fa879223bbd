//! Which script a request runs, and what is known of it before it does.

use super::caller::Caller;
use crate::base::number::parse_i64;
use crate::command::Fault;
use crate::command::codes::OUT_OF_MEMORY;
use crate::commands::{Command, ScriptBy, ScriptRun};
use crate::engine::Engine;
use crate::resp::Request;
use crate::script::{Flags, Libraries, Library, Purpose, Sha};
use crate::state::LastScript;
use std::borrow::Cow;
use std::sync::Arc;

/// No such script.
pub const UNKNOWN_SCRIPT: Fault = Fault::Static("NOSCRIPT No matching script. Please use EVAL.");
/// No such function.
pub const UNKNOWN_FUNCTION: Fault = Fault::Static("ERR Function not found");
const SUM_LEN: usize = size_of::<Sha>();
const NO_NUMBER_OF_KEYS: Fault = Fault::Static("ERR Bad number of keys provided");
const WRITES_IN_RO: Fault =
    Fault::Static("ERR Can not execute a script with write flag using *_ro command.");

/// A script that a request runs.
pub struct ScriptCall<'r> {
    /// Its command.
    pub command: &'static Command,
    /// The request.
    pub request: Request<'r>,
    /// Which one.
    pub which: Which<'r>,
    /// What it says of itself.
    pub flags: Option<Flags>,
    /// It may only read: the command or the script says so.
    pub reads_only: bool,
    /// How many of the words behind their number are keys.
    pub keys: usize,
}

/// Which script.
pub enum Which<'r> {
    /// One by its text.
    Script(Sha, Arc<[u8]>),
    /// A function.
    Function(FoundFunction<'r>),
}

/// A function, and where it was found.
pub struct FoundFunction<'r> {
    /// Its name.
    pub name: Cow<'r, [u8]>,
    /// All libraries that there were.
    pub libraries: Arc<Libraries>,
    /// The one that it is of.
    pub library: Arc<Library>,
}

impl FoundFunction<'_> {
    /// The libraries of a member at which it is to run, and its own there; `None` when it is gone.
    pub fn at(&self, engine: &Engine) -> Option<(Arc<Libraries>, Arc<Library>)> {
        let there = engine.libraries();
        if Arc::ptr_eq(there, &self.libraries) {
            return Some((there.clone(), self.library.clone()));
        }
        let (library, ..) = there.function(&self.name)?;
        Some((there.clone(), library.clone()))
    }
}

impl Which<'_> {
    /// What runs it.
    pub fn purpose(&self) -> Purpose {
        match self {
            Which::Script(..) => Purpose::Scripts,
            Which::Function(_) => Purpose::Functions,
        }
    }

    /// Its name.
    pub fn name(&self) -> &[u8] {
        match self {
            Which::Script(sha, _) => sha,
            Which::Function(function) => &function.name,
        }
    }
}

/// Words before the keys: the command, the script, the number of keys.
pub const WORDS: usize = 3;

impl<'r> ScriptCall<'r> {
    /// The script that a request names. `libraries` are asked for its function.
    pub fn of(
        caller: &Caller,
        command: &'static Command,
        run: ScriptRun,
        request: Request<'r>,
        last: &mut Option<LastScript>,
        libraries: impl FnOnce() -> Arc<Libraries>,
    ) -> Result<ScriptCall<'r>, Fault> {
        let word = request.get(1).unwrap_or_default();
        let (which, flags, keys) = match run.by {
            // Its number of keys is looked at first.
            ScriptBy::Text => {
                let keys = number_of_keys(run, request)?;
                let found = caller.server.scripting.by_text(word, last);
                let message = |it: Vec<u8>| String::from_utf8_lossy(&it).into_owned();
                let (sha, script) = found.map_err(|it| Fault::Message(message(it)))?;
                (Which::Script(sha, script.text), script.flags, keys)
            }
            // Only what may be a sum at all has its number of keys looked at first.
            ScriptBy::Sha => {
                if word.len() != SUM_LEN {
                    return Err(UNKNOWN_SCRIPT);
                }
                let keys = number_of_keys(run, request)?;
                let found = caller.server.scripting.by_sha(word, last);
                let (sha, script) = found.ok_or(UNKNOWN_SCRIPT)?;
                (Which::Script(sha, script.text), script.flags, keys)
            }
            ScriptBy::Function => {
                let libraries = libraries();
                let found = libraries.function(word).ok_or(UNKNOWN_FUNCTION)?;
                let (library, registered, function) = found;
                let name = match registered == word {
                    true => Cow::Borrowed(word),
                    false => Cow::Owned(registered.to_vec()),
                };
                let (library, flags) = (library.clone(), function.flags);
                let which = Which::Function(FoundFunction { name, libraries, library });
                (which, Some(flags), number_of_keys(run, request)?)
            }
        };
        let says_no_writes = flags.is_some_and(|it| it.has(Flags::NO_WRITES));
        if run.reads_only && flags.is_some() && !says_no_writes {
            let is_told = caller.lacks_memory && !flags.is_some_and(|it| it.has(Flags::ALLOW_OOM));
            return Err(if is_told { OUT_OF_MEMORY } else { WRITES_IN_RO });
        }
        let reads_only = run.reads_only || says_no_writes;
        Ok(ScriptCall { command, request, which, flags, reads_only, keys })
    }

    /// Whether it says of itself that it may write: then it is refused before it begins.
    pub fn says_it_writes(&self) -> bool {
        self.flags.is_some() && !self.reads_only
    }
}

fn number_of_keys(run: ScriptRun, request: Request<'_>) -> Result<usize, Fault> {
    let is_function = run.by == ScriptBy::Function;
    let number = parse_i64(request.get(2).unwrap_or_default());
    let number = number.ok_or(if is_function { NO_NUMBER_OF_KEYS } else { Fault::NotInteger })?;
    let words = request.len() - WORDS;
    match usize::try_from(number) {
        Ok(keys) if keys <= words => Ok(keys),
        Ok(_) => Err(Fault::Static("ERR Number of keys can't be greater than number of args")),
        Err(_) => Err(Fault::Static("ERR Number of keys can't be negative")),
    }
}
