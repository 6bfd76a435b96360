//! A call of a module's function: what goes in, what comes out.

use std::fmt;

use erased_serde::Serialize as Erased;
use guildhall_core::{Caller, Code, Status};
use prost_reflect::MessageDescriptor;
use serde::Serialize;

use super::{matches::MatchOutput, native::MatchTurn};
use crate::registry::FunctionId;

/// Why a function is called: `execution_mode` of its context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the names are the reference's")]
pub enum ExecutionMode {
    Event,
    /// Loading modules and `run_once`.
    #[default]
    RunOnce,
    Rpc,
    Before,
    After,
    Match,
    Matchmaker,
    MatchmakerOverride,
    MatchmakerProcessor,
    MatchCreate,
    TournamentEnd,
    TournamentReset,
    LeaderboardReset,
    PurchaseNotificationApple,
    SubscriptionNotificationApple,
    PurchaseNotificationGoogle,
    SubscriptionNotificationGoogle,
    StorageIndexFilter,
    Shutdown,
}

impl ExecutionMode {
    /// The text that modules see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::RunOnce => "run_once",
            Self::Rpc => "rpc",
            Self::Before => "before",
            Self::After => "after",
            Self::Match => "match",
            Self::Matchmaker => "matchmaker",
            Self::MatchmakerOverride => "matchmaker_override",
            Self::MatchmakerProcessor => "matchmaker_processor",
            Self::MatchCreate => "match_create",
            Self::TournamentEnd => "tournament_end",
            Self::TournamentReset => "tournament_reset",
            Self::LeaderboardReset => "leaderboard_reset",
            Self::PurchaseNotificationApple => "purchase_notification_apple",
            Self::SubscriptionNotificationApple => "subscription_notification_apple",
            Self::PurchaseNotificationGoogle => "purchase_notification_google",
            Self::SubscriptionNotificationGoogle => "subscription_notification_google",
            Self::StorageIndexFilter => "storage_index_filter",
            Self::Shutdown => "shutdown",
        }
    }
}

/// What a function sees as `ctx`, besides what is the same for all calls (env, node, version).
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Why it is called.
    pub mode: ExecutionMode,
    /// Who called.
    pub caller: Caller,
    /// The headers of an HTTP RPC, by canonical name; `None` where there is no HTTP RPC.
    pub headers: Option<Vec<(String, Vec<String>)>>,
    /// The query parameters of an HTTP RPC, without the HTTP key.
    pub query_params: Option<Vec<(String, Vec<String>)>>,
    /// The socket session's id, for calls over a socket.
    pub session_id: Option<String>,
    /// The socket session's language, with `session_id`.
    pub lang: Option<String>,
}

/// A wire message with its descriptor: native modules take the bytes, scripts the fields.
#[derive(Clone, Debug)]
pub struct Wire {
    /// What message it is.
    pub descriptor: MessageDescriptor,
    /// The message in protobuf's binary form.
    pub bytes: Vec<u8>,
}

/// A value of the server's own that a function is called with: each language shows it as it shows
/// what a host function gives back.
pub struct Argument(Box<dyn Erased + Send + Sync>);

impl Argument {
    /// The argument that shows `value`.
    pub fn of(value: impl Serialize + Send + Sync + 'static) -> Self {
        Self(Box::new(value))
    }

    /// The value.
    pub fn value(&self) -> &dyn Erased {
        &*self.0
    }
}

impl fmt::Debug for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Argument")
    }
}

/// What interpreters of scripts say to [`Input::Match`].
pub(super) const NATIVE_ONLY: Status = Status::new(
    Code::Unimplemented,
    "Match handlers of this language have their own interpreters.",
);

/// What a function is called with, besides its context.
#[derive(Debug)]
pub enum Input {
    /// An RPC's payload.
    Rpc {
        /// As the client sent it.
        payload: Vec<u8>,
    },
    /// A before hook's request.
    Before {
        /// `None` for an endpoint without input.
        request: Option<Wire>,
    },
    /// An after hook's response and request.
    After {
        /// What the client gets; `google.protobuf.Empty` where there is nothing to tell.
        response: Option<Wire>,
        /// What the client sent, as the before hook left it; `None` for no input.
        request: Option<Wire>,
    },
    /// An event, `nakama.api.Event`.
    Event {
        /// The event.
        event: Wire,
    },
    /// Values by position: a leaderboard that was reset, an object that is to be indexed.
    Plain {
        /// In the order of the function's parameters.
        arguments: Vec<Argument>,
    },
    /// A function of a native handler's match. Script handlers have interpreters of their own.
    Match(MatchTurn),
}

/// A call of a registered function.
#[derive(Debug)]
pub struct Call {
    /// Which function.
    pub function: FunctionId,
    /// What it sees as `ctx`.
    pub context: Context,
    /// What it is called with.
    pub input: Input,
}

/// What a function gave back.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// `nil`, `null`, or nothing.
    Nothing,
    /// The answer of an RPC. Not always UTF-8: a Lua string is bytes.
    Text(Vec<u8>),
    /// The request of a before hook in protobuf's binary form.
    Message(Vec<u8>),
    /// A before hook gave back what is no such request.
    Unreadable {
        /// Whether it is a table or an object at least.
        object: bool,
        /// What is wrong with it.
        cause: String,
    },
    /// What a function gave back that was called with plain values.
    Value(serde_json::Value),
    /// What a function of a match gave back.
    Match(MatchOutput),
}
