//! The log events that clients can cause as often as they like, each with a limit of its own.

use crate::base::log_limit::LogLimit;
use crate::base::time::MonoUs;

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
    /// Handshakes of TLS that have failed.
    pub tls_handshake: LogLimit,
    /// Headers of the PROXY protocol that were wrong, or came too late.
    pub proxy_header: LogLimit,
    /// Those who are no proxies that are believed.
    pub proxy_untrusted: LogLimit,
    /// TLS where none is spoken.
    pub tls_refused: LogLimit,
    /// Wrong passwords.
    pub failed_login: LogLimit,
    /// Wrong passwords at the status page.
    pub http_login: LogLimit,
    /// Settings that were refused: CONFIG SET, and files that were read again.
    pub config_refused: LogLimit,
    /// Links to a remote master that have ended.
    pub link_fault: LogLimit,
    /// Writes that were not confirmed in time.
    pub not_durable: LogLimit,
}

impl LogLimits {
    /// A line for each of which some were held back, once its second is over.
    pub fn tell(&self, now: MonoUs) {
        let all = [
            ("tls-handshake-failed", &self.tls_handshake),
            ("proxy-header-refused", &self.proxy_header),
            ("tls-on-plain-port", &self.tls_refused),
            ("http-refused", &self.http_refused),
            ("output-limit", &self.output_limit),
            ("query-buffer-limit", &self.query_limit),
            ("mailbox-overflow", &self.mailbox_overflow),
            ("login-failed", &self.failed_login),
            ("http-login-failed", &self.http_login),
            ("config-refused", &self.config_refused),
            ("not-durable", &self.not_durable),
        ];
        for (event, limit) in all {
            if let Some(count) = limit.held_back(now) {
                log::warn!("event={event} count={count}");
            }
        }
    }
}
