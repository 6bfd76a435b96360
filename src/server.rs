//! Starts the actors in order and stops them in reverse: the only place that knows all of them.

use std::{
    error::Error,
    io,
    net::TcpListener,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Actor as _, Addr};
use guildhall_actors::{
    cx::Cx,
    realtime::{matches, matchmaker, party, presence_events},
    registry::{Loaded, Register, Registry, Standing},
    resources::leaderboard::schedule::Leaderboards,
    runtime::{
        actor::{JavaScriptRuntime, Load, LuaRuntime, NativeRuntime},
        check::{self, Checked},
        modules::{self, ModuleFile},
        programs::{self, Programs},
        watchdog::Watchdog,
    },
};
use guildhall_core::config::{Config, exposure};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    signal::unix::{SignalKind, signal},
};
use tracing::{info, warn};

use crate::{database, http::Edge, listen, metrics, migrate, socket::Connections};

/// Why the server did not start, or did not stop as it should; one message for the operator.
pub type Failure = Box<dyn Error>;

/// Runs the server until SIGINT or SIGTERM.
///
/// # Errors
/// What keeps it from starting: an address in use, the database, a module.
pub fn run(config: Config) -> Result<(), Failure> {
    let io = io_runtime()?;
    let handle = io.handle().clone();
    let result = actix::System::new().block_on(serve(Arc::new(config), handle));
    io.shutdown_background();
    result
}

/// The I/O runtime: database connections, and the outgoing requests of modules.
///
/// # Errors
/// Where its threads cannot be started.
pub fn io_runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(1).thread_name("io").enable_all().build()
}

async fn serve(config: Arc<Config>, io: Handle) -> Result<(), Failure> {
    let began = Instant::now();
    // Addresses first: a server that cannot listen must not touch a database.
    let client = exposure::client(&config)?;
    let listeners = listen::listen("socket", &client)?;
    let addresses: Vec<String> = listeners
        .iter()
        .flat_map(TcpListener::local_addr)
        .map(|address| address.to_string())
        .collect();
    let metrics_listeners = match config.metrics.prometheus_port {
        0 => Vec::new(),
        _ => listen::listen("metrics", &exposure::metrics(&config, &client))?,
    };
    let modules = modules::scan(&config.modules_path(), &config.runtime.js_entrypoint)?;

    let opened = database::open(&config, &io).await?;
    let cx = Arc::new(Cx::new(Arc::clone(&config), opened.database.clone(), io.clone())?);
    cx.sessions.load(&cx.db, &io).await?;
    cx.boards.load(&cx.db, &io).await?;

    let watchdog = Watchdog::start()?;
    matches::run(&cx);
    // Held until the stop: the routes end with the registry, and the pools with the runtimes.
    let modules = load(&cx, &watchdog, modules).await?;
    cx.storage_index.load().await?;

    presence_events::run(&cx);
    party::run(&cx);
    let leaderboards = Leaderboards::run(&cx).await?;
    let matchmaker = matchmaker::run(&cx);

    let connections = Connections::default();
    let edge = Edge::new(Arc::clone(&cx), connections.clone())?;
    let server = edge.serve(listeners)?;
    let stop = server.handle();
    let running = actix::spawn(server);
    if !metrics_listeners.is_empty() {
        // It ends with the process: a scrape at the very end shows how the stop goes.
        actix::spawn(metrics::serve(Arc::clone(&cx), metrics_listeners)?);
    }

    if let Some(notice) = &client.notice {
        warn!("{notice}");
    }
    info!(
        version = env!("CARGO_PKG_VERSION"),
        addresses = addresses.join(", "),
        database = %cx.db.address(),
        started_in_ms = began.elapsed().as_millis(),
        "guildhall is ready"
    );
    // Only now, since libraries of modules may have taken the signals over while they loaded.
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        ended = running => {
            ended??;
            return Err("the client port closed by itself".into());
        }
    }

    info!("stopping");
    let (began, grace) = (Instant::now(), Duration::from_secs(cx.config.shutdown_grace_sec));
    tokio::select! {
        () = cx.matches.stop(grace) => {}
        // Whoever asks twice wants no grace.
        _ = interrupt.recv() => cx.matches.stop(Duration::ZERO).await,
        _ = terminate.recv() => cx.matches.stop(Duration::ZERO).await,
    }
    connections.close_all(&cx, grace.saturating_sub(began.elapsed())).await;
    stop.stop(true).await;
    leaderboards.stop().await;
    matchmaker.stop();
    drop(modules);
    opened.close().await;
    info!("stopped");
    Ok(())
}

/// Loads the modules without a database, and lists what they register.
///
/// # Errors
/// The module that does not load: its file, line and cause.
pub fn check(config: Config) -> Result<String, Failure> {
    let io = io_runtime()?;
    let config = Arc::new(config);
    let modules = modules::scan(&config.modules_path(), &config.runtime.js_entrypoint)?;
    let files = modules.len();
    let cx = Arc::new(Cx::without_database(Arc::clone(&config), io.handle().clone())?);
    let watchdog = Watchdog::start()?;
    let programs = programs::programs(modules, &config);
    let checked = io.block_on(check::check(programs, &cx, &watchdog));
    io.shutdown_background();
    let Checked { registered, unanswered } = checked?;
    let mut text = format!("{files} module files, {} registrations\n", registered.len());
    for row in registered {
        let standing = match row.standing {
            Standing::Answers => "",
            Standing::Superseded => ": another one answers",
            Standing::Unserved => ": nothing calls it yet",
            Standing::Unknown => ": no such name, never called",
        };
        text.push_str(&format!("  {}  {row}{standing}\n", row.language.name()));
    }
    if !unanswered.is_empty() {
        let names = unanswered.into_iter().collect::<Vec<_>>().join(", ");
        text.push_str(&format!("called while loading, answered with nothing here: {names}\n"));
    }
    Ok(text)
}

/// Changes the schema of the configured database, and says what was done.
///
/// # Errors
/// What failed, with what to type.
pub fn migrate(
    config: &Config,
    step: migrate::Command,
    limit: Option<u32>,
) -> Result<String, Failure> {
    let io = io_runtime()?;
    let report = io.block_on(database::migrate(config, step, limit, io.handle()))?;
    Ok(report.to_string())
}

/// Starts the runtimes and the registry, and loads the modules into them. All end when what comes
/// back is dropped.
async fn load(
    cx: &Arc<Cx>,
    watchdog: &Watchdog,
    modules: Vec<ModuleFile>,
) -> Result<(Addr<Registry>, Runtimes), Failure> {
    let runtimes = Runtimes::start(cx, watchdog);
    let registry = Registry::new(cx).start();
    let loaded = runtimes.load(programs::programs(modules, &cx.config)).await?;
    registry.send(Register { loaded }).await?;
    cx.matches.begin_early().await?;
    Ok((registry, runtimes))
}

/// The actors of the three module languages.
struct Runtimes {
    native: Addr<NativeRuntime>,
    lua: Addr<LuaRuntime>,
    javascript: Addr<JavaScriptRuntime>,
}

impl Runtimes {
    fn start(cx: &Arc<Cx>, watchdog: &Watchdog) -> Self {
        Self {
            native: NativeRuntime::new(Arc::clone(cx), watchdog.clone()).start(),
            lua: LuaRuntime::new(Arc::clone(cx), watchdog.clone()).start(),
            javascript: JavaScriptRuntime::new(Arc::clone(cx), watchdog.clone()).start(),
        }
    }

    /// Loads the modules of all languages, native before Lua before JavaScript. A language without
    /// modules gets no interpreters.
    async fn load(&self, programs: Programs) -> Result<Vec<Loaded>, Failure> {
        let mut loaded = Vec::new();
        if let Some(program) = programs.native {
            loaded.push(self.native.send(Load { program }).await??);
        }
        if let Some(program) = programs.lua {
            loaded.push(self.lua.send(Load { program }).await??);
        }
        if let Some(program) = programs.javascript {
            loaded.push(self.javascript.send(Load { program }).await??);
        }
        Ok(loaded)
    }
}
