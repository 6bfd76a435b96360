//! The tickets of a party in the matchmaker. They are taken back when anybody joins or leaves it.

use std::collections::BTreeMap;

use guildhall_proto::realtime::{
    Envelope, PartyMatchmakerAdd as MatchmakerAdd, PartyMatchmakerRemove as MatchmakerRemove,
    PartyMatchmakerTicket, envelope::Message,
};

use super::{place, while_};
use crate::{
    envelope::{Handled, Incoming, Refusal},
    realtime::{
        matchmaker::{Counts, NewTicket, Owner, Presence, query_of},
        outgoing::Encoded,
        session::ErrorCode,
    },
};

const INVALID_TICKET: Refusal = Refusal::new(ErrorCode::BadInput, "Invalid matchmaker ticket");

/// Whom a party looks for, and what others can ask for.
#[derive(Debug)]
pub(super) struct Wish {
    query: String,
    counts: Counts,
    string_properties: BTreeMap<String, String>,
    numeric_properties: BTreeMap<String, f64>,
}

impl Wish {
    pub(super) fn ticket(self, owner: Owner, presences: Vec<Presence>) -> NewTicket {
        let Self { query, counts, string_properties, numeric_properties } = self;
        NewTicket { owner, presences, query, counts, string_properties, numeric_properties }
    }
}

pub(super) async fn add(incoming: Incoming<'_>, request: MatchmakerAdd) -> Handled {
    let denied = while_("adding party to matchmaker");
    let counts = Counts::new(request.min_count, request.max_count, request.count_multiple)?;
    let MatchmakerAdd { party_id, string_properties, numeric_properties, .. } = request;
    let query = query_of(request.query);
    let wish = Wish { query, counts, string_properties, numeric_properties };
    let party = incoming.party(place(&party_id)?).map_err(denied)?;
    let waits = party.wait(incoming.cx, incoming.session, wish).await;
    let (ticket, others) = waits.map_err(denied)?;
    let message = Message::PartyMatchmakerTicket(PartyMatchmakerTicket { party_id, ticket });
    let told = Envelope { cid: String::new(), message: Some(message.clone()) };
    let reply = incoming.reply(message);
    let encoded = Encoded::new(&told);
    for session in others {
        session.send_encoded(&encoded);
    }
    Ok(reply)
}

/// A ticket that is not there fails as if the party was to be closed, as in the reference.
pub(super) async fn remove(incoming: Incoming<'_>, request: MatchmakerRemove) -> Handled {
    let denied = while_("closing party");
    if request.ticket.is_empty() {
        return Err(INVALID_TICKET);
    }
    let party = incoming.party(place(&request.party_id)?).map_err(denied)?;
    let removed = party.stop_waiting(incoming.cx, incoming.session, &request.ticket).await;
    removed.map_err(denied)?;
    Ok(incoming.acknowledge())
}
