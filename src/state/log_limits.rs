//! The log events that clients can cause as often as they like, each with a limit of its own.

use crate::base::log_limit::LogLimit;

/// At most one line a second of each.
#[derive(Default)]
pub struct LogLimits {
    /// Clients from other machines that protected mode turned away.
    pub protected_mode: LogLimit,
    /// Web pages that were turned away.
    pub http_refused: LogLimit,
    /// Clients closed because they did not read.
    pub output_limit: LogLimit,
    /// Clients closed because they sent too much.
    pub query_limit: LogLimit,
    /// Clients closed because others had too much to tell them.
    pub mailbox_overflow: LogLimit,
    /// Wrong passwords.
    pub failed_login: LogLimit,
    /// Links to a remote master that have ended.
    pub link_fault: LogLimit,
    /// Writes that were not confirmed in time.
    pub not_durable: LogLimit,
}
