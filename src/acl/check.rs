//! Whether a user may do what a request asks for.

use super::{Channels, DenialReason, KeyRights, Selector, User};
use crate::base::ids::CommandId;
use crate::command::Access;
use crate::resp::Request;

/// What a user may not. The later of two is the more telling: of several selectors, the one that
/// came nearest to letting it through says why not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Denied {
    /// The command.
    Command,
    /// The key at this place among the arguments.
    Key(usize),
    /// The channel at this place.
    Channel(usize),
}

impl Denied {
    /// What is answered to a request for this command.
    pub fn text(self, command: &str) -> String {
        let what = match self {
            Denied::Command => format!("run the '{command}' command"),
            Denied::Key(_) => "access one of the keys used as arguments".to_owned(),
            Denied::Channel(_) => "access one of the channels used as arguments".to_owned(),
        };
        format!("NOPERM this user has no permissions to {what}")
    }

    /// What ACL DRYRUN answers of it.
    pub fn foretold(self, command: &str, request: Request<'_>) -> String {
        let word = |at| String::from_utf8_lossy(request.get(at).unwrap_or_default());
        let what = match self {
            Denied::Command => format!("run the '{command}' command"),
            Denied::Key(at) => format!("access the '{}' key", word(at)),
            Denied::Channel(at) => format!("access the '{}' channel", word(at)),
        };
        format!("This user has no permissions to {what}")
    }

    /// What is answered when EXEC comes to a command that was allowed when it was queued.
    pub fn text_at_exec(self) -> String {
        let why = match self {
            Denied::Command => "no permission to execute the command or subcommand",
            Denied::Key(_) => "no permission to touch the specified keys",
            Denied::Channel(_) => {
                "no permission to access one of the channels used as arguments to the command"
            }
        };
        format!(
            "NOPERM ACLs rules changed between the moment the transaction was accumulated and the \
             EXEC call. This command is no longer allowed for the following reason: {why}"
        )
    }

    /// What a script is told that calls the command.
    pub fn text_in_script(self) -> &'static str {
        match self {
            Denied::Command => {
                "ERR The user executing the script can't run this command or subcommand"
            }
            Denied::Key(_) => {
                "ERR The user executing the script can't access at least one of the keys \
                 mentioned in the command arguments"
            }
            Denied::Channel(_) => {
                "ERR The user executing the script can't publish to the channel mentioned in \
                 the command"
            }
        }
    }

    /// As the log of denials tells it.
    pub fn reason(self) -> DenialReason {
        match self {
            Denied::Command => DenialReason::Command,
            Denied::Key(_) => DenialReason::Key,
            Denied::Channel(_) => DenialReason::Channel,
        }
    }

    /// What was denied: the command of this name, or a word of the request.
    pub fn object<'a>(self, command: &'a str, request: Request<'a>) -> &'a [u8] {
        match self {
            Denied::Command => command.as_bytes(),
            Denied::Key(at) | Denied::Channel(at) => request.get(at).unwrap_or_default(),
        }
    }
}

/// What a request asks for.
pub struct Asked<'a> {
    /// Its command.
    pub id: CommandId,
    /// Whether anybody may call it: AUTH and its like.
    pub is_open: bool,
    /// Words before the arguments: 1, or 2 for a subcommand.
    pub words: usize,
    /// The request.
    pub request: Request<'a>,
    /// Where its keys stand, and what is done to them.
    pub keys: &'a [(usize, Access)],
    /// Which arguments are channels.
    pub channels: Channels,
}

impl User {
    /// Whether it may do this; if not, what it may not.
    pub fn check(&self, asked: &Asked<'_>) -> Result<(), Denied> {
        let mut denied = Denied::Command;
        for selector in self.each_selector() {
            match selector.check(asked) {
                Ok(()) => return Ok(()),
                Err(why) => denied = denied.max(why),
            }
        }
        Err(denied)
    }

    /// Whether it may call this command with so much done to every key there is: what SORT asks of
    /// those who let it look up keys by pattern.
    pub fn may_on_every_key(&self, asked: &Asked<'_>, needed: KeyRights) -> bool {
        self.each_selector()
            .any(|it| it.check_command(asked).is_ok() && it.allows_every_key(needed))
    }
}

impl Selector {
    fn check(&self, asked: &Asked<'_>) -> Result<(), Denied> {
        self.check_command(asked)?;
        for (place, access) in asked.keys {
            let Some(needed) = KeyRights::needed(*access) else { continue };
            let key = asked.request.get(*place).unwrap_or_default();
            if !self.allows_key(key, needed) {
                return Err(Denied::Key(*place));
            }
        }
        self.check_channels(asked)
    }

    fn check_command(&self, asked: &Asked<'_>) -> Result<(), Denied> {
        let argument = || asked.request.get(asked.words);
        let may = asked.is_open || self.allows(asked.id) || self.allows_with(asked.id, argument());
        if may { Ok(()) } else { Err(Denied::Command) }
    }

    fn check_channels(&self, asked: &Asked<'_>) -> Result<(), Denied> {
        let (is_pattern, last) = match asked.channels {
            Channels::None => return Ok(()),
            Channels::First => (false, 1),
            Channels::All => (false, asked.request.len().saturating_sub(1)),
            Channels::AllPatterns => (true, asked.request.len().saturating_sub(1)),
        };
        if self.allows_every_channel() {
            return Ok(());
        }
        let is_denied = |at: &usize| {
            let name = asked.request.get(*at).unwrap_or_default();
            !self.allows_channel(name, is_pattern)
        };
        (1..=last).find(is_denied).map_or(Ok(()), |it| Err(Denied::Channel(it)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acl::catalogue::tests::few;
    use crate::resp::OwnedRequest;

    fn denied(rules: &str, words: &str, keys: &[(usize, Access)]) -> Option<Denied> {
        let (few, mut user) = (few(), User::new("u", false));
        for rule in rules.split(';').map(str::trim) {
            user.apply(rule.as_bytes(), &few, false).unwrap();
        }
        let request = OwnedRequest::of(words.split(' '));
        let whole = words.split(' ').take(2).collect::<Vec<_>>().join("|");
        let found = few.named(whole.as_bytes());
        let name = words.split(' ').next().unwrap();
        let (id, listed) = found.or_else(|| few.named(name.as_bytes())).unwrap();
        let asked = Asked {
            id,
            is_open: false,
            words: 1 + usize::from(found.is_some()),
            request: request.borrow(),
            keys,
            channels: Channels::of(&listed.name),
        };
        user.check(&asked).err()
    }

    #[test]
    fn commands_are_allowed_one_by_one() {
        let none: &[(usize, Access)] = &[];
        let of = |rules, words| denied(rules, words, none);
        assert_eq!(of("+get", "get a"), None);
        assert_eq!(of("+get", "set a b"), Some(Denied::Command));
        assert_eq!(of("+@all;-set", "set a b"), Some(Denied::Command));
        assert_eq!(of("+@all;-set;+set", "set a b"), None);
        assert_eq!(of("+select|0", "select 0"), None);
        assert_eq!(of("+select|0", "select 1"), Some(Denied::Command));
        assert_eq!(of("+select|0;+select;-select", "select 0"), Some(Denied::Command));
        assert_eq!(of("+config|get", "config get"), None);
        assert_eq!(of("+config|get", "config set"), Some(Denied::Command));
        assert_eq!(of("+config;-config|get", "config get"), Some(Denied::Command));
        assert_eq!(of("+config;-config|get", "config set"), None);
        assert_eq!(of("+@slow", "config set"), None);
        assert_eq!(of("+@all;-@dangerous", "config set"), Some(Denied::Command));
    }

    #[test]
    fn keys_are_allowed_by_what_is_done_to_them() {
        let read: &[(usize, Access)] = &[(1, Access::READ)];
        let write: &[(usize, Access)] = &[(1, Access::REPLACE)];
        assert_eq!(denied("+get;~a*", "get a1", read), None);
        assert_eq!(denied("+get;~a*", "get b", read), Some(Denied::Key(1)));
        assert_eq!(denied("+set;%R~a*", "set a b", write), Some(Denied::Key(1)));
        assert_eq!(denied("+set;%W~a*", "set a b", write), None);
        assert_eq!(denied("+get;%W~a*", "get a", read), Some(Denied::Key(1)));
        assert_eq!(denied("+get;%W~a*", "get a", &[(1, Access::CHANNEL)]), None);
        let two: &[(usize, Access)] = &[(1, Access::READ), (2, Access::REPLACE)];
        assert_eq!(denied("+get;%R~a;%W~b", "get a b", two), None);
        assert_eq!(denied("+get;%R~a;%R~b", "get a b", two), Some(Denied::Key(2)));
    }

    #[test]
    fn the_selector_that_came_nearest_says_why_not() {
        let read: &[(usize, Access)] = &[(1, Access::READ)];
        assert_eq!(denied("+get;~a;(+get ~b)", "get b", read), None);
        assert_eq!(denied("~c;(+get ~b)", "get c", read), Some(Denied::Key(1)));
        assert_eq!(denied("+get;(~b)", "get c", read), Some(Denied::Key(1)));
        assert_eq!(denied("~c;(~b)", "get c", read), Some(Denied::Command));
    }

    #[test]
    fn channels_match_and_patterns_are_spelled_alike() {
        let of = |rules, words| denied(rules, words, &[]);
        assert_eq!(of("+publish;&c*", "publish c1 m"), None);
        assert_eq!(of("+publish;&c*", "publish d m"), Some(Denied::Channel(1)));
        assert_eq!(of("+psubscribe;&c*", "psubscribe c*"), None);
        assert_eq!(of("+psubscribe;&c*", "psubscribe c* c1"), Some(Denied::Channel(2)));
        assert_eq!(of("+psubscribe;allchannels", "psubscribe x*"), None);
    }
}
