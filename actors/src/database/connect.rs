//! Opens sessions: finds the address that answers, waits for a server that starts, and tells a
//! lost database once instead of once for each session.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use deadpool_postgres::ClientWrapper;
use tokio::{
    runtime::Handle,
    time::{Instant, sleep, timeout},
};
use tokio_postgres::{
    Config,
    config::{SslMode, TargetSessionAttrs},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    address::{Address, Host, TlsMode},
    error::{ConnectError, DbError, Problem, StartError},
    tls,
};

/// The pause between two attempts while a server is waited for.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// An idle TCP session is probed after this long, so that a vanished server is noticed.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);

/// The schema of what is stored beyond the reference's tables.
const OWN_SCHEMA: &str = "guildhall";

/// How many sessions this role may have in this database, with those of others; slots reserved
/// for superusers are left to them. Reads one row each of pg_database and pg_roles by name.
const SLOTS: &str = "
    SELECT least(
        current_setting('max_connections')::int4
          - current_setting('superuser_reserved_connections')::int4
          - coalesce(current_setting('reserved_connections', true), '0')::int4,
        (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database()),
        (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user)
    ) AS slots,
    current_setting('server_version') AS version";

/// Everything needed to open one more session. Clones share what is known of the addresses.
#[derive(Clone)]
pub(super) struct Sessions(Arc<Shared>);

struct Shared {
    places: Vec<Place>,
    /// The place that answered last.
    current: AtomicUsize,
    /// Whether the database was last seen to be gone; so that it is told once.
    away: AtomicBool,
    io: Handle,
    max_lifetime: Duration,
}

struct Place {
    address: Address,
    config: Config,
    tls: MakeRustlsConnect,
}

/// What the server at the other end is.
pub(super) struct Server {
    /// How many sessions it grants us.
    pub(super) slots: usize,
    /// Its version, such as `17.5`.
    pub(super) version: String,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Sessions").field(&self.current()).finish()
    }
}

impl Sessions {
    pub(super) fn new(
        addresses: &[Address],
        max_lifetime: Duration,
        io: &Handle,
    ) -> Result<Self, StartError> {
        if addresses.is_empty() {
            return Err(StartError::NoAddress);
        }
        let places = addresses.iter().map(Place::new).collect::<Result<_, _>>()?;
        Ok(Self(Arc::new(Shared {
            places,
            current: AtomicUsize::new(0),
            away: AtomicBool::new(false),
            io: io.clone(),
            max_lifetime,
        })))
    }

    /// The address that answered last.
    pub(super) fn current(&self) -> Address {
        let shared = &self.0;
        let index = shared.current.load(Ordering::Relaxed).min(shared.places.len() - 1);
        shared.places[index].address.clone()
    }

    /// Opens one session, at the place that answered last or else at the next that does.
    pub(super) async fn open(&self) -> Result<ClientWrapper, Failure> {
        let this = self.clone();
        // On the I/O runtime, whoever asks: the session must outlive the thread of its first user.
        match self.0.io.spawn(async move { this.open_here().await }).await {
            Ok(result) => result,
            Err(_) => Err(Failure(Vec::new())),
        }
    }

    async fn open_here(&self) -> Result<ClientWrapper, Failure> {
        let shared = &self.0;
        let first = shared.current.load(Ordering::Relaxed);
        let mut errors = Vec::new();
        for step in 0..shared.places.len() {
            let index = (first + step) % shared.places.len();
            match self.open_at(&shared.places[index]).await {
                Ok(client) => {
                    shared.current.store(index, Ordering::Relaxed);
                    if shared.away.swap(false, Ordering::Relaxed) {
                        tracing::info!(address = %shared.places[index].address, "database is back");
                    }
                    return Ok(client);
                }
                Err(error) => errors.push(error),
            }
        }
        Err(Failure(errors))
    }

    async fn open_at(&self, place: &Place) -> Result<ClientWrapper, ConnectError> {
        let deadline = Instant::now() + place.address.connect_timeout;
        loop {
            let result = match timeout(place.address.connect_timeout, self.try_at(place)).await {
                Ok(result) => result.map_err(|error| ConnectError::new(&place.address, &error)),
                Err(_) => Err(ConnectError::timed_out(&place.address)),
            };
            match result {
                // Slots become free as other sessions end, ours after a restart among them.
                Err(error) if error.problem() == Problem::NoSlot && Instant::now() < deadline => {
                    sleep(RETRY_PAUSE).await;
                }
                other => return other,
            }
        }
    }

    async fn try_at(&self, place: &Place) -> Result<ClientWrapper, tokio_postgres::Error> {
        let opened = match place.config.connect(place.tls.clone()).await {
            Err(error) if place.address.tls == TlsMode::Prefer && is_handshake(&error) => {
                let mut plain = place.config.clone();
                plain.ssl_mode(SslMode::Disable);
                plain.connect(place.tls.clone()).await
            }
            other => other,
        };
        let (client, connection) = opened?;
        let this = self.clone();
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                this.lost(&super::error::describe(&error));
            }
        });
        Ok(ClientWrapper::new(client, task))
    }

    /// Notes that the database went away, and says so the first time.
    pub(super) fn lost(&self, reason: &str) {
        if !self.0.away.swap(true, Ordering::Relaxed) {
            tracing::warn!(address = %self.current(), reason, "database connection lost");
        }
    }

    /// Opens a session, waiting up to `wait` for a server that may come up.
    pub(super) async fn open_patiently(&self, wait: Duration) -> Result<ClientWrapper, StartError> {
        let deadline = Instant::now() + wait;
        let mut told = false;
        loop {
            let Failure(errors) = match self.open().await {
                Ok(client) => return Ok(client),
                Err(failure) => failure,
            };
            let hopeless = errors.iter().all(|error| !error.is_temporary());
            if hopeless || Instant::now() + RETRY_PAUSE >= deadline {
                return Err(StartError::Connect(errors));
            }
            if !told {
                told = true;
                let reason = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                tracing::info!(reason, wait_s = wait.as_secs(), "waiting for the database");
            }
            sleep(RETRY_PAUSE).await;
        }
    }

    /// Asks the server behind `client` who it is.
    pub(super) async fn server(&self, client: &ClientWrapper) -> Result<Server, StartError> {
        let row =
            client.query_one(SLOTS, &[]).await.map_err(|error| self.at_start(error.into()))?;
        let read = || -> Result<Server, tokio_postgres::Error> {
            let slots: Option<i32> = row.try_get("slots")?;
            let slots = slots.map_or(usize::MAX, |slots| usize::try_from(slots).unwrap_or(0));
            Ok(Server { slots, version: row.try_get("version")? })
        };
        read().map_err(|error| self.at_start(error.into()))
    }

    /// `source` as a reason not to start.
    pub(super) fn at_start(&self, source: DbError) -> StartError {
        let address = self.current();
        StartError::Statement { address: address.to_string(), user: address.user, source }
    }
}

/// No place gave a session.
#[derive(Debug)]
pub(super) struct Failure(pub(super) Vec<ConnectError>);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str("the server is shutting down");
        }
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

impl Manager for Sessions {
    type Type = ClientWrapper;
    type Error = Failure;

    async fn create(&self) -> Result<ClientWrapper, Failure> {
        let result = self.open().await;
        if let Err(failure) = &result {
            self.lost(&failure.to_string());
        }
        result
    }

    async fn recycle(
        &self,
        client: &mut ClientWrapper,
        metrics: &Metrics,
    ) -> RecycleResult<Failure> {
        if client.is_closed() {
            return Err(RecycleError::message("the session is closed"));
        }
        let max_lifetime = self.0.max_lifetime;
        if !max_lifetime.is_zero() && metrics.age() >= max_lifetime {
            return Err(RecycleError::message("the session is too old"));
        }
        Ok(())
    }
}

impl Place {
    fn new(address: &Address) -> Result<Self, StartError> {
        let tls = tls::connector(address)
            .map_err(|reason| StartError::Certificates { address: address.to_string(), reason })?;
        let mut config = Config::new();
        config
            .user(&address.user)
            .dbname(&address.database)
            .port(address.port)
            .application_name(&address.application_name)
            .connect_timeout(address.connect_timeout)
            .keepalives_idle(KEEPALIVE_IDLE)
            .ssl_mode(match address.tls {
                TlsMode::Disable => SslMode::Disable,
                TlsMode::Prefer => SslMode::Prefer,
                TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => SslMode::Require,
            });
        if let Some(password) = &address.password {
            config.password(password);
        }
        let mut options = address.options.clone();
        // PostgreSQL looks into the schema of the role's name first. That of our own tables must
        // not stand before the reference's.
        if address.user == OWN_SCHEMA && !options.contains("search_path") {
            options.push_str(" -c search_path=public");
        }
        if !options.is_empty() {
            config.options(options);
        }
        if address.read_write {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        match &address.host {
            Host::Tcp(name) => config.host(name),
            Host::Unix(folder) => config.host_path(folder),
        };
        Ok(Self { address: address.clone(), config, tls })
    }
}

/// Whether encryption itself failed, so that mode `prefer` goes without it.
fn is_handshake(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_none() && error.to_string().contains("TLS handshake")
}
