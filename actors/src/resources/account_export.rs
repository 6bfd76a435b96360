//! Exports of accounts with all that belongs to them, and imports of such.

use chrono::{DateTime, Utc};
use guildhall_core::{Code, Error, OrFault, Result, Status, json};
use guildhall_proto::{
    Timestamp,
    api::{
        Account, ChannelMessage, Friend, Group, LeaderboardRecord, Notification, StorageObject,
        User,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    account, channel_message,
    group::listing::{self, GroupPlace},
    leaderboard, notification, storage,
    wallet::{self, Wallet},
};
use crate::{
    cx::Cx,
    database::{DbError, Params, Sql},
};

const NOT_FOUND: Status = Status::new(Code::NotFound, "Account not found.");
const NO_EXPORT: Status =
    Status::new(Code::InvalidArgument, "expects data to be a valid account export format");
const ID_TAKEN: Status = Status::new(Code::AlreadyExists, "User identifier already exists.");
const USERNAME_TAKEN: Status = Status::new(Code::AlreadyExists, "Username already in use.");
const NOTHING_UPDATED: Status =
    Status::new(Code::NotFound, "Error updating user account during import.");

const EXPORTING: &str = "An error occurred while trying to export user data.";
const IMPORTING: &str = "Error importing account.";

/// The rows of a list that is exported whole.
const ALL: i64 = i32::MAX as i64;

/// An account and all that belongs to it, in the JSON form of the reference's message.
///
/// Source: Nakama, `AccountExport` of `console/console.proto`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AccountExport {
    /// The account, with the time of its ban.
    pub account: Account,
    /// Its storage objects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<StorageObject>,
    /// Its edges to other users: their ids and the states.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub friends: Vec<Friend>,
    /// The groups that it is in or asked to join.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
    /// What it said in channels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<ChannelMessage>,
    /// Its records on leaderboards, without ranks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub leaderboard_records: Vec<LeaderboardRecord>,
    /// The notifications it has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notifications: Vec<Notification>,
    /// The changes of its wallet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wallet_ledgers: Vec<WalletLedger>,
}

/// A change of a wallet in an export.
#[derive(Clone, Debug, Serialize)]
pub struct WalletLedger {
    /// Its id.
    pub id: String,
    /// Whose.
    pub user_id: String,
    /// JSON text of an object.
    pub changeset: String,
    /// JSON text of an object.
    pub metadata: String,
    /// When it was made.
    pub create_time: Timestamp,
    /// When its metadata was changed.
    pub update_time: Timestamp,
}

/// An account with all that belongs to it; of the system user, the storage objects only.
///
/// # Errors
/// `NotFound` where there is no such account.
pub async fn export(cx: &Cx, user: Uuid) -> Result<AccountExport> {
    let account = account::get(cx, user).await?.ok_or(NOT_FOUND)?;
    let objects = storage::all_of(&cx.db, user).await?;
    let mut export = AccountExport { account, objects, ..AccountExport::default() };
    if user.is_nil() {
        return Ok(export);
    }
    let friends = cx.db.query(FRIENDS, &[&user]).await.or_fault(EXPORTING)?;
    export.friends = friends.iter().map(friend).collect::<Result<_, _>>().or_fault(EXPORTING)?;
    if let Some(beginning) = listing::edge_place::<GroupPlace>("", None) {
        let groups = listing::of_user(cx, user, None, ALL, beginning).await?;
        export.groups = groups.rows.into_iter().filter_map(|row| row.group).collect();
    }
    export.messages = channel_message::sent_by(&cx.db, user).await?;
    let records = cx.db.query(RECORDS, &[&user]).await.or_fault(EXPORTING)?;
    export.leaderboard_records =
        records.iter().map(record).collect::<Result<_, _>>().or_fault(EXPORTING)?;
    let notifications = notification::list(cx, user, ALL, notification::Place::default()).await?;
    export.notifications = notifications.notifications;
    for item in wallet::ledger_of(&cx.db, user).await? {
        let metadata: Value = serde_json::from_str(&item.metadata).or_fault(EXPORTING)?;
        export.wallet_ledgers.push(WalletLedger {
            id: item.id.to_string(),
            user_id: item.user.to_string(),
            changeset: serde_json::to_string(&item.changeset).or_fault(EXPORTING)?,
            metadata: json::to_text(&metadata).or_fault(EXPORTING)?,
            create_time: Timestamp::from_seconds(item.create_time.timestamp()),
            update_time: Timestamp::from_seconds(item.update_time.timestamp()),
        });
    }
    Ok(export)
}

fn friend(row: &Row) -> Result<Friend, DbError> {
    let id = row.try_get::<_, Uuid>("destination_id")?.to_string();
    Ok(Friend {
        user: Some(User { id, ..User::default() }),
        state: Some(i32::from(row.try_get::<_, i16>("state")?)),
        ..Friend::default()
    })
}

fn record(row: &Row) -> Result<LeaderboardRecord, DbError> {
    let expiry: DateTime<Utc> = row.try_get("expiry_time")?;
    leaderboard::records::record(row, row.try_get("leaderboard_id")?, expiry.timestamp())
}

/// What of an export is imported: the account and its storage objects.
#[derive(Clone, Debug)]
pub struct AccountImport {
    user: Uuid,
    account: Account,
    objects: Vec<StorageObject>,
}

impl AccountImport {
    /// What an export says. Times may stand as texts, as an export has them, or as
    /// `{"seconds", "nanos"}`, as the reference's own import from modules wants them.
    ///
    /// # Errors
    /// `InvalidArgument` for a text that is no export.
    pub fn parse(text: &str) -> Result<Self, Status> {
        #[derive(Deserialize)]
        struct Import {
            account: Account,
            #[serde(default)]
            objects: Vec<StorageObject>,
        }
        let value = serde_json::from_str(text).map_err(|_| NO_EXPORT)?;
        // The rest is not imported, so its form does not matter.
        let Value::Object(mut fields) = value else { return Err(NO_EXPORT) };
        fields.retain(|name, value| {
            texts_of_times(value);
            matches!(name.as_str(), "account" | "objects") && !value.is_null()
        });
        let import: Result<Import, _> = serde_json::from_value(Value::Object(fields));
        let Import { mut account, objects } = import.map_err(|_| NO_EXPORT)?;
        let user = account.user.get_or_insert_default();
        let id = Uuid::try_parse(&user.id).map_err(|_| NO_EXPORT)?;
        let wallet = account.wallet.trim();
        let amounts = wallet.is_empty() || serde_json::from_str::<Wallet>(wallet).is_ok();
        let metadata = user.metadata.trim();
        let object =
            metadata.is_empty() || serde_json::from_str::<Map<String, Value>>(metadata).is_ok();
        if !amounts || !object {
            return Err(NO_EXPORT);
        }
        Ok(Self { user: id, account, objects })
    }
}

/// Makes texts of the times in `value` that are objects.
fn texts_of_times(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(texts_of_times),
        Value::Object(fields) => {
            let known = |name: &String| matches!(name.as_str(), "seconds" | "nanos");
            if let Some(seconds) = fields.get("seconds").and_then(Value::as_i64)
                && fields.keys().all(known)
            {
                let nanos = fields.get("nanos").and_then(Value::as_u64).unwrap_or_default();
                let nanos = u32::try_from(nanos).unwrap_or_default();
                if let Some(time) = DateTime::from_timestamp(seconds, nanos) {
                    *value = Value::String(time.to_rfc3339());
                }
                return;
            }
            fields.values_mut().for_each(texts_of_times);
        }
        _ => {}
    }
}

/// Imports an account: makes it as it was, where `target` is the nil id and the import is not of
/// the system user; else replaces metadata, wallet and storage objects of `target`. Friends,
/// groups, messages, records, notifications and the ledger are not imported. All of it or nothing
/// is done.
///
/// # Errors
/// `AlreadyExists` for an id or username that is taken, `NotFound` where there is no `target`.
pub async fn import(cx: &Cx, target: Uuid, data: &AccountImport) -> Result<Account> {
    let AccountImport { user: id, account, objects } = data;
    let creates = target.is_nil() && !id.is_nil();
    let owner = if creates { *id } else { target };
    cx.db
        .transaction(async |sql| {
            if creates {
                create(sql, owner, account).await?;
            } else {
                let user = account.user.clone().unwrap_or_default();
                let params: Params<'_> = &[&owner, &user.metadata, &account.wallet];
                if sql.execute(REPLACE, params).await.or_fault(IMPORTING)? == 0 {
                    return Err(NOTHING_UPDATED.into());
                }
                sql.execute(CLEAR_OBJECTS, &[&owner]).await.or_fault(IMPORTING)?;
            }
            if objects.is_empty() {
                return Ok(());
            }
            let column = |field: fn(&StorageObject) -> &str| -> Vec<&str> {
                objects.iter().map(field).collect()
            };
            let number = |field: fn(&StorageObject) -> i32| -> Vec<i32> {
                objects.iter().map(field).collect()
            };
            let times = |field: fn(&StorageObject) -> Option<Timestamp>| -> Vec<DateTime<Utc>> {
                objects.iter().map(|object| moment(field(object))).collect()
            };
            let params: Params<'_> = &[
                &owner,
                &column(|object| &object.collection),
                &column(|object| &object.key),
                &column(|object| &object.value),
                &column(|object| &object.version),
                &number(|object| object.permission_read),
                &number(|object| object.permission_write),
                &times(|object| object.create_time),
                &times(|object| object.update_time),
            ];
            sql.execute(WRITE_OBJECTS, params).await.or_fault(IMPORTING)?;
            Ok::<_, Error>(())
        })
        .await?;
    Ok(account::get(cx, owner).await?.ok_or(NOT_FOUND)?)
}

async fn create(sql: &impl Sql, id: Uuid, account: &Account) -> Result<()> {
    let user = account.user.clone().unwrap_or_default();
    let made = sql
        .execute(
            CREATE,
            &[
                &id,
                &user.username,
                &user.display_name,
                &user.avatar_url,
                &user.lang_tag,
                &user.location,
                &user.timezone,
                &user.metadata,
                &account.wallet,
                &account.email,
                &user.facebook_id,
                &user.google_id,
                &user.gamecenter_id,
                &user.steam_id,
                &account.custom_id,
                &user.facebook_instant_game_id,
                &user.apple_id,
                &moment(user.create_time),
                &moment(user.update_time),
                &moment(account.verify_time),
                &moment(account.disable_time),
            ],
        )
        .await;
    match made.as_ref().err().and_then(DbError::unique_violation) {
        Some("users_pkey") => return Err(ID_TAKEN.into()),
        Some("users_username_key") => return Err(USERNAME_TAKEN.into()),
        _ => made.or_fault(IMPORTING)?,
    };
    let devices: Vec<&str> = account.devices.iter().map(|device| device.id.as_str()).collect();
    sql.execute(ADD_DEVICES, &[&id, &devices]).await.or_fault(IMPORTING).map(drop)
}

/// An instant, where not set the beginning of time.
fn moment(time: Option<Timestamp>) -> DateTime<Utc> {
    time.and_then(Timestamp::to_datetime).unwrap_or_default()
}

/// $1 user. Reads user_edge_source_id_destination_id_key.
const FRIENDS: &str = "
    SELECT destination_id, state FROM user_edge WHERE source_id = $1
     ORDER BY state, position";

/// $1 user. Reads leaderboard_record_owner_id_leaderboard_id_expiry_time_key.
const RECORDS: &str = "
    SELECT leaderboard_id, owner_id, username, score, subscore, num_score, max_num_score,
           metadata::text AS metadata, create_time, update_time, expiry_time
      FROM leaderboard_record
     WHERE owner_id = $1
     ORDER BY leaderboard_id, expiry_time";

/// $1 id, $2 username, then texts that are unset where empty: $3 display name, $4 avatar,
/// $5 language (as it is), $6 location, $7 time zone, $8 metadata, $9 wallet, $10 e-mail,
/// $11 Facebook, $12 Google, $13 Game Center, $14 Steam, $15 custom, $16 Facebook Instant Game and
/// $17 Apple id; $18 to $21 times.
const CREATE: &str = "
    INSERT INTO users
           (id, username, display_name, avatar_url, lang_tag, location, timezone, metadata, wallet,
            email, facebook_id, google_id, gamecenter_id, steam_id, custom_id,
            facebook_instant_game_id, apple_id, create_time, update_time, verify_time,
            disable_time)
    VALUES ($1, $2, nullif(trim($3::text), ''), nullif(trim($4::text), ''), $5,
            nullif(trim($6::text), ''), nullif(trim($7::text), ''),
            coalesce(nullif(trim($8::text), '')::jsonb, '{}'),
            coalesce(nullif(trim($9::text), '')::jsonb, '{}'),
            nullif(trim($10::text), ''), nullif(trim($11::text), ''), nullif(trim($12::text), ''),
            nullif(trim($13::text), ''), nullif(trim($14::text), ''), nullif(trim($15::text), ''),
            nullif(trim($16::text), ''), nullif(trim($17::text), ''), $18, $19, $20, $21)";

/// $1 user, $2 device ids.
const ADD_DEVICES: &str =
    "INSERT INTO user_device (id, user_id) SELECT id, $1 FROM unnest($2::text[]) AS d (id)";

/// $1 user, $2 metadata, $3 wallet; empty texts are empty objects. Reads the primary key of users.
const REPLACE: &str = "
    UPDATE users SET metadata = coalesce(nullif(trim($2::text), '')::jsonb, '{}'),
                     wallet = coalesce(nullif(trim($3::text), '')::jsonb, '{}')
     WHERE id = $1";

/// $1 user. Reads storage_auto_index_fk_user_id_ref_users.
const CLEAR_OBJECTS: &str = "DELETE FROM storage WHERE user_id = $1";

/// $1 user, $2 collections, $3 keys, $4 values, $5 versions, $6 read and $7 write permissions,
/// $8 and $9 times.
const WRITE_OBJECTS: &str = "
    INSERT INTO storage
           (user_id, collection, key, value, version, read, write, create_time, update_time)
    SELECT $1, collection, key, value::jsonb, version, read, write, create_time, update_time
      FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::int4[], $7::int4[],
                  $8::timestamptz[], $9::timestamptz[])
           AS o (collection, key, value, version, read, write, create_time, update_time)";

/// The host functions.
pub mod nk {
    use schemars::JsonSchema;

    use super::*;
    use crate::{
        host::{HostFn, Language, Origin},
        resources::{
            account::{AccountInfo, nk::shown},
            raised, raised_plainly, user_id,
        },
    };

    const NO_DATA: Status = Status::new(Code::InvalidArgument, "expects data to be present");
    const USER: Status =
        Status::new(Code::InvalidArgument, "expects user ID to be a valid identifier");

    /// `nk.account_export_id(user_id)`: an account with all that belongs to it, as JSON text.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct AccountExportId {
        /// Whose.
        #[serde(deserialize_with = "user_id")]
        user_id: Uuid,
    }

    impl HostFn for AccountExportId {
        const NAME: &'static str = "account_export_id";
        type Output = String;
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<String> {
            let export = export(cx, self.user_id).await;
            let export = export.map_err(|error| raised("error exporting account", error))?;
            serde_json::to_string(&export).or_fault("error encoding account export")
        }
    }

    /// `nk.account_import_id(data, user_id)`: makes the account that an export is of, or replaces
    /// metadata, wallet and storage objects of another one with those of the export.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct AccountImportId {
        /// What `account_export_id` gave.
        data: String,
        /// The account whose data are replaced; if not given, the exported account is made anew.
        #[serde(default)]
        user_id: Option<String>,
    }

    impl HostFn for AccountImportId {
        const NAME: &'static str = "account_import_id";
        type Output = AccountInfo;
        async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<AccountInfo> {
            if self.data.is_empty() {
                return Err(NO_DATA.into());
            }
            let target = match self.user_id.as_deref() {
                None => Uuid::nil(),
                Some("") if origin.language != Language::JavaScript => Uuid::nil(),
                Some(id) => Uuid::try_parse(id).map_err(|_| USER)?,
            };
            let data = AccountImport::parse(&self.data)?;
            let account = import(cx, target, &data).await;
            let account =
                account.map_err(|error| raised_plainly("error importing account", error))?;
            Ok(shown(origin, account))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const ID: &str = "11111111-2222-4333-8444-555555555555";

    #[test]
    fn an_import_needs_an_account_with_an_id_and_readable_contents() {
        let user = |more: &str| format!(r#"{{"account": {{"user": {{"id": "{ID}"{more}}}}}}}"#);
        let wallet = |wallet: &str| {
            format!(r#"{{"account": {{"user": {{"id": "{ID}"}}, "wallet": "{wallet}"}}}}"#)
        };
        for good in [user(""), user(r#", "metadata": "{\"a\": 1}""#), wallet(r#"{\"gold\": 5}"#)] {
            assert!(AccountImport::parse(&good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "no JSON",
            "{}",
            "[]",
            r#"{"account": {}}"#,
            r#"{"account": {"user": {"id": "x"}}}"#,
            &user(r#", "metadata": "[]""#),
            &wallet("[]"),
            &wallet(r#"{\"gold\": 0.5}"#),
            &format!(r#"{{"account": {{"user": {{"id": "{ID}"}}}}, "objects": 7}}"#),
        ] {
            assert_eq!(AccountImport::parse(bad).unwrap_err(), NO_EXPORT, "{bad}");
        }
    }

    #[test]
    fn times_are_read_as_texts_and_as_numbers() {
        let with = |time: &str| {
            let text = format!(
                r#"{{"account": {{"user": {{"id": "{ID}", "create_time": {time}}}}},
                     "friends": [{{"state": {{"value": 1}}}}]}}"#
            );
            AccountImport::parse(&text).unwrap().account.user.unwrap().create_time
        };
        let time = Some(Timestamp { seconds: 1_600_000_000, nanos: 500_000_000 });
        assert_eq!(with(r#""2020-09-13T12:26:40.5Z""#), time);
        assert_eq!(with(r#"{"seconds": 1600000000, "nanos": 500000000}"#), time);
    }
}
