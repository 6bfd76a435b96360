//! The limits on failed sign-ins: by account and address, by account, by address.
//!
//! Only a wrong password or an unknown e-mail or username is a failure. A window begins with the
//! first failure and ends [`config::SignIn::window_sec`] later, when its failures are forgotten.
//! Attempts in progress count as if they had failed, but those beyond a limit because of that wait
//! for their outcome rather than being refused: so many guesses at once get no further than one
//! after the other, and many right passwords at once are no offence.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::Arc,
};

use guildhall_core::{Code, Status, config};
use parking_lot::Mutex;
use tokio::sync::Notify;

const TOO_MANY: Status =
    Status::new(Code::ResourceExhausted, "Too many failed sign-ins, try again later.");

/// The most attempts that wait for the outcome of others.
const MAX_WAITING: usize = 1024;

/// The limits and what they have counted. Clones share it.
#[derive(Clone, Debug)]
pub struct SignInLimits(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    counts: Mutex<Counts>,
    ended: Notify,
}

/// An attempt in progress. Dropped without a failure, it leaves no trace.
#[derive(Debug)]
pub struct Attempt {
    limits: SignInLimits,
    keys: Keys,
}

/// What an attempt counts under: account and address, account, address; without an address the
/// account alone.
type Keys = [Option<Key>; 3];

/// A hash under a random secret, so that a key has one size and nobody can choose collisions.
type Key = u128;

#[derive(Debug)]
struct Counts {
    limits: [u32; 3],
    window_s: i64,
    max_tracked: usize,
    secrets: [RandomState; 2],
    entries: HashMap<Key, Entry>,
    /// Every window that has begun, oldest first, with its beginning.
    windows: VecDeque<(Key, i64)>,
    waiting: usize,
}

/// What a key has counted. With failures, exactly one of `windows` is its own.
#[derive(Debug, Default)]
struct Entry {
    failures: u32,
    pending: u32,
}

/// What becomes of an attempt.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Begin,
    Wait,
    Refuse,
}

impl SignInLimits {
    /// The limits of the configuration, nothing counted yet.
    pub fn new(settings: &config::SignIn) -> Self {
        Self(Arc::new(Inner {
            counts: Mutex::new(Counts {
                limits: [
                    settings.account_address_limit,
                    settings.account_limit,
                    settings.address_limit,
                ],
                window_s: i64::try_from(settings.window_sec).unwrap_or(i64::MAX),
                max_tracked: usize::try_from(settings.max_tracked).unwrap_or(usize::MAX),
                secrets: [RandomState::new(), RandomState::new()],
                entries: HashMap::new(),
                windows: VecDeque::new(),
                waiting: 0,
            }),
            ended: Notify::new(),
        }))
    }

    /// Begins an attempt to sign in to `account` (any text that names it) from `address`.
    ///
    /// # Errors
    /// `ResourceExhausted` where a limit is reached.
    pub async fn begin(&self, account: &str, address: Option<IpAddr>) -> Result<Attempt, Status> {
        let mut waiting = None;
        loop {
            let ended = self.0.ended.notified();
            tokio::pin!(ended);
            {
                let mut counts = self.0.counts.lock();
                let keys = counts.keys(account, address);
                match counts.begin(&keys, crate::clock::now_s()) {
                    Verdict::Begin => return Ok(Attempt { limits: self.clone(), keys }),
                    Verdict::Refuse => return Err(TOO_MANY),
                    Verdict::Wait => {
                        // Registered under the lock, so that no end in between is missed.
                        ended.as_mut().enable();
                        if waiting.is_none() {
                            if counts.waiting >= MAX_WAITING {
                                return Err(TOO_MANY);
                            }
                            counts.waiting += 1;
                            waiting = Some(Waiting(self));
                        }
                    }
                }
            }
            ended.await;
        }
    }
}

/// One more attempt waits.
struct Waiting<'a>(&'a SignInLimits);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.0.counts.lock().waiting -= 1;
    }
}

impl Attempt {
    /// The password was wrong, or there is no such account.
    pub fn failed(self) {
        self.limits.0.counts.lock().fail(&self.keys, crate::clock::now_s());
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.limits.0.counts.lock().end(&self.keys);
        self.limits.0.ended.notify_waiters();
    }
}

impl Counts {
    fn keys(&self, account: &str, address: Option<IpAddr>) -> Keys {
        let network = address.map(network);
        let key = |what: u8, account: Option<&str>, network: Option<IpAddr>| {
            let [high, low] =
                [0, 1].map(|half| self.secrets[half].hash_one((what, account, network)));
            u128::from(high) << 64 | u128::from(low)
        };
        [
            network.map(|network| key(0, Some(account), Some(network))),
            Some(key(1, Some(account), None)),
            network.map(|network| key(2, None, Some(network))),
        ]
    }

    fn begin(&mut self, keys: &Keys, now_s: i64) -> Verdict {
        self.forget(now_s);
        let mut verdict = Verdict::Begin;
        for (key, limit) in keys.iter().zip(self.limits) {
            let Some(entry) = key.and_then(|key| self.entries.get(&key)) else { continue };
            if entry.failures >= limit {
                return Verdict::Refuse;
            }
            if entry.failures.saturating_add(entry.pending) >= limit {
                verdict = Verdict::Wait;
            }
        }
        if verdict == Verdict::Begin {
            for key in keys.iter().flatten() {
                self.entries.entry(*key).or_default().pending += 1;
            }
        }
        verdict
    }

    fn fail(&mut self, keys: &Keys, now_s: i64) {
        self.forget(now_s);
        for key in keys.iter().flatten() {
            let entry = self.entries.entry(*key).or_default();
            if entry.failures == 0 {
                self.windows.push_back((*key, now_s));
            }
            entry.failures = entry.failures.saturating_add(1);
        }
        while self.windows.len() > self.max_tracked {
            self.forget_oldest();
        }
    }

    fn end(&mut self, keys: &Keys) {
        for key in keys.iter().flatten() {
            if let Some(entry) = self.entries.get_mut(key) {
                entry.pending = entry.pending.saturating_sub(1);
                if entry.pending == 0 && entry.failures == 0 {
                    self.entries.remove(key);
                }
            }
        }
    }

    /// Forgets the windows that have passed.
    fn forget(&mut self, now_s: i64) {
        while let Some((_, since_s)) = self.windows.front() {
            if now_s.saturating_sub(*since_s) < self.window_s {
                return;
            }
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((key, _)) = self.windows.pop_front() else { return };
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.failures = 0;
            if entry.pending == 0 {
                self.entries.remove(&key);
            }
        }
    }
}

/// What of an address counts: all of IPv4, the first 64 bits of IPv6, which one customer has.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures_util::FutureExt;

    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn address(number: u32) -> Option<IpAddr> {
        Some(IpAddr::V4(number.into()))
    }

    fn limits(account_address: u32, account: u32, address: u32, max_tracked: u64) -> SignInLimits {
        SignInLimits::new(&config::SignIn {
            account_address_limit: account_address,
            account_limit: account,
            address_limit: address,
            window_sec: 300,
            max_tracked,
        })
    }

    /// One attempt that fails at `now_s` unless it is refused, which is told.
    fn fails(limits: &SignInLimits, account: &str, from: Option<IpAddr>, now_s: i64) -> bool {
        let mut counts = limits.0.counts.lock();
        let keys = counts.keys(account, from);
        let begun = counts.begin(&keys, now_s) == Verdict::Begin;
        if begun {
            counts.fail(&keys, now_s);
            counts.end(&keys);
        }
        begun
    }

    #[test]
    fn ten_failures_of_an_account_from_an_address_are_the_most_in_five_minutes() {
        let limits = SignInLimits::new(&config::SignIn::default());
        assert_eq!((0..20).filter(|at| fails(&limits, "ann", Some(HOME), *at)).count(), 10);
        assert!(fails(&limits, "bob", Some(HOME), 20), "another account");
        assert!(fails(&limits, "ann", address(1), 20), "another address");
        assert!(!fails(&limits, "ann", Some(HOME), 299));
        assert!(fails(&limits, "ann", Some(HOME), 300), "the window has passed");
    }

    #[test]
    fn an_account_has_a_limit_over_all_addresses() {
        let limits = SignInLimits::new(&config::SignIn::default());
        assert_eq!((0..200).filter(|n| fails(&limits, "ann", address(*n), 0)).count(), 100);
    }

    #[test]
    fn an_address_has_a_limit_over_all_accounts() {
        let limits = SignInLimits::new(&config::SignIn::default());
        let tried = (0..300).filter(|n| fails(&limits, &n.to_string(), Some(HOME), 0));
        assert_eq!(tried.count(), 200);
    }

    #[test]
    fn without_an_address_the_account_alone_counts() {
        let limits = limits(1, 3, 1, 100);
        assert_eq!((0..5).filter(|_| fails(&limits, "ann", None, 0)).count(), 3);
        assert!(fails(&limits, "bob", None, 0));
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one() {
        let limits = limits(1, 100, 100, 100);
        let parse = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        assert!(fails(&limits, "ann", parse("2001:db8::1"), 0));
        assert!(!fails(&limits, "ann", parse("2001:db8::ffff:2"), 0));
        assert!(fails(&limits, "ann", parse("2001:db8:0:1::1"), 0));
        assert!(fails(&limits, "ann", parse("::ffff:192.0.2.1"), 0));
        assert!(!fails(&limits, "ann", Some(HOME), 0), "an IPv4 address in IPv6 form");
    }

    #[tokio::test]
    async fn attempts_that_do_not_fail_leave_no_trace() {
        let limits = limits(1, 1, 1, 100);
        for _ in 0..50 {
            drop(limits.begin("ann", Some(HOME)).await.unwrap());
        }
        let counts = limits.0.counts.lock();
        assert!(counts.entries.is_empty() && counts.windows.is_empty());
    }

    #[tokio::test]
    async fn guesses_at_once_get_no_further_than_one_after_the_other() {
        let limits = limits(2, 100, 100, 100);
        let first = limits.begin("ann", Some(HOME)).await.unwrap();
        let second = limits.begin("ann", Some(HOME)).await.unwrap();
        let mut third = Box::pin(limits.begin("ann", Some(HOME)));
        assert!(third.as_mut().now_or_never().is_none());
        first.failed();
        assert!(third.as_mut().now_or_never().is_none());
        second.failed();
        assert_eq!(third.await.unwrap_err(), TOO_MANY);
        assert_eq!(limits.0.counts.lock().waiting, 0);
    }

    #[tokio::test]
    async fn right_passwords_at_once_all_pass() {
        let limits = limits(2, 100, 100, 100);
        let first = limits.begin("ann", Some(HOME)).await.unwrap();
        let second = limits.begin("ann", Some(HOME)).await.unwrap();
        let mut third = Box::pin(limits.begin("ann", Some(HOME)));
        assert!(third.as_mut().now_or_never().is_none());
        drop((first, second));
        assert!(third.await.is_ok());
    }

    /// A property: under any sequence of attempts, no window of any key holds more failures than
    /// its limit, and memory stays bounded.
    #[test]
    fn no_sequence_of_attempts_exceeds_a_limit_or_the_bound() {
        // A fixed linear congruential generator, so that a failure can be repeated.
        let mut state: u64 = 42;
        let mut random = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        let limits = limits(3, 7, 11, 1000);
        let mut failures: HashMap<(Option<u64>, Option<u64>), Vec<i64>> = HashMap::new();
        let mut now_s = 0;
        for _ in 0..20_000 {
            now_s += random(8) as i64;
            let (account, from) = (random(6), random(5));
            if !fails(&limits, &account.to_string(), address(from as u32), now_s) {
                continue;
            }
            for (key, limit) in [
                ((Some(account), Some(from)), 3),
                ((Some(account), None), 7),
                ((None, Some(from)), 11),
            ] {
                // The failures of the window that began with the first of these.
                let window = failures.entry(key).or_default();
                if window.first().is_some_and(|first| now_s - first >= 300) {
                    window.clear();
                }
                window.push(now_s);
                assert!(window.len() <= limit, "{key:?} at {now_s}");
            }
        }
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_are_forgotten() {
        let limits = limits(1, 1, 1_000_000, 90);
        for n in 0..1000 {
            assert!(fails(&limits, &n.to_string(), address(n), 0));
        }
        let counts = limits.0.counts.lock();
        assert!(counts.windows.len() <= 90 && counts.entries.len() <= 90);
        drop(counts);
        assert!(!fails(&limits, "999", address(999), 1), "the newest is kept");
        assert!(fails(&limits, "0", address(0), 1), "the oldest is not");
    }
}
