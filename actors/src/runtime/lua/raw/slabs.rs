//! Small blocks for the states of a thread: an allocator without a word of its own per block.
//!
//! LuaJIT makes and frees small blocks all the time and remembers their sizes. Blocks of a size stand
//! in spans, which all states of a thread share: what one match frees the next one uses, and a state
//! of its own costs no page that is half empty. A span that is empty is used for any size; more than
//! a few of them are given back to the system, as far as memory goes: addresses are kept.
//!
//! What must stay true: all of it is used on one thread; a block is freed with the size it was made
//! with; a span's header is at its start, found from any of its blocks by their addresses.

use std::{
    alloc::{self, Layout, handle_alloc_error},
    cell::UnsafeCell,
    ptr::{self, NonNull},
    rc::Rc,
};

/// The size and the alignment of a span in bytes.
const SPAN: usize = 16 << 10;
/// Spans are got from the system so many at a time.
const REGION_SPANS: usize = 64;
/// Empty spans that keep their memory.
const KEPT_SPANS: usize = 16;
/// The longest block that stands in a span; the system's allocator makes longer ones.
pub(super) const LONGEST: usize = 1024;

/// Sizes go by 16 up to here, and by 128 above.
const FINE: usize = 256;
const FINE_STEP: usize = 16;
const COARSE_STEP: usize = 128;
const CLASSES: usize = FINE / FINE_STEP + (LONGEST - FINE) / COARSE_STEP;

/// The number of the class of blocks that `bytes` (1 to [`LONGEST`]) fit into.
fn class(bytes: usize) -> usize {
    if bytes <= FINE {
        (bytes - 1) / FINE_STEP
    } else {
        FINE / FINE_STEP + (bytes - FINE - 1) / COARSE_STEP
    }
}

/// The size of the blocks of a class in bytes.
const fn block_bytes(class: usize) -> usize {
    const FINES: usize = FINE / FINE_STEP;
    if class < FINES { (class + 1) * FINE_STEP } else { FINE + (class + 1 - FINES) * COARSE_STEP }
}

/// The start of a span.
#[repr(C, align(16))]
struct Span {
    class: usize,
    /// Blocks in use.
    used: usize,
    /// The last block that was given back; it holds the address of the one before.
    free: *mut u8,
    /// Where the part begins that was never used.
    fresh: usize,
    /// Its neighbours among the spans of its class that have room.
    before: *mut Span,
    after: *mut Span,
}

/// The allocator of a thread; cheap to clone.
#[derive(Clone)]
pub(super) struct Slabs(Rc<UnsafeCell<State>>);

struct State {
    /// The first span of each class that has room.
    room: [*mut Span; CLASSES],
    /// Empty spans that have memory.
    warm: Vec<NonNull<Span>>,
    /// Those that have none.
    cold: Vec<NonNull<Span>>,
    regions: Vec<NonNull<u8>>,
}

/// That of the calling thread.
pub(super) fn of_thread() -> Slabs {
    thread_local! {
        static SLABS: Slabs = Slabs::new();
    }
    SLABS.with(Slabs::clone)
}

impl Slabs {
    fn new() -> Self {
        let room = [ptr::null_mut(); CLASSES];
        let state = State { room, warm: vec![], cold: vec![], regions: vec![] };
        Self(Rc::new(UnsafeCell::new(state)))
    }

    /// A block of `bytes`, 1 to [`LONGEST`], aligned to 16.
    pub(super) fn make(&self, bytes: usize) -> NonNull<u8> {
        debug_assert!((1..=LONGEST).contains(&bytes));
        // SAFETY: nothing called below comes back here, and no other thread has this.
        let state = unsafe { &mut *self.0.get() };
        state.make(class(bytes))
    }

    /// Gives a block back.
    ///
    /// # Safety
    /// `block` was made here for as many bytes, and is used no more.
    pub(super) unsafe fn free(&self, block: NonNull<u8>, bytes: usize) {
        debug_assert!((1..=LONGEST).contains(&bytes));
        // SAFETY: as in `make`; the block by the caller.
        unsafe { (*self.0.get()).free(block) }
    }

    /// Whether blocks of both sizes, 1 to [`LONGEST`], are alike.
    pub(super) fn alike(old: usize, new: usize) -> bool {
        class(old) == class(new)
    }
}

impl State {
    fn make(&mut self, class: usize) -> NonNull<u8> {
        let mut span = self.room[class];
        if span.is_null() {
            span = self.begin(class);
        }
        // SAFETY: a span in the list of its class has room: a block that was given back, or one
        // that was never used. A free block is at least 16 bytes and holds an address.
        unsafe {
            let bytes = block_bytes(class);
            let block = if (*span).free.is_null() {
                let block = span.cast::<u8>().add((*span).fresh);
                (*span).fresh += bytes;
                block
            } else {
                let block = (*span).free;
                (*span).free = block.cast::<*mut u8>().read();
                block
            };
            (*span).used += 1;
            if (*span).free.is_null() && (*span).fresh + bytes > SPAN {
                self.unlist(span);
            }
            NonNull::new_unchecked(block)
        }
    }

    /// # Safety
    /// See [`Slabs::free`].
    unsafe fn free(&mut self, block: NonNull<u8>) {
        let block = block.as_ptr();
        let span: *mut Span = block.map_addr(|address| address & !(SPAN - 1)).cast();
        // SAFETY: every block stands in a span, which is aligned to its size.
        unsafe {
            let class = (*span).class;
            let full = (*span).free.is_null() && (*span).fresh + block_bytes(class) > SPAN;
            block.cast::<*mut u8>().write((*span).free);
            (*span).free = block;
            (*span).used -= 1;
            if full {
                self.list(span);
            }
            // One may stay, for a class in which blocks come and go.
            let only = self.room[class] == span && (*span).after.is_null();
            if (*span).used == 0 && !only {
                self.unlist(span);
                self.end(NonNull::new_unchecked(span));
            }
        }
    }

    /// A span of a class that had none with room.
    fn begin(&mut self, class: usize) -> *mut Span {
        let empty = self.warm.pop().or_else(|| self.cold.pop());
        let span = empty.unwrap_or_else(|| self.add_region()).as_ptr();
        let fresh = size_of::<Span>();
        let (before, after, free) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        // SAFETY: nobody uses an empty span.
        unsafe { span.write(Span { class, used: 0, free, fresh, before, after }) };
        self.room[class] = span;
        span
    }

    /// Takes a span back.
    ///
    /// # Safety
    /// It is empty and in no list.
    unsafe fn end(&mut self, span: NonNull<Span>) {
        if self.warm.len() < KEPT_SPANS {
            self.warm.push(span);
            return;
        }
        // SAFETY: all of these pages are the span's, nothing in them is used, and what is read of
        // them later is written before.
        unsafe { libc::madvise(span.as_ptr().cast(), SPAN, libc::MADV_DONTNEED) };
        self.cold.push(span);
    }

    /// # Safety
    /// A span with room that is in no list.
    unsafe fn list(&mut self, span: *mut Span) {
        // SAFETY: the list holds spans only.
        unsafe {
            let first = &mut self.room[(*span).class];
            (*span).before = ptr::null_mut();
            (*span).after = *first;
            if !first.is_null() {
                (**first).before = span;
            }
            *first = span;
        }
    }

    /// # Safety
    /// A span in the list of its class.
    unsafe fn unlist(&mut self, span: *mut Span) {
        // SAFETY: the list holds spans only.
        unsafe {
            let Span { class, before, after, .. } = *span;
            if before.is_null() {
                self.room[class] = after;
            } else {
                (*before).after = after;
            }
            if !after.is_null() {
                (*after).before = before;
            }
        }
    }

    /// Gets more spans; the first of them.
    fn add_region(&mut self) -> NonNull<Span> {
        // SAFETY: the layout is not empty.
        let start = unsafe { alloc::alloc(REGION) };
        let Some(region) = NonNull::new(start) else { handle_alloc_error(REGION) };
        self.regions.push(region);
        // SAFETY: within the region.
        let span = |number| unsafe { region.add(number * SPAN) }.cast();
        self.cold.extend((1..REGION_SPANS).rev().map(span));
        span(0)
    }
}

const REGION: Layout = match Layout::from_size_align(SPAN * REGION_SPANS, SPAN) {
    Ok(layout) => layout,
    Err(_) => panic!("spans are aligned to a power of two"),
};

impl Drop for State {
    fn drop(&mut self) {
        for region in &self.regions {
            // SAFETY: made with this layout; whoever has a block has a share of this too.
            unsafe { alloc::dealloc(region.as_ptr(), REGION) };
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::HashMap;

    use super::*;

    #[test]
    fn every_size_has_a_class_of_the_shortest_blocks_it_fits_into() {
        for bytes in 1..=LONGEST {
            let class = class(bytes);
            assert!(class < CLASSES && block_bytes(class) >= bytes, "{bytes}");
            assert!(class == 0 || block_bytes(class - 1) < bytes, "{bytes}");
            assert_eq!(block_bytes(class) % 16, 0, "{bytes}");
        }
        assert_eq!(block_bytes(CLASSES - 1), LONGEST);
    }

    /// Blocks of all sizes come and go at random; each holds what was written into it, and in the end
    /// all spans but one of each class are empty.
    #[test]
    fn blocks_do_not_overlap_and_come_back() {
        let slabs = Slabs::new();
        let mut blocks: HashMap<usize, (usize, u8)> = HashMap::new();
        let mut seed = 1_u64;
        let mut random = move |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as usize % below
        };
        let end = |address: usize, (bytes, mark): (usize, u8)| {
            let block = NonNull::new(ptr::with_exposed_provenance_mut::<u8>(address)).unwrap();
            // SAFETY: made below for as many bytes.
            unsafe {
                let content = std::slice::from_raw_parts(block.as_ptr(), bytes);
                assert!(content.iter().all(|byte| *byte == mark));
                slabs.free(block, bytes);
            }
        };
        let mut most = 0;
        for round in 0..200_000 {
            // It grows for a while, then shrinks for a while.
            let grows = (round / 20_000) % 2 == 0;
            if random(10) < if grows { 7 } else { 3 } {
                let (bytes, mark) = (1 + random(LONGEST), random(256) as u8);
                let block = slabs.make(bytes);
                // SAFETY: the block is as long.
                unsafe { block.write_bytes(mark, bytes) };
                assert_eq!(block.addr().get() % 16, 0);
                let before = blocks.insert(block.as_ptr().expose_provenance(), (bytes, mark));
                assert_eq!(before, None);
                most = most.max(blocks.len());
            } else if let Some(&address) = blocks.keys().next() {
                let what = blocks.remove(&address).unwrap();
                end(address, what);
            }
        }
        assert!(most > 5_000, "{most}");
        for (address, what) in blocks.drain() {
            end(address, what);
        }
        // SAFETY: no other reference is there.
        let state = unsafe { &*slabs.0.get() };
        let empty = state.warm.len() + state.cold.len();
        let busy = state.regions.len() * REGION_SPANS - empty;
        assert!(state.warm.len() <= KEPT_SPANS && busy <= CLASSES, "{busy} of {empty}");
    }
}
