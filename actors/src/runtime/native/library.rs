//! A shared library: loading it, its entry, and the functions it registered.
#![allow(unsafe_code, reason = "foreign code over the C ABI")]

use std::{mem, path::Path, sync::Arc};

use guildhall_sdk::abi;
use libloading::os::unix::{Library as Loaded, RTLD_LOCAL, RTLD_NOW};

use super::{frame::Frame, host::HOST};

/// A loaded library with its entry found. It is never unloaded: a Go runtime cannot end, and
/// functions of it may be running.
pub(super) struct Library {
    init: abi::Init,
}

impl Library {
    /// Loads the library at `path`.
    ///
    /// # Errors
    /// Why it cannot be loaded, or that it is no native module.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        // A name without a slash would be looked for in the system's folders.
        let path = std::path::absolute(path).map_err(|error| error.to_string())?;
        // SAFETY: the operator put this library into the runtime path, to be run.
        let library = unsafe { Loaded::open(Some(&path), RTLD_NOW | RTLD_LOCAL) }
            .map_err(|error| format!("cannot be loaded: {}", cause(&error)))?;
        // SAFETY: the symbol of this name is such a function: that is the ABI.
        let init = unsafe { library.get::<abi::Init>(abi::ENTRY) }
            .map(|symbol| *symbol)
            .map_err(|_| "exports no guildhall_module_init: it is not a native module".to_owned());
        mem::forget(library);
        Ok(Self { init: init? })
    }

    /// Runs the module's initialisation; what it registers is noted in `frame`.
    ///
    /// # Errors
    /// A version of the ABI that this server does not speak, or the module's own error.
    pub(super) fn initialise(&self, frame: &Frame<'_>) -> Result<abi::Invoke, String> {
        let mut module =
            abi::Module { size: abi::size_of::<abi::Module>(), version: 0, invoke: None };
        // SAFETY: `init` is the module's entry; all it is given is valid as the ABI says.
        let code =
            frame.enter(|call| unsafe { (self.init)(&raw const HOST, call, &raw mut module) });
        if module.version != abi::VERSION {
            return Err(format!(
                "was built for version {} of the native interface, this server has version {}: \
                 build it with this server's SDK",
                module.version,
                abi::VERSION
            ));
        }
        if code != 0 {
            return Err(format!("its initialisation failed (code {code}): {}", frame.text()));
        }
        match module.invoke {
            Some(invoke) if module.size >= abi::size_of::<abi::Module>() => Ok(invoke),
            _ => Err("its initialisation did not fill in the module's functions".to_owned()),
        }
    }
}

/// The words of the system, which libloading keeps as the source of its own.
fn cause(error: &libloading::Error) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    source.unwrap_or_else(|| error.to_string())
}

/// A registered function of a module.
#[derive(Debug)]
pub(super) struct NativeFunction {
    /// The module file.
    pub module: Arc<str>,
    /// What it was registered for, for the log.
    pub label: Arc<str>,
    /// The module's number of it.
    pub number: u32,
    /// The module's function that runs it.
    pub invoke: abi::Invoke,
}

impl NativeFunction {
    /// Runs the function in `frame`; 0, or the code of its error. What it gave back is in `frame`.
    pub(super) fn call(&self, frame: &Frame<'_>, input: &abi::Input) -> abi::Code {
        // SAFETY: the library stays loaded, and the input outlives the call.
        frame.enter(|call| unsafe { (self.invoke)(call, self.number, input) })
    }
}
