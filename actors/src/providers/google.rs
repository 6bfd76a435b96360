//! Sign in with Google: by ID tokens, and by the authorization codes of Google Play Games.
//!
//! Source: Nakama, `social/social.go`; Google, "Verify the Google ID token on your server side",
//! "Server-side access to Google Play Games Services". Beyond Nakama, the audience is checked where
//! client ids are configured.

use std::sync::Arc;

use guildhall_core::{Result, config::Config};
use reqwest::Url;
use serde::Deserialize;

use super::{
    Profile, ProviderError,
    apple::Proven,
    configured,
    http::{Http, address, form, unreadable},
    keys::Keys,
};

const NAME: &str = "Google";

const ISSUERS: &[&str] = &["https://accounts.google.com", "accounts.google.com"];

/// Sign in with Google.
#[derive(Debug)]
pub struct Google {
    keys: Keys,
    games: Url,
    http: Http,
    config: Arc<Config>,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    picture: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    email_verified: Proven,
}

/// The credentials of an OAuth client, as Google's console hands them out.
#[derive(Deserialize)]
struct Credentials {
    #[serde(alias = "installed")]
    web: OauthClient,
}

#[derive(Deserialize)]
struct OauthClient {
    client_id: String,
    client_secret: String,
    token_uri: String,
    #[serde(default)]
    redirect_uris: Vec<String>,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Player {
    player_id: String,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    avatar_image_url: String,
    original_player_id: Option<String>,
}

impl Google {
    pub(super) fn new(config: &Arc<Config>, http: &Http) -> Result<Self> {
        let addresses = &config.providers;
        let keys = configured("providers.google_keys_url", &addresses.google_keys_url)?;
        if config.social.google.client_ids.is_empty() {
            tracing::debug!("social.google.client_ids is empty: tokens made for others count too");
        }
        Ok(Self {
            keys: Keys::new(NAME, keys, http.clone()),
            games: configured("providers.google_games_url", &addresses.google_games_url)?,
            http: http.clone(),
            config: Arc::clone(config),
        })
    }

    /// Who `token` stands for: an ID token, or else an authorization code of Google Play Games.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn profile(&self, token: &str) -> Result<Profile, ProviderError> {
        if jsonwebtoken::decode_header(token).is_err() {
            return self.player(token).await;
        }
        let audiences = self.config.social.google.client_ids.iter();
        let audiences: Vec<&str> = audiences.map(String::as_str).collect();
        let claims: Claims = self.keys.claims(token, ISSUERS, &audiences).await?;
        Ok(Profile {
            display_name: claims.name,
            avatar_url: claims.picture,
            email: claims.email_verified.filter(claims.email),
            ..Profile::of(claims.sub)?
        })
    }

    /// The player who was given `code`.
    async fn player(&self, code: &str) -> Result<Profile, ProviderError> {
        let client = self.oauth_client()?;
        let url = Url::parse(&client.token_uri)
            .map_err(|error| unreadable("google_auth.credentials_json", &error))?;
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("client_id", &client.client_id),
            ("client_secret", &client.client_secret),
            ("redirect_uri", client.redirect_uris.first().map_or("", String::as_str)),
        ];
        let token: Token = self.http.send(NAME, form(url, &fields)).await?.json()?;
        let query = [("access_token", token.access_token.as_str())];
        let url = address(&self.games, &["players", "me"], &query);
        let player: Player = self.http.get(NAME, url).await?.json()?;
        Ok(Profile {
            display_name: player.display_name,
            avatar_url: player.avatar_image_url,
            former_id: player.original_player_id.filter(|id| !id.is_empty()),
            ..Profile::of(player.player_id)?
        })
    }

    fn oauth_client(&self) -> Result<OauthClient, ProviderError> {
        let credentials = self.config.google_auth.credentials_json.reveal();
        if credentials.is_empty() {
            return Err(ProviderError::refused(
                "no ID token, and for codes google_auth.credentials_json is not set",
            ));
        }
        let read = serde_json::from_str(credentials);
        let credentials: Credentials =
            read.map_err(|error| unreadable("google_auth.credentials_json", &error))?;
        Ok(credentials.web)
    }
}
