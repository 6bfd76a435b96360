//! A search: the tickets that a query matches and whose counts fit, the best first, among equals the
//! oldest. They are found one at a time, so that who needs few pays for few.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{
    clause::{Clause, Sizes},
    index::{Index, is_property},
    slots::{WORD, slots_of},
};
use crate::query::{Query, ordered};

/// What a query asks, as far as the index knows it.
#[derive(Debug)]
pub(super) struct Search<'a> {
    index: &'a Index,
    must: Vec<Clause<'a>>,
    must_not: Vec<Clause<'a>>,
    /// What raises the score. One of these has to match where nothing else must.
    should: Vec<Clause<'a>>,
    order: Order<'a>,
}

/// In which order tickets are found.
#[derive(Debug)]
enum Order<'a> {
    /// Which of the parts in `should` match decides the score. Each tier is the sets of parts, as
    /// bits, that have one score; the highest is first.
    Tiers(Vec<Vec<u8>>),
    /// Each ticket's score is worked out.
    Ranked {
        /// The scores of the parts in `should`; `None` where the part has to be asked.
        should: Vec<(&'a Query, Option<f64>)>,
        /// Parts that must match and have to be asked for their score.
        must: Vec<&'a Query>,
        /// Whether one of the parts in `should` has to match.
        one: bool,
    },
}

/// With more parts that raise the score than this, each ticket's score is worked out.
const MAX_TIERED: usize = u8::BITS as usize;

impl<'a> Search<'a> {
    /// The tickets that `query` matches and of which groups of these sizes can be made.
    pub(super) fn new(index: &'a Index, query: &'a Query, sizes: Sizes) -> Self {
        let whole = std::slice::from_ref(query);
        let (must, should, must_not): (&[Query], &[Query], &[Query]) = match query {
            Query::Parts { must, should, must_not, boost } if *boost == 1.0 => {
                (must, should, must_not)
            }
            _ => (whole, &[], &[]),
        };
        let (must, should) = match (must, should) {
            ([], [only]) => (std::slice::from_ref(only), &[][..]),
            both => both,
        };
        let one = must.is_empty() && !should.is_empty();
        let asked: Vec<&Query> = must.iter().filter(|it| index.score(it).is_none()).collect();
        let (parts, should): (Vec<_>, Vec<_>) = should
            .iter()
            .map(|part| ((part, index.score(part)), index.clause(part)))
            .filter(|(_, clause)| !clause.is_empty())
            .unzip();
        let scores: Option<Vec<f64>> = parts.iter().map(|(_, score)| *score).collect();
        let order = match scores {
            Some(scores) if asked.is_empty() && scores.len() <= MAX_TIERED => {
                Order::Tiers(tiers(&scores, one))
            }
            _ => Order::Ranked { should: parts, must: asked, one },
        };
        let mut must: Vec<Clause<'_>> = merged(must)
            .into_iter()
            .map(|(part, range)| match range {
                Some((min, max)) => index.range(part, min, max),
                None => index.clause(part),
            })
            .collect();
        must.push(Clause::sizes(index, sizes));
        must.push(Clause::Set(index.all()));
        let must_not = must_not.iter().map(|part| index.clause(part)).collect();
        Self { index, must, must_not, should, order }
    }

    /// The slots of the tickets from slot `first` on.
    pub(super) fn found(&self, first: u32) -> Box<dyn Iterator<Item = u32> + '_> {
        if self.must.iter().any(Clause::is_empty) {
            return Box::new(std::iter::empty());
        }
        match &self.order {
            Order::Tiers(tiers) => {
                Box::new(tiers.iter().flat_map(move |tier| Scan::new(self, tier, first)))
            }
            Order::Ranked { should, must, one } => {
                let score =
                    |slot: u32| Some((self.score(slot, should, must, *one)?, Reverse(slot)));
                let mut ranked: BinaryHeap<_> =
                    Scan::new(self, &[], first).filter_map(score).collect();
                Box::new(std::iter::from_fn(move || ranked.pop().map(|(_, Reverse(slot))| slot)))
            }
        }
    }

    /// The score of a ticket in the order of numbers, without what is the same for all.
    fn score(
        &self,
        slot: u32,
        should: &[(&Query, Option<f64>)],
        must: &[&Query],
        one: bool,
    ) -> Option<i64> {
        let fields = self.index.at(slot)?.ticket.fields();
        let mut score: f64 = must.iter().filter_map(|part| part.score(fields)).sum();
        let mut matched = false;
        for ((part, known), clause) in should.iter().zip(&self.should) {
            let raise = match known {
                Some(score) => clause.contains(self.index, slot).then_some(*score),
                None => part.score(fields),
            };
            matched |= raise.is_some();
            score += raise.unwrap_or_default();
        }
        (matched || !one).then(|| ordered(score))
    }
}

/// The sets of parts, as bits, with one score each, the highest first; without the empty set where
/// one part has to match.
fn tiers(scores: &[f64], one: bool) -> Vec<Vec<u8>> {
    let score = |set: u8| {
        let parts = scores.iter().enumerate().filter(|(part, _)| set >> part & 1 == 1);
        ordered(parts.map(|(_, score)| *score).fold(0.0, |sum, score| sum + score))
    };
    let last = ((1_u16 << scores.len()) - 1) as u8;
    let mut sets: Vec<(Reverse<i64>, u8)> =
        (u8::from(one)..=last).map(|set| (Reverse(score(set)), set)).collect();
    sets.sort_unstable();
    sets.chunk_by(|a, b| a.0 == b.0)
        .map(|tier| tier.iter().map(|(_, set)| *set).collect())
        .collect()
}

/// The parts that must match, with several ranges of one property as one: it has one value.
fn merged(must: &[Query]) -> Vec<(&Query, Option<(i64, i64)>)> {
    let mut parts: Vec<(&Query, Option<(i64, i64)>)> = Vec::with_capacity(must.len() + 2);
    for part in must {
        let (field, min, max) = match part {
            Query::Range { field, min, max, .. } if is_property(field) => (field, min, max),
            _ => {
                parts.push((part, None));
                continue;
            }
        };
        let same = |(other, _): &&mut (&Query, _)| matches!(other, Query::Range { field: other, .. } if other == field);
        match parts.iter_mut().find(same) {
            Some((_, Some((least, most)))) => {
                *least = (*least).max(*min);
                *most = (*most).min(*max);
            }
            _ => parts.push((part, Some((*min, *max)))),
        }
    }
    parts
}

/// Goes through the slots of a tier, 64 at a time.
struct Scan<'s> {
    search: &'s Search<'s>,
    /// Empty where parts that raise the score do not count.
    tier: &'s [u8],
    /// The shortest list of slots among what must match, where there is one.
    list: Option<&'s [u32]>,
    /// The next word, where there is no list.
    next: usize,
    /// Slots below are left out.
    first: u32,
    word: usize,
    /// What is left of the word.
    mask: u64,
}

impl<'s> Scan<'s> {
    fn new(search: &'s Search<'s>, tier: &'s [u8], first: u32) -> Self {
        let lists = search.must.iter().filter_map(Clause::list);
        let list = lists.min_by_key(|list| list.len());
        let list = list.map(|list| &list[list.partition_point(|slot| *slot < first)..]);
        let next = first as usize / WORD;
        Self { search, tier, list, next, first, word: 0, mask: 0 }
    }

    /// Goes to the next word; whether there is one.
    fn advance(&mut self) -> bool {
        match &mut self.list {
            Some([]) => return false,
            Some(list) => {
                self.word = list[0] as usize / WORD;
                self.mask = 0;
                while let [slot, rest @ ..] = *list
                    && *slot as usize / WORD == self.word
                {
                    self.mask |= 1 << (*slot as usize % WORD);
                    *list = rest;
                }
            }
            None => {
                if self.next > self.search.index.next_slot() as usize / WORD {
                    return false;
                }
                self.word = self.next;
                self.next += 1;
                self.mask = u64::MAX;
                if self.word == self.first as usize / WORD {
                    self.mask <<= self.first as usize % WORD;
                }
            }
        }
        let Search { index, must, must_not, should, .. } = self.search;
        for clause in must.iter().filter(|clause| clause.is_fast()) {
            self.mask = clause.narrow(index, self.word, self.mask);
        }
        for clause in must_not.iter().filter(|clause| clause.is_fast()) {
            self.mask &= !clause.narrow(index, self.word, self.mask);
        }
        if !self.tier.is_empty() && !should.is_empty() {
            let mut matched = [0; MAX_TIERED];
            for (matched, clause) in matched.iter_mut().zip(should) {
                *matched = clause.narrow(index, self.word, self.mask);
            }
            let of_set = |set: &u8| {
                let parts = matched.iter().take(should.len()).enumerate();
                parts.fold(self.mask, |mask, (part, matched)| {
                    mask & if set >> part & 1 == 1 { *matched } else { !matched }
                })
            };
            self.mask = self.tier.iter().map(of_set).fold(0, |all, set| all | set);
        }
        true
    }

    /// Whether a slot matches what was not looked at for the whole word.
    fn fits(&self, slot: u32) -> bool {
        let Search { index, must, must_not, .. } = self.search;
        must.iter().filter(|it| !it.is_always_fast()).all(|it| it.contains(index, slot))
            && !must_not.iter().any(|it| !it.is_always_fast() && it.contains(index, slot))
    }
}

impl Iterator for Scan<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        loop {
            while let Some(slot) = slots_of(self.word, self.mask).next() {
                self.mask &= self.mask - 1;
                if self.fits(slot) {
                    return Some(slot);
                }
            }
            if !self.advance() {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_are_the_sets_of_parts_by_score() {
        assert_eq!(tiers(&[], false), [[0]]);
        assert_eq!(tiers(&[1.0, 1.0], false), [vec![3], vec![1, 2], vec![0]]);
        assert_eq!(tiers(&[1.0, 4.0], true), [vec![3], vec![2], vec![1]]);
        assert_eq!(tiers(&[-1.0], false), [vec![0], vec![1]]);
        assert!(tiers(&[], true).is_empty());
        assert_eq!(tiers(&[1.0; 8], true).iter().map(Vec::len).sum::<usize>(), 255);
    }

    #[test]
    fn ranges_of_one_property_are_one() {
        let query =
            Query::parse("+properties.p:>=2 +q:x +properties.p:<=5 +r:<3").unwrap_or(Query::None);
        let Query::Parts { must, .. } = &query else { panic!("{query:?}") };
        let ranges: Vec<_> = merged(must).into_iter().map(|(_, range)| range).collect();
        assert_eq!(ranges, [Some((ordered(2.0), ordered(5.0))), None, None]);
    }
}
