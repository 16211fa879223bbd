//! The manifest of an append-only file: which parts it has, in Redis' text.

use std::fmt;

/// What a part is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PartKind {
    /// The data at one time.
    Base,
    /// What was written from there on.
    Incr,
    /// Nothing any more: it is to be deleted.
    History,
}

impl PartKind {
    const ALL: [(PartKind, &str); 3] =
        [(PartKind::Base, "b"), (PartKind::Incr, "i"), (PartKind::History, "h")];

    fn letter(self) -> &'static str {
        PartKind::ALL[self as usize].1
    }
}

/// A part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// Its name, beside the manifest.
    pub name: String,
    /// Its number among those of its kind.
    pub seq: u64,
    /// What it is.
    pub kind: PartKind,
}

/// The names of the parts of one append-only file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AofNames(String);

impl AofNames {
    /// Names that begin like this.
    pub fn new(name: &str) -> AofNames {
        AofNames(name.to_owned())
    }

    /// The name of a file that has no parts yet, as before Redis 7.
    pub fn single(&self) -> &str {
        &self.0
    }

    /// The manifest.
    pub fn manifest(&self) -> String {
        format!("{}.manifest", self.0)
    }

    /// A base that is a snapshot.
    pub fn base(&self, seq: u64) -> Part {
        Part { name: format!("{}.{seq}.base.rdb", self.0), seq, kind: PartKind::Base }
    }

    /// A part of the stream.
    pub fn incr(&self, seq: u64) -> Part {
        Part { name: format!("{}.{seq}.incr.aof", self.0), seq, kind: PartKind::Incr }
    }

    /// What a file is called until it is whole.
    pub fn temporary(&self, name: &str) -> String {
        format!("temp-{name}")
    }

    /// Whether this is the name of one that has never become whole.
    pub fn is_temporary(&self, name: &str) -> bool {
        let rest = name.strip_prefix("temp-").and_then(|it| it.strip_prefix(self.0.as_str()));
        rest.is_some_and(|it| it.starts_with('.'))
    }
}

/// The parts of an append-only file.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Manifest {
    /// The data at one time, if there was any.
    pub base: Option<Part>,
    /// What was written from there on, in this order.
    pub incrs: Vec<Part>,
    /// What is to be deleted.
    pub history: Vec<Part>,
}

/// What is wrong with a manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ManifestFault {
    /// The line, from 1; 0 for the whole.
    pub line: usize,
    /// What is wrong with it.
    pub why: &'static str,
}

impl fmt::Display for ManifestFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

impl Manifest {
    /// Reads its text.
    pub fn parse(text: &str) -> Result<Manifest, ManifestFault> {
        let mut manifest = Manifest::default();
        for (at, line) in text.lines().enumerate() {
            if !line.starts_with('#') {
                manifest.take(line).map_err(|why| ManifestFault { line: at + 1, why })?;
            }
        }
        if manifest == Manifest::default() {
            return Err(ManifestFault { line: 0, why: "it names no file" });
        }
        Ok(manifest)
    }

    fn take(&mut self, line: &str) -> Result<(), &'static str> {
        const FORM: &str = "it is not of the form: file NAME seq NUMBER type b, h or i";
        let words = words(line).ok_or(FORM)?;
        if words.len() < 6 || words.len() % 2 != 0 {
            return Err(FORM);
        }
        let said = |key: &str| {
            let pair = words.chunks(2).find(|it| it[0].eq_ignore_ascii_case(key));
            pair.map(|it| it[1].as_str()).ok_or(FORM)
        };
        let name = said("file")?.to_owned();
        if name.is_empty() || name.contains('/') {
            return Err("the name is a path, and not of a file beside the manifest");
        }
        let seq = said("seq")?.parse().ok().filter(|it| 1 <= *it);
        let seq = seq.ok_or("the number is none from 1")?;
        let letter = said("type")?;
        let kind = PartKind::ALL.iter().find(|it| it.1 == letter).ok_or("the type is not known")?.0;
        let part = Part { name, seq, kind };
        match kind {
            PartKind::Base if self.base.is_some() => return Err("there is another base before it"),
            PartKind::Base => self.base = Some(part),
            PartKind::Incr if self.incrs.last().is_some_and(|it| seq <= it.seq) => {
                return Err("its number is not above the one before it");
            }
            PartKind::Incr => self.incrs.push(part),
            PartKind::History => self.history.push(part),
        }
        Ok(())
    }

    /// Its text.
    pub fn text(&self) -> String {
        let line = |it: &Part| {
            format!("file {} seq {} type {}\n", quoted(&it.name), it.seq, it.kind.letter())
        };
        self.base.iter().chain(&self.history).chain(&self.incrs).map(line).collect()
    }

    /// What is to be loaded, in this order.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.base.iter().chain(&self.incrs)
    }

    /// The numbers of the base and of the incr that come next.
    pub fn next_seqs(&self) -> (u64, u64) {
        let all = || self.parts().chain(&self.history);
        let last = |kind| all().filter(|it| it.kind == kind).map(|it| it.seq).max();
        let history = self.history.iter().map(|it| it.seq).max().unwrap_or(0);
        let next = |kind| last(kind).unwrap_or(0).max(history) + 1;
        (next(PartKind::Base), next(PartKind::Incr))
    }

    /// The same with one more incr.
    pub fn with_incr(&self, incr: Part) -> Manifest {
        let mut with = self.clone();
        with.incrs.push(incr);
        with
    }

    /// A new base with what was written from there on takes the place of all that was there, which
    /// is to be deleted.
    pub fn replaced(&self, base: Part, incr: Part) -> Manifest {
        let gone = self.parts().cloned().map(|it| Part { kind: PartKind::History, ..it });
        let history = self.history.iter().cloned().chain(gone).collect();
        Manifest { base: Some(base), incrs: vec![incr], history }
    }

    /// The same once that has been deleted.
    pub fn without_history(&self) -> Manifest {
        Manifest { history: Vec::new(), ..self.clone() }
    }
}

/// A name as Redis writes it: in quotes where it needs them.
fn quoted(name: &str) -> String {
    let is_plain = |it: u8| it.is_ascii_graphic() && !matches!(it, b'"' | b'\'' | b'\\');
    if name.bytes().all(is_plain) {
        return name.to_owned();
    }
    let mut text = String::from("\"");
    for byte in name.bytes() {
        match byte {
            b'"' | b'\\' => text.extend(['\\', byte as char]),
            b' '..=b'~' => text.push(byte as char),
            other => text.push_str(&format!("\\x{other:02x}")),
        }
    }
    text.push('"');
    text
}

/// The words of a line, some in quotes; `None` when they do not end.
fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut rest) = (Vec::new(), line.trim_ascii().as_bytes());
    while !rest.is_empty() {
        let (word, behind) = match rest[0] {
            b'"' => quoted_word(&rest[1..])?,
            _ => {
                let end = rest.iter().position(|it| it.is_ascii_whitespace());
                let (word, behind) = rest.split_at(end.unwrap_or(rest.len()));
                (word.to_vec(), behind)
            }
        };
        words.push(String::from_utf8(word).ok()?);
        rest = behind.trim_ascii_start();
    }
    Some(words)
}

fn quoted_word(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (mut word, mut at) = (Vec::new(), 0);
    loop {
        match (text.get(at)?, text.get(at + 1)) {
            (b'"', _) => return Some((word, &text[at + 1..])),
            (b'\\', Some(b'x')) => {
                let digits = std::str::from_utf8(text.get(at + 2..at + 4)?).ok()?;
                word.push(u8::from_str_radix(digits, 16).ok()?);
                at += 4;
            }
            (b'\\', Some(escaped)) => {
                word.push(*escaped);
                at += 2;
            }
            (byte, _) => {
                word.push(*byte);
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn redis_own_text_is_read_and_written() {
        let text = "file appendonly.aof.2.base.rdb seq 2 type b\n\
                    file appendonly.aof.1.incr.aof seq 1 type h\n\
                    file appendonly.aof.4.incr.aof seq 4 type i\n\
                    file appendonly.aof.5.incr.aof seq 5 type i\n";
        let manifest = Manifest::parse(text).unwrap();
        assert_eq!(manifest.text(), text);
        let names: Vec<&str> = manifest.parts().map(|it| it.name.as_str()).collect();
        let expected = ["2.base.rdb", "4.incr.aof", "5.incr.aof"];
        assert_eq!(names, expected.map(|it| format!("appendonly.aof.{it}")));
        assert_eq!(manifest.next_seqs(), (3, 6));
        let names = AofNames::new("appendonly.aof");
        let next = manifest.replaced(names.base(3), names.incr(6));
        assert_eq!((next.parts().count(), next.history.len()), (2, 4));
        assert_eq!(next.without_history().text().lines().count(), 2);
    }

    #[test]
    fn what_is_wrong_has_a_line() {
        let wrong = |text: &str| Manifest::parse(text).unwrap_err().to_string();
        let ok = "file a seq 1 type b\n";
        assert_eq!(wrong(""), "line 0: it names no file");
        assert!(wrong(&format!("{ok}file b seq 2 type b\n")).starts_with("line 2: there is"));
        let twice = "file a seq 2 type i\nfile b seq 2 type i\n";
        assert!(wrong(twice).starts_with("line 2: its number"));
        for bad in ["x", "file a seq 0 type b", "file a/b seq 1 type b", "file a seq 1 type x", ""]
        {
            assert!(wrong(&format!("{ok}{bad}\n")).starts_with("line 2"), "{bad}");
        }
        assert!(wrong("file \"a seq 1 type b\n").starts_with("line 1"));
    }

    proptest! {
        #[test]
        fn any_name_survives_its_text(name in "[^/\n\r]{1,20}") {
            let names = AofNames::new(&name);
            let manifest = Manifest::default().replaced(names.base(1), names.incr(1));
            prop_assert_eq!(Manifest::parse(&manifest.text()), Ok(manifest));
        }

        #[test]
        fn no_text_is_too_strange(text in "[ -~\n]{0,80}") {
            let _ = Manifest::parse(&text);
        }
    }
}
