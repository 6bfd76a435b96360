//! Parties over sockets, as players and modules meet them.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Server, Setup, socket::Socket};

/// A player with a socket.
struct Player {
    token: String,
    socket: Socket,
    presence: Value,
}

impl Player {
    fn new(server: &Server, name: &str) -> Self {
        let token = server.sign_in(name);
        let mut socket = Socket::open(server, &token, "status=true");
        let mut event = socket.until("status_presence_event");
        let mut presence = event["status_presence_event"]["joins"][0].take();
        presence.as_object_mut().unwrap().remove("status");
        Self { token, socket, presence }
    }

    #[track_caller]
    fn done(&mut self, message: Value) {
        assert_eq!(self.socket.call(message), json!({}));
    }

    #[track_caller]
    fn refused(&mut self, message: Value) -> String {
        let answer = self.socket.call(message);
        assert_eq!(answer["error"]["code"], 3, "{answer}");
        answer["error"]["message"].as_str().unwrap().to_owned()
    }

    /// Makes a party, which is told back three times.
    #[track_caller]
    fn make(&mut self, party: Value) -> String {
        let made = self.socket.call(json!({ "party_create": party }));
        let id = made["party"]["party_id"].as_str().unwrap().to_owned();
        self.socket.until("party");
        self.expect_one("joins", &self.presence.clone());
        id
    }

    /// The party was joined: it is shown, then the own coming.
    #[track_caller]
    fn expect_joined(&mut self) {
        let party = self.socket.receive();
        assert_eq!(party["party"]["self"], self.presence, "{party}");
        self.expect_one("joins", &self.presence.clone());
    }

    /// The next change of who is in a party is this one.
    #[track_caller]
    fn expect_one(&mut self, kind: &str, who: &Value) {
        let event = self.socket.receive();
        assert_eq!(event["party_presence_event"][kind], json!([who]), "{event}");
    }
}

fn on(party: &str) -> Value {
    json!({ "party_id": party })
}

fn whom(party: &str, player: &Player) -> Value {
    json!({ "party_id": party, "presence": player.presence })
}

#[test]
fn a_party_goes_on_when_its_leader_hands_it_over_and_when_the_next_is_gone() {
    let server = Setup::new().start();
    let [mut ann, mut bob, mut cat] = ["ann", "bob", "cat"].map(|name| Player::new(&server, name));
    let id = ann.make(json!({ "open": true, "max_size": 3 }));
    bob.done(json!({ "party_join": on(&id) }));
    let party = bob.socket.receive();
    assert_eq!(party["party"]["presences"], json!([ann.presence, bob.presence]));
    bob.expect_one("joins", &bob.presence.clone());
    ann.expect_one("joins", &bob.presence);

    // From now on who wants to join has to ask.
    ann.done(json!({ "party_update": { "party_id": id, "label": "{\"mode\":\"raid\"}" } }));
    for player in [&mut ann, &mut bob] {
        assert_eq!(player.socket.receive()["party_update"]["label"], "{\"mode\":\"raid\"}");
    }
    cat.done(json!({ "party_join": on(&id) }));
    assert_eq!(ann.socket.receive()["party_join_request"]["presences"], json!([cat.presence]));
    let refusal = bob.refused(json!({ "party_accept": whom(&id, &cat) }));
    assert_eq!(refusal, "Error accepting party join request: party leader only");
    ann.done(json!({ "party_promote": whom(&id, &bob) }));
    for player in [&mut ann, &mut bob] {
        assert_eq!(player.socket.receive()["party_leader"]["presence"]["username"], "bob");
    }
    bob.done(json!({ "party_accept": whom(&id, &cat) }));
    let party = cat.socket.receive();
    assert_eq!(party["party"]["leader"], bob.presence);
    cat.expect_one("joins", &cat.presence.clone());
    for player in [&mut ann, &mut bob] {
        player.expect_one("joins", &cat.presence);
    }

    let data = json!({ "party_id": id, "op_code": "3", "data": "aGk=" });
    cat.done(json!({ "party_data_send": data }));
    for player in [&mut ann, &mut bob] {
        let got = player.socket.receive();
        let wanted = json!({
            "party_id": id, "presence": cat.presence, "op_code": "3", "data": "aGk=",
        });
        assert_eq!(got["party_data"], wanted);
    }

    // The leader's connection breaks: the longest member follows.
    let Player { socket, presence: gone, .. } = bob;
    drop(socket);
    for player in [&mut ann, &mut cat] {
        assert_eq!(player.socket.receive()["party_leader"]["presence"], ann_presence(&party));
        player.expect_one("leaves", &gone);
    }
    ann.done(json!({ "party_remove": whom(&id, &cat) }));
    assert_eq!(cat.socket.receive(), json!({ "party_close": on(&id) }));
    ann.expect_one("leaves", &cat.presence);
    ann.done(json!({ "party_leave": on(&id) }));
    let until = Instant::now() + Duration::from_secs(10);
    while server.metric("parties") != 0 {
        assert!(Instant::now() < until, "the party outlives its last member");
        thread::sleep(Duration::from_millis(20));
    }
    let refusal = cat.refused(json!({ "party_join": on(&id) }));
    assert_eq!(refusal, "Error joining party: party not found");
}

/// The first member, as a party shows it.
fn ann_presence(party: &Value) -> Value {
    party["party"]["presences"][0].clone()
}

#[test]
fn parties_are_found_over_rest_and_from_modules() {
    let lua = r#"
        local nk = require("nakama")
        nk.register_rpc(function(_, query)
            return nk.json_encode(nk.party_list(10, true, true, query))
        end, "parties")
    "#;
    let server = Setup::new().module("parties.lua", lua).start();
    let mut ann = Player::new(&server, "ann");
    let label = r#"{"mode":"raid","level":7}"#;
    let shown = ann.make(json!({ "open": true, "max_size": 4, "label": label }));
    let hidden = ann.make(json!({ "open": true, "hidden": true, "max_size": 4 }));
    let closed = ann.make(json!({ "max_size": 2, "label": label }));

    let list = |query: &str, token: &str| server.get(&format!("/v2/party?{query}"), token).ok();
    let row = |id: &str, open: bool, max_size: i32| {
        let mut row = json!({ "party_id": id, "max_size": max_size, "label": label });
        if open {
            row["open"] = json!(true);
        }
        row
    };
    let raids = "query=%2Blabel.mode:raid%20%2Blabel.level:%3E5";
    let rows = json!([row(&shown, true, 4), row(&closed, false, 2)]);
    assert_eq!(list(raids, &ann.token), json!({ "parties": rows }));
    assert_eq!(list("open=true", &ann.token), json!({ "parties": [row(&shown, true, 4)] }));
    let page = list("limit=1", &ann.token);
    let next = format!("limit=1&cursor={}", page["cursor"].as_str().unwrap());
    assert_eq!(list(&next, &ann.token), json!({ "parties": [row(&closed, false, 2)] }));
    // A module sees what is hidden as well.
    let rows: Value = serde_json::from_str(
        ann.socket.call(json!({ "rpc": { "id": "parties", "payload": "" } }))["rpc"]["payload"]
            .as_str()
            .unwrap(),
    )
    .unwrap();
    let ids: Vec<&Value> = rows.as_array().unwrap().iter().map(|row| &row["match_id"]).collect();
    assert_eq!(ids, [&json!(shown), &json!(hidden)]);
}

#[test]
fn parties_are_matched_whole_and_a_change_takes_their_tickets_back() {
    let server = Setup::new().flag("--matchmaker.interval_sec=1").start();
    let [mut ann, mut bob, mut cat, mut dan, mut eve] =
        ["ann", "bob", "cat", "dan", "eve"].map(|name| Player::new(&server, name));
    let pair = |leader: &mut Player, other: &mut Player| {
        let id = leader.make(json!({ "open": true, "max_size": 3 }));
        other.done(json!({ "party_join": on(&id) }));
        other.expect_joined();
        leader.expect_one("joins", &other.presence);
        id
    };
    let (first, second) = (pair(&mut ann, &mut bob), pair(&mut cat, &mut dan));
    let wish = |party: &str| {
        json!({ "party_matchmaker_add": {
            "party_id": party, "min_count": 4, "max_count": 4, "query": "+properties.mode:raid",
            "string_properties": { "mode": "raid" },
        } })
    };
    let ticket = |leader: &mut Player, other: &mut Player, party: &str| {
        let ticket = leader.socket.call(wish(party));
        assert_eq!(other.socket.receive(), ticket);
        ticket["party_matchmaker_ticket"]["ticket"].clone()
    };
    let old = ticket(&mut ann, &mut bob, &first);
    // Somebody looks in, which takes the ticket back; so does the leave.
    eve.done(json!({ "party_join": on(&first) }));
    eve.expect_joined();
    for player in [&mut ann, &mut bob] {
        player.expect_one("joins", &eve.presence);
    }
    let remove = json!({ "party_matchmaker_remove": { "party_id": first, "ticket": old } });
    assert_eq!(ann.refused(remove), "Error closing party: matchmaker ticket not found");
    eve.done(json!({ "party_leave": on(&first) }));
    for player in [&mut ann, &mut bob] {
        player.expect_one("leaves", &eve.presence);
    }
    let refusal = bob.refused(wish(&first));
    assert_eq!(refusal, "Error adding party to matchmaker: party leader only");

    let one = ticket(&mut ann, &mut bob, &first);
    let other = ticket(&mut cat, &mut dan, &second);
    for (player, ticket, party) in [
        (&mut ann, &one, &first),
        (&mut bob, &one, &first),
        (&mut cat, &other, &second),
        (&mut dan, &other, &second),
    ] {
        let matched = player.socket.until("matchmaker_matched")["matchmaker_matched"].take();
        assert_eq!(matched["ticket"], *ticket);
        assert_eq!(matched["self"]["party_id"], **party);
        assert_eq!(matched["self"]["presence"], player.presence);
        assert_eq!(matched["users"].as_array().unwrap().len(), 4);
    }
}
