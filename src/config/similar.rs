//! The word that a misspelt one was meant to be.

/// Shorter words are near to too many others.
const CHARS_MIN: usize = 3;

/// The one of `known` that is nearest to `word`, if it is near: one letter is wrong, missing, too
/// many or changed places with its neighbour, or two of a long word.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let length = word.chars().count();
    if length < CHARS_MIN {
        return None;
    }
    let most = 1 + usize::from(8 <= length);
    let word = word.to_lowercase();
    let near = known.into_iter().map(|it| (distance(&word, &it.to_lowercase()), it));
    near.filter(|it| it.0 <= most).min_by_key(|it| it.0).map(|it| it.1)
}

/// How many letters differ, neighbours that have changed places counting once.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut rows = vec![(0..=other.len()).collect::<Vec<usize>>()];
    for (at, a) in one.iter().enumerate() {
        let mut row = vec![at + 1];
        for (to, b) in other.iter().enumerate() {
            let changed = rows[at][to] + usize::from(a != b);
            let mut least = changed.min(rows[at][to + 1] + 1).min(row[to] + 1);
            let is_swapped = 0 < at && 0 < to && one[at - 1] == *b && *a == other[to - 1];
            if is_swapped {
                least = least.min(rows[at - 1][to - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_seen_and_another_word_is_not() {
        let known = ["maxclients", "timeout", "requirepass", "bind", "keys", "level", "on-lag"];
        for (word, meant) in [
            ("maxclient", "maxclients"),
            ("max-clients", "maxclients"),
            ("MaxClients", "maxclients"),
            ("tiemout", "timeout"),
            ("requirpas", "requirepass"),
            ("levels", "level"),
            ("onlag", "on-lag"),
            ("key", "keys"),
        ] {
            assert_eq!(nearest(word, known), Some(meant), "{word}");
        }
        for word in ["", "k", "ke", "password", "max", "host", "lavells"] {
            assert_eq!(nearest(word, known), None, "{word}");
        }
    }
}
