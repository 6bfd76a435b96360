//! An interpreter that is one match's: only the module that registered the handler, in a machine of
//! its own.
//!
//! The state stays in the machine as the handler made it, where the reference copies it each time.
//! The context is one object for the life of the match.
//!
//! Source: Nakama, `server/runtime_javascript_match_core.go`: what functions are given, how what they
//! give back is read, and the words of both kinds of errors.

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc};

use bytes::Bytes;
use guildhall_core::{Caller, Code, Error, Result, Status};
use rquickjs::{
    Array, ArrayBuffer, Ctx, Error as JsError, Exception, Function, Object, Persistent,
    Result as JsResult, String as Text, Value,
    atom::PredefinedAtom,
    function::{Args, Rest},
};
use uuid::Uuid;

use super::{
    interpreter::{self, JavaScript, Registered},
    raise::{self, Raised},
    raw,
    state::{Frame, State},
    write::Writer,
};
use crate::runtime::{
    call::{Argument, Context, ExecutionMode},
    matches::{
        Broadcast, Dispatcher, JoinAnswer, JoinAttempt, Kicked, LABEL_MAX_BYTES, MatchCall,
        MatchIdentity, MatchInit, MatchMessage, MatchOutput, MatchPresence, MatchScript, Recipient,
        Refusal, Sender,
    },
};

/// The functions of a handler, in the order in which they are registered.
pub(super) const HANDLERS: [&str; 7] = [
    "matchInit",
    "matchJoinAttempt",
    "matchJoin",
    "matchLeave",
    "matchLoop",
    "matchTerminate",
    "matchSignal",
];

/// The handler's functions by their places in [`HANDLERS`].
#[derive(Clone, Copy)]
enum Handle {
    Init,
    JoinAttempt,
    Join,
    Leave,
    Loop,
    Terminate,
    Signal,
}

impl Handle {
    fn name(self) -> &'static str {
        HANDLERS[self as usize]
    }
}

/// What the dispatcher's functions know of the match.
struct Side {
    identity: MatchIdentity,
    dispatcher: Arc<dyn Dispatcher>,
    /// The context that all functions but the join attempt are given. Taken out before the machine
    /// ends, which holds functions that hold this.
    context: RefCell<Option<Persistent<Object<'static>>>>,
}

/// The handler of a match. Handles into the machine come before it.
struct Handler {
    side: Rc<Side>,
    dispatcher: Persistent<Object<'static>>,
    state: Option<Persistent<Object<'static>>>,
    interpreter: JavaScript,
}

impl Drop for Handler {
    fn drop(&mut self) {
        self.side.context.take();
    }
}

fn wrong(words: impl Into<String>) -> Error {
    Status::of(Code::InvalidArgument, words).into()
}

/// The handler whose functions `interpreter` holds, and nothing else.
pub(super) fn start(
    interpreter: JavaScript,
    identity: MatchIdentity,
    dispatcher: Arc<dyn Dispatcher>,
) -> Result<Box<dyn MatchScript>> {
    let side = Rc::new(Side { identity, dispatcher, context: RefCell::default() });
    let functions = interpreter.functions.len() == HANDLERS.len();
    let place = interpreter.place(0).filter(|_| functions);
    let place = place.ok_or_else(|| wrong("the match handler lacks functions"))?;
    let made = place.machine.with(|ctx| -> JsResult<_> {
        let state = &interpreter.state;
        let context = place.constants.bare(&ctx, state)?;
        context.set("executionMode", execution_mode(&ctx)?)?;
        context.set("matchId", side.identity.text())?;
        context.set("matchNode", &*side.identity.node)?;
        side.context.replace(Some(Persistent::save(&ctx, context)));
        let dispatcher = self::dispatcher(&ctx, &side)?;
        Ok(Persistent::save(&ctx, dispatcher))
    });
    let dispatcher =
        made.map_err(|error| wrong(format!("the JavaScript machine does not start: {error}")))?;
    Ok(Box::new(Handler { side, dispatcher, state: None, interpreter }))
}

/// The reference shows its own type here, an object worth a number, with one method.
fn execution_mode<'js>(ctx: &Ctx<'js>) -> JsResult<Value<'js>> {
    const MATCH: i32 = 5;
    let name = || ExecutionMode::Match.name();
    let number: rquickjs::function::Constructor<'js> = ctx.globals().get("Number")?;
    let mode: Object<'js> = number.construct((MATCH,))?;
    mode.set("String", Function::new(ctx.clone(), name)?.with_name("String")?)?;
    Ok(mode.into_value())
}

/// What the handler can do to its match.
fn dispatcher<'js>(ctx: &Ctx<'js>, side: &Rc<Side>) -> JsResult<Object<'js>> {
    type Method = for<'js> fn(&Ctx<'js>, &Side, &[Value<'js>]) -> JsResult<()>;
    let methods: [(&str, Method); 4] = [
        ("broadcastMessage", |ctx, side, values| broadcast(ctx, side, values, false)),
        ("broadcastMessageDeferred", |ctx, side, values| broadcast(ctx, side, values, true)),
        ("matchKick", kick),
        ("matchLabelUpdate", update_label),
    ];
    let object = Object::new(ctx.clone())?;
    for (name, method) in methods {
        let side = Rc::clone(side);
        let run = move |ctx: Ctx<'js>, values: Rest<Value<'js>>| method(&ctx, &side, &values.0);
        object.set(name, Function::new(ctx.clone(), run)?.with_name(name)?)?;
    }
    let freeze: Function<'js> = ctx.globals().get::<_, Object<'js>>("Object")?.get("freeze")?;
    freeze.call((object,))
}

impl MatchScript for Handler {
    fn call(&mut self, tick: i64, call: MatchCall) -> Result<MatchOutput> {
        let handle = match &call {
            MatchCall::Init { .. } => Handle::Init,
            MatchCall::JoinAttempt(_) => Handle::JoinAttempt,
            MatchCall::Join(_) => Handle::Join,
            MatchCall::Leave(_) => Handle::Leave,
            MatchCall::Loop(_) => Handle::Loop,
            MatchCall::Terminate { .. } => Handle::Terminate,
            MatchCall::Signal { .. } => Handle::Signal,
        };
        let Self { side, dispatcher, state: kept, interpreter } = self;
        let place = interpreter.place(0).ok_or_else(|| wrong("the match has no machine"))?;
        let registered = interpreter.functions.get(handle as usize);
        let registered = registered.ok_or_else(|| wrong("the match handler lacks functions"))?;
        let state = &*interpreter.state;
        state.enter(Frame {
            module: Arc::clone(&place.module),
            function: Arc::clone(&registered.name),
            context: Context { mode: ExecutionMode::Match, ..Context::default() },
        });
        place.machine.with(|ctx| {
            raw::enter_stack(&ctx);
            let turn = Turn { ctx: &ctx, state, side, registered, handle };
            let raised = |error: JsError| -> Error {
                Raised::take(&ctx, state, &error).into_error(&place.module, &registered.name)
            };
            let arguments = || -> JsResult<Args<'_>> {
                let mut args = Args::new(ctx.clone(), 8);
                args.this(Value::new_null(ctx.clone()))?;
                args.push_arg(turn.context(&call)?)?;
                args.push_arg(place.logger.clone().restore(&ctx)?)?;
                args.push_arg(place.nk.clone().restore(&ctx)?)?;
                if !matches!(call, MatchCall::Init { .. }) {
                    args.push_arg(dispatcher.clone().restore(&ctx)?)?;
                    args.push_arg(number(&ctx, tick))?;
                    let current = kept.clone().map(|kept| kept.restore(&ctx)).transpose()?;
                    args.push_arg(current)?;
                }
                turn.push(&mut args, &call)?;
                Ok(args)
            };
            let answer = arguments().and_then(|args| turn.call(args)).map_err(raised);
            interpreter::settle(&ctx, state);
            let (output, new) = turn.read(answer?).map_err(|problem| match problem {
                Problem::Words(words) => wrong(words),
                Problem::Raised(error) => raised(error),
            })?;
            if let Some(new) = new {
                *kept = Some(Persistent::save(&ctx, new));
            }
            Ok(output)
        })
    }
}

/// What is wrong with what a function gave back.
enum Problem {
    /// Its shape.
    Words(String),
    /// It could not be read: a getter threw.
    Raised(JsError),
}

impl From<JsError> for Problem {
    fn from(error: JsError) -> Self {
        Self::Raised(error)
    }
}

fn problem<T>(words: impl Into<String>) -> std::result::Result<T, Problem> {
    Err(Problem::Words(words.into()))
}

/// What an output leaves as the new state.
type Read<'js> = std::result::Result<(MatchOutput, Option<Object<'js>>), Problem>;

#[allow(clippy::cast_precision_loss, reason = "JavaScript's numbers are floats")]
fn number<'js>(ctx: &Ctx<'js>, value: i64) -> Value<'js> {
    Value::new_number(ctx.clone(), value as f64)
}

/// One call of the handler.
struct Turn<'a, 'js> {
    ctx: &'a Ctx<'js>,
    state: &'a State,
    side: &'a Side,
    registered: &'a Registered,
    handle: Handle,
}

impl<'js> Turn<'_, 'js> {
    /// Sets a field of our own, whose name is known to the machine.
    fn set(
        &self,
        object: &Object<'js>,
        name: &'static str,
        value: impl rquickjs::IntoJs<'js>,
    ) -> JsResult<()> {
        object.set(self.state.names.atom(self.ctx, name)?, value)
    }

    fn set_id(&self, object: &Object<'js>, name: &'static str, id: Uuid) -> JsResult<()> {
        self.set(object, name, &*id.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }

    /// The context of a call: a join attempt has one of its own, with what its session tells.
    fn context(&self, call: &MatchCall) -> JsResult<Object<'js>> {
        let kept = self.side.context.borrow().clone();
        let context = match kept {
            Some(kept) => kept.restore(self.ctx)?,
            None => Object::new(self.ctx.clone())?,
        };
        let MatchCall::JoinAttempt(attempt) = call else { return Ok(context) };
        let JoinAttempt { presence, caller, .. } = &**attempt;
        let own = Object::new(self.ctx.clone())?;
        for pair in context.props::<Value<'js>, Value<'js>>() {
            let (name, value) = pair?;
            own.set(name, value)?;
        }
        self.set_id(&own, "user_id", presence.user_id)?;
        self.set(&own, "username", &*presence.username)?;
        self.session(&own, caller)?;
        self.set_id(&own, "session_id", presence.session_id)?;
        Ok(own)
    }

    fn session(&self, context: &Object<'js>, caller: &Caller) -> JsResult<()> {
        if let Some(user) = &caller.user {
            if !user.vars.is_empty() {
                self.set(context, "vars", self.texts(&user.vars)?)?;
            }
            self.set(context, "user_session_exp", number(self.ctx, user.expires_s))?;
        }
        if let Some(ip) = caller.client_ip {
            self.set(context, "client_ip", ip.to_string())?;
        }
        if caller.client_port != 0 {
            self.set(context, "client_port", caller.client_port.to_string())?;
        }
        Ok(())
    }

    fn texts<'a>(
        &self,
        texts: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> JsResult<Object<'js>> {
        let object = Object::new(self.ctx.clone())?;
        for (name, value) in texts {
            object.set(name, value)?;
        }
        Ok(object)
    }

    /// Adds the arguments that a function has alone.
    fn push(&self, args: &mut Args<'js>, call: &MatchCall) -> JsResult<()> {
        match call {
            MatchCall::Init { params } => args.push_arg(self.params(params.as_ref())?),
            MatchCall::JoinAttempt(attempt) => {
                args.push_arg(self.presence(&attempt.presence, false)?)?;
                let metadata: &HashMap<_, _> = &attempt.metadata;
                args.push_arg(self.texts(metadata)?)
            }
            MatchCall::Join(presences) | MatchCall::Leave(presences) => {
                let list = Array::new(self.ctx.clone())?;
                for (index, presence) in presences.iter().enumerate() {
                    list.set(index, self.presence(presence, true)?)?;
                }
                args.push_arg(list)
            }
            MatchCall::Loop(messages) => {
                let list = Array::new(self.ctx.clone())?;
                for (index, message) in messages.iter().enumerate() {
                    list.set(index, self.message(message)?)?;
                }
                args.push_arg(list)
            }
            MatchCall::Terminate { grace_s } => args.push_arg(*grace_s),
            MatchCall::Signal { data } => args.push_arg(data.as_str()),
        }
    }

    fn params(&self, params: Option<&Argument>) -> JsResult<Value<'js>> {
        let Some(params) = params else { return Ok(Object::new(self.ctx.clone())?.into_value()) };
        erased_serde::serialize(params.value(), Writer::new(self.ctx, &self.state.names))
            .map_err(|error| raise::type_error(self.ctx, &error.to_string()))
    }

    fn presence(&self, presence: &MatchPresence, with_reason: bool) -> JsResult<Object<'js>> {
        let object = Object::new(self.ctx.clone())?;
        self.set_id(&object, "user_id", presence.user_id)?;
        self.set_id(&object, "session_id", presence.session_id)?;
        self.set(&object, "username", &*presence.username)?;
        self.set(&object, "node", &*presence.node)?;
        if with_reason {
            self.set(&object, "reason", presence.reason)?;
        }
        Ok(object)
    }

    fn message(&self, message: &MatchMessage) -> JsResult<Object<'js>> {
        let object = Object::new(self.ctx.clone())?;
        self.set(&object, "sender", self.presence(&message.sender, false)?)?;
        self.set(&object, "op_code", number(self.ctx, message.op_code))?;
        let data = if message.data.is_empty() {
            Value::new_null(self.ctx.clone())
        } else {
            ArrayBuffer::new_copy(self.ctx.clone(), &message.data)?.into_value()
        };
        self.set(&object, "data", data)?;
        self.set(&object, "reliable", message.reliable)?;
        self.set(&object, "receive_time_ms", number(self.ctx, message.receive_time_ms))?;
        Ok(object)
    }

    fn call(&self, args: Args<'js>) -> JsResult<Value<'js>> {
        self.registered.function.clone().restore(self.ctx)?.call_arg(args)
    }

    /// What a function gave back.
    fn read(&self, answer: Value<'js>) -> Read<'js> {
        let name = self.handle.name();
        if matches!(self.handle, Handle::Init) {
            return self.read_init(&answer);
        }
        if answer.is_null() || answer.is_undefined() {
            return Ok((MatchOutput::Ended, None));
        }
        let Some(answer) = plain(&answer) else {
            let and = if matches!(self.handle, Handle::JoinAttempt) {
                "'state' and 'accept' properties"
            } else {
                "'state' property"
            };
            return problem(format!("{name} is expected to return an object with {and}"));
        };
        let output = match self.handle {
            Handle::JoinAttempt => MatchOutput::Answered(self.join_answer(&answer)?),
            Handle::Signal => MatchOutput::Signalled(self.signal_answer(&answer)?),
            _ => MatchOutput::Continued,
        };
        let state: Value<'js> = answer.get("state")?;
        match plain(&state) {
            Some(state) => Ok((output, Some(state))),
            None => problem(format!(
                "{name} is expected to return an object with 'state' object property"
            )),
        }
    }

    fn read_init(&self, answer: &Value<'js>) -> Read<'js> {
        let Some(answer) = plain(answer) else {
            return problem(
                "matchInit is expected to return an object with 'state', 'tickRate' and 'label' \
                 properties",
            );
        };
        if !answer.contains_key("tickRate")? {
            return problem("matchInit return value has no 'tickRate' property");
        }
        let rate: Value<'js> = answer.get("tickRate")?;
        let whole = rate.as_number().filter(|rate| rate.fract() == 0.0);
        let Some(rate) = whole.filter(|rate| (1.0..=60.0).contains(rate)) else {
            return problem("matchInit 'tickRate' must be a number between 1 and 60");
        };
        let mut label = String::new();
        if answer.contains_key("label")? {
            let value: Value<'js> = answer.get("label")?;
            match value.as_string() {
                Some(text) => label = raw::text(text)?,
                None => return problem("matchInit 'label' value must be a string"),
            }
        }
        const NO_STATE: &str = "matchInit is expected to return an object with a 'state' property";
        if !answer.contains_key("state")? {
            return problem(NO_STATE);
        }
        let state: Value<'js> = answer.get("state")?;
        if state.is_null() || state.is_undefined() {
            return problem("Match initial state must not be nil");
        }
        let Some(state) = plain(&state) else { return problem(NO_STATE) };
        if label.len() > LABEL_MAX_BYTES {
            return problem(Refusal::LabelTooLong.to_string());
        }
        let kept = self.side.context.borrow().clone();
        if let Some(kept) = kept {
            let context = kept.restore(self.ctx)?;
            context.set("matchLabel", label.as_str())?;
            context.set("matchTickRate", rate)?;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 60")]
        let tick_rate_hz = rate as u8;
        Ok((MatchOutput::Begun(MatchInit { tick_rate_hz, label }), Some(state)))
    }

    fn join_answer(&self, answer: &Object<'js>) -> std::result::Result<JoinAnswer, Problem> {
        if !answer.contains_key("accept")? {
            return problem("matchJoinAttempt return value has an 'accept' property");
        }
        let Some(allow) = answer.get::<_, Value<'js>>("accept")?.as_bool() else {
            return problem("matchJoinAttempt 'accept' property must be a boolean");
        };
        let mut reason = String::new();
        if !allow && answer.contains_key("rejectMessage")? {
            match answer.get::<_, Value<'js>>("rejectMessage")?.as_string() {
                Some(text) => reason = raw::text(text)?,
                None => {
                    return problem("matchJoinAttempt 'rejectMessage' property must be a string");
                }
            }
        }
        Ok(JoinAnswer { allow, reason })
    }

    fn signal_answer(&self, answer: &Object<'js>) -> std::result::Result<String, Problem> {
        if !answer.contains_key("data")? {
            return Ok(String::new());
        }
        match answer.get::<_, Value<'js>>("data")?.as_string() {
            Some(text) => Ok(raw::text(text)?),
            None => problem("matchSignal 'data' property must be a string"),
        }
    }
}

/// The value as an object with named properties: neither a list nor a function.
fn plain<'js>(value: &Value<'js>) -> Option<Object<'js>> {
    value.as_object().filter(|_| !value.is_array() && !value.is_function()).cloned()
}

/// A refusal of the match's, as its handler sees it.
fn refused(ctx: &Ctx<'_>, what: &str, refusal: Refusal) -> JsError {
    let text = match refusal {
        Refusal::Stopped => refusal.to_string(),
        Refusal::DeferredFull | Refusal::LabelTooLong => format!("{what}: {refusal}"),
    };
    let thrown = Exception::from_message(ctx.clone(), &text)
        .and_then(|error| error.as_object().set(PredefinedAtom::Name, "GoError").map(|()| error));
    match thrown {
        Ok(error) => error.throw(),
        Err(error) => error,
    }
}

/// The argument at `index`, if it is there and neither null nor undefined.
fn given<'a, 'js>(values: &'a [Value<'js>], index: usize) -> Option<&'a Value<'js>> {
    values.get(index).filter(|value| !value.is_null() && !value.is_undefined())
}

/// `broadcastMessage(opCode, data, presences, sender, reliable)`.
fn broadcast<'js>(
    ctx: &Ctx<'js>,
    side: &Side,
    values: &[Value<'js>],
    deferred: bool,
) -> JsResult<()> {
    let refuse = |words: &str| raise::type_error(ctx, words);
    let op_code = values.first().and_then(Value::as_number);
    let Some(op_code) = op_code.filter(|number| number.fract() == 0.0) else {
        return Err(refuse("expects number"));
    };
    #[allow(clippy::cast_possible_truncation, reason = "a whole number, cut to what fits")]
    let op_code = op_code as i64;
    let data = match given(values, 1) {
        None => Bytes::new(),
        Some(value) => match (value.as_string(), raw::bytes(value)) {
            (Some(text), _) => raw::text(text)?.into(),
            (None, Some(bytes)) => bytes.into(),
            (None, None) => {
                return Err(refuse("expects data to be an ArrayBuffer, a string or nil"));
            }
        },
    };
    let recipients = match given(values, 2) {
        None => None,
        Some(list) => {
            let mut recipients = Vec::new();
            each(ctx, list, "expects an array of presences or nil", |presence| {
                let session_id = session_id(ctx, presence)?;
                recipients
                    .push(Recipient { session_id, node: node(ctx, side, presence, "nodeId")? });
                Ok(())
            })?;
            if recipients.is_empty() {
                return Ok(());
            }
            Some(recipients)
        }
    };
    let sender = match given(values, 3) {
        None => None,
        Some(value) => {
            let presence = plain(value).ok_or_else(|| refuse("expects sender to be an object"))?;
            Some(sender(ctx, &presence)?)
        }
    };
    let reliable = match given(values, 4) {
        None => true,
        Some(value) => value.as_bool().ok_or_else(|| refuse("expects boolean"))?,
    };
    side.dispatcher
        .broadcast(Broadcast { op_code, data, recipients, sender, reliable, deferred })
        .map_err(|refusal| refused(ctx, "error deferring message broadcast", refusal))
}

/// Goes through a list of presences.
fn each<'js>(
    ctx: &Ctx<'js>,
    list: &Value<'js>,
    otherwise: &str,
    mut take: impl FnMut(&Object<'js>) -> JsResult<()>,
) -> JsResult<()> {
    let refuse = || raise::type_error(ctx, otherwise);
    let list = list.as_array().ok_or_else(refuse)?;
    for value in list.iter::<Value<'js>>() {
        take(&plain(&value?).ok_or_else(refuse)?)?;
    }
    Ok(())
}

/// The text `name` of a presence; `missing` and `not_text` are said where it is not there or no text.
fn text<'js>(
    ctx: &Ctx<'js>,
    presence: &Object<'js>,
    name: &str,
    missing: &str,
    not_text: &str,
) -> JsResult<Text<'js>> {
    let value: Value<'js> = presence.get(name)?;
    if value.is_null() || value.is_undefined() {
        return Err(raise::type_error(ctx, missing));
    }
    value.into_string().ok_or_else(|| raise::type_error(ctx, not_text))
}

fn id(ctx: &Ctx<'_>, text: &Text<'_>, otherwise: &str) -> JsResult<Uuid> {
    Uuid::try_parse(&raw::text(text)?).map_err(|_| raise::type_error(ctx, otherwise))
}

fn session_id<'js>(ctx: &Ctx<'js>, presence: &Object<'js>) -> JsResult<Uuid> {
    const MISSING: &str = "presence is expected to contain a 'sessionId'";
    let text = text(ctx, presence, "sessionId", MISSING, "expects a 'sessionId' string")?;
    id(ctx, &text, "expects a valid 'sessionId'")
}

fn user_id<'js>(ctx: &Ctx<'js>, presence: &Object<'js>) -> JsResult<Uuid> {
    const MISSING: &str = "expects presence to contain 'userId'";
    let not_text = "expects presence to contain 'userId' string";
    let text = text(ctx, presence, "userId", MISSING, not_text)?;
    id(ctx, &text, "expects presence to contain valid userId")
}

/// The node of a presence, shared where it is our own.
fn node<'js>(
    ctx: &Ctx<'js>,
    side: &Side,
    presence: &Object<'js>,
    called: &str,
) -> JsResult<Arc<str>> {
    const MISSING: &str = "expects presence to contain a 'node'";
    let not_text = format!("expects a '{called}' string");
    let text = raw::text(&text(ctx, presence, "node", MISSING, &not_text)?)?;
    let own = &side.identity.node;
    Ok(if *text == **own { Arc::clone(own) } else { text.into() })
}

/// The sender of a message. Its name is the session's id: so the reference sends it.
fn sender<'js>(ctx: &Ctx<'js>, presence: &Object<'js>) -> JsResult<Sender> {
    let user_id = user_id(ctx, presence)?;
    let session_id = session_id(ctx, presence)?;
    const MISSING: &str = "presence is expected to contain a 'username'";
    let name: Value<'js> = presence.get("username")?;
    if name.is_null() || name.is_undefined() {
        return Err(raise::type_error(ctx, MISSING));
    }
    let shown: Text<'js> = presence.get("sessionId")?;
    Ok(Sender { user_id, session_id, username: raw::text(&shown)?.into() })
}

/// `matchKick(presences)`.
fn kick<'js>(ctx: &Ctx<'js>, side: &Side, values: &[Value<'js>]) -> JsResult<()> {
    let Some(list) = given(values, 0) else { return Ok(()) };
    let mut kicked = Vec::new();
    each(ctx, list, "expects an array of presence objects", |presence| {
        let user_id = user_id(ctx, presence)?;
        let session_id = session_id(ctx, presence)?;
        kicked.push(Kicked { user_id, session_id, node: node(ctx, side, presence, "node")? });
        Ok(())
    })?;
    side.dispatcher.kick(kicked).map_err(|refusal| refused(ctx, "error kicking", refusal))
}

/// `matchLabelUpdate(label)`.
fn update_label<'js>(ctx: &Ctx<'js>, side: &Side, values: &[Value<'js>]) -> JsResult<()> {
    let Some(label) = values.first().and_then(Value::as_string) else {
        return Err(raise::type_error(ctx, "expects string"));
    };
    let changed = side.dispatcher.update_label(&raw::text(label)?);
    changed.map_err(|refusal| refused(ctx, "error updating match label", refusal))?;
    let kept = side.context.borrow().clone();
    match kept {
        Some(kept) => kept.restore(ctx)?.set("matchLabel", label.clone()),
        None => Ok(()),
    }
}
