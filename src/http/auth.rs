//! From keys, tokens and addresses to a [`Caller`](guildhall_core::Caller).

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, X_FORWARDED_FOR};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use guildhall_actors::endpoint::Auth;
use guildhall_core::caller::User;
use guildhall_core::session::Claims;
use guildhall_core::{Code, Status};
use subtle::ConstantTimeEq;

const SERVER_KEY_REQUIRED: Status = Status::new(Code::Unauthenticated, "Server key required");
const SERVER_KEY_INVALID: Status = Status::new(Code::Unauthenticated, "Server key invalid");
const TOKEN_REQUIRED: Status = Status::new(Code::Unauthenticated, "Auth token required");
const TOKEN_INVALID: Status = Status::new(Code::Unauthenticated, "Auth token invalid");
const HTTP_KEY_INVALID: Status = Status::new(Code::Unauthenticated, "HTTP key invalid");
const TOKEN_OR_KEY_REQUIRED: Status =
    Status::new(Code::Unauthenticated, "Auth token or HTTP key required");

/// Where gRPC clients put what `Authorization` holds.
static GRPC_AUTHORIZATION: HeaderName = HeaderName::from_static("grpc-metadata-authorization");

/// The keys of the client port.
pub(super) struct Keys {
    /// `socket.server_key`.
    pub(super) server: Box<[u8]>,
    /// `runtime.http_key`.
    pub(super) http: Box<[u8]>,
}

impl Keys {
    /// The user that a request to an endpoint shows to be, where `auth` asks for one. `session` says
    /// what a session token holds, if it is valid.
    ///
    /// # Errors
    /// Code 16, with the reference's sentences.
    pub(super) fn check(
        &self,
        auth: Auth,
        headers: &HeaderMap,
        session: impl Fn(&str) -> Option<Claims>,
    ) -> Result<Option<User>, Status> {
        match auth {
            Auth::None => Ok(None),
            Auth::ServerKey => {
                let Given::Once(given) = given(headers) else { return Err(SERVER_KEY_REQUIRED) };
                match basic_user(given) {
                    Some(user) if same(&user, &self.server) => Ok(None),
                    _ => Err(SERVER_KEY_INVALID),
                }
            }
            Auth::Session => match given(headers) {
                Given::Once(given) => bearer(given, session).map(Some),
                Given::Often => Err(TOKEN_INVALID),
                Given::Never => Err(TOKEN_REQUIRED),
            },
        }
    }

    /// The same for RPCs: the HTTP key in the query comes first, then the first `Authorization`
    /// header with the HTTP key or a token. A key shows no user.
    ///
    /// # Errors
    /// Code 16, with the reference's sentences.
    pub(super) fn check_rpc(
        &self,
        http_key: &[u8],
        headers: &HeaderMap,
        session: impl Fn(&str) -> Option<Claims>,
    ) -> Result<Option<User>, Status> {
        let by_key =
            |key: &[u8]| if same(key, &self.http) { Ok(None) } else { Err(HTTP_KEY_INVALID) };
        if !http_key.is_empty() {
            return by_key(http_key);
        }
        let given = headers.get(AUTHORIZATION).ok_or(TOKEN_OR_KEY_REQUIRED)?;
        match basic_user(given) {
            Some(key) => by_key(&key),
            None => bearer(given, session).map(Some),
        }
    }
}

/// How often a request names its authorization.
enum Given<'a> {
    Never,
    Once(&'a HeaderValue),
    Often,
}

fn given(headers: &HeaderMap) -> Given<'_> {
    let mut all = headers.get_all(AUTHORIZATION).chain(headers.get_all(&GRPC_AUTHORIZATION));
    match (all.next(), all.next()) {
        (None, _) => Given::Never,
        (Some(given), None) => Given::Once(given),
        (Some(_), Some(_)) => Given::Often,
    }
}

fn bearer(given: &HeaderValue, session: impl Fn(&str) -> Option<Claims>) -> Result<User, Status> {
    let token = given.to_str().ok().and_then(|given| given.strip_prefix("Bearer "));
    token.and_then(session).map(User::from).ok_or(TOKEN_INVALID)
}

/// The user name of `Basic` authorization, which holds a key; the password is not read.
fn basic_user(given: &HeaderValue) -> Option<Vec<u8>> {
    let mut user = BASE64.decode(given.as_bytes().strip_prefix(b"Basic ")?).ok()?;
    let end = user.iter().position(|byte| *byte == b':')?;
    user.truncate(end);
    Some(user)
}

/// Compares keys in a time that tells nothing but their lengths.
fn same(given: &[u8], key: &[u8]) -> bool {
    given.ct_eq(key).into()
}

/// The client's address, and its port where known.
///
/// `X-Forwarded-For` counts only from loopback and private peers (the reference believes everybody).
/// Of its addresses the one before `proxy_count` others counts, or the first there is; loopback
/// addresses are passed over where others are left.
///
/// Source: Nakama, `server/api.go`.
pub(super) fn client_address(
    peer: Option<SocketAddr>,
    headers: &HeaderMap,
    proxy_count: usize,
) -> Option<(IpAddr, u16)> {
    let forwarded = match (headers.get(X_FORWARDED_FOR), peer) {
        (Some(forwarded), Some(peer)) if is_near(peer.ip().to_canonical()) => {
            forwarded.to_str().ok()
        }
        _ => None,
    };
    let Some(forwarded) = forwarded.filter(|forwarded| !forwarded.is_empty()) else {
        return peer.map(|peer| (peer.ip().to_canonical(), peer.port()));
    };
    let mut found = None;
    let mut proxies = 0;
    let mut rest = Some(forwarded);
    while let Some(addresses) = rest {
        if found.is_some() {
            proxies += 1;
        }
        let (before, last) = match addresses.rsplit_once(',') {
            Some((before, last)) => (Some(before), last),
            None => (None, addresses),
        };
        rest = before;
        let Some((ip, port)) = address(last.trim()) else { continue };
        if rest.is_some() && ip.is_loopback() {
            continue;
        }
        found = Some((ip, port));
        if proxies >= proxy_count {
            break;
        }
    }
    found
}

/// Whether the peer may be a proxy of ours: it is on this machine or in a private network.
fn is_near(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local(),
    }
}

/// An address with or without a port; 0 where there is none.
fn address(text: &str) -> Option<(IpAddr, u16)> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some((ip.to_canonical(), 0));
    }
    let address = text.parse::<SocketAddr>().ok()?;
    Some((address.ip().to_canonical(), address.port()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use uuid::Uuid;

    use super::*;

    fn headers(given: &[(&HeaderName, &str)]) -> HeaderMap {
        given
            .iter()
            .map(|(name, value)| ((*name).clone(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn keys() -> Keys {
        Keys { server: b"defaultkey".as_slice().into(), http: b"defaulthttpkey".as_slice().into() }
    }

    /// Knows one token, "good".
    fn session(token: &str) -> Option<Claims> {
        (token == "good").then(|| Claims {
            token_id: "t".into(),
            user_id: Uuid::from_u128(7),
            username: "ann".into(),
            vars: Default::default(),
            expires_s: 1,
            issued_s: 0,
        })
    }

    #[track_caller]
    fn check(auth: Auth, given: &[(&HeaderName, &str)], expected: Result<Option<&str>, Status>) {
        let user = keys().check(auth, &headers(given), session);
        assert_eq!(
            user.as_ref().map(|user| user.as_ref().map(|user| user.username.as_str())),
            expected.as_ref().copied()
        );
    }

    #[test]
    fn the_server_key_is_the_user_of_basic_authorization() {
        let key = |text: &str| format!("Basic {}", BASE64.encode(text));
        check(Auth::ServerKey, &[(&AUTHORIZATION, &key("defaultkey:"))], Ok(None));
        check(Auth::ServerKey, &[(&AUTHORIZATION, &key("defaultkey:any:thing"))], Ok(None));
        check(Auth::ServerKey, &[(&GRPC_AUTHORIZATION, &key("defaultkey:"))], Ok(None));
        check(Auth::ServerKey, &[], Err(SERVER_KEY_REQUIRED));
        for wrong in [
            key("wrong:"),
            key("defaultkey"),
            key("defaultkeyx:"),
            key(""),
            "Basic !".into(),
            "Bearer good".into(),
            String::new(),
        ] {
            check(Auth::ServerKey, &[(&AUTHORIZATION, &wrong)], Err(SERVER_KEY_INVALID));
        }
    }

    #[test]
    fn a_session_token_shows_the_user() {
        check(Auth::Session, &[(&AUTHORIZATION, "Bearer good")], Ok(Some("ann")));
        check(Auth::Session, &[(&GRPC_AUTHORIZATION, "Bearer good")], Ok(Some("ann")));
        check(Auth::Session, &[], Err(TOKEN_REQUIRED));
        for wrong in ["", "good", "bearer good", "Bearer bad", "Bearer good "] {
            check(Auth::Session, &[(&AUTHORIZATION, wrong)], Err(TOKEN_INVALID));
        }
    }

    #[test]
    fn authorization_that_is_given_twice_does_not_count() {
        let twice = [(&AUTHORIZATION, "Bearer good"), (&GRPC_AUTHORIZATION, "Bearer good")];
        assert!(matches!(given(&headers(&twice)), Given::Often));
        check(Auth::Session, &twice, Err(TOKEN_INVALID));
        check(Auth::ServerKey, &twice, Err(SERVER_KEY_REQUIRED));
    }

    #[test]
    fn nothing_is_asked_of_who_asks_for_nothing() {
        check(Auth::None, &[(&AUTHORIZATION, "garbage")], Ok(None));
    }

    #[test]
    fn rpcs_take_the_http_key_before_a_token() {
        let check = |key: &str, given: &[(&HeaderName, &str)], expected: Result<bool, Status>| {
            let user = keys().check_rpc(key.as_bytes(), &headers(given), session);
            assert_eq!(user.map(|user| user.is_some()), expected);
        };
        let good = [(&AUTHORIZATION, "Bearer good")];
        check("defaulthttpkey", &good, Ok(false));
        check("wrong", &good, Err(HTTP_KEY_INVALID));
        check("", &good, Ok(true));
        check("", &[(&AUTHORIZATION, "garbage")], Err(TOKEN_INVALID));
        check("", &[], Err(TOKEN_OR_KEY_REQUIRED));
        check("", &[(&GRPC_AUTHORIZATION, "Bearer good")], Err(TOKEN_OR_KEY_REQUIRED));
        let basic = |key: &str| format!("Basic {}", BASE64.encode(key));
        check("", &[(&AUTHORIZATION, &basic("defaulthttpkey:"))], Ok(false));
        check("", &[(&AUTHORIZATION, &basic("defaultkey:"))], Err(HTTP_KEY_INVALID));
    }

    #[track_caller]
    fn from(peer: &str, forwarded: &str, proxy_count: usize, expected: &str) {
        let headers = headers(&[(&X_FORWARDED_FOR, forwarded)]);
        let found = client_address(Some(peer.parse().unwrap()), &headers, proxy_count);
        assert_eq!(found.map_or(String::new(), |(ip, port)| format!("{ip} {port}")), expected);
    }

    #[test]
    fn without_forwarding_the_peer_is_the_client() {
        let peer = Some("203.0.113.9:5000".parse().unwrap());
        assert_eq!(
            client_address(peer, &HeaderMap::new(), 1),
            Some(("203.0.113.9".parse().unwrap(), 5000))
        );
        let mapped = Some("[::ffff:127.0.0.1]:5000".parse().unwrap());
        assert_eq!(
            client_address(mapped, &HeaderMap::new(), 1),
            Some(("127.0.0.1".parse().unwrap(), 5000))
        );
        assert_eq!(client_address(None, &HeaderMap::new(), 1), None);
    }

    #[test]
    fn only_near_peers_may_forward() {
        from("203.0.113.9:5000", "198.51.100.1", 1, "203.0.113.9 5000");
        for near in [
            "127.0.0.1:1",
            "10.1.2.3:1",
            "192.168.0.9:1",
            "[::1]:1",
            "[fd00::1]:1",
            "[::ffff:172.16.0.1]:1",
        ] {
            from(near, "198.51.100.1", 1, "198.51.100.1 0");
        }
        from("127.0.0.1:1", "", 1, "127.0.0.1 1");
    }

    #[test]
    fn the_client_stands_before_its_proxies() {
        from("10.0.0.1:1", "198.51.100.1, 10.0.0.9", 1, "198.51.100.1 0");
        from("10.0.0.1:1", "192.0.2.7, 198.51.100.1, 10.0.0.9", 1, "198.51.100.1 0");
        from("10.0.0.1:1", "192.0.2.7, 198.51.100.1, 10.0.0.9", 2, "192.0.2.7 0");
        from("10.0.0.1:1", "192.0.2.7, 198.51.100.1", 0, "198.51.100.1 0");
        from("10.0.0.1:1", "198.51.100.1:99, nonsense,, 127.0.0.1", 1, "198.51.100.1 99");
        from("10.0.0.1:1", "[2001:db8::1]:80", 1, "2001:db8::1 80");
        from("10.0.0.1:1", "127.0.0.1", 1, "127.0.0.1 0");
        from("10.0.0.1:1", "unknown", 1, "");
    }
}
