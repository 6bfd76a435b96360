//! The ranks of one period of a board: a tree that knows at any time which place a record has.
//!
//! An insert, a removal, the rank of a record and the record of a rank take a time that grows with
//! the logarithm of the number of records. Records are in the order of the lists: score, subscore,
//! owner; for the highest first all three backwards.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use uuid::Uuid;

use super::definition::SortOrder;

/// Removed owners that are remembered, so that the news of a write which was overtaken by that of
/// the removal does not bring its record back.
const REMOVED: usize = 64;

/// Which of two news of one record is the later: the record's creation (Unix microseconds), and the
/// count of its scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::resources) struct Stamp {
    pub(super) create_time_us: i64,
    pub(super) num_score: i32,
}

/// What a record is ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Score {
    pub(super) score: i64,
    pub(super) subscore: i64,
    pub(super) owner: Uuid,
}

/// A [`Score`] as a number that is lower the better it is.
type Key = (i64, i64, u128);

fn key(order: SortOrder, score: Score) -> Key {
    let Score { score, subscore, owner } = score;
    match order {
        SortOrder::Ascending => (score, subscore, owner.as_u128()),
        SortOrder::Descending => (!score, !subscore, !owner.as_u128()),
    }
}

/// The reverse of [`key`].
fn score(order: SortOrder, (score, subscore, owner): Key) -> Score {
    match order {
        SortOrder::Ascending => Score { score, subscore, owner: Uuid::from_u128(owner) },
        SortOrder::Descending => {
            Score { score: !score, subscore: !subscore, owner: Uuid::from_u128(!owner) }
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Placed {
    score: i64,
    subscore: i64,
    stamp: Stamp,
}

/// The ranks of one period.
#[derive(Debug)]
pub(super) struct Ranks {
    order: SortOrder,
    tree: Tree,
    owners: HashMap<Uuid, Placed>,
    removed: VecDeque<(Uuid, Stamp)>,
    /// Whether all removals are remembered: while records are read from the database.
    reading: bool,
    /// There was no room for all records: nothing is held any more.
    full: bool,
    /// The records that all ranks hold together.
    total: Arc<AtomicUsize>,
}

impl Drop for Ranks {
    fn drop(&mut self) {
        self.total.fetch_sub(self.owners.len(), Ordering::Relaxed);
    }
}

impl Ranks {
    /// No records yet. `total` is counted up and down with them.
    pub(super) fn new(order: SortOrder, reading: bool, total: Arc<AtomicUsize>) -> Self {
        Self {
            order,
            tree: Tree::default(),
            owners: HashMap::new(),
            removed: VecDeque::new(),
            reading,
            full: false,
            total,
        }
    }

    /// Puts a record in its place, unless later news of it came before. Beyond `limit` records in
    /// `total` all of these are let go.
    pub(super) fn put(&mut self, record: Score, stamp: Stamp, limit: usize) {
        if self.full || self.is_stale(record.owner, stamp) {
            return;
        }
        let placed = Placed { score: record.score, subscore: record.subscore, stamp };
        match self.owners.insert(record.owner, placed) {
            Some(old) => {
                let Placed { score, subscore, .. } = old;
                let old = Score { score, subscore, owner: record.owner };
                self.tree.remove(key(self.order, old));
            }
            None if self.total.fetch_add(1, Ordering::Relaxed) >= limit => {
                self.total.fetch_sub(self.owners.len(), Ordering::Relaxed);
                (self.tree, self.owners, self.full) = (Tree::default(), HashMap::new(), true);
                return;
            }
            None => {}
        }
        self.tree.insert(key(self.order, record));
    }

    fn is_stale(&self, owner: Uuid, stamp: Stamp) -> bool {
        match self.owners.get(&owner) {
            Some(placed) => placed.stamp >= stamp,
            None => self.removed.iter().any(|(removed, last)| *removed == owner && *last >= stamp),
        }
    }

    /// Takes an owner's record out; `stamp` is that of the record as it was removed.
    pub(super) fn remove(&mut self, owner: Uuid, stamp: Stamp) {
        if !self.reading && self.removed.len() >= REMOVED {
            self.removed.pop_front();
        }
        self.removed.push_back((owner, stamp));
        // A record that is newer than the removed one stays.
        if self.owners.get(&owner).is_some_and(|placed| placed.stamp <= stamp)
            && let Some(Placed { score, subscore, .. }) = self.owners.remove(&owner)
        {
            self.total.fetch_sub(1, Ordering::Relaxed);
            self.tree.remove(key(self.order, Score { score, subscore, owner }));
        }
    }

    /// All records of the database have been put.
    pub(super) fn read(&mut self) {
        self.reading = false;
        while self.removed.len() > REMOVED {
            self.removed.pop_front();
        }
    }

    /// Whether it knows all ranks: all records were read, and there was room for them.
    pub(super) fn knows_all(&self) -> bool {
        !self.reading && !self.full
    }

    /// The number of records.
    pub(super) fn count(&self) -> usize {
        self.owners.len()
    }

    /// The rank of an owner's record, from 1.
    pub(super) fn rank(&self, owner: Uuid) -> Option<usize> {
        let Placed { score, subscore, .. } = *self.owners.get(&owner)?;
        Some(self.tree.before(key(self.order, Score { score, subscore, owner })) + 1)
    }

    /// The record of a rank, from 1.
    pub(super) fn at(&self, rank: usize) -> Option<Score> {
        self.tree.at(rank.checked_sub(1)?).map(|key| score(self.order, key))
    }
}

/// A treap whose nodes know the size of their subtrees. Nodes stand in one list and name one
/// another by index; node 0 stands for none.
#[derive(Debug)]
struct Tree {
    nodes: Vec<Node>,
    free: Vec<u32>,
    root: u32,
    seed: u64,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    key: Key,
    left: u32,
    right: u32,
    size: u32,
    priority: u32,
}

const NONE: u32 = 0;

impl Default for Tree {
    fn default() -> Self {
        let none = Node { key: (0, 0, 0), left: NONE, right: NONE, size: 0, priority: 0 };
        // Not to be guessed, so that nobody can choose scores that unbalance the tree.
        let seed = rand::random::<u64>() | 1;
        Self { nodes: vec![none], free: Vec::new(), root: NONE, seed }
    }
}

impl Tree {
    fn node(&self, index: u32) -> &Node {
        &self.nodes[index as usize]
    }

    fn node_mut(&mut self, index: u32) -> &mut Node {
        &mut self.nodes[index as usize]
    }

    fn resize(&mut self, index: u32) {
        let Node { left, right, .. } = *self.node(index);
        self.node_mut(index).size = self.node(left).size + self.node(right).size + 1;
    }

    fn priority(&mut self) -> u32 {
        // xorshift64*
        self.seed ^= self.seed >> 12;
        self.seed ^= self.seed << 25;
        self.seed ^= self.seed >> 27;
        (self.seed.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as u32
    }

    fn insert(&mut self, key: Key) {
        let node = Node { key, left: NONE, right: NONE, size: 1, priority: self.priority() };
        let index = match self.free.pop() {
            Some(index) => {
                *self.node_mut(index) = node;
                index
            }
            None => {
                let index = self.nodes.len() as u32;
                self.nodes.push(node);
                index
            }
        };
        self.root = self.insert_below(self.root, index);
    }

    fn insert_below(&mut self, root: u32, new: u32) -> u32 {
        if root == NONE {
            return new;
        }
        let (key, priority) = (self.node(new).key, self.node(new).priority);
        if priority > self.node(root).priority {
            let (left, right) = self.split(root, key);
            let node = self.node_mut(new);
            (node.left, node.right) = (left, right);
            self.resize(new);
            return new;
        }
        if key < self.node(root).key {
            let left = self.insert_below(self.node(root).left, new);
            self.node_mut(root).left = left;
        } else {
            let right = self.insert_below(self.node(root).right, new);
            self.node_mut(root).right = right;
        }
        self.resize(root);
        root
    }

    /// What is below `root`, in two: before `key` and after it.
    fn split(&mut self, root: u32, key: Key) -> (u32, u32) {
        if root == NONE {
            return (NONE, NONE);
        }
        let pair = if self.node(root).key < key {
            let (left, right) = self.split(self.node(root).right, key);
            self.node_mut(root).right = left;
            (root, right)
        } else {
            let (left, right) = self.split(self.node(root).left, key);
            self.node_mut(root).left = right;
            (left, root)
        };
        self.resize(root);
        pair
    }

    fn merge(&mut self, left: u32, right: u32) -> u32 {
        if left == NONE || right == NONE {
            return left.max(right);
        }
        if self.node(left).priority > self.node(right).priority {
            let merged = self.merge(self.node(left).right, right);
            self.node_mut(left).right = merged;
            self.resize(left);
            left
        } else {
            let merged = self.merge(left, self.node(right).left);
            self.node_mut(right).left = merged;
            self.resize(right);
            right
        }
    }

    /// Removes a key that is there.
    fn remove(&mut self, key: Key) {
        self.root = self.remove_below(self.root, key);
    }

    fn remove_below(&mut self, root: u32, key: Key) -> u32 {
        if root == NONE {
            return NONE;
        }
        let Node { key: here, left, right, .. } = *self.node(root);
        if key == here {
            self.free.push(root);
            return self.merge(left, right);
        }
        if key < here {
            let left = self.remove_below(left, key);
            self.node_mut(root).left = left;
        } else {
            let right = self.remove_below(right, key);
            self.node_mut(root).right = right;
        }
        self.resize(root);
        root
    }

    /// How many keys stand before `key`.
    fn before(&self, key: Key) -> usize {
        let (mut at, mut before) = (self.root, 0);
        while at != NONE {
            let node = self.node(at);
            if key <= node.key {
                at = node.left;
            } else {
                before += self.node(node.left).size as usize + 1;
                at = node.right;
            }
        }
        before
    }

    /// The key with `before` keys before it.
    fn at(&self, mut before: usize) -> Option<Key> {
        let mut at = self.root;
        while at != NONE {
            let node = self.node(at);
            let left = self.node(node.left).size as usize;
            match before.cmp(&left) {
                std::cmp::Ordering::Less => at = node.left,
                std::cmp::Ordering::Equal => return Some(node.key),
                std::cmp::Ordering::Greater => {
                    before -= left + 1;
                    at = node.right;
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    fn stamp(create_time_us: i64, num_score: i32) -> Stamp {
        Stamp { create_time_us, num_score }
    }

    fn owner(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    fn record(score: i64, subscore: i64, number: u128) -> Score {
        Score { score, subscore, owner: owner(number) }
    }

    fn ranks(order: SortOrder) -> Ranks {
        Ranks::new(order, false, Arc::default())
    }

    /// The records in the order of the ranks.
    fn list(ranks: &Ranks) -> Vec<Score> {
        (1..=ranks.count()).map(|rank| ranks.at(rank).unwrap()).collect()
    }

    #[test]
    fn ranks_are_those_of_a_sorted_list_after_any_puts_and_removals() {
        for (seed, order) in [(1, SortOrder::Ascending), (2, SortOrder::Descending)] {
            let mut random = StdRng::seed_from_u64(seed);
            let mut ranks = ranks(order);
            let mut model: HashMap<Uuid, Score> = HashMap::new();
            for step in 0..6_000 {
                // Few owners and scores, so that many are equal.
                let owner = owner(random.random_range(1..300));
                if random.random_ratio(1, 5) {
                    ranks.remove(owner, stamp(step, 1));
                    model.remove(&owner);
                } else {
                    let (score, subscore) = (random.random_range(0..20), random.random_range(0..4));
                    let record = Score { score, subscore, owner };
                    ranks.put(record, stamp(step, 1), usize::MAX);
                    model.insert(owner, record);
                }
                if step % 50 != 0 {
                    continue;
                }
                let mut sorted: Vec<Score> = model.values().copied().collect();
                sorted.sort();
                if order == SortOrder::Descending {
                    sorted.reverse();
                }
                assert_eq!(list(&ranks), sorted);
                for (at, record) in sorted.iter().enumerate() {
                    assert_eq!(ranks.rank(record.owner), Some(at + 1));
                }
                assert_eq!(ranks.at(sorted.len() + 1), None);
                assert_eq!(ranks.total.load(Ordering::Relaxed), sorted.len());
            }
        }
    }

    #[test]
    fn the_tree_stays_shallow_when_scores_only_rise() {
        let mut ranks = ranks(SortOrder::Ascending);
        for score in 0..20_000 {
            ranks.put(record(score, 0, score as u128), stamp(1, 1), usize::MAX);
        }
        fn depth(tree: &Tree, at: u32) -> usize {
            if at == NONE {
                return 0;
            }
            let node = tree.node(at);
            1 + depth(tree, node.left).max(depth(tree, node.right))
        }
        // A balanced tree has 15; a treap of this size is beyond 60 less than once in 10^9 times.
        assert!(depth(&ranks.tree, ranks.tree.root) < 60);
    }

    #[test]
    fn old_news_change_nothing() {
        let mut ranks = ranks(SortOrder::Descending);
        ranks.put(record(5, 0, 1), stamp(1, 2), usize::MAX);
        ranks.put(record(9, 0, 1), stamp(1, 1), usize::MAX);
        assert_eq!(list(&ranks), [record(5, 0, 1)]);
        // A removal, then the news of the write before it, then that of a new record.
        ranks.remove(owner(1), stamp(1, 3));
        ranks.put(record(7, 0, 1), stamp(1, 3), usize::MAX);
        assert_eq!(ranks.count(), 0);
        ranks.put(record(1, 0, 1), stamp(2, 1), usize::MAX);
        ranks.remove(owner(1), stamp(1, 3));
        assert_eq!(list(&ranks), [record(1, 0, 1)]);
    }

    #[test]
    fn removals_are_all_remembered_while_records_are_read() {
        let mut ranks = Ranks::new(SortOrder::Ascending, true, Arc::default());
        for number in 0..200 {
            ranks.remove(owner(number), stamp(1, 1));
        }
        ranks.put(record(1, 0, 0), stamp(1, 1), usize::MAX);
        assert!(ranks.count() == 0 && !ranks.knows_all());
        ranks.read();
        assert!(ranks.knows_all());
    }

    #[test]
    fn beyond_the_limit_a_period_lets_all_of_its_records_go() {
        let total = Arc::new(AtomicUsize::new(0));
        let mut small = Ranks::new(SortOrder::Ascending, false, Arc::clone(&total));
        let mut large = Ranks::new(SortOrder::Ascending, false, Arc::clone(&total));
        small.put(record(1, 0, 1), stamp(1, 1), 3);
        for number in 1..=3 {
            large.put(record(1, 0, number), stamp(1, 1), 3);
        }
        assert!(small.knows_all() && !large.knows_all());
        assert_eq!(total.load(Ordering::Relaxed), 1);
        drop(small);
        assert_eq!(total.load(Ordering::Relaxed), 0);
        drop(large);
        assert_eq!(total.load(Ordering::Relaxed), 0);
    }
}
