//! A native module in Rust: what the README beside it lists, in one file.

mod room;

use std::sync::atomic::Ordering;

use guildhall_sdk::{
    Error, Function, Level, Module, Nk, Point, code, info,
    proto::api::{AuthenticateCustomRequest, Session},
};
use serde_json::{Value, json};

guildhall_sdk::module!(register);

fn register(module: &mut Module<'_>) -> Result<(), Error> {
    module.rpc("rust_echo", |_, payload| Ok(payload.to_vec()))?;
    module.rpc("rust_digest", digest)?;
    module.rpc("rust_visit", visit)?;
    module.rpc("rust_panic", broken)?;
    module.before("AuthenticateCustom", before_custom)?;
    module.after("AuthenticateCustom", after_custom)?;
    module.rpc("create_native", create_native)?;
    module.rpc("rust_rooms", |_, _| Ok(room::ROOMS.load(Ordering::Relaxed).to_string().into()))?;
    module.register_match("rust_match", room::create)?;
    module.function(Point::StorageIndexFilter, "rust_visits", is_returning)
}

/// A function with plain values: of the visits, an index named so takes up those that came back.
fn is_returning(_: &Nk<'_>, (object,): (Value,)) -> Result<bool, Error> {
    let value: Value = serde_json::from_str(object["value"].as_str().unwrap_or("null"))?;
    Ok(value["count"].as_i64().unwrap_or(0) > 1)
}

/// Shows a host function with an argument and a result. A `Function` keeps the function's number,
/// so that it is looked up once.
fn digest(nk: &Nk<'_>, payload: &[u8]) -> Result<Vec<u8>, Error> {
    static SHA256: Function = Function::new("sha256_hash");
    let hash: String = nk.call(&SHA256, (str::from_utf8(payload)?,))?;
    let answer = json!({ "sha256": hash, "mode": nk.context().execution_mode });
    Ok(answer.to_string().into_bytes())
}

/// Counts the caller's visits in a storage object. The version makes concurrent visits safe: one
/// that read an old count is refused.
fn visit(nk: &Nk<'_>, _: &[u8]) -> Result<Vec<u8>, Error> {
    let user_id = nk.context().user_id.as_str();
    if user_id.is_empty() {
        return Err(Error::new(code::UNAUTHENTICATED, "a visit needs a user"));
    }
    let id = json!({ "collection": "visits", "key": "rust", "user_id": user_id });
    let objects: Vec<Value> = nk.call("storage_read", ([id],))?;
    let before = objects.first();
    let count = before.and_then(|object| object["value"]["count"].as_i64()).unwrap_or(0) + 1;
    let write = json!({
        "collection": "visits", "key": "rust", "user_id": user_id, "value": { "count": count },
        "version": before.map_or(&json!("*"), |object| &object["version"]),
        "permission_read": 1, "permission_write": 0,
    });
    let _: Value = nk.call("storage_write", ([write],))?;
    let text = format!("visit of {}", nk.context().username);
    nk.log_with(Level::Info, &text, &json!({ "count": count }));
    Ok(json!({ "count": count }).to_string().into_bytes())
}

/// Shows that a panic ends this call only.
fn broken(_: &Nk<'_>, payload: &[u8]) -> Result<Vec<u8>, Error> {
    Ok(vec![payload[payload.len()]])
}

/// Makes a match; the payload is its room. Answers its id.
fn create_native(nk: &Nk<'_>, payload: &[u8]) -> Result<Vec<u8>, Error> {
    let room = json!({ "room": str::from_utf8(payload)? });
    let id: String = nk.call("match_create", ("rust_match", room))?;
    Ok(id.into_bytes())
}

/// Refuses ids of the staff and mends spelling.
fn before_custom(
    _: &Nk<'_>,
    mut request: AuthenticateCustomRequest,
) -> Result<Option<AuthenticateCustomRequest>, Error> {
    if let Some(account) = &mut request.account {
        account.id = account.id.trim().to_lowercase();
        if account.id.starts_with("staff-") {
            return Err(Error::new(code::PERMISSION_DENIED, "This id is reserved."));
        }
    }
    Ok(Some(request))
}

/// Notes new accounts.
fn after_custom(nk: &Nk<'_>, session: Session, _: AuthenticateCustomRequest) -> Result<(), Error> {
    if session.created {
        info!(nk, "a new account: {}", nk.context().user_id);
    }
    Ok(())
}
