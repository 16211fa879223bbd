//! Places on the earth as scores of sorted sets, and what is near them.

pub mod grid;
pub mod shape;
pub mod nearest;
pub mod ask;
pub mod search;

pub use ask::{Ask, Form, Order, Store, point, unit};
pub use grid::{Cell, Point};
pub use search::{Near, estimate, search};
pub use shape::{Shape, distance};
#[cfg(test)]
mod tests;
