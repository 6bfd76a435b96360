//! Ciphers, hashes, signatures, random bytes, and signed tokens.

use aes::{Aes128, Aes256};
use cfb_mode::{
    Decryptor, Encryptor,
    cipher::{BlockCipherEncrypt, BlockSizeUser, InnerIvInit, KeyInit, consts::U16},
};
use guildhall_core::{Code, Result, Status};
use hmac::{Hmac, Mac};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use md5::Md5;
use rand::{TryRngCore, rngs::OsRng};
use rsa::{
    RsaPrivateKey,
    pkcs1::DecodeRsaPrivateKey,
    pkcs1v15::SigningKey,
    pkcs8::DecodePrivateKey,
    signature::{RandomizedSigner, SignatureEncoding},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{Filled, Text, codec, filled, invalid};
use crate::{
    cx::Cx,
    host::{Bytes, HostFn, Language, Origin},
};

const IV_BYTES: usize = 16;

fn failed(what: &str, error: impl std::fmt::Display) -> Status {
    Status::of(Code::InvalidArgument, format!("{what}: {error}"))
}

fn random(bytes: &mut [u8]) -> Result<()> {
    OsRng.try_fill_bytes(bytes).map_err(|error| {
        Status::of(Code::Internal, format!("failed to read random bytes: {error}")).into()
    })
}

/// A cipher's key of this many bytes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(try_from = "Bytes")]
#[schemars(into = "Bytes")]
struct Key<const BYTES: usize>([u8; BYTES]);

impl<const BYTES: usize> TryFrom<Bytes> for Key<BYTES> {
    type Error = String;
    fn try_from(key: Bytes) -> Result<Self, String> {
        let key = key.into_vec().try_into();
        key.map(Self).map_err(|_| format!("expects key {BYTES} bytes long"))
    }
}

fn cipher<C: KeyInit>(key: &[u8]) -> Result<C> {
    C::new_from_slice(key).map_err(|error| failed("error creating cipher block", error).into())
}

/// AES in CFB mode behind a random IV. The text is padded with spaces to a multiple of 4 bytes and
/// stays so, as in the reference.
fn seal<C>(mut text: Vec<u8>, key: &[u8]) -> Result<Vec<u8>>
where
    C: KeyInit + BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    let cipher: C = cipher(key)?;
    text.resize(text.len().next_multiple_of(4), b' ');
    let mut iv = [0; IV_BYTES];
    random(&mut iv)?;
    Encryptor::inner_iv_init(cipher, &iv.into()).encrypt(&mut text);
    let mut sealed = iv.to_vec();
    sealed.append(&mut text);
    Ok(sealed)
}

fn open<C>(sealed: &[u8], key: &[u8]) -> Result<Vec<u8>>
where
    C: KeyInit + BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    let cipher: C = cipher(key)?;
    let Some((iv, text)) = sealed.split_first_chunk::<IV_BYTES>() else {
        return Err(invalid("input too short").into());
    };
    let mut text = text.to_vec();
    Decryptor::inner_iv_init(cipher, &(*iv).into()).decrypt(&mut text);
    Ok(text)
}

/// Declares an AES function: raw bytes in Lua, base64 text in JavaScript.
macro_rules! aes_functions {
    ($($(#[$doc:meta])* $name:ident = $text:literal: $step:ident::<$cipher:ty>, $bytes:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Deserialize, JsonSchema)]
        pub struct $name {
            input: Bytes,
            key: Key<$bytes>,
        }

        impl HostFn for $name {
            const NAME: &'static str = $text;
            type Output = Text;
            async fn call(self, _: &Cx, origin: Origin<'_>) -> Result<Text> {
                $step::<$cipher>(origin, self.input.into_vec(), &self.key.0)
            }
        }
    )*};
}

aes_functions! {
    /// `nk.aes128_encrypt(input, key)`
    Aes128Encrypt = "aes128_encrypt": encrypt::<Aes128>, 16;
    /// `nk.aes128_decrypt(input, key)`
    Aes128Decrypt = "aes128_decrypt": decrypt::<Aes128>, 16;
    /// `nk.aes256_encrypt(input, key)`
    Aes256Encrypt = "aes256_encrypt": encrypt::<Aes256>, 32;
    /// `nk.aes256_decrypt(input, key)`
    Aes256Decrypt = "aes256_decrypt": decrypt::<Aes256>, 32;
}

fn encrypt<C>(origin: Origin<'_>, input: Vec<u8>, key: &[u8]) -> Result<Text>
where
    C: KeyInit + BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    let sealed = seal::<C>(input, key)?;
    Ok(match origin.language {
        Language::JavaScript => Text::Unicode(codec::base64(&sealed)),
        Language::Lua | Language::Native => Text::Bytes(Bytes::from(sealed)),
    })
}

fn decrypt<C>(origin: Origin<'_>, input: Vec<u8>, key: &[u8]) -> Result<Text>
where
    C: KeyInit + BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    let sealed = match origin.language {
        Language::JavaScript => codec::from_base64(&String::from_utf8_lossy(&input))
            .map_err(|error| failed("error decoding cipher text", error))?,
        Language::Lua | Language::Native => input,
    };
    Ok(Text::of(origin, open::<C>(&sealed, key)?))
}

/// `nk.md5_hash(input)`: hexadecimal.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Md5Hash {
    input: Bytes,
}

impl HostFn for Md5Hash {
    const NAME: &'static str = "md5_hash";
    type Output = String;
    async fn call(self, _: &Cx, _: Origin<'_>) -> Result<String> {
        Ok(hex::encode(Md5::digest(&self.input)))
    }
}

/// `nk.sha256_hash(input)`: hexadecimal.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Sha256Hash {
    input: Bytes,
}

impl HostFn for Sha256Hash {
    const NAME: &'static str = "sha256_hash";
    type Output = String;
    async fn call(self, _: &Cx, _: Origin<'_>) -> Result<String> {
        Ok(hex::encode(Sha256::digest(&self.input)))
    }
}

/// `nk.hmac_sha256_hash(input, key)`: raw bytes.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct HmacSha256Hash {
    input: Bytes,
    key: Filled,
}

impl HostFn for HmacSha256Hash {
    const NAME: &'static str = "hmac_sha256_hash";
    type Output = Bytes;
    async fn call(self, _: &Cx, _: Origin<'_>) -> Result<Bytes> {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.key.0)
            .map_err(|error| failed("error creating hash", error))?;
        mac.update(&self.input);
        Ok(Bytes::from(mac.finalize().into_bytes().to_vec()))
    }
}

/// The reference's sentence for a key of form PKCS #8.
const NOT_PKCS1: &str = "error parsing key: x509: failed to parse private key \
    (use ParsePKCS8PrivateKey instead for this key format)";

fn rsa_key(pem: &str) -> Result<RsaPrivateKey> {
    require_pem(pem)?;
    if pem.contains("-----BEGIN PRIVATE KEY-----") {
        return Err(invalid(NOT_PKCS1).into());
    }
    RsaPrivateKey::from_pkcs1_pem(pem).map_err(|error| failed("error parsing key", error).into())
}

fn require_pem(text: &str) -> Result<()> {
    if !text.contains("-----BEGIN ") {
        return Err(invalid("could not parse private key: no valid blocks found").into());
    }
    Ok(())
}

/// `nk.rsa_sha256_hash(input, key)`: a PKCS #1 v1.5 signature by a PEM key of form PKCS #1.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RsaSha256Hash {
    input: Bytes,
    key: String,
}

impl HostFn for RsaSha256Hash {
    const NAME: &'static str = "rsa_sha256_hash";
    type Output = Text;
    async fn call(self, _: &Cx, origin: Origin<'_>) -> Result<Text> {
        filled("key", self.key.as_bytes())?;
        let signer = SigningKey::<rsa::sha2::Sha256>::new(rsa_key(&self.key)?);
        let signature = signer
            .try_sign_with_rng(&mut rsa::rand_core::OsRng, &self.input)
            .map_err(|error| failed("error signing input", error))?;
        Ok(Text::of(origin, signature.to_vec()))
    }
}

/// `nk.jwt_generate(signing_method, signing_key, claims)`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct JwtGenerate {
    signing_method: String,
    signing_key: String,
    claims: Map<String, Value>,
}

impl HostFn for JwtGenerate {
    const NAME: &'static str = "jwt_generate";
    type Output = String;
    async fn call(self, _: &Cx, _: Origin<'_>) -> Result<String> {
        filled("signing key", self.signing_key.as_bytes())?;
        let key = self.signing_key.as_bytes();
        let (algorithm, key) = match self.signing_method.as_str() {
            "HS256" => (Algorithm::HS256, EncodingKey::from_secret(key)),
            "RS256" => {
                // Only PKCS #8, as in the reference.
                require_pem(&self.signing_key)?;
                RsaPrivateKey::from_pkcs8_pem(&self.signing_key)
                    .map_err(|error| failed("could not parse private key", error))?;
                let key = EncodingKey::from_rsa_pem(key)
                    .map_err(|error| failed("could not parse private key", error))?;
                (Algorithm::RS256, key)
            }
            _ => {
                let message = "unsupported algo type - only allowed 'HS256', 'RS256'.";
                return Err(invalid(message).into());
            }
        };
        jsonwebtoken::encode(&Header::new(algorithm), &self.claims, &key)
            .map_err(|error| failed("failed to sign token", error).into())
    }
}

/// `nk.bcrypt_hash(input)`: at cost 13, as the reference, on the threads for passwords.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct BcryptHash {
    input: Filled,
}

impl HostFn for BcryptHash {
    const NAME: &'static str = "bcrypt_hash";
    type Output = String;
    async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<String> {
        cx.passwords.hash(self.input.0).await
    }
}

/// `nk.bcrypt_compare(hash, plaintext)`: what is no hash fits nothing.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct BcryptCompare {
    hash: Filled,
    plaintext: Filled,
}

impl HostFn for BcryptCompare {
    const NAME: &'static str = "bcrypt_compare";
    type Output = bool;
    async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<bool> {
        cx.passwords.check(self.plaintext.0, self.hash.0).await
    }
}

/// `nk.secure_random_bytes(count)`: 1 to 1,000 bytes.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SecureRandomBytes {
    count: Count,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(try_from = "i64")]
#[schemars(into = "i64")]
struct Count(usize);

impl TryFrom<i64> for Count {
    type Error = &'static str;
    fn try_from(count: i64) -> Result<Self, &'static str> {
        match usize::try_from(count) {
            Ok(count @ 1..=1000) => Ok(Self(count)),
            _ => Err("count must be 1-1000"),
        }
    }
}

impl HostFn for SecureRandomBytes {
    const NAME: &'static str = "secure_random_bytes";
    type Output = Bytes;
    async fn call(self, _: &Cx, _: Origin<'_>) -> Result<Bytes> {
        let mut bytes = vec![0; self.count.0];
        random(&mut bytes)?;
        Ok(Bytes::from(bytes))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const KEY: &[u8; 16] = b"0123456789abcdef";

    #[test]
    fn a_sealed_text_opens_padded_to_four() {
        let sealed = seal::<Aes128>(b"hello".to_vec(), KEY).unwrap();
        assert_eq!(sealed.len(), 24);
        assert_eq!(open::<Aes128>(&sealed, KEY).unwrap(), b"hello   ");
    }

    #[test]
    fn a_known_text_opens_as_in_the_reference() {
        let sealed = hex::decode("000102030405060708090a0b0c0d0e0f00000000").unwrap();
        assert_eq!(hex::encode(open::<Aes128>(&sealed, KEY).unwrap()), "a07999f0");
    }

    #[test]
    fn short_input_and_wrong_keys_are_refused() {
        assert_eq!(open::<Aes128>(b"short", KEY).unwrap_err().message(), "input too short");
        let error = Key::<32>::try_from(Bytes::from(KEY)).unwrap_err();
        assert_eq!(error, "expects key 32 bytes long");
    }
}
