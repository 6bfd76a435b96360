//! Streams: the places where sessions are present and messages are sent to.

use std::sync::Arc;

use guildhall_proto::realtime;
use uuid::Uuid;

/// The kinds of streams, by their published numbers; modules may use any other.
///
/// Source: Nakama, `StreamMode*`.
pub mod mode {
    /// Notifications to a user; every session of the user is there, hidden.
    pub const NOTIFICATIONS: u8 = 0;
    /// A user's status.
    pub const STATUS: u8 = 1;
    /// A chat room.
    pub const CHANNEL: u8 = 2;
    /// A group's chat.
    pub const GROUP: u8 = 3;
    /// The chat of two users.
    pub const DM: u8 = 4;
    /// A relayed match.
    pub const MATCH_RELAYED: u8 = 5;
    /// An authoritative match.
    pub const MATCH_AUTHORITATIVE: u8 = 6;
    /// A party.
    pub const PARTY: u8 = 7;
}

/// A stream's identity; there is no more to it than who is present.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stream {
    /// Its kind: one of [`mode`], or a module's own number.
    pub mode: u8,
    /// What it is about: a user, a group, a match.
    pub subject: Uuid,
    /// What it is about besides: the other user of a direct channel.
    pub subcontext: Uuid,
    /// A text: a room's name, the node of a match.
    pub label: Arc<str>,
}

impl Stream {
    /// A stream of `mode` about `subject` alone.
    pub fn of(mode: u8, subject: Uuid) -> Self {
        // The default label is no allocation.
        Self::labelled(mode, subject, Arc::default())
    }

    /// A stream of `mode` about `subject` with a label.
    pub fn labelled(mode: u8, subject: Uuid, label: impl Into<Arc<str>>) -> Self {
        Self { mode, subject, subcontext: Uuid::nil(), label: label.into() }
    }

    /// The id of the channel that this is the stream of: what is nil is left out.
    pub fn channel_id(&self) -> String {
        let shown = |id: Uuid| if id.is_nil() { String::new() } else { id.to_string() };
        let (subject, subcontext) = (shown(self.subject), shown(self.subcontext));
        format!("{}.{subject}.{subcontext}.{}", self.mode, self.label)
    }

    /// What the messages of a channel say of where it is: the room's name, the group, the first and
    /// the second user. What its kind does not have is empty.
    pub fn channel_names(&self) -> [String; 4] {
        let mut names = <[String; 4]>::default();
        let [room, group, one, two] = &mut names;
        match self.mode {
            mode::CHANNEL => *room = self.label.to_string(),
            mode::GROUP => *group = self.subject.to_string(),
            mode::DM => (*one, *two) = (self.subject.to_string(), self.subcontext.to_string()),
            _ => {}
        }
        names
    }

    /// As clients and modules see it: what is nil is left out.
    pub fn to_wire(&self) -> realtime::Stream {
        let shown = |id: Uuid| if id.is_nil() { String::new() } else { id.to_string() };
        realtime::Stream {
            mode: i32::from(self.mode),
            subject: shown(self.subject),
            subcontext: shown(self.subcontext),
            label: self.label.to_string(),
        }
    }
}
