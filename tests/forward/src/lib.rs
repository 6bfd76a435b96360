//! A native module that calls any host function: the native side of `tests/host_functions.rs`, and of
//! other tests that compare the languages.
//!
//! Bytes stand in JSON as `{"base16": "…"}`; those that are ASCII stand as text.

mod arena;
mod hooks;

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
};

use guildhall_sdk::{Error, Module, Nk, Point, code, proto::api::Event};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value, json};

guildhall_sdk::module!(register);

fn register(module: &mut Module<'_>) -> Result<(), Error> {
    module.event_session_start(note)?;
    module.event_session_end(note)?;
    match module.nk().context().env.get("matchmaker").map(String::as_str) {
        Some("matched") => module.function(Point::MatchmakerMatched, "", matched)?,
        Some("override") => module.function(Point::MatchmakerOverride, "", choose)?,
        Some("processor") => module.function(Point::MatchmakerProcessor, "", pair_up)?,
        _ => {}
    }
    if module.nk().context().env.contains_key("realtime_hooks") {
        hooks::register(module)?;
    }
    arena::register(module)?;
    module.rpc("call_native", call)
}

/// The match of matched players, as their property `answer` asks.
fn matched(_: &Nk<'_>, (users,): (Vec<Value>,)) -> Result<Value, Error> {
    let is_whole = |user: &Value| {
        let long = |value: &Value| value.as_str().is_some_and(|text| text.len() == 36);
        let presence = &user["presence"];
        long(&user["ticket"])
            && long(&presence["user_id"])
            && long(&presence["session_id"])
            && presence["username"].is_string()
            && presence["node"] == "nakama"
            && user["properties"]["level"] == 1.5
            && user["party_id"].is_null()
            && user["create_time"].is_i64()
    };
    match users[0]["properties"]["answer"].as_str() {
        Some("id") if users.iter().all(is_whole) => {
            Ok(json!("11111111-2222-4333-8444-555555555555.nakama"))
        }
        Some("number") => Ok(json!(5)),
        Some("text") => Ok(json!("no id")),
        Some("error") => Err(Error::new(code::INTERNAL, "no match today")),
        _ => Ok(json!("")),
    }
}

/// Of the groups those of bob and cat, behind one that nobody offered.
fn choose(_: &Nk<'_>, (groups,): (Vec<Vec<Value>>,)) -> Result<Value, Error> {
    let wanted = |group: &&Vec<Value>| {
        let is = |entry: &Value, name: &str| entry["presence"]["username"] == name;
        group.iter().all(|entry| is(entry, "bob") || is(entry, "cat"))
    };
    let Some(group) = groups.iter().find(wanted) else { return Ok(json!([])) };
    Ok(json!([["00000000-0000-4000-8000-000000000000"], group, group]))
}

/// All, by level, in pairs; nonsense at first.
fn pair_up(_: &Nk<'_>, (mut entries,): (Vec<Value>,)) -> Result<Value, Error> {
    static CALLED: AtomicBool = AtomicBool::new(false);
    if !CALLED.swap(true, Ordering::Relaxed) || entries.len() != 4 {
        return Ok(json!("nonsense"));
    }
    let level = |entry: &Value| entry["properties"]["level"].as_f64().unwrap_or_default();
    entries.sort_by(|a, b| level(a).total_cmp(&level(b)));
    let pairs: Vec<&[Value]> = entries.chunks(2).collect();
    Ok(json!(pairs))
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
