//! Starts the actors in order and stops them in reverse: the only place that knows all of them.

use std::{error::Error, io, net::TcpListener, path::PathBuf, sync::Arc, time::Instant};

use actix::{Actor as _, Addr};
use guildhall_actors::{
    cx::Cx,
    database::{Database, Settings},
    registry::{Loaded, Register, Registry},
    runtime::{
        actor::{JavaScriptRuntime, Load, LuaRuntime, NativeRuntime},
        modules,
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

use crate::{http::Edge, listen, metrics, migrate, postgres::EmbeddedPostgres};

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

    let database = open_database(&config, &io).await?;
    let cx = Arc::new(Cx::new(Arc::clone(&config), database.handle.clone(), io.clone())?);
    cx.sessions.load(&cx.db, &io).await?;

    let watchdog = Watchdog::start()?;
    let runtimes = Runtimes::start(&cx, &watchdog);
    let registry = Registry::new(&cx).start();
    let loaded = runtimes.load(programs::programs(modules, &config)).await?;
    registry.send(Register { loaded }).await?;

    let edge = Edge::new(&config, Arc::clone(&cx), Arc::clone(&cx.routes))?;
    let server = edge.serve(&config, listeners)?;
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
    stop.stop(true).await;
    cx.db.close();
    if let Some(embedded) = database.embedded {
        tokio::task::spawn_blocking(move || embedded.stop()).await?;
    }
    info!("stopped");
    Ok(())
}

/// The database, and the PostgreSQL that runs under this server if it is the embedded one.
struct Opened {
    handle: Database,
    embedded: Option<EmbeddedPostgres>,
}

async fn open_database(config: &Config, io: &Handle) -> Result<Opened, Failure> {
    let mut settings = Settings::from_config(&config.database)?;
    if !settings.addresses.is_empty() {
        let handle = Database::connect(&settings, io).await?;
        migrate::prepare(&handle).await?;
        return Ok(Opened { handle, embedded: None });
    }
    let (data_dir, choice) = (PathBuf::from(&config.data_dir), config.database.embedded);
    let max_open = settings.max_open;
    let (embedded, address) =
        tokio::task::spawn_blocking(move || EmbeddedPostgres::start(&data_dir, choice, max_open))
            .await??;
    info!(database = embedded.description(), "embedded database is ready");
    settings.addresses = vec![address];
    migrate::run(&settings, migrate::Command::Up, None, io).await?;
    let handle = Database::connect(&settings, io).await?;
    Ok(Opened { handle, embedded: Some(embedded) })
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
