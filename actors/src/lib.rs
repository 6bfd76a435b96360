//! Every actor and every resource slice.
//!
//! A call passes: edge → before hook → work → after hook → edge. [`registry`] decides which
//! runtime answers a hook or an RPC; [`store`] runs a slice of [`resources`] on [`cx::Cx`];
//! [`runtime`] holds the interpreters; [`realtime`] what lives as long as its sockets. The three
//! declarations that everything is built from are [`endpoint::Endpoint`],
//! [`envelope::SocketMessage`] and [`host::HostFn`], with their lists in [`tables`].

pub mod batch;
pub mod clock;
pub mod cx;
pub mod database;
pub mod endpoint;
pub mod envelope;
pub mod host;
pub mod metrics;
pub mod passwords;
pub mod providers;
pub mod query;
pub mod realtime;
pub mod registry;
pub mod resources;
pub mod runtime;
pub mod sessions;
pub mod sign_in;
pub mod store;
pub mod tables;
