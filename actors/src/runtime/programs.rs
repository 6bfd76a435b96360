//! From the module files of a runtime path to the program of each language.

use std::sync::Arc;

use guildhall_core::config::Config;

use super::{
    host::settings,
    javascript::{self, JavaScriptProgram},
    lua::{self, LuaProgram},
    modules::ModuleFile,
    native::{self, NativeProgram},
    script::Program,
};
use crate::host::Language;

/// The version that modules see as `ctx.version`.
const VERSION: &str = env!("CARGO_PKG_VERSION");
const MB: usize = 1 << 20;

/// The programs of a runtime path; `None` for a language without modules.
#[derive(Default)]
pub struct Programs {
    /// Native modules.
    pub native: Option<Arc<dyn Program>>,
    /// Lua modules.
    pub lua: Option<Arc<dyn Program>>,
    /// JavaScript modules.
    pub javascript: Option<Arc<dyn Program>>,
}

/// The programs of these files, in their order, under the limits of `config`.
pub fn programs(files: Vec<ModuleFile>, config: &Config) -> Programs {
    let mut of = [(); Language::ALL.len()].map(|()| Vec::new());
    for file in files {
        of[file.language as usize].push(file);
    }
    let [native, lua, javascript] = of;
    Programs {
        native: program(native, |files| native_program(files, config)),
        lua: program(lua, |files| lua_program(files, config)),
        javascript: program(javascript, |files| javascript_program(files, config)),
    }
}

fn program<P: Program>(
    files: Vec<ModuleFile>,
    make: impl FnOnce(Vec<ModuleFile>) -> P,
) -> Option<Arc<dyn Program>> {
    if files.is_empty() { None } else { Some(Arc::new(make(files))) }
}

fn native_program(files: Vec<ModuleFile>, config: &Config) -> NativeProgram {
    let options = native::Options {
        env: (*config.runtime.env).clone(),
        node: config.name.clone(),
        version: VERSION.to_owned(),
    };
    NativeProgram::new(files, options)
}

fn lua_program(files: Vec<ModuleFile>, config: &Config) -> LuaProgram {
    let settings = lua::Settings {
        path: config.modules_path(),
        node: config.name.clone(),
        version: VERSION.to_owned(),
        env: config.runtime.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        memory_limit_bytes: config.runtime.memory_limit_mb * MB,
    };
    LuaProgram::new(files, settings)
}

fn javascript_program(files: Vec<ModuleFile>, config: &Config) -> JavaScriptProgram {
    let options = javascript::Options {
        env: (*config.runtime.env).clone(),
        node: config.name.clone(),
        version: VERSION.to_owned(),
        config: settings::shown(config),
        read_only_globals: config.runtime.js_read_only_globals,
        memory_limit_bytes: config.runtime.memory_limit_mb * MB,
    };
    let files = files.into_iter().map(|file| (file.path, file.source)).collect();
    JavaScriptProgram::new(files, options)
}
