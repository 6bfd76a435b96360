//! Parties, as they are listed. What holds them is [`crate::realtime::party`].

use guildhall_core::{Caller, Code, Cursor, Fault, Result, Status};
use guildhall_proto::api::{ListPartiesRequest, Party, PartyList};
use serde::{Deserialize, Serialize};

use crate::{
    cx::Cx,
    endpoint::Body,
    endpoints,
    query::{Query, SortKey},
};

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

/// The last party of a page, and what was asked for.
#[derive(Debug, Serialize, Deserialize)]
struct Position {
    query: String,
    limit: i32,
    open: Option<bool>,
    place: SortKey,
}

impl Cursor for Position {
    const LIST: &'static str = "parties";
}

async fn list_parties(cx: &Cx, _: &mut Caller, request: ListPartiesRequest) -> Result<PartyList> {
    let ListPartiesRequest { limit, open, query, cursor } = request;
    let limit = match limit {
        None => 10,
        Some(limit @ 1..=100) => limit,
        Some(_) => return Err(INVALID_LIMIT.into()),
    };
    let filter = Filter { open, hidden: false, query: query.unwrap_or_default() };
    let (parties, cursor) = list(cx, limit, filter, &cursor.unwrap_or_default())?;
    Ok(PartyList { parties, cursor })
}

/// Up to `limit` parties, the best first and among equals the older, and where to go on.
///
/// # Errors
/// A fault for a query that is none, and for a cursor of another list, as in the reference.
pub fn list(
    cx: &Cx,
    limit: i32,
    filter: Filter,
    cursor: &str,
) -> Result<(Vec<Party>, String), Fault> {
    let wrong = |what: &'static str| Fault::new(LISTING, what);
    let Filter { open, hidden, query } = filter;
    let after = match cursor {
        "" => None,
        cursor => {
            let position = Position::decode(cursor).ok_or_else(|| wrong("invalid cursor"))?;
            if position.query != query {
                return Err(wrong("invalid cursor: param query mismatch"));
            }
            if position.limit != limit {
                return Err(wrong("invalid cursor: param limit mismatch"));
            }
            if position.open != open {
                return Err(wrong("invalid cursor: param open mismatch"));
            }
            Some(position.place)
        }
    };
    let most = usize::try_from(limit).unwrap_or(0);
    let search = searched(&query, open, hidden)?;
    let mut found = cx.parties.search(&search, after.as_ref(), most.saturating_add(1));
    let more = found.len() > most;
    found.truncate(most);
    let cursor = match found.last().filter(|_| more) {
        Some((_, place)) => Position { query, limit, open, place: place.clone() }.encode(),
        None => String::new(),
    };
    Ok((found.into_iter().map(|(party, _)| party).collect(), cursor))
}

fn searched(query: &str, open: Option<bool>, hidden: bool) -> Result<Query, Fault> {
    let query = match query {
        "" => Query::All,
        query => Query::parse(query)
            .map_err(|error| Fault::new(LISTING, format!("error parsing query string: {error}")))?,
    };
    let marked = |field: &str, yes: bool| Query::Term {
        field: field.to_owned(),
        term: if yes { "T" } else { "F" }.to_owned(),
        boost: 1.0,
    };
    let mut must = vec![query];
    must.extend(open.map(|open| marked("open", open)));
    must.extend((!hidden).then(|| marked("hidden", false)));
    Ok(Query::Parts { must, should: Vec::new(), must_not: Vec::new(), boost: 1.0 })
}

/// The host functions.
pub mod nk {
    use guildhall_core::Error;
    use schemars::JsonSchema;

    use super::*;
    use crate::host::{HostFn, Language, Origin, Returns};

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

    fn failed(fault: Fault) -> Error {
        let cause = fault.source;
        Status::of(Code::InvalidArgument, format!("failed to list parties: {cause}")).into()
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
            let page = list(cx, self.limit, filter, &self.cursor);
            let (parties, cursor) = page.map_err(failed)?;
            let parties = parties.into_iter().map(|party| shown(origin, party)).collect();
            Ok(Page { parties, cursor: Some(cursor).filter(|cursor| !cursor.is_empty()) })
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use guildhall_core::config::Config;
    use serde_json::json;

    use super::*;
    use crate::realtime::testing::{self, Client};

    #[tokio::test]
    async fn pages_lead_through_the_parties_that_are_asked_for() {
        let cx = testing::cx(Config::default());
        let ann = Client::connect(&cx, 1, "ann", false);
        for at in 0..8 {
            let label = format!(r#"{{"at":{at}}}"#);
            let (open, hidden) = (at != 3, at == 5);
            let party = json!({ "max_size": 2, "open": open, "hidden": hidden, "label": label });
            ann.ask(json!({ "party_create": party })).await;
        }
        let query = "label.at:>=1";
        let page = |limit, open, hidden, cursor: &str| {
            list(&cx, limit, Filter { open, hidden, query: query.to_owned() }, cursor)
        };
        let all = |open, hidden| {
            let (mut labels, mut cursor) = (Vec::new(), String::new());
            loop {
                let (parties, next) = page(2, open, hidden, &cursor).unwrap();
                labels.extend(parties.into_iter().map(|party| party.label));
                if next.is_empty() {
                    break labels;
                }
                cursor = next;
            }
        };
        let at = |places: &[i32]| {
            places.iter().map(|at| format!(r#"{{"at":{at}}}"#)).collect::<Vec<_>>()
        };
        assert_eq!(all(None, false), at(&[1, 2, 3, 4, 6, 7]));
        assert_eq!(all(Some(true), true), at(&[1, 2, 4, 5, 6, 7]));
        assert_eq!(all(Some(false), false), at(&[3]));

        let (_, cursor) = page(2, None, false, "").unwrap();
        let refused = |limit, open, cursor: &str| {
            page(limit, open, false, cursor).unwrap_err().source.to_string()
        };
        assert_eq!(refused(3, None, &cursor), "invalid cursor: param limit mismatch");
        assert_eq!(refused(2, Some(true), &cursor), "invalid cursor: param open mismatch");
        assert_eq!(refused(2, None, "bad"), "invalid cursor");
        let other = Filter { query: "*".to_owned(), ..Filter::default() };
        let refused = list(&cx, 2, other, &cursor).unwrap_err().source.to_string();
        assert_eq!(refused, "invalid cursor: param query mismatch");
    }
}
