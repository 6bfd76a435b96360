//! The database: a pool of PostgreSQL sessions, statements on it, and transactions.
//!
//! [`Database`] is a cheap handle. Its sessions live on the I/O runtime whoever asks for them, so
//! a call from a worker or a script thread never ties one to that thread. Statements are prepared
//! once for each session. A broken session is thrown away and replaced; while the database is
//! down calls fail with [`DbError::Unavailable`], and succeed again as soon as it is back.

pub mod address;
mod connect;
pub mod error;
mod tls;

use std::{future::Future, time::Duration};

use deadpool::managed::{Object, Pool, QueueMode, WeakPool};
use deadpool_postgres::StatementCache;
use guildhall_core::{Code, Error, Fault, config};
use tokio::runtime::Handle;
use tokio_postgres::{
    Client, Row, Statement,
    error::SqlState,
    types::{ToSql, Type},
};

use self::connect::Sessions;
pub use self::{
    address::Address,
    error::{ConnectError, DbError, Problem, StartError},
};

/// The parameters of a statement, `$1` first.
pub type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// How often a transaction that lost against a concurrent one is run in all.
///
/// Source: Nakama, `server/db.go`.
const TRANSACTION_ATTEMPTS: usize = 5;

/// How long a call waits for a session while all are in use.
const BUSY_WAIT: Duration = Duration::from_secs(30);

/// How many prepared statements a session keeps; beyond it, it starts anew. The server itself has
/// some two hundred, so only modules that build SQL text with values in it get here.
const MAX_PREPARED: usize = 512;

/// How often sessions beyond `database.max_idle_conns` are closed.
const TRIM_INTERVAL: Duration = Duration::from_secs(5);

/// How to open a [`Database`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the server may be, the preferred place first.
    pub addresses: Vec<Address>,
    /// The most sessions at once.
    pub max_open: usize,
    /// The most sessions kept while nobody uses them.
    pub max_idle: usize,
    /// The age beyond which a session is replaced.
    pub max_lifetime: Duration,
    /// How long to wait at start for a server that does not answer yet or has no free slot.
    pub start_wait: Duration,
}

impl Settings {
    /// The settings of `database.*`, with `addresses` empty where none is configured.
    ///
    /// # Errors
    /// [`StartError::Address`] for a text that is not an address.
    pub fn from_config(config: &config::Database) -> Result<Self, StartError> {
        let mut addresses = Vec::new();
        for text in config.address.reveal() {
            addresses.extend(Address::parse(text)?);
        }
        Ok(Self {
            addresses,
            max_open: config.max_open_conns,
            max_idle: config.max_idle_conns,
            max_lifetime: Duration::from_millis(config.conn_max_lifetime_ms),
            start_wait: Duration::from_secs(15),
        })
    }
}

/// Statements, on the database itself or within a transaction.
///
/// Texts are constants of a slice: each is prepared once per session.
pub trait Sql: Sync {
    /// All rows.
    ///
    /// # Errors
    /// [`DbError`]; a read that met a broken session has been tried again on another one.
    fn query(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> impl Future<Output = Result<Vec<Row>, DbError>> + Send;

    /// Runs a statement and counts the rows it touched.
    ///
    /// # Errors
    /// [`DbError`].
    fn execute(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> impl Future<Output = Result<u64, DbError>> + Send;

    /// The first row, if there is one.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    fn opt(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> impl Future<Output = Result<Option<Row>, DbError>> + Send {
        async move { Ok(self.query(sql, params).await?.into_iter().next()) }
    }

    /// The first row of a statement that always has one.
    ///
    /// # Errors
    /// As [`query`](Self::query); [`DbError::NoRow`] if there was none.
    fn one(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> impl Future<Output = Result<Row, DbError>> + Send {
        async move { self.opt(sql, params).await?.ok_or(DbError::NoRow) }
    }
}

const AWAY: &str = "Database is not available, try again later.";

/// The handle to the database. Clones share one pool.
#[derive(Clone, Debug)]
pub struct Database {
    pool: Pool<Sessions>,
    sessions: Sessions,
}

impl Database {
    /// Opens the database and tries it, on the runtime `io`, where all sessions will live.
    ///
    /// A server that is starting, unreachable or out of slots is waited for, up to
    /// [`Settings::start_wait`]. Where the server has fewer slots than [`Settings::max_open`], the
    /// pool is made as large as fits, with a warning.
    ///
    /// # Errors
    /// [`StartError`], whose text tells a person what failed and what to type.
    pub async fn connect(settings: &Settings, io: &Handle) -> Result<Self, StartError> {
        let sessions = Sessions::new(&settings.addresses, settings.max_lifetime, io)?;
        let client = sessions.open_patiently(settings.start_wait).await?;
        let server = sessions.server(&client).await?;
        drop(client);
        tracing::debug!(address = ?sessions.current(), version = server.version, "database opened");

        let max_open = settings.max_open.min(server.slots).max(1);
        if max_open < settings.max_open {
            tracing::warn!(
                address = %sessions.current(),
                max_open_conns = settings.max_open,
                used = max_open,
                "too few database connections: raise max_connections there, \
                 or lower database.max_open_conns"
            );
        }
        let pool = Pool::builder(sessions.clone())
            .max_size(max_open)
            .wait_timeout(Some(BUSY_WAIT))
            .queue_mode(QueueMode::Lifo)
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(|error| sessions.at_start(DbError::closed(error)))?;
        if settings.max_idle < max_open {
            io.spawn(trim(pool.weak(), settings.max_idle));
        }
        Ok(Self { pool, sessions })
    }

    /// The handle of a server that has no database: every statement fails as unavailable. For
    /// checking modules and for tests.
    ///
    /// # Errors
    /// Never in practice; where the pool cannot be made.
    pub fn absent(io: &Handle) -> Result<Self, StartError> {
        let nowhere = Address::unix("/nonexistent".into(), 0, "nobody", "none");
        let sessions = Sessions::new(&[nowhere], Duration::ZERO, io)?;
        let pool = Pool::builder(sessions.clone())
            .build()
            .map_err(|error| sessions.at_start(DbError::closed(error)))?;
        pool.close();
        Ok(Self { pool, sessions })
    }

    /// A session for statements that belong together without being a transaction, such as
    /// pipelined reads. It returns to the pool when dropped.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] or [`DbError::Busy`].
    pub async fn session(&self) -> Result<Session, DbError> {
        match self.pool.get().await {
            Ok(client) => Ok(Session(client)),
            Err(error) => Err(DbError::from_pool(error, self.pool.status().max_size)),
        }
    }

    /// Runs `work` in a transaction and commits it. Where it or the commit lost against a
    /// concurrent transaction (SQLSTATE class 40), all of it is run again, up to
    /// five times, so `work` must have no effects but statements.
    ///
    /// # Errors
    /// What `work` gave back, after rolling back; [`DbError`] of beginning or committing.
    pub async fn transaction<T, E, F>(&self, mut work: F) -> Result<T, E>
    where
        F: AsyncFnMut(&Transaction<'_>) -> Result<T, E>,
        E: WorkError,
    {
        let mut attempt = 1;
        loop {
            let mut session = self.session().await?;
            let transaction = match session.0.transaction().await {
                Ok(transaction) => Transaction(transaction),
                // Nothing was done yet, so another session may begin in place of a broken one.
                Err(error) if attempt == 1 && error::is_lost_connection(&error) => {
                    attempt += 1;
                    continue;
                }
                Err(error) => return Err(DbError::from(error).into()),
            };
            let outcome = match work(&transaction).await {
                Ok(value) => match transaction.0.commit().await {
                    Ok(()) => Ok(value),
                    Err(error) => Err(DbError::from(error).into()),
                },
                Err(error) => {
                    // The first error counts; a session that cannot roll back is not used again.
                    let _ = transaction.0.rollback().await;
                    Err(error)
                }
            };
            match outcome {
                Err(error) if attempt < TRANSACTION_ATTEMPTS && error.is_conflict() => attempt += 1,
                other => return other,
            }
        }
    }

    /// The sessions of the pool: (open, idle, the most there may be).
    pub fn usage(&self) -> (usize, usize, usize) {
        let status = self.pool.status();
        (status.size, status.available, status.max_size)
    }

    /// Where the database is, for logs: no password in it.
    pub fn address(&self) -> Address {
        self.sessions.current()
    }

    /// Closes the pool: sessions in use end with their call, and no call gets a new one.
    pub fn close(&self) {
        self.pool.close();
    }
}

impl Sql for Database {
    async fn query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, DbError> {
        match self.session().await?.query(sql, params).await {
            // A read has no effect, so it may be asked again on a session that is not broken.
            Err(DbError::Unavailable { maybe_done, .. }) if !maybe_done || is_read(sql) => {
                self.session().await?.query(sql, params).await
            }
            other => other,
        }
    }

    async fn execute(&self, sql: &str, params: Params<'_>) -> Result<u64, DbError> {
        match self.session().await?.execute(sql, params).await {
            Err(DbError::Unavailable { maybe_done: false, .. }) => {
                self.session().await?.execute(sql, params).await
            }
            other => other,
        }
    }
}

/// One session of the pool.
#[derive(Debug)]
pub struct Session(Object<Sessions>);

impl Session {
    /// Runs statements without parameters, separated by semicolons.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn batch(&self, sql: &str) -> Result<(), DbError> {
        Ok(self.0.batch_execute(sql).await?)
    }

    /// The types of a statement's parameters, for values whose type is known at run time only.
    ///
    /// # Errors
    /// [`DbError`], such as for a statement that PostgreSQL cannot read.
    pub async fn param_types(&self, sql: &str) -> Result<Vec<Type>, DbError> {
        Ok(prepare(&self.0.statement_cache, &self.0, sql).await?.params().to_vec())
    }
}

impl Sql for Session {
    async fn query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, DbError> {
        let statement = prepare(&self.0.statement_cache, &self.0, sql).await?;
        match self.0.query(&statement, params).await {
            Err(error) if is_stale_plan(&error) => {
                self.0.statement_cache.remove(sql, &[]);
                let statement = prepare(&self.0.statement_cache, &self.0, sql).await?;
                Ok(self.0.query(&statement, params).await?)
            }
            other => Ok(other?),
        }
    }

    async fn execute(&self, sql: &str, params: Params<'_>) -> Result<u64, DbError> {
        let statement = prepare(&self.0.statement_cache, &self.0, sql).await?;
        Ok(self.0.execute(&statement, params).await?)
    }
}

/// A running transaction; [`Database::transaction`] ends it.
#[derive(Debug)]
pub struct Transaction<'a>(deadpool_postgres::Transaction<'a>);

impl Sql for Transaction<'_> {
    async fn query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, DbError> {
        let statement = prepare(&self.0.statement_cache, self.0.client(), sql).await?;
        Ok(self.0.query(&statement, params).await?)
    }

    async fn execute(&self, sql: &str, params: Params<'_>) -> Result<u64, DbError> {
        let statement = prepare(&self.0.statement_cache, self.0.client(), sql).await?;
        Ok(self.0.execute(&statement, params).await?)
    }
}

/// An error that the work of a transaction may end with.
pub trait WorkError: From<DbError> {
    /// Whether the transaction lost against a concurrent one and may be run again.
    fn is_conflict(&self) -> bool;
}

impl WorkError for DbError {
    fn is_conflict(&self) -> bool {
        DbError::is_conflict(self)
    }
}

impl WorkError for Error {
    fn is_conflict(&self) -> bool {
        match self {
            Self::Fault(fault) => {
                fault.source.downcast_ref::<DbError>().is_some_and(DbError::is_conflict)
            }
            Self::Status(_) => false,
        }
    }
}

/// For failures outside of a slice's own statements, such as a commit. Work that has a public
/// sentence gives it by `or_fault`.
impl From<DbError> for Error {
    fn from(error: DbError) -> Self {
        told(Fault::new("Database error.", error).into())
    }
}

/// Whether `fault` arose because the database could not be reached, whatever its sentence.
pub fn is_unavailable(fault: &Fault) -> bool {
    fault.source.downcast_ref::<DbError>().is_some_and(DbError::is_unavailable)
}

/// `error` as the client is to see it: where the database is away, that is what it says, with a
/// code that means "try again", whatever sentence the failed work gave it.
pub fn told(mut error: Error) -> Error {
    if let Error::Fault(fault) = &mut error
        && is_unavailable(fault)
    {
        fault.code = Code::Unavailable;
        fault.message = AWAY.into();
    }
    error
}

/// The prepared form of `sql` on one session. A failure here has done nothing.
async fn prepare(cache: &StatementCache, client: &Client, sql: &str) -> Result<Statement, DbError> {
    if cache.size() >= MAX_PREPARED {
        cache.clear();
    }
    cache.prepare(client, sql).await.map_err(|error| match DbError::from(error) {
        DbError::Unavailable { reason, .. } => DbError::Unavailable { reason, maybe_done: false },
        other => other,
    })
}

/// Closes sessions that nobody uses beyond `max_idle`, until the pool is gone.
async fn trim(pool: WeakPool<Sessions>, max_idle: usize) {
    let mut clock = tokio::time::interval(TRIM_INTERVAL);
    loop {
        clock.tick().await;
        let Some(pool) = pool.upgrade() else { return };
        let mut idle = 0;
        pool.retain(|_, _| {
            idle += 1;
            idle <= max_idle
        });
    }
}

/// Whether a text is a plain read.
fn is_read(sql: &str) -> bool {
    sql.trim_start().get(..6).is_some_and(|word| word.eq_ignore_ascii_case("select"))
}

/// Whether a prepared statement no longer fits the tables, after a migration under us.
fn is_stale_plan(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|error| {
        *error.code() == SqlState::FEATURE_NOT_SUPPORTED
            && error.routine() == Some("RevalidateCachedQuery")
    })
}
