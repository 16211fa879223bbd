//! What is known of a key beside its value.

use crate::base::number;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Access, Args, Fault, Flags, Group, KeySpec, Keys, help};
use crate::engine::Run::Read;
use crate::engine::{Engine, KeySlot, Row, container, row};
use crate::resp::Reply;

/// Redis shares the objects of the integers below this among all keys.
const SHARED_INTEGERS: i64 = 10_000;
/// What it then answers for their number of references.
const SHARED_REFERENCES: i64 = i32::MAX as i64;

const NAMED: Keys = Keys(&[KeySpec::one(2, Access::PEEK)]);
const VARIES: &[&str] = &["nondeterministic_output"];
const HELP_FLAGS: Flags = Flags::LOADING.union(Flags::STALE);

/// The family's rows. MEMORY's other subcommands are the server's.
pub const ROWS: &[Row] = &[
    container("OBJECT", OBJECT).says(
        Group::Generic,
        "2.2.3",
        "Depends on subcommand.",
        "Tells how a key is stored.",
        "",
    ),
    container("MEMORY", MEMORY).says(
        Group::Server,
        "4.0.0",
        "Depends on subcommand.",
        "Tells how memory is used.",
        "",
    ),
];

const OBJECT: &[Row] = &[
    row("ENCODING", Exactly(3), Flags::NONE, NAMED, Read(encoding))
        .says(Group::Generic, "2.2.3", "O(1)", "Names the form a value is kept in.", "key")
        .tips(VARIES),
    row("FREQ", Exactly(3), Flags::AT_MASTER, NAMED, Read(freq))
        .says(Group::Generic, "4.0.0", "O(1)", "Answers how often a key is used.", "key")
        .tips(VARIES),
    row("IDLETIME", Exactly(3), Flags::AT_MASTER, NAMED, Read(idletime))
        .says(Group::Generic, "2.2.3", "O(1)", "Answers the seconds since a key's last use.", "key")
        .tips(VARIES),
    row("REFCOUNT", Exactly(3), Flags::NONE, NAMED, Read(refcount))
        .says(Group::Generic, "2.2.3", "O(1)", "Answers how many keys share a value.", "key")
        .tips(VARIES),
    row("HELP", Exactly(2), HELP_FLAGS, Keys::NONE, Read(tell)).says(
        Group::Generic,
        "6.2.0",
        "O(1)",
        "Lists the subcommands.",
        "",
    ),
];

const MEMORY: &[Row] = &[row("USAGE", AtLeast(3), Flags::NONE, NAMED, Read(usage)).says(
    Group::Server,
    "4.0.0",
    "O(N) where N is the number of samples.",
    "Estimates the memory that a key takes.",
    "key [SAMPLES count]",
)];

fn encoding(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let found = engine.db(&args).see_quietly(args.next()?);
    reply.maybe(found.map(|it| it.encoding().as_bytes()));
    Ok(())
}

fn freq(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    const UNCOUNTED: Fault = Fault::Static(
        "ERR An LFU maxmemory policy is not selected, access frequency not tracked. \
         Please note that when switching between policies at runtime LRU and LFU data will take \
         some time to adjust.",
    );
    let (now, rules) = (args.now(), &engine.shared().thresholds.eviction);
    match engine.db(&args).see_quietly(args.next()?) {
        Some(_) if !rules.policy.counts_uses() => return Err(UNCOUNTED),
        Some(slot) => reply.count(slot.usage().frequency(now, rules).into()),
        None => reply.null(),
    }
    Ok(())
}

fn idletime(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    const COUNTED: Fault = Fault::Static(
        "ERR An LFU maxmemory policy is selected, idle time not tracked. \
         Please note that when switching between policies at runtime LRU and LFU data will take \
         some time to adjust.",
    );
    let now = args.now();
    match engine.db(&args).see_quietly(args.next()?) {
        Some(_) if engine.shared().thresholds.eviction.policy.counts_uses() => return Err(COUNTED),
        Some(slot) => reply.count(slot.usage().idle_s(now) as usize),
        None => reply.null(),
    }
    Ok(())
}

fn refcount(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    match engine.db(&args).see_quietly(args.next()?) {
        None => reply.null(),
        Some(slot) if is_shared_integer(slot) => reply.int(SHARED_REFERENCES),
        Some(_) => reply.int(1),
    }
    Ok(())
}

fn is_shared_integer(slot: &KeySlot) -> bool {
    let is_small = |it| (0..SHARED_INTEGERS).contains(&it);
    slot.encoding() == "int"
        && slot.as_string().is_ok_and(|it| number::parse_i64(it).is_some_and(is_small))
}

fn tell(_: &Engine, _: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    help("OBJECT", OBJECT.iter().map(|it| &it.spec), reply);
    Ok(())
}

fn usage(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let key = args.next()?;
    while args.left() != 0 {
        // A few elements of a large collection stand for all, whatever sample was asked for.
        if args.left() < 2 || !args.word("SAMPLES") {
            return Err(Fault::Syntax);
        }
        if args.int()? < 0 {
            return Err(Fault::Syntax);
        }
    }

    match engine.db(&args).peek(key) {
        None => reply.null(),
        Some(slot) => reply.count(size_of::<KeySlot>() + slot.bytes()),
    }
    Ok(())
}
