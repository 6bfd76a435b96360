//! Real modules through the interpreter, without a server.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{path::PathBuf, sync::Arc, thread, time::Duration};

use guildhall_core::{
    Caller, Code,
    caller::{TraceId, User},
};
use serde_json::json;
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::{super::surroundings::Surroundings, LuaProgram, raw};
use crate::{
    cx::Cx,
    host::Language,
    registry::{FunctionId, Point, Registration},
    runtime::{
        call::{Argument, Call, Context, ExecutionMode, Input, Output, Wire},
        modules::ModuleFile,
        script::{Interpreter, Invoked, LoadError, Program, Started},
        seat::{Due, Loading, Seat, Tape},
    },
};

/// A server that is nothing but an interpreter.
struct Bench {
    interpreter: Box<dyn Interpreter>,
    registrations: Vec<Registration>,
    seat: Arc<Seat>,
    _io: Runtime,
}

fn file(path: &str, source: &str) -> ModuleFile {
    ModuleFile {
        language: Language::Lua,
        path: path.to_owned(),
        file: PathBuf::from(path),
        name: path.trim_end_matches(".lua").replace('/', "."),
        source: source.as_bytes().to_vec(),
    }
}

fn surroundings() -> Surroundings {
    Surroundings {
        path: PathBuf::from("/nowhere/modules"),
        node: "node1".to_owned(),
        version: "3.40.0".to_owned(),
        env: [("KEY".to_owned(), "value".to_owned())].into(),
        memory_limit_bytes: 32 << 20,
        ..Surroundings::default()
    }
}

fn program(files: &[(&str, &str)]) -> LuaProgram {
    LuaProgram::new(
        files.iter().map(|(path, text)| file(path, text)).collect(),
        Arc::new(surroundings()),
    )
}

fn io() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn start(program: &LuaProgram, loading: Loading, tape: &Arc<Tape>) -> Result<Bench, LoadError> {
    let io = io();
    let cx = Arc::new(Cx::without_database(Arc::default(), io.handle().clone()).unwrap());
    let seat = Arc::new(Seat::new(cx).loading_with(loading, Arc::clone(tape)));
    let Started { interpreter, registrations } = program.start(Arc::clone(&seat))?;
    seat.loaded();
    Ok(Bench { interpreter, registrations, seat, _io: io })
}

fn bench(files: &[(&str, &str)]) -> Bench {
    start(&program(files), Loading::First, &Arc::default()).unwrap()
}

/// A module whose body is `text`, with `nk` at hand.
fn one(text: &str) -> Bench {
    bench(&[("m.lua", &format!("local nk = require('nakama')\n{text}"))])
}

impl Bench {
    fn find(&self, point: Point, name: &str) -> FunctionId {
        let same = |r: &&Registration| r.point == point && r.name == name;
        self.registrations.iter().find(same).expect(name).function
    }

    fn run(&mut self, point: Point, name: &str, context: Context, input: Input) -> Invoked {
        let function = self.find(point, name);
        self.interpreter.call(Call { function, context, input })
    }

    fn rpc(&mut self, name: &str, payload: &str) -> Invoked {
        let context = Context { mode: ExecutionMode::Rpc, ..Context::default() };
        self.run(Point::Rpc, name, context, Input::Rpc { payload: payload.into() })
    }

    fn text(&mut self, name: &str, payload: &str) -> String {
        match self.rpc(name, payload).result.unwrap() {
            Output::Text(text) => String::from_utf8(text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn error(&mut self, name: &str, payload: &str) -> (u32, String) {
        let error = self.rpc(name, payload).result.unwrap_err();
        (error.code().0, error.message().to_owned())
    }
}

/// The text of `expression` in a fresh interpreter.
fn eval(expression: &str) -> String {
    let body = format!("nk.register_rpc(function() return tostring({expression}) end, 'e')");
    one(&body).text("e", "")
}

fn json(expression: &str) -> String {
    one(&format!("nk.register_rpc(function() return nk.json_encode({expression}) end, 'e')"))
        .text("e", "")
}

#[test]
fn an_rpc_gets_context_and_payload_and_answers_text() {
    let mut bench = one(
        "nk.register_rpc(function(ctx, payload) return ctx.execution_mode .. ':' .. payload end, 'Echo')",
    );
    assert_eq!(bench.text("echo", "hi"), "rpc:hi");
}

#[test]
fn returns_follow_the_reference() {
    let mut bench = one("
        local give = {
          empty = function() return '' end, none = function() end, null = function() return nil end,
          number = function() return 7 end, yes = function() return true end, table = function() return {} end,
          two = function() return 'first', 'second' end, nil_then_text = function() return nil, 'second' end,
          bytes = function() return string.char(0xff, 0xfe, 0x41) end, func = function() return print end,
        }
        nk.register_rpc(function(_, payload) return give[payload]() end, 'give')");
    let mut give =
        |what| bench.rpc("give", what).result.map_err(|error| error.message().to_owned());
    let invalid = Err("Runtime function returned invalid data - only allowed one return value of type String/Byte.".to_owned());
    assert_eq!(give("empty"), Ok(Output::Text(vec![])));
    assert_eq!(give("none"), Ok(Output::Nothing));
    assert_eq!(give("null"), Ok(Output::Nothing));
    for what in ["number", "yes", "table"] {
        assert_eq!(give(what), invalid);
    }
    assert_eq!(give("two"), Ok(Output::Text(b"second".to_vec())));
    assert_eq!(give("nil_then_text"), Ok(Output::Text(b"second".to_vec())));
    assert_eq!(give("bytes"), Ok(Output::Text(vec![0xff, 0xfe, 0x41])));
    assert!(matches!(give("func"), Ok(Output::Text(text)) if text.starts_with(b"function: ")));
}

#[test]
fn errors_follow_the_reference() {
    let mut bench = one(r#"
        local function deeper(text) error(text) end
        local raise = {
          text = function() error("plain text") end,
          colon = function() error("reason: something: else") end,
          level0 = function() error("no position", 0) end,
          level2 = function() error("position of the caller", 2) end,
          one = function() error({"only text"}) end,
          two = function() error({"text and code", 3}) end,
          three = function() error({"more", 5, "ignored"}) end,
          zero = function() error({"code zero", 0}) end,
          seventeen = function() error({"seventeen", 17}) end,
          negative = function() error({"negative", -1}) end,
          code_text = function() error({"code is text", "3"}) end,
          fraction = function() error({"code is 3.9", 3.9}) end,
          number = function() error(42) end,
          half = function() error(1.5) end,
          boolean = function() error(true) end,
          nothing = function() error() end,
          helper = function() deeper("from a helper") end,
          again = function() local ok, e = pcall(error, {"kept", 7}); error(e) end,
          again_text = function() local ok, e = pcall(deeper, "kept text"); error(e, 0) end,
          xpcall = function() local ok, e = xpcall(function() error("inner", 0) end, function(m) return "handled " .. m end); error(e, 0) end,
          call_nil = function() local t = {}; return t.missing() end,
          json = function() return nk.json_decode("{not json") end,
          argument = function() return nk.uuid_bytes_to_string({}) end,
          missing = function() return nk.base64_encode() end,
        }
        nk.register_rpc(function(_, payload) return raise[payload]() end, "raise")"#);
    for (what, code, message) in [
        ("text", 13, "plain text"),
        ("colon", 13, "reason: something: else"),
        ("level0", 13, "no position"),
        ("level2", 13, "position of the caller"),
        ("one", 13, "only text"),
        ("two", 3, "text and code"),
        ("three", 5, "more"),
        ("zero", 13, "code zero"),
        ("seventeen", 13, "seventeen"),
        ("negative", 13, "negative"),
        ("code_text", 13, "code is text"),
        ("fraction", 3, "code is 3.9"),
        ("number", 13, "42"),
        ("half", 13, "1.5"),
        ("boolean", 13, "true"),
        ("nothing", 13, "bad argument #1 to error (value expected)"),
        ("helper", 13, "from a helper"),
        ("again", 7, "kept"),
        ("again_text", 13, "kept text"),
        ("xpcall", 13, "handled inner"),
        ("call_nil", 13, "attempt to call a non-function object"),
        (
            "json",
            13,
            "not a valid JSON string: invalid character 'n' looking for beginning of object key string",
        ),
        ("argument", 13, "bad argument #1 to uuid_bytes_to_string (string expected, got table)"),
        ("missing", 13, "bad argument #1 to base64_encode (string expected, got nil)"),
    ] {
        assert_eq!(bench.error("raise", what), (code, message.to_owned()), "{what}");
    }
}

#[test]
fn a_log_of_an_error_has_its_place_and_the_calls_that_led_to_it() {
    let mut bench = one(
        "local function inner() error('broken') end\nnk.register_rpc(function() inner() return '' end, 'r')",
    );
    let error = bench.rpc("r", "").result.unwrap_err();
    assert_eq!(error.message(), "broken");
    let log = error.to_string();
    assert!(log.contains("m.lua:2: broken") && log.contains("m.lua:3"), "{log}");
}

#[test]
fn deep_recursion_is_an_error_and_the_interpreter_goes_on() {
    let mut bench = one("
        nk.register_rpc(function() local function f(n) return 1 + f(n + 1) end return f(1) end, 'deep')
        nk.register_rpc(function() return 'well' end, 'echo')");
    let invoked = bench.rpc("deep", "");
    assert!(!invoked.spoiled);
    let error = invoked.result.unwrap_err();
    assert_eq!(error.message(), "m.lua:3: in function f: stack overflow");
    assert_eq!(bench.text("echo", ""), "well");
}

#[test]
fn the_libraries_hold_what_the_reference_has() {
    let mut bench = one("
        nk.register_rpc(function(_, name)
          local keys = {}
          for k in pairs(_G[name]) do keys[#keys + 1] = k end
          table.sort(keys)
          return table.concat(keys, ' ')
        end, 'keys')
        nk.register_rpc(function(_, name) return type(_G[name]) end, 'type')");
    for (library, keys) in [
        (
            "string",
            "__index byte char dump find format gfind gmatch gsub len lower match rep reverse sub upper",
        ),
        ("table", "concat getn insert maxn remove sort"),
        (
            "math",
            "abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log log10 max min mod modf pi pow rad random randomseed sin sinh sqrt tan tanh",
        ),
        ("os", "clock date difftime time"),
        ("package", "cpath loaded loaders loadlib path preload seeall"),
        ("bit32", "arshift band bnot bor btest bxor extract lrotate lshift replace rrotate rshift"),
    ] {
        assert_eq!(bench.text("keys", library), keys, "{library}");
    }
    for absent in ["io", "debug", "coroutine", "jit", "ffi", "bit", "utf8", "channel", "rawlen"] {
        assert_eq!(bench.text("type", absent), "nil", "{absent}");
    }
    for name in "assert collectgarbage dofile error getfenv getmetatable ipairs load loadfile loadstring module newproxy next pairs pcall print rawequal rawget rawset require select setfenv setmetatable tonumber tostring type unpack xpcall".split(' ') {
        assert_eq!(bench.text("type", name), "function", "{name}");
    }
    assert_eq!(bench.text("type", "_VERSION"), "string");
}

#[test]
fn numbers_and_texts_read_as_in_the_reference() {
    for (expression, expected) in [
        ("3", "3"),
        ("1e15", "1000000000000000"),
        ("1/3", "0.3333333333333333"),
        ("-0.0", "0"),
        ("1/0", "+Inf"),
        ("2^63", "9.223372036854776e+18"),
        ("math.huge", "1.7976931348623157e+308"),
        ("string.upper('abc\u{e4}')", "ABC\u{c4}"),
        ("setmetatable({}, {__tostring = function() return 'meta' end})", "meta"),
        ("loadstring('return 1 + 1')()", "2"),
        ("#'世界'", "6"),
        ("select('#', collectgarbage('count'))", "0"),
        (
            "string.format('%5d|%-5s|%05.1f|%x|%q|%v|%%', 42, 'ab', 3.14159, 255, 'a \"q\"', nil)",
            "   42|ab   |003.1|ff|\"a \\\"q\\\"\"|nil|%",
        ),
        ("os.date('*t', 0).wday", "4"),
        ("os.date('%Y-%m-%d', 1000000000)", "2001-09-09"),
        ("os.time({year = 2001, month = 9, day = 9, hour = 1, min = 46, sec = 40})", "1000000000"),
        ("os.difftime(10, 4)", "6"),
        (
            "(function() local i = 0 ::top:: i = i + 1 if i < 3 then goto top end return i end)()",
            "3",
        ),
        ("pcall(package.loadlib, 'x')", "false"),
        ("pcall(string.dump, print)", "false"),
        ("(loadstring(string.char(27) .. 'LJ'))", "nil"),
        ("pcall(newproxy)", "true"),
    ] {
        assert_eq!(eval(expression), expected, "{expression}");
    }
}

#[test]
fn bit32_is_unsigned() {
    let found = json(
        "(function() local b = bit32 return {b.band(0xff, 0x0f), b.band(), b.bor(1, 2, 4), b.bxor(5, 3), b.bnot(0), b.btest(1, 2), b.btest(3, 2), b.lshift(1, 31), b.lshift(1, 32), b.rshift(0x80000000, 31), b.arshift(0x80000000, 31), b.lrotate(0x80000001, 1), b.rrotate(1, 1), b.extract(0xabcd, 4, 8), b.replace(0, 0xf, 4, 4), b.band(-1, 0xffff), b.lshift(16, -2)} end)()",
    );
    assert_eq!(
        found,
        "[15,4294967295,7,6,4294967295,false,true,2147483648,0,1,4294967295,3,2147483648,188,240,65535,4]"
    );
}

#[test]
fn json_follows_the_reference() {
    for (value, expected) in [
        ("{}", "{}"),
        ("{a = {b = {}}}", "{\"a\":{\"b\":{}}}"),
        ("{1, 2, x = 3}", "[1,2]"),
        ("{[3] = 'x'}", "[null,null,\"x\"]"),
        ("{[1.5] = 1, [true] = 2, z = 3}", "{\"1.5\":1,\"true\":2,\"z\":3}"),
        ("'<b>&\u{fc}\u{2028}'", "\"\\u003cb\\u003e\\u0026\u{fc}\\u2028\""),
        ("'a\\0b\\1c\\n\\t\\127'", "\"a\\u0000b\\u0001c\\n\\t\u{7f}\""),
        ("'\\255'", "\"\\ufffd\""),
        ("1.5", "1.5"),
        ("1e21", "1e+21"),
        ("nk.json_decode('{\"a\":[1,null,\"x\",{}],\"b\":null}')", "{\"a\":[1,null,\"x\",{}]}"),
        ("nk.json_decode('12345678901234567890')", "12345678901234567000"),
        ("nk.json_decode('{\"a\":1,\"a\":2}')", "{\"a\":2}"),
        (
            "nk.json_decode('\"\\\\u00fc\\\\ud83d\\\\ude00\\\\ud800\\\\n\"')",
            "\"\u{fc}\u{1f600}\u{fffd}\\n\"",
        ),
        ("nk.json_decode(' [ true , false , -1.5e3 ] ')", "[true,false,-1500]"),
    ] {
        assert_eq!(json(value), expected, "{value}");
    }
    let mut bench = one(
        "nk.register_rpc(function(_, p) return tostring(select(2, pcall(nk.json_decode, p))):gsub('^m.lua:%d+: ', '') end, 'bad')",
    );
    // gsub has two results and an RPC's last one counts, so the text comes through a variable.
    drop(bench.rpc("bad", "x"));
    let mut bench = one(
        "nk.register_rpc(function(_, p) local ok, e = pcall(nk.json_decode, p) return tostring(ok) .. tostring(e) end, 'bad')",
    );
    for (text, problem) in [
        ("{bad", "invalid character 'b' looking for beginning of object key string"),
        ("{\"a\":1}{", "invalid character '{' after top-level value"),
        ("[1 2]", "invalid character '2' after array element"),
        ("[1", "unexpected end of JSON input"),
        ("tru ", "invalid character ' ' in literal true (expecting 'e')"),
        ("1e400", "beyond what a number can hold"),
        ("\"\\q\"", "invalid character 'q' in string escape code"),
        ("01", "invalid character '1' after top-level value"),
    ] {
        let found = bench.text("bad", text);
        assert!(found.starts_with("false") && found.ends_with(problem), "{text}: {found}");
    }
    assert!(bench.text("bad", &"[".repeat(5000)).starts_with("false"));
}

#[test]
fn modules_are_evaluated_in_the_order_of_their_names() {
    let count = |name: &str| {
        format!(
            "order = order or {{}} order[#order + 1] = '{name}' return {{name = '{name}', path = ...}}"
        )
    };
    let mut bench = bench(&[
        ("z_late.lua", &count("z")),
        ("b_main.lua", "
            local nk = require('nakama')
            local a, z, nested = require('a_early'), require('z_late'), require('sub.nested')
            order[#order + 1] = 'main'
            nk.register_rpc(function() return nk.json_encode({order = order, z = z.name, path = nested.path, same = require('a_early') == a, twice = require('a_early') == require('a_early'), loaded = package.loaded.a_early == a}) end, 'order')
            nk.register_rpc(function() return tostring(select(2, pcall(require, 'nowhere'))) end, 'missing')"),
        ("a_early.lua", &count("a")),
        ("sub/nested.lua", &count("nested")),
    ]);
    assert_eq!(
        bench.text("order", ""),
        r#"{"loaded":true,"order":["a","a","z","nested","main","a"],"path":"sub.nested","same":false,"twice":true,"z":"z"}"#
    );
    assert!(bench.text("missing", "").contains("module nowhere not found"));
}

#[test]
fn a_module_that_fails_names_file_line_and_cause() {
    for (text, line, message) in [
        ("local a = 1\nerror('no luck')", Some(2), "no luck"),
        ("local a = = 1", Some(1), "unexpected symbol near '='"),
        ("error({'with a code', 3})", None, "with a code"),
        ("\n\nlocal t = nil; t.x = 1", Some(3), "attempt to index local 't' (a nil value)"),
        ("require('nowhere')", Some(1), "module nowhere not found:"),
    ] {
        let error =
            start(&program(&[("bad.lua", text)]), Loading::First, &Arc::default()).err().unwrap();
        assert_eq!((error.module.as_str(), error.line), ("bad.lua", line), "{error}");
        assert!(error.message.starts_with(message), "{error}");
    }
}

#[test]
fn the_last_registration_of_a_name_counts() {
    let mut bench = one("
        nk.register_rpc(function() return 'first' end, 'twice')
        nk.register_rpc(function() return 'second' end, 'TWICE')
        nk.register_req_before(function() end, 'GetAccount')
        nk.register_matchmaker_matched(function() end)
        nk.register_storage_index('index', 'c', 'k', {'a', 'b'}, {}, 10, true)");
    assert_eq!(bench.registrations.iter().filter(|r| r.point == Point::Rpc).count(), 1);
    assert_eq!(bench.text("twice", ""), "second");
    let names: Vec<_> = bench.registrations.iter().map(|r| (r.point, r.name.as_str())).collect();
    assert!(names.contains(&(Point::Before, "getaccount")));
    assert!(names.contains(&(Point::MatchmakerMatched, "")));
    let index = bench.registrations.iter().find(|r| r.point == Point::StorageIndex).unwrap();
    assert_eq!(index.module, "m.lua");
    assert_eq!(index.definition.as_ref().unwrap()["fields"], serde_json::json!(["a", "b"]));
}

#[test]
fn a_module_with_all_seven_functions_is_a_match_handler() {
    let whole = "local M = {} for _, n in ipairs({'init', 'join_attempt', 'join', 'leave', 'loop', 'terminate', 'signal'}) do M['match_' .. n] = function() end end return M";
    let bench =
        bench(&[("game/handler.lua", whole), ("part.lua", "return {match_init = function() end}")]);
    let matches: Vec<_> = bench
        .registrations
        .iter()
        .filter(|r| r.point == Point::Match)
        .map(|r| r.name.as_str())
        .collect();
    assert_eq!(matches, ["game.handler"]);
}

#[test]
fn loading_again_finds_the_same_functions_and_repeats_nothing() {
    let program = program(&[(
        "m.lua",
        "
        local nk = require('nakama')
        local id = nk.uuid_v4()
        local once = 'not run'
        nk.run_once(function(ctx) once = ctx.execution_mode runs = runs or {} table.insert(runs, nk.uuid_v4()) end)
        nk.register_rpc(function() return 'other' end, 'other')
        nk.register_rpc(function() return id end, 'id')
        nk.register_rpc(function() return once end, 'once')
        nk.register_rpc(function() return nk.json_encode(runs) end, 'runs')",
    )]);
    let tape = Arc::default();
    let mut first = start(&program, Loading::First, &tape).unwrap();
    let mut again = start(&program, Loading::Again, &tape).unwrap();
    assert_eq!(first.find(Point::Rpc, "id"), again.find(Point::Rpc, "id"));
    assert_eq!(first.text("id", ""), again.text("id", ""));
    assert_eq!(first.text("once", ""), "run_once");
    assert_eq!(again.text("once", ""), "run_once");
    assert_eq!(first.text("runs", ""), again.text("runs", ""));
    assert_eq!(first.text("runs", "").len(), r#"["00000000-0000-0000-0000-000000000000"]"#.len());
}

#[test]
fn state_belongs_to_an_interpreter() {
    let program = program(&[(
        "m.lua",
        "local n = 0 require('nakama').register_rpc(function() n = n + 1 return tostring(n) end, 'n')",
    )]);
    let tape = Arc::default();
    let mut a = start(&program, Loading::First, &tape).unwrap();
    let mut b = start(&program, Loading::Again, &tape).unwrap();
    assert_eq!(
        (a.text("n", ""), a.text("n", ""), b.text("n", "")),
        ("1".into(), "2".into(), "1".into())
    );
}

#[test]
fn the_context_has_the_keys_of_the_reference() {
    let mut bench = one("
        nk.register_rpc(function(ctx)
          local out = {}
          for k, v in pairs(ctx) do out[k] = v end
          return nk.json_encode(out)
        end, 'context')
        nk.register_rpc(function() return nk.json_encode(nk.get_context()) end, 'outside')");
    let user = User {
        id: Uuid::from_u128(7),
        username: "ann".to_owned(),
        vars: [("v".to_owned(), "1".to_owned())].into(),
        expires_s: 1_700_000_000,
        token_id: String::new(),
        issued_s: 0,
    };
    let caller = Caller {
        user: Some(user),
        client_ip: Some([127, 0, 0, 1].into()),
        client_port: 4242,
        trace_id: TraceId(1),
    };
    let context = Context {
        mode: ExecutionMode::Rpc,
        caller,
        headers: Some(vec![("X-Test".to_owned(), vec!["one".to_owned()])]),
        query_params: Some(vec![("a".to_owned(), vec!["b".to_owned(), "c".to_owned()])]),
        ..Context::default()
    };
    let input = Input::Rpc { payload: vec![] };
    let Output::Text(text) = bench.run(Point::Rpc, "context", context, input).result.unwrap()
    else {
        panic!()
    };
    let found: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let expected = serde_json::json!({
        "env": {"KEY": "value"}, "execution_mode": "rpc", "node": "node1", "version": "3.40.0",
        "headers": {"X-Test": ["one"]}, "query_params": {"a": ["b", "c"]},
        "user_id": "00000000-0000-0000-0000-000000000007", "username": "ann", "vars": {"v": "1"},
        "user_session_exp": 1_700_000_000, "client_ip": "127.0.0.1", "client_port": "4242",
        "trace_id": "00000000-0000-0000-0000-000000000001",
    });
    assert_eq!(found, expected);
    let outside: serde_json::Value = serde_json::from_str(&bench.text("outside", "")).unwrap();
    assert_eq!(outside["execution_mode"], "run_once");
}

/// A request to sign in, as hooks get it.
fn wire(bytes: &[u8]) -> Wire {
    let descriptor = guildhall_proto::descriptors()
        .get_message_by_name("nakama.api.AuthenticateCustomRequest")
        .unwrap();
    Wire { descriptor, bytes: bytes.to_vec() }
}

#[test]
fn a_before_hook_replaces_the_request() {
    let mut bench = one("
        nk.register_req_before(function(ctx, req)
          local name = req.username
          if name == 'show' then error(nk.json_encode(req), 0) end
          if name == 'fix' then req.account.id = 'fixed' return req end
          if name == 'nil' then return nil end
          if name == 'unknown' then req.nonsense = 1 return req end
          if name == 'text' then return 'text' end
          if name == 'type' then req.account = 'text' return req end
          if name == 'code' then error({'odd', 99}) end
          if name == 'camel' then return {account = {id = 'c', vars = {a = 'b'}}, create = true} end
          return req
        end, 'AuthenticateCustom')");
    // account { id: "i" } create { value: true } username: NAME
    let request = |name: &str| {
        let mut bytes =
            vec![0x0a, 3, 0x0a, 1, b'i', 0x12, 2, 8, 1, 0x1a, u8::try_from(name.len()).unwrap()];
        bytes.extend_from_slice(name.as_bytes());
        bytes
    };
    let mut hook = |name: &str| {
        let context = Context { mode: ExecutionMode::Before, ..Context::default() };
        let input = Input::Before { request: Some(wire(&request(name))) };
        let error = |error: guildhall_core::Error| (error.code().0, error.message().to_owned());
        bench.run(Point::Before, "authenticatecustom", context, input).result.map_err(error)
    };
    let shown = r#"{"account":{"id":"i"},"create":true,"username":"show"}"#;
    assert_eq!(hook("show"), Err((13, shown.to_owned())));
    assert_eq!(hook("kept"), Ok(Output::Message(request("kept"))));
    let Ok(Output::Message(fixed)) = hook("fix") else { panic!() };
    let fixed =
        prost_reflect::DynamicMessage::decode(wire(&[]).descriptor, fixed.as_slice()).unwrap();
    let account = fixed.get_field_by_name("account").unwrap().into_owned();
    assert_eq!(
        account.as_message().unwrap().get_field_by_name("id").unwrap().as_str(),
        Some("fixed")
    );
    assert_eq!(hook("nil"), Ok(Output::Nothing));
    for (name, is_object) in [("unknown", true), ("text", false), ("type", true)] {
        let Ok(Output::Unreadable { object, .. }) = hook(name) else { panic!("{name}") };
        assert_eq!(object, is_object, "{name}");
    }
    assert_eq!(hook("code"), Err((99, "odd".to_owned())));
    assert!(matches!(hook("camel"), Ok(Output::Message(_))));
}

#[test]
fn hooks_without_messages_get_tables() {
    let mut bench = one("
        nk.register_req_before(function(ctx, req) if type(req) ~= 'table' then error('no table') end end, 'GetAccount')
        nk.register_req_after(function(ctx, out, inp) if type(out) ~= 'table' or type(inp) ~= 'table' then error('no tables') end end, 'GetAccount')");
    let before =
        bench.run(Point::Before, "getaccount", Context::default(), Input::Before { request: None });
    assert_eq!(before.result.unwrap(), Output::Nothing);
    let after = Input::After { response: None, request: None };
    assert_eq!(
        bench.run(Point::After, "getaccount", Context::default(), after).result.unwrap(),
        Output::Nothing
    );
}

/// Lets what runs on the interpreter have `time`, as the watchdog does.
fn alarm_after(bench: &Bench, time: Duration) -> thread::JoinHandle<()> {
    let seat = Arc::clone(&bench.seat);
    seat.begin(1);
    thread::spawn(move || {
        thread::sleep(time);
        while seat.check(u64::MAX - 1) != Due::Not {
            thread::sleep(Duration::from_millis(5));
        }
    })
}

#[test]
fn what_runs_too_long_is_stopped_wherever_it_is() {
    for (name, body) in [
        ("loop", "while true do end"),
        ("counting", "local n = 0 while true do n = n + 1 end"),
        ("pcall", "while true do pcall(function() while true do end end) end"),
        ("nested", "local function f() while true do pcall(f) end end f()"),
        (
            "find",
            "return tostring(string.find(string.rep('a', 5000), string.rep('a*', 20) .. 'b'))",
        ),
        ("gsub", "return (string.gsub(string.rep('a', 5000), '(.-)(.-)(.-)(.-)b', ''))"),
        ("concat", "local s = '' while true do s = 'x' .. #s end"),
        ("host", "while true do nk.md5_hash('x') end"),
        ("host pcall", "while true do pcall(nk.json_decode, '{') end"),
        ("sort", "table.sort({3, 2, 1}, function() while true do end end)"),
        ("repeat", "repeat until false"),
        ("table", "local t = {} while true do t[#t % 100 + 1] = {} end"),
    ] {
        let mut bench = one(&format!("nk.register_rpc(function()\n{body}\nend, 'spin')"));
        let alarm = alarm_after(&bench, Duration::from_millis(50));
        let invoked = bench.rpc("spin", "");
        bench.seat.end();
        alarm.join().unwrap();
        let error = invoked.result.expect_err(name);
        assert!(invoked.spoiled, "{name}");
        assert_eq!(error.code(), Code::DeadlineExceeded, "{name}: {error}");
        assert!(error.message().contains("m.lua:"), "{name}: {error}");
    }
}

#[test]
fn memory_is_limited() {
    for (name, body) in [
        ("rep", "return string.rep('x', 100000000)"),
        ("tables", "local t = {} while true do t[#t + 1] = {1, 2, 3} end"),
        ("text", "local s = 'x' while true do s = s .. s end"),
        ("decode", "return nk.json_decode('[' .. string.rep('[],', 5000000) .. '1]')"),
        ("global", "g = {} for i = 1, 1e9 do g[i] = i .. 'text' end"),
    ] {
        let mut bench = one(&format!(
            "nk.register_rpc(function()\n{body}\nend, 'eat')\nnk.register_rpc(function() return 'well' end, 'echo')"
        ));
        let invoked = bench.rpc("eat", "");
        let error = invoked.result.expect_err(name);
        assert!(error.message().contains("memory"), "{name}: {error}");
        if !invoked.spoiled {
            assert_eq!(bench.text("echo", ""), "well");
        }
    }
}

#[test]
fn our_patterns_match_as_luajits() {
    let lua = mlua::Lua::new();
    let find: mlua::Function = lua.load("return function(s, p, i) local r = {pcall(string.find, s, p, i)} return r[1], r[2], r[3], r[4], r[5] end").eval().unwrap();
    // A small generator with a fixed seed: a failure can be met again.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(below).unwrap()).unwrap()
    };
    let items = [
        "a", "b", ".", "%a", "%d", "%s", "%w", "%W", "[ab]", "[^ab]", "[a-c%d]", "%b()", "%f[%w]",
        "%1", "(", ")", "()", "^", "$", "%.", "[]a]", "[%]]", "-", "x",
    ];
    let repeats = ["", "", "", "*", "+", "-", "?"];
    let letters = b"aab bc(d)1.x-]";
    let mut matched = 0;
    for _ in 0..60_000 {
        let pattern: String = (0..=next(5))
            .map(|_| format!("{}{}", items[next(items.len())], repeats[next(repeats.len())]))
            .collect();
        let text: Vec<u8> = (0..next(12)).map(|_| letters[next(letters.len())]).collect();
        let init = next(text.len() + 1);
        if !pattern.contains(['^', '$', '*', '+', '?', '.', '(', '[', '%', '-']) {
            // LuaJIT searches for such as it stands.
            continue;
        }
        let (well, a, b, c, d): (bool, mlua::Value, mlua::Value, mlua::Value, mlua::Value) =
            find.call((lua.create_string(&text).unwrap(), pattern.as_str(), init + 1)).unwrap();
        let ours = super::pattern::search(&text, pattern.as_bytes(), init, true, &|| false);
        let about = format!("{pattern:?} in {:?} from {init}", String::from_utf8_lossy(&text));
        match ours {
            Err(problem) => assert!(!well, "{about}: {problem}"),
            Ok(None) => assert!(well && a.is_nil(), "{about}"),
            Ok(Some((part, captures))) => {
                matched += 1;
                assert!(well, "{about}");
                assert_eq!(
                    (a.as_usize(), b.as_usize()),
                    (Some(part.start + 1), Some(part.end)),
                    "{about}"
                );
                for (capture, value) in captures.iter().zip([c, d]) {
                    match capture {
                        super::pattern::Capture::Position(at) => {
                            assert_eq!(value.as_usize(), Some(*at), "{about}")
                        }
                        super::pattern::Capture::Part(part) => {
                            assert_eq!(
                                value.as_string().unwrap().as_bytes(),
                                &text[part.clone()],
                                "{about}"
                            );
                        }
                    }
                }
            }
        }
    }
    assert!(matched > 5000, "{matched}");
}

#[test]
fn long_texts_are_matched_as_short_ones() {
    // More than the prelude leaves to LuaJIT: four thousand letters, two repetitions.
    let long = "string.rep('ab, ', 1000)";
    for (expression, expected) in [
        (
            format!("(string.gsub({long}, '(%w+), *(%w*)', '%2-%1')):sub(1, 20)"),
            "ab-ab, ab-ab, ab-ab,",
        ),
        (format!("select(2, string.gsub({long}, '(%w+), *', string.upper))"), "1000"),
        (format!("(string.gsub({long}, '(%a)(%a), *', {{a = 'X'}})):sub(1, 4)"), "XXXX"),
        (format!("string.match({long}, '^(%w+)(,).*%s*$')"), "ab"),
        (format!("string.find({long}, '(b), *(a)', 2)"), "2"),
        (
            format!(
                "(function() local n = 0 for a, b in string.gmatch({long}, '(%w+)(, *)') do n = n + #a + #b end return n end)()"
            ),
            "4000",
        ),
        (format!("select(2, string.gsub({long}, '%s*%s*', '.'))"), "4001"),
        (format!("#(string.gsub({long}, 'x*x*', '-'))"), "8001"),
    ] {
        assert_eq!(eval(&expression), expected, "{expression}");
    }
}

#[test]
fn a_bad_argument_names_position_and_function() {
    let mut bench = one("
        nk.register_rpc(function(_, p)
          local f = loadstring('local nk = ... return ' .. p)
          local ok, e = pcall(f, nk)
          return tostring(e)
        end, 'try')");
    for (call, expected) in [
        ("nk.base64_encode({})", "bad argument #1 to base64_encode (string expected, got table)"),
        (
            "nk.base64_encode('a', 5)",
            "bad argument #2 to base64_encode (boolean expected, got number)",
        ),
        (
            "nk.hmac_sha256_hash('a')",
            "bad argument #2 to hmac_sha256_hash (string expected, got nil)",
        ),
        (
            "nk.localcache_put('k', 1, 'x')",
            "bad argument #3 to localcache_put (number expected, got string)",
        ),
        (
            "nk.register_rpc('x', 'y')",
            "bad argument #1 to register_rpc (function expected, got string)",
        ),
        ("nk.register_rpc(print, '')", "bad argument #2 to register_rpc (expects rpc id)"),
        ("nk.json_encode()", "bad argument #1 to json_encode (value expected)"),
    ] {
        let found = bench.text("try", call);
        assert!(found.ends_with(expected), "{call}: {found}");
    }
    assert_eq!(bench.text("try", "nk.base64_encode(12)"), "MTI=");
    assert_eq!(bench.text("try", "nk.base16_encode(nk.base16_decode('00ff'))"), "00ff");
    assert_eq!(
        bench.text(
            "try",
            "nk.json_encode({nk.localcache_put('k', {a = {1, 2}}) or nk.localcache_get('k')})"
        ),
        "[{\"a\":[1,2]}]"
    );
}

#[test]
fn plain_values_are_shown_like_results_of_host_functions() {
    let mut bench = one("
        nk.register_tournament_end(function(ctx, tournament, ended, reset)
            return {mode = ctx.execution_mode, id = tournament.user_id, sum = ended + reset}
        end)
        nk.register_leaderboard_reset(function() end)
        nk.register_storage_index_filter('big', function(_, object) return object.size > 1, 'rest' end)");
    let mut invoke = |point, name: &str, mode, arguments| {
        let context = Context { mode, ..Context::default() };
        bench.run(point, name, context, Input::Plain { arguments }).result.unwrap()
    };
    let tournament = json!({ "user_id": "a", "start": 1 });
    let arguments = vec![Argument::of(tournament), Argument::of(2), Argument::of(3_i64)];
    let answer = invoke(Point::TournamentEnd, "", ExecutionMode::TournamentEnd, arguments);
    let wanted = json!({ "mode": "tournament_end", "id": "a", "sum": 5 });
    assert_eq!(answer, Output::Value(wanted));
    let nothing = invoke(Point::LeaderboardReset, "", ExecutionMode::LeaderboardReset, vec![]);
    assert_eq!(nothing, Output::Nothing);
    let arguments = vec![Argument::of(json!({ "size": 2 }))];
    let mode = ExecutionMode::StorageIndexFilter;
    let answer = invoke(Point::StorageIndexFilter, "big", mode, arguments);
    assert_eq!(answer, Output::Value(json!(true)));
}

#[test]
fn functions_of_c_and_lua_that_call_each_other_for_ever_overflow_without_harm() {
    let through = |call: &str| {
        format!(
            "(function() local depth = 0 local function f(a, b) depth = depth + 1 {call} return a and a < b end \
             local ok, e = pcall(f, 1, 2) return tostring(depth > 100) .. ' ' .. tostring(e):match('%a+ %a+$') end)()"
        )
    };
    // As a script thread runs it.
    let worker = thread::Builder::new().stack_size(super::super::memory::STACK_BYTES);
    let worker = worker.spawn(move || {
        for call in ["string.gsub('x', 'x', f)", "table.sort({1, 2, 3}, f)"] {
            assert_eq!(eval(&through(call)), "true stack overflow", "{call}");
        }
        let shown =
            "setmetatable({}, {__tostring = function(t) return string.format('%s', t) end})";
        let shown = format!("select(2, pcall(string.format, '%s', {shown}))");
        assert!(eval(&shown).ends_with("stack overflow"));
    });
    worker.unwrap().join().unwrap();
}

/// Whether the compiler is at work in a state without the prelude.
fn compiles(vm: &raw::Vm) -> bool {
    let mut stack = vm.stack();
    assert!(stack.load(b"return (jit.status())", "=status"));
    assert_eq!(vm.call(&mut stack, 0, 0), raw::Ended::Well);
    let on = stack.boolean(-1);
    stack.cut(0);
    on
}

#[test]
fn a_match_is_interpreted_until_its_calls_take_long() {
    let vm = raw::Vm::new(0).unwrap();
    assert!(compiles(&vm));
    vm.save();
    assert!(!compiles(&vm));
    // Cheap calls, and a preempted one now and then.
    for call in 0..1000 {
        vm.note(if call % 100 == 0 { 8_000_000 } else { 100_000 });
        assert!(!compiles(&vm), "{call}");
    }
    let long = (0..100).find(|_| {
        vm.note(1_000_000);
        compiles(&vm)
    });
    assert!(matches!(long, Some(8..32)), "{long:?}");
    // Once compiled, it stays so.
    for _ in 0..1000 {
        vm.note(0);
    }
    assert!(compiles(&vm));
}
