//! Metrics that modules make: `nk.metrics_counter_add`, `metrics_gauge_set`, `metrics_timer_record`.
//!
//! Source: Nakama, `LocalMetrics.CustomCounter` and its kin.

use std::{collections::BTreeMap, time::Duration};

use parking_lot::Mutex;

use super::{
    latency::Latency,
    page::{Kind, Page, Value, allowed, full_name},
};

/// Labels in the order of their names.
type Tags = Vec<(String, String)>;

/// The metrics of all modules.
#[derive(Debug)]
pub(super) struct Custom {
    prefix: String,
    /// Most distinct names and label sets; 0 = no limit.
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    families: BTreeMap<String, Family>,
    rows: usize,
    errors: BTreeMap<(String, &'static str), u64>,
}

#[derive(Debug)]
struct Family {
    kind: Kind,
    rows: BTreeMap<Tags, Row>,
}

#[derive(Debug)]
enum Row {
    Counter(u64),
    Gauge(f64),
    Timer(Box<Latency>),
}

/// A counter cannot go down.
const NEGATIVE: &str = "negative_increment";
/// A name that was used for another kind of metric.
const OTHER_KIND: &str = "other_type";

impl Custom {
    pub(super) fn new(prefix: &str, limit: usize) -> Self {
        Self { prefix: prefix.to_owned(), limit, state: Mutex::default() }
    }

    pub(super) fn counter_add(&self, name: &str, tags: &[(&str, &str)], delta: i64) {
        let Ok(delta) = u64::try_from(delta) else {
            return self.error(name, NEGATIVE);
        };
        self.change(
            name,
            tags,
            Kind::Counter,
            || Row::Counter(0),
            |row| {
                if let Row::Counter(value) = row {
                    *value = value.saturating_add(delta);
                }
            },
        );
    }

    pub(super) fn gauge_set(&self, name: &str, tags: &[(&str, &str)], value: f64) {
        self.change(name, tags, Kind::Gauge, || Row::Gauge(value), |row| *row = Row::Gauge(value));
    }

    pub(super) fn timer_record(&self, name: &str, tags: &[(&str, &str)], elapsed: Duration) {
        self.change(
            name,
            tags,
            Kind::Summary,
            || Row::Timer(Box::default()),
            |row| {
                if let Row::Timer(latency) = row {
                    latency.record(elapsed);
                }
            },
        );
    }

    fn change(
        &self,
        name: &str,
        tags: &[(&str, &str)],
        kind: Kind,
        new: impl FnOnce() -> Row,
        change: impl FnOnce(&mut Row),
    ) {
        let name = full_name(&self.prefix, name);
        let mut tags: Tags =
            tags.iter().map(|(name, value)| (tag(name), (*value).to_owned())).collect();
        tags.sort();
        // Two names may have become one.
        tags.dedup_by(|a, b| a.0 == b.0);
        let mut state = self.state.lock();
        let State { families, rows, .. } = &mut *state;
        let family = families.get(&name);
        if family.is_some_and(|family| family.kind != kind) {
            drop(state);
            return self.error(&name, OTHER_KIND);
        }
        if family.is_none_or(|family| !family.rows.contains_key(&tags)) {
            // Beyond the limit new ones are dropped, as in the reference.
            if self.limit != 0 && *rows >= self.limit {
                return;
            }
            *rows += 1;
        }
        let family = families.entry(name).or_insert_with(|| Family { kind, rows: BTreeMap::new() });
        change(family.rows.entry(tags).or_insert_with(new));
    }

    fn error(&self, name: &str, error: &'static str) {
        let mut state = self.state.lock();
        let known = state.errors.len();
        let key = (name.to_owned(), error);
        if self.limit == 0 || known < self.limit || state.errors.contains_key(&key) {
            *state.errors.entry(key).or_default() += 1;
        }
    }

    /// Writes all that modules made, and the errors under `errors`.
    pub(super) fn write(&self, page: &mut Page, errors: (&str, Kind, &str)) {
        let state = self.state.lock();
        for (name, family) in &state.families {
            let rows: Vec<_> = family
                .rows
                .iter()
                .map(|(tags, row)| {
                    let tags: Vec<_> = tags.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
                    let value = match row {
                        Row::Counter(value) => Value::Whole(*value),
                        Row::Gauge(value) => Value::Number(*value),
                        Row::Timer(latency) => Value::Summary(latency.summary()),
                    };
                    (tags, value)
                })
                .collect();
            let rows = rows.iter().map(|(tags, value)| (tags.as_slice(), value.clone()));
            page.family(name, family.kind, "Made by a module.", rows);
        }
        let rows: Vec<_> = state
            .errors
            .iter()
            .map(|((name, error), count)| ([("name", name.as_str()), ("err", error)], *count))
            .collect();
        let (name, kind, help) = errors;
        page.family(
            name,
            kind,
            help,
            rows.iter().map(|(labels, count)| (labels.as_slice(), Value::Whole(*count))),
        );
    }
}

/// A label's name. `quantile` is taken by summaries.
fn tag(name: &str) -> String {
    match allowed(name).as_str() {
        "quantile" => "quantile_".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(custom: &Custom) -> String {
        let mut page = Page::new("n", Vec::new());
        custom.write(&mut page, ("errors", Kind::Counter, "Errors."));
        let text = page.finish();
        text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn label_sets_are_counted_apart_whatever_their_order() {
        let custom = Custom::new("custom", 0);
        custom.counter_add("c", &[("a", "1"), ("b", "2")], 2);
        custom.counter_add("c", &[("b", "2"), ("a", "1")], 3);
        custom.counter_add("c", &[], 1);
        custom.gauge_set("g", &[], 1.5);
        custom.gauge_set("g", &[], -2.0);
        assert_eq!(
            written(&custom),
            "n_custom_c 1\nn_custom_c{a=\"1\",b=\"2\"} 5\nn_custom_g -2\n"
        );
    }

    #[test]
    fn beyond_the_limit_new_ones_are_dropped() {
        let custom = Custom::new("", 2);
        for name in ["a", "b", "c", "a"] {
            custom.counter_add(name, &[], 1);
        }
        assert_eq!(written(&custom), "n_a 2\nn_b 1\n");
    }

    #[test]
    fn negative_increments_and_other_kinds_are_counted_as_errors() {
        let custom = Custom::new("", 0);
        custom.counter_add("a", &[], -1);
        custom.gauge_set("b", &[], 1.0);
        custom.counter_add("b", &[], 1);
        assert_eq!(
            written(&custom),
            "n_b 1\nn_errors{name=\"a\",err=\"negative_increment\"} 1\n\
             n_errors{name=\"b\",err=\"other_type\"} 1\n"
        );
    }

    #[test]
    fn timers_are_summaries_in_seconds() {
        let custom = Custom::new("", 0);
        custom.timer_record("t", &[("quantile", "x")], Duration::from_millis(1500));
        let text = written(&custom);
        assert!(
            text.contains("n_t_sum{quantile_=\"x\"} 1.5\nn_t_count{quantile_=\"x\"} 1\n"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 7);
    }
}
