//! What is known of the tickets that a part of a query matches.

use std::cell::{Cell, OnceCell};

use super::{
    index::{Field, Index, Shape},
    slots::{Bits, Set, WORD, slots_of},
};
use crate::query::{Fields, Query, Value};

/// The tickets that a part of a query, or the counts of a ticket, match.
#[derive(Debug)]
pub(super) enum Clause<'a> {
    /// None.
    Nothing,
    /// These.
    Set(&'a Set),
    /// These.
    Bits(Bits),
    /// These, in order.
    List(Vec<u32>),
    /// Those that match when they are asked.
    Ask(&'a Query),
    /// Those whose shape is allowed.
    Shape(Sizes),
    /// Those with one of many values of a property.
    Values(Values<'a>),
}

/// The tickets whose property has one of many values. First each ticket is asked for its own; once
/// that was done for some, those of all values are put together.
#[derive(Debug)]
pub(super) struct Values<'a> {
    name: &'a str,
    field: &'a Field,
    which: Which<'a>,
    asked: Cell<usize>,
    all: OnceCell<Bits>,
}

#[derive(Debug)]
enum Which<'a> {
    /// Numbers from one to another.
    Range(i64, i64),
    /// Those that this part of a query matches.
    Part(&'a Query),
}

/// A range with at most this many tickets is a list; with more, this many are asked first.
const FEW: usize = 64;
/// Of more different shapes than this each ticket is asked its own.
const SHAPES: usize = 64;

impl<'a> Clause<'a> {
    /// What has a number from `min` to `max` in the property `name`.
    pub(super) fn range(name: &'a str, field: &'a Field, min: i64, max: i64) -> Self {
        if min > max {
            return Self::Nothing;
        }
        let mut sets = field.numbers.range(min..=max).map(|(_, set)| set);
        let (first, second) = (sets.next(), sets.next());
        let (Some(first), Some(second)) = (first, second) else {
            return first.map_or(Self::Nothing, Self::Set);
        };
        let mut list: Vec<u32> = Vec::new();
        for set in [first, second].into_iter().chain(sets) {
            if list.len() + set.len() > FEW {
                return Self::values(name, field, Which::Range(min, max));
            }
            list.extend(set.iter());
        }
        list.sort_unstable();
        Self::List(list)
    }

    /// What has a value in the property `name` that `part`, a pattern or the like, matches.
    pub(super) fn part(name: &'a str, field: &'a Field, part: &'a Query) -> Self {
        Self::values(name, field, Which::Part(part))
    }

    fn values(name: &'a str, field: &'a Field, which: Which<'a>) -> Self {
        let (asked, all) = (Cell::new(0), OnceCell::new());
        Self::Values(Values { name, field, which, asked, all })
    }

    /// The tickets of which groups of these sizes can be made.
    pub(super) fn sizes(index: &'a Index, sizes: Sizes) -> Self {
        let shapes = index.shapes().range(sizes.first()..=sizes.last());
        let fit = shapes.filter(|(shape, _)| sizes.fit(shape)).map(|(_, set)| set);
        let sets: Vec<&Set> = fit.take(SHAPES + 1).collect();
        match sets[..] {
            [] => Self::Nothing,
            [set] => Self::Set(set),
            _ if sets.len() > SHAPES => Self::Shape(sizes),
            _ => {
                let mut bits = Bits::default();
                sets.into_iter().for_each(|set| bits.add(set));
                Self::Bits(bits)
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Set(set) => set.len() == 0,
            Self::List(slots) => slots.is_empty(),
            Self::Bits(_) | Self::Ask(_) | Self::Shape(_) | Self::Values(_) => false,
        }
    }

    /// The slots one by one, where there are few.
    pub(super) fn list(&self) -> Option<&[u32]> {
        match self {
            Self::Nothing => Some(&[]),
            Self::Set(set) => set.list(),
            Self::List(slots) => Some(slots),
            _ => None,
        }
    }

    /// Whether 64 slots at a time cost as much as one.
    pub(super) fn is_fast(&self) -> bool {
        match self {
            Self::Values(values) => values.all.get().is_some(),
            _ => self.is_always_fast(),
        }
    }

    /// Whether that was so from the beginning.
    pub(super) fn is_always_fast(&self) -> bool {
        matches!(self, Self::Nothing | Self::Set(Set::Many(..)) | Self::Bits(_))
    }

    pub(super) fn contains(&self, index: &Index, slot: u32) -> bool {
        let ticket = || index.at(slot).map(|waiting| &*waiting.ticket);
        match self {
            Self::Nothing => false,
            Self::Set(set) => set.contains(slot),
            Self::Bits(bits) => bits.contains(slot),
            Self::List(slots) => slots.binary_search(&slot).is_ok(),
            Self::Ask(query) => ticket().is_some_and(|it| query.score(it.fields()).is_some()),
            Self::Shape(sizes) => ticket().is_some_and(|it| sizes.fit(&Shape::of(it))),
            Self::Values(values) => match values.all.get() {
                Some(all) => all.contains(slot),
                None if values.asked.get() < FEW => {
                    values.asked.set(values.asked.get() + 1);
                    ticket().is_some_and(|it| values.holds(it.fields()))
                }
                None => values.all().contains(slot),
            },
        }
    }

    /// Of the 64 slots of a word those that match.
    pub(super) fn narrow(&self, index: &Index, at: usize, mask: u64) -> u64 {
        match self {
            _ if mask == 0 => 0,
            Self::Nothing => 0,
            Self::Set(Set::Many(bits, _)) | Self::Bits(bits) => mask & bits.word(at),
            Self::Values(values) if values.all.get().is_some() => mask & values.all().word(at),
            _ => slots_of(at, mask)
                .filter(|slot| self.contains(index, *slot))
                .fold(0, |mask, slot| mask | 1 << (slot as usize % WORD)),
        }
    }
}

impl Values<'_> {
    fn holds(&self, fields: &Fields) -> bool {
        match self.which {
            Which::Range(min, max) => {
                let inside = |value: &Value| match value {
                    Value::Number(number) => (min..=max).contains(number),
                    Value::Text(_) => false,
                };
                fields.of(self.name).any(inside)
            }
            Which::Part(part) => part.score(fields).is_some(),
        }
    }

    fn all(&self) -> &Bits {
        self.all.get_or_init(|| {
            let mut bits = Bits::default();
            let Field { texts, numbers } = self.field;
            match self.which {
                Which::Range(min, max) => {
                    numbers.range(min..=max).for_each(|(_, set)| bits.add(set));
                }
                Which::Part(part) => {
                    let texts = texts.iter().filter(|(text, _)| part.score_of_text(text).is_some());
                    texts.for_each(|(_, set)| bits.add(set));
                    let numbers = numbers
                        .iter()
                        .filter(|(number, _)| part.score_of_number(**number).is_some());
                    numbers.for_each(|(_, set)| bits.add(set));
                }
            }
            bits
        })
    }
}

/// Which tickets fit into groups, by their counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// The least of the fewest they may want.
    pub(super) min: u32,
    /// The least of the most they may want.
    pub(super) least_max: u32,
    /// The most they may want.
    pub(super) max: u32,
    /// The group's size, where it is known: they allow it.
    pub(super) exact: Option<u32>,
    /// How many may wait in them.
    pub(super) room: u32,
}

impl Sizes {
    fn first(&self) -> Shape {
        Shape { max: self.least_max, min: 0, multiple: 0, size: 0 }
    }

    fn last(&self) -> Shape {
        Shape { max: self.max, min: u32::MAX, multiple: u32::MAX, size: u32::MAX }
    }

    fn fit(&self, shape: &Shape) -> bool {
        let allows = |size: u32| {
            (shape.min..=shape.max).contains(&size) && size.is_multiple_of(shape.multiple)
        };
        (self.least_max..=self.max).contains(&shape.max)
            && shape.min >= self.min
            && shape.size <= self.room
            && self.exact.is_none_or(allows)
    }
}
