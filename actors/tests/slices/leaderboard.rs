//! Leaderboards and tournaments.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix::{Actor as _, Addr};
use futures_util::future::join_all;
use guildhall_actors::{
    cx::Cx,
    database::Sql,
    host::Language,
    registry::{FunctionId, Loaded, Point, Register, Registration, Registry},
    resources::{
        account,
        leaderboard::{
            Refusal,
            boards::Ranked,
            definition::{Definition, Operator, Reset, SortOrder, UNLIMITED},
            records::{self, Access, Listing, Submission},
            schedule::{Leaderboards, Schedule},
        },
        tournament,
    },
    runtime::{
        call::{Call, Input, Output},
        pool::{PoolSettings, ScriptPool},
        script::{Interpreter, Invoked, LoadError, Program, Started},
        seat::Seat,
        watchdog::Watchdog,
    },
};
use guildhall_core::Config;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{new_user, postgres::Slices};

const DAY: i64 = 86_400;

fn leaderboard(id: &str, order: SortOrder, operator: Operator) -> Definition {
    Definition {
        id: id.into(),
        authoritative: false,
        sort_order: order,
        operator,
        reset: None,
        metadata: "{}".into(),
        create_time_us: 0,
        category: 0,
        description: String::new(),
        duration_s: 0,
        end_s: 0,
        join_required: false,
        max_size: UNLIMITED,
        max_num_score: 1_000_000,
        title: String::new(),
        start_s: 0,
        ranked: true,
    }
}

fn daily(id: &str) -> Definition {
    let reset = Reset::parse("0 0 * * *").unwrap();
    Definition { reset, ..leaderboard(id, SortOrder::Descending, Operator::Best) }
}

fn cup(id: &str) -> Definition {
    Definition { duration_s: 3600, ..daily(id) }
}

/// A tournament that takes scores now, and for long.
fn open_cup(id: &str) -> Definition {
    Definition { reset: None, duration_s: 30 * DAY, ..cup(id) }
}

async fn create(cx: &Cx, definition: Definition) {
    cx.boards.create(&cx.db, definition).await.unwrap();
}

fn score(owner: Uuid, score: i64) -> Submission {
    Submission { owner, username: None, score, subscore: 0, metadata: None, operator: None }
}

async fn write(cx: &Cx, id: &str, owner: Uuid, points: i64) -> Result<i64, Refusal> {
    let written = tournament::write(cx, Access::Server, id, &score(owner, points)).await;
    written.map(|record| record.rank)
}

fn owners(count: u128) -> Vec<Uuid> {
    (1..=count).map(Uuid::from_u128).collect()
}

/// The operators as the documentation has them.
fn model(
    order: SortOrder,
    operator: Operator,
    old: Option<(i64, i64)>,
    (score, subscore): (i64, i64),
) -> (i64, i64) {
    let Some(old) = old else {
        return if operator == Operator::Decrement { (0, 0) } else { (score, subscore) };
    };
    match (operator, order) {
        (Operator::Best, SortOrder::Ascending) => (old.0.min(score), old.1.min(subscore)),
        (Operator::Best, SortOrder::Descending) => (old.0.max(score), old.1.max(subscore)),
        (Operator::Set, _) => (score, subscore),
        (Operator::Increment, _) => (old.0 + score, old.1 + subscore),
        (Operator::Decrement, _) => ((old.0 - score).max(0), (old.1 - subscore).max(0)),
    }
}

/// Writes at random by all operators, and compares records and ranks with a sorted list.
fn ranks_are_those_of_the_list(change: impl FnOnce(&mut Config)) {
    let Some(slices) = Slices::start(change) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let everybody = owners(25);
        let operators = [Operator::Best, Operator::Set, Operator::Increment, Operator::Decrement];
        let mut random = StdRng::seed_from_u64(7);
        for order in [SortOrder::Ascending, SortOrder::Descending] {
            for operator in operators {
                let id = format!("{order:?} {operator:?}");
                create(cx, leaderboard(&id, order, operator)).await;
                let mut known: HashMap<Uuid, (i64, i64)> = HashMap::new();
                for _ in 0..60 {
                    let owner = *everybody.choose(&mut random).unwrap();
                    if random.random_ratio(1, 6) {
                        records::delete(cx, Access::Server, &id, owner).await.unwrap();
                        known.remove(&owner);
                        continue;
                    }
                    let asked = random.random_ratio(1, 4);
                    let other = asked.then(|| *operators.choose(&mut random).unwrap());
                    let sent = (random.random_range(0..6), random.random_range(0..3));
                    let submission =
                        Submission { subscore: sent.1, operator: other, ..score(owner, sent.0) };
                    let written =
                        records::write(cx, Access::Client, &id, &submission).await.unwrap();
                    let old = known.get(&owner).copied();
                    let new = model(order, other.unwrap_or(operator), old, sent);
                    assert_eq!((written.score, written.subscore), new, "{id}");
                    known.insert(owner, new);
                    assert_eq!(written.rank, rank(order, &known, owner), "{id}");
                }
                check_list(cx, &id, order, &known).await;
            }
        }
        // The same from what the database has, as after a restart.
        let again = Cx::new(Arc::clone(&cx.config), cx.db.clone(), cx.io.clone()).unwrap();
        again.boards.load(&again.db, &again.io).await.unwrap();
        for _ in 0..2 {
            for board in cx.boards.all() {
                let mut known = HashMap::new();
                for record in all(cx, &board.id).await {
                    let owner = Uuid::try_parse(&record.owner_id).unwrap();
                    known.insert(owner, (record.score, record.subscore));
                }
                check_list(&again, &board.id, board.sort_order, &known).await;
            }
            while !again.boards.ranks_are_read() {
                tokio::task::yield_now().await;
            }
        }
    });
}

/// The rank in a sorted list.
fn rank(order: SortOrder, known: &HashMap<Uuid, (i64, i64)>, owner: Uuid) -> i64 {
    let mine = (known[&owner], owner);
    let before = known.iter().map(|(owner, score)| (*score, *owner)).filter(|other| match order {
        SortOrder::Ascending => *other < mine,
        SortOrder::Descending => *other > mine,
    });
    before.count() as i64 + 1
}

async fn all(cx: &Cx, id: &str) -> Vec<guildhall_proto::api::LeaderboardRecord> {
    let listing = Listing { limit: Some(100), ..Listing::default() };
    records::list(cx, id, &listing).await.unwrap().records
}

async fn check_list(cx: &Cx, id: &str, order: SortOrder, known: &HashMap<Uuid, (i64, i64)>) {
    let everybody = known.keys().copied().collect();
    let listing = Listing { limit: Some(3), owners: everybody, ..Listing::default() };
    let first = records::list(cx, id, &listing).await.unwrap();
    assert_eq!(first.rank_count, known.len() as i64);
    assert_eq!(first.owner_records.len(), known.len());
    for record in &first.owner_records {
        let owner = Uuid::try_parse(&record.owner_id).unwrap();
        assert_eq!(record.rank, rank(order, known, owner), "{id}");
        let around = records::around(cx, id, owner, 3, "", 0).await.unwrap();
        let mine = around.records.iter().find(|it| it.owner_id == record.owner_id).unwrap();
        assert_eq!(mine.rank, record.rank);
        assert!(around.records.windows(2).all(|pair| pair[0].rank + 1 == pair[1].rank));
        let at = cx.boards.get(id).unwrap();
        let found = cx.boards.at_rank(&cx.db, &at, 0, record.rank).await.unwrap();
        assert_eq!(found.map(|Ranked { owner, .. }| owner), Some(owner));
    }
    // Page by page there and back again.
    let mut page = first.clone();
    let mut there = vec![page.records.clone()];
    while !page.next_cursor.is_empty() {
        let listing = Listing { limit: Some(3), cursor: page.next_cursor, ..Listing::default() };
        page = records::list(cx, id, &listing).await.unwrap();
        there.push(page.records.clone());
    }
    assert_eq!(there.concat(), first.owner_records, "{id}");
    let mut back = vec![there.pop().unwrap()];
    while !page.prev_cursor.is_empty() {
        let listing = Listing { limit: Some(3), cursor: page.prev_cursor, ..Listing::default() };
        page = records::list(cx, id, &listing).await.unwrap();
        back.push(page.records.clone());
    }
    back.reverse();
    assert_eq!(back.concat(), first.owner_records, "{id}");
}

#[test]
fn ranks_in_memory_are_those_of_the_sorted_list() {
    ranks_are_those_of_the_list(|_| {});
}

#[test]
fn ranks_beyond_the_room_in_memory_are_those_of_the_sorted_list() {
    ranks_are_those_of_the_list(|config| config.leaderboard.rank_cache_records = 10);
}

#[test]
fn boards_without_ranks_tell_none() {
    let Some(slices) = Slices::start(|config| {
        config.leaderboard.blacklist_rank_cache = ["off"].into_iter().collect();
    }) else {
        return;
    };
    let cx = &*slices.cx;
    slices.run(async {
        let owner = Uuid::from_u128(1);
        let board = |id| leaderboard(id, SortOrder::Descending, Operator::Best);
        create(cx, board("off")).await;
        create(cx, Definition { ranked: false, ..board("silent") }).await;
        create(cx, board("stopped")).await;
        let ranks = async |id: &str, points| {
            let submission = score(owner, points);
            let written = records::write(cx, Access::Client, id, &submission).await.unwrap();
            let listing = Listing { limit: Some(9), owners: vec![owner], ..Listing::default() };
            let list = records::list(cx, id, &listing).await.unwrap();
            // A page counts its records whether ranks are told or not.
            assert_eq!(list.records[0].rank, 1);
            (written.rank, list.owner_records[0].rank, list.rank_count)
        };
        assert_eq!(ranks("off", 1).await, (0, 0, 0));
        assert_eq!(ranks("silent", 1).await, (0, 0, 0));
        assert_eq!(ranks("stopped", 1).await, (1, 1, 1));
        assert!(cx.boards.disable_ranks(&cx.db, "stopped").await.unwrap());
        assert_eq!(ranks("stopped", 2).await, (0, 0, 0));
        assert!(!cx.boards.disable_ranks(&cx.db, "nowhere").await.unwrap());
    });
}

#[test]
fn a_reset_begins_a_new_period_and_keeps_the_old_records() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        create(cx, daily("board")).await;
        let [ann, ben] = [1, 2].map(Uuid::from_u128);
        let send = async |owner, points| {
            let sent = records::write(cx, Access::Client, "board", &score(owner, points)).await;
            sent.unwrap()
        };
        let first = send(ann, 5).await;
        let expiry_s = first.expiry_time.unwrap().seconds;
        cx.boards.advance(expiry_s - cx.boards.now_s());
        assert_eq!(all(cx, "board").await, []);
        let second = send(ben, 3).await;
        assert_eq!((second.rank, second.expiry_time.unwrap().seconds), (1, expiry_s + DAY));
        let listing = Listing { limit: Some(9), owners: vec![ann], expiry_s, ..Listing::default() };
        let old = records::list(cx, "board", &listing).await.unwrap();
        assert_eq!((old.records.len(), old.records[0].score, old.rank_count), (1, 5, 0));
        assert_eq!(old.owner_records[0].rank, 0);
        // A cursor goes with its period.
        let cursor = records::cursor_from_rank(cx, "board", 2, 0).await.unwrap();
        cx.boards.advance(DAY);
        let listing = Listing { limit: Some(9), cursor, ..Listing::default() };
        assert!(matches!(records::list(cx, "board", &listing).await, Err(Refusal::Cursor)));
    });
}

#[test]
fn the_records_of_a_deleted_account_leave_the_ranks() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        create(cx, leaderboard("board", SortOrder::Descending, Operator::Best)).await;
        let (ann, ben) = (new_user(cx, "ann").await, new_user(cx, "ben").await);
        let send = async |owner, points| {
            records::write(cx, Access::Client, "board", &score(owner, points)).await.unwrap().rank
        };
        assert_eq!((send(ann, 5).await, send(ben, 3).await), (1, 2));
        account::delete(cx, ann, false).await.unwrap();
        let listing = Listing { owners: vec![ben], ..Listing::default() };
        let list = records::list(cx, "board", &listing).await.unwrap();
        assert_eq!((list.rank_count, list.owner_records[0].rank), (1, 1));
    });
}

#[test]
fn writes_at_once_are_all_counted() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        create(cx, leaderboard("sum", SortOrder::Descending, Operator::Increment)).await;
        let everybody = owners(4);
        let writes = (0..40).map(|at| {
            let submission = score(everybody[at % 4], 1 + at as i64 % 4);
            async move { records::write(cx, Access::Client, "sum", &submission).await.unwrap() }
        });
        join_all(writes).await;
        let scores: Vec<_> = all(cx, "sum").await.into_iter().map(|it| it.score).collect();
        assert_eq!(scores, [40, 30, 20, 10]);
        assert!(all(cx, "sum").await.iter().all(|record| record.num_score == 10));
        let listing = Listing { owners: everybody, ..Listing::default() };
        let ranked = records::list(cx, "sum", &listing).await.unwrap().owner_records;
        assert_eq!(ranked.iter().map(|it| it.rank).collect::<Vec<_>>(), [1, 2, 3, 4]);
    });
}

#[test]
fn scores_at_once_are_gathered_and_each_has_its_own_outcome() {
    let Some(slices) = Slices::start(|config| config.batch.in_flight = 1) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        create(cx, leaderboard("low", SortOrder::Ascending, Operator::Best)).await;
        create(cx, leaderboard("high", SortOrder::Descending, Operator::Best)).await;
        let everybody = owners(40);
        let send = async |points: &dyn Fn(usize) -> i64, metadata: Option<&str>| {
            let sent = everybody.iter().enumerate().flat_map(|(at, owner)| {
                let submission = Submission {
                    username: Some(format!("name {at}")),
                    metadata: metadata.map(str::to_owned),
                    ..score(*owner, points(at))
                };
                ["low", "high"].map(|id| (id, submission.clone()))
            });
            let sent: Vec<_> = sent.collect();
            let writes = sent.iter().map(|(id, it)| records::write(cx, Access::Client, id, it));
            let written = join_all(writes).await.into_iter().map(Result::unwrap);
            written.map(|it| (it.score, it.num_score, it.metadata)).collect::<Vec<_>>()
        };
        let same = |low: (i64, i32, &str), high: (i64, i32, &str)| {
            let own = |(score, count, text): (i64, i32, &str)| (score, count, text.to_owned());
            [own(low), own(high)]
        };
        let text = r#"{"n": 1}"#;
        let first = send(&|_| 10, None).await;
        assert_eq!(first, vec![same((10, 1, "{}"), (10, 1, "{}")); 40].concat());
        // Every second one is higher than before, the others lower.
        let second = send(&|at| if at % 2 == 0 { 20 } else { 5 }, Some(text)).await;
        let up = same((10, 1, "{}"), (20, 2, text));
        let down = same((5, 2, text), (10, 1, "{}"));
        assert_eq!(second, vec![[up, down].concat(); 20].concat());
        // What changed at once has the time of its statement.
        let times = "SELECT count(DISTINCT update_time) FROM leaderboard_record";
        assert!(super::count(cx, times).await < 20);
        // Ranks are those of the last of all.
        let listing = Listing { limit: Some(100), owners: everybody.clone(), ..Listing::default() };
        let list = records::list(cx, "high", &listing).await.unwrap();
        assert_eq!(list.records, list.owner_records);
        assert_eq!(list.records[0].username.as_deref(), Some("name 38"));
    });
}

#[test]
fn one_bad_score_among_many_at_once_fails_alone() {
    let Some(slices) = Slices::start(|config| config.batch.in_flight = 1) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        create(cx, leaderboard("sum", SortOrder::Descending, Operator::Increment)).await;
        // The second of these is too much for the column, the third no text of the database's.
        let owner = Uuid::from_u128(99);
        records::write(cx, Access::Client, "sum", &score(owner, i64::MAX)).await.unwrap();
        let mut sent: Vec<_> = owners(6).into_iter().map(|owner| score(owner, 1)).collect();
        sent.insert(2, score(owner, 1));
        sent.insert(
            4,
            Submission {
                metadata: Some(r#"{"a": "\u0000"}"#.into()),
                ..score(Uuid::from_u128(98), 1)
            },
        );
        let writes = sent.iter().map(|it| records::write(cx, Access::Client, "sum", it));
        let good: Vec<_> = join_all(writes).await.iter().map(Result::is_ok).collect();
        assert_eq!(good, [true, true, false, true, false, true, true, true]);
    });
}

#[test]
fn a_tournament_has_room_for_so_many_and_no_more() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        create(cx, Definition { max_size: 3, ..open_cup("cup") }).await;
        let everybody = owners(8);
        let sent = join_all(everybody.iter().map(|owner| write(cx, "cup", *owner, 5))).await;
        let count = |sent: &[Result<i64, Refusal>]| sent.iter().flatten().count();
        assert_eq!(count(&sent), 3);
        assert!(
            sent.iter()
                .flat_map(|it| it.as_ref().err())
                .all(|it| { matches!(it, Refusal::MaxSize) })
        );
        let (inside, outside): (Vec<_>, Vec<_>) =
            everybody.iter().zip(&sent).partition(|(_, sent)| sent.is_ok());
        // Who is in may go on, and who leaves makes room for one.
        assert!(write(cx, "cup", *inside[0].0, 6).await.is_ok());
        tournament::delete(cx, Access::Server, "cup", *inside[1].0).await.unwrap();
        let sent = join_all(outside.iter().map(|(owner, _)| write(cx, "cup", **owner, 5))).await;
        assert_eq!(count(&sent), 1);
        let size = "SELECT size::int8 FROM leaderboard WHERE id = 'cup'";
        assert_eq!(super::count(cx, size).await, 3);
        // The same where one must join.
        let joined = Definition { max_size: 3, join_required: true, ..open_cup("joined") };
        create(cx, joined).await;
        let joins = everybody.iter().map(|owner| tournament::join(cx, "joined", *owner, "name"));
        assert_eq!(join_all(joins).await.iter().flatten().count(), 3);
        let listing = Listing { limit: Some(9), ..Listing::default() };
        let list = tournament::records_of(cx, "joined", &listing).await.unwrap();
        assert_eq!((list.records.len(), list.rank_count), (3, 3));
    });
}

#[test]
fn attempts_at_once_are_counted_to_the_last() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        create(cx, Definition { max_num_score: 3, ..open_cup("cup") }).await;
        let ann = Uuid::from_u128(1);
        let sent = join_all((0..8).map(|points| write(cx, "cup", ann, points))).await;
        assert_eq!(sent.iter().flatten().count(), 3);
        let refused = |it: &Result<i64, Refusal>| matches!(it, Err(Refusal::MaxNumScore));
        assert_eq!(sent.iter().filter(|it| refused(it)).count(), 5);
        tournament::add_attempts(cx, "cup", ann, 1).await.unwrap();
        assert!(write(cx, "cup", ann, 9).await.is_ok());
        assert!(refused(&write(cx, "cup", ann, 9).await));
    });
}

/// A program that keeps what it is called with.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Vec<Value>>>);

impl Program for Listener {
    fn language(&self) -> Language {
        Language::Native
    }

    fn start(&self, _: Arc<Seat>) -> Result<Started, LoadError> {
        let points = [Point::TournamentEnd, Point::TournamentReset, Point::LeaderboardReset];
        let registrations = points.into_iter().enumerate().map(|(at, point)| Registration {
            point,
            name: String::new(),
            function: FunctionId(at as u32),
            definition: None,
            module: "listener.so".to_owned(),
        });
        Ok(Started { interpreter: Box::new(self.clone()), registrations: registrations.collect() })
    }
}

impl Interpreter for Listener {
    fn call(&mut self, call: Call) -> Invoked {
        let Input::Plain { arguments } = call.input else { panic!("not plain") };
        let mut heard = vec![json!(call.context.mode.name())];
        heard.extend(arguments.iter().map(|it| serde_json::to_value(it.value()).unwrap()));
        heard[1] = heard[1]["id"].take();
        self.0.lock().unwrap().push(heard.into());
        Invoked { result: Ok(Output::Nothing), spoiled: false }
    }
}

impl Listener {
    /// One that is registered, for as long as the registry lives.
    async fn start(cx: &Arc<Cx>) -> (Self, Addr<Registry>) {
        let listener = Self::default();
        let settings = PoolSettings::of(Language::Native, &cx.config.runtime);
        let watchdog = Watchdog::start().unwrap();
        let program = Arc::new(listener.clone());
        let (pool, registrations) =
            ScriptPool::start(program, Arc::clone(cx), settings, &watchdog).await.unwrap();
        let registry = Registry::new(cx).start();
        registry.send(Register { loaded: vec![Loaded { registrations, pool }] }).await.unwrap();
        (listener, registry)
    }

    /// What was heard since the last time, in order.
    fn heard(&self) -> Vec<Value> {
        let mut heard = std::mem::take(&mut *self.0.lock().unwrap());
        heard.sort_by_key(Value::to_string);
        heard
    }
}

#[test]
fn ends_and_resets_are_told_once_and_also_over_a_restart() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &slices.cx;
    actix::System::new().block_on(async {
        let (listener, _registry) = Listener::start(cx).await;
        create(cx, daily("board")).await;
        create(cx, cup("cup")).await;
        let over = Definition { duration_s: 5, start_s: 1_000, end_s: 2_000, ..open_cup("over") };
        create(cx, over).await;
        let mut schedule = Schedule::load(&cx.db).await.unwrap();
        schedule.settle(cx).await.unwrap();
        assert_eq!(listener.heard(), [] as [Value; 0]);

        let now_s = cx.boards.now_s();
        let (board, cup) = (cx.boards.get("board").unwrap(), cx.boards.get("cup").unwrap());
        let mut instants = vec![
            board.next_reset(now_s).unwrap(),
            cup.next_end(now_s).unwrap(),
            cup.next_reset(now_s).unwrap(),
        ];
        instants.sort();
        instants.dedup();
        for instant_s in instants {
            cx.boards.advance(instant_s - cx.boards.now_s() - 1);
            let next_s = schedule.settle(cx).await.unwrap();
            assert_eq!(listener.heard(), [] as [Value; 0]);
            assert_eq!(next_s, Some(instant_s));
            let mut wanted = Vec::new();
            if board.next_reset(instant_s - 1) == Some(instant_s) {
                wanted.push(json!(["leaderboard_reset", "board", instant_s]));
            }
            let reset_s = cup.next_reset(instant_s - 1).unwrap();
            if cup.next_end(instant_s - 1) == Some(instant_s) {
                wanted.push(json!(["tournament_end", "cup", instant_s, reset_s]));
            }
            if reset_s == instant_s {
                let end_s = cup.period(instant_s - 1).end_s;
                wanted.push(json!(["tournament_reset", "cup", end_s, reset_s]));
            }
            cx.boards.advance(1);
            // Another one that read the database before, as of a server that is about to end.
            let mut other = Schedule::load(&cx.db).await.unwrap();
            schedule.settle(cx).await.unwrap();
            assert_eq!(listener.heard(), wanted);
            schedule.settle(cx).await.unwrap();
            other.settle(cx).await.unwrap();
            Schedule::load(&cx.db).await.unwrap().settle(cx).await.unwrap();
            assert_eq!(listener.heard(), [] as [Value; 0]);
        }

        // Days pass without a server: the first end and the first reset are told, once.
        let now_s = cx.boards.now_s();
        let (end_s, reset_s) = (cup.next_end(now_s).unwrap(), cup.next_reset(now_s).unwrap());
        let wanted = [
            json!(["leaderboard_reset", "board", board.next_reset(now_s).unwrap()]),
            json!(["tournament_end", "cup", end_s, cup.period(end_s - 1).expiry_s]),
            json!(["tournament_reset", "cup", cup.period(reset_s - 1).end_s, reset_s]),
        ];
        cx.boards.advance(10 * DAY);
        let mut schedule = Schedule::load(&cx.db).await.unwrap();
        schedule.settle(cx).await.unwrap();
        assert_eq!(listener.heard(), wanted);
        schedule.settle(cx).await.unwrap();
        assert_eq!(listener.heard(), [] as [Value; 0]);

        // What is gone is not told, and leaves nothing.
        cx.boards.delete(&cx.db, "cup").await.unwrap();
        let rows = "SELECT count(*) FROM guildhall.leaderboard_call WHERE leaderboard_id = 'cup'";
        assert_eq!(super::count(cx, rows).await, 0);
        cx.boards.advance(10 * DAY);
        schedule.settle(cx).await.unwrap();
        let heard = listener.heard();
        assert!(heard.len() == 1 && heard[0][1] == "board", "{heard:?}");
    });
}

#[test]
fn the_actor_tells_resets_as_they_fall_due_until_it_is_stopped() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &slices.cx;
    actix::System::new().block_on(async {
        let (listener, _registry) = Listener::start(cx).await;
        let running = Leaderboards::run(cx).await.unwrap();
        // Of each second; the actor hears of it though it has been started before.
        let reset = Reset::parse("* * * * * * *").unwrap();
        create(cx, Definition { reset, ..daily("board") }).await;
        let mut heard = Vec::new();
        while heard.len() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            heard.extend(listener.heard());
        }
        running.stop().await;
        heard.extend(listener.heard());
        let instants: Vec<_> = heard.iter().map(|it| it[2].as_i64().unwrap()).collect();
        assert!(instants.windows(2).all(|two| two[0] < two[1]), "{instants:?}");
        assert!(*instants.last().unwrap() <= cx.boards.now_s());
        let settled = "SELECT count(*) FROM guildhall.leaderboard_call WHERE event = 1";
        assert_eq!(super::count(cx, settled).await, 1);
        // What is due now is for the next start.
        cx.boards.advance(5);
        let mut schedule = Schedule::load(&cx.db).await.unwrap();
        assert_eq!(listener.heard(), [] as [Value; 0]);
        schedule.settle(cx).await.unwrap();
        assert_eq!(listener.heard().len(), 1);
    });
}

#[test]
fn a_reset_makes_room_in_a_full_tournament() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let joined = Definition { max_size: 1, join_required: true, ..cup("cup") };
        create(cx, joined).await;
        let mut schedule = Schedule::load(&cx.db).await.unwrap();
        let [ann, ben] = [1, 2].map(Uuid::from_u128);
        let join = async |user| tournament::join(cx, "cup", user, "name").await;
        let next = async |instant_s: i64| cx.boards.advance(instant_s - cx.boards.now_s());
        let board = cx.boards.get("cup").unwrap();
        // Into the first period, which may have begun.
        next(board.next_reset(cx.boards.now_s()).unwrap() - DAY).await;
        assert!(join(ann).await.is_ok());
        assert!(matches!(join(ben).await, Err(Refusal::MaxSize)));
        next(board.next_reset(cx.boards.now_s()).unwrap()).await;
        schedule.settle(cx).await.unwrap();
        assert!(join(ben).await.is_ok());
        assert!(matches!(join(ann).await, Err(Refusal::MaxSize)));
    });
}

#[test]
fn a_board_made_twice_at_once_is_one_and_deleted_with_its_records() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let board = || leaderboard("board", SortOrder::Descending, Operator::Best);
        let made = join_all((0..5).map(|_| cx.boards.create(&cx.db, board()))).await;
        assert!(made.iter().all(|it| Arc::ptr_eq(it.as_ref().unwrap(), made[0].as_ref().unwrap())));
        // One that the server has not seen, such as one made by SQL.
        let sql = "INSERT INTO leaderboard (id, operator) VALUES ('foreign', 2)";
        cx.db.execute(sql, &[]).await.unwrap();
        let foreign = leaderboard("foreign", SortOrder::Ascending, Operator::Best);
        let found = cx.boards.create(&cx.db, foreign).await.unwrap();
        assert_eq!(
            (found.operator, found.sort_order),
            (Operator::Increment, SortOrder::Descending)
        );

        let owner = Uuid::from_u128(1);
        records::write(cx, Access::Client, "board", &score(owner, 1)).await.unwrap();
        cx.boards.delete(&cx.db, "board").await.unwrap();
        cx.boards.delete(&cx.db, "board").await.unwrap();
        assert_eq!(super::count(cx, "SELECT count(*) FROM leaderboard_record").await, 0);
        let gone = records::write(cx, Access::Client, "board", &score(owner, 1)).await;
        assert!(matches!(gone, Err(Refusal::NotFound)));
    });
}
