//! Reading: a [`Value`], and the [`Positional`] arguments of a host function.

use serde::{
    Deserializer,
    de::{
        DeserializeSeed, Error as _, IntoDeserializer, MapAccess, Visitor,
        value::{
            BytesDeserializer, MapAccessDeserializer, MapDeserializer, SeqDeserializer,
            StrDeserializer,
        },
    },
    forward_to_deserialize_any,
};

use super::{Kind, Value, ValueError};

impl<'de> IntoDeserializer<'de, ValueError> for Value {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// The largest whole number up to which a double counts without gaps.
const LARGEST_WHOLE: f64 = 9_007_199_254_740_992.0;

impl Value {
    /// A double without a fraction as the whole number it stands for.
    fn whole(self) -> Self {
        match self.kind {
            Some(Kind::Double(number))
                if number.fract() == 0.0 && number.abs() <= LARGEST_WHOLE =>
            {
                Kind::Int(number as i64).into()
            }
            _ => self,
        }
    }
}

macro_rules! whole_numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
            self.whole().deserialize_any(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Value {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.kind {
            None => visitor.visit_unit(),
            Some(Kind::Bool(value)) => visitor.visit_bool(value),
            Some(Kind::Int(value)) => visitor.visit_i64(value),
            Some(Kind::Double(value)) => visitor.visit_f64(value),
            Some(Kind::String(value)) => visitor.visit_string(value),
            Some(Kind::Bytes(value)) => visitor.visit_byte_buf(value),
            Some(Kind::List(list)) => {
                let mut values = SeqDeserializer::new(list.values.into_iter());
                let read = visitor.visit_seq(&mut values)?;
                values.end()?;
                Ok(read)
            }
            Some(Kind::Map(map)) => {
                let mut entries = MapDeserializer::new(map.entries.into_iter());
                let read = visitor.visit_map(&mut entries)?;
                entries.end()?;
                Ok(read)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.kind {
            None => visitor.visit_none(),
            Some(_) => visitor.visit_some(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.kind {
            // For a plain `Vec<u8>`.
            Some(Kind::Bytes(bytes)) => visitor.visit_seq(SeqDeserializer::new(bytes.into_iter())),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        match self.kind {
            Some(Kind::Map(map)) => {
                let set = map.entries.into_iter().filter(|(_, value)| value.kind.is_some());
                visitor.visit_map(MapDeserializer::new(set))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        match self.kind {
            Some(Kind::String(text)) => {
                StrDeserializer::new(&text).deserialize_enum(name, variants, visitor)
            }
            Some(Kind::Map(map)) => {
                MapAccessDeserializer::new(MapDeserializer::new(map.entries.into_iter()))
                    .deserialize_enum(name, variants, visitor)
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.kind {
            Some(Kind::String(text)) => {
                BytesDeserializer::new(text.as_bytes()).deserialize_any(visitor)
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.kind {
            Some(Kind::String(text)) => visitor.visit_byte_buf(text.into_bytes()),
            _ => self.deserialize_any(visitor),
        }
    }

    whole_numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    forward_to_deserialize_any! {
        bool f32 f64 char str string unit unit_struct tuple tuple_struct map identifier ignored_any
    }
}

/// The arguments of a host function: a struct's field i reads value i; null and a missing
/// argument leave the field's default. More values than fields are let go, as scripts do.
#[derive(Debug)]
pub struct Positional(pub Vec<Value>);

impl<'de> Deserializer<'de> for Positional {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_seq(SeqDeserializer::new(self.0.into_iter()))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        let values = self.0.into_iter();
        visitor.visit_map(Fields { fields, values, position: 0, value: None })
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        visitor.visit_newtype_struct(self.0.into_iter().next().unwrap_or(Value::NULL))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Fields {
    fields: &'static [&'static str],
    values: std::vec::IntoIter<Value>,
    position: usize,
    value: Option<Value>,
}

impl<'de> MapAccess<'de> for Fields {
    type Error = ValueError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ValueError> {
        while let (Some(value), Some(field)) = (self.values.next(), self.fields.get(self.position))
        {
            self.position += 1;
            if value.kind.is_some() {
                self.value = Some(value);
                return seed.deserialize(StrDeserializer::new(field)).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<T::Value, ValueError> {
        let value = self.value.take().unwrap_or(Value::NULL);
        seed.deserialize(value).map_err(|error| {
            let name = self.fields.get(self.position.wrapping_sub(1)).unwrap_or(&"");
            ValueError::custom(format_args!("bad argument #{} ({name}): {error}", self.position))
        })
    }
}
