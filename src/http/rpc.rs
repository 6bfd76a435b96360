//! `/v2/rpc/{id}`: calls of the modules' functions, with wrapped and bare payloads.

use std::time::Instant;

use actix_web::HttpRequest;
use actix_web::http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{Bytes, Payload};
use guildhall_actors::runtime::call::{Call, Context, ExecutionMode, Input, Output};
use guildhall_core::{Code, Error, Status};
use serde::Serialize;

use super::Worker;
use super::answer::{self, Answer};
use super::body::Encoding;
use super::query;

const ID_REQUIRED: Status = Status::new(Code::InvalidArgument, "RPC ID must be set");
const NOT_FOUND: Status = Status::new(Code::NotFound, "RPC function not found");
/// The sentence is the reference's, whatever the body was.
const NOT_A_TEXT: Status = Status::new(
    Code::InvalidArgument,
    "json: cannot unmarshal object into Go value of type string",
);

/// Names with their values, as functions see headers and query parameters.
type Named = Vec<(String, Vec<String>)>;

/// Serves a call of the function `id`, as the path spells it.
pub(super) async fn serve(
    worker: &Worker,
    request: &HttpRequest,
    payload: &mut Payload,
    id: &[u8],
) -> Answer {
    let (http_key, query_params) = query_of(request.query_string());
    let mut caller = worker.edge.caller(request.head());
    caller.user = match worker.edge.rpc_user(http_key.as_bytes(), request) {
        Ok(user) => user,
        Err(status) => return answer::rpc_refusal(&status),
    };
    if id.is_empty() {
        return answer::rpc_refusal(&ID_REQUIRED);
    }
    let id = String::from_utf8_lossy(id).to_lowercase();
    let Some(target) = worker.edge.cx.routes.load().rpc(&id).cloned() else {
        return answer::rpc_refusal(&NOT_FOUND);
    };
    let began = Instant::now();
    let bare = query_params.iter().any(|(name, _)| name == "unwrap");
    let trace_id = caller.trace_id;

    let mut input = Bytes::new();
    if request.method() == Method::POST {
        input = match worker.edge.read_body(request, payload).await {
            Ok(body) => body,
            Err(error) => return answer::failure(&error, &id, trace_id),
        };
    }
    let payload = if bare || input.is_empty() {
        input.into()
    } else {
        match text_of(&input) {
            Some(text) => text,
            None => return answer::rpc_refusal(&NOT_A_TEXT),
        }
    };
    let received = payload.len();
    let context = Context {
        mode: ExecutionMode::Rpc,
        caller,
        headers: Some(headers_of(request.headers())),
        query_params: Some(query_params),
        ..Context::default()
    };
    let call = Call { function: target.function, context, input: Input::Rpc { payload } };
    let result = target.pool.call(call).await;
    let sent = if let Ok(Output::Text(text)) = &result { text.len() } else { 0 };
    let code = result.as_ref().map_or_else(Error::code, |_| Code::Ok);
    target.calls.record(code, began.elapsed(), received, sent);
    let output = match result {
        Ok(Output::Text(text)) => text,
        Ok(_) => Vec::new(),
        Err(error) => return answer::rpc_failure(&error, &id, trace_id),
    };
    if bare {
        let content_type = request.headers().get(CONTENT_TYPE);
        let content_type = content_type.cloned().unwrap_or(HeaderValue::from_static("text/plain"));
        return Answer::typed(content_type, output);
    }
    wrapped(&output)
}

/// `{"payload": …}`; what is not UTF-8 in it is replaced.
fn wrapped(output: &[u8]) -> Answer {
    #[derive(Serialize)]
    struct Wrapped<'a> {
        payload: &'a str,
    }
    let payload = String::from_utf8_lossy(output);
    let mut body = Vec::with_capacity(payload.len() + payload.len() / 8 + 16);
    // Text always has a JSON form, and memory takes it.
    let _ = serde_json::to_writer(&mut body, &Wrapped { payload: &payload });
    Answer::json(StatusCode::OK, body)
}

/// The HTTP key, and the other parameters. Malformed ones are left out.
fn query_of(query: &str) -> (String, Named) {
    let mut http_key = String::new();
    let mut named = Named::new();
    for (name, value) in query::pairs(query).flatten() {
        let value = String::from_utf8_lossy(&value).into_owned();
        if &name[..] == b"http_key" {
            if http_key.is_empty() {
                http_key = value;
            }
            continue;
        }
        let name = String::from_utf8_lossy(&name);
        match named.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => named.push((name.into_owned(), vec![value])),
        }
    }
    (http_key, named)
}

/// The headers by their canonical names, without those that the edge takes.
fn headers_of(headers: &HeaderMap) -> Named {
    let compressed = Encoding::wanted(headers).is_some();
    let mut named: Named = Vec::with_capacity(headers.len_keys());
    for (name, value) in headers {
        let hidden = *name == HOST
            || name.as_str() == "grpc-timeout"
            || compressed && *name == ACCEPT_ENCODING;
        if hidden {
            continue;
        }
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        // Values of one name follow each other.
        match named.last_mut() {
            Some((known, values)) if known.eq_ignore_ascii_case(name.as_str()) => {
                values.push(value)
            }
            _ => named.push((canonical(name.as_str()), vec![value])),
        }
    }
    named
}

/// `x-custom` -> `X-Custom`.
fn canonical(name: &str) -> String {
    let mut first = true;
    name.chars()
        .map(|letter| {
            let shown = if first { letter.to_ascii_uppercase() } else { letter };
            first = letter == '-';
            shown
        })
        .collect()
}

/// The text that a body of JSON holds; `null` holds none. `None` where it is anything else.
///
/// Lone surrogates and bytes that are not UTF-8 are replaced, as the reference does.
fn text_of(body: &[u8]) -> Option<Vec<u8>> {
    let body = body.trim_ascii();
    if body == b"null" {
        return Some(Vec::new());
    }
    let mut rest = body.strip_prefix(b"\"")?;
    let mut text = Vec::with_capacity(rest.len());
    loop {
        let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
        text.extend_from_slice(&rest[..plain]);
        rest = match &rest[plain..] {
            [b'"'] => break,
            [b'\\', b'u', after @ ..] => {
                let (letter, after) = unicode(after)?;
                text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                after
            }
            [b'\\', escaped, after @ ..] => {
                text.push(match escaped {
                    b'"' | b'\\' | b'/' => *escaped,
                    b'b' => 8,
                    b'f' => 12,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    _ => return None,
                });
                after
            }
            _ => return None,
        };
    }
    Some(match std::str::from_utf8(&text) {
        Ok(_) => text,
        Err(_) => String::from_utf8_lossy(&text).into_owned().into(),
    })
}

/// The letter of an escape whose `\u` was read, and what follows it.
fn unicode(after: &[u8]) -> Option<(char, &[u8])> {
    let (first, after) = unit(after)?;
    if let (0xd800..0xdc00, [b'\\', b'u', second @ ..]) = (first, after)
        && let Some((second @ 0xdc00..0xe000, rest)) = unit(second)
    {
        let letter = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return char::from_u32(letter).map(|letter| (letter, rest));
    }
    Some((char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), after))
}

/// Four hexadecimal digits, and what follows them.
fn unit(text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, after) = text.split_at_checked(4)?;
    let digit = |number: u32, digit: &u8| Some(number * 16 + char::from(*digit).to_digit(16)?);
    Some((digits.iter().try_fold(0, digit)?, after))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderName;

    use super::*;

    #[track_caller]
    fn check(body: &[u8], text: Option<&str>) {
        let found = text_of(body);
        assert_eq!(found.as_deref().map(String::from_utf8_lossy).as_deref(), text);
    }

    #[test]
    fn a_payload_is_a_json_text_or_null() {
        check(b"\"hello\"", Some("hello"));
        check(b" \"\"\n", Some(""));
        check(b"null", Some(""));
        check("\"\u{17c} \u{1f422} \u{2028}\"".as_bytes(), Some("\u{17c} \u{1f422} \u{2028}"));
        for other in [
            "{\"a\":1}",
            "[1]",
            "1",
            "true",
            "hello",
            "\"open",
            "\"a\" \"b\"",
            "\"a\"x",
            " ",
            "\"a\nb\"",
        ] {
            check(other.as_bytes(), None);
        }
    }

    #[test]
    fn escapes_are_undone() {
        check(br#""a\"\\\/\b\f\n\r\tz""#, Some("a\"\\/\u{8}\u{c}\n\r\tz"));
        check(br#""\u0041\u00e9\ud83d\udc22""#, Some("A\u{e9}\u{1f422}"));
        check(br#""\ud83dx\udc22\ud83d\u0041""#, Some("\u{fffd}x\u{fffd}\u{fffd}A"));
        for wrong in [r#""\x""#, r#""\u12""#, r#""\u12g4""#, r#""\"#, r#""a\""#] {
            check(wrong.as_bytes(), None);
        }
        check(b"\"a\xffb\"", Some("a\u{fffd}b"));
    }

    #[test]
    fn the_answer_is_wrapped() {
        assert_eq!(wrapped(b"a\"\xff").body, "{\"payload\":\"a\\\"\u{fffd}\"}");
    }

    #[test]
    fn functions_see_query_parameters_without_the_key() {
        let (key, named) = query_of("a=1&http_key=k&b=x+y&a=2&unwrap&c=%zz&http_key=l");
        assert_eq!(key, "k");
        let named: Vec<_> =
            named.iter().map(|(name, values)| (name.as_str(), values.join(","))).collect();
        assert_eq!(named, [("a", "1,2".into()), ("b", "x y".into()), ("unwrap", String::new())]);
    }

    #[test]
    fn functions_see_headers_by_their_canonical_names() {
        let header = |name, value| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let headers = [
            header("host", "h"),
            header("x-rt-test", "1"),
            header("grpc-timeout", "1m"),
            header("content-type", "text/plain"),
        ];
        let mut headers: HeaderMap = headers.into_iter().collect();
        headers.append(HeaderName::from_static("x-rt-test"), HeaderValue::from_static("2"));
        let mut named = headers_of(&headers);
        named.sort();
        let named: Vec<_> =
            named.iter().map(|(name, values)| (name.as_str(), values.join(","))).collect();
        assert_eq!(
            named,
            [("Content-Type", "text/plain".to_owned()), ("X-Rt-Test", "1,2".to_owned())]
        );
    }
}
