//! The lists of all endpoints, socket messages and host functions: the only file that names every
//! slice.

use guildhall_proto::realtime::envelope::Message;

use crate::{
    endpoint::EndpointVisitor,
    envelope::{SocketMessageVisitor, WithSocketMessage},
    host::HostFunction,
    realtime::{
        channel, matches as realtime_matches, matchmaker as realtime_matchmaker,
        party as realtime_party, ping, rpc, session as socket_session, status, streams,
    },
    resources::{
        account, account_export, authenticate, channel_message, event, friend, group, healthcheck,
        leaderboard, link, matches, matchmaker, multi_update, notification, party, provider,
        purchase, session, storage, storage_index, subscription, tournament, user, wallet,
    },
    runtime::host::{cache, clock, codec, crypto, file, http, metrics, settings, sql, uuid},
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
    visitor.visit::<group::AddGroupUsers>();
    visitor.visit::<group::BanGroupUsers>();
    visitor.visit::<group::CreateGroup>();
    visitor.visit::<group::DeleteGroup>();
    visitor.visit::<group::DemoteGroupUsers>();
    visitor.visit::<group::JoinGroup>();
    visitor.visit::<group::KickGroupUsers>();
    visitor.visit::<group::LeaveGroup>();
    visitor.visit::<group::ListGroupUsers>();
    visitor.visit::<group::ListGroups>();
    visitor.visit::<group::ListUserGroups>();
    visitor.visit::<group::PromoteGroupUsers>();
    visitor.visit::<group::UpdateGroup>();
    visitor.visit::<friend::AddFriends>();
    visitor.visit::<friend::BlockFriends>();
    visitor.visit::<friend::DeleteFriends>();
    visitor.visit::<friend::ImportFacebookFriends>();
    visitor.visit::<friend::ImportSteamFriends>();
    visitor.visit::<friend::ListFriends>();
    visitor.visit::<friend::ListFriendsOfFriends>();
    visitor.visit::<healthcheck::Healthcheck>();
    visitor.visit::<leaderboard::DeleteLeaderboardRecord>();
    visitor.visit::<leaderboard::ListLeaderboardRecords>();
    visitor.visit::<leaderboard::ListLeaderboardRecordsAroundOwner>();
    visitor.visit::<leaderboard::WriteLeaderboardRecord>();
    visitor.visit::<link::LinkCustom>();
    visitor.visit::<link::LinkDevice>();
    visitor.visit::<link::LinkEmail>();
    visitor.visit::<link::UnlinkCustom>();
    visitor.visit::<link::UnlinkDevice>();
    visitor.visit::<link::UnlinkEmail>();
    visitor.visit::<matches::ListMatches>();
    visitor.visit::<matchmaker::GetMatchmakerStats>();
    visitor.visit::<notification::DeleteNotifications>();
    visitor.visit::<notification::ListNotifications>();
    visitor.visit::<provider::AuthenticateApple>();
    visitor.visit::<provider::AuthenticateFacebook>();
    visitor.visit::<provider::AuthenticateFacebookInstantGame>();
    visitor.visit::<provider::AuthenticateGameCenter>();
    visitor.visit::<provider::AuthenticateGoogle>();
    visitor.visit::<provider::AuthenticateSteam>();
    visitor.visit::<provider::LinkApple>();
    visitor.visit::<provider::LinkFacebook>();
    visitor.visit::<provider::LinkFacebookInstantGame>();
    visitor.visit::<provider::LinkGameCenter>();
    visitor.visit::<provider::LinkGoogle>();
    visitor.visit::<provider::LinkSteam>();
    visitor.visit::<provider::UnlinkApple>();
    visitor.visit::<provider::UnlinkFacebook>();
    visitor.visit::<provider::UnlinkFacebookInstantGame>();
    visitor.visit::<provider::UnlinkGameCenter>();
    visitor.visit::<provider::UnlinkGoogle>();
    visitor.visit::<provider::UnlinkSteam>();
    visitor.visit::<party::ListParties>();
    visitor.visit::<purchase::ValidatePurchaseApple>();
    visitor.visit::<purchase::ValidatePurchaseFacebookInstant>();
    visitor.visit::<purchase::ValidatePurchaseGoogle>();
    visitor.visit::<purchase::ValidatePurchaseHuawei>();
    visitor.visit::<purchase::ValidatePurchaseSamsung>();
    visitor.visit::<session::SessionLogout>();
    visitor.visit::<session::SessionRefresh>();
    visitor.visit::<subscription::GetSubscription>();
    visitor.visit::<subscription::ListSubscriptions>();
    visitor.visit::<subscription::ValidateSubscriptionApple>();
    visitor.visit::<subscription::ValidateSubscriptionGoogle>();
    visitor.visit::<storage::DeleteStorageObjects>();
    visitor.visit::<storage::ListStorageObjects>();
    visitor.visit::<storage::ReadStorageObjects>();
    visitor.visit::<storage::WriteStorageObjects>();
    visitor.visit::<user::GetUsers>();
    visitor.visit::<tournament::DeleteTournamentRecord>();
    visitor.visit::<tournament::JoinTournament>();
    visitor.visit::<tournament::ListTournamentRecords>();
    visitor.visit::<tournament::ListTournamentRecordsAroundOwner>();
    visitor.visit::<tournament::ListTournaments>();
    visitor.visit::<tournament::WriteTournamentRecord>();
}

macro_rules! socket_table {
    ($($slice:ident::$name:ident,)*) => {
        /// Shows every socket message to `visitor`.
        pub fn each_socket_message(visitor: &mut impl SocketMessageVisitor) {
            $(visitor.visit::<$slice::$name>();)*
        }

        /// Does something with a message of a client.
        ///
        /// # Errors
        /// Gives `with` back where the message is none that clients send.
        pub fn socket_message<W: WithSocketMessage>(
            message: Message,
            with: W,
        ) -> Result<W::Output, W> {
            match message {
                $(Message::$name(body) => Ok(with.with::<$slice::$name>(body)),)*
                _ => Err(with),
            }
        }
    };
}

socket_table! {
    channel::ChannelJoin,
    channel::ChannelLeave,
    channel::ChannelMessageRemove,
    channel::ChannelMessageSend,
    channel::ChannelMessageUpdate,
    realtime_matches::MatchCreate,
    realtime_matches::MatchDataSend,
    realtime_matches::MatchJoin,
    realtime_matches::MatchLeave,
    realtime_party::PartyCreate,
    realtime_party::PartyJoin,
    realtime_party::PartyLeave,
    realtime_party::PartyPromote,
    realtime_party::PartyAccept,
    realtime_party::PartyRemove,
    realtime_party::PartyClose,
    realtime_party::PartyJoinRequestList,
    realtime_party::PartyMatchmakerAdd,
    realtime_party::PartyMatchmakerRemove,
    realtime_party::PartyDataSend,
    realtime_party::PartyUpdate,
    realtime_matchmaker::MatchmakerAdd,
    realtime_matchmaker::MatchmakerRemove,
    ping::Ping,
    ping::Pong,
    rpc::Rpc,
    status::StatusFollow,
    status::StatusUnfollow,
    status::StatusUpdate,
}

/// Every host function, by name in the order of the list.
pub static HOST_FUNCTIONS: &[HostFunction] = &[
    HostFunction::of::<account::nk::AccountDeleteId>(),
    HostFunction::of::<account_export::nk::AccountExportId>(),
    HostFunction::of::<account_export::nk::AccountImportId>(),
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
    HostFunction::of::<group::nk::GroupCreate>(),
    HostFunction::of::<group::nk::GroupDelete>(),
    HostFunction::of::<group::nk::GroupUpdate>(),
    HostFunction::of::<group::nk::GroupUserJoin>(),
    HostFunction::of::<group::nk::GroupUserLeave>(),
    HostFunction::of::<group::nk::GroupUsersAdd>(),
    HostFunction::of::<group::nk::GroupUsersBan>(),
    HostFunction::of::<group::nk::GroupUsersDemote>(),
    HostFunction::of::<group::nk::GroupUsersKick>(),
    HostFunction::of::<group::nk::GroupUsersList>(),
    HostFunction::of::<group::nk::GroupUsersPromote>(),
    HostFunction::of::<group::nk::GroupsGetId>(),
    HostFunction::of::<group::nk::GroupsGetRandom>(),
    HostFunction::of::<group::nk::GroupsList>(),
    HostFunction::of::<group::nk::UserGroupsList>(),
    HostFunction::of::<friend::nk::FriendMetadataUpdate>(),
    HostFunction::of::<friend::nk::FriendsAdd>(),
    HostFunction::of::<friend::nk::FriendsBlock>(),
    HostFunction::of::<friend::nk::FriendsDelete>(),
    HostFunction::of::<friend::nk::FriendsList>(),
    HostFunction::of::<friend::nk::FriendsOfFriendsList>(),
    HostFunction::of::<friend::nk::UsersGetFriendStatus>(),
    HostFunction::of::<leaderboard::nk::LeaderboardCreate>(),
    HostFunction::of::<leaderboard::nk::LeaderboardDelete>(),
    HostFunction::of::<leaderboard::nk::LeaderboardList>(),
    HostFunction::of::<leaderboard::nk::LeaderboardRanksDisable>(),
    HostFunction::of::<leaderboard::nk::LeaderboardRecordDelete>(),
    HostFunction::of::<leaderboard::nk::LeaderboardRecordWrite>(),
    HostFunction::of::<leaderboard::nk::LeaderboardRecordsHaystack>(),
    HostFunction::of::<leaderboard::nk::LeaderboardRecordsList>(),
    HostFunction::of::<leaderboard::nk::LeaderboardRecordsListCursorFromRank>(),
    HostFunction::of::<leaderboard::nk::LeaderboardsGetId>(),
    HostFunction::of::<link::nk::LinkCustom>(),
    HostFunction::of::<link::nk::LinkDevice>(),
    HostFunction::of::<link::nk::LinkEmail>(),
    HostFunction::of::<link::nk::UnlinkCustom>(),
    HostFunction::of::<link::nk::UnlinkDevice>(),
    HostFunction::of::<link::nk::UnlinkEmail>(),
    HostFunction::of::<matches::nk::MatchCreate>(),
    HostFunction::of::<matches::nk::MatchGet>(),
    HostFunction::of::<matches::nk::MatchList>(),
    HostFunction::of::<matches::nk::MatchSignal>(),
    HostFunction::of::<multi_update::nk::MultiUpdate>(),
    HostFunction::of::<notification::nk::NotificationSend>(),
    HostFunction::of::<notification::nk::NotificationSendAll>(),
    HostFunction::of::<notification::nk::NotificationsDelete>(),
    HostFunction::of::<notification::nk::NotificationsDeleteId>(),
    HostFunction::of::<notification::nk::NotificationsGetId>(),
    HostFunction::of::<notification::nk::NotificationsList>(),
    HostFunction::of::<notification::nk::NotificationsSend>(),
    HostFunction::of::<notification::nk::NotificationsUpdate>(),
    HostFunction::of::<provider::nk::AuthenticateApple>(),
    HostFunction::of::<provider::nk::AuthenticateFacebook>(),
    HostFunction::of::<provider::nk::AuthenticateFacebookInstantGame>(),
    HostFunction::of::<provider::nk::AuthenticateGameCenter>(),
    HostFunction::of::<provider::nk::AuthenticateGoogle>(),
    HostFunction::of::<provider::nk::AuthenticateSteam>(),
    HostFunction::of::<provider::nk::LinkApple>(),
    HostFunction::of::<provider::nk::LinkFacebook>(),
    HostFunction::of::<provider::nk::LinkFacebookInstantGame>(),
    HostFunction::of::<provider::nk::LinkGameCenter>(),
    HostFunction::of::<provider::nk::LinkGoogle>(),
    HostFunction::of::<provider::nk::LinkSteam>(),
    HostFunction::of::<provider::nk::UnlinkApple>(),
    HostFunction::of::<provider::nk::UnlinkFacebook>(),
    HostFunction::of::<provider::nk::UnlinkFacebookInstantGame>(),
    HostFunction::of::<provider::nk::UnlinkGameCenter>(),
    HostFunction::of::<provider::nk::UnlinkGoogle>(),
    HostFunction::of::<provider::nk::UnlinkSteam>(),
    HostFunction::of::<party::nk::PartyList>(),
    HostFunction::of::<purchase::nk::PurchaseGetByTransactionId>(),
    HostFunction::of::<purchase::nk::PurchaseValidateApple>(),
    HostFunction::of::<purchase::nk::PurchaseValidateFacebookInstant>(),
    HostFunction::of::<purchase::nk::PurchaseValidateGoogle>(),
    HostFunction::of::<purchase::nk::PurchaseValidateHuawei>(),
    HostFunction::of::<purchase::nk::PurchaseValidateSamsung>(),
    HostFunction::of::<purchase::nk::PurchasesList>(),
    HostFunction::of::<streams::nk::StreamClose>(),
    HostFunction::of::<streams::nk::StreamCount>(),
    HostFunction::of::<streams::nk::StreamSend>(),
    HostFunction::of::<streams::nk::StreamSendRaw>(),
    HostFunction::of::<streams::nk::StreamUserGet>(),
    HostFunction::of::<streams::nk::StreamUserJoin>(),
    HostFunction::of::<streams::nk::StreamUserKick>(),
    HostFunction::of::<streams::nk::StreamUserLeave>(),
    HostFunction::of::<streams::nk::StreamUserList>(),
    HostFunction::of::<streams::nk::StreamUserUpdate>(),
    HostFunction::of::<subscription::nk::SubscriptionGetByProductId>(),
    HostFunction::of::<subscription::nk::SubscriptionValidateApple>(),
    HostFunction::of::<subscription::nk::SubscriptionValidateGoogle>(),
    HostFunction::of::<subscription::nk::SubscriptionsList>(),
    HostFunction::of::<socket_session::nk::SessionDisconnect>(),
    HostFunction::of::<session::nk::SessionLogout>(),
    HostFunction::of::<status::nk::StatusFollow>(),
    HostFunction::of::<status::nk::StatusUnfollow>(),
    HostFunction::of::<storage::nk::StorageDelete>(),
    HostFunction::of::<storage_index::nk::StorageIndexList>(),
    HostFunction::of::<storage::nk::StorageList>(),
    HostFunction::of::<storage::nk::StorageRead>(),
    HostFunction::of::<storage::nk::StorageWrite>(),
    HostFunction::of::<storage::nk::StorageWriteRetry>(),
    HostFunction::of::<tournament::nk::TournamentAddAttempt>(),
    HostFunction::of::<tournament::nk::TournamentCreate>(),
    HostFunction::of::<tournament::nk::TournamentDelete>(),
    HostFunction::of::<tournament::nk::TournamentJoin>(),
    HostFunction::of::<tournament::nk::TournamentList>(),
    HostFunction::of::<tournament::nk::TournamentRanksDisable>(),
    HostFunction::of::<tournament::nk::TournamentRecordDelete>(),
    HostFunction::of::<tournament::nk::TournamentRecordWrite>(),
    HostFunction::of::<tournament::nk::TournamentRecordsHaystack>(),
    HostFunction::of::<tournament::nk::TournamentRecordsList>(),
    HostFunction::of::<tournament::nk::TournamentsGetId>(),
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
    HostFunction::of::<file::FileRead>(),
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
