//! Wallets: what a user owns of each currency, and the ledger of its changes.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures_util::future::try_join;
use guildhall_core::{Code, Cursor, OrFault, Result, Status};
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{
    cx::Cx,
    database::{DbError, Sql},
};

const UPDATING: &str = "Error updating wallets.";
const LISTING: &str = "Error retrieving user wallet ledger.";
const UPDATING_LEDGER: &str = "Error updating user wallet ledger.";

/// How much there is of each currency.
pub type Wallet = BTreeMap<String, i64>;

/// What is to change of a user's wallet.
#[derive(Clone, Debug)]
pub struct Update {
    /// Whose.
    pub user: Uuid,
    /// What is added to each currency; negative amounts are taken away.
    pub changeset: Wallet,
    /// What the ledger is to know of it: JSON text of an object.
    pub metadata: String,
}

/// A wallet that was changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Whose.
    pub user: Uuid,
    /// Before the change.
    pub previous: Wallet,
    /// After it.
    pub updated: Wallet,
}

/// A change that the ledger knows of.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its id.
    pub id: Uuid,
    /// Whose wallet.
    pub user: Uuid,
    /// What was added to each currency.
    pub changeset: Wallet,
    /// JSON text of an object.
    pub metadata: String,
    /// When it was made.
    pub create_time: DateTime<Utc>,
    /// When its metadata was changed.
    pub update_time: DateTime<Utc>,
}

/// A place in a user's ledger: behind this item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    user: Uuid,
    time_us: i64,
    id: Uuid,
}

impl Cursor for Place {
    const LIST: &'static str = "wallet_ledger";
}

impl Place {
    /// The place that `text` stands for, if it is one of this user's ledger.
    pub fn of_user(text: &str, user: Uuid) -> Option<Self> {
        Self::decode(text).filter(|place| place.user == user)
    }
}

/// Changes wallets, all of them or none, in their order. A user that does not exist is left out.
///
/// `ledger` tells the ledger of each change.
///
/// # Errors
/// `InvalidArgument` where there would be less than nothing of a currency.
pub async fn update(cx: &Cx, updates: &[Update], ledger: bool) -> Result<Vec<Outcome>> {
    if updates.is_empty() {
        return Ok(Vec::new());
    }
    cx.db.transaction(async |sql| update_in(sql, updates, ledger).await).await
}

/// As [`update`], within a transaction; it must be rolled back on an error. Locks the users in the
/// order of their ids.
///
/// # Errors
/// As [`update`].
pub async fn update_in(sql: &impl Sql, updates: &[Update], ledger: bool) -> Result<Vec<Outcome>> {
    if updates.is_empty() {
        return Ok(Vec::new());
    }
    let users: Vec<_> = updates.iter().map(|update| update.user).collect();
    let rows = sql.query(LOCK, &[&users]).await.or_fault(UPDATING)?;
    let mut wallets = BTreeMap::new();
    for row in &rows {
        let id: Uuid = row.try_get("id").or_fault(UPDATING)?;
        let text: String = row.try_get("wallet").or_fault(UPDATING)?;
        wallets.insert(id, serde_json::from_str::<Wallet>(&text).or_fault(UPDATING)?);
    }

    let mut outcomes = Vec::with_capacity(updates.len());
    let mut entries = Entries::default();
    for Update { user, changeset, metadata } in updates {
        let Some(wallet) = wallets.get_mut(user) else { continue };
        let previous = wallet.clone();
        add(wallet, changeset)?;
        outcomes.push(Outcome { user: *user, previous, updated: wallet.clone() });
        entries.ids.push(Uuid::new_v4());
        entries.users.push(*user);
        entries.changesets.push(serde_json::to_string(changeset).or_fault(UPDATING)?);
        entries.metadata.push(metadata);
    }
    if outcomes.is_empty() {
        return Ok(outcomes);
    }
    let users: Vec<_> = wallets.keys().copied().collect();
    let texts = wallets.values().map(serde_json::to_string).collect::<Result<Vec<_>, _>>();
    let texts = texts.or_fault(UPDATING)?;
    let write = async { sql.execute(WRITE, &[&users, &texts]).await };
    let record = async {
        if !ledger {
            return Ok(0);
        }
        let Entries { ids, users, changesets, metadata } = &entries;
        sql.execute(RECORD, &[ids, users, changesets, metadata]).await
    };
    try_join(write, record).await.or_fault(UPDATING)?;
    Ok(outcomes)
}

/// Rows of the ledger, column by column.
#[derive(Default)]
struct Entries<'a> {
    ids: Vec<Uuid>,
    users: Vec<Uuid>,
    changesets: Vec<String>,
    metadata: Vec<&'a String>,
}

/// Adds what is in `changeset` to `wallet`. Where an amount would be negative or too large, the
/// wallet is left half changed.
fn add(wallet: &mut Wallet, changeset: &Wallet) -> Result<(), Status> {
    for (currency, amount) in changeset {
        let held = wallet.entry(currency.clone()).or_default();
        // An amount beyond 64 bits turns negative in the reference.
        match held.checked_add(*amount) {
            Some(sum @ 0..) => *held = sum,
            _ => {
                let sentence =
                    format!("wallet update rejected negative value at path '{currency}'");
                return Err(Status::of(Code::InvalidArgument, sentence));
            }
        }
    }
    Ok(())
}

/// Up to `limit` changes of a user's wallet behind `after`, the latest first, and the place to go
/// on at if there are more.
///
/// # Errors
/// A fault of the database.
pub async fn list(
    cx: &Cx,
    user: Uuid,
    limit: i64,
    after: Option<Place>,
) -> Result<(Vec<Item>, Option<Place>)> {
    let (time, id) = match after {
        Some(place) => (DateTime::from_timestamp_micros(place.time_us), place.id),
        // Behind every change: the end of the year 9999.
        None => (DateTime::from_timestamp(253_402_300_799, 0), Uuid::max()),
    };
    let time = time.ok_or("a cursor beyond the end of time").or_fault(LISTING)?;
    let rows = cx.db.query(LIST, &[&user, &time, &id, &(limit + 1)]).await.or_fault(LISTING)?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX).min(rows.len());
    let items = rows[..shown].iter().map(read).collect::<Result<Vec<_>>>()?;
    let next = match items.last() {
        Some(last) if rows.len() > shown => {
            Some(Place { user, time_us: last.create_time.timestamp_micros(), id: last.id })
        }
        _ => None,
    };
    Ok((items, next))
}

/// The whole ledger of a user, the latest change first.
///
/// # Errors
/// A fault of the database.
pub async fn ledger_of(sql: &impl Sql, user: Uuid) -> Result<Vec<Item>> {
    let rows = sql.query(LEDGER, &[&user]).await.or_fault(LISTING)?;
    rows.iter().map(read).collect()
}

/// Adds to what the ledger knows of a change; `metadata` is JSON text of an object. `None` where
/// there is no such change.
///
/// # Errors
/// A fault of the database.
pub async fn update_ledger(cx: &Cx, item: Uuid, metadata: &str) -> Result<Option<Item>> {
    let row = cx.db.opt(UPDATE_LEDGER, &[&item, &metadata]).await.or_fault(UPDATING_LEDGER)?;
    row.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Result<Item> {
    fn columns(row: &Row) -> Result<(String, Item), DbError> {
        let item = Item {
            id: row.try_get("id")?,
            user: row.try_get("user_id")?,
            changeset: Wallet::new(),
            metadata: row.try_get("metadata")?,
            create_time: row.try_get("create_time")?,
            update_time: row.try_get("update_time")?,
        };
        Ok((row.try_get("changeset")?, item))
    }
    let (changeset, item) = columns(row).or_fault(LISTING)?;
    Ok(Item { changeset: serde_json::from_str(&changeset).or_fault(LISTING)?, ..item })
}

/// $1 users. Locks them in the order of their ids, so that concurrent changes wait for each other
/// and not in a circle. Reads the primary key of users.
pub(super) const LOCK: &str = "
    SELECT id, wallet::text AS wallet FROM users WHERE id = ANY($1)
     ORDER BY id FOR NO KEY UPDATE";

/// $1 users, $2 wallets. Reads the primary key of users.
const WRITE: &str = "
    UPDATE users u SET wallet = w.wallet::jsonb, update_time = now()
      FROM unnest($1::uuid[], $2::text[]) AS w (id, wallet)
     WHERE u.id = w.id";

/// $1 ids, $2 users, $3 changesets, $4 metadata. The time is that of the change, which may have
/// waited for another since its transaction began.
const RECORD: &str = "
    INSERT INTO wallet_ledger (id, user_id, changeset, metadata, create_time, update_time)
    SELECT id, user_id, changeset, metadata, time, time
      FROM (SELECT id, user_id, changeset::jsonb, metadata::jsonb, clock_timestamp() AS time
              FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[])
                   AS e (id, user_id, changeset, metadata)) AS entry";

/// $1 user, ($2, $3) the place to begin behind, $4 rows. Reads the primary key.
const LIST: &str = "
    SELECT id, user_id, changeset::text AS changeset, metadata::text AS metadata, create_time,
           update_time
      FROM wallet_ledger
     WHERE user_id = $1 AND (create_time, id) < ($2, $3)
     ORDER BY create_time DESC, id DESC
     LIMIT $4";

/// $1 user. Reads the primary key.
const LEDGER: &str = "
    SELECT id, user_id, changeset::text AS changeset, metadata::text AS metadata, create_time,
           update_time
      FROM wallet_ledger
     WHERE user_id = $1
     ORDER BY create_time DESC, id DESC";

/// $1 item, $2 metadata. Reads wallet_ledger_id_key.
const UPDATE_LEDGER: &str = "
    UPDATE wallet_ledger SET metadata = metadata || $2::text::jsonb, update_time = now()
     WHERE id = $1
    RETURNING id, user_id, changeset::text AS changeset, metadata::text AS metadata, create_time,
              update_time";

/// The host functions.
pub mod nk {
    use schemars::JsonSchema;
    use serde::{Deserializer, de::Error as _};
    use serde_json::{Map, Value};

    use super::*;
    use crate::{
        host::{HostFn, Language, Origin, Returns, defaults},
        resources::{object_text, object_value, raised_plainly, user_id},
    };

    const METADATA: Status = Status::new(Code::InvalidArgument, "expects metadata to be an object");
    const USER_NOT_FOUND: Status = Status::new(Code::NotFound, "user not found");
    const LIMIT: Status = Status::new(Code::InvalidArgument, "expects limit to be 0-100");
    const LIMIT_OF_JAVASCRIPT: Status =
        Status::new(Code::InvalidArgument, "expects limit to be 0-10000");
    const CURSOR: Status = Status::new(
        Code::InvalidArgument,
        "failed to retrieve user wallet ledger: wallet ledger cursor invalid",
    );
    const ITEM_NOT_FOUND: Status = Status::new(
        Code::NotFound,
        "failed to update user wallet ledger: no item of the ledger has this id",
    );

    const UPDATING: &str = "failed to update user wallet";

    /// An amount as modules give it: what is no whole number is refused, not cut.
    struct Amount(i64);

    impl<'de> Deserialize<'de> for Amount {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let amount = match Value::deserialize(deserializer)? {
                Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
                _ => None,
            };
            let refusal = || D::Error::custom("expects changeset values to be whole numbers");
            amount.map(Self).ok_or_else(refusal)
        }
    }

    /// The whole number that `number` is, if it is one of 64 bits.
    fn whole(number: f64) -> Option<i64> {
        let bound = -(i64::MIN as f64);
        (number.fract() == 0.0 && (-bound..bound).contains(&number)).then_some(number as i64)
    }

    fn whole_amounts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Wallet, D::Error> {
        let amounts = BTreeMap::<String, Amount>::deserialize(deserializer)?;
        Ok(amounts.into_iter().map(|(currency, Amount(amount))| (currency, amount)).collect())
    }

    /// What a module changes of a user's wallet.
    #[derive(Debug, Deserialize, JsonSchema)]
    #[schemars(rename = "WalletUpdate")]
    pub struct UpdateRequest {
        /// Whose; the system user's if not given outside JavaScript.
        #[serde(default, deserialize_with = "named")]
        #[schemars(with = "String")]
        user_id: Option<Uuid>,
        /// What is added to each currency, in whole numbers; negative amounts are taken away.
        #[serde(deserialize_with = "whole_amounts")]
        changeset: Wallet,
        /// What the ledger is to know of it: an object.
        #[serde(default)]
        #[schemars(with = "Option<Map<String, Value>>")]
        metadata: Option<Value>,
    }

    fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Uuid>, D::Error> {
        user_id(deserializer).map(Some)
    }

    impl UpdateRequest {
        /// What is to be done.
        pub(in crate::resources) fn checked(self, origin: Origin<'_>) -> Result<Update, Status> {
            const USER: Status = Status::new(Code::InvalidArgument, "expects a user id");
            let user = match self.user_id {
                Some(user) => user,
                None if origin.language == Language::JavaScript => return Err(USER),
                None => Uuid::nil(),
            };
            let metadata = metadata_text(origin, self.metadata.as_ref())?;
            Ok(Update { user, changeset: self.changeset, metadata })
        }
    }

    fn metadata_text(origin: Origin<'_>, metadata: Option<&Value>) -> Result<String, Status> {
        match metadata {
            None => Ok("{}".to_owned()),
            Some(metadata) => object_text(origin, metadata).ok_or(METADATA),
        }
    }

    /// `nk.wallet_update(user_id, changeset, metadata, update_ledger)`: changes a user's wallet.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct WalletUpdate {
        /// Whose.
        #[serde(deserialize_with = "user_id")]
        user_id: Uuid,
        /// What is added to each currency, in whole numbers; negative amounts are taken away.
        #[serde(deserialize_with = "whole_amounts")]
        changeset: Wallet,
        /// What the ledger is to know of it: an object.
        #[serde(default)]
        #[schemars(with = "Option<Map<String, Value>>")]
        metadata: Option<Value>,
        /// Whether the ledger is told.
        #[serde(default)]
        update_ledger: bool,
    }

    /// A changed wallet.
    #[derive(Debug, JsonSchema, Serialize)]
    #[schemars(rename = "WalletUpdateResult")]
    pub struct Updated {
        /// After the change.
        updated: Wallet,
        /// Before it.
        previous: Wallet,
        /// Whose.
        user_id: Uuid,
    }

    /// A changed wallet, as `wallet_update` gives it.
    #[derive(Debug, JsonSchema, Serialize)]
    #[serde(untagged)]
    #[schemars(from = "Updated", into = "Updated")]
    pub enum UpdatedOne {
        /// In JavaScript and native.
        Named(Updated),
        /// In Lua: two results.
        Lua {
            /// After the change.
            updated: Wallet,
            /// Before it.
            previous: Wallet,
        },
    }

    impl From<Outcome> for Updated {
        fn from(Outcome { user, previous, updated }: Outcome) -> Self {
            Self { updated, previous, user_id: user }
        }
    }

    impl HostFn for WalletUpdate {
        const NAME: &'static str = "wallet_update";
        const RETURNS: Returns = Returns::Each;
        type Output = UpdatedOne;
        async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<UpdatedOne> {
            let metadata = metadata_text(origin, self.metadata.as_ref())?;
            let one = Update { user: self.user_id, changeset: self.changeset, metadata };
            let outcomes = update(cx, &[one], self.update_ledger).await;
            let outcomes = outcomes.map_err(|error| raised_plainly(UPDATING, error))?;
            let outcome = outcomes.into_iter().next().ok_or(USER_NOT_FOUND)?;
            Ok(match origin.language {
                Language::Lua => {
                    let Outcome { updated, previous, .. } = outcome;
                    UpdatedOne::Lua { updated, previous }
                }
                Language::JavaScript | Language::Native => UpdatedOne::Named(outcome.into()),
            })
        }
    }

    /// `nk.wallets_update(updates, update_ledger)`: changes wallets, all of them or none.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct WalletsUpdate {
        /// What changes; a user that does not exist is left out.
        updates: Vec<UpdateRequest>,
        /// Whether the ledger is told.
        #[serde(default)]
        update_ledger: bool,
    }

    /// The wallets that were changed; in Lua nothing where no change was asked for.
    #[derive(Debug, JsonSchema, Serialize)]
    #[serde(transparent)]
    pub struct Changed(#[schemars(with = "Vec<Updated>")] Option<Vec<Updated>>);

    impl HostFn for WalletsUpdate {
        const NAME: &'static str = "wallets_update";
        type Output = Changed;
        async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<Changed> {
            if self.updates.is_empty() && origin.language == Language::Lua {
                return Ok(Changed(None));
            }
            let updates = self.updates.into_iter().map(|update| update.checked(origin));
            let updates = updates.collect::<Result<Vec<_>, _>>()?;
            let outcomes = update(cx, &updates, self.update_ledger).await;
            let outcomes = outcomes.map_err(|error| raised_plainly(UPDATING, error))?;
            Ok(Changed(Some(outcomes.into_iter().map(Updated::from).collect())))
        }
    }

    /// `nk.wallet_ledger_list(user_id, limit, cursor)`: a page of the changes of a user's wallet,
    /// the latest first.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct WalletLedgerList {
        /// Whose.
        #[serde(deserialize_with = "user_id")]
        user_id: Uuid,
        /// 0 to 100, in JavaScript to 10000.
        #[serde(default = "defaults::hundred")]
        limit: i64,
        /// Where to go on.
        #[serde(default)]
        cursor: String,
    }

    /// A change of a wallet.
    #[derive(Debug, JsonSchema, Serialize)]
    #[schemars(rename = "WalletLedgerResult")]
    pub struct LedgerItem {
        id: Uuid,
        user_id: Uuid,
        /// Unix seconds.
        create_time: i64,
        /// Unix seconds.
        update_time: i64,
        /// What was added to each currency. From `walletLedgerUpdate` in JavaScript, the given
        /// metadata.
        #[schemars(with = "Wallet")]
        changeset: Value,
        /// What the ledger knows of it. From `walletLedgerUpdate`: in Lua what was given, in
        /// JavaScript nothing.
        #[schemars(with = "Map<String, Value>")]
        metadata: Value,
    }

    fn shown(item: Item) -> serde_json::Result<LedgerItem> {
        Ok(LedgerItem {
            id: item.id,
            user_id: item.user,
            create_time: item.create_time.timestamp(),
            update_time: item.update_time.timestamp(),
            changeset: serde_json::to_value(item.changeset)?,
            metadata: object_value(&item.metadata)?,
        })
    }

    /// A page of the ledger.
    #[derive(Debug, JsonSchema, Serialize)]
    #[schemars(rename = "WalletLedgerList")]
    pub struct LedgerPage {
        items: Vec<LedgerItem>,
        /// Where to go on, if there is more; else nothing in JavaScript, and empty elsewhere.
        cursor: Option<String>,
    }

    impl HostFn for WalletLedgerList {
        const NAME: &'static str = "wallet_ledger_list";
        const RETURNS: Returns = Returns::Each;
        type Output = LedgerPage;
        async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<LedgerPage> {
            let javascript = origin.language == Language::JavaScript;
            // JavaScript's limit is not checked in the reference; some end there must be.
            let (most, refusal) =
                if javascript { (10_000, LIMIT_OF_JAVASCRIPT) } else { (100, LIMIT) };
            if !(0..=most).contains(&self.limit) {
                return Err(refusal.into());
            }
            let after = match self.cursor.as_str() {
                "" => None,
                text => Some(Place::of_user(text, self.user_id).ok_or(CURSOR)?),
            };
            let page = list(cx, self.user_id, self.limit, after).await;
            const DOING: &str = "failed to retrieve user wallet ledger";
            let (items, next) = page.map_err(|error| raised_plainly(DOING, error))?;
            let items = items.into_iter().map(shown).collect::<Result<_, _>>();
            let cursor = match next {
                Some(next) => Some(next.encode()),
                None => (!javascript).then(String::new),
            };
            Ok(LedgerPage { items: items.or_fault(DOING)?, cursor })
        }
    }

    /// `nk.wallet_ledger_update(item_id, metadata)`: adds to what the ledger knows of a change.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct WalletLedgerUpdate {
        /// Which change.
        item_id: Uuid,
        /// An object, whose values are added and replace those of the same name.
        #[schemars(with = "Map<String, Value>")]
        metadata: Value,
    }

    impl HostFn for WalletLedgerUpdate {
        const NAME: &'static str = "wallet_ledger_update";
        type Output = LedgerItem;
        async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<LedgerItem> {
            const DOING: &str = "failed to update user wallet ledger";
            let text = object_text(origin, &self.metadata).filter(|text| text.starts_with('{'));
            let updated = update_ledger(cx, self.item_id, &text.ok_or(METADATA)?).await;
            let updated = updated.map_err(|error| raised_plainly(DOING, error))?;
            let item = shown(updated.ok_or(ITEM_NOT_FOUND)?).or_fault(DOING)?;
            Ok(match origin.language {
                // As in the reference.
                Language::JavaScript => {
                    LedgerItem { changeset: self.metadata, metadata: Value::Null, ..item }
                }
                Language::Lua => LedgerItem { metadata: self.metadata, ..item },
                Language::Native => item,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wallet(of: &[(&str, i64)]) -> Wallet {
        of.iter().map(|(currency, amount)| ((*currency).to_owned(), *amount)).collect()
    }

    #[track_caller]
    fn check(held: &[(&str, i64)], changes: &[(&str, i64)], after: Result<&[(&str, i64)], &str>) {
        let mut held = wallet(held);
        let done = add(&mut held, &wallet(changes));
        match after {
            Ok(after) => assert_eq!((done, held), (Ok(()), wallet(after))),
            Err(path) => {
                let sentence = format!("wallet update rejected negative value at path '{path}'");
                assert_eq!(done.map_err(|status| status.message.into_owned()), Err(sentence));
            }
        }
    }

    #[test]
    fn there_is_never_less_than_nothing_of_a_currency() {
        check(&[], &[("gold", 3)], Ok(&[("gold", 3)]));
        check(&[("gold", 3)], &[("gold", -3), ("gem", 0)], Ok(&[("gold", 0), ("gem", 0)]));
        check(&[("gold", 3)], &[("gold", -4)], Err("gold"));
        check(&[("gold", 3)], &[("gold", 1), ("silver", -1)], Err("silver"));
        check(&[("gold", 1)], &[("gold", i64::MAX)], Err("gold"));
        check(&[("debt", -5)], &[("debt", 4)], Err("debt"));
        check(&[("debt", -5)], &[("debt", 5)], Ok(&[("debt", 0)]));
    }
}
