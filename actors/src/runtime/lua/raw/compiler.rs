//! When the code of a match is worth compiling.
//!
//! What LuaJIT's compiler makes and needs would be half of the memory of a small match, and cheap
//! functions run no faster by it. So the functions of a match are interpreted, until their calls
//! take long.

use std::{
    ffi::c_int,
    sync::atomic::{AtomicU64, Ordering},
};

use mlua::ffi::{self, lua_State};

/// The running time (ns) of a call, on average, from which on code is compiled: a preempted thread
/// must not look like it.
const LONG_NS: u64 = 500_000;

/// The average is over about so many calls.
const CALLS: u64 = 32;

/// In the place of an average: code is compiled.
const COMPILED: u64 = u64::MAX;

/// How much memory (%) may be in use, of what was after the last collection, when the next one
/// begins; 200 otherwise.
const PAUSE: c_int = 140;

/// How much faster (%) than new memory is taken a collection that has begun frees it; 200 otherwise.
/// Twenty times at most: a collection of a small match is over within a few calls.
const SPEED: c_int = 2000;

const ENGINE_OFF: c_int = 0;
const ENGINE_ON: c_int = 0x100;

unsafe extern "C-unwind" {
    fn luaJIT_setmode(state: *mut lua_State, index: c_int, mode: c_int) -> c_int;
}

/// Whether the code of a state is compiled, and how long calls took where it is not. Changed on the
/// state's thread only.
pub(super) struct Compiler(AtomicU64);

impl Compiler {
    /// One that compiles, as LuaJIT does.
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(COMPILED))
    }

    /// From now on code is interpreted and memory collected early.
    ///
    /// # Safety
    /// On the thread of `state`, outside of any call; no other thread sets a hook meanwhile.
    pub(super) unsafe fn save(&self, state: *mut lua_State) {
        self.0.store(0, Ordering::Relaxed);
        // SAFETY: by the caller.
        unsafe {
            luaJIT_setmode(state, 0, ENGINE_OFF);
            ffi::lua_gc(state, ffi::LUA_GCSETPAUSE, PAUSE);
            ffi::lua_gc(state, ffi::LUA_GCSETSTEPMUL, SPEED);
        }
    }

    /// A call has run for so long; it may go on. Compiles from now on if calls take long.
    ///
    /// # Safety
    /// On the thread of `state`, in a hook or outside of any call; no other thread sets a hook
    /// meanwhile.
    pub(super) unsafe fn note(&self, state: *mut lua_State, ran_ns: u64, ended: bool) {
        let mean_ns = self.0.load(Ordering::Relaxed);
        if mean_ns == COMPILED {
            return;
        }
        let mean_ns = mean_ns - mean_ns / CALLS + ran_ns / CALLS;
        if mean_ns > LONG_NS {
            self.0.store(COMPILED, Ordering::Relaxed);
            // SAFETY: by the caller.
            unsafe { luaJIT_setmode(state, 0, ENGINE_ON) };
        } else if ended {
            self.0.store(mean_ns, Ordering::Relaxed);
        }
    }
}
