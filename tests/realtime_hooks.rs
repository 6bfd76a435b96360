//! Hooks of socket messages, in each language: what they are told, and what becomes of what they give
//! back. The modules stand beside this file and in `tests/forward`.

use std::fs;

use serde_json::{Value, json};

use crate::{
    host_functions::FORWARD,
    support::{Server, Setup, socket::Socket},
};

const LANGUAGES: [&str; 3] = ["native", "lua", "javascript"];

fn start(language: &str) -> Server {
    let setup = Setup::new();
    match language {
        "native" => setup
            .module("forward.so", fs::read(&*FORWARD).unwrap())
            .flag("--runtime.env=realtime_hooks=all"),
        "lua" => setup.module("hooks.lua", include_str!("realtime_hooks/hooks.lua")),
        _ => setup.module("index.js", include_str!("realtime_hooks/hooks.js")),
    }
    .start()
}

/// What came of an update of the status.
struct Updated {
    answer: Value,
    /// The status that others were told.
    told: Value,
    /// What the after hook told.
    after: (String, Value),
}

/// Sends an update of the status and waits for all that comes of it, in whatever order.
fn update(socket: &mut Socket, status: &str) -> Updated {
    socket.send(json!({ "cid": "c", "status_update": { "status": status } }));
    let (mut answer, mut told, mut after) = (None, None, None);
    while answer.is_none() || told.is_none() || after.is_none() {
        let next = socket.receive();
        if let Some(event) = next.get("status_presence_event") {
            told = Some(event["joins"][0]["status"].clone());
        } else if next.get("notifications").is_some() {
            after = Some(notification(&next));
        } else {
            answer = Some(next);
        }
    }
    Updated { answer: answer.unwrap(), told: told.unwrap(), after: after.unwrap() }
}

/// What a notification is about, and its content.
fn notification(envelope: &Value) -> (String, Value) {
    let notification = &envelope["notifications"]["notifications"][0];
    let text = |field: &str| notification[field].as_str().unwrap();
    (text("subject").to_owned(), serde_json::from_str(text("content")).unwrap())
}

/// The next notification.
fn notified(socket: &mut Socket) -> (String, Value) {
    notification(&socket.until("notifications"))
}

#[test]
fn a_before_hook_sees_the_caller_and_what_it_gives_back_goes_on() {
    for language in LANGUAGES {
        let server = start(language);
        let token = server.sign_in("ann");
        let mut socket = Socket::open(&server, &token, "status=true&lang=de");
        let event = socket.until("status_presence_event");
        let own = event["status_presence_event"]["joins"][0].clone();

        let Updated { answer, told, after: (subject, seen) } = update(&mut socket, "who");
        let who: Value = serde_json::from_str(told.as_str().unwrap()).unwrap();
        let wanted = json!({
            "mode": "before", "user_id": own["user_id"], "username": "ann",
            "session": own["session_id"], "lang": "de", "timed": true, "ip": "127.0.0.1",
            "cid": "c",
        });
        assert_eq!((answer, who), (json!({ "cid": "c" }), wanted), "{language}");
        assert_eq!((subject.as_str(), &seen["mode"]), ("after status", &json!("after")));
        assert_eq!((&seen["cid"], &seen["status"]), (&json!("c"), &told), "{language}");

        // The answer has the mark that the hook gave the message.
        let Updated { answer, told, after: (_, seen) } = update(&mut socket, "mark");
        assert_eq!((answer, told), (json!({ "cid": "changed" }), json!("mark")), "{language}");
        assert_eq!(seen["cid"], "changed", "{language}");

        socket.send(json!({ "status_update": { "status": "take away" } }));
        let event = socket.until("status_presence_event");
        assert_eq!(event["status_presence_event"]["leaves"][0]["status"], "mark", "{language}");
    }
}

#[test]
fn what_a_before_hook_refuses_is_told_with_code_7_and_the_socket_stays() {
    for language in LANGUAGES {
        let server = start(language);
        let mut socket = Socket::open(&server, &server.sign_in("ann"), "");
        let refused = |socket: &mut Socket, status: &str| {
            socket.send(json!({ "cid": "c", "status_update": { "status": status } }));
            socket.receive()
        };
        let error = |message: &str| json!({ "code": 7, "message": message });
        for (status, message) in [
            ("refuse", "refused by a hook"),
            ("fail", "failed in a hook"),
            ("another", "Runtime Before function changed the type of the message."),
        ] {
            let wanted = json!({ "cid": "c", "error": error(message) });
            assert_eq!(refused(&mut socket, status), wanted, "{language}");
        }
        if language != "native" {
            let error = error("Could not complete runtime Before function.");
            let with_mark = json!({ "cid": "c", "error": error });
            assert_eq!(refused(&mut socket, "unknown"), with_mark, "{language}");
            // What is no object took the mark's place too.
            assert_eq!(refused(&mut socket, "text"), json!({ "error": error }), "{language}");
        }
        socket.send(json!({ "cid": "refuse", "ping": {} }));
        assert_eq!(socket.receive(), json!({ "cid": "refuse", "error": error("no pings") }));
        assert_eq!(socket.call(json!({ "ping": {} })), json!({ "pong": {} }));
        // Nothing of it was done, and no after hook ran.
        socket.quiet(200);
    }
}

#[test]
fn a_message_that_a_hook_gives_nothing_for_closes_its_socket() {
    for language in LANGUAGES {
        let server = start(language);
        let mut socket = Socket::open(&server, &server.sign_in("ann"), "");
        socket.send(json!({ "cid": "c", "status_update": { "status": "drop" } }));
        assert_eq!(socket.closed(), (1000, "error processing message".to_owned()), "{language}");
    }
}

#[test]
fn after_hooks_run_where_there_is_no_answer_too() {
    for language in LANGUAGES {
        let server = start(language);
        let mut socket = Socket::open(&server, &server.sign_in("ann"), "");
        let session = |seen: &Value| seen["session"].is_string() && seen["mode"] == "after";

        socket.send(json!({ "cid": "p", "pong": {} }));
        let (subject, seen) = notified(&mut socket);
        assert!(subject == "after pong" && session(&seen), "{language}: {subject} {seen}");
        assert_eq!((&seen["answered"], &seen["cid"]), (&json!(false), &json!("p")), "{language}");

        // Following nobody is answered, but its hook is told of no answer.
        let answer = socket.call(json!({ "status_follow": {} }));
        assert_eq!(answer, json!({ "status": {} }), "{language}");
        let seen = notified(&mut socket).1;
        assert_eq!((&seen["answered"], &seen["ids"]), (&json!(false), &json!(0)), "{language}");
        let nobody = "11111111-2222-4333-8444-555555555555";
        socket.call(json!({ "status_follow": { "user_ids": [nobody] } }));
        let seen = notified(&mut socket).1;
        assert_eq!((&seen["answered"], &seen["ids"]), (&json!(true), &json!(1)), "{language}");
    }
}

#[test]
fn hooks_see_data_of_matches_without_loss() {
    for language in LANGUAGES {
        let server = start(language);
        let mut ann = Socket::open(&server, &server.sign_in("ann"), "");
        let mut bob = Socket::open(&server, &server.sign_in("bob"), "");
        let made = ann.call(json!({ "match_create": {} }));
        let id = &made["match"]["match_id"];
        bob.call(json!({ "match_join": { "match_id": id } }));
        // "hello", and an operation that no float holds.
        let send = json!({ "match_id": id, "op_code": "9007199254740993", "data": "aGVsbG8=" });
        ann.send(json!({ "match_data_send": send }));
        let data = bob.until("match_data");
        assert_eq!(data["match_data"]["op_code"], "7", "{language}");
        assert_eq!(data["match_data"]["data"], "d2FzIGhlbGxv", "{language}");
        let (subject, seen) = notified(&mut ann);
        assert_eq!(subject, "after data", "{language}");
        assert_eq!((&seen["answered"], &seen["op_code"]), (&json!(false), &json!("7")));
    }
}
