//! What a key can hold: its text form, its type in words, and the rules a declaration may add.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, RangeInclusive};

/// A value as a source wrote it, before a key's type has looked at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// One piece of text. `quoted` is set where a file says that it is text, so that a quoted number
    /// is not taken for a number.
    Text {
        /// The text without its quotes.
        text: String,
        /// Whether the file quoted it.
        quoted: bool,
    },
    /// A list of texts.
    List(Vec<String>),
    /// A mapping, or a list of other things than texts, where no key has one.
    Mapping,
    /// Nothing: the key keeps its value.
    Nothing,
}

impl Given {
    /// Text of a flag or an environment variable.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into(), quoted: false }
    }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { text, .. } => write!(f, "{text:?}"),
            Self::List(entries) => write!(f, "{entries:?}"),
            Self::Mapping => f.write_str("a mapping"),
            Self::Nothing => f.write_str("empty"),
        }
    }
}

/// What a declaration allows beyond the key's type.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rule {
    /// Smallest whole number.
    pub(super) min: Option<i64>,
    /// Largest whole number.
    pub(super) max: Option<i64>,
    /// Length of a text, in bytes.
    pub(super) length: Option<(usize, usize)>,
    /// A text may be empty whatever `length` says.
    pub(super) or_empty: bool,
    /// Every entry of a list is `name=value`.
    pub(super) pairs: bool,
}

/// A value that a key can hold; the declaration's types are the implementors.
pub(super) trait Value {
    /// Takes what a source gave.
    ///
    /// # Errors
    /// What is allowed instead, worded to follow "expects".
    fn set(&mut self, given: Given, rule: &Rule) -> Result<(), String>;

    /// What is allowed, worded to follow "expects".
    fn allowed(&self, rule: &Rule) -> String;

    /// The value as YAML writes it on one line.
    fn yaml(&self) -> String;

    /// The value's kind in one word, as the reference page and `--help` show it.
    fn kind(&self) -> &'static str;

    /// Whether the value must never be shown.
    fn secret(&self) -> bool {
        false
    }

    /// Whether a source may name the key several times, each adding an entry.
    fn list(&self) -> bool {
        false
    }
}

/// How a default is written in the declaration.
pub(super) trait Literal: Sized {
    /// The literal's own type.
    type Of;
    /// The value that the literal stands for.
    fn of(literal: Self::Of) -> Self;
}

/// One text out of what was given, or the refusal `allowed`.
fn one_text(given: Given, allowed: impl FnOnce() -> String) -> Result<String, String> {
    match given {
        Given::Text { text, .. } => Ok(text),
        Given::List(_) | Given::Mapping | Given::Nothing => Err(allowed()),
    }
}

macro_rules! whole_number {
    ($($int:ty),*) => { $(
        impl Value for $int {
            fn set(&mut self, given: Given, rule: &Rule) -> Result<(), String> {
                let Given::Text { text, quoted: false } = given else { return Err(self.allowed(rule)) };
                // `10_000` is a number in YAML and for the reference's flags.
                let number = text.replace('_', "").parse::<i64>().ok().filter(|number| range::<$int>(rule).contains(number));
                *self = number.and_then(|number| Self::try_from(number).ok()).ok_or_else(|| self.allowed(rule))?;
                Ok(())
            }
            fn allowed(&self, rule: &Rule) -> String {
                let range = range::<$int>(rule);
                match (*range.start(), *range.end()) {
                    (min, i64::MAX) => format!("a whole number, {min} or more"),
                    (min, max) => format!("a whole number from {min} to {max}"),
                }
            }
            fn yaml(&self) -> String {
                self.to_string()
            }
            fn kind(&self) -> &'static str {
                "int"
            }
        }
        impl Literal for $int {
            type Of = Self;
            fn of(literal: Self) -> Self {
                literal
            }
        }
        impl Bounds for $int {
            const MIN: i64 = 0;
            // Where the type ends beyond i64, or nobody would read its end as a limit, i64::MAX says "or more".
            const MAX: i64 = if <$int>::BITS > 16 { i64::MAX } else { <$int>::MAX as i64 };
        }
    )* };
}

/// What a whole number's type holds by itself.
trait Bounds {
    const MIN: i64;
    const MAX: i64;
}

fn range<T: Bounds>(rule: &Rule) -> RangeInclusive<i64> {
    rule.min.unwrap_or(T::MIN)..=rule.max.unwrap_or(T::MAX)
}

whole_number!(u16, u32, u64, usize);

impl Value for bool {
    fn set(&mut self, given: Given, rule: &Rule) -> Result<(), String> {
        let Given::Text { text, quoted: false } = given else {
            return Err(self.allowed(rule));
        };
        *self = match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "1" | "yes" | "on" => true,
            "false" | "f" | "0" | "no" | "off" => false,
            _ => return Err(self.allowed(rule)),
        };
        Ok(())
    }
    fn allowed(&self, _: &Rule) -> String {
        "true or false".to_owned()
    }
    fn yaml(&self) -> String {
        self.to_string()
    }
    fn kind(&self) -> &'static str {
        "bool"
    }
}

impl Literal for bool {
    type Of = Self;
    fn of(literal: Self) -> Self {
        literal
    }
}

impl Value for String {
    fn set(&mut self, given: Given, rule: &Rule) -> Result<(), String> {
        let text = one_text(given, || self.allowed(rule))?;
        let empty = rule.or_empty && text.is_empty();
        if !empty && rule.length.is_some_and(|(min, max)| !(min..=max).contains(&text.len())) {
            return Err(self.allowed(rule));
        }
        *self = text;
        Ok(())
    }
    fn allowed(&self, rule: &Rule) -> String {
        match rule.length {
            None => "a text".to_owned(),
            Some((1, usize::MAX)) => "a text that is not empty".to_owned(),
            Some((min, usize::MAX)) => format!("a text of at least {min} bytes"),
            Some((min, max)) if min == max && rule.or_empty => {
                format!("a text of {min} bytes, or an empty one")
            }
            Some((min, max)) if min == max => format!("a text of {min} bytes"),
            Some((min, max)) => format!("a text of {min} to {max} bytes"),
        }
    }
    fn yaml(&self) -> String {
        yaml_text(self)
    }
    fn kind(&self) -> &'static str {
        "string"
    }
}

impl Literal for String {
    type Of = &'static str;
    fn of(literal: &'static str) -> Self {
        literal.to_owned()
    }
}

/// A text in YAML: double-quoted, so that no content can be read as another type.
pub(super) fn yaml_text(text: &str) -> String {
    // JSON's string is a YAML string, escapes included.
    serde_json::Value::from(text).to_string()
}

/// A key, a password or a token: read with [`reveal`](Secret::reveal), shown by nothing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself; it must not reach a log line or an answer.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { "<secret>" })
    }
}

impl Value for Secret {
    fn set(&mut self, given: Given, rule: &Rule) -> Result<(), String> {
        self.0.set(given, rule)
    }
    fn allowed(&self, rule: &Rule) -> String {
        self.0.allowed(rule)
    }
    fn yaml(&self) -> String {
        self.0.yaml()
    }
    fn kind(&self) -> &'static str {
        "secret"
    }
    fn secret(&self) -> bool {
        true
    }
}

impl Literal for Secret {
    type Of = &'static str;
    fn of(literal: &'static str) -> Self {
        Self::from(literal)
    }
}

/// A list of texts. A source that names the key replaces the list of the sources below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List(Vec<String>);

impl Deref for List {
    type Target = [String];
    fn deref(&self) -> &[String] {
        &self.0
    }
}

impl<T: Into<String>> FromIterator<T> for List {
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        Self(entries.into_iter().map(Into::into).collect())
    }
}

impl Value for List {
    fn set(&mut self, given: Given, rule: &Rule) -> Result<(), String> {
        self.0 = entries(given, rule).ok_or_else(|| self.allowed(rule))?;
        Ok(())
    }
    fn allowed(&self, rule: &Rule) -> String {
        if rule.pairs { "a list of name=value texts" } else { "a list of texts" }.to_owned()
    }
    fn yaml(&self) -> String {
        let entries: Vec<String> = self.0.iter().map(|entry| yaml_text(entry)).collect();
        format!("[{}]", entries.join(", "))
    }
    fn kind(&self) -> &'static str {
        "list"
    }
    fn list(&self) -> bool {
        true
    }
}

impl Literal for List {
    type Of = &'static [&'static str];
    fn of(literal: &'static [&'static str]) -> Self {
        literal.iter().copied().collect()
    }
}

/// The entries given, if they keep the rule.
fn entries(given: Given, rule: &Rule) -> Option<Vec<String>> {
    let entries = match given {
        Given::List(entries) => entries,
        Given::Text { text, .. } => vec![text],
        Given::Mapping | Given::Nothing => return None,
    };
    (!rule.pairs || entries.iter().all(|entry| entry.find('=').is_some_and(|at| at > 0)))
        .then_some(entries)
}

/// A list whose entries hold passwords, such as database addresses.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretList(List);

impl SecretList {
    /// The entries themselves; they must not reach a log line or an answer.
    pub fn reveal(&self) -> &[String] {
        &self.0
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Into<String>> FromIterator<T> for SecretList {
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl fmt::Debug for SecretList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|_| Secret::from("hidden"))).finish()
    }
}

impl Value for SecretList {
    fn set(&mut self, given: Given, rule: &Rule) -> Result<(), String> {
        self.0.set(given, rule)
    }
    fn allowed(&self, rule: &Rule) -> String {
        self.0.allowed(rule)
    }
    fn yaml(&self) -> String {
        self.0.yaml()
    }
    fn kind(&self) -> &'static str {
        "list"
    }
    fn secret(&self) -> bool {
        true
    }
    fn list(&self) -> bool {
        true
    }
}

impl Literal for SecretList {
    type Of = &'static [&'static str];
    fn of(literal: &'static [&'static str]) -> Self {
        Self(List::of(literal))
    }
}

/// `NAME=VALUE` entries, gathered over all sources: a later source adds names and replaces the values
/// of those it repeats.
///
/// The values are a module's own settings, often secrets, and are not shown.
/// Source: Nakama merges `runtime.env` of its files and flags in this way.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables(BTreeMap<String, String>);

impl Deref for Variables {
    type Target = BTreeMap<String, String>;
    fn deref(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Variables {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(entries: I) -> Self {
        Self(entries.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Value for Variables {
    fn set(&mut self, given: Given, rule: &Rule) -> Result<(), String> {
        let entries =
            entries(given, &Rule { pairs: true, ..*rule }).ok_or_else(|| self.allowed(rule))?;
        for entry in entries {
            // The value may hold further equals signs.
            if let Some((name, value)) = entry.split_once('=') {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(())
    }
    fn allowed(&self, _: &Rule) -> String {
        "a list of NAME=VALUE texts".to_owned()
    }
    fn yaml(&self) -> String {
        let entries: Vec<String> =
            self.0.iter().map(|(name, value)| yaml_text(&format!("{name}={value}"))).collect();
        format!("[{}]", entries.join(", "))
    }
    fn kind(&self) -> &'static str {
        "list"
    }
    fn secret(&self) -> bool {
        true
    }
    fn list(&self) -> bool {
        true
    }
}

impl Literal for Variables {
    type Of = [(&'static str, &'static str); 0];
    fn of(literal: Self::Of) -> Self {
        literal.into_iter().collect()
    }
}

/// Declares a key type of a few words; case does not count when it is read. A word after `|` is taken too.
macro_rules! choice {
    ($( $(#[$meta:meta])* $name:ident { $( $(#[doc = $doc:literal])+ $variant:ident = $word:literal $(| $alias:literal)? ),+ $(,)? } )+) => { $(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $( $(#[doc = $doc])+ $variant, )+
        }

        impl Value for $name {
            fn set(&mut self, given: Given, rule: &Rule) -> Result<(), String> {
                let text = one_text(given, || self.allowed(rule))?;
                *self = match text.to_ascii_lowercase().as_str() {
                    $( $word $(| $alias)? => Self::$variant, )+
                    _ => return Err(self.allowed(rule)),
                };
                Ok(())
            }
            fn allowed(&self, _: &Rule) -> String {
                format!("one of: {}", [$($word),+].join(", "))
            }
            fn yaml(&self) -> String {
                match self { $( Self::$variant => $word, )+ }.to_owned()
            }
            fn kind(&self) -> &'static str {
                "string"
            }
        }

        impl Literal for $name {
            type Of = Self;
            fn of(literal: Self) -> Self {
                literal
            }
        }
    )+ };
}

choice! {
    /// The least severe log lines that are written.
    LogLevel {
        /// Everything.
        Debug = "debug",
        /// What an operator wants to read afterwards.
        Info = "info",
        /// What an operator should look into.
        Warn = "warn",
        /// What failed.
        Error = "error",
    }
    /// Which PostgreSQL the server runs where no address is given.
    EmbeddedPostgres {
        /// What is there already, else one that is installed, else the one built in.
        Auto = "auto",
        /// One that is installed on this machine.
        System = "system",
        /// The one built into the binary.
        Bundled = "bundled",
    }
    /// How a log line is written.
    LogFormat {
        /// One JSON object a line, with the reference's member names.
        Json = "json" | "",
        /// One JSON object a line, with the names that Google Cloud Logging reads.
        Stackdriver = "stackdriver",
        /// For the eye.
        Console = "console",
    }
    /// The address families a port listens on.
    Protocol {
        /// IPv4 and IPv6.
        Tcp = "tcp",
        /// IPv4 only.
        Tcp4 = "tcp4",
        /// IPv6 only.
        Tcp6 = "tcp6",
    }
    /// How long answers of Satori are kept.
    CacheMode {
        /// For one call of a module.
        Context = "context",
        /// For `satori.cache_ttl_sec`.
        Time = "time",
    }
}
