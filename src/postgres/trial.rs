//! A PostgreSQL for tests: each kind that can be run here, in a folder of its own.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use guildhall_actors::database::{Address, Database, Settings};
use guildhall_core::config::EmbeddedPostgres as Choice;
use tempfile::TempDir;
use tokio::runtime::Handle;

use super::{
    EmbeddedPostgres,
    install::{Install, Kind},
};
use crate::migrate;

/// The kinds that can be tried here; a missing one is named in the output.
pub(crate) fn kinds() -> Vec<Choice> {
    let mut kinds = Vec::new();
    match Install::newest(Kind::System, folder().path()) {
        Ok(_) => kinds.push(Choice::System),
        Err(error) => eprintln!("SKIPPED for the system's PostgreSQL: {error}"),
    }
    if cfg!(bundled_postgres) {
        kinds.push(Choice::Bundled);
    }
    assert!(!kinds.is_empty(), "there is no PostgreSQL to test with");
    kinds
}

/// A folder that the user of a system PostgreSQL may enter.
pub(crate) fn folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("guildhall-").tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// A server that is stopped, and its data removed, when it is dropped.
pub(crate) struct Trial {
    /// Where it answers, as its superuser.
    pub(crate) address: Address,
    // In this order: the server stops before its folder goes.
    postgres: Option<EmbeddedPostgres>,
    _folder: TempDir,
}

impl Trial {
    pub(crate) fn start(choice: Choice) -> Self {
        let folder = folder();
        let (postgres, address) = EmbeddedPostgres::start(folder.path(), choice, 20).unwrap();
        Self { address, postgres: Some(postgres), _folder: folder }
    }

    /// As [`address`](Self::address), for another database and as another role.
    pub(crate) fn at(&self, database: &str, user: &str, password: Option<&str>) -> Address {
        Address {
            database: database.to_owned(),
            user: user.to_owned(),
            password: password.map(str::to_owned),
            ..self.address.clone()
        }
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if let Some(postgres) = self.postgres.take() {
            postgres.stop();
        }
    }
}

pub(crate) fn settings(address: &Address) -> Settings {
    Settings {
        addresses: vec![address.clone()],
        max_open: 4,
        max_idle: 4,
        max_lifetime: Duration::from_secs(3600),
        start_wait: Duration::from_secs(5),
    }
}

/// The database at `address`, made and migrated.
pub(crate) async fn migrated(address: &Address) -> Database {
    let io = Handle::current();
    migrate::run(&settings(address), migrate::Command::Up, None, &io).await.unwrap();
    let database = Database::connect(&settings(address), &io).await.unwrap();
    migrate::prepare(&database).await.unwrap();
    database
}
