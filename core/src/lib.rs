//! The shared vocabulary: errors, callers, session tokens, configuration.
//!
//! Nothing here does I/O. `actors` and `src` build on it; it knows only the wire types.

pub mod caller;
pub mod error;

pub use caller::Caller;
pub use error::{Code, Error, Fault, OrFault, Result, Status};
