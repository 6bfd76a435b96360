//! Leaderboards.

use guildhall_actors::host::Language::{JavaScript, Lua, Native};
use serde_json::{Value, json};

use super::{Case, NOBODY, SYSTEM, fails, gives, runs};

pub(super) fn cases() -> Vec<Case> {
    let board = "board of $language";
    let info = |order: Value| {
        json!({
            "id": board, "authoritative": true, "operator": "best", "sort_order": order,
            "metadata": { "zone": 1 }, "create_time": "$any", "next_reset": "$=reset",
            "prev_reset": "$any"
        })
    };
    let record = |owner: &str, score: i64, rank: i64| {
        json!({
            "leaderboard_id": board, "owner_id": owner, "username": "ann", "score": score,
            "subscore": 2, "num_score": 1, "max_num_score": 1_000_000, "metadata": { "a": [1] },
            "create_time": "$any", "update_time": "$any", "expiry_time": "$reset", "rank": rank
        })
    };
    let list = |records: Value, owners: Value, next: &str, prev: &str| {
        json!({
            "records": records, "owner_records": owners, "rank_count": 2,
            "next_cursor": cursor(next), "prev_cursor": cursor(prev)
        })
    };
    let write = |owner: &str, score: i64| json!([board, owner, "ann", score, 2, { "a": [1] }]);
    let (first, second) = (record("$user", 20, 1), record(NOBODY, 10, 2));
    let around = |owners: bool| {
        let mut around = list(json!([first]), json!([]), "$any", "");
        if !owners {
            around.as_object_mut().unwrap().remove("owner_records");
        }
        around
    };
    vec![
        runs(
            "leaderboard_create",
            json!([board, true, "desc", "best", "0 0 * * *", { "zone": 1 }, true]),
        ),
        // Again, with other settings: nothing changes.
        runs("leaderboard_create", json!([board, false, "asc", "incr"])),
        runs("leaderboard_create", json!(["other of $language"])),
        fails("leaderboard_create", json!([""]), "leaderboard ID"),
        fails("leaderboard_create", json!([board, false, "up"]), "sort order"),
        fails("leaderboard_create", json!([board, false, "asc", "sum"]), "operator"),
        fails("leaderboard_create", json!([board, false, "asc", "set", "x"]), "CRON"),
        fails("leaderboard_create", json!([board, false, "asc", "set", "", 7]), "metadata")
            .only(&[JavaScript, Native]),
        gives("leaderboards_get_id", json!([[board, "nowhere"]]), json!([info(json!("1"))]))
            .only(&[Lua]),
        gives("leaderboards_get_id", json!([[board, "nowhere"]]), json!([info(json!(1))]))
            .only(&[JavaScript, Native]),
        gives("leaderboards_get_id", json!([[]]), json!([])),
        fails("leaderboards_get_id", json!([["x", ""]]), "not empty"),
        gives(
            "leaderboard_list",
            json!([1]),
            json!({ "leaderboards": ["$any"], "cursor": "$=page" }),
        ),
        gives(
            "leaderboard_list",
            json!([1, "$page"]),
            json!({ "leaderboards": ["$any"], "...": true }),
        ),
        fails("leaderboard_list", json!([0]), "1-100"),
        fails("leaderboard_list", json!([1, "garbage"]), "cursor"),
        gives("leaderboard_record_write", write(NOBODY, 10), record(NOBODY, 10, 1)),
        gives("leaderboard_record_write", write("$user", 20), first.clone()),
        // Not better: nothing changes.
        gives("leaderboard_record_write", write("$user", 15), first.clone()),
        fails("leaderboard_record_write", write("$user", -1), "score to be >= 0"),
        fails("leaderboard_record_write", json!(["nowhere", "$user"]), "leaderboard not found"),
        fails(
            "leaderboard_record_write",
            json!([board, "$user", "", 1, 0, null, "sum"]),
            "operator",
        ),
        gives(
            "leaderboard_records_list",
            json!([board, [NOBODY, "$user"], 1]),
            list(json!([first]), json!([first, second]), "$=next", ""),
        ),
        gives(
            "leaderboard_records_list",
            json!([board, null, 5, "$next"]),
            list(json!([second]), json!([]), "", "$=back"),
        ),
        gives(
            "leaderboard_records_list",
            json!([board, null, 5, "$back"]),
            list(json!([first]), json!([]), "$any", ""),
        ),
        gives("leaderboard_records_list", json!([board, []]), json!({ "records": [] }))
            .only(&[Lua]),
        fails("leaderboard_records_list", json!([board, null, 10_001]), "0-10000")
            .only(&[Lua, Native]),
        fails("leaderboard_records_list", json!([board, null, 1, "garbage"]), "cursor"),
        gives("leaderboard_records_haystack", json!([board, "$user", 1]), around(false))
            .only(&[Lua]),
        gives("leaderboard_records_haystack", json!([board, "$user", 1]), around(true))
            .only(&[JavaScript, Native]),
        fails("leaderboard_records_haystack", json!([board, "$user", 101]), "1-100"),
        gives("leaderboard_records_list_cursor_from_rank", json!([board, 1]), json!("")),
        gives("leaderboard_records_list_cursor_from_rank", json!([board, 2]), json!("$=rank")),
        gives(
            "leaderboard_records_list",
            json!([board, null, 5, "$rank"]),
            list(json!([second]), json!([]), "", "$any"),
        ),
        fails("leaderboard_records_list_cursor_from_rank", json!([board, 9]), "rank"),
        fails("leaderboard_records_list_cursor_from_rank", json!([board, 0]), "rank"),
        runs("leaderboard_record_delete", json!([board, "$user"])),
        runs("leaderboard_record_delete", json!([board, SYSTEM])),
        fails("leaderboard_record_delete", json!(["nowhere", "$user"]), "leaderboard not found"),
        gives(
            "leaderboard_record_write",
            write(NOBODY, 30),
            json!({ "num_score": 2, "score": 30, "rank": 1, "...": true }),
        ),
        runs("leaderboard_ranks_disable", json!([board])),
        fails("leaderboard_ranks_disable", json!(["nowhere"]), "leaderboard not found"),
        gives(
            "leaderboard_record_write",
            write(NOBODY, 40),
            json!({ "num_score": 3, "score": 40, "rank": 0, "...": true }),
        ),
        runs("leaderboard_delete", json!([board])),
        runs("leaderboard_delete", json!(["nowhere"])),
        gives("leaderboards_get_id", json!([[board]]), json!([])),
    ]
}

/// A cursor in a wanted value; nothing where it is not named.
fn cursor(name: &str) -> Value {
    if name.is_empty() { Value::Null } else { name.into() }
}
