//! Google Play.
//!
//! Source: Nakama, `iap/iap.go`; Google, "Android Publisher API". Beyond Nakama, what Google says of
//! a purchase counts, not what the client says it says.

use chrono::{DateTime, Utc};
use guildhall_core::{Result, config::Config};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{
    Method, Request, StatusCode, Url,
    header::{AUTHORIZATION, HeaderValue},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Confirmed, Environment, Purchase, StoreError, Subscription, instant, instant_of, malformed,
    named,
    tokens::{self, Tokens},
};
use crate::providers::{
    ProviderError, configured,
    http::{Http, address, form, unreadable},
};

const NAME: &str = "Google";

const SCOPE: &str = "https://www.googleapis.com/auth/androidpublisher";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Google Play.
#[derive(Debug)]
pub struct GooglePlay {
    token_url: Url,
    publisher: Url,
    tokens: Tokens,
    http: Http,
}

/// A service account, which may see the purchases of an application.
#[derive(Clone, Copy)]
pub struct ServiceAccount<'a> {
    /// Its e-mail address.
    pub client_email: &'a str,
    /// Its private key, PKCS #8 in PEM.
    pub private_key: &'a str,
}

/// What Google Play gives the client.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Receipt {
    package_name: String,
    product_id: String,
    purchase_state: i64,
    purchase_time: i64,
    purchase_token: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Product {
    #[serde(default)]
    purchase_state: i64,
    #[serde(default)]
    purchase_time_millis: String,
    /// Left out for purchases that cost money; 0 for those to try things out.
    purchase_type: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SubscriptionV2 {
    #[serde(default)]
    line_items: Vec<LineItem>,
    #[serde(default)]
    linked_purchase_token: String,
    test_purchase: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LineItem {
    expiry_time: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
    #[serde(default)]
    expires_in: u64,
}

impl ServiceAccount<'_> {
    /// Whether it has both its parts.
    pub fn is_complete(&self) -> bool {
        !self.client_email.is_empty() && !self.private_key.is_empty()
    }
}

impl GooglePlay {
    pub(in crate::providers) fn new(config: &Config, http: &Http) -> Result<Self> {
        let addresses = &config.providers;
        Ok(Self {
            token_url: configured("providers.google_token_url", &addresses.google_token_url)?,
            publisher: configured("providers.google_play_url", &addresses.google_play_url)?,
            tokens: Tokens::default(),
            http: http.clone(),
        })
    }

    /// The purchase of a receipt, as the client got it from Google Play.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn purchase(
        &self,
        account: ServiceAccount<'_>,
        receipt: &str,
    ) -> Result<Confirmed<Purchase>, StoreError> {
        let receipt = Receipt::read(receipt)?;
        if receipt.purchase_state != 0 {
            return Err(invalid(receipt.purchase_state));
        }
        let path = [
            "applications",
            &receipt.package_name,
            "purchases",
            "products",
            &receipt.product_id,
            "tokens",
            &receipt.purchase_token,
        ];
        let answer = self.get(account, &path).await?;
        let product: Product =
            serde_json::from_str(&answer).map_err(|error| unreadable(NAME, &error))?;
        // The client has written the receipt, and may have changed it.
        if product.purchase_state != 0 {
            return Err(invalid(product.purchase_state));
        }
        let purchased = match product.purchase_time_millis.as_str() {
            "" => instant(receipt.purchase_time)?,
            digits => instant_of(digits)?,
        };
        let purchase = Purchase {
            product_id: receipt.product_id,
            transaction_id: named(receipt.purchase_token)?,
            purchased,
            refunded: None,
            environment: environment(product.purchase_type == Some(0)),
        };
        Ok(Confirmed::new(purchase, answer))
    }

    /// The subscription of a receipt, as the client got it from Google Play.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn subscription(
        &self,
        account: ServiceAccount<'_>,
        receipt: &str,
    ) -> Result<Confirmed<Subscription>, StoreError> {
        let receipt = Receipt::read(receipt)?;
        let path = [
            "applications",
            &receipt.package_name,
            "purchases",
            "subscriptionsv2",
            "tokens",
            &receipt.purchase_token,
        ];
        let answer = self.get(account, &path).await?;
        let found: SubscriptionV2 =
            serde_json::from_str(&answer).map_err(|error| unreadable(NAME, &error))?;
        let item = found.line_items.first();
        let item = item.ok_or(ProviderError::refused("the subscription has no product"))?;
        // A change of plan makes a new token, and is the same subscription.
        let original = match found.linked_purchase_token {
            linked if linked.is_empty() => receipt.purchase_token,
            linked => linked,
        };
        let subscription = Subscription {
            product_id: receipt.product_id,
            original_transaction_id: named(original)?,
            purchased: instant(receipt.purchase_time)?,
            expires: item.expiry_time.unwrap_or_default(),
            refunded: None,
            environment: environment(found.test_purchase.is_some()),
        };
        Ok(Confirmed::new(subscription, answer))
    }

    async fn get(
        &self,
        account: ServiceAccount<'_>,
        path: &[&str],
    ) -> Result<String, ProviderError> {
        let name = tokens::name(&[account.client_email, account.private_key]);
        if let Some(token) = self.tokens.get(&name) {
            let answer = self.get_with(&token, path).await?;
            if answer.status != StatusCode::UNAUTHORIZED {
                return answer.text();
            }
            // It was taken back before its time.
            self.tokens.forget(&name);
        }
        let token = self.token(account).await?;
        self.tokens.keep(name, &token.access_token, token.expires_in);
        self.get_with(&token.access_token, path).await?.text()
    }

    async fn get_with(
        &self,
        token: &str,
        path: &[&str],
    ) -> Result<crate::providers::http::Answer, ProviderError> {
        let mut request = Request::new(Method::GET, address(&self.publisher, path, &[]));
        let bearer = HeaderValue::from_str(&format!("Bearer {token}"));
        let bearer = bearer.map_err(|error| unreadable(NAME, &error))?;
        request.headers_mut().insert(AUTHORIZATION, bearer);
        self.http.send(NAME, request).await
    }

    /// Source: Google, "Using OAuth 2.0 for Server to Server Applications".
    async fn token(&self, account: ServiceAccount<'_>) -> Result<Token, ProviderError> {
        let invalid = |_| ProviderError::refused("google iap private key invalid");
        // An environment variable has a key in one line.
        let pem = account.private_key.replace("\\n", "\n");
        let key = EncodingKey::from_rsa_pem(pem.as_bytes()).map_err(invalid)?;
        let now = Utc::now().timestamp();
        let claims = json!({
            "iss": account.client_email, "scope": SCOPE, "aud": self.token_url.as_str(),
            "iat": now, "exp": now + 3600,
        });
        let assertion =
            jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).map_err(invalid)?;
        let fields = [("grant_type", GRANT), ("assertion", &assertion)];
        self.http.send(NAME, form(self.token_url.clone(), &fields)).await?.json()
    }
}

impl Receipt {
    /// Reads a receipt, which may stand as a text in the field `json` of an object.
    fn read(text: &str) -> Result<Self, ProviderError> {
        let outer: Value = serde_json::from_str(text).map_err(|_| malformed())?;
        let receipt = match outer.get("json").and_then(Value::as_str) {
            Some(inner) => serde_json::from_str(inner),
            None => serde_json::from_value(outer),
        };
        let receipt: Self = receipt.map_err(|_| malformed())?;
        if receipt.package_name.is_empty() || receipt.purchase_token.is_empty() {
            return Err(malformed());
        }
        Ok(receipt)
    }
}

fn invalid(state: i64) -> StoreError {
    StoreError::invalid(format!("Invalid Receipt. State: {state}"))
}

fn environment(sandbox: bool) -> Environment {
    if sandbox { Environment::Sandbox } else { Environment::Production }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_receipt_stands_alone_or_in_a_wrapper() {
        let receipt = json!({
            "orderId": "GPA.1", "packageName": "com.example", "productId": "gems",
            "purchaseTime": 1_607_721_533_824_i64, "purchaseState": 0, "purchaseToken": "token",
        });
        let wrapped = json!({ "json": receipt.to_string(), "signature": "x" });
        for text in [receipt.to_string(), wrapped.to_string()] {
            let read = Receipt::read(&text).unwrap();
            assert_eq!((read.product_id.as_str(), read.purchase_token.as_str()), ("gems", "token"));
        }
        for text in ["", "{}", "[]", "7", r#"{"json":"x"}"#, r#"{"packageName":7}"#] {
            assert!(Receipt::read(text).is_err(), "{text}");
        }
    }
}
