//! The module's side of the ABI: registration, dispatch, and the containment of panics.
#![allow(unsafe_code, reason = "the C ABI")]

use std::{
    cell::RefCell,
    fmt,
    panic::{self, AssertUnwindSafe},
    sync::{Once, OnceLock, PoisonError, RwLock},
};

use prost::Message;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    abi::{self, Bytes, Call, Code, Host, Input},
    error::{Error, code},
    nk::{Level, Nk, log},
    proto::{api::Event, realtime::Envelope},
    value::{self, Arguments, Kind, List},
};

/// What a module can register for. The numbers are the ABI's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs, reason = "the names are the registration functions'")]
pub enum Point {
    Rpc = 1,
    Before,
    After,
    RealtimeBefore,
    RealtimeAfter,
    Match,
    /// `(Vec<Entry>,)` → a match id, or `""`. An entry has `ticket`, `presence`, `properties`, `party_id`
    /// and `create_time` (ns).
    MatchmakerMatched,
    /// `(Vec<Vec<Entry>>,)`, groups that can be made → those that shall be, of entries or ticket ids.
    MatchmakerOverride,
    /// `(Vec<Entry>,)`, all who wait → groups, of entries or ticket ids.
    MatchmakerProcessor,
    TournamentEnd,
    TournamentReset,
    LeaderboardReset,
    StorageIndex,
    StorageIndexFilter,
    PurchaseNotificationApple,
    SubscriptionNotificationApple,
    PurchaseNotificationGoogle,
    SubscriptionNotificationGoogle,
    Event,
    EventSessionStart,
    EventSessionEnd,
    Shutdown,
}

/// What a function is called with.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    /// One of [`abi::kind`].
    pub kind: u32,
    pub payload: Option<&'a [u8]>,
    pub request: Option<&'a [u8]>,
    /// The number of the match whose function is called.
    pub number: u64,
    pub tick: i64,
    pub grace_s: u64,
}

/// A registered function: reads its input, gives back its answer.
type Function = dyn Fn(&Nk<'_>, Given<'_>) -> Result<Option<Vec<u8>>, Error> + Send + Sync;

/// All registered functions; a function's number is its place. They stay for good, as the library
/// does. (A server that starts twice in one process initialises a library twice.)
static FUNCTIONS: RwLock<Vec<&'static Function>> = RwLock::new(Vec::new());

/// The server's functions, from the first initialisation on.
static HOST: OnceLock<&'static Host> = OnceLock::new();

/// The module being initialised: where its functions are registered.
pub struct Module<'a> {
    nk: &'a Nk<'a>,
    host: &'static Host,
    call: Call,
}

impl fmt::Debug for Module<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module").field("call", &self.call).finish_non_exhaustive()
    }
}

impl Module<'_> {
    /// The server, for host functions during the initialisation.
    pub fn nk(&self) -> &Nk<'_> {
        self.nk
    }

    /// Registers an RPC: it gets the payload as the client sent it and answers any bytes.
    ///
    /// # Errors
    /// The server's refusal, e.g. of an empty id.
    pub fn rpc(
        &mut self,
        id: &str,
        function: impl Fn(&Nk<'_>, &[u8]) -> Result<Vec<u8>, Error> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        self.add(Point::Rpc, id, move |nk, payload, _| {
            function(nk, payload.unwrap_or_default()).map(Some)
        })
    }

    /// Registers a before hook of the API call `name` (`"AuthenticateEmail"`). It gets the request
    /// and gives back the one to go on with; `None` answers the client that there is no such
    /// call. `()` is the request of a call without input.
    ///
    /// # Errors
    /// The server's refusal.
    pub fn before<M: Message + Default>(
        &mut self,
        name: &str,
        hook: impl Fn(&Nk<'_>, M) -> Result<Option<M>, Error> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        self.add(Point::Before, name, move |nk, request, _| {
            let request = M::decode(request.unwrap_or_default())?;
            Ok(hook(nk, request)?.map(|request| request.encode_to_vec()))
        })
    }

    /// Registers an after hook of the API call `name`. It gets the response and the request; its
    /// error is logged by the server and not told to the client. `()` stands for nothing.
    ///
    /// # Errors
    /// The server's refusal.
    pub fn after<R: Message + Default, M: Message + Default>(
        &mut self,
        name: &str,
        hook: impl Fn(&Nk<'_>, R, M) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        self.add(Point::After, name, move |nk, response, request| {
            let response = R::decode(response.unwrap_or_default())?;
            let request = M::decode(request.unwrap_or_default())?;
            hook(nk, response, request).map(|()| None)
        })
    }

    /// Registers a before hook of the socket message `name` (`"ChannelJoin"`). It gets the message and
    /// gives back the one to go on with, of the same kind; `None` closes the client's socket. Of its
    /// error the client gets the sentence.
    ///
    /// # Errors
    /// The server's refusal.
    pub fn realtime_before(
        &mut self,
        name: &str,
        hook: impl Fn(&Nk<'_>, Envelope) -> Result<Option<Envelope>, Error> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        self.add(Point::RealtimeBefore, name, move |nk, message, _| {
            let message = Envelope::decode(message.unwrap_or_default())?;
            Ok(hook(nk, message)?.map(|message| message.encode_to_vec()))
        })
    }

    /// Registers an after hook of the socket message `name`. It gets what the client was answered, if
    /// anything, and the message; its error is logged by the server and not told to the client.
    ///
    /// # Errors
    /// The server's refusal.
    pub fn realtime_after(
        &mut self,
        name: &str,
        hook: impl Fn(&Nk<'_>, Option<Envelope>, Envelope) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        self.add(Point::RealtimeAfter, name, move |nk, answer, message| {
            let answer = answer.map(Envelope::decode).transpose()?;
            let message = Envelope::decode(message.unwrap_or_default())?;
            hook(nk, answer, message).map(|()| None)
        })
    }

    /// Registers a function that gets every custom event.
    ///
    /// # Errors
    /// The server's refusal.
    pub fn event(
        &mut self,
        function: impl Fn(&Nk<'_>, Event) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        self.add_event(Point::Event, function)
    }

    /// Registers a function that is told when a session starts.
    ///
    /// # Errors
    /// The server's refusal.
    pub fn event_session_start(
        &mut self,
        function: impl Fn(&Nk<'_>, Event) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        self.add_event(Point::EventSessionStart, function)
    }

    /// Registers a function that is told when a session ends.
    ///
    /// # Errors
    /// The server's refusal.
    pub fn event_session_end(
        &mut self,
        function: impl Fn(&Nk<'_>, Event) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        self.add_event(Point::EventSessionEnd, function)
    }

    /// Registers a function that takes plain values: `A` is a tuple of them, by position, and what
    /// it gives back is `R`, `()` where nothing is expected. A tournament's end, for example, is
    /// told as `(Tournament, i64, i64)`, and a storage index filter answers a `bool`.
    ///
    /// # Errors
    /// The server's refusal.
    pub fn function<A: DeserializeOwned, R: Serialize>(
        &mut self,
        point: Point,
        name: &str,
        function: impl Fn(&Nk<'_>, A) -> Result<R, Error> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        self.add(point, name, move |nk, arguments, _| {
            let arguments = Arguments::decode(arguments.unwrap_or_default())?;
            let list = Kind::List(List { values: arguments.values }).into();
            let answer = function(nk, value::from_value(list)?)?;
            Ok(Some(value::to_value(&answer)?.encode_to_vec()))
        })
    }

    /// Registers for any point, with raw input: payload or response, and request. `definition`
    /// is JSON for points that carry data (a storage index).
    ///
    /// # Errors
    /// The server's refusal.
    pub fn register(
        &mut self,
        point: Point,
        name: &str,
        definition: Option<&str>,
        function: impl Fn(&Nk<'_>, Option<&[u8]>, Option<&[u8]>) -> Result<Option<Vec<u8>>, Error>
        + Send
        + Sync
        + 'static,
    ) -> Result<(), Error> {
        self.enroll(point, name, definition, move |nk, given| {
            function(nk, given.payload, given.request)
        })
    }

    pub(crate) fn enroll(
        &mut self,
        point: Point,
        name: &str,
        definition: Option<&str>,
        function: impl Fn(&Nk<'_>, Given<'_>) -> Result<Option<Vec<u8>>, Error> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        // The place is taken before the server may call the function.
        let number = {
            let mut functions = FUNCTIONS.write().unwrap_or_else(PoisonError::into_inner);
            functions.push(Box::leak(Box::new(function)));
            u32::try_from(functions.len() - 1)?
        };
        let definition = Bytes::maybe(definition.map(str::as_bytes));
        let mut error = Bytes::NONE;
        // SAFETY: the pointers are good during the call; the error is read before the next one.
        unsafe {
            let status = (self.host.enroll)(
                self.call,
                point as u32,
                name.as_ptr().cast(),
                name.len(),
                number,
                definition.data.cast(),
                definition.len,
                &raw mut error,
            );
            if status == code::OK {
                return Ok(());
            }
            Err(Error::new(status, String::from_utf8_lossy(error.read().unwrap_or_default())))
        }
    }

    fn add_event(
        &mut self,
        point: Point,
        function: impl Fn(&Nk<'_>, Event) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        self.add(point, "", move |nk, event, _| {
            function(nk, Event::decode(event.unwrap_or_default())?).map(|()| None)
        })
    }

    fn add(
        &mut self,
        point: Point,
        name: &str,
        function: impl Fn(&Nk<'_>, Option<&[u8]>, Option<&[u8]>) -> Result<Option<Vec<u8>>, Error>
        + Send
        + Sync
        + 'static,
    ) -> Result<(), Error> {
        self.register(point, name, None, function)
    }
}

/// Runs `init` for the server; what [`crate::module!`] exports calls this.
///
/// # Safety
/// The arguments are those that the server passes to the module's entry.
pub unsafe fn initialise(
    host: *const Host,
    call: Call,
    module: *mut abi::Module,
    init: fn(&mut Module<'_>) -> Result<(), Error>,
) -> Code {
    // SAFETY: both are valid as the ABI says; the sizes are compared before a member is used that
    // an older or newer server may lack, and `Host` lives until the process ends.
    let host: &'static Host = unsafe {
        (*module).version = abi::VERSION;
        if (*host).version != abi::VERSION
            || (*host).size < abi::size_of::<Host>()
            || (*module).size < abi::size_of::<abi::Module>()
        {
            return code::FAILED_PRECONDITION;
        }
        (*module).size = abi::size_of::<abi::Module>();
        (*module).invoke = Some(invoke);
        &*host
    };
    let _ = HOST.set(host);
    note_panics(host);
    finish(host, call, || {
        let nk = Nk::new(host, call);
        init(&mut Module { nk: &nk, host, call }).map(|()| None)
    })
}

unsafe extern "C" fn invoke(call: Call, function: u32, input: *const Input) -> Code {
    let Some(host) = HOST.get().copied() else { return code::FAILED_PRECONDITION };
    finish(host, call, || {
        // SAFETY: the server passes a valid input whose bytes stay until this returns. It has all
        // members: a server that lacked some would have been refused for the size of its functions.
        let given = unsafe {
            let Input { kind, payload, request, r#match, tick, grace_s, .. } = &*input;
            Given {
                kind: *kind,
                payload: payload.read(),
                request: request.read(),
                number: *r#match,
                tick: *tick,
                grace_s: *grace_s,
            }
        };
        let found = {
            let functions = FUNCTIONS.read().unwrap_or_else(PoisonError::into_inner);
            functions.get(function as usize).copied()
        };
        let Some(found) = found else {
            return Err(Error::new(code::UNIMPLEMENTED, "the module has no such function"));
        };
        found(&Nk::new(host, call), given)
    })
}

thread_local! {
    /// What the last panic on this thread said, with file and line; `None` outside a call.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `work`, contains its panic, and tells the server how it ended.
fn finish(host: &Host, call: Call, work: impl FnOnce() -> Result<Option<Vec<u8>>, Error>) -> Code {
    let outer = PANIC.replace(Some(String::new()));
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    let panicked = PANIC.replace(outer).unwrap_or_default();
    let result = result.unwrap_or_else(|_| {
        log(host, call, Level::Error, &panicked, &[]);
        Err(Error::internal(panicked))
    });
    let (status, bytes) = match result {
        Ok(None) => return code::OK,
        Ok(Some(bytes)) => (code::OK, bytes),
        Err(Error { code: code::OK, message }) => (code::INTERNAL, message.into_bytes()),
        Err(Error { code, message }) => (code, message.into_bytes()),
    };
    let bytes = Bytes::of(&bytes);
    // SAFETY: the bytes are good during the call.
    unsafe { (host.answer)(call, bytes.data, bytes.len) };
    status
}

/// Keeps a panic's message and place for [`finish`]; one on a thread of the module's own goes to
/// the server's log.
fn note_panics(host: &'static Host) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        panic::set_hook(Box::new(|info| {
            let text = info.payload_as_str().unwrap_or("no message");
            let message = match info.location() {
                Some(place) => format!("panic at {}:{}: {text}", place.file(), place.line()),
                None => format!("panic: {text}"),
            };
            let in_call = PANIC.with_borrow_mut(|noted| {
                noted.as_mut().map(|noted| noted.clone_from(&message)).is_some()
            });
            if !in_call {
                log(host, 0, Level::Error, &message, &[]);
            }
        }));
    });
}
