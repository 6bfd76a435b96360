//! Sessions: fresh tokens for a refresh token, and logging out.

use guildhall_core::{Caller, Code, OrFault, Result, Status};
use guildhall_proto::{
    Empty,
    api::{Session, SessionLogoutRequest, SessionRefreshRequest},
};
use uuid::Uuid;

use super::authenticate::{BANNED, FINDING, NO_ACCOUNT};
use crate::{
    cx::Cx,
    database::Sql,
    endpoint::Body,
    endpoints,
    sessions::{Extent, Invalid, RevokeError},
};

endpoints! {
    /// Gives a new session token and refresh token for a refresh token, with the session variables
    /// of the request in place of the old ones if it has any.
    Post "/v2/account/session/refresh" => SessionRefresh(SessionRefreshRequest) -> Session
        { auth: ServerKey, body: Body::Whole, handle: refresh }

    /// Ends the session of the tokens given, or all of the caller's if none is, with their sockets.
    Post "/v2/session/logout" => SessionLogout(SessionLogoutRequest) -> Empty
        { auth: Session, body: Body::Whole, handle: log_out }
}

const REFRESH_TOKEN_REQUIRED: Status =
    Status::new(Code::InvalidArgument, "Refresh token is required.");
const REFRESH_TOKEN_VOID: Status =
    Status::new(Code::Unauthenticated, "Refresh token invalid or expired.");
const SESSION_TOKEN_INVALID: Status = Status::new(Code::InvalidArgument, "Session token invalid.");
const REFRESH_TOKEN_INVALID: Status = Status::new(Code::InvalidArgument, "Refresh token invalid.");

async fn refresh(cx: &Cx, caller: &mut Caller, request: SessionRefreshRequest) -> Result<Session> {
    if request.token.is_empty() {
        return Err(REFRESH_TOKEN_REQUIRED.into());
    }
    let mut claims = cx.sessions.refresh(&request.token).ok_or(REFRESH_TOKEN_VOID)?;
    let row = cx.db.opt(NAME_OF_USER, &[&claims.user_id]).await.or_fault(FINDING)?;
    let row = row.ok_or(NO_ACCOUNT)?;
    if row.try_get("banned").or_fault(FINDING)? {
        return Err(BANNED.into());
    }
    claims.username = row.try_get("username").or_fault(FINDING)?;
    // An empty map counts as none: the wire cannot tell them apart, in the reference neither.
    if !request.vars.is_empty() {
        claims.vars = request.vars;
    }
    let (session, user) = cx.sessions.renew(claims);
    caller.user = Some(user);
    Ok(session)
}

async fn log_out(cx: &Cx, caller: &mut Caller, request: SessionLogoutRequest) -> Result<Empty> {
    let SessionLogoutRequest { token, refresh_token } = request;
    match end(cx, caller.user_id(), &token, &refresh_token).await {
        Ok(()) => Ok(Empty {}),
        Err(RevokeError::Invalid(Invalid::Session)) => Err(SESSION_TOKEN_INVALID.into()),
        Err(RevokeError::Invalid(Invalid::Refresh)) => Err(REFRESH_TOKEN_INVALID.into()),
        Err(RevokeError::Database(error)) => {
            Err(error).or_fault("Error processing session logout.")
        }
    }
}

/// Revokes the tokens of a user that are given (not empty), or all of them where none is, and closes
/// the sockets that were opened with them. The reference leaves those open.
///
/// # Errors
/// [`RevokeError`].
pub async fn end(
    cx: &Cx,
    user_id: Uuid,
    token: &str,
    refresh_token: &str,
) -> Result<(), RevokeError> {
    match cx.sessions.revoke(&cx.db, user_id, token, refresh_token).await? {
        Extent::Tokens => cx.disconnect_revoked(user_id),
        // Those of this second too, whose tokens are still good.
        Extent::User => cx.disconnect_user(user_id, None),
    }
    Ok(())
}

/// $1 user. Reads the primary key of users.
const NAME_OF_USER: &str = "
    SELECT username, disable_time <> to_timestamp(0) AS banned FROM users WHERE id = $1";

/// The host functions.
pub mod nk {
    use schemars::JsonSchema;
    use serde::Deserialize;

    use super::*;
    use crate::host::{HostFn, Origin, Returns};

    const TOKEN_INVALID: Status =
        Status::new(Code::InvalidArgument, "failed to logout: session token invalid");
    const REFRESH_INVALID: Status =
        Status::new(Code::InvalidArgument, "failed to logout: refresh token invalid");

    /// `nk.session_logout(user_id, token, refresh_token)`: ends the sessions of the tokens given,
    /// or all of the user's if none is, with their sockets.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct SessionLogout {
        user_id: Uuid,
        #[serde(default)]
        token: String,
        #[serde(default)]
        refresh_token: String,
    }

    impl HostFn for SessionLogout {
        const NAME: &'static str = "session_logout";
        const RETURNS: Returns = Returns::Nothing;
        type Output = ();
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
            let Self { user_id, token, refresh_token } = self;
            match end(cx, user_id, &token, &refresh_token).await {
                Ok(()) => Ok(()),
                Err(RevokeError::Invalid(Invalid::Session)) => Err(TOKEN_INVALID.into()),
                Err(RevokeError::Invalid(Invalid::Refresh)) => Err(REFRESH_INVALID.into()),
                Err(RevokeError::Database(error)) => Err(error).or_fault("failed to logout"),
            }
        }
    }
}
