//! `Cx`: what a slice may use.

use tokio::runtime::Handle;

use crate::{
    database::Database,
    runtime::host::{cache::LocalCaches, http::HttpClients},
};

/// The capabilities of the server, shared by every slice, host function and actor.
///
/// One struct passed by reference: a function that needs more than a `Cx`, a `Caller` and its
/// request has found a missing capability or a missing type.
#[derive(Debug)]
pub struct Cx {
    /// The I/O runtime: database connections and outgoing requests live there.
    pub io: Handle,
    /// The database.
    pub db: Database,
    /// The local caches of the module languages.
    pub caches: LocalCaches,
    /// Outgoing HTTP for modules.
    pub http: HttpClients,
}
