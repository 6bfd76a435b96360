//! What the interpreter on a script thread works with: host functions, and the deadline.

use std::{
    collections::HashMap,
    fmt,
    future::{Future as _, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use futures_util::{FutureExt, future::LocalBoxFuture};
use guildhall_core::{Code, Error, Fault, Status, config};
use parking_lot::Mutex;
use tokio::time::sleep;

use super::{
    check::{self, Unanswered},
    matches::{Current, current_fiber},
    watchdog::{now_ns, ns},
};
use crate::{
    cx::Cx,
    host::{Answer, HostFunction, Origin},
};

/// The work of a host function.
type Work<'a> = LocalBoxFuture<'a, Result<Answer, Error>>;

/// Stops what runs on an interpreter, from the watchdog's thread.
pub type Stopper = Box<dyn Fn() + Send>;

/// Whether the modules of an interpreter are evaluated for real.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Loading {
    /// For real: host functions act, and their answers are kept.
    First,
    /// Again, to get at the functions: host functions answer what they answered the first time.
    Again,
    /// Not loading.
    Done,
}

/// Why a host function did not answer.
#[derive(Debug)]
pub enum HostError {
    /// The arguments do not fit; the words of the deserializer.
    Arguments(String),
    /// The work failed.
    Failed(Error),
}

/// The call of a host function by a function whose time is up.
const TIME_IS_UP: Status =
    Status::new(Code::DeadlineExceeded, "the function's running time is used up");

/// A host function that waited longer than the seat allows.
const WAITED_TOO_LONG: Status =
    Status::new(Code::DeadlineExceeded, "a host function did not end within runtime.host_wait_ms");

/// Answers that one loading may leave on a [`Tape`].
const TAPE_LENGTH: usize = 65_536;

/// Modules that do too much while they are loaded.
const TAPE_FULL: Status = Status::new(
    Code::ResourceExhausted,
    "modules called more than 65536 host functions while loading",
);

/// What host functions answered while the first interpreter loaded its modules; later ones get the
/// same answers. Shared by all seats of a program.
#[derive(Default)]
pub struct Tape(Mutex<Answers>);

#[derive(Default)]
struct Answers {
    count: usize,
    by_function: HashMap<&'static str, Vec<Recorded>>,
}

impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tape").field("answers", &self.0.lock().count).finish()
    }
}

impl Tape {
    fn is_full(&self) -> bool {
        self.0.lock().count >= TAPE_LENGTH
    }

    fn keep(&self, function: &'static str, answer: Recorded) {
        let mut answers = self.0.lock();
        answers.count += 1;
        answers.by_function.entry(function).or_default().push(answer);
    }

    fn answer(&self, function: &'static str, index: usize) -> Option<Recorded> {
        self.0.lock().by_function.get(function)?.get(index).cloned()
    }
}

#[derive(Clone)]
enum Recorded {
    Answer(Arc<Answer>),
    Arguments(String),
    Failed(Status),
    Fault(Status),
}

impl Recorded {
    fn of(result: &Result<Arc<Answer>, HostError>) -> Self {
        let status = |error: &Error| {
            let mut status = Status::of(error.code(), error.message());
            status.trace = error.trace().map(Into::into);
            status
        };
        match result {
            Ok(answer) => Self::Answer(Arc::clone(answer)),
            Err(HostError::Arguments(text)) => Self::Arguments(text.clone()),
            Err(HostError::Failed(error @ Error::Status(_))) => Self::Failed(status(error)),
            Err(HostError::Failed(error @ Error::Fault(_))) => Self::Fault(status(error)),
        }
    }

    fn play(self) -> Result<Arc<Answer>, HostError> {
        match self {
            Self::Answer(answer) => Ok(answer),
            Self::Arguments(text) => Err(HostError::Arguments(text)),
            Self::Failed(status) => Err(HostError::Failed(status.into())),
            Self::Fault(status) => {
                let Status { code, message, trace } = status;
                let mut fault = Fault::new(message, "as when the modules were first loaded");
                fault.code = code;
                fault.trace = trace;
                Err(HostError::Failed(fault.into()))
            }
        }
    }
}

/// Hears when the thread of a seat waits in a host function, and when it goes on.
pub(super) trait Waits: Send + Sync {
    /// The thread is about to wait.
    fn leave(&self);
    /// The thread goes on.
    fn come_back(&self);
}

/// A script thread's place: its host functions and its deadline.
pub struct Seat {
    cx: Arc<Cx>,
    host_wait: Duration,
    waits: Option<Box<dyn Waits>>,
    /// In a check of modules, which functions were answered with nothing.
    check: Option<Unanswered>,
    loading: AtomicU8,
    tape: Arc<Tape>,
    /// How far this seat has played the tape, by function.
    played: Mutex<HashMap<&'static str, usize>>,
    /// When the running time is used up (ns), [`REST`] while it stands still, [`OVER`] once the
    /// watchdog has seen it pass.
    due_ns: AtomicU64,
    expired: AtomicBool,
    stopper: Mutex<Option<Stopper>>,
}

/// No deadline: nothing runs, or what runs waits.
const REST: u64 = 0;
/// The deadline has passed.
const OVER: u64 = u64::MAX;

/// The longest wait in a host function where nobody says otherwise.
const HOST_WAIT: Duration = Duration::from_secs(60);

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat")
            .field("loading", &self.loading())
            .field("expired", &self.expired())
            .finish_non_exhaustive()
    }
}

impl Seat {
    /// A place on `cx` outside of any pool: no deadline, and loading is done.
    pub fn new(cx: Arc<Cx>) -> Self {
        Self {
            cx,
            host_wait: HOST_WAIT,
            waits: None,
            check: None,
            loading: AtomicU8::new(Loading::Done as u8),
            tape: Arc::default(),
            played: Mutex::default(),
            due_ns: AtomicU64::new(REST),
            expired: AtomicBool::new(false),
            stopper: Mutex::new(None),
        }
    }

    /// The same place, about to load modules: `tape` keeps what is answered, or is played.
    #[must_use]
    pub fn loading_with(mut self, loading: Loading, tape: Arc<Tape>) -> Self {
        self.loading = AtomicU8::new(loading as u8);
        self.tape = tape;
        self
    }

    /// The same place in a pool.
    pub(super) fn in_pool(mut self, host_wait: Duration, waits: Box<dyn Waits>) -> Self {
        self.host_wait = host_wait;
        self.waits = Some(waits);
        self
    }

    /// The same place on a match thread, under the limits of `config`. `tape` is played where modules
    /// are loaded again.
    pub(super) fn of_match(mut self, config: &config::Runtime, tape: Arc<Tape>) -> Self {
        self.host_wait = Duration::from_millis(config.host_wait_ms);
        self.tape = tape;
        self
    }

    /// The same place in a check of modules, if there is where to note what is not answered.
    pub(super) fn checking(mut self, check: Option<Unanswered>) -> Self {
        self.check = check;
        self
    }

    /// The server's capabilities.
    pub fn cx(&self) -> &Arc<Cx> {
        &self.cx
    }

    /// Whether modules are being evaluated, and how.
    pub fn loading(&self) -> Loading {
        match self.loading.load(Ordering::Relaxed) {
            first if first == Loading::First as u8 => Loading::First,
            again if again == Loading::Again as u8 => Loading::Again,
            _ => Loading::Done,
        }
    }

    /// From now on, until [`loaded`](Self::loaded), host functions answer what they answered when the
    /// modules were first loaded.
    pub(super) fn loads_again(&self) {
        self.loading.store(Loading::Again as u8, Ordering::Relaxed);
    }

    /// From now on host functions act and are not recorded.
    pub fn loaded(&self) {
        self.loading.store(Loading::Done as u8, Ordering::Relaxed);
        self.played.lock().clear();
    }

    /// Runs a host function for the function in progress. Where it waits, this thread waits and
    /// the deadline stands still.
    ///
    /// The work is polled once at once, since most functions have nothing to wait for; only then
    /// the thread blocks, for no longer than `runtime.host_wait_ms`.
    ///
    /// # Errors
    /// What is wrong with the arguments, or why the work failed.
    pub fn host(
        &self,
        function: &HostFunction,
        arguments: &mut dyn erased_serde::Deserializer<'_>,
        origin: Origin<'_>,
    ) -> Result<Arc<Answer>, HostError> {
        // A loop that swallows errors must not keep the server busy beyond its time.
        if self.expired() {
            return Err(HostError::Failed(TIME_IS_UP.into()));
        }
        match self.loading() {
            Loading::Done => self.act(function, arguments, origin),
            Loading::Again => self.play(function.name),
            Loading::First if self.tape.is_full() => Err(HostError::Failed(TAPE_FULL.into())),
            Loading::First => {
                let result = self.act(function, arguments, origin);
                self.tape.keep(function.name, Recorded::of(&result));
                result
            }
        }
    }

    /// What `function` answered when it was called the same time round in the first loading.
    fn play(&self, function: &'static str) -> Result<Arc<Answer>, HostError> {
        let mut played = self.played.lock();
        let next = played.entry(function).or_default();
        let recorded = self.tape.answer(function, *next);
        *next += 1;
        let call = *next;
        recorded.map_or_else(
            || {
                Err(HostError::Failed(
                    Status::of(
                        Code::FailedPrecondition,
                        format!(
                            "call {call} of {function} while loading has no answer: modules called \
                             it less often when they were first loaded"
                        ),
                    )
                    .into(),
                ))
            },
            Recorded::play,
        )
    }

    fn act(
        &self,
        function: &HostFunction,
        arguments: &mut dyn erased_serde::Deserializer<'_>,
        origin: Origin<'_>,
    ) -> Result<Arc<Answer>, HostError> {
        let mut work = function
            .begin(arguments, &self.cx, origin)
            .map_err(|error| HostError::Arguments(error.to_string()))?;
        let answer = match current_fiber() {
            Some(fiber) => self.on_fiber(&fiber, work),
            None => {
                // Work may make timers and tasks of the I/O runtime.
                let runtime = self.cx.io.enter();
                let polled = work.as_mut().now_or_never();
                drop(runtime);
                match (polled, &self.check) {
                    // What the module did wrong it is told; what is missing here it is not.
                    (Some(Err(error)), Some(check))
                        if matches!(error.code(), Code::Internal | Code::Unavailable) =>
                    {
                        return Ok(leave_out(check, function));
                    }
                    (Some(answer), _) => answer,
                    (None, Some(check)) => return Ok(leave_out(check, function)),
                    (None, None) => self.on_thread(work),
                }
            }
        };
        answer.map(Arc::new).map_err(HostError::Failed)
    }

    /// Waits for `work`; so does this thread.
    fn on_thread(&self, work: Work<'_>) -> Result<Answer, Error> {
        let _waiting = Waiting::begin(self);
        let limit = self.host_wait;
        self.cx
            .io
            .block_on(async { tokio::time::timeout(limit, work).await })
            .unwrap_or_else(|_| Err(WAITED_TOO_LONG.into()))
    }

    /// Waits for `work` while others have the thread.
    fn on_fiber(&self, fiber: &Current, mut work: Work<'_>) -> Result<Answer, Error> {
        let io = &self.cx.io;
        let mut limit = None;
        let work = poll_fn(|cx| {
            if let Poll::Ready(answer) = work.as_mut().poll(cx) {
                return Poll::Ready(answer);
            }
            // Most work has nothing to wait for: only here a timer is needed.
            let limit = limit.get_or_insert_with(|| Box::pin(sleep(self.host_wait)));
            limit.as_mut().poll(cx).map(|()| Err(WAITED_TOO_LONG.into()))
        });
        fiber.wait(io, pin!(work)).unwrap_or_else(|| Err(TIME_IS_UP.into()))
    }

    /// Whether the deadline of the function in progress has passed: an interpreter that is asked
    /// regularly (QuickJS) asks this.
    pub fn expired(&self) -> bool {
        self.expired.load(Ordering::Relaxed)
    }

    /// What runs is to end, as when its deadline passes: its time is counted elsewhere, or nobody
    /// waits for it any more.
    pub(super) fn expire(&self) {
        self.expired.store(true, Ordering::Relaxed);
        self.nudge();
    }

    /// Calls the stopper: what runs is to look up and see whether it must stop.
    pub(super) fn nudge(&self) {
        if let Some(stop) = self.stopper.lock().as_ref() {
            stop();
        }
    }

    /// What the watchdog calls when the deadline passes, for an interpreter that must be told
    /// (LuaJIT). Replaced by `None` before what it points to goes away: once this returns, the
    /// old one is not running and will not run again.
    ///
    /// An interpreter whose deadline passed is not used again, so a stop need not be undone.
    pub fn set_stopper(&self, stopper: Option<Stopper>) {
        *self.stopper.lock() = stopper;
    }

    /// Something begins to run that may take until `due_ns`.
    pub(super) fn begin(&self, due_ns: u64) {
        self.expired.store(false, Ordering::Relaxed);
        self.due_ns.store(due_ns.clamp(REST + 1, OVER - 1), Ordering::Relaxed);
    }

    /// What ran has ended; whether its deadline had passed.
    pub(super) fn end(&self) -> bool {
        if self.due_ns.swap(REST, Ordering::AcqRel) != OVER {
            return false;
        }
        // The watchdog may be about to call the stopper, which must not hit what comes next.
        drop(self.stopper.lock());
        true
    }

    /// Calls the stopper once more for what is late and has not ended: LuaJIT, at work on its own
    /// thread, can undo what the stopper set at the same moment.
    fn remind(&self) {
        let stopper = self.stopper.lock();
        if self.due_ns.load(Ordering::Acquire) == OVER
            && let Some(stop) = stopper.as_ref()
        {
            stop();
        }
    }

    /// Ends what runs if its time is up: whether it has passed by now, and whether that is news.
    pub(super) fn check(&self, now_ns: u64) -> Due {
        let due_ns = self.due_ns.load(Ordering::Relaxed);
        match due_ns {
            REST => return Due::Not,
            OVER => {
                self.remind();
                return Due::Over;
            }
            due if due > now_ns => return Due::Not,
            _ => {}
        }
        let stopper = self.stopper.lock();
        // Only what is still running and still late: it may have ended or gone to wait meanwhile.
        if self.due_ns.compare_exchange(due_ns, OVER, Ordering::AcqRel, Ordering::Relaxed).is_err()
        {
            return Due::Not;
        }
        self.expired.store(true, Ordering::Relaxed);
        if let Some(stop) = stopper.as_ref() {
            stop();
        }
        Due::Now
    }
}

/// Answers with nothing, in a check of modules.
fn leave_out(check: &Unanswered, function: &HostFunction) -> Arc<Answer> {
    check.lock().insert(function.name);
    Arc::new(check::nothing(function.returns))
}

/// What the watchdog finds of a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// It has not passed.
    Not,
    /// It has just passed, and what runs was told.
    Now,
    /// It passed before, and what runs has not ended yet.
    Over,
}

/// The time in which a seat's thread waits: its deadline stands still until this is dropped.
struct Waiting<'a> {
    seat: &'a Seat,
    rest_ns: Option<u64>,
}

impl<'a> Waiting<'a> {
    fn begin(seat: &'a Seat) -> Self {
        let due_ns = seat.due_ns.load(Ordering::Relaxed);
        let running = due_ns != REST && due_ns != OVER;
        // Lost against the watchdog: then the deadline has passed and stays so.
        let paused = running
            && seat
                .due_ns
                .compare_exchange(due_ns, REST, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok();
        if let Some(waits) = &seat.waits {
            waits.leave();
        }
        Self { seat, rest_ns: paused.then(|| due_ns.saturating_sub(now_ns())) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(waits) = &self.seat.waits {
            waits.come_back();
        }
        if let Some(rest_ns) = self.rest_ns {
            let due_ns = now_ns().saturating_add(rest_ns).min(OVER - 1);
            self.seat.due_ns.store(due_ns, Ordering::Release);
        }
    }
}

/// The instant (ns) `limit` after `now_ns`.
pub(super) fn due(now_ns: u64, limit: Duration) -> u64 {
    now_ns.saturating_add(ns(limit))
}
