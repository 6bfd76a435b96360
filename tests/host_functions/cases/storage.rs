//! Storage objects.

use guildhall_actors::host::Language::{JavaScript, Lua, Native};
use serde_json::json;

use super::{Case, SYSTEM, fails, gives, runs};

pub(super) fn cases() -> Vec<Case> {
    let id = json!({ "collection": "$language", "key": "one", "user_id": "$user" });
    let object = |version: &str| {
        let mut object = id.clone();
        object["value"] = json!({ "count": 1, "tags": ["a", "b"] });
        object["version"] = version.into();
        object["permission_read"] = 2.into();
        object["permission_write"] = 0.into();
        object
    };
    let mut ack = id.clone();
    ack["version"] = "$=version".into();
    let mut read = object("$version");
    read["create_time"] = "$any".into();
    read["update_time"] = "$any".into();
    let system =
        json!({ "collection": "$language", "key": "two", "value": { "deep": { "n": 1.5 } } });
    let system_ack = json!({
        "collection": "$language", "key": "two", "user_id": SYSTEM, "version": "$any"
    });
    vec![
        gives("storage_write", json!([[object("*"), system]]), json!([ack, system_ack])),
        gives("storage_read", json!([[id]]), json!([read])),
        fails("storage_write", json!([[object("*")]]), "version check failed"),
        gives("storage_write", json!([[object("$version")]]), json!([ack])),
        fails(
            "storage_write",
            json!([[{ "collection": "", "key": "one", "user_id": SYSTEM, "value": {} }]]),
            "expects collection to be a non-empty string",
        ),
        gives(
            "storage_list",
            json!(["$user", "$language", 10]),
            json!({ "objects": [read], "cursor": null }),
        ),
        gives(
            "storage_list",
            json!([null, "$language", 1]),
            json!({ "objects": [{ "key": "two", "...": true }], "cursor": "$=cursor" }),
        ),
        gives(
            "storage_list",
            json!([null, "$language", 1, "$cursor"]),
            json!({ "objects": [{ "key": "one", "...": true }], "cursor": null }),
        ),
        gives(
            "storage_list",
            json!([SYSTEM, "$language", 10, "", "$user"]),
            json!({ "objects": [], "cursor": null }),
        ),
        fails("storage_list", json!([null, "$language", 10, "no cursor"]), "Malformed cursor"),
        fails("storage_list", json!([null, "$language", -1]), "limit must not be negative"),
        fails("storage_list", json!(["nobody", "$language", 1]), "expects user ID"),
        fails("storage_list", json!([null, "$language", 1, "", "nobody"]), "expects caller ID"),
        runs("storage_delete", json!([[id]])),
        gives("storage_read", json!([[id]]), json!([])),
    ]
    .into_iter()
    .chain(retries())
    .chain(index())
    .collect()
}

fn retries() -> Vec<Case> {
    let id = json!({ "collection": "$language", "key": "retried", "user_id": "$user" });
    let object = |version: &str| {
        let mut object = id.clone();
        object["value"] = json!({ "count": 1 });
        object["version"] = version.into();
        object
    };
    let ack = json!({ "key": "retried", "version": "$=version", "...": true });
    let scripts = &[Lua, JavaScript];
    let writes = |version: &str| json!({ "returns": [object(version)] });
    let asked = |round: i32, done: serde_json::Value| {
        let ask = if done.is_null() { json!("$any") } else { json!(null) };
        json!({ "ask": ask, "round": round, "done": done })
    };
    let given = |round: i32, version: &str| json!({ "round": round, "value": [object(version)] });
    vec![
        gives("storage_write_retry", json!([[id], writes("*"), 0]), json!([ack])).only(scripts),
        fails("storage_write_retry", json!([[id], writes("*"), 1]), "retries exhausted")
            .only(scripts),
        fails("storage_write_retry", json!([[id], null, 1]), "update function").only(scripts),
        fails("storage_write_retry", json!([[id], writes("*"), 11]), "between 0 and 10"),
        // A native module goes through the steps itself.
        gives("storage_write_retry", json!([[id], null, 1, given(0, "*")]), asked(0, json!([ack])))
            .only(&[Native]),
        gives("storage_write_retry", json!([[id], null, 1]), asked(0, json!(null))).only(&[Native]),
        gives("storage_write_retry", json!([[id], null, 1, given(0, "*")]), asked(1, json!(null)))
            .only(&[Native]),
        fails("storage_write_retry", json!([[id], null, 1, given(1, "*")]), "retries exhausted")
            .only(&[Native]),
        gives(
            "storage_write_retry",
            json!([[id], null, 1, given(1, "$version")]),
            asked(1, json!([ack])),
        )
        .only(&[Native]),
        runs("storage_delete", json!([[id]])),
    ]
}

fn index() -> Vec<Case> {
    let object = |key: &str, n: i32| {
        json!({
            "collection": "indexed", "key": format!("$language-{key}"), "user_id": "$user",
            "value": { "n": n, "who": "$language" }, "permission_read": 2 - n % 2,
        })
    };
    let id = |key: &str| json!({ "collection": "indexed", "key": format!("$language-{key}"), "user_id": "$user" });
    let found = |key: &str| json!({ "key": format!("$language-{key}"), "...": true });
    let mine = "+value.who:$language";
    let from_two = "+value.who:$language +value.n:>=2";
    let highest_first = json!(["-value.n"]);
    vec![
        gives(
            "storage_write",
            json!([[object("a", 1), object("b", 2), object("c", 3)]]),
            json!(["$any", "$any", "$any"]),
        ),
        gives(
            "storage_index_list",
            json!(["cases", from_two, 10, highest_first]),
            json!({ "objects": [found("c"), found("b")], "cursor": null }),
        ),
        gives(
            "storage_index_list",
            json!(["cases", mine, 2, highest_first]),
            json!({ "objects": [found("c"), found("b")], "cursor": "$=cursor" }),
        ),
        gives(
            "storage_index_list",
            json!(["cases", mine, 2, highest_first, "", "$cursor"]),
            json!({ "objects": [found("a")], "cursor": null }),
        ),
        gives(
            "storage_index_list",
            json!(["cases", mine, 10, highest_first, SYSTEM.replace('0', "9")]),
            json!({ "objects": [found("b")], "cursor": null }),
        ),
        fails("storage_index_list", json!(["cases", mine, 3, [], "", "$cursor"]), "invalid cursor"),
        fails("storage_index_list", json!(["cases", "+", 3, []]), "syntax error"),
        fails("storage_index_list", json!(["unknown", "*", 3, []]), "not found"),
        fails("storage_index_list", json!(["cases", "*", 0, []]), "1-10000"),
        runs("storage_delete", json!([[id("a"), id("b"), id("c")]])),
        gives(
            "storage_index_list",
            json!(["cases", mine, 10, []]),
            json!({ "objects": [], "cursor": null }),
        ),
    ]
}
