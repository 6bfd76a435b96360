//! Terms that are alike: patterns, and texts with some letters changed.

use regex::{Regex, RegexBuilder};

use super::parse::QueryError;

/// The most memory a pattern may take once it is compiled.
const MAX_BYTES: usize = 1 << 20;

/// A pattern that a whole term has to fit.
///
/// # Errors
/// What is wrong with it.
pub(super) fn regular(pattern: &str) -> Result<Regex, QueryError> {
    let pattern = pattern.strip_prefix('^').unwrap_or(pattern);
    RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(MAX_BYTES)
        .dfa_size_limit(MAX_BYTES)
        .build()
        .map_err(|error| QueryError(format!("invalid pattern: {error}")))
}

/// The pattern in which `*` is any text and `?` any character.
///
/// # Errors
/// Where it is too long.
pub(super) fn wildcard(pattern: &str) -> Result<Regex, QueryError> {
    let mut out = String::with_capacity(pattern.len() + 8);
    for c in pattern.chars() {
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            c => out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    regular(&out)
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

    use super::*;

    #[test]
    fn a_pattern_fits_whole_terms() {
        let fits = |pattern: &str, term: &str| wildcard(pattern).unwrap().is_match(term);
        assert!(fits("a*", "a") && fits("a*", "abc") && fits("*b?", "abc") && fits("a.b*", "a.bc"));
        assert!(!fits("a*", "ba") && !fits("a?", "a") && !fits("a.b*", "axb") && !fits("(a*", "a"));
        let fits = |pattern: &str, term: &str| regular(pattern).unwrap().is_match(term);
        assert!(fits("^a|bc", "a") && fits("a|bc", "bc") && !fits("a|bc", "abc"));
        assert!(regular("(").is_err() && regular("(a{1000}){1000}").is_err());
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
