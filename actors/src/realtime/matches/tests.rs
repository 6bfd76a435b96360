//! Matches whose handler does as a test says: what becomes of full queues, of those who give up, and
//! of matches when the server stops.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    sync::{Arc, mpsc},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use guildhall_core::{
    Caller, Code, Result, Status,
    caller::{TraceId, User},
    config::Config,
};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use super::*;
use crate::{
    cx::Cx,
    host::Language,
    realtime::{
        presence_events,
        session::{Format, PresenceReason},
    },
    registry::Routes,
    runtime::{
        call::{Call, Output},
        matches::{
            Broadcast, JoinAnswer, MatchCall, MatchHandlers, MatchInit, MatchOutput, MatchScript,
            MatchStart, Refusal as Refused,
        },
        pool::{PoolSettings, ScriptPool},
        script::{Interpreter, Invoked, LoadError, Program, Started},
        seat::Seat,
        watchdog::Watchdog,
    },
};

/// What a handler was called for, as a word.
type Seen = Arc<Mutex<Vec<String>>>;

/// A program of one match handler: it notes its calls, and waits at a gate in its loop.
struct Scripted {
    seen: Seen,
    gate: Arc<Mutex<mpsc::Receiver<()>>>,
}

struct Script {
    seen: Seen,
    gate: Arc<Mutex<mpsc::Receiver<()>>>,
    start: MatchStart,
    gated: bool,
}

struct Silent;

impl Interpreter for Silent {
    fn call(&mut self, _: Call) -> Invoked {
        Invoked { result: Ok(Output::Nothing), spoiled: false }
    }
}

impl Program for Scripted {
    fn language(&self) -> Language {
        Language::Lua
    }

    fn start(&self, _: Arc<Seat>) -> Result<Started, LoadError> {
        Ok(Started { interpreter: Box::new(Silent), registrations: Vec::new() })
    }

    fn start_match(&self, start: MatchStart) -> Result<Option<Box<dyn MatchScript>>> {
        let gated = start.name == "gated";
        let (seen, gate) = (Arc::clone(&self.seen), Arc::clone(&self.gate));
        Ok(Some(Box::new(Script { seen, gate, start, gated })))
    }
}

impl Script {
    fn say(&self, data: &str, deferred: bool) -> Result<(), Refused> {
        self.start.dispatcher.broadcast(Broadcast {
            op_code: 1,
            data: data.to_owned().into(),
            recipients: None,
            sender: None,
            reliable: true,
            deferred,
        })
    }
}

impl MatchScript for Script {
    fn call(&mut self, tick: i64, call: MatchCall) -> Result<MatchOutput> {
        let (note, output) = match call {
            MatchCall::Init { .. } => {
                let init = MatchInit { tick_rate_hz: 20, label: "first".to_owned() };
                ("init".to_owned(), MatchOutput::Begun(init))
            }
            MatchCall::JoinAttempt(attempt) => {
                if attempt.metadata.contains_key("slowly") {
                    std::thread::sleep(Duration::from_millis(200));
                }
                let allow = !attempt.metadata.contains_key("no");
                let answer = JoinAnswer { allow, reason: String::new() };
                ("attempt".to_owned(), MatchOutput::Answered(answer))
            }
            MatchCall::Join(joined) => {
                (format!("join {}", joined[0].username), MatchOutput::Continued)
            }
            MatchCall::Leave(left) => {
                (format!("leave {} {}", left[0].username, left[0].reason), MatchOutput::Continued)
            }
            MatchCall::Loop(messages) => {
                if self.gated && tick == 2 {
                    self.seen.lock().push("gate".to_owned());
                    self.gate.lock().recv().unwrap();
                }
                (format!("loop {}", messages.len()), MatchOutput::Continued)
            }
            MatchCall::Terminate { grace_s } => (format!("end {grace_s}"), MatchOutput::Continued),
            MatchCall::Signal { data } => match data.as_str() {
                "fail" => return Err(Status::new(Code::Unknown, "on demand").into()),
                "panic" => panic!("on demand"),
                "over" => ("signal".to_owned(), MatchOutput::Ended),
                "defer" => {
                    let refused = (0..).find_map(|_| self.say("later", true).err());
                    (data, MatchOutput::Signalled(refused.unwrap().to_string()))
                }
                _ => {
                    self.say(&data, false).unwrap();
                    (data.clone(), MatchOutput::Signalled(data))
                }
            },
        };
        self.seen.lock().push(note);
        Ok(output)
    }
}

/// A server with this handler.
struct Bench {
    io: Runtime,
    cx: Arc<Cx>,
    seen: Seen,
    /// Lets a gated loop go on.
    open: mpsc::Sender<()>,
}

fn bench(change: impl FnOnce(&mut Config)) -> Bench {
    let io = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut config = Config::default();
    config.r#match.threads = 1;
    change(&mut config);
    let config = Arc::new(config);
    let cx = Arc::new(Cx::without_database(Arc::clone(&config), io.handle().clone()).unwrap());
    let (open, gate) = mpsc::channel();
    let seen = Seen::default();
    let gate = Arc::new(Mutex::new(gate));
    let program = Arc::new(Scripted { seen: Arc::clone(&seen), gate });
    let mut settings = PoolSettings::of(Language::Lua, &config.runtime);
    settings.min = 1;
    let watchdog = Watchdog::start().unwrap();
    let started = ScriptPool::start(program, Arc::clone(&cx), settings, &watchdog);
    let (pool, _) = io.block_on(started).unwrap_or_else(|error| panic!("{error}"));
    let handlers = MatchHandlers::new(Default::default(), Some(pool), Default::default());
    cx.routes.store(Arc::new(Routes::with_matches(handlers)));
    run(&cx);
    presence_events::run(&cx);
    Bench { io, cx, seen, open }
}

impl Bench {
    fn make(&self, handler: &str) -> String {
        self.io.block_on(self.cx.matches.create(handler, None)).unwrap()
    }

    fn session(&self, name: &str) -> Arc<Session> {
        let user = User {
            id: Uuid::new_v4(),
            username: name.to_owned(),
            vars: Default::default(),
            expires_s: 0,
            token_id: String::new(),
            issued_s: 0,
        };
        let caller = Caller { user: Some(user.clone()), ..Caller::default() };
        let session = Session::new(caller, user, Format::Json, "en".to_owned(), 64);
        let session = Arc::new(session);
        self.cx.begin_session(&session, false);
        session
    }

    fn join(&self, session: &Arc<Session>, id: &str, metadata: &[&str]) -> Handled {
        let metadata = metadata.iter().map(|key| ((*key).to_owned(), String::new()));
        let id = Some(match_join::Id::MatchId(id.to_owned()));
        let request = realtime::MatchJoin { id, metadata: metadata.collect() };
        self.io.block_on(join(self.incoming(session), request))
    }

    fn incoming<'a>(&'a self, session: &'a Arc<Session>) -> Incoming<'a> {
        Incoming { cx: &self.cx, session, cid: "c", trace_id: TraceId(1) }
    }

    fn signal(&self, id: &str, data: &str) -> Result<String, String> {
        let answer = self.io.block_on(self.cx.matches.signal(id, data.to_owned()));
        answer.map_err(|error| error.message().to_owned())
    }

    fn handle(&self, id: &str) -> Arc<Handle> {
        self.cx.matches.find(MatchId::parse(id).unwrap()).expect("it runs")
    }

    /// Waits until something is so.
    #[track_caller]
    fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < Duration::from_secs(20), "{what}: {:?}", self.seen.lock());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn saw(&self, note: &str) -> bool {
        self.count(note) > 0
    }

    fn count(&self, note: &str) -> usize {
        self.seen.lock().iter().filter(|seen| *seen == note).count()
    }
}

/// What was sent to a session, as text, and the reason of its end.
fn sent(session: &Session) -> (Vec<String>, Option<String>) {
    match session.outgoing.poll_take(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => (Vec::new(), None),
        Poll::Ready(taken) => {
            let text = |frame: &bytes::Bytes| String::from_utf8_lossy(frame).into_owned();
            let closing = taken.closing.map(|closing| closing.reason.into_owned());
            (taken.frames.iter().map(text).collect(), closing)
        }
    }
}

const DISCONNECTED: &str = "server-side session disconnect";

#[test]
fn full_queues_refuse_questions_and_end_a_match_that_does_not_hear_who_left() {
    let bench = bench(|config| {
        let queues = &mut config.r#match;
        (queues.signal_queue_size, queues.join_attempt_queue_size) = (1, 1);
        queues.call_queue_size = 2;
    });
    let id = bench.make("gated");
    let members: Vec<_> = ["ann", "bob", "cat", "dan"].map(|name| bench.session(name)).into();
    for member in &members {
        bench.join(member, &id, &[]).unwrap();
    }
    bench.until("the loop waits at its gate", || bench.saw("gate"));
    let handle = bench.handle(&id);
    // One of each kind waits; the next is refused.
    let (answer, _waits) = tokio::sync::oneshot::channel();
    assert_eq!(handle.signal(handle::Signal { data: String::new(), answer }), Pushed::Taken);
    assert_eq!(bench.signal(&id, "x"), Err("match busy".to_owned()));
    let (answer, waiting) = tokio::sync::oneshot::channel();
    let eve = bench.session("eve");
    let attempt = |answer| Attempt {
        session: Arc::clone(&eve),
        cid: String::new(),
        match_id: id.clone(),
        caller: Caller::default(),
        metadata: BTreeMap::new(),
        answer,
    };
    assert_eq!(handle.ask_to_join(attempt(answer)), Pushed::Taken);
    drop(waiting);
    let refused = bench.join(&eve, &id, &[]).unwrap_err();
    assert_eq!(refused.message, "Match is not currently accepting join requests");

    // Two who leave can wait, the third is one too many.
    for member in &members[..3] {
        bench.cx.end_session(member, PresenceReason::Disconnect);
        bench.cx.tell_changes();
    }
    bench.open.send(()).unwrap();
    bench.until("the match ends", || bench.cx.matches.count() == 0);
    bench.until("its members are disconnected", || {
        sent(&members[3]).1.as_deref() == Some(DISCONNECTED)
    });
    assert_eq!(bench.signal(&id, "x"), Err("match not found".to_owned()));
    // Nobody was asked, or told, anything after that.
    assert_eq!(bench.count("attempt"), 4);
    assert!(!bench.saw("leave ann 4"));
}

#[test]
fn data_beyond_the_bound_is_dropped_and_the_rest_comes_with_the_next_tick() {
    let bench = bench(|config| config.r#match.input_queue_size = 3);
    let id = bench.make("gated");
    let ann = bench.session("ann");
    bench.join(&ann, &id, &[]).unwrap();
    bench.until("the loop waits at its gate", || bench.saw("gate"));
    for _ in 0..5 {
        let request = realtime::MatchDataSend { match_id: id.clone(), ..Default::default() };
        bench.io.block_on(send(bench.incoming(&ann), request)).unwrap();
    }
    bench.open.send(()).unwrap();
    bench.until("three come", || bench.saw("loop 3"));
}

#[test]
fn one_who_gives_up_or_is_gone_is_told_to_the_handler_as_joined_and_left() {
    let bench = bench(|_| {});
    let id = bench.make("plain");
    let ann = bench.session("ann");
    // The connection ends while the handler decides.
    let ends = Arc::clone(&ann);
    let cx = Arc::clone(&bench.cx);
    let ender = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        cx.end_session(&ends, PresenceReason::Disconnect);
    });
    let refused = bench.join(&ann, &id, &["slowly"]).unwrap_err();
    ender.join().unwrap();
    assert_eq!(refused.message, "Match join rejected");
    bench.until("it left", || bench.saw("leave ann 4"));
    assert!(bench.saw("join ann"));
    assert_eq!(bench.handle(&id).size(), 0);
    assert!(!bench.cx.tracker.exists(bench.handle(&id).stream()));
}

#[test]
fn who_leaves_and_comes_back_at_once_is_asked_again() {
    let bench = bench(|_| {});
    let id = bench.make("plain");
    let ann = bench.session("ann");
    for round in 1..20 {
        bench.join(&ann, &id, &[]).unwrap();
        assert_eq!(bench.count("attempt"), round);
        let request = realtime::MatchLeave { match_id: id.clone() };
        bench.io.block_on(leave(bench.incoming(&ann), request)).unwrap();
    }
}

#[test]
fn what_a_handler_does_wrong_ends_its_match_alone() {
    let bench = bench(|config| config.r#match.deferred_queue_size = 4);
    let other = bench.make("plain");
    for (data, closed) in
        [("fail", Some(DISCONNECTED)), ("panic", Some(DISCONNECTED)), ("over", None)]
    {
        let id = bench.make("plain");
        let ann = bench.session("ann");
        bench.join(&ann, &id, &[]).unwrap();
        assert_eq!(bench.signal(&id, data), Err("match busy".to_owned()), "{data}");
        assert_eq!(bench.signal(&id, data), Err("match not found".to_owned()), "{data}");
        bench.until("whether it is closed is seen", || sent(&ann).1.as_deref() == closed);
        assert!(!bench.cx.tracker.exists(&MatchId::parse(&id).unwrap().stream()));
    }
    let too_many = "too many deferred message broadcasts per tick".to_owned();
    assert_eq!(bench.signal(&other, "defer"), Ok(too_many));
    assert_eq!(bench.signal(&other, "still here"), Ok("still here".to_owned()));
}

#[test]
fn matches_end_with_the_server_those_that_want_no_grace_at_once_and_all_after_it() {
    let bench = bench(|_| {});
    let (id, ann) = (bench.make("plain"), bench.session("ann"));
    bench.join(&ann, &id, &[]).unwrap();
    let began = Instant::now();
    bench.io.block_on(bench.cx.matches.stop(Duration::from_secs(1)));
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(8), "{took:?}");
    assert!(bench.saw("end 1"));
    assert_eq!(bench.cx.matches.count(), 0);
    let late = bench.io.block_on(bench.cx.matches.create("plain", None)).unwrap_err();
    assert!(late.message().contains("shutdown in progress"), "{}", late.message());
    // Its sockets are the server's to close.
    assert_eq!(sent(&ann).1, None);
}

#[test]
fn only_those_in_the_match_hear_of_it_once_each_and_in_order() {
    let bench = bench(|_| {});
    let id = bench.make("plain");
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| bench.session(name));
    for member in [&ann, &bob] {
        bench.join(member, &id, &[]).unwrap();
    }
    bench.join(&eve, &id, &["no"]).unwrap_err();
    bench.cx.tell_changes();
    for member in [&ann, &bob, &eve] {
        sent(member);
    }
    for number in 0..10 {
        bench.signal(&id, &number.to_string()).unwrap();
    }
    let heard = sent(&ann).0;
    assert_eq!((heard.len(), &heard), (10, &sent(&bob).0));
    assert!(sent(&eve).0.is_empty());
}
