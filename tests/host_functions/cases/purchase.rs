//! Purchases and subscriptions.

use serde_json::{Value, json};

use super::{Case, NOBODY, fails, gives};
use crate::support::providers::{
    Providers, now_s,
    receipts::{PACKAGE, instant_purchase},
};

/// Receipts of every store, for one language.
pub(in crate::host_functions) fn receipts(
    providers: &Providers,
    language: &str,
) -> Vec<(String, Value)> {
    let id = |name: &str| format!("{language}-{name}");
    let paid = json!({ "purchaseTimeMillis": "1700000001000", "purchaseState": 0 });
    let (data, signature) = providers.huawei_purchase(&id("huawei"), "gems");
    let expires = json!({ "productId": "vip", "expiresDate": (now_s() + 86_400) * 1000 });
    let season = json!({ "lineItems": [{ "expiryTime": "2030-01-02T03:04:05Z" }] });
    let receipts = [
        ("apple", providers.apple_transaction(&id("apple"), &json!({}))),
        ("google", providers.google_purchase(&id("google"), "gems", paid)),
        ("huawei", data),
        ("huawei_signature", signature),
        ("instant", instant_purchase(&id("instant"), "gems")),
        ("samsung", providers.samsung_purchase(&id("samsung"), "gems", PACKAGE)),
        ("apple_subscription", providers.apple_transaction(&id("vip"), &expires)),
        ("google_subscription", providers.google_subscription(&id("season"), "season", season)),
    ];
    receipts.map(|(name, receipt)| (format!("receipt_{name}"), receipt.into())).to_vec()
}

pub(super) fn cases() -> Vec<Case> {
    let bought = |name: &str, store: &str, environment: &str, seen: bool| {
        json!({
            "user_id": "$user", "product_id": "gems", "transaction_id": format!("$language-{name}"),
            "store": store, "environment": environment, "seen_before": seen,
            "purchase_time": "$any", "create_time": "$any", "update_time": "$any", "...": true,
        })
    };
    let validated = |purchase: Value| json!({ "validated_purchases": [purchase] });
    let apple = |seen| validated(bought("apple", "APPLE_APP_STORE", "PRODUCTION", seen));
    let subscription = |name: &str, product: &str, store: &str| {
        json!({
            "user_id": "$user", "product_id": product, "store": store, "active": true,
            "original_transaction_id": format!("$language-{name}"), "environment": "PRODUCTION",
            "purchase_time": 1_700_000_000, "expiry_time": "$any", "create_time": "$any",
            "update_time": "$any", "...": true,
        })
    };
    let paid = |it: Value| json!({ "validated_subscription": it });
    let not_stored = json!({
        "validated_purchases": [{
            "user_id": "$user", "product_id": "gems", "transaction_id": "$language-google",
            "store": "GOOGLE_PLAY_STORE", "environment": "PRODUCTION", "seen_before": false,
            "purchase_time": 1_700_000_001, "provider_response": "~purchaseState",
        }],
    });
    let listed = |first: Value| json!({ "validated_purchases": [first], "cursor": "$=purchases", "prev_cursor": null });
    vec![
        gives("purchase_validate_apple", json!(["$user", "$receipt_apple"]), apple(false)),
        gives("purchase_validate_apple", json!(["$user", "$receipt_apple", true]), apple(true)),
        fails(
            "purchase_validate_apple",
            json!(["$user", "a.b.c"]),
            "rror validating Apple receipt: ",
        ),
        fails("purchase_validate_apple", json!(["$user", "old", true, ""]), "not configured"),
        fails(
            "purchase_validate_apple",
            json!([NOBODY, "$receipt_apple_subscription"]),
            "Subscription Receipt",
        ),
        gives("purchase_validate_google", json!(["$user", "$receipt_google", false]), not_stored),
        gives(
            "purchase_validate_google",
            json!(["$user", "$receipt_google"]),
            validated(bought("google", "GOOGLE_PLAY_STORE", "PRODUCTION", false)),
        ),
        fails(
            "purchase_validate_google",
            json!(["$user", "$receipt_google", true, ""]),
            "not configured",
        ),
        fails("purchase_validate_google", json!(["$user", "{}"]), "receipt is malformed"),
        gives(
            "purchase_validate_huawei",
            json!(["$user", "$receipt_huawei_signature", "$receipt_huawei"]),
            validated(bought("huawei", "HUAWEI_APP_GALLERY", "PRODUCTION", false)),
        ),
        fails("purchase_validate_huawei", json!(["$user", "x", "{}"]), "invalid signature"),
        gives(
            "purchase_validate_facebook_instant",
            json!(["$user", "$receipt_instant"]),
            validated(bought("instant", "FACEBOOK_INSTANT_STORE", "PRODUCTION", false)),
        ),
        fails("purchase_validate_facebook_instant", json!(["$user", "x.y"]), "malformed"),
        gives(
            "purchase_validate_samsung",
            json!(["$user", "$receipt_samsung"]),
            validated(bought("samsung", "SAMSUNG_GALAXY_STORE", "SANDBOX", false)),
        ),
        fails("purchase_validate_samsung", json!(["$user", ""]), "cannot be empty"),
        gives(
            "purchase_get_by_transaction_id",
            json!(["$language-huawei"]),
            bought("huawei", "HUAWEI_APP_GALLERY", "PRODUCTION", false),
        ),
        fails("purchase_get_by_transaction_id", json!(["unknown"]), "purchase not found"),
        fails("purchase_get_by_transaction_id", json!([""]), "transaction ID"),
        gives(
            "purchases_list",
            json!(["$user", 1]),
            listed(bought("samsung", "SAMSUNG_GALAXY_STORE", "SANDBOX", false)),
        ),
        gives(
            "purchases_list",
            json!(["$user", 1, "$purchases"]),
            json!({
                "validated_purchases":
                    [bought("google", "GOOGLE_PLAY_STORE", "PRODUCTION", false)],
                "cursor": "$any", "prev_cursor": "$any",
            }),
        ),
        fails("purchases_list", json!([NOBODY, 1, "$purchases"]), "purchases list cursor invalid"),
        fails("purchases_list", json!(["$user", 101]), "expects a limit 1-100"),
        gives(
            "subscription_validate_apple",
            json!(["$user", "$receipt_apple_subscription"]),
            paid(subscription("vip", "vip", "APPLE_APP_STORE")),
        ),
        fails(
            "subscription_validate_apple",
            json!(["$user", "$receipt_apple"]),
            "Purchase Receipt",
        ),
        gives(
            "subscription_validate_google",
            json!(["$user", "$receipt_google_subscription"]),
            paid(subscription("season", "season", "GOOGLE_PLAY_STORE")),
        ),
        fails("subscription_validate_google", json!(["$user", "{}"]), "receipt is malformed"),
        gives(
            "subscription_get_by_product_id",
            json!(["$user", "vip"]),
            subscription("vip", "vip", "APPLE_APP_STORE"),
        ),
        fails("subscription_get_by_product_id", json!(["$user", "x"]), "subscription not found"),
        gives(
            "subscriptions_list",
            json!(["$user", 1]),
            json!({
                "validated_subscriptions": [{ "user_id": "$user", "...": true }],
                "cursor": "$=subscriptions", "prev_cursor": null,
            }),
        ),
        gives(
            "subscriptions_list",
            json!(["$user", 1, "$subscriptions"]),
            json!({
                "validated_subscriptions": [{ "user_id": "$user", "...": true }],
                "cursor": null, "prev_cursor": "$any",
            }),
        ),
        fails(
            "subscriptions_list",
            json!(["$user", 1, "$purchases"]),
            "subscriptions list cursor invalid",
        ),
    ]
}
