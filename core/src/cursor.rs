//! Cursors: where the next page of a list begins, as an opaque text.
//!
//! A cursor holds the sort key of the last row that was shown, never a count of rows, so that it
//! survives inserts and deletes in between. It carries the name of its list: one that comes from
//! elsewhere is no cursor. It grants nothing; whoever makes one up only chooses where to begin.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};

/// The longest text that is taken for a cursor, in bytes.
const MAX_LENGTH: usize = 4096;

/// A place in a list.
pub trait Cursor: Serialize + DeserializeOwned {
    /// The list it belongs to, such as `friends`; no two lists share a name.
    const LIST: &'static str;

    /// The text that clients hand back.
    fn encode(&self) -> String {
        // Serialising plain fields to memory fails only where a slice declares a cursor that JSON
        // cannot hold; its text then says nothing, and reading it is refused.
        let place = serde_json::to_string(&(Self::LIST, self)).unwrap_or_default();
        URL_SAFE_NO_PAD.encode(place)
    }

    /// The place that `text` stands for; `None` where it is no cursor of this list.
    fn decode(text: &str) -> Option<Self> {
        if text.len() > MAX_LENGTH {
            return None;
        }
        let place = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (list, place): (String, Self) = serde_json::from_slice(&place).ok()?;
        (list == Self::LIST).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Place {
        key: String,
        position: i64,
    }

    impl Cursor for Place {
        const LIST: &'static str = "places";
    }

    #[derive(Serialize, Deserialize)]
    struct Elsewhere {
        key: String,
        position: i64,
    }

    impl Cursor for Elsewhere {
        const LIST: &'static str = "elsewhere";
    }

    #[test]
    fn a_cursor_comes_back_as_it_went() {
        let place = Place { key: "ä\"\\".to_owned(), position: i64::MIN };
        assert_eq!(Place::decode(&place.encode()), Some(place));
    }

    #[test]
    fn garbage_and_cursors_of_other_lists_are_none() {
        let foreign = Elsewhere { key: String::new(), position: 1 }.encode();
        let half = &foreign[..foreign.len() / 2];
        for text in ["", "x", "====", "ä", half, &foreign, &"A".repeat(5000)] {
            assert_eq!(Place::decode(text), None, "{text}");
        }
    }
}
