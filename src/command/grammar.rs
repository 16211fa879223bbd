//! From a row's `syntax`, as a manual writes it, to the arguments that COMMAND DOCS answers.

use std::borrow::Cow;

/// One argument, or a group of them.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Argument {
    /// Its name; a group's is that of its members.
    pub name: String,
    /// What may stand there.
    pub kind: Kind,
    /// The word in front of it, or which it is.
    pub token: Option<String>,
    /// It may be left out.
    pub is_optional: bool,
    /// It may be repeated.
    pub is_multiple: bool,
    /// The token is repeated with it.
    pub repeats_token: bool,
    /// Members of a group.
    pub members: Vec<Argument>,
}

/// What may stand at an argument's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Kind {
    /// Any bytes.
    #[default]
    Text,
    /// A key.
    Key,
    /// An integer.
    Integer,
    /// A floating-point number.
    Double,
    /// A glob pattern.
    Pattern,
    /// A point in time.
    UnixTime,
    /// Only the token itself.
    Token,
    /// One of the members.
    OneOf,
    /// All of the members, in order.
    Block,
}

impl Kind {
    /// COMMAND DOCS' word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Text => "string",
            Kind::Key => "key",
            Kind::Integer => "integer",
            Kind::Double => "double",
            Kind::Pattern => "pattern",
            Kind::UnixTime => "unix-time",
            Kind::Token => "pure-token",
            Kind::OneOf => "oneof",
            Kind::Block => "block",
        }
    }

    /// What this word of COMMAND DOCS means, of what a single argument may be.
    fn named(word: &str) -> Option<Kind> {
        let leaves = [Kind::Text, Kind::Key, Kind::Integer, Kind::Double, Kind::Pattern];
        leaves.into_iter().find(|it| it.word() == word)
    }

    /// What an argument of this name is, by the names that our manuals use.
    fn of(name: &str) -> Kind {
        match name {
            "key" | "key1" | "key2" | "newkey" | "source" | "destination" | "destkey"
            | "sourcekey" | "dst" | "src" => Kind::Key,
            "pattern" => Kind::Pattern,
            "score" | "weight" | "min-score" | "max-score" | "longitude" | "latitude"
            | "radius" | "width" | "height" => Kind::Double,
            "count" | "cursor" | "index" | "index1" | "index2" | "db" | "destination-db"
            | "offset" | "start" | "end" | "stop" | "seconds" | "milliseconds" | "numkeys"
            | "numreplicas" | "timeout" | "timeout-ms" | "increment" | "decrement"
            | "client-id" | "protover" | "len" | "limit" | "rank" | "num-matches" | "samples"
            | "slot" | "start-slot" | "end-slot" | "port" | "cluster-bus-port" | "config-epoch"
            | "bits" | "bit" | "ttl" | "frequency" | "ms" | "entries-read" | "entries-added"
            | "version" => Kind::Integer,
            _ if name.starts_with("unix-time") => Kind::UnixTime,
            _ => Kind::Text,
        }
    }
}

/// A grammar as people read it: without the kinds that stand behind names.
pub fn shown(syntax: &str) -> Cow<'_, str> {
    if !syntax.contains(':') {
        return Cow::Borrowed(syntax);
    }
    let is_part = |it: char| it.is_alphanumeric() || matches!(it, '-' | '_' | ':');
    let words = syntax.split_inclusive(|it| !is_part(it));
    let plain = words.map(|it| {
        let word = it.trim_end_matches(|it| !is_part(it));
        name_and_kind(word).map_or(Cow::Borrowed(it), |(name, _)| {
            Cow::Owned(format!("{name}{}", &it[word.len()..]))
        })
    });
    Cow::Owned(plain.collect())
}

/// A name with its kind behind it.
fn name_and_kind(word: &str) -> Option<(&str, Kind)> {
    let (name, kind) = word.rsplit_once(':')?;
    Some((name, Kind::named(kind)?))
}

/// Parses a grammar: lower-case words are arguments, with their kind behind a colon where their
/// name does not say it; others are tokens, `""` the empty one; `[…]` is optional, `<…>` and `(…)`
/// group, `|` stands between alternatives, and `x [x …]` repeats. `None` when brackets do not pair
/// up.
pub fn parse(syntax: &str) -> Option<Vec<Argument>> {
    let spaced = syntax.chars().fold(String::new(), |mut text, it| {
        match it {
            '[' | ']' | '<' | '>' | '(' | ')' | '|' => text.extend([' ', it, ' ']),
            _ => text.push(it),
        }
        text
    });
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let arguments = alternatives(&mut rest)?;
    rest.is_empty().then_some(arguments)
}

/// Alternatives up to a closing bracket or the end: one sequence stays as it is, several become one
/// argument.
fn alternatives(rest: &mut &[&str]) -> Option<Vec<Argument>> {
    let mut found = vec![sequence(rest)?];
    while let ["|", behind @ ..] = *rest {
        *rest = behind;
        found.push(sequence(rest)?);
    }
    if found.len() == 1 {
        return found.pop();
    }
    let members: Vec<Argument> = found.into_iter().map(as_one).collect();
    Some(vec![group(Kind::OneOf, members)])
}

fn sequence(rest: &mut &[&str]) -> Option<Vec<Argument>> {
    let mut found: Vec<Argument> = Vec::new();
    while let [word, behind @ ..] = *rest {
        match *word {
            "]" | ">" | ")" | "|" => break,
            "..." => {
                // Only a repetition that `repeat` has not taken: whatever stands before it repeats.
                found.last_mut()?.is_multiple = true;
                *rest = behind;
            }
            "[" => {
                *rest = behind;
                match repeated(&found, rest) {
                    Some((from, behind)) => {
                        *rest = behind;
                        repeat(&mut found, from);
                    }
                    None => found.push(optional(bracketed(rest, "]")?)),
                }
            }
            "<" => {
                *rest = behind;
                found.push(as_one(bracketed(rest, ">")?));
            }
            "(" => {
                *rest = behind;
                found.push(as_one(bracketed(rest, ")")?));
            }
            word => {
                *rest = behind;
                found.push(leaf(word));
            }
        }
    }
    Some(join_tokens(found))
}

fn bracketed(rest: &mut &[&str], close: &str) -> Option<Vec<Argument>> {
    let inner = alternatives(rest)?;
    let (first, behind) = rest.split_first()?;
    *rest = behind;
    (*first == close).then_some(inner)
}

/// Behind `[`: whether the bracket says again what stands before it, and then `...`. Answers which
/// argument the repetition begins with.
fn repeated<'w, 's>(found: &[Argument], rest: &'w [&'s str]) -> Option<(usize, &'w [&'s str])> {
    let dots = rest.iter().position(|it| *it == "...")?;
    let (again, behind) = (&rest[..dots], rest.get(dots + 1..)?);
    let from = found.len().checked_sub(again.len())?;
    let is_same = found[from..].iter().zip(again).all(|(it, word)| is_leaf_of(it, word));
    let [first, behind @ ..] = behind else { return None };
    (*first == "]" && !again.is_empty() && is_same).then_some((from, behind))
}

fn is_leaf_of(argument: &Argument, word: &str) -> bool {
    argument.members.is_empty() && *argument == leaf(word)
}

/// The arguments from `from` on are one that may be repeated.
fn repeat(found: &mut Vec<Argument>, from: usize) {
    let again = join_tokens(found.split_off(from));
    let has_token = again.first().is_some_and(|it| it.token.is_some());
    let mut one = as_one(again);
    one.is_multiple = true;
    one.repeats_token = has_token;
    found.push(one);
}

fn optional(inner: Vec<Argument>) -> Argument {
    let mut one = as_one(inner);
    one.is_optional = true;
    one
}

fn leaf(word: &str) -> Argument {
    let is_token = !word.contains(|it: char| it.is_ascii_lowercase());
    if is_token {
        let token = Some(word.trim_matches('"').to_string());
        let name = word.to_lowercase();
        return Argument { name, kind: Kind::Token, token, ..Argument::default() };
    }
    let (name, kind) = name_and_kind(word).unwrap_or((word, Kind::of(word)));
    Argument { name: name.to_string(), kind, ..Argument::default() }
}

/// A token with what follows it up to the next token or optional part: one argument.
fn join_tokens(found: Vec<Argument>) -> Vec<Argument> {
    let mut joined = Vec::new();
    let mut rest = found.into_iter().peekable();
    while let Some(argument) = rest.next() {
        if argument.kind != Kind::Token || argument.is_optional || argument.is_multiple {
            joined.push(argument);
            continue;
        }
        let mut follow = Vec::new();
        while let Some(next) = rest.next_if(|it| it.token.is_none() && !it.is_optional) {
            follow.push(next);
        }
        joined.push(behind_token(argument, follow));
    }
    joined
}

fn behind_token(token: Argument, mut follow: Vec<Argument>) -> Argument {
    match follow.len() {
        0 => token,
        1 => Argument { token: token.token, ..follow.remove(0) },
        _ => Argument { token: token.token, ..group(Kind::Block, follow) },
    }
}

fn as_one(mut arguments: Vec<Argument>) -> Argument {
    match arguments.len() {
        1 => arguments.remove(0),
        _ => group(Kind::Block, arguments),
    }
}

fn group(kind: Kind, members: Vec<Argument>) -> Argument {
    let names: Vec<&str> = members.iter().map(|it| it.name.as_str()).collect();
    Argument { name: names.join("_"), kind, members, ..Argument::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `name:kind`, a token before it in quotes, members in braces, and `?` `*` `+` for optional,
    /// multiple, and with its token.
    fn sketch(arguments: &[Argument]) -> String {
        let one = |it: &Argument| {
            let token = it.token.as_ref().map_or(String::new(), |it| format!("'{it}' "));
            let inner = match it.members.as_slice() {
                [] => it.name.clone(),
                members => format!("{{{}}}", sketch(members)),
            };
            let marks = [(it.is_optional, "?"), (it.is_multiple, "*"), (it.repeats_token, "+")];
            let marks = marks.iter().filter(|it| it.0).map(|it| it.1).collect::<String>();
            format!("{token}{inner}:{}{marks}", it.kind.word())
        };
        arguments.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    fn tree(syntax: &str) -> String {
        sketch(&parse(syntax).unwrap())
    }

    #[test]
    fn words_are_arguments_and_capitals_are_tokens() {
        assert_eq!(tree(""), "");
        assert_eq!(tree("key value"), "key:key value:string");
        assert_eq!(tree("[message]"), "message:string?");
        assert_eq!(tree("[COUNT count]"), "'COUNT' count:integer?");
        assert_eq!(tree("[LIMIT offset count]"), "'LIMIT' {offset:integer count:integer}:block?");
        assert_eq!(tree("key [LEN] [IDX]"), "key:key 'LEN' len:pure-token? 'IDX' idx:pure-token?");
    }

    #[test]
    fn alternatives_are_one_argument() {
        assert_eq!(tree("ON | OFF"), "{'ON' on:pure-token 'OFF' off:pure-token}:oneof");
        assert_eq!(
            tree("[EX seconds | PXAT unix-time-milliseconds | KEEPTTL]"),
            "{'EX' seconds:integer 'PXAT' unix-time-milliseconds:unix-time \
             'KEEPTTL' keepttl:pure-token}:oneof?"
        );
        assert_eq!(
            tree("[TYPE <NORMAL | PUBSUB>] x"),
            "'TYPE' {'NORMAL' normal:pure-token 'PUBSUB' pubsub:pure-token}:oneof? x:string"
        );
        assert_eq!(tree("<* | id>"), "{'*' *:pure-token id:string}:oneof");
        assert_eq!(tree("(BEFORE | AFTER) pivot").split(' ').next_back(), Some("pivot:string"));
    }

    #[test]
    fn what_is_said_twice_may_be_repeated() {
        assert_eq!(tree("key [key ...]"), "key:key*");
        assert_eq!(tree("key value [key value ...]"), "{key:key value:string}:block*");
        assert_eq!(tree("key field [field ...]"), "key:key field:string*");
        assert_eq!(tree("[ID client-id [client-id ...]]"), "'ID' client-id:integer?*");
        assert_eq!(tree("[GET pattern [GET pattern ...]]"), "'GET' pattern:pattern?*+");
        assert_eq!(tree("[name [name ...]]"), "name:string?*");
        assert_eq!(tree("numkeys key [key ...] [X]"), "numkeys:integer key:key* 'X' x:pure-token?");
        assert_eq!(tree("[word ...]"), "word:string?*");
    }

    #[test]
    fn optional_parts_nest() {
        assert_eq!(
            tree("key [count [WITHVALUES]]"),
            "key:key {count:integer 'WITHVALUES' withvalues:pure-token?}:block?"
        );
        assert_eq!(
            tree("[protover [AUTH username password] [SETNAME clientname]]"),
            "{protover:integer 'AUTH' {username:string password:string}:block? \
             'SETNAME' clientname:string?}:block?"
        );
    }

    #[test]
    fn a_kind_may_stand_behind_its_name() {
        assert_eq!(tree("key timeout:double"), "key:key timeout:double");
        assert_eq!(tree("W weight:integer [weight:integer ...]"), "'W' weight:integer*");
        assert_eq!(
            tree("ip:port <key | \"\">"),
            "ip:port:string {key:key '' \"\":pure-token}:oneof"
        );
        assert_eq!(shown("ip:port a:double [b:key ...]"), "ip:port a [b ...]");
        assert_eq!(shown("key [COUNT count]"), "key [COUNT count]");
    }

    #[test]
    fn brackets_must_pair_up() {
        for wrong in ["[a", "a]", "[a>", "<a", "a | [", "...", "(a]"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_tree_or_refused(text in "[a-cA-C\\[\\]<>()| .]{0,40}") {
            parse(&text);
        }
    }
}
