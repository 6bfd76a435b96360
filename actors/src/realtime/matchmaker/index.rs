//! The tickets, and what is known of them by property: so that a search costs what it finds, not
//! what waits.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use uuid::Uuid;

use super::{
    clause::Clause,
    slots::Set,
    ticket::{PROPERTIES, Ticket},
};
use crate::query::{Query, Value};

/// A ticket at its slot.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) ticket: Arc<Ticket>,
    /// In how many intervals it looked for others.
    pub(super) intervals: usize,
    /// Slots below this one it has looked at in vain.
    pub(super) looked_below: u32,
}

/// What groups are made by: the most and fewest that are wanted, what divides their number, and how
/// many wait in the ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shape {
    pub(super) max: u32,
    pub(super) min: u32,
    pub(super) multiple: u32,
    pub(super) size: u32,
}

impl Shape {
    pub(super) fn of(ticket: &Ticket) -> Self {
        let counts = ticket.counts;
        Self {
            max: counts.max(),
            min: counts.min(),
            multiple: counts.multiple(),
            size: ticket.size(),
        }
    }
}

/// Which tickets have which values of a property.
#[derive(Debug, Default)]
pub(super) struct Field {
    pub(super) texts: HashMap<String, Set>,
    pub(super) numbers: BTreeMap<i64, Set>,
}

#[derive(Debug, Default)]
pub(super) struct Index {
    slots: Vec<Option<Waiting>>,
    by_id: HashMap<Uuid, u32>,
    all: Set,
    fields: HashMap<String, Field>,
    shapes: BTreeMap<Shape, Set>,
    by_session: HashMap<Uuid, Vec<u32>>,
    by_party: HashMap<String, Vec<u32>>,
}

impl Index {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// The slot that the next ticket gets.
    pub(super) fn next_slot(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn all(&self) -> &Set {
        &self.all
    }

    pub(super) fn shapes(&self) -> &BTreeMap<Shape, Set> {
        &self.shapes
    }

    pub(super) fn slot_of(&self, id: &Uuid) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    pub(super) fn at(&self, slot: u32) -> Option<&Waiting> {
        self.slots.get(slot as usize)?.as_ref()
    }

    pub(super) fn at_mut(&mut self, slot: u32) -> Option<&mut Waiting> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// The slots with their tickets, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Waiting)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(slot, waiting)| Some((slot as u32, waiting.as_ref()?)))
    }

    /// What waits, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Waiting> {
        self.slots.iter_mut().flatten()
    }

    /// The tickets that a session waits in, alone or with its party; oldest first.
    pub(super) fn of_session(&self, session_id: &Uuid) -> &[u32] {
        self.by_session.get(session_id).map_or(&[], Vec::as_slice)
    }

    /// The tickets of a party, oldest first.
    pub(super) fn of_party(&self, party_id: &str) -> &[u32] {
        self.by_party.get(party_id).map_or(&[], Vec::as_slice)
    }

    /// Whether other tickets may be [beside](Ticket::is_beside) this one.
    pub(super) fn may_be_beside(&self, ticket: &Ticket) -> bool {
        let mut sessions = ticket.presences.iter();
        sessions.any(|presence| self.of_session(&presence.session_id).len() > 1)
            || self.of_party(ticket.owner.party_id()).len() > 1
    }

    pub(super) fn put(&mut self, waiting: Waiting) -> u32 {
        let slot = self.next_slot();
        let ticket = &waiting.ticket;
        self.by_id.insert(ticket.id, slot);
        self.all.push(slot);
        self.shapes.entry(Shape::of(ticket)).or_default().push(slot);
        for presence in &ticket.presences {
            self.by_session.entry(presence.session_id).or_default().push(slot);
        }
        let party = ticket.owner.party_id();
        if !party.is_empty() {
            self.by_party.entry(party.to_owned()).or_default().push(slot);
        }
        for (name, value) in ticket.fields().iter().filter(|(name, _)| is_property(name)) {
            if !self.fields.contains_key(name) {
                self.fields.insert(name.to_owned(), Field::default());
            }
            let Some(field) = self.fields.get_mut(name) else { continue };
            match value {
                Value::Text(text) => match field.texts.get_mut(text) {
                    Some(set) => set.push(slot),
                    None => {
                        let mut set = Set::default();
                        set.push(slot);
                        field.texts.insert(text.clone(), set);
                    }
                },
                Value::Number(number) => field.numbers.entry(*number).or_default().push(slot),
            }
        }
        self.slots.push(Some(waiting));
        slot
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<Arc<Ticket>> {
        let ticket = self.slots.get_mut(slot as usize)?.take()?.ticket;
        self.by_id.remove(&ticket.id);
        self.all.remove(slot);
        let shape = Shape::of(&ticket);
        if let Some(set) = self.shapes.get_mut(&shape) {
            set.remove(slot);
            if set.len() == 0 {
                self.shapes.remove(&shape);
            }
        }
        for presence in &ticket.presences {
            if let Some(slots) = self.by_session.get_mut(&presence.session_id) {
                slots.retain(|other| *other != slot);
                if slots.is_empty() {
                    self.by_session.remove(&presence.session_id);
                }
            }
        }
        if let Some(slots) = self.by_party.get_mut(ticket.owner.party_id()) {
            slots.retain(|other| *other != slot);
            if slots.is_empty() {
                self.by_party.remove(ticket.owner.party_id());
            }
        }
        for (name, value) in ticket.fields().iter().filter(|(name, _)| is_property(name)) {
            let Some(field) = self.fields.get_mut(name) else { continue };
            match value {
                Value::Text(text) => {
                    if let Some(set) = field.texts.get_mut(text) {
                        set.remove(slot);
                        if set.len() == 0 {
                            field.texts.remove(text);
                        }
                    }
                }
                Value::Number(number) => {
                    if let Some(set) = field.numbers.get_mut(number) {
                        set.remove(slot);
                        if set.len() == 0 {
                            field.numbers.remove(number);
                        }
                    }
                }
            }
            // Names are the clients': what nothing has any more must not stay.
            if field.texts.is_empty() && field.numbers.is_empty() {
                self.fields.remove(name);
            }
        }
        Some(ticket)
    }

    /// Numbers the tickets anew once most slots are empty: the slots that they had, by those they
    /// have now.
    pub(super) fn renumber(&mut self) -> Option<Vec<u32>> {
        const FEW: usize = 1024;
        if self.slots.len() < FEW || self.slots.len() / 4 < self.len() {
            return None;
        }
        let before = self.all.iter().collect();
        for waiting in std::mem::take(self).slots.into_iter().flatten() {
            // What is known of slots does not hold for their new numbers.
            self.put(Waiting { looked_below: 0, ..waiting });
        }
        Some(before)
    }

    /// What is known of the part of a query.
    pub(super) fn clause<'a>(&'a self, query: &'a Query) -> Clause<'a> {
        match query {
            Query::All => Clause::Set(&self.all),
            Query::None => Clause::Nothing,
            Query::Term { field, term, .. } if is_property(field) => {
                self.text(field, term).map_or(Clause::Nothing, Clause::Set)
            }
            Query::Range { min, max, .. } => self.range(query, *min, *max),
            Query::Term { field, term, .. } => match field.as_str() {
                "ticket" | "_id" => {
                    // Only as it is written by us.
                    let slot = Uuid::try_parse(term).ok().and_then(|id| self.slot_of(&id));
                    let same = |slot: &u32| {
                        self.at(*slot).is_some_and(|it| it.ticket.id.to_string() == *term)
                    };
                    Clause::List(slot.filter(same).into_iter().collect())
                }
                "party_id" if !term.is_empty() => Clause::List(self.of_party(term).to_vec()),
                _ => Clause::Ask(query),
            },
            Query::Pattern { field: name, .. } | Query::Fuzzy { field: name, .. }
                if is_property(name) =>
            {
                match self.fields.get(name) {
                    Some(field) => Clause::part(name, field, query),
                    None => Clause::Nothing,
                }
            }
            Query::Parts { must, should, must_not, .. }
                if must.is_empty() && must_not.is_empty() =>
            {
                // A number, which a property may also have as a text: mostly one of both is known.
                let mut known: Vec<Clause<'_>> = should
                    .iter()
                    .map(|part| self.clause(part))
                    .filter(|it| !it.is_empty())
                    .collect();
                match known.len() {
                    0 => Clause::Nothing,
                    1 => known.pop().unwrap_or(Clause::Nothing),
                    _ => Clause::Ask(query),
                }
            }
            _ => Clause::Ask(query),
        }
    }

    /// What is known of a range, with these bounds in place of its own.
    pub(super) fn range<'a>(&'a self, query: &'a Query, min: i64, max: i64) -> Clause<'a> {
        match query {
            Query::Range { field: name, .. } if is_property(name) => match self.fields.get(name) {
                Some(field) => Clause::range(name, field, min, max),
                None => Clause::Nothing,
            },
            _ => Clause::Ask(query),
        }
    }

    /// The score of all that a part of a query matches, where that is one.
    pub(super) fn score(&self, query: &Query) -> Option<f64> {
        match query {
            Query::All => Some(1.0),
            Query::None => Some(0.0),
            Query::Term { boost, .. } | Query::Range { boost, .. } => Some(*boost),
            // Of a number a pattern fits several terms.
            Query::Pattern { field, boost, .. } if is_property(field) => {
                let numbers = self.fields.get(field).is_some_and(|field| !field.numbers.is_empty());
                (!numbers).then_some(*boost)
            }
            Query::Pattern { .. } | Query::Fuzzy { .. } => None,
            Query::Parts { must, should, must_not, boost } => {
                let mut scores = should.iter().map(|part| self.score(part));
                let first = scores.next().flatten()?;
                // A property has one value, so that it has the number or the text, not both.
                let plain = must.is_empty() && must_not.is_empty();
                (plain && scores.all(|score| score == Some(first))).then_some(first * boost)
            }
        }
    }

    fn text(&self, field: &str, text: &str) -> Option<&Set> {
        self.fields.get(field)?.texts.get(text)
    }
}

/// Whether a name is that of a property, of which a ticket has one value at most.
pub(super) fn is_property(name: &str) -> bool {
    name.starts_with(PROPERTIES)
}
