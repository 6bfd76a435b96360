//! The edge as a client meets it, over endpoints of the tests' own.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use actix_web::FromRequest;
use actix_web::body::to_bytes;
use actix_web::http::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_ORIGIN, AUTHORIZATION, CONTENT_TYPE, ORIGIN,
    WWW_AUTHENTICATE,
};
use actix_web::test::TestRequest;
use guildhall_actors::endpoint::{Body, EndpointVisitor as _};
use guildhall_actors::endpoints;
use guildhall_core::session::Claims;
use guildhall_core::{Config, Fault, Result as CoreResult};
use guildhall_proto::{Empty, api};
use tokio::runtime::Handle;
use uuid::Uuid;

use super::*;

endpoints! {
    /// Answers anybody.
    Get "/open" => Open(Empty) -> Empty { auth: None, body: Body::None, handle: open, input: false }
    /// Gives back what the path holds.
    Get "/product/{product_id}" => Product(api::GetSubscriptionRequest) -> api::GetSubscriptionRequest
        { auth: None, body: Body::None, handle: product }
    /// Gives back what it was sent, under the server key; some names fail.
    Post "/sign_in" | Put "/sign_in" => SignIn(api::AuthenticateCustomRequest) -> api::AuthenticateCustomRequest
        { auth: ServerKey, body: Body::Field("account"), handle: sign_in }
    /// Gives back who asks.
    Put "/group/{group_id}" => Group(api::UpdateGroupRequest) -> api::User
        { auth: Session, body: Body::Whole, handle: group }
}

async fn open(_: &Cx, _: &mut Caller, _: Empty) -> CoreResult<Empty> {
    Ok(Empty {})
}

async fn product(
    _: &Cx,
    _: &mut Caller,
    request: api::GetSubscriptionRequest,
) -> CoreResult<api::GetSubscriptionRequest> {
    Ok(request)
}

async fn sign_in(
    _: &Cx,
    caller: &mut Caller,
    request: api::AuthenticateCustomRequest,
) -> CoreResult<api::AuthenticateCustomRequest> {
    assert_eq!((caller.client_port, caller.client_ip), (0, Some([198, 51, 100, 1].into())));
    match request.username.as_str() {
        "panic" => panic!("secret"),
        "fault" => Err(Fault::new("Something went wrong.", "secret").into()),
        _ => Ok(request),
    }
}

async fn group(
    _: &Cx,
    caller: &mut Caller,
    request: api::UpdateGroupRequest,
) -> CoreResult<api::User> {
    let user = caller.user.take().unwrap();
    Ok(api::User { id: request.group_id, username: user.username, ..Default::default() })
}

/// A worker under the default configuration, but for a small limit on bodies and a header of its own.
fn worker() -> Worker {
    let mut config = Config::default();
    config.socket.max_request_size_bytes = 100;
    config.socket.response_headers = ["x-own=1", "cache-control=mine"].into_iter().collect();
    let cx = Arc::new(Cx::without_database(Arc::new(config), Handle::current()).unwrap());
    let mut mounts = Mounts::new(Arc::clone(&cx.metrics));
    mounts.visit::<Open>();
    mounts.visit::<Product>();
    mounts.visit::<SignIn>();
    mounts.visit::<Group>();
    Worker::start(Arc::new(Edge::over(mounts, cx, Connections::default()).unwrap()))
}

async fn respond(request: TestRequest) -> HttpResponse {
    let peer = "127.0.0.1:5000".parse().unwrap();
    let request = request.peer_addr(peer).insert_header(("x-forwarded-for", "198.51.100.1"));
    let (request, mut payload) = request.to_http_parts();
    let payload = Payload::from_request(&request, &mut payload).await.unwrap();
    worker().respond(request, payload).await
}

/// Checks status, content type and body.
#[track_caller]
fn check(
    request: TestRequest,
    status: u16,
    content_type: &str,
    body: &str,
) -> impl Future<Output = HttpResponse> {
    let at = std::panic::Location::caller();
    let (content_type, expected) = (content_type.to_owned(), body.to_owned());
    async move {
        let (response, body) = respond(request).await.into_parts();
        let shown = header_of(&response, CONTENT_TYPE);
        let body = to_bytes(body).await.unwrap_or_default();
        let found = (response.status().as_u16(), shown, String::from_utf8_lossy(&body));
        assert_eq!(found, (status, content_type, expected.into()), "{at}");
        response.set_body(actix_web::body::BoxBody::new(()))
    }
}

fn header_of<B>(response: &HttpResponse<B>, name: HeaderName) -> String {
    let value = response.headers().get(name).map(|value| value.to_str().unwrap());
    value.unwrap_or_default().to_owned()
}

fn uri(method: Method, uri: &str) -> TestRequest {
    TestRequest::with_uri(uri).method(method)
}

const JSON: &str = "application/json";
/// Basic authorization by `defaultkey`.
const KEY: (HeaderName, &str) = (AUTHORIZATION, "Basic ZGVmYXVsdGtleTo=");

#[actix_web::test]
async fn an_endpoint_is_found_and_answers() {
    let response = check(uri(Method::GET, "/open"), 200, JSON, "{}").await;
    assert_eq!(header_of(&response, VARY), "Accept-Encoding");
    assert_eq!(header_of(&response, CACHE_CONTROL), "no-store, no-cache, must-revalidate");
    assert_eq!(header_of(&response, "x-own".parse().unwrap()), "1");
    check(uri(Method::GET, "/%6fpen?x=%zz"), 200, JSON, "{}").await;
    check(uri(Method::GET, "/product/a%20b:c+d"), 200, JSON, r#"{"product_id":"a b:c+d"}"#).await;
}

#[actix_web::test]
async fn other_paths_and_methods_are_told_apart() {
    const NOT_FOUND: &str = r#"{"code":5,"message":"Not Found"}"#;
    const NOT_ALLOWED: &str = r#"{"code":12,"message":"Method Not Allowed"}"#;
    check(uri(Method::GET, "/none"), 404, JSON, NOT_FOUND).await;
    check(uri(Method::GET, "/open/"), 404, JSON, NOT_FOUND).await;
    check(uri(Method::GET, "/product/a%2Fb"), 404, JSON, NOT_FOUND).await;
    check(uri(Method::POST, "/"), 404, JSON, NOT_FOUND).await;
    check(uri(Method::POST, "/open"), 501, JSON, NOT_ALLOWED).await;
    check(uri(Method::HEAD, "/open"), 501, JSON, NOT_ALLOWED).await;
    check(uri(Method::PATCH, "/sign_in"), 501, JSON, NOT_ALLOWED).await;
    check(uri(Method::PUT, "/v2/rpc/any"), 501, JSON, NOT_ALLOWED).await;
}

#[actix_web::test]
async fn unclean_paths_are_moved_and_malformed_ones_refused() {
    for path in ["//open", "/./open", "/x/../open", "/%2Fopen"] {
        let response = check(uri(Method::GET, &format!("{path}?a=%20")), 301, "", "").await;
        assert_eq!(header_of(&response, LOCATION), "/open?a=%20", "{path}");
        assert_eq!(header_of(&response, VARY), "");
    }
    check(uri(Method::GET, "/%zz"), 400, "text/plain; charset=utf-8", "400 Bad Request").await;
    check(uri(Method::GET, "/"), 200, "", "").await;
}

#[actix_web::test]
async fn a_request_is_bound_and_authenticated() {
    let body = r#"{"account":{"id":"me"},"create":true,"username":"a"}"#;
    let request =
        || uri(Method::POST, "/sign_in?create=t&username=a").set_payload(r#"{"id":"me"}"#);
    check(request().insert_header(KEY), 200, JSON, body).await;
    let response =
        check(request(), 401, JSON, r#"{"code":16,"message":"Server key required"}"#).await;
    assert_eq!(header_of(&response, WWW_AUTHENTICATE), "Server key required");
    // What cannot be read is told before who may not ask.
    let unread = respond(uri(Method::POST, "/sign_in").set_payload("null")).await;
    assert_eq!(unread.status(), StatusCode::BAD_REQUEST);
}

#[actix_web::test]
async fn a_session_token_shows_the_user() {
    let claims = Claims {
        token_id: "t".into(),
        user_id: Uuid::from_u128(7),
        username: "ann".into(),
        vars: BTreeMap::new(),
        expires_s: 0,
        issued_s: i64::from(i32::MAX),
    };
    let token = worker().edge.cx.sessions.renew(claims).0.token;
    let request = || uri(Method::PUT, "/group/g").set_payload("{}");
    let bearer = (AUTHORIZATION, format!("Bearer {token}"));
    check(request().insert_header(bearer), 200, JSON, r#"{"id":"g","username":"ann"}"#).await;
    check(request(), 401, JSON, r#"{"code":16,"message":"Auth token required"}"#).await;
}

#[actix_web::test]
async fn of_a_fault_the_client_sees_the_public_sentence() {
    let request = uri(Method::PUT, "/sign_in?username=fault").insert_header(KEY);
    check(request, 500, JSON, r#"{"code":13,"message":"Something went wrong."}"#).await;
}

#[actix_web::test]
async fn a_panic_fails_one_call_alone() {
    let worker = worker();
    for (username, status) in [("panic", 500), ("ann", 200)] {
        let request = uri(Method::PUT, &format!("/sign_in?username={username}")).insert_header(KEY);
        let request = request.insert_header(("x-forwarded-for", "198.51.100.1"));
        let (request, mut payload) =
            request.peer_addr("10.0.0.1:1".parse().unwrap()).to_http_parts();
        let payload = Payload::from_request(&request, &mut payload).await.unwrap();
        assert_eq!(worker.respond(request, payload).await.status().as_u16(), status);
    }
}

#[actix_web::test]
async fn bodies_have_a_limit_where_they_are_read() {
    const TOO_LARGE: &str = r#"{"code":3,"message":"http: request body too large"}"#;
    let large = format!("{{\"id\":\"{}\"}}", "x".repeat(100));
    let request = uri(Method::POST, "/sign_in").insert_header(KEY).set_payload(large.clone());
    check(request, 400, JSON, TOO_LARGE).await;
    check(uri(Method::GET, "/open").set_payload(large.clone()), 200, JSON, "{}").await;
    let folded = Encoding::Gzip.compress(large.as_bytes()).unwrap();
    let request = uri(Method::POST, "/sign_in").insert_header(KEY).set_payload(folded);
    let response = respond(request.insert_header((CONTENT_ENCODING, "gzip"))).await;
    assert_eq!(response.status(), StatusCode::OK);
}

#[actix_web::test]
async fn heads_have_a_limit() {
    let request = uri(Method::GET, "/open").insert_header(("x-long", "x".repeat(MAX_HEAD_BYTES)));
    let text = "431 Request Header Fields Too Large";
    check(request, 431, "text/plain; charset=utf-8", text).await;
}

#[actix_web::test]
async fn answers_are_compressed_for_who_takes_it() {
    let response =
        respond(uri(Method::GET, "/none").insert_header((ACCEPT_ENCODING, "br, gzip"))).await;
    assert_eq!(header_of(&response, CONTENT_ENCODING), "gzip");
    assert!(to_bytes(response.into_body()).await.unwrap_or_default().starts_with(&[0x1f, 0x8b]));
    let response =
        respond(uri(Method::GET, "/open").insert_header((ACCEPT_ENCODING, "gzip;q=0"))).await;
    assert_eq!(header_of(&response, CONTENT_ENCODING), "");
}

#[actix_web::test]
async fn pages_of_any_origin_may_read_answers() {
    let response =
        respond(uri(Method::GET, "/none").insert_header((ORIGIN, "http://game.example"))).await;
    assert_eq!(header_of(&response, ACCESS_CONTROL_ALLOW_ORIGIN), "*");
    let response = respond(uri(Method::GET, "/none")).await;
    assert_eq!(header_of(&response, ACCESS_CONTROL_ALLOW_ORIGIN), "");
    check(uri(Method::OPTIONS, "/none"), 200, "", "").await;
}

#[actix_web::test]
async fn rpcs_ask_for_a_key_then_an_id_then_a_function() {
    let refused =
        |code: u32, text: &str| format!(r#"{{"code":{code},"error":"{text}","message":"{text}"}}"#);
    let key = "?http_key=defaulthttpkey";
    check(
        uri(Method::POST, "/v2/rpc/x"),
        401,
        JSON,
        &refused(16, "Auth token or HTTP key required"),
    )
    .await;
    check(uri(Method::GET, "/v2/rpc/x?http_key=no"), 401, JSON, &refused(16, "HTTP key invalid"))
        .await;
    check(
        uri(Method::GET, &format!("/v2/rpc/{key}")),
        400,
        JSON,
        &refused(3, "RPC ID must be set"),
    )
    .await;
    check(
        uri(Method::POST, &format!("/v2/rpc/x{key}")),
        404,
        JSON,
        &refused(5, "RPC function not found"),
    )
    .await;
}

#[test]
fn a_header_that_is_none_is_named() {
    assert_eq!(header("a b=1").unwrap_err(), "socket.response_headers: \"a b=1\" is not a header");
    assert!(header("none").is_err());
    assert!(header("x-a=b=c").is_ok_and(|(name, value)| name == "x-a" && value == "b=c"));
}

/// The server on a free port, as long as the handle lives.
async fn listening(
    change: impl FnOnce(&mut Config),
) -> (std::net::SocketAddr, actix_web::dev::ServerHandle) {
    let mut config = Config::default();
    change(&mut config);
    let cx = Arc::new(Cx::without_database(Arc::new(config), Handle::current()).unwrap());
    let mut mounts = Mounts::new(Arc::clone(&cx.metrics));
    mounts.visit::<Open>();
    mounts.visit::<SignIn>();
    let edge = Edge::over(mounts, cx, Connections::default()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = edge.serve(vec![listener]).unwrap();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    (address, handle)
}

/// Sends each of `texts` once the one before it was answered, and reads until the server closes.
async fn talk(address: std::net::SocketAddr, texts: &[&str]) -> Vec<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut answers = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        loop {
            let mut buffer = [0; 1024];
            let count = stream.read(&mut buffer).await.unwrap_or(0);
            answer.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
            // All but the last answer are small objects.
            if count == 0 || index + 1 < texts.len() && answer.ends_with('}') {
                break;
            }
        }
        answers.push(answer);
    }
    answers
}

#[actix_web::test]
async fn one_connection_serves_many_requests() {
    let (address, server) = listening(|_| {}).await;
    let texts = [
        "GET /open HTTP/1.1\r\nHost: h\r\n\r\n",
        // A body that the endpoint does not read.
        "GET /open HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabcde",
        "HEAD /open HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    ];
    let answers = talk(address, &texts).await;
    for answer in &answers[..2] {
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n{}"),
            "{answer}"
        );
    }
    let head = &answers[2];
    assert!(head.starts_with("HTTP/1.1 501 ") && head.ends_with("\r\n\r\n"), "{head}");
    server.stop(false).await;
}

#[actix_web::test]
async fn a_large_body_is_taken_before_it_is_refused() {
    let (address, server) = listening(|_| {}).await;
    let body = "x".repeat(900_000);
    for path in ["/sign_in", "/none", "/v2/rpc/x"] {
        let text =
            format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n\r\n{body}");
        let next = "GET /open HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
        let answers = talk(address, &[&text, next]).await;
        assert!(answers[0].starts_with("HTTP/1.1 4"), "{answers:?}");
        assert!(answers[1].starts_with("HTTP/1.1 200 "), "{answers:?}");
    }
    server.stop(false).await;
}

#[actix_web::test]
async fn a_body_that_does_not_come_is_given_up() {
    let (address, server) = listening(|config| config.socket.read_timeout_ms = 50).await;
    let text = "POST /sign_in HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabc";
    let answer = talk(address, &[text]).await.remove(0);
    assert!(answer.contains("timeout while reading the request body"), "{answer}");
    let answer = talk(address, &["GET /open HTTP/1.1\r\nHost: h"]).await.remove(0);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    server.stop(false).await;
}

#[actix_web::test]
async fn a_request_that_would_upgrade_what_is_no_socket_is_served_and_ends_its_connection() {
    let (address, server) = listening(|_| {}).await;
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    let first = "GET /open HTTP/1.1\r\nHost: h\r\n\r\n";
    for (line, body, status) in [
        ("GET /open", "", "200 OK"),
        ("GET /none", "", "404 Not Found"),
        ("GET /ws", "", "401 Unauthorized"),
        ("POST /ws", "", "404 Not Found"),
        // A body would be taken for what comes after the upgrade.
        ("POST /sign_in", "Content-Length: 2\r\n", "400 Bad Request"),
    ] {
        let text = format!("{line} HTTP/1.1\r\nHost: h\r\n{upgrade}{body}\r\n");
        let answers = talk(address, &[first, &text]).await;
        assert!(answers[0].starts_with("HTTP/1.1 200 OK\r\n"), "{answers:?}");
        assert!(answers[1].starts_with(&format!("HTTP/1.1 {status}\r\n")), "{line} {answers:?}");
        assert!(answers[1].contains("connection: close\r\n"), "{answers:?}");
    }
    server.stop(false).await;
}

#[actix_web::test]
async fn idle_connections_do_not_delay_the_stop() {
    let (address, server) = listening(|config| config.shutdown_grace_sec = 60).await;
    let first = ["GET /open HTTP/1.1\r\nHost: h\r\n\r\n", ""];
    let idle = actix_web::rt::spawn(async move { talk(address, &first).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!idle.is_finished());
    let stopped = tokio::time::timeout(Duration::from_secs(20), server.stop(true));
    assert!(stopped.await.is_ok(), "the stop waits for an idle connection");
    assert!(idle.await.unwrap()[0].starts_with("HTTP/1.1 200 OK\r\n"));
}

#[actix_web::test]
async fn with_a_certificate_requests_and_sockets_go_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (certificate, key) =
        (file("c.pem", made.cert.pem()), file("k.pem", made.signing_key.serialize_pem()));
    let (address, server) = listening(|config| {
        config.socket.ssl_certificate = certificate;
        config.socket.ssl_private_key = key;
    })
    .await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let claims = Claims {
        token_id: "t".into(),
        user_id: Uuid::from_u128(7),
        username: "ann".into(),
        vars: BTreeMap::new(),
        expires_s: 0,
        issued_s: i64::from(i32::MAX),
    };
    let token = worker().edge.cx.sessions.renew(claims).0.token;
    let asked = tokio::task::spawn_blocking(move || {
        use std::io::{Read, Write};

        let config = rustls::ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::ring::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
        let config = Arc::new(config);
        let connect = || {
            let name = "localhost".try_into().unwrap();
            let connection = rustls::ClientConnection::new(Arc::clone(&config), name).unwrap();
            rustls::StreamOwned::new(connection, std::net::TcpStream::connect(address).unwrap())
        };
        let mut stream = connect();
        stream.write_all(b"GET /open HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        // The end of the connection may come without TLS's own.
        let _ = stream.read_to_string(&mut answer);

        let uri = format!("wss://localhost:{}/ws?token={token}", address.port());
        let (mut socket, _) = tungstenite::client(uri, connect()).unwrap();
        let mut echoes = Vec::new();
        for cid in ["a", "b"] {
            let ping = format!(r#"{{"cid":"{cid}","ping":{{}}}}"#);
            socket.send(tungstenite::Message::text(ping)).unwrap();
            echoes.push(socket.read().unwrap().into_text().unwrap().to_string());
        }
        socket.close(None).unwrap();
        while socket.read().is_ok() {}
        (answer, echoes)
    });
    let (answer, echoes) = asked.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("{}"), "{answer}");
    assert_eq!(echoes, [r#"{"cid":"a","pong":{}}"#, r#"{"cid":"b","pong":{}}"#]);
    server.stop(false).await;
}

#[test]
fn a_certificate_that_cannot_be_used_is_named() {
    let missing = serve::tls("/nonexistent/c.pem", "/nonexistent/k.pem").unwrap_err().to_string();
    assert!(missing.starts_with("/nonexistent/c.pem: "), "{missing}");
}
