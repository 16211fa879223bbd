//! Grammars of commands, and the commands that seeded random numbers make of them.
//!
//! A line is a weight and a shape: upper-case words stand for themselves, lower-case words are
//! kinds of arguments (`vocabulary.rs`), `[a | b]` is one of these or nothing, `(a | b)` one of
//! these, and `...` repeats what is before it. `2?` instead of `2` marks a command that a server
//! may lack.

use super::vocabulary::Vocabulary;
use crate::support::Words;
use entourage::base::random::Random;

/// How often `...` repeats at most.
const REPEATS_MAX: u64 = 4;

/// One command of so many is spoilt, mostly.
pub const SPOILT_ONE_IN: u64 = 16;

/// The commands of a family.
pub struct Grammar {
    /// One command of so many is spoilt.
    spoilt_one_in: u64,
    shapes: Vec<Shape>,
    weight: u64,
}

/// A command.
pub struct Shape {
    weight: u64,
    /// Its name.
    pub name: String,
    /// A server may lack it.
    pub is_optional: bool,
    pieces: Vec<Piece>,
}

enum Piece {
    Token(String),
    Kind(String),
    Maybe(Vec<Vec<Piece>>),
    One(Vec<Vec<Piece>>),
    Many(Box<Piece>),
}

impl Grammar {
    /// Reads the lines of a family.
    pub fn read(text: &str, spoilt_one_in: u64) -> Grammar {
        let lines = text.lines().filter(|it| !it.is_empty() && !it.starts_with('#'));
        let shapes: Vec<Shape> = lines.map(shape).collect();
        let weight = shapes.iter().map(|it| it.weight).sum();
        Grammar { spoilt_one_in, shapes, weight }
    }

    /// Keeps the shapes that pass.
    pub fn retain(&mut self, wanted: impl FnMut(&Shape) -> bool) {
        self.shapes.retain(wanted);
        self.weight = self.shapes.iter().map(|it| it.weight).sum();
    }

    /// The next command.
    pub fn command(&self, random: &mut Random, vocabulary: &Vocabulary) -> Words {
        let mut left = random.below(self.weight);
        let mut shapes = self.shapes.iter();
        let shape = loop {
            let shape = shapes.next().expect("weights add up");
            match left.checked_sub(shape.weight) {
                Some(rest) => left = rest,
                None => break shape,
            }
        };
        let mut words = vec![];
        say_all(&shape.pieces, random, vocabulary, &mut words);
        if random.below(self.spoilt_one_in) == 0 {
            spoil(&mut words, random, vocabulary);
        }
        if words[0].eq_ignore_ascii_case(b"XADD") {
            // Two clocks would make two ids of it.
            words.iter_mut().filter(|it| *it == b"*").for_each(|it| *it = b"+".to_vec());
        }
        if words[0].eq_ignore_ascii_case(b"PFCOUNT") && words.len() == 2 {
            // Redis writes the count of one key alone into its bytes.
            words.push(words[1].clone());
        }
        words
    }
}

fn shape(line: &str) -> Shape {
    let (weight, rest) = line.split_once(' ').expect("a weight and a shape");
    let spaced = ["[", "]", "(", ")", "|", "..."];
    let rest =
        spaced.iter().fold(rest.to_owned(), |it, sign| it.replace(sign, &format!(" {sign} ")));
    let mut tokens = rest.split_whitespace().peekable();
    let name = (*tokens.peek().expect("a name")).to_owned();
    let mut branches = alternatives(&mut tokens, None);
    assert_eq!(branches.len(), 1, "{line}");
    Shape {
        weight: weight.trim_end_matches('?').parse().expect("a weight"),
        name,
        is_optional: weight.ends_with('?'),
        pieces: branches.remove(0),
    }
}

fn alternatives<'a>(
    tokens: &mut impl Iterator<Item = &'a str>,
    close: Option<&str>,
) -> Vec<Vec<Piece>> {
    let mut branches = vec![vec![]];
    while let Some(token) = tokens.next() {
        if Some(token) == close {
            return branches;
        }
        let branch = branches.last_mut().expect("one branch at least");
        match token {
            "|" => branches.push(vec![]),
            "[" => branch.push(Piece::Maybe(alternatives(tokens, Some("]")))),
            "(" => branch.push(Piece::One(alternatives(tokens, Some(")")))),
            "..." => {
                let last = branch.pop().expect("something to repeat");
                branch.push(Piece::Many(Box::new(last)));
            }
            it if it.contains(|it: char| it.is_ascii_lowercase()) => {
                branch.push(Piece::Kind(it.into()));
            }
            it => branch.push(Piece::Token(it.into())),
        }
    }
    assert!(close.is_none(), "unclosed {close:?}");
    branches
}

fn say_all(pieces: &[Piece], random: &mut Random, vocabulary: &Vocabulary, words: &mut Words) {
    for piece in pieces {
        say(piece, random, vocabulary, words);
    }
}

fn say(piece: &Piece, random: &mut Random, vocabulary: &Vocabulary, words: &mut Words) {
    match piece {
        Piece::Token(it) => words.push(it.clone().into_bytes()),
        Piece::Kind(it) => vocabulary.say(it, random, words),
        Piece::Maybe(_) if random.below(2) == 0 => {}
        Piece::Maybe(branches) | Piece::One(branches) => {
            let branch = &branches[random.below(branches.len() as u64) as usize];
            say_all(branch, random, vocabulary, words);
        }
        Piece::Many(it) => {
            let is_optional = matches!(**it, Piece::Maybe(_));
            for _ in u64::from(is_optional)..=random.below(REPEATS_MAX) {
                say(it, random, vocabulary, words);
            }
        }
    }
}

/// Makes a command one that is mostly refused: too long, too short, or with a word out of place.
fn spoil(words: &mut Words, random: &mut Random, vocabulary: &Vocabulary) {
    let at = random.below(words.len() as u64) as usize;
    // A set with one score must stay one, and no other may be asked for a range by text.
    let is_delicate = words.get(1).is_some_and(|it| it.starts_with(b"y"))
        || words.get(2).is_some_and(|it| it.starts_with(b"y"));
    let ways = if is_delicate { 2 } else { 6 };
    match random.below(ways) {
        0 => drop(words.pop().filter(|_| words.len() != 1)),
        1 => words.push(vocabulary.odd(random)),
        2 if at != 0 => words[at] = vocabulary.odd(random),
        3 if at != 0 => words.insert(at, words[at].clone()),
        4 if 1 < words.len() => words[1] = vocabulary.any_key(random),
        _ => words[0].make_ascii_lowercase(),
    }
    if words.is_empty() {
        words.push(b"PING".to_vec());
    }
}
