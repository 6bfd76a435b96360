//! What can go wrong with a database, sorted by who can mend it.

use std::error::Error as _;

use deadpool::managed::{PoolError, TimeoutType};
use thiserror::Error;
use tokio_postgres::error::SqlState;

use super::{
    address::{Address, AddressError},
    connect::Failure,
};

/// A statement or transaction failed.
#[derive(Debug, Error)]
pub enum DbError {
    /// There was no connection: the database is down, restarting, or has no slot left. What was
    /// asked for was not done, unless [`maybe_done`](Self::Unavailable::maybe_done) is set.
    #[error("the database is not available: {reason}")]
    Unavailable {
        /// What happened, with the driver's words.
        reason: String,
        /// The connection broke after the statement was sent, so it may have been carried out.
        maybe_done: bool,
    },
    /// Every connection of the pool stayed in use for longer than a call may wait.
    #[error("all {0} database connections are in use (database.max_open_conns)")]
    Busy(usize),
    /// The database refused the statement.
    #[error("{}", describe(.0))]
    Statement(#[source] tokio_postgres::Error),
    /// A statement that always has a row had none.
    #[error("the statement gave no row")]
    NoRow,
    /// A row or parameter did not have the expected shape.
    #[error("{}", describe(.0))]
    Shape(#[source] tokio_postgres::Error),
}

impl DbError {
    /// The SQLSTATE, if the database itself answered.
    pub fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Statement(error) => error.code(),
            _ => None,
        }
    }

    /// The name of the unique constraint that the statement would have broken.
    pub fn unique_violation(&self) -> Option<&str> {
        self.violation(&SqlState::UNIQUE_VIOLATION)
    }

    /// The name of the foreign key that the statement would have broken.
    pub fn foreign_key_violation(&self) -> Option<&str> {
        self.violation(&SqlState::FOREIGN_KEY_VIOLATION)
    }

    /// The name of the check that the statement would have broken.
    pub fn check_violation(&self) -> Option<&str> {
        self.violation(&SqlState::CHECK_VIOLATION)
    }

    /// Whether a transaction that ended so may be run again: it lost against a concurrent one
    /// (SQLSTATE class 40).
    pub fn is_conflict(&self) -> bool {
        self.code().is_some_and(|code| code.code().starts_with("40"))
    }

    /// Whether the database could not be reached at all, so that the caller may try later.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Busy(_))
    }

    /// The same failure, for another caller whom it concerns.
    pub fn again(&self) -> Self {
        match self {
            Self::Unavailable { reason, maybe_done } => {
                Self::Unavailable { reason: reason.clone(), maybe_done: *maybe_done }
            }
            Self::Busy(size) => Self::Busy(*size),
            Self::NoRow => Self::NoRow,
            Self::Statement(_) | Self::Shape(_) => {
                Self::Unavailable { reason: self.to_string(), maybe_done: true }
            }
        }
    }

    /// The database's own message, or ours where it gave none. For game code that ran the
    /// statement itself.
    pub fn message(&self) -> String {
        match self {
            Self::Statement(error) => match error.as_db_error() {
                Some(error) => format!("{} (SQLSTATE {})", error.message(), error.code().code()),
                None => describe(error),
            },
            other => other.to_string(),
        }
    }

    fn violation(&self, state: &SqlState) -> Option<&str> {
        match self {
            Self::Statement(error) if error.code() == Some(state) => {
                Some(error.as_db_error().and_then(|error| error.constraint()).unwrap_or_default())
            }
            _ => None,
        }
    }

    pub(super) fn from_pool(error: PoolError<Failure>, size: usize) -> Self {
        match error {
            PoolError::Timeout(TimeoutType::Wait) => Self::Busy(size),
            PoolError::Backend(failure) => Self::closed(failure),
            other => Self::closed(other),
        }
    }

    /// There is no session, for `reason`.
    pub(super) fn closed(reason: impl std::fmt::Display) -> Self {
        Self::Unavailable { reason: reason.to_string(), maybe_done: false }
    }
}

impl From<tokio_postgres::Error> for DbError {
    fn from(error: tokio_postgres::Error) -> Self {
        if is_lost_connection(&error) {
            return Self::Unavailable { reason: describe(&error), maybe_done: true };
        }
        if error.as_db_error().is_some() { Self::Statement(error) } else { Self::Shape(error) }
    }
}

/// Whether the connection is gone: closed under us, or by the server on its way down.
pub(super) fn is_lost_connection(error: &tokio_postgres::Error) -> bool {
    if error.is_closed() {
        return true;
    }
    match error.code() {
        Some(code) => {
            [
                SqlState::ADMIN_SHUTDOWN,
                SqlState::CRASH_SHUTDOWN,
                SqlState::CANNOT_CONNECT_NOW,
                SqlState::TOO_MANY_CONNECTIONS,
            ]
            .contains(code)
                || code.code().starts_with("08")
        }
        None => error.source().is_some_and(|source| source.is::<std::io::Error>()),
    }
}

/// The whole chain of an error of the driver in one line, without what would show a statement's
/// values.
pub(super) fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        return format!("{} (SQLSTATE {})", error.message(), error.code().code());
    }
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// The server could not start because of its database. Each has one message that says which
/// address and user, what failed, and what to type.
#[derive(Debug, Error)]
pub enum StartError {
    /// A value of `database.address` is not an address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No address was given.
    #[error("database.address is empty: give user:password@host:port/dbname")]
    NoAddress,
    /// The certificates named by an address cannot be used.
    #[error("cannot use the certificates for the database at {address}: {reason}")]
    Certificates {
        /// The server.
        address: String,
        /// What is wrong with them.
        reason: String,
    },
    /// No address led to a session; one line for each.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Connect(Vec<ConnectError>),
    /// A statement at start failed.
    #[error("the database at {address} (user {user}) failed at start: {source}")]
    Statement {
        /// The server.
        address: String,
        /// The role.
        user: String,
        /// What it said.
        source: DbError,
    },
}

/// Why no session could be opened at one address.
#[derive(Debug)]
pub struct ConnectError {
    address: Address,
    problem: Problem,
    reason: String,
}

/// The kinds of [`ConnectError`] that a person mends differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Nothing answers there, or nothing in time.
    Unreachable,
    /// It answers that it is still starting, or going down.
    Starting,
    /// Wrong user, wrong password, or `pg_hba.conf` does not let it in.
    Refused,
    /// The database does not exist.
    NoDatabase,
    /// All connection slots are taken.
    NoSlot,
    /// Encryption was asked for and failed.
    Tls,
    /// Anything else.
    Other,
}

impl ConnectError {
    pub(super) fn new(address: &Address, error: &tokio_postgres::Error) -> Self {
        let problem = match error.code() {
            Some(code) if *code == SqlState::CANNOT_CONNECT_NOW => Problem::Starting,
            Some(code) if *code == SqlState::ADMIN_SHUTDOWN => Problem::Starting,
            Some(code) if *code == SqlState::INVALID_CATALOG_NAME => Problem::NoDatabase,
            Some(code) if *code == SqlState::TOO_MANY_CONNECTIONS => Problem::NoSlot,
            Some(code) if code.code().starts_with("28") => Problem::Refused,
            Some(_) => Problem::Other,
            None => {
                let text = error.to_string();
                if text.contains("TLS") {
                    Problem::Tls
                } else if text.contains("authentication")
                    || describe(error).contains("password missing")
                {
                    Problem::Refused
                } else if is_lost_connection(error)
                    || text.contains("connecting")
                    || text.contains("timeout")
                {
                    Problem::Unreachable
                } else {
                    Problem::Other
                }
            }
        };
        Self { address: address.clone(), problem, reason: describe(error) }
    }

    pub(super) fn timed_out(address: &Address) -> Self {
        let reason = format!("no answer within {} s", address.connect_timeout.as_secs());
        Self { address: address.clone(), problem: Problem::Unreachable, reason }
    }

    /// What kind of problem it is.
    pub fn problem(&self) -> Problem {
        self.problem
    }

    /// The address that was tried.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether waiting may mend it.
    pub fn is_temporary(&self) -> bool {
        matches!(self.problem, Problem::Unreachable | Problem::Starting | Problem::NoSlot)
    }
}

impl std::fmt::Display for ConnectError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { address, problem, reason } = self;
        let Address { user, database, .. } = address;
        let typed = address.to_type();
        match problem {
            Problem::Unreachable => write!(
                f,
                "cannot reach PostgreSQL at {address} (user {user}): {reason}; start it, or give another place with \
                 --database.address user:password@host:port/dbname, or leave that option out to use the embedded \
                 database"
            ),
            Problem::Starting => {
                write!(
                    f,
                    "PostgreSQL at {address} (user {user}) is not ready: {reason}; try again when it is"
                )
            }
            Problem::Refused => write!(
                f,
                "PostgreSQL at {address} does not let in user {user}: {reason}; give user and password with \
                 --database.address {}",
                Address { password: Some(String::new()), ..address.clone() }.to_type()
            ),
            Problem::NoDatabase => write!(
                f,
                "PostgreSQL at {address} (user {user}) has no database {database:?}; create and fill it with: \
                 guildhall migrate up --database.address {typed}"
            ),
            Problem::NoSlot => write!(
                f,
                "PostgreSQL at {address} (user {user}) has too few connections: {reason}; raise max_connections \
                 there, or lower database.max_open_conns here: --database.max_open_conns 20"
            ),
            Problem::Tls => write!(
                f,
                "cannot open an encrypted connection to PostgreSQL at {address} (user {user}): {reason}; \
                 name the authority that signed its certificate: --database.address \
                 '{typed}?sslmode=verify-full&sslrootcert=FILE'"
            ),
            Problem::Other => {
                write!(f, "cannot open a session at PostgreSQL {address} (user {user}): {reason}")
            }
        }
    }
}

impl std::error::Error for ConnectError {}
