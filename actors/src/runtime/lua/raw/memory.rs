//! The memory of a state: small blocks of its thread's [`slabs`](super::slabs), large ones of the system,
//! counted and limited.

use std::{
    alloc::{self, Layout},
    cell::Cell,
    ffi::c_void,
    ptr::{self, NonNull},
};

use super::slabs::{LONGEST, Slabs, of_thread};

/// What a state has allocated, and may. On the state's thread only.
pub(super) struct Memory {
    slabs: Slabs,
    used: Cell<usize>,
    /// 0 for none.
    limit: Cell<usize>,
}

impl Memory {
    /// That of a new state of the calling thread, without a limit.
    pub(super) fn new() -> Self {
        Self { slabs: of_thread(), used: Cell::new(0), limit: Cell::new(0) }
    }

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
    if !memory.take(old, new) {
        return ptr::null_mut();
    }
    // SAFETY: the block by the caller; it was made by what makes blocks of its size.
    let made = unsafe { remake(&memory.slabs, block.cast(), old, new) };
    if made.is_null() && new > 0 {
        memory.take(new, old);
    }
    made.cast()
}

/// What becomes of a block of `old` bytes that is to have `new` ones, of which either may be none; null
/// for no block.
///
/// # Safety
/// `block` was made here for `old` bytes, if that is not 0.
unsafe fn remake(slabs: &Slabs, block: *mut u8, old: usize, new: usize) -> *mut u8 {
    let (was_small, is_small) = (old <= LONGEST, new <= LONGEST);
    // SAFETY: blocks go back to where they came from, with the size they have; no layout that is
    // asked of the system is empty, and only as much is copied as both blocks hold.
    unsafe {
        match (old, new) {
            (0, _) => make(slabs, new),
            (_, 0) => {
                free(slabs, block, old);
                ptr::null_mut()
            }
            _ if was_small && is_small && Slabs::alike(old, new) => block,
            _ if !was_small && !is_small => match layout(old) {
                Some(layout) => alloc::realloc(block, layout, new),
                None => ptr::null_mut(),
            },
            _ => {
                let made = make(slabs, new);
                if !made.is_null() {
                    made.copy_from_nonoverlapping(block, old.min(new));
                    free(slabs, block, old);
                }
                made
            }
        }
    }
}

fn make(slabs: &Slabs, bytes: usize) -> *mut u8 {
    match (bytes, layout(bytes)) {
        (0, _) | (_, None) => ptr::null_mut(),
        (1..=LONGEST, _) => slabs.make(bytes).as_ptr(),
        // SAFETY: the layout is not empty.
        (_, Some(layout)) => unsafe { alloc::alloc(layout) },
    }
}

/// # Safety
/// `block` was made by [`make`] for as many bytes, at least one.
unsafe fn free(slabs: &Slabs, block: *mut u8, bytes: usize) {
    let Some(block) = NonNull::new(block) else { return };
    // SAFETY: by the caller.
    unsafe {
        if bytes <= LONGEST {
            slabs.free(block, bytes);
        } else if let Some(layout) = layout(bytes) {
            alloc::dealloc(block.as_ptr(), layout);
        }
    }
}

/// How a long block is asked of the system; `None` for more than there can be.
fn layout(bytes: usize) -> Option<Layout> {
    Layout::from_size_align(bytes, ALIGN).ok()
}
