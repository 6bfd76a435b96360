//! What is counted of presence events.

use std::time::Duration;

use super::{
    Metric,
    latency::Latency,
    page::{Kind, Page, Value},
};

const COUNT: Metric = (
    "presence_event_count",
    Kind::Counter,
    "Changes of who is present on a stream that were told.",
);
const DEQUEUE_LATENCY_MS: Metric = (
    "presence_event_dequeue_latency_ms",
    Kind::Summary,
    "How long presence events waited, in seconds.",
);
const PROCESS_LATENCY_MS: Metric = (
    "presence_event_process_latency_ms",
    Kind::Summary,
    "How long it took to tell presence events, in seconds.",
);

/// Figures of presence events.
#[derive(Debug, Default)]
pub struct PresenceEventFigures {
    waited: Latency,
    took: Latency,
}

impl PresenceEventFigures {
    /// Counts an event that `waited` so long to be told, which `took` so long.
    pub fn told(&self, waited: Duration, took: Duration) {
        self.waited.record(waited);
        self.took.record(took);
    }

    pub(super) fn write(&self, page: &mut Page) {
        page.one(COUNT, Value::Whole(self.took.count()));
        page.one(DEQUEUE_LATENCY_MS, Value::Summary(self.waited.summary()));
        page.one(PROCESS_LATENCY_MS, Value::Summary(self.took.summary()));
    }
}
