//! Social networks and stores: who they say a player is, and what they say was bought.
//!
//! Nothing here knows the database. A provider is asked at the addresses of `providers.*`, with the
//! credentials of `social.*` and `iap.*`, so that tests can put a server of theirs in its place.

mod apple;
mod facebook;
mod game_center;
mod google;
mod http;
pub mod iap;
mod keys;
mod steam;

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use guildhall_core::{Fault, Result, Status, config::Config, error::OrFault as _};
use reqwest::Url;
use tokio::runtime::Handle;

pub use self::{
    apple::Apple,
    facebook::{Facebook, InstantGame, Login},
    game_center::{GameCenter, Signed},
    google::Google,
    steam::Steam,
};
use self::{
    http::Http,
    iap::{AppGallery, AppStore, FacebookInstantStore, GalaxyStore, GooglePlay},
};

/// Who a provider says a player is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// The player's id there, never empty.
    pub id: String,
    /// The id that the provider gave the player in former times, where it says so.
    pub former_id: Option<String>,
    /// The name to show; empty where not told.
    pub display_name: String,
    /// Where the player's picture is; empty where not told.
    pub avatar_url: String,
    /// The player's e-mail address; empty where not told, or told as unproven.
    pub email: String,
}

impl Profile {
    /// A profile of nothing but an id.
    ///
    /// # Errors
    /// [`ProviderError::Refused`] for an empty id.
    fn of(id: impl Into<String>) -> Result<Self, ProviderError> {
        match id.into() {
            id if id.is_empty() => Err(ProviderError::refused("the provider names no player")),
            id => Ok(Self { id, ..Self::default() }),
        }
    }
}

/// Why a provider did not confirm what it was asked. The text is for logs.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// It says no, or what was shown to us is not signed by it.
    #[error("{0}")]
    Refused(Cow<'static, str>),
    /// It did not answer, or said that it cannot for now.
    #[error("{provider} cannot be asked: {reason}")]
    Away {
        /// The provider's name.
        provider: &'static str,
        /// What failed.
        reason: String,
    },
}

impl ProviderError {
    fn refused(why: impl Into<Cow<'static, str>>) -> Self {
        Self::Refused(why.into())
    }

    fn away(provider: &'static str, reason: impl fmt::Display) -> Self {
        Self::Away { provider, reason: reason.to_string() }
    }

    /// The refusal that the client sees, after telling the log why.
    pub fn told(&self, refusal: Status) -> Status {
        match self {
            Self::Refused(_) => tracing::info!(error = %self, "{}", refusal.message),
            Self::Away { .. } => tracing::warn!(error = %self, "{}", refusal.message),
        }
        refusal
    }
}

/// All providers.
#[derive(Debug)]
pub struct Providers {
    apple: Apple,
    facebook: Facebook,
    instant_game: InstantGame,
    game_center: GameCenter,
    google: Google,
    steam: Steam,
    app_store: AppStore,
    google_play: GooglePlay,
    app_gallery: AppGallery,
    facebook_instant_store: FacebookInstantStore,
    galaxy_store: GalaxyStore,
}

impl Providers {
    /// The providers as `config` describes them; requests run on `io`.
    ///
    /// # Errors
    /// An address that is none, named; where TLS cannot be set up.
    pub fn new(config: &Arc<Config>, io: &Handle) -> Result<Self> {
        let providers = &config.providers;
        let timeout = Duration::from_millis(providers.timeout_ms);
        let http = Http::new(timeout, providers.retries, io.clone())
            .or_fault("Could not set up requests to providers.")?;
        Ok(Self {
            apple: Apple::new(config, &http)?,
            facebook: Facebook::new(config, &http)?,
            instant_game: InstantGame::new(config),
            game_center: GameCenter::new(config, &http)?,
            google: Google::new(config, &http)?,
            steam: Steam::new(config, &http)?,
            app_store: AppStore::new(config, &http)?,
            google_play: GooglePlay::new(config, &http)?,
            app_gallery: AppGallery::new(config, &http)?,
            facebook_instant_store: FacebookInstantStore::new(config),
            galaxy_store: GalaxyStore::new(config, &http)?,
        })
    }

    /// Sign in with Apple.
    pub fn apple(&self) -> &Apple {
        &self.apple
    }

    /// Facebook.
    pub fn facebook(&self) -> &Facebook {
        &self.facebook
    }

    /// Facebook Instant Games.
    pub fn instant_game(&self) -> &InstantGame {
        &self.instant_game
    }

    /// Game Center.
    pub fn game_center(&self) -> &GameCenter {
        &self.game_center
    }

    /// Sign in with Google.
    pub fn google(&self) -> &Google {
        &self.google
    }

    /// Steam.
    pub fn steam(&self) -> &Steam {
        &self.steam
    }

    /// Apple's App Store.
    pub fn app_store(&self) -> &AppStore {
        &self.app_store
    }

    /// Google Play.
    pub fn google_play(&self) -> &GooglePlay {
        &self.google_play
    }

    /// Huawei's AppGallery.
    pub fn app_gallery(&self) -> &AppGallery {
        &self.app_gallery
    }

    /// The shop of a Facebook Instant Game.
    pub fn facebook_instant_store(&self) -> &FacebookInstantStore {
        &self.facebook_instant_store
    }

    /// Samsung's Galaxy Store.
    pub fn galaxy_store(&self) -> &GalaxyStore {
        &self.galaxy_store
    }
}

/// The address under a key of the configuration.
fn configured(key: &'static str, text: &str) -> Result<Url> {
    let url = Url::parse(text).ok();
    url.filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https")).ok_or_else(|| {
        let message = format!("{key} is not an address such as https://example.com: {text:?}");
        Fault::new(message.clone(), message).into()
    })
}
