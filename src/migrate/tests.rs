#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    io::Write as _,
    path::Path,
    process::{Command as Process, Stdio},
};

use guildhall_actors::database::address::Host;

use super::*;
use crate::postgres::trial::{Trial, kinds, settings};

/// Lists what a schema consists of.
const CATALOGUE: &str = include_str!("catalogue.sql");

/// What it lists of a database that Nakama 3.40 migrated.
const EXPECTED: &str = include_str!("catalogue.txt");

async fn open(address: &Address) -> Database {
    Database::connect(&settings(address), &Handle::current()).await.unwrap()
}

async fn migrate(address: &Address, command: Command, limit: Option<u32>) -> Report {
    run(&settings(address), command, limit, &Handle::current()).await.unwrap()
}

async fn catalogue(database: &Database) -> Vec<String> {
    let rows = database.query(CATALOGUE, &[]).await.unwrap();
    rows.iter().map(|row| row.get("line")).collect()
}

async fn has_trigrams(database: &Database) -> bool {
    database.one(TRIGRAMS, &[]).await.unwrap().get("available")
}

/// [`EXPECTED`], without the index that a server without pg_trgm goes without.
fn expected(with_trigrams: bool) -> Vec<&'static str> {
    EXPECTED
        .lines()
        .filter(|line| with_trigrams || !line.contains("users_display_name_idx"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_schema_is_the_references() {
    for choice in kinds() {
        let trial = Trial::start(choice);
        let report = migrate(&trial.address, Command::Up, None).await;
        assert_eq!(report.applied.len(), NAKAMA.len() + GUILDHALL.len());
        let database = open(&trial.address).await;
        let with_trigrams = has_trigrams(&database).await;
        assert_eq!(report.without_trigrams, !with_trigrams);
        assert_eq!(catalogue(&database).await, expected(with_trigrams));

        let rows = database.query("SELECT username FROM users", &[]).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.get("username")).collect::<Vec<String>>(), [""]);
        prepare(&database).await.unwrap();
        let again = migrate(&trial.address, Command::Up, None).await;
        assert!(again.applied.is_empty(), "{again}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_step_goes_back_and_forth() {
    let trial = Trial::start(kinds().remove(0));
    let all = NAKAMA.len();
    for step in 1..=all {
        let up = migrate(&trial.address, Command::Up, Some(1)).await;
        assert_eq!(up.applied[0], NAKAMA[step - 1].id);
        let redo = migrate(&trial.address, Command::Redo, None).await;
        assert_eq!((redo.reverted.len(), &redo.applied[0]), (1, &up.applied[0]));
    }
    let database = open(&trial.address).await;
    let with_trigrams = has_trigrams(&database).await;
    assert_eq!(catalogue(&database).await, expected(with_trigrams));

    let down = migrate(&trial.address, Command::Down, None).await;
    assert_eq!(down.reverted, [NAKAMA[all - 1].id]);
    let status = migrate(&trial.address, Command::Status, None).await.status;
    let missing: Vec<_> = status.iter().filter(|row| row.applied_at.is_none()).collect();
    assert_eq!(missing.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), [NAKAMA[all - 1].id]);

    let down = migrate(&trial.address, Command::Down, Some(0)).await;
    assert_eq!(down.reverted.len(), all - 1 + GUILDHALL.len());
    let left = catalogue(&database).await;
    assert!(left.iter().all(|line| line.starts_with("migration_info")), "{left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_start_asks_for_migrations_but_brings_its_own() {
    let trial = Trial::start(kinds().remove(0));
    migrate(&trial.address, Command::Up, Some(3)).await;
    let database = open(&trial.address).await;
    let error = prepare(&database).await.unwrap_err().to_string();
    assert!(error.contains("lacks 16 of 19 migrations"), "{error}");
    assert!(error.contains("guildhall migrate up --database.address 'postgres@"), "{error}");

    // As Nakama leaves it: nothing of ours.
    migrate(&trial.address, Command::Up, None).await;
    let session = database.session().await.unwrap();
    session.batch("DROP SCHEMA guildhall CASCADE").await.unwrap();
    // And by a newer one, too.
    session.batch("INSERT INTO migration_info VALUES ('20990101000000-new.sql')").await.unwrap();
    prepare(&database).await.unwrap();
    session.batch("SELECT token_id FROM guildhall.revoked_token").await.unwrap();
    let status = migrate(&trial.address, Command::Status, None).await.to_string();
    assert!(status.contains("of a newer version    20990101000000-new.sql"), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_could_not_be_built_is_built_later() {
    let trial = Trial::start(kinds().remove(0));
    migrate(&trial.address, Command::Up, None).await;
    let database = open(&trial.address).await;
    if !has_trigrams(&database).await {
        return;
    }
    let session = database.session().await.unwrap();
    for broken in [
        "DROP INDEX users_display_name_idx",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'users_display_name_idx'::regclass",
    ] {
        session.batch(broken).await.unwrap();
        let report = migrate(&trial.address, Command::Up, None).await;
        assert!(report.applied.is_empty(), "{report}");
        let row = session.one(TRIGRAMS, &[]).await.unwrap();
        assert_eq!(row.get::<_, Option<bool>>("valid"), Some(true), "{broken}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_start_at_once_migrate_one_after_the_other() {
    let trial = Trial::start(kinds().remove(0));
    migrate(&trial.address, Command::Up, Some(1)).await;
    let io = Handle::current();
    let settings = settings(&trial.address);
    let run = || run(&settings, Command::Up, None, &io);
    let (a, b, c) = tokio::join!(run(), run(), run());
    let applied = [a, b, c].map(|report| report.unwrap().applied.len());
    assert_eq!(applied.iter().sum::<usize>(), NAKAMA.len() - 1 + GUILDHALL.len(), "{applied:?}");
}

/// A dump of a database that Nakama 3.40 served. It is not part of the repository.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_nakama_is_taken_as_it_is() {
    let dump = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/reference/database-filled.sql.gz");
    let has_psql = Process::new("psql").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !Path::new(dump).exists() || !has_psql {
        eprintln!("SKIPPED: needs {dump} and psql");
        return;
    }
    for choice in kinds() {
        let trial = Trial::start(choice);
        let server = open(&trial.at("postgres", "postgres", None)).await;
        let with_trigrams = has_trigrams(&server).await;
        server.session().await.unwrap().batch("CREATE DATABASE guildhall").await.unwrap();

        let mut text = Vec::new();
        let file = std::fs::File::open(dump).unwrap();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(file), &mut text).unwrap();
        let mut text = String::from_utf8(text).unwrap();
        if !with_trigrams {
            let needs = |line: &&str| line.contains("EXTENSION") || line.contains("gin_trgm_ops");
            text = text
                .lines()
                .filter(|line| !needs(line))
                .fold(String::new(), |all, line| all + line + "\n");
        }
        let Host::Unix(sockets) = &trial.address.host else { panic!() };
        let mut psql = Process::new("psql")
            .args(["-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "guildhall", "-h"])
            .arg(sockets)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        psql.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(psql.wait().unwrap().success());

        let database = open(&trial.address).await;
        prepare(&database).await.unwrap();
        assert_eq!(catalogue(&database).await, expected(with_trigrams));
        let report = migrate(&trial.address, Command::Up, None).await;
        assert!(report.applied.is_empty(), "{report}");
        let users: i64 =
            database.one("SELECT count(*) AS n FROM users", &[]).await.unwrap().get("n");
        assert!(users > 100);
    }
}
