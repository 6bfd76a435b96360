//! Matches: what a module's handler is, and what it can do to its match.
#![allow(unsafe_code, reason = "calls over the C ABI")]

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use prost::Message;
use serde::de::DeserializeOwned;

pub use crate::value::wire::Presence;
use crate::{
    abi::{self, Bytes, kind},
    error::{Error, code},
    module::{Given, Module, Point},
    nk::Nk,
    value::{
        Kind, Map, from_value,
        wire::{self, Presences},
    },
};

/// Whether a match goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It does.
    Continue,
    /// It ends, and its members hear that they left.
    End,
}

/// Whether somebody may join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// They may.
    Allow,
    /// They may not; the client sees why.
    Reject(String),
    /// The match ends.
    End,
}

/// How a match begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchInit {
    /// Ticks a second, 1 to 60.
    pub tick_rate_hz: u32,
    /// What the match is listed with, at most 2048 bytes; queries look into JSON.
    pub label: String,
}

/// A message from a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchData {
    /// Who sent it.
    pub sender: Presence,
    /// The members' own number for its kind.
    pub op_code: i64,
    /// What was sent.
    pub data: Vec<u8>,
    /// Whether the sender asked for reliable delivery.
    pub reliable: bool,
    /// When it came, Unix milliseconds.
    pub receive_time_ms: i64,
}

/// A match of this module's. Its state are its fields.
///
/// The server calls one function at a time, each on any of its threads. An error or a panic ends
/// the match, and its members are disconnected; other matches go on. A function that takes long
/// delays only its own match; one that does not return costs the server a thread.
pub trait Match: Send + 'static {
    /// Somebody wants to join; they are not in the match yet. The context of `nk` shows their
    /// session. `metadata` is what the client sent along.
    ///
    /// # Errors
    /// The handler's own.
    fn match_join_attempt(
        &mut self,
        nk: &Nk<'_>,
        dispatcher: &Dispatcher<'_>,
        tick: i64,
        presence: &Presence,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Answer, Error>;

    /// They are in the match now.
    ///
    /// # Errors
    /// The handler's own.
    fn match_join(
        &mut self,
        nk: &Nk<'_>,
        dispatcher: &Dispatcher<'_>,
        tick: i64,
        joined: Vec<Presence>,
    ) -> Result<Turn, Error>;

    /// They are no longer in the match.
    ///
    /// # Errors
    /// The handler's own.
    fn match_leave(
        &mut self,
        nk: &Nk<'_>,
        dispatcher: &Dispatcher<'_>,
        tick: i64,
        left: Vec<Presence>,
    ) -> Result<Turn, Error>;

    /// A tick, with what members sent since the one before, in order.
    ///
    /// # Errors
    /// The handler's own.
    fn match_loop(
        &mut self,
        nk: &Nk<'_>,
        dispatcher: &Dispatcher<'_>,
        tick: i64,
        messages: Vec<MatchData>,
    ) -> Result<Turn, Error>;

    /// The server stops in `grace_s` seconds.
    ///
    /// # Errors
    /// The handler's own.
    fn match_terminate(
        &mut self,
        nk: &Nk<'_>,
        dispatcher: &Dispatcher<'_>,
        tick: i64,
        grace_s: u64,
    ) -> Result<Turn, Error>;

    /// Somebody asks something by `match_signal`: the answer, or `None` to end the match.
    ///
    /// # Errors
    /// The handler's own.
    fn match_signal(
        &mut self,
        nk: &Nk<'_>,
        dispatcher: &Dispatcher<'_>,
        tick: i64,
        data: &str,
    ) -> Result<Option<String>, Error>;
}

/// A message to members.
#[derive(Clone, Copy, Debug, Default)]
pub struct Broadcast<'a> {
    /// The members' own number for its kind.
    pub op_code: i64,
    /// What is sent.
    pub data: &'a [u8],
    /// Who gets it, of those that are in the match; `None` for everybody.
    pub recipients: Option<&'a [Presence]>,
    /// Who it seems to come from.
    pub sender: Option<&'a Presence>,
    /// Whether it may get lost.
    pub unreliable: bool,
}

/// What a handler can do to its match, while one of its functions runs.
pub struct Dispatcher<'a>(&'a Nk<'a>);

impl fmt::Debug for Dispatcher<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dispatcher")
    }
}

impl Dispatcher<'_> {
    /// Sends a message at once.
    ///
    /// # Errors
    /// A presence whose ids are none, or that the match has ended.
    pub fn broadcast_message(&self, broadcast: &Broadcast<'_>) -> Result<(), Error> {
        self.broadcast(broadcast, 0)
    }

    /// Sends a message when the function has returned.
    ///
    /// # Errors
    /// As [`broadcast_message`](Self::broadcast_message), and where too many wait already.
    pub fn broadcast_message_deferred(&self, broadcast: &Broadcast<'_>) -> Result<(), Error> {
        self.broadcast(broadcast, abi::flag::DEFERRED)
    }

    fn broadcast(&self, broadcast: &Broadcast<'_>, flags: u32) -> Result<(), Error> {
        let Broadcast { op_code, data, recipients, sender, unreliable } = *broadcast;
        let recipients = recipients.map(encoded);
        let sender = sender.map(Message::encode_to_vec);
        let told = abi::Broadcast {
            size: abi::size_of::<abi::Broadcast>(),
            flags: flags | if unreliable { abi::flag::UNRELIABLE } else { 0 },
            op_code,
            data: Bytes::of(data),
            recipients: Bytes::maybe(recipients.as_deref()),
            sender: Bytes::maybe(sender.as_deref()),
        };
        let (host, call) = self.0.sides();
        // SAFETY: the pointers are good during the call.
        done(|error| unsafe { (host.match_broadcast)(call, &raw const told, error) })
    }

    /// Removes members; those that are not there are passed over.
    ///
    /// # Errors
    /// As [`broadcast_message`](Self::broadcast_message).
    pub fn match_kick(&self, presences: &[Presence]) -> Result<(), Error> {
        let presences = encoded(presences);
        let (host, call) = self.0.sides();
        // SAFETY: the pointers are good during the call.
        done(|error| unsafe { (host.match_kick)(call, presences.as_ptr(), presences.len(), error) })
    }

    /// Changes the label that the match is listed with.
    ///
    /// # Errors
    /// A label longer than 2048 bytes, or that the match has ended.
    pub fn match_label_update(&self, label: &str) -> Result<(), Error> {
        let (host, call) = self.0.sides();
        // SAFETY: the pointers are good during the call.
        done(|error| unsafe {
            (host.match_label_update)(call, label.as_ptr().cast(), label.len(), error)
        })
    }
}

fn encoded(presences: &[Presence]) -> Vec<u8> {
    Presences { presences: presences.to_vec() }.encode_to_vec()
}

/// Calls one of the server's functions that can only fail.
fn done(work: impl FnOnce(*mut Bytes) -> abi::Code) -> Result<(), Error> {
    let mut error = Bytes::NONE;
    let status = work(&raw mut error);
    if status == code::OK {
        return Ok(());
    }
    // SAFETY: the server's bytes are good until the next use of its functions.
    let text = unsafe { error.read() }.unwrap_or_default();
    Err(Error::new(status, String::from_utf8_lossy(text)))
}

type Shared = Arc<Mutex<Box<dyn Match>>>;

/// The matches of this module that run, by number.
static MATCHES: RwLock<Option<HashMap<u64, Shared>>> = RwLock::new(None);

fn keep(made: Box<dyn Match>) -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut matches = MATCHES.write().unwrap_or_else(PoisonError::into_inner);
    matches.get_or_insert_default().insert(number, Arc::new(Mutex::new(made)));
    number
}

fn find(number: u64) -> Result<Shared, Error> {
    let matches = MATCHES.read().unwrap_or_else(PoisonError::into_inner);
    let found = matches.as_ref().and_then(|matches| matches.get(&number).cloned());
    found.ok_or_else(|| Error::internal("the module has no such match"))
}

fn take(number: u64) -> Option<Shared> {
    let mut matches = MATCHES.write().unwrap_or_else(PoisonError::into_inner);
    matches.as_mut()?.remove(&number)
}

impl Module<'_> {
    /// Registers what makes matches of this name: it gets the parameters that `match_create` was
    /// given, as `P` (`serde_json::Value` takes any), and gives back the match. It is preferred to
    /// a Lua module and to a JavaScript handler of the same name.
    ///
    /// # Errors
    /// The server's refusal.
    pub fn register_match<M: Match, P: DeserializeOwned>(
        &mut self,
        name: &str,
        create: impl Fn(&Nk<'_>, P) -> Result<(M, MatchInit), Error> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        self.enroll(Point::Match, name, None, move |nk, given| match given.kind {
            kind::MATCH_INIT => {
                let params = Kind::Map(Map::decode(given.payload.unwrap_or_default())?);
                let (made, MatchInit { tick_rate_hz, label }) =
                    create(nk, from_value(params.into())?)?;
                let r#match = keep(Box::new(made));
                Ok(Some(wire::MatchInit { tick_rate_hz, label, r#match }.encode_to_vec()))
            }
            kind::MATCH_RELEASE => {
                // Dropped outside of the lock: it is the module's own.
                drop(take(given.number));
                Ok(None)
            }
            _ => {
                let shared = find(given.number)?;
                let mut this = shared.lock().unwrap_or_else(PoisonError::into_inner);
                play(&mut **this, nk, given)
            }
        })
    }
}

/// Calls the function that is meant.
fn play(this: &mut dyn Match, nk: &Nk<'_>, given: Given<'_>) -> Result<Option<Vec<u8>>, Error> {
    let Given { tick, grace_s, .. } = given;
    let payload = given.payload.unwrap_or_default();
    let dispatcher = &Dispatcher(nk);
    let presences = || Ok::<_, Error>(Presences::decode(payload)?.presences);
    let turn = match given.kind {
        kind::MATCH_JOIN_ATTEMPT => {
            let wire::JoinAttempt { presence, metadata } = wire::JoinAttempt::decode(payload)?;
            let presence = presence.unwrap_or_default();
            let answer = this.match_join_attempt(nk, dispatcher, tick, &presence, &metadata)?;
            let answer = match answer {
                Answer::Allow => wire::JoinAnswer { allow: true, reason: String::new() },
                Answer::Reject(reason) => wire::JoinAnswer { allow: false, reason },
                Answer::End => return Ok(None),
            };
            return Ok(Some(answer.encode_to_vec()));
        }
        kind::MATCH_SIGNAL => {
            let data = str::from_utf8(payload)?;
            let answer = this.match_signal(nk, dispatcher, tick, data)?;
            return Ok(answer.map(String::into_bytes));
        }
        kind::MATCH_JOIN => this.match_join(nk, dispatcher, tick, presences()?)?,
        kind::MATCH_LEAVE => this.match_leave(nk, dispatcher, tick, presences()?)?,
        kind::MATCH_LOOP => {
            let messages = wire::MatchMessages::decode(payload)?.messages;
            let messages = messages.into_iter().map(MatchData::of).collect();
            this.match_loop(nk, dispatcher, tick, messages)?
        }
        kind::MATCH_TERMINATE => this.match_terminate(nk, dispatcher, tick, grace_s)?,
        _ => return Err(Error::new(code::UNIMPLEMENTED, "the module has no such function")),
    };
    Ok((turn == Turn::Continue).then(Vec::new))
}

impl MatchData {
    fn of(message: wire::MatchMessage) -> Self {
        Self {
            sender: message.sender.unwrap_or_default(),
            op_code: message.op_code,
            data: message.data.into(),
            reliable: message.reliable,
            receive_time_ms: message.receive_time_ms,
        }
    }
}
