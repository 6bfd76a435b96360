//! Identifiers.

use guildhall_core::Result;
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    cx::Cx,
    host::{Bytes, HostFn, Language, Origin},
};

/// `nk.uuid_v4()`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct UuidV4 {}

impl HostFn for UuidV4 {
    const NAME: &'static str = "uuid_v4";
    type Output = Uuid;
    async fn call(self, _: &Cx, _: Origin<'_>) -> Result<Uuid> {
        Ok(Uuid::new_v4())
    }
}

/// `nk.uuid_bytes_to_string(uuid_bytes)`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct UuidBytesToString {
    uuid_bytes: Packed,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(try_from = "Bytes")]
#[schemars(into = "Bytes")]
struct Packed(Uuid);

impl TryFrom<Bytes> for Packed {
    type Error = &'static str;
    fn try_from(bytes: Bytes) -> Result<Self, &'static str> {
        Uuid::from_slice(&bytes).map(Self).map_err(|_| "not a valid UUID byte string")
    }
}

impl HostFn for UuidBytesToString {
    const NAME: &'static str = "uuid_bytes_to_string";
    const LANGUAGES: &'static [Language] = &[Language::Native, Language::Lua];
    type Output = Uuid;
    async fn call(self, _: &Cx, _: Origin<'_>) -> Result<Uuid> {
        Ok(self.uuid_bytes.0)
    }
}

/// `nk.uuid_string_to_bytes(uuid_string)`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct UuidStringToBytes {
    uuid_string: Written,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(into = "String")]
struct Written(Uuid);

impl TryFrom<String> for Written {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, &'static str> {
        Uuid::parse_str(&text).map(Self).map_err(|_| "not a valid UUID string")
    }
}

impl HostFn for UuidStringToBytes {
    const NAME: &'static str = "uuid_string_to_bytes";
    const LANGUAGES: &'static [Language] = &[Language::Native, Language::Lua];
    type Output = Bytes;
    async fn call(self, _: &Cx, _: Origin<'_>) -> Result<Bytes> {
        Ok(Bytes::from(self.uuid_string.0.as_bytes().as_slice()))
    }
}
