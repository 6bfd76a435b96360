//! Sockets, statuses and streams. What happens on a socket stands in `tests/presence.rs`.

use serde_json::json;

use super::{Case, NOBODY, fails, gives, runs};

pub(super) fn cases() -> Vec<Case> {
    [sessions(), statuses(), streams()].into_iter().flatten().collect()
}

fn sessions() -> Vec<Case> {
    vec![
        runs("session_disconnect", json!([NOBODY])),
        runs("session_disconnect", json!([NOBODY, 3])),
        fails("session_disconnect", json!(["x"]), "expects valid session id"),
        fails("session_disconnect", json!([NOBODY, 9]), "must be a value 0-4"),
        fails("session_disconnect", json!([NOBODY, -1]), "must be a value 0-4"),
    ]
}

fn statuses() -> Vec<Case> {
    let mut cases = Vec::new();
    for function in ["status_follow", "status_unfollow"] {
        cases.extend([
            runs(function, json!([NOBODY, [NOBODY]])),
            runs(function, json!([NOBODY, []])),
            fails(function, json!(["x", []]), "expects valid session id"),
            fails(function, json!([NOBODY, ["x"]]), "expects each user id to be a valid id"),
        ]);
    }
    cases
}

fn streams() -> Vec<Case> {
    let stream = json!({ "mode": 100, "subject": NOBODY, "label": "$language" });
    let whole = json!({ "mode": 100, "subject": NOBODY, "subcontext": NOBODY, "label": "l" });
    let presence = json!({ "user_id": NOBODY, "session_id": NOBODY });
    let pong = json!({ "pong": {} });
    vec![
        gives("stream_user_list", json!([stream]), json!([])),
        gives("stream_user_list", json!([whole, false, true]), json!([])),
        runs("stream_user_get", json!([NOBODY, NOBODY, stream])),
        gives("stream_count", json!([stream]), json!(0)),
        gives("stream_count", json!([{}]), json!(0)),
        runs("stream_close", json!([stream])),
        runs("stream_send", json!([stream, "data"])),
        runs("stream_send", json!([stream, "", [presence], false])),
        runs("stream_send_raw", json!([stream, pong])),
        runs("stream_send_raw", json!([stream, pong, [presence], true])),
        runs("stream_user_leave", json!([NOBODY, NOBODY, stream])),
        runs("stream_user_kick", json!([presence, stream])),
        fails("stream_user_join", json!([NOBODY, NOBODY, stream]), "session id does not exist"),
        fails("stream_user_update", json!([NOBODY, NOBODY, stream]), "session id does not exist"),
        fails("stream_user_join", json!(["x", NOBODY, stream]), "expects valid user id"),
        fails("stream_user_join", json!([NOBODY, "x", stream]), "expects valid session id"),
        fails("stream_count", json!([{ "mode": "a" }]), "stream mode must be a number"),
        fails("stream_count", json!([{ "subject": "x" }]), "stream subject must be a valid"),
        fails("stream_close", json!([{ "subcontext": 5 }]), "stream subcontext must be a string"),
        fails("stream_user_list", json!([{ "label": 5 }]), "stream label must be a string"),
        fails("stream_user_kick", json!([{}, stream]), "to have a valid user_id, session_id, and"),
        fails(
            "stream_send",
            json!([stream, "", [{ "session_id": "x" }]]),
            "presence session id must be a valid identifier",
        ),
        fails("stream_send_raw", json!([stream, { "nothing": {} }]), "not a valid envelope"),
        fails("stream_send_raw", json!([stream, { "pong": 1 }]), "not a valid envelope"),
    ]
}
