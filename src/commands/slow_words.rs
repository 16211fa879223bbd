//! The words of a slow command as the slow log keeps them: shortened, and without passwords.

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
    let secrets = secrets(command, request);
    let word = |(at, word): (usize, &[u8])| match secrets.contains(&at) {
        true => REDACTED.to_vec(),
        false => shortened(word),
    };
    let mut words: Vec<Vec<u8>> = request.iter().take(shown).enumerate().map(word).collect();
    if !whole {
        let left = request.len() - shown;
        words.push(format!("... ({left} more arguments)").into_bytes());
    }
    words
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

/// Places of words that nobody may read later.
fn secrets(command: &Command, request: Request<'_>) -> Vec<usize> {
    let is = |at: usize, word: &str| {
        request.get(at).is_some_and(|it| it.eq_ignore_ascii_case(word.as_bytes()))
    };
    match command.name.as_str() {
        "auth" => vec![1, 2],
        "hello" => (2..request.len()).filter(|it| is(*it, "AUTH")).flat_map(two_behind).collect(),
        "config|set" => (2..request.len())
            .step_by(2)
            .filter(|it| is(*it, "requirepass") || is(*it, "token-secret"))
            .map(|it| it + 1)
            .collect(),
        "migrate" => {
            let ends = (6..request.len()).find(|it| is(*it, "KEYS")).unwrap_or(request.len());
            let one = (6..ends).filter(|it| is(*it, "AUTH")).map(|it| it + 1);
            one.chain((6..ends).filter(|it| is(*it, "AUTH2")).flat_map(two_behind)).collect()
        }
        _ => Vec::new(),
    }
}

fn two_behind(at: usize) -> [usize; 2] {
    [at + 1, at + 2]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::table;
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
