//! The server's functions behind the ABI: what `guildhall_host` points to.
//!
//! No panic leaves these functions, and none trusts a handle, a number or a text it is given.
#![allow(unsafe_code, reason = "called by foreign code over the C ABI")]

use std::{
    collections::HashMap,
    ffi::c_char,
    panic::{AssertUnwindSafe, catch_unwind},
    slice,
    sync::LazyLock,
};

use guildhall_core::{Code, Error};
use guildhall_sdk::{
    abi::{self, Bytes},
    value::{Arguments, Map, Positional, Value, ValueSerializer},
};
use prost::Message;
use serde_json::Value as Json;
use tracing::{Level, debug, enabled, error, info, warn};

use super::{
    frame::{self, Enrolled, Frame},
    matches::{Complaint, Instance, NO_BROADCAST, NO_MATCH, Told},
};
use crate::{
    host::{HostFunction, Language, Origin},
    registry::Point,
    runtime::seat::HostError,
    tables::HOST_FUNCTIONS,
};

/// What every module is given.
pub(super) static HOST: abi::Host = abi::Host {
    size: abi::size_of::<abi::Host>(),
    version: abi::VERSION,
    resolve,
    call,
    context,
    answer,
    log,
    enroll,
    match_broadcast,
    match_kick,
    match_label_update,
};

/// The target of module log lines, for filters.
const TARGET: &str = "module";

const NOT_IN_A_CALL: &str =
    "the server's functions work only during a call, on the thread of that call";
const PANICKED: &str = "the server's function failed unexpectedly";

/// The numbers of host functions by name without underscores in lower case, so that both
/// `storage_write` and `StorageWrite` are found. A number is the place in the list, from 1.
static NUMBERS: LazyLock<HashMap<String, u32>> = LazyLock::new(|| {
    let native = |(place, function): (u32, &HostFunction)| {
        let known = function.languages.contains(&Language::Native);
        known.then(|| (plain(function.name), place))
    };
    (1..).zip(HOST_FUNCTIONS).filter_map(native).collect()
});

fn plain(name: &str) -> String {
    name.chars().filter(|letter| *letter != '_').map(|letter| letter.to_ascii_lowercase()).collect()
}

/// The text that a module hands over, or its bytes.
///
/// # Safety
/// `data` is null or points to `len` bytes that are readable during the call.
unsafe fn given<'a>(data: *const u8, len: usize) -> &'a [u8] {
    if data.is_null() || len == 0 {
        return &[];
    }
    // SAFETY: as the caller promises.
    unsafe { slice::from_raw_parts(data, len) }
}

/// Runs `work`, and gives `otherwise` where it panics: unwinding must not reach the module.
fn contained<R>(otherwise: R, work: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(otherwise)
}

/// Hands `result` to the module: its bytes stay with the frame, constant texts need no frame.
///
/// # Safety
/// `out` is null or points to a `guildhall_bytes` of the module.
unsafe fn hand(out: *mut Bytes, result: Bytes) {
    if !out.is_null() {
        // SAFETY: as the caller promises.
        unsafe { out.write(result) };
    }
}

unsafe extern "C" fn resolve(name: *const c_char, name_len: usize) -> u32 {
    // SAFETY: the module hands over a readable name.
    let name = unsafe { given(name.cast(), name_len) };
    contained(0, || {
        let name = str::from_utf8(name).map(plain).unwrap_or_default();
        NUMBERS.get(&name).copied().unwrap_or(0)
    })
}

unsafe extern "C" fn call(
    call: abi::Call,
    function: u32,
    arguments: *const u8,
    arguments_len: usize,
    result: *mut Bytes,
) -> abi::Code {
    // SAFETY: the module hands over readable arguments.
    let arguments = unsafe { given(arguments, arguments_len) };
    let (code, bytes) = contained((Code::Internal, Bytes::of(PANICKED.as_bytes())), || {
        let outcome = frame::with(call, |frame| match run(frame, function, arguments) {
            Ok(value) => (Code::Ok, frame.keep(value)),
            Err((code, text)) => (code, frame.keep(text.into_bytes())),
        });
        outcome.unwrap_or((Code::FailedPrecondition, Bytes::of(NOT_IN_A_CALL.as_bytes())))
    });
    // SAFETY: the module hands over a place for the result.
    unsafe { hand(result, bytes) };
    code.0
}

/// Calls a host function: the encoded value it gave back, or code and text of its error.
fn run(frame: &Frame<'_>, number: u32, arguments: &[u8]) -> Result<Vec<u8>, (Code, String)> {
    let function = (number as usize)
        .checked_sub(1)
        .and_then(|place| HOST_FUNCTIONS.get(place))
        .filter(|function| function.languages.contains(&Language::Native))
        .ok_or_else(|| (Code::Unimplemented, format!("there is no function {number}")))?;
    let name = function.name;
    let arguments = Arguments::decode(arguments)
        .map_err(|error| (Code::InvalidArgument, format!("{name}: bad arguments: {error}")))?;
    let mut arguments = <dyn erased_serde::Deserializer<'_>>::erase(Positional(arguments.values));
    let origin = Origin { language: Language::Native, context: frame.context };
    let answer =
        frame.seat.host(function, &mut arguments, origin).map_err(|error| match error {
            HostError::Arguments(text) => (Code::InvalidArgument, format!("{name}: {text}")),
            HostError::Failed(Error::Status(status)) => (status.code, status.message.into_owned()),
            HostError::Failed(Error::Fault(fault)) => {
                // The module may show the sentence to a client, so the source stays here.
                warn!(
                    runtime = Language::Native.name(),
                    module = frame.module,
                    function = frame.function,
                    host_function = name,
                    source = %fault.source,
                    "host function failed"
                );
                (fault.code, fault.message.into_owned())
            }
        })?;
    let value: Value = erased_serde::serialize(&**answer, ValueSerializer)
        .map_err(|error| (Code::Internal, format!("{name}: {error}")))?;
    Ok(value.encode_to_vec())
}

unsafe extern "C" fn context(call: abi::Call) -> Bytes {
    contained(Bytes::NONE, || {
        frame::with(call, |frame| frame.context_bytes()).unwrap_or(Bytes::NONE)
    })
}

unsafe extern "C" fn answer(call: abi::Call, data: *const u8, len: usize) -> abi::Code {
    // SAFETY: the module hands over readable bytes.
    let data = unsafe { given(data, len) };
    contained(Code::Internal, || {
        let answered = frame::with(call, |frame| frame.set_answer(data));
        answered.map_or(Code::FailedPrecondition, |()| Code::Ok)
    })
    .0
}

unsafe extern "C" fn log(
    call: abi::Call,
    level: u32,
    text: *const u8,
    text_len: usize,
    fields: *const u8,
    fields_len: usize,
) {
    // SAFETY: the module hands over readable bytes.
    let (text, fields) = unsafe { (given(text, text_len), given(fields, fields_len)) };
    contained((), || {
        let level = match level {
            0 => Level::DEBUG,
            1 => Level::INFO,
            2 => Level::WARN,
            _ => Level::ERROR,
        };
        frame::with(call, |frame| line(Some(frame), level, text, fields))
            .unwrap_or_else(|| line(None, level, text, fields));
    });
}

fn line(frame: Option<&Frame<'_>>, level: Level, text: &[u8], fields: &[u8]) {
    let wanted = match level {
        Level::ERROR => enabled!(target: TARGET, Level::ERROR),
        Level::WARN => enabled!(target: TARGET, Level::WARN),
        Level::INFO => enabled!(target: TARGET, Level::INFO),
        _ => enabled!(target: TARGET, Level::DEBUG),
    };
    if !wanted {
        return;
    }
    let text = String::from_utf8_lossy(text);
    let fields = (!fields.is_empty()).then(|| fields_of(fields));
    let caller = frame.map(|frame| &frame.context.caller);
    let user_id = caller.and_then(|caller| Some(caller.user.as_ref()?.id.to_string()));
    let trace_id = caller.map(|caller| caller.trace_id.to_string()).filter(|id| !id.is_empty());
    macro_rules! line {
        ($level:ident) => {
            $level!(
                target: TARGET,
                runtime = Language::Native.name(),
                module = frame.map(|frame| frame.module),
                function = frame.map(|frame| frame.function),
                user_id,
                session_id = frame.and_then(|frame| frame.context.session_id.as_deref()),
                trace_id,
                fields,
                "{text}"
            )
        };
    }
    match level {
        Level::ERROR => line!(error),
        Level::WARN => line!(warn),
        Level::INFO => line!(info),
        _ => line!(debug),
    }
}

/// The fields of a log line as JSON; what is no map says so.
fn fields_of(fields: &[u8]) -> String {
    let read = Map::decode(fields).ok().map(|map| guildhall_sdk::value::Kind::Map(map).into());
    read.and_then(|map: Value| guildhall_sdk::value::from_value::<Json>(map).ok())
        .unwrap_or_else(|| "unreadable".into())
        .to_string()
}

unsafe extern "C" fn enroll(
    call: abi::Call,
    point: u32,
    name: *const c_char,
    name_len: usize,
    function: u32,
    definition: *const c_char,
    definition_len: usize,
    error: *mut Bytes,
) -> abi::Code {
    // SAFETY: the module hands over readable texts.
    let (name, definition) =
        unsafe { (given(name.cast(), name_len), given(definition.cast(), definition_len)) };
    let (code, text) = contained((Code::Internal, Bytes::of(PANICKED.as_bytes())), || {
        let outcome = frame::with(call, |frame| {
            let enrolled = registration(point, name, function, definition);
            match enrolled.map(|enrolled| frame.enroll(enrolled)) {
                Ok(Ok(())) => (Code::Ok, Bytes::NONE),
                Ok(Err(_)) => (
                    Code::FailedPrecondition,
                    Bytes::of(b"functions are registered during the initialisation only"),
                ),
                Err(text) => (Code::InvalidArgument, frame.keep(text.into_bytes())),
            }
        });
        outcome.unwrap_or((Code::FailedPrecondition, Bytes::of(NOT_IN_A_CALL.as_bytes())))
    });
    // SAFETY: the module hands over a place for the error.
    unsafe { hand(error, text) };
    code.0
}

/// Runs `work` on the match whose function is in progress.
///
/// # Safety
/// `error` is null or points to a `guildhall_bytes` of the module.
unsafe fn on_match(
    call: abi::Call,
    error: *mut Bytes,
    work: impl FnOnce(&Instance) -> Result<(), Complaint>,
) -> abi::Code {
    let (code, text) = contained((Code::Internal, Bytes::of(PANICKED.as_bytes())), || {
        let outcome = frame::with(call, |frame| {
            let done = frame.instance().ok_or(NO_MATCH).and_then(work);
            match done {
                Ok(()) => (Code::Ok, Bytes::NONE),
                Err(Complaint { code, text }) => (code, frame.keep(text.into_owned().into_bytes())),
            }
        });
        outcome.unwrap_or((Code::FailedPrecondition, Bytes::of(NOT_IN_A_CALL.as_bytes())))
    });
    // SAFETY: as the caller promises.
    unsafe { hand(error, text) };
    code.0
}

unsafe extern "C" fn match_broadcast(
    call: abi::Call,
    broadcast: *const abi::Broadcast,
    error: *mut Bytes,
) -> abi::Code {
    // SAFETY: the module hands over a struct that begins with its size; what that covers, is there,
    // and its bytes are readable.
    let told = unsafe {
        let whole = !broadcast.is_null() && (*broadcast).size >= abi::size_of::<abi::Broadcast>();
        whole.then(|| {
            let abi::Broadcast { flags, op_code, data, recipients, sender, .. } = &*broadcast;
            let data = data.read().unwrap_or_default();
            Told {
                flags: *flags,
                op_code: *op_code,
                data,
                recipients: recipients.read(),
                sender: sender.read(),
            }
        })
    };
    // SAFETY: the module hands over a place for the error.
    unsafe { on_match(call, error, |instance| instance.broadcast(told.ok_or(NO_BROADCAST)?)) }
}

unsafe extern "C" fn match_kick(
    call: abi::Call,
    presences: *const u8,
    presences_len: usize,
    error: *mut Bytes,
) -> abi::Code {
    // SAFETY: the module hands over readable bytes and a place for the error.
    unsafe {
        let presences = given(presences, presences_len);
        on_match(call, error, |instance| instance.kick(presences))
    }
}

unsafe extern "C" fn match_label_update(
    call: abi::Call,
    label: *const c_char,
    label_len: usize,
    error: *mut Bytes,
) -> abi::Code {
    // SAFETY: the module hands over a readable text and a place for the error.
    unsafe {
        let label = given(label.cast(), label_len);
        on_match(call, error, |instance| instance.update_label(label))
    }
}

/// The points by the numbers of the ABI, from 1, and whether each needs a name.
const POINTS: [(Point, bool); 22] = [
    (Point::Rpc, true),
    (Point::Before, true),
    (Point::After, true),
    (Point::RealtimeBefore, true),
    (Point::RealtimeAfter, true),
    (Point::Match, true),
    (Point::MatchmakerMatched, false),
    (Point::MatchmakerOverride, false),
    (Point::MatchmakerProcessor, false),
    (Point::TournamentEnd, false),
    (Point::TournamentReset, false),
    (Point::LeaderboardReset, false),
    (Point::StorageIndex, true),
    (Point::StorageIndexFilter, true),
    (Point::PurchaseNotificationApple, false),
    (Point::SubscriptionNotificationApple, false),
    (Point::PurchaseNotificationGoogle, false),
    (Point::SubscriptionNotificationGoogle, false),
    (Point::Event, false),
    (Point::EventSessionStart, false),
    (Point::EventSessionEnd, false),
    (Point::Shutdown, false),
];

/// What a module wants to register, or what is wrong with it.
fn registration(
    point: u32,
    name: &[u8],
    number: u32,
    definition: &[u8],
) -> Result<Enrolled, String> {
    let (point, named) = (point as usize)
        .checked_sub(1)
        .and_then(|place| POINTS.get(place).copied())
        .ok_or_else(|| format!("this server has no point {point} to register for"))?;
    let name = str::from_utf8(name).map_err(|_| "the name is not UTF-8".to_owned())?;
    if named && name.is_empty() {
        return Err(format!("registering for {point:?} needs a name"));
    }
    let name = match point {
        Point::Rpc
        | Point::Before
        | Point::After
        | Point::RealtimeBefore
        | Point::RealtimeAfter => name.to_lowercase(),
        _ if named => name.to_owned(),
        _ => String::new(),
    };
    let definition = match definition {
        [] => None,
        json => Some(
            serde_json::from_slice(json)
                .map_err(|error| format!("the definition is not JSON: {error}"))?,
        ),
    };
    Ok(Enrolled { point, name, number, definition })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn ids_and_api_names_are_registered_in_lower_case_and_others_as_they_are() {
        let name = |point, name: &[u8]| registration(point, name, 0, b"").map(|it| it.name);
        assert_eq!(name(1, b"Echo").unwrap(), "echo");
        assert_eq!(name(2, b"AuthenticateEmail").unwrap(), "authenticateemail");
        assert_eq!(name(6, b"Lobby").unwrap(), "Lobby");
        assert_eq!(name(19, b"ignored").unwrap(), "");
    }

    /// The header, the Rust SDK and the Go SDK each have the list; a number must mean the same.
    #[test]
    fn points_have_the_same_numbers_everywhere() {
        const HEADER: &str = include_str!("../../../../sdk/include/guildhall.h");
        const RUST: &str = include_str!("../../../../sdk/src/module.rs");
        const GO: &str = include_str!("../../../../sdk/go/guildhall.go");
        let list = |text: &str, begin: &str, end: &str| -> Vec<String> {
            let (_, list) = text.split_once(begin).unwrap();
            let (list, _) = list.split_once(end).unwrap();
            let words = list.lines().filter_map(|line| line.split_whitespace().next());
            words
                .filter(|word| !word.starts_with("//"))
                .map(|word| word.trim_end_matches(',').to_lowercase())
                .collect()
        };
        let points: Vec<_> =
            POINTS.iter().map(|(point, _)| format!("{point:?}").to_lowercase()).collect();
        assert_eq!(list(RUST, "    Rpc = 1,", "}")[..], points[1..]);
        let go = list(GO, "PointRPC Point = iota + 1", ")");
        let go: Vec<_> = go.iter().map(|name| name.trim_start_matches("point")).collect();
        assert_eq!(go[..], points[1..]);
        for (number, point) in (1..).zip(&points) {
            let defined = HEADER.lines().any(|line| {
                let mut words = line.split_whitespace().skip(1);
                let name = words.next().unwrap_or_default().replace('_', "").to_lowercase();
                name == format!("guildhall{point}") && words.next() == Some(&format!("{number}u"))
            });
            assert!(defined, "{point} {number}");
        }
    }

    #[test]
    fn what_a_function_is_called_for_has_the_same_number_in_the_header() {
        use abi::{flag, kind};
        const HEADER: &str = include_str!("../../../../sdk/include/guildhall.h");
        for (name, number) in [
            ("KIND_RPC", kind::RPC),
            ("KIND_BEFORE", kind::BEFORE),
            ("KIND_AFTER", kind::AFTER),
            ("KIND_EVENT", kind::EVENT),
            ("KIND_PLAIN", kind::PLAIN),
            ("KIND_MATCH_INIT", kind::MATCH_INIT),
            ("KIND_MATCH_JOIN_ATTEMPT", kind::MATCH_JOIN_ATTEMPT),
            ("KIND_MATCH_JOIN", kind::MATCH_JOIN),
            ("KIND_MATCH_LEAVE", kind::MATCH_LEAVE),
            ("KIND_MATCH_LOOP", kind::MATCH_LOOP),
            ("KIND_MATCH_TERMINATE", kind::MATCH_TERMINATE),
            ("KIND_MATCH_SIGNAL", kind::MATCH_SIGNAL),
            ("KIND_MATCH_RELEASE", kind::MATCH_RELEASE),
            ("BROADCAST_DEFERRED", flag::DEFERRED),
            ("BROADCAST_UNRELIABLE", flag::UNRELIABLE),
        ] {
            let line = ["#define", &format!("GUILDHALL_{name}"), &format!("{number}u")];
            let defined = HEADER.lines().any(|it| it.split_whitespace().take(3).eq(line));
            assert!(defined, "{name} {number}");
        }
        let kinds = HEADER.lines().filter(|line| line.starts_with("#define GUILDHALL_KIND_"));
        assert_eq!(kinds.count(), 13);
    }

    #[test]
    fn registrations_that_cannot_be_are_refused_with_a_reason() {
        let refusal = |point, name: &[u8], definition: &[u8]| {
            registration(point, name, 0, definition).unwrap_err()
        };
        assert_eq!(refusal(0, b"a", b""), "this server has no point 0 to register for");
        assert_eq!(refusal(23, b"a", b""), "this server has no point 23 to register for");
        assert_eq!(refusal(1, b"", b""), "registering for Rpc needs a name");
        assert_eq!(refusal(1, b"\xff", b""), "the name is not UTF-8");
        assert!(refusal(13, b"index", b"{").starts_with("the definition is not JSON: "));
    }

    #[test]
    fn host_functions_are_found_by_either_spelling() {
        // SAFETY: the name is readable.
        let find = |name: &str| unsafe { resolve(name.as_ptr().cast(), name.len()) };
        let id = find("base64_encode");
        assert_eq!(HOST_FUNCTIONS[id as usize - 1].name, "base64_encode");
        assert_eq!(find("Base64Encode"), id);
        assert_eq!(find("no_such_function"), 0);
    }

    #[test]
    fn outside_a_call_nothing_works_and_nothing_breaks() {
        let mut result = Bytes::NONE;
        // SAFETY: every pointer is null or points to what its length says.
        unsafe {
            let code = call(7, 1, std::ptr::null(), 0, &raw mut result);
            assert_eq!(code, Code::FailedPrecondition.0);
            assert_eq!(result.read(), Some(NOT_IN_A_CALL.as_bytes()));
            assert_eq!(answer(0, std::ptr::null(), 0), Code::FailedPrecondition.0);
            let mut error = Bytes::NONE;
            assert_eq!(match_kick(7, std::ptr::null(), 0, &raw mut error), code);
            assert_eq!(error.read(), Some(NOT_IN_A_CALL.as_bytes()));
            assert_eq!(match_broadcast(7, std::ptr::null(), std::ptr::null_mut()), code);
            assert_eq!(match_label_update(7, std::ptr::null(), 0, std::ptr::null_mut()), code);
            assert!(context(0).data.is_null());
            log(0, 1, b"x".as_ptr(), 1, std::ptr::null(), 0);
        }
    }
}
