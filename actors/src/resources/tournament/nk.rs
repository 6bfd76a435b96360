//! The host functions of tournaments.

use guildhall_core::{Code, Cursor, OrFault as _, Result, Status};
use guildhall_proto::api;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{Filter, Place};
use crate::{
    cx::Cx,
    host::{HostFn, Language, Origin, Returns},
    resources::{
        leaderboard::{
            Refusal,
            definition::{Definition, UNLIMITED},
            nk::{
                MAX_NUM_SCORE, RecordInfo, RecordList, Shown, disable_ranks, metadata_value,
                operator, parse_expiry, parse_limit, parse_metadata, parse_operator,
                parse_override, parse_records_limit, parse_reset, parse_sort_order, seconds,
            },
            records::{Access, Listing, Submission},
        },
        raised,
    },
};

const ID: Status = Status::new(Code::InvalidArgument, "expects a tournament ID string");
const EACH_ID: Status =
    Status::new(Code::InvalidArgument, "each tournament id must be a string that is not empty");
const DURATION: Status = Status::new(Code::InvalidArgument, "duration must be > 0");
const CATEGORY: Status = Status::new(Code::InvalidArgument, "category must be 0-127");
const CATEGORY_START: Status = Status::new(Code::InvalidArgument, "categoryStart must be 0-127");
const CATEGORY_END: Status = Status::new(Code::InvalidArgument, "categoryEnd must be 0-127");
const CATEGORIES: Status =
    Status::new(Code::InvalidArgument, "categoryEnd must be >= categoryStart");
const START_TIME: Status = Status::new(Code::InvalidArgument, "startTime must be >= 0.");
const END_TIME: Status = Status::new(
    Code::InvalidArgument,
    "endTime must be > startTime. Use 0 to indicate a tournament that never ends.",
);
const END_OF_LIST: Status = Status::new(Code::InvalidArgument, "endTime must be >= startTime");
const MAX_SIZE: Status = Status::new(Code::InvalidArgument, "maxSize must be >= 0");
const NUM_SCORE: Status = Status::new(Code::InvalidArgument, "maxNumScore must be >= 0");
const COUNT: Status = Status::new(Code::InvalidArgument, "expects an attempt count number != 0");
const USERNAME: Status = Status::new(Code::InvalidArgument, "expects a username string");
const CURSOR: Status =
    Status::new(Code::InvalidArgument, "expects cursor to be valid when provided");

/// A tournament, as modules get it; times in Unix seconds.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Tournament")]
pub struct TournamentInfo {
    id: String,
    title: String,
    description: String,
    category: u32,
    /// 0 for the lowest score first, 1 for the highest; a text in Lua.
    sort_order: Shown,
    /// How many take part, where that is limited.
    size: u32,
    max_size: u32,
    max_num_score: u32,
    /// How long a period takes scores, in seconds.
    duration: u32,
    /// When the period begins to take scores.
    start_active: u32,
    /// When it ceases to.
    end_active: u32,
    can_enter: bool,
    /// When the records end; left out for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_reset: Option<u32>,
    /// Left out where the tournament was never reset.
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_reset: Option<u32>,
    metadata: Value,
    create_time: i64,
    start_time: i64,
    /// When the tournament is over for good.
    end_time: Option<i64>,
    /// `best`, `set`, `increment` or `decrement`.
    operator: &'static str,
    /// Told by lists only.
    #[serde(skip_serializing_if = "Option::is_none")]
    join_required: Option<bool>,
}

impl TournamentInfo {
    /// As lists give it.
    fn listed(language: Language, tournament: api::Tournament) -> Result<Self> {
        let join_required = Some(tournament.join_required);
        Ok(Self { join_required, ..Self::of(language, tournament)? })
    }

    /// As a function is given it that was registered for ends or resets.
    pub(in crate::resources) fn of(
        language: Language,
        tournament: api::Tournament,
    ) -> Result<Self> {
        let reset = |instant: u32| Some(instant).filter(|instant| *instant != 0);
        Ok(Self {
            id: tournament.id,
            title: tournament.title,
            description: tournament.description,
            category: tournament.category,
            sort_order: Shown::of(language, tournament.sort_order),
            size: tournament.size,
            max_size: tournament.max_size,
            max_num_score: tournament.max_num_score,
            duration: tournament.duration,
            start_active: tournament.start_active,
            end_active: tournament.end_active,
            can_enter: tournament.can_enter,
            next_reset: reset(tournament.next_reset),
            prev_reset: reset(tournament.prev_reset),
            metadata: metadata_value(&tournament.metadata)?,
            create_time: seconds(tournament.create_time),
            start_time: seconds(tournament.start_time),
            end_time: tournament.end_time.map(|time| time.seconds),
            operator: operator(tournament.operator),
            join_required: None,
        })
    }
}

/// `nk.tournament_create(id, authoritative, sort_order, operator, duration, reset_schedule,
/// metadata, title, description, category, start_time, end_time, max_size, max_num_score,
/// join_required, enable_ranks)`. One that is there already stays as it is.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct TournamentCreate {
    id: String,
    /// Whether only the server writes records; so by default.
    #[serde(default)]
    authoritative: Option<bool>,
    /// `asc` or `desc`, which is the default.
    #[serde(default)]
    sort_order: Option<String>,
    /// `best`, which is the default, `set`, `incr` or `decr`.
    #[serde(default)]
    operator: Option<String>,
    /// How long a period takes scores, in seconds; above 0.
    #[serde(default)]
    duration: i64,
    /// A cron expression.
    #[serde(default)]
    reset_schedule: String,
    #[serde(default)]
    metadata: Option<Value>,
    #[serde(default)]
    title: String,
    #[serde(default)]
    description: String,
    /// 0 to 127.
    #[serde(default)]
    category: i64,
    /// Unix seconds; now by default.
    #[serde(default)]
    start_time: i64,
    /// Unix seconds; never by default.
    #[serde(default)]
    end_time: i64,
    /// How many may take part; 0 for all.
    #[serde(default)]
    max_size: i64,
    /// How many scores one may send in a period; 0 for 1000000.
    #[serde(default)]
    max_num_score: i64,
    /// Whether one must join before one sends a score.
    #[serde(default)]
    join_required: bool,
    /// Whether ranks are told.
    #[serde(default)]
    enable_ranks: bool,
}

/// A count of which 0 stands for `unset`.
fn count(value: i64, unset: i32, refusal: Status) -> Result<i32, Status> {
    match i32::try_from(value) {
        Ok(0) => Ok(unset),
        Ok(value @ 1..) => Ok(value),
        _ => Err(refusal),
    }
}

impl HostFn for TournamentCreate {
    const NAME: &'static str = "tournament_create";
    const RETURNS: Returns = Returns::Nothing;
    type Output = ();
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<()> {
        const DOING: &str = "error creating tournament";
        if self.id.is_empty() {
            return Err(ID.into());
        }
        let (sort_order, operator) = (
            parse_sort_order(self.sort_order.as_deref())?,
            parse_operator(self.operator.as_deref())?,
        );
        if !(1..=i64::from(i32::MAX)).contains(&self.duration) {
            return Err(DURATION.into());
        }
        let reset = parse_reset(&self.reset_schedule)?;
        let metadata = parse_metadata(origin, self.metadata.as_ref())?;
        let category = i16::try_from(self.category).ok().filter(|it| (0..128).contains(it));
        let category = category.ok_or(CATEGORY)?;
        if self.start_time < 0 {
            return Err(START_TIME.into());
        }
        if self.end_time != 0 && self.end_time <= self.start_time {
            return Err(END_TIME.into());
        }
        let definition = Definition {
            id: self.id,
            authoritative: self.authoritative.unwrap_or(true),
            sort_order,
            operator,
            reset,
            metadata: metadata.unwrap_or_else(|| "{}".to_owned()),
            create_time_us: 0,
            category,
            description: self.description,
            duration_s: self.duration,
            end_s: self.end_time,
            join_required: self.join_required,
            max_size: count(self.max_size, UNLIMITED, MAX_SIZE)?,
            max_num_score: count(self.max_num_score, MAX_NUM_SCORE, NUM_SCORE)?,
            title: self.title,
            start_s: self.start_time,
            ranked: self.enable_ranks,
        };
        super::check(&definition).map_err(|refusal| refusal.raised(DOING))?;
        let made = cx.boards.create(&cx.db, definition).await.or_fault(DOING);
        if made.map_err(|error| raised(DOING, error))?.is_tournament() {
            return Ok(());
        }
        let taken = "cannot create tournament as leaderboard is already in use";
        Err(Refusal::Definition(taken).raised(DOING))
    }
}

/// `nk.tournament_delete(id)`: with all of its records. One that is not there is no error.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct TournamentDelete {
    id: String,
}

impl HostFn for TournamentDelete {
    const NAME: &'static str = "tournament_delete";
    const RETURNS: Returns = Returns::Nothing;
    type Output = ();
    async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
        if self.id.is_empty() {
            return Err(ID.into());
        }
        if cx.boards.get(&self.id).is_none_or(|board| !board.is_tournament()) {
            return Ok(());
        }
        const DOING: &str = "error deleting tournament";
        let deleted = cx.boards.delete(&cx.db, &self.id).await.or_fault(DOING);
        deleted.map_err(|error| raised(DOING, error))
    }
}

/// `nk.tournament_add_attempt(id, owner_id, count)`: how many scores more an owner with a record may
/// send in this period.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct TournamentAddAttempt {
    id: String,
    owner_id: Uuid,
    /// Not 0.
    count: i32,
}

impl HostFn for TournamentAddAttempt {
    const NAME: &'static str = "tournament_add_attempt";
    const RETURNS: Returns = Returns::Nothing;
    type Output = ();
    async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
        if self.id.is_empty() {
            return Err(ID.into());
        }
        if self.count == 0 {
            return Err(COUNT.into());
        }
        let added = super::add_attempts(cx, &self.id, self.owner_id, self.count).await;
        added.map_err(|refusal| refusal.raised("error adding tournament attempts"))
    }
}

/// `nk.tournament_join(id, user_id, username)`: does nothing where one need not join.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct TournamentJoin {
    id: String,
    user_id: Uuid,
    username: String,
}

impl HostFn for TournamentJoin {
    const NAME: &'static str = "tournament_join";
    const RETURNS: Returns = Returns::Nothing;
    type Output = ();
    async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
        if self.id.is_empty() {
            return Err(ID.into());
        }
        if self.username.is_empty() {
            return Err(USERNAME.into());
        }
        let joined = super::join(cx, &self.id, self.user_id, &self.username).await;
        joined.map_err(|refusal| refusal.raised("error joining tournament"))
    }
}

/// A page of tournaments, as modules get it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TournamentList")]
pub struct TournamentPage {
    tournaments: Vec<TournamentInfo>,
    cursor: Option<String>,
}

/// `nk.tournament_list(category_start, category_end, start_time, end_time, limit, cursor)`: those
/// that begin at `start_time` or later and end at `end_time` or before; without it those that have
/// not ended, for 0 those that never end.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct TournamentList {
    /// 0 to 127.
    #[serde(default)]
    category_start: i64,
    /// From `category_start` to 127.
    #[serde(default)]
    category_end: i64,
    /// Unix seconds.
    #[serde(default)]
    start_time: Option<i64>,
    /// Unix seconds.
    #[serde(default)]
    end_time: Option<i64>,
    /// 1 to 100, 10 by default.
    #[serde(default)]
    limit: Option<i64>,
    #[serde(default)]
    cursor: String,
}

impl HostFn for TournamentList {
    const NAME: &'static str = "tournament_list";
    const RETURNS: Returns = Returns::Each;
    type Output = TournamentPage;
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<TournamentPage> {
        let categories = (self.category_start, self.category_end);
        if !(0..128).contains(&categories.0) {
            return Err(CATEGORY_START.into());
        }
        if !(0..128).contains(&categories.1) {
            return Err(CATEGORY_END.into());
        }
        if categories.0 > categories.1 {
            return Err(CATEGORIES.into());
        }
        // Modules say -1 for none.
        let given = |time: Option<i64>| time.filter(|time| *time != -1);
        let (start_s, end_s) = (given(self.start_time), given(self.end_time));
        if start_s.is_some_and(|start_s| start_s < 0) {
            return Err(START_TIME.into());
        }
        if end_s.is_some_and(|end_s| end_s < start_s.unwrap_or(0)) {
            return Err(END_OF_LIST.into());
        }
        let limit = usize::try_from(parse_limit(self.limit)?).unwrap_or(0);
        let after = match self.cursor.as_str() {
            "" => None,
            cursor => Some(Place::decode(cursor).ok_or(CURSOR)?),
        };
        let list = super::list(cx, Filter { categories, start_s, end_s }, limit, after).await;
        let list = list.map_err(|error| raised("error listing tournaments", error))?;
        let shown = list.tournaments.into_iter();
        let shown = shown.map(|it| TournamentInfo::listed(origin.language, it));
        Ok(TournamentPage {
            tournaments: shown.collect::<Result<_>>()?,
            cursor: Some(list.cursor).filter(|cursor| !cursor.is_empty()),
        })
    }
}

/// `nk.tournaments_get_id(ids)`: those that are there. `join_required` is not told here, as in the
/// reference.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct TournamentsGetId {
    tournament_ids: Vec<String>,
}

impl HostFn for TournamentsGetId {
    const NAME: &'static str = "tournaments_get_id";
    type Output = Vec<TournamentInfo>;
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<Vec<TournamentInfo>> {
        if self.tournament_ids.iter().any(String::is_empty) {
            return Err(EACH_ID.into());
        }
        let found = super::by_ids(cx, &self.tournament_ids).await;
        let found = found.map_err(|error| raised("failed to get tournaments", error))?;
        let shown = found.into_iter().map(|tournament| {
            let tournament = api::Tournament { join_required: false, ..tournament };
            TournamentInfo::listed(origin.language, tournament)
        });
        shown.collect()
    }
}

/// `nk.tournament_ranks_disable(id)`: ranks are not told any more. In Lua it takes a leaderboard, as
/// in the reference.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct TournamentRanksDisable {
    id: String,
}

impl HostFn for TournamentRanksDisable {
    const NAME: &'static str = "tournament_ranks_disable";
    const RETURNS: Returns = Returns::Nothing;
    type Output = ();
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<()> {
        if self.id.is_empty() {
            return Err(ID.into());
        }
        let tournament = origin.language != Language::Lua;
        disable_ranks(cx, &self.id, tournament, "error disabling tournament ranks").await
    }
}

/// `nk.tournament_record_delete(id, owner_id)`: one that is not there is no error.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct TournamentRecordDelete {
    id: String,
    owner_id: Uuid,
}

impl HostFn for TournamentRecordDelete {
    const NAME: &'static str = "tournament_record_delete";
    const RETURNS: Returns = Returns::Nothing;
    type Output = ();
    async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
        if self.id.is_empty() {
            return Err(ID.into());
        }
        let deleted = super::delete(cx, Access::Server, &self.id, self.owner_id).await;
        deleted.map_err(|refusal| refusal.raised("error deleting tournament record"))
    }
}

/// `nk.tournament_record_write(id, owner_id, username, score, subscore, metadata, operator)`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct TournamentRecordWrite {
    id: String,
    owner_id: Uuid,
    #[serde(default)]
    username: String,
    #[serde(default)]
    score: i64,
    #[serde(default)]
    subscore: i64,
    #[serde(default)]
    metadata: Option<Value>,
    /// In place of the tournament's operator.
    #[serde(default)]
    override_operator: String,
}

impl HostFn for TournamentRecordWrite {
    const NAME: &'static str = "tournament_record_write";
    type Output = RecordInfo;
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<RecordInfo> {
        if self.id.is_empty() {
            return Err(ID.into());
        }
        let submission = Submission {
            owner: self.owner_id,
            username: Some(self.username).filter(|name| !name.is_empty()),
            score: self.score,
            subscore: self.subscore,
            metadata: parse_metadata(origin, self.metadata.as_ref())?,
            operator: parse_override(&self.override_operator)?,
        };
        let written = super::write(cx, Access::Server, &self.id, &submission).await;
        RecordInfo::of(
            written.map_err(|refusal| refusal.raised("error writing tournament record"))?,
        )
    }
}

/// `nk.tournament_records_list(id, owner_ids, limit, cursor, expiry)`: a page from the best on, and
/// the records of some owners.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct TournamentRecordsList {
    tournament_id: String,
    #[serde(default)]
    owner_ids: Option<Vec<Uuid>>,
    /// 0 to 10000; none by default.
    #[serde(default)]
    limit: i64,
    #[serde(default)]
    cursor: String,
    /// The expiry of a period in place of the present one, Unix seconds.
    #[serde(default)]
    override_expiry: i64,
}

impl HostFn for TournamentRecordsList {
    const NAME: &'static str = "tournament_records_list";
    const RETURNS: Returns = Returns::Each;
    type Output = RecordList;
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<RecordList> {
        if self.tournament_id.is_empty() {
            return Err(ID.into());
        }
        let asks_for_nobody = self.owner_ids.as_ref().is_some_and(Vec::is_empty);
        if origin.language == Language::Lua && asks_for_nobody {
            return Ok(RecordList::nothing());
        }
        let listing = Listing {
            limit: parse_records_limit(origin, self.limit)?,
            cursor: self.cursor,
            owners: self.owner_ids.unwrap_or_default(),
            expiry_s: self.override_expiry,
        };
        let list = super::records_of(cx, &self.tournament_id, &listing).await;
        RecordList::of(list.map_err(|refusal| refusal.raised("error listing tournament records"))?)
    }
}

/// `nk.tournament_records_haystack(id, owner_id, limit, cursor, expiry)`: the records around an
/// owner's.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct TournamentRecordsHaystack {
    id: String,
    owner_id: Uuid,
    /// 1 to 100, 10 by default.
    #[serde(default)]
    limit: Option<i64>,
    #[serde(default)]
    cursor: String,
    /// The expiry of a period in place of the present one, Unix seconds.
    #[serde(default)]
    expiry: i64,
}

impl HostFn for TournamentRecordsHaystack {
    const NAME: &'static str = "tournament_records_haystack";
    const RETURNS: Returns = Returns::Each;
    type Output = RecordList;
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<RecordList> {
        if self.id.is_empty() {
            return Err(ID.into());
        }
        let limit = parse_limit(self.limit)?;
        let expiry_s = parse_expiry(self.expiry)?;
        let list = super::around(cx, &self.id, self.owner_id, limit, &self.cursor, expiry_s).await;
        let list =
            list.map_err(|refusal| refusal.raised("error listing tournament records haystack"))?;
        RecordList::around(origin.language, list)
    }
}
