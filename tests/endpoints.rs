//! The endpoints that no other story needs: links, events, the health of the server.

use serde_json::{Value, json};

use crate::support::{Answer, SERVER_KEY, Server, Setup};

const CUSTOM: &str = "linker-custom";
const EMAIL: &str = "linker@example.com";
const PASSWORD: &str = "linker's password";

/// Signs in to an account that exists.
fn sign_in(server: &Server, kind: &str, account: &Value) -> Answer {
    let path = format!("/v2/account/authenticate/{kind}?create=false");
    server.call("POST", &path, SERVER_KEY, Some(account))
}

#[test]
fn an_account_is_reached_by_every_id_that_is_linked_to_it() {
    let server = Setup::new().start();
    let (token, other) = (server.sign_in("linker"), server.sign_in("stranger"));
    let id = server.get("/v2/account", &token).ok()["user"]["id"].clone();
    let links = [
        ("custom", json!({ "id": CUSTOM })),
        ("device", json!({ "id": "linker-second-device" })),
        ("email", json!({ "email": EMAIL, "password": PASSWORD })),
    ];
    for (kind, account) in &links {
        server.post(&format!("/v2/account/link/{kind}"), &token, account.clone()).ok();
        let session = sign_in(&server, kind, account).text("token");
        assert_eq!(server.get("/v2/account", &session).ok()["user"]["id"], id, "{kind}");
        let taken = server.post(&format!("/v2/account/link/{kind}"), &other, account.clone());
        assert_eq!((taken.status, &taken.body["code"]), (409, &json!(6)), "{taken:?}");
    }
    let account = server.get("/v2/account", &token).ok();
    assert_eq!((&account["custom_id"], &account["email"]), (&json!(CUSTOM), &json!(EMAIL)));
    assert_eq!(account["devices"].as_array().map(Vec::len), Some(2));
    let unlinks = [
        ("device", json!({ "id": "linker-0123456789" })),
        ("device", json!({ "id": "linker-second-device" })),
        ("email", json!({ "email": EMAIL })),
    ];
    for (kind, account) in unlinks {
        server.post(&format!("/v2/account/unlink/{kind}"), &token, account).ok();
    }
    let last = server.post("/v2/account/unlink/custom", &token, json!({ "id": CUSTOM })).refused();
    let message =
        "Cannot unlink last account identifier. Check profile exists and is not last link.";
    assert_eq!(last, (403, 7, message.to_owned()));
    assert_eq!(sign_in(&server, "email", &links[2].1).status, 404);
    assert_eq!(sign_in(&server, "custom", &links[0].1).status, 200);
}

#[test]
fn an_event_is_taken_and_the_server_is_healthy() {
    let server = Setup::new().start();
    let token = server.sign_in("sender");
    let event = json!({ "name": "level_done", "properties": { "level": "3" }, "external": true });
    assert_eq!(server.post("/v2/event", &token, event).ok(), json!({}));
    assert_eq!(server.get("/healthcheck", "").ok(), json!({}));
}
