//! The published names of what modules may hook: client requests and realtime messages.
//!
//! Lua names them in any case (`register_req_before(fn, "ListFriends")`), JavaScript in the name of
//! a registration function (`registerBeforeListFriends`); both resolve them here.

/// The requests that have a before and an after hook, in the order of their names.
pub const REQUESTS: [&str; 83] = [
    "AddFriends",
    "AddGroupUsers",
    "AuthenticateApple",
    "AuthenticateCustom",
    "AuthenticateDevice",
    "AuthenticateEmail",
    "AuthenticateFacebook",
    "AuthenticateFacebookInstantGame",
    "AuthenticateGameCenter",
    "AuthenticateGoogle",
    "AuthenticateSteam",
    "BanGroupUsers",
    "BlockFriends",
    "CreateGroup",
    "DeleteAccount",
    "DeleteFriends",
    "DeleteGroup",
    "DeleteLeaderboardRecord",
    "DeleteNotifications",
    "DeleteStorageObjects",
    "DeleteTournamentRecord",
    "DemoteGroupUsers",
    "Event",
    "GetAccount",
    "GetMatchmakerStats",
    "GetSubscription",
    "GetUsers",
    "ImportFacebookFriends",
    "ImportSteamFriends",
    "JoinGroup",
    "JoinTournament",
    "KickGroupUsers",
    "LeaveGroup",
    "LinkApple",
    "LinkCustom",
    "LinkDevice",
    "LinkEmail",
    "LinkFacebook",
    "LinkFacebookInstantGame",
    "LinkGameCenter",
    "LinkGoogle",
    "LinkSteam",
    "ListChannelMessages",
    "ListFriends",
    "ListFriendsOfFriends",
    "ListGroupUsers",
    "ListGroups",
    "ListLeaderboardRecords",
    "ListLeaderboardRecordsAroundOwner",
    "ListMatches",
    "ListNotifications",
    "ListParties",
    "ListStorageObjects",
    "ListSubscriptions",
    "ListTournamentRecords",
    "ListTournamentRecordsAroundOwner",
    "ListTournaments",
    "ListUserGroups",
    "PromoteGroupUsers",
    "ReadStorageObjects",
    "SessionLogout",
    "SessionRefresh",
    "UnlinkApple",
    "UnlinkCustom",
    "UnlinkDevice",
    "UnlinkEmail",
    "UnlinkFacebook",
    "UnlinkFacebookInstantGame",
    "UnlinkGameCenter",
    "UnlinkGoogle",
    "UnlinkSteam",
    "UpdateAccount",
    "UpdateGroup",
    "ValidatePurchaseApple",
    "ValidatePurchaseFacebookInstant",
    "ValidatePurchaseGoogle",
    "ValidatePurchaseHuawei",
    "ValidatePurchaseSamsung",
    "ValidateSubscriptionApple",
    "ValidateSubscriptionGoogle",
    "WriteLeaderboardRecord",
    "WriteStorageObjects",
    "WriteTournamentRecord",
];

/// The realtime messages that have a before and an after hook, in the order of their names.
pub const REALTIME: [&str; 28] = [
    "ChannelJoin",
    "ChannelLeave",
    "ChannelMessageRemove",
    "ChannelMessageSend",
    "ChannelMessageUpdate",
    "MatchCreate",
    "MatchDataSend",
    "MatchJoin",
    "MatchLeave",
    "MatchmakerAdd",
    "MatchmakerRemove",
    "PartyAccept",
    "PartyClose",
    "PartyCreate",
    "PartyDataSend",
    "PartyJoin",
    "PartyJoinRequestList",
    "PartyLeave",
    "PartyMatchmakerAdd",
    "PartyMatchmakerRemove",
    "PartyPromote",
    "PartyRemove",
    "PartyUpdate",
    "Ping",
    "Pong",
    "StatusFollow",
    "StatusUnfollow",
    "StatusUpdate",
];

/// The published name of the request that a module calls `name`, in any case.
pub fn request(name: &str) -> Option<&'static str> {
    find(&REQUESTS, name)
}

/// The published name of the realtime message that a module calls `name`, in any case.
pub fn realtime(name: &str) -> Option<&'static str> {
    find(&REALTIME, name)
}

fn find(names: &[&'static str], name: &str) -> Option<&'static str> {
    names.iter().copied().find(|published| published.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case() {
        assert_eq!(request("listfriends"), Some("ListFriends"));
        assert_eq!(request("ListFriends"), Some("ListFriends"));
        assert_eq!(realtime("MATCHDATASEND"), Some("MatchDataSend"));
        assert_eq!(request("MatchDataSend"), None);
        // RPCs have no hooks.
        assert_eq!(realtime("Rpc"), None);
    }

    #[test]
    fn lists_are_in_order_and_without_repetition() {
        assert!(REQUESTS.is_sorted_by(|a, b| a < b));
        assert!(REALTIME.is_sorted_by(|a, b| a < b));
    }
}
