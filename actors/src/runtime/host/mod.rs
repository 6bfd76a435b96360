//! Host functions that belong to no resource: codecs, cryptography, time, HTTP, SQL, cache.

pub mod cache;
pub mod clock;
pub mod codec;
pub mod crypto;
pub mod http;
pub mod settings;
pub mod sql;
pub mod uuid;

use guildhall_core::{Code, Status};
use serde::Serialize;
use serde_bytes::ByteBuf;

use crate::host::{Language, Origin};

/// Text that a module gets as its language holds text: bytes in Lua, Unicode elsewhere (what is
/// not UTF-8 becomes U+FFFD, as in the reference).
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Text {
    /// A Lua string.
    Bytes(ByteBuf),
    /// A JavaScript string.
    Unicode(String),
}

impl Text {
    /// `bytes` as `origin` holds text.
    pub fn of(origin: Origin<'_>, bytes: Vec<u8>) -> Self {
        match origin.language {
            Language::JavaScript => Self::Unicode(match String::from_utf8(bytes) {
                Ok(text) => text,
                Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
            }),
            Language::Lua | Language::Native => Self::Bytes(ByteBuf::from(bytes)),
        }
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
