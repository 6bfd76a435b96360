//! The watchdog: one thread that looks after all script pools and match threads.
//!
//! It notices deadlines, calls that wait behind a long one, match handlers that others wait for, and
//! interpreters that are idle too long. While calls are made it looks a few times a second; while
//! match handlers run, once a slice; while calls wait in a queue, every millisecond; when nothing
//! runs it sleeps until it is called.

use std::{
    fmt, io,
    sync::{
        Arc, LazyLock, Weak,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// How long a call may wait behind others before the watchdog gives it a thread of its own.
pub(super) const TICK: Duration = Duration::from_millis(1);

/// The time in nanoseconds since the first question; never 0.
pub(super) fn now_ns() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX).saturating_add(1)
}

/// A duration in nanoseconds.
pub(super) fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// How closely the watchdog is looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Pace {
    /// Not at all, or at its leisure.
    Asleep,
    /// Often enough for deadlines.
    Deadlines,
    /// Often enough for the slices of match handlers.
    Slices,
    /// Every [`TICK`].
    Queue,
}

/// When a pool wants to be looked at again; the closest look first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// After a [`TICK`].
    Soon,
    /// After this time, since match handlers run.
    Slice(Duration),
    /// After this time, since calls run.
    Within(Duration),
    /// After this time; if calls run before, it calls the watchdog.
    Later(Duration),
    /// When it calls the watchdog.
    Called,
}

impl Look {
    /// A look that satisfies both.
    fn sooner(self, other: Self) -> Self {
        match (self, other) {
            (Self::Called, look) | (look, Self::Called) => look,
            (Self::Soon, _) | (_, Self::Soon) => Self::Soon,
            (Self::Slice(a), Self::Slice(b) | Self::Within(b) | Self::Later(b))
            | (Self::Within(a) | Self::Later(a), Self::Slice(b)) => Self::Slice(a.min(b)),
            (Self::Within(a), Self::Within(b) | Self::Later(b))
            | (Self::Later(a), Self::Within(b)) => Self::Within(a.min(b)),
            (Self::Later(a), Self::Later(b)) => Self::Later(a.min(b)),
        }
    }
}

/// What the watchdog looks after.
pub(super) trait Watched: Send + Sync {
    /// Looks at deadlines and queues; says when to look again.
    fn look(&self, now_ns: u64) -> Look;
}

/// A handle on the watchdog's thread, which ends with the last handle.
#[derive(Clone, Debug)]
pub struct Watchdog(Arc<Lead>);

/// What all handles share.
#[derive(Debug)]
struct Lead {
    shared: Arc<Shared>,
    thread: Thread,
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

struct Shared {
    pace: AtomicU8,
    stop: AtomicBool,
    watched: Mutex<Vec<Weak<dyn Watched>>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("pace", &self.pace).finish_non_exhaustive()
    }
}

impl Watchdog {
    /// Starts the thread.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared {
            pace: AtomicU8::new(Pace::Asleep as u8),
            stop: AtomicBool::new(false),
            watched: Mutex::new(Vec::new()),
        });
        let watch = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("watchdog".to_owned())
            .stack_size(256 << 10)
            .spawn(move || watch.run())?
            .thread()
            .clone();
        Ok(Self(Arc::new(Lead { shared, thread })))
    }

    /// Looks after `pool` until it is gone.
    pub(super) fn watch(&self, pool: Weak<dyn Watched>) {
        self.0.shared.watched.lock().push(pool);
        self.call();
    }

    /// Whether the watchdog must be [called](Self::call) so that it looks this closely. To be
    /// asked under the lock that [`Watched::look`] takes, so that either the look sees what is
    /// new or this sees that the look is over.
    pub(super) fn must_be_called(&self, pace: Pace) -> bool {
        let current = &self.0.shared.pace;
        current.load(Ordering::Relaxed) < pace as u8
            && current.fetch_max(pace as u8, Ordering::Relaxed) < pace as u8
    }

    /// Makes the watchdog look now.
    pub(super) fn call(&self) {
        self.0.thread.unpark();
    }
}

impl Shared {
    fn run(&self) {
        while !self.stop.load(Ordering::Acquire) {
            self.pace.store(Pace::Asleep as u8, Ordering::Relaxed);
            let look = self.look();
            let (pace, rest) = match look {
                Look::Soon => (Pace::Queue, Some(TICK)),
                Look::Slice(rest) => (Pace::Slices, Some(rest)),
                Look::Within(rest) => (Pace::Deadlines, Some(rest)),
                Look::Later(rest) => (Pace::Asleep, Some(rest)),
                Look::Called => (Pace::Asleep, None),
            };
            self.pace.fetch_max(pace as u8, Ordering::Relaxed);
            match rest {
                Some(rest) => thread::park_timeout(rest),
                None => thread::park(),
            }
        }
    }

    /// Looks at all pools; the soonest of their wishes.
    fn look(&self) -> Look {
        let mut soonest = Look::Called;
        let mut pools = Vec::new();
        self.watched.lock().retain(|pool| match pool.upgrade() {
            Some(pool) => {
                pools.push(pool);
                true
            }
            None => false,
        });
        // Outside the lock: a pool may end here, if this is its last holder.
        for pool in pools {
            soonest = soonest.sooner(pool.look(now_ns()));
        }
        soonest
    }
}
