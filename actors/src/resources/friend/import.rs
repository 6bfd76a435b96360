//! Befriending those users who are friends at a provider.

use guildhall_core::{Caller, Code, OrFault, Result, Status};
use guildhall_proto::{
    Empty,
    api::{ImportFacebookFriendsRequest, ImportSteamFriendsRequest},
};
use uuid::Uuid;

use super::{code, draft, new_position, tell, username};
use crate::{
    cx::Cx,
    database::{DbError, Sql},
    endpoint::Body,
    endpoints,
};

endpoints! {
    /// Befriends those users who are the caller's friends on Facebook.
    Post "/v2/friend/facebook" => ImportFacebookFriends(ImportFacebookFriendsRequest) -> Empty
        { auth: Session, body: Body::Field("account"), handle: import_facebook_friends }

    /// Befriends those users who are the caller's friends on Steam.
    Post "/v2/friend/steam" => ImportSteamFriends(ImportSteamFriendsRequest) -> Empty
        { auth: Session, body: Body::Field("account"), handle: import_steam_friends }
}

const FACEBOOK_TOKEN: Status = Status::new(Code::InvalidArgument, "Facebook token is required.");
const FACEBOOK_REFUSES: Status =
    Status::new(Code::Unauthenticated, "Could not authenticate Facebook profile.");
const STEAM_NOT_CONFIGURED: Status =
    Status::new(Code::FailedPrecondition, "Steam authentication is not configured.");
const STEAM_TOKEN: Status = Status::new(Code::InvalidArgument, "Steam token is required.");
const STEAM_REFUSES: Status =
    Status::new(Code::Unauthenticated, "Could not authenticate Steam profile.");

async fn import_facebook_friends(
    cx: &Cx,
    caller: &mut Caller,
    request: ImportFacebookFriendsRequest,
) -> Result<Empty> {
    let token = request.account.unwrap_or_default().token;
    if token.is_empty() {
        return Err(FACEBOOK_TOKEN.into());
    }
    let friends = cx.providers.facebook().friends(&token).await;
    let friends = friends.map_err(|error| error.told(FACEBOOK_REFUSES))?;
    let (user, name, reset) = (caller.user_id(), username(caller), request.reset == Some(true));
    import(cx, user, name, Provider::Facebook, &friends, reset).await.map(|()| Empty {})
}

async fn import_steam_friends(
    cx: &Cx,
    caller: &mut Caller,
    request: ImportSteamFriendsRequest,
) -> Result<Empty> {
    let steam = cx.providers.steam();
    if !steam.is_configured() {
        return Err(STEAM_NOT_CONFIGURED.into());
    }
    let ticket = request.account.unwrap_or_default().token;
    if ticket.is_empty() {
        return Err(STEAM_TOKEN.into());
    }
    let profile = steam.profile(&ticket).await.map_err(|error| error.told(STEAM_REFUSES))?;
    let friends = steam.friends(&profile.id).await.map_err(|error| error.told(STEAM_REFUSES))?;
    let (user, name, reset) = (caller.user_id(), username(caller), request.reset == Some(true));
    import(cx, user, name, Provider::Steam, &friends, reset).await.map(|()| Empty {})
}

/// Where the friends come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Facebook.
    Facebook,
    /// Steam.
    Steam,
}

impl Provider {
    /// The name in the metadata of edges.
    const fn name(self) -> &'static str {
        match self {
            Self::Facebook => "facebook",
            Self::Steam => "steam",
        }
    }

    const fn importing(self) -> &'static str {
        match self {
            Self::Facebook => "Error importing Facebook friends.",
            Self::Steam => "Error importing Steam friends.",
        }
    }

    /// What finds the users: $1 ids at the provider.
    const fn find(self) -> &'static str {
        match self {
            Self::Facebook => "SELECT id FROM users WHERE facebook_id = ANY($1::text[])",
            Self::Steam => "SELECT id FROM users WHERE steam_id = ANY($1::text[])",
        }
    }
}

/// Makes `user` a friend of all users who have one of these ids at the provider; invitations between
/// them, either way, count as accepted. Nothing comes of it where either side has blocked the other
/// or they are friends already. New friends are told that `user`, of this username, joined the game.
///
/// `reset` first removes all friends and invitations of `user`; blocks stay.
///
/// # Errors
/// A fault of the database.
pub async fn import(
    cx: &Cx,
    user: Uuid,
    username: &str,
    provider: Provider,
    ids: &[String],
    reset: bool,
) -> Result<()> {
    if ids.is_empty() && !reset {
        return Ok(());
    }
    let told = cx
        .db
        .transaction(async |sql| -> Result<_, DbError> {
            let mut friends: Vec<Uuid> = Vec::new();
            if !ids.is_empty() {
                for row in sql.query(provider.find(), &[&ids]).await? {
                    friends.push(row.try_get("id")?);
                }
                friends.retain(|friend| *friend != user);
            }
            sql.query(LOCK, &[&user, &friends, &reset]).await?;
            if reset {
                sql.execute(RESET, &[&user]).await?;
            }
            if friends.is_empty() {
                return Ok(Vec::new());
            }
            let rows = sql.query(BEFRIEND, &[&user, &friends, &provider.name()]).await?;
            rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
        })
        .await
        .or_fault(provider.importing())?;
    let subject = "Your friend has just joined the game";
    let drafts = told
        .into_iter()
        .map(|friend| draft(friend, subject.to_owned(), code::JOIN_GAME, user, username))
        .collect();
    tell(cx, drafts).await;
    Ok(())
}

/// $1 user, $2 friends to be, $3 whether the friends there are go. Locks in the order of ids. Reads
/// the primary keys of users and user_edge and user_edge_auto_index_fk_destination_id_ref_users.
pub(super) const LOCK: &str = "
    SELECT 1 FROM users
     WHERE id IN (SELECT $1::uuid
                   UNION ALL SELECT unnest($2::uuid[])
                   UNION ALL SELECT destination_id FROM user_edge WHERE $3 AND source_id = $1
                   UNION ALL SELECT source_id FROM user_edge WHERE $3 AND destination_id = $1)
     ORDER BY id
       FOR NO KEY UPDATE";

/// $1 user. Users are locked. Reads the primary key of user_edge and
/// user_edge_auto_index_fk_destination_id_ref_users.
const RESET: &str = "
    WITH gone AS (
        DELETE FROM user_edge
         WHERE (source_id = $1 OR destination_id = $1) AND state <> 3
        RETURNING source_id
    )
    UPDATE users u
       SET edge_count = greatest(u.edge_count - g.edges, 0)
      FROM (SELECT source_id, count(*) AS edges FROM gone GROUP BY source_id) g
     WHERE u.id = g.source_id";

/// $1 user, $2 friends to be, each once, $3 the provider's name. Gives the new friends. The users
/// are locked. Reads the primary key of users and user_edge_source_id_destination_id_key.
const BEFRIEND: &str = concat!(
    "WITH known AS MATERIALIZED (
        SELECT f.id, f.place,
               (SELECT state FROM user_edge WHERE source_id = $1 AND destination_id = f.id) AS mine,
               (SELECT state FROM user_edge WHERE source_id = f.id AND destination_id = $1) AS theirs
          FROM unnest($2::uuid[]) WITH ORDINALITY AS f (id, place)
          JOIN users u ON u.id = f.id
    ), accepted AS (
        UPDATE user_edge e
           SET state = 0, update_time = now(),
               metadata = e.metadata || jsonb_build_object('provider', $3::text)
          FROM known k
         CROSS JOIN LATERAL (VALUES ($1::uuid, k.id), (k.id, $1::uuid))
                            AS pair (source_id, destination_id)
         WHERE k.mine IN (1, 2) AND k.theirs IN (1, 2)
           AND e.source_id = pair.source_id AND e.destination_id = pair.destination_id
    ), made AS (
        INSERT INTO user_edge (source_id, destination_id, state, position, metadata)
        SELECT pair.source_id, pair.destination_id, 0, ",
    new_position!(),
    " + k.place, jsonb_build_object('provider', $3::text)
          FROM known k
         CROSS JOIN LATERAL (VALUES ($1::uuid, k.id), (k.id, $1::uuid))
                            AS pair (source_id, destination_id)
         WHERE k.mine IS NULL AND k.theirs IS NULL
        RETURNING source_id
    ), counted AS (
        UPDATE users u SET edge_count = u.edge_count + m.edges, update_time = now()
          FROM (SELECT source_id, count(*) AS edges FROM made GROUP BY source_id) m
         WHERE u.id = m.source_id
    )
    SELECT id
      FROM known
     WHERE (mine IS NULL AND theirs IS NULL) OR (mine IN (1, 2) AND theirs IN (1, 2))
     ORDER BY place"
);
