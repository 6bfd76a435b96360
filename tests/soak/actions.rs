//! What a client of the soak does of its own accord.

use guildhall_proto::realtime::{
    ChannelJoin, ChannelMessageRemove, ChannelMessageSend, ChannelMessageUpdate, MatchCreate,
    MatchDataSend, MatchJoin, MatchmakerAdd, MatchmakerRemove, PartyAccept, PartyClose,
    PartyCreate, PartyDataSend, PartyJoin, PartyJoinRequestList, PartyMatchmakerAdd,
    PartyMatchmakerRemove, PartyPromote, PartyRemove, PartyUpdate, StatusFollow, StatusUnfollow,
    StatusUpdate, UserPresence, envelope::Message, match_join, matchmaker_matched,
};
use rand::{Rng, rngs::StdRng, seq::IteratorRandom as _};
use serde_json::json;

use super::{
    client::{Client, Line},
    view::{Kind, Place},
    wire::{Ended, request},
};

pub type Done = Result<(), Ended>;

/// What a client can do, and how often it does so beside the others.
const ACTIONS: &[(Action, u32)] = &[
    (Action::Room, 8),
    (Action::Direct, 3),
    (Action::Group, 3),
    (Action::LeaveGroup, 1),
    (Action::Leave, 8),
    (Action::Say, 14),
    (Action::Reword, 4),
    (Action::Status, 5),
    (Action::Follow, 4),
    (Action::Unfollow, 2),
    (Action::MakeMatch, 3),
    (Action::MakeHall, 3),
    (Action::JoinMatch, 7),
    (Action::Data, 14),
    (Action::Wait, 4),
    (Action::StopWaiting, 1),
    (Action::MakeParty, 3),
    (Action::JoinParty, 6),
    (Action::LeadParty, 7),
    (Action::PartyData, 6),
    (Action::Rpc, 5),
    (Action::Rest, 5),
    (Action::Burst, 6),
    (Action::Flicker, 2),
    (Action::EnterAndLeaveGroup, 2),
    (Action::Kill, 1),
    (Action::LogOut, 1),
    (Action::DeleteAccount, 1),
    (Action::Disconnect, 3),
    (Action::Nap, 8),
    (Action::Drown, 2),
];

#[derive(Clone, Copy)]
enum Action {
    Room,
    Direct,
    Group,
    LeaveGroup,
    Leave,
    Say,
    Reword,
    Status,
    Follow,
    Unfollow,
    MakeMatch,
    MakeHall,
    JoinMatch,
    Data,
    Wait,
    StopWaiting,
    MakeParty,
    JoinParty,
    LeadParty,
    PartyData,
    Rpc,
    Rest,
    Burst,
    Flicker,
    EnterAndLeaveGroup,
    Kill,
    LogOut,
    DeleteAccount,
    Disconnect,
    Nap,
    Drown,
}

/// At most so many places of a kind for each client.
const PLACES: usize = 4;
/// Why a join of a match may be refused: it ends meanwhile.
pub const NO_MATCH: &[&str] = &[
    "Match not found",
    "Match join rejected",
    "Match is not currently accepting join requests",
    "it ends",
];
/// Why anything with a party may be refused: somebody else has done something to it.
pub const NO_PARTY: &[&str] = &[
    "party not found",
    "party closed",
    "party full",
    "party leader only",
    "party member not found",
    "party join request duplicate",
    "party join requests full",
    "party join request not found",
    "party could not accept request",
    "matchmaker ticket not found",
];

pub fn pick<T: Clone>(items: &[T], rng: &mut StdRng) -> Option<T> {
    items.iter().choose(rng).cloned()
}

impl Client {
    /// Does something.
    pub async fn act(&mut self) -> Done {
        let sum: u32 = ACTIONS.iter().map(|(_, weight)| weight).sum();
        let mut at = self.rng.random_range(0..sum);
        let chosen = ACTIONS.iter().find(|(_, weight)| {
            let here = at < *weight;
            at = at.saturating_sub(*weight);
            here
        });
        let Some((action, _)) = chosen else { return Ok(()) };
        if matches!(action, Action::Disconnect) {
            self.disconnect().await;
            return Ok(());
        }
        // Taken out, so that what follows may use both; put back whatever comes of it.
        let Some(mut line) = self.line.take() else { return Ok(()) };
        let done = self.act_on(*action, &mut line).await;
        self.line = Some(line);
        done
    }

    async fn act_on(&mut self, action: Action, line: &mut Line) -> Done {
        if !line.view.matched.is_empty() && self.rng.random_bool(0.7) {
            return self.meet(line).await;
        }
        match action {
            Action::Room => self.room(line).await,
            Action::Direct => {
                let other = self.world.anybody(&mut self.rng).id;
                if other == self.user.id {
                    return Ok(());
                }
                self.enter(line, other, 2, "direct").await
            }
            Action::Group => self.group(line).await,
            Action::LeaveGroup => self.leave_group(line).await,
            Action::Leave => {
                let places: Vec<Place> = line.view.places.keys().cloned().collect();
                match pick(&places, &mut self.rng) {
                    Some(place) if places.len() > 2 => line.leave(&place).await,
                    _ => Ok(()),
                }
            }
            Action::Say => self.say(line).await,
            Action::Reword => self.reword(line).await,
            Action::Status => {
                let status = match self.rng.random_range(0..4) {
                    0 => None,
                    number => Some(format!("status {number}")),
                };
                let update = StatusUpdate { status: status.clone() };
                line.ask("status", Message::StatusUpdate(update), &[]).await?;
                line.view.status = status;
                Ok(())
            }
            Action::Follow => self.follow(line).await,
            Action::Unfollow => self.unfollow(line).await,
            Action::MakeMatch => self.make_match(line).await,
            Action::MakeHall => self.make_hall(line).await,
            Action::JoinMatch => self.join_match(line).await,
            Action::Data => self.data(line).await,
            Action::Wait => self.wait(line).await,
            Action::StopWaiting => {
                let Some(ticket) = line.view.tickets.iter().choose(&mut self.rng).cloned() else {
                    return Ok(());
                };
                // One of a party is not the session's own.
                let remove = MatchmakerRemove { ticket: ticket.clone() };
                let not_found = &["Matchmaker ticket not found"];
                line.ask("stop waiting", Message::MatchmakerRemove(remove), not_found).await?;
                Ok(())
            }
            Action::MakeParty => self.make_party(line).await,
            Action::JoinParty => self.join_party(line).await,
            Action::LeadParty => self.lead_party(line).await,
            Action::PartyData => {
                let Some(party) = pick(&line.view.of(Kind::Party), &mut self.rng) else {
                    return Ok(());
                };
                let data = self.text("party").into_bytes().into();
                let send = PartyDataSend { party_id: party.id, op_code: 7, data };
                line.ask("party data", Message::PartyDataSend(send), NO_PARTY).await?;
                Ok(())
            }
            Action::Rpc => {
                let id = if self.rng.random_bool(0.5) { "echo_lua" } else { "echo_js" };
                let payload = self.text("rpc");
                let answer = line.rpc(id, &payload).await?;
                if answer != payload {
                    line.finding(&format!("{id} answered {answer:?} to {payload:?}"), "");
                }
                Ok(())
            }
            Action::Rest => self.rest(line).await,
            Action::Burst => self.burst(line).await,
            Action::Flicker => self.flicker(line).await,
            Action::EnterAndLeaveGroup if self.solo => self.enter_and_leave_group(line).await,
            Action::Kill => self.kill(line).await,
            Action::LogOut if self.solo => self.log_out(line).await,
            Action::DeleteAccount if self.solo => self.delete_account(line).await,
            Action::Nap if self.slow => {
                line.nap(self.rng.random_range(500..3500)).await;
                Ok(())
            }
            Action::Drown if self.slow => line.drown().await,
            // Not for this client, or done already.
            Action::LogOut
            | Action::DeleteAccount
            | Action::EnterAndLeaveGroup
            | Action::Nap
            | Action::Drown
            | Action::Disconnect => Ok(()),
        }
    }

    /// Some text, of any length up to half a message's.
    fn text(&mut self, what: &str) -> String {
        let length = if self.rng.random_bool(0.1) { self.rng.random_range(0..1800) } else { 20 };
        format!("{what} {} {}", self.rng.random::<u32>(), "é".repeat(length / 2))
    }
}

/// Chat and status.
impl Client {
    async fn room(&mut self, line: &mut Line) -> Done {
        let rooms = (self.world.plan.sockets / 12).max(2);
        // The first ones are crowded.
        let chosen = self.rng.random_range(0.0..1.0_f64).powi(2) * rooms as f64;
        let room = format!("room-{}", chosen as usize);
        self.enter(line, room, 1, "room").await
    }

    async fn enter(&mut self, line: &mut Line, target: String, kind: i32, what: &str) -> Done {
        if line.view.of(Kind::Channel).len() >= PLACES {
            return Ok(());
        }
        let hidden = self.rng.random_bool(0.1);
        line.view.enters = Some(hidden);
        let join = ChannelJoin {
            target,
            r#type: kind,
            persistence: Some(self.rng.random_bool(0.6)),
            hidden: Some(hidden),
        };
        // The other one's account may have been deleted.
        let refusals: &[&str] = if kind == 2 { &["Invalid channel target"] } else { &[] };
        line.ask(&format!("enter a {what}"), Message::ChannelJoin(join), refusals).await?;
        line.view.enters = None;
        Ok(())
    }

    async fn group(&mut self, line: &mut Line) -> Done {
        let Some(group) = pick(&self.world.groups, &mut self.rng) else { return Ok(()) };
        if !self.join_group(line, &group).await {
            return Ok(());
        }
        self.enter(line, group, 3, "group").await
    }

    /// Becomes a member of a group.
    pub async fn join_group(&mut self, line: &Line, group: &str) -> bool {
        if self.groups.iter().any(|own| own == group) {
            return true;
        }
        let joined = self.call_rest("POST", &format!("/v2/group/{group}/join"), None, line).await;
        if joined {
            self.groups.push(group.to_owned());
        }
        joined
    }

    /// Leaves a group, and with it its channel: of which the one who leaves is not told.
    async fn leave_group(&mut self, line: &mut Line) -> Done {
        if !self.solo || self.groups.is_empty() {
            return Ok(());
        }
        let group = self.groups.swap_remove(self.rng.random_range(0..self.groups.len()));
        let place = Place::new(Kind::Channel, &format!("3.{group}.."));
        line.view.out_of(&place);
        line.note(format!("leaves the group {group}"));
        self.call_rest("POST", &format!("/v2/group/{group}/leave"), None, line).await;
        line.drain().await?;
        line.view.certain(&place);
        Ok(())
    }

    async fn say(&mut self, line: &mut Line) -> Done {
        let Some(channel) = pick(&line.view.of(Kind::Channel), &mut self.rng) else {
            return Ok(());
        };
        let content = json!({ "text": self.text("chat") }).to_string();
        let send = ChannelMessageSend { channel_id: channel.id.clone(), content };
        let sent = line.ask("say", Message::ChannelMessageSend(send), &[]).await?;
        if let Some(Message::ChannelMessageAck(ack)) = sent {
            line.said.push((channel.id, ack.message_id));
        }
        Ok(())
    }

    /// Changes or takes back what it said.
    async fn reword(&mut self, line: &mut Line) -> Done {
        let here = |said: &&(String, String)| {
            line.view.places.contains_key(&Place::new(Kind::Channel, &said.0))
        };
        let chosen = line.said.iter().filter(here).choose(&mut self.rng).cloned();
        let Some((channel_id, message_id)) = chosen else { return Ok(()) };
        if self.rng.random_bool(0.5) {
            let content = json!({ "text": self.text("new") }).to_string();
            let update = ChannelMessageUpdate { channel_id, message_id, content };
            // It was not stored, where the channel was entered so.
            let refusals = &["Could not find message to update in channel history"];
            line.ask("reword", Message::ChannelMessageUpdate(update), refusals).await?;
        } else {
            line.said.retain(|(_, id)| *id != message_id);
            let remove = ChannelMessageRemove { channel_id, message_id };
            let refusals = &["Could not find message to remove in channel history"];
            line.ask("take back", Message::ChannelMessageRemove(remove), refusals).await?;
        }
        Ok(())
    }

    async fn follow(&mut self, line: &mut Line) -> Done {
        let mut follow = StatusFollow::default();
        let world = std::sync::Arc::clone(&self.world);
        for _ in 0..self.rng.random_range(1..=3) {
            let by_id = self.rng.random_bool(0.5);
            let user = match by_id {
                true => world.anybody(&mut self.rng),
                // The name of another would be of another account where that was deleted meanwhile.
                false => world.anybody_lasting(&mut self.rng),
            };
            if user.id == self.user.id {
                continue;
            }
            line.view.asked.insert(user.id.clone());
            match by_id {
                true => follow.user_ids.push(user.id),
                false => follow.usernames.push(user.name),
            }
        }
        if !line.view.asked.is_empty() {
            line.ask("follow", Message::StatusFollow(follow), &[]).await?;
        }
        Ok(())
    }

    async fn unfollow(&mut self, line: &mut Line) -> Done {
        let Some(user) = line.view.follows.keys().choose(&mut self.rng).cloned() else {
            return Ok(());
        };
        line.view.follows.remove(&user);
        line.view.unfollowing.insert(user.clone());
        let unfollow = StatusUnfollow { user_ids: vec![user.clone()] };
        line.ask("unfollow", Message::StatusUnfollow(unfollow), &[]).await?;
        line.view.unfollowing.remove(&user);
        Ok(())
    }
}

/// Matches and the matchmaker.
impl Client {
    async fn make_match(&mut self, line: &mut Line) -> Done {
        if line.view.of(Kind::Match).len() >= PLACES {
            return Ok(());
        }
        let names = (self.world.plan.sockets / 20).max(2);
        let name = match self.rng.random_bool(0.5) {
            true => String::new(),
            false => format!("arena-{}", self.rng.random_range(0..names)),
        };
        let create = Message::MatchCreate(MatchCreate { name });
        line.view.enters = Some(false);
        let made = line.ask("make a match", create, &[]).await?;
        line.view.enters = None;
        if let Some(Message::Match(made)) = made {
            self.world.publish(Kind::Match, &made.match_id, &mut self.rng);
        }
        Ok(())
    }

    async fn make_hall(&mut self, line: &mut Line) -> Done {
        if line.view.of(Kind::Match).len() >= PLACES {
            return Ok(());
        }
        let handlers = ["hall", "hall_js", "rust_match"];
        let count = if self.world.plan.has_native { 3 } else { 2 };
        let handler = handlers[self.rng.random_range(0..count)];
        let id = line.rpc("make", handler).await?;
        if handler == "rust_match" {
            self.world.add_native(&id);
        }
        self.world.publish(Kind::Match, &id, &mut self.rng);
        self.join_id(line, id, handler).await
    }

    async fn join_match(&mut self, line: &mut Line) -> Done {
        if line.view.of(Kind::Match).len() >= PLACES {
            return Ok(());
        }
        match self.world.any(Kind::Match, &mut self.rng) {
            Some(id) => self.join_id(line, id, "match").await,
            None => Ok(()),
        }
    }

    async fn join_id(&mut self, line: &mut Line, id: String, what: &str) -> Done {
        if line.view.is_uncertain(&Place::new(Kind::Match, &id)) {
            return Ok(());
        }
        let metadata = [("password".to_owned(), "sesame".to_owned())].into();
        let join = MatchJoin { id: Some(match_join::Id::MatchId(id.clone())), metadata };
        line.view.enters = Some(false);
        let joined =
            line.ask(&format!("join a {what}"), Message::MatchJoin(join), NO_MATCH).await?;
        line.view.enters = None;
        if joined.is_none() {
            self.world.unpublish(Kind::Match, &id);
        }
        Ok(())
    }

    async fn data(&mut self, line: &mut Line) -> Done {
        let Some(place) = pick(&line.view.of(Kind::Match), &mut self.rng) else { return Ok(()) };
        let stay = &line.view.places[&place];
        let mut presences = Vec::new();
        let mut op_code = self.rng.random_range(1..=2);
        if stay.authoritative {
            // The native one puts members out without telling them, and has other codes.
            let native = self.world.is_native(&place.id);
            op_code = match self.rng.random_range(0..20) {
                0 if !native => 3,
                1 if !native => 5,
                2 | 3 => 4,
                _ => op_code,
            };
        } else if self.rng.random_bool(0.3) {
            let some = stay.members.iter().choose_multiple(&mut self.rng, 3);
            presences.extend(some.into_iter().map(|(session_id, user_id)| UserPresence {
                session_id: session_id.clone(),
                user_id: user_id.clone(),
                ..UserPresence::default()
            }));
        }
        let data = self.text("data").into_bytes().into();
        let send = MatchDataSend { match_id: place.id, op_code, data, presences, reliable: true };
        self.world.count("match data");
        line.send(Message::MatchDataSend(send)).await
    }

    async fn wait(&mut self, line: &mut Line) -> Done {
        let mode = format!("m{}", self.rng.random_range(0..3));
        let add = MatchmakerAdd {
            min_count: 2,
            max_count: self.rng.random_range(2..=4),
            query: format!("+properties.mode:{mode}"),
            string_properties: [("mode".to_owned(), mode)].into(),
            ..MatchmakerAdd::default()
        };
        let full = &["Error adding to matchmaker"];
        line.ask("wait", Message::MatchmakerAdd(add), full).await?;
        Ok(())
    }

    /// Joins the match that the matchmaker made.
    async fn meet(&mut self, line: &mut Line) -> Done {
        let Some(matched) = line.view.matched.pop() else { return Ok(()) };
        let Some(matchmaker_matched::Id::Token(token)) = matched.id else { return Ok(()) };
        let id = Some(match_join::Id::Token(token));
        let join = MatchJoin { id, metadata: Default::default() };
        line.view.enters = Some(false);
        // The token holds for half a minute.
        line.ask("meet", Message::MatchJoin(join), &["Invalid match token"]).await?;
        line.view.enters = None;
        Ok(())
    }
}

/// Parties.
impl Client {
    async fn make_party(&mut self, line: &mut Line) -> Done {
        if line.view.of(Kind::Party).len() >= 2 {
            return Ok(());
        }
        let hidden = self.rng.random_bool(0.2);
        let create = PartyCreate {
            open: self.rng.random_bool(0.6),
            max_size: self.rng.random_range(1..=8),
            label: if hidden { String::new() } else { json!({ "mode": "soak" }).to_string() },
            hidden,
        };
        let made = line.ask("make a party", Message::PartyCreate(create), &[]).await?;
        if let Some(Message::Party(party)) = made {
            self.world.publish(Kind::Party, &party.party_id, &mut self.rng);
        }
        Ok(())
    }

    async fn join_party(&mut self, line: &mut Line) -> Done {
        if line.view.of(Kind::Party).len() >= 2 {
            return Ok(());
        }
        let Some(party_id) = self.world.any(Kind::Party, &mut self.rng) else { return Ok(()) };
        let join = Message::PartyJoin(PartyJoin { party_id: party_id.clone() });
        let place = Place::new(Kind::Party, &party_id);
        if !line.view.places.contains_key(&place) {
            line.view.enters_parties.insert(place);
        }
        match line.call(join).await? {
            Ok(_) => self.world.count("join a party"),
            Err(error) if NO_PARTY.iter().any(|refusal| error.message.ends_with(refusal)) => {
                self.world.count(format!("join a party: {}", error.message));
                if error.message.ends_with("not found") || error.message.ends_with("closed") {
                    self.world.unpublish(Kind::Party, &party_id);
                }
            }
            Err(error) => line.finding(&format!("joining {party_id}: {error:?}"), &party_id),
        }
        Ok(())
    }

    /// Does what only leaders may, mostly as the leader.
    async fn lead_party(&mut self, line: &mut Line) -> Done {
        let mut parties = line.view.of(Kind::Party);
        if self.rng.random_bool(0.9) {
            parties.retain(|party| line.view.places[party].leader == line.view.session);
        }
        let Some(party) = pick(&parties, &mut self.rng) else { return Ok(()) };
        let party_id = party.id.clone();
        let others = line.view.places[&party].members.iter();
        let other = others.filter(|(session, _)| **session != line.view.session);
        let other = other.choose(&mut self.rng);
        let presence = other.and_then(|(session_id, user_id)| {
            let username = self.world.named(user_id)?;
            Some(UserPresence {
                session_id: session_id.clone(),
                user_id: user_id.clone(),
                username,
                ..UserPresence::default()
            })
        });
        let (what, message) = match self.rng.random_range(0..14) {
            0 => ("close a party", Message::PartyClose(PartyClose { party_id })),
            1 | 2 if presence.is_some() => {
                ("promote", Message::PartyPromote(PartyPromote { party_id, presence }))
            }
            3 | 4 if presence.is_some() => {
                ("remove from a party", Message::PartyRemove(PartyRemove { party_id, presence }))
            }
            5 => {
                let label = json!({ "level": self.rng.random_range(0..9) }).to_string();
                let open = self.rng.random_bool(0.6);
                let update = PartyUpdate { party_id, label, open, hidden: false };
                ("update a party", Message::PartyUpdate(update))
            }
            6 => {
                let list = PartyJoinRequestList { party_id };
                ("list join requests", Message::PartyJoinRequestList(list))
            }
            7 | 8 => {
                let mode = format!("m{}", self.rng.random_range(0..3));
                let add = PartyMatchmakerAdd {
                    party_id,
                    min_count: 2,
                    max_count: 8,
                    query: format!("+properties.mode:{mode}"),
                    string_properties: [("mode".to_owned(), mode)].into(),
                    ..PartyMatchmakerAdd::default()
                };
                ("wait with a party", Message::PartyMatchmakerAdd(add))
            }
            9 => {
                let Some(ticket) = line.view.tickets.iter().choose(&mut self.rng).cloned() else {
                    return Ok(());
                };
                let remove = PartyMatchmakerRemove { party_id, ticket };
                ("stop waiting with a party", Message::PartyMatchmakerRemove(remove))
            }
            _ => {
                let asked = line.view.requests.iter().position(|(party, _)| *party == party_id);
                let Some(at) = asked else { return Ok(()) };
                let presence = Some(line.view.requests.remove(at).1);
                ("accept", Message::PartyAccept(PartyAccept { party_id, presence }))
            }
        };
        let refusals =
            [NO_PARTY, &["matchmaker too many tickets", "party cannot remove self"]].concat();
        line.ask(what, message, &refusals).await?;
        Ok(())
    }
}

/// Requests beside the socket.
impl Client {
    async fn rest(&mut self, line: &mut Line) -> Done {
        let channel = pick(&line.view.of(Kind::Channel), &mut self.rng);
        let path = match self.rng.random_range(0..7) {
            0 => "/v2/account".to_owned(),
            1 => "/v2/match?limit=20".to_owned(),
            2 => "/v2/party?limit=20".to_owned(),
            3 => "/v2/matchmaker/stats".to_owned(),
            4 => format!("/v2/user?ids={}", self.world.anybody(&mut self.rng).id),
            5 => {
                let object = json!({
                    "collection": "soak", "key": "k", "value": json!({ "n": 1 }).to_string(),
                });
                let objects = json!({ "objects": [object] });
                self.call_rest("PUT", "/v2/storage", Some(objects), line).await;
                return Ok(());
            }
            _ => match channel {
                Some(channel) => format!("/v2/channel/{}?limit=10", channel.id),
                None => return Ok(()),
            },
        };
        self.call_rest("GET", &path, None, line).await;
        Ok(())
    }

    pub async fn call_rest(
        &self,
        verb: &str,
        path: &str,
        body: Option<serde_json::Value>,
        line: &Line,
    ) -> bool {
        let auth = format!("Bearer {}", self.user.token);
        let answer = request(self.world.plan.port, verb, path, &auth, body.as_ref()).await;
        let ok = matches!(answer, Ok((200, _)));
        if !ok {
            line.finding(&format!("{verb} {path}: {answer:?}"), "");
        }
        self.world.count("a request over HTTP");
        ok
    }
}
