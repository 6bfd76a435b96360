//! `nk.json_encode` and `nk.json_decode`: JSON and Lua values, without anything in between.
//!
//! Rules and error texts are the reference's, which are those of Go's `encoding/json`: names in
//! the order of their bytes, `<`, `>`, `&`, U+2028 and U+2029 escaped, what is not UTF-8 replaced
//! by U+FFFD; a table with positive whole keys is an array, any other an object.

use std::io::Write;

use super::{
    number,
    raw::{Kind, Stack},
    take::{array_length, key_text, text},
};

/// How deep values may be nested.
const MAX_DEPTH: usize = 1000;

/// The longest text that is written, in bytes: a sparse array can stand for much.
const MAX_TEXT: usize = 256 << 20;

/// The JSON text of the value at `index`.
///
/// # Errors
/// A value that JSON has no form for, nesting beyond 1000 levels.
pub(super) fn encode(stack: &mut Stack<'_>, index: i32) -> Result<Vec<u8>, String> {
    let mut encoder =
        Encoder { out: Vec::with_capacity(128), names: Vec::new(), entries: Vec::new() };
    let index = stack.at(index);
    encoder.value(stack, index, 0)?;
    Ok(encoder.out)
}

struct Encoder {
    out: Vec<u8>,
    /// The names of all tables that are being written, one after the other.
    names: Vec<u8>,
    entries: Vec<Entry>,
}

/// A name of a table that is being written, and the key it stands for.
#[derive(Clone, Copy)]
struct Entry {
    start: usize,
    end: usize,
    key: Key,
}

#[derive(Clone, Copy)]
enum Key {
    /// The name itself.
    Name,
    Number(f64),
    Boolean(bool),
    /// A key that only its text is known of; its value is not found again.
    Other,
}

impl Encoder {
    fn value(&mut self, stack: &mut Stack<'_>, index: i32, depth: usize) -> Result<(), String> {
        match stack.kind(index) {
            Kind::Nothing | Kind::Nil => self.out.extend_from_slice(b"null"),
            Kind::Boolean => {
                let text: &[u8] = if stack.boolean(index) { b"true" } else { b"false" };
                self.out.extend_from_slice(text);
            }
            Kind::Number => self.number(stack.number(index))?,
            Kind::Text => escape(&mut self.out, stack.bytes(index)),
            Kind::Table => self.table(stack, index, depth)?,
            Kind::Function | Kind::Other => {
                let text = text(stack, index).unwrap_or_default();
                escape(&mut self.out, &text);
            }
        }
        Ok(())
    }

    fn number(&mut self, value: f64) -> Result<(), String> {
        if let Some(whole) = number::whole(value) {
            // Writing to a vector does not fail.
            let _ = write!(self.out, "{whole}");
            return Ok(());
        }
        let text = number::json(value)
            .ok_or_else(|| format!("unsupported value: {}", number::text(value)))?;
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn table(&mut self, stack: &mut Stack<'_>, table: i32, depth: usize) -> Result<(), String> {
        if depth >= MAX_DEPTH || !stack.reserve(4) {
            return Err(format!("tables are nested more than {MAX_DEPTH} deep"));
        }
        match array_length(stack, table) {
            0 => self.object(stack, table, depth),
            length => self.array(stack, table, length, depth),
        }
    }

    fn array(
        &mut self,
        stack: &mut Stack<'_>,
        table: i32,
        length: usize,
        depth: usize,
    ) -> Result<(), String> {
        self.out.push(b'[');
        for index in 1..=length {
            if index > 1 {
                self.out.push(b',');
            }
            if self.out.len() > MAX_TEXT {
                return Err("the text is longer than 256 MiB".to_owned());
            }
            stack.get_index(table, index);
            let element = stack.top();
            self.value(stack, element, depth + 1)?;
            stack.pop(1);
        }
        self.out.push(b']');
        Ok(())
    }

    fn object(&mut self, stack: &mut Stack<'_>, table: i32, depth: usize) -> Result<(), String> {
        let (first_entry, first_name) = (self.entries.len(), self.names.len());
        stack.push_nil();
        while stack.next(table) {
            stack.pop(1);
            let key = match stack.kind(-1) {
                Kind::Text => Key::Name,
                Kind::Number => Key::Number(stack.number(-1)),
                Kind::Boolean => Key::Boolean(stack.boolean(-1)),
                _ => Key::Other,
            };
            let start = self.names.len();
            match key {
                Key::Name => self.names.extend_from_slice(stack.bytes(-1)),
                _ => self.names.extend_from_slice(&key_text(stack, -1)),
            }
            self.entries.push(Entry { start, end: self.names.len(), key });
        }
        let names = &self.names;
        self.entries[first_entry..]
            .sort_unstable_by(|a, b| names[a.start..a.end].cmp(&names[b.start..b.end]));
        self.out.push(b'{');
        for position in first_entry..self.entries.len() {
            let entry = self.entries[position];
            if position > first_entry {
                self.out.push(b',');
            }
            escape(&mut self.out, &self.names[entry.start..entry.end]);
            self.out.push(b':');
            match entry.key {
                Key::Name => stack.get_name(table, &self.names[entry.start..entry.end]),
                Key::Number(key) => {
                    stack.push_number(key);
                    stack.get_key(table);
                }
                Key::Boolean(key) => {
                    stack.push_boolean(key);
                    stack.get_key(table);
                }
                Key::Other => stack.push_nil(),
            }
            let value = stack.top();
            self.value(stack, value, depth + 1)?;
            stack.pop(1);
        }
        self.out.push(b'}');
        self.entries.truncate(first_entry);
        self.names.truncate(first_name);
        Ok(())
    }
}

/// Adds `bytes` as a JSON string.
fn escape(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for chunk in bytes.utf8_chunks() {
        escape_text(out, chunk.valid());
        // A replacement for each byte, as Go reads them.
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
    out.push(b'"');
}

fn escape_text(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut written = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let length = match byte {
            0..=0x1f | b'"' | b'\\' | b'<' | b'>' | b'&' => 1,
            0xe2 if matches!(bytes.get(at + 1..at + 3), Some([0x80, 0xa8 | 0xa9])) => 3,
            _ => continue,
        };
        out.extend_from_slice(&bytes[written..at]);
        written = at + length;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            0xe2 => {
                out.extend_from_slice(if bytes[at + 2] == 0xa8 { b"\\u2028" } else { b"\\u2029" })
            }
            _ => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        }
    }
    out.extend_from_slice(&bytes[written..]);
}

/// Adds the value that the JSON text `input` describes. `enough` says whether there is memory left
/// for one more table.
///
/// # Errors
/// What is wrong with the text, in Go's words.
pub(super) fn decode(
    stack: &mut Stack<'_>,
    input: &[u8],
    enough: &dyn Fn() -> bool,
) -> Result<(), String> {
    let mut decoder = Decoder { input, at: 0, text: Vec::new(), enough };
    decoder.value(stack, 0)?;
    match decoder.peek() {
        None => Ok(()),
        Some(_) => Err(decoder.unexpected("after top-level value")),
    }
}

struct Decoder<'a> {
    input: &'a [u8],
    at: usize,
    /// The string at hand, where it holds escapes.
    text: Vec<u8>,
    enough: &'a dyn Fn() -> bool,
}

impl Decoder<'_> {
    /// The next byte that is not white space, which it stays before.
    fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.input.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// What is wrong with the byte at hand.
    fn unexpected(&self, place: &str) -> String {
        match self.input.get(self.at) {
            None => "unexpected end of JSON input".to_owned(),
            Some(byte) => {
                let shown = match byte {
                    b'\'' => "\\'".to_owned(),
                    b'"' => "\"".to_owned(),
                    other => char::from(*other).escape_default().to_string(),
                };
                format!("invalid character '{shown}' {place}")
            }
        }
    }

    fn value(&mut self, stack: &mut Stack<'_>, depth: usize) -> Result<(), String> {
        match self.peek() {
            Some(b'{') => self.object(stack, depth),
            Some(b'[') => self.array(stack, depth),
            Some(b'"') => self.string(stack),
            Some(b'-' | b'0'..=b'9') => self.number(stack),
            Some(b't') => {
                self.literal("true")?;
                stack.push_boolean(true);
                Ok(())
            }
            Some(b'f') => {
                self.literal("false")?;
                stack.push_boolean(false);
                Ok(())
            }
            Some(b'n') => {
                self.literal("null")?;
                stack.push_nil();
                Ok(())
            }
            _ => Err(self.unexpected("looking for beginning of value")),
        }
    }

    fn literal(&mut self, word: &str) -> Result<(), String> {
        for (index, expected) in word.bytes().enumerate() {
            if self.input.get(self.at) != Some(&expected) {
                let place = format!("in literal {word} (expecting '{}')", char::from(expected));
                return Err(self.unexpected(if index == 0 {
                    "looking for beginning of value"
                } else {
                    &place
                }));
            }
            self.at += 1;
        }
        Ok(())
    }

    fn table(&mut self, stack: &mut Stack<'_>, depth: usize) -> Result<i32, String> {
        if depth >= MAX_DEPTH || !stack.reserve(6) {
            return Err("exceeded max depth".to_owned());
        }
        if !(self.enough)() {
            return Err("not enough memory".to_owned());
        }
        self.at += 1;
        stack.push_table(0, 0);
        Ok(stack.top())
    }

    fn object(&mut self, stack: &mut Stack<'_>, depth: usize) -> Result<(), String> {
        let table = self.table(stack, depth)?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("looking for beginning of object key string"));
            }
            self.string(stack)?;
            if self.peek() != Some(b':') {
                return Err(self.unexpected("after object key"));
            }
            self.at += 1;
            self.value(stack, depth + 1)?;
            stack.set_key(table);
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.unexpected("after object key:value pair")),
            }
        }
    }

    fn array(&mut self, stack: &mut Stack<'_>, depth: usize) -> Result<(), String> {
        let table = self.table(stack, depth)?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        let mut index = 1;
        loop {
            self.value(stack, depth + 1)?;
            stack.set_index(table, index);
            index += 1;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.unexpected("after array element")),
            }
        }
    }

    fn number(&mut self, stack: &mut Stack<'_>) -> Result<(), String> {
        let start = self.at;
        if self.input.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        match self.input.get(self.at) {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.unexpected("in numeric literal")),
        }
        if self.input.get(self.at) == Some(&b'.') {
            self.at += 1;
            if !matches!(self.input.get(self.at), Some(b'0'..=b'9')) {
                return Err(self.unexpected("after decimal point in numeric literal"));
            }
            self.digits();
        }
        if let Some(b'e' | b'E') = self.input.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.input.get(self.at) {
                self.at += 1;
            }
            if !matches!(self.input.get(self.at), Some(b'0'..=b'9')) {
                return Err(self.unexpected("in exponent of numeric literal"));
            }
            self.digits();
        }
        let text = String::from_utf8_lossy(&self.input[start..self.at]);
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => {
                stack.push_number(value);
                Ok(())
            }
            _ => Err(format!("the number {text} is beyond what a number can hold")),
        }
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.input.get(self.at) {
            self.at += 1;
        }
    }

    /// Adds the string that begins here.
    fn string(&mut self, stack: &mut Stack<'_>) -> Result<(), String> {
        self.at += 1;
        let start = self.at;
        loop {
            match self.input.get(self.at) {
                Some(b'"') => {
                    push_text(stack, &self.input[start..self.at]);
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => return self.escaped(stack, start),
                Some(0..=0x1f) | None => return Err(self.unexpected("in string literal")),
                Some(_) => self.at += 1,
            }
        }
    }

    /// The same for one whose first escape is at hand.
    fn escaped(&mut self, stack: &mut Stack<'_>, start: usize) -> Result<(), String> {
        self.text.clear();
        self.text.extend_from_slice(&self.input[start..self.at]);
        loop {
            match self.input.get(self.at) {
                Some(b'"') => {
                    push_text(stack, &self.text);
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape()?;
                }
                Some(0..=0x1f) | None => return Err(self.unexpected("in string literal")),
                Some(&byte) => {
                    self.text.push(byte);
                    self.at += 1;
                }
            }
        }
    }

    fn escape(&mut self) -> Result<(), String> {
        let byte = match self.input.get(self.at) {
            Some(b'u') => {
                self.at += 1;
                let character = self.unicode()?;
                self.text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            Some(&byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            _ => return Err(self.unexpected("in string escape code")),
        };
        self.text.push(byte);
        self.at += 1;
        Ok(())
    }

    /// The character that the four hexadecimal digits here, or a pair of such, stand for.
    fn unicode(&mut self) -> Result<char, String> {
        let first = self.hexadecimal()?;
        if !(0xd800..0xdc00).contains(&first) {
            return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let behind = self.at;
        if self.input.get(self.at..self.at + 2) == Some(b"\\u") {
            self.at += 2;
            let second = self.hexadecimal()?;
            if (0xdc00..0xe000).contains(&second) {
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            // Half a pair: what follows it stands for itself.
            self.at = behind;
        }
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn hexadecimal(&mut self) -> Result<u32, String> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.input.get(self.at).and_then(|byte| char::from(*byte).to_digit(16));
            match digit {
                Some(digit) => code = code * 16 + digit,
                None => return Err(self.unexpected("in \\u hexadecimal character escape")),
            }
            self.at += 1;
        }
        Ok(code)
    }
}

/// Adds `bytes` with what is not UTF-8 replaced, byte for byte.
fn push_text(stack: &mut Stack<'_>, bytes: &[u8]) {
    if std::str::from_utf8(bytes).is_ok() {
        stack.push_bytes(bytes);
        return;
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    stack.push_bytes(text.as_bytes());
}
