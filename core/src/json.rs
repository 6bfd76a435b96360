//! JSON text as the reference's encoder writes it.
//!
//! The version of a storage object is the hash of its text, so objects keep their versions over a
//! change of servers only where the text is the same to the byte.

use std::io::{self, Write};

use serde::{Serialize, de::IgnoredAny};
use serde_json::{
    Value,
    ser::{CompactFormatter, Formatter, Serializer},
};

/// `value` without spaces; `<`, `>`, `&` and the line separators U+2028 and U+2029 escaped; whole
/// numbers without a fraction; exponents from 21 digits on and below six zeros. Objects have their
/// keys in order, whatever order the value keeps them in.
///
/// # Errors
/// Never in practice: a value in memory can be written.
///
/// Source: Go's `encoding/json`, as observed.
pub fn to_text(value: &Value) -> serde_json::Result<String> {
    let mut text = Vec::with_capacity(128);
    InOrder(value).serialize(&mut Serializer::with_formatter(&mut text, Reference))?;
    String::from_utf8(text).map_err(serde::ser::Error::custom)
}

/// Whether `text` is an object. What PostgreSQL cannot hold in it is found by PostgreSQL.
pub fn is_object(text: &str) -> bool {
    let begin = text.trim_start_matches([' ', '\t', '\n', '\r']);
    begin.starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// A value whose objects are written in the order of their keys.
struct InOrder<'a>(&'a Value);

impl Serialize for InOrder<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Array(values) => serializer.collect_seq(values.iter().map(InOrder)),
            Value::Object(entries) => {
                let mut entries: Vec<_> = entries.iter().collect();
                entries.sort_unstable_by_key(|(name, _)| *name);
                serializer.collect_map(entries.into_iter().map(|(name, it)| (name, InOrder(it))))
            }
            plain => plain.serialize(serializer),
        }
    }
}

struct Reference;

impl Formatter for Reference {
    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, number: f64) -> io::Result<()> {
        if number != 0.0 && !(1e-6..1e21).contains(&number.abs()) {
            // Rust writes 1e21 and 1e-7, the reference 1e+21 and 1e-7.
            let text = format!("{number:e}");
            return match text.split_once('e') {
                Some((digits, power)) if !power.starts_with('-') => {
                    write!(writer, "{digits}e+{power}")
                }
                _ => writer.write_all(text.as_bytes()),
            };
        }
        write!(writer, "{number}")
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            let (plain, special) = rest.split_at(at);
            CompactFormatter.write_string_fragment(writer, plain)?;
            let mut chars = special.chars();
            if let Some(special) = chars.next() {
                write!(writer, "\\u{:04x}", u32::from(special))?;
            }
            rest = chars.as_str();
        }
        CompactFormatter.write_string_fragment(writer, rest)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(value: Value, text: &str) {
        assert_eq!(to_text(&value).unwrap(), text);
    }

    #[test]
    fn keys_stand_in_order() {
        check(json!({"n": 1, "list": [1, 2], "text": "ü"}), r#"{"list":[1,2],"n":1,"text":"ü"}"#);
        check(json!({"b": {}, "a": [], "": null}), r#"{"":null,"a":[],"b":{}}"#);
    }

    #[test]
    fn what_html_could_misread_is_escaped() {
        check(json!("a<b>&\u{2028}\u{2029}\"\\\n"), r#""a\u003cb\u003e\u0026\u2028\u2029\"\\\n""#);
    }

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        check(
            json!([1.0, 1.5, -0.25, 1e20, 123456789012345680000.0]),
            "[1,1.5,-0.25,100000000000000000000,123456789012345680000]",
        );
        check(
            json!([1e21, 1.5e300, 1e-6, 1e-7, -2.5e-9]),
            "[1e+21,1.5e+300,0.000001,1e-7,-2.5e-9]",
        );
        check(
            json!([0.0, -0.0, i64::MIN, u64::MAX]),
            "[0,-0,-9223372036854775808,18446744073709551615]",
        );
    }

    #[test]
    fn an_object_is_one_value_and_nothing_else() {
        let deep = format!("{}{}", r#"{"a":"#.repeat(1000), "1") + &"}".repeat(1000);
        for good in [
            "{}",
            " \n\t{\"a\": [1, null]}\r\n",
            r#"{"a":1e999,"b":"\ud800"}"#,
            r#"{"a": 1, "a": 2}"#,
            &deep,
        ] {
            assert!(is_object(good), "{good}");
        }
        for bad in [
            "", "   ", "[]", "1", "\"{}\"", "null", "text", "{", "{}{}", "{} {}", "{'a':1}",
            "{a:1}", "\u{a0}{}",
        ] {
            assert!(!is_object(bad), "{bad}");
        }
    }
}
