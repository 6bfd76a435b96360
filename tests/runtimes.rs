//! What modules of different languages share: precedence, hooks, events, state.

use serde_json::json;

use crate::support::{SERVER_KEY, Setup};

#[test]
fn lua_comes_before_javascript() {
    let lua = r#"
        local nk = require("nakama")
        nk.register_rpc(function() return "lua" end, "both")
        nk.register_rpc(function() return "first" end, "twice")
        nk.register_rpc(function() return "second" end, "TWICE")
        nk.register_req_before(function(ctx, r) r.display_name = "lua"; return r end, "UpdateAccount")
    "#;
    let javascript = r#"
        function InitModule(ctx, logger, nk, initializer) {
          initializer.registerRpc("Both", () => "javascript");
          initializer.registerRpc("only_js", () => "javascript");
          initializer.registerBeforeUpdateAccount((ctx, logger, nk, r) => { r.displayName = "js"; return r; });
        }
    "#;
    let server = Setup::new().module("a.lua", lua).module("index.js", javascript).start();
    assert_eq!(server.rpc("both", "").ok(), json!("lua"));
    assert_eq!(server.rpc("only_js", "").ok(), json!("javascript"));
    assert_eq!(server.rpc("twice", "").ok(), json!("second"));
    let token = server.sign_in("preferred");
    server.put("/v2/account", &token, json!({ "display_name": "mine" })).ok();
    assert_eq!(server.get("/v2/account", &token).ok()["user"]["display_name"], "lua");
}

#[test]
fn input_is_validated_after_the_before_hook() {
    let lua = r#"
        local nk = require("nakama")
        nk.register_req_before(function(ctx, request)
          if #request.account.id > 128 then request.account.id = nk.md5_hash(request.account.id) end
          return request
        end, "AuthenticateCustom")
    "#;
    let server = Setup::new().module("a.lua", lua).start();
    let path = "/v2/account/authenticate/custom?create=true";
    let custom = |id: &str| server.call("POST", path, SERVER_KEY, Some(&json!({ "id": id })));
    assert_eq!(custom(&"x".repeat(129)).status, 200);
    assert_eq!(custom("short").status, 400);
}

#[test]
fn every_javascript_file_is_a_module_where_there_is_no_index() {
    let module = |name: &str| {
        format!(
            "const name = '{name}';
             class Greeter {{ greet() {{ return name; }} }}
             function InitModule(ctx, logger, nk, initializer) {{
               const handlers = new Map([['greet', () => new Greeter().greet()]]);
               initializer.registerRpc('greet_' + name, handlers.get('greet'));
             }}"
        )
    };
    let server =
        Setup::new().module("one.js", module("one")).module("sub/two.js", module("two")).start();
    // Also by interpreters that were made later.
    for _ in 0..3 {
        assert_eq!(server.rpc("greet_one", "").ok(), json!("one"));
        assert_eq!(server.rpc("greet_two", "").ok(), json!("two"));
    }
}

#[test]
fn loading_has_its_side_effects_once() {
    let lua = r#"
        local nk = require("nakama")
        nk.storage_write({{collection = "boot", key = nk.uuid_v4(), value = {language = "lua"}}})
        nk.run_once(function(ctx)
          nk.storage_write({{collection = "boot", key = nk.uuid_v4(), value = {language = "once"}}})
        end)
        nk.register_rpc(function()
          return nk.json_encode(nk.sql_query("SELECT count(*) AS n FROM storage WHERE collection = 'boot'")[1])
        end, "boots")
        nk.register_rpc(function() while os.clock() < 0 do end return "x" end, "busy")
    "#;
    let javascript = r#"
        function InitModule(ctx, logger, nk, initializer) {
          nk.storageWrite([{collection: "boot", key: nk.uuidv4(), userId: "00000000-0000-0000-0000-000000000000", value: {language: "js"}}]);
          initializer.registerRpc("echo_js", (ctx, logger, nk, payload) => payload);
        }
    "#;
    let server = Setup::new().module("a.lua", lua).module("index.js", javascript).start();
    std::thread::scope(|scope| {
        for rpc in ["busy", "echo_js"].repeat(16) {
            let server = &server;
            scope.spawn(move || server.rpc(rpc, "\"x\"").ok());
        }
    });
    assert_eq!(server.rpc("boots", "").ok(), json!({ "n": 3 }));
}

#[test]
fn modules_that_do_not_load_stop_the_start_with_file_and_line() {
    for (file, source, wanted) in [
        ("broken.lua", "local x = 1\nlocal y = = 2", "broken.lua:2"),
        ("failing.lua", "\n\nerror('no such luck')", "failing.lua:3"),
        (
            "index.js",
            "function InitModule() {\n  throw new Error('no such luck');\n}",
            "index.js:2",
        ),
        ("index.js", "var x = ;\n", "index.js:1"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(file), source).unwrap();
        let check = crate::support::program()
            .arg("check")
            .arg(format!("--runtime.path={}", folder.path().display()))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&check.stdout) + String::from_utf8_lossy(&check.stderr);
        assert_eq!(check.status.code(), Some(1), "{file}: {text}");
        assert!(text.contains(wanted), "{file}: {text}");
    }
}
