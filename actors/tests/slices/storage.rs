//! Storage objects.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use guildhall_actors::{
    cx::Cx,
    endpoint::Endpoint,
    host::Language,
    resources::storage::{
        self, Access, Condition, DeleteStorageObjects, ListStorageObjects, Place,
        ReadStorageObjects, Write, WriteStorageObjects,
    },
};
use guildhall_core::Code;
use guildhall_proto::api;
use serde_json::json;
use uuid::Uuid;

use super::{code, new_user, refused};
use crate::postgres::{Slices, count, nk, signed_in};

fn at(key: &str, owner: Uuid) -> Place {
    Place { collection: "saves".into(), key: key.into(), owner }
}

fn write_of(place: Place, value: &str, version: &str) -> Write {
    Write {
        place,
        value: value.into(),
        condition: Condition::of(Some(version.into())),
        read: 1,
        write: 1,
    }
}

#[test]
fn a_write_asks_for_its_version_and_for_the_right() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let ann = new_user(cx, "ann").await;
        let write = async |access, value: &str, version: &str, may_write| {
            let write = Write { write: may_write, ..write_of(at("a", ann), value, version) };
            storage::write(cx, access, &[write]).await.map(|acks| acks[0].version.clone())
        };
        let (own, server) = (Access::User(ann), Access::Server);
        let version =
            (Code::InvalidArgument, "Storage write rejected - version check failed.".to_owned());
        let right =
            (Code::InvalidArgument, "Storage write rejected - permission denied.".to_owned());

        assert_eq!(refused(write(own, "{}", "unknown", 1).await), version);
        let first = write(own, "{}", "*", 1).await.unwrap();
        assert_eq!(refused(write(own, "{}", "*", 1).await), version);
        assert_eq!(refused(write(own, "{}", "unknown", 1).await), version);
        let second = write(own, r#"{"n":2}"#, &first, 1).await.unwrap();
        assert_eq!(refused(write(own, "{}", &first, 1).await), version);
        assert_eq!(write(own, r#"{"n":2}"#, "", 0).await.unwrap(), second);
        assert_eq!(refused(write(own, "{}", "", 1).await), right);
        assert_eq!(refused(write(own, "{}", &second, 1).await), right);
        assert_eq!(refused(write(own, "{}", "unknown", 1).await), right);
        assert_eq!(write(server, "{}", &second, 0).await.unwrap(), first);
        assert!(write(server, r#"{"n":3}"#, "", 1).await.is_ok());
    });
}

#[test]
fn a_batch_is_written_as_a_whole_and_acknowledged_in_its_order() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let ann = new_user(cx, "ann").await;
        let keys: Vec<String> = (0..100).rev().map(|n| format!("k{n}")).collect();
        let mut writes: Vec<_> = keys.iter().map(|key| write_of(at(key, ann), "{}", "")).collect();
        // The same object again: the later one counts.
        writes.push(write_of(at("k7", ann), r#"{"n":7}"#, ""));
        let acks = storage::write(cx, Access::Server, &writes).await.unwrap();
        let acked: Vec<_> = acks.iter().map(|ack| ack.key.as_str()).collect();
        assert_eq!(acked[..100], keys);
        let read = storage::read(cx, Access::Server, &[at("k7", ann)]).await.unwrap();
        assert_eq!(read[0].value, r#"{"n": 7}"#);

        writes.push(write_of(at("new", ann), "{}", ""));
        writes.push(write_of(at("k3", ann), "{}", "*"));
        assert_eq!(code(storage::write(cx, Access::Server, &writes).await), Code::InvalidArgument);
        assert_eq!(count(cx, "SELECT count(*) FROM storage WHERE key = 'new'").await, 0);
        assert_eq!(count(cx, "SELECT count(*) FROM storage WHERE key LIKE 'k%'").await, 100);

        // Batches over the same objects in opposite orders do not deadlock.
        let forwards: Vec<_> = writes[..100].to_vec();
        let backwards: Vec<_> = forwards.iter().rev().cloned().collect();
        let both = (0..8).map(|n| if n % 2 == 0 { &forwards } else { &backwards });
        for done in join_all(both.map(|batch| storage::write(cx, Access::Server, batch))).await {
            assert_eq!(done.unwrap().len(), 100);
        }
    });
}

#[test]
fn objects_are_read_by_their_permission_in_the_order_asked_for() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let (ann, bob) = (new_user(cx, "ann").await, new_user(cx, "bob").await);
        for (key, read) in [("hidden", 0), ("own", 1), ("public", 2)] {
            let write = Write { read, ..write_of(at(key, ann), r#"{"b":1,"aa":[]}"#, "") };
            storage::write(cx, Access::Server, &[write]).await.unwrap();
        }
        let places = ["public", "own", "hidden", "own", "unknown"].map(|key| at(key, ann));
        let read = async |access| {
            let objects = storage::read(cx, access, &places).await.unwrap();
            let mut each = Vec::new();
            for place in &places[..3] {
                let one = storage::read(cx, access, std::slice::from_ref(place)).await.unwrap();
                each.extend(one.into_iter().map(|object| object.key));
            }
            let keys: Vec<_> = objects.into_iter().map(|object| object.key).collect();
            assert_eq!(keys, each, "one by one");
            keys
        };
        assert_eq!(read(Access::Server).await, ["public", "own", "hidden"]);
        assert_eq!(read(Access::User(ann)).await, ["public", "own"]);
        assert_eq!(read(Access::User(bob)).await, ["public"]);
        let object = storage::read(cx, Access::Server, &places[..1]).await.unwrap().remove(0);
        assert_eq!(object.value, r#"{"b": 1, "aa": []}"#);
        assert_eq!((object.permission_read, object.permission_write), (2, 1));
    });
}

#[test]
fn a_delete_is_refused_without_right_version_or_object() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let ann = new_user(cx, "ann").await;
        let write = Write { write: 0, ..write_of(at("a", ann), "{}", "") };
        let version = storage::write(cx, Access::Server, &[write]).await.unwrap().remove(0).version;
        let delete = async |access, key: &str, version: &str| {
            let condition = Condition::of(Some(version.into()));
            storage::delete(cx, access, &[(at(key, ann), condition)]).await
        };
        let own = Access::User(ann);
        for (access, key, version) in [
            (own, "a", ""),
            (own, "unknown", ""),
            (Access::Server, "a", "wrong"),
            (Access::Server, "unknown", "wrong"),
            (Access::Server, "a", "*"),
        ] {
            let refusal = code(delete(access, key, version).await);
            assert_eq!(refusal, Code::InvalidArgument, "{access:?} {key} {version}");
        }
        delete(Access::Server, "unknown", "").await.unwrap();
        let both = [(at("a", ann), Condition::Any), (at("b", ann), Condition::Version("v".into()))];
        assert_eq!(code(storage::delete(cx, Access::Server, &both).await), Code::InvalidArgument);
        delete(Access::Server, "a", &version).await.unwrap();
        assert_eq!(count(cx, "SELECT count(*) FROM storage").await, 0);
    });
}

#[test]
fn modules_write_and_read_objects_with_the_references_versions() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let ann = new_user(cx, "ann").await;
        let value = json!({ "n": 1, "list": [1, 2], "text": "ü" });
        let objects = json!({ "objects": [
            { "collection": "c", "key": "a", "user_id": ann, "value": value, "permission_read": 2 },
            { "collection": "c", "key": "b", "value": { "system": true } },
        ] });
        let acks = nk(cx, Language::JavaScript, "storage_write", objects).await.unwrap();
        assert_eq!(acks[0]["version"], "0d4534534ff2e03ce98aa445f563fea3");
        assert_eq!(acks[1]["version"], "467072e991429939a82c9c8b19778652");
        assert_eq!(acks[1]["user_id"], "00000000-0000-0000-0000-000000000000");

        let ids = json!({ "object_ids": [{ "collection": "c", "key": "a", "user_id": ann }] });
        let read = nk(cx, Language::Lua, "storage_read", ids.clone()).await.unwrap();
        assert_eq!((&read[0]["value"], &read[0]["permission_read"]), (&value, &json!(2)));

        let clash = json!({ "objects": [
            { "collection": "c", "key": "b", "value": {}, "version": "wrong" },
        ] });
        let failed = nk(cx, Language::Lua, "storage_write", clash).await;
        let sentence =
            "failed to write storage objects: Storage write rejected - version check failed.";
        assert_eq!(refused(failed).1, sentence);
        let stranger = json!({ "objects": [
            { "collection": "c", "key": "b", "value": {}, "user_id": Uuid::from_u128(9) },
        ] });
        let failed = refused(nk(cx, Language::Lua, "storage_write", stranger).await).1;
        assert!(failed.contains("storage_user_id_fkey"), "{failed}");

        let list = json!({ "objects": [{ "collection": "c", "key": "list", "value": [1] }] });
        assert!(nk(cx, Language::JavaScript, "storage_write", list.clone()).await.is_err());
        let acks = nk(cx, Language::Lua, "storage_write", list).await.unwrap();
        assert_eq!(acks[0]["version"], "37a6259cc0c1dae299a7866489dff0bd");
        let list = json!({ "object_ids": [{ "collection": "c", "key": "list" }] });
        let read_list = nk(cx, Language::Lua, "storage_read", list).await.unwrap();
        assert_eq!(read_list[0]["value"], json!({}));

        nk(cx, Language::Lua, "storage_delete", ids.clone()).await.unwrap();
        assert_eq!(nk(cx, Language::Lua, "storage_read", ids).await.unwrap(), json!([]));
        let partial = json!({ "object_ids": [{ "collection": "c" }] });
        let lenient = nk(cx, Language::JavaScript, "storage_read", partial.clone()).await;
        assert_eq!(lenient.unwrap(), json!([]));
        assert_eq!(
            code(nk(cx, Language::Lua, "storage_read", partial).await),
            Code::InvalidArgument
        );
    });
}

async fn put(cx: &Cx, key: &str, owner: Uuid, read: i16) {
    let write = Write { read, ..write_of(at(key, owner), "{}", "") };
    storage::write(cx, Access::Server, &[write]).await.unwrap();
}

/// The keys of a whole list, read in pages of `limit`.
async fn listed(cx: &Cx, access: Access, owner: Option<Uuid>, limit: i64) -> Vec<String> {
    let (mut keys, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = storage::list(cx, access, "saves", owner, limit, &cursor).await.unwrap();
        assert!(page.objects.len() <= usize::try_from(limit).unwrap());
        keys.extend(page.objects.into_iter().map(|object| object.key));
        cursor = page.cursor;
        if cursor.is_empty() {
            return keys;
        }
    }
}

#[test]
fn a_list_shows_what_may_be_read_by_permission_and_key() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let (ann, bob) = (new_user(cx, "ann").await, new_user(cx, "bob").await);
        for (key, owner, read) in [
            ("a2", ann, 2),
            ("b0", ann, 0),
            ("c1", ann, 1),
            ("d2", ann, 2),
            ("e2", bob, 2),
            ("f1", bob, 1),
            ("g0", Uuid::nil(), 0),
        ] {
            put(cx, key, owner, read).await;
        }
        for limit in [1, 2, 3, 100] {
            let list = async |access, owner| listed(cx, access, owner, limit).await;
            let (as_ann, server) = (Access::User(ann), Access::Server);
            assert_eq!(list(as_ann, None).await, ["a2", "d2", "e2"]);
            assert_eq!(list(as_ann, Some(ann)).await, ["c1", "a2", "d2"]);
            assert_eq!(list(as_ann, Some(bob)).await, ["e2"]);
            assert_eq!(list(server, Some(ann)).await, ["b0", "c1", "a2", "d2"]);
            assert_eq!(list(server, None).await, ["b0", "g0", "c1", "f1", "a2", "d2", "e2"]);
        }
    });
}

#[test]
fn pages_go_on_where_they_ended_while_objects_come_and_go() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let ann = new_user(cx, "ann").await;
        let stay: Vec<String> = (0..30).map(|n| format!("stay-{n:02}")).collect();
        for key in &stay {
            put(cx, key, ann, 1).await;
        }
        let (mut keys, mut cursor, mut round) = (Vec::new(), String::new(), 0);
        loop {
            let access = Access::User(ann);
            let page = storage::list(cx, access, "saves", Some(ann), 4, &cursor).await.unwrap();
            keys.extend(page.objects.iter().map(|object| object.key.clone()));
            cursor = page.cursor;
            if cursor.is_empty() {
                break;
            }
            // Before, behind and around the end of the page; and that end itself goes away.
            round += 1;
            let last = keys.last().unwrap().clone();
            for key in [format!("a-{round}"), format!("z-{round}"), format!("{last}-and")] {
                put(cx, &key, ann, 1).await;
            }
            if round % 2 == 0 {
                let gone = [(at(&last, ann), Condition::Any)];
                storage::delete(cx, Access::Server, &gone).await.unwrap();
            }
        }
        let seen: BTreeSet<_> = keys.iter().collect();
        assert_eq!(seen.len(), keys.len(), "no object twice");
        assert!(stay.iter().all(|key| seen.contains(key)), "none is left out");
        assert!(keys.is_sorted());
    });
}

#[test]
fn a_cursor_that_is_none_is_refused() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let ann = new_user(cx, "ann").await;
        for key in ["a", "b", "c"] {
            put(cx, key, ann, 1).await;
        }
        let list = async |access, cursor: &str| {
            storage::list(cx, access, "saves", Some(ann), 1, cursor).await
        };
        let own = Access::User(ann);
        let cursor = list(own, "").await.unwrap().cursor;
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let nil = Uuid::nil();
        for bad in [
            "rubbish".to_owned(),
            cursor[..cursor.len() - 4].to_owned(),
            encode(r#"["friends",{"read":1,"key":"a","owner":"00000000-0000-0000-0000-000000000000"}]"#),
            encode(r#"["storage",{"read":"1"}]"#),
            encode(&json!(["storage", { "read": 1, "key": "nul\0", "owner": nil }]).to_string()),
            encode(&json!(["storage", { "read": 99999, "key": "a", "owner": nil }]).to_string()),
            "A".repeat(10_000),
        ] {
            let refusal = (Code::InvalidArgument, "Malformed cursor was used.".to_owned());
            assert_eq!(refused(list(own, &bad).await), refusal, "{bad}");
        }
        // One that is made up opens nothing.
        let everything =
            encode(&json!(["storage", { "read": -1, "key": "", "owner": nil }]).to_string());
        let stranger = Access::User(new_user(cx, "bob").await);
        assert!(list(stranger, &everything).await.unwrap().objects.is_empty());
        assert_eq!(list(own, &cursor).await.unwrap().objects[0].key, "b");
    });
}

#[test]
fn clients_are_told_what_is_wrong_with_their_objects_in_the_references_order() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let ann = new_user(cx, "ann").await;
        let write = async |object: api::WriteStorageObject| {
            let request = api::WriteStorageObjectsRequest { objects: vec![object] };
            WriteStorageObjects::handle(cx, &mut signed_in(ann), request).await
        };
        let object = || api::WriteStorageObject {
            collection: "saves".into(),
            key: "a".into(),
            value: "{}".into(),
            ..Default::default()
        };
        let empty = "Invalid collection or key value supplied. They must be set.";
        let read = "Invalid Read permission supplied. It must be either 0, 1 or 2.";
        let may_write = "Invalid Write permission supplied. It must be either 0 or 1.";
        let value = "Value must be a JSON object.";
        let all_wrong = api::WriteStorageObject {
            key: String::new(),
            value: "[]".into(),
            permission_read: Some(3),
            permission_write: Some(-1),
            ..object()
        };
        for (wrong, sentence) in [
            (all_wrong.clone(), empty),
            (api::WriteStorageObject { value: String::new(), ..object() }, empty),
            (api::WriteStorageObject { key: "a".into(), ..all_wrong.clone() }, read),
            (
                api::WriteStorageObject {
                    key: "a".into(),
                    permission_read: None,
                    ..all_wrong.clone()
                },
                may_write,
            ),
            (api::WriteStorageObject { value: " [{}]".into(), ..object() }, value),
        ] {
            let refusal = (Code::InvalidArgument, sentence.to_owned());
            assert_eq!(refused(write(wrong).await), refusal);
        }
        // What the database cannot hold is a failure, as in the reference.
        for unfit in [
            api::WriteStorageObject { key: "k".repeat(129), ..object() },
            api::WriteStorageObject { value: r#"{"a":"\u0000"}"#.into(), ..object() },
            api::WriteStorageObject { collection: "nul\0".into(), ..object() },
        ] {
            let failure = (Code::Internal, "Error writing storage objects.".to_owned());
            assert_eq!(refused(write(unfit).await), failure);
        }
        let acks = write(object()).await.unwrap().acks;
        assert_eq!((acks.len(), acks[0].user_id.as_str()), (1, ann.to_string().as_str()));

        let read = async |user_id: &str| {
            let id = api::ReadStorageObjectId {
                collection: "saves".into(),
                key: "a".into(),
                user_id: user_id.into(),
            };
            let request = api::ReadStorageObjectsRequest { object_ids: vec![id] };
            ReadStorageObjects::handle(cx, &mut signed_in(ann), request).await
        };
        let invalid = "Invalid user ID - make sure user ID is a valid UUID.";
        for user in ["nobody", "00000000-0000-0000-0000-000000000000"] {
            assert_eq!(refused(read(user).await), (Code::InvalidArgument, invalid.to_owned()));
        }
        let found = read(&ann.to_string()).await.unwrap().objects;
        assert_eq!((found[0].permission_read, found[0].permission_write), (1, 1));

        let delete = async |key: &str, version: &str| {
            let id = api::DeleteStorageObjectId {
                collection: "saves".into(),
                key: key.into(),
                version: version.into(),
            };
            let request = api::DeleteStorageObjectsRequest { object_ids: vec![id] };
            DeleteStorageObjects::handle(cx, &mut signed_in(ann), request).await
        };
        assert_eq!(refused(delete("", "").await), (Code::InvalidArgument, empty.to_owned()));
        assert_eq!(code(delete("a", "*").await), Code::InvalidArgument);
        delete("a", &acks[0].version).await.unwrap();

        let list = async |limit, user_id: &str| {
            let request = api::ListStorageObjectsRequest {
                collection: "saves".into(),
                user_id: user_id.into(),
                limit,
                ..Default::default()
            };
            ListStorageObjects::handle(cx, &mut signed_in(ann), request).await
        };
        let limits = "Invalid limit - limit must be between 1 and 100.";
        for limit in [0, 101, -1] {
            let refusal = (Code::InvalidArgument, limits.to_owned());
            assert_eq!(refused(list(Some(limit), "nobody").await), refusal);
        }
        assert_eq!(refused(list(None, "nobody").await).1, invalid);
        assert!(list(None, "").await.unwrap().objects.is_empty());
    });
}

#[test]
fn of_many_writers_of_one_version_exactly_one_wins() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let ann = new_user(cx, "ann").await;
        let mut version = String::from("*");
        for round in 0..10 {
            let writes = (0..8).map(async |writer| {
                let value = format!(r#"{{"round":{round},"writer":{writer}}}"#);
                let writes = [write_of(at("contended", ann), &value, &version)];
                storage::write(cx, Access::User(ann), &writes).await
            });
            let outcomes = join_all(writes).await;
            let mut won = None;
            for outcome in outcomes {
                match outcome {
                    Ok(mut acks) => {
                        assert!(won.is_none(), "two writers won round {round}");
                        won = acks.pop();
                    }
                    Err(error) => assert_eq!(
                        error.message(),
                        "Storage write rejected - version check failed."
                    ),
                }
            }
            version = won.unwrap().version;
            let there = storage::read(cx, Access::Server, &[at("contended", ann)]).await.unwrap();
            assert_eq!(there[0].version, version);
        }
    });
}

#[test]
fn writes_at_once_are_gathered_and_each_has_its_own_outcome() {
    let Some(slices) = Slices::start(|config| config.batch.in_flight = 1) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let ann = new_user(cx, "ann").await;
        let may_not = Write { write: 0, ..write_of(at("locked", ann), "{}", "") };
        storage::write(cx, Access::Server, &[may_not]).await.unwrap();
        put(cx, "known", ann, 1).await;
        let known = storage::read(cx, Access::Server, &[at("known", ann)]).await.unwrap();
        let known = known[0].version.as_str();

        let stranger = Uuid::from_u128(9);
        let mut writes = Vec::new();
        for n in 0..40 {
            let fresh = |version: &str| {
                let key = format!("fresh-{version}-{n}");
                (write_of(at(&key, ann), r#"{"n":1}"#, version), Ok(()))
            };
            writes.extend([fresh(""), fresh("*")]);
        }
        let (version, right, failed) = (
            Err("Storage write rejected - version check failed."),
            Err("Storage write rejected - permission denied."),
            Err("Error writing storage objects."),
        );
        writes.extend([
            (write_of(at("locked", ann), "{}", ""), right),
            (write_of(at("locked", ann), "{}", "wrong"), right),
            (write_of(at("locked", ann), "{}", "*"), version),
            (write_of(at("absent", ann), "{}", "wrong"), version),
            (write_of(at("known", ann), r#"{"n":2}"#, known), Ok(())),
            (write_of(at("unfit", ann), r#"{"a":"\u0000"}"#, ""), failed),
            (write_of(at("unfit", ann), r#"{"a":"\u0000"}"#, "*"), failed),
            (write_of(at("of a stranger", stranger), "{}", ""), failed),
            (write_of(at(&"k".repeat(129), ann), "{}", ""), failed),
        ]);
        let outcomes = join_all(writes.iter().map(async |(write, _)| {
            storage::write(cx, Access::User(ann), std::slice::from_ref(write)).await
        }))
        .await;
        for ((write, wanted), outcome) in writes.iter().zip(outcomes) {
            let key = &write.place.key;
            match outcome {
                Ok(acks) => {
                    assert_eq!(*wanted, Ok(()), "{key}");
                    assert_eq!((&acks[0].key, acks[0].user_id.as_str()), (key, &*ann.to_string()));
                }
                Err(error) => assert_eq!(*wanted, Err(error.message()), "{key}"),
            }
        }
        assert_eq!(count(cx, "SELECT count(*) FROM storage WHERE value = '{\"n\": 1}'").await, 80);
        assert_eq!(count(cx, "SELECT count(*) FROM storage WHERE value = '{\"n\": 2}'").await, 1);
        assert_eq!(count(cx, "SELECT count(*) FROM storage").await, 82);
    });
}

#[test]
fn single_writes_and_batches_over_the_same_objects_do_not_deadlock() {
    let Some(slices) = Slices::start(|config| config.batch.in_flight = 3) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let ann = new_user(cx, "ann").await;
        let keys: Vec<String> = (0..20).map(|n| format!("k{n:02}")).collect();
        // Each writer counts up its own field of all objects, singly or in one transaction, in an
        // order of its own; versions tell who came between.
        let writer = async |number: usize| {
            let mut order: Vec<&String> = keys.iter().collect();
            if number.is_multiple_of(2) {
                order.reverse();
            }
            order.rotate_left(number * 3 % keys.len());
            for round in 0..5 {
                let value = format!(r#"{{"round":{round},"writer":{number}}}"#);
                let write = |key: &&String| write_of(at(key, ann), &value, "");
                let writes: Vec<Write> = order.iter().map(write).collect();
                if number.is_multiple_of(3) {
                    storage::write(cx, Access::User(ann), &writes).await.unwrap();
                } else {
                    let singly = writes.iter().map(async |write| {
                        storage::write(cx, Access::User(ann), std::slice::from_ref(write)).await
                    });
                    for outcome in join_all(singly).await {
                        outcome.unwrap();
                    }
                }
            }
        };
        join_all((0..12).map(writer)).await;
        assert_eq!(count(cx, "SELECT count(*) FROM storage").await, 20);
        let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
        assert_eq!(count(cx, deadlocks).await, 0);
    });
}

#[test]
fn many_versions_are_met_at_once_and_none_of_them_twice() {
    let Some(slices) = Slices::start(|config| config.batch.in_flight = 2) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let ann = new_user(cx, "ann").await;
        let keys: Vec<String> = (0..8).map(|n| format!("k{n}")).collect();
        for key in &keys {
            put(cx, key, ann, 1).await;
        }
        // Every writer adds one to every counter, again and again until its version is met.
        let add = async |key: &str| {
            loop {
                let there = storage::read(cx, Access::Server, &[at(key, ann)]).await.unwrap();
                let value: serde_json::Value = serde_json::from_str(&there[0].value).unwrap();
                let n = value["n"].as_i64().unwrap_or(0) + 1;
                let value = json!({ "n": n }).to_string();
                let writes = [write_of(at(key, ann), &value, &there[0].version)];
                match storage::write(cx, Access::User(ann), &writes).await {
                    Ok(_) => return,
                    Err(error) => assert_eq!(error.code(), Code::InvalidArgument, "{error}"),
                }
            }
        };
        let writers = (0..6).flat_map(|_| keys.iter().map(|key| add(key)));
        join_all(writers).await;
        let counted = "SELECT count(*) FROM storage WHERE value = '{\"n\": 6}'";
        assert_eq!(count(cx, counted).await, 8);
    });
}
