//! How much one request may hold.

use crate::base::limits::{BULK_BYTES_MAX, INLINE_BYTES_MAX, REQUEST_ARGS_MAX};
use crate::resp::Malformed;

/// Whether a client has still to authenticate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthState {
    /// It has, or need not.
    Known,
    /// It has not: Redis' small limits apply.
    Unauthenticated,
}

/// How much one request may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest argument.
    pub bulk_bytes_max: usize,
    /// Longest line, inline request or header, of which no end has arrived. A longer one whose end
    /// is among the bytes to look at passes, as in Redis.
    pub inline_bytes_max: usize,
    /// Whose requests these are.
    pub auth: AuthState,
}

impl Limits {
    /// Most arguments of a request before its client has authenticated.
    pub const UNAUTHENTICATED_ARGS_MAX: usize = 10;
    /// Longest argument before its client has authenticated.
    pub const UNAUTHENTICATED_BULK_BYTES_MAX: usize = 16 << 10;

    /// The server's limits for a client in this state.
    pub const fn of(auth: AuthState) -> Limits {
        Limits { bulk_bytes_max: BULK_BYTES_MAX, inline_bytes_max: INLINE_BYTES_MAX, auth }
    }

    #[inline]
    pub(super) fn check_args(&self, args: usize) -> Result<(), Malformed> {
        if REQUEST_ARGS_MAX < args {
            return Err(Malformed::MultibulkLength);
        }
        if self.is_unauthenticated() && Limits::UNAUTHENTICATED_ARGS_MAX < args {
            return Err(Malformed::UnauthenticatedMultibulkLength);
        }
        Ok(())
    }

    /// Longest argument that needs no other check.
    #[inline]
    pub(super) fn quick_bulk_bytes_max(&self) -> usize {
        match self.auth {
            AuthState::Known => self.bulk_bytes_max,
            AuthState::Unauthenticated => {
                self.bulk_bytes_max.min(Limits::UNAUTHENTICATED_BULK_BYTES_MAX)
            }
        }
    }

    #[inline]
    pub(super) fn check_bulk(&self, len: usize) -> Result<(), Malformed> {
        if self.bulk_bytes_max < len {
            return Err(Malformed::BulkLength);
        }
        if self.is_unauthenticated() && Limits::UNAUTHENTICATED_BULK_BYTES_MAX < len {
            return Err(Malformed::UnauthenticatedBulkLength);
        }
        Ok(())
    }

    fn is_unauthenticated(&self) -> bool {
        self.auth == AuthState::Unauthenticated
    }
}
