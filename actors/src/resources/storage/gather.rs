//! Writes of single objects, gathered: what is written at the same time goes in one statement.
//!
//! There is a batcher for each statement: what may be there or not, by its owner or by the server;
//! what must not be there; and what must have a version.

use std::cmp::Ordering;

use guildhall_core::{Error, Result, Status, config};
use guildhall_proto::api::StorageObjectAck;
use tokio::runtime::Handle;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    Access, Condition, Write,
    write::{
        PERMISSION_REJECTED, VERSION_REJECTED, WRITING, acknowledged, condition_met, version,
        write_one,
    },
};
use crate::{
    batch::{Batch, Batcher},
    database::{Database, DbError, Params, Sql},
};

/// The largest value that is gathered, in bytes: larger ones are not small writes.
const MAX_VALUE: usize = 16 * 1024;

/// The batchers of writes of single objects.
#[derive(Debug)]
pub struct Batches {
    own: Batcher<Writes>,
    server: Batcher<Writes>,
    new: Batcher<Writes>,
    over: Batcher<Writes>,
}

impl Batches {
    /// Batchers on `db`.
    pub fn new(config: &config::Batch, db: &Database, io: &Handle) -> Self {
        let batcher = |writes| Batcher::new(writes, config, db.clone(), io.clone());
        Self {
            own: batcher(Writes::Own),
            server: batcher(Writes::Server),
            new: batcher(Writes::New),
            over: batcher(Writes::Over),
        }
    }

    /// Writes one object, among others where there are any.
    ///
    /// # Errors
    /// As [`super::write()`].
    pub(super) async fn write(
        &self,
        db: &Database,
        access: Access,
        write: &Write,
    ) -> Result<StorageObjectAck> {
        if write.value.len() > MAX_VALUE {
            return write_one(db, access, write).await;
        }
        let item = Item { access, version: version(&write.value), write: write.clone() };
        let outcome = match (&item.write.condition, access) {
            (Condition::Any, Access::User(_)) => self.own.run(item).await,
            (Condition::Any, Access::Server) => self.server.run(item).await,
            (Condition::Absent, _) => self.new.run(item).await,
            (Condition::Version(_), _) => self.over.run(item).await,
        };
        outcome?.map_err(Error::from)
    }
}

/// A write that is to be done.
struct Item {
    access: Access,
    write: Write,
    /// Of the new value.
    version: String,
}

/// What became of a write: its acknowledgement, or why it was rejected.
type Outcome = Result<StorageObjectAck, Status>;

impl Item {
    fn expected(&self) -> Option<&str> {
        match &self.write.condition {
            Condition::Version(version) => Some(version),
            Condition::Any | Condition::Absent => None,
        }
    }

    fn acknowledged(&self, row: &Row) -> Result<Outcome, DbError> {
        acknowledged(&self.write.place, self.version.clone(), row).map(Ok)
    }
}

/// The fields of the items of a batch, each an array.
struct Columns<'a> {
    collections: Vec<&'a str>,
    keys: Vec<&'a str>,
    owners: Vec<Uuid>,
    values: Vec<&'a str>,
    versions: Vec<&'a str>,
    reads: Vec<i16>,
    writes: Vec<i16>,
}

impl<'a> Columns<'a> {
    fn of(items: &'a [Item]) -> Self {
        Self {
            collections: items.iter().map(|item| item.write.place.collection.as_str()).collect(),
            keys: items.iter().map(|item| item.write.place.key.as_str()).collect(),
            owners: items.iter().map(|item| item.write.place.owner).collect(),
            values: items.iter().map(|item| item.write.value.as_str()).collect(),
            versions: items.iter().map(|item| item.version.as_str()).collect(),
            reads: items.iter().map(|item| item.write.read).collect(),
            writes: items.iter().map(|item| item.write.write).collect(),
        }
    }
}

/// The outcomes of `items`, of which those were written that have one of `rows`, in the same order.
fn outcomes(
    items: &[Item],
    rows: &[Row],
    rejected: &Status,
) -> Result<Vec<Option<Outcome>>, DbError> {
    let mut rows = rows.iter().peekable();
    let mut outcomes = Vec::with_capacity(items.len());
    for item in items {
        let place = &item.write.place;
        let written = match rows.peek() {
            Some(row) => {
                row.try_get::<_, Uuid>("user_id")? == place.owner
                    && row.try_get::<_, &str>("key")? == place.key
                    && row.try_get::<_, &str>("collection")? == place.collection
            }
            None => false,
        };
        outcomes.push(Some(match rows.next_if(|_| written) {
            Some(row) => item.acknowledged(row)?,
            None => Err(rejected.clone()),
        }));
    }
    Ok(outcomes)
}

/// The statements, and with them what the writes of one batch have in common.
#[derive(Clone, Copy)]
enum Writes {
    /// Of what may be there or not, by its owner.
    Own,
    /// The same by the server.
    Server,
    /// Of what must not be there.
    New,
    /// Of what must have a version.
    Over,
}

impl Batch for Writes {
    type Item = Item;
    type Outcome = Outcome;
    const DOING: &'static str = WRITING;

    fn order(a: &Item, b: &Item) -> Ordering {
        a.write.place.cmp(&b.write.place)
    }

    async fn one(&self, db: &Database, item: &Item) -> Result<Outcome> {
        write_one(db, item.access, &item.write).await.map(Ok)
    }

    async fn many(&self, db: &Database, items: &[Item]) -> Result<Vec<Option<Outcome>>, DbError> {
        let Columns { collections, keys, owners, values, versions, reads, writes } =
            Columns::of(items);
        let common: Params<'_> =
            &[&collections, &keys, &owners, &values, &versions, &reads, &writes];
        match self {
            Self::Own | Self::Server => {
                let server = matches!(self, Self::Server);
                let rows = db.query(WRITE, &[common, &[&server]].concat()).await?;
                outcomes(items, &rows, &PERMISSION_REJECTED)
            }
            Self::New => {
                let rows = db.query(WRITE_NEW, common).await?;
                outcomes(items, &rows, &VERSION_REJECTED)
            }
            Self::Over => {
                let by_server = |item: &Item| item.access == Access::Server;
                let server: Vec<bool> = items.iter().map(by_server).collect();
                let expected: Vec<Option<&str>> = items.iter().map(Item::expected).collect();
                let params = [common, &[&server, &expected]].concat();
                overwritten(items, &db.query(WRITE_OVER, &params).await?)
            }
        }
    }
}

/// The outcomes of `items` that must have a version: those that are not there have no row.
fn overwritten(items: &[Item], rows: &[Row]) -> Result<Vec<Option<Outcome>>, DbError> {
    let mut outcomes: Vec<Option<Outcome>> =
        items.iter().map(|_| Some(Err(VERSION_REJECTED))).collect();
    for row in rows {
        let at = usize::try_from(row.try_get::<_, i64>("place")? - 1).unwrap_or(usize::MAX);
        if let (Some(outcome), Some(item)) = (outcomes.get_mut(at), items.get(at)) {
            *outcome = Some(match condition_met(row)? {
                Ok(()) => item.acknowledged(row)?,
                Err(rejected) => Err(rejected),
            });
        }
    }
    Ok(outcomes)
}

/// $1 collections, $2 keys, $3 owners, $4 values, $5 versions, $6 read and $7 write permissions,
/// $8 whether the server writes. Gives a row, in the same order, for each object but those that may
/// not be written by their owners. An object that is so already keeps its time.
const WRITE: &str = "
    INSERT INTO storage AS s
           (collection, key, user_id, value, version, read, write, create_time, update_time)
    SELECT i.collection, i.key, i.user_id, i.value::jsonb, i.version, i.read, i.write, now(), now()
      FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::int2[], $7::int2[])
           AS i (collection, key, user_id, value, version, read, write)
    ON CONFLICT (collection, key, user_id) DO UPDATE
       SET value = excluded.value, version = excluded.version,
           read = excluded.read, write = excluded.write,
           update_time = CASE
               WHEN s.version = excluded.version AND s.read = excluded.read
                    AND s.write = excluded.write THEN s.update_time
               ELSE now() END
     WHERE $8::bool OR s.write = 1
    RETURNING collection, key, user_id, create_time, update_time";

/// $1 collections, $2 keys, $3 owners, $4 values, $5 versions, $6 read and $7 write permissions.
/// Gives a row, in the same order, for each object but those that are there.
const WRITE_NEW: &str = "
    INSERT INTO storage
           (collection, key, user_id, value, version, read, write, create_time, update_time)
    SELECT i.collection, i.key, i.user_id, i.value::jsonb, i.version, i.read, i.write, now(), now()
      FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::int2[], $7::int2[])
           AS i (collection, key, user_id, value, version, read, write)
    ON CONFLICT (collection, key, user_id) DO NOTHING
    RETURNING collection, key, user_id, create_time, update_time";

/// $1 collections, $2 keys, $3 owners, $4 values, $5 versions, $6 read and $7 write permissions,
/// $8 whether the server writes, $9 the versions that must be there. Gives the place, from 1, of
/// each object that is there, with the times only if it was written. Reads the primary key.
///
/// The rows are locked in their order before any is changed: an update alone would take them in
/// whatever order its plan has, so that two batches could deadlock.
const WRITE_OVER: &str = "
    WITH given AS MATERIALIZED (
        SELECT *
          FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::int2[],
                      $7::int2[], $8::bool[], $9::text[]) WITH ORDINALITY
               AS i (collection, key, user_id, value, version, read, write, server, expected, place)
    ), there AS MATERIALIZED (
        SELECT i.place, NOT i.server AND s.write <> 1 AS forbidden,
               s.version = i.expected AS expected
          FROM given i JOIN storage s
               ON s.collection = i.collection AND s.key = i.key AND s.user_id = i.user_id
         ORDER BY i.place
           FOR UPDATE OF s
    ), written AS (
        UPDATE storage s
           SET value = i.value::jsonb, version = i.version, read = i.read, write = i.write,
               update_time = now()
          FROM given i JOIN there t ON t.place = i.place AND t.expected AND NOT t.forbidden
         WHERE s.collection = i.collection AND s.key = i.key AND s.user_id = i.user_id
        RETURNING i.place, s.create_time, s.update_time
    )
    SELECT t.place, t.forbidden, w.create_time, w.update_time
      FROM there t LEFT JOIN written w ON w.place = t.place";
