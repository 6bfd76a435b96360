//! Sessions: what the server knows of a connected socket, and the table of all.

use std::{
    collections::HashSet,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use dashmap::{DashMap, mapref::entry::Entry};
use guildhall_core::{
    Caller,
    caller::{TraceId, User},
};
use guildhall_proto::realtime::{Envelope, Error as WireError, envelope::Message};
use parking_lot::Mutex;
use uuid::Uuid;

use super::{
    outgoing::{Closing, Encoded, Outgoing},
    stream::Stream,
};
use crate::{
    cx::Cx,
    envelope::{Incoming, Refusal},
    runtime::call::{Context, ExecutionMode},
};

/// The encoding of a session's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text frames.
    Json,
    /// Binary frames.
    Protobuf,
}

/// Why a presence begins, changes or ends, by the published numbers.
///
/// Source: nakama-common, `PresenceReason`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum PresenceReason {
    /// Not told.
    #[default]
    Unknown = 0,
    /// It joined.
    Join = 1,
    /// Its status changed.
    Update = 2,
    /// It left.
    Leave = 3,
    /// Its connection ended.
    Disconnect = 4,
}

impl PresenceReason {
    /// The reason with this number; `None` for one that is not published.
    pub fn from_number(number: i64) -> Option<Self> {
        [Self::Unknown, Self::Join, Self::Update, Self::Leave, Self::Disconnect]
            .into_iter()
            .find(|reason| *reason as i64 == number)
    }
}

/// A connected socket.
pub struct Session {
    /// The session's own id, new with each connection.
    pub id: Uuid,
    /// The user, as the token told.
    pub user: User,
    /// The user's name, shared with the session's presences.
    pub username: Arc<str>,
    /// The encoding of its messages.
    pub format: Format,
    /// The language that the client asked for; `en` where it did not.
    pub lang: String,
    /// Who connected, and from where.
    caller: Caller,
    /// What waits to be written.
    pub outgoing: Outgoing,
    /// Whether what the session left in the server is taken away, or about to be.
    ended: AtomicBool,
    /// Whether it may have tickets of the matchmaker.
    waits: AtomicBool,
    /// Whether it does not hear of its own user's status.
    deaf_to_itself: AtomicBool,
    /// Where it is present. Locked before any stream of the tracker.
    pub(super) present: Mutex<Present>,
}

/// Where a session is present, and whose status it hears of.
#[derive(Default)]
pub(super) struct Present {
    /// Set at the end: nothing is added any more.
    pub ended: bool,
    /// The streams, with the user that is present there by this session.
    pub streams: HashSet<(Stream, Uuid)>,
    /// The users that it follows besides its own.
    pub follows: HashSet<Uuid>,
}

impl Session {
    /// A session of `caller`, whose user is known, with room for `queue` frames.
    pub fn new(caller: Caller, user: User, format: Format, lang: String, queue: usize) -> Self {
        Self {
            id: Uuid::new_v4(),
            username: user.username.as_str().into(),
            user,
            format,
            lang,
            caller,
            outgoing: Outgoing::new(queue),
            ended: AtomicBool::new(false),
            waits: AtomicBool::new(false),
            deaf_to_itself: AtomicBool::new(false),
            present: Mutex::default(),
        }
    }

    /// The user's id.
    pub fn user_id(&self) -> Uuid {
        self.user.id
    }

    /// The caller of one of its messages.
    pub fn caller(&self, trace_id: TraceId) -> Caller {
        Caller { trace_id, ..self.caller.clone() }
    }

    /// What module functions see of it, called as `mode`.
    pub fn context(&self, mode: ExecutionMode, trace_id: TraceId) -> Context {
        Context {
            mode,
            caller: self.caller(trace_id),
            session_id: Some(self.id.to_string()),
            lang: Some(self.lang.clone()),
            ..Context::default()
        }
    }

    /// Queues an envelope; whether it was taken.
    pub fn send(&self, envelope: &Envelope) -> bool {
        self.send_encoded(&Encoded::new(envelope))
    }

    /// Queues what many sessions get.
    pub fn send_encoded(&self, encoded: &Encoded<'_>) -> bool {
        self.outgoing.push(encoded.frame(self.format))
    }

    /// Closes the socket after what is queued, with `reason` as the text of its close frame. What
    /// the session leaves is taken away by its task; [`Cx::end_session`] does so at once.
    pub fn close(&self, closing: Closing) {
        self.outgoing.close(closing);
    }

    /// Marks it as one that may have tickets of the matchmaker, which its end takes back; `false` where
    /// it has ended.
    pub(super) fn begin_waiting(&self) -> bool {
        // Either this sees the end, or the end sees this: both are of one order.
        self.waits.store(true, Ordering::SeqCst);
        !self.has_ended()
    }

    /// Whether it hears of its own user's status: it does until a module says otherwise.
    pub fn hears_itself(&self) -> bool {
        !self.deaf_to_itself.load(Ordering::Relaxed)
    }

    pub(super) fn hear_itself(&self, hears: bool) {
        self.deaf_to_itself.store(!hears, Ordering::Relaxed);
    }

    /// Whether it is at its end: no longer in the server's tables.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("user_id", &self.user.id)
            .finish_non_exhaustive()
    }
}

/// All sessions.
#[derive(Debug, Default)]
pub struct Sockets {
    by_id: DashMap<Uuid, Arc<Session>>,
    /// Those of each user, the oldest first.
    by_user: DashMap<Uuid, Vec<Arc<Session>>>,
}

impl Sockets {
    /// The session with this id.
    pub fn get(&self, id: Uuid) -> Option<Arc<Session>> {
        self.by_id.get(&id).map(|session| Arc::clone(&session))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.by_id.len()
    }

    /// Every session there is now, in no order.
    pub fn all(&self) -> Vec<Arc<Session>> {
        self.by_id.iter().map(|session| Arc::clone(&session)).collect()
    }

    /// Queues an envelope for every session.
    pub fn send_to_all(&self, envelope: &Envelope) {
        let encoded = Encoded::new(envelope);
        for session in &self.by_id {
            session.send_encoded(&encoded);
        }
    }

    /// Queues an envelope for these sessions; those that have ended are passed over.
    pub fn send_to(&self, ids: &[Uuid], envelope: &Envelope) {
        let encoded = Encoded::new(envelope);
        for id in ids {
            if let Some(session) = self.by_id.get(id) {
                session.send_encoded(&encoded);
            }
        }
    }

    /// The sessions of a user, the oldest first.
    pub fn of(&self, user_id: Uuid) -> Vec<Arc<Session>> {
        self.by_user.get(&user_id).map_or_else(Vec::new, |sessions| sessions.clone())
    }

    /// Shows every session of a user to `to`, which must neither wait nor look sessions up.
    pub(super) fn each_of(&self, user_id: Uuid, to: impl FnMut(&Arc<Session>)) {
        if let Some(sessions) = self.by_user.get(&user_id) {
            sessions.iter().for_each(to);
        }
    }

    /// Adds a session; the older ones of its user.
    fn add(&self, session: &Arc<Session>) -> Vec<Arc<Session>> {
        self.by_id.insert(session.id, Arc::clone(session));
        let mut of_user = self.by_user.entry(session.user_id()).or_default();
        let older = of_user.clone();
        of_user.push(Arc::clone(session));
        older
    }

    fn remove(&self, session: &Session) {
        self.by_id.remove(&session.id);
        if let Entry::Occupied(mut of_user) = self.by_user.entry(session.user_id()) {
            of_user.get_mut().retain(|other| other.id != session.id);
            if of_user.get().is_empty() {
                of_user.remove();
            }
        }
    }
}

/// What goes wrong with a message, by the published numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
#[allow(missing_docs, reason = "the names are the protocol's, `nakama.realtime.Error.Code`")]
pub enum ErrorCode {
    RuntimeException = 0,
    UnrecognizedPayload = 1,
    MissingPayload = 2,
    BadInput = 3,
    MatchNotFound = 4,
    MatchJoinRejected = 5,
    RuntimeFunctionNotFound = 6,
    RuntimeFunctionException = 7,
}

const TOO_MANY_PRESENCES: Refusal = Refusal::new(
    ErrorCode::BadInput,
    "Too many presences on this session, leave a channel, match or party first.",
);
const TOO_MANY_FOLLOWS: Refusal =
    Refusal::new(ErrorCode::BadInput, "Too many users are followed, unfollow some first.");

impl Incoming<'_> {
    /// Looks whether the client may be on one more stream. Modules may put it on any number.
    ///
    /// # Errors
    /// It is on `socket.max_presences`.
    pub(super) fn may_enter(&self) -> Result<(), Refusal> {
        let most = self.cx.config.socket.max_presences;
        let room = self.session.present.lock().streams.len() < most;
        room.then_some(()).ok_or(TOO_MANY_PRESENCES)
    }

    /// Looks whether the client may follow so many more users.
    ///
    /// # Errors
    /// It would follow more than `socket.max_follows`.
    pub(super) fn may_follow(&self, more: usize) -> Result<(), Refusal> {
        let most = self.cx.config.socket.max_follows;
        let room = self.session.present.lock().follows.len().saturating_add(more) <= most;
        room.then_some(()).ok_or(TOO_MANY_FOLLOWS)
    }
}

/// An error on its way to the client.
pub fn error(code: ErrorCode, message: impl Into<String>) -> Message {
    Message::Error(WireError { code: code as i32, message: message.into(), ..WireError::default() })
}

impl Cx {
    /// Takes a new session into the server's tables, present for its notifications and, where
    /// `status` says so, with an empty status. With `session.single_socket` the user's older sockets
    /// are closed.
    ///
    /// A session whose token was revoked since it was looked at is closed at once.
    pub fn begin_session(&self, session: &Arc<Session>, status: bool) {
        let older = self.sockets.add(session);
        self.tracker.begin(session, status);
        if self.config.session.single_socket {
            for other in &older {
                self.disconnect(other, PresenceReason::Disconnect, Some(SINGLE_SOCKET));
            }
        }
        // Whoever revokes a token looks for its sockets afterwards, and may not have seen this one.
        if self.sessions.is_revoked(&session.user) {
            self.disconnect(session, PresenceReason::Disconnect, None);
        }
        self.relieve_tracker();
    }

    /// Takes away what a session left: presences, follows, its place in the tables. Only the first
    /// call does anything.
    pub fn end_session(&self, session: &Arc<Session>, reason: PresenceReason) {
        if session.ended.swap(true, Ordering::SeqCst) {
            return;
        }
        self.sockets.remove(session);
        if session.waits.load(Ordering::SeqCst) {
            self.matchmaker.remove_session(session.id);
        }
        self.tracker.end(session, reason);
        self.relieve_tracker();
    }

    /// Closes a session by the server's will. Its presences end with `reason` before this returns;
    /// a `farewell` notification tells the client why.
    pub fn disconnect(
        &self,
        session: &Arc<Session>,
        reason: PresenceReason,
        farewell: Option<Farewell>,
    ) {
        if let Some(farewell) = farewell {
            session.send(&farewell.envelope());
        }
        session.close(Closing::normal("server-side session disconnect"));
        self.end_session(session, reason);
    }

    /// Closes all sockets of a user by the server's will.
    pub fn disconnect_user(&self, user_id: Uuid, farewell: Option<Farewell>) {
        for session in self.sockets.of(user_id) {
            self.disconnect(&session, PresenceReason::Disconnect, farewell);
        }
    }

    /// Closes those of a user's sockets whose tokens were revoked.
    pub fn disconnect_revoked(&self, user_id: Uuid) {
        for session in self.sockets.of(user_id) {
            if self.sessions.is_revoked(&session.user) {
                self.disconnect(&session, PresenceReason::Disconnect, None);
            }
        }
    }
}

/// A notification that tells why a socket is about to be closed; it is not stored.
///
/// Source: Nakama, `LocalSessionRegistry`.
#[derive(Clone, Copy, Debug)]
pub struct Farewell {
    subject: &'static str,
    code: i32,
}

/// Another socket of the user took this one's place.
pub const SINGLE_SOCKET: Farewell = Farewell { subject: "single_socket", code: -7 };
/// The user was banned.
pub const BANNED: Farewell = Farewell { subject: "banned", code: -8 };

impl Farewell {
    fn envelope(self) -> Envelope {
        use guildhall_proto::{Timestamp, api, realtime};
        let notification = api::Notification {
            id: Uuid::new_v4().to_string(),
            subject: self.subject.to_owned(),
            content: "{}".to_owned(),
            code: self.code,
            create_time: Some(Timestamp { seconds: crate::clock::now_s(), nanos: 0 }),
            ..api::Notification::default()
        };
        Envelope {
            cid: String::new(),
            message: Some(Message::Notifications(realtime::Notifications {
                notifications: vec![notification],
            })),
        }
    }
}

/// The host functions.
pub mod nk {
    use guildhall_core::{Code, Result, Status};
    use schemars::JsonSchema;
    use serde::Deserialize;

    use super::*;
    use crate::{
        host::{HostFn, Language, Origin, Returns},
        realtime::arguments::session_id,
    };

    const REASON: Status =
        Status::new(Code::InvalidArgument, "invalid disconnect reason, must be a value 0-4");

    /// `nk.session_disconnect(session_id, reason)`: closes a socket. A session that has ended is no
    /// error.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct SessionDisconnect {
        #[serde(deserialize_with = "session_id")]
        session_id: Uuid,
        /// What matches are told as the reason of its leaving, 0-4; a disconnect (4) if not given.
        #[serde(default)]
        reason: Option<i64>,
    }

    impl HostFn for SessionDisconnect {
        const NAME: &'static str = "session_disconnect";
        const RETURNS: Returns = Returns::Nothing;
        type Output = ();
        async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<()> {
            let reason = match self.reason {
                None => PresenceReason::Disconnect,
                // The reference cannot tell 0 from none in Lua.
                Some(0) if origin.language == Language::Lua => PresenceReason::Disconnect,
                Some(number) => PresenceReason::from_number(number).ok_or(REASON)?,
            };
            if let Some(session) = cx.sockets.get(self.session_id) {
                cx.disconnect(&session, reason, None);
            }
            Ok(())
        }
    }
}
