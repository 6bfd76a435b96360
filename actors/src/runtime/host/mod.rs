//! Host functions that belong to no resource: codecs, cryptography, time, files, HTTP, SQL, cache, metrics.

pub mod cache;
pub mod clock;
pub mod codec;
pub mod crypto;
pub mod file;
pub mod http;
pub mod metrics;
pub mod settings;
pub mod sql;
pub mod uuid;

use std::borrow::Cow;

use guildhall_core::{Code, Status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::host::{Bytes, Language, Origin};

/// Text that a module gets as its language holds text: bytes in Lua, Unicode elsewhere (each byte
/// that is not UTF-8 becomes U+FFFD, as in the reference).
#[derive(Debug, JsonSchema, Serialize)]
#[serde(untagged)]
#[schemars(from = "String", into = "String")]
pub enum Text {
    /// A Lua string.
    Bytes(Bytes),
    /// A JavaScript string.
    Unicode(String),
}

impl Text {
    /// `bytes` as `origin` holds text.
    pub fn of(origin: Origin<'_>, bytes: Vec<u8>) -> Self {
        match origin.language {
            Language::JavaScript => Self::Unicode(unicode(&bytes).into_owned()),
            Language::Lua | Language::Native => Self::Bytes(Bytes::from(bytes)),
        }
    }
}

/// `bytes` as text, with U+FFFD for each byte that is not part of UTF-8, as in the reference.
pub(super) fn unicode(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Cow::Owned(text)
}

/// Text or bytes of an argument that must hold something.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(try_from = "Bytes")]
#[schemars(into = "Bytes")]
pub struct Filled(Vec<u8>);

impl TryFrom<Bytes> for Filled {
    type Error = &'static str;
    fn try_from(bytes: Bytes) -> Result<Self, &'static str> {
        if bytes.is_empty() { Err("expects string") } else { Ok(Self(bytes.into_vec())) }
    }
}

/// A refusal of an argument.
fn invalid(message: impl Into<String>) -> Status {
    Status::of(Code::InvalidArgument, message)
}

/// A refusal unless `bytes` holds something.
fn filled(name: &str, bytes: &[u8]) -> Result<(), Status> {
    if bytes.is_empty() { Err(invalid(format!("expects {name} not to be empty"))) } else { Ok(()) }
}
