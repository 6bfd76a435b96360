//! Writing: any serialisable type as a [`Value`].

use std::collections::BTreeMap;

use serde::{
    Serialize, Serializer,
    ser::{
        Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
        SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
    },
};

use super::{Kind, List, Map, Value, ValueError, to_value};

/// Writes a type as a [`Value`].
#[derive(Clone, Copy, Debug)]
pub struct ValueSerializer;

macro_rules! whole_numbers {
    ($($method:ident: $type:ty)*) => {$(
        fn $method(self, value: $type) -> Result<Value, ValueError> {
            Ok(Kind::Int(value.into()).into())
        }
    )*};
}

impl Serializer for ValueSerializer {
    type Ok = Value;
    type Error = ValueError;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Entries;
    type SerializeStruct = Entries;
    type SerializeStructVariant = Entries;

    whole_numbers! {
        serialize_i8: i8 serialize_i16: i16 serialize_i32: i32 serialize_i64: i64
        serialize_u8: u8 serialize_u16: u16 serialize_u32: u32
    }

    fn serialize_u64(self, value: u64) -> Result<Value, ValueError> {
        Ok(i64::try_from(value).map_or(Kind::Double(value as f64), Kind::Int).into())
    }

    fn serialize_bool(self, value: bool) -> Result<Value, ValueError> {
        Ok(Kind::Bool(value).into())
    }

    fn serialize_f32(self, value: f32) -> Result<Value, ValueError> {
        Ok(Kind::Double(value.into()).into())
    }

    fn serialize_f64(self, value: f64) -> Result<Value, ValueError> {
        Ok(Kind::Double(value).into())
    }

    fn serialize_char(self, value: char) -> Result<Value, ValueError> {
        Ok(Kind::String(value.into()).into())
    }

    fn serialize_str(self, value: &str) -> Result<Value, ValueError> {
        Ok(Kind::String(value.into()).into())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Value, ValueError> {
        Ok(Kind::Bytes(value.into()).into())
    }

    fn serialize_none(self) -> Result<Value, ValueError> {
        Ok(Value::NULL)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, ValueError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, ValueError> {
        Ok(Value::NULL)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Value, ValueError> {
        Ok(Value::NULL)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Value, ValueError> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Value, ValueError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, ValueError> {
        Ok(tagged(Some(variant), value.serialize(self)?))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Items, ValueError> {
        // A type may promise any length.
        let values = Vec::with_capacity(len.unwrap_or(0).min(1024));
        Ok(Items { variant: None, values })
    }

    fn serialize_tuple(self, len: usize) -> Result<Items, ValueError> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Items, ValueError> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Items, ValueError> {
        Ok(Items { variant: Some(variant), values: Vec::with_capacity(len) })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Entries, ValueError> {
        Ok(Entries { variant: None, key: String::new(), entries: BTreeMap::new() })
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Entries, ValueError> {
        self.serialize_map(None)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Entries, ValueError> {
        Ok(Entries { variant: Some(variant), key: String::new(), entries: BTreeMap::new() })
    }
}

fn tagged(variant: Option<&'static str>, value: Value) -> Value {
    match variant {
        None => value,
        Some(name) => Kind::Map(Map { entries: BTreeMap::from([(name.to_owned(), value)]) }).into(),
    }
}

/// A list in the making.
#[derive(Debug)]
pub struct Items {
    variant: Option<&'static str>,
    values: Vec<Value>,
}

impl Items {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        self.values.push(to_value(value)?);
        Ok(())
    }

    fn finish(self) -> Value {
        tagged(self.variant, Kind::List(List { values: self.values }).into())
    }
}

macro_rules! items {
    ($($trait:ident $method:ident)*) => {$(
        impl $trait for Items {
            type Ok = Value;
            type Error = ValueError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
                self.push(value)
            }

            fn end(self) -> Result<Value, ValueError> {
                Ok(self.finish())
            }
        }
    )*};
}

items! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

/// A map in the making.
#[derive(Debug)]
pub struct Entries {
    variant: Option<&'static str>,
    key: String,
    entries: BTreeMap<String, Value>,
}

impl Entries {
    fn insert<T: Serialize + ?Sized>(&mut self, key: String, value: &T) -> Result<(), ValueError> {
        self.entries.insert(key, to_value(value)?);
        Ok(())
    }

    fn finish(self) -> Value {
        tagged(self.variant, Kind::Map(Map { entries: self.entries }).into())
    }
}

impl SerializeMap for Entries {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), ValueError> {
        self.key = match to_value(key)?.kind {
            Some(Kind::String(text)) => text,
            Some(Kind::Int(number)) => number.to_string(),
            Some(Kind::Bool(value)) => value.to_string(),
            _ => {
                return Err(ValueError::custom("a map key must be text, a whole number or a bool"));
            }
        };
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        let key = std::mem::take(&mut self.key);
        self.insert(key, value)
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(self.finish())
    }
}

macro_rules! entries {
    ($($trait:ident)*) => {$(
        impl $trait for Entries {
            type Ok = Value;
            type Error = ValueError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), ValueError> {
                self.insert(key.to_owned(), value)
            }

            fn end(self) -> Result<Value, ValueError> {
                Ok(self.finish())
            }
        }
    )*};
}

entries! { SerializeStruct SerializeStructVariant }
