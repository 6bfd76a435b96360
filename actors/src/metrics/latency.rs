//! How long things take: a summary with quantiles over the last minutes.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// The quantiles that summaries show, as the reference's do.
pub(super) const QUANTILES: [f64; 5] = [0.5, 0.75, 0.95, 0.99, 0.999];

/// Steps into which each power of two is divided: a quantile is right to about 6 %.
const STEPS: usize = 8;
/// Powers of two that are told apart, from 1 ns to 18 minutes; beyond counts as the last.
const POWERS: usize = 40;
/// Quantiles are over the last one to two of these.
const WINDOW: Duration = Duration::from_secs(300);

/// Counts durations. Recording is a handful of atomic additions.
#[derive(Debug)]
pub(super) struct Latency {
    count: AtomicU64,
    sum_ns: AtomicU64,
    /// The window that is being filled, and the one before it.
    windows: [Window; 2],
    filling: AtomicUsize,
    since: Mutex<Instant>,
}

#[derive(Debug)]
struct Window([AtomicU32; STEPS * POWERS]);

/// What a [`Latency`] has counted; several can be added up.
#[derive(Clone, Debug)]
pub(super) struct Summary {
    pub(super) count: u64,
    pub(super) sum_s: f64,
    recent: Vec<u64>,
}

impl Default for Latency {
    fn default() -> Self {
        let window = || Window(std::array::from_fn(|_| AtomicU32::new(0)));
        Self {
            count: AtomicU64::new(0),
            sum_ns: AtomicU64::new(0),
            windows: [window(), window()],
            filling: AtomicUsize::new(0),
            since: Mutex::new(Instant::now()),
        }
    }
}

impl Latency {
    pub(super) fn record(&self, elapsed: Duration) {
        let ns = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        self.count.fetch_add(1, Relaxed);
        self.sum_ns.fetch_add(ns, Relaxed);
        self.windows[self.filling.load(Relaxed)].0[bucket(ns)].fetch_add(1, Relaxed);
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    /// What was counted. Begins a new window where it is time.
    pub(super) fn summary(&self) -> Summary {
        let mut since = self.since.lock();
        if since.elapsed() >= WINDOW {
            *since = Instant::now();
            let next = 1 - self.filling.load(Relaxed);
            for bucket in &self.windows[next].0 {
                bucket.store(0, Relaxed);
            }
            self.filling.store(next, Relaxed);
        }
        drop(since);
        let [a, b] = &self.windows;
        let both = a.0.iter().zip(&b.0);
        Summary {
            count: self.count(),
            sum_s: Duration::from_nanos(self.sum_ns.load(Relaxed)).as_secs_f64(),
            recent: both
                .map(|(a, b)| u64::from(a.load(Relaxed)) + u64::from(b.load(Relaxed)))
                .collect(),
        }
    }
}

impl Default for Summary {
    fn default() -> Self {
        Self { count: 0, sum_s: 0.0, recent: vec![0; STEPS * POWERS] }
    }
}

impl Summary {
    pub(super) fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.sum_s += other.sum_s;
        for (sum, other) in self.recent.iter_mut().zip(&other.recent) {
            *sum += other;
        }
    }

    /// The duration in seconds below which this share of the recent ones lies; `None` where there
    /// are none.
    pub(super) fn quantile(&self, share: f64) -> Option<f64> {
        let total: u64 = self.recent.iter().sum();
        if total == 0 {
            return None;
        }
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss
        )]
        let rank = ((total as f64 * share).ceil() as u64).clamp(1, total);
        let mut seen = 0;
        for (bucket, count) in self.recent.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Some(middle_s(bucket));
            }
        }
        None
    }
}

fn bucket(ns: u64) -> usize {
    let ns = ns.max(1);
    let power = ns.ilog2() as usize;
    // The bits below the highest tell the step; below 8 ns there are fewer of them.
    let step = if power >= 3 {
        (ns >> (power - 3)) as usize & 7
    } else {
        (ns << (3 - power)) as usize & 7
    };
    (power * STEPS + step).min(STEPS * POWERS - 1)
}

/// The middle of a bucket, in seconds.
fn middle_s(bucket: usize) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "small numbers")]
    let (power, step) = ((bucket / STEPS) as i32, (bucket % STEPS) as f64);
    2f64.powi(power) * (1.0 + (step + 0.5) / 8.0) * 1e-9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_a_sixteenth() {
        let latency = Latency::default();
        for ms in 1..=1000 {
            latency.record(Duration::from_millis(ms));
        }
        let summary = latency.summary();
        assert_eq!(summary.count, 1000);
        assert!((summary.sum_s - 500.5).abs() < 1e-9);
        for share in QUANTILES {
            let found = summary.quantile(share).unwrap_or_default();
            assert!((found / share - 1.0).abs() < 1.0 / 16.0, "{share}: {found}");
        }
    }

    #[test]
    fn extremes_have_buckets() {
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(u64::MAX), STEPS * POWERS - 1);
        assert!(bucket(1_000) < bucket(1_200));
        assert_eq!(Summary::default().quantile(0.5), None);
    }
}
