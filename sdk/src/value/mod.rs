//! What host functions take and give: [`Value`], and how Rust types become one and back.

mod de;
mod ser;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

pub use de::Positional;
pub use ser::ValueSerializer;
pub use wire::{Arguments, List, Map, Value, value::Kind};

/// The messages of `sdk/proto/native.proto`.
#[allow(missing_docs, reason = "explained in the proto file")]
pub mod wire {
    include!(concat!(env!("OUT_DIR"), "/guildhall.native.v1.rs"));
}

impl Value {
    /// Null.
    pub const NULL: Self = Self { kind: None };
}

impl From<Kind> for Value {
    fn from(kind: Kind) -> Self {
        Self { kind: Some(kind) }
    }
}

/// The value of anything serialisable: structs become maps, bytes (`serialize_bytes`) stay bytes,
/// whole numbers beyond 64 bits signed become floating point.
///
/// # Errors
/// A map key that is not text, number or bool, or what the type's own serialisation says.
pub fn to_value(value: &(impl Serialize + ?Sized)) -> Result<Value, ValueError> {
    value.serialize(ValueSerializer)
}

/// The type's value of `value`: a struct from a map, where null leaves a field's default.
///
/// # Errors
/// What does not fit, in the type's own words.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, ValueError> {
    T::deserialize(value)
}

/// The positional arguments in a tuple, array or list; `()` is none. Any other value is the only
/// argument.
///
/// # Errors
/// As [`to_value`].
pub fn to_arguments(arguments: &(impl Serialize + ?Sized)) -> Result<Arguments, ValueError> {
    let values = match to_value(arguments)?.kind {
        None => Vec::new(),
        Some(Kind::List(list)) => list.values,
        Some(kind) => vec![kind.into()],
    };
    Ok(Arguments { values })
}

/// What does not fit between a type and a [`Value`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueError(String);

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ValueError {}

impl serde::de::Error for ValueError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl serde::ser::Error for ValueError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}
