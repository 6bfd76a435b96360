//! Connections over a pipe: what a client sees of the server's side of the protocol.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use actix_web::rt;
use guildhall_actors::cx::Cx;
use guildhall_actors::realtime::outgoing::Closing;
use guildhall_actors::realtime::session::{Format, Session};
use guildhall_core::caller::{User, Vars};
use guildhall_core::{Caller, Config};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use tungstenite::protocol::frame::{Frame, FrameHeader};
use uuid::Uuid;

use super::Connections;
use super::connection::Connection;
use super::live::Live;

const TEXT: OpCode = OpCode::Data(Data::Text);
const BINARY: OpCode = OpCode::Data(Data::Binary);
const MORE: OpCode = OpCode::Data(Data::Continue);
const PING: OpCode = OpCode::Control(Control::Ping);
const PONG: OpCode = OpCode::Control(Control::Pong);
const CLOSE: OpCode = OpCode::Control(Control::Close);

const PATIENCE: Duration = Duration::from_secs(20);

/// A client whose session has begun, and the server's side as a test may look at it.
struct Client {
    io: DuplexStream,
    cx: Arc<Cx>,
    session: Arc<Session>,
    connections: Connections,
    task: JoinHandle<()>,
}

impl Client {
    /// The pipe holds `room` bytes each way. `change` is applied to settings with short times.
    async fn open(room: usize, change: impl FnOnce(&mut Config)) -> Self {
        Self::after(b"", room, change).await
    }

    /// The client sent `input` with its request.
    async fn after(input: &[u8], room: usize, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.socket.close_ack_wait_ms = 100;
        config.socket.outgoing_queue_size = 2;
        change(&mut config);
        let cx = Arc::new(Cx::without_database(Arc::new(config), Handle::current()).unwrap());
        let user = User {
            id: Uuid::from_u128(1),
            username: "ann".to_owned(),
            vars: Vars::new(),
            expires_s: i64::MAX,
            token_id: String::new(),
            issued_s: 0,
        };
        let queue = cx.config.socket.outgoing_queue_size;
        let caller = Caller { user: Some(user.clone()), ..Caller::default() };
        let session = Arc::new(Session::new(caller, user, Format::Json, "en".to_owned(), queue));
        let connections = Connections::default();
        let live = Live::begin(Arc::clone(&cx), Arc::clone(&session), false, connections.0.token());
        let (mut io, there) = duplex(room);
        let connection = Connection::new(there, live, input, "101".into());
        let task = rt::spawn(connection.run());
        let mut answer = [0; 3];
        io.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"101");
        Self { io, cx, session, connections, task }
    }

    /// Sends a whole message.
    async fn say(&mut self, text: &str) {
        self.send(&frame(TEXT, true, text.as_bytes())).await;
    }

    async fn send(&mut self, bytes: &[u8]) {
        timeout(PATIENCE, self.io.write_all(bytes)).await.unwrap().unwrap();
    }

    /// The next frame: its kind and its content.
    async fn hear(&mut self) -> (OpCode, String) {
        timeout(PATIENCE, async {
            let mut head = [0; 2];
            self.io.read_exact(&mut head).await.unwrap();
            assert_eq!((head[0] & 0xf0, head[1] & 0x80), (0x80, 0), "final and unmasked");
            let length = match head[1] {
                126 => usize::from(self.io.read_u16().await.unwrap()),
                127 => self.io.read_u64().await.unwrap() as usize,
                length => usize::from(length),
            };
            let mut content = vec![0; length];
            self.io.read_exact(&mut content).await.unwrap();
            let kind = OpCode::from(head[0] & 0x0f);
            if kind == CLOSE && !content.is_empty() {
                let code = u16::from_be_bytes([content[0], content[1]]);
                let reason = std::str::from_utf8(&content[2..]).unwrap();
                return (kind, format!("{code} {reason}"));
            }
            (kind, String::from_utf8(content).unwrap())
        })
        .await
        .unwrap()
    }

    async fn hears(&mut self, kind: OpCode, content: &str) {
        assert_eq!(self.hear().await, (kind, content.to_owned()));
    }

    /// The server ends the connection, and the session with it.
    async fn ends(mut self) {
        let mut rest = Vec::new();
        timeout(PATIENCE, self.io.read_to_end(&mut rest)).await.unwrap().unwrap();
        assert_eq!(String::from_utf8_lossy(&rest), "");
        timeout(PATIENCE, self.task).await.unwrap().unwrap();
        assert!(self.session.has_ended());
        assert_eq!(self.cx.sockets.count(), 0);
        assert_eq!(self.cx.metrics.socket.closed.value(), 1);
        assert!(self.connections.0.is_empty());
    }
}

/// A client's frame.
fn frame(opcode: OpCode, is_final: bool, content: &[u8]) -> Vec<u8> {
    let header = FrameHeader {
        is_final,
        opcode,
        mask: Some([0xa1, 0x2b, 0xc3, 0x4d]),
        ..FrameHeader::default()
    };
    let mut bytes = Vec::new();
    Frame::from_payload(header, content.to_vec().into()).format(&mut bytes).unwrap();
    bytes
}

fn ping(cid: &str) -> String {
    format!(r#"{{"cid":"{cid}","ping":{{}}}}"#)
}

fn pong(cid: &str) -> String {
    format!(r#"{{"cid":"{cid}","pong":{{}}}}"#)
}

#[actix_web::test]
async fn messages_are_answered_in_their_order_however_they_come() {
    let sent: Vec<u8> =
        (0..100).flat_map(|cid| frame(TEXT, true, ping(&cid.to_string()).as_bytes())).collect();
    for (before, piece) in [(0, 1), (3, 7), (40, 4096), (sent.len(), 1)] {
        let mut client = Client::after(&sent[..before], 1 << 20, |_| {}).await;
        for piece in sent[before..].chunks(piece) {
            client.send(piece).await;
        }
        for cid in 0..100 {
            client.hears(TEXT, &pong(&cid.to_string())).await;
        }
    }
}

#[actix_web::test]
async fn a_message_may_come_in_parts_with_a_ping_between() {
    let mut client = Client::open(1024, |_| {}).await;
    let (first, second) = (r#"{"cid":"#, r#""a","ping":{}}"#);
    client.send(&frame(TEXT, false, first.as_bytes())).await;
    client.send(&frame(PING, true, b"there?")).await;
    client.hears(PONG, "there?").await;
    client.send(&frame(MORE, false, b"")).await;
    client.send(&frame(MORE, true, second.as_bytes())).await;
    client.hears(TEXT, &pong("a")).await;
    client.send(&frame(PING, true, b"")).await;
    client.hears(PONG, "").await;
}

#[actix_web::test]
async fn a_client_that_closes_is_answered_with_its_code() {
    for (content, echo) in [
        (&b"\x03\xe8bye"[..], "1000 "),
        (b"\x03\xe9", "1001 "),
        (b"\x0f\xa0my own", "4000 "),
        (b"", ""),
        (b"x", ""),
    ] {
        let mut client = Client::open(1024, |_| {}).await;
        client.say(&ping("last")).await;
        client.send(&frame(CLOSE, true, content)).await;
        client.hears(TEXT, &pong("last")).await;
        client.hears(CLOSE, echo).await;
        client.ends().await;
    }
}

#[actix_web::test]
async fn what_is_not_the_protocol_closes_with_1002() {
    let mut unmasked = Vec::new();
    Frame::message("{}", TEXT, true).format(&mut unmasked).unwrap();
    let mut reserved = frame(TEXT, true, b"{}");
    reserved[0] |= 0x60;
    let mut both = frame(PING, false, b"");
    both[0] |= 0x10;
    let mut second = frame(TEXT, false, b"a");
    second.extend(frame(TEXT, true, b"b"));
    for (bytes, fault) in [
        (unmasked, "bad MASK"),
        (reserved, "RSV1 set, RSV2 set"),
        (both, "RSV3 set, FIN not set on control"),
        (frame(PING, true, &[b'x'; 126]), "len > 125 for control"),
        (frame(OpCode::from(3), true, b""), "bad opcode 3"),
        (frame(MORE, true, b"x"), "continuation after FIN"),
        (second, "data before FIN"),
        (frame(CLOSE, true, b"\x03\xed"), "bad close code 1005"),
        (frame(CLOSE, true, b"\x03\xe8\xff"), "invalid utf8 payload in close frame"),
    ] {
        let mut client = Client::open(1024, |_| {}).await;
        client.send(&bytes).await;
        client.hears(CLOSE, &format!("1002 {fault}")).await;
        // What else it sends is taken, so that it sees the close frame.
        client.send(&[0xff; 4000]).await;
        client.io.shutdown().await.unwrap();
        client.ends().await;
    }
}

#[actix_web::test]
async fn a_message_that_is_too_long_closes_with_1009_before_it_has_come() {
    let small = |config: &mut Config| config.socket.max_message_size_bytes = 30;
    let longest = format!("{:30}", ping("a"));
    let mut parts = frame(TEXT, false, &[b' '; 20]);
    parts.extend(frame(MORE, true, &[b' '; 11]));
    let mut huge = frame(TEXT, true, &[b' '; 70_000]);
    huge[2..10].copy_from_slice(&u64::MAX.to_be_bytes());
    for bytes in [&frame(TEXT, true, &[b' '; 31])[..6], &parts, &huge[..14]] {
        let mut client = Client::open(1024, small).await;
        client.say(&longest).await;
        client.hears(TEXT, &pong("a")).await;
        client.send(bytes).await;
        client.hears(CLOSE, "1009 ").await;
        client.ends().await;
    }
}

#[actix_web::test]
async fn what_cannot_be_handled_closes_with_1000_and_says_why() {
    for (kind, content, reason) in [
        (BINARY, &b"\x0a\x01a"[..], "received unexpected WebSocket message type"),
        (TEXT, b"{", "received malformed payload"),
        (TEXT, b"\xff", "received malformed payload"),
        (TEXT, b"", "received malformed payload"),
    ] {
        let mut client = Client::open(1024, |_| {}).await;
        client.send(&frame(kind, true, content)).await;
        client.hears(CLOSE, &format!("1000 {reason}")).await;
        // Too late.
        client.say(&ping("a")).await;
        client.send(&frame(CLOSE, true, b"\x03\xe8")).await;
        client.ends().await;
    }
}

#[actix_web::test]
async fn a_server_that_closes_sends_first_what_waits() {
    let mut client = Client::open(1024, |_| {}).await;
    client.session.outgoing.push("\u{1}\u{0}".into());
    client.session.close(Closing::normal("x".repeat(200)));
    let mut first = [0; 2];
    client.io.read_exact(&mut first).await.unwrap();
    assert_eq!(first, [1, 0]);
    // As much as a close frame holds.
    client.hears(CLOSE, &format!("1000 {}", "x".repeat(123))).await;
    client.send(&frame(CLOSE, true, b"\x03\xe8")).await;
    client.ends().await;
}

#[actix_web::test]
async fn a_client_that_does_not_answer_a_close_frame_is_not_waited_for_long() {
    let mut client = Client::open(1024, |_| {}).await;
    client.session.close(Closing::normal("done"));
    client.hears(CLOSE, "1000 done").await;
    let began = Instant::now();
    assert!(client.session.has_ended());
    client.ends().await;
    assert!(began.elapsed() >= Duration::from_millis(90));
}

#[actix_web::test]
async fn without_a_reason_the_connection_just_ends() {
    let client = Client::open(1024, |_| {}).await;
    client.session.close(Closing::GONE);
    client.ends().await;
}

#[actix_web::test]
async fn a_client_that_is_gone_ends_the_session() {
    let mut client = Client::open(1024, |_| {}).await;
    client.say(&ping("a")).await;
    client.io.shutdown().await.unwrap();
    client.hears(TEXT, &pong("a")).await;
    client.ends().await;
}

/// A data frame of a server, of so many bytes.
fn long(bytes: u8) -> actix_web::web::Bytes {
    [&[0x81, bytes - 2], vec![b'x'; usize::from(bytes) - 2].as_slice()].concat().into()
}

#[actix_web::test]
async fn a_client_that_takes_nothing_is_closed_with_its_reason() {
    let mut client = Client::open(64, |_| {}).await;
    client.session.outgoing.push(long(100));
    // Half of it is in the pipe now; two more may wait.
    sleep(Duration::from_millis(50)).await;
    assert!(client.session.outgoing.push(long(50)) && client.session.outgoing.push(long(51)));
    assert!(!client.session.outgoing.push(long(52)));
    sleep(Duration::from_millis(50)).await;
    assert!(client.session.has_ended(), "others see at once that it is gone");
    client.hears(TEXT, &"x".repeat(98)).await;
    client.hears(CLOSE, "1000 session outgoing queue full").await;
    client.send(&frame(CLOSE, true, b"\x03\xe8")).await;
    client.ends().await;
}

#[actix_web::test]
async fn a_burst_that_the_connection_takes_closes_nobody() {
    let client = Client::open(1 << 20, |config| {
        config.socket.outgoing_queue_size = 4;
        // A write for each frame.
        config.socket.write_buffer_size_bytes = 1;
    })
    .await;
    for _ in 0..20 {
        for _ in 0..256 {
            assert!(client.session.outgoing.push(long(20)));
        }
        tokio::task::yield_now().await;
    }
}

#[actix_web::test]
async fn a_client_that_never_stops_sending_is_left_in_time() {
    for (bytes, wait) in [
        // What cannot be read on, and pings while the close frame's answer is awaited.
        (frame(MORE, true, b""), Duration::from_millis(100)),
        (frame(TEXT, true, b"{"), Duration::from_millis(100)),
        // Pings, while it takes none of the answers.
        (Vec::new(), Duration::from_millis(300)),
    ] {
        let mut client = Client::open(64, |config| config.socket.write_wait_ms = 300).await;
        client.send(&bytes).await;
        let began = Instant::now();
        let pings = frame(PING, true, &[b'x'; 100]);
        while client.io.write_all(&pings).await.is_ok() {
            assert!(began.elapsed() < PATIENCE);
        }
        assert!(began.elapsed() >= wait - Duration::from_millis(10), "{:?}", began.elapsed());
        timeout(PATIENCE, client.task).await.unwrap().unwrap();
        assert!(client.session.has_ended());
    }
}

#[actix_web::test]
async fn a_write_that_takes_too_long_ends_the_connection() {
    let mut client = Client::open(64, |config| config.socket.write_wait_ms = 100).await;
    client.session.outgoing.push(long(100));
    let began = Instant::now();
    timeout(PATIENCE, &mut client.task).await.unwrap().unwrap();
    assert!(began.elapsed() >= Duration::from_millis(90));
    assert!(client.session.has_ended());
    let mut came = Vec::new();
    client.io.read_to_end(&mut came).await.unwrap();
    assert_eq!(came.len(), 64);
}

#[actix_web::test]
async fn a_client_that_reads_slowly_is_not_closed_while_each_frame_goes_out_in_time() {
    let mut client = Client::open(64, |config| config.socket.write_wait_ms = 200).await;
    let began = Instant::now();
    for _ in 0..4 {
        assert!(client.session.outgoing.push(long(100)));
        let mut came = [0; 100];
        for part in came.chunks_mut(50) {
            sleep(Duration::from_millis(60)).await;
            client.io.read_exact(part).await.unwrap();
        }
        sleep(Duration::from_millis(10)).await;
    }
    assert!(began.elapsed() > Duration::from_millis(400));
    assert!(!client.session.has_ended());
}

#[actix_web::test]
async fn who_answers_pings_stays_and_who_does_not_goes() {
    let quick = |config: &mut Config| {
        config.socket.ping_period_ms = 50;
        config.socket.pong_wait_ms = 150;
    };
    let mut client = Client::open(1024, quick).await;
    let began = Instant::now();
    for _ in 0..6 {
        client.hears(PING, "").await;
        client.send(&frame(PONG, true, b"")).await;
    }
    assert!(began.elapsed() >= Duration::from_millis(290));
    // One ping, and none again while no pong came.
    client.hears(PING, "").await;
    let pinged = Instant::now();
    client.send(&frame(PING, true, b"own pings do not count")).await;
    client.hears(PONG, "own pings do not count").await;
    client.hears(CLOSE, "1000 i/o timeout").await;
    assert!(pinged.elapsed() >= Duration::from_millis(90));
    client.ends().await;
}

#[actix_web::test]
async fn messages_keep_a_session_as_pongs_do() {
    let mut client = Client::open(1024, |config| {
        config.socket.ping_period_ms = 100;
        config.socket.pong_wait_ms = 200;
        config.socket.ping_backoff_threshold = 2;
    })
    .await;
    for _ in 0..20 {
        sleep(Duration::from_millis(20)).await;
        client.say(&ping("a")).await;
        client.hears(TEXT, &pong("a")).await;
    }
    client.hears(PING, "").await;
}

#[actix_web::test]
async fn a_task_that_is_dropped_ends_its_session() {
    let client = Client::open(1024, |_| {}).await;
    client.task.abort();
    assert!(client.task.await.unwrap_err().is_cancelled());
    assert!(client.session.has_ended());
    assert!(client.connections.0.is_empty());
}

#[actix_web::test]
async fn all_are_closed_together_and_waited_for() {
    let mut client = Client::open(1024, |_| {}).await;
    let (cx, connections) = (Arc::clone(&client.cx), client.connections.clone());
    let closing = rt::spawn(async move { connections.close_all(&cx, PATIENCE).await });
    client.hears(CLOSE, "1001 server is stopping").await;
    assert!(!closing.is_finished());
    client.send(&frame(CLOSE, true, b"\x03\xe9")).await;
    client.ends().await;
    timeout(PATIENCE, closing).await.unwrap().unwrap();
}

#[actix_web::test]
async fn messages_and_their_bytes_are_counted() {
    let mut client = Client::open(1024, |_| {}).await;
    client.say(&ping("a")).await;
    client.hears(TEXT, &pong("a")).await;
    client.say("{").await;
    client.hear().await;
    let page = client.cx.metrics.page(Default::default());
    let rows = [
        ("message_count", 2),
        ("message_recv_bytes", ping("a").len()),
        ("message_sent_bytes", pong("a").len()),
        ("message_errors", 1),
    ];
    for (row, expected) in rows {
        let row = format!("nakama_overall_{row}{{node_name=\"nakama\"}} {expected}\n");
        assert!(page.contains(&row), "no {row} in\n{page}");
    }
}
