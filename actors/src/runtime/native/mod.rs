//! Native modules: shared libraries over the C ABI of `sdk/include/guildhall.h`.
//!
//! A library is loaded and initialised once, in path order, and never unloaded. Module code is
//! safe for threads by contract, so the interpreters of the pool are light handles on the same
//! libraries. The module's side contains its panics; a call that hangs cannot be stopped, and the
//! pool gives its thread up.
//!
//! Signal handlers that the server installed before loading stand again after it, since a Go
//! module that calls `signal.Notify` while it is initialised takes them. Handlers installed later
//! replace a module's in the usual way. Either way the server need not do anything.

mod context;
mod frame;
mod host;
mod library;
mod matches;
mod signals;
#[cfg(test)]
mod testing;

use std::sync::Arc;

use guildhall_core::{Code, Error, Fault, Status};
use guildhall_sdk::{
    abi::{self, Bytes},
    value::{Arguments, Value, ValueSerializer, from_value},
};
use parking_lot::Mutex;
use prost::Message as _;

pub use self::matches::MatchTurn;
pub(super) use self::matches::NativeMatch;
use self::{
    frame::Frame,
    library::{Library, NativeFunction},
};
use super::{
    call::{Argument, Call, Context, Input, Output},
    modules::ModuleFile,
    script::{Interpreter, Invoked, LoadError, Program, Started},
    seat::Seat,
    surroundings::Surroundings,
};
use crate::{
    host::Language,
    registry::{FunctionId, Registration},
};

/// The native modules of a server. Their initialisation runs at the first [`Program::start`] and
/// never again, so one program serves all generations of modules.
#[derive(Debug)]
pub struct NativeProgram {
    modules: Vec<ModuleFile>,
    surroundings: Arc<Surroundings>,
    loaded: Mutex<Option<Arc<Loaded>>>,
}

/// The libraries, loaded.
#[derive(Debug)]
struct Loaded {
    surroundings: Arc<Surroundings>,
    functions: Vec<NativeFunction>,
    registrations: Vec<Registration>,
}

impl NativeProgram {
    /// The program of the native ones among `modules`, in their order; nothing is loaded yet.
    pub fn new(mut modules: Vec<ModuleFile>, surroundings: Arc<Surroundings>) -> Self {
        modules.retain(|module| module.language == Language::Native);
        Self { modules, surroundings, loaded: Mutex::new(None) }
    }

    fn load(&self, seat: &Seat) -> Result<Loaded, LoadError> {
        let surroundings = Arc::clone(&self.surroundings);
        let mut loaded = Loaded { surroundings, functions: Vec::new(), registrations: Vec::new() };
        signals::keeping(|| {
            for module in &self.modules {
                loaded.add(module, seat)?;
            }
            Ok(loaded)
        })
    }
}

impl Loaded {
    /// Loads and initialises one library, and takes its registrations over.
    fn add(&mut self, file: &ModuleFile, seat: &Seat) -> Result<(), LoadError> {
        let module = file.path.as_str();
        let fail = |message| LoadError { module: module.to_owned(), line: None, message };
        let library = Library::open(&file.file).map_err(fail)?;
        let context = Context::default();
        let frame = Frame::of_module(seat, &context, &self.surroundings, module);
        let invoke = library.initialise(&frame).map_err(fail)?;
        for enrolled in frame.into_enrolled() {
            let next = u32::try_from(self.functions.len());
            let id = FunctionId(next.map_err(|_| fail("too many functions".to_owned()))?);
            let label = if enrolled.name.is_empty() {
                format!("{:?}", enrolled.point).to_lowercase()
            } else {
                enrolled.name.clone()
            };
            self.functions.push(NativeFunction {
                module: Arc::from(module),
                label: Arc::from(label),
                number: enrolled.number,
                invoke,
            });
            self.registrations.push(Registration {
                point: enrolled.point,
                name: enrolled.name,
                function: id,
                definition: enrolled.definition,
                module: module.to_owned(),
            });
        }
        Ok(())
    }
}

impl Program for NativeProgram {
    fn language(&self) -> Language {
        Language::Native
    }

    fn start(&self, seat: Arc<Seat>) -> Result<Started, LoadError> {
        let mut loaded = self.loaded.lock();
        let loaded = match &*loaded {
            Some(loaded) => Arc::clone(loaded),
            None => Arc::clone(loaded.insert(Arc::new(self.load(&seat)?))),
        };
        let registrations = loaded.registrations.clone();
        Ok(Started { interpreter: Box::new(Handle { loaded, seat }), registrations })
    }
}

/// A thread's handle on the libraries.
struct Handle {
    loaded: Arc<Loaded>,
    seat: Arc<Seat>,
}

const NO_SUCH_FUNCTION: Status = Status::new(Code::Internal, "Native function is not registered.");
const COULD_NOT_RUN: &str = "Could not run runtime function.";
const COULD_NOT_READ: &str = "Could not read what the runtime function gave back.";
const NO_MESSAGE: &str = "Native function failed without a message.";

impl Interpreter for Handle {
    fn call(&mut self, call: Call) -> Invoked {
        // A module that panicked contained it; native code has no state of ours to spoil.
        Invoked { result: self.run(&call), spoiled: false }
    }
}

impl Handle {
    fn run(&self, call: &Call) -> Result<Output, Error> {
        let function =
            self.loaded.functions.get(call.function.0 as usize).ok_or(NO_SUCH_FUNCTION)?;
        if let Input::Match(turn) = &call.input {
            let frame =
                Frame::of_function(&self.seat, &call.context, &self.loaded.surroundings, function);
            return turn.run(function, frame).map(Output::Match);
        }
        let arguments = match &call.input {
            Input::Plain { arguments } => Some(encoded(arguments)?),
            _ => None,
        };
        let (kind, payload, request) = match &call.input {
            Input::Rpc { payload } => (abi::kind::RPC, Some(payload), None),
            Input::Before { request } => {
                (abi::kind::BEFORE, request.as_ref().map(|wire| &wire.bytes), None)
            }
            Input::After { response, request } => (
                abi::kind::AFTER,
                response.as_ref().map(|wire| &wire.bytes),
                request.as_ref().map(|wire| &wire.bytes),
            ),
            Input::Event { event } => (abi::kind::EVENT, Some(&event.bytes), None),
            Input::Plain { .. } => (abi::kind::PLAIN, arguments.as_ref(), None),
            Input::Match(_) => return Err(NO_SUCH_FUNCTION.into()),
        };
        let mut input = input_of(kind, payload.map(Vec::as_slice));
        input.request = Bytes::maybe(request.map(Vec::as_slice));
        let frame =
            Frame::of_function(&self.seat, &call.context, &self.loaded.surroundings, function);
        let code = function.call(&frame, &input);
        let answer = frame.into_answer();
        if code != 0 {
            return Err(raised(code, answer.unwrap_or_default()).into());
        }
        Ok(match (kind, answer) {
            (abi::kind::RPC, Some(answer)) => Output::Text(answer),
            (abi::kind::BEFORE, Some(answer)) => Output::Message(answer),
            (abi::kind::PLAIN, Some(answer)) => plain_output(&answer)?,
            _ => Output::Nothing,
        })
    }
}

/// An input of no match and without a request.
fn input_of(kind: u32, payload: Option<&[u8]>) -> abi::Input {
    abi::Input {
        size: abi::size_of::<abi::Input>(),
        kind,
        payload: Bytes::maybe(payload),
        request: Bytes::NONE,
        r#match: 0,
        tick: 0,
        grace_s: 0,
    }
}

/// The server's own values as a module reads them.
fn encoded(arguments: &[Argument]) -> Result<Vec<u8>, Error> {
    let value = |argument: &Argument| erased_serde::serialize(argument.value(), ValueSerializer);
    let values = arguments.iter().map(value).collect::<Result<_, _>>();
    let values = values.map_err(|error| Fault::new(COULD_NOT_RUN, error))?;
    Ok(Arguments { values }.encode_to_vec())
}

/// What a function gave back that was called with plain values.
fn plain_output(answer: &[u8]) -> Result<Output, Error> {
    let unreadable = |error: String| Fault::new(COULD_NOT_READ, error);
    let value = Value::decode(answer).map_err(|error| unreadable(error.to_string()))?;
    if value == Value::NULL {
        return Ok(Output::Nothing);
    }
    let value = from_value(value).map_err(|error| unreadable(error.to_string()))?;
    Ok(Output::Value(value))
}

/// The error of a function: what is no gRPC error code becomes 13.
///
/// Source: Nakama, Go runtime, where a `runtime.Error` outside 1 to 16 becomes 13.
fn raised(code: u32, text: Vec<u8>) -> Status {
    let code = if (1..=16).contains(&code) { Code(code) } else { Code::Internal };
    if text.is_empty() {
        return Status::new(code, NO_MESSAGE);
    }
    Status::of(code, String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_are_not_grpcs_become_internal() {
        assert_eq!(raised(7, b"no".to_vec()), Status::new(Code::PermissionDenied, "no"));
        assert_eq!(raised(17, b"no".to_vec()), Status::new(Code::Internal, "no"));
        assert_eq!(raised(u32::MAX, Vec::new()), Status::new(Code::Internal, NO_MESSAGE));
    }
}
