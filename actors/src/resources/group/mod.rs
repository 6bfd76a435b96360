//! Groups: what they are, who belongs to them, and finding them.
//!
//! Whatever changes who belongs to a group first locks the users it concerns, by id, against
//! the deletion of their accounts, and then the group's row. So `edge_count` is always the number
//! of members, of many who join at once only as many get in as there are seats, and changes of
//! one group cannot deadlock.
//!
//! An edge stands twice, from the group and from the user; a ban only from the group, as in the
//! reference.

pub mod listing;
pub mod members;
pub mod nk;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use guildhall_core::{Caller, Code, Error, Fault, OrFault, Result, Status};
use guildhall_proto::{
    Empty,
    api::{
        AddGroupUsersRequest, BanGroupUsersRequest, CreateGroupRequest, DeleteGroupRequest,
        DemoteGroupUsersRequest, Group, GroupList, GroupUserList, JoinGroupRequest,
        KickGroupUsersRequest, LeaveGroupRequest, ListGroupUsersRequest, ListGroupsRequest,
        ListUserGroupsRequest, PromoteGroupUsersRequest, UpdateGroupRequest, UserGroupList,
    },
};
use tokio_postgres::Row;
use uuid::Uuid;

use self::members::{State, Verb};
use crate::{
    cx::Cx,
    database::{DbError, Params, Sql, WorkError},
    endpoint::Body,
    endpoints,
    resources::{channel_message::Channel, whole_seconds},
};

endpoints! {
    /// Makes a group with the caller as its superadmin.
    Post "/v2/group" => CreateGroup(CreateGroupRequest) -> Group
        { auth: Session, body: Body::Whole, handle: create_group }

    /// Changes what is given of a group, by an admin; an empty text unsets it.
    Put "/v2/group/{group_id}" => UpdateGroup(UpdateGroupRequest) -> Empty
        { auth: Session, body: Body::Whole, handle: update_group }

    /// Deletes a group, by a superadmin.
    Delete "/v2/group/{group_id}" => DeleteGroup(DeleteGroupRequest) -> Empty
        { auth: Session, body: Body::None, handle: delete_group }

    /// Joins an open group, or asks to join a closed one.
    Post "/v2/group/{group_id}/join" => JoinGroup(JoinGroupRequest) -> Empty
        { auth: Session, body: Body::None, handle: join_group }

    /// Leaves a group, or takes back the wish to join it.
    Post "/v2/group/{group_id}/leave" => LeaveGroup(LeaveGroupRequest) -> Empty
        { auth: Session, body: Body::None, handle: leave_group }

    /// Takes users into a group, by an admin, whether they asked or not.
    Post "/v2/group/{group_id}/add" => AddGroupUsers(AddGroupUsersRequest) -> Empty
        { auth: Session, body: Body::None, handle: add_group_users }

    /// Puts users out of a group for good, by an admin.
    Post "/v2/group/{group_id}/ban" => BanGroupUsers(BanGroupUsersRequest) -> Empty
        { auth: Session, body: Body::None, handle: ban_group_users }

    /// Puts users out of a group, refuses who asked to join, or lifts a ban, by an admin.
    Post "/v2/group/{group_id}/kick" => KickGroupUsers(KickGroupUsersRequest) -> Empty
        { auth: Session, body: Body::None, handle: kick_group_users }

    /// Raises users of a group by one rank, by somebody who stands above them.
    Post "/v2/group/{group_id}/promote" => PromoteGroupUsers(PromoteGroupUsersRequest) -> Empty
        { auth: Session, body: Body::None, handle: promote_group_users }

    /// Lowers users of a group by one rank, by somebody who does not stand below them.
    Post "/v2/group/{group_id}/demote" => DemoteGroupUsers(DemoteGroupUsersRequest) -> Empty
        { auth: Session, body: Body::None, handle: demote_group_users }

    /// The groups that fit a name or other marks.
    Get "/v2/group" => ListGroups(ListGroupsRequest) -> GroupList
        { auth: Session, body: Body::None, handle: listing::list_groups }

    /// The users of a group: superadmins, admins, members and who asked to join.
    Get "/v2/group/{group_id}/user" => ListGroupUsers(ListGroupUsersRequest) -> GroupUserList
        { auth: Session, body: Body::None, handle: listing::list_group_users }

    /// The groups of a user.
    Get "/v2/user/{user_id}/group" => ListUserGroups(ListUserGroupsRequest) -> UserGroupList
        { auth: Session, body: Body::None, handle: listing::list_user_groups }
}

const ID_UNSET: Status = Status::new(Code::InvalidArgument, "Group ID must be set.");
const ID_INVALID: Status = Status::new(Code::InvalidArgument, "Group ID must be a valid ID.");
const USER_ID_INVALID: Status = Status::new(Code::InvalidArgument, "User ID must be a valid ID.");
const USER_IDS_UNSET: Status = Status::new(Code::InvalidArgument, "User IDs must be set.");
const NAME_UNSET: Status = Status::new(Code::InvalidArgument, "Group name must be set.");
const MAX_COUNT: Status =
    Status::new(Code::InvalidArgument, "Group max count must be >= 1 when set.");
const NAME_EMPTY: Status = Status::new(Code::InvalidArgument, "Group name cannot be empty.");
const LANGUAGE_EMPTY: Status =
    Status::new(Code::InvalidArgument, "Group language cannot be empty.");
const NAME_TAKEN: Status = Status::new(Code::AlreadyExists, "Group name is in use.");
const NEW_NAME_TAKEN: Status = Status::new(Code::InvalidArgument, "Group name is in use.");
const UPDATE_DENIED: Status =
    Status::new(Code::NotFound, "Group not found or you're not allowed to update.");
const NOTHING_TO_UPDATE: Status =
    Status::new(Code::InvalidArgument, "Specify at least one field to update.");
const NOT_UPDATED: Status = Status::new(Code::InvalidArgument, "No new fields in group update.");
const DELETE_DENIED: Status =
    Status::new(Code::InvalidArgument, "Group not found or you're not allowed to delete.");
const NOT_FOUND: Status = Status::new(Code::NotFound, "Group not found.");
const FULL: Status = Status::new(Code::InvalidArgument, "Group is full.");
const LAST_SUPERADMIN: Status =
    Status::new(Code::InvalidArgument, "Cannot leave group when you are the last superadmin.");
const DENIED: Status = Status::new(Code::NotFound, "Group not found or permission denied.");
const USERS_NOT_FOUND: Status = Status::new(Code::InvalidArgument, "One or more users not found.");

const READING: &str = "Error retrieving groups.";

/// Why a group stays as it is. The words are those that modules see, as in the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The caller's rank does not reach.
    #[error("group permission denied")]
    Denied,
    /// There is no such group, or it is disabled.
    #[error("group not found")]
    NotFound,
    /// There is no seat left.
    #[error("group is full")]
    Full,
    /// There is no such account.
    #[error("user not found")]
    UserNotFound,
    /// There are others, and none of them is superadmin.
    #[error("user is last group superadmin")]
    LastSuperadmin,
    /// Another group has this name.
    #[error("group name in use")]
    NameTaken,
    /// No change was given.
    #[error("no group updates")]
    NothingToUpdate,
    /// There was no group to be changed.
    #[error("group not updated")]
    NotUpdated,
    /// The system user cannot be superadmin.
    #[error("group creator user ID not valid")]
    NoSuperadmin,
}

/// Why a change of a group was not made.
#[derive(Debug)]
pub enum Failed {
    /// The rules are against it.
    Refused(Refusal),
    /// Something went wrong.
    Broken(Error),
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<DbError> for Failed {
    fn from(error: DbError) -> Self {
        Self::Broken(error.into())
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

impl WorkError for Failed {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Broken(error) if WorkError::is_conflict(error))
    }
}

impl Failed {
    /// What a client is told: the status of a refusal that `answers` names, else `sentence`.
    fn told(self, sentence: &'static str, answers: &[(Refusal, Status)]) -> Error {
        match self {
            Self::Refused(refusal) => match answers.iter().find(|(of, _)| *of == refusal) {
                Some((_, status)) => status.clone().into(),
                None => Fault::new(sentence, refusal).into(),
            },
            Self::Broken(Error::Fault(mut fault)) => {
                fault.message = sentence.into();
                Error::Fault(fault)
            }
            Self::Broken(status) => status,
        }
    }

    /// What a module sees: what it was doing, then why that failed.
    fn raised(self, doing: &str) -> Error {
        match self {
            Self::Refused(refusal) => {
                let code = match refusal {
                    Refusal::Denied => Code::PermissionDenied,
                    Refusal::NotFound | Refusal::UserNotFound | Refusal::NotUpdated => {
                        Code::NotFound
                    }
                    Refusal::Full | Refusal::LastSuperadmin => Code::FailedPrecondition,
                    Refusal::NameTaken => Code::AlreadyExists,
                    Refusal::NothingToUpdate | Refusal::NoSuperadmin => Code::InvalidArgument,
                };
                Status::of(code, format!("{doing}: {refusal}")).into()
            }
            Self::Broken(error) => super::raised(doing, error),
        }
    }
}

async fn create_group(cx: &Cx, caller: &mut Caller, request: CreateGroupRequest) -> Result<Group> {
    if request.name.is_empty() {
        return Err(NAME_UNSET.into());
    }
    if request.max_count < 0 {
        return Err(MAX_COUNT.into());
    }
    let new = NewGroup {
        superadmin: caller.user_id(),
        creator: caller.user_id(),
        name: request.name,
        description: request.description,
        avatar_url: request.avatar_url,
        lang_tag: request.lang_tag,
        metadata: None,
        open: request.open,
        max_count: Some(request.max_count).filter(|count| *count != 0),
    };
    create(cx, &new).await.map_err(|failed| {
        failed.told("Error while trying to create group.", &[(Refusal::NameTaken, NAME_TAKEN)])
    })
}

async fn update_group(cx: &Cx, caller: &mut Caller, request: UpdateGroupRequest) -> Result<Empty> {
    let group = group_id(&request.group_id)?;
    if request.name.as_ref().is_some_and(String::is_empty) {
        return Err(NAME_EMPTY.into());
    }
    if request.lang_tag.as_ref().is_some_and(String::is_empty) {
        return Err(LANGUAGE_EMPTY.into());
    }
    let changes = Changes {
        name: request.name,
        lang_tag: request.lang_tag,
        description: request.description,
        avatar_url: request.avatar_url,
        open: request.open,
        ..Changes::default()
    };
    update(cx, Some(caller.user_id()), group, &changes).await.map_err(|failed| {
        failed.told(
            "Error while trying to update group.",
            &[
                (Refusal::Denied, UPDATE_DENIED),
                (Refusal::NothingToUpdate, NOTHING_TO_UPDATE),
                (Refusal::NotUpdated, NOT_UPDATED),
                (Refusal::NameTaken, NEW_NAME_TAKEN),
            ],
        )
    })?;
    Ok(Empty {})
}

async fn delete_group(cx: &Cx, caller: &mut Caller, request: DeleteGroupRequest) -> Result<Empty> {
    let group = group_id(&request.group_id)?;
    delete(cx, Some(caller.user_id()), group).await.map_err(|failed| {
        failed.told("Error while trying to delete group.", &[(Refusal::Denied, DELETE_DENIED)])
    })?;
    Ok(Empty {})
}

async fn join_group(cx: &Cx, caller: &mut Caller, request: JoinGroupRequest) -> Result<Empty> {
    let group = group_id(&request.group_id)?;
    members::join(cx, group, caller.user_id(), username(caller)).await.map_err(|failed| {
        failed.told(
            "Error while trying to join group.",
            &[(Refusal::NotFound, NOT_FOUND), (Refusal::Full, FULL)],
        )
    })?;
    Ok(Empty {})
}

async fn leave_group(cx: &Cx, caller: &mut Caller, request: LeaveGroupRequest) -> Result<Empty> {
    let group = group_id(&request.group_id)?;
    members::leave(cx, group, caller.user_id(), username(caller)).await.map_err(|failed| {
        failed.told(
            "Error while trying to leave group.",
            &[(Refusal::LastSuperadmin, LAST_SUPERADMIN)],
        )
    })?;
    Ok(Empty {})
}

async fn add_group_users(
    cx: &Cx,
    caller: &mut Caller,
    request: AddGroupUsersRequest,
) -> Result<Empty> {
    change_users(cx, caller, Verb::Add, &request.group_id, &request.user_ids).await
}

async fn ban_group_users(
    cx: &Cx,
    caller: &mut Caller,
    request: BanGroupUsersRequest,
) -> Result<Empty> {
    change_users(cx, caller, Verb::Ban, &request.group_id, &request.user_ids).await
}

async fn kick_group_users(
    cx: &Cx,
    caller: &mut Caller,
    request: KickGroupUsersRequest,
) -> Result<Empty> {
    change_users(cx, caller, Verb::Kick, &request.group_id, &request.user_ids).await
}

async fn promote_group_users(
    cx: &Cx,
    caller: &mut Caller,
    request: PromoteGroupUsersRequest,
) -> Result<Empty> {
    change_users(cx, caller, Verb::Promote, &request.group_id, &request.user_ids).await
}

async fn demote_group_users(
    cx: &Cx,
    caller: &mut Caller,
    request: DemoteGroupUsersRequest,
) -> Result<Empty> {
    if request.user_ids.is_empty() {
        group_id(&request.group_id)?;
        return Err(USER_IDS_UNSET.into());
    }
    change_users(cx, caller, Verb::Demote, &request.group_id, &request.user_ids).await
}

async fn change_users(
    cx: &Cx,
    caller: &Caller,
    verb: Verb,
    group: &str,
    users: &[String],
) -> Result<Empty> {
    let group = group_id(group)?;
    let mut ids = Vec::with_capacity(users.len());
    for user in users {
        let id = Uuid::parse_str(user).ok().filter(|id| !id.is_nil());
        ids.push(id.ok_or(USER_ID_INVALID)?);
    }
    let done = members::change(cx, verb, Some(caller.user_id()), group, &ids).await;
    done.map_err(|failed| {
        failed.told(
            match verb {
                Verb::Add => "Error while trying to add users to a group.",
                Verb::Ban => "Error while trying to ban users from a group.",
                Verb::Kick => "Error while trying to kick users from a group.",
                Verb::Promote => "Error while trying to promote users in a group.",
                Verb::Demote => "Error while trying to demote users in a group.",
            },
            &[
                (Refusal::Denied, DENIED),
                (Refusal::Full, FULL),
                (Refusal::UserNotFound, USERS_NOT_FOUND),
            ],
        )
    })?;
    Ok(Empty {})
}

/// The id of a group as clients give it.
fn group_id(text: &str) -> Result<Uuid, Status> {
    if text.is_empty() {
        return Err(ID_UNSET);
    }
    Uuid::parse_str(text).map_err(|_| ID_INVALID)
}

/// The caller's name, as the session has it.
fn username(caller: &Caller) -> &str {
    caller.user.as_ref().map_or("", |user| &user.username)
}

/// A group to be made.
#[derive(Clone, Debug)]
pub struct NewGroup {
    /// Its first member.
    pub superadmin: Uuid,
    /// Who is named as its maker; may be the system user.
    pub creator: Uuid,
    /// Its name, which no other group has.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// The address of its picture.
    pub avatar_url: String,
    /// Its language; `en` where empty.
    pub lang_tag: String,
    /// JSON text of an object; empty where `None`.
    pub metadata: Option<String>,
    /// Whether anybody may join.
    pub open: bool,
    /// The most members; 100 where `None`.
    pub max_count: Option<i32>,
}

/// Makes a group.
///
/// # Errors
/// A refusal where the name is taken or the superadmin is no user.
pub async fn create(cx: &Cx, new: &NewGroup) -> Result<Group, Failed> {
    if new.superadmin.is_nil() {
        return Err(Refusal::NoSuperadmin.into());
    }
    let id = Uuid::new_v4();
    let NewGroup { name, description, avatar_url, lang_tag, metadata, max_count, .. } = new;
    let state = column(new.open);
    let params: Params<'_> =
        &[&id, &new.creator, name, description, avatar_url, lang_tag, metadata, &state, max_count];
    cx.db
        .transaction(async |sql| {
            if members::hold(sql, &[new.superadmin]).await?.is_empty() {
                return Err(Refusal::UserNotFound.into());
            }
            let row = match sql.one(CREATE, params).await {
                Err(error) if error.unique_violation().is_some() => {
                    return Err(Refusal::NameTaken.into());
                }
                row => row?,
            };
            members::enter(sql, id, &[(new.superadmin, State::Superadmin)]).await?;
            Ok(read(&row)?)
        })
        .await
}

/// What is to change of a group; `None` leaves a field, an empty text unsets description and
/// picture.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "the names are the group's")]
pub struct Changes {
    pub name: Option<String>,
    pub creator: Option<Uuid>,
    pub lang_tag: Option<String>,
    pub description: Option<String>,
    pub avatar_url: Option<String>,
    pub open: Option<bool>,
    /// JSON text of an object.
    pub metadata: Option<String>,
    pub max_count: Option<i32>,
}

/// Changes a group, for `caller` or for the server.
///
/// # Errors
/// A refusal where the caller is no admin, there is no such group, nothing is to change or the
/// name is taken.
pub async fn update(
    cx: &Cx,
    caller: Option<Uuid>,
    group: Uuid,
    changes: &Changes,
) -> Result<(), Failed> {
    if let Some(caller) = caller {
        let states = members::states(&cx.db, group, &[caller]).await?;
        if states.get(&caller).is_none_or(|state| *state > State::Admin) {
            return Err(Refusal::Denied.into());
        }
    }
    let Changes { name, creator, lang_tag, description, avatar_url, open, metadata, max_count } =
        changes;
    let texts = [name, lang_tag, description, avatar_url, metadata];
    let nothing = texts.iter().all(|text| text.is_none())
        && (open.is_none() && max_count.is_none() && creator.is_none());
    if nothing {
        return Err(Refusal::NothingToUpdate.into());
    }
    let state = open.map(column);
    let params: Params<'_> =
        &[&group, name, lang_tag, description, avatar_url, &state, metadata, max_count, creator];
    match cx.db.execute(UPDATE, params).await {
        Err(error) if error.unique_violation().is_some() => Err(Refusal::NameTaken.into()),
        Ok(0) => Err(Refusal::NotUpdated.into()),
        done => Ok(done.map(drop)?),
    }
}

/// Deletes a group, for `caller` or for the server. For the server, one that does not exist is no
/// refusal. Its channel is emptied.
///
/// # Errors
/// A refusal where the caller is not its superadmin.
pub async fn delete(cx: &Cx, caller: Option<Uuid>, group: Uuid) -> Result<(), Failed> {
    cx.db
        .transaction(async |sql| {
            // Also a disabled one.
            sql.query(LOCK_ANY, &[&group]).await?;
            if let Some(caller) = caller {
                let states = members::states(sql, group, &[caller]).await?;
                if states.get(&caller) != Some(&State::Superadmin) {
                    return Err(Refusal::Denied.into());
                }
            }
            Ok::<_, Failed>(sql.execute(DELETE, &[&group]).await.map(drop)?)
        })
        .await?;
    cx.empty_channel(&Channel::group(group));
    Ok(())
}

/// The groups with one of these ids, in no order.
///
/// # Errors
/// A fault of the database.
pub async fn get(cx: &Cx, ids: &[Uuid]) -> Result<Vec<Group>> {
    let rows = cx.db.query(GROUPS, &[&ids]).await.or_fault(READING)?;
    rows.iter().map(read).collect::<Result<_, _>>().or_fault(READING)
}

/// Up to `count` groups, beginning at a random place in the order of ids.
///
/// # Errors
/// A fault of the database.
pub async fn random(cx: &Cx, count: i64) -> Result<Vec<Group>> {
    let rows = cx.db.query(RANDOM, &[&Uuid::new_v4(), &count]).await.or_fault(READING)?;
    rows.iter().map(read).collect::<Result<_, _>>().or_fault(READING)
}

/// The column `state` of a group.
fn column(open: bool) -> i16 {
    i16::from(!open)
}

/// The group in a row that has the columns of [`group_columns!`].
fn read(row: &Row) -> Result<Group, DbError> {
    let text = |column| -> Result<String, DbError> {
        Ok(row.try_get::<_, Option<String>>(column)?.unwrap_or_default())
    };
    Ok(Group {
        id: row.try_get::<_, Uuid>("id")?.to_string(),
        creator_id: row.try_get::<_, Uuid>("creator_id")?.to_string(),
        name: text("name")?,
        description: text("description")?,
        lang_tag: text("lang_tag")?,
        metadata: text("metadata")?,
        avatar_url: text("avatar_url")?,
        open: Some(row.try_get::<_, i16>("state")? != 1),
        edge_count: row.try_get("edge_count")?,
        max_count: row.try_get("max_count")?,
        create_time: Some(whole_seconds(row, "create_time")?),
        update_time: Some(whole_seconds(row, "update_time")?),
    })
}

/// The columns of a group `g` that [`read`] reads.
macro_rules! group_columns {
    () => {
        "g.id, g.creator_id, g.name, g.description, g.avatar_url, g.lang_tag,
         g.metadata::text AS metadata, g.state, g.edge_count, g.max_count, g.create_time,
         g.update_time"
    };
}
use group_columns;

/// What makes a group one that can be seen and changed; the beginning of its primary key.
macro_rules! enabled {
    () => {
        "g.disable_time = '1970-01-01 00:00:00 UTC'"
    };
}
use enabled;

/// $1 id, $2 creator, $3 name, $4 description, $5 avatar, $6 language or nothing, $7 metadata or
/// null, $8 state, $9 most members or null.
const CREATE: &str = concat!(
    "INSERT INTO groups AS g (id, creator_id, name, description, avatar_url, lang_tag, metadata,
                              state, max_count, edge_count)
     VALUES ($1, $2, $3, $4, $5, coalesce(nullif($6::text, ''), 'en'),
             coalesce($7::text::jsonb, '{}'), $8, coalesce($9::int4, 100), 1)
     RETURNING ",
    group_columns!()
);

/// $1 id, then what is to change or null: $2 name, $3 language, $4 description, $5 avatar,
/// $6 state, $7 metadata, $8 most members, $9 creator. Reads groups_id_key.
const UPDATE: &str = concat!(
    "UPDATE groups g
        SET name = coalesce($2::text, name),
            lang_tag = coalesce($3::text, lang_tag),
            description =
                CASE WHEN $4::text IS NULL THEN description ELSE nullif($4, '') END,
            avatar_url = CASE WHEN $5::text IS NULL THEN avatar_url ELSE nullif($5, '') END,
            state = coalesce($6::int2, state),
            metadata = coalesce($7::text::jsonb, metadata),
            max_count = coalesce($8::int4, max_count),
            creator_id = coalesce($9::uuid, creator_id),
            update_time = now()
      WHERE g.id = $1 AND ",
    enabled!()
);

/// $1 id. Reads groups_id_key.
const LOCK_ANY: &str = "SELECT 1 FROM groups WHERE id = $1 FOR UPDATE";

/// $1 id: the group and its edges both ways. Reads groups_id_key, the primary key of group_edge
/// and group_edge_source_id_destination_id_key.
const DELETE: &str = "
    WITH gone AS (
        DELETE FROM groups WHERE id = $1
    ), users AS (
        DELETE FROM group_edge WHERE source_id = $1 RETURNING destination_id AS id
    )
    DELETE FROM group_edge e USING users u WHERE e.source_id = u.id AND e.destination_id = $1";

/// $1 ids. Reads groups_id_key.
const GROUPS: &str =
    concat!("SELECT ", group_columns!(), " FROM groups g WHERE g.id = ANY($1) AND ", enabled!());

/// $1 the id to begin after, $2 rows; from the beginning where the end comes first. Reads
/// groups_id_key.
const RANDOM: &str = concat!(
    "(SELECT ",
    group_columns!(),
    " FROM groups g WHERE g.id > $1 AND ",
    enabled!(),
    " ORDER BY g.id LIMIT $2)
     UNION ALL
     (SELECT ",
    group_columns!(),
    " FROM groups g WHERE g.id <= $1 AND ",
    enabled!(),
    " ORDER BY g.id LIMIT $2)
     LIMIT $2"
);
