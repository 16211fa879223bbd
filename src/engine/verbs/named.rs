//! Collections whose entries have names: what the commands that all of them have need of them.

use super::changes;
use super::shown::Shown;
use crate::base::random::Random;
use crate::base::time::WallMs;
use crate::command::{Args, Event, Fault};
use crate::engine::packed::Element;
use crate::engine::{Collection, Effects, Engine, EngineShared};
use crate::resp::Reply;

/// A hash, a set or a sorted set. What has expired at `now` is not found.
pub trait Named: Collection {
    /// A field with its value, a member, a member with its score.
    type Entry<'c>: Copy
    where
        Self: 'c;

    /// The option of a scan that leaves out what belongs to the names.
    const NAMES_ONLY: Option<&'static str> = None;

    /// The command that takes entries out by their names.
    const REMOVE: &'static [u8];

    /// The event of entries that were taken out by their names.
    const REMOVED: Event;

    /// The name of an entry.
    fn name<'c>(&'c self, entry: Self::Entry<'c>) -> Element<'c>;

    /// Answers an entry.
    fn show(entry: Self::Entry<'_>, shown: Shown, reply: &mut Reply);

    /// Answers an entry that a scan has met, and tells how many replies it took: pairs do not stand
    /// together.
    fn show_met(&self, entry: Self::Entry<'_>, shown: Shown, reply: &mut Reply) -> usize;

    /// Takes the entry of this name out. Answers whether it was there.
    fn remove(&mut self, name: &[u8], shared: &EngineShared, now: WallMs) -> bool;

    /// Whether any entry has expired.
    fn any_due(&self, _now: WallMs) -> bool {
        false
    }

    /// How many entries have not expired.
    fn live_len(&self, _now: WallMs) -> usize {
        self.len()
    }

    /// Visits entries in hash order from `from` on (`None` is behind all hashes), at least
    /// `at_least` if there are so many. Answers where to go on, `None` at the end.
    fn scan<'c>(
        &'c self,
        from: Option<u32>,
        at_least: usize,
        now: WallMs,
        visit: impl FnMut(Self::Entry<'c>),
    ) -> Option<u32>;

    /// An entry by chance.
    fn random(&self, random: &mut Random, now: WallMs) -> Option<Self::Entry<'_>>;

    /// Visits `count` different entries by chance, or all.
    fn sample<'c>(
        &'c self,
        count: usize,
        random: &mut Random,
        now: WallMs,
        visit: impl FnMut(Self::Entry<'c>),
    );
}

/// HDEL, SREM, ZREM: takes entries out, and removes the key with the last one.
pub fn remove<C: Named>(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, now) = (args.next()?, args.now());
    let names = args.rest();
    let mut expired = false;

    let removed = engine.db_mut(&args).change(key, C::REMOVED, |it: &mut C, shared| {
        expired = it.any_due(now);
        if expired {
            let removed: Vec<&[u8]> = names.filter(|name| it.remove(name, shared, now)).collect();
            let count = removed.len();
            return Ok(((count, removed), count));
        }
        let removed = names.filter(|name| it.remove(name, shared, now)).count();
        Ok(((removed, Vec::new()), removed))
    })?;
    let (count, removed) = removed.unwrap_or_default();
    // To a replica, which hides nothing, what has expired is there as the rest is.
    if expired && count != 0 {
        let words: Vec<&[u8]> = [C::REMOVE, key].into_iter().chain(removed).collect();
        effects.say_all(args.db, words.into_iter());
        reply.count(count);
        return Ok(());
    }
    changes::answer(count, effects, reply);
    Ok(())
}
