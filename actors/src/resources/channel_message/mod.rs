//! Channel messages: what is said in rooms, in groups and between two users, and its history.

pub mod nk;

use std::fmt;

use chrono::{DateTime, Utc};
use guildhall_core::{Caller, Code, Cursor, Error, OrFault, Result, Status};
use guildhall_proto::api::{self, ChannelMessageList, ListChannelMessagesRequest};
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{
    cx::Cx,
    database::{DbError, Params, Sql},
    endpoint::Body,
    endpoints,
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

/// The longest name of a room, in bytes.
const MAX_ROOM_LENGTH: usize = 64;

/// A channel, as its id names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Channel {
    /// A room that anyone may enter, by its name.
    Room(String),
    /// The members of a group.
    Group(Uuid),
    /// Two users, the smaller id first.
    Direct(Uuid, Uuid),
}

/// The kind of a channel, as clients number it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as those of `Channel`")]
pub enum ChannelKind {
    Room,
    Direct,
    Group,
}

/// Where messages of a channel stand in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream<'a> {
    /// 2 room, 3 group, 4 direct.
    pub mode: i16,
    /// The group, or the first user.
    pub subject: Uuid,
    /// The second user.
    pub descriptor: Uuid,
    /// The name of the room.
    pub label: &'a str,
}

impl Channel {
    /// The channel that an id names; `None` where it is no id.
    pub fn parse(id: &str) -> Option<Self> {
        let mut parts = id.splitn(4, '.');
        let parts = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
        let uuid = |text: &str| match text {
            "" => Some(Uuid::nil()),
            text => Uuid::try_parse(text).ok(),
        };
        match parts {
            ["2", "", "", name] if (1..=MAX_ROOM_LENGTH).contains(&name.len()) => {
                Some(Self::Room(name.to_owned()))
            }
            ["3", group, "", ""] => Some(Self::Group(uuid(group)?)),
            ["4", one, two, ""] => Some(Self::Direct(uuid(one)?, uuid(two)?)),
            _ => None,
        }
    }

    /// The channel between two users.
    pub fn direct(one: Uuid, two: Uuid) -> Self {
        Self::Direct(one.min(two), one.max(two))
    }

    /// Where its messages stand.
    pub fn stream(&self) -> Stream<'_> {
        let nil = Uuid::nil();
        let (mode, subject, descriptor, label) = match self {
            Self::Room(name) => (2, nil, nil, name.as_str()),
            Self::Group(group) => (3, *group, nil, ""),
            Self::Direct(one, two) => (4, *one, *two, ""),
        };
        Stream { mode, subject, descriptor, label }
    }

    fn of(row: &Row) -> Result<Option<Self>, DbError> {
        let (one, two) = (row.try_get("stream_subject")?, row.try_get("stream_descriptor")?);
        Ok(match row.try_get::<_, i16>("stream_mode")? {
            2 => Some(Self::Room(row.try_get("stream_label")?)),
            3 => Some(Self::Group(one)),
            4 => Some(Self::Direct(one, two)),
            _ => None,
        })
    }
}

/// The id of the channel.
impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stream { mode, subject, descriptor, label } = self.stream();
        let text = |id: Uuid| if id.is_nil() { String::new() } else { id.to_string() };
        write!(f, "{mode}.{}.{}.{label}", text(subject), text(descriptor))
    }
}

/// The channel of this kind that `user` reaches by `target`: the name of a room, the id of a user
/// or of a group. The system user reaches every group and user.
///
/// # Errors
/// `InvalidArgument` for a target that is none: malformed, a user that is not there or blocks this
/// one, a group that this user is no member of.
pub async fn build(cx: &Cx, user: Uuid, target: &str, kind: ChannelKind) -> Result<Channel> {
    let refused = |problem: &str| -> Error {
        Status::of(Code::InvalidArgument, format!("{problem}: Invalid channel target")).into()
    };
    if target.is_empty() {
        return Err(Status::new(Code::InvalidArgument, "Invalid channel target").into());
    }
    match kind {
        ChannelKind::Room if target.len() > MAX_ROOM_LENGTH => {
            Err(refused("Channel name is required and must be 1-64 chars"))
        }
        ChannelKind::Room if target.bytes().any(|byte| byte.is_ascii_control()) => {
            Err(refused("Channel name must not contain control chars"))
        }
        ChannelKind::Room => Ok(Channel::Room(target.to_owned())),
        ChannelKind::Direct => {
            let other = Uuid::try_parse(target).ok().filter(|other| !other.is_nil());
            let other = other.ok_or_else(|| refused("Invalid user ID in direct message join"))?;
            if !user.is_nil() {
                let found = cx.db.opt(REACHABLE, &[&other, &user]).await;
                found
                    .or_fault("Failed to look up user ID")?
                    .ok_or_else(|| refused("User ID not found"))?;
            }
            Ok(Channel::direct(user, other))
        }
        ChannelKind::Group => {
            let group = Uuid::try_parse(target).ok();
            let group = group.ok_or_else(|| refused("Invalid group ID in group channel join"))?;
            if !user.is_nil() {
                let found = cx.db.opt(MEMBER, &[&group, &user]).await;
                found
                    .or_fault("Failed to look up group membership")?
                    .ok_or_else(|| refused("Group not found"))?;
            }
            Ok(Channel::Group(group))
        }
    }
}

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
}

/// Puts a message into the history of its channel.
///
/// # Errors
/// A fault of the database, such as for a sender that does not exist.
pub async fn store(sql: &impl Sql, message: &Message) -> Result<()> {
    store_all(sql, std::slice::from_ref(message)).await
}

/// Puts messages into the histories of their channels, all of them or none.
///
/// # Errors
/// As [`store`].
pub async fn store_all(sql: &impl Sql, messages: &[Message]) -> Result<()> {
    if messages.is_empty() {
        return Ok(());
    }
    fn column<'a, T>(messages: &'a [Message], field: impl Fn(&'a Message) -> T) -> Vec<T> {
        messages.iter().map(field).collect()
    }
    let done = sql
        .execute(
            INSERT,
            &[
                &column(messages, |it| it.id),
                &column(messages, |it| it.kind as i16),
                &column(messages, |it| it.sender),
                &column(messages, |it| it.username.as_str()),
                &column(messages, |it| it.channel.stream().mode),
                &column(messages, |it| it.channel.stream().subject),
                &column(messages, |it| it.channel.stream().descriptor),
                &column(messages, |it| it.channel.stream().label),
                &column(messages, |it| it.content.as_str()),
                &column(messages, |it| it.create_time),
            ],
        )
        .await;
    done.or_fault(STORING).map(drop)
}

/// Says something in a channel, into its history or only to those who are there.
///
/// # Errors
/// As [`store`].
pub async fn send(cx: &Cx, message: Message, persist: bool) -> Result<Message> {
    if persist {
        store(&cx.db, &message).await?;
    }
    // Delivery to those who are in the channel joins here, also for `update` and `remove`.
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
    Ok(message)
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
    match channel {
        Channel::Group(group) => {
            let found = cx.db.opt(MEMBER, &[&group, &reader]).await.or_fault(LISTING)?;
            found.ok_or(GROUP_NOT_FOUND)?;
        }
        Channel::Direct(one, two) if ![one, two].contains(&reader) => {
            return Err(CHANNEL_NOT_FOUND.into());
        }
        Channel::Room(_) | Channel::Direct(..) => {}
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
    let Stream { mode, subject, descriptor, label } = channel.stream();
    let statement = if oldest_first { LIST_FORWARD } else { LIST_BACKWARD };
    let more = limit + 1;
    let params: Params<'_> = &[&mode, &subject, &descriptor, &label, &time, &id, &more];
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
    let mut message = api::ChannelMessage {
        channel_id,
        message_id: row.try_get::<_, Uuid>("id")?.to_string(),
        code: Some(i32::from(row.try_get::<_, i16>("code")?)),
        sender_id: row.try_get::<_, Uuid>("sender_id")?.to_string(),
        username: row.try_get("username")?,
        content: row.try_get("content")?,
        create_time: Some(row.try_get::<_, DateTime<Utc>>("create_time")?.into()),
        update_time: Some(row.try_get::<_, DateTime<Utc>>("update_time")?.into()),
        persistent: Some(true),
        ..api::ChannelMessage::default()
    };
    match channel {
        Channel::Room(name) => message.room_name = name.clone(),
        Channel::Group(group) => message.group_id = group.to_string(),
        Channel::Direct(one, two) => {
            message.user_id_one = one.to_string();
            message.user_id_two = two.to_string();
        }
    }
    Ok(message)
}

/// $1 user, $2 who asks. Gives a row if the user is there and does not block the other. Reads the
/// primary key of users, and user_edge_source_id_destination_id_key.
const REACHABLE: &str = "
    SELECT 1 FROM users u
     WHERE u.id = $1
       AND NOT EXISTS (SELECT 1 FROM user_edge e
                        WHERE e.source_id = $1 AND e.destination_id = $2 AND e.state = 3)";

/// $1 group, $2 user. Gives a row for a member: superadmin, admin or plain. Reads
/// group_edge_source_id_destination_id_key.
const MEMBER: &str =
    "SELECT 1 FROM group_edge WHERE source_id = $1 AND destination_id = $2 AND state <= 2";

/// $1 ids, $2 codes, $3 senders, $4 usernames, $5 modes, $6 subjects, $7 descriptors, $8 labels,
/// $9 contents, $10 times.
const INSERT: &str = "
    INSERT INTO message
           (id, code, sender_id, username, stream_mode, stream_subject, stream_descriptor,
            stream_label, content, create_time, update_time)
    SELECT id, code, sender_id, username, mode, subject, descriptor, label, content::jsonb, time,
           time
      FROM unnest($1::uuid[], $2::int2[], $3::uuid[], $4::text[], $5::int2[], $6::uuid[],
                  $7::uuid[], $8::text[], $9::text[], $10::timestamptz[])
           AS m (id, code, sender_id, username, mode, subject, descriptor, label, content, time)";

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

    const ANN: Uuid = Uuid::from_u128(0xa);
    const BOB: Uuid = Uuid::from_u128(0xb);

    #[test]
    fn an_id_names_a_channel_and_a_channel_its_id() {
        let (ann, bob) = (ANN.to_string(), BOB.to_string());
        for (id, channel) in [
            ("2...room".to_owned(), Channel::Room("room".into())),
            ("2...a.b..c".to_owned(), Channel::Room("a.b..c".into())),
            (format!("3.{ann}.."), Channel::Group(ANN)),
            ("3...".to_owned(), Channel::Group(Uuid::nil())),
            (format!("4.{ann}.{bob}."), Channel::direct(BOB, ANN)),
            (format!("4..{bob}."), Channel::direct(BOB, Uuid::nil())),
        ] {
            assert_eq!(Channel::parse(&id), Some(channel.clone()), "{id}");
            assert_eq!(channel.to_string(), id);
        }
    }

    #[test]
    fn other_texts_name_no_channel() {
        let ann = ANN.to_string();
        let long = format!("2...{}", "x".repeat(65));
        for id in [
            "",
            "2",
            "2..",
            "2...",
            "1...room",
            "2.x..room",
            "2..x.room",
            "3.x..",
            "4.x.y.",
            &long,
            &format!("3.{ann}..label"),
            &format!("3.{ann}.{ann}."),
            &format!("4.{ann}.{ann}.label"),
        ] {
            assert_eq!(Channel::parse(id), None, "{id}");
        }
    }

    #[test]
    fn a_cursor_is_of_one_channel_and_direction() {
        let room = Channel::Room("room".into());
        let place = Place { channel: room.clone(), forward: true, next: true, time_us: 1, id: ANN };
        let text = place.encode();
        assert_eq!(Place::in_list(&text, &room, true), Some(place));
        assert_eq!(Place::in_list(&text, &room, false), None);
        assert_eq!(Place::in_list(&text, &Channel::Room("other".into()), true), None);
    }
}
