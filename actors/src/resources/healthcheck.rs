//! Whether the server answers.

use guildhall_core::{Caller, Result};
use guildhall_proto::Empty;

use crate::{cx::Cx, endpoint::Body, endpoints};

endpoints! {
    /// Answers, while the server can.
    Get "/healthcheck" => Healthcheck(Empty) -> Empty
        { auth: None, body: Body::None, handle: healthcheck, input: false, hooks: false }
}

async fn healthcheck(_: &Cx, _: &mut Caller, _: Empty) -> Result<Empty> {
    Ok(Empty {})
}
