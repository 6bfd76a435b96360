//! A message of a client: envelope → before hook → work → after hook.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::web::Bytes;
use guildhall_actors::cx::Cx;
use guildhall_actors::envelope::{Incoming, Refusal, SocketMessage, WithSocketMessage};
use guildhall_actors::realtime::session::{ErrorCode, Format, Session};
use guildhall_actors::registry::Hooked;
use guildhall_actors::runtime::call::ExecutionMode;
use guildhall_actors::tables;
use guildhall_core::Error;
use guildhall_core::caller::TraceId;
use guildhall_proto::realtime::Envelope;
use prost::Message as _;
use tracing::{debug, error, warn};

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

/// Handles one message of a session, in whichever format the session has.
///
/// # Errors
/// What ends the session: a payload that is no envelope, an envelope without a message of a client, or
/// one that a before hook disables.
pub(super) async fn dispatch(
    cx: &Arc<Cx>,
    session: &Arc<Session>,
    payload: Bytes,
) -> Result<(), Ends> {
    let envelope = match session.format {
        Format::Json => Envelope::from_json(&payload).map_err(|error| error.to_string()),
        Format::Protobuf => Envelope::decode(payload).map_err(|error| error.to_string()),
    };
    let Envelope { cid, message } = envelope.map_err(|error| {
        debug!(session = %session.id, error, "malformed payload");
        MALFORMED
    })?;
    let trace_id = TraceId(rand::random());
    let incoming = Incoming { cx, session, cid: &cid, trace_id };
    let Some(message) = message else {
        MISSING.tell(incoming);
        return Err(PROCESSING);
    };
    let result = match tables::socket_message(message, Work(incoming)).await {
        Some(result) => result,
        None => {
            UNRECOGNIZED.tell(incoming);
            Err(PROCESSING)
        }
    };
    cx.relieve_tracker();
    result
}

/// What is done with a message of any kind.
struct Work<'a>(Incoming<'a>);

impl WithSocketMessage for Work<'_> {
    type Output = Result<(), Ends>;

    async fn with<M: SocketMessage>(self, mut body: M::Body) -> Result<(), Ends> {
        let cid_of_hook;
        let Self(Incoming { cx, session, cid, trace_id }) = self;
        let mut incoming = Incoming { cx, session, cid, trace_id };
        let (before, after) = if M::HOOKS {
            let routes = incoming.cx.routes.load();
            (routes.realtime_before(M::NAME).cloned(), routes.realtime_after(M::NAME).cloned())
        } else {
            (None, None)
        };
        let context = |mode| session.context(mode, trace_id);

        if let Some(before) = before {
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
        let Some(after) = after else {
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
}

fn log(error: &Error, message: &'static str, what: &'static str) {
    match error {
        Error::Fault(_) => error!(message, %error, "{what}"),
        Error::Status(_) => debug!(message, %error, "{what}"),
    }
}
