//! Native modules: the samples in Rust, C and Go in a running server.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
    thread,
};

use serde_json::json;

use crate::support::{SERVER_KEY, Server, Setup};

/// Where the samples are, built once for all tests. Without a Go toolchain the Go sample is
/// missing, which is said; with CI=true that is a failure.
static SAMPLES: LazyLock<PathBuf> = LazyLock::new(|| {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("samples");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk/samples/build.sh");
    let built = Command::new(script).arg(&out).output().unwrap();
    let said = String::from_utf8_lossy(&built.stdout);
    assert!(built.status.success(), "{said}{}", String::from_utf8_lossy(&built.stderr));
    for line in said.lines().filter(|line| line.starts_with("skipped")) {
        eprintln!("{line}");
    }
    out
});

/// The languages whose sample is there.
fn languages() -> Vec<&'static str> {
    let built = |language: &&str| SAMPLES.join(format!("{language}_hello.so")).exists();
    ["rust", "c", "go"].into_iter().filter(built).collect()
}

fn with_samples(setup: Setup) -> Server {
    let add = |setup: Setup, language: &&str| {
        let file = format!("{language}_hello.so");
        let library = std::fs::read(SAMPLES.join(&file)).unwrap();
        setup.module(&file, library)
    };
    languages().iter().fold(setup, add).start()
}

#[test]
fn each_sample_answers_and_reaches_storage() {
    let server = with_samples(Setup::new());
    let token = server.sign_in("native_visitor");
    for language in languages() {
        let echoed = server.rpc(&format!("{language}_echo"), "\"over the C ABI\"").ok();
        assert_eq!(echoed, json!("over the C ABI"), "{language}");
        if language == "c" {
            continue;
        }
        for count in 1..=2 {
            let visit = server.post(&format!("/v2/rpc/{language}_visit"), &token, json!("")).ok();
            let payload: serde_json::Value =
                serde_json::from_str(visit["payload"].as_str().unwrap()).unwrap();
            assert_eq!(payload["count"], count, "{language}: {visit}");
        }
    }
}

#[test]
fn a_native_hook_refuses_and_a_native_rpc_comes_before_lua_and_javascript() {
    let lua = "local nk = require('nakama')
               nk.register_rpc(function() return 'lua' end, 'rust_echo')
               nk.register_rpc(function() return 'lua' end, 'lua_and_js')";
    let javascript = "function InitModule(ctx, logger, nk, initializer) {
                        initializer.registerRpc('rust_echo', () => 'javascript');
                        initializer.registerRpc('lua_and_js', () => 'javascript'); }";
    let server = with_samples(Setup::new().module("a.lua", lua).module("index.js", javascript));
    assert_eq!(server.rpc("rust_echo", "\"native\"").ok(), json!("native"));
    assert_eq!(server.rpc("lua_and_js", "").ok(), json!("lua"));

    let body = json!({ "id": "staff-000001" });
    let path = "/v2/account/authenticate/custom?create=true";
    let (status, _, message) = server.call("POST", path, SERVER_KEY, Some(&body)).refused();
    assert!((400..500).contains(&status), "{status} {message}");
}

#[test]
fn a_native_panic_ends_its_own_call_only() {
    let server = with_samples(Setup::new());
    for language in languages().into_iter().filter(|language| *language != "c") {
        thread::scope(|scope| {
            let echoes = scope.spawn(|| {
                for _ in 0..100 {
                    let echoed = server.rpc(&format!("{language}_echo"), "\"here\"").ok();
                    assert_eq!(echoed, json!("here"));
                }
            });
            for _ in 0..100 {
                let (status, code, message) =
                    server.rpc(&format!("{language}_panic"), "").refused();
                assert_eq!((status, code), (500, 13), "{language}: {message}");
            }
            echoes.join().unwrap();
        });
    }
}
