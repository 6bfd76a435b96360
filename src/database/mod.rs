//! Opens the database of a configuration: the one at `database.address`, or the embedded one.

use std::path::Path;

use guildhall_actors::database::{Database, Settings, StartError};
use guildhall_core::config::Config;
use thiserror::Error;
use tokio::runtime::Handle;

use crate::{
    migrate::{self, Command, MigrateError, Report},
    postgres::{EmbeddedPostgres, PostgresError},
};

/// An open database, with the PostgreSQL behind it where that is ours.
#[derive(Debug)]
pub struct Opened {
    /// The handle; clones of it may outlive this, and fail then.
    pub database: Database,
    embedded: Option<EmbeddedPostgres>,
}

/// Why there is no database. The texts are for the operator: which address and user, what failed,
/// what to type.
#[derive(Debug, Error)]
pub enum OpenError {
    /// At an address that was given.
    #[error(transparent)]
    Start(#[from] StartError),
    /// In its schema.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// In the embedded PostgreSQL.
    #[error(transparent)]
    Embedded(#[from] PostgresError),
}

/// Opens the database for a server. An outside database must have been migrated; the embedded one
/// is migrated here.
///
/// # Errors
/// [`OpenError`].
pub async fn open(config: &Config, io: &Handle) -> Result<Opened, OpenError> {
    let (settings, embedded) = locate(config, io).await?;
    if let Some(postgres) = &embedded {
        tracing::info!(postgres = postgres.description(), "embedded database started");
        let report = migrate::run(&settings, Command::Up, None, io).await?;
        if report.without_trigrams && !report.applied.is_empty() {
            tracing::info!(
                "this PostgreSQL has no extension pg_trgm: a search by display name reads all users"
            );
        }
    }
    let database = Database::connect(&settings, io).await?;
    migrate::prepare(&database).await?;
    Ok(Opened { database, embedded })
}

/// Runs `guildhall migrate` on the database of `config`; see [`migrate::run`].
///
/// # Errors
/// [`OpenError`].
pub async fn migrate(
    config: &Config,
    command: Command,
    limit: Option<u32>,
    io: &Handle,
) -> Result<Report, OpenError> {
    let (settings, embedded) = locate(config, io).await?;
    let report = migrate::run(&settings, command, limit, io).await;
    stop(embedded, io).await;
    Ok(report?)
}

impl Opened {
    /// Closes the pool, and stops the embedded PostgreSQL if there is one.
    pub async fn close(self) {
        self.database.close();
        stop(self.embedded, &Handle::current()).await;
    }
}

/// Where the database is. The embedded one runs afterwards.
async fn locate(
    config: &Config,
    io: &Handle,
) -> Result<(Settings, Option<EmbeddedPostgres>), OpenError> {
    let mut settings = Settings::from_config(&config.database)?;
    if !settings.addresses.is_empty() {
        return Ok((settings, None));
    }
    let (data_dir, choice) = (config.data_dir.clone(), config.database.embedded);
    let max_open = settings.max_open;
    let start = move || EmbeddedPostgres::start(Path::new(&data_dir), choice, max_open);
    let (postgres, address) = match io.spawn_blocking(start).await {
        Ok(started) => started?,
        Err(error) => return Err(PostgresError::NotStarted(error.to_string()).into()),
    };
    settings.addresses.push(address);
    Ok((settings, Some(postgres)))
}

async fn stop(embedded: Option<EmbeddedPostgres>, io: &Handle) {
    if let Some(postgres) = embedded {
        // It fails only where the runtime ends, which stops the child as well.
        let _ = io.spawn_blocking(move || postgres.stop()).await;
    }
}

#[cfg(test)]
mod tests;
