//! What is counted of sockets.

use super::{
    Counter, Figure, Metric,
    page::{Kind, Page, Value},
};

const OPENED: Metric = ("socket_ws_opened", Kind::Counter, "WebSockets opened.");
const CLOSED: Metric = ("socket_ws_closed", Kind::Counter, "WebSockets closed.");
const MESSAGE_COUNT: Metric =
    ("overall_message_count", Kind::Counter, "Realtime messages received.");
const MESSAGE_RECV_BYTES: Metric =
    ("overall_message_recv_bytes", Kind::Counter, "Bytes received in realtime messages.");
const MESSAGE_SENT_BYTES: Metric =
    ("overall_message_sent_bytes", Kind::Counter, "Bytes sent in realtime messages.");
const MESSAGE_ERRORS: Metric = (
    "overall_message_errors",
    Kind::Counter,
    "WebSockets that a client's message or its silence ended.",
);

/// What happened on sockets.
#[derive(Debug, Default)]
pub struct SocketFigures {
    /// Connections that became sockets.
    pub opened: Counter,
    /// Sockets that ended.
    pub closed: Counter,
    messages: Counter,
    recv_bytes: Counter,
    sent_bytes: Counter,
    errors: Counter,
}

impl SocketFigures {
    /// A message with a content of so many bytes was handled.
    pub fn received(&self, bytes: usize) {
        self.messages.add(1);
        self.recv_bytes.add(bytes as u64);
    }

    /// What a client sent, or did not send, ended its socket. This counts as a message.
    pub fn failed(&self) {
        self.messages.add(1);
        self.errors.add(1);
    }

    /// A message with a content of so many bytes was written.
    pub fn sent(&self, bytes: usize) {
        self.sent_bytes.add(bytes as u64);
    }

    /// What these add to a figure over all calls.
    pub(super) fn overall(&self, figure: Figure) -> u64 {
        match figure {
            Figure::Count => self.messages.value(),
            Figure::RecvBytes => self.recv_bytes.value(),
            Figure::SentBytes => self.sent_bytes.value(),
            Figure::Errors => self.errors.value(),
            Figure::Latency => 0,
        }
    }

    pub(super) fn write(&self, page: &mut Page) {
        let figures = [
            (OPENED, &self.opened),
            (CLOSED, &self.closed),
            (MESSAGE_COUNT, &self.messages),
            (MESSAGE_RECV_BYTES, &self.recv_bytes),
            (MESSAGE_SENT_BYTES, &self.sent_bytes),
            (MESSAGE_ERRORS, &self.errors),
        ];
        for (metric, counter) in figures {
            page.one(metric, Value::Whole(counter.value()));
        }
    }
}
