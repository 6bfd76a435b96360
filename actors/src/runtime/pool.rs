//! `ScriptPool`: the threads of one runtime, each with its interpreter.
//!
//! Calls stand in one bounded queue. A call wakes a thread only where that shortens its wait: while
//! about as many threads run as the machine has processors, or the next of them will be free at
//! once, it is left to them. Threads that wait in a host function do not count as running, and no
//! call waits more than about a millisecond behind a long one: then the watchdog wakes another.
//! Idle threads are taken last used first.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Weak},
    thread::{self, Thread},
    time::Duration,
};

use guildhall_core::{Code, Fault, Result, Status, config};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{
    call::{Call, ExecutionMode, Output},
    check::Unanswered,
    script::{LoadError, Program},
    seat::{Due, Loading, Seat, Tape, Waits, due},
    watchdog::{Look, Pace, TICK, Watchdog, Watched, now_ns, ns},
    worker::Worker,
};
use crate::{cx::Cx, host::Language, registry::Registration};

const QUEUE_FULL: Status = Status::new(
    Code::ResourceExhausted,
    "Too many calls are waiting for the runtime, try again later.",
);
const STOPPED: Status = Status::new(Code::Unavailable, "The runtime is shutting down.");
const NO_INTERPRETER: &str = "Runtime has no working interpreter.";
const GIVEN_UP: Status = Status::new(
    Code::DeadlineExceeded,
    "Runtime function did not end within its deadline and could not be stopped.",
);

/// How long a call may wait for a running thread before another is woken (ns). About the price of
/// waking one.
const PATIENCE_NS: u64 = 50_000;

/// How many looks of the watchdog without a queue pass before it slows down.
const CALM_LOOKS: u32 = 32;

/// How long to wait before another interpreter is tried after one failed to start.
const RETRY: Duration = Duration::from_secs(1);

/// The limits of a pool.
#[derive(Clone, Debug)]
pub struct PoolSettings {
    /// Interpreters made at start and kept; at least one.
    pub min: usize,
    /// Most interpreters; at least `min`.
    pub max: usize,
    /// Calls that may wait before further ones are refused.
    pub queue: usize,
    /// Running time of a call.
    pub call_deadline: Duration,
    /// Running time of loading, and of a match's init.
    pub load_deadline: Duration,
    /// The longest wait in one host function.
    pub host_wait: Duration,
    /// How long after its deadline a thread may take to come back before it is given up.
    pub grace: Duration,
    /// How long an interpreter beyond `min` may be idle.
    pub idle: Duration,
    /// How many threads should run at a time.
    pub processors: usize,
    /// For a check of modules: host functions that would wait or need the database are not run but
    /// noted here.
    pub(super) check: Option<Unanswered>,
}

impl PoolSettings {
    /// The configured limits for `language`.
    ///
    /// Native modules are loaded once and keep no state per interpreter, so that their threads
    /// are few at rest and as many as of both script languages under load.
    pub fn of(language: Language, runtime: &config::Runtime) -> Self {
        let (min, max) = match language {
            Language::Native => (1, runtime.lua_max_count.max(runtime.js_max_count)),
            Language::Lua => (runtime.lua_min_count, runtime.lua_max_count),
            Language::JavaScript => (runtime.js_min_count, runtime.js_max_count),
        };
        Self {
            min,
            max,
            queue: runtime.queue_size,
            call_deadline: Duration::from_millis(runtime.call_deadline_ms),
            load_deadline: Duration::from_millis(runtime.load_deadline_ms),
            host_wait: Duration::from_millis(runtime.host_wait_ms),
            grace: Duration::from_secs(2),
            idle: Duration::from_secs(30),
            processors: thread::available_parallelism().map_or(2, usize::from),
            check: None,
        }
        .sound()
    }

    fn sound(mut self) -> Self {
        self.min = self.min.max(1);
        self.max = self.max.max(self.min);
        self.queue = self.queue.max(1);
        self.processors = self.processors.max(1);
        self
    }

    fn limit_of(&self, mode: ExecutionMode) -> Duration {
        match mode {
            ExecutionMode::RunOnce | ExecutionMode::MatchCreate => self.load_deadline,
            _ => self.call_deadline,
        }
    }

    /// How often deadlines are looked at: late by a twentieth of the shorter limit at most.
    fn deadline_look(&self) -> Duration {
        let limit = self.call_deadline.min(self.load_deadline).min(self.grace);
        (limit / 20).clamp(TICK, Duration::from_millis(100))
    }
}

/// What a pool is doing and has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Interpreters that take calls, busy or idle.
    pub total: usize,
    /// Of these, with nothing to do.
    pub idle: usize,
    /// Of these, waiting in a host function.
    pub waiting: usize,
    /// Interpreters about to be ready.
    pub starting: usize,
    /// Calls in the queue.
    pub queued: usize,
    /// Interpreters made so far.
    pub made: u64,
    /// Calls taken up so far.
    pub calls: u64,
    /// Calls refused because the queue was full.
    pub refused: u64,
    /// Interpreters replaced after a fault, a limit or a deadline.
    pub replaced: u64,
    /// Deadlines that passed.
    pub deadlines: u64,
    /// Threads given up that have not come back.
    pub lost: usize,
}

impl PoolStats {
    /// Interpreters that have a call.
    pub fn busy(&self) -> usize {
        self.total - self.idle
    }
}

/// A handle on a pool; cheap to clone. The pool ends with its last handle: calls in the queue are
/// refused, those that run come to their end.
#[derive(Clone)]
pub struct ScriptPool(Arc<Owner>);

struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl fmt::Debug for ScriptPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScriptPool").field(&self.0.0.language).finish()
    }
}

impl ScriptPool {
    /// Loads `program` into a first interpreter, and starts the others in the background.
    ///
    /// # Errors
    /// Where the modules failed to load.
    pub async fn start(
        program: Arc<dyn Program>,
        cx: Arc<Cx>,
        settings: PoolSettings,
        watchdog: &Watchdog,
    ) -> Result<(Self, Vec<Registration>), LoadError> {
        let (loaded, answer) = oneshot::channel();
        let source = Source { program, cx, tape: Arc::default(), watchdog: watchdog.clone() };
        let pool = Self::of(source, settings);
        let shared = &pool.0.0;
        {
            let mut state = shared.state.lock();
            state.first = Some(loaded);
            shared.spawn(&mut state);
        }
        let registrations = answer.await.unwrap_or_else(|_| {
            Err(LoadError::of_pool("the thread that loads the modules ended without an answer"))
        })?;
        shared.fill(&mut shared.state.lock());
        Ok((pool, registrations))
    }

    /// Another pool of the same modules, loaded again, with interpreters of its own: for functions
    /// that calls of this pool wait for. On this pool they could wait for one another forever.
    pub fn beside(&self) -> Self {
        self.with(|settings| settings.max = settings.max.min(settings.processors))
    }

    /// As [`beside`](Self::beside), for matches: as many threads as this pool may have, since
    /// handlers may wait for each other, and a queue that refuses nothing. A match waits for the
    /// end of its call before the next one, so that the queue is no longer than matches are many.
    pub fn for_matches(&self) -> Self {
        self.with(|settings| settings.queue = usize::MAX)
    }

    fn with(&self, change: impl FnOnce(&mut PoolSettings)) -> Self {
        let mut settings = self.0.0.state.lock().settings.clone();
        settings.min = 1;
        change(&mut settings);
        let pool = Self::of(self.source(), settings);
        pool.0.0.spawn(&mut pool.0.0.state.lock());
        pool
    }

    fn of(source: Source, settings: PoolSettings) -> Self {
        let shared = Arc::new_cyclic(|this| Shared {
            this: this.clone(),
            language: source.program.language(),
            source,
            state: Mutex::new(State::new(settings.sound())),
        });
        shared.source.watchdog.watch(shared.this.clone() as _);
        Self(Arc::new(Owner(shared)))
    }

    /// What interpreters of the same modules are made of that stand outside of pools.
    pub(super) fn source(&self) -> Source {
        self.0.0.source.clone()
    }

    /// The modules' language.
    pub fn language(&self) -> Language {
        self.0.0.language
    }

    /// Runs `call` on an interpreter and waits for its end. A call that nobody waits for any more
    /// is not begun.
    ///
    /// # Errors
    /// What the function raised; `ResourceExhausted` where the queue is full; `DeadlineExceeded`
    /// where it could not be stopped.
    pub async fn call(&self, call: Call) -> Result<Output> {
        let (reply, answer) = oneshot::channel();
        self.0.0.push(Job { call, reply })?;
        answer.await.unwrap_or_else(|_| Err(STOPPED.into()))
    }

    /// Sets how many interpreters are kept and how many may be made.
    pub fn resize(&self, min: usize, max: usize) {
        let shared = &self.0.0;
        let mut state = shared.state.lock();
        state.settings.min = min;
        state.settings.max = max;
        state.settings = state.settings.clone().sound();
        shared.fill(&mut state);
        drop(state);
        shared.source.watchdog.call();
    }

    /// What the pool is doing.
    pub fn stats(&self) -> PoolStats {
        self.0.0.state.lock().stats()
    }

    /// A way to see what the pool is doing that does not keep it alive.
    pub fn watch(&self) -> PoolWatch {
        PoolWatch(Arc::downgrade(&self.0.0), self.language())
    }
}

/// What interpreters are made of.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) program: Arc<dyn Program>,
    pub(super) cx: Arc<Cx>,
    /// What host functions answered when the modules were first loaded.
    pub(super) tape: Arc<Tape>,
    pub(super) watchdog: Watchdog,
}

/// Sees what a pool does without keeping it alive.
#[derive(Clone)]
pub struct PoolWatch(Weak<Shared>, Language);

impl fmt::Debug for PoolWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PoolWatch").field(&self.1).finish()
    }
}

impl PoolWatch {
    /// The modules' language.
    pub fn language(&self) -> Language {
        self.1
    }

    /// What the pool is doing; `None` once its last handle is gone.
    pub fn stats(&self) -> Option<PoolStats> {
        let shared = self.0.upgrade()?;
        let state = shared.state.lock();
        (!state.closed).then(|| state.stats())
    }
}

impl LoadError {
    /// A failure that is no module's.
    pub(super) fn of_pool(message: impl Into<String>) -> Self {
        Self { module: "runtime".to_owned(), line: None, message: message.into() }
    }
}

/// A call on its way, and who waits for its end.
pub(super) struct Job {
    pub(super) call: Call,
    pub(super) reply: Reply,
}

pub(super) type Reply = oneshot::Sender<Result<Output>>;

/// The reply of the call in progress: taken by the thread when it ends, or by the watchdog when it
/// gives the thread up.
pub(super) type Pending = Arc<Mutex<Option<Reply>>>;

/// What a thread of the pool is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Loads its modules.
    Starting,
    /// Waits for a call.
    Idle,
    /// Runs a call.
    Running,
    /// Runs a call for longer than [`TICK`]; others may run beside it.
    Long,
    /// Waits in a host function.
    Waiting,
}

/// A thread of the pool.
struct Row {
    life: u64,
    phase: Phase,
    /// Since when (ns) it has been running or idle.
    since_ns: u64,
    /// When (ns) its deadline was seen to have passed.
    over_ns: Option<u64>,
    seat: Arc<Seat>,
    pending: Pending,
    thread: Option<Thread>,
}

/// A thread's place in the pool: a slot, and which life of that slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    slot: usize,
    life: u64,
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.slot)
    }
}

pub(super) struct Shared {
    this: Weak<Self>,
    pub(super) language: Language,
    pub(super) source: Source,
    state: Mutex<State>,
}

struct State {
    settings: PoolSettings,
    /// Calls with the time (ns) at which they came.
    queue: VecDeque<(u64, Job)>,
    slots: Vec<Option<Row>>,
    lives: u64,
    /// Threads without work, the last used at the end.
    idle: Vec<Number>,
    /// Rows that are running and not for long.
    running: usize,
    starting: usize,
    /// Rows that are not starting.
    total: usize,
    /// When (ns) a thread last took a call from the queue, or was woken to do so.
    taken_ns: u64,
    /// How long calls run without waiting, on average (ns).
    stretch_ns: u64,
    /// Looks of the watchdog since the queue was last in use.
    calm: u32,
    /// Calls taken up when the watchdog last looked.
    seen_calls: u64,
    closed: bool,
    /// When (ns) an interpreter last failed to start, and why.
    failed: Option<(u64, String)>,
    first: Option<Loaded>,
    /// The sums; the rest is filled in by [`ScriptPool::stats`].
    counts: PoolStats,
}

type Loaded = oneshot::Sender<Result<Vec<Registration>, LoadError>>;

/// What a thread does next.
#[allow(clippy::large_enum_variant, reason = "passed on once, and a box would cost more")]
enum Step {
    Run(Job, u64),
    Rest,
    End,
}

impl State {
    fn new(settings: PoolSettings) -> Self {
        Self {
            settings,
            queue: VecDeque::new(),
            slots: Vec::new(),
            lives: 0,
            idle: Vec::new(),
            running: 0,
            starting: 0,
            total: 0,
            taken_ns: 0,
            stretch_ns: 0,
            calm: CALM_LOOKS,
            seen_calls: 0,
            closed: false,
            failed: None,
            first: None,
            counts: PoolStats::default(),
        }
    }

    fn stats(&self) -> PoolStats {
        let waiting = self.slots.iter().flatten().filter(|row| row.phase == Phase::Waiting);
        PoolStats {
            total: self.total,
            idle: self.idle.len(),
            waiting: waiting.count(),
            starting: self.starting,
            queued: self.queue.len(),
            ..self.counts
        }
    }

    /// The row of a thread, unless the thread was given up.
    fn row(&mut self, me: Number) -> Option<&mut Row> {
        self.slots.get_mut(me.slot)?.as_mut().filter(|row| row.life == me.life)
    }

    /// Changes a thread's phase, with the sums that follow from it.
    fn set_phase(&mut self, me: Number, now_ns: u64, phase: Phase) {
        let Some(row) = self.row(me) else { return };
        let before = std::mem::replace(&mut row.phase, phase);
        row.since_ns = now_ns;
        self.running += usize::from(phase == Phase::Running);
        self.running -= usize::from(before == Phase::Running);
        if before == Phase::Starting {
            self.starting -= 1;
            self.total += 1;
        }
    }

    /// Takes a thread out of the pool.
    fn remove(&mut self, me: Number) {
        let Some(row) = self.row(me) else { return };
        let phase = row.phase;
        self.slots[me.slot] = None;
        self.idle.retain(|other| other.slot != me.slot);
        match phase {
            Phase::Starting => self.starting -= 1,
            Phase::Running => {
                self.running -= 1;
                self.total -= 1;
            }
            Phase::Idle | Phase::Long | Phase::Waiting => self.total -= 1,
        }
    }

    /// Whether the queue's calls deserve a further thread.
    fn needs_thread(&self, now_ns: u64) -> bool {
        if self.queue.is_empty() {
            return false;
        }
        let Some(running) = u64::try_from(self.running).ok().filter(|running| *running > 0) else {
            return true;
        };
        let waiting = self.queue.len() as u64;
        let wait_ns = waiting.saturating_mul(self.stretch_ns) / running;
        let quiet_ns = now_ns.saturating_sub(self.taken_ns);
        quiet_ns >= ns(TICK)
            || (self.running < self.settings.processors
                && (wait_ns >= PATIENCE_NS || quiet_ns >= PATIENCE_NS))
    }

    /// Gives work to the thread that was last used: it is to be unparked.
    fn wake(&mut self, now_ns: u64) -> Option<Thread> {
        let me = self.idle.pop()?;
        // It has the same time to take its call up as a running one has to come to its end.
        self.taken_ns = now_ns;
        self.set_phase(me, now_ns, Phase::Running);
        self.row(me)?.thread.clone()
    }

    /// What the thread does that has ended a call (`after_call`) or was woken.
    fn step(&mut self, me: Number, now_ns: u64, after_call: bool) -> Step {
        let Some(row) = self.row(me) else { return Step::End };
        let stretch_ns = now_ns.saturating_sub(row.since_ns);
        if self.closed {
            self.remove(me);
            return Step::End;
        }
        self.set_phase(me, now_ns, Phase::Running);
        if after_call {
            self.stretch_ns = self.stretch_ns - self.stretch_ns / 8 + stretch_ns / 8;
        }
        // Threads that come back from waiting may be more than the machine can run.
        if self.running <= self.settings.processors {
            while let Some((_, job)) = self.queue.pop_front() {
                self.taken_ns = now_ns;
                if job.reply.is_closed() {
                    continue;
                }
                self.counts.calls += 1;
                let limit = self.settings.limit_of(job.call.context.mode);
                return Step::Run(job, due(now_ns, limit));
            }
        }
        self.set_phase(me, now_ns, Phase::Idle);
        self.idle.push(me);
        Step::Rest
    }
}

impl Shared {
    fn push(&self, job: Job) -> Result<()> {
        let now_ns = now_ns();
        let mut state = self.state.lock();
        if state.closed {
            return Err(STOPPED.into());
        }
        if state.queue.len() >= state.settings.queue {
            state.counts.refused += 1;
            return Err(QUEUE_FULL.into());
        }
        if state.total + state.starting == 0 {
            self.fill(&mut state);
            if state.starting == 0 {
                let cause = state.failed.as_ref().map_or("none could be made", |(_, why)| why);
                return Err(Fault::new(NO_INTERPRETER, cause).into());
            }
        }
        state.queue.push_back((now_ns, job));
        let woken = if state.needs_thread(now_ns) { state.wake(now_ns) } else { None };
        // A call that is left to others is the watchdog's care.
        let call = woken.is_none() && {
            state.calm = 0;
            self.source.watchdog.must_be_called(Pace::Queue)
        };
        drop(state);
        if let Some(thread) = woken {
            thread.unpark();
        }
        if call {
            self.source.watchdog.call();
        }
        Ok(())
    }

    /// The next call for the thread `me`, with the instant (ns) at which its time is up; waits for
    /// one. `None` when the thread is to end.
    pub(super) fn next(&self, me: Number, mut after_call: bool) -> Option<(Job, u64)> {
        loop {
            let now_ns = now_ns();
            let mut state = self.state.lock();
            match state.step(me, now_ns, after_call) {
                Step::Run(job, due_ns) => {
                    let call = self.source.watchdog.must_be_called(Pace::Deadlines);
                    drop(state);
                    if call {
                        self.source.watchdog.call();
                    }
                    return Some((job, due_ns));
                }
                Step::End => return None,
                Step::Rest => drop(state),
            }
            after_call = false;
            loop {
                thread::park();
                // Unless it woke without a reason.
                if self.state.lock().row(me).is_none_or(|row| row.phase != Phase::Idle) {
                    break;
                }
            }
        }
    }

    /// The thread `me` has loaded its modules, and is about to ask for calls. False if it was
    /// given up meanwhile.
    pub(super) fn started(&self, me: Number, registrations: Vec<Registration>) -> bool {
        let mut state = self.state.lock();
        if state.row(me).is_none() {
            state.counts.lost -= 1;
            return false;
        }
        state.set_phase(me, now_ns(), Phase::Running);
        state.counts.made += 1;
        state.failed = None;
        match state.first.take() {
            // The first alone decides when the others begin.
            Some(first) => drop(first.send(Ok(registrations))),
            None => self.fill(&mut state),
        }
        true
    }

    /// The thread `me` could not load its modules, and ends.
    pub(super) fn failed(&self, me: Number, error: LoadError) {
        let mut state = self.state.lock();
        if state.row(me).is_none() {
            state.counts.lost -= 1;
            return;
        }
        state.remove(me);
        self.record_failure(&mut state, error);
    }

    fn record_failure(&self, state: &mut State, error: LoadError) {
        if let Some(first) = state.first.take() {
            // Who asked is gone where this is not received.
            drop(first.send(Err(error)));
            return;
        }
        tracing::error!(runtime = self.language.name(), %error, "interpreter could not be started");
        if state.total + state.starting == 0 {
            for (_, job) in state.queue.drain(..) {
                drop(job.reply.send(Err(Fault::new(NO_INTERPRETER, error.to_string()).into())));
            }
        }
        state.failed = Some((now_ns(), error.to_string()));
        self.source.watchdog.call();
    }

    /// The interpreter of the thread `me` must not be used again, and the thread ends.
    pub(super) fn replace(&self, me: Number) {
        let mut state = self.state.lock();
        if state.row(me).is_some() {
            state.remove(me);
            state.counts.replaced += 1;
            self.fill(&mut state);
        }
    }

    /// A thread that was given up has come back, and ends.
    pub(super) fn came_back(&self) {
        let mut state = self.state.lock();
        state.counts.lost -= 1;
        self.fill(&mut state);
    }

    fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.queue.clear();
        while let Some(me) = state.idle.pop() {
            self.dismiss(&mut state, me);
        }
    }

    /// Starts interpreters, one after the other, up to the least number. The first comes alone.
    fn fill(&self, state: &mut State) {
        if state.counts.made > 0 && state.starting == 0 && state.total < state.settings.min {
            self.spawn(state);
        }
    }

    /// Starts an interpreter on a new thread, unless one failed a moment ago or too many threads
    /// are lost.
    fn spawn(&self, state: &mut State) {
        let retry_ns = state.failed.as_ref().map_or(0, |(at_ns, _)| at_ns + ns(RETRY));
        if state.closed || now_ns() < retry_ns || state.counts.lost > state.settings.max {
            return;
        }
        let Some(shared) = self.this.upgrade() else { return };
        let slot = state.slots.iter().position(Option::is_none).unwrap_or(state.slots.len());
        if slot == state.slots.len() {
            state.slots.push(None);
        }
        state.lives += 1;
        let me = Number { slot, life: state.lives };
        let loading = if state.first.is_some() { Loading::First } else { Loading::Again };
        let place = Place { shared: self.this.clone(), me };
        let seat = Seat::new(Arc::clone(&self.source.cx))
            .loading_with(loading, Arc::clone(&self.source.tape))
            .in_pool(state.settings.host_wait, Box::new(place))
            .checking(state.settings.check.clone());
        let seat = Arc::new(seat);
        let pending = Pending::default();
        state.starting += 1;
        state.slots[slot] = Some(Row {
            life: me.life,
            phase: Phase::Starting,
            since_ns: now_ns(),
            over_ns: None,
            seat: Arc::clone(&seat),
            pending: Arc::clone(&pending),
            thread: None,
        });
        seat.begin(due(now_ns(), state.settings.load_deadline));
        match Worker::spawn(shared, me, seat, pending) {
            Ok(thread) => {
                if let Some(row) = state.row(me) {
                    row.thread = Some(thread);
                }
            }
            Err(error) => {
                state.remove(me);
                let error = LoadError::of_pool(format!("no thread for an interpreter: {error}"));
                self.record_failure(state, error);
            }
        }
        if self.source.watchdog.must_be_called(Pace::Deadlines) {
            self.source.watchdog.call();
        }
    }

    /// Gives up the threads in these slots: their callers are told, and they are replaced.
    fn give_up(&self, state: &mut State, slots: Vec<usize>) {
        for slot in slots {
            let Some(row) = state.slots[slot].as_ref() else { continue };
            let me = Number { slot, life: row.life };
            let starting = row.phase == Phase::Starting;
            let reply = row.pending.lock().take();
            if reply.is_none() && !starting {
                // It has just come back.
                continue;
            }
            state.remove(me);
            state.counts.lost += 1;
            state.counts.replaced += 1;
            tracing::error!(
                runtime = self.language.name(),
                lost = state.counts.lost,
                "a thread did not come back after its deadline and was given up"
            );
            if let Some(reply) = reply {
                drop(reply.send(Err(GIVEN_UP.into())));
            }
            if starting {
                let error = LoadError::of_pool("loading did not end within its deadline");
                self.record_failure(state, error);
            }
            self.fill(state);
        }
    }

    /// Lets threads go that were idle too long.
    fn shrink(&self, state: &mut State, now_ns: u64) {
        let idle_ns = ns(state.settings.idle);
        // The one unused for longest stands first.
        while state.total > state.settings.min
            && let Some(&me) = state.idle.first()
            && let Some(row) = state.row(me)
            && now_ns.saturating_sub(row.since_ns) >= idle_ns
        {
            self.dismiss(state, me);
        }
    }

    /// Lets an idle thread go, which is no longer counted from now on.
    fn dismiss(&self, state: &mut State, me: Number) {
        let thread = state.row(me).and_then(|row| row.thread.take());
        state.remove(me);
        if let Some(thread) = thread {
            thread.unpark();
        }
    }
}

impl Watched for Shared {
    fn look(&self, now_ns: u64) -> Look {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let grace_ns = ns(state.settings.grace);
        let mut active = false;
        let mut lost = Vec::new();
        for (slot, row) in state.slots.iter_mut().enumerate() {
            let Some(row) = row else { continue };
            match row.seat.check(now_ns) {
                Due::Not => {}
                Due::Now => {
                    row.over_ns = Some(now_ns);
                    state.counts.deadlines += 1;
                }
                Due::Over if now_ns.saturating_sub(row.over_ns.unwrap_or(now_ns)) >= grace_ns => {
                    lost.push(slot);
                }
                Due::Over => {}
            }
            if row.phase == Phase::Running && now_ns.saturating_sub(row.since_ns) >= ns(TICK) {
                row.phase = Phase::Long;
                state.running -= 1;
            }
            active |= matches!(row.phase, Phase::Starting | Phase::Running | Phase::Long);
        }
        self.give_up(state, lost);
        self.fill(state);

        let woken = if state.needs_thread(now_ns) { state.wake(now_ns) } else { None };
        let waited_ns =
            state.queue.front().map_or(0, |(came_ns, _)| now_ns.saturating_sub(*came_ns));
        if woken.is_none()
            && waited_ns >= ns(TICK)
            && state.idle.is_empty()
            && state.starting == 0
            && state.total < state.settings.max
        {
            self.spawn(state);
        }
        self.shrink(state, now_ns);

        active |= state.counts.calls != state.seen_calls;
        state.seen_calls = state.counts.calls;
        state.calm = if state.queue.is_empty() { state.calm.saturating_add(1) } else { 0 };
        let look = if state.calm < CALM_LOOKS {
            Look::Soon
        } else if active {
            Look::Within(state.settings.deadline_look())
        } else if state.failed.is_some() {
            Look::Later(RETRY)
        } else if state.total > state.settings.min {
            Look::Later(state.settings.idle)
        } else {
            Look::Called
        };
        drop(guard);
        if let Some(thread) = woken {
            thread.unpark();
        }
        look
    }
}

/// Tells the pool when the thread `me` waits in a host function.
struct Place {
    shared: Weak<Shared>,
    me: Number,
}

impl Waits for Place {
    fn leave(&self) {
        let Some(shared) = self.shared.upgrade() else { return };
        let now_ns = now_ns();
        let mut state = shared.state.lock();
        if state.row(self.me).is_none_or(|row| row.phase == Phase::Starting) {
            return;
        }
        state.set_phase(self.me, now_ns, Phase::Waiting);
        let woken = if state.needs_thread(now_ns) { state.wake(now_ns) } else { None };
        drop(state);
        if let Some(thread) = woken {
            thread.unpark();
        }
    }

    fn come_back(&self) {
        let Some(shared) = self.shared.upgrade() else { return };
        let mut state = shared.state.lock();
        if state.row(self.me).is_some_and(|row| row.phase == Phase::Waiting) {
            state.set_phase(self.me, now_ns(), Phase::Running);
        }
        let call = shared.source.watchdog.must_be_called(Pace::Deadlines);
        drop(state);
        if call {
            shared.source.watchdog.call();
        }
    }
}

#[cfg(test)]
mod tests;
