//! What XADD and XTRIM are asked to take away at the front, and what the stream says of it.

use super::words::id_of;
use crate::base::time::WallMs;
use crate::command::{Args, Fault};
use crate::engine::Effects;
use crate::engine::stream::{AddId, Entries, NodeLimits, Trim, Trimmed};

const TWO_WAYS: Fault =
    Fault::Static("ERR syntax error, MAXLEN and MINID options at the same time are not compatible");
const NEGATIVE_LENGTH: Fault = Fault::Static("ERR The MAXLEN argument must be >= 0.");
const NEGATIVE_LIMIT: Fault = Fault::Static("ERR The LIMIT argument must be >= 0.");
const LIMIT_OF_NOTHING: Fault =
    Fault::Static("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy");
const NOTHING: Fault =
    Fault::Static("ERR syntax error, XTRIM must be called with a trimming strategy");
const LIMIT_OF_EXACT: Fault =
    Fault::Static("ERR syntax error, LIMIT cannot be used without the special ~ option");
const INVALID_ID: Fault =
    Fault::Static("ERR Invalid stream ID specified as stream command argument");

/// What is to be left, and how exactly.
#[derive(Clone, Copy)]
pub struct AskedTrim {
    trim: Trim,
    /// `~`: whole nodes only.
    is_about: bool,
    /// With `~`, most entries to go; without one, as many as the settings say.
    limit: Option<u64>,
    /// Where the threshold stands.
    at: usize,
}

impl AskedTrim {
    /// Takes entries away.
    pub fn apply(&self, entries: &mut Entries, limits: &NodeLimits) -> Trimmed {
        if !self.is_about {
            return entries.trim(self.trim);
        }
        entries.trim_about(self.trim, self.limit.unwrap_or_else(|| limits.trim_limit()))
    }
}

/// What stands before the id of XADD, and all that XTRIM says.
#[derive(Default)]
pub struct Options {
    /// The key is created if it is not there.
    pub creates: bool,
    /// What is to go.
    pub trim: Option<AskedTrim>,
    /// The id of XADD, if any is said.
    pub id: Option<AddId>,
    /// Where that stands.
    id_at: usize,
}

impl Options {
    /// Takes the options of XADD, and the id.
    pub fn of_add(args: &mut Args<'_>) -> Result<Options, Fault> {
        Options::read(args, true)
    }

    /// Takes the options of XTRIM.
    pub fn of_trim(args: &mut Args<'_>) -> Result<(Options, AskedTrim), Fault> {
        let options = Options::read(args, false)?;
        let trim = options.trim.ok_or(NOTHING)?;
        Ok((options, trim))
    }

    fn read(args: &mut Args<'_>, adds: bool) -> Result<Options, Fault> {
        let mut options = Options { creates: true, ..Options::default() };
        let mut limit = None;
        while args.left() != 0 {
            let has_more = 2 <= args.left();
            if adds && args.peek() == Some(b"*") {
                options.read_id(args)?;
                break;
            }
            if has_more && args.word("MAXLEN") {
                options.read_trim(args, |args| {
                    let length = u64::try_from(args.int()?);
                    length.map(Trim::Length).map_err(|_| NEGATIVE_LENGTH)
                })?;
            } else if has_more && args.word("MINID") {
                options.read_trim(args, |args| id_of(args.next()?).map(Trim::From))?;
            } else if has_more && args.word("LIMIT") {
                limit = Some(u64::try_from(args.int()?).map_err(|_| NEGATIVE_LIMIT)?);
            } else if adds && args.word("NOMKSTREAM") {
                options.creates = false;
            } else if adds {
                options.read_id(args)?;
                break;
            } else {
                return Err(Fault::Syntax);
            }
        }
        options.set_limit(limit, adds, args.now() == WallMs::NEVER_EXPIRES)?;
        Ok(options)
    }

    fn read_id(&mut self, args: &mut Args<'_>) -> Result<(), Fault> {
        self.id_at = args.request().len() - args.left();
        self.id = Some(AddId::parse(args.next()?).ok_or(INVALID_ID)?);
        Ok(())
    }

    fn read_trim(
        &mut self,
        args: &mut Args<'_>,
        read: impl FnOnce(&mut Args<'_>) -> Result<Trim, Fault>,
    ) -> Result<(), Fault> {
        if self.trim.is_some() {
            return Err(TWO_WAYS);
        }
        let has_sign = 2 <= args.left();
        let is_about = has_sign && args.word("~");
        if has_sign && !is_about {
            args.word("=");
        }
        let at = args.request().len() - args.left();
        self.trim = Some(AskedTrim { trim: read(args)?, is_about, limit: None, at });
        Ok(())
    }

    /// In the log the threshold says what came of a limit, which is still there.
    fn set_limit(&mut self, limit: Option<u64>, adds: bool, is_of_log: bool) -> Result<(), Fault> {
        let Some(trim) = &mut self.trim else {
            return match limit {
                Some(1..) => Err(LIMIT_OF_NOTHING),
                // XTRIM is refused for what it lacks.
                Some(0) if adds => Err(LIMIT_OF_EXACT),
                _ => Ok(()),
            };
        };
        if is_of_log {
            trim.limit = Some(0);
            return Ok(());
        }
        if limit.is_some() && !trim.is_about {
            return Err(LIMIT_OF_EXACT);
        }
        trim.limit = limit;
        Ok(())
    }

    /// What `~` has come to, as a threshold that leaves no choice.
    pub fn left(&self, entries: &Entries) -> Option<Box<[u8]>> {
        let trim = self.trim.filter(|it| it.is_about)?;
        Some(match trim.trim {
            Trim::Length(_) => entries.len().to_string().into_bytes().into(),
            Trim::From(_) => (*entries.edge_id().text()).into(),
        })
    }

    /// The stream says the client's words, with another id and what `~` has come to.
    pub fn say(
        &self,
        args: &Args<'_>,
        id: Option<&[u8]>,
        left: Option<Box<[u8]>>,
        effects: &mut Effects,
    ) {
        if id.is_none() && left.is_none() {
            return effects.as_sent();
        }
        let (request, trim_at) = (args.request(), self.trim.map_or(0, |it| it.at));
        let words = (0..request.len()).map(|at| match (&left, id) {
            (Some(left), _) if at == trim_at => &**left,
            (Some(_), _) if at + 1 == trim_at => b"=",
            (_, Some(id)) if at == self.id_at => id,
            _ => request.get(at).unwrap_or_default(),
        });
        effects.say_all(args.db, words);
    }
}
