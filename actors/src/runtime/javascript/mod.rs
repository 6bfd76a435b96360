//! JavaScript modules, by QuickJS.
//!
//! Each module file is a strict global script in a context of its own, so that several files may
//! each have their `InitModule`. `InitModule` runs once, in a context that is then discarded: what
//! it changes in globals is not seen by calls. The interpreters that serve calls evaluate the top
//! level alone, from bytecode, and find the registered functions by the names that reach them. Only
//! where a registered function has no such name does `InitModule` run in them too, with its host
//! calls answered from the first run.
//!
//! One machine per interpreter, which never leaves its thread. Handles into it are declared before
//! it, since fields drop in order and the machine aborts if one is left.

mod context;
mod format;
mod initializer;
mod interpreter;
mod load;
mod logger;
mod matches;
mod memory;
mod messages;
mod nk;
mod raise;
mod raw;
mod read;
mod state;
#[cfg(test)]
mod tests;
pub mod types;
mod write;

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use guildhall_core::{Code, Result, Status};

use super::{
    matches::{MatchScript, MatchStart},
    modules::ModuleFile,
    script::{LoadError, Program, Started},
    seat::Seat,
    surroundings::Surroundings,
};
use crate::{
    host::{HostFunction, Language},
    registry::{Point, Registration},
    tables::HOST_FUNCTIONS,
};

/// The stack that scripts may use. Threads and fibers have more: host functions run on the rest.
pub const STACK_BYTES: usize = 2 << 20;

/// A module file.
struct Module {
    /// Its path relative to the runtime path, as error messages and traces show it.
    name: String,
    source: String,
}

/// The JavaScript modules of a runtime path.
pub struct JavaScriptProgram {
    modules: Vec<Module>,
    surroundings: Arc<Surroundings>,
    functions: &'static [HostFunction],
    loaded: OnceLock<load::Loaded>,
}

impl JavaScriptProgram {
    /// The modules in `files`, in this order. A file that stands alone is the entry point and must have an `InitModule`; of several, those without
    /// one register nothing.
    pub fn new(files: Vec<ModuleFile>, surroundings: Arc<Surroundings>) -> Self {
        let files = files.into_iter().map(|file| (file.path, file.source)).collect();
        Self::with_functions(files, surroundings, HOST_FUNCTIONS)
    }

    fn with_functions(
        files: Vec<(String, Vec<u8>)>,
        surroundings: Arc<Surroundings>,
        functions: &'static [HostFunction],
    ) -> Self {
        let module = |(name, source): (String, Vec<u8>)| {
            let source = String::from_utf8_lossy(&source);
            Module { name, source: source.trim_start_matches('\u{feff}').to_owned() }
        };
        let modules = files.into_iter().map(module).collect();
        Self { modules, surroundings, functions, loaded: OnceLock::new() }
    }
}

impl fmt::Debug for JavaScriptProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.modules.iter().map(|module| &module.name);
        f.debug_list().entries(names).finish()
    }
}

impl Program for JavaScriptProgram {
    fn language(&self) -> Language {
        Language::JavaScript
    }

    fn start(&self, seat: Arc<Seat>) -> Result<Started, LoadError> {
        let alone = self.modules.len() == 1;
        let loader = load::Loader::new(seat, self.surroundings.clone(), self.functions, alone)?;
        let (interpreter, loaded) = match self.loaded.get() {
            Some(loaded) => (loader.again(&self.modules, loaded)?, loaded),
            None => {
                let (interpreter, loaded) = loader.first(&self.modules)?;
                (interpreter, self.loaded.get_or_init(|| loaded))
            }
        };
        let registrations = loaded.registrations.clone();
        Ok(Started { interpreter: Box::new(interpreter), registrations })
    }

    fn start_match(&self, start: MatchStart) -> Result<Option<Box<dyn MatchScript>>> {
        let MatchStart { seat, name, identity, dispatcher } = start;
        let Some(loaded) = self.loaded.get() else { return Ok(None) };
        let handler = |it: &&Registration| it.point == Point::Match && it.name == name;
        let Some(handler) = loaded.registrations.iter().find(handler) else { return Ok(None) };
        let first = handler.function.0 as usize;
        let loader = load::Loader::new(seat, self.surroundings.clone(), self.functions, false);
        let interpreter = loader
            .and_then(|loader| loader.for_match(&self.modules, loaded, first))
            .map_err(|error| {
                let words = format!("error loading match module: {error}");
                Status::of(Code::Internal, words)
            })?;
        matches::start(interpreter, identity, dispatcher).map(Some)
    }
}
