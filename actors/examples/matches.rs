//! Measures match handlers without sockets:
//! `cargo run --release -p guildhall-actors --example matches -- lua 1000 5`.
//!
//! So many matches of four members at ten ticks a second, for so many seconds. A turn reads four
//! messages of JSON and sends one. Prints the resident memory per match before the first tick and
//! at the end, the processor time of the whole process per turn, and the intervals between turns.

use std::{
    env,
    error::Error,
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use actix::Actor as _;
use bytes::Bytes;
use guildhall_actors::{
    cx::Cx,
    host::Language,
    registry::{Loaded, Register, Registry},
    runtime::{
        javascript::JavaScriptProgram,
        lua::LuaProgram,
        matches::{
            Broadcast, Dispatcher, Kicked, MatchIdentity, MatchMessage, MatchPresence, Refusal,
            RunningMatch,
        },
        modules::ModuleFile,
        pool::{PoolSettings, ScriptPool},
        script::Program,
        surroundings::Surroundings,
        watchdog::Watchdog,
    },
};
use guildhall_core::config::Config;
use tokio::time::{MissedTickBehavior, interval_at, sleep};
use uuid::Uuid;

const LUA: &str = r#"
local nk = require("nakama")
local M = {}
function M.match_init(context, params) return { members = {}, turns = 0 }, 10, "" end
function M.match_join_attempt(context, dispatcher, tick, state, presence, metadata) return state, true end
function M.match_join(context, dispatcher, tick, state, presences)
  for _, presence in ipairs(presences) do state.members[presence.session_id] = { x = 0, y = 0, moves = 0 } end
  return state
end
function M.match_leave(context, dispatcher, tick, state, presences) return state end
function M.match_loop(context, dispatcher, tick, state, messages)
  for _, message in ipairs(messages) do
    local member = state.members[message.sender.session_id]
    if member then
      local move = nk.json_decode(message.data)
      member.x, member.y, member.moves = (member.x + move.dx) % 1000, (member.y + move.dy) % 1000, member.moves + 1
    end
  end
  local list = {}
  for _, member in pairs(state.members) do list[#list + 1] = { x = member.x, y = member.y, m = member.moves } end
  dispatcher.broadcast_message(1, nk.json_encode({ tick = tick, players = list }))
  return state
end
function M.match_terminate(context, dispatcher, tick, state, grace_seconds) return nil end
function M.match_signal(context, dispatcher, tick, state, data) return state, data end
return M
"#;

const JAVASCRIPT: &str = r#"
function init(ctx, logger, nk, params) { return { state: { members: {}, turns: 0 }, tickRate: 10, label: "" }; }
function attempt(ctx, logger, nk, dispatcher, tick, state) { return { state: state, accept: true }; }
function join(ctx, logger, nk, dispatcher, tick, state, presences) {
  presences.forEach(function (p) { state.members[p.sessionId] = { x: 0, y: 0, moves: 0 }; });
  return { state: state };
}
function turn(ctx, logger, nk, dispatcher, tick, state, messages) {
  messages.forEach(function (message) {
    var member = state.members[message.sender.sessionId];
    if (!member) return;
    var move = JSON.parse(nk.binaryToString(message.data));
    member.x = (member.x + move.dx) % 1000;
    member.y = (member.y + move.dy) % 1000;
    member.moves++;
  });
  var list = Object.keys(state.members).map(function (id) {
    var member = state.members[id];
    return { x: member.x, y: member.y, m: member.moves };
  });
  dispatcher.broadcastMessage(1, JSON.stringify({ tick: tick, players: list }));
  return { state: state };
}
function same(ctx, logger, nk, dispatcher, tick, state) { return { state: state }; }
function InitModule(ctx, logger, nk, initializer) {
  initializer.registerMatch("bench", {
    matchInit: init, matchJoinAttempt: attempt, matchJoin: join, matchLeave: same, matchLoop: turn,
    matchTerminate: same, matchSignal: same,
  });
}
"#;

/// Counts what a match sends.
struct Sent(AtomicU64);

impl Dispatcher for Sent {
    fn broadcast(&self, broadcast: Broadcast) -> Result<(), Refusal> {
        self.0.fetch_add(broadcast.data.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn kick(&self, _: Vec<Kicked>) -> Result<(), Refusal> {
        Ok(())
    }

    fn update_label(&self, _: &str) -> Result<(), Refusal> {
        Ok(())
    }
}

fn file(language: Language, path: &str, source: &str) -> ModuleFile {
    ModuleFile {
        language,
        path: path.to_owned(),
        file: PathBuf::from(path),
        name: path.trim_end_matches(".lua").to_owned(),
        source: source.as_bytes().to_vec(),
    }
}

/// Resident memory of this process, KB.
fn resident_kb() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let words = line.and_then(|line| line.split_whitespace().next());
    Ok(words.ok_or("no VmRSS")?.parse()?)
}

/// Processor time of this process so far, us.
fn cpu_us() -> Result<u64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let times: Vec<u64> = fields.skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(times.iter().sum::<u64>() * 10_000)
}

fn presence(number: u128) -> MatchPresence {
    MatchPresence {
        user_id: Uuid::from_u128(number),
        session_id: Uuid::from_u128(number << 64 | 7),
        username: "somebody".into(),
        node: "guildhall".into(),
        reason: 0,
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = env::args().skip(1);
    let language = words.next().unwrap_or_else(|| "lua".to_owned());
    let count: u64 = words.next().map_or(Ok(200), |word| word.parse())?;
    let seconds: u64 = words.next().map_or(Ok(5), |word| word.parse())?;
    let io = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let handle = io.handle().clone();
    actix::System::new().block_on(measure(&language, count, seconds, handle))
}

async fn measure(
    language: &str,
    count: u64,
    seconds: u64,
    io: tokio::runtime::Handle,
) -> Result<(), Box<dyn Error>> {
    let config = Arc::new(Config::default());
    let cx = Arc::new(Cx::without_database(Arc::clone(&config), io)?);
    let surroundings = Arc::new(Surroundings::of(&config));
    let program: Arc<dyn Program> = match language {
        "lua" => {
            let file = file(Language::Lua, "bench.lua", LUA);
            Arc::new(LuaProgram::new(vec![file], surroundings))
        }
        _ => {
            let file = file(Language::JavaScript, "index.js", JAVASCRIPT);
            Arc::new(JavaScriptProgram::new(vec![file], surroundings))
        }
    };
    let watchdog = Watchdog::start()?;
    let settings = PoolSettings::of(program.language(), &config.runtime);
    let (pool, registrations) =
        ScriptPool::start(program, Arc::clone(&cx), settings, &watchdog).await?;
    pool.resize(1, 1);
    let registry = Registry::new(&cx).start();
    registry.send(Register { loaded: vec![Loaded { registrations, pool }] }).await?;
    sleep(Duration::from_secs(1)).await;

    let before_kb = resident_kb()?;
    let begun = Instant::now();
    let start = begun + Duration::from_millis(2000 + 2 * count);
    let end = start + Duration::from_secs(seconds);
    let mut matches = Vec::new();
    for number in 0..count {
        let routes = cx.routes.load_full();
        // Spread over an interval, as matches begin when they begin.
        let start = start + Duration::from_micros(100_000 * number / count);
        let work = cx.match_arbiters.place()?.run(move |placed| async move {
            let identity = MatchIdentity { id: Uuid::new_v4(), node: "guildhall".into() };
            let sent = Arc::new(Sent(AtomicU64::new(0)));
            let dispatcher = Arc::clone(&sent) as Arc<dyn Dispatcher>;
            let made =
                routes.match_handlers().create(placed, "bench", None, identity, dispatcher).await;
            let (running, _) = made.map_err(|error| error.to_string())?;
            play(running, number, start, end).await.map_err(|error| error.to_string())
        });
        matches.push(actix::spawn(work));
    }
    sleep(start.saturating_duration_since(Instant::now())).await;
    let (idle_kb, cpu_before) = (resident_kb()?, cpu_us()?);
    sleep(Duration::from_millis(seconds * 1000 - 100)).await;
    let (played_kb, cpu) = (resident_kb()?, cpu_us()? - cpu_before);
    let mut intervals = Vec::new();
    for played in matches {
        intervals.extend(played.await???);
    }
    intervals.sort();
    let at =
        |part: usize| intervals.get(intervals.len() * part / 1000).copied().unwrap_or_default();
    let per_match = |kb: u64| kb.saturating_sub(before_kb) / count;
    println!("{language}: {count} matches, {} turns", intervals.len());
    println!("resident KB a match: {} idle, {} played", per_match(idle_kb), per_match(played_kb));
    #[allow(clippy::cast_precision_loss, reason = "figures to read")]
    let (turn_us, load) =
        (cpu as f64 / intervals.len() as f64, cpu as f64 / (seconds as f64 * 1e6 - 1e5));
    println!("processor: {turn_us:.1} us a turn, {load:.2} processors");
    println!(
        "interval ms: p50 {:?}, p99 {:?}, p999 {:?}, longest {:?}",
        at(500),
        at(990),
        at(999),
        at(1000).max(intervals.last().copied().unwrap_or_default())
    );
    Ok(())
}

/// Ten turns a second until the end; the times between them.
async fn play(
    mut running: RunningMatch,
    number: u64,
    start: Instant,
    end: Instant,
) -> guildhall_core::Result<Vec<Duration>> {
    let members: Vec<_> = (1..=4).map(|member| presence(u128::from(number * 4 + member))).collect();
    running.join(0, members.clone()).await?;
    let mut ticks = interval_at(start.into(), Duration::from_millis(100));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut intervals, mut before, mut tick) = (Vec::new(), None::<Instant>, 0);
    while before.is_none_or(|before| before < end) {
        ticks.tick().await;
        let now = Instant::now();
        intervals.extend(before.map(|before| now - before));
        before = Some(now);
        let messages = members.iter().map(|member| MatchMessage {
            sender: member.clone(),
            op_code: 1,
            data: Bytes::from_static(br#"{"dx":3,"dy":-2}"#),
            reliable: true,
            receive_time_ms: 1_700_000_000_000,
        });
        running.tick(tick, messages.collect()).await?;
        tick += 1;
    }
    Ok(intervals)
}
