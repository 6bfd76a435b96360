//! Parties: groups of sockets that stay together from match to match, with one of them leading.
//!
//! Source: Nakama, `pipeline_party.go` and `PartyHandler`.

mod label;
mod parties;
mod state;
#[cfg(test)]
mod tests;
mod tickets;

use std::{borrow::Cow, sync::Arc};

use guildhall_proto::realtime::{
    PartyAccept as Accept, PartyClose as Close, PartyCreate as Create, PartyDataSend as DataSend,
    PartyJoin as Join, PartyJoinRequest, PartyJoinRequestList as JoinRequestList,
    PartyLeave as Leave, PartyMatchmakerAdd as MatchmakerAdd,
    PartyMatchmakerRemove as MatchmakerRemove, PartyPromote as Promote, PartyRemove as Remove,
    PartyUpdate as Update, UserPresence, envelope::Message,
};
use thiserror::Error;
use uuid::Uuid;

pub use self::parties::{Parties, run};
use self::{label::Label, state::Party};
use super::{
    matchmaker::{NotAdded, NotFound},
    session::{ErrorCode, Session},
    stream::{Stream, mode},
};
use crate::{
    envelope::{Handled, Incoming, Refusal, Reply},
    socket_messages,
};

socket_messages! {
    /// Makes a party and enters it as its leader.
    PartyCreate(Create) => create;
    /// Joins an open party, or asks the leader of a closed one.
    PartyJoin(Join) => join;
    /// Leaves a party.
    PartyLeave(Leave) => leave;
    /// Makes another member the leader.
    PartyPromote(Promote) => promote;
    /// Lets in who asked.
    PartyAccept(Accept) => accept;
    /// Puts a member out, or turns down who asked.
    PartyRemove(Remove) => remove;
    /// Ends a party.
    PartyClose(Close) => close;
    /// Lists who asks to join.
    PartyJoinRequestList(JoinRequestList) => list_requests;
    /// Waits in the matchmaker, all members together.
    PartyMatchmakerAdd(MatchmakerAdd) => tickets::add;
    /// Waits no longer.
    PartyMatchmakerRemove(MatchmakerRemove) => tickets::remove;
    /// Sends data to the other members.
    PartyDataSend(DataSend) => send;
    /// Opens or closes a party, labels it, hides it or shows it.
    PartyUpdate(Update) => update;
}

const INVALID_ID: Refusal = Refusal::new(ErrorCode::BadInput, "Invalid party ID");
const INVALID_PRESENCE: Refusal = Refusal::new(ErrorCode::BadInput, "Invalid presence");
const INVALID_MAX_SIZE: Refusal =
    Refusal::new(ErrorCode::BadInput, "Invalid party max size, must be 1-256");

/// The most members that a party can be made for.
const MAX_SIZE: i32 = 256;

/// Why a party does not do what it is asked for, in the reference's words.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
enum Denied {
    #[error("party not found")]
    NotFound,
    #[error("party closed")]
    Closed,
    #[error("party full")]
    Full,
    #[error("party join request duplicate")]
    RequestTwice,
    #[error("party join requests full")]
    RequestsFull,
    #[error("party leader only")]
    LeaderOnly,
    #[error("party member not found")]
    NotMember,
    #[error("party join request not found")]
    NotRequested,
    #[error("party could not accept request")]
    NotAccepted,
    #[error("party cannot remove self")]
    RemoveSelf,
    #[error("party label too long")]
    LabelTooLong,
    #[error("failed to unmarshal party label: {0}")]
    Label(Cow<'static, str>),
    #[error(transparent)]
    NoTicket(#[from] NotFound),
    #[error(transparent)]
    NotWaiting(#[from] NotAdded),
    #[error("party is hidden and label is not empty, invalid operation")]
    HiddenLabel,
}

/// Makes of what is denied what a client sees, who was `doing` something.
fn while_(doing: &'static str) -> impl Fn(Denied) -> Refusal + Copy {
    move |denied| Refusal::of(ErrorCode::BadInput, format!("Error {doing}: {denied}"))
}

/// The id and the node in the name of a party.
fn place(name: &str) -> Result<(Uuid, &str), Refusal> {
    let (id, node) = name.split_once('.').ok_or(INVALID_ID)?;
    Ok((Uuid::try_parse(id).map_err(|_| INVALID_ID)?, node))
}

/// The presence that a client names, in full.
fn named(presence: Option<UserPresence>) -> Result<UserPresence, Refusal> {
    let is_full = |presence: &UserPresence| {
        [&presence.user_id, &presence.session_id, &presence.username]
            .into_iter()
            .all(|fact| !fact.is_empty())
    };
    presence.filter(is_full).ok_or(INVALID_PRESENCE)
}

impl Incoming<'_> {
    /// The party that a client names, in which the session's coming is told before it acts.
    fn party(&self, (id, node): (Uuid, &str)) -> Result<Arc<Party>, Denied> {
        let party = self.cx.parties.get(id, node)?;
        party.introduce(self.cx, self.session);
        Ok(party)
    }

    /// With `session.single_party`, takes a session out of all other parties.
    fn only_in(&self, party: &Party, session: &Session) {
        if self.cx.config.session.single_party {
            self.cx.tracker.untrack_modes(session, &[mode::PARTY], &party.stream);
        }
    }
}

async fn create(incoming: Incoming<'_>, request: Create) -> Handled {
    let Create { open, max_size, label, hidden } = request;
    if !(0..=MAX_SIZE).contains(&max_size) {
        return Err(INVALID_MAX_SIZE);
    }
    incoming.may_enter()?;
    let Incoming { cx, session, .. } = incoming;
    let party = cx.parties.make(session, open, hidden, max_size, &label);
    let party = party.map_err(while_("creating party"))?;
    let reply = incoming.reply(Message::Party(party.as_made(label, hidden)));
    party.enter(cx, session);
    incoming.only_in(&party, session);
    cx.relieve_tracker();
    Ok(reply)
}

async fn join(incoming: Incoming<'_>, request: Join) -> Handled {
    incoming.may_enter()?;
    let denied = while_("joining party");
    let party = incoming.party(place(&request.party_id)?).map_err(denied)?;
    let Incoming { cx, session, .. } = incoming;
    let mut reply = Reply::NONE;
    let joined = party.join(cx, session, || reply = incoming.acknowledge()).map_err(denied)?;
    if joined {
        incoming.only_in(&party, session);
        cx.relieve_tracker();
    }
    Ok(reply)
}

/// Leaves also a party that is not there, or on another node, without an error.
async fn leave(incoming: Incoming<'_>, request: Leave) -> Handled {
    let (id, node) = place(&request.party_id)?;
    let Incoming { cx, session, .. } = incoming;
    match incoming.party((id, node)) {
        Ok(party) => party.leave(cx, session),
        Err(_) => {
            let stream = Stream::labelled(mode::PARTY, id, node);
            cx.tracker.untrack(session, &stream, session.user_id());
        }
    }
    incoming.acknowledge();
    cx.relieve_tracker();
    // The after hook sees no answer, as in the reference.
    Ok(Reply::NONE)
}

async fn promote(incoming: Incoming<'_>, request: Promote) -> Handled {
    let denied = while_("promoting new party leader");
    let whom = named(request.presence)?;
    let party = incoming.party(place(&request.party_id)?).map_err(denied)?;
    party.promote(incoming.cx, incoming.session, &whom).map_err(denied)?;
    Ok(incoming.acknowledge())
}

async fn accept(incoming: Incoming<'_>, request: Accept) -> Handled {
    let denied = while_("accepting party join request");
    let whom = named(request.presence)?;
    let party = incoming.party(place(&request.party_id)?).map_err(denied)?;
    let joiner = party.accept(incoming.cx, incoming.session, &whom).map_err(denied)?;
    incoming.only_in(&party, &joiner);
    let reply = incoming.acknowledge();
    incoming.cx.relieve_tracker();
    Ok(reply)
}

async fn remove(incoming: Incoming<'_>, request: Remove) -> Handled {
    let denied = while_("removing party member or join request");
    let whom = named(request.presence)?;
    let party = incoming.party(place(&request.party_id)?).map_err(denied)?;
    party.remove(incoming.cx, incoming.session, &whom).map_err(denied)?;
    let reply = incoming.acknowledge();
    incoming.cx.relieve_tracker();
    Ok(reply)
}

async fn close(incoming: Incoming<'_>, request: Close) -> Handled {
    let denied = while_("closing party");
    let party = incoming.party(place(&request.party_id)?).map_err(denied)?;
    party.close(incoming.cx, incoming.session).map_err(denied)?;
    Ok(incoming.acknowledge())
}

async fn list_requests(incoming: Incoming<'_>, request: JoinRequestList) -> Handled {
    let denied = while_("listing party join requests");
    let party = incoming.party(place(&request.party_id)?).map_err(denied)?;
    let presences = party.requests(incoming.session).map_err(denied)?;
    let list = PartyJoinRequest { party_id: request.party_id, presences };
    Ok(incoming.reply(Message::PartyJoinRequest(list)))
}

async fn send(incoming: Incoming<'_>, request: DataSend) -> Handled {
    let denied = while_("sending party data");
    let DataSend { party_id, op_code, data } = request;
    let party = incoming.party(place(&party_id)?).map_err(denied)?;
    party.send(incoming.session, op_code, data).map_err(denied)?;
    Ok(incoming.acknowledge())
}

async fn update(incoming: Incoming<'_>, request: Update) -> Handled {
    let denied = while_("updating party");
    let place = place(&request.party_id)?;
    if request.hidden && !Label::is_empty(&request.label) {
        return Err(denied(Denied::HiddenLabel));
    }
    let party = incoming.party(place).map_err(denied)?;
    party.update(incoming.cx, incoming.session, request).map_err(denied)?;
    Ok(incoming.acknowledge())
}
