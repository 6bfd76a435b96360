//! Exports and imports of accounts.

use guildhall_actors::{
    cx::Cx,
    resources::{
        account::{self, Changes},
        account_export::{self, AccountImport},
        channel_message::{self, Channel, Kind, Message},
        notification::{self, Draft},
        storage::{self, Access, Condition, Place, Write},
        wallet::{self, Update},
    },
};
use guildhall_core::Code;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    code, new_user,
    postgres::{Slices, sql},
};

/// An account with something of each kind.
async fn rich(cx: &Cx, name: &str, friend: Uuid) -> Uuid {
    let user = new_user(cx, name).await;
    let changes = Changes {
        display_name: Some("Ann".into()),
        metadata: Some(r#"{"level": 3}"#.into()),
        ..Changes::default()
    };
    account::update(cx, user, &changes).await.unwrap();
    let place = Place { collection: "saves".into(), key: "one".into(), owner: user };
    let object =
        Write { place, value: r#"{"n":1}"#.into(), condition: Condition::Any, read: 2, write: 0 };
    storage::write(cx, Access::Server, &[object]).await.unwrap();
    let changeset = [("gold".to_owned(), 5)].into();
    let update = Update { user, changeset, metadata: r#"{"why": "gift"}"#.into() };
    wallet::update(cx, &[update], true).await.unwrap();
    let draft = Draft {
        user,
        subject: "hello".into(),
        content: "{}".into(),
        code: 1,
        sender: Uuid::nil(),
        persistent: true,
    };
    notification::send(cx, vec![draft]).await.unwrap();
    let room = Channel::room("room");
    let message = Message::new(room, Kind::Chat, user, name.into(), r#"{"text": "hi"}"#.into());
    channel_message::store_all(&cx.db, &[message]).await.unwrap();
    let group = Uuid::new_v4();
    sql(
        &cx.db,
        &format!(
            "INSERT INTO user_edge (source_id, position, destination_id, state)
             VALUES ('{user}', 1, '{friend}', 0), ('{friend}', 1, '{user}', 0);
             INSERT INTO groups (id, creator_id, name, edge_count)
             VALUES ('{group}', '{user}', 'group', 1);
             INSERT INTO group_edge (source_id, position, destination_id, state)
             VALUES ('{group}', 1, '{user}', 0), ('{user}', 1, '{group}', 0);
             INSERT INTO leaderboard (id, sort_order, operator) VALUES ('board', 0, 0);
             INSERT INTO leaderboard_record (leaderboard_id, owner_id, username, score)
             VALUES ('board', '{user}', '{name}', 7)"
        ),
    )
    .await;
    user
}

#[test]
fn an_export_has_all_that_belongs_to_an_account() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let bob = new_user(cx, "bob").await;
        let ann = rich(cx, "ann", bob).await;
        let export = account_export::export(cx, ann).await.unwrap();
        let shown = serde_json::to_value(&export).unwrap();
        let at = |path: &str| shown.pointer(path).cloned().unwrap_or(Value::Null);
        assert_eq!(at("/account/user/display_name"), "Ann");
        assert_eq!(at("/account/wallet"), r#"{"gold": 5}"#);
        assert_eq!(at("/objects/0/value"), r#"{"n": 1}"#);
        assert_eq!(at("/objects/0/permission_read"), 2);
        assert_eq!(at("/friends"), json!([{ "user": { "id": bob }, "state": 0 }]));
        assert_eq!(at("/groups/0/name"), "group");
        assert_eq!(at("/messages/0/channel_id"), "2...room");
        assert_eq!(at("/leaderboard_records/0/score"), "7");
        assert_eq!(at("/notifications/0/subject"), "hello");
        assert_eq!(at("/wallet_ledgers/0/changeset"), r#"{"gold":5}"#);
        assert_eq!(at("/wallet_ledgers/0/metadata"), r#"{"why":"gift"}"#);

        let empty = account_export::export(cx, Uuid::nil()).await.unwrap();
        let shown = serde_json::to_value(&empty).unwrap();
        assert_eq!(shown.as_object().unwrap().keys().collect::<Vec<_>>(), ["account"]);
        let nobody = account_export::export(cx, Uuid::new_v4()).await;
        assert_eq!(code(nobody), Code::NotFound);
    });
}

#[test]
fn a_deleted_account_comes_back_from_its_export() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let bob = new_user(cx, "bob").await;
        let ann = rich(cx, "ann", bob).await;
        let before = account_export::export(cx, ann).await.unwrap();
        let text = serde_json::to_string(&before).unwrap();
        let data = AccountImport::parse(&text).unwrap();
        let taken = account_export::import(cx, Uuid::nil(), &data).await;
        assert_eq!(code(taken), Code::AlreadyExists);

        account::delete(cx, ann, false).await.unwrap();
        let account = account_export::import(cx, Uuid::nil(), &data).await.unwrap();
        assert_eq!(account.user.unwrap().id, ann.to_string());
        let after = account_export::export(cx, ann).await.unwrap();
        assert_eq!(after.account, before.account);
        assert_eq!(after.objects, before.objects);
        assert!(after.friends.is_empty() && after.wallet_ledgers.is_empty());

        // Under another id its username is still in use.
        let other = text.replace(&ann.to_string(), &Uuid::new_v4().to_string());
        let other = AccountImport::parse(&other).unwrap();
        let taken = account_export::import(cx, Uuid::nil(), &other).await;
        assert_eq!(taken.unwrap_err().message(), "Username already in use.");
    });
}

#[test]
fn an_import_replaces_what_another_account_has_or_leaves_it() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let bob = new_user(cx, "bob").await;
        let ann = rich(cx, "ann", bob).await;
        let place = Place { collection: "old".into(), key: "k".into(), owner: bob };
        let object =
            Write { place, value: "{}".into(), condition: Condition::Any, read: 1, write: 1 };
        storage::write(cx, Access::Server, &[object]).await.unwrap();
        let export = account_export::export(cx, ann).await.unwrap();
        let text = serde_json::to_string(&export).unwrap();

        // One object twice breaks the import, which then has done nothing.
        let mut twice: Value = serde_json::from_str(&text).unwrap();
        let object = twice["objects"][0].clone();
        twice["objects"].as_array_mut().unwrap().push(object);
        let twice = AccountImport::parse(&twice.to_string()).unwrap();
        assert_eq!(code(account_export::import(cx, bob, &twice).await), Code::Internal);
        assert_eq!(account_export::export(cx, bob).await.unwrap().objects[0].collection, "old");

        let data = AccountImport::parse(&text).unwrap();
        let account = account_export::import(cx, bob, &data).await.unwrap();
        let user = account.user.unwrap();
        assert_eq!((user.username.as_str(), user.display_name.as_str()), ("bob", ""));
        assert_eq!(
            (user.metadata.as_str(), account.wallet.as_str()),
            (r#"{"level": 3}"#, r#"{"gold": 5}"#)
        );
        let objects = account_export::export(cx, bob).await.unwrap().objects;
        assert_eq!((objects.len(), objects[0].collection.as_str()), (1, "saves"));
        assert_eq!(objects[0].version, export.objects[0].version);
        let nobody = account_export::import(cx, Uuid::new_v4(), &data).await;
        assert_eq!(code(nobody), Code::NotFound);
    });
}
