//! Notifications.

use guildhall_actors::host::Language::{JavaScript, Lua, Native};
use serde_json::json;

use super::{Case, NOBODY, fails, gives, runs};

pub(super) fn cases() -> Vec<Case> {
    let positive = "positive integer";
    let request =
        |code: i32| json!({ "user_id": "$user", "subject": "s", "content": {}, "code": code });
    let listed = |id: &str, subject: &str| json!({ "id": id, "subject": subject, "...": true });
    let page = |first: serde_json::Value| json!({ "notifications": [first], "cursor": "$=more" });
    let found = |subject: &str| {
        json!({
            "user_id": "$user", "subject": subject, "content": { "a": 1 }, "code": 5,
            "persistent": true, "create_time": "$any"
        })
    };
    let with_id = |subject: &str| {
        let mut found = found(subject);
        found["id"] = "$one".into();
        found["sender"] = "".into();
        found
    };
    vec![
        runs("notification_send", json!(["$user", "one", { "a": 1 }, 5, null, true])),
        runs("notification_send", json!(["$user", "two", {}, 6, "$user", true])),
        runs("notification_send", json!(["$user", "not kept", {}, -1500, ""])),
        fails("notification_send", json!(["$user", "", {}, 5]), "non-empty string"),
        fails("notification_send", json!(["$user", "s", {}, 0]), positive),
        fails("notification_send", json!(["$user", "s", 7, 5]), "content"),
        fails("notification_send", json!([NOBODY, "s", {}, 5, null, true]), "foreign key"),
        gives("notifications_list", json!(["$user", 1]), page(listed("$=one", "one"))),
        gives(
            "notifications_list",
            json!(["$user", 100, "$more"]),
            json!({ "notifications": [listed("$=two", "two")], "cursor": null }),
        )
        .only(&[JavaScript, Native]),
        gives(
            "notifications_list",
            json!(["$user", 100, "$more"]),
            json!({ "notifications": [listed("$=two", "two")] }),
        )
        .only(&[Lua]),
        fails("notifications_list", json!(["$user", 0]), "between 1 and 1000"),
        fails("notifications_list", json!(["$user", 1, "garbage"]), "Malformed cursor was used."),
        gives("notifications_get_id", json!([["$one", NOBODY]]), json!([found("one")]))
            .only(&[Lua]),
        gives("notifications_get_id", json!([["$one"], "$user"]), json!([with_id("one")]))
            .only(&[JavaScript, Native]),
        gives("notifications_get_id", json!([["$one"], NOBODY]), json!([])),
        runs("notifications_update", json!([[{ "id": "$one", "subject": "changed" }]])),
        gives("notifications_get_id", json!([["$one"]]), json!([found("changed")])).only(&[Lua]),
        gives("notifications_get_id", json!([["$one"]]), json!([with_id("changed")]))
            .only(&[JavaScript, Native]),
        fails("notifications_update", json!([[{ "id": "$one", "subject": "" }]]), "non-empty"),
        runs("notifications_delete", json!([[{ "user_id": NOBODY, "notification_id": "$one" }]])),
        runs("notifications_delete", json!([[{ "user_id": "$user", "notification_id": "$one" }]])),
        runs("notifications_delete_id", json!([["$two"], NOBODY])),
        gives("notifications_get_id", json!([["$one", "$two"]]), json!(["$any"])),
        runs("notifications_delete_id", json!([["$two"]])),
        gives("notifications_get_id", json!([["$two"]]), json!([])),
        runs("notifications_send", json!([[request(7)]])),
        runs("notifications_send", json!([[]])),
        runs("notifications_send", json!([[request(-1500)]])).only(&[JavaScript, Native]),
        fails("notifications_send", json!([[request(-1500)]]), positive).only(&[Lua]),
        runs("notification_send_all", json!(["to all", {}, 7])),
        fails("notification_send_all", json!(["to all", {}, -1500]), positive),
    ]
}
