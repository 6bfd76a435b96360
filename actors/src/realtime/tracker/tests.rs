#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
    task::{Context, Poll, Waker},
    thread,
};

use guildhall_core::{Caller, caller::User, config::Config};
use guildhall_proto::realtime::{StreamPresenceEvent, envelope::Message};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config as Runs, TestRunner},
};
use prost::Message as _;
use tokio::runtime::Runtime;

use super::*;
use crate::{cx::Cx, realtime::session::Format};

/// A server without a database.
struct Bench {
    cx: Arc<Cx>,
}

static IO: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

impl Bench {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let cx = Cx::without_database(Arc::new(config), IO.handle().clone()).unwrap();
        Self { cx: Arc::new(cx) }
    }

    /// A session that has begun.
    fn session(&self, user: u128) -> Arc<Session> {
        let session = session(user);
        self.cx.begin_session(&session, false);
        session
    }

    /// Tells everything that waits.
    fn tell(&self) {
        self.cx.tell_changes();
    }

    fn end(&self, session: &Arc<Session>) {
        self.cx.end_session(session, PresenceReason::Disconnect);
    }
}

fn session(user: u128) -> Arc<Session> {
    let user = User {
        id: Uuid::from_u128(user),
        username: format!("user{user}"),
        vars: Default::default(),
        expires_s: i64::MAX,
        token_id: String::new(),
        issued_s: i64::MAX,
    };
    Arc::new(Session::new(Caller::default(), user, Format::Protobuf, "en".into(), 4096))
}

/// What a session was sent since the last look.
fn received(session: &Session) -> Vec<Message> {
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(taken) = session.outgoing.poll_take(&mut cx) else { return Vec::new() };
    let message = |frame: bytes::Bytes| {
        let head = match frame[1] {
            126 => 4,
            127 => 10,
            _ => 2,
        };
        Envelope::decode(&frame[head..]).unwrap().message.unwrap()
    };
    taken.frames.into_iter().map(message).collect()
}

fn shown() -> Meta {
    Meta::default()
}

fn hidden() -> Meta {
    Meta { hidden: true, ..Meta::default() }
}

fn room() -> Stream {
    Stream::labelled(100, Uuid::nil(), "room")
}

/// The users that joined and that left, of a stream's event.
fn told(message: &Message) -> (Vec<&str>, Vec<&str>) {
    let Message::StreamPresenceEvent(event) = message else { panic!("{message:?}") };
    fn names(list: &[UserPresence]) -> Vec<&str> {
        list.iter().map(|presence| presence.username.as_str()).collect()
    }
    (names(&event.joins), names(&event.leaves))
}

#[test]
fn a_join_is_told_to_all_that_are_there_and_a_second_one_to_nobody() {
    let bench = Bench::new();
    let (ann, bob) = (bench.session(1), bench.session(2));
    let tracker = &bench.cx.tracker;
    assert_eq!(tracker.track(&ann, &room(), ann.user_id(), shown()), Tracked::New);
    assert_eq!(tracker.track(&bob, &room(), bob.user_id(), shown()), Tracked::New);
    assert_eq!(tracker.track(&bob, &room(), bob.user_id(), hidden()), Tracked::Before);
    bench.tell();
    let messages = received(&ann);
    assert_eq!(
        messages.iter().map(told).collect::<Vec<_>>(),
        [(vec!["user1"], vec![]), (vec!["user2"], vec![]),]
    );
    assert_eq!(received(&bob).len(), 2);
    assert!(!tracker.get(bob.id, &room(), bob.user_id()).unwrap().hidden);
}

#[test]
fn a_hidden_presence_is_told_of_once_it_shows_itself_and_when_it_hides() {
    let bench = Bench::new();
    let (ann, bob) = (bench.session(1), bench.session(2));
    let tracker = &bench.cx.tracker;
    tracker.track(&ann, &room(), ann.user_id(), hidden());
    tracker.track(&bob, &room(), bob.user_id(), hidden());
    bench.tell();
    assert!(received(&ann).is_empty());
    tracker.update(&bob, &room(), bob.user_id(), shown());
    tracker.update(&bob, &room(), bob.user_id(), shown());
    tracker.update(&bob, &room(), bob.user_id(), hidden());
    tracker.untrack(&bob, &room(), bob.user_id());
    bench.tell();
    let messages = received(&ann);
    assert_eq!(
        messages.iter().map(told).collect::<Vec<_>>(),
        [(vec!["user2"], vec![]), (vec!["user2"], vec!["user2"]), (vec![], vec!["user2"]),]
    );
}

#[test]
fn a_session_that_has_ended_is_nowhere_and_comes_back_nowhere() {
    let bench = Bench::new();
    let (ann, bob) = (bench.session(1), bench.session(2));
    let tracker = &bench.cx.tracker;
    tracker.track(&ann, &room(), ann.user_id(), shown());
    tracker.track(&bob, &room(), bob.user_id(), shown());
    tracker.follow(&bob, [ann.user_id()]);
    bench.end(&bob);
    bench.end(&bob);
    assert_eq!(tracker.track(&bob, &room(), bob.user_id(), shown()), Tracked::Ended);
    assert!(!tracker.update(&bob, &room(), bob.user_id(), shown()));
    tracker.follow(&bob, [ann.user_id()]);
    assert_eq!(tracker.count_on(&room()), 1);
    assert!(
        bench.cx.sockets.get(bob.id).is_none() && bench.cx.sockets.of(bob.user_id()).is_empty()
    );
    tracker.follows.each(ann.user_id(), |_| panic!("somebody follows"));
    bench.tell();
    let messages = received(&ann);
    assert_eq!(told(messages.last().unwrap()), (vec![], vec!["user2"]));
    check_tables(&bench, &[&ann, &bob]);
}

#[test]
fn a_closed_stream_is_empty_and_nobody_is_told() {
    let bench = Bench::new();
    let (ann, bob) = (bench.session(1), bench.session(2));
    let tracker = &bench.cx.tracker;
    for session in [&ann, &bob] {
        tracker.track(session, &room(), session.user_id(), shown());
    }
    bench.tell();
    let before = tracker.count();
    received(&ann);
    received(&bob);
    assert_eq!(tracker.untrack_stream(&room()).len(), 2);
    assert_eq!((tracker.count(), tracker.exists(&room())), (before - 2, false));
    bench.tell();
    assert!(received(&ann).is_empty() && received(&bob).is_empty());
    check_tables(&bench, &[&ann, &bob]);
}

#[test]
fn only_a_status_that_shows_makes_a_user_online() {
    let bench = Bench::new();
    let ann = bench.session(1);
    let tracker = &bench.cx.tracker;
    let status = Stream::of(mode::STATUS, ann.user_id());
    assert!(!tracker.is_online(ann.user_id()));
    tracker.track(&ann, &status, ann.user_id(), hidden());
    assert!(!tracker.is_online(ann.user_id()));
    tracker.update(&ann, &status, ann.user_id(), shown());
    assert!(tracker.is_online(ann.user_id()));
    bench.end(&ann);
    assert!(!tracker.is_online(ann.user_id()));
}

#[test]
fn a_session_hears_of_itself_once_until_a_module_says_otherwise() {
    let bench = Bench::new();
    let ann = bench.session(1);
    let tracker = &bench.cx.tracker;
    let say = |status: &str| {
        let meta = Meta { status: status.into(), ..Meta::default() };
        tracker.update(&ann, &Stream::of(mode::STATUS, ann.user_id()), ann.user_id(), meta);
        bench.tell();
        received(&ann).len()
    };
    tracker.follow(&ann, [ann.user_id()]);
    assert_eq!(say("a"), 1);
    tracker.unfollow(&ann, [ann.user_id()]);
    assert_eq!(say("b"), 0);
    tracker.follow(&ann, [ann.user_id()]);
    assert_eq!(say("c"), 1);
}

#[test]
fn a_single_socket_ends_the_older_ones_of_its_user_only() {
    let mut config = Config::default();
    config.session.single_socket = true;
    let bench = Bench::with(config);
    let (first, other) = (bench.session(1), bench.session(2));
    let second = bench.session(1);
    assert!(first.has_ended() && !second.has_ended() && !other.has_ended());
    let messages = received(&first);
    let [Message::Notifications(notifications)] = messages.as_slice() else { panic!() };
    let [farewell] = notifications.notifications.as_slice() else { panic!() };
    assert_eq!((farewell.subject.as_str(), farewell.code), ("single_socket", -7));
    assert_eq!(bench.cx.sockets.of(second.user_id()).len(), 1);
}

#[test]
fn changes_beyond_the_bound_are_told_by_who_makes_them() {
    let mut config = Config::default();
    config.tracker.event_queue_size = 4;
    let bench = Bench::with(config);
    let ann = bench.session(1);
    for number in 0..20 {
        let stream = Stream::labelled(100, Uuid::from_u128(number), "");
        bench.cx.tracker.track(&ann, &stream, ann.user_id(), shown());
        bench.cx.relieve_tracker();
        assert!(bench.cx.tracker.changes.waiting() <= 4);
    }
    bench.tell();
    assert_eq!(received(&ann).len(), 20);
}

/// Where sessions are present agrees with who is present on streams, and with their number.
fn check_tables(bench: &Bench, sessions: &[&Arc<Session>]) {
    let tracker = &bench.cx.tracker;
    let of_streams: BTreeSet<_> = tracker
        .streams
        .iter()
        .flat_map(|row| {
            let stream = row.key().clone();
            assert!(!row.value().present.is_empty(), "an empty stream is kept");
            let keys = row.value().present.keys().copied().collect::<Vec<_>>();
            keys.into_iter().map(move |(session, user)| (session, stream.clone(), user))
        })
        .collect();
    let of_sessions: BTreeSet<_> = sessions
        .iter()
        .flat_map(|session| {
            let present = session.present.lock();
            let streams: Vec<_> = present.streams.iter().cloned().collect();
            streams.into_iter().map(|(stream, user)| (session.id, stream, user))
        })
        .collect();
    assert_eq!(of_streams, of_sessions);
    assert_eq!(tracker.count(), of_streams.len());
}

/// Plays cases that `strategy` makes, each on a server where nobody is connected.
fn check<S: Strategy>(strategy: S, play: impl Fn(&Bench, S::Value)) {
    let runs = Runs { cases: 256, failure_persistence: None, ..Runs::default() };
    let bench = Bench::new();
    let result = TestRunner::new(runs).run(&strategy, |case| {
        // A case that failed left its sessions.
        bench.cx.sockets.all().iter().for_each(|session| bench.end(session));
        bench.tell();
        play(&bench, case);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// A step of the property tests; numbers are taken as indexes.
#[derive(Clone, Debug)]
enum Step {
    Track { session: usize, stream: usize, user: usize, hidden: bool },
    Update { session: usize, stream: usize, user: usize, hidden: bool },
    Untrack { session: usize, stream: usize, user: usize },
    UntrackStream { stream: usize },
    UntrackModes { session: usize, except: usize },
    End { session: usize },
    Tell { most: usize },
}

const SESSIONS: usize = 4;
const STREAMS: usize = 4;
const USERS: usize = 2;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (session, stream, user) = (0..SESSIONS, 0..STREAMS, 0..USERS);
    let place = (session.clone(), stream.clone(), user);
    let step = prop_oneof![
        6 => (place.clone(), any::<bool>()).prop_map(|((session, stream, user), hidden)| {
            Step::Track { session, stream, user, hidden }
        }),
        4 => (place.clone(), any::<bool>()).prop_map(|((session, stream, user), hidden)| {
            Step::Update { session, stream, user, hidden }
        }),
        4 => place.prop_map(|(session, stream, user)| Step::Untrack { session, stream, user }),
        1 => stream.clone().prop_map(|stream| Step::UntrackStream { stream }),
        1 => (session.clone(), stream).prop_map(|(session, except)| {
            Step::UntrackModes { session, except }
        }),
        1 => session.prop_map(|session| Step::End { session }),
        4 => (1..4usize).prop_map(|most| Step::Tell { most }),
    ];
    vec(step, 0..60)
}

/// Two modes, two streams of each.
fn stream(index: usize) -> Stream {
    let mode = if index.is_multiple_of(2) { 100 } else { 101 };
    Stream::of(mode, Uuid::from_u128(index as u128))
}

fn user(index: usize) -> Uuid {
    Uuid::from_u128(1000 + index as u128)
}

/// Sessions by stream and user, and whether each is hidden: the model.
type Model = BTreeMap<(usize, usize, usize), bool>;

/// What a client knows of the streams that it is on.
#[derive(Default)]
struct View(BTreeMap<usize, BTreeSet<(String, String)>>);

impl View {
    fn hear(&mut self, message: &Message) {
        let Message::StreamPresenceEvent(StreamPresenceEvent { stream, joins, leaves }) = message
        else {
            return;
        };
        let subject = Uuid::try_parse(&stream.as_ref().unwrap().subject);
        let place = subject.map_or(0, |subject| usize::try_from(subject.as_u128()).unwrap());
        let known = self.0.entry(place).or_default();
        let key = |it: &UserPresence| (it.session_id.clone(), it.user_id.clone());
        for leave in leaves {
            known.remove(&key(leave));
        }
        known.extend(joins.iter().map(key));
    }
}

#[test]
fn any_steps_leave_the_tracker_as_a_simple_model_and_as_every_client_was_told() {
    check(steps(), |bench, steps| play(bench, &steps));
}

fn play(bench: &Bench, steps: &[Step]) {
    let tracker = &bench.cx.tracker;
    let sessions: Vec<Arc<Session>> = (0..SESSIONS).map(|at| bench.session(at as u128)).collect();
    let mut model = Model::new();
    let mut ended = BTreeSet::new();
    let mut views: Vec<View> = sessions.iter().map(|_| View::default()).collect();

    for step in steps {
        let was_there = |model: &Model, at: usize, place: usize| {
            model.keys().any(|it| (it.0, it.1) == (place, at))
        };
        match *step {
            Step::Track { session: at, stream: place, user: who, hidden } => {
                let before = was_there(&model, at, place);
                let known = model.contains_key(&(place, at, who));
                let meta = Meta { hidden, ..Meta::default() };
                let wanted = match (ended.contains(&at), known) {
                    (true, _) => Tracked::Ended,
                    (_, true) => Tracked::Before,
                    _ => Tracked::New,
                };
                assert_eq!(tracker.track(&sessions[at], &stream(place), user(who), meta), wanted);
                if wanted == Tracked::New {
                    model.insert((place, at, who), hidden);
                    enter(tracker, &mut views[at], place, before);
                }
            }
            Step::Update { session: at, stream: place, user: who, hidden } => {
                let before = was_there(&model, at, place);
                let meta = Meta { hidden, ..Meta::default() };
                let updated = tracker.update(&sessions[at], &stream(place), user(who), meta);
                assert_eq!(updated, !ended.contains(&at));
                if updated {
                    model.insert((place, at, who), hidden);
                    enter(tracker, &mut views[at], place, before);
                }
            }
            Step::Untrack { session: at, stream: place, user: who } => {
                let known = model.remove(&(place, at, who));
                let taken = tracker.untrack(&sessions[at], &stream(place), user(who));
                assert_eq!(taken.map(|presence| presence.meta.hidden), known);
            }
            Step::UntrackStream { stream: place } => {
                let there = model.keys().filter(|key| key.0 == place).count();
                assert_eq!(tracker.untrack_stream(&stream(place)).len(), there);
                model.retain(|key, _| key.0 != place);
            }
            Step::UntrackModes { session: at, except } => {
                tracker.untrack_modes(&sessions[at], &[100], &stream(except));
                model.retain(|key, _| key.1 != at || stream(key.0).mode != 100 || key.0 == except);
            }
            Step::End { session: at } => {
                bench.end(&sessions[at]);
                ended.insert(at);
                model.retain(|key, _| key.1 != at);
            }
            Step::Tell { most } => bench.cx.tell_some(most),
        }
        for (session, view) in sessions.iter().zip(&mut views) {
            received(session).iter().for_each(|message| view.hear(message));
        }
        agree(bench, &sessions, &model, &ended);
    }

    bench.tell();
    for (at, (session, view)) in sessions.iter().zip(&mut views).enumerate() {
        received(session).iter().for_each(|message| view.hear(message));
        for place in 0..STREAMS {
            if model.keys().any(|key| (key.0, key.1) == (place, at)) {
                assert_eq!(view.0[&place], listed(tracker, place), "session {at}, stream {place}");
            }
        }
    }
    sessions.iter().for_each(|session| bench.end(session));
    assert_eq!(tracker.count(), 0);
    assert!(tracker.streams.is_empty());
    bench.tell();
}

/// A client that comes to a stream is given the list.
fn enter(tracker: &Tracker, view: &mut View, place: usize, was_there: bool) {
    if !was_there {
        view.0.insert(place, listed(tracker, place));
    }
}

fn listed(tracker: &Tracker, place: usize) -> BTreeSet<(String, String)> {
    let presences = tracker.list(&stream(place), false, true);
    presences.iter().map(|it| (it.session.id.to_string(), it.user_id.to_string())).collect()
}

fn agree(bench: &Bench, sessions: &[Arc<Session>], model: &Model, ended: &BTreeSet<usize>) {
    let tracker = &bench.cx.tracker;
    // Each living session is present for its notifications besides.
    assert_eq!(tracker.count(), model.len() + SESSIONS - ended.len());
    for place in 0..STREAMS {
        let of_model = |wanted: bool| -> BTreeSet<_> {
            let here = model.iter().filter(|(key, hidden)| key.0 == place && **hidden == wanted);
            here.map(|(key, _)| (sessions[key.1].id, user(key.2))).collect()
        };
        let of_tracker = |hidden: bool| -> BTreeSet<_> {
            let list = tracker.list(&stream(place), hidden, !hidden);
            list.iter().map(|it| (it.session.id, it.user_id)).collect()
        };
        let count = [true, false].map(|hidden| {
            assert_eq!(of_tracker(hidden), of_model(hidden));
            of_model(hidden).len()
        });
        assert_eq!(tracker.count_on(&stream(place)), count[0] + count[1]);
        assert_eq!(tracker.exists(&stream(place)), count[0] + count[1] > 0);
    }
    check_tables(bench, &sessions.iter().collect::<Vec<_>>());
}

/// A step of the property test of statuses.
#[derive(Clone, Debug)]
enum Say {
    Status { session: usize, status: Option<u8> },
    Follow { session: usize, user: usize },
    Unfollow { session: usize, user: usize },
    Tell { most: usize },
}

/// The statuses that a client knows, by user and session.
type Known = BTreeMap<(String, String), String>;

#[test]
fn whoever_follows_knows_the_status_as_it_is() {
    let (session, other) = (0..SESSIONS, 0..SESSIONS);
    let say = prop_oneof![
        4 => (session.clone(), any::<Option<u8>>())
            .prop_map(|(session, status)| Say::Status { session, status }),
        2 => (session.clone(), other.clone())
            .prop_map(|(session, user)| Say::Follow { session, user }),
        1 => (session, other).prop_map(|(session, user)| Say::Unfollow { session, user }),
        3 => (1..4usize).prop_map(|most| Say::Tell { most }),
    ];
    check(vec(say, 0..60), |bench, says| follow(bench, &says));
}

/// Two sessions of each of two users.
fn follow(bench: &Bench, says: &[Say]) {
    let tracker = &bench.cx.tracker;
    let sessions: Vec<_> = (0..SESSIONS).map(|at| bench.session(at as u128 / 2)).collect();
    let status = |at: usize| Stream::of(mode::STATUS, sessions[at].user_id());
    let now = |at: usize| -> Known {
        let stream = status(at);
        let list = tracker.list(&stream, false, true).into_iter();
        let list = list.map(|presence| presence.to_wire(&stream));
        list.map(|it| ((it.user_id, it.session_id), it.status.unwrap())).collect()
    };
    let mut known: Vec<Known> = vec![Known::new(); SESSIONS];
    // Which sessions' users a session follows besides its own.
    let mut follows: BTreeSet<(usize, Uuid)> = BTreeSet::new();
    let hear = |known: &mut Vec<Known>, follows: &BTreeSet<(usize, Uuid)>| {
        for (at, session) in sessions.iter().enumerate() {
            for message in received(session) {
                let Message::StatusPresenceEvent(event) = message else { panic!("{message:?}") };
                for it in event.leaves {
                    known[at].remove(&(it.user_id, it.session_id));
                }
                for it in event.joins {
                    let user = Uuid::try_parse(&it.user_id).unwrap();
                    assert!(user == session.user_id() || follows.contains(&(at, user)));
                    known[at].insert((it.user_id, it.session_id), it.status.unwrap());
                }
            }
        }
    };
    for say in says {
        match *say {
            Say::Status { session: at, status: None } => {
                tracker.untrack(&sessions[at], &status(at), sessions[at].user_id());
            }
            Say::Status { session: at, status: Some(text) } => {
                let meta = Meta { status: text.to_string().into(), ..Meta::default() };
                tracker.update(&sessions[at], &status(at), sessions[at].user_id(), meta);
            }
            Say::Follow { session: at, user } => {
                let user_id = sessions[user].user_id();
                tracker.follow(&sessions[at], [user_id]);
                if user_id != sessions[at].user_id() && follows.insert((at, user_id)) {
                    known[at].extend(now(user));
                }
            }
            Say::Unfollow { session: at, user } => {
                let user_id = sessions[user].user_id();
                if user_id != sessions[at].user_id() {
                    tracker.unfollow(&sessions[at], [user_id]);
                    follows.remove(&(at, user_id));
                    known[at].retain(|(user, _), _| *user != user_id.to_string());
                }
            }
            Say::Tell { most } => bench.cx.tell_some(most),
        }
        hear(&mut known, &follows);
    }
    bench.tell();
    hear(&mut known, &follows);
    for (at, known) in known.iter().enumerate() {
        let mut wanted = now(at);
        for other in (0..SESSIONS).filter(|it| follows.contains(&(at, sessions[*it].user_id()))) {
            wanted.extend(now(other));
        }
        assert_eq!(*known, wanted, "session {at}");
    }
    sessions.iter().for_each(|session| bench.end(session));
    bench.tell();
}

#[test]
fn threads_that_come_and_go_at_once_leave_nothing_behind() {
    const THREADS: usize = 8;
    let bench = Bench::new();
    let sessions: Vec<Arc<Session>> = (0..16).map(|at| bench.session(at / 2)).collect();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (bench, sessions) = (&bench, &sessions);
            scope.spawn(move || churn(bench, sessions, thread));
        }
    });
    bench.tell();
    check_tables(&bench, &sessions.iter().collect::<Vec<_>>());
    sessions.iter().for_each(|session| bench.end(session));
    check_tables(&bench, &sessions.iter().collect::<Vec<_>>());
    let tracker = &bench.cx.tracker;
    assert_eq!((tracker.count(), tracker.streams.len()), (0, 0));
    assert_eq!(bench.cx.sockets.count(), 0);
    for session in &sessions {
        assert!(bench.cx.sockets.of(session.user_id()).is_empty());
        tracker.follows.each(session.user_id(), |_| panic!("somebody follows"));
    }
}

/// What one thread does to sessions that others handle too.
fn churn(bench: &Bench, sessions: &[Arc<Session>], thread: usize) {
    let tracker = &bench.cx.tracker;
    let mut number = thread as u64 + 1;
    let mut random = |below: usize| {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(number >> 33).unwrap() % below
    };
    for round in 0..4000 {
        let session = &sessions[random(sessions.len())];
        let place = match random(4) {
            0 => Stream::of(mode::STATUS, session.user_id()),
            other => stream(other),
        };
        let user_id = session.user_id();
        let meta = Meta { hidden: random(4) == 0, ..Meta::default() };
        match random(12) {
            0..=2 => drop(tracker.track(session, &place, user_id, meta)),
            3..=4 => drop(tracker.update(session, &place, user_id, meta)),
            5..=6 => drop(tracker.untrack(session, &place, user_id)),
            7 => drop(tracker.untrack_stream(&place)),
            8 => tracker.untrack_modes(session, &[100, 101], &place),
            9 => tracker.follow(session, [user(0), sessions[random(sessions.len())].user_id()]),
            10 => tracker.unfollow(session, [user(0)]),
            _ => bench.cx.tell_some(3),
        }
        bench.cx.relieve_tracker();
        // Some end while others still make them present somewhere.
        if round == 3000 && thread == 0 {
            sessions[..8].iter().for_each(|session| bench.end(session));
        }
        received(session);
    }
}
