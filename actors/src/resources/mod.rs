//! One slice per resource: endpoints, sentences, handlers, work, SQL and host functions.

pub mod account;
pub mod account_export;
pub mod authenticate;
mod bought;
pub mod channel_message;
pub mod event;
pub mod friend;
pub mod group;
pub mod healthcheck;
pub mod identifier;
pub mod leaderboard;
pub mod link;
pub mod matches;
pub mod matchmaker;
pub mod multi_update;
pub mod notification;
pub mod party;
pub mod provider;
pub mod purchase;
mod rules;
pub mod session;
pub mod storage;
pub mod storage_index;
pub mod subscription;
pub mod tournament;
pub mod user;
pub mod wallet;

use chrono::{DateTime, Utc};
use guildhall_core::{Error, Status, config, json};
use guildhall_proto::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{
    database::{Database, DbError},
    host::{Language, Origin},
};

/// The batchers of the resources: small writes of concurrent calls, gathered.
#[derive(Debug)]
pub struct Batches {
    /// Messages of channels.
    pub channel_message: channel_message::Batches,
    /// Scores of leaderboards.
    pub leaderboard: leaderboard::Batches,
    /// Sign-ins by custom id and device id.
    pub sign_in: identifier::Batches,
    /// Writes of single storage objects.
    pub storage: storage::Batches,
}

impl Batches {
    /// Batchers on `db`.
    pub fn new(config: &config::Batch, db: &Database, io: &Handle) -> Self {
        Self {
            channel_message: channel_message::Batches::new(config, db, io),
            leaderboard: leaderboard::Batches::new(config, db, io),
            sign_in: identifier::Batches::new(config, db, io),
            storage: storage::Batches::new(config, db, io),
        }
    }
}

/// What a module sees of a failed host function: what it was doing, then what went wrong, with the
/// database's own words where it was the database.
fn raised(doing: &str, error: Error) -> Error {
    let code = error.code();
    let cause = match error {
        Error::Status(status) => status.described(),
        Error::Fault(fault) => match fault.source.downcast_ref::<DbError>() {
            Some(error) => error.message(),
            None => fault.message.into_owned(),
        },
    };
    Status::of(code, format!("{doing}: {cause}")).into()
}

/// As [`raised`], where the reference has no gRPC error: only the sentence is shown.
fn raised_plainly(doing: &str, error: Error) -> Error {
    match error {
        Error::Status(status) => {
            Status::of(status.code, format!("{doing}: {}", status.message)).into()
        }
        fault => raised(doing, fault),
    }
}

/// The JSON text of an object that a module gives; `None` for another value. A Lua table with
/// whole keys becomes `null`, as in the reference.
fn object_text(origin: Origin<'_>, value: &Value) -> Option<String> {
    match value {
        Value::Object(_) => json::to_text(value).ok(),
        Value::Array(_) if origin.language == Language::Lua => Some("null".to_owned()),
        _ => None,
    }
}

/// JSON text of the database as modules get it: an object, empty in place of `null`.
fn object_value(text: &str) -> serde_json::Result<Value> {
    match serde_json::from_str(text)? {
        Value::Null => Ok(Value::Object(Map::new())),
        value => Ok(value),
    }
}

/// The time in a column of a row, without its fraction, as most of the API shows times.
fn whole_seconds(row: &Row, column: &str) -> Result<Timestamp, DbError> {
    let time: DateTime<Utc> = row.try_get(column)?;
    Ok(Timestamp::from_seconds(time.timestamp()))
}

/// An id that may be left out: an empty text is none.
fn optional_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Uuid>, D::Error> {
    match Option::<String>::deserialize(deserializer)?.as_deref() {
        None | Some("") => Ok(None),
        Some(text) => Uuid::try_parse(text).map(Some).map_err(serde::de::Error::custom),
    }
}

/// The id of a user, in the words of functions that say no more of it.
fn user_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
    let text = String::deserialize(deserializer)?;
    Uuid::try_parse(&text).map_err(|_| serde::de::Error::custom("expects a valid user id"))
}
