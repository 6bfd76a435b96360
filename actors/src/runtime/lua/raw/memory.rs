//! The memory of a state: Rust's allocator, counted and limited.

use std::{
    alloc::{self, Layout},
    cell::Cell,
    ffi::c_void,
    ptr,
};

/// What a state has allocated, and may. On the state's thread only.
#[derive(Default)]
pub(super) struct Memory {
    used: Cell<usize>,
    /// 0 for none.
    limit: Cell<usize>,
}

impl Memory {
    /// Bytes in use.
    pub(super) fn used(&self) -> usize {
        self.used.get()
    }

    /// Sets the limit that holds from now on; the one before.
    pub(super) fn limit(&self, bytes: usize) -> usize {
        self.limit.replace(bytes)
    }

    /// What [`allocate`] is given.
    pub(super) fn pointer(&self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast()
    }

    /// Counts `new` bytes in the place of `old` ones, if the limit allows it.
    fn take(&self, old: usize, new: usize) -> bool {
        let used = self.used.get().saturating_sub(old).saturating_add(new);
        let limit = self.limit.get();
        if limit > 0 && used > limit && new > old {
            return false;
        }
        self.used.set(used);
        true
    }
}

/// Everything that LuaJIT puts into blocks is aligned to this.
const ALIGN: usize = 8;

/// LuaJIT's allocator function: makes, changes and frees blocks, whose sizes it remembers itself.
///
/// # Safety
/// `memory` is that of a [`Memory`] that lives; `block` is null, or was given out for `old` bytes.
pub(super) unsafe extern "C" fn allocate(
    memory: *mut c_void,
    block: *mut c_void,
    old: usize,
    new: usize,
) -> *mut c_void {
    // SAFETY: by the caller; a record of `Cell`s may be shared.
    let memory = unsafe { &*memory.cast::<Memory>() };
    let old = if block.is_null() { 0 } else { old };
    let (Ok(before), Ok(after)) =
        (Layout::from_size_align(old, ALIGN), Layout::from_size_align(new, ALIGN))
    else {
        return ptr::null_mut();
    };
    if !memory.take(old, new) {
        return ptr::null_mut();
    }
    // SAFETY: no layout that is allocated is empty, and a block is given back with its own.
    let made: *mut u8 = unsafe {
        match (old, new) {
            (0, 0) => ptr::null_mut(),
            (0, _) => alloc::alloc(after),
            (_, 0) => {
                alloc::dealloc(block.cast(), before);
                ptr::null_mut()
            }
            _ => alloc::realloc(block.cast(), before, new),
        }
    };
    if made.is_null() && new > 0 {
        memory.take(new, old);
    }
    made.cast()
}
