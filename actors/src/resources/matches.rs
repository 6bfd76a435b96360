//! Matches that run, as they are listed and as modules reach them. [`crate::realtime::matches`] runs
//! them.

use guildhall_core::{Caller, Code, Fault, Result, Status};
use guildhall_proto::api::{ListMatchesRequest, Match, MatchList};
use serde::Deserialize;

use crate::{
    cx::Cx,
    endpoint::Body,
    endpoints,
    query::Query,
    realtime::{
        matches::{Handle, INVALID_ID, MatchId, Matches},
        stream::mode,
    },
};

endpoints! {
    /// Matches that run, found by their labels and sizes.
    Get "/v2/match" => ListMatches(ListMatchesRequest) -> MatchList
        { auth: Session, body: Body::None, handle: list_matches }
}

const INVALID_LIMIT: Status =
    Status::new(Code::InvalidArgument, "Invalid limit - limit must be between 1 and 100.");
const LABEL_OF_RELAYED: Status = Status::new(
    Code::InvalidArgument,
    "Label filtering is not supported for non-authoritative matches.",
);
const QUERY_OF_RELAYED: Status = Status::new(
    Code::InvalidArgument,
    "Query filtering is not supported for non-authoritative matches.",
);
const NEGATIVE_LEAST: Status =
    Status::new(Code::InvalidArgument, "Minimum size must be 0 or above.");
const NEGATIVE_MOST: Status =
    Status::new(Code::InvalidArgument, "Maximum size must be 0 or above.");
const MOST_BELOW_LEAST: Status = Status::new(
    Code::InvalidArgument,
    "Maximum size must be greater than or equal to minimum size when both are specified.",
);

const LISTING: &str = "Error listing matches.";

/// Which matches are asked for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Run by a module, or relayed between clients; both where not given.
    pub authoritative: Option<bool>,
    /// The whole label.
    pub label: Option<String>,
    /// The fewest members.
    pub min_size: Option<i32>,
    /// The most members.
    pub max_size: Option<i32>,
    /// A query over labels.
    pub query: Option<String>,
}

async fn list_matches(cx: &Cx, _: &mut Caller, request: ListMatchesRequest) -> Result<MatchList> {
    let ListMatchesRequest { limit, authoritative, label, min_size, max_size, query } = request;
    let limit = match limit {
        None => 10,
        Some(limit @ 1..=100) => limit,
        Some(_) => return Err(INVALID_LIMIT.into()),
    };
    if authoritative == Some(false) {
        if label.is_some() {
            return Err(LABEL_OF_RELAYED.into());
        }
        if query.is_some() {
            return Err(QUERY_OF_RELAYED.into());
        }
    }
    if min_size.is_some_and(|least| least < 0) {
        return Err(NEGATIVE_LEAST.into());
    }
    if max_size.is_some_and(|most| most < 0) {
        return Err(NEGATIVE_MOST.into());
    }
    if let (Some(least), Some(most)) = (min_size, max_size)
        && least > most
    {
        return Err(MOST_BELOW_LEAST.into());
    }
    let filter = Filter { authoritative, label, min_size, max_size, query };
    Ok(MatchList { matches: list(cx, limit, &filter).await? })
}

/// Up to `limit` matches: first the authoritative ones, the best and then the newest first; behind
/// them, where neither label nor query is asked for, the relayed ones.
///
/// # Errors
/// A fault for a query that is none, as in the reference.
///
/// Source: Nakama, `LocalMatchRegistry.ListMatches`.
pub async fn list(cx: &Cx, limit: i32, filter: &Filter) -> Result<Vec<Match>> {
    let Some(limit) = usize::try_from(limit).ok().filter(|limit| *limit > 0) else {
        return Ok(Vec::new());
    };
    let by_label = filter.query.is_some() || filter.label.is_some();
    let fits = |size: i32| {
        filter.min_size.is_none_or(|least| size >= least)
            && filter.max_size.is_none_or(|most| size <= most)
    };
    let mut listed = Vec::new();
    if filter.authoritative != Some(false) {
        let found = cx.matches.search(&query(filter)?);
        let found = found.iter().map(|handle| listed_as(handle));
        listed.extend(found.filter(|it| fits(it.size)).take(limit));
    }
    if filter.authoritative != Some(true) && !by_label && listed.len() < limit {
        let relayed = cx.tracker.count_by_mode(&[mode::MATCH_RELAYED]);
        let relayed = relayed.into_iter().map(|(stream, size)| Match {
            match_id: format!("{}.{}", stream.subject, stream.label),
            size: i32::try_from(size).unwrap_or(i32::MAX),
            ..Match::default()
        });
        let room = limit - listed.len();
        listed.extend(relayed.filter(|it| fits(it.size)).take(room));
    }
    Ok(listed)
}

/// What labels are searched for.
fn query(filter: &Filter) -> Result<Query> {
    match (filter.query.as_deref(), &filter.label) {
        (Some(""), _) | (None, None) => Ok(Query::All),
        (Some(query), _) => Query::parse(query).map_err(|error| {
            Fault::new(LISTING, format!("error parsing query string: {error}")).into()
        }),
        (None, Some(label)) => Ok(Matches::with_label(label.clone())),
    }
}

/// The match with this id, if it runs.
///
/// # Errors
/// [`INVALID_ID`].
///
/// Source: Nakama, `LocalMatchRegistry.GetMatch`.
pub async fn get(cx: &Cx, id: &str) -> Result<Option<Match>> {
    let named = MatchId::parse(id).ok_or(INVALID_ID)?;
    if !named.is_relayed() {
        return Ok(cx.matches.find(named).map(|handle| listed_as(&handle)));
    }
    let size = cx.tracker.count_on(&named.stream());
    Ok((size > 0).then(|| Match {
        match_id: id.to_owned(),
        size: i32::try_from(size).unwrap_or(i32::MAX),
        ..Match::default()
    }))
}

/// An authoritative match as it is listed.
fn listed_as(handle: &Handle) -> Match {
    Match {
        match_id: handle.text().to_owned(),
        authoritative: true,
        label: Some(handle.label().to_string()),
        size: handle.size(),
        tick_rate: handle.tick_rate_hz().into(),
        handler_name: handle.handler_name().to_owned(),
    }
}

/// The host functions.
pub mod nk {
    use guildhall_core::Error;
    use schemars::JsonSchema;
    use serde::Serialize;
    use serde_json::{Map, Value};

    use super::*;
    use crate::{
        host::{HostFn, Language, Origin},
        resources::raised_plainly,
        runtime::call::Argument,
    };

    /// A match that runs.
    #[derive(Debug, JsonSchema, Serialize)]
    #[schemars(rename = "Match")]
    pub struct Shown {
        match_id: String,
        /// Whether a module runs it.
        authoritative: bool,
        /// Nothing for a match that clients relay.
        label: Option<String>,
        /// How many are in it.
        size: i32,
        /// Turns a second. In Lua and native.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(skip)]
        tick_rate: Option<i32>,
        /// What runs it. In Lua and native.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(skip)]
        handler_name: Option<String>,
    }

    fn shown(origin: Origin<'_>, of: Match) -> Shown {
        let told = origin.language != Language::JavaScript;
        Shown {
            match_id: of.match_id,
            authoritative: of.authoritative,
            label: of.label,
            size: of.size,
            tick_rate: Some(of.tick_rate).filter(|rate| told && *rate != 0),
            handler_name: Some(of.handler_name).filter(|name| told && !name.is_empty()),
        }
    }

    fn failed(error: Error) -> Error {
        const DOING: &str = "failed to list matches";
        match error {
            Error::Fault(fault) => {
                Status::of(Code::InvalidArgument, format!("{DOING}: {}", fault.source)).into()
            }
            status => raised_plainly(DOING, status),
        }
    }

    /// `nk.match_list(limit, authoritative, label, min_size, max_size, query)`: matches that run.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct MatchList {
        /// The most matches.
        #[serde(default = "one")]
        limit: i32,
        /// Run by a module, or relayed between clients; both where not given.
        #[serde(default)]
        authoritative: Option<bool>,
        /// The whole label.
        #[serde(default)]
        label: Option<String>,
        /// The fewest members.
        #[serde(default)]
        min_size: Option<i32>,
        /// The most members.
        #[serde(default)]
        max_size: Option<i32>,
        /// A query over labels.
        #[serde(default)]
        query: Option<String>,
    }

    const fn one() -> i32 {
        1
    }

    impl HostFn for MatchList {
        const NAME: &'static str = "match_list";
        type Output = Vec<Shown>;
        async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<Vec<Shown>> {
            let filter = Filter {
                authoritative: self.authoritative,
                label: self.label,
                min_size: self.min_size,
                max_size: self.max_size,
                query: self.query,
            };
            let matches = list(cx, self.limit, &filter).await.map_err(failed)?;
            Ok(matches.into_iter().map(|of| shown(origin, of)).collect())
        }
    }

    /// `nk.match_get(id)`: the match with this id, or nothing.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct MatchGet {
        /// Its id.
        id: String,
    }

    impl HostFn for MatchGet {
        const NAME: &'static str = "match_get";
        type Output = Option<Shown>;
        async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<Option<Shown>> {
            let found = get(cx, &self.id).await;
            let found = found.map_err(|error| raised_plainly("failed to get match", error))?;
            Ok(found.map(|of| shown(origin, of)))
        }
    }

    /// `nk.match_create(module, params)`: begins a match, and gives its id.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct MatchCreate {
        /// What runs it: a Lua module, or the name that a handler was registered under.
        module: String,
        /// What its init gets.
        #[serde(default)]
        params: Option<Map<String, Value>>,
    }

    impl HostFn for MatchCreate {
        const NAME: &'static str = "match_create";
        type Output = String;
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<String> {
            let params = self.params.map(Argument::of);
            let created = cx.matches.create(&self.module, params).await;
            created.map_err(|error| raised_plainly("error creating match", error))
        }
    }

    /// `nk.match_signal(id, data)`: asks a match's handler something, and gives its answer.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct MatchSignal {
        /// The match's id.
        id: String,
        /// What it is asked.
        #[serde(default)]
        data: String,
    }

    impl HostFn for MatchSignal {
        const NAME: &'static str = "match_signal";
        type Output = String;
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<String> {
            let answer = cx.matches.signal(&self.id, self.data).await;
            answer.map_err(|error| raised_plainly("failed to signal match", error))
        }
    }
}
