//! Steam, by session tickets.
//!
//! Source: Nakama, `social/social.go`; Steamworks, `ISteamUserAuth` and `ISteamUser`.

use std::sync::Arc;

use guildhall_core::{Result, config::Config};
use reqwest::{StatusCode, Url};
use serde::Deserialize;

use super::{
    Profile, ProviderError, configured,
    http::{Http, address},
};

const NAME: &str = "Steam";

/// Steam's Web API for publishers.
#[derive(Debug)]
pub struct Steam {
    url: Url,
    http: Http,
    config: Arc<Config>,
}

#[derive(Deserialize)]
struct Checked {
    response: Outcome,
}

#[derive(Deserialize)]
struct Outcome {
    params: Option<Player>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Player {
    steamid: String,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    errorcode: i64,
    #[serde(default)]
    errordesc: String,
}

#[derive(Deserialize)]
struct Friends {
    #[serde(alias = "friendsList")]
    friendslist: FriendList,
}

#[derive(Deserialize)]
struct FriendList {
    #[serde(default)]
    friends: Vec<Player>,
}

impl Steam {
    pub(super) fn new(config: &Arc<Config>, http: &Http) -> Result<Self> {
        let url = configured("providers.steam_url", &config.providers.steam_url)?;
        Ok(Self { url, http: http.clone(), config: Arc::clone(config) })
    }

    /// Whether publisher key and application id are configured.
    pub fn is_configured(&self) -> bool {
        let steam = &self.config.social.steam;
        !steam.publisher_key.reveal().is_empty() && steam.app_id != 0
    }

    /// Whose session `ticket` is.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn profile(&self, ticket: &str) -> Result<Profile, ProviderError> {
        let (key, app_id) = self.credentials()?;
        let query = [("format", "json"), ("key", key), ("appid", &app_id), ("ticket", ticket)];
        let url =
            address(&self.url, &["ISteamUserAuth", "AuthenticateUserTicket", "v1", ""], &query);
        let Checked { response } = self.http.get(NAME, url).await?.json()?;
        if let Some(Refusal { errorcode, errordesc }) = response.error {
            return Err(ProviderError::refused(format!("Steam refused: {errordesc}, {errorcode}")));
        }
        let player = response.params.ok_or(ProviderError::refused("Steam names no player"))?;
        Profile::of(id(player)?)
    }

    /// The Steam ids of the friends of `steam_id`; none where they are private.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn friends(&self, steam_id: &str) -> Result<Vec<String>, ProviderError> {
        let (key, _) = self.credentials()?;
        let query = [("key", key), ("steamid", steam_id), ("relationship", "friend")];
        let url = address(&self.url, &["ISteamUser", "GetFriendList", "v0001", ""], &query);
        let answer = self.http.get(NAME, url).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            return Ok(Vec::new());
        }
        let Friends { friendslist } = answer.json()?;
        friendslist.friends.into_iter().map(id).collect()
    }

    fn credentials(&self) -> Result<(&str, String), ProviderError> {
        let steam = &self.config.social.steam;
        if !self.is_configured() {
            return Err(ProviderError::refused("social.steam.* is not set"));
        }
        Ok((steam.publisher_key.reveal(), steam.app_id.to_string()))
    }
}

/// A Steam id: the digits of a 64-bit number.
fn id(player: Player) -> Result<String, ProviderError> {
    let number: Option<u64> = player.steamid.parse().ok();
    let id = number.map(|id| id.to_string());
    id.ok_or_else(|| ProviderError::refused(format!("no Steam id: {:?}", player.steamid)))
}
