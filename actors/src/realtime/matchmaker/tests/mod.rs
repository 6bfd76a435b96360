#![allow(clippy::unwrap_used)]

mod actor;
mod properties;
mod rules;

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{Counts, Group, NewTicket, Owner, Pool, Presence, Rules};

const RULES: Rules = Rules { max_tickets: 3, max_intervals: 2, mutual: false };

fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn presence(session: u128) -> Presence {
    Presence {
        user_id: uuid(session + 1000),
        session_id: uuid(session),
        username: format!("user{session}").into(),
    }
}

/// A ticket of these sessions, of a party where they are several; properties as `name=text` or
/// `name=number`.
fn ticket(
    sessions: &[u128],
    counts: (i32, i32, i32),
    properties: &[&str],
    query: &str,
) -> NewTicket {
    let (min, max, multiple) = counts;
    let mut new = NewTicket {
        owner: match sessions {
            [session] => Owner::Session(uuid(*session)),
            sessions => Owner::Party(format!("party of {sessions:?}")),
        },
        presences: sessions.iter().copied().map(presence).collect(),
        query: query.to_owned(),
        counts: Counts::new(min, max, Some(multiple)).unwrap(),
        string_properties: BTreeMap::new(),
        numeric_properties: BTreeMap::new(),
    };
    for property in properties {
        let (name, value) = property.split_once('=').unwrap();
        match value.parse() {
            Ok(number) => drop(new.numeric_properties.insert(name.to_owned(), number)),
            Err(_) => drop(new.string_properties.insert(name.to_owned(), value.to_owned())),
        }
    }
    new
}

/// A pool, and tickets known by numbers in the order in which they came.
struct Room {
    pool: Pool,
    tickets: u128,
}

impl Room {
    fn new(rules: Rules) -> Self {
        Self { pool: Pool::new(rules), tickets: 0 }
    }

    /// Adds a ticket: its number.
    fn add(&mut self, new: NewTicket) -> u128 {
        let number = self.tickets;
        self.pool.add(uuid(number), number as i64, new).unwrap();
        self.tickets += 1;
        number
    }

    /// The tickets of each group of an interval, by number, as they stand in the group.
    fn interval(&mut self) -> Vec<Vec<u128>> {
        self.pool.process(1000, || false).iter().map(numbers).collect()
    }
}

fn numbers(group: &Group) -> Vec<u128> {
    group.tickets.iter().map(|ticket| ticket.id.as_u128()).collect()
}
