//! Streams for modules: who is present on them, and what is sent to them.

use guildhall_core::{Code, Result, Status};
use guildhall_proto::realtime::{Envelope, StreamData, envelope::Message};
use uuid::Uuid;

use super::stream::Stream;
use crate::cx::Cx;

const NO_SESSION: Status = Status::new(Code::NotFound, "session id does not exist");
const CLOSING: Status =
    Status::new(Code::FailedPrecondition, "tracker rejected the presence, session is closing");

impl Cx {
    /// Queues an envelope for these sessions, or for all that are present on the stream where none is
    /// named. Sessions that have ended are passed over.
    pub fn send_to(&self, stream: &Stream, recipients: &[Uuid], envelope: &Envelope) {
        if recipients.is_empty() {
            self.tracker.send(stream, envelope);
        } else {
            self.sockets.send_to(recipients, envelope);
        }
    }
}

/// The host functions.
pub mod nk {
    use guildhall_proto::json::Strict;
    use schemars::JsonSchema;
    use serde::{Deserialize, Deserializer, Serialize};
    use serde_json::{Map, Value};

    use super::*;
    use crate::{
        host::{HostFn, Language, Origin, Returns, defaults},
        realtime::{
            arguments::{PresenceArgument, RecipientArgument, StreamArgument, session_id, user_id},
            tracker::{Meta, Presence, Tracked},
        },
    };

    /// Who is present on a stream, as modules get it.
    #[derive(Debug, Serialize, JsonSchema)]
    #[schemars(rename = "StreamPresence")]
    pub struct PresenceInfo {
        user_id: String,
        session_id: String,
        /// The name of the server.
        node: String,
        /// The same, as the reference's JavaScript has it.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(with = "String")]
        node_id: Option<String>,
        /// Whether nobody is told of it.
        hidden: bool,
        /// Whether messages to the stream are stored.
        persistence: bool,
        username: String,
        status: String,
        /// Why it is as it is: 1 it joined, 2 it was updated. Not in Lua.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(with = "i32")]
        reason: Option<i32>,
    }

    /// What a presence has, as modules get it.
    #[derive(Debug, Serialize, JsonSchema)]
    #[schemars(rename = "StreamPresenceMeta")]
    pub struct MetaInfo {
        /// Whether nobody is told of it.
        hidden: bool,
        /// Whether messages to the stream are stored.
        persistence: bool,
        username: String,
        status: String,
        /// Why it is as it is: 1 it joined, 2 it was updated. Not in Lua.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(with = "i32")]
        reason: Option<i32>,
    }

    /// The reason of a presence, for the languages that have it.
    fn reason(presence: &Presence, origin: Origin<'_>) -> Option<i32> {
        (origin.language != Language::Lua).then_some(presence.reason as i32)
    }

    /// `nk.stream_user_list(stream, include_hidden, include_not_hidden)`: who is present on a
    /// stream.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct StreamUserList {
        stream: StreamArgument,
        /// Whether the hidden ones are listed.
        #[serde(default = "defaults::yes")]
        include_hidden: bool,
        /// Whether the others are.
        #[serde(default = "defaults::yes")]
        include_not_hidden: bool,
    }

    impl HostFn for StreamUserList {
        const NAME: &'static str = "stream_user_list";
        type Output = Vec<PresenceInfo>;
        async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<Vec<PresenceInfo>> {
            let Self { stream, include_hidden, include_not_hidden } = self;
            let presences = cx.tracker.list(&stream.into(), include_hidden, include_not_hidden);
            let node_id = (origin.language == Language::JavaScript).then(|| cx.config.name.clone());
            let shown = presences.into_iter().map(|presence| PresenceInfo {
                user_id: presence.user_id.to_string(),
                session_id: presence.session.id.to_string(),
                node: cx.config.name.clone(),
                node_id: node_id.clone(),
                hidden: presence.meta.hidden,
                persistence: presence.meta.persistence,
                username: presence.session.username.to_string(),
                status: presence.meta.status.to_string(),
                reason: reason(&presence, origin),
            });
            Ok(shown.collect())
        }
    }

    /// `nk.stream_user_get(user_id, session_id, stream)`: what a presence has; nothing where it is not
    /// there.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct StreamUserGet {
        #[serde(deserialize_with = "user_id")]
        user_id: Uuid,
        #[serde(deserialize_with = "session_id")]
        session_id: Uuid,
        stream: StreamArgument,
    }

    impl HostFn for StreamUserGet {
        const NAME: &'static str = "stream_user_get";
        type Output = Option<MetaInfo>;
        async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<Option<MetaInfo>> {
            let Self { user_id, session_id, stream } = self;
            let presence = cx.tracker.presence(session_id, &stream.into(), user_id);
            Ok(presence.map(|presence| MetaInfo {
                hidden: presence.meta.hidden,
                persistence: presence.meta.persistence,
                username: presence.session.username.to_string(),
                status: presence.meta.status.to_string(),
                reason: reason(&presence, origin),
            }))
        }
    }

    /// `nk.stream_user_join(user_id, session_id, stream, hidden, persistence, status)`: makes a session
    /// present on a stream; whether it was not before. A presence that is there stays as it is.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct StreamUserJoin {
        /// The user that it is present as.
        #[serde(deserialize_with = "user_id")]
        user_id: Uuid,
        #[serde(deserialize_with = "session_id")]
        session_id: Uuid,
        stream: StreamArgument,
        /// Whether nobody is told of it.
        #[serde(default)]
        hidden: bool,
        /// Whether messages to the stream are stored, where it stores any.
        #[serde(default = "defaults::yes")]
        persistence: bool,
        #[serde(default)]
        status: String,
    }

    impl HostFn for StreamUserJoin {
        const NAME: &'static str = "stream_user_join";
        type Output = bool;
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<bool> {
            let Self { user_id, session_id, stream, hidden, persistence, status } = self;
            let session = cx.sockets.get(session_id).ok_or(NO_SESSION)?;
            let meta = Meta { hidden, persistence, status: status.into() };
            let tracked = cx.tracker.track(&session, &stream.into(), user_id, meta);
            cx.relieve_tracker();
            match tracked {
                Tracked::New => Ok(true),
                Tracked::Before => Ok(false),
                Tracked::Ended => Err(CLOSING.into()),
            }
        }
    }

    /// `nk.stream_user_update(user_id, session_id, stream, hidden, persistence, status)`: changes what
    /// a presence has, or makes a session present.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct StreamUserUpdate {
        /// The user that it is present as.
        #[serde(deserialize_with = "user_id")]
        user_id: Uuid,
        #[serde(deserialize_with = "session_id")]
        session_id: Uuid,
        stream: StreamArgument,
        /// Whether nobody is told of it.
        #[serde(default)]
        hidden: bool,
        /// Whether messages to the stream are stored, where it stores any.
        #[serde(default = "defaults::yes")]
        persistence: bool,
        #[serde(default)]
        status: String,
    }

    impl HostFn for StreamUserUpdate {
        const NAME: &'static str = "stream_user_update";
        const RETURNS: Returns = Returns::Nothing;
        type Output = ();
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
            let Self { user_id, session_id, stream, hidden, persistence, status } = self;
            let session = cx.sockets.get(session_id).ok_or(NO_SESSION)?;
            let meta = Meta { hidden, persistence, status: status.into() };
            let updated = cx.tracker.update(&session, &stream.into(), user_id, meta);
            cx.relieve_tracker();
            if updated { Ok(()) } else { Err(CLOSING.into()) }
        }
    }

    /// `nk.stream_user_leave(user_id, session_id, stream)`: ends a presence, if it is there.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct StreamUserLeave {
        #[serde(deserialize_with = "user_id")]
        user_id: Uuid,
        #[serde(deserialize_with = "session_id")]
        session_id: Uuid,
        stream: StreamArgument,
    }

    impl HostFn for StreamUserLeave {
        const NAME: &'static str = "stream_user_leave";
        const RETURNS: Returns = Returns::Nothing;
        type Output = ();
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
            leave(cx, self.session_id, &self.stream.into(), self.user_id);
            Ok(())
        }
    }

    /// `nk.stream_user_kick(presence, stream)`: ends a presence, if it is there.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct StreamUserKick {
        /// Whose.
        presences: PresenceArgument,
        stream: StreamArgument,
    }

    impl HostFn for StreamUserKick {
        const NAME: &'static str = "stream_user_kick";
        const RETURNS: Returns = Returns::Nothing;
        type Output = ();
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
            let PresenceArgument { user_id, session_id } = self.presences;
            leave(cx, session_id, &self.stream.into(), user_id);
            Ok(())
        }
    }

    /// The session gets no event of its own, since it is not there any more.
    fn leave(cx: &Cx, session_id: Uuid, stream: &Stream, user_id: Uuid) {
        if let Some(session) = cx.sockets.get(session_id) {
            cx.tracker.untrack(&session, stream, user_id);
            cx.relieve_tracker();
        }
    }

    /// `nk.stream_count(stream)`: how many are present on a stream, the hidden ones too.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct StreamCount {
        stream: StreamArgument,
    }

    impl HostFn for StreamCount {
        const NAME: &'static str = "stream_count";
        type Output = u64;
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<u64> {
            Ok(cx.tracker.count_on(&self.stream.into()) as u64)
        }
    }

    /// `nk.stream_close(stream)`: ends all presences on a stream. Nobody is told. A party ends with it.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct StreamClose {
        stream: StreamArgument,
    }

    impl HostFn for StreamClose {
        const NAME: &'static str = "stream_close";
        const RETURNS: Returns = Returns::Nothing;
        type Output = ();
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
            let stream = self.stream.into();
            cx.tracker.untrack_stream(&stream);
            cx.end_party_without_members(&stream);
            Ok(())
        }
    }

    /// `nk.stream_send(stream, data, presences, reliable)`: sends data to all on a stream, or to some
    /// sessions in its name.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct StreamSend {
        stream: StreamArgument,
        /// Any text.
        data: String,
        /// Who gets it; all on the stream if nobody is named.
        #[serde(default)]
        presences: Vec<RecipientArgument>,
        /// Told to clients; delivery is always reliable.
        #[serde(default = "defaults::yes")]
        reliable: bool,
    }

    impl HostFn for StreamSend {
        const NAME: &'static str = "stream_send";
        const RETURNS: Returns = Returns::Nothing;
        type Output = ();
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
            let Self { stream, data, presences, reliable } = self;
            let stream = Stream::from(stream);
            let data = StreamData { stream: Some(stream.to_wire()), sender: None, data, reliable };
            let envelope =
                Envelope { cid: String::new(), message: Some(Message::StreamData(data)) };
            cx.send_to(&stream, &sessions(presences), &envelope);
            Ok(())
        }
    }

    /// `nk.stream_send_raw(stream, envelope, presences, reliable)`: sends any message of the protocol to
    /// all on a stream, or to some sessions.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct StreamSendRaw {
        stream: StreamArgument,
        /// The message under its name: `{ pong = {} }`. Names may be in snake or in camel case.
        #[serde(deserialize_with = "envelope")]
        #[schemars(with = "Map<String, Value>")]
        envelope: Envelope,
        /// Who gets it; all on the stream if nobody is named.
        #[serde(default)]
        presences: Vec<RecipientArgument>,
        /// Has no effect: delivery is always reliable.
        #[serde(default = "defaults::yes")]
        #[allow(dead_code, reason = "a parameter of the reference's")]
        reliable: bool,
    }

    fn envelope<'de, D: Deserializer<'de>>(input: D) -> Result<Envelope, D::Error> {
        Strict::deserialize(input).map(|Strict(envelope)| envelope).map_err(|error| {
            serde::de::Error::custom(format_args!("not a valid envelope: {error}"))
        })
    }

    impl HostFn for StreamSendRaw {
        const NAME: &'static str = "stream_send_raw";
        const RETURNS: Returns = Returns::Nothing;
        type Output = ();
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
            cx.send_to(&self.stream.into(), &sessions(self.presences), &self.envelope);
            Ok(())
        }
    }

    fn sessions(recipients: Vec<RecipientArgument>) -> Vec<Uuid> {
        recipients.into_iter().map(|recipient| recipient.session_id).collect()
    }
}
