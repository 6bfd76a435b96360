//! The module runtimes: what is common to Lua, JavaScript and native.

pub mod actor;
pub mod call;
pub mod check;
pub mod events;
pub mod host;
pub mod javascript;
pub mod lua;
pub mod matches;
mod memory;
pub mod modules;
pub mod native;
pub mod pool;
pub mod programs;
pub mod script;
pub mod seat;
pub mod surroundings;
pub mod watchdog;
mod worker;
