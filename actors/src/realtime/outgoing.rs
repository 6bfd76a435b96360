//! What waits to be written to a socket: frames, encoded once however many get them.

use std::{
    borrow::Cow,
    cell::OnceCell,
    collections::VecDeque,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use guildhall_proto::realtime::Envelope;
use parking_lot::Mutex;
use prost::Message as _;

use super::session::Format;

/// Frames that a burst may queue while the socket takes all that it is given, as a multiple of the
/// bound for one that does not.
const BURST: usize = 64;

/// Why a socket is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// The close code of WebSockets.
    pub code: u16,
    /// The text of the close frame; without one no frame is sent and the connection just ends.
    pub reason: Cow<'static, str>,
}

impl Closing {
    /// An ending by the server, for `reason`.
    ///
    /// Source: Nakama closes with 1000 whatever the reason.
    pub fn normal(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { code: 1000, reason: reason.into() }
    }

    /// The client is gone, or has said good-bye.
    pub const GONE: Self = Self { code: 1000, reason: Cow::Borrowed("") };
}

/// A client did not take what was sent to it.
const QUEUE_FULL: &str = "session outgoing queue full";

/// The queue of a session. Pushing never waits; the session's task takes all there is at once.
///
/// A socket that is stuck may have `bound` frames waiting; with one more it is closed, since the
/// alternative is to leave messages out. While a socket takes what it is given, a burst may be
/// longer: its writer only has not come round to it.
pub struct Outgoing {
    bound: usize,
    queue: Mutex<Queue>,
    writer: AtomicWaker,
}

#[derive(Default)]
struct Queue {
    frames: VecDeque<Bytes>,
    closing: Option<Closing>,
    /// Whether the socket refused the last write.
    stuck: bool,
}

/// What the session's task is to write.
#[derive(Debug)]
pub struct Taken {
    /// Frames, in order.
    pub frames: VecDeque<Bytes>,
    /// Set once nothing comes after these frames.
    pub closing: Option<Closing>,
}

impl Outgoing {
    /// An empty queue that holds `bound` frames for a socket that is stuck.
    pub fn new(bound: usize) -> Self {
        Self { bound: bound.max(1), queue: Mutex::default(), writer: AtomicWaker::new() }
    }

    /// Puts a frame at the end; whether it was taken. A queue that is full closes the socket.
    pub fn push(&self, frame: Bytes) -> bool {
        let mut queue = self.queue.lock();
        if queue.closing.is_some() {
            return false;
        }
        let bound = if queue.stuck { self.bound } else { self.bound * BURST };
        let taken = queue.frames.len() < bound;
        if taken {
            queue.frames.push_back(frame);
        } else {
            // What is queued would reach nobody.
            queue.frames = VecDeque::new();
            queue.closing = Some(Closing::normal(QUEUE_FULL));
        }
        let wake = queue.frames.len() == 1 || !taken;
        drop(queue);
        if wake {
            self.writer.wake();
        }
        taken
    }

    /// Closes the socket once what is queued is written; the first reason counts.
    pub fn close(&self, closing: Closing) {
        let mut queue = self.queue.lock();
        if queue.closing.is_none() {
            queue.closing = Some(closing);
        }
        drop(queue);
        self.writer.wake();
    }

    /// Takes all that waits; pending while there is nothing.
    pub fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Taken> {
        self.writer.register(cx.waker());
        let mut queue = self.queue.lock();
        if queue.frames.is_empty() && queue.closing.is_none() {
            return Poll::Pending;
        }
        Poll::Ready(Taken {
            frames: std::mem::take(&mut queue.frames),
            closing: queue.closing.clone(),
        })
    }

    /// Says that the writer runs and will look for itself: until it does so by one of the `poll_`
    /// functions, nothing that is pushed wakes it.
    pub fn attend(&self) {
        self.writer.take();
    }

    /// Pending until the socket is to be closed; for a writer that is stuck and takes nothing.
    pub fn poll_closing(&self, cx: &mut Context<'_>) -> Poll<Closing> {
        self.writer.register(cx.waker());
        self.queue.lock().closing.clone().map_or(Poll::Pending, Poll::Ready)
    }

    /// Says whether the socket refuses to take more, so that the bound counts.
    pub fn set_stuck(&self, stuck: bool) {
        self.queue.lock().stuck = stuck;
    }

    /// Whether the socket is closing or closed.
    pub fn is_closing(&self) -> bool {
        self.queue.lock().closing.is_some()
    }
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing").finish_non_exhaustive()
    }
}

/// An envelope on its way to any number of sessions: encoded when the first of a format gets it.
pub struct Encoded<'a> {
    envelope: &'a Envelope,
    json: OnceCell<Bytes>,
    protobuf: OnceCell<Bytes>,
}

impl<'a> Encoded<'a> {
    /// Nothing is encoded yet.
    pub fn new(envelope: &'a Envelope) -> Self {
        Self { envelope, json: OnceCell::new(), protobuf: OnceCell::new() }
    }

    /// The frame for sessions of this format.
    pub fn frame(&self, format: Format) -> Bytes {
        match format {
            Format::Json => self.json.get_or_init(|| frame(TEXT, json(self.envelope))),
            Format::Protobuf => {
                self.protobuf.get_or_init(|| frame(BINARY, self.envelope.encode_to_vec()))
            }
        }
        .clone()
    }
}

impl std::fmt::Debug for Encoded<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.envelope.fmt(f)
    }
}

/// The JSON form. Only a time beyond all calendars has none, which no envelope of ours holds.
fn json(envelope: &Envelope) -> Vec<u8> {
    envelope.to_json().unwrap_or_else(|error| {
        tracing::error!(%error, "an envelope has no JSON form");
        b"{}".to_vec()
    })
}

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;

/// A whole frame of a server: final, unmasked (RFC 6455, 5.2).
fn frame(kind: u8, payload: Vec<u8>) -> Bytes {
    let length = payload.len();
    let mut frame = Vec::with_capacity(length + 10);
    frame.push(kind);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ 0..=125), _) => frame.push(length),
        (_, Ok(length)) => {
            frame.push(126);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame.into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::{Wake, Waker},
    };

    use super::*;

    fn take(outgoing: &Outgoing) -> Option<Taken> {
        match outgoing.poll_take(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(taken) => Some(taken),
            Poll::Pending => None,
        }
    }

    #[test]
    fn what_is_pushed_comes_out_in_order_and_at_once() {
        let outgoing = Outgoing::new(2);
        assert!(take(&outgoing).is_none());
        for text in ["a", "b", "c"] {
            assert!(outgoing.push(text.into()));
        }
        let taken = take(&outgoing).unwrap();
        assert_eq!(taken.frames, ["a", "b", "c"]);
        assert_eq!(taken.closing, None);
        assert!(take(&outgoing).is_none());
    }

    #[test]
    fn a_stuck_socket_is_closed_with_one_frame_too_many() {
        let outgoing = Outgoing::new(2);
        outgoing.set_stuck(true);
        assert!(outgoing.push("a".into()) && outgoing.push("b".into()));
        assert!(!outgoing.push("c".into()));
        assert!(!outgoing.push("d".into()));
        let taken = take(&outgoing).unwrap();
        assert!(taken.frames.is_empty());
        assert_eq!(taken.closing.unwrap().reason, QUEUE_FULL);
    }

    #[test]
    fn a_burst_is_bounded_too() {
        let outgoing = Outgoing::new(1);
        for _ in 0..BURST {
            assert!(outgoing.push("a".into()));
        }
        assert!(!outgoing.push("a".into()));
        assert!(outgoing.is_closing());
    }

    #[test]
    fn the_first_reason_to_close_counts_and_what_was_queued_is_written_before() {
        let outgoing = Outgoing::new(2);
        outgoing.push("a".into());
        outgoing.close(Closing::normal("first"));
        outgoing.close(Closing::normal("second"));
        assert!(!outgoing.push("b".into()));
        let taken = take(&outgoing).unwrap();
        assert_eq!(taken.frames, ["a"]);
        assert_eq!(taken.closing.unwrap().reason, "first");
    }

    #[test]
    fn a_writer_is_woken_once_and_not_while_it_attends() {
        struct Count(AtomicUsize);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let outgoing = Outgoing::new(9);
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let mut cx = Context::from_waker(&waker);
        let woken = || count.0.load(Ordering::Relaxed);
        assert!(outgoing.poll_take(&mut cx).is_pending());
        outgoing.push("a".into());
        outgoing.push("b".into());
        assert_eq!(woken(), 1);
        assert!(outgoing.poll_take(&mut cx).is_ready());
        assert!(outgoing.poll_take(&mut cx).is_pending());
        outgoing.attend();
        outgoing.push("c".into());
        assert_eq!(woken(), 1);
        assert!(outgoing.poll_closing(&mut cx).is_pending());
        outgoing.close(Closing::normal("d"));
        assert_eq!(woken(), 2);
        assert_eq!(outgoing.poll_closing(&mut cx), Poll::Ready(Closing::normal("d")));
    }

    #[test]
    fn frames_carry_their_length_in_the_shortest_form() {
        for (length, head) in [
            (0, vec![TEXT, 0]),
            (125, vec![TEXT, 125]),
            (126, vec![TEXT, 126, 0, 126]),
            (65_535, vec![TEXT, 126, 255, 255]),
            (65_536, vec![TEXT, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let whole = frame(TEXT, vec![7; length]);
            assert_eq!(whole[..head.len()], head);
            assert_eq!(whole.len(), head.len() + length);
        }
    }
}
