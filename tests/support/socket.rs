//! A client of the WebSocket: what it was sent is asked for in the order in which it came.

use std::{
    collections::VecDeque,
    io::ErrorKind,
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tungstenite::{
    Error, Message, WebSocket,
    client::IntoClientRequest as _,
    http::Uri,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use super::Server;

/// How long a message may take to come on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// An open socket. Pings are answered while something is waited for.
pub struct Socket {
    ws: WebSocket<TcpStream>,
    came: VecDeque<Value>,
    /// How it ended: the code and the text of the close frame; 1006 where there was none.
    end: Option<(u16, String)>,
    sent: u32,
}

impl Socket {
    /// Opens a socket with a session token. `query` is added: `status=true&lang=de`.
    #[track_caller]
    pub fn open(server: &Server, token: &str, query: &str) -> Self {
        Self::ask(server, token, query).unwrap_or_else(|refusal| panic!("refused: {refusal:?}"))
    }

    /// The status and the body of a refusal.
    #[track_caller]
    pub fn refused(server: &Server, token: &str, query: &str) -> (u16, String) {
        Self::ask(server, token, query).err().expect("the socket was not refused")
    }

    fn ask(server: &Server, token: &str, query: &str) -> Result<Self, (u16, String)> {
        let stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        stream.set_nodelay(true).unwrap();
        let uri = format!("ws://127.0.0.1:{}/ws?token={token}&{query}", server.port);
        let request = uri.parse::<Uri>().unwrap().into_client_request().unwrap();
        match tungstenite::client(request, stream) {
            Ok((ws, _)) => Ok(Self { ws, came: VecDeque::new(), end: None, sent: 0 }),
            Err(tungstenite::HandshakeError::Failure(Error::Http(answer))) => {
                let body = answer.body().as_deref().unwrap_or_default();
                Err((answer.status().as_u16(), String::from_utf8_lossy(body).into_owned()))
            }
            Err(error) => panic!("{error}\n{}", server.log()),
        }
    }

    /// Sends an envelope.
    #[track_caller]
    pub fn send(&mut self, envelope: Value) {
        self.send_message(Message::text(envelope.to_string()));
    }

    /// Sends anything.
    #[track_caller]
    pub fn send_message(&mut self, message: Message) {
        self.ws.send(message).unwrap_or_else(|error| panic!("{error}, end {:?}", self.end));
    }

    /// Sends a message with a mark of its own and gives back what came with this mark; what came
    /// before stays to be received.
    #[track_caller]
    pub fn call(&mut self, mut envelope: Value) -> Value {
        self.sent += 1;
        let cid = format!("call-{}", self.sent);
        envelope["cid"] = json!(cid);
        self.send(envelope);
        let mut before = VecDeque::new();
        loop {
            let mut next = self.receive();
            if next["cid"] == cid {
                next.as_object_mut().unwrap().remove("cid");
                before.append(&mut self.came);
                self.came = before;
                return next;
            }
            before.push_back(next);
        }
    }

    /// The next envelope; a binary message as `{"binary": [bytes]}`.
    #[track_caller]
    pub fn receive(&mut self) -> Value {
        let until = Instant::now() + PATIENCE;
        match self.next(until) {
            Some(envelope) => envelope,
            None => panic!("nothing came, end {:?}", self.end),
        }
    }

    /// The next envelope with a message of this kind; what comes before it is dropped.
    #[track_caller]
    pub fn until(&mut self, key: &str) -> Value {
        loop {
            let envelope = self.receive();
            if envelope.get(key).is_some() {
                return envelope;
            }
        }
    }

    /// Nothing comes for so long.
    #[track_caller]
    pub fn quiet(&mut self, ms: u64) {
        if let Some(envelope) = self.next(Instant::now() + Duration::from_millis(ms)) {
            panic!("{envelope:#}");
        }
        assert_eq!(self.end, None);
    }

    /// Waits for the end: the code and the text of the close frame; 1006 where there was none.
    #[track_caller]
    pub fn closed(&mut self) -> (u16, String) {
        let until = Instant::now() + PATIENCE;
        let mut came = VecDeque::new();
        while let Some(envelope) = self.next(until) {
            came.push_back(envelope);
        }
        self.came = came;
        self.end.clone().expect("the socket stays open")
    }

    /// Closes it, and waits for the server's answer.
    #[track_caller]
    pub fn close(mut self) -> (u16, String) {
        let frame = CloseFrame { code: CloseCode::Normal, reason: "bye".into() };
        self.ws.close(Some(frame)).unwrap();
        self.closed()
    }

    /// What came, or comes until then.
    fn next(&mut self, until: Instant) -> Option<Value> {
        if let Some(envelope) = self.came.pop_front() {
            return Some(envelope);
        }
        while self.end.is_none() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            self.ws.get_mut().set_read_timeout(Some(left)).unwrap();
            match self.ws.read() {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                Ok(Message::Binary(bytes)) => return Some(json!({ "binary": bytes.to_vec() })),
                Ok(Message::Close(frame)) => {
                    let said =
                        |frame: CloseFrame| (u16::from(frame.code), frame.reason.to_string());
                    self.end = Some(frame.map_or((CloseCode::Status.into(), String::new()), said));
                    // Answers the server's close frame.
                    while self.ws.read().is_ok() {}
                }
                Ok(_) => {}
                Err(Error::Io(error))
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => self.end = Some((CloseCode::Abnormal.into(), String::new())),
            }
        }
        None
    }
}
