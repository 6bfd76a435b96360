//! Friends: the edges between users, with their states friend, invitation sent, invitation received
//! and blocked.
//!
//! A friendship or an invitation is two edges, one each way; a block is one, seen by the blocker
//! alone. `users.edge_count` counts the edges that begin at a user. Whoever changes edges locks the
//! users at both ends first, in the order of their ids: what is then seen of the edges between them
//! stands until the commit.

mod import;
pub mod nk;

use std::collections::HashSet;

use guildhall_core::{Caller, Code, Cursor, OrFault, Result, Status, json};
use guildhall_proto::{
    Empty,
    api::{
        AddFriendsRequest, BlockFriendsRequest, DeleteFriendsRequest, Friend, FriendList,
        FriendsOfFriendsList, ListFriendsOfFriendsRequest, ListFriendsRequest, User,
        friends_of_friends_list::FriendOfFriend,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_postgres::Row;
use uuid::Uuid;

pub use self::import::{ImportFacebookFriends, ImportSteamFriends, Provider, import};
use super::{
    channel_message::Channel,
    notification::{self, Draft},
    user::{self, user_columns},
};
use crate::{
    cx::Cx,
    database::{DbError, Params, Sql, Transaction},
    endpoint::Body,
    endpoints,
    resources::whole_seconds,
};

endpoints! {
    /// Invites users, or accepts their invitations.
    Post "/v2/friend" => AddFriends(AddFriendsRequest) -> Empty
        { auth: Session, body: Body::None, handle: add_friends }

    /// Blocks users: they cannot invite the caller.
    Post "/v2/friend/block" => BlockFriends(BlockFriendsRequest) -> Empty
        { auth: Session, body: Body::None, handle: block_friends }

    /// Ends friendships, withdraws and refuses invitations, lifts blocks.
    Delete "/v2/friend" => DeleteFriends(DeleteFriendsRequest) -> Empty
        { auth: Session, body: Body::None, handle: delete_friends }

    /// A page of the caller's friends, invitations and blocks.
    Get "/v2/friend" => ListFriends(ListFriendsRequest) -> FriendList
        { auth: Session, body: Body::None, handle: list_friends }

    /// A page of those who are friends of the caller's friends and not the caller's own.
    Get "/v2/friend/friends" => ListFriendsOfFriends(ListFriendsOfFriendsRequest) -> FriendsOfFriendsList
        { auth: Session, body: Body::None, handle: list_friends_of_friends }
}

const NOBODY: Status = Status::new(Code::InvalidArgument, "No valid ID or username was provided.");
const EMPTY_USERNAME: Status = Status::new(Code::InvalidArgument, "Username must not be empty.");
const LIMIT: Status =
    Status::new(Code::InvalidArgument, "Invalid limit - limit must be between 1 and 1000.");
const LIMIT_OF_FRIENDS: Status =
    Status::new(Code::InvalidArgument, "Invalid limit - limit must be between 1 and 100.");
const STATE: Status =
    Status::new(Code::InvalidArgument, "Invalid state - state must be between 0 and 3.");
const CURSOR: Status = Status::new(Code::InvalidArgument, "Cursor is invalid.");

const ADDING: &str = "Error while trying to add friends.";
const DELETING: &str = "Error while trying to delete friends.";
const BLOCKING: &str = "Error while trying to block friends.";
const LISTING: &str = "Error while trying to list friends.";

const ADD_SELF: Status = Status::new(Code::InvalidArgument, "Cannot add self as friend.");
const DELETE_SELF: Status = Status::new(Code::InvalidArgument, "Cannot delete self.");
const BLOCK_SELF: Status = Status::new(Code::InvalidArgument, "Cannot block self.");

/// Codes of the notifications about friends.
mod code {
    pub(super) const REQUEST: i32 = -2;
    pub(super) const ACCEPT: i32 = -3;
    pub(super) const JOIN_GAME: i32 = -6;
    pub(super) const REMOVE: i32 = -9;
}

/// Blocked: the last of the states 0 friend, 1 invitation sent, 2 invitation received.
const BLOCKED: i32 = 3;

async fn add_friends(cx: &Cx, caller: &mut Caller, request: AddFriendsRequest) -> Result<Empty> {
    let AddFriendsRequest { ids, usernames, metadata } = request;
    if ids.is_empty() && usernames.is_empty() {
        return Ok(Empty {});
    }
    let friends = named(cx, caller, &ids, &usernames, ADD_SELF, ADDING).await?;
    if friends.is_empty() {
        return Err(NOBODY.into());
    }
    add(cx, caller.user_id(), username(caller), &friends, &metadata).await.map(|()| Empty {})
}

async fn delete_friends(
    cx: &Cx,
    caller: &mut Caller,
    request: DeleteFriendsRequest,
) -> Result<Empty> {
    let DeleteFriendsRequest { ids, usernames } = request;
    let friends = named(cx, caller, &ids, &usernames, DELETE_SELF, DELETING).await?;
    delete(cx, caller.user_id(), username(caller), &friends).await.map(|()| Empty {})
}

async fn block_friends(
    cx: &Cx,
    caller: &mut Caller,
    request: BlockFriendsRequest,
) -> Result<Empty> {
    let BlockFriendsRequest { ids, usernames } = request;
    if ids.is_empty() && usernames.is_empty() {
        return Ok(Empty {});
    }
    let friends = named(cx, caller, &ids, &usernames, BLOCK_SELF, BLOCKING).await?;
    if friends.is_empty() {
        return Err(NOBODY.into());
    }
    block(cx, caller.user_id(), &friends).await.map(|()| Empty {})
}

async fn list_friends(
    cx: &Cx,
    caller: &mut Caller,
    request: ListFriendsRequest,
) -> Result<FriendList> {
    let limit = match request.limit {
        None => 1000,
        Some(limit @ 1..=1000) => i64::from(limit),
        Some(_) => return Err(LIMIT.into()),
    };
    if request.state.is_some_and(|state| !(0..=BLOCKED).contains(&state)) {
        return Err(STATE.into());
    }
    let after = Place::read(&request.cursor, request.state).ok_or(CURSOR)?;
    list(cx, caller.user_id(), limit, request.state, after).await
}

async fn list_friends_of_friends(
    cx: &Cx,
    caller: &mut Caller,
    request: ListFriendsOfFriendsRequest,
) -> Result<FriendsOfFriendsList> {
    let limit = match request.limit {
        None => 10,
        Some(limit @ 1..=100) => i64::from(limit),
        Some(_) => return Err(LIMIT_OF_FRIENDS.into()),
    };
    let after = PlaceOfFriends::read(&request.cursor).ok_or(CURSOR)?;
    list_of_friends(cx, caller.user_id(), limit, after).await
}

fn username(caller: &Caller) -> &str {
    caller.user.as_ref().map_or("", |user| &user.username)
}

/// The users that a client names, by id as they are given and by username if they exist.
async fn named(
    cx: &Cx,
    caller: &Caller,
    ids: &[String],
    usernames: &[String],
    on_self: Status,
    doing: &'static str,
) -> Result<Vec<Uuid>> {
    let mut friends = Vec::with_capacity(ids.len() + usernames.len());
    for text in ids {
        match Uuid::try_parse(text) {
            Ok(id) if id == caller.user_id() => return Err(on_self.into()),
            Ok(id) if !id.is_nil() => friends.push(id),
            _ => {
                let message = format!("Invalid user ID '{text}'.");
                return Err(Status::of(Code::InvalidArgument, message).into());
            }
        }
    }
    for name in usernames {
        if name.is_empty() {
            return Err(EMPTY_USERNAME.into());
        }
        if name == username(caller) {
            return Err(on_self.into());
        }
    }
    friends.extend(user::ids_of(cx, usernames).await.or_fault(doing)?);
    // The token may hold a username that is no longer the caller's.
    if friends.contains(&caller.user_id()) {
        return Err(on_self.into());
    }
    Ok(friends)
}

/// Makes `user` invite each of `friends`, or accept the invitation there is. Nothing comes of it,
/// and nobody is told, where a user does not exist, either side has blocked the other, or they are
/// friends or invited already. The others get a notification.
///
/// `metadata` is the JSON text, or nothing, that `user` keeps about the friend.
///
/// # Errors
/// A fault where `metadata` is no JSON or `user` does not exist, or of the database.
pub async fn add(
    cx: &Cx,
    user: Uuid,
    username: &str,
    friends: &[Uuid],
    metadata: &str,
) -> Result<()> {
    let friends = distinct(friends);
    let metadata = if metadata.is_empty() { "{}" } else { metadata };
    let told = cx
        .db
        .transaction(async |sql| {
            lock(sql, user, &friends).await?;
            sql.query(ADD, &[&user, &friends, &metadata]).await
        })
        .await
        .or_fault(ADDING)?;
    let mut drafts = Vec::with_capacity(told.len());
    for row in &told {
        let (code, subject) = if row.try_get("accepted").or_fault(ADDING)? {
            (code::ACCEPT, format!("{username} accepted your friend request"))
        } else {
            (code::REQUEST, format!("{username} wants to add you as a friend"))
        };
        drafts.push(draft(row.try_get("id").or_fault(ADDING)?, subject, code, user, username));
    }
    tell(cx, drafts).await;
    Ok(())
}

/// Removes the edges between `user` and each of `friends`: friendships, invitations either way, and
/// the block that `user` has set, but not one by the other side. Whoever had an edge is told.
///
/// # Errors
/// A fault of the database.
pub async fn delete(cx: &Cx, user: Uuid, username: &str, friends: &[Uuid]) -> Result<()> {
    if friends.is_empty() {
        return Ok(());
    }
    let friends = distinct(friends);
    let told = cx
        .db
        .transaction(async |sql| {
            lock(sql, user, &friends).await?;
            sql.query(DELETE, &[&user, &friends]).await
        })
        .await
        .or_fault(DELETING)?;
    let mut drafts = Vec::with_capacity(told.len());
    for row in &told {
        let friend = row.try_get("id").or_fault(DELETING)?;
        let subject = format!("{username} removed you as a friend");
        drafts.push(draft(friend, subject, code::REMOVE, user, username));
    }
    tell(cx, drafts).await;
    Ok(())
}

/// Makes `user` block each of `friends`, whatever was between them; a block by the other side stays.
/// Users that do not exist are left out. Nobody is told; the direct channel of the two is emptied.
///
/// # Errors
/// A fault where `user` does not exist, or of the database.
pub async fn block(cx: &Cx, user: Uuid, friends: &[Uuid]) -> Result<()> {
    let friends = distinct(friends);
    cx.db
        .transaction(async |sql| {
            lock(sql, user, &friends).await?;
            sql.execute(BLOCK, &[&user, &friends]).await
        })
        .await
        .or_fault(BLOCKING)?;
    for friend in friends {
        cx.empty_channel(&Channel::direct(user, friend));
    }
    Ok(())
}

/// Up to `limit` edges of `user` behind `after`, of one state or of all, by state and age.
///
/// # Errors
/// A fault of the database.
pub async fn list(
    cx: &Cx,
    user: Uuid,
    limit: i64,
    state: Option<i32>,
    after: Place,
) -> Result<FriendList> {
    let last_state = i16::try_from(state.unwrap_or(BLOCKED)).or_fault(LISTING)?;
    let params: Params<'_> = &[&user, &after.state, &after.position, &last_state, &(limit + 1)];
    let rows = cx.db.query(LIST, params).await.or_fault(LISTING)?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX).min(rows.len());
    let friends = rows[..shown].iter().map(|row| read(cx, row)).collect::<Result<_, _>>();
    let friends = friends.or_fault(LISTING)?;
    let cursor = match rows[..shown].last() {
        Some(last) if rows.len() > shown => Place::of(last).or_fault(LISTING)?.encode(),
        _ => String::new(),
    };
    Ok(FriendList { friends, cursor })
}

/// Up to `limit` friends of friends of `user` behind `after`, by the friend who refers to them, then
/// by id; somebody whom several friends know comes several times. `user` and those who are friends
/// already are left out.
///
/// # Errors
/// A fault of the database.
pub async fn list_of_friends(
    cx: &Cx,
    user: Uuid,
    limit: i64,
    after: PlaceOfFriends,
) -> Result<FriendsOfFriendsList> {
    let params: Params<'_> = &[&user, &after.referrer, &after.user, &(limit + 1)];
    let rows = cx.db.query(LIST_OF_FRIENDS, params).await.or_fault(LISTING)?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX).min(rows.len());
    let mut page = FriendsOfFriendsList::default();
    for row in &rows[..shown] {
        let referrer: Uuid = row.try_get("referrer").or_fault(LISTING)?;
        page.friends_of_friends.push(FriendOfFriend {
            referrer: referrer.to_string(),
            user: Some(user::read(cx, row).or_fault(LISTING)?),
        });
    }
    if let Some(last) = rows[..shown].last().filter(|_| rows.len() > shown) {
        let (referrer, user) = (last.try_get("referrer"), last.try_get("id"));
        let place =
            PlaceOfFriends { referrer: referrer.or_fault(LISTING)?, user: user.or_fault(LISTING)? };
        page.cursor = place.encode();
    }
    Ok(page)
}

/// The edges of `user` to these others, in their order; those without one are left out.
///
/// # Errors
/// A fault of the database.
pub async fn status(cx: &Cx, user: Uuid, others: &[Uuid]) -> Result<Vec<Friend>> {
    if others.is_empty() {
        return Ok(Vec::new());
    }
    let rows = cx.db.query(STATUS, &[&user, &others]).await.or_fault(LISTING)?;
    rows.iter().map(|row| read(cx, row)).collect::<Result<_, _>>().or_fault(LISTING)
}

/// Replaces what `user` keeps about `friend`, a JSON text. Without an edge there is nothing to do.
///
/// # Errors
/// A fault of the database.
pub async fn set_metadata(cx: &Cx, user: Uuid, friend: Uuid, metadata: &str) -> Result<()> {
    let done = cx.db.execute(SET_METADATA, &[&user, &friend, &metadata]).await;
    done.or_fault("Error updating friend metadata.").map(drop)
}

/// Removes the edges that lead to `user`, who is about to be deleted, so that they count no more.
/// The reference leaves the count of the others as it was.
///
/// # Errors
/// [`DbError`].
pub(super) async fn forget(sql: &Transaction<'_>, user: Uuid) -> Result<(), DbError> {
    let nobody: &[Uuid] = &[];
    sql.query(import::LOCK, &[&user, &nobody, &true]).await?;
    sql.execute(FORGET, &[&user]).await.map(drop)
}

/// Locks the users whose edges are about to change.
async fn lock(sql: &Transaction<'_>, user: Uuid, friends: &[Uuid]) -> Result<(), DbError> {
    let users: Vec<_> = friends.iter().copied().chain([user]).collect();
    sql.query(LOCK, &[&users]).await.map(drop)
}

/// Each id once, where it is first.
fn distinct(ids: &[Uuid]) -> Vec<Uuid> {
    let mut seen = HashSet::with_capacity(ids.len());
    ids.iter().copied().filter(|id| seen.insert(*id)).collect()
}

fn draft(user: Uuid, subject: String, code: i32, sender: Uuid, username: &str) -> Draft {
    // A map of texts always has a JSON text.
    let content = json::to_text(&json!({ "username": username })).unwrap_or_default();
    Draft { user, subject, content, code, sender, persistent: true }
}

/// Sends what is to be told about edges that have changed: they stand, whether it arrives or not.
async fn tell(cx: &Cx, drafts: Vec<Draft>) {
    if let Err(error) = notification::send(cx, drafts).await {
        tracing::error!(%error, "could not send notifications about friends");
    }
}

/// A place in a user's edges: behind this one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    state: i16,
    position: i64,
}

impl Cursor for Place {
    const LIST: &'static str = "friends";
}

impl Place {
    /// The place that a client's or a module's cursor stands for, the beginning for none. `None`
    /// for what is no cursor, or one of another state.
    fn read(cursor: &str, state: Option<i32>) -> Option<Self> {
        if cursor.is_empty() {
            let first = i16::try_from(state.unwrap_or_default()).ok()?;
            return Some(Self { state: first, position: i64::MIN });
        }
        let place = Self::decode(cursor)?;
        state.is_none_or(|state| state == i32::from(place.state)).then_some(place)
    }

    fn of(row: &Row) -> Result<Self, DbError> {
        Ok(Self { state: row.try_get("edge_state")?, position: row.try_get("edge_position")? })
    }
}

/// A place in the friends of a user's friends: behind this one. The default is the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlaceOfFriends {
    referrer: Uuid,
    user: Uuid,
}

impl Cursor for PlaceOfFriends {
    const LIST: &'static str = "friends_of_friends";
}

impl PlaceOfFriends {
    /// As [`Place::read`].
    fn read(cursor: &str) -> Option<Self> {
        if cursor.is_empty() { Some(Self::default()) } else { Self::decode(cursor) }
    }
}

fn read(cx: &Cx, row: &Row) -> Result<Friend, DbError> {
    Ok(Friend {
        // How many friends a friend has is not shown here.
        user: Some(User { edge_count: 0, ..user::read(cx, row)? }),
        state: Some(row.try_get::<_, i16>("edge_state")?.into()),
        update_time: Some(whole_seconds(row, "edge_update_time")?),
        metadata: row.try_get("edge_metadata")?,
    })
}

/// $1 users. Reads the primary key of users.
const LOCK: &str = "SELECT 1 FROM users WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE";

/// A position behind all that were given out before: nanoseconds since 1970, so that edges of a
/// list stand by age. Several of one statement add their number.
macro_rules! new_position {
    () => {
        "(SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000)"
    };
}
use new_position;

/// $1 user, $2 friends, each once, $3 metadata. Gives those to be told, and whether they had invited
/// the user. The users are locked. Reads the primary key of users and
/// user_edge_source_id_destination_id_key; edges one by one, since as a join the planner may read
/// all that a user has.
const ADD: &str = concat!(
    "WITH known AS MATERIALIZED (
        SELECT f.id, f.place,
               (SELECT state FROM user_edge WHERE source_id = $1 AND destination_id = f.id) AS mine,
               (SELECT state FROM user_edge WHERE source_id = f.id AND destination_id = $1) AS theirs
          FROM unnest($2::uuid[]) WITH ORDINALITY AS f (id, place)
          JOIN users u ON u.id = f.id
    ), accepted AS (
        UPDATE user_edge e
           SET state = 0, update_time = now(),
               metadata = CASE WHEN e.source_id = $1 THEN e.metadata || $3::text::jsonb
                               ELSE e.metadata END
          FROM known k
         CROSS JOIN LATERAL (VALUES ($1::uuid, k.id), (k.id, $1::uuid))
                            AS pair (source_id, destination_id)
         WHERE k.mine = 2 AND k.theirs = 1
           AND e.source_id = pair.source_id AND e.destination_id = pair.destination_id
    ), invited AS (
        INSERT INTO user_edge (source_id, destination_id, state, position, metadata)
        SELECT pair.source_id, pair.destination_id, pair.state, ",
    new_position!(),
    " + k.place, pair.metadata
          FROM known k
         CROSS JOIN LATERAL (VALUES ($1::uuid, k.id, 1, $3::text::jsonb), (k.id, $1::uuid, 2, '{}'))
                            AS pair (source_id, destination_id, state, metadata)
         WHERE k.mine IS NULL AND k.theirs IS NULL
        RETURNING source_id
    ), counted AS (
        UPDATE users u SET edge_count = u.edge_count + i.edges, update_time = now()
          FROM (SELECT source_id, count(*) AS edges FROM invited GROUP BY source_id) i
         WHERE u.id = i.source_id
    )
    SELECT id, theirs IS NOT NULL AS accepted
      FROM known
     WHERE (mine IS NULL AND theirs IS NULL) OR (mine = 2 AND theirs = 1)
     ORDER BY place"
);

/// $1 user, $2 friends, each once. Gives those whose edge is gone as well. The users are locked.
/// Reads user_edge_source_id_destination_id_key and the primary key of users.
const DELETE: &str = "
    WITH gone AS (
        DELETE FROM user_edge e
         USING unnest($2::uuid[]) AS f (id)
         CROSS JOIN LATERAL (VALUES ($1::uuid, f.id), (f.id, $1::uuid))
                            AS pair (source_id, destination_id)
         WHERE e.source_id = pair.source_id AND e.destination_id = pair.destination_id
           AND (e.source_id = $1 OR e.state <> 3)
        RETURNING e.source_id
    ), counted AS (
        UPDATE users u
           SET edge_count = greatest(u.edge_count - g.edges, 0), update_time = now()
          FROM (SELECT source_id, count(*) AS edges FROM gone GROUP BY source_id) g
         WHERE u.id = g.source_id
    )
    SELECT source_id AS id FROM gone WHERE source_id <> $1";

/// $1 user, $2 friends, each once. The users are locked. Reads the primary key of users and
/// user_edge_source_id_destination_id_key.
const BLOCK: &str = concat!(
    "WITH known AS MATERIALIZED (
        SELECT f.id, f.place,
               EXISTS (SELECT 1 FROM user_edge e
                        WHERE e.source_id = $1 AND e.destination_id = f.id) AS has_edge
          FROM unnest($2::uuid[]) WITH ORDINALITY AS f (id, place)
          JOIN users u ON u.id = f.id
    ), turned AS (
        UPDATE user_edge e SET state = 3, update_time = now()
          FROM known k WHERE e.source_id = $1 AND e.destination_id = k.id
    ), made AS (
        INSERT INTO user_edge (source_id, destination_id, state, position)
        SELECT $1, k.id, 3, ",
    new_position!(),
    " + k.place FROM known k WHERE NOT k.has_edge
        RETURNING source_id
    ), undone AS (
        DELETE FROM user_edge e USING known k
         WHERE e.source_id = k.id AND e.destination_id = $1 AND e.state <> 3
        RETURNING e.source_id
    )
    UPDATE users u
       SET edge_count = greatest(u.edge_count + c.edges, 0), update_time = now()
      FROM (SELECT source_id, count(*) AS edges FROM made GROUP BY source_id
             UNION ALL
            SELECT source_id, -count(*) FROM undone GROUP BY source_id) c
     WHERE u.id = c.source_id"
);

/// $1 user. The users are locked. Reads user_edge_auto_index_fk_destination_id_ref_users and the
/// primary key of users.
const FORGET: &str = "
    WITH gone AS (
        DELETE FROM user_edge WHERE destination_id = $1 RETURNING source_id
    )
    UPDATE users u SET edge_count = greatest(u.edge_count - 1, 0)
      FROM gone WHERE u.id = gone.source_id";

/// A statement over edges `e` and the users `u` they lead to: what follows its columns.
macro_rules! select_friends {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            user_columns!(),
            ", e.state AS edge_state, e.position AS edge_position,
             e.update_time AS edge_update_time, e.metadata::text AS edge_metadata ",
            $rest
        )
    };
}

/// $1 user, ($2, $3) the place to begin behind, $4 the last state, $5 rows. Reads the primary key
/// of user_edge.
const LIST: &str = select_friends!(
    "FROM user_edge e JOIN users u ON u.id = e.destination_id
     WHERE e.source_id = $1 AND (e.state, e.position) > ($2::int2, $3::int8) AND e.state <= $4
     ORDER BY e.state, e.position
     LIMIT $5"
);

/// $1 user, $2 others. Reads user_edge_source_id_destination_id_key.
const STATUS: &str = select_friends!(
    "FROM user_edge e JOIN users u ON u.id = e.destination_id
     WHERE e.source_id = $1 AND e.destination_id = ANY($2)
     ORDER BY array_position($2::uuid[], e.destination_id)"
);

/// $1 user, ($2, $3) referrer and user to begin behind, $4 rows. Reads
/// user_edge_source_id_destination_id_key, for both steps in its order.
const LIST_OF_FRIENDS: &str = concat!(
    "SELECT mine.destination_id AS referrer, ",
    user_columns!(),
    " FROM user_edge mine
      JOIN user_edge theirs ON theirs.source_id = mine.destination_id
      JOIN users u ON u.id = theirs.destination_id
     WHERE mine.source_id = $1 AND mine.state = 0
       AND theirs.state = 0 AND theirs.destination_id <> $1
       AND NOT EXISTS (SELECT 1 FROM user_edge known
                        WHERE known.source_id = $1 AND known.state = 0
                          AND known.destination_id = theirs.destination_id)
       AND mine.destination_id >= $2
       AND (mine.destination_id, theirs.destination_id) > ($2, $3)
     ORDER BY mine.destination_id, theirs.destination_id
     LIMIT $4"
);

/// $1 user, $2 friend, $3 metadata. Reads user_edge_source_id_destination_id_key.
const SET_METADATA: &str = "
    UPDATE user_edge SET metadata = $3::text::jsonb
     WHERE source_id = $1 AND destination_id = $2";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_cursor_belongs_to_its_state() {
        let place = Place { state: 1, position: 7 };
        let cursor = place.encode();
        assert_eq!(Place::read(&cursor, None), Some(place));
        assert_eq!(Place::read(&cursor, Some(1)), Some(place));
        assert_eq!(Place::read(&cursor, Some(0)), None);
        assert_eq!(Place::read("garbage", None), None);
        assert_eq!(Place::read(&PlaceOfFriends::default().encode(), None), None);
        assert_eq!(PlaceOfFriends::read(&cursor), None);
        assert_eq!(Place::read("", Some(2)).unwrap().state, 2);
    }
}
