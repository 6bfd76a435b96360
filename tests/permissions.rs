//! Who may do what: every endpoint called by anybody, with the server key, by the HTTP key, by
//! another user and by the owner of what it is about.
//!
//! Besides the status, each call by anyone but the owner must tell nothing of the owner's private
//! things, and (unless the row says that it may touch them) leave all of the owner's as it is.

use std::collections::BTreeMap;

use guildhall_actors::{
    endpoint::{Endpoint, EndpointVisitor, Verb},
    tables::each_endpoint,
};
use serde_json::{Value, json};

use crate::support::{Answer, HTTP_KEY, SERVER_KEY, Server, Setup};

/// What only the owner may see is marked by this.
const PRIVATE: &str = "for-the-owner-alone";

/// The endpoints that `src/http/rpc.rs` serves.
const RPC: &str = "RpcFunc";

/// One endpoint, what is asked of it, and the status of each caller.
///
/// In path and body stand `{owner}`, `{other}`, `{self}` and `{peer}` (the other one of these two),
/// and what the fixture made.
struct Row {
    endpoint: &'static str,
    verb: &'static str,
    path: &'static str,
    body: Value,
    /// Anybody, server key, HTTP key, another user, the owner.
    statuses: [u16; 5],
    /// Whether it is meant to touch what is the owner's: an invitation, a block.
    touches: bool,
    /// Whether the owner is shown something private.
    shows: bool,
}

fn row(
    endpoint: &'static str,
    verb: &'static str,
    path: &'static str,
    body: Value,
    statuses: [u16; 5],
) -> Row {
    Row { endpoint, verb, path, body, statuses, touches: false, shows: false }
}

impl Row {
    fn touches(self) -> Self {
        Self { touches: true, ..self }
    }

    fn shows(self) -> Self {
        Self { shows: true, ..self }
    }
}

/// Rows in an order in which they can be run: what ends something comes last.
#[rustfmt::skip]
fn rows() -> Vec<Row> {
    let no = || Value::Null;
    let record = || json!({ "score": "5" });
    let token = || json!({ "token": "" });
    let receipt = || json!({ "receipt": "receipt", "purchase": "purchase", "signature": "signature", "signed_request": "x.y", "purchase_id": "" });
    vec![
        row("Healthcheck", "GET", "/healthcheck", no(), [200, 200, 200, 200, 200]),
        row(RPC, "GET", "/v2/rpc/hello", no(), [401, 401, 200, 200, 200]),
        row(RPC, "POST", "/v2/rpc/hello", json!(""), [401, 401, 200, 200, 200]),

        // Signing in: by the server key alone. Where a provider would be asked, the token is empty.
        row("AuthenticateCustom", "POST", "/v2/account/authenticate/custom", json!({ "id": "custom-of-nobody" }), [401, 200, 401, 401, 401]),
        row("AuthenticateDevice", "POST", "/v2/account/authenticate/device", json!({ "id": "device-of-nobody" }), [401, 200, 401, 401, 401]),
        row("AuthenticateEmail", "POST", "/v2/account/authenticate/email", json!({ "email": "nobody@example.com", "password": "password" }), [401, 200, 401, 401, 401]),
        row("AuthenticateApple", "POST", "/v2/account/authenticate/apple", token(), [401, 400, 401, 401, 401]),
        row("AuthenticateFacebook", "POST", "/v2/account/authenticate/facebook", token(), [401, 400, 401, 401, 401]),
        row("AuthenticateFacebookInstantGame", "POST", "/v2/account/authenticate/facebookinstantgame", json!({}), [401, 400, 401, 401, 401]),
        row("AuthenticateGameCenter", "POST", "/v2/account/authenticate/gamecenter", json!({}), [401, 400, 401, 401, 401]),
        row("AuthenticateGoogle", "POST", "/v2/account/authenticate/google", token(), [401, 400, 401, 401, 401]),
        row("AuthenticateSteam", "POST", "/v2/account/authenticate/steam", token(), [401, 400, 401, 401, 401]),
        row("SessionRefresh", "POST", "/v2/account/session/refresh", json!({ "token": "{refresh}" }), [401, 200, 401, 401, 401]),

        // Looking.
        row("GetAccount", "GET", "/v2/account", no(), [401, 401, 401, 200, 200]).shows(),
        row("GetUsers", "GET", "/v2/user?ids={owner}", no(), [401, 401, 401, 200, 200]),
        row("ReadStorageObjects", "POST", "/v2/storage", json!({ "object_ids": [{ "collection": "private", "key": "own", "user_id": "{owner}" }] }), [401, 401, 401, 200, 200]).shows(),
        row("ListStorageObjects", "GET", "/v2/storage/private", no(), [401, 401, 401, 200, 200]),
        row("ListStorageObjects", "GET", "/v2/storage/private/{owner}", no(), [401, 401, 401, 200, 200]).shows(),
        row("ListNotifications", "GET", "/v2/notification", no(), [401, 401, 401, 200, 200]).shows(),
        row("ListChannelMessages", "GET", "/v2/channel/{channel}", no(), [401, 401, 401, 400, 200]).shows(),
        row("ListChannelMessages", "GET", "/v2/channel/{group_channel}?limit=100", no(), [401, 401, 401, 400, 200]).shows(),
        row("ListFriends", "GET", "/v2/friend", no(), [401, 401, 401, 200, 200]),
        row("ListFriendsOfFriends", "GET", "/v2/friend/friends", no(), [401, 401, 401, 200, 200]),
        row("ListGroups", "GET", "/v2/group", no(), [401, 401, 401, 200, 200]),
        row("ListUserGroups", "GET", "/v2/user/{owner}/group", no(), [401, 401, 401, 200, 200]),
        row("ListGroupUsers", "GET", "/v2/group/{group}/user", no(), [401, 401, 401, 200, 200]),
        row("ListLeaderboardRecords", "GET", "/v2/leaderboard/open?owner_ids={owner}", no(), [401, 401, 401, 200, 200]),
        row("ListLeaderboardRecordsAroundOwner", "GET", "/v2/leaderboard/open/owner/{owner}", no(), [401, 401, 401, 200, 200]),
        row("ListTournaments", "GET", "/v2/tournament", no(), [401, 401, 401, 200, 200]),
        row("ListTournamentRecords", "GET", "/v2/tournament/cup", no(), [401, 401, 401, 200, 200]),
        row("ListTournamentRecordsAroundOwner", "GET", "/v2/tournament/cup/owner/{owner}", no(), [401, 401, 401, 200, 200]),
        row("ListMatches", "GET", "/v2/match", no(), [401, 401, 401, 200, 200]),
        row("ListParties", "GET", "/v2/party", no(), [401, 401, 401, 200, 200]),
        row("GetMatchmakerStats", "GET", "/v2/matchmaker/stats", no(), [401, 401, 401, 200, 200]),
        row("ListSubscriptions", "POST", "/v2/iap/subscription", json!({}), [401, 401, 401, 200, 200]).shows(),
        row("GetSubscription", "GET", "/v2/iap/subscription/gold", no(), [401, 401, 401, 404, 200]).shows(),

        // Writing what is one's own; nobody can name another as the owner.
        row("Event", "POST", "/v2/event", json!({ "name": "seen" }), [401, 401, 401, 200, 200]),
        row("UpdateAccount", "PUT", "/v2/account", json!({ "location": "{self}" }), [401, 401, 401, 200, 200]),
        row("WriteStorageObjects", "PUT", "/v2/storage", json!({ "objects": [{ "collection": "private", "key": "own", "value": "{}" }] }), [401, 401, 401, 200, 200]),
        row("WriteStorageObjects", "PUT", "/v2/storage", json!({ "objects": [{ "collection": "private", "key": "read only", "value": "{}" }] }), [401, 401, 401, 200, 400]),
        row("DeleteStorageObjects", "PUT", "/v2/storage/delete", json!({ "object_ids": [{ "collection": "private", "key": "second" }] }), [401, 401, 401, 400, 200]),
        row("DeleteNotifications", "DELETE", "/v2/notification?ids={notification}", no(), [401, 401, 401, 200, 200]),
        row("WriteLeaderboardRecord", "POST", "/v2/leaderboard/open", record(), [401, 401, 401, 200, 200]),
        row("WriteLeaderboardRecord", "POST", "/v2/leaderboard/authoritative", record(), [401, 401, 401, 403, 403]),
        row("DeleteLeaderboardRecord", "DELETE", "/v2/leaderboard/authoritative", no(), [401, 401, 401, 403, 403]),
        row("DeleteLeaderboardRecord", "DELETE", "/v2/leaderboard/open", no(), [401, 401, 401, 200, 200]),
        row("WriteTournamentRecord", "POST", "/v2/tournament/joined", record(), [401, 401, 401, 400, 200]),
        row("JoinTournament", "POST", "/v2/tournament/joined/join", no(), [401, 401, 401, 200, 200]),
        row("WriteTournamentRecord", "PUT", "/v2/tournament/joined", record(), [401, 401, 401, 200, 200]),
        row("DeleteTournamentRecord", "DELETE", "/v2/tournament/joined", no(), [401, 401, 401, 200, 200]),

        // Providers that are not configured: refused for that, after the caller was let in.
        row("ValidatePurchaseApple", "POST", "/v2/iap/purchase/apple", receipt(), [401, 401, 401, 400, 400]),
        row("ValidatePurchaseFacebookInstant", "POST", "/v2/iap/purchase/facebookinstant", receipt(), [401, 401, 401, 400, 400]),
        row("ValidatePurchaseGoogle", "POST", "/v2/iap/purchase/google", receipt(), [401, 401, 401, 400, 400]),
        row("ValidatePurchaseHuawei", "POST", "/v2/iap/purchase/huawei", receipt(), [401, 401, 401, 400, 400]),
        row("ValidatePurchaseSamsung", "POST", "/v2/iap/purchase/samsung", receipt(), [401, 401, 401, 400, 400]),
        row("ValidateSubscriptionApple", "POST", "/v2/iap/subscription/apple", receipt(), [401, 401, 401, 400, 400]),
        row("ValidateSubscriptionGoogle", "POST", "/v2/iap/subscription/google", receipt(), [401, 401, 401, 400, 400]),
        row("ImportFacebookFriends", "POST", "/v2/friend/facebook", token(), [401, 401, 401, 400, 400]),
        row("ImportSteamFriends", "POST", "/v2/friend/steam", token(), [401, 401, 401, 400, 400]),

        // Groups: the owner's is closed, and another has no say in it.
        row("CreateGroup", "POST", "/v2/group", json!({ "name": "group of {self}" }), [401, 401, 401, 200, 200]),
        row("UpdateGroup", "PUT", "/v2/group/{group}", json!({ "description": "of {self}" }), [401, 401, 401, 404, 200]),
        row("AddGroupUsers", "POST", "/v2/group/{group}/add?user_ids={other}", no(), [401, 401, 401, 404, 200]),
        row("PromoteGroupUsers", "POST", "/v2/group/{group}/promote?user_ids={third}", no(), [401, 401, 401, 404, 200]),
        row("DemoteGroupUsers", "POST", "/v2/group/{group}/demote?user_ids={third}", no(), [401, 401, 401, 404, 200]),
        row("LeaveGroup", "POST", "/v2/group/{group}/leave", no(), [401, 401, 401, 200, 400]).touches(),
        row("JoinGroup", "POST", "/v2/group/{group}/join", no(), [401, 401, 401, 200, 200]).touches(),
        row("KickGroupUsers", "POST", "/v2/group/{group}/kick?user_ids={third}", no(), [401, 401, 401, 404, 200]),
        row("BanGroupUsers", "POST", "/v2/group/{group}/ban?user_ids={other}", no(), [401, 401, 401, 404, 200]),
        row("DeleteGroup", "DELETE", "/v2/group/{group}", no(), [401, 401, 401, 400, 200]),

        // Friends: an invitation, and the end of it, touch both sides.
        row("AddFriends", "POST", "/v2/friend?ids={peer}", no(), [401, 401, 401, 200, 200]).touches(),
        row("DeleteFriends", "DELETE", "/v2/friend?ids={peer}", no(), [401, 401, 401, 200, 200]).touches(),
        row("BlockFriends", "POST", "/v2/friend/block?ids={peer}", no(), [401, 401, 401, 200, 200]).touches(),

        // Identifiers: the owner's are taken for others, and not theirs to remove.
        row("LinkCustom", "POST", "/v2/account/link/custom", json!({ "id": "custom-for-the-owner-alone" }), [401, 401, 401, 409, 200]),
        row("LinkDevice", "POST", "/v2/account/link/device", json!({ "id": "device-for-the-owner-alone" }), [401, 401, 401, 409, 200]),
        row("LinkEmail", "POST", "/v2/account/link/email", json!({ "email": "for-the-owner-alone@example.com", "password": "password" }), [401, 401, 401, 409, 200]),
        row("LinkApple", "POST", "/v2/account/link/apple", token(), [401, 401, 401, 400, 400]),
        row("LinkFacebook", "POST", "/v2/account/link/facebook", token(), [401, 401, 401, 400, 400]),
        row("LinkFacebookInstantGame", "POST", "/v2/account/link/facebookinstantgame", json!({}), [401, 401, 401, 400, 400]),
        row("LinkGameCenter", "POST", "/v2/account/link/gamecenter", json!({}), [401, 401, 401, 400, 400]),
        row("LinkGoogle", "POST", "/v2/account/link/google", token(), [401, 401, 401, 400, 400]),
        row("LinkSteam", "POST", "/v2/account/link/steam", token(), [401, 401, 401, 400, 400]),
        row("UnlinkCustom", "POST", "/v2/account/unlink/custom", json!({ "id": "custom-for-the-owner-alone" }), [401, 401, 401, 403, 200]),
        row("UnlinkDevice", "POST", "/v2/account/unlink/device", json!({ "id": "device-for-the-owner-alone" }), [401, 401, 401, 403, 200]),
        row("UnlinkEmail", "POST", "/v2/account/unlink/email", json!({ "email": "for-the-owner-alone@example.com" }), [401, 401, 401, 403, 200]),
        row("UnlinkApple", "POST", "/v2/account/unlink/apple", token(), [401, 401, 401, 200, 200]),
        row("UnlinkFacebook", "POST", "/v2/account/unlink/facebook", token(), [401, 401, 401, 200, 200]),
        row("UnlinkFacebookInstantGame", "POST", "/v2/account/unlink/facebookinstantgame", json!({}), [401, 401, 401, 200, 200]),
        row("UnlinkGameCenter", "POST", "/v2/account/unlink/gamecenter", json!({}), [401, 401, 401, 200, 200]),
        row("UnlinkGoogle", "POST", "/v2/account/unlink/google", token(), [401, 401, 401, 200, 200]),
        row("UnlinkSteam", "POST", "/v2/account/unlink/steam", token(), [401, 401, 401, 200, 200]),

        // The end: another's tokens are not one's own to end; accounts are one's own alone.
        row("SessionLogout", "POST", "/v2/session/logout", json!({ "token": "{spare}" }), [401, 401, 401, 400, 200]),
        row("DeleteAccount", "DELETE", "/v2/account", no(), [401, 401, 401, 200, 200]),
    ]
}

/// Makes what the calls are about.
const FIXTURE: &str = r#"
    const PRIVATE = "for-the-owner-alone";

    function fixture(ctx, logger, nk, payload) {
      const { owner, other, third } = JSON.parse(payload);
      const made = {};
      nk.linkCustom(owner, "custom-" + PRIVATE);
      nk.linkDevice(owner, "device-" + PRIVATE);
      nk.linkEmail(owner, PRIVATE + "@example.com", "password");
      nk.storageWrite(["own", "second", "read only"].map((key) => ({
        collection: "private", key, userId: owner, value: { text: PRIVATE },
        permissionRead: 1, permissionWrite: key === "read only" ? 0 : 1,
      })));
      nk.notificationSend(owner, PRIVATE, { text: PRIVATE }, 1, null, true);
      const sql = "SELECT id FROM notification WHERE user_id = $1";
      made.notification = nk.sqlQuery(sql, [owner])[0].id;

      const group = nk.groupCreate(owner, "of the owner", owner, "en", "", "", false, {}, 10);
      nk.groupUsersAdd(group.id, [third], owner);
      made.group = group.id;
      made.group_channel = nk.channelIdBuild(owner, group.id, 3);
      made.channel = nk.channelIdBuild(owner, third, 2);
      for (const channel of [made.group_channel, made.channel]) {
        nk.channelMessageSend(channel, { text: PRIVATE }, owner, "owner", true);
      }

      for (const [id, authoritative] of [["open", false], ["authoritative", true]]) {
        nk.leaderboardCreate(id, authoritative, "descending", "best");
        nk.leaderboardRecordWrite(id, owner, "owner", 10, 0, {});
      }
      for (const [id, joinRequired] of [["cup", false], ["joined", true]]) {
        nk.tournamentCreate(id, false, "descending", "best", 3600, null, {}, id, "", 0, null, null, 100, 10, joinRequired);
      }
      nk.tournamentJoin("joined", owner, "owner");

      nk.sqlExec(
        `INSERT INTO subscription (user_id, store, original_transaction_id, product_id, expire_time, raw_response)
         VALUES ($1, 0, $2, 'gold', now() + interval '1 day', '{}')`,
        [owner, PRIVATE]);
      return JSON.stringify(made);
    }

    function InitModule(ctx, logger, nk, initializer) {
      initializer.registerRpc("fixture", fixture);
      initializer.registerRpc("hello", () => "\"hello\"");
    }
"#;

/// What shows the owner's things to the owner.
const VIEWS: [&str; 9] = [
    "/v2/account",
    "/v2/friend",
    "/v2/user/{owner}/group",
    "/v2/group/{group}/user",
    "/v2/notification",
    "/v2/storage/private/{owner}",
    "/v2/leaderboard/open?owner_ids={owner}&limit=1",
    "/v2/tournament/joined?owner_ids={owner}&limit=1",
    "/v2/iap/subscription/gold",
];

/// The declared endpoints and their routes.
#[derive(Default)]
struct Declared(Vec<(&'static str, Verb, &'static str)>);

impl EndpointVisitor for Declared {
    fn visit<E: Endpoint>(&mut self) {
        self.0.extend(E::ROUTES.iter().map(|(verb, path)| (E::NAME, *verb, *path)));
    }
}

fn declared() -> Vec<(&'static str, Verb, &'static str)> {
    let mut declared = Declared::default();
    each_endpoint(&mut declared);
    declared.0.extend([(RPC, Verb::Get, "/v2/rpc/{id}"), (RPC, Verb::Post, "/v2/rpc/{id}")]);
    declared.0
}

/// Whether a row's path is one of a template: `/v2/group/{group}` of `/v2/group/{group_id}`.
fn is_of(path: &str, template: &str) -> bool {
    let path = path.split('?').next().unwrap();
    let (path, template): (Vec<_>, Vec<_>) =
        (path.split('/').collect(), template.split('/').collect());
    path.len() == template.len()
        && path.iter().zip(&template).all(|(step, wanted)| {
            if wanted.starts_with('{') { !step.is_empty() } else { step == wanted }
        })
}

#[test]
fn every_route_has_a_row_and_every_row_a_route() {
    let (declared, rows) = (declared(), rows());
    let served = |row: &Row| {
        declared.iter().any(|(name, verb, template)| {
            *name == row.endpoint
                && format!("{verb:?}").to_uppercase() == row.verb
                && is_of(row.path, template)
        })
    };
    for (name, verb, template) in &declared {
        let has_row = rows.iter().any(|row| {
            *name == row.endpoint
                && format!("{verb:?}").to_uppercase() == row.verb
                && is_of(row.path, template)
        });
        assert!(has_row, "{name}: {verb:?} {template} has no row");
    }
    for row in &rows {
        assert!(served(row), "{}: {} {} is no route", row.endpoint, row.verb, row.path);
    }
}

/// The server with the owner, another user, and what the fixture made.
struct Stage {
    server: Server,
    names: BTreeMap<String, String>,
    owner: String,
    other: String,
}

impl Stage {
    fn new() -> Self {
        let server = Setup::new().module("index.js", FIXTURE).start();
        let path = "/v2/account/authenticate/device?create=true&username=";
        let sign_in = |name: &str| {
            let body = json!({ "id": format!("{name}-0123456789") });
            server.call("POST", &format!("{path}{name}"), SERVER_KEY, Some(&body))
        };
        let (owner, other) = (sign_in("owner"), sign_in("other"));
        let mut names = BTreeMap::new();
        for (name, session) in [("owner", &owner), ("other", &other), ("third", &sign_in("third"))]
        {
            let account = server.get("/v2/account", &session.text("token")).ok();
            let id = account["user"]["id"].as_str().unwrap().to_owned();
            names.insert(name.to_owned(), id);
        }
        let made = server.rpc("fixture", &json!(names).to_string()).ok();
        for (name, value) in made.as_object().unwrap() {
            names.insert(name.clone(), value.as_str().unwrap().to_owned());
        }
        names.insert("refresh".to_owned(), owner.text("refresh_token"));
        names.insert("spare".to_owned(), sign_in("owner").text("token"));
        Self { owner: owner.text("token"), other: other.text("token"), server, names }
    }

    /// `text` with the names put in, as the owner or another says them.
    fn fill(&self, text: &str, by_owner: bool) -> String {
        let (own, peer) = if by_owner { ("owner", "other") } else { ("other", "owner") };
        let mut text = text.to_owned();
        for (name, value) in &self.names {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        text.replace("{self}", &self.names[own]).replace("{peer}", &self.names[peer])
    }

    fn send(&self, row: &Row, caller: usize) -> Answer {
        let mut path = self.fill(row.path, caller == OWNER).replace(' ', "%20");
        let auth = match caller {
            1 => SERVER_KEY.to_owned(),
            3 => format!("Bearer {}", self.other),
            OWNER => format!("Bearer {}", self.owner),
            _ => String::new(),
        };
        if caller == 2 {
            path += if path.contains('?') { "&" } else { "?" };
            path += HTTP_KEY;
        }
        let body = (!row.body.is_null()).then(|| self.fill(&row.body.to_string(), caller == OWNER));
        self.server.send(row.verb, &path, &[("authorization", &auth)], body)
    }

    /// Everything of the owner's, as the owner sees it.
    fn view(&self) -> Vec<Answer> {
        let view = |path| {
            let mut answer = self.server.get(&self.fill(path, true), &self.owner);
            // Others may come and go in a list of records.
            if let Some(records) = answer.body.get("owner_records") {
                answer.body = records.clone();
            }
            answer
        };
        VIEWS.into_iter().map(view).collect()
    }
}

const CALLERS: [&str; 5] = ["anybody", "the server key", "the HTTP key", "another", "the owner"];
const OWNER: usize = 4;

#[test]
fn who_may_do_what() {
    let stage = Stage::new();
    let mut wrong = Vec::new();
    for row in &rows() {
        for (caller, wanted) in row.statuses.into_iter().enumerate() {
            let before = if caller == OWNER { Vec::new() } else { stage.view() };
            let answer = stage.send(row, caller);
            let what = format!("{} {} {} by {}", row.endpoint, row.verb, row.path, CALLERS[caller]);
            if answer.status != wanted {
                wrong.push(format!(
                    "{what}: {} in place of {wanted}: {}",
                    answer.status, answer.body
                ));
            }
            let told = answer.body.to_string().contains(PRIVATE);
            if caller == OWNER {
                if row.shows && !told {
                    wrong.push(format!("{what}: is shown nothing: {}", answer.body));
                }
                continue;
            }
            if told {
                wrong.push(format!("{what}: is told {}", answer.body));
            }
            let last = row.endpoint == "DeleteAccount";
            if !row.touches && !last && stage.view() != before {
                wrong.push(format!("{what}: changed what is the owner's"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n  {}\n", wrong.join("\n  "));
}
