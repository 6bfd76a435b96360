//! The types for TypeScript: they name what is there, all of it, and the compiler takes them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::{Value, json};

use crate::support::{Setup, socket::Socket};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn declaration() -> PathBuf {
    root().join("sdk/typescript/index.d.ts")
}

/// The names that an interface of the declaration file declares.
fn declared(interface: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(declaration()).unwrap();
    let begin = format!("    interface {interface} {{\n");
    let (_, body) = text.split_once(&begin).expect(interface);
    let (body, _) = body.split_once("\n    }\n").unwrap();
    let names = body.lines().filter_map(|line| {
        let line = line.strip_prefix("        ")?;
        let end = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
        let is_name = end > 0 && line[end..].starts_with(['(', '<', '?', ':']);
        is_name.then(|| line[..end].to_owned())
    });
    names.collect()
}

fn names(value: &Value) -> BTreeSet<String> {
    value.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_is_declared_exists_and_what_exists_is_declared() {
    let source = r#"
        function keys(ctx, logger, nk) {
          return JSON.stringify({
            nk: Object.keys(nk), ctx: Object.keys(ctx), logger: Object.keys(logger),
            initializer: nk.localcacheGet("initializer").split(","),
          });
        }
        function InitModule(ctx, logger, nk, initializer) {
          nk.localcachePut("initializer", Object.keys(initializer).join(","));
          initializer.registerRpc("keys", keys);
        }
    "#;
    let server = Setup::new().module("index.js", source).start();
    let token = server.sign_in("typist");
    let exists = server.post("/v2/rpc/keys?unwrap", &token, json!("")).ok();
    assert_eq!(names(&exists["nk"]), declared("Nakama"));
    assert_eq!(names(&exists["initializer"]), declared("Initializer"));
    let mut logger = names(&exists["logger"]);
    // The value behind `getFields`.
    assert!(logger.remove("fields"));
    assert_eq!(logger, declared("Logger"));
    // What is not known is left out.
    let (known, declared) = (names(&exists["ctx"]), declared("Context"));
    assert!(known.is_subset(&declared), "{known:?}");
    for name in ["env", "executionMode", "node", "version", "userId", "username", "traceId"] {
        assert!(known.contains(name), "{name}");
    }
}

/// Runs the TypeScript compiler, strict, over our types and these files.
fn compile(files: &[&Path], flags: &[&str]) -> Output {
    let compiler = root().join("tests/js/node_modules/typescript/bin/tsc");
    assert!(compiler.exists(), "TypeScript is not installed: run `make tests/js/node_modules`");
    Command::new("node")
        .arg(compiler)
        .args(["--strict", "--pretty", "false", "--target", "es2020", "--lib", "es2020"])
        .args(flags)
        .arg(declaration())
        .args(files)
        .output()
        .expect("node is not installed: run `make setup-test`")
}

#[test]
fn a_module_in_typescript_compiles_and_runs() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let sample = root().join("tests/js/modules/sample.ts");
    let output = compile(&[&sample], &["--outDir", out]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));

    let module = fs::read(folder.path().join("sample.js")).unwrap();
    let server = Setup::new().module("index.js", module).start();
    let token = server.sign_in("TYPIST");
    assert_eq!(server.get("/v2/account", &token).ok()["user"]["username"], "typist");
    let visit = server.post("/v2/rpc/visit?unwrap", &token, json!("hello")).ok();
    assert_eq!(visit, json!({ "count": 1, "last": "\"hello\"" }));
    let tools = server.post("/v2/rpc/tools?unwrap", &token, json!("")).ok();
    assert_eq!((&tools["next"], &tools["size"]), (&json!(86_400), &json!(32)));
    assert_eq!(server.rpc("visit", "").refused(), (401, 16, "sign in first".to_owned()));
    let mut socket = Socket::open(&server, &token, "status=true");
    let mut join =
        |target: &str| socket.call(json!({ "channel_join": { "target": target, "type": 1 } }));
    assert_eq!(join("HALL")["channel"]["room_name"], "hall");
    assert_eq!(join("closed")["error"]["message"], "the room is closed");
    socket.call(json!({ "status_update": { "status": " away " } }));
    loop {
        let event = socket.until("status_presence_event")["status_presence_event"].take();
        if event["joins"][0]["status"] == "away" {
            break;
        }
    }
}

#[test]
fn a_misspelt_function_is_no_module() {
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("module.ts");
    let source = "function f(nk: nkruntime.Nakama): void { nk.storageReed([]); }\n";
    fs::write(&module, source).unwrap();
    let output = compile(&[&module], &["--noEmit"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success());
    assert!(said.contains("error TS2551: Property 'storageReed' does not exist"), "{said}");
}

#[test]
fn the_program_prints_its_types() {
    let output = crate::support::program().arg("types").output().unwrap();
    assert!(output.status.success());
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed.trim_end(), fs::read_to_string(declaration()).unwrap().trim_end());
}
