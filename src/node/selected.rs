//! What a server has answered to SELECT, which is sent ahead of requests together with them.

/// Whether the database is selected that the requests are for which were sent behind.
#[derive(Debug, Default)]
pub struct Selected {
    refusal: Option<Vec<u8>>,
}

impl Selected {
    /// SELECT is answered. Answers whether the server has selected.
    pub fn take(&mut self, reply: &[u8]) -> bool {
        self.refusal = reply.starts_with(b"-").then(|| reply.to_vec());
        self.refusal.is_none()
    }

    /// What is answered to a request whose reply is this: what was done in another database than it
    /// was for is an error.
    pub fn reply<'r>(&'r self, reply: &'r [u8]) -> &'r [u8] {
        match &self.refusal {
            Some(refusal) if !reply.starts_with(b"-") => refusal,
            _ => reply,
        }
    }

    /// The error that the last SELECT was answered with.
    pub fn refusal(&self) -> Option<&[u8]> {
        self.refusal.as_deref()
    }
}
