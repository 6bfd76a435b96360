//! What lives as long as its sockets: sessions, presences, chat, matches, parties, tickets.
//!
//! A [`session::Session`] is what the server knows of a connection. The [`tracker::Tracker`] knows
//! who is present where: on a [`stream::Stream`], a place that messages are sent to. What is sent to
//! many is encoded once for each format ([`outgoing::Encoded`]) and put into the sessions' queues.

mod arguments;
pub mod channel;
pub mod labels;
pub mod matches;
pub mod matchmaker;
pub mod outgoing;
pub mod party;
pub mod ping;
pub mod presence_events;
pub mod rpc;
pub mod session;
pub mod session_events;
pub mod status;
pub mod stream;
pub mod streams;
#[cfg(test)]
pub(crate) mod testing;
pub mod tracker;
