//! What rquickjs does not offer: bytecode, and views on bytes and text.
//!
//! With `memory.rs`, all `unsafe` of this folder is here. Every function takes a live `Ctx` or `Value`, which keeps
//! context and runtime alive while it runs.
#![allow(unsafe_code)]

use std::{borrow::Cow, ffi::CString, ptr, rc::Rc, slice, sync::Arc};

use rquickjs::{Context, Ctx, Error, Result, String as Text, Value, qjs};

use super::memory::Budget;
use crate::runtime::{
    matches::{Pause, current_fiber},
    seat::Seat,
};

/// Compiles a strict global script and gives back its bytecode.
///
/// # Errors
/// A syntax error, pending on `ctx`; or a NUL byte in the source or its name.
pub(super) fn compile(ctx: &Ctx<'_>, source: &str, name: &str) -> Result<Vec<u8>> {
    let source = CString::new(source)?;
    let name = CString::new(name)?;
    let flags =
        qjs::JS_EVAL_TYPE_GLOBAL | qjs::JS_EVAL_FLAG_STRICT | qjs::JS_EVAL_FLAG_COMPILE_ONLY;
    let raw = ctx.as_raw().as_ptr();
    // SAFETY: `source` and `name` end in NUL and live through the call; the length leaves out the NUL.
    let function = unsafe {
        qjs::JS_Eval(raw, source.as_ptr(), source.as_bytes().len() as _, name.as_ptr(), flags as _)
    };
    // SAFETY: only looks at the tag.
    if unsafe { qjs::JS_IsException(function) } {
        return Err(Error::Exception);
    }
    let mut length = 0;
    let flags = qjs::JS_WRITE_OBJ_BYTECODE | qjs::JS_WRITE_OBJ_STRIP_SOURCE;
    // SAFETY: `function` is ours and freed once; the buffer is copied before it is freed by the
    // allocator of the runtime that made it.
    unsafe {
        let buffer = qjs::JS_WriteObject(raw, &mut length, function, flags as _);
        qjs::JS_FreeValue(raw, function);
        if buffer.is_null() {
            return Err(Error::Exception);
        }
        let bytes = slice::from_raw_parts(buffer, length as usize).to_vec();
        qjs::js_free(raw, buffer.cast());
        Ok(bytes)
    }
}

/// Evaluates bytecode that [`compile`] made in this process.
///
/// # Errors
/// What the script raised, pending on `ctx`.
pub(super) fn evaluate(ctx: &Ctx<'_>, bytecode: &[u8]) -> Result<()> {
    let raw = ctx.as_raw().as_ptr();
    // SAFETY: the bytes come from `compile`, so the engine may trust them; `JS_EvalFunction` takes
    // the function's reference, and the completion value is freed once.
    unsafe {
        let function = qjs::JS_ReadObject(
            raw,
            bytecode.as_ptr(),
            bytecode.len() as _,
            qjs::JS_READ_OBJ_BYTECODE as _,
        );
        if qjs::JS_IsException(function) {
            return Err(Error::Exception);
        }
        let completion = qjs::JS_EvalFunction(raw, function);
        if qjs::JS_IsException(completion) {
            return Err(Error::Exception);
        }
        qjs::JS_FreeValue(raw, completion);
    }
    Ok(())
}

/// The text of a string. A half of a surrogate pair that stands alone becomes U+FFFD.
pub(super) fn text(string: &Text<'_>) -> Result<String> {
    let text = string.clone().to_cstring()?;
    // SAFETY: pointer and length are those of a buffer that `text` owns.
    let bytes = unsafe { slice::from_raw_parts(text.as_ptr().cast::<u8>(), text.len()) };
    Ok(match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => replace_surrogates(bytes).into_owned(),
    })
}

/// The engine writes a lone surrogate as three bytes, ED A0..BF xx: one U+FFFD for each.
fn replace_surrogates(bytes: &[u8]) -> Cow<'_, str> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, tail)) = rest.split_first() {
        if let [0xED, 0xA0..=0xBF, _, after @ ..] = rest {
            out.extend_from_slice("\u{FFFD}".as_bytes());
            rest = after;
        } else {
            out.push(first);
            rest = tail;
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

/// A copy of the bytes of an `ArrayBuffer` or a typed array; `None` for anything else.
pub(super) fn bytes(value: &Value<'_>) -> Option<Vec<u8>> {
    let raw = value.ctx().as_raw().as_ptr();
    let js = value.as_raw();
    // SAFETY: `js` is alive through `value`; the bytes are copied before script code can run
    // again; the buffer of a typed array is an owned reference, freed once.
    unsafe {
        if qjs::JS_IsArrayBuffer(js) {
            return buffer(raw, js, 0, None);
        }
        if qjs::JS_GetTypedArrayType(js) < 0 {
            return None;
        }
        let (mut offset, mut length, mut width) = (0, 0, 0);
        let backing = qjs::JS_GetTypedArrayBuffer(raw, js, &mut offset, &mut length, &mut width);
        if qjs::JS_IsException(backing) {
            qjs::JS_FreeValue(raw, qjs::JS_GetException(raw));
            return None;
        }
        let bytes = buffer(raw, backing, offset as usize, Some(length as usize));
        qjs::JS_FreeValue(raw, backing);
        bytes
    }
}

/// # Safety
/// `js` is a live array buffer of context `raw`.
unsafe fn buffer(
    raw: *mut qjs::JSContext,
    js: qjs::JSValue,
    offset: usize,
    length: Option<usize>,
) -> Option<Vec<u8>> {
    let mut size = 0;
    // SAFETY: by the caller; a detached buffer answers null and leaves an exception, cleared here.
    unsafe {
        let start = qjs::JS_GetArrayBuffer(raw, &mut size, js);
        if start.is_null() {
            qjs::JS_FreeValue(raw, qjs::JS_GetException(raw));
            return (size == 0).then(Vec::new);
        }
        let end =
            offset.checked_add(length.unwrap_or(size as usize - offset.min(size as usize)))?;
        if end > size as usize {
            return None;
        }
        Some(
            slice::from_raw_parts(ptr::NonNull::new(start)?.as_ptr(), size as usize)[offset..end]
                .to_vec(),
        )
    }
}

/// Lets the machine ask regularly whether it must stop: when the deadline has passed, or when more
/// memory is in use than `budget` allows and collecting garbage does not help.
pub(super) fn watch(machine: &Context, seat: Arc<Seat>, budget: Rc<Budget>) {
    let runtime = machine.get_runtime_ptr();
    let must_stop = move || {
        if budget.is_high() {
            // SAFETY: the runtime that asks is alive. It may collect at any allocation, so also here.
            unsafe { qjs::JS_RunGC(runtime) };
            if budget.is_high() {
                budget.exceed();
            }
        }
        // On a fiber others may have had their turn meanwhile.
        let pauses = || current_fiber().is_some_and(|it| it.pause_if_due() == Pause::End);
        budget.exceeded() || seat.expired() || pauses()
    };
    machine.runtime().set_interrupt_handler(Some(Box::new(must_stop)));
}

/// The machine works on the calling stack from now on: each fiber has another one.
pub(super) fn enter_stack(ctx: &Ctx<'_>) {
    // SAFETY: the runtime is alive through `ctx`, and nothing of it runs on another stack.
    unsafe { qjs::JS_UpdateStackTop(qjs::JS_GetRuntime(ctx.as_raw().as_ptr())) };
}

/// Whether the value is a `Date`.
pub(super) fn is_date(value: &Value<'_>) -> bool {
    // SAFETY: `value` is alive; only its class is looked at.
    unsafe { qjs::JS_IsDate(value.as_raw()) }
}
