//! Fibers: functions with a stack of their own that can stop in the middle and go on later.
//!
//! A match's handler runs as one, and a fiber is a future: while its handler waits in a host
//! function it is pending, and when its handler has run for a slice it is pending too, and woken at
//! once, behind those that wait for their turn. A fiber that is dropped midway comes to its end
//! first: its handler is told by an error at once, as if its time were up.
//!
//! What must stay true: a fiber stays on its thread, and a stack is used again only after its
//! function has returned.
#![allow(unsafe_code, reason = "what a fiber reaches while it runs is found by pointers")]

use std::{
    cell::Cell,
    future::Future,
    pin::{Pin, pin},
    ptr,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use corosensei::{
    Coroutine, CoroutineResult, Yielder,
    stack::{DefaultStack, Stack as _},
};
use tokio::{runtime::Handle, task::yield_now};

use super::arbiters::Placed;
use crate::runtime::{
    memory,
    seat::Seat,
    watchdog::{now_ns, ns},
};

/// Stacks that a thread keeps for the next fibers.
const KEPT_STACKS: usize = 32;

/// How often a fiber whose end is due is resumed before it is given up. Once is enough for all that
/// can be stopped.
const CANCELLED_TURNS: usize = 16;

/// Stacks without a fiber.
#[derive(Default)]
pub(super) struct Stacks(Vec<DefaultStack>);

impl Stacks {
    fn take(&mut self) -> std::io::Result<DefaultStack> {
        self.0.pop().map_or_else(|| DefaultStack::new(memory::STACK_BYTES), Ok)
    }

    fn give(&mut self, stack: DefaultStack) {
        if self.0.len() < KEPT_STACKS {
            self.0.push(stack);
        }
    }
}

/// What runs on a match thread, as the watchdog sees it.
pub(super) struct Running {
    /// When (ns) it is to be told to pause.
    pub(super) due_ns: u64,
    pub(super) seat: Arc<Seat>,
}

/// Why a fiber stopped.
enum Stop {
    /// It waits for what its waker was given to.
    Waits,
    /// Others are to have their turn.
    Aside,
}

/// What a fiber and its function share.
struct State {
    yielder: Cell<*const Yielder<(), Stop>>,
    /// Set while it runs.
    waker: Cell<*const Waker>,
    /// When (ns) it was last resumed.
    since_ns: Cell<u64>,
    /// How long (ns) it ran before.
    spent_ns: Cell<u64>,
    limit_ns: u64,
    slice_ns: u64,
    cancelled: Cell<bool>,
    /// The middle of its stack.
    middle: usize,
    seat: Arc<Seat>,
}

thread_local! {
    /// The fiber that runs on this thread.
    static CURRENT: Cell<*const State> = const { Cell::new(ptr::null()) };
}

/// A function on a stack of its own, as a future of what it gives back.
pub(super) struct Fiber<R: 'static> {
    coroutine: Option<Coroutine<(), Stop, R>>,
    state: Rc<State>,
    placed: Rc<Placed>,
}

impl<R: 'static> Fiber<R> {
    /// A fiber that will run `work` for at most `limit`, not counting its waits. When that has
    /// passed, `seat` is expired.
    ///
    /// # Errors
    /// Where the system gives no memory for a stack.
    pub(super) fn new(
        placed: &Rc<Placed>,
        seat: &Arc<Seat>,
        limit: Duration,
        work: impl FnOnce() -> R + 'static,
    ) -> std::io::Result<Self> {
        let stack = placed.local.stacks.borrow_mut().take()?;
        let state = Rc::new(State {
            yielder: Cell::new(ptr::null()),
            waker: Cell::new(ptr::null()),
            since_ns: Cell::new(0),
            spent_ns: Cell::new(0),
            limit_ns: ns(limit),
            slice_ns: ns(placed.shared().slice),
            cancelled: Cell::new(false),
            middle: stack.base().get() - memory::STACK_BYTES / 2,
            seat: Arc::clone(seat),
        });
        let own = Rc::clone(&state);
        let coroutine = Coroutine::with_stack(stack, move |yielder: &Yielder<(), Stop>, ()| {
            own.yielder.set(yielder);
            work()
        });
        Ok(Self { coroutine: Some(coroutine), state, placed: Rc::clone(placed) })
    }

    /// Lets the function run until it stops or ends.
    fn resume(&mut self, waker: &Waker) -> Poll<R> {
        let Some(coroutine) = &mut self.coroutine else { return Poll::Pending };
        let state = &*self.state;
        let since_ns = now_ns();
        state.since_ns.set(since_ns);
        state.waker.set(waker);
        let left_ns = state.limit_ns.saturating_sub(state.spent_ns.get());
        let due_ns = since_ns.saturating_add(left_ns.min(state.slice_ns));
        let outer = Outer {
            running: self.placed.shared().begin(Running { due_ns, seat: Arc::clone(&state.seat) }),
            fiber: CURRENT.replace(state),
            middle: memory::enter_stack(state.middle),
            placed: &self.placed,
        };
        let result = coroutine.resume(());
        drop(outer);
        state.waker.set(ptr::null());
        state.rest();
        match result {
            CoroutineResult::Yield(Stop::Waits) => Poll::Pending,
            CoroutineResult::Yield(Stop::Aside) => {
                // Woken once the thread has looked at its timers and sockets: a task that is woken
                // at once comes before them.
                let mut others = pin!(yield_now());
                let _pending = others.as_mut().poll(&mut Context::from_waker(waker));
                Poll::Pending
            }
            CoroutineResult::Return(result) => {
                if let Some(coroutine) = self.coroutine.take() {
                    self.placed.local.stacks.borrow_mut().give(coroutine.into_stack());
                }
                Poll::Ready(result)
            }
        }
    }
}

/// What ran on the thread before, which runs on afterwards: a fiber that another one drops comes to
/// its end inside of it.
struct Outer<'a> {
    running: Option<Running>,
    fiber: *const State,
    middle: usize,
    placed: &'a Placed,
}

impl Drop for Outer<'_> {
    fn drop(&mut self) {
        CURRENT.set(self.fiber);
        memory::enter_stack(self.middle);
        self.placed.shared().end(self.running.take());
    }
}

impl<R: 'static> Future for Fiber<R> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        self.resume(cx.waker())
    }
}

// What a fiber points to stays where it is, on its stack and behind its `Rc`.
impl<R: 'static> Unpin for Fiber<R> {}

impl<R: 'static> Drop for Fiber<R> {
    fn drop(&mut self) {
        let Some(coroutine) = self.coroutine.take_if(|coroutine| !coroutine.started()) else {
            self.finish();
            return;
        };
        drop(coroutine);
    }
}

impl<R: 'static> Fiber<R> {
    /// Brings a function that stopped midway to its end. Its stack may hold frames of an
    /// interpreter, through which Rust must not unwind.
    fn finish(&mut self) {
        self.state.cancelled.set(true);
        for _ in 0..CANCELLED_TURNS {
            if self.coroutine.is_none() {
                return;
            }
            // It stops no more: waits are refused, and whoever asks is told to end.
            self.state.seat.expire();
            drop(self.resume(Waker::noop()));
        }
        tracing::error!("a match handler did not come to its end and is left behind");
        std::mem::forget(self.coroutine.take());
    }
}

impl State {
    /// Stops the clock of the running time.
    fn rest(&self) {
        let stretch_ns = now_ns().saturating_sub(self.since_ns.get());
        self.spent_ns.set(self.spent_ns.get().saturating_add(stretch_ns));
    }

    fn stop(&self, stop: Stop) {
        // SAFETY: the function that runs on this fiber's stack was given the yielder, which lives
        // there as long as it runs; and it is this function that calls.
        unsafe { (*self.yielder.get()).suspend(stop) };
    }
}

/// The running fiber, for its function.
pub(crate) struct Current(*const State);

/// The fiber that runs on this thread, if one does.
pub(crate) fn current() -> Option<Current> {
    let state = CURRENT.get();
    (!state.is_null()).then_some(Current(state))
}

/// What a function that may have to stop is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    /// Go on. It may have stopped for a while.
    GoOn,
    /// Come to an end: its time is up, or nobody waits for it.
    End,
}

impl Current {
    fn state(&self) -> &State {
        // SAFETY: set from a fiber that is borrowed while it runs, and read by its function only,
        // which therefore runs; it is not moved, since it stands behind an `Rc`.
        unsafe { &*self.0 }
    }

    /// How long (ns) it has run so far, without its waits.
    pub(crate) fn ran_ns(&self) -> u64 {
        let state = self.state();
        let stretch_ns = now_ns().saturating_sub(state.since_ns.get());
        state.spent_ns.get().saturating_add(stretch_ns)
    }

    /// Lets others have their turn if the slice is used up.
    pub(crate) fn pause_if_due(&self) -> Pause {
        let state = self.state();
        if state.cancelled.get() {
            return Pause::End;
        }
        let stretch_ns = now_ns().saturating_sub(state.since_ns.get());
        if state.spent_ns.get().saturating_add(stretch_ns) >= state.limit_ns {
            state.seat.expire();
            return Pause::End;
        }
        if stretch_ns < state.slice_ns {
            return Pause::GoOn;
        }
        state.stop(Stop::Aside);
        if state.cancelled.get() { Pause::End } else { Pause::GoOn }
    }

    /// Waits until `work` is done, while others have the thread: what came of it, or `None` where
    /// nobody waits for this fiber any more. `work` may use the runtime `io`.
    ///
    /// The work is done on the thread's own stack, since nobody knows how much of it it needs.
    pub(crate) fn wait<F: Future>(&self, io: &Handle, mut work: Pin<&mut F>) -> Option<F::Output> {
        let state = self.state();
        loop {
            if state.cancelled.get() {
                return None;
            }
            let poll = || {
                let _io = io.enter();
                // What runs there is no handler, and must not be stopped like one.
                let _hidden = Hidden(CURRENT.replace(ptr::null()));
                // SAFETY: `resume` set it and borrows it until this fiber stops.
                let waker = unsafe { &*state.waker.get() };
                work.as_mut().poll(&mut Context::from_waker(waker))
            };
            // SAFETY: the yielder as in `stop`; it is not used by what runs on the thread's stack,
            // which is this thread's: nothing is sent anywhere.
            let polled = unsafe { (*state.yielder.get()).on_parent_stack(Same(poll).run()) };
            match polled {
                Poll::Ready(output) => return Some(output),
                Poll::Pending => state.stop(Stop::Waits),
            }
        }
    }
}

/// Puts the running fiber back.
struct Hidden(*const State);

impl Drop for Hidden {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// What stays on its thread, though it goes to another stack.
struct Same<F>(F);

// SAFETY: see the only use: the stack it is sent to is the same thread's.
unsafe impl<F> Send for Same<F> {}

impl<F: FnOnce() -> R, R> Same<F> {
    fn run(self) -> impl FnOnce() -> R + Send {
        move || {
            // All of it is moved here, not the part that is no `Send`.
            let whole = self;
            (whole.0)()
        }
    }
}
