//! The list of authoritative matches, by what stands in their labels.
//!
//! A change costs next to nothing: it is only noted, and put into the index by whoever lists next,
//! who therefore sees matches as they are now. (The reference changes its list once in
//! `match.label_update_interval_ms`.)
//!
//! Source: Nakama, `MapMatchIndexEntry`, `LocalMatchRegistry.ListMatches`.

use std::sync::Arc;

use indexmap::IndexSet;
use parking_lot::{Mutex, RwLock};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::handle::Handle;
use crate::query::{Fields, Index, Query, Sort};

/// The field of a label as it stands.
pub(super) const LABEL: &str = "label_string";

const CREATED: &str = "create_time";

/// Matches by their labels.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Whose place in the index is out of date, in the order in which they changed.
    changed: Mutex<IndexSet<Uuid>>,
    index: RwLock<Index<Uuid, Arc<Handle>>>,
}

impl Listing {
    /// Notes that a match began, ended or changed its label.
    pub(super) fn changed(&self, id: Uuid) {
        self.changed.lock().insert(id);
    }

    /// The matches that a query finds, the best first and, among equals, those that were made last.
    /// `running` gives a match that runs.
    pub(super) fn search(
        &self,
        query: &Query,
        running: impl Fn(Uuid) -> Option<Arc<Handle>>,
    ) -> Vec<Arc<Handle>> {
        self.renew(running);
        let order = [Sort::parse("_score"), Sort::parse(&format!("-{CREATED}"))];
        let index = self.index.read();
        let found = index.search(query, &order, None, usize::MAX);
        found.into_iter().map(|found| Arc::clone(found.data)).collect()
    }

    fn renew(&self, running: impl Fn(Uuid) -> Option<Arc<Handle>>) {
        if self.changed.lock().is_empty() {
            return;
        }
        let mut index = self.index.write();
        // Taken only now: who waited for the index finds nothing left to do, and all of it done.
        let changed = std::mem::take(&mut *self.changed.lock());
        for id in changed {
            match running(id) {
                Some(handle) => {
                    let fields = fields(&handle);
                    index.put(id, handle, fields, |name| name == CREATED);
                }
                None => drop(index.remove(&id)),
            }
        }
    }
}

/// What is indexed of a match.
fn fields(handle: &Handle) -> Fields {
    let label = handle.label();
    let mut fields = Fields::default();
    fields.text("node", handle.node().to_string());
    fields.text(LABEL, label.to_string());
    fields.text("handler_name", handle.handler_name());
    fields.number("tick_rate", f64::from(handle.tick_rate_hz()));
    fields.number(CREATED, handle.created_ms() as f64);
    // A label need not be JSON; what is no object has no fields.
    if let Ok(label) = serde_json::from_str::<Map<String, Json>>(&label) {
        fields.json("label", &Json::Object(label));
    }
    fields
}
