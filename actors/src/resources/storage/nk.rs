//! The host functions.

use std::time::Duration;

use guildhall_core::{Code, Error, OrFault, Result, Status};
use guildhall_proto::api::{StorageObject, StorageObjectAck};
use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::write::VERSION_REJECTED;
use super::{Access, Condition, Place, Write, delete, list, read, write};
use crate::{
    cx::Cx,
    host::{Callback, Given, HostFn, Language, Origin, Returns, Step},
    resources::{object_text, object_value, raised},
    runtime::call::ExecutionMode,
};

const COLLECTION: Status =
    Status::new(Code::InvalidArgument, "expects collection to be a non-empty string");
const KEY: Status = Status::new(Code::InvalidArgument, "expects key to be a non-empty string");
const VALUE: Status = Status::new(Code::InvalidArgument, "expects value to be an object");
const VERSION: Status =
    Status::new(Code::InvalidArgument, "expects version to be a non-empty string");

fn place(collection: String, key: String, owner: Option<Uuid>) -> Result<Place, Status> {
    if collection.is_empty() {
        return Err(COLLECTION);
    }
    if key.is_empty() {
        return Err(KEY);
    }
    Ok(Place { collection, key, owner: owner.unwrap_or_default() })
}

fn condition(version: Option<String>) -> Result<Condition, Status> {
    match version.as_deref() {
        Some("") => Err(VERSION),
        _ => Ok(Condition::of(version)),
    }
}

/// Storage index filters run while objects are written: one that writes some itself would wait for
/// itself.
const IN_FILTER: Status =
    Status::new(Code::FailedPrecondition, "a storage index filter cannot write storage objects");

/// Refuses where a storage index filter asks.
///
/// # Errors
/// `FailedPrecondition`.
pub(in crate::resources) fn outside_filters(origin: Origin<'_>) -> Result<(), Status> {
    match origin.context.mode {
        ExecutionMode::StorageIndexFilter => Err(IN_FILTER),
        _ => Ok(()),
    }
}

/// What a module sees of a failure: a rejection in the reference's words.
fn failed(doing: &str, error: Error) -> Error {
    match error {
        Error::Status(status) => {
            Status::of(status.code, format!("{doing}: {}", status.message)).into()
        }
        fault => raised(doing, fault),
    }
}

/// An object that a module asks for.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "StorageReadRequest")]
pub struct ReadRequest {
    #[serde(default)]
    collection: Option<String>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    user_id: Option<Uuid>,
}

/// An object, as modules get it; times in Unix seconds.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "StorageObject")]
pub struct Object {
    key: String,
    collection: String,
    user_id: String,
    version: String,
    permission_read: i32,
    permission_write: i32,
    create_time: i64,
    update_time: i64,
    #[schemars(with = "Map<String, Value>")]
    value: Value,
}

/// Objects as modules get them.
///
/// # Errors
/// A fault where a value is no JSON.
fn shown(objects: Vec<StorageObject>) -> Result<Vec<Object>> {
    let shown = |object: StorageObject| {
        Ok(Object {
            value: object_value(&object.value)?,
            key: object.key,
            collection: object.collection,
            user_id: object.user_id,
            version: object.version,
            permission_read: object.permission_read,
            permission_write: object.permission_write,
            create_time: object.create_time.map_or(0, |time| time.seconds),
            update_time: object.update_time.map_or(0, |time| time.seconds),
        })
    };
    let shown = objects.into_iter().map(shown).collect::<serde_json::Result<_>>();
    shown.or_fault("failed to convert value to json")
}

/// `nk.storage_read(object_ids)`. In JavaScript collection and key may be left out, which finds
/// nothing, as in the reference.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct StorageRead {
    object_ids: Vec<ReadRequest>,
}

impl HostFn for StorageRead {
    const NAME: &'static str = "storage_read";
    type Output = Vec<Object>;
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<Vec<Object>> {
        let mut places = Vec::with_capacity(self.object_ids.len());
        for ReadRequest { collection, key, user_id } in self.object_ids {
            let lenient = origin.language == Language::JavaScript;
            if lenient && (collection.is_none() || key.as_ref().is_none_or(String::is_empty)) {
                if collection.as_ref().is_some_and(String::is_empty) {
                    return Err(COLLECTION.into());
                }
                continue;
            }
            let (collection, key) = (collection.unwrap_or_default(), key.unwrap_or_default());
            places.push(place(collection, key, user_id)?);
        }
        const DOING: &str = "failed to read storage objects";
        let objects = read(cx, Access::Server, &places).await;
        let objects = objects.map_err(|error| failed(DOING, error))?;
        shown(objects)
    }
}

/// An object that a module writes. Any permission that the database takes is taken.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "StorageWriteRequest")]
pub struct WriteRequest {
    collection: String,
    key: String,
    #[serde(default)]
    user_id: Option<Uuid>,
    #[schemars(with = "Map<String, Value>")]
    value: Value,
    #[serde(default)]
    version: Option<String>,
    #[serde(default = "owner")]
    permission_read: i16,
    #[serde(default = "owner")]
    permission_write: i16,
}

const fn owner() -> i16 {
    1
}

/// A written object, as modules get it.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "StorageWriteAck")]
pub struct Ack {
    key: String,
    collection: String,
    user_id: String,
    version: String,
}

impl WriteRequest {
    /// What is to be written.
    pub(in crate::resources) fn checked(self, origin: Origin<'_>) -> Result<Write, Status> {
        let value = object_text(origin, &self.value).ok_or(VALUE)?;
        Ok(Write {
            place: place(self.collection, self.key, self.user_id)?,
            value,
            condition: condition(self.version)?,
            read: self.permission_read,
            write: self.permission_write,
        })
    }
}

impl From<StorageObjectAck> for Ack {
    fn from(ack: StorageObjectAck) -> Self {
        let StorageObjectAck { key, collection, user_id, version, .. } = ack;
        Self { key, collection, user_id, version }
    }
}

/// `nk.storage_write(objects)`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct StorageWrite {
    objects: Vec<WriteRequest>,
}

impl HostFn for StorageWrite {
    const NAME: &'static str = "storage_write";
    type Output = Vec<Ack>;
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<Vec<Ack>> {
        outside_filters(origin)?;
        let mut writes = Vec::with_capacity(self.objects.len());
        for object in self.objects {
            writes.push(object.checked(origin)?);
        }
        const DOING: &str = "failed to write storage objects";
        let acks = write(cx, Access::Server, &writes).await;
        let acks = acks.map_err(|error| failed(DOING, error))?;
        Ok(acks.into_iter().map(Ack::from).collect())
    }
}

/// An object that a module deletes.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "StorageDeleteRequest")]
pub struct DeleteRequest {
    collection: String,
    key: String,
    #[serde(default)]
    user_id: Option<Uuid>,
    #[serde(default)]
    version: Option<String>,
}

impl DeleteRequest {
    /// What is to be deleted, and what must be there.
    pub(in crate::resources) fn checked(self) -> Result<(Place, Condition), Status> {
        Ok((place(self.collection, self.key, self.user_id)?, condition(self.version)?))
    }
}

/// `nk.storage_delete(object_ids)`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct StorageDelete {
    object_ids: Vec<DeleteRequest>,
}

impl HostFn for StorageDelete {
    const NAME: &'static str = "storage_delete";
    const RETURNS: Returns = Returns::Nothing;
    type Output = ();
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<()> {
        outside_filters(origin)?;
        let mut deletes = Vec::with_capacity(self.object_ids.len());
        for object in self.object_ids {
            deletes.push(object.checked()?);
        }
        let done = delete(cx, Access::Server, &deletes).await;
        done.map_err(|error| failed("failed to remove storage", error))
    }
}

const LIMIT: Status = Status::new(Code::InvalidArgument, "limit must not be negative");
const USER: Status =
    Status::new(Code::InvalidArgument, "expects user ID to be empty or a valid identifier");
const CALLER: Status =
    Status::new(Code::InvalidArgument, "expects caller ID to be empty or a valid identifier");

const fn hundred() -> i32 {
    100
}

/// The user that a text names, if it names one.
fn user(text: Option<String>, refusal: Status) -> Result<Option<Uuid>, Status> {
    match text.as_deref() {
        None | Some("") => Ok(None),
        Some(text) => Uuid::parse_str(text).map(Some).map_err(|_| refusal),
    }
}

/// `nk.storage_list(user_id, collection, limit, cursor, caller_id)`: a page of a collection, of all
/// owners or of one, by read permission, key and owner. With `caller_id` only what that user may
/// read.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct StorageList {
    /// Whose objects; those of all users if left out.
    #[serde(default)]
    user_id: Option<String>,
    #[serde(default)]
    collection: String,
    #[serde(default = "hundred")]
    limit: i32,
    /// Where the page begins: what the page before it gave.
    #[serde(default)]
    cursor: String,
    /// Who asks; the server, which may read everything, if left out.
    #[serde(default)]
    caller_id: Option<String>,
}

/// A page of objects.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "StorageObjectList")]
pub struct ObjectList {
    objects: Vec<Object>,
    /// Where the next page begins, if there is one.
    cursor: Option<String>,
}

impl ObjectList {
    /// The page with these objects.
    ///
    /// # Errors
    /// A fault where a value is no JSON.
    pub(in crate::resources) fn of(
        objects: Vec<StorageObject>,
        cursor: Option<String>,
    ) -> Result<Self> {
        Ok(Self { objects: shown(objects)?, cursor })
    }
}

impl HostFn for StorageList {
    const NAME: &'static str = "storage_list";
    const RETURNS: Returns = Returns::Each;
    type Output = ObjectList;
    async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<ObjectList> {
        if self.limit < 0 {
            return Err(LIMIT.into());
        }
        let owner = user(self.user_id, USER)?;
        // The nil id is the server's.
        let access = match user(self.caller_id, CALLER)?.filter(|caller| !caller.is_nil()) {
            None => Access::Server,
            Some(caller) => Access::User(caller),
        };
        let limit = i64::from(self.limit);
        let page = list(cx, access, &self.collection, owner, limit, &self.cursor).await;
        let page = page.map_err(|error| failed("failed to list storage objects", error))?;
        ObjectList::of(page.objects, Some(page.cursor).filter(|cursor| !cursor.is_empty()))
    }
}

const RETRIES: Status =
    Status::new(Code::InvalidArgument, "max retries must be a value between 0 and 10");
const EXHAUSTED: Status = Status::new(
    Code::Aborted,
    "failed to write storage objects with retry: Storage write retries exhausted.",
);

/// `nk.storage_write_retry(objects, update_fn, max_retries)`: reads objects, has `update_fn` make
/// writes of them, and writes those. Where a version is not met, all of it is done again.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct StorageWriteRetry {
    /// The objects that are read.
    objects: Vec<ReadRequest>,
    /// Makes writes of the objects that are there.
    #[serde(default)]
    #[expect(dead_code, reason = "it stays with the language, which knows it by the schema")]
    update_fn: Callback<Vec<Object>, Vec<WriteRequest>>,
    /// How often it may be done again, 0 to 10.
    max_retries: i32,
    #[serde(default)]
    #[schemars(skip)]
    given: Option<Given<Vec<WriteRequest>>>,
}

impl HostFn for StorageWriteRetry {
    const NAME: &'static str = "storage_write_retry";
    const CALLS_BACK: bool = true;
    type Output = Step<Vec<Object>, Vec<Ack>>;
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<Self::Output> {
        const DOING: &str = "failed to write storage objects with retry";
        outside_filters(origin)?;
        let Self { objects, max_retries, given, .. } = self;
        if !(0..=10).contains(&max_retries) {
            return Err(RETRIES.into());
        }
        let mut places = Vec::with_capacity(objects.len());
        for ReadRequest { collection, key, user_id } in objects {
            let (collection, key) = (collection.unwrap_or_default(), key.unwrap_or_default());
            places.push(place(collection, key, user_id)?);
        }
        let round = match given {
            None => 0,
            Some(Given { round, value }) => {
                let mut writes = Vec::with_capacity(value.len());
                for request in value {
                    writes.push(request.checked(origin)?);
                }
                match write(cx, Access::Server, &writes).await {
                    Ok(acks) => {
                        return Ok(Step::done(round, acks.into_iter().map(Ack::from).collect()));
                    }
                    Err(Error::Status(status)) if status == VERSION_REJECTED => {
                        if round >= max_retries {
                            return Err(EXHAUSTED.into());
                        }
                        tokio::time::sleep(pause(round)).await;
                        round.max(0) + 1
                    }
                    Err(error) => return Err(failed(DOING, error)),
                }
            }
        };
        let objects = read(cx, Access::Server, &places).await;
        Ok(Step::ask(round, shown(objects.map_err(|error| failed(DOING, error))?)?))
    }
}

/// How long to wait for those who came between: up to 20 ms, and some more by chance.
fn pause(round: i32) -> Duration {
    let steady = 2_u64.checked_shl(round.unsigned_abs()).unwrap_or(20).min(20);
    Duration::from_millis(steady + rand::rng().random_range(0..10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_may_be_left_out_and_a_version_may_not_be_empty() {
        let id = Uuid::from_u128(7);
        assert_eq!(user(None, USER), Ok(None));
        assert_eq!(user(Some(String::new()), USER), Ok(None));
        assert_eq!(user(Some(id.to_string()), USER), Ok(Some(id)));
        assert_eq!(user(Some("ann".into()), CALLER), Err(CALLER));
        assert_eq!(condition(None), Ok(Condition::Any));
        assert_eq!(condition(Some("*".into())), Ok(Condition::Absent));
        assert_eq!(condition(Some(String::new())), Err(VERSION));
    }
}
