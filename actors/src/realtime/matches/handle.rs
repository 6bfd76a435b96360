//! What all others know of an authoritative match that runs: its queues, its members, its label.
//!
//! The queues are bounded, by the keys of section `match`, and full means:
//!
//! - data: the newest is dropped, counted and logged with the next tick;
//! - join attempts and signals: refused;
//! - calls (who left, that the server stops): the match ends, and its members are disconnected.
//!
//! Source: Nakama, `MatchHandler`.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, OnceLock, Weak},
    task::Poll,
};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use guildhall_core::{Caller, config};
use guildhall_proto::realtime::{self, Envelope, MatchData, UserPresence, envelope::Message};
use indexmap::IndexMap;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{count, listing::fields, shown};
use crate::{
    clock,
    cx::Cx,
    envelope::Refusal,
    realtime::{
        labels::Labels,
        outgoing::Encoded,
        session::{PresenceReason, Session},
        stream::{Stream, mode},
        tracker::{Presence, Tracker},
    },
    runtime::matches::{
        Broadcast, Dispatcher, Kicked, LABEL_MAX_BYTES, MatchIdentity, MatchInit, MatchMessage,
        MatchPresence, Recipient, Refusal as Refused, Sender,
    },
};

/// A match that runs, from outside.
pub struct Handle {
    identity: MatchIdentity,
    /// The id as clients know it.
    text: String,
    stream: Stream,
    /// What runs it.
    handler_name: String,
    /// When it was made, Unix milliseconds.
    created_ms: i64,
    tick_rate_hz: OnceLock<u8>,
    label: Mutex<Arc<str>>,
    members: Mutex<IndexMap<Uuid, Arc<Session>>>,
    /// Broadcasts that wait for the end of the call.
    deferred: Mutex<Vec<Broadcast>>,
    queues: Mutex<Queues>,
    /// The match's task.
    waker: AtomicWaker,
    bounds: config::Match,
    listing: Arc<Labels<()>>,
    cx: Weak<Cx>,
}

/// What waits for the match's task.
#[derive(Default)]
pub(super) struct Queues {
    pub calls: VecDeque<Call>,
    pub attempts: VecDeque<Attempt>,
    pub signals: VecDeque<Signal>,
    /// Data for the next tick, which nobody is woken for.
    data: Vec<MatchMessage>,
    /// How many did not fit since the last tick.
    dropped: u64,
    /// That the match is to end, and why.
    pub stop: Option<Stop>,
    /// Nothing is taken any more.
    ended: bool,
}

/// Why a match is ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The server stops.
    Asked,
    /// Too many calls wait.
    Overrun,
}

/// What a match hears of, besides data.
#[derive(Debug)]
pub(super) enum Call {
    /// They are on its stream no longer.
    Left(Vec<MatchPresence>),
    /// The server is about to stop.
    Terminate {
        /// In how many seconds.
        grace_s: u32,
    },
}

/// A session that wants to join.
pub(super) struct Attempt {
    pub session: Arc<Session>,
    /// The mark on the client's message.
    pub cid: String,
    /// The match's id as the client wrote it.
    pub match_id: String,
    pub caller: Caller,
    pub metadata: std::collections::BTreeMap<String, String>,
    /// Gets what the client was sent, or why it may not join. Closed where nobody waits any more.
    pub answer: oneshot::Sender<Result<Envelope, Refusal>>,
}

/// A question to a match.
pub(super) struct Signal {
    pub data: String,
    pub answer: oneshot::Sender<String>,
}

/// What became of something that was put into a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// It waits.
    Taken,
    /// There is no room.
    Full,
    /// The match has ended.
    Ended,
}

/// Data for the next tick.
pub(super) struct Inputs {
    pub messages: Vec<MatchMessage>,
    /// How many did not fit.
    pub dropped: u64,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Handle").field(&self.text).finish()
    }
}

impl Handle {
    pub(super) fn new(
        cx: &Arc<Cx>,
        identity: MatchIdentity,
        handler_name: &str,
        listing: &Arc<Labels<()>>,
    ) -> Self {
        let stream =
            Stream::labelled(mode::MATCH_AUTHORITATIVE, identity.id, Arc::clone(&identity.node));
        Self {
            text: identity.text(),
            stream,
            identity,
            handler_name: handler_name.to_owned(),
            created_ms: clock::now_ms(),
            tick_rate_hz: OnceLock::new(),
            label: Mutex::new("".into()),
            members: Mutex::default(),
            deferred: Mutex::default(),
            queues: Mutex::default(),
            waker: AtomicWaker::new(),
            bounds: cx.config.r#match.clone(),
            listing: Arc::clone(listing),
            cx: Arc::downgrade(cx),
        }
    }

    /// Notes what the handler's init decided, and lists the match.
    pub(super) fn begin(&self, init: MatchInit) {
        self.tick_rate_hz.get_or_init(|| init.tick_rate_hz);
        self.relabel(&init.label);
    }

    fn relabel(&self, label: &str) {
        *self.label.lock() = label.into();
        self.listing.put(self.id(), (), fields(self, label));
    }

    /// The match's own id.
    pub fn id(&self) -> Uuid {
        self.identity.id
    }

    /// Its id as clients and modules know it: `<uuid>.<node>`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The node that runs it.
    pub(super) fn node(&self) -> &Arc<str> {
        &self.identity.node
    }

    /// Where its members are present.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// What runs it: a Lua module, or the name that a handler was registered under.
    pub fn handler_name(&self) -> &str {
        &self.handler_name
    }

    /// When it was made, Unix milliseconds.
    pub fn created_ms(&self) -> i64 {
        self.created_ms
    }

    /// Ticks a second.
    pub fn tick_rate_hz(&self) -> u8 {
        self.tick_rate_hz.get().copied().unwrap_or(1)
    }

    /// Its label as it is now.
    pub fn label(&self) -> Arc<str> {
        Arc::clone(&self.label.lock())
    }

    /// How many members it has.
    pub fn size(&self) -> i32 {
        count(self.members.lock().len())
    }

    /// Whether a session is a member.
    pub(super) fn has(&self, session_id: Uuid) -> bool {
        self.members.lock().contains_key(&session_id)
    }

    /// The members' sessions, mostly in the order in which they came.
    pub(super) fn members(&self) -> Vec<Arc<Session>> {
        self.members.lock().values().cloned().collect()
    }

    /// Takes a session into the match; whether it was new.
    pub(super) fn add(&self, session: &Arc<Session>) -> bool {
        self.members.lock().insert(session.id, Arc::clone(session)).is_none()
    }

    /// Takes members out, and leaves in `presences` those that were.
    pub(super) fn remove(&self, presences: &mut Vec<MatchPresence>) {
        let mut members = self.members.lock();
        presences.retain(|presence| {
            // Another user that a module made present by a member's session is no member.
            let member = members.get(&presence.session_id);
            member.is_some_and(|session| session.user_id() == presence.user_id)
                && members.swap_remove(&presence.session_id).is_some()
        });
    }

    /// Shows the match, as a session that joins it gets it, to `send`; who `before` was in it is shown
    /// to itself as well. What changes from here on is told behind what is sent.
    pub(super) fn show_to<T>(
        &self,
        tracker: &Tracker,
        session: &Session,
        match_id: String,
        before: bool,
        send: impl FnOnce(realtime::Match) -> T,
    ) -> T {
        tracker.view(&self.stream, |present| {
            let shown_to_it = |presence: &&Presence| {
                !presence.meta.hidden && (before || presence.session.id != session.id)
            };
            let others = present.filter(shown_to_it);
            let presences: Vec<UserPresence> =
                others.map(|presence| presence.to_wire(&self.stream)).collect();
            send(realtime::Match {
                match_id,
                authoritative: true,
                label: Some(self.label().to_string()),
                size: count(presences.len()),
                presences,
                self_: Some(shown(session)),
            })
        })
    }

    /// A session as handlers see it.
    pub(super) fn presence(&self, session: &Session, reason: PresenceReason) -> MatchPresence {
        MatchPresence {
            user_id: session.user_id(),
            session_id: session.id,
            username: Arc::clone(&session.username),
            node: Arc::clone(&self.identity.node),
            reason: reason as u8,
        }
    }

    /// Takes data of somebody on the match's stream, for the next tick.
    pub(super) fn take_data(&self, session: &Session, op_code: i64, data: Bytes, reliable: bool) {
        let message = MatchMessage {
            sender: self.presence(session, PresenceReason::Unknown),
            op_code,
            data,
            reliable,
            receive_time_ms: clock::now_ms(),
        };
        let mut queues = self.queues.lock();
        if queues.ended {
            return;
        }
        if queues.data.len() < self.bounds.input_queue_size {
            queues.data.push(message);
        } else {
            queues.dropped += 1;
        }
    }

    /// Takes the data that waits.
    pub(super) fn inputs(queues: &mut Queues) -> Inputs {
        Inputs {
            messages: std::mem::take(&mut queues.data),
            dropped: std::mem::take(&mut queues.dropped),
        }
    }

    /// Asks for a join attempt, in its turn.
    pub(super) fn ask_to_join(&self, attempt: Attempt) -> Pushed {
        self.push(attempt, |queues| &mut queues.attempts, self.bounds.join_attempt_queue_size)
    }

    /// Asks the handler something, in its turn.
    pub(super) fn signal(&self, signal: Signal) -> Pushed {
        self.push(signal, |queues| &mut queues.signals, self.bounds.signal_queue_size)
    }

    /// Tells the match something. If too much waits, the match ends.
    pub(super) fn call(&self, call: Call) {
        let pushed = self.push(call, |queues| &mut queues.calls, self.bounds.call_queue_size);
        if pushed == Pushed::Full {
            self.stop(Stop::Overrun);
        }
    }

    fn push<T>(
        &self,
        item: T,
        queue: impl FnOnce(&mut Queues) -> &mut VecDeque<T>,
        bound: usize,
    ) -> Pushed {
        let mut queues = self.queues.lock();
        if queues.ended {
            return Pushed::Ended;
        }
        let queue = queue(&mut queues);
        if queue.len() >= bound {
            return Pushed::Full;
        }
        queue.push_back(item);
        drop(queues);
        self.waker.wake();
        Pushed::Taken
    }

    /// Ends the match, also if a call is on its way; the first reason counts.
    pub(super) fn stop(&self, stop: Stop) {
        self.queues.lock().stop.get_or_insert(stop);
        self.waker.wake();
    }

    /// Shows the queues to the match's task, again whenever something comes, until it finds something
    /// to do.
    pub(super) async fn next<T>(
        &self,
        mut look: impl FnMut(&mut std::task::Context<'_>, &mut Queues) -> Poll<T>,
    ) -> T {
        poll_fn(|cx| {
            self.waker.register(cx.waker());
            look(cx, &mut self.queues.lock())
        })
        .await
    }

    /// What comes of `work`, unless the match is stopped meanwhile.
    ///
    /// # Errors
    /// Why it is stopped. `work` is given up then.
    pub(super) async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, Stop> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            self.waker.register(cx.waker());
            // Not locked while `work` runs, which puts things into the queues.
            let stop = self.queues.lock().stop;
            match stop {
                Some(stop) => Poll::Ready(Err(stop)),
                None => work.as_mut().poll(cx).map(Ok),
            }
        })
        .await
    }

    /// Takes nothing any more, and is listed no more; whether it was until now. Those who wait for an
    /// answer get none.
    pub(super) fn close(&self) -> bool {
        let mut queues = self.queues.lock();
        let ended = Queues { ended: true, stop: queues.stop, ..Queues::default() };
        let before = std::mem::replace(&mut *queues, ended);
        drop(queues);
        if !before.ended {
            self.listing.remove(self.id());
        }
        !before.ended
    }

    /// Sends what was put off to the end of the call.
    pub(super) fn send_deferred(&self) {
        let deferred = std::mem::take(&mut *self.deferred.lock());
        for broadcast in deferred {
            self.send(broadcast);
        }
    }

    fn send(&self, broadcast: Broadcast) {
        let Broadcast { op_code, data, recipients, sender, reliable, .. } = broadcast;
        let members = self.members.lock();
        if members.is_empty() {
            return;
        }
        let message = MatchData {
            match_id: self.text.clone(),
            presence: sender.map(wire),
            op_code,
            data,
            reliable,
        };
        let envelope = Envelope { cid: String::new(), message: Some(Message::MatchData(message)) };
        let encoded = Encoded::new(&envelope);
        match recipients {
            None => {
                for member in members.values() {
                    member.send_encoded(&encoded);
                }
            }
            Some(recipients) => {
                for Recipient { session_id, node } in recipients {
                    if let Some(member) = members.get(&session_id)
                        && node == self.identity.node
                    {
                        member.send_encoded(&encoded);
                    }
                }
            }
        }
    }

    fn is_running(&self) -> Result<(), Refused> {
        match self.queues.lock().ended {
            true => Err(Refused::Stopped),
            false => Ok(()),
        }
    }
}

/// Who a broadcast seems to come from, as clients see it.
fn wire(sender: Sender) -> UserPresence {
    UserPresence {
        user_id: sender.user_id.to_string(),
        session_id: sender.session_id.to_string(),
        username: sender.username.to_string(),
        ..UserPresence::default()
    }
}

impl Dispatcher for Handle {
    fn broadcast(&self, broadcast: Broadcast) -> Result<(), Refused> {
        self.is_running()?;
        if !broadcast.deferred {
            self.send(broadcast);
            return Ok(());
        }
        let mut deferred = self.deferred.lock();
        if deferred.len() >= self.bounds.deferred_queue_size {
            return Err(Refused::DeferredFull);
        }
        deferred.push(broadcast);
        Ok(())
    }

    fn kick(&self, kicked: Vec<Kicked>) -> Result<(), Refused> {
        self.is_running()?;
        let Some(cx) = self.cx.upgrade() else { return Err(Refused::Stopped) };
        for Kicked { user_id, session_id, node } in kicked {
            let member = self.members.lock().get(&session_id).cloned();
            if let Some(member) = member
                && node == self.identity.node
            {
                // The match hears of it as of anybody who leaves.
                cx.tracker.untrack(&member, &self.stream, user_id);
            }
        }
        Ok(())
    }

    fn update_label(&self, label: &str) -> Result<(), Refused> {
        // Locked so that a match that ends meanwhile is not listed again.
        let queues = self.queues.lock();
        if queues.ended {
            return Err(Refused::Stopped);
        }
        if label.len() > LABEL_MAX_BYTES {
            return Err(Refused::LabelTooLong);
        }
        self.relabel(label);
        drop(queues);
        Ok(())
    }
}
