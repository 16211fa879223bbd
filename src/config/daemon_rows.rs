//! What is for whoever starts the process, as it is written and shown.

use super::param::{Param, Section, start};
use super::shown::unixsocketperm;
use super::slot::{Slot, lens};

/// What an init system and its scripts go by.
pub const ROWS: &[Param] = &[
    start(
        Section::Server,
        "pidfile",
        "The file that has the number of the process while it lives; empty is none.",
        Slot::Text(lens!(server.pidfile)),
    ),
    start(
        Section::Server,
        "upgrade-socket",
        "The path of the unix socket by which another process, of a newer version, takes this \
         one's place (`entourage --upgrade`); empty is none.",
        Slot::Text(lens!(server.upgrade_socket)),
    ),
    start(
        Section::Nowhere,
        "unixsocketperm",
        "The mode of the first listener's path that has one, for CONFIG GET.",
        Slot::Shown(unixsocketperm),
    ),
];
