//! A message of a client: envelope → before hook → work → after hook.

use std::any::Any;
use std::borrow::Cow;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use actix_web::web::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use guildhall_actors::cx::Cx;
use guildhall_actors::envelope::{Incoming, Refusal, SocketMessage, WithSocketMessage};
use guildhall_actors::realtime::session::{ErrorCode, Format, Session};
use guildhall_actors::registry::{Hooked, Target};
use guildhall_actors::runtime::call::ExecutionMode;
use guildhall_actors::tables;
use guildhall_core::caller::TraceId;
use guildhall_core::{Error, panic_text};
use guildhall_proto::realtime::Envelope;
use prost::Message as _;
use tracing::{debug, error, warn};
use uuid::Uuid;

/// Why a message ends its session: the text of the close frame.
pub(super) type Ends = Cow<'static, str>;

const MALFORMED: Ends = Cow::Borrowed("received malformed payload");
const PROCESSING: Ends = Cow::Borrowed("error processing message");

const MISSING: Refusal = Refusal::new(ErrorCode::MissingPayload, "Missing message.");
const UNRECOGNIZED: Refusal = Refusal::new(ErrorCode::UnrecognizedPayload, "Unrecognized message.");
const DISABLED: Refusal =
    Refusal::new(ErrorCode::UnrecognizedPayload, "Requested resource was not found.");
const CHANGED: Refusal = Refusal::new(
    ErrorCode::RuntimeFunctionException,
    "Runtime Before function changed the type of the message.",
);

/// A message that is being handled, of a kind that is known: as large as its own work, not as the
/// largest of all.
pub(super) type Working = LocalBoxFuture<'static, Result<(), Ends>>;

/// Reads a message of a session, in whichever format the session has, and begins to handle it. A panic
/// ends the session alone.
///
/// # Errors
/// What ends the session: a payload that is no envelope, or an envelope without a message of a client.
/// The work may end it too, where a before hook disables the message.
pub(super) fn dispatch(
    cx: &Arc<Cx>,
    session: &Arc<Session>,
    payload: Bytes,
) -> Result<Working, Ends> {
    catch_unwind(AssertUnwindSafe(|| begin(cx, session, payload)))
        .unwrap_or_else(|panic| Err(panicked(session.id, &*panic)))
}

fn begin(cx: &Arc<Cx>, session: &Arc<Session>, payload: Bytes) -> Result<Working, Ends> {
    let envelope = match session.format {
        Format::Json => Envelope::from_json(&payload).map_err(|error| error.to_string()),
        Format::Protobuf => Envelope::decode(payload).map_err(|error| error.to_string()),
    };
    let Envelope { cid, message } = envelope.map_err(|error| {
        debug!(session = %session.id, error, "malformed payload");
        MALFORMED
    })?;
    let trace_id = TraceId(rand::random());
    let own = Own { cx: Arc::clone(cx), session: Arc::clone(session), cid, trace_id };
    let (own, refusal) = match message {
        None => (own, MISSING),
        Some(message) => match tables::socket_message(message, own) {
            Ok(work) => return Ok(work),
            Err(own) => (own, UNRECOGNIZED),
        },
    };
    refusal.tell(own.incoming());
    Err(PROCESSING)
}

/// Lets a panic end its session alone.
async fn guarded(session: Uuid, work: impl Future<Output = Result<(), Ends>>) -> Result<(), Ends> {
    let result = AssertUnwindSafe(work).catch_unwind().await;
    result.unwrap_or_else(|panic| Err(panicked(session, &*panic)))
}

fn panicked(session: Uuid, panic: &(dyn Any + Send)) -> Ends {
    error!(%session, panic = panic_text(panic), "handling a message panicked");
    PROCESSING
}

/// What a message's work owns.
struct Own {
    cx: Arc<Cx>,
    session: Arc<Session>,
    cid: String,
    trace_id: TraceId,
}

impl Own {
    fn incoming(&self) -> Incoming<'_> {
        let Self { cx, session, cid, trace_id } = self;
        Incoming { cx, session, cid, trace_id: *trace_id }
    }
}

impl WithSocketMessage for Own {
    type Output = Working;

    fn with<M: SocketMessage>(self, body: M::Body) -> Working {
        let session = self.session.id;
        if M::HOOKS {
            let routes = self.cx.routes.load();
            let hooks = Hooks {
                before: routes.realtime_before(M::NAME).cloned(),
                after: routes.realtime_after(M::NAME).cloned(),
            };
            drop(routes);
            if hooks.before.is_some() || hooks.after.is_some() {
                return guarded(session, hooked::<M>(self, hooks, body)).boxed_local();
            }
        }
        let work = async move {
            let incoming = self.incoming();
            if let Err(refusal) = M::handle(incoming, body).await {
                refusal.tell(incoming);
            }
            self.cx.relieve_tracker();
            Ok(())
        };
        guarded(session, work).boxed_local()
    }
}

/// The modules' hooks on a kind of messages.
struct Hooks {
    before: Option<Target>,
    after: Option<Target>,
}

/// Handles a message between its hooks.
async fn hooked<M: SocketMessage>(own: Own, hooks: Hooks, body: M::Body) -> Result<(), Ends> {
    let result = between::<M>(&own, hooks, body).await;
    own.cx.relieve_tracker();
    result
}

async fn between<M: SocketMessage>(own: &Own, hooks: Hooks, mut body: M::Body) -> Result<(), Ends> {
    let cid_of_hook;
    let mut incoming = own.incoming();
    let context = |mode| own.session.context(mode, own.trace_id);
    if let Some(before) = hooks.before {
        let sent = Envelope { cid: incoming.cid.to_owned(), message: Some(M::wrap(body)) };
        let refused = |error: &Error| {
            Refusal::of(ErrorCode::RuntimeFunctionException, error.message().to_owned())
        };
        match before.realtime_before(context(ExecutionMode::Before), &sent).await {
            Err(error) => {
                log(&error, M::NAME, "realtime before hook failed");
                refused(&error).tell(incoming);
                return Ok(());
            }
            Ok(Hooked::Nothing) => {
                warn!(message = M::NAME, "a before hook disabled a message");
                DISABLED.tell(incoming);
                return Err(PROCESSING);
            }
            Ok(Hooked::Unreadable { object, error }) => {
                // What replaces the envelope replaces its mark too, as in the reference.
                let cid = if object { incoming.cid } else { "" };
                refused(&error).tell(Incoming { cid, ..incoming });
                return Ok(());
            }
            Ok(Hooked::Envelope(changed)) => {
                let Envelope { cid, message } = *changed;
                let Some(changed) = message.and_then(M::unwrap) else {
                    // The reference crashes.
                    CHANGED.tell(incoming);
                    return Ok(());
                };
                body = changed;
                cid_of_hook = cid;
                incoming.cid = &cid_of_hook;
            }
        }
    }
    let Some(after) = hooks.after else {
        if let Err(refusal) = M::handle(incoming, body).await {
            refusal.tell(incoming);
        }
        return Ok(());
    };
    let received = Envelope { cid: incoming.cid.to_owned(), message: Some(M::wrap(body)) };
    let Some(body) = received.message.clone().and_then(M::unwrap) else { return Ok(()) };
    match M::handle(incoming, body).await {
        Ok(reply) => {
            let context = context(ExecutionMode::After);
            let result = after.realtime_after(context, reply.0.as_ref(), &received).await;
            if let Err(error) = result {
                log(&error, M::NAME, "realtime after hook failed");
            }
        }
        Err(refusal) => refusal.tell(incoming),
    }
    Ok(())
}

fn log(error: &Error, message: &'static str, what: &'static str) {
    match error {
        Error::Fault(_) => error!(message, %error, "{what}"),
        Error::Status(_) => debug!(message, %error, "{what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn a_panic_ends_its_session_alone() {
        assert_eq!(guarded(Uuid::nil(), async { panic!("secret") }).await, Err(PROCESSING));
        assert_eq!(guarded(Uuid::nil(), async { Ok(()) }).await, Ok(()));
    }
}
