//! Matches: relayed ones, in which members send to one another, and authoritative ones, which a
//! module's handler runs.
//!
//! A relayed match is a stream and no more: it is there as long as somebody is on it. An
//! authoritative match is an actor (`actor`) on a thread that its interpreter lives on too; all
//! others know it by its [`handle::Handle`], found in [`Matches`].

mod actor;
mod handle;
mod listing;
mod registry;
#[cfg(test)]
mod tests;
pub mod token;

use std::{collections::BTreeMap, time::Duration};

use guildhall_proto::realtime::{
    self, Envelope, MatchData, UserPresence, envelope::Message, match_join,
};
use tokio::{sync::oneshot, time::timeout};
use uuid::Uuid;

use self::handle::{Attempt, Pushed};
pub use self::{
    handle::Handle,
    registry::{INVALID_ID, Matches, run},
};
use super::{
    session::{ErrorCode, Session},
    stream::{Stream, mode},
    tracker::{Meta, Presence, Tracked},
};
use crate::{
    cx::Cx,
    envelope::{Handled, Incoming, Refusal, Reply},
    socket_messages,
};

socket_messages! {
    /// Makes a relayed match, or joins the one that a name stands for.
    MatchCreate(realtime::MatchCreate) => create;
    /// Joins a match, by its id or by the matchmaker's token.
    MatchJoin(realtime::MatchJoin) => join;
    /// Leaves a match.
    MatchLeave(realtime::MatchLeave) => leave;
    /// Sends data to the other members of a relayed match, to some of them, or to a match's handler.
    MatchDataSend(realtime::MatchDataSend) => send;
}

const BAD_ID: Refusal = Refusal::new(ErrorCode::BadInput, "Invalid match ID");
const INVALID_TOKEN: Refusal = Refusal::new(ErrorCode::BadInput, "Invalid match token");
const NO_ID: Refusal = Refusal::new(ErrorCode::BadInput, "No match ID or token found");
const NOT_FOUND: Refusal = Refusal::new(ErrorCode::MatchNotFound, "Match not found");
const REJECTED: Refusal = Refusal::new(ErrorCode::MatchJoinRejected, "Match join rejected");
const TOO_MANY_ATTEMPTS: Refusal =
    Refusal::new(ErrorCode::MatchJoinRejected, "Match is not currently accepting join requests");

/// The longest wait for a handler to answer a join attempt or a signal.
///
/// Source: Nakama, `LocalMatchRegistry.JoinAttempt`, `Signal`.
const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// The modes of the streams of matches.
const MODES: &[u8] = &[mode::MATCH_RELAYED, mode::MATCH_AUTHORITATIVE];

/// A match's id: `<uuid>.` for a relayed match, `<uuid>.<node>` for an authoritative one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatchId<'a> {
    /// Its number.
    pub id: Uuid,
    /// The node that runs it; empty for a relayed match.
    pub node: &'a str,
}

impl<'a> MatchId<'a> {
    /// The id that `text` is, if it is one.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (id, node) = text.split_once('.')?;
        Some(Self { id: Uuid::try_parse(id).ok()?, node })
    }

    /// Whether members send to one another, without a handler.
    pub fn is_relayed(&self) -> bool {
        self.node.is_empty()
    }

    /// The match's stream.
    pub fn stream(&self) -> Stream {
        match self.is_relayed() {
            true => Stream::of(mode::MATCH_RELAYED, self.id),
            false => Stream::labelled(mode::MATCH_AUTHORITATIVE, self.id, self.node),
        }
    }
}

/// Source: Nakama, `Pipeline.matchCreate`. It leaves the session's other matches alone, also with
/// `session.single_match`.
async fn create(incoming: Incoming<'_>, request: realtime::MatchCreate) -> Handled {
    let Incoming { cx, session, .. } = incoming;
    incoming.may_enter()?;
    let name = request.name.as_bytes();
    let id = match name {
        [] => Uuid::new_v4(),
        name => Uuid::new_v5(&Uuid::NAMESPACE_DNS, name),
    };
    let stream = Stream::of(mode::MATCH_RELAYED, id);
    let tracked = cx.tracker.track(session, &stream, session.user_id(), Meta::default());
    if tracked == Tracked::Ended {
        return Err(Refusal::DROPPED);
    }
    let reply = view(cx, &stream, |present| {
        let (size, presences) = match name {
            [] => (1, Vec::new()),
            _ => (present.len(), others(&stream, present, session, tracked)),
        };
        let shown = relayed(format!("{id}."), session, presences);
        incoming.reply(Message::Match(realtime::Match { size: count(size), ..shown }))
    });
    cx.relieve_tracker();
    Ok(reply)
}

/// Source: Nakama, `Pipeline.matchJoin`.
async fn join(incoming: Incoming<'_>, request: realtime::MatchJoin) -> Handled {
    incoming.may_enter()?;
    let realtime::MatchJoin { id, metadata } = request;
    let (text, by_token) = match id {
        Some(match_join::Id::MatchId(text)) => (text, false),
        Some(match_join::Id::Token(token)) => {
            (incoming.cx.matches.of_token(&token).ok_or(INVALID_TOKEN)?, true)
        }
        None => return Err(NO_ID),
    };
    let id = MatchId::parse(&text).ok_or(if by_token { INVALID_TOKEN } else { BAD_ID })?;
    if id.is_relayed() {
        // The first of those that the matchmaker brought together finds nobody there.
        return join_relayed(incoming, id.stream(), text, by_token);
    }
    let handle = incoming.cx.matches.find(id).ok_or(NOT_FOUND)?;
    attempt(incoming, &handle, text, metadata).await
}

fn join_relayed(
    incoming: Incoming<'_>,
    stream: Stream,
    match_id: String,
    may_be_empty: bool,
) -> Handled {
    let Incoming { cx, session, .. } = incoming;
    if !may_be_empty && !cx.tracker.exists(&stream) {
        return Err(NOT_FOUND);
    }
    let tracked = cx.tracker.track(session, &stream, session.user_id(), Meta::default());
    match tracked {
        Tracked::Ended => return Err(Refusal::DROPPED),
        Tracked::New if cx.config.session.single_match => {
            cx.tracker.untrack_modes(session, MODES, &stream);
        }
        _ => {}
    }
    let reply = view(cx, &stream, |present| {
        let presences = others(&stream, present, session, tracked);
        incoming.reply(Message::Match(relayed(match_id, session, presences)))
    });
    cx.relieve_tracker();
    Ok(reply)
}

/// Asks a match's handler whether the session may join. A member is not asked again.
async fn attempt(
    incoming: Incoming<'_>,
    handle: &Handle,
    match_id: String,
    metadata: BTreeMap<String, String>,
) -> Handled {
    let Incoming { cx, session, .. } = incoming;
    if cx.tracker.get(session.id, handle.stream(), session.user_id()).is_none() {
        // If it has just left, the match is to hear of it before it hears of this.
        cx.tell_changes();
    } else if handle.has(session.id) {
        let reply = |shown| incoming.reply(Message::Match(shown));
        return Ok(handle.show_to(&cx.tracker, session, match_id, true, reply));
    }
    let (answer, answered) = oneshot::channel();
    let attempt = Attempt {
        session: session.clone(),
        cid: incoming.cid.to_owned(),
        match_id,
        caller: session.caller(incoming.trace_id),
        metadata,
        answer,
    };
    match handle.ask_to_join(attempt) {
        Pushed::Taken => {}
        Pushed::Full => return Err(TOO_MANY_ATTEMPTS),
        Pushed::Ended => return Err(NOT_FOUND),
    }
    match timeout(ANSWER_WAIT, answered).await {
        Ok(Ok(answer)) => answer.map(|envelope| Reply(Some(envelope))),
        // It takes too long, or the match has ended.
        Ok(Err(_)) | Err(_) => Err(REJECTED),
    }
}

/// Source: Nakama, `Pipeline.matchLeave`. Whoever is in no such match leaves it as well.
async fn leave(incoming: Incoming<'_>, request: realtime::MatchLeave) -> Handled {
    let Incoming { cx, session, .. } = incoming;
    let id = MatchId::parse(&request.match_id).ok_or(BAD_ID)?;
    cx.tracker.untrack(session, &id.stream(), session.user_id());
    let reply = incoming.acknowledge();
    // Told now: who comes back at once is not to hear of having left.
    cx.tell_changes();
    Ok(reply)
}

/// Nothing is answered: data of strangers, and data to presences that are none, is dropped.
///
/// Source: Nakama, `Pipeline.matchDataSend`.
async fn send(incoming: Incoming<'_>, request: realtime::MatchDataSend) -> Handled {
    let Incoming { cx, session, .. } = incoming;
    let realtime::MatchDataSend { match_id, op_code, data, presences, reliable } = request;
    let Some(id) = MatchId::parse(&match_id) else { return Err(BAD_ID.unmarked()) };
    if !id.is_relayed() {
        let handle = cx.matches.find(id).ok_or(Refusal::DROPPED)?;
        if cx.tracker.get(session.id, handle.stream(), session.user_id()).is_none() {
            return Err(Refusal::DROPPED);
        }
        handle.take_data(session, op_code, data, reliable);
        return Ok(Reply::NONE);
    }
    let stream = id.stream();
    let receivers = receivers(&presences).ok_or(Refusal::DROPPED)?;
    if cx.tracker.get(session.id, &stream, session.user_id()).is_none() {
        return Err(Refusal::DROPPED);
    }
    let presence = Some(shown(session));
    let data = MatchData { match_id, presence, op_code, data, reliable };
    let envelope = Envelope { cid: String::new(), message: Some(Message::MatchData(data)) };
    // Who sends gets no echo, unless it names itself.
    cx.tracker.send_if(&stream, &envelope, |member| match receivers.as_slice() {
        [] => member.session.id != session.id,
        named => named.contains(&member.session.id),
    });
    Ok(Reply::NONE)
}

/// The sessions that data is for, nobody for all others; `None` where one of the presences is none.
fn receivers(presences: &[UserPresence]) -> Option<Vec<Uuid>> {
    let receiver = |presence: &UserPresence| {
        Uuid::try_parse(&presence.user_id).ok()?;
        Uuid::try_parse(&presence.session_id).ok()
    };
    presences.iter().map(receiver).collect()
}

/// A relayed match as a session that is in it sees it, with the size that the presences give.
fn relayed(match_id: String, session: &Session, presences: Vec<UserPresence>) -> realtime::Match {
    realtime::Match {
        match_id,
        authoritative: false,
        label: None,
        size: count(presences.len()),
        presences,
        self_: Some(shown(session)),
    }
}

/// Who is present besides a session that has just come; to one that was there before, all.
fn others(
    stream: &Stream,
    present: &[Presence],
    session: &Session,
    tracked: Tracked,
) -> Vec<UserPresence> {
    let me = |presence: &Presence| {
        presence.session.id == session.id && presence.user_id == session.user_id()
    };
    let others = present.iter().filter(|presence| tracked != Tracked::New || !me(presence));
    others.map(|presence| presence.to_wire(stream)).collect()
}

/// Shows who is on a stream to `answer`. What changes from here on is told behind what is answered.
fn view<T>(cx: &Cx, stream: &Stream, answer: impl FnOnce(&[Presence]) -> T) -> T {
    cx.tracker.view(stream, |present| {
        let present: Vec<Presence> =
            present.filter(|presence| !presence.meta.hidden).cloned().collect();
        answer(&present)
    })
}

/// A session as other members of a match see it.
fn shown(session: &Session) -> UserPresence {
    UserPresence {
        user_id: session.user_id().to_string(),
        session_id: session.id.to_string(),
        username: session.username.to_string(),
        ..UserPresence::default()
    }
}

/// A number of members, for the wire.
fn count(members: usize) -> i32 {
    i32::try_from(members).unwrap_or(i32::MAX)
}
