//! Geohashes: the earth as a grid of cells, each named by the bits of its column and its row.
//!
//! ```text
//! bit    2n-1  2n-2       3      2     1      0
//!      column   row … column   row column   row      of 2^n columns and 2^n rows
//! ```
//!
//! A score is the name of a cell of the finest grid: columns and rows of 26 bits. What lies in a
//! cell of a coarser grid has scores that begin with the bits of its name.

use std::ops::Range;

/// Degrees east of Greenwich and north of the equator.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Point {
    /// From -180 to 180.
    pub longitude: f64,
    /// As far from the equator as a Mercator map goes.
    pub latitude: f64,
}

/// Bits of a column or of a row in the finest grid.
pub const STEP_MAX: u32 = 26;

/// Degrees from one to another.
#[derive(Clone, Copy)]
struct Degrees {
    min: f64,
    max: f64,
}

const LONGITUDES: Degrees = Degrees::around_0(180.0);
const LATITUDES: Degrees = Degrees::around_0(85.05112878);
/// Geohashes as the rest of the world writes them reach the poles.
const LATITUDES_OF_TEXTS: Degrees = Degrees::around_0(90.0);

impl Degrees {
    const fn around_0(max: f64) -> Degrees {
        Degrees { min: -max, max }
    }

    fn contain(self, number: f64) -> bool {
        self.min <= number && number <= self.max
    }

    /// In which of 2^`step` equal parts a number lies.
    fn place(self, number: f64, step: u32) -> u32 {
        let part = (number - self.min) / (self.max - self.min);
        (part * (1_u64 << step) as f64) as u32
    }

    /// Where such a part begins.
    fn start(self, place: u32, step: u32) -> f64 {
        self.min + f64::from(place) / (1_u64 << step) as f64 * (self.max - self.min)
    }

    /// Between two of them.
    fn middle(self, from: f64, to: f64) -> f64 {
        ((from + to) / 2.0).clamp(self.min, self.max)
    }
}

impl Point {
    /// A point that the grid has a cell for.
    pub fn new(longitude: f64, latitude: f64) -> Option<Point> {
        let is_there = LONGITUDES.contain(longitude) && LATITUDES.contain(latitude);
        is_there.then_some(Point { longitude, latitude })
    }

    /// The point that a score stands for: the middle of its cell. Of any score one is made.
    pub fn of_score(score: f64) -> Point {
        let area = Cell { bits: bits_of(score), step: STEP_MAX }.area();
        Point {
            longitude: LONGITUDES.middle(area.west, area.east),
            latitude: LATITUDES.middle(area.south, area.north),
        }
    }

    /// The score that stands for it.
    pub fn score(self) -> u64 {
        Cell::of(self, STEP_MAX).bits
    }

    /// The geohash that other programs know it by. Its 52 bits are ten letters; the last of eleven
    /// says nothing.
    pub fn text(self) -> [u8; 11] {
        const LETTERS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
        let column = LONGITUDES.place(self.longitude, STEP_MAX);
        let bits = name(column, LATITUDES_OF_TEXTS.place(self.latitude, STEP_MAX));
        let mut text = [LETTERS[0]; 11];
        for (at, letter) in (1..).zip(&mut text[..10]) {
            *letter = LETTERS[(bits >> (2 * STEP_MAX - 5 * at)) as usize % LETTERS.len()];
        }
        text
    }
}

/// The whole part of a score, as a 64-bit processor finds it: what no integer of 64 bits is comes
/// out as the lowest or as zero.
fn bits_of(score: f64) -> u64 {
    const HALF: f64 = (1_u64 << 63) as f64;
    if score < HALF {
        score as i64 as u64
    } else if score < 2.0 * HALF {
        score as u64
    } else {
        0
    }
}

/// A rectangle of the map.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Area {
    /// Its lowest longitude.
    pub west: f64,
    /// Its lowest latitude.
    pub south: f64,
    /// Its highest longitude.
    pub east: f64,
    /// Its highest latitude.
    pub north: f64,
}

/// A cell of one of the grids.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cell {
    bits: u64,
    step: u32,
}

impl Cell {
    /// The cell that a point lies in, of a grid of 2^`step` columns and rows. One on the eastern or
    /// the northern edge of the map lies in a column or a row behind the last.
    pub fn of(point: Point, step: u32) -> Cell {
        let column = LONGITUDES.place(point.longitude, step);
        Cell { bits: name(column, LATITUDES.place(point.latitude, step)), step }
    }

    /// The scores of the points in it.
    pub fn scores(self) -> Range<u64> {
        let finer = 2 * (STEP_MAX - self.step);
        self.bits << finer..(self.bits + 1) << finer
    }

    /// Where it lies.
    pub fn area(self) -> Area {
        let (column, row) = (self.column(), self.row());
        Area {
            west: LONGITUDES.start(column, self.step),
            south: LATITUDES.start(row, self.step),
            east: LONGITUDES.start(column.wrapping_add(1), self.step),
            north: LATITUDES.start(row.wrapping_add(1), self.step),
        }
    }

    /// The cell so many columns to the east and rows to the north. Behind the last comes the first.
    pub fn neighbour(self, east: i32, north: i32) -> Cell {
        let moved = |place: u32, by: i32| match by {
            0 => place,
            by => place.wrapping_add_signed(by) & ((1 << self.step) - 1),
        };
        Cell { bits: name(moved(self.column(), east), moved(self.row(), north)), step: self.step }
    }

    fn column(self) -> u32 {
        gather(self.bits >> 1)
    }

    fn row(self) -> u32 {
        gather(self.bits)
    }
}

/// The bits of a column and a row between each other.
fn name(column: u32, row: u32) -> u64 {
    spread(column) << 1 | spread(row)
}

/// Groups of bits with as many zeros behind each: shift, and where they stand.
const GROUPS: [(u32, u64); 5] = [
    (16, 0x0000_FFFF_0000_FFFF),
    (8, 0x00FF_00FF_00FF_00FF),
    (4, 0x0F0F_0F0F_0F0F_0F0F),
    (2, 0x3333_3333_3333_3333),
    (1, 0x5555_5555_5555_5555),
];

/// The bits of a number with a zero behind each.
fn spread(number: u32) -> u64 {
    GROUPS.iter().fold(number.into(), |bits, (shift, mask)| (bits | bits << shift) & mask)
}

/// Every second bit, from the lowest on.
fn gather(bits: u64) -> u32 {
    let joined = |bits: u64, (shift, mask): &(u32, u64)| {
        let bits = bits & mask;
        bits | bits >> shift
    };
    GROUPS.iter().rev().fold(bits, joined) as u32
}
