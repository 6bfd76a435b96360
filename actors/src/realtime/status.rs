//! Who hears of whose status.

use std::{collections::HashMap, sync::Arc};

use dashmap::{DashMap, mapref::entry::Entry};
use uuid::Uuid;

use super::{session::Session, tracker::Tracker};

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
            if present.follows.insert(user_id) {
                let mut followers = self.follows.0.entry(user_id).or_default();
                followers.insert(session.id, Arc::clone(session));
            }
        }
    }

    /// Lets a session hear of the status of these users no longer.
    pub fn unfollow(&self, session: &Session, users: impl IntoIterator<Item = Uuid>) {
        let mut present = session.present.lock();
        for user_id in users {
            if present.follows.remove(&user_id) {
                self.follows.remove(session.id, user_id);
            }
        }
    }
}
