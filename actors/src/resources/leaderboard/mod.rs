//! Leaderboards: the best scores of all players, by period.

pub mod boards;
pub mod definition;
mod gather;
pub mod nk;
mod ranks;
pub mod records;
pub mod schedule;

use std::fmt;

use guildhall_core::{Caller, Code, Error, Fault, Result, Status, json};
use guildhall_proto::{
    Empty,
    api::{
        DeleteLeaderboardRecordRequest, LeaderboardRecord, LeaderboardRecordList,
        ListLeaderboardRecordsAroundOwnerRequest, ListLeaderboardRecordsRequest,
        WriteLeaderboardRecordRequest,
    },
};
use uuid::Uuid;

pub use self::{boards::Boards, gather::Batches};
use self::{
    definition::Operator,
    records::{Access, Listing, Submission},
};
use crate::{cx::Cx, endpoint::Body, endpoints};

endpoints! {
    /// Deletes the caller's record.
    Delete "/v2/leaderboard/{leaderboard_id}"
        => DeleteLeaderboardRecord(DeleteLeaderboardRecordRequest) -> Empty
        { auth: Session, body: Body::None, handle: delete_record }

    /// Lists records from the best on, and those of some owners.
    Get "/v2/leaderboard/{leaderboard_id}"
        => ListLeaderboardRecords(ListLeaderboardRecordsRequest) -> LeaderboardRecordList
        { auth: Session, body: Body::None, handle: list_records }

    /// Lists the records around an owner's.
    Get "/v2/leaderboard/{leaderboard_id}/owner/{owner_id}"
        => ListLeaderboardRecordsAroundOwner(ListLeaderboardRecordsAroundOwnerRequest)
        -> LeaderboardRecordList
        { auth: Session, body: Body::None, handle: list_records_around_owner }

    /// Sends a score.
    Post "/v2/leaderboard/{leaderboard_id}"
        => WriteLeaderboardRecord(WriteLeaderboardRecordRequest) -> LeaderboardRecord
        { auth: Session, body: Body::Field("record"), handle: write_record }
}

const INVALID_ID: Status = Status::new(Code::InvalidArgument, "Invalid leaderboard ID.");
const NOT_FOUND: Status = Status::new(Code::NotFound, "Leaderboard not found.");
pub(super) const RECORD_REQUIRED: Status =
    Status::new(Code::InvalidArgument, "Invalid input, record score value is required.");
pub(super) const METADATA: Status =
    Status::new(Code::InvalidArgument, "Metadata value must be JSON, if provided.");
const ONLY_AUTHORITATIVE_SCORES: Status =
    Status::new(Code::PermissionDenied, "Leaderboard only allows authoritative score submissions.");
const ONLY_AUTHORITATIVE_DELETIONS: Status =
    Status::new(Code::PermissionDenied, "Leaderboard only allows authoritative score deletions.");
const LIMIT_TO_1000: Status =
    Status::new(Code::InvalidArgument, "Invalid limit - limit must be between 1 and 1000.");
pub(super) const LIMIT_TO_100: Status =
    Status::new(Code::InvalidArgument, "Invalid limit - limit must be between 1 and 100.");
pub(super) const OWNERS: Status =
    Status::new(Code::InvalidArgument, "One or more owner IDs are invalid.");
pub(super) const OWNER_REQUIRED: Status =
    Status::new(Code::InvalidArgument, "Owner ID must be provided for a haystack query.");
pub(super) const OWNER: Status = Status::new(Code::InvalidArgument, "Invalid owner ID provided.");
pub(super) const CURSOR: Status =
    Status::new(Code::InvalidArgument, "Cursor is invalid or expired.");

const DELETING: &str = "Error deleting score from leaderboard.";
const LISTING: &str = "Error listing records from leaderboard.";
pub(super) const AROUND: &str = "Error querying records from leaderboard.";
const WRITING: &str = "Error writing score to leaderboard.";

/// Why work on boards was not done. Each endpoint has sentences of its own for these; modules see
/// the words of [`fmt::Display`].
#[derive(Debug)]
pub enum Refusal {
    /// There is no such leaderboard.
    NotFound,
    /// There is no such tournament.
    NoTournament,
    /// Only the server writes there.
    Authoritative,
    /// A cursor that is none, or of another list or period.
    Cursor,
    /// An operator that is none.
    Operator,
    /// A rank that nobody has, or that is not told.
    Rank,
    /// The period that is asked for is over.
    Over,
    /// The tournament takes no scores or joins now.
    OutsideDuration,
    /// The tournament is full.
    MaxSize,
    /// Its owner has sent as many scores as one may.
    MaxNumScore,
    /// One must join before.
    JoinRequired,
    /// The definition of a board does not hold together.
    Definition(&'static str),
    /// Anything else.
    Other(Error),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "leaderboard not found",
            Self::NoTournament => "tournament not found",
            Self::Authoritative => "only allows authoritative submissions",
            Self::Cursor => "leaderboard cursor invalid",
            Self::Operator => "invalid operator",
            Self::Rank => "no record has this rank, or ranks are not kept",
            Self::Over => "invalid expiry",
            Self::OutsideDuration => "tournament outside of duration",
            Self::MaxSize => "tournament max size reached",
            Self::MaxNumScore => "max number score count reached",
            Self::JoinRequired => "required to join before writing tournament record",
            Self::Definition(problem) => problem,
            Self::Other(error) => return error.fmt(f),
        })
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl Refusal {
    /// The fault of an endpoint that has no sentence of its own for this.
    pub(super) fn fault(self, sentence: &'static str) -> Error {
        match self {
            Self::Other(Error::Fault(mut fault)) => {
                fault.message = sentence.into();
                Error::Fault(fault)
            }
            Self::Other(status) => status,
            refusal => Fault::new(sentence, refusal.to_string()).into(),
        }
    }

    /// What a module sees of it.
    pub(super) fn raised(self, doing: &str) -> Error {
        let code = match self {
            Self::NotFound | Self::NoTournament => Code::NotFound,
            Self::Authoritative => Code::PermissionDenied,
            Self::Other(error) => return super::raised(doing, error),
            _ => Code::FailedPrecondition,
        };
        Status::of(code, format!("{doing}: {self}")).into()
    }
}

async fn delete_record(
    cx: &Cx,
    caller: &mut Caller,
    request: DeleteLeaderboardRecordRequest,
) -> Result<Empty> {
    if request.leaderboard_id.is_empty() {
        return Err(INVALID_ID.into());
    }
    let deleted =
        records::delete(cx, Access::Client, &request.leaderboard_id, caller.user_id()).await;
    deleted.map(|()| Empty {}).map_err(|refusal| match refusal {
        Refusal::NotFound => NOT_FOUND.into(),
        Refusal::Authoritative => ONLY_AUTHORITATIVE_DELETIONS.into(),
        other => other.fault(DELETING),
    })
}

async fn list_records(
    cx: &Cx,
    _: &mut Caller,
    request: ListLeaderboardRecordsRequest,
) -> Result<LeaderboardRecordList> {
    let ListLeaderboardRecordsRequest { leaderboard_id, owner_ids, limit, cursor, expiry } =
        request;
    if leaderboard_id.is_empty() {
        return Err(INVALID_ID.into());
    }
    let limit = match limit {
        Some(limit @ 1..=1000) => Some(limit.into()),
        Some(_) => return Err(LIMIT_TO_1000.into()),
        None if owner_ids.is_empty() || !cursor.is_empty() => Some(1),
        None => None,
    };
    let owners = parse_owners(&owner_ids)?;
    let listing = Listing { limit, cursor, owners, expiry_s: expiry.unwrap_or(0) };
    records::list(cx, &leaderboard_id, &listing).await.map_err(|refusal| match refusal {
        Refusal::NotFound => NOT_FOUND.into(),
        Refusal::Cursor => CURSOR.into(),
        other => other.fault(LISTING),
    })
}

/// The ids of owners.
pub(super) fn parse_owners(owners: &[String]) -> Result<Vec<Uuid>, Status> {
    let owners = owners.iter().map(|owner| Uuid::try_parse(owner));
    owners.collect::<Result<_, _>>().map_err(|_| OWNERS)
}

async fn list_records_around_owner(
    cx: &Cx,
    _: &mut Caller,
    request: ListLeaderboardRecordsAroundOwnerRequest,
) -> Result<LeaderboardRecordList> {
    let ListLeaderboardRecordsAroundOwnerRequest {
        leaderboard_id,
        limit,
        owner_id,
        expiry,
        cursor,
    } = request;
    if leaderboard_id.is_empty() {
        return Err(INVALID_ID.into());
    }
    let limit = match limit {
        None => 1,
        Some(limit @ 1..=100) => limit.into(),
        Some(_) => return Err(LIMIT_TO_100.into()),
    };
    if owner_id.is_empty() {
        return Err(OWNER_REQUIRED.into());
    }
    let owner = Uuid::try_parse(&owner_id).map_err(|_| OWNER)?;
    let expiry_s = expiry.unwrap_or(0);
    records::around(cx, &leaderboard_id, owner, limit, &cursor, expiry_s).await.map_err(|refusal| {
        match refusal {
            Refusal::NotFound => NOT_FOUND.into(),
            other => other.fault(AROUND),
        }
    })
}

async fn write_record(
    cx: &Cx,
    caller: &mut Caller,
    request: WriteLeaderboardRecordRequest,
) -> Result<LeaderboardRecord> {
    if request.leaderboard_id.is_empty() {
        return Err(INVALID_ID.into());
    }
    let record = request.record.ok_or(RECORD_REQUIRED)?;
    let submission =
        submission(caller, record.score, record.subscore, record.metadata, record.operator)?;
    let written = match submission {
        Ok(submission) => {
            records::write(cx, Access::Client, &request.leaderboard_id, &submission).await
        }
        // What is asked for is judged after where.
        Err(refusal) => match cx.boards.get(&request.leaderboard_id) {
            None => Err(Refusal::NotFound),
            Some(board) if board.authoritative => Err(Refusal::Authoritative),
            Some(_) => Err(refusal),
        },
    };
    written.map_err(|refusal| match refusal {
        Refusal::NotFound => NOT_FOUND.into(),
        Refusal::Authoritative => ONLY_AUTHORITATIVE_SCORES.into(),
        other => other.fault(WRITING),
    })
}

/// What a client sends. The outer error is told at once, the inner one once the board was found.
pub(super) fn submission(
    caller: &Caller,
    score: i64,
    subscore: i64,
    metadata: String,
    operator: i32,
) -> Result<Result<Submission, Refusal>, Status> {
    if !metadata.is_empty() && !json::is_object(&metadata) {
        return Err(METADATA);
    }
    Ok(Operator::of_wire(operator).map(|operator| Submission {
        owner: caller.user_id(),
        username: caller
            .user
            .as_ref()
            .map(|user| user.username.clone())
            .filter(|name| !name.is_empty()),
        score,
        subscore,
        metadata: Some(metadata).filter(|metadata| !metadata.is_empty()),
        operator,
    }))
}
