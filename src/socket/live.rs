//! A session while its connection lives.

use std::borrow::Cow;
use std::sync::Arc;

use guildhall_actors::cx::Cx;
use guildhall_actors::realtime::session::{PresenceReason, Session};
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::debug;

/// A session in the server's tables. However its task ends, this takes it out of them.
pub(super) struct Live {
    pub(super) cx: Arc<Cx>,
    pub(super) session: Arc<Session>,
    /// Why it ends, once it does; empty where the client just leaves.
    reason: Option<Cow<'static, str>>,
    /// Held by whoever waits for the end of all.
    _counted: TaskTrackerToken,
}

impl Live {
    /// Begins the session; with `status`, its user appears online.
    pub(super) fn begin(
        cx: Arc<Cx>,
        session: Arc<Session>,
        status: bool,
        counted: TaskTrackerToken,
    ) -> Self {
        debug!(session = %session.id, user = %session.user_id(), "session began");
        cx.metrics.socket.opened.add(1);
        cx.begin_session(&session, status);
        cx.tell_session_start(&session);
        Self { cx, session, reason: None, _counted: counted }
    }

    /// Takes away what the session left in the server, while its connection is still closing. The
    /// first reason counts.
    pub(super) fn leave(&mut self, reason: Cow<'static, str>) {
        self.reason.get_or_insert(reason);
        self.cx.end_session(&self.session, PresenceReason::Disconnect);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.cx.end_session(&self.session, PresenceReason::Disconnect);
        self.cx.metrics.socket.closed.add(1);
        let reason = self.reason.as_deref().unwrap_or_default();
        self.cx.tell_session_end(&self.session, reason);
        debug!(session = %self.session.id, reason, "session ended");
    }
}
