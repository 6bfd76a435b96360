//! Tournaments: leaderboards that take scores for a time, from whoever may take part.

pub mod nk;

use chrono::{DateTime, Utc};
use guildhall_core::{Caller, Code, Cursor, Error, OrFault as _, Result, Status};
use guildhall_proto::{
    Empty,
    api::{
        DeleteTournamentRecordRequest, JoinTournamentRequest, LeaderboardRecord,
        LeaderboardRecordList, ListTournamentRecordsAroundOwnerRequest,
        ListTournamentRecordsRequest, ListTournamentsRequest, Tournament, TournamentList,
        TournamentRecordList, WriteTournamentRecordRequest,
    },
};
use serde::{Deserialize, Serialize};
use std::{cmp::Reverse, collections::HashMap, sync::Arc};
use tokio_postgres::Row;
use uuid::Uuid;

use super::leaderboard::{
    self, Refusal,
    boards::{Board, Ranked, TournamentPlace, stamp, time_s, tournament_place},
    definition::{Definition, Operator, SortOrder},
    records::{self, Access, Listing, Submission, columns, record},
};
use crate::{
    cx::Cx,
    database::{Params, Sql, WorkError},
    endpoint::Body,
    endpoints,
};

endpoints! {
    /// Deletes the caller's record.
    Delete "/v2/tournament/{tournament_id}"
        => DeleteTournamentRecord(DeleteTournamentRecordRequest) -> Empty
        { auth: Session, body: Body::None, handle: delete_record }

    /// Joins a tournament that must be joined.
    Post "/v2/tournament/{tournament_id}/join"
        => JoinTournament(JoinTournamentRequest) -> Empty
        { auth: Session, body: Body::None, handle: join_tournament }

    /// Lists records from the best on, and those of some owners.
    Get "/v2/tournament/{tournament_id}"
        => ListTournamentRecords(ListTournamentRecordsRequest) -> TournamentRecordList
        { auth: Session, body: Body::None, handle: list_records }

    /// Lists the records around an owner's.
    Get "/v2/tournament/{tournament_id}/owner/{owner_id}"
        => ListTournamentRecordsAroundOwner(ListTournamentRecordsAroundOwnerRequest)
        -> TournamentRecordList
        { auth: Session, body: Body::None, handle: list_records_around_owner }

    /// Lists tournaments by category and time.
    Get "/v2/tournament" => ListTournaments(ListTournamentsRequest) -> TournamentList
        { auth: Session, body: Body::None, handle: list_tournaments }

    /// Sends a score.
    Put "/v2/tournament/{tournament_id}" | Post "/v2/tournament/{tournament_id}"
        => WriteTournamentRecord(WriteTournamentRecordRequest) -> LeaderboardRecord
        { auth: Session, body: Body::Field("record"), handle: write_record }
}

const NOT_FOUND: Status = Status::new(Code::NotFound, "Tournament not found.");
const HAS_ENDED: Status = Status::new(Code::NotFound, "Tournament has ended.");
const NOT_FOUND_OR_ENDED: Status =
    Status::new(Code::NotFound, "Tournament not found or has ended.");
const INVALID_ID: Status = Status::new(Code::InvalidArgument, "Invalid tournament ID.");
const ID_REQUIRED: Status = Status::new(Code::InvalidArgument, "Tournament ID must be provided");
const ID_REQUIRED_TO_WRITE: Status =
    Status::new(Code::InvalidArgument, "Tournament ID must be provided.");
const FULL: Status = Status::new(
    Code::InvalidArgument,
    "Tournament cannot be joined as it has reached its max size.",
);
const TAKES_NO_JOINS: Status =
    Status::new(Code::InvalidArgument, "Tournament is not active and cannot accept new joins.");
const MAX_SIZE: Status = Status::new(Code::FailedPrecondition, "Tournament has reached max size.");
const ONLY_AUTHORITATIVE_SCORES: Status =
    Status::new(Code::PermissionDenied, "Tournament only allows authoritative score submissions.");
const NO_MORE_ATTEMPTS: Status =
    Status::new(Code::FailedPrecondition, "Reached allowed max number of score attempts.");
const NOT_JOINED: Status =
    Status::new(Code::FailedPrecondition, "Must join tournament before attempting to write value.");
const TAKES_NO_SCORES: Status =
    Status::new(Code::FailedPrecondition, "Tournament is not active and cannot accept new scores.");
// The reference lets this error out as it stands.
const LIST_CURSOR: Status = Status::new(Code::Unknown, "leaderboard cursor invalid");
const LAST_CATEGORY: Status =
    Status::new(Code::InvalidArgument, "Tournament category end must be >=0 and <128.");
const CATEGORIES: Status = Status::new(
    Code::InvalidArgument,
    "Tournament category end must be greater than category start.",
);
const TIMES: Status =
    Status::new(Code::InvalidArgument, "Tournament end time must be greater than start time.");
const LIST_LIMIT: Status = Status::new(Code::InvalidArgument, "Limit must be between 1 and 100.");

const DELETING: &str = "Error deleting score from tournament.";
const JOINING: &str = "Error while trying to join tournament.";
const LISTING_RECORDS: &str = "Error listing records from tournament.";
const LISTING: &str = "Error listing tournaments.";
const WRITING: &str = "Error writing score to tournament.";

async fn delete_record(
    cx: &Cx,
    caller: &mut Caller,
    request: DeleteTournamentRecordRequest,
) -> Result<Empty> {
    if request.tournament_id.is_empty() {
        return Err(INVALID_ID.into());
    }
    // The reference says one sentence whatever the cause.
    match delete(cx, Access::Client, &request.tournament_id, caller.user_id()).await {
        Ok(()) => Ok(Empty {}),
        Err(refusal) => Err(refusal.fault(DELETING)),
    }
}

async fn join_tournament(
    cx: &Cx,
    caller: &mut Caller,
    request: JoinTournamentRequest,
) -> Result<Empty> {
    let username = caller.user.as_ref().map_or("", |user| user.username.as_str());
    let joined = join(cx, &request.tournament_id, caller.user_id(), username).await;
    joined.map(|()| Empty {}).map_err(|refusal| match refusal {
        Refusal::NoTournament => NOT_FOUND.into(),
        Refusal::MaxSize => FULL.into(),
        Refusal::OutsideDuration => TAKES_NO_JOINS.into(),
        other => other.fault(JOINING),
    })
}

async fn list_records(
    cx: &Cx,
    _: &mut Caller,
    request: ListTournamentRecordsRequest,
) -> Result<TournamentRecordList> {
    let ListTournamentRecordsRequest { tournament_id, owner_ids, limit, cursor, expiry } = request;
    if tournament_id.is_empty() {
        return Err(ID_REQUIRED.into());
    }
    let owners = leaderboard::parse_owners(&owner_ids)?;
    let limit = match limit {
        Some(limit @ 1..=100) => Some(limit.into()),
        Some(_) => return Err(leaderboard::LIMIT_TO_100.into()),
        None if owners.is_empty() || cursor.is_empty() => Some(10),
        None => None,
    };
    let listing = Listing { limit, cursor, owners, expiry_s: expiry.unwrap_or(0) };
    let list = records_of(cx, &tournament_id, &listing).await;
    list.map(records_list).map_err(|refusal| match refusal {
        Refusal::NoTournament => NOT_FOUND.into(),
        Refusal::OutsideDuration => HAS_ENDED.into(),
        Refusal::Cursor => leaderboard::CURSOR.into(),
        other => other.fault(LISTING_RECORDS),
    })
}

fn records_list(list: LeaderboardRecordList) -> TournamentRecordList {
    let LeaderboardRecordList { records, owner_records, next_cursor, prev_cursor, rank_count } =
        list;
    TournamentRecordList { records, owner_records, next_cursor, prev_cursor, rank_count }
}

async fn list_records_around_owner(
    cx: &Cx,
    _: &mut Caller,
    request: ListTournamentRecordsAroundOwnerRequest,
) -> Result<TournamentRecordList> {
    let ListTournamentRecordsAroundOwnerRequest { tournament_id, limit, owner_id, expiry, cursor } =
        request;
    if tournament_id.is_empty() {
        return Err(INVALID_ID.into());
    }
    let limit = match limit {
        None => 100,
        Some(limit @ 1..=100) => limit.into(),
        Some(_) => return Err(leaderboard::LIMIT_TO_100.into()),
    };
    if owner_id.is_empty() {
        return Err(leaderboard::OWNER_REQUIRED.into());
    }
    let owner = Uuid::try_parse(&owner_id).map_err(|_| leaderboard::OWNER)?;
    let expiry_s = expiry.unwrap_or(0);
    let list = around(cx, &tournament_id, owner, limit, &cursor, expiry_s).await;
    list.map(records_list).map_err(|refusal| match refusal {
        Refusal::NoTournament => NOT_FOUND.into(),
        other => other.fault(leaderboard::AROUND),
    })
}

async fn list_tournaments(
    cx: &Cx,
    _: &mut Caller,
    request: ListTournamentsRequest,
) -> Result<TournamentList> {
    let ListTournamentsRequest {
        category_start,
        category_end,
        start_time,
        end_time,
        limit,
        cursor,
    } = request;
    let after = match cursor.as_str() {
        "" => None,
        cursor => Some(Place::decode(cursor).ok_or(LIST_CURSOR)?),
    };
    let first_category = category_start.unwrap_or(0);
    let last_category = category_end.unwrap_or(127);
    if category_end.is_some() {
        if last_category >= 128 {
            return Err(LAST_CATEGORY.into());
        }
        if last_category < first_category {
            return Err(CATEGORIES.into());
        }
    }
    // An end of 0 asks for those that never end.
    if end_time.is_some_and(|end| end != 0 && start_time.is_some_and(|start| end < start)) {
        return Err(TIMES.into());
    }
    let limit = match limit {
        None => 100,
        Some(limit @ 1..=100) => limit as usize,
        Some(_) => return Err(LIST_LIMIT.into()),
    };
    let filter = Filter {
        categories: (first_category.into(), last_category.into()),
        start_s: start_time.map(i64::from),
        end_s: end_time.map(i64::from),
    };
    list(cx, filter, limit, after).await
}

async fn write_record(
    cx: &Cx,
    caller: &mut Caller,
    request: WriteTournamentRecordRequest,
) -> Result<LeaderboardRecord> {
    let WriteTournamentRecordRequest { tournament_id, record } = request;
    if tournament_id.is_empty() {
        return Err(ID_REQUIRED_TO_WRITE.into());
    }
    let record = record.ok_or(leaderboard::RECORD_REQUIRED)?;
    let submission = leaderboard::submission(
        caller,
        record.score,
        record.subscore,
        record.metadata,
        record.operator,
    )?;
    let board = cx.boards.get(&tournament_id).ok_or(NOT_FOUND)?;
    if board.has_ended(cx.boards.now_s()) {
        return Err(NOT_FOUND_OR_ENDED.into());
    }
    let written = match submission {
        Ok(submission) => write(cx, Access::Client, &tournament_id, &submission).await,
        Err(refusal) => open(cx, Access::Client, &tournament_id).and(Err(refusal)),
    };
    written.map_err(|refusal| match refusal {
        Refusal::MaxSize => MAX_SIZE.into(),
        Refusal::Authoritative => ONLY_AUTHORITATIVE_SCORES.into(),
        Refusal::MaxNumScore => NO_MORE_ATTEMPTS.into(),
        Refusal::JoinRequired => NOT_JOINED.into(),
        Refusal::OutsideDuration => TAKES_NO_SCORES.into(),
        other => other.fault(WRITING),
    })
}

/// The tournament of this id.
fn get(cx: &Cx, id: &str) -> Result<Arc<Board>, Refusal> {
    let board = cx.boards.get(id).filter(|board| board.is_tournament());
    board.ok_or(Refusal::NoTournament)
}

/// The tournament of this id, with the expiry of its period, if it takes scores now.
fn open(cx: &Cx, access: Access, id: &str) -> Result<(Arc<Board>, i64), Refusal> {
    let board = get(cx, id)?;
    if board.authoritative && access == Access::Client {
        return Err(Refusal::Authoritative);
    }
    let now_s = cx.boards.now_s();
    let period = board.current(now_s);
    if !period.takes_scores(now_s) {
        return Err(Refusal::OutsideDuration);
    }
    Ok((board, period.expiry_s))
}

/// Which tournaments are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Filter {
    /// The first and the last category.
    pub categories: (i64, i64),
    /// Those that begin then or later.
    pub start_s: Option<i64>,
    /// Those that end then or before, or for 0 those that never end; without it those that have not
    /// ended.
    pub end_s: Option<i64>,
}

impl Filter {
    fn wants(&self, board: &Definition, now_s: i64) -> bool {
        let (first, last) = self.categories;
        (first..=last).contains(&i64::from(board.category))
            && self.start_s.is_none_or(|start_s| board.start_s >= start_s)
            && match self.end_s {
                None => board.end_s == 0 || board.end_s >= now_s,
                Some(0) => board.end_s == 0,
                Some(end_s) => board.end_s != 0 && board.end_s <= end_s,
            }
    }
}

/// A place in the list of tournaments: see [`tournament_place`].
#[derive(Debug, Deserialize, Serialize)]
pub struct Place {
    start: i64,
    end: i64,
    category: i16,
    id: String,
}

impl Cursor for Place {
    const LIST: &'static str = "tournaments";
}

impl From<Place> for TournamentPlace {
    fn from(Place { start, end, category, id }: Place) -> Self {
        (start, Reverse(end), category, id)
    }
}

/// Up to `limit` tournaments behind a place.
///
/// # Errors
/// A fault of the database.
pub async fn list(
    cx: &Cx,
    filter: Filter,
    limit: usize,
    after: Option<Place>,
) -> Result<TournamentList> {
    let now_s = cx.boards.now_s();
    let after = after.map(TournamentPlace::from);
    let mut boards = cx.boards.tournaments(after, limit + 1, |it| filter.wants(it, now_s));
    let mut cursor = String::new();
    if boards.len() > limit {
        boards.truncate(limit);
        if let Some(last) = boards.last() {
            let (start, Reverse(end), category, id) = tournament_place(last);
            cursor = Place { start, end, category, id }.encode();
        }
    }
    let tournaments = shown(cx, &boards, now_s).await?;
    Ok(TournamentList { tournaments, cursor })
}

/// The tournaments among `ids`, each once, in their order.
///
/// # Errors
/// A fault of the database.
pub async fn by_ids(cx: &Cx, ids: &[String]) -> Result<Vec<Tournament>> {
    let mut boards: Vec<Arc<Board>> = Vec::new();
    for board in ids.iter().filter_map(|id| get(cx, id).ok()) {
        if boards.iter().all(|known| known.id != board.id) {
            boards.push(board);
        }
    }
    shown(cx, &boards, cx.boards.now_s()).await
}

/// The tournaments as the API has them, with their sizes of the moment.
async fn shown(cx: &Cx, boards: &[Arc<Board>], now_s: i64) -> Result<Vec<Tournament>> {
    let limited = boards.iter().filter(|board| board.has_max_size());
    let limited: Vec<&str> = limited.map(|board| board.id.as_str()).collect();
    let mut sizes = HashMap::new();
    if !limited.is_empty() {
        for row in cx.db.query(SIZES, &[&limited]).await.or_fault(LISTING)? {
            let id: String = row.try_get("id").or_fault(LISTING)?;
            sizes.insert(id, row.try_get("size").or_fault(LISTING)?);
        }
    }
    let size = |board: &Board| sizes.get(&board.id).copied().unwrap_or(0);
    Ok(boards.iter().map(|board| board.tournament(now_s, size(board))).collect())
}

/// Joins a user to a tournament that must be joined; again, or another tournament, does nothing.
/// One may join before it begins.
///
/// # Errors
/// `NoTournament`, `OutsideDuration`, `MaxSize` or a fault.
pub async fn join(cx: &Cx, id: &str, user: Uuid, username: &str) -> Result<(), Refusal> {
    let board = get(cx, id)?;
    if !board.join_required {
        return Ok(());
    }
    let now_s = cx.boards.now_s();
    let period = board.current(now_s);
    if period.end_s <= now_s {
        return Err(Refusal::OutsideDuration);
    }
    let expiry = time_s(period.expiry_s);
    let row = if board.has_max_size() {
        cx.db
            .transaction(async |sql| -> Result<_, Work> {
                let row = insert_joined(sql, &board, user, expiry, username).await?;
                if row.is_some() {
                    take_place(sql, &board).await?;
                }
                Ok(row)
            })
            .await
            .map_err(Refusal::from)?
    } else {
        insert_joined(&cx.db, &board, user, expiry, username).await.map_err(Refusal::from)?
    };
    if let Some(row) = row {
        let stamp = stamp(&row).or_fault(JOINING)?;
        let place = Ranked { owner: user, score: 0, subscore: 0 };
        let put = cx.boards.put(&cx.db, &board, period.expiry_s, place, stamp).await;
        put.or_fault(JOINING)?;
    }
    Ok(())
}

async fn insert_joined(
    sql: &impl Sql,
    board: &Board,
    user: Uuid,
    expiry: DateTime<Utc>,
    username: &str,
) -> Result<Option<Row>, Work> {
    let params: Params<'_> = &[&board.id, &user, &expiry, &username, &board.max_num_score];
    Ok(sql.opt(JOIN, params).await.or_fault(JOINING)?)
}

/// Counts one more who takes part.
async fn take_place(sql: &impl Sql, board: &Board) -> Result<(), Work> {
    match sql.execute(TAKE_PLACE, &[&board.id]).await.or_fault(WRITING)? {
        0 => Err(Work(Refusal::MaxSize)),
        _ => Ok(()),
    }
}

/// A [`Refusal`] that ends a transaction.
struct Work(Refusal);

impl<E: Into<Error>> From<E> for Work {
    fn from(error: E) -> Self {
        Self(Refusal::Other(error.into()))
    }
}

impl From<Work> for Refusal {
    fn from(Work(refusal): Work) -> Self {
        refusal
    }
}

impl WorkError for Work {
    fn is_conflict(&self) -> bool {
        matches!(&self.0, Refusal::Other(error) if error.is_conflict())
    }
}

/// Writes a score, which counts as an attempt whether it is better or not, and gives back the
/// record with its rank. Where one must have joined, a score beyond the last attempt changes
/// nothing and is no error, as in the reference.
///
/// # Errors
/// `NoTournament`, `Authoritative`, `OutsideDuration`, `JoinRequired`, `MaxNumScore`, `MaxSize`, or
/// a fault, such as for a score below 0.
pub async fn write(
    cx: &Cx,
    access: Access,
    id: &str,
    submission: &Submission,
) -> Result<LeaderboardRecord, Refusal> {
    let (board, expiry_s) = open(cx, access, id)?;
    let operator = submission.operator.unwrap_or(board.operator);
    let how = how(operator, board.sort_order);
    let expiry = time_s(expiry_s);
    let row = if board.join_required {
        let params: Params<'_> = &[
            &board.id,
            &submission.owner,
            &expiry,
            &submission.username,
            &submission.score,
            &submission.subscore,
            &submission.metadata,
            &how,
        ];
        let row = cx.db.opt(WRITE_JOINED, params).await.or_fault(WRITING)?;
        row.ok_or(Refusal::JoinRequired)?
    } else if board.has_max_size() {
        cx.db
            .transaction(async |sql| -> Result<_, Work> {
                let row = upsert(sql, &board, expiry, submission, how).await?;
                if row.try_get("is_new").or_fault(WRITING)? {
                    take_place(sql, &board).await?;
                }
                Ok(row)
            })
            .await
            .map_err(Refusal::from)?
    } else {
        upsert(&cx.db, &board, expiry, submission, how).await.map_err(Refusal::from)?
    };
    let mut record = record(&row, &board.id, expiry_s).or_fault(WRITING)?;
    let place = Ranked { owner: submission.owner, score: record.score, subscore: record.subscore };
    let stamp = stamp(&row).or_fault(WRITING)?;
    record.rank = cx.boards.put(&cx.db, &board, expiry_s, place, stamp).await.or_fault(WRITING)?;
    Ok(record)
}

async fn upsert(
    sql: &impl Sql,
    board: &Board,
    expiry: DateTime<Utc>,
    submission: &Submission,
    how: i16,
) -> Result<Row, Work> {
    let params: Params<'_> = &[
        &board.id,
        &submission.owner,
        &expiry,
        &submission.username,
        &submission.score,
        &submission.subscore,
        &submission.metadata,
        &how,
        &board.max_num_score,
    ];
    sql.opt(WRITE, params).await.or_fault(WRITING)?.ok_or(Work(Refusal::MaxNumScore))
}

/// How a score meets the one before it, as the statements number it.
const fn how(operator: Operator, order: SortOrder) -> i16 {
    match (operator, order) {
        (Operator::Best, SortOrder::Ascending) => 0,
        (Operator::Best, SortOrder::Descending) => 1,
        (Operator::Set, _) => 2,
        (Operator::Increment, _) => 3,
        (Operator::Decrement, _) => 4,
    }
}

/// Deletes an owner's record of the period, and gives its place free.
///
/// # Errors
/// `NoTournament`, `Authoritative` or a fault.
pub async fn delete(cx: &Cx, access: Access, id: &str, owner: Uuid) -> Result<(), Refusal> {
    let board = get(cx, id)?;
    if board.authoritative && access == Access::Client {
        return Err(Refusal::Authoritative);
    }
    let expiry = time_s(board.current(cx.boards.now_s()).expiry_s);
    let params: Params<'_> = &[&board.id, &owner, &expiry, &board.has_max_size()];
    let removed = cx.db.query(DELETE, params).await.or_fault(DELETING)?;
    cx.boards.forget(&removed).or_fault(DELETING)?;
    Ok(())
}

/// Changes how many scores an owner with a record may send in this period.
///
/// # Errors
/// `NoTournament`, `OutsideDuration` or a fault.
pub async fn add_attempts(cx: &Cx, id: &str, owner: Uuid, count: i32) -> Result<(), Refusal> {
    let board = get(cx, id)?;
    let now_s = cx.boards.now_s();
    let period = board.current(now_s);
    if period.end_s <= now_s {
        return Err(Refusal::OutsideDuration);
    }
    let params: Params<'_> = &[&board.id, &owner, &time_s(period.expiry_s), &count];
    cx.db.execute(ADD_ATTEMPTS, params).await.or_fault("Error adding tournament attempts.")?;
    Ok(())
}

/// A page of a tournament's records, and the records of some owners.
///
/// # Errors
/// `NoTournament`, `OutsideDuration` where it is over, `Cursor` or a fault.
pub async fn records_of(
    cx: &Cx,
    id: &str,
    listing: &Listing,
) -> Result<LeaderboardRecordList, Refusal> {
    let board = get(cx, id)?;
    if listing.expiry_s == 0 && board.has_ended(cx.boards.now_s()) {
        return Err(Refusal::OutsideDuration);
    }
    records::list(cx, id, listing).await
}

/// The records around an owner's, or, with a cursor, the page that it stands for.
///
/// # Errors
/// `NoTournament`, `Cursor` or a fault.
pub async fn around(
    cx: &Cx,
    id: &str,
    owner: Uuid,
    limit: i64,
    cursor: &str,
    expiry_s: i64,
) -> Result<LeaderboardRecordList, Refusal> {
    get(cx, id)?;
    records::around(cx, id, owner, limit, cursor, expiry_s).await
}

/// Whether the definition of a tournament holds together.
///
/// # Errors
/// [`Refusal::Definition`].
///
/// Source: Nakama, `server/leaderboard_cache.go`.
pub(super) fn check(board: &Definition) -> Result<(), Refusal> {
    if board.end_s > 0 && board.end_s < board.start_s {
        return Err(Refusal::Definition("tournament end time cannot be before start time"));
    }
    let first_s = board.next_schedule(board.start_s);
    if board.end_s > 0 && board.reset.is_some() && board.end_s <= first_s {
        return Err(Refusal::Definition(
            "tournament end time cannot be before first reset schedule - either increase end time \
             or change/disable reset schedule",
        ));
    }
    Ok(())
}

/// $1 ids. Reads the primary key.
const SIZES: &str = "SELECT id, size FROM leaderboard WHERE id = ANY($1::text[])";

/// $1 tournament, $2 user, $3 expiry, $4 username, $5 attempts. Gives a row unless there is a
/// record already. Reads leaderboard_record_owner_id_leaderboard_id_expiry_time_key.
const JOIN: &str = "
    INSERT INTO leaderboard_record
           (leaderboard_id, owner_id, expiry_time, username, num_score, max_num_score)
    VALUES ($1, $2, $3, $4, 0, $5)
    ON CONFLICT (owner_id, leaderboard_id, expiry_time) DO NOTHING
    RETURNING create_time, num_score";

/// $1 tournament. Touches no row where it is full. Comes behind the record's statement in every
/// transaction, so that two of them cannot deadlock.
const TAKE_PLACE: &str = "UPDATE leaderboard SET size = size + 1 WHERE id = $1 AND size < max_size";

/// The score or subscore `$column` of record `r` after `$new` has met it by how $8.
macro_rules! met {
    ($column:literal, $new:literal) => {
        concat!(
            "CASE $8::int2 WHEN 0 THEN least(",
            $column,
            ", ",
            $new,
            ") WHEN 1 THEN greatest(",
            $column,
            ", ",
            $new,
            ") WHEN 2 THEN ",
            $new,
            " WHEN 3 THEN ",
            $column,
            " + ",
            $new,
            " ELSE greatest(",
            $column,
            " - ",
            $new,
            ", 0) END"
        )
    };
}

/// $1 tournament, $2 owner, $3 expiry, $4 username or null, $5 score, $6 subscore, $7 metadata or
/// null, $8 how the score meets an earlier one (0 lowest, 1 highest, 2 last, 3 sum, 4 rest),
/// $9 attempts of a new record. Gives the record and whether it is new, or nothing after the last
/// attempt. Reads leaderboard_record_owner_id_leaderboard_id_expiry_time_key.
const WRITE: &str = concat!(
    "INSERT INTO leaderboard_record AS r
            (leaderboard_id, owner_id, expiry_time, username, score, subscore, metadata,
             max_num_score)
     VALUES ($1, $2, $3, $4, CASE WHEN $8::int2 = 4 THEN 0 ELSE $5::int8 END,
             CASE WHEN $8::int2 = 4 THEN 0 ELSE $6::int8 END,
             coalesce($7::text::jsonb, '{}'), $9)
     ON CONFLICT (owner_id, leaderboard_id, expiry_time) DO UPDATE
        SET score = ",
    met!("r.score", "$5::int8"),
    ", subscore = ",
    met!("r.subscore", "$6::int8"),
    ", num_score = r.num_score + 1, metadata = coalesce($7::text::jsonb, r.metadata),
            username = coalesce($4, r.username), update_time = now()
      WHERE r.max_num_score = 0 OR r.num_score < r.max_num_score
     RETURNING r.xmax = 0 AS is_new, ",
    columns!()
);

/// As [`WRITE`] for somebody who must have joined, without $9: gives nothing where there is no
/// record, and the record as it was after the last attempt.
const WRITE_JOINED: &str = concat!(
    "WITH written AS (
         UPDATE leaderboard_record r
            SET score = ",
    met!("r.score", "$5::int8"),
    ", subscore = ",
    met!("r.subscore", "$6::int8"),
    ", num_score = r.num_score + 1, metadata = coalesce($7::text::jsonb, r.metadata),
                username = coalesce($4, r.username), update_time = now()
          WHERE r.leaderboard_id = $1 AND r.owner_id = $2 AND r.expiry_time = $3
            AND (r.max_num_score = 0 OR r.num_score < r.max_num_score)
         RETURNING r.*
     )
     SELECT ",
    columns!(),
    " FROM written r
     UNION ALL
     SELECT ",
    columns!(),
    " FROM leaderboard_record r
      WHERE r.leaderboard_id = $1 AND r.owner_id = $2 AND r.expiry_time = $3
        AND NOT EXISTS (SELECT 1 FROM written)"
);

/// $1 tournament, $2 owner, $3 expiry, $4 whether its places are counted. Reads
/// leaderboard_record_owner_id_leaderboard_id_expiry_time_key.
const DELETE: &str = "
    WITH removed AS (
        DELETE FROM leaderboard_record
         WHERE leaderboard_id = $1 AND owner_id = $2 AND expiry_time = $3
        RETURNING leaderboard_id, owner_id, expiry_time, create_time, num_score
    ), freed AS (
        UPDATE leaderboard l SET size = greatest(l.size - 1, 0)
          FROM removed WHERE l.id = removed.leaderboard_id AND $4::bool
    )
    SELECT leaderboard_id, owner_id, expiry_time, create_time, num_score FROM removed";

/// $1 tournament, $2 owner, $3 expiry, $4 attempts more. Reads
/// leaderboard_record_owner_id_leaderboard_id_expiry_time_key.
const ADD_ATTEMPTS: &str = "
    UPDATE leaderboard_record SET max_num_score = max_num_score + $4
     WHERE leaderboard_id = $1 AND owner_id = $2 AND expiry_time = $3";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_place_is_found_again() {
        let place = Place { start: 5, end: 0, category: 3, id: "t".into() };
        let place = TournamentPlace::from(Place::decode(&place.encode()).unwrap());
        assert_eq!(place, (5, Reverse(0), 3, "t".to_owned()));
    }
}
