//! The ways in which a connection ends.

use super::servers::starting;
use super::wire::Wire;

/// How a client goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// It closes its socket.
    Close,
    /// It sends no more, and keeps its socket.
    HalfClose,
    /// It closes its socket with a reset.
    Reset,
    /// Somebody else says CLIENT KILL, and it keeps its socket.
    Kill,
    /// It sends requests, the last of them half, and closes its socket.
    MoreThenClose,
}

/// All of them.
pub const ENDINGS: [Ending; 5] =
    [Ending::Close, Ending::HalfClose, Ending::Reset, Ending::Kill, Ending::MoreThenClose];

/// Those of the client itself that carry nothing.
pub const HANG_UPS: [Ending; 3] = [Ending::Close, Ending::HalfClose, Ending::Reset];

impl Ending {
    /// Ends a client. What is left of it must be kept until the server is seen to have let go.
    pub fn end(self, client: Wire, operator: &mut Wire) -> Option<Wire> {
        // A process that is being started holds a copy of every descriptor until it has begun, and
        // a socket ends only with its last copy.
        let _nobody_starts = starting();
        match self {
            Ending::Close => drop(client),
            Ending::HalfClose => {
                client.half_close();
                return Some(client);
            }
            Ending::Reset => client.reset(),
            Ending::Kill => {
                let killed = operator.ask("CLIENT KILL TYPE normal SKIPME yes");
                assert_eq!(killed.int(), Some(1), "the client was there to be killed");
                return Some(client);
            }
            Ending::MoreThenClose => {
                let mut client = client;
                client.send_raw(b"PING\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$10\r\nhalf");
                drop(client);
            }
        }
        None
    }
}
