//! What a client was told: who is where, by the answers to its joins and the events behind them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use guildhall_proto::realtime::{
    ChannelLeave, Envelope, MatchData, MatchLeave, MatchmakerMatched, PartyLeave, UserPresence,
    envelope::Message, matchmaker_matched::Id,
};
use serde_json::Value;

/// The op codes by which the handlers of the soak tell a member that it is out, and that all are.
const OUT: i64 = 90;
const OVER: i64 = 91;

/// Where sessions meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Channel,
    Match,
    Party,
}

/// One room, match or party.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub kind: Kind,
    pub id: String,
}

impl Place {
    pub fn new(kind: Kind, id: &str) -> Self {
        Self { kind, id: id.to_owned() }
    }

    /// What leaves it.
    pub fn leaving(&self) -> Message {
        let id = self.id.clone();
        match self.kind {
            Kind::Channel => Message::ChannelLeave(ChannelLeave { channel_id: id }),
            Kind::Match => Message::MatchLeave(MatchLeave { match_id: id }),
            Kind::Party => Message::PartyLeave(PartyLeave { party_id: id }),
        }
    }

    /// The stream that it is, as modules name it: mode, subject, subcontext and label.
    pub fn stream(&self) -> Value {
        let (mode, rest) = match self.kind {
            Kind::Channel => self.id.split_once('.').unwrap_or_default(),
            Kind::Match if self.id.ends_with('.') => ("5", self.id.as_str()),
            Kind::Match => ("6", self.id.as_str()),
            Kind::Party => ("7", self.id.as_str()),
        };
        let mut parts = rest.splitn(if self.kind == Kind::Channel { 3 } else { 2 }, '.');
        let subject = parts.next().unwrap_or_default();
        let subcontext = if self.kind == Kind::Channel { parts.next() } else { None };
        let label = parts.next().unwrap_or_default();
        let mut stream = serde_json::json!({ "mode": mode.parse::<u8>().unwrap(), "label": label });
        for (name, id) in [("subject", subject), ("subcontext", subcontext.unwrap_or_default())] {
            if !id.is_empty() {
                stream[name] = Value::from(id);
            }
        }
        stream
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.kind, self.id)
    }
}

/// A stay somewhere.
#[derive(Clone, Debug, Default)]
pub struct Stay {
    /// Who else is seen there, and oneself: the user of each session.
    pub members: BTreeMap<String, String>,
    /// Whether oneself is not seen.
    pub hidden: bool,
    /// Whether what oneself says in the channel is kept.
    pub persistent: bool,
    /// Who leads a party.
    pub leader: String,
    /// Of a match: whether a handler runs it.
    pub authoritative: bool,
}

/// All that one session was told.
#[derive(Clone, Debug, Default)]
pub struct View {
    pub user: String,
    pub session: String,
    /// The status that the session set, if it appears online.
    pub status: Option<String>,
    /// The statuses of the own user's sessions, as far as they were heard.
    pub own: BTreeMap<String, String>,
    pub places: BTreeMap<Place, Stay>,
    /// The sessions of followed users, with their status.
    pub follows: BTreeMap<String, BTreeMap<String, String>>,
    /// Tickets of the matchmaker.
    pub tickets: BTreeSet<String>,
    /// Tickets that were matched before they were told.
    pub early: BTreeSet<String>,
    /// What was matched and not yet looked at.
    pub matched: Vec<MatchmakerMatched>,
    /// Who asked to be let into a party that the session leads.
    pub requests: Vec<(String, UserPresence)>,
    /// Marks that came, in their order.
    pub marks: Vec<(Place, String)>,
    /// What can not have come by the rules.
    pub complaints: Vec<String>,
    /// Whether the server lets a session be in one match and one party only.
    pub single: bool,
    /// The marks of the messages by which it joins matches.
    pub joins: BTreeSet<String>,
    /// Authoritative matches that it has left. Their handlers hear of that a little later, as in the
    /// reference, and until then send it what they send to all.
    pub left_lately: BTreeSet<Place>,
    /// How much of that came.
    pub late: u64,
    /// Where nothing is known for a while: events may still come.
    uncertain: BTreeSet<Place>,
    /// Set while a channel or a match is being entered, hidden or not: events may come before the
    /// answer.
    pub enters: Option<bool>,
    /// Parties that it asked to be let into and was not yet shown, of which events may come as well.
    pub enters_parties: BTreeSet<Place>,
    /// How many such events came.
    pub hasty: u64,
    /// Where it was to meet others, by the matchmaker: the token, and the sessions.
    pub met: BTreeMap<String, BTreeSet<String>>,
    /// Whom the session asked to follow, until the answer.
    pub asked: BTreeSet<String>,
    /// Users that a follow or unfollow is on its way for.
    pub unfollowing: BTreeSet<String>,
}

impl View {
    /// Of a session that has just begun, online or not.
    pub fn new(user: &str, status: bool, single: bool) -> Self {
        let status = status.then(String::new);
        Self { user: user.to_owned(), status, single, ..Self::default() }
    }

    /// With one place of a kind only, leaves all for a new one, of which nobody is told.
    fn only_in(&mut self, place: &Place) {
        if self.single && !self.places.contains_key(place) {
            for other in self.of(place.kind) {
                self.left(&other);
                self.uncertain.insert(other);
            }
        }
    }

    /// The places of a kind.
    pub fn of(&self, kind: Kind) -> Vec<Place> {
        self.places.keys().filter(|place| place.kind == kind).cloned().collect()
    }

    /// Forgets a place that the session has left, by its own message that is answered.
    pub fn left(&mut self, place: &Place) {
        if self.places.remove(place).is_some_and(|stay| stay.authoritative) {
            self.left_lately.insert(place.clone());
        }
        self.uncertain.remove(place);
        self.enters_parties.remove(place);
    }

    /// Forgets a place that the session is about to be out of, or is already: events may still come.
    pub fn out_of(&mut self, place: &Place) {
        self.places.remove(place);
        self.uncertain.insert(place.clone());
    }

    /// Whether the session is, or is about to be, out of a place without its own doing.
    pub fn is_uncertain(&self, place: &Place) -> bool {
        self.uncertain.contains(place) && !self.single
    }

    /// Nothing more comes of places that the session is out of.
    pub fn certain(&mut self, place: &Place) {
        self.uncertain.remove(place);
    }

    fn enter(&mut self, place: Place, presences: &[UserPresence]) -> &mut Stay {
        self.uncertain.remove(&place);
        self.enters_parties.remove(&place);
        let stay = self.places.entry(place).or_default();
        stay.members = presences.iter().map(named).collect();
        stay
    }

    /// The stay at a place of which an event came.
    fn stay(&mut self, place: &Place, what: &str) -> Option<&mut Stay> {
        if !self.places.contains_key(place) && !self.uncertain.contains(place) {
            if self.enters.is_some() || self.enters_parties.contains(place) {
                self.hasty += 1;
            } else {
                self.complaints.push(format!("{what} of {place}, where it is not"));
            }
        }
        self.places.get_mut(place)
    }

    fn change(&mut self, place: Place, joins: &[UserPresence], leaves: &[UserPresence]) {
        if let Some(stay) = self.stay(&place, "a presence event") {
            for presence in leaves {
                stay.members.remove(&presence.session_id);
            }
            stay.members.extend(joins.iter().map(named));
        }
    }

    fn marked(&mut self, place: Place, text: &str) {
        if let Some(mark) = text.strip_prefix("mark ") {
            self.marks.push((place, mark.to_owned()));
        }
    }

    /// Takes in what came.
    pub fn hear(&mut self, envelope: &Envelope) {
        let Some(message) = &envelope.message else { return };
        match message {
            Message::Channel(channel) => {
                let place = Place::new(Kind::Channel, &channel.id);
                let hidden = match self.places.get(&place) {
                    Some(before) => before.hidden,
                    None => self.enters == Some(true),
                };
                let own = channel.self_.clone().unwrap_or_default();
                let (persistent, own) = (own.persistence, named(&own));
                // An answer to who was there before has what it asked for, which changed nothing.
                let persistent = self.places.get(&place).map_or(persistent, |it| it.persistent);
                let stay = self.enter(place, &channel.presences);
                stay.hidden = hidden;
                stay.persistent = persistent;
                if !hidden {
                    stay.members.extend([own]);
                }
            }
            Message::ChannelPresenceEvent(event) => {
                let place = Place::new(Kind::Channel, &event.channel_id);
                self.change(place, &event.joins, &event.leaves);
            }
            Message::ChannelMessage(said) => {
                let place = Place::new(Kind::Channel, &said.channel_id);
                self.stay(&place, "a message");
                let content: Value = serde_json::from_str(&said.content).unwrap_or_default();
                self.marked(place, content["mark"].as_str().unwrap_or_default());
            }
            Message::Match(shown) => {
                let own = named(shown.self_.as_ref().unwrap_or(&UserPresence::default()));
                let place = Place::new(Kind::Match, &shown.match_id);
                // Who makes a match stays where it is.
                if self.joins.remove(&envelope.cid) {
                    self.only_in(&place);
                }
                let stay = self.enter(place, &shown.presences);
                stay.members.extend([own]);
                stay.authoritative = shown.authoritative;
            }
            Message::MatchPresenceEvent(event) => {
                let place = Place::new(Kind::Match, &event.match_id);
                self.change(place, &event.joins, &event.leaves);
            }
            Message::MatchData(data) => self.hear_match(data),
            Message::Party(party) => {
                let leader = party.leader.as_ref().map(|leader| leader.session_id.clone());
                let place = Place::new(Kind::Party, &party.party_id);
                self.only_in(&place);
                let stay = self.enter(place, &party.presences);
                stay.leader = leader.unwrap_or_default();
            }
            Message::PartyPresenceEvent(event) => {
                let place = Place::new(Kind::Party, &event.party_id);
                self.change(place, &event.joins, &event.leaves);
            }
            // Who has just joined may hear of these before it is shown the party.
            Message::PartyLeader(event) => {
                let place = Place::new(Kind::Party, &event.party_id);
                let leader = event.presence.as_ref().map(|leader| leader.session_id.clone());
                if let Some(stay) = self.places.get_mut(&place) {
                    stay.leader = leader.unwrap_or_default();
                }
            }
            Message::PartyClose(event) => self.left(&Place::new(Kind::Party, &event.party_id)),
            Message::PartyData(data) => {
                let place = Place::new(Kind::Party, &data.party_id);
                self.stay(&place, "data");
                self.marked(place, &String::from_utf8_lossy(&data.data));
            }
            Message::PartyJoinRequest(request) => {
                let asked = request.presences.iter();
                self.requests.extend(asked.map(|who| (request.party_id.clone(), who.clone())));
                let len = self.requests.len();
                self.requests.drain(..len.saturating_sub(20));
            }
            Message::PartyMatchmakerTicket(ticket) => self.hear_ticket(&ticket.ticket),
            Message::MatchmakerTicket(ticket) => self.hear_ticket(&ticket.ticket),
            Message::MatchmakerMatched(matched) => self.hear_matched(matched),
            Message::Status(status) => {
                for user in std::mem::take(&mut self.asked) {
                    let of_user = status.presences.iter().filter(|it| it.user_id == user);
                    self.follows.insert(user.clone(), of_user.map(stated).collect());
                }
            }
            Message::StatusPresenceEvent(event) => {
                event.leaves.iter().for_each(|presence| self.hear_status(presence, false));
                event.joins.iter().for_each(|presence| self.hear_status(presence, true));
            }
            Message::Error(error) if envelope.cid.is_empty() => {
                self.complaints.push(format!("an error that nobody asked for: {error:?}"));
            }
            _ => {}
        }
    }

    fn hear_match(&mut self, data: &MatchData) {
        let place = Place::new(Kind::Match, &data.match_id);
        if !self.places.contains_key(&place) && self.left_lately.contains(&place) {
            self.late += 1;
            return;
        }
        let authoritative = self.stay(&place, "data").is_some_and(|stay| stay.authoritative);
        if authoritative && data.presence.is_none() && matches!(data.op_code, OUT | OVER) {
            self.out_of(&place);
        }
        self.marked(place, &String::from_utf8_lossy(&data.data));
    }

    /// A match may be made before its ticket is told.
    fn hear_ticket(&mut self, ticket: &str) {
        if !self.early.remove(ticket) {
            self.tickets.insert(ticket.to_owned());
        }
    }

    fn hear_matched(&mut self, matched: &MatchmakerMatched) {
        let me = |who: &UserPresence| who.session_id == self.session && who.user_id == self.user;
        let users = &matched.users;
        if !users.iter().filter_map(|user| user.presence.as_ref()).any(me) {
            self.complaints.push(format!("matched without being among the users: {matched:?}"));
        }
        if !self.tickets.remove(&matched.ticket) {
            self.early.insert(matched.ticket.clone());
        }
        match &matched.id {
            Some(Id::Token(token)) => {
                let sessions = users.iter().filter_map(|user| user.presence.as_ref());
                let sessions = sessions.map(|presence| presence.session_id.clone()).collect();
                self.met.insert(token.clone(), sessions);
            }
            _ => self.complaints.push(format!("matched without a token: {matched:?}")),
        }
        self.matched.push(matched.clone());
    }

    fn hear_status(&mut self, presence: &UserPresence, joins: bool) {
        let (session, status) = stated(presence);
        let sessions = match presence.user_id == self.user {
            true => Some(&mut self.own),
            false => self.follows.get_mut(&presence.user_id),
        };
        match sessions {
            Some(sessions) if joins => {
                sessions.insert(session, status);
            }
            Some(sessions) => {
                sessions.remove(&session);
            }
            None => {
                let user = &presence.user_id;
                if !self.asked.contains(user) && !self.unfollowing.contains(user) {
                    self.complaints.push(format!("the status of {user}, whom it does not follow"));
                }
            }
        }
    }
}

fn named(presence: &UserPresence) -> (String, String) {
    (presence.session_id.clone(), presence.user_id.clone())
}

fn stated(presence: &UserPresence) -> (String, String) {
    (presence.session_id.clone(), presence.status.clone().unwrap_or_default())
}
