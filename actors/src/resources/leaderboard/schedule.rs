//! The ends and resets of leaderboards and tournaments: told to the modules on time, each once.
//!
//! [`Schedule`] knows what falls due when, and up to when each board was seen to. The latter stands
//! in the database before a function is called, so that no restart calls it again, and what fell
//! due while no server ran is called for at the next start: for each board its first end and its
//! first reset in that time, which are those of the period that had players; in the periods behind
//! it nobody could play. A server that dies during a call does not repeat it.
//!
//! [`Leaderboards`] is the actor that waits for the next instant and hands what is due to workers.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use actix::{
    Actor, Addr, Arbiter, AsyncContext, AtomicResponse, Context, Handler, Message, SpawnHandle,
    WrapFuture,
};
use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use guildhall_core::{OrFault as _, Result};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinHandle,
};

use super::{
    boards::{Board, time_s},
    nk::LeaderboardInfo,
};
use crate::{
    cx::Cx,
    database::{Database, DbError, Sql},
    registry::Point,
    resources::tournament::nk::TournamentInfo,
    runtime::call::{Argument, ExecutionMode},
};

const SETTLING: &str = "Could not record the call of a leaderboard.";

/// The longest sleep: the clock may be set meanwhile.
const NAP: Duration = Duration::from_secs(3600);

/// What happens to a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Event {
    /// A period of a tournament takes no more scores.
    End,
    /// The records of a period end.
    Reset,
}

impl Event {
    const fn column(self) -> i16 {
        match self {
            Self::End => 0,
            Self::Reset => 1,
        }
    }
}

/// What falls due when.
#[derive(Debug)]
pub struct Schedule {
    /// What was due until then is settled for all boards.
    since_s: i64,
    /// Up to when the ends and the resets of a board are settled, where later than `since_s` and
    /// its creation.
    settled: HashMap<String, Settled>,
    upcoming: HashMap<String, Upcoming>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Settled {
    end_s: i64,
    reset_s: i64,
}

#[derive(Debug)]
struct Upcoming {
    board: Arc<Board>,
    end_s: Option<i64>,
    reset_s: Option<i64>,
}

/// What is due for a board.
#[derive(Clone, Debug)]
pub struct Due {
    board: Arc<Board>,
    /// When a period ended.
    end_s: Option<i64>,
    /// When records ended.
    reset_s: Option<i64>,
    /// Up to when all of the board is settled with this.
    until_s: i64,
}

impl Schedule {
    /// Reads up to when boards were seen to.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn load(db: &Database) -> Result<Self, DbError> {
        db.execute(FORGET, &[]).await?;
        let (mut since_s, mut settled) = (0, HashMap::<String, Settled>::new());
        for row in db.query(SETTLED, &[]).await? {
            let (id, event): (String, i16) =
                (row.try_get("leaderboard_id")?, row.try_get("event")?);
            let instant_s = row.try_get::<_, DateTime<Utc>>("settled_time")?.timestamp();
            if id.is_empty() {
                since_s = instant_s;
                continue;
            }
            let settled = settled.entry(id).or_default();
            match event {
                0 => settled.end_s = instant_s,
                _ => settled.reset_s = instant_s,
            }
        }
        Ok(Self { since_s, settled, upcoming: HashMap::new() })
    }

    /// What has fallen due by `now_s` and was not given before, and when something falls due next.
    fn due(&mut self, boards: Vec<Arc<Board>>, now_s: i64) -> (Vec<Due>, Option<i64>) {
        let mut known = std::mem::take(&mut self.upcoming);
        let (mut due, mut next_s) = (Vec::new(), None::<i64>);
        for board in boards {
            let mut upcoming = match known.remove(&board.id) {
                Some(known) if Arc::ptr_eq(&known.board, &board) => known,
                _ => self.upcoming(board),
            };
            let passed = |instant: Option<i64>| instant.filter(|instant_s| *instant_s <= now_s);
            let (end_s, reset_s) = (passed(upcoming.end_s), passed(upcoming.reset_s));
            if end_s.is_some() || reset_s.is_some() {
                let board = upcoming.board;
                due.push(Due { board: Arc::clone(&board), end_s, reset_s, until_s: now_s });
                let settled = Settled { end_s: now_s, reset_s: now_s };
                self.settled.insert(board.id.clone(), settled);
                upcoming = self.upcoming(board);
            }
            for instant_s in [upcoming.end_s, upcoming.reset_s].into_iter().flatten() {
                next_s = Some(next_s.map_or(instant_s, |next_s| next_s.min(instant_s)));
            }
            self.upcoming.insert(upcoming.board.id.clone(), upcoming);
        }
        // What is left is gone.
        for id in known.into_keys() {
            self.settled.remove(&id);
        }
        (due, next_s)
    }

    fn upcoming(&self, board: Arc<Board>) -> Upcoming {
        let settled = self.settled.get(&board.id).copied().unwrap_or_default();
        let since_s = self.since_s.max(board.create_time_s());
        Upcoming {
            end_s: board.next_end(settled.end_s.max(since_s)),
            reset_s: board.next_reset(settled.reset_s.max(since_s)),
            board,
        }
    }

    /// Settles at once all that is due, and gives back when something is due next.
    ///
    /// # Errors
    /// A fault of the database.
    pub async fn settle(&mut self, cx: &Cx) -> Result<Option<i64>> {
        let (due, next_s) = self.due(cx.boards.all(), cx.boards.now_s());
        for due in pass_over(cx, due).await? {
            call(cx, &due).await?;
        }
        Ok(next_s)
    }
}

/// Settles what nobody wants to hear of, and gives back the rest.
async fn pass_over(cx: &Cx, due: Vec<Due>) -> Result<Vec<Due>> {
    let routes = cx.routes.load();
    let wants = |point| routes.single(point).is_some();
    let is_wanted = |due: &Due| {
        let reset = match due.board.is_tournament() {
            // Its size begins anew.
            true => wants(Point::TournamentReset) || due.board.has_max_size(),
            false => wants(Point::LeaderboardReset),
        };
        due.end_s.is_some() && wants(Point::TournamentEnd) || due.reset_s.is_some() && reset
    };
    let (wanted, rest): (Vec<_>, Vec<_>) = due.into_iter().partition(is_wanted);
    if rest.is_empty() {
        return Ok(wanted);
    }
    let (mut ids, mut events, mut until) = (Vec::new(), Vec::new(), Vec::new());
    for due in &rest {
        cx.boards.trim(&due.board);
        let both = [(Event::End, due.end_s), (Event::Reset, due.reset_s)];
        for (event, _) in both.into_iter().filter(|(_, instant)| instant.is_some()) {
            ids.push(due.board.id.as_str());
            events.push(event.column());
            until.push(time_s(due.until_s));
        }
    }
    cx.db.execute(SETTLE, &[&ids, &events, &until]).await.or_fault(SETTLING)?;
    Ok(wanted)
}

/// Calls the functions for what is due of one board, in the order of time.
async fn call(cx: &Cx, due: &Due) -> Result<()> {
    let mut events = [(due.end_s, Event::End), (due.reset_s, Event::Reset)];
    // Stable: of the same instant the end comes first.
    events.sort_by_key(|(instant, _)| *instant);
    for (instant, event) in events {
        let Some(instant_s) = instant else { continue };
        if event == Event::Reset {
            cx.boards.trim(&due.board);
        }
        call_for(cx, due, event, instant_s).await?;
    }
    Ok(())
}

async fn call_for(cx: &Cx, due: &Due, event: Event, instant_s: i64) -> Result<()> {
    let board = &due.board;
    let Some(size) = claim(cx, due, event).await? else { return Ok(()) };
    let (point, mode) = match (event, board.is_tournament()) {
        (Event::End, _) => (Point::TournamentEnd, ExecutionMode::TournamentEnd),
        (Event::Reset, true) => (Point::TournamentReset, ExecutionMode::TournamentReset),
        (Event::Reset, false) => (Point::LeaderboardReset, ExecutionMode::LeaderboardReset),
    };
    let target = cx.routes.load().single(point).cloned();
    let Some(target) = target else { return Ok(()) };
    // As it was just before, in the period that is over.
    let (language, before_s) = (target.language, instant_s.saturating_sub(1));
    let arguments = if board.is_tournament() {
        let tournament = board.tournament(before_s, size);
        let (end_s, reset_s) = (tournament.end_active, tournament.next_reset);
        let tournament = TournamentInfo::of(language, tournament)?;
        vec![Argument::of(tournament), Argument::of(end_s), Argument::of(reset_s)]
    } else {
        let leaderboard = LeaderboardInfo::for_reset(language, board.leaderboard(before_s))?;
        vec![Argument::of(leaderboard), Argument::of(instant_s)]
    };
    if let Err(error) = target.invoke(mode, arguments).await {
        let what = point.words();
        tracing::error!(leaderboard_id = board.id, module = %target.module, %error, "{what} failed");
    }
    Ok(())
}

/// Records that an event is settled: the size of the board until then, or `None` where it was
/// settled already. A reset makes the size that of the period that begins.
async fn claim(cx: &Cx, due: &Due, event: Event) -> Result<Option<i32>> {
    let (board, until) = (&due.board, time_s(due.until_s));
    let expiry = time_s(board.current(cx.boards.now_s()).expiry_s);
    let size = cx
        .db
        .transaction(async |sql| -> Result<_, DbError> {
            let (ids, events) = (vec![board.id.as_str()], vec![event.column()]);
            if sql.execute(SETTLE, &[&ids, &events, &vec![until]]).await? == 0 {
                return Ok(None);
            }
            let row = match event {
                Event::Reset if board.is_tournament() => {
                    sql.opt(RESIZE, &[&board.id, &expiry]).await?
                }
                Event::End | Event::Reset => sql.opt(SIZE, &[&board.id]).await?,
            };
            // It may have been deleted just now.
            row.map(|row| row.try_get("size")).transpose().map_err(DbError::from)
        })
        .await;
    size.or_fault(SETTLING)
}

/// The actor that waits for what falls due. It lives on an arbiter of its own.
pub struct Leaderboards {
    cx: Arc<Cx>,
    schedule: Schedule,
    queue: mpsc::Sender<Due>,
    workers: Vec<JoinHandle<()>>,
    waiting: Option<mpsc::Receiver<Due>>,
    stopping: Arc<AtomicBool>,
    timer: Option<SpawnHandle>,
}

impl fmt::Debug for Leaderboards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaderboards").field("schedule", &self.schedule).finish_non_exhaustive()
    }
}

/// The running actor, and its arbiter, which ends when this is dropped.
#[derive(Debug)]
pub struct Running {
    actor: Addr<Leaderboards>,
    arbiter: Arbiter,
}

impl Running {
    /// Waits for the calls that are being made, and makes no more. What is due then is called for
    /// at the next start.
    pub async fn stop(self) {
        let _ = self.actor.send(Stop).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.arbiter.stop();
    }
}

impl Leaderboards {
    /// Starts the actor. The modules must be loaded: what fell due while no server ran is called
    /// for at once.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn run(cx: &Arc<Cx>) -> Result<Running, DbError> {
        let schedule = Schedule::load(&cx.db).await?;
        let cx = Arc::clone(cx);
        let (queue, waiting) = mpsc::channel(cx.config.leaderboard.callback_queue_size);
        let arbiter = Arbiter::new();
        let actor = Self::start_in_arbiter(&arbiter.handle(), move |_| Self {
            cx,
            schedule,
            queue,
            workers: Vec::new(),
            waiting: Some(waiting),
            stopping: Arc::default(),
            timer: None,
        });
        Ok(Running { actor, arbiter })
    }
}

impl Actor for Leaderboards {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(waiting) = self.waiting.take() {
            let waiting = Arc::new(Mutex::new(waiting));
            for _ in 0..self.cx.config.leaderboard.callback_queue_workers {
                let (cx, waiting) = (Arc::clone(&self.cx), Arc::clone(&waiting));
                self.workers.push(actix::spawn(work(cx, waiting, Arc::clone(&self.stopping))));
            }
        }
        let (boards, actor) = (self.cx.boards.clone(), ctx.address().downgrade());
        ctx.spawn(
            async move {
                loop {
                    boards.changed().await;
                    let Some(actor) = actor.upgrade() else { return };
                    let _ = actor.send(Look).await;
                }
            }
            .into_actor(self),
        );
        ctx.notify(Look);
    }
}

async fn work(cx: Arc<Cx>, waiting: Arc<Mutex<mpsc::Receiver<Due>>>, stopping: Arc<AtomicBool>) {
    loop {
        let next = waiting.lock().await.recv().await;
        let Some(due) = next else { return };
        if stopping.load(Ordering::Relaxed) {
            return;
        }
        if let Err(error) = call(&cx, &due).await {
            tracing::error!(leaderboard_id = due.board.id, %error, "leaderboard call failed");
        }
    }
}

/// Looks for what is due, now that time has passed or definitions have changed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Look;

impl Handler<Look> for Leaderboards {
    type Result = ();

    fn handle(&mut self, _: Look, ctx: &mut Self::Context) {
        let (due, next_s) = self.schedule.due(self.cx.boards.all(), self.cx.boards.now_s());
        if !due.is_empty() {
            let (cx, queue) = (Arc::clone(&self.cx), self.queue.clone());
            // Where the queue is full this waits, and the time goes on without it.
            let hand_out = async move {
                match pass_over(&cx, due).await {
                    Ok(wanted) => {
                        for due in wanted {
                            let _ = queue.send(due).await;
                        }
                    }
                    Err(error) => tracing::error!(%error, "ends and resets were not recorded"),
                }
            };
            ctx.spawn(hand_out.into_actor(self));
        }
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let nap = next_s.map_or(NAP, until).min(NAP);
        self.timer = Some(ctx.notify_later(Look, nap));
    }
}

/// The time until an instant.
fn until(instant_s: i64) -> Duration {
    let instant = UNIX_EPOCH + Duration::from_secs(u64::try_from(instant_s).unwrap_or(0));
    instant.duration_since(SystemTime::now()).unwrap_or_default()
}

/// Waits for the calls that are being made, and makes no more.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Stop;

impl Handler<Stop> for Leaderboards {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, _: Stop, _: &mut Self::Context) -> Self::Result {
        self.stopping.store(true, Ordering::Relaxed);
        // The last sender goes, and with it those who wait for work.
        (self.queue, _) = mpsc::channel(1);
        let workers = join_all(std::mem::take(&mut self.workers));
        AtomicResponse::new(Box::pin(async move { drop(workers.await) }.into_actor(self)))
    }
}

/// Rows of boards that are gone.
const FORGET: &str = "
    DELETE FROM guildhall.leaderboard_call c
     WHERE c.leaderboard_id <> ''
       AND NOT EXISTS (SELECT 1 FROM leaderboard l WHERE l.id = c.leaderboard_id)";

const SETTLED: &str = "SELECT leaderboard_id, event, settled_time FROM guildhall.leaderboard_call";

/// $1 boards, $2 events, $3 up to when they are settled. Touches the rows that were not.
const SETTLE: &str = "
    INSERT INTO guildhall.leaderboard_call AS c (leaderboard_id, event, settled_time)
    SELECT * FROM unnest($1::text[], $2::int2[], $3::timestamptz[])
    ON CONFLICT (leaderboard_id, event) DO UPDATE SET settled_time = excluded.settled_time
     WHERE c.settled_time < excluded.settled_time";

/// $1 board. Reads the primary key.
const SIZE: &str = "SELECT size FROM leaderboard WHERE id = $1";

/// $1 tournament, $2 the expiry of the period that begins. Gives the size until then. Reads the
/// primary keys.
const RESIZE: &str = "
    WITH last AS (SELECT size FROM leaderboard WHERE id = $1 FOR UPDATE)
    UPDATE leaderboard l
       SET size = CASE WHEN l.max_size = 2147483647 THEN 0 ELSE
               (SELECT count(*) FROM leaderboard_record r
                 WHERE r.leaderboard_id = $1 AND r.expiry_time = $2)::int4 END
      FROM last WHERE l.id = $1
    RETURNING last.size";
