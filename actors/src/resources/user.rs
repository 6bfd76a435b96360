//! Users: what of an account others may see, and banning.

use guildhall_core::{Caller, Code, OrFault, Result, Status};
use guildhall_proto::{
    Timestamp,
    api::{GetUsersRequest, User, Users},
};
use schemars::JsonSchema;
use serde::{
    Serialize, Serializer,
    ser::{Error as _, SerializeStruct},
};
use serde_json::{Map, Value};
use tokio_postgres::Row;
use uuid::Uuid;

use super::object_value;
use crate::{
    cx::Cx,
    database::{DbError, Sql},
    endpoint::Body,
    endpoints,
    realtime::session::BANNED,
    resources::whole_seconds,
};

endpoints! {
    /// Users by id, username or Facebook id; those that do not exist are left out.
    Get "/v2/user" => GetUsers(GetUsersRequest) -> Users
        { auth: Session, body: Body::None, handle: get_users }
}

const READING: &str = "Error retrieving user accounts.";

async fn get_users(cx: &Cx, _: &mut Caller, request: GetUsersRequest) -> Result<Users> {
    let GetUsersRequest { ids: texts, usernames, facebook_ids } = request;
    if texts.is_empty() && usernames.is_empty() && facebook_ids.is_empty() {
        return Ok(Users::default());
    }
    let mut ids = Vec::with_capacity(texts.len());
    for text in &texts {
        ids.push(Uuid::try_parse(text).map_err(|_| {
            Status::of(Code::InvalidArgument, format!("ID '{text}' is not a valid system ID."))
        })?);
    }
    // The reference knows this form, and the database behind it does not.
    if texts.iter().any(|text| text.starts_with("urn:")) {
        return Err("an id that begins with urn:").or_fault(READING);
    }
    list(cx, &ids, &usernames, &facebook_ids).await.map(|users| Users { users })
}

/// The users with one of these ids, one of these usernames, or one of these Facebook ids, by id.
///
/// # Errors
/// A fault of the database.
pub async fn list(
    cx: &Cx,
    ids: &[Uuid],
    usernames: &[String],
    facebook_ids: &[String],
) -> Result<Vec<User>> {
    let rows = cx.db.query(USERS, &[&ids, &usernames, &facebook_ids]).await.or_fault(READING)?;
    rows.iter().map(|row| read(cx, row)).collect::<Result<_, _>>().or_fault(READING)
}

/// The ids of the users with these usernames; those that do not exist are left out.
///
/// # Errors
/// [`DbError`].
pub async fn ids_of(cx: &Cx, usernames: &[String]) -> Result<Vec<Uuid>, DbError> {
    if usernames.is_empty() {
        return Ok(Vec::new());
    }
    let rows = cx.db.query(IDS_OF, &[&usernames]).await?;
    rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
}

/// Up to `count` users, beginning at a random place in the order of ids.
///
/// # Errors
/// A fault of the database.
pub async fn random(cx: &Cx, count: i64) -> Result<Vec<User>> {
    let rows = cx.db.query(RANDOM_USERS, &[&Uuid::new_v4(), &count]).await.or_fault(READING)?;
    rows.iter().map(|row| read(cx, row)).collect::<Result<_, _>>().or_fault(READING)
}

/// Bans users: they cannot sign in, the tokens they have are void, and their sockets are closed.
///
/// # Errors
/// A fault of the database.
pub async fn ban(cx: &Cx, ids: &[Uuid]) -> Result<()> {
    let cut = cx
        .db
        .transaction(async |sql| {
            sql.execute(BAN, &[&ids]).await?;
            cx.sessions.cut(sql, ids.to_vec()).await
        })
        .await
        .or_fault("Error banning user accounts.")?;
    cx.sessions.apply(cut);
    for id in ids {
        cx.disconnect_user(*id, Some(BANNED));
    }
    Ok(())
}

/// Lets banned users sign in again. Their old tokens stay void.
///
/// # Errors
/// A fault of the database.
pub async fn unban(cx: &Cx, ids: &[Uuid]) -> Result<()> {
    cx.db.execute(UNBAN, &[&ids]).await.or_fault("Error unbanning user accounts.").map(drop)
}

/// The user in a row that has the columns of [`user_columns!`], and whether it is online.
///
/// # Errors
/// [`DbError`] for a row of another shape.
pub(super) fn read(cx: &Cx, row: &Row) -> Result<User, DbError> {
    let text = |column| -> Result<String, DbError> {
        Ok(row.try_get::<_, Option<String>>(column)?.unwrap_or_default())
    };
    let id: Uuid = row.try_get("id")?;
    Ok(User {
        id: id.to_string(),
        username: text("username")?,
        display_name: text("display_name")?,
        avatar_url: text("avatar_url")?,
        lang_tag: text("lang_tag")?,
        location: text("location")?,
        timezone: text("timezone")?,
        metadata: text("metadata")?,
        facebook_id: text("facebook_id")?,
        google_id: text("google_id")?,
        gamecenter_id: text("gamecenter_id")?,
        steam_id: text("steam_id")?,
        facebook_instant_game_id: text("facebook_instant_game_id")?,
        apple_id: text("apple_id")?,
        edge_count: row.try_get("edge_count")?,
        create_time: Some(whole_seconds(row, "create_time")?),
        update_time: Some(whole_seconds(row, "update_time")?),
        online: cx.tracker.is_online(id),
    })
}

/// The columns of a user `u` that [`read`] reads.
macro_rules! user_columns {
    () => {
        "u.id, u.username, u.display_name, u.avatar_url, u.lang_tag, u.location, u.timezone,
         u.metadata::text AS metadata, u.apple_id, u.facebook_id, u.facebook_instant_game_id,
         u.google_id, u.gamecenter_id, u.steam_id, u.edge_count, u.create_time, u.update_time"
    };
}
pub(super) use user_columns;

/// $1 ids, $2 usernames, $3 Facebook ids. Reads the primary key of users, users_username_key and
/// users_facebook_id_key.
const USERS: &str = concat!(
    "SELECT ",
    user_columns!(),
    " FROM users u
     WHERE u.id = ANY($1) OR u.username = ANY($2::text[]) OR u.facebook_id = ANY($3::text[])
     ORDER BY u.id"
);

/// $1 usernames. Reads users_username_key.
const IDS_OF: &str = "SELECT id FROM users WHERE username = ANY($1::text[]) ORDER BY id";

/// $1 the id to begin after, $2 rows; from the beginning where the end comes first. Reads the
/// primary key of users.
const RANDOM_USERS: &str = concat!(
    "(SELECT ",
    user_columns!(),
    " FROM users u WHERE u.id > $1 ORDER BY u.id LIMIT $2)
     UNION ALL
     (SELECT ",
    user_columns!(),
    " FROM users u
       WHERE u.id <= $1 AND u.id <> '00000000-0000-0000-0000-000000000000' ORDER BY u.id LIMIT $2)
     LIMIT $2"
);

/// $1 ids. Reads the primary key of users.
const BAN: &str = "UPDATE users SET disable_time = now() WHERE id = ANY($1)";

/// $1 ids. Reads the primary key of users.
const UNBAN: &str = "UPDATE users SET disable_time = to_timestamp(0) WHERE id = ANY($1)";

/// A user as modules get it: identifiers that are not set are left out, times are Unix seconds,
/// metadata is a value.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "User", from = "UserFields", into = "UserFields")]
pub struct UserInfo(pub(super) User);

/// The fields of a user, as modules get them.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "describes what `UserInfo::put` writes")]
struct UserFields {
    user_id: String,
    username: String,
    display_name: String,
    avatar_url: String,
    /// The language, as a BCP 47 tag.
    lang_tag: String,
    location: String,
    timezone: String,
    #[schemars(skip_serializing_if = "String::is_empty")]
    apple_id: String,
    #[schemars(skip_serializing_if = "String::is_empty")]
    facebook_id: String,
    #[schemars(skip_serializing_if = "String::is_empty")]
    facebook_instant_game_id: String,
    #[schemars(skip_serializing_if = "String::is_empty")]
    google_id: String,
    #[schemars(skip_serializing_if = "String::is_empty")]
    gamecenter_id: String,
    #[schemars(skip_serializing_if = "String::is_empty")]
    steam_id: String,
    online: bool,
    /// The number of friends.
    edge_count: i32,
    /// Unix seconds.
    create_time: i64,
    /// Unix seconds.
    update_time: i64,
    metadata: Map<String, Value>,
}

/// JSON text of the database as a value.
pub(super) fn parsed<S: SerializeStruct>(text: &str) -> Result<Value, S::Error> {
    object_value(text).map_err(S::Error::custom)
}

impl UserInfo {
    /// The number of fields that [`put`](Self::put) writes.
    pub(super) const FIELDS: usize = 18;

    /// Writes the fields into `out`.
    pub(super) fn put<S: SerializeStruct>(&self, out: &mut S) -> Result<(), S::Error> {
        let Self(user) = self;
        out.serialize_field("user_id", &user.id)?;
        out.serialize_field("username", &user.username)?;
        out.serialize_field("display_name", &user.display_name)?;
        out.serialize_field("avatar_url", &user.avatar_url)?;
        out.serialize_field("lang_tag", &user.lang_tag)?;
        out.serialize_field("location", &user.location)?;
        out.serialize_field("timezone", &user.timezone)?;
        for (name, id) in [
            ("apple_id", &user.apple_id),
            ("facebook_id", &user.facebook_id),
            ("facebook_instant_game_id", &user.facebook_instant_game_id),
            ("google_id", &user.google_id),
            ("gamecenter_id", &user.gamecenter_id),
            ("steam_id", &user.steam_id),
        ] {
            match id.as_str() {
                "" => out.skip_field(name)?,
                id => out.serialize_field(name, id)?,
            }
        }
        out.serialize_field("online", &user.online)?;
        out.serialize_field("edge_count", &user.edge_count)?;
        out.serialize_field("create_time", &seconds(user.create_time))?;
        out.serialize_field("update_time", &seconds(user.update_time))?;
        out.serialize_field("metadata", &parsed::<S>(&user.metadata)?)
    }
}

/// A time in Unix seconds.
pub(super) fn seconds(time: Option<Timestamp>) -> i64 {
    time.map_or(0, |time| time.seconds)
}

impl Serialize for UserInfo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("User", Self::FIELDS)?;
        self.put(&mut out)?;
        out.end()
    }
}

/// The host functions.
pub mod nk {
    use serde::Deserialize;

    use super::*;
    use crate::{
        host::{HostFn, Language, Origin, Returns},
        resources::raised,
    };

    const NO_IDS: Status =
        Status::new(Code::InvalidArgument, "expects a list of user ids that is not empty");
    const NO_NAMES: Status =
        Status::new(Code::InvalidArgument, "expects a list of usernames that is not empty");
    const EMPTY_NAME: Status =
        Status::new(Code::InvalidArgument, "each username must be a string that is not empty");
    const EMPTY_FACEBOOK_ID: Status =
        Status::new(Code::InvalidArgument, "each facebook id must be a string that is not empty");
    const COUNT: Status = Status::new(Code::InvalidArgument, "count must be 0-1000");

    const GETTING: &str = "failed to get users";

    fn shown(users: Vec<User>) -> Vec<UserInfo> {
        users.into_iter().map(UserInfo).collect()
    }

    /// `nk.users_get_id(user_ids, facebook_ids)`. An empty list is refused, as in the reference.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct UsersGetId {
        #[serde(default)]
        user_ids: Option<Vec<Uuid>>,
        #[serde(default)]
        facebook_ids: Option<Vec<String>>,
    }

    impl HostFn for UsersGetId {
        const NAME: &'static str = "users_get_id";
        type Output = Vec<UserInfo>;
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<Vec<UserInfo>> {
            if self.user_ids.is_none() && self.facebook_ids.is_none() {
                return Ok(Vec::new());
            }
            let ids = self.user_ids.unwrap_or_default();
            let facebook_ids = self.facebook_ids.unwrap_or_default();
            if ids.is_empty() && facebook_ids.is_empty() {
                return Err(NO_IDS.into());
            }
            if facebook_ids.iter().any(String::is_empty) {
                return Err(EMPTY_FACEBOOK_ID.into());
            }
            let users = list(cx, &ids, &[], &facebook_ids).await;
            users.map(shown).map_err(|error| raised(GETTING, error))
        }
    }

    /// `nk.users_get_username(usernames)`. An empty list gives one in Lua and is refused in
    /// JavaScript, as in the reference.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct UsersGetUsername {
        usernames: Vec<String>,
    }

    impl HostFn for UsersGetUsername {
        const NAME: &'static str = "users_get_username";
        type Output = Vec<UserInfo>;
        async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<Vec<UserInfo>> {
            if self.usernames.is_empty() {
                return match origin.language {
                    Language::JavaScript => Err(NO_NAMES.into()),
                    Language::Lua | Language::Native => Ok(Vec::new()),
                };
            }
            if self.usernames.iter().any(String::is_empty) {
                return Err(EMPTY_NAME.into());
            }
            let users = list(cx, &[], &self.usernames, &[]).await;
            users.map(shown).map_err(|error| raised(GETTING, error))
        }
    }

    /// `nk.users_get_random(count)`
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct UsersGetRandom {
        #[serde(default)]
        count: i64,
    }

    impl HostFn for UsersGetRandom {
        const NAME: &'static str = "users_get_random";
        type Output = Vec<UserInfo>;
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<Vec<UserInfo>> {
            match self.count {
                0 => Ok(Vec::new()),
                count @ 1..=1000 => {
                    let users = random(cx, count).await;
                    users.map(shown).map_err(|error| raised(GETTING, error))
                }
                _ => Err(COUNT.into()),
            }
        }
    }

    /// `nk.users_ban_id(user_ids)`
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct UsersBanId {
        user_ids: Vec<Uuid>,
    }

    impl HostFn for UsersBanId {
        const NAME: &'static str = "users_ban_id";
        const RETURNS: Returns = Returns::Nothing;
        type Output = ();
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
            if self.user_ids.is_empty() {
                return Ok(());
            }
            let done = ban(cx, &self.user_ids).await;
            done.map_err(|error| raised("failed to ban users", error))
        }
    }

    /// `nk.users_unban_id(user_ids)`
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct UsersUnbanId {
        user_ids: Vec<Uuid>,
    }

    impl HostFn for UsersUnbanId {
        const NAME: &'static str = "users_unban_id";
        const RETURNS: Returns = Returns::Nothing;
        type Output = ();
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
            let done = unban(cx, &self.user_ids).await;
            done.map_err(|error| raised("failed to unban users", error))
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn modules_see_identifiers_that_are_set_and_metadata_as_a_value() {
        let user = User {
            id: "u".into(),
            username: "ann".into(),
            steam_id: "s".into(),
            metadata: r#"{"level": 3}"#.into(),
            create_time: Some(Timestamp::from_seconds(5)),
            ..User::default()
        };
        assert_eq!(
            serde_json::to_value(UserInfo(user)).unwrap(),
            json!({
                "user_id": "u", "username": "ann", "display_name": "", "avatar_url": "",
                "lang_tag": "", "location": "", "timezone": "", "steam_id": "s", "online": false,
                "edge_count": 0, "create_time": 5, "update_time": 0, "metadata": {"level": 3},
            })
        );
    }

    /// The names of the properties in the schema of `T`.
    pub(crate) fn described<T: JsonSchema>() -> Vec<String> {
        let schema = schemars::schema_for!(T).to_value();
        schema["properties"].as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn the_described_fields_are_those_written() {
        let text = || "x".to_owned();
        let user = User {
            apple_id: text(),
            facebook_id: text(),
            facebook_instant_game_id: text(),
            google_id: text(),
            gamecenter_id: text(),
            steam_id: text(),
            metadata: "{}".into(),
            ..User::default()
        };
        let written = serde_json::to_value(UserInfo(user)).unwrap();
        let written: Vec<_> = written.as_object().unwrap().keys().cloned().collect();
        assert_eq!(described::<UserInfo>(), written);
    }
}
