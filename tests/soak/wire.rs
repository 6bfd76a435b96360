//! Connections of the soak's clients: WebSockets whose every byte can be chosen, and plain requests.
//!
//! Reading may be given up at any time and taken up again: nothing is lost.

use std::{fmt, io, net::Ipv4Addr, time::Duration};

use bytes::{Buf as _, Bytes, BytesMut};
use guildhall_proto::realtime::Envelope;
use prost::Message as _;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// Opcodes (RFC 6455, 5.2).
pub mod opcode {
    pub const TEXT: u8 = 1;
    pub const BINARY: u8 = 2;
    pub const CLOSE: u8 = 8;
    pub const PING: u8 = 9;
    pub const PONG: u8 = 10;
}

/// The encoding of a socket's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Protobuf,
}

impl Format {
    /// As the query of a handshake has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Protobuf => "protobuf",
        }
    }

    pub fn opcode(self) -> u8 {
        match self {
            Self::Json => opcode::TEXT,
            Self::Protobuf => opcode::BINARY,
        }
    }

    pub fn encode(self, envelope: &Envelope) -> Vec<u8> {
        match self {
            Self::Json => envelope.to_json().unwrap(),
            Self::Protobuf => envelope.encode_to_vec(),
        }
    }

    fn decode(self, payload: Bytes) -> Result<Envelope, String> {
        match self {
            Self::Json => Envelope::from_json(&payload).map_err(|error| error.to_string()),
            Self::Protobuf => Envelope::decode(payload).map_err(|error| error.to_string()),
        }
    }
}

/// How a connection ended: the code and text of the close frame; 1006 and what the system said where
/// there was none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub code: u16,
    pub reason: String,
}

impl Ended {
    pub fn abruptly(why: impl ToString) -> Self {
        Self { code: 1006, reason: why.to_string() }
    }
}

/// An answer that is no socket.
#[derive(Debug)]
pub struct Refused {
    pub status: u16,
    pub body: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.status, self.body)
    }
}

/// A WebSocket.
pub struct Wire {
    stream: TcpStream,
    input: BytesMut,
    output: BytesMut,
    pub format: Format,
}

/// Connects to the server; with a `small` buffer for what comes, as of a slow client.
pub async fn connect(port: u16, small: bool) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if small {
        socket.set_recv_buffer_size(4096)?;
    }
    let stream = socket.connect((Ipv4Addr::LOCALHOST, port).into()).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The request for a socket, as it stands on the wire.
pub fn handshake(query: &str) -> String {
    format!(
        "GET /ws?{query} HTTP/1.1\r\nHost: soak\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

impl Wire {
    /// Asks for a socket by this query.
    pub async fn open(
        port: u16,
        query: &str,
        format: Format,
        small: bool,
    ) -> io::Result<Result<Self, Refused>> {
        let mut stream = connect(port, small).await?;
        stream
            .write_all(handshake(&format!("format={}&{query}", format.name())).as_bytes())
            .await?;
        let mut input = BytesMut::new();
        let head = loop {
            if let Some(end) = input.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break input.split_to(end + 4);
            }
            if stream.read_buf(&mut input).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        let head = String::from_utf8_lossy(&head).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        if status != 101 {
            let body = String::from_utf8_lossy(&input).into_owned();
            return Ok(Err(Refused { status, body }));
        }
        Ok(Ok(Self { stream, input, output: BytesMut::new(), format }))
    }

    /// The next message. Pings are answered; a close frame is answered and ends the connection.
    pub async fn next(&mut self) -> Result<Envelope, Ended> {
        loop {
            let (code, payload) = self.frame().await?;
            if code == self.format.opcode() {
                return self.format.decode(payload.clone()).map_err(|error| {
                    Ended::abruptly(format!(
                        "the server sent what is no envelope: {error}: {payload:?}"
                    ))
                });
            }
            match code {
                opcode::PING => self.queue(opcode::PONG, &payload),
                opcode::PONG => {}
                opcode::CLOSE => {
                    self.queue(opcode::CLOSE, &payload[..payload.len().min(2)]);
                    // The server may be gone already.
                    let _ = timeout(Duration::from_secs(1), self.flush()).await;
                    let (code, reason) = match payload.split_first_chunk() {
                        Some((code, reason)) => (u16::from_be_bytes(*code), reason),
                        None => (1005, &[][..]),
                    };
                    let reason = String::from_utf8_lossy(reason).into_owned();
                    return Err(Ended { code, reason });
                }
                _ => return Err(Ended::abruptly(format!("a frame of type {code}"))),
            }
        }
    }

    /// The next frame: its type and content.
    async fn frame(&mut self) -> Result<(u8, Bytes), Ended> {
        loop {
            if self.flush().await.is_err() {
                // The server reads no more; what it said before is still to come.
                self.output.clear();
            }
            if let Some(frame) = self.parse()? {
                return Ok(frame);
            }
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) => return Err(Ended::abruptly("end of the connection")),
                Ok(_) => {}
                Err(error) => return Err(Ended::abruptly(error)),
            }
        }
    }

    fn parse(&mut self) -> Result<Option<(u8, Bytes)>, Ended> {
        let [first, second, rest @ ..] = &self.input[..] else { return Ok(None) };
        let (head, length) = match *second {
            127 => match rest.first_chunk() {
                Some(length) => (10, u64::from_be_bytes(*length)),
                None => return Ok(None),
            },
            126 => match rest.first_chunk() {
                Some(length) => (4, u64::from(u16::from_be_bytes(*length))),
                None => return Ok(None),
            },
            short => (2, u64::from(short)),
        };
        if first & 0xf0 != 0x80 || second & 0x80 != 0 {
            return Err(Ended::abruptly(format!("a frame that begins {first:#x} {second:#x}")));
        }
        let (code, length) = (first & 0x0f, length as usize);
        if self.input.len() < head + length {
            return Ok(None);
        }
        self.input.advance(head);
        Ok(Some((code, self.input.split_to(length).freeze())))
    }

    /// Sends a message.
    pub async fn send(&mut self, envelope: &Envelope) -> Result<(), Ended> {
        self.queue(self.format.opcode(), &self.format.encode(envelope));
        self.flush_or_end().await
    }

    /// Writes what waits; where the server reads no more, how the connection ended.
    async fn flush_or_end(&mut self) -> Result<(), Ended> {
        if self.flush().await.is_ok() {
            return Ok(());
        }
        self.output.clear();
        Err(self.ended().await)
    }

    /// Sends any bytes.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        self.output.extend_from_slice(bytes);
        self.flush_or_end().await
    }

    fn queue(&mut self, code: u8, payload: &[u8]) {
        self.output.extend_from_slice(&frame(0x80 | code, payload));
    }

    async fn flush(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            self.stream.write_buf(&mut self.output).await?;
        }
        Ok(())
    }

    /// Says good-bye and waits for the server's answer; what comes before it is given to `came`.
    pub async fn close(mut self, mut came: impl FnMut(Envelope)) -> Ended {
        self.queue(opcode::CLOSE, &1000_u16.to_be_bytes());
        loop {
            match timeout(PATIENCE, self.next()).await {
                Ok(Ok(envelope)) => came(envelope),
                Ok(Err(ended)) => return ended,
                Err(_) => return Ended::abruptly("the server does not answer a close frame"),
            }
        }
    }

    /// Ends the client's side of the connection.
    pub async fn say_no_more(&mut self) {
        // The server may have ended it before.
        let _ = self.stream.shutdown().await;
    }

    /// Ends the connection without a word: by a reset, or as a process that ends.
    pub fn drop_rudely(self, reset: bool) {
        if reset {
            // Without it the connection ends the other way.
            let _ = self.stream.set_zero_linger();
        }
    }

    /// Reads to the end.
    pub async fn ended(&mut self) -> Ended {
        loop {
            match timeout(PATIENCE, self.next()).await {
                Ok(Ok(_)) => {}
                Ok(Err(ended)) => return ended,
                Err(_) => return Ended::abruptly("it stays open"),
            }
        }
    }
}

/// A frame of a client, masked.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..=125 => frame.push(0x80 | short as u8),
        long @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend((long as u16).to_be_bytes());
        }
        longer => {
            frame.push(0x80 | 127);
            frame.extend((longer as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ MASK[at % 4]));
    frame
}

/// A request over a connection of its own: the status and the body, JSON or text.
pub async fn request(
    port: u16,
    verb: &str,
    path: &str,
    auth: &str,
    body: Option<&Value>,
) -> io::Result<(u16, Value)> {
    let asked = async {
        let mut stream = connect(port, false).await?;
        let mut request = format!("{verb} {path} HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n");
        if !auth.is_empty() {
            request += &format!("Authorization: {auth}\r\n");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let length = body.len();
        request += &format!("Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all((request + &body).as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(answer)
    };
    let answer = timeout(PATIENCE, asked)
        .await
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer")))?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, format!("no answer: {answer:?}"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(invalid)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(invalid)?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { unchunked(body) } else { body.to_owned() };
    Ok((status, serde_json::from_str(&body).unwrap_or(Value::String(body))))
}

fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap_or(0);
        let (chunk, rest) = rest.split_at_checked(length).unwrap_or((rest, ""));
        whole += chunk;
        body = rest.strip_prefix("\r\n").unwrap_or_default();
        if length == 0 {
            break;
        }
    }
    whole
}
