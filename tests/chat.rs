//! Chat and notifications over the socket, as players and modules make them.

use guildhall_actors::host::Language;
use guildhall_proto::realtime::Envelope;
use prost::Message as _;
use serde_json::{Value, json};
use tungstenite::Message;

use crate::{
    host_functions::{self, function},
    support::{Server, Setup, socket::Socket},
};

/// A player with a socket in JSON.
struct Player {
    token: String,
    id: String,
    socket: Socket,
}

impl Player {
    fn new(server: &Server, name: &str) -> Self {
        let token = server.sign_in(name);
        let id = server.get("/v2/account", &token).ok()["user"]["id"].as_str().unwrap().to_owned();
        let socket = Socket::open(server, &token, "");
        Self { token, id, socket }
    }

    /// Enters a channel, and gives the answer once the own presence is told.
    #[track_caller]
    fn join(&mut self, kind: i32, target: &str) -> Value {
        let join = json!({ "channel_join": { "target": target, "type": kind } });
        let mut answer = self.socket.call(join);
        assert!(answer["channel"].is_object(), "{answer}");
        self.presences();
        answer["channel"].take()
    }

    /// Says something, and gives what came for it to all who are there.
    #[track_caller]
    fn say(&mut self, channel: &Value, content: &Value) -> Value {
        let said = json!({ "channel_id": channel["id"], "content": content.to_string() });
        let ack = self.socket.call(json!({ "channel_message_send": said }));
        let live = self.heard();
        assert_eq!(live["message_id"], ack["channel_message_ack"]["message_id"]);
        live
    }

    /// The next message of a channel; what comes before it is dropped.
    #[track_caller]
    fn heard(&mut self) -> Value {
        self.socket.until("channel_message")["channel_message"].take()
    }

    /// The next change of who is in a channel; what comes before it is dropped.
    #[track_caller]
    fn presences(&mut self) -> Value {
        self.socket.until("channel_presence_event")["channel_presence_event"].take()
    }

    /// The next notification, and only this one; what comes before it is dropped.
    #[track_caller]
    fn notified(&mut self) -> Value {
        let mut envelope = self.socket.until("notifications");
        let list = envelope["notifications"]["notifications"].as_array_mut().unwrap();
        assert_eq!(list.len(), 1, "{list:?}");
        list[0].take()
    }

    #[track_caller]
    fn history(&self, server: &Server, channel: &Value) -> Vec<Value> {
        let path = format!("/v2/channel/{}?limit=100", channel["id"].as_str().unwrap());
        let page = server.get(&path, &self.token).ok();
        page["messages"].as_array().cloned().unwrap_or_default()
    }
}

/// The message of a channel as the history is to show it: with the content as the database has it.
fn kept(mut live: Value, content: &str) -> Value {
    live["content"] = json!(content);
    live["code"] = json!(0);
    live
}

#[test]
fn a_room_hears_what_is_said_in_it_and_the_history_agrees() {
    let server = Setup::new().start();
    let mut ann = Player::new(&server, "ann");
    let mut bob = Player::new(&server, "bob");
    // A third one speaks protobuf.
    let mut cid = Socket::open(&server, &server.sign_in("cid"), "format=protobuf");
    let lobby = ann.join(1, "lobby");
    assert_eq!((&lobby["id"], &lobby["room_name"]), (&json!("2...lobby"), &json!("lobby")));
    let seen = bob.join(1, "lobby");
    assert_eq!(seen["presences"][0]["user_id"], ann.id);
    let event = &ann.socket.receive()["channel_presence_event"];
    assert_eq!(
        (&event["joins"][0]["user_id"], &event["room_name"]),
        (&json!(bob.id), &json!("lobby"))
    );
    let join = json!({ "cid": "j", "channel_join": { "target": "lobby", "type": 1 } });
    let join = Envelope::from_json(join.to_string().as_bytes()).unwrap();
    cid.send_message(Message::binary(join.encode_to_vec()));
    let mut next = || -> Value {
        let binary = cid.receive();
        let bytes: Vec<u8> = serde_json::from_value(binary["binary"].clone()).unwrap();
        let text = Envelope::decode(&bytes[..]).unwrap().to_json().unwrap();
        serde_json::from_slice(&text).unwrap()
    };
    let both = [next(), next()];
    assert!(both.iter().any(|it| it["channel"]["id"] == "2...lobby"), "{both:?}");
    assert!(both.iter().any(|it| it["channel_presence_event"].is_object()), "{both:?}");
    ann.socket.until("channel_presence_event");
    bob.socket.until("channel_presence_event");

    let said = ann.say(&lobby, &json!({ "b": 1, "a": "<é>" }));
    assert_eq!(said["content"], "{\"b\":1,\"a\":\"<é>\"}");
    assert_eq!(bob.socket.receive(), json!({ "channel_message": said }));
    assert_eq!(next(), json!({ "channel_message": said }));
    let mut history = vec![kept(said.clone(), "{\"a\": \"<é>\", \"b\": 1}")];
    assert_eq!(bob.history(&server, &lobby), history);
    let answer = bob.say(&lobby, &json!({ "re": 1 }));
    assert_eq!((ann.heard(), next()["channel_message"].take()), (answer.clone(), answer.clone()));

    // Changed by its sender only; seen by all.
    let place = json!({ "channel_id": lobby["id"], "message_id": said["message_id"] });
    let mut change = place.clone();
    change["content"] = json!("{\"b\":2}");
    let refused = bob.socket.call(json!({ "channel_message_update": change }));
    let sentence = "Could not find message to update in channel history";
    assert_eq!(refused["error"], json!({ "code": 3, "message": sentence }));
    let ack = ann.socket.call(json!({ "channel_message_update": change }));
    let changed = ann.heard();
    assert_eq!(changed["update_time"], ack["channel_message_ack"]["update_time"]);
    assert_eq!((bob.heard(), next()["channel_message"].take()), (changed.clone(), changed.clone()));
    history = vec![kept(changed, "{\"b\": 2}"), kept(answer, "{\"re\": 1}")];
    assert_eq!(bob.history(&server, &lobby), history);

    let ack = ann.socket.call(json!({ "channel_message_remove": place }));
    assert_eq!(ack["channel_message_ack"]["code"], 2);
    assert_eq!(bob.heard()["code"], 2);
    assert_eq!(bob.history(&server, &lobby), history[1..]);

    // Who leaves hears nothing more.
    ann.socket.until("channel_message");
    assert_eq!(
        ann.socket.call(json!({ "channel_leave": { "channel_id": lobby["id"] } })),
        json!({})
    );
    assert_eq!(bob.presences()["leaves"][0]["user_id"], ann.id);
    bob.say(&lobby, &json!({}));
    ann.socket.quiet(100);
}

#[test]
fn a_direct_channel_is_for_two_until_one_blocks_the_other() {
    let server = Setup::new().start();
    let mut ann = Player::new(&server, "ann");
    let mut bob = Player::new(&server, "bob");
    let cid = Player::new(&server, "cid");
    let channel = ann.join(2, &bob.id);
    let called = bob.notified();
    assert_eq!(
        (&called["code"], &called["subject"], &called["sender_id"]),
        (&json!(-1), &json!("ann wants to chat"), &json!(ann.id))
    );
    let listed = server.get("/v2/notification?limit=10", &bob.token).ok();
    assert_eq!(listed["notifications"][0]["id"], called["id"]);
    assert_eq!(bob.join(2, &ann.id)["id"], channel["id"]);
    let said = ann.say(&channel, &json!({ "psst": 1 }));
    assert_eq!(bob.heard(), said);
    let path = format!("/v2/channel/{}", channel["id"].as_str().unwrap());
    assert_eq!(server.get(&path, &cid.token).status, 400);

    // The two are out of it at once, and the blocked one stays out.
    server.post(&format!("/v2/friend/block?ids={}", bob.id), &ann.token, json!({})).ok();
    let must_join = json!({ "code": 3, "message": "Must join channel before sending messages" });
    let send = json!({ "channel_message_send": { "channel_id": channel["id"], "content": "{}" } });
    for player in [&mut ann, &mut bob] {
        assert_eq!(player.socket.call(send.clone())["error"], must_join);
    }
    let join = json!({ "channel_join": { "target": ann.id, "type": 2 } });
    let sentence = "User ID not found: Invalid channel target";
    assert_eq!(bob.socket.call(join)["error"], json!({ "code": 3, "message": sentence }));
    ann.socket.quiet(100);
    // As in the reference, the one who blocks may still come.
    ann.join(2, &bob.id);
    assert_eq!(bob.notified()["code"], -1);
}

#[test]
fn a_groups_channel_is_for_its_members_and_ends_with_it() {
    let server = Setup::new().start();
    let mut ann = Player::new(&server, "ann");
    let mut bob = Player::new(&server, "bob");
    let mut cid = Player::new(&server, "cid");
    let new = json!({ "name": "guild", "open": true });
    let group = server.post("/v2/group", &ann.token, new).text("id");
    let path = |rest: &str| format!("/v2/group/{group}{rest}");
    let channel = ann.join(3, &group);
    let refused = json!({ "code": 3, "message": "Group not found: Invalid channel target" });
    let join = json!({ "channel_join": { "target": group, "type": 3 } });
    assert_eq!(bob.socket.call(join.clone())["error"], refused);

    server.post(&path("/join"), &bob.token, json!({})).ok();
    let joined = ann.heard();
    assert_eq!((&joined["code"], &joined["sender_id"]), (&json!(3), &json!(bob.id)));
    bob.join(3, &group);
    server.post(&path(&format!("/add?user_ids={}", cid.id)), &ann.token, json!({})).ok();
    assert_eq!((&bob.heard()["code"], &ann.heard()["code"]), (&json!(4), &json!(4)));
    assert_eq!(cid.notified()["code"], -4);
    cid.join(3, &group);
    let said = bob.say(&channel, &json!({ "hi": 1 }));
    assert_eq!((ann.heard(), cid.heard()), (said.clone(), said));

    server.post(&path(&format!("/kick?user_ids={}", bob.id)), &ann.token, json!({})).ok();
    for player in [&mut ann, &mut bob, &mut cid] {
        assert_eq!(player.heard()["code"], 6);
    }
    let left = cid.socket.receive();
    assert_eq!(left["channel_presence_event"]["leaves"][0]["user_id"], bob.id);
    let said = cid.say(&channel, &json!({ "who": 1 }));
    assert_eq!(ann.heard(), said);
    bob.socket.quiet(100);
    assert_eq!(bob.socket.call(join.clone())["error"], refused);
    let kinds: Vec<_> =
        ann.history(&server, &channel).iter().map(|it| it["code"].clone()).collect();
    assert_eq!(kinds, [3, 4, 0, 6, 0]);

    server.call("DELETE", &path(""), &format!("Bearer {}", ann.token), None).ok();
    let send = json!({ "channel_message_send": { "channel_id": channel["id"], "content": "{}" } });
    for player in [&mut ann, &mut cid] {
        let sentence = "Must join channel before sending messages";
        let answer = player.socket.call(send.clone());
        assert_eq!(answer["error"], json!({ "code": 3, "message": sentence }));
        player.socket.quiet(50);
    }
    assert_eq!(cid.socket.call(join)["error"], refused);
}

/// What modules say and do reaches sockets, from each language.
#[test]
fn host_functions_are_live_in_every_language() {
    let server = host_functions::with_modules(Setup::new()).start();
    for language in Language::ALL {
        let name = |name: &str| format!("{name}-{}", language.name());
        let mut ann = Player::new(&server, &name("ann"));
        let mut bob = Player::new(&server, &name("bob"));
        let call = |function_name: &str, arguments: Value| {
            host_functions::call(&server, language, function(function_name), &arguments)
                .unwrap_or_else(|error| panic!("{} {function_name}: {error}", language.name()))
        };
        let room = name("lobby");
        let lobby = ann.join(1, &room);

        // With an id of the sender and a name of the module's own.
        call("channel_message_send", json!([lobby["id"], { "a": 1 }, bob.id, "host", true]));
        let said = ann.heard();
        assert_eq!(
            (&said["content"], &said["username"], &said["sender_id"], &said["room_name"]),
            (&json!("{\"a\":1}"), &json!("host"), &json!(bob.id), &json!(room))
        );
        let id = &said["message_id"];
        let change = json!([lobby["id"], id, { "a": 2 }, bob.id, "host", true]);
        call("channel_message_update", change);
        let changed = ann.heard();
        assert_eq!((&changed["code"], &changed["message_id"]), (&json!(1), id));
        assert_eq!(ann.history(&server, &lobby), [kept(changed, "{\"a\": 2}")]);
        call("channel_message_remove", json!([lobby["id"], id, bob.id, "host", true]));
        assert_eq!(ann.heard()["code"], 2);
        // From the system, and only to those who are there.
        call("channel_message_send", json!([lobby["id"], {}, null, "", false]));
        let passing = ann.heard();
        assert_eq!((&passing["sender_id"], &passing["persistent"]), (&nil(), &json!(false)));
        assert!(ann.history(&server, &lobby).is_empty());

        call("notification_send", json!([ann.id, "one", { "b": 1, "a": 2 }, 7, bob.id, true]));
        let one = ann.notified();
        assert_eq!((&one["subject"], &one["sender_id"]), (&json!("one"), &json!(bob.id)));
        let several = json!([[
            { "user_id": ann.id, "subject": "two", "content": {}, "code": 1 },
            { "user_id": bob.id, "subject": "three", "content": {}, "code": 2 },
        ]]);
        call("notifications_send", several);
        let (two, three) = (ann.notified(), bob.notified());
        assert_eq!((&two["subject"], &three["subject"]), (&json!("two"), &json!("three")));
        assert_eq!((&two["sender_id"], &two["persistent"]), (&nil(), &Value::Null));
        call("notification_send_all", json!(["four", {}, 3, false]));
        assert_eq!((&ann.notified()["code"], &bob.notified()["code"]), (&json!(3), &json!(3)));
        call("notification_send_all", json!(["five", {}, 4, true]));
        assert_eq!((&ann.notified()["code"], &bob.notified()["code"]), (&json!(4), &json!(4)));
        let listed = server.get("/v2/notification?limit=10", &ann.token).ok();
        let listed = listed["notifications"].as_array().unwrap();
        let subjects: Vec<_> = listed.iter().map(|it| &it["subject"]).collect();
        assert_eq!(subjects, ["one", "five"]);

        // What is sent within a call comes before its answer.
        let arguments = json!([ann.id, "within", {}, 7, null, false]);
        let request = host_functions::request(language, function("notification_send"), &arguments);
        let id = format!("call_{}", language.name());
        ann.socket.send(json!({ "rpc": { "id": id, "payload": request.to_string() } }));
        let (first, second) = (ann.socket.receive(), ann.socket.receive());
        assert!(
            first["notifications"].is_object() && second["rpc"].is_object(),
            "{first} {second}"
        );

        // Groups and blocks.
        let group = json!([ann.id, name("guild"), ann.id, null, null, null, true, {}, 10]);
        let group = call("group_create", group)["id"].as_str().unwrap().to_owned();
        ann.join(3, &group);
        call("group_users_add", json!([group, [bob.id]]));
        assert_eq!((&ann.heard()["code"], &bob.notified()["code"]), (&json!(4), &json!(-4)));
        bob.join(3, &group);
        call("group_users_kick", json!([group, [bob.id]]));
        assert_eq!(bob.heard()["code"], 6);
        let (joined, left) = (ann.presences(), ann.presences());
        assert_eq!(joined["joins"], left["leaves"]);
        assert_eq!(left["leaves"][0]["user_id"], bob.id);
        call("group_user_join", json!([group, bob.id, name("bob")]));
        bob.join(3, &group);
        call("group_delete", json!([group]));
        let send =
            |id: &Value| json!({ "channel_message_send": { "channel_id": id, "content": "{}" } });
        let sentence = "Must join channel before sending messages";
        let of_group = json!(format!("3.{group}.."));
        assert_eq!(bob.socket.call(send(&of_group))["error"]["message"], sentence);

        let between = ann.join(2, &bob.id);
        assert_eq!(bob.notified()["code"], -1);
        call("friends_block", json!([bob.id, name("bob"), [ann.id], null]));
        assert_eq!(ann.socket.call(send(&between["id"]))["error"]["message"], sentence);
        call("friends_delete", json!([bob.id, name("bob"), [ann.id], null]));
        call("friends_add", json!([bob.id, name("bob"), [ann.id], null, {}]));
        assert_eq!(ann.notified()["code"], -2);
        call("friends_add", json!([ann.id, name("ann"), [bob.id], null, {}]));
        assert_eq!(bob.notified()["code"], -3);
        call("friends_delete", json!([ann.id, name("ann"), [bob.id], null]));
        assert_eq!(bob.notified()["code"], -9);
    }
}

fn nil() -> Value {
    json!("00000000-0000-0000-0000-000000000000")
}
