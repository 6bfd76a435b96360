//! The matchmaker: players who wait for others by what they ask of each other.
//!
//! [`Pool`] is its core: it takes tickets, makes groups of them when an interval has passed, and
//! [explains](Pool::explain) why a ticket waits. A search does not look at all that wait: `index.rs`
//! knows the tickets by property, as sets of slots in the order of age (`slots.rs`); `clause.rs` and
//! `search.rs` find with them what a query matches, one ticket at a time; `group.rs` makes a group
//! of the first that go together. What a ticket has looked at in vain it does not look at again
//! until somebody new comes.

mod actor;
mod clause;
mod explain;
mod group;
mod index;
mod matched;
mod messages;
mod pool;
mod search;
mod slots;
mod ticket;

pub use self::{
    actor::{Matchmaker, Running, run},
    explain::{ClauseCount, Explanation, Lack},
    messages::{MatchmakerAdd, MatchmakerRemove, query_of},
    pool::{Completion, Group, MAX_OFFERS, Pool, Rules},
    ticket::{Counts, NewTicket, NotAdded, NotFound, Owner, Presence, Ticket},
};

#[cfg(test)]
mod tests;
