//! The host function.

use guildhall_core::{Code, Error, Result, Status};
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use super::list;
use crate::{
    cx::Cx,
    host::{HostFn, Language, Origin, Returns},
    resources::{
        raised,
        storage::{Access, nk::ObjectList},
    },
};

const LIMIT: Status = Status::new(Code::InvalidArgument, "invalid limit: expects value 1-10000");
const JAVASCRIPT_LIMIT: Status = Status::new(Code::InvalidArgument, "limit must be 1-10000");
const CALLER: Status =
    Status::new(Code::InvalidArgument, "expects caller ID to be empty or a valid identifier");
const ORDER: Status = Status::new(Code::InvalidArgument, "expects a table of fields to order by");

const fn hundred() -> i32 {
    100
}

/// `nk.storage_index_list(index, query, limit, order, caller_id, cursor)`: a page of the objects
/// that an index finds. Lua must give an order, which may be empty, as in the reference.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct StorageIndexList {
    /// The name of the index.
    index: String,
    /// What is looked for; everything if empty.
    query: String,
    #[serde(default = "hundred")]
    limit: i32,
    /// Fields to order by, with `-` before those whose highest values come first. Without any the
    /// best matches come first.
    #[serde(default)]
    order: Option<Vec<String>>,
    /// Who asks; the server, which may read everything, if left out.
    #[serde(default)]
    caller_id: Option<String>,
    /// Where the page begins: what the page before it gave.
    #[serde(default)]
    cursor: String,
}

impl HostFn for StorageIndexList {
    const NAME: &'static str = "storage_index_list";
    const RETURNS: Returns = Returns::Each;
    type Output = ObjectList;
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<ObjectList> {
        let javascript = origin.language == Language::JavaScript;
        let limit = match usize::try_from(self.limit) {
            Ok(limit @ 1..=10_000) => limit,
            _ => return Err(if javascript { JAVASCRIPT_LIMIT } else { LIMIT }.into()),
        };
        let order = match self.order {
            None if origin.language == Language::Lua => return Err(ORDER.into()),
            order => order.unwrap_or_default(),
        };
        let caller = match self.caller_id.as_deref() {
            None | Some("") => Uuid::nil(),
            Some(caller) => Uuid::parse_str(caller).map_err(|_| CALLER)?,
        };
        // The nil id is the server's.
        let access = if caller.is_nil() { Access::Server } else { Access::User(caller) };
        let page = list(cx, access, &self.index, &self.query, limit, &order, &self.cursor).await;
        let doing = match javascript {
            true => "failed to lookup storage index",
            false => "error in storage index list",
        };
        let page = page.map_err(|error| match error {
            Error::Status(status) => {
                Status::of(status.code, format!("{doing}: {}", status.message)).into()
            }
            fault => raised(doing, fault),
        })?;
        ObjectList::of(page.objects, page.cursor)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_may_be_left_out_has_a_default() {
        let given: Result<StorageIndexList, _> =
            serde_json::from_value(json!({ "index": "i", "query": "*" }));
        assert!(
            given.is_ok_and(|it| it.limit == 100 && it.order.is_none() && it.cursor.is_empty())
        );
    }
}
