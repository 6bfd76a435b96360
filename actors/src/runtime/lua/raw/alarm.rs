//! Stopping the code that runs, from another thread.

use std::{ffi::c_void, marker::PhantomData, mem, ptr::NonNull, sync::Arc};

use mlua::ffi::{self, lua_Debug, lua_State};
use parking_lot::Mutex;

use super::{PRELUDE, Place, Stack, compiler::Compiler, place};
use crate::runtime::matches::{Pause, current_fiber};

/// Stops the code that runs in a [`Vm`], from any thread.
pub(in crate::runtime::lua) struct Alarm {
    state: NonNull<lua_State>,
    stage: Mutex<Stage>,
    compiler: Compiler,
}

/// How far an alarm has come. Hooks are set under its lock only: LuaJIT changes its marks when a hook
/// begins and ends, and one that another thread writes back too late would say for ever that the
/// hook is at work.
enum Stage {
    Quiet,
    /// The hook is set, and will be called.
    Raised,
    /// The hook has ended the code, here.
    Met(Place),
}

// SAFETY: the pointer is only given to lua_sethook, which LuaJIT allows while the state runs. That
// the state is still there is `Seat::set_stopper`'s word: the machine takes its stopper back
// before the state is closed.
unsafe impl Send for Alarm {}
// SAFETY: as above.
unsafe impl Sync for Alarm {}

/// Its address is the key under which a state's registry knows the alarm.
static ALARM: u8 = 0;

fn alarm_key() -> *mut c_void {
    (&raw const ALARM).cast_mut().cast()
}

impl Alarm {
    pub(super) fn new(state: NonNull<lua_State>) -> Self {
        Self { state, stage: Mutex::new(Stage::Quiet), compiler: Compiler::new() }
    }

    /// Lets the state's registry know this, which the state's `Vm` keeps as long as the state.
    pub(super) fn introduce(self: &Arc<Self>) {
        let state = self.state.as_ptr();
        // SAFETY: the state is alive and has room on its stack; it has no memory limit now.
        unsafe {
            ffi::lua_pushlightuserdata(state, alarm_key());
            ffi::lua_pushlightuserdata(state, Arc::as_ptr(self).cast_mut().cast());
            ffi::lua_rawset(state, ffi::LUA_REGISTRYINDEX);
        }
    }

    /// Makes every following instruction raise an error, until [`quit`](Self::quit). On a fiber they
    /// do so only when it is to end: else it lets others have their turn, and the alarm is over.
    ///
    /// May be called again while the code runs: the compiler, at work on the other thread, can
    /// undo a hook that is set at the same moment.
    pub(in crate::runtime::lua) fn raise(&self) {
        let mut stage = self.stage.lock();
        if matches!(*stage, Stage::Met(_)) {
            return;
        }
        *stage = Stage::Raised;
        self.hook();
    }

    fn hook(&self) {
        // SAFETY: see the impl of Send. Taking the hook away first makes LuaJIT rebuild its
        // dispatch table even where it believes that the hook is there.
        unsafe {
            ffi::lua_sethook(self.state.as_ptr(), None, 0, 0);
            ffi::lua_sethook(self.state.as_ptr(), Some(stop), ffi::LUA_MASKCOUNT, 1);
        }
    }

    /// Takes the hook away. On the state's own thread.
    fn rest(&self, stage: &mut Stage) -> Stage {
        let before = mem::replace(stage, Stage::Quiet);
        if !matches!(before, Stage::Quiet) {
            // SAFETY: the calling thread is the state's own.
            unsafe { ffi::lua_sethook(self.state.as_ptr(), None, 0, 0) };
        }
        before
    }

    /// The state is a match's: small, not fast, until its calls take long. On the state's own thread.
    pub(super) fn save(&self) {
        let _no_hooks = self.stage.lock();
        // SAFETY: the calling thread is the state's own, and hooks are set under the lock.
        unsafe { self.compiler.save(self.state.as_ptr()) };
    }

    /// A call has ended that ran for so long. On the state's own thread.
    pub(super) fn note(&self, ran_ns: u64) {
        let _no_hooks = self.stage.lock();
        // SAFETY: as in `save`.
        unsafe { self.compiler.note(self.state.as_ptr(), ran_ns, true) };
    }

    /// Ends the alarm: `None` if it was not raised, else where it met the code, unless it came too
    /// late or met a function of ours.
    pub(in crate::runtime::lua) fn quit(&self) -> Option<Option<Place>> {
        match self.rest(&mut self.stage.lock()) {
            Stage::Quiet => None,
            Stage::Raised => Some(None),
            Stage::Met(place) => Some(Some(place)),
        }
    }
}

unsafe extern "C-unwind" fn stop(state: *mut lua_State, debug: *mut lua_Debug) {
    // SAFETY: LuaJIT calls a hook with its state and a record of the running function.
    unsafe {
        if pauses(state) {
            return;
        }
        note_place(state, debug);
        // The values of this function are gone: nothing is lost by leaving so.
        ffi::luaL_error(state, c"the function's running time is used up".as_ptr());
    }
}

/// The alarm of `state`.
///
/// SAFETY: `state` is that of a `Vm`, and this is a hook of it.
unsafe fn alarm_of<'a>(state: *mut lua_State) -> &'a Alarm {
    // SAFETY: a hook has room for 20 values. The registry knows the alarm since the state was
    // made, and the `Vm` holds it as long as the state.
    unsafe {
        ffi::lua_pushlightuserdata(state, alarm_key());
        ffi::lua_rawget_(state, ffi::LUA_REGISTRYINDEX);
        let alarm = ffi::lua_touserdata(state, -1).cast::<Alarm>();
        ffi::lua_settop(state, -2);
        &*alarm
    }
}

/// Whether the code goes on, on a fiber of which only the slice was used up: others have had their
/// turn by now.
///
/// SAFETY: as [`alarm_of`].
unsafe fn pauses(state: *mut lua_State) -> bool {
    let Some(fiber) = current_fiber() else { return false };
    // SAFETY: by the caller.
    let alarm = unsafe { alarm_of(state) };
    {
        let mut stage = alarm.stage.lock();
        if matches!(*stage, Stage::Met(_)) {
            return false;
        }
        alarm.rest(&mut stage);
        // SAFETY: in a hook, on the state's thread, and hooks are set under the lock.
        unsafe { alarm.compiler.note(alarm.state.as_ptr(), fiber.ran_ns(), false) };
    }
    if fiber.pause_if_due() == Pause::GoOn {
        return true;
    }
    let mut stage = alarm.stage.lock();
    *stage = Stage::Raised;
    alarm.hook();
    false
}

/// SAFETY: `debug` is a record of an active function of `state`, and this is a hook of it.
unsafe fn note_place(state: *mut lua_State, debug: *mut lua_Debug) {
    // SAFETY: by the caller.
    let alarm = unsafe { alarm_of(state) };
    // Once the watchdog, if it is at it, has set the hook.
    let mut stage = alarm.stage.lock();
    if matches!(*stage, Stage::Met(_)) {
        return;
    }
    // SAFETY: by the caller.
    let here = unsafe { place(state, debug, c"Sln") };
    let mut stack = Stack { state, vm: PhantomData };
    let place = if here.file == PRELUDE { stack.module_caller(1) } else { None };
    *stage = Stage::Met(place.unwrap_or(here));
}
