//! A connection: one task that reads messages, has them handled in their order, and writes what is
//! queued, also while a message is being handled.

use std::borrow::Cow;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::web::Bytes;
use guildhall_actors::realtime::outgoing::Closing;
use guildhall_actors::realtime::session::Format;
use guildhall_core::config;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::dispatch::{Ends, Working, dispatch};
use super::frame::{self, Broken, Reader, Received};
use super::live::Live;
use super::outbox::Outbox;
use super::pulse::Pulse;

/// Close codes (RFC 6455, 7.4.1).
mod code {
    pub(super) const NORMAL: u16 = 1000;
    pub(super) const GOING_AWAY: u16 = 1001;
    pub(super) const PROTOCOL: u16 = 1002;
    pub(super) const TOO_LONG: u16 = 1009;
}

// Why sessions end, in the words of the reference and its library: modules may look for them.
const UNEXPECTED_TYPE: Ends = Cow::Borrowed("received unexpected WebSocket message type");
const UNEXPECTED_END: Ends =
    Cow::Borrowed("websocket: close 1006 (abnormal closure): unexpected EOF");
const TOO_LONG: Ends = Cow::Borrowed("websocket: read limit exceeded");
const TIMEOUT: Ends = Cow::Borrowed("i/o timeout");

// The runtime's own rule for turns is put out of force: a write that only waits for its turn must not
// look like a client that takes nothing, and a client that never stops sending must not stop the clock.
/// What is read of one client, in frames and reads, before others get their turn.
const TURN: usize = 32;
/// How often a queue that fills again is written before others get their turn.
const ROUNDS: usize = 4;

/// How long the end of a connection may take once nothing is to be written.
const SHUTDOWN: Duration = Duration::from_secs(1);

thread_local! {
    /// What comes on any connection of this thread, before it is known to be of use.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A connection whose session has begun.
pub(super) struct Connection<Io> {
    io: Io,
    reader: Reader,
    outbox: Outbox,
    pulse: Pulse,
    /// The message that is being handled; nothing is read meanwhile.
    handling: Option<Handling>,
    /// The answer to the client's last ping.
    pong: Option<Bytes>,
    /// Whether the client is to be pinged.
    ping: bool,
    /// Since when the connection does not take the frame that is being written.
    stuck_since: Option<Instant>,
    leaving: Option<Leaving>,
    /// Nothing more can be done with the connection.
    over: bool,
    live: Live,
}

struct Handling {
    bytes: usize,
    work: Working,
}

/// The way out: what is queued is written, then a close frame, then the client has its turn.
struct Leaving {
    /// When that has taken too long.
    until: Instant,
    /// The close frame, where it is not the one of the session's queue.
    frame: Option<Bytes>,
    /// Whether all that is to be written is in the outbox.
    queued: bool,
    /// Whether it is written.
    written: bool,
    then: Then,
}

/// What is awaited of the client at the end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// Its close frame; what else it says is passed over.
    Close,
    /// The end of its connection; what it sends cannot be read. Left unread, it would make the system
    /// take back the close frame.
    End,
    /// Nothing.
    Nothing,
}

impl<Io: AsyncRead + AsyncWrite + Unpin> Connection<Io> {
    /// A connection that has sent `input` already, and is sent `answer` first.
    pub(super) fn new(io: Io, live: Live, input: &[u8], answer: Bytes) -> Self {
        let settings = &live.cx.config.socket;
        let mut reader = Reader::new(settings.max_message_size_bytes);
        reader.feed(input);
        let mut outbox = Outbox::default();
        outbox.push(answer);
        Self {
            io,
            reader,
            outbox,
            pulse: Pulse::new(settings, Instant::now()),
            handling: None,
            pong: None,
            ping: false,
            stuck_since: None,
            leaving: None,
            over: false,
            live,
        }
    }

    /// Serves the connection to its end.
    pub(super) fn run(self) -> impl Future<Output = ()> {
        unconstrained(self.serve())
    }

    async fn serve(mut self) {
        {
            let mut timer = pin!(sleep_until(self.pulse.gone_at()));
            poll_fn(|cx| self.poll(cx, timer.as_mut())).await;
        }
        self.live.leave(Cow::Borrowed(""));
        if self.outbox.is_empty() {
            // Where this fails, the client has gone before.
            let _ = timeout(SHUTDOWN, self.io.shutdown()).await;
        }
        let Self { io, handling, live: _live, .. } = self;
        drop(io);
        // Half of it is done already, so the rest is, though nobody waits for it any more.
        if let Some(Handling { work, .. }) = handling {
            let _ = work.await;
        }
    }

    /// Does all that can be done now; ready at the end of the connection.
    fn poll(&mut self, cx: &mut Context<'_>, mut timer: Pin<&mut Sleep>) -> Poll<()> {
        let mut turn = TURN;
        // What a message sends to its own session is written below without a wake-up.
        self.live.session.outgoing.attend();
        loop {
            let input = self.poll_input(cx, &mut turn);
            let output = self.poll_output(cx);
            if self.is_over() {
                return Poll::Ready(());
            }
            let again = turn == 0 || output.is_ready();
            if input.is_ready() && !again {
                continue;
            }
            if self.poll_timer(cx, timer.as_mut()).is_pending() {
                if again {
                    cx.waker().wake_by_ref();
                }
                return Poll::Pending;
            }
        }
    }

    fn is_over(&self) -> bool {
        let done = |leaving: &Leaving| leaving.written && leaving.then == Then::Nothing;
        self.over || self.leaving.as_ref().is_some_and(done)
    }

    /// Handles what comes. Ready where something is to be written before more is read, or where others
    /// are to have their turn.
    fn poll_input(&mut self, cx: &mut Context<'_>, turn: &mut usize) -> Poll<()> {
        while *turn > 0 && !self.over {
            if let Some(handling) = &mut self.handling {
                let result = ready!(handling.work.as_mut().poll(cx));
                self.handled(result);
            }
            let then = self.leaving.as_ref().map(|leaving| leaving.then);
            if then == Some(Then::Nothing) {
                return Poll::Pending;
            }
            *turn -= 1;
            if then == Some(Then::End) {
                ready!(self.poll_read(cx, false));
                continue;
            }
            let received = match self.reader.next() {
                Ok(Some(received)) => received,
                Ok(None) => {
                    ready!(self.poll_read(cx, true));
                    continue;
                }
                Err(broken) => {
                    self.refuse(broken);
                    return Poll::Ready(());
                }
            };
            self.take(received);
            if self.pong.is_some() || self.leaving.is_some() {
                return Poll::Ready(());
            }
        }
        Poll::Ready(())
    }

    /// Reads what there is; ready where something came, or nothing more will.
    fn poll_read(&mut self, cx: &mut Context<'_>, keep: bool) -> Poll<()> {
        let size = self.settings().read_buffer_size_bytes;
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.resize(size, 0);
            let mut buffer = ReadBuf::new(scratch);
            match ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer)) {
                Ok(()) if buffer.filled().is_empty() => {
                    self.leave(UNEXPECTED_END, None, Then::Nothing);
                }
                Ok(()) if keep => self.reader.feed(buffer.filled()),
                Ok(()) => {}
                Err(error) => self.broken(&error),
            }
            Poll::Ready(())
        })
    }

    fn take(&mut self, received: Received) {
        match received {
            // Too late.
            Received::Message { .. } | Received::Ping(_) if self.leaving.is_some() => {}
            Received::Message { text, payload } => self.handle(text, payload),
            Received::Ping(payload) => self.pong = Some(frame::pong(&payload)),
            Received::Pong => self.pulse.put_off(Instant::now()),
            Received::Close { code, reason } => {
                let echo = frame::closing(code, "");
                self.leave(left(code, &reason), Some(echo), Then::Nothing);
            }
        }
    }

    fn handle(&mut self, text: bool, payload: Bytes) {
        let Live { cx, session, .. } = &self.live;
        if text != (session.format == Format::Json) {
            return self.leave_with(UNEXPECTED_TYPE);
        }
        let bytes = payload.len();
        match dispatch(cx, session, payload) {
            Ok(work) => self.handling = Some(Handling { bytes, work }),
            Err(reason) => return self.leave_with(reason),
        }
        if self.pulse.message() {
            self.pulse.put_off(Instant::now());
        }
    }

    fn handled(&mut self, result: Result<(), Ends>) {
        let Some(Handling { bytes, .. }) = self.handling.take() else { return };
        match result {
            Ok(()) => self.live.cx.metrics.socket.received(bytes),
            Err(reason) => self.leave_with(reason),
        }
    }

    /// Ends what cannot be read on.
    fn refuse(&mut self, broken: Broken) {
        let (reason, frame) = match broken {
            Broken::Protocol(fault) => {
                let frame = frame::closing(Some(code::PROTOCOL), &fault);
                (format!("websocket: {fault}").into(), frame)
            }
            Broken::TooLong => (TOO_LONG, frame::closing(Some(code::TOO_LONG), "")),
        };
        self.reader.clear();
        self.leave(reason, Some(frame), Then::End);
    }

    /// Closes for a reason that the client is told.
    fn leave_with(&mut self, reason: Ends) {
        let frame = frame::closing(Some(code::NORMAL), &reason);
        self.leave(reason, Some(frame), Then::Close);
    }

    /// Begins the way out because of what the client does or leaves undone; if it began before, only
    /// what is awaited at its end changes.
    fn leave(&mut self, reason: Ends, frame: Option<Bytes>, then: Then) {
        match &mut self.leaving {
            Some(leaving) => leaving.then = then,
            None => {
                if !reason.is_empty() {
                    self.live.cx.metrics.socket.failed();
                }
                self.live.session.close(Closing::GONE);
                self.begin_leaving(reason, frame, then);
            }
        }
    }

    fn begin_leaving(&mut self, reason: Ends, frame: Option<Bytes>, then: Then) {
        let until = after(self.settings().write_wait_ms);
        self.leaving = Some(Leaving { until, frame, queued: false, written: false, then });
        self.live.leave(reason);
    }

    /// The connection failed.
    fn broken(&mut self, error: &io::Error) {
        self.leave(error.to_string().into(), None, Then::Nothing);
        self.over = true;
    }

    /// Writes what waits, as far as the connection takes it; ready where more waits and others are to
    /// have their turn.
    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let most_bytes = self.settings().write_buffer_size_bytes;
        for round in 0.. {
            let before = self.outbox.done();
            let counted = &self.live.cx.metrics.socket;
            let whole = |frame: &Bytes| {
                if let Some(bytes) = frame::content_bytes(frame) {
                    counted.sent(bytes);
                }
            };
            match self.outbox.poll_write(&mut self.io, cx, most_bytes, whole) {
                Poll::Ready(Ok(())) => {
                    if self.stuck_since.take().is_some() {
                        self.live.session.outgoing.set_stuck(false);
                    }
                }
                Poll::Ready(Err(error)) => {
                    self.broken(&error);
                    return Poll::Pending;
                }
                Poll::Pending => {
                    self.stuck(cx, self.outbox.done() > before);
                    return Poll::Pending;
                }
            }
            if !self.refill(cx) {
                break;
            }
            if round == ROUNDS {
                return Poll::Ready(());
            }
        }
        if let Some(leaving) = &mut self.leaving
            && leaving.queued
            && !leaving.written
        {
            leaving.written = true;
            leaving.until = after(self.live.cx.config.socket.close_ack_wait_ms);
        }
        Poll::Pending
    }

    /// The connection takes no more now; `moved` says whether it took whole frames before.
    fn stuck(&mut self, cx: &mut Context<'_>, moved: bool) {
        let outgoing = &self.live.session.outgoing;
        if self.stuck_since.is_none() {
            outgoing.set_stuck(true);
        }
        if self.stuck_since.is_none() || moved {
            self.stuck_since = Some(Instant::now());
        }
        if self.leaving.is_none()
            && let Poll::Ready(closing) = outgoing.poll_closing(cx)
        {
            self.begin_leaving(closing.reason, None, Then::Close);
        }
    }

    /// Takes what is to be written next; whether there is anything.
    fn refill(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(pong) = self.pong.take() {
            self.outbox.push(pong);
        }
        if std::mem::take(&mut self.ping) {
            self.outbox.push(frame::PING);
        }
        let queued = self.leaving.as_ref().is_some_and(|leaving| leaving.queued);
        if !queued && let Poll::Ready(taken) = self.live.session.outgoing.poll_take(cx) {
            self.outbox.append(taken.frames);
            if let Some(closing) = taken.closing {
                self.queue_close_frame(closing);
            }
        }
        !self.outbox.is_empty()
    }

    /// Puts the last frame of all into the outbox.
    fn queue_close_frame(&mut self, closing: Closing) {
        if self.leaving.is_none() {
            self.begin_leaving(closing.reason.clone(), None, Then::Close);
        }
        let Some(leaving) = &mut self.leaving else { return };
        leaving.queued = true;
        let frame = leaving.frame.take().or_else(|| {
            (!closing.reason.is_empty())
                .then(|| frame::closing(Some(closing.code), &closing.reason))
        });
        match frame {
            Some(frame) => self.outbox.push(frame),
            None => leaving.then = Then::Nothing,
        }
    }

    /// Ready once something was due and is done.
    fn poll_timer(&mut self, cx: &mut Context<'_>, mut timer: Pin<&mut Sleep>) -> Poll<()> {
        loop {
            let Some(due) = self.due() else { return Poll::Pending };
            // One that rings too early costs less than setting it anew with each message.
            if due < timer.deadline() {
                timer.as_mut().reset(due);
            }
            ready!(timer.as_mut().poll(cx));
            if due <= Instant::now() {
                self.late();
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
    }

    /// When something is to be done though nothing happens.
    fn due(&self) -> Option<Instant> {
        if let Some(leaving) = &self.leaving {
            return Some(leaving.until);
        }
        let stuck = self.stuck_since.map(|since| since + self.write_wait());
        // While a message is handled nobody looks whether the client said something.
        let gone = self.handling.is_none().then_some(self.pulse.gone_at());
        [self.pulse.ping_at(), stuck, gone].into_iter().flatten().min()
    }

    /// Does what is due.
    fn late(&mut self) {
        let now = Instant::now();
        if self.leaving.is_some() {
            self.over = true;
        } else if self.stuck_since.is_some_and(|since| since + self.write_wait() <= now) {
            self.leave(TIMEOUT, None, Then::Nothing);
            self.over = true;
        } else if self.pulse.ping_at().is_some_and(|ping_at| ping_at <= now) {
            self.pulse.pinged();
            self.ping = true;
        } else if self.pulse.gone_at() <= now {
            self.leave_with(TIMEOUT);
        }
    }

    fn settings(&self) -> &config::Socket {
        &self.live.cx.config.socket
    }

    fn write_wait(&self) -> Duration {
        Duration::from_millis(self.settings().write_wait_ms)
    }
}

fn after(wait_ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(wait_ms)
}

/// Why a session ends whose client closed it; nothing where that is the ordinary way.
fn left(code: Option<u16>, reason: &str) -> Ends {
    let Some(code) = code.filter(|code| !matches!(*code, code::NORMAL | code::GOING_AWAY)) else {
        return Cow::Borrowed("");
    };
    let name = match code {
        code::PROTOCOL => " (protocol error)",
        1003 => " (unsupported data)",
        1007 => " (invalid payload data)",
        1008 => " (policy violation)",
        code::TOO_LONG => " (message too big)",
        1010 => " (mandatory extension missing)",
        1011 => " (internal server error)",
        _ => "",
    };
    let colon = if reason.is_empty() { "" } else { ": " };
    format!("websocket: close {code}{name}{colon}{reason}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_with_the_words_of_the_reference() {
        for (code, reason, expected) in [
            (None, "", ""),
            (Some(1000), "bye", ""),
            (Some(1001), "", ""),
            (Some(1002), "", "websocket: close 1002 (protocol error)"),
            (Some(1011), "oh", "websocket: close 1011 (internal server error): oh"),
            (Some(4000), "own", "websocket: close 4000: own"),
        ] {
            assert_eq!(left(code, reason), expected);
        }
    }
}
