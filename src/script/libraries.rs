//! The libraries of functions that a set has: data, which any interpreter can run.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::flags::{Flags, split_library};
use super::registered::Registered;
use super::sha1::{Sha, sha1hex};

/// One library.
#[derive(Clone, Debug)]
pub struct Library {
    /// Its name.
    pub name: Vec<u8>,
    /// Its whole text, first line included.
    pub text: Arc<[u8]>,
    /// Of the text.
    pub sha: Sha,
    /// Which load of its set it came by, counted from 1: a text that is loaded again begins with
    /// new variables. 0 of one that no set has.
    pub load: u64,
    /// Its functions by name.
    pub functions: BTreeMap<Vec<u8>, Function>,
}

/// What is known of one function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Function {
    /// For FUNCTION LIST.
    pub description: Option<Vec<u8>>,
    /// What it says of itself.
    pub flags: Flags,
}

impl Library {
    /// Of this text, which has registered these functions when it was loaded.
    pub fn new(text: &[u8], registered: Vec<Registered>) -> Result<Library, String> {
        let (name, _) = split_library(text)?;
        let functions = registered
            .into_iter()
            .map(|it| (it.name, Function { description: it.description, flags: it.flags }));
        let functions = functions.collect();
        Ok(Library { name, text: text.into(), sha: sha1hex(text), load: 0, functions })
    }
}

/// What becomes of a library when one of its name is there already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    /// It is an error.
    Append,
    /// The old one goes.
    Replace,
    /// All old ones go.
    Flush,
}

impl Policy {
    /// The policy of FUNCTION RESTORE of this name.
    pub fn named(word: &[u8]) -> Result<Policy, String> {
        match word.to_ascii_lowercase().as_slice() {
            b"append" => Ok(Policy::Append),
            b"replace" => Ok(Policy::Replace),
            b"flush" => Ok(Policy::Flush),
            _ => Err("ERR Wrong restore policy given, value should be either FLUSH, APPEND or \
                      REPLACE."
                .into()),
        }
    }
}

/// All libraries of a set.
#[derive(Clone, Debug, Default)]
pub struct Libraries {
    by_name: BTreeMap<Vec<u8>, Arc<Library>>,
    /// A function's name in lower case → as it was registered, and its library.
    functions: BTreeMap<Vec<u8>, (Vec<u8>, Arc<Library>)>,
    loads: u64,
}

impl Libraries {
    /// Whether a text may be loaded, before it is: its first line is right, and its name free.
    pub fn admits(&self, text: &[u8], policy: Policy) -> Result<(), String> {
        let (name, _) = split_library(text)?;
        if policy == Policy::Append && self.by_name.contains_key(&name) {
            let name = String::from_utf8_lossy(&name);
            return Err(format!("ERR Library '{name}' already exists"));
        }
        Ok(())
    }

    /// Adds libraries, all of them or none.
    pub fn add(&mut self, libraries: Vec<Library>, policy: Policy) -> Result<(), String> {
        if let Some(name) = twice(&libraries) {
            return Err(format!("ERR Library '{}' already exists", String::from_utf8_lossy(name)));
        }
        let mut next = self.clone();
        if policy == Policy::Flush {
            next.flush();
        }
        // What is replaced goes first: its functions are in nobody's way.
        for library in &libraries {
            if next.delete(&library.name) && policy != Policy::Replace {
                let name = String::from_utf8_lossy(&library.name);
                return Err(format!("ERR Library {name} already exists"));
            }
        }
        for library in libraries {
            next.add_one(library)?;
        }
        *self = next;
        Ok(())
    }

    fn add_one(&mut self, mut library: Library) -> Result<(), String> {
        let shown = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        if let Some(name) = library.functions.keys().find(|it| self.function(it).is_some()) {
            return Err(format!("ERR Function {} already exists", shown(name)));
        }
        self.loads += 1;
        library.load = self.loads;
        let library = Arc::new(library);
        self.insert(library);
        Ok(())
    }

    /// Takes a library away; whether there was one.
    pub fn delete(&mut self, name: &[u8]) -> bool {
        let Some(library) = self.by_name.remove(name) else { return false };
        for name in library.functions.keys() {
            self.functions.remove(&name.to_ascii_lowercase());
        }
        true
    }

    fn insert(&mut self, library: Arc<Library>) {
        for name in library.functions.keys() {
            self.functions.insert(name.to_ascii_lowercase(), (name.clone(), library.clone()));
        }
        self.by_name.insert(library.name.clone(), library);
    }

    /// They take the place of others: each is loaded after those.
    pub fn come_after(&mut self, others: &Libraries) {
        let all = std::mem::take(&mut self.by_name);
        (self.functions, self.loads) = (BTreeMap::new(), self.loads + others.loads);
        for library in all.into_values() {
            let load = library.load + others.loads;
            self.insert(Arc::new(Library { load, ..Library::clone(&library) }));
        }
    }

    /// Takes all away.
    pub fn flush(&mut self) {
        *self = Libraries { loads: self.loads, ..Libraries::default() };
    }

    /// The library and the function of this name, and the name as it was registered: letters are
    /// the same in either case.
    pub fn function(&self, name: &[u8]) -> Option<(&Arc<Library>, &[u8], &Function)> {
        let lower = match name.iter().any(u8::is_ascii_uppercase) {
            true => Cow::Owned(name.to_ascii_lowercase()),
            false => Cow::Borrowed(name),
        };
        let (name, library) = self.functions.get(&*lower)?;
        Some((library, name, library.functions.get(name)?))
    }

    /// Whether it is one of these.
    pub fn has(&self, name: &[u8], load: u64) -> bool {
        self.by_name.get(name).is_some_and(|it| it.load == load)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Library>> {
        self.by_name.values()
    }

    /// How many functions there are.
    pub fn functions_count(&self) -> usize {
        self.functions.len()
    }
}

/// The first name that two libraries have.
fn twice(libraries: &[Library]) -> Option<&[u8]> {
    let mut names: Vec<&[u8]> = libraries.iter().map(|it| it.name.as_slice()).collect();
    names.sort_unstable();
    names.windows(2).find(|it| it[0] == it[1]).map(|it| it[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(name: &str, functions: &[&str]) -> Library {
        let none = Function { description: None, flags: Flags::default() };
        let functions = functions.iter().map(|it| (it.as_bytes().to_vec(), none.clone())).collect();
        Library { name: name.into(), text: [].into(), sha: sha1hex(b""), load: 0, functions }
    }

    #[test]
    fn libraries_are_added_all_or_none() {
        let mut all = Libraries::default();
        all.add(vec![library("a", &["f"])], Policy::Append).unwrap();
        let two = vec![library("b", &["g"]), library("c", &["f"])];
        let error = all.add(two, Policy::Append).unwrap_err();
        assert_eq!(error, "ERR Function f already exists");
        assert!(all.function(b"g").is_none());
        let exchanged = vec![library("0", &["f"]), library("a", &["h"])];
        all.add(exchanged, Policy::Replace).unwrap();
        assert!(all.delete(b"0"));
        assert_eq!(all.function(b"H").unwrap().1, b"h");
        let error = all.add(vec![library("b", &["H"])], Policy::Append).unwrap_err();
        assert_eq!(error, "ERR Function H already exists");
        assert!(all.function(b"f").is_none() && all.function(b"h").is_some());
        all.add(vec![library("z", &["h"])], Policy::Flush).unwrap();
        assert_eq!((all.iter().len(), all.functions_count()), (1, 1));
        assert!(all.has(b"z", 4) && !all.has(b"a", 3), "each load has a number of its own");
        all.flush();
        all.add(vec![library("z", &["h"])], Policy::Append).unwrap();
        assert!(all.has(b"z", 5));
        let mut next = Libraries::default();
        next.add(vec![library("z", &["h"])], Policy::Append).unwrap();
        next.come_after(&all);
        assert!(next.has(b"z", 6) && next.function(b"h").unwrap().0.load == 6);
    }
}
