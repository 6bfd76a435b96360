//! Finds a PostgreSQL that can be run: one that is installed, or the one built into the binary.

use std::{
    collections::BTreeSet,
    env,
    ffi::OsStr,
    fmt, fs,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{Choice, PostgresError};

/// The oldest major version that is run.
const OLDEST: u32 = 14;

/// Where distributions and installers put PostgreSQL; `*` stands for one part of a path.
const FOLDERS: [&str; 7] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/usr/lib/postgresql*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
];

/// The user that distributions make for PostgreSQL, which refuses to run as root.
const SYSTEM_USER: &str = "postgres";

/// The version of the runtime that is built in.
#[cfg(bundled_postgres)]
const BUNDLED_VERSION: &str = "17.5";

/// The runtime itself: `bin`, `lib` and `share`, relocatable.
#[cfg(bundled_postgres)]
const BUNDLED: &[u8] = include_bytes!(env!("BUNDLED_POSTGRES"));

/// Where a PostgreSQL comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Installed on the machine.
    System,
    /// Built into the binary.
    Bundled,
}

impl Kind {
    /// As it stands in a folder's name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Bundled => "bundled",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The kinds that a choice allows, the preferred one first.
pub(super) fn kinds(choice: Choice) -> &'static [Kind] {
    match choice {
        Choice::Auto => &[Kind::System, Kind::Bundled],
        Choice::System => &[Kind::System],
        Choice::Bundled => &[Kind::Bundled],
    }
}

/// A user and group to run as, when we are root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) user: u32,
    pub(super) group: u32,
}

/// A PostgreSQL that can be run.
#[derive(Clone, Debug)]
pub(super) struct Install {
    pub(super) kind: Kind,
    /// Such as `17.5`.
    pub(super) version: String,
    /// The part before the dot, which decides who can read whose data.
    pub(super) major: u32,
    /// The folder of `postgres` and `initdb`.
    pub(super) bin: PathBuf,
    /// Whom to run it as, if not as ourselves.
    pub(super) run_as: Option<Identity>,
}

impl Install {
    /// The newest of `kind`, for data to be made below `data_dir`.
    pub(super) fn newest(kind: Kind, data_dir: &Path) -> Result<Self, PostgresError> {
        let mut install = match kind {
            Kind::System => {
                let mut installs = installed();
                installs.sort_by_key(|install| install.major);
                installs.pop().ok_or_else(|| {
                    PostgresError::NoneFound(format!(
                        "no PostgreSQL {OLDEST} or later is installed (on Debian and Ubuntu: apt install postgresql)"
                    ))
                })?
            }
            Kind::Bundled => bundled(data_dir)?,
        };
        if kind == Kind::System && is_root() {
            let identity = user(SYSTEM_USER).ok_or_else(|| {
                PostgresError::NoneFound(format!(
                    "PostgreSQL refuses to run as root, and there is no user {SYSTEM_USER} to run it as"
                ))
            })?;
            may_enter(identity, data_dir)?;
            install.run_as = Some(identity);
        }
        Ok(install)
    }

    /// The one that can open data of `kind` and `major` that lies in `folder`.
    pub(super) fn for_data(
        kind: Kind,
        major: u32,
        folder: &Path,
        data_dir: &Path,
    ) -> Result<Self, PostgresError> {
        let cannot = |reason| PostgresError::CannotOpen { folder: folder.to_owned(), reason };
        let mut install = match kind {
            Kind::System => {
                installed().into_iter().find(|install| install.major == major).ok_or_else(|| {
                    cannot(format!(
                        "needs PostgreSQL {major}, which is not installed any more: install it (on Debian and \
                         Ubuntu: apt install postgresql-{major}), or where it still is, save the data with \
                         pg_dump, move the folder away, and restore into the new database"
                    ))
                })?
            }
            Kind::Bundled => bundled(data_dir)?,
        };
        if install.major != major {
            return Err(cannot(format!(
                "needs PostgreSQL {major}, but this guildhall brings {}: save the data with pg_dump while an \
                 older guildhall runs, move the folder away, and restore into the new database",
                install.major
            )));
        }
        let owner = fs::metadata(folder).map_err(PostgresError::io(folder))?;
        let identity = Identity { user: owner.uid(), group: owner.gid() };
        let us = rustix::process::geteuid().as_raw();
        if identity.user != us {
            if us != 0 {
                return Err(cannot(format!(
                    "belongs to the user with id {}: run guildhall as that user or as root, or give \
                     another folder with --data_dir",
                    identity.user
                )));
            }
            may_enter(identity, data_dir).map_err(|error| cannot(error.to_string()))?;
            install.run_as = Some(identity);
        }
        Ok(install)
    }

    /// A command that runs `program` of this PostgreSQL with a clean environment: settings such
    /// as `PGDATA` or `PGOPTIONS` are for other servers.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.env_clear().env("LC_ALL", "C").env("TZ", "UTC");
        for name in ["PATH", "LD_LIBRARY_PATH"] {
            if let Some(value) = env::var_os(name) {
                command.env(name, value);
            }
        }
        command.current_dir("/").stdin(Stdio::null());
        if let Some(Identity { user, group }) = self.run_as {
            command.uid(user).gid(group);
        }
        command
    }
}

/// Whether we are root.
pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// All installed versions that are new enough, those on `PATH` first.
fn installed() -> Vec<Install> {
    let mut folders: Vec<PathBuf> =
        env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
    folders.extend(FOLDERS.iter().flat_map(|pattern| expand(pattern)));

    let mut seen = BTreeSet::new();
    let mut installs = Vec::new();
    for folder in folders {
        // Links lead to the real folder, where initdb and the libraries lie beside it.
        let Ok(postgres) = folder.join("postgres").canonicalize() else { continue };
        let Some(bin) = postgres.parent().map(Path::to_owned) else { continue };
        if !seen.insert(bin.clone()) || !bin.join("initdb").is_file() {
            continue;
        }
        let Some((version, major)) = version_of(&postgres) else { continue };
        if major >= OLDEST {
            installs.push(Install { kind: Kind::System, version, major, bin, run_as: None });
        }
    }
    installs
}

/// The folders that match a pattern of [`FOLDERS`].
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else { return vec![pattern.into()] };
    let (folder, prefix) = before.rsplit_once('/').unwrap_or(("", before));
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let names = names.filter(|name| name.starts_with(prefix));
    names.map(|name| PathBuf::from(format!("{folder}/{name}{after}"))).collect()
}

fn version_of(postgres: &Path) -> Option<(String, u32)> {
    let output = Command::new(postgres).arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    parse_version(&text)
}

/// Reads `postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)`.
fn parse_version(text: &str) -> Option<(String, u32)> {
    let version = text.split_once("(PostgreSQL)")?.1.split_whitespace().next()?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    Some((version.to_owned(), digits.parse().ok()?))
}

/// A user of `/etc/passwd`.
fn user(name: &str) -> Option<Identity> {
    let text = fs::read_to_string("/etc/passwd").ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let mut numbers = fields.skip(1).map_while(|field| field.parse().ok());
        Some(Identity { user: numbers.next()?, group: numbers.next()? })
    })
}

/// Tries whether `identity` may enter `folder`, which the modes of all folders above it decide.
fn may_enter(identity: Identity, folder: &Path) -> Result<(), PostgresError> {
    let mut command = Command::new("/bin/sh");
    command.args([OsStr::new("-c"), OsStr::new("cd \"$0\""), folder.as_os_str()]);
    command.uid(identity.user).gid(identity.group).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        _ => Err(PostgresError::NoneFound(format!(
            "PostgreSQL refuses to run as root, and the user with id {} may not enter {}: \
             choose a folder outside of /root with --data_dir",
            identity.user,
            folder.display()
        ))),
    }
}

/// The built-in runtime, unpacked below `data_dir`.
#[cfg(bundled_postgres)]
fn bundled(data_dir: &Path) -> Result<Install, PostgresError> {
    // The hash is in the name, so another build brings its own folder.
    let hash = env!("BUNDLED_POSTGRES_SHA256").get(..8).unwrap_or_default();
    let folder = data_dir.join(format!("postgres-runtime-{BUNDLED_VERSION}-{hash}"));
    let on_disk = folder.join("on-disk");
    if !on_disk.exists() {
        // Unpacked by a start before a power cut, perhaps, which may have left empty files.
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(PostgresError::io(&folder))?;
        }
        let decoder = ruzstd::decoding::StreamingDecoder::new(BUNDLED)
            .map_err(|error| PostgresError::NotStarted(error.to_string()))?;
        tar::Archive::new(decoder).unpack(&folder).map_err(PostgresError::io(&folder))?;
        mark_when_on_disk(folder.clone(), on_disk);
    }
    let Some((version, major)) = parse_version(&format!("(PostgreSQL) {BUNDLED_VERSION}")) else {
        return Err(PostgresError::NotStarted(BUNDLED_VERSION.to_owned()));
    };
    Ok(Install { kind: Kind::Bundled, version, major, bin: folder.join("bin"), run_as: None })
}

/// Writes `mark` once all of `folder` is on disk, which may take seconds on a busy one. Until then
/// each start unpacks anew, so a failure needs no answer.
#[cfg(bundled_postgres)]
fn mark_when_on_disk(folder: PathBuf, mark: PathBuf) {
    let write = move || {
        let opened = fs::File::open(folder);
        if opened.is_ok_and(|folder| rustix::fs::syncfs(folder).is_ok()) {
            let _ = fs::write(mark, "");
        }
    };
    let _ = std::thread::Builder::new().name("postgres-sync".to_owned()).spawn(write);
}

/// There is none for this platform.
#[cfg(not(bundled_postgres))]
fn bundled(_: &Path) -> Result<Install, PostgresError> {
    Err(PostgresError::NoneFound(
        "guildhall brings its own PostgreSQL on Linux x86-64 with glibc only".to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_distributions_print() {
        for (text, expected) in [
            ("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)\n", Some(("15.13", 15))),
            ("postgres (PostgreSQL) 18beta1\n", Some(("18beta1", 18))),
            ("mysqld 8.0", None),
        ] {
            let expected = expected.map(|(version, major)| (version.to_owned(), major));
            assert_eq!(parse_version(text), expected, "{text}");
        }
    }
}
