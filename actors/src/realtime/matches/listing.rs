//! What authoritative matches are found by in lists.
//!
//! Source: Nakama, `MapMatchIndexEntry`, `LocalMatchRegistry.ListMatches`.

use serde_json::{Map, Value as Json};

use super::handle::Handle;
use crate::query::Fields;

/// The field of a label as it stands.
pub(super) const LABEL: &str = "label_string";

/// The field of the time at which a match was made.
pub(super) const CREATED: &str = "create_time";

/// What is indexed of a match with this label.
pub(super) fn fields(handle: &Handle, label: &str) -> Fields {
    let mut fields = Fields::default();
    fields.text("node", handle.node().to_string());
    fields.text(LABEL, label);
    fields.text("handler_name", handle.handler_name());
    fields.number("tick_rate", f64::from(handle.tick_rate_hz()));
    fields.number(CREATED, handle.created_ms() as f64);
    // A label need not be JSON; what is no object has no fields.
    if let Ok(label) = serde_json::from_str::<Map<String, Json>>(label) {
        fields.json("label", &Json::Object(label));
    }
    fields
}
