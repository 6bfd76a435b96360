//! What the App Store signs: a JWS with the certificates of its key.
//!
//! Source: Apple, "App Store Server API: JWSTransaction", and its server libraries. Beyond the
//! reference, the certificates must be those that Apple makes for this purpose: others below the
//! same root belong to anybody with a developer account.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use rustls::pki_types::{CertificateDer, UnixTime};
use serde::de::DeserializeOwned;
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, anchor_from_trusted_cert,
};
use x509_cert::{
    Certificate,
    der::{Decode as _, oid::ObjectIdentifier},
};

use super::ProviderError;

/// The root of the certificates: "Apple Root CA - G3".
const APPLE_ROOT: &str = include_str!("apple_root_ca_g3.pem");

/// Marks a certificate that signs for the App Store, and one that makes such.
const SIGNS_RECEIPTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113635.100.6.11.1");
const MAKES_CERTIFICATES: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113635.100.6.2.1");

/// The certificates in a header: the one that signs, the one that made it, the root.
const CHAIN: usize = 3;

/// The roots that are trusted.
#[derive(Debug)]
pub(super) struct Roots(Vec<CertificateDer<'static>>);

impl Roots {
    /// Those in a text of PEM, Apple's own for an empty one; `None` where there are none in it.
    pub(super) fn read(pem: &str) -> Option<Self> {
        let pem = if pem.is_empty() { APPLE_ROOT } else { pem };
        let chain = x509_cert::Certificate::load_pem_chain(pem.as_bytes()).ok()?;
        let mut roots = Vec::with_capacity(chain.len());
        for certificate in chain {
            let der = x509_cert::der::Encode::to_der(&certificate).ok()?;
            roots.push(CertificateDer::from(der));
        }
        (!roots.is_empty()).then_some(Self(roots))
    }

    /// What `jws` holds, if it is signed by a key below one of these roots at the time `now`.
    ///
    /// # Errors
    /// [`ProviderError::Refused`].
    pub(super) fn verify<T: DeserializeOwned>(
        &self,
        jws: &str,
        now: Duration,
    ) -> Result<T, ProviderError> {
        let refused = |what: &'static str| ProviderError::refused(what);
        let header = jsonwebtoken::decode_header(jws).map_err(|_| refused("invalid jws header"))?;
        let chain = header.x5c.unwrap_or_default();
        if header.alg != Algorithm::ES256 || chain.len() != CHAIN {
            return Err(refused("invalid jws header: no chain of certificates"));
        }
        let mut certificates = Vec::with_capacity(chain.len());
        for text in chain {
            let der = STANDARD.decode(text).map_err(|_| refused("invalid jws certificate"))?;
            certificates.push(CertificateDer::from(der));
        }
        let key = self.key(&certificates, now).ok_or(refused("untrusted jws certificates"))?;
        let mut wanted = Validation::new(Algorithm::ES256);
        wanted.required_spec_claims.clear();
        wanted.validate_exp = false;
        wanted.validate_aud = false;
        let verified = jsonwebtoken::decode(jws, &key, &wanted);
        Ok(verified.map_err(|_| refused("invalid jws signature"))?.claims)
    }

    /// The key of the first of `certificates` if they lead to one of the roots.
    fn key(&self, certificates: &[CertificateDer<'_>], now: Duration) -> Option<DecodingKey> {
        let [leaf, between, _] = certificates else { return None };
        let anchors = self.0.iter().map(anchor_from_trusted_cert).collect::<Result<Vec<_>, _>>();
        let algorithms = &[
            webpki::ring::ECDSA_P256_SHA256,
            webpki::ring::ECDSA_P256_SHA384,
            webpki::ring::ECDSA_P384_SHA256,
            webpki::ring::ECDSA_P384_SHA384,
        ];
        EndEntityCert::try_from(leaf)
            .ok()?
            .verify_for_usage(
                algorithms,
                &anchors.ok()?,
                std::slice::from_ref(between),
                UnixTime::since_unix_epoch(now),
                AnyUsage,
                None,
                None,
            )
            .ok()?;
        let leaf = marked(leaf, SIGNS_RECEIPTS)?;
        marked(between, MAKES_CERTIFICATES)?;
        let key = leaf.tbs_certificate.subject_public_key_info.subject_public_key;
        Some(DecodingKey::from_ec_der(key.as_bytes()?))
    }
}

/// The certificate, if it has this extension.
fn marked(certificate: &CertificateDer<'_>, mark: ObjectIdentifier) -> Option<Certificate> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let extensions = certificate.tbs_certificate.extensions.as_ref()?;
    extensions.iter().any(|it| it.extn_id == mark).then_some(certificate)
}

/// Apple's certificates say by marks of its own what they are for.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn apples_root_is_the_default() {
        assert_eq!(Roots::read("").unwrap().0.len(), 1);
        assert!(Roots::read("nothing").is_none());
    }

    #[test]
    fn what_is_not_signed_by_apple_is_refused() {
        let roots = Roots::read("").unwrap();
        for jws in ["", "a.b.c", "eyJhbGciOiJFUzI1NiJ9.e30.AAAA", "eyJhbGciOiJub25lIn0.e30."] {
            let verified =
                roots.verify::<serde_json::Value>(jws, Duration::from_secs(1_700_000_000));
            assert!(verified.is_err(), "{jws}");
        }
    }
}
