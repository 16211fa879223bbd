//! What a script or function says of itself: its flags, its first line.

/// A set of flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags(u8);

const NAMES: [&str; 5] =
    ["no-writes", "allow-oom", "allow-stale", "no-cluster", "allow-cross-slot-keys"];

impl Flags {
    /// Writes nothing, and may run at a replica.
    pub const NO_WRITES: Flags = Flags(1);
    /// Runs when memory is full.
    pub const ALLOW_OOM: Flags = Flags(2);
    /// Runs at a replica that has lost its master.
    pub const ALLOW_STALE: Flags = Flags(4);
    /// Does not run in a cluster.
    pub const NO_CLUSTER: Flags = Flags(8);
    /// Takes keys of several slots.
    pub const ALLOW_CROSS_SLOT_KEYS: Flags = Flags(16);

    /// The flag of this name.
    pub fn named(name: &[u8]) -> Option<Flags> {
        let index = NAMES.iter().position(|it| it.as_bytes() == name)?;
        Some(Flags(1 << index))
    }

    /// Both together.
    pub fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// Whether all of these are set.
    pub fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// The names of those set, in Redis' order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.into_iter().enumerate().filter(move |it| self.0 >> it.0 & 1 == 1).map(|it| it.1)
    }
}

/// What stands above a script of EVAL: its flags, if it says any, and the text to compile.
pub fn split_script(text: &[u8]) -> Result<(Option<Flags>, &[u8]), String> {
    if !text.starts_with(b"#!") {
        return Ok((None, text));
    }
    let (line, body) = first_line(text).ok_or("ERR Invalid script shebang")?;
    let shown = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
    let mut words = split_words(line).ok_or("ERR Invalid engine in script shebang")?.into_iter();
    let engine = words.next().unwrap_or_default();
    if engine != b"#!lua" {
        return Err(format!("ERR Unexpected engine in script shebang: {}", shown(&engine)));
    }
    let mut flags = Flags::default();
    for word in words {
        let Some(names) = word.strip_prefix(b"flags=") else {
            return Err(format!("ERR Unknown lua shebang option: {}", shown(&word)));
        };
        for name in names.split(|it| *it == b',').filter(|_| !names.is_empty()) {
            let flag = Flags::named(name);
            let unknown = || format!("ERR Unexpected flag in script shebang: {}", shown(name));
            flags = flags.with(flag.ok_or_else(unknown)?);
        }
    }
    Ok((Some(flags), body))
}

/// What stands above a library: its name, and the text to compile.
pub fn split_library(text: &[u8]) -> Result<(Vec<u8>, &[u8]), String> {
    if !text.starts_with(b"#!") {
        return Err("ERR Missing library metadata".into());
    }
    let (line, body) = first_line(text).ok_or("ERR Invalid library metadata")?;
    let mut words = split_words(line).ok_or("ERR Invalid library metadata")?.into_iter();
    let engine = words.next().unwrap_or_default();
    let engine = String::from_utf8_lossy(&engine[2..]).into_owned();
    let mut name = None;
    for word in words {
        let key = word.get(..5).unwrap_or_default();
        if !key.eq_ignore_ascii_case(b"name=") {
            let word = String::from_utf8_lossy(&word);
            return Err(format!("ERR Invalid metadata value given: {word}"));
        }
        if name.replace(word[5..].to_vec()).is_some() {
            let text = "ERR Invalid metadata value, name argument was given multiple times";
            return Err(text.into());
        }
    }
    let name = name.ok_or("ERR Library name was not given")?;
    if !is_name(&name) {
        return Err(WRONG_NAME.into());
    }
    if !engine.eq_ignore_ascii_case("lua") {
        return Err(format!("ERR Engine '{engine}' not found"));
    }
    Ok((name, body))
}

/// Said of a library's name, and of a function's.
pub const WRONG_NAME: &str = "ERR Library names can only contain letters, numbers, or \
                              underscores(_) and must be at least one character long";

/// Whether a library or a function may be called so.
pub fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|it| it.is_ascii_alphanumeric() || *it == b'_')
}

/// The first line, and what follows with the line's end, so that lines keep their numbers.
fn first_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|it| *it == b'\n')?;
    Some(text.split_at(end))
}

/// Words as Redis reads them from a line: spaces between, quotes around. The house has this in
/// `resp`.
fn split_words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line.iter().copied().peekable();
    loop {
        while rest.next_if(|it| it.is_ascii_whitespace() || *it == 0).is_some() {}
        if rest.peek().is_none() {
            return Some(words);
        }
        let mut word = Vec::new();
        while let Some(byte) = rest.next_if(|it| !it.is_ascii_whitespace() && *it != 0) {
            if byte != b'"' && byte != b'\'' {
                word.push(byte);
                continue;
            }
            loop {
                match rest.next()? {
                    it if it == byte => break,
                    b'\\' => word.push(rest.next()?),
                    it => word.push(it),
                }
            }
            if rest.peek().is_some_and(|it| !it.is_ascii_whitespace()) {
                return None;
            }
        }
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines_are_read_as_redis_reads_them() {
        let error = |text: &str| split_script(text.as_bytes()).unwrap_err();
        let (flags, body) = split_script(b"#!lua flags=no-writes,allow-oom\nreturn 1").unwrap();
        assert_eq!(flags, Some(Flags::NO_WRITES.with(Flags::ALLOW_OOM)));
        assert_eq!(body, b"\nreturn 1");
        assert_eq!(split_script(b"return 1").unwrap().0, None);
        assert_eq!(split_script(b"#!lua flags=\n").unwrap().0, Some(Flags::default()));
        assert_eq!(error("#!lua"), "ERR Invalid script shebang");
        assert_eq!(error("#!js\n"), "ERR Unexpected engine in script shebang: #!js");
        assert_eq!(error("#!lua flags=a,\n"), "ERR Unexpected flag in script shebang: a");
        assert_eq!(error("#!lua flags=no-writes,\n"), "ERR Unexpected flag in script shebang: ");
        assert_eq!(error("#!lua x\n"), "ERR Unknown lua shebang option: x");
        assert_eq!(split_library(b"#!LUA name=\"q\" \nx").unwrap(), (b"q".to_vec(), &b"\nx"[..]));
    }
}
