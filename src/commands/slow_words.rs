//! The words of a slow command as the slow log keeps them: shortened, and without passwords.

use super::all::table;
use super::context::Command;
use crate::resp::Request;

/// Redis' limits of what an entry keeps.
const WORDS_MAX: usize = 32;
const WORD_BYTES_MAX: usize = 128;
const REDACTED: &[u8] = b"(redacted)";

/// The words of a request as an entry shows them: not too many, not too long, no passwords.
pub fn slow_words(command: &Command, request: Request<'_>) -> Vec<Vec<u8>> {
    let whole = request.len() <= WORDS_MAX;
    let shown = if whole { request.len() } else { WORDS_MAX - 1 };
    let mut words: Vec<Vec<u8>> =
        without_secrets(command, request).take(shown).map(shortened).collect();
    if !whole {
        let left = request.len() - shown;
        words.push(format!("... ({left} more arguments)").into_bytes());
    }
    words
}

/// All words of a request, and something else for those that are passwords.
pub fn without_secrets<'r>(
    command: &Command,
    request: Request<'r>,
) -> impl Iterator<Item = &'r [u8]> {
    let secrets = secrets(command, request);
    let word = move |(at, word)| if secrets.contains(&at) { REDACTED } else { word };
    request.iter().enumerate().map(word)
}

fn shortened(word: &[u8]) -> Vec<u8> {
    match word.len() {
        len if len <= WORD_BYTES_MAX => word.to_vec(),
        len => {
            let mut short = word[..WORD_BYTES_MAX].to_vec();
            short.extend(format!("... ({} more bytes)", len - WORD_BYTES_MAX).bytes());
            short
        }
    }
}

/// Settings whose values are nobody's to read later: Redis' `SENSITIVE_CONFIG`, and ours.
const SECRET_SETTINGS: &[&str] = &[
    "requirepass",
    "masterauth",
    "masteruser",
    "primaryauth",
    "primaryuser",
    "tls-key-file-pass",
    "tls-client-key-file-pass",
    "token-secret",
];
/// Where the last argument that MIGRATE must have stands: behind it are options, and a client that
/// forgets one argument has its password there.
const MIGRATE_TIMEOUT: usize = 5;
/// A command may stand in front of another, and that in front of a third.
const NESTED_MAX: usize = 4;

/// Places of words that nobody may read later.
fn secrets(command: &Command, request: Request<'_>) -> Vec<usize> {
    secrets_of(command, request, NESTED_MAX)
}

fn secrets_of(command: &Command, request: Request<'_>, nested: usize) -> Vec<usize> {
    let all = 0..request.len();
    let is = |at: usize, word: &str| {
        request.get(at).is_some_and(|it| it.eq_ignore_ascii_case(word.as_bytes()))
    };
    let inner = |first: usize| secrets_behind(request, first, nested);
    match command.name.as_str() {
        // With too many words it is refused, and one of them may still be the password.
        "auth" => all.skip(1).collect(),
        "hello" => all.skip(2).filter(|it| is(*it, "AUTH")).flat_map(two_behind).collect(),
        "config|set" => {
            let is_secret = |it: &usize| SECRET_SETTINGS.iter().any(|name| is(*it, name));
            // Whoever forgets a value has pairs that begin at odd places.
            all.skip(2).filter(is_secret).map(|it| it + 1).collect()
        }
        // A rule may be a password, and a name in the wrong place, too.
        "acl|setuser" | "acl|getuser" | "acl|deluser" => all.skip(2).collect(),
        "acl|dryrun" => inner(3),
        "migrate" => migrate_secrets(request.len(), is),
        "proxy|explain" | "command|getkeys" | "command|getkeysandflags" => inner(2),
        "proxy|once" => {
            all.skip(2).filter(|it| is(*it, "DO")).flat_map(|it| inner(it + 1)).collect()
        }
        _ => Vec::new(),
    }
}

/// The same of the request that begins at word `first` of this one.
fn secrets_behind(request: Request<'_>, first: usize, nested: usize) -> Vec<usize> {
    let words = request.behind(first);
    match table().locate(words) {
        Ok(command) if nested != 0 => {
            secrets_of(command, words, nested - 1).into_iter().map(|it| it + first).collect()
        }
        _ => Vec::new(),
    }
}

/// A word that belongs to AUTH or AUTH2 is no option, and behind KEYS there are only keys.
fn migrate_secrets(words: usize, is: impl Fn(usize, &str) -> bool) -> Vec<usize> {
    let (mut secrets, mut at) = (Vec::new(), MIGRATE_TIMEOUT);
    while at < words && !is(at, "KEYS") {
        let taken = if is(at, "AUTH") { 1 } else { 2 * usize::from(is(at, "AUTH2")) };
        secrets.extend(at + 1..=at + taken);
        at += 1 + taken;
    }
    secrets
}

fn two_behind(at: usize) -> [usize; 2] {
    [at + 1, at + 2]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::OwnedRequest;

    fn told(line: &str) -> String {
        let request = OwnedRequest::of(line.split(' '));
        let command = table().locate(request.borrow()).expect("a command");
        let words = slow_words(command, request.borrow());
        words.iter().map(|it| String::from_utf8_lossy(it)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn passwords_are_left_out() {
        let redacted = [
            ("auth a", "auth (redacted)"),
            ("AUTH a b", "AUTH (redacted) (redacted)"),
            ("hello 3 setname x auth u p", "hello 3 setname x auth (redacted) (redacted)"),
            ("config set timeout 1 requirepass a", "config set timeout 1 requirepass (redacted)"),
            ("AUTH a b c", "AUTH (redacted) (redacted) (redacted)"),
            (
                "config set masterauth a timeout 1 MasterUser b requirepass c",
                "config set masterauth (redacted) timeout 1 MasterUser (redacted) requirepass \
                 (redacted)",
            ),
            ("config set timeout requirepass a", "config set timeout requirepass (redacted)"),
            ("migrate h 1 k 0 9 AUTH a KEYS k", "migrate h 1 k 0 9 AUTH (redacted) KEYS k"),
            ("migrate h 1 k 0 AUTH a", "migrate h 1 k 0 AUTH (redacted)"),
            (
                "migrate h 1 k 0 9 COPY AUTH2 u KEYS auth b",
                "migrate h 1 k 0 9 COPY AUTH2 (redacted) (redacted) auth (redacted)",
            ),
            ("migrate h 1 auth 0 9 KEYS auth k", "migrate h 1 auth 0 9 KEYS auth k"),
            ("proxy explain auth a", "proxy explain auth (redacted)"),
            (
                "proxy explain migrate h 1 k 0 9 auth2 a b",
                "proxy explain migrate h 1 k 0 9 auth2 (redacted) (redacted)",
            ),
            (
                "proxy explain config set requirepass a",
                "proxy explain config set requirepass (redacted)",
            ),
            ("proxy once level sticky do auth a", "proxy once level sticky do auth (redacted)"),
            ("proxy once at do do auth a", "proxy once at do do auth (redacted)"),
            (
                "proxy explain proxy once wait 1 do hello 3 auth a b",
                "proxy explain proxy once wait 1 do hello 3 auth (redacted) (redacted)",
            ),
            ("command getkeys auth a", "command getkeys auth (redacted)"),
        ];
        redacted.iter().for_each(|(line, shown)| assert_eq!(told(line), *shown));
    }

    #[test]
    fn long_requests_are_shortened() {
        let many = |count: usize| format!("mget{}", " k".repeat(count));
        assert_eq!(told(&many(31)), many(31));
        assert_eq!(told(&many(40)), format!("{} ... (10 more arguments)", many(30)));
        let (long, shown) = ("x".repeat(300), "x".repeat(128));
        assert_eq!(told(&format!("get {long}")), format!("get {shown}... (172 more bytes)"));
    }
}
