//! All leaderboards and tournaments of the server, and the ranks of their records.
//!
//! Definitions change seldom and one at a time; a reader takes a [`Board`], which never changes but
//! for its ranks. Ranks are held in memory, so that a rank costs no statement. Until the records of
//! the database have been read, and for a period that has more records than there is room for,
//! they are counted in the database instead: slower, with the same answers.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
};

use chrono::{DateTime, Utc};
use guildhall_core::config;
use parking_lot::{Mutex, RwLock};
use tokio::{runtime::Handle, sync::Notify};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    definition::{Definition, Operator, Period, Reset, SortOrder},
    ranks::{Ranks, Score, Stamp},
};
use crate::{
    clock,
    database::{Database, DbError, Params, Sql},
};

/// Rows that are read at once at start.
const PAGE: i64 = 10_000;

/// All leaderboards and tournaments. Clones share them.
#[derive(Clone, Debug)]
pub struct Boards(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    directory: RwLock<Directory>,
    /// Held by whoever changes definitions, from before the statement until they are published.
    changing: tokio::sync::Mutex<()>,
    changed: Notify,
    /// The records in the ranks of all boards.
    held: Arc<AtomicUsize>,
    /// The most of them.
    limit: usize,
    unranked: Unranked,
    readers: usize,
    /// How far the time of boards is ahead of the clock; tests let it pass.
    ahead_s: AtomicI64,
}

/// The boards whose ranks are not kept, by configuration.
#[derive(Debug)]
enum Unranked {
    All,
    These(Vec<String>),
}

impl Unranked {
    fn has(&self, id: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(ids) => ids.iter().any(|it| it == id),
        }
    }
}

/// The place of a leaderboard in their list: when it was made (Unix microseconds), and its id.
pub type LeaderboardPlace = (i64, String);

/// The place of a tournament in their list: by start, the latest end first with never behind all,
/// category, id.
pub type TournamentPlace = (i64, std::cmp::Reverse<i64>, i16, String);

#[derive(Debug, Default)]
struct Directory {
    by_id: HashMap<String, Arc<Board>>,
    leaderboards: BTreeMap<LeaderboardPlace, Arc<Board>>,
    tournaments: BTreeMap<TournamentPlace, Arc<Board>>,
}

impl Directory {
    fn put(&mut self, board: Arc<Board>) {
        self.take(&board.id);
        if board.is_tournament() {
            self.tournaments.insert(tournament_place(&board), Arc::clone(&board));
        } else {
            self.leaderboards.insert(leaderboard_place(&board), Arc::clone(&board));
        }
        self.by_id.insert(board.id.clone(), board);
    }

    fn take(&mut self, id: &str) {
        if let Some(board) = self.by_id.remove(id) {
            self.tournaments.remove(&tournament_place(&board));
            self.leaderboards.remove(&leaderboard_place(&board));
        }
    }
}

/// The place of `board` in the list of leaderboards.
pub fn leaderboard_place(board: &Definition) -> LeaderboardPlace {
    (board.create_time_us, board.id.clone())
}

/// The place of `board` in the list of tournaments.
pub fn tournament_place(board: &Definition) -> TournamentPlace {
    (board.start_s, std::cmp::Reverse(board.end_s), board.category, board.id.clone())
}

/// A leaderboard or tournament.
#[derive(Debug)]
pub struct Board {
    definition: Definition,
    /// The period that was asked for last, and from when until when it holds.
    period: Mutex<Option<(i64, i64, Period)>>,
    /// Whether ranks are told and kept.
    ranked: bool,
    /// Whether the records of the database have been put into the ranks.
    read: AtomicBool,
    /// The ranks by the expiry of their period; few, so a list.
    periods: RwLock<Vec<(i64, Arc<RwLock<Ranks>>)>>,
}

impl std::ops::Deref for Board {
    type Target = Definition;
    fn deref(&self) -> &Definition {
        &self.definition
    }
}

impl Board {
    /// As [`Definition::period`], but worked out once for each period.
    pub fn current(&self, now_s: i64) -> Period {
        if let Some((from_s, until_s, period)) = *self.period.lock()
            && (from_s..until_s).contains(&now_s)
        {
            return period;
        }
        let period = self.definition.period(now_s);
        *self.period.lock() = Some((now_s, self.definition.period_until(now_s), period));
        period
    }

    fn ranks(&self, expiry_s: i64) -> Option<Arc<RwLock<Ranks>>> {
        let periods = self.periods.read();
        periods.iter().find(|(expiry, _)| *expiry == expiry_s).map(|(_, ranks)| Arc::clone(ranks))
    }

    fn ranks_or_new(
        &self,
        expiry_s: i64,
        now_s: i64,
        held: &Arc<AtomicUsize>,
    ) -> Arc<RwLock<Ranks>> {
        if let Some(ranks) = self.ranks(expiry_s) {
            return ranks;
        }
        let mut periods = self.periods.write();
        if let Some((_, ranks)) = periods.iter().find(|(expiry, _)| *expiry == expiry_s) {
            return Arc::clone(ranks);
        }
        periods.retain(|(expiry, _)| *expiry == 0 || *expiry > now_s);
        let reading = !self.read.load(Ordering::Acquire);
        let ranks = Ranks::new(self.sort_order, reading, Arc::clone(held));
        let ranks = Arc::new(RwLock::new(ranks));
        periods.push((expiry_s, Arc::clone(&ranks)));
        ranks
    }
}

/// What is to be ranked.
#[derive(Clone, Copy, Debug)]
pub struct Ranked {
    /// Whose.
    pub owner: Uuid,
    /// The score.
    pub score: i64,
    /// The subscore.
    pub subscore: i64,
}

impl From<Ranked> for Score {
    fn from(record: Ranked) -> Self {
        let Ranked { owner, score, subscore } = record;
        Self { score, subscore, owner }
    }
}

impl Boards {
    /// No boards yet: [`load`](Self::load) reads them.
    pub fn new(config: &config::Leaderboard) -> Self {
        let unranked = match &*config.blacklist_rank_cache {
            [star] if star == "*" => Unranked::All,
            ids => Unranked::These(ids.to_vec()),
        };
        Self(Arc::new(Inner {
            directory: RwLock::default(),
            changing: tokio::sync::Mutex::default(),
            changed: Notify::new(),
            held: Arc::default(),
            limit: config.rank_cache_records,
            unranked,
            readers: config.rank_cache_workers.max(1),
            ahead_s: AtomicI64::new(0),
        }))
    }

    /// Now, as boards see it, in Unix seconds.
    pub fn now_s(&self) -> i64 {
        clock::now_s() + self.0.ahead_s.load(Ordering::Relaxed)
    }

    /// Lets time pass for all boards at once; for tests.
    pub fn advance(&self, seconds: i64) {
        self.0.ahead_s.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Waits for the next change of the definitions.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// The board of this id.
    pub fn get(&self, id: &str) -> Option<Arc<Board>> {
        self.0.directory.read().by_id.get(id).map(Arc::clone)
    }

    /// All boards, in no order.
    pub fn all(&self) -> Vec<Arc<Board>> {
        self.0.directory.read().by_id.values().map(Arc::clone).collect()
    }

    /// Whether the ranks of all boards have been read from the database.
    pub fn ranks_are_read(&self) -> bool {
        self.all().iter().all(|board| !board.ranked || board.read.load(Ordering::Acquire))
    }

    /// Up to `limit` leaderboards behind a place, in the order of their creation.
    pub fn leaderboards(&self, after: Option<LeaderboardPlace>, limit: usize) -> Vec<Arc<Board>> {
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let directory = self.0.directory.read();
        let rows = directory.leaderboards.range((after, Bound::Unbounded));
        rows.take(limit).map(|(_, board)| Arc::clone(board)).collect()
    }

    /// Up to `limit` of the tournaments that are `wanted`, behind a place, in their order.
    pub fn tournaments(
        &self,
        after: Option<TournamentPlace>,
        limit: usize,
        wanted: impl Fn(&Definition) -> bool,
    ) -> Vec<Arc<Board>> {
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let directory = self.0.directory.read();
        let rows = directory.tournaments.range((after, Bound::Unbounded));
        let rows = rows.filter(|(_, board)| wanted(board));
        rows.take(limit).map(|(_, board)| Arc::clone(board)).collect()
    }

    /// Reads all definitions, once, before anybody asks for a board, and begins to read the ranks,
    /// by tasks on `io`.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn load(&self, db: &Database, io: &Handle) -> Result<(), DbError> {
        let mut after: LeaderboardPlace = (i64::MIN, String::new());
        loop {
            let after_time = time_us(after.0);
            let rows = db.query(DEFINITIONS, &[&after_time, &after.1, &PAGE]).await?;
            let mut directory = self.0.directory.write();
            for row in &rows {
                let definition = match definition(row) {
                    Ok(definition) => definition,
                    Err(Unreadable::Row(error)) => return Err(error),
                    Err(Unreadable::Schedule(id)) => {
                        // One bad row must not keep the server from starting.
                        tracing::error!(leaderboard_id = id, "bad reset schedule, board left out");
                        continue;
                    }
                };
                after = leaderboard_place(&definition);
                directory.put(self.board(definition, false));
            }
            if rows.len() < PAGE as usize {
                break;
            }
        }
        let boards = self.all().into_iter().filter(|board| board.ranked).collect::<Vec<_>>();
        let queue = Arc::new(Mutex::new(boards));
        for _ in 0..self.0.readers {
            io.spawn(read_ranks(Arc::clone(&queue), self.clone(), db.clone()));
        }
        Ok(())
    }

    fn board(&self, definition: Definition, read: bool) -> Arc<Board> {
        let ranked = definition.ranked && !self.0.unranked.has(&definition.id);
        Arc::new(Board {
            definition,
            period: Mutex::default(),
            ranked,
            read: AtomicBool::new(read),
            periods: RwLock::default(),
        })
    }

    /// Makes a board, unless there is one of this id: that one, then.
    ///
    /// # Errors
    /// [`DbError`], such as for a text that is too long.
    pub async fn create(&self, db: &Database, new: Definition) -> Result<Arc<Board>, DbError> {
        if let Some(board) = self.get(&new.id) {
            return Ok(board);
        }
        let _changing = self.0.changing.lock().await;
        if let Some(board) = self.get(&new.id) {
            return Ok(board);
        }
        let reset = new.reset.as_ref().map(|reset| &reset.expression);
        let (sort_order, operator) = (new.sort_order.column(), new.operator.column());
        let duration_s = i32::try_from(new.duration_s).unwrap_or(i32::MAX);
        let (start, end) = (time_s(new.start_s), time_s(new.end_s));
        let start = (new.start_s > 0).then_some(start);
        let params: Params<'_> = &[
            &new.id,
            &new.authoritative,
            &sort_order,
            &operator,
            &reset,
            &new.metadata,
            &new.category,
            &new.description,
            &duration_s,
            &end,
            &new.join_required,
            &new.max_size,
            &new.max_num_score,
            &new.title,
            &start,
            &new.ranked,
        ];
        // Nothing comes back where the row is there and was not when the boards were read, such as
        // one that a module wrote by SQL.
        let (row, made) = match db.opt(INSERT, params).await? {
            Some(row) => (row, true),
            None => (db.one(DEFINITION, &[&new.id]).await?, false),
        };
        let definition = definition(&row).map_err(|unreadable| match unreadable {
            Unreadable::Row(error) => error,
            Unreadable::Schedule(_) => DbError::NoRow,
        })?;
        let board = self.board(definition, made);
        self.publish(|directory| directory.put(Arc::clone(&board)));
        if !made && board.ranked {
            self.read(db, &board).await?;
        }
        Ok(board)
    }

    /// Removes a board and all of its records. One that is not there is no error.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn delete(&self, db: &Database, id: &str) -> Result<(), DbError> {
        let _changing = self.0.changing.lock().await;
        if self.get(id).is_none() {
            return Ok(());
        }
        db.execute(DELETE, &[&id]).await?;
        self.publish(|directory| directory.take(id));
        Ok(())
    }

    /// From now on no ranks are told or kept of a board. `false` where there is no such board.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn disable_ranks(&self, db: &Database, id: &str) -> Result<bool, DbError> {
        let _changing = self.0.changing.lock().await;
        let Some(board) = self.get(id) else { return Ok(false) };
        if board.definition.ranked {
            db.execute(DISABLE_RANKS, &[&id]).await?;
            let definition = Definition { ranked: false, ..board.definition.clone() };
            self.publish(|directory| directory.put(self.board(definition, true)));
        }
        Ok(true)
    }

    fn publish(&self, change: impl FnOnce(&mut Directory)) {
        change(&mut self.0.directory.write());
        self.0.changed.notify_one();
    }

    /// Puts the record of a write in its place, and gives its rank: 0 where ranks are not told.
    ///
    /// # Errors
    /// [`DbError`] where the rank is counted in the database.
    pub(in crate::resources) async fn put(
        &self,
        db: &Database,
        board: &Board,
        expiry_s: i64,
        record: Ranked,
        stamp: Stamp,
    ) -> Result<i64, DbError> {
        if !board.ranked {
            return Ok(0);
        }
        let ranks = board.ranks_or_new(expiry_s, self.now_s(), &self.0.held);
        let rank = {
            let mut ranks = ranks.write();
            ranks.put(record.into(), stamp, self.0.limit);
            if ranks.knows_all() { ranks.rank(record.owner) } else { None }
        };
        match rank {
            Some(rank) => Ok(rank as i64),
            None => self.rank(db, board, expiry_s, record).await,
        }
    }

    /// The rank of one record; 0 where it has none.
    ///
    /// # Errors
    /// As [`ranks`](Self::ranks).
    pub async fn rank(
        &self,
        db: &Database,
        board: &Board,
        expiry_s: i64,
        record: Ranked,
    ) -> Result<i64, DbError> {
        let (ranks, _) = self.ranks(db, board, expiry_s, &[record]).await?;
        Ok(ranks.first().copied().unwrap_or(0))
    }

    /// The ranks of records of one period, in their order, and how many records are ranked there.
    /// 0 where ranks are not told, and for the records of a period that is over.
    ///
    /// # Errors
    /// [`DbError`] where they are counted in the database.
    pub async fn ranks(
        &self,
        db: &Database,
        board: &Board,
        expiry_s: i64,
        records: &[Ranked],
    ) -> Result<(Vec<i64>, i64), DbError> {
        let over = expiry_s != 0 && expiry_s <= self.now_s();
        if !board.ranked || over {
            return Ok((vec![0; records.len()], 0));
        }
        match board.ranks(expiry_s) {
            Some(ranks) => {
                let ranks = ranks.read();
                if ranks.knows_all() {
                    let rank = |record: &Ranked| ranks.rank(record.owner).unwrap_or(0) as i64;
                    return Ok((records.iter().map(rank).collect(), ranks.count() as i64));
                }
            }
            // Nobody has written in this period.
            None if board.read.load(Ordering::Acquire) => {
                return Ok((vec![0; records.len()], 0));
            }
            None => {}
        }
        let owners: Vec<_> = records.iter().map(|record| record.owner).collect();
        let scores: Vec<_> = records.iter().map(|record| record.score).collect();
        let subscores: Vec<_> = records.iter().map(|record| record.subscore).collect();
        let sql = match board.sort_order {
            SortOrder::Ascending => RANKS_ASCENDING,
            SortOrder::Descending => RANKS_DESCENDING,
        };
        let expiry = time_s(expiry_s);
        let row = db.one(sql, &[&board.id, &expiry, &scores, &subscores, &owners]).await?;
        Ok((row.try_get("ranks")?, row.try_get("count")?))
    }

    /// The record of a rank, from 1, if the board tells ranks and has so many records.
    ///
    /// # Errors
    /// [`DbError`] where it is looked for in the database.
    pub async fn at_rank(
        &self,
        db: &Database,
        board: &Board,
        expiry_s: i64,
        rank: i64,
    ) -> Result<Option<Ranked>, DbError> {
        if !board.ranked {
            return Ok(None);
        }
        let place = usize::try_from(rank).unwrap_or(0);
        if let Some(ranks) = board.ranks(expiry_s) {
            let ranks = ranks.read();
            if ranks.knows_all() {
                let shown = |Score { score, subscore, owner }| Ranked { owner, score, subscore };
                return Ok(ranks.at(place).map(shown));
            }
        } else if board.read.load(Ordering::Acquire) {
            return Ok(None);
        }
        let sql = match board.sort_order {
            SortOrder::Ascending => AT_RANK_ASCENDING,
            SortOrder::Descending => AT_RANK_DESCENDING,
        };
        let before = rank.saturating_sub(1);
        let row = db.opt(sql, &[&board.id, &time_s(expiry_s), &before]).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Ranked {
            owner: row.try_get("owner_id")?,
            score: row.try_get("score")?,
            subscore: row.try_get("subscore")?,
        }))
    }

    /// Takes removed records out of the ranks.
    ///
    /// # Errors
    /// [`DbError`] for rows that lack the columns `leaderboard_id`, `expiry_time`, `owner_id`,
    /// `create_time` and `num_score`.
    pub fn forget(&self, removed: &[Row]) -> Result<(), DbError> {
        for row in removed {
            let Some(board) = self.get(row.try_get("leaderboard_id")?) else { continue };
            if !board.ranked {
                continue;
            }
            let expiry: DateTime<Utc> = row.try_get("expiry_time")?;
            let stamp = stamp(row)?;
            let ranks = match board.ranks(expiry.timestamp()) {
                Some(ranks) => ranks,
                None if board.read.load(Ordering::Acquire) => continue,
                // Its record may be on the way from the database.
                None => board.ranks_or_new(expiry.timestamp(), self.now_s(), &self.0.held),
            };
            ranks.write().remove(row.try_get("owner_id")?, stamp);
        }
        Ok(())
    }

    /// Lets go of the ranks of periods that are over.
    pub fn trim(&self, board: &Board) {
        let now_s = self.now_s();
        board.periods.write().retain(|(expiry, _)| *expiry == 0 || *expiry > now_s);
    }

    /// Puts the records of the database that have not ended into the ranks of a board.
    async fn read(&self, db: &Database, board: &Board) -> Result<(), DbError> {
        let now_s = self.now_s();
        // Those that never end, then those that end in future: what has ended lies between.
        for (after, last_s) in [
            ((0, -1, -1, Uuid::nil()), 0),
            ((now_s, i64::MAX, i64::MAX, Uuid::max()), LAST_EXPIRY_S),
        ] {
            let (mut expiry_s, mut score, mut subscore, mut owner) = after;
            loop {
                let rows = db
                    .query(
                        READ_RANKS,
                        &[
                            &board.id,
                            &time_s(expiry_s),
                            &score,
                            &subscore,
                            &owner,
                            &time_s(last_s),
                            &PAGE,
                        ],
                    )
                    .await?;
                for row in &rows {
                    expiry_s = row.try_get::<_, DateTime<Utc>>("expiry_time")?.timestamp();
                    (score, subscore) = (row.try_get("score")?, row.try_get("subscore")?);
                    owner = row.try_get("owner_id")?;
                    let ranks = board.ranks_or_new(expiry_s, now_s, &self.0.held);
                    ranks.write().put(Score { score, subscore, owner }, stamp(row)?, self.0.limit);
                }
                if rows.len() < PAGE as usize {
                    break;
                }
            }
        }
        // Under the lock, so that nobody makes ranks meanwhile that are said to be being read.
        let periods = board.periods.write();
        board.read.store(true, Ordering::Release);
        for (_, ranks) in periods.iter() {
            ranks.write().read();
        }
        Ok(())
    }
}

/// 9999-12-31, beyond any expiry.
const LAST_EXPIRY_S: i64 = 253_402_214_400;

async fn read_ranks(queue: Arc<Mutex<Vec<Arc<Board>>>>, boards: Boards, db: Database) {
    loop {
        let Some(board) = queue.lock().pop() else { return };
        if let Err(error) = boards.read(&db, &board).await {
            tracing::error!(
                leaderboard_id = board.id,
                %error,
                "ranks could not be read, they are counted in the database"
            );
        }
    }
}

/// Which of two news of one record is the later.
pub(in crate::resources) fn stamp(row: &Row) -> Result<Stamp, DbError> {
    let created: DateTime<Utc> = row.try_get("create_time")?;
    Ok(Stamp { create_time_us: created.timestamp_micros(), num_score: row.try_get("num_score")? })
}

/// An instant as the database has it.
pub(in crate::resources) fn time_s(unix_s: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(unix_s.clamp(0, LAST_EXPIRY_S), 0).unwrap_or_default()
}

fn time_us(unix_us: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(unix_us.max(0)).unwrap_or_default()
}

enum Unreadable {
    Row(DbError),
    /// The id of the board.
    Schedule(String),
}

impl<E: Into<DbError>> From<E> for Unreadable {
    fn from(error: E) -> Self {
        Self::Row(error.into())
    }
}

/// The definition in a row with the columns of `columns!`.
fn definition(row: &Row) -> Result<Definition, Unreadable> {
    let seconds = |column| -> Result<i64, Unreadable> {
        Ok(row.try_get::<_, DateTime<Utc>>(column)?.timestamp())
    };
    let id: String = row.try_get("id")?;
    let reset: Option<String> = row.try_get("reset_schedule")?;
    let Ok(reset) = Reset::parse(reset.as_deref().unwrap_or_default()) else {
        return Err(Unreadable::Schedule(id));
    };
    Ok(Definition {
        id,
        authoritative: row.try_get("authoritative")?,
        sort_order: SortOrder::of_column(row.try_get("sort_order")?),
        operator: Operator::of_column(row.try_get("operator")?),
        reset,
        metadata: row.try_get("metadata")?,
        create_time_us: row.try_get::<_, DateTime<Utc>>("create_time")?.timestamp_micros(),
        category: row.try_get("category")?,
        description: row.try_get("description")?,
        duration_s: row.try_get::<_, i32>("duration")?.into(),
        end_s: seconds("end_time")?,
        join_required: row.try_get("join_required")?,
        max_size: row.try_get("max_size")?,
        max_num_score: row.try_get("max_num_score")?,
        title: row.try_get("title")?,
        start_s: seconds("start_time")?,
        ranked: row.try_get("ranked")?,
    })
}

/// The columns that [`definition`] reads.
macro_rules! columns {
    () => {
        "id, authoritative, sort_order, operator, reset_schedule, metadata::text AS metadata,
         create_time, category, description, duration, end_time, join_required, max_size,
         max_num_score, title, start_time, coalesce(enable_ranks, true) AS ranked"
    };
}

/// $1 and $2 the creation and id to begin after, $3 rows. Reads leaderboard_create_time_id_idx.
const DEFINITIONS: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM leaderboard WHERE (create_time, id) > ($1, $2) ORDER BY create_time, id LIMIT $3"
);

/// $1 id. Reads the primary key.
const DEFINITION: &str = concat!("SELECT ", columns!(), " FROM leaderboard WHERE id = $1");

/// $1 id, $2 authoritative, $3 sort order, $4 operator, $5 schedule or null, $6 metadata,
/// $7 category, $8 description, $9 duration, $10 end, $11 join required, $12 max size,
/// $13 max num score, $14 title, $15 start or null for now, $16 ranked.
const INSERT: &str = concat!(
    "INSERT INTO leaderboard
            (id, authoritative, sort_order, operator, reset_schedule, metadata, category,
             description, duration, end_time, join_required, max_size, max_num_score, title,
             start_time, enable_ranks)
     VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7, $8, $9, $10, $11, $12, $13, $14,
             coalesce($15::timestamptz, now()), $16)
     ON CONFLICT (id) DO NOTHING
     RETURNING ",
    columns!()
);

/// $1 id. Its records go by their foreign key; what was called for it is forgotten.
const DELETE: &str = "
    WITH forgotten AS (DELETE FROM guildhall.leaderboard_call WHERE leaderboard_id = $1)
    DELETE FROM leaderboard WHERE id = $1";

/// $1 id.
const DISABLE_RANKS: &str = "UPDATE leaderboard SET enable_ranks = false WHERE id = $1";

/// $1 board, ($2, $3, $4, $5) the place to begin after, $6 the last expiry, $7 rows. Reads the
/// primary key.
const READ_RANKS: &str = "
    SELECT expiry_time, score, subscore, owner_id, num_score, create_time
      FROM leaderboard_record
     WHERE leaderboard_id = $1 AND (expiry_time, score, subscore, owner_id) > ($2, $3, $4, $5)
       AND expiry_time <= $6
     ORDER BY expiry_time, score, subscore, owner_id LIMIT $7";

/// The ranks of places, and the count of all: `$before` is what stands before a place.
macro_rules! ranks {
    ($before:literal) => {
        concat!(
            "SELECT array(SELECT 1 + (SELECT count(*) FROM leaderboard_record r
                                       WHERE r.leaderboard_id = $1 AND r.expiry_time = $2
                                         AND (r.score, r.subscore, r.owner_id) ",
            $before,
            " (p.score, p.subscore, p.owner_id))
                            FROM unnest($3::int8[], $4::int8[], $5::uuid[]) WITH ORDINALITY
                                 AS p (score, subscore, owner_id, place)
                           ORDER BY p.place) AS ranks,
                    (SELECT count(*) FROM leaderboard_record r
                      WHERE r.leaderboard_id = $1 AND r.expiry_time = $2) AS count"
        )
    };
}

/// $1 board, $2 expiry, $3 scores, $4 subscores, $5 owners. Reads the primary key.
const RANKS_ASCENDING: &str = ranks!("<");
/// As [`RANKS_ASCENDING`].
const RANKS_DESCENDING: &str = ranks!(">");

/// $1 board, $2 expiry, $3 rows before it. Reads the primary key.
const AT_RANK_ASCENDING: &str = "
    SELECT owner_id, score, subscore FROM leaderboard_record
     WHERE leaderboard_id = $1 AND expiry_time = $2
     ORDER BY score, subscore, owner_id OFFSET $3 LIMIT 1";
/// As [`AT_RANK_ASCENDING`].
const AT_RANK_DESCENDING: &str = "
    SELECT owner_id, score, subscore FROM leaderboard_record
     WHERE leaderboard_id = $1 AND expiry_time = $2
     ORDER BY score DESC, subscore DESC, owner_id DESC OFFSET $3 LIMIT 1";
