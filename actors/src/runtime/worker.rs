//! A script thread: makes its interpreter, runs calls on it one after the other, and ends with it.

use std::{
    any::Any,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::{self, Thread},
};

use guildhall_core::{Fault, panic_text};

use super::{
    memory,
    pool::{Job, Number, Pending, Shared},
    script::{Interpreter, Invoked, LoadError},
    seat::Seat,
};

const PANICKED: &str = "Runtime function failed unexpectedly.";

/// A thread of a pool, seen from within.
pub(super) struct Worker {
    shared: Arc<Shared>,
    me: Number,
    seat: Arc<Seat>,
    pending: Pending,
}

impl Worker {
    /// Starts a thread, which takes calls once it has loaded the modules.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub(super) fn spawn(
        shared: Arc<Shared>,
        me: Number,
        seat: Arc<Seat>,
        pending: Pending,
    ) -> io::Result<Thread> {
        let name = format!("{}-{me}", shared.language.name());
        let worker = Self { shared, me, seat, pending };
        let builder = thread::Builder::new().name(name).stack_size(memory::STACK_BYTES);
        builder.spawn(move || worker.run()).map(|handle| handle.thread().clone())
    }

    fn run(self) {
        let Some(interpreter) = self.load() else { return };
        let interpreter = self.serve(interpreter);
        // A panic while it goes away concerns nobody.
        if catch_unwind(AssertUnwindSafe(|| drop(interpreter))).is_err() {
            tracing::error!(
                runtime = self.shared.language.name(),
                "interpreter panicked at its end"
            );
        }
        memory::give_back();
    }

    fn load(&self) -> Option<Box<dyn Interpreter>> {
        let program = &self.shared.source.program;
        let started = catch_unwind(AssertUnwindSafe(|| program.start(Arc::clone(&self.seat))))
            .unwrap_or_else(|panic| Err(LoadError::of_pool(words_of(&*panic))));
        self.seat.end();
        self.seat.loaded();
        match started {
            Ok(started) => {
                self.shared.started(self.me, started.registrations).then_some(started.interpreter)
            }
            Err(error) => {
                self.shared.failed(self.me, error);
                None
            }
        }
    }

    /// Runs calls until the pool has no more for this thread; gives the interpreter back.
    fn serve(&self, mut interpreter: Box<dyn Interpreter>) -> Box<dyn Interpreter> {
        let mut after_call = false;
        while let Some((job, due_ns)) = self.shared.next(self.me, after_call) {
            after_call = true;
            let Job { call, reply } = job;
            *self.pending.lock() = Some(reply);
            self.seat.begin(due_ns);
            let invoked =
                catch_unwind(AssertUnwindSafe(|| interpreter.call(call))).unwrap_or_else(|panic| {
                    Invoked {
                        result: Err(Fault::new(PANICKED, words_of(&*panic)).into()),
                        spoiled: true,
                    }
                });
            let late = self.seat.end();
            let Some(reply) = self.pending.lock().take() else {
                self.shared.came_back();
                break;
            };
            // A caller that has gone does not want it.
            drop(reply.send(invoked.result));
            if invoked.spoiled || late {
                self.shared.replace(self.me);
                break;
            }
        }
        interpreter
    }
}

/// What a panic said.
pub(super) fn words_of(panic: &(dyn Any + Send)) -> String {
    format!("panicked: {}", panic_text(panic))
}
