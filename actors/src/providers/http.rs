//! Requests to providers: with a time-out, a bounded answer, and repeated where that may help.

use std::{fmt, time::Duration};

use rand::Rng as _;
use reqwest::{
    Client, Method, Request, StatusCode, Url,
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue},
    redirect,
};
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;

use super::ProviderError;

/// The longest answer that is read, bytes: a receipt with years of renewals has a few million.
const MAX_ANSWER: usize = 8 << 20;

/// How long to wait before a request is repeated; doubled each time.
const PAUSE: Duration = Duration::from_millis(100);

/// The client for requests to providers. Redirects are not followed, so that a request goes where
/// it was meant to go and nowhere else.
#[derive(Clone, Debug)]
pub(super) struct Http {
    client: Client,
    io: Handle,
    retries: u32,
}

/// What a provider answered.
pub(super) struct Answer {
    provider: &'static str,
    pub(super) status: StatusCode,
    /// How long the answer may be kept, by `Cache-Control`.
    pub(super) max_age: Option<Duration>,
    pub(super) body: Vec<u8>,
}

impl Http {
    /// A client whose requests take at most `timeout` each and are repeated `retries` times.
    ///
    /// # Errors
    /// Where TLS cannot be set up.
    pub(super) fn new(timeout: Duration, retries: u32, io: Handle) -> Result<Self, reqwest::Error> {
        let client =
            Client::builder().timeout(timeout).redirect(redirect::Policy::none()).build()?;
        Ok(Self { client, io, retries })
    }

    /// Fetches `url` from `provider`, which is its name in logs.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub(super) async fn get(
        &self,
        provider: &'static str,
        url: Url,
    ) -> Result<Answer, ProviderError> {
        self.send(provider, Request::new(Method::GET, url)).await
    }

    /// Sends `request`, again where the provider did not answer or said that it cannot for now.
    ///
    /// # Errors
    /// [`ProviderError::Away`] where the last try failed so. Every other status is an answer.
    pub(super) async fn send(
        &self,
        provider: &'static str,
        request: Request,
    ) -> Result<Answer, ProviderError> {
        let (client, retries) = (self.client.clone(), self.retries);
        // Connections belong to the runtime that opens them, and workers come and go.
        let sent = self.io.spawn(async move {
            let mut pause = PAUSE;
            let mut tries = 0;
            loop {
                // Bodies are bytes here, which can always be sent again.
                let Some(request) = request.try_clone() else {
                    return Err(ProviderError::away(provider, "the request cannot be repeated"));
                };
                let answer = once(&client, provider, request).await;
                if tries >= retries || !matches!(answer, Err(ProviderError::Away { .. })) {
                    return answer;
                }
                tries += 1;
                let spread = rand::rng().random_range(0.5..1.5);
                tokio::time::sleep(pause.mul_f64(spread)).await;
                pause *= 2;
            }
        });
        sent.await.unwrap_or_else(|error| Err(ProviderError::away(provider, error)))
    }
}

async fn once(
    client: &Client,
    provider: &'static str,
    request: Request,
) -> Result<Answer, ProviderError> {
    // Addresses hold tokens, which must not get into logs.
    let away = |error: reqwest::Error| ProviderError::away(provider, reason(&error.without_url()));
    let mut response = client.execute(request).await.map_err(away)?;
    let status = response.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(ProviderError::away(provider, format!("status {}", status.as_u16())));
    }
    let max_age = max_age(response.headers());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(away)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(ProviderError::refused(format!("{provider} answered too much")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { provider, status, max_age, body })
}

/// The innermost cause, which names what to mend.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if error.is_timeout() { "no answer in time".to_owned() } else { cause.to_string() }
}

fn max_age(headers: &HeaderMap) -> Option<Duration> {
    headers.get(CACHE_CONTROL)?.to_str().ok()?.split(',').find_map(|word| {
        let seconds = word.trim().strip_prefix("max-age=")?;
        seconds.parse().ok().map(Duration::from_secs)
    })
}

impl Answer {
    /// The body of a 200.
    ///
    /// # Errors
    /// [`ProviderError::Refused`] for another status.
    pub(super) fn ok(self) -> Result<Vec<u8>, ProviderError> {
        if self.status == StatusCode::OK {
            return Ok(self.body);
        }
        let (provider, status) = (self.provider, self.status.as_u16());
        let body = String::from_utf8_lossy(&self.body);
        let excerpt: String = body.chars().take(500).collect();
        tracing::debug!(provider, status, excerpt, "provider refused");
        Err(ProviderError::refused(format!("{provider} answered with status {status}")))
    }

    /// The text of a 200.
    ///
    /// # Errors
    /// [`ProviderError::Refused`] for another status, or what is no text.
    pub(super) fn text(self) -> Result<String, ProviderError> {
        let provider = self.provider;
        String::from_utf8(self.ok()?).map_err(|error| unreadable(provider, &error))
    }

    /// The JSON of a 200.
    ///
    /// # Errors
    /// [`ProviderError::Refused`] for another status or another form.
    pub(super) fn json<T: DeserializeOwned>(self) -> Result<T, ProviderError> {
        let provider = self.provider;
        serde_json::from_slice(&self.ok()?).map_err(|error| unreadable(provider, &error))
    }
}

/// The error of an answer that is not as documented.
pub(super) fn unreadable(provider: &str, error: &dyn fmt::Display) -> ProviderError {
    ProviderError::refused(format!("{provider}'s answer cannot be read: {error}"))
}

/// `base` with further path segments and a query, both escaped as needed.
pub(super) fn address(base: &Url, path: &[&str], query: &[(&str, &str)]) -> Url {
    let mut url = base.clone();
    // Only addresses such as mailto: have no path to extend; those are refused at start.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    url
}

/// A POST of a form.
pub(super) fn form(url: Url, fields: &[(&str, &str)]) -> Request {
    let mut encoded = url.clone();
    encoded.set_query(None);
    encoded.query_pairs_mut().extend_pairs(fields);
    post(url, "application/x-www-form-urlencoded", encoded.query().unwrap_or_default().to_owned())
}

/// A POST of `body`.
pub(super) fn post(url: Url, content_type: &'static str, body: String) -> Request {
    let mut request = Request::new(Method::POST, url);
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    *request.body_mut() = Some(body.into());
    request
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn paths_and_queries_are_escaped() {
        let base = url("https://a.example/v3/");
        let made = address(&base, &["apps", "../x?y"], &[("key", "a&b=c d")]);
        assert_eq!(made.as_str(), "https://a.example/v3/apps/..%2Fx%3Fy?key=a%26b%3Dc+d");
        assert_eq!(address(&url("https://a.example"), &["x"], &[]).as_str(), "https://a.example/x");
    }

    #[test]
    fn a_form_is_encoded_in_the_body() {
        let request = form(url("https://a.example/token?x=1"), &[("code", "4/a b")]);
        assert_eq!(request.url().as_str(), "https://a.example/token?x=1");
        assert_eq!(request.body().unwrap().as_bytes(), Some(&b"code=4%2Fa+b"[..]));
    }

    #[test]
    fn the_time_to_keep_is_read_among_other_words() {
        let headers = |text: &'static str| {
            HeaderMap::from_iter([(CACHE_CONTROL, HeaderValue::from_static(text))])
        };
        let found = max_age(&headers("public, max-age=120, must-revalidate"));
        assert_eq!(found, Some(Duration::from_secs(120)));
        assert_eq!(max_age(&headers("no-store")), None);
        assert_eq!(max_age(&HeaderMap::new()), None);
    }
}
