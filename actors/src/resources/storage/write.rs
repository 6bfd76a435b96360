//! Writes and deletes of objects: each batch as a whole, in one order of places.

use chrono::{DateTime, Utc};
use futures_util::future::try_join_all;
use guildhall_core::{Code, Error, OrFault, Result, Status};
use guildhall_proto::{Timestamp, api::StorageObjectAck};
use md5::{Digest, Md5};
use tokio_postgres::Row;

use super::{Access, Condition, Place, Write};
use crate::{
    cx::Cx,
    database::{DbError, Params, Sql},
};

pub(super) const VERSION_REJECTED: Status =
    Status::new(Code::InvalidArgument, "Storage write rejected - version check failed.");
pub(super) const PERMISSION_REJECTED: Status =
    Status::new(Code::InvalidArgument, "Storage write rejected - permission denied.");
const DELETE_REJECTED: Status = Status::new(
    Code::InvalidArgument,
    "Storage delete rejected - not found, version check failed, or permission denied.",
);

pub(super) const WRITING: &str = "Error writing storage objects.";
const DELETING: &str = "Error deleting storage objects.";

/// Statements of a batch that are on their way at once.
const PIPELINE: usize = 30;

/// Writes all of `writes` or none, and acknowledges them in their order.
///
/// # Errors
/// `InvalidArgument` where a version is not met or a permission lacks.
pub async fn write(cx: &Cx, access: Access, writes: &[Write]) -> Result<Vec<StorageObjectAck>> {
    let indexing = cx.storage_index.begin(writes.iter().map(|write| &write.place));
    let acks = match writes {
        [] => Ok(Vec::new()),
        [one] => cx.batches.storage.write(&cx.db, access, one).await.map(|ack| vec![ack]),
        writes => cx.db.transaction(async |sql| write_in(sql, access, writes).await).await,
    }?;
    if let Some(indexing) = indexing {
        indexing.finish().await;
    }
    Ok(acks)
}

/// Writes all of `writes` within a transaction, and acknowledges them in their order. After an
/// error the transaction is to be rolled back. The storage indexes are the caller's to bring up to
/// date ([`StorageIndexes::begin`](crate::resources::storage_index::StorageIndexes::begin)).
///
/// # Errors
/// As [`write()`].
pub async fn write_in(
    sql: &impl Sql,
    access: Access,
    writes: &[Write],
) -> Result<Vec<StorageObjectAck>> {
    let order = ordered(writes, |write| &write.place);
    let mut acks = Vec::with_capacity(writes.len());
    for part in order.chunks(PIPELINE) {
        let part = part.iter().map(async |at| {
            let ack = write_one(sql, access, &writes[*at]).await?;
            Ok::<_, Error>((*at, ack))
        });
        acks.extend(try_join_all(part).await?);
    }
    acks.sort_by_key(|(at, _)| *at);
    Ok(acks.into_iter().map(|(_, ack)| ack).collect())
}

pub(super) async fn write_one(
    sql: &impl Sql,
    access: Access,
    write: &Write,
) -> Result<StorageObjectAck> {
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
            condition_met(&row).or_fault(WRITING)??;
            row
        }
    };
    acknowledged(place, version, &row).or_fault(WRITING)
}

/// Whether an object that was there met the condition of a version, by the row of [`WRITE_OVER`].
pub(super) fn condition_met(row: &Row) -> Result<Result<(), Status>, DbError> {
    let written: Option<DateTime<Utc>> = row.try_get("update_time")?;
    Ok(match (row.try_get("forbidden")?, written) {
        (true, _) => Err(PERMISSION_REJECTED),
        (false, None) => Err(VERSION_REJECTED),
        (false, Some(_)) => Ok(()),
    })
}

/// The acknowledgement of the object that was written into `row`.
pub(super) fn acknowledged(
    place: &Place,
    version: String,
    row: &Row,
) -> Result<StorageObjectAck, DbError> {
    Ok(StorageObjectAck {
        collection: place.collection.clone(),
        key: place.key.clone(),
        version,
        user_id: place.owner.to_string(),
        create_time: Some(instant(row, "create_time")?),
        update_time: Some(instant(row, "update_time")?),
    })
}

/// Deletes all of these objects or none. One that is not there is no error for the server, unless
/// it gives a version.
///
/// # Errors
/// `InvalidArgument` where an object is not there, a version is not met or a permission lacks.
pub async fn delete(cx: &Cx, access: Access, deletes: &[(Place, Condition)]) -> Result<()> {
    let indexing = cx.storage_index.begin(deletes.iter().map(|(place, _)| place));
    match deletes {
        [] => Ok(()),
        [one] => delete_one(&cx.db, access, one).await,
        deletes => cx.db.transaction(async |sql| delete_in(sql, access, deletes).await).await,
    }?;
    if let Some(indexing) = indexing {
        indexing.finish().await;
    }
    Ok(())
}

/// Deletes all of these objects within a transaction. After an error the transaction is to be
/// rolled back. The storage indexes are the caller's to bring up to date.
///
/// # Errors
/// As [`delete`].
pub async fn delete_in(
    sql: &impl Sql,
    access: Access,
    deletes: &[(Place, Condition)],
) -> Result<()> {
    let order = ordered(deletes, |(place, _)| place);
    for part in order.chunks(PIPELINE) {
        try_join_all(part.iter().map(|at| delete_one(sql, access, &deletes[*at]))).await?;
    }
    Ok(())
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
pub(super) fn version(value: &str) -> String {
    hex::encode(Md5::digest(value))
}

/// An instant to the microsecond, as acknowledgements tell it.
fn instant(row: &Row, column: &str) -> Result<Timestamp, DbError> {
    row.try_get::<_, DateTime<Utc>>(column).map(Timestamp::from).map_err(DbError::from)
}

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

#[cfg(test)]
mod tests {
    use uuid::Uuid;

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
}
