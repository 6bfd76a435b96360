//! Storage indexes.

use futures_util::future::join_all;
use guildhall_actors::{
    cx::Cx,
    resources::{
        account,
        storage::{self, Access, Condition, Place, Write},
        storage_index::{self, Definition},
    },
};
use guildhall_core::Code;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{new_user, refused};
use crate::postgres::{Slices, sql};

fn index(name: &str) -> Definition {
    Definition {
        name: name.into(),
        collection: "saves".into(),
        key: String::new(),
        fields: vec!["n".into(), "who".into()],
        sortable_fields: vec!["n".into()],
        max_entries: 1000,
        index_only: false,
    }
}

fn write_of(key: &str, owner: Uuid, value: &Value, read: i16) -> Write {
    Write {
        place: Place { collection: "saves".into(), key: key.into(), owner },
        value: value.to_string(),
        condition: Condition::Any,
        read,
        write: 1,
    }
}

async fn put(cx: &Cx, key: &str, owner: Uuid, value: Value) {
    let writes = [write_of(key, owner, &value, 1)];
    storage::write(cx, Access::Server, &writes).await.unwrap();
}

/// The keys that an index finds, read in pages of `limit`.
async fn found(cx: &Cx, index: &str, query: &str, order: &[&str], limit: usize) -> Vec<String> {
    let order: Vec<String> = order.iter().map(|text| (*text).to_owned()).collect();
    let (mut keys, mut cursor) = (Vec::new(), String::new());
    loop {
        let access = Access::Server;
        let page = storage_index::list(cx, access, index, query, limit, &order, &cursor).await;
        let page = page.unwrap();
        keys.extend(page.objects.into_iter().map(|object| object.key));
        match page.cursor {
            Some(next) => cursor = next,
            None => return keys,
        }
    }
}

#[test]
fn an_index_holds_what_was_there_and_what_is_written() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let ann = new_user(cx, "ann").await;
        put(cx, "a", ann, json!({ "n": 1, "who": "ann" })).await;
        put(cx, "b", ann, json!({ "n": 5, "other": true })).await;
        put(cx, "none", ann, json!({ "other": true })).await;
        let of_key = Definition { key: "c".into(), ..index("of_key") };
        cx.storage_index.declare(vec![index("all"), of_key]).await.unwrap();
        assert_eq!(found(cx, "all", "", &[], 1).await, ["a", "b"]);
        assert_eq!(found(cx, "all", "value.other:T", &[], 1).await, [""; 0]);

        put(cx, "c", ann, json!({ "n": 3 })).await;
        put(cx, "c", Uuid::nil(), json!({ "n": 4 })).await;
        for limit in [1, 2, 100] {
            assert_eq!(found(cx, "all", "*", &["value.n"], limit).await, ["a", "c", "c", "b"]);
            assert_eq!(found(cx, "of_key", "+value.n:>=4", &[], limit).await, ["c"]);
        }
        put(cx, "c", ann, json!({ "n": 30 })).await;
        assert_eq!(found(cx, "all", "value.n:30", &[], 10).await, ["c"]);
        assert_eq!(found(cx, "all", "value.n:3", &[], 10).await, [""; 0]);
        put(cx, "c", ann, json!({ "nothing": "indexed" })).await;
        assert_eq!(found(cx, "all", "value.n:30", &[], 10).await, [""; 0]);
        let gone = write_of("b", ann, &json!({}), 1).place;
        storage::delete(cx, Access::Server, &[(gone, Condition::Any)]).await.unwrap();
        assert_eq!(found(cx, "all", "*", &["-value.n"], 10).await, ["c", "a"]);

        account::delete(cx, ann, false).await.unwrap();
        assert_eq!(found(cx, "all", "*", &[], 10).await, ["c"]);
    });
}

#[test]
fn a_caller_sees_what_it_may_read() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let (ann, bob) = (new_user(cx, "ann").await, new_user(cx, "bob").await);
        let only = Definition { index_only: true, ..index("only") };
        cx.storage_index.declare(vec![index("all"), only]).await.unwrap();
        let value = json!({ "n": 1, "secret": "kept out of the index" });
        for (key, read) in [("hidden", 0), ("own", 1), ("public", 2)] {
            let writes = [write_of(key, ann, &value, read)];
            storage::write(cx, Access::User(ann), &writes).await.unwrap();
        }
        for index in ["all", "only"] {
            let list = async |access| {
                let page = storage_index::list(cx, access, index, "value.n:1", 10, &[], "").await;
                let objects = page.unwrap().objects;
                objects.into_iter().map(|object| (object.key, object.value)).collect::<Vec<_>>()
            };
            let keys = async |access| {
                list(access).await.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
            };
            assert_eq!(keys(Access::User(bob)).await, ["public"], "{index}");
            assert_eq!(keys(Access::User(ann)).await, ["own", "public"], "{index}");
            assert_eq!(keys(Access::Server).await, ["hidden", "own", "public"], "{index}");
            let has_secret = list(Access::Server).await[0].1.contains("secret");
            assert_eq!(has_secret, index == "all");
        }
    });
}

#[test]
fn an_index_mends_what_statements_changed_past_it() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let ann = new_user(cx, "ann").await;
        cx.storage_index.declare(vec![index("all")]).await.unwrap();
        for key in ["a", "b"] {
            put(cx, key, ann, json!({ "n": 1 })).await;
        }
        sql(&cx.db, "UPDATE storage SET value = '{\"n\": 2}', version = 'new' WHERE key = 'a'")
            .await;
        sql(&cx.db, "DELETE FROM storage WHERE key = 'b'").await;
        assert_eq!(found(cx, "all", "value.n:1", &[], 10).await, ["a"]);
        assert_eq!(found(cx, "all", "value.n:1", &[], 10).await, [""; 0]);
        assert_eq!(found(cx, "all", "value.n:2", &[], 10).await, ["a"]);
    });
}

#[test]
fn cursors_belong_to_their_list() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let ann = new_user(cx, "ann").await;
        cx.storage_index.declare(vec![index("all")]).await.unwrap();
        for key in ["a", "b", "c"] {
            put(cx, key, ann, json!({ "n": 1 })).await;
        }
        let list = async |query: &str, limit, order: &[&str], cursor: &str| {
            let order: Vec<String> = order.iter().map(|text| (*text).to_owned()).collect();
            storage_index::list(cx, Access::Server, "all", query, limit, &order, cursor).await
        };
        let cursor = list("*", 1, &[], "").await.unwrap().cursor.unwrap();
        assert_eq!(list("", 1, &[], &cursor).await.unwrap().objects[0].key, "b");
        for (query, limit, order, cursor, sentence) in [
            ("value.n:1", 1, &[][..], cursor.as_str(), "invalid cursor: query mismatch"),
            ("*", 2, &[], &cursor, "invalid cursor: limit mismatch"),
            ("*", 1, &["value.n"], &cursor, "invalid cursor: order mismatch"),
            ("*", 1, &[], "rubbish", "invalid cursor"),
            ("+", 1, &[], "", "syntax error"),
        ] {
            let refusal = (Code::InvalidArgument, sentence.to_owned());
            assert_eq!(refused(list(query, limit, order, cursor).await), refusal);
        }
        let unknown = storage_index::list(cx, Access::Server, "x", "*", 1, &[], "").await;
        assert_eq!(refused(unknown), (Code::NotFound, "index \"x\" not found".to_owned()));
    });
}

#[test]
fn after_writes_at_once_the_index_has_what_the_database_has() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let ann = new_user(cx, "ann").await;
        let only = Definition { index_only: true, ..index("only") };
        cx.storage_index.declare(vec![only]).await.unwrap();
        let writer = async |seed: u64| {
            let mut random = StdRng::seed_from_u64(seed);
            for _ in 0..20 {
                let mut writes: Vec<Write> = (0..random.random_range(1..4))
                    .map(|_| {
                        let key = format!("k{}", random.random_range(0..4));
                        write_of(&key, ann, &json!({ "n": random.random_range(0..1000) }), 1)
                    })
                    .collect();
                if random.random_range(0..5) == 0 {
                    let place = writes.remove(0).place;
                    let deletes = [(place, Condition::Any)];
                    storage::delete(cx, Access::Server, &deletes).await.unwrap();
                } else {
                    storage::write(cx, Access::Server, &writes).await.unwrap();
                }
            }
        };
        join_all((0..8).map(writer)).await;
        let page = storage_index::list(cx, Access::Server, "only", "*", 100, &[], "").await;
        let mut indexed: Vec<(String, Value)> = page
            .unwrap()
            .objects
            .into_iter()
            .map(|object| (object.key, serde_json::from_str(&object.value).unwrap()))
            .collect();
        indexed.sort_by(|a, b| a.0.cmp(&b.0));
        let stored = storage::list(cx, Access::Server, "saves", Some(ann), 100, "").await.unwrap();
        let stored: Vec<(String, Value)> = stored
            .objects
            .into_iter()
            .map(|object| (object.key, serde_json::from_str(&object.value).unwrap()))
            .collect();
        assert_eq!(indexed, stored);
    });
}
