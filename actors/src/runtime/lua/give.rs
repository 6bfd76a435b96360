//! What a host function gives back, as Lua values: a [`serde::Serializer`] onto the stack.
//!
//! Nothing in between is allocated. Bytes become strings, nothing becomes nil, and a field or an
//! element that is nil is left out.

use std::fmt;

use serde::ser::{self, Impossible, Serialize};

use super::raw::{Kind, Stack};

/// Why a value has no form in Lua.
#[derive(Debug)]
pub(super) struct GiveError(String);

impl fmt::Display for GiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for GiveError {}

impl ser::Error for GiveError {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

fn too_deep() -> GiveError {
    GiveError("the value is nested too deeply for Lua".to_owned())
}

/// Adds one value to the stack.
pub(super) struct Give<'a, 'vm>(pub(super) &'a mut Stack<'vm>);

/// Adds the elements of a table, below which it stands.
pub(super) struct GiveTable<'a, 'vm> {
    stack: &'a mut Stack<'vm>,
    table: i32,
    next: usize,
    /// Set for an enum variant with data: the table goes into another under this name.
    variant: Option<&'static str>,
}

impl<'a, 'vm> Give<'a, 'vm> {
    fn table(
        self,
        numbered: usize,
        named: usize,
        variant: Option<&'static str>,
    ) -> Result<GiveTable<'a, 'vm>, GiveError> {
        if !self.0.reserve(8) {
            return Err(too_deep());
        }
        if variant.is_some() {
            self.0.push_table(0, 1);
        }
        self.0.push_table(numbered, named);
        let table = self.0.top();
        Ok(GiveTable { stack: self.0, table, next: 1, variant })
    }

    #[allow(clippy::cast_precision_loss, reason = "Lua's numbers are floats, as documented")]
    fn integer(self, value: i128) -> Result<(), GiveError> {
        self.0.push_number(value as f64);
        Ok(())
    }
}

impl GiveTable<'_, '_> {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), GiveError> {
        value.serialize(Give(self.stack))?;
        self.stack.set_index(self.table, self.next);
        self.next += 1;
        Ok(())
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), GiveError> {
        value.serialize(Give(self.stack))?;
        if self.stack.kind(-1) == Kind::Nil {
            self.stack.pop(1);
        } else {
            self.stack.set_name(self.table, name.as_bytes());
        }
        Ok(())
    }

    fn close(self) {
        if let Some(variant) = self.variant {
            self.stack.set_name(self.table - 1, variant.as_bytes());
        }
    }
}

macro_rules! integers {
    ($($method:ident($type:ty)),*) => {$(
        fn $method(self, value: $type) -> Result<(), GiveError> {
            self.integer(i128::from(value))
        }
    )*};
}

impl<'a, 'vm> ser::Serializer for Give<'a, 'vm> {
    type Ok = ();
    type Error = GiveError;
    type SerializeSeq = GiveTable<'a, 'vm>;
    type SerializeTuple = GiveTable<'a, 'vm>;
    type SerializeTupleStruct = GiveTable<'a, 'vm>;
    type SerializeTupleVariant = GiveTable<'a, 'vm>;
    type SerializeMap = GiveTable<'a, 'vm>;
    type SerializeStruct = GiveTable<'a, 'vm>;
    type SerializeStructVariant = GiveTable<'a, 'vm>;

    integers!(
        serialize_i8(i8),
        serialize_i16(i16),
        serialize_i32(i32),
        serialize_i64(i64),
        serialize_i128(i128),
        serialize_u8(u8),
        serialize_u16(u16),
        serialize_u32(u32),
        serialize_u64(u64)
    );

    fn serialize_bool(self, value: bool) -> Result<(), GiveError> {
        self.0.push_boolean(value);
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<(), GiveError> {
        self.serialize_f64(f64::from(value))
    }

    fn serialize_f64(self, value: f64) -> Result<(), GiveError> {
        self.0.push_number(value);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), GiveError> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), GiveError> {
        self.serialize_bytes(value.as_bytes())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), GiveError> {
        self.0.push_bytes(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), GiveError> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), GiveError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), GiveError> {
        self.0.push_nil();
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), GiveError> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), GiveError> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), GiveError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), GiveError> {
        let mut table = self.table(0, 1, None)?;
        table.field(variant, value)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self::SerializeSeq, GiveError> {
        self.table(length.unwrap_or(0), 0, None)
    }

    fn serialize_tuple(self, length: usize) -> Result<Self::SerializeTuple, GiveError> {
        self.table(length, 0, None)
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleStruct, GiveError> {
        self.table(length, 0, None)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleVariant, GiveError> {
        self.table(length, 0, Some(variant))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self::SerializeMap, GiveError> {
        self.table(0, length.unwrap_or(0), None)
    }

    fn serialize_struct(
        self,
        _: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStruct, GiveError> {
        self.table(0, length, None)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant, GiveError> {
        self.table(0, length, Some(variant))
    }
}

macro_rules! elements {
    ($($interface:ident::$method:ident),*) => {$(
        impl ser::$interface for GiveTable<'_, '_> {
            type Ok = ();
            type Error = GiveError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), GiveError> {
                self.element(value)
            }

            fn end(self) -> Result<(), GiveError> {
                self.close();
                Ok(())
            }
        }
    )*};
}

elements!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

macro_rules! fields {
    ($($interface:ident),*) => {$(
        impl ser::$interface for GiveTable<'_, '_> {
            type Ok = ();
            type Error = GiveError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), GiveError> {
                self.field(name, value)
            }

            fn end(self) -> Result<(), GiveError> {
                self.close();
                Ok(())
            }
        }
    )*};
}

fields!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for GiveTable<'_, '_> {
    type Ok = ();
    type Error = GiveError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), GiveError> {
        key.serialize(Give(self.stack))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), GiveError> {
        value.serialize(Give(self.stack))?;
        self.stack.set_key(self.table);
        Ok(())
    }

    fn end(self) -> Result<(), GiveError> {
        Ok(())
    }
}

/// Adds the fields of a struct to the stack, each a result of its own.
pub(super) struct GiveEach<'a, 'vm>(pub(super) &'a mut Stack<'vm>);

macro_rules! not_each {
    ($($method:ident($($type:ty),*)),*) => {$(
        fn $method(self, $(_: $type),*) -> Result<(), GiveError> {
            Err(not_fields())
        }
    )*};
}

fn not_fields() -> GiveError {
    GiveError("the results of this function are not the fields of a struct".to_owned())
}

impl<'a, 'vm> ser::Serializer for GiveEach<'a, 'vm> {
    type Ok = ();
    type Error = GiveError;
    type SerializeSeq = Impossible<(), GiveError>;
    type SerializeTuple = GiveEach<'a, 'vm>;
    type SerializeTupleStruct = Impossible<(), GiveError>;
    type SerializeTupleVariant = Impossible<(), GiveError>;
    type SerializeMap = Impossible<(), GiveError>;
    type SerializeStruct = GiveEach<'a, 'vm>;
    type SerializeStructVariant = Impossible<(), GiveError>;

    not_each!(
        serialize_bool(bool),
        serialize_i8(i8),
        serialize_i16(i16),
        serialize_i32(i32),
        serialize_i64(i64),
        serialize_u8(u8),
        serialize_u16(u16),
        serialize_u32(u32),
        serialize_u64(u64),
        serialize_f32(f32),
        serialize_f64(f64),
        serialize_char(char),
        serialize_str(&str),
        serialize_bytes(&[u8]),
        serialize_unit_variant(&'static str, u32, &'static str)
    );

    fn serialize_none(self) -> Result<(), GiveError> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), GiveError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), GiveError> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), GiveError> {
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), GiveError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), GiveError> {
        Err(not_fields())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, GiveError> {
        Err(not_fields())
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, GiveError> {
        Ok(self)
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, GiveError> {
        Err(not_fields())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, GiveError> {
        Err(not_fields())
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, GiveError> {
        Err(not_fields())
    }

    fn serialize_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStruct, GiveError> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, GiveError> {
        Err(not_fields())
    }
}

impl ser::SerializeStruct for GiveEach<'_, '_> {
    type Ok = ();
    type Error = GiveError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        _: &'static str,
        value: &T,
    ) -> Result<(), GiveError> {
        value.serialize(Give(self.0))
    }

    fn end(self) -> Result<(), GiveError> {
        Ok(())
    }
}

impl ser::SerializeTuple for GiveEach<'_, '_> {
    type Ok = ();
    type Error = GiveError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), GiveError> {
        value.serialize(Give(self.0))
    }

    fn end(self) -> Result<(), GiveError> {
        Ok(())
    }
}
