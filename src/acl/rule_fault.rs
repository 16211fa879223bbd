//! Why a rule is not one.

use std::fmt;

/// What is wrong with one rule. Displays as Redis tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RuleFault {
    /// No such command or category.
    Unknown,
    /// Nothing that a rule could be.
    Syntax,
    /// A key pattern beside all keys.
    AllKeys,
    /// A channel pattern beside all channels.
    AllChannels,
    /// A password to be taken away that the user does not have.
    NoSuchPassword,
    /// A hash that is none.
    BadHash,
    /// `+config|get|x`.
    ArgumentOfSubcommand,
    /// More rules than one user may have.
    TooMany,
    /// A pattern that takes too long to be compared with.
    LongPattern,
}

impl fmt::Display for RuleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RuleFault::Unknown => "Unknown command or category name in ACL",
            RuleFault::Syntax => "Syntax error",
            RuleFault::AllKeys => {
                "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and \
                 does not have any effect. Try 'resetkeys' to start with an empty list of patterns"
            }
            RuleFault::AllChannels => {
                "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and \
                 does not have any effect. Try 'resetchannels' to start with an empty list of \
                 channels"
            }
            RuleFault::NoSuchPassword => {
                "The password you are trying to remove from the user does not exist"
            }
            RuleFault::BadHash => {
                "The password hash must be exactly 64 characters and contain only lowercase \
                 hexadecimal characters"
            }
            RuleFault::ArgumentOfSubcommand => {
                "Allowing first-arg of a subcommand is not supported"
            }
            RuleFault::TooMany => {
                "A user may have 4096 passwords and 64 selectors, and with each of these 4096 \
                 rules about commands, 4096 patterns of keys and 4096 patterns of channels"
            }
            RuleFault::LongPattern => "A pattern may have 4096 bytes",
        })
    }
}
