//! Failed sign-ins are limited; others never are.

use serde_json::json;

use crate::support::{Answer, SERVER_KEY, Server, Setup};

fn by_email(server: &Server, email: &str) -> Answer {
    let path = "/v2/account/authenticate/email?create=false";
    let body = json!({ "email": email, "password": "password123" });
    server.call("POST", path, SERVER_KEY, Some(&body))
}

#[test]
fn an_account_is_closed_to_an_address_after_too_many_failures() {
    let server = Setup::new().flag("--sign_in.account_address_limit=3").start();
    for _ in 0..3 {
        assert_eq!(by_email(&server, "nobody@example.com").status, 404);
    }
    let (status, code, message) = by_email(&server, "nobody@example.com").refused();
    assert_eq!((status, code), (429, 8), "{message}");
    // Written otherwise it is still that account; another one is not.
    assert_eq!(by_email(&server, "NOBODY@example.com").status, 429);
    assert_eq!(by_email(&server, "somebody@example.com").status, 404);
}

#[test]
fn an_address_is_closed_after_failures_over_many_accounts() {
    let server = Setup::new().flag("--sign_in.address_limit=5").start();
    for account in 0..5 {
        assert_eq!(by_email(&server, &format!("n{account}@example.com")).status, 404);
    }
    assert_eq!(by_email(&server, "n6@example.com").status, 429);
}

#[test]
fn a_forwarded_address_counts_from_a_private_peer() {
    let server = Setup::new().flag("--sign_in.address_limit=1").start();
    let from = |address: &str, email: &str| {
        let body = json!({ "email": email, "password": "password123" });
        server
            .send(
                "POST",
                "/v2/account/authenticate/email?create=false",
                &[("authorization", SERVER_KEY), ("x-forwarded-for", address)],
                Some(body.to_string()),
            )
            .status
    };
    assert_eq!(from("203.0.113.1", "a@example.com"), 404);
    assert_eq!(from("203.0.113.1", "b@example.com"), 429);
    assert_eq!(from("203.0.113.2", "c@example.com"), 404);
}

#[test]
fn only_wrong_passwords_and_unknown_names_count() {
    let server = Setup::new()
        .flag("--sign_in.account_address_limit=2")
        .flag("--sign_in.address_limit=2")
        .start();
    for _ in 0..4 {
        // A wrong server key, an invalid input, and an unknown device or custom id.
        let body = json!({ "email": "a@example.com", "password": "password123" });
        let path = "/v2/account/authenticate/email";
        assert_eq!(server.call("POST", path, "Basic d3Jvbmc6", Some(&body)).status, 401);
        let short = json!({ "email": "a@example.com", "password": "short" });
        assert_eq!(server.call("POST", path, SERVER_KEY, Some(&short)).status, 400);
        for kind in ["device", "custom"] {
            let path = format!("/v2/account/authenticate/{kind}?create=false");
            let body = json!({ "id": "unknown-0123456789" });
            assert_eq!(server.call("POST", &path, SERVER_KEY, Some(&body)).status, 404);
        }
    }
    assert_eq!(by_email(&server, "a@example.com").status, 404);
}
