//! The pool against a model that looks at everything.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{super::*, *};

/// A part of a query: its sign, the property and what is asked of it.
type Part = (char, u8, Leaf);

#[derive(Clone, Copy, Debug)]
enum Leaf {
    Text(u8),
    Prefix,
    Number(i8),
    AtLeast(i8),
    AtMost(i8),
}

/// A property's value.
#[derive(Clone, Copy, Debug)]
enum Value {
    Text(u8),
    Number(i8),
}

/// A ticket as it is drawn.
#[derive(Clone, Debug)]
struct Drawn {
    sessions: Vec<u128>,
    counts: (i32, i32, i32),
    properties: BTreeMap<u8, Value>,
    query: Vec<Part>,
}

/// What happens to the pool.
#[derive(Clone, Debug)]
enum Step {
    Add(Drawn),
    Remove(u128),
    Interval,
}

impl Drawn {
    fn ticket(&self) -> NewTicket {
        let properties: Vec<String> = self
            .properties
            .iter()
            .map(|(name, value)| match value {
                Value::Text(text) => format!("p{name}=t{text}"),
                Value::Number(number) => format!("p{name}={number}"),
            })
            .collect();
        let properties: Vec<&str> = properties.iter().map(String::as_str).collect();
        ticket(&self.sessions, self.counts, &properties, &text(&self.query))
    }

    fn size(&self) -> usize {
        self.sessions.len()
    }

    fn allows(&self, size: usize) -> bool {
        let (min, max, multiple) = self.counts;
        let size = size as i32;
        min <= size && size <= max && size % multiple == 0
    }

    fn covers(&self, other: &Self) -> bool {
        self.counts.0 <= other.counts.0 && other.counts.1 <= self.counts.1
    }

    fn is_beside(&self, other: &Self) -> bool {
        self.sessions.iter().any(|session| other.sessions.contains(session))
    }

    /// How well the query of this ticket matches another one, if it does.
    fn score(&self, other: &Self) -> Option<i32> {
        if self.query.is_empty() {
            return Some(1);
        }
        let hits = |(_, name, leaf): &Part| match (other.properties.get(name)?, leaf) {
            (Value::Text(value), Leaf::Text(text)) => (value == text).then_some(1),
            (Value::Text(_), Leaf::Prefix) => Some(1),
            (Value::Number(value), Leaf::Number(number)) => (value == number).then_some(1),
            (Value::Number(value), Leaf::AtLeast(least)) => (value >= least).then_some(1),
            (Value::Number(value), Leaf::AtMost(most)) => (value <= most).then_some(1),
            _ => None,
        };
        let of = |sign: char| self.query.iter().filter(move |part| part.0 == sign);
        if of('-').any(|part| hits(part).is_some()) {
            return None;
        }
        let must = of('+').map(hits).sum::<Option<i32>>()?;
        let should = of(' ').filter_map(hits).sum::<i32>();
        let (has_must, has_should) = (of('+').next().is_some(), of(' ').next().is_some());
        match (has_must, has_should) {
            (false, false) => Some(1),
            (false, true) if should == 0 => None,
            _ => Some(must + should),
        }
    }
}

fn text(query: &[Part]) -> String {
    let part = |(sign, name, leaf): &Part| {
        let sign = sign.to_string();
        let value = match leaf {
            Leaf::Text(text) => format!("t{text}"),
            Leaf::Prefix => "t*".to_owned(),
            Leaf::Number(number) => number.to_string(),
            Leaf::AtLeast(least) => format!(">={least}"),
            Leaf::AtMost(most) => format!("<={most}"),
        };
        format!("{}properties.p{name}:{value}", sign.trim())
    };
    match query {
        [] => "*".to_owned(),
        parts => parts.iter().map(part).collect::<Vec<_>>().join(" "),
    }
}

/// A ticket that waits, in the model.
#[derive(Clone, Debug)]
struct Waits {
    drawn: Drawn,
    active: bool,
    intervals: usize,
}

/// All that waits, by number, which is the order of age.
type Model = BTreeMap<u128, Waits>;

/// Whether these tickets may be a group around `looks`.
fn may_be_group(model: &Model, rules: Rules, looks: u128, others: &[u128]) -> Result<(), String> {
    let all: Vec<(u128, &Drawn)> =
        others.iter().chain([&looks]).map(|number| (*number, &model[number].drawn)).collect();
    let size: usize = all.iter().map(|(_, it)| it.size()).sum();
    let leader = &model[&looks].drawn;
    for (number, member) in &all {
        if !member.allows(size) {
            return Err(format!("{number} does not want {size}"));
        }
        if !leader.covers(member) {
            return Err(format!("{looks} does not cover the counts of {number}"));
        }
        for (other, its) in all.iter().filter(|(other, _)| other != number) {
            if member.is_beside(its) {
                return Err(format!("{number} and {other} have a session in common"));
            }
            if (rules.mutual || *number == looks) && member.score(its).is_none() {
                return Err(format!("{other} violates the query of {number}"));
            }
        }
    }
    Ok(())
}

/// Whether `looks` could be in a group of one of these sizes, by a look at every set of tickets.
fn has_group(model: &Model, rules: Rules, looks: u128, full: bool) -> Option<Vec<u128>> {
    let others: Vec<u128> = model.keys().copied().filter(|other| *other != looks).collect();
    let leader = &model[&looks].drawn;
    (1..1_u32 << others.len()).find_map(|set| {
        let bits = others.iter().enumerate().filter(|(bit, _)| set >> bit & 1 == 1);
        let group: Vec<u128> = bits.map(|(_, number)| *number).collect();
        let size = group.iter().map(|it| model[it].drawn.size()).sum::<usize>() + leader.size();
        let wanted = !full || size as i32 == leader.counts.1;
        (wanted && may_be_group(model, rules, looks, &group).is_ok()).then_some(group)
    })
}

/// Plays the steps with a pool and with the model.
fn play(rules: Rules, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut room = Room::new(rules);
    let mut model = Model::new();
    for step in steps {
        match step {
            Step::Add(drawn) => {
                let of = |session: &u128| {
                    model.values().filter(|it| it.drawn.sessions.contains(session)).count()
                };
                let too_many = drawn.sessions.iter().any(|it| of(it) >= rules.max_tickets);
                let number = room.tickets;
                let added = room.pool.add(uuid(number), number as i64, drawn.ticket());
                prop_assert_eq!(
                    added,
                    if too_many { Err(NotAdded::TooManyTickets) } else { Ok(()) }
                );
                if !too_many {
                    room.tickets += 1;
                    let waits = Waits { drawn: drawn.clone(), active: true, intervals: 0 };
                    model.insert(number, waits);
                }
            }
            Step::Remove(session) => {
                room.pool.remove_session(&uuid(*session));
                model.retain(|_, it| !it.drawn.sessions.contains(session));
            }
            Step::Interval => interval(&mut room, &mut model, rules)?,
        }
        prop_assert_eq!(room.pool.len(), model.len());
        prop_assert_eq!(room.pool.active(), model.values().filter(|it| it.active).count());
    }
    Ok(())
}

fn interval(room: &mut Room, model: &mut Model, rules: Rules) -> Result<(), TestCaseError> {
    let groups = room.interval();
    // Who looked, until it was taken, and whether it did so for the last time.
    let mut last = BTreeMap::new();
    for (number, waits) in model.iter_mut().filter(|(_, waits)| waits.active) {
        waits.intervals += 1;
        let exact = waits.drawn.counts.0 == waits.drawn.counts.1;
        last.insert(*number, exact || waits.intervals >= rules.max_intervals);
    }
    for group in groups {
        let (looks, others) = group.split_last().unwrap();
        prop_assert!(group.iter().all(|number| model.contains_key(number)), "{:?}", group);
        prop_assert!(!others.is_empty());
        if let Err(wrong) = may_be_group(model, rules, *looks, others) {
            return Err(TestCaseError::fail(format!("{group:?}: {wrong}")));
        }
        prop_assert!(last.contains_key(looks), "{} was not active", looks);
        let size: usize = group.iter().map(|it| model[it].drawn.size()).sum();
        let full = size as i32 == model[looks].drawn.counts.1;
        prop_assert!(full || last[looks], "{:?} is too small, too early", group);
        for number in group {
            model.remove(&number);
        }
    }
    // What is left could not be made either: it was all there when these looked.
    for (number, last) in last {
        let Some(waits) = model.get_mut(&number) else { continue };
        waits.active = !last;
        let missed = has_group(model, rules, number, !last);
        prop_assert_eq!(missed, None, "{} had a group", number);
    }
    Ok(())
}

/// The pairs that a look at every ticket, in the order of age and score, makes.
fn pairs(model: &Model) -> Vec<Vec<u128>> {
    let (mut left, mut pairs) = (model.clone(), Vec::new());
    for looks in model.keys().filter(|looks| model[*looks].active) {
        let Some(own) = left.get(looks).map(|it| it.drawn.clone()) else { continue };
        let scores = left.iter().filter(|(other, _)| *other != looks).filter_map(|(other, it)| {
            let fits = own.covers(&it.drawn) && !own.is_beside(&it.drawn);
            Some((-own.score(&it.drawn).filter(|_| fits)?, *other))
        });
        if let Some((_, other)) = scores.min() {
            left.remove(&other);
            left.remove(looks);
            pairs.push(vec![other, *looks]);
        }
    }
    pairs
}

fn leaf() -> impl Strategy<Value = Leaf> {
    prop_oneof![
        4 => (0..3_u8).prop_map(Leaf::Text),
        1 => Just(Leaf::Prefix),
        2 => (-2..3_i8).prop_map(Leaf::Number),
        2 => (-2..3_i8).prop_map(Leaf::AtLeast),
        2 => (-2..3_i8).prop_map(Leaf::AtMost),
    ]
}

fn drawn(
    sessions: impl Strategy<Value = Vec<u128>>,
    counts: impl Strategy<Value = (i32, i32, i32)>,
) -> impl Strategy<Value = Drawn> {
    let value = prop_oneof![(0..3_u8).prop_map(Value::Text), (-2..3_i8).prop_map(Value::Number),];
    let sign = || prop_oneof![3 => Just('+'), 2 => Just(' '), 1 => Just('-')];
    // Long queries mostly raise scores, or nothing would match them.
    let signs = || prop_oneof![1 => Just('+'), 20 => Just(' '), 1 => Just('-')];
    let query = prop_oneof![
        6 => proptest::collection::vec((sign(), 0..3_u8, leaf()), 0..6),
        1 => proptest::collection::vec((signs(), 0..3_u8, leaf()), 6..14),
    ];
    let properties = proptest::collection::btree_map(0..3_u8, value, 0..4);
    (sessions, counts, properties, query).prop_map(|(sessions, counts, properties, query)| Drawn {
        sessions,
        counts,
        properties,
        query,
    })
}

/// One session or a few of one party. That several tickets share sessions is drawn often.
fn sessions() -> impl Strategy<Value = Vec<u128>> {
    (0..12_u128, prop_oneof![4 => Just(1), 1 => Just(2), 1 => Just(3)])
        .prop_map(|(first, size)| (first..first + size).collect())
}

fn counts() -> impl Strategy<Value = (i32, i32, i32)> {
    prop_oneof![
        Just((2, 2, 1)),
        Just((3, 3, 1)),
        Just((2, 4, 1)),
        Just((2, 4, 2)),
        Just((3, 6, 3)),
        Just((2, 6, 1)),
        Just((4, 4, 2)),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => drawn(sessions(), counts()).prop_map(Step::Add),
        1 => (0..14_u128).prop_map(Step::Remove),
        2 => Just(Step::Interval),
    ];
    proptest::collection::vec(step, 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Sizes, multiples, sessions and the query of who looked hold in every group, and no group
    /// that a look at all sets of tickets finds is missed.
    #[test]
    fn every_group_keeps_the_rules_and_none_is_missed(steps in steps()) {
        play(RULES, &steps)?;
    }

    /// The same where the queries of all members count.
    #[test]
    fn no_group_violates_the_query_of_a_member(steps in steps()) {
        play(Rules { mutual: true, ..RULES }, &steps)?;
    }

    /// Of pairs it is known which ones have to be made.
    #[test]
    fn pairs_are_those_of_the_best_and_oldest(
        rounds in proptest::collection::vec(
            proptest::collection::vec(
                drawn((0..1000_u128).prop_map(|it| vec![it]), Just((2, 2, 1))),
                0..90,
            ),
            1..4,
        ),
    ) {
        let mut room = Room::new(Rules { max_tickets: usize::MAX, ..RULES });
        let mut model = Model::new();
        for round in rounds {
            for drawn in round {
                let number = room.add(drawn.ticket());
                model.insert(number, Waits { drawn, active: true, intervals: 0 });
            }
            let wanted = pairs(&model);
            let made = room.interval();
            prop_assert_eq!(&made, &wanted);
            model.retain(|number, _| !made.iter().flatten().any(|it| it == number));
            model.values_mut().for_each(|waits| waits.active = false);
        }
    }
}
