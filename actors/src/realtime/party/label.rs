//! What a party is found by.

use std::borrow::Cow;

use serde_json::Value;

use super::Denied;
use crate::query::Fields;

/// The longest label, in bytes.
///
/// Source: Nakama, `PartyLabelMaxBytes`.
const MAX_BYTES: usize = 2048;

/// A label: the text of a JSON object.
#[derive(Debug)]
pub(super) struct Label {
    text: String,
    json: Value,
}

impl Label {
    /// Reads the text of a client; an empty one stands for an empty object.
    ///
    /// # Errors
    /// [`Denied::LabelTooLong`], and [`Denied::Label`] where it is neither an object nor `null`.
    pub(super) fn read(text: &str) -> Result<Self, Denied> {
        let text = if text.is_empty() { "{}" } else { text };
        if text.len() > MAX_BYTES {
            return Err(Denied::LabelTooLong);
        }
        let json = match serde_json::from_str(text) {
            Ok(json @ (Value::Object(_) | Value::Null)) => json,
            Ok(_) => return Err(Denied::Label(Cow::Borrowed("a label is a JSON object"))),
            Err(error) => return Err(Denied::Label(error.to_string().into())),
        };
        Ok(Self { text: text.to_owned(), json })
    }

    /// Whether a client gave none.
    pub(super) fn is_empty(text: &str) -> bool {
        matches!(text, "" | "{}")
    }

    /// The text, and what can be asked for, besides what is known of the party.
    pub(super) fn indexed(self, mut fields: Fields) -> (String, Fields) {
        fields.json("label", &self.json);
        (self.text, fields)
    }
}
