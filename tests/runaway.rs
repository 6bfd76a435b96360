//! A module that runs away ends its own call and nothing else.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use serde_json::json;

use crate::support::{Answer, Server, Setup};

const LUA: &str = r#"
    local nk = require("nakama")
    nk.register_rpc(function(ctx, payload) return payload end, "echo_lua")
    nk.register_rpc(function() while true do end end, "loop_lua")
    nk.register_rpc(function()
      while true do pcall(function() while true do end end) end
    end, "stubborn_lua")
    nk.register_rpc(function() return string.rep("a?", 40):rep(1), (string.rep("a", 4000)):match("(a*)*(a*)*(a*)*(a*)*b") end, "pattern_lua")
    nk.register_rpc(function()
      local kept = {}
      while true do kept[#kept + 1] = string.rep("x", 65536) .. #kept end
    end, "memory_lua")
    local function deeper(n) return deeper(n + 1) + 1 end
    nk.register_rpc(function() return deeper(0) end, "deep_lua")
"#;

const JAVASCRIPT: &str = r#"
    function deeper(n) { return deeper(n + 1) + 1; }
    function InitModule(ctx, logger, nk, initializer) {
      initializer.registerRpc("echo_js", (ctx, logger, nk, payload) => payload);
      initializer.registerRpc("loop_js", () => { for (;;); });
      initializer.registerRpc("stubborn_js", () => { for (;;) { try { for (;;); } catch (e) {} } });
      initializer.registerRpc("pattern_js", () => String(/^(a+)+$/.test("a".repeat(40) + "b")));
      initializer.registerRpc("memory_js", () => { const kept = []; for (;;) kept.push("x".repeat(65536) + kept.length); });
      initializer.registerRpc("deep_js", () => deeper(0));
    }
"#;

fn server() -> Server {
    Setup::new()
        .module("runaway.lua", LUA)
        .module("index.js", JAVASCRIPT)
        .flag("--runtime.call_deadline_ms=200")
        .flag("--runtime.memory_limit_mb=32")
        .start()
}

/// Calls every runaway of both languages while echoes go on, and gives back the answers.
fn run_away(server: &Server, kinds: &[&str], times: usize) -> Vec<(String, Answer)> {
    let (stop, echoes) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for language in ["lua", "js"] {
            let (stop, echoes) = (&stop, &echoes);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let answer = server.rpc(&format!("echo_{language}"), "\"still here\"");
                    assert_eq!(answer.ok(), json!("still here"));
                    echoes.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let answers = kinds
            .iter()
            .flat_map(|kind| ["lua", "js"].map(|language| format!("{kind}_{language}")))
            .flat_map(|rpc| (0..times).map(move |_| rpc.clone()))
            .map(|rpc| {
                let answer = server.rpc(&rpc, "");
                (rpc, answer)
            })
            .collect();
        stop.store(true, Ordering::Relaxed);
        assert!(echoes.load(Ordering::Relaxed) > 5, "{echoes:?} echoes");
        answers
    })
}

#[test]
fn endless_loops_end_at_the_deadline() {
    let server = server();
    for (rpc, answer) in run_away(&server, &["loop", "stubborn", "pattern"], 4) {
        let (status, _, message) = answer.refused();
        assert!(status >= 500, "{rpc}: {status} {message}");
        assert!(message.contains("deadline"), "{rpc}: {message}");
        let file = if rpc.ends_with("lua") { "runaway.lua:" } else { "index.js:" };
        assert!(rpc.starts_with("pattern") || message.contains(file), "{rpc}: {message}");
    }
}

#[test]
fn runaway_memory_ends_the_call_and_comes_back() {
    let server = server();
    run_away(&server, &["memory"], 2);
    let before = server.resident_mb();
    for (rpc, answer) in run_away(&server, &["memory"], 8) {
        let (status, code, message) = answer.refused();
        assert_eq!((status, code), (429, 8), "{rpc}: {message}");
        assert!(message.to_lowercase().contains("memory"), "{rpc}: {message}");
    }
    let after = server.resident_mb();
    assert!(after < before + 48, "{before} MB before, {after} MB after");
}

#[test]
fn endless_recursion_is_an_error() {
    let server = server();
    for (rpc, answer) in run_away(&server, &["deep"], 4) {
        let (status, _, message) = answer.refused();
        assert_eq!(status, 500, "{rpc}: {message}");
        assert!(message.to_lowercase().contains("stack"), "{rpc}: {message}");
    }
}
