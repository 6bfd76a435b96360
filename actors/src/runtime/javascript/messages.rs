//! Wire messages as objects of scripts: keys in camel case, unset fields by their zero value, 64-bit
//! integers as text, enums as numbers, bytes as base64 — the reference's JSON, without the text.

use guildhall_core::{Fault, Result};
use prost_reflect::{
    DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage,
    SerializeOptions, Value as Field,
};
use rquickjs::{Array, Ctx, Object, Value};

use super::{
    read::Reader,
    state::State,
    write::{WriteError, Writer},
};
use crate::runtime::call::{Output, Wire};

const COULD_NOT_RUN: &str = "Could not run runtime function.";

/// The message as an object.
///
/// # Errors
/// Bytes that are no such message, or no memory.
pub(super) fn show<'js>(ctx: &Ctx<'js>, state: &State, wire: &Wire) -> Result<Value<'js>> {
    let message = DynamicMessage::decode(wire.descriptor.clone(), wire.bytes.as_slice())
        .map_err(|error| Fault::new(COULD_NOT_RUN, error))?;
    object(&Writer::new(ctx, &state.names), ctx, &message)
        .map_err(|error| Fault::new(COULD_NOT_RUN, error.to_string()).into())
}

fn object<'js>(
    writer: &Writer<'_, 'js>,
    ctx: &Ctx<'js>,
    message: &DynamicMessage,
) -> std::result::Result<Value<'js>, WriteError> {
    let descriptor = message.descriptor();
    // Times, wrappers and structs have a JSON form of their own.
    if descriptor.full_name().starts_with("google.protobuf.") && descriptor.name() != "Empty" {
        let options = SerializeOptions::new().use_enum_numbers(true);
        return message.serialize_with_options(*writer, &options);
    }
    let object = Object::new(ctx.clone())?;
    for field in descriptor.fields() {
        if field.supports_presence() && !message.has_field(&field) {
            // An unset message shows as null; an unset optional or alternative not at all.
            if field.containing_oneof().is_none() {
                object.set(field.json_name(), Value::new_null(ctx.clone()))?;
            }
            continue;
        }
        let value = value(writer, ctx, &field, &message.get_field(&field))?;
        object.set(field.json_name(), value)?;
    }
    Ok(object.into_value())
}

fn value<'js>(
    writer: &Writer<'_, 'js>,
    ctx: &Ctx<'js>,
    field: &FieldDescriptor,
    value: &Field,
) -> std::result::Result<Value<'js>, WriteError> {
    match value {
        Field::List(values) => {
            let list = Array::new(ctx.clone())?;
            for (index, value) in values.iter().enumerate() {
                list.set(index, single(writer, ctx, value)?)?;
            }
            Ok(list.into_value())
        }
        Field::Map(entries) => {
            let Kind::Message(_) = field.kind() else {
                return Err(WriteError::Value("a map without entries".to_owned()));
            };
            let object = Object::new(ctx.clone())?;
            for (key, value) in entries {
                object.set(key_text(key), single(writer, ctx, value)?)?;
            }
            Ok(object.into_value())
        }
        value => single(writer, ctx, value),
    }
}

fn single<'js>(
    writer: &Writer<'_, 'js>,
    ctx: &Ctx<'js>,
    value: &Field,
) -> std::result::Result<Value<'js>, WriteError> {
    use serde::Serializer;
    match value {
        Field::Bool(value) => writer.serialize_bool(*value),
        Field::I32(value) | Field::EnumNumber(value) => writer.serialize_i32(*value),
        Field::U32(value) => writer.serialize_u32(*value),
        Field::I64(value) => writer.serialize_str(&value.to_string()),
        Field::U64(value) => writer.serialize_str(&value.to_string()),
        Field::F32(value) => writer.serialize_f32(*value),
        Field::F64(value) => writer.serialize_f64(*value),
        Field::String(value) => writer.serialize_str(value),
        Field::Bytes(value) => {
            use base64::{Engine, prelude::BASE64_STANDARD};
            writer.serialize_str(&BASE64_STANDARD.encode(value))
        }
        Field::Message(message) => object(writer, ctx, message),
        Field::List(_) | Field::Map(_) => Err(WriteError::Value("a list within a list".to_owned())),
    }
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
}

/// What a before hook gave back, as the message that it was given; unknown fields are a mistake.
pub(super) fn take(state: &State, wire: &Wire, value: Value<'_>) -> Output {
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let object = value.is_object();
    let reader = Reader::new(value, &state.names);
    match DynamicMessage::deserialize_with_options(wire.descriptor.clone(), reader, &options) {
        Ok(message) => Output::Message(prost::Message::encode_to_vec(&message)),
        Err(error) => Output::Unreadable { object, cause: error.to_string() },
    }
}
