//! Results: as a table, as JSON, as a HdrHistogram log, and as a page with plots.

pub mod hdr;
mod machine;
pub mod table;
pub mod summary;
mod plots;
pub mod page;

use machine::machine;
