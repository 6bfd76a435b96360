//! Parties, as they are listed. What holds them is the realtime part, which is not built: there is
//! no party, and what is asked of them is checked and finds none.

use guildhall_core::{Caller, Code, Fault, Result, Status};
use guildhall_proto::api::{ListPartiesRequest, Party, PartyList};
use serde::Deserialize;

use crate::{cx::Cx, endpoint::Body, endpoints, query::Query};

endpoints! {
    /// A page of the parties that can be found.
    Get "/v2/party" => ListParties(ListPartiesRequest) -> PartyList
        { auth: Session, body: Body::None, handle: list_parties }
}

const INVALID_LIMIT: Status =
    Status::new(Code::InvalidArgument, "Invalid limit - limit must be between 1 and 100.");

// So in the reference.
const LISTING: &str = "Error listing matches.";

/// Which parties are asked for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those that may be entered, or may not; both where not given.
    pub open: Option<bool>,
    /// Those that are hidden as well.
    pub hidden: bool,
    /// A query over labels; all where empty.
    pub query: String,
}

async fn list_parties(cx: &Cx, _: &mut Caller, request: ListPartiesRequest) -> Result<PartyList> {
    let ListPartiesRequest { limit, open, query, cursor } = request;
    let limit = match limit {
        None => 10,
        Some(limit @ 1..=100) => limit,
        Some(_) => return Err(INVALID_LIMIT.into()),
    };
    let filter = Filter { open, hidden: false, query: query.unwrap_or_default() };
    let (parties, cursor) = list(cx, limit, &filter, &cursor.unwrap_or_default()).await?;
    Ok(PartyList { parties, cursor })
}

/// Up to `limit` parties, and where to go on.
///
/// # Errors
/// A fault for a query or cursor that is none, as in the reference.
pub async fn list(
    _: &Cx,
    _limit: i32,
    filter: &Filter,
    cursor: &str,
) -> Result<(Vec<Party>, String)> {
    if !cursor.is_empty() {
        // There was no page that could have given it.
        return Err(Fault::new(LISTING, "invalid cursor").into());
    }
    if !filter.query.is_empty() {
        let unread = |error| Fault::new(LISTING, format!("error parsing query string: {error}"));
        Query::parse(&filter.query).map_err(unread)?;
    }
    // The parties that are there are searched here.
    Ok((Vec::new(), String::new()))
}

/// The host functions.
pub mod nk {
    use guildhall_core::Error;
    use schemars::JsonSchema;
    use serde::Serialize;

    use super::*;
    use crate::{
        host::{HostFn, Language, Origin, Returns},
        resources::raised_plainly,
    };

    const LIMIT: Status = Status::new(Code::InvalidArgument, "expects limit to be 1-100");

    /// A party.
    #[derive(Debug, JsonSchema, Serialize)]
    #[serde(untagged)]
    #[schemars(rename = "Party", from = "PartyFields", into = "PartyFields")]
    pub enum Shown {
        /// In JavaScript and native.
        Named(PartyFields),
        /// In Lua.
        Lua(PartyInLua),
    }

    /// A party.
    #[derive(Debug, JsonSchema, Serialize)]
    pub struct PartyFields {
        party_id: String,
        /// Whether it may be entered.
        open: bool,
        /// The most members.
        max_size: i32,
        /// What can be searched for.
        label: String,
    }

    /// A party as Lua gets it in the reference: its id has the name of a match's.
    #[derive(Debug, Serialize)]
    pub struct PartyInLua {
        match_id: String,
        open: bool,
        #[serde(rename = "maxSize")]
        max_size: i32,
        label: String,
    }

    /// A page of parties.
    #[derive(Debug, JsonSchema, Serialize)]
    #[schemars(rename = "PartyList")]
    pub struct Page {
        parties: Vec<Shown>,
        /// Where to go on, if there is more.
        #[serde(skip_serializing_if = "Option::is_none")]
        cursor: Option<String>,
    }

    fn shown(origin: Origin<'_>, party: Party) -> Shown {
        let Party { party_id: id, open, max_size, label, .. } = party;
        match origin.language {
            Language::Lua => Shown::Lua(PartyInLua { match_id: id, open, max_size, label }),
            Language::JavaScript | Language::Native => {
                Shown::Named(PartyFields { party_id: id, open, max_size, label })
            }
        }
    }

    fn failed(error: Error) -> Error {
        const DOING: &str = "failed to list parties";
        match error {
            Error::Fault(fault) => {
                Status::of(Code::InvalidArgument, format!("{DOING}: {}", fault.source)).into()
            }
            status => raised_plainly(DOING, status),
        }
    }

    /// `nk.party_list(limit, open, show_hidden, query, cursor)`: a page of parties.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct PartyList {
        /// 1 to 100.
        #[serde(default = "ten")]
        limit: i32,
        /// Those that may be entered, or may not; both where not given.
        #[serde(default)]
        open: Option<bool>,
        /// Those that are hidden as well.
        #[serde(default)]
        show_hidden: bool,
        /// A query over labels.
        #[serde(default)]
        query: String,
        /// Where to go on.
        #[serde(default)]
        cursor: String,
    }

    const fn ten() -> i32 {
        10
    }

    impl HostFn for PartyList {
        const NAME: &'static str = "party_list";
        const RETURNS: Returns = Returns::Each;
        type Output = Page;
        async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<Page> {
            if !(1..=100).contains(&self.limit) {
                return Err(LIMIT.into());
            }
            let filter = Filter { open: self.open, hidden: self.show_hidden, query: self.query };
            let page = list(cx, self.limit, &filter, &self.cursor).await;
            let (parties, cursor) = page.map_err(failed)?;
            let parties = parties.into_iter().map(|party| shown(origin, party)).collect();
            Ok(Page { parties, cursor: Some(cursor).filter(|cursor| !cursor.is_empty()) })
        }
    }
}
