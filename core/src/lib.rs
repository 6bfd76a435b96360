//! The shared vocabulary: errors, callers, session tokens, configuration.
//!
//! Nothing here does I/O, but for reading configuration files. `actors` and `src` build on it; it knows
//! only the wire types.

pub mod caller;
pub mod config;
pub mod cursor;
pub mod error;
pub mod json;
pub mod session;

pub use caller::Caller;
pub use config::Config;
pub use cursor::Cursor;
pub use error::{Code, Error, Fault, OrFault, Result, Status, panic_text};
