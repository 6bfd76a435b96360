//! Writing: a [`serde::Serializer`] that makes JavaScript values.
//!
//! Fields of our own structs get their name in camel case; the keys of maps are data and stay as
//! they are. Bytes become an `ArrayBuffer`, nothing becomes `null`.

use std::fmt;

use rquickjs::{
    Array, ArrayBuffer, Atom, Ctx, Error as JsError, IntoAtom, Object, String as Text, Value,
    atom::PredefinedAtom, object::Property,
};
use serde::{Serialize, Serializer, ser};

use super::state::Names;

/// Why a value could not be made.
#[derive(Debug)]
pub(super) enum WriteError {
    /// The machine refused; its exception is pending.
    Js(JsError),
    /// The value cannot be shown in JavaScript.
    Value(String),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Js(error) => error.fmt(f),
            Self::Value(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for WriteError {}

impl ser::Error for WriteError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Value(message.to_string())
    }
}

impl From<JsError> for WriteError {
    fn from(error: JsError) -> Self {
        Self::Js(error)
    }
}

type Result<T> = std::result::Result<T, WriteError>;

/// Makes one value.
#[derive(Clone, Copy)]
pub(super) struct Writer<'a, 'js> {
    ctx: &'a Ctx<'js>,
    names: &'a Names,
}

impl<'a, 'js> Writer<'a, 'js> {
    pub(super) fn new(ctx: &'a Ctx<'js>, names: &'a Names) -> Self {
        Self { ctx, names }
    }

    fn number(self, number: f64) -> Value<'js> {
        Value::new_number(self.ctx.clone(), number)
    }

    fn text(self, text: &str) -> Result<Value<'js>> {
        Ok(Text::from_str(self.ctx.clone(), text)?.into_value())
    }

    fn object(self) -> Result<Object<'js>> {
        Ok(Object::new(self.ctx.clone())?)
    }

    fn elements(self) -> Result<Elements<'a, 'js>> {
        Ok(Elements { writer: self, array: Array::new(self.ctx.clone())?, next: 0, variant: None })
    }

    fn fields(self, variant: Option<&'static str>) -> Result<Fields<'a, 'js>> {
        Ok(Fields { writer: self, object: self.object()?, variant, key: None })
    }

    /// `{variant: value}`, or the value where there is no variant.
    fn wrap(self, variant: Option<&'static str>, value: Value<'js>) -> Result<Value<'js>> {
        match variant {
            None => Ok(value),
            Some(variant) => {
                let object = self.object()?;
                object.set(self.names.atom(self.ctx, variant)?, value)?;
                Ok(object.into_value())
            }
        }
    }
}

impl<'a, 'js> Serializer for Writer<'a, 'js> {
    type Ok = Value<'js>;
    type Error = WriteError;
    type SerializeSeq = Elements<'a, 'js>;
    type SerializeTuple = Elements<'a, 'js>;
    type SerializeTupleStruct = Elements<'a, 'js>;
    type SerializeTupleVariant = Elements<'a, 'js>;
    type SerializeMap = Fields<'a, 'js>;
    type SerializeStruct = Fields<'a, 'js>;
    type SerializeStructVariant = Fields<'a, 'js>;

    fn serialize_bool(self, value: bool) -> Result<Value<'js>> {
        Ok(Value::new_bool(self.ctx.clone(), value))
    }

    fn serialize_i8(self, value: i8) -> Result<Value<'js>> {
        self.serialize_i32(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<Value<'js>> {
        self.serialize_i32(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<Value<'js>> {
        Ok(Value::new_int(self.ctx.clone(), value))
    }

    fn serialize_i64(self, value: i64) -> Result<Value<'js>> {
        Ok(self.number(value as f64))
    }

    fn serialize_u8(self, value: u8) -> Result<Value<'js>> {
        self.serialize_i32(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<Value<'js>> {
        self.serialize_i32(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<Value<'js>> {
        Ok(self.number(value.into()))
    }

    fn serialize_u64(self, value: u64) -> Result<Value<'js>> {
        Ok(self.number(value as f64))
    }

    fn serialize_f32(self, value: f32) -> Result<Value<'js>> {
        Ok(self.number(value.into()))
    }

    fn serialize_f64(self, value: f64) -> Result<Value<'js>> {
        Ok(self.number(value))
    }

    fn serialize_char(self, value: char) -> Result<Value<'js>> {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<Value<'js>> {
        self.text(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Value<'js>> {
        Ok(ArrayBuffer::new_copy(self.ctx.clone(), value)?.into_value())
    }

    fn serialize_none(self) -> Result<Value<'js>> {
        self.serialize_unit()
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<Value<'js>> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value<'js>> {
        Ok(Value::new_null(self.ctx.clone()))
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<Value<'js>> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<Value<'js>> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<Value<'js>> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value<'js>> {
        self.wrap(Some(variant), value.serialize(self)?)
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Self::SerializeSeq> {
        self.elements()
    }

    fn serialize_tuple(self, _length: usize) -> Result<Self::SerializeTuple> {
        self.elements()
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeTupleStruct> {
        self.elements()
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeTupleVariant> {
        Ok(Elements { variant: Some(variant), ..self.elements()? })
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Self::SerializeMap> {
        self.fields(None)
    }

    fn serialize_struct(
        self,
        _name: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeStruct> {
        self.fields(None)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeStructVariant> {
        self.fields(Some(variant))
    }
}

/// An array in the making.
pub(super) struct Elements<'a, 'js> {
    writer: Writer<'a, 'js>,
    array: Array<'js>,
    next: usize,
    variant: Option<&'static str>,
}

impl<'js> Elements<'_, 'js> {
    fn push<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<()> {
        let value = value.serialize(self.writer)?;
        self.array.set(self.next, value)?;
        self.next += 1;
        Ok(())
    }

    fn finish(self) -> Result<Value<'js>> {
        self.writer.wrap(self.variant, self.array.into_value())
    }
}

macro_rules! elements {
    ($($name:ident $method:ident)*) => {$(
        impl<'js> ser::$name for Elements<'_, 'js> {
            type Ok = Value<'js>;
            type Error = WriteError;

            fn $method<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<()> {
                self.push(value)
            }

            fn end(self) -> Result<Value<'js>> {
                self.finish()
            }
        }
    )*};
}

elements! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

/// An object in the making.
pub(super) struct Fields<'a, 'js> {
    writer: Writer<'a, 'js>,
    object: Object<'js>,
    variant: Option<&'static str>,
    key: Option<Value<'js>>,
}

impl<'js> Fields<'_, 'js> {
    fn field<T: ?Sized + Serialize>(&mut self, name: &'static str, value: &T) -> Result<()> {
        let value = value.serialize(self.writer)?;
        let atom = self.writer.names.atom(self.writer.ctx, name)?;
        Ok(self.object.set(atom, value)?)
    }

    fn finish(self) -> Result<Value<'js>> {
        self.writer.wrap(self.variant, self.object.into_value())
    }
}

impl<'js> ser::SerializeMap for Fields<'_, 'js> {
    type Ok = Value<'js>;
    type Error = WriteError;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<()> {
        self.key = Some(key.serialize(self.writer)?);
        Ok(())
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<()> {
        let Some(key) = self.key.take() else {
            return Err(ser::Error::custom("a value without a key"));
        };
        let value = value.serialize(self.writer)?;
        let key = Atom::from_value(self.writer.ctx.clone(), &key)?;
        // Data, not a prototype.
        if key == PredefinedAtom::UnderscoreProto.into_atom(self.writer.ctx)? {
            let property = Property::from(value).configurable().enumerable().writable();
            return Ok(self.object.prop(key, property)?);
        }
        Ok(self.object.set(key, value)?)
    }

    fn end(self) -> Result<Value<'js>> {
        self.finish()
    }
}

macro_rules! fields {
    ($($name:ident)*) => {$(
        impl<'js> ser::$name for Fields<'_, 'js> {
            type Ok = Value<'js>;
            type Error = WriteError;

            fn serialize_field<T: ?Sized + Serialize>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<()> {
                self.field(name, value)
            }

            fn end(self) -> Result<Value<'js>> {
                self.finish()
            }
        }
    )*};
}

fields! { SerializeStruct SerializeStructVariant }
