//! Tells modules that sessions start and end.
//!
//! Source: Nakama, `sessionStartFunction` and `sessionEndFunction`.

use std::collections::BTreeMap;

use guildhall_core::caller::TraceId;
use guildhall_proto::{Timestamp, api};

use super::session::Session;
use crate::{clock::now_s, cx::Cx, registry::Point, runtime::call::ExecutionMode};

impl Cx {
    /// Tells that a session starts.
    pub fn tell_session_start(&self, session: &Session) {
        self.tell_session(Point::EventSessionStart, "session_start", BTreeMap::new(), session);
    }

    /// Tells that a session ended. `reason` is what the client was told, or what became of its
    /// connection; empty where the client just left.
    pub fn tell_session_end(&self, session: &Session, reason: &str) {
        let properties = BTreeMap::from([("reason".to_owned(), reason.to_owned())]);
        self.tell_session(Point::EventSessionEnd, "session_end", properties, session);
    }

    fn tell_session(
        &self,
        point: Point,
        name: &str,
        properties: BTreeMap<String, String>,
        session: &Session,
    ) {
        if !self.events.are_heard(point) {
            return;
        }
        let event = api::Event {
            name: name.to_owned(),
            properties,
            timestamp: Some(Timestamp::from_seconds(now_s())),
            external: false,
        };
        self.events.send(point, session.context(ExecutionMode::Event, TraceId::default()), &event);
    }
}
