//! Samsung's Galaxy Store.
//!
//! Source: Samsung, "IAP Server API"; Nakama, `iap/iap_samsung.go`.

use std::sync::Arc;

use chrono::NaiveDateTime;
use guildhall_core::{Result, config::Config};
use reqwest::Url;
use serde::Deserialize;

use super::{Confirmed, Environment, Purchase, StoreError};
use crate::providers::{
    ProviderError, configured,
    http::{Http, address, unreadable},
};

const NAME: &str = "Samsung";

/// The Galaxy Store.
#[derive(Debug)]
pub struct GalaxyStore {
    receipts: Url,
    http: Http,
    config: Arc<Config>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Receipt {
    status: String,
    mode: String,
    package_name: String,
    item_id: String,
    purchase_date: String,
    error_code: i64,
    error_message: String,
}

impl GalaxyStore {
    pub(in crate::providers) fn new(config: &Arc<Config>, http: &Http) -> Result<Self> {
        let url = &config.providers.samsung_receipts_url;
        Ok(Self {
            receipts: configured("providers.samsung_receipts_url", url)?,
            http: http.clone(),
            config: Arc::clone(config),
        })
    }

    /// The purchase of this id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn purchase(&self, purchase_id: &str) -> Result<Confirmed<Purchase>, StoreError> {
        let url = address(&self.receipts, &[], &[("purchaseID", purchase_id)]);
        let answer = self.http.get(NAME, url).await?.text()?;
        let receipt: Receipt =
            serde_json::from_str(&answer).map_err(|error| unreadable(NAME, &error))?;
        if receipt.status != "success" {
            let Receipt { status, error_code, error_message, .. } = receipt;
            let why = if error_message.is_empty() { status } else { error_message };
            let why =
                format!("Samsung IAP: purchase validation failed: {why} (errorCode={error_code})");
            return Err(ProviderError::refused(why).into());
        }
        let wanted = self.config.iap.samsung.package_name.as_str();
        // A receipt that does not say whose it is, is not ours.
        if !wanted.is_empty() && receipt.package_name != wanted {
            return Err(ProviderError::refused("Samsung IAP: package name mismatch").into());
        }
        if receipt.item_id.is_empty() {
            return Err(ProviderError::refused("Samsung IAP response missing itemId").into());
        }
        let date = NaiveDateTime::parse_from_str(&receipt.purchase_date, "%Y-%m-%d %H:%M:%S");
        let purchase = Purchase {
            product_id: receipt.item_id,
            transaction_id: purchase_id.to_owned(),
            purchased: date.map(|date| date.and_utc()).unwrap_or_default(),
            refunded: None,
            environment: match receipt.mode.as_str() {
                "TEST" => Environment::Sandbox,
                _ => Environment::Production,
            },
        };
        Ok(Confirmed::new(purchase, answer))
    }
}
