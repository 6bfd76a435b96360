//! Session and refresh tokens: JSON web tokens signed by HS256, the reference's to the claim, so that
//! a client keeps its session when the server is swapped.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::Sha256;
use uuid::Uuid;

use crate::caller::{User, Vars};

/// `{"alg":"HS256","typ":"JWT"}`, as every token of ours begins.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// The longest token that is looked at, in bytes; requests are far below it.
const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// `tid`: shared by a session token, its refresh token and all that come of them.
    pub token_id: String,
    /// `uid`: the account.
    pub user_id: Uuid,
    /// `usn`: the account's name when the token was made.
    pub username: String,
    /// `vrs`: the session variables; left out where there are none.
    pub vars: Vars,
    /// `exp`: when the token ends, Unix seconds.
    pub expires_s: i64,
    /// `iat`: when the user signed in, Unix seconds; a refresh keeps it. 0 where the token is silent.
    pub issued_s: i64,
}

impl From<Claims> for User {
    fn from(claims: Claims) -> Self {
        Self {
            id: claims.user_id,
            username: claims.username,
            vars: claims.vars,
            expires_s: claims.expires_s,
            token_id: claims.token_id,
            issued_s: claims.issued_s,
        }
    }
}

/// A key that signs tokens, prepared once.
#[derive(Clone)]
pub struct TokenKey(Hmac<Sha256>);

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey")
    }
}

/// The claims as they stand in a token: in this order, what is empty left out.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    tid: &'a str,
    uid: Uuid,
    #[serde(skip_serializing_if = "str::is_empty")]
    usn: &'a str,
    #[serde(skip_serializing_if = "Vars::is_empty")]
    vrs: &'a Vars,
    #[serde(skip_serializing_if = "is_zero")]
    exp: i64,
    #[serde(skip_serializing_if = "is_zero")]
    iat: i64,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[derive(Deserialize)]
struct Read {
    #[serde(default)]
    tid: String,
    uid: Uuid,
    #[serde(default)]
    usn: String,
    #[serde(default)]
    vrs: Vars,
    exp: i64,
    #[serde(default)]
    iat: i64,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

impl TokenKey {
    /// The key with these bytes, of any number.
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    pub fn new(key: &[u8]) -> Self {
        Self(Hmac::new_from_slice(key).expect("a key of any length"))
    }

    /// The signed token that says `claims`.
    pub fn issue(&self, claims: &Claims) -> String {
        let written = Written {
            tid: &claims.token_id,
            uid: claims.user_id,
            usn: &claims.username,
            vrs: &claims.vars,
            exp: claims.expires_s,
            iat: claims.issued_s,
        };
        self.sign(&written)
    }

    /// A signed token with these claims, which are texts and numbers.
    pub fn sign(&self, claims: &impl Serialize) -> String {
        // A struct of text and numbers has a JSON form; only foreign types can fail.
        let payload = serde_json::to_vec(claims).unwrap_or_default();
        let mut token = String::with_capacity(HEADER.len() + payload.len() * 4 / 3 + 48);
        token.push_str(HEADER);
        token.push('.');
        BASE64.encode_string(payload, &mut token);
        let signature = self.0.clone().chain_update(token.as_bytes()).finalize().into_bytes();
        token.push('.');
        BASE64.encode_string(signature, &mut token);
        token
    }

    /// What `token` says, if this key signed it and it has not ended at `now_s` (Unix seconds).
    ///
    /// A `uid` that is not a UUID is refused, where the reference takes it for the system user.
    pub fn verify(&self, token: &str, now_s: i64) -> Option<Claims> {
        let read: Read = self.open(token)?;
        if now_s >= read.exp {
            return None;
        }
        Some(Claims {
            token_id: read.tid,
            user_id: read.uid,
            username: read.usn,
            vars: read.vrs,
            expires_s: read.exp,
            issued_s: read.iat,
        })
    }

    /// The claims of `token`, if this key signed it and they are of this form. Whether it has ended
    /// is for the caller to see.
    ///
    /// The signature is compared in constant time, and before anything of the token is believed.
    pub fn open<T: DeserializeOwned>(&self, token: &str) -> Option<T> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let mut given = [0; 33];
        let length = BASE64.decode_slice(signature, &mut given).ok()?;
        self.0.clone().chain_update(signed.as_bytes()).verify_slice(&given[..length]).ok()?;

        if header != HEADER {
            let header: Header = serde_json::from_slice(&BASE64.decode(header).ok()?).ok()?;
            if header.alg != "HS256" {
                return None;
            }
        }
        serde_json::from_slice(&BASE64.decode(payload).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const NOW_S: i64 = 1_700_000_000;

    fn key() -> TokenKey {
        TokenKey::new(b"defaultencryptionkey")
    }

    fn claims() -> Claims {
        Claims {
            token_id: "b9a5c2f0-3b9e-4a52-9f0a-0d1c1c1f6a11".into(),
            user_id: Uuid::from_u128(7),
            username: "ann".into(),
            vars: Vars::new(),
            expires_s: NOW_S + 60,
            issued_s: NOW_S,
        }
    }

    /// A token that `key()` signed, of these texts.
    fn signed(header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(payload));
        let signature = key().0.chain_update(signed.as_bytes()).finalize().into_bytes();
        format!("{signed}.{}", BASE64.encode(signature))
    }

    #[test]
    fn a_token_holds_the_references_claims_in_its_order() {
        let token = key().issue(&claims());
        let payload = BASE64.decode(token.split('.').nth(1).unwrap()).unwrap();
        assert_eq!(
            String::from_utf8(payload).unwrap(),
            r#"{"tid":"b9a5c2f0-3b9e-4a52-9f0a-0d1c1c1f6a11","uid":"00000000-0000-0000-0000-000000000007","usn":"ann","exp":1700000060,"iat":1700000000}"#
        );
    }

    #[test]
    fn what_is_issued_is_read_back() {
        let vars = Vars::from([("b".into(), "2".into()), ("a".into(), "\u{e9}<".into())]);
        for claims in [claims(), Claims { vars, issued_s: 0, ..claims() }] {
            assert_eq!(key().verify(&key().issue(&claims), NOW_S), Some(claims));
        }
    }

    #[test]
    fn a_token_ends_with_the_second_it_names() {
        let token = key().issue(&claims());
        assert!(key().verify(&token, NOW_S + 59).is_some());
        assert!(key().verify(&token, NOW_S + 60).is_none());
    }

    #[test]
    fn another_key_or_a_changed_token_is_refused() {
        let token = key().issue(&claims());
        assert!(TokenKey::new(b"other").verify(&token, NOW_S).is_none());
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(key().verify(&changed, NOW_S).is_none(), "byte {at}");
        }
        for text in
            ["", ".", "..", "a.b.c", "garbage", &token[..token.len() - 1], &format!("{token}A")]
        {
            assert!(key().verify(text, NOW_S).is_none(), "{text}");
        }
    }

    #[test]
    fn tokens_of_other_makers_are_read_if_they_are_hs256_and_name_a_user() {
        const USER: &str =
            r#"{"uid":"3f7dd25c-5b45-4f52-8d2d-1a4c1d1b0f11","exp":4102444800,"more":[]}"#;
        let spaced = r#"{"alg": "HS256", "typ": "JWT"}"#;
        assert!(key().verify(&signed(spaced, USER), NOW_S).is_some());
        assert!(key().verify(&signed(r#"{"alg":"none"}"#, USER), NOW_S).is_none());
        assert!(key().verify(&signed(r#"{"alg":"HS512"}"#, USER), NOW_S).is_none());
        for payload in [
            r#"{"uid":"","exp":4102444800}"#,
            r#"{"uid":"system","exp":4102444800}"#,
            r#"{"exp":4102444800}"#,
            r#"{"uid":"3f7dd25c-5b45-4f52-8d2d-1a4c1d1b0f11"}"#,
            "[]",
        ] {
            assert!(key().verify(&signed(spaced, payload), NOW_S).is_none(), "{payload}");
        }
    }

    #[test]
    fn a_token_of_the_reference_is_read() {
        // From the conformance case session/token_of_unknown_user.
        let token = "eyJhbGciOiAiSFMyNTYiLCAidHlwIjogIkpXVCJ9.eyJ0aWQiOiAidCIsICJ1aWQiOiAiM2Y3ZGQyNWMtNWI0NS00ZjUyLThkMmQtMWE0YzFkMWIwZjExIiwgInVzbiI6ICJnaG9zdCIsICJleHAiOiA0MTAyNDQ0ODAwfQ.hSyIEfGRS3UQbS-gIWH9vOf8ABRmO8ThGTqbUgHvyus";
        let claims = key().verify(token, NOW_S).unwrap();
        assert_eq!((claims.token_id.as_str(), claims.username.as_str()), ("t", "ghost"));
        assert_eq!(claims.expires_s, 4_102_444_800);
    }
}
