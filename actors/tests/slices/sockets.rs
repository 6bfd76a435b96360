//! Sockets without a connection: what a client sends is handled, and what it gets is kept.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};

use futures_util::{FutureExt as _, future::LocalBoxFuture};
use guildhall_actors::{
    cx::Cx,
    envelope::{Handled, Incoming, SocketMessage, WithSocketMessage},
    realtime::session::{Format, PresenceReason, Session},
    tables,
};
use guildhall_core::caller::{TraceId, User};
use guildhall_proto::realtime::Envelope;
use serde_json::Value;
use uuid::Uuid;

use crate::postgres::signed_in;

/// A socket of a user, in JSON.
pub(crate) struct Socket {
    cx: Arc<Cx>,
    pub(crate) session: Arc<Session>,
}

impl Socket {
    /// Connects; nothing is sent of it.
    pub(crate) fn open(cx: &Arc<Cx>, user: Uuid, username: &str) -> Self {
        let caller = signed_in(user);
        let user = User { username: username.to_owned(), ..caller.user.clone().unwrap() };
        let session = Session::new(caller, user, Format::Json, "en".to_owned(), 64);
        let socket = Self { cx: Arc::clone(cx), session: Arc::new(session) };
        cx.begin_session(&socket.session, false);
        socket
    }

    /// Sends a message, and gives all that came up to its answer and with it. Events that wait are
    /// told before.
    pub(crate) async fn send(&self, message: Value) -> Vec<Value> {
        self.cx.tell_changes();
        let Envelope { cid, message } =
            Envelope::from_json(message.to_string().as_bytes()).unwrap();
        let trace_id = TraceId(1);
        let incoming = Incoming { cx: &self.cx, session: &self.session, cid: &cid, trace_id };
        let handled =
            tables::socket_message(message.unwrap(), Handle(incoming)).ok().unwrap().await;
        if let Err(refusal) = handled {
            incoming.reply(refusal.to_wire());
        }
        self.take()
    }

    /// All that came; events are told first.
    pub(crate) fn got(&self) -> Vec<Value> {
        self.cx.tell_changes();
        self.take()
    }

    fn take(&self) -> Vec<Value> {
        let mut noop = Context::from_waker(Waker::noop());
        match self.session.outgoing.poll_take(&mut noop) {
            Poll::Pending => Vec::new(),
            Poll::Ready(taken) => taken.frames.iter().map(|frame| payload(frame)).collect(),
        }
    }

    /// Ends the connection.
    pub(crate) fn close(&self) {
        self.cx.end_session(&self.session, PresenceReason::Disconnect);
    }
}

struct Handle<'a>(Incoming<'a>);

impl<'a> WithSocketMessage for Handle<'a> {
    type Output = LocalBoxFuture<'a, Handled>;

    fn with<M: SocketMessage>(self, body: M::Body) -> Self::Output {
        M::handle(self.0, body).boxed_local()
    }
}

/// What is in an unmasked frame.
fn payload(frame: &[u8]) -> Value {
    let head = match frame[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    serde_json::from_slice(&frame[head..]).unwrap()
}
