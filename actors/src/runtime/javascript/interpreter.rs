//! Calling: from a [`Call`] to the function's arguments, and from what it gave back to an
//! [`Output`].

use std::{rc::Rc, sync::Arc};

use guildhall_core::{Code, Error, Fault, Result, Status};
use rquickjs::{
    Context as Machine, Ctx, Function, Object, Persistent, Runtime, String as Text, Value,
    function::Args,
};

use super::{
    context::Constants,
    logger, messages, nk,
    raise::Raised,
    raw,
    read::{ReadError, Reader},
    state::{Frame, State},
    write::Writer,
};
use crate::{
    host::HostFunction,
    runtime::{
        call::{Argument, Call, Input, NATIVE_ONLY, Output},
        host::unicode,
        script::{Interpreter, Invoked},
    },
};

const COULD_NOT_RUN: &str = "Could not run runtime function.";
const COULD_NOT_READ: &str = "Could not read what the runtime function gave back.";
const INVALID_DATA: Status = Status::new(
    Code::Internal,
    "Runtime function returned invalid data - only allowed one return value of type string.",
);

/// A registered function of an interpreter.
pub(super) struct Registered {
    pub function: Persistent<Function<'static>>,
    /// The index of its module's [`Place`].
    pub place: usize,
    /// What it is called in messages.
    pub name: Arc<str>,
}

/// A module in its context, with what its functions are given.
pub(super) struct Place {
    pub nk: Persistent<Object<'static>>,
    pub logger: Persistent<Object<'static>>,
    pub constants: Constants,
    pub module: Arc<str>,
    pub machine: Machine,
}

impl Place {
    pub(super) fn new(
        machine: Machine,
        state: &Rc<State>,
        host: &'static [HostFunction],
        module: &str,
    ) -> rquickjs::Result<Self> {
        let (nk, logger, constants) = machine.with(|ctx| -> rquickjs::Result<_> {
            let nk = Persistent::save(&ctx, nk::nk(&ctx, state, host)?);
            let logger = Persistent::save(&ctx, logger::logger(&ctx, state)?);
            Ok((nk, logger, Constants::new(&ctx, &state.surroundings)?))
        })?;
        Ok(Self { nk, logger, constants, module: Arc::from(module), machine })
    }
}

/// A machine with all modules in it. The order of the fields is the order of their end.
pub(super) struct JavaScript {
    pub functions: Vec<Registered>,
    places: Vec<Place>,
    pub state: Rc<State>,
    _runtime: Runtime,
}

impl Drop for JavaScript {
    fn drop(&mut self) {
        // The machine's functions share the state, which would keep names of the machine alive.
        self.state.clear();
    }
}

impl JavaScript {
    pub(super) fn new(state: Rc<State>, runtime: Runtime) -> Self {
        Self { functions: Vec::new(), places: Vec::new(), state, _runtime: runtime }
    }

    /// The module that was added as the one with this number.
    pub(super) fn place(&self, index: usize) -> Option<&Place> {
        self.places.get(index)
    }

    /// Leaves only so many functions from `first` on, and the module that they are of.
    pub(super) fn leave(&mut self, first: usize, count: usize) {
        self.functions = self.functions.drain(..).skip(first).take(count).collect();
        if let Some(place) = self.functions.first().map(|function| function.place) {
            self.places = self.places.drain(..).skip(place).take(1).collect();
        }
    }

    /// Adds a module with its functions, in the order of their numbers.
    pub(super) fn add(&mut self, place: Place, functions: Vec<Registered>) {
        let index = self.places.len();
        self.places.push(place);
        self.functions
            .extend(functions.into_iter().map(|function| Registered { place: index, ..function }));
    }
}

impl Interpreter for JavaScript {
    fn call(&mut self, call: Call) -> Invoked {
        let registered = self.functions.get(call.function.0 as usize);
        let found = registered
            .and_then(|registered| Some((registered, self.places.get(registered.place)?)));
        let Some((registered, place)) = found else {
            let fault =
                Fault::new("RPC function not found", format!("no function {:?}", call.function));
            return Invoked { result: Err(fault.into()), spoiled: false };
        };
        self.state.enter(Frame {
            module: place.module.clone(),
            function: registered.name.clone(),
            context: call.context,
        });
        let result =
            place.machine.with(|ctx| invoke(&ctx, &self.state, place, registered, &call.input));
        Invoked { result, spoiled: self.state.spent.get() }
    }
}

fn invoke(
    ctx: &Ctx<'_>,
    state: &State,
    place: &Place,
    registered: &Registered,
    input: &Input,
) -> Result<Output> {
    let raised = |error: rquickjs::Error| -> Error {
        Raised::take(ctx, state, &error).into_error(&place.module, &registered.name)
    };
    let values = match input {
        Input::Rpc { payload } => {
            let payload = Text::from_str(ctx.clone(), &unicode(payload));
            [Some(payload.map_err(raised)?.into_value()), None, None]
        }
        Input::Before { request } => {
            let request = request.as_ref().map(|request| messages::show(ctx, state, request));
            [request.transpose()?, None, None]
        }
        Input::After { response, request } => {
            let response = match response {
                Some(response) => messages::show(ctx, state, response)?,
                None => Value::new_null(ctx.clone()),
            };
            let request = request.as_ref().map(|request| messages::show(ctx, state, request));
            [Some(response), request.transpose()?, None]
        }
        Input::Event { event } => [Some(messages::show(ctx, state, event)?), None, None],
        Input::Plain { arguments } => plain(ctx, state, arguments)?,
        Input::Match(_) => return Err(NATIVE_ONLY.into()),
    };
    let answer = call(ctx, state, place, registered, values).map_err(raised);
    settle(ctx, state);
    let answer = answer?;
    if answer.is_null() || answer.is_undefined() {
        return Ok(Output::Nothing);
    }
    match input {
        Input::Rpc { .. } => match answer.as_string() {
            Some(text) => Ok(Output::Text(raw::text(text).map_err(raised)?.into_bytes())),
            None => Err(INVALID_DATA.into()),
        },
        Input::Before { request: Some(request) } => Ok(messages::take(state, request, answer)),
        Input::Plain { .. } => serde::Deserialize::deserialize(Reader::new(answer, &state.names))
            .map(Output::Value)
            .map_err(|error: ReadError| Fault::new(COULD_NOT_READ, error.to_string()).into()),
        // Nothing is expected of these.
        Input::Before { request: None }
        | Input::After { .. }
        | Input::Event { .. }
        | Input::Match(_) => Ok(Output::Nothing),
    }
}

/// What a function is given after `nk`; no function takes more.
type Values<'js> = [Option<Value<'js>>; 3];

/// The server's own values as a script sees them.
fn plain<'js>(ctx: &Ctx<'js>, state: &State, arguments: &[Argument]) -> Result<Values<'js>> {
    let mut values: Values<'js> = Default::default();
    if arguments.len() > values.len() {
        return Err(Fault::new(COULD_NOT_RUN, "too many arguments for a function").into());
    }
    for (value, argument) in values.iter_mut().zip(arguments) {
        let writer = Writer::new(ctx, &state.names);
        let shown = erased_serde::serialize(argument.value(), writer);
        *value = Some(shown.map_err(|error| Fault::new(COULD_NOT_RUN, error.to_string()))?);
    }
    Ok(values)
}

fn call<'js>(
    ctx: &Ctx<'js>,
    state: &State,
    place: &Place,
    registered: &Registered,
    values: Values<'js>,
) -> rquickjs::Result<Value<'js>> {
    let frame = state.frame();
    let mut args = Args::new(ctx.clone(), 3 + values.iter().flatten().count());
    args.this(Value::new_null(ctx.clone()))?;
    args.push_arg(place.constants.of(ctx, state, &frame.context)?)?;
    args.push_arg(place.logger.clone().restore(ctx)?)?;
    args.push_arg(place.nk.clone().restore(ctx)?)?;
    for value in values.into_iter().flatten() {
        args.push_arg(value)?;
    }
    registered.function.clone().restore(ctx)?.call_arg(args)
}

/// Runs what promises left to do, so that none of it is left to another call.
pub(super) fn settle(ctx: &Ctx<'_>, state: &State) {
    while ctx.execute_pending_job() {
        // A job that was ended from outside may have been the last: nobody else hears of it.
        if state.seat.expired() || state.budget.exceeded() {
            state.spent.set(true);
            return;
        }
    }
}
