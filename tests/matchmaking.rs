//! The matchmaker as clients, modules and operators see it.

use std::{fs, thread, time::Duration};

use serde_json::{Value, json};

use crate::{
    host_functions::FORWARD,
    support::{Server, Setup, socket::Socket},
};

fn setup() -> Setup {
    Setup::new().flag("--matchmaker.interval_sec=1")
}

/// With the native module, which takes part as `role` says.
fn native(role: &str) -> Server {
    let library = fs::read(&*FORWARD).unwrap();
    setup().module("forward.so", library).flag(format!("--runtime.env=matchmaker={role}")).start()
}

fn open(server: &Server, name: &str) -> Socket {
    Socket::open(server, &server.sign_in(name), "")
}

/// Waits for one other, or as `properties` say: the ticket.
#[track_caller]
fn wait(socket: &mut Socket, query: &str, properties: Value) -> String {
    let add = json!({ "matchmaker_add": {
        "min_count": 2, "max_count": 2, "query": query,
        "string_properties": properties["texts"], "numeric_properties": properties["numbers"],
    } });
    let answer = socket.call(add);
    answer["matchmaker_ticket"]["ticket"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// What a socket is told once it is matched.
#[track_caller]
fn matched(socket: &mut Socket) -> Value {
    socket.until("matchmaker_matched")["matchmaker_matched"].take()
}

/// Who was matched, in the order of names: who was matched by whom depends on the second.
fn names(matched: &Value) -> Vec<&str> {
    let users = matched["users"].as_array().unwrap().iter();
    let mut names: Vec<&str> =
        users.map(|user| user["presence"]["username"].as_str().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn two_who_match_get_a_token_for_a_match_of_their_own() {
    let server = setup().start();
    let (mut ann, mut bob) = (open(&server, "ann"), open(&server, "bob"));
    let eu = json!({ "texts": { "region": "eu" }, "numbers": { "rank": 7.5 } });
    let query = "+properties.region:eu +properties.rank:>=5 +properties.rank:<=8";
    let tickets = [wait(&mut ann, query, eu.clone()), wait(&mut bob, query, eu)];
    let (for_ann, for_bob) = (matched(&mut ann), matched(&mut bob));
    assert_eq!([&for_ann["ticket"], &for_bob["ticket"]], [&json!(tickets[0]), &json!(tickets[1])]);
    assert_eq!(names(&for_ann), ["ann", "bob"]);
    assert_eq!(for_ann["users"], for_bob["users"]);
    for (told, name) in [(&for_ann, "ann"), (&for_bob, "bob")] {
        assert_eq!(told["self"]["presence"]["username"], name);
        assert!(told["users"].as_array().unwrap().contains(&told["self"]));
    }
    assert_eq!(for_ann["self"]["string_properties"], json!({ "region": "eu" }));
    assert_eq!(for_ann["self"]["numeric_properties"], json!({ "rank": 7.5 }));
    assert_eq!(for_ann["token"], for_bob["token"]);
    let join = json!({ "match_join": { "token": for_ann["token"] } });
    let id = ann.call(join.clone())["match"]["match_id"].take();
    assert_eq!(bob.call(join)["match"]["match_id"], id);

    // The figures are those of the begin of an interval.
    let cat = &mut open(&server, "cat");
    let alone = wait(cat, "*", json!({}));
    thread::sleep(Duration::from_millis(1500));
    let stats = server.get("/v2/matchmaker/stats", &server.sign_in("ann")).ok();
    assert_eq!(stats["ticket_count"], 1, "{stats}");
    assert!(stats["oldest_ticket_create_time"].is_string(), "{stats}");
    let completions = stats["completions"].as_array().unwrap();
    assert_eq!(completions.len(), 2, "{stats}");
    assert!(
        completions
            .iter()
            .all(|it| it["create_time"].is_string() && it["complete_time"].is_string())
    );
    let page = ureq::get(&format!("http://127.0.0.1:{}/metrics", server.metrics_port));
    let page = page.call().unwrap().body_mut().read_to_string().unwrap();
    for row in [
        "nakama_matchmaker_tickets{",
        "nakama_matchmaker_active_tickets{",
        "nakama_matchmaker_process_time_count{",
    ] {
        assert!(page.contains(row), "{row}\n{page}");
    }
    // Only the owner takes a ticket back, and once.
    let remove = json!({ "matchmaker_remove": { "ticket": alone } });
    let not_found = json!({ "error": { "code": 3, "message": "Matchmaker ticket not found" } });
    assert_eq!(ann.call(remove.clone()), not_found);
    assert_eq!(cat.call(remove.clone()), json!({}));
    assert_eq!(cat.call(remove), not_found);
}

#[test]
fn a_socket_takes_its_tickets_with_it() {
    let server = setup().start();
    let mut ann = open(&server, "ann");
    for _ in 0..3 {
        wait(&mut ann, "*", json!({}));
    }
    let add = json!({ "matchmaker_add": { "min_count": 2, "max_count": 2 } });
    assert_eq!(ann.call(add), json!({ "error": { "message": "Error adding to matchmaker" } }));
    ann.close();
    let mut bob = open(&server, "bob");
    wait(&mut bob, "*", json!({}));
    bob.quiet(2500);
}

/// Two are matched whose property `answer` is this: what they are told.
#[track_caller]
fn pair(server: &Server, answer: &str) -> Value {
    let (mut ann, mut bob) = (open(server, "ann"), open(server, "bob"));
    let query = format!("+properties.answer:{answer}");
    let properties = json!({ "texts": { "answer": answer }, "numbers": { "level": 1.5 } });
    wait(&mut ann, &query, properties.clone());
    wait(&mut bob, &query, properties);
    let told = matched(&mut ann);
    assert_eq!(told["match_id"], matched(&mut bob)["match_id"]);
    told
}

/// The function decides where they meet; whatever else it does, they meet by a token.
fn modules_decide(server: &Server) {
    let told = pair(server, "id");
    assert_eq!(
        told["match_id"],
        "11111111-2222-4333-8444-555555555555.nakama",
        "{told}\n{}",
        server.log()
    );
    assert_eq!(told["token"], Value::Null);
    for answer in ["nothing", "number", "text", "error"] {
        let told = pair(server, answer);
        assert!(told["token"].is_string() && told["match_id"].is_null(), "{answer}: {told}");
    }
    let failed = server.log().matches("matchmaker matched function failed").count();
    assert_eq!(failed, 3, "{}", server.log());
}

#[test]
fn a_function_in_lua_gives_matched_players_their_match() {
    modules_decide(&setup().module("matched.lua", include_str!("matchmaking/matched.lua")).start());
}

#[test]
fn a_function_in_javascript_gives_matched_players_their_match() {
    modules_decide(&setup().module("index.js", include_str!("matchmaking/index.js")).start());
}

#[test]
fn a_native_function_gives_matched_players_their_match() {
    modules_decide(&native("matched"));
}

#[test]
fn a_native_override_chooses_among_the_groups() {
    let server = native("override");
    let [mut ann, mut bob, mut cat] = ["ann", "bob", "cat"].map(|name| open(&server, name));
    for socket in [&mut ann, &mut bob, &mut cat] {
        wait(socket, "*", json!({}));
    }
    // The oldest would have been ann and bob. Groups of unknown tickets are passed over.
    assert_eq!(names(&matched(&mut bob)), ["bob", "cat"]);
    assert_eq!(names(&matched(&mut cat)), ["bob", "cat"]);
    ann.quiet(1500);
}

#[test]
fn a_native_processor_makes_the_groups_and_may_fail_once() {
    let server = native("processor");
    let mut sockets = ["ann", "bob", "cat", "dan"].map(|name| open(&server, name));
    for (socket, level) in sockets.iter_mut().zip([1.0, 9.0, 2.0, 8.0]) {
        wait(socket, "+properties.nobody:x", json!({ "numbers": { "level": level } }));
    }
    let told: Vec<Value> = sockets.iter_mut().map(matched).collect();
    assert_eq!(names(&told[0]), ["ann", "cat"]);
    assert_eq!(names(&told[1]), ["bob", "dan"]);
    assert!(server.log().contains("matchmaker function failed"), "{}", server.log());
}
