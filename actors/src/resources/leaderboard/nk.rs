//! The host functions of leaderboards, and the shapes in which modules get boards and records.

use guildhall_core::{Code, Cursor, OrFault as _, Result, Status};
use guildhall_proto::{
    Timestamp,
    api::{self, LeaderboardRecordList},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Refusal,
    boards::{LeaderboardPlace, leaderboard_place},
    definition::{Definition, Operator, Reset, SortOrder},
    records::{self, Access, Listing, Submission},
};
use crate::{
    cx::Cx,
    host::{HostFn, Language, Origin, Returns},
    resources::{object_text, object_value, raised},
};

const ID: Status = Status::new(Code::InvalidArgument, "expects a leaderboard ID string");
const SORT_ORDER: Status =
    Status::new(Code::InvalidArgument, "expects sort order to be 'asc' or 'desc'");
const OPERATOR: Status =
    Status::new(Code::InvalidArgument, "expects operator to be 'best', 'set', 'decr' or 'incr'");
const OVERRIDE: Status = Status::new(
    Code::InvalidArgument,
    "expects the operator, if given, to be 'best', 'set', 'decr' or 'incr'",
);
const RESET: Status =
    Status::new(Code::InvalidArgument, "expects reset schedule to be a valid CRON expression");
const METADATA: Status = Status::new(Code::InvalidArgument, "expects metadata to be an object");
const SCORE: Status = Status::new(Code::InvalidArgument, "expects score to be >= 0");
const SUBSCORE: Status = Status::new(Code::InvalidArgument, "expects subscore to be >= 0");
const CURSOR: Status =
    Status::new(Code::InvalidArgument, "expects cursor to be valid when provided");
const LIMIT: Status = Status::new(Code::InvalidArgument, "limit must be 1-100");
const RECORDS_LIMIT: Status = Status::new(Code::InvalidArgument, "expects limit to be 0-10000");
const RANK: Status = Status::new(Code::InvalidArgument, "invalid rank - must be > 1");
const EXPIRY: Status = Status::new(
    Code::InvalidArgument,
    "expiry should be time since epoch in seconds and has to be a positive integer",
);
const EACH_ID: Status =
    Status::new(Code::InvalidArgument, "each leaderboard id must be a string that is not empty");

/// The most records of one page.
const MAX_RECORDS: i64 = 10_000;

/// The room that the table gives a leaderboard, which nobody joins.
const LEADERBOARD_SIZE: i32 = 100_000_000;
/// How many scores one may send unless a tournament says otherwise.
pub(in crate::resources) const MAX_NUM_SCORE: i32 = 1_000_000;

/// A number that Lua gets as text in some places, as in the reference.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(with = "u32")]
pub(in crate::resources) enum Shown {
    Text(String),
    Number(u32),
}

impl Shown {
    pub(in crate::resources) fn of(language: Language, number: u32) -> Self {
        match language {
            Language::Lua => Self::Text(number.to_string()),
            Language::JavaScript | Language::Native => Self::Number(number),
        }
    }
}

/// A leaderboard, as modules get it; times in Unix seconds.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Leaderboard")]
pub struct LeaderboardInfo {
    id: String,
    /// Whether only the server writes records.
    authoritative: bool,
    /// `best`, `set`, `increment` or `decrement`.
    operator: &'static str,
    /// 0 for the lowest score first, 1 for the highest; a text in Lua.
    sort_order: Shown,
    metadata: Value,
    create_time: i64,
    /// Left out where the leaderboard is never reset.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_reset: Option<Shown>,
    /// Left out where the leaderboard was never reset.
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_reset: Option<Shown>,
}

impl LeaderboardInfo {
    /// As host functions give it.
    fn of(language: Language, board: api::Leaderboard) -> Result<Self> {
        Self::with_resets(language, board, Shown::Number)
    }

    /// As a function is given it that was registered for resets.
    pub(super) fn for_reset(language: Language, board: api::Leaderboard) -> Result<Self> {
        Self::with_resets(language, board, |reset| Shown::of(language, reset))
    }

    fn with_resets(
        language: Language,
        board: api::Leaderboard,
        reset: impl Fn(u32) -> Shown,
    ) -> Result<Self> {
        let reset = |instant: u32| (instant != 0).then(|| reset(instant));
        Ok(Self {
            operator: operator(board.operator),
            sort_order: Shown::of(language, board.sort_order),
            metadata: metadata_value(&board.metadata)?,
            create_time: seconds(board.create_time),
            next_reset: reset(board.next_reset),
            prev_reset: reset(board.prev_reset),
            authoritative: board.authoritative,
            id: board.id,
        })
    }
}

/// The name of an operator of the API.
pub(in crate::resources) fn operator(wire: i32) -> &'static str {
    Operator::of_wire(wire).ok().flatten().unwrap_or(Operator::Best).name()
}

/// A time in Unix seconds.
pub(in crate::resources) fn seconds(time: Option<Timestamp>) -> i64 {
    time.map_or(0, |time| time.seconds)
}

/// JSON text of the database as a value.
pub(in crate::resources) fn metadata_value(text: &str) -> Result<Value> {
    object_value(text).or_fault("failed to convert metadata to json")
}

/// A record, as modules get it; times in Unix seconds.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LeaderboardRecord")]
pub struct RecordInfo {
    leaderboard_id: String,
    owner_id: String,
    username: Option<String>,
    score: i64,
    subscore: i64,
    /// How many scores were sent.
    num_score: i32,
    /// How many may be sent.
    max_num_score: u32,
    metadata: Value,
    create_time: i64,
    update_time: i64,
    /// When the record ends, if it does.
    expiry_time: Option<i64>,
    /// From 1; 0 where ranks are not told.
    rank: i64,
}

impl RecordInfo {
    pub(in crate::resources) fn of(record: api::LeaderboardRecord) -> Result<Self> {
        Ok(Self {
            leaderboard_id: record.leaderboard_id,
            owner_id: record.owner_id,
            username: record.username,
            score: record.score,
            subscore: record.subscore,
            num_score: record.num_score,
            max_num_score: record.max_num_score,
            metadata: metadata_value(&record.metadata)?,
            create_time: seconds(record.create_time),
            update_time: seconds(record.update_time),
            expiry_time: record.expiry_time.map(|time| time.seconds),
            rank: record.rank,
        })
    }

    fn all(records: Vec<api::LeaderboardRecord>) -> Result<Vec<Self>> {
        records.into_iter().map(Self::of).collect()
    }
}

/// A page of records, as modules get it. Lua gets the records of owners only from a list that can
/// ask for them, and nothing but an empty table where it asked for those of nobody.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "LeaderboardRecordList")]
pub struct RecordList {
    records: Vec<RecordInfo>,
    owner_records: Option<Vec<RecordInfo>>,
    next_cursor: Option<String>,
    prev_cursor: Option<String>,
    rank_count: Option<i64>,
}

impl Serialize for RecordList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("LeaderboardRecordList", 5)?;
        out.serialize_field("records", &self.records)?;
        if let Some(records) = &self.owner_records {
            out.serialize_field("owner_records", records)?;
        }
        if let Some(count) = &self.rank_count {
            out.serialize_field("next_cursor", &self.next_cursor)?;
            out.serialize_field("prev_cursor", &self.prev_cursor)?;
            out.serialize_field("rank_count", count)?;
        }
        out.end()
    }
}

impl RecordList {
    /// What Lua gets of the records of nobody.
    pub(in crate::resources) const fn nothing() -> Self {
        Self {
            records: Vec::new(),
            owner_records: None,
            next_cursor: None,
            prev_cursor: None,
            rank_count: None,
        }
    }

    /// A list that can ask for the records of owners.
    pub(in crate::resources) fn of(list: LeaderboardRecordList) -> Result<Self> {
        let cursor = |text: String| Some(text).filter(|text| !text.is_empty());
        Ok(Self {
            records: RecordInfo::all(list.records)?,
            owner_records: Some(RecordInfo::all(list.owner_records)?),
            next_cursor: cursor(list.next_cursor),
            prev_cursor: cursor(list.prev_cursor),
            rank_count: Some(list.rank_count),
        })
    }

    /// A list that cannot.
    pub(in crate::resources) fn around(
        language: Language,
        list: LeaderboardRecordList,
    ) -> Result<Self> {
        let list = Self::of(list)?;
        Ok(match language {
            Language::Lua => Self { owner_records: None, ..list },
            Language::JavaScript | Language::Native => list,
        })
    }
}

/// The sort order that a module names.
pub(in crate::resources) fn parse_sort_order(name: Option<&str>) -> Result<SortOrder, Status> {
    SortOrder::named(name.unwrap_or("desc")).ok_or(SORT_ORDER)
}

/// The operator that a module names for a board.
pub(in crate::resources) fn parse_operator(name: Option<&str>) -> Result<Operator, Status> {
    Operator::named(name.unwrap_or("best")).ok_or(OPERATOR)
}

/// The operator that a module names for one score.
pub(in crate::resources) fn parse_override(name: &str) -> Result<Option<Operator>, Status> {
    match name.to_lowercase().as_str() {
        "" | "no_override" => Ok(None),
        name => Operator::named(name).map(Some).ok_or(OVERRIDE),
    }
}

/// The reset schedule that a module gives.
pub(in crate::resources) fn parse_reset(expression: &str) -> Result<Option<Reset>, Status> {
    Reset::parse(expression).map_err(|_| RESET)
}

/// JSON text of the metadata that a module gives.
pub(in crate::resources) fn parse_metadata(
    origin: Origin<'_>,
    metadata: Option<&Value>,
) -> Result<Option<String>, Status> {
    metadata.map(|metadata| object_text(origin, metadata).ok_or(METADATA)).transpose()
}

/// The rows that a module asks for, of a list that it may page through: 0 for no page. JavaScript
/// may ask for more than there are in a page, and gets a page.
pub(in crate::resources) fn parse_records_limit(
    origin: Origin<'_>,
    limit: i64,
) -> Result<Option<i64>, Status> {
    match limit {
        0 => Ok(None),
        1..=MAX_RECORDS => Ok(Some(limit)),
        limit if limit > 0 && origin.language == Language::JavaScript => Ok(Some(MAX_RECORDS)),
        _ => Err(RECORDS_LIMIT),
    }
}

/// The rows that a module asks for.
pub(in crate::resources) fn parse_limit(limit: Option<i64>) -> Result<i64, Status> {
    match limit {
        None => Ok(10),
        Some(limit @ 1..=100) => Ok(limit),
        Some(_) => Err(LIMIT),
    }
}

/// The expiry that a module asks for.
pub(in crate::resources) fn parse_expiry(expiry: i64) -> Result<i64, Status> {
    if expiry < 0 { Err(EXPIRY) } else { Ok(expiry) }
}

/// `nk.leaderboard_create(id, authoritative, sort_order, operator, reset_schedule, metadata,
/// enable_ranks)`. One that is there already stays as it is.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct LeaderboardCreate {
    leaderboard_id: String,
    /// Whether only the server writes records.
    #[serde(default)]
    authoritative: bool,
    /// `asc` or `desc`, which is the default.
    #[serde(default)]
    sort_order: Option<String>,
    /// `best`, which is the default, `set`, `incr` or `decr`.
    #[serde(default)]
    operator: Option<String>,
    /// A cron expression.
    #[serde(default)]
    reset_schedule: String,
    #[serde(default)]
    metadata: Option<Value>,
    /// Whether ranks are told.
    #[serde(default)]
    enable_ranks: bool,
}

impl HostFn for LeaderboardCreate {
    const NAME: &'static str = "leaderboard_create";
    const RETURNS: Returns = Returns::Nothing;
    type Output = ();
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<()> {
        if self.leaderboard_id.is_empty() {
            return Err(ID.into());
        }
        let definition = Definition {
            id: self.leaderboard_id,
            authoritative: self.authoritative,
            sort_order: parse_sort_order(self.sort_order.as_deref())?,
            operator: parse_operator(self.operator.as_deref())?,
            reset: parse_reset(&self.reset_schedule)?,
            metadata: parse_metadata(origin, self.metadata.as_ref())?
                .unwrap_or_else(|| "{}".to_owned()),
            create_time_us: 0,
            category: 0,
            description: String::new(),
            duration_s: 0,
            end_s: 0,
            join_required: false,
            max_size: LEADERBOARD_SIZE,
            max_num_score: MAX_NUM_SCORE,
            title: String::new(),
            start_s: 0,
            ranked: self.enable_ranks,
        };
        const DOING: &str = "error creating leaderboard";
        let made = cx.boards.create(&cx.db, definition).await.or_fault(DOING);
        made.map(drop).map_err(|error| raised(DOING, error))
    }
}

/// `nk.leaderboard_delete(id)`: with all of its records. One that is not there is no error.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct LeaderboardDelete {
    id: String,
}

impl HostFn for LeaderboardDelete {
    const NAME: &'static str = "leaderboard_delete";
    const RETURNS: Returns = Returns::Nothing;
    type Output = ();
    async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
        if self.id.is_empty() {
            return Err(ID.into());
        }
        const DOING: &str = "error deleting leaderboard";
        let deleted = cx.boards.delete(&cx.db, &self.id).await.or_fault(DOING);
        deleted.map_err(|error| raised(DOING, error))
    }
}

/// A place in the list of leaderboards.
#[derive(Debug, Serialize, Deserialize)]
struct Place {
    create_time_us: i64,
    id: String,
}

impl Cursor for Place {
    const LIST: &'static str = "leaderboards";
}

/// A page of leaderboards, as modules get it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LeaderboardList")]
pub struct LeaderboardPage {
    leaderboards: Vec<LeaderboardInfo>,
    cursor: Option<String>,
}

/// `nk.leaderboard_list(limit, cursor)`: in the order of their creation.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct LeaderboardList {
    /// 1 to 100, 10 by default.
    #[serde(default)]
    limit: Option<i64>,
    #[serde(default)]
    cursor: String,
}

impl HostFn for LeaderboardList {
    const NAME: &'static str = "leaderboard_list";
    const RETURNS: Returns = Returns::Each;
    type Output = LeaderboardPage;
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<LeaderboardPage> {
        let limit = usize::try_from(parse_limit(self.limit)?).unwrap_or(0);
        let after: Option<LeaderboardPlace> = match self.cursor.as_str() {
            "" => None,
            cursor => {
                let Place { create_time_us, id } = Place::decode(cursor).ok_or(CURSOR)?;
                Some((create_time_us, id))
            }
        };
        let mut boards = cx.boards.leaderboards(after, limit + 1);
        let more = boards.len() > limit;
        boards.truncate(limit);
        let cursor = boards.last().filter(|_| more).map(|last| {
            let (create_time_us, id) = leaderboard_place(last);
            Place { create_time_us, id }.encode()
        });
        let now_s = cx.boards.now_s();
        let shown = boards
            .iter()
            .map(|board| LeaderboardInfo::of(origin.language, board.leaderboard(now_s)));
        Ok(LeaderboardPage { leaderboards: shown.collect::<Result<_>>()?, cursor })
    }
}

/// `nk.leaderboards_get_id(ids)`: those that are there.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct LeaderboardsGetId {
    leaderboard_ids: Vec<String>,
}

impl HostFn for LeaderboardsGetId {
    const NAME: &'static str = "leaderboards_get_id";
    type Output = Vec<LeaderboardInfo>;
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<Vec<LeaderboardInfo>> {
        if self.leaderboard_ids.iter().any(String::is_empty) {
            return Err(EACH_ID.into());
        }
        let now_s = cx.boards.now_s();
        let boards = self.leaderboard_ids.iter().filter_map(|id| cx.boards.get(id));
        let boards = boards.filter(|board| !board.is_tournament());
        boards.map(|board| LeaderboardInfo::of(origin.language, board.leaderboard(now_s))).collect()
    }
}

/// `nk.leaderboard_ranks_disable(id)`: ranks are not told any more, and the memory they took is
/// given back.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct LeaderboardRanksDisable {
    id: String,
}

impl HostFn for LeaderboardRanksDisable {
    const NAME: &'static str = "leaderboard_ranks_disable";
    const RETURNS: Returns = Returns::Nothing;
    type Output = ();
    async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
        if self.id.is_empty() {
            return Err(ID.into());
        }
        disable_ranks(cx, &self.id, false, "error disabling leaderboard ranks").await
    }
}

/// Tells no ranks of a leaderboard, or of a tournament, any more.
pub(in crate::resources) async fn disable_ranks(
    cx: &Cx,
    id: &str,
    tournament: bool,
    doing: &'static str,
) -> Result<()> {
    if cx.boards.get(id).is_none_or(|board| board.is_tournament() != tournament) {
        let refusal = if tournament { Refusal::NoTournament } else { Refusal::NotFound };
        return Err(refusal.raised(doing));
    }
    let disabled = cx.boards.disable_ranks(&cx.db, id).await.or_fault(doing);
    disabled.map(drop).map_err(|error| raised(doing, error))
}

/// `nk.leaderboard_record_delete(id, owner_id)`: one that is not there is no error.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct LeaderboardRecordDelete {
    id: String,
    owner_id: Uuid,
}

impl HostFn for LeaderboardRecordDelete {
    const NAME: &'static str = "leaderboard_record_delete";
    const RETURNS: Returns = Returns::Nothing;
    type Output = ();
    async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
        if self.id.is_empty() {
            return Err(ID.into());
        }
        let deleted = records::delete(cx, Access::Server, &self.id, self.owner_id).await;
        deleted.map_err(|refusal| refusal.raised("error deleting leaderboard record"))
    }
}

/// `nk.leaderboard_record_write(id, owner_id, username, score, subscore, metadata, operator)`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct LeaderboardRecordWrite {
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
    /// In place of the leaderboard's operator.
    #[serde(default)]
    override_operator: String,
}

impl HostFn for LeaderboardRecordWrite {
    const NAME: &'static str = "leaderboard_record_write";
    type Output = RecordInfo;
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<RecordInfo> {
        if self.id.is_empty() {
            return Err(ID.into());
        }
        if self.score < 0 {
            return Err(SCORE.into());
        }
        if self.subscore < 0 {
            return Err(SUBSCORE.into());
        }
        let submission = Submission {
            owner: self.owner_id,
            username: Some(self.username).filter(|name| !name.is_empty()),
            score: self.score,
            subscore: self.subscore,
            metadata: parse_metadata(origin, self.metadata.as_ref())?,
            operator: parse_override(&self.override_operator)?,
        };
        let written = records::write(cx, Access::Server, &self.id, &submission).await;
        RecordInfo::of(
            written.map_err(|refusal| refusal.raised("error writing leaderboard record"))?,
        )
    }
}

/// `nk.leaderboard_records_list(id, owner_ids, limit, cursor, expiry)`: a page from the best on,
/// and the records of some owners.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct LeaderboardRecordsList {
    id: String,
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

impl HostFn for LeaderboardRecordsList {
    const NAME: &'static str = "leaderboard_records_list";
    const RETURNS: Returns = Returns::Each;
    type Output = RecordList;
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<RecordList> {
        if self.id.is_empty() {
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
        let list = records::list(cx, &self.id, &listing).await;
        RecordList::of(list.map_err(|refusal| refusal.raised("error listing leaderboard records"))?)
    }
}

/// `nk.leaderboard_records_list_cursor_from_rank(id, rank, expiry)`: a cursor for
/// `leaderboard_records_list` that begins at a rank. Ranks must be told of the leaderboard.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct LeaderboardRecordsListCursorFromRank {
    leaderboard_id: String,
    /// From 1.
    rank: i64,
    /// The expiry of a period in place of the present one, Unix seconds.
    #[serde(default)]
    override_expiry: i64,
}

impl HostFn for LeaderboardRecordsListCursorFromRank {
    const NAME: &'static str = "leaderboard_records_list_cursor_from_rank";
    type Output = String;
    async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<String> {
        if self.leaderboard_id.is_empty() {
            return Err(ID.into());
        }
        if self.rank < 1 {
            return Err(RANK.into());
        }
        let Self { leaderboard_id, rank, override_expiry } = self;
        let cursor = records::cursor_from_rank(cx, &leaderboard_id, rank, override_expiry).await;
        cursor.map_err(|refusal| refusal.raised("failed to get cursor from rank"))
    }
}

/// `nk.leaderboard_records_haystack(id, owner_id, limit, cursor, expiry)`: the records around an
/// owner's.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct LeaderboardRecordsHaystack {
    id: String,
    owner_id: Uuid,
    /// 1 to 100, 10 by default.
    #[serde(default)]
    limit: Option<i64>,
    #[serde(default)]
    cursor: String,
    /// The expiry of a period in place of the present one, Unix seconds.
    #[serde(default)]
    override_expiry: i64,
}

impl HostFn for LeaderboardRecordsHaystack {
    const NAME: &'static str = "leaderboard_records_haystack";
    const RETURNS: Returns = Returns::Each;
    type Output = RecordList;
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<RecordList> {
        if self.id.is_empty() {
            return Err(ID.into());
        }
        let limit = parse_limit(self.limit)?;
        let expiry_s = parse_expiry(self.override_expiry)?;
        let list =
            records::around(cx, &self.id, self.owner_id, limit, &self.cursor, expiry_s).await;
        let list =
            list.map_err(|refusal| refusal.raised("error listing leaderboard records haystack"))?;
        RecordList::around(origin.language, list)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn lua_gets_a_sort_order_as_text_and_resets_only_if_there_are_any() {
        let board = || api::Leaderboard {
            id: "b".into(),
            sort_order: 1,
            operator: api::Operator::Increment.into(),
            metadata: "{}".into(),
            next_reset: 5,
            ..api::Leaderboard::default()
        };
        let shown = |info| serde_json::to_value(info).unwrap();
        let mut wanted = json!({
            "id": "b", "authoritative": false, "operator": "increment", "sort_order": "1",
            "metadata": {}, "create_time": 0, "next_reset": 5,
        });
        assert_eq!(shown(LeaderboardInfo::of(Language::Lua, board()).unwrap()), wanted);
        wanted["next_reset"] = "5".into();
        assert_eq!(shown(LeaderboardInfo::for_reset(Language::Lua, board()).unwrap()), wanted);
        wanted["next_reset"] = 5.into();
        wanted["sort_order"] = 1.into();
        assert_eq!(shown(LeaderboardInfo::for_reset(Language::Native, board()).unwrap()), wanted);
    }
}
