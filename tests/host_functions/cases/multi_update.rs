//! Updates of several kinds at once.

use guildhall_actors::host::Language::{JavaScript, Lua, Native};
use serde_json::json;

use super::{Case, fails, gives, runs};

pub(super) fn cases() -> Vec<Case> {
    let object = json!({ "collection": "multi_$language", "key": "k", "user_id": "$user" });
    let written = |version: &str| {
        let mut written = object.clone();
        written["value"] = json!({ "n": 1 });
        if !version.is_empty() {
            written["version"] = version.into();
        }
        json!([written])
    };
    let mut ack = object.clone();
    ack["version"] = "$any".into();
    let account = json!([{
        "user_id": "$device", "display_name": "Dev", "username": "multi_$language",
        "metadata": { "m": 1 }
    }]);
    let wallet = |amount: i64| json!([{ "user_id": "$device", "changeset": { "coin": amount } }]);
    let changed = json!({ "user_id": "$device", "previous": {}, "updated": { "coin": 5 } });
    let shown = json!({
        "username": "multi_$language", "display_name": "Dev", "metadata": { "m": 1 }, "...": true
    });
    vec![
        gives(
            "multi_update",
            json!([account, written("*"), null, wallet(5), true]),
            json!({ "storage_write_acks": [ack], "wallet_update_acks": [changed] }),
        ),
        gives(
            "account_get_id",
            json!(["$device"]),
            json!({ "user": shown, "wallet": { "coin": 5 }, "...": true }),
        ),
        fails(
            "multi_update",
            json!([null, written(""), [object], wallet(-6)]),
            "error running multi update: wallet update rejected negative value at path 'coin'",
        ),
        fails(
            "multi_update",
            json!([null, written("wrong"), null, wallet(1)]),
            "Storage write rejected - version check failed.",
        ),
        fails(
            "multi_update",
            json!([[{ "user_id": "$device", "username": "custom_$language" }]]),
            "Username is already in use.",
        ),
        fails("multi_update", json!([[{ "username": "nobody" }]]), "expects a valid user ID"),
        gives("storage_read", json!([[object]]), json!(["$any"])),
        gives(
            "multi_update",
            json!([null, null, [object]]),
            json!({ "storage_write_acks": [], "wallet_update_acks": [] }),
        )
        .only(&[JavaScript, Native]),
        gives("multi_update", json!([null, null, [object]]), json!({})).only(&[Lua]),
        gives("storage_read", json!([[object]]), json!([])),
        runs("account_update_id", json!(["$device", null, "device_$language"])),
    ]
}
