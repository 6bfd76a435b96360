#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use guildhall_actors::database::{Database, DbError, Sql as _};
use tokio::runtime::Handle;

use super::{
    trial::{folder, kinds, migrated, settings},
    *,
};

async fn write(database: &Database, name: &str) -> Result<u64, DbError> {
    let sql = "INSERT INTO setting (name, value) VALUES ($1, '1')";
    database.execute(sql, &[&name]).await
}

async fn count(database: &Database) -> Result<i64, DbError> {
    let sql = "SELECT count(*) AS rows FROM setting WHERE name LIKE 'row %'";
    Ok(database.one(sql, &[]).await?.try_get("rows")?)
}

/// Repeats `count` until the database is back.
async fn count_when_back(database: &Database) -> i64 {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match count(database).await {
            Ok(rows) => return rows,
            Err(error) => {
                assert!(error.is_unavailable(), "{error}");
                assert!(Instant::now() < deadline, "{error}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_stays_over_a_restart_which_is_fast() {
    for choice in kinds() {
        let folder = folder();
        let (postgres, address) = EmbeddedPostgres::start(folder.path(), choice, 4).unwrap();
        let database = migrated(&address).await;
        write(&database, "row 1").await.unwrap();
        let on: bool = database
            .one("SELECT current_setting('fsync') = 'on' AND current_setting('synchronous_commit') = 'on' AS it", &[])
            .await
            .unwrap()
            .get("it");
        assert!(on);
        database.close();
        postgres.stop();

        let began = Instant::now();
        let (postgres, address) = EmbeddedPostgres::start(folder.path(), choice, 4).unwrap();
        let took = began.elapsed();
        let database = Database::connect(&settings(&address), &Handle::current()).await.unwrap();
        assert_eq!(count(&database).await.unwrap(), 1);
        assert!(took < Duration::from_secs(1), "{choice:?} took {took:?}");
        eprintln!("{} started in {took:?}", postgres.description());
        postgres.stop();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_child_comes_back_and_the_pool_with_it() {
    for choice in kinds() {
        let folder = folder();
        let (postgres, address) = EmbeddedPostgres::start(folder.path(), choice, 4).unwrap();
        let database = migrated(&address).await;
        for round in 1..=3 {
            write(&database, &format!("row {round}")).await.unwrap();
            let pid = postgres.pid().unwrap();
            kill(pid);
            // Its sessions live on for a moment, so wait for the next one first.
            let deadline = Instant::now() + Duration::from_secs(30);
            while postgres.pid().is_none_or(|now| now == pid) {
                assert!(Instant::now() < deadline, "the child does not come back");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(count_when_back(&database).await, round);
        }
        postgres.stop();
    }
}

/// Not a test: the server that [`nothing_acknowledged_is_lost_with_a_killed_server`] kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by another test"]
async fn server_to_be_killed() {
    let folder = std::env::var("GUILDHALL_TEST_FOLDER").unwrap();
    let choice = match std::env::var("GUILDHALL_TEST_KIND").unwrap().as_str() {
        "System" => Choice::System,
        _ => Choice::Bundled,
    };
    let (postgres, address) = EmbeddedPostgres::start(Path::new(&folder), choice, 4).unwrap();
    let database = migrated(&address).await;
    println!("\nPID {}", postgres.pid().unwrap());
    for row in count(&database).await.unwrap() + 1.. {
        write(&database, &format!("row {row}")).await.unwrap();
        println!("\nROW {row}");
    }
}

/// A process that is killed when the test ends, however it does.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_with_a_killed_server() {
    for choice in kinds() {
        let folder = folder();
        let mut acknowledged = 0;
        for _ in 0..3 {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args([
                "--ignored",
                "--exact",
                "--nocapture",
                "postgres::tests::server_to_be_killed",
            ]);
            command.env("GUILDHALL_TEST_FOLDER", folder.path());
            command.env("GUILDHALL_TEST_KIND", format!("{choice:?}"));
            let mut server = Server(command.stdout(Stdio::piped()).spawn().unwrap());
            let mut pid = 0;
            let target = acknowledged + 20;
            for line in BufReader::new(server.0.stdout.take().unwrap()).lines() {
                let line = line.unwrap();
                if let Some(number) = line.strip_prefix("PID ") {
                    pid = number.parse::<u32>().unwrap();
                }
                if let Some(number) = line.strip_prefix("ROW ") {
                    acknowledged = number.parse::<i64>().unwrap();
                    if acknowledged >= target {
                        break;
                    }
                }
            }
            assert!(acknowledged >= target, "the server ended by itself");
            assert!(Path::new(&format!("/proc/{pid}")).exists());
            drop(server);
            let deadline = Instant::now() + Duration::from_secs(20);
            while Path::new(&format!("/proc/{pid}")).exists() {
                assert!(Instant::now() < deadline, "the child outlives the server");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        let (postgres, address) = EmbeddedPostgres::start(folder.path(), choice, 4).unwrap();
        let database = Database::connect(&settings(&address), &Handle::current()).await.unwrap();
        assert!(count(&database).await.unwrap() >= acknowledged);
        postgres.stop();
    }
}

#[tokio::test]
async fn both_the_server_and_the_child_may_be_killed_at_once() {
    for choice in kinds() {
        let folder = folder();
        let (postgres, address) = EmbeddedPostgres::start(folder.path(), choice, 4).unwrap();
        let database = migrated(&address).await;
        write(&database, "row 1").await.unwrap();
        let pid = postgres.pid().unwrap();
        // What a killed pair leaves behind: the files of a child that is no more.
        let cluster = cluster::find(folder.path()).unwrap().remove(0).folder;
        let stale = fs::read_to_string(cluster.join("postmaster.pid")).unwrap();
        kill(pid);
        count_when_back(&database).await;
        database.close();
        postgres.stop();
        // The number now belongs to a process that lives: this one.
        let stale = stale.replacen(&pid.to_string(), &std::process::id().to_string(), 1);
        fs::write(cluster.join("postmaster.pid"), stale).unwrap();

        let (postgres, address) = EmbeddedPostgres::start(folder.path(), choice, 4).unwrap();
        let database = Database::connect(&settings(&address), &Handle::current()).await.unwrap();
        assert_eq!(count(&database).await.unwrap(), 1);
        postgres.stop();
    }
}

#[test]
fn one_server_at_a_time_uses_a_folder() {
    let folder = folder();
    let choice = kinds().remove(0);
    let (postgres, _) = EmbeddedPostgres::start(folder.path(), choice, 4).unwrap();
    let error = EmbeddedPostgres::start(folder.path(), choice, 4).unwrap_err();
    assert!(matches!(error, PostgresError::InUse(_)), "{error}");
    postgres.stop();
    let (postgres, _) = EmbeddedPostgres::start(folder.path(), choice, 4).unwrap();
    postgres.stop();
}

#[test]
fn the_data_that_is_there_decides() {
    let folder = folder();
    let choice = kinds().pop().unwrap();
    let (postgres, _) = EmbeddedPostgres::start(folder.path(), choice, 4).unwrap();
    postgres.stop();

    let (postgres, _) = EmbeddedPostgres::start(folder.path(), Choice::Auto, 4).unwrap();
    let found = cluster::find(folder.path()).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    postgres.stop();

    let other = if choice == Choice::System { Choice::Bundled } else { Choice::System };
    let error = EmbeddedPostgres::start(folder.path(), other, 4).unwrap_err().to_string();
    let kind = if choice == Choice::System { "system" } else { "bundled" };
    assert!(error.contains(&format!("--database.embedded {kind}")), "{error}");
}

#[test]
fn data_without_its_postgres_is_not_replaced_by_an_empty_database() {
    for (name, advice) in [
        ("postgres-system-9", "needs PostgreSQL 9, which is not installed"),
        ("postgres-bundled-16", "needs PostgreSQL 16, but"),
    ] {
        let folder = folder();
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("PG_VERSION"), "9\n").unwrap();
        let error =
            EmbeddedPostgres::start(folder.path(), Choice::Auto, 4).unwrap_err().to_string();
        assert!(error.contains(advice) && error.contains(name), "{error}");
        assert_eq!(cluster::find(folder.path()).unwrap().len(), 1);
    }
}

#[test]
fn what_a_cut_start_left_behind_is_removed() {
    let folder = folder();
    let left = folder.path().join("postgres-system-15.unfinished");
    fs::create_dir(&left).unwrap();
    cluster::remove_leftovers(folder.path()).unwrap();
    assert!(!left.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_path_gets_its_socket_elsewhere() {
    let folder = folder();
    let long = folder.path().join("x".repeat(100));
    let (postgres, address) = EmbeddedPostgres::start(&long, kinds().remove(0), 4).unwrap();
    let database = Database::connect(
        &settings(&Address { database: "postgres".to_owned(), ..address.clone() }),
        &Handle::current(),
    )
    .await
    .unwrap();
    assert_eq!(database.query("SELECT 1", &[]).await.unwrap().len(), 1);
    let guildhall_actors::database::address::Host::Unix(sockets) = address.host else { panic!() };
    let found = fs::symlink_metadata(&sockets).unwrap();
    assert_eq!(found.permissions().mode() & 0o777, 0o700);
    postgres.stop();
    fs::remove_dir_all(sockets).unwrap();
}

#[test]
fn root_with_a_closed_folder_gets_the_bundled_one() {
    if !install::is_root() || !cfg!(bundled_postgres) {
        eprintln!("SKIPPED: needs root and the bundled runtime");
        return;
    }
    let folder = folder();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let (postgres, _) = EmbeddedPostgres::start(folder.path(), Choice::Auto, 4).unwrap();
    assert!(postgres.description().contains("(bundled)"), "{}", postgres.description());
    postgres.stop();
}
