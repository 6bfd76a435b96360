//! One party: who is in it, who leads it, who asks to join.
//!
//! A party is a value under a lock, and whatever changes it is done, tracked and told while the lock
//! is held: all members see the changes in one order. Nothing is awaited meanwhile. The lock is taken
//! before any of the tracker's, behind the one under which presence events are told.
//!
//! Who joins is a member at once, and shown to the others by the presence event, which comes a
//! little later; the same holds the other way for who leaves. A [`Member`] therefore knows how far it
//! is told: what members get is what agrees with the events that they have seen.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use guildhall_proto::realtime::{
    Envelope, Party as WireParty, PartyClose, PartyData, PartyJoinRequest, PartyLeader,
    PartyUpdate, UserPresence, envelope::Message,
};
use parking_lot::Mutex;
use uuid::Uuid;

use super::{Denied, label::Label, tickets::Wish};
use crate::{
    cx::Cx,
    realtime::{
        matchmaker::{self, Owner},
        outgoing::Encoded,
        session::{PresenceReason, Session},
        stream::{Stream, mode},
        tracker::{Change, Meta, Presence, Tracked},
    },
};

/// A party, which ends with its last member.
#[derive(Debug)]
pub(super) struct Party {
    /// Its own id.
    pub(super) id: Uuid,
    /// Its id and its node's name, as clients know it.
    pub(super) name: String,
    /// The most members.
    pub(super) max_size: i32,
    /// When it was made, in nanoseconds after 1970.
    pub(super) created_at_ns: i64,
    /// Where its members are present.
    pub(super) stream: Stream,
    /// What was done with it, counted: a party with which nothing is done may be idle.
    pub(super) activity: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Nothing is done with it any more.
    ended: bool,
    open: bool,
    leader: Person,
    /// In the order in which they joined.
    members: Vec<Member>,
    /// In the order in which they asked; no more than the party has places.
    requests: Vec<Request>,
    /// How often members came and went.
    turn: u64,
    /// Whether it may have tickets of the matchmaker.
    waits: bool,
}

/// Who leads a party or is in it.
#[derive(Clone, Debug)]
struct Person {
    session: Arc<Session>,
    /// The session's own, or another that a module named.
    user_id: Uuid,
    shown: UserPresence,
}

/// A session's stay in a party.
#[derive(Debug)]
struct Member {
    person: Person,
    /// Whether its coming was told. Who comes back at once stays twice for a moment, told and not.
    told: bool,
    /// Whether it is not a member any more, only its leaving not yet told.
    left: bool,
}

/// Somebody who asks to join. The session may be gone.
#[derive(Debug)]
struct Request {
    session_id: Uuid,
    user_id: Uuid,
    shown: UserPresence,
}

impl Person {
    fn of(session: &Arc<Session>, user_id: Uuid) -> Self {
        let shown = UserPresence { user_id: user_id.to_string(), ..shown(session) };
        Self { session: Arc::clone(session), user_id, shown }
    }

    fn waiting(&self) -> matchmaker::Presence {
        matchmaker::Presence {
            user_id: self.user_id,
            session_id: self.session.id,
            username: Arc::clone(&self.session.username),
        }
    }

    fn is(&self, presence: &Presence) -> bool {
        self.session.id == presence.session.id && self.user_id == presence.user_id
    }
}

impl Member {
    fn new(person: Person, told: bool) -> Self {
        Self { person, told, left: false }
    }
}

/// A session's presence in a party, as clients see it.
fn shown(session: &Session) -> UserPresence {
    UserPresence {
        user_id: session.user_id().to_string(),
        session_id: session.id.to_string(),
        username: session.username.to_string(),
        ..UserPresence::default()
    }
}

/// Whether a client means this presence: all three facts agree.
fn means(named: &UserPresence, shown: &UserPresence) -> bool {
    named.session_id == shown.session_id
        && named.user_id == shown.user_id
        && named.username == shown.username
}

fn envelope(message: Message) -> Envelope {
    Envelope { cid: String::new(), message: Some(message) }
}

impl State {
    /// The members that are there, told or not.
    fn present(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| !member.left)
    }

    /// The stay of a session that is there.
    fn stay(&mut self, session: &Session) -> Option<&mut Member> {
        self.members.iter_mut().find(|it| !it.left && it.person.session.id == session.id)
    }

    fn led_by(&self, session: &Session) -> Result<(), Denied> {
        if self.ended {
            return Err(Denied::Closed);
        }
        if self.leader.session.id != session.id {
            return Err(Denied::LeaderOnly);
        }
        Ok(())
    }

    fn is_full(&self, max_size: i32) -> bool {
        i64::from(max_size) <= self.present().count() as i64
    }
}

impl Party {
    /// A party that `session` is about to enter as its leader and first member. One without places
    /// has a leader and no members.
    pub(super) fn new(
        node: &str,
        session: &Arc<Session>,
        open: bool,
        max_size: i32,
        created_at_ns: i64,
    ) -> Self {
        let id = Uuid::new_v4();
        let leader = Person::of(session, session.user_id());
        let first = (max_size > 0).then(|| Member::new(leader.clone(), false));
        Self {
            id,
            name: format!("{id}.{node}"),
            max_size,
            created_at_ns,
            stream: Stream::labelled(mode::PARTY, id, node),
            activity: AtomicU64::new(0),
            state: Mutex::new(State {
                ended: false,
                open,
                leader,
                members: first.into_iter().collect(),
                requests: Vec::new(),
                turn: 0,
                waits: false,
            }),
        }
    }

    /// As its maker gets it in answer.
    pub(super) fn as_made(&self, label: String, hidden: bool) -> WireParty {
        let state = self.state.lock();
        let leader = &state.leader.shown;
        WireParty {
            party_id: self.name.clone(),
            open: state.open,
            hidden,
            max_size: self.max_size,
            self_: Some(leader.clone()),
            leader: Some(leader.clone()),
            presences: vec![leader.clone()],
            label,
        }
    }

    /// Lets its maker in; a party whose maker is gone ends.
    pub(super) fn enter(&self, cx: &Cx, session: &Arc<Session>) {
        let mut state = self.state.lock();
        let user_id = session.user_id();
        if cx.tracker.track(session, &self.stream, user_id, Meta::default()) == Tracked::Ended {
            self.end(cx, &mut state);
        }
    }

    /// Tells the events in which a session comes that acts already, so that others hear of them
    /// first.
    pub(super) fn introduce(&self, cx: &Cx, session: &Session) {
        self.activity.fetch_add(1, Ordering::Relaxed);
        let state = self.state.lock();
        let untold = state.members.iter().any(|it| !it.told && it.person.session.id == session.id);
        drop(state);
        if untold {
            cx.tell_changes();
        }
    }

    /// Joins an open party, or asks the leader of a closed one; `acknowledge` is called once that is
    /// granted, before anything comes of it. Whether it joined.
    ///
    /// # Errors
    /// [`Denied::Closed`], [`Denied::Full`], [`Denied::RequestsFull`] and [`Denied::RequestTwice`].
    pub(super) fn join(
        &self,
        cx: &Cx,
        session: &Arc<Session>,
        acknowledge: impl FnOnce(),
    ) -> Result<bool, Denied> {
        let mut state = self.state.lock();
        if state.ended {
            return Err(Denied::Closed);
        }
        if state.is_full(self.max_size) {
            return Err(Denied::Full);
        }
        if state.open {
            acknowledge();
            self.admit(cx, &mut state, session);
            return Ok(true);
        }
        if state.requests.len() as i64 >= i64::from(self.max_size) {
            return Err(Denied::RequestsFull);
        }
        // A member may ask again, as in the reference.
        if state.requests.iter().any(|request| request.user_id == session.user_id()) {
            return Err(Denied::RequestTwice);
        }
        let (session_id, user_id, shown) = (session.id, session.user_id(), shown(session));
        let asks = PartyJoinRequest { party_id: self.name.clone(), presences: vec![shown.clone()] };
        state.requests.push(Request { session_id, user_id, shown });
        acknowledge();
        state.leader.session.send(&envelope(Message::PartyJoinRequest(asks)));
        Ok(false)
    }

    /// Makes a session a member, if it is not at its end.
    fn admit(&self, cx: &Cx, state: &mut State, session: &Arc<Session>) -> bool {
        let user_id = session.user_id();
        let stay = state.stay(session);
        match (cx.tracker.track(session, &self.stream, user_id, Meta::default()), stay) {
            (Tracked::Ended, _) => return false,
            (Tracked::New, stay) => {
                // It was put out, which is told before it is told to join.
                if let Some(stay) = stay {
                    stay.left = true;
                }
                state.members.push(Member::new(Person::of(session, user_id), false));
            }
            // A module had put it here.
            (Tracked::Before, None) => {
                state.members.push(Member::new(Person::of(session, user_id), true));
            }
            (Tracked::Before, Some(_)) => {}
        }
        self.turn(cx, state);
        true
    }

    /// Takes back the tickets of the matchmaker, since they are of other members.
    fn turn(&self, cx: &Cx, state: &mut State) {
        state.turn += 1;
        if mem::take(&mut state.waits) {
            cx.matchmaker.remove_party(&self.name);
        }
    }

    /// Leaves the party; nothing where the session is not there.
    pub(super) fn leave(&self, cx: &Cx, session: &Session) {
        let mut state = self.state.lock();
        if let Some(stay) = state.stay(session) {
            stay.left = true;
            self.turn(cx, &mut state);
        }
        cx.tracker.untrack(session, &self.stream, session.user_id());
    }

    /// Makes another member the leader.
    ///
    /// # Errors
    /// [`Denied::Closed`], [`Denied::LeaderOnly`] and [`Denied::NotMember`].
    pub(super) fn promote(
        &self,
        cx: &Cx,
        session: &Session,
        whom: &UserPresence,
    ) -> Result<(), Denied> {
        let mut state = self.state.lock();
        state.led_by(session)?;
        let member = state.present().find(|member| means(whom, &member.person.shown));
        let leader = member.ok_or(Denied::NotMember)?.person.clone();
        self.follow(cx, &mut state, leader);
        Ok(())
    }

    fn follow(&self, cx: &Cx, state: &mut State, leader: Person) {
        let presence = Some(leader.shown.clone());
        state.leader = leader;
        let message = PartyLeader { party_id: self.name.clone(), presence };
        cx.tracker.send(&self.stream, &envelope(Message::PartyLeader(message)));
    }

    /// Lets in who asked; the session that now is a member.
    ///
    /// # Errors
    /// [`Denied::Closed`], [`Denied::LeaderOnly`], [`Denied::Full`], [`Denied::NotRequested`], and
    /// [`Denied::NotAccepted`] where who asked is gone.
    pub(super) fn accept(
        &self,
        cx: &Cx,
        session: &Session,
        whom: &UserPresence,
    ) -> Result<Arc<Session>, Denied> {
        let mut state = self.state.lock();
        state.led_by(session)?;
        if state.is_full(self.max_size) {
            return Err(Denied::Full);
        }
        let at = state.requests.iter().position(|request| means(whom, &request.shown));
        let request = state.requests.remove(at.ok_or(Denied::NotRequested)?);
        let joiner = cx.sockets.get(request.session_id).ok_or(Denied::NotAccepted)?;
        if !self.admit(cx, &mut state, &joiner) {
            return Err(Denied::NotAccepted);
        }
        Ok(joiner)
    }

    /// Puts a member out, or turns down who asked.
    ///
    /// # Errors
    /// [`Denied::Closed`], [`Denied::LeaderOnly`], [`Denied::RemoveSelf`] and [`Denied::NotMember`].
    pub(super) fn remove(
        &self,
        cx: &Cx,
        session: &Session,
        whom: &UserPresence,
    ) -> Result<(), Denied> {
        let mut state = self.state.lock();
        state.led_by(session)?;
        if means(whom, &state.leader.shown) {
            return Err(Denied::RemoveSelf);
        }
        let is_meant = |member: &&mut Member| !member.left && means(whom, &member.person.shown);
        let Some(member) = state.members.iter_mut().find(is_meant) else {
            let at = state.requests.iter().position(|request| means(whom, &request.shown));
            state.requests.remove(at.ok_or(Denied::NotMember)?);
            return Ok(());
        };
        member.left = true;
        let Person { session, user_id, .. } = &member.person;
        cx.tracker.untrack(session, &self.stream, *user_id);
        session.send(&self.closed());
        self.turn(cx, &mut state);
        Ok(())
    }

    fn closed(&self) -> Envelope {
        envelope(Message::PartyClose(PartyClose { party_id: self.name.clone() }))
    }

    /// Ends the party, as its leader wishes.
    ///
    /// # Errors
    /// [`Denied::Closed`] and [`Denied::LeaderOnly`].
    pub(super) fn close(&self, cx: &Cx, session: &Session) -> Result<(), Denied> {
        let mut state = self.state.lock();
        state.led_by(session)?;
        cx.tracker.send(&self.stream, &self.closed());
        self.end(cx, &mut state);
        Ok(())
    }

    /// Who asks to join, in order.
    ///
    /// # Errors
    /// [`Denied::Closed`] and [`Denied::LeaderOnly`].
    pub(super) fn requests(&self, session: &Session) -> Result<Vec<UserPresence>, Denied> {
        let state = self.state.lock();
        state.led_by(session)?;
        Ok(state.requests.iter().map(|request| request.shown.clone()).collect())
    }

    /// Sends data to the other members.
    ///
    /// # Errors
    /// [`Denied::Closed`] and [`Denied::NotMember`].
    pub(super) fn send(&self, session: &Session, op_code: i64, data: Bytes) -> Result<(), Denied> {
        let state = self.state.lock();
        if state.ended {
            return Err(Denied::Closed);
        }
        let is_sender = |member: &&Member| member.person.session.id == session.id;
        let sender = state.present().find(is_sender).ok_or(Denied::NotMember)?;
        let presence = Some(sender.person.shown.clone());
        let message = PartyData { party_id: self.name.clone(), presence, op_code, data };
        let envelope = envelope(Message::PartyData(message));
        let encoded = Encoded::new(&envelope);
        for member in state.present().filter(|it| it.told && !is_sender(it)) {
            member.person.session.send_encoded(&encoded);
        }
        Ok(())
    }

    /// Waits in the matchmaker, all members together: the ticket, and the members besides the leader.
    ///
    /// # Errors
    /// [`Denied::Closed`], [`Denied::LeaderOnly`], [`Denied::NotMember`] where there is nobody to wait,
    /// and why there is no ticket.
    pub(super) async fn wait(
        &self,
        cx: &Cx,
        session: &Session,
        wish: Wish,
    ) -> Result<(String, Vec<Arc<Session>>), Denied> {
        let (presences, others, turn) = {
            let mut state = self.state.lock();
            state.led_by(session)?;
            state.waits = true;
            let presences: Vec<_> = state.present().map(|member| member.person.waiting()).collect();
            let others = state.present().filter(|it| it.told && it.person.session.id != session.id);
            let others = others.map(|member| Arc::clone(&member.person.session)).collect();
            (presences, others, state.turn)
        };
        if presences.is_empty() {
            return Err(Denied::NotMember);
        }
        let owner = Owner::Party(self.name.clone());
        let ticket = cx.matchmaker.add(wish.ticket(owner, presences)).await?;
        let mut state = self.state.lock();
        if state.turn != turn {
            // Somebody came or went while the ticket was made.
            state.waits = true;
            self.turn(cx, &mut state);
        }
        Ok((ticket.to_string(), others))
    }

    /// Takes a ticket of the matchmaker back.
    ///
    /// # Errors
    /// [`Denied::Closed`], [`Denied::LeaderOnly`], and [`Denied::NoTicket`].
    pub(super) async fn stop_waiting(
        &self,
        cx: &Cx,
        session: &Session,
        ticket: &str,
    ) -> Result<(), Denied> {
        self.state.lock().led_by(session)?;
        Ok(cx.matchmaker.remove(Owner::Party(self.name.clone()), ticket).await?)
    }

    /// Opens or closes the party and changes how it is listed.
    ///
    /// # Errors
    /// [`Denied::Closed`], [`Denied::LeaderOnly`], and what is wrong with the label.
    pub(super) fn update(
        &self,
        cx: &Cx,
        session: &Session,
        request: PartyUpdate,
    ) -> Result<(), Denied> {
        let label = Label::read(&request.label);
        let mut state = self.state.lock();
        state.led_by(session)?;
        cx.parties.list(self, request.open, request.hidden, label?);
        state.open = request.open;
        let message = PartyUpdate { party_id: self.name.clone(), ..request };
        cx.tracker.send(&self.stream, &envelope(Message::PartyUpdate(message)));
        Ok(())
    }

    /// What a change on the party's stream means for it: who came gets to know the party, who left is
    /// followed by the longest member where it led. To be called before the change is told.
    pub(super) fn hear(&self, cx: &Cx, change: &Change) {
        self.activity.fetch_add(1, Ordering::Relaxed);
        // A module changed what a presence has besides.
        if change.reason == PresenceReason::Update && change.joins.len() == change.leaves.len() {
            return;
        }
        let mut state = self.state.lock();
        if state.ended {
            return;
        }
        for presence in &change.joins {
            self.hear_join(cx, &mut state, presence);
        }
        for presence in &change.leaves {
            self.hear_leave(cx, &mut state, presence);
        }
    }

    fn hear_join(&self, cx: &Cx, state: &mut State, presence: &Presence) {
        let is_full = state.is_full(self.max_size);
        let expected = |member: &&mut Member| !member.told && member.person.is(presence);
        let person = match state.members.iter_mut().find(expected) {
            Some(member) => {
                member.told = true;
                if member.left {
                    return;
                }
                member.person.clone()
            }
            None if is_full => return,
            // A module put it here.
            None => {
                let person = Person::of(&presence.session, presence.user_id);
                state.members.push(Member::new(person.clone(), true));
                self.turn(cx, state);
                person
            }
        };
        // The others are told of later.
        let told = state.members.iter().filter(|member| member.told);
        let message = WireParty {
            party_id: self.name.clone(),
            open: state.open,
            max_size: self.max_size,
            self_: Some(person.shown),
            leader: Some(state.leader.shown.clone()),
            presences: told.map(|member| member.person.shown.clone()).collect(),
            ..WireParty::default()
        };
        person.session.send(&envelope(Message::Party(message)));
    }

    fn hear_leave(&self, cx: &Cx, state: &mut State, presence: &Presence) {
        let gone = |member: &Member| member.told && member.person.is(presence);
        if let Some(at) = state.members.iter().position(gone) {
            // Who left by its own message took the tickets back then.
            if !state.members.remove(at).left {
                self.turn(cx, state);
            }
        }
        if state.leader.session.id != presence.session.id {
            return;
        }
        let oldest = state.present().next().map(|member| member.person.clone());
        match oldest {
            Some(oldest) => self.follow(cx, state, oldest),
            None => self.end(cx, state),
        }
    }

    /// Ends the party if nobody is on its stream, as where a module has emptied it.
    pub(super) fn end_if_empty(&self, cx: &Cx) {
        let mut state = self.state.lock();
        if !state.ended && cx.tracker.count_on(&self.stream) == 0 {
            self.end(cx, &mut state);
        }
    }

    fn end(&self, cx: &Cx, state: &mut State) {
        state.ended = true;
        self.turn(cx, state);
        cx.tracker.untrack_stream(&self.stream);
        cx.parties.forget(self.id);
    }
}
