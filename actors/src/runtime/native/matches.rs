//! Matches of native handlers: their state is the module's, behind a number; their functions run as
//! calls on a pool, and the match's fiber waits for them.
//!
//! Source: Nakama, `server/runtime_go_match_core.go`: what functions are given, how what they give
//! back is read, and the words of errors.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use guildhall_core::{Code, Error, Fault, Result, Status, error::OrFault as _};
use guildhall_sdk::{
    Context as WireContext,
    abi::{flag, kind},
    value::{
        Kind, Map, Value, ValueSerializer,
        wire::{self, JoinAnswer as WireAnswer, Presences},
    },
};
use parking_lot::Mutex;
use prost::Message;
use tokio::runtime::Handle as Io;
use uuid::Uuid;

use super::{
    COULD_NOT_READ, COULD_NOT_RUN, frame::Frame, input_of, library::NativeFunction, raised,
};
use crate::{
    registry::{FunctionId, Target},
    runtime::{
        call::{Argument, Call, Context, ExecutionMode, Input, Output},
        matches::{
            Broadcast, Dispatcher, JoinAnswer, Kicked, LABEL_MAX_BYTES, MatchCall, MatchIdentity,
            MatchInit, MatchMessage, MatchOutput, MatchPresence, MatchScript, MatchStart,
            Recipient, Refusal, Sender, current_fiber,
        },
        pool::ScriptPool,
    },
};

const GONE: Status = Status::new(Code::Unavailable, "match stopped");

/// A match of a native handler, for its thread.
pub(crate) struct NativeMatch {
    instance: Arc<Instance>,
    io: Io,
}

/// A match of a native handler. Its state ends with it, and so with the last call that is on its way
/// also where nobody waits for that.
#[derive(Debug)]
pub(super) struct Instance {
    identity: MatchIdentity,
    dispatcher: Reach,
    about: Mutex<About>,
    release: Release,
}

/// What the handler can do to the match.
struct Reach(Arc<dyn Dispatcher>);

impl std::fmt::Debug for Reach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dispatcher")
    }
}

/// What a match is known by.
#[derive(Debug, Default)]
struct About {
    /// The module's number of it; once it is made.
    number: Option<u64>,
    label: String,
    tick_rate_hz: u8,
}

/// What frees a match's state.
#[derive(Debug)]
struct Release {
    pool: ScriptPool,
    function: FunctionId,
    io: Io,
}

/// What a native handler's function is called with; made by `NativeMatch`.
#[derive(Debug)]
pub struct MatchTurn(Turn);

#[derive(Debug)]
enum Turn {
    Call {
        instance: Arc<Instance>,
        tick: i64,
        call: MatchCall,
    },
    /// The state of the match with this number is to be freed.
    Release(u64),
}

impl NativeMatch {
    /// A match of the handler `target`, not begun.
    pub(crate) fn new(target: &Target, start: MatchStart) -> Self {
        let MatchStart { seat, identity, dispatcher, .. } = start;
        let io = seat.cx().io.clone();
        let release =
            Release { pool: target.pool.clone(), function: target.function, io: io.clone() };
        let about = Mutex::default();
        let instance = Instance { identity, dispatcher: Reach(dispatcher), about, release };
        Self { instance: Arc::new(instance), io }
    }
}

impl MatchScript for NativeMatch {
    fn call(&mut self, tick: i64, call: MatchCall) -> Result<MatchOutput> {
        let Some(fiber) = current_fiber() else { return Err(GONE.into()) };
        let mode = match &call {
            // It may take as long as loading.
            MatchCall::Init { .. } => ExecutionMode::MatchCreate,
            _ => ExecutionMode::Match,
        };
        let mut context = Context { mode, ..Context::default() };
        if let MatchCall::JoinAttempt(attempt) = &call {
            context.caller = attempt.caller.clone();
            context.session_id = Some(attempt.presence.session_id.to_string());
        }
        let Release { pool, function, .. } = &self.instance.release;
        let instance = Arc::clone(&self.instance);
        let input = Input::Match(MatchTurn(Turn::Call { instance, tick, call }));
        let work = pool.call(Call { function: *function, context, input });
        // Nobody waits any more where there is no answer.
        match fiber.wait(&self.io, std::pin::pin!(work)).ok_or(GONE)?? {
            Output::Match(output) => Ok(output),
            _ => Err(Fault::new(COULD_NOT_RUN, "no answer of a match").into()),
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let Some(number) = self.about.get_mut().number else { return };
        let Release { pool, function, io } = &self.release;
        let (pool, function) = (pool.clone(), *function);
        let context = Context { mode: ExecutionMode::Match, ..Context::default() };
        let input = Input::Match(MatchTurn(Turn::Release(number)));
        io.spawn(async move {
            if let Err(error) = pool.call(Call { function, context, input }).await {
                tracing::warn!(%error, "a native module did not free a match that has ended");
            }
        });
    }
}

impl MatchTurn {
    /// Runs the module's function in `frame`.
    ///
    /// # Errors
    /// The function's own, or that what it gave back cannot be read.
    pub(super) fn run(&self, function: &NativeFunction, frame: Frame<'_>) -> Result<MatchOutput> {
        match &self.0 {
            Turn::Call { instance, tick, call } => instance.run(function, frame, *tick, call),
            Turn::Release(number) => {
                let mut input = input_of(kind::MATCH_RELEASE, None);
                input.r#match = *number;
                let code = function.call(&frame, &input);
                if code != 0 {
                    return Err(raised(code, frame.into_answer().unwrap_or_default()).into());
                }
                Ok(MatchOutput::Ended)
            }
        }
    }
}

fn wrong(words: impl Into<Cow<'static, str>>) -> Error {
    Status { code: Code::InvalidArgument, message: words.into(), trace: None }.into()
}

fn read<M: Message + Default>(answer: &[u8]) -> Result<M> {
    M::decode(answer).or_fault(COULD_NOT_READ)
}

impl Instance {
    /// Adds to the context what is known of the match.
    pub(super) fn describe(&self, wire: &mut WireContext) {
        let about = self.about.lock();
        wire.match_id = self.identity.text();
        wire.match_node = self.identity.node.to_string();
        wire.match_label.clone_from(&about.label);
        wire.match_tick_rate = about.tick_rate_hz.into();
    }

    fn run(
        &self,
        function: &NativeFunction,
        frame: Frame<'_>,
        tick: i64,
        call: &MatchCall,
    ) -> Result<MatchOutput> {
        let (kind, payload) = match call {
            MatchCall::Init { params } => (kind::MATCH_INIT, Some(parameters(params.as_ref())?)),
            MatchCall::JoinAttempt(attempt) => {
                let attempt = wire::JoinAttempt {
                    presence: Some(shown(&attempt.presence)),
                    metadata: attempt.metadata.clone().into_iter().collect(),
                };
                (kind::MATCH_JOIN_ATTEMPT, Some(attempt.encode_to_vec()))
            }
            MatchCall::Join(joined) => (kind::MATCH_JOIN, Some(all(joined))),
            MatchCall::Leave(left) => (kind::MATCH_LEAVE, Some(all(left))),
            MatchCall::Loop(messages) => (kind::MATCH_LOOP, Some(sent(messages))),
            MatchCall::Terminate { .. } => (kind::MATCH_TERMINATE, None),
            MatchCall::Signal { data } => (kind::MATCH_SIGNAL, Some(data.clone().into_bytes())),
        };
        let mut input = input_of(kind, payload.as_deref());
        input.tick = tick;
        input.r#match = self.about.lock().number.unwrap_or(0);
        if let MatchCall::Terminate { grace_s } = call {
            input.grace_s = u64::from(*grace_s);
        }
        let frame = frame.of_match(self);
        let code = function.call(&frame, &input);
        let answer = frame.into_answer();
        if code != 0 {
            return Err(raised(code, answer.unwrap_or_default()).into());
        }
        if let MatchCall::Init { .. } = call {
            return self.begun(answer.as_deref());
        }
        let Some(answer) = answer else { return Ok(MatchOutput::Ended) };
        Ok(match call {
            MatchCall::JoinAttempt(_) => {
                let WireAnswer { allow, reason } = read(&answer)?;
                MatchOutput::Answered(JoinAnswer { allow, reason })
            }
            MatchCall::Signal { .. } => {
                MatchOutput::Signalled(String::from_utf8_lossy(&answer).into_owned())
            }
            _ => MatchOutput::Continued,
        })
    }

    /// Takes over what init gave back.
    fn begun(&self, answer: Option<&[u8]>) -> Result<MatchOutput> {
        let answer = answer.ok_or_else(|| wrong("Match initial state must not be nil"))?;
        let wire::MatchInit { tick_rate_hz, label, r#match } = read(answer)?;
        let mut about = self.about.lock();
        // From now on there is something to free.
        about.number = Some(r#match);
        if label.len() > LABEL_MAX_BYTES {
            return Err(wrong("MatchInit returned invalid label, must be 2048 bytes or less"));
        }
        let tick_rate_hz = u8::try_from(tick_rate_hz).ok().filter(|rate| (1..=60).contains(rate));
        about.tick_rate_hz = tick_rate_hz.ok_or_else(|| {
            wrong("MatchInit returned invalid tick rate, must be between 1 and 60")
        })?;
        about.label.clone_from(&label);
        Ok(MatchOutput::Begun(MatchInit { tick_rate_hz: about.tick_rate_hz, label }))
    }
}

/// The parameters of a match as the module reads them, a map.
fn parameters(params: Option<&Argument>) -> Result<Vec<u8>> {
    let Some(params) = params else { return Ok(Map::default().encode_to_vec()) };
    let value = erased_serde::serialize(params.value(), ValueSerializer);
    match value.or_fault(COULD_NOT_RUN)? {
        Value { kind: Some(Kind::Map(map)) } => Ok(map.encode_to_vec()),
        _ => Ok(Map::default().encode_to_vec()),
    }
}

fn shown(presence: &MatchPresence) -> wire::Presence {
    wire::Presence {
        user_id: presence.user_id.to_string(),
        session_id: presence.session_id.to_string(),
        username: presence.username.to_string(),
        node: presence.node.to_string(),
        reason: presence.reason.into(),
    }
}

fn all(presences: &[MatchPresence]) -> Vec<u8> {
    Presences { presences: presences.iter().map(shown).collect() }.encode_to_vec()
}

fn sent(messages: &[MatchMessage]) -> Vec<u8> {
    let message = |message: &MatchMessage| wire::MatchMessage {
        sender: Some(wire::Presence { reason: 0, ..shown(&message.sender) }),
        op_code: message.op_code,
        data: message.data.clone(),
        reliable: message.reliable,
        receive_time_ms: message.receive_time_ms,
    };
    wire::MatchMessages { messages: messages.iter().map(message).collect() }.encode_to_vec()
}

/// Why the match does not do what a module asks for.
#[derive(Debug)]
pub(super) struct Complaint {
    pub code: Code,
    pub text: Cow<'static, str>,
}

impl Complaint {
    const fn of(code: Code, text: &'static str) -> Self {
        Self { code, text: Cow::Borrowed(text) }
    }
}

impl From<Refusal> for Complaint {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal {
            Refusal::Stopped => Code::Unavailable,
            Refusal::DeferredFull => Code::ResourceExhausted,
            Refusal::LabelTooLong => Code::InvalidArgument,
        };
        Self { code, text: refusal.to_string().into() }
    }
}

pub(super) const NO_MATCH: Complaint =
    Complaint::of(Code::FailedPrecondition, "only a match's own functions reach the match");
pub(super) const NO_BROADCAST: Complaint =
    Complaint::of(Code::InvalidArgument, "the broadcast is not whole");

/// A broadcast as the module tells it.
pub(super) struct Told<'a> {
    pub flags: u32,
    pub op_code: i64,
    pub data: &'a [u8],
    pub recipients: Option<&'a [u8]>,
    pub sender: Option<&'a [u8]>,
}

/// The id that `text` is, or what to say otherwise.
fn id(text: &str, otherwise: &'static str) -> Result<Uuid, Complaint> {
    Uuid::try_parse(text).map_err(|_| Complaint::of(Code::InvalidArgument, otherwise))
}

fn presences(bytes: &[u8]) -> Result<Vec<wire::Presence>, Complaint> {
    let read = Presences::decode(bytes);
    let unreadable = |_| Complaint::of(Code::InvalidArgument, "the presences cannot be read");
    read.map(|read| read.presences).map_err(unreadable)
}

const NO_USER: &str = "Presence contains an invalid User ID";
const NO_SESSION: &str = "Presence contains an invalid Session ID";

impl Instance {
    /// What the handler can do to the match; not before it is made.
    fn dispatcher(&self) -> Result<&dyn Dispatcher, Complaint> {
        self.about.lock().number.ok_or(NO_MATCH)?;
        Ok(&*self.dispatcher.0)
    }

    /// A node's name, shared where it is our own.
    fn node(&self, name: String) -> Arc<str> {
        let own = &self.identity.node;
        if name == **own { Arc::clone(own) } else { name.into() }
    }

    /// Sends a message to members.
    ///
    /// # Errors
    /// What is wrong with it, or the match's refusal.
    pub(super) fn broadcast(&self, told: Told<'_>) -> Result<(), Complaint> {
        let dispatcher = self.dispatcher()?;
        let recipients = match told.recipients.map(presences).transpose()? {
            None => None,
            Some(none) if none.is_empty() => return Ok(()),
            Some(some) => Some(self.recipients(some)?),
        };
        let sender = told.sender.map(|sender| {
            let sender = wire::Presence::decode(sender)
                .map_err(|_| Complaint::of(Code::InvalidArgument, "the sender cannot be read"))?;
            Ok::<_, Complaint>(Sender {
                user_id: id(&sender.user_id, "Sender contains an invalid User ID")?,
                session_id: id(&sender.session_id, "Sender contains an invalid Session ID")?,
                username: sender.username.into(),
            })
        });
        dispatcher.broadcast(Broadcast {
            op_code: told.op_code,
            data: Bytes::copy_from_slice(told.data),
            recipients,
            sender: sender.transpose()?,
            reliable: told.flags & flag::UNRELIABLE == 0,
            deferred: told.flags & flag::DEFERRED != 0,
        })?;
        Ok(())
    }

    fn recipients(&self, presences: Vec<wire::Presence>) -> Result<Vec<Recipient>, Complaint> {
        if let [only] = presences.as_slice() {
            // Only of one alone the user is looked at.
            id(&only.session_id, NO_SESSION)?;
            id(&only.user_id, NO_USER)?;
        }
        let recipient = |presence: wire::Presence| {
            let session_id = id(&presence.session_id, NO_SESSION)?;
            Ok(Recipient { session_id, node: self.node(presence.node) })
        };
        presences.into_iter().map(recipient).collect()
    }

    /// Removes members.
    ///
    /// # Errors
    /// What is wrong with them, or the match's refusal.
    pub(super) fn kick(&self, kicked: &[u8]) -> Result<(), Complaint> {
        let dispatcher = self.dispatcher()?;
        let kicked = presences(kicked)?.into_iter().map(|presence| {
            Ok(Kicked {
                user_id: id(&presence.user_id, NO_USER)?,
                session_id: id(&presence.session_id, NO_SESSION)?,
                node: self.node(presence.node),
            })
        });
        let kicked: Vec<_> = kicked.collect::<Result<_, Complaint>>()?;
        dispatcher.kick(kicked)?;
        Ok(())
    }

    /// Changes the label; contexts show it from the next call on.
    ///
    /// # Errors
    /// The match's refusal.
    pub(super) fn update_label(&self, label: &[u8]) -> Result<(), Complaint> {
        let dispatcher = self.dispatcher()?;
        let label = str::from_utf8(label)
            .map_err(|_| Complaint::of(Code::InvalidArgument, "the label is not UTF-8"))?;
        dispatcher.update_label(label).map_err(|refusal| {
            let Complaint { code, text } = refusal.into();
            match refusal {
                Refusal::Stopped => Complaint { code, text },
                _ => Complaint { code, text: format!("error updating match label: {text}").into() },
            }
        })?;
        label.clone_into(&mut self.about.lock().label);
        Ok(())
    }
}
