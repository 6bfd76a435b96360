//! From the module files of a runtime path to the program of each language.

use std::sync::Arc;

use guildhall_core::config::Config;

use super::{
    javascript::JavaScriptProgram, lua::LuaProgram, modules::ModuleFile, native::NativeProgram,
    script::Program, surroundings::Surroundings,
};
use crate::host::Language;

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
    let surroundings = &Arc::new(Surroundings::of(config));
    Programs {
        native: program(native, |files| NativeProgram::new(files, Arc::clone(surroundings))),
        lua: program(lua, |files| LuaProgram::new(files, Arc::clone(surroundings))),
        javascript: program(javascript, |files| {
            JavaScriptProgram::new(files, Arc::clone(surroundings))
        }),
    }
}

fn program<P: Program>(
    files: Vec<ModuleFile>,
    make: impl FnOnce(Vec<ModuleFile>) -> P,
) -> Option<Arc<dyn Program>> {
    if files.is_empty() { None } else { Some(Arc::new(make(files))) }
}
