//! Real scripts through the [`Interpreter`] trait, on a server without a database.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use guildhall_core::{Caller, Error, caller::User, config::Config};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::*;
use crate::{
    cx::Cx,
    host::{HostFn, Origin, Returns},
    registry::{FunctionId, Point, Registration},
    runtime::{
        call::{Argument, Call, Context, ExecutionMode, Input, Output, Wire},
        pool::{PoolSettings, ScriptPool},
        script::{Interpreter, Invoked},
        seat::{Loading, Seat, Tape},
        watchdog::Watchdog,
    },
};

static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Runtime::new().unwrap());

static CX: LazyLock<Arc<Cx>> = LazyLock::new(|| {
    let config = Arc::new(Config::default());
    Arc::new(Cx::without_database(config, RUNTIME.handle().clone()).unwrap())
});

fn surroundings() -> Surroundings {
    Surroundings {
        env: [("color".to_owned(), "blue".to_owned())].into(),
        node: "node1".to_owned(),
        version: "3.40.0+test".to_owned(),
        config: json!({ "name": "node1", "session": { "token_expiry_sec": 60 } }),
        js_read_only_globals: true,
        memory_limit_bytes: 16 << 20,
        ..Surroundings::default()
    }
}

fn program(files: &[(&str, &str)]) -> JavaScriptProgram {
    let files = files.iter().map(|(name, source)| ((*name).to_owned(), source.as_bytes().to_vec()));
    JavaScriptProgram::with_functions(files.collect(), Arc::new(surroundings()), HOST_FUNCTIONS)
}

fn seat() -> Arc<Seat> {
    Arc::new(Seat::new(CX.clone()))
}

/// An interpreter with what its modules registered.
struct Vm {
    interpreter: Box<dyn Interpreter>,
    registrations: Vec<Registration>,
}

impl Vm {
    fn of(program: &JavaScriptProgram) -> Self {
        let started = program.start(seat()).unwrap_or_else(|error| panic!("{error}"));
        Self { interpreter: started.interpreter, registrations: started.registrations }
    }

    fn find(&self, point: Point, name: &str) -> FunctionId {
        let found = self.registrations.iter().find(|r| r.point == point && r.name == name);
        found.unwrap_or_else(|| panic!("{point:?} {name} is not registered")).function
    }

    fn rpc_raw(&mut self, id: &str, payload: &str) -> Invoked {
        let function = self.find(Point::Rpc, id);
        let context = Context { mode: ExecutionMode::Rpc, ..Context::default() };
        let input = Input::Rpc { payload: payload.as_bytes().to_vec() };
        self.interpreter.call(Call { function, context, input })
    }

    fn rpc(&mut self, id: &str, payload: &str) -> Result<String, Error> {
        match self.rpc_raw(id, payload).result? {
            Output::Text(text) => Ok(String::from_utf8(text).unwrap()),
            other => Ok(format!("{other:?}")),
        }
    }
}

/// The answer of RPC `f` of `index.js`, from the first interpreter and from a later one.
#[track_caller]
fn answers(source: &str, payload: &str) -> String {
    let program = program(&[("index.js", source)]);
    let first = Vm::of(&program).rpc("f", payload).unwrap_or_else(|error| format!("! {error}"));
    let second = Vm::of(&program).rpc("f", payload).unwrap_or_else(|error| format!("! {error}"));
    assert_eq!(first, second);
    first
}

/// As [`answers`], of a function body.
#[track_caller]
fn gives(body: &str, expected: &str) {
    let source = format!(
        "function f(ctx, logger, nk, payload) {{ {body} }}\n\
         function InitModule(ctx, logger, nk, initializer) {{ initializer.registerRpc('f', f); }}"
    );
    assert_eq!(answers(&source, "in"), expected, "{body}");
}

/// The error of RPC `f` with this body.
fn fails(body: &str) -> Error {
    let source = format!(
        "function f(ctx, logger, nk, payload) {{ {body} }}\n\
         function InitModule(ctx, logger, nk, initializer) {{ initializer.registerRpc('f', f); }}"
    );
    Vm::of(&program(&[("index.js", &source)])).rpc("f", "in").unwrap_err()
}

#[test]
fn an_rpc_answers_text_or_nothing() {
    gives("return payload + '!';", "in!");
    gives("return '';", "");
    gives("return null;", "Nothing");
    gives("", "Nothing");
    gives("return '\\ud83d\\ude00 and \\ud83d alone';", "😀 and \u{FFFD} alone");
    gives("return 'a\\u0000b';", "a\0b");
    for other in ["7", "true", "({})", "[]", "new String('x')", "Promise.resolve('x')"] {
        let error = fails(&format!("return {other};"));
        assert_eq!(
            error.message(),
            "Runtime function returned invalid data - only allowed one return value of type string."
        );
        assert_eq!((error.code().0, error.trace()), (13, None), "{other}");
    }
}

#[test]
fn functions_are_registered_by_value() {
    let shapes = [
        "function f() { return 'x' } function InitModule(c, l, n, i) { i.registerRpc('f', f) }",
        "var f = function () { return 'x' }; var InitModule = function (c, l, n, i) { i.registerRpc('f', f) }",
        "const f = () => 'x'; const InitModule = (c, l, n, i) => i.registerRpc('f', f)",
        "let InitModule = (c, l, n, i) => { i.registerRpc('f', () => 'x') }",
        "const all = { deep: [{ f: () => 'x' }] }; function InitModule(c, l, n, i) { i.registerRpc('f', all.deep[0].f) }",
        "class A { static f() { return 'x' } } function InitModule(c, l, n, i) { i.registerRpc('f', A.f) }",
        "class A { f() { return 'x' } } const a = new A(); function InitModule(c, l, n, i) { i.registerRpc('f', a.f) }",
        "const m = new Map([['f', () => 'x']]); function InitModule(c, l, n, i) { m.forEach((f, id) => i.registerRpc(id, f)) }",
        "var f = () => 'y'; function InitModule(c, l, n, i) { f = () => 'x'; i.registerRpc('f', f) }",
        "function f() { return 'x' } function g() { return 'y' } function InitModule(c, l, n, i) { i.registerRpc('F', f); i.registerRpc('f', g) }",
    ];
    for source in shapes {
        assert_eq!(answers(source, ""), "x", "{source}");
    }
}

#[test]
fn several_files_each_have_their_init_module() {
    let file = |word: &str| {
        format!(
            "var word = '{word}'; function say() {{ return word }}\n\
             function InitModule(ctx, logger, nk, initializer) {{ initializer.registerRpc('{word}', say) }}"
        )
    };
    let program =
        program(&[("a.js", &file("one")), ("b/c.js", &file("two")), ("lib.js", "var x;")]);
    for _ in 0..2 {
        let mut vm = Vm::of(&program);
        assert_eq!(vm.rpc("one", "").unwrap(), "one");
        assert_eq!(vm.rpc("two", "").unwrap(), "two");
        assert_eq!(vm.registrations[1].module, "b/c.js");
    }
}

#[test]
fn changes_of_init_module_are_not_seen_and_globals_are_frozen_one_level_deep() {
    let source = "
        var ran = false; var o = { inside: { n: 1 } }; let l = { n: 1 }; var number = 5;
        function attempt(f) { try { f(); return 'allowed' } catch (e) { return e.name + ': ' + e.message } }
        function f() {
            return JSON.stringify([ran,
                attempt(() => { o.fresh = 1 }), attempt(() => { o.inside.n = 2 }),
                attempt(() => { l.n = 2 }), attempt(() => { number = 6 }),
                attempt(() => { JSON.extra = 1 }), attempt(() => { undeclared = 1 })]);
        }
        function InitModule(ctx, logger, nk, initializer) { ran = true; initializer.registerRpc('f', f) }";
    let expected = json!([
        false,
        "TypeError: object is not extensible",
        "allowed",
        "allowed",
        "allowed",
        "allowed",
        "ReferenceError: undeclared is not defined"
    ]);
    let answer: serde_json::Value = serde_json::from_str(&answers(source, "")).unwrap();
    assert_eq!(answer, expected);
}

#[test]
fn a_module_that_fails_names_file_line_and_cause() {
    let check = |source: &str, expected: &str| {
        let error = program(&[("index.js", source)]).start(seat()).err().unwrap();
        assert_eq!(error.to_string(), expected);
    };
    check("var a;\nvar = 1;", "index.js:2: SyntaxError: variable name expected at index.js:2:5");
    check(
        "var a;\nnope();",
        "index.js:2: ReferenceError: nope is not defined at <eval> (index.js:2:1)",
    );
    check("var a;", "index.js: no function InitModule at the top level");
    check(
        "function InitModule(c, l, n, i) {\n  i.registerRpc('f', 5);\n}",
        "index.js:2: TypeError: registerRpc: argument 2 expects a function at InitModule (index.js:2:5)",
    );
    check(
        "function InitModule(c, l, n, i) {\n i.registerMatch('m', { matchInit: () => {} });\n}",
        "index.js:2: TypeError: registerMatch: match m needs a function matchJoinAttempt at InitModule (index.js:2:4)",
    );
    check(
        "function InitModule() {\n  throw { message: 'refused', code: 3 };\n}",
        "index.js: refused",
    );
}

#[test]
fn thrown_objects_keep_message_and_code() {
    let check = |thrown: &str, message: &str, code: u32| {
        let error = fails(&format!("throw {thrown};"));
        assert_eq!((error.message(), error.code().0), (message, code), "{thrown}");
        assert!(error.trace().is_some());
    };
    check("{ message: 'by object', code: 3 }", "by object", 3);
    check("{ message: 'message only' }", "message only", 13);
    check("{ message: 'm', code: 0 }", "m", 0);
    check("{ message: 'm', code: 17 }", "m", 17);
    check("{ message: 'm', code: -1 }", "m", u32::MAX);
    check("{ message: 'm', code: '3' }", "m", 13);
    check("{ message: 'm', code: 3.9 }", "m", 13);
    check("{ code: 5 }", "[object Object]", 5);
    check("{ message: 5, code: 3 }", "[object Object]", 3);
    check("'just text'", "just text", 13);
    check("42", "42", 13);
    check("undefined", "undefined", 13);
    check("null", "null", 13);
    check("['first', 3]", "first,3", 13);
    check("Object.assign(new Error('e'), { code: 7 })", "Error: e at f (index.js:1:64)", 7);
}

#[test]
fn uncaught_errors_tell_text_and_place() {
    let error = fails("\n  throw new TypeError('plain');");
    assert_eq!(error.message(), "TypeError: plain at f (index.js:2:13)");
    assert_eq!(error.code().0, 13);
    assert!(matches!(error, Error::Fault(_)));
    assert_eq!(error.trace(), Some("TypeError: plain\n\tat f (index.js:2:13)\n"));
    assert!(
        fails("return missing;")
            .message()
            .starts_with("ReferenceError: missing is not defined at f")
    );
    assert!(
        fails("return nk.base64Encode();")
            .message()
            .starts_with("TypeError: nk.base64Encode: argument 1")
    );
}

#[test]
fn ctx_holds_what_is_known() {
    let source = "function f(ctx) { return JSON.stringify(ctx) }
        function InitModule(ctx, logger, nk, initializer) {
            if (Object.keys(ctx).join() !== 'env,node,version') throw new Error(Object.keys(ctx).join());
            initializer.registerRpc('f', f);
        }";
    let mut vm = Vm::of(&program(&[("index.js", source)]));
    let user = User {
        id: uuid::Uuid::from_u128(5),
        username: "ann".to_owned(),
        vars: [("a".to_owned(), "b".to_owned())].into(),
        expires_s: 1_700_000_000,
        token_id: String::new(),
        issued_s: 0,
    };
    let caller = Caller {
        user: Some(user),
        client_ip: Some([127, 0, 0, 1].into()),
        client_port: 80,
        ..Caller::default()
    };
    let context = Context {
        mode: ExecutionMode::Rpc,
        caller,
        headers: Some(vec![("X-A".to_owned(), vec!["1".to_owned(), "2".to_owned()])]),
        query_params: Some(Vec::new()),
        session_id: Some("s".to_owned()),
        lang: Some("en".to_owned()),
    };
    let input = Input::Rpc { payload: Vec::new() };
    let call = Call { function: vm.find(Point::Rpc, "f"), context, input };
    let Ok(Output::Text(text)) = vm.interpreter.call(call).result else { panic!() };
    let shown: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(
        shown,
        json!({
            "env": { "color": "blue" }, "node": "node1", "version": "3.40.0+test",
            "executionMode": "rpc", "headers": { "X-A": ["1", "2"] }, "queryParams": {},
            "userId": "00000000-0000-0000-0000-000000000005", "username": "ann",
            "vars": { "a": "b" }, "userSessionExp": 1_700_000_000, "sessionId": "s", "lang": "en",
            "clientIp": "127.0.0.1", "clientPort": "80",
        })
    );
}

#[test]
fn host_functions_take_and_give_what_javascript_holds() {
    gives("return nk.base64Encode('hello')", "aGVsbG8=");
    gives("return nk.base64Encode(new Uint8Array([65, 66]))", "QUI=");
    gives("return nk.base64Encode(new Uint8Array([64, 65, 66]).buffer.slice(1))", "QUI=");
    gives("return nk.base64Encode(new Uint8Array([64, 65, 66]).subarray(1))", "QUI=");
    gives("return String(nk.base64Decode('aGVsbG8=') instanceof ArrayBuffer)", "true");
    gives("return nk.binaryToString(nk.stringToBinary('Grüße'))", "Grüße");
    gives("return nk.md5Hash('x')", "9dd4e461268c8034f5c8564e155c67a6");
    gives("try { nk.base64Decode('*') } catch (e) { return e.name }", "GoError");
    gives(
        "try { nk.base64Encode({}) } catch (e) { return String(e instanceof TypeError) }",
        "true",
    );
    gives("return typeof nk.uuidv4() + typeof nk.time", "stringundefined");
    gives("nk.localcachePut('k', 5); return String(nk.localcacheGet('k') + 1)", "6");
}

/// What the interpreter does with names and shapes, without any real function.
#[derive(Deserialize, JsonSchema)]
struct Mirror {
    first_name: String,
    #[serde(default)]
    options: Option<MirrorOptions>,
    #[serde(default)]
    any_value: serde_json::Value,
}

#[derive(Clone, Deserialize, JsonSchema, Serialize)]
struct MirrorOptions {
    user_id: String,
    #[serde(default)]
    max_count: i64,
}

#[derive(JsonSchema, Serialize)]
struct Mirrored {
    first_name: String,
    options: Option<MirrorOptions>,
    any_value: serde_json::Value,
}

impl HostFn for Mirror {
    const NAME: &'static str = "mirror_all";
    const RETURNS: Returns = Returns::Each;
    type Output = Mirrored;

    async fn call(self, _: &Cx, _: Origin<'_>) -> guildhall_core::Result<Mirrored> {
        if self.first_name == "made once" {
            MADE_ONCE.fetch_add(1, Ordering::SeqCst);
        }
        Ok(Mirrored {
            first_name: self.first_name,
            options: self.options,
            any_value: self.any_value,
        })
    }
}

static MADE_ONCE: AtomicUsize = AtomicUsize::new(0);
static MIRROR: [HostFunction; 1] = [HostFunction::of::<Mirror>()];

#[test]
fn fields_are_renamed_and_keys_of_maps_are_not() {
    let source = "function f(ctx, logger, nk, payload) { return JSON.stringify(eval(payload)) }
        function InitModule(c, l, n, i) { i.registerRpc('f', f) }";
    let files = vec![("index.js".to_owned(), source.as_bytes().to_vec())];
    let program = JavaScriptProgram::with_functions(files, Arc::new(surroundings()), &MIRROR);
    let mut vm = Vm::of(&program);
    let mut check = |script: &str, expected: &str| {
        let caught = format!("try {{ {script} }} catch (e) {{ e.message }}");
        assert_eq!(vm.rpc("f", &caught).unwrap(), expected);
    };
    check(
        "nk.mirrorAll('a', { userId: 'u', maxCount: 7.9 }, { some_key: [1.5, null, { otherKey: 2 }], fn() {} })",
        r#"{"firstName":"a","options":{"userId":"u","maxCount":7},"anyValue":{"some_key":[1.5,null,{"otherKey":2}]}}"#,
    );
    check("nk.mirrorAll('a', null)", r#"{"firstName":"a","options":null,"anyValue":null}"#);
    check("nk.mirrorAll()", r#""nk.mirrorAll: argument 1 (first_name) is missing""#);
    check(
        "nk.mirrorAll(5)",
        r#""nk.mirrorAll: argument 1 (first_name) expects a string, got integer `5`""#,
    );
    check(
        "nk.mirrorAll('a', {})",
        r#""nk.mirrorAll: argument 2 (options) missing field `user_id`""#,
    );
    check(
        "const o = {}; o.o = o; nk.mirrorAll('a', null, o)",
        r#""nk.mirrorAll: argument 3 (any_value) the value is nested too deeply or holds itself""#,
    );
    check("nk.mirrorAll('a', null, new Date(0)).anyValue", r#""1970-01-01T00:00:00.000Z""#);
    check(
        "nk.mirrorAll('a', null, JSON.parse('{\"__proto__\": {\"x\": 1}}')).anyValue.x",
        "Nothing",
    );
}

#[test]
fn side_effects_of_init_module_happen_once() {
    let source = "function InitModule(ctx, logger, nk, initializer) {
            const made = nk.mirrorAll('made once').firstName;
            initializer.registerRpc('f', () => made);
        }";
    let files = vec![("index.js".to_owned(), source.as_bytes().to_vec())];
    let program = JavaScriptProgram::with_functions(files, Arc::new(surroundings()), &MIRROR);
    let tape = Arc::<Tape>::default();
    for loading in [Loading::First, Loading::Again, Loading::Again] {
        let seat = Arc::new(Seat::new(CX.clone()).loading_with(loading, tape.clone()));
        let started = program.start(seat).unwrap_or_else(|error| panic!("{error}"));
        let mut vm = Vm { interpreter: started.interpreter, registrations: started.registrations };
        assert_eq!(vm.rpc("f", "").unwrap(), "made once");
        assert_eq!(MADE_ONCE.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn before_hooks_get_zero_values_and_replace_the_request() {
    let source = "
        function before(ctx, logger, nk, request) {
            if (request.username === 'show') { request.username = JSON.stringify(request); return request }
            if (request.username === 'snake') return { account: { id: 'x' }, create: true, username: 'y' };
            if (request.username === 'unknown') { request.nonsense = 1; return request }
            if (request.username === 'text') return 'text';
            if (request.username === 'null') return null;
            if (request.username === 'throw') throw { message: 'refused', code: 7 };
        }
        function nothing(ctx, logger, nk, request) { if (arguments.length !== 3) throw new Error('got ' + arguments.length) }
        function after(ctx, logger, nk, response, request) {
            if (response.created !== true || request.username !== 'a' || arguments.length !== 5) throw new Error('wrong');
        }
        function InitModule(c, l, n, i) {
            i.registerBeforeAuthenticateDevice(before);
            i.registerAfterAuthenticateDevice(after);
            i.registerBeforeDeleteAccount(nothing);
        }";
    let mut vm = Vm::of(&program(&[("index.js", source)]));
    let before = vm.find(Point::Before, "authenticatedevice");
    let wire = |name: &str, json: serde_json::Value| {
        let descriptor = guildhall_proto::descriptors().get_message_by_name(name).unwrap();
        let message = prost_reflect::DynamicMessage::deserialize(descriptor.clone(), json).unwrap();
        Wire { descriptor, bytes: prost::Message::encode_to_vec(&message) }
    };
    let request = |username: &str| {
        wire("nakama.api.AuthenticateDeviceRequest", json!({ "username": username }))
    };
    let mut ask = |username: &str| {
        let input = Input::Before { request: Some(request(username)) };
        match vm
            .interpreter
            .call(Call { function: before, context: Context::default(), input })
            .result
        {
            Ok(Output::Message(bytes)) => {
                let descriptor = request("").descriptor;
                let message =
                    prost_reflect::DynamicMessage::decode(descriptor, bytes.as_slice()).unwrap();
                serde_json::to_string(&message).unwrap()
            }
            Ok(other) => format!("{other:?}"),
            Err(error) => format!("{} {}", error.code().0, error.message()),
        }
    };
    assert_eq!(
        ask("show"),
        r#"{"username":"{\"account\":null,\"create\":null,\"username\":\"show\"}"}"#
    );
    assert_eq!(ask("snake"), r#"{"account":{"id":"x"},"create":true,"username":"y"}"#);
    assert!(ask("unknown").starts_with("Unreadable { object: true"));
    assert!(ask("text").starts_with("Unreadable { object: false"));
    assert_eq!(ask("null"), "Nothing");
    assert_eq!(ask("throw"), "7 refused");

    let function = vm.find(Point::Before, "deleteaccount");
    let input = Input::Before { request: None };
    let call = Call { function, context: Context::default(), input };
    assert_eq!(vm.interpreter.call(call).result.unwrap(), Output::Nothing);

    let function = vm.find(Point::After, "authenticatedevice");
    let response = Some(wire("nakama.api.Session", json!({ "created": true })));
    let input = Input::After { response, request: Some(request("a")) };
    let call = Call { function, context: Context::default(), input };
    assert_eq!(vm.interpreter.call(call).result.unwrap(), Output::Nothing);
}

#[test]
fn runaway_calls_end_and_tell_where() {
    let thread = std::thread::Builder::new().stack_size(2 * STACK_BYTES);
    thread.spawn(run_away).unwrap().join().unwrap();
}

fn run_away() {
    let source = "
        function deep(n) { return deep(n + 1) + 1 }
        function recursion() { return String(deep(0)) }
        function memory() { var all = []; for (;;) all.push(new Array(1000).fill('x')) }
        function small() { var all = {}; for (var i = 0; ; i++) all['k' + i] = {} }
        function echo(c, l, n, p) { return p }
        function InitModule(c, l, n, i) {
            i.registerRpc('recursion', recursion); i.registerRpc('memory', memory);
            i.registerRpc('small', small); i.registerRpc('echo', echo);
        }";
    let program = program(&[("index.js", source)]);
    let mut vm = Vm::of(&program);
    let ended = vm.rpc_raw("recursion", "");
    let error = ended.result.unwrap_err();
    assert!(
        error
            .message()
            .starts_with("RangeError: Maximum call stack size exceeded at deep (index.js:2:"),
        "{error}"
    );
    assert!(!ended.spoiled);
    assert_eq!(vm.rpc("echo", "still here").unwrap(), "still here");
    for name in ["memory", "small"] {
        for _ in 0..5 {
            let mut vm = Vm::of(&program);
            let ended = vm.rpc_raw(name, "");
            let error = ended.result.unwrap_err();
            let expected = format!(
                "JavaScript function {name} of index.js used more memory than its limit allows at {name} (index.js"
            );
            assert!(error.message().starts_with(&expected), "{error}");
            assert!(ended.spoiled);
        }
    }
}

#[test]
fn the_modules_of_conformance_and_benchmark_load() {
    for folder in ["conformance/modules", "bench/modules"] {
        let path = format!("{}/../../shared/{folder}/index.js", env!("CARGO_MANIFEST_DIR"));
        let Ok(source) = std::fs::read_to_string(&path) else { continue };
        let program = program(&[("index.js", &source)]);
        let first = Vm::of(&program);
        let second = Vm::of(&program);
        assert!(first.registrations.len() > 4);
        assert_eq!(first.registrations.len(), second.registrations.len());
    }
}

#[test]
fn loggers_share_fields_below_the_first() {
    gives(
        "var child = logger.withField('first', '1');
         var grand = child.withFields({ second: 2 });
         logger.info('%s', 'x');
         return JSON.stringify([Object.keys(logger).sort(), logger.getFields(), child.getFields(), grand.getFields()]);",
        r#"[["debug","error","fields","getFields","info","warn","withField","withFields"],{},{"first":"1","second":2},{"first":"1","second":2}]"#,
    );
    gives("try { logger.info() } catch (e) { return e.name }", "TypeError");
    gives("try { logger.info(5) } catch (e) { return e.name }", "TypeError");
    gives("try { logger.info = null } catch (e) { return e.name }", "TypeError");
    gives("try { logger.withField('n', 5) } catch (e) { return e.name }", "TypeError");
}

#[test]
fn nothing_of_the_machine_reaches_files_processes_or_the_network() {
    gives(
        "return ['require', 'process', 'fetch', 'std', 'os', 'Deno', 'XMLHttpRequest', 'load', 'print', 'Worker', 'importScripts'].filter(n => typeof globalThis[n] !== 'undefined').join()",
        "",
    );
    let source = "let n = 0; function f() { import('os').then(() => { n = 1 }, () => { n = 2 }); return String(n) }
        function InitModule(c, l, n, i) { i.registerRpc('f', f) }";
    let mut vm = Vm::of(&program(&[("index.js", source)]));
    vm.rpc("f", "").unwrap();
    assert_eq!(vm.rpc("f", "").unwrap(), "2");
}

#[test]
fn what_promises_left_to_do_is_done_before_the_next_call() {
    let source = "let n = 0; function f() { var was = n; (async () => { await null; n++ })(); return String(was) }
        function InitModule(c, l, n, i) { i.registerRpc('f', f) }";
    let mut vm = Vm::of(&program(&[("index.js", source)]));
    assert_eq!(vm.rpc("f", "").unwrap(), "0");
    assert_eq!(vm.rpc("f", "").unwrap(), "1");
}

#[test]
fn a_pool_outlives_calls_that_do_not_end() {
    let source = "
        function loop() { for (;;); }
        function swallow() { for (;;) { try { for (;;); } catch (e) {} } }
        function pattern() { return String(/^(a+)+$/.test('a'.repeat(40) + 'b')) }
        function memory() { var all = []; for (;;) { try { all.push('x'.repeat(1000) + all.length) } catch (e) {} } }
        function promise() { var again = () => Promise.resolve().then(again); again() }
        function echo(c, l, n, p) { return p }
        function InitModule(c, l, n, i) {
            i.registerRpc('loop', loop); i.registerRpc('swallow', swallow); i.registerRpc('pattern', pattern);
            i.registerRpc('memory', memory); i.registerRpc('promise', promise); i.registerRpc('echo', echo);
        }";
    let names = ["loop", "swallow", "pattern", "memory", "promise"];
    let runtime = &CX.config.runtime;
    let settings = PoolSettings {
        min: 2,
        max: 4,
        call_deadline: Duration::from_millis(50),
        ..PoolSettings::of(Language::JavaScript, runtime)
    };
    let watchdog = Watchdog::start().unwrap();
    RUNTIME.block_on(async {
        let program = Arc::new(program(&[("index.js", source)]));
        let (pool, registrations) =
            ScriptPool::start(program, CX.clone(), settings, &watchdog).await.unwrap();
        let call = |name: &str| {
            let found = registrations.iter().find(|r| r.name == name).unwrap();
            let input = Input::Rpc { payload: b"still here".to_vec() };
            let context = Context { mode: ExecutionMode::Rpc, ..Context::default() };
            pool.call(Call { function: found.function, context, input })
        };
        for round in 0..5 {
            for name in names {
                let (ended, echo) = tokio::join!(call(name), call("echo"));
                assert_eq!(echo.unwrap(), Output::Text(b"still here".to_vec()), "{name} {round}");
                if name == "promise" {
                    continue;
                }
                let error = ended.unwrap_err();
                let limit = if name == "memory" { "memory" } else { "deadline" };
                assert!(error.message().contains(limit), "{error}");
                assert!(error.message().contains(&format!("at {name} (index.js:")), "{error}");
            }
        }
    });
}

#[test]
fn plain_values_are_shown_like_results_of_host_functions() {
    #[derive(serde::Serialize)]
    struct Tournament {
        user_id: &'static str,
    }
    let program = program(&[(
        "index.js",
        "function end(ctx, logger, nk, tournament, ended, reset) {
             return { mode: ctx.executionMode, id: tournament.userId, sum: ended + reset };
         }
         function filter(ctx, logger, nk, object) { return object.size > 1; }
         function reset(ctx, logger, nk, leaderboard, reset) {}
         function InitModule(ctx, logger, nk, initializer) {
             initializer.registerTournamentEnd(end);
             initializer.registerStorageIndexFilter('big', filter);
             initializer.registerLeaderboardReset(reset);
         }",
    )]);
    let mut vm = Vm::of(&program);
    let mut invoke = |point, name: &str, mode, arguments| {
        let function = vm.find(point, name);
        let context = Context { mode, ..Context::default() };
        let input = Input::Plain { arguments };
        vm.interpreter.call(Call { function, context, input }).result.unwrap()
    };
    let arguments =
        vec![Argument::of(Tournament { user_id: "a" }), Argument::of(2), Argument::of(3)];
    let answer = invoke(Point::TournamentEnd, "", ExecutionMode::TournamentEnd, arguments);
    let wanted = serde_json::json!({ "mode": "tournament_end", "id": "a", "sum": 5 });
    assert_eq!(answer, Output::Value(wanted));
    let nothing = invoke(Point::LeaderboardReset, "", ExecutionMode::LeaderboardReset, vec![]);
    assert_eq!(nothing, Output::Nothing);
    let arguments = vec![Argument::of(serde_json::json!({ "size": 2 }))];
    let mode = ExecutionMode::StorageIndexFilter;
    let answer = invoke(Point::StorageIndexFilter, "big", mode, arguments);
    assert_eq!(answer, Output::Value(serde_json::json!(true)));
}
