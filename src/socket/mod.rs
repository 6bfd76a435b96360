//! The edge of the WebSocket, from the HTTP request that asks for one to its end.
//!
//! A connection leaves HTTP (`handshake`) and is served by one task on the thread that accepted it
//! (`connection`): it reads messages, has them handled one after another (`dispatch`), and writes
//! what waits in its session's queue. A connection at rest holds no buffers.

mod connection;
mod dispatch;
mod frame;
pub(crate) mod handshake;
mod live;
mod outbox;
mod pulse;

use std::borrow::Cow;
use std::time::Duration;

use guildhall_actors::cx::Cx;
use guildhall_actors::realtime::outgoing::Closing;
use tokio_util::task::TaskTracker;

/// The close code of a server that goes down.
const GOING_AWAY: u16 = 1001;
const STOPPING: &str = "server is stopping";

/// What clients that answer at once need, whatever the grace.
const LEAST_GRACE: Duration = Duration::from_millis(500);

/// The connections of a server; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Connections(TaskTracker);

impl Connections {
    /// Closes all sockets after what is queued for them, and takes no new ones. Waits until they have
    /// ended, at most for `grace`, and half a second where that is shorter. (The reference just goes.)
    pub async fn close_all(&self, cx: &Cx, grace: Duration) {
        self.0.close();
        for session in cx.sockets.all() {
            session.close(Closing { code: GOING_AWAY, reason: Cow::Borrowed(STOPPING) });
        }
        if tokio::time::timeout(grace.max(LEAST_GRACE), self.0.wait()).await.is_err() {
            tracing::warn!(left = self.0.len(), "sockets not closed in time");
        }
    }
}

#[cfg(test)]
mod tests;
