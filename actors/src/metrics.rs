//! Metrics: every name in one place, and what records them.
//!
//! Handles are made once ([`Metrics::api`], [`Metrics::rpc`], …) and recording on them is a few
//! atomic additions: names and labels are only looked at when the page is asked for. Sums over all
//! endpoints are taken then, too.
//!
//! Source of names and labels: Nakama, `LocalMetrics`. Times are in seconds, also where the name
//! says `_ms`, as in the reference.

mod custom;
mod latency;
mod matchmaker;
mod page;
mod presence_events;
mod socket;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use guildhall_core::{Code, config::Config};
use parking_lot::Mutex;

use self::{
    custom::Custom,
    latency::{Latency, Summary},
    page::{Kind, Labels, Page, Value},
};
pub use self::{
    matchmaker::MatchmakerFigures, presence_events::PresenceEventFigures, socket::SocketFigures,
};
use crate::{
    host::Language,
    runtime::pool::{PoolStats, PoolWatch},
};

/// A metric: its name, what it is, and what it tells.
type Metric = (&'static str, Kind, &'static str);

const OVERALL_COUNT: Metric =
    ("overall_count", Kind::Counter, "API calls, RPCs and realtime messages.");
const OVERALL_RECV_BYTES: Metric = (
    "overall_recv_bytes",
    Kind::Counter,
    "Bytes received in API calls, RPCs and realtime messages.",
);
const OVERALL_SENT_BYTES: Metric =
    ("overall_sent_bytes", Kind::Counter, "Bytes sent in API calls, RPCs and realtime messages.");
const OVERALL_ERRORS: Metric =
    ("overall_errors", Kind::Counter, "Failed API calls, RPCs and realtime messages.");
const OVERALL_REQUEST_COUNT: Metric =
    ("overall_request_count", Kind::Counter, "API calls and RPCs.");
const OVERALL_REQUEST_RECV_BYTES: Metric =
    ("overall_request_recv_bytes", Kind::Counter, "Bytes received in API calls and RPCs.");
const OVERALL_REQUEST_SENT_BYTES: Metric =
    ("overall_request_sent_bytes", Kind::Counter, "Bytes sent in API calls and RPCs.");
const OVERALL_REQUEST_ERRORS: Metric =
    ("overall_request_errors", Kind::Counter, "Failed API calls and RPCs.");
const OVERALL_LATENCY_MS: Metric =
    ("overall_latency_ms", Kind::Summary, "Time taken by API calls and RPCs, in seconds.");

/// Of one endpoint, after its name; of RPCs, after `Rpc`, with the label `rpc_id`.
const METHOD_COUNT: Metric = ("_count", Kind::Counter, "Calls.");
const METHOD_RECV_BYTES: Metric = ("_recv_bytes", Kind::Counter, "Bytes received.");
const METHOD_SENT_BYTES: Metric = ("_sent_bytes", Kind::Counter, "Bytes sent.");
const METHOD_ERRORS: Metric = ("_errors", Kind::Counter, "Failed calls.");
const METHOD_LATENCY_MS: Metric = ("_latency_ms", Kind::Summary, "Time taken, in seconds.");
const METHOD_LATENCY: Metric = ("_latency", Kind::Summary, "Time taken, in seconds.");
/// Takes the place of an endpoint's name.
const RPC: &str = "Rpc";

/// With the labels `transport`, `rpc_id` and `rpc_code`.
const COUNT: Metric = ("count", Kind::Counter, "Calls by transport, name and code.");
const RECV_BYTES: Metric =
    ("recv_bytes", Kind::Counter, "Bytes received by transport, name and code.");
const SENT_BYTES: Metric = ("sent_bytes", Kind::Counter, "Bytes sent by transport, name and code.");
const LATENCY: Metric =
    ("latency", Kind::Summary, "Time taken by transport, name and code, in seconds.");

/// Of hooks: over all endpoints after `overall_before` and `overall_after`, of one endpoint after
/// `before_` and `after_` with its name.
const HOOK_METRICS: [(Metric, Figure); 4] = [
    (METHOD_COUNT, Figure::Count),
    (METHOD_ERRORS, Figure::Errors),
    (METHOD_LATENCY_MS, Figure::Latency),
    (METHOD_LATENCY, Figure::Latency),
];
const BEFORE: &str = "before";
const AFTER: &str = "after";

const LUA_RUNTIMES: Metric = ("lua_runtimes", Kind::Gauge, "Lua interpreters.");
const JAVASCRIPT_RUNTIMES: Metric =
    ("javascript_runtimes", Kind::Gauge, "JavaScript interpreters.");
const NATIVE_RUNTIMES: Metric =
    ("native_runtimes", Kind::Gauge, "Threads that call native modules.");
/// With the label `language`, and here `state`. These and the next are not the reference's.
const RUNTIME_INTERPRETERS: Metric =
    ("runtime_interpreters", Kind::Gauge, "Interpreters by language and what they do.");
const RUNTIME_QUEUE: Metric =
    ("runtime_queue_length", Kind::Gauge, "Calls that wait for an interpreter.");
const RUNTIME_CALLS: Metric = ("runtime_calls_count", Kind::Counter, "Calls of module functions.");
const RUNTIME_REFUSED: Metric =
    ("runtime_refused_count", Kind::Counter, "Calls refused because the queue was full.");
const RUNTIME_MADE: Metric = ("runtime_made_count", Kind::Counter, "Interpreters made.");
const RUNTIME_REPLACED: Metric = (
    "runtime_replaced_count",
    Kind::Counter,
    "Interpreters replaced after a fault, a limit or a deadline.",
);
const RUNTIME_DEADLINES: Metric =
    ("runtime_deadline_count", Kind::Counter, "Calls whose deadline passed.");
const RUNTIME_LOST: Metric =
    ("runtime_lost_threads", Kind::Gauge, "Threads that did not come back after a deadline.");

const DROPPED_EVENTS: Metric =
    ("dropped_events", Kind::Counter, "Events dropped because the queue was full.");
const COLLECTION_ERRORS: Metric = (
    "metrics_collection_errors_count",
    Kind::Counter,
    "Values of modules that could not be recorded.",
);

const DB_MAX_OPEN_CONNS: Metric =
    ("db_max_open_conns", Kind::Gauge, "Most connections to the database.");
const DB_TOTAL_OPEN_CONNS: Metric =
    ("db_total_open_conns", Kind::Gauge, "Connections to the database.");
const DB_IN_USE_CONNS: Metric =
    ("db_in_use_conns", Kind::Gauge, "Connections to the database in use.");
const DB_IDLE_CONNS: Metric =
    ("db_idle_conns", Kind::Gauge, "Connections to the database at rest.");

const SESSIONS: Metric = ("sessions", Kind::Gauge, "Open sockets.");
const PRESENCES: Metric = ("presences", Kind::Gauge, "Presences on streams, the hidden ones too.");
const AUTHORITATIVE_MATCHES: Metric =
    ("authoritative_matches", Kind::Gauge, "Matches that handlers run.");
const PARTIES: Metric = ("parties", Kind::Gauge, "Parties.");

/// The label that names this server, on all rows.
const NODE_NAME: &str = "node_name";
/// The label of `metrics.namespace`, on all rows where it is set.
const NAMESPACE: &str = "namespace";

/// The way a call came in: the label `transport`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// An endpoint, over HTTP.
    Api,
    /// An RPC, over HTTP.
    ApiRpc,
    /// An RPC, over a socket.
    SocketRpc,
}

impl Transport {
    const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::ApiRpc => "api_rpc",
            Self::SocketRpc => "ws_rpc",
        }
    }
}

/// Codes that are told apart: gRPC's, and one place for all others.
const CODES: [&str; 18] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
    "Other",
];

/// Counts the calls of one endpoint, RPC or hook.
#[derive(Debug, Default)]
pub struct Calls {
    by_code: [OnceLock<Box<Series>>; CODES.len()],
}

#[derive(Debug, Default)]
struct Series {
    recv_bytes: AtomicU64,
    sent_bytes: AtomicU64,
    latency: Latency,
}

impl Calls {
    /// A call has ended with this code after this time; bytes are those of the bodies.
    pub fn record(&self, code: Code, elapsed: Duration, recv_bytes: usize, sent_bytes: usize) {
        let place =
            usize::try_from(code.0).map_or(CODES.len() - 1, |code| code.min(CODES.len() - 1));
        let series = self.by_code[place].get_or_init(Box::default);
        series.recv_bytes.fetch_add(recv_bytes as u64, Relaxed);
        series.sent_bytes.fetch_add(sent_bytes as u64, Relaxed);
        series.latency.record(elapsed);
    }

    /// The codes that occurred, with their names.
    fn series(&self) -> impl Iterator<Item = (&'static str, &Series)> {
        let all = CODES.into_iter().zip(&self.by_code);
        all.filter_map(|(code, series)| Some((code, series.get()?.as_ref())))
    }

    fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for (code, series) in self.series() {
            totals.recv_bytes += series.recv_bytes.load(Relaxed);
            totals.sent_bytes += series.sent_bytes.load(Relaxed);
            if code != CODES[0] {
                totals.errors += series.latency.count();
            }
            totals.latency.add(&series.latency.summary());
        }
        totals
    }
}

/// Sums over calls.
#[derive(Clone, Debug, Default)]
struct Totals {
    recv_bytes: u64,
    sent_bytes: u64,
    errors: u64,
    latency: Summary,
}

/// One of the figures of [`Totals`].
#[derive(Clone, Copy)]
enum Figure {
    Count,
    RecvBytes,
    SentBytes,
    Errors,
    Latency,
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.recv_bytes += other.recv_bytes;
        self.sent_bytes += other.sent_bytes;
        self.errors += other.errors;
        self.latency.add(&other.latency);
    }

    fn value(&self, figure: Figure) -> Value {
        match figure {
            Figure::Count => Value::Whole(self.latency.count),
            Figure::RecvBytes => Value::Whole(self.recv_bytes),
            Figure::SentBytes => Value::Whole(self.sent_bytes),
            Figure::Errors => Value::Whole(self.errors),
            Figure::Latency => Value::Summary(self.latency.clone()),
        }
    }
}

/// The sums over all calls and realtime messages.
const OVERALL_METRICS: [(Metric, Figure); 4] = [
    (OVERALL_COUNT, Figure::Count),
    (OVERALL_RECV_BYTES, Figure::RecvBytes),
    (OVERALL_SENT_BYTES, Figure::SentBytes),
    (OVERALL_ERRORS, Figure::Errors),
];

/// The sums over all calls.
const OVERALL_REQUEST_METRICS: [(Metric, Figure); 5] = [
    (OVERALL_REQUEST_COUNT, Figure::Count),
    (OVERALL_REQUEST_RECV_BYTES, Figure::RecvBytes),
    (OVERALL_REQUEST_SENT_BYTES, Figure::SentBytes),
    (OVERALL_REQUEST_ERRORS, Figure::Errors),
    (OVERALL_LATENCY_MS, Figure::Latency),
];

const METHOD_METRICS: [(Metric, Figure); 5] = [
    (METHOD_COUNT, Figure::Count),
    (METHOD_RECV_BYTES, Figure::RecvBytes),
    (METHOD_SENT_BYTES, Figure::SentBytes),
    (METHOD_ERRORS, Figure::Errors),
    (METHOD_LATENCY_MS, Figure::Latency),
];

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `count`.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    /// What was counted.
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Calls by name.
type ByName = BTreeMap<Arc<str>, Arc<Calls>>;

/// All metrics of a server.
pub struct Metrics {
    prefix: String,
    common: Vec<(String, String)>,
    calls: Mutex<BTreeMap<Transport, ByName>>,
    before: Mutex<ByName>,
    after: Mutex<ByName>,
    pools: Mutex<Vec<PoolWatch>>,
    custom: Custom,
    /// Events dropped because the queue was full.
    pub dropped_events: Counter,
    /// What happens in the matchmaker.
    pub matchmaker: MatchmakerFigures,
    /// What became of presence events.
    pub presence_events: PresenceEventFigures,
    /// What happened on sockets.
    pub socket: SocketFigures,
}

/// What there is at the moment, as others keep it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gauges {
    /// Connections to the database: open, at rest, and the most there may be.
    pub db: (usize, usize, usize),
    /// Open sockets.
    pub sessions: usize,
    /// Presences on streams.
    pub presences: usize,
    /// Authoritative matches.
    pub matches: usize,
    /// Parties.
    pub parties: usize,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Metrics {
    /// The metrics of the server that `config` describes; nothing recorded yet.
    pub fn new(config: &Config) -> Self {
        let mut common = vec![(NODE_NAME.to_owned(), config.name.clone())];
        if !config.metrics.namespace.is_empty() {
            common.push((NAMESPACE.to_owned(), config.metrics.namespace.clone()));
        }
        Self {
            prefix: config.metrics.prefix.clone(),
            common,
            calls: Mutex::default(),
            before: Mutex::default(),
            after: Mutex::default(),
            pools: Mutex::default(),
            custom: Custom::new(&config.metrics.custom_prefix, config.metrics.custom_scope_limit),
            dropped_events: Counter::default(),
            matchmaker: MatchmakerFigures::default(),
            presence_events: PresenceEventFigures::default(),
            socket: SocketFigures::default(),
        }
    }

    /// Where calls of the endpoint with this published name are recorded.
    pub fn api(&self, endpoint: &str) -> Arc<Calls> {
        self.calls_of(Transport::Api, endpoint)
    }

    /// Where calls of the RPC `id` (lower case) are recorded. Calls of RPCs that do not exist
    /// belong under the empty id, since clients choose theirs.
    pub fn rpc(&self, transport: Transport, id: &str) -> Arc<Calls> {
        self.calls_of(transport, id)
    }

    fn calls_of(&self, transport: Transport, name: &str) -> Arc<Calls> {
        named(self.calls.lock().entry(transport).or_default(), name)
    }

    /// Where runs of an endpoint's before hook are recorded.
    pub fn before(&self, endpoint: &str) -> Arc<Calls> {
        named(&mut self.before.lock(), endpoint)
    }

    /// Where runs of an endpoint's after hook are recorded.
    pub fn after(&self, endpoint: &str) -> Arc<Calls> {
        named(&mut self.after.lock(), endpoint)
    }

    /// Shows what `pool` does, for as long as it lives.
    pub fn watch(&self, pool: PoolWatch) {
        let mut pools = self.pools.lock();
        pools.retain(|pool| pool.stats().is_some());
        pools.push(pool);
    }

    /// `nk.metrics_counter_add`: a negative `delta` is ignored, and counted as an error.
    pub fn custom_counter_add(&self, name: &str, tags: &[(&str, &str)], delta: i64) {
        self.custom.counter_add(name, tags, delta);
    }

    /// `nk.metrics_gauge_set`.
    pub fn custom_gauge_set(&self, name: &str, tags: &[(&str, &str)], value: f64) {
        self.custom.gauge_set(name, tags, value);
    }

    /// `nk.metrics_timer_record`.
    pub fn custom_timer_record(&self, name: &str, tags: &[(&str, &str)], elapsed: Duration) {
        self.custom.timer_record(name, tags, elapsed);
    }

    /// The page in the text format of Prometheus, version 0.0.4.
    pub fn page(&self, now: Gauges) -> String {
        let mut page = Page::new(&self.prefix, self.common.clone());
        self.write_calls(&mut page);
        write_hooks(&mut page, BEFORE, &self.before.lock());
        write_hooks(&mut page, AFTER, &self.after.lock());
        self.write_pools(&mut page);
        page.one(DROPPED_EVENTS, Value::Whole(self.dropped_events.value()));
        self.socket.write(&mut page);
        self.matchmaker.write(&mut page);
        self.presence_events.write(&mut page);
        page.one(SESSIONS, Value::Whole(now.sessions as u64));
        page.one(PRESENCES, Value::Whole(now.presences as u64));
        page.one(AUTHORITATIVE_MATCHES, Value::Whole(now.matches as u64));
        page.one(PARTIES, Value::Whole(now.parties as u64));
        let (open, idle, max) = now.db;
        page.one(DB_MAX_OPEN_CONNS, Value::Whole(max as u64));
        page.one(DB_TOTAL_OPEN_CONNS, Value::Whole(open as u64));
        page.one(DB_IN_USE_CONNS, Value::Whole(open.saturating_sub(idle) as u64));
        page.one(DB_IDLE_CONNS, Value::Whole(idle as u64));
        self.custom.write(&mut page, COLLECTION_ERRORS);
        page.finish()
    }

    fn write_calls(&self, page: &mut Page) {
        let calls = self.calls.lock();
        let mut overall = Totals::default();
        let mut rpcs: BTreeMap<&str, Totals> = BTreeMap::new();
        for (&transport, by_name) in calls.iter() {
            for (name, calls) in by_name {
                let totals = calls.totals();
                if totals.latency.count == 0 {
                    continue;
                }
                overall.add(&totals);
                if transport == Transport::Api {
                    for ((suffix, kind, help), figure) in METHOD_METRICS {
                        page.named(&format!("{name}{suffix}"), kind, help, totals.value(figure));
                    }
                } else {
                    rpcs.entry(name).or_default().add(&totals);
                }
            }
        }
        for ((suffix, kind, help), figure) in METHOD_METRICS {
            let rows: Vec<_> =
                rpcs.iter().map(|(id, totals)| ([("rpc_id", *id)], totals.value(figure))).collect();
            let rows = rows.iter().map(|(labels, value)| (labels.as_slice(), value.clone()));
            page.family(&format!("{RPC}{suffix}"), kind, help, rows);
        }
        for (metric, figure) in OVERALL_METRICS {
            let mut value = overall.value(figure);
            if let Value::Whole(whole) = &mut value {
                *whole += self.socket.overall(figure);
            }
            page.one(metric, value);
        }
        for (metric, figure) in OVERALL_REQUEST_METRICS {
            page.one(metric, overall.value(figure));
        }
        write_by_code(page, &calls);
    }

    fn write_pools(&self, page: &mut Page) {
        let stats: Vec<(Language, PoolStats)> = self
            .pools
            .lock()
            .iter()
            .filter_map(|pool| Some((pool.language(), pool.stats()?)))
            .collect();
        for (language, stats) in &stats {
            let metric = match language {
                Language::Native => NATIVE_RUNTIMES,
                Language::Lua => LUA_RUNTIMES,
                Language::JavaScript => JAVASCRIPT_RUNTIMES,
            };
            page.one(metric, Value::Whole(stats.total as u64));
        }
        let rows: Vec<_> = stats
            .iter()
            .flat_map(|(language, stats)| {
                let running = stats.busy().saturating_sub(stats.waiting);
                [("idle", stats.idle), ("running", running), ("waiting", stats.waiting)]
                    .into_iter()
                    .chain([("starting", stats.starting)])
                    .map(|(state, count)| {
                        ([("language", language.name()), ("state", state)], count)
                    })
            })
            .collect();
        let rows =
            rows.iter().map(|(labels, count)| (labels.as_slice(), Value::Whole(*count as u64)));
        let (name, kind, help) = RUNTIME_INTERPRETERS;
        page.family(name, kind, help, rows);

        type Read = fn(&PoolStats) -> u64;
        let figures: [(Metric, Read); 7] = [
            (RUNTIME_QUEUE, |stats| stats.queued as u64),
            (RUNTIME_CALLS, |stats| stats.calls),
            (RUNTIME_REFUSED, |stats| stats.refused),
            (RUNTIME_MADE, |stats| stats.made),
            (RUNTIME_REPLACED, |stats| stats.replaced),
            (RUNTIME_DEADLINES, |stats| stats.deadlines),
            (RUNTIME_LOST, |stats| stats.lost as u64),
        ];
        for ((name, kind, help), read) in figures {
            let rows: Vec<_> = stats
                .iter()
                .map(|(language, stats)| {
                    ([("language", language.name())], Value::Whole(read(stats)))
                })
                .collect();
            let rows = rows.iter().map(|(labels, value)| (labels.as_slice(), value.clone()));
            page.family(name, kind, help, rows);
        }
    }
}

impl Page {
    /// A metric with one row and no labels of its own.
    fn one(&mut self, (name, kind, help): Metric, value: Value) {
        self.named(name, kind, help, value);
    }

    fn named(&mut self, name: &str, kind: Kind, help: &str, value: Value) {
        self.family(name, kind, help, [(&[] as Labels<'_>, value)]);
    }
}

fn named(by_name: &mut ByName, name: &str) -> Arc<Calls> {
    match by_name.get(name) {
        Some(calls) => Arc::clone(calls),
        None => Arc::clone(by_name.entry(name.into()).or_default()),
    }
}

fn write_by_code(page: &mut Page, calls: &BTreeMap<Transport, ByName>) {
    let rows: Vec<_> = calls
        .iter()
        .flat_map(|(transport, by_name)| {
            by_name.iter().map(move |(name, calls)| (transport, name, calls))
        })
        .flat_map(|(transport, name, calls)| {
            calls.series().map(move |(code, series)| {
                let labels =
                    [("transport", transport.name()), ("rpc_id", name), ("rpc_code", code)];
                (labels, series)
            })
        })
        .collect();
    type Read = fn(&Series) -> Value;
    let figures: [(Metric, Read); 4] = [
        (COUNT, |series| Value::Whole(series.latency.count())),
        (RECV_BYTES, |series| Value::Whole(series.recv_bytes.load(Relaxed))),
        (SENT_BYTES, |series| Value::Whole(series.sent_bytes.load(Relaxed))),
        (LATENCY, |series| Value::Summary(series.latency.summary())),
    ];
    for ((name, kind, help), read) in figures {
        page.family(
            name,
            kind,
            help,
            rows.iter().map(|(labels, series)| (labels.as_slice(), read(series))),
        );
    }
}

fn write_hooks(page: &mut Page, point: &str, hooks: &ByName) {
    let mut overall = Totals::default();
    for (name, calls) in hooks {
        let totals = calls.totals();
        if totals.latency.count == 0 {
            continue;
        }
        overall.add(&totals);
        for ((suffix, kind, help), figure) in HOOK_METRICS {
            page.named(&format!("{point}_{name}{suffix}"), kind, help, totals.value(figure));
        }
    }
    for ((suffix, kind, help), figure) in HOOK_METRICS {
        page.named(&format!("overall_{point}{suffix}"), kind, help, overall.value(figure));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> Metrics {
        let mut config = Config { name: "n1".to_owned(), ..Config::default() };
        config.metrics.namespace = "space".to_owned();
        Metrics::new(&config)
    }

    /// The value of a row, named without the common labels.
    fn value(page: &str, row: &str) -> Option<String> {
        let common = "node_name=\"n1\",namespace=\"space\"";
        let plain =
            page.replace(&format!("{{{common},"), "{").replace(&format!("{{{common}}}"), "");
        let line = plain
            .lines()
            .find(|line| line.strip_prefix(row).is_some_and(|rest| rest.starts_with(' ')))?;
        Some(line[row.len() + 1..].to_owned())
    }

    #[test]
    fn calls_are_counted_by_name_code_and_overall() {
        let metrics = metrics();
        let get = metrics.api("GetAccount");
        get.record(Code::Ok, Duration::from_millis(2), 10, 100);
        get.record(Code::NotFound, Duration::from_millis(4), 1, 2);
        metrics.rpc(Transport::ApiRpc, "echo").record(Code::Ok, Duration::from_millis(1), 5, 5);
        metrics.rpc(Transport::SocketRpc, "echo").record(Code(77), Duration::ZERO, 0, 0);
        let page = metrics.page(Gauges::default());
        for (row, expected) in [
            ("nakama_overall_count", "4"),
            ("nakama_overall_request_errors", "2"),
            ("nakama_overall_recv_bytes", "16"),
            ("nakama_overall_latency_ms_count", "4"),
            ("nakama_GetAccount_count", "2"),
            ("nakama_GetAccount_errors", "1"),
            ("nakama_GetAccount_sent_bytes", "102"),
            ("nakama_Rpc_count{rpc_id=\"echo\"}", "2"),
            ("nakama_Rpc_errors{rpc_id=\"echo\"}", "1"),
            ("nakama_count{transport=\"api\",rpc_id=\"GetAccount\",rpc_code=\"NotFound\"}", "1"),
            ("nakama_count{transport=\"ws_rpc\",rpc_id=\"echo\",rpc_code=\"Other\"}", "1"),
        ] {
            assert_eq!(value(&page, row).as_deref(), Some(expected), "{row}\n{page}");
        }
        assert_eq!(value(&page, "nakama_Rpc_count"), None);
    }

    #[test]
    fn messages_count_as_calls_but_not_as_requests() {
        let metrics = metrics();
        metrics.api("GetAccount").record(Code::Ok, Duration::ZERO, 10, 100);
        metrics.socket.received(5);
        metrics.socket.sent(7);
        metrics.socket.failed();
        metrics.socket.opened.add(1);
        metrics.presence_events.told(Duration::from_millis(500), Duration::from_millis(250));
        let page = metrics.page(Gauges {
            db: (3, 1, 4),
            sessions: 1,
            presences: 2,
            matches: 3,
            parties: 4,
        });
        for (row, expected) in [
            ("nakama_overall_count", "3"),
            ("nakama_overall_recv_bytes", "15"),
            ("nakama_overall_sent_bytes", "107"),
            ("nakama_overall_errors", "1"),
            ("nakama_overall_request_count", "1"),
            ("nakama_overall_request_errors", "0"),
            ("nakama_overall_message_count", "2"),
            ("nakama_overall_message_recv_bytes", "5"),
            ("nakama_overall_message_sent_bytes", "7"),
            ("nakama_overall_message_errors", "1"),
            ("nakama_socket_ws_opened", "1"),
            ("nakama_socket_ws_closed", "0"),
            ("nakama_presence_event_count", "1"),
            ("nakama_presence_event_dequeue_latency_ms_sum", "0.5"),
            ("nakama_presence_event_process_latency_ms_sum", "0.25"),
            ("nakama_presence_event_process_latency_ms_count", "1"),
            ("nakama_sessions", "1"),
            ("nakama_presences", "2"),
            ("nakama_authoritative_matches", "3"),
            ("nakama_parties", "4"),
            ("nakama_db_in_use_conns", "2"),
        ] {
            assert_eq!(value(&page, row).as_deref(), Some(expected), "{row}\n{page}");
        }
    }

    #[test]
    fn what_was_never_called_is_not_shown() {
        let metrics = metrics();
        let _handle = metrics.api("GetAccount");
        assert_eq!(value(&metrics.page(Gauges::default()), "nakama_GetAccount_count"), None);
        assert_eq!(
            value(&metrics.page(Gauges::default()), "nakama_overall_count").as_deref(),
            Some("0")
        );
    }

    #[test]
    fn hooks_are_counted_apart() {
        let metrics = metrics();
        metrics.before("GetAccount").record(Code::Internal, Duration::from_millis(1), 0, 0);
        metrics.after("GetAccount").record(Code::Ok, Duration::from_millis(1), 0, 0);
        let page = metrics.page(Gauges::default());
        assert_eq!(value(&page, "nakama_before_GetAccount_errors").as_deref(), Some("1"));
        assert_eq!(value(&page, "nakama_overall_before_errors").as_deref(), Some("1"));
        assert_eq!(value(&page, "nakama_overall_after_errors").as_deref(), Some("0"));
        assert_eq!(value(&page, "nakama_after_GetAccount_latency_count").as_deref(), Some("1"));
    }

    #[test]
    fn a_name_stands_for_one_family_only() {
        let metrics = metrics();
        metrics.api("GetAccount").record(Code::Ok, Duration::ZERO, 0, 0);
        metrics.before("GetAccount").record(Code::Ok, Duration::ZERO, 0, 0);
        metrics.rpc(Transport::ApiRpc, "a").record(Code::Ok, Duration::ZERO, 0, 0);
        metrics.custom_counter_add("x", &[], 1);
        let page = metrics.page(Gauges::default());
        let mut names: Vec<_> = page.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "{page}");
    }
}
