//! What a script passes, as Rust values: a [`serde::Deserializer`] over the stack.

use std::{cell::Cell, fmt};

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor, value::StrDeserializer,
};

use super::{
    number,
    raw::{Kind, Stack},
};

/// How deep tables may be nested.
const MAX_DEPTH: u32 = 200;

/// The greatest index that makes a table an array; beyond it the reference has no array either.
const MAX_INDEX: f64 = 67_108_864.0;

/// What is wrong with an argument.
#[derive(Debug)]
pub(super) struct TakeError(String);

impl fmt::Display for TakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TakeError {}

impl de::Error for TakeError {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

fn expected(what: &str, got: Kind) -> TakeError {
    TakeError(format!("{what} expected, got {}", got.name()))
}

/// How far the reading of arguments has come: where the error is, when there is one.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The argument at hand, from 1.
    argument: Cell<usize>,
    fields: Cell<&'static [&'static str]>,
}

impl Progress {
    /// The argument whose reading failed, from 1.
    pub(super) fn argument(&self) -> usize {
        self.argument.get().max(1)
    }

    /// The argument, from 1, that serde's error says is missing.
    pub(super) fn missing(&self, error: &str) -> Option<usize> {
        let name = error.strip_prefix("missing field `")?.strip_suffix('`')?;
        self.fields.get().iter().position(|field| *field == name).map(|index| index + 1)
    }
}

/// The arguments of a host function: a struct whose field `i` is the argument `i`. Nil and missing
/// arguments leave a field's default.
pub(super) struct Arguments<'a, 'vm> {
    pub(super) stack: &'a mut Stack<'vm>,
    pub(super) count: i32,
    pub(super) progress: &'a Progress,
    /// The argument, from 1, that is read even if it is nil: to learn what was expected.
    pub(super) insist: Option<usize>,
}

impl<'de> Deserializer<'de> for Arguments<'_, '_> {
    type Error = TakeError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, TakeError> {
        Err(TakeError("the parameters of this function are not the fields of a struct".to_owned()))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TakeError> {
        self.progress.fields.set(fields);
        visitor.visit_map(Positions { arguments: self, fields, next: 0 })
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, TakeError> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, TakeError> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Positions<'a, 'vm> {
    arguments: Arguments<'a, 'vm>,
    fields: &'static [&'static str],
    next: usize,
}

impl Positions<'_, '_> {
    fn index(&self) -> i32 {
        i32::try_from(self.next).unwrap_or(i32::MAX)
    }
}

impl<'de> MapAccess<'de> for Positions<'_, '_> {
    type Error = TakeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, TakeError> {
        while let Some(field) = self.fields.get(self.next) {
            self.next += 1;
            let given = self.index() <= self.arguments.count
                && self.arguments.stack.kind(self.index()) != Kind::Nil;
            if given || self.arguments.insist == Some(self.next) {
                self.arguments.progress.argument.set(self.next);
                let name: StrDeserializer<'_, TakeError> = field.into_deserializer();
                return seed.deserialize(name).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, TakeError> {
        let index = self.index();
        seed.deserialize(Take { stack: self.arguments.stack, index, depth: 0 })
    }
}

/// One value of the stack.
pub(super) struct Take<'a, 'vm> {
    stack: &'a mut Stack<'vm>,
    index: i32,
    depth: u32,
}

/// What a table is read as.
enum Shape {
    /// The elements 1 to n; all others are passed over.
    Array(usize),
    /// Names and values.
    Map,
}

impl<'a, 'vm> Take<'a, 'vm> {
    /// The value at `index`, which stays where it is.
    pub(super) fn new(stack: &'a mut Stack<'vm>, index: i32) -> Self {
        let index = if stack.kind(index) == Kind::Nothing { index } else { stack.at(index) };
        Self { stack, index, depth: 0 }
    }

    fn kind(&self) -> Kind {
        self.stack.kind(self.index)
    }

    fn table(&mut self) -> Result<(), TakeError> {
        match self.kind() {
            Kind::Table if self.depth >= MAX_DEPTH || !self.stack.reserve(8) => {
                Err(TakeError(format!("tables are nested more than {MAX_DEPTH} deep")))
            }
            Kind::Table => Ok(()),
            other => Err(expected("table", other)),
        }
    }

    fn number(&self) -> Result<f64, TakeError> {
        match self.kind() {
            Kind::Number => Ok(self.stack.number(self.index)),
            other => Err(expected("number", other)),
        }
    }

    fn elements(self, count: usize) -> Elements<'a, 'vm> {
        let top = self.stack.top();
        Elements { table: self, next: 1, count, top }
    }

    fn entries(self) -> Entries<'a, 'vm> {
        let top = self.stack.top();
        Entries { table: self, top, begun: false }
    }
}

/// What the table at `index` is read as, by the reference's rule: where it has a positive whole
/// key it is an array up to the greatest of them.
pub(super) fn array_length(stack: &mut Stack<'_>, index: i32) -> usize {
    let table = stack.at(index);
    let mut greatest = 0.0_f64;
    stack.push_nil();
    while stack.next(table) {
        stack.pop(1);
        if stack.kind(-1) == Kind::Number {
            let key = stack.number(-1);
            if key > greatest && key < MAX_INDEX && key.trunc() == key {
                greatest = key;
            }
        }
    }
    number::whole(greatest).and_then(|length| usize::try_from(length).ok()).unwrap_or(0)
}

/// The text of the key at `index` in a map.
pub(super) fn key_text(stack: &Stack<'_>, index: i32) -> Vec<u8> {
    text(stack, index).unwrap_or_default()
}

/// The text of a value that has one in the reference; `None` for nil and tables.
pub(super) fn text(stack: &Stack<'_>, index: i32) -> Option<Vec<u8>> {
    Some(match stack.kind(index) {
        Kind::Text => stack.bytes(index).to_vec(),
        Kind::Number => number::text(stack.number(index)).into_bytes(),
        Kind::Boolean => stack.boolean(index).to_string().into_bytes(),
        Kind::Function => format!("function: {:#x}", stack.address(index)).into_bytes(),
        Kind::Other => b"userdata".to_vec(),
        Kind::Nothing | Kind::Nil | Kind::Table => return None,
    })
}

macro_rules! integers {
    ($($method:ident),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TakeError> {
            visit_integer(self.number()?, visitor)
        }
    )*};
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "cut as in the reference"
)]
fn visit_integer<'de, V: Visitor<'de>>(value: f64, visitor: V) -> Result<V::Value, TakeError> {
    if value < 0.0 { visitor.visit_i64(value as i64) } else { visitor.visit_u64(value as u64) }
}

impl<'de> Deserializer<'de> for Take<'_, '_> {
    type Error = TakeError;

    integers!(
        deserialize_i8,
        deserialize_i16,
        deserialize_i32,
        deserialize_i64,
        deserialize_u8,
        deserialize_u16,
        deserialize_u32,
        deserialize_u64
    );

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, TakeError> {
        match self.kind() {
            Kind::Nothing | Kind::Nil => visitor.visit_unit(),
            Kind::Boolean => visitor.visit_bool(self.stack.boolean(self.index)),
            Kind::Number => {
                let value = self.stack.number(self.index);
                match number::whole(value) {
                    Some(whole) => visitor.visit_i64(whole),
                    None => visitor.visit_f64(value),
                }
            }
            Kind::Text => visitor.visit_str(&String::from_utf8_lossy(self.stack.bytes(self.index))),
            Kind::Table => {
                self.table()?;
                let shape = match array_length(self.stack, self.index) {
                    0 => Shape::Map,
                    count => Shape::Array(count),
                };
                match shape {
                    Shape::Array(count) => visitor.visit_seq(self.elements(count)),
                    Shape::Map => visitor.visit_map(self.entries()),
                }
            }
            Kind::Function | Kind::Other => {
                let text = text(self.stack, self.index).unwrap_or_default();
                visitor.visit_str(&String::from_utf8_lossy(&text))
            }
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TakeError> {
        match self.kind() {
            Kind::Boolean => visitor.visit_bool(self.stack.boolean(self.index)),
            other => Err(expected("boolean", other)),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TakeError> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TakeError> {
        visitor.visit_f64(self.number()?)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TakeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TakeError> {
        match self.kind() {
            Kind::Text => match std::str::from_utf8(self.stack.bytes(self.index)) {
                Ok(text) => visitor.visit_str(text),
                Err(_) => Err(TakeError("expects text in UTF-8".to_owned())),
            },
            // An argument may be a number where text is expected, an element may not.
            Kind::Number if self.depth == 0 => {
                visitor.visit_string(number::text(self.stack.number(self.index)))
            }
            other => Err(expected("string", other)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TakeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TakeError> {
        match self.kind() {
            Kind::Text => visitor.visit_bytes(self.stack.bytes(self.index)),
            Kind::Number if self.depth == 0 => {
                visitor.visit_byte_buf(number::text(self.stack.number(self.index)).into_bytes())
            }
            other => Err(expected("string", other)),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TakeError> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TakeError> {
        match self.kind() {
            Kind::Nothing | Kind::Nil => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TakeError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, TakeError> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, TakeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, TakeError> {
        self.table()?;
        let count = array_length(self.stack, self.index);
        visitor.visit_seq(self.elements(count))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, TakeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, TakeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, TakeError> {
        self.table()?;
        visitor.visit_map(self.entries())
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TakeError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TakeError> {
        if self.kind() == Kind::Text {
            let name = String::from_utf8_lossy(self.stack.bytes(self.index)).into_owned();
            return visitor.visit_enum(name.into_deserializer());
        }
        self.table()?;
        visitor.visit_enum(self.entries())
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TakeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TakeError> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { i128 u128 }
}

/// The elements 1 to `count` of a table.
struct Elements<'a, 'vm> {
    table: Take<'a, 'vm>,
    next: usize,
    count: usize,
    top: i32,
}

impl<'de> SeqAccess<'de> for Elements<'_, '_> {
    type Error = TakeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, TakeError> {
        self.table.stack.cut(self.top);
        if self.next > self.count {
            return Ok(None);
        }
        self.table.stack.get_index(self.table.index, self.next);
        self.next += 1;
        let index = self.table.stack.top();
        let depth = self.table.depth + 1;
        seed.deserialize(Take { stack: self.table.stack, index, depth }).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some((self.count + 1 - self.next).min(1024))
    }
}

/// The names and values of a table. While it is gone through, the key at hand stands above it.
struct Entries<'a, 'vm> {
    table: Take<'a, 'vm>,
    top: i32,
    begun: bool,
}

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = TakeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, TakeError> {
        if self.begun {
            self.table.stack.cut(self.top + 1);
        } else {
            self.begun = true;
            self.table.stack.push_nil();
        }
        if !self.table.stack.next(self.table.index) {
            return Ok(None);
        }
        let key = key_text(self.table.stack, -2);
        let key = String::from_utf8_lossy(&key);
        let key: StrDeserializer<'_, TakeError> = key.as_ref().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, TakeError> {
        let index = self.top + 2;
        let depth = self.table.depth + 1;
        seed.deserialize(Take { stack: self.table.stack, index, depth })
    }
}

impl<'de> EnumAccess<'de> for Entries<'_, '_> {
    type Error = TakeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(
        mut self,
        seed: V,
    ) -> Result<(V::Value, Self), TakeError> {
        match self.next_key_seed(seed)? {
            Some(variant) => Ok((variant, self)),
            None => Err(TakeError("expects a table with the name of a choice".to_owned())),
        }
    }
}

impl<'de> VariantAccess<'de> for Entries<'_, '_> {
    type Error = TakeError;

    fn unit_variant(self) -> Result<(), TakeError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        mut self,
        seed: T,
    ) -> Result<T::Value, TakeError> {
        self.next_value_seed(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, TakeError> {
        Take { index: self.top + 2, depth: self.table.depth + 1, stack: self.table.stack }
            .deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TakeError> {
        Take { index: self.top + 2, depth: self.table.depth + 1, stack: self.table.stack }
            .deserialize_map(visitor)
    }
}
