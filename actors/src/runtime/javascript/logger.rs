//! `logger`: lines with Go's format verbs, tagged with module, function and the caller's ids.
//!
//! The logger that a function is given has no fields and cannot be changed, so that one serves all
//! calls of an interpreter. `withField` makes another; that one's own children share its fields,
//! as in the reference.

use std::rc::Rc;

use rquickjs::{
    Ctx, Function, Object, Result, Value,
    function::{Rest, This},
    object::Property,
};
use serde::de::Deserialize;
use serde_json::Value as Json;
use tracing::{Level, debug, enabled, error, info, warn};

use super::{format, raise, raw, read::Reader, state::State};

/// The target of module log lines, for filters.
const TARGET: &str = "module";

/// The object that the functions of a context are given.
pub(super) fn logger<'js>(ctx: &Ctx<'js>, state: &Rc<State>) -> Result<Object<'js>> {
    let methods = Object::new(ctx.clone())?;
    let freeze: Function<'js> = ctx.globals().get::<_, Object<'_>>("Object")?.get("freeze")?;
    for (name, level) in [
        ("debug", Level::DEBUG),
        ("info", Level::INFO),
        ("warn", Level::WARN),
        ("error", Level::ERROR),
    ] {
        let state = state.clone();
        let log = move |ctx: Ctx<'js>, this: This<Value<'js>>, values: Rest<Value<'js>>| {
            log(&ctx, &state, level, name, &this.0, &values.0)
        };
        methods.set(name, Function::new(ctx.clone(), log)?.with_name(name)?)?;
    }
    let with_field = |ctx: Ctx<'js>, this: This<Value<'js>>, values: Rest<Value<'js>>| {
        let (key, value) = (values.0.first(), values.0.get(1));
        let Some(key) = key.filter(|key| key.is_string()) else {
            return Err(raise::type_error(&ctx, "logger.withField expects a string as key"));
        };
        let Some(value) = value.filter(|value| value.is_string()) else {
            return Err(raise::type_error(&ctx, "logger.withField expects a string as value"));
        };
        let fields = child_fields(&ctx, &this.0)?;
        fields.set(key.clone(), value.clone())?;
        child(&ctx, &this.0, fields)
    };
    methods.set("withField", Function::new(ctx.clone(), with_field)?.with_name("withField")?)?;
    let with_fields = |ctx: Ctx<'js>, this: This<Value<'js>>, values: Rest<Value<'js>>| {
        let pairs = values.0.first().filter(|pairs| !pairs.is_array() && !pairs.is_function());
        let Some(pairs) = pairs.and_then(Value::as_object) else {
            return Err(raise::type_error(&ctx, "logger.withFields expects an object"));
        };
        let fields = child_fields(&ctx, &this.0)?;
        for pair in pairs.props::<Value<'js>, Value<'js>>() {
            let (key, value) = pair?;
            fields.set(key, value)?;
        }
        child(&ctx, &this.0, fields)
    };
    methods.set("withFields", Function::new(ctx.clone(), with_fields)?.with_name("withFields")?)?;
    let get_fields = |ctx: Ctx<'js>, this: This<Value<'js>>| match shared_fields(&this.0) {
        Some(fields) => Ok(fields),
        None => Object::new(ctx),
    };
    methods.set("getFields", Function::new(ctx.clone(), get_fields)?.with_name("getFields")?)?;
    let none: Object<'js> = freeze.call((Object::new(ctx.clone())?,))?;
    methods.set("fields", none)?;
    freeze.call((methods,))
}

/// The fields of a logger made by `withField`; `None` for the one that a function is given, whose
/// `fields` cannot change.
fn shared_fields<'js>(logger: &Value<'js>) -> Option<Object<'js>> {
    let fields: Object<'js> = logger.as_object()?.get("fields").ok()?;
    let is_frozen: Function<'js> =
        fields.ctx().globals().get::<_, Object<'_>>("Object").ok()?.get("isFrozen").ok()?;
    let frozen: bool = is_frozen.call((fields.clone(),)).ok()?;
    (!frozen).then_some(fields)
}

fn child_fields<'js>(ctx: &Ctx<'js>, logger: &Value<'js>) -> Result<Object<'js>> {
    match shared_fields(logger) {
        Some(fields) => Ok(fields),
        None => Object::new(ctx.clone()),
    }
}

/// A logger with the methods of `parent`, and `fields`.
fn child<'js>(ctx: &Ctx<'js>, parent: &Value<'js>, fields: Object<'js>) -> Result<Object<'js>> {
    let Some(parent) = parent.as_object() else {
        return Err(raise::type_error(ctx, "a logger's function was called without its logger"));
    };
    let logger = Object::new(ctx.clone())?;
    for entry in parent.props::<Value<'js>, Value<'js>>() {
        let (name, value) = entry?;
        let value = if value.is_function() { value } else { fields.clone().into_value() };
        logger.prop(name, Property::from(value).enumerable())?;
    }
    Ok(logger)
}

fn log<'js>(
    ctx: &Ctx<'js>,
    state: &State,
    level: Level,
    name: &str,
    logger: &Value<'js>,
    values: &[Value<'js>],
) -> Result<()> {
    let Some((template, values)) =
        values.split_first().and_then(|(template, values)| Some((template.as_string()?, values)))
    else {
        let message = format!("logger.{name} expects a string as its first argument");
        return Err(raise::type_error(ctx, &message));
    };
    let wanted = match level {
        Level::ERROR => enabled!(target: TARGET, Level::ERROR),
        Level::WARN => enabled!(target: TARGET, Level::WARN),
        Level::INFO => enabled!(target: TARGET, Level::INFO),
        _ => enabled!(target: TARGET, Level::DEBUG),
    };
    if !wanted {
        return Ok(());
    }
    let values: Vec<Json> = values.iter().map(|value| json(state, value)).collect();
    let message = format::sprintf(&raw::text(template)?, &values);
    let fields = shared_fields(logger).map(|fields| json(state, fields.as_value()).to_string());
    let frame = state.frame();
    let caller = &frame.context.caller;
    let user_id = caller.user.as_ref().map(|user| user.id.to_string());
    let trace_id = (caller.trace_id.0 != 0).then(|| caller.trace_id.to_string());
    macro_rules! line {
        ($level:ident) => {
            $level!(
                target: TARGET,
                runtime = "javascript",
                module = &*frame.module,
                function = &*frame.function,
                user_id,
                session_id = frame.context.session_id,
                trace_id,
                fields,
                "{message}"
            )
        };
    }
    match level {
        Level::ERROR => line!(error),
        Level::WARN => line!(warn),
        Level::INFO => line!(info),
        _ => line!(debug),
    }
    Ok(())
}

/// A value for a log line: always something, whatever it is.
fn json(state: &State, value: &Value<'_>) -> Json {
    if value.is_function() {
        return Json::String("[function]".to_owned());
    }
    if let Some(bytes) = raw::bytes(value) {
        return bytes.into();
    }
    if value.is_error() {
        return Json::String(raise::text_of(value));
    }
    Json::deserialize(Reader::new(value.clone(), &state.names))
        .unwrap_or_else(|error| Json::String(error.to_string()))
}
