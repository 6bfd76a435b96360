//! What the interpreter on a script thread works with: host functions, and the deadline.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures_util::FutureExt;
use guildhall_core::Error;
use parking_lot::Mutex;

use crate::{
    cx::Cx,
    host::{Answer, HostFunction, Origin},
};

/// Stops what runs on an interpreter, from the watchdog's thread.
pub type Stopper = Box<dyn Fn() + Send>;

/// Whether the modules of an interpreter are evaluated for real.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// A script thread's place: its host functions and its deadline.
pub struct Seat {
    cx: Arc<Cx>,
    expired: AtomicBool,
    stopper: Mutex<Option<Stopper>>,
}

impl Seat {
    /// A place on `cx`.
    pub fn new(cx: Arc<Cx>) -> Self {
        Self { cx, expired: AtomicBool::new(false), stopper: Mutex::new(None) }
    }

    /// The server's capabilities.
    pub fn cx(&self) -> &Arc<Cx> {
        &self.cx
    }

    /// Whether modules are being evaluated, and how.
    pub fn loading(&self) -> Loading {
        Loading::Done
    }

    /// Runs a host function for the function in progress. Where it waits, this thread waits and
    /// the deadline stands still.
    ///
    /// # Errors
    /// What is wrong with the arguments, or why the work failed.
    pub fn host(
        &self,
        function: &HostFunction,
        arguments: &mut dyn erased_serde::Deserializer<'_>,
        origin: Origin<'_>,
    ) -> Result<Arc<Answer>, HostError> {
        let _runtime = self.cx.io.enter();
        let mut work = function
            .begin(arguments, &self.cx, origin)
            .map_err(|error| HostError::Arguments(error.to_string()))?;
        let answer = match work.as_mut().now_or_never() {
            Some(answer) => answer,
            None => self.cx.io.block_on(work),
        };
        answer.map(Arc::new).map_err(HostError::Failed)
    }

    /// Whether the deadline of the function in progress has passed: an interpreter that is asked
    /// regularly (QuickJS) asks this.
    pub fn expired(&self) -> bool {
        self.expired.load(Ordering::Relaxed)
    }

    /// What the watchdog calls when the deadline passes, for an interpreter that must be told
    /// (LuaJIT). Replaced by `None` before what it points to goes away: once this returns, the
    /// old one is not running and will not run again.
    pub fn set_stopper(&self, stopper: Option<Stopper>) {
        *self.stopper.lock() = stopper;
    }
}
