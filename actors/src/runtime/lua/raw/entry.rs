//! How LuaJIT calls functions of ours.

use std::{
    ffi::{c_int, c_void},
    marker::PhantomData,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
};

use mlua::ffi::{self, lua_State};

use super::{Kind, PRELUDE, Stack};
use crate::{
    host::HostFunction,
    runtime::{
        lua::machine::{Machine, Native, Raise},
        memory,
    },
};

/// A function of ours as LuaJIT calls it; it gives back how many results it has left on the stack.
///
/// LuaJIT's interpreter takes the whole register for that number, though C and Rust leave anything in
/// the upper half of one that holds an `int`: so it is given as a number that fills it.
type Entry = unsafe extern "C-unwind" fn(*mut lua_State) -> i64;

/// Adds a closure of `entry` over the last `upvalues` values, which it takes.
///
/// # Safety
/// They are on the stack of `state`, and are what `entry` expects.
pub(super) unsafe fn push_closure(state: *mut lua_State, entry: Entry, upvalues: c_int) {
    // SAFETY: by the caller; a function that fills the register is one that gives back an `int`.
    unsafe {
        let entry = mem::transmute::<Entry, ffi::lua_CFunction>(entry);
        ffi::lua_pushcclosure(state, entry, upvalues);
    }
}

impl Stack<'_> {
    /// Replaces the last value, a C function of LuaJIT's that calls functions of scripts, by one that
    /// first looks whether there is stack left for it.
    pub(in crate::runtime::lua) fn guard(&mut self) {
        assert!(self.kind(-1) == Kind::Function);
        // SAFETY: a function is on top. Its address becomes the closure's one upvalue, read in
        // `guarded`; that of a Lua function is null, and it stays as it is.
        unsafe {
            let Some(function) = ffi::lua_tocfunction(self.state, -1) else { return };
            ffi::lua_settop(self.state, -2);
            ffi::lua_pushlightuserdata(self.state, function as *mut c_void);
            push_closure(self.state, guarded, 1);
        }
    }

    /// Adds `native` as a function of `machine`.
    pub(in crate::runtime::lua) fn push_native(
        &mut self,
        machine: &Machine,
        native: &'static Native,
    ) {
        self.push_bound(native_entry, machine, ptr::from_ref(native).cast());
    }

    /// Adds `function` as a function of `machine`.
    pub(in crate::runtime::lua) fn push_host(
        &mut self,
        machine: &Machine,
        function: &'static HostFunction,
    ) {
        self.push_bound(host_entry, machine, ptr::from_ref(function).cast());
    }

    fn push_bound(&mut self, entry: Entry, machine: &Machine, bound: *const c_void) {
        // SAFETY: both pointers are only read, in the entries. The machine owns this state, does
        // not move (it lives in a Box), and closes the state before its other fields go; what is
        // bound is static.
        unsafe {
            ffi::lua_pushlightuserdata(self.state, ptr::from_ref(machine).cast_mut().cast());
            ffi::lua_pushlightuserdata(self.state, bound.cast_mut());
            push_closure(self.state, entry, 2);
        }
    }
}

/// A function of LuaJIT's, where there is stack for it.
unsafe extern "C-unwind" fn guarded(state: *mut lua_State) -> i64 {
    // SAFETY: `guard` made this closure with the address of such a function. Errors that it raises
    // pass a frame that holds nothing.
    unsafe {
        if memory::stack_is_half_used() {
            ffi::luaL_error(state, c"stack overflow".as_ptr());
        }
        let function = ffi::lua_touserdata(state, ffi::lua_upvalueindex(1));
        mem::transmute::<*mut c_void, ffi::lua_CFunction>(function)(state).into()
    }
}

unsafe extern "C-unwind" fn native_entry(state: *mut lua_State) -> i64 {
    // SAFETY: `push_bound` made this closure with these two pointers.
    unsafe {
        let native = ffi::lua_touserdata(state, ffi::lua_upvalueindex(2)).cast::<Native>();
        entry(state, |machine, stack| ((*native).run)(machine, stack))
    }
}

unsafe extern "C-unwind" fn host_entry(state: *mut lua_State) -> i64 {
    // SAFETY: `push_bound` made this closure with these two pointers.
    unsafe {
        let function = ffi::lua_touserdata(state, ffi::lua_upvalueindex(2)).cast::<HostFunction>();
        entry(state, |machine, stack| machine.call_host(&*function, stack))
    }
}

/// Runs a function of ours for a script: lifts the memory limit, catches panics, raises errors.
///
/// SAFETY: called by LuaJIT with a closure that `push_bound` made.
unsafe fn entry(
    state: *mut lua_State,
    run: impl FnOnce(&Machine, &mut Stack<'_>) -> Result<i32, Raise>,
) -> i64 {
    // SAFETY: the machine outlives its state, see `push_bound`. Nothing of `protected` is alive
    // when the error is raised.
    unsafe {
        let machine = ffi::lua_touserdata(state, ffi::lua_upvalueindex(1)).cast::<Machine>();
        let results = protected(state, &*machine, run);
        if results < 0 {
            ffi::lua_error(state);
        }
        results.into()
    }
}

fn protected(
    state: *mut lua_State,
    machine: &Machine,
    run: impl FnOnce(&Machine, &mut Stack<'_>) -> Result<i32, Raise>,
) -> c_int {
    let limit = machine.vm.limit(0);
    let mut stack = Stack { state, vm: PhantomData };
    let ended = catch_unwind(AssertUnwindSafe(|| run(machine, &mut stack)));
    let raise = match ended {
        Ok(Ok(results)) => {
            machine.vm.limit(limit);
            return results;
        }
        Ok(Err(raise)) => raise,
        Err(_) => Raise::Text("the server failed in a function that this module called".to_owned()),
    };
    match raise {
        Raise::Text(text) => {
            stack.reserve(2);
            // Like LuaJIT's own functions, ours called by pcall have no position.
            let by_lua = stack.caller(1).filter(|it| it.line > 0 || it.file == PRELUDE);
            let text = match by_lua.and_then(|_| stack.module_caller(1)) {
                Some(place) => format!("{}:{}: {text}", place.file, place.line),
                None => text,
            };
            stack.push_bytes(text.as_bytes());
        }
        Raise::Value => {}
    }
    machine.vm.limit(limit);
    -1
}
