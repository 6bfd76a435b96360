//! One client of the soak: its connection, and what it does when all are to do the same.

use std::{sync::Arc, time::Duration};

use guildhall_proto::{
    api::Rpc,
    realtime::{
        ChannelMessageSend, Envelope, Error as WireError, MatchDataSend, PartyDataSend, Ping,
        envelope::Message,
    },
};
use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    view::{Kind, Place, View},
    wire::{Ended, Format, PATIENCE, Wire},
    world::{Entry, History, Phase, Told, User, World, sign_in},
};

/// How old a session token may be that a socket is opened with.
const TOKEN_LIFE: Duration = Duration::from_secs(240);
/// Why the server closes the socket of a client that does not read.
const QUEUE_FULL: &str = "session outgoing queue full";
/// Why the server closes a socket that it was asked to close.
pub const DISCONNECTED: &str = "server-side session disconnect";
/// What is counted where a socket is closed for its full queue, and where the server stops.
pub const CLOSED_FULL: &str = "~closed: queue full";
pub const STOPPED: &str = "~told that the server stops";
/// Marks that a client sends to each place.
pub const MARKS: u32 = 2;

/// A client.
pub struct Client {
    pub index: usize,
    pub world: Arc<World>,
    pub rng: StdRng,
    pub user: User,
    pub signed_in: Instant,
    /// Whether no other client is of the same user.
    pub solo: bool,
    /// Whether it reads nothing for seconds at times.
    pub slow: bool,
    pub line: Option<Line>,
    pub groups: Vec<String>,
    phases: watch::Receiver<Phase>,
    tell: mpsc::UnboundedSender<Told>,
}

/// A client's open connection.
pub struct Line {
    wire: Wire,
    pub view: View,
    history: Arc<Mutex<History>>,
    world: Arc<World>,
    index: usize,
    began: Instant,
    sent: u64,
    /// Messages that the client sent: their channel and id.
    pub said: Vec<(String, String)>,
    /// Whether the server may close it since it does not read.
    pub may_be_full: bool,
}

/// What came of a message: an answer or an error; no answer at all where the connection ended.
pub type Answered = Result<Result<Option<Message>, WireError>, Ended>;

impl Line {
    async fn open(client: &Client, status: bool, format: Format) -> Option<Self> {
        let world = &client.world;
        let query = format!("token={}&status={status}", client.user.token);
        let opened = timeout(PATIENCE, Wire::open(world.plan.port, &query, format, client.slow));
        let refused = match opened.await {
            Ok(Ok(Ok(wire))) => return Some(Self::over(wire, client, status)),
            Ok(Ok(Err(refused))) => refused.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        world.finding(format!("client {}: no socket: {refused}", client.index));
        None
    }

    fn over(wire: Wire, client: &Client, status: bool) -> Self {
        let view = View::new(&client.user.id, status, client.world.plan.single);
        Self {
            wire,
            view,
            history: Arc::default(),
            world: Arc::clone(&client.world),
            index: client.index,
            began: Instant::now(),
            sent: 0,
            said: Vec::new(),
            may_be_full: client.slow,
        }
    }

    fn add(&self, entry: Entry) {
        self.history.lock().add(self.began.elapsed(), entry);
    }

    pub fn note(&self, text: impl Into<String>) {
        self.add(Entry::Note(text.into()));
    }

    /// Something is wrong that has to do with `about`.
    pub fn finding(&self, what: &str, about: &str) {
        let (index, format) = (self.index, self.wire.format);
        let history = self.history.lock().about(about, 40);
        self.world.finding(format!(
            "client {index} ({format:?}, user {}, session {}): {what}\n{history}",
            self.view.user, self.view.session
        ));
    }

    /// The next thing that comes. It may be given up.
    pub async fn next(&mut self) -> Result<Envelope, Ended> {
        let envelope = self.wire.next().await?;
        self.view.hear(&envelope);
        self.add(Entry::Heard(envelope.clone()));
        for complaint in std::mem::take(&mut self.view.complaints) {
            let about = complaint.split(' ').find(|word| word.len() > 30).unwrap_or_default();
            self.finding(&complaint, about.trim_end_matches(','));
        }
        if std::mem::take(&mut self.view.hasty) > 0 {
            self.world.count("~an event came before the answer to its join");
        }
        if std::mem::take(&mut self.view.late) > 0 {
            self.world.count("~data of a handler came after the match was left");
        }
        Ok(envelope)
    }

    /// Sends what has no answer.
    pub async fn send(&mut self, message: Message) -> Result<(), Ended> {
        let envelope = Envelope { cid: String::new(), message: Some(message) };
        self.add(Entry::Sent(envelope.clone()));
        self.wire.send(&envelope).await
    }

    /// Sends a message and takes in all that comes up to its answer.
    pub async fn call(&mut self, message: Message) -> Answered {
        let cid = self.mark_and_send(message).await?;
        self.answer(&cid).await
    }

    /// Sends a message with a mark of its own.
    pub async fn mark_and_send(&mut self, message: Message) -> Result<String, Ended> {
        self.sent += 1;
        let cid = self.sent.to_string();
        if matches!(message, Message::MatchJoin(_)) {
            self.view.joins.insert(cid.clone());
        }
        let envelope = Envelope { cid: cid.clone(), message: Some(message) };
        self.add(Entry::Sent(envelope.clone()));
        self.wire.send(&envelope).await?;
        Ok(cid)
    }

    /// Takes in all that comes up to an answer.
    pub async fn answer(&mut self, cid: &str) -> Answered {
        let began = Instant::now();
        loop {
            let Ok(next) = timeout(PATIENCE, self.next()).await else {
                self.finding(&format!("no answer to message {cid}"), "");
                return Err(Ended { code: 0, reason: "no answer".to_owned() });
            };
            let next = next?;
            if next.cid == cid {
                let limit = [1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, u128::MAX];
                let took = began.elapsed().as_millis();
                let bound = limit.into_iter().find(|limit| took <= *limit).unwrap_or_default();
                if !self.may_be_full {
                    self.world.count(format!("~answered within {bound:>5} ms"));
                }
                return Ok(match next.message {
                    Some(Message::Error(error)) => Err(error),
                    message => Ok(message),
                });
            }
        }
    }

    /// Sends a message that may be refused by one of these sentences, or what begins so.
    pub async fn ask(
        &mut self,
        what: &str,
        message: Message,
        refusals: &[&str],
    ) -> Result<Option<Message>, Ended> {
        match self.call(message).await? {
            Ok(answer) => {
                self.world.count(what);
                Ok(answer)
            }
            Err(error) => {
                if refusals.iter().any(|refusal| error.message.ends_with(refusal)) {
                    self.world.count(format!("{what}: {}", error.message));
                } else {
                    self.finding(&format!("{what} was refused: {error:?}"), "");
                }
                Ok(None)
            }
        }
    }

    /// Leaves a place; whatever it was, it is answered.
    pub async fn leave(&mut self, place: &Place) -> Result<(), Ended> {
        self.ask(&format!("leave {:?}", place.kind), place.leaving(), &[]).await?;
        self.view.left(place);
        Ok(())
    }

    /// Takes in all that was sent until now.
    pub async fn drain(&mut self) -> Result<(), Ended> {
        self.ask("ping", Message::Ping(Ping {}), &[]).await?;
        Ok(())
    }

    /// Calls a module's function.
    pub async fn rpc(&mut self, id: &str, payload: &str) -> Result<String, Ended> {
        let call = Rpc { id: id.to_owned(), payload: payload.to_owned(), ..Rpc::default() };
        match self.ask(&format!("rpc {id}"), Message::Rpc(call), &[]).await? {
            Some(Message::Rpc(answer)) => Ok(answer.payload),
            other => {
                self.finding(&format!("{id} answered {other:?}"), "");
                Ok(String::new())
            }
        }
    }

    /// Sends the marks of a round to all places.
    async fn mark(&mut self, round: u32) -> Result<(), Ended> {
        // All has been quiet for longer than a tick.
        self.view.left_lately.clear();
        let places: Vec<Place> = self.view.places.keys().cloned().collect();
        for place in places {
            for number in 1..=MARKS {
                let mark = format!("mark {round} {number} {}", self.view.session);
                let (op_code, data) = (1, mark.clone().into_bytes().into());
                let id = place.id.clone();
                match place.kind {
                    Kind::Channel => {
                        let content = serde_json::json!({ "mark": mark }).to_string();
                        let say = ChannelMessageSend { channel_id: id, content };
                        self.ask("mark in a channel", Message::ChannelMessageSend(say), &[])
                            .await?;
                    }
                    Kind::Party => {
                        let say = PartyDataSend { party_id: id, op_code, data };
                        self.ask("mark in a party", Message::PartyDataSend(say), &[]).await?;
                    }
                    Kind::Match => {
                        let (presences, reliable) = (Vec::new(), true);
                        let match_id = id;
                        let say = MatchDataSend { match_id, op_code, data, presences, reliable };
                        self.send(Message::MatchDataSend(say)).await?;
                    }
                }
            }
        }
        self.drain().await
    }

    /// Reads nothing for a while.
    pub async fn nap(&mut self, ms: u64) {
        self.note(format!("sleeps {ms} ms"));
        sleep(Duration::from_millis(ms)).await;
    }

    /// Asks for much at once and reads nothing, until the server gives up.
    pub async fn drown(&mut self) -> Result<(), Ended> {
        self.note("asks for much and reads nothing");
        let call = Rpc { id: "flood".to_owned(), ..Rpc::default() };
        for _ in 0..150 {
            self.send(Message::Rpc(call.clone())).await?;
        }
        sleep(Duration::from_millis(2500)).await;
        // What the server had written already may take minutes to come through so small a buffer.
        let ended = timeout(PATIENCE, self.wire.ended()).await;
        Err(ended.unwrap_or_else(|_| Ended::abruptly("given up")))
    }

    async fn close(self, rng: &mut StdRng) {
        let Self { wire, mut view, world, index, may_be_full, .. } = self;
        match rng.random_range(0..4) {
            0 => {
                world.count("drop with a reset");
                wire.drop_rudely(true);
            }
            1 => {
                world.count("drop");
                wire.drop_rudely(false);
            }
            _ => {
                world.count("close");
                let ended = wire.close(|envelope| view.hear(&envelope)).await;
                let full = may_be_full && (ended.code == 1006 || ended.reason == QUEUE_FULL);
                if ended.code != 1000 && !full {
                    world.finding(format!("client {index}: its close was answered by {ended:?}"));
                }
            }
        }
    }
}

impl Client {
    pub fn new(
        index: usize,
        world: &Arc<World>,
        phases: watch::Receiver<Phase>,
        tell: mpsc::UnboundedSender<Told>,
    ) -> Self {
        let (user, solo) = world.user_of(index);
        Self {
            index,
            world: Arc::clone(world),
            rng: StdRng::seed_from_u64(world.plan.seed.wrapping_add(index as u64)),
            user,
            signed_in: Instant::now(),
            solo,
            slow: index % 12 == 5,
            line: None,
            groups: Vec::new(),
            phases,
            tell,
        }
    }

    /// Does what the phases say, to the end.
    pub async fn run(mut self) {
        loop {
            let phase = *self.phases.borrow_and_update();
            let done = match phase {
                Phase::Play => self.play().await,
                Phase::Tell(_) => self.drain().await,
                Phase::Mark(round) => match &mut self.line {
                    Some(line) => line.mark(round).await,
                    None => Ok(()),
                },
                Phase::Leave(_) => self.leave().await,
                Phase::End => return,
            };
            if let Err(ended) = done {
                self.gone(&ended);
                if phase == Phase::Play {
                    self.pause().await.unwrap_or_else(|ended| self.gone(&ended));
                }
            }
            if phase == Phase::Play {
                // Once more, where it was the connection that ended.
                continue;
            }
            let line = self.line.as_ref();
            let view = line.map(|line| line.view.clone());
            let history = line.map(|line| Arc::clone(&line.history));
            // Nobody listens any more where the test has failed.
            let _ = self.tell.send(Told { client: self.index, request: phase, view, history });
            while !self.phases.has_changed().unwrap_or(true) {
                if let Err(ended) = self.idle(None).await {
                    self.gone(&ended);
                }
            }
            if self.phases.has_changed().is_err() {
                return;
            }
        }
    }

    async fn drain(&mut self) -> Result<(), Ended> {
        match &mut self.line {
            Some(line) => line.drain().await,
            None => Ok(()),
        }
    }

    /// Takes in what comes until then, or until the phase changes.
    async fn idle(&mut self, until: Option<Instant>) -> Result<(), Ended> {
        let Self { phases, line, .. } = self;
        let come = async {
            match line {
                Some(line) => loop {
                    if let Err(ended) = line.next().await {
                        break ended;
                    }
                },
                None => std::future::pending().await,
            }
        };
        let time = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = changed(phases.clone()) => Ok(()),
            ended = come => Err(ended),
            () = time => Ok(()),
        }
    }

    async fn play(&mut self) -> Result<(), Ended> {
        while !self.phases.has_changed().unwrap_or(true) {
            if self.line.is_none() {
                self.connect().await?;
            } else {
                self.act().await?;
            }
            self.pause().await?;
        }
        Ok(())
    }

    /// Takes in what comes for a while.
    async fn pause(&mut self) -> Result<(), Ended> {
        let pause = self.rng.random_range(0..=self.world.plan.pause_ms * 2);
        self.idle(Some(Instant::now() + Duration::from_millis(pause))).await
    }

    async fn connect(&mut self) -> Result<(), Ended> {
        if self.signed_in.elapsed() > TOKEN_LIFE {
            self.user = sign_in(self.world.plan.port, &self.user.name).await;
            self.signed_in = Instant::now();
        }
        let format = if self.rng.random_bool(0.5) { Format::Json } else { Format::Protobuf };
        let status = self.rng.random_bool(0.5);
        let Some(mut line) = Line::open(self, status, format).await else { return Ok(()) };
        let who: Value = serde_json::from_str(&line.rpc("whoami", "").await?).unwrap_or_default();
        line.view.session = who["session_id"].as_str().unwrap_or_default().to_owned();
        if who["user_id"] != self.user.id || line.view.session.is_empty() {
            line.finding(&format!("the session is of {who}"), "");
        }
        self.line = Some(line);
        Ok(())
    }

    /// Ends the connection, in one way or the other.
    pub async fn disconnect(&mut self) {
        if let Some(line) = self.line.take() {
            line.close(&mut self.rng).await;
        }
    }

    /// Leaves all places, or not, and ends the connection.
    async fn leave(&mut self) -> Result<(), Ended> {
        if let Some(line) = &mut self.line
            && self.rng.random_bool(0.5)
        {
            for place in line.view.places.keys().cloned().collect::<Vec<_>>() {
                line.leave(&place).await?;
            }
        }
        self.disconnect().await;
        Ok(())
    }

    /// The connection ended though this client did not end it.
    fn gone(&mut self, ended: &Ended) {
        let Some(line) = self.line.take() else { return };
        // With one socket a user, its other client ends this one's.
        let may_end = self.world.plan.single || self.world.is_doomed(&line.view.session);
        // A close frame may be lost where the client has sent more than the server has read.
        if may_end && (ended.reason == DISCONNECTED || ended.code == 1006) {
            self.world.count("~disconnected by the server, as asked");
            return;
        }
        if (ended.code, ended.reason.as_str()) == (1001, "server is stopping") {
            self.world.count(STOPPED);
            return;
        }
        if !line.may_be_full {
            line.finding(&format!("the connection ended: {ended:?}"), "");
            return;
        }
        self.world.count(match (ended.code, ended.reason.as_str()) {
            (1000, QUEUE_FULL) => CLOSED_FULL.to_owned(),
            (1006, _) => "~closed: without a close frame".to_owned(),
            _ => {
                line.finding(&format!("the connection ended: {ended:?}"), "");
                "~closed for another reason".to_owned()
            }
        });
    }
}

/// Waits for another phase, which stays to be looked at.
async fn changed(mut phases: watch::Receiver<Phase>) {
    // An error is the end of the test.
    let _ = phases.changed().await;
}
