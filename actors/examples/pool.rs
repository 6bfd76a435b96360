//! Measures the way of a call to a script thread and back, with functions that do nothing or run
//! for a while: `cargo run --release -p guildhall-actors --example pool`.
//!
//! Prints one line for each case: callers, running time of the function, calls per second, time of
//! one call seen by its caller, and processor time of the whole process per call.

use std::{
    error::Error,
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use guildhall_actors::{
    cx::Cx,
    host::Language,
    registry::FunctionId,
    runtime::{
        call::{Call, Context, ExecutionMode, Input, Output},
        pool::{PoolSettings, ScriptPool},
        script::{Interpreter, Invoked, LoadError, Program, Started},
        seat::Seat,
        watchdog::Watchdog,
    },
};
use guildhall_core::config::Config;

/// Function number `n` keeps its thread busy for `n` microseconds.
struct Busy;

impl Program for Busy {
    fn language(&self) -> Language {
        Language::Lua
    }

    fn start(&self, _: Arc<Seat>) -> Result<Started, LoadError> {
        Ok(Started { interpreter: Box::new(Self), registrations: Vec::new() })
    }
}

impl Interpreter for Busy {
    fn call(&mut self, call: Call) -> Invoked {
        if call.function.0 > 0 {
            let until = Instant::now() + Duration::from_micros(u64::from(call.function.0));
            while Instant::now() < until {}
        }
        Invoked { result: Ok(Output::Nothing), spoiled: false }
    }
}

fn call(function: u32) -> Call {
    Call {
        function: FunctionId(function),
        context: Context { mode: ExecutionMode::Rpc, ..Context::default() },
        input: Input::Rpc { payload: Vec::new() },
    }
}

/// Processor time of this process so far, in clock ticks of 10 ms.
fn ticks() -> Result<u64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let times: Vec<u64> = fields.skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(times.iter().sum())
}

fn main() -> Result<(), Box<dyn Error>> {
    let io = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let config = Arc::new(Config::default());
    let cx = Arc::new(Cx::without_database(Arc::clone(&config), io.handle().clone())?);
    let watchdog = Watchdog::start()?;
    let settings = PoolSettings::of(Language::Lua, &config.runtime);
    // Two threads with a runtime each stand for the HTTP workers.
    let start = ScriptPool::start(Arc::new(Busy), cx, settings, &watchdog);
    let (pool, _) = io.block_on(start)?;
    println!("callers  busy_us   calls/s  call_us  cpu_us/call  idle/total");
    for (callers, busy_us) in
        [(1, 0), (2, 0), (32, 0), (512, 0), (1, 20), (32, 20), (32, 1000), (32, 5000)]
    {
        measure(&pool, callers, busy_us)?;
    }
    Ok(())
}

fn measure(pool: &ScriptPool, callers: usize, busy_us: u32) -> Result<(), Box<dyn Error>> {
    const WINDOW: Duration = Duration::from_secs(2);
    let workers = callers.min(2);
    let (began, ticks_before, calls_before) = (Instant::now(), ticks()?, pool.stats().calls);
    let threads: Vec<_> = (0..workers)
        .map(|worker| {
            let pool = pool.clone();
            let own = callers / workers + usize::from(worker < callers % workers);
            std::thread::spawn(move || {
                let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else {
                    return;
                };
                let local = tokio::task::LocalSet::new();
                for _ in 0..own {
                    let pool = pool.clone();
                    local.spawn_local(async move {
                        while began.elapsed() < WINDOW {
                            drop(pool.call(call(busy_us)).await);
                        }
                    });
                }
                runtime.block_on(local);
            })
        })
        .collect();
    for thread in threads {
        drop(thread.join());
    }
    let stats = pool.stats();
    #[allow(clippy::cast_precision_loss, reason = "figures to read")]
    let (calls, cpu_us) =
        ((stats.calls - calls_before) as f64, ((ticks()? - ticks_before) * 10_000) as f64);
    let seconds = began.elapsed().as_secs_f64();
    #[allow(clippy::cast_precision_loss, reason = "figures to read")]
    let call_us = seconds * 1e6 * callers as f64 / calls;
    println!(
        "{callers:7}  {busy_us:7}  {:8.0}  {call_us:7.1}  {:11.2}  {}/{}",
        calls / seconds,
        cpu_us / calls,
        stats.idle,
        stats.total
    );
    Ok(())
}
