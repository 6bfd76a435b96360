//! The arbiters of matches: a few threads, on which matches and their interpreters live for good.

use std::{
    cell::RefCell,
    fmt,
    future::Future,
    io,
    rc::Rc,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use guildhall_core::{Code, Result, Status, config, error::OrFault as _};
use parking_lot::Mutex;
use tokio::{
    runtime::Builder,
    sync::{mpsc, oneshot},
    task::LocalSet,
};

use super::fiber::{Running, Stacks};
use crate::runtime::{
    memory,
    watchdog::{Look, Pace, Watchdog, Watched},
};

/// Pieces of work that may be on their way to a match thread before further ones wait.
const QUEUE: usize = 256;

/// Looks of the watchdog without anything new before it stops looking.
const LULLS: u32 = 64;

const STOPPED: Status = Status::new(Code::Unavailable, "The server is shutting down.");

/// The threads of matches; cheap to clone. They start with the first match and end with the last
/// handle.
#[derive(Clone)]
pub struct MatchArbiters(Arc<Owner>);

struct Owner {
    /// How many; at least one.
    count: usize,
    slice: Duration,
    threads: Mutex<Vec<Thread>>,
}

/// A thread, from outside.
#[derive(Clone)]
struct Thread {
    shared: Arc<Shared>,
    work: mpsc::Sender<Work>,
}

type Work = Box<dyn FnOnce() + Send>;

/// What a thread shares with the watchdog and with those who place matches on it.
pub(super) struct Shared {
    /// Matches that are there or about to be.
    load: AtomicUsize,
    /// The longest stretch that a handler runs before others get their turn.
    pub(super) slice: Duration,
    /// What runs on the thread, for the watchdog.
    running: Mutex<Option<Running>>,
    /// Looks of the watchdog since something last began to run.
    lulls: AtomicU32,
    watchdog: OnceLock<Watchdog>,
}

impl fmt::Debug for MatchArbiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MatchArbiters").field(&self.0.count).finish()
    }
}

impl MatchArbiters {
    /// As many threads as configured; none runs yet.
    pub fn new(config: &config::Match) -> Self {
        let count = match config.threads {
            0 => thread::available_parallelism().map_or(2, usize::from),
            count => count,
        };
        let slice = Duration::from_millis(config.slice_ms);
        Self(Arc::new(Owner { count, slice, threads: Mutex::default() }))
    }

    /// A place on the thread that has the fewest matches. It is taken from now on, until it is
    /// dropped.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn place(&self) -> Result<Place> {
        let mut threads = self.0.threads.lock();
        while threads.len() < self.0.count {
            let thread = Thread::start(threads.len(), self.0.slice)
                .or_fault("Could not start a thread for matches.")?;
            threads.push(thread);
        }
        let fewest = threads.iter().min_by_key(|thread| thread.shared.load());
        let thread = fewest.ok_or_else(|| Status::new(Code::Internal, "No match threads."))?;
        thread.shared.load.fetch_add(1, Ordering::Relaxed);
        Ok(Place(thread.clone()))
    }

    /// Matches on each thread.
    pub fn loads(&self) -> Vec<usize> {
        self.0.threads.lock().iter().map(|thread| thread.shared.load()).collect()
    }
}

impl Thread {
    fn start(number: usize, slice: Duration) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            load: AtomicUsize::new(0),
            slice,
            running: Mutex::new(None),
            lulls: AtomicU32::new(0),
            watchdog: OnceLock::new(),
        });
        let (work, queue) = mpsc::channel(QUEUE);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let builder = thread::Builder::new().name(format!("match-{number}"));
        builder.stack_size(memory::STACK_BYTES).spawn(move || {
            LocalSet::new().block_on(&runtime, serve(queue));
        })?;
        Ok(Self { shared, work })
    }
}

async fn serve(mut queue: mpsc::Receiver<Work>) {
    while let Some(work) = queue.recv().await {
        work();
    }
}

impl Shared {
    fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Lets `watchdog` look after long turns; the first one does.
    pub(super) fn watched_by(self: &Arc<Self>, watchdog: &Watchdog) {
        let mut news = false;
        self.watchdog.get_or_init(|| {
            news = true;
            watchdog.clone()
        });
        if news {
            let this: Weak<dyn Watched> = Arc::downgrade(self) as _;
            watchdog.watch(this);
        }
    }

    /// Notes what runs from now on, for the watchdog; what ran before.
    pub(super) fn begin(&self, running: Running) -> Option<Running> {
        let mut current = self.running.lock();
        let before = current.replace(running);
        self.lulls.store(0, Ordering::Relaxed);
        let watchdog = self.watchdog.get().filter(|watchdog| watchdog.must_be_called(Pace::Slices));
        drop(current);
        if let Some(watchdog) = watchdog {
            watchdog.call();
        }
        before
    }

    /// What [`begin`](Self::begin) noted has ended; `before` runs on.
    pub(super) fn end(&self, before: Option<Running>) {
        *self.running.lock() = before;
    }
}

impl Watched for Shared {
    fn look(&self, now_ns: u64) -> Look {
        let running = self.running.lock();
        if let Some(running) = running.as_ref().filter(|running| running.due_ns <= now_ns) {
            running.seat.nudge();
        }
        // Between two ticks nothing runs: looking on is cheaper than to be called each time.
        if running.is_some() || self.lulls.fetch_add(1, Ordering::Relaxed) < LULLS {
            Look::Slice(self.slice)
        } else {
            Look::Called
        }
    }
}

/// A reserved place on a match thread.
pub struct Place(Thread);

impl Drop for Place {
    fn drop(&mut self) {
        if self.0.shared.load.fetch_sub(1, Ordering::Relaxed) == 1 {
            memory::give_back();
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

impl Place {
    /// Runs what `work` makes on the place's thread, and gives back what came of it. It comes to
    /// its end there also if nobody waits for it any more.
    ///
    /// # Errors
    /// `Unavailable` while the server stops, or where the work panicked.
    pub async fn run<W, F>(self, work: W) -> Result<F::Output>
    where
        W: FnOnce(Placed) -> F + Send + 'static,
        F: Future<Output: Send + 'static> + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let queue = self.0.work.clone();
        let job: Work = Box::new(move || {
            let placed = self.here();
            tokio::task::spawn_local(async move {
                // Who asked may be gone.
                drop(reply.send(work(placed).await));
            });
        });
        queue.send(job).await.map_err(|_| STOPPED)?;
        answer.await.map_err(|_| STOPPED.into())
    }
}

impl Place {
    /// The place, on the calling thread, which is its own.
    pub(super) fn here(self) -> Placed {
        Placed { place: self, local: local() }
    }
}

/// What the fibers of a thread share.
#[derive(Default)]
pub(super) struct Local {
    pub(super) stacks: RefCell<Stacks>,
}

fn local() -> Rc<Local> {
    thread_local! {
        static LOCAL: Rc<Local> = Rc::default();
    }
    LOCAL.with(Rc::clone)
}

/// A reserved place, on its thread, which it does not leave.
pub struct Placed {
    place: Place,
    pub(super) local: Rc<Local>,
}

impl fmt::Debug for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Placed")
    }
}

impl Placed {
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.place.0.shared
    }
}
