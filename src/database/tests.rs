//! The handle of the actors crate against a real PostgreSQL, which this crate can start.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use guildhall_actors::database::{Address, DbError, Sql as _, is_unavailable};
use guildhall_core::{Code, Error, OrFault as _, Result as WorkResult, Status};
use tempfile::TempDir;

use super::*;
use crate::postgres::{
    EmbeddedPostgres,
    trial::{Trial, folder, kinds, migrated, settings},
};

/// What a person reads when a server with this address starts.
async fn refusal(address: &Address, change: impl FnOnce(&mut Settings)) -> String {
    let mut settings = settings(address);
    settings.start_wait = Duration::ZERO;
    change(&mut settings);
    let io = Handle::current();
    let text = match Database::connect(&settings, &io).await {
        Err(error) => error.to_string(),
        Ok(database) => migrate::prepare(&database).await.unwrap_err().to_string(),
    };
    assert!(!text.contains("secret"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

/// Lets roles other than the superuser in by password only.
async fn with_passwords(trial: &Trial) {
    let database =
        Database::connect(&settings(&trial.at("postgres", "postgres", None)), &Handle::current())
            .await
            .unwrap();
    let session = database.session().await.unwrap();
    session
        .batch(
            "CREATE ROLE ann LOGIN PASSWORD 'secret';
             CREATE ROLE guildhall LOGIN PASSWORD 'secret' CREATEDB;
             CREATE ROLE few LOGIN PASSWORD 'secret' CONNECTION LIMIT 1",
        )
        .await
        .unwrap();
    let file: String = session.one("SHOW hba_file", &[]).await.unwrap().get("hba_file");
    let rules = "local all postgres trust\nlocal all all scram-sha-256\n";
    std::fs::write(file, rules).unwrap();
    session.batch("SELECT pg_reload_conf()").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_trouble_has_its_message() {
    let trial = Trial::start(kinds().remove(0));
    with_passwords(&trial).await;
    let place = trial.address.to_string();

    let address = Address::parse("ann:secret@127.0.0.1:1/game").unwrap().remove(0);
    let text = refusal(&address, |_| {}).await;
    assert!(text.contains("cannot reach PostgreSQL at 127.0.0.1:1 (user ann)"), "{text}");
    assert!(text.contains("refused") && text.contains("--database.address"), "{text}");

    let text = refusal(&trial.at("postgres", "ann", Some("secret-not")), |_| {}).await;
    assert!(text.contains(&place) && text.contains("does not let in user ann"), "{text}");
    assert!(text.contains("password authentication failed"), "{text}");

    let text = refusal(&trial.at("postgres", "ann", None), |_| {}).await;
    assert!(text.contains("does not let in user ann") && text.contains("password"), "{text}");

    let text = refusal(&trial.at("game", "ann", Some("secret")), |_| {}).await;
    assert!(text.contains("has no database \"game\""), "{text}");
    assert!(text.contains("guildhall migrate up --database.address 'ann:PASSWORD@"), "{text}");

    let text = refusal(&trial.at("postgres", "ann", Some("secret")), |_| {}).await;
    assert!(text.contains(&place) && text.contains("(user ann) lacks 19 of 19"), "{text}");
    assert!(text.contains("guildhall migrate up --database.address"), "{text}");

    let few = trial.at("postgres", "few", Some("secret"));
    let held = Database::connect(&settings(&few), &Handle::current()).await.unwrap();
    let session = held.session().await.unwrap();
    let shorten = |settings: &mut Settings| {
        settings.addresses[0].connect_timeout = Duration::from_secs(2);
    };
    let text = refusal(&few, shorten).await;
    assert!(text.contains("(user few) has too few connections"), "{text}");
    assert!(text.contains("max_connections") && text.contains("max_open_conns"), "{text}");
    drop(session);
    assert_eq!(held.usage().2, 1, "the pool is as large as the limit of the role");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrate_up_makes_the_database_and_a_role_may_be_named_as_our_schema() {
    let trial = Trial::start(kinds().remove(0));
    with_passwords(&trial).await;
    let address = trial.at("we \"quote\"", "guildhall", Some("secret"));
    let database = migrated(&address).await;
    assert_eq!(database.query("SELECT id FROM migration_info", &[]).await.unwrap().len(), 19);
    let reread = Address::parse(&format!(
        "guildhall:secret@:5432/we%20%22quote%22?host={}",
        trial.address.to_string().trim_end_matches("/.s.PGSQL.5432")
    ));
    assert_eq!(reread.unwrap(), [address]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_address_is_tried_where_one_does_not_answer() {
    let trial = Trial::start(kinds().remove(0));
    let dead = Address::parse("postgres@127.0.0.1:1/postgres").unwrap().remove(0);
    let live = trial.at("postgres", "postgres", None);
    let mut settings = settings(&live);
    settings.addresses.insert(0, dead);
    let database = Database::connect(&settings, &Handle::current()).await.unwrap();
    assert_eq!(database.address(), live);
}

fn start_at(folder: &TempDir) -> (EmbeddedPostgres, Address) {
    let (postgres, address) = EmbeddedPostgres::start(folder.path(), kinds().remove(0), 8).unwrap();
    (postgres, Address { database: "postgres".to_owned(), ..address })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_starting_is_waited_for_and_one_that_went_comes_back() {
    let folder = folder();
    let (postgres, address) = start_at(&folder);
    postgres.stop();

    let mut patient = settings(&address);
    patient.start_wait = Duration::from_secs(60);
    let waiting =
        tokio::spawn(async move { Database::connect(&patient, &Handle::current()).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished());
    let (postgres, _) = start_at(&folder);
    let database = waiting.await.unwrap().unwrap();
    // Several sessions are idle when it goes.
    let sessions = tokio::join!(database.session(), database.session(), database.session());
    drop(sessions);

    postgres.stop();
    let error = database.one("SELECT 1 AS one", &[]).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    let fault = Err::<(), _>(error).or_fault("Error while trying to count.").unwrap_err();
    let Error::Fault(fault) = fault else { panic!() };
    assert!(is_unavailable(&fault));
    assert_eq!(Error::from(DbError::Busy(1)).code(), Code::Unavailable);

    let (postgres, _) = start_at(&folder);
    for _ in 0..6 {
        let row = database.one("SELECT 1 AS one", &[]).await.unwrap();
        assert_eq!(row.get::<_, i32>("one"), 1);
    }
    postgres.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_cut_by_the_server_are_replaced_unseen() {
    let trial = Trial::start(kinds().remove(0));
    let address = trial.at("postgres", "postgres", None);
    let io = Handle::current();
    let database = Database::connect(&settings(&address), &io).await.unwrap();
    let other = Database::connect(&settings(&address), &io).await.unwrap();
    database.execute("CREATE TABLE t (n int PRIMARY KEY)", &[]).await.unwrap();
    for n in 0..5_i32 {
        let sessions = tokio::join!(database.session(), database.session());
        drop(sessions);
        other
            .query(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                  WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'",
                &[],
            )
            .await
            .unwrap();
        database.query("SELECT n FROM t", &[]).await.unwrap();
        let insert = "INSERT INTO t (n) VALUES ($1)";
        let work = async |tx: &guildhall_actors::database::Transaction<'_>| {
            tx.execute(insert, &[&n]).await
        };
        assert_eq!(database.transaction(work).await.unwrap(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_loses_is_run_again_and_a_refused_one_leaves_nothing() {
    let trial = Trial::start(kinds().remove(0));
    let database = migrated(&trial.address).await;
    let setting = "INSERT INTO setting (name, value) VALUES ($1, '0')";
    database.execute(setting, &[&"a"]).await.unwrap();

    // Two increments that both read before either writes: one of them must lose.
    let attempts = AtomicUsize::new(0);
    let met = tokio::sync::Barrier::new(2);
    let increment = async || -> WorkResult<()> {
        database
            .transaction(async |tx| -> WorkResult<()> {
                tx.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", &[])
                    .await
                    .or_fault("No.")?;
                let row = tx
                    .one("SELECT value::int4 AS n FROM setting WHERE name = 'a'", &[])
                    .await
                    .or_fault("No.")?;
                if attempts.fetch_add(1, Ordering::Relaxed) < 2 {
                    met.wait().await;
                }
                let next = row.get::<_, i32>("n") + 1;
                let update = "UPDATE setting SET value = to_jsonb($1::int4) WHERE name = 'a'";
                tx.execute(update, &[&next]).await.or_fault("No.")?;
                Ok(())
            })
            .await
    };
    let (a, b) = tokio::join!(increment(), increment());
    a.unwrap();
    b.unwrap();
    assert_eq!(attempts.load(Ordering::Relaxed), 3);
    let row = database.one("SELECT value::int4 AS n FROM setting WHERE name = 'a'", &[]).await;
    assert_eq!(row.unwrap().get::<_, i32>("n"), 2);

    // A refusal of ours rolls back.
    let refused: WorkResult<()> = database
        .transaction(async |tx| {
            tx.execute(setting, &[&"b"]).await?;
            Err(Status::new(Code::InvalidArgument, "Not so.").into())
        })
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);

    let error = database.execute(setting, &[&"a"]).await.unwrap_err();
    assert_eq!(error.unique_violation(), Some("setting_name_uniq"));
    assert_eq!(error.foreign_key_violation(), None);
    let error = database.execute(setting, &[&""]).await.unwrap_err();
    assert_eq!(error.check_violation(), Some("setting_name_check"));
    let rows = database.query("SELECT 1 FROM setting WHERE name IN ('a', 'b')", &[]).await;
    assert_eq!(rows.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_outlive_a_change_of_their_table() {
    let trial = Trial::start(kinds().remove(0));
    let mut settings = settings(&trial.at("postgres", "postgres", None));
    settings.max_open = 1;
    let database = Database::connect(&settings, &Handle::current()).await.unwrap();
    database.execute("CREATE TABLE t (n int)", &[]).await.unwrap();
    assert!(database.query("SELECT * FROM t", &[]).await.unwrap().is_empty());
    database.execute("ALTER TABLE t ADD COLUMN m int", &[]).await.unwrap();
    assert!(database.query("SELECT * FROM t", &[]).await.unwrap().is_empty());
}
