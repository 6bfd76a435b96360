//! All authoritative matches: how they begin, how they are found, and how they end with the server.

use std::{
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dashmap::DashMap;
use guildhall_core::{Code, Error, Result, Status, config::Config, session::TokenKey};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, oneshot},
    time::{MissedTickBehavior, interval, timeout},
};
use uuid::Uuid;

use super::{
    ANSWER_WAIT, MatchId,
    actor::Actor,
    handle::{Call, Handle, Pushed, Signal, Stop},
    listing::{CREATED, LABEL},
    token,
};
use crate::{
    clock,
    cx::Cx,
    query::Query,
    realtime::{labels::Labels, session::PresenceReason, tracker::Presence},
    runtime::{call::Argument, matches::MatchIdentity},
};

/// The text that names a match is none.
pub const INVALID_ID: Status = Status::new(Code::InvalidArgument, "match id invalid");
const NOT_FOUND: Status = Status::new(Code::NotFound, "match not found");
const BUSY: Status = Status::new(Code::Unavailable, "match busy");
const STOPPING: Status =
    Status::new(Code::Unavailable, "error creating match: shutdown in progress");

/// How long a match token holds.
///
/// Source: Nakama, `LocalMatchmaker.processDefault`.
const TOKEN_LIFE_S: i64 = 30;

/// How long matches may take to end once they were stopped; only a native handler that does not come
/// back takes longer.
const STOP_WAIT: Duration = Duration::from_secs(2);

/// The authoritative matches.
#[derive(Debug)]
pub struct Matches {
    /// Set by [`run`].
    cx: OnceLock<Weak<Cx>>,
    node: Arc<str>,
    token_key: TokenKey,
    running: DashMap<Uuid, Arc<Handle>>,
    listing: Arc<Labels<()>>,
    /// What modules made while they were being loaded, in order.
    early: Mutex<Vec<Early>>,
    stopping: AtomicBool,
    /// A match has ended.
    ended: Notify,
}

/// A match that begins once all handlers are known.
#[derive(Debug)]
struct Early {
    identity: MatchIdentity,
    handler: String,
    params: Option<Argument>,
}

/// Lets modules make matches from now on, and takes in labels that nobody asks for as long as the I/O
/// runtime runs.
pub fn run(cx: &Arc<Cx>) {
    cx.matches.cx.get_or_init(|| Arc::downgrade(cx));
    let every = Duration::from_millis(cx.config.r#match.label_update_interval_ms);
    let listing = Arc::clone(&cx.matches.listing);
    cx.io.spawn(async move {
        let mut clock = interval(every);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            listing.settle();
        }
    });
}

impl Matches {
    /// No match runs, and none can be made before [`run`].
    pub fn new(config: &Config) -> Self {
        Self {
            cx: OnceLock::new(),
            node: config.name.as_str().into(),
            token_key: TokenKey::new(config.session.encryption_key.reveal().as_bytes()),
            running: DashMap::new(),
            listing: Arc::new(Labels::newest_by(CREATED)),
            early: Mutex::default(),
            stopping: AtomicBool::new(false),
            ended: Notify::new(),
        }
    }

    /// How many run.
    pub fn count(&self) -> usize {
        self.running.len()
    }

    /// A token to join the match with this id by, which holds for half a minute.
    pub fn token(&self, match_id: &str) -> String {
        token::issue(&self.token_key, match_id, clock::now_s() + TOKEN_LIFE_S)
    }

    /// The id of the match that a token is for, if it holds.
    pub(super) fn of_token(&self, token: &str) -> Option<String> {
        token::match_of(&self.token_key, token, clock::now_s())
    }

    /// The match with this id, if it runs here.
    pub fn find(&self, id: MatchId<'_>) -> Option<Arc<Handle>> {
        if id.node != &*self.node {
            return None;
        }
        self.running(id.id)
    }

    fn running(&self, id: Uuid) -> Option<Arc<Handle>> {
        self.running.get(&id).map(|handle| Arc::clone(&handle))
    }

    /// The matches that a query over their labels finds, the best first and, among equals, those that
    /// were made last.
    pub fn search(&self, query: &Query) -> Vec<Arc<Handle>> {
        let found = self.listing.search(query, None, usize::MAX, |found| *found.key);
        found.into_iter().filter_map(|id| self.running(id)).collect()
    }

    /// A query for the whole label.
    pub fn with_label(label: String) -> Query {
        Query::Term { field: LABEL.to_owned(), term: label, boost: 1.0 }
    }

    /// Begins a match that a handler of this name runs: its id. `params` shows the handler a map;
    /// `None` an empty one. While modules are being loaded it only gets its id, and begins by
    /// [`begin_early`](Self::begin_early).
    ///
    /// # Errors
    /// `NotFound` for a name that no handler has; what its init raised; `Unavailable` while the server
    /// stops.
    pub async fn create(&self, handler: &str, params: Option<Argument>) -> Result<String> {
        let cx = self.cx.get().and_then(Weak::upgrade).ok_or(STOPPING)?;
        if self.stopping.load(Ordering::Acquire) {
            return Err(STOPPING.into());
        }
        let identity = MatchIdentity { id: Uuid::new_v4(), node: Arc::clone(&self.node) };
        if cx.routes.load().generation() == 0 {
            let id = identity.text();
            self.early.lock().push(Early { identity, handler: handler.to_owned(), params });
            return Ok(id);
        }
        self.make(cx, identity, handler, params).await
    }

    /// Begins the matches that modules made while they were being loaded, now that their handlers are
    /// known.
    ///
    /// # Errors
    /// As [`create`](Self::create), for the first that cannot begin; it names the handler.
    pub async fn begin_early(&self) -> Result<()> {
        let early = std::mem::take(&mut *self.early.lock());
        for Early { identity, handler, params } in early {
            let cx = self.cx.get().and_then(Weak::upgrade).ok_or(STOPPING)?;
            self.make(cx, identity, &handler, params).await.map_err(|error| {
                let text = format!(
                    "A match of {handler}, made while modules were loaded, could not begin: {}",
                    error.message()
                );
                Error::from(Status::of(error.code(), text))
            })?;
        }
        Ok(())
    }

    async fn make(
        &self,
        cx: Arc<Cx>,
        identity: MatchIdentity,
        handler: &str,
        params: Option<Argument>,
    ) -> Result<String> {
        let routes = cx.routes.load_full();
        let handle = Arc::new(Handle::new(&cx, identity.clone(), handler, &self.listing));
        let place = cx.match_arbiters.place()?;
        let work = move |placed| async move {
            let dispatcher = Arc::clone(&handle);
            let name = handle.handler_name();
            let handlers = routes.match_handlers();
            let (script, init) =
                handlers.create(placed, name, params, identity, dispatcher).await?;
            let text = handle.text().to_owned();
            handle.begin(init);
            cx.matches.begin(&handle);
            tokio::task::spawn_local(Actor::new(&cx, handle, script).run());
            Ok(text)
        };
        place.run(work).await?
    }

    fn begin(&self, handle: &Arc<Handle>) {
        self.running.insert(handle.id(), Arc::clone(handle));
        if self.stopping.load(Ordering::Acquire) {
            handle.stop(Stop::Asked);
        }
    }

    /// Takes a match that has ended out of all lists.
    pub(super) fn end(&self, handle: &Handle) {
        self.running.remove(&handle.id());
        self.ended.notify_waiters();
    }

    /// Asks a match's handler something, and gives back its answer.
    ///
    /// # Errors
    /// [`INVALID_ID`]; that no such match runs; that it is busy: it did not answer, ended instead, or
    /// too much waits for it.
    ///
    /// Source: Nakama, `LocalMatchRegistry.Signal`.
    pub async fn signal(&self, id: &str, data: String) -> Result<String> {
        let id = MatchId::parse(id).ok_or(INVALID_ID)?;
        let handle = self.find(id).ok_or(NOT_FOUND)?;
        let (answer, answered) = oneshot::channel();
        match handle.signal(Signal { data, answer }) {
            Pushed::Taken => {}
            Pushed::Full => return Err(BUSY.into()),
            Pushed::Ended => return Err(NOT_FOUND.into()),
        }
        match timeout(ANSWER_WAIT, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(BUSY.into()),
        }
    }

    /// Tells a match of those who are on its stream no longer. A presence that only changed is still
    /// there.
    pub(in crate::realtime) fn left(&self, id: Uuid, left: &[Presence], reason: PresenceReason) {
        if left.is_empty() || reason == PresenceReason::Update {
            return;
        }
        let Some(handle) = self.running(id) else { return };
        let left = left.iter().map(|presence| {
            let mut left = handle.presence(&presence.session, reason);
            left.user_id = presence.user_id;
            left
        });
        handle.call(Call::Left(left.collect()));
    }

    /// Whether a stream with this label is of a match that runs here.
    pub(in crate::realtime) fn is_here(&self, label: &str) -> bool {
        label == &*self.node
    }

    /// Ends all matches; none can be made any more. Each is told that the server will stop, and goes
    /// on for `grace` unless it ends before; without grace all end at once.
    ///
    /// Source: Nakama, `LocalMatchRegistry.Stop`.
    pub async fn stop(&self, grace: Duration) {
        self.stopping.store(true, Ordering::Release);
        if !grace.is_zero() {
            let grace_s = u32::try_from(grace.as_secs()).unwrap_or(u32::MAX);
            for handle in &self.running {
                handle.call(Call::Terminate { grace_s });
            }
            // What runs on after its grace is ended below.
            drop(timeout(grace, self.all_ended()).await);
        }
        for handle in &self.running {
            handle.stop(Stop::Asked);
        }
        if timeout(STOP_WAIT, self.all_ended()).await.is_err() {
            tracing::warn!(matches = self.count(), "matches did not end");
        }
    }

    async fn all_ended(&self) {
        loop {
            let ended = self.ended.notified();
            if self.running.is_empty() {
                return;
            }
            ended.await;
        }
    }
}
