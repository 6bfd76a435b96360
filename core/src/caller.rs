//! Who makes a call, as hooks, functions and slices see it.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use uuid::Uuid;

/// The session variables of a token: text by name, in the order of names.
pub type Vars = BTreeMap<String, String>;

/// Who makes a call. Made by the edge from keys and tokens; a sign-in fills in the user.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The user, once known. Endpoints behind a session token always know it.
    pub user: Option<User>,
    /// The client's address, where known.
    pub client_ip: Option<IpAddr>,
    /// The client's port; 0 where unknown.
    pub client_port: u16,
    /// The identity of this call in logs and hooks.
    pub trace_id: TraceId,
}

/// The identity of a call in logs and hooks; shown as 32 hexadecimal digits, nothing where unset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceId(pub u128);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            id => write!(f, "{id:032x}"),
        }
    }
}

/// The user of a session.
#[derive(Clone, Debug)]
pub struct User {
    /// The account's id.
    pub id: Uuid,
    /// The account's name when the token was made.
    pub username: String,
    /// The session variables.
    pub vars: Vars,
    /// When the session token ends, Unix seconds.
    pub expires_s: i64,
    /// The token's `tid`: shared by a session token and its refresh token.
    pub token_id: String,
    /// When the user signed in, Unix seconds; 0 where the token is silent.
    pub issued_s: i64,
}

impl Caller {
    /// The caller's user id, or the nil id (the system user) where no user is known.
    pub fn user_id(&self) -> Uuid {
        self.user.as_ref().map_or(Uuid::nil(), |user| user.id)
    }
}
