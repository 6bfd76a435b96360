//! What is declared, against the committed lists of the published API (`tests/published/`).
//!
//! Every published endpoint is served. Host functions that nothing serves yet stand in [`NOT_BUILT`],
//! and only there: a capability that is added takes its names out of that list.

use std::collections::{BTreeMap, BTreeSet};

use guildhall_actors::{
    cx::Cx,
    endpoint::{Auth, Body, Endpoint, EndpointVisitor},
    host::{HostFunction, Language, Origin},
    registry::hooks,
    runtime::{call::Context, script::javascript_name},
    tables::{HOST_FUNCTIONS, each_endpoint},
};
use prost::Name;
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor, value::Error},
    forward_to_deserialize_any,
};

use crate::{check, not_built::NOT_BUILT};

/// Host functions of the published list that belong to the interpreters, since they name script
/// functions, or are what the language itself has elsewhere.
const OF_THE_INTERPRETERS: &[&str] = &[
    "get_context",
    "json_decode",
    "json_encode",
    "logger_debug",
    "logger_error",
    "logger_info",
    "logger_warn",
    "register_leaderboard_reset",
    "register_matchmaker_matched",
    "register_req_after",
    "register_req_before",
    "register_rpc",
    "register_rt_after",
    "register_rt_before",
    "register_shutdown",
    "register_storage_index",
    "register_storage_index_filter",
    "register_tournament_end",
    "register_tournament_reset",
    "run_once",
];

/// The published endpoint that `src/http/rpc.rs` serves, and its name of the gRPC method.
const RPC: &str = "RpcFunc";

/// A route of the published API.
#[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Route {
    name: String,
    verb: String,
    path: String,
    /// `none`, `session`, `server_key`, or for RPCs `session or http_key`.
    auth: String,
    /// Nothing, `*` for the whole request, or a field of it.
    body: Option<String>,
    request: String,
    response: String,
    hooks: bool,
}

/// A host function of the published API.
#[derive(Deserialize)]
struct Function {
    name: String,
    /// In the order of Lua.
    parameters: Vec<String>,
    lua: bool,
    /// The name in JavaScript, where it has the function.
    javascript: Option<String>,
    /// The order of JavaScript, where it is another.
    javascript_order: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Hooks {
    requests: Vec<String>,
    realtime: Vec<String>,
}

fn routes() -> Vec<Route> {
    serde_json::from_str(include_str!("../published/rest.json")).unwrap()
}

fn functions() -> BTreeMap<String, Function> {
    let list: Vec<Function> =
        serde_json::from_str(include_str!("../published/host_functions.json")).unwrap();
    list.into_iter().map(|function| (function.name.clone(), function)).collect()
}

/// The names of all published endpoints.
pub fn endpoint_names() -> BTreeSet<String> {
    routes().into_iter().map(|route| route.name).filter(|name| name != RPC).collect()
}

/// The routes of every declared endpoint.
#[derive(Default)]
struct Declared {
    routes: Vec<Route>,
    wrong: Vec<String>,
}

impl EndpointVisitor for Declared {
    fn visit<E: Endpoint>(&mut self) {
        let request = E::Request::full_name();
        if E::HAS_INPUT == (request == "google.protobuf.Empty") {
            self.wrong.push(format!(
                "{}: input is {}, its request {request}",
                E::NAME,
                E::HAS_INPUT
            ));
        }
        for (verb, path) in E::ROUTES {
            self.routes.push(Route {
                name: E::NAME.to_owned(),
                verb: format!("{verb:?}").to_uppercase(),
                path: (*path).to_owned(),
                auth: match E::AUTH {
                    Auth::None => "none",
                    Auth::Session => "session",
                    Auth::ServerKey => "server_key",
                }
                .to_owned(),
                body: match E::BODY {
                    Body::None => None,
                    Body::Whole => Some("*".to_owned()),
                    Body::Field(field) => Some(field.to_owned()),
                },
                request: request.clone(),
                response: E::Response::full_name(),
                hooks: E::HOOKS,
            });
        }
    }
}

fn declared() -> Declared {
    let mut declared = Declared::default();
    each_endpoint(&mut declared);
    declared
}

#[test]
fn endpoints_are_those_published() {
    let Declared { routes: ours, mut wrong } = declared();
    let published = routes();
    for route in ours.iter().filter(|route| !published.contains(route)) {
        wrong.push(format!("declared, but not published so: {route:?}"));
    }
    for route in published.iter().filter(|route| route.name != RPC && !ours.contains(route)) {
        wrong.push(format!("published, but not declared: {route:?}"));
    }
    assert_eq!(published.len(), 88);
    check(wrong, "Mend the declaration: the API is published in tests/published/rest.json.");
}

#[test]
fn host_functions_are_those_published() {
    let published = functions();
    let mut wrong = Vec::new();
    let mut ours = BTreeSet::new();
    let io = tokio::runtime::Runtime::new().unwrap();
    let cx = Cx::without_database(Default::default(), io.handle().clone()).unwrap();
    for function in HOST_FUNCTIONS {
        if !ours.insert(function.name) {
            wrong.push(format!("declared twice: {}", function.name));
        }
        match published.get(function.name) {
            Some(published) => wrong.extend(differences(function, published, &cx)),
            None => wrong.push(format!("declared, but not published: {}", function.name)),
        }
    }
    for name in published.keys().map(String::as_str) {
        let places = [
            ours.contains(name),
            OF_THE_INTERPRETERS.contains(&name),
            NOT_BUILT.host_functions.contains(&name),
        ];
        if places.iter().filter(|it| **it).count() != 1 {
            wrong.push(format!("[declared, of the interpreters, not built] is {places:?}: {name}"));
        }
    }
    wrong.extend(unknown(OF_THE_INTERPRETERS, |name| published.contains_key(name)));
    wrong.extend(unknown(NOT_BUILT.host_functions, |name| published.contains_key(name)));
    check(
        wrong,
        "A published host function is declared once and listed in actors/src/tables.rs, or belongs to \
         the interpreters, or stands in NOT_BUILT in tests/tidy/.",
    );
}

/// Where a declaration is not as published.
fn differences(ours: &HostFunction, published: &Function, cx: &Cx) -> Vec<String> {
    let mut wrong = Vec::new();
    let has = |language| ours.languages.contains(&language);
    if has(Language::Lua) != published.lua {
        wrong.push(format!("{}: published in Lua: {}", ours.name, published.lua));
    }
    if has(Language::JavaScript) != published.javascript.is_some() {
        wrong.push(format!("{}: in JavaScript: {:?}", ours.name, published.javascript));
    }
    let parameters = parameters(ours, cx);
    if parameters != published.parameters {
        wrong.push(format!("{}: {parameters:?} is {:?}", ours.name, published.parameters));
    }
    let order = published.javascript_order.as_deref();
    let same = match (ours.javascript_order, order) {
        (Some(ours), Some(published)) => ours == published,
        (None, None) => true,
        _ => false,
    };
    if !same && has(Language::JavaScript) {
        wrong.push(format!("{}: the order in JavaScript is {order:?}", ours.name));
    }
    wrong
}

#[test]
fn names_in_javascript_are_those_published() {
    let mut wrong = Vec::new();
    for function in functions().into_values() {
        let Some(published) = function.javascript else { continue };
        let ours = javascript_name(&function.name);
        if ours != published {
            wrong.push(format!("{}: {ours} is published as {published}", function.name));
        }
    }
    check(wrong, "Add the name to JAVASCRIPT_NAMES in actors/src/runtime/script.rs.");
}

#[test]
fn hooks_are_those_published() {
    let published: Hooks = serde_json::from_str(include_str!("../published/hooks.json")).unwrap();
    assert_eq!(published.requests, hooks::REQUESTS);
    assert_eq!(published.realtime, hooks::REALTIME);
    let hooked: BTreeSet<String> =
        routes().into_iter().filter(|route| route.hooks).map(|route| route.name).collect();
    assert!(hooked.iter().eq(&published.requests), "rest.json and hooks.json disagree");
}

fn unknown(names: &[&str], known: impl Fn(&str) -> bool) -> Vec<String> {
    names.iter().filter(|name| !known(name)).map(|name| format!("not published: {name}")).collect()
}

/// The parameters of a host function: the fields of its struct, in order.
fn parameters(function: &HostFunction, cx: &Cx) -> Vec<&'static str> {
    let context = Context::default();
    let origin = Origin { language: Language::Lua, context: &context };
    let mut fields: &'static [&'static str] = &[];
    {
        let mut recorder = <dyn erased_serde::Deserializer<'_>>::erase(Recorder(&mut fields));
        // What comes of it is the recorder's own error, or a function without parameters.
        drop(function.begin(&mut recorder, cx, origin));
    }
    // What a module's function gave to a function that calls it back is no parameter of modules.
    let last = fields.len() - usize::from(function.calls_back);
    fields[..last].to_vec()
}

/// Keeps the names of the fields that are asked for, and gives none of them.
struct Recorder<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Recorder<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(de::Error::custom("host functions are structs"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
