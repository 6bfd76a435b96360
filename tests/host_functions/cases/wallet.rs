//! Wallets.

use guildhall_actors::host::Language::{JavaScript, Lua, Native};
use serde_json::{Value, json};

use super::{Case, NOBODY, fails, gives, runs};

pub(super) fn cases() -> Vec<Case> {
    let two = |updated: Value, previous: Value| json!({ "updated": updated, "previous": previous });
    let three = |updated: Value, previous: Value| json!({ "updated": updated, "previous": previous, "user_id": "$user" });
    let gift = json!(["$user", { "gold": 10, "gem": 2 }, { "why": "gift" }, true]);
    let spend = json!(["$user", { "gold": -3 }, null, true]);
    let (first, second) = (json!({ "gem": 2, "gold": 10 }), json!({ "gem": 2, "gold": 7 }));
    let negative = "wallet update rejected negative value at path 'gold'";
    let both = json!([[
        { "user_id": "$user", "changeset": { "gold": 1 }, "metadata": { "n": 1 } },
        { "user_id": NOBODY, "changeset": { "gold": 1 } },
    ]]);
    let item = |changeset: Value, metadata: Value| json!({ "user_id": "$user", "id": "$=item", "changeset": changeset, "metadata": metadata, "create_time": "$any", "update_time": "$any" });
    let spent = || item(json!({ "gold": -3 }), json!({}));
    let given = || item(json!({ "gem": 2, "gold": 10 }), json!({ "why": "gift" }));
    vec![
        gives("wallet_update", gift.clone(), two(first.clone(), json!({}))).only(&[Lua]),
        gives("wallet_update", gift, three(first.clone(), json!({}))).only(&[JavaScript, Native]),
        gives("wallet_update", spend.clone(), two(second.clone(), first.clone())).only(&[Lua]),
        gives("wallet_update", spend, three(second.clone(), first)).only(&[JavaScript, Native]),
        fails("wallet_update", json!(["$user", { "gold": -8 }]), negative),
        fails("wallet_update", json!(["$user", { "gold": 0.5 }]), "whole numbers"),
        fails("wallet_update", json!(["$user", { "gold": "x" }]), "whole numbers"),
        fails("wallet_update", json!(["x", { "gold": 1 }]), "expects a valid user id"),
        fails("wallet_update", json!([NOBODY, { "gold": 1 }]), "user not found"),
        gives("wallets_update", both, json!([three(json!({ "gem": 2, "gold": 8 }), second)])),
        runs("wallets_update", json!([[]])).only(&[Lua]),
        gives("wallets_update", json!([[]]), json!([])).only(&[JavaScript, Native]),
        fails("wallets_update", json!([[{ "user_id": "$user" }]]), "changeset"),
        fails(
            "wallets_update",
            json!([[{ "user_id": "$user", "changeset": { "gold": -100 } }]]),
            negative,
        ),
        gives(
            "wallet_ledger_list",
            json!(["$user", 1]),
            json!({ "items": [spent()], "cursor": "$=more" }),
        ),
        gives(
            "wallet_ledger_list",
            json!(["$user", 100, "$more"]),
            json!({ "items": [given()], "cursor": "" }),
        )
        .only(&[Lua, Native]),
        gives(
            "wallet_ledger_list",
            json!(["$user", 101, "$more"]),
            json!({ "items": [given()], "cursor": null }),
        )
        .only(&[JavaScript]),
        fails("wallet_ledger_list", json!(["$user", 101]), "0-100").only(&[Lua, Native]),
        fails("wallet_ledger_list", json!(["$user", 10001]), "0-10000").only(&[JavaScript]),
        fails("wallet_ledger_list", json!(["$user", 1, "x"]), "cursor invalid"),
        fails("wallet_ledger_list", json!(["$device", 1, "$more"]), "cursor invalid"),
        gives(
            "wallet_ledger_update",
            json!(["$item", { "new": true }]),
            item(json!({ "gem": 2, "gold": 10 }), json!({ "new": true, "why": "gift" })),
        )
        .only(&[Native]),
        gives(
            "wallet_ledger_update",
            json!(["$item", { "new": true }]),
            item(json!({ "gem": 2, "gold": 10 }), json!({ "new": true })),
        )
        .only(&[Lua]),
        gives(
            "wallet_ledger_update",
            json!(["$item", { "new": true }]),
            json!({
                "id": "$item", "user_id": "$user", "changeset": { "new": true },
                "create_time": "$any", "update_time": "$any"
            }),
        )
        .only(&[JavaScript]),
        fails("wallet_ledger_update", json!([NOBODY, {}]), "failed to update user wallet ledger"),
    ]
}
