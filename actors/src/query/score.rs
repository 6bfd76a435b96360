//! A query asked of one document.

use super::{
    fields::{Fields, Value},
    parse::Query,
    pattern::distance,
};

impl Query {
    /// How well a document with these fields matches, if it does: what [`Index`](super::Index) finds
    /// out for many at once.
    pub fn score(&self, fields: &Fields) -> Option<f64> {
        match self {
            Self::All => Some(1.0),
            Self::None => None,
            Self::Term { field, term, boost } => {
                let found =
                    fields.of(field).any(|value| matches!(value, Value::Text(it) if it == term));
                found.then_some(*boost)
            }
            Self::Range { field, .. } | Self::Fuzzy { field, .. } | Self::Pattern { field, .. } => {
                let score = |value: &Value| match value {
                    Value::Text(text) => self.score_of_text(text),
                    Value::Number(number) => self.score_of_number(*number),
                };
                sum(fields, field, score)
            }
            Self::Parts { must, should, must_not, boost } => {
                if must_not.iter().any(|part| part.score(fields).is_some()) {
                    return None;
                }
                let mut score = 0.0;
                for part in must {
                    score += part.score(fields)?;
                }
                let raised: Vec<f64> =
                    should.iter().filter_map(|part| part.score(fields)).collect();
                match (must.is_empty(), should.is_empty(), raised.is_empty()) {
                    (true, true, _) => score = 1.0,
                    (true, false, true) => return None,
                    _ => score += raised.iter().sum::<f64>(),
                }
                Some(score * boost)
            }
        }
    }
}

impl Query {
    /// How well a text matches the part of a query about its field, if it does; for whole queries
    /// it does not.
    pub fn score_of_text(&self, text: &str) -> Option<f64> {
        match self {
            Self::Term { term, boost, .. } => (text == term).then_some(*boost),
            Self::Fuzzy { term, most, boost, .. } => {
                fuzzy(term, text, *most).map(|nearness| boost * nearness)
            }
            Self::Pattern { pattern, boost, .. } => pattern.fits(text).then_some(*boost),
            Self::Range { .. } | Self::Parts { .. } | Self::All | Self::None => None,
        }
    }

    /// How well a number or instant matches the part of a query about its field, if it does.
    pub fn score_of_number(&self, number: i64) -> Option<f64> {
        match self {
            Self::Range { min, max, boost, .. } => (min..=max).contains(&&number).then_some(*boost),
            Self::Pattern { pattern, boost, .. } => {
                // Each of the terms under which the reference indexes it counts.
                let terms = pattern.fitting_terms(number);
                (terms > 0).then_some(boost * terms as f64)
            }
            Self::Term { .. } | Self::Fuzzy { .. } => None,
            Self::Parts { .. } | Self::All | Self::None => None,
        }
    }
}

/// How near `text` is to `term`: 1 where they are the same, `None` from `most` letters on.
fn fuzzy(term: &str, text: &str, most: usize) -> Option<f64> {
    let distance = distance(term, text, most)?;
    let shorter = term.chars().count().min(text.chars().count()).max(1);
    Some(1.0 - distance as f64 / shorter as f64)
}

/// The scores of a field's values together; a value that stands twice counts once.
fn sum(fields: &Fields, name: &str, score: impl Fn(&Value) -> Option<f64>) -> Option<f64> {
    let mut total = None;
    for (at, value) in fields.of(name).enumerate() {
        if let Some(score) = score(value)
            && !fields.of(name).take(at).any(|earlier| earlier == value)
        {
            *total.get_or_insert(0.0) += score;
        }
    }
    total
}
