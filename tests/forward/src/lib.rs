//! A native module that calls any host function: the native side of `tests/host_functions.rs`.
//!
//! Bytes stand in JSON as `{"base16": "…"}`; those that are ASCII stand as text.

use std::fmt;

use guildhall_sdk::{Error, Module, Nk, code, proto::api::Event};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value, json};

guildhall_sdk::module!(register);

fn register(module: &mut Module<'_>) -> Result<(), Error> {
    module.event_session_start(note)?;
    module.event_session_end(note)?;
    module.rpc("call_native", call)
}

/// Notes an event where its session's user may read it.
fn note(nk: &Nk<'_>, event: Event) -> Result<(), Error> {
    let context = nk.context();
    let told = json!({
        "mode": context.execution_mode, "session": context.session_id, "lang": context.lang,
        "username": context.username, "ip": context.client_ip, "name": event.name,
        "reason": event.properties.get("reason"), "timed": event.timestamp.is_some(),
    });
    let object = json!({
        "collection": "told", "key": format!("{} native", event.name), "user_id": context.user_id,
        "value": told, "permission_read": 1, "permission_write": 0,
    });
    nk.call::<Value>("storage_write", ([object],)).map(drop)
}

#[derive(Deserialize)]
struct Request {
    name: String,
    arguments: Vec<Argument>,
}

fn call(nk: &Nk<'_>, payload: &[u8]) -> Result<Vec<u8>, Error> {
    let refused = |error: serde_json::Error| Error::new(code::INVALID_ARGUMENT, error.to_string());
    let Request { name, arguments } = serde_json::from_slice(payload).map_err(refused)?;
    let answer = match nk.call::<Shown>(name.as_str(), arguments) {
        Ok(Shown(value)) => json!({ "value": value }),
        Err(error) => json!({ "error": error.to_string() }),
    };
    Ok(answer.to_string().into_bytes())
}

/// An argument: bytes, or what JSON says.
#[derive(Deserialize)]
#[serde(untagged)]
enum Argument {
    #[serde(deserialize_with = "bytes")]
    Bytes(Vec<u8>),
    Json(Value),
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    #[derive(Deserialize)]
    struct Base16 {
        base16: String,
    }
    hex::decode(Base16::deserialize(deserializer)?.base16).map_err(serde::de::Error::custom)
}

impl Serialize for Argument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Self::Json(value) => value.serialize(serializer),
        }
    }
}

/// Any result, as JSON.
struct Shown(Value);

impl<'de> Deserialize<'de> for Shown {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Shower).map(Self)
    }
}

struct Shower;

impl<'de> Visitor<'de> for Shower {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(match str::from_utf8(value) {
            Ok(text) if text.is_ascii() => text.into(),
            _ => json!({ "base16": hex::encode(value) }),
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Shown(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Map::new();
        while let Some((key, Shown(value))) = map.next_entry()? {
            entries.insert(key, value);
        }
        Ok(entries.into())
    }
}
