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
    let listener = bench.io.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    bench.io.spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let _ = client.read(&mut [0; 1024]).await;
                tokio::time::sleep(Duration::from_millis(300)).await;
                let _ = client.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
            });
        }
    });
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
