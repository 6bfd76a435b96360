//! Lua: an interpreter by LuaJIT with Lua 5.1 semantics.
//!
//! [`LuaProgram`] holds the modules of a server and makes interpreters with them. Inside, `raw` is
//! what talks to LuaJIT; `machine` is an interpreter; `library` and `prelude.lua` shape its globals
//! and `nakama` makes its `nk`; `matches` makes it a match's own; `give` and `take` turn Rust values
//! into Lua's and back; `json`, `pattern`, `number` and `clock` are what LuaJIT lacks or cannot stop.

mod clock;
mod convert;
mod give;
mod json;
mod library;
mod machine;
mod matches;
mod nakama;
mod number;
mod pattern;
mod program;
mod raw;
mod take;

pub use program::{LuaProgram, self_test};

#[cfg(test)]
mod tests;
