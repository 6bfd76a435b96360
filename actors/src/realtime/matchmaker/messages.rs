//! The messages of who waits alone.

use std::sync::Arc;

use guildhall_proto::realtime::{self, MatchmakerTicket, envelope::Message};

use super::{Counts, NewTicket, NotFound, Owner, Presence};
use crate::{
    envelope::{Handled, Incoming, Refusal},
    realtime::session::ErrorCode,
    socket_messages,
};

socket_messages! {
    /// Waits for others.
    MatchmakerAdd(realtime::MatchmakerAdd) => add;
    /// Waits no longer.
    MatchmakerRemove(realtime::MatchmakerRemove) => remove;
}

const NOT_ADDED: Refusal = Refusal::new(ErrorCode::RuntimeException, "Error adding to matchmaker");
const INVALID_TICKET: Refusal = Refusal::new(ErrorCode::BadInput, "Invalid matchmaker ticket");
const NOT_FOUND: Refusal = Refusal::new(ErrorCode::BadInput, "Matchmaker ticket not found");

/// The query of a ticket; without one anybody fits.
pub fn query_of(query: String) -> String {
    if query.is_empty() { "*".to_owned() } else { query }
}

async fn add(incoming: Incoming<'_>, request: realtime::MatchmakerAdd) -> Handled {
    let counts = Counts::new(request.min_count, request.max_count, request.count_multiple)?;
    let session = incoming.session;
    let new = NewTicket {
        owner: Owner::Session(session.id),
        presences: vec![Presence {
            user_id: session.user_id(),
            session_id: session.id,
            username: Arc::clone(&session.username),
        }],
        query: query_of(request.query),
        counts,
        string_properties: request.string_properties,
        numeric_properties: request.numeric_properties,
    };
    match incoming.cx.matchmaker.add(new).await {
        Ok(ticket) => Ok(incoming
            .reply(Message::MatchmakerTicket(MatchmakerTicket { ticket: ticket.to_string() }))),
        Err(why) => {
            tracing::debug!(session_id = %session.id, %why, "matchmaker ticket refused");
            Err(NOT_ADDED)
        }
    }
}

async fn remove(incoming: Incoming<'_>, request: realtime::MatchmakerRemove) -> Handled {
    if request.ticket.is_empty() {
        return Err(INVALID_TICKET);
    }
    let owner = Owner::Session(incoming.session.id);
    match incoming.cx.matchmaker.remove(owner, &request.ticket).await {
        Ok(()) => Ok(incoming.acknowledge()),
        Err(NotFound) => Err(NOT_FOUND),
    }
}
