//! WebSockets as clients meet them: how they begin, what they carry, how they end.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tungstenite::{
    Message,
    protocol::frame::{
        Frame, FrameHeader,
        coding::{Data, OpCode},
    },
};

use crate::{
    host_functions::FORWARD,
    support::{SERVER_KEY, Setup, socket::Socket},
};

#[test]
fn a_socket_answers_a_ping_and_closes_with_the_client() {
    let server = Setup::new().start();
    let token = server.sign_in("ann");
    let mut socket = Socket::open(&server, &token, "status=true");
    let event = socket.until("status_presence_event");
    let join = &event["status_presence_event"]["joins"][0];
    assert_eq!((&join["username"], &join["status"]), (&json!("ann"), &json!("")));
    assert_eq!(socket.call(json!({ "ping": {} })), json!({ "pong": {} }));
    socket.quiet(100);
    assert_eq!(socket.close(), (1000, String::new()));
}

#[test]
fn refusals_come_in_the_order_and_words_of_the_reference() {
    let server = Setup::new().start();
    let token = server.sign_in("ann");
    let format = (400, "Invalid format parameter\n".to_owned());
    assert_eq!(Socket::refused(&server, &token, "format=JSON"), format);
    assert_eq!(Socket::refused(&server, "", "format=xml"), format);
    let no_token = (401, "Missing or invalid token\n".to_owned());
    assert_eq!(Socket::refused(&server, "", ""), no_token);
    assert_eq!(Socket::refused(&server, "garbage", ""), no_token);
    // Without an upgrade.
    let plain = server.get(&format!("/ws?token={token}"), "");
    assert_eq!((plain.status, plain.body), (400, json!("Bad Request\n")));
    let basic = server.get(&format!("/ws?token={token}"), SERVER_KEY);
    assert_eq!((basic.status, basic.body), (401, json!(no_token.1)));
    assert_eq!(server.post("/ws", &token, json!({})).status, 404);
}

#[test]
fn a_log_out_closes_the_way_to_new_sockets() {
    let server = Setup::new().start();
    let token = server.sign_in("ann");
    Socket::open(&server, &token, "");
    let tokens = json!({ "token": token, "refresh_token": "" });
    server.post("/v2/session/logout", &token, tokens).ok();
    assert_eq!(Socket::refused(&server, &token, "").0, 401);
}

fn ping(cid: &str) -> String {
    json!({ "cid": cid, "ping": {} }).to_string()
}

fn client_frame(text: &str) -> Vec<u8> {
    let header = FrameHeader {
        opcode: OpCode::Data(Data::Text),
        mask: Some([1, 2, 3, 4]),
        ..FrameHeader::default()
    };
    let mut bytes = Vec::new();
    Frame::from_payload(header, text.as_bytes().to_vec().into()).format(&mut bytes).unwrap();
    bytes
}

/// The request for a socket, as it stands on the wire.
fn request(token: &str) -> Vec<u8> {
    format!(
        "GET /ws?token={token} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes()
}

#[test]
fn what_comes_with_the_request_is_not_lost() {
    let server = Setup::new().start();
    let token = server.sign_in("hasty");
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // The connection has served a request before.
    stream.write_all(b"GET /healthcheck HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    read_until(&mut stream, b"{}");
    // The request, one message and a half, all at once.
    let mut bytes = request(&token);
    bytes.extend(client_frame(&ping("a")));
    let second = client_frame(&ping("b"));
    bytes.extend(&second[..9]);
    stream.write_all(&bytes).unwrap();
    thread::sleep(Duration::from_millis(50));
    stream.write_all(&second[9..]).unwrap();
    let came = read_until(&mut stream, br#"{"cid":"b","pong":{}}"#);
    assert!(came.starts_with("HTTP/1.1 101 "), "{came}");
    assert!(came.contains(r#"{"cid":"a","pong":{}}"#), "{came}");
}

/// What comes up to `end`.
fn read_until(stream: &mut TcpStream, end: &[u8]) -> String {
    let mut came = Vec::new();
    while !came.ends_with(end) {
        let mut buffer = [0; 1000];
        let count = stream.read(&mut buffer).unwrap();
        assert_ne!(count, 0, "{}", String::from_utf8_lossy(&came));
        came.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8_lossy(&came).into_owned()
}

#[test]
fn messages_of_both_formats_are_answered_in_their_order() {
    let server = Setup::new().start();
    let token = server.sign_in("ann");
    let mut text = Socket::open(&server, &token, "");
    let mut binary = Socket::open(&server, &token, "format=protobuf");
    for cid in 0..200u8 {
        text.send(json!({ "cid": cid.to_string(), "ping": {} }));
        // cid, and the field 32 of the envelope: a ping.
        binary.send_message(Message::binary(vec![0x0a, 1, cid % 100, 0x82, 0x02, 0]));
    }
    for cid in 0..200u8 {
        assert_eq!(text.receive(), json!({ "cid": cid.to_string(), "pong": {} }));
        assert_eq!(binary.receive(), json!({ "binary": [0x0a, 1, cid % 100, 0x8a, 0x02, 0] }));
    }
}

#[test]
fn a_client_that_does_not_read_is_closed_with_its_reason_and_slows_nobody() {
    let server = Setup::new().flag("--socket.write_wait_ms=60000").start();
    let (slow, quick) = (server.sign_in("slow"), server.sign_in("quick"));
    let mut other = Socket::open(&server, &quick, "");
    let stuffed = thread::spawn({
        let mut stuffed = Socket::open(&server, &slow, "");
        move || {
            // Its answers are as long, and fill what the system holds for a connection.
            let cid = "x".repeat(4000);
            for _ in 0..5000 {
                stuffed.send(json!({ "cid": cid, "ping": {} }));
            }
            stuffed
        }
    });
    let mut slowest = Duration::ZERO;
    while !stuffed.is_finished() {
        let began = Instant::now();
        assert_eq!(other.call(json!({ "ping": {} })), json!({ "pong": {} }));
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    let end = stuffed.join().unwrap().closed();
    assert_eq!(end, (1000, "session outgoing queue full".to_owned()));
    assert_eq!(server.metric("sessions"), 1);
}

#[test]
fn garbage_ends_its_connection_alone() {
    let server = Setup::new().start();
    let token = server.sign_in("ann");
    let mut steady = Socket::open(&server, &token, "");
    for seed in 1..=50u64 {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(&request(&token)).unwrap();
        let noise =
            (1..2000u64).map(|n| ((n + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8);
        let _ = stream.write_all(&noise.collect::<Vec<_>>());
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.starts_with(b"HTTP/1.1 101 "));
    }
    assert_eq!(steady.call(json!({ "ping": {} })), json!({ "pong": {} }));
    until(|| server.metric("sessions") == 1);
    assert_eq!(server.metric("socket_ws_opened"), 51);
    assert_eq!(server.metric("socket_ws_closed"), 50);
    assert!(!server.log().contains("panic"), "{}", server.log());
}

#[track_caller]
fn until(mut happened: impl FnMut() -> bool) {
    let began = Instant::now();
    while !happened() {
        assert!(began.elapsed() < Duration::from_secs(20), "it does not happen");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_user_may_be_held_to_one_socket() {
    let server = Setup::new().flag("--session.single_socket=true").start();
    let token = server.sign_in("ann");
    let other = server.sign_in("bob");
    let mut bystander = Socket::open(&server, &other, "");
    let mut first = Socket::open(&server, &token, "");
    let mut second = Socket::open(&server, &token, "");
    let told = first.until("notifications");
    let notification = &told["notifications"]["notifications"][0];
    assert_eq!(
        (&notification["subject"], &notification["code"]),
        (&json!("single_socket"), &json!(-7))
    );
    assert_eq!(first.closed(), (1000, "server-side session disconnect".to_owned()));
    second.quiet(100);
    bystander.quiet(0);
}

#[test]
fn a_server_that_stops_says_good_bye() {
    let mut server = Setup::new().start();
    let mut sockets: Vec<_> = (0..20)
        .map(|number| {
            let token = server.sign_in(&format!("player-{number}"));
            Socket::open(&server, &token, "")
        })
        .collect();
    let ends = thread::scope(|scope| {
        let ends: Vec<_> =
            sockets.iter_mut().map(|socket| scope.spawn(|| socket.closed())).collect();
        thread::sleep(Duration::from_millis(100));
        let began = Instant::now();
        server.stop();
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        ends.into_iter().map(|end| end.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(ends, vec![(1001, "server is stopping".to_owned()); 20]);
}

/// Notes session events where the session's user may read them, as `tests/forward` does.
const LUA: &str = r#"
    local nk = require("nakama")
    local function note(ctx, event)
      nk.storage_write({{
        collection = "told", key = event.name .. " lua", user_id = ctx.user_id,
        permission_read = 1, permission_write = 0,
        value = {
          mode = ctx.execution_mode, session = ctx.session_id, lang = ctx.lang,
          username = ctx.username, ip = ctx.client_ip, name = event.name,
          reason = event.properties and event.properties.reason or nil,
          timed = event.timestamp ~= nil,
        },
      }})
    end
    nk.register_event_session_start(note)
    nk.register_event_session_end(note)
"#;
const JAVASCRIPT: &str = r#"
    function note(ctx, logger, nk, event) {
      nk.storageWrite([{
        collection: "told", key: event.name + " javascript", userId: ctx.userId,
        permissionRead: 1, permissionWrite: 0,
        value: {
          mode: ctx.executionMode, session: ctx.sessionId, lang: ctx.lang,
          username: ctx.username, ip: ctx.clientIp, name: event.name,
          reason: (event.properties || {}).reason, timed: !!event.timestamp,
        },
      }]);
    }
    function InitModule(ctx, logger, nk, initializer) {
      initializer.registerEventSessionStart(note);
      initializer.registerEventSessionEnd(note);
    }
"#;

#[test]
fn modules_of_all_languages_hear_of_sessions() {
    let server = Setup::new()
        .module("forward.so", std::fs::read(&*FORWARD).unwrap())
        .module("note.lua", LUA)
        .module("index.js", JAVASCRIPT)
        .start();
    let token = server.sign_in("ann");
    let mut socket = Socket::open(&server, &token, "lang=de&status=true");
    let event = socket.until("status_presence_event");
    let join = &event["status_presence_event"]["joins"][0];
    let (user, session) = (join["user_id"].as_str().unwrap(), &join["session_id"]);
    socket.send_message(Message::text("{"));
    assert_eq!(socket.closed(), (1000, "received malformed payload".to_owned()));

    let told = |name: &str, reason: Value| {
        let mut value = json!({
            "mode": "event", "session": session, "lang": "de", "username": "ann",
            "ip": "127.0.0.1", "name": name, "timed": true,
        });
        if !reason.is_null() {
            value["reason"] = reason;
        }
        ["javascript", "lua", "native"]
            .map(|language| (format!("{name} {language}"), value.clone()))
    };
    let mut expected = told("session_end", json!("received malformed payload")).to_vec();
    expected.extend(told("session_start", Value::Null));
    let mut found = Vec::new();
    until(|| {
        let path = format!("/v2/storage/told/{user}?limit=100");
        let list = server.get(&path, &token).ok();
        let objects = list["objects"].as_array().cloned().unwrap_or_default();
        found = objects
            .iter()
            .map(|object| {
                let text = object["value"].as_str().unwrap();
                let mut value: Value = serde_json::from_str(text).unwrap();
                value.as_object_mut().unwrap().retain(|_, value| !value.is_null());
                (object["key"].as_str().unwrap().to_owned(), value)
            })
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found.len() == expected.len()
    });
    assert_eq!(found, expected);
}
