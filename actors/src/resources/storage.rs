//! Storage objects: JSON documents in collections, owned by a user or by the system.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use futures_util::future::try_join_all;
use guildhall_core::{Code, OrFault, Result, Status};
use guildhall_proto::{
    Timestamp,
    api::{StorageObject, StorageObjectAck},
};
use md5::{Digest, Md5};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{
    cx::Cx,
    database::{DbError, Params, Sql},
};

const VERSION_REJECTED: Status =
    Status::new(Code::InvalidArgument, "Storage write rejected - version check failed.");
const PERMISSION_REJECTED: Status =
    Status::new(Code::InvalidArgument, "Storage write rejected - permission denied.");
const DELETE_REJECTED: Status = Status::new(
    Code::InvalidArgument,
    "Storage delete rejected - not found, version check failed, or permission denied.",
);

const READING: &str = "Error reading storage objects.";
const WRITING: &str = "Error writing storage objects.";
const DELETING: &str = "Error deleting storage objects.";

/// Statements of a batch that are on their way at once.
const PIPELINE: usize = 30;

/// On whose behalf objects are read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The server's: permissions are not asked.
    Server,
    /// A user's.
    User(Uuid),
}

/// The place of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The collection.
    pub collection: String,
    /// The key within it.
    pub key: String,
    /// The owner; the nil id for the system.
    pub owner: Uuid,
}

/// An object to be written.
#[derive(Clone, Debug)]
pub struct Write {
    /// Where.
    pub place: Place,
    /// JSON text.
    pub value: String,
    /// What must be there now.
    pub condition: Condition,
    /// 0 none, 1 owner, 2 everybody.
    pub read: i16,
    /// 0 none, 1 owner.
    pub write: i16,
}

/// What must be there for a write or a delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Anything or nothing.
    Any,
    /// Nothing. The version `*`.
    Absent,
    /// An object of this version.
    Version(String),
}

impl Condition {
    /// The condition that a client or module gives as a version.
    pub fn of(version: Option<String>) -> Self {
        match version.as_deref() {
            None | Some("") => Self::Any,
            Some("*") => Self::Absent,
            Some(version) => Self::Version(version.to_owned()),
        }
    }
}

/// The objects at `places` that are there and may be read, in that order, each once.
///
/// # Errors
/// A fault of the database.
pub async fn read(cx: &Cx, access: Access, places: &[Place]) -> Result<Vec<StorageObject>> {
    let reader = match access {
        Access::Server => None,
        Access::User(user) => Some(user),
    };
    let rows = match places {
        [] => return Ok(Vec::new()),
        [Place { collection, key, owner }] => {
            cx.db.query(READ_ONE, &[collection, key, owner, &reader]).await
        }
        places => {
            let mut seen = HashSet::new();
            let mut columns = (Vec::new(), Vec::new(), Vec::new());
            for place in places.iter().filter(|place| seen.insert(*place)) {
                columns.0.push(&place.collection);
                columns.1.push(&place.key);
                columns.2.push(place.owner);
            }
            cx.db.query(READ, &[&columns.0, &columns.1, &columns.2, &reader]).await
        }
    };
    rows.or_fault(READING)?.iter().map(object).collect::<Result<_, _>>().or_fault(READING)
}

/// Writes all of `writes` or none, and acknowledges them in their order.
///
/// # Errors
/// `InvalidArgument` where a version is not met or a permission lacks.
pub async fn write(cx: &Cx, access: Access, writes: &[Write]) -> Result<Vec<StorageObjectAck>> {
    match writes {
        [] => Ok(Vec::new()),
        // One statement is a transaction of its own.
        [one] => write_one(&cx.db, access, one).await.map(|ack| vec![ack]),
        writes => {
            let order = ordered(writes, |write| &write.place);
            let acks = cx
                .db
                .transaction(async |sql| {
                    let mut acks = Vec::with_capacity(order.len());
                    for part in order.chunks(PIPELINE) {
                        let part = part.iter().map(|at| write_one(sql, access, &writes[*at]));
                        acks.extend(try_join_all(part).await?);
                    }
                    Ok::<_, guildhall_core::Error>(acks)
                })
                .await?;
            let mut acks: Vec<_> = order.iter().zip(acks).collect();
            acks.sort_by_key(|(at, _)| **at);
            Ok(acks.into_iter().map(|(_, ack)| ack).collect())
        }
    }
}

async fn write_one(sql: &impl Sql, access: Access, write: &Write) -> Result<StorageObjectAck> {
    let Write { place, value, condition, read, write } = write;
    let Place { collection, key, owner } = place;
    let version = version(value);
    let server = access == Access::Server;
    let row = match condition {
        Condition::Any => {
            let params: Params<'_> =
                &[collection, key, owner, value, &version, read, write, &server];
            let row = sql.opt(WRITE, params).await.or_fault(WRITING)?;
            row.ok_or(PERMISSION_REJECTED)?
        }
        Condition::Absent => {
            let params: Params<'_> = &[collection, key, owner, value, &version, read, write];
            let row = sql.opt(WRITE_NEW, params).await.or_fault(WRITING)?;
            row.ok_or(VERSION_REJECTED)?
        }
        Condition::Version(expected) => {
            let params: Params<'_> =
                &[collection, key, owner, value, &version, read, write, &server, expected];
            let row = sql.opt(WRITE_OVER, params).await.or_fault(WRITING)?;
            let row = row.ok_or(VERSION_REJECTED)?;
            if row.try_get::<_, bool>("forbidden").or_fault(WRITING)? {
                return Err(PERMISSION_REJECTED.into());
            }
            if row.try_get::<_, Option<DateTime<Utc>>>("update_time").or_fault(WRITING)?.is_none() {
                return Err(VERSION_REJECTED.into());
            }
            row
        }
    };
    Ok(StorageObjectAck {
        collection: collection.clone(),
        key: key.clone(),
        version,
        user_id: owner.to_string(),
        create_time: Some(time(&row, "create_time").or_fault(WRITING)?),
        update_time: Some(time(&row, "update_time").or_fault(WRITING)?),
    })
}

/// Deletes all of these objects or none. One that is not there is no error for the server, unless
/// it gives a version.
///
/// # Errors
/// `InvalidArgument` where an object is not there, a version is not met or a permission lacks.
pub async fn delete(cx: &Cx, access: Access, deletes: &[(Place, Condition)]) -> Result<()> {
    match deletes {
        [] => Ok(()),
        [one] => delete_one(&cx.db, access, one).await,
        deletes => {
            let order = ordered(deletes, |(place, _)| place);
            cx.db
                .transaction(async |sql| {
                    for part in order.chunks(PIPELINE) {
                        let part = part.iter().map(|at| delete_one(sql, access, &deletes[*at]));
                        try_join_all(part).await?;
                    }
                    Ok(())
                })
                .await
        }
    }
}

async fn delete_one(
    sql: &impl Sql,
    access: Access,
    (place, condition): &(Place, Condition),
) -> Result<()> {
    let Place { collection, key, owner } = place;
    let server = access == Access::Server;
    let version = match condition {
        Condition::Any => None,
        // No object has this version.
        Condition::Absent => Some("*"),
        Condition::Version(version) => Some(version.as_str()),
    };
    let deleted = sql.execute(DELETE, &[collection, key, owner, &server, &version]).await;
    let deleted = deleted.or_fault(DELETING)?;
    if deleted == 0 && !(server && version.is_none()) {
        return Err(DELETE_REJECTED.into());
    }
    Ok(())
}

/// The indices of `items` in the order of their places: batches over the same objects that all go
/// by it cannot deadlock.
fn ordered<T>(items: &[T], place: impl Fn(&T) -> &Place) -> Vec<usize> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    // Stable, so that the last of several writes of one object counts.
    order.sort_by(|a, b| place(&items[*a]).cmp(place(&items[*b])));
    order
}

/// The version of an object with this value: the MD5 of its text as it was sent.
fn version(value: &str) -> String {
    hex::encode(Md5::digest(value))
}

fn object(row: &Row) -> Result<StorageObject, DbError> {
    Ok(StorageObject {
        collection: row.try_get("collection")?,
        key: row.try_get("key")?,
        user_id: row.try_get::<_, Uuid>("user_id")?.to_string(),
        value: row.try_get("value")?,
        version: row.try_get("version")?,
        permission_read: i32::from(row.try_get::<_, i16>("read")?),
        permission_write: i32::from(row.try_get::<_, i16>("write")?),
        create_time: Some(time(row, "create_time")?),
        update_time: Some(time(row, "update_time")?),
    })
}

fn time(row: &Row, column: &str) -> Result<Timestamp, DbError> {
    let time: DateTime<Utc> = row.try_get(column)?;
    Ok(Timestamp::from_seconds(time.timestamp()))
}

/// $1 collection, $2 key, $3 owner, $4 reader or null for the server. Reads the primary key.
const READ_ONE: &str = "
    SELECT collection, key, user_id, value::text AS value, version, read, write, create_time,
           update_time
      FROM storage
     WHERE collection = $1 AND key = $2 AND user_id = $3
       AND ($4::uuid IS NULL OR read = 2 OR (read = 1 AND user_id = $4))";

/// $1 collections, $2 keys, $3 owners, $4 reader or null for the server. Reads the primary key.
const READ: &str = "
    SELECT s.collection, s.key, s.user_id, s.value::text AS value, s.version, s.read, s.write,
           s.create_time, s.update_time
      FROM unnest($1::text[], $2::text[], $3::uuid[]) WITH ORDINALITY
           AS p (collection, key, user_id, place)
      JOIN storage s ON s.collection = p.collection AND s.key = p.key AND s.user_id = p.user_id
     WHERE $4::uuid IS NULL OR s.read = 2 OR (s.read = 1 AND s.user_id = $4)
     ORDER BY p.place";

/// $1 collection, $2 key, $3 owner, $4 value, $5 version, $6 read and $7 write permission,
/// $8 whether the server writes. Gives a row unless the object may not be written by its owner.
/// An object that is so already keeps its time.
const WRITE: &str = "
    INSERT INTO storage AS s
           (collection, key, user_id, value, version, read, write, create_time, update_time)
    VALUES ($1, $2, $3, $4::text::jsonb, $5, $6, $7, now(), now())
    ON CONFLICT (collection, key, user_id) DO UPDATE
       SET value = excluded.value, version = excluded.version,
           read = excluded.read, write = excluded.write,
           update_time = CASE
               WHEN s.version = excluded.version AND s.read = excluded.read
                    AND s.write = excluded.write THEN s.update_time
               ELSE now() END
     WHERE $8::bool OR s.write = 1
    RETURNING create_time, update_time";

/// $1 collection, $2 key, $3 owner, $4 value, $5 version, $6 read and $7 write permission. Gives a
/// row unless the object is there.
const WRITE_NEW: &str = "
    INSERT INTO storage
           (collection, key, user_id, value, version, read, write, create_time, update_time)
    VALUES ($1, $2, $3, $4::text::jsonb, $5, $6, $7, now(), now())
    ON CONFLICT (collection, key, user_id) DO NOTHING
    RETURNING create_time, update_time";

/// $1 collection, $2 key, $3 owner, $4 value, $5 version, $6 read and $7 write permission,
/// $8 whether the server writes, $9 the version that must be there. Gives a row if the object is
/// there, with the times only if it was written. Reads the primary key.
const WRITE_OVER: &str = "
    WITH written AS (
        UPDATE storage
           SET value = $4::text::jsonb, version = $5, read = $6, write = $7, update_time = now()
         WHERE collection = $1 AND key = $2 AND user_id = $3
           AND version = $9 AND ($8::bool OR write = 1)
        RETURNING create_time, update_time
    )
    SELECT NOT $8::bool AND s.write <> 1 AS forbidden, w.create_time, w.update_time
      FROM storage s LEFT JOIN written w ON true
     WHERE s.collection = $1 AND s.key = $2 AND s.user_id = $3";

/// $1 collection, $2 key, $3 owner, $4 whether the server deletes, $5 the version that must be
/// there or null. Reads the primary key.
const DELETE: &str = "
    DELETE FROM storage
     WHERE collection = $1 AND key = $2 AND user_id = $3
       AND ($4::bool OR write > 0) AND ($5::text IS NULL OR version = $5)";

/// The host functions.
pub mod nk {
    use guildhall_core::Error;
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};
    use serde_json::Value;

    use super::*;
    use crate::{
        host::{HostFn, Language, Origin, Returns},
        resources::{object_text, object_value, raised},
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
        value: Value,
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
    }

    /// An object that a module writes. Any permission that the database takes is taken.
    #[derive(Debug, Deserialize, JsonSchema)]
    #[schemars(rename = "StorageWriteRequest")]
    pub struct WriteRequest {
        collection: String,
        key: String,
        #[serde(default)]
        user_id: Option<Uuid>,
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

    /// `nk.storage_write(objects)`
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct StorageWrite {
        objects: Vec<WriteRequest>,
    }

    impl HostFn for StorageWrite {
        const NAME: &'static str = "storage_write";
        type Output = Vec<Ack>;
        async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<Vec<Ack>> {
            let mut writes = Vec::with_capacity(self.objects.len());
            for object in self.objects {
                let value = object_text(origin, &object.value).ok_or(VALUE)?;
                writes.push(Write {
                    place: place(object.collection, object.key, object.user_id)?,
                    value,
                    condition: condition(object.version)?,
                    read: object.permission_read,
                    write: object.permission_write,
                });
            }
            const DOING: &str = "failed to write storage objects";
            let acks = write(cx, Access::Server, &writes).await;
            let shown = |ack: StorageObjectAck| Ack {
                key: ack.key,
                collection: ack.collection,
                user_id: ack.user_id,
                version: ack.version,
            };
            let acks = acks.map_err(|error| failed(DOING, error))?;
            Ok(acks.into_iter().map(shown).collect())
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

    /// `nk.storage_delete(object_ids)`
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct StorageDelete {
        object_ids: Vec<DeleteRequest>,
    }

    impl HostFn for StorageDelete {
        const NAME: &'static str = "storage_delete";
        const RETURNS: Returns = Returns::Nothing;
        type Output = ();
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
            let mut deletes = Vec::with_capacity(self.object_ids.len());
            for object in self.object_ids {
                let place = place(object.collection, object.key, object.user_id)?;
                deletes.push((place, condition(object.version)?));
            }
            let done = delete(cx, Access::Server, &deletes).await;
            done.map_err(|error| failed("failed to remove storage", error))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(collection: &str, key: &str, owner: u128) -> Place {
        Place { collection: collection.into(), key: key.into(), owner: Uuid::from_u128(owner) }
    }

    #[test]
    fn batches_go_by_collection_key_and_owner_and_keep_the_order_of_equals() {
        let places =
            [at("b", "a", 1), at("a", "b", 2), at("a", "b", 1), at("a", "a", 9), at("a", "b", 1)];
        assert_eq!(ordered(&places, |place| place), [3, 2, 4, 1, 0]);
    }

    #[test]
    fn the_version_is_the_md5_of_the_text() {
        // From the conformance case runtime-js/storage_versions.
        assert_eq!(version(r#"{"n":1}"#), "082c26c8a6bc75226a31da5495cc9292");
    }

    #[test]
    fn a_star_asks_for_absence_and_nothing_asks_for_nothing() {
        assert_eq!(Condition::of(None), Condition::Any);
        assert_eq!(Condition::of(Some(String::new())), Condition::Any);
        assert_eq!(Condition::of(Some("*".into())), Condition::Absent);
        assert_eq!(Condition::of(Some("v".into())), Condition::Version("v".into()));
    }
}
