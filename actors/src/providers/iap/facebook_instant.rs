//! Purchases in Facebook Instant Games, which the game's secret signs.
//!
//! Source: Facebook, "In-App Purchases: verification"; Nakama, `iap/iap.go`.

use std::sync::Arc;

use guildhall_core::config::Config;
use serde::Deserialize;

use super::{Confirmed, Environment, Purchase, StoreError, instant, named};
use crate::providers::facebook::signed;

/// The shop of a Facebook Instant Game.
#[derive(Debug)]
pub struct FacebookInstantStore {
    config: Arc<Config>,
}

#[derive(Deserialize)]
struct Payment {
    product_id: String,
    /// Seconds.
    #[serde(default)]
    purchase_time: f64,
    purchase_token: String,
}

impl FacebookInstantStore {
    pub(in crate::providers) fn new(config: &Arc<Config>) -> Self {
        Self { config: Arc::clone(config) }
    }

    /// Whether a secret is configured.
    pub fn is_configured(&self) -> bool {
        !self.config.iap.facebook_instant.app_secret.reveal().is_empty()
    }

    /// The purchase of a signed request.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn purchase(&self, request: &str) -> Result<Confirmed<Purchase>, StoreError> {
        let secret = self.config.iap.facebook_instant.app_secret.reveal();
        let (answer, payment): (_, Payment) = signed(request, secret)?;
        let purchase = Purchase {
            product_id: payment.product_id,
            transaction_id: named(payment.purchase_token)?,
            purchased: instant((payment.purchase_time as i64).saturating_mul(1000))?,
            refunded: None,
            environment: Environment::Production,
        };
        Ok(Confirmed::new(purchase, answer))
    }
}
