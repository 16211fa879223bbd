//! DEBUG DIGEST, DIGEST-VALUE, OBJECT, LISTPACK and HTSTATS: what the master's values are made of.

use crate::base::limits::DATABASES;
use crate::base::time::WallMs;
use crate::command::Fault;
use crate::commands::{CommandContext, Outcome};
use crate::engine::table::Slot;
use crate::engine::{Engine, KeySlot, RedisDigest, Value, redis_digest_of};

/// What a verb answers of the master's data.
type Told = Result<(), Fault>;

/// Calls what looks at the master, which somebody may hold for long.
fn look(
    context: &mut CommandContext<'_>,
    tell: impl FnOnce(&Engine, &mut CommandContext<'_>) -> Told,
) -> Result<Outcome, Fault> {
    let server = context.server;
    let (set, member_list) = (&server.set, server.set.member_list());
    let Some(reading) = set.read_unless_long(&member_list[set.master().index()]) else {
        return Ok(Outcome::Busy(set.master()));
    };
    tell(reading.engine(), context).map(|()| Outcome::Answered)
}

/// The value of the next argument, though its time may be over: as long as it is there.
fn find<'e>(engine: &'e Engine, context: &mut CommandContext<'_>) -> Result<&'e KeySlot, Fault> {
    let key = context.args.next()?;
    let slot = engine.view(context.session.db, WallMs(0)).peek(key);
    slot.ok_or(Fault::NoSuchKey)
}

pub(super) fn digest(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    look(context, |engine, context| {
        let digest = engine.redis_digest(context.clock.wall_now());
        context.reply.simple(&digest.to_string());
        Ok(())
    })
}

pub(super) fn digest_value(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    look(context, |engine, context| {
        context.reply.array(context.args.left());
        while context.args.left() != 0 {
            let digest = match find(engine, context) {
                Ok(slot) => redis_digest_of(slot),
                Err(_) => RedisDigest::default(),
            };
            context.reply.simple(&digest.to_string());
        }
        Ok(())
    })
}

/// As much as can be told without being Redis.
pub(super) fn object(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    look(context, |engine, context| {
        let slot = find(engine, context)?;
        let idle_s = slot.usage().idle_s(context.args.now());
        let text = format!(
            "Value at:0x0 refcount:1 encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{}",
            slot.encoding(),
            slot.bytes(),
            (context.args.now().0 / 1000).saturating_sub(idle_s) & 0xFF_FFFF,
            idle_s,
        );
        context.reply.simple(&text);
        Ok(())
    })
}

pub(super) fn listpack(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    look(context, |engine, context| {
        let slot = find(engine, context)?;
        if slot.encoding() != "listpack" {
            return Err(Fault::Static("ERR Not a listpack encoded object."));
        }
        let key = String::from_utf8_lossy(slot.key());
        log::warn!("event=debug-listpack key={key:?} bytes={}", slot.bytes());
        context.reply.simple("Listpack structure printed on stdout");
        Ok(())
    })
}

pub(super) fn ht_stats(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    const OUTSIDE: Fault = Fault::Static("ERR Out of range database");
    look(context, |engine, context| {
        let db = usize::try_from(context.args.int()?).ok().filter(|it| *it < DATABASES);
        let space = engine.space(db.ok_or(OUTSIDE)?);
        let text = format!(
            "[Dictionary HT]\nHash table 0 stats (main hash table):\n table segments: {}\n \
             number of elements: {}\n[Expires HT]\n number of elements: {}\n",
            space.table().segments(),
            space.len(),
            space.with_deadline(),
        );
        context.reply.verbatim(&text);
        Ok(())
    })
}

pub(super) fn ht_stats_key(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    const NO_TABLE: Fault = Fault::Static(
        "ERR The value stored at the specified key is not represented using an hash table",
    );
    look(context, |engine, context| {
        let slot = find(engine, context)?;
        let len = match slot.value() {
            Some(Value::Set(set)) if slot.encoding() == "hashtable" => set.len(),
            Some(Value::Hash(hash)) if slot.encoding() == "hashtable" => hash.len(),
            Some(Value::Zset(zset)) if slot.encoding() == "skiplist" => zset.len(),
            _ => return Err(NO_TABLE),
        };
        context.reply.verbatim(&format!(
            "Hash table 0 stats (main hash table):\n number of elements: {len}\n"
        ));
        Ok(())
    })
}
