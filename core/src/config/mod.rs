//! Configuration: one tree of keys ([`Config`]), filled from flags, environment, files and defaults.
//!
//! `keys.rs` declares every key; the rest of the folder reads that declaration and knows no key by name,
//! but for the rules that span several keys (`check.rs`, `exposure.rs`).

mod check;
mod declare;
pub mod exposure;
mod keys;
mod load;
mod problem;
pub mod reference;
mod source;
#[cfg(test)]
mod tests;
mod value;
mod yaml;

use std::path::PathBuf;

pub use keys::*;
pub use load::Loaded;
pub use problem::Problem;
pub use value::{
    CacheMode, EmbeddedPostgres, List, LogFormat, LogLevel, Protocol, Secret, SecretList, Variables,
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
