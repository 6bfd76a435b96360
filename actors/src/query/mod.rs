//! Queries over fields in memory: their language, what is indexed of JSON, and the index.
//!
//! Storage indexes, match listing and the matchmaker share the language, in which a query is a list
//! of parts: `+value.level:>=5 value.name:ann -value.team:"…" value.mode:free*^2`. A part with `+`
//! must match, one with `-` must not; the others raise the score, and one of them must match where
//! nothing else must. [`Query::parse`] says what a part can be.
//!
//! What matches, and in which order, is the reference's, by observation and by the documentation of
//! Bluge and its query strings: texts are single terms, compared as they are; numbers and times are
//! compared by value; a part without a field, and a quoted phrase, find nothing.

mod fields;
mod index;
mod parse;
mod pattern;
mod score;

pub use self::{
    fields::{Fields, Value, ordered},
    index::{Found, Index, Sort, SortKey},
    parse::{Part, Query, QueryError, Sign},
    pattern::Pattern,
};
