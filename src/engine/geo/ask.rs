//! What a search was asked for.

use super::grid::Point;
use super::shape::{Extent, Shape};
use crate::base::time::WallMs;
use crate::command::{Args, CallEnv, Fault};
use crate::engine::{EngineShared, Zset};
use crate::resp::Request;

/// What a command's name fixes; the rest is up to its words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// GEOSEARCH.
    Search,
    /// GEOSEARCHSTORE.
    SearchStore,
    /// GEORADIUS.
    Radius,
    /// GEORADIUS_RO.
    RadiusRead,
    /// GEORADIUSBYMEMBER.
    RadiusByMember,
    /// GEORADIUSBYMEMBER_RO.
    RadiusByMemberRead,
}

/// The set that is searched, if it is there.
pub type Source<'e> = Option<(&'e Zset, &'e EngineShared)>;

/// What the scores of a stored result are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Store {
    /// Those of the members.
    Scores,
    /// Distances from the centre, in the unit that was asked for.
    Distances,
}

/// The direction of the result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// The nearest first.
    Near,
    /// The farthest first.
    Far,
}

/// What is answered beside each member.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Shown {
    /// WITHDIST: how far it is.
    pub distance: bool,
    /// WITHHASH: its score.
    pub score: bool,
    /// WITHCOORD: where it is.
    pub point: bool,
}

impl Shown {
    /// How many things that are.
    pub fn count(self) -> usize {
        [self.distance, self.score, self.point].into_iter().filter(|it| *it).count()
    }
}

/// All words behind the key.
#[derive(Debug)]
pub struct Ask<'a> {
    /// What is searched; `None` if there is no set to find its centre in.
    pub shape: Option<Shape>,
    /// ASC or DESC; see [`Ask::order`].
    order: Option<Order>,
    /// How many are wanted at most.
    pub count: Option<usize>,
    /// Whether the first ones will do that are found.
    pub any: bool,
    /// What is answered beside each.
    pub shown: Shown,
    /// Where the result is stored, and how.
    pub store: Option<(&'a [u8], Store)>,
}

/// Words as they came.
#[derive(Default)]
struct Words {
    from: Option<From>,
    /// How large the shape is, and the unit of that.
    extent: Option<(Extent, f64)>,
}

/// Where the centre is.
#[derive(Clone, Copy)]
enum From {
    Point(Point),
    /// A member's; nowhere if there is no set.
    Member(Option<Point>),
}

const UNKNOWN_UNIT: Fault =
    Fault::Static("ERR unsupported unit provided. please use M, KM, FT, MI");
const NO_MEMBER: Fault = Fault::Static("ERR could not decode requested zset member");

impl Form {
    /// Of the command of this name, in capitals.
    pub fn of(name: &str) -> Option<Form> {
        Some(match name {
            "GEOSEARCH" => Form::Search,
            "GEOSEARCHSTORE" => Form::SearchStore,
            "GEORADIUS" => Form::Radius,
            "GEORADIUS_RO" => Form::RadiusRead,
            "GEORADIUSBYMEMBER" => Form::RadiusByMember,
            "GEORADIUSBYMEMBER_RO" => Form::RadiusByMemberRead,
            _ => return None,
        })
    }

    /// Takes the words up to the set's key, which it answers, and where its result is stored if the
    /// command's name says so.
    pub fn keys<'a>(self, args: &mut Args<'a>) -> Result<(&'a [u8], Option<&'a [u8]>), Fault> {
        let to = if self == Form::SearchStore { Some(args.next()?) } else { None };
        Ok((args.next()?, to))
    }

    fn may_store(self) -> bool {
        matches!(self, Form::Radius | Form::RadiusByMember)
    }

    fn is_search(self) -> bool {
        matches!(self, Form::Search | Form::SearchStore)
    }

    /// Whether a request wants its result stored; one that makes no sense wants nothing.
    pub fn stores(self, request: Request<'_>) -> bool {
        let env = CallEnv::new(WallMs::NEVER_EXPIRES, 0);
        let mut args = Args::new(request, 1, 0, &env);
        let keys = self.keys(&mut args);
        keys.and_then(|it| Ask::read(self, it.1, &mut args, None))
            .is_ok_and(|it| it.store.is_some())
    }
}

impl<'a> Ask<'a> {
    /// Reads everything behind the key of the set, which is `zset` if it is there.
    pub fn read(
        form: Form,
        to: Option<&'a [u8]>,
        args: &mut Args<'a>,
        zset: Source<'_>,
    ) -> Result<Ask<'a>, Fault> {
        let mut words = Words::default();
        match form {
            Form::Search | Form::SearchStore => {}
            Form::Radius | Form::RadiusRead => {
                words.from = Some(From::Point(point(args)?));
                words.extent = Some(radius(args)?);
            }
            Form::RadiusByMember | Form::RadiusByMemberRead => {
                words.from = Some(From::Member(member(args, zset)?));
                words.extent = match zset {
                    Some(_) => Some(radius(args)?),
                    None => skip_radius(args)?,
                };
            }
        }
        let store = to.map(|it| (it, Store::Scores));
        let shown = Shown::default();
        let mut ask = Ask { shape: None, order: None, count: None, any: false, shown, store };
        while args.left() != 0 {
            if !ask.read_option(args, form)? && !words.read_option(args, form, zset)? {
                return Err(Fault::Syntax);
            }
        }
        ask.check(form, &words, args)?;
        if let (Some(From::Point(center) | From::Member(Some(center))), Some((extent, unit))) =
            (words.from, words.extent)
        {
            ask.shape = Some(Shape::new(center, extent, unit));
        }
        Ok(ask)
    }

    /// In which direction the result is sorted, if it is: who wants a few wants the nearest.
    pub fn order(&self) -> Option<Order> {
        match self.order {
            None if self.count.is_some() && !self.any => Some(Order::Near),
            order => order,
        }
    }

    /// Takes a word with what belongs to it, if it is one of those that all commands understand or
    /// that store.
    fn read_option(&mut self, args: &mut Args<'a>, form: Form) -> Result<bool, Fault> {
        const TOO_FEW: Fault = Fault::Static("ERR COUNT must be > 0");
        if args.word("WITHDIST") {
            self.shown.distance = true;
        } else if args.word("WITHHASH") {
            self.shown.score = true;
        } else if args.word("WITHCOORD") {
            self.shown.point = true;
        } else if args.word("ANY") {
            self.any = true;
        } else if args.word("ASC") {
            self.order = Some(Order::Near);
        } else if args.word("DESC") {
            self.order = Some(Order::Far);
        } else if 2 <= args.left() && args.word("COUNT") {
            let count = usize::try_from(args.int()?).ok().filter(|it| *it != 0);
            self.count = Some(count.ok_or(TOO_FEW)?);
        } else if form.may_store() && 2 <= args.left() && args.word("STORE") {
            self.store = Some((args.next()?, Store::Scores));
        } else if form.may_store() && 2 <= args.left() && args.word("STOREDIST") {
            self.store = Some((args.next()?, Store::Distances));
        } else if form == Form::SearchStore && args.word("STOREDIST") {
            self.store = self.store.map(|(to, _)| (to, Store::Distances));
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Refuses words that do not go together, in Redis' order.
    fn check(&self, form: Form, words: &Words, args: &Args<'_>) -> Result<(), Fault> {
        const ANY_ALONE: Fault = Fault::Static("ERR the ANY argument requires COUNT argument");
        if self.store.is_some() && self.shown.count() != 0 {
            let name = match form {
                Form::SearchStore => "GEOSEARCHSTORE",
                _ => "STORE option in GEORADIUS",
            };
            return Err(Fault::Message(format!(
                "ERR {name} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )));
        }
        let missing = |what: &str| {
            let name = String::from_utf8_lossy(args.request().get(0).unwrap_or_default());
            Err(Fault::Message(format!("ERR exactly one of {what} can be specified for {name}")))
        };
        if words.from.is_none() {
            return missing("FROMMEMBER or FROMLONLAT");
        }
        if words.extent.is_none() && form.is_search() {
            return missing("BYRADIUS and BYBOX");
        }
        if self.any && self.count.is_none() {
            return Err(ANY_ALONE);
        }
        Ok(())
    }
}

impl Words {
    /// Takes a word with what belongs to it, if it says where and how large the shape is.
    fn read_option(
        &mut self,
        args: &mut Args<'_>,
        form: Form,
        zset: Source<'_>,
    ) -> Result<bool, Fault> {
        if !form.is_search() {
            return Ok(false);
        }
        let (from, extent) = (self.from, self.extent.map(|it| it.0));
        let may_be_member = !matches!(from, Some(From::Point(_)));
        let may_be_point = !matches!(from, Some(From::Member(_)));
        let may_be_round = !matches!(extent, Some(Extent::Box { .. }));
        let may_be_box = !matches!(extent, Some(Extent::Radius(_)));
        if may_be_member && 2 <= args.left() && args.word("FROMMEMBER") {
            self.from = Some(From::Member(member(args, zset)?));
        } else if may_be_point && 3 <= args.left() && args.word("FROMLONLAT") {
            self.from = Some(From::Point(point(args)?));
        } else if may_be_round && 3 <= args.left() && args.word("BYRADIUS") {
            self.extent = Some(radius(args)?);
        } else if may_be_box && 4 <= args.left() && args.word("BYBOX") {
            self.extent = Some(sides(args)?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}

/// Takes a longitude and a latitude.
pub fn point(args: &mut Args<'_>) -> Result<Point, Fault> {
    let (longitude, latitude) = (args.float()?, args.float()?);
    Point::new(longitude, latitude).ok_or_else(|| {
        Fault::Message(format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}"))
    })
}

/// Takes the name of a unit; answers how many metres it has.
pub fn unit(args: &mut Args<'_>) -> Result<f64, Fault> {
    let units = [("M", 1.0), ("KM", 1000.0), ("FT", 0.3048), ("MI", 1609.34)];
    let found = units.into_iter().find(|(name, _)| args.word(name));
    found.map(|it| it.1).ok_or(UNKNOWN_UNIT)
}

/// Takes a member; answers where it is, or nothing if there is no set.
fn member(args: &mut Args<'_>, zset: Source<'_>) -> Result<Option<Point>, Fault> {
    let name = args.next()?;
    let Some((zset, shared)) = zset else { return Ok(None) };
    let score = zset.score(name, shared).ok_or(NO_MEMBER)?;
    Ok(Some(Point::of_score(score)))
}

/// Whatever they are: nobody looks at the words that say it if there is no set.
fn skip_radius(args: &mut Args<'_>) -> Result<Option<(Extent, f64)>, Fault> {
    let _ = (args.next()?, args.next()?);
    Ok(None)
}

fn radius(args: &mut Args<'_>) -> Result<(Extent, f64), Fault> {
    const NO_NUMBER: Fault = Fault::Static("ERR need numeric radius");
    const NEGATIVE: Fault = Fault::Static("ERR radius cannot be negative");
    let radius = args.float().map_err(|_| NO_NUMBER)?;
    if radius < 0.0 {
        return Err(NEGATIVE);
    }
    Ok((Extent::Radius(radius), unit(args)?))
}

fn sides(args: &mut Args<'_>) -> Result<(Extent, f64), Fault> {
    const NO_WIDTH: Fault = Fault::Static("ERR need numeric width");
    const NO_HEIGHT: Fault = Fault::Static("ERR need numeric height");
    const NEGATIVE: Fault = Fault::Static("ERR height or width cannot be negative");
    let width = args.float().map_err(|_| NO_WIDTH)?;
    let height = args.float().map_err(|_| NO_HEIGHT)?;
    if width < 0.0 || height < 0.0 {
        return Err(NEGATIVE);
    }
    Ok((Extent::Box { width, height }, unit(args)?))
}
