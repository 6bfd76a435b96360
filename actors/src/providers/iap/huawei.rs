//! Huawei's AppGallery.
//!
//! Source: Huawei, "In-App Purchases: verifying the purchase token for the order service", and
//! Nakama, `iap/iap.go`, which asks at an address that does not exist.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use guildhall_core::{Result, config::Config};
use reqwest::{
    Url,
    header::{AUTHORIZATION, HeaderValue},
};
use rsa::{
    Pkcs1v15Sign, RsaPublicKey,
    pkcs8::DecodePublicKey as _,
    sha2::{Digest as _, Sha256},
};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Value, json};

use super::{
    Confirmed, Environment, Purchase, StoreError, instant, malformed, named,
    tokens::{self, Tokens},
};
use crate::providers::{
    ProviderError, configured,
    http::{Http, address, form, post, unreadable},
};

const NAME: &str = "Huawei";

/// Players in Germany.
const GERMANY: i64 = 1;

/// The AppGallery.
#[derive(Debug)]
pub struct AppGallery {
    token_url: Url,
    orders: Url,
    orders_germany: Url,
    tokens: Tokens,
    http: Http,
    config: Arc<Config>,
}

/// What the AppGallery gives the client.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PurchaseData {
    account_flag: i64,
    product_id: String,
    purchase_time: i64,
    purchase_token: String,
    /// Left out for purchases that cost money; 0 for those to try things out.
    purchase_type: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verified {
    response_code: Value,
    #[serde(default, deserialize_with = "text_or_object")]
    purchase_token_data: PurchaseData,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
    #[serde(default)]
    expires_in: u64,
}

impl AppGallery {
    pub(in crate::providers) fn new(config: &Arc<Config>, http: &Http) -> Result<Self> {
        let addresses = &config.providers;
        Ok(Self {
            token_url: configured("providers.huawei_token_url", &addresses.huawei_token_url)?,
            orders: configured("providers.huawei_orders_url", &addresses.huawei_orders_url)?,
            orders_germany: configured(
                "providers.huawei_orders_germany_url",
                &addresses.huawei_orders_germany_url,
            )?,
            tokens: Tokens::default(),
            http: http.clone(),
            config: Arc::clone(config),
        })
    }

    /// Whether all credentials are configured.
    pub fn is_configured(&self) -> bool {
        let huawei = &self.config.iap.huawei;
        !(huawei.public_key.is_empty()
            || huawei.client_id.is_empty()
            || huawei.client_secret.reveal().is_empty())
    }

    /// The purchase that `data` describes, as the client got it with its `signature`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn purchase(
        &self,
        data: &str,
        signature: &str,
    ) -> Result<Confirmed<Purchase>, StoreError> {
        let huawei = &self.config.iap.huawei;
        if !is_signed(data, signature, &huawei.public_key) {
            return Err(ProviderError::refused("inAppPurchaseData invalid signature").into());
        }
        let data: PurchaseData = serde_json::from_str(data).map_err(|_| malformed())?;
        let base = if data.account_flag == GERMANY { &self.orders_germany } else { &self.orders };
        let url = address(base, &["applications", "purchases", "tokens", "verify"], &[]);
        let body = json!({ "purchaseToken": data.purchase_token, "productId": data.product_id });
        let mut request = post(url, "application/json; charset=UTF-8", body.to_string());
        let authorization = STANDARD.encode(format!("APPAT:{}", self.token().await?));
        let authorization = HeaderValue::from_str(&format!("Basic {authorization}"));
        let authorization = authorization.map_err(|error| unreadable(NAME, &error))?;
        request.headers_mut().insert(AUTHORIZATION, authorization);
        let answer = self.http.send(NAME, request).await?.text()?;
        let verified: Verified =
            serde_json::from_str(&answer).map_err(|error| unreadable(NAME, &error))?;
        let code = match verified.response_code {
            Value::String(code) => code,
            code => code.to_string(),
        };
        if code != "0" {
            return Err(StoreError::invalid(format!("Invalid Receipt. Code: {code}")));
        }
        let purchase = Purchase {
            product_id: verified.purchase_token_data.product_id,
            transaction_id: named(verified.purchase_token_data.purchase_token)?,
            purchased: instant(data.purchase_time)?,
            refunded: None,
            environment: match data.purchase_type {
                Some(0) => Environment::Sandbox,
                _ => Environment::Production,
            },
        };
        Ok(Confirmed::new(purchase, answer))
    }

    async fn token(&self) -> Result<String, ProviderError> {
        let huawei = &self.config.iap.huawei;
        let secret = huawei.client_secret.reveal();
        let name = tokens::name(&[&huawei.client_id, secret]);
        if let Some(token) = self.tokens.get(&name) {
            return Ok(token);
        }
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_id", &huawei.client_id),
            ("client_secret", secret),
        ];
        let request = form(self.token_url.clone(), &fields);
        let token: Token = self.http.send(NAME, request).await?.json()?;
        self.tokens.keep(name, &token.access_token, token.expires_in);
        Ok(token.access_token)
    }
}

/// Whether the key, in base64, signed `data`.
fn is_signed(data: &str, signature: &str, public_key: &str) -> bool {
    let key = STANDARD.decode(public_key).ok();
    let key = key.and_then(|der| RsaPublicKey::from_public_key_der(&der).ok());
    let (Some(key), Ok(signature)) = (key, STANDARD.decode(signature)) else { return false };
    let digest = Sha256::digest(data);
    key.verify(Pkcs1v15Sign::new::<Sha256>(), &digest, &signature).is_ok()
}

/// Huawei sends the purchase as a text of JSON.
fn text_or_object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PurchaseData, D::Error> {
    let read = match Value::deserialize(deserializer)? {
        Value::String(text) => serde_json::from_str(&text),
        value => serde_json::from_value(value),
    };
    read.map_err(de::Error::custom)
}
