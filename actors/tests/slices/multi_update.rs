//! Updates of several kinds at once.

use futures_util::future::join_all;
use guildhall_actors::resources::{
    account::{self, Changes},
    multi_update::{self, Updates},
    storage::{Condition, Place, Write},
    wallet::Update,
};
use guildhall_core::Code;
use uuid::Uuid;

use crate::{
    code, new_user,
    postgres::{Slices, count},
};

fn write(owner: Uuid, key: &str, condition: Condition) -> Write {
    let place = Place { collection: "c".into(), key: key.into(), owner };
    Write { place, value: "{}".into(), condition, read: 1, write: 1 }
}

fn named(name: &str) -> Changes {
    Changes { display_name: Some(name.into()), ..Changes::default() }
}

fn coins(user: Uuid, amount: i64) -> Update {
    let changeset = [("coin".to_owned(), amount)].into();
    Update { user, changeset, metadata: "{}".into() }
}

#[test]
fn a_failure_of_any_part_undoes_the_others() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let (ann, bob) = (new_user(cx, "ann").await, new_user(cx, "bob").await);
        let good = || Updates {
            accounts: vec![(ann, named("Ann"))],
            writes: vec![write(ann, "k", Condition::Any)],
            deletes: vec![(write(ann, "gone", Condition::Any).place, Condition::Any)],
            wallets: vec![coins(bob, 5)],
            ledger: true,
        };
        let taken = Changes { username: Some("bob".into()), ..Changes::default() };
        let broken = [
            (Code::AlreadyExists, Updates { accounts: vec![(ann, taken)], ..good() }),
            (
                Code::InvalidArgument,
                Updates { writes: vec![write(ann, "k", Condition::Version("v".into()))], ..good() },
            ),
            (
                Code::InvalidArgument,
                Updates {
                    deletes: vec![(
                        write(ann, "gone", Condition::Any).place,
                        Condition::Version("v".into()),
                    )],
                    ..good()
                },
            ),
            (Code::InvalidArgument, Updates { wallets: vec![coins(bob, -1)], ..good() }),
        ];
        let changed = "SELECT (SELECT count(*) FROM users WHERE display_name = 'Ann')
                            + (SELECT count(*) FROM storage)
                            + (SELECT count(*) FROM wallet_ledger)
                            + (SELECT count(*) FROM users WHERE wallet <> '{}')";
        for (wanted, updates) in broken {
            assert_eq!(code(multi_update::update(cx, &updates).await), wanted);
            assert_eq!(count(cx, changed).await, 0);
        }
        let (acks, outcomes) = multi_update::update(cx, &good()).await.unwrap();
        assert_eq!((acks.len(), outcomes.len()), (1, 1));
        assert_eq!(count(cx, changed).await, 4);
    });
}

#[test]
fn updates_of_the_same_users_at_once_all_succeed() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let (ann, bob) = (new_user(cx, "ann").await, new_user(cx, "bob").await);
        let all = (0..24).map(async |n: i64| {
            // Half of them name the two users the other way round.
            let (one, two) = if n % 2 == 0 { (ann, bob) } else { (bob, ann) };
            let updates = Updates {
                accounts: vec![(one, named(&n.to_string()))],
                writes: vec![write(two, "k", Condition::Any), write(one, "k", Condition::Any)],
                wallets: vec![coins(two, 1), coins(one, 1)],
                ledger: true,
                ..Updates::default()
            };
            multi_update::update(cx, &updates).await.map(drop)
        });
        for done in join_all(all).await {
            done.unwrap();
        }
        for user in [ann, bob] {
            let account = account::get(cx, user).await.unwrap().unwrap();
            assert_eq!(account.wallet, r#"{"coin": 24}"#);
        }
        assert_eq!(count(cx, "SELECT count(*) FROM wallet_ledger").await, 48);
    });
}
