//! Matches, which `played.lua` runs, and parties, of which there are none.

use serde_json::{Value, json};

use super::{Case, NOBODY, fails, gives, runs};

pub(super) fn cases() -> Vec<Case> {
    let unclosed = r#"+label.a:"unclosed"#;
    let none = Value::Null;
    let listed = json!({
        "match_id": "$match", "authoritative": true, "label": "$language", "size": 0, "...": true,
    });
    vec![
        gives("match_list", json!([10, null, null, null, null, null]), json!([])),
        gives("match_list", json!([10, true, "label", 1, 4, "+label.mode:fast"]), json!([])),
        gives("match_list", json!([10, false, null, null, null, unclosed]), json!([])),
        fails("match_list", json!([10, true, none, none, none, unclosed]), "query string"),
        runs("match_get", json!([format!("{NOBODY}.")])),
        runs("match_get", json!([format!("{NOBODY}.node")])),
        fails("match_get", json!([NOBODY]), "match id invalid"),
        fails("match_get", json!(["x.node"]), "match id invalid"),
        fails("match_create", json!(["nobody"]), "error creating match: not found"),
        gives("match_create", json!(["played", { "label": "$language" }]), json!("$=match")),
        gives("match_get", json!(["$match"]), listed.clone()),
        gives("match_list", json!([10, true, "$language"]), json!([listed])),
        gives("match_list", json!([10, true, "$language", 1]), json!([])),
        gives("match_list", json!([10, false]), json!([])),
        gives("match_signal", json!(["$match", "hello"]), json!("hello")),
        gives("match_signal", json!(["$match", "relabel"]), json!("relabel")),
        // A change is seen at once.
        gives("match_list", json!([10, true, "$language"]), json!([])),
        fails("match_signal", json!(["$match", "end"]), "match busy"),
        fails("match_signal", json!(["$match", "hello"]), "match not found"),
        runs("match_get", json!(["$match"])),
        fails("match_signal", json!([NOBODY, ""]), "match id invalid"),
        fails("match_signal", json!([format!("{NOBODY}."), ""]), "match not found"),
        gives("party_list", json!([10, null, false]), json!({ "parties": [] })),
        gives("party_list", json!([100, true, true, "+label.a:b"]), json!({ "parties": [] })),
        fails("party_list", json!([0, null, false]), "1-100"),
        fails("party_list", json!([101, null, false]), "1-100"),
        fails("party_list", json!([10, null, false, unclosed]), "query string"),
        fails("party_list", json!([10, null, false, "", "x"]), "invalid cursor"),
    ]
}
