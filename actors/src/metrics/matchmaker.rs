//! What is known of the matchmaker.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::{
    Metric,
    latency::Latency,
    page::{Kind, Page, Value},
};

const TICKETS: Metric = ("matchmaker_tickets", Kind::Gauge, "Tickets that wait.");
const ACTIVE_TICKETS: Metric =
    ("matchmaker_active_tickets", Kind::Gauge, "Tickets that look for others.");
const PROCESS_TIME: Metric =
    ("matchmaker_process_time", Kind::Summary, "How long an interval's matching took.");

/// Figures of the matchmaker.
#[derive(Debug, Default)]
pub struct MatchmakerFigures {
    tickets: AtomicU64,
    active: AtomicU64,
    process: Latency,
}

impl MatchmakerFigures {
    /// Keeps how many tickets waited at the begin of an interval, and how many of them looked for
    /// others.
    pub fn waiting(&self, tickets: usize, active: usize) {
        self.tickets.store(tickets as u64, Relaxed);
        self.active.store(active as u64, Relaxed);
    }

    /// Counts an interval.
    pub fn processed(&self, elapsed: Duration) {
        self.process.record(elapsed);
    }

    pub(super) fn write(&self, page: &mut Page) {
        page.one(TICKETS, Value::Whole(self.tickets.load(Relaxed)));
        page.one(ACTIVE_TICKETS, Value::Whole(self.active.load(Relaxed)));
        page.one(PROCESS_TIME, Value::Summary(self.process.summary()));
    }
}
