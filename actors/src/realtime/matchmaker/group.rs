//! Groups: which of the tickets that fit go together.

use super::{
    clause::Sizes,
    index::{Index, Waiting},
    search::Search,
    ticket::{Counts, Ticket},
};

/// What makes groups around one ticket.
pub(super) struct Grouping<'a> {
    index: &'a Index,
    slot: u32,
    ticket: &'a Ticket,
    /// Whether the others' queries are asked too.
    mutual: bool,
    /// Of the slots below it is known that they are not enough.
    known_below: u32,
    /// Whether tickets may not meet because of their parties or sessions.
    beside: bool,
}

/// So many of the tickets that fit are tried in every order where the first ones do not go together.
const MAX_TRIED: usize = 512;
/// And so many choices are made for that.
const MAX_CHOICES: usize = 4096;
/// Groups larger than this are made of the first ones only.
const MAX_EXACT: u32 = 1024;
/// So many of the tickets that fit are offered to modules in combinations.
const MAX_OFFERED: usize = 64;
/// For a group smaller than the largest so many tickets are looked at, all sizes together.
const MAX_LOOKS: usize = 1 << 16;

impl<'a> Grouping<'a> {
    pub(super) fn new(index: &'a Index, slot: u32, mutual: bool, known_below: u32) -> Option<Self> {
        let ticket = &*index.at(slot)?.ticket;
        let beside = index.may_be_beside(ticket);
        Some(Self { index, slot, ticket, mutual, known_below, beside })
    }

    /// The others for a group of the largest size.
    pub(super) fn full(&self) -> Option<Vec<u32>> {
        let counts = self.ticket.counts;
        let room = counts.max().checked_sub(self.ticket.size()).filter(|room| *room > 0)?;
        let (min, max) = (counts.min(), counts.max());
        let sizes = Sizes { min, least_max: max, max, exact: Some(max), room };
        let search = Search::new(self.index, self.ticket.query(), sizes);
        // What was not enough before is enough only with somebody new.
        self.fitting(&search, self.known_below).next()?;
        self.fill(room, self.fitting(&search, 0))
    }

    /// The others for the largest group that can be made, of any size that is wanted.
    pub(super) fn settle(&self) -> Option<Vec<u32>> {
        let counts = self.ticket.counts;
        let own = self.ticket.size();
        let room = counts.max().checked_sub(own).filter(|room| *room > 0)?;
        let (min, max) = (counts.min(), counts.max());
        let sizes = Sizes { min, least_max: min, max, exact: None, room };
        let search = Search::new(self.index, self.ticket.query(), sizes);
        let others: Vec<(u32, &Ticket)> = self
            .fitting(&search, 0)
            .filter_map(|slot| Some((slot, &*self.index.at(slot)?.ticket)))
            .collect();
        let players = others.iter().fold(own, |sum, (_, it)| sum.saturating_add(it.size()));
        let mut size = players.min(max);
        let mut looks = 0;
        while size >= min.max(own + 1) && looks < MAX_LOOKS {
            size -= size % counts.multiple();
            looks += others.len();
            let wanting: Vec<u32> = others
                .iter()
                .filter(|(_, other)| other.counts.allow(size))
                .map(|(slot, _)| *slot)
                .collect();
            if counts.allow(size)
                && size > own
                && let Some(group) = self.fill(size - own, wanting.iter().copied())
            {
                return Some(group);
            }
            // The next is the largest smaller size that somebody wants.
            let below = |(_, other): &(u32, &Ticket)| other.counts.largest(size.checked_sub(1)?);
            size = others.iter().filter_map(below).max()?;
        }
        None
    }

    /// The others of every group that can be made, up to `most`, those of the best matches first;
    /// for modules that choose among them. Whoever of the others still `waits` is only in groups of
    /// the largest size it wants.
    pub(super) fn offers(&self, most: usize, waits: impl Fn(u32) -> bool) -> Vec<Vec<u32>> {
        let counts = self.ticket.counts;
        let own = self.ticket.size();
        let Some(room) = counts.max().checked_sub(own).filter(|room| *room > 0) else {
            return Vec::new();
        };
        let (min, max) = (counts.min(), counts.max());
        let sizes = Sizes { min, least_max: min, max, exact: None, room };
        let search = Search::new(self.index, self.ticket.query(), sizes);
        let others: Vec<(u32, &Ticket)> = self
            .fitting(&search, 0)
            .take(MAX_OFFERED)
            .filter_map(|slot| Some((slot, &*self.index.at(slot)?.ticket)))
            .collect();
        let mut offers = Offers {
            grouping: self,
            sizes: others.iter().map(|(slot, it)| (waits(*slot), it.counts)).collect(),
            others,
            most,
            choices: MAX_CHOICES.max(most * 4),
            chosen: Vec::new(),
            made: Vec::new(),
        };
        offers.go_on(0, own);
        offers.made
    }

    /// The tickets found from slot `first` on that may meet this one.
    fn fitting(&self, search: &Search<'_>, first: u32) -> impl Iterator<Item = u32> {
        search.found(first).filter(|slot| {
            *slot != self.slot
                && self.index.at(*slot).is_some_and(|Waiting { ticket: other, .. }| {
                    !(self.beside && self.ticket.is_beside(other))
                        && (!self.mutual || other.accepts(self.ticket))
                })
        })
    }

    /// The first of `others` that go together and are as many as there is room for.
    ///
    /// The first that fit are taken. Where that leaves room and some were left out, the first
    /// [`MAX_TRIED`] are tried in other combinations, up to [`MAX_CHOICES`] choices.
    fn fill(&self, room: u32, others: impl Iterator<Item = u32>) -> Option<Vec<u32>> {
        let mut chosen = Vec::new();
        let mut left = room;
        let mut tried: Vec<(u32, u32)> = Vec::new();
        let mut left_out = false;
        for slot in others {
            let Some(Waiting { ticket, .. }) = self.index.at(slot) else { continue };
            let size = ticket.size();
            if tried.len() < MAX_TRIED {
                tried.push((slot, size));
            }
            if size <= left && self.meets_all(slot, ticket, &chosen) {
                chosen.push(slot);
                left -= size;
                if left == 0 {
                    return Some(chosen);
                }
            } else {
                left_out = true;
            }
        }
        if !left_out || room > MAX_EXACT {
            return None;
        }
        let mut choice = Choice::new(self, &tried, room);
        choice.made(0, room).then_some(choice.chosen)
    }

    /// Whether a ticket may be in a group with these.
    fn meets_all(&self, slot: u32, ticket: &Ticket, chosen: &[u32]) -> bool {
        let beside = self.index.may_be_beside(ticket);
        if !beside && !self.mutual {
            return true;
        }
        chosen.iter().all(|other| {
            *other != slot
                && self.index.at(*other).is_some_and(|Waiting { ticket: other, .. }| {
                    !(beside && ticket.is_beside(other))
                        && (!self.mutual || ticket.accepts(other) && other.accepts(ticket))
                })
        })
    }
}

/// A search for a combination that fills the room.
struct Choice<'g> {
    grouping: &'g Grouping<'g>,
    others: &'g [(u32, u32)],
    /// The sums that the others from each one on can make, if all may meet.
    sums: Vec<Vec<bool>>,
    chosen: Vec<u32>,
    choices: usize,
}

impl<'g> Choice<'g> {
    fn new(grouping: &'g Grouping<'g>, others: &'g [(u32, u32)], room: u32) -> Self {
        let mut sums = vec![vec![false; room as usize + 1]; others.len() + 1];
        sums[others.len()][0] = true;
        for (at, (_, size)) in others.iter().enumerate().rev() {
            let size = *size as usize;
            for sum in 0..=room as usize {
                sums[at][sum] = sums[at + 1][sum] || sum >= size && sums[at + 1][sum - size];
            }
        }
        Self { grouping, others, sums, chosen: Vec::new(), choices: MAX_CHOICES }
    }

    /// Whether the others from `at` on fill what is left; they are then in `chosen`.
    fn made(&mut self, at: usize, left: u32) -> bool {
        if left == 0 {
            return true;
        }
        if self.choices == 0 || !self.sums[at][left as usize] {
            return false;
        }
        self.choices -= 1;
        // There are others from here on, or no sum but 0 could be made.
        let (slot, size) = self.others[at];
        let ticket = self.grouping.index.at(slot).map(|waiting| &waiting.ticket);
        if let Some(ticket) = ticket
            && size <= left
            && self.grouping.meets_all(slot, ticket, &self.chosen)
        {
            self.chosen.push(slot);
            if self.made(at + 1, left - size) {
                return true;
            }
            self.chosen.pop();
        }
        self.made(at + 1, left)
    }
}

/// A walk through all combinations of tickets.
struct Offers<'g> {
    grouping: &'g Grouping<'g>,
    others: Vec<(u32, &'g Ticket)>,
    /// Whether each of them takes only the largest size it wants, and what it wants.
    sizes: Vec<(bool, Counts)>,
    most: usize,
    choices: usize,
    /// Places in `others`.
    chosen: Vec<usize>,
    made: Vec<Vec<u32>>,
}

impl Offers<'_> {
    /// Goes through the combinations of those chosen, `size` with who looks, and others from `at` on.
    fn go_on(&mut self, at: usize, size: u32) {
        for next in at..self.others.len() {
            if self.made.len() >= self.most || self.choices == 0 {
                return;
            }
            self.choices -= 1;
            let (slot, ticket) = self.others[next];
            let size = size.saturating_add(ticket.size());
            let chosen: Vec<u32> = self.chosen.iter().map(|at| self.others[*at].0).collect();
            if size > self.grouping.ticket.counts.max()
                || !self.grouping.meets_all(slot, ticket, &chosen)
            {
                continue;
            }
            self.chosen.push(next);
            let wanted = |at: &usize| {
                let (waits, counts) = self.sizes[*at];
                counts.allow(size) && (!waits || size == counts.max())
            };
            if self.grouping.ticket.counts.allow(size) && self.chosen.iter().all(wanted) {
                self.made.push(chosen.into_iter().chain([slot]).collect());
            }
            self.go_on(next + 1, size);
            self.chosen.pop();
        }
    }
}
