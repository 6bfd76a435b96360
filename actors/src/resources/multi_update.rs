//! Updates of accounts, storage objects and wallets in one transaction.

use std::collections::BTreeSet;

use guildhall_core::{OrFault, Result};
use guildhall_proto::api::StorageObjectAck;
use uuid::Uuid;

use super::{
    account::{self, Changes},
    storage::{self, Access, Condition, Place, Write},
    wallet::{self, Outcome, Update},
};
use crate::{cx::Cx, database::Sql};

const UPDATING: &str = "Error running multi update.";

/// What is to be done, in this order.
#[derive(Clone, Debug, Default)]
pub struct Updates {
    /// Accounts that change.
    pub accounts: Vec<(Uuid, Changes)>,
    /// Storage objects that are written.
    pub writes: Vec<Write>,
    /// Storage objects that are deleted.
    pub deletes: Vec<(Place, Condition)>,
    /// Wallets that change.
    pub wallets: Vec<Update>,
    /// Whether the ledger is told of them.
    pub ledger: bool,
}

/// Does all of it or nothing, and acknowledges what was written and changed.
///
/// # Errors
/// Those of [`account::update`], [`storage::write`], [`storage::delete`] and [`wallet::update`].
pub async fn update(cx: &Cx, updates: &Updates) -> Result<(Vec<StorageObjectAck>, Vec<Outcome>)> {
    let Updates { accounts, writes, deletes, wallets, ledger } = updates;
    if accounts.is_empty() && writes.is_empty() && deletes.is_empty() && wallets.is_empty() {
        return Ok(Default::default());
    }
    // All users that any part changes are locked first and in one order, so that two updates wait
    // for each other and not in a circle.
    let users = accounts.iter().map(|(user, _)| *user);
    let users: BTreeSet<_> = users.chain(wallets.iter().map(|update| update.user)).collect();
    let users: Vec<_> = users.into_iter().collect();
    let places = writes.iter().map(|write| &write.place);
    let places = places.chain(deletes.iter().map(|(place, _)| place));
    let indexing = cx.storage_index.begin(places);
    let done = cx
        .db
        .transaction(async |sql| -> Result<_> {
            if !users.is_empty() {
                sql.execute(LOCK, &[&users]).await.or_fault(UPDATING)?;
            }
            for (user, changes) in accounts {
                account::update_in(sql, *user, changes).await?;
            }
            let acks = storage::write_in(sql, Access::Server, writes).await?;
            storage::delete_in(sql, Access::Server, deletes).await?;
            let outcomes = wallet::update_in(sql, wallets, *ledger).await?;
            Ok((acks, outcomes))
        })
        .await?;
    if let Some(indexing) = indexing {
        indexing.finish().await;
    }
    Ok(done)
}

/// $1 users. Reads the primary key of users.
const LOCK: &str = "SELECT FROM users WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE";

/// The host functions.
pub mod nk {
    use guildhall_core::{Code, Status};
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};
    use serde_json::{Map, Value};

    use super::*;
    use crate::{
        host::{HostFn, Language, Origin, Returns},
        resources::{
            object_text, raised_plainly,
            storage::nk::{Ack, DeleteRequest, WriteRequest, outside_filters},
            wallet::nk::{UpdateRequest, Updated},
        },
    };

    const METADATA: Status = Status::new(Code::InvalidArgument, "expects metadata to be an object");
    const USER: Status = Status::new(Code::InvalidArgument, "expects a valid user ID");

    /// What a module changes of an account; what is not given stays. An empty text unsets a field,
    /// but for the username; from native modules it leaves it.
    #[derive(Debug, Deserialize, JsonSchema)]
    #[schemars(rename = "UserUpdateAccount")]
    pub struct AccountRequest {
        /// Whose.
        #[serde(default)]
        #[schemars(with = "Uuid")]
        user_id: Option<Uuid>,
        #[serde(default)]
        username: Option<String>,
        #[serde(default)]
        display_name: Option<String>,
        #[serde(default)]
        timezone: Option<String>,
        #[serde(default)]
        location: Option<String>,
        #[serde(default)]
        lang_tag: Option<String>,
        #[serde(default)]
        avatar_url: Option<String>,
        /// An object.
        #[serde(default)]
        #[schemars(with = "Option<Map<String, Value>>")]
        metadata: Option<Value>,
    }

    impl AccountRequest {
        fn checked(self, origin: Origin<'_>) -> Result<(Uuid, Changes), Status> {
            let user = self.user_id.filter(|user| !user.is_nil()).ok_or(USER)?;
            let unsets = origin.language != Language::Native;
            let given = |text: Option<String>| text.filter(|text| unsets || !text.is_empty());
            let metadata = match self.metadata {
                Some(metadata) => Some(object_text(origin, &metadata).ok_or(METADATA)?),
                None => None,
            };
            let changes = Changes {
                username: self.username,
                display_name: given(self.display_name),
                timezone: given(self.timezone),
                location: given(self.location),
                lang_tag: given(self.lang_tag),
                avatar_url: given(self.avatar_url),
                metadata,
            };
            Ok((user, changes))
        }
    }

    /// `nk.multi_update(account_updates, storage_writes, storage_deletes, wallet_updates,
    /// update_ledger)`: changes accounts, storage objects and wallets, all of them or none.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct MultiUpdate {
        /// Accounts that change.
        #[serde(default)]
        account_updates: Option<Vec<AccountRequest>>,
        /// Storage objects that are written.
        #[serde(default)]
        storage_writes: Option<Vec<WriteRequest>>,
        /// Storage objects that are deleted.
        #[serde(default)]
        storage_deletes: Option<Vec<DeleteRequest>>,
        /// Wallets that change; a user that does not exist is left out.
        #[serde(default)]
        wallet_updates: Option<Vec<UpdateRequest>>,
        /// Whether the ledger is told of them.
        #[serde(default)]
        update_ledger: bool,
    }

    /// What was written and changed; in Lua nothing in place of an empty list.
    #[derive(Debug, JsonSchema, Serialize)]
    #[schemars(rename = "MultiUpdateResult")]
    pub struct Done {
        #[schemars(with = "Vec<Ack>")]
        storage_write_acks: Option<Vec<Ack>>,
        #[schemars(with = "Vec<Updated>")]
        wallet_update_acks: Option<Vec<Updated>>,
    }

    fn each<T, U>(
        requests: Option<Vec<T>>,
        checked: impl FnMut(T) -> Result<U, Status>,
    ) -> Result<Vec<U>, Status> {
        requests.into_iter().flatten().map(checked).collect()
    }

    impl HostFn for MultiUpdate {
        const NAME: &'static str = "multi_update";
        const RETURNS: Returns = Returns::Each;
        type Output = Done;
        async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<Done> {
            outside_filters(origin)?;
            let updates = Updates {
                accounts: each(self.account_updates, |request| request.checked(origin))?,
                writes: each(self.storage_writes, |request| request.checked(origin))?,
                deletes: each(self.storage_deletes, DeleteRequest::checked)?,
                wallets: each(self.wallet_updates, |request| request.checked(origin))?,
                ledger: self.update_ledger,
            };
            let done = update(cx, &updates).await;
            let (acks, outcomes) =
                done.map_err(|error| raised_plainly("error running multi update", error))?;
            let kept = |empty: bool| !(empty && origin.language == Language::Lua);
            Ok(Done {
                storage_write_acks: kept(acks.is_empty())
                    .then(|| acks.into_iter().map(Ack::from).collect()),
                wallet_update_acks: kept(outcomes.is_empty())
                    .then(|| outcomes.into_iter().map(Updated::from).collect()),
            })
        }
    }
}
