//! Whatever clients do with parties, the server does what a model of them does, and what each client
//! believes by its messages is so.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    thread,
};

use guildhall_core::config::Config;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use uuid::Uuid;

use super::stream;
use crate::{
    cx::Cx,
    realtime::testing::{self, Client},
};

/// What a client does; parties and clients by number.
#[derive(Clone, Copy, Debug)]
enum Step {
    Create { open: bool, max_size: i32 },
    Join(usize),
    Leave(usize),
    Accept(usize, usize),
    Promote(usize, usize),
    Remove(usize, usize),
    Close(usize),
    Requests(usize),
    Send(usize),
    Update { party: usize, open: bool },
    Disconnect,
}

impl Step {
    fn random(random: &mut StdRng, parties: usize, clients: usize) -> Self {
        let (open, max_size) = (random.random(), random.random_range(0..4));
        if parties == 0 {
            return Self::Create { open, max_size };
        }
        // Mostly one of the last ones, which live.
        let party = parties - 1 - random.random_range(0..parties.min(4));
        let client = random.random_range(0..clients);
        match random.random_range(0..100) {
            0..8 => Self::Create { open, max_size },
            8..35 => Self::Join(party),
            35..45 => Self::Leave(party),
            45..60 => Self::Accept(party, client),
            60..68 => Self::Promote(party, client),
            68..76 => Self::Remove(party, client),
            76..78 => Self::Close(party),
            78..82 => Self::Requests(party),
            82..90 => Self::Send(party),
            90..96 => Self::Update { party, open },
            _ => Self::Disconnect,
        }
    }

    fn message(self, parties: &[String], presences: &[Value]) -> Value {
        let on = |party: usize| json!({ "party_id": parties[party] });
        let whom = |party: usize, client: usize| json!({ "party_id": parties[party], "presence": presences[client] });
        let body = match self {
            Self::Create { open, max_size } => {
                json!({ "party_create": { "open": open, "max_size": max_size } })
            }
            Self::Join(party) => json!({ "party_join": on(party) }),
            Self::Leave(party) => json!({ "party_leave": on(party) }),
            Self::Accept(party, client) => json!({ "party_accept": whom(party, client) }),
            Self::Promote(party, client) => json!({ "party_promote": whom(party, client) }),
            Self::Remove(party, client) => json!({ "party_remove": whom(party, client) }),
            Self::Close(party) => json!({ "party_close": on(party) }),
            Self::Requests(party) => json!({ "party_join_request_list": on(party) }),
            Self::Send(party) => {
                json!({ "party_data_send": { "party_id": parties[party], "op_code": "1" } })
            }
            Self::Update { party, open } => {
                json!({ "party_update": { "party_id": parties[party], "open": open } })
            }
            Self::Disconnect => json!({}),
        };
        let mut envelope = body;
        envelope["cid"] = json!("asked");
        envelope
    }
}

/// What a party is, by the rules: clients by number.
#[derive(Debug)]
struct Rules {
    open: bool,
    max_size: usize,
    leader: usize,
    members: Vec<usize>,
    requests: Vec<usize>,
}

/// All parties by number; those that ended are gone.
#[derive(Debug, Default)]
struct Model {
    parties: BTreeMap<usize, Rules>,
    made: usize,
}

impl Model {
    /// Does a step; why it is refused.
    fn step(
        &mut self,
        me: usize,
        step: Step,
        users: &[u128],
        gone: &[bool],
    ) -> Result<(), &'static str> {
        use Step::{
            Accept, Close, Create, Disconnect, Join, Leave, Promote, Remove, Requests, Send, Update,
        };
        let party = match step {
            Create { open, max_size } => {
                let max_size = max_size as usize;
                let members = if max_size > 0 { vec![me] } else { vec![] };
                let rules = Rules { open, max_size, leader: me, members, requests: vec![] };
                self.parties.insert(self.made, rules);
                self.made += 1;
                return Ok(());
            }
            Disconnect => {
                let parties: Vec<usize> = self.parties.keys().copied().collect();
                parties.into_iter().for_each(|party| self.leave(party, me));
                return Ok(());
            }
            Leave(party) => {
                self.leave(party, me);
                return Ok(());
            }
            Join(party) | Close(party) | Requests(party) | Send(party) => party,
            Accept(party, _) | Promote(party, _) | Remove(party, _) => party,
            Update { party, .. } => party,
        };
        let rules = self.parties.get_mut(&party).ok_or("party not found")?;
        let is_full = rules.members.len() >= rules.max_size;
        match step {
            Join(_) if is_full => return Err("party full"),
            Join(_) if rules.open => {
                if !rules.members.contains(&me) {
                    rules.members.push(me);
                }
            }
            Join(_) if rules.requests.len() >= rules.max_size => {
                return Err("party join requests full");
            }
            Join(_) if rules.requests.iter().any(|asked| users[*asked] == users[me]) => {
                return Err("party join request duplicate");
            }
            Join(_) => rules.requests.push(me),
            Send(_) if rules.members.contains(&me) => {}
            Send(_) => return Err("party member not found"),
            _ if rules.leader != me => return Err("party leader only"),
            Accept(..) if is_full => return Err("party full"),
            Accept(_, whom) => {
                let at = rules.requests.iter().position(|asked| *asked == whom);
                rules.requests.remove(at.ok_or("party join request not found")?);
                if gone[whom] {
                    return Err("party could not accept request");
                }
                if !rules.members.contains(&whom) {
                    rules.members.push(whom);
                }
            }
            Promote(_, whom) if rules.members.contains(&whom) => rules.leader = whom,
            Promote(..) => return Err("party member not found"),
            Remove(_, whom) if whom == me => return Err("party cannot remove self"),
            Remove(_, whom) => {
                let (members, requests) = (&mut rules.members, &mut rules.requests);
                match members.iter().position(|it| *it == whom) {
                    Some(at) => drop(members.remove(at)),
                    None => {
                        let at = requests.iter().position(|it| *it == whom);
                        requests.remove(at.ok_or("party member not found")?);
                    }
                }
            }
            Update { open, .. } => rules.open = open,
            Close(_) => drop(self.parties.remove(&party)),
            Requests(_) | Create { .. } | Leave(_) | Disconnect => {}
        }
        Ok(())
    }

    fn leave(&mut self, party: usize, who: usize) {
        let Some(rules) = self.parties.get_mut(&party) else { return };
        rules.members.retain(|member| *member != who);
        if rules.leader == who {
            match rules.members.first() {
                Some(oldest) => rules.leader = *oldest,
                None => drop(self.parties.remove(&party)),
            }
        }
    }
}

/// What a client believes of the parties it is in: who is in it and who leads it, by session id.
#[derive(Debug, Default)]
struct View(BTreeMap<String, (BTreeSet<String>, String)>);

impl View {
    /// Reads messages, of which one may acknowledge that the client left a party.
    fn read(&mut self, messages: &[Value], leaving: Option<&str>) {
        let id = |presence: &Value| presence["session_id"].as_str().unwrap().to_owned();
        let each = |list: &Value| list.as_array().into_iter().flatten().map(id).collect::<Vec<_>>();
        for message in messages {
            let Some((kind, body)) = message.as_object().unwrap().iter().find(|it| it.0 != "cid")
            else {
                leaving.filter(|_| message["cid"] == "asked").map(|party| self.0.remove(party));
                continue;
            };
            let Some(party) = body["party_id"].as_str() else { continue };
            match (kind.as_str(), self.0.get_mut(party)) {
                ("party", _) => {
                    let view =
                        (each(&body["presences"]).into_iter().collect(), id(&body["leader"]));
                    self.0.insert(party.to_owned(), view);
                }
                ("party_close", _) => drop(self.0.remove(party)),
                ("party_presence_event", Some((presences, _))) => {
                    presences.extend(each(&body["joins"]));
                    for left in each(&body["leaves"]) {
                        assert!(presences.remove(&left), "unknown left: {message}");
                    }
                }
                ("party_leader", Some((_, leader))) => *leader = id(&body["presence"]),
                ("party_data", view) => {
                    let (presences, _) = view.unwrap();
                    assert!(presences.contains(&id(&body["presence"])), "unknown sent: {message}");
                }
                // Told between joining and being told of the party, which then says it all.
                _ => {}
            }
        }
    }
}

/// A client with what it believes.
struct Player {
    client: Client,
    view: View,
}

impl Player {
    /// Does a step; what was answered to it, and the party that was made.
    async fn step(&mut self, step: Step, parties: &[String], presences: &[Value]) -> Option<Value> {
        self.read();
        if let Step::Disconnect = step {
            self.client.disconnect();
            self.view = View::default();
            return None;
        }
        self.client.send(step.message(parties, presences)).await;
        let messages = self.client.received();
        let leaving = match step {
            Step::Leave(party) => Some(parties[party].as_str()),
            _ => None,
        };
        self.view.read(&messages, leaving);
        messages.into_iter().find(|message| message["cid"] == "asked")
    }

    fn read(&mut self) {
        self.view.read(&self.client.received(), None);
    }
}

const CLIENTS: usize = 6;

fn players(cx: &Arc<Cx>) -> (Vec<Player>, Vec<u128>, Vec<Value>) {
    // The last two are sockets of one user.
    let users: Vec<u128> = (0..CLIENTS as u128).map(|it| it.min(CLIENTS as u128 - 2) + 1).collect();
    let connect = |user: &u128| Client::connect(cx, *user, &format!("user{user}"), false);
    let players: Vec<Player> =
        users.iter().map(|user| Player { client: connect(user), view: View::default() }).collect();
    let presences = players.iter().map(|player| player.client.presence()).collect();
    (players, users, presences)
}

fn session_ids(presences: &[Value], clients: &[usize]) -> BTreeSet<String> {
    clients.iter().map(|it| presences[*it]["session_id"].as_str().unwrap().to_owned()).collect()
}

/// Who is present in a party, by the tracker.
fn present(cx: &Cx, party: &str) -> BTreeSet<String> {
    let present = cx.tracker.list(&stream(party), true, true);
    present.into_iter().map(|presence| presence.session.id.to_string()).collect()
}

/// All that is believed is so: clients agree with the tracker, with each other and with the party.
fn check_views(cx: &Cx, players: &mut [Player], parties: &[String]) {
    for player in &mut *players {
        player.read();
    }
    for party in parties {
        let present = present(cx, party);
        let id = party.split_once('.').unwrap().0;
        let lives = cx.parties.get(Uuid::try_parse(id).unwrap(), "nakama").is_ok();
        assert_eq!(!present.is_empty(), lives, "a party without presences, or the other way");
        let mut leaders = BTreeSet::new();
        for player in &*players {
            let me = player.client.session.id.to_string();
            match player.view.0.get(party) {
                Some((presences, leader)) => {
                    assert_eq!(*presences, present, "{me} in {party}");
                    assert!(present.contains(leader), "{me} in {party}");
                    leaders.insert(leader);
                }
                None => assert!(!present.contains(&me), "{me} does not know of {party}"),
            }
        }
        assert!(leaders.len() <= 1, "{leaders:?} lead {party}");
    }
}

#[tokio::test]
async fn any_steps_are_answered_as_the_rules_say() {
    let cx = testing::cx(Config::default());
    for seed in 0..120 {
        let mut random = StdRng::seed_from_u64(seed);
        let (mut players, users, presences) = players(&cx);
        let (mut model, mut parties, mut gone) = (Model::default(), Vec::new(), [false; CLIENTS]);
        for at in 0..120 {
            let me = random.random_range(0..CLIENTS);
            if gone[me] {
                continue;
            }
            let step = Step::random(&mut random, parties.len(), CLIENTS);
            let wanted = model.step(me, step, &users, &gone);
            let answer = players[me].step(step, &parties, &presences).await;
            cx.tell_changes();
            gone[me] |= matches!(step, Step::Disconnect);
            let context = || format!("seed {seed}, step {at}: {me} does {step:?}");
            if let Some(answer) = answer {
                let refused = answer["error"]["message"].as_str();
                let reason = refused.map(|text| text.split_once(": ").unwrap().1);
                assert_eq!(reason, wanted.err(), "{}", context());
                match step {
                    Step::Create { .. } => {
                        parties.push(answer["party"]["party_id"].as_str().unwrap().to_owned());
                    }
                    Step::Requests(party) if wanted.is_ok() => {
                        let requests = &model.parties[&party].requests;
                        let wanted: Vec<&Value> =
                            requests.iter().map(|it| &presences[*it]).collect();
                        let shown = answer["party_join_request"]["presences"].as_array();
                        let shown: Vec<&Value> = shown.into_iter().flatten().collect();
                        assert_eq!(shown, wanted, "{}", context());
                    }
                    _ => {}
                }
            }
            for player in &mut players {
                player.read();
            }
            assert_eq!(cx.parties.count(), model.parties.len(), "{}", context());
            for (party, rules) in &model.parties {
                let (name, size) = (&parties[*party], rules.max_size);
                let leader = presences[rules.leader]["session_id"].as_str().unwrap();
                // One without places has its maker on the stream, who is no member.
                let there = if size == 0 { vec![rules.leader] } else { rules.members.clone() };
                let there = session_ids(&presences, &there);
                assert_eq!(present(&cx, name), there, "{}", context());
                for member in &rules.members {
                    let view = players[*member].view.0.get(name);
                    let wanted = (there.clone(), leader.to_owned());
                    assert_eq!(view, Some(&wanted), "{}: {member}", context());
                }
            }
        }
        check_views(&cx, &mut players, &parties);
        for player in &players {
            player.client.disconnect();
        }
        cx.tell_changes();
        assert_eq!((cx.parties.count(), cx.tracker.count()), (0, 0), "seed {seed}");
    }
}

#[tokio::test]
async fn events_told_late_leave_every_client_with_the_truth() {
    let cx = testing::cx(Config::default());
    for seed in 0..150 {
        let mut random = StdRng::seed_from_u64(seed);
        let (mut players, _, presences) = players(&cx);
        let (mut parties, mut gone) = (Vec::new(), [false; CLIENTS]);
        for _ in 0..120 {
            let me = random.random_range(0..CLIENTS);
            if gone[me] {
                continue;
            }
            let step = Step::random(&mut random, parties.len(), CLIENTS);
            gone[me] |= matches!(step, Step::Disconnect);
            let answer = players[me].step(step, &parties, &presences).await;
            if let (Step::Create { .. }, Some(answer)) = (step, answer) {
                parties.push(answer["party"]["party_id"].as_str().unwrap().to_owned());
            }
            if random.random_range(0..4) == 0 {
                cx.tell_changes();
                check_views(&cx, &mut players, &parties);
            }
        }
        cx.tell_changes();
        check_views(&cx, &mut players, &parties);
        for player in &players {
            player.client.disconnect();
        }
        cx.tell_changes();
        assert_eq!((cx.parties.count(), cx.tracker.count()), (0, 0), "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_act_at_once_are_left_with_the_truth() {
    let cx = testing::cx(Config::default());
    for seed in 0..10 {
        let (mut players, _, presences) = players(&cx);
        // Everybody makes a party first, so that all have the same to act on.
        let mut parties = Vec::new();
        for player in &mut players {
            for open in [true, false] {
                let step = Step::Create { open, max_size: 3 };
                let answer = player.step(step, &[], &presences).await.unwrap();
                parties.push(answer["party"]["party_id"].as_str().unwrap().to_owned());
            }
        }
        let (parties, presences) = (&parties, &presences);
        thread::scope(|scope| {
            for (me, player) in players.iter_mut().enumerate() {
                scope.spawn(move || {
                    let mut random = StdRng::seed_from_u64(seed * 100 + me as u64);
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    for _ in 0..400 {
                        let step = Step::random(&mut random, parties.len(), CLIENTS);
                        if matches!(step, Step::Create { .. } | Step::Disconnect) {
                            continue;
                        }
                        runtime.block_on(player.step(step, parties, presences));
                        if random.random_range(0..8) == 0 {
                            player.client.cx.tell_changes();
                        }
                    }
                });
            }
        });
        cx.tell_changes();
        check_views(&cx, &mut players, parties);
        for player in &players {
            player.client.disconnect();
        }
        cx.tell_changes();
        assert_eq!((cx.parties.count(), cx.tracker.count()), (0, 0), "seed {seed}");
    }
}
