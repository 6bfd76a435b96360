//! One interpreter: its state, what its modules registered, and how their functions are called.

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    rc::Rc,
    sync::Arc,
};

use guildhall_core::{Code, Error, Fault, Status};

use super::{
    convert,
    give::{Give, GiveEach},
    library,
    matches::Side,
    nakama,
    program::Shared,
    raw::{Ended, Kept, Kind, Place, Stack, Vm},
    take::{Arguments, Progress, Take, TakeError, text},
};
use crate::{
    host::{HostFunction, Language, Origin, Returns},
    registry::{FunctionId, Point, Registration},
    runtime::{
        call::{Call, Context, ExecutionMode, Input, NATIVE_ONLY, Output},
        matches::{Pause, current_fiber},
        script::{Interpreter, Invoked, LoadError},
        seat::{HostError, Loading, Seat},
    },
};

/// What a function of ours raises in a script.
pub(super) enum Raise {
    /// A text; the caller's position is put in front.
    Text(String),
    /// The last value of the stack.
    Value,
}

impl Raise {
    /// What is wrong with argument `index` of `function`.
    pub(super) fn argument(index: usize, function: &str, problem: &str) -> Self {
        Self::Text(format!("bad argument #{index} to {function} ({problem})"))
    }
}

/// A function of ours that scripts call; it answers how many results it left on the stack.
pub(super) struct Native {
    pub(super) name: &'static str,
    pub(super) run: fn(&Machine, &mut Stack<'_>) -> Result<i32, Raise>,
}

/// A registered function.
struct Registered {
    /// `None` where this interpreter did not come to register it, or it is not a function.
    function: Option<Kept>,
    /// The file it stands in, as error texts name it.
    file: Rc<str>,
    /// The name it was registered under, for logs.
    name: Rc<str>,
}

/// What logs say of the function that runs.
#[derive(Clone)]
pub(super) struct Running {
    /// The name it was registered under, or the module that is being loaded.
    pub(super) function: Rc<str>,
    /// The file.
    pub(super) module: Rc<str>,
}

/// An interpreter. Lives in a `Box`, whose address its functions know.
pub(super) struct Machine {
    /// First, since it is closed first and its functions know the rest.
    pub(super) vm: Vm,
    pub(super) seat: Arc<Seat>,
    pub(super) shared: Arc<Shared>,
    context: RefCell<Rc<Context>>,
    running: RefCell<Running>,
    functions: RefCell<Vec<Registered>>,
    registrations: RefCell<Vec<Registration>>,
    /// How often each point and name was registered so far.
    turns: RefCell<Vec<(Point, String)>>,
    /// The calls that led to the last error.
    trace: RefCell<String>,
    handler: Cell<Option<Kept>>,
    /// The functions that `run_once` has run.
    once: RefCell<HashSet<Place>>,
    /// Set for an interpreter that is a match's.
    pub(super) side: Option<Side>,
}

/// Notes the calls that led to an error and passes the error on.
static HANDLER: Native = Native {
    name: "error handler",
    run: |machine, stack| {
        // An error with a code was meant: nobody reads how it came about.
        if stack.kind(1) != Kind::Table {
            machine.trace.replace(stack.trace());
        }
        stack.cut(1);
        Ok(1)
    },
};

const NOT_HERE: Status =
    Status::new(Code::Internal, "The function was not registered again by this interpreter.");
const INVALID_RETURN: Status = Status::new(
    Code::Internal,
    "Runtime function returned invalid data - only allowed one return value of type String/Byte.",
);
const COULD_NOT_RUN: &str = "Could not run runtime function.";
const COULD_NOT_READ: &str = "Could not read what the runtime function gave back.";
const OUT_OF_STACK: Status = Status::new(Code::Internal, "Too many values for a Lua function.");

impl Machine {
    /// An interpreter with all modules of `shared` loaded.
    pub(super) fn start(shared: Arc<Shared>, seat: Arc<Seat>) -> Result<Box<Self>, LoadError> {
        let machine = Self::new(shared, seat, None)?;
        machine.load()?;
        Ok(machine)
    }

    /// The interpreter of a match; no module is loaded yet.
    pub(super) fn of_match(
        shared: Arc<Shared>,
        seat: Arc<Seat>,
        side: Side,
    ) -> Result<Box<Self>, LoadError> {
        let machine = Self::new(shared, seat, Some(side))?;
        machine.vm.save();
        machine
            .context
            .replace(Rc::new(Context { mode: ExecutionMode::Match, ..Context::default() }));
        machine.open(&mut machine.vm.stack())?;
        Ok(machine)
    }

    fn new(
        shared: Arc<Shared>,
        seat: Arc<Seat>,
        side: Option<Side>,
    ) -> Result<Box<Self>, LoadError> {
        let failed = |message: &str| LoadError {
            module: "lua".to_owned(),
            line: None,
            message: message.to_owned(),
        };
        let vm = Vm::new(shared.surroundings.memory_limit_bytes)
            .ok_or_else(|| failed("LuaJIT could not be started"))?;
        let nobody: Rc<str> = Rc::from("");
        let machine = Box::new(Self {
            vm,
            shared,
            context: RefCell::default(),
            running: RefCell::new(Running { function: Rc::clone(&nobody), module: nobody }),
            functions: RefCell::default(),
            registrations: RefCell::default(),
            turns: RefCell::default(),
            trace: RefCell::default(),
            handler: Cell::new(None),
            once: RefCell::default(),
            seat,
            side,
        });
        let alarm = machine.vm.alarm();
        machine.seat.set_stopper(Some(Box::new(move || alarm.raise())));
        Ok(machine)
    }

    /// Shapes the globals. Answers the function to be called once all modules are evaluated.
    fn open(&self, stack: &mut Stack<'_>) -> Result<Kept, LoadError> {
        stack.push_native(self, &HANDLER);
        self.handler.set(Some(stack.keep()));
        let nakama = nakama::push_module(self, stack);
        let finish = library::open(self, stack, nakama)?;
        stack.cut(0);
        Ok(finish)
    }

    fn load(&self) -> Result<(), LoadError> {
        let mut stack = self.vm.stack();
        if let Some(known) = self.shared.first.get() {
            let mut functions = self.functions.borrow_mut();
            functions.extend(known.iter().map(|(_, name)| Registered {
                function: None,
                file: Rc::from(""),
                name: Rc::from(name.as_str()),
            }));
        }
        let finish = self.open(&mut stack)?;
        for (index, source) in self.shared.sources.iter().enumerate() {
            self.enter(&source.name, &source.path);
            library::evaluate(self, &mut stack, index)?;
            stack.cut(0);
        }
        stack.push_kept(finish);
        let ended = self.vm.call(&mut stack, 0, 0);
        debug_assert_eq!(ended, Ended::Well);
        stack.cut(0);
        if self.shared.first.get().is_none() {
            // Only the first interpreter comes here, before any other is made.
            let _ = self.shared.first.set(self.turns.take());
        }
        Ok(())
    }

    /// Names what runs from now on.
    pub(super) fn enter(&self, function: &str, module: &str) {
        self.enter_rc(function, &Rc::from(module));
    }

    /// Names what runs from now on, in a module whose name is shared.
    pub(super) fn enter_rc(&self, function: &str, module: &Rc<str>) {
        let function = Rc::from(function);
        self.running.replace(Running { function, module: Rc::clone(module) });
    }

    /// What runs.
    pub(super) fn running(&self) -> Running {
        self.running.borrow().clone()
    }

    /// The context of what runs.
    pub(super) fn context(&self) -> Rc<Context> {
        Rc::clone(&self.context.borrow())
    }

    /// Whether `run_once` is to run the function that stands at `place`: while modules are loaded,
    /// the first time that it is met. Loading again runs it as well, since what it leaves in the
    /// interpreter is missed otherwise; host functions then answer what they answered.
    pub(super) fn begin_once(&self, place: Place) -> bool {
        let loading = self.seat.loading() != Loading::Done || self.shared.first.get().is_none();
        loading && self.once.borrow_mut().insert(place)
    }

    /// What was registered: of two for the same the last one counts.
    pub(super) fn registrations(&self) -> Vec<Registration> {
        let all = self.registrations.take();
        let mut kept: Vec<Registration> = Vec::with_capacity(all.len());
        for registration in all {
            let same = |other: &Registration| {
                other.point == registration.point && other.name == registration.name
            };
            match kept.iter_mut().find(|other| same(other)) {
                Some(earlier) => *earlier = registration,
                None => kept.push(registration),
            }
        }
        kept
    }

    /// Registers the value at `function` (none for a registration that is data only) for a point.
    /// While modules are loaded again it is matched with what the first loading registered; from
    /// calls it has no effect.
    pub(super) fn register(
        &self,
        stack: &mut Stack<'_>,
        function: Option<i32>,
        point: Point,
        name: &str,
        definition: Option<serde_json::Value>,
    ) {
        if self.seat.loading() == Loading::Done && self.shared.first.get().is_some() {
            return;
        }
        let turn = (point, name.to_owned());
        let index = match self.shared.first.get() {
            None => self.functions.borrow().len(),
            Some(first) => {
                let earlier = self.turns.borrow().iter().filter(|other| **other == turn).count();
                let mut same = first.iter().enumerate().filter(|(_, other)| **other == turn);
                let Some((index, _)) = same.nth(earlier) else { return };
                index
            }
        };
        self.turns.borrow_mut().push(turn);
        let file = stack.caller(1).map_or_else(|| self.running().module.to_string(), |at| at.file);
        let module = file.clone();
        let kept = function.map(|function| {
            stack.copy(function);
            stack.keep()
        });
        let file = function.and_then(|function| stack.defined(function)).map_or(file, |at| at.file);
        let registered = Registered { function: kept, file: Rc::from(file), name: Rc::from(name) };
        let mut functions = self.functions.borrow_mut();
        match functions.get_mut(index) {
            Some(slot) => *slot = registered,
            None => functions.push(registered),
        }
        let function = FunctionId(u32::try_from(index).unwrap_or(u32::MAX));
        let name = name.to_owned();
        self.registrations.borrow_mut().push(Registration {
            point,
            name,
            function,
            definition,
            module,
        });
    }

    /// Whether what runs is to come to its end. On a fiber others may have had their turn meanwhile.
    pub(super) fn must_end(&self) -> bool {
        self.seat.expired() || current_fiber().is_some_and(|it| it.pause_if_due() == Pause::End)
    }

    /// Calls a host function for a script.
    pub(super) fn call_host(
        &self,
        function: &'static HostFunction,
        stack: &mut Stack<'_>,
    ) -> Result<i32, Raise> {
        let count = stack.top();
        if !stack.reserve(16) {
            return Err(Raise::Text(OUT_OF_STACK.message.into_owned()));
        }
        let context = self.context();
        let origin = Origin { language: Language::Lua, context: &context };
        let progress = Progress::default();
        let ask = |stack: &mut Stack<'_>, insist| {
            let arguments = Arguments { stack, count, progress: &progress, insist };
            let mut arguments = <dyn erased_serde::Deserializer<'_>>::erase(arguments);
            self.seat.host(function, &mut arguments, origin)
        };
        let mut answer = ask(stack, None);
        if let Err(HostError::Arguments(problem)) = &answer
            && let Some(missing) = progress.missing(problem)
        {
            // Asked again with nil in its place, serde says what it wants there.
            answer = ask(stack, Some(missing));
        }
        let answer = answer.map_err(|error| match error {
            HostError::Arguments(problem) => {
                Raise::argument(progress.argument(), function.name, &problem)
            }
            HostError::Failed(error) => Raise::Text(error.message().to_owned()),
        })?;
        stack.cut(0);
        let given = match function.returns {
            Returns::Nothing => Ok(()),
            Returns::Value | Returns::Maybe => erased_serde::serialize(&**answer, Give(stack)),
            Returns::Each => erased_serde::serialize(&**answer, GiveEach(stack)),
        };
        given.map_err(|error| Raise::Text(error.to_string()))?;
        if function.returns == Returns::Maybe && stack.kind(-1) == Kind::Nil {
            stack.cut(0);
        }
        Ok(stack.top())
    }

    /// Calls the function below `arguments` arguments for a function of ours, within a call.
    ///
    /// # Errors
    /// What was raised, with its error value as the last value.
    pub(super) fn call_within(&self, stack: &mut Stack<'_>, arguments: i32) -> Result<(), Raise> {
        match self.vm.call(stack, arguments, 0) {
            Ended::Well => Ok(()),
            Ended::Raised | Ended::OutOfMemory => Err(Raise::Value),
        }
    }

    /// Calls the function below `arguments` arguments; afterwards the stack holds its results.
    fn invoke(&self, stack: &mut Stack<'_>, arguments: i32, own_file: &str) -> Result<(), Broken> {
        let handler = stack.top() - arguments;
        if let Some(kept) = self.handler.get() {
            stack.push_kept(kept);
            stack.insert(handler);
        }
        self.trace.borrow_mut().clear();
        let ended = self.vm.call(stack, arguments, handler);
        // On a fiber an alarm does not mean that the time is up.
        match self.vm.alarm().quit().filter(|_| self.seat.expired()) {
            Some(Some(place)) => {
                let function = place.function.as_deref().unwrap_or("?");
                let at = format!("{}:{}: in function {function}", place.file, place.line);
                return Err(Broken::late(&at));
            }
            Some(None) if ended != Ended::Well => {
                // A function of ours noticed before LuaJIT did: its error tells the place.
                let text = text(stack, -1).unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                let place = text.split_once(": ").map_or("?", |(place, _)| place);
                return Err(Broken::late(&format!(
                    "{place}: in function {}",
                    self.running().function
                )));
            }
            _ => {}
        }
        let broken = match ended {
            Ended::Well => {
                stack.remove(handler);
                return Ok(());
            }
            Ended::OutOfMemory => return Err(self.out_of_memory()),
            Ended::Raised => self.raised(stack, own_file),
        };
        Err(broken)
    }

    /// Calls a match's function below `arguments` arguments; afterwards the stack holds its results.
    ///
    /// # Errors
    /// What was raised, with its place.
    pub(super) fn invoke_match(&self, stack: &mut Stack<'_>, arguments: i32) -> Result<(), Error> {
        let invoked = self.invoke(stack, arguments, "");
        if let Some(fiber) = current_fiber() {
            self.vm.note(fiber.ran_ns());
        }
        invoked.map_err(|broken| broken.error)
    }

    fn out_of_memory(&self) -> Broken {
        let running = self.running();
        let message = format!(
            "{}: function {} needs more memory than the {} MB of runtime.memory_limit_mb",
            running.module,
            running.function,
            self.vm.limit_bytes() >> 20
        );
        let source = self.trace.take();
        Broken { error: fault(message, source, Code::ResourceExhausted), spoiled: true }
    }

    /// What the last value, an error value, means for the client.
    fn raised(&self, stack: &mut Stack<'_>, own_file: &str) -> Broken {
        let trace = self.trace.take();
        let error = match stack.kind(-1) {
            Kind::Table => table_error(stack, trace),
            _ => {
                let text = text(stack, -1).map_or_else(
                    || "bad argument #1 to error (value expected)".to_owned(),
                    |text| String::from_utf8_lossy(&text).into_owned(),
                );
                let message = if text.ends_with("stack overflow") {
                    self.overflow(&trace)
                } else {
                    public(&text, own_file)
                };
                let source = if trace.is_empty() { text } else { format!("{text}\n{trace}") };
                fault(message, source, Code::Internal)
            }
        };
        let out_of_memory = error.message().ends_with("not enough memory");
        if out_of_memory { self.out_of_memory() } else { Broken { error, spoiled: false } }
    }

    /// What a client sees of endless recursion: LuaJIT does not say where it was.
    fn overflow(&self, trace: &str) -> String {
        let place = trace.lines().next().and_then(|line| line.split_once(": in "));
        let running = self.running();
        let (at, function) = place.unwrap_or((&running.module, &running.function));
        format!("{at}: in function {function}: stack overflow")
    }

    /// Calls a registered function.
    fn run(&self, call: Call) -> Result<Output, Broken> {
        let index = usize::try_from(call.function.0).unwrap_or(usize::MAX);
        let (function, own_file, name) = match self.functions.borrow().get(index) {
            Some(Registered { function: Some(function), file, name }) => {
                (*function, Rc::clone(file), Rc::clone(name))
            }
            _ => return Err(Broken::from(Error::from(NOT_HERE))),
        };
        self.running.replace(Running { function: name, module: Rc::clone(&own_file) });
        let context = Rc::new(call.context);
        self.context.replace(Rc::clone(&context));

        let mut stack = self.vm.stack();
        stack.cut(0);
        if !stack.reserve(32) {
            return Err(Broken::from(Error::from(OUT_OF_STACK)));
        }
        stack.push_kept(function);
        convert::push_context(&mut stack, &context, &self.shared.surroundings);
        match call.input {
            Input::Rpc { payload } => {
                stack.push_bytes(&payload);
                self.invoke(&mut stack, 2, &own_file).map_err(Broken::in_rpc)?;
                rpc_output(&mut stack)
            }
            Input::Before { request } => {
                let template = request.as_ref().map(|request| request.descriptor.clone());
                convert::push_wire(&mut stack, request.as_ref())?;
                self.invoke(&mut stack, 2, &own_file)?;
                match (template, stack.kind(-1)) {
                    (None, _) | (_, Kind::Nothing | Kind::Nil) => Ok(Output::Nothing),
                    (Some(descriptor), kind) => {
                        let index = stack.top();
                        let value = Take::new(&mut stack, index);
                        Ok(convert::message(descriptor, kind == Kind::Table, value))
                    }
                }
            }
            Input::After { response, request } => {
                convert::push_wire(&mut stack, response.as_ref())?;
                convert::push_wire(&mut stack, request.as_ref())?;
                self.invoke(&mut stack, 3, &own_file)?;
                Ok(Output::Nothing)
            }
            Input::Event { event } => {
                convert::push_wire(&mut stack, Some(&event))?;
                self.invoke(&mut stack, 2, &own_file)?;
                Ok(Output::Nothing)
            }
            Input::Plain { arguments } => {
                let mut count = 1;
                for argument in &arguments {
                    erased_serde::serialize(argument.value(), Give(&mut stack))
                        .map_err(|error| Error::from(Fault::new(COULD_NOT_RUN, error)))?;
                    count += 1;
                }
                self.invoke(&mut stack, count, &own_file)?;
                plain_output(&mut stack)
            }
            Input::Match(_) => Err(Broken::from(Error::from(NATIVE_ONLY))),
        }
    }
}

impl Interpreter for Box<Machine> {
    fn call(&mut self, call: Call) -> Invoked {
        let (result, mut spoiled) = match self.run(call) {
            Ok(output) => (Ok(output), false),
            Err(broken) => (Err(broken.error), broken.spoiled),
        };
        self.vm.stack().cut(0);
        // What a function leaves behind must leave room for the next one.
        let limit = self.vm.limit_bytes();
        if limit > 0 && self.vm.used_bytes() > limit / 4 * 3 {
            self.vm.collect();
            spoiled |= self.vm.used_bytes() > limit / 4 * 3;
        }
        Invoked { result, spoiled }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.seat.set_stopper(None);
        self.vm.alarm().quit();
    }
}

/// A call that ended with an error.
struct Broken {
    error: Error,
    spoiled: bool,
}

impl Broken {
    /// The end of what ran too long; `place` says where it was.
    fn late(place: &str) -> Self {
        let message =
            format!("{place}: the function's running time is used up (runtime.call_deadline_ms)");
        let source = "stopped by the watchdog".to_owned();
        Self { error: fault(message, source, Code::DeadlineExceeded), spoiled: true }
    }

    /// An RPC has no codes beyond gRPC's.
    fn in_rpc(mut self) -> Self {
        let code = match &mut self.error {
            Error::Status(status) => &mut status.code,
            Error::Fault(fault) => &mut fault.code,
        };
        if !(1..=16).contains(&code.0) {
            *code = Code::Internal;
        }
        self
    }
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self { error, spoiled: false }
    }
}

fn fault(message: String, source: String, code: Code) -> Error {
    let mut fault = Fault::new(message, source);
    fault.code = code;
    fault.into()
}

/// The answer of an RPC: of several results the last one counts.
fn rpc_output(stack: &mut Stack<'_>) -> Result<Output, Broken> {
    match stack.kind(-1) {
        Kind::Nothing | Kind::Nil => Ok(Output::Nothing),
        Kind::Text => Ok(Output::Text(stack.bytes(-1).to_vec())),
        Kind::Function => Ok(Output::Text(text(stack, -1).unwrap_or_default())),
        Kind::Boolean | Kind::Number | Kind::Table | Kind::Other => {
            Err(Broken::from(Error::from(INVALID_RETURN)))
        }
    }
}

/// What a function gave back that was called with plain values: of several results the first.
fn plain_output(stack: &mut Stack<'_>) -> Result<Output, Broken> {
    // Below the results stands nothing.
    match stack.kind(1) {
        Kind::Nothing | Kind::Nil => Ok(Output::Nothing),
        _ => serde::Deserialize::deserialize(Take::new(stack, 1))
            .map(Output::Value)
            .map_err(|error: TakeError| Error::from(Fault::new(COULD_NOT_READ, error)).into()),
    }
}

/// What `error({text, code})` means.
///
/// Source: Nakama, `server/runtime_lua.go` (`invokeFunction`).
fn table_error(stack: &mut Stack<'_>, trace: String) -> Error {
    let table = stack.top();
    let length = stack.length(table);
    if length == 0 {
        let message = format!("table: {:#x}", stack.address(table));
        return fault(message, trace, Code::Internal);
    }
    stack.get_index(table, 1);
    let message = match text(stack, -1) {
        Some(text) => String::from_utf8_lossy(&text).into_owned(),
        None if stack.kind(-1) == Kind::Table => format!("table: {:#x}", stack.address(-1)),
        None => "nil".to_owned(),
    };
    if length == 1 {
        return fault(message, trace, Code::Internal);
    }
    stack.get_index(table, 2);
    let code = if stack.kind(-1) == Kind::Number { code(stack.number(-1)) } else { Code::Internal };
    Status::of(code, message).into()
}

/// A number as a code: cut to an integer, and to 32 bits.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as in the reference")]
fn code(number: f64) -> Code {
    Code((number as i64) as u32)
}

/// What a client sees of an error text: without the position, if that is in the function's own
/// file, and in the reference's words where those are LuaJIT's.
fn public(text: &str, own_file: &str) -> String {
    let text = match text.strip_prefix(own_file) {
        Some(rest) if rest.starts_with(':') && !own_file.is_empty() => {
            rest.split_once(": ").map_or(rest, |(_, text)| text)
        }
        _ => text,
    };
    if text.starts_with("attempt to call ") && text.ends_with(" value)")
        || text.starts_with("attempt to call a ") && text.ends_with(" value")
    {
        return "attempt to call a non-function object".to_owned();
    }
    text.to_owned()
}
