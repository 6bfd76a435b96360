//! Native modules: the samples in Rust, C and Go in a running server.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::support::{SERVER_KEY, Server, Setup, socket::Socket};

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

/// Adds the sample in Rust, which has a match.
pub fn with_rust_sample(setup: Setup) -> Setup {
    let library = std::fs::read(SAMPLES.join("rust_hello.so")).unwrap();
    setup.module("rust_hello.so", library)
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
fn hooks_of_socket_messages_in_go_mend_refuse_and_close() {
    if !languages().contains(&"go") {
        return;
    }
    let server = with_samples(Setup::new().flag("--logger.level=info"));
    let mut socket = Socket::open(&server, &server.sign_in("ann"), "");
    let update = |status: &str| json!({ "status_update": { "status": status } });
    let mut follower = Socket::open(&server, &server.sign_in("bob"), "");
    follower.call(json!({ "status_follow": { "usernames": ["ann"] } }));

    assert_eq!(socket.call(update("  away ")), json!({}));
    let event = follower.receive();
    assert_eq!(event["status_presence_event"]["joins"][0]["status"], "away");
    eventually(|| server.log().contains(r#"ann is now \"away\", told so: true"#));
    let refused = socket.call(update("staff only"));
    assert_eq!(refused["error"], json!({ "code": 7, "message": "Only the staff says so." }));
    follower.quiet(100);
    socket.send(update("here!!!"));
    assert_eq!(socket.closed(), (1000, "error processing message".to_owned()));
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

/// Makes and signals matches.
const CALLS: &str = "local nk = require('nakama')
    nk.register_rpc(function(_, payload)
      local request = nk.json_decode(payload)
      return nk.match_create(request.handler, request.params)
    end, 'make')
    nk.register_rpc(function(_, payload)
      local request = nk.json_decode(payload)
      return nk.match_signal(request.id, request.data)
    end, 'tell')";

fn with_matches(setup: Setup) -> Server {
    with_samples(setup.module("calls.lua", CALLS))
}

fn make(server: &Server, handler: &str, params: Value) -> String {
    let request = json!({ "handler": handler, "params": params }).to_string();
    server.rpc("make", &request).ok().as_str().unwrap().to_owned()
}

fn tell(server: &Server, id: &str, data: &str) -> crate::support::Answer {
    server.rpc("tell", &json!({ "id": id, "data": data }).to_string())
}

fn join(socket: &mut Socket, id: &str, password: &str) -> Value {
    let metadata = json!({ "password": password });
    socket.call(json!({ "match_join": { "match_id": id, "metadata": metadata } }))
}

/// A player of a match of the Rust sample.
fn player(server: &Server, id: &str, name: &str) -> Socket {
    let mut socket = Socket::open(server, &server.sign_in(name), "");
    assert_eq!(join(&mut socket, id, "sesame")["match"]["match_id"], json!(id));
    socket
}

fn say(socket: &mut Socket, id: &str, op_code: u8, data: &str) {
    let data = STANDARD.encode(data);
    let op_code = op_code.to_string();
    socket.send(json!({ "match_data_send": { "match_id": id, "op_code": op_code, "data": data } }));
}

/// Number, text and sender of the next message in a match.
#[track_caller]
fn heard(socket: &mut Socket) -> (String, String, String) {
    let message = socket.until("match_data")["match_data"].take();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let data = STANDARD.decode(text(&message["data"])).unwrap();
    let data = String::from_utf8(data).unwrap();
    (text(&message["op_code"]), data, text(&message["presence"]["username"]))
}

/// The ids of the matches with this label.
fn labelled(server: &Server, label: &Value) -> Vec<String> {
    let token = server.sign_in("onlooker");
    let room = label["room"].as_str().unwrap();
    let path = format!("/v2/match?authoritative=true&query=%2Blabel.room:{room}");
    let listed = server.get(&path, &token).ok();
    let matches = listed["matches"].as_array().cloned().unwrap_or_default();
    let same = matches.iter().filter(|row| {
        serde_json::from_str::<Value>(row["label"].as_str().unwrap()).unwrap() == *label
    });
    same.map(|row| row["match_id"].as_str().unwrap().to_owned()).collect()
}

/// Waits until `done`.
#[track_caller]
fn eventually(done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(20), "it did not come about");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_native_match_plays_from_the_first_join_to_its_end() {
    let server = with_matches(Setup::new());
    for language in languages().into_iter().filter(|language| *language != "c") {
        let shown = if language == "rust" { "native" } else { language };
        let label = |room: &str| json!({ "language": shown, "room": room });
        let handler = format!("{language}_match");
        let id = make(&server, &handler, json!({ "room": format!("{language}_a") }));
        assert_eq!(labelled(&server, &label(&format!("{language}_a"))), [id.as_str()]);

        let [ann, bob] = ["ann", "bob"].map(|name| format!("{name}_{language}"));
        let mut first = player(&server, &id, &ann);
        let mut second = Socket::open(&server, &server.sign_in(&bob), "");
        let refused = join(&mut second, &id, "open");
        assert_eq!(refused["error"], json!({ "code": 5, "message": "wrong password" }));
        assert_eq!(join(&mut second, &id, "sesame")["match"]["presences"][0]["username"], ann);

        say(&mut first, &id, 1, "at once");
        say(&mut first, &id, 2, "later");
        say(&mut second, &id, 1, "");
        for socket in [&mut first, &mut second] {
            let mut all = [heard(socket), heard(socket), heard(socket)];
            all.sort();
            let expected = [("101", "", &bob), ("101", "at once", &ann), ("102", "later", &ann)];
            let expected = expected.map(|(op, data, by)| (op.into(), data.into(), by.clone()));
            assert_eq!(all, expected, "{language}");
        }

        assert_eq!(tell(&server, &id, "hi").ok(), "heard hi with 2");
        for socket in [&mut first, &mut second] {
            assert_eq!(heard(socket), ("109".into(), "hi".into(), String::new()));
        }

        say(&mut first, &id, 4, &format!("{language}_b"));
        eventually(|| labelled(&server, &label(&format!("{language}_b"))) == [id.as_str()]);
        assert_eq!(labelled(&server, &label(&format!("{language}_a"))), [""; 0]);

        say(&mut second, &id, 3, "");
        let left = loop {
            let event = first.until("match_presence_event")["match_presence_event"].take();
            if let Some(left) = event["leaves"].get(0) {
                break left["username"].clone();
            }
        };
        assert_eq!(left, json!(bob));
        assert_eq!(tell(&server, &id, "one").ok(), "heard one with 1");
        first.call(json!({ "match_leave": { "match_id": id } }));
        eventually(|| labelled(&server, &label(&format!("{language}_b"))).is_empty());
        assert_ne!(tell(&server, &id, "gone").status, 200);
    }
    eventually(|| server.rpc("rust_rooms", "").ok() == json!(0));
}

#[test]
fn a_native_match_that_panics_or_blocks_leaves_others_alone() {
    let server = with_matches(Setup::new());
    let mut stays = Vec::new();
    for language in languages().into_iter().filter(|language| *language != "c") {
        let make =
            |room: &str| make(&server, &format!("{language}_match"), json!({ "room": room }));
        let [broken, steady] = [make("broken"), make("steady")];
        let mut breaks = player(&server, &broken, &format!("breaks_{language}"));
        let mut other = player(&server, &steady, &format!("stays_{language}"));
        say(&mut breaks, &broken, 5, "");
        assert_eq!(breaks.closed(), (1000, "server-side session disconnect".to_owned()));
        // The log tells the operator why, and where.
        let place = if language == "rust" { "room.rs:" } else { "room.go:" };
        let why = ["its handler failed", &format!("breaks_{language} broke it"), place];
        eventually(|| server.log().lines().any(|line| why.iter().all(|it| line.contains(it))));
        assert_ne!(tell(&server, &broken, "still there?").status, 200);
        say(&mut other, &steady, 1, "here");
        assert_eq!(heard(&mut other).1, "here", "{language}");
        assert_eq!(tell(&server, &steady, "hi").ok(), "heard hi with 1");
        stays.push(other);
    }
    let [slow, steady] =
        ["slow", "quick"].map(|room| make(&server, "rust_match", json!({ "room": room })));
    let mut blocks = player(&server, &slow, "blocks");
    let mut plays = player(&server, &steady, "plays");
    say(&mut blocks, &slow, 6, "3000");
    say(&mut blocks, &slow, 1, "after");
    thread::sleep(Duration::from_millis(200));
    let began = Instant::now();
    for turn in 0..5 {
        say(&mut plays, &steady, 1, &turn.to_string());
        assert_eq!(heard(&mut plays).1, turn.to_string());
    }
    assert!(began.elapsed() < Duration::from_millis(2500), "{:?}", began.elapsed());
    assert_eq!(heard(&mut blocks).1, "after");
    // Also of matches that failed or never began, the states are freed.
    let refused = |params: Value| {
        let request = json!({ "handler": "rust_match", "params": params }).to_string();
        server.rpc("make", &request).refused().2
    };
    let message = refused(json!({}));
    assert!(message.contains("error creating match: a room needs a name"), "{message}");
    let message = refused(json!({ "room": "a", "tick_rate_hz": 61 }));
    let rate = "MatchInit returned invalid tick rate, must be between 1 and 60";
    assert!(message.contains(&format!("error creating match: {rate}")), "{message}");
    drop((blocks, plays, stays));
    eventually(|| server.rpc("rust_rooms", "").ok() == json!(0));
}

#[test]
fn a_match_in_c_keeps_its_state_and_ends_by_a_signal() {
    if !languages().contains(&"c") {
        return;
    }
    let server = with_matches(Setup::new());
    let [id, other] = [(); 2].map(|()| make(&server, "c_match", json!({})));
    let mut socket = player(&server, &id, "ann");
    for count in ["1", "2", "3"] {
        assert_eq!(tell(&server, &id, "hi").ok(), json!(count.parse::<u8>().unwrap()));
        assert_eq!(heard(&mut socket).1, "hi");
    }
    assert_eq!(tell(&server, &other, "hi").ok(), json!(1));
    assert_ne!(tell(&server, &id, "end").status, 200);
    assert_ne!(tell(&server, &id, "hi").status, 200);
    assert_eq!(tell(&server, &other, "hi").ok(), json!(2));
}

#[test]
fn a_native_match_comes_before_lua_and_javascript() {
    let lua = "return { match_init = function() return {}, 1, 'lua' end }";
    let javascript = "function InitModule(ctx, logger, nk, initializer) {
                        initializer.registerMatch('rust_match', {
                          matchInit: init, matchJoinAttempt: other, matchJoin: other,
                          matchLeave: other, matchLoop: other, matchTerminate: other,
                          matchSignal: other }); }
                      function init() { return { state: {}, tickRate: 1, label: 'javascript' }; }
                      function other() { return null; }";
    let server =
        with_matches(Setup::new().module("rust_match.lua", lua).module("index.js", javascript));
    let id = server.rpc("create_native", "den").ok();
    let label = json!({ "language": "native", "room": "den" });
    assert_eq!(labelled(&server, &label), [id.as_str().unwrap()]);
}
