//! Notifications.

use std::time::Duration;

use guildhall_actors::{
    endpoint::Endpoint,
    resources::notification::{
        self, Changes, DeleteNotifications, Draft, ListNotifications, Notice, Place,
    },
};
use guildhall_core::Code;
use guildhall_proto::api::{DeleteNotificationsRequest, ListNotificationsRequest};
use uuid::Uuid;

use crate::{
    new_user,
    postgres::{Slices, count, signed_in},
    refused,
};

fn draft(user: Uuid, subject: &str) -> Draft {
    Draft {
        user,
        subject: subject.into(),
        content: "{}".into(),
        code: 1,
        sender: Uuid::nil(),
        persistent: true,
    }
}

fn notice(subject: &str) -> Notice {
    Notice { subject: subject.into(), content: "{}".into(), code: 1 }
}

#[test]
fn a_kept_cursor_gives_what_came_after_it() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let ann = new_user(cx, "ann").await;
        let page = async |limit: Option<i32>, cursor: &str| {
            let request = ListNotificationsRequest { limit, cacheable_cursor: cursor.into() };
            let answer = ListNotifications::handle(cx, &mut signed_in(ann), request).await?;
            let subjects = answer.notifications.into_iter().map(|it| it.subject).collect();
            Ok::<(Vec<String>, String), guildhall_core::Error>((subjects, answer.cacheable_cursor))
        };
        let (none, beginning) = page(None, "").await.unwrap();
        assert!(none.is_empty());
        assert_eq!(page(None, &beginning).await.unwrap(), (vec![], beginning.clone()));

        for subject in ["one", "two", "three"] {
            notification::send(cx, vec![draft(ann, subject)]).await.unwrap();
        }
        let passing = Draft { persistent: false, ..draft(ann, "passing") };
        notification::send(cx, vec![passing]).await.unwrap();
        let (first, kept) = page(Some(2), &beginning).await.unwrap();
        assert_eq!(first, ["one", "two"]);
        let (second, kept) = page(Some(2), &kept).await.unwrap();
        assert_eq!(second, ["three"]);
        assert_eq!(page(Some(2), &kept).await.unwrap(), (vec![], kept.clone()));
        notification::send(cx, vec![draft(ann, "four")]).await.unwrap();
        assert_eq!(page(None, &kept).await.unwrap().0, ["four"]);
        assert_eq!(page(None, "").await.unwrap().0, ["one"], "the default limit is 1");

        let internal = (Code::Internal, "Error retrieving notifications.".to_owned());
        assert_eq!(refused(page(None, "garbage").await), internal);
        let sentence = "Invalid limit - limit must be between 1 and 100.";
        for limit in [0, 101] {
            let invalid = (Code::InvalidArgument, sentence.to_owned());
            assert_eq!(refused(page(Some(limit), "").await), invalid);
        }
    });
}

#[test]
fn notifications_of_others_are_not_deleted() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let (ann, bob) = (new_user(cx, "ann").await, new_user(cx, "bob").await);
        notification::send(cx, vec![draft(ann, "a"), draft(bob, "b")]).await.unwrap();
        let of = async |user| notification::list(cx, user, 10, Place::default()).await.unwrap();
        let ids = of(ann).await.notifications.into_iter().map(|it| it.id).collect();
        let request = DeleteNotificationsRequest { ids };
        DeleteNotifications::handle(cx, &mut signed_in(bob), request.clone()).await.unwrap();
        assert_eq!((of(ann).await.notifications.len(), of(bob).await.notifications.len()), (1, 1));
        DeleteNotifications::handle(cx, &mut signed_in(ann), request).await.unwrap();
        assert_eq!((of(ann).await.notifications.len(), of(bob).await.notifications.len()), (0, 1));
        let request = DeleteNotificationsRequest { ids: vec!["x".into()] };
        let bad = DeleteNotifications::handle(cx, &mut signed_in(ann), request).await;
        let sentence = "Error while deleting notifications.";
        assert_eq!(refused(bad), (Code::Internal, sentence.to_owned()));
    });
}

#[test]
fn a_notification_to_an_unknown_user_keeps_none_of_the_others() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let ann = new_user(cx, "ann").await;
        let drafts = vec![draft(ann, "a"), draft(Uuid::new_v4(), "nobody")];
        let sentence = "Error sending notifications.";
        let sent = notification::send(cx, drafts).await;
        assert!(sent.as_ref().is_err_and(notification::is_for_nobody));
        assert_eq!(refused(sent), (Code::Internal, sentence.to_owned()));
        let mut unreadable = draft(ann, "a");
        unreadable.content = "no JSON".to_owned();
        let sent = notification::send(cx, vec![unreadable]).await;
        assert!(sent.is_err_and(|error| !notification::is_for_nobody(&error)));
        assert_eq!(count(cx, "SELECT count(*) FROM notification").await, 0);
    });
}

#[test]
fn the_last_change_of_a_notification_counts_field_by_field() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let ann = new_user(cx, "ann").await;
        notification::send(cx, vec![draft(ann, "a")]).await.unwrap();
        let page = notification::list(cx, ann, 10, Place::default()).await.unwrap();
        let id = Uuid::try_parse(&page.notifications[0].id).unwrap();
        let changes = vec![
            (id, Changes { subject: Some("b".into()), ..Changes::default() }),
            (Uuid::new_v4(), Changes { subject: Some("nothing".into()), ..Changes::default() }),
            (id, Changes { content: Some(r#"{"n":1}"#.into()), ..Changes::default() }),
            (id, Changes { subject: Some("c".into()), ..Changes::default() }),
        ];
        notification::update(cx, changes).await.unwrap();
        let found = notification::get(cx, Some(ann), &[id]).await.unwrap();
        let (user, found) = &found[0];
        assert_eq!(
            (*user, found.subject.as_str(), found.content.as_str()),
            (ann, "c", "{\"n\": 1}")
        );
        assert_eq!(found.sender_id, "");
    });
}

#[test]
fn a_notification_to_all_reaches_every_user_once() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        for name in ["ann", "bob", "cid"] {
            new_user(cx, name).await;
        }
        notification::send_to_all(cx, notice("passing"), false);
        notification::send_to_all(cx, notice("kept"), true);
        // It is written in the background; all pages are there once the last one is.
        while count(cx, "SELECT count(*) FROM notification").await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let kept = "SELECT count(DISTINCT user_id) FROM notification WHERE subject = 'kept'";
        assert_eq!(count(cx, kept).await, 3);
        assert_eq!(count(cx, "SELECT count(*) FROM notification").await, 3);
    });
}
