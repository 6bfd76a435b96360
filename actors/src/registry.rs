//! What modules registered, and which of them answers.
//!
//! The [`Registry`] actor owns all registrations and publishes [`Routes`], an immutable snapshot
//! that edges read on every call without a message.

pub mod hooks;

use std::{
    collections::{BTreeMap, HashMap, HashSet, hash_map::Entry},
    fmt,
    sync::Arc,
    time::Instant,
};

use actix::{Actor, Handler, Message, MessageResult};
use arc_swap::ArcSwap;
use guildhall_core::{Code, Error, Result, Status, config::Config};
use guildhall_proto::realtime::Envelope;

use crate::{
    cx::Cx,
    endpoint::{Endpoint, EndpointVisitor},
    envelope::{SocketMessage, SocketMessageVisitor},
    host::Language,
    metrics::{Calls, Metrics, Transport},
    runtime::{
        call::{Argument, Call, Context, ExecutionMode, Input, Output, Wire},
        matches::MatchHandlers,
        pool::ScriptPool,
    },
    tables,
};

/// What a module can register for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are the registration functions'")]
pub enum Point {
    Rpc,
    Before,
    After,
    RealtimeBefore,
    RealtimeAfter,
    Match,
    MatchmakerMatched,
    MatchmakerOverride,
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

impl Point {
    /// What it is, in words for logs.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Rpc => "RPC",
            Self::Before => "before hook",
            Self::After => "after hook",
            Self::RealtimeBefore => "realtime before hook",
            Self::RealtimeAfter => "realtime after hook",
            Self::Match => "match",
            Self::MatchmakerMatched => "matchmaker matched",
            Self::MatchmakerOverride => "matchmaker override",
            Self::MatchmakerProcessor => "matchmaker processor",
            Self::TournamentEnd => "tournament end",
            Self::TournamentReset => "tournament reset",
            Self::LeaderboardReset => "leaderboard reset",
            Self::StorageIndex => "storage index",
            Self::StorageIndexFilter => "storage index filter",
            Self::PurchaseNotificationApple => "Apple purchase notification",
            Self::SubscriptionNotificationApple => "Apple subscription notification",
            Self::PurchaseNotificationGoogle => "Google purchase notification",
            Self::SubscriptionNotificationGoogle => "Google subscription notification",
            Self::Event => "event",
            Self::EventSessionStart => "session start event",
            Self::EventSessionEnd => "session end event",
            Self::Shutdown => "shutdown",
        }
    }
}

/// A function of a loaded module, as its runtime numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FunctionId(pub u32);

/// One registration by a module.
#[derive(Clone, Debug)]
pub struct Registration {
    /// What for.
    pub point: Point,
    /// Which: an RPC id or API name in lower case, a match or index name; empty for single points.
    pub name: String,
    /// The function that answers.
    pub function: FunctionId,
    /// What was declared besides, for points that carry data (a storage index).
    pub definition: Option<serde_json::Value>,
    /// The module file that registered it, relative to the runtime path.
    pub module: String,
}

/// A function that answers a hook or an RPC, and the pool that runs it.
#[derive(Clone)]
pub struct Target {
    /// The module's language.
    pub language: Language,
    /// The function.
    pub function: FunctionId,
    /// The module file.
    pub module: Arc<str>,
    /// Where it runs.
    pub pool: ScriptPool,
    /// Where its calls are recorded: by [`before`](Self::before) and [`after`](Self::after)
    /// themselves, for an RPC by the edge that serves it.
    pub calls: Arc<Calls>,
    /// Where those of an RPC over a socket are recorded.
    pub socket_calls: Arc<Calls>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}#{}", self.language.name(), self.module, self.function.0)
    }
}

/// What the before hook of a socket message gave back.
#[derive(Debug)]
pub enum Hooked {
    /// The message, changed or not.
    Envelope(Box<Envelope>),
    /// Nothing: the message is disabled.
    Nothing,
    /// What is no envelope.
    Unreadable {
        /// Whether it is a table or an object at least.
        object: bool,
        /// What the client is told; code 13.
        error: Error,
    },
}

const COULD_NOT_COMPLETE: Status =
    Status::new(Code::Internal, "Could not complete runtime Before function.");

impl Target {
    /// Runs the before hook of `E`: the request as the hook left it, or `None` where it gave
    /// nothing back.
    ///
    /// # Errors
    /// The hook's own, or code 13 where what it gave back is not such a request.
    pub async fn before<E: Endpoint>(
        &self,
        context: Context,
        request: &E::Request,
    ) -> Result<Option<E::Request>> {
        let request = if E::HAS_INPUT { Some(wire::<E::Request>(request)?) } else { None };
        match self.hook(context, Input::Before { request }).await? {
            Output::Message(bytes) => prost::Message::decode(bytes.as_slice())
                .map(Some)
                .map_err(|error| self.unreadable(&error.to_string())),
            Output::Unreadable { cause, .. } => Err(self.unreadable(&cause)),
            _ => Ok(None),
        }
    }

    /// Says what is wrong with what a before hook gave back; what the client is told.
    fn unreadable(&self, cause: &str) -> Error {
        tracing::warn!(hook = ?self, cause, "a before hook gave back what is not such a message");
        COULD_NOT_COMPLETE.into()
    }

    /// Runs the after hook of `E`.
    ///
    /// # Errors
    /// The hook's own; for the log only.
    pub async fn after<E: Endpoint>(
        &self,
        context: Context,
        response: &E::Response,
        request: &E::Request,
    ) -> Result<()> {
        let response = Some(wire::<E::Response>(response)?);
        let request = if E::HAS_INPUT { Some(wire::<E::Request>(request)?) } else { None };
        self.hook(context, Input::After { response, request }).await.map(drop)
    }

    /// Runs the before hook of a socket message.
    ///
    /// # Errors
    /// The hook's own.
    pub async fn realtime_before(&self, context: Context, envelope: &Envelope) -> Result<Hooked> {
        let request = Some(wire::<Envelope>(envelope)?);
        Ok(match self.hook(context, Input::Before { request }).await? {
            Output::Message(bytes) => match prost::Message::decode(bytes.as_slice()) {
                Ok(envelope) => Hooked::Envelope(Box::new(envelope)),
                Err(error) => {
                    Hooked::Unreadable { object: true, error: self.unreadable(&error.to_string()) }
                }
            },
            Output::Unreadable { object, cause } => {
                Hooked::Unreadable { object, error: self.unreadable(&cause) }
            }
            _ => Hooked::Nothing,
        })
    }

    /// Runs the after hook of a socket message; `answer` is what the client got, if anything.
    ///
    /// # Errors
    /// The hook's own; for the log only.
    pub async fn realtime_after(
        &self,
        context: Context,
        answer: Option<&Envelope>,
        envelope: &Envelope,
    ) -> Result<()> {
        let response = answer.map(wire::<Envelope>).transpose()?;
        let request = Some(wire::<Envelope>(envelope)?);
        self.hook(context, Input::After { response, request }).await.map(drop)
    }

    /// Calls a function with values of the server's: what it gave back, or `None` for nothing.
    ///
    /// # Errors
    /// What it raised, or why it could not be called.
    pub async fn invoke(
        &self,
        mode: ExecutionMode,
        arguments: Vec<Argument>,
    ) -> Result<Option<serde_json::Value>> {
        let context = Context { mode, ..Context::default() };
        match self.hook(context, Input::Plain { arguments }).await? {
            Output::Value(value) => Ok(Some(value)),
            _ => Ok(None),
        }
    }

    async fn hook(&self, context: Context, input: Input) -> Result<Output> {
        let begin = Instant::now();
        let result = self.pool.call(Call { function: self.function, context, input }).await;
        let code = result.as_ref().map_or_else(Error::code, |_| Code::Ok);
        self.calls.record(code, begin.elapsed(), 0, 0);
        result
    }
}

fn wire<M: crate::endpoint::Message>(message: &M) -> Result<Wire> {
    let descriptor = M::descriptor()
        .ok_or_else(|| Error::from(Status::of(Code::Internal, "message without a descriptor")))?;
    Ok(Wire { descriptor, bytes: message.encode_to_vec() })
}

/// The snapshot that every call reads. Looking something up copies nothing and allocates nothing.
#[derive(Debug, Default)]
pub struct Routes {
    generation: u64,
    rpc: HashMap<String, Target>,
    before: HashMap<&'static str, Target>,
    after: HashMap<&'static str, Target>,
    realtime_before: HashMap<&'static str, Target>,
    realtime_after: HashMap<&'static str, Target>,
    events: HashMap<Point, Vec<Target>>,
    single: HashMap<Point, Target>,
    index_filters: HashMap<String, Target>,
    matches: MatchHandlers,
    indexes: Vec<(String, serde_json::Value)>,
}

impl Routes {
    /// The first publication, with nothing but these handlers of matches.
    #[cfg(test)]
    pub(crate) fn with_matches(matches: MatchHandlers) -> Self {
        Self { generation: 1, matches, ..Self::default() }
    }

    /// Which publication this is; 0 before any.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The function behind RPC `id` (lower case).
    pub fn rpc(&self, id: &str) -> Option<&Target> {
        self.rpc.get(id)
    }

    /// Every RPC id (lower case), in no order.
    pub fn rpc_ids(&self) -> impl Iterator<Item = &str> {
        self.rpc.keys().map(String::as_str)
    }

    /// The before hook of the endpoint with this published name.
    pub fn before(&self, endpoint: &'static str) -> Option<&Target> {
        self.before.get(endpoint)
    }

    /// The after hook of the endpoint with this published name.
    pub fn after(&self, endpoint: &'static str) -> Option<&Target> {
        self.after.get(endpoint)
    }

    /// The before hook of the socket message with this published name.
    pub fn realtime_before(&self, message: &'static str) -> Option<&Target> {
        self.realtime_before.get(message)
    }

    /// The after hook of the socket message with this published name.
    pub fn realtime_after(&self, message: &'static str) -> Option<&Target> {
        self.realtime_after.get(message)
    }

    /// The function registered for a point that has no names, such as [`Point::TournamentEnd`];
    /// called with [`Target::invoke`].
    pub fn single(&self, point: Point) -> Option<&Target> {
        self.single.get(&point)
    }

    /// The function that decides what of its collection the storage index `name` takes up; called
    /// with [`Target::invoke`], on interpreters of its own, since calls of modules wait for it.
    pub fn storage_index_filter(&self, name: &str) -> Option<&Target> {
        self.index_filters.get(name)
    }

    /// The handlers of authoritative matches.
    pub fn match_handlers(&self) -> &MatchHandlers {
        &self.matches
    }

    /// The storage indexes that modules declared: name and definition, in the order of names.
    pub fn storage_indexes(&self) -> &[(String, serde_json::Value)] {
        &self.indexes
    }

    /// The functions that are told of an event, in the order of their registration: of every custom
    /// one ([`Point::Event`]), of the start or of the end of sessions.
    pub fn events(&self, point: Point) -> &[Target] {
        self.events.get(&point).map_or(&[], Vec::as_slice)
    }
}

/// Where the current [`Routes`] are read; cheap to clone.
pub type Published = Arc<ArcSwap<Routes>>;

/// What became of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It answers.
    Answers,
    /// Another registration for the same answers in its place.
    Superseded,
    /// Nothing of the server calls it yet.
    Unserved,
    /// The server's API has nothing of that name.
    Unknown,
}

/// A registration and what became of it: a row of [`Status`](GetStatus)'s answer.
#[derive(Clone, Debug)]
pub struct Registered {
    /// The module's language.
    pub language: Language,
    /// The registration. The name of a hook is the published one, where there is one.
    pub registration: Registration,
    /// What became of it.
    pub standing: Standing,
}

impl fmt::Display for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Registration { point, name, module, .. } = &self.registration;
        write!(f, "{}", point.words())?;
        if !name.is_empty() {
            write!(f, " {name}")?;
        }
        write!(f, " ({module})")
    }
}

/// The modules of one language, loaded.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What they registered, in order.
    pub registrations: Vec<Registration>,
    /// Where they run.
    pub pool: ScriptPool,
}

/// Puts `loaded` in the place of what these languages had registered, and publishes.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Register {
    /// One for each language.
    pub loaded: Vec<Loaded>,
}

/// Asks for all registrations, by precedence and in order.
#[derive(Debug, Message)]
#[rtype(result = "Vec<Registered>")]
pub struct GetStatus;

/// The actor that owns all registrations.
#[derive(Debug)]
pub struct Registry {
    published: Published,
    metrics: Arc<Metrics>,
    generation: u64,
    loaded: BTreeMap<Language, Loaded>,
    status: Vec<Registered>,
}

impl Registry {
    /// A registry that publishes in `cx.routes`; nothing is registered yet.
    pub fn new(cx: &Cx) -> Self {
        Self {
            published: Arc::clone(&cx.routes),
            metrics: Arc::clone(&cx.metrics),
            generation: 0,
            loaded: BTreeMap::new(),
            status: Vec::new(),
        }
    }

    fn register(&mut self, loaded: Vec<Loaded>) {
        for loaded in loaded {
            self.metrics.watch(loaded.pool.watch());
            self.loaded.insert(loaded.pool.language(), loaded);
        }
        self.generation += 1;
        let served = Served::of_tables();
        let (routes, status) = resolve(self.generation, &self.loaded, &served, &self.metrics);
        self.status = status;
        self.published.store(Arc::new(routes));
        self.tell();
    }

    /// Says once what was registered, and what of it nothing calls.
    fn tell(&self) {
        let list = |standing| {
            let rows = self.status.iter().filter(|row| row.standing == standing);
            rows.map(ToString::to_string).collect::<Vec<_>>()
        };
        tracing::info!(
            generation = self.generation,
            answering = list(Standing::Answers).len(),
            superseded = list(Standing::Superseded).len(),
            "modules registered"
        );
        let (unserved, unknown) = (list(Standing::Unserved), list(Standing::Unknown));
        if !unserved.is_empty() || !unknown.is_empty() {
            tracing::warn!(
                not_served_yet = unserved.join(", "),
                unknown = unknown.join(", "),
                "registrations that are never called"
            );
        }
    }
}

impl Actor for Registry {
    type Context = actix::Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        // The pools end with the last routes that lead to them.
        self.published.store(Arc::default());
    }
}

impl Handler<Register> for Registry {
    type Result = ();

    fn handle(&mut self, message: Register, _: &mut Self::Context) {
        self.register(message.loaded);
    }
}

impl Handler<GetStatus> for Registry {
    type Result = MessageResult<GetStatus>;

    fn handle(&mut self, _: GetStatus, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.status.clone())
    }
}

/// The published names of endpoints and socket messages with hooks that are served. No name is both.
struct Served(HashSet<&'static str>);

impl Served {
    fn of_tables() -> Self {
        let mut served = Self(HashSet::new());
        tables::each_endpoint(&mut served);
        tables::each_socket_message(&mut served);
        served
    }
}

impl EndpointVisitor for Served {
    fn visit<E: Endpoint>(&mut self) {
        if E::HOOKS {
            self.0.insert(E::NAME);
        }
    }
}

impl SocketMessageVisitor for Served {
    fn visit<M: SocketMessage>(&mut self) {
        if M::HOOKS {
            self.0.insert(M::NAME);
        }
    }
}

/// What would become of these registrations, without publishing them.
pub(crate) fn preview(loaded: Vec<Loaded>) -> Vec<Registered> {
    let by_language = loaded.into_iter().map(|loaded| (loaded.pool.language(), loaded)).collect();
    let metrics = Metrics::new(&Config::default());
    resolve(0, &by_language, &Served::of_tables(), &metrics).1
}

/// Resolves all registrations: native before Lua before JavaScript. Of several in one language for
/// the same thing the last counts, in JavaScript the first. Events go to all.
///
/// Source: Nakama, `NewRuntime`.
fn resolve(
    generation: u64,
    loaded: &BTreeMap<Language, Loaded>,
    served: &Served,
    metrics: &Metrics,
) -> (Routes, Vec<Registered>) {
    let mut routes = Routes { generation, ..Routes::default() };
    let mut status = Vec::new();
    // The row that answers for a point and name.
    let mut answering: HashMap<(Point, String), (usize, Target)> = HashMap::new();
    for (&language, Loaded { registrations, pool }) in loaded {
        for registration in registrations {
            let (name, standing) = standing(registration, served);
            let mut registration = registration.clone();
            registration.name = name;
            let row = status.len();
            let (calls, socket_calls) = calls_of(&registration, metrics);
            let target = Target {
                language,
                function: registration.function,
                module: registration.module.as_str().into(),
                pool: pool.clone(),
                calls,
                socket_calls,
            };
            let key = (registration.point, registration.name.clone());
            status.push(Registered { language, registration, standing });
            if standing != Standing::Answers {
                continue;
            }
            if let Point::Event | Point::EventSessionStart | Point::EventSessionEnd = key.0 {
                routes.events.entry(key.0).or_default().push(target);
                continue;
            }
            match answering.entry(key) {
                Entry::Vacant(entry) => drop(entry.insert((row, target))),
                Entry::Occupied(entry)
                    if entry.get().1.language != language || language == Language::JavaScript =>
                {
                    status[row].standing = Standing::Superseded;
                }
                Entry::Occupied(mut entry) => {
                    let (before, _) = entry.insert((row, target));
                    status[before].standing = Standing::Superseded;
                }
            }
        }
    }
    let mut filters: HashMap<Language, ScriptPool> = HashMap::new();
    let (mut native, mut javascript) = (HashMap::new(), HashMap::new());
    let mut matches: Option<ScriptPool> = None;
    for ((point, name), (row, target)) in answering {
        match (point, hooks::request(&name)) {
            (Point::Rpc, _) => drop(routes.rpc.insert(name, target)),
            (Point::Before, Some(name)) => drop(routes.before.insert(name, target)),
            (Point::After, Some(name)) => drop(routes.after.insert(name, target)),
            (Point::RealtimeBefore, _) => {
                if let Some(name) = hooks::realtime(&name) {
                    routes.realtime_before.insert(name, target);
                }
            }
            (Point::RealtimeAfter, _) => {
                if let Some(name) = hooks::realtime(&name) {
                    routes.realtime_after.insert(name, target);
                }
            }
            (Point::Match, _) => match target.language {
                Language::Native => {
                    let pool = matches.get_or_insert_with(|| target.pool.for_matches()).clone();
                    native.insert(name, Target { pool, ..target });
                }
                Language::JavaScript => drop(javascript.insert(name, target)),
                // Any module can be a handler, also one that is not whole: it says what it lacks.
                Language::Lua => {}
            },
            (Point::StorageIndex, _) => {
                let definition = status[row].registration.definition.clone();
                routes.indexes.push((name, definition.unwrap_or_default()));
            }
            (Point::StorageIndexFilter, _) => {
                let beside = filters.entry(target.language);
                let pool = beside.or_insert_with(|| target.pool.beside()).clone();
                routes.index_filters.insert(name, Target { pool, ..target });
            }
            // `standing` lets nothing else through.
            (point, _) => drop(routes.single.insert(point, target)),
        }
    }
    routes.indexes.sort_by(|a, b| a.0.cmp(&b.0));
    let lua = loaded.get(&Language::Lua).map(|loaded| loaded.pool.clone());
    routes.matches = MatchHandlers::new(native, lua, javascript);
    (routes, status)
}

/// Where the calls of what `registration` names are recorded, and those over a socket.
fn calls_of(registration: &Registration, metrics: &Metrics) -> (Arc<Calls>, Arc<Calls>) {
    let name = &registration.name;
    let calls = match registration.point {
        Point::Rpc => {
            let over = |transport| metrics.rpc(transport, name);
            return (over(Transport::ApiRpc), over(Transport::SocketRpc));
        }
        Point::Before => metrics.before(name),
        Point::After => metrics.after(name),
        _ => Arc::default(),
    };
    (calls, Arc::default())
}

/// The name under which a registration is known, and whether anything calls it.
fn standing(registration: &Registration, served: &Served) -> (String, Standing) {
    let name = &registration.name;
    match registration.point {
        Point::Rpc => (name.to_lowercase(), Standing::Answers),
        Point::Before | Point::After => match hooks::request(name) {
            Some(name) if served.0.contains(name) => (name.to_owned(), Standing::Answers),
            Some(name) => (name.to_owned(), Standing::Unserved),
            None => (name.clone(), Standing::Unknown),
        },
        Point::RealtimeBefore | Point::RealtimeAfter => match hooks::realtime(name) {
            Some(name) if served.0.contains(name) => (name.to_owned(), Standing::Answers),
            Some(name) => (name.to_owned(), Standing::Unserved),
            None => (name.clone(), Standing::Unknown),
        },
        Point::Event
        | Point::EventSessionStart
        | Point::EventSessionEnd
        | Point::TournamentEnd
        | Point::TournamentReset
        | Point::LeaderboardReset
        | Point::StorageIndex
        | Point::StorageIndexFilter
        | Point::PurchaseNotificationApple
        | Point::SubscriptionNotificationApple
        | Point::PurchaseNotificationGoogle
        | Point::SubscriptionNotificationGoogle
        | Point::Match
        | Point::MatchmakerMatched
        | Point::MatchmakerOverride
        | Point::MatchmakerProcessor => (name.clone(), Standing::Answers),
        Point::Shutdown => (name.clone(), Standing::Unserved),
    }
}

#[cfg(test)]
mod tests;
