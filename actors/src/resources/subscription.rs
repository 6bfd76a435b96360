//! Subscriptions: what players pay for again and again, as the stores confirm it.
//!
//! Source: Nakama, `server/core_subscription.go` and `server/api_subscription.go`.

use chrono::{DateTime, Utc};
use guildhall_core::{Caller, Code, Cursor, OrFault, Result, Status};
use guildhall_proto::{
    Timestamp,
    api::{
        GetSubscriptionRequest, ListSubscriptionsRequest, StoreProvider, SubscriptionList,
        ValidateSubscriptionAppleRequest, ValidateSubscriptionGoogleRequest,
        ValidateSubscriptionResponse, ValidatedSubscription,
    },
};
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    bought::{self, List, MAX_LIMIT, Place, environment, refund_time, user_text},
    purchase::{NO_GOOGLE, service_account},
};
use crate::{
    cx::Cx,
    database::{DbError, Sql},
    endpoint::Body,
    endpoints,
    providers::iap::{Confirmed, ServiceAccount, StoreError, Subscription},
};

endpoints! {
    /// Validates and stores a subscription of the App Store.
    Post "/v2/iap/subscription/apple"
        => ValidateSubscriptionApple(ValidateSubscriptionAppleRequest)
            -> ValidateSubscriptionResponse
        { auth: Session, body: Body::Whole, handle: on_apple }

    /// Validates and stores a subscription of Google Play.
    Post "/v2/iap/subscription/google"
        => ValidateSubscriptionGoogle(ValidateSubscriptionGoogleRequest)
            -> ValidateSubscriptionResponse
        { auth: Session, body: Body::Whole, handle: on_google }

    /// Lists the caller's subscriptions.
    Post "/v2/iap/subscription" => ListSubscriptions(ListSubscriptionsRequest) -> SubscriptionList
        { auth: Session, body: Body::Whole, handle: on_list }

    /// The caller's subscription of a product.
    Get "/v2/iap/subscription/{product_id}"
        => GetSubscription(GetSubscriptionRequest) -> ValidatedSubscription
        { auth: Session, body: Body::None, handle: on_get }
}

const RECEIPT_EMPTY: Status = Status::new(Code::InvalidArgument, "Receipt cannot be empty.");
const NO_APPLE: Status = Status::new(Code::FailedPrecondition, "Apple IAP is not configured.");
/// What the reference says of a limit beyond 100.
const LIMIT: Status =
    Status::new(Code::InvalidArgument, "Invalid limit - limit must be between 1 and 1000.");
const NOT_FOUND: Status = Status::new(Code::NotFound, "subscription not found");
const BAD_CURSOR: Status = Status::new(Code::Unknown, "subscriptions list cursor invalid");

const STORING: &str = "Failed to store subscription data.";
const LISTING: &str = "Error retrieving subscriptions.";

async fn on_apple(
    cx: &Cx,
    caller: &mut Caller,
    request: ValidateSubscriptionAppleRequest,
) -> Result<ValidateSubscriptionResponse> {
    let password = cx.config.iap.apple.shared_password.reveal();
    let receipt = Receipt::Apple { receipt: &request.receipt, password };
    let persist = request.persist != Some(false);
    let validated = validate(cx, caller.user_id(), receipt, persist).await?;
    Ok(ValidateSubscriptionResponse { validated_subscription: Some(validated) })
}

async fn on_google(
    cx: &Cx,
    caller: &mut Caller,
    request: ValidateSubscriptionGoogleRequest,
) -> Result<ValidateSubscriptionResponse> {
    let account = service_account(cx, None, None);
    let receipt = Receipt::Google { receipt: &request.receipt, account };
    let persist = request.persist != Some(false);
    let validated = validate(cx, caller.user_id(), receipt, persist).await?;
    Ok(ValidateSubscriptionResponse { validated_subscription: Some(validated) })
}

async fn on_list(
    cx: &Cx,
    caller: &mut Caller,
    request: ListSubscriptionsRequest,
) -> Result<SubscriptionList> {
    let limit = match request.limit.map(i64::from) {
        None => MAX_LIMIT,
        Some(limit @ 1..=MAX_LIMIT) => limit,
        Some(_) => return Err(LIMIT.into()),
    };
    list(cx, Some(caller.user_id()), limit, &request.cursor).await
}

async fn on_get(
    cx: &Cx,
    caller: &mut Caller,
    request: GetSubscriptionRequest,
) -> Result<ValidatedSubscription> {
    by_product_id(cx, caller.user_id(), &request.product_id).await
}

/// What a player shows to prove a subscription.
#[derive(Clone, Copy)]
pub enum Receipt<'a> {
    /// A signed transaction, or a receipt of former times with the application's password.
    #[allow(missing_docs, reason = "said above")]
    Apple { receipt: &'a str, password: &'a str },
    /// What Google Play gave the client, and the account that may ask about it.
    #[allow(missing_docs, reason = "said above")]
    Google { receipt: &'a str, account: ServiceAccount<'a> },
}

impl Receipt<'_> {
    const fn store(&self) -> (StoreProvider, &'static str) {
        match self {
            Self::Apple { .. } => (StoreProvider::AppleAppStore, "Apple"),
            Self::Google { .. } => (StoreProvider::GooglePlayStore, "Google"),
        }
    }

    fn check(&self) -> Result<(), Status> {
        match self {
            Self::Apple { password: "", .. } => Err(NO_APPLE),
            Self::Google { account, .. } if !account.is_complete() => Err(NO_GOOGLE),
            Self::Apple { receipt: "", .. } | Self::Google { receipt: "", .. } => {
                Err(RECEIPT_EMPTY)
            }
            _ => Ok(()),
        }
    }

    /// The subscriptions, the one that ends last first.
    async fn confirm(&self, cx: &Cx) -> Result<Vec<Confirmed<Subscription>>, StoreError> {
        match *self {
            Self::Apple { receipt, password } => {
                cx.providers.app_store().subscriptions(receipt, password).await
            }
            Self::Google { receipt, account } => {
                Ok(vec![cx.providers.google_play().subscription(account, receipt).await?])
            }
        }
    }
}

/// The subscription that the store confirms, or the one of several that ends last; all of them are
/// stored as those of `user` if `persist`. One that was stored before stays with its owner.
///
/// # Errors
/// As [`super::purchase::validate`].
pub async fn validate(
    cx: &Cx,
    user: Uuid,
    receipt: Receipt<'_>,
    persist: bool,
) -> Result<ValidatedSubscription> {
    receipt.check()?;
    let (store, name) = receipt.store();
    let confirmed = receipt.confirm(cx).await.map_err(|error| error.told(name))?;
    let first = confirmed.first().map(|it| it.bought.original_transaction_id.clone());
    let echo = confirmed.iter().any(|it| it.echo);
    if !persist {
        let first = confirmed.into_iter().next().ok_or(NOT_FOUND)?;
        return Ok(wire(first, user, store));
    }
    let rows = keep(cx, user, store, confirmed).await?;
    for row in &rows {
        let mut subscription = stored(row).or_fault(STORING)?;
        if Some(&subscription.original_transaction_id) == first.as_ref() {
            if echo {
                subscription.provider_response.clear();
            } else if is_unset(subscription.refund_time) {
                subscription.refund_time = None;
            }
            return Ok(subscription);
        }
    }
    Err(NOT_FOUND.into())
}

/// A subscription that is not stored.
fn wire(
    confirmed: Confirmed<Subscription>,
    user: Uuid,
    store: StoreProvider,
) -> ValidatedSubscription {
    let Confirmed { bought, answer, echo } = confirmed;
    let told = echo || bought.refunded.is_some();
    ValidatedSubscription {
        user_id: user.to_string(),
        product_id: bought.product_id,
        original_transaction_id: bought.original_transaction_id,
        store: store.into(),
        purchase_time: Some(bought.purchased.into()),
        environment: environment(bought.environment).into(),
        expiry_time: Some(bought.expires.into()),
        refund_time: told.then(|| refund_time(bought.refunded).into()),
        provider_response: if echo { String::new() } else { answer },
        active: is_active(bought.expires, refund_time(bought.refunded)),
        ..ValidatedSubscription::default()
    }
}

fn is_active(expires: DateTime<Utc>, refunded: DateTime<Utc>) -> bool {
    expires > Utc::now() && refunded == DateTime::UNIX_EPOCH
}

fn is_unset(time: Option<Timestamp>) -> bool {
    time.unwrap_or_default() == Timestamp::default()
}

/// Stores them, each once: the first of a name, which ends last.
async fn keep(
    cx: &Cx,
    user: Uuid,
    store: StoreProvider,
    mut confirmed: Vec<Confirmed<Subscription>>,
) -> Result<Vec<Row>> {
    confirmed.sort_by(|a, b| {
        let name = |it: &Confirmed<Subscription>| it.bought.original_transaction_id.clone();
        name(a).cmp(&name(b)).then(b.bought.expires.cmp(&a.bought.expires))
    });
    confirmed.dedup_by(|a, b| a.bought.original_transaction_id == b.bought.original_transaction_id);
    let bought = || confirmed.iter().map(|it| &it.bought);
    let ids: Vec<&str> = bought().map(|it| it.original_transaction_id.as_str()).collect();
    let products: Vec<&str> = bought().map(|it| it.product_id.as_str()).collect();
    let times: Vec<DateTime<Utc>> = bought().map(|it| it.purchased).collect();
    let ends: Vec<DateTime<Utc>> = bought().map(|it| it.expires).collect();
    let refunds: Vec<DateTime<Utc>> = bought().map(|it| refund_time(it.refunded)).collect();
    let environments: Vec<i16> = bought().map(|it| environment(it.environment)).collect();
    let answers: Vec<&str> = confirmed.iter().map(|it| it.answer.as_str()).collect();
    let params: crate::database::Params<'_> = &[
        &user,
        &(store as i16),
        &ids,
        &products,
        &times,
        &environments,
        &ends,
        &answers,
        &refunds,
    ];
    cx.db.query(KEEP, params).await.or_fault(STORING)
}

/// The subscription of `user` to a product, the one that ends last.
///
/// # Errors
/// `NotFound`.
pub async fn by_product_id(cx: &Cx, user: Uuid, product_id: &str) -> Result<ValidatedSubscription> {
    let row = cx.db.opt(BY_PRODUCT_ID, &[&user, &product_id]).await.or_fault(LISTING)?;
    let mut subscription = stored(&row.ok_or(NOT_FOUND)?).or_fault(LISTING)?;
    if is_unset(subscription.refund_time) {
        subscription.refund_time = None;
    }
    Ok(subscription)
}

/// A page of the subscriptions of `user`, or of everybody's, latest first.
///
/// # Errors
/// Code 2 for a bad cursor.
pub async fn list(
    cx: &Cx,
    user: Option<Uuid>,
    limit: i64,
    cursor: &str,
) -> Result<SubscriptionList> {
    let page = bought::page::<Subscriptions>(cx, user, limit, cursor).await?;
    let subscriptions: Result<Vec<_>, _> = page.rows.iter().map(stored).collect();
    Ok(SubscriptionList {
        validated_subscriptions: subscriptions.or_fault(LISTING)?,
        cursor: page.next,
        prev_cursor: page.previous,
    })
}

fn stored(row: &Row) -> Result<ValidatedSubscription, DbError> {
    let time = |column| -> Result<DateTime<Utc>, DbError> { Ok(row.try_get(column)?) };
    let (expires, refunded) = (time("expire_time")?, time("refund_time")?);
    Ok(ValidatedSubscription {
        user_id: user_text(row.try_get("user_id")?),
        product_id: row.try_get("product_id")?,
        original_transaction_id: row.try_get("original_transaction_id")?,
        store: row.try_get::<_, i16>("store")?.into(),
        purchase_time: Some(time("purchase_time")?.into()),
        create_time: Some(time("create_time")?.into()),
        update_time: Some(time("update_time")?.into()),
        environment: row.try_get::<_, i16>("environment")?.into(),
        expiry_time: Some(expires.into()),
        refund_time: Some(refunded.into()),
        provider_response: row.try_get("raw_response")?,
        provider_notification: row.try_get("raw_notification")?,
        active: is_active(expires, refunded),
    })
}

/// A place in a list of subscriptions.
#[derive(Debug, Deserialize, Serialize)]
struct Subscriptions(Place);

impl Cursor for Subscriptions {
    const LIST: &'static str = "subscriptions";
}

impl From<Place> for Subscriptions {
    fn from(place: Place) -> Self {
        Self(place)
    }
}

impl From<Subscriptions> for Place {
    fn from(subscriptions: Subscriptions) -> Self {
        subscriptions.0
    }
}

impl List for Subscriptions {
    const AFTER: &'static str = AFTER;
    const BEFORE: &'static str = BEFORE;
    const ID: &'static str = "original_transaction_id";
    const BAD_CURSOR: Status = BAD_CURSOR;
    const LISTING: &'static str = LISTING;
}

/// The columns of a subscription. The reference stores answers as texts within JSON, which are
/// taken out.
macro_rules! columns {
    () => {
        "user_id, original_transaction_id, product_id, store, purchase_time, create_time,
         update_time, expire_time, refund_time, environment,
         CASE jsonb_typeof(raw_response) WHEN 'string' THEN raw_response #>> '{}'
              ELSE raw_response::text END AS raw_response,
         CASE jsonb_typeof(raw_notification) WHEN 'string' THEN raw_notification #>> '{}'
              ELSE raw_notification::text END AS raw_notification"
    };
}

/// $1 user, $2 store, then as many of each: $3 original transaction ids, $4 products, $5 purchase
/// times, $6 environments, $7 ends, $8 answers, $9 refund times (1970 for none).
///
/// In the order of ids, so that two receipts with the same subscriptions cannot deadlock. One that
/// was given back stays so. Writes the primary key of subscription.
const KEEP: &str = concat!(
    "
    INSERT INTO subscription AS s (user_id, store, original_transaction_id, product_id,
                                   purchase_time, environment, expire_time, raw_response,
                                   refund_time)
    SELECT $1, $2, id, product, bought, environment, ends, answer::jsonb, refunded
      FROM unnest($3::text[], $4::text[], $5::timestamptz[], $6::smallint[], $7::timestamptz[],
                  $8::text[], $9::timestamptz[])
               AS it (id, product, bought, environment, ends, answer, refunded)
     ORDER BY id
    ON CONFLICT (original_transaction_id) DO UPDATE
       SET product_id = excluded.product_id,
           expire_time = excluded.expire_time,
           raw_response = excluded.raw_response,
           refund_time = CASE WHEN excluded.refund_time = to_timestamp(0)
                              THEN s.refund_time ELSE excluded.refund_time END,
           update_time = now()
    RETURNING ",
    columns!()
);

/// $1 user, $2 product. Reads subscription by its time index, since the reference has none by user.
const BY_PRODUCT_ID: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM subscription
      WHERE user_id = $1 AND product_id = $2
      ORDER BY expire_time DESC, original_transaction_id
      LIMIT 1"
);

/// As [`List::AFTER`]. Reads subscription_time_user_id_transaction_id_idx.
const AFTER: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM subscription
      WHERE ($1::uuid IS NULL OR user_id = $1)
        AND (purchase_time, user_id, original_transaction_id) < ($2, $3, $4)
      ORDER BY purchase_time DESC, user_id DESC, original_transaction_id DESC
      LIMIT $5"
);

/// As [`List::BEFORE`]. Reads subscription_time_user_id_transaction_id_idx backwards.
const BEFORE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM subscription
      WHERE ($1::uuid IS NULL OR user_id = $1)
        AND (purchase_time, user_id, original_transaction_id) > ($2, $3, $4)
      ORDER BY purchase_time, user_id, original_transaction_id
      LIMIT $5"
);

/// The host functions.
pub mod nk {
    use schemars::JsonSchema;

    use super::*;
    use crate::{
        host::{HostFn, Origin, Returns, defaults},
        resources::{
            bought::seconds,
            optional_id,
            purchase::nk::{environment_name, rows},
            raised,
        },
    };

    /// A subscription that its store confirmed. Times are in Unix seconds.
    #[derive(Debug, JsonSchema, Serialize)]
    #[schemars(rename = "ValidatedSubscription")]
    pub struct Validated {
        /// Whose it is; empty for a deleted account.
        user_id: String,
        /// The product.
        product_id: String,
        /// What the store calls the first purchase of it.
        original_transaction_id: String,
        /// The store, such as `APPLE_APP_STORE`.
        store: String,
        /// When it began.
        purchase_time: i64,
        /// When it was stored, if it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        create_time: Option<i64>,
        /// When it was last changed, if it is stored.
        #[serde(skip_serializing_if = "Option::is_none")]
        update_time: Option<i64>,
        /// When the money was given back; 0 or nothing if it was not.
        #[serde(skip_serializing_if = "Option::is_none")]
        refund_time: Option<i64>,
        /// `PRODUCTION` or `SANDBOX`.
        environment: String,
        /// Until when it is paid for.
        expiry_time: i64,
        /// Whether it is paid for and was not given back.
        active: bool,
        /// The store's answer.
        provider_response: String,
        /// What the store told later on.
        provider_notification: String,
    }

    /// The subscription of a receipt.
    #[derive(Debug, JsonSchema, Serialize)]
    #[schemars(rename = "ValidateSubscriptionResponse")]
    pub struct Response {
        /// The subscription.
        validated_subscription: Validated,
    }

    impl From<ValidatedSubscription> for Validated {
        fn from(it: ValidatedSubscription) -> Self {
            let whole = |time: Option<Timestamp>| time.map(|time| seconds(Some(time)));
            Self {
                store: it.store().as_str_name().to_owned(),
                environment: environment_name(it.environment()),
                user_id: it.user_id,
                product_id: it.product_id,
                original_transaction_id: it.original_transaction_id,
                purchase_time: seconds(it.purchase_time),
                create_time: whole(it.create_time),
                update_time: whole(it.update_time),
                refund_time: whole(it.refund_time),
                expiry_time: seconds(it.expiry_time),
                active: it.active,
                provider_response: it.provider_response,
                provider_notification: it.provider_notification,
            }
        }
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
        Ok(Response { validated_subscription: validated.into() })
    }

    /// `nk.subscription_validate_apple(user_id, receipt, persist, password_override)`: validates a
    /// subscription of the App Store.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct SubscriptionValidateApple {
        /// The user who pays.
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

    impl HostFn for SubscriptionValidateApple {
        const NAME: &'static str = "subscription_validate_apple";
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

    /// `nk.subscription_validate_google(user_id, receipt, persist, client_email_override,
    /// private_key_override)`: validates a subscription of Google Play.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct SubscriptionValidateGoogle {
        /// The user who pays.
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

    impl HostFn for SubscriptionValidateGoogle {
        const NAME: &'static str = "subscription_validate_google";
        const RETURNS: Returns = Returns::Value;
        type Output = Response;
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<Response> {
            let (email, key) = (&self.client_email_override, &self.private_key_override);
            let account = service_account(cx, email.as_deref(), key.as_deref());
            let receipt = Receipt::Google { receipt: &self.receipt, account };
            let doing = "error validating Google receipt";
            check(cx, doing, self.user_id, receipt, self.persist).await
        }
    }

    /// A page of subscriptions.
    #[derive(Debug, JsonSchema, Serialize)]
    #[schemars(rename = "ValidatedSubscriptionList")]
    pub struct Listed {
        /// The subscriptions, latest first.
        validated_subscriptions: Vec<Validated>,
        /// Where the next page begins, if there is one.
        cursor: Option<String>,
        /// Where the page before ends, if there is one.
        prev_cursor: Option<String>,
    }

    /// `nk.subscriptions_list(user_id, limit, cursor)`: a page of the subscriptions of a user, or of
    /// all.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct SubscriptionsList {
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

    impl HostFn for SubscriptionsList {
        const NAME: &'static str = "subscriptions_list";
        const RETURNS: Returns = Returns::Each;
        type Output = Listed;
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<Listed> {
            let limit = rows(self.limit)?;
            let listed = list(cx, self.user_id, limit, &self.cursor).await;
            let listed = listed.map_err(|error| raised("error retrieving subscriptions", error))?;
            let some = |text: String| Some(text).filter(|text| !text.is_empty());
            Ok(Listed {
                validated_subscriptions: listed
                    .validated_subscriptions
                    .into_iter()
                    .map(Into::into)
                    .collect(),
                cursor: some(listed.cursor),
                prev_cursor: some(listed.prev_cursor),
            })
        }
    }

    const NO_ID: Status = Status::new(Code::InvalidArgument, "expects a product ID string");

    /// `nk.subscription_get_by_product_id(user_id, product_id)`: a user's subscription to a product.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct SubscriptionGetByProductId {
        /// The user.
        user_id: Uuid,
        /// The product.
        product_id: String,
    }

    impl HostFn for SubscriptionGetByProductId {
        const NAME: &'static str = "subscription_get_by_product_id";
        const RETURNS: Returns = Returns::Value;
        type Output = Validated;
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<Validated> {
            if self.product_id.is_empty() {
                return Err(NO_ID.into());
            }
            let found = by_product_id(cx, self.user_id, &self.product_id).await;
            found.map(Into::into).map_err(|error| raised("error retrieving subscription", error))
        }
    }
}
