//! All parties by id, and by label.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use dashmap::DashMap;
use guildhall_proto::api;
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use super::{Denied, label::Label, state::Party};
use crate::{
    clock,
    cx::Cx,
    query::{Fields, Query, SortKey},
    realtime::{
        labels::Labels,
        session::Session,
        stream::{Stream, mode},
        tracker::Change,
    },
};

/// The parties of this node.
#[derive(Debug)]
pub struct Parties {
    /// The node's name, the second part of their names.
    node: Arc<str>,
    by_id: DashMap<Uuid, Arc<Party>>,
    listed: Labels<api::Party>,
}

impl Parties {
    /// None, on the node with this name.
    pub fn new(node: &str) -> Self {
        Self { node: node.into(), by_id: DashMap::new(), listed: Labels::default() }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.by_id.len()
    }

    /// Makes a party that `session` is about to enter.
    ///
    /// # Errors
    /// What is wrong with the label.
    pub(super) fn make(
        &self,
        session: &Arc<Session>,
        open: bool,
        hidden: bool,
        max_size: i32,
        label: &str,
    ) -> Result<Arc<Party>, Denied> {
        let label = Label::read(label)?;
        let party = Arc::new(Party::new(&self.node, session, open, max_size, clock::now_ns()));
        self.by_id.insert(party.id, Arc::clone(&party));
        self.list(&party, open, hidden, label);
        Ok(party)
    }

    /// The party with this id on the node with this name.
    ///
    /// # Errors
    /// [`Denied::NotFound`].
    pub(super) fn get(&self, id: Uuid, node: &str) -> Result<Arc<Party>, Denied> {
        if *self.node != *node {
            return Err(Denied::NotFound);
        }
        self.by_id.get(&id).map(|party| Arc::clone(&party)).ok_or(Denied::NotFound)
    }

    /// The party whose stream this is.
    fn on(&self, stream: &Stream) -> Option<Arc<Party>> {
        if stream.mode != mode::PARTY || !stream.subcontext.is_nil() {
            return None;
        }
        self.get(stream.subject, &stream.label).ok()
    }

    /// Lets a party be found by its label.
    pub(super) fn list(&self, party: &Party, open: bool, hidden: bool, label: Label) {
        let mark = |yes: bool| if yes { "T" } else { "F" };
        let mut fields = Fields::default();
        fields.text("node", &*self.node);
        fields.text("open", mark(open));
        fields.text("hidden", mark(hidden));
        fields.number("max_size", f64::from(party.max_size));
        fields.time_ns("create_time", party.created_at_ns);
        let (label, fields) = label.indexed(fields);
        let (party_id, max_size) = (party.name.clone(), party.max_size);
        let listed = api::Party { party_id, open, hidden, max_size, label };
        self.listed.put(party.id, listed, fields);
    }

    /// At most `limit` parties that match, behind `after`, each with its place; the best first and
    /// among equals the older. They can be asked for by `open`, `hidden` (`T` or `F`), `max_size`,
    /// `create_time`, `node` and what stands in `label`.
    ///
    /// Source: Nakama, `MapPartyIndexEntry`.
    pub fn search(
        &self,
        query: &Query,
        after: Option<&SortKey>,
        limit: usize,
    ) -> Vec<(api::Party, SortKey)> {
        self.listed.search(query, after, limit, |found| (found.data.clone(), found.place))
    }

    pub(super) fn forget(&self, id: Uuid) {
        self.by_id.remove(&id);
        self.listed.remove(id);
    }
}

impl Cx {
    /// Tells a party of who came to its stream and who left it, before they are told.
    pub(in crate::realtime) fn tell_party(&self, change: &Change) {
        if let Some(party) = self.parties.on(&change.stream) {
            party.hear(self, change);
        }
    }

    /// Ends the party whose stream this is, if nobody is there: where it was emptied untold.
    pub(in crate::realtime) fn end_party_without_members(&self, stream: &Stream) {
        if let Some(party) = self.parties.on(stream) {
            party.end_if_empty(self);
        }
    }
}

/// Takes in labels and looks for idle parties as long as the I/O runtime runs.
///
/// A party ends with its last member; one whose stream a module has emptied behind its back is found
/// here, once nothing was done with it between two looks.
pub fn run(cx: &Arc<Cx>) {
    let every = |millis: u64| {
        let mut clock = interval(Duration::from_millis(millis));
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        clock
    };
    let config = &cx.config.party;
    let (label_interval_ms, idle_interval_ms) =
        (config.label_update_interval_ms, config.idle_check_interval_ms);
    let of = Arc::clone(cx);
    cx.io.spawn(async move {
        let mut clock = every(label_interval_ms);
        loop {
            clock.tick().await;
            of.parties.listed.settle();
        }
    });
    if idle_interval_ms == 0 {
        return;
    }
    let of = Arc::clone(cx);
    cx.io.spawn(async move {
        let mut clock = every(idle_interval_ms);
        let mut seen = HashMap::new();
        loop {
            clock.tick().await;
            of.end_idle_parties(&mut seen);
        }
    });
}

impl Cx {
    /// Ends the parties that are empty and with which nothing was done since the last look, which
    /// `seen` says by id.
    pub(super) fn end_idle_parties(&self, seen: &mut HashMap<Uuid, u64>) {
        let parties: Vec<Arc<Party>> =
            self.parties.by_id.iter().map(|party| Arc::clone(&party)).collect();
        let mut now = HashMap::with_capacity(parties.len());
        for party in parties {
            let activity = party.activity.load(Ordering::Relaxed);
            if seen.get(&party.id) == Some(&activity) {
                party.end_if_empty(self);
            }
            now.insert(party.id, activity);
        }
        *seen = now;
    }
}
