//! Batchers: small statements of one kind, asked for at the same time, become one statement.
//!
//! A row that is written alone costs PostgreSQL three to five times what it costs among others, for
//! the same durability. So what is asked for while a statement of its kind is on its way waits for
//! that statement to come back, and then goes as one batch. Nothing waits for a clock: a server at
//! rest runs each row at once and alone, and batches grow by themselves with the load.
//!
//! A kind of work is a [`Batch`]; [`Batcher::run`] does one item of it and answers when that item
//! is done, durably, with its own outcome. What must stay true:
//!
//! - Items that touch the same rows are never in one batch, and batches go by one order of items,
//!   so that batches cannot deadlock.
//! - A batch that the database refuses has done nothing; its items are run again one by one, each
//!   by its own caller, so that one bad row fails alone. A batch whose connection broke may have
//!   been done: its items are told so and not run again.
//! - Who stops waiting takes nothing along: an item that waits is left out, one that is on its way
//!   is finished. A batch that panics fails its own items only.
//! - The queue is bounded; what is asked for beyond it is refused.
//! - A statement that takes long (it waits for a lock that a module's transaction holds) gives its
//!   place to the next one.

use std::{
    cmp::Ordering, collections::VecDeque, fmt, future::Future, pin::pin, sync::Arc, time::Duration,
};

use guildhall_core::{Code, Fault, OrFault, Result, Status, config};
use parking_lot::Mutex;
use tokio::{runtime::Handle, sync::oneshot, time::timeout};

use crate::database::{Database, DbError};

const BUSY: Status =
    Status::new(Code::ResourceExhausted, "Too many requests at once, try again later.");

/// How long a statement keeps the next ones waiting.
const SLOW: Duration = Duration::from_millis(100);

/// Most slow statements that others have overtaken; beyond it all wait.
const MAX_SLOW: usize = 8;

/// How many waiting items are looked at for each place in a batch: where many touch the same rows,
/// the others are found behind them.
const LOOK_AHEAD: usize = 8;

/// A kind of work of which many items can be done by one statement.
pub trait Batch: Send + Sync + 'static {
    /// What is to be done.
    type Item: Send + Sync + 'static;
    /// What came of it; a refusal is an outcome too.
    type Outcome: Send + 'static;
    /// The public sentence of a failure.
    const DOING: &'static str;

    /// The order of items in a batch. Equal ones touch the same rows and are never in one batch.
    fn order(a: &Self::Item, b: &Self::Item) -> Ordering;

    /// Does one item, in a statement of its own.
    ///
    /// # Errors
    /// Why it could not be done.
    fn one(
        &self,
        db: &Database,
        item: &Self::Item,
    ) -> impl Future<Output = Result<Self::Outcome>> + Send;

    /// Does all items, which stand in [`order`](Self::order), in one statement: all or none. Gives
    /// an outcome for each, in the same order; `None` for an item that was not done and is to be
    /// done alone.
    ///
    /// # Errors
    /// The database's.
    fn many(
        &self,
        db: &Database,
        items: &[Self::Item],
    ) -> impl Future<Output = Result<Vec<Option<Self::Outcome>>, DbError>> + Send;
}

/// How much a batcher takes on.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most items in one statement.
    pub max_rows: usize,
    /// Statements on their way at once.
    pub in_flight: usize,
    /// Most items that wait; what comes then is refused.
    pub queue_size: usize,
}

impl From<&config::Batch> for Limits {
    fn from(config: &config::Batch) -> Self {
        Self {
            max_rows: config.max_rows,
            in_flight: config.in_flight,
            queue_size: config.queue_size,
        }
    }
}

/// Gathers the items of one kind of work. A cheap handle: clones share one queue.
pub struct Batcher<B: Batch>(Arc<Shared<B>>);

struct Shared<B: Batch> {
    batch: B,
    limits: Limits,
    db: Database,
    io: Handle,
    queue: Mutex<Queue<B>>,
}

struct Queue<B: Batch> {
    waiting: VecDeque<Waiter<B>>,
    /// Statements on their way that keep others waiting.
    running: usize,
    /// Statements on their way that others have overtaken.
    slow: usize,
}

struct Waiter<B: Batch> {
    item: B::Item,
    reply: oneshot::Sender<Reply<B>>,
}

enum Reply<B: Batch> {
    Done(Result<B::Outcome>),
    /// Not done: its caller is to do it alone.
    Alone(B::Item),
}

impl<B: Batch> Clone for Batcher<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B: Batch> fmt::Debug for Batcher<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.0.queue.lock();
        f.debug_struct("Batcher")
            .field("waiting", &queue.waiting.len())
            .field("running", &queue.running)
            .field("slow", &queue.slow)
            .finish_non_exhaustive()
    }
}

impl<B: Batch> Batcher<B> {
    /// A batcher on `db`, whose batches run on the I/O runtime `io`.
    pub fn new(batch: B, limits: impl Into<Limits>, db: Database, io: Handle) -> Self {
        let limits = limits.into();
        let queue = Queue { waiting: VecDeque::new(), running: 0, slow: 0 };
        Self(Arc::new(Shared { batch, limits, db, io, queue: Mutex::new(queue) }))
    }

    /// Does `item`, among others or alone, and gives back what came of it.
    ///
    /// # Errors
    /// What doing it alone gives; `ResourceExhausted` while the queue is full.
    pub async fn run(&self, item: B::Item) -> Result<B::Outcome> {
        let answer = match self.0.turn(item)? {
            Turn::Now(item, place) => return place.hold(self.0.batch.one(&self.0.db, &item)).await,
            Turn::Later(answer) => answer,
        };
        match answer.await {
            Ok(Reply::Done(outcome)) => outcome,
            Ok(Reply::Alone(item)) => self.0.batch.one(&self.0.db, &item).await,
            // The batch panicked, or the server is going down.
            Err(gone) => Err(Fault::new(B::DOING, gone).into()),
        }
    }
}

/// Whether an item is run at once.
enum Turn<B: Batch> {
    Now(B::Item, Place<B>),
    Later(oneshot::Receiver<Reply<B>>),
}

impl<B: Batch> Shared<B> {
    fn turn(self: &Arc<Self>, item: B::Item) -> Result<Turn<B>, Status> {
        let mut queue = self.queue.lock();
        if queue.running < self.limits.in_flight {
            queue.running += 1;
            return Ok(Turn::Now(item, Place { shared: Arc::clone(self), overtaken: false }));
        }
        if queue.waiting.len() >= self.limits.queue_size {
            return Err(BUSY);
        }
        let (reply, answer) = oneshot::channel();
        queue.waiting.push_back(Waiter { item, reply });
        Ok(Turn::Later(answer))
    }

    /// Gives a place that became free to those who wait.
    fn next(self: &Arc<Self>) {
        let waiters = {
            let mut queue = self.queue.lock();
            let waiters = queue.take(self.limits.max_rows);
            if waiters.is_empty() {
                queue.running -= 1;
                return;
            }
            waiters
        };
        let place = Place { shared: Arc::clone(self), overtaken: false };
        self.io.spawn(place.run(waiters));
    }
}

impl<B: Batch> Queue<B> {
    /// The next batch, in order: no two of its items touch the same rows, and nobody in it has
    /// stopped waiting. What is left out stays in front.
    fn take(&mut self, max_rows: usize) -> Vec<Waiter<B>> {
        let mut batch: Vec<Waiter<B>> = Vec::with_capacity(max_rows.min(self.waiting.len()));
        let mut left_out = Vec::new();
        let most = max_rows.saturating_mul(LOOK_AHEAD);
        while batch.len() < max_rows && left_out.len() < most {
            let Some(waiter) = self.waiting.pop_front() else { break };
            if waiter.reply.is_closed() {
                continue;
            }
            match batch.binary_search_by(|other| B::order(&other.item, &waiter.item)) {
                Ok(_) => left_out.push(waiter),
                Err(at) => batch.insert(at, waiter),
            }
        }
        for waiter in left_out.into_iter().rev() {
            self.waiting.push_front(waiter);
        }
        batch
    }
}

/// One of the places of statements on their way; given on when it is dropped, so also where its
/// statement panicked or nobody waited for it any more.
struct Place<B: Batch> {
    shared: Arc<Shared<B>>,
    overtaken: bool,
}

impl<B: Batch> Place<B> {
    /// Runs `statement` in this place. If it takes long, the place goes to the next one meanwhile.
    async fn hold<T>(mut self, statement: impl Future<Output = T>) -> T {
        let mut statement = pin!(statement);
        if let Ok(outcome) = timeout(SLOW, statement.as_mut()).await {
            return outcome;
        }
        self.be_overtaken();
        statement.await
    }

    fn be_overtaken(&mut self) {
        let mut queue = self.shared.queue.lock();
        if queue.slow >= MAX_SLOW {
            return;
        }
        queue.slow += 1;
        drop(queue);
        self.overtaken = true;
        self.shared.next();
    }

    /// Runs a batch and answers all who wait for it.
    async fn run(self, waiters: Vec<Waiter<B>>) {
        let (items, mut replies): (Vec<_>, Vec<_>) =
            waiters.into_iter().map(|waiter| (waiter.item, waiter.reply)).unzip();
        let shared = Arc::clone(&self.shared);
        let Shared { batch, db, .. } = &*shared;
        if items.len() == 1
            && let Some(reply) = replies.pop()
        {
            let outcome = self.hold(batch.one(db, &items[0])).await;
            // Who has stopped waiting meanwhile is not told.
            let _ = reply.send(Reply::Done(outcome));
            return;
        }
        let outcomes = match self.hold(batch.many(db, &items)).await {
            Ok(outcomes) => outcomes,
            Err(error) if error.is_unavailable() => {
                for reply in replies {
                    let _ = reply.send(Reply::Done(Err(error.again()).or_fault(B::DOING)));
                }
                return;
            }
            Err(error) => {
                tracing::debug!(doing = B::DOING, rows = items.len(), %error, "batch refused");
                Vec::new()
            }
        };
        let outcomes = outcomes.into_iter().chain(std::iter::repeat_with(|| None));
        for ((item, reply), outcome) in items.into_iter().zip(replies).zip(outcomes) {
            let _ = reply.send(match outcome {
                Some(outcome) => Reply::Done(Ok(outcome)),
                None => Reply::Alone(item),
            });
        }
    }
}

impl<B: Batch> Drop for Place<B> {
    fn drop(&mut self) {
        if self.overtaken {
            self.shared.queue.lock().slow -= 1;
        } else {
            self.shared.next();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

    use futures_util::{FutureExt, future::join_all};
    use tokio::sync::Semaphore;

    use super::*;

    /// Work that waits at a gate and tells what it was given.
    #[derive(Default)]
    struct Fake {
        /// The keys of each statement, in order.
        statements: Mutex<Vec<Vec<u32>>>,
        /// A permit lets one statement through.
        gate: Arc<Gate>,
        at_once: AtomicUsize,
        most_at_once: AtomicUsize,
    }

    struct Gate {
        open: AtomicBool,
        permits: Semaphore,
    }

    impl Default for Gate {
        fn default() -> Self {
            Self { open: AtomicBool::new(false), permits: Semaphore::new(0) }
        }
    }

    /// Key 13 makes a batch fail and fails alone; 14 makes it panic; 15 is not done in a batch;
    /// 16 breaks the connection.
    type Item = (u32, &'static str);

    impl Fake {
        async fn enter(&self, keys: Vec<u32>) {
            self.statements.lock().push(keys);
            let now = self.at_once.fetch_add(1, SeqCst) + 1;
            self.most_at_once.fetch_max(now, SeqCst);
            if !self.gate.open.load(SeqCst) {
                self.gate.permits.acquire().await.unwrap().forget();
            }
            self.at_once.fetch_sub(1, SeqCst);
        }
    }

    impl Batch for Arc<Fake> {
        type Item = Item;
        type Outcome = String;
        const DOING: &'static str = "Error doing it.";

        fn order(a: &Item, b: &Item) -> Ordering {
            a.0.cmp(&b.0)
        }

        async fn one(&self, _: &Database, item: &Item) -> Result<String> {
            self.enter(vec![item.0]).await;
            match item.0 {
                13 => Err(Fault::new(Self::DOING, "bad row").into()),
                key => Ok(format!("{key} {} alone", item.1)),
            }
        }

        async fn many(&self, _: &Database, items: &[Item]) -> Result<Vec<Option<String>>, DbError> {
            self.enter(items.iter().map(|item| item.0).collect()).await;
            let has = |key| items.iter().any(|item| item.0 == key);
            assert!(!has(14), "a fault of the batch");
            if has(13) {
                return Err(DbError::NoRow);
            }
            if has(16) {
                return Err(DbError::Unavailable { reason: "gone".into(), maybe_done: true });
            }
            let told = |item: &Item| (item.0 != 15).then(|| format!("{} {}", item.0, item.1));
            Ok(items.iter().map(told).collect())
        }
    }

    fn batcher(
        max_rows: usize,
        in_flight: usize,
        queue_size: usize,
    ) -> (Batcher<Arc<Fake>>, Arc<Fake>) {
        let io = Handle::current();
        let fake = Arc::new(Fake::default());
        let limits = Limits { max_rows, in_flight, queue_size };
        let db = Database::absent(&io).unwrap();
        (Batcher::new(Arc::clone(&fake), limits, db, io), fake)
    }

    /// Starts these items: each is polled once, so the first has its place and the others wait.
    fn started<'a>(
        batcher: &'a Batcher<Arc<Fake>>,
        items: &[Item],
    ) -> Vec<std::pin::Pin<Box<dyn Future<Output = Result<String>> + 'a>>> {
        let runs = items.iter().map(|item| {
            let mut run =
                Box::pin(batcher.run(*item)) as std::pin::Pin<Box<dyn Future<Output = _>>>;
            assert!(run.as_mut().now_or_never().is_none());
            run
        });
        runs.collect()
    }

    fn open(fake: &Fake) {
        fake.gate.open.store(true, SeqCst);
        fake.gate.permits.add_permits(1000);
    }

    fn texts(outcomes: Vec<Result<String>>) -> Vec<String> {
        outcomes.into_iter().map(|it| it.unwrap_or_else(|error| error.to_string())).collect()
    }

    #[tokio::test]
    async fn what_waits_becomes_one_batch_in_order_and_each_has_its_own_outcome() {
        let (batcher, fake) = batcher(3, 1, 100);
        let runs = started(&batcher, &[(5, "e"), (3, "c"), (1, "a"), (4, "d"), (2, "b")]);
        open(&fake);
        let outcomes = texts(join_all(runs).await);
        assert_eq!(outcomes, ["5 e alone", "3 c", "1 a", "4 d", "2 b alone"]);
        assert_eq!(*fake.statements.lock(), [vec![5], vec![1, 3, 4], vec![2]]);
        assert_eq!(batcher.0.queue.lock().running, 0);
    }

    #[tokio::test]
    async fn items_of_the_same_rows_are_never_in_one_batch_and_keep_their_order() {
        let (batcher, fake) = batcher(10, 1, 100);
        let runs = started(&batcher, &[(9, ""), (1, "a"), (1, "b"), (2, ""), (1, "c"), (3, "")]);
        open(&fake);
        let outcomes = texts(join_all(runs).await);
        assert_eq!(outcomes, ["9  alone", "1 a", "1 b alone", "2 ", "1 c alone", "3 "]);
        assert_eq!(*fake.statements.lock(), [vec![9], vec![1, 2, 3], vec![1], vec![1]]);
    }

    #[tokio::test]
    async fn a_bad_row_fails_alone() {
        let (batcher, fake) = batcher(10, 1, 100);
        let runs = started(&batcher, &[(9, ""), (1, "a"), (13, "b"), (2, "c")]);
        open(&fake);
        let outcomes = texts(join_all(runs).await);
        assert_eq!(outcomes, ["9  alone", "1 a alone", "Error doing it.: bad row", "2 c alone"]);
        let runs = [batcher.run((15, "x")), batcher.run((1, "y")), batcher.run((15, "z"))];
        let outcomes = texts(join_all(runs).await);
        assert!(
            outcomes.iter().all(|text| text.ends_with("alone") || text == "1 y"),
            "{outcomes:?}"
        );
    }

    #[tokio::test]
    async fn what_may_have_been_done_is_not_done_again() {
        let (batcher, fake) = batcher(10, 1, 100);
        let runs = started(&batcher, &[(9, ""), (1, "a"), (16, "b")]);
        open(&fake);
        for outcome in join_all(runs).await.into_iter().skip(1) {
            let error = crate::database::told(outcome.unwrap_err());
            assert_eq!(error.code(), Code::Unavailable);
        }
        assert_eq!(*fake.statements.lock(), [vec![9], vec![1, 16]]);
    }

    #[tokio::test]
    async fn a_panic_fails_its_own_batch_only() {
        let (batcher, fake) = batcher(2, 1, 100);
        let runs = started(&batcher, &[(9, ""), (1, "a"), (14, "b"), (2, "c"), (3, "d")]);
        open(&fake);
        let outcomes = texts(join_all(runs).await);
        assert!(outcomes[1].starts_with("Error doing it.") && outcomes[2] == outcomes[1]);
        assert_eq!(outcomes[3..], ["2 c", "3 d"]);
        assert_eq!(batcher.run((4, "e")).await.unwrap(), "4 e alone");
        assert_eq!(batcher.0.queue.lock().running, 0);
    }

    #[tokio::test]
    async fn who_stops_waiting_takes_nothing_along() {
        let (batcher, fake) = batcher(10, 1, 100);
        let mut runs = started(&batcher, &[(9, ""), (1, "a"), (2, "b"), (3, "c")]);
        // One that waits, and the one that has the place.
        drop(runs.remove(2));
        drop(runs.remove(0));
        open(&fake);
        assert_eq!(texts(join_all(runs).await), ["1 a", "3 c"]);
        assert_eq!(*fake.statements.lock(), [vec![9], vec![1, 3]]);
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_recovers() {
        let (batcher, fake) = batcher(10, 1, 2);
        let runs = started(&batcher, &[(9, ""), (1, ""), (2, "")]);
        assert_eq!(batcher.run((3, "")).await.unwrap_err().code(), Code::ResourceExhausted);
        open(&fake);
        assert_eq!(join_all(runs).await.len(), 3);
        assert!(batcher.run((3, "")).await.is_ok());
    }

    #[tokio::test]
    async fn no_more_statements_are_on_their_way_than_may_be() {
        let (batcher, fake) = batcher(4, 3, 1000);
        open(&fake);
        fake.gate.open.store(false, SeqCst);
        let runs = (0..200).map(|key| batcher.run((key % 13, "x")));
        assert_eq!(join_all(runs).await.into_iter().filter(Result::is_ok).count(), 200);
        assert!(fake.most_at_once.load(SeqCst) <= 3);
        assert!(fake.statements.lock().len() < 200);
        for statement in &*fake.statements.lock() {
            assert!(statement.windows(2).all(|two| two[0] < two[1]), "{statement:?}");
        }
    }

    #[tokio::test]
    async fn a_statement_that_takes_long_is_overtaken() {
        let (batcher, fake) = batcher(10, 1, 100);
        let mut runs = started(&batcher, &[(9, ""), (1, ""), (2, "")]);
        let (first, rest) = (runs.remove(0), runs);
        // The first statement holds on to the gate; the batch behind it goes through it.
        let rest = async {
            while fake.statements.lock().len() < 2 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(*fake.statements.lock(), [vec![9], vec![1, 2]]);
            open(&fake);
            join_all(rest).await
        };
        let (first, rest) = tokio::join!(first, rest);
        assert_eq!(first.unwrap(), "9  alone");
        assert_eq!(texts(rest), ["1 ", "2 "]);
        assert_eq!(batcher.0.queue.lock().slow, 0);
    }

    #[test]
    fn the_end_of_the_runtime_leaves_nobody_waiting() {
        let io = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let fake = Arc::new(Fake::default());
        let limits = Limits { max_rows: 1, in_flight: 1, queue_size: 100 };
        let db = Database::absent(io.handle()).unwrap();
        let batcher = Batcher::new(Arc::clone(&fake), limits, db, io.handle().clone());
        let other = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        other.block_on(async {
            let mut runs = started(&batcher, &[(9, ""), (1, ""), (2, ""), (3, "")]);
            io.shutdown_background();
            drop(runs.remove(0));
            for outcome in join_all(runs).await {
                assert_eq!(outcome.unwrap_err().message(), "Error doing it.");
            }
        });
    }
}
