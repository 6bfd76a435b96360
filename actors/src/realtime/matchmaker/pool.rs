//! The tickets that wait, and what an interval makes of them.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use uuid::Uuid;

use super::{
    explain::{self, Explanation},
    group::Grouping,
    index::{Index, Waiting},
    ticket::{NewTicket, NotAdded, Owner, Ticket},
};

/// How tickets are matched: `matchmaker.*` of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Most tickets of a session or party.
    pub max_tickets: usize,
    /// Intervals in which a ticket looks for others; only in the last it settles for fewer than the
    /// most it wants.
    pub max_intervals: usize,
    /// Whether the queries of all members have to match all others, not only the query of the
    /// ticket that looks.
    pub mutual: bool,
}

/// Tickets that go into a match together.
#[derive(Clone, Debug)]
pub struct Group {
    /// The tickets; the last one is that which looked for the others.
    pub tickets: Vec<Arc<Ticket>>,
}

impl Group {
    /// How many players they are.
    pub fn size(&self) -> u32 {
        self.tickets.iter().map(|ticket| ticket.size()).sum()
    }
}

/// How long somebody waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// When the ticket was made, in Unix nanoseconds.
    pub created_at_ns: i64,
    /// When it was matched, in Unix nanoseconds.
    pub completed_at_ns: i64,
}

/// So many of the last completions are kept.
const COMPLETIONS: usize = 10;

/// So many groups are offered to a module in an interval.
pub const MAX_OFFERS: usize = 2_000;

/// All tickets that wait.
///
/// Nothing here knows a clock or chance: the same calls give the same groups.
///
/// How groups are made is the reference's: in each interval every active ticket, the oldest first,
/// looks for others by its query. Those whose range of counts lies within its own may join it, the
/// best match first, among equals the oldest. A ticket is active until it was not matched in
/// `max_intervals` intervals, or in one where it wants an exact number; then it is only found by
/// others. Until its last active interval a ticket takes no group smaller than the most it wants.
///
/// What is certain of a group: its size is one that each member wants; no two members are of one
/// party or have a session in common; the query of the ticket that looked (the last member) matches
/// all others, and with [`Rules::mutual`] the query of each member matches all others.
///
/// Where the reference differs:
/// - it goes through active tickets in random order;
/// - it fills groups first-fit and so misses some that are possible; here all combinations are
///   tried, up to the limits in `group.rs`;
/// - to reach a multiple it drops the longest waiting tickets; here the worst and youngest.
///
/// Source: Nakama, `server/matchmaker.go` and `matchmaker_process.go`.
#[derive(Debug)]
pub struct Pool {
    rules: Rules,
    index: Index,
    /// The slots of the tickets that look for others.
    active: BTreeSet<u32>,
    completions: VecDeque<Completion>,
    /// Who was matched in the last interval.
    taken: Vec<Arc<Ticket>>,
}

impl Pool {
    /// A pool in which nobody waits.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            index: Index::default(),
            active: BTreeSet::new(),
            completions: VecDeque::with_capacity(COMPLETIONS),
            taken: Vec::new(),
        }
    }

    /// How many tickets wait.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.index.len() == 0
    }

    /// How many of them look for others.
    pub fn active(&self) -> usize {
        self.active.len()
    }

    /// The oldest tickets, at most so many.
    pub fn oldest(&self, count: usize) -> impl Iterator<Item = Uuid> {
        self.index.iter().take(count).map(|(_, waiting)| waiting.ticket.id)
    }

    /// When the oldest ticket was made, in Unix nanoseconds.
    pub fn oldest_ns(&self) -> Option<i64> {
        let oldest = self.index.all().iter().next()?;
        Some(self.index.at(oldest)?.ticket.created_at_ns)
    }

    /// How long those waited who were matched last, the latest at the end.
    pub fn completions(&self) -> impl Iterator<Item = &Completion> {
        self.completions.iter()
    }

    /// A ticket that waits.
    pub fn ticket(&self, id: &Uuid) -> Option<&Arc<Ticket>> {
        Some(&self.index.at(self.index.slot_of(id)?)?.ticket)
    }

    /// Adds a ticket under an id that no other has.
    ///
    /// # Errors
    /// Where the query cannot be read, a session stands twice, or the party or one of the sessions
    /// has as many tickets as it may have.
    pub fn add(&mut self, id: Uuid, created_at_ns: i64, new: NewTicket) -> Result<(), NotAdded> {
        let ticket = Ticket::new(id, created_at_ns, new)?;
        let most = self.rules.max_tickets;
        let sessions = ticket.presences.iter();
        let tickets_of = |session: &Uuid| self.index.of_session(session).len();
        if sessions.map(|it| tickets_of(&it.session_id)).any(|tickets| tickets >= most)
            || self.index.of_party(ticket.owner.party_id()).len() >= most
        {
            return Err(NotAdded::TooManyTickets);
        }
        let waiting = Waiting { ticket: Arc::new(ticket), intervals: 0, looked_below: 0 };
        self.active.insert(self.index.put(waiting));
        Ok(())
    }

    /// Takes back a ticket; whether it waited and is of this owner.
    pub fn remove(&mut self, owner: &Owner, id: &Uuid) -> bool {
        let Some(slot) = self.index.slot_of(id) else { return false };
        let owned = self.index.at(slot).is_some_and(|waiting| waiting.ticket.owner == *owner);
        owned && self.take(slot).is_some()
    }

    /// Takes back all tickets that a session waits in, those of its party too: how many they were.
    pub fn remove_session(&mut self, session_id: &Uuid) -> usize {
        self.take_all(self.index.of_session(session_id).to_vec())
    }

    /// Takes back all tickets of a party: how many they were.
    pub fn remove_party(&mut self, party_id: &str) -> usize {
        self.take_all(self.index.of_party(party_id).to_vec())
    }

    /// Lets an interval pass: the groups that were made, whose tickets wait no longer.
    ///
    /// From the first `true` of `is_late` on, which is asked before each ticket looks, only the
    /// queries of those who look count.
    pub fn process(&mut self, now_ns: i64, mut is_late: impl FnMut() -> bool) -> Vec<Group> {
        self.taken.clear();
        let mut groups = Vec::new();
        let mut late = false;
        let end = self.index.next_slot();
        let mut next = 0;
        // Slots are in the order of age.
        while let Some(slot) = self.active.range(next..).next().copied() {
            next = slot + 1;
            late = late || is_late();
            let Some(waiting) = self.index.at_mut(slot) else { continue };
            waiting.intervals += 1;
            let counts = waiting.ticket.counts;
            let is_last =
                waiting.intervals >= self.rules.max_intervals || counts.min() == counts.max();
            // What was looked at with mutual queries may do without them.
            let relaxed = self.rules.mutual && late;
            let known_below = if relaxed { 0 } else { waiting.looked_below };
            let mutual = self.rules.mutual && !late;
            let grouping = Grouping::new(&self.index, slot, mutual, known_below);
            let others = grouping.and_then(|grouping| {
                grouping.full().or_else(|| if is_last { grouping.settle() } else { None })
            });
            match others {
                Some(mut slots) => {
                    slots.push(slot);
                    let tickets = slots.iter().filter_map(|slot| self.take(*slot)).collect();
                    groups.push(Group { tickets });
                }
                None => {
                    if is_last {
                        self.active.remove(&slot);
                    }
                    if let Some(waiting) = self.index.at_mut(slot) {
                        waiting.looked_below = end;
                    }
                }
            }
        }
        self.complete(&groups, now_ns);
        self.renumber();
        groups
    }

    fn renumber(&mut self) {
        if let Some(before) = self.index.renumber() {
            let now = |slot: &u32| before.binary_search(slot).ok().map(|slot| slot as u32);
            self.active = self.active.iter().filter_map(now).collect();
        }
    }

    /// Lets an interval pass in which a module chooses: the groups that can be made, each with who
    /// looked for the others at its end. The tickets wait on. `is_late` as for
    /// [`process`](Self::process).
    ///
    /// No more than [`MAX_OFFERS`] groups are offered, evenly of those who look; who is still active
    /// is only offered in groups of the largest size it wants.
    ///
    /// Source: Nakama, `processOverride`, which offers all combinations, and tickets in small groups
    /// never.
    pub fn offers(&mut self, mut is_late: impl FnMut() -> bool) -> Vec<Group> {
        let mut last = BTreeSet::new();
        for slot in &self.active {
            let Some(waiting) = self.index.at_mut(*slot) else { continue };
            waiting.intervals += 1;
            let counts = waiting.ticket.counts;
            if waiting.intervals >= self.rules.max_intervals || counts.min() == counts.max() {
                last.insert(*slot);
            }
        }
        let waits = |slot: u32| self.active.contains(&slot) && !last.contains(&slot);
        let each = MAX_OFFERS.checked_div(self.active.len()).unwrap_or_default().max(1);
        let (mut late, mut groups) = (false, Vec::new());
        for slot in &self.active {
            late = late || is_late();
            let mutual = self.rules.mutual && !late;
            let Some(grouping) = Grouping::new(&self.index, *slot, mutual, 0) else { continue };
            for mut others in grouping.offers(each.min(MAX_OFFERS - groups.len()), waits) {
                others.push(*slot);
                let tickets = others.iter().filter_map(|slot| self.index.at(*slot));
                let tickets = tickets.map(|waiting| Arc::clone(&waiting.ticket)).collect();
                groups.push(Group { tickets });
            }
        }
        self.active.retain(|slot| !last.contains(slot));
        groups
    }

    /// Lets an interval pass in which a module makes the groups: all tickets, the oldest first. All
    /// stay active.
    ///
    /// Source: Nakama, `processCustom`.
    pub fn all(&mut self) -> Vec<Arc<Ticket>> {
        self.index.iter_mut().for_each(|waiting| waiting.intervals += 1);
        self.index.iter().map(|(_, waiting)| Arc::clone(&waiting.ticket)).collect()
    }

    /// Makes the groups that a module chose, by the ids of their tickets. Left out is one of which
    /// a ticket waits no longer, or stands in an earlier one or twice, and an empty one.
    pub fn form(&mut self, chosen: &[Vec<Uuid>], now_ns: i64) -> Vec<Group> {
        self.taken.clear();
        let mut groups = Vec::new();
        for ids in chosen {
            let slots: Vec<u32> = ids.iter().filter_map(|id| self.index.slot_of(id)).collect();
            let distinct = slots.iter().collect::<BTreeSet<_>>().len();
            if distinct < ids.len() || ids.is_empty() {
                continue;
            }
            let tickets = slots.into_iter().filter_map(|slot| self.take(slot)).collect();
            groups.push(Group { tickets });
        }
        self.complete(&groups, now_ns);
        self.renumber();
        groups
    }

    /// Why a ticket waits; `None` for one that does not.
    pub fn explain(&self, id: &Uuid) -> Option<Explanation> {
        let slot = self.index.slot_of(id)?;
        let active = self.active.contains(&slot);
        explain::explain(&self.index, slot, &self.rules, active, &self.taken)
    }

    fn complete(&mut self, groups: &[Group], now_ns: i64) {
        for ticket in groups.iter().flat_map(|group| &group.tickets) {
            for _ in &ticket.presences {
                if self.completions.len() == COMPLETIONS {
                    self.completions.pop_front();
                }
                let created_at_ns = ticket.created_at_ns;
                self.completions.push_back(Completion { created_at_ns, completed_at_ns: now_ns });
            }
            self.taken.push(Arc::clone(ticket));
        }
    }

    fn take_all(&mut self, slots: Vec<u32>) -> usize {
        slots.into_iter().filter_map(|slot| self.take(slot)).count()
    }

    fn take(&mut self, slot: u32) -> Option<Arc<Ticket>> {
        self.active.remove(&slot);
        self.index.remove(slot)
    }
}
