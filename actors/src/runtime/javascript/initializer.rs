//! `initializer`: the registration functions that `InitModule` is given.
//!
//! Functions are taken by value, so anonymous ones, arrows and methods can be registered; the first
//! registration of a name counts.
//!
//! Source of the names: Nakama, `runtime_javascript_init.go`; all hook points of the API are there,
//! also those that the reference accepts and never calls.

use std::{cell::RefCell, collections::HashSet, mem, rc::Rc, sync::Arc};

use rquickjs::{Ctx, Function, Object, Persistent, Result, Value, function::Rest};
use serde_json::{Value as Json, json};

use super::{matches::HANDLERS, raise, raw, state::State, write::Writer};
use crate::registry::{FunctionId, Point, Registration, hooks::REQUESTS};

/// Points that take one function and no name.
pub(super) const SINGLE: &[(&str, Point)] = &[
    ("registerMatchmakerMatched", Point::MatchmakerMatched),
    ("registerTournamentEnd", Point::TournamentEnd),
    ("registerTournamentReset", Point::TournamentReset),
    ("registerLeaderboardReset", Point::LeaderboardReset),
    ("registerPurchaseNotificationApple", Point::PurchaseNotificationApple),
    ("registerSubscriptionNotificationApple", Point::SubscriptionNotificationApple),
    ("registerPurchaseNotificationGoogle", Point::PurchaseNotificationGoogle),
    ("registerSubscriptionNotificationGoogle", Point::SubscriptionNotificationGoogle),
    ("registerShutdown", Point::Shutdown),
    // The reference has these in Go alone.
    ("registerEvent", Point::Event),
    ("registerEventSessionStart", Point::EventSessionStart),
    ("registerEventSessionEnd", Point::EventSessionEnd),
];

/// Points that take a name and a function.
pub(super) const NAMED: &[(&str, Point)] = &[
    ("registerRpc", Point::Rpc),
    ("registerRtBefore", Point::RealtimeBefore),
    ("registerRtAfter", Point::RealtimeAfter),
    ("registerStorageIndexFilter", Point::StorageIndexFilter),
];

/// What one run of `InitModule` registered.
pub(super) struct Registrar {
    module: Arc<str>,
    /// The number of the first function.
    base: usize,
    taken: RefCell<Taken>,
}

/// Registrations, the functions behind them, and what is registered already.
#[derive(Default)]
struct Taken {
    registrations: Vec<Registration>,
    functions: Vec<Persistent<Function<'static>>>,
    seen: HashSet<(Point, String)>,
}

impl Registrar {
    pub(super) fn new(module: Arc<str>, base: usize) -> Rc<Self> {
        Rc::new(Self { module, base, taken: RefCell::default() })
    }

    /// Takes everything out, so that the initializer, if a script kept it, holds no handle.
    pub(super) fn finish(&self) -> (Vec<Registration>, Vec<Persistent<Function<'static>>>) {
        let taken = mem::take(&mut *self.taken.borrow_mut());
        (taken.registrations, taken.functions)
    }

    /// Registers unless the name is taken.
    fn add<'js>(
        &self,
        ctx: &Ctx<'js>,
        point: Point,
        name: &str,
        functions: &[Function<'js>],
        definition: impl FnOnce(u32) -> Option<Json>,
    ) {
        let mut taken = self.taken.borrow_mut();
        if !taken.seen.insert((point, name.to_owned())) {
            return;
        }
        let first = (self.base + taken.functions.len()) as u32;
        taken
            .functions
            .extend(functions.iter().map(|function| Persistent::save(ctx, function.clone())));
        let registration = Registration {
            point,
            name: name.to_owned(),
            function: FunctionId(if functions.is_empty() { u32::MAX } else { first }),
            definition: definition(first),
            module: self.module.to_string(),
        };
        taken.registrations.push(registration);
    }
}

/// The object that `InitModule` is given.
pub(super) fn initializer<'js>(
    ctx: &Ctx<'js>,
    state: &Rc<State>,
    registrar: &Rc<Registrar>,
) -> Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    for (method, point) in NAMED {
        let (registrar, method, point) = (registrar.clone(), *method, *point);
        define(&object, method, move |ctx, values| {
            let name = name_argument(ctx, method, values, 0)?;
            let function = function_argument(ctx, method, values, 1)?;
            // Index names are the module's own; the others are compared in lower case.
            let name = if point == Point::StorageIndexFilter { name } else { name.to_lowercase() };
            registrar.add(ctx, point, &name, &[function], |_| None);
            Ok(())
        })?;
    }
    for (method, point) in SINGLE {
        let (registrar, method, point) = (registrar.clone(), *method, *point);
        define(&object, method, move |ctx, values| {
            let function = function_argument(ctx, method, values, 0)?;
            registrar.add(ctx, point, "", &[function], |_| None);
            Ok(())
        })?;
    }
    for request in REQUESTS {
        for (prefix, point) in [("registerBefore", Point::Before), ("registerAfter", Point::After)]
        {
            let registrar = registrar.clone();
            let method = format!("{prefix}{request}");
            define(&object, &method.clone(), move |ctx, values| {
                let function = function_argument(ctx, &method, values, 0)?;
                registrar.add(ctx, point, &request.to_lowercase(), &[function], |_| None);
                Ok(())
            })?;
        }
    }
    let matches = registrar.clone();
    define(&object, "registerMatch", move |ctx, values| register_match(ctx, &matches, values))?;
    let indexes = (registrar.clone(), state.clone());
    define(&object, "registerStorageIndex", move |ctx, values| {
        register_storage_index(ctx, &indexes.1, &indexes.0, values)
    })?;
    let state = state.clone();
    let get_config = move |ctx: Ctx<'js>| {
        let writer = Writer::new(&ctx, &state.names);
        serde::Serialize::serialize(&state.surroundings.config, writer)
            .map_err(|error| raise::type_error(&ctx, &error.to_string()))
    };
    object.set("getConfig", Function::new(ctx.clone(), get_config)?.with_name("getConfig")?)?;
    Ok(object)
}

fn define<'js>(
    object: &Object<'js>,
    method: &str,
    register: impl Fn(&Ctx<'js>, &[Value<'js>]) -> Result<()> + 'js,
) -> Result<()> {
    let function =
        Function::new(object.ctx().clone(), move |ctx: Ctx<'js>, values: Rest<Value<'js>>| {
            register(&ctx, &values.0)
        })?;
    object.set(method, function.with_name(method)?)
}

fn register_match<'js>(ctx: &Ctx<'js>, registrar: &Registrar, values: &[Value<'js>]) -> Result<()> {
    let name = name_argument(ctx, "registerMatch", values, 0)?;
    let Some(handlers) = values.get(1).and_then(Value::as_object) else {
        let message =
            format!("registerMatch: argument 2 expects an object with {}", HANDLERS.join(", "));
        return Err(raise::type_error(ctx, &message));
    };
    let mut functions = Vec::with_capacity(HANDLERS.len());
    for handler in HANDLERS {
        let value: Value<'js> = handlers.get(handler)?;
        let Some(function) = value.into_function() else {
            let message = format!("registerMatch: match {name} needs a function {handler}");
            return Err(raise::type_error(ctx, &message));
        };
        functions.push(function);
    }
    registrar.add(ctx, Point::Match, &name, &functions, |first| {
        let ids = HANDLERS.iter().zip(first..).map(|(name, id)| ((*name).to_owned(), id.into()));
        Some(Json::Object(ids.collect()))
    });
    Ok(())
}

fn register_storage_index<'js>(
    ctx: &Ctx<'js>,
    state: &State,
    registrar: &Registrar,
    values: &[Value<'js>],
) -> Result<()> {
    const METHOD: &str = "registerStorageIndex";
    let name = name_argument(ctx, METHOD, values, 0)?;
    let collection = name_argument(ctx, METHOD, values, 1)?;
    let argument = |index: usize, expected: &str| {
        let value = values
            .get(index)
            .filter(|value| !value.is_null() && !value.is_undefined())
            .map_or(Ok(Json::Null), |value| {
                serde::Deserialize::deserialize(super::read::Reader::new(
                    value.clone(),
                    &state.names,
                ))
            });
        value.map_err(|_| {
            let message = format!("{METHOD}: argument {} expects {expected}", index + 1);
            raise::type_error(ctx, &message)
        })
    };
    let refuse = |index: usize, expected: &str| {
        let message = format!("{METHOD}: argument {} expects {expected}", index + 1);
        Err(raise::type_error(ctx, &message))
    };
    let texts = |value: Json| match value {
        Json::Null => Some(json!([])),
        Json::Array(items) if items.iter().all(Json::is_string) => Some(Json::Array(items)),
        _ => None,
    };
    let key = argument(2, "a string or null")?;
    if !key.is_null() && !key.is_string() {
        return refuse(2, "a string or null");
    }
    let Some(fields) = texts(argument(3, "an array of strings")?) else {
        return refuse(3, "an array of strings");
    };
    let Some(sortable) = texts(argument(4, "an array of strings")?) else {
        return refuse(4, "an array of strings");
    };
    let max_entries = argument(5, "a whole number above 0")?;
    if max_entries.as_i64().is_none_or(|entries| entries < 1) {
        return refuse(5, "a whole number above 0");
    }
    let index_only = match argument(6, "a boolean")? {
        Json::Null => false,
        Json::Bool(value) => value,
        _ => return refuse(6, "a boolean"),
    };
    registrar.add(ctx, Point::StorageIndex, &name, &[], |_| {
        Some(json!({
            "collection": collection,
            "key": key,
            "fields": fields,
            "sortable_fields": sortable,
            "max_entries": max_entries,
            "index_only": index_only,
        }))
    });
    Ok(())
}

fn name_argument<'js>(
    ctx: &Ctx<'js>,
    method: &str,
    values: &[Value<'js>],
    index: usize,
) -> Result<String> {
    let text = values.get(index).and_then(Value::as_string).map(raw::text).transpose()?;
    text.filter(|text| !text.is_empty()).ok_or_else(|| {
        let message = format!("{method}: argument {} expects a non empty string", index + 1);
        raise::type_error(ctx, &message)
    })
}

fn function_argument<'js>(
    ctx: &Ctx<'js>,
    method: &str,
    values: &[Value<'js>],
    index: usize,
) -> Result<Function<'js>> {
    values.get(index).and_then(Value::as_function).cloned().ok_or_else(|| {
        let message = format!("{method}: argument {} expects a function", index + 1);
        raise::type_error(ctx, &message)
    })
}
