//! The Lua modules of a server, ready to be put into interpreters.

use std::{
    sync::{Arc, OnceLock, mpsc},
    thread,
    time::{Duration, Instant},
};

use guildhall_core::Result;

use super::{
    machine::Machine,
    matches,
    raw::{Code, Stack, Vm},
};
use crate::{
    host::Language,
    registry::Point,
    runtime::{
        matches::{MatchScript, MatchStart},
        modules::ModuleFile,
        script::{LoadError, Program, Started},
        seat::Seat,
        surroundings::Surroundings,
    },
};

/// What the interpreters of a program share.
pub(super) struct Shared {
    pub(super) surroundings: Arc<Surroundings>,
    /// In the order of their names.
    pub(super) sources: Vec<ModuleFile>,
    /// The bytecode of each source, once it was loaded.
    codes: Vec<OnceLock<Code>>,
    /// What the first interpreter registered, in order: the numbers of functions.
    pub(super) first: OnceLock<Vec<(Point, String)>>,
}

/// The Lua modules of a server.
pub struct LuaProgram(Arc<Shared>);

impl LuaProgram {
    /// The Lua modules among `files`. They are evaluated in the order of their names.
    pub fn new(files: Vec<ModuleFile>, surroundings: Arc<Surroundings>) -> Self {
        let mut sources: Vec<ModuleFile> =
            files.into_iter().filter(|file| file.language == Language::Lua).collect();
        sources.sort_by(|a, b| a.name.cmp(&b.name));
        let codes = sources.iter().map(|_| OnceLock::new()).collect();
        Self(Arc::new(Shared { surroundings, sources, codes, first: OnceLock::new() }))
    }
}

impl Shared {
    /// Adds the function that source `index` is the body of, or what is wrong with it and false.
    pub(super) fn load(&self, stack: &mut Stack<'_>, index: usize) -> bool {
        let (Some(source), Some(known)) = (self.sources.get(index), self.codes.get(index)) else {
            stack.push_nil();
            return false;
        };
        let name = format!("@{}", source.path);
        if let Some(code) = known.get() {
            return stack.load_code(code, &name);
        }
        let loaded = stack.load(&source.source, &name);
        if loaded && let Some(code) = stack.code() {
            // Another interpreter may have been first; it is the same.
            let _ = known.set(code);
        }
        loaded
    }
}

impl Program for LuaProgram {
    fn language(&self) -> Language {
        Language::Lua
    }

    fn start(&self, seat: Arc<Seat>) -> Result<Started, LoadError> {
        self_test().map_err(|message| LoadError {
            module: "lua".to_owned(),
            line: None,
            message: message.to_owned(),
        })?;
        let machine = Machine::start(Arc::clone(&self.0), seat)?;
        let registrations = machine.registrations();
        Ok(Started { interpreter: Box::new(machine), registrations })
    }

    fn start_match(&self, start: MatchStart) -> Result<Option<Box<dyn MatchScript>>> {
        matches::start(Arc::clone(&self.0), start)
    }
}

const NOT_STOPPED: &str = "an endless loop cannot be stopped: LuaJIT was built without \
    LUAJIT_ENABLE_CHECKHOOK (see .cargo/config.toml), so no Lua function would have a deadline";

/// How long the self-test waits for the loop to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether a compiled endless loop can be stopped; tried once in this process.
///
/// # Errors
/// That it cannot, and why.
pub fn self_test() -> Result<(), &'static str> {
    static RESULT: OnceLock<Result<(), &'static str>> = OnceLock::new();
    *RESULT.get_or_init(|| {
        let (send_alarm, alarm) = mpsc::channel();
        let (send_end, end) = mpsc::channel();
        let spawned = thread::Builder::new().name("lua self-test".to_owned()).spawn(move || {
            let Some(vm) = Vm::new(0) else { return };
            let mut stack = vm.stack();
            stack.load(b"local n = 0 while true do n = n + 1 end", "=self-test");
            if send_alarm.send(vm.alarm()).is_ok() {
                vm.call(&mut stack, 0, 0);
                vm.alarm().quit();
                // The alarm's other holder must be done before the state is closed.
                let _ = send_end.send(());
            }
        });
        let Ok(thread) = spawned else { return Err("no thread for the self-test") };
        let alarm = alarm.recv().map_err(|_| "LuaJIT could not be started")?;
        // Long enough for the loop to be compiled.
        let mut stopped = end.recv_timeout(Duration::from_millis(2)).is_ok();
        let begun = Instant::now();
        while !stopped && begun.elapsed() < PATIENCE {
            alarm.raise();
            stopped = end.recv_timeout(Duration::from_millis(50)).is_ok();
        }
        if stopped {
            let _ = thread.join();
            Ok(())
        } else {
            Err(NOT_STOPPED)
        }
    })
}
