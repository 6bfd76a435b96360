//! What a native module is written against.
//!
//! A module is a `cdylib` crate with an initialisation that registers functions:
//!
//! ```
//! use guildhall_sdk::{Error, Module, code, info};
//!
//! guildhall_sdk::module!(init);
//!
//! fn init(module: &mut Module<'_>) -> Result<(), Error> {
//!     module.rpc("greet", |nk, payload| {
//!         if payload.is_empty() {
//!             return Err(Error::new(code::INVALID_ARGUMENT, "a name is needed"));
//!         }
//!         info!(nk, "greeting {}", nk.context().username);
//!         Ok([b"hello ", payload].concat())
//!     })
//! }
//! ```
//!
//! A module runs matches with [`Module::register_match`] and the trait [`Match`].
//!
//! [`abi`] mirrors `sdk/include/guildhall.h`, which says how both sides treat each other; the
//! server uses it too. [`value`] holds what host functions take and give. Panics of the module's
//! functions are caught and answered as errors with file and line.

pub mod abi;
mod error;
mod matches;
mod module;
mod nk;
pub mod value;

pub use error::{Error, code};
pub use guildhall_proto as proto;
pub use matches::{Answer, Broadcast, Dispatcher, Match, MatchData, MatchInit, Presence, Turn};
pub use module::{Module, Point, initialise};
pub use nk::{Callee, Function, Level, Nk};
pub use value::wire::Context;

/// Exports the module's entry: `module!(init)`, where `init` is a
/// `fn(&mut Module<'_>) -> Result<(), Error>` that registers the module's functions.
#[macro_export]
macro_rules! module {
    ($init:path) => {
        #[allow(unsafe_code)]
        const _: () = {
            // SAFETY: the name is the one symbol of the ABI; a library holds one module.
            #[unsafe(no_mangle)]
            unsafe extern "C" fn guildhall_module_init(
                host: *const $crate::abi::Host,
                call: $crate::abi::Call,
                module: *mut $crate::abi::Module,
            ) -> $crate::abi::Code {
                // SAFETY: the server passes what the ABI promises.
                unsafe { $crate::initialise(host, call, module, $init) }
            }
        };
    };
}

/// Writes a DEBUG line to the server's log: `debug!(nk, "format {}", value)`.
#[macro_export]
macro_rules! debug {
    ($nk:expr, $($text:tt)+) => { $nk.log($crate::Level::Debug, &format!($($text)+)) };
}

/// Writes an INFO line to the server's log: `info!(nk, "format {}", value)`.
#[macro_export]
macro_rules! info {
    ($nk:expr, $($text:tt)+) => { $nk.log($crate::Level::Info, &format!($($text)+)) };
}

/// Writes a WARN line to the server's log: `warn!(nk, "format {}", value)`.
#[macro_export]
macro_rules! warn {
    ($nk:expr, $($text:tt)+) => { $nk.log($crate::Level::Warn, &format!($($text)+)) };
}

/// Writes an ERROR line to the server's log: `error!(nk, "format {}", value)`.
#[macro_export]
macro_rules! error {
    ($nk:expr, $($text:tt)+) => { $nk.log($crate::Level::Error, &format!($($text)+)) };
}
