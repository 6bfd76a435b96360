//! An interpreter that is one match's: it requires the handler's module, and calls its functions.
//!
//! Globals, modules and the state are the match's alone. The context and the dispatcher are one
//! table each for the life of the match, which the handler may write into, as in the reference.
//!
//! Source: Nakama, `server/runtime_lua_match_core.go`: what functions are given, how what they give
//! back is read, and the words of both kinds of errors.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use bytes::Bytes;
use guildhall_core::{Caller, Code, Error, Result, Status};
use uuid::Uuid;

use super::{
    convert::{push_texts, set_text},
    give::Give,
    library::MATCH_FUNCTIONS,
    machine::{Machine, Native, Raise},
    nakama::Asked,
    number,
    program::Shared,
    raw::{Kept, Kind, Stack},
    take::text,
};
use crate::runtime::{
    call::{Argument, ExecutionMode},
    matches::{
        Broadcast, Dispatcher, JoinAnswer, JoinAttempt, Kicked, LABEL_MAX_BYTES, MatchCall,
        MatchIdentity, MatchInit, MatchMessage, MatchOutput, MatchPresence, MatchScript,
        MatchStart, Recipient, Refusal, Sender,
    },
    surroundings::Surroundings,
};

/// What an interpreter knows of its match.
pub(super) struct Side {
    identity: MatchIdentity,
    dispatcher: Arc<dyn Dispatcher>,
    /// The context that all functions but the join attempt are given; once it is made.
    context: RefCell<Option<Kept>>,
    /// What was asked for of the module `nakama`.
    pub(super) asked: Asked,
}

impl Side {
    pub(super) fn new(identity: MatchIdentity, dispatcher: Arc<dyn Dispatcher>) -> Self {
        Self { identity, dispatcher, context: RefCell::new(None), asked: Asked::default() }
    }
}

/// The handler of a match.
struct Handler {
    machine: Box<Machine>,
    /// In the order of [`MATCH_FUNCTIONS`].
    functions: [Kept; 7],
    context: Kept,
    dispatcher: Kept,
    state: Kept,
    /// The file of the handler, for logs.
    file: Rc<str>,
}

/// The handler's functions by their places in [`MATCH_FUNCTIONS`].
#[derive(Clone, Copy)]
enum Function {
    Init,
    JoinAttempt,
    Join,
    Leave,
    Loop,
    Terminate,
    Signal,
}

/// What the dispatcher offers.
static DISPATCHER: [Native; 4] = [
    Native { name: "broadcast_message", run: |machine, stack| broadcast(machine, stack, false) },
    Native {
        name: "broadcast_message_deferred",
        run: |machine, stack| broadcast(machine, stack, true),
    },
    Native { name: "match_kick", run: kick },
    Native { name: "match_label_update", run: update_label },
];

fn wrong(words: impl Into<String>) -> Error {
    Status::of(Code::InvalidArgument, words).into()
}

/// Makes the interpreter of a match; `None` where no module has the handler's name.
pub(super) fn start(
    shared: Arc<Shared>,
    start: MatchStart,
) -> Result<Option<Box<dyn MatchScript>>> {
    let MatchStart { seat, name, identity, dispatcher } = start;
    let side = Side::new(identity, dispatcher);
    let failed = |error| wrong(format!("error loading match module: {error}"));
    let machine = Machine::of_match(shared, seat, side).map_err(failed)?;
    let mut stack = machine.vm.stack();
    let missing = format!("module {name} not found");
    machine.enter(&name, &name);
    stack.push_globals();
    stack.get_name(-1, b"require");
    stack.push_bytes(name.as_bytes());
    if let Err(error) = machine.invoke_match(&mut stack, 1) {
        if error.message().contains(&missing) {
            return Ok(None);
        }
        return Err(wrong(format!("error loading match module: {}", error.message())));
    }
    let module = stack.top();
    if module == 0 || stack.kind(module) != Kind::Table {
        return Err(wrong(
            "match module must return a table containing the match callback functions",
        ));
    }
    let mut functions = [None; MATCH_FUNCTIONS.len()];
    let mut file = None;
    for (kept, function) in functions.iter_mut().zip(MATCH_FUNCTIONS) {
        stack.get_name(module, function.as_bytes());
        if stack.kind(-1) != Kind::Function {
            return Err(wrong(format!("{function} not found or not a function")));
        }
        file = file.or_else(|| stack.defined(stack.top()));
        *kept = Some(stack.keep());
    }
    let Some(functions) = all(functions) else { return Ok(None) };
    stack.cut(0);
    push_context(&mut stack, side_of(&machine), &machine.shared.surroundings);
    let context = stack.keep();
    side_of(&machine).context.replace(Some(context));
    stack.push_table(0, DISPATCHER.len());
    for native in &DISPATCHER {
        stack.push_native(&machine, native);
        stack.set_name(1, native.name.as_bytes());
    }
    let dispatcher = stack.keep();
    stack.push_boolean(false);
    let state = stack.keep();
    // What loading left behind would else stay until as much again is in use.
    machine.vm.collect();
    let file = file.map_or_else(|| Rc::from(name), |place| Rc::from(place.file));
    Ok(Some(Box::new(Handler { machine, functions, context, dispatcher, state, file })))
}

fn all(functions: [Option<Kept>; 7]) -> Option<[Kept; 7]> {
    let [a, b, c, d, e, f, g] = functions;
    Some([a?, b?, c?, d?, e?, f?, g?])
}

/// What the machine knows of its match; every function here is one of a match's machine.
fn side_of(machine: &Machine) -> &Side {
    match &machine.side {
        Some(side) => side,
        None => panic!("no match"),
    }
}

/// The context of a match before its init.
fn push_context(stack: &mut Stack<'_>, side: &Side, surroundings: &Surroundings) {
    stack.push_table(0, 8);
    let table = stack.top();
    push_texts(stack, &surroundings.env);
    stack.set_name(table, b"env");
    set_text(stack, table, "execution_mode", ExecutionMode::Match.name());
    set_text(stack, table, "node", &side.identity.node);
    set_text(stack, table, "version", &surroundings.version);
    set_text(stack, table, "match_id", &side.identity.text());
    set_text(stack, table, "match_node", &side.identity.node);
}

/// Adds an id as text.
fn set_id(stack: &mut Stack<'_>, table: i32, name: &str, id: Uuid) {
    set_text(stack, table, name, id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
}

fn push_presence(stack: &mut Stack<'_>, presence: &MatchPresence, with_reason: bool) {
    stack.push_table(0, 4 + usize::from(with_reason));
    let table = stack.top();
    set_id(stack, table, "user_id", presence.user_id);
    set_id(stack, table, "session_id", presence.session_id);
    set_text(stack, table, "username", &presence.username);
    set_text(stack, table, "node", &presence.node);
    if with_reason {
        stack.push_number(f64::from(presence.reason));
        stack.set_name(table, b"reason");
    }
}

fn push_presences(stack: &mut Stack<'_>, presences: &[MatchPresence]) {
    stack.push_table(presences.len(), 0);
    let list = stack.top();
    for (index, presence) in presences.iter().enumerate() {
        push_presence(stack, presence, true);
        stack.set_index(list, index + 1);
    }
}

#[allow(clippy::cast_precision_loss, reason = "Lua's numbers are floats, as documented")]
fn push_whole(stack: &mut Stack<'_>, number: i64) {
    stack.push_number(number as f64);
}

fn push_messages(stack: &mut Stack<'_>, messages: &[MatchMessage]) {
    stack.push_table(messages.len(), 0);
    let list = stack.top();
    for (index, message) in messages.iter().enumerate() {
        stack.push_table(0, 5);
        let table = stack.top();
        push_presence(stack, &message.sender, false);
        stack.set_name(table, b"sender");
        push_whole(stack, message.op_code);
        stack.set_name(table, b"op_code");
        if !message.data.is_empty() {
            stack.push_bytes(&message.data);
            stack.set_name(table, b"data");
        }
        stack.push_boolean(message.reliable);
        stack.set_name(table, b"reliable");
        push_whole(stack, message.receive_time_ms);
        stack.set_name(table, b"receive_time_ms");
        stack.set_index(list, index + 1);
    }
}

/// Adds to the context at `table` what a join attempt's has besides.
fn add_session(stack: &mut Stack<'_>, table: i32, presence: &MatchPresence, caller: &Caller) {
    set_id(stack, table, "user_id", presence.user_id);
    set_text(stack, table, "username", &presence.username);
    if let Some(user) = &caller.user {
        if !user.vars.is_empty() {
            push_texts(stack, &user.vars);
            stack.set_name(table, b"vars");
        }
        push_whole(stack, user.expires_s);
        stack.set_name(table, b"user_session_exp");
    }
    set_id(stack, table, "session_id", presence.session_id);
    if let Some(ip) = caller.client_ip {
        set_text(stack, table, "client_ip", &ip.to_string());
    }
    if caller.client_port != 0 {
        set_text(stack, table, "client_port", &caller.client_port.to_string());
    }
}

impl MatchScript for Handler {
    fn call(&mut self, tick: i64, call: MatchCall) -> Result<MatchOutput> {
        let mut stack = self.machine.vm.stack();
        stack.cut(0);
        if !stack.reserve(32) {
            return Err(wrong("Too many values for a Lua function."));
        }
        match call {
            MatchCall::Init { params } => self.init(&mut stack, params.as_ref()),
            MatchCall::JoinAttempt(attempt) => self.join_attempt(&mut stack, tick, &attempt),
            MatchCall::Join(joined) => {
                self.begin(&mut stack, Function::Join, tick);
                push_presences(&mut stack, &joined);
                self.turn(&mut stack, Function::Join, "join")
            }
            MatchCall::Leave(left) => {
                self.begin(&mut stack, Function::Leave, tick);
                push_presences(&mut stack, &left);
                self.turn(&mut stack, Function::Leave, "leave")
            }
            MatchCall::Loop(messages) => {
                self.begin(&mut stack, Function::Loop, tick);
                push_messages(&mut stack, &messages);
                self.turn(&mut stack, Function::Loop, "loop")
            }
            MatchCall::Terminate { grace_s } => {
                self.begin(&mut stack, Function::Terminate, tick);
                stack.push_number(f64::from(grace_s));
                self.turn(&mut stack, Function::Terminate, "terminate")
            }
            MatchCall::Signal { data } => self.signal(&mut stack, tick, &data),
        }
    }
}

impl Handler {
    fn push_function(&self, stack: &mut Stack<'_>, function: Function) {
        stack.push_kept(self.functions[function as usize]);
    }

    /// Adds a function and the arguments that most have in common.
    fn begin(&self, stack: &mut Stack<'_>, function: Function, tick: i64) {
        self.push_function(stack, function);
        stack.push_kept(self.context);
        self.go_on(stack, tick);
    }

    fn go_on(&self, stack: &mut Stack<'_>, tick: i64) {
        stack.push_kept(self.dispatcher);
        push_whole(stack, tick);
        stack.push_kept(self.state);
    }

    /// Calls the function at the first place with all that stands above it; afterwards the stack
    /// holds its results.
    fn invoke(&self, stack: &mut Stack<'_>, function: Function) -> Result<()> {
        self.machine.enter_rc(MATCH_FUNCTIONS[function as usize], &self.file);
        let arguments = stack.top() - 1;
        self.machine.invoke_match(stack, arguments)
    }

    /// Takes the state that is the last value and must be the only one left.
    fn keep_state(&self, stack: &mut Stack<'_>, function: &str) -> Result<bool> {
        if matches!(stack.kind(-1), Kind::Nothing | Kind::Nil) {
            return Ok(false);
        }
        if stack.top() > 1 {
            return Err(wrong(format!(
                "Match {function} returned too many values, stopping match"
            )));
        }
        stack.replace_kept(self.state);
        Ok(true)
    }

    fn turn(&self, stack: &mut Stack<'_>, function: Function, name: &str) -> Result<MatchOutput> {
        self.invoke(stack, function)?;
        let goes_on = self.keep_state(stack, name)?;
        Ok(if goes_on { MatchOutput::Continued } else { MatchOutput::Ended })
    }

    fn init(&self, stack: &mut Stack<'_>, params: Option<&Argument>) -> Result<MatchOutput> {
        self.push_function(stack, Function::Init);
        stack.push_kept(self.context);
        match params {
            Some(params) => erased_serde::serialize(params.value(), Give(stack))
                .map_err(|error| wrong(error.to_string()))?,
            None => stack.push_table(0, 0),
        }
        self.invoke(stack, Function::Init)?;
        if stack.kind(-1) != Kind::Text {
            return Err(wrong(
                "match_init returned unexpected third value, must be a label string",
            ));
        }
        if stack.bytes(-1).len() > LABEL_MAX_BYTES {
            return Err(wrong(format!(
                "match_init returned invalid label, must be {LABEL_MAX_BYTES} bytes or less"
            )));
        }
        let label = String::from_utf8_lossy(stack.bytes(-1)).into_owned();
        if stack.kind(-2) != Kind::Number {
            return Err(wrong(
                "match_init returned unexpected second value, must be a tick rate number",
            ));
        }
        let rate = stack.number(-2).trunc();
        if !(1.0..=60.0).contains(&rate) {
            return Err(wrong("match_init returned invalid tick rate, must be between 1 and 60"));
        }
        match stack.kind(-3) {
            Kind::Nothing => {
                return Err(wrong("match_init returned unexpected first value, must be a state"));
            }
            Kind::Nil => return Err(wrong("Match initial state must not be nil")),
            _ => {}
        }
        if stack.top() > 3 {
            return Err(wrong(
                "match_init returned too many arguments, must be: state, tick rate number, label \
                 string",
            ));
        }
        stack.push_kept(self.context);
        let context = stack.top();
        stack.copy(3);
        stack.set_name(context, b"match_label");
        // As given: not cut to a whole number.
        stack.copy(2);
        stack.set_name(context, b"match_tick_rate");
        stack.cut(1);
        stack.replace_kept(self.state);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 60")]
        let tick_rate_hz = rate as u8;
        Ok(MatchOutput::Begun(MatchInit { tick_rate_hz, label }))
    }

    fn join_attempt(
        &self,
        stack: &mut Stack<'_>,
        tick: i64,
        attempt: &JoinAttempt,
    ) -> Result<MatchOutput> {
        let JoinAttempt { presence, caller, metadata } = attempt;
        self.push_function(stack, Function::JoinAttempt);
        stack.push_table(0, 16);
        let context = stack.top();
        stack.push_kept(self.context);
        stack.copy_elements(context);
        add_session(stack, context, presence, caller);
        self.go_on(stack, tick);
        push_presence(stack, presence, false);
        push_texts(stack, metadata);
        self.invoke(stack, Function::JoinAttempt)?;
        let mut reason = String::new();
        match stack.kind(-1) {
            Kind::Nothing => {
                return Err(wrong(
                    "Match join attempt returned too few values, stopping match - expected: \
                     state, join result boolean, optional reject reason string",
                ));
            }
            Kind::Text => {
                reason = String::from_utf8_lossy(stack.bytes(-1)).into_owned();
                stack.pop(1);
            }
            Kind::Boolean => {}
            _ => {
                return Err(wrong(
                    "Match join attempt returned non-boolean join result or non-string reject \
                     reason, stopping match",
                ));
            }
        }
        match stack.kind(-1) {
            Kind::Nothing => {
                return Err(wrong(
                    "Match join attempt returned incorrect or too few values, stopping match - \
                     expected: state, join result boolean, optional reject reason string",
                ));
            }
            Kind::Boolean => {}
            _ => {
                return Err(wrong(
                    "Match join attempt returned non-boolean join result, stopping match",
                ));
            }
        }
        let allow = stack.boolean(-1);
        stack.pop(1);
        let goes_on = self.keep_state(stack, "join attempt")?;
        let answer = JoinAnswer { allow, reason };
        Ok(if goes_on { MatchOutput::Answered(answer) } else { MatchOutput::Ended })
    }

    fn signal(&self, stack: &mut Stack<'_>, tick: i64, data: &str) -> Result<MatchOutput> {
        self.begin(stack, Function::Signal, tick);
        stack.push_bytes(data.as_bytes());
        self.invoke(stack, Function::Signal)?;
        let answer = match stack.kind(-1) {
            Kind::Text => String::from_utf8_lossy(stack.bytes(-1)).into_owned(),
            Kind::Nil => String::new(),
            _ => return Err(wrong("Match signal returned non-string result, stopping match")),
        };
        stack.pop(1);
        let goes_on = self.keep_state(stack, "signal")?;
        Ok(if goes_on { MatchOutput::Signalled(answer) } else { MatchOutput::Ended })
    }
}

/// A refusal of the match's, as its handler sees it.
fn refused(what: &str, refusal: Refusal) -> Raise {
    Raise::Text(match refusal {
        Refusal::Stopped => refusal.to_string(),
        Refusal::DeferredFull | Refusal::LabelTooLong => format!("{what}: {refusal}"),
    })
}

/// The value at `index` if it is one of `kind`, nothing for nil.
fn optional(
    stack: &Stack<'_>,
    index: i32,
    kind: Kind,
    function: &str,
) -> Result<Option<i32>, Raise> {
    match stack.kind(index) {
        Kind::Nothing | Kind::Nil => Ok(None),
        got if got == kind => Ok(Some(index)),
        got => {
            let problem = format!("{} expected, got {}", kind.name(), got.name());
            Err(Raise::argument(usize::try_from(index).unwrap_or(0), function, &problem))
        }
    }
}

/// `broadcast_message(op_code, data, presences, sender, reliable)`.
fn broadcast(machine: &Machine, stack: &mut Stack<'_>, deferred: bool) -> Result<i32, Raise> {
    let name = DISPATCHER[usize::from(deferred)].name;
    let side = side_of(machine);
    stack.reserve(16);
    if stack.kind(1) != Kind::Number {
        let problem = format!("number expected, got {}", stack.kind(1).name());
        return Err(Raise::argument(1, name, &problem));
    }
    let op_code = number::cut(stack.number(1));
    let data = match stack.kind(2) {
        Kind::Nothing | Kind::Nil => Bytes::new(),
        Kind::Text => Bytes::copy_from_slice(stack.bytes(2)),
        _ => return Err(Raise::argument(2, name, "expects data to be a string or nil")),
    };
    let recipients = match optional(stack, 3, Kind::Table, name)? {
        None => None,
        Some(list) => match recipients(side, stack, list, name)? {
            none if none.is_empty() => return Ok(0),
            some => Some(some),
        },
    };
    let sender = match optional(stack, 4, Kind::Table, name)? {
        None => None,
        Some(table) => Some(sender(stack, table, name)?),
    };
    let reliable = match optional(stack, 5, Kind::Boolean, name)? {
        None => true,
        Some(index) => stack.boolean(index),
    };
    let broadcast = Broadcast { op_code, data, recipients, sender, reliable, deferred };
    let sent = side.dispatcher.broadcast(broadcast);
    sent.map_err(|refusal| refused("error deferring message broadcast", refusal))?;
    Ok(0)
}

/// What a script says of a presence, as far as it is there.
#[derive(Default)]
struct Told {
    user_id: Option<Uuid>,
    session_id: Option<Uuid>,
    node: Option<Arc<str>>,
}

/// Which parts of a presence are wanted, and what is said where they are missing.
struct Wanted {
    user: bool,
    missing: &'static str,
}

/// Goes through the presences of the table at `list`.
fn each_presence(
    side: &Side,
    stack: &mut Stack<'_>,
    list: i32,
    function: &str,
    wanted: &Wanted,
    mut found: impl FnMut(Told),
) -> Result<(), Raise> {
    let index = usize::try_from(list).unwrap_or(0);
    let refuse = |problem: &str| Raise::argument(index, function, problem);
    stack.push_nil();
    while stack.next(list) {
        let table = stack.top();
        if stack.kind(table) != Kind::Table {
            return Err(refuse("expects a valid set of presences"));
        }
        let mut told = Told::default();
        if wanted.user {
            stack.get_name(table, b"user_id");
            if stack.kind(-1) != Kind::Nil {
                told.user_id = id(stack, -1);
                if told.user_id.is_none() {
                    return Err(refuse("expects each presence to have a valid user_id"));
                }
            }
            stack.pop(1);
        }
        stack.get_name(table, b"session_id");
        if stack.kind(-1) != Kind::Nil {
            told.session_id = id(stack, -1);
            if told.session_id.is_none() {
                return Err(refuse("expects each presence to have a valid session_id"));
            }
        }
        stack.pop(1);
        stack.get_name(table, b"node");
        match stack.kind(-1) {
            Kind::Nil => {}
            Kind::Text => told.node = node(side, stack.bytes(-1)),
            _ => return Err(refuse("expects node to be string")),
        }
        stack.pop(1);
        let nobody = |id: Option<Uuid>| id.is_none_or(|id| id.is_nil());
        if nobody(told.session_id) || told.node.is_none() || wanted.user && nobody(told.user_id) {
            return Err(refuse(wanted.missing));
        }
        found(told);
        stack.pop(1);
    }
    Ok(())
}

/// A node's name, shared where it is our own; `None` for none.
fn node(side: &Side, name: &[u8]) -> Option<Arc<str>> {
    let own = &side.identity.node;
    if name == own.as_bytes() {
        return Some(Arc::clone(own));
    }
    (!name.is_empty()).then(|| Arc::from(String::from_utf8_lossy(name)))
}

/// The id that the value at `index` is the text of.
fn id(stack: &Stack<'_>, index: i32) -> Option<Uuid> {
    Uuid::try_parse_ascii(stack.bytes(index)).ok()
}

fn recipients(
    side: &Side,
    stack: &mut Stack<'_>,
    list: i32,
    function: &str,
) -> Result<Vec<Recipient>, Raise> {
    let count = stack.length(list);
    let mut all = Vec::with_capacity(count.min(1024));
    if count == 0 {
        return Ok(all);
    }
    let wanted = Wanted {
        user: false,
        missing: "expects each presence to have a valid session_id and node",
    };
    each_presence(side, stack, list, function, &wanted, |told| {
        if let (Some(session_id), Some(node)) = (told.session_id, told.node) {
            all.push(Recipient { session_id, node });
        }
    })?;
    if all.len() == 1 {
        // Only of one alone the user is looked at.
        stack.get_index(list, 1);
        let table = stack.top();
        if stack.kind(table) != Kind::Table {
            return Err(Raise::argument(3, function, "expects each presence to be non-nil"));
        }
        stack.get_name(table, b"user_id");
        if id(stack, -1).is_none() {
            let problem = "expects each presence to have a valid user_id";
            return Err(Raise::argument(3, function, problem));
        }
        stack.pop(2);
    }
    Ok(all)
}

fn sender(stack: &mut Stack<'_>, table: i32, function: &str) -> Result<Sender, Raise> {
    let refuse = |problem: &str| Raise::argument(4, function, problem);
    let mut part = |name: &[u8], problem: &str| {
        stack.get_name(table, name);
        let id = match stack.kind(-1) {
            Kind::Nil => None,
            _ => Some(id(stack, -1).ok_or_else(|| refuse(problem))?),
        };
        stack.pop(1);
        Ok(id)
    };
    let user_id = part(b"user_id", "expects presence to have a valid user_id")?;
    let session_id = part(b"session_id", "expects presence to have a valid session_id")?;
    stack.get_name(table, b"username");
    let username = match stack.kind(-1) {
        Kind::Nil => None,
        Kind::Text => Some(Arc::from(String::from_utf8_lossy(stack.bytes(-1)))),
        _ => return Err(refuse("expects username to be string")),
    };
    stack.pop(1);
    match (user_id, session_id, username) {
        (Some(user_id), Some(session_id), Some(username)) => {
            Ok(Sender { user_id, session_id, username })
        }
        _ => Err(refuse("expects presence to have a valid user_id, session_id, and username")),
    }
}

/// `match_kick(presences)`.
fn kick(machine: &Machine, stack: &mut Stack<'_>) -> Result<i32, Raise> {
    const NAME: &str = "match_kick";
    let side = side_of(machine);
    stack.reserve(16);
    let Some(list) = optional(stack, 1, Kind::Table, NAME)? else { return Ok(0) };
    if stack.length(list) == 0 {
        return Ok(0);
    }
    let mut kicked = Vec::new();
    let wanted = Wanted {
        user: true,
        missing: "expects each presence to have a valid user_id, session_id, and node",
    };
    each_presence(side, stack, list, NAME, &wanted, |told| {
        if let (Some(user_id), Some(session_id), Some(node)) =
            (told.user_id, told.session_id, told.node)
        {
            kicked.push(Kicked { user_id, session_id, node });
        }
    })?;
    side.dispatcher.kick(kicked).map_err(|refusal| refused("error kicking", refusal))?;
    Ok(0)
}

/// `match_label_update(label)`.
fn update_label(machine: &Machine, stack: &mut Stack<'_>) -> Result<i32, Raise> {
    let side = side_of(machine);
    stack.reserve(16);
    let label = match stack.kind(1) {
        Kind::Nothing | Kind::Nil => Vec::new(),
        Kind::Text | Kind::Number => text(stack, 1).unwrap_or_default(),
        kind => {
            let problem = format!("string expected, got {}", kind.name());
            return Err(Raise::argument(1, "match_label_update", &problem));
        }
    };
    let changed = side.dispatcher.update_label(&String::from_utf8_lossy(&label));
    changed.map_err(|refusal| refused("error updating match label", refusal))?;
    if let Some(context) = *side.context.borrow() {
        stack.push_kept(context);
        let context = stack.top();
        stack.push_bytes(&label);
        stack.set_name(context, b"match_label");
    }
    Ok(0)
}
