//! Chat: entering and leaving channels, and saying something there.
//!
//! Who may be in a channel is asked of the database before a session becomes present; whatever takes
//! that right away ends the presence after it is written ([`Cx::expel`], [`Cx::empty_channel`]). Each
//! counts in [`Tracker::expulsions`], so that one that comes between the question and the presence is
//! seen and the question asked again.
//!
//! [`Tracker::expulsions`]: super::tracker::Tracker::expulsions

use guildhall_core::{Error, Result, Status, json};
use guildhall_proto::realtime::{self, ChannelMessageAck, envelope::Message as Wire};
use serde_json::json;
use uuid::Uuid;

use super::{
    session::ErrorCode,
    tracker::{Meta, Presence, Tracked},
};
use crate::{
    cx::Cx,
    envelope::{Handled, Incoming, Refusal},
    resources::{
        channel_message::{self, Channel, ChannelKind, Kind, MESSAGE_NOT_FOUND, Message},
        notification::{self, Draft},
    },
    socket_messages,
};

socket_messages! {
    /// Enters a room, the channel of a group or the one with another user, who is told of it.
    ChannelJoin(realtime::ChannelJoin) => join;
    /// Leaves a channel; where the session is in none, nothing changes.
    ChannelLeave(realtime::ChannelLeave) => leave;
    /// Says something in a channel.
    ChannelMessageSend(realtime::ChannelMessageSend) => send;
    /// Changes what the sender said.
    ChannelMessageUpdate(realtime::ChannelMessageUpdate) => update;
    /// Takes back what the sender said.
    ChannelMessageRemove(realtime::ChannelMessageRemove) => remove;
}

const INVALID_TARGET: Refusal = bad_input("Invalid channel target");
const INVALID_TYPE: Refusal = bad_input("Invalid channel type");
const INVALID_CHANNEL: Refusal = bad_input("Invalid channel identifier");
const INVALID_MESSAGE: Refusal = bad_input("Invalid message identifier");
const INVALID_CONTENT: Refusal = bad_input("Message content must be a valid JSON object");
const NOT_JOINED: Refusal = Refusal::new(ErrorCode::RuntimeException, "Error joining channel");

/// The code of the notification that somebody entered the direct channel with a user.
const WANTS_TO_CHAT: i32 = -1;

const fn bad_input(message: &'static str) -> Refusal {
    Refusal::new(ErrorCode::BadInput, message)
}

/// What is said where something cannot be done in a channel.
struct Sentences {
    not_present: Refusal,
    not_found: Refusal,
    not_stored: &'static str,
}

const SENDING: Sentences = Sentences {
    not_present: bad_input("Must join channel before sending messages"),
    // A message that is new is not looked for.
    not_found: INVALID_MESSAGE,
    not_stored: "Could not persist message to channel history",
};

const UPDATING: Sentences = Sentences {
    not_present: bad_input("Must join channel before updating messages"),
    not_found: bad_input("Could not find message to update in channel history"),
    not_stored: "Could not persist message update to channel history",
};

const REMOVING: Sentences = Sentences {
    not_present: bad_input("Must join channel before removing messages"),
    not_found: bad_input("Could not find message to remove in channel history"),
    not_stored: "Could not persist message remove to channel history",
};

async fn join(incoming: Incoming<'_>, request: realtime::ChannelJoin) -> Handled {
    let Incoming { cx, session, .. } = incoming;
    incoming.may_enter()?;
    let user = session.user_id();
    let expulsions = cx.tracker.expulsions();
    let channel = reach(cx, user, &request).await?;
    let stream = channel.stream();
    let meta = Meta {
        hidden: request.hidden.unwrap_or(false),
        persistence: request.persistence.unwrap_or(true),
        ..Meta::default()
    };
    let persistence = meta.persistence;
    let is_new = match cx.tracker.track(session, stream, user, meta) {
        Tracked::New => true,
        Tracked::Before => false,
        Tracked::Ended => return Err(NOT_JOINED),
    };
    if is_new
        && cx.tracker.expulsions() != expulsions
        && let Err(refusal) = reach(cx, user, &request).await
    {
        cx.tracker.untrack(session, stream, user);
        return Err(refusal);
    }
    cx.relieve_tracker();
    if is_new && channel.kind() == ChannelKind::Direct {
        call_other(cx, &channel, user, &session.username).await;
    }
    let [room_name, group_id, user_id_one, user_id_two] = stream.channel_names();
    let shown = |presence: &&Presence| {
        let comes = is_new && presence.session.id == session.id && presence.user_id == user;
        !presence.meta.hidden && !comes
    };
    // What changes from here on is told behind the answer.
    Ok(cx.tracker.view(stream, |present| {
        incoming.reply(Wire::Channel(realtime::Channel {
            id: stream.channel_id(),
            presences: present.filter(shown).map(|presence| presence.to_wire(stream)).collect(),
            self_: Some(realtime::UserPresence {
                user_id: user.to_string(),
                session_id: session.id.to_string(),
                username: session.username.to_string(),
                persistence,
                status: None,
            }),
            room_name,
            group_id,
            user_id_one,
            user_id_two,
        }))
    }))
}

/// The channel that a user asks to enter.
async fn reach(cx: &Cx, user: Uuid, request: &realtime::ChannelJoin) -> Result<Channel, Refusal> {
    if request.target.is_empty() {
        return Err(INVALID_TARGET);
    }
    let kind = match request.r#type {
        0 => ChannelKind::Room,
        number => ChannelKind::from_number(number).ok_or(INVALID_TYPE)?,
    };
    channel_message::build(cx, user, &request.target, kind).await.map_err(|error| match error {
        Error::Status(status) => Refusal::of(ErrorCode::BadInput, status.message),
        fault => fault.into(),
    })
}

/// Tells the other user of a direct channel that `user` is there, unless the other one can see it.
async fn call_other(cx: &Cx, channel: &Channel, user: Uuid, username: &str) {
    let stream = channel.stream();
    let other = if stream.subject == user { stream.subcontext } else { stream.subject };
    let sees = |presence: &Presence| !presence.meta.hidden && presence.user_id == other;
    if cx.tracker.view(stream, |mut present| Iterator::any(&mut present, sees)) {
        return;
    }
    let notification = Draft {
        user: other,
        subject: format!("{username} wants to chat"),
        // A map of texts always has a JSON text.
        content: json::to_text(&json!({ "username": username })).unwrap_or_default(),
        code: WANTS_TO_CHAT,
        sender: user,
        persistent: true,
    };
    match notification::send(cx, vec![notification]).await {
        // The account may have been deleted since the channel was reached.
        Err(error) if !notification::is_for_nobody(&error) => {
            tracing::error!(%error, "could not tell a user that another wants to chat");
        }
        _ => {}
    }
}

async fn leave(incoming: Incoming<'_>, request: realtime::ChannelLeave) -> Handled {
    let Incoming { cx, session, .. } = incoming;
    let channel = Channel::parse(&request.channel_id).ok_or(INVALID_CHANNEL)?;
    cx.tracker.untrack(session, channel.stream(), session.user_id());
    cx.relieve_tracker();
    Ok(incoming.acknowledge())
}

async fn send(incoming: Incoming<'_>, request: realtime::ChannelMessageSend) -> Handled {
    let realtime::ChannelMessageSend { channel_id, content } = request;
    let channel = Channel::parse(&channel_id).ok_or(INVALID_CHANNEL)?;
    check_content(&content)?;
    let persist = check_present(&incoming, &channel, SENDING)?;
    let message = said(&incoming, channel, Kind::Chat, content);
    let sent = channel_message::send(incoming.cx, message, persist).await;
    acknowledge(incoming, sent, channel_id, persist, SENDING)
}

async fn update(incoming: Incoming<'_>, request: realtime::ChannelMessageUpdate) -> Handled {
    let realtime::ChannelMessageUpdate { channel_id, message_id, content } = request;
    let id = Uuid::try_parse(&message_id).map_err(|_| INVALID_MESSAGE)?;
    let channel = Channel::parse(&channel_id).ok_or(INVALID_CHANNEL)?;
    check_content(&content)?;
    let persist = check_present(&incoming, &channel, UPDATING)?;
    let message = Message { id, ..said(&incoming, channel, Kind::Update, content) };
    let updated = channel_message::update(incoming.cx, message, persist).await;
    acknowledge(incoming, updated, channel_id, persist, UPDATING)
}

async fn remove(incoming: Incoming<'_>, request: realtime::ChannelMessageRemove) -> Handled {
    let realtime::ChannelMessageRemove { channel_id, message_id } = request;
    let id = Uuid::try_parse(&message_id).map_err(|_| INVALID_MESSAGE)?;
    let channel = Channel::parse(&channel_id).ok_or(INVALID_CHANNEL)?;
    let persist = check_present(&incoming, &channel, REMOVING)?;
    let message = Message { id, ..said(&incoming, channel, Kind::Remove, "{}".to_owned()) };
    let removed = channel_message::remove(incoming.cx, message, persist).await;
    acknowledge(incoming, removed, channel_id, persist, REMOVING)
}

fn check_content(content: &str) -> Result<(), Refusal> {
    if json::is_object(content) { Ok(()) } else { Err(INVALID_CONTENT) }
}

/// Whether what the session says in a channel is kept, as it asked when it entered.
fn check_present(
    incoming: &Incoming<'_>,
    channel: &Channel,
    sentences: Sentences,
) -> Result<bool, Refusal> {
    let Incoming { cx, session, .. } = incoming;
    let meta = cx.tracker.get(session.id, channel.stream(), session.user_id());
    Ok(meta.ok_or(sentences.not_present)?.persistence)
}

/// A message of the session, as of now.
fn said(incoming: &Incoming<'_>, channel: Channel, kind: Kind, content: String) -> Message {
    let session = incoming.session;
    Message::new(channel, kind, session.user_id(), session.username.to_string(), content)
}

/// Tells the sender what became of a message, which it has got as all who are in the channel.
fn acknowledge(
    incoming: Incoming<'_>,
    done: Result<Message>,
    channel_id: String,
    persistent: bool,
    sentences: Sentences,
) -> Handled {
    let message = match done {
        Ok(message) => message,
        Err(Error::Status(Status { code, .. })) if code == MESSAGE_NOT_FOUND.code => {
            return Err(sentences.not_found);
        }
        Err(Error::Fault(mut fault)) => {
            fault.message = sentences.not_stored.into();
            return Err(Error::Fault(fault).into());
        }
        Err(refused) => return Err(refused.into()),
    };
    let [room_name, group_id, user_id_one, user_id_two] = message.channel.stream().channel_names();
    Ok(incoming.reply(Wire::ChannelMessageAck(ChannelMessageAck {
        channel_id,
        message_id: message.id.to_string(),
        code: Some(message.kind as i32),
        username: message.username,
        create_time: Some(message.create_time.into()),
        update_time: Some(message.update_time.into()),
        persistent: Some(persistent),
        room_name,
        group_id,
        user_id_one,
        user_id_two,
    })))
}

impl Cx {
    /// Puts users out of a channel that they may be in no longer: those who stay see them leave. To be
    /// called after the right is gone, or who enters meanwhile would stay.
    pub fn expel(&self, channel: &Channel, users: &[Uuid]) {
        self.tracker.count_expulsion();
        let stream = channel.stream();
        let expelled = |presence: &Presence| users.contains(&presence.user_id);
        for presence in self.tracker.list(stream, true, true).into_iter().filter(expelled) {
            self.tracker.untrack(&presence.session, stream, presence.user_id);
        }
        self.relieve_tracker();
    }

    /// Puts everybody out of a channel, of which nobody is told; as [`expel`](Self::expel), after
    /// the right to be there is gone.
    pub fn empty_channel(&self, channel: &Channel) {
        self.tracker.count_expulsion();
        self.tracker.untrack_stream(channel.stream());
    }
}

#[cfg(test)]
mod tests;
