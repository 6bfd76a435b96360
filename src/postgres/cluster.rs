//! The folders of the embedded database below `data_dir`: its data, its socket, and what a start
//! that was cut short left behind.

use std::{
    env,
    ffi::OsString,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown},
    },
    path::{Path, PathBuf},
    process::Stdio,
};

use super::{
    Choice, PostgresError, USER,
    install::{self, Identity, Install, Kind},
};

/// The number in the socket's name; the folder is private, so it need not be unique.
pub(super) const SOCKET_NUMBER: u16 = 5432;

/// What a folder's name ends with until its content is whole.
pub(super) const UNFINISHED: &str = "unfinished";

/// The longest path of a Unix socket, without the zero at its end.
const SOCKET_PATH_MAX: usize = 107;

/// Data that is there already.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) folder: PathBuf,
    kind: Kind,
    major: u32,
}

impl Cluster {
    /// What can run it.
    pub(super) fn install(
        &self,
        data_dir: &Path,
        choice: Choice,
    ) -> Result<Install, PostgresError> {
        if !install::kinds(choice).contains(&self.kind) {
            return Err(PostgresError::CannotOpen {
                folder: self.folder.clone(),
                reason: format!(
                    "it is of the {} PostgreSQL: start with --database.embedded {}, or move the folder away",
                    self.kind, self.kind
                ),
            });
        }
        Install::for_data(self.kind, self.major, &self.folder, data_dir)
    }
}

/// The clusters below `data_dir`, by their folders' names.
pub(super) fn find(data_dir: &Path) -> Result<Vec<Cluster>, PostgresError> {
    let mut clusters = Vec::new();
    for name in names(data_dir)? {
        let folder = data_dir.join(&name);
        for kind in [Kind::System, Kind::Bundled] {
            let prefix = format!("postgres-{kind}-");
            let major = name.strip_prefix(&prefix).and_then(|major| major.parse().ok());
            // A folder without this file was never a cluster.
            if let Some(major) = major.filter(|_| folder.join("PG_VERSION").exists()) {
                clusters.push(Cluster { folder: folder.clone(), kind, major });
            }
        }
    }
    clusters.sort_by(|a, b| a.folder.cmp(&b.folder));
    Ok(clusters)
}

/// Removes what starts that were cut short left behind.
pub(super) fn remove_leftovers(data_dir: &Path) -> Result<(), PostgresError> {
    for name in names(data_dir)? {
        if name.starts_with("postgres-") && name.ends_with(UNFINISHED) {
            let folder = data_dir.join(name);
            fs::remove_dir_all(&folder).map_err(PostgresError::io(&folder))?;
        }
    }
    Ok(())
}

fn names(data_dir: &Path) -> Result<Vec<String>, PostgresError> {
    let entries = fs::read_dir(data_dir).map_err(PostgresError::io(data_dir))?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
}

/// Makes a new cluster and returns its folder. It gets its name when it is whole.
pub(super) fn make(data_dir: &Path, install: &Install) -> Result<PathBuf, PostgresError> {
    let folder = data_dir.join(format!("postgres-{}-{}", install.kind, install.major));
    let mut unfinished = folder.clone().into_os_string();
    unfinished.push(".");
    unfinished.push(UNFINISHED);
    let unfinished = PathBuf::from(unfinished);
    let made = private_folder(&unfinished, install.run_as)
        .and_then(|()| initdb(&unfinished, install))
        .and_then(|()| {
            fs::rename(&unfinished, &folder).map_err(PostgresError::io(&folder))?;
            // The name must be on disk before the first write is acknowledged.
            let synced = fs::File::open(data_dir).and_then(|parent| parent.sync_all());
            synced.map_err(PostgresError::io(data_dir))
        });
    if made.is_err() {
        // The error counts; the next start removes it otherwise.
        let _ = fs::remove_dir_all(&unfinished);
    }
    made.map(|()| folder)
}

fn initdb(folder: &Path, install: &Install) -> Result<(), PostgresError> {
    let mut command = install.command("initdb");
    command.arg("-D").arg(folder).args([
        "-U",
        USER,
        "-E",
        "UTF8",
        "--locale=C",
        "--no-instructions",
    ]);
    // Only we can enter the socket's folder, so there is no password that could be lost.
    command.args(["--auth-local=trust", "--auth-host=reject"]);
    let program = install.bin.join("initdb");
    let output = command.stdout(Stdio::null()).output().map_err(PostgresError::io(&program))?;
    if output.status.success() {
        return Ok(());
    }
    let output = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    Err(PostgresError::Tool { program, output })
}

/// A folder for the socket that nobody else can enter: below `data_dir`, or where that makes the
/// socket's path too long, in a place for run-time files under a name made from `data_dir`.
pub(super) fn socket_folder(
    data_dir: &Path,
    run_as: Option<Identity>,
) -> Result<PathBuf, PostgresError> {
    let near = data_dir.join("postgres-socket");
    if fits(&near) {
        private_folder(&near, run_as)?;
        return Ok(near);
    }
    let mut hasher = DefaultHasher::new();
    data_dir.hash(&mut hasher);
    let name = format!("guildhall-{:016x}", hasher.finish());
    // Root's run-time folder is closed to the user the database may run as.
    let places = env::var_os("XDG_RUNTIME_DIR").filter(|_| run_as.is_none());
    for place in [places, Some(OsString::from("/tmp"))].into_iter().flatten() {
        let far = PathBuf::from(place).join(&name);
        if fits(&far) && private_folder(&far, run_as).is_ok() {
            return Ok(far);
        }
    }
    Err(PostgresError::NotStarted(format!(
        "the path of a socket below {} is too long, and no private folder could be made in /tmp; \
         choose a shorter --data_dir",
        data_dir.display()
    )))
}

fn fits(folder: &Path) -> bool {
    let name = format!("/.s.PGSQL.{SOCKET_NUMBER}.lock");
    folder.as_os_str().as_bytes().len() + name.len() <= SOCKET_PATH_MAX
}

/// Makes sure that `folder` is a real folder (no link that another user put there) which only its
/// owner can enter, and that the owner is the one to be.
fn private_folder(folder: &Path, run_as: Option<Identity>) -> Result<(), PostgresError> {
    let io = PostgresError::io;
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io(folder)(error)),
    }
    let owner = run_as.map_or(rustix::process::geteuid().as_raw(), |identity| identity.user);
    let us = rustix::process::geteuid().as_raw();
    let found = fs::symlink_metadata(folder).map_err(io(folder))?;
    if !found.is_dir() || (found.uid() != owner && found.uid() != us) {
        let error = io::Error::new(io::ErrorKind::PermissionDenied, "belongs to another user");
        return Err(io(folder)(error));
    }
    if let Some(Identity { user, group }) = run_as {
        chown(folder, Some(user), Some(group)).map_err(io(folder))?;
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(io(folder))
}
