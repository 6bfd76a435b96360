//! Which of several registrations answers.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use actix::Actor as _;
use tokio::runtime::Handle;

use super::*;
use crate::runtime::{
    pool::PoolSettings,
    script::{Interpreter, Invoked, LoadError, Program, Started},
    seat::Seat,
    watchdog::Watchdog,
};

/// A program whose functions give nothing back.
struct Nothing(Language);

impl Program for Nothing {
    fn language(&self) -> Language {
        self.0
    }

    fn start(&self, _: Arc<Seat>) -> Result<Started, LoadError> {
        Ok(Started { interpreter: Box::new(Silent), registrations: Vec::new() })
    }
}

struct Silent;

impl Interpreter for Silent {
    fn call(&mut self, _: Call) -> Invoked {
        Invoked { result: Ok(Output::Nothing), spoiled: false }
    }
}

/// Registrations as they are written: the function's number is that of its line.
async fn loaded(language: Language, lines: &[(Point, &str)]) -> Loaded {
    let cx = Arc::new(Cx::without_database(Arc::default(), Handle::current()).unwrap());
    let mut settings = PoolSettings::of(language, &cx.config.runtime);
    settings.min = 1;
    let watchdog = Watchdog::start().unwrap();
    let program = Arc::new(Nothing(language));
    let (pool, _) = ScriptPool::start(program, cx, settings, &watchdog).await.unwrap();
    let registrations = lines.iter().zip(0..).map(|(&(point, name), number)| Registration {
        point,
        name: name.to_owned(),
        function: FunctionId(number),
        definition: None,
        module: format!("{}.mod", language.name()),
    });
    Loaded { registrations: registrations.collect(), pool }
}

async fn resolved(all: Vec<Loaded>) -> (Routes, Vec<String>) {
    let served = Served(HashSet::from(["GetAccount", "Event"]));
    let by_language = all.into_iter().map(|loaded| (loaded.pool.language(), loaded)).collect();
    let (routes, status) = resolve(1, &by_language, &served, &Metrics::new(&Config::default()));
    let rows = status.iter().map(|row| format!("{row}: {:?}", row.standing)).collect();
    (routes, rows)
}

fn shown(target: Option<&Target>) -> String {
    target.map_or_else(|| "none".to_owned(), |target| format!("{target:?}"))
}

#[tokio::test]
async fn native_comes_before_lua_before_javascript() {
    let (routes, rows) = resolved(vec![
        loaded(Language::JavaScript, &[(Point::Rpc, "a"), (Point::Rpc, "b"), (Point::Rpc, "c")])
            .await,
        loaded(Language::Native, &[(Point::Rpc, "a")]).await,
        loaded(Language::Lua, &[(Point::Rpc, "b"), (Point::Rpc, "a")]).await,
    ])
    .await;
    assert_eq!(shown(routes.rpc("a")), "native:native.mod#0");
    assert_eq!(shown(routes.rpc("b")), "lua:lua.mod#0");
    assert_eq!(shown(routes.rpc("c")), "javascript:javascript.mod#2");
    assert_eq!(shown(routes.rpc("d")), "none");
    assert_eq!(rows[2], "RPC a (lua.mod): Superseded");
}

#[tokio::test]
async fn lua_keeps_the_last_and_javascript_the_first_of_a_name() {
    let twice = [(Point::Rpc, "a"), (Point::Rpc, "A")];
    let (routes, _) = resolved(vec![loaded(Language::Lua, &twice).await]).await;
    assert_eq!(shown(routes.rpc("a")), "lua:lua.mod#1");
    let (routes, _) = resolved(vec![loaded(Language::JavaScript, &twice).await]).await;
    assert_eq!(shown(routes.rpc("a")), "javascript:javascript.mod#0");
}

#[tokio::test]
async fn hooks_are_found_by_the_published_name() {
    let lines = [
        (Point::Before, "getaccount"),
        (Point::After, "GETACCOUNT"),
        (Point::Before, "listfriends"),
        (Point::Before, "nosuchcall"),
        (Point::RealtimeAfter, "matchjoin"),
        (Point::Match, "lobby"),
    ];
    let (routes, rows) = resolved(vec![loaded(Language::Lua, &lines).await]).await;
    assert_eq!(shown(routes.before("GetAccount")), "lua:lua.mod#0");
    assert_eq!(shown(routes.after("GetAccount")), "lua:lua.mod#1");
    assert_eq!(shown(routes.before("ListFriends")), "none");
    assert_eq!(
        rows,
        [
            "before hook GetAccount (lua.mod): Answers",
            "after hook GetAccount (lua.mod): Answers",
            "before hook ListFriends (lua.mod): Unserved",
            "before hook nosuchcall (lua.mod): Unknown",
            "realtime after hook MatchJoin (lua.mod): Unserved",
            "match lobby (lua.mod): Answers",
        ]
    );
}

#[tokio::test]
async fn functions_without_a_name_indexes_and_their_filters_are_found() {
    let lua = [
        (Point::TournamentEnd, ""),
        (Point::StorageIndex, "b"),
        (Point::StorageIndex, "a"),
        (Point::StorageIndexFilter, "a"),
    ];
    let native = [(Point::TournamentEnd, "")];
    let all = vec![loaded(Language::Lua, &lua).await, loaded(Language::Native, &native).await];
    let (routes, _) = resolved(all).await;
    assert_eq!(shown(routes.single(Point::TournamentEnd)), "native:native.mod#0");
    assert_eq!(shown(routes.single(Point::TournamentReset)), "none");
    assert_eq!(shown(routes.storage_index_filter("a")), "lua:lua.mod#3");
    assert_eq!(shown(routes.storage_index_filter("b")), "none");
    let names: Vec<_> = routes.storage_indexes().iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
}

#[tokio::test]
async fn every_event_function_is_called() {
    let events = [(Point::Event, ""), (Point::EventSessionEnd, ""), (Point::Event, "")];
    let (routes, rows) = resolved(vec![loaded(Language::Native, &events).await]).await;
    let functions =
        |point| -> Vec<_> { routes.events(point).iter().map(|target| target.function.0).collect() };
    assert_eq!(functions(Point::Event), [0, 2]);
    assert_eq!(functions(Point::EventSessionEnd), [1]);
    assert!(functions(Point::EventSessionStart).is_empty());
    assert!(rows.iter().all(|row| row.ends_with(": Answers")), "{rows:?}");
}

#[actix::test]
async fn registering_a_language_again_replaces_only_that_language() {
    let cx = Cx::without_database(Arc::default(), Handle::current()).unwrap();
    let published = Arc::clone(&cx.routes);
    let registry = Registry::new(&cx).start();
    let lua = loaded(Language::Lua, &[(Point::Rpc, "a"), (Point::Rpc, "b")]).await;
    let js = loaded(Language::JavaScript, &[(Point::Rpc, "c")]).await;
    registry.send(Register { loaded: vec![lua, js] }).await.unwrap();
    assert_eq!(published.load().generation(), 1);
    let lua = loaded(Language::Lua, &[(Point::Rpc, "b")]).await;
    registry.send(Register { loaded: vec![lua] }).await.unwrap();
    let routes = published.load();
    assert_eq!(routes.generation(), 2);
    assert_eq!(shown(routes.rpc("a")), "none");
    assert_eq!(shown(routes.rpc("b")), "lua:lua.mod#0");
    assert_eq!(shown(routes.rpc("c")), "javascript:javascript.mod#0");
    assert_eq!(registry.send(GetStatus).await.unwrap().len(), 2);
}
