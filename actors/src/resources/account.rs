//! Accounts: what their owner sees, changing them, deleting them.

use guildhall_core::{Caller, Code, Error, OrFault, Result, Status};
use guildhall_proto::{
    Empty, Timestamp,
    api::{Account, AccountDevice, UpdateAccountRequest},
};
use schemars::JsonSchema;
use serde::{Serialize, Serializer, ser::SerializeStruct};
use serde_json::{Map, Value};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    authenticate::{USERNAME_CHARACTERS, USERNAME_LENGTH, USERNAME_TAKEN},
    channel_message::Channel,
    friend, group, rules,
    user::{self, UserInfo, user_columns},
};
use crate::{
    cx::Cx,
    database::{DbError, Params, Sql},
    endpoint::Body,
    endpoints,
    resources::whole_seconds,
};

endpoints! {
    /// The caller's account.
    Get "/v2/account" => GetAccount(Empty) -> Account
        { auth: Session, body: Body::None, handle: get_account, input: false }

    /// Changes what is given of the caller's account; an empty text unsets it.
    Put "/v2/account" => UpdateAccount(UpdateAccountRequest) -> Empty
        { auth: Session, body: Body::Whole, handle: update_account }

    /// Deletes the caller's account and all that belongs to it.
    Delete "/v2/account" => DeleteAccount(Empty) -> Empty
        { auth: Session, body: Body::None, handle: delete_account, input: false }
}

const NOT_FOUND: Status = Status::new(Code::NotFound, "Account not found.");
const NOTHING_TO_UPDATE: Status = Status::new(Code::InvalidArgument, "No fields to update.");

const READING: &str = "Error retrieving user account.";
const UPDATING: &str = "Error while trying to update account.";
const DELETING: &str = "Error deleting user account.";

async fn get_account(cx: &Cx, caller: &mut Caller, _: Empty) -> Result<Account> {
    let account = get(cx, caller.user_id()).await?.ok_or(NOT_FOUND)?;
    // Whether an account is banned is not for its owner.
    Ok(Account { disable_time: None, ..account })
}

async fn update_account(
    cx: &Cx,
    caller: &mut Caller,
    request: UpdateAccountRequest,
) -> Result<Empty> {
    if request.username.as_ref().is_some_and(|name| !(1..=128).contains(&name.len())) {
        return Err(USERNAME_LENGTH.into());
    }
    let changes = Changes {
        username: request.username,
        display_name: request.display_name,
        timezone: request.timezone,
        location: request.location,
        lang_tag: request.lang_tag,
        avatar_url: request.avatar_url,
        metadata: None,
    };
    update(cx, caller.user_id(), &changes).await.map_err(|error| match error {
        // The reference answers so by this endpoint: 400, and the code within the text.
        Error::Status(status) if status.code == Code::AlreadyExists => {
            Status::of(Code::InvalidArgument, status.described()).into()
        }
        other => other,
    })?;
    Ok(Empty {})
}

async fn delete_account(cx: &Cx, caller: &mut Caller, _: Empty) -> Result<Empty> {
    delete(cx, caller.user_id(), false).await.map(|()| Empty {})
}

/// The account of `user`, with the time of its ban.
///
/// # Errors
/// A fault of the database.
pub async fn get(cx: &Cx, user: Uuid) -> Result<Option<Account>> {
    let row = cx.db.opt(ACCOUNT, &[&user]).await.or_fault(READING)?;
    row.as_ref().map(|row| read(cx, row)).transpose().or_fault(READING)
}

/// The accounts with one of these ids or device ids, in no order.
///
/// # Errors
/// A fault of the database.
pub async fn list(cx: &Cx, users: &[Uuid], devices: &[String]) -> Result<Vec<Account>> {
    let rows = cx.db.query(ACCOUNTS, &[&users, &devices]).await.or_fault(READING)?;
    rows.iter().map(|row| read(cx, row)).collect::<Result<_, _>>().or_fault(READING)
}

/// What is to change of an account; `None` leaves a field, an empty text unsets it.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "the names are the account's")]
pub struct Changes {
    pub username: Option<String>,
    pub display_name: Option<String>,
    pub timezone: Option<String>,
    pub location: Option<String>,
    pub lang_tag: Option<String>,
    pub avatar_url: Option<String>,
    /// JSON text.
    pub metadata: Option<String>,
}

/// Changes an account. One that does not exist is no error; one that is so already keeps the time
/// of its last change.
///
/// # Errors
/// `InvalidArgument` for a username that cannot be one or where nothing is to change,
/// `AlreadyExists` for one that is taken.
pub async fn update(cx: &Cx, user: Uuid, changes: &Changes) -> Result<()> {
    update_in(&cx.db, user, changes).await
}

/// As [`update`], within a transaction.
///
/// # Errors
/// As [`update`].
pub async fn update_in(sql: &impl Sql, user: Uuid, changes: &Changes) -> Result<()> {
    let Changes { username, display_name, timezone, location, lang_tag, avatar_url, metadata } =
        changes;
    let username = username.as_ref().filter(|name| !name.is_empty());
    if username.is_some_and(|name| rules::is_bad_username(name)) {
        return Err(USERNAME_CHARACTERS.into());
    }
    let texts = [display_name, timezone, location, lang_tag, avatar_url, metadata];
    if username.is_none() && texts.iter().all(|text| text.is_none()) {
        return Err(NOTHING_TO_UPDATE.into());
    }
    let params: Params<'_> =
        &[&user, &username, display_name, timezone, location, lang_tag, avatar_url, metadata];
    match sql.execute(UPDATE, params).await {
        Err(error) if error.unique_violation().is_some() => Err(USERNAME_TAKEN.into()),
        done => done.or_fault(UPDATING).map(drop),
    }
}

/// Deletes an account, its objects, records, friendships and memberships; a group without another
/// superadmin goes with it. Its tokens are void and its sockets are closed. An account that does not
/// exist is no error.
///
/// `recorded` keeps a tombstone of it.
///
/// # Errors
/// A fault of the database, or for the system user.
pub async fn delete(cx: &Cx, user: Uuid, recorded: bool) -> Result<()> {
    if user.is_nil() {
        return Err("cannot delete the system user").or_fault(DELETING);
    }
    let done = cx
        .db
        .transaction(async |sql| -> Result<_, DbError> {
            friend::forget(sql, user).await?;
            if sql.execute(DELETE, &[&user]).await? == 0 {
                return Ok(None);
            }
            let records = sql.query(DELETE_RECORDS, &[&user]).await?;
            let groups = group::members::leave_all(sql, user).await?;
            if recorded {
                sql.execute(BURY, &[&user]).await?;
            }
            let cut = cx.sessions.cut(sql, vec![user]).await?;
            Ok(Some((cut, records, groups)))
        })
        .await
        .or_fault(DELETING)?;
    if let Some((cut, records, groups)) = done {
        cx.sessions.apply(cut);
        cx.disconnect_user(user, None);
        for group in groups {
            cx.empty_channel(&Channel::group(group));
        }
        cx.boards.forget(&records).or_fault(DELETING)?;
    }
    cx.storage_index.forget(user).await;
    Ok(())
}

fn read(cx: &Cx, row: &Row) -> Result<Account, DbError> {
    let text = |column| -> Result<String, DbError> {
        Ok(row.try_get::<_, Option<String>>(column)?.unwrap_or_default())
    };
    // Not set is the beginning of time.
    let time = |column| -> Result<Option<Timestamp>, DbError> {
        Ok(Some(whole_seconds(row, column)?).filter(|time| time.seconds != 0))
    };
    let devices: Vec<String> = row.try_get("devices")?;
    Ok(Account {
        user: Some(user::read(cx, row)?),
        wallet: text("wallet")?,
        email: text("email")?,
        devices: devices
            .into_iter()
            .map(|id| AccountDevice { id, ..AccountDevice::default() })
            .collect(),
        custom_id: text("custom_id")?,
        verify_time: time("verify_time")?,
        disable_time: time("disable_time")?,
    })
}

/// A statement over accounts: its condition on user `u`.
macro_rules! select_accounts {
    ($condition:literal) => {
        concat!(
            "SELECT ",
            user_columns!(),
            ", u.wallet::text AS wallet, u.email, u.custom_id, u.verify_time, u.disable_time,
             ARRAY(SELECT d.id FROM user_device d WHERE d.user_id = u.id) AS devices
             FROM users u WHERE ",
            $condition
        )
    };
}

/// $1 user. Reads the primary key of users and user_device_user_id_id_key.
const ACCOUNT: &str = select_accounts!("u.id = $1");

/// $1 users, $2 device ids. Reads the primary keys of users and user_device, and
/// user_device_user_id_id_key.
const ACCOUNTS: &str = select_accounts!(
    "u.id = ANY($1::uuid[] || ARRAY(SELECT d.user_id FROM user_device d
                                     WHERE d.id = ANY($2::text[])))"
);

/// $1 user, then what is to change or null: $2 username, $3 display name, $4 time zone,
/// $5 location, $6 language, $7 avatar, $8 metadata. Reads the primary key of users.
const UPDATE: &str = "
    UPDATE users
       SET username = coalesce($2::text, username),
           display_name = CASE WHEN $3::text IS NULL THEN display_name ELSE nullif($3, '') END,
           timezone = CASE WHEN $4::text IS NULL THEN timezone ELSE nullif($4, '') END,
           location = CASE WHEN $5::text IS NULL THEN location ELSE nullif($5, '') END,
           lang_tag = CASE WHEN $6::text IS NULL THEN lang_tag ELSE nullif($6, '') END,
           avatar_url = CASE WHEN $7::text IS NULL THEN avatar_url ELSE nullif($7, '') END,
           metadata = coalesce($8::text::jsonb, metadata),
           update_time = now()
     WHERE id = $1
       AND (username <> $2::text
            OR $3::text IS NOT NULL AND display_name IS DISTINCT FROM nullif($3, '')
            OR $4::text IS NOT NULL AND timezone IS DISTINCT FROM nullif($4, '')
            OR $5::text IS NOT NULL AND location IS DISTINCT FROM nullif($5, '')
            OR $6::text IS NOT NULL AND lang_tag IS DISTINCT FROM nullif($6, '')
            OR $7::text IS NOT NULL AND avatar_url IS DISTINCT FROM nullif($7, '')
            OR metadata <> $8::text::jsonb)";

/// $1 user. Objects, friendships, devices, notifications and ledger rows go by their foreign keys.
const DELETE: &str = "DELETE FROM users WHERE id = $1";

/// $1 user. Reads owner_id_expiry_time_leaderboard_id_idx.
const DELETE_RECORDS: &str = "
    DELETE FROM leaderboard_record WHERE owner_id = $1
    RETURNING leaderboard_id, owner_id, expiry_time, create_time, num_score";

/// $1 user.
const BURY: &str =
    "INSERT INTO user_tombstone (user_id) VALUES ($1) ON CONFLICT (user_id) DO NOTHING";

/// An account as modules get it: the user below `user`, in Lua beside it as well.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Account", from = "AccountFields", into = "AccountFields")]
pub struct AccountInfo {
    account: Account,
    flat: bool,
}

/// The fields of an account, as modules get them.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "describes what `AccountInfo` writes")]
struct AccountFields {
    user: UserInfo,
    wallet: Map<String, Value>,
    #[schemars(skip_serializing_if = "String::is_empty")]
    email: String,
    #[schemars(skip_serializing_if = "String::is_empty")]
    custom_id: String,
    #[schemars(skip_serializing_if = "Vec::is_empty")]
    devices: Vec<DeviceInfo<'static>>,
    /// Unix seconds.
    #[schemars(skip_serializing_if = "Option::is_none")]
    verify_time: Option<i64>,
    /// When the account was banned, Unix seconds.
    #[schemars(skip_serializing_if = "Option::is_none")]
    disable_time: Option<i64>,
}

#[derive(JsonSchema, Serialize)]
#[schemars(inline)]
struct DeviceInfo<'a> {
    id: &'a str,
}

impl Serialize for AccountInfo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Account { user, wallet, email, devices, custom_id, verify_time, disable_time } =
            &self.account;
        let user = UserInfo(user.clone().unwrap_or_default());
        let fields = 7 + if self.flat { UserInfo::FIELDS } else { 0 };
        let mut out = serializer.serialize_struct("Account", fields)?;
        if self.flat {
            user.put(&mut out)?;
        }
        out.serialize_field("user", &user)?;
        out.serialize_field("wallet", &user::parsed::<S::SerializeStruct>(wallet)?)?;
        for (name, text) in [("email", email), ("custom_id", custom_id)] {
            match text.as_str() {
                "" => out.skip_field(name)?,
                text => out.serialize_field(name, text)?,
            }
        }
        if devices.is_empty() {
            out.skip_field("devices")?;
        } else {
            let devices: Vec<_> =
                devices.iter().map(|device| DeviceInfo { id: &device.id }).collect();
            out.serialize_field("devices", &devices)?;
        }
        for (name, time) in [("verify_time", verify_time), ("disable_time", disable_time)] {
            match time {
                None => out.skip_field(name)?,
                Some(time) => out.serialize_field(name, &time.seconds)?,
            }
        }
        out.end()
    }
}

/// The host functions.
pub mod nk {
    use serde::Deserialize;

    use super::*;
    use crate::{
        host::{HostFn, Language, Origin, Returns},
        resources::{object_text, raised},
    };

    const METADATA: Status = Status::new(Code::InvalidArgument, "expects metadata to be an object");

    /// The account as the calling language gets it.
    pub(in crate::resources) fn shown(origin: Origin<'_>, account: Account) -> AccountInfo {
        AccountInfo { account, flat: origin.language == Language::Lua }
    }

    /// `nk.account_get_id(user_id)`
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct AccountGetId {
        user_id: Uuid,
    }

    impl HostFn for AccountGetId {
        const NAME: &'static str = "account_get_id";
        type Output = AccountInfo;
        async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<AccountInfo> {
            let doing = match origin.language {
                Language::Lua => &format!("failed to get account for user_id {}", self.user_id),
                Language::JavaScript | Language::Native => "error getting account",
            };
            match get(cx, self.user_id).await.map_err(|error| raised(doing, error))? {
                Some(account) => Ok(shown(origin, account)),
                None => {
                    Err(Status::of(Code::NotFound, format!("{doing}: account not found")).into())
                }
            }
        }
    }

    /// `nk.accounts_get_id(user_ids, device_ids)`
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct AccountsGetId {
        #[serde(default)]
        user_ids: Vec<Uuid>,
        #[serde(default)]
        device_ids: Vec<String>,
    }

    impl HostFn for AccountsGetId {
        const NAME: &'static str = "accounts_get_id";
        type Output = Vec<AccountInfo>;
        async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<Vec<AccountInfo>> {
            if self.user_ids.is_empty() && self.device_ids.is_empty() {
                return Ok(Vec::new());
            }
            let accounts = list(cx, &self.user_ids, &self.device_ids)
                .await
                .map_err(|error| raised("failed to get accounts", error))?;
            Ok(accounts.into_iter().map(|account| shown(origin, account)).collect())
        }
    }

    /// `nk.account_update_id(user_id, metadata, username, display_name, timezone, location,
    /// lang_tag, avatar_url)`; in JavaScript the metadata comes last. An empty text unsets a field
    /// in JavaScript and leaves it elsewhere, as in the reference.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct AccountUpdateId {
        user_id: Uuid,
        #[serde(default)]
        #[schemars(with = "Option<Map<String, Value>>")]
        metadata: Option<Value>,
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
    }

    impl HostFn for AccountUpdateId {
        const NAME: &'static str = "account_update_id";
        const RETURNS: Returns = Returns::Nothing;
        const JAVASCRIPT_ORDER: Option<&'static [&'static str]> = Some(&[
            "user_id",
            "username",
            "display_name",
            "timezone",
            "location",
            "lang_tag",
            "avatar_url",
            "metadata",
        ]);
        type Output = ();
        async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<()> {
            let (unsets, doing) = match origin.language {
                Language::JavaScript => (true, "error trying to update user"),
                Language::Lua | Language::Native => (false, "error while trying to update user"),
            };
            let given = |text: Option<String>| text.filter(|text| unsets || !text.is_empty());
            let metadata = match self.metadata {
                Some(metadata) => Some(object_text(origin, &metadata).ok_or(METADATA)?),
                None => None,
            };
            let changes = Changes {
                username: given(self.username),
                display_name: given(self.display_name),
                timezone: given(self.timezone),
                location: given(self.location),
                lang_tag: given(self.lang_tag),
                avatar_url: given(self.avatar_url),
                metadata,
            };
            update(cx, self.user_id, &changes).await.map_err(|error| match error {
                // Only what the reference has as a gRPC error is shown as one.
                Error::Status(status) if status.code == Code::InvalidArgument => {
                    Status::of(status.code, format!("{doing}: {}", status.message)).into()
                }
                other => raised(doing, other),
            })
        }
    }

    /// `nk.account_delete_id(user_id, recorded)`
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct AccountDeleteId {
        user_id: Uuid,
        #[serde(default)]
        recorded: bool,
    }

    impl HostFn for AccountDeleteId {
        const NAME: &'static str = "account_delete_id";
        const RETURNS: Returns = Returns::Nothing;
        type Output = ();
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
            let done = delete(cx, self.user_id, self.recorded).await;
            done.map_err(|error| raised("error while trying to delete account", error))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use guildhall_proto::api::User;
    use serde_json::json;

    use super::*;
    use crate::resources::user::tests::described;

    #[test]
    fn lua_sees_the_user_beside_the_account_and_below_it() {
        let user = User { id: "u".into(), metadata: "{}".into(), ..User::default() };
        let account = Account {
            user: Some(user.clone()),
            wallet: r#"{"coins": 1}"#.into(),
            devices: vec![AccountDevice { id: "d".into(), ..Default::default() }],
            disable_time: Some(Timestamp::from_seconds(9)),
            ..Account::default()
        };
        let nested = json!({
            "user": serde_json::to_value(UserInfo(user.clone())).unwrap(),
            "wallet": {"coins": 1}, "devices": [{"id": "d"}], "disable_time": 9,
        });
        let mut flat = serde_json::to_value(UserInfo(user)).unwrap();
        flat.as_object_mut().unwrap().extend(nested.as_object().unwrap().clone());

        let info = AccountInfo { account: account.clone(), flat: false };
        assert_eq!(serde_json::to_value(info).unwrap(), nested);
        assert_eq!(serde_json::to_value(AccountInfo { account, flat: true }).unwrap(), flat);
    }

    #[test]
    fn the_described_fields_are_those_written() {
        let account = Account {
            wallet: "{}".into(),
            email: "e".into(),
            custom_id: "c".into(),
            devices: vec![AccountDevice::default()],
            verify_time: Some(Timestamp::from_seconds(1)),
            disable_time: Some(Timestamp::from_seconds(1)),
            user: Some(User { metadata: "{}".into(), ..User::default() }),
        };
        let written = serde_json::to_value(AccountInfo { account, flat: false }).unwrap();
        let written: Vec<_> = written.as_object().unwrap().keys().cloned().collect();
        assert_eq!(described::<AccountInfo>(), written);
    }
}
