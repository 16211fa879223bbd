//! How many elements there were, by what the registers say: the improved estimator of Otmar Ertl
//! ("New cardinality estimation algorithms for HyperLogLog sketches", 2017), as Redis has it.

use super::registers::Histogram;
use super::shape::{REGISTERS, VALUE_MAX};

/// 0.5 / ln 2.
const ALPHA: f64 = 0.721_347_520_444_481_7;

/// About how many, where `histogram` says how many registers have each value.
pub fn estimate(histogram: &Histogram) -> i64 {
    let m = REGISTERS as f64;
    let mut z = m * tau((m - f64::from(histogram[VALUE_MAX])) / m);
    for value in (1..VALUE_MAX).rev() {
        z = (z + f64::from(histogram[value])) * 0.5;
    }
    z += m * sigma(f64::from(histogram[0]) / m);
    (ALPHA * m * m / z).round() as i64
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if before == z {
            return z / 3.0;
        }
    }
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if before == z {
            return z;
        }
    }
}
