//! Makes a failing history short: it is played again, without ever more of its commands.

use super::client::{Client, Mismatch, Servers};
use super::lua;
use crate::support::Words;

/// Histories are played again at most so often.
const REPLAYS_MAX: u32 = 200;
/// How many commands are shown when playing them again shows nothing.
const TAIL: usize = 12;

/// Tries of one failure.
struct Trial<'a> {
    servers: &'a Servers,
    index: usize,
    crowd: u64,
    is_strict: bool,
    last: Words,
    replays_left: u32,
}

/// The shortest history found that ends in the mismatch, as text.
pub fn shrink(servers: &Servers, client: &Client, mismatch: &Mismatch) -> String {
    let (before, last) = client.log[..=mismatch.at].split_at(mismatch.at);
    let last = last[0].clone();
    let related: Vec<Words> = before.iter().filter(|it| is_related(it, &last)).cloned().collect();
    let mut trial = Trial {
        servers,
        index: client.index,
        crowd: client.vocabulary.crowd,
        is_strict: mismatch.is_strict,
        last,
        replays_left: REPLAYS_MAX,
    };
    match trial.shortest_suffix(&related).or_else(|| trial.shortest_suffix(before)) {
        Some(history) => format!("shrunk to:\n{}", show(&trial.thin_out(history), &trial.last)),
        None => {
            let tail = &related[related.len().saturating_sub(TAIL)..];
            format!("not seen again when played again; tail:\n{}", show(tail, &trial.last))
        }
    }
}

impl Trial<'_> {
    fn shortest_suffix(&mut self, history: &[Words]) -> Option<Vec<Words>> {
        let mut len = 1;
        loop {
            let suffix = &history[history.len().saturating_sub(len)..];
            if self.fails(suffix) {
                return Some(suffix.to_vec());
            }
            if history.len() <= len {
                return None;
            }
            len *= 4;
        }
    }

    /// Leaves out halves, quarters, … single commands as long as it still fails.
    fn thin_out(&mut self, history: Vec<Words>) -> Vec<Words> {
        leave_out(history, (), |it| self.fails(it).then_some(())).0
    }

    fn fails(&mut self, history: &[Words]) -> bool {
        if self.replays_left == 0 {
            return false;
        }
        self.replays_left -= 1;
        let mut client = Client::dial(self.servers, self.index, self.crowd);
        for command in lua::emptying() {
            client.ask_both(&command);
        }
        for part in history.chunks(50) {
            if client.play(part).is_err() {
                return false;
            }
        }
        match self.is_strict {
            true => client.play_strictly(&self.last).is_err(),
            false => client.play(std::slice::from_ref(&self.last)).is_err(),
        }
    }
}

/// Leaves out halves, quarters, … single steps as long as something is still found.
pub fn leave_out<S: Clone, F>(
    mut steps: Vec<S>,
    mut found: F,
    mut fails: impl FnMut(&[S]) -> Option<F>,
) -> (Vec<S>, F) {
    let mut width = steps.len().div_ceil(2);
    while 0 < width {
        let mut at = 0;
        while at < steps.len() {
            let end = (at + width).min(steps.len());
            let shorter = [&steps[..at], &steps[end..]].concat();
            match fails(&shorter) {
                Some(what) => (steps, found) = (shorter, what),
                None => at = end,
            }
        }
        width /= 2;
    }
    (steps, found)
}

fn is_related(command: &Words, last: &Words) -> bool {
    let is_wide =
        [&b"FLUSHDB"[..], b"FLUSHALL", b"SWAPDB", b"SELECT", b"CONFIG"].contains(&&command[0][..]);
    let keys = |it: &Words| it.iter().skip(1).filter(|it| is_key(it)).cloned().collect::<Words>();
    let of_last = keys(last);
    is_wide || of_last.is_empty() || keys(command).iter().any(|it| of_last.contains(it))
}

fn is_key(word: &[u8]) -> bool {
    match word {
        [letter, rest @ ..] if b"shltzy".contains(letter) => {
            matches!(rest, [b'0'..=b'9'] | [b'\r', ..])
        }
        word => word.starts_with(b"w_"),
    }
}

fn show(history: &[Words], last: &Words) -> String {
    let mut text = String::new();
    for command in history.iter().chain([last]) {
        text += &format!("  > {}\n", line(command));
    }
    text
}

/// A command as scripts write it, cut where it gets long.
pub fn line(command: &Words) -> String {
    let mut text = String::new();
    for word in command.iter() {
        let is_plain = !word.is_empty() && word.iter().all(u8::is_ascii_graphic);
        let word = word.escape_ascii().to_string();
        text += &if is_plain { format!("{word} ") } else { format!("\"{word}\" ") };
    }
    match text.char_indices().nth(2000) {
        Some((at, _)) => format!("{}… ({} words)", &text[..at], command.len()),
        None => text.trim_end().to_owned(),
    }
}
