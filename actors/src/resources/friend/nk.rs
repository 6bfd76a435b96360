//! The host functions of friends.

use guildhall_core::{Code, Error, Result, Status, json};
use guildhall_proto::api::Friend;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{BLOCKED, Place, PlaceOfFriends};
use crate::{
    cx::Cx,
    host::{HostFn, Language, Origin, Returns, defaults},
    resources::{
        object_value, raised,
        user::{self, UserInfo},
    },
};

const USERNAME: Status = Status::new(Code::InvalidArgument, "expects username string");
const EMPTY_IDS: Status = Status::new(Code::InvalidArgument, "invalid user ids list");
const EMPTY_USERNAMES: Status = Status::new(Code::InvalidArgument, "invalid username list");
const EMPTY_USERNAME: Status =
    Status::new(Code::InvalidArgument, "each username must be a non-empty string");
const NOBODY: Status = Status::new(Code::InvalidArgument, "no valid ID or username was provided");
const METADATA: Status = Status::new(Code::InvalidArgument, "expects metadata to be an object");
const LIMIT: Status = Status::new(Code::InvalidArgument, "expects limit to be 1-1000");
const STATE: Status = Status::new(Code::InvalidArgument, "expects state to be 0-3");

const ADD_SELF: Status = Status::new(Code::InvalidArgument, "cannot add self as friend");
const DELETE_SELF: Status = Status::new(Code::InvalidArgument, "cannot delete self");
const BLOCK_SELF: Status = Status::new(Code::InvalidArgument, "cannot block self");

/// An edge as modules get it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Friend")]
pub struct FriendInfo {
    /// The user at the other end.
    user: UserInfo,
    /// 0 friend, 1 invitation sent, 2 invitation received, 3 blocked.
    state: i32,
    /// When the state last changed, Unix seconds.
    update_time: i64,
    /// What is kept about the other user.
    #[schemars(with = "Map<String, Value>")]
    metadata: Value,
}

impl FriendInfo {
    fn of(friend: Friend) -> Result<Self> {
        let metadata = object_value(&friend.metadata).map_err(|error| {
            let message = format!("failed to unmarshal friend metadata: {error}");
            Error::from(Status::of(Code::Internal, message))
        })?;
        Ok(Self {
            user: UserInfo(friend.user.unwrap_or_default()),
            state: friend.state.unwrap_or_default(),
            update_time: user::seconds(friend.update_time),
            metadata,
        })
    }
}

fn shown(friends: Vec<Friend>) -> Result<Vec<FriendInfo>> {
    friends.into_iter().map(FriendInfo::of).collect()
}

/// A page of edges.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "FriendList")]
pub struct FriendPage {
    /// By state, then by age.
    friends: Vec<FriendInfo>,
    /// Where the next page begins, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// A friend of a friend.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "FriendOfFriend")]
pub struct FriendOfFriendInfo {
    /// The id of the friend through whom the user is known.
    referrer: String,
    /// The user.
    user: UserInfo,
}

/// A page of friends of friends.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "FriendsOfFriendsList")]
pub struct FriendOfFriendPage {
    /// By referrer, then by user.
    friends_of_friends: Vec<FriendOfFriendInfo>,
    /// Where the next page begins, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// Whose edges to whom a module wants to change.
struct Choice<'a> {
    user: Uuid,
    username: &'a str,
    ids: Option<Vec<Uuid>>,
    usernames: Option<Vec<String>>,
    on_self: Status,
    doing: &'static str,
}

impl Choice<'_> {
    /// The users chosen; `None` where neither ids nor usernames are given.
    async fn find(self, cx: &Cx, origin: Origin<'_>) -> Result<Option<Vec<Uuid>>> {
        if self.username.is_empty() && origin.language != Language::Native {
            return Err(USERNAME.into());
        }
        // As in the reference: an empty table of Lua is no list, in JavaScript it names nobody.
        let empty = |list_is_empty: Option<bool>| list_is_empty == Some(true);
        if origin.language == Language::Lua {
            if empty(self.ids.as_ref().map(Vec::is_empty)) {
                return Err(EMPTY_IDS.into());
            }
            if empty(self.usernames.as_ref().map(Vec::is_empty)) {
                return Err(EMPTY_USERNAMES.into());
            }
        }
        let given = self.ids.is_some() || self.usernames.is_some();
        let mut friends = self.ids.unwrap_or_default();
        let usernames = self.usernames.unwrap_or_default();
        if let Some(nil) = friends.iter().find(|id| id.is_nil()) {
            let message = format!("invalid user ID {nil}");
            return Err(Status::of(Code::InvalidArgument, message).into());
        }
        if usernames.iter().any(String::is_empty) {
            return Err(EMPTY_USERNAME.into());
        }
        if usernames.iter().any(|name| name == self.username) {
            return Err(self.on_self.into());
        }
        let nothing = friends.is_empty() && usernames.is_empty();
        if !given || nothing && origin.language == Language::Native {
            return Ok(None);
        }
        let found = user::ids_of(cx, &usernames).await;
        friends.extend(found.map_err(|error| raised(self.doing, error.into()))?);
        if friends.contains(&self.user) {
            return Err(self.on_self.into());
        }
        if friends.is_empty() {
            return Err(NOBODY.into());
        }
        Ok(Some(friends))
    }
}

/// The JSON text of metadata; a Lua table with whole keys counts as empty, as in the reference.
fn metadata_text(origin: Origin<'_>, metadata: &Value) -> Result<String, Status> {
    match metadata {
        Value::Object(_) => json::to_text(metadata).map_err(|_| METADATA),
        Value::Array(_) if origin.language == Language::Lua => Ok("{}".to_owned()),
        _ => Err(METADATA),
    }
}

/// `nk.friends_add(user_id, username, user_ids, usernames, metadata)`: as the user's own invitations
/// or acceptances. JavaScript must give metadata, as in the reference.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct FriendsAdd {
    /// Who invites.
    user_id: Uuid,
    /// The name that the others are told.
    username: String,
    /// Whom, by id.
    #[serde(default)]
    user_ids: Option<Vec<Uuid>>,
    /// Whom, by username.
    #[serde(default)]
    usernames: Option<Vec<String>>,
    /// What the user keeps about them.
    #[serde(default)]
    #[schemars(with = "Option<Map<String, Value>>")]
    metadata: Option<Value>,
}

impl HostFn for FriendsAdd {
    const NAME: &'static str = "friends_add";
    const RETURNS: Returns = Returns::Nothing;
    type Output = ();
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<()> {
        let Self { user_id, username, user_ids, usernames, metadata } = self;
        let choice = Choice {
            user: user_id,
            username: &username,
            ids: user_ids,
            usernames,
            on_self: ADD_SELF,
            doing: "error while trying to add friends",
        };
        let javascript = origin.language == Language::JavaScript;
        let Some(friends) = choice.find(cx, origin).await? else {
            return if javascript { Err(NOBODY.into()) } else { Ok(()) };
        };
        let metadata = match metadata {
            Some(metadata) => metadata_text(origin, &metadata)?,
            None if javascript => return Err(METADATA.into()),
            None => String::new(),
        };
        let done = super::add(cx, user_id, &username, &friends, &metadata).await;
        done.map_err(|error| raised("error adding friends", error))
    }
}

/// `nk.friends_delete(user_id, username, user_ids, usernames)`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct FriendsDelete {
    /// Whose friends.
    user_id: Uuid,
    /// The name that the others are told.
    username: String,
    /// Whom to remove, by id.
    #[serde(default)]
    user_ids: Option<Vec<Uuid>>,
    /// Whom to remove, by username.
    #[serde(default)]
    usernames: Option<Vec<String>>,
}

impl HostFn for FriendsDelete {
    const NAME: &'static str = "friends_delete";
    const RETURNS: Returns = Returns::Nothing;
    type Output = ();
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<()> {
        let Self { user_id, username, user_ids, usernames } = self;
        let choice = Choice {
            user: user_id,
            username: &username,
            ids: user_ids,
            usernames,
            on_self: DELETE_SELF,
            doing: "error while trying to delete friends",
        };
        let Some(friends) = choice.find(cx, origin).await? else { return Ok(()) };
        let done = super::delete(cx, user_id, &username, &friends).await;
        done.map_err(|error| raised("error deleting friends", error))
    }
}

/// `nk.friends_block(user_id, username, user_ids, usernames)`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct FriendsBlock {
    /// Who blocks.
    user_id: Uuid,
    /// The blocker's username.
    username: String,
    /// Whom, by id.
    #[serde(default)]
    user_ids: Option<Vec<Uuid>>,
    /// Whom, by username.
    #[serde(default)]
    usernames: Option<Vec<String>>,
}

impl HostFn for FriendsBlock {
    const NAME: &'static str = "friends_block";
    const RETURNS: Returns = Returns::Nothing;
    type Output = ();
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<()> {
        let Self { user_id, username, user_ids, usernames } = self;
        let choice = Choice {
            user: user_id,
            username: &username,
            ids: user_ids,
            usernames,
            on_self: BLOCK_SELF,
            doing: "error while trying to block friends",
        };
        let Some(friends) = choice.find(cx, origin).await? else { return Ok(()) };
        let done = super::block(cx, user_id, &friends).await;
        done.map_err(|error| raised("error blocking friends", error))
    }
}

/// `nk.friends_list(user_id, limit, state, cursor)`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct FriendsList {
    /// Whose edges.
    user_id: Uuid,
    /// The most to give, 1-1000; 100 where left out.
    #[serde(default = "defaults::hundred")]
    limit: i64,
    /// Only edges of this state, 0-3; all where left out or -1.
    #[serde(default)]
    state: Option<i32>,
    /// From an earlier page of the same state.
    #[serde(default)]
    cursor: String,
}

impl HostFn for FriendsList {
    const NAME: &'static str = "friends_list";
    const RETURNS: Returns = Returns::Each;
    type Output = FriendPage;
    async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<FriendPage> {
        const DOING: &str = "error while trying to list friends for a user";
        check_limit(self.limit)?;
        let state = self.state.filter(|state| *state != -1);
        if state.is_some_and(|state| !(0..=BLOCKED).contains(&state)) {
            return Err(STATE.into());
        }
        let after = Place::read(&self.cursor, state).ok_or_else(|| bad_cursor(DOING))?;
        let page = super::list(cx, self.user_id, self.limit, state, after).await;
        let page = page.map_err(|error| raised(DOING, error))?;
        Ok(FriendPage { friends: shown(page.friends)?, cursor: next(page.cursor) })
    }
}

/// `nk.friends_of_friends_list(user_id, limit, cursor)`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct FriendsOfFriendsList {
    /// Whose friends' friends.
    user_id: Uuid,
    /// The most to give, 1-1000; 100 where left out.
    #[serde(default = "defaults::hundred")]
    limit: i64,
    /// From an earlier page.
    #[serde(default)]
    cursor: String,
}

impl HostFn for FriendsOfFriendsList {
    const NAME: &'static str = "friends_of_friends_list";
    const RETURNS: Returns = Returns::Each;
    type Output = FriendOfFriendPage;
    async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<FriendOfFriendPage> {
        const DOING: &str = "error while trying to list friends of friends for a user";
        check_limit(self.limit)?;
        let after = PlaceOfFriends::read(&self.cursor).ok_or_else(|| bad_cursor(DOING))?;
        let page = super::list_of_friends(cx, self.user_id, self.limit, after).await;
        let page = page.map_err(|error| raised(DOING, error))?;
        let friends_of_friends = page
            .friends_of_friends
            .into_iter()
            .map(|known| FriendOfFriendInfo {
                referrer: known.referrer,
                user: UserInfo(known.user.unwrap_or_default()),
            })
            .collect();
        Ok(FriendOfFriendPage { friends_of_friends, cursor: next(page.cursor) })
    }
}

fn check_limit(limit: i64) -> Result<(), Status> {
    if (1..=1000).contains(&limit) { Ok(()) } else { Err(LIMIT) }
}

fn bad_cursor(doing: &str) -> Status {
    Status::of(Code::InvalidArgument, format!("{doing}: friend cursor invalid"))
}

fn next(cursor: String) -> Option<String> {
    Some(cursor).filter(|cursor| !cursor.is_empty())
}

/// `nk.friend_metadata_update(user_id, friend_user_id, metadata)`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct FriendMetadataUpdate {
    /// Who keeps the metadata.
    user_id: Uuid,
    /// About whom.
    friend_user_id: Uuid,
    /// In place of what was kept.
    #[schemars(with = "Map<String, Value>")]
    metadata: Value,
}

impl HostFn for FriendMetadataUpdate {
    const NAME: &'static str = "friend_metadata_update";
    const RETURNS: Returns = Returns::Nothing;
    type Output = ();
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<()> {
        let metadata = metadata_text(origin, &self.metadata)?;
        let done = super::set_metadata(cx, self.user_id, self.friend_user_id, &metadata).await;
        done.map_err(|error| raised("error updating friend metadata", error))
    }
}

/// `nk.users_get_friend_status(user_id, user_ids)`: the edges of a user to these others. An empty
/// list is refused in Lua, as in the reference.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct UsersGetFriendStatus {
    /// Whose edges.
    user_id: Uuid,
    /// To whom.
    user_ids: Vec<Uuid>,
}

impl HostFn for UsersGetFriendStatus {
    const NAME: &'static str = "users_get_friend_status";
    type Output = Vec<FriendInfo>;
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<Vec<FriendInfo>> {
        if self.user_ids.is_empty() && origin.language == Language::Lua {
            return Err(EMPTY_IDS.into());
        }
        let friends = super::status(cx, self.user_id, &self.user_ids).await;
        shown(friends.map_err(|error| raised("failed to get users friend status", error))?)
    }
}
