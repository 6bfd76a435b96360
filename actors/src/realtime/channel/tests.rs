//! The order of what the members of a room hear, with many of them at work at once.
#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeSet, HashMap},
    thread,
};

use guildhall_core::config::Config;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::realtime::{
    presence_events,
    testing::{self, Client},
};

const MEMBERS: u128 = 6;
const ROUNDS: usize = 40;
/// What each member says in a round.
const SAID: usize = 5;

/// Enters the room, talks, and leaves it, again and again; stays in the end. What came meanwhile.
async fn visit(client: &Client, number: u128) -> Vec<Value> {
    let mut heard = Vec::new();
    for round in 0..ROUNDS {
        // Nothing that is said is kept, so no database is needed.
        let join = json!({ "target": "hall", "type": 1, "persistence": false });
        client.send(json!({ "cid": format!("join {round}"), "channel_join": join })).await;
        for n in 0..SAID {
            let content = json!({ "text": format!("{number} {round} {n}") }).to_string();
            let send = json!({ "channel_id": "2...hall", "content": content });
            let cid = format!("say {round} {n}");
            client.send(json!({ "cid": cid, "channel_message_send": send })).await;
            heard.extend(client.received());
            tokio::task::yield_now().await;
        }
        if round + 1 < ROUNDS {
            let leave = json!({ "channel_id": "2...hall" });
            client.send(json!({ "cid": format!("leave {round}"), "channel_leave": leave })).await;
        }
        heard.extend(client.received());
    }
    heard
}

/// What was said in the room, as this member heard it.
fn said(heard: &[Value]) -> Vec<&str> {
    let texts = heard.iter().filter_map(|it| it["channel_message"]["content"].as_str());
    texts.collect()
}

fn session(presence: &Value) -> Option<&str> {
    presence["session_id"].as_str()
}

fn sessions(presences: &Value) -> impl Iterator<Item = &str> {
    presences.as_array().into_iter().flatten().filter_map(session)
}

/// Who is in the room, as a member knows who was told all this.
fn known(heard: &[Value]) -> BTreeSet<&str> {
    // The answer shows who is there, and all that changes from then on comes behind it.
    let entered = heard.iter().rposition(|it| it.get("channel").is_some()).unwrap();
    let mut known: BTreeSet<&str> = BTreeSet::new();
    let shown = &heard[entered]["channel"];
    known.extend(session(&shown["self"]));
    known.extend(sessions(&shown["presences"]));
    for event in heard[entered..].iter().filter_map(|it| it.get("channel_presence_event")) {
        for left in sessions(&event["leaves"]) {
            known.remove(left);
        }
        known.extend(sessions(&event["joins"]));
    }
    known
}

#[test]
fn members_of_a_room_hear_all_in_one_order_and_answers_before_what_comes_later() {
    let io = Runtime::new().unwrap();
    let _io = io.enter();
    let cx = testing::cx(Config::default());
    presence_events::run(&cx);
    let visitor = |number: u128| {
        let client = Client::connect(&cx, number, &format!("user{number}"), false);
        let own_thread = Builder::new_current_thread().build().unwrap();
        let heard = own_thread.block_on(visit(&client, number));
        (client, heard)
    };
    let mut visitors: Vec<_> = thread::scope(|scope| {
        let visits: Vec<_> = (1..=MEMBERS)
            .map(|number| {
                scope.spawn({
                    let visitor = &visitor;
                    move || visitor(number)
                })
            })
            .collect();
        visits.into_iter().map(|visit| visit.join().unwrap()).collect()
    });
    cx.tell_changes();
    for (client, heard) in &mut visitors {
        heard.extend(client.received());
    }

    let everybody: BTreeSet<String> =
        visitors.iter().map(|(client, _)| client.session.id.to_string()).collect();
    for (at, (_, heard)) in visitors.iter().enumerate() {
        // Each message is answered once, in order, and the sender has it before the answer.
        let wanted = (0..ROUNDS).flat_map(|round| {
            let says = (0..SAID).flat_map(move |n| {
                [format!("{{\"text\":\"{} {round} {n}\"}}", at + 1), format!("say {round} {n}")]
            });
            let leave = (round + 1 < ROUNDS).then(|| format!("leave {round}"));
            [format!("join {round}")].into_iter().chain(says).chain(leave)
        });
        let own = format!("{{\"text\":\"{} ", at + 1);
        let came = heard.iter().filter_map(|it| {
            let content = it["channel_message"]["content"].as_str();
            let content = content.filter(|content| content.starts_with(&own));
            content.or(it["cid"].as_str()).map(str::to_owned)
        });
        assert_eq!(came.collect::<Vec<_>>(), wanted.collect::<Vec<_>>());
        assert!(known(heard).iter().eq(&everybody), "{at}: {:?}", known(heard));
    }
    let orders: Vec<_> = visitors.iter().map(|(_, heard)| said(heard)).collect();
    for first in &orders {
        let places: HashMap<&str, usize> =
            first.iter().enumerate().map(|(place, text)| (*text, place)).collect();
        assert_eq!(places.len(), first.len(), "something was heard twice");
        for second in &orders {
            let both: Vec<usize> = second.iter().filter_map(|it| places.get(it)).copied().collect();
            let turned = both.windows(2).position(|pair| pair[0] > pair[1]);
            assert_eq!(turned, None, "of {}", both.len());
        }
    }
}
