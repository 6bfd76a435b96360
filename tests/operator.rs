//! What an operator meets: refusals at start, the metrics page, the commands.

use crate::support::{Setup, free_port, program};

/// Runs the program to its end: its exit status and what it printed.
fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let output = program().args(arguments).current_dir(folder.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text.into_owned())
}

#[test]
fn an_unknown_key_is_named_with_its_neighbour() {
    let (status, text) = run(&["--socket.prot=1"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("socket.prot") && text.contains("socket.port"), "{text}");
    assert_eq!(text.trim().lines().count(), 1, "{text}");
}

#[test]
fn default_keys_are_refused_beyond_loopback() {
    let (status, text) = run(&["--socket.address=0.0.0.0"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("openssl rand"), "{text}");
    assert!(text.contains("socket.server_key"), "{text}");
}

#[test]
fn an_unreachable_database_is_named_with_what_to_do() {
    let port = format!("--socket.port={}", free_port());
    let (status, text) = run(&[&port, "--database.address=ann:sesame@127.0.0.1:1/games"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("127.0.0.1:1") && text.contains("ann"), "{text}");
    assert!(!text.contains("sesame"), "{text}");
}

#[test]
fn the_version_is_told() {
    let (status, text) = run(&["--version"]);
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains(env!("CARGO_PKG_VERSION")), "{text}");
}

#[test]
fn secrets_are_never_logged() {
    let mut server = Setup::new()
        .flag("--logger.level=debug")
        .flag("--socket.server_key=thesecretserverkey")
        .flag("--runtime.http_key=thesecrethttpkey")
        .start();
    let path = "/v2/account/authenticate/email?create=true";
    let body = serde_json::json!({ "email": "a@example.com", "password": "thesecretpassword" });
    let basic = "Basic dGhlc2VjcmV0c2VydmVya2V5Og==";
    let token = server.call("POST", path, basic, Some(&body)).text("token");
    server.get("/v2/rpc/nothing?http_key=thesecrethttpkey", "");
    server.get(&format!("/v2/rpc/nothing?token={token}"), "");
    server.stop();
    let log = server.log();
    for secret in ["thesecretserverkey", "thesecrethttpkey", "thesecretpassword", &token] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
}

#[test]
fn the_metrics_page_counts_calls_and_shows_the_pools() {
    let lua = r#"
        local nk = require("nakama")
        nk.register_rpc(function()
          nk.metrics_counter_add("wins", {map = "forest"}, 3)
          return "counted"
        end, "count")
    "#;
    let server = Setup::new().module("a.lua", lua).start();
    let token = server.sign_in("counted");
    server.get("/v2/account", &token).ok();
    server.rpc("count", "").ok();
    let url = format!("http://127.0.0.1:{}/metrics", server.metrics_port);
    let page = ureq::get(url).call().unwrap().body_mut().read_to_string().unwrap();
    for wanted in ["nakama_GetAccount_count", "nakama_overall_count", "custom_wins", "lua"] {
        assert!(page.contains(wanted), "no {wanted} in\n{page}");
    }
}
