//! Stores: what they say was bought.

mod apple;
mod facebook_instant;
mod google;
mod huawei;
mod jws;
mod samsung;
mod tokens;

use chrono::{DateTime, Utc};
use guildhall_core::{Code, Status};

pub use self::{
    apple::AppStore, facebook_instant::FacebookInstantStore, google::GooglePlay,
    google::ServiceAccount, huawei::AppGallery, samsung::GalaxyStore,
};
use super::ProviderError;

/// Whether a purchase cost money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// No: it was made to try things out.
    Sandbox,
    /// Yes.
    Production,
}

/// What was bought once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purchase {
    /// The product.
    pub product_id: String,
    /// What the store calls the purchase; never empty.
    pub transaction_id: String,
    /// When it was made.
    pub purchased: DateTime<Utc>,
    /// When the money was given back, if it was.
    pub refunded: Option<DateTime<Utc>>,
    /// Whether it cost money.
    pub environment: Environment,
}

/// What is paid for again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The product.
    pub product_id: String,
    /// What the store calls the first purchase of it; never empty.
    pub original_transaction_id: String,
    /// When it began.
    pub purchased: DateTime<Utc>,
    /// Until when it is paid for.
    pub expires: DateTime<Utc>,
    /// When the money was given back, if it was.
    pub refunded: Option<DateTime<Utc>>,
    /// Whether it cost money.
    pub environment: Environment,
}

/// What a store confirmed, and its own words, JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmed<T> {
    /// What was bought.
    pub bought: T,
    /// The store's answer.
    pub answer: String,
    /// Whether the answer is nothing but what the client sent.
    pub echo: bool,
}

impl<T> Confirmed<T> {
    fn new(bought: T, answer: String) -> Self {
        Self { bought, answer, echo: false }
    }
}

/// Why a store did not confirm.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The receipt is one of the store, and not good for this.
    #[error("{}", .0.message)]
    Invalid(Status),
    /// The receipt is none of the store, or the store could not be asked.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

impl StoreError {
    /// A receipt that is not good for what it was sent for.
    fn invalid(sentence: impl Into<String>) -> Self {
        Self::Invalid(Status::of(Code::FailedPrecondition, sentence))
    }

    /// What the client sees, after telling the log.
    ///
    /// Receipts that are none give code 2 and with it HTTP 500, as in the reference.
    pub fn told(self, store: &str) -> Status {
        match self {
            Self::Invalid(status) => status,
            Self::Provider(error @ ProviderError::Refused(_)) => {
                tracing::info!(store, %error, "receipt refused");
                Status::of(Code::Unknown, error.to_string())
            }
            Self::Provider(error @ ProviderError::Away { .. }) => {
                tracing::warn!(store, %error, "receipt not validated");
                let sentence =
                    format!("{store} IAP verification is currently unavailable. Try again later.");
                Status::of(Code::Unavailable, sentence)
            }
        }
    }
}

/// The instant so many milliseconds after 1970.
fn instant(milliseconds: i64) -> Result<DateTime<Utc>, ProviderError> {
    DateTime::from_timestamp_millis(milliseconds).ok_or_else(malformed)
}

/// The same of a text of digits.
fn instant_of(digits: &str) -> Result<DateTime<Utc>, ProviderError> {
    instant(digits.parse().map_err(|_| malformed())?)
}

/// The instant that a number stands for that is 0 for none.
fn maybe(milliseconds: i64) -> Result<Option<DateTime<Utc>>, ProviderError> {
    if milliseconds == 0 { Ok(None) } else { instant(milliseconds).map(Some) }
}

fn malformed() -> ProviderError {
    ProviderError::refused("receipt is malformed")
}

/// An id of a store, which is never empty.
fn named(id: String) -> Result<String, ProviderError> {
    if id.is_empty() { Err(malformed()) } else { Ok(id) }
}
