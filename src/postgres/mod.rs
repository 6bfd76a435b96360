//! The embedded database: a real PostgreSQL that the server runs by itself, where no
//! `database.address` is given.
//!
//! Two kinds: one that is installed on the machine (14 or later), or the one built into the
//! binary. Either is a child process on a private Unix socket, with its data in a folder below
//! `data_dir` whose name carries kind and major version, for only the same can read it again. So
//! the data that is there decides which one is run; where that one is gone the start stops and
//! says so, instead of beginning anew with an empty database beside the old one.
//!
//! What must stay true:
//! - the child ends with the server, however that ends (see `supervisor`);
//! - one server at a time uses a `data_dir`, by a lock that ends with the process;
//! - an acknowledged write is on disk: `fsync` and `synchronous_commit` stay on.

mod cluster;
mod install;
mod supervisor;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod trial;

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use guildhall_actors::database::Address;
use guildhall_core::config::EmbeddedPostgres as Choice;
use thiserror::Error;

use self::{install::Install, supervisor::Supervisor};

/// The role that owns everything in the embedded database, as every PostgreSQL has it.
const USER: &str = "postgres";

/// The database, created by the first migration.
const DATABASE: &str = "guildhall";

/// Sessions beyond the pool: for `psql` of an operator, `migrate` and PostgreSQL's own reserve.
const SPARE_CONNECTIONS: usize = 7;

/// The file whose lock says that a server uses this `data_dir`.
const LOCK_FILE: &str = "postgres.lock";

/// A running embedded PostgreSQL. Dropping it stops the child in the background; to wait for the
/// end, use [`stop`](Self::stop).
#[derive(Debug)]
pub struct EmbeddedPostgres {
    supervisor: Supervisor,
    description: String,
    // After the supervisor: the lock must be the last to go.
    _lock: File,
}

/// Why there is no embedded PostgreSQL. The texts are for the operator and say what to do.
#[derive(Debug, Error)]
pub enum PostgresError {
    /// Neither kind can be run here.
    #[error(
        "no PostgreSQL to run: {0}; or use one that runs elsewhere: --database.address user:password@host:port/dbname"
    )]
    NoneFound(String),
    /// The data is of a PostgreSQL that cannot be run here.
    #[error("{folder} holds the database, and {reason}")]
    CannotOpen {
        /// The folder with the data.
        folder: PathBuf,
        /// Why it cannot be opened, and what to do.
        reason: String,
    },
    /// Another server uses the folder.
    #[error(
        "another guildhall uses {0}: stop it, or give this one a folder of its own with --data_dir"
    )]
    InUse(PathBuf),
    /// A file or folder could not be made, read or moved.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A tool of PostgreSQL failed.
    #[error("{program} failed: {output}")]
    Tool {
        /// Which one.
        program: PathBuf,
        /// The end of what it printed.
        output: String,
    },
    /// The server did not come up.
    #[error("the embedded PostgreSQL did not start: {0}")]
    NotStarted(String),
}

impl PostgresError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

impl EmbeddedPostgres {
    /// Starts the embedded PostgreSQL of `data_dir`, making it first if there is none yet, and
    /// returns it with its address once it answers. Blocks for some 20 ms, and for a second or
    /// two the first time.
    ///
    /// `max_connections` is the size of the server's pool.
    ///
    /// # Errors
    /// [`PostgresError`], whose text says what to do.
    pub fn start(
        data_dir: &Path,
        choice: Choice,
        max_connections: usize,
    ) -> Result<(Self, Address), PostgresError> {
        fs::create_dir_all(data_dir).map_err(PostgresError::io(data_dir))?;
        // PostgreSQL changes its working directory, so a relative path would not do.
        let data_dir = &data_dir.canonicalize().map_err(PostgresError::io(data_dir))?;
        let lock = lock(data_dir)?;
        cluster::remove_leftovers(data_dir)?;
        let (install, folder) = open(data_dir, choice)?;
        let sockets = cluster::socket_folder(data_dir, install.run_as)?;
        let description =
            format!("PostgreSQL {} ({}) in {}", install.version, install.kind, folder.display());
        let supervisor = Supervisor::start(supervisor::Plan {
            arguments: arguments(&folder, &sockets, max_connections),
            install,
            folder,
            sockets: sockets.clone(),
        })?;
        let address = Address::unix(sockets, cluster::SOCKET_NUMBER, USER, DATABASE);
        Ok((Self { supervisor, description, _lock: lock }, address))
    }

    /// Ends the child and waits for it: sessions are cut, what is committed is on disk.
    pub fn stop(self) {
        self.supervisor.stop();
    }

    /// The process id of the child, if it runs at this moment.
    pub fn pid(&self) -> Option<u32> {
        self.supervisor.pid()
    }

    /// Version, kind and folder, for a log line.
    pub fn description(&self) -> &str {
        &self.description
    }
}

fn lock(data_dir: &Path) -> Result<File, PostgresError> {
    let path = data_dir.join(LOCK_FILE);
    let open = File::options().create(true).truncate(false).write(true).open(&path);
    let lock = open.map_err(PostgresError::io(&path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(PostgresError::InUse(data_dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(PostgresError::Io { path, source }),
    }
}

/// Finds or makes the cluster, with what can run it.
fn open(data_dir: &Path, choice: Choice) -> Result<(Install, PathBuf), PostgresError> {
    let mut found = cluster::find(data_dir)?;
    if let (Some(second), Some(first)) = (found.get(1), found.first()) {
        let reason = format!("{} holds another; move one of them away", second.folder.display());
        return Err(PostgresError::CannotOpen { folder: first.folder.clone(), reason });
    }
    if let Some(cluster) = found.pop() {
        let install = cluster.install(data_dir, choice)?;
        return Ok((install, cluster.folder));
    }
    let mut reasons = Vec::new();
    for kind in install::kinds(choice) {
        // A folder half made is removed with the error, so the next kind begins afresh.
        let made = Install::newest(*kind, data_dir)
            .and_then(|install| cluster::make(data_dir, &install).map(|folder| (install, folder)));
        match made {
            Ok(opened) => return Ok(opened),
            Err(error) => reasons.push(format!("{kind}: {error}")),
        }
    }
    Err(PostgresError::NoneFound(reasons.join("; ")))
}

/// The command line of the child. It outweighs what stands in `postgresql.conf`.
fn arguments(folder: &Path, sockets: &Path, max_connections: usize) -> Vec<std::ffi::OsString> {
    let settings = [
        "listen_addresses=".to_owned(),
        format!("unix_socket_directories={}", sockets.display()),
        "unix_socket_permissions=0700".to_owned(),
        format!("port={}", cluster::SOCKET_NUMBER),
        format!("max_connections={}", max_connections + SPARE_CONNECTIONS),
        "fsync=on".to_owned(),
        "synchronous_commit=on".to_owned(),
        "full_page_writes=on".to_owned(),
        // Memory is taken as it is used; an idle server stays near 15 MB.
        "shared_buffers=64MB".to_owned(),
        "huge_pages=off".to_owned(),
        "max_wal_size=512MB".to_owned(),
        "min_wal_size=32MB".to_owned(),
        // Nobody replicates from here.
        "wal_level=minimal".to_owned(),
        "max_wal_senders=0".to_owned(),
        // Compiling a query costs more than running those of a game server.
        "jit=off".to_owned(),
        "timezone=UTC".to_owned(),
        "log_timezone=UTC".to_owned(),
        "lc_messages=C".to_owned(),
        // Everything goes to our own log, through a pipe.
        "logging_collector=off".to_owned(),
        "log_destination=stderr".to_owned(),
        "log_line_prefix=".to_owned(),
        "log_min_messages=warning".to_owned(),
        "log_min_error_statement=panic".to_owned(),
    ];
    // After a crash everything is put on disk before it is read: at once, where the system can,
    // instead of file by file (measured on a busy disk: 0.5 s against 3 s).
    let after_crash = cfg!(target_os = "linux").then(|| "recovery_init_sync_method=syncfs".into());
    let mut arguments = vec!["-D".into(), folder.into()];
    for setting in settings.into_iter().chain(after_crash) {
        arguments.extend(["-c".into(), setting.into()]);
    }
    arguments
}
