//! The lists of all endpoints and host functions: the only file that names every slice.

use crate::{
    endpoint::EndpointVisitor,
    host::HostFunction,
    resources::{
        account, authenticate, channel_message, event, healthcheck, link, notification, session,
        storage, user, wallet,
    },
    runtime::host::{cache, clock, codec, crypto, http, metrics, settings, sql, uuid},
};

/// Shows every endpoint to `visitor`.
pub fn each_endpoint(visitor: &mut impl EndpointVisitor) {
    visitor.visit::<account::DeleteAccount>();
    visitor.visit::<account::GetAccount>();
    visitor.visit::<account::UpdateAccount>();
    visitor.visit::<authenticate::AuthenticateCustom>();
    visitor.visit::<authenticate::AuthenticateDevice>();
    visitor.visit::<authenticate::AuthenticateEmail>();
    visitor.visit::<channel_message::ListChannelMessages>();
    visitor.visit::<event::Event>();
    visitor.visit::<healthcheck::Healthcheck>();
    visitor.visit::<link::LinkCustom>();
    visitor.visit::<link::LinkDevice>();
    visitor.visit::<link::LinkEmail>();
    visitor.visit::<link::UnlinkCustom>();
    visitor.visit::<link::UnlinkDevice>();
    visitor.visit::<link::UnlinkEmail>();
    visitor.visit::<notification::DeleteNotifications>();
    visitor.visit::<notification::ListNotifications>();
    visitor.visit::<session::SessionLogout>();
    visitor.visit::<session::SessionRefresh>();
    visitor.visit::<storage::DeleteStorageObjects>();
    visitor.visit::<storage::ListStorageObjects>();
    visitor.visit::<storage::ReadStorageObjects>();
    visitor.visit::<storage::WriteStorageObjects>();
}

/// Every host function, by name in the order of the list.
pub static HOST_FUNCTIONS: &[HostFunction] = &[
    HostFunction::of::<account::nk::AccountDeleteId>(),
    HostFunction::of::<account::nk::AccountGetId>(),
    HostFunction::of::<account::nk::AccountUpdateId>(),
    HostFunction::of::<account::nk::AccountsGetId>(),
    HostFunction::of::<authenticate::nk::AuthenticateCustom>(),
    HostFunction::of::<authenticate::nk::AuthenticateDevice>(),
    HostFunction::of::<authenticate::nk::AuthenticateEmail>(),
    HostFunction::of::<authenticate::nk::AuthenticateTokenGenerate>(),
    HostFunction::of::<channel_message::nk::ChannelIdBuild>(),
    HostFunction::of::<channel_message::nk::ChannelMessageRemove>(),
    HostFunction::of::<channel_message::nk::ChannelMessageSend>(),
    HostFunction::of::<channel_message::nk::ChannelMessageUpdate>(),
    HostFunction::of::<channel_message::nk::ChannelMessagesList>(),
    HostFunction::of::<event::nk::Event>(),
    HostFunction::of::<link::nk::LinkCustom>(),
    HostFunction::of::<link::nk::LinkDevice>(),
    HostFunction::of::<link::nk::LinkEmail>(),
    HostFunction::of::<link::nk::UnlinkCustom>(),
    HostFunction::of::<link::nk::UnlinkDevice>(),
    HostFunction::of::<link::nk::UnlinkEmail>(),
    HostFunction::of::<notification::nk::NotificationSend>(),
    HostFunction::of::<notification::nk::NotificationSendAll>(),
    HostFunction::of::<notification::nk::NotificationsDelete>(),
    HostFunction::of::<notification::nk::NotificationsDeleteId>(),
    HostFunction::of::<notification::nk::NotificationsGetId>(),
    HostFunction::of::<notification::nk::NotificationsList>(),
    HostFunction::of::<notification::nk::NotificationsSend>(),
    HostFunction::of::<notification::nk::NotificationsUpdate>(),
    HostFunction::of::<session::nk::SessionLogout>(),
    HostFunction::of::<storage::nk::StorageDelete>(),
    HostFunction::of::<storage::nk::StorageList>(),
    HostFunction::of::<storage::nk::StorageRead>(),
    HostFunction::of::<storage::nk::StorageWrite>(),
    HostFunction::of::<user::nk::UsersBanId>(),
    HostFunction::of::<user::nk::UsersGetId>(),
    HostFunction::of::<user::nk::UsersGetRandom>(),
    HostFunction::of::<user::nk::UsersGetUsername>(),
    HostFunction::of::<user::nk::UsersUnbanId>(),
    HostFunction::of::<wallet::nk::WalletLedgerList>(),
    HostFunction::of::<wallet::nk::WalletLedgerUpdate>(),
    HostFunction::of::<wallet::nk::WalletUpdate>(),
    HostFunction::of::<wallet::nk::WalletsUpdate>(),
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
    HostFunction::of::<metrics::MetricsCounterAdd>(),
    HostFunction::of::<metrics::MetricsGaugeSet>(),
    HostFunction::of::<metrics::MetricsTimerRecord>(),
    HostFunction::of::<settings::GetConfig>(),
    HostFunction::of::<sql::SqlExec>(),
    HostFunction::of::<sql::SqlQuery>(),
    HostFunction::of::<uuid::UuidV4>(),
    HostFunction::of::<uuid::UuidBytesToString>(),
    HostFunction::of::<uuid::UuidStringToBytes>(),
];
