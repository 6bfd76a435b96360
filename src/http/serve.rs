//! The workers of the client port: what [`Edge`] answers, on listeners, with or without TLS.
//!
//! The server is put together of the parts that actix-web's own is made of, since that one cannot
//! give a connection away: a WebSocket takes its connection out of HTTP.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_codec::Framed;
use actix_http::body::{BodySize, BoxBody};
use actix_http::h1::{self, Message};
use actix_http::header::CONTENT_LENGTH;
use actix_http::{
    ConnectionType, HttpMessage as _, HttpService, KeepAlive, Method, Request, Response,
    StatusCode, body,
};
use actix_service::{Service, ServiceFactory, fn_factory, fn_service, map_config};
use actix_web::dev::{AppConfig, RequestHead, Server, ServiceResponse};
use actix_web::web::{self, Payload};
use actix_web::{App, HttpRequest};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_util::codec::Encoder as _;

use super::{Answer, Edge, MAX_HEAD_BYTES, Worker, head_bytes, query};
use crate::socket::handshake::{self, Accepted};

/// How long a connection may take to end once both sides are done.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Starts the workers of `edge`; see [`Edge::serve`].
pub(super) fn serve(edge: Edge, listeners: Vec<TcpListener>) -> io::Result<Server> {
    let socket = &edge.cx.config.socket;
    let tls = match socket.ssl_certificate.as_str() {
        "" => None,
        certificate => Some(tls(certificate, &socket.ssl_private_key)?),
    };
    let edge = Arc::new(edge);
    let mut builder =
        Server::build().shutdown_timeout(edge.cx.config.shutdown_grace_sec).disable_signals();
    for listener in listeners {
        let (edge, stopping) = (Arc::clone(&edge), builder.graceful_shutdown_signal());
        // The closures are called once for each worker, on its thread.
        macro_rules! service {
            () => {{
                let (worker, stopping) =
                    (Rc::new(Worker::start(Arc::clone(&edge))), stopping.clone());
                let socket = &edge.cx.config.socket;
                HttpService::build()
                    .keep_alive(KeepAlive::Timeout(Duration::from_millis(socket.idle_timeout_ms)))
                    .client_request_timeout(Duration::from_millis(socket.read_timeout_ms))
                    .client_disconnect_timeout(DISCONNECT_TIMEOUT)
                    .tcp_nodelay(true)
                    .graceful_shutdown_signal(move || {
                        let stopping = stopping.clone();
                        async move { stopping.notified().await }
                    })
                    .upgrade(upgrades(Rc::clone(&worker)))
                    .finish(requests(worker))
            }};
        }
        builder = match tls.clone() {
            None => builder.listen("client port", listener, move || service!().tcp()),
            Some(tls) => {
                builder.listen("client port", listener, move || service!().rustls_0_23(tls.clone()))
            }
        }?;
    }
    Ok(builder.run())
}

/// Answers requests.
fn requests(
    worker: Rc<Worker>,
) -> impl ServiceFactory<
    Request,
    Config = (),
    Response = ServiceResponse,
    Error = actix_web::Error,
    InitError = (),
    Service: Service<Request, Future: 'static>,
    Future: 'static,
> {
    let app = App::new().default_service(web::to(move |request: HttpRequest, payload: Payload| {
        let worker = Rc::clone(&worker);
        async move { worker.respond(request, payload).await }
    }));
    map_config(app, |()| AppConfig::default())
}

/// Takes over the connections of requests that want to go on with another protocol.
fn upgrades<Io: AsyncRead + AsyncWrite + Unpin + 'static>(
    worker: Rc<Worker>,
) -> impl ServiceFactory<
    (Request, Framed<Io, h1::Codec>),
    Config = (),
    Response = (),
    Error = Infallible,
    InitError = (),
    Future: 'static,
> {
    fn_factory(move || {
        let worker = Rc::clone(&worker);
        async move {
            let requests = Rc::new(requests(Rc::clone(&worker)).new_service(()).await?);
            Ok(fn_service(move |(request, connection)| {
                let (worker, requests) = (Rc::clone(&worker), Rc::clone(&requests));
                async move {
                    upgrade(&worker, &*requests, request, connection).await;
                    Ok(())
                }
            }))
        }
    })
}

/// Goes on with the protocol that a request wants, or answers the request and ends the connection.
async fn upgrade<Io: AsyncRead + AsyncWrite + Unpin + 'static>(
    worker: &Worker,
    requests: &impl Service<Request, Response = ServiceResponse, Error = actix_web::Error>,
    request: Request,
    connection: Framed<Io, h1::Codec>,
) {
    if let Some(accepted) = socket(&worker.edge, request.head()) {
        let caller = worker.edge.caller(request.head());
        drop(request);
        accepted.begin(&worker.edge.cx, &worker.edge.connections, caller, connection);
        return;
    }
    let length = request.headers().get(CONTENT_LENGTH);
    let response = if length.is_some_and(|length| length != "0") {
        // Its body was not read, and it must not be taken for one without.
        Answer::refusal(StatusCode::BAD_REQUEST).into_response().into()
    } else {
        match requests.call(request).await {
            Ok(response) => response.into(),
            Err(error) => error.into(),
        }
    };
    let limit = Duration::from_millis(worker.edge.cx.config.socket.write_timeout_ms);
    match timeout(limit, last(connection, response)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "answer not sent"),
        Err(_) => tracing::debug!("answer not taken in time"),
    }
}

/// The socket that a request gets, where it asks for one and may have it.
fn socket(edge: &Edge, request: &RequestHead) -> Option<Accepted> {
    let path = query::unescape(request.uri.path(), false).ok()?;
    let asks = request.method == Method::GET && &path[..] == handshake::PATH.as_bytes();
    let may = asks && head_bytes(request) <= MAX_HEAD_BYTES;
    if may { edge.socket(request).ok() } else { None }
}

/// Sends the last response of a connection, and ends it.
async fn last<Io: AsyncWrite + Unpin>(
    connection: Framed<Io, h1::Codec>,
    response: Response<BoxBody>,
) -> io::Result<()> {
    let mut parts = connection.into_parts();
    let (mut head, body) = response.into_parts();
    head.head_mut().set_connection_type(ConnectionType::Close);
    let body = body::to_bytes(body).await.map_err(|error| io::Error::other(error.to_string()))?;
    let mut codec = parts.codec;
    codec
        .encode(Message::Item((head, BodySize::Sized(body.len() as u64))), &mut parts.write_buf)?;
    codec.encode(Message::Chunk(Some(body)), &mut parts.write_buf)?;
    codec.encode(Message::Chunk(None), &mut parts.write_buf)?;
    parts.io.write_all(&parts.write_buf).await?;
    parts.io.shutdown().await
}

/// TLS by the certificate chain and the private key in these files.
pub(super) fn tls(certificate: &str, key: &str) -> io::Result<ServerConfig> {
    let unusable =
        |file: &str, error: &dyn fmt::Display| io::Error::other(format!("{file}: {error}"));
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate)
        .map_err(|error| unusable(certificate, &error))?
        .collect();
    let chain = chain.map_err(|error| unusable(certificate, &error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(certificate, &error))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| unusable(certificate, &error))
}
