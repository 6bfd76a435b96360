//! The records of boards: writing, deleting and listing them, for leaderboards and tournaments.

use std::{cmp::Ordering, sync::Arc};

use futures_util::future::try_join;
use guildhall_core::{Cursor, OrFault as _};
use guildhall_proto::{Timestamp, api::LeaderboardRecord, api::LeaderboardRecordList};
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    Refusal,
    boards::{Board, Ranked, time_s},
    definition::{Operator, SortOrder},
    gather::{Item, Written},
};
use crate::{
    cx::Cx,
    database::{DbError, Params, Sql},
    resources::whole_seconds,
};

pub(super) const WRITING: &str = "Error writing score to leaderboard.";
const DELETING: &str = "Error deleting score from leaderboard.";
const LISTING: &str = "Error listing records from leaderboard.";

/// On whose behalf records are written or deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The server's.
    Server,
    /// A client's: not on an authoritative board.
    Client,
}

/// A score that somebody sends.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Whose score it is.
    pub owner: Uuid,
    /// The owner's name, if it is known.
    pub username: Option<String>,
    /// Not below 0.
    pub score: i64,
    /// Not below 0.
    pub subscore: i64,
    /// JSON text; `None` keeps what is there.
    pub metadata: Option<String>,
    /// In place of the board's operator.
    pub operator: Option<Operator>,
}

/// Writes a score and gives back the record as it is then, with its rank.
///
/// A score that changes nothing is not counted. A tournament's record lands under no expiry, or the
/// next reset, where the tournament does not look for it, as in the reference.
///
/// # Errors
/// `NotFound`, `Authoritative`, or a fault, such as for a score below 0.
pub async fn write(
    cx: &Cx,
    access: Access,
    id: &str,
    submission: &Submission,
) -> Result<LeaderboardRecord, Refusal> {
    let board = cx.boards.get(id).ok_or(Refusal::NotFound)?;
    if board.authoritative && access == Access::Client {
        return Err(Refusal::Authoritative);
    }
    let now_s = cx.boards.now_s();
    let expiry_s = if board.is_tournament() {
        board.next_schedule(now_s)
    } else {
        board.current(now_s).expiry_s
    };
    let operator = submission.operator.unwrap_or(board.operator);
    if operator != Operator::Decrement && (submission.score < 0 || submission.subscore < 0) {
        // What the table's own check would say, without asking it.
        Err("a score below 0").or_fault(WRITING)?;
    }
    let item = Item { board: Arc::clone(&board), expiry_s, submission: submission.clone() };
    let Written { mut record, stamp, changed } = cx.batches.leaderboard.write(&cx.db, item).await?;
    let place = Ranked { owner: submission.owner, score: record.score, subscore: record.subscore };
    let rank = if changed {
        cx.boards.put(&cx.db, &board, expiry_s, place, stamp).await
    } else {
        cx.boards.rank(&cx.db, &board, expiry_s, place).await
    };
    record.rank = rank.or_fault(WRITING)?;
    Ok(record)
}

/// Deletes an owner's record of the period. One that is not there is no error.
///
/// # Errors
/// `NotFound`, also for a tournament; `Authoritative`; a fault.
pub async fn delete(cx: &Cx, access: Access, id: &str, owner: Uuid) -> Result<(), Refusal> {
    let board = cx.boards.get(id).filter(|board| !board.is_tournament());
    let board = board.ok_or(Refusal::NotFound)?;
    if board.authoritative && access == Access::Client {
        return Err(Refusal::Authoritative);
    }
    let expiry_s = board.current(cx.boards.now_s()).expiry_s;
    let removed = cx.db.query(DELETE, &[&board.id, &owner, &time_s(expiry_s)]).await;
    cx.boards.forget(&removed.or_fault(DELETING)?).or_fault(DELETING)?;
    Ok(())
}

/// What of a board's records is asked for.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The most records of the page; `None` for no page.
    pub limit: Option<i64>,
    /// Where the page begins; empty for the best.
    pub cursor: String,
    /// Whose records are wanted besides.
    pub owners: Vec<Uuid>,
    /// The expiry of the period that is asked for; 0 for the present one.
    pub expiry_s: i64,
}

/// A page of a board's records from the best on, and the records of some owners.
///
/// # Errors
/// `NotFound`, `Cursor` or a fault.
pub async fn list(cx: &Cx, id: &str, listing: &Listing) -> Result<LeaderboardRecordList, Refusal> {
    let board = cx.boards.get(id).ok_or(Refusal::NotFound)?;
    let Some(expiry_s) = expiry(cx, &board, listing.expiry_s) else {
        return Ok(LeaderboardRecordList::default());
    };
    let page = async {
        match listing.limit {
            Some(limit) => page(cx, &board, expiry_s, limit, &listing.cursor).await,
            None => Ok(LeaderboardRecordList::default()),
        }
    };
    let (mut list, mut owner_records) =
        try_join(page, owned(cx, &board, expiry_s, &listing.owners)).await?;
    list.rank_count = fill(cx, &board, expiry_s, &mut owner_records).await?;
    list.owner_records = owner_records;
    Ok(list)
}

/// The expiry of the period that is asked for, 0 for the present one; `None` where that is over.
fn expiry(cx: &Cx, board: &Board, asked_s: i64) -> Option<i64> {
    if asked_s != 0 {
        return Some(asked_s);
    }
    let now_s = cx.boards.now_s();
    let period = board.current(now_s);
    (!period.is_over(now_s)).then_some(period.expiry_s)
}

/// A place among the records of a period.
#[derive(Debug, Serialize, Deserialize)]
struct Place {
    /// Whether the page is behind the place, or before it.
    next: bool,
    board: String,
    expiry: i64,
    score: i64,
    subscore: i64,
    owner: Uuid,
    /// The rank of the record at the place, from 1.
    rank: i64,
}

impl Cursor for Place {
    const LIST: &'static str = "leaderboard_records";
}

impl Place {
    fn of(record: &LeaderboardRecord, expiry: i64, next: bool) -> Self {
        Self {
            next,
            board: record.leaderboard_id.clone(),
            expiry,
            score: record.score,
            subscore: record.subscore,
            owner: owner(record),
            rank: record.rank,
        }
    }
}

/// The cursor of the records behind `record`, or before it; empty without one.
fn cursor_at(record: Option<&LeaderboardRecord>, expiry_s: i64, next: bool) -> String {
    record.map_or_else(String::new, |record| Place::of(record, expiry_s, next).encode())
}

/// The cursor of the records behind those that a rank, from 1, is before; empty for the best.
/// Ranks must be told of the board.
///
/// # Errors
/// `NotFound`, `Over` where the period is over, `Rank` where there is no such rank, a fault.
pub async fn cursor_from_rank(
    cx: &Cx,
    id: &str,
    rank: i64,
    expiry_s: i64,
) -> Result<String, Refusal> {
    let board = cx.boards.get(id).ok_or(Refusal::NotFound)?;
    let expiry_s = expiry(cx, &board, expiry_s).ok_or(Refusal::Over)?;
    let before = rank.saturating_sub(1);
    if before <= 0 {
        return Ok(String::new());
    }
    let found = cx.boards.at_rank(&cx.db, &board, expiry_s, before).await.or_fault(LISTING)?;
    let Ranked { owner, score, subscore } = found.ok_or(Refusal::Rank)?;
    let board = board.id.clone();
    let place = Place { next: true, board, expiry: expiry_s, score, subscore, owner, rank: before };
    Ok(place.encode())
}

async fn page(
    cx: &Cx,
    board: &Board,
    expiry_s: i64,
    limit: i64,
    cursor: &str,
) -> Result<LeaderboardRecordList, Refusal> {
    let from = match cursor {
        "" => None,
        cursor => {
            let place = Place::decode(cursor)
                .filter(|place| place.board == board.id && place.expiry == expiry_s);
            Some(place.ok_or(Refusal::Cursor)?)
        }
    };
    let backwards = from.as_ref().is_some_and(|place| !place.next);
    let rises = (board.sort_order == SortOrder::Ascending) != backwards;
    let (score, subscore, owner) = match (&from, rises) {
        (Some(place), _) => (place.score, place.subscore, place.owner),
        (None, true) => (-1, -1, Uuid::nil()),
        (None, false) => (i64::MAX, i64::MAX, Uuid::max()),
    };
    let rows = cx
        .db
        .query(
            if rises { LIST_RISING } else { LIST_FALLING },
            &[&board.id, &time_s(expiry_s), &score, &subscore, &owner, &(limit + 1)],
        )
        .await
        .or_fault(LISTING)?;
    let wanted = usize::try_from(limit).unwrap_or(0);
    let more = rows.len() > wanted;
    let mut rank = from.as_ref().map_or(0, |place| place.rank);
    let mut records = Vec::with_capacity(rows.len().min(wanted));
    for row in rows.iter().take(wanted) {
        rank += if backwards { -1 } else { 1 };
        let record = record(row, &board.id, expiry_s).or_fault(LISTING)?;
        records.push(LeaderboardRecord { rank, ..record });
    }
    if backwards {
        records.reverse();
    }
    // There are records on the side that the page was reached from.
    let (before, behind) = match (&from, backwards) {
        (None, _) => (false, more),
        (Some(_), false) => (true, more),
        (Some(_), true) => (more, true),
    };
    Ok(LeaderboardRecordList {
        next_cursor: cursor_at(records.last().filter(|_| behind), expiry_s, true),
        prev_cursor: cursor_at(records.first().filter(|_| before), expiry_s, false),
        records,
        ..LeaderboardRecordList::default()
    })
}

/// The records of some owners, the best first, without ranks.
async fn owned(
    cx: &Cx,
    board: &Board,
    expiry_s: i64,
    owners: &[Uuid],
) -> Result<Vec<LeaderboardRecord>, Refusal> {
    if owners.is_empty() {
        return Ok(Vec::new());
    }
    let params: Params<'_> = &[&board.id, &owners, &time_s(expiry_s)];
    let rows = cx.db.query(RECORDS, params).await.or_fault(LISTING)?;
    let records = rows.iter().map(|row| record(row, &board.id, expiry_s));
    let mut records: Vec<_> = records.collect::<Result<_, _>>().or_fault(LISTING)?;
    records.sort_by(|a, b| better(board.sort_order, a, b));
    Ok(records)
}

fn better(order: SortOrder, a: &LeaderboardRecord, b: &LeaderboardRecord) -> Ordering {
    let key = |record: &LeaderboardRecord| (record.score, record.subscore, owner(record));
    match order {
        SortOrder::Ascending => key(a).cmp(&key(b)),
        SortOrder::Descending => key(b).cmp(&key(a)),
    }
}

/// Fills in the ranks of `records`, and gives the count of all that have one.
async fn fill(
    cx: &Cx,
    board: &Board,
    expiry_s: i64,
    records: &mut [LeaderboardRecord],
) -> Result<i64, Refusal> {
    let ranked = |record: &LeaderboardRecord| Ranked {
        owner: owner(record),
        score: record.score,
        subscore: record.subscore,
    };
    let places: Vec<_> = records.iter().map(ranked).collect();
    let ranks = cx.boards.ranks(&cx.db, board, expiry_s, &places).await;
    let (ranks, count) = ranks.or_fault(LISTING)?;
    for (record, rank) in records.iter_mut().zip(ranks) {
        record.rank = rank;
    }
    Ok(count)
}

/// The owner of a record that came from the database.
fn owner(record: &LeaderboardRecord) -> Uuid {
    Uuid::try_parse(&record.owner_id).unwrap_or_default()
}

/// The records around an owner's, or, with a cursor, the page that it stands for.
///
/// # Errors
/// As [`list`].
///
/// Source: Nakama, `server/core_leaderboard.go`.
pub async fn around(
    cx: &Cx,
    id: &str,
    owner: Uuid,
    limit: i64,
    cursor: &str,
    expiry_s: i64,
) -> Result<LeaderboardRecordList, Refusal> {
    if !cursor.is_empty() {
        let listing =
            Listing { limit: Some(limit), cursor: cursor.to_owned(), owners: Vec::new(), expiry_s };
        return list(cx, id, &listing).await;
    }
    let board = cx.boards.get(id).ok_or(Refusal::NotFound)?;
    let Some(expiry_s) = expiry(cx, &board, expiry_s) else {
        return Ok(LeaderboardRecordList::default());
    };
    let sql = match board.sort_order {
        SortOrder::Ascending => AROUND_ASCENDING,
        SortOrder::Descending => AROUND_DESCENDING,
    };
    let rows = cx
        .db
        .query(sql, &[&board.id, &owner, &time_s(expiry_s), &(limit + 1)])
        .await
        .or_fault(LISTING)?;
    let mut sides: [Vec<LeaderboardRecord>; 3] = Default::default();
    for row in &rows {
        let side: i32 = row.try_get("side").or_fault(LISTING)?;
        let record = record(row, &board.id, expiry_s).or_fault(LISTING)?;
        if let Some(side) = usize::try_from(side).ok().and_then(|side| sides.get_mut(side)) {
            side.push(record);
        }
    }
    let [above, own, below] = sides;
    let Some(own) = own.into_iter().next() else { return Ok(LeaderboardRecordList::default()) };
    let Window { mut records, before, behind } =
        window(usize::try_from(limit).unwrap_or(0), above, own, below);
    let rank_count = fill(cx, &board, expiry_s, &mut records).await?;
    Ok(LeaderboardRecordList {
        prev_cursor: cursor_at(records.first().filter(|_| before), expiry_s, false),
        next_cursor: cursor_at(records.last().filter(|_| behind), expiry_s, true),
        records,
        rank_count,
        ..LeaderboardRecordList::default()
    })
}

/// The records around one, and whether there are more before and behind them.
struct Window<T> {
    records: Vec<T>,
    before: bool,
    behind: bool,
}

/// Puts together up to `limit` records: `own`, those `above` it (the nearest first) and those
/// `below` it, of both up to `limit` and one. Half of them are below where there are so many above;
/// what is missing above is made up for below.
fn window<T>(limit: usize, mut above: Vec<T>, own: T, mut below: Vec<T>) -> Window<T> {
    let mut before = above.len() > limit;
    above.truncate(limit);
    let mut half = limit / 2;
    if above.len() < half {
        half = limit - above.len();
    }
    let behind = below.len() > half;
    below.truncate(half);
    let few_above = above.len() < half;
    above.reverse();
    let mut records = above;
    records.push(own);
    records.append(&mut below);
    if !few_above && records.len() > limit {
        let surplus = records.len() - limit;
        records.drain(..surplus);
        before = true;
    }
    records.truncate(limit);
    Window { records, before, behind }
}

/// The record in a row with the columns of `columns!`, without its rank.
pub(in crate::resources) fn record(
    row: &Row,
    board: &str,
    expiry_s: i64,
) -> Result<LeaderboardRecord, DbError> {
    Ok(LeaderboardRecord {
        leaderboard_id: board.to_owned(),
        owner_id: row.try_get::<_, Uuid>("owner_id")?.to_string(),
        username: row.try_get("username")?,
        score: row.try_get("score")?,
        subscore: row.try_get("subscore")?,
        num_score: row.try_get("num_score")?,
        max_num_score: u32::try_from(row.try_get::<_, i32>("max_num_score")?).unwrap_or(0),
        metadata: row.try_get("metadata")?,
        create_time: Some(whole_seconds(row, "create_time")?),
        update_time: Some(whole_seconds(row, "update_time")?),
        expiry_time: (expiry_s != 0).then(|| Timestamp::from_seconds(expiry_s)),
        rank: 0,
    })
}

/// The columns of a record `r` that [`record`] reads.
macro_rules! columns {
    () => {
        "r.owner_id, r.username, r.score, r.subscore, r.num_score, r.max_num_score,
         r.metadata::text AS metadata, r.create_time, r.update_time"
    };
}
pub(in crate::resources) use columns;

/// $1 board, $2 owners, $3 expiry. Reads leaderboard_record_owner_id_leaderboard_id_expiry_time_key.
const RECORDS: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM leaderboard_record r
       WHERE r.leaderboard_id = $1 AND r.owner_id = ANY($2) AND r.expiry_time = $3"
);

/// $1 board, $2 owner, $3 expiry. Reads leaderboard_record_owner_id_leaderboard_id_expiry_time_key.
const DELETE: &str = "
    DELETE FROM leaderboard_record
     WHERE leaderboard_id = $1 AND owner_id = $2 AND expiry_time = $3
    RETURNING leaderboard_id, owner_id, expiry_time, create_time, num_score";

/// $1 board, $2 expiry, ($3, $4, $5) the place to begin after, $6 rows. Reads the primary key.
const LIST_RISING: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM leaderboard_record r
       WHERE r.leaderboard_id = $1 AND r.expiry_time = $2
         AND (r.score, r.subscore, r.owner_id) > ($3, $4, $5)
       ORDER BY r.score, r.subscore, r.owner_id LIMIT $6"
);
/// As [`LIST_RISING`].
const LIST_FALLING: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM leaderboard_record r
       WHERE r.leaderboard_id = $1 AND r.expiry_time = $2
         AND (r.score, r.subscore, r.owner_id) < ($3, $4, $5)
       ORDER BY r.score DESC, r.subscore DESC, r.owner_id DESC LIMIT $6"
);

/// An owner's record (side 1), and up to $4 rows above it (0) and below it (2), the nearest first.
macro_rules! around {
    ($above:literal, $up:literal, $below:literal, $down:literal) => {
        concat!(
            "WITH own AS MATERIALIZED (
                 SELECT * FROM leaderboard_record
                  WHERE leaderboard_id = $1 AND owner_id = $2 AND expiry_time = $3)
             (SELECT 1 AS side, ",
            columns!(),
            " FROM own r)
             UNION ALL
             (SELECT 0, ",
            columns!(),
            " FROM own o, LATERAL (
                 SELECT * FROM leaderboard_record r
                  WHERE r.leaderboard_id = $1 AND r.expiry_time = $3
                    AND (r.score, r.subscore, r.owner_id) ",
            $above,
            " (o.score, o.subscore, o.owner_id)
                  ORDER BY r.score ",
            $up,
            ", r.subscore ",
            $up,
            ", r.owner_id ",
            $up,
            " LIMIT $4) r)
             UNION ALL
             (SELECT 2, ",
            columns!(),
            " FROM own o, LATERAL (
                 SELECT * FROM leaderboard_record r
                  WHERE r.leaderboard_id = $1 AND r.expiry_time = $3
                    AND (r.score, r.subscore, r.owner_id) ",
            $below,
            " (o.score, o.subscore, o.owner_id)
                  ORDER BY r.score ",
            $down,
            ", r.subscore ",
            $down,
            ", r.owner_id ",
            $down,
            " LIMIT $4) r)"
        )
    };
}

/// $1 board, $2 owner, $3 expiry, $4 rows of each side. Reads
/// leaderboard_record_owner_id_leaderboard_id_expiry_time_key and the primary key.
const AROUND_ASCENDING: &str = around!("<", "DESC", ">", "ASC");
/// As [`AROUND_ASCENDING`].
const AROUND_DESCENDING: &str = around!(">", "ASC", "<", "DESC");

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten records by rank; the window of `limit` around `rank`, and what is more.
    fn around(rank: usize, limit: usize) -> (Vec<usize>, bool, bool) {
        let above = (1..rank).rev().take(limit + 1).collect();
        let below = (rank + 1..=10).take(limit + 1).collect();
        let Window { records, before, behind } = window(limit, above, rank, below);
        (records, before, behind)
    }

    #[test]
    fn an_owner_stands_amid_a_window_or_at_its_edge() {
        assert_eq!(around(5, 3), (vec![4, 5, 6], true, true));
        assert_eq!(around(5, 4), (vec![4, 5, 6, 7], true, true));
        assert_eq!(around(5, 1), (vec![5], true, true));
        assert_eq!(around(1, 3), (vec![1, 2, 3], false, true));
        assert_eq!(around(10, 3), (vec![8, 9, 10], true, false));
        assert_eq!(around(9, 3), (vec![8, 9, 10], true, false));
        assert_eq!(around(3, 20), ((1..=10).collect(), false, false));
    }

    #[test]
    fn a_cursor_leads_back_to_its_place() {
        let record = LeaderboardRecord {
            leaderboard_id: "b".into(),
            owner_id: Uuid::from_u128(7).to_string(),
            score: 5,
            rank: 3,
            ..LeaderboardRecord::default()
        };
        let place = Place::decode(&Place::of(&record, 9, false).encode());
        assert!(place.is_some_and(|place| {
            !place.next
                && (place.board.as_str(), place.expiry, place.rank) == ("b", 9, 3)
                && (place.score, place.subscore, place.owner.as_u128()) == (5, 0, 7)
        }));
    }
}
