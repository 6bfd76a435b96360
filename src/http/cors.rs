//! Cross-origin requests, as the reference allows them: from everywhere, without credentials.

use std::borrow::Cow;

use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN,
};
use actix_web::http::{Method, StatusCode};

use super::answer::Answer;

/// Methods that a page may use; browsers need no leave for the first three.
const METHODS: [&str; 5] = ["GET", "HEAD", "POST", "PUT", "DELETE"];
/// Headers that a page may send.
const HEADERS: [&str; 3] = ["Authorization", "Content-Type", "User-Agent"];
/// Headers that need no leave.
const SIMPLE_HEADERS: [&str; 4] = ["Accept", "Accept-Language", "Content-Language", "Origin"];

/// Whether the request comes from a page, whose answer then needs the header of [`allow`].
pub(super) fn has_origin(headers: &HeaderMap) -> bool {
    headers.get(ORIGIN).is_some_and(|origin| !origin.is_empty())
}

/// Lets every page read the answer.
pub(super) fn allow(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
}

/// The answer to a request by OPTIONS, which never goes further.
pub(super) fn preflight(headers: &HeaderMap) -> Answer {
    if !has_origin(headers) {
        return Answer::empty(StatusCode::OK);
    }
    let Some(method) = headers.get(ACCESS_CONTROL_REQUEST_METHOD) else {
        return Answer::empty(StatusCode::BAD_REQUEST);
    };
    if !METHODS.iter().any(|allowed| method == allowed) {
        return Answer::empty(StatusCode::METHOD_NOT_ALLOWED);
    }
    let wanted =
        headers.get(ACCESS_CONTROL_REQUEST_HEADERS).map(HeaderValue::as_bytes).unwrap_or_default();
    let mut granted: Vec<&str> = Vec::new();
    for name in String::from_utf8_lossy(wanted).split(',').map(str::trim) {
        let is = |known: &&&str| known.eq_ignore_ascii_case(name);
        if name.is_empty() || SIMPLE_HEADERS.iter().find(is).is_some() {
            continue;
        }
        match HEADERS.iter().find(is) {
            Some(known) => granted.push(known),
            None => return Answer::empty(StatusCode::FORBIDDEN),
        }
    }
    let mut answer = Answer::empty(StatusCode::OK);
    if !granted.is_empty() {
        // Made of the constants above, which are fit for headers.
        answer.header(ACCESS_CONTROL_ALLOW_HEADERS, Cow::Owned(granted.join(",")));
    }
    let simple =
        [Method::GET, Method::HEAD, Method::POST].iter().any(|simple| method == simple.as_str());
    if !simple {
        answer.header(ACCESS_CONTROL_ALLOW_METHODS, String::from_utf8_lossy(method.as_bytes()));
    }
    answer.header(ACCESS_CONTROL_ALLOW_ORIGIN, Cow::Borrowed("*"));
    answer
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderName;

    use super::*;

    fn ask(headers: &[(HeaderName, &'static str)]) -> Answer {
        let headers =
            headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        preflight(&headers.collect())
    }

    #[track_caller]
    fn granted(
        method: &'static str,
        headers: &'static str,
        names: Option<&str>,
        methods: Option<&str>,
    ) {
        let answer = ask(&[
            (ORIGIN, "http://game.example.com"),
            (ACCESS_CONTROL_REQUEST_METHOD, method),
            (ACCESS_CONTROL_REQUEST_HEADERS, headers),
        ]);
        assert_eq!(answer.status(), StatusCode::OK);
        let value = |name| answer.value(&name).map(str::to_owned);
        assert_eq!(value(ACCESS_CONTROL_ALLOW_ORIGIN).as_deref(), Some("*"));
        assert_eq!(value(ACCESS_CONTROL_ALLOW_HEADERS).as_deref(), names);
        assert_eq!(value(ACCESS_CONTROL_ALLOW_METHODS).as_deref(), methods);
    }

    #[test]
    fn a_page_may_use_the_methods_and_headers_of_the_api() {
        granted("GET", "authorization, content-type", Some("Authorization,Content-Type"), None);
        granted("PUT", "accept,user-agent", Some("User-Agent"), Some("PUT"));
        granted("DELETE", "", None, Some("DELETE"));
    }

    #[test]
    fn anything_else_is_refused() {
        const FROM: (HeaderName, &str) = (ORIGIN, "http://game.example.com");
        let get = (ACCESS_CONTROL_REQUEST_METHOD, "GET");
        let patch = (ACCESS_CONTROL_REQUEST_METHOD, "PATCH");
        let strange = (ACCESS_CONTROL_REQUEST_HEADERS, "authorization,x-strange");
        assert_eq!(ask(&[FROM, patch]).status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(ask(&[FROM, get, strange]).status(), StatusCode::FORBIDDEN);
        assert_eq!(ask(&[FROM]).status(), StatusCode::BAD_REQUEST);
        assert!(ask(&[FROM]).value(&ACCESS_CONTROL_ALLOW_ORIGIN).is_none());
    }

    #[test]
    fn without_an_origin_there_is_nothing_to_allow() {
        assert_eq!(ask(&[]).status(), StatusCode::OK);
        assert!(ask(&[]).value(&ACCESS_CONTROL_ALLOW_ORIGIN).is_none());
    }
}
