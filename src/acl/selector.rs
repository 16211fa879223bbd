//! A selector: commands, keys and channels that may come together.

use super::pattern::Patterns;
use super::{Catalogue, Categories, KeyRights, Pattern, RuleFault};
use crate::base::ids::CommandId;
use std::collections::{BTreeMap, BTreeSet};

/// Rules about commands that one selector keeps.
const COMMAND_RULES_MAX: usize = 4096;

/// What a rule about commands says, and when it was said.
#[derive(Clone, PartialEq, Eq, Debug)]
struct CommandRule {
    allows: bool,
    number: u64,
}

/// Commands, keys and channels that may come together: a user's own rules, or those between
/// parentheses.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    /// Whether a command of which nothing is said is allowed.
    allows_others: bool,
    /// Nothing has been taken away since all were allowed.
    allows_all: bool,
    /// A bit for each command, by its number. Of those beyond its end nothing has been said.
    allowed: Vec<u64>,
    /// First arguments with which commands are allowed that are not otherwise.
    first_arguments: BTreeMap<CommandId, BTreeSet<Box<[u8]>>>,
    /// By `get`, `config|set` or `@read`.
    rules: BTreeMap<String, CommandRule>,
    next_rule: u64,
    keys: Patterns,
    channels: Patterns,
}

impl Selector {
    /// Nothing is allowed, but all channels if `all_channels` (`acl-pubsub-default`).
    pub fn new(all_channels: bool) -> Selector {
        let mut selector = Selector::default();
        selector.channels.set_all(all_channels);
        selector
    }

    /// Everything is allowed.
    pub fn of_everything() -> Selector {
        let mut selector = Selector::new(true);
        selector.keys.set_all(true);
        selector.set_all_commands(true);
        selector
    }

    /// Applies one rule.
    pub fn apply(&mut self, rule: &[u8], catalogue: &Catalogue) -> Result<(), RuleFault> {
        let is = |word: &str| rule.eq_ignore_ascii_case(word.as_bytes());
        if is("allkeys") || is("~*") {
            self.keys.set_all(true);
        } else if is("resetkeys") {
            self.keys.set_all(false);
        } else if is("allchannels") || is("&*") {
            self.channels.set_all(true);
        } else if is("resetchannels") {
            self.channels.set_all(false);
        } else if is("allcommands") || is("+@all") {
            self.set_all_commands(true);
        } else if is("nocommands") || is("-@all") {
            self.set_all_commands(false);
        } else {
            return self.apply_one(rule, catalogue);
        }
        Ok(())
    }

    fn apply_one(&mut self, rule: &[u8], catalogue: &Catalogue) -> Result<(), RuleFault> {
        match rule {
            [b'~', pattern @ ..] => self.add_keys(pattern, KeyRights::all()),
            [b'%', rest @ ..] => {
                let (rights, pattern) = key_rights(rest, self.keys.is_all())?;
                self.add_keys(pattern, rights)
            }
            [b'&', pattern @ ..] => {
                self.channels.add(pattern, KeyRights::all(), RuleFault::AllChannels)
            }
            [sign @ (b'+' | b'-'), b'@', name @ ..] => {
                self.set_category(name, *sign == b'+', catalogue)
            }
            [b'+', name @ ..] if name.contains(&b'|') => self.allow_part(name, catalogue),
            [sign @ (b'+' | b'-'), name @ ..] => {
                let (id, listed) = catalogue.named(name).ok_or(RuleFault::Unknown)?;
                self.may_have_one_more()?;
                self.set_command(id, &listed.subcommands, *sign == b'+', catalogue);
                self.note(&listed.name, *sign == b'+');
                Ok(())
            }
            _ => Err(RuleFault::Syntax),
        }
    }

    fn add_keys(&mut self, pattern: &[u8], rights: KeyRights) -> Result<(), RuleFault> {
        self.keys.add(pattern, rights, RuleFault::AllKeys)
    }

    fn set_all_commands(&mut self, allows: bool) {
        self.allowed.clear();
        (self.allows_others, self.allows_all) = (allows, allows);
        self.first_arguments.clear();
        self.rules.clear();
    }

    fn set_category(
        &mut self,
        name: &[u8],
        allows: bool,
        catalogue: &Catalogue,
    ) -> Result<(), RuleFault> {
        let category = Categories::named(name).ok_or(RuleFault::Unknown)?;
        self.may_have_one_more()?;
        let members = catalogue.members(category);
        let is_member = |id: &CommandId| members[id.index() / 64] >> (id.index() % 64) & 1 != 0;
        self.allowed.resize(members.len(), self.word_of_others());
        self.first_arguments.retain(|id, _| !is_member(id));
        for (word, members) in self.allowed.iter_mut().zip(members) {
            *word = if allows { *word | members } else { *word & !members };
        }
        self.allows_all &= allows;
        let name = String::from_utf8_lossy(name);
        self.note(&format!("@{name}"), allows);
        Ok(())
    }

    /// `+command|subcommand`, or `+command|argument` of a command that has no subcommands.
    fn allow_part(&mut self, name: &[u8], catalogue: &Catalogue) -> Result<(), RuleFault> {
        let bar = name.iter().rposition(|it| *it == b'|').unwrap_or_default();
        let (whole, part) = (&name[..bar], &name[bar + 1..]);
        let (id, listed) = catalogue.named(whole).ok_or(RuleFault::Unknown)?;
        if listed.name.contains('|') {
            return Err(RuleFault::ArgumentOfSubcommand);
        }
        // A rule is a word of a line in the file of users.
        let is_word = std::str::from_utf8(part).is_ok_and(|it| {
            !it.is_empty() && !it.contains(|it: char| it.is_ascii_whitespace() || it == '\0')
        });
        if !is_word {
            return Err(RuleFault::Syntax);
        }
        self.may_have_one_more()?;
        if !listed.subcommands.is_empty() {
            let (id, _) = catalogue.named(name).ok_or(RuleFault::Unknown)?;
            self.set_command(id, &[], true, catalogue);
        } else {
            let arguments = self.first_arguments.entry(id).or_default();
            arguments.insert(part.to_ascii_lowercase().into());
        }
        self.note(&String::from_utf8_lossy(name), true);
        Ok(())
    }

    fn may_have_one_more(&self) -> Result<(), RuleFault> {
        if self.rules.len() < COMMAND_RULES_MAX { Ok(()) } else { Err(RuleFault::TooMany) }
    }

    fn set_command(
        &mut self,
        id: CommandId,
        subcommands: &[CommandId],
        allows: bool,
        catalogue: &Catalogue,
    ) {
        self.allowed.resize(catalogue.len().div_ceil(64), self.word_of_others());
        self.first_arguments.remove(&id);
        for id in std::iter::once(id).chain(subcommands.iter().copied()) {
            let (word, bit) = (id.index() / 64, 1 << (id.index() % 64));
            if allows {
                self.allowed[word] |= bit;
            } else {
                self.allowed[word] &= !bit;
                self.allows_all = false;
            }
        }
    }

    #[inline]
    fn word_of_others(&self) -> u64 {
        if self.allows_others { u64::MAX } else { 0 }
    }

    /// Keeps a rule to be told. What it makes meaningless is not told any more: the same command or
    /// category before it, and its subcommands.
    fn note(&mut self, name: &str, allows: bool) {
        let name = name.to_lowercase();
        let below = format!("{name}|");
        let from_there = self.rules.range(below.clone()..).map(|it| it.0);
        let is_below = |it: &&String| it.starts_with(&below);
        let all_below: Vec<String> = from_there.take_while(is_below).cloned().collect();
        for rule in all_below {
            self.rules.remove(&rule);
        }
        self.rules.insert(name, CommandRule { allows, number: self.next_rule });
        self.next_rule += 1;
    }

    /// Makes ready what the first request would have to make.
    pub fn make_ready(&self) {
        for patterns in [&self.keys, &self.channels] {
            patterns.index();
        }
    }

    /// Whether every key is allowed, whatever is done to it.
    #[inline]
    pub fn has_all_keys(&self) -> bool {
        self.keys.is_all()
    }

    /// Whether nothing at all is refused, whatever comes.
    pub fn allows_everything(&self) -> bool {
        self.allows_all && self.keys.is_all() && self.channels.is_all()
    }

    /// Whether this command is allowed with any arguments.
    #[inline]
    pub fn allows(&self, id: CommandId) -> bool {
        let word = self.allowed.get(id.index() / 64).copied();
        let word = word.unwrap_or_else(|| self.word_of_others());
        self.allows_all || word >> (id.index() % 64) & 1 != 0
    }

    /// Whether this command is allowed with this first argument.
    pub fn allows_with(&self, id: CommandId, argument: Option<&[u8]>) -> bool {
        let Some(given) = argument else { return false };
        let arguments = self.first_arguments.get(&id);
        arguments.is_some_and(|it| it.iter().any(|it| it.eq_ignore_ascii_case(given)))
    }

    /// Whether so much may be done to this key.
    #[inline]
    pub fn allows_key(&self, key: &[u8], needed: KeyRights) -> bool {
        self.keys.allow(key, needed)
    }

    /// Whether so much may be done to every key.
    pub fn allows_every_key(&self, needed: KeyRights) -> bool {
        let is_every = |it: &(Pattern, KeyRights)| it.0.text() == b"*" && it.1.contains(needed);
        self.keys.is_all() || self.keys.iter().any(is_every)
    }

    /// Whether all channels are allowed.
    pub fn allows_every_channel(&self) -> bool {
        self.channels.is_all()
    }

    /// Whether this channel is allowed. A pattern must be spelled as the rule's is.
    pub fn allows_channel(&self, name: &[u8], is_pattern: bool) -> bool {
        match is_pattern {
            _ if self.channels.is_all() => true,
            true => self.channels.has(name),
            false => self.channels.allow(name, KeyRights::all()),
        }
    }

    /// Its rules about commands.
    pub fn commands_text(&self) -> String {
        let mut text = if self.allows_others { "+@all" } else { "-@all" }.to_owned();
        let mut rules: Vec<_> = self.rules.iter().collect();
        rules.sort_unstable_by_key(|it| it.1.number);
        for (name, rule) in rules {
            text.push(' ');
            text.push(if rule.allows { '+' } else { '-' });
            text.push_str(name);
        }
        text
    }

    /// Its key patterns.
    pub fn keys_text(&self) -> Vec<u8> {
        if self.keys.is_all() {
            return b"~*".to_vec();
        }
        let told = |(pattern, rights): &(Pattern, KeyRights)| {
            let sign: &[u8] = match *rights {
                KeyRights::READ => b"%R~",
                KeyRights::WRITE => b"%W~",
                // `~*` is another rule.
                _ if pattern.text() == b"*" => b"%RW~",
                _ => b"~",
            };
            [sign, pattern.text()].concat()
        };
        self.keys.iter().map(told).collect::<Vec<_>>().join(&b' ')
    }

    /// Its channel patterns.
    pub fn channels_text(&self) -> Vec<u8> {
        if self.channels.is_all() {
            return b"&*".to_vec();
        }
        let told = |it: &(Pattern, KeyRights)| [b"&", it.0.text()].concat();
        self.channels.iter().map(told).collect::<Vec<_>>().join(&b' ')
    }

    /// All of it, as rules that make it again.
    pub fn text(&self) -> Vec<u8> {
        let mut parts = vec![self.keys_text()];
        if !self.channels.is_all() {
            parts.push(b"resetchannels".to_vec());
        }
        parts.extend([self.channels_text(), self.commands_text().into_bytes()]);
        parts.retain(|it| !it.is_empty());
        parts.join(&b' ')
    }
}

/// What stands between `%` and the pattern, and the pattern.
fn key_rights(rest: &[u8], is_all: bool) -> Result<(KeyRights, &[u8]), RuleFault> {
    if is_all {
        return Err(RuleFault::AllKeys);
    }
    let (letters, pattern) = match rest.iter().position(|it| *it == b'~') {
        Some(tilde) => (&rest[..tilde], &rest[tilde + 1..]),
        None => (rest, &rest[rest.len()..]),
    };
    let mut rights = KeyRights::empty();
    for letter in letters {
        let right = match letter.to_ascii_uppercase() {
            b'R' => KeyRights::READ,
            b'W' => KeyRights::WRITE,
            _ => return Err(RuleFault::Syntax),
        };
        if rights.contains(right) {
            return Err(RuleFault::Syntax);
        }
        rights |= right;
    }
    if rights.is_empty() { Err(RuleFault::Syntax) } else { Ok((rights, pattern)) }
}
