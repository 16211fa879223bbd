//! PROXY: what operators and clients say to the proxy itself.

use crate::admin::SessionRow;

/// The family's rows.
pub const ROWS: &[SessionRow] = &[];
