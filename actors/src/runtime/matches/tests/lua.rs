//! Match handlers in Lua.

use std::time::{Duration, Instant};

use guildhall_core::Code;
use serde_json::{Value, json};

use super::*;

/// A Lua handler whose functions are `changes`, the others do nothing.
pub(super) fn handler(changes: &str) -> String {
    format!(
        "local nk = require('nakama')
local M = {{}}
function M.match_init(ctx, params) return {{n = 0, params = params}}, 10, 'label' end
function M.match_join_attempt(ctx, d, tick, state, presence, metadata) return state, true end
function M.match_join(ctx, d, tick, state, presences) return state end
function M.match_leave(ctx, d, tick, state, presences) return state end
function M.match_loop(ctx, d, tick, state, messages) return state end
function M.match_terminate(ctx, d, tick, state, grace) return state end
function M.match_signal(ctx, d, tick, state, data) return state, data end
{changes}
return M"
    )
}

/// What the handler with these `changes` gives for `expression`, by a signal.
fn lua(changes: &str) -> Bench {
    bench(&[("m.lua", &handler(changes))])
}

#[test]
fn a_lua_handler_plays_from_init_to_end() {
    let bench = lua(
        "local function keys(t) local l = {} for k in pairs(t) do l[#l + 1] = k end table.sort(l) return table.concat(l, ' ') end
        function M.match_init(ctx, params)
          return {n = 0, said = keys(ctx) .. '/' .. params.greeting}, 7.9, 'first'
        end
        function M.match_join_attempt(ctx, d, tick, state, presence, metadata)
          state.n = state.n + 1
          if metadata.no then return state, false, metadata.no end
          state.said = keys(ctx) .. '/' .. keys(presence) .. '/' .. ctx.vars.v .. ctx.user_session_exp
          return state, true
        end
        function M.match_join(ctx, d, tick, state, presences)
          state.said = keys(presences[1]) .. presences[1].reason .. #presences
          return state
        end
        function M.match_loop(ctx, d, tick, state, messages)
          for _, m in ipairs(messages) do
            state.said = keys(m) .. '/' .. keys(m.sender) .. '/' .. m.op_code .. tostring(m.data) .. tostring(m.reliable) .. m.receive_time_ms
          end
          state.tick = tick
          if tick == 3 then return nil end
          return state
        end
        function M.match_terminate(ctx, d, tick, state, grace) d.broadcast_message(9, 'grace ' .. grace) return state end
        function M.match_signal(ctx, d, tick, state, data)
          if data == 'ctx' then return state, keys(ctx) .. '/' .. ctx.execution_mode .. ctx.match_id .. ctx.match_label .. ctx.match_tick_rate end
          if data == 'tick' then return state, tostring(state.tick) end
          if data == 'none' then return state, nil end
          return state, state.said
        end",
    );
    bench.run(|maker| async move {
        let mut it = maker.make("m", json!({ "greeting": "hello" })).await.unwrap();
        assert_eq!(it.init, MatchInit { tick_rate_hz: 7, label: "first".to_owned() });
        let said = it.signal(0, "said".to_owned()).await.unwrap();
        assert_eq!(
            said.as_deref(),
            Some("env execution_mode match_id match_node node version/hello")
        );
        let refused = it.join_attempt(0, attempt(&[("no", "not you")])).await.unwrap();
        assert_eq!(refused, Some(JoinAnswer { allow: false, reason: "not you".to_owned() }));
        let allowed = it.join_attempt(0, attempt(&[])).await.unwrap();
        assert_eq!(allowed, Some(JoinAnswer { allow: true, reason: String::new() }));
        assert_eq!(
            it.signal(0, "said".to_owned()).await.unwrap().as_deref(),
            Some(
                "client_ip client_port env execution_mode match_id match_label match_node \
                 match_tick_rate node session_id user_id user_session_exp username vars version/\
                 node session_id user_id username/w99"
            )
        );
        assert_eq!(it.join(0, vec![presence("ann", 0), presence("bob", 0)]).await.unwrap(), Turn::Continue);
        assert_eq!(
            it.signal(0, "said".to_owned()).await.unwrap().as_deref(),
            Some("node reason session_id user_id username02")
        );
        assert_eq!(it.leave(1, vec![presence("bob", 3)]).await.unwrap(), Turn::Continue);
        assert_eq!(it.tick(1, vec![message(5, "x"), message(6, "")]).await.unwrap(), Turn::Continue);
        assert_eq!(
            it.signal(1, "said".to_owned()).await.unwrap().as_deref(),
            Some("op_code receive_time_ms reliable sender/node session_id user_id username/6niltrue1700000000123")
        );
        assert_eq!(it.signal(1, "tick".to_owned()).await.unwrap().as_deref(), Some("1"));
        assert_eq!(it.signal(1, "none".to_owned()).await.unwrap().as_deref(), Some(""));
        let ctx = it.signal(1, "ctx".to_owned()).await.unwrap().unwrap();
        assert_eq!(
            ctx,
            "env execution_mode match_id match_label match_node match_tick_rate node version/\
             match00000000-0000-0000-0000-000000000007.node1first7.9"
        );
        assert_eq!(it.terminate(2, 15).await.unwrap(), Turn::Continue);
        assert_eq!(it.seen.texts(), ["grace 15"]);
        assert_eq!(it.tick(3, vec![]).await.unwrap(), Turn::End);
    });
}

#[test]
fn a_match_that_waits_does_not_delay_the_others() {
    let bench = lua("function M.match_loop(ctx, d, tick, state, messages)
          for _, m in ipairs(messages) do
            local code = nk.http_request(m.data, 'get', {}, nil)
            d.broadcast_message(1, 'code ' .. code)
          end
          return state
        end");
    let url = slow_url(&bench, Duration::from_secs(1));
    bench.run(move |maker| async move {
        let mut waiting = Vec::new();
        let begun = Instant::now();
        for _ in 0..20 {
            let mut it = maker.make("m", Value::Null).await.unwrap();
            let message = message(1, &url);
            waiting.push(tokio::task::spawn_local(async move {
                assert_eq!(it.tick(0, vec![message]).await.unwrap(), Turn::Continue);
                it.seen.texts()
            }));
        }
        let mut other = maker.make("m", Value::Null).await.unwrap();
        let mut ticks = 0;
        while waiting.iter().any(|waiting| !waiting.is_finished()) {
            other.tick(ticks, vec![]).await.unwrap();
            ticks += 1;
            tokio::task::yield_now().await;
        }
        assert!(ticks > 20, "{ticks}");
        // All waited at the same time.
        assert!(begun.elapsed() < Duration::from_secs(10));
        for waiting in waiting {
            assert_eq!(waiting.await.unwrap(), ["code 204"]);
        }
    });
}

#[test]
fn an_endless_handler_ends_alone_while_the_others_keep_ticking() {
    let mut config = config();
    config.runtime.call_deadline_ms = 1000;
    let changes = "
        local function forever() while true do end end
        function M.match_loop(ctx, d, tick, state, messages)
          if messages[1] and messages[1].data == 'plain' then
            while true do end
          elseif messages[1] and messages[1].data == 'caught' then
            while true do pcall(forever) end
          elseif messages[1] and messages[1].data == 'pattern' then
            string.find(string.rep('a', 300000), string.rep('a*', 30) .. 'b')
          elseif messages[1] and messages[1].data == 'sorted' then
            local list = {}
            for i = 1, 500000 do list[i] = -i * 7919 % 1000003 end
            while true do table.sort(list) for i = 1, #list, 2 do list[i] = -list[i] end end
          end
          return state
        end";
    let bench = bench_with(config, &[("m.lua", &handler(changes))]);
    bench.run(|maker| async move {
        for kind in ["plain", "caught", "pattern", "sorted"] {
            let mut bad = maker.make("m", Value::Null).await.unwrap();
            let mut good = maker.make("m", Value::Null).await.unwrap();
            let message = message(1, kind);
            let bad = tokio::task::spawn_local(async move { bad.tick(0, vec![message]).await });
            let mut ticks = 0;
            while !bad.is_finished() {
                tokio::task::yield_now().await;
                good.tick(ticks, vec![]).await.unwrap_or_else(|e| panic!("{kind} {ticks} {e}"));
                ticks += 1;
            }
            let error = bad.await.unwrap().unwrap_err();
            assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");
            assert!(error.message().starts_with("m.lua:"), "{error}");
            assert!(error.message().contains("in function"), "{error}");
            // Of some 250 turns: each time that the slice of the endless one is used up.
            assert!(ticks > 20, "{kind}: {ticks}");
            assert_eq!(good.tick(ticks, vec![]).await.unwrap(), Turn::Continue);
        }
    });
}

/// What the function `f` of a Lua handler gives or raises, called by a signal; then whether the
/// handler still works.
async fn told(maker: &Maker, changes: &str) -> (Result<Option<String>>, bool) {
    // The module is one of those that the program has; its code comes with the match.
    let mut it = maker.make("m", json!({ "code": changes })).await.unwrap();
    let told = it.signal(0, "f".to_owned()).await;
    let works = it.tick(1, vec![]).await.is_ok();
    (told, works)
}

/// A handler whose `f` is the code that the match was made with.
fn scripted() -> Bench {
    scripted_with("")
}

/// The same; the module begins with `top`.
fn scripted_with(top: &str) -> Bench {
    lua(&format!(
        "{top}
        function M.match_init(ctx, params)
          local f = assert(loadstring('local nk, d, state = ... ' .. params.code, '=code'))
          return {{f = f}}, 10, ''
        end
        function M.match_signal(ctx, d, tick, state, data) return state, state.f(nk, d, state) end"
    ))
}

#[test]
fn the_module_nakama_looks_in_a_match_as_it_does_elsewhere() {
    // It is evaluated elsewhere first, which leaves there what a match is to see.
    let bench = scripted_with(
        "function seen(t)
          local l = {}
          for name, value in pairs(t) do l[#l + 1] = name .. type(value) end
          table.sort(l)
          return table.concat(l, ' ')
        end
        if not nk.localcache_get('seen') then
          nk.localcache_put('seen', seen(nk))
          nk.localcache_put('next', type(next(nk)))
          local ok, problem = pcall(function() pairs(nil) end)
          nk.localcache_put('problem', problem:gsub('^.*: ', ''))
        end",
    );
    bench.run(|maker| async move {
        for (code, expected) in [
            ("return tostring(seen(nk) == nk.localcache_get('seen'))", "true"),
            ("local get = nk.localcache_get return tostring(seen(nk) == get('seen'))", "true"),
            ("local n = 0 for _ in next, nk do n = n + 1 end local _, names = nk.localcache_get('seen'):gsub('%S+', '') return tostring(n == names)", "true"),
            ("return type(next(nk))", "string"),
            ("return type(rawget(nk, 'uuid_v4')) .. type(rawget(nk, 'nothing'))", "functionnil"),
            ("return type(nk.uuid_v4) .. #nk.uuid_v4() .. type(nk.nothing) .. type(nk[1])", "function36nilnil"),
            ("return tostring(nk.uuid_v4 == nk.uuid_v4)", "true"),
            ("return tostring(getmetatable(nk))", "nil"),
            ("setmetatable(nk, {__index = function(_, name) return name end}) return nk.anything .. type(nk.uuid_v4)", "anythingfunction"),
            ("nk.uuid_v4 = nil return type(nk.uuid_v4)", "nil"),
            ("local was = nk.uuid_v4 nk.uuid_v4 = nil return type(was) .. type(nk.uuid_v4) .. type(rawget(nk, 'uuid_v4'))", "functionnilnil"),
            ("rawset(nk, 'uuid_v4', nil) return type(nk.uuid_v4)", "nil"),
            ("nk.uuid_v4 = 5 nk.more = 6 return nk.uuid_v4 .. nk.more .. rawget(nk, 'more') .. type(nk.json_encode)", "566function"),
            ("local t = setmetatable({}, {__index = nk, __newindex = nk}) t.more = 7 return type(t.uuid_v4) .. nk.more", "function7"),
            ("local f = nk.storage_write_retry nk.storage_write_retry = nil return type(f) .. type(nk.storage_write_retry)", "functionnil"),
            ("local ok, problem = pcall(function() pairs(nil) end) return tostring(problem == 'code:1: ' .. nk.localcache_get('problem')) .. problem", "truecode:1: bad argument #1 to 'pairs' (table expected, got nil)"),
            ("local ok, problem = pcall(function() setmetatable({}) end) return problem", "code:1: bad argument #2 to 'setmetatable' (nil or table expected)"),
            ("local ok, problem = pcall(function() nk.nothing() end) return problem", "code:1: attempt to call field 'nothing' (a nil value)"),
        ] {
            let (told, works) = told(&maker, code).await;
            assert_eq!(told.unwrap().as_deref(), Some(expected), "{code}");
            assert!(works, "{code}");
        }
    });
}

#[test]
fn errors_of_luajit_unwind_on_a_fiber_as_on_a_thread() {
    let bench = scripted();
    let url = slow_url(&bench, Duration::from_millis(20));
    bench.run(move |maker| async move {
        for (code, expected) in [
            // Caught, of Lua and of C functions, thrown by and through each other.
            ("local ok, e = pcall(error, 'x', 0) return tostring(ok) .. e", "falsex"),
            ("local ok, e = pcall(string.find, 'a', '[a') return e", "malformed pattern (missing ']')"),
            ("local ok, e = pcall(string.rep) return e", "bad argument #1 to '?' (string expected, got no value)"),
            ("local ok, e = pcall(table.sort, {3, 1, 2}, function() error('in sort', 0) end) return e", "in sort"),
            ("local ok, e = pcall(string.gsub, 'aaa', 'a', function() error('in gsub', 0) end) return e", "in gsub"),
            ("local ok, e = pcall(nk.base64_decode, {}) return tostring(ok)", "false"),
            ("local ok, e = xpcall(function() local x = nil; return x.y end, function(e) return 'handled ' .. e end) return e", "handled code:1: attempt to index local 'x' (a nil value)"),
            ("local t = setmetatable({}, {__index = function(_, k) error('no ' .. k, 0) end}) local ok, e = pcall(function() return t.x end) return e", "no x"),
            // Deep: calls of Lua, and of C and Lua in turn.
            ("local function f() return 1 + f() end local ok, e = pcall(f) return tostring(ok) .. (e:find('stack overflow') and ' overflow' or e)", "false overflow"),
            ("local depth = 0 local function f() depth = depth + 1 string.gsub('x', 'x', f) end local ok, e = pcall(f) return tostring(ok) .. (depth > 50 and ' deep' or depth)", "false deep"),
            ("local depth = 0 local function f(a, b) depth = depth + 1 table.sort({1, 2, 3}, f) return a < b end local ok, e = pcall(f, 1, 2) return tostring(ok) .. (depth > 50 and ' deep' or depth)", "false deep"),
            // A loop that throws and catches, long enough to be compiled.
            ("local n = 0 for i = 1, 300000 do local ok = pcall(function() if i % 3 == 0 then error('x') end end) if not ok then n = n + 1 end end return tostring(n)", "100000"),
        ] {
            let (told, works) = told(&maker, code).await;
            assert_eq!(told.unwrap().as_deref(), Some(expected), "{code}");
            assert!(works, "{code}");
        }
        // Thrown after a wait, through frames that waited.
        let code = format!(
            "local function wait(n) if n == 0 then return (nk.http_request('{url}', 'get', {{}}, nil)) end \
             local a = 0 string.gsub('x', 'x', function() a = wait(n - 1) end) return a end \
             local ok, e = pcall(function() local code = wait(5) error('got ' .. code, 0) end) return e"
        );
        let (told_it, works) = told(&maker, &code).await;
        assert_eq!((told_it.unwrap().as_deref(), works), (Some("got 204"), true));
    });
}

#[test]
fn a_handler_whose_calls_take_long_comes_to_be_compiled() {
    let bench = scripted();
    bench.run(|maker| async move {
        let code = "local count, sum, begun = 100000, 0, os.clock()
            for i = 1, count do local pair = {i, i + 1} sum = (sum * 1.01 + pair[1]) % 1000 end
            return tostring((os.clock() - begun) / count * 1e9)";
        let mut it = maker.make("m", json!({ "code": code })).await.unwrap();
        let mut times_ns = Vec::new();
        for _ in 0..20 {
            let said = it.signal(0, String::new()).await.unwrap().unwrap();
            times_ns.push(said.parse::<f64>().unwrap());
        }
        let best_ns = times_ns[1..].iter().copied().fold(f64::INFINITY, f64::min);
        // Fifteen times as fast, measured.
        assert!(best_ns * 4.0 < times_ns[0], "{times_ns:?}");
    });
}

#[test]
fn what_a_handler_raises_ends_its_match_and_names_the_place() {
    let bench = scripted();
    bench.run(|maker| async move {
        for (code, expected, kind) in [
            ("\n error('with a place')", "code:2: with a place", Code::Internal),
            ("error({'a text', 7})", "a text", Code(7)),
            ("return 5", "Match signal returned non-string result, stopping match", Code::InvalidArgument),
            ("local t = {} while true do t[#t + 1] = string.rep('x', 1000) .. #t end", "m.lua: function match_signal needs more memory than the 32 MB of runtime.memory_limit_mb", Code::ResourceExhausted),
        ] {
            let (told, works) = told(&maker, code).await;
            let error = told.unwrap_err();
            assert_eq!((error.message(), error.code()), (expected, kind));
            assert!(!works, "{code}");
        }
    });
}

#[test]
fn matches_share_nothing() {
    let counter = handler(
        "shared = 0 local count = 0
        function M.match_signal(ctx, d, tick, state, data)
          shared, count, state.n = shared + 1, count + 1, state.n + 1
          require('lib').n = require('lib').n + 1
          return state, shared .. count .. state.n .. require('lib').n
        end",
    );
    let bench = bench(&[("m.lua", &counter), ("lib.lua", "return {n = 0}")]);
    bench.run(|maker| async move {
        let mut one = maker.make("m", Value::Null).await.unwrap();
        let mut two = maker.make("m", Value::Null).await.unwrap();
        for expected in ["1111", "2222"] {
            for it in [&mut one, &mut two] {
                assert_eq!(it.signal(0, String::new()).await.unwrap().as_deref(), Some(expected));
            }
        }
    });
}

#[test]
fn a_call_that_nobody_waits_for_any_more_ends_its_match_at_once() {
    let bench = lua("function M.match_loop(ctx, d, tick, state, messages)
          -- Neither errors nor what comes after them keep it alive.
          while true do
            pcall(function() nk.http_request(messages[1].data, 'get', {}, nil) end)
          end
        end");
    let url = slow_url(&bench, Duration::from_secs(60));
    bench.run(move |maker| async move {
        let mut it = maker.make("m", Value::Null).await.unwrap();
        let begun = Instant::now();
        let tick = it.tick(0, vec![message(1, &url)]);
        assert!(tokio::time::timeout(Duration::from_millis(50), tick).await.is_err());
        assert!(begun.elapsed() < Duration::from_secs(2));
        assert_eq!(it.tick(1, vec![]).await.unwrap_err().message(), "match stopped");
    });
}

#[test]
fn matches_that_cannot_be_say_why_in_the_words_of_the_reference() {
    let init = handler(
        "function M.match_init(ctx, params)
          return assert(loadstring('local params = ... ' .. params.code))(params)
        end",
    );
    let bench = bench(&[
        ("m.lua", &init),
        ("sub/part.lua", "return {match_init = function() return {}, 1, '' end}"),
        ("text.lua", "return 'text'"),
    ]);
    bench.run(|maker| async move {
        for (name, expected) in [
            ("nobody", "error creating match: not found"),
            ("sub.part", "match_join_attempt not found or not a function"),
            ("nakama", "match_init not found or not a function"),
            ("text", "match module must return a table containing the match callback functions"),
        ] {
            let error = maker.make(name, Value::Null).await.err().unwrap();
            assert_eq!(error.message(), expected);
        }
        for (code, expected) in [
            ("return nil, 10, ''", "Match initial state must not be nil"),
            ("return {}, 10", "match_init returned unexpected third value, must be a label string"),
            ("return {}, 10, 12", "match_init returned unexpected third value, must be a label string"),
            ("return", "match_init returned unexpected third value, must be a label string"),
            ("return {}, nil, ''", "match_init returned unexpected second value, must be a tick rate number"),
            ("return {}, 'fast', ''", "match_init returned unexpected second value, must be a tick rate number"),
            ("return ''", "match_init returned unexpected second value, must be a tick rate number"),
            ("return 10, ''", "match_init returned unexpected first value, must be a state"),
            ("return {}, 0, ''", "match_init returned invalid tick rate, must be between 1 and 60"),
            ("return {}, 61, ''", "match_init returned invalid tick rate, must be between 1 and 60"),
            ("return {}, 0/0, ''", "match_init returned invalid tick rate, must be between 1 and 60"),
            ("return {}, 10, string.rep('x', 2049)", "match_init returned invalid label, must be 2048 bytes or less"),
            ("return 1, {}, 10, ''", "match_init returned too many arguments, must be: state, tick rate number, label string"),
            ("error('init failed', 0)", "init failed"),
        ] {
            let error = maker.make("m", json!({ "code": code })).await.err().unwrap();
            assert_eq!(error.message(), format!("error creating match: {expected}"), "{code}");
        }
        for (rate, expected) in [("1.9", 1), ("60.9", 60)] {
            let code = format!("return {{}}, {rate}, ''");
            let made = maker.make("m", json!({ "code": code })).await.unwrap();
            assert_eq!(made.init.tick_rate_hz, expected);
        }
    });
}

#[test]
fn what_a_handler_does_to_its_match_is_checked_as_in_the_reference() {
    let bench = scripted();
    bench.run(|maker| async move {
        let id = "'00000000-0000-0000-0000-000000000001'";
        let one = format!("{{user_id = {id}, session_id = {id}, node = 'node1', username = 'ann'}}");
        let told = |call: String| {
            let maker = maker.clone();
            async move {
                let code = format!("local ok, e = pcall({call}) return tostring(e)");
                let mut it = maker.make("m", json!({ "code": code })).await.unwrap();
                let told = it.signal(0, String::new()).await.unwrap().unwrap();
                (told, it)
            }
        };
        for (call, expected) in [
            ("d.broadcast_message", "bad argument #1 to broadcast_message (number expected, got nil)"),
            ("d.broadcast_message, '1'", "bad argument #1 to broadcast_message (number expected, got string)"),
            ("d.broadcast_message, 1, {}", "bad argument #2 to broadcast_message (expects data to be a string or nil)"),
            ("d.broadcast_message_deferred, 1, 'x', 5", "bad argument #3 to broadcast_message_deferred (table expected, got number)"),
            ("d.broadcast_message, 1, 'x', {'a'}", "bad argument #3 to broadcast_message (expects a valid set of presences)"),
            ("d.broadcast_message, 1, 'x', {{node = 'n'}}", "bad argument #3 to broadcast_message (expects each presence to have a valid session_id and node)"),
            ("d.broadcast_message, 1, 'x', {{session_id = 'x', node = 'n'}}", "bad argument #3 to broadcast_message (expects each presence to have a valid session_id)"),
            ("d.broadcast_message, 1, 'x', nil, {username = 'a'}", "bad argument #4 to broadcast_message (expects presence to have a valid user_id, session_id, and username)"),
            ("d.broadcast_message, 1, 'x', nil, nil, 1", "bad argument #5 to broadcast_message (boolean expected, got number)"),
            ("d.match_kick, {{user_id = 'a'}}", "bad argument #1 to match_kick (expects each presence to have a valid user_id)"),
            ("d.match_kick, {{}}", "bad argument #1 to match_kick (expects each presence to have a valid user_id, session_id, and node)"),
            ("d.match_label_update, {}", "bad argument #1 to match_label_update (string expected, got table)"),
            ("d.match_label_update, string.rep('x', 2049)", "error updating match label: match label too long, must be 0-2048 bytes"),
            // To nobody, or nothing at all.
            ("d.broadcast_message, 1, 'x', {}", "nil"),
            ("d.match_kick", "nil"),
            ("d.match_kick, {}", "nil"),
        ] {
            let (text, it) = told(call.to_owned()).await;
            assert_eq!(text, expected, "{call}");
            assert!(it.seen.broadcasts.lock().is_empty() && it.seen.kicked.lock().is_empty());
        }
        let call = format!("d.broadcast_message, 7.9, 'to ann', {{{one}, {{session_id = {id}, node = 'far'}}}}, {one}, false");
        let (_, it) = told(call).await;
        let sent = it.seen.broadcasts.lock().pop().unwrap();
        assert_eq!((sent.op_code, &sent.data[..], sent.reliable, sent.deferred), (7, &b"to ann"[..], false, false));
        let nodes: Vec<_> = sent.recipients.unwrap().into_iter().map(|it| it.node).collect();
        assert_eq!(nodes, ["node1".into(), "far".into()]);
        assert_eq!(&*sent.sender.unwrap().username, "ann");
        let (_, it) = told(format!("d.match_kick, {{{one}}}")).await;
        assert_eq!(it.seen.kicked.lock().pop().unwrap().session_id, Uuid::from_u128(1));
        let (_, it) = told("d.match_label_update, 'second'".to_owned()).await;
        assert_eq!(*it.seen.labels.lock(), ["second"]);

        for (refusal, call, expected) in [
            (Refusal::Stopped, "d.broadcast_message(1)", "match stopped"),
            (Refusal::Stopped, "d.match_label_update('x')", "match stopped"),
            (Refusal::DeferredFull, "d.broadcast_message_deferred(1)", "error deferring message broadcast: too many deferred message broadcasts per tick"),
        ] {
            let code = format!("local ok, e = pcall(function() {call} end) return e");
            let mut it = maker.make("m", json!({ "code": code })).await.unwrap();
            *it.seen.refusal.lock() = Some(refusal);
            let told = it.signal(0, String::new()).await.unwrap().unwrap();
            assert_eq!(told, format!("code:1: {expected}"));
        }
    });
}

#[test]
fn results_that_do_not_fit_end_the_match_in_the_words_of_the_reference() {
    let join = handler(
        "function M.match_init(ctx, params) return {f = assert(loadstring('local state = ... ' .. params.code))}, 10, '' end
        function M.match_join_attempt(ctx, d, tick, state) return state.f(state) end
        function M.match_loop(ctx, d, tick, state) return state.f(state) end
        function M.match_signal(ctx, d, tick, state) return state.f(state) end",
    );
    let bench = bench(&[("m.lua", &join)]);
    bench.run(|maker| async move {
        let make = async |code: &str| maker.make("m", json!({ "code": code })).await.unwrap();
        let few = "Match join attempt returned too few values, stopping match - expected: state, join result boolean, optional reject reason string";
        let fewer = "Match join attempt returned incorrect or too few values, stopping match - expected: state, join result boolean, optional reject reason string";
        let other = "Match join attempt returned non-boolean join result or non-string reject reason, stopping match";
        for (code, expected) in [
            ("return", Err(few)),
            ("return 'why'", Err(fewer)),
            ("return state", Err(other)),
            ("return state, true, nil", Err(other)),
            ("return state, 5, 'why'", Err("Match join attempt returned non-boolean join result, stopping match")),
            ("return 1, state, true", Err("Match join attempt returned too many values, stopping match")),
            ("return nil, true", Ok(None)),
            ("return true", Ok(None)),
            ("return state, false, 'why'", Ok(Some((false, "why")))),
            ("return state, true", Ok(Some((true, "")))),
        ] {
            let answer = make(code).await.join_attempt(0, attempt(&[])).await;
            let answer = answer.map(|it| it.map(|it| (it.allow, it.reason)));
            let answer = answer.map_err(|error| error.message().to_owned());
            let expected = expected.map(|it| it.map(|(allow, reason): (_, &str)| (allow, reason.to_owned())));
            assert_eq!(answer, expected.map_err(str::to_owned), "{code}");
        }
        for (code, expected) in [
            ("return", Ok(Turn::End)),
            ("return nil", Ok(Turn::End)),
            ("return state, nil", Ok(Turn::End)),
            ("return state", Ok(Turn::Continue)),
            ("return false", Ok(Turn::Continue)),
            ("return state, 1", Err("Match loop returned too many values, stopping match")),
        ] {
            let mut it = make(code).await;
            let turn = it.tick(0, vec![]).await.map_err(|error| error.message().to_owned());
            assert_eq!(turn, expected.map_err(str::to_owned), "{code}");
            let goes_on = it.tick(1, vec![]).await.is_ok();
            assert_eq!(goes_on, turn == Ok(Turn::Continue) && code != "return false" || turn == Ok(Turn::End));
        }
        for (code, expected) in [
            ("return state", Err("Match signal returned non-string result, stopping match")),
            ("return", Err("Match signal returned non-string result, stopping match")),
            ("return state, 5", Err("Match signal returned non-string result, stopping match")),
            ("return 1, state, 'x'", Err("Match signal returned too many values, stopping match")),
            ("return nil, 'x'", Ok(None)),
            ("return 'x'", Ok(None)),
            ("return state, nil", Ok(Some(""))),
            ("return state, 'x'", Ok(Some("x"))),
        ] {
            let answer = make(code).await.signal(0, String::new()).await;
            let answer = answer.map_err(|error| error.message().to_owned());
            assert_eq!(answer, expected.map(|it| it.map(str::to_owned)).map_err(str::to_owned), "{code}");
        }
    });
}
