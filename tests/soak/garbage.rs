//! Clients that send garbage. Each kind has its answer, and nobody else notices.

use std::{sync::Arc, time::Duration};

use guildhall_proto::realtime::{ChannelJoin, Envelope, Ping, envelope::Message};
use rand::{Rng, RngCore as _, SeedableRng, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::{mpsc, watch},
    time::{sleep, timeout},
};

use super::{
    client::DISCONNECTED,
    wire::{Ended, Format, PATIENCE, Wire, connect, frame, handshake, opcode},
    world::{Phase, Told, User, World, sign_in},
};

const MALFORMED: &str = "received malformed payload";
const UNEXPECTED: &str = "received unexpected WebSocket message type";
const PROCESSING: &str = "error processing message";

/// Longer than the server waits for a pong.
const SILENCE: Duration = Duration::from_secs(22);

/// A client that sends garbage over one connection after another.
pub struct Vandal {
    index: usize,
    world: Arc<World>,
    rng: StdRng,
    user: User,
    phases: watch::Receiver<Phase>,
    tell: mpsc::UnboundedSender<Told>,
}

impl Vandal {
    pub fn new(
        index: usize,
        world: &Arc<World>,
        phases: watch::Receiver<Phase>,
        tell: mpsc::UnboundedSender<Told>,
    ) -> Self {
        let mut rng = StdRng::seed_from_u64(world.plan.seed.wrapping_sub(index as u64));
        let user = world.anybody_lasting(&mut rng);
        Self { index, world: Arc::clone(world), rng, user, phases, tell }
    }

    /// Sends garbage while the others play; is not connected otherwise.
    pub async fn run(mut self) {
        loop {
            let phase = *self.phases.borrow_and_update();
            match phase {
                Phase::Play => self.play().await,
                Phase::End => return,
                request => {
                    // Nobody listens any more where the test has failed.
                    let (view, history) = (None, None);
                    let _ = self.tell.send(Told { client: self.index, request, view, history });
                }
            }
            if phase != Phase::Play && self.phases.changed().await.is_err() {
                return;
            }
        }
    }

    async fn play(&mut self) {
        // The token would not hold for all rounds.
        self.user = sign_in(self.world.plan.port, &self.user.name).await;
        while !self.phases.has_changed().unwrap_or(true) {
            let kind = self.rng.random_range(0..25);
            let done = match kind {
                0..5 => self.break_handshake(kind).await,
                _ => self.break_socket(kind - 5).await,
            };
            // Another client may have had the server end the session meanwhile.
            if let Err(wrong) = done
                && !wrong.contains(DISCONNECTED)
            {
                let index = self.index;
                self.world.finding(format!("garbage {kind} of client {index}: {wrong}"));
            }
            self.world.count(format!("garbage of kind {kind:2}"));
            let pause = self.rng.random_range(0..=self.world.plan.pause_ms * 2);
            sleep(Duration::from_millis(pause)).await;
        }
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; self.rng.random_range(1..=most)];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// A request for a socket that is none: refused, or the connection ends.
    async fn break_handshake(&mut self, kind: usize) -> Result<(), String> {
        let token = &self.user.token;
        let (request, wanted) = match kind {
            0 => (self.bytes(2000), None),
            1 => (handshake("token=nonsense").into_bytes(), Some("HTTP/1.1 401 ")),
            2 => (handshake(&format!("format=x&token={token}")).into(), Some("HTTP/1.1 400 ")),
            3 => {
                let long = format!("token={token}&lang={}", "x".repeat(200_000));
                (handshake(&long).into(), Some("HTTP/1.1 4"))
            }
            _ => {
                let mut half = handshake(&format!("token={token}"));
                half.truncate(self.rng.random_range(1..half.len()));
                (half.into_bytes(), None)
            }
        };
        let mut stream =
            connect(self.world.plan.port, false).await.map_err(|error| error.to_string())?;
        // It may be refused before it was sent.
        let _ = stream.write_all(&request).await;
        let Some(wanted) = wanted else {
            sleep(Duration::from_millis(self.rng.random_range(0..500))).await;
            return Ok(());
        };
        let mut answer = vec![0; 64];
        let read = timeout(PATIENCE, stream.read(&mut answer)).await;
        let read = read.map_err(|_| "no answer")?;
        let answer = String::from_utf8_lossy(&answer[..*read.as_ref().unwrap_or(&0)]).into_owned();
        // A refusal of a request that is still being sent may be lost.
        let lost = kind == 3 && (read.is_err() || answer.is_empty());
        if lost || answer.starts_with(wanted) { Ok(()) } else { Err(format!("{answer:?}")) }
    }

    /// A socket that is present in a room, and what comes over it then.
    async fn break_socket(&mut self, kind: usize) -> Result<(), String> {
        let format = if self.rng.random_bool(0.5) { Format::Json } else { Format::Protobuf };
        let format = if (2..6).contains(&kind) { Format::Json } else { format };
        let query = format!("token={}&status=true", self.user.token);
        let opened = Wire::open(self.world.plan.port, &query, format, false);
        let opened = timeout(PATIENCE, opened).await.map_err(|_| "no handshake")?;
        let opened = opened.map_err(|error| error.to_string())?;
        let mut wire = opened.map_err(|refused| refused.to_string())?;
        let target = format!("room-{}", self.rng.random_range(0..4));
        let join = ChannelJoin { target, r#type: 1, ..ChannelJoin::default() };
        self.call(&mut wire, Message::ChannelJoin(join)).await?;
        let own = 0x80 | format.opcode();
        let other = own ^ (opcode::TEXT | opcode::BINARY);
        let text = |text: &str| frame(own, text.as_bytes());
        let (sent, wanted): (Vec<u8>, Vec<(u16, &str)>) = match kind {
            0 => (frame(other, b"{}"), vec![(1000, UNEXPECTED)]),
            1 => {
                let mut bytes = self.bytes(300);
                // No field of an envelope has this type.
                bytes[0] = 0x07;
                (frame(own, &bytes), vec![(1000, MALFORMED)])
            }
            2 => {
                let texts = [
                    "{",
                    "",
                    "[]",
                    "nonsense",
                    "{\"ping\":{}} {}",
                    "{\"ping\":{},\"pong\":{}}",
                    "{\"cid\":\"\u{1}\"}",
                    "\u{0}",
                ];
                let chosen = texts[self.rng.random_range(0..texts.len())];
                (text(chosen), vec![(1000, MALFORMED)])
            }
            3 => (text(r#"{"ping":{"unknown":[1]}}"#), vec![(1000, MALFORMED)]),
            4 => {
                let texts = [
                    r#"{"channel_join":{"target":5,"type":"room"}}"#,
                    r#"{"match_data_send":{"match_id":"a","op_code":"x"}}"#,
                    r#"{"match_join":[]}"#,
                    r#"{"cid":{},"ping":{}}"#,
                    r#"{"party_create":{"max_size":1e300}}"#,
                ];
                let chosen = texts[self.rng.random_range(0..texts.len())];
                (text(chosen), vec![(1000, MALFORMED)])
            }
            // As deep as it can be.
            5 => (text(&"[".repeat(4000)), vec![(1000, MALFORMED)]),
            6 => {
                // What only servers send, and nothing at all.
                let party = Message::Party(guildhall_proto::realtime::Party::default());
                let message = self.rng.random_bool(0.5).then_some(party);
                let envelope = Envelope { cid: "x".into(), message };
                (frame(own, &format.encode(&envelope)), vec![(1000, PROCESSING)])
            }
            7 => (vec![own, 2, b'{', b'}'], vec![(1002, "bad MASK")]),
            8 => {
                let mut huge = vec![own, 0x80 | 127];
                huge.extend((1_u64 << self.rng.random_range(13..62)).to_be_bytes());
                huge.extend([1, 2, 3, 4]);
                (huge, vec![(1009, "")])
            }
            9 => (frame(own | 0x40, b"{}"), vec![(1002, "RSV1 set")]),
            10 => (frame(0x80 | self.rng.random_range(3..8), b""), vec![(1002, "bad opcode")]),
            11 => (frame(0x80, b"late"), vec![(1002, "continuation after FIN")]),
            12 => (frame(opcode::PING, b""), vec![(1002, "FIN not set on control")]),
            13 => (frame(0x80 | opcode::CLOSE, &[3]), vec![(1005, ""), (1002, "")]),
            14 => {
                let code = [0_u16, 999, 1004, 1005, 1006, 1015, 2999, 5000];
                let code = code[self.rng.random_range(0..code.len())];
                let payload = code.to_be_bytes();
                (frame(0x80 | opcode::CLOSE, &payload), vec![(1002, "bad close code")])
            }
            15 => {
                // Half a frame, then silence, then nothing.
                let mut half = text(r#"{"cid":"never","ping":{}}"#);
                half.truncate(self.rng.random_range(1..half.len()));
                // It may be over before.
                let _ = wire.send_raw(&half).await;
                if self.rng.random_bool(0.2) && self.world.plan.round > SILENCE {
                    // The reader answers pings, but nobody can read what is behind half a frame.
                    sleep(SILENCE).await;
                    self.world.count("~half a frame, then silence");
                    let ended = wire.ended().await;
                    let is_wanted = matches!(ended.code, 1000 | 1006);
                    return if is_wanted { Ok(()) } else { Err(format!("{ended:?}")) };
                }
                sleep(Duration::from_millis(self.rng.random_range(0..2000))).await;
                wire.drop_rudely(self.rng.random_bool(0.5));
                return Ok(());
            }
            16 => return self.in_pieces(wire).await,
            17 => return self.nonsense(wire).await,
            18 => {
                // The client speaks no more, but listens.
                wire.say_no_more().await;
                let ended = wire.ended().await;
                return if ended.code == 1006 { Ok(()) } else { Err(format!("{ended:?}")) };
            }
            _ => {
                // Garbage behind garbage, without looking at what comes.
                let mut bytes = self.bytes(3000);
                bytes[0] |= 0x70;
                (bytes, vec![(1002, "")])
            }
        };
        // It may be closed before all is sent.
        let _ = wire.send_raw(&sent).await;
        let Ended { code, reason } = wire.ended().await;
        let is_wanted = |(wanted, text): &(u16, &str)| code == *wanted && reason.contains(text);
        match wanted.iter().any(is_wanted) {
            true => Ok(()),
            false => Err(format!("{format:?}, {sent:02x?}: {code} {reason}, not {wanted:?}")),
        }
    }

    /// Sends a message and waits for its answer.
    async fn call(&mut self, wire: &mut Wire, message: Message) -> Result<Message, String> {
        let envelope = Envelope { cid: "call".into(), message: Some(message) };
        wire.send(&envelope).await.map_err(|ended| format!("{ended:?}"))?;
        loop {
            let next = timeout(PATIENCE, wire.next()).await.map_err(|_| "no answer")?;
            let next = next.map_err(|ended| format!("{ended:?}"))?;
            if next.cid == "call" {
                return next.message.ok_or_else(|| "an empty answer".to_owned());
            }
        }
    }

    /// Bytes one by one are as good as all at once, also with pings in between.
    async fn in_pieces(&mut self, mut wire: Wire) -> Result<(), String> {
        let envelope = Envelope { cid: "call".into(), message: Some(Message::Ping(Ping {})) };
        let payload = wire.format.encode(&envelope);
        let (one, two) = payload.split_at(payload.len() / 2);
        let mut bytes = frame(wire.format.opcode(), one);
        bytes.extend(frame(0x80 | opcode::PING, b"in between"));
        bytes.extend(frame(0x80, two));
        for byte in bytes {
            wire.send_raw(&[byte]).await.map_err(|ended| format!("{ended:?}"))?;
        }
        loop {
            let next = timeout(PATIENCE, wire.next()).await.map_err(|_| "no answer")?;
            if next.map_err(|ended| format!("{ended:?}"))?.cid == "call" {
                return Ok(());
            }
        }
    }

    /// Messages that are well-formed and mean nothing: each is refused, and the socket stays.
    async fn nonsense(&mut self, mut wire: Wire) -> Result<(), String> {
        use guildhall_proto::realtime::*;
        let long = "x".repeat(3000);
        let id = ["", ".", "nonsense", "\u{0}", &long][self.rng.random_range(0..5)].to_owned();
        let unknown = format!("{}.elsewhere", "3f2b1c6e-5d42-4a8f-9b2e-0c1d2e3f4a5b");
        let presence = Some(UserPresence { user_id: id.clone(), ..UserPresence::default() });
        let messages = [
            Message::ChannelJoin(ChannelJoin {
                target: id.clone(),
                r#type: 2,
                ..Default::default()
            }),
            Message::ChannelJoin(ChannelJoin {
                target: "a".into(),
                r#type: 77,
                ..Default::default()
            }),
            Message::ChannelLeave(ChannelLeave { channel_id: id.clone() }),
            Message::ChannelMessageSend(ChannelMessageSend {
                channel_id: "2...room-0".into(),
                content: "[".repeat(3000),
            }),
            Message::ChannelMessageUpdate(ChannelMessageUpdate {
                channel_id: "2...room-0".into(),
                message_id: id.clone(),
                content: "{}".into(),
            }),
            Message::MatchJoin(MatchJoin { id: None, ..Default::default() }),
            Message::MatchJoin(MatchJoin {
                id: Some(match_join::Id::MatchId(unknown.clone())),
                ..Default::default()
            }),
            Message::MatchJoin(MatchJoin {
                id: Some(match_join::Id::Token(id.clone())),
                ..Default::default()
            }),
            Message::MatchmakerAdd(MatchmakerAdd {
                min_count: -1,
                max_count: i32::MAX,
                ..Default::default()
            }),
            Message::MatchmakerAdd(MatchmakerAdd {
                min_count: 2,
                max_count: 2,
                query: "+properties.a:>=/(((".into(),
                ..Default::default()
            }),
            Message::MatchmakerRemove(MatchmakerRemove { ticket: id.clone() }),
            Message::StatusFollow(StatusFollow { user_ids: vec![id.clone()], usernames: vec![] }),
            Message::PartyCreate(PartyCreate { max_size: -5, ..Default::default() }),
            Message::PartyJoin(PartyJoin { party_id: unknown.clone() }),
            Message::PartyPromote(PartyPromote { party_id: unknown.clone(), presence }),
            Message::PartyClose(PartyClose { party_id: id.clone() }),
            Message::Rpc(guildhall_proto::api::Rpc { id, ..Default::default() }),
        ];
        for message in messages {
            let shown = format!("{message:?}");
            match self.call(&mut wire, message).await {
                Ok(Message::Error(_)) => {}
                other => {
                    return Err(format!(
                        "{} was answered by {other:?}",
                        &shown[..shown.floor_char_boundary(200)]
                    ));
                }
            }
        }
        let ended = wire.close(|_| {}).await;
        if ended.code == 1000 { Ok(()) } else { Err(format!("{ended:?}")) }
    }
}
