//! Exports and imports of accounts.

use guildhall_actors::host::Language::{JavaScript, Lua, Native};
use serde_json::json;

use super::{Case, NOBODY, fails, gives};

pub(super) fn cases() -> Vec<Case> {
    let wallet = json!({ "wallet": { "coin": 5 }, "...": true });
    vec![
        gives("account_export_id", json!(["$device"]), json!("$=export")),
        gives("account_export_id", json!(["$device"]), json!("~\\\"coin\\\": 5")),
        fails("account_export_id", json!([NOBODY]), "Account not found."),
        fails("account_export_id", json!(["x"]), "expects a valid user id"),
        // Into another account, which then has its wallet.
        gives("account_import_id", json!(["$export", "$email"]), wallet),
        fails("account_import_id", json!(["$export"]), "User identifier already exists."),
        fails("account_import_id", json!(["$export", NOBODY]), "Error updating user account"),
        fails("account_import_id", json!(["$export", "x"]), "valid identifier"),
        fails("account_import_id", json!(["$export", ""]), "valid identifier").only(&[JavaScript]),
        fails("account_import_id", json!(["$export", ""]), "already exists").only(&[Lua, Native]),
        fails("account_import_id", json!(["{}"]), "expects data to be a valid account export"),
        fails("account_import_id", json!([""]), "expects data to be present"),
    ]
}
