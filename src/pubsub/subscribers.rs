//! The subscribers of one name, so that a publisher can take a copy of the list in a moment.

use super::delivery::Delivery;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who subscribes: a connection.
pub trait Subscriber: Send + Sync {
    /// Its number, which no other has.
    fn number(&self) -> u64;
    /// Hands it a message. Never waits.
    fn deliver(&self, message: &Arc<Delivery>);
}

/// How many numbers share a part of a list.
const PART: u64 = 64;

type Part = Arc<Vec<Arc<dyn Subscriber>>>;

/// Who subscribes to one name. Most names have one subscriber.
pub enum Subscribers {
    /// One.
    One(Arc<dyn Subscriber>),
    /// More, or what is left of them: in parts by their numbers, each of which is copied when it
    /// changes while a publisher has it.
    Many(BTreeMap<u64, Part>, usize),
}

/// The subscribers of one name as of when a publisher asked.
#[derive(Clone)]
pub enum Receivers {
    /// One.
    One(Arc<dyn Subscriber>),
    /// More.
    Many(Vec<Part>, usize),
}

impl Subscribers {
    /// Adds one that is not among them.
    pub fn add(&mut self, subscriber: Arc<dyn Subscriber>) {
        if let Subscribers::One(first) = self {
            let first = first.clone();
            *self = Subscribers::Many(BTreeMap::new(), 0);
            self.add(first);
        }
        let Subscribers::Many(parts, count) = self else { unreachable!("made so above") };
        let part = parts.entry(subscriber.number() / PART).or_default();
        Arc::make_mut(part).push(subscriber);
        *count += 1;
    }

    /// Takes one out. Answers whether there are others.
    pub fn remove(&mut self, number: u64) -> bool {
        match self {
            Subscribers::One(only) => only.number() != number,
            Subscribers::Many(parts, count) => {
                let Some(part) = parts.get_mut(&(number / PART)) else { return true };
                let Some(at) = part.iter().position(|it| it.number() == number) else {
                    return true;
                };
                Arc::make_mut(part).swap_remove(at);
                if part.is_empty() {
                    parts.remove(&(number / PART));
                }
                *count -= 1;
                *count != 0
            }
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Subscribers::One(_) => 1,
            Subscribers::Many(_, count) => *count,
        }
    }

    /// Those there are now.
    pub fn receivers(&self) -> Receivers {
        match self {
            Subscribers::One(only) => Receivers::One(only.clone()),
            Subscribers::Many(parts, count) => {
                Receivers::Many(parts.values().cloned().collect(), *count)
            }
        }
    }
}

impl Receivers {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Receivers::One(_) => 1,
            Receivers::Many(_, count) => *count,
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Subscriber> {
        let (one, many) = match self {
            Receivers::One(only) => (Some(only), [].as_slice()),
            Receivers::Many(parts, _) => (None, parts.as_slice()),
        };
        let many = many.iter().flat_map(|it| it.iter());
        one.into_iter().chain(many).map(|it| &**it)
    }
}
