//! Channels: their ids, and who reaches which.

use std::{fmt, sync::Arc};

use guildhall_core::{Code, Error, OrFault, Result, Status};
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{
    cx::Cx,
    database::{DbError, Sql},
    realtime::stream::{Stream, mode},
};

/// The longest name of a room, in bytes.
const MAX_ROOM_LENGTH: usize = 64;

/// A stream of which messages are kept: a room that anyone may enter, the members of a group, or two
/// users.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Channel(Stream);

/// The kind of a channel, as clients number it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as those of `Channel`")]
pub enum ChannelKind {
    Room = 1,
    Direct = 2,
    Group = 3,
}

impl ChannelKind {
    /// The kind with this number.
    pub fn from_number(number: i32) -> Option<Self> {
        [Self::Room, Self::Direct, Self::Group].into_iter().find(|kind| *kind as i32 == number)
    }
}

impl Channel {
    /// The room of this name, which is 1 to 64 bytes long.
    pub fn room(name: impl Into<Arc<str>>) -> Self {
        Self(Stream::labelled(mode::CHANNEL, Uuid::nil(), name))
    }

    /// The channel of a group.
    pub fn group(group: Uuid) -> Self {
        Self(Stream::of(mode::GROUP, group))
    }

    /// The channel between two users.
    pub fn direct(one: Uuid, two: Uuid) -> Self {
        Self::between(one.min(two), one.max(two))
    }

    fn between(one: Uuid, two: Uuid) -> Self {
        Self(Stream { subcontext: two, ..Stream::of(mode::DM, one) })
    }

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
                Some(Self::room(name))
            }
            ["3", group, "", ""] => Some(Self::group(uuid(group)?)),
            ["4", one, two, ""] => Some(Self::between(uuid(one)?, uuid(two)?)),
            _ => None,
        }
    }

    /// Its kind.
    pub fn kind(&self) -> ChannelKind {
        match self.0.mode {
            mode::GROUP => ChannelKind::Group,
            mode::DM => ChannelKind::Direct,
            _ => ChannelKind::Room,
        }
    }

    /// The stream of those who are there; its messages stand under the same marks.
    pub fn stream(&self) -> &Stream {
        &self.0
    }

    /// The channel of a message; `None` for one of another mode, which a module may have written.
    pub(super) fn of(row: &Row) -> Result<Option<Self>, DbError> {
        let Ok(mode @ (mode::CHANNEL | mode::GROUP | mode::DM)) =
            u8::try_from(row.try_get::<_, i16>("stream_mode")?)
        else {
            return Ok(None);
        };
        let label: &str = row.try_get("stream_label")?;
        Ok(Some(Self(Stream {
            mode,
            subject: row.try_get("stream_subject")?,
            subcontext: row.try_get("stream_descriptor")?,
            label: label.into(),
        })))
    }
}

/// The id of the channel.
impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.channel_id())
    }
}

impl From<Channel> for String {
    fn from(channel: Channel) -> Self {
        channel.0.channel_id()
    }
}

impl TryFrom<String> for Channel {
    type Error = &'static str;

    fn try_from(id: String) -> Result<Self, &'static str> {
        Self::parse(&id).ok_or("no id of a channel")
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
        ChannelKind::Room => Ok(Channel::room(target)),
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
            Ok(Channel::group(group))
        }
    }
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
pub(super) const MEMBER: &str =
    "SELECT 1 FROM group_edge WHERE source_id = $1 AND destination_id = $2 AND state <= 2";

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: Uuid = Uuid::from_u128(0xa);
    const BOB: Uuid = Uuid::from_u128(0xb);

    #[test]
    fn an_id_names_a_channel_and_a_channel_its_id() {
        let (ann, bob) = (ANN.to_string(), BOB.to_string());
        for (id, channel, kind) in [
            ("2...room".to_owned(), Channel::room("room"), ChannelKind::Room),
            ("2...a.b..c".to_owned(), Channel::room("a.b..c"), ChannelKind::Room),
            (format!("3.{ann}.."), Channel::group(ANN), ChannelKind::Group),
            ("3...".to_owned(), Channel::group(Uuid::nil()), ChannelKind::Group),
            (format!("4.{ann}.{bob}."), Channel::direct(BOB, ANN), ChannelKind::Direct),
            (format!("4..{bob}."), Channel::direct(BOB, Uuid::nil()), ChannelKind::Direct),
        ] {
            assert_eq!(Channel::parse(&id), Some(channel.clone()), "{id}");
            assert_eq!((channel.to_string(), channel.kind()), (id, kind));
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
}
