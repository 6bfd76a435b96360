//! Handlers at work, several matches on one thread.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod javascript;
mod lua;
mod panics;

use std::{
    collections::HashMap,
    future::Future,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use guildhall_core::{
    Caller, Result,
    caller::User,
    config::{self, Config},
};
use parking_lot::Mutex;
use serde_json::Value;
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
    registry::{Point, Target},
    runtime::{
        call::Argument,
        javascript::JavaScriptProgram,
        lua::LuaProgram,
        modules::ModuleFile,
        native::NativeProgram,
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
    /// Whether all it does panics.
    panics: AtomicBool,
}

impl Dispatcher for Seen {
    fn broadcast(&self, broadcast: Broadcast) -> Result<(), Refusal> {
        assert!(!self.panics.load(Ordering::Relaxed), "a broadcast");
        self.broadcasts.lock().push(broadcast);
        self.refusal.lock().map_or(Ok(()), Err)
    }

    fn kick(&self, kicked: Vec<Kicked>) -> Result<(), Refusal> {
        assert!(!self.panics.load(Ordering::Relaxed), "a kick");
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
    let lua = path.strip_suffix(".lua");
    ModuleFile {
        language: if lua.is_some() { Language::Lua } else { Language::JavaScript },
        path: path.to_owned(),
        file: PathBuf::from(path),
        name: lua.unwrap_or(path).replace('/', "."),
        source: source.as_bytes().to_vec(),
    }
}

fn bench_with(config: Config, files: &[(&str, &str)]) -> Bench {
    let io = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let config = Arc::new(config);
    let cx = Arc::new(Cx::without_database(Arc::clone(&config), io.handle().clone()).unwrap());
    let watchdog = Watchdog::start().unwrap();
    let files: Vec<_> = files.iter().map(|(path, source)| file(path, source)).collect();
    let of = |language| -> Vec<_> {
        files.iter().filter(|file| file.language == language).cloned().collect()
    };
    let start = |program: Arc<dyn Program>| {
        let settings = PoolSettings::of(program.language(), &config.runtime);
        io.block_on(ScriptPool::start(program, Arc::clone(&cx), settings, &watchdog))
            .unwrap_or_else(|error| panic!("{error}"))
    };
    let (lua, _) = start(Arc::new(LuaProgram::new(of(Language::Lua), surroundings())));
    let targets = |program: Arc<dyn Program>| {
        let language = program.language();
        let (pool, registrations) = start(program);
        let handlers = registrations.into_iter().filter(|it| it.point == Point::Match);
        let targets = handlers.map(|it| {
            let target = Target {
                language,
                function: it.function,
                module: it.module.into(),
                pool: pool.clone(),
                calls: Arc::default(),
                socket_calls: Arc::default(),
            };
            (it.name, target)
        });
        targets.collect::<HashMap<_, _>>()
    };
    let native = targets(Arc::new(NativeProgram::of_kicks(surroundings())));
    let files = of(Language::JavaScript);
    let javascript = match files.is_empty() {
        true => HashMap::new(),
        false => targets(Arc::new(JavaScriptProgram::new(files, surroundings()))),
    };
    let one = config::Match { threads: 1, ..config.r#match.clone() };
    let handlers = MatchHandlers::new(native, Some(lua), javascript);
    Bench { io, handlers, arbiters: MatchArbiters::new(&one) }
}

fn config() -> Config {
    let mut config = Config::default();
    (config.runtime.lua_min_count, config.runtime.lua_max_count) = (1, 2);
    (config.runtime.js_min_count, config.runtime.js_max_count) = (1, 2);
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
        issued_s: 0,
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
