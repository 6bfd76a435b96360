//! What clients find by label: an index, and the changes that wait to enter it.
//!
//! A change costs who makes it a place in a map. A search takes in what waits before it looks, so
//! that labels show at once, and nobody who changes one waits for a search.

use std::mem;

use indexmap::IndexMap;
use parking_lot::{Mutex, RwLock};
use uuid::Uuid;

use crate::query::{Fields, Found, Index, Query, Sort, SortKey};

/// Documents of type `D`, found by the fields of their labels.
#[derive(Debug)]
pub struct Labels<D> {
    index: RwLock<Index<Uuid, D>>,
    /// Locked after the index by those who need both. Nothing in place of a document: it goes.
    waiting: Mutex<IndexMap<Uuid, Option<(D, Fields)>>>,
    /// The field whose highest number is first among equals.
    newest: Option<&'static str>,
}

/// Changes that wait; who makes one more takes them all in.
const MOST_WAITING: usize = 4096;

impl<D> Default for Labels<D> {
    fn default() -> Self {
        Self { index: RwLock::default(), waiting: Mutex::default(), newest: None }
    }
}

impl<D> Labels<D> {
    /// An index in which, among equals, the document with the highest number in `field` is first.
    pub fn newest_by(field: &'static str) -> Self {
        Self { newest: Some(field), ..Self::default() }
    }

    /// Lets a document be found, in the place of an earlier one with its id.
    pub fn put(&self, id: Uuid, document: D, fields: Fields) {
        self.change(id, Some((document, fields)));
    }

    /// Lets a document be found no longer.
    pub fn remove(&self, id: Uuid) {
        self.change(id, None);
    }

    fn change(&self, id: Uuid, to: Option<(D, Fields)>) {
        let mut waiting = self.waiting.lock();
        waiting.insert(id, to);
        let full = waiting.len() >= MOST_WAITING;
        drop(waiting);
        if full {
            self.settle();
        }
    }

    /// Takes in what waits. Searches do; a timer besides lets go of what nobody asks for.
    pub fn settle(&self) {
        if self.waiting.lock().is_empty() {
            return;
        }
        let mut index = self.index.write();
        for (id, change) in mem::take(&mut *self.waiting.lock()) {
            match change {
                Some((document, fields)) => {
                    index.put(id, document, fields, |name| Some(name) == self.newest)
                }
                None => drop(index.remove(&id)),
            }
        }
    }

    /// At most `limit` documents that match, the best first and among equals the older, unless a field
    /// says otherwise, behind `after`; each as `show` shows it.
    pub fn search<T>(
        &self,
        query: &Query,
        after: Option<&SortKey>,
        limit: usize,
        show: impl FnMut(Found<'_, Uuid, D>) -> T,
    ) -> Vec<T> {
        self.settle();
        let by_field = |field| vec![Sort::parse("_score"), Sort::parse(&format!("-{field}"))];
        let order = self.newest.map(by_field).unwrap_or_default();
        self.index.read().search(query, &order, after, limit).into_iter().map(show).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_shows_in_the_next_search() {
        let labels = Labels::default();
        let found = |query: &str| {
            labels.search(&Query::parse(query).unwrap(), None, 10, |found| *found.data)
        };
        let put = |id: u128, document: &'static str, mode: &str| {
            let mut fields = Fields::default();
            fields.json("label", &json!({ "mode": mode }));
            labels.put(Uuid::from_u128(id), document, fields);
        };
        put(1, "one", "a");
        put(2, "two", "a");
        put(3, "three", "b");
        assert_eq!(found("label.mode:a"), ["one", "two"]);
        put(1, "changed", "b");
        labels.remove(Uuid::from_u128(2));
        put(4, "four", "a");
        labels.remove(Uuid::from_u128(4));
        assert_eq!(found("label.mode:a"), [""; 0]);
        assert_eq!(found("label.mode:b"), ["three", "changed"]);
    }

    #[test]
    fn a_field_may_put_the_newest_first_among_equals() {
        let labels = Labels::newest_by("made");
        for (id, made, mode) in [(1, 10.0, "a"), (2, 30.0, "b"), (3, 20.0, "a")] {
            let mut fields = Fields::default();
            fields.number("made", made);
            fields.text("mode", mode);
            labels.put(Uuid::from_u128(id), id, fields);
        }
        let found = |query: &str| {
            labels.search(&Query::parse(query).unwrap(), None, 10, |found| *found.data)
        };
        assert_eq!(found("*"), [2, 3, 1]);
        assert_eq!(found("made:>0 mode:a"), [3, 1, 2]);
    }

    #[test]
    fn changes_that_nobody_asks_for_are_taken_in() {
        let labels = Labels::default();
        for id in 0..MOST_WAITING as u128 + 1 {
            labels.put(Uuid::from_u128(id), (), Fields::default());
        }
        assert_eq!(labels.waiting.lock().len(), 1);
        assert_eq!(labels.index.read().len(), MOST_WAITING);
        labels.settle();
        assert_eq!(labels.index.read().len(), MOST_WAITING + 1);
    }
}
