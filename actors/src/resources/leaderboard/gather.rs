//! Scores, gathered: those that are sent at the same time go in one statement.
//!
//! There is a batcher for each way in which a score meets the one before it, with metadata and
//! without. Scores that are taken off go alone, since a new record does not begin with them.

use std::{cmp::Ordering, slice, sync::Arc};

use guildhall_core::{OrFault as _, Result, config};
use guildhall_proto::api::LeaderboardRecord;
use tokio::runtime::Handle;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    boards::{Board, stamp, time_s},
    definition::{Operator, SortOrder},
    ranks::Stamp,
    records::{Submission, WRITING, columns, record},
};
use crate::{
    batch::{Batch, Batcher},
    database::{Database, DbError, Params, Sql},
};

/// The largest metadata that is gathered, in bytes: with larger ones it is no small write.
const MAX_METADATA: usize = 16 * 1024;

/// The batchers of scores.
#[derive(Debug)]
pub struct Batches {
    lowest: Pair,
    highest: Pair,
    last: Pair,
    sum: Pair,
}

/// One for scores without metadata and one for those with it.
#[derive(Debug)]
struct Pair {
    plain: Batcher<Scores>,
    described: Batcher<Scores>,
    /// For what is not gathered.
    large: Scores,
}

impl Batches {
    /// Batchers on `db`.
    pub fn new(config: &config::Batch, db: &Database, io: &Handle) -> Self {
        let batcher = |statement| Batcher::new(Scores(statement), config, db.clone(), io.clone());
        let pair = |plain, described| Pair {
            plain: batcher(plain),
            described: batcher(described),
            large: Scores(described),
        };
        Self {
            lowest: pair(LOWEST, LOWEST_WITH_METADATA),
            highest: pair(HIGHEST, HIGHEST_WITH_METADATA),
            last: pair(LAST, LAST_WITH_METADATA),
            sum: pair(SUM, SUM_WITH_METADATA),
        }
    }

    /// Writes one score, among others where there are any.
    ///
    /// # Errors
    /// A fault of the database, such as for a score that has no room; `ResourceExhausted`.
    pub(super) async fn write(&self, db: &Database, item: Item) -> Result<Written> {
        let operator = item.submission.operator.unwrap_or(item.board.operator);
        let pair = match (operator, item.board.sort_order) {
            (Operator::Best, SortOrder::Ascending) => &self.lowest,
            (Operator::Best, SortOrder::Descending) => &self.highest,
            (Operator::Set, _) => &self.last,
            (Operator::Increment, _) => &self.sum,
            (Operator::Decrement, _) => return take_off(db, &item).await,
        };
        match &item.submission.metadata {
            None => pair.plain.run(item).await,
            Some(metadata) if metadata.len() <= MAX_METADATA => pair.described.run(item).await,
            Some(_) => pair.large.one(db, &item).await,
        }
    }
}

/// A score that is to be written.
pub(super) struct Item {
    pub(super) board: Arc<Board>,
    /// The expiry of the period that it is for.
    pub(super) expiry_s: i64,
    pub(super) submission: Submission,
}

impl Item {
    fn place(&self) -> (Uuid, i64, &str) {
        (self.submission.owner, self.expiry_s, &self.board.id)
    }
}

/// A record as it is after a score.
pub(super) struct Written {
    pub(super) record: LeaderboardRecord,
    pub(super) stamp: Stamp,
    /// Whether the score changed anything.
    pub(super) changed: bool,
}

impl Written {
    fn of(item: &Item, row: &Row, changed: bool) -> Result<Self, DbError> {
        let record = record(row, &item.board.id, item.expiry_s)?;
        Ok(Self { record, stamp: stamp(row)?, changed })
    }
}

/// Scores that one statement writes.
#[derive(Debug)]
struct Scores(&'static str);

impl Batch for Scores {
    type Item = Item;
    type Outcome = Written;
    const DOING: &'static str = WRITING;

    /// By owner first, as the deletion of an account takes them.
    fn order(a: &Item, b: &Item) -> Ordering {
        a.place().cmp(&b.place())
    }

    async fn one(&self, db: &Database, item: &Item) -> Result<Written> {
        let item = slice::from_ref(item);
        let written = match write(db, self.0, item).await {
            // Somebody else has just made the very same record.
            Err(error) if error.unique_violation().is_some() => unchanged(db, item).await,
            other => other,
        };
        let written = written.or_fault(WRITING)?.pop().flatten();
        written.ok_or(DbError::NoRow).or_fault(WRITING)
    }

    async fn many(&self, db: &Database, items: &[Item]) -> Result<Vec<Option<Written>>, DbError> {
        write(db, self.0, items).await
    }
}

/// The records of `items` after `statement` has written their scores; `None` for one that was
/// deleted meanwhile.
async fn write(
    db: &Database,
    statement: &str,
    items: &[Item],
) -> Result<Vec<Option<Written>>, DbError> {
    let places = Places::of(items);
    let submissions = || items.iter().map(|item| &item.submission);
    let usernames: Vec<_> = submissions().map(|it| it.username.as_deref()).collect();
    let scores: Vec<_> = submissions().map(|it| it.score).collect();
    let subscores: Vec<_> = submissions().map(|it| it.subscore).collect();
    let metadata: Vec<_> = submissions().filter_map(|it| it.metadata.as_deref()).collect();
    let params: Params<'_> = &[
        &places.boards,
        &places.owners,
        &places.expiries,
        &usernames,
        &scores,
        &subscores,
        &metadata,
    ];
    let params = if metadata.is_empty() { &params[..6] } else { params };
    let rows = db.query(statement, params).await?;
    let mut written = matched(items, &rows, true)?;
    // What gave no row is as it was.
    let rest: Vec<usize> = (0..items.len()).filter(|at| written[*at].is_none()).collect();
    if !rest.is_empty() {
        let old = unchanged(db, items).await?;
        for (at, old) in old.into_iter().enumerate().filter(|(at, _)| rest.contains(at)) {
            written[at] = old;
        }
    }
    Ok(written)
}

/// The records of `items` as they are.
async fn unchanged(db: &Database, items: &[Item]) -> Result<Vec<Option<Written>>, DbError> {
    let Places { boards, owners, expiries } = Places::of(items);
    let rows = db.query(RECORDS_AT, &[&boards, &owners, &expiries]).await?;
    matched(items, &rows, false)
}

/// The places of the records of a batch, each column an array.
struct Places<'a> {
    boards: Vec<&'a str>,
    owners: Vec<Uuid>,
    expiries: Vec<chrono::DateTime<chrono::Utc>>,
}

impl<'a> Places<'a> {
    fn of(items: &'a [Item]) -> Self {
        Self {
            boards: items.iter().map(|item| item.board.id.as_str()).collect(),
            owners: items.iter().map(|item| item.submission.owner).collect(),
            expiries: items.iter().map(|item| time_s(item.expiry_s)).collect(),
        }
    }
}

/// The rows of `items`, which are in the same order; an item may lack one.
fn matched(items: &[Item], rows: &[Row], changed: bool) -> Result<Vec<Option<Written>>, DbError> {
    let mut rows = rows.iter().peekable();
    let mut matched = Vec::with_capacity(items.len());
    for item in items {
        let same = match rows.peek() {
            Some(row) => {
                let expiry: chrono::DateTime<chrono::Utc> = row.try_get("expiry_time")?;
                row.try_get::<_, Uuid>("owner_id")? == item.submission.owner
                    && row.try_get::<_, &str>("leaderboard_id")? == item.board.id
                    && expiry == time_s(item.expiry_s)
            }
            None => false,
        };
        let row = rows.next_if(|_| same);
        matched.push(row.map(|row| Written::of(item, row, changed)).transpose()?);
    }
    Ok(matched)
}

/// Takes a score off.
async fn take_off(db: &Database, item: &Item) -> Result<Written> {
    let Submission { owner, username, score, subscore, metadata, .. } = &item.submission;
    let expiry = time_s(item.expiry_s);
    let params: Params<'_> = &[&item.board.id, owner, &expiry, username, score, subscore, metadata];
    let row = match db.opt(REST, params).await {
        Err(error) if error.unique_violation().is_some() => None,
        other => other.or_fault(WRITING)?,
    };
    match row {
        Some(row) => Written::of(item, &row, true).or_fault(WRITING),
        None => {
            let old = unchanged(db, slice::from_ref(item)).await.or_fault(WRITING)?.pop().flatten();
            old.ok_or(DbError::NoRow).or_fault(WRITING)
        }
    }
}

/// Scores that are written: what comes of an earlier score and subscore (`r`), when that changes
/// anything, and the metadata of a new and of an earlier record. Gives the changed records, in the
/// order of the scores.
macro_rules! write {
    ($score:literal, $subscore:literal, $changes:literal) => {
        write!($score, $subscore, $changes, "'{}'", "r.metadata", "", "")
    };
    ($score:literal, $subscore:literal, $changes:literal, metadata) => {
        write!(
            $score,
            $subscore,
            $changes,
            "i.metadata::jsonb",
            "excluded.metadata",
            ", $7::text[]",
            ", metadata"
        )
    };
    (
        $score:literal, $subscore:literal, $changes:literal,
        $new:literal, $old:literal, $array:literal, $column:literal
    ) => {
        concat!(
            "INSERT INTO leaderboard_record AS r
                    (leaderboard_id, owner_id, expiry_time, username, score, subscore, metadata)
             SELECT i.leaderboard_id, i.owner_id, i.expiry_time, i.username, i.score, i.subscore, ",
            $new,
            "  FROM unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::text[], $5::int8[],
                           $6::int8[]",
            $array,
            ") AS i (leaderboard_id, owner_id, expiry_time, username, score, subscore",
            $column,
            ")
             ON CONFLICT (owner_id, leaderboard_id, expiry_time) DO UPDATE
                SET score = ",
            $score,
            ", subscore = ",
            $subscore,
            ", num_score = r.num_score + 1, metadata = ",
            $old,
            ", username = coalesce(excluded.username, r.username), update_time = now()
              WHERE ",
            $changes,
            " RETURNING r.leaderboard_id, r.expiry_time, ",
            columns!()
        )
    };
}

/// $1 boards, $2 owners, $3 expiries, $4 usernames or nulls, $5 scores, $6 subscores. Reads
/// leaderboard_record_owner_id_leaderboard_id_expiry_time_key, as all of these do.
const LOWEST: &str = write!(
    "least(r.score, excluded.score)",
    "least(r.subscore, excluded.subscore)",
    "r.score > excluded.score OR r.subscore > excluded.subscore"
);
/// As [`LOWEST`], and $7 metadata.
const LOWEST_WITH_METADATA: &str = write!(
    "least(r.score, excluded.score)",
    "least(r.subscore, excluded.subscore)",
    "r.score > excluded.score OR r.subscore > excluded.subscore", metadata
);
/// As [`LOWEST`].
const HIGHEST: &str = write!(
    "greatest(r.score, excluded.score)",
    "greatest(r.subscore, excluded.subscore)",
    "r.score < excluded.score OR r.subscore < excluded.subscore"
);
/// As [`LOWEST_WITH_METADATA`].
const HIGHEST_WITH_METADATA: &str = write!(
    "greatest(r.score, excluded.score)",
    "greatest(r.subscore, excluded.subscore)",
    "r.score < excluded.score OR r.subscore < excluded.subscore", metadata
);
/// As [`LOWEST`].
const LAST: &str = write!(
    "excluded.score",
    "excluded.subscore",
    "r.score <> excluded.score OR r.subscore <> excluded.subscore"
);
/// As [`LOWEST_WITH_METADATA`].
const LAST_WITH_METADATA: &str = write!(
    "excluded.score",
    "excluded.subscore",
    "r.score <> excluded.score OR r.subscore <> excluded.subscore", metadata
);
/// As [`LOWEST`].
const SUM: &str = write!(
    "r.score + excluded.score",
    "r.subscore + excluded.subscore",
    "excluded.score <> 0 OR excluded.subscore <> 0"
);
/// As [`LOWEST_WITH_METADATA`].
const SUM_WITH_METADATA: &str = write!(
    "r.score + excluded.score",
    "r.subscore + excluded.subscore",
    "excluded.score <> 0 OR excluded.subscore <> 0", metadata
);

/// One score that is taken off: $1 board, $2 owner, $3 expiry, $4 username or null, $5 score,
/// $6 subscore, $7 metadata or null.
const REST: &str = concat!(
    "INSERT INTO leaderboard_record AS r
            (leaderboard_id, owner_id, expiry_time, username, score, subscore, metadata)
     VALUES ($1, $2, $3, $4, 0, 0, coalesce($7::text::jsonb, '{}'))
     ON CONFLICT (owner_id, leaderboard_id, expiry_time) DO UPDATE
        SET score = greatest(r.score - $5::int8, 0),
            subscore = greatest(r.subscore - $6::int8, 0),
            num_score = r.num_score + 1, metadata = coalesce($7::text::jsonb, r.metadata),
            username = coalesce($4, r.username), update_time = now()
      WHERE $5::int8 <> 0 OR $6::int8 <> 0
     RETURNING ",
    columns!()
);

/// $1 boards, $2 owners, $3 expiries. Gives the records that are there, in the same order.
const RECORDS_AT: &str = concat!(
    "SELECT r.leaderboard_id, r.expiry_time, ",
    columns!(),
    " FROM unnest($1::text[], $2::uuid[], $3::timestamptz[]) WITH ORDINALITY
           AS i (leaderboard_id, owner_id, expiry_time, place)
      JOIN leaderboard_record r
           ON r.owner_id = i.owner_id AND r.leaderboard_id = i.leaderboard_id
              AND r.expiry_time = i.expiry_time
     ORDER BY i.place"
);
