//! What MIGRATE is asked to do.

use std::time::Duration;

/// Keys that move to another server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Migration {
    /// Where that server is.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Which of its databases.
    pub db: i64,
    /// How long each step may take.
    pub timeout: Duration,
    /// Whether the keys stay here too.
    pub copies: bool,
    /// Whether keys that are there already are replaced.
    pub replaces: bool,
    /// How to be let in, if that is needed.
    pub credentials: Option<Credentials>,
    /// The keys.
    pub keys: Vec<Box<[u8]>>,
}

/// Who we are to another server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// A user, unless it is the default one.
    pub user: Option<Box<[u8]>>,
    /// Its password.
    pub password: Box<[u8]>,
}
