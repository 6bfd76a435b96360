//! When a client is pinged, and when it is taken for gone.

use std::time::Duration;

use guildhall_core::config;
use tokio::time::Instant;

/// The times of one connection. Both are put off by a pong and by every so many messages; pings of
/// the client put off nothing, as in the reference.
///
/// Source: Nakama, `sessionWS.maybeResetPingTimer`.
#[derive(Debug)]
pub(super) struct Pulse {
    period: Duration,
    patience: Duration,
    /// Messages that put the times off once.
    every: usize,
    messages_left: usize,
    /// When to ping; none while a pong is awaited.
    ping_at: Option<Instant>,
    gone_at: Instant,
}

impl Pulse {
    /// The times of a connection that begins now.
    pub(super) fn new(settings: &config::Socket, now: Instant) -> Self {
        let period = Duration::from_millis(settings.ping_period_ms);
        let patience = Duration::from_millis(settings.pong_wait_ms);
        let every = settings.ping_backoff_threshold;
        let messages_left = every;
        let ping_at = Some(now + period);
        Self { period, patience, every, messages_left, ping_at, gone_at: now + patience }
    }

    /// The client showed that it is there.
    pub(super) fn put_off(&mut self, now: Instant) {
        self.ping_at = Some(now + self.period);
        self.gone_at = now + self.patience;
    }

    /// The client sent a message; whether that puts the times off.
    pub(super) fn message(&mut self) -> bool {
        self.messages_left = self.messages_left.saturating_sub(1);
        let enough = self.messages_left == 0;
        if enough {
            self.messages_left = self.every;
        }
        enough
    }

    /// When to ping, if not already done.
    pub(super) fn ping_at(&self) -> Option<Instant> {
        self.ping_at
    }

    /// The client was pinged.
    pub(super) fn pinged(&mut self) {
        self.ping_at = None;
    }

    /// When the client is gone unless it shows that it is there.
    pub(super) fn gone_at(&self) -> Instant {
        self.gone_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(threshold: usize) -> config::Socket {
        config::Socket {
            ping_period_ms: 10,
            pong_wait_ms: 30,
            ping_backoff_threshold: threshold,
            ..config::Socket::default()
        }
    }

    #[test]
    fn a_pong_puts_off_the_next_ping_and_the_end() {
        let began = Instant::now();
        let mut pulse = Pulse::new(&settings(20), began);
        let after = |time: u64| began + Duration::from_millis(time);
        assert_eq!((pulse.ping_at(), pulse.gone_at()), (Some(after(10)), after(30)));
        pulse.pinged();
        assert_eq!((pulse.ping_at(), pulse.gone_at()), (None, after(30)));
        pulse.put_off(after(12));
        assert_eq!((pulse.ping_at(), pulse.gone_at()), (Some(after(22)), after(42)));
    }

    #[test]
    fn every_so_many_messages_put_them_off() {
        for (threshold, expected) in [(3, [3, 6]), (1, [1, 2]), (0, [1, 2])] {
            let mut pulse = Pulse::new(&settings(threshold), Instant::now());
            let moved: Vec<_> = (1..=expected[1]).filter(|_| pulse.message()).collect();
            assert_eq!(moved, expected, "{threshold}");
        }
    }
}
