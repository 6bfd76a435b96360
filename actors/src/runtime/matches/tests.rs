//! Handlers at work, several matches on one thread.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    future::Future,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use guildhall_core::{
    Caller, Code, Result,
    caller::User,
    config::{self, Config},
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    runtime::Runtime,
};
use uuid::Uuid;

use super::{
    Broadcast, Dispatcher, JoinAnswer, JoinAttempt, Kicked, MatchArbiters, MatchHandlers,
    MatchIdentity, MatchInit, MatchMessage, MatchPresence, Placed, Refusal, RunningMatch, Turn,
};
use crate::{
    cx::Cx,
    host::Language,
    runtime::{
        call::Argument,
        lua::LuaProgram,
        modules::ModuleFile,
        pool::{PoolSettings, ScriptPool},
        script::Program,
        surroundings::Surroundings,
        watchdog::Watchdog,
    },
};

/// Keeps what a handler does to its match.
#[derive(Default)]
struct Seen {
    broadcasts: Mutex<Vec<Broadcast>>,
    kicked: Mutex<Vec<Kicked>>,
    labels: Mutex<Vec<String>>,
    refusal: Mutex<Option<Refusal>>,
}

impl Dispatcher for Seen {
    fn broadcast(&self, broadcast: Broadcast) -> Result<(), Refusal> {
        self.broadcasts.lock().push(broadcast);
        self.refusal.lock().map_or(Ok(()), Err)
    }

    fn kick(&self, kicked: Vec<Kicked>) -> Result<(), Refusal> {
        self.kicked.lock().extend(kicked);
        self.refusal.lock().map_or(Ok(()), Err)
    }

    fn update_label(&self, label: &str) -> Result<(), Refusal> {
        if label.len() > super::LABEL_MAX_BYTES {
            return Err(Refusal::LabelTooLong);
        }
        self.labels.lock().push(label.to_owned());
        self.refusal.lock().map_or(Ok(()), Err)
    }
}

impl Seen {
    /// The texts that were sent since the last time.
    fn texts(&self) -> Vec<String> {
        let sent = std::mem::take(&mut *self.broadcasts.lock());
        sent.iter().map(|sent| String::from_utf8_lossy(&sent.data).into_owned()).collect()
    }
}

/// A server with these modules and one match thread.
struct Bench {
    io: Runtime,
    handlers: MatchHandlers,
    arbiters: MatchArbiters,
}

fn surroundings() -> Arc<Surroundings> {
    Arc::new(Surroundings {
        path: PathBuf::from("/nowhere/modules"),
        node: "node1".to_owned(),
        version: "3.40.0".to_owned(),
        env: [("KEY".to_owned(), "value".to_owned())].into(),
        memory_limit_bytes: 32 << 20,
        ..Surroundings::default()
    })
}

fn file(path: &str, source: &str) -> ModuleFile {
    ModuleFile {
        language: Language::Lua,
        path: path.to_owned(),
        file: PathBuf::from(path),
        name: path.trim_end_matches(".lua").replace('/', "."),
        source: source.as_bytes().to_vec(),
    }
}

fn bench_with(config: Config, files: &[(&str, &str)]) -> Bench {
    let io = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let config = Arc::new(config);
    let cx = Arc::new(Cx::without_database(Arc::clone(&config), io.handle().clone()).unwrap());
    let files = files.iter().map(|(path, source)| file(path, source)).collect();
    let program: Arc<dyn Program> = Arc::new(LuaProgram::new(files, surroundings()));
    let settings = PoolSettings::of(Language::Lua, &config.runtime);
    let watchdog = Watchdog::start().unwrap();
    let (pool, _) = io
        .block_on(ScriptPool::start(program, cx, settings, &watchdog))
        .unwrap_or_else(|error| panic!("{error}"));
    let one = config::Match { threads: 1, ..config.r#match.clone() };
    let handlers = MatchHandlers::new(Default::default(), Some(pool), Default::default());
    Bench { io, handlers, arbiters: MatchArbiters::new(&one) }
}

fn config() -> Config {
    let mut config = Config::default();
    (config.runtime.lua_min_count, config.runtime.lua_max_count) = (1, 2);
    config
}

fn bench(files: &[(&str, &str)]) -> Bench {
    bench_with(config(), files)
}

/// What makes matches on the match thread.
#[derive(Clone)]
struct Maker {
    handlers: MatchHandlers,
    arbiters: MatchArbiters,
}

/// A match, and what it did.
struct Made {
    running: RunningMatch,
    init: MatchInit,
    seen: Arc<Seen>,
}

impl std::ops::Deref for Made {
    type Target = RunningMatch;
    fn deref(&self) -> &RunningMatch {
        &self.running
    }
}

impl std::ops::DerefMut for Made {
    fn deref_mut(&mut self) -> &mut RunningMatch {
        &mut self.running
    }
}

impl Maker {
    async fn make(&self, name: &str, params: Value) -> Result<Made> {
        let placed = self.arbiters.place().unwrap().here();
        let identity = MatchIdentity { id: Uuid::from_u128(7), node: "node1".into() };
        let seen = Arc::new(Seen::default());
        let dispatcher = Arc::clone(&seen) as Arc<dyn Dispatcher>;
        let params = (!params.is_null()).then(|| Argument::of(params));
        let made = self.handlers.create(placed, name, params, identity, dispatcher).await;
        made.map(|(running, init)| Made { running, init, seen })
    }
}

impl Bench {
    /// Runs `work` on the match thread.
    fn run<W, F>(&self, work: W) -> F::Output
    where
        W: FnOnce(Maker) -> F + Send + 'static,
        F: Future<Output: Send + 'static> + 'static,
    {
        let maker = Maker { handlers: self.handlers.clone(), arbiters: self.arbiters.clone() };
        let place = self.arbiters.place().unwrap();
        let work = place.run(move |_: Placed| work(maker));
        self.io
            .block_on(async { tokio::time::timeout(Duration::from_secs(60), work).await })
            .expect("comes to an end")
            .unwrap()
    }
}

fn presence(name: &str, reason: u8) -> MatchPresence {
    MatchPresence {
        user_id: Uuid::from_u128(1),
        session_id: Uuid::from_u128(2),
        username: name.into(),
        node: "node1".into(),
        reason,
    }
}

fn message(op_code: i64, data: &str) -> MatchMessage {
    MatchMessage {
        sender: presence("ann", 0),
        op_code,
        data: data.to_owned().into(),
        reliable: true,
        receive_time_ms: 1_700_000_000_123,
    }
}

fn attempt(metadata: &[(&str, &str)]) -> JoinAttempt {
    let user = User {
        id: Uuid::from_u128(1),
        username: "ann".to_owned(),
        vars: [("v".to_owned(), "w".to_owned())].into(),
        expires_s: 99,
        token_id: String::new(),
    };
    let metadata = metadata.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    JoinAttempt {
        presence: presence("ann", 0),
        caller: Caller {
            user: Some(user),
            client_ip: Some([127, 0, 0, 1].into()),
            client_port: 81,
            ..Caller::default()
        },
        metadata: metadata.collect(),
    }
}

/// A Lua handler whose functions are `changes`, the others do nothing.
fn handler(changes: &str) -> String {
    format!(
        "local nk = require('nakama')
local M = {{}}
function M.match_init(ctx, params) return {{n = 0, params = params}}, 10, 'label' end
function M.match_join_attempt(ctx, d, tick, state, presence, metadata) return state, true end
function M.match_join(ctx, d, tick, state, presences) return state end
function M.match_leave(ctx, d, tick, state, presences) return state end
function M.match_loop(ctx, d, tick, state, messages) return state end
function M.match_terminate(ctx, d, tick, state, grace) return state end
function M.match_signal(ctx, d, tick, state, data) return state, data end
{changes}
return M"
    )
}

/// What the handler with these `changes` gives for `expression`, by a signal.
fn lua(changes: &str) -> Bench {
    bench(&[("m.lua", &handler(changes))])
}

/// An address of HTTP that answers after this time.
fn slow_url(bench: &Bench, delay: Duration) -> String {
    let listener = bench.io.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    bench.io.spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let _ = client.read(&mut [0; 1024]).await;
                tokio::time::sleep(delay).await;
                let _ = client.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
            });
        }
    });
    url
}

#[test]
fn a_lua_handler_plays_from_init_to_end() {
    let bench = lua(
        "local function keys(t) local l = {} for k in pairs(t) do l[#l + 1] = k end table.sort(l) return table.concat(l, ' ') end
        function M.match_init(ctx, params)
          return {n = 0, said = keys(ctx) .. '/' .. params.greeting}, 7.9, 'first'
        end
        function M.match_join_attempt(ctx, d, tick, state, presence, metadata)
          state.n = state.n + 1
          if metadata.no then return state, false, metadata.no end
          state.said = keys(ctx) .. '/' .. keys(presence) .. '/' .. ctx.vars.v .. ctx.user_session_exp
          return state, true
        end
        function M.match_join(ctx, d, tick, state, presences)
          state.said = keys(presences[1]) .. presences[1].reason .. #presences
          return state
        end
        function M.match_loop(ctx, d, tick, state, messages)
          for _, m in ipairs(messages) do
            state.said = keys(m) .. '/' .. keys(m.sender) .. '/' .. m.op_code .. tostring(m.data) .. tostring(m.reliable) .. m.receive_time_ms
          end
          state.tick = tick
          if tick == 3 then return nil end
          return state
        end
        function M.match_terminate(ctx, d, tick, state, grace) d.broadcast_message(9, 'grace ' .. grace) return state end
        function M.match_signal(ctx, d, tick, state, data)
          if data == 'ctx' then return state, keys(ctx) .. '/' .. ctx.execution_mode .. ctx.match_id .. ctx.match_label .. ctx.match_tick_rate end
          if data == 'tick' then return state, tostring(state.tick) end
          if data == 'none' then return state, nil end
          return state, state.said
        end",
    );
    bench.run(|maker| async move {
        let mut it = maker.make("m", json!({ "greeting": "hello" })).await.unwrap();
        assert_eq!(it.init, MatchInit { tick_rate_hz: 7, label: "first".to_owned() });
        let said = it.signal(0, "said".to_owned()).await.unwrap();
        assert_eq!(
            said.as_deref(),
            Some("env execution_mode match_id match_node node version/hello")
        );
        let refused = it.join_attempt(0, attempt(&[("no", "not you")])).await.unwrap();
        assert_eq!(refused, Some(JoinAnswer { allow: false, reason: "not you".to_owned() }));
        let allowed = it.join_attempt(0, attempt(&[])).await.unwrap();
        assert_eq!(allowed, Some(JoinAnswer { allow: true, reason: String::new() }));
        assert_eq!(
            it.signal(0, "said".to_owned()).await.unwrap().as_deref(),
            Some(
                "client_ip client_port env execution_mode match_id match_label match_node \
                 match_tick_rate node session_id user_id user_session_exp username vars version/\
                 node session_id user_id username/w99"
            )
        );
        assert_eq!(it.join(0, vec![presence("ann", 0), presence("bob", 0)]).await.unwrap(), Turn::Continue);
        assert_eq!(
            it.signal(0, "said".to_owned()).await.unwrap().as_deref(),
            Some("node reason session_id user_id username02")
        );
        assert_eq!(it.leave(1, vec![presence("bob", 3)]).await.unwrap(), Turn::Continue);
        assert_eq!(it.tick(1, vec![message(5, "x"), message(6, "")]).await.unwrap(), Turn::Continue);
        assert_eq!(
            it.signal(1, "said".to_owned()).await.unwrap().as_deref(),
            Some("op_code receive_time_ms reliable sender/node session_id user_id username/6niltrue1700000000123")
        );
        assert_eq!(it.signal(1, "tick".to_owned()).await.unwrap().as_deref(), Some("1"));
        assert_eq!(it.signal(1, "none".to_owned()).await.unwrap().as_deref(), Some(""));
        let ctx = it.signal(1, "ctx".to_owned()).await.unwrap().unwrap();
        assert_eq!(
            ctx,
            "env execution_mode match_id match_label match_node match_tick_rate node version/\
             match00000000-0000-0000-0000-000000000007.node1first7.9"
        );
        assert_eq!(it.terminate(2, 15).await.unwrap(), Turn::Continue);
        assert_eq!(it.seen.texts(), ["grace 15"]);
        assert_eq!(it.tick(3, vec![]).await.unwrap(), Turn::End);
    });
}

#[test]
fn a_match_that_waits_does_not_delay_the_others() {
    let bench = lua("function M.match_loop(ctx, d, tick, state, messages)
          for _, m in ipairs(messages) do
            local code = nk.http_request(m.data, 'get', {}, nil)
            d.broadcast_message(1, 'code ' .. code)
          end
          return state
        end");
    let url = slow_url(&bench, Duration::from_millis(300));
    bench.run(move |maker| async move {
        let mut waiting = Vec::new();
        let begun = Instant::now();
        for _ in 0..20 {
            let mut it = maker.make("m", Value::Null).await.unwrap();
            let message = message(1, &url);
            waiting.push(tokio::task::spawn_local(async move {
                assert_eq!(it.tick(0, vec![message]).await.unwrap(), Turn::Continue);
                it.seen.texts()
            }));
        }
        let mut other = maker.make("m", Value::Null).await.unwrap();
        let mut slowest = Duration::ZERO;
        let mut ticks = 0;
        while waiting.iter().any(|waiting| !waiting.is_finished()) {
            let tick = Instant::now();
            other.tick(ticks, vec![]).await.unwrap();
            slowest = slowest.max(tick.elapsed());
            ticks += 1;
            tokio::task::yield_now().await;
        }
        assert!(ticks > 10 && slowest < Duration::from_millis(100), "{ticks} {slowest:?}");
        // All waited at the same time.
        assert!(begun.elapsed() < Duration::from_secs(3));
        for waiting in waiting {
            assert_eq!(waiting.await.unwrap(), ["code 204"]);
        }
    });
}

#[test]
fn an_endless_handler_ends_alone_while_the_others_keep_ticking() {
    let mut config = config();
    config.runtime.call_deadline_ms = 300;
    let changes = "
        local function forever() while true do end end
        function M.match_loop(ctx, d, tick, state, messages)
          if messages[1] and messages[1].data == 'plain' then
            while true do end
          elseif messages[1] and messages[1].data == 'caught' then
            while true do pcall(forever) end
          elseif messages[1] and messages[1].data == 'pattern' then
            string.find(string.rep('a', 300000), string.rep('a*', 30) .. 'b')
          end
          return state
        end";
    let bench = bench_with(config, &[("m.lua", &handler(changes))]);
    bench.run(|maker| async move {
        for kind in ["plain", "caught", "pattern"] {
            let mut bad = maker.make("m", Value::Null).await.unwrap();
            let mut good = maker.make("m", Value::Null).await.unwrap();
            let message = message(1, kind);
            let bad = tokio::task::spawn_local(async move { bad.tick(0, vec![message]).await });
            let (mut ticks, mut slowest) = (0, Duration::ZERO);
            while !bad.is_finished() {
                let tick = Instant::now();
                tokio::task::yield_now().await;
                good.tick(ticks, vec![]).await.unwrap();
                slowest = slowest.max(tick.elapsed());
                ticks += 1;
            }
            let error = bad.await.unwrap().unwrap_err();
            assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");
            assert!(error.message().starts_with("m.lua:"), "{error}");
            assert!(error.message().contains("in function"), "{error}");
            assert!(ticks > 5, "{kind}: {ticks}");
            assert!(slowest < Duration::from_millis(100), "{kind}: {slowest:?}");
            assert_eq!(good.tick(ticks, vec![]).await.unwrap(), Turn::Continue);
        }
    });
}

/// What the function `f` of a Lua handler gives or raises, called by a signal; then whether the
/// handler still works.
async fn told(maker: &Maker, changes: &str) -> (Result<Option<String>>, bool) {
    // The module is one of those that the program has; its code comes with the match.
    let mut it = maker.make("m", json!({ "code": changes })).await.unwrap();
    let told = it.signal(0, "f".to_owned()).await;
    let works = it.tick(1, vec![]).await.is_ok();
    (told, works)
}

/// A handler whose `f` is the code that the match was made with.
fn scripted() -> Bench {
    lua("function M.match_init(ctx, params)
          local f = assert(loadstring('local nk, d, state = ... ' .. params.code, '=code'))
          return {f = f}, 10, ''
        end
        function M.match_signal(ctx, d, tick, state, data) return state, state.f(nk, d, state) end")
}

#[test]
fn errors_of_luajit_unwind_on_a_fiber_as_on_a_thread() {
    let bench = scripted();
    let url = slow_url(&bench, Duration::from_millis(20));
    bench.run(move |maker| async move {
        for (code, expected) in [
            // Caught, of Lua and of C functions, thrown by and through each other.
            ("local ok, e = pcall(error, 'x', 0) return tostring(ok) .. e", "falsex"),
            ("local ok, e = pcall(string.find, 'a', '[a') return e", "malformed pattern (missing ']')"),
            ("local ok, e = pcall(string.rep) return e", "bad argument #1 to '?' (string expected, got no value)"),
            ("local ok, e = pcall(table.sort, {3, 1, 2}, function() error('in sort', 0) end) return e", "in sort"),
            ("local ok, e = pcall(string.gsub, 'aaa', 'a', function() error('in gsub', 0) end) return e", "in gsub"),
            ("local ok, e = pcall(nk.base64_decode, {}) return tostring(ok)", "false"),
            ("local ok, e = xpcall(function() local x = nil; return x.y end, function(e) return 'handled ' .. e end) return e", "handled code:1: attempt to index local 'x' (a nil value)"),
            ("local t = setmetatable({}, {__index = function(_, k) error('no ' .. k, 0) end}) local ok, e = pcall(function() return t.x end) return e", "no x"),
            // Deep: calls of Lua, and of C and Lua in turn.
            ("local function f() return 1 + f() end local ok, e = pcall(f) return tostring(ok) .. (e:find('stack overflow') and ' overflow' or e)", "false overflow"),
            ("local depth = 0 local function f() depth = depth + 1 string.gsub('x', 'x', f) end local ok, e = pcall(f) return tostring(ok) .. (depth > 50 and ' deep' or depth)", "false deep"),
            ("local depth = 0 local function f(a, b) depth = depth + 1 table.sort({1, 2, 3}, f) return a < b end local ok, e = pcall(f, 1, 2) return tostring(ok) .. (depth > 50 and ' deep' or depth)", "false deep"),
            // A compiled loop that throws and catches.
            ("local n = 0 for i = 1, 20000 do local ok = pcall(function() if i % 3 == 0 then error('x') end end) if not ok then n = n + 1 end end return tostring(n)", "6666"),
        ] {
            let (told, works) = told(&maker, code).await;
            assert_eq!(told.unwrap().as_deref(), Some(expected), "{code}");
            assert!(works, "{code}");
        }
        // Thrown after a wait, through frames that waited.
        let code = format!(
            "local function wait(n) if n == 0 then return (nk.http_request('{url}', 'get', {{}}, nil)) end \
             local a = 0 string.gsub('x', 'x', function() a = wait(n - 1) end) return a end \
             local ok, e = pcall(function() local code = wait(5) error('got ' .. code, 0) end) return e"
        );
        let (told_it, works) = told(&maker, &code).await;
        assert_eq!((told_it.unwrap().as_deref(), works), (Some("got 204"), true));
    });
}

#[test]
fn what_a_handler_raises_ends_its_match_and_names_the_place() {
    let bench = scripted();
    bench.run(|maker| async move {
        for (code, expected, kind) in [
            ("\n error('with a place')", "code:2: with a place", Code::Internal),
            ("error({'a text', 7})", "a text", Code(7)),
            ("return 5", "Match signal returned non-string result, stopping match", Code::InvalidArgument),
            ("local t = {} while true do t[#t + 1] = string.rep('x', 1000) .. #t end", "m.lua: function match_signal needs more memory than the 32 MB of runtime.memory_limit_mb", Code::ResourceExhausted),
        ] {
            let (told, works) = told(&maker, code).await;
            let error = told.unwrap_err();
            assert_eq!((error.message(), error.code()), (expected, kind));
            assert!(!works, "{code}");
        }
    });
}

#[test]
fn matches_share_nothing() {
    let counter = handler(
        "shared = 0 local count = 0
        function M.match_signal(ctx, d, tick, state, data)
          shared, count, state.n = shared + 1, count + 1, state.n + 1
          require('lib').n = require('lib').n + 1
          return state, shared .. count .. state.n .. require('lib').n
        end",
    );
    let bench = bench(&[("m.lua", &counter), ("lib.lua", "return {n = 0}")]);
    bench.run(|maker| async move {
        let mut one = maker.make("m", Value::Null).await.unwrap();
        let mut two = maker.make("m", Value::Null).await.unwrap();
        for expected in ["1111", "2222"] {
            for it in [&mut one, &mut two] {
                assert_eq!(it.signal(0, String::new()).await.unwrap().as_deref(), Some(expected));
            }
        }
    });
}

#[test]
fn a_call_that_nobody_waits_for_any_more_ends_its_match_at_once() {
    let bench = lua("function M.match_loop(ctx, d, tick, state, messages)
          -- Neither errors nor what comes after them keep it alive.
          while true do
            pcall(function() nk.http_request(messages[1].data, 'get', {}, nil) end)
          end
        end");
    let url = slow_url(&bench, Duration::from_secs(60));
    bench.run(move |maker| async move {
        let mut it = maker.make("m", Value::Null).await.unwrap();
        let begun = Instant::now();
        let tick = it.tick(0, vec![message(1, &url)]);
        assert!(tokio::time::timeout(Duration::from_millis(50), tick).await.is_err());
        assert!(begun.elapsed() < Duration::from_secs(2));
        assert_eq!(it.tick(1, vec![]).await.unwrap_err().message(), "match stopped");
    });
}
