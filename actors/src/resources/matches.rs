//! Matches that run, as they are listed. What runs them is the realtime part, which is not built:
//! no match runs, and what is asked of one is checked and finds none.

use guildhall_core::{Caller, Code, Fault, Result, Status};
use guildhall_proto::api::{ListMatchesRequest, Match, MatchList};
use serde::Deserialize;
use uuid::Uuid;

use crate::{cx::Cx, endpoint::Body, endpoints, query::Query};

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

/// The text that names a match is none.
pub const INVALID_ID: Status = Status::new(Code::InvalidArgument, "match id invalid");

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

/// Up to `limit` matches.
///
/// # Errors
/// A fault for a query that is none, as in the reference.
pub async fn list(_: &Cx, limit: i32, filter: &Filter) -> Result<Vec<Match>> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let relayed = filter.authoritative == Some(false);
    if let Some(query) = filter.query.as_deref().filter(|query| !query.is_empty() && !relayed) {
        let unread = |error| Fault::new(LISTING, format!("error parsing query string: {error}"));
        Query::parse(query).map_err(unread)?;
    }
    // The matches that run are searched here.
    Ok(Vec::new())
}

/// The match with this id, if it runs.
///
/// # Errors
/// [`INVALID_ID`].
pub async fn get(_: &Cx, id: &str) -> Result<Option<Match>> {
    let (id, _node) = id.split_once('.').ok_or(INVALID_ID)?;
    Uuid::try_parse(id).map_err(|_| INVALID_ID)?;
    // The matches that run are looked up here.
    Ok(None)
}

/// The host functions.
pub mod nk {
    use guildhall_core::Error;
    use schemars::JsonSchema;
    use serde::Serialize;

    use super::*;
    use crate::{
        host::{HostFn, Language, Origin},
        resources::raised_plainly,
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
}
