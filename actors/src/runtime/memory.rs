//! Memory that interpreters leave behind, and the stacks that they run on.
#![allow(unsafe_code)]

use std::{cell::Cell, mem::MaybeUninit, ptr};

/// Gives what a gone interpreter has freed back to the system: the C library would keep it in the
/// arena of a thread that is about to end.
pub(super) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes no pointer, may be called at any time and on any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// The stack of a thread or fiber that runs scripts. Only what is used of it takes memory.
///
/// LuaJIT bounds its own stack, 65,500 values, and so what its C functions use of this one while they
/// call functions of scripts in turn: 4 MiB at most, measured, but for `string.gsub`, which may use
/// the other half ([`stack_is_half_used`]).
pub(super) const STACK_BYTES: usize = 8 << 20;

thread_local! {
    /// The middle of the stack that is in use; 0 while it is not known.
    static MIDDLE: Cell<usize> = const { Cell::new(0) };
}

/// Names the middle of the stack that is in use from now on; gives back that of the one before.
pub(super) fn enter_stack(middle: usize) -> usize {
    MIDDLE.replace(middle)
}

/// Whether half of the stack that is in use is used up.
pub(super) fn stack_is_half_used() -> bool {
    let here = 0_u8;
    if MIDDLE.get() == 0 {
        MIDDLE.set(middle_of_thread());
    }
    // Stacks grow down.
    ptr::from_ref(&here).addr() < MIDDLE.get()
}

/// The middle of the calling thread's own stack; 1 where it is not known.
fn middle_of_thread() -> usize {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the attributes are initialised by the first call, read by the second and given back by
    // the third; nothing is left where the first fails.
    unsafe {
        let mut attributes = MaybeUninit::uninit();
        if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) == 0 {
            let (mut start, mut size) = (ptr::null_mut(), 0);
            let got =
                libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut start, &raw mut size);
            libc::pthread_attr_destroy(attributes.as_mut_ptr());
            if got == 0 {
                return start.addr() + size / 2;
            }
        }
    }
    1
}
