//! What stands behind the `?` of an address.

use std::borrow::Cow;

/// Its names and values, in order.
#[derive(Default, Debug)]
pub struct Query(Vec<(Vec<u8>, Vec<u8>)>);

impl Query {
    /// Reads it. What cannot be decoded stands for itself.
    pub fn of(text: &str) -> Query {
        let pairs = text.split('&').filter(|it| !it.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        });
        Query(pairs.collect())
    }

    /// All values of this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let same = self.0.iter().filter(move |it| it.0 == name.as_bytes());
        same.map(|it| it.1.as_slice())
    }

    /// The first value of this name.
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        let found = self.0.iter().find(|it| it.0 == name.as_bytes())?;
        Some(String::from_utf8_lossy(&found.1))
    }
}

/// Without `%41` and `+`.
fn decoded(text: &str) -> Vec<u8> {
    let (mut bytes, mut out) = (text.as_bytes(), Vec::with_capacity(text.len()));
    while let Some((first, rest)) = bytes.split_first() {
        let hex = rest.get(..2).and_then(|it| std::str::from_utf8(it).ok());
        // `from_str_radix` takes signs.
        let hex = hex.filter(|it| it.bytes().all(|it| it.is_ascii_hexdigit()));
        let byte = hex.and_then(|it| u8::from_str_radix(it, 16).ok());
        bytes = match (first, byte) {
            (b'%', Some(byte)) => {
                out.push(byte);
                &rest[2..]
            }
            (b'+', _) => {
                out.push(b' ');
                rest
            }
            _ => {
                out.push(*first);
                rest
            }
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_read() {
        let query = Query::of("command=GET+a%20b%00&lag=&word=1&word=%e9%&&x=%+1%zz");
        assert_eq!(query.get("command").as_deref(), Some("GET a b\0"));
        assert_eq!(query.get("lag").as_deref(), Some(""));
        assert_eq!(query.all("word").collect::<Vec<_>>(), [&b"1"[..], b"\xe9%"]);
        assert_eq!(query.get("x").as_deref(), Some("% 1%zz"));
        assert_eq!(query.get("nothing"), None);
        assert!(Query::of("").get("").is_none());
    }
}
