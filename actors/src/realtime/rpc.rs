//! Calls of the modules' functions over the socket.

use std::time::Instant;

use guildhall_core::{Code, Error};
use guildhall_proto::{api, realtime::envelope::Message};

use super::session::ErrorCode;
use crate::{
    envelope::{Handled, Incoming, Refusal},
    runtime::call::{Call, ExecutionMode, Input, Output},
    socket_messages,
};

socket_messages! {
    /// Calls a function that a module registered.
    Rpc(api::Rpc) => call, hooks: false;
}

const ID_REQUIRED: Refusal = Refusal::new(ErrorCode::BadInput, "RPC ID must be set");
const NOT_FOUND: Refusal =
    Refusal::new(ErrorCode::RuntimeFunctionNotFound, "RPC function not found");

async fn call(incoming: Incoming<'_>, request: api::Rpc) -> Handled {
    let api::Rpc { id, payload, .. } = request;
    if id.is_empty() {
        return Err(ID_REQUIRED);
    }
    let name = id.to_lowercase();
    let routes = incoming.cx.routes.load();
    let Some(target) = routes.rpc(&name).cloned() else { return Err(NOT_FOUND) };
    drop(routes);
    let (began, received) = (Instant::now(), payload.len());
    let context = incoming.session.context(ExecutionMode::Rpc, incoming.trace_id);
    let input = Input::Rpc { payload: payload.into_bytes() };
    let result = target.pool.call(Call { function: target.function, context, input }).await;
    let payload = match result {
        Ok(Output::Text(text)) => Ok(text),
        Ok(_) => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    let sent = payload.as_ref().map_or(0, Vec::len);
    let code = payload.as_ref().map_or_else(Error::code, |_| Code::Ok);
    target.socket_calls.record(code, began.elapsed(), received, sent);
    let payload = payload.map_err(|error| {
        if let Error::Fault(_) = error {
            tracing::error!(rpc = name, %error, "RPC function failed");
        }
        Refusal::of(ErrorCode::RuntimeFunctionException, error.message().to_owned())
    })?;
    // A Lua string is bytes; what is no text is shown as such.
    let payload = String::from_utf8(payload)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    Ok(incoming.reply(Message::Rpc(api::Rpc { id, payload, ..api::Rpc::default() })))
}
