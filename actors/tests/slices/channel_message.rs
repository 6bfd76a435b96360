//! Channel messages.

use guildhall_actors::{
    cx::Cx,
    endpoint::Endpoint,
    resources::channel_message::{
        self, Channel, ChannelKind, Kind, ListChannelMessages, MESSAGE_NOT_FOUND, Message,
    },
};
use guildhall_core::{Code, Result};
use guildhall_proto::api::{ChannelMessageList, ListChannelMessagesRequest};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use uuid::Uuid;

use crate::{
    code, new_user,
    postgres::{Slices, signed_in, sql},
    refused,
};

fn said(channel: &Channel, text: &str) -> Message {
    let content = format!("{{\"text\": \"{text}\"}}");
    Message::new(channel.clone(), Kind::Chat, Uuid::nil(), String::new(), content)
}

async fn page(
    cx: &Cx,
    reader: Uuid,
    channel: &Channel,
    limit: i32,
    forward: bool,
    cursor: &str,
) -> Result<ChannelMessageList> {
    let request = ListChannelMessagesRequest {
        channel_id: channel.to_string(),
        limit: Some(limit),
        forward: Some(forward),
        cursor: cursor.into(),
    };
    ListChannelMessages::handle(cx, &mut signed_in(reader), request).await
}

fn ids(page: &ChannelMessageList) -> Vec<String> {
    page.messages.iter().map(|message| message.message_id.clone()).collect()
}

/// Walks a history with pages of random size, forth and back, and compares each page with what a
/// list in memory says.
#[test]
fn cursors_lead_through_a_history_both_ways() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let seed = rand::random();
        let mut random = StdRng::seed_from_u64(seed);
        let channel = Channel::room("room");
        let mut messages: Vec<_> = (0..23).map(|n| said(&channel, &n.to_string())).collect();
        for message in &mut messages {
            // Some at the same instant: the id decides.
            message.create_time =
                chrono::DateTime::from_timestamp(random.random_range(1..9), 0).unwrap();
        }
        channel_message::store_all(&cx.db, &messages).await.unwrap();
        messages.sort_by_key(|message| (message.create_time, message.id));
        for forward in [true, false] {
            let mut order: Vec<_> = messages.iter().map(|it| it.id.to_string()).collect();
            if !forward {
                order.reverse();
            }
            // The page to be shown stands at order[from..to].
            let mut limit = random.random_range(1..8_usize);
            let (mut from, mut to, mut cursor) = (0, limit, String::new());
            for step in 0..60 {
                let room = Uuid::nil();
                let shown = page(cx, room, &channel, limit as i32, forward, &cursor).await.unwrap();
                assert_eq!(ids(&shown), order[from..to], "seed {seed} step {step}");
                assert_eq!(shown.next_cursor.is_empty(), to == order.len(), "seed {seed}");
                assert_eq!(shown.prev_cursor.is_empty(), from == 0, "seed {seed}");
                limit = random.random_range(1..8);
                let on = from == 0 || random.random();
                (from, to, cursor) = match on && to < order.len() {
                    true => (to, (to + limit).min(order.len()), shown.next_cursor),
                    false => (from.saturating_sub(limit), from, shown.prev_cursor),
                };
            }
        }
    });
}

#[test]
fn a_kept_cursor_gives_what_was_said_since() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let channel = Channel::room("room");
        let list =
            async |cursor: &str| page(cx, Uuid::nil(), &channel, 10, true, cursor).await.unwrap();
        assert_eq!(list("").await, ChannelMessageList::default());
        channel_message::store_all(&cx.db, &[said(&channel, "one")]).await.unwrap();
        let first = list("").await;
        assert_eq!((first.next_cursor.as_str(), first.prev_cursor.as_str()), ("", ""));
        let none = list(&first.cacheable_cursor).await;
        assert!(none.messages.is_empty() && none.cacheable_cursor == first.cacheable_cursor);
        let two = said(&channel, "two");
        channel_message::store_all(&cx.db, std::slice::from_ref(&two)).await.unwrap();
        let since = list(&none.cacheable_cursor).await;
        assert_eq!(ids(&since), [two.id.to_string()]);
        let message = &since.messages[0];
        assert_eq!((message.content.as_str(), message.code), ("{\"text\": \"two\"}", Some(0)));
        assert_eq!((message.room_name.as_str(), message.persistent), ("room", Some(true)));
        let back = page(cx, Uuid::nil(), &channel, 10, false, &first.cacheable_cursor).await;
        let sentence = "Cursor is invalid or expired.".to_owned();
        assert_eq!(refused(back), (Code::InvalidArgument, sentence));
    });
}

#[test]
fn who_may_read_a_channel() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let (ann, bob) = (new_user(cx, "ann").await, new_user(cx, "bob").await);
        let cid = new_user(cx, "cid").await;
        let group = Uuid::from_u128(7);
        sql(
            &cx.db,
            &format!(
                "INSERT INTO groups (id, creator_id, name, edge_count)
             VALUES ('{group}', '{ann}', 'group', 1);
             INSERT INTO group_edge (source_id, position, destination_id, state)
             VALUES ('{group}', 1, '{ann}', 2), ('{group}', 2, '{bob}', 3);
             INSERT INTO user_edge (source_id, position, destination_id, state)
             VALUES ('{bob}', 1, '{cid}', 3)"
            ),
        )
        .await;
        let reads = async |user, channel: &Channel| page(cx, user, channel, 1, true, "").await;
        let refusal = |sentence: &str| (Code::InvalidArgument, sentence.to_owned());
        assert!(reads(cid, &Channel::room("room")).await.is_ok());
        let between = Channel::direct(ann, bob);
        assert!(reads(ann, &between).await.is_ok() && reads(bob, &between).await.is_ok());
        assert_eq!(refused(reads(cid, &between).await), refusal("Channel not found."));
        assert!(reads(ann, &Channel::group(group)).await.is_ok());
        let no_member = reads(bob, &Channel::group(group)).await;
        assert_eq!(refused(no_member), refusal("Group not found."));

        let built = async |user, target: String, kind| {
            channel_message::build(cx, user, &target, kind).await
        };
        let target = bob.to_string();
        assert_eq!(built(ann, target.clone(), ChannelKind::Direct).await.unwrap(), between);
        let blocked = built(cid, target, ChannelKind::Direct).await;
        assert_eq!(refused(blocked), refusal("User ID not found: Invalid channel target"));
        let of_group = built(bob, group.to_string(), ChannelKind::Group).await;
        assert_eq!(refused(of_group), refusal("Group not found: Invalid channel target"));
        for (target, is_one) in [("x".repeat(64), true), ("x".repeat(65), false)] {
            assert_eq!(built(ann, target, ChannelKind::Room).await.is_ok(), is_one);
        }
    });
}

#[test]
fn only_its_sender_changes_or_removes_a_message() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let (ann, bob) = (new_user(cx, "ann").await, new_user(cx, "bob").await);
        let room = Channel::room("room");
        let first = Message { sender: ann, username: "ann".into(), ..said(&room, "first") };
        channel_message::send(cx, first.clone(), true).await.unwrap();
        let passing = Message { sender: ann, ..said(&room, "passing") };
        channel_message::send(cx, passing, false).await.unwrap();

        let change = |sender| Message { id: first.id, sender, ..said(&room, "second") };
        let (none, not_found) =
            (channel_message::update(cx, change(bob), true).await, MESSAGE_NOT_FOUND);
        assert_eq!(refused(none), (not_found.code, not_found.message.to_string()));
        let changed = channel_message::update(cx, change(ann), true).await.unwrap();
        assert_eq!(changed.create_time, first.create_time);
        let shown = page(cx, bob, &room, 10, true, "").await.unwrap();
        assert_eq!(shown.messages.len(), 1);
        assert_eq!(shown.messages[0].content, "{\"text\": \"second\"}");
        assert_eq!(channel_message::sent_by(&cx.db, ann).await.unwrap().len(), 1);

        assert_eq!(code(channel_message::remove(cx, change(bob), true).await), Code::NotFound);
        channel_message::remove(cx, change(ann), false).await.unwrap();
        assert_eq!(page(cx, bob, &room, 10, true, "").await.unwrap().messages.len(), 1);
        channel_message::remove(cx, change(ann), true).await.unwrap();
        assert!(page(cx, bob, &room, 10, true, "").await.unwrap().messages.is_empty());

        let stranger = Message { sender: Uuid::new_v4(), ..said(&room, "who") };
        let sentence = "error persisting channel message".to_owned();
        let sent = channel_message::send(cx, stranger, true).await;
        assert_eq!(refused(sent), (Code::Internal, sentence));
    });
}
