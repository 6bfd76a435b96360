//! What stops a start: one line that says where, which key, what was given, and what is allowed.

use std::fmt;

use super::declare::About;
use super::source::{Origin, Setting};
use super::value::Given;

/// One line for the operator. It never holds the value of a secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Problem(String);

impl Problem {
    /// A problem in the words of `line`.
    pub fn new(line: impl Into<String>) -> Self {
        Self(line.into())
    }

    /// A known key holds what it cannot.
    pub(super) fn unusable(setting: &Setting, secret: bool, allowed: &str) -> Self {
        let key = Named(setting);
        if secret {
            Self(format!(
                "{key} has an unusable value, not shown since it is secret; it expects {allowed}"
            ))
        } else {
            Self(format!("{key} is {}, but expects {allowed}", Shown(&setting.given)))
        }
    }

    /// No key has that name; `nearest` does, and what it allows may help.
    pub(super) fn unknown(setting: &Setting, nearest: &Known) -> Self {
        let hidden = nearest.secret || HIDING.iter().any(|word| setting.key.contains(word));
        let value = if hidden {
            "value not shown".to_owned()
        } else {
            format!("value {}", Shown(&setting.given))
        };
        let (at, key) = (setting.origin.at(), setting.origin.name(&setting.key));
        Self(format!(
            "{at}unknown key {key} ({value}); the nearest known key is {}, which expects {}",
            setting.origin.name(&nearest.path),
            nearest.allowed,
        ))
    }
}

/// Parts of names whose values are taken for secrets even where the key is unknown.
const HIDING: &[&str] = &["key", "secret", "password", "token", "credential", "address", "env"];

/// A known key, as sources and messages need it.
pub(super) struct Known {
    pub(super) path: String,
    pub(super) about: About,
    pub(super) secret: bool,
    pub(super) list: bool,
    pub(super) kind: &'static str,
    pub(super) value: String,
    pub(super) allowed: String,
}

/// The known key whose name is closest to `path`: by all of it, or by its last part in another section.
pub(super) fn nearest<'a>(path: &str, known: &'a [Known]) -> Option<&'a Known> {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    known.iter().min_by_key(|key| {
        // A key of the same name elsewhere is closer than one of the same section that reads otherwise.
        distance(path, &key.path).min(distance(&last(path), &last(&key.path)) + 3)
    })
}

/// Levenshtein distance: the least insertions, deletions and replacements that turn one text into the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(&other) {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = *cell;
            left = replaced.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        row[0] = i + 1;
    }
    row.last().copied().unwrap_or_default()
}

/// Where a setting stands and what it is called there.
struct Named<'a>(&'a Setting);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Setting { key, origin, .. } = self.0;
        write!(f, "{}{}", origin.at(), origin.name(key))
    }
}

impl Origin {
    /// The place, with its separator; empty where the name alone says it.
    fn at(&self) -> String {
        match self {
            Self::File { path, line } => format!("{path}:{line}: "),
            Self::Flag | Self::Environment | Self::Derived => String::new(),
        }
    }

    /// What a key is called in that place.
    fn name(&self, key: &str) -> String {
        match self {
            Self::File { .. } | Self::Derived => key.to_owned(),
            Self::Flag => format!("--{key}"),
            Self::Environment => super::source::variable(key),
        }
    }
}

/// A value that is short enough for one line.
struct Shown<'a>(&'a Given);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 80;
        let text = self.0.to_string();
        match text.char_indices().nth(LONGEST) {
            Some((end, _)) => write!(f, "{}...", &text[..end]),
            None => f.write_str(&text),
        }
    }
}
