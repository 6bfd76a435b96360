//! Changes of the database schema: `guildhall migrate up|down|redo|status`, and the check at start.
//!
//! Schema `public` is the reference's, by files of the reference's names, recorded in its table
//! `migration_info`; so a database that Nakama 3.40 migrated is taken as it is, and the other way
//! round. What we store beyond it stands in schema `guildhall`, with its own files and its own
//! table. Those are applied by `up`, and by the server itself where only they are missing, since
//! they touch nothing of the reference's.
//!
//! One migration needs extension `pg_trgm`. A server that does not have it goes without the index
//! `users_display_name_idx`: the migration counts as applied, and a later `up` on a server that
//! has the extension adds the index.

mod file;

use std::{collections::HashMap, fmt, time::Duration};

use chrono::{DateTime, Utc};
use guildhall_actors::database::{
    Address, Database, DbError, Problem, Session, Settings, Sql, StartError,
};
use thiserror::Error;
use tokio::runtime::Handle;
use tokio_postgres::error::SqlState;

use self::file::{GUILDHALL, Migration, NAKAMA};

/// The migration whose index needs an extension that not every server has.
const DISPLAY_NAME_INDEX: &str = "20260319134532-add-display-name-index.sql";

/// $1 key. Taken by polling: a session that waits within the statement would hold a snapshot, and
/// building an index concurrently waits for all of those.
const LOCK: &str = "SELECT pg_try_advisory_lock($1) AS locked";

/// $1 key.
const UNLOCK: &str = "SELECT pg_advisory_unlock($1)";

/// Two servers that start at once migrate one after the other. The number means nothing.
const LOCK_KEY: i64 = 0x6775_696c_6468_616c;

const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// The reference's record of what was applied.
const CREATE_NAKAMA: &str = "
    CREATE TABLE IF NOT EXISTS migration_info (
        id         text        NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT migration_info_pkey PRIMARY KEY (id)
    )";

/// Our own record, in our own schema.
const CREATE_GUILDHALL: &str = "
    CREATE SCHEMA IF NOT EXISTS guildhall;
    CREATE TABLE IF NOT EXISTS guildhall.migration_info (
        id         text        NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT migration_info_pkey PRIMARY KEY (id)
    )";

/// $1 the table. Whether it is there.
const HAS_TABLE: &str = "SELECT to_regclass($1) IS NOT NULL AS there";

/// Whether the server can provide pg_trgm, and whether the index that needs it is there and whole.
/// An index whose building was interrupted stays behind, invalid.
const TRIGRAMS: &str = "
    SELECT EXISTS (SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm') AS available,
           (SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('users_display_name_idx')) AS valid";

/// A list of migrations, and where what was applied of them is recorded.
struct Track {
    table: &'static str,
    create: &'static str,
    migrations: &'static [Migration],
}

const PUBLIC: Track = Track { table: "migration_info", create: CREATE_NAKAMA, migrations: NAKAMA };

const OWN: Track =
    Track { table: "guildhall.migration_info", create: CREATE_GUILDHALL, migrations: GUILDHALL };

/// A subcommand of `guildhall migrate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Apply what is missing; creates the database itself if need be.
    Up,
    /// Revert the last one, or as many as the limit says; 0 reverts all.
    Down,
    /// Revert the last one and apply it again.
    Redo,
    /// List all and when each was applied.
    Status,
}

/// What a command did or found; its text is for a terminal.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Ids applied, in order.
    pub applied: Vec<String>,
    /// Ids reverted, in order.
    pub reverted: Vec<String>,
    /// All migrations, for `status` only.
    pub status: Vec<StatusRow>,
    /// Whether the search by display name goes without its index, since the server lacks pg_trgm.
    pub without_trigrams: bool,
}

/// One line of `status`.
#[derive(Debug, PartialEq, Eq)]
pub struct StatusRow {
    /// The migration's file name.
    pub id: String,
    /// When it was applied, if it was.
    pub applied_at: Option<DateTime<Utc>>,
    /// It is recorded, but this version does not know it: the database served a newer one.
    pub unknown: bool,
}

/// A migration, or the check at start, failed.
#[derive(Debug, Error)]
pub enum MigrateError {
    /// The database could not be opened.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The server was started on a database that is not migrated.
    #[error(
        "the database at {address} (user {user}) lacks {missing} of {total} migrations; apply them \
         with: guildhall migrate up --database.address {typed}"
    )]
    Unmigrated {
        /// The server.
        address: String,
        /// The role.
        user: String,
        /// The address as to be typed.
        typed: String,
        /// How many are missing.
        missing: usize,
        /// How many there are.
        total: usize,
    },
    /// One migration failed and was rolled back.
    #[error("migration {id} failed at {address} (user {user}): {source}{hint}")]
    Failed {
        /// The migration.
        id: String,
        /// The server.
        address: String,
        /// The role.
        user: String,
        /// What the database said.
        source: DbError,
        /// What to do about it, where that is known.
        hint: &'static str,
    },
}

/// Runs one subcommand on the database of `settings`.
///
/// `limit` is the most migrations to apply or revert; 0 stands for all, and none for all of `up`
/// and one of `down`.
///
/// # Errors
/// [`MigrateError`] with a message for the operator; migrations before the failed one stay applied.
pub async fn run(
    settings: &Settings,
    command: Command,
    limit: Option<u32>,
    io: &Handle,
) -> Result<Report, MigrateError> {
    let settings = Settings { max_open: 1, ..settings.clone() };
    let database = match Database::connect(&settings, io).await {
        Err(StartError::Connect(errors)) if command == Command::Up => {
            let missing = errors.iter().find(|error| error.problem() == Problem::NoDatabase);
            let Some(missing) = missing.map(|error| error.address().clone()) else {
                return Err(StartError::Connect(errors).into());
            };
            create_database(&settings, &missing, io).await?;
            Database::connect(&settings, io).await?
        }
        other => other?,
    };
    let report = run_on(&database, command, limit).await;
    database.close();
    report
}

/// As [`run`], on an open database.
///
/// # Errors
/// As [`run`].
pub async fn run_on(
    database: &Database,
    command: Command,
    limit: Option<u32>,
) -> Result<Report, MigrateError> {
    let work = Work::new(database).await?;
    if command == Command::Status {
        return work.status().await;
    }
    work.lock().await?;
    let result = match command {
        Command::Up => work.up(limit.unwrap_or(0)).await,
        Command::Down => work.down(limit.unwrap_or(1)).await,
        Command::Redo | Command::Status => work.redo().await,
    };
    work.unlock().await;
    result
}

/// The check of a server at start, which brings our own schema up to date too.
///
/// # Errors
/// [`MigrateError::Unmigrated`] if the reference's schema is missing or old.
pub async fn prepare(database: &Database) -> Result<(), MigrateError> {
    let work = Work::new(database).await?;
    let applied = work.applied(&PUBLIC).await?;
    let missing = missing(&PUBLIC, &applied).len();
    if missing > 0 {
        let Address { user, .. } = database.address();
        return Err(MigrateError::Unmigrated {
            address: database.address().to_string(),
            user,
            typed: database.address().to_type(),
            missing,
            total: PUBLIC.migrations.len(),
        });
    }
    let unknown = unknown(&PUBLIC, &applied).count();
    if unknown > 0 {
        tracing::warn!(unknown, "database schema is newer than this server");
    }
    if self::missing(&OWN, &work.applied(&OWN).await?).is_empty() {
        return Ok(());
    }
    work.lock().await?;
    let result = work.apply(&OWN, usize::MAX, &mut Report::default()).await;
    work.unlock().await;
    result
}

/// What was applied on a track, and when.
type Applied = HashMap<String, DateTime<Utc>>;

fn missing(track: &Track, applied: &Applied) -> Vec<&'static Migration> {
    track.migrations.iter().filter(|migration| !applied.contains_key(migration.id)).collect()
}

fn unknown<'a>(track: &Track, applied: &'a Applied) -> impl Iterator<Item = &'a String> {
    applied.keys().filter(|id| track.migrations.iter().all(|migration| migration.id != *id))
}

/// One session that migrates.
struct Work {
    session: Session,
    address: Address,
}

impl Work {
    async fn new(database: &Database) -> Result<Self, MigrateError> {
        let address = database.address();
        match database.session().await {
            Ok(session) => Ok(Self { session, address }),
            Err(source) => {
                let (address, user) = (address.to_string(), address.user);
                Err(StartError::Statement { address, user, source }.into())
            }
        }
    }

    async fn lock(&self) -> Result<(), MigrateError> {
        loop {
            let row = self.ok(self.session.one(LOCK, &[&LOCK_KEY]).await)?;
            if self.ok(row.try_get("locked").map_err(DbError::from))? {
                return Ok(());
            }
            tokio::time::sleep(LOCK_PAUSE).await;
        }
    }

    /// A failure is not told: the lock ends with the session at the latest.
    async fn unlock(&self) {
        let _ = self.session.query(UNLOCK, &[&LOCK_KEY]).await;
    }

    async fn applied(&self, track: &Track) -> Result<Applied, MigrateError> {
        let row = self.ok(self.session.one(HAS_TABLE, &[&track.table]).await)?;
        if !self.ok(row.try_get::<_, bool>("there").map_err(DbError::from))? {
            return Ok(Applied::new());
        }
        let text = format!("SELECT id, applied_at FROM {}", track.table);
        let mut applied = Applied::new();
        for row in self.ok(self.session.query(&text, &[]).await)? {
            let id = self.ok(row.try_get("id").map_err(DbError::from))?;
            applied.insert(id, self.ok(row.try_get("applied_at").map_err(DbError::from))?);
        }
        Ok(applied)
    }

    async fn up(&self, limit: u32) -> Result<Report, MigrateError> {
        let mut report = Report::default();
        let limit = if limit == 0 { usize::MAX } else { limit as usize };
        self.apply(&PUBLIC, limit, &mut report).await?;
        let applied = self.applied(&PUBLIC).await?;
        if applied.contains_key(DISPLAY_NAME_INDEX) {
            self.mend_display_name_index(&mut report).await?;
        }
        if missing(&PUBLIC, &applied).is_empty() {
            self.apply(&OWN, usize::MAX, &mut report).await?;
        }
        Ok(report)
    }

    async fn apply(
        &self,
        track: &Track,
        limit: usize,
        report: &mut Report,
    ) -> Result<(), MigrateError> {
        self.ok_of(track.table, self.session.batch(track.create).await)?;
        let applied = self.applied(track).await?;
        for migration in missing(track, &applied).into_iter().take(limit) {
            let record = format!("INSERT INTO {} (id) VALUES ('{}')", track.table, migration.id);
            let result = match migration.up() {
                file::Part::Transaction(text) => self.atomically(text, &record).await,
                // Recorded first: what is missing of it is added by `mend_display_name_index`.
                file::Part::Single(_) => self.session.batch(&record).await,
            };
            self.ok_of(migration.id, result)?;
            report.applied.push(migration.id.to_owned());
        }
        Ok(())
    }

    /// Builds the index on display names where it is missing and can be built.
    async fn mend_display_name_index(&self, report: &mut Report) -> Result<(), MigrateError> {
        let row = self.ok(self.session.one(TRIGRAMS, &[]).await)?;
        let available: bool = self.ok(row.try_get("available").map_err(DbError::from))?;
        let valid: Option<bool> = self.ok(row.try_get("valid").map_err(DbError::from))?;
        if valid == Some(true) {
            return Ok(());
        }
        if !available {
            report.without_trigrams = true;
            return Ok(());
        }
        let Some(migration) = PUBLIC.migrations.iter().find(|each| each.id == DISPLAY_NAME_INDEX)
        else {
            return Ok(());
        };
        if valid == Some(false) {
            let result = self.session.batch("DROP INDEX users_display_name_idx").await;
            self.ok_of(migration.id, result)?;
        }
        if let file::Part::Single(statements) = migration.up() {
            for statement in statements {
                self.ok_of(migration.id, self.session.batch(statement).await)?;
            }
        }
        Ok(())
    }

    async fn down(&self, limit: u32) -> Result<Report, MigrateError> {
        let mut report = Report::default();
        let limit = if limit == 0 { usize::MAX } else { limit as usize };
        let applied = self.applied(&PUBLIC).await?;
        let known = PUBLIC.migrations.iter().filter(|each| applied.contains_key(each.id));
        let known: Vec<_> = known.collect();
        if limit >= known.len() {
            self.revert(&OWN, usize::MAX, &mut report).await?;
        }
        self.revert(&PUBLIC, limit, &mut report).await?;
        Ok(report)
    }

    async fn revert(
        &self,
        track: &Track,
        limit: usize,
        report: &mut Report,
    ) -> Result<(), MigrateError> {
        let applied = self.applied(track).await?;
        let known = track.migrations.iter().rev().filter(|each| applied.contains_key(each.id));
        for migration in known.take(limit) {
            let record = format!("DELETE FROM {} WHERE id = '{}'", track.table, migration.id);
            self.ok_of(migration.id, self.atomically(migration.down(), &record).await)?;
            report.reverted.push(migration.id.to_owned());
        }
        Ok(())
    }

    async fn redo(&self) -> Result<Report, MigrateError> {
        let down = self.down(1).await?;
        let up = self.up(1).await?;
        Ok(Report { reverted: down.reverted, ..up })
    }

    async fn status(&self) -> Result<Report, MigrateError> {
        let mut report = Report::default();
        for track in [&PUBLIC, &OWN] {
            let applied = self.applied(track).await?;
            report.status.extend(track.migrations.iter().map(|migration| StatusRow {
                id: migration.id.to_owned(),
                applied_at: applied.get(migration.id).copied(),
                unknown: false,
            }));
            let mut strangers: Vec<_> = unknown(track, &applied).collect();
            strangers.sort();
            report.status.extend(strangers.into_iter().map(|id| StatusRow {
                id: id.clone(),
                applied_at: applied.get(id).copied(),
                unknown: true,
            }));
        }
        Ok(report)
    }

    async fn atomically(&self, text: &str, record: &str) -> Result<(), DbError> {
        let result = self.session.batch(&format!("BEGIN;\n{text}\n{record};\nCOMMIT")).await;
        if result.is_err() {
            // The first error counts; a session that cannot roll back is not used again.
            let _ = self.session.batch("ROLLBACK").await;
        }
        result
    }

    fn ok<T>(&self, result: Result<T, DbError>) -> Result<T, MigrateError> {
        self.ok_of("(its bookkeeping)", result)
    }

    fn ok_of<T>(&self, id: &str, result: Result<T, DbError>) -> Result<T, MigrateError> {
        result.map_err(|source| MigrateError::Failed {
            id: id.to_owned(),
            address: self.address.to_string(),
            user: self.address.user.clone(),
            hint: hint(&source),
            source,
        })
    }
}

fn hint(error: &DbError) -> &'static str {
    if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
        return "; run guildhall migrate up once as the owner of the database, or let this user \
                create things there: GRANT CREATE ON DATABASE … TO …; GRANT CREATE ON SCHEMA public TO …";
    }
    ""
}

/// Creates the database that `address` names, from one that every server has.
async fn create_database(
    settings: &Settings,
    address: &Address,
    io: &Handle,
) -> Result<(), MigrateError> {
    let mut first_error = None;
    for database in ["postgres", "template1"] {
        let beside = Address { database: database.to_owned(), ..address.clone() };
        let settings = Settings { addresses: vec![beside], ..settings.clone() };
        match Database::connect(&settings, io).await {
            Ok(beside) => {
                let name = address.database.replace('"', "\"\"");
                let work = Work::new(&beside).await?;
                let result = work.session.batch(&format!("CREATE DATABASE \"{name}\"")).await;
                work.ok_of(&format!("CREATE DATABASE {name}"), result)?;
                drop(work);
                beside.close();
                return Ok(());
            }
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    Err(first_error.unwrap_or(StartError::NoAddress).into())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.status {
            match (row.applied_at, row.unknown) {
                (None, _) => writeln!(f, "missing               {}", row.id)?,
                (Some(at), false) => {
                    writeln!(f, "{}  {}", at.format("%Y-%m-%d %H:%M:%SZ"), row.id)?
                }
                (Some(_), true) => writeln!(f, "of a newer version    {}", row.id)?,
            }
        }
        for id in &self.reverted {
            writeln!(f, "reverted {id}")?;
        }
        for id in &self.applied {
            writeln!(f, "applied {id}")?;
        }
        if self.without_trigrams {
            writeln!(
                f,
                "this PostgreSQL has no extension pg_trgm: users_display_name_idx is left out, and a search by \
                 display name reads all users"
            )?;
        }
        if *self == Self::default() {
            writeln!(f, "nothing to do")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
