//! The macro by which keys are declared, and what it records of each.

use super::value::{Rule, Value};

/// What the declaration says of a key or of a section.
#[derive(Clone, Copy, Debug)]
pub(super) struct About {
    /// What it means, with its unit, in one or more sentences.
    pub(super) doc: &'static str,
    /// What is allowed beyond the type.
    pub(super) rule: Rule,
    /// No feature reads it yet: it is accepted, and named in a warning where it is set.
    pub(super) unserved: bool,
    /// The key that took its place: a value given here is a value of that key.
    pub(super) renamed: Option<&'static str>,
    /// It is accepted for old files only: it has no effect in the reference either, or none is needed.
    pub(super) retired: bool,
    /// Files cannot set it.
    pub(super) no_file: bool,
}

impl About {
    /// A key or section of which only the doc comment is known.
    pub(super) const fn new(doc: &'static str) -> Self {
        let rule = Rule { min: None, max: None, length: None, or_empty: false, pairs: false };
        Self {
            doc: doc.trim_ascii(),
            rule,
            unserved: false,
            renamed: None,
            retired: false,
            no_file: false,
        }
    }

    /// The smallest number that is allowed.
    pub(super) const fn min(mut self, min: i64) -> Self {
        self.rule.min = Some(min);
        self
    }

    /// The smallest and the largest number that are allowed.
    pub(super) const fn range(mut self, min: i64, max: i64) -> Self {
        self.rule.min = Some(min);
        self.rule.max = Some(max);
        self
    }

    /// The shortest and the longest text that are allowed, in bytes.
    pub(super) const fn length(mut self, min: usize, max: usize) -> Self {
        self.rule.length = Some((min, max));
        self
    }

    /// An empty text is allowed as well.
    pub(super) const fn or_empty(mut self) -> Self {
        self.rule.or_empty = true;
        self
    }

    /// A text that may not be empty.
    pub(super) const fn filled(self) -> Self {
        self.length(1, usize::MAX)
    }

    /// Entries are `name=value`.
    pub(super) const fn pairs(mut self) -> Self {
        self.rule.pairs = true;
        self
    }

    /// No feature reads it yet.
    pub(super) const fn unserved(mut self) -> Self {
        self.unserved = true;
        self
    }

    /// An old name of `key`.
    pub(super) const fn renamed(mut self, key: &'static str) -> Self {
        self.renamed = Some(key);
        self
    }

    /// Kept for old files only.
    pub(super) const fn retired(mut self) -> Self {
        self.retired = true;
        self
    }

    /// Only flags and the environment set it.
    pub(super) const fn no_file(mut self) -> Self {
        self.no_file = true;
        self
    }
}

/// Meets the keys of a tree one by one, in the order of their declaration.
pub(super) trait Visitor {
    /// A key: its path (`socket.port`), what is declared of it, and its value.
    fn key(&mut self, path: &str, about: &About, value: &mut dyn Value);
    /// A section, before its keys.
    fn section(&mut self, _path: &str, _about: &About) {}
}

/// The path of a field below the section `path`; a field named as a Rust keyword loses its `r#`.
pub(super) fn join(path: &str, field: &str) -> String {
    let field = field.trim_start_matches("r#");
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

/// Declares structs of keys and sections.
///
/// A field with a default is a key: `/// Doc. \n port: u16 = 7350, range(0, 65535);`. A field without one
/// is a section, whose type is another struct of the declaration. What follows the comma are methods of
/// [`About`]; `unserved` on a section holds for all in it.
macro_rules! settings {
    ($( $(#[$meta:meta])* $Section:ident { $(
        $(#[doc = $doc:literal])+ $field:ident : $ty:ty $(= $default:expr)? $(, $modifier:ident $(($($arg:expr),*))?)* ;
    )+ } )+) => { $(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $Section {
            $( $(#[doc = $doc])+ pub $field: $ty, )+
        }

        impl Default for $Section {
            fn default() -> Self {
                Self { $( $field: settings!(@default $ty $(, $default)?), )+ }
            }
        }

        impl $Section {
            /// Shows every key below `path` to `visitor`. `unserved` is inherited from the section around.
            pub(super) fn visit(&mut self, path: &str, unserved: bool, visitor: &mut dyn $crate::config::declare::Visitor) {
                $( {
                    const ABOUT: $crate::config::declare::About =
                        $crate::config::declare::About::new(concat!($($doc),+)) $(.$modifier($($($arg),*)?))*;
                    let about = $crate::config::declare::About { unserved: unserved || ABOUT.unserved, ..ABOUT };
                    let path = $crate::config::declare::join(path, stringify!($field));
                    settings!(@visit self.$field, path, about, visitor $(, $default)?);
                } )+
            }
        }
    )+ };
    (@default $ty:ty, $default:expr) => { <$ty as $crate::config::value::Literal>::of($default) };
    (@default $ty:ty) => { <$ty>::default() };
    (@visit $field:expr, $path:ident, $about:ident, $visitor:ident, $default:expr) => {
        $visitor.key(&$path, &$about, &mut $field)
    };
    (@visit $field:expr, $path:ident, $about:ident, $visitor:ident) => {
        $visitor.section(&$path, &$about);
        $field.visit(&$path, $about.unserved, $visitor)
    };
}

pub(super) use settings;
