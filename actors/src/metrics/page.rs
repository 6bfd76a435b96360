//! The text format of Prometheus, version 0.0.4.

use std::fmt::Write as _;

use super::latency::{QUANTILES, Summary};

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Summary,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Summary => "summary",
        }
    }
}

/// Labels of one row, by name.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// A value of one row.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Whole(u64),
    Number(f64),
    Summary(Summary),
}

/// The page under construction.
#[derive(Debug)]
pub(super) struct Page {
    text: String,
    prefix: String,
    common: Vec<(String, String)>,
}

impl Page {
    /// A page whose names begin with `prefix` and whose rows all carry the labels `common`.
    pub(super) fn new(prefix: &str, common: Vec<(String, String)>) -> Self {
        Self { text: String::new(), prefix: prefix.to_owned(), common }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    /// All rows of one name.
    pub(super) fn family<'a>(
        &mut self,
        name: &str,
        kind: Kind,
        help: &str,
        rows: impl IntoIterator<Item = (Labels<'a>, Value)>,
    ) {
        let name = full_name(&self.prefix, name);
        let head = self.text.len();
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {}", kind.word());
        let begin = self.text.len();
        for (labels, value) in rows {
            match value {
                Value::Whole(value) => self.row(&name, labels, None, value),
                Value::Number(value) => self.row(&name, labels, None, value),
                Value::Summary(summary) => {
                    for share in QUANTILES {
                        let value = summary.quantile(share).unwrap_or(f64::NAN);
                        self.row(&name, labels, Some(share), value);
                    }
                    self.row(&format!("{name}_sum"), labels, None, summary.sum_s);
                    self.row(&format!("{name}_count"), labels, None, summary.count);
                }
            }
        }
        if self.text.len() == begin {
            self.text.truncate(head);
        }
    }

    fn row(
        &mut self,
        name: &str,
        labels: Labels<'_>,
        quantile: Option<f64>,
        value: impl std::fmt::Display,
    ) {
        let Self { text, common, .. } = self;
        text.push_str(name);
        let mut separator = '{';
        let mut label = |name: &str, value: &str| {
            text.push(separator);
            separator = ',';
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(text, "{name}=\"{value}\"");
        };
        // A row's own label stands in the place of a common one.
        for (name, value) in common.iter() {
            if labels.iter().all(|(own, _)| own != name) {
                label(name, value);
            }
        }
        for (name, value) in labels {
            label(name, value);
        }
        if let Some(quantile) = quantile {
            label("quantile", &quantile.to_string());
        }
        if separator == ',' {
            text.push('}');
        }
        let _ = writeln!(text, " {value}");
    }
}

/// `name` with its prefix, in the characters that Prometheus allows.
pub(super) fn full_name(prefix: &str, name: &str) -> String {
    match prefix {
        "" => allowed(name),
        prefix => allowed(&format!("{prefix}_{name}")),
    }
}

/// `name` in the characters that Prometheus allows in names of metrics and labels.
pub(super) fn allowed(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    if name.starts_with(|first: char| first.is_ascii_digit()) || name.is_empty() {
        text.push('_');
    }
    text.extend(name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_carry_their_labels_escaped() {
        let mut page = Page::new("p", vec![("node_name".into(), "n1".into())]);
        page.family(
            "a-b",
            Kind::Counter,
            "Things.",
            [(&[("x", "q\"\\\n")] as Labels<'_>, Value::Whole(3))],
        );
        page.family("none", Kind::Gauge, "Nothing.", []);
        page.family(
            "g",
            Kind::Gauge,
            "Own.",
            [(&[("node_name", "n2")] as Labels<'_>, Value::Number(1.5))],
        );
        assert_eq!(
            page.finish(),
            "# HELP p_a_b Things.\n# TYPE p_a_b counter\np_a_b{node_name=\"n1\",x=\"q\\\"\\\\\\n\"} 3\n\
             # HELP p_g Own.\n# TYPE p_g gauge\np_g{node_name=\"n2\"} 1.5\n"
        );
    }

    #[test]
    fn names_hold_only_what_prometheus_allows() {
        assert_eq!(full_name("", "9 lives"), "_9_lives");
        assert_eq!(full_name("nakama", "è.x"), "nakama___x");
    }
}
