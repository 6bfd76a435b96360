//! Every configuration key, declared once.
//!
//! From this tree come the fields below, the YAML keys, the flags, the environment variables, `--help`,
//! `config/default.yml` and `docs/configuration.md`. Names, types and defaults are Nakama 3.40's where
//! Nakama has the key; durations keep its units, which stand in the names. A key is added by adding a
//! field; `unserved` is taken away when a feature reads it.

use super::declare::settings;
use super::value::{
    CacheMode, EmbeddedPostgres, List, LogFormat, LogLevel, Protocol, Secret, SecretList, Variables,
};

settings! {
    /// The whole configuration of one server.
    Config {
        /// Name of this node, 1 to 16 characters; part of match and session ids.
        name: String = "nakama", length(1, 16);
        /// YAML files, read in order; a later one overrides the keys it repeats.
        config: List = &[], no_file;
        /// Longest time to finish running work when the server is told to stop (s); 0 = stop at once.
        shutdown_grace_sec: u64 = 0;
        /// Folder for what the server stores on disk, from the working directory.
        data_dir: String = "data", filled;
        /// For development on a trusted network: listen beyond this machine although keys are defaults.
        dev: bool = false;
        /// What is logged, how and where.
        logger: Logger;
        /// The Prometheus page.
        metrics: Metrics;
        /// Session and refresh tokens.
        session: Session;
        /// The port of the game clients.
        socket: Socket;
        /// The PostgreSQL database.
        database: Database;
        /// Limits on failed sign-ins; what goes beyond is refused until the window has passed.
        sign_in: SignIn;
        /// The threads that hash and check passwords.
        password: Password;
        /// Small writes that are asked for at the same time, gathered into one statement of each kind.
        batch: Batch;
        /// Modules in Lua, JavaScript and native code.
        runtime: Runtime;
        /// Sign-in by social networks.
        social: Social;
        /// How social networks and stores are reached.
        providers: Providers;
        /// Authoritative matches.
        r#match: Match;
        /// Presences.
        tracker: Tracker;
        /// The operator's console.
        console: Console, unserved;
        /// Leaderboards and tournaments.
        leaderboard: Leaderboard;
        /// The matchmaker.
        matchmaker: Matchmaker;
        /// Validation of purchases.
        iap: Iap;
        /// Google's OAuth client, for the authorization codes of Google Play Games.
        google_auth: GoogleAuth;
        /// Satori, the reference vendor's live operations service.
        satori: Satori, unserved;
        /// Storage objects.
        storage: Storage;
        /// Second factors of the console's users.
        mfa: Mfa, unserved;
        /// Parties.
        party: Party;
    }

    /// `logger.*`.
    Logger {
        /// Least severe lines that are written: debug, info, warn or error.
        level: LogLevel = LogLevel::Info;
        /// Write the log to standard output; always so while there is no logger.file.
        stdout: bool = true;
        /// Also write the log to this file; empty = none.
        file: String = "";
        /// Rotate the log file.
        rotation: bool = false;
        /// Size at which the log file is rotated (MB).
        max_size: u64 = 100, min(1);
        /// Time to keep rotated files (days); 0 = for ever.
        max_age: u64 = 0;
        /// Number of rotated files to keep; 0 = all.
        max_backups: usize = 0;
        /// Name rotated files by local time; otherwise by UTC.
        local_time: bool = false;
        /// Compress rotated files with gzip.
        compress: bool = false;
        /// Form of a line: json, stackdriver, or console for reading by eye.
        format: LogFormat = LogFormat::Json;
    }

    /// `metrics.*`.
    Metrics {
        /// Interval at which metrics are pushed (s). Prometheus asks for them itself.
        reporting_freq_sec: u64 = 60, unserved;
        /// Value of a label `namespace` on every metric; empty = none.
        namespace: String = "";
        /// Port of the Prometheus page; 0 = none.
        prometheus_port: u16 = 0;
        /// Prefix of metric names; empty = none.
        prefix: String = "nakama";
        /// Prefix of the names of metrics that modules make.
        custom_prefix: String = "custom";
        /// Most distinct names and label sets of metrics that modules make; 0 = no limit.
        custom_scope_limit: usize = 10_000;
    }

    /// `session.*`.
    Session {
        /// Key that signs session tokens (HS256).
        encryption_key: Secret = DEFAULT_ENCRYPTION_KEY, filled;
        /// Life of a session token (s).
        token_expiry_sec: u64 = 60, min(1);
        /// Key that signs refresh tokens (HS256); not the same as session.encryption_key.
        refresh_encryption_key: Secret = DEFAULT_REFRESH_ENCRYPTION_KEY, filled;
        /// Life of a refresh token (s).
        refresh_token_expiry_sec: u64 = 3600, min(1);
        /// One socket a user: a new one closes the others.
        single_socket: bool = false;
        /// One match a user; needs session.single_socket.
        single_match: bool = false;
        /// One party a user; needs session.single_socket.
        single_party: bool = false;
        /// One session token a user: a new one ends the others.
        single_session: bool = false;
    }

    /// `socket.*`.
    Socket {
        /// The server key, user name part of HTTP Basic authentication.
        server_key: Secret = DEFAULT_SERVER_KEY, filled;
        /// Port of the HTTP API and of WebSockets; 0 = any free one.
        port: u16 = 7350;
        /// Address to listen on. Empty = all; while server key, HTTP key or a session key is a default, loopback.
        address: String = "";
        /// Address families: tcp for both, tcp4 or tcp6.
        protocol: Protocol = Protocol::Tcp;
        /// Longest message of a WebSocket (bytes).
        max_message_size_bytes: usize = 4096, min(1);
        /// Longest body of a request (bytes).
        max_request_size_bytes: usize = 262_144, min(1);
        /// Most that is read of a WebSocket at once (bytes).
        read_buffer_size_bytes: usize = 4096, min(1);
        /// Most that is gathered into one write to a WebSocket (bytes); a longer message is one write.
        write_buffer_size_bytes: usize = 4096, min(1);
        /// Longest time for reading a request (ms).
        read_timeout_ms: u64 = 10_000, min(1);
        /// Longest time for writing an answer (ms).
        write_timeout_ms: u64 = 10_000, min(1);
        /// Time that an idle connection is kept (ms).
        idle_timeout_ms: u64 = 60_000, min(1);
        /// Longest time for writing to a WebSocket (ms).
        write_wait_ms: u64 = 5000, min(1);
        /// Time without a pong after which a WebSocket is closed (ms).
        pong_wait_ms: u64 = 25_000;
        /// Interval of pings (ms); less than socket.pong_wait_ms.
        ping_period_ms: u64 = 15_000, min(1);
        /// Messages in a ping interval that put the ping off.
        ping_backoff_threshold: usize = 20;
        /// Longest wait for a client to confirm the end of its WebSocket (ms).
        close_ack_wait_ms: u64 = 2000, min(1);
        /// Messages that may wait for a slow client before its WebSocket is closed.
        outgoing_queue_size: usize = 64;
        /// Streams (chat channels, matches, parties and so on) that the client of a WebSocket may be on at a time.
        max_presences: usize = 1000, min(8);
        /// Users whose status a WebSocket's client may follow at a time.
        max_follows: usize = 10_000, min(1);
        /// Certificate file for TLS by the server itself; needs socket.ssl_private_key.
        ssl_certificate: String = "";
        /// Key file for TLS by the server itself; needs socket.ssl_certificate.
        ssl_private_key: String = "";
        /// Headers, as name=value, added to answers that lack them.
        response_headers: List = &[], pairs;
        /// Number of proxies in front of the server, by which a client's address is found.
        proxy_count: usize = 1;
    }

    /// `database.*`.
    Database {
        /// Where PostgreSQL is, as user:password@host:port/database. Empty = the server runs its own in data_dir.
        address: SecretList = &[];
        /// Which PostgreSQL the server runs where no address is given: one installed on this machine, the one built into the binary, or auto = the first of them that can be run.
        embedded: EmbeddedPostgres = EmbeddedPostgres::Auto;
        /// Life of a connection (ms).
        conn_max_lifetime_ms: u64 = 3_600_000;
        /// Most open connections.
        max_open_conns: usize = 100, min(1);
        /// Most idle connections.
        max_idle_conns: usize = 100;
        /// Interval at which the host's addresses are looked up again (s).
        dns_scan_interval_sec: u64 = 60, min(1), unserved;
    }

    /// `sign_in.*`.
    SignIn {
        /// Failed sign-ins to one account from one address within the window.
        account_address_limit: u32 = 10, min(1);
        /// Failed sign-ins to one account from all addresses within the window.
        account_limit: u32 = 100, min(1);
        /// Failed sign-ins from one address to all accounts within the window.
        address_limit: u32 = 200, min(1);
        /// Length of the window (s).
        window_sec: u64 = 300, min(1);
        /// Most accounts and addresses that are watched at once; beyond it the oldest are forgotten.
        max_tracked: u64 = 100_000, min(1);
    }

    /// `password.*`.
    Password {
        /// Threads that hash and check passwords; 0 = one for each two processor cores.
        threads: usize = 0;
        /// Sign-ins that may wait for such a thread before further ones are refused.
        queue_size: usize = 256, min(1);
    }

    /// `batch.*`.
    Batch {
        /// Most rows in one statement; 1 = every row has its own.
        max_rows: usize = 64, min(1);
        /// Statements of one kind on their way at once; rows that come meanwhile wait for one of them to come back.
        in_flight: usize = 2, min(1);
        /// Most rows of one kind that wait; beyond it requests are refused.
        queue_size: usize = 4096, min(1);
    }

    /// `runtime.*`.
    Runtime {
        /// NAME=VALUE, given to modules as their context's env; names add up over files, environment and flags.
        env: Variables = [];
        /// Folder of the modules; empty = modules in data_dir.
        path: String = "";
        /// Key with which servers call RPCs without a session.
        http_key: Secret = DEFAULT_HTTP_KEY, filled;
        /// Old name.
        min_count: usize = 0, renamed("runtime.lua_min_count");
        /// Lua interpreters made at start and kept.
        lua_min_count: usize = 16;
        /// Old name.
        max_count: usize = 0, renamed("runtime.lua_max_count");
        /// Most Lua interpreters; at least runtime.lua_min_count.
        lua_max_count: usize = 48, min(1);
        /// JavaScript interpreters made at start and kept.
        js_min_count: usize = 16;
        /// Most JavaScript interpreters; at least runtime.js_min_count.
        js_max_count: usize = 32, min(1);
        /// Old name.
        call_stack_size: usize = 0, renamed("runtime.lua_call_stack_size");
        /// Depth of Lua calls in the reference; here LuaJIT's own limit holds.
        lua_call_stack_size: usize = 128, min(1), unserved;
        /// Old name.
        registry_size: usize = 0, renamed("runtime.lua_registry_size");
        /// Size of the Lua registry in the reference; here it grows as needed.
        lua_registry_size: usize = 512, min(128), unserved;
        /// Events that may wait for their handlers.
        event_queue_size: usize = 65_536, min(1);
        /// Tasks that run event handlers.
        event_queue_workers: usize = 8, min(1);
        /// Old name.
        read_only_globals: bool = true, renamed("runtime.lua_read_only_globals");
        /// Freeze the global tables of Lua once the modules are loaded.
        lua_read_only_globals: bool = true;
        /// Freeze the global objects of JavaScript once the modules are loaded.
        js_read_only_globals: bool = true;
        /// Add the Lua stack to the error answers of failed calls.
        lua_api_stacktrace: bool = false;
        /// JavaScript file to start from, in the module folder; empty = index.js if it is there.
        js_entrypoint: String = "";
        /// Running time that one call of a module may take (ms); waiting in host functions is not counted.
        call_deadline_ms: u64 = 10_000, min(1);
        /// Running time that loading the modules and InitModule may take (ms).
        load_deadline_ms: u64 = 60_000, min(1);
        /// Longest time one host function may keep a module waiting (ms).
        host_wait_ms: u64 = 60_000, min(1);
        /// Memory that one interpreter may take (MB).
        memory_limit_mb: usize = 128, min(1);
        /// Calls that may wait for an interpreter of one language before further ones are refused.
        queue_size: usize = 4096, min(1);
        /// Longest time a module's HTTP request may take, whatever it asks for (ms).
        http_timeout_max_ms: u64 = 60_000, min(1);
        /// Longest answer to a module's HTTP request that is read (bytes).
        http_max_response_bytes: usize = 16_777_216, min(1);
        /// Values that the local cache of one language may hold; the least used go first.
        local_cache_entries: usize = 100_000, min(1);
    }

    /// `social.*`.
    Social {
        /// Steam.
        steam: Steam;
        /// Facebook Instant Games.
        facebook_instant_game: FacebookInstantGame;
        /// Facebook Limited Login.
        facebook_limited_login: FacebookLimitedLogin;
        /// Sign in with Apple.
        apple: AppleSignIn;
        /// Sign in with Google.
        google: GoogleSignIn;
        /// Game Center.
        game_center: GameCenter;
    }

    /// `social.steam.*`.
    Steam {
        /// Publisher key.
        publisher_key: Secret = "";
        /// Application id.
        app_id: u64 = 0;
    }

    /// `social.facebook_instant_game.*`.
    FacebookInstantGame {
        /// Application secret.
        app_secret: Secret = "";
    }

    /// `social.facebook_limited_login.*`.
    FacebookLimitedLogin {
        /// Application id that a token must be made out to; empty = any.
        app_id: String = "";
    }

    /// `social.apple.*`.
    AppleSignIn {
        /// Bundle id that a token must be made out to; several are separated by commas. Empty = no sign-in with Apple.
        bundle_id: String = "";
    }

    /// `social.google.*`.
    GoogleSignIn {
        /// OAuth client ids, one of which a token must be made out to; none = any, so that a token that another application was given signs in here too.
        client_ids: List = &[];
    }

    /// `social.game_center.*`.
    GameCenter {
        /// Bundle ids, one of which a signature must be made out to; none = any, so that a signature that another application was given signs in here too.
        bundle_ids: List = &[];
    }

    /// `providers.*`.
    Providers {
        /// Longest time of one request to a provider (ms).
        timeout_ms: u64 = 10_000, min(1);
        /// Times that a request is repeated when the provider does not answer or says that it cannot.
        retries: u32 = 2, range(0, 5);
        /// Facebook's Graph API, with its version.
        facebook_graph_url: String = "https://graph.facebook.com/v22.0", filled;
        /// Keys that sign Facebook Limited Login's tokens (JWKS).
        facebook_keys_url: String = "https://limited.facebook.com/.well-known/oauth/openid/jwks/", filled;
        /// Keys that sign Apple's tokens (JWKS).
        apple_keys_url: String = "https://appleid.apple.com/auth/keys", filled;
        /// Keys that sign Google's tokens (JWKS).
        google_keys_url: String = "https://www.googleapis.com/oauth2/v3/certs", filled;
        /// Google Play Games' API, with its version.
        google_games_url: String = "https://www.googleapis.com/games/v1", filled;
        /// Steam's Web API for publishers.
        steam_url: String = "https://partner.steam-api.com", filled;
        /// Where Game Center's public keys may be: domains, reached by HTTPS; for tests also origins such as http://127.0.0.1:9000.
        game_center_hosts: List = &["apple.com"];
        /// Apple's verifyReceipt, for receipts of former times.
        apple_receipts_url: String = "https://buy.itunes.apple.com/verifyReceipt", filled;
        /// The same for receipts of the sandbox.
        apple_sandbox_receipts_url: String = "https://sandbox.itunes.apple.com/verifyReceipt", filled;
        /// File of the certificates (PEM) that Apple's signed transactions lead to; empty = Apple Root CA - G3.
        apple_root_certificate: String = "";
        /// Google's tokens for service accounts.
        google_token_url: String = "https://accounts.google.com/o/oauth2/token", filled;
        /// Google Play's Android Publisher API, with its version.
        google_play_url: String = "https://androidpublisher.googleapis.com/androidpublisher/v3", filled;
        /// Huawei's tokens.
        huawei_token_url: String = "https://oauth-login.cloud.huawei.com/oauth2/v3/token", filled;
        /// Huawei's order service.
        huawei_orders_url: String = "https://orders-dre.iap.hicloud.com", filled;
        /// The same for accounts in Germany.
        huawei_orders_germany_url: String = "https://orders-at-dre.iap.dbankcloud.com", filled;
        /// Samsung's receipts, with their version.
        samsung_receipts_url: String = "https://iap.samsungapps.com/iap/v6/receipt", filled;
    }

    /// `match.*`.
    Match {
        /// Threads on which matches and their handlers run; 0 = as many as processors.
        threads: usize = 0;
        /// Time after which a handler that runs long lets other matches have their turn (ms).
        slice_ms: u64 = 4, min(1);
        /// Client messages that may wait for the next tick of a match.
        input_queue_size: usize = 128, min(1);
        /// Calls that may wait for a match.
        call_queue_size: usize = 128, min(1);
        /// Signals that may wait for a match.
        signal_queue_size: usize = 10, min(1);
        /// Join attempts that may wait for a match.
        join_attempt_queue_size: usize = 128, min(1);
        /// Broadcasts that a match may put off to the end of a call of its handler.
        deferred_queue_size: usize = 128, min(1);
        /// Longest wait for an accepted player to join (ms). Without effect: who is accepted is in the
        /// match at once.
        join_marker_deadline_ms: u64 = 15_000, min(1), retired;
        /// Time after which an empty match is stopped (s); 0 = never.
        max_empty_sec: u64 = 0;
        /// Interval at which changed labels are taken into the match listing (ms); a listing takes them in at once.
        label_update_interval_ms: u64 = 1000, min(1);
    }

    /// `tracker.*`.
    Tracker {
        /// Presence events that may wait.
        event_queue_size: usize = 1024, min(1);
    }

    /// `console.*`.
    Console {
        /// Port of the console.
        port: u16 = 7351;
        /// Address to listen on. Empty = all; while password, signing key or MFA key is a default, loopback.
        address: String = "";
        /// Longest body of a request (bytes).
        max_message_size_bytes: usize = 4_194_304, min(1);
        /// Longest time for reading a request (ms).
        read_timeout_ms: u64 = 10_000, min(1);
        /// Longest time for writing an answer (ms).
        write_timeout_ms: u64 = 60_000, min(1);
        /// Time that an idle connection is kept (ms).
        idle_timeout_ms: u64 = 300_000, min(1);
        /// Name of the administrator.
        username: String = "admin", filled;
        /// Password of the administrator.
        password: Secret = DEFAULT_CONSOLE_PASSWORD, filled;
        /// Life of a console token (s).
        token_expiry_sec: u64 = 86_400;
        /// Key that signs console tokens (HS256).
        signing_key: Secret = DEFAULT_CONSOLE_SIGNING_KEY, filled;
        /// Second factors, as mfa.*; the reference reads them from either place.
        mfa: Mfa;
        /// Leave display names out of the search for accounts.
        disable_display_name_search: bool = false;
    }

    /// `leaderboard.*`.
    Leaderboard {
        /// Ids of leaderboards whose ranks are not kept in memory; * = all.
        blacklist_rank_cache: List = &[];
        /// Resets and ends that may wait for their handlers.
        callback_queue_size: usize = 65_536, min(1);
        /// Tasks that run these handlers.
        callback_queue_workers: usize = 8, min(1);
        /// Tasks that read the ranks at start.
        rank_cache_workers: usize = 1;
        /// Most records whose ranks are kept in memory (about 150 bytes each); a period of a
        /// leaderboard beyond it has its ranks counted in the database, which is slower.
        rank_cache_records: usize = 5_000_000;
    }

    /// `matchmaker.*`.
    Matchmaker {
        /// Most tickets of a session or party.
        max_tickets: usize = 3, min(1);
        /// Interval at which tickets are matched (s).
        interval_sec: u64 = 15, min(1);
        /// Intervals in which a ticket waits for its largest count before a smaller one will do.
        max_intervals: usize = 2, min(1);
        /// Check the queries of both sides.
        rev_precision: bool = false;
        /// Intervals in which both sides are checked.
        rev_threshold: usize = 1;
    }

    /// `iap.*`.
    Iap {
        /// Apple's App Store.
        apple: AppleStore;
        /// Google Play.
        google: GooglePlay;
        /// Huawei's AppGallery.
        huawei: Huawei;
        /// Facebook Instant Games.
        facebook_instant: FacebookInstant;
        /// Samsung's Galaxy Store.
        samsung: Samsung;
    }

    /// `iap.apple.*`.
    AppleStore {
        /// Shared secret of the application, for receipts of former times.
        shared_password: Secret = "";
        /// Bundle ids, one of which a signed transaction must belong to; none = any, so that what was bought in another application counts here too.
        bundle_ids: List = &[];
        /// Last part of the path at which notifications arrive; hard to guess.
        notifications_endpoint_id: Secret = "", unserved;
    }

    /// `iap.google.*`.
    GooglePlay {
        /// E-mail address of the service account.
        client_email: String = "";
        /// Private key of the service account.
        private_key: Secret = "";
        /// Last part of the path at which notifications arrive; hard to guess.
        notifications_endpoint_id: Secret = "", unserved;
        /// Interval of the search for refunds (min).
        refund_check_period_min: u64 = 0, retired;
        /// Package of the application.
        package_name: String = "", retired;
    }

    /// `iap.huawei.*`.
    Huawei {
        /// Public key, in base64.
        public_key: String = "";
        /// OAuth client id.
        client_id: String = "";
        /// OAuth client secret.
        client_secret: Secret = "";
    }

    /// `iap.facebook_instant.*`.
    FacebookInstant {
        /// Application secret.
        app_secret: Secret = "";
    }

    /// `iap.samsung.*`.
    Samsung {
        /// Package that a receipt must name; empty = any.
        package_name: String = "";
    }

    /// `google_auth.*`.
    GoogleAuth {
        /// OAuth credentials, as Google's JSON.
        credentials_json: Secret = "";
    }

    /// `satori.*`.
    Satori {
        /// Address of the service.
        url: String = "";
        /// Name of the API key.
        api_key_name: String = "";
        /// API key.
        api_key: Secret = "";
        /// Key that signs tokens.
        signing_key: Secret = "";
        /// Without effect; see satori.cache_disabled.
        cache_enabled: bool = false, retired;
        /// Keep no answers.
        cache_disabled: bool = false;
        /// How long answers are kept: context for one call, time for satori.cache_ttl_sec.
        cache_mode: CacheMode = CacheMode::Context;
        /// Life of a kept answer (s).
        cache_ttl_sec: u64 = 300, min(1);
        /// Longest time of a request (ms).
        http_timeout_ms: u64 = 10_000, min(1);
        /// Server key.
        server_key: Secret = "";
        /// Times that a failed request is repeated.
        retry_count: u32 = 0, range(0, 3);
    }

    /// `storage.*`.
    Storage {
        /// Read objects from the database even where an index holds them.
        disable_index_only: bool = false;
    }

    /// `mfa.*` and `console.mfa.*`.
    Mfa {
        /// Key under which second factors are stored, 32 bytes.
        storage_encryption_key: Secret = DEFAULT_MFA_KEY, length(32, 32), or_empty;
        /// Ask the administrator for a second factor.
        admin_account_enabled: bool = false;
    }

    /// `party.*`.
    Party {
        /// Interval at which changed labels are taken into the party listing (ms); a listing takes them in at once.
        label_update_interval_ms: u64 = 1000, min(1);
        /// Interval at which idle parties are looked for (ms); 0 = never.
        idle_check_interval_ms: u64 = 30_000;
    }
}

/// Published default of `socket.server_key`.
pub(super) const DEFAULT_SERVER_KEY: &str = "defaultkey";
/// Published default of `runtime.http_key`.
pub(super) const DEFAULT_HTTP_KEY: &str = "defaulthttpkey";
/// Published default of `session.encryption_key`.
pub(super) const DEFAULT_ENCRYPTION_KEY: &str = "defaultencryptionkey";
/// Published default of `session.refresh_encryption_key`.
pub(super) const DEFAULT_REFRESH_ENCRYPTION_KEY: &str = "defaultrefreshencryptionkey";
/// Published default of `console.password`.
pub(super) const DEFAULT_CONSOLE_PASSWORD: &str = "password";
/// Published default of `console.signing_key`.
pub(super) const DEFAULT_CONSOLE_SIGNING_KEY: &str = "defaultsigningkey";
/// Published default of `mfa.storage_encryption_key` and `console.mfa.storage_encryption_key`.
pub(super) const DEFAULT_MFA_KEY: &str = "the-key-has-to-be-32-bytes-long!";
