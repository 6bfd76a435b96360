//! What the stores sign and answer.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256,
};
use rsa::{
    Pkcs1v15Sign, RsaPublicKey,
    pkcs8::EncodePublicKey as _,
    sha2::{Digest as _, Sha256},
};
use serde_json::{Value, json};

use super::{BUNDLE_ID, Providers, RSA, now_s, signed};

/// The application at Google Play and in the Galaxy Store.
pub const PACKAGE: &str = "com.example.game";
/// The application's password at the App Store.
pub const PASSWORD: &str = "shared-password";

/// Certificates as Apple has them: a root, an intermediate one, and one that signs transactions.
pub struct AppleChain {
    pub root_pem: String,
    chain: Vec<String>,
    leaf: String,
}

impl AppleChain {
    pub fn new() -> Self {
        Self::with_marks(&[1, 2, 840, 113635, 100, 6, 11, 1])
    }

    /// A chain whose last certificate has this mark: Apple makes others for other purposes.
    pub fn with_marks(mark: &[u64]) -> Self {
        let authority = |name: &str| {
            let mut params = named(CertificateParams::new(Vec::new()).unwrap(), name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            params
        };
        let marked = |mut params: CertificateParams, mark: &[u64]| {
            let null = vec![5, 0];
            params.custom_extensions.push(CustomExtension::from_oid_content(mark, null));
            params
        };
        let key = || KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let root = CertifiedIssuer::self_signed(authority("Root"), key()).unwrap();
        let params = marked(authority("Intermediate"), &[1, 2, 840, 113635, 100, 6, 2, 1]);
        let between = CertifiedIssuer::signed_by(params, key(), &root).unwrap();
        let mut params = named(CertificateParams::new(Vec::new()).unwrap(), "Leaf");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let leaf_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let leaf = marked(params, mark).signed_by(&leaf_key, &between).unwrap();
        Self {
            root_pem: root.pem(),
            chain: [leaf.der(), between.der(), root.der()].map(|it| STANDARD.encode(it)).to_vec(),
            leaf: leaf_key.serialize_pem(),
        }
    }

    /// A JWS of these claims, with the chain.
    pub fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.x5c = Some(self.chain.clone());
        let key = EncodingKey::from_ec_pem(self.leaf.as_bytes()).unwrap();
        jsonwebtoken::encode(&header, claims, &key).unwrap()
    }
}

fn named(mut params: CertificateParams, name: &str) -> CertificateParams {
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params
}

/// A certificate of an RSA key, in DER.
pub fn certificate(key: &str) -> Vec<u8> {
    let key = KeyPair::from_pkcs8_pem_and_sign_algo(key, &PKCS_RSA_SHA256).unwrap();
    let params = named(CertificateParams::new(Vec::new()).unwrap(), "Game Center");
    params.self_signed(&key).unwrap().der().to_vec()
}

/// What a store says to what it does not know.
pub fn refusal(path: &str) -> Option<(u16, Value)> {
    match path {
        "/app-store/receipts" | "/app-store/sandbox" => Some((200, json!({ "status": 21003 }))),
        "/samsung/receipt" => Some((
            200,
            json!({ "status": "fail", "errorCode": 9135, "errorMessage": "not exist order" }),
        )),
        "/huawei/applications/purchases/tokens/verify" => {
            Some((200, json!({ "responseCode": "6", "responseMessage": "not found" })))
        }
        _ => None,
    }
}

impl Providers {
    /// The flags that lead a server to the stores here.
    pub(super) fn store_flags(&self) -> Vec<(&'static str, String)> {
        let public = RsaPublicKey::from(&*RSA).to_public_key_der().unwrap();
        vec![
            ("providers.apple_receipts_url", self.url("/app-store/receipts")),
            ("providers.apple_sandbox_receipts_url", self.url("/app-store/sandbox")),
            ("providers.apple_root_certificate", self.root_file().display().to_string()),
            ("providers.google_token_url", self.url("/google/token")),
            ("providers.google_play_url", self.url("/play/v3")),
            ("providers.huawei_token_url", self.url("/huawei/token")),
            ("providers.huawei_orders_url", self.url("/huawei")),
            ("providers.huawei_orders_germany_url", self.url("/huawei-germany")),
            ("providers.samsung_receipts_url", self.url("/samsung/receipt")),
            ("iap.apple.shared_password", PASSWORD.to_owned()),
            ("iap.apple.bundle_ids", BUNDLE_ID.to_owned()),
            ("iap.google.client_email", "account@example.iam".to_owned()),
            // In one line, as environment variables have it.
            ("iap.google.private_key", super::KEY.replace('\n', "\\n")),
            ("iap.huawei.public_key", STANDARD.encode(public)),
            ("iap.huawei.client_id", "client".to_owned()),
            ("iap.huawei.client_secret", "client-secret".to_owned()),
            ("iap.facebook_instant.app_secret", super::SECRET.to_owned()),
            ("iap.samsung.package_name", PACKAGE.to_owned()),
        ]
    }

    /// A transaction as the App Store signs it; `more` adds to it and replaces.
    pub fn apple_transaction(&self, id: &str, more: &Value) -> String {
        self.apple.sign(&transaction(id, more))
    }

    /// A receipt of former times with these items.
    pub fn apple_receipt(&self, name: &str, sandbox: bool, items: &Value) -> String {
        let receipt = format!("receipt-{name}");
        let path = if sandbox { "/app-store/sandbox" } else { "/app-store/receipts" };
        if sandbox {
            self.answer("/app-store/receipts", &receipt, 200, json!({ "status": 21007 }));
        }
        let answer = json!({
            "status": 0, "environment": if sandbox { "Sandbox" } else { "Production" },
            "receipt": { "bundle_id": BUNDLE_ID, "in_app": items }, "latest_receipt_info": items,
        });
        self.answer(path, &receipt, 200, answer);
        receipt
    }

    /// A purchase as Google Play gives it to the client; `answer` is what it says when asked.
    pub fn google_purchase(&self, token: &str, product: &str, answer: Value) -> String {
        self.google_account();
        let path =
            format!("/play/v3/applications/{PACKAGE}/purchases/products/{product}/tokens/{token}");
        self.answer(&path, "Bearer play-token", 200, answer);
        receipt(token, product)
    }

    /// A subscription as Google Play gives it to the client.
    pub fn google_subscription(&self, token: &str, product: &str, answer: Value) -> String {
        self.google_account();
        let path =
            format!("/play/v3/applications/{PACKAGE}/purchases/subscriptionsv2/tokens/{token}");
        self.answer(&path, "Bearer play-token", 200, answer);
        receipt(token, product)
    }

    fn google_account(&self) {
        let answer =
            json!({ "access_token": "play-token", "expires_in": 3599, "token_type": "Bearer" });
        self.answer("/google/token", "grant_type=urn%3Aietf", 200, answer);
    }

    /// A purchase as the AppGallery gives it to the client, and its signature.
    pub fn huawei_purchase(&self, token: &str, product: &str) -> (String, String) {
        let data = json!({
            "applicationId": 1, "autoRenewing": false, "orderId": "H1", "kind": 0,
            "packageName": PACKAGE, "productId": product, "purchaseTime": 1_700_000_000_000_i64,
            "purchaseToken": token, "accountFlag": 0,
        });
        let answer =
            json!({ "access_token": "huawei-token", "expires_in": 3600, "token_type": "Bearer" });
        self.answer("/huawei/token", "grant_type=client_credentials", 200, answer);
        let authorization = STANDARD.encode("APPAT:huawei-token");
        let path = "/huawei/applications/purchases/tokens/verify";
        let verified = json!({
            "responseCode": "0", "purchaseTokenData": data.to_string(), "dataSignature": "x",
        });
        let holding = format!("{authorization}\n{}", order(product, token));
        self.answer(path, &holding, 200, verified);
        let digest = Sha256::digest(data.to_string());
        let signature = RSA.sign(Pkcs1v15Sign::new::<Sha256>(), &digest).unwrap();
        (data.to_string(), STANDARD.encode(signature))
    }

    /// The id of a purchase in the Galaxy Store.
    pub fn samsung_purchase(&self, id: &str, product: &str, package: &str) -> String {
        let answer = json!({
            "status": "success", "mode": "TEST", "orderId": "S1", "paymentId": "P1",
            "packageName": package, "itemId": product, "itemName": "Gems", "itemDesc": "",
            "itemType": "CONSUMABLE", "paymentAmount": "1.00", "paymentMethod": "Credit Card",
            "purchaseDate": "2024-03-01 10:20:30",
        });
        self.answer("/samsung/receipt", &format!("purchaseID={id}\n"), 200, answer);
        id.to_owned()
    }
}

/// A purchase in a Facebook Instant Game, signed.
pub fn instant_purchase(token: &str, product: &str) -> String {
    signed(&json!({
        "algorithm": "HMAC-SHA256", "app_id": "1", "is_consumed": false, "issued_at": now_s(),
        "payment_action_type": "charge", "payment_id": "P", "product_id": product,
        "purchase_price": { "amount": "1.00", "currency": "EUR" },
        "purchase_time": 1_700_000_000.0, "purchase_token": token,
    }))
}

/// What the App Store says of a transaction.
pub fn transaction(id: &str, more: &Value) -> Value {
    let mut claims = json!({
        "bundleId": BUNDLE_ID, "environment": "Production", "productId": "gems",
        "transactionId": id, "originalTransactionId": id, "purchaseDate": 1_700_000_000_000_i64,
        "originalPurchaseDate": 1_700_000_000_000_i64, "quantity": 1, "type": "Consumable",
        "inAppOwnershipType": "PURCHASED", "signedDate": 1_700_000_000_500_i64,
    });
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    claims
}

/// The body of a question to Huawei.
fn order(product: &str, token: &str) -> String {
    format!("\n{}", json!({ "purchaseToken": token, "productId": product })).trim().to_owned()
}

fn receipt(token: &str, product: &str) -> String {
    json!({
        "orderId": "GPA.1", "packageName": PACKAGE, "productId": product, "purchaseState": 0,
        "purchaseTime": 1_700_000_000_000_i64, "purchaseToken": token,
    })
    .to_string()
}
