//! The declaration of a socket message.
//!
//! From one declaration come its dispatch, its before and after hook points and its metric label.

use std::{borrow::Cow, collections::BTreeMap, future::Future, sync::Arc};

use guildhall_core::{Error, caller::TraceId};
use guildhall_proto::realtime::{self, Envelope, envelope::Message};

use crate::{
    cx::Cx,
    realtime::session::{ErrorCode, Session},
};

/// A message that a client sent, without its content.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// The server's capabilities.
    pub cx: &'a Arc<Cx>,
    /// Who sent it.
    pub session: &'a Arc<Session>,
    /// The client's mark on it, which its answer carries; may be empty.
    pub cid: &'a str,
    /// Its identity in logs and hooks.
    pub trace_id: TraceId,
}

impl Incoming<'_> {
    /// Answers with a message, now: what is sent afterwards comes after it.
    pub fn reply(&self, message: Message) -> Reply {
        self.answer(Some(message))
    }

    /// Answers that it is done, now, with the mark alone.
    pub fn acknowledge(&self) -> Reply {
        self.answer(None)
    }

    fn answer(&self, message: Option<Message>) -> Reply {
        let envelope = Envelope { cid: self.cid.to_owned(), message };
        self.session.send(&envelope);
        Reply(Some(envelope))
    }
}

/// That a message was handled, and what the client got for it; the after hook sees it.
#[derive(Debug)]
pub struct Reply(pub Option<Envelope>);

impl Reply {
    /// The message has no answer.
    pub const NONE: Self = Self(None);
}

/// Why a message was not handled: what the client gets.
#[derive(Debug)]
pub struct Refusal {
    /// What goes wrong, by number.
    pub code: ErrorCode,
    /// The sentence.
    pub message: Cow<'static, str>,
    /// Further facts by name.
    pub context: BTreeMap<String, String>,
    /// How the client hears of it.
    told: Told,
}

/// How a client hears of a refusal.
#[derive(Clone, Copy, Debug)]
enum Told {
    /// With its mark on the message.
    Marked,
    /// Without the mark.
    Unmarked,
    /// Not at all.
    Never,
}

impl Refusal {
    /// The message is dropped: nothing is answered, and no after hook runs.
    pub const DROPPED: Self = Self::new(ErrorCode::RuntimeException, "").with_told(Told::Never);

    /// A refusal with a constant sentence.
    pub const fn new(code: ErrorCode, message: &'static str) -> Self {
        Self { code, message: Cow::Borrowed(message), context: BTreeMap::new(), told: Told::Marked }
    }

    /// A refusal with a made sentence.
    pub fn of(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into(), ..Self::new(code, "") }
    }

    /// The same, told without the client's mark on the message, as for messages that have no answer.
    pub const fn unmarked(self) -> Self {
        self.with_told(Told::Unmarked)
    }

    const fn with_told(mut self, told: Told) -> Self {
        self.told = told;
        self
    }

    /// Tells the client that sent the message.
    pub fn tell(&self, incoming: Incoming<'_>) {
        let cid = match self.told {
            Told::Marked => incoming.cid.to_owned(),
            Told::Unmarked => String::new(),
            Told::Never => return,
        };
        incoming.session.send(&Envelope { cid, message: Some(self.to_wire()) });
    }

    /// As clients see it.
    pub fn to_wire(&self) -> Message {
        Message::Error(realtime::Error {
            code: self.code as i32,
            message: self.message.to_string(),
            context: self.context.clone(),
        })
    }
}

/// What went wrong in the server's own work is told without a number of its own, as in the reference;
/// a fault's cause goes to the log.
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        if let Error::Fault(_) = error {
            tracing::error!(%error, "socket message failed");
        }
        Self::of(ErrorCode::RuntimeException, error.message().to_owned())
    }
}

/// What becomes of a message.
pub type Handled = Result<Reply, Refusal>;

/// A message that clients send over the socket. Declared by
/// [`socket_messages!`](crate::socket_messages), listed in [`crate::tables`].
pub trait SocketMessage: 'static {
    /// The published name, as hooks and metrics use it: `ChannelJoin`.
    const NAME: &'static str;
    /// Whether modules may hook it.
    const HOOKS: bool = true;
    /// What the client sends.
    type Body: 'static;

    /// The content as a message of an envelope.
    fn wrap(body: Self::Body) -> Message;

    /// The content of a message of this kind; `None` where it is of another.
    fn unwrap(message: Message) -> Option<Self::Body>;

    /// The work: validates, does, answers. A refusal is sent by the caller; the after hook runs only
    /// where there is none.
    fn handle(incoming: Incoming<'_>, body: Self::Body) -> impl Future<Output = Handled>;
}

/// Visits socket messages; see [`crate::tables::each_socket_message`].
pub trait SocketMessageVisitor {
    /// Called once for each message of the table.
    fn visit<M: SocketMessage>(&mut self);
}

/// What is done with a message once its kind is known; see [`crate::tables::socket_message`].
pub trait WithSocketMessage {
    /// What comes of it; mostly the work itself, as a future of this kind of messages alone.
    type Output;
    /// Called with the content.
    fn with<M: SocketMessage>(self, body: M::Body) -> Self::Output;
}

/// Declares the socket messages of a slice, each named as its member of the envelope.
///
/// ```ignore
/// socket_messages! {
///     /// Enters a channel.
///     ChannelJoin(realtime::ChannelJoin) => join
/// }
/// ```
/// The handler takes an [`Incoming`] and the content. `, hooks: false` is optional.
#[macro_export]
macro_rules! socket_messages {
    ($(
        $(#[$doc:meta])*
        $name:ident($body:ty) => $handle:path $(, hooks: $hooks:literal)? ;
    )*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl $crate::envelope::SocketMessage for $name {
            const NAME: &'static str = stringify!($name);
            $(const HOOKS: bool = $hooks;)?
            type Body = $body;

            fn wrap(body: Self::Body) -> guildhall_proto::realtime::envelope::Message {
                guildhall_proto::realtime::envelope::Message::$name(body)
            }

            fn unwrap(
                message: guildhall_proto::realtime::envelope::Message,
            ) -> Option<Self::Body> {
                match message {
                    guildhall_proto::realtime::envelope::Message::$name(body) => Some(body),
                    _ => None,
                }
            }

            async fn handle(
                incoming: $crate::envelope::Incoming<'_>,
                body: Self::Body,
            ) -> $crate::envelope::Handled {
                $handle(incoming, body).await
            }
        }
    )*};
}
