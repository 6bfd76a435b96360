//! The host functions.

use guildhall_proto::api::{group_user_list::GroupUser, user_group_list::UserGroup};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    listing::{Filter, GroupPlace, UserPlace, edge_place, list, of_user, users},
    members::{self, Verb},
    *,
};
use crate::{
    host::{HostFn, Language, Origin, Returns, defaults},
    resources::{
        object_text, object_value, optional_id, raised,
        user::{UserInfo, seconds},
    },
};

const NAME: Status = Status::new(Code::InvalidArgument, "expects group name not be empty");
const METADATA: Status = Status::new(Code::InvalidArgument, "expects metadata to be an object");
const MAX_COUNT: Status = Status::new(Code::InvalidArgument, "expects max_count to be >= 1");
const USERNAME: Status = Status::new(Code::InvalidArgument, "expects username string");
const STATE: Status = Status::new(Code::InvalidArgument, "expects state to be 0-4");
const USERS_LIMIT: Status = Status::new(Code::InvalidArgument, "expects limit to be 1-10000");
const LIMIT: Status = Status::new(Code::InvalidArgument, "expects limit to be 1-100");
const COUNT: Status = Status::new(Code::InvalidArgument, "count must be 0-1000");
const USER_CURSOR: Status = Status::new(Code::InvalidArgument, "group user cursor invalid");
const GROUP_CURSOR: Status = Status::new(Code::InvalidArgument, "user group cursor invalid");
const CURSOR: Status = Status::new(Code::InvalidArgument, "Malformed cursor was used.");

const GETTING: &str = "failed to get groups";
const LISTING: &str = "error listing groups";

/// A group as modules get it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Group")]
pub struct GroupInfo {
    id: String,
    /// Who made it; the system's id if nobody was named.
    creator_id: String,
    name: String,
    description: String,
    /// The language, as a BCP 47 tag.
    lang_tag: String,
    #[schemars(with = "Map<String, Value>")]
    metadata: Value,
    avatar_url: String,
    /// Whether anybody may join.
    open: bool,
    /// The number of members, admins and superadmins.
    edge_count: i32,
    /// The most there may be.
    max_count: i32,
    /// Unix seconds.
    create_time: i64,
    /// Unix seconds.
    update_time: i64,
}

impl GroupInfo {
    fn new(group: Group) -> Result<Self> {
        Ok(Self {
            metadata: object_value(&group.metadata)
                .or_fault("failed to convert metadata to json")?,
            id: group.id,
            creator_id: group.creator_id,
            name: group.name,
            description: group.description,
            lang_tag: group.lang_tag,
            avatar_url: group.avatar_url,
            open: group.open.unwrap_or_default(),
            edge_count: group.edge_count,
            max_count: group.max_count,
            create_time: seconds(group.create_time),
            update_time: seconds(group.update_time),
        })
    }

    fn all(groups: Vec<Group>) -> Result<Vec<Self>> {
        groups.into_iter().map(Self::new).collect()
    }
}

/// `nk.groups_get_id(group_ids)`: the groups with these ids.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct GroupsGetId {
    group_ids: Vec<Uuid>,
}

impl HostFn for GroupsGetId {
    const NAME: &'static str = "groups_get_id";
    type Output = Vec<GroupInfo>;
    async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<Vec<GroupInfo>> {
        if self.group_ids.is_empty() {
            return Ok(Vec::new());
        }
        let groups = get(cx, &self.group_ids).await;
        GroupInfo::all(groups.map_err(|error| raised(GETTING, error))?)
    }
}

/// `nk.groups_get_random(count)`: so many groups by chance.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct GroupsGetRandom {
    /// Up to 1000.
    #[serde(default)]
    count: i64,
}

impl HostFn for GroupsGetRandom {
    const NAME: &'static str = "groups_get_random";
    type Output = Vec<GroupInfo>;
    async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<Vec<GroupInfo>> {
        match self.count {
            0 => Ok(Vec::new()),
            count @ 1..=1000 => {
                let groups = random(cx, count).await;
                GroupInfo::all(groups.map_err(|error| raised(GETTING, error))?)
            }
            _ => Err(COUNT.into()),
        }
    }
}

/// `nk.group_create(user_id, name, creator_id, lang_tag, description, avatar_url, open, metadata,
/// max_count)`: makes a group.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct GroupCreate {
    /// Its superadmin.
    user_id: Uuid,
    /// Its name, which no other group has.
    name: String,
    /// Who is named as its maker; the system if not given.
    #[serde(default)]
    creator_id: Option<Uuid>,
    /// Its language; `en` if not given.
    #[serde(default)]
    lang_tag: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    avatar_url: String,
    /// Whether anybody may join.
    #[serde(default)]
    open: bool,
    /// An object.
    #[serde(default)]
    #[schemars(with = "Option<Map<String, Value>>")]
    metadata: Option<Value>,
    /// The most members; 100 if not given.
    #[serde(default)]
    max_count: Option<i32>,
}

impl HostFn for GroupCreate {
    const NAME: &'static str = "group_create";
    type Output = GroupInfo;
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<GroupInfo> {
        if self.name.is_empty() {
            return Err(NAME.into());
        }
        let metadata = metadata(origin, self.metadata)?;
        let max_count = match self.max_count {
            // JavaScript takes it for not given, as in the reference.
            Some(..=0) if origin.language != Language::JavaScript => return Err(MAX_COUNT.into()),
            count => count.filter(|count| *count > 0),
        };
        let new = NewGroup {
            superadmin: self.user_id,
            creator: self.creator_id.unwrap_or_default(),
            name: self.name,
            description: self.description,
            avatar_url: self.avatar_url,
            lang_tag: self.lang_tag,
            metadata,
            open: self.open,
            max_count,
        };
        let group = create(cx, &new).await;
        GroupInfo::new(group.map_err(|failed| failed.raised("error while trying to create group"))?)
    }
}

/// `nk.group_update(group_id, user_id, name, creator_id, lang_tag, description, avatar_url, open,
/// metadata, max_count)`: changes what is given of a group. An empty text unsets a field in
/// JavaScript and leaves it elsewhere, as in the reference.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct GroupUpdate {
    group_id: Uuid,
    /// On whose behalf, who has to be an admin; the system's if not given.
    #[serde(default)]
    user_id: Option<Uuid>,
    #[serde(default)]
    name: Option<String>,
    /// Who is named as its maker.
    #[serde(default, deserialize_with = "optional_id")]
    #[schemars(with = "Option<String>")]
    creator_id: Option<Uuid>,
    #[serde(default)]
    lang_tag: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    avatar_url: Option<String>,
    #[serde(default)]
    open: Option<bool>,
    /// An object.
    #[serde(default)]
    #[schemars(with = "Option<Map<String, Value>>")]
    metadata: Option<Value>,
    /// The most members; 0 leaves it.
    #[serde(default)]
    max_count: i32,
}

impl HostFn for GroupUpdate {
    const NAME: &'static str = "group_update";
    const RETURNS: Returns = Returns::Nothing;
    type Output = ();
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<()> {
        let given = |text: Option<String>| {
            text.filter(|text| origin.language == Language::JavaScript || !text.is_empty())
        };
        let name = given(self.name);
        if name.as_ref().is_some_and(String::is_empty) {
            return Err(NAME.into());
        }
        let changes = Changes {
            name,
            creator: real(self.creator_id),
            lang_tag: given(self.lang_tag),
            description: given(self.description),
            avatar_url: given(self.avatar_url),
            open: self.open,
            metadata: metadata(origin, self.metadata)?,
            max_count: Some(self.max_count).filter(|count| *count > 0),
        };
        let done = update(cx, real(self.user_id), self.group_id, &changes).await;
        done.map_err(|failed| failed.raised("error while trying to update group"))
    }
}

/// `nk.group_delete(group_id)`: deletes a group, if there is one.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct GroupDelete {
    group_id: Uuid,
}

impl HostFn for GroupDelete {
    const NAME: &'static str = "group_delete";
    const RETURNS: Returns = Returns::Nothing;
    type Output = ();
    async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
        let done = delete(cx, None, self.group_id).await;
        done.map_err(|failed| failed.raised("error while trying to delete group"))
    }
}

/// `nk.group_user_join(group_id, user_id, username)`: lets a user join an open group, or ask to
/// join a closed one.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct GroupUserJoin {
    group_id: Uuid,
    user_id: Uuid,
    /// The name that the group's channel and its admins see.
    username: String,
}

impl HostFn for GroupUserJoin {
    const NAME: &'static str = "group_user_join";
    const RETURNS: Returns = Returns::Nothing;
    type Output = ();
    async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
        if self.username.is_empty() {
            return Err(USERNAME.into());
        }
        let done = members::join(cx, self.group_id, self.user_id, &self.username).await;
        done.map_err(|failed| failed.raised("error while trying to join a group"))
    }
}

/// `nk.group_user_leave(group_id, user_id, username)`: lets a user leave a group.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct GroupUserLeave {
    group_id: Uuid,
    user_id: Uuid,
    /// The name that the group's channel sees.
    username: String,
}

impl HostFn for GroupUserLeave {
    const NAME: &'static str = "group_user_leave";
    const RETURNS: Returns = Returns::Nothing;
    type Output = ();
    async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
        if self.username.is_empty() {
            return Err(USERNAME.into());
        }
        let done = members::leave(cx, self.group_id, self.user_id, &self.username).await;
        done.map_err(|failed| failed.raised("error while trying to leave a group"))
    }
}

/// Declares the functions that do something to users of a group.
macro_rules! users_functions {
    ($($(#[$doc:meta])* $function:ident $name:literal $verb:ident, $doing:literal, $root:literal;)*)
    => {$(
        $(#[$doc])*
        #[derive(Debug, Deserialize, JsonSchema)]
        pub struct $function {
            group_id: Uuid,
            user_ids: Vec<Uuid>,
            /// On whose behalf, who has to be an admin; the system's if not given or empty.
            #[serde(default, deserialize_with = "optional_id")]
            #[schemars(with = "Option<String>")]
            caller_id: Option<Uuid>,
        }

        impl HostFn for $function {
            const NAME: &'static str = $name;
            const RETURNS: Returns = Returns::Nothing;
            type Output = ();
            async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
                if self.user_ids.iter().any(Uuid::is_nil) {
                    return Err(Status::new(Code::InvalidArgument, $root).into());
                }
                let (caller, group) = (real(self.caller_id), self.group_id);
                let done = members::change(cx, Verb::$verb, caller, group, &self.user_ids).await;
                done.map_err(|failed| failed.raised(concat!("error while trying to ", $doing)))
            }
        }
    )*};
}

users_functions! {
    /// `nk.group_users_add(group_id, user_ids, caller_id)`: takes users into a group.
    GroupUsersAdd "group_users_add" Add, "add users into a group", "cannot add the root user";
    /// `nk.group_users_ban(group_id, user_ids, caller_id)`: puts users out of a group for good.
    GroupUsersBan "group_users_ban" Ban, "ban users from a group", "cannot ban the root user";
    /// `nk.group_users_kick(group_id, user_ids, caller_id)`: puts users out of a group, refuses who
    /// asked to join, or lifts a ban.
    GroupUsersKick "group_users_kick" Kick, "kick users from a group", "cannot kick the root user";
    /// `nk.group_users_promote(group_id, user_ids, caller_id)`: raises users by one rank.
    GroupUsersPromote "group_users_promote" Promote, "promote users in a group",
        "cannot promote the root user";
    /// `nk.group_users_demote(group_id, user_ids, caller_id)`: lowers users by one rank.
    GroupUsersDemote "group_users_demote" Demote, "demote users in a group",
        "cannot demote the root user";
}

/// A user of a group.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "GroupUser")]
pub struct GroupUserInfo {
    user: UserInfo,
    /// 0 superadmin, 1 admin, 2 member, 3 asked to join, 4 banned.
    state: i32,
}

/// A page of the users of a group.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "GroupUserList")]
pub struct GroupUserPage {
    group_users: Vec<GroupUserInfo>,
    /// Where to go on, if there is more.
    cursor: Option<String>,
}

/// `nk.group_users_list(group_id, limit, state, cursor)`: a page of the users of a group.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct GroupUsersList {
    group_id: Uuid,
    /// Up to 10000.
    #[serde(default = "defaults::hundred")]
    limit: i64,
    /// 0 superadmin, 1 admin, 2 member, 3 asked to join, 4 banned; all but banned if not given.
    #[serde(default)]
    state: Option<i32>,
    #[serde(default)]
    cursor: String,
}

impl HostFn for GroupUsersList {
    const NAME: &'static str = "group_users_list";
    const RETURNS: Returns = Returns::Each;
    type Output = GroupUserPage;
    async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<GroupUserPage> {
        const DOING: &str = "error while trying to list users in a group";
        if !(1..=10_000).contains(&self.limit) {
            return Err(USERS_LIMIT.into());
        }
        let state = state(self.state)?;
        let after = edge_place::<UserPlace>(&self.cursor, state)
            .ok_or_else(|| raised(DOING, USER_CURSOR.into()))?;
        let page = users(cx, self.group_id, state, self.limit, after).await;
        let page = page.map_err(|error| raised(DOING, error))?;
        let shown = |GroupUser { user, state }| GroupUserInfo {
            user: UserInfo(user.unwrap_or_default()),
            state: state.unwrap_or_default(),
        };
        let group_users = page.rows.into_iter().map(shown).collect();
        Ok(GroupUserPage { group_users, cursor: page.cursor })
    }
}

/// A group of a user.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UserGroupListUserGroup")]
pub struct UserGroupInfo {
    group: GroupInfo,
    /// 0 superadmin, 1 admin, 2 member, 3 asked to join.
    state: i32,
}

/// A page of the groups of a user.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UserGroupList")]
pub struct UserGroupPage {
    user_groups: Vec<UserGroupInfo>,
    /// Where to go on, if there is more.
    cursor: Option<String>,
}

/// `nk.user_groups_list(user_id, limit, state, cursor)`: a page of the groups of a user.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct UserGroupsList {
    user_id: Uuid,
    /// Up to 100.
    #[serde(default = "defaults::hundred")]
    limit: i64,
    /// 0 superadmin, 1 admin, 2 member, 3 asked to join; all if not given.
    #[serde(default)]
    state: Option<i32>,
    #[serde(default)]
    cursor: String,
}

impl HostFn for UserGroupsList {
    const NAME: &'static str = "user_groups_list";
    const RETURNS: Returns = Returns::Each;
    type Output = UserGroupPage;
    async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<UserGroupPage> {
        const DOING: &str = "error while trying to list groups for a user";
        if !(1..=100).contains(&self.limit) {
            return Err(LIMIT.into());
        }
        let state = state(self.state)?;
        let after = edge_place::<GroupPlace>(&self.cursor, state)
            .ok_or_else(|| raised(DOING, GROUP_CURSOR.into()))?;
        let page = of_user(cx, self.user_id, state, self.limit, after).await;
        let page = page.map_err(|error| raised(DOING, error))?;
        let shown = |UserGroup { group, state }| {
            let group = GroupInfo::new(group.unwrap_or_default())?;
            Ok(UserGroupInfo { group, state: state.unwrap_or_default() })
        };
        let user_groups = page.rows.into_iter().map(shown).collect::<Result<_>>()?;
        Ok(UserGroupPage { user_groups, cursor: page.cursor })
    }
}

/// A page of groups.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "GroupList")]
pub struct GroupPage {
    groups: Vec<GroupInfo>,
    /// Where to go on, if there is more.
    cursor: Option<String>,
}

/// `nk.groups_list(name, lang_tag, open, edge_count, limit, cursor)`: a page of the groups that fit.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct GroupsList {
    /// The name, where `%` stands for anything, but not at the beginning; not together with others.
    #[serde(default)]
    name: String,
    #[serde(default)]
    lang_tag: String,
    /// Whether anybody may join.
    #[serde(default)]
    open: Option<bool>,
    /// The most members that they have.
    #[serde(default)]
    edge_count: Option<i32>,
    /// Up to 100.
    #[serde(default = "defaults::hundred")]
    limit: i64,
    #[serde(default)]
    cursor: String,
}

impl HostFn for GroupsList {
    const NAME: &'static str = "groups_list";
    const RETURNS: Returns = Returns::Each;
    type Output = GroupPage;
    async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<GroupPage> {
        if !(1..=100).contains(&self.limit) {
            return Err(LIMIT.into());
        }
        let filter = Filter::new(self.name, self.lang_tag, self.open, self.edge_count)
            .map_err(|status| raised(LISTING, status.into()))?;
        let after = filter.place(&self.cursor).ok_or_else(|| raised(LISTING, CURSOR.into()))?;
        let page = list(cx, &filter, self.limit, after).await;
        let page = page.map_err(|error| raised(LISTING, error))?;
        Ok(GroupPage { groups: GroupInfo::all(page.rows)?, cursor: page.cursor })
    }
}

/// A state as modules give it; -1 is none.
fn state(state: Option<i32>) -> Result<Option<i16>, Status> {
    match state {
        None | Some(-1) => Ok(None),
        Some(state @ 0..=4) => Ok(Some(state as i16)),
        Some(_) => Err(STATE),
    }
}

/// An id that is not the system's.
fn real(id: Option<Uuid>) -> Option<Uuid> {
    id.filter(|id| !id.is_nil())
}

fn metadata(origin: Origin<'_>, value: Option<Value>) -> Result<Option<String>, Status> {
    value.map(|value| object_text(origin, &value).ok_or(METADATA)).transpose()
}
