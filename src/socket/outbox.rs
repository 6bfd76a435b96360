//! Frames on their way into a connection.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::web::Bytes;
use tokio::io::AsyncWrite;

/// The most frames that one write takes.
const MAX_SLICES: usize = 64;

/// What was taken out of a session's queue and is not yet written. Empty, it holds no memory.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    frames: VecDeque<Bytes>,
    /// How much of the first frame is written.
    written: usize,
    /// Whether the connection may still hold back what it took.
    unflushed: bool,
    /// Frames that were written as a whole, ever.
    done: u64,
}

impl Outbox {
    /// Puts a frame at the end.
    pub(super) fn push(&mut self, frame: Bytes) {
        self.frames.push_back(frame);
    }

    /// Puts many frames at the end.
    pub(super) fn append(&mut self, mut frames: VecDeque<Bytes>) {
        if self.frames.is_empty() {
            self.frames = frames;
        } else {
            self.frames.append(&mut frames);
        }
    }

    /// Whether there is nothing to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty() && !self.unflushed
    }

    /// How many frames were written as a whole.
    pub(super) fn done(&self) -> u64 {
        self.done
    }

    /// Writes all frames, many at a time: of about `most_bytes`, or one that is longer. `whole` is
    /// shown each frame once it is written. Pending while the connection takes no more.
    ///
    /// # Errors
    /// The connection's.
    pub(super) fn poll_write<Io: AsyncWrite + Unpin>(
        &mut self,
        io: &mut Io,
        cx: &mut Context<'_>,
        most_bytes: usize,
        mut whole: impl FnMut(&Bytes),
    ) -> Poll<io::Result<()>> {
        while !self.frames.is_empty() {
            let taken = ready!(self.poll_some(io, cx, most_bytes))?;
            if taken == 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
            self.written += taken;
            while let Some(first) = self.frames.front()
                && self.written >= first.len()
            {
                self.written -= first.len();
                self.done += 1;
                whole(first);
                self.frames.pop_front();
            }
        }
        if self.unflushed {
            ready!(Pin::new(io).poll_flush(cx))?;
            self.unflushed = false;
            self.frames = VecDeque::new();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_some<Io: AsyncWrite + Unpin>(
        &self,
        io: &mut Io,
        cx: &mut Context<'_>,
        most_bytes: usize,
    ) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let (mut count, mut bytes) = (0, 0);
        let mut skipped = self.written;
        for (slice, frame) in slices.iter_mut().zip(&self.frames) {
            if count > 0 && bytes + frame.len() > most_bytes {
                break;
            }
            *slice = IoSlice::new(frame.get(skipped..).unwrap_or_default());
            skipped = 0;
            count += 1;
            bytes += frame.len();
        }
        match &slices[..count] {
            [one] => Pin::new(io).poll_write(cx, one),
            several => Pin::new(io).poll_write_vectored(cx, several),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::task::Waker;

    use super::*;

    /// Takes so many bytes of each write, until it has taken `room`.
    struct Narrow {
        each: usize,
        room: usize,
        taken: Vec<u8>,
        writes: usize,
    }

    impl AsyncWrite for Narrow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let count = self.each.min(self.room).min(bytes.len());
            if count == 0 {
                return Poll::Pending;
            }
            self.room -= count;
            self.writes += 1;
            self.taken.extend_from_slice(&bytes[..count]);
            Poll::Ready(Ok(count))
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.poll_write(cx, &slices.iter().flat_map(|slice| slice.to_vec()).collect::<Vec<_>>())
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn io(each: usize, room: usize) -> Narrow {
        Narrow { each, room, taken: Vec::new(), writes: 0 }
    }

    fn outbox(frames: &[&'static str]) -> Outbox {
        let mut outbox = Outbox::default();
        outbox.append(frames.iter().map(|frame| Bytes::from_static(frame.as_bytes())).collect());
        outbox
    }

    fn write(outbox: &mut Outbox, io: &mut Narrow, most_bytes: usize) -> Poll<Vec<Bytes>> {
        let mut whole = Vec::new();
        let mut cx = Context::from_waker(Waker::noop());
        outbox
            .poll_write(io, &mut cx, most_bytes, |frame| whole.push(frame.clone()))
            .map(|result| result.map(|()| whole).unwrap())
    }

    #[test]
    fn many_frames_go_in_one_write() {
        let (mut outbox, mut io) = (outbox(&["one", "two", "three"]), io(100, 100));
        assert_eq!(
            write(&mut outbox, &mut io, 100),
            Poll::Ready(vec!["one".into(), "two".into(), "three".into()])
        );
        assert_eq!((io.taken.as_slice(), io.writes), (&b"onetwothree"[..], 1));
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_write_takes_so_many_bytes_or_one_frame() {
        let (mut outbox, mut io) = (outbox(&["one", "two", "three"]), io(100, 100));
        assert!(write(&mut outbox, &mut io, 6).is_ready());
        assert_eq!(io.writes, 2);
        outbox.push("a long frame".into());
        assert!(write(&mut outbox, &mut io, 6).is_ready());
        assert_eq!((io.taken.as_slice(), io.writes), (&b"onetwothreea long frame"[..], 3));
    }

    #[test]
    fn a_narrow_connection_gets_all_bytes_in_order() {
        for each in 1..12 {
            let (mut outbox, mut io) = (outbox(&["one", "two", "three"]), io(each, 7));
            assert!(write(&mut outbox, &mut io, 100).is_pending());
            assert_eq!(io.taken, b"onetwot");
            assert_eq!((outbox.done(), outbox.is_empty()), (2, false));
            io.room = 100;
            assert_eq!(write(&mut outbox, &mut io, 100), Poll::Ready(vec!["three".into()]));
            assert_eq!(io.taken, b"onetwothree");
        }
    }
}
