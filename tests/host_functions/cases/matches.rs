//! Matches and parties, of which there are none without the realtime part.

use serde_json::{Value, json};

use super::{Case, NOBODY, fails, gives, runs};

pub(super) fn cases() -> Vec<Case> {
    let unclosed = r#"+label.a:"unclosed"#;
    let none = Value::Null;
    vec![
        gives("match_list", json!([10, null, null, null, null, null]), json!([])),
        gives("match_list", json!([10, true, "label", 1, 4, "+label.mode:fast"]), json!([])),
        gives("match_list", json!([10, false, null, null, null, unclosed]), json!([])),
        fails("match_list", json!([10, true, none, none, none, unclosed]), "query string"),
        runs("match_get", json!([format!("{NOBODY}.")])),
        runs("match_get", json!([format!("{NOBODY}.node")])),
        fails("match_get", json!([NOBODY]), "match id invalid"),
        fails("match_get", json!(["x.node"]), "match id invalid"),
        gives("party_list", json!([10, null, false]), json!({ "parties": [] })),
        gives("party_list", json!([100, true, true, "+label.a:b"]), json!({ "parties": [] })),
        fails("party_list", json!([0, null, false]), "1-100"),
        fails("party_list", json!([101, null, false]), "1-100"),
        fails("party_list", json!([10, null, false, unclosed]), "query string"),
        fails("party_list", json!([10, null, false, "", "x"]), "invalid cursor"),
    ]
}
