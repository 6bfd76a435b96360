//! The request that asks for a WebSocket: who may have one, and of which kind.

use std::sync::Arc;

use actix_codec::Framed;
use actix_http::h1;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    AUTHORIZATION, CONNECTION, HeaderMap, HeaderName, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use actix_web::rt;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use guildhall_actors::cx::Cx;
use guildhall_actors::realtime::session::{Format, Session};
use guildhall_core::Caller;
use guildhall_core::caller::User;
use guildhall_core::session::Claims;
use tokio::io::{AsyncRead, AsyncWrite};
use tungstenite::handshake::derive_accept_key;

use super::Connections;
use super::connection::Connection;
use super::live::Live;
use crate::http::{Answer, query};

/// Where clients ask for WebSockets.
pub(crate) const PATH: &str = "/ws";

const INVALID_FORMAT: &str = "Invalid format parameter\n";
const INVALID_TOKEN: &str = "Missing or invalid token\n";

/// The version of the protocol.
const VERSION: &str = "13";

/// A request that may have its WebSocket.
#[derive(Debug)]
pub(crate) struct Accepted {
    user: User,
    format: Format,
    lang: String,
    /// Whether the user appears online with it.
    status: bool,
    /// What shows the client that the server understood.
    accept: String,
}

/// Looks at a request by GET. `session` says what a session token holds, if it is valid.
///
/// # Errors
/// The answer of a refusal, in the order and the words of the reference.
///
/// Source: Nakama, `NewSocketWsAcceptor`; gorilla/websocket, `Upgrader.Upgrade`.
pub(crate) fn examine(
    headers: &HeaderMap,
    query: &str,
    session: impl Fn(&str) -> Option<Claims>,
) -> Result<Accepted, Answer> {
    let parameter = |wanted: &str| {
        let mut pairs = query::pairs(query).flatten();
        let (_, value) = pairs.find(|(name, _)| **name == *wanted.as_bytes())?;
        Some(String::from_utf8_lossy(&value).into_owned()).filter(|value| !value.is_empty())
    };
    let format = match parameter("format").as_deref() {
        None | Some("json") => Format::Json,
        Some("protobuf") => Format::Protobuf,
        Some(_) => return Err(Answer::plain(StatusCode::BAD_REQUEST, INVALID_FORMAT)),
    };
    let token = match headers.get(AUTHORIZATION) {
        Some(given) => {
            given.to_str().ok().and_then(|given| given.strip_prefix("Bearer ")).map(str::to_owned)
        }
        None => parameter("token"),
    };
    let user = match token.and_then(|token| session(&token)) {
        Some(claims) => User::from(claims),
        None => return Err(Answer::plain(StatusCode::UNAUTHORIZED, INVALID_TOKEN)),
    };
    let accept = accept(headers).ok_or_else(bad_request)?;
    let lang = parameter("lang").unwrap_or_else(|| "en".to_owned());
    let status = parameter("status").is_some_and(|status| is_true(&status));
    Ok(Accepted { user, format, lang, status, accept })
}

/// The answer to a request that does not ask for a WebSocket as it should.
pub(crate) fn bad_request() -> Answer {
    let mut answer = Answer::plain(StatusCode::BAD_REQUEST, "Bad Request\n");
    answer.header(SEC_WEBSOCKET_VERSION, VERSION.into());
    answer
}

/// The proof that the server understood, for headers that ask for a WebSocket.
fn accept(headers: &HeaderMap) -> Option<String> {
    let wanted = names(headers, CONNECTION, "upgrade")
        && names(headers, UPGRADE, "websocket")
        && names(headers, SEC_WEBSOCKET_VERSION, VERSION);
    let key = headers.get(SEC_WEBSOCKET_KEY)?.as_bytes();
    let valid = BASE64.decode(key).is_ok_and(|nonce| nonce.len() == 16);
    (wanted && valid).then(|| derive_accept_key(key))
}

/// Whether a header that lists words has this one among them.
fn names(headers: &HeaderMap, header: HeaderName, word: &str) -> bool {
    let texts = headers.get_all(header).filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).any(|given| given.trim().eq_ignore_ascii_case(word))
}

/// Whether a parameter says yes, as the reference's library reads it.
fn is_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

impl Accepted {
    /// Begins the session of `caller` on a connection that has left HTTP, on this thread. Nothing
    /// comes of it while the server stops.
    pub(crate) fn begin<Io: AsyncRead + AsyncWrite + Unpin + 'static>(
        self,
        cx: &Arc<Cx>,
        connections: &Connections,
        caller: Caller,
        connection: Framed<Io, h1::Codec>,
    ) {
        let Self { user, format, lang, status, accept } = self;
        if connections.0.is_closed() {
            return;
        }
        let mut parts = connection.into_parts();
        // Behind what is not yet written of earlier answers.
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        parts.write_buf.extend_from_slice(head.as_bytes());
        let caller = Caller { user: Some(user.clone()), ..caller };
        let queue = cx.config.socket.outgoing_queue_size;
        let session = Arc::new(Session::new(caller, user, format, lang, queue));
        let live = Live::begin(Arc::clone(cx), session, status, connections.0.token());
        let answer = parts.write_buf.freeze();
        rt::spawn(Connection::new(parts.io, live, &parts.read_buf, answer).run());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use actix_web::http::header::HeaderValue;
    use uuid::Uuid;

    use super::*;

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

    /// What a client of WebSockets sends, with changes.
    fn headers(changes: &[(HeaderName, &'static str)]) -> HeaderMap {
        let ordinary = [
            (CONNECTION, "Upgrade"),
            (UPGRADE, "websocket"),
            (SEC_WEBSOCKET_VERSION, "13"),
            (SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in ordinary.iter().chain(changes) {
            headers.insert(name.clone(), HeaderValue::from_static(value));
        }
        headers
    }

    fn accepted(query: &str) -> Accepted {
        examine(&headers(&[]), query, session).unwrap()
    }

    #[track_caller]
    fn refused(changes: &[(HeaderName, &'static str)], query: &str, status: u16) -> Answer {
        let answer = examine(&headers(changes), query, session).unwrap_err();
        assert_eq!(answer.status().as_u16(), status, "{query}");
        answer
    }

    #[test]
    fn the_query_says_what_the_session_is_like() {
        let plain = accepted("token=good");
        assert_eq!(plain.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!((plain.format, plain.lang.as_str(), plain.status), (Format::Json, "en", false));
        assert_eq!(plain.user.username, "ann");
        let full = accepted("format=protobuf&lang=de&status=true&token=good&format=json");
        assert_eq!((full.format, full.lang.as_str(), full.status), (Format::Protobuf, "de", true));
        let empty = accepted("format=&lang=&status=&%zz&token=%67ood");
        assert_eq!((empty.format, empty.lang.as_str(), empty.status), (Format::Json, "en", false));
        for (status, on) in [
            ("1", true),
            ("T", true),
            ("True", true),
            ("yes", false),
            ("0", false),
            ("tRUE", false),
        ] {
            assert_eq!(accepted(&format!("token=good&status={status}")).status, on, "{status}");
        }
    }

    #[test]
    fn a_header_comes_before_the_query_and_the_format_before_the_token() {
        let bearer = |token| [(AUTHORIZATION, token)];
        assert!(examine(&headers(&bearer("Bearer good")), "token=bad", session).is_ok());
        refused(&bearer("Bearer bad"), "token=good", 401);
        refused(&bearer("Basic good"), "token=good", 401);
        refused(&bearer("Bearer "), "token=good", 401);
        refused(&bearer("Bearer good"), "format=JSON", 400);
        refused(&[], "format=xml", 400);
        refused(&[], "", 401);
        refused(&[], "token=", 401);
    }

    #[test]
    fn headers_name_the_protocol_and_its_version() {
        let several = [(CONNECTION, "keep-alive, UPGRADE"), (UPGRADE, "h2c, WebSocket")];
        assert!(examine(&headers(&several), "token=good", session).is_ok());
        for change in [
            (CONNECTION, "keep-alive"),
            (UPGRADE, "h2c"),
            (SEC_WEBSOCKET_VERSION, "8"),
            (SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZQ=="),
            (SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ"),
        ] {
            let answer = refused(&[change], "token=good", 400);
            assert_eq!(answer.value(&SEC_WEBSOCKET_VERSION), Some("13"));
        }
    }
}
