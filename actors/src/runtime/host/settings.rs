//! The configuration that modules see.

use guildhall_core::{
    Result,
    config::{Config, LogLevel, Protocol},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    cx::Cx,
    host::{HostFn, Language, Origin},
};

/// `nk.get_config()`; JavaScript has `initializer.getConfig()`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct GetConfig {}

impl HostFn for GetConfig {
    const NAME: &'static str = "get_config";
    const LANGUAGES: &'static [Language] = &[Language::Lua];
    type Output = Value;

    async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<Value> {
        Ok(shown(&cx.config))
    }
}

/// What modules see of the configuration: keys included, as they sign their own tokens with them.
///
/// Source of the shape: Nakama, `GetRuntimeConfig`.
pub fn shown(config: &Config) -> Value {
    let Config { session, socket, social, runtime, iap, google_auth, satori, .. } = config;
    let level = match config.logger.level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    };
    let protocol = match socket.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Tcp4 => "tcp4",
        Protocol::Tcp6 => "tcp6",
    };
    json!({
        "name": config.name,
        "shutdown_grace_sec": config.shutdown_grace_sec,
        "logger": { "level": level },
        "session": {
            "encryption_key": session.encryption_key.reveal(),
            "token_expiry_sec": session.token_expiry_sec,
            "refresh_encryption_key": session.refresh_encryption_key.reveal(),
            "refresh_token_expiry_sec": session.refresh_token_expiry_sec,
            "single_socket": session.single_socket,
            "single_match": session.single_match,
            "single_party": session.single_party,
            "single_session": session.single_session,
        },
        "socket": {
            "server_key": socket.server_key.reveal(),
            "port": socket.port,
            "address": socket.address,
            "protocol": protocol,
        },
        "social": {
            "steam": {
                "publisher_key": social.steam.publisher_key.reveal(),
                "app_id": social.steam.app_id,
            },
            "facebook_instant_game": {
                "app_secret": social.facebook_instant_game.app_secret.reveal(),
            },
            "facebook_limited_login": { "app_id": social.facebook_limited_login.app_id },
            "apple": { "bundle_id": social.apple.bundle_id },
        },
        "runtime": { "env": *runtime.env, "http_key": runtime.http_key.reveal() },
        "iap": {
            "apple": {
                "shared_password": iap.apple.shared_password.reveal(),
                "notifications_endpoint_id": iap.apple.notifications_endpoint_id.reveal(),
            },
            "google": {
                "client_email": iap.google.client_email,
                "private_key": iap.google.private_key.reveal(),
                "notifications_endpoint_id": iap.google.notifications_endpoint_id.reveal(),
            },
            "huawei": {
                "public_key": iap.huawei.public_key,
                "client_id": iap.huawei.client_id,
                "client_secret": iap.huawei.client_secret.reveal(),
            },
            "facebook_instant": { "app_secret": iap.facebook_instant.app_secret.reveal() },
            "samsung": { "package_name": iap.samsung.package_name },
        },
        "google_auth": { "credentials_json": google_auth.credentials_json.reveal() },
        "satori": {
            "url": satori.url,
            "api_key_name": satori.api_key_name,
            "api_key": satori.api_key.reveal(),
            "signing_key": satori.signing_key.reveal(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_see_keys_and_limits() {
        let shown = shown(&Config::default());
        assert_eq!(shown["session"]["encryption_key"], "defaultencryptionkey");
        assert_eq!(shown["session"]["token_expiry_sec"], 60);
        assert_eq!(shown["socket"]["protocol"], "tcp");
        assert_eq!(shown["social"]["steam"]["app_id"], 0);
        assert_eq!(shown["runtime"]["env"], json!({}));
    }
}
