//! A handler and the match that it runs.

use std::{
    collections::HashMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use guildhall_core::{Code, Error, Fault, Result, Status, error::OrFault as _};

use super::{
    Dispatcher, JoinAnswer, JoinAttempt, MatchIdentity, MatchInit, MatchMessage, MatchPresence,
    Turn, arbiters::Placed, fiber::Fiber,
};
use crate::{
    registry::Target,
    runtime::{
        call::Argument,
        native::NativeMatch,
        pool::{ScriptPool, Source},
        seat::Seat,
        worker::words_of,
    },
};

const NOT_FOUND: Status = Status::new(Code::NotFound, "error creating match: not found");
const ENDED: Status = Status::new(Code::Unavailable, "match stopped");
pub(super) const PANICKED: &str = "Match handler failed unexpectedly.";
const NO_STACK: &str = "Could not start the match handler.";

/// A match's interpreter. Its functions run on a fiber and may wait there.
pub trait MatchScript {
    /// Runs one of the handler's functions; `tick` is the turn it is for.
    ///
    /// # Errors
    /// What it raised, or that what it gave back does not fit. It is not called again then.
    fn call(&mut self, tick: i64, call: MatchCall) -> Result<MatchOutput>;
}

/// What the interpreter of a match begins with.
pub struct MatchStart {
    /// Its place: host functions and time.
    pub seat: Arc<Seat>,
    /// The handler's name: a Lua module's, or the name that it was registered under.
    pub name: String,
    /// Which match it is.
    pub identity: MatchIdentity,
    /// What the handler can do to it.
    pub dispatcher: Arc<dyn Dispatcher>,
}

impl fmt::Debug for MatchStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MatchStart").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Which of a handler's functions is called, and with what.
#[derive(Debug)]
pub enum MatchCall {
    /// Once, before all others.
    Init {
        /// What the creator of the match gave; a map.
        params: Option<Argument>,
    },
    /// Somebody wants to join.
    JoinAttempt(Box<JoinAttempt>),
    /// They are in the match now.
    Join(Vec<MatchPresence>),
    /// They are no longer.
    Leave(Vec<MatchPresence>),
    /// A tick.
    Loop(Vec<MatchMessage>),
    /// The server is about to stop.
    Terminate {
        /// In how many seconds.
        grace_s: u32,
    },
    /// Somebody asks something.
    Signal {
        /// What.
        data: String,
    },
}

/// What one of a handler's functions gave back.
#[derive(Debug, PartialEq, Eq)]
pub enum MatchOutput {
    /// Of init.
    Begun(MatchInit),
    /// No state: the match ends.
    Ended,
    /// A state.
    Continued,
    /// A state and an answer to a join attempt.
    Answered(JoinAnswer),
    /// A state and an answer to a signal.
    Signalled(String),
}

/// The handlers of all languages, as modules registered them.
#[derive(Clone, Debug, Default)]
pub struct MatchHandlers {
    native: HashMap<String, Target>,
    /// Any module can be one.
    lua: Option<ScriptPool>,
    javascript: HashMap<String, Target>,
}

impl MatchHandlers {
    /// Handlers by their names, of one language each.
    pub(crate) fn new(
        native: HashMap<String, Target>,
        lua: Option<ScriptPool>,
        javascript: HashMap<String, Target>,
    ) -> Self {
        Self { native, lua, javascript }
    }

    /// Begins a match of the handler `name`: makes its interpreter at `placed` and runs its init.
    /// A native handler is preferred to a Lua module, and that to a JavaScript handler.
    ///
    /// `params` shows the handler a map; `None` an empty one.
    ///
    /// # Errors
    /// `NotFound` for a name that no handler has; why the handler does not load, or its init failed,
    /// in the words that `nk.match_create` puts after its own `error creating match: `.
    ///
    /// Source: Nakama, `MatchProvider.CreateMatch`, `LocalMatchRegistry.CreateMatch`.
    pub async fn create(
        &self,
        placed: Placed,
        name: &str,
        params: Option<Argument>,
        identity: MatchIdentity,
        dispatcher: Arc<dyn Dispatcher>,
    ) -> Result<(RunningMatch, MatchInit)> {
        let javascript = self.javascript.get(name).map(|target| &target.pool);
        let placed = Rc::new(placed);
        if let Some(target) = self.native.get(name) {
            let source = target.pool.source();
            let start = (name, &identity, &dispatcher);
            let (begin, start) = Begin::at(&placed, &source, start);
            let script = Box::new(NativeMatch::new(target, start));
            return begin.init(placed, script, params).await;
        }
        let mut params = params;
        for pool in self.lua.iter().chain(javascript) {
            let start = (name, &identity, &dispatcher);
            if let Some(begun) = begin(&placed, &pool.source(), start, &mut params).await? {
                return Ok(begun);
            }
        }
        Err(NOT_FOUND.into())
    }
}

type Script = Box<dyn MatchScript>;

/// Makes an interpreter and runs its init; `None` where the modules have no such handler.
async fn begin(
    placed: &Rc<Placed>,
    source: &Source,
    start: (&str, &MatchIdentity, &Arc<dyn Dispatcher>),
    params: &mut Option<Argument>,
) -> Result<Option<(RunningMatch, MatchInit)>> {
    let (begin, start) = Begin::at(placed, source, start);
    let program = Arc::clone(&source.program);
    let made = Fiber::new(placed, &begin.seat, begin.load_deadline, move || {
        contained(|| program.start_match(start))
    });
    let Some(script) = made.or_fault(NO_STACK)?.await? else { return Ok(None) };
    begin.init(Rc::clone(placed), script, params.take()).await.map(Some)
}

/// Where a match begins.
struct Begin {
    seat: Arc<Seat>,
    call_deadline: Duration,
    load_deadline: Duration,
}

impl Begin {
    /// A match of modules of `source`, and what its handler begins with.
    fn at(
        placed: &Placed,
        source: &Source,
        (name, identity, dispatcher): (&str, &MatchIdentity, &Arc<dyn Dispatcher>),
    ) -> (Self, MatchStart) {
        placed.shared().watched_by(&source.watchdog);
        let config = &source.cx.config.runtime;
        let seat = Seat::new(Arc::clone(&source.cx)).of_match(config, Arc::clone(&source.tape));
        let seat = Arc::new(seat);
        let start = MatchStart {
            seat: Arc::clone(&seat),
            name: name.to_owned(),
            identity: identity.clone(),
            dispatcher: Arc::clone(dispatcher),
        };
        let call_deadline = Duration::from_millis(config.call_deadline_ms);
        let load_deadline = Duration::from_millis(config.load_deadline_ms);
        (Self { seat, call_deadline, load_deadline }, start)
    }

    /// Runs the init of `script`.
    async fn init(
        self,
        placed: Rc<Placed>,
        script: Script,
        params: Option<Argument>,
    ) -> Result<(RunningMatch, MatchInit)> {
        let Self { seat, call_deadline, load_deadline } = self;
        let mut running = RunningMatch { script: Some(script), seat, call_deadline, placed };
        match running.run(0, MatchCall::Init { params }, load_deadline).await {
            Ok(MatchOutput::Begun(init)) => Ok((running, init)),
            Ok(_) => Err(misfit("init")),
            Err(error) => Err(in_creation(error)),
        }
    }
}

/// What the creator of a match gets of an error of init.
fn in_creation(error: Error) -> Error {
    let text = format!("error creating match: {}", error.message());
    let mut status = Status::of(error.code(), text);
    status.trace = error.trace().map(Into::into);
    status.into()
}

fn misfit(function: &str) -> Error {
    Fault::new(PANICKED, format!("what came of {function} is not of this function")).into()
}

fn contained<R>(work: impl FnOnce() -> Result<R>) -> Result<R> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(Fault::new(PANICKED, words_of(&*panic)).into()))
}

/// A match's handler at work. It stays on its thread, and ends when it is dropped.
///
/// One call at a time. Every call's error ends the match: log it and drop this. A call whose future
/// is dropped midway ends the handler as well. Running time is bounded by
/// `runtime.call_deadline_ms`, each wait in a host function by `runtime.host_wait_ms`.
pub struct RunningMatch {
    /// `None` while a call is on its way, and once one has failed.
    script: Option<Script>,
    seat: Arc<Seat>,
    call_deadline: Duration,
    placed: Rc<Placed>,
}

impl fmt::Debug for RunningMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningMatch").field("ended", &self.script.is_none()).finish()
    }
}

impl RunningMatch {
    /// Asks whether somebody may join; `None` where the match ends instead.
    ///
    /// # Errors
    /// What the handler raised, or what is wrong with what it gave back.
    pub async fn join_attempt(
        &mut self,
        tick: i64,
        attempt: JoinAttempt,
    ) -> Result<Option<JoinAnswer>> {
        match self.call(tick, MatchCall::JoinAttempt(Box::new(attempt))).await? {
            MatchOutput::Answered(answer) => Ok(Some(answer)),
            MatchOutput::Ended => Ok(None),
            _ => Err(misfit("join_attempt")),
        }
    }

    /// Tells who has joined.
    ///
    /// # Errors
    /// As [`join_attempt`](Self::join_attempt).
    pub async fn join(&mut self, tick: i64, joined: Vec<MatchPresence>) -> Result<Turn> {
        self.turn(tick, MatchCall::Join(joined)).await
    }

    /// Tells who has left.
    ///
    /// # Errors
    /// As [`join_attempt`](Self::join_attempt).
    pub async fn leave(&mut self, tick: i64, left: Vec<MatchPresence>) -> Result<Turn> {
        self.turn(tick, MatchCall::Leave(left)).await
    }

    /// Runs the loop for a tick, with what members sent since the one before, in order.
    ///
    /// # Errors
    /// As [`join_attempt`](Self::join_attempt).
    pub async fn tick(&mut self, tick: i64, messages: Vec<MatchMessage>) -> Result<Turn> {
        self.turn(tick, MatchCall::Loop(messages)).await
    }

    /// Tells that the match will be ended in `grace_s` seconds.
    ///
    /// # Errors
    /// As [`join_attempt`](Self::join_attempt).
    pub async fn terminate(&mut self, tick: i64, grace_s: u32) -> Result<Turn> {
        self.turn(tick, MatchCall::Terminate { grace_s }).await
    }

    /// Asks the handler something: its answer, empty for none; `None` where the match ends instead.
    ///
    /// # Errors
    /// As [`join_attempt`](Self::join_attempt).
    pub async fn signal(&mut self, tick: i64, data: String) -> Result<Option<String>> {
        match self.call(tick, MatchCall::Signal { data }).await? {
            MatchOutput::Signalled(answer) => Ok(Some(answer)),
            MatchOutput::Ended => Ok(None),
            _ => Err(misfit("signal")),
        }
    }

    async fn turn(&mut self, tick: i64, call: MatchCall) -> Result<Turn> {
        match self.call(tick, call).await? {
            MatchOutput::Continued => Ok(Turn::Continue),
            MatchOutput::Ended => Ok(Turn::End),
            _ => Err(misfit("a turn")),
        }
    }

    async fn call(&mut self, tick: i64, call: MatchCall) -> Result<MatchOutput> {
        self.run(tick, call, self.call_deadline).await
    }

    async fn run(&mut self, tick: i64, call: MatchCall, limit: Duration) -> Result<MatchOutput> {
        let mut script = self.script.take().ok_or(ENDED)?;
        let fiber = Fiber::new(&self.placed, &self.seat, limit, move || {
            let end = contained(|| script.call(tick, call));
            (script, end)
        });
        let (script, end) = fiber.or_fault(NO_STACK)?.await;
        // What failed, or was stopped and did not notice, is in no state to go on.
        if end.is_ok() && !self.seat.expired() {
            self.script = Some(script);
        }
        end
    }
}
