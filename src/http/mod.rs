//! The edge of the client port: an actix-web application that finds an endpoint, serves it, and
//! gives its answer the headers that all answers share.
//!
//! No file here names an endpoint: they come from the table of `guildhall_actors`. There is one
//! handler for all requests, since plain checks in their order cost less than layers around it.

mod answer;
mod auth;
mod bind;
mod body;
mod cors;
mod mount;
mod path;
pub(crate) mod query;
mod rpc;
mod serve;

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr};
use actix_web::dev::{RequestHead, Server};
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue, LOCATION, VARY,
};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{Bytes, Payload};
use actix_web::{HttpRequest, HttpResponse};
use guildhall_actors::cx::Cx;
use guildhall_actors::endpoint::{Auth, Endpoint};
use guildhall_actors::registry::Target;
use guildhall_actors::store::Store;
use guildhall_actors::tables::each_endpoint;
use guildhall_core::caller::{TraceId, User};
use guildhall_core::{Caller, Error, Status};

pub(crate) use answer::Answer;
use answer::{METHOD_NOT_ALLOWED, NOT_FOUND};
use auth::Keys;
use body::Encoding;
use mount::{Incoming, Mounted, Mounts};
use path::{Found, Table};

use crate::socket::Connections;
use crate::socket::handshake::{self, Accepted};

/// Longest head of a request in bytes: the reference's 5120 and what its library adds.
const MAX_HEAD_BYTES: usize = 5120 + 4096;

/// Calls that may wait for a worker's store.
const STORE_MAILBOX: usize = 4096;

/// What all workers of the client port share.
pub struct Edge {
    keys: Keys,
    cx: Arc<Cx>,
    endpoints: Table<Box<dyn Mounted>>,
    proxy_count: usize,
    max_body_bytes: usize,
    read_timeout: Duration,
    response_headers: Vec<(HeaderName, HeaderValue)>,
    connections: Connections,
}

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge").finish_non_exhaustive()
    }
}

/// What one worker of the client port has.
struct Worker {
    edge: Arc<Edge>,
    store: Addr<Store>,
}

impl Edge {
    /// The edge of every endpoint, by the configuration `socket.*` and `runtime.http_key`. Sockets
    /// are among `connections`.
    ///
    /// # Errors
    /// What is wrong with `socket.response_headers`, or with the declaration of an endpoint.
    pub fn new(cx: Arc<Cx>, connections: Connections) -> Result<Self, String> {
        let mut mounts = Mounts::new(Arc::clone(&cx.metrics));
        each_endpoint(&mut mounts);
        Self::over(mounts, cx, connections)
    }

    fn over(mounts: Mounts, cx: Arc<Cx>, connections: Connections) -> Result<Self, String> {
        if !mounts.errors.is_empty() {
            return Err(mounts.errors.join("; "));
        }
        let (socket, runtime) = (&cx.config.socket, &cx.config.runtime);
        let headers: Result<_, String> =
            socket.response_headers.iter().map(|pair| header(pair)).collect();
        Ok(Self {
            keys: Keys {
                server: socket.server_key.reveal().as_bytes().into(),
                http: runtime.http_key.reveal().as_bytes().into(),
            },
            endpoints: mounts.table,
            proxy_count: socket.proxy_count,
            max_body_bytes: socket.max_request_size_bytes,
            read_timeout: Duration::from_millis(socket.read_timeout_ms),
            response_headers: headers?,
            connections,
            cx,
        })
    }

    /// Starts the workers on `listeners`, by `socket.*`; with TLS where a certificate is configured.
    /// The server stops when its handle is told to, not by signals.
    ///
    /// # Errors
    /// The certificate or its key cannot be used, or a listener cannot be taken over.
    pub fn serve(self, listeners: Vec<TcpListener>) -> io::Result<Server> {
        serve::serve(self, listeners)
    }

    /// Who calls, but for the user.
    fn caller(&self, request: &RequestHead) -> Caller {
        let address = auth::client_address(request.peer_addr, request.headers(), self.proxy_count);
        Caller {
            user: None,
            client_ip: address.map(|address| address.0),
            client_port: address.map_or(0, |address| address.1),
            trace_id: TraceId(rand::random()),
        }
    }

    fn user(&self, auth: Auth, request: &HttpRequest) -> Result<Option<User>, Status> {
        self.keys.check(auth, request.headers(), |token| self.cx.sessions.session(token))
    }

    fn rpc_user(&self, http_key: &[u8], request: &HttpRequest) -> Result<Option<User>, Status> {
        self.keys.check_rpc(http_key, request.headers(), |token| self.cx.sessions.session(token))
    }

    /// The socket that a request gets, or the answer of its refusal; for requests by GET.
    fn socket(&self, request: &RequestHead) -> Result<Accepted, Answer> {
        let query = request.uri.query().unwrap_or_default();
        let session = |token: &str| self.cx.sessions.session(token);
        handshake::examine(request.headers(), query, session)
    }

    /// The before and the after hook of `E`.
    fn hooks<E: Endpoint>(&self) -> (Option<Target>, Option<Target>) {
        if !E::HOOKS {
            return (None, None);
        }
        let routes = self.cx.routes.load();
        (routes.before(E::NAME).cloned(), routes.after(E::NAME).cloned())
    }

    async fn read_body(
        &self,
        request: &HttpRequest,
        payload: &mut Payload,
    ) -> Result<Bytes, Error> {
        body::read(request.headers(), payload, self.max_body_bytes, self.read_timeout).await
    }
}

/// `name=value` as a header.
fn header(pair: &str) -> Result<(HeaderName, HeaderValue), String> {
    let unusable = || format!("socket.response_headers: {pair:?} is not a header");
    let (name, value) = pair.split_once('=').ok_or_else(unusable)?;
    let name = name.parse().map_err(|_| unusable())?;
    Ok((name, HeaderValue::from_str(value).map_err(|_| unusable())?))
}

impl Worker {
    /// A worker on this thread, with its store.
    fn start(edge: Arc<Edge>) -> Self {
        let store = Store::new(Arc::clone(&edge.cx), STORE_MAILBOX).start();
        Self { edge, store }
    }

    async fn respond(&self, request: HttpRequest, mut payload: Payload) -> HttpResponse {
        let mut response = self.route(&request, &mut payload).await;
        body::discard(&mut payload).await;
        let headers = response.headers_mut();
        if request.method() != Method::OPTIONS && cors::has_origin(request.headers()) {
            cors::allow(headers);
        }
        for (name, value) in &self.edge.response_headers {
            if !headers.contains_key(name) {
                headers.insert(name.clone(), value.clone());
            }
        }
        response
    }

    async fn route(&self, request: &HttpRequest, payload: &mut Payload) -> HttpResponse {
        if head_bytes(request.head()) > MAX_HEAD_BYTES {
            return Answer::refusal(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE).into_response();
        }
        let Ok(path) = query::unescape(request.path(), false) else {
            return Answer::refusal(StatusCode::BAD_REQUEST).into_response();
        };
        if request.method() == Method::OPTIONS {
            return cors::preflight(request.headers()).into_response();
        }
        if let Some(clean) = path::cleaned(&path) {
            return moved(&clean, request.query_string()).into_response();
        }
        if &path[..] == b"/" && request.method() == Method::GET {
            return Answer::empty(StatusCode::OK).into_response();
        }
        if &path[..] == handshake::PATH.as_bytes() && request.method() == Method::GET {
            return match self.edge.socket(request.head()) {
                Err(answer) => answer.into_response(),
                // What came this way does not lead out of HTTP, whatever the request says.
                Ok(_) => handshake::bad_request().into_response(),
            };
        }
        let answer = self.answer(request, payload, &path).await;
        finish(answer, request.headers())
    }

    /// The answer of the API, found by the path, which is unescaped and clean.
    async fn answer(&self, request: &HttpRequest, payload: &mut Payload, path: &[u8]) -> Answer {
        let method = request.method();
        if let Some(id) = path.strip_prefix(b"/v2/rpc/") {
            return match *method {
                Method::GET | Method::POST => rpc::serve(self, request, payload, id).await,
                _ if id.contains(&b'/') => refusal(&NOT_FOUND),
                _ => refusal(&METHOD_NOT_ALLOWED),
            };
        }
        match self.edge.endpoints.find(method, path) {
            Found::Target(endpoint, params) => {
                let mut body = Bytes::new();
                if endpoint.reads_body() {
                    body = match self.edge.read_body(request, payload).await {
                        Ok(body) => body,
                        Err(error) => {
                            return answer::failure(&error, endpoint.name(), TraceId::default());
                        }
                    };
                }
                endpoint.serve(self, Incoming { request, params, body }).await
            }
            Found::OtherMethod => refusal(&METHOD_NOT_ALLOWED),
            Found::Nothing => refusal(&NOT_FOUND),
        }
    }
}

/// The answer to a request that leads to no endpoint.
fn refusal(status: &Status) -> Answer {
    answer::failure(&status.clone().into(), "", TraceId::default())
}

/// The size of the request line and the headers in bytes, about.
fn head_bytes(request: &RequestHead) -> usize {
    let line = request.uri.path_and_query().map_or(0, |line| line.as_str().len());
    request
        .headers()
        .iter()
        .fold(line, |sum, (name, value)| sum + name.as_str().len() + value.len() + 4)
}

fn moved(path: &[u8], query: &str) -> Answer {
    let mut location = path::escaped(path);
    if !query.is_empty() {
        location.push('?');
        location.push_str(query);
    }
    let mut answer = Answer::empty(StatusCode::MOVED_PERMANENTLY);
    answer.header(LOCATION, Cow::Owned(location));
    answer
}

/// Gives an answer of the API its headers, and compresses it where the client takes that.
fn finish(mut answer: Answer, request: &HeaderMap) -> HttpResponse {
    let encoding = Encoding::wanted(request).and_then(|encoding| {
        answer.body = encoding.compress(&answer.body)?;
        Some(encoding)
    });
    let mut response = answer.into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store, no-cache, must-revalidate"));
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if let Some(encoding) = encoding {
        headers.insert(CONTENT_ENCODING, encoding.name());
    }
    response
}

#[cfg(test)]
mod tests;
