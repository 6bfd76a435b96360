//! Google's well-known types that need a form of our own.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use prost::Name;
use serde::{Deserializer, Serializer, de};

use crate::json::{Unknown, Value};

/// An instant, in UTC. `google.protobuf.Timestamp`.
///
/// Its JSON form is RFC 3339 that ends in `Z`, with 0, 3, 6 or 9 digits of a second.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Message)]
pub struct Timestamp {
    /// Whole seconds since 1970-01-01T00:00:00Z.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Nanoseconds after `seconds`, from 0 to 999,999,999.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

/// The message without fields. `google.protobuf.Empty`; `{}` in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct Empty {}

impl Name for Timestamp {
    const NAME: &'static str = "Timestamp";
    const PACKAGE: &'static str = "google.protobuf";
}

impl Name for Empty {
    const NAME: &'static str = "Empty";
    const PACKAGE: &'static str = "google.protobuf";
}

crate::json::message! { Empty, "google.protobuf.Empty", }

impl Timestamp {
    /// The instant `seconds` after 1970-01-01T00:00:00Z.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self { seconds, nanos: 0 }
    }

    /// The same instant as a date and time, or `None` outside chrono's range.
    pub fn to_datetime(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(self.seconds, u32::try_from(self.nanos).ok()?)
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        // A leap second counts 1,000,000,000 nanoseconds and more in chrono, which protobuf forbids.
        Self {
            seconds: time.timestamp(),
            nanos: time.timestamp_subsec_nanos().min(999_999_999) as i32,
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = match self.nanos {
            0 => SecondsFormat::Secs,
            nanos if nanos % 1_000_000 == 0 => SecondsFormat::Millis,
            nanos if nanos % 1_000 == 0 => SecondsFormat::Micros,
            _ => SecondsFormat::Nanos,
        };
        match self.to_datetime() {
            Some(time) => f.write_str(&time.to_rfc3339_opts(digits, true)),
            None => Err(fmt::Error),
        }
    }
}

/// The seconds of 0001-01-01T00:00:00Z and of 9999-12-31T23:59:59Z, the range of the JSON form.
const RANGE_S: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

impl Value for Timestamp {
    fn is_zero(&self) -> bool {
        // A message that is there is written even when it is all zero.
        false
    }

    fn write<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if !RANGE_S.contains(&self.seconds) || !(0..1_000_000_000).contains(&self.nanos) {
            return Err(serde::ser::Error::custom("timestamp out of range"));
        }
        out.collect_str(self)
    }

    fn read<'de, D: Deserializer<'de>>(input: D, _: Unknown) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Timestamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 time such as \"2020-01-02T03:04:05Z\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
                DateTime::parse_from_rfc3339(text)
                    .ok()
                    .map(|time| Timestamp::from(time.to_utc()))
                    .filter(|time| RANGE_S.contains(&time.seconds))
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        input.deserialize_str(Text)
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        self.write(out)
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        Self::read(input, Unknown::Ignored)
    }
}
