//! Clients without sockets: they send messages and read what was queued for them.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};

use futures_util::{FutureExt as _, future::LocalBoxFuture};
use guildhall_core::{
    Caller,
    caller::{TraceId, User, Vars},
    config::Config,
};
use guildhall_proto::realtime::Envelope;
use serde_json::Value;
use tokio::runtime::Handle;
use uuid::Uuid;

use super::{
    outgoing::Closing,
    session::{Format, PresenceReason, Session},
};
use crate::{
    cx::Cx,
    envelope::{Incoming, SocketMessage, WithSocketMessage},
    tables,
};

/// The capabilities of a server without a database. Presence events are told where a test says so,
/// by [`Cx::tell_changes`].
pub(crate) fn cx(config: Config) -> Arc<Cx> {
    Arc::new(Cx::without_database(Arc::new(config), Handle::current()).unwrap())
}

/// A connected client that speaks JSON.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) cx: Arc<Cx>,
    pub(crate) session: Arc<Session>,
}

impl Client {
    /// Another socket of the user whose number and name these are.
    pub(crate) fn connect(cx: &Arc<Cx>, user: u128, name: &str, status: bool) -> Self {
        let user = User {
            id: Uuid::from_u128(user),
            username: name.to_owned(),
            vars: Vars::default(),
            expires_s: i64::MAX,
            token_id: String::new(),
            issued_s: 0,
        };
        let caller = Caller { user: Some(user.clone()), ..Caller::default() };
        let queue = cx.config.socket.outgoing_queue_size;
        let session = Session::new(caller, user, Format::Json, "en".to_owned(), queue);
        let session = Arc::new(session);
        cx.begin_session(&session, status);
        Self { cx: Arc::clone(cx), session }
    }

    /// Sends a message and waits until it is handled. Hooks are not called.
    pub(crate) async fn send(&self, envelope: Value) {
        let Envelope { cid, message } =
            Envelope::from_json(envelope.to_string().as_bytes()).unwrap();
        let incoming = Incoming {
            cx: &self.cx,
            session: &self.session,
            cid: &cid,
            trace_id: TraceId::default(),
        };
        tables::socket_message(message.unwrap(), Work(incoming)).ok().unwrap().await;
    }

    /// What was queued since the last look, in order.
    pub(crate) fn received(&self) -> Vec<Value> {
        match self.session.outgoing.poll_take(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(taken) => taken.frames.iter().map(|frame| json(frame)).collect(),
            Poll::Pending => Vec::new(),
        }
    }

    /// Sends a message and tells what came of it: all that was queued for this client meanwhile.
    pub(crate) async fn ask(&self, envelope: Value) -> Vec<Value> {
        self.send(envelope).await;
        self.cx.tell_changes();
        self.received()
    }

    /// The connection ends.
    pub(crate) fn disconnect(&self) {
        self.session.close(Closing::GONE);
        self.cx.end_session(&self.session, PresenceReason::Disconnect);
    }

    /// The client as others see it.
    pub(crate) fn presence(&self) -> Value {
        serde_json::json!({
            "user_id": self.session.user_id().to_string(),
            "session_id": self.session.id.to_string(),
            "username": &*self.session.username,
        })
    }
}

/// The content of a frame as [`super::outgoing`] writes it.
fn json(frame: &[u8]) -> Value {
    let head = match frame[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    serde_json::from_slice(&frame[head..]).unwrap()
}

struct Work<'a>(Incoming<'a>);

impl<'a> WithSocketMessage for Work<'a> {
    type Output = LocalBoxFuture<'a, ()>;

    fn with<M: SocketMessage>(self, body: M::Body) -> Self::Output {
        let Self(incoming) = self;
        let work = async move {
            if let Err(refusal) = M::handle(incoming, body).await {
                incoming.reply(refusal.to_wire());
            }
        };
        work.boxed_local()
    }
}
