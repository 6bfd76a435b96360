//! Friends.

use futures_util::future::join_all;
use guildhall_actors::{
    cx::Cx,
    endpoint::Endpoint,
    host::Language,
    resources::{
        account,
        friend::{
            self, AddFriends, BlockFriends, DeleteFriends, ListFriends, ListFriendsOfFriends,
            Provider,
        },
        notification,
    },
};
use guildhall_core::{Caller, Code, Result};
use guildhall_proto::{Empty, api};
use serde_json::json;
use uuid::Uuid;

use crate::{
    new_user,
    postgres::{Slices, count, nk, signed_in, sql},
    refused,
};

/// A caller whose token holds a username.
fn named(id: Uuid, username: &str) -> Caller {
    let mut caller = signed_in(id);
    caller.user.as_mut().unwrap().username = username.to_owned();
    caller
}

/// Everybody's edges as (other's username, state), in the order of the list.
async fn edges(cx: &Cx, user: Uuid) -> Vec<(String, i32)> {
    let request = api::ListFriendsRequest::default();
    let list = ListFriends::handle(cx, &mut signed_in(user), request).await.unwrap();
    assert_eq!(list.cursor, "");
    let names = list.friends.into_iter();
    names.map(|friend| (friend.user.unwrap().username, friend.state.unwrap())).collect()
}

/// Fails unless the edges are what the states allow, and counted right.
async fn check(cx: &Cx) {
    let miscounted = "
        SELECT count(*) FROM users u
         WHERE edge_count <> (SELECT count(*) FROM user_edge WHERE source_id = u.id)";
    assert_eq!(count(cx, miscounted).await, 0, "miscounted");
    let at_odds = "
        SELECT count(*) FROM user_edge a
          LEFT JOIN user_edge b ON b.source_id = a.destination_id AND b.destination_id = a.source_id
         WHERE (a.state, coalesce(b.state, -1)) NOT IN ((0, 0), (1, 2), (2, 1), (3, -1), (3, 3))";
    assert_eq!(count(cx, at_odds).await, 0, "edges at odds");
}

async fn told(cx: &Cx, user: Uuid) -> Vec<(i32, String, String)> {
    let page = notification::list(cx, user, 100, notification::Place::default()).await.unwrap();
    let all = page.notifications.into_iter();
    all.map(|it| (it.code, it.subject, it.sender_id)).collect()
}

#[test]
fn an_invitation_is_accepted_by_asking_back_and_both_are_told() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let (ann, bob) = (new_user(cx, "ann").await, new_user(cx, "bob").await);
        let add = async |caller: (Uuid, &str), usernames: &[&str], metadata: &str| {
            let request = api::AddFriendsRequest {
                usernames: usernames.iter().map(|name| (*name).to_owned()).collect(),
                metadata: metadata.into(),
                ..Default::default()
            };
            AddFriends::handle(cx, &mut named(caller.0, caller.1), request).await
        };
        for _ in 0..2 {
            add((ann, "ann"), &["bob", "bob", "nobody"], r#"{"a":1}"#).await.unwrap();
            assert_eq!(edges(cx, ann).await, [("bob".to_owned(), 1)]);
            assert_eq!(edges(cx, bob).await, [("ann".to_owned(), 2)]);
        }
        add((bob, "bob"), &["ann"], r#"{"b":2}"#).await.unwrap();
        assert_eq!(edges(cx, ann).await, [("bob".to_owned(), 0)]);
        assert_eq!(edges(cx, bob).await, [("ann".to_owned(), 0)]);
        let kept = async |user, other| {
            friend::status(cx, user, &[other]).await.unwrap()[0].metadata.clone()
        };
        assert_eq!(
            (kept(ann, bob).await, kept(bob, ann).await),
            (r#"{"a": 1}"#.into(), r#"{"b": 2}"#.into())
        );
        friend::delete(cx, ann, "ann", &[bob, Uuid::new_v4()]).await.unwrap();
        assert!(edges(cx, ann).await.is_empty() && edges(cx, bob).await.is_empty());
        let to_bob = [
            (-2, "ann wants to add you as a friend".into(), ann.to_string()),
            (-9, "ann removed you as a friend".into(), ann.to_string()),
        ];
        assert_eq!(told(cx, bob).await, to_bob);
        let to_ann = [(-3, "bob accepted your friend request".into(), bob.to_string())];
        assert_eq!(told(cx, ann).await, to_ann);
        check(cx).await;

        let nobody = "No valid ID or username was provided.";
        let invalid = |sentence: &str| (Code::InvalidArgument, sentence.to_owned());
        assert_eq!(refused(add((ann, "ann"), &["nobody"], "").await), invalid(nobody));
        let own = invalid("Cannot add self as friend.");
        assert_eq!(refused(add((ann, "ann"), &["bob", "ann"], "").await), own);
        assert_eq!(refused(add((ann, "older name"), &["ann"], "").await), own, "by an old token");
        let bad = add((ann, "ann"), &["bob"], "nonsense").await;
        assert_eq!(refused(bad), (Code::Internal, "Error while trying to add friends.".into()));
        assert!(edges(cx, ann).await.is_empty());
        assert_eq!(refused(add((Uuid::new_v4(), "ghost"), &["bob"], "").await).0, Code::Internal);
    });
}

#[test]
fn ids_may_be_written_in_any_form_and_self_is_known_in_each() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let (ann, bob) = (new_user(cx, "ann").await, new_user(cx, "bob").await);
        let refuse = async |id: &str| {
            let ids = vec![bob.to_string(), id.to_owned()];
            let request = api::AddFriendsRequest { ids: ids.clone(), ..Default::default() };
            let add = AddFriends::handle(cx, &mut named(ann, "ann"), request).await;
            let request = api::DeleteFriendsRequest { ids: ids.clone(), usernames: vec![] };
            let delete = DeleteFriends::handle(cx, &mut named(ann, "ann"), request).await;
            let request = api::BlockFriendsRequest { ids, usernames: vec![] };
            let block = BlockFriends::handle(cx, &mut named(ann, "ann"), request).await;
            [refused(add), refused(delete), refused(block)].map(|(code, sentence)| {
                assert_eq!(code, Code::InvalidArgument);
                sentence
            })
        };
        let own = ["Cannot add self as friend.", "Cannot delete self.", "Cannot block self."];
        for form in [ann.to_string(), ann.to_string().to_uppercase(), ann.simple().to_string()] {
            assert_eq!(refuse(&form).await, own, "{form}");
        }
        for bad in ["bad", "", "00000000-0000-0000-0000-000000000000"] {
            assert_eq!(refuse(bad).await, [(); 3].map(|()| format!("Invalid user ID '{bad}'.")));
        }
        assert!(edges(cx, ann).await.is_empty());
    });
}

#[test]
fn a_block_shows_to_the_blocker_alone_and_nobody_is_told() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let (ann, bob) = (new_user(cx, "ann").await, new_user(cx, "bob").await);
        let (blocked_bob, blocked_ann) = ([("bob".to_owned(), 3)], [("ann".to_owned(), 3)]);
        friend::add(cx, ann, "ann", &[bob], "").await.unwrap();
        friend::block(cx, ann, &[bob, Uuid::new_v4()]).await.unwrap();
        friend::block(cx, ann, &[bob]).await.unwrap();
        check(cx).await;
        assert_eq!(edges(cx, ann).await, blocked_bob);
        assert!(edges(cx, bob).await.is_empty());
        let before = told(cx, bob).await;

        // Neither side gets anywhere, and the blocked one cannot tell.
        friend::add(cx, bob, "bob", &[ann], "").await.unwrap();
        friend::add(cx, ann, "ann", &[bob], "").await.unwrap();
        friend::delete(cx, bob, "bob", &[ann]).await.unwrap();
        assert_eq!(edges(cx, ann).await, blocked_bob);
        assert!(edges(cx, bob).await.is_empty());

        friend::block(cx, bob, &[ann]).await.unwrap();
        friend::delete(cx, ann, "ann", &[bob]).await.unwrap();
        assert!(edges(cx, ann).await.is_empty());
        assert_eq!(edges(cx, bob).await, blocked_ann);
        check(cx).await;
        assert_eq!((told(cx, ann).await, told(cx, bob).await), (vec![], before));
    });
}

/// A generator of numbers that look random, the same on each run.
struct Dice(u64);

impl Dice {
    /// A number below `sides`.
    fn roll(&mut self, sides: u64) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % sides).unwrap()
    }
}

#[test]
fn edges_stay_consistent_and_counted_while_everybody_changes_them_at_once() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        // Two users who only meet each other, then a crowd whose calls touch several at a time.
        for (users, turns) in [(2, 60), (5, 40)] {
            let mut ids = Vec::new();
            for user in 0..users {
                let id = new_user(cx, &format!("user{users}-{user}")).await;
                sql(&cx.db, &format!("UPDATE users SET facebook_id = '{id}' WHERE id = '{id}'"))
                    .await;
                ids.push(id);
            }
            let ids = &ids;
            join_all((0..8).map(async |task| {
                let mut dice = Dice(task + 100 * users);
                for turn in 0..turns {
                    // What is committed is consistent at any time, not only in the end.
                    if turn % 10 == 9 {
                        check(cx).await;
                    }
                    let me = dice.roll(users);
                    let others: Vec<_> = (0..=dice.roll(users))
                        .map(|_| ids[dice.roll(users)])
                        .filter(|id| *id != ids[me])
                        .collect();
                    let me = ids[me];
                    match dice.roll(8) {
                        0..4 => friend::add(cx, me, "name", &others, "").await.unwrap(),
                        4 | 5 => friend::delete(cx, me, "name", &others).await.unwrap(),
                        6 => friend::block(cx, me, &others).await.unwrap(),
                        _ => {
                            let others: Vec<_> = others.iter().map(Uuid::to_string).collect();
                            let reset = dice.roll(2) == 0;
                            friend::import(cx, me, "name", Provider::Facebook, &others, reset)
                                .await
                                .unwrap();
                        }
                    }
                }
            }))
            .await;
            check(cx).await;
            assert!(count(cx, "SELECT count(*) FROM notification").await > 0, "nothing happened");
        }
    });
}

#[test]
fn a_page_goes_on_behind_the_last_whatever_came_in_between() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let ann = new_user(cx, "ann").await;
        let page = async |limit: i32, state: Option<i32>, cursor: &str| {
            let request =
                api::ListFriendsRequest { limit: Some(limit), state, cursor: cursor.into() };
            let list = ListFriends::handle(cx, &mut signed_in(ann), request).await?;
            let names = list.friends.into_iter().map(|friend| friend.user.unwrap().username);
            Ok::<_, guildhall_core::Error>((names.collect::<Vec<_>>(), list.cursor))
        };
        let mut invite = Vec::new();
        for user in 0..7 {
            invite.push(new_user(cx, &format!("user{user}")).await);
        }
        // One call gives each its own place.
        friend::add(cx, ann, "ann", &invite[..5], "").await.unwrap();
        friend::add(cx, invite[4], "user4", &[ann], "").await.unwrap();

        let (first, cursor) = page(2, None, "").await.unwrap();
        assert_eq!(first, ["user4", "user0"], "friends first, then by age");
        friend::add(cx, ann, "ann", &invite[5..6], "").await.unwrap();
        friend::delete(cx, ann, "ann", &invite[..1]).await.unwrap();
        friend::add(cx, invite[6], "user6", &[ann], "").await.unwrap();
        let (second, cursor) = page(2, None, &cursor).await.unwrap();
        assert_eq!(second, ["user1", "user2"]);
        let (third, cursor) = page(3, None, &cursor).await.unwrap();
        assert_eq!(
            (third, cursor),
            (vec!["user3".into(), "user5".into(), "user6".into()], String::new())
        );

        let (invited, cursor) = page(3, Some(1), "").await.unwrap();
        assert_eq!(invited, ["user1", "user2", "user3"]);
        assert_eq!(page(3, Some(1), &cursor).await.unwrap(), (vec!["user5".into()], String::new()));
        let invalid = (Code::InvalidArgument, "Cursor is invalid.".to_owned());
        assert_eq!(refused(page(3, Some(2), &cursor).await), invalid);
        assert_eq!(refused(page(3, None, "garbage").await), invalid);
    });
}

#[test]
fn pages_of_friends_of_friends_give_each_way_to_know_somebody_once() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let mut ids = Vec::new();
        for user in 0..6 {
            ids.push(new_user(cx, &format!("user{user}")).await);
        }
        let befriend = async |a: usize, b: usize| {
            friend::add(cx, ids[a], "a", &[ids[b]], "").await.unwrap();
            friend::add(cx, ids[b], "b", &[ids[a]], "").await.unwrap();
        };
        // User 0 knows 1 and 2, who know each other; both know 3 and 4. User 5 is only invited.
        for (a, b) in [(0, 1), (0, 2), (1, 2), (1, 3), (1, 4), (2, 3), (2, 4)] {
            befriend(a, b).await;
        }
        friend::add(cx, ids[1], "a", &[ids[5]], "").await.unwrap();
        let mut wanted = Vec::new();
        for referrer in [1, 2] {
            wanted.extend([3, 4].map(|user| (ids[referrer].to_string(), ids[user].to_string())));
        }
        wanted.sort();
        for limit in [1, 3, 4, 100] {
            let (mut seen, mut cursor) = (Vec::new(), String::new());
            loop {
                let request = api::ListFriendsOfFriendsRequest { limit: Some(limit), cursor };
                let page: Result<_> =
                    ListFriendsOfFriends::handle(cx, &mut signed_in(ids[0]), request).await;
                let page = page.unwrap();
                let known = page.friends_of_friends.into_iter();
                seen.extend(known.map(|it| (it.referrer, it.user.unwrap().id)));
                if page.cursor.is_empty() {
                    break;
                }
                cursor = page.cursor;
            }
            assert_eq!(seen, wanted, "{limit} a page");
        }
    });
}

#[test]
fn an_import_befriends_who_is_known_and_leaves_blocks() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let mut ids = Vec::new();
        for (at, name) in ["ann", "bob", "cyd", "dan", "eve", "old"].into_iter().enumerate() {
            let id = new_user(cx, name).await;
            sql(&cx.db, &format!("UPDATE users SET steam_id = '{at}' WHERE id = '{id}'")).await;
            ids.push(id);
        }
        let [ann, bob, cyd, dan, eve, old] = ids[..] else { panic!("{ids:?}") };
        friend::add(cx, ann, "ann", &[bob, old], "").await.unwrap();
        friend::add(cx, cyd, "cyd", &[ann], r#"{"k":1}"#).await.unwrap();
        friend::block(cx, ann, &[dan]).await.unwrap();
        friend::block(cx, eve, &[ann]).await.unwrap();

        let everybody = ["0", "1", "2", "3", "4", "unknown"].map(str::to_owned);
        let import = async |ids: &[String], reset| {
            friend::import(cx, ann, "ann", Provider::Steam, ids, reset).await.unwrap();
            check(cx).await;
        };
        for _ in 0..2 {
            import(&everybody, false).await;
            let names = |list: &[(&str, i32)]| -> Vec<_> {
                list.iter().map(|(name, state)| ((*name).to_owned(), *state)).collect()
            };
            let wanted = [("bob", 0), ("cyd", 0), ("old", 1), ("dan", 3)];
            assert_eq!(edges(cx, ann).await, names(&wanted));
            assert_eq!(edges(cx, eve).await, names(&[("ann", 3)]));
            assert_eq!(edges(cx, dan).await, names(&[]));
        }
        let kept = &friend::status(cx, cyd, &[ann]).await.unwrap()[0].metadata;
        assert_eq!(kept, r#"{"k": 1, "provider": "steam"}"#);
        let joined = (-6, "Your friend has just joined the game".to_owned(), ann.to_string());
        assert_eq!(told(cx, cyd).await, [joined]);
        assert_eq!(told(cx, dan).await, []);

        import(&everybody[..2], true).await;
        assert_eq!(edges(cx, ann).await, [("bob".to_owned(), 0), ("dan".to_owned(), 3)]);
        assert!(edges(cx, old).await.is_empty() && edges(cx, cyd).await.is_empty());
        import(&[], true).await;
        assert_eq!(edges(cx, ann).await, [("dan".to_owned(), 3)]);
    });
}

#[test]
fn the_friends_of_a_deleted_account_are_counted_anew() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let (ann, bob) = (new_user(cx, "ann").await, new_user(cx, "bob").await);
        let cyd = new_user(cx, "cyd").await;
        friend::add(cx, ann, "ann", &[bob, cyd], "").await.unwrap();
        friend::add(cx, bob, "bob", &[ann, cyd], "").await.unwrap();
        friend::block(cx, cyd, &[ann]).await.unwrap();
        account::delete(cx, ann, false).await.unwrap();
        check(cx).await;
        assert_eq!(edges(cx, bob).await, [("cyd".to_owned(), 1)]);
        assert_eq!(edges(cx, cyd).await, [("bob".to_owned(), 2)]);
    });
}

#[test]
fn modules_are_refused_by_the_rules_of_their_language() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let (ann, bob) = (new_user(cx, "ann").await, new_user(cx, "bob").await);
        let add = async |language, arguments: serde_json::Value| {
            let mut all = json!({ "user_id": ann, "username": "ann" });
            all.as_object_mut().unwrap().extend(arguments.as_object().unwrap().clone());
            nk(cx, language, "friends_add", all).await
        };
        let (lua, javascript, native) = (Language::Lua, Language::JavaScript, Language::Native);
        let nobody = "no valid ID or username was provided";
        assert_eq!(refused(add(lua, json!({ "user_ids": [] })).await).1, "invalid user ids list");
        assert_eq!(
            refused(add(lua, json!({ "user_ids": [bob], "usernames": [] })).await).1,
            "invalid username list"
        );
        assert_eq!(refused(add(javascript, json!({ "user_ids": [] })).await).1, nobody);
        assert_eq!(refused(add(javascript, json!({})).await).1, nobody);
        add(lua, json!({})).await.unwrap();
        add(native, json!({ "user_ids": [], "usernames": [] })).await.unwrap();
        let metadata = "expects metadata to be an object";
        assert_eq!(refused(add(javascript, json!({ "user_ids": [bob] })).await).1, metadata);
        assert_eq!(
            refused(add(lua, json!({ "user_ids": [bob], "metadata": 7 })).await).1,
            metadata
        );
        assert!(edges(cx, ann).await.is_empty());
        add(lua, json!({ "user_ids": [bob], "metadata": [1, 2] })).await.unwrap();
        let status = json!({ "user_id": ann, "user_ids": [bob] });
        let shown = nk(cx, lua, "users_get_friend_status", status).await.unwrap();
        assert_eq!((&shown[0]["state"], &shown[0]["metadata"]), (&json!(1), &json!({})));
    });
}

#[test]
fn asking_nobody_does_nothing() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let ann = new_user(cx, "ann").await;
        let caller = || signed_in(ann);
        let done: [Result<Empty>; 3] = [
            AddFriends::handle(cx, &mut caller(), Default::default()).await,
            DeleteFriends::handle(cx, &mut caller(), Default::default()).await,
            BlockFriends::handle(cx, &mut caller(), Default::default()).await,
        ];
        assert!(done.iter().all(Result::is_ok));
        // Only deleting is content with names that nobody has.
        let usernames = vec!["nobody".to_owned()];
        let request = api::DeleteFriendsRequest { usernames: usernames.clone(), ids: vec![] };
        DeleteFriends::handle(cx, &mut caller(), request).await.unwrap();
        let request = api::BlockFriendsRequest { usernames, ids: vec![] };
        let sentence = "No valid ID or username was provided.";
        let blocked = BlockFriends::handle(cx, &mut caller(), request).await;
        assert_eq!(refused(blocked), (Code::InvalidArgument, sentence.to_owned()));
    });
}
