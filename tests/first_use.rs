//! What a newcomer does first, and what the sample modules promise.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{HTTP_KEY, SERVER_KEY, Server, Setup};

fn with_samples() -> Server {
    Setup::new().modules_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("data/modules")).start()
}

#[test]
fn the_two_calls_of_the_readme_work_as_they_stand() {
    let server = with_samples();
    let body = json!({ "email": "user@example.com", "password": "password123", "create": true });
    let path = "/v2/account/authenticate/email";
    let session = server.call("POST", path, SERVER_KEY, Some(&body)).ok();
    assert_eq!(session["created"], true);
    let account = server.get("/v2/account", session["token"].as_str().unwrap()).ok();
    assert_eq!(account["email"], "user@example.com");
    assert_eq!(account["wallet"], "{}");
}

#[test]
fn the_sample_modules_answer_in_lua_and_javascript() {
    let server = with_samples();
    assert_eq!(
        server.rpc("hello_lua", "\"you\"").ok(),
        json!({ "message": "Hello, you!", "from": "Lua" })
    );
    assert_eq!(
        server.rpc("hello_js", "\"you\"").ok(),
        json!({ "message": "Hello, you!", "from": "JavaScript" })
    );

    let token = server.sign_in("samples_reader");
    for count in 1..=3 {
        let answer = server.post("/v2/rpc/visit_lua", &token, json!("")).ok();
        assert_eq!(payload(&answer), json!({ "count": count }));
    }
    let settings = json!(json!({ "volume": 5 }).to_string());
    let answer = server.post("/v2/rpc/save_settings_js", &token, settings).ok();
    let hash = "8a1cc4de21b6caa7ed5b1ec5a7b27174";
    assert_eq!(payload(&answer)["version"].as_str().unwrap().len(), hash.len());

    let users = server.rpc("users_named_lua", r#"{"prefix": "samples_"}"#).ok();
    assert_eq!(users, json!({ "count": 1, "first": "samples_reader" }));
}

fn payload(answer: &Value) -> Value {
    serde_json::from_str(answer["payload"].as_str().unwrap()).unwrap()
}

#[test]
fn the_sample_hooks_refuse_mend_and_follow_up() {
    let server = with_samples();

    let body = json!({ "id": "a-device-0123456789" });
    let path = "/v2/account/authenticate/device?create=true&username=staff_ann";
    let refused = server.call("POST", path, SERVER_KEY, Some(&body)).refused();
    assert_eq!(refused, (400, 3, "This name is reserved.".to_owned()));

    let body = json!({ "email": "x@mailinator.com", "password": "password123" });
    let path = "/v2/account/authenticate/email?create=true";
    let refused = server.call("POST", path, SERVER_KEY, Some(&body)).refused();
    assert_eq!(refused, (400, 3, "Please use a lasting e-mail address.".to_owned()));

    let token = server.sign_in("hooked");
    server.put("/v2/account", &token, json!({ "display_name": "  Ann  " })).ok();
    let account = server.get("/v2/account", &token).ok();
    assert_eq!(account["user"]["display_name"], "Ann");

    let note = "SELECT value->>'text' AS text FROM storage WHERE collection = 'notes'";
    let module = format!(
        "local nk = require('nakama')
         nk.register_rpc(function() return nk.sql_query([[{note}]])[1].text end, 'note')"
    );
    let server = Setup::new()
        .module("hooks.lua", include_str!("../data/modules/hooks.lua"))
        .module("note.lua", module)
        .start();
    server.sign_in("welcomed");
    assert_eq!(server.rpc("note", "").ok(), json!("Welcome, welcomed!"));
}

#[test]
fn rpcs_are_called_with_a_session_or_the_http_key() {
    let server = with_samples();
    let token = server.sign_in("caller");
    let payload = r#"{"from":"Lua","message":"Hello, world!"}"#;
    let by_session = server.post("/v2/rpc/hello_lua", &token, json!("")).ok();
    assert_eq!(by_session["payload"], payload);
    let by_key = server.call("GET", &format!("/v2/rpc/HELLO_lua?{HTTP_KEY}"), "", None).ok();
    assert_eq!(by_key["payload"], payload);
    assert_eq!(server.get("/v2/rpc/hello_lua", "").status, 401);
    let unknown = server.call("GET", &format!("/v2/rpc/nothing?{HTTP_KEY}"), "", None);
    assert_eq!(unknown.refused(), (404, 5, "RPC function not found".to_owned()));
}
