//! The official JavaScript client, on Node.

use std::{fs, path::Path, process::Command};

use serde_json::json;

use crate::native;
use crate::support::{
    Server, Setup,
    providers::{Providers, receipts::instant_purchase},
};

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/js"))
}

/// Runs a script with the server's port and these arguments.
fn play(script: &str, server: &Server, arguments: &[&str]) {
    let client = folder().join("node_modules/@heroiclabs/nakama-js");
    assert!(client.exists(), "the client is not installed: run `make tests/js/node_modules`");
    let output = Command::new("node")
        .arg(folder().join(script))
        .arg(server.port.to_string())
        .args(arguments)
        .output()
        .expect("node is not installed: run `make setup-test`");
    assert!(
        output.status.success(),
        "{}{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        server.log()
    );
}

#[test]
fn the_official_javascript_client_plays_its_story() {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/modules");
    let server = Setup::new().modules_of(&modules).start();
    play("story.mjs", &server, &[]);
}

#[test]
fn two_players_with_the_official_client_use_all_resources() {
    let providers = Providers::start();
    let item = json!({
        "transaction_id": "apple-purchase", "original_transaction_id": "apple-purchase",
        "product_id": "gems", "quantity": "1", "purchase_date_ms": "1700000000000",
    });
    let google = json!({
        "orderId": "GPA.1", "purchaseState": 0, "purchaseTimeMillis": "1700000000000",
        "consumptionState": 0, "acknowledgementState": 1,
    });
    let bought = json!({
        "apple": providers.apple_receipt("client", false, &json!([item])),
        "google": providers.google_purchase("google-purchase", "gems", google),
        "instant": instant_purchase("instant-purchase", "gems"),
    });
    let module = fs::read(folder().join("modules/resources.js")).unwrap();
    let server = providers.setup(Setup::new().module("index.js", module)).start();
    play("resources.mjs", &server, &[&bought.to_string()]);
}

/// Plays what four players do together over the socket, in one of its formats.
fn together(format: &str) {
    let file = |name: &str| fs::read(folder().join("modules").join(name)).unwrap();
    let setup = Setup::new()
        .module("realtime.lua", file("realtime.lua"))
        .module("realtime_match.lua", file("realtime_match.lua"))
        .module("index.js", file("realtime.js"))
        .flag("--matchmaker.interval_sec=1");
    let server = native::with_rust_sample(setup).start();
    play("realtime.mjs", &server, &[format, "lua,javascript,native"]);
}

#[test]
fn four_players_with_the_official_client_are_together_over_json() {
    together("json");
}

#[test]
fn four_players_with_the_official_client_are_together_over_protobuf() {
    together("protobuf");
}
