//! What modules see of the server they run in, and their limits: the same for all languages.

use std::{collections::BTreeMap, path::PathBuf};

use guildhall_core::config::Config;
use serde_json::Value;

use super::host::settings;

/// What modules see of the server they run in, and their limits.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The runtime path, where modules stand.
    pub path: PathBuf,
    /// `node` of the context: the server's name.
    pub node: String,
    /// `version` of the context: the server's version.
    pub version: String,
    /// `env` of the context: `runtime.env`.
    pub env: BTreeMap<String, String>,
    /// What `initializer.getConfig()` of JavaScript shows.
    pub config: Value,
    /// `runtime.js_read_only_globals`.
    pub js_read_only_globals: bool,
    /// The memory that one interpreter may use, bytes; 0 for no limit.
    pub memory_limit_bytes: usize,
}

impl Surroundings {
    /// The surroundings in a server with this configuration.
    pub fn of(config: &Config) -> Self {
        Self {
            path: config.modules_path(),
            node: config.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            env: (*config.runtime.env).clone(),
            config: settings::shown(config),
            js_read_only_globals: config.runtime.js_read_only_globals,
            memory_limit_bytes: config.runtime.memory_limit_mb << 20,
        }
    }
}
