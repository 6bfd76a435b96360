//! The binary interface, as `sdk/include/guildhall.h` declares and explains it.
#![allow(unsafe_code, reason = "function pointers across the C ABI")]

use std::{ffi::c_char, ptr};

/// The version of this interface; raised only by a change that breaks modules already built.
pub const VERSION: u32 = 1;

/// The symbol that a module exports.
pub const ENTRY: &[u8] = b"guildhall_module_init\0";

/// A gRPC status code; 0 is success.
pub type Code = u32;

/// The handle of a call in progress; 0 is none.
pub type Call = u64;

/// Bytes of the other side: null where there is nothing at all, else a real address.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Bytes {
    /// Where they begin.
    pub data: *const u8,
    /// How many.
    pub len: usize,
}

impl Bytes {
    /// Nothing at all.
    pub const NONE: Self = Self { data: ptr::null(), len: 0 };

    /// These bytes; an empty slice's dangling address is replaced by a real one, since a garbage
    /// collector on the other side may look at it.
    pub fn of(bytes: &[u8]) -> Self {
        static EMPTY: u8 = 0;
        let data = if bytes.is_empty() { &raw const EMPTY } else { bytes.as_ptr() };
        Self { data, len: bytes.len() }
    }

    /// These bytes, or nothing at all.
    pub fn maybe(bytes: Option<&[u8]>) -> Self {
        bytes.map_or(Self::NONE, Self::of)
    }

    /// The bytes, or `None` where there is nothing at all.
    ///
    /// # Safety
    /// `data` is null or points to `len` readable bytes that stay as they are for `'a`.
    pub unsafe fn read<'a>(self) -> Option<&'a [u8]> {
        // SAFETY: as the caller promises.
        (!self.data.is_null()).then(|| unsafe { std::slice::from_raw_parts(self.data, self.len) })
    }
}

/// What the server offers. Lives until the process ends.
#[repr(C)]
#[derive(Debug)]
#[allow(missing_docs, reason = "each member is explained in the header")]
pub struct Host {
    pub size: u32,
    pub version: u32,
    pub resolve: unsafe extern "C" fn(name: *const c_char, name_len: usize) -> u32,
    pub call: unsafe extern "C" fn(
        call: Call,
        function: u32,
        arguments: *const u8,
        arguments_len: usize,
        result: *mut Bytes,
    ) -> Code,
    pub context: unsafe extern "C" fn(call: Call) -> Bytes,
    pub answer: unsafe extern "C" fn(call: Call, data: *const u8, len: usize) -> Code,
    pub log: unsafe extern "C" fn(
        call: Call,
        level: u32,
        text: *const u8,
        text_len: usize,
        fields: *const u8,
        fields_len: usize,
    ),
    pub enroll: unsafe extern "C" fn(
        call: Call,
        point: u32,
        name: *const c_char,
        name_len: usize,
        function: u32,
        definition: *const c_char,
        definition_len: usize,
        error: *mut Bytes,
    ) -> Code,
    pub match_broadcast:
        unsafe extern "C" fn(call: Call, broadcast: *const Broadcast, error: *mut Bytes) -> Code,
    pub match_kick: unsafe extern "C" fn(
        call: Call,
        presences: *const u8,
        presences_len: usize,
        error: *mut Bytes,
    ) -> Code,
    pub match_label_update: unsafe extern "C" fn(
        call: Call,
        label: *const c_char,
        label_len: usize,
        error: *mut Bytes,
    ) -> Code,
}

/// A message to members of a match.
#[repr(C)]
#[derive(Debug)]
pub struct Broadcast {
    /// The size of this struct in bytes, as the module knows it.
    pub size: u32,
    /// Of [`flag`].
    pub flags: u32,
    /// The members' own number for its kind.
    pub op_code: i64,
    /// What is sent.
    pub data: Bytes,
    /// The encoded [`Presences`](crate::value::wire::Presences) that get it; nothing at all for
    /// everybody.
    pub recipients: Bytes,
    /// The encoded [`Presence`](crate::value::wire::Presence) that it seems to come from, or nothing
    /// at all.
    pub sender: Bytes,
}

/// How a message is sent: [`Broadcast::flags`].
#[allow(missing_docs, reason = "each is explained in the header")]
pub mod flag {
    pub const DEFERRED: u32 = 1;
    pub const UNRELIABLE: u32 = 2;
}

/// What a function is called for: [`Input::kind`].
#[allow(missing_docs, reason = "each is explained in the header")]
pub mod kind {
    pub const RPC: u32 = 1;
    pub const BEFORE: u32 = 2;
    pub const AFTER: u32 = 3;
    pub const EVENT: u32 = 4;
    pub const PLAIN: u32 = 5;
    pub const MATCH_INIT: u32 = 6;
    pub const MATCH_JOIN_ATTEMPT: u32 = 7;
    pub const MATCH_JOIN: u32 = 8;
    pub const MATCH_LEAVE: u32 = 9;
    pub const MATCH_LOOP: u32 = 10;
    pub const MATCH_TERMINATE: u32 = 11;
    pub const MATCH_SIGNAL: u32 = 12;
    pub const MATCH_RELEASE: u32 = 13;
}

/// What a function is called with.
#[repr(C)]
#[derive(Debug)]
pub struct Input {
    /// The size of this struct in bytes, as the server knows it.
    pub size: u32,
    /// One of [`kind`].
    pub kind: u32,
    /// An RPC's payload, a before hook's request, an after hook's response, an event, the encoded
    /// [`Arguments`](crate::value::Arguments) of a function that takes plain values, what a match's
    /// function is told.
    pub payload: Bytes,
    /// An after hook's request.
    pub request: Bytes,
    /// The module's number for the match whose function is called.
    pub r#match: u64,
    /// The match's turn.
    pub tick: i64,
    /// In how many seconds the match will be ended.
    pub grace_s: u64,
}

/// A module's function that runs the registered ones.
pub type Invoke = unsafe extern "C" fn(call: Call, function: u32, input: *const Input) -> Code;

/// What a module offers; filled in by its initialisation.
#[repr(C)]
#[derive(Debug)]
pub struct Module {
    /// In: as the server knows it. Out: as the module knows it. Bytes.
    pub size: u32,
    /// The version that the module was built with.
    pub version: u32,
    /// Runs a registered function.
    pub invoke: Option<Invoke>,
}

/// The type of [`ENTRY`].
pub type Init = unsafe extern "C" fn(host: *const Host, call: Call, module: *mut Module) -> Code;

/// The size of `T` as the structs carry it.
pub const fn size_of<T>() -> u32 {
    std::mem::size_of::<T>() as u32
}
