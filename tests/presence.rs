//! Who is there, and who is told: statuses, streams of modules, sockets that the server closes.

use std::{
    thread,
    time::{Duration, Instant},
};

use guildhall_actors::host::Language;
use serde_json::{Value, json};

use crate::{
    host_functions::{self, function, with_modules},
    support::{Server, Setup, socket::Socket},
};

/// A client with a status, and the presence that it was told of as its own.
struct Client {
    token: String,
    socket: Socket,
    own: Value,
}

impl Client {
    fn connect(server: &Server, name: &str) -> Self {
        Self::with_token(server, server.sign_in(name))
    }

    fn with_token(server: &Server, token: String) -> Self {
        let mut socket = Socket::open(server, &token, "status=true");
        let event = socket.until("status_presence_event");
        let own = event["status_presence_event"]["joins"][0].clone();
        Self { token, socket, own }
    }

    fn user_id(&self) -> &str {
        self.own["user_id"].as_str().unwrap()
    }

    fn session_id(&self) -> &str {
        self.own["session_id"].as_str().unwrap()
    }
}

/// Calls a host function from a module in this language.
#[track_caller]
fn call(server: &Server, language: Language, name: &str, arguments: &Value) -> Value {
    host_functions::call(server, language, function(name), arguments).unwrap()
}

const CLOSED: &str = "server-side session disconnect";

#[test]
fn followers_hear_of_a_status_as_long_as_they_follow() {
    let server = Setup::new().start();
    let mut ann = Client::connect(&server, "ann");
    let mut bob = Socket::open(&server, &server.sign_in("bob"), "");
    let follow = json!({ "status_follow": { "usernames": ["ann", "nobody", "bob"] } });
    let now = |status: &str| {
        let mut presence = ann.own.clone();
        presence["status"] = json!(status);
        presence
    };
    assert_eq!(bob.call(follow), json!({ "status": { "presences": [now("")] } }));

    assert_eq!(ann.socket.call(json!({ "status_update": { "status": "away" } })), json!({}));
    let event = json!({
        "status_presence_event": { "joins": [now("away")], "leaves": [now("")] }
    });
    assert_eq!(bob.receive(), event);
    assert_eq!(ann.socket.receive(), event);
    // An appearance offline is seen as leaving.
    ann.socket.call(json!({ "status_update": {} }));
    assert_eq!(bob.receive(), json!({ "status_presence_event": { "leaves": [now("away")] } }));
    ann.socket.call(json!({ "status_update": { "status": "back" } }));
    assert_eq!(bob.receive(), json!({ "status_presence_event": { "joins": [now("back")] } }));

    let ids = json!([ann.user_id()]);
    assert_eq!(bob.call(json!({ "status_unfollow": { "user_ids": ids } })), json!({}));
    ann.socket.call(json!({ "status_update": { "status": "unseen" } }));
    bob.quiet(200);
}

#[test]
fn two_sockets_of_a_user_are_two_presences() {
    let server = Setup::new().start();
    let mut first = Client::connect(&server, "ann");
    let mut bob = Socket::open(&server, &server.sign_in("bob"), "");
    bob.call(json!({ "status_follow": { "usernames": ["ann"] } }));
    let mut second = Client::with_token(&server, first.token.clone());
    assert_eq!(first.user_id(), second.user_id());
    assert_ne!(first.session_id(), second.session_id());
    let joins = |who: &Client| json!({ "status_presence_event": { "joins": [who.own] } });
    let leaves = |who: &Client| json!({ "status_presence_event": { "leaves": [who.own] } });
    for heard in [first.socket.receive(), bob.receive()] {
        assert_eq!(heard, joins(&second));
    }
    let following = bob.call(json!({ "status_follow": { "usernames": ["ann"] } }));
    let listed = following["status"]["presences"].as_array().unwrap();
    assert_eq!(listed.len(), 2);
    assert!(listed.contains(&first.own) && listed.contains(&second.own), "{listed:?}");

    // Each is in the room for itself, and hears what the other says there, and what it says itself.
    let join = json!({ "channel_join": { "target": "hall", "type": 1 } });
    let here = |answer: &Value| answer["channel"]["presences"].as_array().map_or(0, Vec::len);
    assert_eq!(here(&first.socket.call(join.clone())), 0);
    assert_eq!(here(&second.socket.call(join)), 1);
    let say = json!({ "channel_id": "2...hall", "content": "{}" });
    first.socket.call(json!({ "channel_message_send": say }));
    for client in [&mut first, &mut second] {
        client.socket.until("channel_message");
    }

    // The user is there until both are gone.
    let path = format!("/v2/user?ids={}", first.user_id());
    let token = server.sign_in("bob");
    let online = || server.get(&path, &token).ok()["users"][0]["online"].clone();
    let (left, other) = (leaves(&first), leaves(&second));
    first.socket.close();
    assert_eq!(bob.receive(), left);
    assert_eq!(second.socket.until("status_presence_event"), left);
    assert_eq!(online(), true);
    second.socket.close();
    assert_eq!(bob.receive(), other);
    assert_eq!(online(), Value::Null);
}

#[test]
fn what_cannot_be_followed_or_said_is_refused() {
    let server = Setup::new().start();
    let mut ann = Socket::open(&server, &server.sign_in("ann"), "");
    let refusal = |message: &str| json!({ "error": { "code": 3, "message": message } });
    for (message, sentence) in [
        (json!({ "status_follow": { "user_ids": ["x"] } }), "Invalid user identifier"),
        (json!({ "status_follow": { "usernames": [""] } }), "Invalid username"),
        (json!({ "status_unfollow": { "user_ids": ["x"] } }), "Invalid user identifier"),
        (
            json!({ "status_update": { "status": "x".repeat(2049) } }),
            "Status must be 2048 characters or less",
        ),
    ] {
        assert_eq!(ann.call(message), refusal(sentence));
    }
    let system = json!(["00000000-0000-0000-0000-000000000000"]);
    assert_eq!(
        ann.call(json!({ "status_follow": { "user_ids": system } })),
        json!({ "status": {} })
    );
    ann.quiet(100);
}

#[test]
fn who_has_a_status_is_shown_online() {
    let server = Setup::new().start();
    let ann = Client::connect(&server, "ann");
    let bob = server.sign_in("bob");
    let id = ann.user_id().to_owned();
    server.post(&format!("/v2/friend?ids={id}"), &bob, json!({})).ok();
    let group = server.post("/v2/group", &ann.token, json!({ "name": "club" })).text("id");
    let shown = || {
        let users = server.get(&format!("/v2/user?ids={id}"), &bob).ok();
        let account = server.get("/v2/account", &ann.token).ok();
        let friends = server.get("/v2/friend?limit=10", &bob).ok();
        let members = server.get(&format!("/v2/group/{group}/user"), &bob).ok();
        [
            users["users"][0]["online"].clone(),
            account["user"]["online"].clone(),
            friends["friends"][0]["user"]["online"].clone(),
            members["group_users"][0]["user"]["online"].clone(),
        ]
    };
    assert_eq!(shown(), [true, true, true, true]);
    ann.socket.close();
    assert_eq!(shown(), [Value::Null, Value::Null, Value::Null, Value::Null]);
}

#[test]
fn a_log_out_closes_the_sockets_of_its_token_or_all() {
    let server = Setup::new().start();
    let mut first = Client::connect(&server, "ann");
    let mut other = Socket::open(&server, &server.sign_in("bob"), "");
    let mut second = Client::connect(&server, "ann");
    let log_out = |token: &str, body: Value| server.post("/v2/session/logout", token, body).ok();

    log_out(&second.token, json!({ "token": first.token }));
    assert_eq!(first.socket.closed(), (1000, CLOSED.to_owned()));
    assert_eq!(second.socket.call(json!({ "ping": {} })), json!({ "pong": {} }));
    assert_eq!(Socket::refused(&server, &first.token, "").0, 401);

    log_out(&second.token, json!({}));
    assert_eq!(second.socket.closed(), (1000, CLOSED.to_owned()));
    assert_eq!(other.call(json!({ "ping": {} })), json!({ "pong": {} }));
}

#[test]
fn the_sockets_of_who_is_banned_deleted_or_logged_out_by_a_module_are_closed() {
    let server = with_modules(Setup::new()).start();
    for language in Language::ALL {
        let name = |what: &str| format!("{what}_{}", language.name());
        let mut banned = Client::connect(&server, &name("banned"));
        let id = json!([[banned.user_id()]]);
        call(&server, language, "users_ban_id", &id);
        let farewell = banned.socket.until("notifications");
        let farewell = &farewell["notifications"]["notifications"][0];
        assert_eq!((&farewell["subject"], &farewell["code"]), (&json!("banned"), &json!(-8)));
        assert_eq!(banned.socket.closed(), (1000, CLOSED.to_owned()));

        let mut deleted = Client::connect(&server, &name("deleted"));
        call(&server, language, "account_delete_id", &json!([deleted.user_id()]));
        assert_eq!(deleted.socket.closed(), (1000, CLOSED.to_owned()));

        let mut left = Client::connect(&server, &name("left"));
        call(&server, language, "session_logout", &json!([left.user_id(), left.token]));
        assert_eq!(left.socket.closed(), (1000, CLOSED.to_owned()));
        assert_eq!(Socket::refused(&server, &left.token, "").0, 401);

        let mut gone = Client::connect(&server, &name("gone"));
        let session = json!([gone.session_id(), 3]);
        call(&server, language, "session_disconnect", &session);
        assert_eq!(gone.socket.closed(), (1000, CLOSED.to_owned()));
        call(&server, language, "session_disconnect", &session);
    }
}

#[test]
fn who_deletes_the_own_account_is_disconnected() {
    let server = Setup::new().start();
    let mut ann = Client::connect(&server, "ann");
    server.call("DELETE", "/v2/account", &format!("Bearer {}", ann.token), None).ok();
    assert_eq!(ann.socket.closed(), (1000, CLOSED.to_owned()));
}

#[test]
fn a_single_socket_takes_the_place_of_the_one_before() {
    let server = Setup::new().flag("--session.single_socket=true").start();
    let mut first = Client::connect(&server, "ann");
    let mut other = Client::connect(&server, "bob");
    let mut second = Client::with_token(&server, first.token.clone());
    let farewell = first.socket.until("notifications");
    let farewell = &farewell["notifications"]["notifications"][0];
    assert_eq!((&farewell["subject"], &farewell["code"]), (&json!("single_socket"), &json!(-7)));
    assert_eq!(first.socket.closed(), (1000, CLOSED.to_owned()));
    // What is left of it is told to the one that stays.
    let event = second.socket.receive();
    let leave = &event["status_presence_event"]["leaves"][0];
    assert_eq!(leave["session_id"], first.session_id());
    for socket in [&mut second.socket, &mut other.socket] {
        assert_eq!(socket.call(json!({ "ping": {} })), json!({ "pong": {} }));
    }
}

#[test]
fn modules_put_sessions_on_streams_and_send_to_them() {
    let server = with_modules(Setup::new()).start();
    for language in Language::ALL {
        let mut ann = Client::connect(&server, &format!("ann_{}", language.name()));
        let mut bob = Client::connect(&server, &format!("bob_{}", language.name()));
        let subject = "2f2d3c4b-1111-4222-8333-0123456789ab";
        let stream = json!({ "mode": 200, "subject": subject, "label": language.name() });
        let call = |name, arguments: Value| call(&server, language, name, &arguments);
        let member = |client: &Client| {
            json!({
                "user_id": client.user_id(), "session_id": client.session_id(),
                "username": client.own["username"], "persistence": true,
            })
        };
        let event = |joins: Value, leaves: Value| {
            let mut event = json!({ "stream": stream });
            for (name, list) in [("joins", joins), ("leaves", leaves)] {
                if list != json!([]) {
                    event[name] = list;
                }
            }
            json!({ "stream_presence_event": event })
        };
        let said = |socket: &mut Socket| socket.receive();

        let join = |client: &Client, hidden: bool| {
            let (user, session) = (client.user_id(), client.session_id());
            call("stream_user_join", json!([user, session, stream, hidden, true, "here"]))
        };
        assert_eq!(join(&ann, false), true);
        assert_eq!(said(&mut ann.socket), event(json!([member(&ann)]), json!([])));
        assert_eq!(join(&ann, true), false);
        assert_eq!(join(&bob, true), true);
        let listed = |hidden: bool, shown: bool| {
            let list = call("stream_user_list", json!([stream, hidden, shown]));
            let list = list.as_array().cloned().unwrap_or_default();
            list.into_iter().map(|presence| presence["username"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(listed(false, true), [ann.own["username"].clone()]);
        assert_eq!(listed(true, false), [bob.own["username"].clone()]);
        assert_eq!(listed(true, true).len(), 2);
        assert_eq!(call("stream_count", json!([stream])), 2);

        let place = json!([bob.user_id(), bob.session_id(), stream]);
        let mut wanted = json!({
            "hidden": true, "persistence": true, "username": bob.own["username"], "status": "here",
        });
        if language != Language::Lua {
            wanted["reason"] = json!(1);
        }
        assert_eq!(call("stream_user_get", place.clone()), wanted);

        // A hidden presence gets what is sent, and is told of once it shows itself.
        call("stream_send", json!([stream, "to all"]));
        let data = |data: &str, reliable: bool| {
            let mut sent = json!({ "stream": stream, "data": data });
            if reliable {
                sent["reliable"] = json!(true);
            }
            json!({ "stream_data": sent })
        };
        for client in [&mut ann, &mut bob] {
            assert_eq!(said(&mut client.socket), data("to all", true));
        }
        call("stream_user_update", json!([bob.user_id(), bob.session_id(), stream, false]));
        for socket in [&mut ann.socket, &mut bob.socket] {
            let joined = said(socket);
            assert_eq!(
                joined["stream_presence_event"]["joins"][0]["session_id"],
                bob.own["session_id"]
            );
        }
        let only = json!([{ "session_id": bob.session_id() }]);
        call("stream_send", json!([stream, "to one", only, false]));
        assert_eq!(said(&mut bob.socket), data("to one", false));
        let envelope = json!({ "cid": "mine", "channel_message": { "content": "{}", "code": 7 } });
        call("stream_send_raw", json!([stream, envelope, only]));
        assert_eq!(said(&mut bob.socket), envelope);

        let presence = json!({ "user_id": bob.user_id(), "session_id": bob.session_id() });
        call("stream_user_kick", json!([presence, stream]));
        let left = said(&mut ann.socket);
        assert_eq!(left["stream_presence_event"]["leaves"][0]["session_id"], bob.own["session_id"]);
        assert_eq!(call("stream_user_get", place), Value::Null);
        join(&bob, false);
        said(&mut ann.socket);
        said(&mut bob.socket);
        call("stream_user_leave", json!([bob.user_id(), bob.session_id(), stream]));
        assert_eq!(
            said(&mut ann.socket)["stream_presence_event"]["leaves"][0]["username"],
            bob.own["username"]
        );
        call("stream_close", json!([stream]));
        assert_eq!(call("stream_count", json!([stream])), 0);

        // One user hears of another as a module says, and of itself no longer.
        call("status_follow", json!([bob.session_id(), [ann.user_id()]]));
        call("status_unfollow", json!([ann.session_id(), [ann.user_id()]]));
        ann.socket.call(json!({ "status_update": { "status": "seen" } }));
        let event = said(&mut bob.socket);
        assert_eq!(event["status_presence_event"]["joins"][0]["status"], "seen");
        ann.socket.quiet(50);
        bob.socket.quiet(50);
    }
}

#[test]
fn presence_events_are_counted_and_timed() {
    let server = Setup::new().start();
    let told = || {
        let of = |name: &str| server.metric(&format!("presence_event_{name}"));
        [of("count"), of("dequeue_latency_ms_count"), of("process_latency_ms_count")]
    };
    assert_eq!(told(), [0, 0, 0]);
    let mut ann = Client::connect(&server, "ann");
    // What is told is counted a moment later.
    let eventually = |wanted: u64| {
        let began = Instant::now();
        while told() != [wanted; 3] {
            assert!(began.elapsed() < Duration::from_secs(20), "{:?}, not {wanted}", told());
            thread::sleep(Duration::from_millis(10));
        }
    };
    eventually(1);
    ann.socket.call(json!({ "channel_join": { "target": "hall", "type": 1 } }));
    eventually(2);
    ann.socket.call(json!({ "channel_join": { "target": "den", "type": 1, "hidden": true } }));
    ann.socket.call(json!({ "status_update": { "status": "away" } }));
    eventually(3);
    // Those who leave with their last member are counted too.
    ann.socket.close();
    eventually(5);
}

#[test]
fn the_sockets_of_a_crowd_leave_nothing_behind() {
    let server = Setup::new().start();
    let tokens: Vec<String> = (0..4).map(|at| server.sign_in(&format!("user{at}"))).collect();
    thread::scope(|scope| {
        for token in &tokens {
            let server = &server;
            scope.spawn(move || {
                for round in 0..10 {
                    let mut socket = Socket::open(server, token, "status=true");
                    let usernames = json!(["user0", "user1", "user2", "user3"]);
                    socket.call(json!({ "status_follow": { "usernames": usernames } }));
                    socket.call(json!({ "status_update": { "status": round.to_string() } }));
                    if round % 2 == 0 {
                        socket.close();
                    }
                }
            });
        }
    });
    let began = Instant::now();
    while server.metric("sessions") > 0 || server.metric("presences") > 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "sessions or presences are left");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_client_is_on_so_many_streams_and_follows_so_many_users() {
    let setup = Setup::new().flag("--socket.max_presences=8").flag("--socket.max_follows=1");
    let server = setup.start();
    let names = ["ann", "bob"].map(|name| (name, server.sign_in(name)));
    let mut eve = Socket::open(&server, &server.sign_in("eve"), "");
    let refused = |answer: &Value| {
        assert_eq!(answer["error"]["code"], 3, "{answer}");
        answer["error"]["message"].as_str().unwrap().to_owned()
    };
    let room = |number: usize| json!({ "channel_join": { "target": format!("room {number}"), "type": 1 } });
    // It is on a stream for its notifications already.
    let channels: Vec<Value> = (1..8).map(|number| eve.call(room(number))).collect();
    assert!(channels.iter().all(|channel| channel["channel"]["id"].is_string()), "{channels:?}");
    let many = "Too many presences on this session, leave a channel, match or party first.";
    for enter in [
        room(8),
        json!({ "match_create": {} }),
        json!({ "match_join": { "match_id": "6d4d2b2e-6f2e-4c5f-9d0c-6e2f8f6f8a11." } }),
        json!({ "party_create": { "open": true, "max_size": 2 } }),
        json!({ "party_join": { "party_id": "none" } }),
    ] {
        assert_eq!(refused(&eve.call(enter)), many);
    }
    let channel = &channels[0]["channel"]["id"];
    assert_eq!(eve.call(json!({ "channel_leave": { "channel_id": channel } })), json!({}));
    assert!(eve.call(json!({ "match_create": {} }))["match"].is_object());

    let follow = |names: &[&str]| json!({ "status_follow": { "usernames": names } });
    let too_many = "Too many users are followed, unfollow some first.";
    assert_eq!(refused(&eve.call(follow(&names.each_ref().map(|(name, _)| *name)))), too_many);
    assert!(eve.call(follow(&["ann"]))["status"].is_object());
    assert_eq!(refused(&eve.call(follow(&["bob"]))), too_many);
}
