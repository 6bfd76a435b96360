//! Tells who came to a stream and who left it: to those present, to a user's followers, to the match
//! or the party whose stream it is.
//!
//! Source: Nakama, `LocalTracker.processEvent`.

use std::sync::Arc;

use guildhall_proto::realtime::{
    ChannelPresenceEvent, Envelope, MatchPresenceEvent, PartyPresenceEvent, StatusPresenceEvent,
    StreamPresenceEvent, UserPresence, envelope::Message,
};

use super::{
    outgoing::Encoded,
    stream::{Stream, mode},
    tracker::{Change, Presence, Tracker},
};
use crate::cx::Cx;

/// Tells changes as they come, on the I/O runtime, as long as that runs.
pub fn run(cx: &Arc<Cx>) {
    let cx = Arc::clone(cx);
    cx.io.clone().spawn(async move {
        loop {
            cx.tracker.changed.notified().await;
            cx.tell_changes();
        }
    });
}

impl Cx {
    /// Tells all changes that wait. The tracker's task does so; who makes many changes at once may
    /// help, which keeps their queue within its bound.
    pub fn tell_changes(&self) {
        let _telling = self.tracker.telling.lock();
        loop {
            let next = self.tracker.changes.lock().pop_front();
            let Some(change) = next else { return };
            self.tell(&change);
        }
    }

    /// Tells the changes that wait where there are more than `tracker.event_queue_size`. To be called
    /// without any lock after changes that a client or a module asked for.
    pub fn relieve_tracker(&self) {
        if self.tracker.changes.lock().len() > self.tracker.most_changes {
            self.tell_changes();
        }
    }

    fn tell(&self, change: &Change) {
        let stream = &change.stream;
        tracing::debug!(
            stream = ?stream,
            joins = change.joins.len(),
            leaves = change.leaves.len(),
            reason = ?change.reason,
            "presence event"
        );
        if stream.mode == mode::STATUS {
            self.tracker.tell_status(change);
            return;
        }
        if stream.mode == mode::MATCH_AUTHORITATIVE && self.matches.is_here(&stream.label) {
            self.matches.left(stream.subject, &change.leaves, change.reason);
        }
        if stream.mode == mode::PARTY {
            self.tell_party(change);
        }
        if !self.tracker.exists(stream) {
            return;
        }
        let envelope = Envelope { cid: String::new(), message: Some(event(change)) };
        self.tracker.send(stream, &envelope);
    }
}

fn wire(stream: &Stream, presences: &[Presence]) -> Vec<UserPresence> {
    presences.iter().map(|presence| presence.to_wire(stream)).collect()
}

/// The event as the stream's mode has it.
fn event(change: &Change) -> Message {
    let stream = &change.stream;
    let (joins, leaves) = (wire(stream, &change.joins), wire(stream, &change.leaves));
    let place = || format!("{}.{}", stream.subject, stream.label);
    match stream.mode {
        mode::CHANNEL | mode::GROUP | mode::DM => {
            let [room_name, group_id, user_id_one, user_id_two] = stream.channel_names();
            Message::ChannelPresenceEvent(ChannelPresenceEvent {
                channel_id: stream.channel_id(),
                joins,
                leaves,
                room_name,
                group_id,
                user_id_one,
                user_id_two,
            })
        }
        mode::MATCH_RELAYED | mode::MATCH_AUTHORITATIVE => {
            Message::MatchPresenceEvent(MatchPresenceEvent { match_id: place(), joins, leaves })
        }
        mode::PARTY => {
            Message::PartyPresenceEvent(PartyPresenceEvent { party_id: place(), joins, leaves })
        }
        _ => {
            let stream = Some(stream.to_wire());
            Message::StreamPresenceEvent(StreamPresenceEvent { stream, joins, leaves })
        }
    }
}

impl Tracker {
    /// Tells the change of a user's status to the user's own sockets and to who follows the user.
    fn tell_status(&self, change: &Change) {
        let stream = &change.stream;
        let envelope = Envelope {
            cid: String::new(),
            message: Some(Message::StatusPresenceEvent(StatusPresenceEvent {
                joins: wire(stream, &change.joins),
                leaves: wire(stream, &change.leaves),
            })),
        };
        let encoded = Encoded::new(&envelope);
        for session in self.sessions_of(stream.subject) {
            session.send_encoded(&encoded);
        }
        self.follows.each(stream.subject, |session| {
            session.send_encoded(&encoded);
        });
    }
}
