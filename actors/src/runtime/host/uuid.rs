//! Identifiers.

use guildhall_core::Result;
use serde::Deserialize;
use serde_bytes::ByteBuf;
use uuid::Uuid;

use super::invalid;
use crate::{
    cx::Cx,
    host::{HostFn, Language, Origin},
};

/// `nk.uuid_v4()`
#[derive(Debug, Deserialize)]
pub struct UuidV4 {}

impl HostFn for UuidV4 {
    const NAME: &'static str = "uuid_v4";
    type Output = Uuid;
    async fn call(self, _: &Cx, _: Origin<'_>) -> Result<Uuid> {
        Ok(Uuid::new_v4())
    }
}

/// `nk.uuid_bytes_to_string(uuid_bytes)`
#[derive(Debug, Deserialize)]
pub struct UuidBytesToString {
    uuid_bytes: ByteBuf,
}

impl HostFn for UuidBytesToString {
    const NAME: &'static str = "uuid_bytes_to_string";
    const LANGUAGES: &'static [Language] = &[Language::Native, Language::Lua];
    type Output = Uuid;
    async fn call(self, _: &Cx, _: Origin<'_>) -> Result<Uuid> {
        Uuid::from_slice(&self.uuid_bytes)
            .map_err(|_| invalid("not a valid UUID byte string").into())
    }
}

/// `nk.uuid_string_to_bytes(uuid_string)`
#[derive(Debug, Deserialize)]
pub struct UuidStringToBytes {
    uuid_string: String,
}

impl HostFn for UuidStringToBytes {
    const NAME: &'static str = "uuid_string_to_bytes";
    const LANGUAGES: &'static [Language] = &[Language::Native, Language::Lua];
    type Output = ByteBuf;
    async fn call(self, _: &Cx, _: Origin<'_>) -> Result<ByteBuf> {
        Uuid::parse_str(&self.uuid_string)
            .map(|id| ByteBuf::from(id.as_bytes().as_slice()))
            .map_err(|_| invalid("not a valid UUID string").into())
    }
}
