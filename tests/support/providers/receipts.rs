//! What the stores sign and answer.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256,
};
use serde_json::{Value, json};

/// Certificates as Apple has them: a root, an intermediate one, and one that signs transactions.
pub struct AppleChain {
    pub root_pem: String,
    chain: Vec<String>,
    leaf: String,
}

impl AppleChain {
    pub fn new() -> Self {
        let authority = || {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            params
        };
        let key = || KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let root = CertifiedIssuer::self_signed(named(authority(), "Root"), key()).unwrap();
        let between =
            CertifiedIssuer::signed_by(named(authority(), "Intermediate"), key(), &root).unwrap();
        let mut params = named(CertificateParams::new(Vec::new()).unwrap(), "Leaf");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let leaf_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let leaf = params.signed_by(&leaf_key, &between).unwrap();
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
        _ => None,
    }
}
