//! Outgoing HTTP requests of modules.

use std::{collections::BTreeMap, time::Duration};

use guildhall_core::{Code, Fault, Result, Status, config};
use reqwest::{Client, Method, header::HeaderMap};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Text, invalid};
use crate::{
    cx::Cx,
    host::{Bytes, HostFn, Language, Origin, Returns},
};

/// How long a request may take where the module does not say, milliseconds.
const TIMEOUT_MS: i64 = 5_000;

/// The clients behind `nk.http_request`: one that checks certificates, one that does not.
#[derive(Clone, Debug)]
pub struct HttpClients {
    checked: Client,
    insecure: Client,
    /// The longest answer that is read, bytes.
    body_limit: usize,
    /// The longest time a request may take, whatever the module asks for.
    timeout_limit: Duration,
}

impl HttpClients {
    /// Clients with the limits of `runtime.http_*`.
    ///
    /// # Errors
    /// Where TLS cannot be set up.
    pub fn new(config: &config::Runtime) -> Result<Self, reqwest::Error> {
        let client = |insecure| Client::builder().danger_accept_invalid_certs(insecure).build();
        Ok(Self {
            checked: client(false)?,
            insecure: client(true)?,
            body_limit: config.http_max_response_bytes,
            timeout_limit: Duration::from_millis(config.http_timeout_max_ms),
        })
    }
}

/// `nk.http_request(url, method, headers, body, timeout_ms, insecure)`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct HttpRequest {
    url: String,
    method: String,
    #[serde(default)]
    headers: Option<BTreeMap<String, String>>,
    #[serde(default)]
    body: Bytes,
    #[serde(default)]
    timeout_ms: i64,
    #[serde(default)]
    insecure: bool,
}

/// What came back.
#[derive(Debug, JsonSchema, Serialize)]
pub struct HttpResponse {
    code: u16,
    headers: Headers,
    body: Text,
}

/// The headers of an answer by canonical name.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(untagged)]
#[schemars(into = "BTreeMap<String, Vec<String>>")]
enum Headers {
    /// The first value of each, as Lua gets them.
    First(BTreeMap<String, String>),
    /// All values of each.
    All(BTreeMap<String, Vec<String>>),
}

impl HostFn for HttpRequest {
    const NAME: &'static str = "http_request";
    const RETURNS: Returns = Returns::Each;
    type Output = HttpResponse;

    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<HttpResponse> {
        if self.url.is_empty() {
            return Err(invalid("URL string cannot be empty.").into());
        }
        let method = match self.method.to_ascii_uppercase().as_str() {
            "GET" => Method::GET,
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            "DELETE" => Method::DELETE,
            "HEAD" => Method::HEAD,
            _ => {
                let message = "expects method to be one of: \
                               'get', 'post', 'put', 'patch', 'delete', 'head'";
                return Err(invalid(message).into());
            }
        };
        let headers = match (self.headers, origin.language) {
            (Some(headers), _) => headers,
            (None, Language::JavaScript) => BTreeMap::new(),
            (None, Language::Lua | Language::Native) => {
                return Err(invalid("expects headers to be a table").into());
            }
        };
        let client = if self.insecure { &cx.http.insecure } else { &cx.http.checked };
        let timeout_ms = if self.timeout_ms > 0 { self.timeout_ms } else { TIMEOUT_MS };
        let mut request = client
            .request(method, &self.url)
            .timeout(Duration::from_millis(timeout_ms.unsigned_abs()).min(cx.http.timeout_limit));
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        if !self.body.is_empty() {
            request = request.body(self.body.into_vec());
        }
        let mut answer = request.send().await.map_err(|error| failed(&self.url, &error))?;
        let code = answer.status().as_u16();
        let headers = headers_of(answer.headers(), origin.language);
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| failed(&self.url, &error))? {
            if body.len() + chunk.len() > cx.http.body_limit {
                let limit = cx.http.body_limit;
                let message = format!("HTTP response body error: longer than {limit} bytes");
                return Err(Status::of(Code::ResourceExhausted, message).into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(HttpResponse { code, headers, body: Text::of(origin, body) })
    }
}

/// The request's failure with its innermost cause, which names what to mend.
fn failed(url: &str, error: &reqwest::Error) -> Fault {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let message = format!("HTTP request error: {url}: {cause}");
    Fault::new(message, cause.to_string())
}

fn headers_of(headers: &HeaderMap, language: Language) -> Headers {
    let values = headers.iter().map(|(name, value)| {
        (canonical(name.as_str()), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    if language == Language::Lua {
        let mut first = BTreeMap::new();
        for (name, value) in values {
            first.entry(name).or_insert(value);
        }
        return Headers::First(first);
    }
    let mut all = BTreeMap::<String, Vec<String>>::new();
    for (name, value) in values {
        all.entry(name).or_default().push(value);
    }
    Headers::All(all)
}

/// `content-type` as `Content-Type`, the form in which modules meet header names.
pub fn canonical(name: &str) -> String {
    let mut upper = true;
    name.chars()
        .map(|letter| {
            let letter =
                if upper { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() };
            upper = letter == '-';
            letter
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_names_are_canonical() {
        assert_eq!(canonical("content-type"), "Content-Type");
        assert_eq!(canonical("X-CUSTOM-name"), "X-Custom-Name");
    }
}
