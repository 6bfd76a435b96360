//! The actor of an authoritative match: one task, on the thread that the match's interpreter lives on.
//!
//! It takes one thing at a time out of the queues of its [`Handle`] and runs the handler's function
//! for it: who left first, then in turn a tick that is due, a join attempt and a signal, so that none
//! of them keeps the others waiting. Whatever ends the match ends it here.
//!
//! Source: Nakama, `MatchHandler`.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use guildhall_core::{Error, Result};
use guildhall_proto::realtime::{Envelope, envelope::Message};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tracing::{info, warn};

use super::{
    MODES, REJECTED,
    handle::{Attempt, Call, Handle, Inputs, Queues, Signal, Stop},
};
use crate::{
    cx::Cx,
    envelope::Refusal,
    realtime::{
        session::{ErrorCode, PresenceReason, Session},
        tracker::{Meta, Tracked},
    },
    runtime::matches::{JoinAnswer, JoinAttempt, MatchPresence, RunningMatch, Turn},
};

/// A match at work.
pub(super) struct Actor {
    handle: Arc<Handle>,
    handler: RunningMatch,
    cx: Arc<Cx>,
    clock: Interval,
    /// A tick is due.
    due: bool,
    /// Whose turn it is among ticks, join attempts and signals.
    turn: u8,
    /// The number of the next tick.
    tick: i64,
    /// Ticks since the last member left.
    empty_ticks: u64,
    /// As many of them end the match; 0 for never.
    most_empty_ticks: u64,
}

/// What a match does next.
enum Next {
    Stop(Stop),
    Call(Call),
    Tick(Inputs),
    Attempt(Box<Attempt>),
    Signal(Signal),
}

/// Why a match ends.
#[derive(Debug)]
enum End {
    /// A function of its handler gave no state back.
    Over(&'static str),
    /// A function of its handler failed. Its members are disconnected.
    Failed(&'static str, Error),
    /// It was empty for too long.
    Empty,
    /// From outside; where it was too slow, its members are disconnected.
    Stopped(Stop),
}

impl From<Stop> for End {
    fn from(stop: Stop) -> Self {
        Self::Stopped(stop)
    }
}

impl Actor {
    /// A match whose handler has begun.
    pub(super) fn new(cx: &Arc<Cx>, handle: Arc<Handle>, handler: RunningMatch) -> Self {
        let rate = handle.tick_rate_hz();
        let most_empty_ticks = cx.config.r#match.max_empty_sec.saturating_mul(u64::from(rate));
        Self {
            handle,
            handler,
            cx: Arc::clone(cx),
            clock: clock(rate),
            due: false,
            turn: 0,
            tick: 0,
            empty_ticks: 0,
            most_empty_ticks,
        }
    }

    /// Runs the match to its end.
    pub(super) async fn run(mut self) {
        info!(match_id = self.handle.text(), handler = self.handle.handler_name(), "match started");
        let end = loop {
            let step = match self.next().await {
                Next::Stop(stop) => Err(stop.into()),
                Next::Call(Call::Left(left)) => self.left(left).await,
                Next::Call(Call::Terminate { grace_s }) => self.terminate(grace_s).await,
                Next::Tick(inputs) => self.tick(inputs).await,
                Next::Attempt(attempt) => self.attempt(attempt).await,
                Next::Signal(signal) => self.signal(signal).await,
            };
            if let Err(end) = step {
                break end;
            }
        };
        self.end(&end);
    }

    async fn next(&mut self) -> Next {
        let Self { handle, clock, due, turn, .. } = self;
        handle.next(|cx, queues| look(cx, queues, clock, due, turn)).await
    }

    async fn tick(&mut self, inputs: Inputs) -> Result<(), End> {
        let Inputs { messages, dropped } = inputs;
        if dropped > 0 {
            let match_id = self.handle.text();
            warn!(match_id, tick = self.tick, dropped, "match inputs dropped");
        }
        let turn = self.handle.unless_stopped(self.handler.tick(self.tick, messages)).await?;
        self.settle("match_loop", turn)?;
        if self.handle.size() > 0 {
            self.empty_ticks = 0;
        } else {
            self.empty_ticks += 1;
            if self.empty_ticks == self.most_empty_ticks {
                return Err(End::Empty);
            }
        }
        self.tick += 1;
        Ok(())
    }

    async fn left(&mut self, mut left: Vec<MatchPresence>) -> Result<(), End> {
        self.handle.remove(&mut left);
        if left.is_empty() {
            return Ok(());
        }
        let turn = self.handle.unless_stopped(self.handler.leave(self.tick, left)).await?;
        self.settle("match_leave", turn)
    }

    async fn terminate(&mut self, grace_s: u32) -> Result<(), End> {
        let turn = self.handle.unless_stopped(self.handler.terminate(self.tick, grace_s)).await?;
        self.settle("match_terminate", turn)
    }

    async fn signal(&mut self, signal: Signal) -> Result<(), End> {
        let Signal { data, answer } = signal;
        if answer.is_closed() {
            return Ok(());
        }
        const FUNCTION: &str = "match_signal";
        match self.handle.unless_stopped(self.handler.signal(self.tick, data)).await? {
            Ok(Some(given)) => {
                self.handle.send_deferred();
                // Who asked may be gone.
                drop(answer.send(given));
                Ok(())
            }
            ended => Err(self.ends(FUNCTION, ended, answer)),
        }
    }

    async fn attempt(&mut self, attempt: Box<Attempt>) -> Result<(), End> {
        let Attempt { session, cid, match_id, caller, metadata, answer } = *attempt;
        if answer.is_closed() || session.has_ended() {
            return Ok(());
        }
        const FUNCTION: &str = "match_join_attempt";
        let presence = self.handle.presence(&session, PresenceReason::Unknown);
        let metadata = metadata.into_iter().collect();
        let asked = JoinAttempt { presence: presence.clone(), caller, metadata };
        let given = self.handle.unless_stopped(self.handler.join_attempt(self.tick, asked)).await?;
        let JoinAnswer { allow, reason } = match given {
            Ok(Some(given)) => given,
            ended => return Err(self.ends(FUNCTION, ended, answer)),
        };
        // Only those who are in the match already hear of what was sent meanwhile.
        self.handle.send_deferred();
        if !allow {
            let rejected = match reason.as_str() {
                "" => REJECTED,
                _ => Refusal::of(ErrorCode::MatchJoinRejected, reason),
            };
            drop(answer.send(Err(rejected)));
            return Ok(());
        }
        // The client hears that it is in before anything that its join makes the handler say; of its
        // own presence it may hear before.
        let here = !answer.is_closed() && self.admit(&session);
        if here {
            let tracker = &self.cx.tracker;
            let envelope = self.handle.show_to(tracker, &session, match_id, false, |shown| {
                let envelope = Envelope { cid, message: Some(Message::Match(shown)) };
                session.send(&envelope);
                envelope
            });
            drop(answer.send(Ok(envelope)));
        }
        self.join(&session, presence).await?;
        if here {
            return Ok(());
        }
        // A handler that let somebody in may count on a join, and then on a leave.
        self.left(vec![self.handle.presence(&session, PresenceReason::Disconnect)]).await
    }

    /// Makes a session present on the match's stream; whether it was still there.
    fn admit(&self, session: &Arc<Session>) -> bool {
        let (tracker, stream) = (&self.cx.tracker, self.handle.stream());
        let tracked = tracker.track(session, stream, session.user_id(), Meta::default());
        if tracked == Tracked::New && self.cx.config.session.single_match {
            tracker.untrack_modes(session, MODES, stream);
        }
        tracked != Tracked::Ended
    }

    async fn join(&mut self, session: &Arc<Session>, presence: MatchPresence) -> Result<(), End> {
        if !self.handle.add(session) {
            return Ok(());
        }
        let joined = vec![presence];
        let turn = self.handle.unless_stopped(self.handler.join(self.tick, joined)).await?;
        self.settle("match_join", turn)
    }

    /// Whether the match goes on after a call; then what the call put off is sent.
    fn settle(&self, function: &'static str, turn: Result<Turn>) -> Result<(), End> {
        match turn {
            Ok(Turn::Continue) => {
                self.handle.send_deferred();
                Ok(())
            }
            Ok(Turn::End) => Err(End::Over(function)),
            Err(error) => Err(End::Failed(function, error)),
        }
    }

    /// Why a call that gave no answer ends the match. Who waits for `answer` hears of it only when
    /// the match is gone.
    fn ends<T, A>(&mut self, function: &'static str, given: Result<T>, answer: A) -> End {
        let end = match given {
            Ok(_) => End::Over(function),
            Err(error) => End::Failed(function, error),
        };
        self.close();
        drop(answer);
        end
    }
}

impl Actor {
    /// Takes the match out of the server, once. Its handler is not called any more.
    fn close(&mut self) {
        self.cx.matches.end(&self.handle);
        if !self.handle.close() {
            return;
        }
        // Who came or left until now is still told of.
        self.cx.tell_changes();
        self.cx.tracker.untrack_stream(self.handle.stream());
        self.handle.send_deferred();
    }

    fn end(&mut self, end: &End) {
        self.close();
        let (match_id, tick) = (self.handle.text(), self.tick);
        match end {
            End::Over(function) => info!(match_id, tick, function, "match over"),
            End::Failed(function, error) => {
                warn!(match_id, tick, function, %error, "match ended: its handler failed");
            }
            End::Empty => info!(match_id, tick, "match ended: it was empty"),
            End::Stopped(Stop::Asked) => info!(match_id, tick, "match ended: the server stops"),
            End::Stopped(Stop::Overrun) => {
                warn!(match_id, tick, "match ended: its handler is too slow for its calls");
            }
        }
        if matches!(end, End::Failed(..) | End::Stopped(Stop::Overrun)) {
            for member in self.handle.members() {
                self.cx.disconnect(&member, PresenceReason::Disconnect, None);
            }
        }
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        // Also where the match's thread ends, or its task failed.
        self.close();
    }
}

/// What a match does next, if anything.
fn look(
    cx: &mut Context<'_>,
    queues: &mut Queues,
    clock: &mut Interval,
    due: &mut bool,
    turn: &mut u8,
) -> Poll<Next> {
    if let Some(stop) = queues.stop {
        return Poll::Ready(Next::Stop(stop));
    }
    *due |= clock.poll_tick(cx).is_ready();
    if let Some(call) = queues.calls.pop_front() {
        return Poll::Ready(Next::Call(call));
    }
    for _ in 0..3 {
        *turn = (*turn + 1) % 3;
        let next = match *turn {
            0 => std::mem::take(due).then(|| Next::Tick(Handle::inputs(queues))),
            1 => queues.attempts.pop_front().map(|it| Next::Attempt(Box::new(it))),
            _ => queues.signals.pop_front().map(Next::Signal),
        };
        if let Some(next) = next {
            return Poll::Ready(next);
        }
    }
    Poll::Pending
}

/// How far apart the ticks of different matches are.
const BEAT: Duration = Duration::from_millis(10);

/// The ticks of a match, from the next one on. What is missed is left out.
fn clock(rate_hz: u8) -> Interval {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    static MADE: AtomicU64 = AtomicU64::new(0);
    let epoch = *EPOCH.get_or_init(Instant::now);
    let period = Duration::from_secs(1) / u32::from(rate_hz.max(1));
    let first = first_tick(epoch.elapsed(), period, MADE.fetch_add(1, Ordering::Relaxed));
    let mut clock = interval_at(epoch + first, period);
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    clock
}

/// When the `number`th match first ticks, within a period of `now`. Matches are spread evenly over a
/// period, however many they are, so that they do not all want the processor at once; but only over
/// times about [`BEAT`] apart, so that those of one time share what it costs to wake up threads.
fn first_tick(now: Duration, period: Duration, number: u64) -> Duration {
    // Multiples of the golden ratio fall into the widest gap that is left.
    const GOLDEN_RATIO: f64 = 0.618_033_988_749_895;
    let beats = (period.as_secs_f64() / BEAT.as_secs_f64()).round().max(1.0);
    let beat = (number as f64 * GOLDEN_RATIO).fract() * beats;
    let phase = period.mul_f64(beat.floor() / beats);
    let since = now.saturating_sub(phase).as_nanos();
    let periods = since / period.as_nanos() + u128::from(now >= phase);
    phase + period.mul_f64(periods as f64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_first_tick_is_within_a_period_and_ticks_are_spread_over_beats() {
        for (rate_hz, beats) in [(1, 100), (10, 10), (30, 3), (60, 2)] {
            let period = Duration::from_secs(1) / rate_hz;
            let mut on_beat = BTreeMap::new();
            for number in 0..1000 {
                let now = Duration::from_millis(number * 7);
                let first = first_tick(now, period, number);
                assert!(first > now && first <= now + period, "{number}: {first:?} after {now:?}");
                // Sums of fractions are some nanoseconds off.
                let phase = (first.as_nanos() + 1000) % period.as_nanos();
                *on_beat.entry(phase / 100_000).or_insert(0) += 1;
            }
            assert_eq!(on_beat.len(), beats, "{rate_hz} Hz: {on_beat:?}");
            let even = 1000 / beats;
            let about_even = |count: &usize| count.abs_diff(even) <= even / 5 + 2;
            assert!(on_beat.values().all(about_even), "{rate_hz} Hz: {on_beat:?}");
        }
    }
}
