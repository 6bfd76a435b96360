//! Stories of parties; `model.rs` compares any sequence of them with a model.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod model;

use std::{collections::HashMap, sync::Arc};

use guildhall_core::config::Config;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    cx::Cx,
    query::Query,
    realtime::{
        stream::{Stream, mode},
        testing::{self, Client},
        tracker::Meta,
    },
};

fn party_id(messages: &[Value]) -> String {
    let named = messages.iter().find_map(|message| message["party"]["party_id"].as_str());
    named.unwrap().to_owned()
}

/// The stream of a party by its name.
fn stream(party: &str) -> Stream {
    let (id, node) = party.split_once('.').unwrap();
    Stream::labelled(mode::PARTY, Uuid::try_parse(id).unwrap(), node)
}

async fn made(leader: &Client, open: bool, max_size: i32) -> String {
    party_id(&leader.ask(json!({ "party_create": { "open": open, "max_size": max_size } })).await)
}

fn refusal(message: &str) -> Value {
    json!({ "error": { "code": 3, "message": message } })
}

#[tokio::test]
async fn the_maker_gets_the_answer_then_the_party_then_its_own_coming() {
    let cx = testing::cx(Config::default());
    let ann = Client::connect(&cx, 1, "ann", false);
    let label = r#"{"a":1}"#;
    let asked =
        json!({ "cid": "1", "party_create": { "max_size": 2, "hidden": true, "label": label } });
    let got = ann.ask(asked).await;
    let id = party_id(&got);
    let plain = json!({
        "party_id": id, "max_size": 2, "self": ann.presence(), "leader": ann.presence(),
        "presences": [ann.presence()],
    });
    let mut first = plain.clone();
    first["hidden"] = json!(true);
    first["label"] = json!(label);
    let joins = json!({ "party_id": id, "joins": [ann.presence()] });
    assert_eq!(
        got,
        [
            json!({ "cid": "1", "party": first }),
            json!({ "party": plain }),
            json!({ "party_presence_event": joins })
        ]
    );
}

#[tokio::test]
async fn who_acts_before_its_coming_was_told_is_introduced_first() {
    let cx = testing::cx(Config::default());
    let (ann, bob) = (Client::connect(&cx, 1, "ann", false), Client::connect(&cx, 2, "bob", false));
    let id = made(&ann, true, 2).await;
    bob.send(json!({ "party_join": { "party_id": id } })).await;
    assert_eq!(bob.received(), [json!({})]);
    assert_eq!(ann.received(), [] as [Value; 0]);
    let data = json!({ "party_id": id, "op_code": "7", "data": "eA==" });
    bob.send(json!({ "party_data_send": data })).await;
    let got: Vec<Value> = ann.received();
    assert_eq!(
        got,
        [
            json!({ "party_presence_event": { "party_id": id, "joins": [bob.presence()] } }),
            json!({ "party_data": {
                "party_id": id, "presence": bob.presence(), "op_code": "7", "data": "eA==",
            } }),
        ]
    );
}

#[tokio::test]
async fn a_leader_who_leaves_and_comes_back_at_once_is_followed() {
    let cx = testing::cx(Config::default());
    let (ann, bob) = (Client::connect(&cx, 1, "ann", false), Client::connect(&cx, 2, "bob", false));
    let id = made(&ann, true, 2).await;
    bob.ask(json!({ "party_join": { "party_id": id } })).await;
    ann.received();
    ann.send(json!({ "party_leave": { "party_id": id } })).await;
    ann.send(json!({ "party_join": { "party_id": id } })).await;
    cx.tell_changes();
    let party = json!({
        "party_id": id, "open": true, "max_size": 2, "self": ann.presence(),
        "leader": bob.presence(), "presences": [bob.presence(), ann.presence()],
    });
    let leads = json!({ "party_leader": { "party_id": id, "presence": bob.presence() } });
    let left = json!({ "party_presence_event": { "party_id": id, "leaves": [ann.presence()] } });
    let came = json!({ "party_presence_event": { "party_id": id, "joins": [ann.presence()] } });
    assert_eq!(bob.received(), [leads.clone(), left.clone(), came.clone()]);
    assert_eq!(
        ann.received(),
        [json!({}), json!({}), leads, left, json!({ "party": party }), came]
    );
}

#[tokio::test]
async fn a_party_without_places_has_a_leader_and_ends_with_it() {
    let cx = testing::cx(Config::default());
    let (ann, bob) = (Client::connect(&cx, 1, "ann", false), Client::connect(&cx, 2, "bob", false));
    let got = ann.ask(json!({ "party_create": { "open": true } })).await;
    let id = party_id(&got);
    assert_eq!(got.len(), 2, "{got:?}");
    let join = json!({ "party_join": { "party_id": id } });
    assert_eq!(bob.ask(join).await, [refusal("Error joining party: party full")]);
    let list = ann.ask(json!({ "party_join_request_list": { "party_id": id } })).await;
    assert_eq!(list, [json!({ "party_join_request": { "party_id": id } })]);
    let send = ann.ask(json!({ "party_data_send": { "party_id": id } })).await;
    assert_eq!(send, [refusal("Error sending party data: party member not found")]);
    ann.disconnect();
    cx.tell_changes();
    assert_eq!((cx.parties.count(), cx.tracker.count_on(&stream(&id))), (0, 0));
}

#[tokio::test]
async fn with_single_party_who_joins_one_leaves_the_others() {
    let mut config = Config::default();
    (config.session.single_party, config.session.single_socket) = (true, true);
    let cx = testing::cx(config);
    let (ann, bob) = (Client::connect(&cx, 1, "ann", false), Client::connect(&cx, 2, "bob", false));
    let first = made(&ann, true, 2).await;
    bob.ask(json!({ "party_join": { "party_id": first } })).await;
    ann.received();
    let second = made(&ann, false, 2).await;
    let heard = bob.received();
    assert_eq!(heard[0]["party_leader"]["presence"], bob.presence());
    assert_eq!(heard[1]["party_presence_event"]["leaves"], json!([ann.presence()]));
    bob.ask(json!({ "party_join": { "party_id": second } })).await;
    let accept = json!({ "party_accept": { "party_id": second, "presence": bob.presence() } });
    ann.ask(accept).await;
    assert_eq!(cx.parties.count(), 1, "the first one lost its last member");
    assert_eq!(cx.tracker.count_on(&stream(&second)), 2);
}

#[tokio::test]
async fn what_modules_do_to_the_stream_is_heard() {
    let cx = testing::cx(Config::default());
    let [ann, bob, cat] = [(1, "ann"), (2, "bob"), (3, "cat")]
        .map(|(id, name)| Client::connect(&cx, id, name, false));
    let id = made(&ann, false, 2).await;
    let place = stream(&id);
    let join = |who: &Client| {
        cx.tracker.track(&who.session, &place, who.session.user_id(), Meta::default());
        cx.tell_changes();
    };
    join(&bob);
    let heard = bob.received();
    assert_eq!(heard[0]["party"]["presences"], json!([ann.presence(), bob.presence()]));
    // There is no place for the third, who only listens.
    join(&cat);
    assert_eq!(cat.received().len(), 1);
    let data = json!({ "party_id": id, "op_code": "1", "data": "eA==" });
    let sent = cat.ask(json!({ "party_data_send": data.clone() })).await;
    assert_eq!(sent, [refusal("Error sending party data: party member not found")]);
    // What a presence has besides does not matter.
    ann.received();
    let meta = Meta { status: "x".into(), ..Meta::default() };
    cx.tracker.update(&ann.session, &place, ann.session.user_id(), meta);
    cx.tell_changes();
    assert_eq!(ann.ask(json!({ "party_data_send": data })).await.len(), 2);
    assert_eq!(bob.received().len(), 3);
    cx.tracker.untrack(&ann.session, &place, ann.session.user_id());
    cx.tell_changes();
    assert_eq!(bob.received()[0]["party_leader"]["presence"], bob.presence());
    bob.disconnect();
    cx.tell_changes();
    assert_eq!((cx.parties.count(), cx.tracker.count_on(&place)), (0, 0));
}

#[tokio::test]
async fn a_party_whose_stream_a_module_closed_is_found_idle() {
    let cx = testing::cx(Config::default());
    let ann = Client::connect(&cx, 1, "ann", false);
    let (gone, stays) = (made(&ann, true, 2).await, made(&ann, true, 2).await);
    cx.tracker.untrack_stream(&stream(&gone));
    let mut seen = HashMap::new();
    cx.end_idle_parties(&mut seen);
    assert_eq!(cx.parties.count(), 2, "something was done since the last look");
    cx.end_idle_parties(&mut seen);
    assert_eq!(cx.parties.count(), 1);
    assert_eq!(cx.tracker.count_on(&stream(&stays)), 1);
}

fn listed(cx: &Arc<Cx>, query: &str) -> Vec<String> {
    let query = Query::parse(query).unwrap();
    let found = cx.parties.search(&query, None, 100);
    found.into_iter().map(|(party, _)| party.party_id).collect()
}

#[tokio::test]
async fn parties_are_found_by_what_they_are_and_by_label() {
    let cx = testing::cx(Config::default());
    let ann = Client::connect(&cx, 1, "ann", false);
    let mut ids = Vec::new();
    for asked in [
        json!({ "max_size": 2, "open": true, "label": r#"{"mode":"duel","level":5,"on":true}"# }),
        json!({ "max_size": 8, "label": r#"{"mode":"raid","tags":["a","b"]}"# }),
        json!({ "max_size": 4, "hidden": true }),
    ] {
        ids.push(party_id(&ann.ask(json!({ "party_create": asked })).await));
    }
    let at = |places: &[usize]| places.iter().map(|at| ids[*at].clone()).collect::<Vec<_>>();
    for (query, places) in [
        ("*", &[0, 1, 2][..]),
        ("+label.mode:duel +label.level:>=5", &[0]),
        ("+label.on:T", &[0]),
        ("+label.tags:b", &[1]),
        ("+open:T", &[0]),
        ("+hidden:T", &[2]),
        ("+max_size:>=4", &[1, 2]),
        ("+node:nakama -hidden:T", &[0, 1]),
        ("+label_string:x", &[]),
    ] {
        assert_eq!(listed(&cx, query), at(places), "{query}");
    }
    let update = json!({ "party_update": { "party_id": ids[1], "open": true, "label": "{}" } });
    ann.ask(update).await;
    assert_eq!(listed(&cx, "+label.mode:raid"), at(&[]));
    assert_eq!(listed(&cx, "+open:T"), at(&[0, 1]));
    ann.ask(json!({ "party_close": { "party_id": ids[0] } })).await;
    assert_eq!(listed(&cx, "*"), at(&[2, 1]));
}
