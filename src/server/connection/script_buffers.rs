//! What a script needs while it runs, kept from one to the next so that a short one allocates
//! nothing.

use super::recent::RecentCommand;
use crate::base::limits::REPLY_BYTES_KEPT;
use crate::resp::{Reply, Request, Span, encode_header, encode_length};
use crate::state::LastScript;

/// A worker's buffers for scripts, of which it runs one at a time.
#[derive(Default)]
pub struct ScriptBuffers {
    /// The command that was called last.
    pub recent: RecentCommand,
    /// The script that ran last.
    pub last: Option<LastScript>,
    /// The call at hand.
    pub call: EncodedCall,
    /// Replies of its calls.
    pub replies: Reply,
    /// What it answers.
    pub answer: Vec<u8>,
}

impl ScriptBuffers {
    /// Forgets what is in them, and gives back what is large.
    pub fn clear(&mut self) {
        self.answer.clear();
        self.replies.clear();
        self.call.bytes.clear();
        for buffer in [&mut self.answer, &mut self.call.bytes] {
            if REPLY_BYTES_KEPT < buffer.capacity() {
                *buffer = Vec::new();
            }
        }
        let is_large = REPLY_BYTES_KEPT < self.replies.capacity();
        if is_large || self.replies.is_overflowing() {
            self.replies = Reply::default();
        }
    }
}

/// A command as a script calls it, encoded as a client would send it.
#[derive(Default)]
pub struct EncodedCall {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

impl EncodedCall {
    /// Encodes this one, in the place of the last.
    pub fn encode(&mut self, argv: &[&[u8]]) {
        let EncodedCall { bytes, spans } = self;
        bytes.clear();
        spans.clear();
        encode_header(bytes, argv.len());
        spans.extend(argv.iter().map(|word| {
            encode_length(bytes, word.len());
            let start = bytes.len() as u32;
            bytes.extend_from_slice(word);
            let end = bytes.len() as u32;
            bytes.extend_from_slice(b"\r\n");
            Span { start, end }
        }));
    }

    /// Its bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// As a request.
    pub fn request(&self) -> Request<'_> {
        Request::new(&self.bytes, &self.spans, Some(&self.bytes))
    }
}
