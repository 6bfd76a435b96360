//! A call in progress: what the server's functions find behind the handle that a module holds.
//!
//! A handle is a number, looked up among the frames of the calling thread, so that one kept beyond
//! its call, or taken to another thread, is refused instead of followed.
#![allow(unsafe_code, reason = "frames of one thread are found by a number")]

use std::{
    cell::{OnceCell, RefCell},
    ptr,
    sync::atomic::{AtomicU64, Ordering},
};

use guildhall_sdk::abi::{self, Bytes};
use prost::Message;
use serde_json::Value as Json;

use super::{
    super::surroundings::Surroundings, context, library::NativeFunction, matches::Instance,
};
use crate::{
    registry::Point,
    runtime::{call::Context, seat::Seat},
};

/// One registration during an initialisation.
#[derive(Debug)]
pub(super) struct Enrolled {
    pub point: Point,
    pub name: String,
    /// The module's number of the function.
    pub number: u32,
    pub definition: Option<Json>,
}

/// A call in progress.
pub(super) struct Frame<'a> {
    pub seat: &'a Seat,
    pub context: &'a Context,
    /// The module file.
    pub module: &'a str,
    /// What was called, for the log.
    pub function: &'a str,
    surroundings: &'a Surroundings,
    /// The match whose function is called.
    instance: Option<&'a Instance>,
    /// What was registered; `None` outside an initialisation.
    enrolled: Option<RefCell<Vec<Enrolled>>>,
    answer: RefCell<Option<Vec<u8>>>,
    /// What a server's function gave the module last.
    result: RefCell<Vec<u8>>,
    context_bytes: OnceCell<Vec<u8>>,
}

impl<'a> Frame<'a> {
    /// The initialisation of a module.
    pub(super) fn of_module(
        seat: &'a Seat,
        context: &'a Context,
        surroundings: &'a Surroundings,
        module: &'a str,
    ) -> Self {
        Self {
            seat,
            context,
            module,
            function: "init",
            surroundings,
            instance: None,
            enrolled: Some(RefCell::default()),
            answer: RefCell::default(),
            result: RefCell::default(),
            context_bytes: OnceCell::new(),
        }
    }

    /// The call of a function.
    pub(super) fn of_function(
        seat: &'a Seat,
        context: &'a Context,
        surroundings: &'a Surroundings,
        function: &'a NativeFunction,
    ) -> Self {
        let frame = Self::of_module(seat, context, surroundings, &function.module);
        Self { function: &function.label, enrolled: None, ..frame }
    }

    /// The same call, of a match.
    pub(super) fn of_match(self, instance: &'a Instance) -> Self {
        Self { instance: Some(instance), ..self }
    }

    /// The match whose function is called.
    pub(super) fn instance(&self) -> Option<&'a Instance> {
        self.instance
    }

    /// Runs `work` with a handle that leads here while it runs.
    pub(super) fn enter<R>(&self, work: impl FnOnce(abi::Call) -> R) -> R {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let call = NEXT.fetch_add(1, Ordering::Relaxed);
        FRAMES.with_borrow_mut(|frames| frames.push((call, ptr::from_ref(self).cast())));
        let _leave = Leave;
        work(call)
    }

    /// Keeps `bytes` for the module until the next result or the end of the call.
    pub(super) fn keep(&self, bytes: Vec<u8>) -> Bytes {
        let mut result = self.result.borrow_mut();
        *result = bytes;
        Bytes::of(&result)
    }

    /// What the call gives back.
    pub(super) fn set_answer(&self, answer: &[u8]) {
        *self.answer.borrow_mut() = Some(answer.to_vec());
    }

    /// The context as the module reads it; good until the end of the call.
    pub(super) fn context_bytes(&self) -> Bytes {
        Bytes::of(self.context_bytes.get_or_init(|| {
            context::of(self.context, self.surroundings, self.instance).encode_to_vec()
        }))
    }

    /// Notes a registration; gives it back outside an initialisation.
    pub(super) fn enroll(&self, enrolled: Enrolled) -> Result<(), Enrolled> {
        match &self.enrolled {
            Some(all) => {
                all.borrow_mut().push(enrolled);
                Ok(())
            }
            None => Err(enrolled),
        }
    }

    /// The text of the call's error.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(self.answer.borrow().as_deref().unwrap_or_default()).into_owned()
    }

    /// What the call gave back.
    pub(super) fn into_answer(self) -> Option<Vec<u8>> {
        self.answer.into_inner()
    }

    /// What the module registered, in order.
    pub(super) fn into_enrolled(self) -> Vec<Enrolled> {
        self.enrolled.map(RefCell::into_inner).unwrap_or_default()
    }
}

thread_local! {
    /// The calls in progress on this thread, the innermost last.
    static FRAMES: RefCell<Vec<(abi::Call, *const Frame<'static>)>> =
        const { RefCell::new(Vec::new()) };
}

/// Takes the innermost frame away, also when the work panics.
struct Leave;

impl Drop for Leave {
    fn drop(&mut self) {
        FRAMES.with_borrow_mut(Vec::pop);
    }
}

/// Runs `work` on the innermost call of this thread, if `call` is its handle.
pub(super) fn with<R>(call: abi::Call, work: impl FnOnce(&Frame<'_>) -> R) -> Option<R> {
    // A thread that is ending has no calls.
    let innermost = FRAMES.try_with(|frames| frames.borrow().last().copied()).ok().flatten();
    let (_, frame) = innermost.filter(|(handle, _)| *handle == call)?;
    // SAFETY: `enter` put the frame there and borrows it until it has taken it away again. Its
    // lifetimes are not seen by `work`, which takes any.
    Some(work(unsafe { &*frame }))
}
