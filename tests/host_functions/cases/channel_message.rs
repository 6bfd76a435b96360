//! Channel messages.

use guildhall_actors::host::Language::{JavaScript, Lua, Native};
use serde_json::{Value, json};

use super::{Case, NOBODY, fails, gives, runs};

pub(super) fn cases() -> Vec<Case> {
    let camel = |code: i32, kept: &str| {
        json!({
            "channelId": "$room", "messageId": kept, "code": code, "username": "ann",
            "createTime": "$any", "updateTime": "$any", "persistent": true
        })
    };
    let boxed = |code: i32, kept: &str| {
        json!({
            "channel_id": "$room", "message_id": kept, "code": { "Value": code },
            "username": "ann", "create_time": "$any", "update_time": "$any",
            "persistent": { "Value": true }
        })
    };
    let content = |content: Value| json!({ "content": content, "...": true });
    let send = json!(["$room", { "text": "one" }, "$user", "ann", true]);
    let update = json!(["$room", "$said", { "text": "new" }, "$user", "ann", true]);
    let remove = json!(["$room", "$said", "$user", "ann", true]);
    vec![
        gives("channel_id_build", json!(["$user", "room of $language", 1]), json!("$=room")),
        gives("channel_id_build", json!([null, "x", 1]), json!("2...x"))
            .only(&[JavaScript, Native]),
        gives("channel_id_build", json!(["", "x", 1]), json!("2...x")).only(&[Lua, Native]),
        fails("channel_id_build", json!(["", "x", 1]), "sender id").only(&[JavaScript]),
        gives("channel_id_build", json!(["$user", "$device", 2]), json!("~4.")),
        gives("channel_id_build", json!([null, NOBODY, 3]), json!(format!("3.{NOBODY}..")))
            .only(&[JavaScript, Native]),
        fails("channel_id_build", json!(["$user", NOBODY, 3]), "Group not found"),
        fails("channel_id_build", json!(["$user", NOBODY, 2]), "User ID not found"),
        fails("channel_id_build", json!(["$user", "x", 2]), "Invalid user ID"),
        fails("channel_id_build", json!(["$user", "", 1]), "Invalid channel target"),
        fails("channel_id_build", json!(["$user", "a\tb", 1]), "control chars"),
        fails("channel_id_build", json!(["$user", "x", 4]), "invalid channel type"),
        gives("channel_message_send", send.clone(), camel(0, "$=said")).only(&[Lua, Native]),
        gives("channel_message_send", send, boxed(0, "$=said")).only(&[JavaScript]),
        gives("channel_message_send", json!(["$room"]), json!("$any")),
        fails("channel_message_send", json!(["no channel"]), "invalid channel id"),
        fails("channel_message_send", json!(["$room", [1]]), "content"),
        gives("channel_message_update", update.clone(), camel(1, "$said")).only(&[Lua, Native]),
        gives("channel_message_update", update, boxed(1, "$said")).only(&[JavaScript]),
        fails(
            "channel_message_update",
            json!(["$room", "$said", {}, "$device", "", true]),
            "channel message not found",
        ),
        gives(
            "channel_messages_list",
            json!(["$room", 1, true]),
            json!({
                "messages": [content(json!("{\"text\": \"new\"}"))],
                "next_cursor": "$=next", "...": true
            }),
        )
        .only(&[JavaScript]),
        gives(
            "channel_messages_list",
            json!(["$room", 2]),
            json!({
                "messages": [content(json!("{\"text\": \"new\"}")), content(json!("{}"))],
                "next_cursor": "", "prev_cursor": ""
            }),
        )
        .only(&[JavaScript]),
        gives(
            "channel_messages_list",
            json!(["$room", 1, true, "$next"]),
            json!({
                "messages": [content(json!("{}"))], "next_cursor": "", "prev_cursor": "$any"
            }),
        )
        .only(&[JavaScript]),
        // Without being told to, only JavaScript writes into the history.
        gives(
            "channel_messages_list",
            json!(["$room"]),
            json!({ "messages": [content(json!("{\"text\": \"new\"}"))], "...": true }),
        )
        .only(&[Lua, Native]),
        fails("channel_messages_list", json!(["$room", 101]), "limit must be 1-100"),
        fails("channel_messages_list", json!(["x"]), "invalid channel id"),
        fails("channel_messages_list", json!(["$room", 1, true, "x"]), "invalid channel cursor"),
        gives("channel_message_remove", remove.clone(), camel(2, "$said")).only(&[Lua, Native]),
        gives("channel_message_remove", remove.clone(), boxed(2, "$said")).only(&[JavaScript]),
        fails("channel_message_remove", remove, "channel message not found"),
        fails("channel_message_remove", json!(["$room", "x"]), "message_id").only(&[Native]),
        runs("users_unban_id", json!([["$user"]])),
    ]
}
