//! Facebook: access tokens, Limited Login, friends, and Instant Games.
//!
//! Source: Nakama, `social/social.go`; Facebook, "Graph API", "Limited Login", "Instant Games".

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use guildhall_core::{Result, config::Config};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Url;
use serde::Deserialize;
use sha2::Sha256;

use super::{
    Profile, ProviderError, configured,
    http::{Http, address},
    keys::Keys,
};

const NAME: &str = "Facebook";

const ISSUERS: &[&str] = &["https://www.facebook.com", "https://facebook.com"];

/// The most pages of friends that are read, of 25 and more each: nobody may have more than 5000
/// friends there.
const MAX_PAGES: usize = 250;

/// Facebook.
#[derive(Debug)]
pub struct Facebook {
    graph: Url,
    keys: Keys,
    http: Http,
    config: Arc<Config>,
}

/// How a player signed in to Facebook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// By an access token, which shows friends too.
    Full,
    /// By a token that says who the player is and grants nothing.
    Limited,
}

#[derive(Deserialize)]
struct Person {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    email: String,
    picture: Option<Picture>,
}

#[derive(Deserialize)]
struct Picture {
    data: PictureData,
}

#[derive(Deserialize)]
struct PictureData {
    #[serde(default)]
    url: String,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Friend>,
    #[serde(default)]
    paging: Paging,
}

#[derive(Deserialize)]
struct Friend {
    id: String,
}

#[derive(Default, Deserialize)]
struct Paging {
    #[serde(default)]
    cursors: Cursors,
    #[serde(default)]
    next: String,
}

#[derive(Default, Deserialize)]
struct Cursors {
    #[serde(default)]
    after: String,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    picture: String,
}

impl Facebook {
    pub(super) fn new(config: &Arc<Config>, http: &Http) -> Result<Self> {
        let addresses = &config.providers;
        let keys = configured("providers.facebook_keys_url", &addresses.facebook_keys_url)?;
        Ok(Self {
            graph: configured("providers.facebook_graph_url", &addresses.facebook_graph_url)?,
            keys: Keys::new("Facebook Limited Login", keys, http.clone()),
            http: http.clone(),
            config: Arc::clone(config),
        })
    }

    /// Who `token` stands for: a token of Limited Login, or else an access token.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn profile(&self, token: &str) -> Result<(Profile, Login), ProviderError> {
        if let Ok(profile) = self.limited(token).await {
            return Ok((profile, Login::Limited));
        }
        let query = [("access_token", token), ("fields", "id,name,email,picture")];
        let url = address(&self.graph, &["me"], &query);
        let person: Person = self.http.get(NAME, url).await?.json()?;
        let profile = Profile {
            display_name: person.name,
            avatar_url: person.picture.map(|picture| picture.data.url).unwrap_or_default(),
            email: person.email,
            ..Profile::of(person.id)?
        };
        Ok((profile, Login::Full))
    }

    async fn limited(&self, token: &str) -> Result<Profile, ProviderError> {
        let app_id = self.config.social.facebook_limited_login.app_id.as_str();
        let audiences: &[&str] = if app_id.is_empty() { &[] } else { &[app_id] };
        let claims: Claims = self.keys.claims(token, ISSUERS, audiences).await?;
        Ok(Profile {
            display_name: claims.name,
            avatar_url: claims.picture,
            email: claims.email,
            ..Profile::of(claims.sub)?
        })
    }

    /// The Facebook ids of the friends who play this game too; `token` is an access token with the
    /// permission `user_friends`.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn friends(&self, token: &str) -> Result<Vec<String>, ProviderError> {
        let mut friends = Vec::new();
        let mut after = String::new();
        for _ in 0..MAX_PAGES {
            let mut url = address(&self.graph, &["me", "friends"], &[("access_token", token)]);
            if !after.is_empty() {
                url.query_pairs_mut().append_pair("after", &after);
            }
            let page: Page = self.http.get(NAME, url).await?.json()?;
            friends.extend(page.data.into_iter().map(|friend| friend.id));
            // A page that leads to itself is the last one, too.
            if page.paging.next.is_empty() || page.paging.cursors.after == after {
                break;
            }
            after = page.paging.cursors.after;
        }
        Ok(friends)
    }
}

/// Facebook Instant Games: players whose ids the game's secret signs.
#[derive(Debug)]
pub struct InstantGame {
    config: Arc<Config>,
}

#[derive(Deserialize)]
struct PlayerInfo {
    algorithm: String,
    player_id: String,
}

impl InstantGame {
    pub(super) fn new(config: &Arc<Config>) -> Self {
        Self { config: Arc::clone(config) }
    }

    /// Whether a secret is configured.
    pub fn is_configured(&self) -> bool {
        !self.config.social.facebook_instant_game.app_secret.reveal().is_empty()
    }

    /// Who `signed_player_info` stands for.
    ///
    /// # Errors
    /// [`ProviderError::Refused`], also where no secret is configured: the reference then takes
    /// what anybody signed with an empty one.
    pub fn profile(&self, signed_player_info: &str) -> Result<Profile, ProviderError> {
        let secret = self.config.social.facebook_instant_game.app_secret.reveal();
        let info: PlayerInfo = signed(signed_player_info, secret)?.1;
        if !matches!(info.algorithm.as_str(), "HMAC-SHA256" | "HS256") {
            return Err(ProviderError::refused("unknown signing method"));
        }
        Profile::of(info.player_id)
    }
}

/// The text and the meaning of `signature.payload`, both in base64url, if `secret` signed it.
pub(super) fn signed<T: for<'a> Deserialize<'a>>(
    request: &str,
    secret: &str,
) -> Result<(String, T), ProviderError> {
    if secret.is_empty() {
        return Err(ProviderError::refused("no application secret is set"));
    }
    let malformed = || ProviderError::refused("malformed signed request");
    let (signature, payload) = request.split_once('.').ok_or_else(malformed)?;
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text.trim_end_matches('='));
    let signature = decode(signature).map_err(|_| malformed())?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(|_| malformed())?;
    mac.update(payload.as_bytes());
    if mac.verify_slice(&signature).is_err() {
        return Err(ProviderError::refused("wrong signature"));
    }
    let text = String::from_utf8(decode(payload).map_err(|_| malformed())?);
    let text = text.map_err(|_| malformed())?;
    let meaning = serde_json::from_str(&text);
    Ok((text, meaning.map_err(|error| ProviderError::refused(error.to_string()))?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn sign(payload: &str, secret: &str) -> String {
        let payload = URL_SAFE_NO_PAD.encode(payload);
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(payload.as_bytes());
        format!("{}.{payload}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    fn profile(signed_player_info: &str, secret: &str) -> Result<Profile, ProviderError> {
        let mut config = Config::default();
        config.social.facebook_instant_game.app_secret = secret.into();
        InstantGame::new(&Arc::new(config)).profile(signed_player_info)
    }

    #[test]
    fn a_player_is_whom_the_secret_signed() {
        let info = r#"{"algorithm":"HMAC-SHA256","issued_at":1,"player_id":"1906"}"#;
        let good = sign(info, "secret");
        assert_eq!(profile(&good, "secret").unwrap().id, "1906");
        assert!(profile(&good, "other").is_err());
        assert!(profile(&good.replace('.', ".a"), "secret").is_err());
        assert!(profile("x", "secret").is_err());
        assert!(
            profile(&sign(r#"{"algorithm":"none","player_id":"1"}"#, "secret"), "secret").is_err()
        );
        assert!(
            profile(&sign(r#"{"algorithm":"HS256","player_id":""}"#, "secret"), "secret").is_err()
        );
    }

    #[test]
    fn without_a_secret_nobody_is_anybody() {
        assert!(profile(&sign(r#"{"algorithm":"HS256","player_id":"1"}"#, ""), "").is_err());
    }
}
