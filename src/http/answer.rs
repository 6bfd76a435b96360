//! Answers: the only place where an `Error` becomes a status line and a log line.

use std::borrow::Cow;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::web::Bytes;
use guildhall_core::caller::TraceId;
use guildhall_core::{Code, Error, Status};
use serde::Serialize;
use tracing::{debug, error};

/// What a client gets, before the headers that all answers share.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The body, not yet compressed.
    pub(super) body: Bytes,
    /// Whether the connection ends with this answer.
    pub(super) closes: bool,
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

impl Answer {
    /// A status line alone.
    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new(), closes: false }
    }

    /// A body of JSON.
    pub(super) fn json(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self { status, headers: vec![(CONTENT_TYPE, JSON)], body: body.into(), closes: false }
    }

    /// A body of the given type.
    pub(super) fn typed(content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        let headers = vec![(CONTENT_TYPE, content_type)];
        Self { status: StatusCode::OK, headers, body: body.into(), closes: false }
    }

    /// A request that is not HTTP as we speak it: the status in words, and the connection ends.
    pub(super) fn refusal(status: StatusCode) -> Self {
        let headers = vec![(CONTENT_TYPE, PLAIN)];
        Self { status, headers, body: status.to_string().into(), closes: true }
    }

    /// A sentence as the reference's library sends one: with a line break at its end.
    pub(crate) fn plain(status: StatusCode, sentence: &'static str) -> Self {
        let headers = vec![(CONTENT_TYPE, PLAIN), (X_CONTENT_TYPE_OPTIONS, NOSNIFF)];
        Self { status, headers, body: Bytes::from_static(sentence.as_bytes()), closes: false }
    }

    /// Adds a header; characters that a header cannot hold become spaces.
    pub(crate) fn header(&mut self, name: HeaderName, value: Cow<'_, str>) {
        let fit = |value: &str| HeaderValue::from_bytes(value.as_bytes()).ok();
        let spaced = || fit(&value.replace(|c: char| c.is_ascii_control(), " "));
        if let Some(value) = fit(&value).or_else(spaced) {
            self.headers.push((name, value));
        }
    }

    /// The response, without a body where `body` was taken out before.
    pub(super) fn into_response(self) -> HttpResponse {
        let mut response = HttpResponse::new(self.status);
        if self.closes {
            response.head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
        }
        let headers = response.headers_mut();
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        if self.body.is_empty() {
            response
        } else {
            response.set_body(self.body).map_into_boxed_body()
        }
    }
}

#[cfg(test)]
impl Answer {
    /// The status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The value of a header.
    pub(crate) fn value(&self, name: &HeaderName) -> Option<&str> {
        self.headers.iter().find(|header| header.0 == name)?.1.to_str().ok()
    }
}

/// Unknown paths.
pub(super) const NOT_FOUND: Status = Status::new(Code::NotFound, "Not Found");
/// Known paths with methods that they do not have.
pub(super) const METHOD_NOT_ALLOWED: Status =
    Status::new(Code::Unimplemented, "Method Not Allowed");

/// The error body of endpoints, a `google.rpc.Status`: defaults are left out.
#[derive(Serialize)]
struct StatusBody<'a> {
    #[serde(skip_serializing_if = "is_zero")]
    code: i32,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}

/// The answer of an endpoint that failed. `at` is its name, for the log.
pub(super) fn failure(error: &Error, at: &str, trace_id: TraceId) -> Answer {
    log(error, at, trace_id);
    // The wire has the code as a signed number.
    let body = StatusBody { code: error.code().0 as i32, message: error.message() };
    let mut answer = Answer::json(status_line(error.code()), to_json(&body));
    if error.code() == Code::Unauthenticated {
        answer.header(WWW_AUTHENTICATE, Cow::Borrowed(error.message()));
    }
    answer
}

/// The error body of RPCs.
#[derive(Serialize)]
struct RpcBody<'a> {
    code: u32,
    error: RpcCause<'a>,
    message: &'a str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum RpcCause<'a> {
    /// The server refused the call.
    Refusal(&'a str),
    /// The function failed, in JavaScript.
    Script {
        #[serde(rename = "stackTrace")]
        stack_trace: &'a str,
    },
    /// The function failed, elsewhere.
    Nothing {},
}

/// The answer to an RPC that the server itself refused.
pub(super) fn rpc_refusal(status: &Status) -> Answer {
    let cause = RpcCause::Refusal(&status.message);
    let body = RpcBody { code: status.code.0, error: cause, message: &status.message };
    Answer::json(status_line(status.code), to_json(&body))
}

/// The answer to an RPC whose function failed. `id` is the function's, for the log.
pub(super) fn rpc_failure(error: &Error, id: &str, trace_id: TraceId) -> Answer {
    log(error, id, trace_id);
    let cause = match error.trace() {
        Some(stack_trace) => RpcCause::Script { stack_trace },
        None => RpcCause::Nothing {},
    };
    let body = RpcBody { code: error.code().0, error: cause, message: error.message() };
    Answer::json(status_line(error.code()), to_json(&body))
}

/// Logs the failure of an after hook, which the client is not told.
pub(super) fn log_after_hook(error: &Error, at: &str, trace_id: TraceId) {
    error!(%trace_id, at, %error, "after hook failed");
}

fn log(error: &Error, at: &str, trace_id: TraceId) {
    match error {
        Error::Status(status) => {
            debug!(%trace_id, at, code = status.code.0, message = %status.message, "refused")
        }
        Error::Fault(fault) => {
            error!(%trace_id, at, code = fault.code.0, message = %fault.message, source = %fault.source, "failed");
        }
    }
}

fn status_line(code: Code) -> StatusCode {
    StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The JSON of a body; empty where it has none, which only foreign types bring about.
fn to_json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use guildhall_core::Fault;

    use super::*;

    const TRACE: TraceId = TraceId(1);

    #[track_caller]
    fn check(answer: &Answer, status: u16, body: &str) {
        assert_eq!((answer.status().as_u16(), &answer.body[..]), (status, body.as_bytes()));
        assert_eq!(answer.value(&CONTENT_TYPE), Some("application/json"));
    }

    #[test]
    fn a_status_is_sent_as_it_stands() {
        let refused = Status::new(Code::InvalidArgument, "Invalid \"limit\".").into();
        check(&failure(&refused, "at", TRACE), 400, r#"{"code":3,"message":"Invalid \"limit\"."}"#);
    }

    #[test]
    fn of_a_fault_only_the_public_sentence_is_sent() {
        let fault = Fault::new("Error while trying.", "secret").into();
        check(&failure(&fault, "at", TRACE), 500, r#"{"code":13,"message":"Error while trying."}"#);
    }

    #[test]
    fn codes_that_are_none_are_sent_as_signed_numbers() {
        let strange = Status::of(Code(u32::MAX), "x").into();
        check(&failure(&strange, "at", TRACE), 500, r#"{"code":-1,"message":"x"}"#);
        check(
            &rpc_failure(&strange, "at", TRACE),
            500,
            r#"{"code":4294967295,"error":{},"message":"x"}"#,
        );
    }

    #[test]
    fn who_is_not_authenticated_is_told_so_in_a_header_too() {
        let refused = Status::of(Code::Unauthenticated, "no\nkey\u{e9}").into();
        let answer = failure(&refused, "at", TRACE);
        let header = answer.headers.iter().find(|header| header.0 == WWW_AUTHENTICATE);
        assert_eq!(header.map(|header| header.1.as_bytes()), Some("no key\u{e9}".as_bytes()));
    }

    #[test]
    fn errors_of_rpcs_tell_the_server_from_the_function() {
        let refused = Status::new(Code::NotFound, "RPC function not found");
        let body =
            r#"{"code":5,"error":"RPC function not found","message":"RPC function not found"}"#;
        check(&rpc_refusal(&refused), 404, body);
        let thrown = Status { trace: Some("at f".into()), ..Status::new(Code::Aborted, "no") };
        check(
            &rpc_failure(&thrown.into(), "f", TRACE),
            409,
            r#"{"code":10,"error":{"stackTrace":"at f"},"message":"no"}"#,
        );
    }

    #[test]
    fn refusals_of_the_protocol_are_plain_text() {
        let answer = Answer::refusal(StatusCode::BAD_REQUEST);
        assert_eq!((&answer.body[..], answer.closes), (&b"400 Bad Request"[..], true));
    }
}
