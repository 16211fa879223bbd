//! The grid and the sphere against what must hold of any, and searches against a walk over all.

use super::grid::{Cell, Point, STEP_MAX};
use super::nearest::sort_first;
use super::search::{estimate, search};
use super::shape::{Extent, Shape, distance};
use crate::engine::{Engine, Thresholds, Zset};
use proptest::prelude::*;
use std::cell::{Cell as Shared, RefCell};
use std::cmp::Ordering;

fn point(longitude: f64, latitude: f64) -> Point {
    Point::new(longitude, latitude).expect("on the map")
}

fn points() -> impl Strategy<Value = Point> {
    (-180.0..180.0, -85.05..85.05).prop_map(|(longitude, latitude)| point(longitude, latitude))
}

/// Where cells that cover a shape lie side by side on the map.
fn inland() -> impl Strategy<Value = Point> {
    (-120.0..120.0, -60.0..60.0).prop_map(|(longitude, latitude)| point(longitude, latitude))
}

fn extents() -> impl Strategy<Value = Extent> {
    prop_oneof![
        (0.0..1500.0).prop_map(Extent::Radius),
        (0.0..2000.0, 0.0..2000.0).prop_map(|(width, height)| Extent::Box { width, height }),
    ]
}

/// A set of members `m0`, `m1`, …, packed if it is to be small.
fn set_of(points: &[Point], largest_packed: usize) -> Zset {
    let thresholds = Thresholds { zset_entries: largest_packed, ..Thresholds::default() };
    let engine = Engine::new(7, thresholds);
    let mut zset = Zset::default();
    for (at, point) in points.iter().enumerate() {
        zset.set(format!("m{at}").as_bytes(), point.score() as f64, engine.shared());
    }
    zset
}

proptest! {
    #[test]
    fn a_score_is_the_cell_of_its_point(score in 0..1_u64 << (2 * STEP_MAX)) {
        prop_assert_eq!(Point::of_score(score as f64).score(), score);
    }

    #[test]
    fn a_cell_has_the_scores_of_its_points_and_lies_around_them(
        here in points(),
        step in 1..=STEP_MAX,
    ) {
        let cell = Cell::of(here, step);
        prop_assert!(cell.scores().contains(&here.score()));
        let area = cell.area();
        // The last digit of an edge is rounded.
        let about = 1e-12;
        prop_assert!(area.west - about <= here.longitude && here.longitude <= area.east + about);
        prop_assert!(area.south - about <= here.latitude && here.latitude <= area.north + about);
    }

    #[test]
    fn neighbours_lie_side_by_side(
        here in points(),
        step in 1..=STEP_MAX,
        (east, north) in (-1..=1, -1..=1),
    ) {
        let cell = Cell::of(here, step);
        let beside = cell.neighbour(east, north);
        prop_assert_eq!(beside.neighbour(-east, -north), cell);
        let (own, other) = (cell.area(), beside.area());
        let is_beside = |by: i32, own: (f64, f64), other: (f64, f64)| match by {
            // Behind the last comes the first.
            1 => own.1 == other.0 || other.0 < own.0,
            -1 => own.0 == other.1 || own.1 < other.1,
            _ => own == other,
        };
        prop_assert!(is_beside(east, (own.west, own.east), (other.west, other.east)));
        prop_assert!(is_beside(north, (own.south, own.north), (other.south, other.north)));
    }

    #[test]
    fn distances_are_those_of_a_sphere(one in points(), other in points()) {
        let far = distance(one, other);
        prop_assert_eq!(far, distance(other, one));
        prop_assert_eq!(distance(one, one), 0.0);
        let half_around = std::f64::consts::PI * 6372797.560856;
        prop_assert!((0.0..=half_around).contains(&far));
        // On a meridian it is the angle; no way round is shorter.
        let corner = point(one.longitude, other.latitude);
        let angle = (one.latitude - other.latitude).abs() / 180.0 * half_around;
        prop_assert!((distance(one, corner) - angle).abs() < 1e-3);
        prop_assert!(far <= distance(one, corner) + distance(corner, other) + 1e-3);
    }

    #[test]
    fn any_score_has_a_point_on_the_map(bits: u64) {
        let score = f64::from_bits(bits);
        prop_assume!(!score.is_nan());
        let Point { longitude, latitude } = Point::of_score(score);
        prop_assert!(Point::new(longitude, latitude).is_some());
    }

    #[test]
    fn a_search_finds_what_a_walk_over_all_finds(
        center in inland(),
        extent in extents(),
        others in proptest::collection::vec((-15.0..15.0, -15.0..15.0), 1..60),
    ) {
        let near = |&(aside, up): &(f64, f64)| {
            point(center.longitude + aside, center.latitude + up)
        };
        let places: Vec<Point> = others.iter().map(near).collect();
        let shape = Shape::new(center, extent, 1000.0);
        let mut told: Vec<Vec<(String, u64)>> = Vec::new();
        for largest_packed in [0, 128] {
            let zset = set_of(&places, largest_packed);
            prop_assert_eq!(zset.is_packed(), largest_packed != 0);
            let found = search(&zset, &shape, usize::MAX);
            prop_assert!(found.len() <= estimate(&zset, &shape));
            let name = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
            let names = found.iter().map(|it| (name(&it.member.text()), it.distance.to_bits()));
            told.push(names.collect());
            let few = search(&zset, &shape, 3);
            prop_assert_eq!(few.len(), found.len().min(3));
            prop_assert!(few.iter().zip(&found).all(|(one, other)| one.member == other.member));
        }
        prop_assert_eq!(&told[0], &told[1]);
        let mut found: Vec<String> = told.remove(0).into_iter().map(|it| it.0).collect();
        found.sort();
        let is_inside = |it: &Point| {
            shape.distance_inside(Point::of_score(it.score() as f64)).is_some()
        };
        let all = places.iter().enumerate().filter(|it| is_inside(it.1));
        let mut wanted: Vec<String> = all.map(|it| format!("m{}", it.0)).collect();
        wanted.sort();
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn the_first_few_of_many_come_in_order(
        keys in proptest::collection::vec(0..40_u32, 0..300),
        wanted in 0..320_usize,
    ) {
        let mut items: Vec<(u32, usize)> = keys.iter().copied().zip(0..).collect();
        sort_first(&mut items, wanted, |one, other| one.0.cmp(&other.0));
        let mut sorted = keys.clone();
        sorted.sort_unstable();
        let first = wanted.min(keys.len());
        prop_assert!(items[..first].iter().map(|it| it.0).eq(sorted[..first].iter().copied()));
        items.sort_by_key(|it| it.1);
        prop_assert!(items.iter().map(|it| it.0).eq(keys));
    }
}

#[test]
fn a_search_looks_at_the_members_nearby_only() {
    let places: Vec<Point> = (0..10_000)
        .map(|it| point(f64::from(it % 100) * 3.0 - 150.0, f64::from(it / 100) * 1.5 - 75.0))
        .collect();
    let zset = set_of(&places, 128);
    for (radius_km, most) in [(0.0, 1), (1.0, 4), (100.0, 10), (1000.0, 300)] {
        let center = point(0.5, 0.5);
        let shape = Shape::new(center, Extent::Radius(radius_km), 1000.0);
        let looked_at = estimate(&zset, &shape);
        assert!(looked_at <= most, "{looked_at} for {radius_km} km");
    }
    let whole = Extent::Radius(f64::INFINITY);
    let shape = Shape::new(point(0.5, 0.5), whole, 1.0);
    assert_eq!(search(&zset, &shape, usize::MAX).len(), places.len());
}

/// As M. D. McIlroy's adversary of quicksorts: what an element is worth is settled only when it has
/// been compared, so that each pivot turns out to be one of the lowest.
#[test]
fn no_order_makes_sorting_take_for_ever() {
    const LEN: usize = 5000;
    let worth: RefCell<Vec<usize>> = RefCell::new(vec![LEN; LEN]);
    let (settled, candidate, compared) = (Shared::new(0), Shared::new(0), Shared::new(0_usize));
    let order = |one: &usize, other: &usize| -> Ordering {
        compared.set(compared.get() + 1);
        let mut worth = worth.borrow_mut();
        if one != other && worth[*one] == LEN && worth[*other] == LEN {
            let chosen = if *one == candidate.get() { *one } else { *other };
            worth[chosen] = settled.get();
            settled.set(settled.get() + 1);
        }
        if worth[*one] == LEN {
            candidate.set(*one);
        } else if worth[*other] == LEN {
            candidate.set(*other);
        }
        worth[*one].cmp(&worth[*other])
    };
    let mut items: Vec<usize> = (0..LEN).collect();
    sort_first(&mut items, LEN - 1, order);
    assert!(compared.get() < 200 * LEN, "{}", compared.get());
    let worth = worth.borrow();
    assert!(items[..LEN - 1].is_sorted_by_key(|it| worth[*it]));
}
