//! Tells who came to a stream and who left it: to those present, to a user's followers, to the match
//! or the party whose stream it is.
//!
//! Source: Nakama, `LocalTracker.processEvent`.

use std::{sync::Arc, time::Instant};

use guildhall_proto::realtime::{
    ChannelPresenceEvent, Envelope, MatchPresenceEvent, PartyPresenceEvent, StatusPresenceEvent,
    StreamPresenceEvent, UserPresence, envelope::Message,
};

use super::{
    outgoing::Encoded,
    stream::{Stream, mode},
    tracker::{Change, Changes, Presence, Tracker},
};
use crate::cx::Cx;

/// Tells changes as they come, on the I/O runtime, as long as that runs.
pub fn run(cx: &Arc<Cx>) {
    let cx = Arc::clone(cx);
    cx.io.clone().spawn(async move {
        loop {
            cx.tracker.changes.added.notified().await;
            while cx.tracker.changes.waiting() > 0 {
                cx.tell_some(AT_ONCE);
                tokio::task::yield_now().await;
            }
        }
    });
}

/// Changes that are told before others get their turn on the thread.
const AT_ONCE: usize = 64;

impl Cx {
    /// Tells the changes that were made before this call, in their order, where nobody has yet.
    pub fn tell_changes(&self) {
        self.tell_up_to(Changes::waiting);
    }

    /// Tells up to `most` of the changes that wait, in their order.
    pub(super) fn tell_some(&self, most: usize) {
        self.tell_up_to(|_| most);
    }

    fn tell_up_to(&self, most: impl Fn(&Changes) -> usize) {
        let Tracker { telling, changes, .. } = &*self.tracker;
        // What is told may make changes: those are told later, not in between.
        if telling.is_owned_by_current_thread() {
            return;
        }
        let _telling = telling.lock();
        for _ in 0..most(changes) {
            let Some(change) = changes.next() else { return };
            let began = Instant::now();
            self.tell(&change);
            let waited = began.saturating_duration_since(change.made);
            self.metrics.presence_events.told(waited, began.elapsed());
        }
    }

    /// Lets who made changes help to tell them while there are more than `tracker.event_queue_size`,
    /// which keeps them within that. To be called without any lock after each piece of work that a
    /// client or a module asked for; it costs nothing where there is nothing to help with.
    ///
    /// The reference drops the events that wait once there are too many.
    pub fn relieve_tracker(&self) {
        while self.tracker.changes.waiting() > self.tracker.most_changes
            && !self.tracker.telling.is_owned_by_current_thread()
        {
            self.tell_some(AT_ONCE);
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
            self.tell_status(change);
            return;
        }
        if stream.mode == mode::MATCH_AUTHORITATIVE && self.matches.is_here(&stream.label) {
            self.matches.left(stream.subject, &change.leaves, change.reason);
        }
        if stream.mode == mode::PARTY {
            self.tell_party(change);
        }
        if change.closed || !self.tracker.exists(stream) {
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

impl Cx {
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
        self.sockets.each_of(stream.subject, |session| {
            if session.hears_itself() {
                session.send_encoded(&encoded);
            }
        });
        self.tracker.follows.each(stream.subject, |session| {
            session.send_encoded(&encoded);
        });
    }
}
