//! Status: what a user says of itself while it is connected, and who hears of whose.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use dashmap::{DashMap, mapref::entry::Entry};
use guildhall_core::{OrFault, Result};
use guildhall_proto::realtime::{self, UserPresence, envelope::Message};
use uuid::Uuid;

use super::{
    session::{ErrorCode, Session},
    stream::{Stream, mode},
    tracker::{Meta, Tracker},
};
use crate::{
    cx::Cx,
    database::Sql,
    envelope::{Handled, Incoming, Refusal, Reply},
    socket_messages,
};

socket_messages! {
    /// Hears of the status of users from now on; answers with what it is.
    StatusFollow(realtime::StatusFollow) => follow;
    /// Hears of the status of users no longer.
    StatusUnfollow(realtime::StatusUnfollow) => unfollow;
    /// Sets the session's status, or takes it away: then it appears offline.
    StatusUpdate(realtime::StatusUpdate) => update;
}

/// The longest status, in bytes. The sentence says characters, as in the reference.
const MAX_STATUS_BYTES: usize = 2048;

const INVALID_USER: Refusal = Refusal::new(ErrorCode::BadInput, "Invalid user identifier");
const INVALID_USERNAME: Refusal = Refusal::new(ErrorCode::BadInput, "Invalid username");
const TOO_LONG: Refusal =
    Refusal::new(ErrorCode::BadInput, "Status must be 2048 characters or less");
const NOT_TRACKED: Refusal =
    Refusal::new(ErrorCode::RuntimeException, "Error tracking status update");

const CHECKING: &str = "Could not check users";

/// Source: Nakama, `Pipeline.statusFollow`. The caller and the system user are passed over, as are
/// users that do not exist.
async fn follow(incoming: Incoming<'_>, request: realtime::StatusFollow) -> Handled {
    let Incoming { cx, session, .. } = incoming;
    if request.user_ids.is_empty() && request.usernames.is_empty() {
        incoming.reply(Message::Status(realtime::Status::default()));
        // The after hook is told of no answer here.
        return Ok(Reply::NONE);
    }
    let mut ids = ids(&request.user_ids)?;
    ids.remove(&session.user_id());
    if request.usernames.iter().any(String::is_empty) {
        return Err(INVALID_USERNAME);
    }
    let names = request.usernames.iter().filter(|name| **name != *session.username);
    let names: BTreeSet<&String> = names.collect();
    let users = existing(cx, &ids, &names).await?;
    let users = users.into_iter().filter(|id| !id.is_nil() && *id != session.user_id());
    let users: BTreeSet<Uuid> = users.collect();
    incoming.may_follow(users.len())?;
    cx.tracker.follow(session, users.iter().copied());
    // What changes from here on is told behind the answer.
    let _untold = cx.tracker.telling.lock();
    let presences = users.into_iter().flat_map(|user| statuses(&cx.tracker, user)).collect();
    Ok(incoming.reply(Message::Status(realtime::Status { presences })))
}

async fn unfollow(incoming: Incoming<'_>, request: realtime::StatusUnfollow) -> Handled {
    let Incoming { cx, session, .. } = incoming;
    let mut ids = ids(&request.user_ids)?;
    ids.remove(&session.user_id());
    cx.tracker.unfollow(session, ids);
    Ok(incoming.acknowledge())
}

async fn update(incoming: Incoming<'_>, request: realtime::StatusUpdate) -> Handled {
    let Incoming { cx, session, .. } = incoming;
    let user_id = session.user_id();
    let stream = Stream::of(mode::STATUS, user_id);
    let Some(status) = request.status else {
        cx.tracker.untrack(session, &stream, user_id);
        return Ok(incoming.acknowledge());
    };
    if status.len() > MAX_STATUS_BYTES {
        return Err(TOO_LONG);
    }
    let meta = Meta { status: status.into(), ..Meta::default() };
    if !cx.tracker.update(session, &stream, user_id, meta) {
        return Err(NOT_TRACKED);
    }
    Ok(incoming.acknowledge())
}

fn ids(texts: &[String]) -> Result<BTreeSet<Uuid>, Refusal> {
    texts.iter().map(|text| Uuid::try_parse(text).map_err(|_| INVALID_USER)).collect()
}

/// The users with these ids or names that exist.
async fn existing(cx: &Cx, ids: &BTreeSet<Uuid>, names: &BTreeSet<&String>) -> Result<Vec<Uuid>> {
    if ids.is_empty() && names.is_empty() {
        return Ok(Vec::new());
    }
    let (ids, names) = (Vec::from_iter(ids), Vec::from_iter(names));
    let rows = cx.db.query(EXISTING, &[&ids, &names]).await.or_fault(CHECKING)?;
    rows.iter().map(|row| row.try_get("id")).collect::<Result<_, _>>().or_fault(CHECKING)
}

/// The presences of a user's status, as an answer shows them: without persistence.
fn statuses(tracker: &Tracker, user_id: Uuid) -> Vec<UserPresence> {
    let stream = Stream::of(mode::STATUS, user_id);
    let presences = tracker.list(&stream, false, true).into_iter();
    let shown = presences.map(|it| UserPresence { persistence: false, ..it.to_wire(&stream) });
    shown.collect()
}

/// $1 ids, $2 usernames. Reads the primary key of users and users_username_key.
const EXISTING: &str = "SELECT id FROM users WHERE id = ANY($1) OR username = ANY($2::text[])";

/// The sessions that follow each user. Every session hears of its own user besides.
#[derive(Debug, Default)]
pub(super) struct Follows(DashMap<Uuid, HashMap<Uuid, Arc<Session>>>);

impl Follows {
    /// Shows every session that follows a user to `to`.
    pub(super) fn each(&self, user_id: Uuid, to: impl FnMut(&Arc<Session>)) {
        if let Some(followers) = self.0.get(&user_id) {
            followers.values().for_each(to);
        }
    }

    pub(super) fn remove(&self, session_id: Uuid, user_id: Uuid) {
        if let Entry::Occupied(mut followers) = self.0.entry(user_id) {
            followers.get_mut().remove(&session_id);
            if followers.get().is_empty() {
                followers.remove();
            }
        }
    }
}

impl Tracker {
    /// Lets a session hear of the status of these users from now on.
    pub fn follow(&self, session: &Arc<Session>, users: impl IntoIterator<Item = Uuid>) {
        let mut present = session.present.lock();
        if present.ended {
            return;
        }
        for user_id in users {
            if user_id == session.user_id() {
                session.hear_itself(true);
            } else if present.follows.insert(user_id) {
                let mut followers = self.follows.0.entry(user_id).or_default();
                followers.insert(session.id, Arc::clone(session));
            }
        }
    }

    /// Lets a session hear of the status of these users no longer.
    pub fn unfollow(&self, session: &Session, users: impl IntoIterator<Item = Uuid>) {
        let mut present = session.present.lock();
        for user_id in users {
            if user_id == session.user_id() {
                session.hear_itself(false);
            } else if present.follows.remove(&user_id) {
                self.follows.remove(session.id, user_id);
            }
        }
    }
}

/// The host functions.
pub mod nk {
    use schemars::JsonSchema;
    use serde::Deserialize;

    use super::*;
    use crate::{
        host::{HostFn, Origin, Returns},
        realtime::arguments::{session_id, user_ids},
    };

    /// `nk.status_follow(session_id, user_ids)`: lets a session hear of the status of users. A
    /// session that has ended is no error.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct StatusFollow {
        /// The session.
        #[serde(deserialize_with = "session_id")]
        session_id: Uuid,
        /// Whose status.
        #[serde(deserialize_with = "user_ids")]
        #[schemars(with = "Vec<String>")]
        user_ids: Vec<Uuid>,
    }

    impl HostFn for StatusFollow {
        const NAME: &'static str = "status_follow";
        const RETURNS: Returns = Returns::Nothing;
        type Output = ();
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
            if let Some(session) = cx.sockets.get(self.session_id) {
                cx.tracker.follow(&session, self.user_ids);
            }
            Ok(())
        }
    }

    /// `nk.status_unfollow(session_id, user_ids)`: lets a session hear of the status of users no
    /// longer, of its own neither. A session that has ended is no error.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct StatusUnfollow {
        /// The session.
        #[serde(deserialize_with = "session_id")]
        session_id: Uuid,
        /// Whose status.
        #[serde(deserialize_with = "user_ids")]
        #[schemars(with = "Vec<String>")]
        user_ids: Vec<Uuid>,
    }

    impl HostFn for StatusUnfollow {
        const NAME: &'static str = "status_unfollow";
        const RETURNS: Returns = Returns::Nothing;
        type Output = ();
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
            if let Some(session) = cx.sockets.get(self.session_id) {
                cx.tracker.unfollow(&session, self.user_ids);
            }
            Ok(())
        }
    }
}
