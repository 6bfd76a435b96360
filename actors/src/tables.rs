//! The lists of all endpoints and host functions: the only file that names every slice.

use crate::{
    endpoint::EndpointVisitor,
    host::HostFunction,
    runtime::host::{cache, clock, codec, crypto, http, sql, uuid},
};

/// Shows every endpoint to `visitor`.
pub fn each_endpoint(visitor: &mut impl EndpointVisitor) {
    let _ = visitor;
}

/// Every host function, by name in the order of the list.
pub static HOST_FUNCTIONS: &[HostFunction] = &[
    HostFunction::of::<cache::LocalcacheGet>(),
    HostFunction::of::<cache::LocalcachePut>(),
    HostFunction::of::<cache::LocalcacheDelete>(),
    HostFunction::of::<cache::LocalcacheClear>(),
    HostFunction::of::<clock::CronNext>(),
    HostFunction::of::<clock::CronPrev>(),
    HostFunction::of::<clock::Time>(),
    HostFunction::of::<codec::Base64Encode>(),
    HostFunction::of::<codec::Base64Decode>(),
    HostFunction::of::<codec::Base64UrlEncode>(),
    HostFunction::of::<codec::Base64UrlDecode>(),
    HostFunction::of::<codec::Base16Encode>(),
    HostFunction::of::<codec::Base16Decode>(),
    HostFunction::of::<codec::BinaryToString>(),
    HostFunction::of::<codec::StringToBinary>(),
    HostFunction::of::<crypto::Aes128Encrypt>(),
    HostFunction::of::<crypto::Aes128Decrypt>(),
    HostFunction::of::<crypto::Aes256Encrypt>(),
    HostFunction::of::<crypto::Aes256Decrypt>(),
    HostFunction::of::<crypto::Md5Hash>(),
    HostFunction::of::<crypto::Sha256Hash>(),
    HostFunction::of::<crypto::HmacSha256Hash>(),
    HostFunction::of::<crypto::RsaSha256Hash>(),
    HostFunction::of::<crypto::JwtGenerate>(),
    HostFunction::of::<crypto::BcryptHash>(),
    HostFunction::of::<crypto::BcryptCompare>(),
    HostFunction::of::<crypto::SecureRandomBytes>(),
    HostFunction::of::<http::HttpRequest>(),
    HostFunction::of::<sql::SqlExec>(),
    HostFunction::of::<sql::SqlQuery>(),
    HostFunction::of::<uuid::UuidV4>(),
    HostFunction::of::<uuid::UuidBytesToString>(),
    HostFunction::of::<uuid::UuidStringToBytes>(),
];
