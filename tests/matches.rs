//! Matches as clients play them: relayed, and run by handlers in each language.

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    host_functions::FORWARD,
    support::{Server, Setup, socket::Socket},
};

/// The handlers of one match in each language.
const HANDLERS: &[&str] = &["arena", "arena_js", "arena_native"];

fn setup() -> Setup {
    Setup::new()
        .module("calls.lua", include_str!("matches/calls.lua"))
        .module("arena.lua", include_str!("matches/arena.lua"))
        .module("trouble.lua", include_str!("matches/trouble.lua"))
        .module("index.js", include_str!("matches/index.js"))
        .module("forward.so", std::fs::read(&*FORWARD).unwrap())
}

fn open(server: &Server, name: &str) -> Socket {
    Socket::open(server, &server.sign_in(name), "")
}

fn make(server: &Server, module: &str, params: Value) -> String {
    let request = json!({ "module": module, "params": params }).to_string();
    server.rpc("make", &request).ok().as_str().unwrap().to_owned()
}

fn join(socket: &mut Socket, id: &str) -> Value {
    socket.call(json!({ "match_join": { "match_id": id } }))
}

fn send(socket: &mut Socket, id: &str, op_code: i64, data: &str) {
    let data = STANDARD.encode(data);
    let op_code = op_code.to_string();
    socket.send(json!({ "match_data_send": { "match_id": id, "op_code": op_code, "data": data } }));
}

/// The text of the next match data.
#[track_caller]
fn said(socket: &mut Socket) -> String {
    let data = socket.until("match_data")["match_data"]["data"].take();
    let bytes = STANDARD.decode(data.as_str().unwrap_or_default()).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[track_caller]
fn ids(server: &Server, query: &str) -> Vec<String> {
    let token = server.sign_in("onlooker");
    let listed = server.get(&format!("/v2/match?{query}"), &token).ok();
    let matches = listed["matches"].as_array().cloned().unwrap_or_default();
    matches.iter().map(|row| row["match_id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn three_play_a_relayed_match_and_hear_of_one_another() {
    let server = setup().start();
    let [mut ann, mut bob, mut cat] = ["ann", "bob", "cat"].map(|name| open(&server, name));
    let made = ann.call(json!({ "match_create": {} }))["match"].take();
    let id = made["match_id"].as_str().unwrap().to_owned();
    assert_eq!((&made["size"], &made["self"]["username"]), (&json!(1), &json!("ann")));
    ann.until("match_presence_event");
    for (socket, others) in [(&mut bob, 1), (&mut cat, 2)] {
        assert_eq!(join(socket, &id)["match"]["size"], others);
        socket.until("match_presence_event");
    }
    send(&mut ann, &id, 1, "hello");
    let heard = bob.until("match_data")["match_data"].take();
    assert_eq!(heard["presence"]["username"], "ann");
    assert_eq!(heard["op_code"], "1");
    assert_eq!(said(&mut cat), "hello");
    // Only those who are named, and by their session.
    let named =
        json!([{ "user_id": made["self"]["user_id"], "session_id": made["self"]["session_id"] }]);
    bob.send(json!({ "match_data_send": {
        "match_id": id, "op_code": "2", "data": STANDARD.encode("secret"), "presences": named,
    } }));
    assert_eq!(said(&mut ann), "secret");
    cat.quiet(100);
    assert_eq!(ids(&server, "authoritative=false"), [id.as_str()]);
    drop(bob);
    let left = cat.until("match_presence_event");
    assert_eq!(left["match_presence_event"]["leaves"][0]["username"], "bob");
}

#[test]
fn a_handler_of_each_language_plays_from_the_first_join_to_the_stop_of_the_server() {
    let mut server = setup().flag("--shutdown_grace_sec=9").start();
    let mut playing = Vec::new();
    for handler in HANDLERS {
        let [ann, bob] = ["ann", "bob"].map(|name| format!("{name}_{handler}"));
        let (mut first, mut second) = (open(&server, &ann), open(&server, &bob));
        let params = json!({ "password": "open", "label": format!("{handler}-1") });
        let id = make(&server, handler, params);
        let may = |password| json!({ "match_join": { "match_id": id, "metadata": { "password": password } } });

        // Whoever is let in hears so before anything else.
        let mut request = may("open");
        request["cid"] = json!("1");
        first.send(request);
        let shown = first.receive();
        assert_eq!(shown["cid"], "1");
        assert_eq!(shown["match"]["label"], format!("{handler}-1"));
        assert_eq!(
            (&shown["match"]["size"], &shown["match"]["authoritative"]),
            (&Value::Null, &json!(true))
        );
        assert_eq!(said(&mut first), format!("joined {ann} 0"));
        let refused = second.call(may("sesame"));
        assert_eq!(refused["error"], json!({ "code": 5, "message": "wrong password" }));
        assert_eq!(said(&mut first), format!("refused {bob}"));
        let shown = second.call(may("open"))["match"].take();
        assert_eq!(shown["presences"][0]["username"], json!(ann));
        assert_eq!(said(&mut second), format!("joined {bob} 0"));
        assert_eq!(said(&mut first), format!("joined {bob} 0"));

        send(&mut first, &id, 4, "");
        assert_eq!([said(&mut second), said(&mut second)], ["at once", "deferred"]);
        send(&mut second, &id, 5, "me");
        let own = second.until("match_data")["match_data"].take();
        // Not by the name, for which JavaScript shows the session's id, as in the reference.
        assert_eq!(own["presence"]["session_id"], shown["self"]["session_id"]);

        let relabelled = format!("{handler}-2");
        let signal = json!({ "id": id, "data": relabelled }).to_string();
        assert_eq!(server.rpc("signal", &signal).ok(), format!("label {relabelled}"));
        assert_eq!(ids(&server, &format!("label={relabelled}")), [id.as_str()]);
        assert_eq!(ids(&server, &format!("label={handler}-1")), [""; 0]);

        send(&mut second, &id, 6, "");
        assert_eq!([said(&mut first), said(&mut first)], ["at once", "deferred"]);
        assert_eq!(said(&mut first), format!("left {bob} 3"));
        send(&mut second, &id, 4, "");
        second.quiet(150);
        playing.push(first);
    }
    // All are told, and end by themselves: the server does not wait for the end of its grace.
    let began = Instant::now();
    server.stop();
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    for mut socket in playing {
        assert_eq!(said(&mut socket), "ends in 9");
        assert_eq!(socket.closed(), (1001, "server is stopping".to_owned()));
    }
}

#[test]
fn a_failing_a_waiting_and_an_endless_handler_leave_others_their_ticks() {
    let server = setup().flag("--runtime.call_deadline_ms=1000").flag("--match.threads=1").start();
    let mut steady = open(&server, "steady");
    let steady_id = make(&server, "trouble", json!({}));
    join(&mut steady, &steady_id);
    let mut troubled = ["failing", "waiting", "endless"].map(|name| {
        let mut socket = open(&server, name);
        let id = make(&server, "trouble", json!({}));
        join(&mut socket, &id);
        said(&mut socket);
        (socket, id)
    });
    for (at, (socket, id)) in troubled.iter_mut().enumerate() {
        send(socket, id, at as i64 + 1, "");
    }
    let first: i64 = said(&mut steady).parse().unwrap();
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    for wanted in first + 1..first + 40 {
        assert_eq!(said(&mut steady), wanted.to_string());
        longest = longest.max(last.elapsed());
        last = Instant::now();
    }
    // A tick comes every 100 ms; the machine may be busy, the matches must not matter.
    assert!(longest < Duration::from_millis(700), "{longest:?} without a tick");
    let [(mut failing, _), (mut waiting, id), (mut endless, _)] = troubled;
    let disconnected = (1000, "server-side session disconnect".to_owned());
    assert_eq!(failing.closed(), disconnected);
    assert_eq!(endless.closed(), disconnected);
    // What waited goes on.
    send(&mut waiting, &id, 9, "");
    said(&mut waiting);
    let left: Vec<String> = ids(&server, "authoritative=true");
    assert_eq!(left, [id, steady_id]);
}

#[test]
fn an_empty_match_ends_and_one_match_a_session_can_be_the_rule() {
    let server = setup()
        .flag("--match.max_empty_sec=1")
        .flag("--session.single_socket=true")
        .flag("--session.single_match=true")
        .start();
    let empty = make(&server, "trouble", json!({}));
    let mut ann = open(&server, "ann");
    let [one, other] = [(); 2].map(|()| make(&server, "trouble", json!({})));
    assert_eq!(join(&mut ann, &one)["match"]["match_id"], json!(one));
    assert_eq!(join(&mut ann, &other)["match"]["match_id"], json!(other));
    // She has left the first one, which is therefore empty too.
    let began = Instant::now();
    while ids(&server, "authoritative=true") != [other.as_str()] {
        assert!(began.elapsed() < Duration::from_secs(20), "{empty} and {one} go on");
        std::thread::sleep(Duration::from_millis(50));
    }
    let relayed = ann.call(json!({ "match_create": { "name": "ours" } }))["match"].take();
    assert_eq!(ids(&server, "min_size=1"), [other.as_str(), relayed["match_id"].as_str().unwrap()]);
    drop(ann);
    while !ids(&server, "").is_empty() {
        assert!(began.elapsed() < Duration::from_secs(30), "a match without members goes on");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn matches_made_while_modules_are_loaded_begin_with_the_server() {
    let server = setup()
        .module(
            "early.lua",
            r#"
            local nk = require("nakama")
            local id = nk.match_create("arena_js", { label = "early one", password = "p" })
            nk.run_once(function() nk.match_create("arena", { label = "early two" }) end)
            nk.register_rpc(function() return id end, "early")
            "#,
        )
        .start();
    let id = server.rpc("early", "").ok().as_str().unwrap().to_owned();
    assert_eq!(ids(&server, "authoritative=true&label=early%20one"), [id.as_str()]);
    assert_eq!(ids(&server, "authoritative=true&label=early%20two").len(), 1);
    let mut socket = open(&server, "early");
    let metadata = json!({ "password": "p" });
    let joined = socket.call(json!({ "match_join": { "match_id": id, "metadata": metadata } }));
    assert_eq!(joined["match"]["match_id"], id);
    assert!(said(&mut socket).starts_with("joined "));
}
