//! A soak: many sockets join, chat, match, party and drop at random, some of them slow, some sending
//! garbage. At the end of each round all stop, and what each was told must agree with what the others
//! know of themselves and with the server; then all leave, and nothing may be left.
//!
//! `make soak SECS=600 SOCKETS=1000` runs it for long. The environment says more:
//!
//! | variable | what | default |
//! | --- | --- | --- |
//! | `SOAK_SECS` | how long they play | 20 |
//! | `SOAK_SOCKETS` | how many there are | 100 |
//! | `SOAK_SEED` | what chance begins with; it is printed | the time |
//! | `SOAK_PAUSE_MS` | the mean time between two things that a client does | by the sockets |
//! | `SOAK_SINGLE` | 1: with one socket a user, one match and one party a session | 0 |
//! | `SERVER_PROGRAM` | the server | the one that cargo built |
//!
//! Each client's choices come from the seed; what they meet depends on the clock as well.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod actions;
mod check;
mod client;
mod garbage;
#[allow(dead_code, reason = "the other tests use more of it")]
#[path = "../support/mod.rs"]
mod support;
mod surprises;
mod view;
mod wire;
mod world;

use std::{
    collections::BTreeSet,
    env, fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use rand::{SeedableRng as _, rngs::StdRng};
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

use self::{
    check::{Difference, Truth, metric, rpc},
    client::{CLOSED_FULL, Client, STOPPED},
    garbage::Vandal,
    support::{Setup, resident_mb},
    view::Place,
    world::{Phase, Plan, Told, World},
};

/// How long clients may take to do what they are told to do.
const OBEDIENCE: Duration = Duration::from_secs(120);
/// How often is looked again before a difference counts, and how long after (ms): events may be on
/// their way.
const LOOKS: [u64; 6] = [300, 500, 1000, 2000, 3000, 5000];
/// How much of memory may be more than after the first round, in parts of a hundred and MB.
const MORE_MEMORY: (u64, u64) = (20, 16);

fn number(name: &str, default: u64) -> u64 {
    match env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")),
        Err(_) => default,
    }
}

/// Lets this process, and the server that it starts, have as many sockets as the system allows.
fn allow_sockets() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

/// The native sample, where it is built beside the server.
fn native_sample() -> Option<Vec<u8>> {
    let beside = Path::new(env!("CARGO_BIN_EXE_guildhall")).with_file_name("librust_hello.so");
    fs::read(beside).ok()
}

#[test]
fn clients_at_random_leave_nothing_behind() {
    let (secs, sockets) = (number("SOAK_SECS", 20), number("SOAK_SOCKETS", 100));
    soak(secs, sockets as usize, number("SOAK_SINGLE", 0) != 0);
}

#[test]
fn clients_with_one_socket_match_and_party_each_leave_nothing_behind() {
    soak(10, 60, true);
}

fn soak(secs: u64, sockets: usize, single: bool) {
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    let seed = number("SOAK_SEED", seed as u64);
    let pause_ms = number("SOAK_PAUSE_MS", (sockets as u64).max(200));
    eprintln!(
        "SOAK_SEED={seed} SOAK_SECS={secs} SOAK_SOCKETS={sockets} SOAK_PAUSE_MS={pause_ms} \
         SOAK_SINGLE={}",
        u8::from(single)
    );
    allow_sockets();
    let mut setup = Setup::new()
        .module("modules.lua", include_str!("modules.lua"))
        .module("hall.lua", include_str!("hall.lua"))
        .module("index.js", include_str!("index.js"))
        .flag("--matchmaker.interval_sec=1")
        .flag("--match.max_empty_sec=3")
        .flag("--party.idle_check_interval_ms=1000")
        .flag("--socket.ping_period_ms=5000")
        .flag("--socket.pong_wait_ms=20000");
    if single {
        for key in ["single_socket", "single_match", "single_party"] {
            setup = setup.flag(format!("--session.{key}=true"));
        }
    }
    let sample = native_sample();
    let has_native = sample.is_some();
    match sample {
        Some(library) => setup = setup.module("rust_hello.so", library),
        None => eprintln!("without native matches: the sample is not built"),
    }
    let mut server = setup.start();
    let (port, metrics_port) = (server.port, server.metrics_port);
    let rounds = (secs / 60).clamp(2, 10);
    let round = Duration::from_millis(secs * 1000 / rounds);
    let plan = Plan { seed, sockets, pause_ms, port, metrics_port, has_native, single, round };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut soak = Soak::begin(&runtime, server.pid(), plan);
    let world = Arc::clone(&soak.world);
    runtime.block_on(soak.run(rounds));
    // With all of them connected.
    let connected = runtime.block_on(soak.settle());
    let began = Instant::now();
    server.stop();
    soak.say(&format!("{connected} sockets, stopped in {:?}", began.elapsed()));
    runtime.block_on(soak.end(connected));
    let log = server.log();
    let bad = log.lines().filter(|line| {
        line.contains("panic") || line.contains("\"level\":\"error\"") || !line.starts_with('{')
    });
    for line in bad.take(20) {
        world.finding(format!("in the log: {line}"));
    }
    eprintln!("{} lines of log, the last: {:?}", log.lines().count(), log.lines().last());
    let found = world.found();
    assert!(found == 0, "{found} findings, SOAK_SEED={seed}\nthe end of the log:\n{}", tail(&log));
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// A run: the clients, and who tells them what to do.
struct Soak {
    /// The server's process.
    pid: u32,
    world: Arc<World>,
    phases: watch::Sender<Phase>,
    told: mpsc::UnboundedReceiver<Told>,
    /// How many answer.
    clients: usize,
    /// The number of the last request.
    requests: u32,
    /// Where somebody was once.
    places: BTreeSet<Place>,
    began: Instant,
}

impl Soak {
    fn begin(runtime: &tokio::runtime::Runtime, pid: u32, plan: Plan) -> Self {
        let world = Arc::new(runtime.block_on(World::new(plan)));
        let (phases, watched) = watch::channel(Phase::Leave(0));
        let (tell, told) = mpsc::unbounded_channel();
        let vandals = (plan.sockets / 10).max(1);
        for index in 0..plan.sockets {
            let client = Client::new(index, &world, watched.clone(), tell.clone());
            runtime.spawn(client.run());
        }
        for index in plan.sockets..plan.sockets + vandals {
            let vandal = Vandal::new(index, &world, watched.clone(), tell.clone());
            runtime.spawn(vandal.run());
        }
        Self {
            pid,
            world,
            phases,
            told,
            clients: plan.sockets + vandals,
            requests: 0,
            places: BTreeSet::new(),
            began: Instant::now(),
        }
    }

    /// Lets them play for so many rounds; after each, all is looked at.
    async fn run(&mut self, rounds: u64) {
        self.collect(Phase::Leave(0)).await;
        self.say(&format!("signed in, {} MB", resident_mb(self.pid)));
        let mut first = None;
        for round in 1..=rounds {
            self.phases.send_replace(Phase::Play);
            sleep(self.world.plan.round).await;
            self.look(round).await;
            self.deliver(round).await;
            self.ask(Phase::Leave).await;
            self.empty(round).await;
            let resident = resident_mb(self.pid);
            self.say(&format!("round {round}: all have left, {resident} MB"));
            let (percent, more) = MORE_MEMORY;
            let first = *first.get_or_insert(resident);
            let most = first + first * percent / 100 + more;
            if resident > most {
                self.world.finding(format!(
                    "{resident} MB after round {round}, {first} MB after the first"
                ));
            }
        }
    }

    /// Lets them come once more, and waits until all are quiet: how many are connected.
    async fn settle(&mut self) -> u64 {
        self.phases.send_replace(Phase::Play);
        sleep(Duration::from_millis(self.world.plan.pause_ms * 4)).await;
        self.ask(Phase::Tell).await;
        let told = self.ask(Phase::Tell).await;
        told.iter().filter(|told| told.view.is_some()).count() as u64
    }

    /// The server has stopped, which all who were connected were told.
    async fn end(self, connected: u64) {
        let mut told = 0;
        for wait in LOOKS {
            sleep(Duration::from_millis(wait)).await;
            told = self.world.counted(STOPPED);
            if told == connected {
                break;
            }
        }
        if told != connected {
            self.world.finding(format!("{told} of {connected} were told that the server stops"));
        }
        self.phases.send_replace(Phase::End);
        for (what, count) in self.world.done.lock().iter() {
            eprintln!("{count:>9} {what}");
        }
        if self.world.counted(CLOSED_FULL) == 0 && self.world.plan.sockets >= 100 {
            self.world.finding("no slow client was closed for its full queue");
        }
    }

    fn say(&self, what: &str) {
        eprintln!("{:8.1} s  {what}", self.began.elapsed().as_secs_f64());
    }

    /// Tells all clients to do something, and gives back what they say then.
    async fn ask(&mut self, phase: impl Fn(u32) -> Phase) -> Vec<Told> {
        self.requests += 1;
        let phase = phase(self.requests);
        self.phases.send_replace(phase);
        self.collect(phase).await
    }

    async fn collect(&mut self, phase: Phase) -> Vec<Told> {
        let until = tokio::time::Instant::now() + OBEDIENCE;
        let mut all: Vec<Told> = Vec::with_capacity(self.clients);
        while all.len() < self.clients {
            match tokio::time::timeout_at(until, self.told.recv()).await {
                Ok(Some(told)) if told.request == phase => all.push(told),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => {
                    let silent = (0..self.clients)
                        .filter(|client| !all.iter().any(|told| told.client == *client));
                    let silent: Vec<usize> = silent.collect();
                    self.world.finding(format!("{phase:?} is not done by clients {silent:?}"));
                    break;
                }
            }
        }
        all
    }

    /// What each was told agrees with what the others know, and with the server.
    async fn look(&mut self, round: u64) {
        // The first look only waits until all have stopped.
        self.ask(Phase::Tell).await;
        let mut wrong = Vec::new();
        for wait in LOOKS {
            sleep(Duration::from_millis(wait)).await;
            let told = self.ask(Phase::Tell).await;
            let truth = Truth::of(&told);
            self.places.extend(truth.places.keys().cloned());
            wrong = truth.views();
            let users = self.world.all_ids();
            wrong.extend(truth.tracker(self.world.plan, &self.places, &users).await);
            if wrong.is_empty() {
                let (sessions, places) = (truth.sessions(), truth.places.len());
                let (presences, resident) = (truth.presences(), resident_mb(self.pid));
                self.say(&format!(
                    "round {round}: {sessions} sockets agree on {presences} presences, {places} \
                     places, {resident} MB"
                ));
                break;
            }
        }
        self.report(round, &wrong);
    }

    fn report(&self, round: u64, wrong: &[Difference]) {
        for difference in wrong {
            let about = &difference.about;
            let histories: Vec<String> = difference
                .histories
                .iter()
                .map(|history| history.lock().about(about, 30))
                .collect();
            self.world.finding(format!(
                "round {round}: {}\n{}",
                difference.what,
                histories.join("\n    --\n")
            ));
        }
    }

    /// Whatever is said where somebody is reaches all who are there, once and in order; and what is
    /// said in a channel is kept, once and in order, where its sender asked for that.
    async fn deliver(&mut self, round: u64) {
        self.ask(Phase::Mark).await;
        let mark = self.requests;
        let mut wrong = Vec::new();
        for wait in LOOKS {
            sleep(Duration::from_millis(wait)).await;
            let told = self.ask(Phase::Tell).await;
            let truth = Truth::of(&told);
            wrong = truth.marks(mark);
            if wrong.is_empty() {
                break;
            }
        }
        let told = self.ask(Phase::Tell).await;
        let mut rng = StdRng::seed_from_u64(self.world.plan.seed.wrapping_add(round));
        wrong.extend(Truth::of(&told).histories(self.world.plan, mark, &mut rng).await);
        self.report(round, &wrong);
    }

    /// Nothing is left where all have left.
    async fn empty(&mut self, round: u64) {
        let plan = self.world.plan;
        let mut left = Vec::new();
        for wait in LOOKS {
            sleep(Duration::from_millis(wait)).await;
            left.clear();
            for name in
                ["sessions", "presences", "parties", "authoritative_matches", "matchmaker_tickets"]
            {
                let value = metric(plan, name).await;
                if value != Some(0) {
                    left.push(format!("metric {name} is {value:?}"));
                }
            }
            let matches = rpc(plan, "matches", &serde_json::json!("")).await;
            if matches != "" {
                left.push(format!("matches: {matches}"));
            }
            let nobody = Truth::of(&[]);
            let users = self.world.all_ids();
            let present = nobody.tracker(plan, &self.places, &users).await;
            left.extend(present.into_iter().map(|difference| difference.what));
            if left.is_empty() {
                // Memory is given back a little later.
                sleep(Duration::from_millis(500)).await;
                return;
            }
        }
        for left in left {
            self.world.finding(format!("round {round}: left behind: {left}"));
        }
    }
}
