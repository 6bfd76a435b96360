//! End-to-end tests: clients' stories against the real server on a real PostgreSQL.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

mod chat;
mod client;
mod durability;
mod endpoints;
mod filled;
mod first_use;
mod friends;
mod host_functions;
mod matches;
mod matchmaking;
mod native;
mod operator;
mod parties;
mod permissions;
mod presence;
mod providers;
mod realtime_hooks;
mod runaway;
mod runtimes;
mod sessions;
mod sign_in;
mod sockets;
mod stores;
mod types;
