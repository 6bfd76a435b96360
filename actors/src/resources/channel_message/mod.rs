//! Channel messages: what is said in rooms, in groups and between two users, and its history.
//!
//! A message goes into the history first, if it is to be kept, and then to those who are in the
//! channel.

mod channel;
pub mod nk;
mod store;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use guildhall_core::{Caller, Code, Cursor, Error, OrFault, Result, Status};
use guildhall_proto::{
    api::{self, ChannelMessageList, ListChannelMessagesRequest},
    realtime::{self, Envelope},
};
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use uuid::Uuid;

use self::channel::MEMBER;
pub use self::{
    channel::{Channel, ChannelKind, build},
    store::{Batches, store_all},
};
use crate::{
    cx::Cx,
    database::{DbError, Params, Sql},
    endpoint::Body,
    endpoints,
    realtime::stream::Stream,
};

endpoints! {
    /// A page of the messages of a channel, for those who may read it.
    Get "/v2/channel/{channel_id}" => ListChannelMessages(ListChannelMessagesRequest)
        -> ChannelMessageList { auth: Session, body: Body::None, handle: list_channel_messages }
}

const INVALID_CHANNEL: Status = Status::new(Code::InvalidArgument, "Invalid channel ID.");
const INVALID_LIMIT: Status =
    Status::new(Code::InvalidArgument, "Invalid limit - limit must be between 1 and 100.");
const INVALID_CURSOR: Status = Status::new(Code::InvalidArgument, "Cursor is invalid or expired.");
const GROUP_NOT_FOUND: Status = Status::new(Code::InvalidArgument, "Group not found.");
const CHANNEL_NOT_FOUND: Status = Status::new(Code::InvalidArgument, "Channel not found.");

/// A message to be changed or removed is not there, or is another sender's.
pub const MESSAGE_NOT_FOUND: Status = Status::new(Code::NotFound, "channel message not found");

const LISTING: &str = "Error listing messages from channel.";
const STORING: &str = "error persisting channel message";

/// What a message says beside its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the API's")]
pub enum Kind {
    Chat = 0,
    Update = 1,
    Remove = 2,
    GroupJoin = 3,
    GroupAdd = 4,
    GroupLeave = 5,
    GroupKick = 6,
    GroupPromote = 7,
    GroupBan = 8,
    GroupDemote = 9,
}

/// A message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its id.
    pub id: Uuid,
    /// Where it is said.
    pub channel: Channel,
    /// What it says beside its content.
    pub kind: Kind,
    /// Who says it; the nil id for the system.
    pub sender: Uuid,
    /// The sender's name at that time.
    pub username: String,
    /// JSON text of an object.
    pub content: String,
    /// When it was made.
    pub create_time: DateTime<Utc>,
    /// When it was changed.
    pub update_time: DateTime<Utc>,
}

impl Message {
    /// A new message, as of now.
    pub fn new(
        channel: Channel,
        kind: Kind,
        sender: Uuid,
        username: String,
        content: String,
    ) -> Self {
        let now = Utc::now();
        // As fine as the database keeps it.
        let now = DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now);
        let id = Uuid::new_v4();
        Self { id, channel, kind, sender, username, content, create_time: now, update_time: now }
    }

    /// As clients see it.
    fn wire(&self, persistent: bool) -> api::ChannelMessage {
        let stream = self.channel.stream();
        let [room_name, group_id, user_id_one, user_id_two] = stream.channel_names();
        api::ChannelMessage {
            channel_id: stream.channel_id(),
            message_id: self.id.to_string(),
            code: Some(self.kind as i32),
            sender_id: self.sender.to_string(),
            username: self.username.clone(),
            content: self.content.clone(),
            create_time: Some(self.create_time.into()),
            update_time: Some(self.update_time.into()),
            persistent: Some(persistent),
            room_name,
            group_id,
            user_id_one,
            user_id_two,
        }
    }
}

/// Says something in a channel, into its history or only to those who are there.
///
/// # Errors
/// A fault of the database, such as for a sender that does not exist.
pub async fn send(cx: &Cx, message: Message, persist: bool) -> Result<Message> {
    let message = if persist {
        let message = Arc::new(message);
        cx.batches.channel_message.store(&cx.db, &message).await?;
        Arc::unwrap_or_clone(message)
    } else {
        message
    };
    deliver(cx, &message, persist);
    Ok(message)
}

/// Changes what was said: `message` carries the id of the message and its new content. Without
/// `persist`, the history stays and those who are there see the change.
///
/// # Errors
/// [`MESSAGE_NOT_FOUND`], also for a message of another sender.
pub async fn update(cx: &Cx, mut message: Message, persist: bool) -> Result<Message> {
    if persist {
        let Message { id, sender, username, content, update_time, .. } = &message;
        let row = cx.db.opt(UPDATE, &[id, sender, content, username, update_time]).await;
        let row = row.or_fault(STORING)?.ok_or(MESSAGE_NOT_FOUND)?;
        message.create_time = row.try_get("create_time").or_fault(STORING)?;
    }
    deliver(cx, &message, persist);
    Ok(message)
}

/// Takes back what was said, as [`update`] changes it.
///
/// # Errors
/// As [`update`].
pub async fn remove(cx: &Cx, mut message: Message, persist: bool) -> Result<Message> {
    if persist {
        let row = cx.db.opt(DELETE, &[&message.id, &message.sender]).await;
        let row = row.or_fault(STORING)?.ok_or(MESSAGE_NOT_FOUND)?;
        message.create_time = row.try_get("create_time").or_fault(STORING)?;
        message.update_time = row.try_get("update_time").or_fault(STORING)?;
    }
    deliver(cx, &message, persist);
    Ok(message)
}

/// Shows a message to those who are in its channel; `persistent` says whether the history has it.
pub(super) fn deliver(cx: &Cx, message: &Message, persistent: bool) {
    let stream = message.channel.stream();
    if cx.tracker.exists(stream) {
        let message = Some(realtime::envelope::Message::ChannelMessage(message.wire(persistent)));
        cx.tracker.send(stream, &Envelope { cid: String::new(), message });
    }
}

/// All messages of a sender, the oldest first.
///
/// # Errors
/// A fault of the database.
pub async fn sent_by(sql: &impl Sql, user: Uuid) -> Result<Vec<api::ChannelMessage>> {
    let rows = sql.query(SENT, &[&user]).await.or_fault(LISTING)?;
    let mut messages = Vec::with_capacity(rows.len());
    for row in &rows {
        if let Some(channel) = Channel::of(row).or_fault(LISTING)? {
            messages.push(read(row, &channel, channel.to_string()).or_fault(LISTING)?);
        }
    }
    Ok(messages)
}

async fn list_channel_messages(
    cx: &Cx,
    caller: &mut Caller,
    request: ListChannelMessagesRequest,
) -> Result<ChannelMessageList> {
    let ListChannelMessagesRequest { channel_id, limit, forward, cursor } = request;
    if channel_id.is_empty() {
        return Err(INVALID_CHANNEL.into());
    }
    let limit = match limit {
        None => 1,
        Some(limit @ 1..=100) => i64::from(limit),
        Some(_) => return Err(INVALID_LIMIT.into()),
    };
    let forward = forward.unwrap_or(true);
    let channel = Channel::parse(&channel_id).ok_or(INVALID_CHANNEL)?;
    let from = match cursor.as_str() {
        "" => None,
        text => Some(Place::in_list(text, &channel, forward).ok_or(INVALID_CURSOR)?),
    };
    let reader = caller.user_id();
    let stream = channel.stream();
    match channel.kind() {
        ChannelKind::Group => {
            let found = cx.db.opt(MEMBER, &[&stream.subject, &reader]).await.or_fault(LISTING)?;
            found.ok_or(GROUP_NOT_FOUND)?;
        }
        ChannelKind::Direct if ![stream.subject, stream.subcontext].contains(&reader) => {
            return Err(CHANNEL_NOT_FOUND.into());
        }
        ChannelKind::Room | ChannelKind::Direct => {}
    }
    let Page { messages, next, previous, cacheable } =
        list(cx, &channel, limit, forward, from).await?;
    let shown = messages.into_iter().map(|message| api::ChannelMessage {
        // As the client wrote it.
        channel_id: channel_id.clone(),
        ..message
    });
    let text = |place: Option<Place>| place.map_or_else(String::new, |place| place.encode());
    Ok(ChannelMessageList {
        messages: shown.collect(),
        next_cursor: text(next),
        prev_cursor: text(previous),
        cacheable_cursor: text(cacheable),
    })
}

/// A place in the history of a channel, and which way the list goes that it is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    channel: Channel,
    forward: bool,
    /// Whether it leads on in the direction of the list, or back.
    next: bool,
    time_us: i64,
    id: Uuid,
}

impl Cursor for Place {
    const LIST: &'static str = "channel_messages";
}

impl Place {
    /// The place that `text` stands for, if it is one of this channel and direction.
    pub fn in_list(text: &str, channel: &Channel, forward: bool) -> Option<Self> {
        Self::decode(text).filter(|place| place.channel == *channel && place.forward == forward)
    }
}

/// A page of the history of a channel.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The messages in the order of the list.
    pub messages: Vec<api::ChannelMessage>,
    /// Leads on, if there is more.
    pub next: Option<Place>,
    /// Leads back, if this is not the first page.
    pub previous: Option<Place>,
    /// Leads forward from the last message shown, now or later.
    pub cacheable: Option<Place>,
}

/// Up to `limit` messages of a channel, the oldest first where `forward`; `from` is of this channel
/// and direction.
///
/// # Errors
/// A fault of the database.
pub async fn list(
    cx: &Cx,
    channel: &Channel,
    limit: i64,
    forward: bool,
    from: Option<Place>,
) -> Result<Page> {
    let back = from.as_ref().is_some_and(|place| !place.next);
    let oldest_first = forward != back;
    let (time, id) = match &from {
        Some(place) => (DateTime::from_timestamp_micros(place.time_us), place.id),
        // Before or behind every message.
        None if oldest_first => (Some(DateTime::UNIX_EPOCH), Uuid::nil()),
        None => (DateTime::from_timestamp(253_402_300_799, 0), Uuid::max()),
    };
    let time = time.ok_or("a cursor beyond the end of time").or_fault(LISTING)?;
    let Stream { mode, subject, subcontext, label } = channel.stream();
    let (mode, label) = (i16::from(*mode), &**label);
    let statement = if oldest_first { LIST_FORWARD } else { LIST_BACKWARD };
    let more = limit + 1;
    let params: Params<'_> = &[&mode, subject, subcontext, &label, &time, &id, &more];
    let rows = cx.db.query(statement, params).await.or_fault(LISTING)?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX).min(rows.len());

    let place = |row: &Row, next: bool| -> Result<Place> {
        let time: DateTime<Utc> = row.try_get("create_time").or_fault(LISTING)?;
        Ok(Place {
            channel: channel.clone(),
            forward,
            next,
            time_us: time.timestamp_micros(),
            id: row.try_get("id").or_fault(LISTING)?,
        })
    };
    let channel_id = channel.to_string();
    let mut messages = Vec::with_capacity(shown);
    for row in &rows[..shown] {
        messages.push(read(row, channel, channel_id.clone()).or_fault(LISTING)?);
    }
    // As read: what lies ahead of the last row, and what lies behind the first.
    let ahead = match rows[..shown].last() {
        Some(row) if rows.len() > shown => Some(place(row, !back)?),
        _ => None,
    };
    let behind = match rows[..shown].first() {
        Some(row) if from.is_some() => Some(place(row, back)?),
        _ => None,
    };
    let last = if back { rows[..shown].first() } else { rows[..shown].last() };
    let cacheable = match last {
        Some(row) => Some(Place { forward: true, ..place(row, true)? }),
        // Nothing new: the place stays good, but always leads forward.
        None if forward => from,
        None => from.map(|place| Place { forward: true, next: true, ..place }),
    };
    let (next, previous) = if back { (behind, ahead) } else { (ahead, behind) };
    if back {
        messages.reverse();
    }
    Ok(Page { messages, next, previous, cacheable })
}

fn read(row: &Row, channel: &Channel, channel_id: String) -> Result<api::ChannelMessage, DbError> {
    let [room_name, group_id, user_id_one, user_id_two] = channel.stream().channel_names();
    Ok(api::ChannelMessage {
        channel_id,
        message_id: row.try_get::<_, Uuid>("id")?.to_string(),
        code: Some(i32::from(row.try_get::<_, i16>("code")?)),
        sender_id: row.try_get::<_, Uuid>("sender_id")?.to_string(),
        username: row.try_get("username")?,
        content: row.try_get("content")?,
        create_time: Some(row.try_get::<_, DateTime<Utc>>("create_time")?.into()),
        update_time: Some(row.try_get::<_, DateTime<Utc>>("update_time")?.into()),
        persistent: Some(true),
        room_name,
        group_id,
        user_id_one,
        user_id_two,
    })
}

/// $1 message, $2 sender, $3 content, $4 username, $5 time. Reads message_sender_id_id_key.
const UPDATE: &str = "
    UPDATE message SET content = $3::text::jsonb, username = $4, update_time = $5
     WHERE id = $1 AND sender_id = $2
    RETURNING create_time";

/// $1 message, $2 sender. Reads message_sender_id_id_key.
const DELETE: &str = "
    DELETE FROM message WHERE id = $1 AND sender_id = $2 RETURNING create_time, update_time";

/// $1 sender. Reads message_sender_id_id_key.
const SENT: &str = "
    SELECT id, code, sender_id, username, stream_mode, stream_subject, stream_descriptor,
           stream_label, content::text AS content, create_time, update_time
      FROM message
     WHERE sender_id = $1
     ORDER BY create_time, id";

/// $1 mode, $2 subject, $3 descriptor, $4 label, ($5, $6) the place to begin behind, $7 rows.
/// Reads the primary key.
const LIST_FORWARD: &str = "
    SELECT id, code, sender_id, username, content::text AS content, create_time, update_time
      FROM message
     WHERE stream_mode = $1 AND stream_subject = $2 AND stream_descriptor = $3
       AND stream_label = $4 AND (create_time, id) > ($5, $6)
     ORDER BY create_time, id
     LIMIT $7";

/// As [`LIST_FORWARD`], the other way.
const LIST_BACKWARD: &str = "
    SELECT id, code, sender_id, username, content::text AS content, create_time, update_time
      FROM message
     WHERE stream_mode = $1 AND stream_subject = $2 AND stream_descriptor = $3
       AND stream_label = $4 AND (create_time, id) < ($5, $6)
     ORDER BY create_time DESC, id DESC
     LIMIT $7";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_of_one_channel_and_direction() {
        let room = Channel::room("room");
        let place =
            Place { channel: room.clone(), forward: true, next: true, time_us: 1, id: Uuid::nil() };
        let text = place.encode();
        assert_eq!(Place::in_list(&text, &room, true), Some(place));
        assert_eq!(Place::in_list(&text, &room, false), None);
        assert_eq!(Place::in_list(&text, &Channel::room("other"), true), None);
    }
}
