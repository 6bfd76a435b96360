//! Errors: of host functions into scripts, and of scripts out of them.
//!
//! A script may throw `{message, code}`, which reaches the client as it stands. Anything else is a
//! fault of code 13 whose sentence holds the text and the place: `Error: text at fn (index.js:1:2)`.
//!
//! Source of the shapes: Nakama, `runtime_javascript.go`, and the recorded conformance cases.

use std::fmt;

use guildhall_core::{Code, Error, Fault, Status};
use rquickjs::{
    Coerced, Ctx, Error as JsError, Exception, FromJs, Object, Value, atom::PredefinedAtom,
};

use super::{raw, state::State};

/// What a script raised, in Rust's hands.
#[derive(Debug)]
pub(super) struct Raised {
    /// The text of what was thrown: `TypeError: text`, `just text`, `[object Object]`.
    pub text: String,
    /// The frames, innermost first: `fn (index.js:1:2)`.
    pub frames: Vec<String>,
    /// `message` of a thrown object that is not an `Error`.
    pub message: Option<String>,
    /// `code` of a thrown object.
    pub code: Option<Code>,
    /// Why the interpreter cannot go on, if it cannot.
    pub end: Option<End>,
}

/// What ended a call from outside the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Its running time was up.
    Deadline,
    /// The memory limit was reached.
    Memory,
}

impl End {
    fn code(self) -> Code {
        match self {
            Self::Deadline => Code::DeadlineExceeded,
            Self::Memory => Code::ResourceExhausted,
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Deadline => "ran longer than its deadline allows",
            Self::Memory => "used more memory than its limit allows",
        }
    }
}

impl fmt::Display for Raised {
    /// The whole trace, as log lines and RPC answers show it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        for frame in &self.frames {
            write!(f, "\n\tat {frame}")?;
        }
        f.write_str("\n")
    }
}

impl Raised {
    /// Takes what is pending on `ctx`, or describes a failed conversion.
    pub(super) fn take(ctx: &Ctx<'_>, state: &State, error: &JsError) -> Self {
        if !matches!(error, JsError::Exception) {
            return Self::of(error.to_string());
        }
        let raised = Self::describe(ctx, state, &ctx.catch());
        // Reading it may itself have thrown.
        drop(ctx.catch());
        raised
    }

    fn of(text: String) -> Self {
        Self { text, frames: Vec::new(), message: None, code: None, end: None }
    }

    fn describe<'js>(ctx: &Ctx<'js>, state: &State, thrown: &Value<'js>) -> Self {
        let error = thrown.as_object().filter(|_| thrown.is_error());
        let mut raised = Self::of(match error {
            Some(error) => error_text(error),
            None => value_text(ctx, thrown),
        });
        if let Some(error) = error {
            raised.frames = frames(error);
        }
        raised.end = end(state, thrown, &raised.text);
        if let Some(object) = thrown.as_object().filter(|_| !thrown.is_array()) {
            // The reference sees own enumerable properties: not the message of an `Error`.
            if error.is_none()
                && let Ok(message) = object.get::<_, rquickjs::String<'_>>("message")
            {
                raised.message = raw::text(&message).ok();
            }
            raised.code = object.get::<_, Value<'_>>("code").ok().and_then(|code| whole(&code));
        }
        raised
    }

    /// The text with the innermost place: `Error: text at fn (index.js:1:2)`.
    pub(super) fn sentence(&self) -> String {
        match self.frames.first() {
            Some(frame) => format!("{} at {frame}", self.text),
            None => self.text.clone(),
        }
    }

    /// The innermost line of `module` in the trace.
    pub(super) fn line(&self, module: &str) -> Option<u32> {
        self.frames.iter().find_map(|frame| {
            let place = frame.rsplit('(').next()?.trim_end_matches(')');
            place.strip_prefix(module)?.strip_prefix(':')?.split(':').next()?.parse().ok()
        })
    }

    /// What a module's author reads when it fails to load in `function`.
    pub(super) fn load_message(&self, function: &str) -> String {
        let what = match self.end {
            Some(end) => format!("{function} {}", end.what()),
            None => self.message.clone().unwrap_or_else(|| self.text.clone()),
        };
        match self.frames.first() {
            Some(frame) => format!("{what} at {frame}"),
            None => what,
        }
    }

    /// The error that the caller of `function` of `module` gets.
    pub(super) fn into_error(self, module: &str, function: &str) -> Error {
        let trace = Some(self.to_string().into_boxed_str());
        if let Some(end) = self.end {
            // The machine may be in a function of its own, a pattern for one.
            let place = match self.frames.iter().find(|frame| frame.contains(module)) {
                Some(frame) => format!(" at {frame}"),
                None => format!(" at {function} ({module})"),
            };
            let (code, what) = (end.code(), end.what());
            let message = format!("JavaScript function {function} of {module} {what}{place}");
            return Fault { code, trace, ..Fault::new(message, self.text) }.into();
        }
        if self.message.is_none() && self.code.is_none() {
            let source = self.to_string();
            return Fault { trace, ..Fault::new(self.sentence(), source) }.into();
        }
        let message = self.message.clone().unwrap_or_else(|| self.sentence());
        let code = self.code.unwrap_or(Code::Internal);
        Status { trace, ..Status::of(code, message) }.into()
    }
}

/// A whole number, as a gRPC code: -1 is 4294967295.
fn whole(value: &Value<'_>) -> Option<Code> {
    let number = value.as_number()?;
    (number.fract() == 0.0 && number.abs() < 9e15).then_some(Code(number as i64 as u32))
}

fn end(state: &State, thrown: &Value<'_>, text: &str) -> Option<End> {
    let end = if state.budget.exceeded() {
        End::Memory
    } else if thrown.is_uncatchable_error() && state.seat.expired() {
        End::Deadline
    } else if state.budget.take_refused() && (thrown.is_null() || text.starts_with("InternalError"))
    {
        // With little left the machine's error has another message, or none; with nothing left it
        // throws null.
        End::Memory
    } else {
        return None;
    };
    state.spent.set(true);
    Some(end)
}

fn error_text(error: &Object<'_>) -> String {
    let part = |name| {
        error
            .get::<_, Option<Coerced<rquickjs::String<'_>>>>(name)
            .ok()
            .flatten()
            .and_then(|text| raw::text(&text.0).ok())
            .unwrap_or_default()
    };
    let (name, message) = (part(PredefinedAtom::Name), part(PredefinedAtom::Message));
    match (name.as_str(), message.as_str()) {
        ("", "") => "Error".to_owned(),
        ("", text) | (text, "") => text.to_owned(),
        (name, message) => format!("{name}: {message}"),
    }
}

fn value_text<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> String {
    if value.is_symbol() {
        return "Symbol()".to_owned();
    }
    match Coerced::<rquickjs::String<'_>>::from_js(ctx, value.clone()) {
        Ok(text) => raw::text(&text.0).unwrap_or_default(),
        Err(_) => {
            drop(ctx.catch());
            "[object Object]".to_owned()
        }
    }
}

/// The machine's frames, `    at fn (index.js:1:2)` on a line each, without the indentation.
fn frames(error: &Object<'_>) -> Vec<String> {
    let Ok(stack) = error.get::<_, rquickjs::String<'_>>(PredefinedAtom::Stack) else {
        return Vec::new();
    };
    raw::text(&stack)
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.trim().strip_prefix("at "))
        .map(str::to_owned)
        .collect()
}

/// The text of an `Error` object: `TypeError: text`.
pub(super) fn text_of(error: &Value<'_>) -> String {
    error.as_object().map(error_text).unwrap_or_default()
}

/// Throws a `TypeError` into the script.
pub(super) fn type_error(ctx: &Ctx<'_>, message: &str) -> JsError {
    Exception::throw_type(ctx, message)
}

/// How the sentences of work that failed begin; other refusals are about an argument.
const WORK_FAILED: [&str; 5] = ["failed ", "Failed ", "error ", "could not ", "not a valid "];

/// Throws the failure of a host function into the script, under the name it has in the reference:
/// `TypeError` where an argument is refused, else `GoError`.
pub(super) fn host_error(ctx: &Ctx<'_>, error: &Error) -> JsError {
    let message = match error {
        Error::Status(Status { code: Code::InvalidArgument, message, .. })
            if !WORK_FAILED.iter().any(|words| message.starts_with(words)) =>
        {
            return type_error(ctx, message);
        }
        Error::Status(status) => status.message.to_string(),
        // The author of the module sees the cause: it is not shown to clients unless they rethrow.
        Error::Fault(_) => error.to_string(),
    };
    let thrown = Exception::from_message(ctx.clone(), &message)
        .and_then(|error| error.as_object().set(PredefinedAtom::Name, "GoError").map(|()| error));
    match thrown {
        Ok(error) => error.throw(),
        Err(error) => error,
    }
}
