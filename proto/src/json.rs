//! The JSON form of messages, by the rules of protobuf as the reference applies them.
//!
//! Out: proto names, enums as numbers, 64-bit integers as text, defaults left out. In: both
//! spellings of a name, `null` as not given, numbers as numbers or as text, enums by name or number,
//! base64 in either alphabet; a field or a map key given twice is an error, as are two members of a
//! oneof. Unknown fields are ignored by REST, as `serde`'s own trait does, and refused by sockets,
//! as [`Strict`] does.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine as _, alphabet};
use bytes::Bytes;
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::ser::{SerializeMap, SerializeSeq, SerializeStruct};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What becomes of a field that the message does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// It is skipped, as REST bodies have it.
    Ignored,
    /// It is an error, as sockets have it.
    Refused,
}

/// A message read with unknown fields refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Strict<M>(pub M);

impl<'de, M: Value> Deserialize<'de> for Strict<M> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        M::read(input, Unknown::Refused).map(Self)
    }
}

/// The type of a field: how it is written and read.
pub trait Value: Sized {
    /// Whether this is the default, which is left out.
    fn is_zero(&self) -> bool;
    /// Writes the value.
    fn write<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error>;
    /// Reads a value; `null` never gets here.
    fn read<'de, D: Deserializer<'de>>(input: D, unknown: Unknown) -> Result<Self, D::Error>;
}

/// The fields of a message, as [`message!`] tells them.
#[doc(hidden)]
pub trait Fields: Default {
    const NAME: &'static str;
    /// Each field's proto and JSON name; the index is the field's in `take`.
    const NAMES: &'static [(&'static str, &'static str)];
    fn put<S: SerializeStruct>(&self, out: &mut S) -> Result<(), S::Error>;
    fn take<'de, A: MapAccess<'de>>(
        &mut self,
        index: usize,
        map: &mut A,
        unknown: Unknown,
    ) -> Result<(), A::Error>;
}

/// Gives a message its JSON form from its fields: `index rust_name "proto_name" "jsonName"`, with the
/// enum's type at the end for a field that is one, and for a member of a oneof its variant after the
/// oneof's name.
macro_rules! message {
    ($type:ty, $name:literal, $($index:literal $field:ident $(($variant:path))? $proto:literal $json:literal $($enum:path)?;)*) => {
        impl $crate::json::Fields for $type {
            const NAME: &'static str = $name;
            const NAMES: &'static [(&'static str, &'static str)] = &[$(($proto, $json)),*];

            #[allow(unused_variables)]
            fn put<S: serde::ser::SerializeStruct>(
                &self,
                out: &mut S,
            ) -> Result<(), S::Error> {
                $($crate::json::message!(@put self.$field, out, $proto $(, $variant)?);)*
                Ok(())
            }

            #[allow(unused_variables)]
            fn take<'de, A: serde::de::MapAccess<'de>>(
                &mut self,
                index: usize,
                map: &mut A,
                unknown: $crate::json::Unknown,
            ) -> Result<(), A::Error> {
                match index {
                    $($index => $crate::json::message!(@take self.$field, map, unknown $(, oneof $variant)? $(, $enum)?),)*
                    _ => Ok(()),
                }
            }
        }

        impl $crate::json::Value for $type {
            fn is_zero(&self) -> bool {
                // A message that is there is written even when all its fields are unset.
                false
            }

            fn write<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                $crate::json::write_message(self, out)
            }

            fn read<'de, D: serde::Deserializer<'de>>(
                input: D,
                unknown: $crate::json::Unknown,
            ) -> Result<Self, D::Error> {
                $crate::json::read_message(input, unknown)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                $crate::json::write_message(self, out)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
                $crate::json::read_message(input, $crate::json::Unknown::Ignored)
            }
        }
    };
    (@put $place:expr, $out:ident, $proto:literal) => {
        $crate::json::put($out, $proto, &$place)?
    };
    (@put $place:expr, $out:ident, $proto:literal, $variant:path) => {
        if let Some($variant(value)) = &$place {
            $crate::json::put_member($out, $proto, value)?;
        }
    };
    (@take $place:expr, $map:ident, $unknown:ident, oneof $variant:path) => {
        $crate::json::take_member(&mut $place, $map, $unknown, $variant)
    };
    (@take $place:expr, $map:ident, $unknown:ident) => {
        $crate::json::take(&mut $place, $map, $unknown)
    };
    (@take $place:expr, $map:ident, $unknown:ident, $enum:path) => {{
        use $enum as Enum;
        $crate::json::take_enum(&mut $place, $map, $unknown, |name| Enum::from_str_name(name).map(i32::from))
    }};
}
pub(crate) use message;

/// Writes one field, unless it has its default.
pub(crate) fn put<S: SerializeStruct, T: Value>(
    out: &mut S,
    name: &'static str,
    value: &T,
) -> Result<(), S::Error> {
    if value.is_zero() { Ok(()) } else { out.serialize_field(name, &Written(value)) }
}

/// Writes the member that a oneof has, which is there also when it is zero.
pub(crate) fn put_member<S: SerializeStruct, T: Value>(
    out: &mut S,
    name: &'static str,
    value: &T,
) -> Result<(), S::Error> {
    out.serialize_field(name, &Written(value))
}

pub(crate) fn write_message<M: Fields, S: Serializer>(
    message: &M,
    out: S,
) -> Result<S::Ok, S::Error> {
    let mut fields = out.serialize_struct(M::NAME, M::NAMES.len())?;
    message.put(&mut fields)?;
    fields.end()
}

/// A value in protobuf's JSON form, where `serde`'s own form of its type differs.
struct Written<'a, T>(&'a T);

impl<T: Value> Serialize for Written<'_, T> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        self.0.write(out)
    }
}

/// Reads one field's value; `null` leaves the default.
pub(crate) fn take<'de, A: MapAccess<'de>, T: Value>(
    place: &mut T,
    map: &mut A,
    unknown: Unknown,
) -> Result<(), A::Error> {
    if let Some(value) = map.next_value_seed(Nullable(unknown, PhantomData))? {
        *place = value;
    }
    Ok(())
}

/// Reads a member of a oneof. One that is `null` is not there; a second one is an error.
pub(crate) fn take_member<'de, A: MapAccess<'de>, T: Value, O>(
    place: &mut Option<O>,
    map: &mut A,
    unknown: Unknown,
    variant: fn(T) -> O,
) -> Result<(), A::Error> {
    if let Some(value) = map.next_value_seed(Nullable(unknown, PhantomData))? {
        if place.is_some() {
            return Err(de::Error::custom("another member of its oneof is set already"));
        }
        *place = Some(variant(value));
    }
    Ok(())
}

/// Reads an enum field, by name or by number; an unknown name is skipped where unknown fields are.
pub(crate) fn take_enum<'de, A: MapAccess<'de>>(
    place: &mut i32,
    map: &mut A,
    unknown: Unknown,
    number: fn(&str) -> Option<i32>,
) -> Result<(), A::Error> {
    match map.next_value::<Option<NameOrNumber<'_>>>()? {
        None => {}
        Some(NameOrNumber::Number(value)) => *place = value,
        Some(NameOrNumber::Name(name)) => match number(&name) {
            Some(value) => *place = value,
            None if unknown == Unknown::Ignored => {}
            None => {
                return Err(de::Error::invalid_value(
                    Unexpected::Str(&name),
                    &"a name of the enum",
                ));
            }
        },
    }
    Ok(())
}

enum NameOrNumber<'a> {
    Name(Cow<'a, str>),
    Number(i32),
}

impl<'de> Deserialize<'de> for NameOrNumber<'de> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct EnumVisitor;
        impl<'de> Visitor<'de> for EnumVisitor {
            type Value = NameOrNumber<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name or the number of an enum value")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
                Ok(NameOrNumber::Name(Cow::Owned(name.to_owned())))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
                i32::whole(number).map(NameOrNumber::Number)
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
                i32::whole(number).map(NameOrNumber::Number)
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
                i32::of_float(number).map(NameOrNumber::Number)
            }
        }
        input.deserialize_any(EnumVisitor)
    }
}

pub(crate) fn read_message<'de, M: Fields, D: Deserializer<'de>>(
    input: D,
    unknown: Unknown,
) -> Result<M, D::Error> {
    input.deserialize_map(MessageVisitor(unknown, PhantomData))
}

struct MessageVisitor<M>(Unknown, PhantomData<M>);

impl<'de, M: Fields> Visitor<'de> for MessageVisitor<M> {
    type Value = M;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with the fields of {}", M::NAME)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<M, A::Error> {
        let mut message = M::default();
        const { assert!(M::NAMES.len() <= 64, "one bit for each field") };
        let mut seen = 0u64;
        while let Some(found) = map.next_key_seed(FieldName(M::NAMES))? {
            match found {
                Ok(index) if seen & (1 << index) != 0 => {
                    return Err(de::Error::duplicate_field(M::NAMES[index].0));
                }
                Ok(index) => {
                    seen |= 1 << index;
                    message
                        .take(index, &mut map, self.0)
                        .map_err(|error| within(M::NAMES[index].0, error))?;
                }
                Err(_) if self.0 == Unknown::Ignored => {
                    map.next_value::<IgnoredAny>()?;
                }
                Err(name) => {
                    return Err(de::Error::custom(format_args!("unknown field \"{name}\"")));
                }
            }
        }
        Ok(message)
    }
}

/// Says in which field an error arose.
fn within<E: de::Error>(field: &str, error: E) -> E {
    E::custom(format_args!("field \"{field}\": {error}"))
}

/// Reads a key: the index of the field, or else the name itself.
struct FieldName(&'static [(&'static str, &'static str)]);

impl<'de> DeserializeSeed<'de> for FieldName {
    type Value = Result<usize, String>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_identifier(self)
    }
}

impl Visitor<'_> for FieldName {
    type Value = Result<usize, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
        let index = self.0.iter().position(|(proto, json)| *proto == name || *json == name);
        Ok(index.ok_or_else(|| name.to_owned()))
    }
}

/// Reads a value or `null`.
struct Nullable<T>(Unknown, PhantomData<T>);

impl<'de, T: Value> DeserializeSeed<'de> for Nullable<T> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Option<T>, D::Error> {
        input.deserialize_option(self)
    }
}

impl<'de, T: Value> Visitor<'de> for Nullable<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_none<E: de::Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }
    fn visit_unit<E: de::Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }
    fn visit_some<D: Deserializer<'de>>(self, input: D) -> Result<Option<T>, D::Error> {
        T::read(input, self.0).map(Some)
    }
}

/// Reads a value that may not be `null`: an element of a list or a map.
struct Element<T>(Unknown, PhantomData<T>);

impl<'de, T: Value> DeserializeSeed<'de> for Element<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<T, D::Error> {
        T::read(input, self.0)
    }
}

impl<T: Value> Value for Option<T> {
    fn is_zero(&self) -> bool {
        self.is_none()
    }

    fn write<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Some(value) => value.write(out),
            None => out.serialize_none(),
        }
    }

    fn read<'de, D: Deserializer<'de>>(input: D, unknown: Unknown) -> Result<Self, D::Error> {
        T::read(input, unknown).map(Some)
    }
}

impl<T: Value> Value for Vec<T> {
    fn is_zero(&self) -> bool {
        self.is_empty()
    }

    fn write<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut list = out.serialize_seq(Some(self.len()))?;
        for value in self {
            list.serialize_element(&Written(value))?;
        }
        list.end()
    }

    fn read<'de, D: Deserializer<'de>>(input: D, unknown: Unknown) -> Result<Self, D::Error> {
        struct ListVisitor<T>(Unknown, PhantomData<T>);
        impl<'de, T: Value> Visitor<'de> for ListVisitor<T> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = list.next_element_seed(Element(self.0, PhantomData))? {
                    values.push(value);
                }
                Ok(values)
            }
        }
        input.deserialize_seq(ListVisitor(unknown, PhantomData))
    }
}

impl<T: Value> Value for BTreeMap<String, T> {
    fn is_zero(&self) -> bool {
        self.is_empty()
    }

    fn write<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut map = out.serialize_map(Some(self.len()))?;
        for (key, value) in self {
            map.serialize_entry(key, &Written(value))?;
        }
        map.end()
    }

    fn read<'de, D: Deserializer<'de>>(input: D, unknown: Unknown) -> Result<Self, D::Error> {
        struct EntriesVisitor<T>(Unknown, PhantomData<T>);
        impl<'de, T: Value> Visitor<'de> for EntriesVisitor<T> {
            type Value = BTreeMap<String, T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut values = BTreeMap::new();
                while let Some(key) = map.next_key::<String>()? {
                    let value = map
                        .next_value_seed(Element(self.0, PhantomData))
                        .map_err(|error| within(&key, error))?;
                    if values.contains_key(&key) {
                        return Err(de::Error::custom(format_args!("duplicate map key \"{key}\"")));
                    }
                    values.insert(key, value);
                }
                Ok(values)
            }
        }
        input.deserialize_map(EntriesVisitor(unknown, PhantomData))
    }
}

impl Value for String {
    fn is_zero(&self) -> bool {
        self.is_empty()
    }

    fn write<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self)
    }

    fn read<'de, D: Deserializer<'de>>(input: D, _: Unknown) -> Result<Self, D::Error> {
        String::deserialize(input)
    }
}

impl Value for bool {
    fn is_zero(&self) -> bool {
        !self
    }

    fn write<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_bool(*self)
    }

    fn read<'de, D: Deserializer<'de>>(input: D, _: Unknown) -> Result<Self, D::Error> {
        bool::deserialize(input)
    }
}

/// An integer type: the whole numbers that fit it.
trait Integer: Sized + TryFrom<i64> + TryFrom<u64> + std::str::FromStr {
    /// For messages about a number that does not fit.
    const RANGE: &'static str;
    /// The least and the first too large value, exact as floating point.
    const FLOATS: (f64, f64);

    fn whole<N: TryInto<Self> + fmt::Display + Copy, E: de::Error>(number: N) -> Result<Self, E> {
        number.try_into().map_err(|_| E::custom(format_args!("{number} is not {}", Self::RANGE)))
    }

    fn of_float<E: de::Error>(number: f64) -> Result<Self, E> {
        let (least, above) = Self::FLOATS;
        if number.fract() != 0.0 || number < least || number >= above {
            return Err(E::custom(format_args!("{number} is not {}", Self::RANGE)));
        }
        // In range and whole, so one of the two conversions is exact.
        if number < 0.0 { Self::whole(number as i64) } else { Self::whole(number as u64) }
    }

    /// Text holds a JSON number: no sign but a minus, no leading zeros, no spaces.
    fn of_text<E: de::Error>(text: &str) -> Result<Self, E> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let plain = digits.starts_with(|first: char| first.is_ascii_digit())
            && !(digits.len() > 1
                && digits.starts_with('0')
                && digits.as_bytes()[1].is_ascii_digit());
        let number = if plain {
            text.parse()
                .ok()
                .or_else(|| text.parse().ok().and_then(|n| Self::of_float::<E>(n).ok()))
        } else {
            None
        };
        number.ok_or_else(|| E::custom(format_args!("\"{text}\" is not {}", Self::RANGE)))
    }
}

struct IntegerVisitor<T>(PhantomData<T>);

impl<T: Integer> Visitor<'_> for IntegerVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::RANGE)
    }
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        T::whole(number)
    }
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        T::whole(number)
    }
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        T::of_float(number)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::of_text(text)
    }
}

macro_rules! integer {
    ($type:ty, $range:literal, $least:literal, $above:literal, $write:ident) => {
        impl Integer for $type {
            const RANGE: &'static str = $range;
            const FLOATS: (f64, f64) = ($least, $above);
        }

        impl Value for $type {
            fn is_zero(&self) -> bool {
                *self == 0
            }

            fn write<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.$write(self)
            }

            fn read<'de, D: Deserializer<'de>>(input: D, _: Unknown) -> Result<Self, D::Error> {
                input.deserialize_any(IntegerVisitor(PhantomData))
            }
        }
    };
}

/// Writes a number as a number.
trait PlainNumber: Serializer {
    fn number<T: Serialize>(self, value: &T) -> Result<Self::Ok, Self::Error> {
        value.serialize(self)
    }
}

impl<S: Serializer> PlainNumber for S {}

integer!(i32, "a 32-bit integer", -2_147_483_648.0, 2_147_483_648.0, number);
integer!(u32, "an unsigned 32-bit integer", 0.0, 4_294_967_296.0, number);
// Text, since JavaScript's numbers cannot hold all of them.
integer!(
    i64,
    "a 64-bit integer",
    -9_223_372_036_854_775_808.0,
    9_223_372_036_854_775_808.0,
    collect_str
);

impl Value for f64 {
    fn is_zero(&self) -> bool {
        // Minus zero is a value of its own.
        self.to_bits() == 0
    }

    fn write<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        /// Whole numbers below are exact, and are written without a fraction.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if self.is_nan() {
            out.serialize_str("NaN")
        } else if self.is_infinite() {
            out.serialize_str(if *self > 0.0 { "Infinity" } else { "-Infinity" })
        } else if self.fract() == 0.0
            && self.abs() < EXACT
            && (*self != 0.0 || self.is_sign_positive())
        {
            out.serialize_i64(*self as i64)
        } else {
            out.serialize_f64(*self)
        }
    }

    fn read<'de, D: Deserializer<'de>>(input: D, _: Unknown) -> Result<Self, D::Error> {
        struct DoubleVisitor;
        impl Visitor<'_> for DoubleVisitor {
            type Value = f64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<f64, E> {
                Ok(number as f64)
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<f64, E> {
                Ok(number as f64)
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<f64, E> {
                Ok(number)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<f64, E> {
                match text {
                    "NaN" => return Ok(f64::NAN),
                    "Infinity" => return Ok(f64::INFINITY),
                    "-Infinity" => return Ok(f64::NEG_INFINITY),
                    _ => {}
                }
                // Text holds a JSON number, without the spaces that JSON has around one.
                let number = if text.contains(char::is_whitespace) {
                    None
                } else {
                    serde_json::from_str(text).ok()
                };
                number.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        input.deserialize_any(DoubleVisitor)
    }
}

/// The base64 alphabets as Go's decoder reads them: bits after the last byte do not matter.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
const UNPADDED: GeneralPurposeConfig =
    LENIENT.with_decode_padding_mode(DecodePaddingMode::RequireNone);

/// Reads base64 in either alphabet. Padding goes to a multiple of four or is left out; line breaks
/// are skipped. Source: protobuf-go, `unmarshalBytes`.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let config = if text.len().is_multiple_of(4) { LENIENT } else { UNPADDED };
    let url = text.contains(['-', '_']);
    let alphabet = if url { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    let engine = GeneralPurpose::new(alphabet, config);
    if text.contains(['\r', '\n']) {
        engine.decode(text.replace(['\r', '\n'], "")).ok()
    } else {
        engine.decode(text).ok()
    }
}

impl Value for Bytes {
    fn is_zero(&self) -> bool {
        self.is_empty()
    }

    fn write<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(&Base64Display::new(self, &STANDARD))
    }

    fn read<'de, D: Deserializer<'de>>(input: D, _: Unknown) -> Result<Self, D::Error> {
        struct Base64Visitor;
        impl Visitor<'_> for Base64Visitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("base64")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
                from_base64(text)
                    .map(Bytes::from)
                    .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        input.deserialize_str(Base64Visitor)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{from_str, to_string};

    use super::*;
    use crate::Timestamp;
    use crate::api::*;

    #[track_caller]
    fn check_out<M: Serialize>(message: &M, text: &str) {
        assert_eq!(to_string(message).unwrap(), text);
    }

    #[track_caller]
    fn check_in<M: for<'de> Deserialize<'de> + PartialEq + fmt::Debug>(text: &str, message: M) {
        assert_eq!(from_str::<M>(text).unwrap(), message);
    }

    #[track_caller]
    fn refused<M: for<'de> Deserialize<'de> + fmt::Debug>(text: &str, cause: &str) {
        let error = from_str::<M>(text).unwrap_err().to_string();
        assert!(error.contains(cause), "{error}");
    }

    #[test]
    fn answers_have_proto_names_and_no_defaults() {
        check_out(&Account::default(), "{}");
        check_out(&crate::Empty {}, "{}");
        let user =
            User { display_name: "Ann".into(), online: false, edge_count: 2, ..User::default() };
        check_out(
            &Account {
                user: Some(user),
                devices: vec![AccountDevice::default()],
                ..Account::default()
            },
            r#"{"user":{"display_name":"Ann","edge_count":2},"devices":[{}]}"#,
        );
    }

    #[test]
    fn enums_are_numbers_and_64_bit_integers_text() {
        check_out(
            &Leaderboard { operator: Operator::Set.into(), ..Leaderboard::default() },
            r#"{"operator":2}"#,
        );
        check_out(
            &LeaderboardRecord { score: -5, num_score: 1, ..LeaderboardRecord::default() },
            r#"{"score":"-5","num_score":1}"#,
        );
        let request =
            ListLeaderboardRecordsRequest { limit: Some(0), expiry: Some(7), ..Default::default() };
        check_out(&request, r#"{"limit":0,"expiry":"7"}"#);
    }

    #[test]
    fn times_end_in_z_with_as_many_digits_as_needed() {
        let at = |nanos| Event {
            timestamp: Some(Timestamp { seconds: 1_577_934_245, nanos }),
            ..Event::default()
        };
        check_out(&at(0), r#"{"timestamp":"2020-01-02T03:04:05Z"}"#);
        check_out(&at(120_000_000), r#"{"timestamp":"2020-01-02T03:04:05.120Z"}"#);
        check_out(&at(1_000), r#"{"timestamp":"2020-01-02T03:04:05.000001Z"}"#);
        check_out(&at(1), r#"{"timestamp":"2020-01-02T03:04:05.000000001Z"}"#);
        check_out(
            &Event { timestamp: Some(Timestamp::default()), ..Event::default() },
            r#"{"timestamp":"1970-01-01T00:00:00Z"}"#,
        );
        check_in(r#"{"timestamp":"2020-01-02T04:04:05.12+01:00"}"#, at(120_000_000));
        refused::<Event>(
            r#"{"timestamp":"yesterday"}"#,
            "field \"timestamp\": invalid value: string \"yesterday\"",
        );
        refused::<Event>(r#"{"timestamp":5}"#, "RFC 3339");
        assert!(to_string(&Timestamp { seconds: i64::MAX, nanos: 0 }).is_err());
    }

    #[test]
    fn both_spellings_are_read_and_a_field_given_twice_is_refused() {
        let expected =
            UpdateAccountRequest { display_name: Some("A".into()), ..Default::default() };
        check_in(r#"{"display_name":"A"}"#, expected.clone());
        check_in(r#"{"displayName":"A"}"#, expected);
        refused::<UpdateAccountRequest>(
            r#"{"displayName":"A","display_name":"B"}"#,
            "duplicate field `display_name`",
        );
        refused::<AccountCustom>(r#"{"vars":{"a":"1","a":"2"}}"#, "duplicate map key \"a\"");
    }

    #[test]
    fn unknown_fields_are_ignored_or_refused() {
        check_in(
            r#"{"id":"x","more":{"a":[1]}}"#,
            AccountCustom { id: "x".into(), ..Default::default() },
        );
        let strict = from_str::<Strict<AuthenticateCustomRequest>>(r#"{"account":{"more":1}}"#);
        assert_eq!(
            strict.unwrap_err().to_string(),
            "field \"account\": unknown field \"more\" at line 1 column 18"
        );
    }

    #[test]
    fn null_means_not_given() {
        check_in(
            r#"{"account":null,"create":null,"username":null}"#,
            AuthenticateCustomRequest::default(),
        );
        check_in(r#"{"ids":null}"#, GetUsersRequest::default());
        check_in(r#"{"operator":null}"#, Leaderboard::default());
        refused::<GetUsersRequest>(r#"{"ids":[null]}"#, "invalid type: null");
        refused::<AccountCustom>(
            r#"{"vars":{"a":null}}"#,
            "field \"vars\": field \"a\": invalid type: null",
        );
    }

    #[test]
    fn numbers_come_as_numbers_or_text() {
        for number in ["7", "7.0", "0.7e1", "\"7\"", "\"7.0\""] {
            check_in(
                &format!("{{\"max_count\":{number}}}"),
                CreateGroupRequest { max_count: 7, ..Default::default() },
            );
            check_in(
                &format!("{{\"expiry\":{number}}}"),
                ListLeaderboardRecordsRequest { expiry: Some(7), ..Default::default() },
            );
        }
        for number in [
            "7.5",
            "\"\"",
            "\" 7\"",
            "\"+7\"",
            "\"07\"",
            "2147483648",
            "-2147483649",
            "true",
            "1e10",
        ] {
            refused::<CreateGroupRequest>(
                &format!("{{\"max_count\":{number}}}"),
                "field \"max_count\"",
            );
        }
        check_in(
            r#"{"score":9223372036854775807}"#,
            LeaderboardRecord { score: i64::MAX, ..Default::default() },
        );
        refused::<AuthenticateCustomRequest>(r#"{"create":"true"}"#, "field \"create\"");
        refused::<AccountCustom>(
            r#"{"id":5}"#,
            "field \"id\": invalid type: integer `5`, expected a string",
        );
    }

    #[test]
    fn enums_are_read_by_name_or_number() {
        check_in(r#"{"operator":"BEST"}"#, Leaderboard { operator: 1, ..Default::default() });
        check_in(r#"{"operator":77}"#, Leaderboard { operator: 77, ..Default::default() });
        check_in(r#"{"operator":"NONESUCH"}"#, Leaderboard::default());
        assert!(from_str::<Strict<Leaderboard>>(r#"{"operator":"NONESUCH"}"#).is_err());
    }

    #[test]
    fn only_an_object_is_a_message() {
        refused::<AccountEmail>(
            "[]",
            "expected an object with the fields of nakama.api.AccountEmail",
        );
        refused::<AccountEmail>("\"a\"", "invalid type: string \"a\"");
    }
}
