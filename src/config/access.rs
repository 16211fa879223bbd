//! Who may do what could harm the server.

/// Who may do what could harm the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccessFrom {
    /// Nobody.
    No,
    /// Every client.
    Yes,
    /// Clients on this machine.
    Local,
}

impl AccessFrom {
    /// All of them with Redis' names.
    pub const ALL: [(AccessFrom, &str); 3] =
        [(AccessFrom::No, "no"), (AccessFrom::Yes, "yes"), (AccessFrom::Local, "local")];

    /// Redis' name.
    pub fn as_str(self) -> &'static str {
        AccessFrom::ALL[self as usize].1
    }

    /// Whether a client may, by whether it is on this machine.
    pub fn allows(self, is_local: bool) -> bool {
        match self {
            AccessFrom::No => false,
            AccessFrom::Yes => true,
            AccessFrom::Local => is_local,
        }
    }
}
