//! The text of INFO as it grows.

use std::fmt::Write;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// The text as it grows.
#[derive(Default)]
pub struct Lines(String);

impl Lines {
    /// Begins a section.
    pub fn begin(&mut self, heading: &str) {
        if !self.0.is_empty() {
            self.0.push_str("\r\n");
        }
        self.push(format_args!("# {heading}"));
    }

    /// Lines that are written already.
    pub fn text(&mut self, text: &str) {
        self.0.push_str(text);
    }

    /// All of them.
    pub fn into_text(self) -> String {
        self.0
    }

    /// A field.
    pub fn line(&mut self, name: &str, value: impl std::fmt::Display) {
        self.push(format_args!("{name}:{value}"));
    }

    /// A count of bytes, and the same for humans.
    pub fn bytes(&mut self, name: &str, bytes: u64) {
        self.line(name, bytes);
        self.push(format_args!("{name}_human:{}", human(bytes)));
    }

    /// What nothing here adds to. INFO's readers look for it all the same.
    pub fn zeros(&mut self, names: &[&str]) {
        names.iter().for_each(|it| self.line(it, 0));
    }

    /// A line of any form.
    pub fn push(&mut self, line: std::fmt::Arguments<'_>) {
        write!(self.0, "{line}\r\n").expect("a String takes all that is written");
    }
}

/// `1.50M`.
fn human(bytes: u64) -> String {
    let units = ["K", "M", "G", "T", "P"];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    while 1024.0 <= size && unit + 1 < units.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.2}{}", units[unit])
}

/// A count as it is now.
pub fn read(count: &AtomicU64) -> u64 {
    count.load(Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_for_humans() {
        let facts = [(0, "0B"), (1023, "1023B"), (1024, "1.00K"), (1_572_864, "1.50M")];
        facts.iter().for_each(|(bytes, text)| assert_eq!(human(*bytes), *text));
        assert_eq!(human(25_276_510_208), "23.54G");
    }
}
