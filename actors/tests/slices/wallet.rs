//! Wallets.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use guildhall_actors::{
    cx::Cx,
    resources::{
        account,
        wallet::{self, Outcome, Place, Update, Wallet},
    },
};
use guildhall_core::{Code, Cursor as _};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use uuid::Uuid;

use crate::{
    code, new_user,
    postgres::{Slices, count},
    refused,
};

fn amounts(of: &[(&str, i64)]) -> Wallet {
    of.iter().map(|(currency, amount)| ((*currency).to_owned(), *amount)).collect()
}

fn change(user: Uuid, of: &[(&str, i64)]) -> Update {
    Update { user, changeset: amounts(of), metadata: "{}".into() }
}

async fn held(cx: &Cx, user: Uuid) -> Wallet {
    let account = account::get(cx, user).await.unwrap().unwrap();
    serde_json::from_str(&account.wallet).unwrap()
}

#[test]
fn wallets_change_together_or_not_at_all() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let (ann, bob) = (new_user(cx, "ann").await, new_user(cx, "bob").await);
        let first = [
            change(ann, &[("gold", 5)]),
            change(Uuid::new_v4(), &[("gold", 1)]),
            change(bob, &[("gold", 7), ("gem", 0)]),
            change(ann, &[("gold", -2)]),
        ];
        let outcome = |user, previous: &[(&str, i64)], updated: &[(&str, i64)]| Outcome {
            user,
            previous: amounts(previous),
            updated: amounts(updated),
        };
        assert_eq!(
            wallet::update(cx, &first, true).await.unwrap(),
            [
                outcome(ann, &[], &[("gold", 5)]),
                outcome(bob, &[], &[("gem", 0), ("gold", 7)]),
                outcome(ann, &[("gold", 5)], &[("gold", 3)]),
            ]
        );
        let second = [change(ann, &[("gold", 1)]), change(bob, &[("gold", -8)])];
        let sentence = "wallet update rejected negative value at path 'gold'".to_owned();
        let refusal = wallet::update(cx, &second, true).await;
        assert_eq!(refused(refusal), (Code::InvalidArgument, sentence));
        assert_eq!(held(cx, ann).await, amounts(&[("gold", 3)]));
        assert_eq!(count(cx, "SELECT count(*) FROM wallet_ledger").await, 3);
        wallet::update(cx, &second[..1], false).await.unwrap();
        assert_eq!(held(cx, ann).await, amounts(&[("gold", 4)]));
        assert_eq!(count(cx, "SELECT count(*) FROM wallet_ledger").await, 3);
    });
}

/// Many changes at once of the same users' wallets, among them some that are refused: what the
/// ledger adds up to is what the wallet holds.
#[test]
fn the_ledger_always_adds_up_to_the_wallet() {
    const CURRENCIES: [&str; 3] = ["gem", "gold", "silver"];
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let seed: u64 = rand::random();
        let mut users = Vec::new();
        for name in ["ann", "bob", "cid"] {
            users.push(new_user(cx, name).await);
        }
        let runs = join_all((0..8).map(|task| {
            let users = &users;
            async move {
                let mut random = StdRng::seed_from_u64(seed.wrapping_add(task));
                let (mut done, mut not_done) = (0, 0);
                for _ in 0..25 {
                    let updates: Vec<_> = (0..random.random_range(1..5))
                        .map(|_| {
                            let changes: Vec<_> = (0..random.random_range(1..3))
                                .map(|_| {
                                    let currency = *CURRENCIES.choose(&mut random).unwrap();
                                    (currency, random.random_range(-6..8))
                                })
                                .collect();
                            change(*users.choose(&mut random).unwrap(), &changes)
                        })
                        .collect();
                    match wallet::update(cx, &updates, true).await {
                        Ok(outcomes) => {
                            assert_eq!(outcomes.len(), updates.len());
                            done += 1;
                        }
                        Err(error) => {
                            assert_eq!(error.code(), Code::InvalidArgument, "seed {seed}: {error}");
                            not_done += 1;
                        }
                    }
                }
                (done, not_done)
            }
        }))
        .await;
        let (done, not_done) = runs.iter().fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        assert!(done > 0 && not_done > 0, "seed {seed}: {done} done, {not_done} not");
        for user in users {
            let mut sum: BTreeMap<String, i64> = BTreeMap::new();
            for item in wallet::ledger_of(&cx.db, user).await.unwrap() {
                for (currency, amount) in item.changeset {
                    *sum.entry(currency).or_default() += amount;
                }
            }
            let held = held(cx, user).await;
            assert_eq!(held, sum, "seed {seed}");
            assert!(held.values().all(|amount| *amount >= 0), "seed {seed}");
        }
    });
}

#[test]
fn the_ledger_shows_its_changes_page_by_page_the_latest_first() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let (ann, bob) = (new_user(cx, "ann").await, new_user(cx, "bob").await);
        for amount in 1..=5 {
            wallet::update(cx, &[change(ann, &[("gold", amount)])], true).await.unwrap();
        }
        let (mut shown, mut after) = (Vec::new(), None);
        loop {
            let (items, next) = wallet::list(cx, ann, 2, after).await.unwrap();
            shown.extend(items.iter().map(|item| item.changeset["gold"]));
            let Some(next) = next else { break };
            let text = next.encode();
            assert_eq!(Place::of_user(&text, bob), None);
            after = Place::of_user(&text, ann);
        }
        assert_eq!(shown, [5, 4, 3, 2, 1]);

        let (items, _) = wallet::list(cx, ann, 1, None).await.unwrap();
        let said = wallet::update_ledger(cx, items[0].id, r#"{"why": "gift"}"#).await.unwrap();
        assert_eq!(said.unwrap().metadata, r#"{"why": "gift"}"#);
        let said = wallet::update_ledger(cx, items[0].id, r#"{"n": 1}"#).await.unwrap();
        assert_eq!(said.unwrap().metadata, r#"{"n": 1, "why": "gift"}"#);
        assert!(wallet::update_ledger(cx, Uuid::new_v4(), "{}").await.unwrap().is_none());
        let bad = wallet::update_ledger(cx, items[0].id, "no JSON").await;
        assert_eq!(code(bad), Code::Internal);
    });
}
