//! Purchases and subscriptions, against a server of our own that answers as the stores do.

use serde_json::{Value, json};

use crate::support::{
    Server, Setup,
    providers::{
        Providers, Trouble, now_s,
        receipts::{AppleChain, PACKAGE, instant_purchase, transaction},
    },
};

/// Lists what is stored, as an operator's module would.
const MODULE: &str = "
    function purchases(ctx, logger, nk, payload) {
        const { user, limit, cursor } = JSON.parse(payload);
        return JSON.stringify(nk.purchasesList(user, limit, cursor));
    }
    function InitModule(ctx, logger, nk, initializer) {
        initializer.registerRpc('purchases', purchases);
    }";

fn start(providers: &Providers) -> Server {
    providers.setup(Setup::new()).module("index.js", MODULE).start()
}

fn id(server: &Server, token: &str) -> String {
    server.get("/v2/account", token).ok()["user"]["id"].as_str().unwrap().to_owned()
}

/// The only purchase of an answer.
#[track_caller]
fn one(answer: crate::support::Answer) -> Value {
    let purchases = answer.ok()["validated_purchases"].as_array().unwrap().clone();
    let [purchase] = purchases.try_into().unwrap();
    purchase
}

fn stored(server: &Server, request: &Value) -> Value {
    server.rpc("purchases", &request.to_string()).ok()
}

/// An item of a receipt of former times.
fn item(id: &str, product: &str) -> Value {
    json!({
        "transaction_id": id, "original_transaction_id": id, "product_id": product,
        "purchase_date_ms": "1700000000000", "original_purchase_date_ms": "1700000000000",
    })
}

fn paid() -> Value {
    json!({
        "kind": "androidpublisher#productPurchase", "purchaseTimeMillis": "1700000001000",
        "purchaseState": 0, "consumptionState": 0, "orderId": "GPA.1", "acknowledgementState": 1,
        "regionCode": "DE",
    })
}

#[test]
fn every_store_confirms_a_purchase_once() {
    let providers = Providers::start();
    let server = start(&providers);
    let (ann, bob) = (server.sign_in("ann"), server.sign_in("bob"));
    let (data, signature) = providers.huawei_purchase("huawei-1", "gems");
    let sandbox = json!({ "environment": "Sandbox" });
    let mut tried = paid();
    tried["purchaseType"] = 0.into();
    // Store and environment: 1 sandbox, 2 production.
    let stores = [
        (
            "apple",
            json!({ "receipt": providers.apple_transaction("apple-1", &sandbox) }),
            "apple-1",
            (0, 1),
            "2023-11-14T22:13:20Z",
        ),
        (
            "apple",
            json!({ "receipt": providers.apple_receipt("a", true, &json!([item("apple-2", "gems")])) }),
            "apple-2",
            (0, 1),
            "2023-11-14T22:13:20Z",
        ),
        (
            "google",
            json!({ "purchase": providers.google_purchase("google-1", "gems", paid()) }),
            "google-1",
            (1, 2),
            "2023-11-14T22:13:21Z",
        ),
        (
            "google",
            json!({ "purchase": providers.google_purchase("google-2", "gems", tried) }),
            "google-2",
            (1, 1),
            "2023-11-14T22:13:21Z",
        ),
        (
            "huawei",
            json!({ "purchase": data, "signature": signature }),
            "huawei-1",
            (2, 2),
            "2023-11-14T22:13:20Z",
        ),
        (
            "facebookinstant",
            json!({ "signed_request": instant_purchase("instant-1", "gems") }),
            "instant-1",
            (3, 2),
            "2023-11-14T22:13:20Z",
        ),
        (
            "samsung",
            json!({ "purchase_id": providers.samsung_purchase("samsung-1", "gems", PACKAGE) }),
            "samsung-1",
            (4, 1),
            "2024-03-01T10:20:30Z",
        ),
    ];
    for (store, mut body, transaction, (number, environment), time) in stores.clone() {
        let path = format!("/v2/iap/purchase/{store}");
        body["persist"] = false.into();
        let tried = one(server.post(&path, &ann, body.clone()));
        assert_eq!(tried["transaction_id"], transaction, "{store}");
        assert_eq!(tried.get("create_time"), None, "{store}");
        body["persist"] = Value::Null;

        let first = one(server.post(&path, &ann, body.clone()));
        assert_eq!(first["user_id"], id(&server, &ann), "{store}");
        assert_eq!(first["product_id"], "gems", "{store}");
        assert_eq!(first["transaction_id"], transaction, "{store}");
        assert_eq!(first["store"].as_i64().unwrap_or_default(), number, "{store}");
        assert_eq!(first["environment"], environment, "{store}");
        assert_eq!(first["purchase_time"], time, "{store}");
        assert_eq!(first.get("seen_before"), None, "{store}");
        assert!(first["create_time"].is_string(), "{store}");
        // By the same player or another, it was seen before.
        for player in [&ann, &bob] {
            let again = one(server.post(&path, player, body.clone()));
            assert_eq!(again["seen_before"], true, "{store}");
            assert_eq!(again["create_time"], first["create_time"], "{store}");
        }
    }
    let owner = id(&server, &ann);
    let kept = stored(&server, &json!({ "user": owner }));
    assert_eq!(kept["validatedPurchases"].as_array().unwrap().len(), stores.len());
    let none = stored(&server, &json!({ "user": id(&server, &bob) }));
    assert_eq!(none["validatedPurchases"], json!([]));
    assert_eq!(providers.requests("/google/token").len(), 1, "the token is kept");
    assert_eq!(providers.requests("/huawei/token").len(), 1, "the token is kept");
}

#[test]
fn a_receipt_may_hold_many_purchases() {
    let providers = Providers::start();
    let server = start(&providers);
    let ann = server.sign_in("ann");
    let mut refunded = item("p2", "coins");
    refunded["cancellation_date_ms"] = "1700000100000".into();
    let mut subscription = item("s1", "vip");
    subscription["expires_date_ms"] = "1800000000000".into();
    let items = json!([item("p1", "gems"), refunded, subscription, item("p1", "gems")]);
    let receipt = json!({ "receipt": providers.apple_receipt("many", false, &items) });
    let answer = server.post("/v2/iap/purchase/apple", &ann, receipt.clone()).ok();
    let purchases = answer["validated_purchases"].as_array().unwrap();
    let ids: Vec<&Value> = purchases.iter().map(|it| &it["transaction_id"]).collect();
    assert_eq!(ids, ["p1", "p2"]);
    assert_eq!(purchases[1]["refund_time"], "2023-11-14T22:15:00Z");
    assert_eq!(purchases[0].get("refund_time"), None);

    // The subscription of the same receipt is validated elsewhere.
    let answer = server.post("/v2/iap/subscription/apple", &ann, receipt).ok();
    assert_eq!(answer["validated_subscription"]["original_transaction_id"], "s1");
    assert_eq!(answer["validated_subscription"]["active"], true);

    let only = json!([subscription_item("s2", "1700000000000")]);
    let receipt = json!({ "receipt": providers.apple_receipt("only", false, &only) });
    let refused = server.post("/v2/iap/purchase/apple", &ann, receipt).refused();
    let sentence = "Subscription Receipt. Use the appropriate function instead.".to_owned();
    assert_eq!(refused, (400, 9, sentence));
    let receipt = json!([item("p3", "gems")]);
    let receipt = json!({ "receipt": providers.apple_receipt("p3", false, &receipt) });
    let refused = server.post("/v2/iap/subscription/apple", &ann, receipt).refused();
    let sentence = "Purchase Receipt. Use the appropriate function instead.".to_owned();
    assert_eq!(refused, (400, 9, sentence));
}

fn subscription_item(id: &str, expires: &str) -> Value {
    let mut item = item(id, "vip");
    item["expires_date_ms"] = expires.into();
    item
}

#[test]
fn a_purchase_that_was_given_back_stays_so() {
    let providers = Providers::start();
    let server = start(&providers);
    let ann = server.sign_in("ann");
    let validate = |more: &Value| {
        let receipt = providers.apple_transaction("back", more);
        one(server.post("/v2/iap/purchase/apple", &ann, json!({ "receipt": receipt })))
    };
    assert_eq!(validate(&json!({}))["refund_time"], "1970-01-01T00:00:00Z");
    let refunded = validate(&json!({ "revocationDate": 1_700_000_100_000_i64 }));
    assert_eq!(refunded["refund_time"], "2023-11-14T22:15:00Z");
    // The receipt of before does not undo it.
    assert_eq!(validate(&json!({}))["refund_time"], "2023-11-14T22:15:00Z");
    let listed = stored(&server, &json!({}));
    assert_eq!(listed["validatedPurchases"][0]["refundTime"], 1_700_000_100);
}

#[test]
fn what_a_store_does_not_confirm_is_not_stored() {
    let providers = Providers::start();
    let server = start(&providers);
    let ann = server.sign_in("ann");
    let good = providers.apple_transaction("x", &json!({}));
    let (head, signature) = good.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let forged = AppleChain::new().sign(&transaction("x", &json!({})));
    let other_app = providers.apple_transaction("x", &json!({ "bundleId": "com.example.other" }));
    let (data, signed) = providers.huawei_purchase("h", "gems");
    let mut cancelled = paid();
    cancelled["purchaseState"] = 1.into();
    let cancelled = providers.google_purchase("cancelled", "gems", cancelled);
    let said = cancelled.replace("\"purchaseState\":0", "\"purchaseState\":2");
    let unknown = json!({
        "packageName": PACKAGE, "productId": "gems", "purchaseToken": "unknown",
    });
    let strange = providers.samsung_purchase("strange", "gems", "com.example.other");
    let apple = |receipt: String| ("apple", json!({ "receipt": receipt }));
    let cases = [
        (apple(format!("{head}.{flipped}{}", &signature[1..])), 2, "invalid jws signature"),
        (apple(forged), 2, "untrusted jws certificates"),
        (apple(other_app), 2, "the transaction belongs to another application"),
        (apple("a.b.c".to_owned()), 2, "invalid jws header"),
        (apple("unknown".to_owned()), 9, "Invalid Receipt. Status: 21003"),
        (apple(String::new()), 3, "Receipt cannot be empty."),
        (("google", json!({ "purchase": cancelled })), 9, "Invalid Receipt. State: 1"),
        (("google", json!({ "purchase": said })), 9, "Invalid Receipt. State: 2"),
        (("google", json!({ "purchase": "{}" })), 2, "receipt is malformed"),
        (
            ("google", json!({ "purchase": unknown.to_string() })),
            2,
            "Google answered with status 404",
        ),
        (
            ("huawei", json!({ "purchase": format!("{data} "), "signature": signed })),
            2,
            "inAppPurchaseData invalid signature",
        ),
        (("facebookinstant", json!({ "signed_request": "eA.eA" })), 2, "wrong signature"),
        (
            ("samsung", json!({ "purchase_id": "unknown" })),
            2,
            "Samsung IAP: purchase validation failed: not exist order (errorCode=9135)",
        ),
        (("samsung", json!({ "purchase_id": strange })), 2, "Samsung IAP: package name mismatch"),
    ];
    for ((store, body), code, sentence) in cases {
        let path = format!("/v2/iap/purchase/{store}");
        let (_, got, message) = server.post(&path, &ann, body.clone()).refused();
        assert_eq!(got, code, "{store} {body}: {message}");
        assert!(message.starts_with(sentence), "{store}: {message}");
    }
    assert_eq!(stored(&server, &json!({}))["validatedPurchases"], json!([]));
}

#[test]
fn a_certificate_of_apple_for_another_purpose_signs_no_receipt() {
    let mut providers = Providers::start();
    // That of a merchant, which anybody with a developer account can have.
    providers.trust(AppleChain::with_marks(&[1, 2, 840, 113635, 100, 6, 32]));
    let server = start(&providers);
    let ann = server.sign_in("ann");
    let receipt = providers.apple_transaction("x", &json!({}));
    let answer = server.post("/v2/iap/purchase/apple", &ann, json!({ "receipt": receipt }));
    assert_eq!(answer.refused(), (500, 2, "untrusted jws certificates".to_owned()));
}

#[test]
fn a_store_in_trouble_is_asked_again_but_not_for_ever() {
    let providers = Providers::start();
    let server = start(&providers);
    let ann = server.sign_in("ann");
    let id = providers.samsung_purchase("samsung-1", "gems", PACKAGE);
    let buy = || server.post("/v2/iap/purchase/samsung", &ann, json!({ "purchase_id": id }));
    let path = "/samsung/receipt";
    providers.fail(path, Trouble::Status(500));
    providers.fail(path, Trouble::Silence);
    assert_eq!(one(buy()).get("seen_before"), None);
    for _ in 0..3 {
        providers.fail(path, Trouble::Hangup);
    }
    let away = "Samsung IAP verification is currently unavailable. Try again later.".to_owned();
    assert_eq!(buy().refused(), (503, 14, away));
    assert_eq!(providers.requests(path).len(), 6);
    assert_eq!(one(buy())["seen_before"], true);

    // A token that was taken back is fetched anew.
    let purchase = providers.google_purchase("google-1", "gems", paid());
    let buy = || server.post("/v2/iap/purchase/google", &ann, json!({ "purchase": purchase }));
    one(buy());
    let path = format!("/play/v3/applications/{PACKAGE}/purchases/products/gems/tokens/google-1");
    providers.fail(&path, Trouble::Status(401));
    one(buy());
    assert_eq!(providers.requests("/google/token").len(), 2);
}

#[test]
fn purchases_are_listed_in_pages_both_ways() {
    let providers = Providers::start();
    let server = start(&providers);
    let (ann, bob) = (server.sign_in("ann"), server.sign_in("bob"));
    for number in 0..5 {
        let more = json!({ "purchaseDate": 1_700_000_000_000_i64 + number / 2 * 1000 });
        let receipt = providers.apple_transaction(&format!("t{number}"), &more);
        let player = if number == 4 { &bob } else { &ann };
        server.post("/v2/iap/purchase/apple", player, json!({ "receipt": receipt })).ok();
    }
    let page = |user: Option<&str>, limit: i64, cursor: &Value| {
        let list = stored(&server, &json!({ "user": user, "limit": limit, "cursor": cursor }));
        let ids = list["validatedPurchases"].as_array().unwrap().iter();
        let ids: Vec<String> =
            ids.map(|it| it["transactionId"].as_str().unwrap().to_owned()).collect();
        (ids, list["cursor"].clone(), list["prevCursor"].clone())
    };
    let user = id(&server, &ann);
    let user = Some(user.as_str());
    let (ids, next, previous) = page(user, 2, &Value::Null);
    assert_eq!(ids, ["t3", "t2"]);
    assert_eq!(previous, Value::Null);
    let (ids, end, previous) = page(user, 2, &next);
    assert_eq!(ids, ["t1", "t0"]);
    assert_eq!(end, Value::Null);
    let (ids, next, start) = page(user, 2, &previous);
    assert_eq!(ids, ["t3", "t2"]);
    assert_eq!(start, Value::Null);
    assert_eq!(page(user, 2, &next).0, ["t1", "t0"]);
    assert_eq!(page(None, 100, &Value::Null).0, ["t4", "t3", "t2", "t1", "t0"]);
    // A cursor belongs to one list.
    let foreign = json!({ "user": id(&server, &bob), "limit": 2, "cursor": next }).to_string();
    let (status, _, message) = server.rpc("purchases", &foreign).refused();
    assert_eq!(status, 500);
    assert!(message.contains("purchases list cursor invalid"), "{message}");
}

#[test]
fn subscriptions_are_validated_got_and_listed() {
    let providers = Providers::start();
    let server = start(&providers);
    let (ann, bob) = (server.sign_in("ann"), server.sign_in("bob"));
    let future = (now_s() + 86_400) * 1000;
    let claims = |more: Value| {
        let mut claims = json!({
            "productId": "vip", "expiresDate": future, "type": "Auto-Renewable Subscription",
        });
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "receipt": providers.apple_transaction("s1", &claims) })
    };
    let apple = "/v2/iap/subscription/apple";
    let first = server.post(apple, &ann, claims(json!({}))).ok();
    let first = &first["validated_subscription"];
    assert_eq!(first["user_id"], id(&server, &ann));
    assert_eq!((&first["product_id"], &first["active"]), (&json!("vip"), &json!(true)));
    assert_eq!(first["original_transaction_id"], "s1");
    assert_eq!(first["purchase_time"], "2023-11-14T22:13:20Z");
    // Another player's receipt of it changes nothing of whose it is.
    let again = server.post(apple, &bob, claims(json!({}))).ok();
    assert_eq!(again["validated_subscription"]["user_id"], first["user_id"]);
    assert_eq!(again["validated_subscription"]["create_time"], first["create_time"]);

    let expiry = "2030-01-02T03:04:05.678Z";
    let answer = json!({
        "kind": "androidpublisher#subscriptionPurchaseV2", "regionCode": "DE",
        "subscriptionState": "SUBSCRIPTION_STATE_ACTIVE", "latestOrderId": "GPA.1",
        "startTime": "2024-01-02T03:04:05Z", "testPurchase": {},
        "lineItems": [{ "productId": "season", "expiryTime": expiry,
            "autoRenewingPlan": { "autoRenewEnabled": true } }],
    });
    let receipt = providers.google_subscription("g1", "season", answer.clone());
    let google = "/v2/iap/subscription/google";
    let body = json!({ "receipt": receipt, "persist": false });
    let tried = server.post(google, &ann, body).ok();
    assert_eq!(tried["validated_subscription"].get("create_time"), None);
    let body = json!({ "receipt": receipt });
    let validated = server.post(google, &ann, body).ok()["validated_subscription"].clone();
    assert_eq!(validated["expiry_time"], expiry);
    assert_eq!((&validated["store"], &validated["environment"]), (&json!(1), &json!(1)));
    let told: Value =
        serde_json::from_str(validated["provider_response"].as_str().unwrap()).unwrap();
    assert_eq!(told, answer);
    // A change of plan is the same subscription under a new token.
    let mut changed = answer;
    changed["linkedPurchaseToken"] = "g1".into();
    let receipt = providers.google_subscription("g2", "season-plus", changed);
    let validated = server.post(google, &ann, json!({ "receipt": receipt })).ok();
    assert_eq!(validated["validated_subscription"]["original_transaction_id"], "g1");

    let got = server.get("/v2/iap/subscription/season-plus", &ann).ok();
    assert_eq!(got["original_transaction_id"], "g1");
    assert_eq!(got["active"], true);
    let missing = server.get("/v2/iap/subscription/season-plus", &bob).refused();
    assert_eq!(missing, (404, 5, "subscription not found".to_owned()));

    let list = |body: Value| server.post("/v2/iap/subscription", &ann, body);
    let page = list(json!({ "limit": 1 })).ok();
    let rest = list(json!({ "limit": 1, "cursor": page["cursor"] })).ok();
    let name = |page: &Value| page["validated_subscriptions"][0]["original_transaction_id"].clone();
    let mut names = [name(&page), name(&rest)].map(|it| it.as_str().unwrap().to_owned());
    names.sort();
    assert_eq!(names, ["g1", "s1"]);
    assert_eq!(rest.get("cursor"), None);
    let back = list(json!({ "limit": 1, "cursor": rest["prev_cursor"] })).ok();
    assert_eq!(name(&back), name(&page));
    assert_eq!(list(json!({ "limit": 101 })).status, 400);
    let foreign = server.post("/v2/iap/subscription", &bob, json!({ "cursor": page["cursor"] }));
    let refused = (500, 2, "subscriptions list cursor invalid".to_owned());
    assert_eq!(foreign.refused(), refused);

    // Given back, it is no longer active, whatever an older receipt says.
    server.post(apple, &ann, claims(json!({ "revocationDate": 1_700_000_100_000_i64 }))).ok();
    server.post(apple, &ann, claims(json!({}))).ok();
    let got = server.get("/v2/iap/subscription/vip", &ann).ok();
    assert_eq!(got["refund_time"], "2023-11-14T22:15:00Z");
    assert_eq!(got.get("active"), None);
}
