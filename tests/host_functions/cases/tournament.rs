//! Tournaments.

use guildhall_actors::host::Language::{JavaScript, Lua, Native};
use serde_json::{Value, json};

use super::{Case, NOBODY, fails, gives, runs};

/// 2096-10-02.
const FAR: i64 = 4_000_000_000;

pub(super) fn cases() -> Vec<Case> {
    let cup = "cup of $language";
    let create = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut arguments = json!([
            cup, true, "desc", "incr", 2_000_000_000, "", { "m": 1 }, "Cup", "For all", 77,
            1_700_000_000, FAR, 2, 3, true, true
        ]);
        change(arguments.as_array_mut().unwrap());
        arguments
    };
    let refused = |at: usize, value: Value, error| {
        let arguments = create(&|arguments| arguments[at] = value.clone());
        fails("tournament_create", arguments, error)
    };
    let info = |order: Value, size: i64, join_required: bool| {
        json!({
            "id": cup, "title": "Cup", "description": "For all", "category": 77,
            "sort_order": order, "size": size, "max_size": 2, "max_num_score": 3,
            "duration": 2_000_000_000, "start_active": 1_700_000_000_i64,
            "end_active": 3_700_000_000_i64, "can_enter": size < 2, "next_reset": FAR,
            "metadata": { "m": 1 }, "create_time": "$any", "start_time": 1_700_000_000_i64,
            "end_time": FAR, "operator": "increment", "join_required": join_required
        })
    };
    let record = |owner: &str, score: i64, count: i64, rank: i64| {
        json!({
            "leaderboard_id": cup, "owner_id": owner, "username": "ann", "score": score,
            "subscore": 0, "num_score": count, "max_num_score": 3, "metadata": {},
            "create_time": "$any", "update_time": "$any", "expiry_time": FAR, "rank": rank
        })
    };
    let list = |records: Value| {
        json!({
            "records": records, "owner_records": [], "rank_count": 2, "next_cursor": null,
            "prev_cursor": null
        })
    };
    let mine = |score: i64, count: i64| record("$user", score, count, 1);
    let mut around = list(json!([mine(10, 2)]));
    around["next_cursor"] = "$any".into();
    let mut lua_around = around.clone();
    lua_around.as_object_mut().unwrap().remove("owner_records");
    let filter = json!([77, 77, 1_600_000_000, FAR, 10]);
    vec![
        runs("tournament_create", create(&|_| {})),
        runs("tournament_create", create(&|arguments| arguments[3] = "set".into())),
        refused(0, json!(""), "tournament ID"),
        refused(2, json!("up"), "sort order"),
        refused(3, json!("sum"), "operator"),
        refused(4, json!(0), "duration"),
        refused(5, json!("x"), "CRON"),
        refused(9, json!(128), "category"),
        refused(10, json!(-1), "startTime"),
        refused(11, json!(5), "endTime"),
        refused(12, json!(-1), "maxSize"),
        refused(13, json!(-1), "maxNumScore"),
        fails(
            "tournament_create",
            create(&|arguments| {
                arguments[5] = "0 0 1 1 *".into();
                arguments[11] = 1_700_000_001.into();
            }),
            "first reset schedule",
        ),
        runs("leaderboard_create", json!(["no cup of $language"])),
        fails(
            "tournament_create",
            create(&|arguments| arguments[0] = "no cup of $language".into()),
            "already in use",
        ),
        // Whether one must join is told by the list only.
        gives(
            "tournaments_get_id",
            json!([[cup, cup, "no cup of $language", "nowhere"]]),
            json!([info(json!("1"), 0, false)]),
        )
        .only(&[Lua]),
        gives("tournaments_get_id", json!([[cup]]), json!([info(json!(1), 0, false)]))
            .only(&[JavaScript, Native]),
        gives("tournaments_get_id", json!([[]]), json!([])),
        fails("tournaments_get_id", json!([["x", ""]]), "not empty"),
        fails("tournament_record_write", json!([cup, "$user", "ann", 5]), "required to join"),
        runs("tournament_join", json!([cup, "$user", "ann"])),
        runs("tournament_join", json!([cup, "$user", "ann"])),
        runs("tournament_join", json!([cup, NOBODY, "ann"])),
        fails("tournament_join", json!([cup, "$device", "ben"]), "max size reached"),
        fails("tournament_join", json!(["nowhere", "$user", "ann"]), "tournament not found"),
        fails("tournament_join", json!([cup, "$user", ""]), "username"),
        gives(
            "tournament_list",
            filter.clone(),
            json!({ "tournaments": [info(json!("1"), 2, true)], "cursor": null }),
        )
        .only(&[Lua]),
        gives(
            "tournament_list",
            filter,
            json!({ "tournaments": [info(json!(1), 2, true)], "cursor": null }),
        )
        .only(&[JavaScript, Native]),
        gives(
            "tournament_list",
            json!([76, 77, 1_700_000_001]),
            json!({ "tournaments": [], "cursor": null }),
        ),
        fails("tournament_list", json!([128]), "0-127"),
        fails("tournament_list", json!([5, 4]), "categoryEnd"),
        fails("tournament_list", json!([0, 1, 7, 5]), "endTime"),
        fails("tournament_list", json!([0, 1, 5, 7, 101]), "1-100"),
        fails("tournament_list", json!([0, 1, 5, 7, 1, "garbage"]), "cursor"),
        gives("tournament_record_write", json!([cup, "$user", "ann", 5]), mine(5, 1)),
        gives("tournament_record_write", json!([cup, "$user", "ann", 5]), mine(10, 2)),
        fails("tournament_record_write", json!([cup, "$user", "", 1, 0, null, "sum"]), "operator"),
        fails("tournament_record_write", json!(["nowhere", "$user"]), "tournament not found"),
        gives(
            "tournament_records_list",
            json!([cup, null, 10]),
            list(json!([mine(10, 2), record(NOBODY, 0, 0, 2)])),
        ),
        gives("tournament_records_list", json!([cup, []]), json!({ "records": [] })).only(&[Lua]),
        fails("tournament_records_list", json!(["nowhere", null, 1]), "tournament not found"),
        gives("tournament_records_haystack", json!([cup, "$user", 1]), lua_around).only(&[Lua]),
        gives("tournament_records_haystack", json!([cup, "$user", 1]), around)
            .only(&[JavaScript, Native]),
        fails("tournament_records_haystack", json!([cup, "$user", 1, "", -1]), "expiry"),
        gives("tournament_record_write", json!([cup, "$user", "ann", 5]), mine(15, 3)),
        // No attempt is left: nothing changes.
        gives("tournament_record_write", json!([cup, "$user", "ann", 5]), mine(15, 3)),
        runs("tournament_add_attempt", json!([cup, "$user", 1])),
        fails("tournament_add_attempt", json!([cup, "$user", 0]), "!= 0"),
        fails("tournament_add_attempt", json!(["nowhere", "$user", 1]), "tournament not found"),
        gives(
            "tournament_record_write",
            json!([cup, "$user", "ann", 1]),
            json!({ "score": 16, "num_score": 4, "max_num_score": 4, "...": true }),
        ),
        runs("tournament_record_delete", json!([cup, "$user"])),
        runs("tournament_record_delete", json!([cup, "$user"])),
        fails("tournament_record_delete", json!(["nowhere", "$user"]), "tournament not found"),
        // In Lua this takes a leaderboard, as in the reference.
        fails("tournament_ranks_disable", json!([cup]), "not found").only(&[Lua]),
        runs("tournament_ranks_disable", json!([cup])).only(&[JavaScript, Native]),
        runs("tournament_delete", json!([cup])),
        runs("tournament_delete", json!(["nowhere"])),
        gives("tournaments_get_id", json!([[cup]]), json!([])),
    ]
}
