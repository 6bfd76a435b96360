//! The official JavaScript client, on Node.

use std::{path::Path, process::Command};

use crate::support::Setup;

#[test]
fn the_official_javascript_client_plays_its_story() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/js");
    let client = folder.join("node_modules/@heroiclabs/nakama-js");
    assert!(client.exists(), "the client is not installed: run `make tests/js/node_modules`");
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/modules");
    let server = Setup::new().modules_of(&modules).start();
    let output = Command::new("node")
        .arg(folder.join("story.mjs"))
        .arg(server.port.to_string())
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
