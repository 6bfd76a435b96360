//! The official JavaScript client, on Node.

use std::{fs, path::Path, process::Command};

use guildhall_actors::{
    endpoint::{Endpoint, EndpointVisitor},
    tables::each_endpoint,
};

use crate::support::{Server, Setup};

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
    let module = fs::read(folder().join("modules/resources.js")).unwrap();
    let server = Setup::new()
        .module("index.js", module)
        .flag("--iap.facebook_instant.app_secret=app secret")
        .start();
    play("resources.mjs", &server, &[&served().join(",")]);
}

/// The names of the endpoints that are served.
fn served() -> Vec<&'static str> {
    struct Names(Vec<&'static str>);
    impl EndpointVisitor for Names {
        fn visit<E: Endpoint>(&mut self) {
            self.0.push(E::NAME);
        }
    }
    let mut names = Names(Vec::new());
    each_endpoint(&mut names);
    names.0
}
