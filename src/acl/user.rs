//! A user: passwords, and what its client may do.

use super::{Catalogue, PasswordDigest, RuleFault, Selector};
use crate::resp::words_of_line;
use std::collections::BTreeMap;

/// Passwords that one user may have.
const PASSWORDS_MAX: usize = 4096;
/// Selectors that one user may have: a request may be compared with all of them.
const SELECTORS_MAX: usize = 64;

/// Whether what the user restores is looked at before it is believed, as far as a rule has said so.
/// It is told, and means nothing here: all that is restored is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Sanitize {
    #[default]
    Unsaid,
    Always,
    Never,
}

/// A user.
#[derive(Clone, Debug)]
pub struct User {
    name: String,
    is_on: bool,
    is_open: bool,
    sanitize: Sanitize,
    /// Each with its number, by which they are told in the order they came in.
    passwords: BTreeMap<PasswordDigest, u64>,
    next_password: u64,
    root: Selector,
    selectors: Vec<Selector>,
}

impl User {
    /// A user as ACL SETUSER makes one: off, and allowed nothing, but all channels if
    /// `all_channels`.
    pub fn new(name: &str, all_channels: bool) -> User {
        User {
            name: name.to_owned(),
            is_on: false,
            is_open: false,
            sanitize: Sanitize::Unsaid,
            passwords: BTreeMap::new(),
            next_password: 0,
            root: Selector::new(all_channels),
            selectors: Vec::new(),
        }
    }

    /// A user who is on and may do everything.
    pub fn of_everything(name: &str) -> User {
        User { is_on: true, root: Selector::of_everything(), ..User::new(name, true) }
    }

    /// Makes this its only password; none is needed when there is none.
    pub fn set_password(&mut self, password: Option<&[u8]>) {
        self.is_open = password.is_none();
        self.passwords = password.into_iter().map(|it| (PasswordDigest::of(it), 0)).collect();
        self.next_password = 1;
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Applies one rule. `all_channels` is what a new selector may.
    pub fn apply(
        &mut self,
        rule: &[u8],
        catalogue: &Catalogue,
        all_channels: bool,
    ) -> Result<(), RuleFault> {
        let is = |word: &str| rule.eq_ignore_ascii_case(word.as_bytes());
        if rule.is_empty() {
        } else if is("on") {
            self.is_on = true;
        } else if is("off") {
            self.is_on = false;
        } else if is("nopass") {
            (self.is_open, self.passwords) = (true, BTreeMap::new());
        } else if is("resetpass") {
            (self.is_open, self.passwords) = (false, BTreeMap::new());
        } else if is("sanitize-payload") {
            self.sanitize = Sanitize::Always;
        } else if is("skip-sanitize-payload") {
            self.sanitize = Sanitize::Never;
        } else if is("clearselectors") {
            self.selectors.clear();
        } else if is("reset") {
            let name = std::mem::take(&mut self.name);
            *self = User { sanitize: Sanitize::Always, ..User::new(&name, all_channels) };
        } else {
            return self.apply_marked(rule, catalogue, all_channels);
        }
        Ok(())
    }

    /// Applies a rule that is known by its first character.
    fn apply_marked(
        &mut self,
        rule: &[u8],
        catalogue: &Catalogue,
        all_channels: bool,
    ) -> Result<(), RuleFault> {
        match rule {
            [b'>', password @ ..] => self.add_password(PasswordDigest::of(password)),
            [b'#', hash @ ..] => self.add_password(PasswordDigest::parse(hash)?),
            [b'<', password @ ..] => self.remove_password(PasswordDigest::of(password)),
            [b'!', hash @ ..] => self.remove_password(PasswordDigest::parse(hash)?),
            [b'(', rules @ .., b')'] => {
                if SELECTORS_MAX <= self.selectors.len() {
                    return Err(RuleFault::TooMany);
                }
                let mut selector = Selector::new(all_channels);
                for rule in words_of_line(rules).map_err(|_| RuleFault::Syntax)? {
                    selector.apply(&rule, catalogue)?;
                }
                self.selectors.push(selector);
                Ok(())
            }
            _ => self.root.apply(rule, catalogue),
        }
    }

    fn add_password(&mut self, digest: PasswordDigest) -> Result<(), RuleFault> {
        if PASSWORDS_MAX <= self.passwords.len() && !self.passwords.contains_key(&digest) {
            return Err(RuleFault::TooMany);
        }
        self.passwords.entry(digest).or_insert(self.next_password);
        self.next_password += 1;
        self.is_open = false;
        Ok(())
    }

    fn remove_password(&mut self, digest: PasswordDigest) -> Result<(), RuleFault> {
        self.passwords.remove(&digest).map(drop).ok_or(RuleFault::NoSuchPassword)
    }

    /// Whether anybody may be this user, without a password.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether anybody may be this user at all.
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// Whether anybody is this user who says nothing: it is on, and has no password.
    pub fn lets_in_anybody(&self) -> bool {
        self.is_open && self.is_on
    }

    /// Whether this is a password with which one may be this user now.
    pub fn lets_in(&self, given: &PasswordDigest) -> bool {
        // All of them, so that the time does not tell which it was.
        let is_any = self.passwords.keys().fold(false, |any, it| any | it.is_same(given));
        self.is_on && (self.is_open || is_any)
    }

    /// Its own rules, then its selectors.
    #[inline]
    pub fn each_selector(&self) -> impl Iterator<Item = &Selector> {
        std::iter::once(&self.root).chain(&self.selectors)
    }

    /// Its own rules, without its selectors.
    pub fn root(&self) -> &Selector {
        &self.root
    }

    /// Its selectors.
    pub fn selectors(&self) -> &[Selector] {
        &self.selectors
    }

    /// The hashes of its passwords, in the order they came in.
    pub fn passwords(&self) -> Vec<&PasswordDigest> {
        let mut all: Vec<_> = self.passwords.iter().collect();
        all.sort_unstable_by_key(|it| it.1);
        all.into_iter().map(|it| it.0).collect()
    }

    /// Whether it may do everything, so that nothing needs to be looked at.
    pub fn may_all(&self) -> bool {
        self.each_selector().any(Selector::allows_everything)
    }

    /// Whether it may hear this channel, or this pattern of channels.
    pub fn may_hear(&self, name: &[u8], is_pattern: bool) -> bool {
        self.each_selector().any(|it| it.allows_channel(name, is_pattern))
    }

    /// What is said of it beside passwords, commands, keys and channels.
    pub fn flags(&self) -> Vec<&'static str> {
        let sanitize = match self.sanitize {
            Sanitize::Unsaid => None,
            Sanitize::Always => Some("sanitize-payload"),
            Sanitize::Never => Some("skip-sanitize-payload"),
        };
        let is_on = if self.is_on { "on" } else { "off" };
        let nopass = self.is_open.then_some("nopass");
        [Some(is_on), nopass, sanitize].into_iter().flatten().collect()
    }

    /// The rules that make it again.
    pub fn rules_text(&self) -> Vec<u8> {
        let mut parts: Vec<Vec<u8>> =
            self.flags().iter().map(|it| it.as_bytes().to_vec()).collect();
        parts.extend(self.passwords().iter().map(|it| format!("#{it}").into_bytes()));
        parts.push(self.root.text());
        parts.extend(self.selectors.iter().map(|it| [b"(", &it.text()[..], b")"].concat()));
        parts.join(&b' ')
    }

    /// As ACL LIST and an ACL file tell of it.
    pub fn text(&self) -> Vec<u8> {
        [b"user ", self.name.as_bytes(), b" ", &self.rules_text()[..]].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acl::catalogue::tests::few;
    use crate::acl::joined_selectors;
    use proptest::prelude::*;

    fn user_of(rules: &str) -> Result<User, RuleFault> {
        let (few, mut user) = (few(), User::new("u", false));
        let words: Vec<&[u8]> = rules.split(' ').map(str::as_bytes).collect();
        for rule in joined_selectors(words.into_iter()).expect("parentheses are closed") {
            user.apply(&rule, &few, false)?;
        }
        Ok(user)
    }

    fn told(rules: &str) -> String {
        String::from_utf8(user_of(rules).unwrap().rules_text()).unwrap()
    }

    #[test]
    fn rules_are_told_in_the_form_of_redis() {
        let hash = PasswordDigest::of(b"pw").to_string();
        let empty = "resetchannels -@all";
        for (rules, expected) in [
            ("", format!("off {empty}")),
            ("on nopass ~* &* +@all", "on nopass ~* &* +@all".to_owned()),
            ("allkeys allchannels allcommands", "off ~* &* +@all".to_owned()),
            ("reset", format!("off sanitize-payload {empty}")),
            ("skip-sanitize-payload nopass on", format!("on nopass skip-sanitize-payload {empty}")),
            (">pw >pw", format!("off #{hash} {empty}")),
            (">pw <pw", format!("off {empty}")),
            (">pw nopass", format!("off nopass {empty}")),
            (
                "~a* %R~b* %rW~c %W~d %R~d &ch* +get +select|0 -Set +@READ -config +config|GET",
                "off ~a* %R~b* ~c ~d resetchannels &ch* -@all +get +select|0 -set +@read -config \
                 +config|get"
                    .to_owned(),
            ),
            ("+config|get -config", "off resetchannels -@all -config".to_owned()),
            ("+get +@all -get", "off resetchannels +@all -get".to_owned()),
            (
                "(+set ~k) ( %R~x  &c +@all -del)",
                format!(
                    "off {empty} (~k resetchannels -@all +set) (%R~x resetchannels &c +@all -del)"
                ),
            ),
            ("(+set ~k) clearselectors", format!("off {empty}")),
            ("()", format!("off {empty} (resetchannels -@all)")),
            ("%R ~", format!("off ~ {empty}")),
        ] {
            assert_eq!(told(rules), expected, "{rules}");
        }
    }

    #[test]
    fn wrong_rules_are_refused_for_what_is_wrong() {
        for (rules, fault) in [
            ("+foo", RuleFault::Unknown),
            ("-config|foo", RuleFault::Unknown),
            ("+config|foo", RuleFault::Unknown),
            ("+@foo", RuleFault::Unknown),
            ("+select|1|2", RuleFault::Unknown),
            ("-select|1", RuleFault::Unknown),
            ("+config|get|x", RuleFault::ArgumentOfSubcommand),
            ("+get|", RuleFault::Syntax),
            ("foo", RuleFault::Syntax),
            ("%~a", RuleFault::Syntax),
            ("%RR~a", RuleFault::Syntax),
            ("%", RuleFault::Syntax),
            ("~a\tb", RuleFault::Syntax),
            ("(on)", RuleFault::Syntax),
            (")", RuleFault::Syntax),
            ("~* ~x", RuleFault::AllKeys),
            ("&* &x", RuleFault::AllChannels),
            ("<x", RuleFault::NoSuchPassword),
            ("#abc", RuleFault::BadHash),
            ("!abc", RuleFault::BadHash),
        ] {
            assert_eq!(user_of(rules).err(), Some(fault), "{rules}");
        }
    }

    #[test]
    fn rules_are_bounded() {
        let few = few();
        type RuleOf = fn(usize) -> String;
        let kinds: [(RuleOf, usize); 6] = [
            (|it| format!("+select|{it}"), 4096),
            (|it| format!(">{it}"), 4096),
            (|it| format!("#{it:064x}"), 4096),
            (|it| format!("~{it}:*"), 4096),
            (|it| format!("&{it}:*"), 4096),
            (|it| format!("(~{it})"), 64),
        ];
        for (rule, most) in kinds {
            let mut user = User::new("u", false);
            let mut apply = |it: usize| user.apply(rule(it).as_bytes(), &few, false);
            assert!((0..most).all(|it| apply(it).is_ok()), "{}", rule(0));
            assert_eq!(apply(most), Err(RuleFault::TooMany), "{}", rule(0));
        }
        for (length, expected) in [(4096, Ok(())), (4097, Err(RuleFault::LongPattern))] {
            for sign in ["~", "%R~", "&"] {
                let rule = format!("{sign}{}", "a".repeat(length));
                let mut user = User::new("u", false);
                assert_eq!(user.apply(rule.as_bytes(), &few, false), expected, "{sign}");
            }
        }
    }

    #[test]
    fn passwords_are_told_in_the_order_they_came_in() {
        let user = user_of(">z >a >m >z <a >b nopass >q >c >q").unwrap();
        let told = ["q", "c"].map(|it| PasswordDigest::of(it.as_bytes()));
        assert_eq!(user.passwords(), told.iter().collect::<Vec<_>>());
        let user = user_of(">z >a >m >z <a >b >a").unwrap();
        let told = ["z", "m", "b", "a"].map(|it| PasswordDigest::of(it.as_bytes()));
        assert_eq!(user.passwords(), told.iter().collect::<Vec<_>>());
    }

    #[test]
    fn who_is_off_is_not_let_in() {
        let lets_in = |rules: &str, password: &str| {
            user_of(rules).unwrap().lets_in(&PasswordDigest::of(password.as_bytes()))
        };
        assert!(lets_in("on >a >b", "b"));
        assert!(!lets_in("on >a", "b"));
        assert!(!lets_in(">a", "a"));
        assert!(lets_in("on nopass", "whatever"));
        assert!(!lets_in("nopass", "whatever"));
        assert!(!lets_in("on", ""));
    }

    fn rule() -> impl Strategy<Value = String> {
        let word = "[a-c*?]{0,3}";
        let command = prop::sample::select(vec![
            "get",
            "set",
            "config",
            "config|get",
            "select",
            "@read",
            "@write",
            "@all",
            "@slow",
            "@admin",
            "del",
            "publish",
        ]);
        prop_oneof![
            (prop::bool::ANY, command)
                .prop_map(|(it, name)| { format!("{}{name}", if it { '+' } else { '-' }) }),
            "[0-3]".prop_map(|it| format!("+select|{it}")),
            (prop::sample::select(vec!["~", "%R~", "%W~", "%RW~"]), word)
                .prop_map(|(sign, word)| format!("{sign}{word}")),
            word.prop_map(|it| format!("&{it}")),
            word.prop_map(|it| format!(">{it}")),
            prop::sample::select(vec![
                "on",
                "off",
                "nopass",
                "resetpass",
                "resetkeys",
                "resetchannels",
                "allkeys",
                "sanitize-payload",
                "skip-sanitize-payload",
                "reset",
                "clearselectors",
                "()",
                "(+get ~a -@all &x)",
                "(+@all -config ~* &*)",
            ])
            .prop_map(str::to_owned),
        ]
    }

    proptest! {
        #[test]
        fn what_is_told_makes_the_same_user_again(
            rules in prop::collection::vec(rule(), 0..12),
            id in 0_u16..9,
            key in "[a-c]{0,3}",
        ) {
            let (few, mut user) = (few(), User::new("u", false));
            for rule in &rules {
                let _ = user.apply(rule.as_bytes(), &few, false);
            }
            let text = String::from_utf8(user.rules_text()).unwrap();
            let again = user_of(&text).unwrap();
            prop_assert_eq!(String::from_utf8(again.rules_text()).unwrap(), text);
            let id = crate::base::ids::CommandId(id);
            for (one, other) in user.each_selector().zip(again.each_selector()) {
                prop_assert_eq!(one.allows(id), other.allows(id));
                for argument in ["0", "3"] {
                    let argument = Some(argument.as_bytes());
                    prop_assert_eq!(
                        one.allows(id) || one.allows_with(id, argument),
                        other.allows(id) || other.allows_with(id, argument)
                    );
                }
                let key = key.as_bytes();
                for rights in [crate::acl::KeyRights::READ, crate::acl::KeyRights::all()] {
                    prop_assert_eq!(one.allows_key(key, rights), other.allows_key(key, rights));
                }
                prop_assert_eq!(one.allows_channel(key, false), other.allows_channel(key, false));
            }
        }

        #[test]
        fn any_bytes_are_refused_or_a_rule(rule: Vec<u8>) {
            let _ = User::new("u", false).apply(&rule, &few(), false);
        }
    }
}
