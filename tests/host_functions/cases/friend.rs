//! Friends.

use guildhall_actors::host::Language::{JavaScript, Lua, Native};
use serde_json::{Value, json};

use super::{Case, NOBODY, fails, gives, runs};

pub(super) fn cases() -> Vec<Case> {
    let me = |rest: Value| {
        let mut arguments = vec![json!("$user"), json!("custom_$language")];
        arguments.extend(rest.as_array().unwrap().iter().cloned());
        Value::Array(arguments)
    };
    let accept =
        |user: &str| json!([format!("${user}"), format!("{user}_$language"), ["$user"], null, {}]);
    let user = |name: &str| {
        let username = format!("{name}_$language");
        json!({ "user_id": format!("${name}"), "username": username, "edge_count": 0, "...": true })
    };
    let friend = |name: &str, state: i32, metadata: Value| json!({ "user": user(name), "state": state, "update_time": "$any", "metadata": metadata });
    let known = json!({ "user_id": "$device", "username": "device_$language", "...": true });
    let note = json!({ "note": "hi" });
    let list = |friends: Value| json!({ "friends": friends });
    vec![
        runs("friends_add", me(json!([["$device"], ["email_$language"], note]))),
        fails("friends_add", me(json!([["$user"], null, {}])), "cannot add self as friend"),
        fails("friends_add", me(json!([null, ["custom_$language"], {}])), "add self as friend"),
        fails("friends_add", me(json!([["x"], null, {}])), "UUID"),
        fails("friends_add", me(json!([null, ["nobody", ""], {}])), "non-empty string"),
        fails("friends_add", me(json!([null, ["nobody"], {}])), "no valid ID or username"),
        fails("friends_add", me(json!([[], null, {}])), "invalid user ids list").only(&[Lua]),
        fails("friends_add", me(json!([[], null, {}])), "no valid ID").only(&[JavaScript]),
        runs("friends_add", me(json!([[], null, {}]))).only(&[Native]),
        fails("friends_add", me(json!([["$device"]])), "an object").only(&[JavaScript]),
        runs("friends_add", me(json!([["$device"]]))).only(&[Lua, Native]),
        runs("friends_add", accept("device")),
        gives(
            "friends_list",
            json!(["$user", 10, 0]),
            list(json!([friend("device", 0, note.clone())])),
        ),
        gives(
            "friends_list",
            json!(["$user", 1]),
            json!({ "friends": ["$any"], "cursor": "$=more" }),
        ),
        gives(
            "friends_list",
            json!(["$user", 1, -1, "$more"]),
            list(json!([friend("email", 1, note.clone())])),
        ),
        fails("friends_list", json!(["$user", 1, 3, "$more"]), "friend cursor invalid"),
        fails("friends_list", json!(["$user", 0]), "expects limit to be 1-1000"),
        fails("friends_list", json!(["$user", 1, 4]), "expects state to be 0-3"),
        runs("friends_add", accept("email")),
        gives(
            "friends_of_friends_list",
            json!(["$email", 10]),
            json!({ "friends_of_friends": [{ "referrer": "$user", "user": known }] }),
        ),
        fails("friends_of_friends_list", json!(["$email", 1001]), "expects limit to be 1-1000"),
        fails("friends_of_friends_list", json!(["$email", 1, "x"]), "friend cursor invalid"),
        runs("friend_metadata_update", json!(["$user", "$device", { "m": "2" }])),
        fails("friend_metadata_update", json!(["$user", "$device", 2]), "metadata"),
        runs("friends_block", me(json!([["$email"]]))),
        fails("friends_block", me(json!([["$user"]])), "cannot block self"),
        gives(
            "users_get_friend_status",
            json!(["$user", ["$email", NOBODY, "$device"]]),
            json!([friend("email", 3, note), friend("device", 0, json!({ "m": "2" }))]),
        ),
        gives("users_get_friend_status", json!(["$email", ["$user"]]), json!([])),
        runs("friends_delete", me(json!([["$device"], ["email_$language"]]))),
        fails("friends_delete", me(json!([["$user"]])), "cannot delete self"),
        gives("friends_list", json!(["$user"]), list(json!([]))),
    ]
}
