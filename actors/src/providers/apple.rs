//! Sign in with Apple, by ID tokens.
//!
//! Source: Nakama, `social/social.go`; Apple, "Verifying a user". The audience, which Nakama does
//! not look at, is checked.

use std::sync::Arc;

use guildhall_core::{Result, config::Config};
use serde::Deserialize;

use super::{Profile, ProviderError, configured, http::Http, keys::Keys};

const ISSUERS: &[&str] = &["https://appleid.apple.com"];

/// Sign in with Apple.
#[derive(Debug)]
pub struct Apple {
    keys: Keys,
    config: Arc<Config>,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    email_verified: Proven,
}

/// A boolean that some tokens have as a text.
#[derive(Default, Deserialize)]
#[serde(untagged)]
pub(super) enum Proven {
    #[default]
    Untold,
    Told(bool),
    Text(String),
}

impl Proven {
    /// The address, unless the provider says that the player has not shown to own it.
    pub(super) fn filter(&self, email: String) -> String {
        match self {
            Self::Told(false) => String::new(),
            Self::Text(text) if text != "true" => String::new(),
            _ => email,
        }
    }
}

impl Apple {
    pub(super) fn new(config: &Arc<Config>, http: &Http) -> Result<Self> {
        let url = configured("providers.apple_keys_url", &config.providers.apple_keys_url)?;
        Ok(Self { keys: Keys::new("Apple", url, http.clone()), config: Arc::clone(config) })
    }

    /// Whether a bundle id is configured.
    pub fn is_configured(&self) -> bool {
        self.bundle_ids().next().is_some()
    }

    /// Who `id_token` stands for.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn profile(&self, id_token: &str) -> Result<Profile, ProviderError> {
        let bundle_ids: Vec<&str> = self.bundle_ids().collect();
        if bundle_ids.is_empty() {
            return Err(ProviderError::refused("social.apple.bundle_id is not set"));
        }
        let claims: Claims = self.keys.claims(id_token, ISSUERS, &bundle_ids).await?;
        let email = claims.email_verified.filter(claims.email);
        Ok(Profile { email, ..Profile::of(claims.sub)? })
    }

    fn bundle_ids(&self) -> impl Iterator<Item = &str> {
        self.config.social.apple.bundle_id.split(',').map(str::trim).filter(|id| !id.is_empty())
    }
}
