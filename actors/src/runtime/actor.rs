//! The runtime actors: one per language, each owning the pool of its interpreters.
//!
//! They manage pools and are not in the path of calls, which go straight into the queue found in
//! [`Routes`](crate::registry::Routes).

use std::{fmt, marker::PhantomData, sync::Arc};

use actix::{
    Actor, ActorFutureExt, Context, Handler, Message, MessageResult, ResponseActFuture, WrapFuture,
};

use super::{
    pool::{PoolSettings, PoolStats, ScriptPool},
    script::{LoadError, Program},
    watchdog::Watchdog,
};
use crate::{cx::Cx, host::Language, registry::Loaded};

/// The actor of the native modules.
pub type NativeRuntime = Runtime<Native>;
/// The actor of the Lua modules.
pub type LuaRuntime = Runtime<Lua>;
/// The actor of the JavaScript modules.
pub type JavaScriptRuntime = Runtime<JavaScript>;

/// Names the language of a [`Runtime`] in its type.
pub trait Speaks: Unpin + 'static {
    /// The language.
    const LANGUAGE: Language;
}

/// Shared libraries over the C ABI.
#[derive(Debug)]
pub enum Native {}
/// Lua 5.1.
#[derive(Debug)]
pub enum Lua {}
/// JavaScript.
#[derive(Debug)]
pub enum JavaScript {}

impl Speaks for Native {
    const LANGUAGE: Language = Language::Native;
}
impl Speaks for Lua {
    const LANGUAGE: Language = Language::Lua;
}
impl Speaks for JavaScript {
    const LANGUAGE: Language = Language::JavaScript;
}

/// The actor of one language's modules.
pub struct Runtime<L> {
    cx: Arc<Cx>,
    settings: PoolSettings,
    watchdog: Watchdog,
    pool: Option<ScriptPool>,
    language: PhantomData<L>,
}

impl<L: Speaks> fmt::Debug for Runtime<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Runtime").field(&L::LANGUAGE).field(&self.pool).finish()
    }
}

impl<L: Speaks> Runtime<L> {
    /// A runtime with the configured limits and no modules yet.
    pub fn new(cx: Arc<Cx>, watchdog: Watchdog) -> Self {
        let settings = PoolSettings::of(L::LANGUAGE, &cx.config.runtime);
        Self { cx, settings, watchdog, pool: None, language: PhantomData }
    }
}

impl<L: Speaks> Actor for Runtime<L> {
    type Context = Context<Self>;
}

/// Loads a program into a new pool. Where it fails, the pool before it stays.
pub struct Load {
    /// The modules.
    pub program: Arc<dyn Program>,
}

impl Message for Load {
    type Result = Result<Loaded, LoadError>;
}

impl<L: Speaks> Handler<Load> for Runtime<L> {
    type Result = ResponseActFuture<Self, Result<Loaded, LoadError>>;

    fn handle(&mut self, message: Load, _: &mut Self::Context) -> Self::Result {
        let (cx, settings) = (Arc::clone(&self.cx), self.settings.clone());
        let watchdog = self.watchdog.clone();
        let start =
            async move { ScriptPool::start(message.program, cx, settings, &watchdog).await };
        Box::pin(start.into_actor(self).map(|started, this, _| {
            let (pool, registrations) = started?;
            // Calls on the pool before this one come to their end; it goes with its last target.
            this.pool = Some(pool.clone());
            Ok(Loaded { registrations, pool })
        }))
    }
}

/// Sets how many interpreters are kept and how many may be made, now and after later loads.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Resize {
    /// Interpreters that are kept; at least one.
    pub min: usize,
    /// Most interpreters; at least `min`.
    pub max: usize,
}

impl<L: Speaks> Handler<Resize> for Runtime<L> {
    type Result = ();

    fn handle(&mut self, message: Resize, _: &mut Self::Context) {
        self.settings.min = message.min;
        self.settings.max = message.max;
        if let Some(pool) = &self.pool {
            pool.resize(message.min, message.max);
        }
    }
}

/// Asks what the pool is doing; `None` before modules were loaded.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<PoolStats>")]
pub struct Stats;

impl<L: Speaks> Handler<Stats> for Runtime<L> {
    type Result = MessageResult<Stats>;

    fn handle(&mut self, _: Stats, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.pool.as_ref().map(ScriptPool::stats))
    }
}
