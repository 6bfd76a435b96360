//! What modules registered, and which of them answers.
//!
//! The [`Registry`] actor owns all registrations and publishes [`Routes`], an immutable snapshot
//! that edges read on every call without a message.

use std::{collections::HashMap, fmt, sync::Arc};

use guildhall_core::{Code, Error, Result, Status};

use crate::{
    endpoint::Endpoint,
    host::Language,
    runtime::{
        call::{Call, Context, Input, Output, Wire},
        pool::ScriptPool,
    },
};

/// What a module can register for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are the registration functions'")]
pub enum Point {
    Rpc,
    Before,
    After,
    RealtimeBefore,
    RealtimeAfter,
    Match,
    MatchmakerMatched,
    MatchmakerOverride,
    MatchmakerProcessor,
    TournamentEnd,
    TournamentReset,
    LeaderboardReset,
    StorageIndex,
    StorageIndexFilter,
    PurchaseNotificationApple,
    SubscriptionNotificationApple,
    PurchaseNotificationGoogle,
    SubscriptionNotificationGoogle,
    Event,
    EventSessionStart,
    EventSessionEnd,
    Shutdown,
}

/// A function of a loaded module, as its runtime numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FunctionId(pub u32);

/// One registration by a module.
#[derive(Clone, Debug)]
pub struct Registration {
    /// What for.
    pub point: Point,
    /// Which: an RPC id or API name in lower case, a match or index name; empty for single points.
    pub name: String,
    /// The function that answers.
    pub function: FunctionId,
    /// What was declared besides, for points that carry data (a storage index).
    pub definition: Option<serde_json::Value>,
    /// The module file that registered it, relative to the runtime path.
    pub module: String,
}

/// A function that answers a hook or an RPC, and the pool that runs it.
#[derive(Clone)]
pub struct Target {
    /// The module's language.
    pub language: Language,
    /// The function.
    pub function: FunctionId,
    /// The module file.
    pub module: Arc<str>,
    /// Where it runs.
    pub pool: ScriptPool,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}#{}", self.language.name(), self.module, self.function.0)
    }
}

const COULD_NOT_COMPLETE: Status =
    Status::new(Code::Internal, "Could not complete runtime Before function.");

impl Target {
    /// Runs the before hook of `E`: the request as the hook left it, or `None` where it gave
    /// nothing back.
    ///
    /// # Errors
    /// The hook's own, or code 13 where what it gave back is not such a request.
    pub async fn before<E: Endpoint>(
        &self,
        context: Context,
        request: &E::Request,
    ) -> Result<Option<E::Request>> {
        let request = if E::HAS_INPUT { Some(wire::<E::Request>(request)?) } else { None };
        let call = Call { function: self.function, context, input: Input::Before { request } };
        match self.pool.call(call).await? {
            Output::Message(bytes) => prost::Message::decode(bytes.as_slice())
                .map(Some)
                .map_err(|_| COULD_NOT_COMPLETE.into()),
            Output::Nothing | Output::Text(_) => Ok(None),
        }
    }

    /// Runs the after hook of `E`.
    ///
    /// # Errors
    /// The hook's own; for the log only.
    pub async fn after<E: Endpoint>(
        &self,
        context: Context,
        response: &E::Response,
        request: &E::Request,
    ) -> Result<()> {
        let response = Some(wire::<E::Response>(response)?);
        let request = if E::HAS_INPUT { Some(wire::<E::Request>(request)?) } else { None };
        let input = Input::After { response, request };
        self.pool.call(Call { function: self.function, context, input }).await.map(drop)
    }
}

fn wire<M: crate::endpoint::Message>(message: &M) -> Result<Wire> {
    let descriptor = M::descriptor()
        .ok_or_else(|| Error::from(Status::of(Code::Internal, "message without a descriptor")))?;
    Ok(Wire { descriptor, bytes: message.encode_to_vec() })
}

/// The snapshot that every call reads.
#[derive(Debug, Default)]
pub struct Routes {
    rpc: HashMap<String, Target>,
    before: HashMap<String, Target>,
    after: HashMap<String, Target>,
}

impl Routes {
    /// The function behind RPC `id` (lower case).
    pub fn rpc(&self, id: &str) -> Option<&Target> {
        self.rpc.get(id)
    }

    /// The before hook of the endpoint with this published name.
    pub fn before(&self, endpoint: &'static str) -> Option<&Target> {
        self.before.get(endpoint)
    }

    /// The after hook of the endpoint with this published name.
    pub fn after(&self, endpoint: &'static str) -> Option<&Target> {
        self.after.get(endpoint)
    }
}
