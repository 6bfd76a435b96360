//! A PostgreSQL server for one test, and the slices on it.

use std::{
    fs,
    future::Future,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use guildhall_actors::{
    cx::Cx,
    database::{Address, Database, Settings, Sql},
    host::{Language, Origin},
    runtime::call::Context,
    tables::HOST_FUNCTIONS,
};
use guildhall_core::{Caller, Config, Error, caller::User};
use serde_json::Value;
use tokio::runtime::Runtime;
use uuid::Uuid;

/// The user that stands in for root, whom PostgreSQL refuses.
const NOBODY: u32 = 65_534;

/// The server of all tests of this process, with a migrated database as template. It ends with
/// the process: its keeper waits for the end of a pipe that only the process holds.
#[derive(Debug)]
struct Postgres {
    folder: PathBuf,
    _keeper: Child,
    databases: AtomicU32,
}

/// Runs `$1`/postgres in folder `$2` until standard input ends, then removes the folder.
const KEEPER: &str = r#"
    "$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=off -c max_connections=200 &
    cat
    kill -INT $!
    wait
    rm -rf "$2"
"#;

static POSTGRES: LazyLock<Option<Postgres>> = LazyLock::new(|| binaries().map(Postgres::start));

/// The folder of `initdb` and `postgres`, from the distribution's folders.
fn binaries() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut folders: Vec<_> =
        versions.flatten().map(|version| version.path().join("bin")).collect();
    folders.sort();
    folders.into_iter().rev().find(|folder| folder.join("initdb").exists())
}

fn command(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    if fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.current_dir("/tmp").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

impl Postgres {
    fn start(binaries: PathBuf) -> Self {
        let folder = PathBuf::from(format!("/tmp/guildhall-slices-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        // Only root can; anybody else owns it already.
        let _ = chown(&folder, Some(NOBODY), Some(NOBODY));
        let made = command(&binaries.join("initdb"))
            .args(["--auth=trust", "--username=root", "--encoding=UTF8", "--locale=C", "--no-sync"])
            .arg("-D")
            .arg(folder.join("data"))
            .status();
        assert!(made.unwrap().success(), "initdb failed");
        let keeper = command(Path::new("sh"))
            .args(["-c", KEEPER, "keeper"])
            .args([&binaries, &folder])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let server = Self { folder, _keeper: keeper, databases: AtomicU32::new(0) };
        let io = runtime();
        let db = io.block_on(server.connect("postgres", &io));
        io.block_on(async { sql(&db, "CREATE DATABASE migrated").await });
        db.close();
        let db = io.block_on(server.connect("migrated", &io));
        io.block_on(migrate(&db));
        db.close();
        server
    }

    async fn connect(&self, database: &str, io: &Runtime) -> Database {
        let settings = Settings {
            addresses: vec![Address::unix(self.folder.clone(), 5432, "root", database)],
            max_open: 8,
            max_idle: 8,
            max_lifetime: Duration::from_secs(3600),
            start_wait: Duration::from_secs(30),
        };
        Database::connect(&settings, io.handle()).await.unwrap()
    }

    /// A migrated database of its own.
    async fn database(&self, io: &Runtime) -> Database {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let db = self.connect("postgres", io).await;
        sql(&db, &format!("CREATE DATABASE {name} TEMPLATE migrated")).await;
        db.close();
        self.connect(&name, io).await
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// The slices on a database with all migrations.
pub(crate) struct Slices {
    pub(crate) cx: Arc<Cx>,
    io: Runtime,
}

impl Slices {
    /// Starts them, with a changed configuration. `None`, said on stderr, where this machine has no
    /// PostgreSQL installed; the end-to-end tests bring their own.
    pub(crate) fn start(change: impl FnOnce(&mut Config)) -> Option<Self> {
        let Some(postgres) = POSTGRES.as_ref() else {
            eprintln!("skipped: no PostgreSQL in /usr/lib/postgresql");
            return None;
        };
        let io = runtime();
        let db = io.block_on(postgres.database(&io));
        let mut config = Config::default();
        change(&mut config);
        let cx = Arc::new(Cx::new(Arc::new(config), db, io.handle().clone()).unwrap());
        io.block_on(cx.sessions.load(&cx.db, &cx.io)).unwrap();
        io.block_on(cx.boards.load(&cx.db, &cx.io)).unwrap();
        Some(Self { cx, io })
    }

    /// Runs a story.
    pub(crate) fn run<T>(&self, story: impl Future<Output = T>) -> T {
        self.io.block_on(story)
    }
}

async fn migrate(db: &Database) {
    let session = db.session().await.unwrap();
    session.batch("CREATE SCHEMA guildhall").await.unwrap();
    for folder in ["../migrations", "../migrations/guildhall"] {
        let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let mut files: Vec<_> = files.filter(|file| file.is_file()).collect();
        files.sort();
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            // A file is one transaction here, where an index cannot be made concurrently.
            let up = text.split("-- +migrate Down").next().unwrap().replace("CONCURRENTLY", "");
            session.batch(&up).await.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        }
    }
}

/// Runs a statement of a test.
pub(crate) async fn sql(db: &Database, statement: &str) {
    db.session().await.unwrap().batch(statement).await.unwrap();
}

/// One number that a statement of a test gives.
pub(crate) async fn count(cx: &Cx, statement: &str) -> i64 {
    cx.db.one(statement, &[]).await.unwrap().try_get(0).unwrap()
}

/// A caller with a session of this user.
pub(crate) fn signed_in(id: Uuid) -> Caller {
    let user = User {
        id,
        username: String::new(),
        vars: Default::default(),
        expires_s: 0,
        token_id: String::new(),
        issued_s: 0,
    };
    Caller { user: Some(user), ..Caller::default() }
}

/// Calls a host function as a module of `language` does, with its arguments by name.
pub(crate) async fn nk(
    cx: &Cx,
    language: Language,
    name: &str,
    arguments: Value,
) -> Result<Value, Error> {
    let function = HOST_FUNCTIONS.iter().find(|function| function.name == name).unwrap();
    let context = Context::default();
    let mut arguments = <dyn erased_serde::Deserializer<'_>>::erase(arguments);
    let origin = Origin { language, context: &context };
    let answer = function.begin(&mut arguments, cx, origin).unwrap().await?;
    Ok(serde_json::to_value(answer).unwrap())
}
