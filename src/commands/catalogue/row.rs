//! A row of the catalogue.

use super::seen::Seen;
use crate::metrics::exposition::{Kind, Metric, Samples};

/// A metric, with what tells its samples.
pub struct Row {
    /// It.
    pub metric: Metric,
    /// Tells them.
    pub tell: fn(&Seen<'_>, &mut Samples<'_>),
}

/// A row.
pub const fn row(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
    tell: fn(&Seen<'_>, &mut Samples<'_>),
) -> Row {
    Row { metric: Metric { name, kind, labels, help }, tell }
}
