//! The actor with clients that are connected.

use std::{sync::Arc, time::Duration};

use guildhall_core::config::Config;
use serde_json::{Value, json};

use super::super::*;
use crate::{
    cx::Cx,
    realtime::testing::{Client, cx},
};

/// A server whose matchmaker looks each second.
fn served() -> (Arc<Cx>, Running) {
    let mut config = Config::default();
    config.matchmaker.interval_sec = 1;
    let cx = cx(config);
    let running = run(&cx);
    (cx, running)
}

async fn add(client: &Client, query: &str) -> Value {
    let add = json!({ "min_count": 2, "max_count": 2, "query": query });
    let answers = client.ask(json!({ "cid": "1", "matchmaker_add": add })).await;
    answers.into_iter().next_back().unwrap()
}

/// What the client is told, at the latest after so many looks.
async fn told(client: &Client) -> Value {
    for _ in 0..100 {
        if let Some(told) = client.received().pop() {
            return told;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nothing came");
}

#[actix::test]
async fn clients_are_matched_and_told() {
    let (cx, running) = served();
    let (ann, bob) = (Client::connect(&cx, 1, "ann", false), Client::connect(&cx, 2, "bob", false));
    let ticket = add(&ann, "").await["matchmaker_ticket"]["ticket"].take();
    add(&bob, "*").await;
    let matched = told(&ann).await["matchmaker_matched"].take();
    assert_eq!(matched["ticket"], ticket);
    assert_eq!(matched["self"]["presence"], ann.presence());
    assert_eq!(told(&bob).await["matchmaker_matched"]["token"], matched["token"]);
    running.stop();
}

#[actix::test]
async fn tickets_end_with_their_sessions_whichever_comes_first() {
    let (cx, running) = served();
    let (ann, bob) = (Client::connect(&cx, 1, "ann", false), Client::connect(&cx, 2, "bob", false));
    let ticket = add(&ann, "*").await["matchmaker_ticket"]["ticket"].take();
    let ticket: uuid::Uuid = serde_json::from_value(ticket).unwrap();
    assert!(cx.matchmaker.explain(ticket).await.is_some());
    ann.disconnect();
    assert_eq!(cx.matchmaker.explain(ticket).await, None);
    // Its last message was still on its way.
    let refused = json!({ "cid": "1", "error": { "message": "Error adding to matchmaker" } });
    ann.send(json!({ "matchmaker_add": { "min_count": 2, "max_count": 2 } })).await;
    bob.disconnect();
    let cat = Client::connect(&cx, 3, "cat", false);
    assert!(add(&cat, "*").await["matchmaker_ticket"].is_object());
    running.stop();
    // A server that stops takes no tickets.
    for _ in 0..100 {
        if add(&cat, "*").await == refused {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("tickets are still taken");
}

#[actix::test]
async fn operators_are_told_why_a_ticket_waits() {
    let (cx, running) = served();
    let (ann, bob) = (Client::connect(&cx, 1, "ann", false), Client::connect(&cx, 2, "bob", false));
    let ticket = add(&ann, "+properties.region:eu").await["matchmaker_ticket"]["ticket"].take();
    let ticket: uuid::Uuid = serde_json::from_value(ticket).unwrap();
    add(&bob, "+properties.region:us").await;
    let explanation = cx.matchmaker.explain(ticket).await.unwrap();
    assert_eq!(explanation.lacks, Lack::Clause("+properties.region:eu".to_owned()));
    assert_eq!(explanation.lacks.to_string(), "no other ticket satisfies +properties.region:eu");
    assert_eq!((explanation.others, explanation.clauses[0].satisfied), (1, 0));
    assert_eq!(cx.matchmaker.explain(uuid::Uuid::nil()).await, None);
    running.stop();
}

#[actix::test]
async fn tickets_are_taken_back_by_their_owners() {
    let (cx, running) = served();
    let (ann, bob) = (Client::connect(&cx, 1, "ann", false), Client::connect(&cx, 2, "bob", false));
    let ticket = add(&ann, "*").await["matchmaker_ticket"]["ticket"].take();
    let remove = json!({ "cid": "2", "matchmaker_remove": { "ticket": ticket } });
    let error = |message: &str| json!({ "cid": "2", "error": { "code": 3, "message": message } });
    assert_eq!(bob.ask(remove.clone()).await, [error("Matchmaker ticket not found")]);
    assert_eq!(ann.ask(remove.clone()).await, [json!({ "cid": "2" })]);
    assert_eq!(ann.ask(remove).await, [error("Matchmaker ticket not found")]);
    for (text, message) in [("", "Invalid matchmaker ticket"), ("x", "Matchmaker ticket not found")]
    {
        let remove = json!({ "cid": "2", "matchmaker_remove": { "ticket": text } });
        assert_eq!(ann.ask(remove).await, [error(message)]);
    }
    running.stop();
}
