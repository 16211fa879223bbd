//! What one request has come to, from its look-up to its reply. Nothing of it lives on the
//! connection.

use crate::commands::{Command, ReadRetry};
use crate::resp::Request;
use crate::session::Once;

/// One request at work.
pub struct Call<'r> {
    /// Its command.
    pub command: &'static Command,
    /// Its words.
    pub request: Request<'r>,
    /// The bytes of its batch: the slow log finds the words of earlier requests in them.
    pub input: &'r [u8],
    /// What it asks for itself (PROXY ONCE).
    pub once: Option<Box<Once>>,
    /// What earlier plans of this read have settled, when it has waited.
    pub retry: Option<Box<ReadRetry>>,
}

impl<'r> Call<'r> {
    /// A request of this command that has only come in.
    #[inline]
    pub fn new(command: &'static Command, request: Request<'r>, input: &'r [u8]) -> Call<'r> {
        Call { command, request, input, once: None, retry: None }
    }
}
