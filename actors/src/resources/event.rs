//! Events: what clients and modules tell to the event functions of modules.

use guildhall_core::{Caller, Code, Result, Status};
use guildhall_proto::{Empty, api};

use crate::{
    cx::Cx,
    endpoint::Body,
    endpoints,
    registry::Point,
    runtime::call::{Context, ExecutionMode},
};

endpoints! {
    /// Hands an event to the modules' event functions, if there are any.
    Post "/v2/event" => Event(api::Event) -> Empty
        { auth: Session, body: Body::Whole, handle: event }
}

async fn event(cx: &Cx, caller: &mut Caller, event: api::Event) -> Result<Empty> {
    // What comes this way is from outside, whatever it says.
    send(cx, caller.clone(), api::Event { external: true, ..event });
    Ok(Empty {})
}

/// Hands `event` to the modules' event functions, on behalf of `caller`, without waiting for them.
pub fn send(cx: &Cx, caller: Caller, event: api::Event) {
    let context = Context { mode: ExecutionMode::Event, caller, ..Context::default() };
    cx.events.send(Point::Event, context, &event);
}

/// The host functions.
pub mod nk {
    use std::collections::BTreeMap;

    use guildhall_proto::Timestamp;
    use schemars::JsonSchema;
    use serde::Deserialize;

    use super::*;
    use crate::{
        clock::now_s,
        host::{HostFn, Language, Origin, Returns},
    };

    const NAME_REQUIRED: Status = Status::new(Code::InvalidArgument, "expects name string");
    const PROPERTIES_REQUIRED: Status =
        Status::new(Code::InvalidArgument, "expects object with string keys and values");
    const TIME_ZERO: Status =
        Status::new(Code::InvalidArgument, "timestamp must be numeric UTC seconds when provided");

    /// `nk.event(name, properties, timestamp, external)`: the time in Unix seconds. In Lua the
    /// properties may be left out and the event has no time unless it is given; in JavaScript the
    /// time is now.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct Event {
        name: String,
        #[serde(default)]
        properties: Option<BTreeMap<String, String>>,
        #[serde(default)]
        timestamp: Option<i64>,
        #[serde(default)]
        external: bool,
    }

    impl HostFn for Event {
        const NAME: &'static str = "event";
        const RETURNS: Returns = Returns::Nothing;
        type Output = ();
        async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<()> {
            let seconds = match origin.language {
                Language::JavaScript if self.properties.is_none() => {
                    return Err(PROPERTIES_REQUIRED.into());
                }
                Language::JavaScript => Some(self.timestamp.unwrap_or_else(now_s)),
                Language::Lua | Language::Native if self.name.is_empty() => {
                    return Err(NAME_REQUIRED.into());
                }
                Language::Lua | Language::Native if self.timestamp == Some(0) => {
                    return Err(TIME_ZERO.into());
                }
                Language::Lua | Language::Native => self.timestamp.filter(|seconds| *seconds != -1),
            };
            let event = api::Event {
                name: self.name,
                properties: self.properties.unwrap_or_default(),
                timestamp: seconds.map(Timestamp::from_seconds),
                external: self.external,
            };
            send(cx, origin.context.caller.clone(), event);
            Ok(())
        }
    }
}
