//! `nk`: every host function that JavaScript has, bound by one generic function.

use std::{cell::Cell, rc::Rc};

use rquickjs::{Ctx, Function, Object, Result, Value, function::Rest};

use super::{
    raise,
    read::Arguments,
    state::State,
    write::{WriteError, Writer},
};
use crate::{
    host::{HostFunction, Language, Origin, Returns},
    runtime::{script::javascript_name, seat::HostError},
};

/// Makes a host function that calls back of its steps: see [`crate::host::Callback`].
const CALLING_BACK: &str = "(step) => function (first, callback, third) {
    if (typeof callback !== 'function') {
        throw new TypeError('expects a valid update function');
    }
    let answer = step(first, null, third);
    while (answer.ask) {
        const value = callback(answer.ask);
        answer = step(first, null, third, { round: answer.round, value: value });
    }
    return answer.done;
}";

/// The object that the functions of a context are given.
pub(super) fn nk<'js>(
    ctx: &Ctx<'js>,
    state: &Rc<State>,
    functions: &'static [HostFunction],
) -> Result<Object<'js>> {
    let nk = Object::new(ctx.clone())?;
    for function in functions {
        if !function.languages.contains(&Language::JavaScript) {
            continue;
        }
        let name = javascript_name(function.name);
        let state = state.clone();
        let bound =
            move |ctx: Ctx<'js>, values: Rest<Value<'js>>| call(&ctx, &state, function, &values.0);
        let mut bound = Function::new(ctx.clone(), bound)?.with_name(&name)?;
        if function.calls_back {
            let calling_back: Function<'_> = ctx.eval(CALLING_BACK)?;
            bound = calling_back.call::<_, Function<'_>>((bound,))?.with_name(&name)?;
        }
        nk.set(name, bound)?;
    }
    Ok(nk)
}

fn call<'js>(
    ctx: &Ctx<'js>,
    state: &State,
    function: &HostFunction,
    values: &[Value<'js>],
) -> Result<Value<'js>> {
    let at = Cell::new(None);
    let fields = Cell::new(&[] as &'static [&'static str]);
    let arguments = Arguments {
        values,
        order: function.javascript_order,
        names: &state.names,
        at: &at,
        fields: &fields,
    };
    let frame = state.frame();
    let origin = Origin { language: Language::JavaScript, context: &frame.context };
    let mut arguments = <dyn erased_serde::Deserializer<'_>>::erase(arguments);
    let answer = match state.seat.host(function, &mut arguments, origin) {
        Ok(answer) => answer,
        Err(HostError::Arguments(why)) => {
            let message = bad_argument(function.name, &why, at.get(), fields.get());
            return Err(raise::type_error(ctx, &message));
        }
        Err(HostError::Failed(error)) => return Err(raise::host_error(ctx, &error)),
    };
    if function.returns == Returns::Nothing {
        return Ok(Value::new_undefined(ctx.clone()));
    }
    let writer = Writer::new(ctx, &state.names);
    let value = erased_serde::serialize(&**answer, writer).map_err(|error| match error {
        WriteError::Js(error) => error,
        WriteError::Value(message) => {
            raise::type_error(ctx, &format!("nk.{}: {message}", javascript_name(function.name)))
        }
    })?;
    let absent = function.returns == Returns::Maybe && value.is_null();
    Ok(if absent { Value::new_undefined(ctx.clone()) } else { value })
}

/// How the refusals begin that a parameter's own type words, in place of serde.
const OWN_WORDS: [&str; 2] = ["expects ", "count must be "];

/// What a refused argument is told: `nk.storageRead: argument 1 (keys) expects a sequence, got a
/// number` for a value of the wrong shape. A value that the function itself refuses is told in the
/// function's words alone, which are the reference's, as where it refuses while it runs.
fn bad_argument(
    function: &str,
    why: &str,
    at: Option<(usize, &'static str)>,
    fields: &[&'static str],
) -> String {
    if OWN_WORDS.iter().any(|words| why.starts_with(words)) {
        return why.to_owned();
    }
    let function = javascript_name(function);
    let missing = || {
        let field = why.strip_prefix("missing field `")?.split('`').next()?;
        let index = fields.iter().position(|name| *name == field)?;
        Some(format!("nk.{function}: argument {} ({field}) is missing", index + 1))
    };
    if at.is_none()
        && let Some(text) = missing()
    {
        return text;
    }
    let mismatch =
        why.strip_prefix("invalid type: ").or_else(|| why.strip_prefix("invalid value: "));
    let what = match mismatch.and_then(|why| why.split_once(", expected ")) {
        Some((got, expected)) => format!("expects {expected}, got {got}"),
        None => why.to_owned(),
    };
    match at {
        Some((index, "")) => format!("nk.{function}: argument {} {what}", index + 1),
        Some((index, field)) => format!("nk.{function}: argument {} ({field}) {what}", index + 1),
        None => format!("nk.{function}: {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::bad_argument;

    #[test]
    fn a_refused_value_is_told_in_the_words_of_the_function_and_a_wrong_shape_with_its_place() {
        let at = Some((0, "expression"));
        let told = |why| bad_argument("cron_next", why, at, &["expression", "timestamp"]);
        assert_eq!(told("expects a valid cron string"), "expects a valid cron string");
        assert_eq!(told("count must be 1-1000"), "count must be 1-1000");
        assert_eq!(
            told("invalid type: integer `5`, expected a string"),
            "nk.cronNext: argument 1 (expression) expects a string, got integer `5`"
        );
    }
}
