//! Memory that interpreters leave behind.
#![allow(unsafe_code)]

/// Gives what a gone interpreter has freed back to the system: the C library would keep it in the
/// arena of a thread that is about to end.
pub(super) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes no pointer, may be called at any time and on any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
