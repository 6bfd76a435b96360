//! The server: its edges and their wiring.

pub mod cli;
pub mod database;
pub mod healthcheck;
pub mod http;
pub mod listen;
pub mod logging;
pub mod metrics;
pub mod migrate;
pub mod postgres;
pub mod server;
pub mod socket;
