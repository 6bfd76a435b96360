//! The only folder here that talks to LuaJIT's C interface.
//!
//! What must stay true:
//! - An error that LuaJIT raises unwinds to the nearest protected call. Rust code never stands in
//!   between: it works while the memory limit is lifted, so that LuaJIT has nothing to raise, and
//!   raises its own errors in `entry` only after its values are gone.
//! - Every index is checked against the stack's top before LuaJIT sees it.
//! - A [`Vm`] stays on the thread that made it; only [`Alarm`] goes to the watchdog's.
#![allow(unsafe_code)]

mod alarm;
mod compiler;
mod entry;
mod memory;
mod slabs;

use std::{
    ffi::{CStr, CString, c_char, c_int, c_void},
    marker::PhantomData,
    mem,
    ptr::NonNull,
    slice,
    sync::Arc,
};

use mlua::ffi::{self, lua_Debug, lua_State};

use self::memory::Memory;
pub(super) use alarm::Alarm;

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

/// Bytecode that [`Stack::code`] made, which LuaJIT trusts.
#[derive(Clone, Debug)]
pub(super) struct Code(Arc<[u8]>);

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
    state: NonNull<lua_State>,
    /// What the state has allocated, and may; its allocator points here.
    memory: Box<Memory>,
    limit_bytes: usize,
    alarm: Arc<Alarm>,
}

impl Vm {
    /// A state with LuaJIT's harmless libraries and a memory limit (0 for none).
    pub(super) fn new(limit_bytes: usize) -> Option<Self> {
        let memory = Box::new(Memory::new());
        // SAFETY: the allocator is as LuaJIT wants it, and the memory's record outlives the state,
        // since it is dropped after it has been closed.
        let state = unsafe { ffi::lua_newstate(memory::allocate, memory.pointer()) };
        let state = NonNull::new(state)?;
        let vm = Self { state, memory, limit_bytes, alarm: Arc::new(Alarm::new(state)) };
        // SAFETY: the state is new and has no memory limit yet, and what `open` raises ends here.
        let opened = unsafe {
            entry::push_closure(state.as_ptr(), open, 0);
            ffi::lua_pcall(state.as_ptr(), 0, 0, 0)
        };
        vm.alarm.introduce();
        (opened == ffi::LUA_OK).then_some(vm)
    }

    /// The state is a match's: small, not fast, until its calls take long.
    pub(super) fn save(&self) {
        self.alarm.save();
    }

    /// A call has ended that ran for so long.
    pub(super) fn note(&self, ran_ns: u64) {
        self.alarm.note(ran_ns);
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
        self.memory.used()
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

    /// Sets the limit that holds from now on (0 for none); the one before.
    fn limit(&self, bytes: usize) -> usize {
        self.memory.limit(bytes)
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        self.limit(0);
        // SAFETY: nothing of it runs, and it is not used again: the handles on it are borrowed.
        unsafe { ffi::lua_close(self.state.as_ptr()) };
    }
}

/// Opens the libraries. Rust panics are caught in `entry`, so LuaJIT's own pcall may stay, compiled.
unsafe extern "C-unwind" fn open(state: *mut lua_State) -> i64 {
    type Open = unsafe extern "C-unwind" fn(*mut lua_State) -> c_int;
    // JIT opens the compiler; the library's table is taken away by the prelude.
    let libraries: [(&CStr, Open); 7] = [
        (c"", ffi::luaopen_base),
        (c"table", ffi::luaopen_table),
        (c"string", ffi::luaopen_string),
        (c"math", ffi::luaopen_math),
        (c"os", ffi::luaopen_os),
        (c"bit", ffi::luaopen_bit),
        (c"jit", ffi::luaopen_jit),
    ];
    for (name, open) in libraries {
        // SAFETY: LuaJIT calls this with room for 20 values; what is raised passes a frame that holds
        // nothing to drop.
        unsafe {
            ffi::lua_pushcclosure(state, open, 0);
            ffi::lua_pushstring_(state, name.as_ptr());
            ffi::lua_call(state, 1, 0);
        }
    }
    // LuaJIT's own lists of libraries would keep what the prelude takes away.
    for list in [c"_LOADED", c"_PRELOAD"] {
        // SAFETY: as above; the registry is a table without a metatable.
        unsafe {
            ffi::lua_pushnil(state);
            ffi::lua_setfield(state, ffi::LUA_REGISTRYINDEX, list.as_ptr());
        }
    }
    0
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

    /// Takes the last value, a table, as the metatable of the table at `table`.
    pub(super) fn set_meta(&mut self, table: i32) {
        let table = self.table(table);
        assert!(self.top() > table && self.kind(-1) == Kind::Table);
        // SAFETY: both tables are there.
        unsafe { ffi::lua_setmetatable(self.state, table) };
    }

    /// Takes the metatable of the table at `table` away, if it has one.
    pub(super) fn clear_meta(&mut self, table: i32) {
        let table = self.table(table);
        self.push_nil();
        // SAFETY: a table stands there, and nil on top.
        unsafe { ffi::lua_setmetatable(self.state, table) };
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
        // SAFETY: bytecode is refused by the mode.
        unsafe { self.load_as(text, name, c"t") }
    }

    /// Adds the function that `code` was made of, or what is wrong with it and false.
    pub(super) fn load_code(&mut self, code: &Code, name: &str) -> bool {
        // SAFETY: the bytecode was made by LuaJIT, in this process.
        unsafe { self.load_as(&code.0, name, c"b") }
    }

    /// SAFETY: what `mode` lets through is text, or bytecode of this LuaJIT.
    unsafe fn load_as(&mut self, text: &[u8], name: &str, mode: &CStr) -> bool {
        let name = CString::new(name).unwrap_or_default();
        // SAFETY: text, name and mode outlive the call; errors are returned, not raised.
        let status = unsafe {
            ffi::luaL_loadbufferx(
                self.state,
                text.as_ptr().cast::<c_char>(),
                text.len(),
                name.as_ptr(),
                mode.as_ptr(),
            )
        };
        status == ffi::LUA_OK
    }

    /// The string at `index` as bytecode: to be asked only of what `string.dump` gave.
    pub(super) fn dumped(&self, index: i32) -> Option<Code> {
        (self.kind(index) == Kind::Text).then(|| Code(self.bytes(index).into()))
    }

    /// The bytecode of the last value, a function of a script.
    pub(super) fn code(&mut self) -> Option<Code> {
        unsafe extern "C-unwind" fn write(
            _: *mut lua_State,
            part: *const c_void,
            size: usize,
            code: *mut c_void,
        ) -> c_int {
            // SAFETY: LuaJIT hands over readable bytes, and the vector that it was given.
            unsafe {
                let part = slice::from_raw_parts(part.cast::<u8>(), size);
                (*code.cast::<Vec<u8>>()).extend_from_slice(part);
            }
            0
        }
        if self.kind(-1) != Kind::Function {
            return None;
        }
        let mut code = Vec::new();
        // SAFETY: a function is on top; the vector outlives the call, and nothing is raised.
        let status = unsafe { ffi::lua_dump_(self.state, write, (&raw mut code).cast()) };
        (status == 0).then(|| Code(code.into()))
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
}

fn record() -> lua_Debug {
    // SAFETY: a C record of integers and pointers, all of which may be zero.
    unsafe { mem::zeroed() }
}
