//! What is indexed: terms and numbers by the name of their field.

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime};
use serde_json::Value as Json;

/// A value of a field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// A text, as it is.
    Text(String),
    /// A number as [`ordered`], or an instant in nanoseconds after 1970.
    Number(i64),
}

impl Value {
    /// The bytes by which fields are sorted: numbers by value and before most texts.
    pub(super) fn sort_bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => {
                let mut end = text.len().min(MAX_SORT_BYTES);
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                text.as_bytes()[..end].to_vec()
            }
            Self::Number(number) => {
                let (term, length) = coded(*number, 0);
                term[..length].to_vec()
            }
        }
    }
}

/// By how much of a text it is sorted; texts that begin alike count as equal beyond it.
const MAX_SORT_BYTES: usize = 256;

/// A number as an integer in the same order.
pub fn ordered(number: f64) -> i64 {
    let bits = number.to_bits() as i64;
    if bits < 0 { bits ^ i64::MAX } else { bits }
}

/// The longest term of a number, in bytes.
const MAX_TERM: usize = 11;

/// The term of a number without its last `shift` bits: ASCII that sorts as the numbers do. And how
/// long it is.
fn coded(number: i64, shift: u32) -> ([u8; MAX_TERM], usize) {
    let mut bits = (number as u64 ^ (1 << 63)) >> shift;
    let length = (((63 - shift) * 37) >> 8) as usize + 2;
    let mut term = [0; MAX_TERM];
    term[0] = 0x20 + shift as u8;
    for byte in term[1..length].iter_mut().rev() {
        *byte = (bits & 0x7f) as u8;
        bits >>= 7;
    }
    (term, length)
}

/// Asks of each term under which the reference indexes a number whether it `fits`, for patterns: of
/// how many it does.
pub(super) fn fitting_number_terms(number: i64, fits: impl Fn(&str) -> bool) -> usize {
    let fits = |shift: &u32| {
        let (term, length) = coded(number, *shift);
        str::from_utf8(&term[..length]).is_ok_and(&fits)
    };
    (0..64).step_by(4).filter(fits).count()
}

/// The fields of a document; a name may stand several times.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(pub(super) Vec<(String, Value)>);

impl Fields {
    /// Adds a text.
    pub fn text(&mut self, name: &str, text: impl Into<String>) {
        self.0.push((name.to_owned(), Value::Text(text.into())));
    }

    /// Adds a text, or the instant that it is: as texts in JSON are taken.
    pub fn text_or_time(&mut self, name: &str, text: &str) {
        match time_of(text) {
            Some(time_ns) => self.time_ns(name, time_ns),
            None => self.text(name, text),
        }
    }

    /// The values under a name.
    pub fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |(of, _)| of == name).map(|(_, value)| value)
    }

    /// Every value with its name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Adds a number.
    pub fn number(&mut self, name: &str, number: f64) {
        self.0.push((name.to_owned(), Value::Number(ordered(number))));
    }

    /// Adds an instant, in nanoseconds after 1970.
    pub fn time_ns(&mut self, name: &str, time_ns: i64) {
        self.0.push((name.to_owned(), Value::Number(time_ns)));
    }

    /// Adds all that stands in `json`, under `path`: fields of objects behind a dot, elements of
    /// arrays under one name. Booleans are the texts `T` and `F`; a text that is a time is one.
    pub fn json(&mut self, path: &str, json: &Json) {
        match json {
            Json::Null => {}
            Json::Bool(yes) => self.text(path, if *yes { "T" } else { "F" }),
            Json::Number(number) => {
                if let Some(number) = number.as_f64() {
                    self.number(path, number);
                }
            }
            Json::String(text) => self.text_or_time(path, text),
            Json::Array(values) => values.iter().for_each(|value| self.json(path, value)),
            Json::Object(entries) => {
                for (name, value) in entries {
                    self.json(&format!("{path}.{name}"), value);
                }
            }
        }
    }
}

/// The instant, in nanoseconds after 1970, that a text is: a date, or a date and time behind `T`
/// or a space, behind `T` also with a zone. Without a zone it is in UTC.
///
/// Source: Nakama, `server/match_common.go`, and Go's `time.Parse`.
fn time_of(text: &str) -> Option<i64> {
    // Most texts are none, which their fifth byte tells.
    if text.len() < 10 || text.as_bytes()[4] != b'-' {
        return None;
    }
    let date = date_of(text.get(..10)?)?;
    match text.get(10..)? {
        "" => Some(nanoseconds(date.and_time(NaiveTime::MIN).and_utc().fixed_offset())),
        rest if rest.starts_with(' ') => {
            let (time, zone) = clock_of(&rest[1..])?;
            zone.is_empty().then(|| nanoseconds(date.and_time(time).and_utc().fixed_offset()))
        }
        rest if rest.starts_with('T') => {
            let (time, zone) = clock_of(&rest[1..])?;
            zoned(date.and_time(time), if zone.is_empty() { "Z" } else { zone })
        }
        _ => None,
    }
}

/// The instant that a text in the form of RFC 3339 is.
pub(super) fn rfc3339(text: &str) -> Option<DateTime<FixedOffset>> {
    let date = date_of(text.get(..10)?)?;
    let (time, zone) = clock_of(text.get(10..)?.strip_prefix('T')?)?;
    at_zone(date.and_time(time), zone)
}

fn date_of(text: &str) -> Option<NaiveDate> {
    let digits = |range: std::ops::Range<usize>| -> Option<u32> {
        let digits = text.get(range)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let bytes = text.as_bytes();
    if bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    NaiveDate::from_ymd_opt(i32::try_from(digits(0..4)?).ok()?, digits(5..7)?, digits(8..10)?)
}

/// The time of day at the beginning of a text, and what stands behind it.
fn clock_of(text: &str) -> Option<(NaiveTime, &str)> {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || bytes[2] != b':' || bytes[5] != b':' {
        return None;
    }
    let two = |at: usize| -> Option<u32> {
        let digits = text.get(at..at + 2)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let mut rest = text.get(8..)?;
    let mut nanos = 0;
    if let Some(fraction) = rest.strip_prefix(['.', ',']) {
        let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if length == 0 {
            return None;
        }
        let digits = &fraction[..length.min(9)];
        nanos = digits.parse::<u32>().ok()? * 10_u32.pow(9 - digits.len() as u32);
        rest = &fraction[length..];
    }
    Some((NaiveTime::from_hms_nano_opt(two(0)?, two(3)?, two(6)?, nanos)?, rest))
}

fn zoned(time: NaiveDateTime, zone: &str) -> Option<i64> {
    at_zone(time, zone).map(nanoseconds)
}

fn at_zone(time: NaiveDateTime, zone: &str) -> Option<DateTime<FixedOffset>> {
    if zone == "Z" {
        return Some(time.and_utc().fixed_offset());
    }
    let bytes = zone.as_bytes();
    if bytes.len() != 6 || bytes[3] != b':' || !zone.is_ascii() {
        return None;
    }
    let two = |at: usize| -> Option<i32> {
        let digits = &zone[at..at + 2];
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let seconds = two(1)? * 3600 + two(4)? * 60;
    let offset = match bytes[0] {
        b'+' => FixedOffset::east_opt(seconds),
        b'-' => FixedOffset::west_opt(seconds),
        _ => None,
    };
    time.and_local_timezone(offset?).single()
}

/// As the reference counts: what is too far from 1970 wraps around.
fn nanoseconds(time: DateTime<FixedOffset>) -> i64 {
    time.timestamp()
        .wrapping_mul(1_000_000_000)
        .wrapping_add(i64::from(time.timestamp_subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_keep_their_order() {
        let numbers = [f64::NEG_INFINITY, -1e300, -1.5, -0.0, 0.0, 1e-300, 2.0, 10.0, 1e300];
        for two in numbers.windows(2) {
            assert!(ordered(two[0]) < ordered(two[1]), "{two:?}");
            assert!(coded(ordered(two[0]), 0) < coded(ordered(two[1]), 0), "{two:?}");
        }
        assert_eq!(coded(0, 0).1, MAX_TERM);
        assert_eq!(fitting_number_terms(5, |_| true), 16);
    }

    #[test]
    fn json_is_indexed_by_path() {
        let mut fields = Fields::default();
        fields.json(
            "value",
            &json!({
                "a": { "b": 1.5 }, "list": ["x", { "y": true }], "none": null, "no": false,
                "at": "2024-01-02T03:04:05.5+01:00",
            }),
        );
        let text = |text: &str| Value::Text(text.to_owned());
        let number = |number| Value::Number(ordered(number));
        let mut wanted = vec![
            ("value.a.b".to_owned(), number(1.5)),
            ("value.list".to_owned(), text("x")),
            ("value.list.y".to_owned(), text("T")),
            ("value.no".to_owned(), text("F")),
            ("value.at".to_owned(), Value::Number(1_704_161_045_500_000_000)),
        ];
        wanted.sort();
        fields.0.sort();
        assert_eq!(fields.0, wanted);
    }

    #[test]
    fn a_time_is_what_the_reference_takes_for_one() {
        let day = 1_704_153_600_000_000_000;
        assert_eq!(time_of("2024-01-02"), Some(day));
        for text in ["2024-01-02T00:00:07", "2024-01-02 00:00:07", "2024-01-02T00:00:07Z"] {
            assert_eq!(time_of(text), Some(day + 7_000_000_000), "{text}");
        }
        assert_eq!(time_of("2024-01-02T00:00:00-01:00"), Some(day + 3_600_000_000_000));
        for text in [
            "",
            "2024",
            "2024-01",
            "2024-02-30",
            "2024-01-02T",
            "2024-01-02 00:00:00Z",
            "2024-01-02T25:00:00",
            "2024-01-02T00:00",
            "20240102T000000",
            "2024-01-02x",
            "2024-01-02T00:00:00+1:00",
            "ab-cd-ef-gh",
            "aaaa-äää",
            "2024-01-02T00:00:00.Z",
        ] {
            assert_eq!(time_of(text), None, "{text}");
        }
    }
}
