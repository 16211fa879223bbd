//! What servers have changed their minds about.

/// What servers have changed their minds about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Rules {
    /// As redis-server 7.0: a group's count of entries read is trusted even if the group stands
    /// before the first entry.
    Redis70,
    /// As Redis since 7.2 and Valkey 9: it is not.
    #[default]
    Redis72,
}
