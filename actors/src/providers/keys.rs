//! The keys with which a provider signs tokens (JWKS), and the check of a token by them.
//!
//! Keys are kept as long as the provider says, within bounds. A token that names an unknown key
//! has them fetched again, since providers change keys before a kept answer ends; such fetches are
//! limited, for anybody can name an unknown key.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation,
    jwk::{Jwk, KeyAlgorithm},
};
use reqwest::Url;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::sync::Mutex;

use super::{ProviderError, http::Http};

/// How long keys are kept where the provider does not say.
const KEPT: Duration = Duration::from_secs(3600);
/// The least and the most time that keys are kept.
const KEPT_LEAST: Duration = Duration::from_secs(60);
const KEPT_MOST: Duration = Duration::from_secs(24 * 3600);
/// How much longer keys count while the provider does not answer.
const KEPT_IN_NEED: Duration = Duration::from_secs(3600);
/// How many fetches there may be within [`WINDOW`], failed ones and those for unknown keys.
const FETCHES: u32 = 6;
const WINDOW: Duration = Duration::from_secs(60);
/// The most keys that are kept; providers have two or three.
const MAX_KEYS: usize = 32;
/// By how much the clocks may differ, seconds.
const LEEWAY_S: u64 = 10;

/// The keys of one provider.
#[derive(Debug)]
pub(super) struct Keys {
    provider: &'static str,
    url: Url,
    http: Http,
    known: ArcSwapOption<Known>,
    fetches: Mutex<Fetches>,
}

#[derive(Debug)]
struct Known {
    keys: HashMap<String, Key>,
    fresh_until: Instant,
}

#[derive(Clone, Debug)]
struct Key {
    key: DecodingKey,
    algorithm: Algorithm,
}

/// The fetches since `began`.
#[derive(Debug)]
struct Fetches {
    began: Instant,
    count: u32,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

impl Keys {
    pub(super) fn new(provider: &'static str, url: Url, http: Http) -> Self {
        let fetches = Mutex::new(Fetches { began: Instant::now(), count: 0 });
        Self { provider, url, http, known: ArcSwapOption::empty(), fetches }
    }

    /// The claims of `token` if it is signed by one of the keys, not expired, and made by one of
    /// `issuers` for one of `audiences` (for anybody where none is given).
    ///
    /// # Errors
    /// [`ProviderError`].
    pub(super) async fn claims<T: DeserializeOwned>(
        &self,
        token: &str,
        issuers: &[&str],
        audiences: &[&str],
    ) -> Result<T, ProviderError> {
        let invalid = |error: jsonwebtoken::errors::Error| {
            ProviderError::refused(format!("{} token is invalid: {error}", self.provider))
        };
        let header = jsonwebtoken::decode_header(token).map_err(invalid)?;
        let Some(kid) = header.kid else {
            return Err(ProviderError::refused("the token names no key"));
        };
        let Key { key, algorithm } = self.key(&kid).await?;
        let mut wanted = Validation::new(algorithm);
        wanted.leeway = LEEWAY_S;
        wanted.validate_nbf = true;
        wanted.set_issuer(issuers);
        wanted.set_required_spec_claims(&["exp", "iss", "sub"]);
        if audiences.is_empty() {
            wanted.validate_aud = false;
        } else {
            wanted.set_audience(audiences);
            wanted.required_spec_claims.insert("aud".to_owned());
        }
        Ok(jsonwebtoken::decode(token, &key, &wanted).map_err(invalid)?.claims)
    }

    async fn key(&self, kid: &str) -> Result<Key, ProviderError> {
        if let Some(key) = self.fresh(kid) {
            return Ok(key);
        }
        // One fetch at a time; who waited for it may find the key there.
        let mut fetches = self.fetches.lock().await;
        if let Some(key) = self.fresh(kid) {
            return Ok(key);
        }
        if fetches.may(Instant::now()) {
            match self.fetch().await {
                Ok(known) => self.known.store(Some(known.into())),
                Err(error) => {
                    tracing::warn!(provider = self.provider, %error, "keys not fetched");
                    return self.key_in_need(kid).ok_or(error);
                }
            }
        }
        let missing = || ProviderError::refused(format!("no key {kid:?} of {}", self.provider));
        self.key_in_need(kid).ok_or_else(missing)
    }

    fn fresh(&self, kid: &str) -> Option<Key> {
        let known = self.known.load();
        known.as_ref().filter(|it| Instant::now() < it.fresh_until)?.keys.get(kid).cloned()
    }

    fn key_in_need(&self, kid: &str) -> Option<Key> {
        let known = self.known.load();
        let until = |it: &Known| it.fresh_until + KEPT_IN_NEED;
        known.as_ref().filter(|it| Instant::now() < until(it))?.keys.get(kid).cloned()
    }

    async fn fetch(&self) -> Result<Known, ProviderError> {
        let answer = self.http.get(self.provider, self.url.clone()).await?;
        let kept = answer.max_age.unwrap_or(KEPT).clamp(KEPT_LEAST, KEPT_MOST);
        let set: KeySet = answer.json()?;
        let keys: HashMap<_, _> = set.keys.into_iter().filter_map(read).take(MAX_KEYS).collect();
        if keys.is_empty() {
            return Err(ProviderError::refused(format!("{} has no key", self.provider)));
        }
        Ok(Known { keys, fresh_until: Instant::now() + kept })
    }
}

impl Fetches {
    /// Whether there may be one more at `now`; counts it.
    fn may(&mut self, now: Instant) -> bool {
        if now.duration_since(self.began) >= WINDOW {
            *self = Self { began: now, count: 0 };
        }
        self.count += 1;
        self.count <= FETCHES
    }
}

/// A key for signatures; other keys, and those of unknown kinds, are passed over.
fn read(key: serde_json::Value) -> Option<(String, Key)> {
    let jwk: Jwk = serde_json::from_value(key).ok()?;
    // Never a shared secret: whoever knows the public answer could sign with it.
    let algorithm = match jwk.common.key_algorithm? {
        KeyAlgorithm::RS256 => Algorithm::RS256,
        KeyAlgorithm::RS384 => Algorithm::RS384,
        KeyAlgorithm::RS512 => Algorithm::RS512,
        KeyAlgorithm::ES256 => Algorithm::ES256,
        KeyAlgorithm::ES384 => Algorithm::ES384,
        _ => return None,
    };
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    Some((jwk.common.key_id?, Key { key, algorithm }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn only_public_signing_keys_with_a_name_are_taken() {
        let rsa = |more: serde_json::Value| {
            let mut key = json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB", "use": "sig" });
            key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            read(key)
        };
        assert_eq!(rsa(json!({ "kid": "a", "alg": "RS256" })).unwrap().0, "a");
        assert!(rsa(json!({ "alg": "RS256" })).is_none());
        assert!(rsa(json!({ "kid": "a" })).is_none());
        assert!(rsa(json!({ "kid": "a", "alg": "RSA-OAEP" })).is_none());
        let secret = json!({ "kty": "oct", "k": "AQAB", "kid": "a", "alg": "HS256" });
        assert!(read(secret).is_none());
        assert!(read(json!({ "kty": "new", "kid": "a", "alg": "RS256" })).is_none());
    }

    #[test]
    fn fetches_for_unknown_keys_are_limited() {
        let began = Instant::now();
        let mut fetches = Fetches { began, count: 0 };
        for _ in 0..FETCHES {
            assert!(fetches.may(began));
        }
        assert!(!fetches.may(began + WINDOW / 2));
        assert!(fetches.may(began + WINDOW));
    }
}
