//! Game Center: players whose ids Apple signs with a key that it publishes.
//!
//! Source: Nakama, `social/social.go`; Apple, `fetchItems(forIdentityVerificationSignature:)`. The
//! client says where the key is, so only addresses of Apple are asked, and redirects not followed.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use guildhall_core::{Result, config::Config};
use moka::sync::Cache;
use reqwest::Url;
use rsa::{
    Pkcs1v15Sign, RsaPublicKey,
    pkcs8::DecodePublicKey as _,
    sha2::{Digest as _, Sha256},
};
use x509_cert::{
    Certificate,
    der::{Decode as _, DecodePem as _, Encode as _},
};

use super::{Profile, ProviderError, http::Http};

const NAME: &str = "Game Center";

/// How long a key is kept, and how many. Apple has one for all games at a time.
const KEPT: Duration = Duration::from_secs(3600);
const MAX_KEYS: u64 = 32;

/// Game Center.
#[derive(Debug)]
pub struct GameCenter {
    http: Http,
    keys: Cache<Url, RsaPublicKey>,
    config: Arc<Config>,
}

/// What Game Center gives a player to show.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// The player's id.
    pub player_id: &'a str,
    /// The game's bundle id.
    pub bundle_id: &'a str,
    /// When it was signed, as Apple tells it (milliseconds, whatever the API's name says).
    pub timestamp: i64,
    /// Random bytes, in base64.
    pub salt: &'a str,
    /// The signature, in base64.
    pub signature: &'a str,
    /// Where the key is.
    pub public_key_url: &'a str,
}

impl GameCenter {
    pub(super) fn new(config: &Arc<Config>, http: &Http) -> Result<Self> {
        let keys = Cache::builder().max_capacity(MAX_KEYS).time_to_live(KEPT).build();
        Ok(Self { http: http.clone(), keys, config: Arc::clone(config) })
    }

    /// The player whom `signed` stands for.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn profile(&self, signed: Signed<'_>) -> Result<Profile, ProviderError> {
        let bundle_ids = &self.config.social.game_center.bundle_ids;
        if !bundle_ids.is_empty() && !bundle_ids.iter().any(|id| id == signed.bundle_id) {
            return Err(ProviderError::refused("the signature is made out to another game"));
        }
        let url = allowed(signed.public_key_url, &self.config.providers.game_center_hosts)?;
        let decode = |text| {
            STANDARD.decode(text).map_err(|_| ProviderError::refused("salt or signature no base64"))
        };
        let (salt, signature) = (decode(signed.salt)?, decode(signed.signature)?);
        let key = self.key(url).await?;
        let mut digest = Sha256::new();
        digest.update(signed.player_id);
        digest.update(signed.bundle_id);
        digest.update(signed.timestamp.to_be_bytes());
        digest.update(&salt);
        key.verify(Pkcs1v15Sign::new::<Sha256>(), &digest.finalize(), &signature)
            .map_err(|_| ProviderError::refused("wrong signature"))?;
        Profile::of(signed.player_id)
    }

    async fn key(&self, url: Url) -> Result<RsaPublicKey, ProviderError> {
        if let Some(key) = self.keys.get(&url) {
            return Ok(key);
        }
        let certificate = self.http.get(NAME, url.clone()).await?.ok()?;
        let key = public_key(&certificate)
            .ok_or(ProviderError::refused("no certificate at the public key url"))?;
        self.keys.insert(url, key.clone());
        Ok(key)
    }
}

/// The address, if it is one of Apple's.
fn allowed(text: &str, hosts: &[String]) -> Result<Url, ProviderError> {
    let refused = || ProviderError::refused("the public key url is none of Apple's");
    let url = Url::parse(text).map_err(|_| refused())?;
    let within = |domain: &str| {
        let below = |host: &str| host.strip_suffix(domain).is_some_and(|it| it.ends_with('.'));
        url.scheme() == "https"
            && url.port().is_none()
            && url.domain().is_some_and(|host| host == domain || below(host))
    };
    let same = |origin: &str| Url::parse(origin).is_ok_and(|it| it.origin() == url.origin());
    let known = |host: &String| if host.contains("://") { same(host) } else { within(host) };
    let plain = url.username().is_empty() && url.password().is_none() && url.path() != "/";
    if plain && hosts.iter().any(known) { Ok(url) } else { Err(refused()) }
}

/// The key of a certificate in DER, or in PEM.
fn public_key(certificate: &[u8]) -> Option<RsaPublicKey> {
    let certificate = match Certificate::from_der(certificate) {
        Ok(certificate) => certificate,
        Err(_) => Certificate::from_pem(certificate).ok()?,
    };
    let key = certificate.tbs_certificate.subject_public_key_info.to_der().ok()?;
    RsaPublicKey::from_public_key_der(&key).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn only_addresses_of_apple_are_asked() {
        let apple = &["apple.com".to_owned()];
        let test = &["apple.com".to_owned(), "http://127.0.0.1:9000".to_owned()];
        let good = "https://static.gc.apple.com/public-key/gc-prod-4.cer";
        assert_eq!(allowed(good, apple).unwrap().as_str(), good);
        for bad in [
            "http://static.gc.apple.com/public-key/gc-prod-4.cer",
            "https://static.gc.apple.com:8443/key.cer",
            "https://static.gc.apple.com/",
            "https://notapple.com/key.cer",
            "https://apple.com.evil.example/key.cer",
            "https://evil.example/key.cer#.apple.com/",
            "https://apple.com@evil.example/key.cer",
            "https://me@static.gc.apple.com/key.cer",
            "https://evil.example\\.apple.com/key.cer",
            "https://127.0.0.1/key.cer",
            "file:///etc/passwd",
            "",
        ] {
            assert!(allowed(bad, apple).is_err(), "{bad}");
            assert!(allowed(bad, test).is_err(), "{bad}");
        }
        assert!(allowed("http://127.0.0.1:9000/key.cer", test).is_ok());
        assert!(allowed("http://127.0.0.1:9001/key.cer", test).is_err());
        assert!(allowed("https://127.0.0.1:9000/key.cer", test).is_err());
    }

    #[test]
    fn what_is_no_certificate_has_no_key() {
        assert!(public_key(b"").is_none());
        assert!(
            public_key(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----").is_none()
        );
    }
}
