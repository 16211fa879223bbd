//! Lua's patterns, matched in bounded depth and under the host's eye.
//!
//! Lua's own matcher is C, which no hook interrupts: a pattern of many `.-` never ends, one of many
//! `a?` overruns the stack. This one counts its steps and its depth.

use super::limits::{CAPTURES_MAX, MATCH_DEPTH_MAX};
use super::stack::Stack;
use super::thrown::Thrown;

/// How far a capture has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Open,
    Position,
    Bytes(usize),
}

/// One match under way, or done.
pub struct Matcher<'a> {
    text: &'a [u8],
    pattern: &'a [u8],
    captures: [(usize, Extent); CAPTURES_MAX],
    level: usize,
    depth: u32,
}

type Found = Result<Option<usize>, Thrown>;

impl<'a> Matcher<'a> {
    /// Of this pattern in this text. A zero byte ends a pattern, as it does in Lua 5.1.
    pub fn new(text: &'a [u8], pattern: &'a [u8]) -> Matcher<'a> {
        let pattern = pattern.split(|it| *it == 0).next().unwrap_or_default();
        let captures = [(0, Extent::Open); CAPTURES_MAX];
        Matcher { text, pattern, captures, level: 0, depth: 0 }
    }

    /// Where the match ends that begins here, with the pattern from `from` on.
    pub fn match_at(&mut self, stack: &mut Stack, at: usize, from: usize) -> Found {
        self.level = 0;
        self.depth = 0;
        self.rest(stack, at, from)
    }

    fn nested(&mut self, stack: &mut Stack, s: usize, p: usize) -> Found {
        if MATCH_DEPTH_MAX <= self.depth {
            return Err(Thrown::error("pattern too complex"));
        }
        self.depth += 1;
        let found = self.rest(stack, s, p);
        self.depth -= 1;
        found
    }

    fn rest(&mut self, stack: &mut Stack, mut s: usize, mut p: usize) -> Found {
        loop {
            stack.step(1)?;
            let after = self.pattern.get(p + 1).copied();
            match self.pattern.get(p) {
                None => return Ok(Some(s)),
                Some(b'(') if after == Some(b')') => {
                    return self.open(stack, s, p + 2, Extent::Position);
                }
                Some(b'(') => return self.open(stack, s, p + 1, Extent::Open),
                Some(b')') => return self.close(stack, s, p + 1),
                Some(b'$') if after.is_none() => return Ok((s == self.text.len()).then_some(s)),
                Some(b'%') if after == Some(b'b') => match self.balanced(stack, s, p + 2)? {
                    None => return Ok(None),
                    Some(end) => (s, p) = (end, p + 4),
                },
                Some(b'%') if after == Some(b'f') => match self.frontier(s, p + 2)? {
                    None => return Ok(None),
                    Some(end) => p = end,
                },
                Some(b'%') if after.is_some_and(|it| it.is_ascii_digit()) => {
                    match self.repeated(stack, s, after.unwrap_or_default())? {
                        None => return Ok(None),
                        Some(end) => (s, p) = (end, p + 2),
                    }
                }
                Some(_) => {
                    let end = self.class_end(p)?;
                    let is_match = self.is_single(s, p, end);
                    match self.pattern.get(end) {
                        Some(b'*') => return self.most(stack, s, p, end),
                        Some(b'+') if is_match => return self.most(stack, s + 1, p, end),
                        Some(b'+') => return Ok(None),
                        Some(b'-') => return self.least(stack, s, p, end),
                        Some(b'?') => {
                            if is_match {
                                let found = self.nested(stack, s + 1, end + 1)?;
                                if found.is_some() {
                                    return Ok(found);
                                }
                            }
                            p = end + 1;
                        }
                        _ if is_match => (s, p) = (s + 1, end),
                        _ => return Ok(None),
                    }
                }
            }
        }
    }

    fn open(&mut self, stack: &mut Stack, s: usize, p: usize, extent: Extent) -> Found {
        if self.level == CAPTURES_MAX {
            return Err(Thrown::error("too many captures"));
        }
        self.captures[self.level] = (s, extent);
        self.level += 1;
        let found = self.nested(stack, s, p)?;
        if found.is_none() {
            self.level -= 1;
        }
        Ok(found)
    }

    fn close(&mut self, stack: &mut Stack, s: usize, p: usize) -> Found {
        let open = self.captures[..self.level].iter().rposition(|it| it.1 == Extent::Open);
        let open = open.ok_or_else(|| Thrown::error("invalid pattern capture"))?;
        self.captures[open].1 = Extent::Bytes(s - self.captures[open].0);
        let found = self.nested(stack, s, p)?;
        if found.is_none() {
            self.captures[open].1 = Extent::Open;
        }
        Ok(found)
    }

    fn most(&mut self, stack: &mut Stack, s: usize, p: usize, end: usize) -> Found {
        let mut count = 0;
        while self.is_single(s + count, p, end) {
            stack.step(1)?;
            count += 1;
        }
        loop {
            let found = self.nested(stack, s + count, end + 1)?;
            if found.is_some() || count == 0 {
                return Ok(found);
            }
            count -= 1;
        }
    }

    fn least(&mut self, stack: &mut Stack, mut s: usize, p: usize, end: usize) -> Found {
        loop {
            let found = self.nested(stack, s, end + 1)?;
            if found.is_some() {
                return Ok(found);
            }
            if !self.is_single(s, p, end) {
                return Ok(None);
            }
            s += 1;
        }
    }

    fn balanced(&mut self, stack: &mut Stack, s: usize, p: usize) -> Found {
        let &[open, close] = self.pattern.get(p..p + 2).unwrap_or_default() else {
            return Err(Thrown::error("unbalanced pattern"));
        };
        if self.text.get(s) != Some(&open) {
            return Ok(None);
        }
        let mut depth = 1;
        for (at, byte) in self.text.iter().enumerate().skip(s + 1) {
            stack.step(1)?;
            if *byte == close {
                depth -= 1;
                if depth == 0 {
                    return Ok(Some(at + 1));
                }
            } else if *byte == open {
                depth += 1;
            }
        }
        Ok(None)
    }

    /// Where the pattern goes on behind a frontier that is here.
    fn frontier(&self, s: usize, p: usize) -> Found {
        if self.pattern.get(p) != Some(&b'[') {
            return Err(Thrown::error("missing '[' after '%f' in pattern"));
        }
        let end = self.class_end(p)?;
        let before = s.checked_sub(1).and_then(|it| self.text.get(it)).copied().unwrap_or(0);
        let here = self.text.get(s).copied().unwrap_or(0);
        let is_here = !self.is_in_set(before, p, end - 1) && self.is_in_set(here, p, end - 1);
        Ok(is_here.then_some(end))
    }

    fn repeated(&mut self, stack: &mut Stack, s: usize, digit: u8) -> Found {
        let index = usize::from(digit).wrapping_sub(usize::from(b'1'));
        let capture = self.captures[..self.level].get(index);
        let Some(&(start, Extent::Bytes(len))) = capture else {
            return match capture {
                // A place has no length; Lua takes it for one that nothing is as long as.
                Some((_, Extent::Position)) => Ok(None),
                _ => Err(Thrown::error("invalid capture index")),
            };
        };
        stack.step(len as u32)?;
        let is_same = self.text[s..].starts_with(&self.text[start..start + len]);
        Ok(is_same.then_some(s + len))
    }

    fn class_end(&self, mut p: usize) -> Result<usize, Thrown> {
        let first = self.pattern[p];
        p += 1;
        if first == b'%' {
            if p == self.pattern.len() {
                return Err(Thrown::error("malformed pattern (ends with '%')"));
            }
            return Ok(p + 1);
        }
        if first != b'[' {
            return Ok(p);
        }
        if self.pattern.get(p) == Some(&b'^') {
            p += 1;
        }
        loop {
            let Some(byte) = self.pattern.get(p) else {
                return Err(Thrown::error("malformed pattern (missing ']')"));
            };
            p += 1;
            if *byte == b'%' && p < self.pattern.len() {
                p += 1;
            }
            if self.pattern.get(p) == Some(&b']') {
                return Ok(p + 1);
            }
        }
    }

    #[inline]
    fn is_single(&self, s: usize, p: usize, end: usize) -> bool {
        let Some(&byte) = self.text.get(s) else { return false };
        match self.pattern[p] {
            b'.' => true,
            b'%' => is_in_class(byte, self.pattern[p + 1]),
            b'[' => self.is_in_set(byte, p, end - 1),
            other => other == byte,
        }
    }

    /// The set begins at `p` with its bracket, and its other bracket is at `end`.
    fn is_in_set(&self, byte: u8, mut p: usize, end: usize) -> bool {
        let mut truth = true;
        if self.pattern.get(p + 1) == Some(&b'^') {
            truth = false;
            p += 1;
        }
        p += 1;
        while p < end {
            if self.pattern[p] == b'%' {
                p += 1;
                if is_in_class(byte, self.pattern[p]) {
                    return truth;
                }
            } else if self.pattern[p + 1] == b'-' && p + 2 < end {
                if (self.pattern[p]..=self.pattern[p + 2]).contains(&byte) {
                    return truth;
                }
                p += 2;
            } else if self.pattern[p] == byte {
                return truth;
            }
            p += 1;
        }
        !truth
    }

    /// Pushes one capture, or the whole match where there is none.
    pub fn push_capture(
        &self,
        stack: &mut Stack,
        index: usize,
        whole: (usize, usize),
    ) -> Result<(), Thrown> {
        match self.captures[..self.level].get(index) {
            None if index == 0 => stack.push_bytes(&self.text[whole.0..whole.1]),
            None => return Err(Thrown::error("invalid capture index")),
            Some((_, Extent::Open)) => return Err(Thrown::error("unfinished capture")),
            Some((start, Extent::Position)) => stack.push_number((start + 1) as f64),
            Some((start, Extent::Bytes(len))) => stack.push_bytes(&self.text[*start..start + len]),
        }
        Ok(())
    }

    /// Appends what was matched.
    pub fn push_whole(&self, out: &mut Vec<u8>, whole: (usize, usize)) {
        out.extend_from_slice(&self.text[whole.0..whole.1]);
    }

    /// Pushes all captures; the whole match if there is none and `whole` is given.
    pub fn push_captures(
        &self,
        stack: &mut Stack,
        whole: Option<(usize, usize)>,
    ) -> Result<i32, Thrown> {
        let count = if self.level == 0 && whole.is_some() { 1 } else { self.level };
        stack.need_room(count as i32 + 4, "too many captures")?;
        for index in 0..count {
            self.push_capture(stack, index, whole.unwrap_or_default())?;
        }
        Ok(count as i32)
    }
}

fn is_in_class(byte: u8, class: u8) -> bool {
    let is_in = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => matches!(byte, b' ' | 9..=13),
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        b'z' => byte == 0,
        _ => return class == byte,
    };
    is_in != class.is_ascii_uppercase()
}
