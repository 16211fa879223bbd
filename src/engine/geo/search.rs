//! The members of a sorted set that lie in a shape.

use super::grid::Point;
use super::shape::Shape;
use crate::engine::packed::Element;
use crate::engine::{Scored, Zset};
use std::cmp::Ordering;
use std::ops::Range;

/// A member that was found.
#[derive(Clone, Copy, Debug)]
pub struct Near<'z> {
    /// Its name.
    pub member: Element<'z>,
    /// The score that says where it is.
    pub score: f64,
    /// Where that is.
    pub point: Point,
    /// How far from the centre of the shape, in metres.
    pub distance: f64,
}

impl Near<'_> {
    /// How it stands to another: the nearer one comes first.
    pub fn order(&self, other: &Near<'_>) -> Ordering {
        self.distance.total_cmp(&other.distance)
    }

    /// The whole part of the score; the lowest integer if it is none of 64 bits.
    pub fn whole_score(&self) -> i64 {
        const LIMIT: f64 = (1_u64 << 63) as f64;
        if self.score < LIMIT { self.score as i64 } else { i64::MIN }
    }
}

/// The members that lie in a shape, `most` of them at most: cell by cell, and in each in the order
/// of their scores. Only members in cells that cover the shape are looked at.
pub fn search<'z>(zset: &'z Zset, shape: &Shape, most: usize) -> Vec<Near<'z>> {
    let found = |(member, score): Scored<'z>| {
        let point = Point::of_score(score);
        let distance = shape.distance_inside(point)?;
        Some(Near { member, score, point, distance })
    };
    let cells = shape.cells().map(|it| scores(it.scores()));
    if !zset.is_packed() {
        let inside = cells.flat_map(|it| zset.walk_scores(it));
        return inside.filter_map(found).take(most).collect();
    }
    // Unpacked once, for all cells.
    let all: Vec<Scored<'z>> = zset.iter().collect();
    let inside = cells.flat_map(|it| {
        let first = all.partition_point(|(_, score)| *score < it.start);
        all[first..].iter().copied().take_while(move |(_, score)| *score < it.end)
    });
    inside.filter_map(found).take(most).collect()
}

/// How many members such a search looks at, at most.
pub fn estimate(zset: &Zset, shape: &Shape) -> usize {
    let cells = shape.cells().map(|it| scores(it.scores()));
    let inside = |it: Range<f64>| {
        let before = |limit: f64| zset.count_scores(|it| it < limit);
        before(it.end) - before(it.start)
    };
    cells.map(inside).sum()
}

/// Scores as they are stored.
fn scores(range: Range<u64>) -> Range<f64> {
    range.start as f64..range.end as f64
}
