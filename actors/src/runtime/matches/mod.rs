//! Running match handlers: from "run the loop with these messages" down to the interpreter.
//!
//! A match lives on one thread for good ([`MatchArbiters`]), and so does its interpreter, which is
//! its own: module globals are the match's. [`MatchHandlers::create`] makes both and gives back a
//! [`RunningMatch`], whose calls are futures of that thread. A call that waits for the database or
//! for HTTP gives the thread away meanwhile, and so does, every few milliseconds, one that runs
//! long (`fiber`): no match delays another's tick by more than a slice.
//!
//! What a handler does to its match (sends, kicks, changes the label) goes straight to the
//! [`Dispatcher`], while the call runs. Whatever ends a call in an error ends the match: its
//! interpreter is not used again.
//!
//! Ticks, queues, presences and the listing are not here: they are the match's own.

mod arbiters;
mod fiber;
mod running;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use guildhall_core::Caller;
use uuid::Uuid;

pub use arbiters::{MatchArbiters, Place, Placed};
pub use running::{MatchHandlers, RunningMatch};

pub(crate) use fiber::{Current, Pause, current as current_fiber};
pub use running::{MatchCall, MatchOutput, MatchScript, MatchStart};

/// A label's greatest length, bytes.
///
/// Source: Nakama, `MatchLabelMaxBytes`.
pub const LABEL_MAX_BYTES: usize = 2048;

/// Which match it is.
#[derive(Clone, Debug)]
pub struct MatchIdentity {
    /// The match's own id.
    pub id: Uuid,
    /// The server's name.
    pub node: Arc<str>,
}

impl MatchIdentity {
    /// The id as clients and modules know it: `<id>.<node>`.
    pub fn text(&self) -> String {
        format!("{}.{}", self.id, self.node)
    }
}

/// What a handler's init decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchInit {
    /// Ticks a second, 1 to 60.
    pub tick_rate_hz: u8,
    /// The first label, at most [`LABEL_MAX_BYTES`].
    pub label: String,
}

/// A member of a match, or who wants to be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchPresence {
    /// The user.
    pub user_id: Uuid,
    /// The socket session.
    pub session_id: Uuid,
    /// The user's name.
    pub username: Arc<str>,
    /// The node of the socket.
    pub node: Arc<str>,
    /// Why it came or went, by the published numbers; seen by the join and leave functions only.
    pub reason: u8,
}

/// A message from a member, for the next turn of the loop.
#[derive(Clone, Debug)]
pub struct MatchMessage {
    /// Who sent it.
    pub sender: MatchPresence,
    /// The members' own number for its kind.
    pub op_code: i64,
    /// What was sent; empty shows as nothing (`nil`, `null`), as an absent field does in the
    /// reference.
    pub data: Bytes,
    /// Whether the sender asked for reliable delivery.
    pub reliable: bool,
    /// When it came, Unix milliseconds.
    pub receive_time_ms: i64,
}

/// Somebody who wants to join.
#[derive(Clone, Debug)]
pub struct JoinAttempt {
    /// Who.
    pub presence: MatchPresence,
    /// The session that asks: variables, end and address are shown in the function's context.
    pub caller: Caller,
    /// What the client sent along.
    pub metadata: HashMap<String, String>,
}

/// What a handler answered to a [`JoinAttempt`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinAnswer {
    /// Whether they may join.
    pub allow: bool,
    /// Why not; empty where the handler did not say.
    pub reason: String,
}

/// Whether a match goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The handler gave a state back; it stays in the interpreter.
    Continue,
    /// The handler gave no state back: the match ends.
    End,
}

/// Who a broadcast goes to, of those that are in the match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The socket session.
    pub session_id: Uuid,
    /// The node of the socket.
    pub node: Arc<str>,
}

/// Who a broadcast seems to come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The user.
    pub user_id: Uuid,
    /// The socket session.
    pub session_id: Uuid,
    /// The user's name.
    pub username: Arc<str>,
}

/// A message of the handler's to members of its match.
#[derive(Clone, Debug)]
pub struct Broadcast {
    /// The members' own number for its kind.
    pub op_code: i64,
    /// What is sent.
    pub data: Bytes,
    /// Who gets it: everybody where `None`. Those that are not in the match do not get it.
    pub recipients: Option<Vec<Recipient>>,
    /// Who it seems to come from.
    pub sender: Option<Sender>,
    /// Whether delivery must be reliable.
    pub reliable: bool,
    /// Whether it waits for the end of the call that sent it.
    pub deferred: bool,
}

/// Who is to be removed from the match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kicked {
    /// The user.
    pub user_id: Uuid,
    /// The socket session.
    pub session_id: Uuid,
    /// The node of the socket.
    pub node: Arc<str>,
}

/// Why a match does not do what its handler asks for; the words are those that handlers see.
///
/// Source: Nakama, `ErrMatchStopped`; nakama-common, `ErrDeferredBroadcastFull`,
/// `ErrMatchLabelTooLong`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The match has ended.
    #[error("match stopped")]
    Stopped,
    /// Too many broadcasts wait for the end of the call.
    #[error("too many deferred message broadcasts per tick")]
    DeferredFull,
    /// The label is longer than [`LABEL_MAX_BYTES`].
    #[error("match label too long, must be 0-2048 bytes")]
    LabelTooLong,
}

/// What a handler can do to its match. Called while one of its functions runs, from the match's
/// thread or, for a native handler, from another; it must not wait.
pub trait Dispatcher: Send + Sync {
    /// Sends a message to members, now or at the end of the call.
    ///
    /// # Errors
    /// [`Refusal::Stopped`], [`Refusal::DeferredFull`].
    fn broadcast(&self, broadcast: Broadcast) -> Result<(), Refusal>;

    /// Removes members. Those that are not in the match are passed over.
    ///
    /// # Errors
    /// [`Refusal::Stopped`].
    fn kick(&self, kicked: Vec<Kicked>) -> Result<(), Refusal>;

    /// Changes the label that the match is listed with.
    ///
    /// # Errors
    /// [`Refusal::Stopped`], [`Refusal::LabelTooLong`].
    fn update_label(&self, label: &str) -> Result<(), Refusal>;
}
