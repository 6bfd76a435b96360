//! The host functions.

use schemars::JsonSchema;
use serde_json::{Map, Value};

use super::*;
use crate::{
    host::{HostFn, Language, Origin, Returns, defaults},
    resources::{object_text, raised, raised_plainly},
};

const CHANNEL: Status = Status::new(Code::InvalidArgument, "invalid channel id");
const KIND: Status = Status::new(Code::InvalidArgument, "invalid channel type: expects value 1-3");
const SENDER: Status =
    Status::new(Code::InvalidArgument, "expects sender id to be a valid identifier");
const CONTENT: Status =
    Status::new(Code::InvalidArgument, "expects message content to be a valid JSON object");
const LIMIT: Status = Status::new(Code::InvalidArgument, "limit must be 1-100");
const CURSOR: Status =
    Status::new(Code::InvalidArgument, "failed to list channel messages: invalid channel cursor");

/// The sender that a module names: nobody is the system. JavaScript must leave it out for
/// that, other languages may give an empty text as well, as in the reference.
fn sender(origin: Origin<'_>, id: Option<&str>) -> Result<Uuid, Status> {
    match id {
        None => Ok(Uuid::nil()),
        Some("") if origin.language != Language::JavaScript => Ok(Uuid::nil()),
        Some(id) => Uuid::try_parse(id).map_err(|_| SENDER),
    }
}

fn content(origin: Origin<'_>, content: Option<&Value>) -> Result<String, Status> {
    match content {
        None => Ok("{}".to_owned()),
        Some(content) => {
            object_text(origin, content).filter(|text| text.starts_with('{')).ok_or(CONTENT)
        }
    }
}

/// Whether the history is to know, where a module does not say.
fn persists(origin: Origin<'_>, persist: Option<bool>) -> bool {
    persist.unwrap_or(origin.language == Language::JavaScript)
}

/// What a module learns of a message that it sent, changed or removed. The names are so in
/// every language; JavaScript gets two values in objects. Both as in the reference.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "ChannelMessageSendAck")]
#[serde(rename_all = "camelCase")]
pub struct Ack {
    channel_id: String,
    message_id: Uuid,
    /// 0 chat, 1 update, 2 remove.
    #[schemars(with = "Boxed<i32>")]
    code: Held<i32>,
    username: String,
    /// Unix seconds.
    create_time: i64,
    /// Unix seconds.
    update_time: i64,
    /// Whether the history knows.
    #[schemars(with = "Boxed<bool>")]
    persistent: Held<bool>,
}

/// A value, in JavaScript below the name `Value`.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Held<T> {
    /// Elsewhere.
    Plain(T),
    /// In JavaScript.
    Boxed(Boxed<T>),
}

/// A value below a name.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(inline)]
pub struct Boxed<T> {
    #[serde(rename = "Value")]
    value: T,
}

fn held<T>(origin: Origin<'_>, value: T) -> Held<T> {
    match origin.language {
        Language::JavaScript => Held::Boxed(Boxed { value }),
        Language::Lua | Language::Native => Held::Plain(value),
    }
}

fn ack(origin: Origin<'_>, channel_id: String, message: Message, persistent: bool) -> Ack {
    Ack {
        channel_id,
        message_id: message.id,
        code: held(origin, message.kind as i32),
        username: message.username,
        create_time: message.create_time.timestamp(),
        update_time: message.update_time.timestamp(),
        persistent: held(origin, persistent),
    }
}

/// `nk.channel_id_build(sender_id, target, channel_type)`: the id of a channel.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ChannelIdBuild {
    /// Who is to reach it; the system if not given. Must not be empty in JavaScript.
    #[serde(default)]
    sender_id: Option<String>,
    /// The name of a room, the id of a user or of a group.
    target: String,
    /// 1 room, 2 direct, 3 group.
    channel_type: i32,
}

impl HostFn for ChannelIdBuild {
    const NAME: &'static str = "channel_id_build";
    type Output = String;
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<String> {
        let sender = sender(origin, self.sender_id.as_deref())?;
        let kind = ChannelKind::from_number(self.channel_type).ok_or(KIND)?;
        let channel = build(cx, sender, &self.target, kind).await;
        let channel = channel.map_err(|error| match error {
            Error::Status(status) => status.into(),
            fault => raised("error building channel identifier", fault),
        })?;
        Ok(channel.to_string())
    }
}

/// `nk.channel_message_send(channel_id, content, sender_id, sender_username, persist)`: says
/// something in a channel.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ChannelMessageSend {
    /// Where.
    channel_id: String,
    /// An object; an empty one if not given.
    #[serde(default)]
    #[schemars(with = "Option<Map<String, Value>>")]
    content: Option<Value>,
    /// Who says it; the system if not given. Must not be empty in JavaScript.
    #[serde(default)]
    sender_id: Option<String>,
    /// The name to show for it.
    #[serde(default)]
    sender_username: String,
    /// Whether the history is to know; if not given, it is in JavaScript only.
    #[serde(default)]
    persist: Option<bool>,
}

impl HostFn for ChannelMessageSend {
    const NAME: &'static str = "channel_message_send";
    type Output = Ack;
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<Ack> {
        let content = content(origin, self.content.as_ref())?;
        let sender = sender(origin, self.sender_id.as_deref())?;
        let persist = persists(origin, self.persist);
        let channel = Channel::parse(&self.channel_id).ok_or(CHANNEL)?;
        let message = Message::new(channel, Kind::Chat, sender, self.sender_username, content);
        let sent = send(cx, message, persist).await;
        let sent = sent.map_err(|error| raised_plainly("failed to send channel message", error))?;
        Ok(ack(origin, self.channel_id, sent, persist))
    }
}

/// `nk.channel_message_update(channel_id, message_id, content, sender_id, sender_username,
/// persist)`: changes what was said.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ChannelMessageUpdate {
    /// Where those are who are to see it.
    channel_id: String,
    /// Which message.
    message_id: Uuid,
    /// An object; an empty one if not given.
    #[serde(default)]
    #[schemars(with = "Option<Map<String, Value>>")]
    content: Option<Value>,
    /// Who said it; the system if not given. Must not be empty in JavaScript.
    #[serde(default)]
    sender_id: Option<String>,
    /// The name to show for it.
    #[serde(default)]
    sender_username: String,
    /// Whether the history is to change; if not given, it is in JavaScript only.
    #[serde(default)]
    persist: Option<bool>,
}

impl HostFn for ChannelMessageUpdate {
    const NAME: &'static str = "channel_message_update";
    type Output = Ack;
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<Ack> {
        let content = content(origin, self.content.as_ref())?;
        let sender = sender(origin, self.sender_id.as_deref())?;
        let persist = persists(origin, self.persist);
        let channel = Channel::parse(&self.channel_id).ok_or(CHANNEL)?;
        let message = Message {
            id: self.message_id,
            ..Message::new(channel, Kind::Update, sender, self.sender_username, content)
        };
        let done = update(cx, message, persist).await;
        let done =
            done.map_err(|error| raised_plainly("failed to update channel message", error))?;
        Ok(ack(origin, self.channel_id, done, persist))
    }
}

/// `nk.channel_message_remove(channel_id, message_id, sender_id, sender_username, persist)`:
/// takes back what was said.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ChannelMessageRemove {
    /// Where those are who are to see it.
    channel_id: String,
    /// Which message.
    message_id: Uuid,
    /// Who said it; the system if not given. Must not be empty in JavaScript.
    #[serde(default)]
    sender_id: Option<String>,
    /// The name to show for it.
    #[serde(default)]
    sender_username: String,
    /// Whether the history is to forget; if not given, it is in JavaScript only.
    #[serde(default)]
    persist: Option<bool>,
}

impl HostFn for ChannelMessageRemove {
    const NAME: &'static str = "channel_message_remove";
    type Output = Ack;
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<Ack> {
        let sender = sender(origin, self.sender_id.as_deref())?;
        let persist = persists(origin, self.persist);
        let channel = Channel::parse(&self.channel_id).ok_or(CHANNEL)?;
        let content = "{}".to_owned();
        let message = Message {
            id: self.message_id,
            ..Message::new(channel, Kind::Remove, sender, self.sender_username, content)
        };
        let done = remove(cx, message, persist).await;
        let done =
            done.map_err(|error| raised_plainly("failed to remove channel message", error))?;
        Ok(ack(origin, self.channel_id, done, persist))
    }
}

/// `nk.channel_messages_list(channel_id, limit, forward, cursor)`: a page of the history of a
/// channel.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ChannelMessagesList {
    /// Which.
    channel_id: String,
    /// 1 to 100.
    #[serde(default = "defaults::hundred")]
    limit: i64,
    /// Whether the oldest comes first.
    #[serde(default = "defaults::yes")]
    forward: bool,
    /// Where to go on; of the same channel and direction.
    #[serde(default)]
    cursor: String,
}

/// A message of a channel. The names are so in every language, as in the reference.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "ChannelMessage")]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    channel_id: String,
    message_id: String,
    /// 0 chat, and what happens in groups: 3 join, 4 add, 5 leave, 6 kick, 7 promote, 8 ban,
    /// 9 demote.
    code: i32,
    sender_id: String,
    username: String,
    /// JSON text of an object.
    content: String,
    /// Unix seconds.
    create_time: i64,
    /// Unix seconds.
    update_time: i64,
    persistent: bool,
    /// Empty where it is no room.
    room_name: String,
    /// Empty where it is no group.
    group_id: String,
    /// Empty where it is not between two users.
    user_id_one: String,
    /// Empty where it is not between two users.
    user_id_two: String,
}

/// A page of messages.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "ChannelMessageList")]
pub struct ListedPage {
    messages: Vec<Listed>,
    /// Leads on; nothing in Lua and empty elsewhere where there is no more.
    #[schemars(with = "String")]
    next_cursor: Option<String>,
    /// Leads back; nothing in Lua and empty elsewhere on the first page.
    #[schemars(with = "String")]
    prev_cursor: Option<String>,
}

impl HostFn for ChannelMessagesList {
    const NAME: &'static str = "channel_messages_list";
    const RETURNS: Returns = Returns::Each;
    type Output = ListedPage;
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<ListedPage> {
        if !(1..=100).contains(&self.limit) {
            return Err(LIMIT.into());
        }
        let channel = Channel::parse(&self.channel_id).ok_or(CHANNEL)?;
        let from = match self.cursor.as_str() {
            "" => None,
            text => Some(Place::in_list(text, &channel, self.forward).ok_or(CURSOR)?),
        };
        let page = list(cx, &channel, self.limit, self.forward, from).await;
        let page = page.map_err(|error| raised("failed to list channel messages", error))?;
        let seconds = |time: Option<guildhall_proto::Timestamp>| time.map_or(0, |it| it.seconds);
        let shown = |message: api::ChannelMessage| Listed {
            channel_id: self.channel_id.clone(),
            message_id: message.message_id,
            code: message.code.unwrap_or_default(),
            sender_id: message.sender_id,
            username: message.username,
            content: message.content,
            create_time: seconds(message.create_time),
            update_time: seconds(message.update_time),
            persistent: true,
            room_name: message.room_name,
            group_id: message.group_id,
            user_id_one: message.user_id_one,
            user_id_two: message.user_id_two,
        };
        let cursor = |place: Option<Place>| match place {
            Some(place) => Some(place.encode()),
            None => (origin.language != Language::Lua).then(String::new),
        };
        Ok(ListedPage {
            messages: page.messages.into_iter().map(shown).collect(),
            next_cursor: cursor(page.next),
            prev_cursor: cursor(page.previous),
        })
    }
}
