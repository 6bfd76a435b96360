//! Groups.

use guildhall_actors::host::Language::{Lua, Native};
use serde_json::{Value, json};

use super::{Case, NOBODY, SYSTEM, fails, gives, runs};

pub(super) fn cases() -> Vec<Case> {
    let group = |open: bool, count: i32, name: &str| {
        json!({
            "id": "$group", "creator_id": "$user", "name": name, "description": "about",
            "avatar_url": "http://x/g.png", "lang_tag": "l-$language", "open": open,
            "edge_count": count, "max_count": 3, "metadata": { "m": [1] }, "create_time": "$any",
            "update_time": "$any"
        })
    };
    let first = "first $language";
    let new = json!([
        "$user", first, "$user", "l-$language", "about", "http://x/g.png", false, { "m": [1] }, 3
    ]);
    let mut made = group(false, 1, first);
    made["id"] = "$=group".into();
    let mut plain = json!({ "id": "$=plain", "creator_id": SYSTEM, "lang_tag": "en" });
    plain["open"] = false.into();
    plain["max_count"] = 100.into();
    plain["..."] = true.into();
    let user =
        |id: &str, state: i32| json!({ "user": { "user_id": id, "...": true }, "state": state });
    // Who is in the group, by rank.
    let list = |users: &[Value]| json!({ "group_users": users, "cursor": null });
    let users = |users: &[Value]| gives("group_users_list", json!(["$group"]), list(users));
    let all = |function, users: Value| runs(function, json!(["$group", users]));
    let (ann, bob, cyd) = ("$user", "$device", "$email");
    let page = |group: Value, cursor: &str| json!({ "groups": [group], "cursor": cursor });
    let found = |name: &str| page(json!({ "name": name, "...": true }), "$=more");
    vec![
        gives("group_create", new, made),
        gives("group_create", json!(["$user", "second $language"]), plain),
        fails("group_create", json!(["$device", first]), "group name in use"),
        fails("group_create", json!(["$user", ""]), "group name not be empty"),
        fails("group_create", json!(["none", "name"]), "UUID parsing failed"),
        fails("group_create", json!([SYSTEM, "name"]), "creator user ID not valid"),
        fails("group_create", json!([NOBODY, "name"]), "user not found"),
        fails("group_create", json!(["$user", "n", null, null, null, null, null, 7]), "metadata"),
        fails("group_create", json!(["$user", "n", null, null, null, null, null, null, 0]), ">= 1")
            .only(&[Lua, Native]),
        gives("groups_get_id", json!([["$group", NOBODY]]), json!([group(false, 1, first)])),
        gives("groups_get_id", json!([[]]), json!([])),
        gives("groups_get_random", json!([1]), json!([{ "id": "$any", "...": true }])),
        gives("groups_get_random", json!([0]), json!([])),
        fails("groups_get_random", json!([1001]), "count must be 0-1000"),
        // In and out.
        runs("group_user_join", json!(["$group", bob, "device_$language"])),
        fails("group_user_join", json!(["$group", bob, ""]), "username"),
        fails("group_user_join", json!([NOBODY, bob, "b"]), "group not found"),
        fails("group_user_join", json!(["$group", NOBODY, "n"]), "user not found"),
        users(&[user(ann, 0), user(bob, 3)]),
        all("group_users_promote", json!([bob])),
        users(&[user(ann, 0), user(bob, 3)]),
        all("group_users_add", json!([bob, cyd])),
        users(&[user(ann, 0), user(bob, 2), user(cyd, 2)]),
        fails("group_users_add", json!(["$group", [NOBODY]]), "user not found"),
        fails("group_users_add", json!(["$group", [SYSTEM]]), "root user"),
        fails("group_users_add", json!(["$group", [bob], cyd]), "group permission denied"),
        fails("group_users_add", json!([NOBODY, [bob]]), "group not found"),
        all("group_users_promote", json!([bob, bob])),
        users(&[user(ann, 0), user(bob, 0), user(cyd, 2)]),
        runs("group_users_demote", json!(["$group", [bob], ""])),
        users(&[user(ann, 0), user(bob, 1), user(cyd, 2)]),
        // An admin does not reach a superadmin.
        runs("group_users_kick", json!(["$group", [ann], bob])),
        runs("group_users_kick", json!(["$group", [cyd], bob])),
        all("group_users_kick", json!([ann])),
        users(&[user(ann, 0), user(bob, 1)]),
        all("group_users_ban", json!([bob, cyd])),
        gives("group_users_list", json!(["$group", 10, 4]), list(&[user(bob, 4)])),
        runs("group_user_join", json!(["$group", bob, "device_$language"])),
        users(&[user(ann, 0)]),
        all("group_users_kick", json!([bob])),
        all("group_users_add", json!([bob])),
        gives(
            "group_users_list",
            json!(["$group", 1, -1]),
            json!({ "group_users": [user(ann, 0)], "cursor": "$=more" }),
        ),
        gives("group_users_list", json!(["$group", 1, null, "$more"]), list(&[user(bob, 2)])),
        fails("group_users_list", json!(["$group", 0]), "1-10000"),
        fails("group_users_list", json!(["$group", 1, 5]), "0-4"),
        fails("group_users_list", json!(["$group", 1, 2, "$more"]), "group user cursor invalid"),
        fails("user_groups_list", json!([bob, 1, null, "$more"]), "user group cursor invalid"),
        gives(
            "user_groups_list",
            json!([bob]),
            json!({
                "user_groups": [{ "group": group(false, 2, first), "state": 2 }], "cursor": null
            }),
        ),
        fails("user_groups_list", json!([bob, 101]), "1-100"),
        fails("user_groups_list", json!([bob, 1, 5]), "0-4"),
        // Changes.
        fails("group_update", json!(["$group"]), "no group updates"),
        fails("group_update", json!(["$group", bob, "name"]), "group permission denied"),
        fails("group_update", json!([NOBODY, null, "name"]), "group not updated"),
        fails("group_update", json!(["$group", null, "second $language"]), "group name in use"),
        runs(
            "group_update",
            json!([
                "$group", ann, "third $language", null, null, null, null, true, { "m": [1] }, 0
            ]),
        ),
        gives("groups_get_id", json!([["$group"]]), json!([group(true, 2, "third $language")])),
        // Finding.
        gives("groups_list", json!(["%SECOND $language", null, null, null, 1]), {
            let mut found = found("second $language");
            found["cursor"] = Value::Null;
            found
        }),
        gives("groups_list", json!([null, null, null, null, 1]), page(json!("$any"), "$=more")),
        fails("groups_list", json!(["a", null, null, null, 1, "$more"]), "Malformed cursor"),
        gives("groups_list", json!([null, "l-$language", true, 2, 1]), {
            json!({ "groups": [group(true, 2, "third $language")], "cursor": null })
        }),
        fails("groups_list", json!(["a", "en", null]), "name filter cannot be combined"),
        fails("groups_list", json!(["a", null, null, null, 101]), "1-100"),
        // The end.
        fails("group_user_leave", json!(["$group", ann, "a"]), "last group superadmin"),
        runs("group_user_leave", json!(["$group", bob, "b"])),
        runs("group_user_leave", json!(["$group", ann, "a"])),
        gives("groups_get_id", json!([["$group"]]), json!([])),
        runs("group_delete", json!(["$plain"])),
        runs("group_delete", json!(["$plain"])),
        gives("groups_get_id", json!([["$plain"]]), json!([])),
    ]
}
