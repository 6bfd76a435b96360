//! The module `nakama`, known as `nk`: host functions, and what only an interpreter can do.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    rc::Rc,
    sync::LazyLock,
};

use tracing::Level;

use super::{
    convert, json,
    machine::{Machine, Native, Raise},
    raw::{Kept, Kind, Stack},
    take::{Take, text},
};
use crate::{
    host::{HostFunction, Language},
    registry::Point,
    runtime::{call::Context, seat::Loading},
    tables::HOST_FUNCTIONS,
};

/// The functions that are not host functions.
static FUNCTIONS: [Native; 23] = [
    Native { name: "register_rpc", run: register_rpc },
    Native {
        name: "register_req_before",
        run: |machine, stack| {
            register_named(machine, stack, Point::Before, "register_req_before", "method name")
        },
    },
    Native {
        name: "register_req_after",
        run: |machine, stack| {
            register_named(machine, stack, Point::After, "register_req_after", "method name")
        },
    },
    Native {
        name: "register_rt_before",
        run: |machine, stack| {
            register_named(
                machine,
                stack,
                Point::RealtimeBefore,
                "register_rt_before",
                "message name",
            )
        },
    },
    Native {
        name: "register_rt_after",
        run: |machine, stack| {
            register_named(
                machine,
                stack,
                Point::RealtimeAfter,
                "register_rt_after",
                "message name",
            )
        },
    },
    Native {
        name: "register_matchmaker_matched",
        run: |machine, stack| {
            register_single(machine, stack, Point::MatchmakerMatched, "register_matchmaker_matched")
        },
    },
    Native {
        name: "register_tournament_end",
        run: |machine, stack| {
            register_single(machine, stack, Point::TournamentEnd, "register_tournament_end")
        },
    },
    Native {
        name: "register_tournament_reset",
        run: |machine, stack| {
            register_single(machine, stack, Point::TournamentReset, "register_tournament_reset")
        },
    },
    Native {
        name: "register_leaderboard_reset",
        run: |machine, stack| {
            register_single(machine, stack, Point::LeaderboardReset, "register_leaderboard_reset")
        },
    },
    Native {
        name: "register_shutdown",
        run: |machine, stack| register_single(machine, stack, Point::Shutdown, "register_shutdown"),
    },
    // The reference has the next three in Go alone.
    Native {
        name: "register_event",
        run: |machine, stack| register_single(machine, stack, Point::Event, "register_event"),
    },
    Native {
        name: "register_event_session_start",
        run: |machine, stack| {
            register_single(
                machine,
                stack,
                Point::EventSessionStart,
                "register_event_session_start",
            )
        },
    },
    Native {
        name: "register_event_session_end",
        run: |machine, stack| {
            register_single(machine, stack, Point::EventSessionEnd, "register_event_session_end")
        },
    },
    Native { name: "register_storage_index", run: register_storage_index },
    Native { name: "register_storage_index_filter", run: register_storage_index_filter },
    Native { name: "run_once", run: run_once },
    Native { name: "get_context", run: get_context },
    Native { name: "json_encode", run: json_encode },
    Native { name: "json_decode", run: json_decode },
    Native {
        name: "logger_debug",
        run: |machine, stack| logger(machine, stack, Level::DEBUG, "logger_debug"),
    },
    Native {
        name: "logger_info",
        run: |machine, stack| logger(machine, stack, Level::INFO, "logger_info"),
    },
    Native {
        name: "logger_warn",
        run: |machine, stack| logger(machine, stack, Level::WARN, "logger_warn"),
    },
    Native {
        name: "logger_error",
        run: |machine, stack| logger(machine, stack, Level::ERROR, "logger_error"),
    },
];

/// A function of the module.
#[derive(Clone, Copy)]
enum Function {
    Native(&'static Native),
    Host(&'static HostFunction),
}

impl Function {
    fn push(self, machine: &Machine, stack: &mut Stack<'_>) {
        match self {
            Self::Native(native) => stack.push_native(machine, native),
            Self::Host(function) => stack.push_host(machine, function),
        }
    }
}

/// All functions by their names, but those that call back, which the prelude makes.
static ALL: LazyLock<HashMap<&'static [u8], Function>> = LazyLock::new(|| {
    let host = HOST_FUNCTIONS
        .iter()
        .filter(|function| function.languages.contains(&Language::Lua) && !function.calls_back)
        .map(|function| (function.name.as_bytes(), Function::Host(function)));
    let native = FUNCTIONS.iter().map(|native| (native.name.as_bytes(), Function::Native(native)));
    host.chain(native).collect()
});

/// What a script has asked for so far in a match, whose interpreter is to be small: only that is in
/// the module. Looked at as a whole, or changed, the module is made complete first (`prelude.lua`).
#[derive(Default)]
pub(super) struct Asked(RefCell<HashSet<&'static [u8]>>);

/// Makes the module.
pub(super) fn push_module(machine: &Machine, stack: &mut Stack<'_>) -> Kept {
    if machine.side.is_some() {
        stack.push_table(0, 0);
        stack.push_table(0, 2);
        let meta = stack.top();
        for (name, native) in [("__index", &FIND), ("__newindex", &CHANGE)] {
            stack.push_native(machine, native);
            stack.set_name(meta, name.as_bytes());
        }
        stack.set_meta(meta - 1);
        return stack.keep();
    }
    stack.push_table(0, ALL.len());
    let table = stack.top();
    for (name, function) in ALL.iter() {
        function.push(machine, stack);
        stack.set_name(table, name);
    }
    stack.keep()
}

/// Puts the function that a script asks for into the module, the first time.
static FIND: Native = Native {
    name: "function of nakama",
    run: |machine, stack| {
        stack.reserve(8);
        let Some((&name, &function)) = ALL.get_key_value(stack.bytes(2)) else { return Ok(0) };
        // One that was there and is not any more was taken away.
        let Some(side) = &machine.side else { return Ok(0) };
        if !side.asked.0.borrow_mut().insert(name) {
            return Ok(0);
        }
        function.push(machine, stack);
        stack.copy(-1);
        stack.set_name(1, name);
        Ok(1)
    },
};

/// Changes the module, which is complete from now on.
static CHANGE: Native = Native {
    name: "function of nakama",
    run: |machine, stack| {
        stack.reserve(8);
        complete(machine, stack)?;
        stack.set_key(1);
        Ok(0)
    },
};

/// `complete(nakama)`: puts all functions into the module of a match.
pub(super) static COMPLETE: Native = Native { name: "complete", run: complete };

fn complete(machine: &Machine, stack: &mut Stack<'_>) -> Result<i32, Raise> {
    let Some(side) = &machine.side else { return Ok(0) };
    expect(stack, 1, Kind::Table, COMPLETE.name)?;
    for (&name, function) in ALL.iter() {
        if side.asked.0.borrow_mut().insert(name) {
            function.push(machine, stack);
            stack.set_name(1, name);
        }
    }
    stack.clear_meta(1);
    Ok(0)
}

fn expect(stack: &Stack<'_>, index: i32, kind: Kind, function: &str) -> Result<(), Raise> {
    let got = stack.kind(index);
    if got == kind {
        return Ok(());
    }
    let problem = format!("{} expected, got {}", kind.name(), got.name());
    Err(Raise::argument(usize::try_from(index).unwrap_or(0), function, &problem))
}

/// The text of argument `index`, which may be a number.
fn text_argument(stack: &Stack<'_>, index: i32, function: &str) -> Result<String, Raise> {
    if stack.kind(index) != Kind::Number {
        expect(stack, index, Kind::Text, function)?;
    }
    let bytes = text(stack, index).unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn register_rpc(machine: &Machine, stack: &mut Stack<'_>) -> Result<i32, Raise> {
    register_named(machine, stack, Point::Rpc, "register_rpc", "rpc id")
}

fn register_named(
    machine: &Machine,
    stack: &mut Stack<'_>,
    point: Point,
    function: &str,
    what: &str,
) -> Result<i32, Raise> {
    expect(stack, 1, Kind::Function, function)?;
    let name = text_argument(stack, 2, function)?;
    if name.is_empty() {
        return Err(Raise::argument(2, function, &format!("expects {what}")));
    }
    machine.register(stack, Some(1), point, &name.to_lowercase(), None);
    Ok(0)
}

fn register_single(
    machine: &Machine,
    stack: &mut Stack<'_>,
    point: Point,
    function: &str,
) -> Result<i32, Raise> {
    expect(stack, 1, Kind::Function, function)?;
    machine.register(stack, Some(1), point, "", None);
    Ok(0)
}

fn register_storage_index(machine: &Machine, stack: &mut Stack<'_>) -> Result<i32, Raise> {
    const NAME: &str = "register_storage_index";
    let name = text_argument(stack, 1, NAME)?;
    let collection = text_argument(stack, 2, NAME)?;
    let key = text_argument(stack, 3, NAME)?;
    let fields = texts(stack, 4, NAME)?;
    let sortable_fields = match stack.kind(5) {
        Kind::Nil => Vec::new(),
        _ => texts(stack, 5, NAME)?,
    };
    expect(stack, 6, Kind::Number, NAME)?;
    let max_entries = stack.number(6).trunc();
    let index_only = match stack.kind(7) {
        Kind::Nothing | Kind::Nil => false,
        _ => {
            expect(stack, 7, Kind::Boolean, NAME)?;
            stack.boolean(7)
        }
    };
    let definition = serde_json::json!({
        "name": name,
        "collection": collection,
        "key": key,
        "fields": fields,
        "sortable_fields": sortable_fields,
        "max_entries": super::number::whole(max_entries),
        "index_only": index_only,
    });
    machine.register(stack, None, Point::StorageIndex, &name, Some(definition));
    Ok(0)
}

fn texts(stack: &mut Stack<'_>, index: i32, function: &str) -> Result<Vec<String>, Raise> {
    expect(stack, index, Kind::Table, function)?;
    serde::Deserialize::deserialize(Take::new(stack, index)).map_err(|_| {
        let index = usize::try_from(index).unwrap_or(0);
        Raise::argument(index, function, "expects each field to be string")
    })
}

fn register_storage_index_filter(machine: &Machine, stack: &mut Stack<'_>) -> Result<i32, Raise> {
    const NAME: &str = "register_storage_index_filter";
    let name = text_argument(stack, 1, NAME)?;
    expect(stack, 2, Kind::Function, NAME)?;
    machine.register(stack, Some(2), Point::StorageIndexFilter, &name, None);
    Ok(0)
}

/// Runs a function once: while modules are loaded, however often its module is evaluated.
fn run_once(machine: &Machine, stack: &mut Stack<'_>) -> Result<i32, Raise> {
    expect(stack, 1, Kind::Function, "run_once")?;
    let Some(place) = stack.defined(1) else { return Ok(0) };
    if !machine.begin_once(place) {
        return Ok(0);
    }
    stack.cut(1);
    convert::push_context(stack, &Context::default(), &machine.shared.surroundings);
    machine.call_within(stack, 1)?;
    Ok(0)
}

fn get_context(machine: &Machine, stack: &mut Stack<'_>) -> Result<i32, Raise> {
    convert::push_context(stack, &Context::default(), &machine.shared.surroundings);
    Ok(1)
}

fn json_encode(_: &Machine, stack: &mut Stack<'_>) -> Result<i32, Raise> {
    if stack.kind(1) == Kind::Nothing {
        return Err(Raise::argument(1, "json_encode", "value expected"));
    }
    let text = json::encode(stack, 1)
        .map_err(|problem| Raise::Text(format!("error encoding to JSON: {problem}")))?;
    stack.cut(0);
    stack.push_bytes(&text);
    Ok(1)
}

fn json_decode(machine: &Machine, stack: &mut Stack<'_>) -> Result<i32, Raise> {
    if stack.kind(1) != Kind::Number {
        expect(stack, 1, Kind::Text, "json_decode")?;
    }
    let input = text(stack, 1).unwrap_or_default();
    if input.is_empty() {
        return Err(Raise::argument(1, "json_decode", "expects JSON string"));
    }
    let limit = machine.vm.limit_bytes();
    let enough = || limit == 0 || machine.vm.used_bytes() < limit;
    json::decode(stack, &input, &enough)
        .map_err(|problem| Raise::Text(format!("not a valid JSON string: {problem}")))?;
    Ok(1)
}

/// Logs a text, and answers it.
fn logger(
    machine: &Machine,
    stack: &mut Stack<'_>,
    level: Level,
    name: &str,
) -> Result<i32, Raise> {
    if stack.kind(1) != Kind::Number {
        expect(stack, 1, Kind::Text, name)?;
    }
    if stack.kind(1) == Kind::Text && stack.bytes(1).is_empty() {
        return Err(Raise::argument(1, name, "expects message string"));
    }
    if machine.seat.loading() != Loading::Again && enabled(level) {
        let message = text(stack, 1).unwrap_or_default();
        log(machine, level, &String::from_utf8_lossy(&message));
    }
    stack.cut(1);
    Ok(1)
}

fn enabled(level: Level) -> bool {
    match level {
        Level::ERROR => tracing::enabled!(Level::ERROR),
        Level::WARN => tracing::enabled!(Level::WARN),
        Level::INFO => tracing::enabled!(Level::INFO),
        _ => tracing::enabled!(Level::DEBUG),
    }
}

/// A line of the log, tagged with module, function and caller.
pub(super) fn log(machine: &Machine, level: Level, message: &str) {
    let running = machine.running();
    let (function, module) = (&*running.function, &*running.module);
    let context: Rc<Context> = machine.context();
    let caller = &context.caller;
    let user_id = caller.user.as_ref().map(|user| tracing::field::display(user.id));
    let session_id = context.session_id.as_deref();
    let trace_id = (caller.trace_id.0 != 0).then(|| tracing::field::display(caller.trace_id));
    let mode = context.mode.name();
    macro_rules! line {
        ($log:ident) => {
            tracing::$log!(
                runtime = "lua",
                module,
                function,
                mode,
                user_id,
                session_id,
                trace_id,
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
}
