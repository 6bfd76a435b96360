//! Sessions: what a log-out ends, and for how long.

use std::time::Duration;

use serde_json::json;

use crate::support::{SERVER_KEY, Server, Setup, bearer};

#[test]
fn a_log_out_lasts_over_a_restart() {
    let mut server = Setup::new().start();
    let body = json!({ "id": "leaver-0123456789" });
    let path = "/v2/account/authenticate/device?create=true";
    let session = server.call("POST", path, SERVER_KEY, Some(&body)).ok();
    let (token, refresh_token) =
        (session["token"].as_str().unwrap(), session["refresh_token"].as_str().unwrap());
    let stays = server.sign_in("stayer");
    let tokens = json!({ "token": token, "refresh_token": refresh_token });
    server.post("/v2/session/logout", token, tokens).ok();

    for _ in 0..2 {
        assert_eq!(server.get("/v2/account", token).status, 401);
        let body = json!({ "token": refresh_token });
        let refreshed = server.call("POST", "/v2/account/session/refresh", SERVER_KEY, Some(&body));
        assert_eq!(refreshed.status, 401);
        assert_eq!(server.get("/v2/account", &stays).status, 200);
        server.restart();
    }
}

#[test]
fn a_refresh_keeps_the_session_and_takes_new_variables() {
    let server = Setup::new().start();
    let body = json!({ "id": "refresher-0123456789", "vars": { "team": "red" } });
    let path = "/v2/account/authenticate/custom?create=true";
    let session = server.call("POST", path, SERVER_KEY, Some(&body)).ok();
    let body = json!({ "token": session["refresh_token"], "vars": { "team": "blue" } });
    let again = server.call("POST", "/v2/account/session/refresh", SERVER_KEY, Some(&body)).ok();
    let claims = claims(again["token"].as_str().unwrap());
    assert_eq!(claims["vrs"], json!({ "team": "blue" }));
    assert_eq!(claims["tid"], self::claims(session["token"].as_str().unwrap())["tid"]);
    assert_eq!(server.get("/v2/account", again["token"].as_str().unwrap()).status, 200);
}

fn claims(token: &str) -> serde_json::Value {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

#[test]
fn a_token_whose_user_is_no_uuid_is_refused() {
    let module = r#"
        local nk = require("nakama")
        nk.register_rpc(function(ctx, payload)
          return nk.jwt_generate("HS256", "defaultencryptionkey",
            {tid = "t", uid = payload, usn = "forged", exp = 4102444800, iat = 1})
        end, "forge")
    "#;
    let server = Setup::new().module("forge.lua", module).start();
    let forged = |uid: &str| server.rpc("forge", uid).body.as_str().unwrap().to_owned();
    assert_eq!(server.get("/v2/account", &forged("not a uuid")).status, 401);
    assert_eq!(server.get("/v2/account", &forged("")).status, 401);
    // Well signed, but of a user that never was: known as such only when the account is read.
    let unknown = forged("6f1b5c2e-0000-4000-8000-00000000abcd");
    assert_eq!(server.get("/v2/account", &unknown).status, 404);
}

/// The tokens of a sign-in by device.
fn signed_in(server: &Server, name: &str) -> (String, String) {
    let path = format!("/v2/account/authenticate/device?create=true&username={name}");
    let body = json!({ "id": format!("{name}-0123456789"), "vars": { "team": "red" } });
    let session = server.call("POST", &path, SERVER_KEY, Some(&body)).ok();
    let text = |field: &str| session[field].as_str().unwrap().to_owned();
    (text("token"), text("refresh_token"))
}

/// The statuses of a call with the session token and of a refresh with the other.
fn statuses(server: &Server, tokens: &(String, String)) -> (u16, u16) {
    let body = json!({ "token": tokens.1 });
    let refresh = server.call("POST", "/v2/account/session/refresh", SERVER_KEY, Some(&body));
    (server.get("/v2/notification", &tokens.0).status, refresh.status)
}

/// What ends all sessions of a user does so by whole seconds.
fn next_second() {
    std::thread::sleep(Duration::from_millis(1_050));
}

#[test]
fn all_sessions_of_a_user_end_together_and_those_of_others_go_on() {
    let module = r#"
        local nk = require("nakama")
        nk.register_rpc(function(_, id) nk.users_ban_id({id}) end, "ban")
        nk.register_rpc(function(_, id) nk.users_unban_id({id}) end, "unban")
        nk.register_rpc(function(_, id) nk.session_logout(id) end, "end_all")
        nk.register_rpc(function(_, tokens)
          local t = nk.json_decode(tokens)
          nk.session_logout(t.user_id, t.token, t.refresh_token)
        end, "end_one")
    "#;
    let server = Setup::new().module("ends.lua", module).start();
    let names = ["leaver", "ended", "banned", "deleted", "stayer"];
    let [first, second] = [0; 2].map(|_| names.map(|name| signed_in(&server, name)));
    let id = |at: usize| claims(&first[at].0)["uid"].as_str().unwrap().to_owned();
    next_second();
    server.post("/v2/session/logout", &first[0].0, json!({})).ok();
    server.rpc("end_all", &id(1)).ok();
    server.rpc("ban", &id(2)).ok();
    server.call("DELETE", "/v2/account", &bearer(&first[3].0), None).ok();
    for tokens in [&first, &second] {
        for (name, tokens) in names.iter().zip(tokens) {
            let wanted = if *name == "stayer" { (200, 200) } else { (401, 401) };
            assert_eq!(statuses(&server, tokens), wanted, "{name}");
        }
    }

    // Only the ban keeps from signing in, until it is lifted; old tokens stay void.
    for name in ["leaver", "ended", "deleted"] {
        assert_eq!(statuses(&server, &signed_in(&server, name)), (200, 200), "{name}");
    }
    let body = json!({ "id": "banned-0123456789" });
    let sign_in =
        || server.call("POST", "/v2/account/authenticate/device", SERVER_KEY, Some(&body));
    assert_eq!(sign_in().refused(), (403, 7, "User account banned.".to_owned()));
    server.rpc("unban", &id(2)).ok();
    assert_eq!(sign_in().status, 200);
    assert_eq!(statuses(&server, &first[2]), (401, 401));

    // One token of two ends alone.
    let stayer = json!({ "user_id": id(4), "token": first[4].0, "refresh_token": second[4].1 });
    server.rpc("end_one", &stayer.to_string()).ok();
    assert_eq!(statuses(&server, &first[4]), (401, 200));
    assert_eq!(statuses(&server, &second[4]), (200, 401));
}

#[test]
fn with_single_session_a_sign_in_ends_the_one_before() {
    let server = Setup::new().flag("--session.single_session=true").start();
    let (first, other) = (signed_in(&server, "single"), signed_in(&server, "other"));
    assert_eq!(statuses(&server, &first), (200, 200));
    next_second();
    let second = signed_in(&server, "single");
    assert_eq!(statuses(&server, &first), (401, 401));
    assert_eq!(statuses(&server, &second), (200, 200));
    assert_eq!(statuses(&server, &other), (200, 200));
}

#[test]
fn variables_of_a_sign_in_reach_functions_and_last_over_a_refresh() {
    let module = r#"
        local nk = require("nakama")
        nk.register_rpc(function(ctx) return nk.json_encode(ctx.vars) end, "vars")
    "#;
    let server = Setup::new().module("vars.lua", module).start();
    let (token, refresh_token) = signed_in(&server, "varied");
    let vars = |token: &str| server.post("/v2/rpc/vars?unwrap", token, json!({})).ok();
    assert_eq!(vars(&token), json!({ "team": "red" }));
    let body = json!({ "token": refresh_token });
    let again = server.call("POST", "/v2/account/session/refresh", SERVER_KEY, Some(&body)).ok();
    assert_eq!(vars(again["token"].as_str().unwrap()), json!({ "team": "red" }));
    let body = json!({ "token": again["refresh_token"], "vars": { "level": "3" } });
    let again = server.call("POST", "/v2/account/session/refresh", SERVER_KEY, Some(&body)).ok();
    assert_eq!(vars(again["token"].as_str().unwrap()), json!({ "level": "3" }));
}
