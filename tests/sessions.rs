//! Sessions: what a log-out ends, and for how long.

use serde_json::json;

use crate::support::{SERVER_KEY, Setup};

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
