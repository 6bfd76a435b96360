//! Storage objects: JSON documents in collections, owned by a user or by the system.

mod gather;
pub mod nk;
mod write;

use std::collections::HashSet;

use guildhall_core::{Caller, Code, Cursor as _, OrFault, Result, Status, json};
use guildhall_proto::{
    Empty,
    api::{
        DeleteStorageObjectsRequest, ListStorageObjectsRequest, ReadStorageObjectsRequest,
        StorageObject, StorageObjectAcks, StorageObjectList, StorageObjects,
        WriteStorageObjectsRequest,
    },
};
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use uuid::Uuid;

pub use self::{
    gather::Batches,
    write::{delete, delete_in, write, write_in},
};
use crate::{
    cx::Cx,
    database::{Database, DbError, Sql},
    endpoint::Body,
    endpoints,
    resources::whole_seconds,
};

endpoints! {
    /// Writes objects of the caller, all or none.
    Put "/v2/storage" => WriteStorageObjects(WriteStorageObjectsRequest) -> StorageObjectAcks
        { auth: Session, body: Body::Whole, handle: write_objects }

    /// Reads the objects that the caller may read.
    Post "/v2/storage" => ReadStorageObjects(ReadStorageObjectsRequest) -> StorageObjects
        { auth: Session, body: Body::Whole, handle: read_objects }

    /// Deletes objects of the caller, all or none.
    Put "/v2/storage/delete" => DeleteStorageObjects(DeleteStorageObjectsRequest) -> Empty
        { auth: Session, body: Body::Whole, handle: delete_objects }

    /// Lists the objects of a collection, or of one user in it, that the caller may read.
    Get "/v2/storage/{collection}" | Get "/v2/storage/{collection}/{user_id}"
        => ListStorageObjects(ListStorageObjectsRequest) -> StorageObjectList
        { auth: Session, body: Body::None, handle: list_objects }
}

const NO_PLACE: Status = Status::new(
    Code::InvalidArgument,
    "Invalid collection or key value supplied. They must be set.",
);
const READ_PERMISSION: Status = Status::new(
    Code::InvalidArgument,
    "Invalid Read permission supplied. It must be either 0, 1 or 2.",
);
const WRITE_PERMISSION: Status = Status::new(
    Code::InvalidArgument,
    "Invalid Write permission supplied. It must be either 0 or 1.",
);
const NO_OBJECT: Status = Status::new(Code::InvalidArgument, "Value must be a JSON object.");
const INVALID_USER: Status =
    Status::new(Code::InvalidArgument, "Invalid user ID - make sure user ID is a valid UUID.");
const INVALID_LIMIT: Status =
    Status::new(Code::InvalidArgument, "Invalid limit - limit must be between 1 and 100.");
const MALFORMED_CURSOR: Status = Status::new(Code::InvalidArgument, "Malformed cursor was used.");

const READING: &str = "Error reading storage objects.";
const LISTING: &str = "Error listing storage objects.";

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
        match version {
            Some(version) if version == "*" => Self::Absent,
            Some(version) if !version.is_empty() => Self::Version(version),
            _ => Self::Any,
        }
    }
}

async fn write_objects(
    cx: &Cx,
    caller: &mut Caller,
    request: WriteStorageObjectsRequest,
) -> Result<StorageObjectAcks> {
    let owner = caller.user_id();
    let mut writes = Vec::with_capacity(request.objects.len());
    for object in request.objects {
        if object.collection.is_empty() || object.key.is_empty() || object.value.is_empty() {
            return Err(NO_PLACE.into());
        }
        let read = match object.permission_read {
            None => 1,
            Some(read @ 0..=2) => read as i16,
            Some(_) => return Err(READ_PERMISSION.into()),
        };
        let write = match object.permission_write {
            None => 1,
            Some(write @ 0..=1) => write as i16,
            Some(_) => return Err(WRITE_PERMISSION.into()),
        };
        if !json::is_object(&object.value) {
            return Err(NO_OBJECT.into());
        }
        writes.push(Write {
            place: Place { collection: object.collection, key: object.key, owner },
            value: object.value,
            condition: Condition::of(Some(object.version)),
            read,
            write,
        });
    }
    Ok(StorageObjectAcks { acks: write(cx, Access::User(owner), &writes).await? })
}

async fn read_objects(
    cx: &Cx,
    caller: &mut Caller,
    request: ReadStorageObjectsRequest,
) -> Result<StorageObjects> {
    let mut places = Vec::with_capacity(request.object_ids.len());
    for id in request.object_ids {
        if id.collection.is_empty() || id.key.is_empty() {
            return Err(NO_PLACE.into());
        }
        let owner = match id.user_id.as_str() {
            "" => Uuid::nil(),
            text => match Uuid::parse_str(text) {
                Ok(owner) if !owner.is_nil() => owner,
                _ => return Err(INVALID_USER.into()),
            },
        };
        places.push(Place { collection: id.collection, key: id.key, owner });
    }
    Ok(StorageObjects { objects: read(cx, Access::User(caller.user_id()), &places).await? })
}

async fn delete_objects(
    cx: &Cx,
    caller: &mut Caller,
    request: DeleteStorageObjectsRequest,
) -> Result<Empty> {
    let owner = caller.user_id();
    let mut deletes = Vec::with_capacity(request.object_ids.len());
    for id in request.object_ids {
        if id.collection.is_empty() || id.key.is_empty() {
            return Err(NO_PLACE.into());
        }
        // To a delete the version `*` is a version like any other, which no object has.
        let condition = match id.version {
            version if version.is_empty() => Condition::Any,
            version => Condition::Version(version),
        };
        deletes.push((Place { collection: id.collection, key: id.key, owner }, condition));
    }
    delete(cx, Access::User(owner), &deletes).await?;
    Ok(Empty {})
}

async fn list_objects(
    cx: &Cx,
    caller: &mut Caller,
    request: ListStorageObjectsRequest,
) -> Result<StorageObjectList> {
    let limit = match request.limit {
        None => 1,
        Some(limit @ 1..=100) => i64::from(limit),
        Some(_) => return Err(INVALID_LIMIT.into()),
    };
    let owner = match request.user_id.as_str() {
        "" => None,
        text => Some(Uuid::parse_str(text).map_err(|_| INVALID_USER)?),
    };
    let access = Access::User(caller.user_id());
    list(cx, access, &request.collection, owner, limit, &request.cursor).await
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

/// The last object of a page. It names no collection and no owner, so that one made for a whole
/// collection goes on in the list of a user, as in the reference.
#[derive(Debug, Serialize, Deserialize)]
struct Position {
    read: i16,
    key: String,
    owner: Uuid,
}

impl guildhall_core::Cursor for Position {
    const LIST: &'static str = "storage";
}

/// Up to `limit` objects of a collection, of all owners or of one, that may be read: by read
/// permission, key and owner. A user sees what is public, and of its own what it may read.
///
/// # Errors
/// `InvalidArgument` for what is no cursor of this list; a fault of the database.
pub async fn list(
    cx: &Cx,
    access: Access,
    collection: &str,
    owner: Option<Uuid>,
    limit: i64,
    cursor: &str,
) -> Result<StorageObjectList> {
    let after = match cursor {
        "" => Position { read: -1, key: String::new(), owner: Uuid::nil() },
        cursor => match Position::decode(cursor) {
            Some(position) if !position.key.contains('\0') => position,
            _ => return Err(MALFORMED_CURSOR.into()),
        },
    };
    // The permissions that objects may have to be shown.
    let (least, most): (i16, i16) = match (access, owner) {
        (Access::Server, _) => (0, i16::MAX),
        (Access::User(_), None) => (2, i16::MAX),
        (Access::User(reader), Some(owner)) if reader == owner => (1, i16::MAX),
        (Access::User(_), Some(_)) => (2, 2),
    };
    let rows = limit.saturating_add(1);
    let Position { read, key, owner: last } = &after;
    let rows = match owner {
        None => cx.db.query(LIST, &[&collection, &least, read, key, last, &rows]).await,
        Some(owner) => {
            cx.db.query(LIST_OWN, &[&collection, &owner, &least, &most, read, key, &rows]).await
        }
    };
    let objects = rows.or_fault(LISTING)?.iter().map(object).collect::<Result<Vec<_>, _>>();
    let mut objects = objects.or_fault(LISTING)?;
    // Without a limit to speak of there is one object and no cursor, as in the reference.
    let shown = usize::try_from(limit.max(1)).unwrap_or(usize::MAX);
    let mut cursor = String::new();
    if objects.len() > shown {
        objects.truncate(shown);
        if let Some(last) = objects.last() {
            cursor = Position {
                read: last.permission_read as i16,
                key: last.key.clone(),
                owner: last.user_id.parse().or_fault(LISTING)?,
            }
            .encode();
        }
    }
    Ok(StorageObjectList { objects, cursor })
}

/// All objects of an owner, by collection and key.
///
/// # Errors
/// A fault of the database.
pub async fn all_of(sql: &impl Sql, owner: Uuid) -> Result<Vec<StorageObject>> {
    let rows = sql.query(ALL_OF, &[&owner]).await.or_fault(READING)?;
    rows.iter().map(object).collect::<Result<_, _>>().or_fault(READING)
}

/// The rows of the objects at `places` that are there, for [`object`].
///
/// # Errors
/// The database's.
pub(super) async fn rows(db: &Database, places: &[Place]) -> Result<Vec<Row>, DbError> {
    let collections: Vec<&str> = places.iter().map(|place| place.collection.as_str()).collect();
    let keys: Vec<&str> = places.iter().map(|place| place.key.as_str()).collect();
    let owners: Vec<Uuid> = places.iter().map(|place| place.owner).collect();
    db.query(READ, &[&collections, &keys, &owners, &None::<Uuid>]).await
}

/// Up to `limit` rows of a collection, of all keys or of one, by key and owner behind `after`.
///
/// # Errors
/// The database's.
pub(super) async fn rows_after(
    db: &Database,
    collection: &str,
    key: Option<&str>,
    (last_key, last_owner): &(String, Uuid),
    limit: i64,
) -> Result<Vec<Row>, DbError> {
    match key {
        None => db.query(SCAN, &[&collection, last_key, last_owner, &limit]).await,
        Some(key) => {
            // Before the first page no owner was met; the system's id is the least.
            let first = last_key.is_empty();
            db.query(SCAN_KEY, &[&collection, &key, last_owner, &first, &limit]).await
        }
    }
}

/// The object in a row.
///
/// # Errors
/// [`DbError`] for a row of another shape.
pub(super) fn object(row: &Row) -> Result<StorageObject, DbError> {
    Ok(StorageObject {
        collection: row.try_get("collection")?,
        key: row.try_get("key")?,
        user_id: row.try_get::<_, Uuid>("user_id")?.to_string(),
        value: row.try_get("value")?,
        version: row.try_get("version")?,
        permission_read: i32::from(row.try_get::<_, i16>("read")?),
        permission_write: i32::from(row.try_get::<_, i16>("write")?),
        create_time: Some(whole_seconds(row, "create_time")?),
        update_time: Some(whole_seconds(row, "update_time")?),
    })
}

/// The columns that [`object`] reads.
macro_rules! object_columns {
    () => {
        "SELECT s.collection, s.key, s.user_id, s.value::text AS value, s.version, s.read, s.write,
                s.create_time, s.update_time"
    };
}

/// $1 collection, $2 key, $3 owner, $4 reader or null for the server. Reads the primary key.
const READ_ONE: &str = concat!(
    object_columns!(),
    " FROM storage s
     WHERE s.collection = $1 AND s.key = $2 AND s.user_id = $3
       AND ($4::uuid IS NULL OR s.read = 2 OR (s.read = 1 AND s.user_id = $4))"
);

/// $1 owner. Reads storage_auto_index_fk_user_id_ref_users.
const ALL_OF: &str = "
    SELECT collection, key, user_id, value::text AS value, version, read, write, create_time,
           update_time
      FROM storage
     WHERE user_id = $1
     ORDER BY collection, key";

/// $1 collections, $2 keys, $3 owners, $4 reader or null for the server. Reads the primary key.
const READ: &str = concat!(
    object_columns!(),
    " FROM unnest($1::text[], $2::text[], $3::uuid[]) WITH ORDINALITY
           AS p (collection, key, user_id, place)
      JOIN storage s ON s.collection = p.collection AND s.key = p.key AND s.user_id = p.user_id
     WHERE $4::uuid IS NULL OR s.read = 2 OR (s.read = 1 AND s.user_id = $4)
     ORDER BY p.place"
);

/// $1 collection, $2 least read permission, ($3, $4, $5) the last read permission, key and owner
/// before the page, $6 rows. Reads collection_read_key_user_id_idx.
const LIST: &str = concat!(
    object_columns!(),
    " FROM storage s
     WHERE s.collection = $1 AND s.read >= $2 AND (s.read, s.key, s.user_id) > ($3, $4, $5)
     ORDER BY s.read, s.key, s.user_id
     LIMIT $6"
);

/// $1 collection, $2 owner, $3 least and $4 most read permission, ($5, $6) the last read
/// permission and key before the page, $7 rows. Reads collection_user_id_read_key_idx.
const LIST_OWN: &str = concat!(
    object_columns!(),
    " FROM storage s
     WHERE s.collection = $1 AND s.user_id = $2 AND s.read BETWEEN $3 AND $4
       AND (s.read, s.key) > ($5, $6)
     ORDER BY s.read, s.key
     LIMIT $7"
);

/// $1 collection, ($2, $3) the last key and owner before the page, $4 rows. Reads the primary key.
const SCAN: &str = concat!(
    object_columns!(),
    " FROM storage s
     WHERE s.collection = $1 AND (s.key, s.user_id) > ($2, $3)
     ORDER BY s.key, s.user_id
     LIMIT $4"
);

/// $1 collection, $2 key, $3 the last owner before the page, $4 whether that owner is on the page,
/// $5 rows. Reads the primary key.
const SCAN_KEY: &str = concat!(
    object_columns!(),
    " FROM storage s
     WHERE s.collection = $1 AND s.key = $2 AND s.user_id >= $3 AND ($4 OR s.user_id <> $3)
     ORDER BY s.user_id
     LIMIT $5"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_asks_for_absence_and_nothing_asks_for_nothing() {
        assert_eq!(Condition::of(None), Condition::Any);
        assert_eq!(Condition::of(Some(String::new())), Condition::Any);
        assert_eq!(Condition::of(Some("*".into())), Condition::Absent);
        assert_eq!(Condition::of(Some("v".into())), Condition::Version("v".into()));
    }
}
