//! The tracker: which session is present on which stream.
//!
//! Streams are spread over the shards of a map, so reads and changes cost no hop. Each change that
//! others may see is queued for [`super::presence_events`] while its stream is locked, so that the
//! events of a stream are told in the order in which it changed.
//!
//! Locks are taken in this order: `telling`, a party's, a session's `present`, a shard of streams, of
//! followers or of sessions (never two of these at once), the changes, a stream's `sending`; a session's
//! outgoing queue may be locked within any.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use dashmap::{DashMap, mapref::entry::Entry};
use guildhall_proto::realtime::{Envelope, UserPresence};
use indexmap::IndexMap;
use parking_lot::{Mutex, ReentrantMutex};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    outgoing::Encoded,
    session::{PresenceReason, Session},
    status::Follows,
    stream::{Stream, mode},
};

/// What a presence has besides who and where.
#[derive(Clone, Debug, Default)]
pub struct Meta {
    /// Neither listed nor told of, unless asked for.
    pub hidden: bool,
    /// Whether messages to the stream are stored, as the client asked.
    pub persistence: bool,
    /// The status, on a status stream.
    pub status: Arc<str>,
}

/// A session's presence on a stream.
#[derive(Clone, Debug)]
pub struct Presence {
    /// Whose.
    pub session: Arc<Session>,
    /// The user it stands for: the session's own, or another that a module named.
    pub user_id: Uuid,
    /// What it has besides.
    pub meta: Meta,
    /// Why it is as it is: it joined, or was updated.
    pub reason: PresenceReason,
}

impl Presence {
    /// As clients see it; the status only on a status stream.
    pub fn to_wire(&self, stream: &Stream) -> UserPresence {
        UserPresence {
            user_id: self.user_id.to_string(),
            session_id: self.session.id.to_string(),
            username: self.session.username.to_string(),
            persistence: self.meta.persistence,
            status: (stream.mode == mode::STATUS).then(|| self.meta.status.to_string()),
        }
    }
}

/// Who is present on one stream.
#[derive(Debug, Default)]
struct Members {
    /// By session and user.
    present: IndexMap<(Uuid, Uuid), Presence>,
    /// Held by who sends to them, so that all get what several send in one order.
    sending: Mutex<()>,
}

/// What became of a wish to be present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracked {
    /// It is present now.
    New,
    /// It was before; nothing changed.
    Before,
    /// The session is at its end.
    Ended,
}

/// A change on one stream that others may see.
#[derive(Debug)]
pub(super) struct Change {
    pub stream: Stream,
    pub joins: Vec<Presence>,
    pub leaves: Vec<Presence>,
    pub reason: PresenceReason,
    /// Whether the stream was closed since: whoever is there now came later, and is not told.
    pub closed: bool,
    /// When it came about.
    pub made: Instant,
}

/// All presences.
#[derive(Debug)]
pub struct Tracker {
    streams: DashMap<Stream, Members>,
    count: AtomicUsize,
    expulsions: AtomicU64,
    pub(super) follows: Follows,
    pub(super) changes: Changes,
    /// Held by who tells changes, so that they are told in order.
    pub(super) telling: ReentrantMutex<()>,
    pub(super) most_changes: usize,
}

/// The changes that wait to be told.
#[derive(Debug, Default)]
pub(super) struct Changes {
    queue: Mutex<VecDeque<Change>>,
    /// The length of `queue`, for a look without its lock.
    waiting: AtomicUsize,
    /// Wakes the task that tells them.
    pub added: Notify,
}

impl Changes {
    fn add(&self, change: Change) {
        let mut queue = self.queue.lock();
        queue.push_back(change);
        self.waiting.store(queue.len(), Ordering::Relaxed);
        // The task takes all there is once it is awake.
        if queue.len() == 1 {
            self.added.notify_one();
        }
    }

    /// Marks the changes of a stream that is closed, which is locked meanwhile.
    fn close(&self, stream: &Stream) {
        let mut queue = self.queue.lock();
        for change in queue.iter_mut().filter(|change| change.stream == *stream) {
            change.closed = true;
        }
    }

    pub(super) fn next(&self) -> Option<Change> {
        let mut queue = self.queue.lock();
        let change = queue.pop_front();
        self.waiting.store(queue.len(), Ordering::Relaxed);
        change
    }

    /// How many there are; exact for who has made the last one.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl Tracker {
    /// Nobody is present. `most_changes` may wait to be told; beyond it, whoever makes changes helps
    /// to tell them (`tracker.event_queue_size`).
    pub fn new(most_changes: usize) -> Self {
        Self {
            streams: DashMap::new(),
            count: AtomicUsize::new(0),
            expulsions: AtomicU64::new(0),
            follows: Follows::default(),
            changes: Changes::default(),
            telling: ReentrantMutex::new(()),
            most_changes,
        }
    }

    /// Makes a session present as `user_id`.
    pub fn track(
        &self,
        session: &Arc<Session>,
        stream: &Stream,
        user_id: Uuid,
        meta: Meta,
    ) -> Tracked {
        let mut present = session.present.lock();
        if present.ended {
            return Tracked::Ended;
        }
        let mut members = self.streams.entry(stream.clone()).or_default();
        let key = (session.id, user_id);
        if members.present.contains_key(&key) {
            return Tracked::Before;
        }
        let reason = PresenceReason::Join;
        let presence = Presence { session: Arc::clone(session), user_id, meta, reason };
        let joins = if presence.meta.hidden { vec![] } else { vec![presence.clone()] };
        members.present.insert(key, presence);
        self.count.fetch_add(1, Ordering::Relaxed);
        present.streams.insert((stream.clone(), user_id));
        self.queue(stream, joins, vec![], PresenceReason::Join);
        Tracked::New
    }

    /// Makes a session present, or changes what its presence has; whether it could.
    pub fn update(
        &self,
        session: &Arc<Session>,
        stream: &Stream,
        user_id: Uuid,
        meta: Meta,
    ) -> bool {
        let mut present = session.present.lock();
        if present.ended {
            return false;
        }
        let mut members = self.streams.entry(stream.clone()).or_default();
        let reason = PresenceReason::Update;
        let presence = Presence { session: Arc::clone(session), user_id, meta, reason };
        let shown = |presence: &Presence| !presence.meta.hidden;
        let joins = Some(presence.clone()).filter(shown).into_iter().collect();
        let before = members.present.insert((session.id, user_id), presence);
        if before.is_none() {
            self.count.fetch_add(1, Ordering::Relaxed);
            present.streams.insert((stream.clone(), user_id));
        }
        let leaves = before.filter(shown).into_iter().collect();
        self.queue(stream, joins, leaves, PresenceReason::Update);
        true
    }

    /// Ends a presence; what it was, if it was there.
    pub fn untrack(&self, session: &Session, stream: &Stream, user_id: Uuid) -> Option<Presence> {
        self.untrack_for(session, stream, user_id, PresenceReason::Leave)
    }

    /// Ends a presence for `reason`.
    pub fn untrack_for(
        &self,
        session: &Session,
        stream: &Stream,
        user_id: Uuid,
        reason: PresenceReason,
    ) -> Option<Presence> {
        let mut present = session.present.lock();
        present.streams.remove(&(stream.clone(), user_id));
        self.take(session, stream, user_id, reason)
    }

    /// Ends all of a session's presences on streams of these modes, but for the one on `except`.
    pub fn untrack_modes(&self, session: &Session, modes: &[u8], except: &Stream) {
        let mut present = session.present.lock();
        present.streams.retain(|(stream, user_id)| {
            let goes = modes.contains(&stream.mode) && stream != except;
            if goes {
                self.take(session, stream, *user_id, PresenceReason::Leave);
            }
            !goes
        });
    }

    /// Ends all presences on a stream. Nobody is told, since everybody goes.
    pub fn untrack_stream(&self, stream: &Stream) -> Vec<Presence> {
        let members = match self.streams.entry(stream.clone()) {
            Entry::Vacant(_) => return Vec::new(),
            Entry::Occupied(members) => {
                self.changes.close(stream);
                members.remove().present
            }
        };
        self.count.fetch_sub(members.len(), Ordering::Relaxed);
        for ((id, user_id), presence) in &members {
            let mut present = presence.session.present.lock();
            // It may have come back meanwhile.
            if !self
                .streams
                .get(stream)
                .is_some_and(|now| now.present.contains_key(&(*id, *user_id)))
            {
                present.streams.remove(&(stream.clone(), *user_id));
            }
        }
        members.into_values().collect()
    }

    /// How often somebody was put out of a channel for want of the right to be there. Who asks for
    /// that right, becomes present and then finds another count than before has to ask again.
    pub fn expulsions(&self) -> u64 {
        self.expulsions.load(Ordering::SeqCst)
    }

    pub(super) fn count_expulsion(&self) {
        self.expulsions.fetch_add(1, Ordering::SeqCst);
    }

    /// The first presences of a session.
    pub(super) fn begin(&self, session: &Arc<Session>, status: bool) {
        let user_id = session.user_id();
        let hidden = Meta { hidden: true, ..Meta::default() };
        self.track(session, &Stream::of(mode::NOTIFICATIONS, user_id), user_id, hidden);
        if status {
            self.track(session, &Stream::of(mode::STATUS, user_id), user_id, Meta::default());
        }
    }

    /// Ends all of a session's presences and follows, for good.
    pub(super) fn end(&self, session: &Session, reason: PresenceReason) {
        let (streams, follows) = {
            let mut present = session.present.lock();
            present.ended = true;
            (std::mem::take(&mut present.streams), std::mem::take(&mut present.follows))
        };
        for (stream, user_id) in streams {
            self.take(session, &stream, user_id, reason);
        }
        for user_id in follows {
            self.follows.remove(session.id, user_id);
        }
    }

    fn take(
        &self,
        session: &Session,
        stream: &Stream,
        user_id: Uuid,
        reason: PresenceReason,
    ) -> Option<Presence> {
        let Entry::Occupied(mut members) = self.streams.entry(stream.clone()) else { return None };
        let presence = members.get_mut().present.swap_remove(&(session.id, user_id))?;
        self.count.fetch_sub(1, Ordering::Relaxed);
        if !presence.meta.hidden {
            self.queue(stream, vec![], vec![presence.clone()], reason);
        }
        if members.get().present.is_empty() {
            members.remove();
        }
        Some(presence)
    }

    fn queue(
        &self,
        stream: &Stream,
        joins: Vec<Presence>,
        leaves: Vec<Presence>,
        reason: PresenceReason,
    ) {
        if joins.is_empty() && leaves.is_empty() {
            return;
        }
        let stream = stream.clone();
        let made = Instant::now();
        self.changes.add(Change { stream, joins, leaves, reason, closed: false, made });
    }

    /// How many presences there are, the hidden ones too.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// How many are present on a stream, the hidden ones too.
    pub fn count_on(&self, stream: &Stream) -> usize {
        self.streams.get(stream).map_or(0, |members| members.present.len())
    }

    /// Whether anybody is present on a stream, hidden or not.
    pub fn exists(&self, stream: &Stream) -> bool {
        self.streams.contains_key(stream)
    }

    /// Whether a user has a status that others may see, and so is online.
    pub fn is_online(&self, user_id: Uuid) -> bool {
        let members = self.streams.get(&Stream::of(mode::STATUS, user_id));
        members
            .is_some_and(|members| members.present.values().any(|presence| !presence.meta.hidden))
    }

    /// What the presence of a session on a stream as `user_id` has.
    pub fn get(&self, session_id: Uuid, stream: &Stream, user_id: Uuid) -> Option<Meta> {
        self.presence(session_id, stream, user_id).map(|presence| presence.meta)
    }

    /// The presence of a session on a stream as `user_id`.
    pub fn presence(&self, session_id: Uuid, stream: &Stream, user_id: Uuid) -> Option<Presence> {
        self.streams.get(stream)?.present.get(&(session_id, user_id)).cloned()
    }

    /// Who is present on a stream: the hidden ones, the others, or both; mostly in the order in which
    /// they came.
    pub fn list(&self, stream: &Stream, hidden: bool, shown: bool) -> Vec<Presence> {
        self.streams.get(stream).map_or_else(Vec::new, |members| {
            let wanted = |p: &&Presence| if p.meta.hidden { hidden } else { shown };
            members.present.values().filter(wanted).cloned().collect()
        })
    }

    /// Shows all who are present on a stream to `look`, while the stream is locked: no change of it
    /// that is not seen is told before `look` is done, which so must not wait for the stream.
    pub fn view<T>(
        &self,
        stream: &Stream,
        look: impl FnOnce(&mut dyn Iterator<Item = &Presence>) -> T,
    ) -> T {
        match self.streams.get(stream) {
            Some(members) => look(&mut members.present.values()),
            None => look(&mut std::iter::empty()),
        }
    }

    /// The streams of one of these modes, with how many are present on each.
    pub fn count_by_mode(&self, modes: &[u8]) -> Vec<(Stream, usize)> {
        let rows = self.streams.iter().filter(|row| modes.contains(&row.key().mode));
        rows.map(|row| (row.key().clone(), row.value().present.len())).collect()
    }

    /// Queues an envelope for every session on a stream; how many there are. What several send at once
    /// comes to all in the same order.
    pub fn send(&self, stream: &Stream, envelope: &Envelope) -> usize {
        self.send_if(stream, envelope, |_| true)
    }

    /// Queues an envelope for the sessions on a stream that are `wanted`; how many there are. The
    /// stream is locked meanwhile, so `wanted` must not wait for it.
    pub fn send_if(
        &self,
        stream: &Stream,
        envelope: &Envelope,
        wanted: impl Fn(&Presence) -> bool,
    ) -> usize {
        let encoded = Encoded::new(envelope);
        self.streams.get(stream).map_or(0, |members| {
            let _sending = members.sending.lock();
            let mut sent = 0;
            for presence in members.present.values().filter(|presence| wanted(presence)) {
                presence.session.send_encoded(&encoded);
                sent += 1;
            }
            sent
        })
    }
}

#[cfg(test)]
mod tests;
