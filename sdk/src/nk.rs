//! `Nk`: what a function sees of the server.
#![allow(unsafe_code, reason = "calls over the C ABI")]

use std::{
    cell::OnceCell,
    fmt,
    marker::PhantomData,
    sync::atomic::{AtomicU32, Ordering},
};

use prost::Message;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    abi::{Bytes, Call, Host},
    error::{Error, code},
    value::{Kind, Value, from_value, to_arguments, to_value, wire::Context},
};

/// The levels of the server's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs, reason = "the names are usual")]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// What a function sees of the server during one call: host functions, the context, the log.
///
/// It stays on the call's thread and ends with the call.
pub struct Nk<'a> {
    host: &'a Host,
    call: Call,
    context: OnceCell<Context>,
    // Not `Send`: a call's handle is good only on its thread.
    thread: PhantomData<*const ()>,
}

impl fmt::Debug for Nk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nk").field("call", &self.call).finish_non_exhaustive()
    }
}

impl<'a> Nk<'a> {
    pub(crate) fn new(host: &'a Host, call: Call) -> Self {
        Self { host, call, context: OnceCell::new(), thread: PhantomData }
    }

    /// The context of the call; read from the server at the first use.
    pub fn context(&self) -> &Context {
        self.context.get_or_init(|| {
            // SAFETY: the handle is that of the call in progress on this thread, and the bytes
            // are read before it ends.
            let bytes = unsafe { (self.host.context)(self.call).read() };
            bytes.and_then(|bytes| Context::decode(bytes).ok()).unwrap_or_default()
        })
    }

    /// Calls a host function by name (`"storage_write"`) or [`Function`]. `arguments` is a tuple
    /// of the positional arguments; what comes back is read as `R`, `()` where there is nothing.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` for a function that this server lacks, `INVALID_ARGUMENT` for arguments
    /// that do not fit, `INTERNAL` for a result that does not fit `R`, or the function's own.
    pub fn call<R: DeserializeOwned>(
        &self,
        function: impl Callee,
        arguments: impl Serialize,
    ) -> Result<R, Error> {
        let arguments = to_arguments(&arguments)?.encode_to_vec();
        let mut result = Bytes::NONE;
        // SAFETY: the pointers are good during the call; the result is read before the next one.
        let (status, bytes) = unsafe {
            let status = (self.host.call)(
                self.call,
                function.id(self)?,
                arguments.as_ptr(),
                arguments.len(),
                &raw mut result,
            );
            (status, result.read().unwrap_or_default())
        };
        if status != code::OK {
            return Err(Error::new(status, String::from_utf8_lossy(bytes)));
        }
        Ok(from_value(Value::decode(bytes)?)?)
    }

    /// Writes a line to the server's log; see also the macros [`crate::debug!`], [`crate::info!`],
    /// [`crate::warn!`] and [`crate::error!`].
    pub fn log(&self, level: Level, text: &str) {
        log(self.host, self.call, level, text, &[]);
    }

    /// Writes a line with fields, from a struct or map, to the server's log.
    pub fn log_with(&self, level: Level, text: &str, fields: &impl Serialize) {
        let fields = match to_value(fields).map(|value| value.kind) {
            Ok(Some(Kind::Map(map))) => map.encode_to_vec(),
            // A log line must not fail: what has no names goes without fields.
            _ => Vec::new(),
        };
        log(self.host, self.call, level, text, &fields);
    }

    /// The server's functions and the call's handle.
    pub(crate) fn sides(&self) -> (&'a Host, Call) {
        (self.host, self.call)
    }

    fn resolve(&self, name: &str) -> Result<u32, Error> {
        // SAFETY: the name is good during the call.
        match unsafe { (self.host.resolve)(name.as_ptr().cast(), name.len()) } {
            0 => {
                let message = format!("this server has no function {name}");
                Err(Error::new(code::UNIMPLEMENTED, message))
            }
            id => Ok(id),
        }
    }
}

pub(crate) fn log(host: &Host, call: Call, level: Level, text: &str, fields: &[u8]) {
    let fields = Bytes::of(fields);
    // SAFETY: the pointers are good during the call.
    unsafe {
        (host.log)(call, level as u32, text.as_ptr(), text.len(), fields.data, fields.len);
    }
}

/// A host function whose id is looked up once: `static WRITE: Function =
/// Function::new("storage_write")`, then `nk.call(&WRITE, …)`.
#[derive(Debug)]
pub struct Function {
    name: &'static str,
    id: AtomicU32,
}

impl Function {
    /// The host function of this name.
    pub const fn new(name: &'static str) -> Self {
        Self { name, id: AtomicU32::new(0) }
    }
}

/// A name of a host function, or a [`Function`].
pub trait Callee {
    /// The server's number for it.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` where the server has no such function.
    fn id(&self, nk: &Nk<'_>) -> Result<u32, Error>;
}

impl Callee for &str {
    fn id(&self, nk: &Nk<'_>) -> Result<u32, Error> {
        nk.resolve(self)
    }
}

impl Callee for &Function {
    fn id(&self, nk: &Nk<'_>) -> Result<u32, Error> {
        match self.id.load(Ordering::Relaxed) {
            0 => {
                let id = nk.resolve(self.name)?;
                self.id.store(id, Ordering::Relaxed);
                Ok(id)
            }
            id => Ok(id),
        }
    }
}
