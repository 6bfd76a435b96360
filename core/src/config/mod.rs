//! Configuration: one tree of keys ([`Config`]), filled from flags, environment, files and defaults.
//!
//! `keys.rs` declares every key; the rest of the folder reads that declaration and knows no key by name,
//! but for the rules that span several keys (`check.rs`, `exposure.rs`).

mod declare;
mod keys;
mod value;

use std::path::PathBuf;

pub use declare::{About, Visitor};
pub use keys::*;
pub use value::{
    CacheMode, Given, List, LogFormat, LogLevel, Protocol, Rule, Secret, SecretList, Value,
    Variables,
};

impl Config {
    /// The folder of the modules: `runtime.path`, or `modules` in `data_dir`.
    pub fn modules_path(&self) -> PathBuf {
        match self.runtime.path.as_str() {
            "" => PathBuf::from(&self.data_dir).join("modules"),
            path => PathBuf::from(path),
        }
    }
}
