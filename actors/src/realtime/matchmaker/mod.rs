//! The matchmaker: players who wait for others by what they ask of each other.
//!
//! [`Pool`] is its core: it takes tickets, makes groups of them when an interval has passed, and
//! [explains](Pool::explain) why a ticket waits. A search does not look at all that wait: `index.rs`
//! knows the tickets by property, as sets of slots in the order of age (`slots.rs`); `clause.rs` and
//! `search.rs` find with them what a query matches, one ticket at a time; `group.rs` makes a group
//! of the first that go together. What a ticket has looked at in vain it does not look at again
//! until somebody new comes.

mod clause;
mod explain;
mod group;
mod index;
mod pool;
mod search;
mod slots;
mod ticket;

pub use self::{
    explain::{ClauseCount, Explanation, Lack},
    pool::{Completion, Group, Pool, Rules},
    ticket::{Counts, NewTicket, NotAdded, Owner, Presence, Ticket},
};

#[cfg(test)]
mod tests;
