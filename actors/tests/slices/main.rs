//! The slices against a real PostgreSQL.
#![allow(clippy::unwrap_used)]

mod account_export;
mod channel_message;
mod chat;
mod friend;
mod group;
mod leaderboard;
mod matches;
mod multi_update;
mod notification;
mod postgres;
mod sockets;
mod storage;
mod storage_index;
mod wallet;

use std::net::{IpAddr, Ipv4Addr};

use futures_util::future::join_all;
use guildhall_actors::{
    cx::Cx,
    endpoint::Endpoint,
    host::Language,
    resources::{
        account::{self, GetAccount, UpdateAccount},
        authenticate::{self, AuthenticateCustom, AuthenticateEmail},
        link,
        session::{SessionLogout, SessionRefresh},
        user,
    },
    sessions::Sessions,
};
use guildhall_core::{Caller, Code, Error, Result};
use guildhall_proto::{Empty, api};
use postgres::{Slices, count, nk, signed_in, sql};
use serde_json::json;
use uuid::Uuid;

/// The code and sentence of a refusal.
#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T>) -> (Code, String) {
    let error = result.unwrap_err();
    (error.code(), error.message().to_owned())
}

#[track_caller]
fn code<T: std::fmt::Debug>(result: Result<T>) -> Code {
    refused(result).0
}

async fn new_user(cx: &Cx, name: &str) -> Uuid {
    authenticate::by_custom_id(cx, &format!("custom-{name}"), name, true).await.unwrap().id
}

#[test]
fn a_custom_id_makes_an_account_once_and_finds_it_after() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let by_id = async |id: &str, name: &str, create| {
            authenticate::by_custom_id(cx, id, name, create).await
        };
        let (not_found, taken) = (
            (Code::NotFound, "User account not found.".to_owned()),
            (Code::AlreadyExists, "Username is already in use.".to_owned()),
        );
        assert_eq!(refused(by_id("ann-id", "ann", false).await), not_found);
        let made = by_id("ann-id", "ann", true).await.unwrap();
        assert!(made.created && made.username == "ann");
        let found = by_id("ann-id", "other", true).await.unwrap();
        assert!(!found.created && found.username == "ann" && found.id == made.id);
        assert_eq!(refused(by_id("bob-id", "ann", true).await), taken);

        user::ban(cx, &[made.id]).await.unwrap();
        assert_eq!(code(by_id("ann-id", "ann", true).await), Code::PermissionDenied);
        user::unban(cx, &[made.id]).await.unwrap();
        assert!(by_id("ann-id", "ann", false).await.is_ok());
    });
}

#[test]
fn sign_ups_at_once_with_one_id_make_one_account() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        for device in [false, true] {
            let name = if device { "device" } else { "custom" };
            let all = join_all((0..8).map(async |_| {
                if device {
                    authenticate::by_device_id(cx, "the-same-id", name, true).await.unwrap()
                } else {
                    authenticate::by_custom_id(cx, "the-same-id", name, true).await.unwrap()
                }
            }))
            .await;
            assert_eq!(all.iter().filter(|known| known.created).count(), 1, "{name}");
            assert!(all.iter().all(|known| known.id == all[0].id), "{name}");
        }
        assert_eq!(count(cx, "SELECT count(*) FROM users WHERE username <> ''").await, 2);
    });
}

#[test]
fn sign_ins_at_once_share_a_statement_and_each_has_its_own_outcome() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        for device in [false, true] {
            let by_id = async |id: &str, name: &str, create| {
                if device {
                    authenticate::by_device_id(cx, id, name, create).await
                } else {
                    authenticate::by_custom_id(cx, id, name, create).await
                }
            };
            let name = |name: &str| format!("{name}-{device}");
            let old = by_id("an-old-account", &name("old"), true).await.unwrap();
            let banned = by_id("a-banned-account", &name("banned"), true).await.unwrap();
            user::ban(cx, &[banned.id]).await.unwrap();
            let (not_found, taken) = ("User account not found.", "Username is already in use.");

            let mut asked: Vec<(String, String, bool, Result<bool, &str>)> = vec![
                ("an-old-account".into(), name("other"), true, Ok(false)),
                ("an-old-account".into(), name("other"), false, Ok(false)),
                ("a-banned-account".into(), name("any"), true, Err("User account banned.")),
                ("nobody-has-this".into(), name("nobody"), false, Err(not_found)),
                ("a-taken-name-1".into(), name("old"), true, Err(taken)),
            ];
            for n in 0..30 {
                asked.push((
                    format!("a-new-account-{n}"),
                    name(&format!("new-{n}")),
                    true,
                    Ok(true),
                ));
            }
            let outcomes = join_all(asked.iter().map(|it| by_id(&it.0, &it.1, it.2))).await;
            for ((id, name, _, wanted), outcome) in asked.iter().zip(outcomes) {
                match outcome {
                    Ok(known) => {
                        assert_eq!(Ok(known.created), *wanted, "{id}");
                        let shown = if known.created { name } else { &old.username };
                        assert_eq!(known.username, *shown, "{id}");
                    }
                    Err(error) => assert_eq!(Err(error.message()), *wanted, "{id}"),
                }
            }
            // Of two new accounts that want one name, one is made.
            let both =
                join_all(["wants-it-too-1", "wants-it-too-2", "wants-it-too-3"].map(async |id| {
                    by_id(id, &name("wanted"), true).await.map(|known| known.created)
                }));
            let made = both.await.into_iter().filter(|it| matches!(it, Ok(true))).count();
            assert_eq!(made, 1);
        }
        assert_eq!(count(cx, "SELECT count(*) FROM users WHERE username <> ''").await, 66);
        assert_eq!(count(cx, "SELECT count(*) FROM user_device").await, 33);
    });
}

#[test]
fn the_statistics_of_a_young_database_follow_its_accounts() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let sign_up = async |n: usize| {
            let (id, name) = (format!("somebody-{n}"), format!("name-{n}"));
            authenticate::by_custom_id(cx, &id, &name, true).await.unwrap()
        };
        join_all((0..64).map(sign_up)).await;
        let known = "SELECT reltuples::int8 FROM pg_class WHERE oid = 'users'::regclass";
        let mut looks = 0;
        while count(cx, known).await < 50 {
            looks += 1;
            assert!(looks < 600, "the statistics were not renewed");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
}

#[test]
fn a_sign_in_fills_in_the_caller_and_its_tokens_open_sessions() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let vars = [("team".to_owned(), "red".to_owned())];
        let request = api::AuthenticateCustomRequest {
            account: Some(api::AccountCustom { id: "ann-id".into(), vars: vars.into() }),
            username: "ann".into(),
            ..Default::default()
        };
        let mut caller = Caller::default();
        let session = AuthenticateCustom::handle(cx, &mut caller, request).await.unwrap();
        let user = caller.user.clone().unwrap();
        assert!(session.created && user.username == "ann" && user.vars["team"] == "red");
        let claims = cx.sessions.session(&session.token).unwrap();
        assert_eq!((claims.user_id, &claims.token_id), (user.id, &user.token_id));

        sql(&cx.db, "UPDATE users SET username = 'anna' WHERE username = 'ann'").await;
        let refresh =
            api::SessionRefreshRequest { token: session.refresh_token, vars: Default::default() };
        let again = SessionRefresh::handle(cx, &mut Caller::default(), refresh).await.unwrap();
        let claims = cx.sessions.session(&again.token).unwrap();
        assert_eq!((claims.username.as_str(), claims.vars["team"].as_str()), ("anna", "red"));
        assert_eq!(claims.token_id, user.token_id);
    });
}

#[test]
fn failed_passwords_close_an_account_by_e_mail_and_by_username() {
    let Some(slices) = Slices::start(|config| config.sign_in.account_address_limit = 3) else {
        return;
    };
    let cx = &*slices.cx;
    slices.run(async {
        let sign_in = async |email: &str, username: &str, password: &str, last: u8| {
            let request = api::AuthenticateEmailRequest {
                account: Some(api::AccountEmail {
                    email: email.into(),
                    password: password.into(),
                    ..Default::default()
                }),
                username: username.into(),
                ..Default::default()
            };
            let client_ip = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
            let mut caller = Caller { client_ip, ..Caller::default() };
            AuthenticateEmail::handle(cx, &mut caller, request).await
        };
        let email = "Ann@Example.com";
        assert!(sign_in(email, "ann", "a password", 1).await.unwrap().created);
        assert!(!sign_in("ann@example.com", "", "a password", 1).await.unwrap().created);
        let wrong = (Code::Unauthenticated, "Invalid credentials.".to_owned());
        assert_eq!(refused(sign_in(email, "", "another one", 1).await), wrong);
        assert_eq!(refused(sign_in(email, "", "another one", 1).await), wrong);
        assert_eq!(refused(sign_in("", "ann", "another one", 1).await), wrong);
        assert_eq!(code(sign_in(email, "", "a password", 1).await), Code::ResourceExhausted);
        assert_eq!(code(sign_in("", "ann", "a password", 1).await), Code::ResourceExhausted);
        assert!(sign_in("", "ann", "a password", 2).await.is_ok(), "from another address");
        let made = nk(
            cx,
            Language::Lua,
            "authenticate_email",
            json!({ "email": email, "password": "another one" }),
        )
        .await;
        assert_eq!(
            refused(made).1,
            "error authenticating: rpc error: code = Unauthenticated desc = Invalid credentials."
        );
    });
}

#[test]
fn an_account_shows_what_was_changed() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let (ann, _) = (new_user(cx, "ann").await, new_user(cx, "bob").await);
        let change = async |request| {
            UpdateAccount::handle(cx, &mut signed_in(ann), request).await.map(|_: Empty| ())
        };
        let request = || api::UpdateAccountRequest::default();
        let text = |text: &str| Some(text.to_owned());
        change(api::UpdateAccountRequest {
            display_name: text("Ann"),
            location: text("Here"),
            ..request()
        })
        .await
        .unwrap();
        change(api::UpdateAccountRequest { display_name: text(""), ..request() }).await.unwrap();
        let account = GetAccount::handle(cx, &mut signed_in(ann), Empty {}).await.unwrap();
        let user = account.user.unwrap();
        assert_eq!((user.display_name.as_str(), user.location.as_str()), ("", "Here"));
        assert_eq!((user.lang_tag.as_str(), user.metadata.as_str()), ("en", "{}"));
        assert_eq!(account.custom_id, "custom-ann");

        let (invalid, internal) = (Code::InvalidArgument, Code::Internal);
        assert_eq!(code(change(request()).await), invalid);
        let taken = api::UpdateAccountRequest { username: text("bob"), ..request() };
        let sentence = "rpc error: code = AlreadyExists desc = Username is already in use.";
        assert_eq!(refused(change(taken).await), (invalid, sentence.to_owned()));
        let long = api::UpdateAccountRequest { location: Some("x".repeat(256)), ..request() };
        assert_eq!(code(change(long).await), internal);
        let unset = api::UpdateAccountRequest { lang_tag: text(""), ..request() };
        assert_eq!(code(change(unset).await), internal);
        let nul = api::UpdateAccountRequest { display_name: text("nul\0"), ..request() };
        let sentence = "Error while trying to update account.";
        assert_eq!(refused(change(nul).await), (internal, sentence.to_owned()));
        let mut nobody = signed_in(Uuid::new_v4());
        let unknown = GetAccount::handle(cx, &mut nobody, Empty {}).await;
        assert_eq!(refused(unknown), (Code::NotFound, "Account not found.".to_owned()));
    });
}

#[test]
fn an_unchanged_account_keeps_the_time_of_its_last_change() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let ann = new_user(cx, "ann").await;
        sql(&cx.db, "UPDATE users SET update_time = to_timestamp(7), location = 'Here'").await;
        let same = account::Changes {
            username: Some("ann".into()),
            location: Some("Here".into()),
            display_name: Some(String::new()),
            metadata: Some("{}".into()),
            ..Default::default()
        };
        account::update(cx, ann, &same).await.unwrap();
        let changed_s = async || {
            let user = account::get(cx, ann).await.unwrap().unwrap().user.unwrap();
            user.update_time.unwrap().seconds
        };
        assert_eq!(changed_s().await, 7);
        let other = account::Changes { metadata: Some(r#"{"a":1}"#.into()), ..same };
        account::update(cx, ann, &other).await.unwrap();
        assert!(changed_s().await > 7);
    });
}

#[test]
fn a_deleted_account_leaves_nothing_and_its_groups_go_on_if_they_can() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let (ann, bob) = (new_user(cx, "ann").await, new_user(cx, "bob").await);
        let [alone, led, joined, asked] = [1, 2, 3, 4].map(Uuid::from_u128);
        let groups = [
            (alone, 2, [(ann, 0), (bob, 2)]),
            (led, 2, [(ann, 0), (bob, 0)]),
            (joined, 2, [(ann, 2), (bob, 0)]),
            (asked, 1, [(ann, 3), (bob, 0)]),
        ];
        for (place, (group, members, edges)) in groups.iter().enumerate() {
            sql(&cx.db, &format!(
                "INSERT INTO groups (id, creator_id, name, edge_count) VALUES ('{group}', '{bob}', '{place}', {members})"
            )).await;
            for (at, (member, state)) in edges.iter().enumerate() {
                let position = 10 * place + at;
                sql(&cx.db, &format!(
                    "INSERT INTO group_edge (source_id, position, destination_id, state)
                     VALUES ('{group}', {position}, '{member}', {state}),
                            ('{member}', {position}, '{group}', {state})"
                )).await;
            }
        }
        sql(&cx.db, "INSERT INTO leaderboard (id, sort_order, operator) VALUES ('l', 0, 0)").await;
        sql(&cx.db, &format!("INSERT INTO leaderboard_record (leaderboard_id, owner_id) VALUES ('l', '{ann}')")).await;

        account::delete(cx, ann, true).await.unwrap();
        account::delete(cx, ann, true).await.unwrap();
        assert!(account::get(cx, ann).await.unwrap().is_none());
        let counts = [
            ("SELECT count(*) FROM groups", 3),
            ("SELECT count(*) FROM group_edge", 6),
            ("SELECT sum(edge_count) FROM groups", 3),
            ("SELECT count(*) FROM leaderboard_record", 0),
            ("SELECT count(*) FROM user_tombstone", 1),
            ("SELECT count(*) FROM guildhall.revoked_user WHERE issued_before > to_timestamp(0)", 1),
        ];
        for (statement, expected) in counts {
            assert_eq!(count(cx, statement).await, expected, "{statement}");
        }
        assert_eq!(code(account::delete(cx, Uuid::nil(), false).await), Code::Internal);
    });
}

#[test]
fn a_log_out_is_known_to_the_next_server() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let ann = new_user(cx, "ann").await;
        let sign_in = async || {
            let opened = cx.sessions.sign_in(&cx.db, ann, "ann".into(), Default::default()).await;
            opened.unwrap().0
        };
        let (ended, stays) = (sign_in().await, sign_in().await);
        let request = api::SessionLogoutRequest {
            token: ended.token.clone(),
            refresh_token: ended.refresh_token.clone(),
        };
        let log_out = async |request| {
            SessionLogout::handle(cx, &mut signed_in(ann), request).await.map(|_: Empty| ())
        };
        log_out(request.clone()).await.unwrap();

        let next = Sessions::new(&cx.config.session);
        next.load(&cx.db, &cx.io).await.unwrap();
        for sessions in [&cx.sessions, &next] {
            assert!(sessions.session(&ended.token).is_none());
            assert!(sessions.refresh(&ended.refresh_token).is_none());
            assert!(sessions.session(&stays.token).is_some());
            assert!(sessions.refresh(&stays.refresh_token).is_some());
        }
        let invalid = |sentence: &str| (Code::InvalidArgument, sentence.to_owned());
        let swapped =
            api::SessionLogoutRequest { token: stays.refresh_token, ..Default::default() };
        assert_eq!(refused(log_out(swapped).await), invalid("Session token invalid."));
        let swapped =
            api::SessionLogoutRequest { refresh_token: stays.token, ..Default::default() };
        assert_eq!(refused(log_out(swapped).await), invalid("Refresh token invalid."));
        let other = SessionLogout::handle(cx, &mut signed_in(Uuid::new_v4()), request).await;
        assert_eq!(code(other), Code::InvalidArgument);
    });
}

#[test]
fn a_cut_outlives_every_token_that_was_given_out() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let ann = new_user(cx, "ann").await;
        let year_2100_s = 4_102_444_800_i64;
        let generated = nk(
            cx,
            Language::JavaScript,
            "authenticate_token_generate",
            json!({ "user_id": ann, "exp": year_2100_s }),
        );
        assert_eq!(generated.await.unwrap()["exp"], year_2100_s);
        user::ban(cx, &[ann, ann, Uuid::new_v4()]).await.unwrap();
        let kept = "SELECT count(*) FROM guildhall.revoked_user WHERE expiry_time > '2100-01-01'";
        assert_eq!(count(cx, kept).await, 3);
    });
}

#[test]
fn links_are_added_replaced_and_removed_but_for_the_last() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let (ann, bob) = (new_user(cx, "ann").await, new_user(cx, "bob").await);
        let last = Code::PermissionDenied;
        let taken = Code::AlreadyExists;
        assert_eq!(code(link::unlink_custom(cx, ann, "custom-ann").await), last);
        link::link_device(cx, ann, "device-ann").await.unwrap();
        link::link_device(cx, ann, "device-ann").await.unwrap();
        assert_eq!(code(link::link_device(cx, bob, "device-ann").await), taken);
        assert_eq!(code(link::link_custom(cx, bob, "custom-ann").await), taken);
        assert_eq!(code(link::unlink_custom(cx, ann, "another").await), last);
        link::unlink_custom(cx, ann, "").await.unwrap();
        assert_eq!(code(link::unlink_device(cx, ann, "device-ann").await), last);
        link::link_email(cx, ann, "Ann@Example.com", "a password").await.unwrap();
        assert_eq!(code(link::link_email(cx, bob, "ann@example.com", "a password").await), taken);
        let long = link::link_email(cx, bob, "bob@example.com", &"x".repeat(73)).await;
        assert_eq!(code(long), Code::InvalidArgument);
        link::unlink_device(cx, ann, "device-ann").await.unwrap();
        assert_eq!(code(link::unlink_email(cx, ann, "ann@example.com").await), last);
        let account = account::get(cx, ann).await.unwrap().unwrap();
        assert_eq!(account.email, "ann@example.com");
        assert!(account.devices.is_empty() && account.custom_id.is_empty());
        let known = authenticate::by_password(
            cx,
            None,
            "ANN@example.com",
            "a password",
            String::new(),
            false,
        );
        assert_eq!(known.await.unwrap().id, ann);
    });
}

#[test]
fn modules_find_users_and_accounts() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let (ann, bob) = (new_user(cx, "ann").await, new_user(cx, "bob").await);
        link::link_device(cx, bob, "device-bob").await.unwrap();
        let names = |found: &serde_json::Value| {
            let users = found.as_array().unwrap().iter();
            let mut names: Vec<String> = users
                .map(|user| user.get("username").unwrap_or(&user["user"]["username"]))
                .map(|name| name.as_str().unwrap().to_owned())
                .collect();
            names.sort();
            names
        };
        let find = async |function: &str, arguments| nk(cx, Language::JavaScript, function, arguments).await;
        let found = find("users_get_id", json!({ "user_ids": [ann, bob, Uuid::nil()] })).await;
        assert_eq!(names(&found.unwrap()), ["", "ann", "bob"]);
        assert_eq!(find("users_get_id", json!({})).await.unwrap(), json!([]));
        assert!(find("users_get_id", json!({ "user_ids": [] })).await.is_err());
        let found = find("users_get_username", json!({ "usernames": ["bob", "nobody"] })).await;
        assert_eq!(names(&found.unwrap()), ["bob"]);
        let found = find("users_get_random", json!({ "count": 1000 })).await;
        assert_eq!(names(&found.unwrap()), ["ann", "bob"]);
        assert_eq!(find("users_get_random", json!({ "count": 1 })).await.unwrap().as_array().unwrap().len(), 1);
        assert!(find("users_get_random", json!({ "count": 1001 })).await.is_err());
        let both = json!({ "user_ids": [ann], "device_ids": ["device-bob"] });
        assert_eq!(names(&find("accounts_get_id", both).await.unwrap()), ["ann", "bob"]);

        let account = nk(cx, Language::Lua, "account_get_id", json!({ "user_id": bob })).await.unwrap();
        assert_eq!(account["username"], account["user"]["username"]);
        assert_eq!(account["devices"], json!([{ "id": "device-bob" }]));
        let unknown: Result<_, Error> =
            nk(cx, Language::Lua, "account_get_id", json!({ "user_id": Uuid::from_u128(9) })).await;
        assert_eq!(
            refused(unknown).1,
            "failed to get account for user_id 00000000-0000-0000-0000-000000000009: account not found"
        );
    });
}

#[test]
fn modules_change_accounts_by_the_rules_of_their_language() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let ann = new_user(cx, "ann").await;
        let change = async |language, arguments: serde_json::Value| {
            let mut all = json!({ "user_id": ann });
            all.as_object_mut().unwrap().extend(arguments.as_object().unwrap().clone());
            nk(cx, language, "account_update_id", all).await
        };
        let shown = async || {
            let user = account::get(cx, ann).await.unwrap().unwrap().user.unwrap();
            (user.display_name, user.metadata)
        };
        let named = json!({ "display_name": "Ann", "metadata": { "b": [1], "a": {} } });
        change(Language::Lua, named).await.unwrap();
        assert_eq!(shown().await, ("Ann".into(), r#"{"a": {}, "b": [1]}"#.into()));
        let nothing = change(Language::Lua, json!({ "display_name": "" })).await;
        assert_eq!(refused(nothing).1, "error while trying to update user: No fields to update.");
        change(Language::JavaScript, json!({ "display_name": "" })).await.unwrap();
        assert_eq!(shown().await.0, "");
    });
}

#[test]
fn one_session_alone_is_kept_where_it_is_asked_for() {
    let Some(slices) = Slices::start(|config| config.session.single_session = true) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let ann = new_user(cx, "ann").await;
        let open = cx.sessions.sign_in(&cx.db, ann, "ann".into(), Default::default());
        assert!(cx.sessions.session(&open.await.unwrap().0.token).is_some());
        let cut = "SELECT count(*) FROM guildhall.revoked_user
                    WHERE issued_before = date_trunc('second', issued_before)
                      AND issued_before > now() - interval '5 s'";
        assert_eq!(count(cx, cut).await, 1);
    });
}
