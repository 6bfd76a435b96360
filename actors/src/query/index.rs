//! An index in memory: documents, and for each field the documents that have a term or number.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::Hash,
};

use serde::{Deserialize, Serialize};

use super::{
    fields::{Fields, Value, ordered},
    parse::Query,
};

/// Documents of type `D` under keys of type `K`.
#[derive(Debug)]
pub struct Index<K, D> {
    documents: BTreeMap<u64, Document<K, D>>,
    by_key: HashMap<K, u64>,
    fields: Vec<Field>,
    names: HashMap<String, usize>,
    /// Fields that no document has any more: others take their places, since names come from clients.
    free: Vec<usize>,
    /// The number of the next document; later ones have higher numbers.
    next: u64,
}

#[derive(Debug)]
struct Document<K, D> {
    key: K,
    data: D,
    /// By the number of the field.
    values: Vec<(usize, Value)>,
    /// By what the document is sorted.
    sortable: Vec<(usize, Vec<u8>)>,
}

/// Which documents have which values in a field.
#[derive(Debug, Default)]
struct Field {
    /// Nothing while it is free.
    name: Option<String>,
    texts: BTreeMap<String, BTreeSet<u64>>,
    numbers: BTreeMap<i64, BTreeSet<u64>>,
}

/// One criterion of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    by: By,
    descending: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum By {
    Score,
    Field(String),
}

impl Sort {
    /// `level`, `-level` for the highest first, or `_score`, whose highest is always first.
    pub fn parse(text: &str) -> Self {
        let (descending, name) = match text.strip_prefix('-') {
            Some(name) => (true, name),
            None => (false, text),
        };
        match name.strip_prefix('+').unwrap_or(name) {
            "_score" => Self { by: By::Score, descending: true },
            name => Self { by: By::Field(name.to_owned()), descending },
        }
    }
}

/// The place of a document in an order: what it is sorted by, then its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SortKey {
    /// The bytes of each criterion.
    pub parts: Vec<Vec<u8>>,
    /// The number of the document.
    pub number: u64,
}

/// A document that was found.
#[derive(Debug)]
pub struct Found<'a, K, D> {
    /// Its key.
    pub key: &'a K,
    /// What is kept of it.
    pub data: &'a D,
    /// Its place in the order.
    pub place: SortKey,
    /// How well it matches.
    pub score: f64,
}

/// What a document without a field is sorted by: it is last in either direction.
const MISSING: [u8; 10] = [0xff; 10];
const MISSING_DESCENDING: [u8; 1] = [0];

impl<K, D> Default for Index<K, D> {
    fn default() -> Self {
        Self {
            documents: BTreeMap::new(),
            by_key: HashMap::new(),
            fields: Vec::new(),
            names: HashMap::new(),
            free: Vec::new(),
            next: 0,
        }
    }
}

/// Documents by number, with their scores, in the order of numbers.
type Matches = Vec<(u64, f64)>;

impl<K: Clone + Eq + Hash, D> Index<K, D> {
    /// How many documents there are.
    pub fn len(&self) -> usize {
        self.documents.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }

    /// What is kept of a document.
    pub fn get(&self, key: &K) -> Option<&D> {
        self.by_key.get(key).and_then(|number| self.documents.get(number)).map(|it| &it.data)
    }

    /// Puts a document in the place of an earlier one with its key. It can be sorted by those of its
    /// fields of which `sortable` says so; of several values the least counts.
    pub fn put(&mut self, key: K, data: D, fields: Fields, sortable: impl Fn(&str) -> bool) {
        self.remove(&key);
        let number = self.next;
        self.next += 1;
        let mut values = Vec::with_capacity(fields.0.len());
        let mut sorts: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
        for (name, value) in fields.0 {
            let can_sort = sortable(&name);
            let field = self.field(name);
            if can_sort {
                let bytes = value.sort_bytes();
                let least = sorts.entry(field).or_insert_with(|| bytes.clone());
                if bytes < *least {
                    *least = bytes;
                }
            }
            match &value {
                Value::Text(text) => match self.fields[field].texts.get_mut(text) {
                    Some(documents) => drop(documents.insert(number)),
                    None => {
                        self.fields[field].texts.insert(text.clone(), BTreeSet::from([number]));
                    }
                },
                Value::Number(value) => {
                    self.fields[field].numbers.entry(*value).or_default().insert(number);
                }
            }
            values.push((field, value));
        }
        let sortable = sorts.into_iter().collect();
        self.documents.insert(number, Document { key: key.clone(), data, values, sortable });
        self.by_key.insert(key, number);
    }

    /// Takes a document out: what was kept of it.
    pub fn remove(&mut self, key: &K) -> Option<D> {
        let number = self.by_key.remove(key)?;
        let document = self.documents.remove(&number)?;
        for (at, value) in document.values {
            let field = &mut self.fields[at];
            match value {
                Value::Text(text) => {
                    if let Some(documents) = field.texts.get_mut(&text) {
                        documents.remove(&number);
                        if documents.is_empty() {
                            field.texts.remove(&text);
                        }
                    }
                }
                Value::Number(value) => {
                    if let Some(documents) = field.numbers.get_mut(&value) {
                        documents.remove(&number);
                        if documents.is_empty() {
                            field.numbers.remove(&value);
                        }
                    }
                }
            }
            if field.texts.is_empty()
                && field.numbers.is_empty()
                && let Some(name) = field.name.take()
            {
                self.names.remove(&name);
                self.free.push(at);
            }
        }
        Some(document.data)
    }

    /// The keys of the documents with the least numbers in a field, at most `count`.
    pub fn least(&self, field: &str, count: usize) -> Vec<K> {
        let Some(field) = self.names.get(field) else { return Vec::new() };
        let numbers = self.fields[*field].numbers.values().flatten();
        let documents = numbers.filter_map(|number| self.documents.get(number));
        documents.map(|document| document.key.clone()).take(count).collect()
    }

    /// The keys of the documents with this text in a field.
    pub fn with_text(&self, field: &str, text: &str) -> Vec<K> {
        let Some(field) = self.names.get(field) else { return Vec::new() };
        let numbers = self.fields[*field].texts.get(text).into_iter().flatten();
        let documents = numbers.filter_map(|number| self.documents.get(number));
        documents.map(|document| document.key.clone()).collect()
    }

    /// At most `limit` documents that match, in an order, behind `after`. Without an order the best
    /// are first; among equals those that were put in earlier.
    pub fn search(
        &self,
        query: &Query,
        order: &[Sort],
        after: Option<&SortKey>,
        limit: usize,
    ) -> Vec<Found<'_, K, D>> {
        const BEST_FIRST: &[Sort] = &[Sort { by: By::Score, descending: true }];
        let order = if order.is_empty() { BEST_FIRST } else { order };
        // The number of each criterion's field.
        let fields: Vec<Option<usize>> = order
            .iter()
            .map(|sort| match &sort.by {
                By::Score => None,
                By::Field(name) => self.names.get(name).copied(),
            })
            .collect();
        let mut found: Vec<Found<'_, K, D>> = Vec::new();
        for (number, score) in self.matches(query) {
            let Some(document) = self.documents.get(&number) else { continue };
            let part = |(sort, field): (&Sort, &Option<usize>)| match &sort.by {
                By::Score => Value::Number(ordered(score)).sort_bytes(),
                By::Field(_) => {
                    let known = document.sortable.iter().find(|(of, _)| Some(*of) == *field);
                    match known {
                        Some((_, bytes)) => bytes.clone(),
                        None if sort.descending => MISSING_DESCENDING.to_vec(),
                        None => MISSING.to_vec(),
                    }
                }
            };
            let parts = order.iter().zip(&fields).map(part).collect();
            let place = SortKey { parts, number };
            if after.is_none_or(|after| compare(order, &place, after) == Ordering::Greater) {
                found.push(Found { key: &document.key, data: &document.data, place, score });
            }
        }
        let by_place =
            |a: &Found<'_, K, D>, b: &Found<'_, K, D>| compare(order, &a.place, &b.place);
        if limit < found.len() {
            found.select_nth_unstable_by(limit, by_place);
            found.truncate(limit);
        }
        found.sort_unstable_by(by_place);
        found
    }

    fn field(&mut self, name: String) -> usize {
        if let Some(field) = self.names.get(&name) {
            return *field;
        }
        let field = self.free.pop().unwrap_or_else(|| {
            self.fields.push(Field::default());
            self.fields.len() - 1
        });
        self.fields[field].name = Some(name.clone());
        self.names.insert(name, field);
        field
    }

    fn named(&self, name: &str) -> Option<&Field> {
        self.names.get(name).map(|field| &self.fields[*field])
    }

    fn matches(&self, query: &Query) -> Matches {
        match query {
            Query::All => self.documents.keys().map(|number| (*number, 1.0)).collect(),
            Query::None => Vec::new(),
            Query::Term { field, term, boost } => {
                let documents = self.named(field).and_then(|field| field.texts.get(term));
                documents.into_iter().flatten().map(|number| (*number, *boost)).collect()
            }
            Query::Range { field, min, max, boost } => match self.named(field) {
                Some(field) if min <= max => summed(
                    field
                        .numbers
                        .range(*min..=*max)
                        .flat_map(|(_, documents)| documents.iter().map(|it| (*it, *boost))),
                ),
                _ => Vec::new(),
            },
            Query::Fuzzy { field, .. } | Query::Pattern { field, .. } => {
                let Some(field) = self.named(field) else { return Vec::new() };
                let texts = field
                    .texts
                    .iter()
                    .filter_map(|(text, documents)| Some((query.score_of_text(text)?, documents)));
                let numbers = field.numbers.iter().filter_map(|(number, documents)| {
                    Some((query.score_of_number(*number)?, documents))
                });
                let each = |(score, documents): (f64, &'_ BTreeSet<u64>)| {
                    documents.iter().map(|it| (*it, score)).collect::<Vec<_>>()
                };
                summed(texts.chain(numbers).flat_map(each))
            }
            Query::Parts { must, should, must_not, boost } => {
                self.parts(must, should, must_not, *boost)
            }
        }
    }

    fn parts(&self, must: &[Query], should: &[Query], must_not: &[Query], boost: f64) -> Matches {
        let mut raising = summed(should.iter().flat_map(|part| self.matches(part)));
        let mut matches = match must {
            [] if should.is_empty() => self.matches(&Query::All),
            [] => std::mem::take(&mut raising),
            [first, rest @ ..] => {
                let mut matches = self.matches(first);
                for part in rest {
                    // What nothing is left of needs no further look.
                    if matches.is_empty() {
                        return matches;
                    }
                    both(&mut matches, &self.matches(part));
                }
                matches
            }
        };
        add(&mut matches, &raising);
        for part in must_not {
            let not = self.matches(part);
            matches.retain(|(number, _)| not.binary_search_by_key(number, |it| it.0).is_err());
        }
        if boost != 1.0 {
            matches.iter_mut().for_each(|(_, score)| *score *= boost);
        }
        matches
    }
}

/// Each document once, with the sum of its scores.
fn summed(matches: impl Iterator<Item = (u64, f64)>) -> Matches {
    let mut matches: Matches = matches.collect();
    matches.sort_by_key(|(number, _)| *number);
    matches.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
    matches
}

/// Leaves those that are in `others` too, with both scores.
fn both(matches: &mut Matches, others: &Matches) {
    matches.retain_mut(|(number, score)| {
        let other = others.binary_search_by_key(number, |it| it.0).ok().map(|at| others[at].1);
        *score += other.unwrap_or(0.0);
        other.is_some()
    });
}

/// Adds the scores of `others` to those that are in both.
fn add(matches: &mut Matches, others: &Matches) {
    if others.is_empty() {
        return;
    }
    for (number, score) in matches {
        if let Ok(at) = others.binary_search_by_key(number, |it| it.0) {
            *score += others[at].1;
        }
    }
}

fn compare(order: &[Sort], a: &SortKey, b: &SortKey) -> Ordering {
    for (sort, (a, b)) in order.iter().zip(a.parts.iter().zip(&b.parts)) {
        let by_value = if sort.descending { b.cmp(a) } else { a.cmp(b) };
        if by_value != Ordering::Equal {
            return by_value;
        }
    }
    a.number.cmp(&b.number)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rand::{Rng, SeedableRng, rngs::StdRng};
    use serde_json::{Value as Json, json};

    use super::*;

    fn indexed(documents: &[(&'static str, Json)]) -> Index<&'static str, ()> {
        let mut index = Index::default();
        for (key, json) in documents {
            let mut fields = Fields::default();
            fields.json("value", json);
            index.put(*key, (), fields, |_| true);
        }
        index
    }

    fn found(index: &Index<&'static str, ()>, query: &str, order: &[&str]) -> Vec<&'static str> {
        let order: Vec<Sort> = order.iter().map(|text| Sort::parse(text)).collect();
        let query = Query::parse(query).unwrap();
        index.search(&query, &order, None, 100).into_iter().map(|found| *found.key).collect()
    }

    #[test]
    fn queries_find_what_the_reference_finds() {
        let index = indexed(&[
            ("a", json!({ "name": "ann", "level": 1, "tags": ["x", "y"], "on": true })),
            ("b", json!({ "name": "bob", "level": 5, "tags": ["y"], "day": "2024-01-02" })),
            ("c", json!({ "name": "cathy", "level": 10.5, "deep": { "level": 5 } })),
            ("d", json!({ "name": "5", "level": -3 })),
        ]);
        for (query, wanted) in [
            ("*", vec!["a", "b", "c", "d"]),
            ("", vec![]),
            ("value.name:ann", vec!["a"]),
            ("value.name:ann value.name:bob", vec!["a", "b"]),
            ("+value.level:>=1 +value.level:<10.5", vec!["a", "b"]),
            ("value.level:>1", vec!["b", "c"]),
            ("value.level:<-1", vec!["d"]),
            ("value.level:-3", vec!["d"]),
            ("value.name:5", vec!["d"]),
            ("-value.tags:y", vec!["c", "d"]),
            ("+value.tags:y -value.tags:x", vec!["b"]),
            ("value.deep.level:5", vec!["c"]),
            ("value.on:T", vec!["a"]),
            ("value.on:true", vec![]),
            ("value.name:\"ann\"", vec![]),
            ("ann", vec![]),
            ("value.name:*a*", vec!["a", "c"]),
            ("value.name:b?b", vec!["b"]),
            ("value.name:/[ab].+/", vec!["a", "b"]),
            ("value.name:amn~", vec!["a"]),
            ("value.name:anm~", vec!["a"]),
            ("value.level:*", vec!["a", "b", "c", "d"]),
            ("value.day:>=\"2024-01-02T00:00:00Z\"", vec!["b"]),
            ("value.day:>\"2024-01-02T00:00:00Z\"", vec![]),
            ("value.nothing:x", vec![]),
        ] {
            assert_eq!(found(&index, query, &["value.none"]), wanted, "{query}");
        }
    }

    #[test]
    fn the_best_come_first_and_then_the_earliest() {
        let index = indexed(&[
            ("a", json!({ "x": "1st", "y": "same" })),
            ("b", json!({ "x": "2nd", "y": "same" })),
            ("c", json!({ "x": "3rd", "y": "other" })),
        ]);
        assert_eq!(found(&index, "value.y:same value.x:2nd", &[]), ["b", "a"]);
        assert_eq!(found(&index, "+value.y:same value.x:2nd", &[]), ["b", "a"]);
        assert_eq!(found(&index, "value.y:same value.x:3rd^2", &[]), ["c", "a", "b"]);
        assert_eq!(found(&index, "+value.y:/.*/ value.x:3rd", &["-_score"]), ["c", "a", "b"]);
    }

    #[test]
    fn fields_give_the_order_and_what_lacks_them_is_last() {
        let index = indexed(&[
            ("a", json!({ "n": 5, "s": "b" })),
            ("b", json!({ "n": -1 })),
            ("c", json!({ "s": "a" })),
            ("d", json!({ "n": [100, 7], "s": "c" })),
        ]);
        assert_eq!(found(&index, "*", &["value.n"]), ["b", "a", "d", "c"]);
        assert_eq!(found(&index, "*", &["-value.n"]), ["d", "a", "b", "c"]);
        assert_eq!(found(&index, "*", &["value.s"]), ["c", "a", "d", "b"]);
        assert_eq!(found(&index, "*", &["value.unknown", "-value.s"]), ["d", "a", "c", "b"]);
    }

    #[test]
    fn a_field_that_no_document_has_is_forgotten() {
        let mut index = Index::default();
        for at in 0..100 {
            let mut fields = Fields::default();
            fields.json("value", &json!({ format!("f{at}"): ["x", "x", 1], "kept": "x" }));
            index.put("a", (), fields, |_| true);
            assert_eq!(found(&index, &format!("value.f{at}:x"), &[]), ["a"]);
            assert_eq!(found(&index, &format!("value.f{at}:1"), &[]), ["a"]);
            let before = format!("value.f{}:x", at - 1);
            assert_eq!(found(&index, &before, &[]), [""; 0]);
        }
        assert_eq!((index.fields.len(), index.names.len()), (2, 2));
        index.remove(&"a");
        assert_eq!((index.names.len(), index.free.len()), (0, 2));
    }

    #[test]
    fn pages_end_where_the_next_begins() {
        let documents: Vec<(&'static str, Json)> =
            ["a", "b", "c", "d", "e"].map(|key| (key, json!({ "n": key.len() }))).into();
        let index = indexed(&documents);
        let order = [Sort::parse("-value.n")];
        let (mut keys, mut after) = (Vec::new(), None);
        loop {
            let page = index.search(&Query::All, &order, after.as_ref(), 2);
            let Some(last) = page.last() else { break };
            let last = last.place.clone();
            keys.extend(page.iter().map(|found| *found.key));
            after = Some(last);
        }
        assert_eq!(keys, ["a", "b", "c", "d", "e"]);
    }

    /// A query and what a look at every document says of it: its score, if it matches.
    struct Model(Vec<(char, usize, Leaf)>);

    #[derive(Clone, Copy)]
    enum Leaf {
        Text(u32),
        AtLeast(i32),
        Number(i32),
    }

    impl Model {
        fn random(random: &mut StdRng) -> Self {
            let parts = random.random_range(1..5);
            Self(
                (0..parts)
                    .map(|_| {
                        let sign = ['+', ' ', '-'][random.random_range(0..3)];
                        let leaf = match random.random_range(0..3) {
                            0 => Leaf::Text(random.random_range(0..4)),
                            1 => Leaf::AtLeast(random.random_range(-3..4)),
                            _ => Leaf::Number(random.random_range(-3..4)),
                        };
                        (sign, random.random_range(0..3), leaf)
                    })
                    .collect(),
            )
        }

        fn text(&self) -> String {
            let part = |(sign, field, leaf): &(char, usize, Leaf)| match leaf {
                Leaf::Text(text) => format!("{sign}value.f{field}:t{text}"),
                Leaf::AtLeast(number) => format!("{sign}value.f{field}:>={number}"),
                Leaf::Number(number) => format!("{sign}value.f{field}:{number}"),
            };
            self.0.iter().map(part).collect::<Vec<_>>().join(" ")
        }

        fn score(&self, json: &Json) -> Option<f64> {
            let hits = |field: &usize, leaf: &Leaf| -> f64 {
                let values = json[format!("f{field}")].as_array().cloned().unwrap_or_default();
                let hit = |value: &Json| match leaf {
                    Leaf::Text(text) => value.as_str() == Some(&format!("t{text}")),
                    Leaf::AtLeast(least) => {
                        value.as_i64().is_some_and(|it| it >= i64::from(*least))
                    }
                    Leaf::Number(number) => value.as_i64() == Some(i64::from(*number)),
                };
                let mut hits: Vec<&Json> = values.iter().filter(|value| hit(value)).collect();
                hits.sort_by_key(|value| value.to_string());
                hits.dedup();
                hits.len() as f64
            };
            let of = |sign: char| self.0.iter().filter(move |part| part.0 == sign);
            let total = |sign| of(sign).map(|(_, field, leaf)| hits(field, leaf)).sum::<f64>();
            let misses = of('+').any(|(_, field, leaf)| hits(field, leaf) == 0.0);
            if misses || total('-') > 0.0 {
                return None;
            }
            let (has_must, should) = (of('+').next().is_some(), total(' '));
            match (has_must, should > 0.0) {
                (true, _) => Some(total('+') + should),
                (false, true) => Some(should),
                (false, false) => None,
            }
        }
    }

    #[test]
    fn the_index_finds_what_a_look_at_every_document_finds() {
        let mut random = StdRng::seed_from_u64(7);
        let mut index: Index<u32, ()> = Index::default();
        let mut documents: BTreeMap<u32, (u64, Json)> = BTreeMap::new();
        let mut puts = 0;
        for round in 0..3_000 {
            let key = random.random_range(0..40);
            if random.random_range(0..4) == 0 {
                assert_eq!(index.remove(&key).is_some(), documents.remove(&key).is_some());
            } else {
                let mut json = json!({});
                for field in 0..3 {
                    let values =
                        (0..random.random_range(0..3)).map(|_| match random.random_range(0..2) {
                            0 => json!(format!("t{}", random.random_range(0..4))),
                            _ => json!(random.random_range(-3..4)),
                        });
                    json[format!("f{field}")] = values.collect();
                }
                let mut fields = Fields::default();
                fields.json("value", &json);
                index.put(key, (), fields, |_| false);
                documents.insert(key, (puts, json));
                puts += 1;
            }
            let model = Model::random(&mut random);
            let query = Query::parse(&model.text()).unwrap();
            // Where only what must not match stands, all others are found.
            let none_wanted = model.0.iter().all(|part| part.0 == '-');
            let mut wanted: Vec<(f64, u64, u32)> = Vec::new();
            for (key, (put, json)) in &documents {
                let score = if none_wanted {
                    let as_must = Model(model.0.iter().map(|part| (' ', part.1, part.2)).collect());
                    as_must.score(json).is_none().then_some(1.0)
                } else {
                    model.score(json)
                };
                wanted.extend(score.map(|score| (-score, *put, *key)));
            }
            wanted.sort_by(|a, b| a.partial_cmp(b).unwrap());
            let found: Vec<u32> =
                index.search(&query, &[], None, 1000).iter().map(|found| *found.key).collect();
            let keys: Vec<u32> = wanted.iter().map(|it| it.2).collect();
            assert_eq!(found, keys, "round {round}: {}", model.text());
            let scores = index.search(&query, &[], None, 1000);
            let scores: HashMap<u32, f64> = scores.iter().map(|it| (*it.key, it.score)).collect();
            for (key, (_, json)) in &documents {
                let mut fields = Fields::default();
                fields.json("value", json);
                assert_eq!(query.score(&fields), scores.get(key).copied(), "{}", model.text());
            }
            let limited: Vec<u32> =
                index.search(&query, &[], None, 5).iter().map(|found| *found.key).collect();
            assert_eq!(limited, keys[..keys.len().min(5)], "round {round}");
        }
        assert_eq!(index.len(), documents.len());
    }
}
