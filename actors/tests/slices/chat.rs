//! Chat and notifications, as sockets see them.

use std::{cell::Cell, sync::Arc};

use futures_util::future::join_all;
use guildhall_actors::{
    cx::Cx,
    endpoint::Endpoint,
    resources::{
        account,
        channel_message::{self, Channel, Kind, ListChannelMessages, Message},
        friend,
        group::{
            self, NewGroup,
            members::{self, Verb},
        },
        notification::{self, Draft, Notice, Place},
    },
};
use guildhall_proto::api::ListChannelMessagesRequest;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    new_user,
    postgres::{Slices, signed_in},
    sockets::Socket,
};

/// A user with a socket.
struct Player {
    id: Uuid,
    socket: Socket,
}

impl Player {
    async fn new(cx: &Arc<Cx>, name: &str) -> Self {
        let id = new_user(cx, name).await;
        Self { id, socket: Socket::open(cx, id, name) }
    }

    async fn send(&self, message: Value) -> Vec<Value> {
        self.socket.send(message).await
    }

    /// Enters a channel and gives its id; what else came is left out.
    async fn join(&self, kind: i32, target: &str) -> String {
        let got = self.send(json!({ "channel_join": { "target": target, "type": kind } })).await;
        let answer = got.last().unwrap()["channel"]["id"].as_str();
        let id = answer.unwrap_or_else(|| panic!("{got:?}")).to_owned();
        self.socket.got();
        id
    }

    /// Says something, and gives the id of the message.
    async fn say(&self, channel: &str, content: &str) -> String {
        let said = json!({ "channel_id": channel, "content": content });
        let got = self.send(json!({ "channel_message_send": said })).await;
        let ack = got.last().unwrap()["channel_message_ack"]["message_id"].as_str();
        ack.unwrap_or_else(|| panic!("{got:?}")).to_owned()
    }
}

async fn new_group(cx: &Cx, superadmin: Uuid, members: &[Uuid]) -> Uuid {
    let new = NewGroup {
        superadmin,
        creator: superadmin,
        name: Uuid::new_v4().to_string(),
        description: String::new(),
        avatar_url: String::new(),
        lang_tag: String::new(),
        metadata: None,
        open: false,
        max_count: None,
    };
    let group = Uuid::parse_str(&group::create(cx, &new).await.unwrap().id).unwrap();
    change(cx, Verb::Add, group, members).await;
    group
}

async fn change(cx: &Cx, verb: Verb, group: Uuid, users: &[Uuid]) {
    members::change(cx, verb, None, group, users).await.unwrap();
}

/// What came, in short: the kinds of messages, with the code of those of a channel.
fn kinds(got: &[Value]) -> Vec<String> {
    got.iter().map(kind).collect()
}

fn kind(envelope: &Value) -> String {
    let fields = envelope.as_object().unwrap();
    let name = fields.keys().find(|name| *name != "cid").map_or("", String::as_str);
    match &fields.get(name).unwrap_or(&Value::Null)["code"] {
        Value::Null => name.to_owned(),
        code => format!("{name} {code}"),
    }
}

/// The sentence of the only thing that came, an error; nothing for what is none.
fn refusal(got: &[Value]) -> Option<String> {
    match got {
        [Value::Object(fields)] if fields.contains_key("error") => {
            Some(fields["error"]["message"].as_str().unwrap().to_owned())
        }
        got => {
            assert!(!kinds(got).iter().any(|kind| kind.starts_with("error")), "{got:?}");
            None
        }
    }
}

async fn history(cx: &Cx, reader: Uuid, channel: &str) -> Vec<Value> {
    let request = ListChannelMessagesRequest {
        channel_id: channel.to_owned(),
        limit: Some(100),
        ..ListChannelMessagesRequest::default()
    };
    let list = ListChannelMessages::handle(cx, &mut signed_in(reader), request).await.unwrap();
    list.messages.iter().map(|message| serde_json::to_value(message).unwrap()).collect()
}

#[test]
fn who_may_enter_which_channel() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &slices.cx;
    slices.run(async {
        let names = ["ann", "bob", "cid", "dan", "eve", "fay"];
        let [ann, bob, cid, dan, eve, fay] =
            join_all(names.map(|name| Player::new(cx, name))).await.try_into().ok().unwrap();
        let group = new_group(cx, ann.id, &[bob.id, eve.id]).await;
        change(cx, Verb::Ban, group, &[eve.id]).await;
        members::join(cx, group, dan.id, "dan").await.unwrap();
        friend::block(cx, ann.id, &[fay.id]).await.unwrap();
        let (group, long) = (group.to_string(), "x".repeat(65));
        let (to_ann, to_fay) = (ann.id.to_string(), fay.id.to_string());
        let (nobody, nil) = (Uuid::new_v4().to_string(), Uuid::nil().to_string());

        let room = ": Invalid channel target";
        let no_user = "Invalid user ID in direct message join: Invalid channel target";
        let unknown = "User ID not found: Invalid channel target";
        let no_group = "Group not found: Invalid channel target";
        let table: &[(&Player, i32, &str, Option<&str>)] = &[
            (&cid, 0, "lobby", None),
            (&cid, 1, "lobby", None),
            (&cid, 1, "", Some("Invalid channel target")),
            (&cid, 9, "", Some("Invalid channel target")),
            (&cid, 9, "lobby", Some("Invalid channel type")),
            (&cid, -1, "lobby", Some("Invalid channel type")),
            (&cid, 1, &long[..64], None),
            (
                &cid,
                1,
                &long,
                Some(&format!("Channel name is required and must be 1-64 chars{room}")),
            ),
            (&cid, 1, "a\nb", Some(&format!("Channel name must not contain control chars{room}"))),
            (&cid, 2, &to_ann, None),
            (&ann, 2, &to_ann, None),
            (&ann, 2, &to_fay, None),
            (&fay, 2, &to_ann, Some(unknown)),
            (&cid, 2, &nobody, Some(unknown)),
            (&cid, 2, &nil, Some(no_user)),
            (&cid, 2, "ann", Some(no_user)),
            (&ann, 3, &group, None),
            (&bob, 3, &group, None),
            (&cid, 3, &group, Some(no_group)),
            (&dan, 3, &group, Some(no_group)),
            (&eve, 3, &group, Some(no_group)),
            (&ann, 3, &nobody, Some(no_group)),
            (
                &ann,
                3,
                "guild",
                Some("Invalid group ID in group channel join: Invalid channel target"),
            ),
        ];
        for (player, kind, target, wanted) in table {
            player.socket.got();
            let got = player
                .send(json!({ "cid": "j", "channel_join": { "target": target, "type": kind } }))
                .await;
            assert_eq!(refusal(&got).as_deref(), *wanted, "{kind} {target} {got:?}");
        }
    });
}

/// What anybody may do with a message of ann's: who has entered the channel, who is somebody else,
/// and who is not there; in each kind of channel, with and without persistence.
#[test]
fn who_may_send_change_and_remove() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &slices.cx;
    slices.run(async {
        let names = ["ann", "bob", "cid", "dan"];
        let [ann, bob, cid, dan] =
            join_all(names.map(|name| Player::new(cx, name))).await.try_into().ok().unwrap();
        let group = new_group(cx, ann.id, &[bob.id, dan.id]).await.to_string();
        let targets = [
            (1, "lobby".to_owned(), "lobby".to_owned()),
            (2, bob.id.to_string(), ann.id.to_string()),
            (3, group.clone(), group.clone()),
        ];
        let said_in = async |channel: &str| {
            let kept = history(cx, bob.id, channel).await;
            kept.iter().filter(|message| message["code"] == 0).count()
        };
        let must_join = |verb| Some(format!("Must join channel before {verb} messages"));
        let not_found = |verb| Some(format!("Could not find message to {verb} in channel history"));
        for (kind, of_ann, of_bob) in &targets {
            let channel = ann.join(*kind, of_ann).await;
            assert_eq!(bob.join(*kind, of_bob).await, channel);
            let message = ann.say(&channel, "{}").await;
            let place = json!({ "channel_id": channel, "message_id": message });
            let with = |mut place: Value| {
                place["content"] = json!("{\"a\": 1}");
                place
            };
            let send =
                json!({ "channel_message_send": { "channel_id": channel, "content": "{}" } });
            let update = json!({ "channel_message_update": with(place.clone()) });
            let remove = json!({ "channel_message_remove": place });
            let asks = async |player: &Player, message: &Value| {
                player.socket.got();
                refusal(&player.send(message.clone()).await)
            };

            assert_eq!(asks(&cid, &send).await, must_join("sending"));
            assert_eq!(asks(&cid, &update).await, must_join("updating"));
            assert_eq!(asks(&cid, &remove).await, must_join("removing"));
            assert_eq!(asks(&bob, &update).await, not_found("update"));
            assert_eq!(asks(&bob, &remove).await, not_found("remove"));
            for allowed in [&send, &update, &remove] {
                assert_eq!(asks(&ann, allowed).await, None, "{channel}");
            }
            assert_eq!(asks(&ann, &update).await, not_found("update"));
            assert_eq!(asks(&ann, &remove).await, not_found("remove"));
            assert_eq!(asks(&bob, &send).await, None);
            assert_eq!(said_in(&channel).await, 2, "{channel}");

            // Whoever asked for no persistence changes nothing but what is seen, of whatever id.
            let passing = Player { id: bob.id, socket: Socket::open(cx, bob.id, "bob") };
            let join = json!({ "target": of_bob, "type": kind, "persistence": false });
            assert_eq!(asks(&passing, &json!({ "channel_join": join })).await, None);
            ann.socket.got();
            for (asked, code) in [(&send, 0), (&update, 1), (&remove, 2)] {
                assert_eq!(asks(&passing, asked).await, None, "{channel}");
                let seen = ann.socket.got();
                assert_eq!(kinds(&seen), [format!("channel_message {code}")]);
                assert_eq!(seen[0]["channel_message"]["persistent"], false);
            }
            assert_eq!(said_in(&channel).await, 2, "{channel}");
            passing.socket.close();

            // Who has left is as one who never came.
            let leave = json!({ "cid": "l", "channel_leave": { "channel_id": channel } });
            for _ in 0..2 {
                ann.socket.got();
                assert_eq!(ann.send(leave.clone()).await, [json!({ "cid": "l" })]);
            }
            assert_eq!(asks(&ann, &send).await, must_join("sending"));
        }
        let bad = [
            (json!({ "channel_leave": { "channel_id": "lobby" } }), "Invalid channel identifier"),
            (
                json!({ "channel_message_update":
                    { "channel_id": "2...lobby", "message_id": "x", "content": "{}" } }),
                "Invalid message identifier",
            ),
            (
                json!({ "channel_message_send": { "channel_id": "2...lobby", "content": "[]" } }),
                "Message content must be a valid JSON object",
            ),
        ];
        dan.socket.got();
        for (message, sentence) in bad {
            assert_eq!(refusal(&dan.send(message).await).as_deref(), Some(sentence));
        }
    });
}

#[test]
fn the_history_agrees_with_what_was_seen() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &slices.cx;
    slices.run(async {
        let (ann, bob) = (Player::new(cx, "ann").await, Player::new(cx, "bob").await);
        let lobby = ann.join(1, "lobby").await;
        bob.join(1, "lobby").await;
        ann.socket.got();
        let said = json!({ "channel_id": lobby, "content": "{ \"b\":1,\"a\":[] }" });
        let got = ann.send(json!({ "cid": "s", "channel_message_send": said })).await;
        assert_eq!(kinds(&got), ["channel_message 0", "channel_message_ack 0"]);
        let (live, ack) = (&got[0]["channel_message"], &got[1]["channel_message_ack"]);
        assert_eq!(bob.socket.got(), [got[0].clone()]);
        assert_eq!(live["content"], "{ \"b\":1,\"a\":[] }");
        for field in ["channel_id", "message_id", "create_time", "update_time", "room_name"] {
            assert!(live[field] == ack[field] && live[field].is_string(), "{field}: {got:?}");
        }
        let mut kept = live.clone();
        kept["content"] = json!("{\"a\": [], \"b\": 1}");
        assert_eq!(history(cx, bob.id, &lobby).await, [kept.clone()]);

        let changed = json!({
            "channel_id": lobby, "message_id": live["message_id"], "content": "{\"new\":1}"
        });
        let got = ann.send(json!({ "channel_message_update": changed })).await;
        let (live, ack) = (&got[0]["channel_message"], &got[1]["channel_message_ack"]);
        assert_eq!((&live["code"], &ack["code"]), (&json!(1), &json!(1)));
        assert_eq!(live["create_time"], kept["create_time"]);
        assert_eq!(live["update_time"], ack["update_time"]);
        kept["content"] = json!("{\"new\": 1}");
        kept["update_time"] = live["update_time"].clone();
        assert_eq!(history(cx, bob.id, &lobby).await, [kept]);
        bob.socket.got();

        // A module says something, in whichever way.
        let room = Channel::room("lobby");
        let said = Message::new(room, Kind::Chat, Uuid::nil(), "host".into(), "{}".into());
        channel_message::send(cx, said, false).await.unwrap();
        let seen = bob.socket.got();
        assert_eq!(seen, ann.socket.got());
        let live = &seen[0]["channel_message"];
        assert_eq!((&live["username"], &live["persistent"]), (&json!("host"), &json!(false)));
        assert_eq!(live["sender_id"], Uuid::nil().to_string());
        assert_eq!(history(cx, bob.id, &lobby).await.len(), 1);

        // What cannot be kept is not shown.
        let bad = json!({ "channel_id": lobby, "content": "{\"a\":\"\\u0000\"}" });
        let got = ann.send(json!({ "channel_message_send": bad })).await;
        assert_eq!(refusal(&got).unwrap(), "Could not persist message to channel history");
        assert!(bob.socket.got().is_empty());
    });
}

#[test]
fn messages_said_at_once_share_statements_and_keep_each_senders_order() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &slices.cx;
    slices.run(async {
        let names: Vec<_> = (0..20).map(|at| format!("player{at}")).collect();
        let players = join_all(names.iter().map(|name| Player::new(cx, name))).await;
        let reader = Player::new(cx, "reader").await;
        for player in players.iter().chain([&reader]) {
            player.join(1, "lobby").await;
        }
        reader.socket.got();
        let talks = players.iter().enumerate().map(async |(at, player)| {
            for n in 0..10 {
                // One of them says what the database refuses, among all the others.
                if at == 7 {
                    let bad =
                        json!({ "channel_id": "2...lobby", "content": "{\"a\":\"\\u0000\"}" });
                    player.send(json!({ "channel_message_send": bad })).await;
                } else {
                    player.say("2...lobby", &json!({ "n": n }).to_string()).await;
                }
            }
        });
        join_all(talks).await;
        let seen = reader.socket.got();
        let mut kept = history(cx, reader.id, "2...lobby").await;
        assert_eq!(kept.len(), 100);
        let order = |seen: &[&Value], player: &Player| -> Vec<String> {
            let of = player.id.to_string();
            let own = seen.iter().filter(|message| message["sender_id"] == of);
            own.map(|message| message["content"].as_str().unwrap().replace(' ', "")).collect()
        };
        let seen: Vec<_> = seen.iter().map(|envelope| &envelope["channel_message"]).collect();
        assert_eq!(seen.len(), 190);
        for (at, player) in players.iter().enumerate() {
            let wanted: Vec<_> = (0..10).map(|n| format!("{{\"n\":{n}}}")).collect();
            assert_eq!(order(&seen, player), if at == 7 { Vec::new() } else { wanted });
        }
        // The first page of the history holds the oldest hundred.
        kept.sort_by_key(|message| message["create_time"].as_str().unwrap().to_owned());
        let ids: Vec<_> = seen.iter().map(|message| &message["message_id"]).collect();
        assert!(kept.iter().all(|message| ids.contains(&&message["message_id"])));
    });
}

#[test]
fn a_group_hears_what_becomes_of_its_members_and_loses_who_is_out() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &slices.cx;
    slices.run(async {
        let names = ["ann", "bob", "cid"];
        let [ann, bob, cid] =
            join_all(names.map(|name| Player::new(cx, name))).await.try_into().ok().unwrap();
        let group = new_group(cx, ann.id, &[bob.id]).await;
        let target = group.to_string();
        let channel = ann.join(3, &target).await;
        bob.join(3, &target).await;
        ann.socket.got();
        let (message, event) = (|code| format!("channel_message {code}"), "channel_presence_event");

        change(cx, Verb::Add, group, &[cid.id]).await;
        assert_eq!(kinds(&ann.socket.got()), [message(4)]);
        assert_eq!(kinds(&cid.socket.got()), ["notifications"]);
        change(cx, Verb::Promote, group, &[bob.id]).await;
        change(cx, Verb::Demote, group, &[bob.id]).await;
        assert_eq!(kinds(&bob.socket.got()), [message(4), message(7), message(9)]);
        ann.socket.got();

        // Who is out hears of it, and then nothing more; the others see it leave.
        for (verb, code) in [(Verb::Kick, 6), (Verb::Ban, 8)] {
            change(cx, verb, group, &[bob.id]).await;
            let seen = ann.socket.got();
            assert_eq!(kinds(&seen), [message(code), event.to_owned()]);
            assert_eq!(seen[0]["channel_message"]["username"], "bob");
            assert_eq!(seen[0]["channel_message"]["sender_id"], bob.id.to_string());
            let leaves = &seen[1]["channel_presence_event"]["leaves"];
            assert_eq!(leaves[0]["user_id"], bob.id.to_string());
            assert_eq!(kinds(&bob.socket.got()), [message(code)]);
            ann.say(&channel, "{}").await;
            assert!(bob.socket.got().is_empty());
            change(cx, Verb::Kick, group, &[bob.id]).await;
            change(cx, Verb::Add, group, &[bob.id]).await;
            bob.join(3, &target).await;
            ann.socket.got();
        }
        members::leave(cx, group, bob.id, "bob").await.unwrap();
        assert_eq!(kinds(&bob.socket.got()), [message(5)]);
        assert_eq!(kinds(&ann.socket.got()), [message(5), event.to_owned()]);
        // All of it stands in the history as it was seen.
        let kept = history(cx, ann.id, &channel).await;
        let codes: Vec<_> = kept.iter().map(|it| it["code"].as_i64().unwrap()).collect();
        assert_eq!(codes, [4, 4, 7, 9, 6, 0, 4, 8, 0, 4, 5]);

        // With the group, its channel is empty; nobody is told.
        cid.join(3, &target).await;
        ann.socket.got();
        group::delete(cx, Some(ann.id), group).await.unwrap();
        assert!(ann.socket.got().is_empty() && cid.socket.got().is_empty());
        let said = json!({ "channel_message_send": { "channel_id": channel, "content": "{}" } });
        let sentence = "Must join channel before sending messages".to_owned();
        assert_eq!(refusal(&ann.send(said).await), Some(sentence));
        assert_eq!(cx.tracker.count_on(Channel::group(group).stream()), 0);

        // The same where the group goes with its last member, or with its superadmin's account.
        for by_leaving in [true, false] {
            let members = if by_leaving { vec![] } else { vec![bob.id] };
            let group = new_group(cx, ann.id, &members).await;
            ann.join(3, &group.to_string()).await;
            if by_leaving {
                members::leave(cx, group, ann.id, "ann").await.unwrap();
            } else {
                bob.join(3, &group.to_string()).await;
                account::delete(cx, ann.id, false).await.unwrap();
            }
            assert_eq!(cx.tracker.count_on(Channel::group(group).stream()), 0);
        }
    });
}

/// Whoever enters while it is put out is out afterwards, whichever comes first.
#[test]
fn nobody_slips_into_a_channel_while_it_is_put_out() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &slices.cx;
    slices.run(async {
        let (ann, bob) = (new_user(cx, "ann").await, new_user(cx, "bob").await);
        let sockets: Vec<_> = (0..6).map(|_| Socket::open(cx, bob, "bob")).collect();
        let group = new_group(cx, ann, &[]).await;
        let out = [bob];
        for _ in 0..30 {
            // Comes and goes as long as it is let in, and in any case comes last.
            let knock = async |kind: i32, target: Uuid, channel: &Channel, done: &Cell<bool>| {
                let enter =
                    json!({ "channel_join": { "target": target.to_string(), "type": kind } });
                let leave = json!({ "channel_leave": { "channel_id": channel.to_string() } });
                let knocks = sockets.iter().map(async |socket| {
                    while !done.get() {
                        socket.send(leave.clone()).await;
                        socket.send(enter.clone()).await;
                    }
                });
                join_all(knocks).await;
            };
            change(cx, Verb::Add, group, &out).await;
            let (done, channel) = (Cell::new(false), Channel::group(group));
            let kick = async {
                change(cx, Verb::Kick, group, &out).await;
                done.set(true);
            };
            tokio::join!(knock(3, group, &channel, &done), kick);
            assert_eq!(cx.tracker.count_on(channel.stream()), 0);

            let (done, channel) = (Cell::new(false), Channel::direct(ann, bob));
            let block = async {
                friend::block(cx, ann, &out).await.unwrap();
                done.set(true);
            };
            tokio::join!(knock(2, ann, &channel, &done), block);
            assert_eq!(cx.tracker.count_on(channel.stream()), 0);
            friend::delete(cx, ann, "ann", &out).await.unwrap();
        }
    });
}

#[test]
fn a_direct_channel_calls_the_other_user_once_and_a_block_empties_it() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &slices.cx;
    slices.run(async {
        let (ann, bob) = (Player::new(cx, "ann").await, Player::new(cx, "bob").await);
        let channel = ann.join(2, &bob.id.to_string()).await;
        let called = bob.socket.got();
        let called = &called[0]["notifications"]["notifications"][0];
        assert_eq!((&called["code"], &called["persistent"]), (&json!(-1), &json!(true)));
        assert_eq!(called["subject"], "ann wants to chat");
        assert_eq!(called["content"], "{\"username\":\"ann\"}");
        assert_eq!(called["sender_id"], ann.id.to_string());
        // Again, and back: nobody is called.
        ann.join(2, &bob.id.to_string()).await;
        assert!(bob.socket.got().is_empty());
        bob.join(2, &ann.id.to_string()).await;
        assert_eq!(kinds(&ann.socket.got()), ["channel_presence_event"]);
        assert!(
            notification::list(cx, ann.id, 10, Place::default())
                .await
                .unwrap()
                .notifications
                .is_empty()
        );

        friend::block(cx, ann.id, &[bob.id]).await.unwrap();
        assert!(ann.socket.got().is_empty() && bob.socket.got().is_empty());
        let said = json!({ "channel_message_send": { "channel_id": channel, "content": "{}" } });
        for player in [&ann, &bob] {
            let got = player.send(said.clone()).await;
            assert!(refusal(&got).unwrap().starts_with("Must join"), "{got:?}");
        }
    });
}

#[test]
fn presences_of_a_channel_are_shown_to_who_enters_and_hidden_ones_are_not() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &slices.cx;
    slices.run(async {
        let names = ["ann", "bob", "cid"];
        let [ann, bob, cid] =
            join_all(names.map(|name| Player::new(cx, name))).await.try_into().ok().unwrap();
        let enter = async |player: &Player, hidden: bool| {
            let join = json!({ "target": "lobby", "type": 1, "hidden": hidden });
            let got = player.send(json!({ "cid": "j", "channel_join": join })).await;
            let [answer] = &got[..] else { panic!("{got:?}") };
            let channel = &answer["channel"];
            assert_eq!(channel["self"]["session_id"], player.socket.session.id.to_string());
            let presences = channel["presences"].as_array().cloned().unwrap_or_default();
            let users = presences.iter().map(|it| it["username"].as_str().unwrap().to_owned());
            users.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(enter(&ann, false).await, "");
        assert_eq!(kinds(&ann.socket.got()), ["channel_presence_event"]);
        assert_eq!(enter(&bob, true).await, "ann");
        assert!(bob.socket.got().is_empty() && ann.socket.got().is_empty());
        assert_eq!(enter(&cid, false).await, "ann");
        ann.socket.got();
        cid.socket.got();
        // One who is there already sees itself, and stays as it is.
        assert_eq!(enter(&ann, true).await, "ann cid");
        assert!(cid.socket.got().is_empty());
        // The hidden one gets all that is said, and leaves unseen.
        bob.socket.got();
        cid.say("2...lobby", "{}").await;
        assert_eq!(kinds(&bob.socket.got()), ["channel_message 0"]);
        ann.socket.got();
        bob.socket.close();
        assert!(ann.socket.got().is_empty());
        cid.socket.close();
        let seen = ann.socket.got();
        assert_eq!(seen[0]["channel_presence_event"]["leaves"][0]["username"], "cid");
    });
}

#[test]
fn notifications_come_to_every_socket_of_their_users_and_only_those_kept_are_listed() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &slices.cx;
    slices.run(async {
        let (ann, bob) = (Player::new(cx, "ann").await, Player::new(cx, "bob").await);
        let second = Socket::open(cx, ann.id, "ann");
        let draft = |user: &Player, subject: &str, persistent| Draft {
            user: user.id,
            subject: subject.to_owned(),
            content: "{\"b\":1,\"a\":2}".to_owned(),
            code: 5,
            sender: Uuid::nil(),
            persistent,
        };
        let drafts = vec![
            draft(&ann, "first", true),
            draft(&bob, "other", true),
            draft(&ann, "second", false),
        ];
        notification::send(cx, drafts).await.unwrap();
        let seen = ann.socket.got();
        assert_eq!(seen, second.got());
        let [envelope] = &seen[..] else { panic!("{seen:?}") };
        let live = &envelope["notifications"]["notifications"];
        let subjects: Vec<_> = live.as_array().unwrap().iter().map(|it| &it["subject"]).collect();
        assert_eq!(subjects, ["first", "second"]);
        assert_eq!(live[0]["sender_id"], Uuid::nil().to_string());
        assert_eq!(live[0]["content"], "{\"b\":1,\"a\":2}");
        assert_eq!((&live[0]["persistent"], &live[1]["persistent"]), (&json!(true), &Value::Null));
        assert_eq!(kinds(&bob.socket.got()), ["notifications"]);

        let kept = notification::list(cx, ann.id, 10, Place::default()).await.unwrap();
        let [kept] = &kept.notifications[..] else { panic!("{kept:?}") };
        assert_eq!(live[0]["id"], kept.id);
        assert_eq!((kept.content.as_str(), kept.sender_id.as_str()), ("{\"a\": 2, \"b\": 1}", ""));

        // One that cannot be kept is not shown, nor are those with it.
        let stranger = Draft { user: Uuid::new_v4(), ..draft(&ann, "lost", true) };
        let drafts = vec![draft(&ann, "third", true), stranger];
        assert!(notification::send(cx, drafts).await.is_err());
        assert!(ann.socket.got().is_empty());

        // To everybody: at once where it is not kept, else page by page.
        let notice =
            |subject: &str| Notice { subject: subject.into(), content: "{}".into(), code: 1 };
        notification::send_to_all(cx, notice("passing"), false);
        for socket in [&ann.socket, &second, &bob.socket] {
            let seen = socket.got();
            assert_eq!(seen[0]["notifications"]["notifications"][0]["subject"], "passing");
        }
        notification::send_to_all(cx, notice("kept"), true);
        let mut seen = Vec::new();
        while seen.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            seen = bob.socket.got();
        }
        let live = &seen[0]["notifications"]["notifications"][0];
        let kept = notification::list(cx, bob.id, 10, Place::default()).await.unwrap();
        let ids: Vec<_> = kept.notifications.iter().map(|it| it.id.as_str()).collect();
        assert!(ids.contains(&live["id"].as_str().unwrap()), "{live} {ids:?}");
        assert_eq!(live["sender_id"], Uuid::nil().to_string());
    });
}
