//! The server: its edges and their wiring.

pub mod http;
pub mod migrate;
