//! What an interpreter is.

use std::sync::Arc;

use guildhall_core::{Error, Result};

use super::{
    call::{Call, Output},
    matches::{MatchScript, MatchStart},
    seat::Seat,
};
use crate::{host::Language, registry::Registration};

/// The modules of one language, ready to be put into interpreters.
///
/// The first interpreter evaluates them for real; later ones, in growth or in place of a broken
/// one, only to get at the functions (ARCHITECTURE.md, "Side effects of loading happen once").
pub trait Program: Send + Sync + 'static {
    /// The language.
    fn language(&self) -> Language;

    /// Makes an interpreter on the calling thread, which it never leaves.
    ///
    /// # Errors
    /// A module that failed: file, line, function and cause.
    fn start(&self, seat: Arc<Seat>) -> Result<Started, LoadError>;

    /// Makes the interpreter of a match on the calling fiber, whose thread it never leaves: its own,
    /// with what the handler needs of the modules. `None` where no handler has the name.
    ///
    /// # Errors
    /// Why the handler does not load, in the words that the creator of the match gets.
    fn start_match(&self, start: MatchStart) -> Result<Option<Box<dyn MatchScript>>> {
        drop(start);
        Ok(None)
    }
}

/// An interpreter that has loaded its modules.
pub struct Started {
    /// The interpreter.
    pub interpreter: Box<dyn Interpreter>,
    /// What its modules registered, in order.
    pub registrations: Vec<Registration>,
}

/// A module that failed to load.
#[derive(Debug, thiserror::Error)]
#[error("{module}{}: {message}", .line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct LoadError {
    /// The module file, relative to the runtime path.
    pub module: String,
    /// The line, where known.
    pub line: Option<u32>,
    /// What went wrong.
    pub message: String,
}

/// A virtual machine with the modules of its language in it. Lives on one thread.
pub trait Interpreter {
    /// Calls a function and waits for its end.
    fn call(&mut self, call: Call) -> Invoked;
}

/// The end of a call.
#[derive(Debug)]
pub struct Invoked {
    /// What the function gave back or raised.
    pub result: Result<Output, Error>,
    /// Whether the interpreter must not be used again (memory limit, panic).
    pub spoiled: bool,
}

/// Host functions whose name in JavaScript does not follow from the name in snake case.
pub const JAVASCRIPT_NAMES: &[(&str, &str)] = &[
    ("base64url_decode", "base64UrlDecode"),
    ("base64url_encode", "base64UrlEncode"),
    ("link_gamecenter", "linkGameCenter"),
    ("tournament_ranks_disable", "tournamentsRanksDisable"),
    ("unlink_gamecenter", "unlinkGameCenter"),
    ("uuid_v4", "uuidv4"),
];

/// The name of a host function in JavaScript.
pub fn javascript_name(name: &str) -> String {
    JAVASCRIPT_NAMES
        .iter()
        .find(|(snake, _)| *snake == name)
        .map_or_else(|| camel_case(name), |(_, camel)| (*camel).to_owned())
}

/// A name in snake case (`user_id`) in lower camel case (`userId`); others stay as they are.
pub fn camel_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut raise = false;
    for c in name.chars() {
        match c {
            '_' if !out.is_empty() => raise = true,
            _ if raise => {
                out.extend(c.to_uppercase());
                raise = false;
            }
            _ => out.push(c),
        }
    }
    out
}
