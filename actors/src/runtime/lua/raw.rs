//! The only file here that talks to LuaJIT's C interface.
//!
//! What must stay true:
//! - An error that LuaJIT raises unwinds to the nearest protected call. Rust code never stands in
//!   between: it works while the memory limit is lifted, so that LuaJIT has nothing to raise, and
//!   raises its own errors in [`entry`] only after its values are gone.
//! - Every index is checked against the stack's top before LuaJIT sees it.
//! - A [`Vm`] stays on the thread that made it; only [`Alarm`] goes to the watchdog's.
#![allow(unsafe_code)]

use std::{
    ffi::{CStr, CString, c_char, c_int, c_void},
    marker::PhantomData,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr::{self, NonNull},
    slice,
    sync::Arc,
};

use mlua::{
    Lua, LuaOptions, StdLib,
    ffi::{self, lua_Debug, lua_State},
};

use parking_lot::Mutex;

use super::machine::{Machine, Native, Raise};
use crate::{
    host::HostFunction,
    runtime::{
        matches::{Pause, current_fiber},
        memory,
    },
};

/// The longest string that is handed to LuaJIT, whose own limit is just below 2 GiB.
const MAX_TEXT: usize = 0x7000_0000;

/// How many elements room is made for in advance; more are added as they come.
const MAX_ROOM: usize = 1 << 16;

/// How error texts call the part of the globals that is written in Lua.
pub(super) const PRELUDE: &str = "prelude";

/// What kind of value stands at an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// No value: beyond the top.
    Nothing,
    Nil,
    Boolean,
    Number,
    Text,
    Table,
    Function,
    Other,
}

impl Kind {
    /// The name in error texts.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Nothing | Self::Nil => "nil",
            Self::Boolean => "boolean",
            Self::Number => "number",
            Self::Text => "string",
            Self::Table => "table",
            Self::Function => "function",
            Self::Other => "userdata",
        }
    }
}

/// How a protected call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The results are on the stack.
    Well,
    /// The error value is on the stack.
    Raised,
    /// The memory limit was met; a text is on the stack.
    OutOfMemory,
}

/// A value kept by the machine beyond the stack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept(c_int);

/// Where something stands in a module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    /// The file as error texts name it.
    pub(super) file: String,
    /// The line.
    pub(super) line: u32,
    /// The function's name, where LuaJIT knows one.
    pub(super) function: Option<String>,
}

/// A LuaJIT state and its memory limit.
pub(super) struct Vm {
    lua: Lua,
    state: NonNull<lua_State>,
    limit_bytes: usize,
    alarm: Arc<Alarm>,
}

impl Vm {
    /// A state with LuaJIT's harmless libraries and a memory limit (0 for none).
    pub(super) fn new(limit_bytes: usize) -> Option<Self> {
        // JIT opens the compiler; the library's table is taken away by the prelude.
        let libraries =
            StdLib::TABLE | StdLib::STRING | StdLib::MATH | StdLib::OS | StdLib::BIT | StdLib::JIT;
        // Rust panics are caught in `entry`, so pcall and xpcall may stay LuaJIT's own, compiled.
        let options = LuaOptions::new().catch_rust_panics(true);
        let lua = Lua::new_with(libraries, options).ok()?;
        let mut state = ptr::null_mut();
        // SAFETY: the closure only takes note of the main state.
        unsafe { lua.exec_raw::<()>((), |main| state = main) }.ok()?;
        let state = NonNull::new(state)?;
        let alarm = Arc::new(Alarm { state, stage: Mutex::new(Stage::Quiet) });
        // SAFETY: the state is new and has no memory limit yet; the alarm is only read, by `stop`.
        unsafe {
            ffi::lua_pushlightuserdata(state.as_ptr(), alarm_key());
            ffi::lua_pushlightuserdata(state.as_ptr(), Arc::as_ptr(&alarm).cast_mut().cast());
            ffi::lua_rawset(state.as_ptr(), ffi::LUA_REGISTRYINDEX);
        }
        Some(Self { lua, state, limit_bytes, alarm })
    }

    /// The stack of the main thread.
    pub(super) fn stack(&self) -> Stack<'_> {
        Stack { state: self.state.as_ptr(), vm: PhantomData }
    }

    /// What stops the code that runs; for the watchdog.
    pub(super) fn alarm(&self) -> Arc<Alarm> {
        Arc::clone(&self.alarm)
    }

    /// Bytes in use.
    pub(super) fn used_bytes(&self) -> usize {
        self.lua.used_memory()
    }

    /// The memory limit in bytes; 0 for none.
    pub(super) fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }

    /// Frees what is not reachable.
    pub(super) fn collect(&self) {
        // SAFETY: a full collection outside of any call; scripts cannot set finalizers (`prelude.lua`).
        unsafe { ffi::lua_gc(self.state.as_ptr(), ffi::LUA_GCCOLLECT, 0) };
    }

    /// Calls the function below `arguments` arguments, with the value at `handler` as the message
    /// handler (0 for none). They are replaced by all results, or by one error value.
    pub(super) fn call(&self, stack: &mut Stack<'_>, arguments: i32, handler: i32) -> Ended {
        assert!(arguments >= 0 && stack.top() > arguments && stack.top() - arguments > handler);
        self.limit(self.limit_bytes);
        // SAFETY: function and arguments are on the stack, as just checked; every error ends here.
        let status = unsafe { ffi::lua_pcall(stack.state, arguments, ffi::LUA_MULTRET, handler) };
        self.limit(0);
        match status {
            ffi::LUA_OK => Ended::Well,
            ffi::LUA_ERRMEM => Ended::OutOfMemory,
            _ => Ended::Raised,
        }
    }

    fn limit(&self, bytes: usize) -> usize {
        // Only a state with a foreign allocator has no limit to set; this one is ours.
        self.lua.set_memory_limit(bytes).unwrap_or_default()
    }
}

/// Stops the code that runs in a [`Vm`], from any thread.
pub(super) struct Alarm {
    state: NonNull<lua_State>,
    stage: Mutex<Stage>,
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
    /// Makes every following instruction raise an error, until [`quit`](Self::quit). On a fiber they
    /// do so only when it is to end: else it lets others have their turn, and the alarm is over.
    ///
    /// May be called again while the code runs: the compiler, at work on the other thread, can
    /// undo a hook that is set at the same moment.
    pub(super) fn raise(&self) {
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

    /// Ends the alarm: `None` if it was not raised, else where it met the code, unless it came too
    /// late or met a function of ours.
    pub(super) fn quit(&self) -> Option<Option<Place>> {
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

/// SAFETY: `debug` fits `what` (an active function, or with ">" a function on top of the stack).
unsafe fn place(state: *mut lua_State, debug: *mut lua_Debug, what: &CStr) -> Place {
    // SAFETY: by the caller; the texts of the record are read before anything else runs.
    unsafe {
        if ffi::lua_getinfo(state, what.as_ptr(), debug) == 0 {
            return Place { file: "?".to_owned(), line: 0, function: None };
        }
        let debug = &*debug;
        let line =
            if what.to_bytes().contains(&b'l') { debug.currentline } else { debug.linedefined };
        let named = what.to_bytes().contains(&b'n') && !debug.name.is_null();
        Place {
            file: CStr::from_ptr(debug.short_src.as_ptr()).to_string_lossy().into_owned(),
            line: u32::try_from(line).unwrap_or(0),
            function: named.then(|| CStr::from_ptr(debug.name).to_string_lossy().into_owned()),
        }
    }
}

/// The values that a function works on: 1 is the first, -1 the last.
///
/// Borrowed from its [`Vm`], whose thread it stays on.
pub(super) struct Stack<'vm> {
    state: *mut lua_State,
    vm: PhantomData<&'vm Vm>,
}

impl Stack<'_> {
    /// How many values there are.
    pub(super) fn top(&self) -> i32 {
        // SAFETY: the state is alive as long as 'vm.
        unsafe { ffi::lua_gettop(self.state) }
    }

    /// `index` counted from the first value, if there is such a value.
    fn find(&self, index: i32) -> Option<c_int> {
        let top = self.top();
        let index = if index < 0 { top + 1 + index } else { index };
        (1..=top).contains(&index).then_some(index)
    }

    /// `index` counted from the first value.
    ///
    /// # Panics
    /// Where there is no such value: a mistake in this folder, caught by [`entry`].
    pub(super) fn at(&self, index: i32) -> c_int {
        match self.find(index) {
            Some(index) => index,
            None => panic!("no value at {index}"),
        }
    }

    fn table(&self, index: i32) -> c_int {
        let index = self.at(index);
        assert!(self.kind(index) == Kind::Table, "no table at {index}");
        index
    }

    /// Makes room for `count` more values; false where there is none.
    pub(super) fn reserve(&mut self, count: i32) -> bool {
        // SAFETY: the state is alive; the memory limit is lifted.
        unsafe { ffi::lua_checkstack(self.state, count) != 0 }
    }

    /// Removes the values above the first `count`.
    pub(super) fn cut(&mut self, count: i32) {
        assert!((0..=self.top()).contains(&count));
        // SAFETY: just checked.
        unsafe { ffi::lua_settop(self.state, count) };
    }

    /// Removes the last `count` values.
    pub(super) fn pop(&mut self, count: i32) {
        self.cut(self.top() - count);
    }

    /// Removes the value at `index`.
    pub(super) fn remove(&mut self, index: i32) {
        let index = self.at(index);
        // SAFETY: just checked.
        unsafe { ffi::lua_remove(self.state, index) };
    }

    /// Moves the last value to `index`.
    pub(super) fn insert(&mut self, index: i32) {
        let index = self.at(index);
        // SAFETY: just checked.
        unsafe { ffi::lua_insert(self.state, index) };
    }

    /// Adds the value at `index` once more.
    pub(super) fn copy(&mut self, index: i32) {
        let index = self.at(index);
        // SAFETY: just checked.
        unsafe { ffi::lua_pushvalue(self.state, index) };
    }

    /// The kind of the value at `index`.
    pub(super) fn kind(&self, index: i32) -> Kind {
        let Some(index) = self.find(index) else { return Kind::Nothing };
        // SAFETY: just checked.
        match unsafe { ffi::lua_type(self.state, index) } {
            ffi::LUA_TNIL => Kind::Nil,
            ffi::LUA_TBOOLEAN => Kind::Boolean,
            ffi::LUA_TNUMBER => Kind::Number,
            ffi::LUA_TSTRING => Kind::Text,
            ffi::LUA_TTABLE => Kind::Table,
            ffi::LUA_TFUNCTION => Kind::Function,
            _ => Kind::Other,
        }
    }

    /// Whether the value at `index` counts as true.
    pub(super) fn boolean(&self, index: i32) -> bool {
        // SAFETY: just checked.
        self.find(index).is_some_and(|index| unsafe { ffi::lua_toboolean(self.state, index) != 0 })
    }

    /// The number at `index`; 0 for any other value.
    pub(super) fn number(&self, index: i32) -> f64 {
        if self.kind(index) != Kind::Number {
            return 0.0;
        }
        // SAFETY: a number stands there.
        unsafe { ffi::lua_tonumber(self.state, self.at(index)) }
    }

    /// The string at `index`; nothing for any other value.
    pub(super) fn bytes(&self, index: i32) -> &[u8] {
        if self.kind(index) != Kind::Text {
            return &[];
        }
        let mut length = 0;
        // SAFETY: a string stands there, so it is not converted. It stays while it is on the
        // stack, which cannot change while `self` is borrowed.
        unsafe {
            let start = ffi::lua_tolstring(self.state, self.at(index), &raw mut length);
            slice::from_raw_parts(start.cast::<u8>(), length)
        }
    }

    /// The identity of the table or function at `index`, as its text shows it.
    pub(super) fn address(&self, index: i32) -> usize {
        let index = self.at(index);
        // SAFETY: just checked; the pointer is only shown.
        unsafe { ffi::lua_topointer(self.state, index) as usize }
    }

    /// Adds nil.
    pub(super) fn push_nil(&mut self) {
        // SAFETY: callers reserve; LuaJIT grants 20 values to begin with.
        unsafe { ffi::lua_pushnil(self.state) };
    }

    /// Adds a boolean.
    pub(super) fn push_boolean(&mut self, value: bool) {
        // SAFETY: as in `push_nil`.
        unsafe { ffi::lua_pushboolean(self.state, c_int::from(value)) };
    }

    /// Adds a number.
    pub(super) fn push_number(&mut self, value: f64) {
        // SAFETY: as in `push_nil`.
        unsafe { ffi::lua_pushnumber(self.state, value) };
    }

    /// Adds a string; one that LuaJIT could not hold is cut.
    pub(super) fn push_bytes(&mut self, value: &[u8]) {
        let length = value.len().min(MAX_TEXT);
        // SAFETY: as in `push_nil`; the bytes are copied, and too long a string is not given.
        unsafe { ffi::lua_pushlstring_(self.state, value.as_ptr().cast(), length) };
    }

    /// Adds a table with room for so many numbered and named elements.
    pub(super) fn push_table(&mut self, numbered: usize, named: usize) {
        let room = |count: usize| c_int::try_from(count.min(MAX_ROOM)).unwrap_or(0);
        // SAFETY: as in `push_nil`; the memory limit is lifted.
        unsafe { ffi::lua_createtable(self.state, room(numbered), room(named)) };
    }

    /// Takes the last value into the table at `table` under `name`.
    pub(super) fn set_name(&mut self, table: i32, name: &[u8]) {
        let table = self.table(table);
        assert!(self.top() > table);
        self.push_bytes(name);
        // SAFETY: name and value are above the table; a string is a valid key.
        unsafe {
            ffi::lua_insert(self.state, -2);
            ffi::lua_rawset(self.state, table);
        }
    }

    /// Takes the last two values, key and value, into the table at `table`. A key that is nil or
    /// not a number is passed over.
    pub(super) fn set_key(&mut self, table: i32) {
        let table = self.table(table);
        assert!(self.top() >= table + 2);
        let valid = match self.kind(-2) {
            Kind::Nil => false,
            Kind::Number => !self.number(-2).is_nan(),
            _ => true,
        };
        if valid {
            // SAFETY: key and value are above the table, and the key is valid.
            unsafe { ffi::lua_rawset(self.state, table) };
        } else {
            self.pop(2);
        }
    }

    /// Takes the last value into the table at `table` under the number `index`.
    pub(super) fn set_index(&mut self, table: i32, index: usize) {
        let table = self.table(table);
        assert!(self.top() > table);
        match c_int::try_from(index) {
            // SAFETY: the value is above the table.
            Ok(index) => unsafe { ffi::lua_rawseti_(self.state, table, index) },
            Err(_) => self.pop(1),
        }
    }

    /// Adds the element `name` of the table at `table`.
    pub(super) fn get_name(&mut self, table: i32, name: &[u8]) {
        let table = self.table(table);
        self.push_bytes(name);
        // SAFETY: a table stands there, and the key is on top.
        unsafe { ffi::lua_rawget_(self.state, table) };
    }

    /// Adds the element `index` of the table at `table`.
    pub(super) fn get_index(&mut self, table: i32, index: usize) {
        let table = self.table(table);
        match c_int::try_from(index) {
            // SAFETY: a table stands there.
            Ok(index) => unsafe { ffi::lua_rawgeti_(self.state, table, index) },
            Err(_) => self.push_nil(),
        }
    }

    /// Replaces the last value, a key, by its element of the table at `table`.
    pub(super) fn get_key(&mut self, table: i32) {
        let table = self.table(table);
        assert!(self.top() > table);
        // SAFETY: a table stands there, and a key on top.
        unsafe { ffi::lua_rawget_(self.state, table) };
    }

    /// How many elements the table at `table` numbers.
    pub(super) fn length(&self, table: i32) -> usize {
        let table = self.table(table);
        // SAFETY: a table stands there.
        unsafe { ffi::lua_objlen(self.state, table) }
    }

    /// Goes through the table at `table`: takes the last key (nil for the first step) and adds the
    /// next key and its value, or nothing and false after the last. The table must not change
    /// meanwhile.
    pub(super) fn next(&mut self, table: i32) -> bool {
        let table = self.table(table);
        assert!(self.top() > table);
        // SAFETY: the key is nil or came from the last step.
        unsafe { ffi::lua_next(self.state, table) != 0 }
    }

    /// Takes the last value away and keeps it for the life of the machine.
    pub(super) fn keep(&mut self) -> Kept {
        assert!(self.top() > 0);
        // SAFETY: there is a value, and the registry is a table.
        Kept(unsafe { ffi::luaL_ref(self.state, ffi::LUA_REGISTRYINDEX) })
    }

    /// Takes the last value away and keeps it in the place of another one.
    pub(super) fn replace_kept(&mut self, kept: Kept) {
        assert!(self.top() > 0);
        // SAFETY: there is a value, and the registry is a table; `luaL_ref` gave the place.
        unsafe { ffi::lua_rawseti_(self.state, ffi::LUA_REGISTRYINDEX, kept.0) };
    }

    /// Takes the last value away, a table, and copies its elements into the table at `into`.
    pub(super) fn copy_elements(&mut self, into: i32) {
        let (from, into) = (self.table(-1), self.table(into));
        self.push_nil();
        while self.next(from) {
            self.copy(-2);
            self.insert(-2);
            // Key, key, value: the copy goes into the other table, the key stays for the next step.
            self.set_key(into);
        }
        self.pop(1);
    }

    /// Adds a kept value.
    pub(super) fn push_kept(&mut self, kept: Kept) {
        // SAFETY: the registry is a table.
        unsafe { ffi::lua_rawgeti_(self.state, ffi::LUA_REGISTRYINDEX, kept.0) };
    }

    /// Adds the table of globals.
    pub(super) fn push_globals(&mut self) {
        // SAFETY: a pseudo index that is always there.
        unsafe { ffi::lua_pushvalue(self.state, ffi::LUA_GLOBALSINDEX) };
    }

    /// Adds the function that `text` is the body of, or what is wrong with it and false. `name` is
    /// how error texts call it: "@" and a file.
    pub(super) fn load(&mut self, text: &[u8], name: &str) -> bool {
        let name = CString::new(name).unwrap_or_default();
        // SAFETY: text and name outlive the call; bytecode is refused by the mode; errors are
        // returned, not raised.
        let status = unsafe {
            ffi::luaL_loadbufferx(
                self.state,
                text.as_ptr().cast::<c_char>(),
                text.len(),
                name.as_ptr(),
                c"t".as_ptr(),
            )
        };
        status == ffi::LUA_OK
    }

    /// Where the function at `index` is defined.
    pub(super) fn defined(&mut self, index: i32) -> Option<Place> {
        if self.kind(index) != Kind::Function {
            return None;
        }
        self.copy(index);
        let mut debug = record();
        // SAFETY: a function is on top, which lua_getinfo takes away.
        Some(unsafe { place(self.state, &raw mut debug, c">S") })
    }

    /// Where the function `level` calls above the running one stands.
    pub(super) fn caller(&mut self, level: i32) -> Option<Place> {
        let mut debug = record();
        // SAFETY: the record is filled by lua_getstack for an active function, then read.
        unsafe {
            (ffi::lua_getstack(self.state, level, &raw mut debug) != 0)
                .then(|| place(self.state, &raw mut debug, c"Sln"))
        }
    }

    /// Where the nearest function of a module, `level` or more calls above the running one, stands.
    pub(super) fn module_caller(&mut self, level: i32) -> Option<Place> {
        (level..level + 8)
            .map_while(|level| self.caller(level))
            .find(|place| place.line > 0 && place.file != PRELUDE)
    }

    /// The calls that led to the running function, a line each.
    pub(super) fn trace(&mut self) -> String {
        let mut lines = String::new();
        for level in 0..24 {
            let Some(place) = self.caller(level) else { break };
            if place.line == 0 || place.file == PRELUDE {
                continue;
            }
            if !lines.is_empty() {
                lines.push('\n');
            }
            let function = place.function.as_deref().unwrap_or("?");
            lines.push_str(&format!("{}:{}: in {function}", place.file, place.line));
        }
        lines
    }

    /// Replaces the last value, a C function of LuaJIT's that calls functions of scripts, by one that
    /// first looks whether there is stack left for it.
    pub(super) fn guard(&mut self) {
        assert!(self.kind(-1) == Kind::Function);
        // SAFETY: a function is on top. Its address becomes the closure's one upvalue, read in
        // `guarded`; that of a Lua function is null, and it stays as it is.
        unsafe {
            let Some(function) = ffi::lua_tocfunction(self.state, -1) else { return };
            ffi::lua_settop(self.state, -2);
            ffi::lua_pushlightuserdata(self.state, function as *mut c_void);
            ffi::lua_pushcclosure(self.state, guarded, 1);
        }
    }

    /// Adds `native` as a function of `machine`.
    pub(super) fn push_native(&mut self, machine: &Machine, native: &'static Native) {
        self.push_bound(native_entry, machine, ptr::from_ref(native).cast());
    }

    /// Adds `function` as a function of `machine`.
    pub(super) fn push_host(&mut self, machine: &Machine, function: &'static HostFunction) {
        self.push_bound(host_entry, machine, ptr::from_ref(function).cast());
    }

    fn push_bound(&mut self, entry: ffi::lua_CFunction, machine: &Machine, bound: *const c_void) {
        // SAFETY: both pointers are only read, in the entries. The machine owns this state, does
        // not move (it lives in a Box), and closes the state before its other fields go; what is
        // bound is static.
        unsafe {
            ffi::lua_pushlightuserdata(self.state, ptr::from_ref(machine).cast_mut().cast());
            ffi::lua_pushlightuserdata(self.state, bound.cast_mut());
            ffi::lua_pushcclosure(self.state, entry, 2);
        }
    }
}

fn record() -> lua_Debug {
    // SAFETY: a C record of integers and pointers, all of which may be zero.
    unsafe { mem::zeroed() }
}

/// A function of LuaJIT's, where there is stack for it.
unsafe extern "C-unwind" fn guarded(state: *mut lua_State) -> c_int {
    // SAFETY: `guard` made this closure with the address of such a function. Errors that it raises
    // pass a frame that holds nothing.
    unsafe {
        if memory::stack_is_half_used() {
            ffi::luaL_error(state, c"stack overflow".as_ptr());
        }
        let function = ffi::lua_touserdata(state, ffi::lua_upvalueindex(1));
        mem::transmute::<*mut c_void, ffi::lua_CFunction>(function)(state)
    }
}

unsafe extern "C-unwind" fn native_entry(state: *mut lua_State) -> c_int {
    // SAFETY: `push_bound` made this closure with these two pointers.
    unsafe {
        let native = ffi::lua_touserdata(state, ffi::lua_upvalueindex(2)).cast::<Native>();
        entry(state, |machine, stack| ((*native).run)(machine, stack))
    }
}

unsafe extern "C-unwind" fn host_entry(state: *mut lua_State) -> c_int {
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
) -> c_int {
    // SAFETY: the machine outlives its state, see `push_bound`. Nothing of `protected` is alive
    // when the error is raised.
    unsafe {
        let machine = ffi::lua_touserdata(state, ffi::lua_upvalueindex(1)).cast::<Machine>();
        let results = protected(state, &*machine, run);
        if results < 0 {
            ffi::lua_error(state);
        }
        results
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
            let text = match stack.caller(1) {
                Some(place) if place.line > 0 => {
                    let place = stack.module_caller(1).unwrap_or(place);
                    format!("{}:{}: {text}", place.file, place.line)
                }
                _ => text,
            };
            stack.push_bytes(text.as_bytes());
        }
        Raise::Value => {}
    }
    machine.vm.limit(limit);
    -1
}
