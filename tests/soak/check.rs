//! Compares what the clients were told with what they know of themselves and with what the server says.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use parking_lot::Mutex;
use rand::{rngs::StdRng, seq::IteratorRandom as _};
use serde_json::{Value, json};

use super::{
    client::MARKS,
    view::{Kind, Place, View},
    wire::request,
    world::{History, Plan, Told},
};

/// How many histories are looked at in a round.
const HISTORIES: usize = 60;

/// Something does not agree.
#[derive(Clone, Debug)]
pub struct Difference {
    pub what: String,
    /// Where, in the words of the messages.
    pub about: String,
    /// What the clients whom it concerns did and heard.
    pub histories: Vec<Arc<Mutex<History>>>,
}

impl Difference {
    fn new(what: String, about: &str) -> Self {
        Self { what, about: about.to_owned(), histories: Vec::new() }
    }
}

/// A client that is connected.
struct Present<'a> {
    client: usize,
    view: &'a View,
    history: &'a Arc<Mutex<History>>,
}

/// What is so, as each client knows of itself.
pub struct Truth<'a> {
    present: Vec<Present<'a>>,
    /// Who is where, by session: the user, and whether it is hidden.
    pub places: BTreeMap<Place, BTreeMap<String, (String, bool)>>,
    /// The sessions that appear online, of each user.
    statuses: BTreeMap<String, BTreeMap<String, String>>,
    authoritative: BTreeSet<String>,
}

impl<'a> Truth<'a> {
    pub fn of(told: &'a [Told]) -> Self {
        let present: Vec<Present<'a>> = told
            .iter()
            .filter_map(|told| {
                let (view, history) = (told.view.as_ref()?, told.history.as_ref()?);
                Some(Present { client: told.client, view, history })
            })
            .collect();
        let mut truth = Self {
            present,
            places: BTreeMap::new(),
            statuses: BTreeMap::new(),
            authoritative: BTreeSet::new(),
        };
        for Present { view, .. } in &truth.present {
            for (place, stay) in &view.places {
                let here = truth.places.entry(place.clone()).or_default();
                here.insert(view.session.clone(), (view.user.clone(), stay.hidden));
                if stay.authoritative {
                    truth.authoritative.insert(place.id.clone());
                }
            }
            if let Some(status) = &view.status {
                let of_user = truth.statuses.entry(view.user.clone()).or_default();
                of_user.insert(view.session.clone(), status.clone());
            }
        }
        truth
    }

    pub fn sessions(&self) -> usize {
        self.present.len()
    }

    fn shown(&self, place: &Place) -> BTreeMap<String, String> {
        let here = self.places.get(place).into_iter().flatten();
        let shown = here.filter(|(_, (_, hidden))| !hidden);
        shown.map(|(session, (user, _))| (session.clone(), user.clone())).collect()
    }

    /// The presences that there must be: one for notifications, one for a status, and one a place.
    pub fn presences(&self) -> usize {
        let of = |view: &View| 1 + usize::from(view.status.is_some()) + view.places.len();
        self.present.iter().map(|present| of(present.view)).sum()
    }

    pub fn parties(&self) -> usize {
        self.places.keys().filter(|place| place.kind == Kind::Party).count()
    }

    /// Where what a client was told is not what the others know of themselves.
    pub fn views(&self) -> Vec<Difference> {
        let mut wrong = Vec::new();
        for Present { client, view, history } in &self.present {
            let mut differ = |what: String, about: &str| {
                let mut difference = Difference::new(
                    format!("client {client}, session {}: {what}", view.session),
                    about,
                );
                difference.histories.push(Arc::clone(history));
                wrong.push(difference);
            };
            for (place, stay) in &view.places {
                let shown = self.shown(place);
                if stay.members != shown {
                    differ(format!("{place}: {}", compare(&stay.members, &shown)), &place.id);
                }
                if place.kind == Kind::Party && !shown.contains_key(&stay.leader) {
                    differ(
                        format!("{place}: led by {:?}, who is not there", stay.leader),
                        &place.id,
                    );
                }
            }
            for (user, sessions) in &view.follows {
                let online = self.statuses.get(user).cloned().unwrap_or_default();
                if *sessions != online {
                    differ(format!("status of {user}: {}", compare(sessions, &online)), user);
                }
            }
            if view.own.get(&view.session) != view.status.as_ref() {
                let heard = view.own.get(&view.session);
                differ(format!("own status {:?}, heard {heard:?}", view.status), &view.session);
            }
            for ticket in &view.early {
                differ(format!("matched by the ticket {ticket}, which was never told"), ticket);
            }
        }
        self.leaders(&mut wrong);
        self.meetings(&mut wrong);
        // The other side of a difference, for its history.
        for difference in &mut wrong {
            let others = self.present.iter().filter(|present| {
                difference.what.contains(&format!("-{}", present.view.session))
                    || difference.what.contains(&format!("+{}", present.view.session))
            });
            let others: Vec<_> = others.map(|present| Arc::clone(present.history)).collect();
            difference.histories.extend(others.into_iter().take(2));
        }
        wrong
    }

    /// Whoever the matchmaker brought together was told of it, and of the same.
    fn meetings(&self, wrong: &mut Vec<Difference>) {
        let mut meetings: BTreeMap<&String, &BTreeSet<String>> = BTreeMap::new();
        for Present { client, view, history } in &self.present {
            for (token, sessions) in &view.met {
                let first = meetings.entry(token).or_insert(sessions);
                if *first != sessions {
                    let what =
                        format!("client {client} was matched with {sessions:?}, not {first:?}");
                    let mut difference = Difference::new(what, token);
                    difference.histories.push(Arc::clone(history));
                    wrong.push(difference);
                }
            }
        }
        for (token, sessions) in meetings {
            for Present { client, view, history } in &self.present {
                if sessions.contains(&view.session) && !view.met.contains_key(token) {
                    let what = format!("client {client} was not told that it was matched: {token}");
                    let mut difference = Difference::new(what, token);
                    difference.histories.push(Arc::clone(history));
                    wrong.push(difference);
                }
            }
        }
    }

    /// All members of a party have the same leader.
    fn leaders(&self, wrong: &mut Vec<Difference>) {
        let mut leaders: BTreeMap<&Place, BTreeMap<&str, &Present<'_>>> = BTreeMap::new();
        for present in &self.present {
            for (place, stay) in present.view.places.iter().filter(|it| it.0.kind == Kind::Party) {
                leaders.entry(place).or_default().insert(&stay.leader, present);
            }
        }
        for (place, leaders) in leaders.into_iter().filter(|(_, leaders)| leaders.len() > 1) {
            let names: Vec<&str> = leaders.keys().copied().collect();
            let mut difference = Difference::new(format!("{place}: leaders {names:?}"), &place.id);
            difference.histories.extend(leaders.values().map(|it| Arc::clone(it.history)));
            wrong.push(difference);
        }
    }

    /// Where what the server says is not what the clients know of themselves. `before` are places
    /// where somebody was once, `users` all there are.
    pub async fn tracker(
        &self,
        plan: Plan,
        before: &BTreeSet<Place>,
        users: &[String],
    ) -> Vec<Difference> {
        let mut wrong = Vec::new();
        let places: BTreeSet<&Place> = before.iter().chain(self.places.keys()).collect();
        let mut wanted: Vec<(Value, String, BTreeSet<String>)> = Vec::new();
        for place in places {
            let here = self.places.get(place).into_iter().flatten();
            let lines = here.map(|(session, (_, hidden))| {
                format!("{session} {} ", if *hidden { "hidden" } else { "shown" })
            });
            wanted.push((place.stream(), place.id.clone(), lines.collect()));
        }
        for user in users {
            let stream = |mode: u8| json!({ "mode": mode, "subject": user, "label": "" });
            let online = self.statuses.get(user).into_iter().flatten();
            let lines = online.map(|(session, status)| format!("{session} shown {status}"));
            wanted.push((stream(1), user.clone(), lines.collect()));
            let of_user = self.present.iter().filter(|present| present.view.user == *user);
            let lines = of_user.map(|present| format!("{} hidden ", present.view.session));
            wanted.push((stream(0), user.clone(), lines.collect()));
        }
        for some in wanted.chunks(200) {
            let streams: Vec<&Value> = some.iter().map(|(stream, ..)| stream).collect();
            let answer = rpc(plan, "present", &json!({ "streams": streams })).await;
            let answer: Vec<String> =
                serde_json::from_value(answer["streams"].clone()).unwrap_or_default();
            if answer.len() != some.len() {
                wrong.push(Difference::new(
                    format!("{} of {} answers", answer.len(), some.len()),
                    "",
                ));
            }
            for ((stream, about, wanted), present) in some.iter().zip(answer) {
                let present: BTreeSet<String> = present.lines().map(str::to_owned).collect();
                if present != *wanted {
                    let list = |set: &BTreeSet<String>| {
                        set.iter().map(|line| (line.clone(), String::new())).collect()
                    };
                    let text = compare(&list(&present), &list(wanted));
                    let mut difference =
                        Difference::new(format!("the tracker of {stream}: {text}"), about);
                    let concerned =
                        self.present.iter().filter(|it| text.contains(&it.view.session));
                    let histories = concerned.map(|it| Arc::clone(it.history));
                    difference.histories.extend(histories.take(2));
                    wrong.push(difference);
                }
            }
        }
        self.matches(plan, &mut wrong).await;
        for (name, wanted) in [
            ("sessions", self.sessions()),
            ("presences", self.presences()),
            ("parties", self.parties()),
        ] {
            let value = metric(plan, name).await;
            if value != Some(wanted as u64) {
                wrong
                    .push(Difference::new(format!("metric {name} is {value:?}, not {wanted}"), ""));
            }
        }
        wrong
    }

    /// The authoritative matches are listed with as many members as they have.
    async fn matches(&self, plan: Plan, wrong: &mut Vec<Difference>) {
        let listed = rpc(plan, "matches", &json!("")).await;
        let listed: BTreeMap<&str, usize> = listed
            .as_str()
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(id, size)| (id, size.parse().unwrap_or(usize::MAX)))
            .collect();
        for id in &self.authoritative {
            let size = self.places.get(&Place::new(Kind::Match, id)).map_or(0, BTreeMap::len);
            let shown = listed.get(id.as_str());
            if shown != Some(&size) {
                let what = format!("match {id} is listed with {shown:?} members, not {size}");
                wrong.push(Difference::new(what, id));
            }
        }
        for (id, size) in listed.iter().filter(|(id, _)| !self.authoritative.contains(**id)) {
            if *size > 0 {
                let what = format!("match {id} is listed with {size} members, and has none");
                wrong.push(Difference::new(what, id));
            }
        }
    }

    /// What is missing, doubled or out of order of a round's marks. All receivers get those of all
    /// senders in one order.
    pub fn marks(&self, round: u32) -> Vec<Difference> {
        let mut wrong = Vec::new();
        let mut orders: BTreeMap<&Place, Vec<(&Present<'_>, Vec<&str>)>> = BTreeMap::new();
        let prefix = format!("{round} ");
        for present in &self.present {
            for (place, stay) in &present.view.places {
                let came = present.view.marks.iter().filter(|(at, _)| at == place);
                let came: Vec<&str> =
                    came.filter_map(|(_, mark)| mark.strip_prefix(&prefix)).collect();
                // Who sends gets an echo in channels, and from the handlers of the soak.
                let echo = place.kind == Kind::Channel || stay.authoritative;
                for sender in self.places.get(place).into_iter().flat_map(BTreeMap::keys) {
                    let of_sender = came.iter().filter(|mark| mark.ends_with(sender.as_str()));
                    let numbers: Vec<&str> =
                        of_sender.filter_map(|mark| mark.split(' ').next()).collect();
                    let most = if echo || *sender != present.view.session { MARKS } else { 0 };
                    let wanted: Vec<String> = (1..=most).map(|number| number.to_string()).collect();
                    if numbers != wanted {
                        let what = format!(
                            "client {} got of {sender} in {place} the marks {numbers:?}, not {wanted:?}",
                            present.client
                        );
                        let mut difference = Difference::new(what, &format!("mark {round}"));
                        difference.histories.push(Arc::clone(present.history));
                        wrong.push(difference);
                    }
                }
                orders.entry(place).or_default().push((present, came));
            }
        }
        for (place, receivers) in orders {
            let Some(((first, one), others)) = receivers.split_first() else { continue };
            for (second, two) in others {
                let of_others = |marks: &[&str]| -> Vec<String> {
                    let own = [&first.view.session, &second.view.session];
                    let strange =
                        |mark: &&&str| !own.iter().any(|own| mark.ends_with(own.as_str()));
                    marks.iter().filter(strange).map(|mark| (*mark).to_owned()).collect()
                };
                if of_others(one) == of_others(two) {
                    continue;
                }
                let (first, second) = (first.client, second.client);
                let what = format!("clients {first} and {second} got other orders in {place}");
                wrong.push(Difference::new(what, &place.id));
            }
        }
        wrong
    }
}

impl Truth<'_> {
    /// Where a channel's history has not the marks of a round that were to be kept; of some channels.
    pub async fn histories(&self, plan: Plan, round: u32, rng: &mut StdRng) -> Vec<Difference> {
        let channels = self.places.iter().filter(|(place, _)| place.kind == Kind::Channel);
        let channels = channels.choose_multiple(rng, HISTORIES);
        let mut wrong = Vec::new();
        for (place, here) in channels {
            let mut wanted = Vec::new();
            for Present { view, .. } in &self.present {
                if view.places.get(place).is_some_and(|stay| stay.persistent) {
                    let session = &view.session;
                    wanted.extend((1..=MARKS).map(|at| format!("mark {round} {at} {session}")));
                }
            }
            // Others may have spoken when the first marks were sent.
            let count = here.len() * MARKS as usize + 100;
            let asked = json!({ "channel": place.id, "count": count });
            let kept = rpc(plan, "history", &asked).await;
            let prefix = format!("mark {round} ");
            let kept: Vec<String> = kept.as_str().map_or_else(
                || vec![kept.to_string()],
                |kept| {
                    kept.lines().filter(|it| it.starts_with(&prefix)).map(str::to_owned).collect()
                },
            );
            // By sender, in the order in which they are kept.
            let by_sender = |mut marks: Vec<String>| {
                marks.sort_by_key(|mark| mark.rsplit(' ').next().map(str::to_owned));
                marks
            };
            let (kept, wanted) = (by_sender(kept), by_sender(wanted));
            if kept != wanted {
                let what = format!("the history of {place} has {kept:?}, not {wanted:?}");
                wrong.push(Difference::new(what, &place.id));
            }
        }
        wrong
    }
}

/// What is too much (+) and what is missing (-).
fn compare(seen: &BTreeMap<String, String>, is: &BTreeMap<String, String>) -> String {
    let mut parts = Vec::new();
    for (key, value) in seen {
        match is.get(key) {
            Some(other) if other == value => {}
            Some(other) => parts.push(format!("{key} is {other:?}, seen as {value:?}")),
            None => parts.push(format!("+{key} is not there")),
        }
    }
    let missing = is.keys().filter(|key| !seen.contains_key(*key));
    parts.extend(missing.map(|key| format!("-{key} is not seen")));
    parts.join(", ")
}

/// Calls a module's function by the HTTP key.
pub async fn rpc(plan: Plan, id: &str, payload: &Value) -> Value {
    let path = format!("/v2/rpc/{id}?unwrap&http_key=defaulthttpkey");
    match request(plan.port, "POST", &path, "", Some(payload)).await {
        Ok((200, answer)) => answer,
        other => json!({ "failed": format!("{other:?}") }),
    }
}

/// The value of a metric without labels of its own.
pub async fn metric(plan: Plan, name: &str) -> Option<u64> {
    let (_, page) = request(plan.metrics_port, "GET", "/", "", None).await.ok()?;
    let name = format!("nakama_{name}{{");
    let line = page.as_str()?.lines().find(|line| line.starts_with(&name))?;
    line.rsplit_once(' ')?.1.parse().ok()
}
