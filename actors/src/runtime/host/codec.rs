//! base64, base64url and base16 of strings and bytes.

use base64::{
    DecodeError, Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use guildhall_core::{Code, Error, Result, Status};
use schemars::JsonSchema;
use serde::Deserialize;

use super::filled;
use crate::{
    cx::Cx,
    host::{Bytes, HostFn, Language, Origin, defaults},
};

const PADDED: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::RequireCanonical);
/// Padding may be left out, as the reference adds what lacks.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BARE: GeneralPurposeConfig = GeneralPurposeConfig::new().with_encode_padding(false);

fn encode(url: bool, padding: bool, input: &[u8]) -> String {
    let alphabet = if url { &URL_SAFE } else { &STANDARD };
    let config = if padding { PADDED } else { BARE };
    GeneralPurpose::new(alphabet, config).encode(input)
}

/// Go's decoder passes over line ends; so do we. Errors name the byte, as there.
fn decode(url: bool, lenient: bool, input: &str) -> Result<Vec<u8>, String> {
    let alphabet = if url { &URL_SAFE } else { &STANDARD };
    let config = if lenient { LENIENT } else { PADDED };
    let input: String = input.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    GeneralPurpose::new(alphabet, config).decode(&input).map_err(|error| {
        let at = match error {
            DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol { offset: at, .. } => {
                at
            }
            DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => input.len() / 4 * 4,
        };
        format!("illegal base64 data at input byte {at}")
    })
}

fn decode_hex(input: &str) -> Result<Vec<u8>, String> {
    if let Some(stranger) = input.chars().find(|letter| !letter.is_ascii_hexdigit()) {
        let code = u32::from(stranger);
        return Err(format!("encoding/hex: invalid byte: U+{code:04X} {stranger:?}"));
    }
    hex::decode(input).map_err(|_| "encoding/hex: odd length hex string".to_owned())
}

/// A failure to decode `input`, in the words that the reference has for the language.
fn undecodable(origin: Origin<'_>, kind: &str, input: &str, error: &str) -> Error {
    let message = match origin.language {
        Language::JavaScript => format!("Failed to decode string: {input}"),
        Language::Lua | Language::Native => format!("not a valid {kind} string: {error}"),
    };
    Status::of(Code::InvalidArgument, message).into()
}

/// `nk.base64_encode(input, padding)`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Base64Encode {
    input: Bytes,
    #[serde(default = "defaults::yes")]
    padding: bool,
}

impl HostFn for Base64Encode {
    const NAME: &'static str = "base64_encode";
    type Output = String;
    async fn call(self, _: &Cx, origin: Origin<'_>) -> Result<String> {
        refuse_empty_in_lua(origin, &self.input)?;
        Ok(encode(false, self.padding, &self.input))
    }
}

/// `nk.base64_decode(input, padding)`: with `padding` (the default) what lacks of it is added.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Base64Decode {
    input: String,
    #[serde(default = "defaults::yes")]
    padding: bool,
}

impl HostFn for Base64Decode {
    const NAME: &'static str = "base64_decode";
    type Output = Bytes;
    async fn call(self, _: &Cx, origin: Origin<'_>) -> Result<Bytes> {
        refuse_empty_in_lua(origin, self.input.as_bytes())?;
        decode(false, self.padding, &self.input)
            .map(Bytes::from)
            .map_err(|error| undecodable(origin, "base64", &self.input, &error))
    }
}

/// `nk.base64url_encode(input, padding)`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Base64UrlEncode {
    input: Bytes,
    #[serde(default = "defaults::yes")]
    padding: bool,
}

impl HostFn for Base64UrlEncode {
    const NAME: &'static str = "base64url_encode";
    type Output = String;
    async fn call(self, _: &Cx, origin: Origin<'_>) -> Result<String> {
        refuse_empty_in_lua(origin, &self.input)?;
        Ok(encode(true, self.padding, &self.input))
    }
}

/// `nk.base64url_decode(input, padding)`: without `padding` what lacks of it is added. The default
/// is without in Lua and with in JavaScript.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Base64UrlDecode {
    input: String,
    #[serde(default)]
    padding: Option<bool>,
}

impl HostFn for Base64UrlDecode {
    const NAME: &'static str = "base64url_decode";
    type Output = Bytes;
    async fn call(self, _: &Cx, origin: Origin<'_>) -> Result<Bytes> {
        refuse_empty_in_lua(origin, self.input.as_bytes())?;
        let padding = self.padding.unwrap_or(origin.language == Language::JavaScript);
        decode(true, !padding, &self.input)
            .map(Bytes::from)
            .map_err(|error| undecodable(origin, "base64 url", &self.input, &error))
    }
}

/// `nk.base16_encode(input)`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Base16Encode {
    input: Bytes,
}

impl HostFn for Base16Encode {
    const NAME: &'static str = "base16_encode";
    type Output = String;
    async fn call(self, _: &Cx, origin: Origin<'_>) -> Result<String> {
        refuse_empty_in_lua(origin, &self.input)?;
        Ok(hex::encode(&self.input))
    }
}

/// `nk.base16_decode(input)`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Base16Decode {
    input: String,
}

impl HostFn for Base16Decode {
    const NAME: &'static str = "base16_decode";
    type Output = Bytes;
    async fn call(self, _: &Cx, origin: Origin<'_>) -> Result<Bytes> {
        refuse_empty_in_lua(origin, self.input.as_bytes())?;
        decode_hex(&self.input)
            .map(Bytes::from)
            .map_err(|error| undecodable(origin, "base16", &self.input, &error))
    }
}

/// `nk.binaryToString(data)`: bytes as text, where they are UTF-8.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct BinaryToString {
    data: Bytes,
}

impl HostFn for BinaryToString {
    const NAME: &'static str = "binary_to_string";
    const LANGUAGES: &'static [Language] = &[Language::JavaScript];
    type Output = String;
    async fn call(self, _: &Cx, _: Origin<'_>) -> Result<String> {
        String::from_utf8(self.data.into_vec()).map_err(|_| {
            Status::new(Code::InvalidArgument, "expects data to be UTF-8 encoded").into()
        })
    }
}

/// `nk.stringToBinary(str)`: text as its UTF-8 bytes.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct StringToBinary {
    str: String,
}

impl HostFn for StringToBinary {
    const NAME: &'static str = "string_to_binary";
    const LANGUAGES: &'static [Language] = &[Language::JavaScript];
    type Output = Bytes;
    async fn call(self, _: &Cx, _: Origin<'_>) -> Result<Bytes> {
        Ok(Bytes::from(self.str.into_bytes()))
    }
}

/// The reference refuses empty input in Lua only.
fn refuse_empty_in_lua(origin: Origin<'_>, input: &[u8]) -> Result<()> {
    if origin.language != Language::JavaScript {
        filled("input", input)?;
    }
    Ok(())
}

/// Padded standard base64, as [`super::crypto`] shows bytes to JavaScript.
pub(super) fn base64(input: &[u8]) -> String {
    encode(false, true, input)
}

/// Reads what [`base64()`] wrote.
pub(super) fn from_base64(input: &str) -> Result<Vec<u8>, String> {
    decode(false, false, input)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn standard_and_url_alphabets_differ_in_two_letters() {
        assert_eq!(encode(false, true, b"?>?>~~"), "Pz4/Pn5+");
        assert_eq!(encode(true, true, b"?>?>~~"), "Pz4_Pn5-");
    }

    #[test]
    fn padding_is_left_out_on_demand_and_added_where_lenient() {
        assert_eq!(encode(false, false, b"hello"), "aGVsbG8");
        assert_eq!(decode(false, true, "YQ").unwrap(), b"a");
        assert!(decode(false, false, "YQ").is_err());
        assert!(decode(false, true, "*").is_err());
    }
}
