//! What a client sends, put together to messages; and the control frames that a server sends.
//!
//! Faults are found, and told, as the reference's library does: in the first bytes of a frame, so that
//! nothing is kept of one that is refused.

use std::borrow::Cow;
use std::io::Cursor;

use actix_web::web::{Buf as _, Bytes, BytesMut};
use tungstenite::Error;
use tungstenite::error::ProtocolError;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// The longest content of a control frame in bytes (RFC 6455, 5.5).
const MAX_CONTROL_BYTES: usize = 125;

/// What a client said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// A whole message, however many frames it came in.
    Message {
        /// Whether it is marked as text; it may be any bytes.
        text: bool,
        /// Its content.
        payload: Bytes,
    },
    /// A ping, to be answered with the same content.
    Ping(Bytes),
    /// A pong.
    Pong,
    /// The client closes.
    Close {
        /// The close code, if it gave one.
        code: Option<u16>,
        /// The text beside it.
        reason: String,
    },
}

/// Why nothing more can be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// What came is not the protocol.
    Protocol(Cow<'static, str>),
    /// A message is longer than it may be.
    TooLong,
}

/// Makes messages of bytes. Between messages it holds no memory.
#[derive(Debug)]
pub(super) struct Reader {
    max_message_bytes: usize,
    /// What came and is not yet read.
    input: BytesMut,
    /// The message whose last frame is still to come, and whether it is text.
    begun: Option<(bool, BytesMut)>,
}

impl Reader {
    /// A reader of messages of at most `max_message_bytes`.
    pub(super) fn new(max_message_bytes: usize) -> Self {
        Self { max_message_bytes, input: BytesMut::new(), begun: None }
    }

    /// Adds what came.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// Forgets what came.
    pub(super) fn clear(&mut self) {
        self.input = BytesMut::new();
        self.begun = None;
    }

    /// What the client said next; `None` while more must come for that.
    ///
    /// # Errors
    /// [`Broken`]; there is nothing to be read after it.
    pub(super) fn next(&mut self) -> Result<Option<Received>, Broken> {
        loop {
            let Some((header, payload)) = self.frame()? else { return Ok(None) };
            let received = match header.opcode {
                OpCode::Data(kind) => match self.join(kind, header.is_final, payload) {
                    Some(message) => message,
                    None => continue,
                },
                OpCode::Control(Control::Ping) => Received::Ping(payload.freeze()),
                OpCode::Control(Control::Close) => close(&payload)?,
                OpCode::Control(_) => Received::Pong,
            };
            return Ok(Some(received));
        }
    }

    /// The next whole frame, its content unmasked.
    fn frame(&mut self) -> Result<Option<(FrameHeader, BytesMut)>, Broken> {
        let mut cursor = Cursor::new(&self.input[..]);
        let (header, length) = match FrameHeader::parse(&mut cursor) {
            Ok(Some(parsed)) => parsed,
            Ok(None) => return Ok(None),
            Err(Error::Protocol(ProtocolError::InvalidOpcode(code))) => {
                return Err(Broken::Protocol(format!("bad opcode {code}").into()));
            }
            Err(error) => return Err(Broken::Protocol(error.to_string().into())),
        };
        let begins = cursor.position() as usize;
        self.check(&header, length)?;
        // Checked to be a length that may be kept.
        let whole = begins + length as usize;
        if self.input.len() < whole {
            return Ok(None);
        }
        let mut payload = if self.input.len() == whole {
            std::mem::take(&mut self.input)
        } else {
            self.input.split_to(whole)
        };
        payload.advance(begins);
        if let Some(mask) = header.mask {
            for (place, byte) in payload.iter_mut().enumerate() {
                *byte ^= mask[place % 4];
            }
        }
        Ok(Some((header, payload)))
    }

    /// Whether a frame may come now, by its header and the length of its content in bytes.
    fn check(&self, header: &FrameHeader, length: u64) -> Result<(), Broken> {
        let mut faults = Vec::new();
        let reserved =
            [(header.rsv1, "RSV1 set"), (header.rsv2, "RSV2 set"), (header.rsv3, "RSV3 set")];
        faults.extend(reserved.into_iter().filter_map(|(set, fault)| set.then_some(fault)));
        match header.opcode {
            OpCode::Control(_) => {
                if length > MAX_CONTROL_BYTES as u64 {
                    faults.push("len > 125 for control");
                }
                if !header.is_final {
                    faults.push("FIN not set on control");
                }
            }
            OpCode::Data(Data::Continue) if self.begun.is_none() => {
                faults.push("continuation after FIN");
            }
            OpCode::Data(Data::Text | Data::Binary) if self.begun.is_some() => {
                faults.push("data before FIN");
            }
            OpCode::Data(_) => {}
        }
        if header.mask.is_none() {
            faults.push("bad MASK");
        }
        if !faults.is_empty() {
            return Err(Broken::Protocol(faults.join(", ").into()));
        }
        let before = self.begun.as_ref().map_or(0, |(_, begun)| begun.len());
        match header.opcode {
            OpCode::Data(_) if length > (self.max_message_bytes - before) as u64 => {
                Err(Broken::TooLong)
            }
            _ => Ok(()),
        }
    }

    /// The message that is whole with this frame, if it is the last one.
    fn join(&mut self, kind: Data, last: bool, payload: BytesMut) -> Option<Received> {
        let (text, whole) = match self.begun.take() {
            Some((text, mut begun)) => {
                begun.extend_from_slice(&payload);
                (text, begun)
            }
            None => (kind == Data::Text, payload),
        };
        if last {
            return Some(Received::Message { text, payload: whole.freeze() });
        }
        self.begun = Some((text, whole));
        None
    }
}

/// What a close frame says.
fn close(payload: &[u8]) -> Result<Received, Broken> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return Ok(Received::Close { code: None, reason: String::new() });
    };
    let code = u16::from_be_bytes(*code);
    if !matches!(code, 1000..=1003 | 1007..=1013 | 3000..=4999) {
        return Err(Broken::Protocol(format!("bad close code {code}").into()));
    }
    match std::str::from_utf8(reason) {
        Ok(reason) => Ok(Received::Close { code: Some(code), reason: reason.to_owned() }),
        Err(_) => Err(Broken::Protocol("invalid utf8 payload in close frame".into())),
    }
}

/// A ping without content.
pub(super) const PING: Bytes = Bytes::from_static(&[0x89, 0]);

/// The answer to a ping with this content.
pub(super) fn pong(payload: &[u8]) -> Bytes {
    control(Control::Pong, payload)
}

/// A close frame; as much of the text as it can hold. Without a code it is empty.
pub(super) fn closing(code: Option<u16>, reason: &str) -> Bytes {
    let Some(code) = code else { return control(Control::Close, &[]) };
    let reason = &reason[..reason.floor_char_boundary(MAX_CONTROL_BYTES - 2)];
    control(Control::Close, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

/// A control frame of a server: final, unmasked.
fn control(kind: Control, payload: &[u8]) -> Bytes {
    let payload = &payload[..payload.len().min(MAX_CONTROL_BYTES)];
    let head = [0x80 | u8::from(OpCode::Control(kind)), payload.len() as u8];
    [&head, payload].concat().into()
}

/// The length of the content of a server's data frame in bytes; `None` for any other frame.
pub(super) fn content_bytes(frame: &[u8]) -> Option<usize> {
    let [0x81 | 0x82, length, ..] = frame else { return None };
    let head = match length {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    frame.len().checked_sub(head)
}
