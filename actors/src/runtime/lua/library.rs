//! The globals of an interpreter, and how its modules are evaluated.

use std::{
    fs,
    path::{Component, Path},
    sync::{LazyLock, OnceLock},
    time::Instant,
};

use super::{
    clock::{self, Calendar},
    machine::{Machine, Native, Raise},
    nakama, number, pattern,
    raw::{self, Code, Ended, Kept, Kind, Stack},
    take::text,
};
use crate::{
    registry::Point,
    runtime::{modules::ModuleFile, script::LoadError, seat::Loading},
    tables::HOST_FUNCTIONS,
};

/// The part that is written in Lua.
const PRELUDE: &str = include_str!("prelude.lua");

/// What a module that is a match handler has.
pub(super) const MATCH_FUNCTIONS: [&str; 7] = [
    "match_init",
    "match_join_attempt",
    "match_join",
    "match_leave",
    "match_loop",
    "match_terminate",
    "match_signal",
];

/// What the prelude builds on; reachable by nothing else.
static HOST: [Native; 11] = [
    Native { name: "number_text", run: number_text },
    Native { name: "search", run: search },
    Native { name: "upper", run: |_, stack| change_case(stack, |text| text.to_uppercase()) },
    Native { name: "lower", run: |_, stack| change_case(stack, |text| text.to_lowercase()) },
    Native { name: "date", run: date },
    Native { name: "time", run: time },
    Native { name: "clock", run: since_start },
    Native { name: "print", run: print },
    Native { name: "read", run: read },
    Native { name: "module", run: module },
    Native { name: "seed", run: seed },
];

/// Shapes the globals. `nakama` is the module of that name. Answers the function to be called once
/// all modules are evaluated.
pub(super) fn open(
    machine: &Machine,
    stack: &mut Stack<'_>,
    nakama: Kept,
) -> Result<Kept, LoadError> {
    LazyLock::force(&START);
    let broken = |stack: &Stack<'_>| LoadError {
        module: "prelude.lua".to_owned(),
        line: None,
        message: String::from_utf8_lossy(stack.bytes(-1)).into_owned(),
    };
    stack.push_globals();
    stack.get_name(-1, b"string");
    stack.get_name(-1, b"gsub");
    stack.guard();
    stack.set_name(stack.top() - 1, b"gsub");
    stack.cut(0);
    if !prelude(machine, stack) {
        return Err(broken(stack));
    }
    stack.push_table(0, HOST.len());
    let host = stack.top();
    for native in &HOST {
        stack.push_native(machine, native);
        stack.set_name(host, native.name.as_bytes());
    }
    if machine.side.is_some() {
        stack.push_native(machine, &nakama::COMPLETE);
        stack.set_name(host, nakama::COMPLETE.name.as_bytes());
    }
    stack.push_table(0, 0);
    let calling_back = stack.top();
    for function in HOST_FUNCTIONS.iter().filter(|function| function.calls_back) {
        stack.push_host(machine, function);
        stack.set_name(calling_back, function.name.as_bytes());
    }
    stack.set_name(host, b"calling_back");
    stack.push_kept(nakama);
    stack.push_bytes(machine.shared.surroundings.path.to_string_lossy().as_bytes());
    match machine.vm.call(stack, 3, 0) {
        Ended::Well => Ok(stack.keep()),
        Ended::Raised | Ended::OutOfMemory => Err(broken(stack)),
    }
}

/// Adds the part that is written in Lua; parsed once in this process, and without what only the
/// parser's errors need.
fn prelude(machine: &Machine, stack: &mut Stack<'_>) -> bool {
    static STRIPPED: OnceLock<Code> = OnceLock::new();
    let name = format!("={}", raw::PRELUDE);
    if let Some(code) = STRIPPED.get() {
        return stack.load_code(code, &name);
    }
    if !stack.load(PRELUDE.as_bytes(), &name) {
        return false;
    }
    stack.push_globals();
    stack.get_name(-1, b"string");
    stack.get_name(-1, b"dump");
    stack.copy(1);
    stack.push_boolean(true);
    if machine.vm.call(stack, 2, 0) == Ended::Well
        && let Some(code) = stack.dumped(-1)
    {
        let _ = STRIPPED.set(code);
    }
    stack.cut(1);
    true
}

/// Evaluates a module at its turn, unless another one required it before.
pub(super) fn evaluate(
    machine: &Machine,
    stack: &mut Stack<'_>,
    index: usize,
) -> Result<(), LoadError> {
    let Some(source) = machine.shared.sources.get(index) else { return Ok(()) };
    stack.push_globals();
    stack.get_name(-1, b"package");
    if stack.kind(-1) == Kind::Table {
        stack.get_name(-1, b"loaded");
        if stack.kind(-1) == Kind::Table {
            stack.get_name(-1, source.name.as_bytes());
            if stack.boolean(-1) {
                let value = stack.top();
                register_match(machine, stack, value, &source.name);
                return Ok(());
            }
        }
    }
    stack.cut(0);
    if !machine.shared.load(stack, index) {
        let text = text(stack, -1).unwrap_or_default();
        return Err(load_error(source, &String::from_utf8_lossy(&text)));
    }
    let ended = machine.vm.call(stack, 0, 0);
    if let Some(Some(place)) = machine.vm.alarm().quit() {
        let mut error = load_error(source, "loading took longer than runtime.load_deadline_ms");
        (error.module, error.line) = (place.file, Some(place.line));
        return Err(error);
    }
    match ended {
        Ended::Well => {
            if stack.top() > 0 {
                register_match(machine, stack, 1, &source.name);
            }
            Ok(())
        }
        Ended::OutOfMemory => Err(load_error(
            source,
            &format!(
                "loading needs more memory than the {} MB of runtime.memory_limit_mb",
                machine.vm.limit_bytes() >> 20
            ),
        )),
        Ended::Raised => {
            if stack.kind(-1) == Kind::Table && stack.length(-1) > 0 {
                stack.get_index(-1, 1);
            }
            let text = text(stack, -1).unwrap_or_else(|| b"an error without a text".to_vec());
            Err(load_error(source, &String::from_utf8_lossy(&text)))
        }
    }
}

/// An error text as a failed load: it often begins with a file and a line.
fn load_error(source: &ModuleFile, text: &str) -> LoadError {
    let located = text.split_once(".lua:").and_then(|(file, rest)| {
        let (line, message) = rest.split_once(": ")?;
        let line: u32 = line.parse().ok()?;
        (!file.contains([' ', '\n'])).then(|| (format!("{file}.lua"), line, message.to_owned()))
    });
    match located {
        Some((module, line, message)) => LoadError { module, line: Some(line), message },
        None => LoadError { module: source.path.clone(), line: None, message: text.to_owned() },
    }
}

/// Registers the module `name` as a match handler if the value at `value` is one.
fn register_match(machine: &Machine, stack: &mut Stack<'_>, value: i32, name: &str) {
    if stack.kind(value) != Kind::Table {
        return;
    }
    let handler = MATCH_FUNCTIONS.iter().all(|function| {
        stack.get_name(value, function.as_bytes());
        let is_function = stack.kind(-1) == Kind::Function;
        stack.pop(1);
        is_function
    });
    if handler {
        machine.register(stack, Some(value), Point::Match, name, None);
    }
}

fn number_text(_: &Machine, stack: &mut Stack<'_>) -> Result<i32, Raise> {
    let text = number::text(stack.number(1));
    stack.push_bytes(text.as_bytes());
    Ok(1)
}

/// `search(text, pattern, init, anchors)`: first, last, captures; or nil.
fn search(machine: &Machine, stack: &mut Stack<'_>) -> Result<i32, Raise> {
    let (subject, pattern) = (stack.bytes(1).to_vec(), stack.bytes(2).to_vec());
    let init = number::whole(stack.number(3).trunc()).unwrap_or(1);
    let anchors = stack.boolean(4);
    let length = i64::try_from(subject.len()).unwrap_or(i64::MAX);
    let start = if init < 0 { (length + init).max(0) } else { (init - 1).clamp(0, length) };
    let start = usize::try_from(start).unwrap_or(0);
    let stopped = || machine.must_end();
    let found = pattern::search(&subject, &pattern, start, anchors, &stopped)
        .map_err(|problem| Raise::Text(problem.to_owned()))?;
    let Some((part, captures)) = found else {
        stack.push_nil();
        return Ok(1);
    };
    stack.reserve(40);
    let base = stack.top();
    push_count(stack, part.start + 1);
    push_count(stack, part.end);
    for capture in captures {
        match capture {
            pattern::Capture::Part(part) => stack.push_bytes(&subject[part]),
            pattern::Capture::Position(position) => push_count(stack, position),
        }
    }
    Ok(stack.top() - base)
}

#[allow(clippy::cast_precision_loss, reason = "positions in a string stay far below 2^53")]
fn push_count(stack: &mut Stack<'_>, count: usize) {
    stack.push_number(count as f64);
}

fn change_case(stack: &mut Stack<'_>, change: fn(&str) -> String) -> Result<i32, Raise> {
    let mut out = Vec::new();
    for chunk in stack.bytes(1).utf8_chunks() {
        out.extend_from_slice(change(chunk.valid()).as_bytes());
        out.extend_from_slice(chunk.invalid());
    }
    stack.push_bytes(&out);
    Ok(1)
}

/// The whole number at `index`, `other` where there is none.
fn integer(stack: &Stack<'_>, index: i32, function: &str, other: i64) -> Result<i64, Raise> {
    match stack.kind(index) {
        Kind::Nothing | Kind::Nil => Ok(other),
        Kind::Number => Ok(number::whole(stack.number(index).trunc()).unwrap_or(other)),
        kind => {
            let problem = format!("number expected, got {}", kind.name());
            Err(Raise::argument(usize::try_from(index).unwrap_or(0), function, &problem))
        }
    }
}

fn date(_: &Machine, stack: &mut Stack<'_>) -> Result<i32, Raise> {
    let format = match stack.kind(1) {
        Kind::Nothing | Kind::Nil => "%c".to_owned(),
        Kind::Text => String::from_utf8_lossy(stack.bytes(1)).into_owned(),
        kind => {
            let problem = format!("string expected, got {}", kind.name());
            return Err(Raise::argument(1, "date", &problem));
        }
    };
    let format = format.trim_start_matches('!');
    let seconds = integer(stack, 2, "date", clock::now())?;
    let beyond = || Raise::argument(2, "date", "a time that dates can say is expected");
    if !format.starts_with("*t") {
        let text = clock::date(format, seconds).ok_or_else(beyond)?;
        stack.push_bytes(text.as_bytes());
        return Ok(1);
    }
    let fields = clock::fields(seconds).ok_or_else(beyond)?;
    stack.push_table(0, 9);
    let table = stack.top();
    for (name, value) in fields {
        stack.push_number(value);
        stack.set_name(table, name.as_bytes());
    }
    stack.push_boolean(false);
    stack.set_name(table, b"isdst");
    Ok(1)
}

#[allow(clippy::cast_precision_loss, reason = "Lua's numbers are floats")]
fn time(_: &Machine, stack: &mut Stack<'_>) -> Result<i32, Raise> {
    let seconds = match stack.kind(1) {
        Kind::Nothing => clock::now(),
        Kind::Table => {
            let mut field = |name: &str, other| {
                stack.get_name(1, name.as_bytes());
                let value = match stack.kind(-1) {
                    Kind::Number => number::whole(stack.number(-1).trunc()).unwrap_or(other),
                    _ => other,
                };
                stack.pop(1);
                value
            };
            clock::seconds(Calendar {
                year: field("year", -1),
                month: field("month", -1),
                day: field("day", -1),
                hour: field("hour", 12),
                minute: field("min", 0),
                second: field("sec", 0),
            })
        }
        kind => {
            let problem = format!("table expected, got {}", kind.name());
            return Err(Raise::argument(1, "time", &problem));
        }
    };
    stack.push_number(seconds as f64);
    Ok(1)
}

/// When this process first made an interpreter.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn since_start(_: &Machine, stack: &mut Stack<'_>) -> Result<i32, Raise> {
    stack.push_number(START.elapsed().as_secs_f64());
    Ok(1)
}

fn print(machine: &Machine, stack: &mut Stack<'_>) -> Result<i32, Raise> {
    if machine.seat.loading() == Loading::Again {
        return Ok(0);
    }
    let words: Vec<String> = (1..=stack.top())
        .map(|index| match text(stack, index) {
            Some(text) => String::from_utf8_lossy(&text).into_owned(),
            None if stack.kind(index) == Kind::Table => {
                format!("table: {:#x}", stack.address(index))
            }
            None => "nil".to_owned(),
        })
        .collect();
    nakama::log(machine, tracing::Level::INFO, &words.join("\t"));
    Ok(0)
}

/// `read(path)`: the text and the name of a file in the runtime path; or nil and a problem.
fn read(machine: &Machine, stack: &mut Stack<'_>) -> Result<i32, Raise> {
    let asked = String::from_utf8_lossy(stack.bytes(1)).into_owned();
    let root = &machine.shared.surroundings.path;
    let relative = Path::new(&asked);
    let relative = relative.strip_prefix(root).unwrap_or(relative);
    let inside =
        relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let full = root.join(relative);
    // A link may lead outside.
    let inside = inside
        && match (full.canonicalize(), root.canonicalize()) {
            (Ok(full), Ok(root)) => full.starts_with(root),
            _ => true,
        };
    let text = if inside {
        fs::read(&full).map_err(|error| format!("cannot open {asked}: {error}"))
    } else {
        Err(format!("cannot open {asked}: it is outside of the runtime path"))
    };
    match text {
        Ok(text) => {
            stack.push_bytes(&text);
            stack.push_bytes(relative.to_string_lossy().as_bytes());
        }
        Err(problem) => {
            stack.push_nil();
            stack.push_bytes(problem.as_bytes());
        }
    }
    Ok(2)
}

/// `module(name)`: the function that a module is the body of; false and a problem; or nothing.
fn module(machine: &Machine, stack: &mut Stack<'_>) -> Result<i32, Raise> {
    let mut sources = machine.shared.sources.iter();
    let found = sources.position(|source| source.name.as_bytes() == stack.bytes(1));
    let Some(index) = found else { return Ok(0) };
    if machine.shared.load(stack, index) {
        return Ok(1);
    }
    stack.push_boolean(false);
    stack.insert(-2);
    Ok(2)
}

fn seed(_: &Machine, stack: &mut Stack<'_>) -> Result<i32, Raise> {
    stack.push_number(f64::from(rand::random::<u32>()));
    Ok(1)
}
