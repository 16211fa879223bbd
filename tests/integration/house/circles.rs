//! Circles between the files of a room: which file names what of which other.
//!
//! Reads `mod`, `use` and paths as the compiler does, as far as a scan can: re-exports are followed
//! to the file that defines the item, so that a parent which only declares and re-exports is named
//! by nobody. What is compiled for tests only does not count.

use std::collections::{BTreeMap, BTreeSet};

/// Files by place (`engine/rdb.rs`), with their text.
pub type Files = BTreeMap<String, String>;

/// Every circle among these files, as the places on it.
pub fn circles(files: &Files) -> Vec<BTreeSet<String>> {
    let modules: BTreeMap<String, Module> = files
        .iter()
        .map(|(place, text)| (path_of(place), Module::read(place, text)))
        .filter(|(path, _)| !is_of_tests(path))
        .collect();
    let tests: BTreeSet<String> = modules
        .iter()
        .flat_map(|(path, module)| module.tests.iter().map(move |it| join(path, it)))
        .collect();
    let counts = |path: &str| !tests.iter().any(|it| is_within(path, it));
    let house = House { modules: &modules };
    let edges: BTreeMap<&str, BTreeSet<String>> = modules
        .iter()
        .filter(|(path, _)| counts(path))
        .map(|(path, module)| (path.as_str(), house.named_by(path, module)))
        .collect();
    let reach: BTreeMap<&str, BTreeSet<&str>> =
        edges.keys().map(|it| (*it, reachable(it, &edges))).collect();
    let mut found: Vec<BTreeSet<String>> = Vec::new();
    for (path, far) in &reach {
        let back = |it: &&&str| reach.get(**it).is_some_and(|it| it.contains(path));
        let ring: BTreeSet<String> =
            far.iter().filter(back).map(|it| modules[*it].place.clone()).collect();
        if 1 < ring.len() && !found.contains(&ring) {
            found.push(ring);
        }
    }
    found
}

/// What can be come to from `start`, which counts if there is a way back.
fn reachable<'a>(start: &'a str, edges: &'a BTreeMap<&str, BTreeSet<String>>) -> BTreeSet<&'a str> {
    let (mut seen, mut ahead) = (BTreeSet::new(), vec![start]);
    while let Some(at) = ahead.pop() {
        for next in edges.get(at).into_iter().flatten() {
            if seen.insert(next.as_str()) {
                ahead.push(next);
            }
        }
    }
    seen
}

fn path_of(place: &str) -> String {
    let path = place.trim_end_matches(".rs").trim_end_matches("/mod");
    path.replace('/', "::")
}

fn is_of_tests(path: &str) -> bool {
    path.split("::").any(|it| it == "tests")
}

fn join(path: &str, name: &str) -> String {
    format!("{path}::{name}")
}

fn is_within(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|it| it.is_empty() || it.starts_with("::"))
}

/// One file.
struct Module {
    place: String,
    /// `use`s: a path, the name it has here, whether others may use it too.
    uses: Vec<Use>,
    /// Other paths of two words or more, and single words.
    paths: Vec<Vec<String>>,
    /// Children for tests only.
    tests: Vec<String>,
}

struct Use {
    path: Vec<String>,
    name: String,
    is_public: bool,
}

impl Module {
    fn read(place: &str, text: &str) -> Module {
        let mut module = Module { place: place.into(), uses: vec![], paths: vec![], tests: vec![] };
        let tokens = tokens(text);
        let mut at = 0;
        while at < tokens.len() {
            at = module.take(&tokens, at);
        }
        module
    }

    /// Takes what begins at `at`, and returns where the next begins.
    fn take(&mut self, tokens: &[String], at: usize) -> usize {
        let word = |at: usize| tokens.get(at).map_or("", String::as_str);
        match word(at) {
            "#" if ["[", "cfg", "(", "test", ")", "]"]
                == [1, 2, 3, 4, 5, 6].map(|it| word(at + it)) =>
            {
                let end = end_of_item(tokens, at + 7);
                let mut item = tokens[at + 7..end].iter().skip_while(|it| *it != "mod");
                self.tests.extend(item.nth(1).cloned());
                end
            }
            "use" => {
                let is_public = at != 0 && matches!(word(at - 1), "pub" | ")");
                let end = (at..tokens.len()).find(|it| word(*it) == ";").unwrap_or(tokens.len());
                self.take_use(&tokens[at + 1..end], &[], is_public);
                end + 1
            }
            // Whom it is shown to, and that it is declared, names nothing.
            "pub" if word(at + 1) == "(" => {
                (at..tokens.len()).find(|it| word(*it) == ")").unwrap_or(at) + 1
            }
            "mod" => at + 2,
            first if is_name(first) => {
                let mut path = vec![first.to_owned()];
                let mut end = at + 1;
                while word(end) == "::" && is_name(word(end + 1)) {
                    path.push(word(end + 1).to_owned());
                    end += 2;
                }
                self.paths.push(path);
                end
            }
            _ => at + 1,
        }
    }

    /// Takes a tree of imports below `above`.
    fn take_use(&mut self, tree: &[String], above: &[String], is_public: bool) {
        let brace = tree.iter().position(|it| it == "{");
        let names = |it: &[String]| -> Vec<String> {
            it.iter().filter(|it| *it != "::").cloned().collect()
        };
        if let Some(brace) = brace {
            let above = [above, &names(&tree[..brace])].concat();
            let inner = &tree[brace + 1..tree.len() - 1];
            split(inner).into_iter().for_each(|it| self.take_use(it, &above, is_public));
            return;
        }
        let renamed = tree.iter().position(|it| it == "as");
        let mut path = [above, &names(&tree[..renamed.unwrap_or(tree.len())])].concat();
        if path.last().is_some_and(|it| it == "self") && 1 < path.len() {
            path.pop();
        }
        let name = renamed.and_then(|it| tree.get(it + 1)).or(path.last()).cloned();
        if let Some(name) = name {
            self.uses.push(Use { path, name, is_public });
        }
    }
}

/// Pieces of a list between commas that are in no braces.
fn split(tree: &[String]) -> Vec<&[String]> {
    let mut depth = 0;
    let is_between = |it: &String| {
        depth += i32::from(it == "{") - i32::from(it == "}");
        it == "," && depth == 0
    };
    tree.split(is_between).filter(|it| !it.is_empty()).collect()
}

/// Where the item that begins at `at` ends: behind its semicolon or its braces.
fn end_of_item(tokens: &[String], at: usize) -> usize {
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate().skip(at) {
        depth += i32::from(token == "{") - i32::from(token == "}");
        if depth == 0 && (token == ";" || token == "}") {
            return index + 1;
        }
    }
    tokens.len()
}

struct House<'a> {
    modules: &'a BTreeMap<String, Module>,
}

impl House<'_> {
    /// The files of which `module` names something.
    fn named_by(&self, path: &str, module: &Module) -> BTreeSet<String> {
        let words: BTreeSet<&str> = module.paths.iter().map(|it| it[0].as_str()).collect();
        let mut named = BTreeSet::new();
        for it in &module.uses {
            // What is only passed on is named by those who take it from here.
            if !it.is_public || words.contains(it.name.as_str()) {
                named.extend(self.find(path, &it.path));
            }
        }
        for it in module.paths.iter().filter(|it| 1 < it.len()) {
            named.extend(self.find(path, it));
        }
        named.remove(path);
        named.retain(|it| room(it) == room(path));
        named
    }

    /// The file that has what `words` say in the file at `path`, if it is one of ours.
    fn find(&self, path: &str, words: &[String]) -> Option<String> {
        let (first, rest) = words.split_first()?;
        let parent = || path.rsplit_once("::").map(|it| it.0.to_owned());
        match first.as_str() {
            "crate" => {
                let (first, rest) = rest.split_first()?;
                self.modules.contains_key(first).then(|| self.walk(first.clone(), rest))
            }
            "super" => Some(self.walk(parent()?, rest)),
            "self" => Some(self.walk(path.to_owned(), rest)),
            child if self.modules.contains_key(&join(path, child)) => {
                Some(self.walk(join(path, child), rest))
            }
            name => {
                let mut uses = self.modules[path].uses.iter();
                let it = uses.find(|it| it.name == name && it.path != words)?;
                let is_module = self.find(path, &it.path).is_some_and(|it| it.ends_with(name));
                if is_module { self.find(path, &[&it.path[..], rest].concat()) } else { None }
            }
        }
    }

    /// Goes down from the module `at`, and to where the module that is come to has the item from.
    fn walk(&self, at: String, words: &[String]) -> String {
        let Some((first, rest)) = words.split_first() else { return at };
        if first == "super" {
            return self.walk(at.rsplit_once("::").map_or(at.clone(), |it| it.0.into()), rest);
        }
        if self.modules.contains_key(&join(&at, first)) {
            return self.walk(join(&at, first), rest);
        }
        let mut uses = self.modules.get(&at).into_iter().flat_map(|it| &it.uses);
        let origin = uses.find(|it| it.is_public && it.name == *first);
        origin.and_then(|it| self.find(&at, &it.path)).unwrap_or(at)
    }
}

fn room(path: &str) -> &str {
    path.split("::").next().unwrap_or(path)
}

fn is_name(word: &str) -> bool {
    word.starts_with(|it: char| it.is_alphabetic() || it == '_')
}

/// Names, `::` and single marks, without comments and what is in quotes.
fn tokens(text: &str) -> Vec<String> {
    let text = without_quotes(text);
    let mut tokens = Vec::new();
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let len = if first.is_alphanumeric() || first == '_' {
            rest.find(|it: char| !it.is_alphanumeric() && it != '_').unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        if !first.is_whitespace() {
            tokens.push(rest[..len].to_owned());
        }
        rest = &rest[len..];
    }
    tokens
}

fn without_quotes(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(['/', '"', '\'']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let len = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |it| it + 2)
        } else if rest.starts_with('"') {
            let hashes = out.len() - out.trim_end_matches('#').len();
            let is_raw = out.trim_end_matches('#').ends_with(['r']);
            if is_raw { raw_len(rest, hashes) } else { quoted_len(rest, '"') }
        } else if rest.starts_with('\'') {
            char_len(rest)
        } else {
            out.push('/');
            1
        };
        rest = &rest[len..];
    }
    out + rest
}

/// Length of a raw string from its first quote.
fn raw_len(text: &str, hashes: usize) -> usize {
    let end = format!("\"{}", "#".repeat(hashes));
    text[1..].find(&end).map_or(text.len(), |it| 1 + it + end.len())
}

fn quoted_len(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, it) in text.char_indices().skip(1) {
        match it {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            it if it == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Length of a character in quotes, or of the mark of a lifetime.
fn char_len(text: &str) -> usize {
    let mut inner = text.chars().skip(1);
    match (inner.next(), inner.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => quoted_len(text, '\''),
        _ => 1,
    }
}
