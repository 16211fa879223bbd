//! Redis' glob patterns: what KEYS, SCAN MATCH and route rules accept.

use memchr::memmem;

/// Whether letters of different case are the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Case {
    /// Only equal bytes match.
    Exact,
    /// ASCII letters match in either case.
    Folded,
}

impl Case {
    fn fold(self, byte: u8) -> u8 {
        match self {
            Case::Exact => byte,
            Case::Folded => byte.to_ascii_lowercase(),
        }
    }
}

/// Whether the pattern can match only the text it spells.
pub fn is_literal(pattern: &[u8]) -> bool {
    !pattern.iter().any(|it| matches!(it, b'*' | b'?' | b'[' | b'\\'))
}

/// Whether `pattern` matches the whole of `text`.
///
/// Only the last `*` met is ever widened: what came before it already matched as early as it could,
/// so no other choice there can help. What stands behind the last star can only be the end of the
/// text, and a long literal between two stars is searched for in linear time. So the work is
/// bounded by the sum of the two lengths, or by their product where `?`, a class or an escape
/// follows a star.
pub fn matches(pattern: &[u8], text: &[u8], case: Case) -> bool {
    matches_counted(pattern, text, case, || {})
}

/// As [`matches()`]; tells of each step that it takes.
#[inline]
fn matches_counted(pattern: &[u8], text: &[u8], case: Case, mut step_taken: impl FnMut()) -> bool {
    // KEYS and SCAN let a lone star match the empty key. Any other pattern that is all stars does
    // not match it: a quirk to keep.
    if pattern == b"*" {
        return true;
    }
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut rest, mut left) = (pattern, text);
    let mut star = None;
    loop {
        step_taken();
        match (rest, left) {
            ([b'*', after @ ..], _) => {
                rest = after;
                match Segment::at(rest) {
                    Segment::Last(bytes) if left.len() < bytes => return false,
                    Segment::Last(bytes) => {
                        left = &left[left.len() - bytes..];
                        star = None;
                    }
                    Segment::Literal(text) if case == Case::Exact => {
                        let Some(found) = memmem::find(left, text) else { return false };
                        (rest, left) = (&rest[text.len()..], &left[found + text.len()..]);
                        star = None;
                    }
                    Segment::Literal(_) | Segment::Other => star = Some((rest, left)),
                }
                continue;
            }
            ([], []) => return true,
            (_, []) => return false,
            ([], _) => {}
            (_, [byte, after @ ..]) => {
                if let Some(behind) = step(rest, *byte, case) {
                    (rest, left) = (behind, after);
                    continue;
                }
            }
        }
        let Some((behind, [_, shorter @ ..])) = star else { return false };
        (rest, left) = (behind, shorter);
        star = Some((behind, shorter));
    }
}

/// Literals between two stars that are searched for as such: shorter ones are compared byte by
/// byte.
const SEARCHED_BYTES_MIN: usize = 16;

/// What a pattern goes on with behind a star, up to the next.
enum Segment<'a> {
    /// The last, which matches so many bytes.
    Last(usize),
    /// A long text that means what it spells.
    Literal(&'a [u8]),
    /// Anything else.
    Other,
}

impl Segment<'_> {
    fn at(pattern: &[u8]) -> Segment<'_> {
        let (mut rest, mut bytes, mut is_literal) = (pattern, 0, true);
        // Each element matches one byte.
        while let [first, after @ ..] = rest {
            rest = match first {
                b'*' if is_literal && SEARCHED_BYTES_MIN <= bytes => {
                    return Segment::Literal(&pattern[..bytes]);
                }
                b'*' => return Segment::Other,
                b'[' => after_class(after),
                b'\\' if !after.is_empty() => &after[1..],
                _ => after,
            };
            is_literal &= !matches!(first, b'?' | b'[' | b'\\');
            bytes += 1;
        }
        Segment::Last(bytes)
    }
}

/// The pattern behind a class, whatever that matches.
fn after_class(class: &[u8]) -> &[u8] {
    let mut rest = class.strip_prefix(b"^").unwrap_or(class);
    loop {
        rest = match rest {
            [b'\\', _, after @ ..] => after,
            [b']', after @ ..] => return after,
            [] => return rest,
            [_, b'-', _, after @ ..] => after,
            [_, after @ ..] => after,
        };
    }
}

/// Matches one byte against the first element of `pattern`, which is not empty and begins with no
/// star. Returns the pattern behind that element.
fn step(pattern: &[u8], byte: u8, case: Case) -> Option<&[u8]> {
    let (literal, behind) = match pattern {
        [b'?', behind @ ..] => return Some(behind),
        [b'[', class @ ..] => return step_class(class, byte, case),
        [b'\\', escaped, behind @ ..] => (escaped, behind),
        [literal, behind @ ..] => (literal, behind),
        [] => return None,
    };
    (case.fold(*literal) == case.fold(byte)).then_some(behind)
}

/// As [`step`], behind the `[`. A class that is never closed ends with the pattern.
fn step_class(class: &[u8], byte: u8, case: Case) -> Option<&[u8]> {
    let (negated, mut rest) = match class {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, class),
    };
    let mut found = false;
    let behind = loop {
        let hit;
        (hit, rest) = match rest {
            // Redis does not fold an escaped letter.
            [b'\\', escaped, after @ ..] => (*escaped == byte, after),
            [b']', after @ ..] => break after,
            [] => break rest,
            [from, b'-', to, after @ ..] => (in_range(*from, *to, byte, case), after),
            [literal, after @ ..] => (case.fold(*literal) == case.fold(byte), after),
        };
        found |= hit;
    };
    (found != negated).then_some(behind)
}

/// Bytes are signed here, as C's `char` is where Redis usually runs. A range written backwards is
/// turned round before its ends are folded.
fn in_range(from: u8, to: u8, byte: u8, case: Case) -> bool {
    let (low, high) = if (to as i8) < (from as i8) { (to, from) } else { (from, to) };
    let [low, high, byte] = [low, high, byte].map(|it| case.fold(it) as i8);
    low <= byte && byte <= high
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exact(pattern: &str, text: &str) -> bool {
        matches(pattern.as_bytes(), text.as_bytes(), Case::Exact)
    }

    #[test]
    fn patterns_match_as_in_redis() {
        let yes = [
            ("*", ""),
            ("", ""),
            ("a*b*", "ab"),
            ("a*b*c", "axxbxxbc"),
            ("h?llo", "hello"),
            ("h[ae]llo", "hallo"),
            ("h[^e]llo", "hallo"),
            ("h[a-c]llo", "hbllo"),
            ("h[c-a]llo", "hbllo"),
            ("\\*", "*"),
            ("a\\", "a\\"),
            ("[\\]]", "]"),
            ("[abc", "b"),
            ("[^", "x"),
            ("[^]", "x"),
            ("[a-]", "^"),
            ("[a-", "-"),
            ("[\\", "\\"),
            ("*[^", "ab"),
        ];
        for (pattern, text) in yes {
            assert!(exact(pattern, text), "{pattern} {text}");
        }
        let no =
            [("**", ""), ("", "a"), ("[", "a"), ("[]", "a"), ("h[^e]llo", "hello"), ("a*b", "abc")];
        for (pattern, text) in no.into_iter().chain([("?", ""), ("a?", "a"), ("A", "a")]) {
            assert!(!exact(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn case_folds_everywhere_but_behind_a_backslash_in_a_class() {
        let folded = |pattern: &[u8], text: &[u8]| matches(pattern, text, Case::Folded);
        assert!(folded(b"HeL*O", b"hello"));
        assert!(folded(b"[A-C]\\X", b"bx"));
        assert!(!folded(b"[\\A]", b"a"));
        assert!(!folded(b"[a-Z]", b"m"), "Z..a folds to z..a, which holds nothing");
    }

    #[test]
    fn many_stars_take_steps_in_proportion_to_what_there_is() {
        let text = "a".repeat(20_000);
        // With the longest piece between two stars: a text can almost be it at each of its places.
        for (pattern, piece) in [
            ("a*".repeat(2000) + "b", 1),
            ("*".repeat(5000) + "b", 1),
            ("*a".repeat(5000) + "b", 2),
            ("*aab".repeat(3000), 3),
            ("a*?".repeat(3000) + "[^a]", 3),
            ("*[a-c]aaaaaab".repeat(1000), 8),
        ] {
            let mut steps = 0;
            let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
            assert!(!matches_counted(pattern, text, Case::Exact, || steps += 1));
            let most = (piece + 1) * (pattern.len() + text.len());
            assert!(steps <= most, "{steps} steps for {} bytes of pattern", pattern.len());
        }
    }

    /// What a pattern means, without any thought of how long it takes.
    fn means(pattern: &[u8], text: &[u8], case: Case) -> bool {
        match (pattern, text) {
            ([], _) => text.is_empty(),
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|at| means(rest, &text[at..], case)),
            (_, []) => false,
            (_, [byte, after @ ..]) => {
                step(pattern, *byte, case).is_some_and(|it| means(it, after, case))
            }
        }
    }

    fn is_same(pattern: &str, text: &str) {
        for case in [Case::Exact, Case::Folded] {
            let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
            let expected = match text {
                [] => pattern.is_empty() || pattern == b"*",
                _ => means(pattern, text, case),
            };
            assert_eq!(matches(pattern, text, case), expected, "{pattern:?} {text:?}");
        }
    }

    #[test]
    fn long_literals_and_ends_are_found_where_they_are() {
        let long = "ab".repeat(10);
        for pattern in ["*{}", "*{}*", "x*{}*y", "*{}*{}", "*{}?*[ab]*", "**{}**a", "{}*{}"] {
            let pattern = pattern.replace("{}", &long);
            let twice = format!("{long}{long}");
            for text in ["", "a", &long, &twice, &twice[1..], &long[1..], "xxyy"] {
                for (before, behind) in [("", ""), ("x", "y"), ("aab", "ba"), ("xab", "aby")] {
                    is_same(&pattern, &format!("{before}{text}{behind}"));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_text_escaped_matches_only_itself(
            text in "[a-c*?\\[\\]^\\\\-]{0,8}",
            other in "[a-c*?]{0,8}",
        ) {
            let escaped: String = text.chars().flat_map(|it| ['\\', it]).collect();
            prop_assert!(exact(&escaped, &text));
            prop_assert_eq!(exact(&escaped, &other), text == other);
        }

        #[test]
        fn a_pattern_matches_what_it_means(
            pattern in "[abB*?\\[\\]^\\\\-]{0,10}",
            text in "[aAb\\-\\]]{0,8}",
        ) {
            is_same(&pattern, &text);
        }

        #[test]
        fn a_pattern_with_long_literals_matches_what_it_means(
            parts in prop::collection::vec("a{14,18}|\\*|b|a", 0..6),
            text in "a{0,40}b?a{0,20}",
        ) {
            is_same(&parts.concat(), &text);
        }

        #[test]
        fn any_bytes_are_a_pattern(pattern: Vec<u8>, text: Vec<u8>) {
            matches(&pattern, &text, Case::Folded);
        }
    }
}
