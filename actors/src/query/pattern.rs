//! Terms that are alike: patterns, and texts with some letters changed.

use regex::{Regex, RegexBuilder};

use super::{fields::fitting_number_terms, parse::QueryError};

/// What a whole term has to fit.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// In it `*` is any text without line breaks; there are none in it.
    Wildcard(String),
    /// A regular expression.
    Regular(Regex),
}

impl Pattern {
    /// Whether a term fits.
    pub fn fits(&self, term: &str) -> bool {
        match self {
            Self::Wildcard(pattern) => wildcard(pattern, term),
            Self::Regular(pattern) => pattern.is_match(term),
        }
    }

    /// How many of the terms fit under which the reference indexes a number.
    pub fn fitting_terms(&self, number: i64) -> usize {
        fitting_number_terms(number, |term| self.fits(term))
    }
}

/// Whether a term fits a pattern with `*`.
fn wildcard(pattern: &str, term: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == term };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    let Some(inner) = term.strip_prefix(first).and_then(|term| term.strip_suffix(last)) else {
        return false;
    };
    let mut left = inner;
    for piece in middle.split('*') {
        match left.find(piece) {
            Some(at) => left = &left[at + piece.len()..],
            None => return false,
        }
    }
    !term.contains('\n')
}

/// The most memory, in bytes, that the patterns of a query may take once they are compiled.
const MAX_BYTES: usize = 1 << 20;
/// What a pattern is counted for: the least of these that it fits in.
const SIZES: [usize; 4] = [1 << 14, 1 << 16, 1 << 18, MAX_BYTES];

/// What the patterns of a query may still take.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { bytes: MAX_BYTES }
    }
}

/// A regular expression that a whole term has to fit.
///
/// # Errors
/// What is wrong with it.
pub(super) fn regular(pattern: &str, budget: &mut Budget) -> Result<Pattern, QueryError> {
    let pattern = pattern.strip_prefix('^').unwrap_or(pattern);
    let pattern = format!("^(?:{pattern})$");
    let mut result = Err(QueryError("the patterns are too large".to_owned()));
    for size in SIZES.into_iter().filter(|size| *size <= budget.bytes) {
        match RegexBuilder::new(&pattern).size_limit(size).dfa_size_limit(4 * size).build() {
            Ok(pattern) => {
                budget.bytes -= size;
                return Ok(Pattern::Regular(pattern));
            }
            Err(error @ regex::Error::CompiledTooBig(_)) => {
                result = Err(QueryError(format!("invalid pattern: {error}")));
            }
            Err(error) => return Err(QueryError(format!("invalid pattern: {error}"))),
        }
    }
    result
}

/// The pattern in which `*` is any text and `?` any character, both without line breaks.
///
/// # Errors
/// Where it is too long.
pub(super) fn wildcards(pattern: &str, budget: &mut Budget) -> Result<Pattern, QueryError> {
    if !pattern.contains(['?', '\n']) {
        return Ok(Pattern::Wildcard(pattern.to_owned()));
    }
    let mut out = String::with_capacity(pattern.len() + 8);
    for c in pattern.chars() {
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            c => out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    regular(&out, budget)
}

/// How many letters must be added, removed, replaced or exchanged with their neighbours to make
/// one text of the other, if not more than `most`.
pub(super) fn distance(a: &str, b: &str, most: usize) -> Option<usize> {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > most {
        return None;
    }
    let mut before_last = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1; b.len() + 1];
        for (j, y) in b.iter().enumerate() {
            let mut least = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(before_last[j - 1] + 1);
            }
            row[j + 1] = least;
        }
        if row.iter().all(|distance| *distance > most) {
            return None;
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().filter(|distance| *distance <= most)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    fn regular(pattern: &str, budget: &mut Budget) -> Option<Pattern> {
        super::regular(pattern, budget).ok()
    }

    #[test]
    fn a_pattern_fits_whole_terms() {
        let fits = |pattern: &str, term: &str| {
            wildcards(pattern, &mut Budget::default()).unwrap().fits(term)
        };
        assert!(fits("a*", "a") && fits("a*", "abc") && fits("*b?", "abc") && fits("a.b*", "a.bc"));
        assert!(!fits("a*", "ba") && !fits("a?", "a") && !fits("a.b*", "axb") && !fits("(a*", "a"));
        let fits = |pattern: &str, term: &str| {
            regular(pattern, &mut Budget::default()).unwrap().fits(term)
        };
        assert!(fits("^a|bc", "a") && fits("a|bc", "bc") && !fits("a|bc", "abc"));
        let refused = |pattern: &str| regular(pattern, &mut Budget::default()).is_none();
        assert!(refused("(") && refused("(a{1000}){1000}"));
    }

    #[test]
    fn wildcards_fit_as_the_regular_expressions_they_stand_for() {
        let mut random = StdRng::seed_from_u64(3);
        let mut word = |letters: &[char], length| -> String {
            let length = random.random_range(0..length);
            (0..length).map(|_| letters[random.random_range(0..letters.len())]).collect()
        };
        let mut fitting = 0;
        for _ in 0..20_000 {
            let pattern = word(&['a', 'b', '*', '*', 'ä'], 7);
            let term = word(&['a', 'b', 'ä', 'a', 'b', 'ä', '\n'], 9);
            let regular = pattern.replace('*', ".*");
            let wanted = Regex::new(&format!("^(?:{regular})$")).unwrap().is_match(&term);
            assert_eq!(wildcard(&pattern, &term), wanted, "{pattern:?} {term:?}");
            fitting += usize::from(wanted);
        }
        assert!(fitting > 1000, "{fitting}");
    }

    #[test]
    fn the_patterns_of_a_query_share_its_memory() {
        let mut budget = Budget::default();
        let simple = (0..100).take_while(|_| regular("free.", &mut budget).is_some()).count();
        assert_eq!(simple, MAX_BYTES / SIZES[0]);
        let mut budget = Budget::default();
        let large = (0..100).take_while(|_| regular(r"\w{12}", &mut budget).is_some()).count();
        assert_eq!(large, 1);
    }

    #[test]
    fn the_distance_counts_changes() {
        for (a, b, wanted) in [
            ("", "", Some(0)),
            ("cat", "cat", Some(0)),
            ("cat", "cut", Some(1)),
            ("cat", "cats", Some(1)),
            ("cat", "act", Some(1)),
            ("cat", "dog", None),
            ("kitten", "sitten", Some(1)),
            ("kitten", "sittin", Some(2)),
            ("kitten", "sitting", None),
            ("äö", "äü", Some(1)),
        ] {
            assert_eq!(distance(a, b, 2), wanted, "{a} {b}");
            assert_eq!(distance(b, a, 2), wanted, "{b} {a}");
        }
    }
}
