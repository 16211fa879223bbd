//! Circles and boxes on a sphere: what lies in one, and which cells of a grid cover it.

use super::grid::{Area, Cell, Point, STEP_MAX};

const EARTH_RADIUS_M: f64 = 6372797.560856;
/// Half of the equator on the map.
const MAP_M: f64 = 20037726.37;
const RADIANS: f64 = std::f64::consts::PI / 180.0;

/// How far from its centre something reaches, in its unit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Extent {
    /// Up to here, in all directions.
    Radius(f64),
    /// A box: half of its width to the east and west, half of its height to the north and south.
    Box {
        /// From west to east.
        width: f64,
        /// From south to north.
        height: f64,
    },
}

/// What is searched.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Shape {
    /// Its middle.
    pub center: Point,
    /// How large it is.
    pub extent: Extent,
    /// How many metres a unit of it has.
    pub unit: f64,
    /// The centre as distances are measured from it.
    origin: Origin,
}

/// A point in radians, from which many distances are measured.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Origin {
    longitude: f64,
    latitude: f64,
    cosine_of_latitude: f64,
}

/// Where the centre's own cell and its neighbours lie, to the east and to the north, in the order
/// in which they are searched.
const AROUND: [(i32, i32); 9] =
    [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];

impl Shape {
    /// A shape of this extent in units of so many metres.
    pub fn new(center: Point, extent: Extent, unit: f64) -> Shape {
        Shape { center, extent, unit, origin: Origin::of(center) }
    }

    /// How far from the centre a point is, in metres; `None` if it lies outside.
    pub fn distance_inside(&self, point: Point) -> Option<f64> {
        let distance_here = || self.origin.distance(point);
        match self.extent {
            Extent::Radius(radius) => Some(distance_here()).filter(|it| *it <= radius * self.unit),
            Extent::Box { width, height } => {
                let beside = Point { latitude: point.latitude, ..self.center };
                let above = Point { latitude: self.center.latitude, ..point };
                // What is further north or south costs no sine.
                let is_inside = distance(point, above) <= height * self.unit / 2.0
                    && distance(point, beside) <= width * self.unit / 2.0;
                is_inside.then(distance_here)
            }
        }
    }

    /// The cells that cover it, in the order in which they are searched. Where the map ends they
    /// lie on its other side.
    pub fn cells(&self) -> impl Iterator<Item = Cell> {
        let bounds = self.bounds();
        let mut step = self.step();
        let mut own = Cell::of(self.center, step);
        if 1 < step && do_not_reach(own, bounds) {
            step -= 1;
            own = Cell::of(self.center, step);
        }
        let area = own.area();
        let is_far = move |&(east, north): &(i32, i32)| {
            let is_south = north < 0 && area.south < bounds.south;
            let is_north = 0 < north && bounds.north < area.north;
            let is_west = east < 0 && area.west < bounds.west;
            let is_east = 0 < east && bounds.east < area.east;
            // The coarsest grid has so few cells that one lies in several directions.
            2 <= step && (is_south || is_north || is_west || is_east)
        };
        let mut last = None;
        AROUND.into_iter().filter(move |it| !is_far(it)).filter_map(move |(east, north)| {
            let cell = own.neighbour(east, north);
            let is_again = last == Some(cell);
            // As in Redis: what is the centre's own cell, too, is searched again.
            last = Some(cell).filter(|_| (east, north) != (0, 0));
            (!is_again).then_some(cell)
        })
    }

    /// The rectangle of the map around it: as wide as at its latitude that is nearest to a pole.
    fn bounds(&self) -> Area {
        let (width, height) = match self.extent {
            Extent::Radius(radius) => (radius, radius),
            Extent::Box { width, height } => (width / 2.0, height / 2.0),
        };
        let Point { longitude, latitude } = self.center;
        let up = self.unit * height / EARTH_RADIUS_M / RADIANS;
        let edge = if latitude < 0.0 { latitude - up } else { latitude + up };
        let aside = self.unit * width / EARTH_RADIUS_M / (edge * RADIANS).cos() / RADIANS;
        Area {
            west: longitude - aside,
            south: latitude - up,
            east: longitude + aside,
            north: latitude + up,
        }
    }

    /// The finest grid whose cells are likely not to be smaller than the shape.
    fn step(&self) -> u32 {
        let reach = match self.extent {
            Extent::Radius(radius) => radius,
            Extent::Box { width, height } => {
                (width / 2.0 * (width / 2.0) + height / 2.0 * (height / 2.0)).sqrt()
            }
        };
        let mut reach_m = reach * self.unit;
        if reach_m == 0.0 {
            return STEP_MAX;
        }
        let mut step: i32 = -1;
        while reach_m < MAP_M {
            reach_m *= 2.0;
            step += 1;
        }
        // Columns are narrow near the poles.
        let latitude = self.center.latitude.abs();
        step -= i32::from(66.0 < latitude) + i32::from(80.0 < latitude);
        step.clamp(1, STEP_MAX as i32) as u32
    }
}

/// Whether a cell and its neighbours leave something of a rectangle uncovered.
fn do_not_reach(own: Cell, bounds: Area) -> bool {
    own.neighbour(0, 1).area().north < bounds.north
        || bounds.south < own.neighbour(0, -1).area().south
        || own.neighbour(1, 0).area().east < bounds.east
        || bounds.west < own.neighbour(-1, 0).area().west
}

impl Origin {
    fn of(point: Point) -> Origin {
        let [longitude, latitude] = [point.longitude, point.latitude].map(|it| it * RADIANS);
        Origin { longitude, latitude, cosine_of_latitude: latitude.cos() }
    }

    /// Metres to a point, by the haversine formula. Redis makes no detour for one due north or
    /// south, which rounds otherwise.
    fn distance(self, to: Point) -> f64 {
        let (longitude, latitude) = (to.longitude * RADIANS, to.latitude * RADIANS);
        let up = ((latitude - self.latitude) / 2.0).sin();
        let aside = ((longitude - self.longitude) / 2.0).sin();
        if aside == 0.0 {
            return EARTH_RADIUS_M * (latitude - self.latitude).abs();
        }
        let square = up * up + self.cosine_of_latitude * latitude.cos() * aside * aside;
        // Rounded up, it could be no sine at all.
        2.0 * EARTH_RADIUS_M * square.sqrt().min(1.0).asin()
    }
}

/// Metres between two points.
pub fn distance(from: Point, to: Point) -> f64 {
    Origin::of(from).distance(to)
}
