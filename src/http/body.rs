//! Request bodies and the two encodings that both sides may compress by.

use std::cell::RefCell;
use std::io::Read;
use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderValue, UPGRADE,
};
use actix_web::web::{Bytes, BytesMut, Payload};
use flate2::read::{DeflateDecoder, GzDecoder};
use flate2::{Compress, Compression, Crc, FlushCompress};
use futures_util::{Stream, StreamExt};
use guildhall_core::{Code, Error, Status};

/// The text is the reference's.
const TOO_LARGE: Status = Status::new(Code::InvalidArgument, "http: request body too large");
const TOO_SLOW: Status =
    Status::new(Code::InvalidArgument, "timeout while reading the request body");
const NOT_DECODED: Status = Status::new(
    Code::InvalidArgument,
    "unexpected EOF: the request body is not what its Content-Encoding says",
);

/// A compressed body may unfold to this many times the limit on bodies.
const INFLATED_FACTOR: u64 = 16;

/// How much of an unread body is taken, and how long that may last.
const DISCARDED_BYTES: usize = 1 << 20;
const DISCARD_TIMEOUT: Duration = Duration::from_millis(500);

/// Reads a whole body of at most `limit` bytes within `timeout`, and undoes its compression.
///
/// # Errors
/// Code 3 where it is too large, too slow, broken off, or not what its encoding says.
pub(super) async fn read(
    headers: &HeaderMap,
    payload: &mut Payload,
    limit: usize,
    timeout: Duration,
) -> Result<Bytes, Error> {
    let announced =
        headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(TOO_LARGE.into());
    }
    let body = match collect(payload, limit, timeout).await {
        Ok(body) => body,
        Err(status) => return Err(status.into()),
    };
    match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        Some(b"gzip") if body.starts_with(&[0x1f, 0x8b]) => {
            inflate(GzDecoder::new(&body[..]), limit)
        }
        Some(b"deflate") => inflate(DeflateDecoder::new(&body[..]), limit),
        // What is not compressed after all is read as it is.
        _ => Ok(body),
    }
}

async fn collect(
    mut payload: impl Stream<Item = Result<Bytes, PayloadError>> + Unpin,
    limit: usize,
    timeout: Duration,
) -> Result<Bytes, Status> {
    let mut whole: Option<BytesMut> = None;
    let mut first = Bytes::new();
    let all = async {
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error| {
                Status::of(
                    Code::InvalidArgument,
                    format!("unexpected EOF: reading the request body: {error}"),
                )
            })?;
            let length = first.len()
                + whole.as_ref().map_or(0, |whole| whole.len() - first.len())
                + chunk.len();
            if length > limit {
                return Err(TOO_LARGE);
            }
            // A body in one piece, as most are, is not copied.
            match &mut whole {
                Some(whole) => whole.extend_from_slice(&chunk),
                None if first.is_empty() => first = chunk,
                None => {
                    let mut both = BytesMut::with_capacity(length * 2);
                    both.extend_from_slice(&first);
                    both.extend_from_slice(&chunk);
                    whole = Some(both);
                }
            }
        }
        Ok(())
    };
    tokio::time::timeout(timeout, all).await.map_err(|_| TOO_SLOW)??;
    Ok(whole.map_or(first, BytesMut::freeze))
}

/// Takes what is left of a body that nobody reads, within reason: a connection that is closed while
/// its client still sends may lose the answer, and one whose bodies are taken can go on.
pub(super) async fn discard(payload: &mut Payload) {
    let mut left = DISCARDED_BYTES;
    let all = async {
        while let Some(Ok(chunk)) = payload.next().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                return;
            }
        }
    };
    // Too late is as good as too large.
    let _ = tokio::time::timeout(DISCARD_TIMEOUT, all).await;
}

fn inflate(decoder: impl Read, limit: usize) -> Result<Bytes, Error> {
    let limit = (limit as u64).saturating_mul(INFLATED_FACTOR);
    let mut body = Vec::new();
    let read = decoder.take(limit.saturating_add(1)).read_to_end(&mut body);
    if read.is_err() {
        return Err(NOT_DECODED.into());
    }
    if body.len() as u64 > limit {
        return Err(TOO_LARGE.into());
    }
    Ok(body.into())
}

/// How an answer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As a gzip file.
    Gzip,
    /// Without any frame, which is what the reference sends under this name.
    Deflate,
}

impl Encoding {
    /// The first encoding that the client names and we have. One with a weight is passed over.
    pub(super) fn wanted(headers: &HeaderMap) -> Option<Self> {
        let accepted = headers.get(ACCEPT_ENCODING)?.to_str().ok()?;
        if headers.get(UPGRADE).is_some_and(|value| !value.is_empty()) {
            return None;
        }
        accepted.split(',').find_map(|name| match name.trim() {
            "gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            _ => None,
        })
    }

    /// The value of `Content-Encoding`.
    pub(super) fn name(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        })
    }

    /// `body`, compressed; `None` if that failed.
    pub(super) fn compress(self, body: &[u8]) -> Option<Bytes> {
        thread_local! {
            // The tables of a compressor are large and made once for each thread.
            static COMPRESSOR: RefCell<Compress> = RefCell::new(Compress::new(Compression::fast(), false));
        }
        /// A gzip header without name and time, for an unknown system.
        const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
        COMPRESSOR.with_borrow_mut(|compressor| {
            compressor.reset();
            // Above what incompressible input grows by, so that one call finishes.
            let mut out = Vec::with_capacity(body.len() + body.len() / 1000 + 64);
            if self == Self::Gzip {
                out.extend_from_slice(&GZIP_HEADER);
            }
            let status = compressor.compress_vec(body, &mut out, FlushCompress::Finish).ok()?;
            if status != flate2::Status::StreamEnd {
                return None;
            }
            if self == Self::Gzip {
                let mut crc = Crc::new();
                crc.update(body);
                out.extend_from_slice(&crc.sum().to_le_bytes());
                out.extend_from_slice(&crc.amount().to_le_bytes());
            }
            Some(out.into())
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io;

    use futures_util::stream;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn accepts(text: &'static str) -> Option<Encoding> {
        Encoding::wanted(&[(ACCEPT_ENCODING, HeaderValue::from_static(text))].into_iter().collect())
    }

    #[test]
    fn the_first_known_encoding_without_a_weight_is_taken() {
        assert_eq!(accepts("gzip"), Some(Encoding::Gzip));
        assert_eq!(accepts("br, deflate,gzip"), Some(Encoding::Deflate));
        assert_eq!(accepts("gzip;q=0"), None);
        assert_eq!(accepts("identity"), None);
    }

    #[test]
    fn what_is_compressed_unfolds_to_itself() {
        let noise: Vec<u8> =
            (0..100_000u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8).collect();
        for body in [&b""[..], b"{}", &[b'x'; 50_000], &noise] {
            let gzip = Encoding::Gzip.compress(body).unwrap();
            assert_eq!(inflate(GzDecoder::new(&gzip[..]), body.len()).unwrap(), body);
            let deflate = Encoding::Deflate.compress(body).unwrap();
            assert_eq!(inflate(DeflateDecoder::new(&deflate[..]), body.len()).unwrap(), body);
        }
    }

    #[test]
    fn a_bomb_and_a_broken_stream_are_refused() {
        let bomb = Encoding::Gzip.compress(&vec![0; 16 * 1000 + 1]).unwrap();
        assert_eq!(
            inflate(GzDecoder::new(&bomb[..]), 1000).unwrap_err().message(),
            TOO_LARGE.message
        );
        let whole = Encoding::Gzip.compress(b"text").unwrap();
        let broken = &whole[..whole.len() - 6];
        assert_eq!(
            inflate(GzDecoder::new(broken), 1000).unwrap_err().message(),
            NOT_DECODED.message
        );
    }

    async fn gather(chunks: &[&'static [u8]], limit: usize) -> Result<Bytes, Status> {
        let chunks = chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk)));
        collect(stream::iter(chunks.collect::<Vec<_>>()), limit, SECOND).await
    }

    #[actix_web::test]
    async fn bodies_are_read_up_to_the_limit() {
        assert_eq!(gather(&[], 5).await.unwrap(), "");
        assert_eq!(gather(&[b"abcde"], 5).await.unwrap(), "abcde");
        assert_eq!(gather(&[b"ab", b"c", b"de"], 5).await.unwrap(), "abcde");
        assert_eq!(gather(&[b"ab", b"c", b"def"], 5).await.unwrap_err(), TOO_LARGE);
        assert_eq!(gather(&[b"abcdef"], 5).await.unwrap_err(), TOO_LARGE);
    }

    #[actix_web::test]
    async fn a_body_that_breaks_off_or_never_ends_is_refused() {
        let broken = stream::iter([Err(PayloadError::Io(io::ErrorKind::ConnectionReset.into()))]);
        assert!(
            collect(broken, 5, SECOND).await.unwrap_err().message.starts_with("unexpected EOF")
        );
        let endless = stream::pending::<Result<Bytes, PayloadError>>();
        assert_eq!(collect(endless, 5, Duration::from_millis(1)).await.unwrap_err(), TOO_SLOW);
    }
}
