//! Signal handlers across the loading of modules.
#![allow(unsafe_code, reason = "sigaction")]

use std::{mem::MaybeUninit, ptr};

use libc::{
    SIG_DFL, SIG_IGN, SIGCHLD, SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, c_int,
    sigaction,
};

/// The signals that are the server's to handle. Those of faults (SIGSEGV and its kin) are left to
/// a Go runtime, which needs them to recover from a nil dereference and passes on what is not its.
const OURS: [c_int; 8] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGCHLD, SIGUSR1, SIGUSR2, SIGPIPE];

/// Runs `load`; handlers that stood before stand again afterwards.
///
/// A signal that had no handler before is left alone: the server may install one meanwhile, on
/// another thread.
pub(super) fn keeping<R>(load: impl FnOnce() -> R) -> R {
    let before = OURS.map(handler);
    let loaded = load();
    for (signal, action) in OURS.into_iter().zip(before) {
        if let Some(action) = action {
            // SAFETY: the action was read from the system for the same signal.
            unsafe { sigaction(signal, &raw const action, ptr::null_mut()) };
        }
    }
    loaded
}

/// What the process does on `signal`, where that is of its own choice.
fn handler(signal: c_int) -> Option<sigaction> {
    let mut action = MaybeUninit::<sigaction>::uninit();
    // SAFETY: a null new action only reads the present one into `action`.
    let read = unsafe { sigaction(signal, ptr::null(), action.as_mut_ptr()) } == 0;
    // SAFETY: written where the call succeeded.
    let action = read.then(|| unsafe { action.assume_init() })?;
    let chosen = match action.sa_sigaction {
        SIG_DFL => false,
        // Rust ignores broken pipes from the start; an ignored hang-up comes from nohup, and
        // the server may still be about to handle it.
        SIG_IGN => signal == SIGPIPE,
        _ => true,
    };
    chosen.then_some(action)
}

#[cfg(test)]
mod tests {
    use super::*;

    extern "C" fn first(_: c_int) {}
    extern "C" fn second(_: c_int) {}

    fn install(signal: c_int, function: extern "C" fn(c_int)) {
        // SAFETY: the handlers do nothing.
        unsafe { libc::signal(signal, function as *const () as libc::sighandler_t) };
    }

    #[test]
    fn a_handler_taken_while_loading_is_given_back() {
        install(SIGUSR1, first);
        keeping(|| {
            install(SIGUSR1, second);
            install(SIGUSR2, second);
        });
        let standing = |signal| handler(signal).map(|action| action.sa_sigaction);
        assert_eq!(standing(SIGUSR1), Some(first as *const () as libc::sighandler_t));
        // Nobody had it before, so whoever took it keeps it.
        assert_eq!(standing(SIGUSR2), Some(second as *const () as libc::sighandler_t));
    }
}
