//! `Cx`: what a slice may use.

use std::sync::Arc;

use guildhall_core::{Result, config::Config, error::OrFault as _};
use tokio::runtime::Handle;

use crate::{
    database::Database,
    metrics::Metrics,
    passwords::Passwords,
    providers::Providers,
    realtime::{
        matches::Matches, matchmaker::Matchmaker, party::Parties, session::Sockets,
        tracker::Tracker,
    },
    registry::Published,
    resources::{Batches, leaderboard::Boards, storage_index::StorageIndexes},
    runtime::{
        events::Events,
        host::{cache::LocalCaches, http::HttpClients},
        matches::MatchArbiters,
    },
    sessions::Sessions,
    sign_in::SignInLimits,
};

/// The capabilities of the server, shared by every slice, host function and actor.
///
/// One struct passed by reference: a function that needs more than a `Cx`, a `Caller` and its
/// request has found a missing capability or a missing type.
#[derive(Debug)]
pub struct Cx {
    /// The configuration.
    pub config: Arc<Config>,
    /// The I/O runtime: database connections and outgoing requests live there.
    pub io: Handle,
    /// The database.
    pub db: Database,
    /// Small writes of concurrent calls, gathered into one statement of each kind.
    pub batches: Batches,
    /// Session tokens and their revocations, which [`Sessions::load`] reads at start.
    pub sessions: Sessions,
    /// The threads that hash and check passwords.
    pub passwords: Passwords,
    /// Leaderboards and tournaments, which [`Boards::load`] reads at start.
    pub boards: Boards,
    /// The limits on failed sign-ins.
    pub sign_in: SignInLimits,
    /// The local caches of the module languages.
    pub caches: LocalCaches,
    /// Outgoing HTTP for modules.
    pub http: HttpClients,
    /// Social networks and stores.
    pub providers: Providers,
    /// What modules registered, as the registry publishes it.
    pub routes: Published,
    /// The connected sockets.
    pub sockets: Sockets,
    /// Who is present on which stream.
    pub tracker: Arc<Tracker>,
    /// The threads of authoritative matches.
    pub match_arbiters: MatchArbiters,
    /// The authoritative matches.
    pub matches: Matches,
    /// Parties.
    pub parties: Parties,
    /// The matchmaker.
    pub matchmaker: Matchmaker,
    /// Storage objects in memory, as modules asked for.
    pub storage_index: StorageIndexes,
    /// What is counted and timed.
    pub metrics: Arc<Metrics>,
    /// Events on their way to the modules' event functions.
    pub events: Events,
}

impl Cx {
    /// The capabilities that `config` describes, over `db`.
    ///
    /// # Errors
    /// Where one of them cannot be set up.
    pub fn new(config: Arc<Config>, db: Database, io: Handle) -> Result<Self> {
        // Several crates bring TLS; all are to use this provider. An earlier choice stands.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let caches = LocalCaches::new(config.runtime.local_cache_entries as u64);
        let http = HttpClients::new(&config.runtime).or_fault("Could not set up outgoing HTTP.")?;
        let providers = Providers::new(&config, &io)?;
        let sessions = Sessions::new(&config.session);
        let passwords = Passwords::start(&config.password)
            .or_fault("Could not start the threads that check passwords.")?;
        let boards = Boards::new(&config.leaderboard);
        let sign_in = SignInLimits::new(&config.sign_in);
        let metrics = Arc::new(Metrics::new(&config));
        let routes = Published::default();
        let events = Events::start(&config.runtime, Arc::clone(&routes), Arc::clone(&metrics), &io);
        let tracker = Arc::new(Tracker::new(config.tracker.event_queue_size));
        let match_arbiters = MatchArbiters::new(&config.r#match);
        let matches = Matches::new(&config);
        let parties = Parties::new(&config.name);
        let batches = Batches::new(&config.batch, &db, &io);
        let storage_index = StorageIndexes::new(
            db.clone(),
            io.clone(),
            Arc::clone(&routes),
            config.storage.disable_index_only,
        );
        Ok(Self {
            config,
            io,
            db,
            batches,
            sessions,
            passwords,
            boards,
            sign_in,
            caches,
            http,
            providers,
            routes,
            sockets: Sockets::default(),
            tracker,
            match_arbiters,
            matches,
            parties,
            matchmaker: Matchmaker::default(),
            storage_index,
            metrics,
            events,
        })
    }

    /// The capabilities of a server without a database, for checking modules and for tests.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn without_database(config: Arc<Config>, io: Handle) -> Result<Self> {
        let db = Database::absent(&io).or_fault("Could not set up the absent database.")?;
        Self::new(config, db, io)
    }
}
