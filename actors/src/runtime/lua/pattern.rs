//! Lua patterns, matched by steps that can be stopped.
//!
//! LuaJIT's own matcher is faster, but neither its hook nor anything else ends it: a pattern with
//! several repetitions can go on for years. `prelude.lua` sends here what could take long.

use std::ops::Range;

/// The greatest number of captures of a pattern.
const MAX_CAPTURES: usize = 32;

/// How deep the items of a pattern may be nested in each other.
const MAX_DEPTH: u32 = 200;

/// After how many steps the deadline is asked for again.
const STEPS: u32 = 4096;

/// The sign between the parts of a pattern's escapes.
const ESCAPE: u8 = b'%';

/// What a match captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Capture {
    /// A part of the text.
    Part(Range<usize>),
    /// A position in the text, from 1.
    Position(usize),
}

/// A match: the part of the text, and what was captured in it.
pub(super) type Found = (Range<usize>, Vec<Capture>);

/// The first match of `pattern` in `text` from `start` on.
///
/// With `anchors`, a `^` in front holds the match to `start`. `stopped` is asked now and then
/// whether to give up.
///
/// # Errors
/// A malformed pattern, one that is too complex, or having been stopped.
pub(super) fn search(
    text: &[u8],
    pattern: &[u8],
    start: usize,
    anchors: bool,
    stopped: &dyn Fn() -> bool,
) -> Result<Option<Found>, &'static str> {
    let anchored = anchors && pattern.first() == Some(&b'^');
    let mut matcher = Matcher {
        text,
        pattern,
        captures: [Part { start: 0, length: Length::Open }; MAX_CAPTURES],
        level: 0,
        depth: 0,
        steps: 0,
        stopped,
    };
    for from in start..=text.len() {
        matcher.level = 0;
        if let Some(end) = matcher.run(from, usize::from(anchored))? {
            let captures =
                (0..matcher.level).map(|index| matcher.capture(index)).collect::<Result<_, _>>()?;
            return Ok(Some((from..end, captures)));
        }
        if anchored {
            break;
        }
    }
    Ok(None)
}

#[derive(Clone, Copy)]
struct Part {
    start: usize,
    length: Length,
}

#[derive(Clone, Copy, PartialEq)]
enum Length {
    Open,
    Position,
    Bytes(usize),
}

struct Matcher<'a> {
    text: &'a [u8],
    pattern: &'a [u8],
    captures: [Part; MAX_CAPTURES],
    level: usize,
    depth: u32,
    steps: u32,
    stopped: &'a dyn Fn() -> bool,
}

type Step<T> = Result<T, &'static str>;

impl Matcher<'_> {
    fn tick(&mut self) -> Step<()> {
        self.steps += 1;
        if self.steps >= STEPS {
            self.steps = 0;
            if (self.stopped)() {
                return Err("the function's running time is used up");
            }
        }
        Ok(())
    }

    fn capture(&self, index: usize) -> Step<Capture> {
        let part = self.captures[index];
        match part.length {
            Length::Open => Err("unfinished capture"),
            Length::Position => Ok(Capture::Position(part.start + 1)),
            Length::Bytes(length) => Ok(Capture::Part(part.start..part.start + length)),
        }
    }

    fn at(&self, p: usize) -> Option<u8> {
        self.pattern.get(p).copied()
    }

    /// Matches the pattern from `p` on against the text from `s` on: the end of the match.
    fn run(&mut self, s: usize, p: usize) -> Step<Option<usize>> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("pattern too complex");
        }
        let end = self.items(s, p);
        self.depth -= 1;
        end
    }

    fn items(&mut self, mut s: usize, mut p: usize) -> Step<Option<usize>> {
        loop {
            self.tick()?;
            match (self.at(p), self.at(p + 1)) {
                (None, _) => return Ok(Some(s)),
                (Some(b'('), Some(b')')) => return self.open(s, p + 2, Length::Position),
                (Some(b'('), _) => return self.open(s, p + 1, Length::Open),
                (Some(b')'), _) => return self.close(s, p + 1),
                (Some(b'$'), None) => return Ok((s == self.text.len()).then_some(s)),
                (Some(ESCAPE), Some(b'b')) => match self.balance(s, p + 2)? {
                    Some(end) => (s, p) = (end, p + 4),
                    None => return Ok(None),
                },
                (Some(ESCAPE), Some(b'f')) => {
                    p += 2;
                    if self.at(p) != Some(b'[') {
                        return Err("missing '[' after '%f' in pattern");
                    }
                    let end = self.class_end(p)?;
                    let before = if s == 0 { 0 } else { self.text[s - 1] };
                    let here = self.text.get(s).copied().unwrap_or(0);
                    if self.in_set(before, p, end - 1) || !self.in_set(here, p, end - 1) {
                        return Ok(None);
                    }
                    p = end;
                }
                (Some(ESCAPE), Some(digit @ b'0'..=b'9')) => match self.again(s, digit)? {
                    Some(end) => (s, p) = (end, p + 2),
                    None => return Ok(None),
                },
                _ => {
                    let end = self.class_end(p)?;
                    match self.at(end) {
                        Some(b'?') => {
                            if self.single(s, p, end)
                                && let Some(found) = self.run(s + 1, end + 1)?
                            {
                                return Ok(Some(found));
                            }
                            p = end + 1;
                        }
                        Some(b'*') => return self.most(s, p, end, 0),
                        Some(b'+') => return self.most(s, p, end, 1),
                        Some(b'-') => return self.least(s, p, end),
                        _ if self.single(s, p, end) => (s, p) = (s + 1, end),
                        _ => return Ok(None),
                    }
                }
            }
        }
    }

    fn open(&mut self, s: usize, p: usize, length: Length) -> Step<Option<usize>> {
        if self.level >= MAX_CAPTURES {
            return Err("too many captures");
        }
        self.captures[self.level] = Part { start: s, length };
        self.level += 1;
        let end = self.run(s, p)?;
        if end.is_none() {
            self.level -= 1;
        }
        Ok(end)
    }

    fn close(&mut self, s: usize, p: usize) -> Step<Option<usize>> {
        let open = (0..self.level).rev().find(|index| self.captures[*index].length == Length::Open);
        let index = open.ok_or("invalid pattern capture")?;
        self.captures[index].length = Length::Bytes(s - self.captures[index].start);
        let end = self.run(s, p)?;
        if end.is_none() {
            self.captures[index].length = Length::Open;
        }
        Ok(end)
    }

    fn most(&mut self, s: usize, p: usize, end: usize, least: usize) -> Step<Option<usize>> {
        let mut count = 0;
        while self.single(s + count, p, end) {
            self.tick()?;
            count += 1;
        }
        while count >= least {
            if let Some(found) = self.run(s + count, end + 1)? {
                return Ok(Some(found));
            }
            if count == 0 {
                break;
            }
            count -= 1;
        }
        Ok(None)
    }

    fn least(&mut self, mut s: usize, p: usize, end: usize) -> Step<Option<usize>> {
        loop {
            if let Some(found) = self.run(s, end + 1)? {
                return Ok(Some(found));
            }
            if !self.single(s, p, end) {
                return Ok(None);
            }
            s += 1;
        }
    }

    fn balance(&mut self, s: usize, p: usize) -> Step<Option<usize>> {
        let (Some(open), Some(close)) = (self.at(p), self.at(p + 1)) else {
            return Err("unbalanced pattern");
        };
        if self.text.get(s) != Some(&open) {
            return Ok(None);
        }
        let mut depth = 1;
        for at in s + 1..self.text.len() {
            self.tick()?;
            let byte = self.text[at];
            if byte == close {
                depth -= 1;
                if depth == 0 {
                    return Ok(Some(at + 1));
                }
            } else if byte == open {
                depth += 1;
            }
        }
        Ok(None)
    }

    /// A back reference.
    fn again(&mut self, s: usize, digit: u8) -> Step<Option<usize>> {
        let index = usize::from(digit).wrapping_sub(usize::from(b'1'));
        if index >= self.level || self.captures[index].length == Length::Open {
            return Err("invalid capture index");
        }
        let Part { start, length: Length::Bytes(length) } = self.captures[index] else {
            // A position has no text to come again.
            return Ok(None);
        };
        self.tick()?;
        let same = self.text.get(s..s + length) == Some(&self.text[start..start + length]);
        Ok(same.then_some(s + length))
    }

    /// Behind the single item at `p`.
    fn class_end(&self, p: usize) -> Step<usize> {
        match self.at(p) {
            Some(ESCAPE) => match self.at(p + 1) {
                Some(_) => Ok(p + 2),
                None => Err("malformed pattern (ends with '%')"),
            },
            Some(b'[') => {
                let mut p = p + 1;
                if self.at(p) == Some(b'^') {
                    p += 1;
                }
                // The first sign stands for itself, even if it is "]".
                loop {
                    let sign = self.at(p).ok_or("malformed pattern (missing ']')")?;
                    p += 1;
                    if sign == ESCAPE && self.at(p).is_some() {
                        p += 1;
                    }
                    if self.at(p) == Some(b']') {
                        return Ok(p + 1);
                    }
                }
            }
            _ => Ok(p + 1),
        }
    }

    fn single(&self, s: usize, p: usize, end: usize) -> bool {
        let Some(&byte) = self.text.get(s) else { return false };
        match (self.at(p), self.at(p + 1)) {
            (Some(b'.'), _) => true,
            (Some(ESCAPE), Some(class)) => in_class(byte, class),
            (Some(b'['), _) => self.in_set(byte, p, end - 1),
            (sign, _) => sign == Some(byte),
        }
    }

    /// Whether `byte` is in the set from "[" at `p` to "]" at `end`.
    fn in_set(&self, byte: u8, p: usize, end: usize) -> bool {
        let mut p = p + 1;
        let positive = self.at(p) != Some(b'^');
        if !positive {
            p += 1;
        }
        while p < end {
            let sign = self.pattern[p];
            if sign == ESCAPE && p + 1 < end {
                if in_class(byte, self.pattern[p + 1]) {
                    return positive;
                }
                p += 2;
            } else if self.at(p + 1) == Some(b'-') && p + 2 < end {
                if (sign..=self.pattern[p + 2]).contains(&byte) {
                    return positive;
                }
                p += 3;
            } else {
                if sign == byte {
                    return positive;
                }
                p += 1;
            }
        }
        !positive
    }
}

fn in_class(byte: u8, class: u8) -> bool {
    let belongs = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'g' => byte.is_ascii_graphic(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => byte.is_ascii_whitespace() || byte == 0x0b,
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        b'z' => byte == 0,
        _ => return class == byte,
    };
    belongs != class.is_ascii_uppercase()
}
