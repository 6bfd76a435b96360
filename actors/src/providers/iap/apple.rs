//! The App Store: signed transactions, and the receipts of former times.
//!
//! Source: Nakama, `iap/iap.go` and `server/core_purchase.go`; Apple, "JWSTransactionDecodedPayload"
//! and "verifyReceipt".

use std::{collections::HashSet, fs, sync::Arc, time::SystemTime};

use chrono::{DateTime, Utc};
use guildhall_core::{Code, Fault, Result, Status, config::Config};
use reqwest::Url;
use serde::Deserialize;
use serde_json::json;

use super::{
    Confirmed, Environment, Purchase, StoreError, Subscription, instant, instant_of, jws::Roots,
    maybe, named,
};
use crate::providers::{
    ProviderError, configured,
    http::{Http, post, unreadable},
};

const NAME: &str = "Apple";

/// A receipt of the sandbox was sent to the other address.
const FROM_SANDBOX: i64 = 21007;

const SUBSCRIPTION: &str = "Subscription Receipt. Use the appropriate function instead.";
const PURCHASE: &str = "Purchase Receipt. Use the appropriate function instead.";
const NOT_CONFIGURED: &str = "Apple IAP is not configured.";
const RETRY: Status = Status::new(
    Code::Unavailable,
    "Apple IAP verification is currently unavailable. Try again later.",
);

/// The App Store.
#[derive(Debug)]
pub struct AppStore {
    receipts: Url,
    sandbox: Url,
    roots: Roots,
    http: Http,
    config: Arc<Config>,
}

/// A transaction that the App Store signed. Times are in milliseconds, 0 for none.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Transaction {
    bundle_id: String,
    environment: String,
    expires_date: i64,
    original_purchase_date: i64,
    original_transaction_id: String,
    product_id: String,
    purchase_date: i64,
    revocation_date: i64,
    transaction_id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Receipts {
    environment: String,
    #[serde(rename = "is-retryable")]
    is_retryable: bool,
    latest_receipt_info: Vec<Item>,
    receipt: Receipt,
    status: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Receipt {
    in_app: Vec<Item>,
}

/// A transaction of a receipt. Times are digits of milliseconds, nothing for none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Item {
    cancellation_date_ms: String,
    expires_date_ms: String,
    original_purchase_date_ms: String,
    original_transaction_id: String,
    product_id: String,
    purchase_date_ms: String,
    transaction_id: String,
}

impl AppStore {
    pub(in crate::providers) fn new(config: &Arc<Config>, http: &Http) -> Result<Self> {
        let addresses = &config.providers;
        let file = &addresses.apple_root_certificate;
        let pem = if file.is_empty() { Ok(String::new()) } else { fs::read_to_string(file) };
        let roots = pem.ok().as_deref().and_then(Roots::read);
        let roots = roots.ok_or_else(|| {
            let message =
                format!("providers.apple_root_certificate is no file of certificates: {file:?}");
            Fault::new(message.clone(), message)
        })?;
        Ok(Self {
            receipts: configured("providers.apple_receipts_url", &addresses.apple_receipts_url)?,
            sandbox: configured(
                "providers.apple_sandbox_receipts_url",
                &addresses.apple_sandbox_receipts_url,
            )?,
            roots,
            http: http.clone(),
            config: Arc::clone(config),
        })
    }

    /// The purchases of a receipt: a signed transaction, or a receipt of former times, which needs
    /// the application's `password`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn purchases(
        &self,
        receipt: &str,
        password: &str,
    ) -> Result<Vec<Confirmed<Purchase>>, StoreError> {
        if is_signed(receipt) {
            let transaction = self.transaction(receipt)?;
            if transaction.expires_date != 0 {
                return Err(StoreError::invalid(SUBSCRIPTION));
            }
            return Ok(vec![signed(transaction.purchase()?, receipt)]);
        }
        let (receipts, answer) = self.receipts(receipt, password).await?;
        let environment = environment(&receipts.environment);
        let mut seen = HashSet::new();
        let items = receipts.receipt.in_app.iter().chain(&receipts.latest_receipt_info);
        let mut subscriptions = false;
        let mut purchases = Vec::new();
        for item in items {
            if !item.expires_date_ms.is_empty() {
                subscriptions = true;
            } else if seen.insert(&item.transaction_id) {
                purchases.push(Confirmed::new(item.purchase(environment)?, answer.clone()));
            }
        }
        match (purchases.is_empty(), subscriptions) {
            (true, true) => Err(StoreError::invalid(SUBSCRIPTION)),
            (true, false) => Err(ProviderError::refused("expects at least one receipt").into()),
            (false, _) => Ok(purchases),
        }
    }

    /// The subscriptions of a receipt, the one that ends last first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn subscriptions(
        &self,
        receipt: &str,
        password: &str,
    ) -> Result<Vec<Confirmed<Subscription>>, StoreError> {
        if is_signed(receipt) {
            let transaction = self.transaction(receipt)?;
            if transaction.expires_date == 0 {
                return Err(StoreError::invalid(PURCHASE));
            }
            return Ok(vec![signed(transaction.subscription()?, receipt)]);
        }
        let (receipts, answer) = self.receipts(receipt, password).await?;
        let environment = environment(&receipts.environment);
        let mut subscriptions = Vec::new();
        for item in receipts.latest_receipt_info.iter().filter(|it| !it.expires_date_ms.is_empty())
        {
            let subscription = item.subscription(environment)?;
            subscriptions.push(Confirmed::new(subscription, answer.clone()));
        }
        if subscriptions.is_empty() {
            return Err(StoreError::invalid(PURCHASE));
        }
        subscriptions.sort_by_key(|it| std::cmp::Reverse(it.bought.expires));
        Ok(subscriptions)
    }

    fn transaction(&self, jws: &str) -> Result<Transaction, ProviderError> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let transaction: Transaction = self.roots.verify(jws, now)?;
        let bundle_ids = &self.config.iap.apple.bundle_ids;
        if !bundle_ids.is_empty() && !bundle_ids.contains(&transaction.bundle_id) {
            return Err(ProviderError::refused("the transaction belongs to another application"));
        }
        Ok(transaction)
    }

    /// What the store says of a receipt, and its words.
    async fn receipts(
        &self,
        receipt: &str,
        password: &str,
    ) -> Result<(Receipts, String), StoreError> {
        if password.is_empty() {
            return Err(StoreError::invalid(NOT_CONFIGURED));
        }
        let mut answer = self.ask(&self.receipts, receipt, password).await?;
        if answer.0.status == FROM_SANDBOX {
            answer = self.ask(&self.sandbox, receipt, password).await?;
        }
        match answer.0 {
            Receipts { status: 0, .. } => Ok(answer),
            Receipts { is_retryable: true, .. } => Err(StoreError::Invalid(RETRY)),
            Receipts { status, .. } => {
                Err(StoreError::invalid(format!("Invalid Receipt. Status: {status}")))
            }
        }
    }

    async fn ask(
        &self,
        url: &Url,
        receipt: &str,
        password: &str,
    ) -> Result<(Receipts, String), ProviderError> {
        let body = json!({
            "receipt-data": receipt, "exclude-old-transactions": true, "password": password,
        });
        let request = post(url.clone(), "application/json; charset=utf-8", body.to_string());
        let answer = self.http.send(NAME, request).await?.text()?;
        let receipts = serde_json::from_str(&answer).map_err(|error| unreadable(NAME, &error))?;
        Ok((receipts, answer))
    }
}

impl Transaction {
    fn purchase(self) -> Result<Purchase, ProviderError> {
        Ok(Purchase {
            product_id: self.product_id,
            transaction_id: named(self.transaction_id)?,
            purchased: instant(self.purchase_date)?,
            refunded: maybe(self.revocation_date)?,
            environment: environment(&self.environment),
        })
    }

    fn subscription(self) -> Result<Subscription, ProviderError> {
        Ok(Subscription {
            product_id: self.product_id,
            original_transaction_id: named(self.original_transaction_id)?,
            purchased: instant(self.original_purchase_date)?,
            expires: instant(self.expires_date)?,
            refunded: maybe(self.revocation_date)?,
            environment: environment(&self.environment),
        })
    }
}

impl Item {
    fn purchase(&self, environment: Environment) -> Result<Purchase, ProviderError> {
        Ok(Purchase {
            product_id: self.product_id.clone(),
            transaction_id: named(self.transaction_id.clone())?,
            purchased: instant_of(&self.purchase_date_ms)?,
            refunded: self.cancelled()?,
            environment,
        })
    }

    fn subscription(&self, environment: Environment) -> Result<Subscription, ProviderError> {
        Ok(Subscription {
            product_id: self.product_id.clone(),
            original_transaction_id: named(self.original_transaction_id.clone())?,
            purchased: instant_of(&self.original_purchase_date_ms)?,
            expires: instant_of(&self.expires_date_ms)?,
            refunded: self.cancelled()?,
            environment,
        })
    }

    /// When the money was given back.
    fn cancelled(&self) -> Result<Option<DateTime<Utc>>, ProviderError> {
        let date = self.cancellation_date_ms.as_str();
        if date.is_empty() { Ok(None) } else { instant_of(date).map(Some) }
    }
}

/// Whether a receipt has the form of a signed transaction.
fn is_signed(receipt: &str) -> bool {
    receipt.split('.').count() == 3
}

fn signed<T>(bought: T, jws: &str) -> Confirmed<T> {
    Confirmed { bought, answer: json!({ "jws": jws }).to_string(), echo: true }
}

fn environment(name: &str) -> Environment {
    if name == "Sandbox" { Environment::Sandbox } else { Environment::Production }
}
