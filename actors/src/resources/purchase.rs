//! Purchases: what players bought once, as the stores confirm it.
//!
//! Source: Nakama, `server/core_purchase.go` and `server/api_purchase.go`.

use chrono::{DateTime, Utc};
use guildhall_core::{Caller, Code, Cursor, OrFault, Result, Status};
use guildhall_proto::{
    Timestamp,
    api::{
        PurchaseList, StoreProvider, ValidatePurchaseAppleRequest,
        ValidatePurchaseFacebookInstantRequest, ValidatePurchaseGoogleRequest,
        ValidatePurchaseHuaweiRequest, ValidatePurchaseResponse, ValidatePurchaseSamsungRequest,
        ValidatedPurchase,
    },
};
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use uuid::Uuid;

use super::bought::{self, List, Place, environment, refund_time, user_text};
use crate::{
    cx::Cx,
    database::{DbError, Sql},
    endpoint::Body,
    endpoints,
    providers::iap::{Confirmed, Purchase, ServiceAccount, StoreError},
};

endpoints! {
    /// Validates and stores a purchase of the App Store.
    Post "/v2/iap/purchase/apple"
        => ValidatePurchaseApple(ValidatePurchaseAppleRequest) -> ValidatePurchaseResponse
        { auth: Session, body: Body::Whole, handle: on_apple }

    /// Validates and stores a purchase of a Facebook Instant Game.
    Post "/v2/iap/purchase/facebookinstant"
        => ValidatePurchaseFacebookInstant(ValidatePurchaseFacebookInstantRequest)
            -> ValidatePurchaseResponse
        { auth: Session, body: Body::Whole, handle: on_facebook_instant }

    /// Validates and stores a purchase of Google Play.
    Post "/v2/iap/purchase/google"
        => ValidatePurchaseGoogle(ValidatePurchaseGoogleRequest) -> ValidatePurchaseResponse
        { auth: Session, body: Body::Whole, handle: on_google }

    /// Validates and stores a purchase of Huawei's AppGallery.
    Post "/v2/iap/purchase/huawei"
        => ValidatePurchaseHuawei(ValidatePurchaseHuaweiRequest) -> ValidatePurchaseResponse
        { auth: Session, body: Body::Whole, handle: on_huawei }

    /// Validates and stores a purchase of Samsung's Galaxy Store.
    Post "/v2/iap/purchase/samsung"
        => ValidatePurchaseSamsung(ValidatePurchaseSamsungRequest) -> ValidatePurchaseResponse
        { auth: Session, body: Body::Whole, handle: on_samsung }
}

const RECEIPT_EMPTY: Status = Status::new(Code::InvalidArgument, "Receipt cannot be empty.");
const PURCHASE_EMPTY: Status = Status::new(Code::InvalidArgument, "Purchase cannot be empty.");
const SIGNATURE_EMPTY: Status = Status::new(Code::InvalidArgument, "Signature cannot be empty.");
const REQUEST_EMPTY: Status = Status::new(Code::InvalidArgument, "SignedRequest cannot be empty.");
const ID_EMPTY: Status = Status::new(Code::InvalidArgument, "Purchase ID cannot be empty.");
pub(super) const NO_GOOGLE: Status =
    Status::new(Code::FailedPrecondition, "Google IAP is not configured.");
const NO_HUAWEI: Status = Status::new(Code::FailedPrecondition, "Huawei IAP is not configured.");
const NO_FACEBOOK_INSTANT: Status =
    Status::new(Code::FailedPrecondition, "Facebook Instant IAP is not configured.");
const NOT_FOUND: Status = Status::new(Code::NotFound, "purchase not found");
const BAD_CURSOR: Status = Status::new(Code::Unknown, "purchases list cursor invalid");

const STORING: &str = "Failed to store purchase data.";
const LISTING: &str = "Error retrieving purchases.";

async fn on_apple(
    cx: &Cx,
    caller: &mut Caller,
    request: ValidatePurchaseAppleRequest,
) -> Result<ValidatePurchaseResponse> {
    let password = cx.config.iap.apple.shared_password.reveal();
    let persist = request.persist != Some(false);
    let receipt = Receipt::Apple { receipt: &request.receipt, password };
    response(validate(cx, caller.user_id(), receipt, persist).await)
}

async fn on_facebook_instant(
    cx: &Cx,
    caller: &mut Caller,
    request: ValidatePurchaseFacebookInstantRequest,
) -> Result<ValidatePurchaseResponse> {
    let receipt = Receipt::FacebookInstant { signed_request: &request.signed_request };
    response(validate(cx, caller.user_id(), receipt, request.persist != Some(false)).await)
}

async fn on_google(
    cx: &Cx,
    caller: &mut Caller,
    request: ValidatePurchaseGoogleRequest,
) -> Result<ValidatePurchaseResponse> {
    let receipt =
        Receipt::Google { purchase: &request.purchase, account: service_account(cx, None, None) };
    response(validate(cx, caller.user_id(), receipt, request.persist != Some(false)).await)
}

async fn on_huawei(
    cx: &Cx,
    caller: &mut Caller,
    request: ValidatePurchaseHuaweiRequest,
) -> Result<ValidatePurchaseResponse> {
    let receipt = Receipt::Huawei { purchase: &request.purchase, signature: &request.signature };
    response(validate(cx, caller.user_id(), receipt, request.persist != Some(false)).await)
}

async fn on_samsung(
    cx: &Cx,
    caller: &mut Caller,
    request: ValidatePurchaseSamsungRequest,
) -> Result<ValidatePurchaseResponse> {
    let receipt = Receipt::Samsung { purchase_id: &request.purchase_id };
    response(validate(cx, caller.user_id(), receipt, request.persist != Some(false)).await)
}

fn response(validated: Result<Vec<ValidatedPurchase>>) -> Result<ValidatePurchaseResponse> {
    Ok(ValidatePurchaseResponse { validated_purchases: validated? })
}

/// Google's service account: that of the configuration, but for what is given.
pub(super) fn service_account<'a>(
    cx: &'a Cx,
    client_email: Option<&'a str>,
    private_key: Option<&'a str>,
) -> ServiceAccount<'a> {
    let google = &cx.config.iap.google;
    ServiceAccount {
        client_email: client_email.unwrap_or(&google.client_email),
        private_key: private_key.unwrap_or(google.private_key.reveal()),
    }
}

/// What a player shows to prove a purchase.
#[derive(Clone, Copy)]
pub enum Receipt<'a> {
    /// A signed transaction, or a receipt of former times with the application's password.
    #[allow(missing_docs, reason = "said above")]
    Apple { receipt: &'a str, password: &'a str },
    /// A request that the game's secret signed.
    #[allow(missing_docs, reason = "said above")]
    FacebookInstant { signed_request: &'a str },
    /// What Google Play gave the client, and the account that may ask about it.
    #[allow(missing_docs, reason = "said above")]
    Google { purchase: &'a str, account: ServiceAccount<'a> },
    /// What the AppGallery gave the client, and its signature.
    #[allow(missing_docs, reason = "said above")]
    Huawei { purchase: &'a str, signature: &'a str },
    /// The id of a purchase in the Galaxy Store.
    #[allow(missing_docs, reason = "said above")]
    Samsung { purchase_id: &'a str },
}

impl Receipt<'_> {
    const fn store(&self) -> StoreProvider {
        match self {
            Self::Apple { .. } => StoreProvider::AppleAppStore,
            Self::FacebookInstant { .. } => StoreProvider::FacebookInstantStore,
            Self::Google { .. } => StoreProvider::GooglePlayStore,
            Self::Huawei { .. } => StoreProvider::HuaweiAppGallery,
            Self::Samsung { .. } => StoreProvider::SamsungGalaxyStore,
        }
    }

    const fn store_name(&self) -> &'static str {
        match self {
            Self::Apple { .. } => "Apple",
            Self::FacebookInstant { .. } => "Facebook Instant",
            Self::Google { .. } => "Google",
            Self::Huawei { .. } => "Huawei",
            Self::Samsung { .. } => "Samsung",
        }
    }

    /// Whether the store is configured and something is shown.
    fn check(&self, cx: &Cx) -> Result<(), Status> {
        match self {
            Self::Apple { receipt: "", .. } => Err(RECEIPT_EMPTY),
            Self::FacebookInstant { .. }
                if !cx.providers.facebook_instant_store().is_configured() =>
            {
                Err(NO_FACEBOOK_INSTANT)
            }
            Self::FacebookInstant { signed_request: "" } => Err(REQUEST_EMPTY),
            Self::Google { account, .. } if !account.is_complete() => Err(NO_GOOGLE),
            Self::Google { purchase: "", .. } => Err(PURCHASE_EMPTY),
            Self::Huawei { .. } if !cx.providers.app_gallery().is_configured() => Err(NO_HUAWEI),
            Self::Huawei { purchase: "", .. } => Err(PURCHASE_EMPTY),
            Self::Huawei { signature: "", .. } => Err(SIGNATURE_EMPTY),
            Self::Samsung { purchase_id: "" } => Err(ID_EMPTY),
            _ => Ok(()),
        }
    }

    async fn confirm(&self, cx: &Cx) -> Result<Vec<Confirmed<Purchase>>, StoreError> {
        let stores = &cx.providers;
        let one = match *self {
            Self::Apple { receipt, password } => {
                return stores.app_store().purchases(receipt, password).await;
            }
            Self::FacebookInstant { signed_request } => {
                stores.facebook_instant_store().purchase(signed_request)?
            }
            Self::Google { purchase, account } => {
                stores.google_play().purchase(account, purchase).await?
            }
            Self::Huawei { purchase, signature } => {
                stores.app_gallery().purchase(purchase, signature).await?
            }
            Self::Samsung { purchase_id } => stores.galaxy_store().purchase(purchase_id).await?,
        };
        Ok(vec![one])
    }
}

/// The purchases that the store confirms, stored as those of `user` if `persist`. One that was
/// stored before, for whomever, is told as seen before and stays with its owner.
///
/// # Errors
/// `InvalidArgument` for an empty receipt; `FailedPrecondition` where the store is not configured
/// or says that the receipt is not good; code 2 where it is none of the store; `Unavailable` where
/// the store could not be asked.
pub async fn validate(
    cx: &Cx,
    user: Uuid,
    receipt: Receipt<'_>,
    persist: bool,
) -> Result<Vec<ValidatedPurchase>> {
    receipt.check(cx)?;
    let confirmed = receipt.confirm(cx).await;
    let confirmed = confirmed.map_err(|error| error.told(receipt.store_name()))?;
    let store = receipt.store();
    if persist {
        return keep(cx, user, store, confirmed).await;
    }
    Ok(confirmed.into_iter().map(|it| wire(it, user, store)).collect())
}

/// A purchase that is not stored.
fn wire(confirmed: Confirmed<Purchase>, user: Uuid, store: StoreProvider) -> ValidatedPurchase {
    let Confirmed { bought, answer, echo } = confirmed;
    // As in the reference: these two do not tell the user, and signed transactions always tell the
    // refund.
    let untold =
        matches!(store, StoreProvider::HuaweiAppGallery | StoreProvider::SamsungGalaxyStore);
    let told = echo || bought.refunded.is_some();
    ValidatedPurchase {
        user_id: if untold { String::new() } else { user.to_string() },
        product_id: bought.product_id,
        transaction_id: bought.transaction_id,
        store: store.into(),
        purchase_time: Some(bought.purchased.into()),
        refund_time: told.then(|| refund_time(bought.refunded).into()),
        provider_response: if echo { String::new() } else { answer },
        environment: environment(bought.environment).into(),
        ..ValidatedPurchase::default()
    }
}

async fn keep(
    cx: &Cx,
    user: Uuid,
    store: StoreProvider,
    confirmed: Vec<Confirmed<Purchase>>,
) -> Result<Vec<ValidatedPurchase>> {
    let bought = || confirmed.iter().map(|it| &it.bought);
    let ids: Vec<&str> = bought().map(|it| it.transaction_id.as_str()).collect();
    let products: Vec<&str> = bought().map(|it| it.product_id.as_str()).collect();
    let times: Vec<DateTime<Utc>> = bought().map(|it| it.purchased).collect();
    let refunds: Vec<DateTime<Utc>> = bought().map(|it| refund_time(it.refunded)).collect();
    let environments: Vec<i16> = bought().map(|it| environment(it.environment)).collect();
    let answers: Vec<&str> = confirmed.iter().map(|it| it.answer.as_str()).collect();
    let rows = cx
        .db
        .query(
            KEEP,
            &[&user, &(store as i16), &ids, &products, &times, &answers, &environments, &refunds],
        )
        .await
        .or_fault(STORING)?;
    let mut kept = Vec::with_capacity(confirmed.len());
    for confirmed in confirmed {
        let echo = confirmed.echo;
        let mut purchase = wire(confirmed, user, store);
        purchase.user_id = user_text(user);
        for row in &rows {
            let read = || -> Result<_, DbError> {
                let id: &str = row.try_get("transaction_id")?;
                if id != purchase.transaction_id {
                    return Ok(None);
                }
                let time = |column| -> Result<Timestamp, DbError> {
                    Ok(row.try_get::<_, DateTime<Utc>>(column)?.into())
                };
                let times = (time("create_time")?, time("update_time")?, time("refund_time")?);
                Ok(Some((times, row.try_get::<_, bool>("seen_before")?)))
            };
            if let Some(((created, updated, refunded), seen_before)) = read().or_fault(STORING)? {
                purchase.create_time = Some(created);
                purchase.update_time = Some(updated);
                let told = echo || refunded.seconds != 0;
                purchase.refund_time = told.then_some(refunded);
                purchase.seen_before = seen_before;
            }
        }
        kept.push(purchase);
    }
    Ok(kept)
}

/// The purchase of a transaction.
///
/// # Errors
/// `NotFound`.
pub async fn by_transaction_id(cx: &Cx, id: &str) -> Result<ValidatedPurchase> {
    let row = cx.db.opt(BY_TRANSACTION_ID, &[&id]).await.or_fault(LISTING)?;
    stored(&row.ok_or(NOT_FOUND)?).or_fault(LISTING)
}

/// A page of the purchases of `user`, or of everybody's, latest first.
///
/// # Errors
/// Code 2 for a bad cursor.
pub async fn list(cx: &Cx, user: Option<Uuid>, limit: i64, cursor: &str) -> Result<PurchaseList> {
    let page = bought::page::<Purchases>(cx, user, limit, cursor).await?;
    let purchases: Result<Vec<_>, _> = page.rows.iter().map(stored).collect();
    Ok(PurchaseList {
        validated_purchases: purchases.or_fault(LISTING)?,
        cursor: page.next,
        prev_cursor: page.previous,
    })
}

fn stored(row: &Row) -> Result<ValidatedPurchase, DbError> {
    let time = |column| -> Result<Option<Timestamp>, DbError> {
        Ok(Some(row.try_get::<_, DateTime<Utc>>(column)?.into()))
    };
    Ok(ValidatedPurchase {
        user_id: user_text(row.try_get("user_id")?),
        product_id: row.try_get("product_id")?,
        transaction_id: row.try_get("transaction_id")?,
        store: row.try_get::<_, i16>("store")?.into(),
        purchase_time: time("purchase_time")?,
        create_time: time("create_time")?,
        update_time: time("update_time")?,
        refund_time: time("refund_time")?,
        provider_response: row.try_get("raw_response")?,
        environment: row.try_get::<_, i16>("environment")?.into(),
        seen_before: false,
    })
}

/// A place in a list of purchases.
#[derive(Debug, Deserialize, Serialize)]
struct Purchases(Place);

impl Cursor for Purchases {
    const LIST: &'static str = "purchases";
}

impl From<Place> for Purchases {
    fn from(place: Place) -> Self {
        Self(place)
    }
}

impl From<Purchases> for Place {
    fn from(purchases: Purchases) -> Self {
        purchases.0
    }
}

impl List for Purchases {
    const AFTER: &'static str = AFTER;
    const BEFORE: &'static str = BEFORE;
    const ID: &'static str = "transaction_id";
    const BAD_CURSOR: Status = BAD_CURSOR;
    const LISTING: &'static str = LISTING;
}

/// $1 user, $2 store, then as many of each: $3 transaction ids, $4 products, $5 purchase times,
/// $6 answers, $7 environments, $8 refund times (1970 for none).
///
/// In the order of ids, so that two receipts with the same purchases cannot deadlock. A purchase
/// that was given back stays so, whatever an older receipt says. A row that was there has an xmax.
/// Writes the primary key of purchase.
const KEEP: &str = "
    INSERT INTO purchase (user_id, store, transaction_id, product_id, purchase_time, raw_response,
                          environment, refund_time)
    SELECT $1, $2, id, product, bought, answer::jsonb, environment, refunded
      FROM unnest($3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::smallint[],
                  $8::timestamptz[]) AS it (id, product, bought, answer, environment, refunded)
     ORDER BY id
    ON CONFLICT (transaction_id) DO UPDATE
       SET refund_time = CASE WHEN excluded.refund_time = to_timestamp(0)
                              THEN purchase.refund_time ELSE excluded.refund_time END,
           update_time = now()
    RETURNING transaction_id, create_time, update_time, refund_time,
              xmax::text <> '0' AS seen_before";

/// $1 transaction id. Reads the primary key of purchase.
const BY_TRANSACTION_ID: &str = "
    SELECT user_id, transaction_id, product_id, store, raw_response::text, purchase_time,
           create_time, update_time, refund_time, environment
      FROM purchase WHERE transaction_id = $1";

/// As [`List::AFTER`]. Reads purchase_time_user_id_transaction_id_idx.
const AFTER: &str = "
    SELECT user_id, transaction_id, product_id, store, raw_response::text, purchase_time,
           create_time, update_time, refund_time, environment
      FROM purchase
     WHERE ($1::uuid IS NULL OR user_id = $1)
       AND (purchase_time, user_id, transaction_id) < ($2, $3, $4)
     ORDER BY purchase_time DESC, user_id DESC, transaction_id DESC
     LIMIT $5";

/// As [`List::BEFORE`]. Reads purchase_time_user_id_transaction_id_idx backwards.
const BEFORE: &str = "
    SELECT user_id, transaction_id, product_id, store, raw_response::text, purchase_time,
           create_time, update_time, refund_time, environment
      FROM purchase
     WHERE ($1::uuid IS NULL OR user_id = $1)
       AND (purchase_time, user_id, transaction_id) > ($2, $3, $4)
     ORDER BY purchase_time, user_id, transaction_id
     LIMIT $5";

/// The host functions.
pub mod nk {
    use guildhall_proto::api::StoreEnvironment;
    use schemars::JsonSchema;

    use super::*;
    use crate::{
        host::{HostFn, Origin, Returns, defaults},
        resources::{bought::MAX_LIMIT, bought::seconds, optional_id, raised},
    };

    /// A purchase that its store confirmed. Times are in Unix seconds.
    #[derive(Debug, JsonSchema, Serialize)]
    #[schemars(rename = "ValidatedPurchase")]
    pub struct Validated {
        /// Whose it is; empty for a deleted account.
        user_id: String,
        /// The product.
        product_id: String,
        /// What the store calls the purchase.
        transaction_id: String,
        /// The store, such as `APPLE_APP_STORE`.
        store: String,
        /// The store's answer.
        provider_response: String,
        /// When it was made.
        purchase_time: i64,
        /// When it was stored, if it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        create_time: Option<i64>,
        /// When it was last validated, if it is stored.
        #[serde(skip_serializing_if = "Option::is_none")]
        update_time: Option<i64>,
        /// When the money was given back; 0 or nothing if it was not.
        #[serde(skip_serializing_if = "Option::is_none")]
        refund_time: Option<i64>,
        /// `PRODUCTION` or `SANDBOX`.
        environment: String,
        /// Whether it was stored before this validation.
        seen_before: bool,
    }

    /// The purchases of a receipt.
    #[derive(Debug, JsonSchema, Serialize)]
    #[schemars(rename = "ValidatePurchaseResponse")]
    pub struct Response {
        /// The purchases.
        validated_purchases: Vec<Validated>,
    }

    impl From<ValidatedPurchase> for Validated {
        fn from(purchase: ValidatedPurchase) -> Self {
            let whole = |time: Option<Timestamp>| time.map(|time| seconds(Some(time)));
            Self {
                store: purchase.store().as_str_name().to_owned(),
                environment: environment_name(purchase.environment()),
                user_id: purchase.user_id,
                product_id: purchase.product_id,
                transaction_id: purchase.transaction_id,
                provider_response: purchase.provider_response,
                purchase_time: seconds(purchase.purchase_time),
                create_time: whole(purchase.create_time),
                update_time: whole(purchase.update_time),
                refund_time: whole(purchase.refund_time),
                seen_before: purchase.seen_before,
            }
        }
    }

    /// The name of an environment, as modules get it.
    pub(in crate::resources) fn environment_name(environment: StoreEnvironment) -> String {
        environment.as_str_name().to_owned()
    }

    async fn check(
        cx: &Cx,
        doing: &str,
        user: Uuid,
        receipt: Receipt<'_>,
        persist: bool,
    ) -> Result<Response> {
        let validated = validate(cx, user, receipt, persist).await;
        let validated = validated.map_err(|error| raised(doing, error))?;
        Ok(Response { validated_purchases: validated.into_iter().map(Into::into).collect() })
    }

    /// `nk.purchase_validate_apple(user_id, receipt, persist, password_override)`: validates a
    /// purchase of the App Store.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct PurchaseValidateApple {
        /// The user who bought.
        user_id: Uuid,
        /// A signed transaction, or a receipt of former times.
        receipt: String,
        /// Whether it is stored; it is unless told otherwise.
        #[serde(default = "defaults::yes")]
        persist: bool,
        /// The application's shared secret, in place of the configured one.
        #[serde(default)]
        password_override: Option<String>,
    }

    impl HostFn for PurchaseValidateApple {
        const NAME: &'static str = "purchase_validate_apple";
        const RETURNS: Returns = Returns::Value;
        type Output = Response;
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<Response> {
            let configured = cx.config.iap.apple.shared_password.reveal();
            let password = self.password_override.as_deref().unwrap_or(configured);
            let receipt = Receipt::Apple { receipt: &self.receipt, password };
            let doing = "error validating Apple receipt";
            check(cx, doing, self.user_id, receipt, self.persist).await
        }
    }

    /// `nk.purchase_validate_facebook_instant(user_id, signed_request, persist)`: validates a
    /// purchase of a Facebook Instant Game.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct PurchaseValidateFacebookInstant {
        /// The user who bought.
        user_id: Uuid,
        /// The signed request.
        signed_request: String,
        /// Whether it is stored; it is unless told otherwise.
        #[serde(default = "defaults::yes")]
        persist: bool,
    }

    impl HostFn for PurchaseValidateFacebookInstant {
        const NAME: &'static str = "purchase_validate_facebook_instant";
        const RETURNS: Returns = Returns::Value;
        type Output = Response;
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<Response> {
            let receipt = Receipt::FacebookInstant { signed_request: &self.signed_request };
            let doing = "error validating Facebook Instant receipt";
            check(cx, doing, self.user_id, receipt, self.persist).await
        }
    }

    /// `nk.purchase_validate_google(user_id, receipt, persist, client_email_override,
    /// private_key_override)`: validates a purchase of Google Play.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct PurchaseValidateGoogle {
        /// The user who bought.
        user_id: Uuid,
        /// What Google Play gave the client.
        receipt: String,
        /// Whether it is stored; it is unless told otherwise.
        #[serde(default = "defaults::yes")]
        persist: bool,
        /// The service account, in place of the configured one.
        #[serde(default)]
        client_email_override: Option<String>,
        /// Its private key, in place of the configured one.
        #[serde(default)]
        private_key_override: Option<String>,
    }

    impl HostFn for PurchaseValidateGoogle {
        const NAME: &'static str = "purchase_validate_google";
        const RETURNS: Returns = Returns::Value;
        type Output = Response;
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<Response> {
            let (email, key) = (&self.client_email_override, &self.private_key_override);
            let account = service_account(cx, email.as_deref(), key.as_deref());
            let receipt = Receipt::Google { purchase: &self.receipt, account };
            let doing = "error validating Google receipt";
            check(cx, doing, self.user_id, receipt, self.persist).await
        }
    }

    /// `nk.purchase_validate_huawei(user_id, signature, receipt, persist)`: validates a purchase of
    /// Huawei's AppGallery. In JavaScript the receipt comes before the signature.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct PurchaseValidateHuawei {
        /// The user who bought.
        user_id: Uuid,
        /// The signature of the receipt.
        signature: String,
        /// What the AppGallery gave the client.
        receipt: String,
        /// Whether it is stored; it is unless told otherwise.
        #[serde(default = "defaults::yes")]
        persist: bool,
    }

    impl HostFn for PurchaseValidateHuawei {
        const NAME: &'static str = "purchase_validate_huawei";
        const RETURNS: Returns = Returns::Value;
        const JAVASCRIPT_ORDER: Option<&'static [&'static str]> =
            Some(&["user_id", "receipt", "signature", "persist"]);
        type Output = Response;
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<Response> {
            let receipt = Receipt::Huawei { purchase: &self.receipt, signature: &self.signature };
            let doing = "error validating Huawei receipt";
            check(cx, doing, self.user_id, receipt, self.persist).await
        }
    }

    /// `nk.purchase_validate_samsung(user_id, purchase_id, persist)`: validates a purchase of
    /// Samsung's Galaxy Store.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct PurchaseValidateSamsung {
        /// The user who bought.
        user_id: Uuid,
        /// The id of the purchase.
        purchase_id: String,
        /// Whether it is stored; it is unless told otherwise.
        #[serde(default = "defaults::yes")]
        persist: bool,
    }

    impl HostFn for PurchaseValidateSamsung {
        const NAME: &'static str = "purchase_validate_samsung";
        const RETURNS: Returns = Returns::Value;
        type Output = Response;
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<Response> {
            let receipt = Receipt::Samsung { purchase_id: &self.purchase_id };
            let doing = "error validating Samsung receipt";
            check(cx, doing, self.user_id, receipt, self.persist).await
        }
    }

    const LIMIT: Status = Status::new(Code::InvalidArgument, "expects a limit 1-100");

    /// How many rows a module wants.
    pub(in crate::resources) fn rows(limit: Option<i64>) -> Result<i64, Status> {
        match limit.unwrap_or(MAX_LIMIT) {
            limit @ 1..=MAX_LIMIT => Ok(limit),
            _ => Err(LIMIT),
        }
    }

    /// A page of purchases.
    #[derive(Debug, JsonSchema, Serialize)]
    #[schemars(rename = "ValidatedPurchaseList")]
    pub struct Listed {
        /// The purchases, latest first.
        validated_purchases: Vec<Validated>,
        /// Where the next page begins, if there is one.
        cursor: Option<String>,
        /// Where the page before ends, if there is one.
        prev_cursor: Option<String>,
    }

    /// `nk.purchases_list(user_id, limit, cursor)`: a page of the purchases of a user, or of all.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct PurchasesList {
        /// The user; all if not given.
        #[serde(default, deserialize_with = "optional_id")]
        #[schemars(with = "Option<String>")]
        user_id: Option<Uuid>,
        /// The most rows, 1 to 100; 100 if not given.
        #[serde(default)]
        limit: Option<i64>,
        /// Where to go on.
        #[serde(default)]
        cursor: String,
    }

    impl HostFn for PurchasesList {
        const NAME: &'static str = "purchases_list";
        const RETURNS: Returns = Returns::Each;
        type Output = Listed;
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<Listed> {
            let limit = rows(self.limit)?;
            let listed = list(cx, self.user_id, limit, &self.cursor).await;
            let listed = listed.map_err(|error| raised("error retrieving purchases", error))?;
            let some = |text: String| Some(text).filter(|text| !text.is_empty());
            Ok(Listed {
                validated_purchases: listed
                    .validated_purchases
                    .into_iter()
                    .map(Into::into)
                    .collect(),
                cursor: some(listed.cursor),
                prev_cursor: some(listed.prev_cursor),
            })
        }
    }

    const NO_ID: Status = Status::new(Code::InvalidArgument, "expects a transaction ID string");

    /// `nk.purchase_get_by_transaction_id(transaction_id)`: a stored purchase.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct PurchaseGetByTransactionId {
        /// What the store calls the purchase.
        transaction_id: String,
    }

    impl HostFn for PurchaseGetByTransactionId {
        const NAME: &'static str = "purchase_get_by_transaction_id";
        const RETURNS: Returns = Returns::Value;
        type Output = Validated;
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<Validated> {
            if self.transaction_id.is_empty() {
                return Err(NO_ID.into());
            }
            let found = by_transaction_id(cx, &self.transaction_id).await;
            found.map(Into::into).map_err(|error| raised("error retrieving purchase", error))
        }
    }
}
