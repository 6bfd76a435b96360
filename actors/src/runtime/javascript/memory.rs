//! The memory of an interpreter: an allocator that counts, and a budget that is watched.
//!
//! The machine's own limit only refuses: a script can catch that and go on, and where nothing is
//! left for an error object the machine throws `null`. So the budget has a reserve. Above its mark
//! the interrupt handler collects garbage and, if that is not enough, ends the call for good, with
//! its place; the reserve is what the script may allocate until it is asked.
#![allow(unsafe_code)]

use std::{
    alloc::{self, Layout},
    cell::Cell,
    ptr,
    rc::Rc,
};

use rquickjs::allocator::Allocator;

use crate::runtime::matches::current_fiber;

/// The part of the limit that is kept for what happens between two looks, at most.
const RESERVE_BYTES: usize = 16 << 20;

/// In front of each block stands its size; this keeps what follows aligned.
const HEADER_BYTES: usize = 16;

/// How much may be allocated before the machine's fiber looks whether others are to have their turn:
/// functions of the machine's own can work for long before it asks its interrupt handler.
const STRETCH_BYTES: usize = 256 << 10;

/// What an interpreter may use, and uses.
pub(super) struct Budget {
    used: Cell<usize>,
    /// Allocated since the fiber last looked.
    stretch: Cell<usize>,
    mark: usize,
    limit: usize,
    refused: Cell<bool>,
    exceeded: Cell<bool>,
}

impl Budget {
    /// A budget of `limit_bytes`; 0 for no limit.
    pub(super) fn new(limit_bytes: usize) -> Rc<Self> {
        let limit = if limit_bytes == 0 { usize::MAX } else { limit_bytes };
        Rc::new(Self {
            used: Cell::new(0),
            stretch: Cell::new(0),
            mark: limit - RESERVE_BYTES.min(limit / 4),
            limit,
            refused: Cell::new(false),
            exceeded: Cell::new(false),
        })
    }

    /// Whether more is used than the mark allows.
    pub(super) fn is_high(&self) -> bool {
        self.used.get() > self.mark
    }

    /// Notes that the script must end.
    pub(super) fn exceed(&self) {
        self.exceeded.set(true);
    }

    /// Whether the script must end, or was ended.
    pub(super) fn exceeded(&self) -> bool {
        self.exceeded.get()
    }

    /// Whether an allocation was refused since the last time this was asked.
    pub(super) fn take_refused(&self) -> bool {
        self.refused.take()
    }

    /// Takes `size` bytes in place of `instead_of`, if they are there.
    fn take(&self, size: usize, instead_of: usize) -> bool {
        let used = (self.used.get() - instead_of).saturating_add(size);
        if used > self.limit {
            self.refused.set(true);
            return false;
        }
        self.used.set(used);
        let stretch = self.stretch.get() + size;
        self.stretch.set(stretch);
        if stretch >= STRETCH_BYTES {
            self.stretch.set(0);
            // The interrupt handler asks again, and ends the script where it must end.
            let _ = current_fiber().map(|fiber| fiber.pause_if_due());
        }
        true
    }
}

/// Rust's allocator within a [`Budget`].
pub(super) struct Counted(pub Rc<Budget>);

/// The layout of a block with its header; `None` where no such block can be.
fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.checked_add(HEADER_BYTES)?, HEADER_BYTES).ok()
}

/// # Safety
/// `block` was given out by [`Counted`] and not freed since.
unsafe fn size_of(block: *mut u8) -> usize {
    // SAFETY: by the caller: its header stands in front of it.
    unsafe { block.sub(HEADER_BYTES).cast::<usize>().read() }
}

impl Counted {
    fn new_block(&self, size: usize, allocate: unsafe fn(Layout) -> *mut u8) -> *mut u8 {
        let Some(layout) = layout(size) else { return ptr::null_mut() };
        if !self.0.take(layout.size(), 0) {
            return ptr::null_mut();
        }
        // SAFETY: the layout is never empty, and large and aligned enough for the header.
        unsafe {
            let start = allocate(layout);
            if start.is_null() {
                self.0.take(0, layout.size());
                return start;
            }
            start.cast::<usize>().write(size);
            start.add(HEADER_BYTES)
        }
    }
}

// SAFETY: blocks come from the global allocator, aligned to 16 bytes and at least as large as asked
// for; each carries its size, from which its layout is made again.
unsafe impl Allocator for Counted {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        self.new_block(size, alloc::alloc)
    }

    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        match count.checked_mul(size) {
            Some(size) => self.new_block(size, alloc::alloc_zeroed),
            None => ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&mut self, block: *mut u8) {
        // SAFETY: the block is one of ours, so header and layout are those it was made with.
        unsafe {
            if let Some(layout) = layout(size_of(block)) {
                self.0.take(0, layout.size());
                alloc::dealloc(block.sub(HEADER_BYTES), layout);
            }
        }
    }

    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        if block.is_null() {
            return self.alloc(size);
        }
        // SAFETY: as in `dealloc`; the new size is not above what a layout allows.
        unsafe {
            let (Some(old), Some(new)) = (layout(size_of(block)), layout(size)) else {
                return ptr::null_mut();
            };
            if !self.0.take(new.size(), old.size()) {
                return ptr::null_mut();
            }
            let start = alloc::realloc(block.sub(HEADER_BYTES), old, new.size());
            if start.is_null() {
                self.0.take(old.size(), new.size());
                return start;
            }
            start.cast::<usize>().write(size);
            start.add(HEADER_BYTES)
        }
    }

    unsafe fn usable_size(block: *mut u8) -> usize {
        // SAFETY: by the caller.
        unsafe { size_of(block) }
    }
}
