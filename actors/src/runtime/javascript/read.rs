//! Reading: a [`serde::Deserializer`] over JavaScript values, and over the arguments of a call.
//!
//! Fields of our own structs are looked up by their name in camel case; the keys of maps are data
//! and stay as they are. `null` and `undefined` leave a field's default.

use std::{cell::Cell, fmt};

use rquickjs::{Error as JsError, Object, Value};
use serde::{
    Deserializer,
    de::{
        self, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor,
        value::{BorrowedStrDeserializer, MapAccessDeserializer, StringDeserializer},
    },
    forward_to_deserialize_any,
};

use super::{raw, state::Names};

/// How deep a value may be nested; a value that holds itself ends here.
const MAX_DEPTH: u16 = 256;

/// Integers beyond this are not exact in a JavaScript number.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// What is wrong with a value, in words for the module's author.
#[derive(Debug)]
pub(super) struct ReadError(String);

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl From<JsError> for ReadError {
    fn from(error: JsError) -> Self {
        Self(error.to_string())
    }
}

/// A value on its way into Rust.
pub(super) struct Reader<'a, 'js> {
    value: Value<'js>,
    names: &'a Names,
    depth: u16,
}

impl<'a, 'js> Reader<'a, 'js> {
    pub(super) fn new(value: Value<'js>, names: &'a Names) -> Self {
        Self { value, names, depth: 0 }
    }

    fn inner(&self, value: Value<'js>) -> Result<Self, ReadError> {
        if self.depth == MAX_DEPTH {
            return Err(ReadError("the value is nested too deeply or holds itself".to_owned()));
        }
        Ok(Self { value, names: self.names, depth: self.depth + 1 })
    }

    /// The object behind the value; a `Date` reads as the text that JSON gives it.
    fn object(&self) -> Option<&Object<'js>> {
        self.value.as_object()
    }

    fn text(&self) -> Option<Result<String, ReadError>> {
        self.value.as_string().map(|text| raw::text(text).map_err(ReadError::from))
    }

    fn is_nothing(&self) -> bool {
        is_nothing(&self.value)
    }

    fn visit_number<'de, V: Visitor<'de>>(number: f64, visitor: V) -> Result<V::Value, ReadError> {
        if number.fract() == 0.0 && number.abs() <= EXACT {
            visitor.visit_i64(number as i64)
        } else {
            visitor.visit_f64(number)
        }
    }

    fn visit_object<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let Some(object) = self.value.as_object().cloned() else {
            return Err(de::Error::invalid_type(unexpected(&self.value), &visitor));
        };
        if self.value.is_function() {
            return Err(de::Error::invalid_type(de::Unexpected::Other("a function"), &visitor));
        }
        if raw::is_date(&self.value) {
            return visitor.visit_string(date_text(&object)?);
        }
        visitor.visit_map(Entries::new(self, &object)?)
    }

    fn visit_array<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if let Some(array) = self.value.as_array() {
            let length = array.len();
            return visitor.visit_seq(Elements { reader: &self, length, next: 0 });
        }
        if let Some(bytes) = raw::bytes(&self.value) {
            return visitor.visit_seq(de::value::SeqDeserializer::new(bytes.into_iter()));
        }
        Err(de::Error::invalid_type(unexpected(&self.value), &visitor))
    }
}

fn is_nothing(value: &Value<'_>) -> bool {
    value.is_null() || value.is_undefined()
}

fn date_text(object: &Object<'_>) -> Result<String, ReadError> {
    let to_json: rquickjs::Function<'_> = object.get("toJSON")?;
    let text: rquickjs::String<'_> =
        to_json.call((rquickjs::function::This(object.clone()),)).map_err(|_| {
            object.ctx().catch();
            ReadError("the date is not valid".to_owned())
        })?;
    Ok(raw::text(&text)?)
}

/// What a value is, for "expects a string, got …".
fn unexpected<'v>(value: &Value<'_>) -> de::Unexpected<'v> {
    use rquickjs::Type;
    match value.type_of() {
        Type::Undefined | Type::Uninitialized => de::Unexpected::Other("undefined"),
        Type::Null => de::Unexpected::Other("null"),
        Type::Bool => de::Unexpected::Other("a boolean"),
        Type::Int | Type::Float => de::Unexpected::Other("a number"),
        Type::String => de::Unexpected::Other("a string"),
        Type::Symbol => de::Unexpected::Other("a symbol"),
        Type::BigInt => de::Unexpected::Other("a BigInt"),
        Type::Array => de::Unexpected::Other("an array"),
        Type::Function | Type::Constructor => de::Unexpected::Other("a function"),
        _ => de::Unexpected::Other("an object"),
    }
}

macro_rules! integers {
    ($($method:ident)*) => {$(
        /// A number without its fraction, as the reference reads integers.
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            match self.value.as_number() {
                Some(number) if number.is_finite() && number.abs() <= EXACT => {
                    visitor.visit_i64(number as i64)
                }
                Some(number) => visitor.visit_f64(number),
                None => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'_, '_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        use rquickjs::Type;
        match self.value.type_of() {
            Type::Undefined | Type::Null | Type::Uninitialized => visitor.visit_unit(),
            Type::Bool => visitor.visit_bool(self.value.as_bool().unwrap_or_default()),
            Type::Int => visitor.visit_i64(self.value.as_int().unwrap_or_default().into()),
            Type::Float => Self::visit_number(self.value.as_float().unwrap_or_default(), visitor),
            Type::String => match self.text() {
                Some(text) => visitor.visit_string(text?),
                None => Err(de::Error::invalid_type(unexpected(&self.value), &visitor)),
            },
            Type::BigInt => match self.value.into_big_int() {
                Some(number) => visitor.visit_i64(number.to_i64()?),
                None => Err(de::Error::custom("a BigInt beyond 64 bits")),
            },
            Type::Array => self.visit_array(visitor),
            Type::Symbol | Type::Function | Type::Constructor => {
                Err(de::Error::invalid_type(unexpected(&self.value), &visitor))
            }
            _ => match raw::bytes(&self.value) {
                Some(bytes) => visitor.visit_byte_buf(bytes),
                None => self.visit_object(visitor),
            },
        }
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.value.as_number() {
            Some(number) => visitor.visit_f64(number),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if let Some(bytes) = raw::bytes(&self.value) {
            return visitor.visit_byte_buf(bytes);
        }
        match self.text() {
            Some(text) => visitor.visit_byte_buf(text?.into_bytes()),
            None => Err(de::Error::invalid_type(unexpected(&self.value), &visitor)),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.is_nothing() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.visit_array(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self.object() {
            Some(object) if !self.value.is_array() && !self.value.is_function() => {
                let object = object.clone();
                visitor.visit_map(Fields { reader: self, object, fields, value: None })
            }
            _ => Err(de::Error::invalid_type(unexpected(&self.value), &visitor)),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.value.is_array() {
            return Err(de::Error::invalid_type(unexpected(&self.value), &visitor));
        }
        self.visit_object(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self.text() {
            Some(text) => {
                let name: StringDeserializer<ReadError> = text?.into_deserializer();
                visitor.visit_enum(name)
            }
            None => match self.object().cloned() {
                Some(object) => {
                    let entries = Entries::new(self, &object)?;
                    visitor.visit_enum(MapAccessDeserializer::new(entries))
                }
                None => Err(de::Error::invalid_type(unexpected(&self.value), &visitor)),
            },
        }
    }

    forward_to_deserialize_any! {
        bool i128 u128 char str string unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

/// The elements of an array.
struct Elements<'r, 'a, 'js> {
    reader: &'r Reader<'a, 'js>,
    length: usize,
    next: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_, '_, '_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ReadError> {
        if self.next == self.length {
            return Ok(None);
        }
        let Some(array) = self.reader.value.as_array() else { return Ok(None) };
        let value = array.get(self.next)?;
        self.next += 1;
        seed.deserialize(self.reader.inner(value)?).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some((self.length - self.next).min(4096))
    }
}

/// The own properties of an object, by their names as they are. Left out, as in JSON: what is
/// `undefined`, functions and symbols.
struct Entries<'a, 'js> {
    reader: Reader<'a, 'js>,
    entries: rquickjs::object::ObjectIter<'js, rquickjs::String<'js>, Value<'js>>,
    value: Option<Value<'js>>,
}

impl<'a, 'js> Entries<'a, 'js> {
    fn new(reader: Reader<'a, 'js>, object: &Object<'js>) -> Result<Self, ReadError> {
        Ok(Self { reader, entries: object.props(), value: None })
    }
}

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ReadError> {
        for entry in self.entries.by_ref() {
            let (name, value) = entry?;
            if value.is_undefined() || value.is_function() || value.is_symbol() {
                continue;
            }
            self.value = Some(value);
            let name: StringDeserializer<ReadError> = raw::text(&name)?.into_deserializer();
            return seed.deserialize(name).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        match self.value.take() {
            Some(value) => seed.deserialize(self.reader.inner(value)?),
            None => Err(de::Error::custom("a value without a key")),
        }
    }
}

/// The fields of a struct of ours, by their names in camel case.
struct Fields<'a, 'js> {
    reader: Reader<'a, 'js>,
    object: Object<'js>,
    fields: &'static [&'static str],
    value: Option<Value<'js>>,
}

impl<'de> MapAccess<'de> for Fields<'_, '_> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ReadError> {
        while let Some((&field, rest)) = self.fields.split_first() {
            self.fields = rest;
            let atom = self.reader.names.atom(self.object.ctx(), field)?;
            let value: Value<'_> = self.object.get(atom)?;
            if !is_nothing(&value) {
                self.value = Some(value);
                return seed.deserialize(BorrowedStrDeserializer::new(field)).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        match self.value.take() {
            Some(value) => seed.deserialize(self.reader.inner(value)?),
            None => Err(de::Error::custom("a value without a field")),
        }
    }
}

/// The arguments of a call of a host function: argument i fills field i, or the field that `order`
/// names there.
pub(super) struct Arguments<'a, 'js> {
    pub values: &'a [Value<'js>],
    pub order: Option<&'static [&'static str]>,
    pub names: &'a Names,
    /// The argument being read, from 0, with its field; for the error.
    pub at: &'a Cell<Option<(usize, &'static str)>>,
    /// The fields, once known; for the error.
    pub fields: &'a Cell<&'static [&'static str]>,
}

impl<'de> Deserializer<'de> for Arguments<'_, '_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let _ = visitor;
        Err(de::Error::custom("a host function takes a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let fields = self.order.unwrap_or(fields);
        self.fields.set(fields);
        visitor.visit_map(ArgumentFields { arguments: self, fields, next: 0, value: None })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let value = self.values.first().cloned();
        self.at.set(Some((0, "")));
        match value {
            Some(value) => visitor.visit_newtype_struct(Reader::new(value, self.names)),
            None => Err(de::Error::missing_field("value")),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct ArgumentFields<'a, 'js> {
    arguments: Arguments<'a, 'js>,
    fields: &'static [&'static str],
    next: usize,
    value: Option<Value<'js>>,
}

impl<'de> MapAccess<'de> for ArgumentFields<'_, '_> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ReadError> {
        while let (Some(&field), Some(value)) =
            (self.fields.get(self.next), self.arguments.values.get(self.next))
        {
            let index = self.next;
            self.next += 1;
            if !is_nothing(value) {
                self.arguments.at.set(Some((index, field)));
                self.value = Some(value.clone());
                return seed.deserialize(BorrowedStrDeserializer::new(field)).map(Some);
            }
        }
        self.arguments.at.set(None);
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        match self.value.take() {
            Some(value) => seed.deserialize(Reader::new(value, self.arguments.names)),
            None => Err(de::Error::custom("a value without an argument")),
        }
    }
}
