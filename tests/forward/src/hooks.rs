//! Hooks of socket messages: the native side of `tests/realtime_hooks.rs`. They act on messages of
//! that test only.

use guildhall_sdk::{
    Error, Module, Nk, code,
    proto::realtime::{
        Envelope, MatchDataSend, Pong, StatusFollow, StatusUpdate, envelope::Message,
    },
};
use serde_json::{Value, json};

pub(crate) fn register(module: &mut Module<'_>) -> Result<(), Error> {
    module.realtime_before("StatusUpdate", before_status)?;
    module.realtime_after("StatusUpdate", |nk, output, input| {
        let Some(Message::StatusUpdate(StatusUpdate { status })) = input.message else {
            return Ok(());
        };
        let cid = output.map(|output| output.cid);
        tell(nk, "after status", json!({ "cid": cid, "status": status }))
    })?;
    module.realtime_after("StatusFollow", |nk, output, input| {
        let Some(Message::StatusFollow(StatusFollow { user_ids, .. })) = input.message else {
            return Ok(());
        };
        tell(nk, "after follow", json!({ "answered": output.is_some(), "ids": user_ids.len() }))
    })?;
    module.realtime_before("Ping", |_, envelope| match envelope.cid.as_str() {
        "refuse" => Err(Error::new(code::UNAVAILABLE, "no pings")),
        _ => Ok(Some(envelope)),
    })?;
    module.realtime_after("Pong", |nk, output, input| {
        tell(nk, "after pong", json!({ "answered": output.is_some(), "cid": input.cid }))
    })?;
    module.realtime_before("MatchDataSend", |_, mut envelope| {
        if let Some(Message::MatchDataSend(MatchDataSend { op_code, data, .. })) =
            &mut envelope.message
            && *op_code == 9_007_199_254_740_993
        {
            *op_code = 7;
            *data = [b"was ", data.as_ref()].concat().into();
        }
        Ok(Some(envelope))
    })?;
    module.realtime_after("MatchDataSend", |nk, output, input| {
        let Some(Message::MatchDataSend(MatchDataSend { op_code, .. })) = input.message else {
            return Ok(());
        };
        let seen = json!({ "answered": output.is_some(), "op_code": op_code.to_string() });
        tell(nk, "after data", seen)
    })
}

fn before_status(nk: &Nk<'_>, mut envelope: Envelope) -> Result<Option<Envelope>, Error> {
    let Some(Message::StatusUpdate(StatusUpdate { status })) = &mut envelope.message else {
        return Ok(Some(envelope));
    };
    match status.as_deref() {
        Some("refuse") => return Err(Error::new(code::INVALID_ARGUMENT, "refused by a hook")),
        Some("fail") => return Err(Error::new(code::INTERNAL, "failed in a hook")),
        Some("drop") => return Ok(None),
        Some("another") => {
            let message = Some(Message::Pong(Pong {}));
            return Ok(Some(Envelope { cid: "another".into(), message }));
        }
        Some("mark") => envelope.cid = "changed".into(),
        Some("take away") => *status = None,
        Some("who") => {
            let context = nk.context();
            let who = json!({
                "mode": context.execution_mode, "user_id": context.user_id,
                "username": context.username, "session": context.session_id,
                "lang": context.lang, "timed": context.user_session_exp > 0,
                "ip": context.client_ip, "cid": envelope.cid,
            });
            *status = Some(who.to_string());
        }
        _ => {}
    }
    Ok(Some(envelope))
}

fn tell(nk: &Nk<'_>, what: &str, mut seen: Value) -> Result<(), Error> {
    let context = nk.context();
    seen["mode"] = json!(context.execution_mode);
    seen["session"] = json!(context.session_id);
    nk.call("notification_send", (&context.user_id, what, seen, 1))
}
