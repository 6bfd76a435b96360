//! Groups.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicUsize, Ordering},
};

use futures_util::future::join_all;
use guildhall_actors::{
    cx::Cx,
    database::Sql,
    endpoint::Endpoint,
    resources::{
        account,
        group::{
            self, AddGroupUsers, Changes, CreateGroup, DeleteGroup, Failed, JoinGroup, LeaveGroup,
            ListGroupUsers, ListGroups, ListUserGroups, NewGroup, Refusal, UpdateGroup,
            members::{self, Verb},
        },
        notification::{self, Place},
    },
};
use guildhall_core::{Caller, Code, Result};
use guildhall_proto::api::{
    AddGroupUsersRequest, CreateGroupRequest, DeleteGroupRequest, JoinGroupRequest,
    LeaveGroupRequest, ListGroupUsersRequest, ListGroupsRequest, ListUserGroupsRequest,
    UpdateGroupRequest,
};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use uuid::Uuid;

use crate::{
    new_user,
    postgres::{Slices, count, signed_in, sql},
    refused,
};

async fn new_users(cx: &Cx, number: usize) -> Vec<Uuid> {
    let mut users = Vec::new();
    for at in 0..number {
        users.push(new_user(cx, &format!("user{at}")).await);
    }
    users
}

async fn new_group(cx: &Cx, superadmin: Uuid, open: bool, max_count: i32) -> Uuid {
    named_group(cx, superadmin, &Uuid::new_v4().to_string(), open, max_count).await
}

async fn named_group(cx: &Cx, superadmin: Uuid, name: &str, open: bool, max_count: i32) -> Uuid {
    let new = NewGroup {
        superadmin,
        creator: superadmin,
        name: name.to_owned(),
        description: String::new(),
        avatar_url: String::new(),
        lang_tag: String::new(),
        metadata: None,
        open,
        max_count: Some(max_count),
    };
    Uuid::parse_str(&group::create(cx, &new).await.unwrap().id).unwrap()
}

/// Why something was refused; `None` if it was not.
#[track_caller]
fn refusal(done: Result<(), Failed>) -> Option<Refusal> {
    match done {
        Ok(()) => None,
        Err(Failed::Refused(refusal)) => Some(refusal),
        Err(Failed::Broken(error)) => panic!("{error}"),
    }
}

/// The states of a group's users, as it holds them.
async fn states(cx: &Cx, group: Uuid) -> BTreeMap<Uuid, i16> {
    let rows = cx
        .db
        .query("SELECT destination_id, state FROM group_edge WHERE source_id = $1", &[&group])
        .await
        .unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// What must be so whatever was done.
async fn check_invariants(cx: &Cx) {
    let wrong = [
        (
            "a count is not that of the members",
            "
            SELECT count(*) FROM groups g WHERE edge_count <> (
                SELECT count(*) FROM group_edge e WHERE e.source_id = g.id AND e.state < 3)",
        ),
        (
            "more members than there may be",
            "SELECT count(*) FROM groups WHERE edge_count > max_count",
        ),
        (
            "a group without a superadmin",
            "
            SELECT count(*) FROM groups g WHERE NOT EXISTS (
                SELECT 1 FROM group_edge e WHERE e.source_id = g.id AND e.state = 0)",
        ),
        (
            "an edge that stands once",
            "
            SELECT count(*) FROM group_edge a WHERE a.state <> 4 AND NOT EXISTS (
                SELECT 1 FROM group_edge b WHERE b.source_id = a.destination_id
                   AND b.destination_id = a.source_id AND b.state = a.state
                   AND b.position = a.position)",
        ),
        (
            "a ban that stands at the user",
            "SELECT count(*) FROM group_edge e JOIN users u ON u.id = e.source_id WHERE state = 4",
        ),
        (
            "an edge of no group",
            "
            SELECT count(*) FROM group_edge e WHERE NOT EXISTS (
                SELECT 1 FROM groups g WHERE g.id IN (e.source_id, e.destination_id))",
        ),
        (
            "an edge of no user",
            "
            SELECT count(*) FROM group_edge e WHERE NOT EXISTS (
                SELECT 1 FROM users u WHERE u.id IN (e.source_id, e.destination_id))",
        ),
    ];
    for (what, statement) in wrong {
        assert_eq!(count(cx, statement).await, 0, "{what}");
    }
}

#[test]
fn of_many_who_join_at_once_as_many_get_in_as_there_are_seats() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let users = new_users(cx, 12).await;
        for seats in [1, 3] {
            let group = new_group(cx, users[0], true, 1 + seats).await;
            let joined = join_all(
                users[1..]
                    .iter()
                    .map(async |user| refusal(members::join(cx, group, *user, "user").await)),
            )
            .await;
            assert_eq!(joined.iter().filter(|done| done.is_none()).count(), seats as usize);
            assert!(joined.iter().flatten().all(|refusal| *refusal == Refusal::Full));
            assert_eq!(states(cx, group).await.len(), 1 + seats as usize);
        }
        check_invariants(cx).await;
    });
}

#[test]
fn who_joins_twice_at_once_is_in_once() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let users = new_users(cx, 2).await;
        for open in [true, false] {
            let group = new_group(cx, users[0], open, 100).await;
            let joined = join_all(
                (0..6).map(async |_| refusal(members::join(cx, group, users[1], "user1").await)),
            )
            .await;
            assert!(joined.iter().all(Option::is_none), "{joined:?}");
        }
        check_invariants(cx).await;
        assert_eq!(count(cx, "SELECT count(*) FROM message").await, 1);
        assert_eq!(count(cx, "SELECT count(*) FROM notification WHERE code = -5").await, 1);
    });
}

/// Something that is done to a group.
#[derive(Clone, Debug)]
enum Act {
    Join(Uuid),
    Leave(Uuid),
    Change(Verb, Option<Uuid>, Vec<Uuid>),
}

impl Act {
    fn random(rng: &mut StdRng, users: &[Uuid]) -> Self {
        let mut user = || *users.choose(rng).unwrap();
        let (one, caller) = (user(), user());
        let several: Vec<_> = (0..3).map(|_| user()).collect();
        let several = several[..rng.random_range(1..=3)].to_vec();
        let verbs = [Verb::Add, Verb::Ban, Verb::Kick, Verb::Promote, Verb::Demote];
        match rng.random_range(0..12) {
            0 | 1 => Self::Join(one),
            2 => Self::Leave(one),
            3 | 4 => Self::Change(Verb::Promote, None, several),
            _ => {
                let caller = rng.random_bool(0.8).then_some(caller);
                Self::Change(*verbs.choose(rng).unwrap(), caller, several)
            }
        }
    }

    async fn carry_out(&self, cx: &Cx, group: Uuid) -> Option<Refusal> {
        refusal(match self {
            Self::Join(user) => members::join(cx, group, *user, "user").await,
            Self::Leave(user) => members::leave(cx, group, *user, "user").await,
            Self::Change(verb, caller, users) => {
                members::change(cx, *verb, *caller, group, users).await
            }
        })
    }
}

/// A group as the reference's rules have it, one user after the other.
#[derive(Clone, Debug)]
struct Model {
    states: BTreeMap<Uuid, i16>,
    open: bool,
    max_count: usize,
    gone: bool,
}

impl Model {
    fn members(&self) -> usize {
        self.states.values().filter(|state| **state < 3).count()
    }

    fn has_superadmin_besides(&self, user: Uuid) -> bool {
        self.states.iter().any(|(other, state)| *other != user && *state == 0)
    }

    fn act(&mut self, act: &Act) -> Option<Refusal> {
        match act {
            Act::Join(_) if self.gone => Some(Refusal::NotFound),
            Act::Join(_) if self.members() >= self.max_count => Some(Refusal::Full),
            Act::Join(user) => {
                self.states.entry(*user).or_insert(if self.open { 2 } else { 3 });
                None
            }
            Act::Leave(user) => {
                match self.states.get(user) {
                    None | Some(4) => {}
                    Some(0) if !self.has_superadmin_besides(*user) => {
                        if self.members() > 1 {
                            return Some(Refusal::LastSuperadmin);
                        }
                        self.states.clear();
                        self.gone = true;
                    }
                    Some(_) => drop(self.states.remove(user)),
                }
                None
            }
            Act::Change(verb, caller, users) => {
                let before = self.clone();
                let refusal = self.change(*verb, *caller, users);
                if refusal.is_some() {
                    *self = before;
                }
                refusal
            }
        }
    }

    fn change(&mut self, verb: Verb, caller: Option<Uuid>, users: &[Uuid]) -> Option<Refusal> {
        let mine = match caller {
            None => 0,
            Some(caller) => match self.states.get(&caller) {
                Some(mine @ 0..=1) => *mine,
                _ => return Some(Refusal::Denied),
            },
        };
        if self.gone {
            return (verb != Verb::Ban).then_some(Refusal::NotFound);
        }
        for user in users.iter().filter(|user| Some(**user) != caller) {
            let led = self.has_superadmin_besides(*user);
            let state = self.states.get(user).copied();
            match verb {
                Verb::Add if matches!(state, None | Some(3)) => {
                    if self.members() == self.max_count {
                        return Some(Refusal::Full);
                    }
                    self.states.insert(*user, 2);
                }
                Verb::Kick | Verb::Ban => {
                    let Some(state) = state else { continue };
                    if state > 1 || mine == 0 && (state == 1 || led) {
                        self.states.remove(user);
                        if verb == Verb::Ban {
                            self.states.insert(*user, 4);
                        }
                    }
                }
                Verb::Promote => match state {
                    Some(state @ 1..=2) if state > mine => {
                        self.states.insert(*user, state - 1);
                    }
                    _ => {}
                },
                Verb::Demote => match state {
                    Some(state @ 0..=1) if state >= mine && (mine > 0 || led) => {
                        self.states.insert(*user, state + 1);
                    }
                    _ => {}
                },
                Verb::Add => {}
            }
        }
        None
    }
}

#[test]
fn whatever_is_done_a_group_is_as_the_rules_say() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let users = new_users(cx, 5).await;
        for seed in 0..16 {
            let rng = &mut StdRng::seed_from_u64(seed);
            let (open, max_count) = (rng.random_bool(0.5), rng.random_range(2..=5));
            let group = new_group(cx, users[0], open, max_count).await;
            let mut model = Model {
                states: BTreeMap::from([(users[0], 0)]),
                open,
                max_count: max_count as usize,
                gone: false,
            };
            for step in 0..40 {
                let act = Act::random(rng, &users);
                let refused = act.carry_out(cx, group).await;
                assert_eq!(refused, model.act(&act), "seed {seed}, step {step}: {act:?}");
                let found = states(cx, group).await;
                assert_eq!(found, model.states, "seed {seed}, step {step}: {act:?}");
            }
            check_invariants(cx).await;
        }
    });
}

#[test]
fn changes_at_once_leave_counts_right_and_superadmins_in_their_groups() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let users = new_users(cx, 6).await;
        for seed in 0..4 {
            let rng = &mut StdRng::seed_from_u64(seed);
            let mut groups = Vec::new();
            for open in [true, false] {
                let group = new_group(cx, users[0], open, 4).await;
                let helper = [users[1]];
                for verb in [Verb::Add, Verb::Promote, Verb::Promote] {
                    members::change(cx, verb, None, group, &helper).await.unwrap();
                }
                groups.push(group);
            }
            let acts: Vec<_> = (0..120)
                .map(|_| (*groups.choose(rng).unwrap(), Act::random(rng, &users)))
                .collect();
            let next = AtomicUsize::new(0);
            join_all((0..8).map(async |_| {
                while let Some((group, act)) = acts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    act.carry_out(cx, *group).await;
                }
            }))
            .await;
            check_invariants(cx).await;
        }
    });
}

#[test]
fn accounts_that_are_deleted_while_they_join_leave_nothing() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let ann = new_user(cx, "ann").await;
        for round in 0..6 {
            let group = new_group(cx, ann, round % 2 == 0, 100).await;
            let mut users = Vec::new();
            for at in 0..4 {
                users.push(new_user(cx, &format!("user{round}-{at}")).await);
            }
            join_all(users.iter().enumerate().map(async |(at, user)| {
                let other = users[(at + 1) % users.len()];
                let join = async || refusal(members::join(cx, group, *user, "user").await);
                let add =
                    async || refusal(members::change(cx, Verb::Add, None, group, &[other]).await);
                let ban =
                    async || refusal(members::change(cx, Verb::Ban, None, group, &[other]).await);
                let delete = async || account::delete(cx, *user, false).await.unwrap();
                tokio::join!(join(), add(), ban(), delete());
            }))
            .await;
            // A ban that came first went with the account; none comes after it.
            check_invariants(cx).await;
            assert_eq!(states(cx, group).await.keys().copied().collect::<Vec<_>>(), [ann]);
        }
    });
}

#[test]
fn a_group_speaks_in_its_channel_and_to_those_concerned() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let users = new_users(cx, 4).await;
        let [ann, bob, cyd, dan] = users[..] else { unreachable!() };
        let as_user = |id: Uuid, name: &str| {
            let mut caller = signed_in(id);
            caller.user.as_mut().unwrap().username = name.to_owned();
            caller
        };
        let group = named_group(cx, ann, "the group", false, 100).await;
        let group_id = group.to_string();
        let request = JoinGroupRequest { group_id: group_id.clone() };
        JoinGroup::handle(cx, &mut as_user(bob, "bob's name"), request.clone()).await.unwrap();
        let add = AddGroupUsersRequest {
            group_id: group_id.clone(),
            user_ids: vec![bob.to_string(), cyd.to_string()],
        };
        AddGroupUsers::handle(cx, &mut as_user(ann, ""), add.clone()).await.unwrap();
        // Once more, which is nothing new.
        AddGroupUsers::handle(cx, &mut as_user(ann, ""), add).await.unwrap();
        for (verb, user) in [
            (Verb::Promote, bob),
            (Verb::Demote, bob),
            (Verb::Kick, bob),
            (Verb::Ban, cyd),
            (Verb::Kick, cyd),
        ] {
            members::change(cx, verb, None, group, &[user]).await.unwrap();
        }
        group::update(cx, None, group, &Changes { open: Some(true), ..Changes::default() })
            .await
            .unwrap();
        JoinGroup::handle(cx, &mut as_user(dan, "dan's name"), request.clone()).await.unwrap();
        let leave = LeaveGroupRequest { group_id: group_id.clone() };
        LeaveGroup::handle(cx, &mut as_user(dan, "dan's name"), leave).await.unwrap();

        let rows = cx
            .db
            .query(
                "SELECT code, sender_id, username FROM message
                  WHERE stream_mode = 3 AND stream_subject = $1 AND stream_label = ''
                    AND stream_descriptor = '00000000-0000-0000-0000-000000000000'
                    AND content = '{}'",
                &[&group],
            )
            .await
            .unwrap();
        let said: BTreeSet<(i16, Uuid, String)> =
            rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
        let expected = [
            (3, dan, "dan's name"),
            (4, bob, "user1"),
            (4, cyd, "user2"),
            (5, dan, "dan's name"),
            (6, bob, "user1"),
            (7, bob, "user1"),
            (8, cyd, "user2"),
            (9, bob, "user1"),
        ];
        assert_eq!(rows.len(), expected.len());
        assert_eq!(said, expected.map(|(code, id, name)| (code, id, name.to_owned())).into());

        let told = async |user| {
            let page = notification::list(cx, user, 10, Place::default()).await.unwrap();
            let told = page.notifications.into_iter();
            told.map(|it| (it.code, it.subject, it.content, it.sender_id)).collect::<Vec<_>>()
        };
        let asked = (
            -5,
            "User bob's name wants to join your group".to_owned(),
            format!(r#"{{"group_id": "{group}", "username": "bob's name"}}"#),
            bob.to_string(),
        );
        assert_eq!(told(ann).await, [asked]);
        let added = (
            -4,
            "You've been added to group the group".to_owned(),
            format!(r#"{{"name": "the group", "group_id": "{group}"}}"#),
            ann.to_string(),
        );
        for user in [bob, cyd] {
            assert_eq!(told(user).await, std::slice::from_ref(&added));
        }
        assert_eq!(told(dan).await, []);
    });
}

#[test]
fn a_group_is_changed_by_its_admins_and_deleted_by_its_superadmins() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let users = new_users(cx, 4).await;
        let [ann, bob, cyd, _] = users[..] else { unreachable!() };
        let group = named_group(cx, ann, "first", true, 100).await;
        named_group(cx, ann, "second", true, 100).await;
        for verb in [Verb::Add, Verb::Promote] {
            members::change(cx, verb, Some(ann), group, &[bob]).await.unwrap();
        }
        members::join(cx, group, cyd, "cyd").await.unwrap();
        let update = async |caller, change: &dyn Fn(&mut UpdateGroupRequest)| {
            let mut request =
                UpdateGroupRequest { group_id: group.to_string(), ..Default::default() };
            change(&mut request);
            UpdateGroup::handle(cx, &mut signed_in(caller), request).await
        };
        let about = |request: &mut UpdateGroupRequest| request.description = Some("about".into());
        assert!(update(ann, &about).await.is_ok() && update(bob, &about).await.is_ok());
        let denied =
            (Code::NotFound, "Group not found or you're not allowed to update.".to_owned());
        assert_eq!(refused(update(cyd, &about).await), denied);
        assert_eq!(refused(update(users[3], &|_| {}).await), denied);
        let nothing = (Code::InvalidArgument, "Specify at least one field to update.".to_owned());
        assert_eq!(refused(update(bob, &|_| {}).await), nothing);
        let taken = (Code::InvalidArgument, "Group name is in use.".to_owned());
        assert_eq!(refused(update(bob, &|it| it.name = Some("second".into())).await), taken);
        assert!(update(bob, &|it| it.name = Some("first".into())).await.is_ok());
        let found = group::get(cx, &[group]).await.unwrap();
        assert_eq!((found[0].description.as_str(), found[0].edge_count), ("about", 3));
        assert!(update(bob, &|it| it.description = Some(String::new())).await.is_ok());
        assert_eq!(group::get(cx, &[group]).await.unwrap()[0].description, "");
        // Fewer seats than members there are is a failure, and changes nothing.
        let fewer = Changes { max_count: Some(2), ..Changes::default() };
        assert!(matches!(group::update(cx, None, group, &fewer).await, Err(Failed::Broken(_))));

        let delete = async |caller| {
            let request = DeleteGroupRequest { group_id: group.to_string() };
            DeleteGroup::handle(cx, &mut signed_in(caller), request).await
        };
        let sentence = "Group not found or you're not allowed to delete.";
        let denied = (Code::InvalidArgument, sentence.to_owned());
        assert_eq!(refused(delete(bob).await), denied);
        assert!(delete(ann).await.is_ok());
        assert_eq!(refused(delete(ann).await), denied);
        assert_eq!(count(cx, "SELECT count(*) FROM group_edge").await, 2);
        check_invariants(cx).await;
    });
}

#[test]
fn a_group_is_made_with_what_is_given() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let ann = new_user(cx, "ann").await;
        let create = async |change: &dyn Fn(&mut CreateGroupRequest)| {
            let mut request = CreateGroupRequest { name: "name".into(), ..Default::default() };
            change(&mut request);
            CreateGroup::handle(cx, &mut signed_in(ann), request).await
        };
        let invalid = |sentence: &str| (Code::InvalidArgument, sentence.to_owned());
        let unnamed = create(&|it| it.name.clear()).await;
        assert_eq!(refused(unnamed), invalid("Group name must be set."));
        let none = create(&|it| it.max_count = -1).await;
        assert_eq!(refused(none), invalid("Group max count must be >= 1 when set."));
        let long = create(&|it| it.name = "x".repeat(256)).await;
        let failed = (Code::Internal, "Error while trying to create group.".to_owned());
        assert_eq!(refused(long), failed);
        let made = create(&|it| it.max_count = 1).await.unwrap();
        assert_eq!((made.edge_count, made.max_count, made.open), (1, 1, Some(false)));
        assert_eq!((made.lang_tag.as_str(), made.metadata.as_str()), ("en", "{}"));
        let taken = (Code::AlreadyExists, "Group name is in use.".to_owned());
        assert_eq!(refused(create(&|_| {}).await), taken);
        check_invariants(cx).await;
    });
}

/// The pages of a list, up to the last one; `between` comes after each page.
async fn pages<T>(
    page: impl AsyncFn(String) -> (Vec<T>, String),
    between: impl AsyncFn(usize),
) -> Vec<T> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    for number in 0..100 {
        let (rows, next) = page(cursor).await;
        assert!(rows.len() <= 2 && (next.is_empty() || rows.len() == 2));
        all.extend(rows);
        if next.is_empty() {
            return all;
        }
        cursor = next;
        between(number).await;
    }
    panic!("a list without end");
}

#[test]
fn pages_of_groups_show_every_group_once_while_others_are_made() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let users = new_users(cx, 3).await;
        let mut known = BTreeSet::new();
        for at in 0..7 {
            let group = named_group(cx, users[0], &format!("known {at}"), true, 10).await;
            if at % 3 > 0 {
                members::join(cx, group, users[1], "user").await.unwrap();
            }
            known.insert(group.to_string());
        }
        // Groups that changed at one instant and are of one size still have an order.
        sql(&cx.db, "UPDATE groups SET update_time = now()").await;
        let request = |change: &dyn Fn(&mut ListGroupsRequest)| {
            let mut request = ListGroupsRequest { limit: Some(2), ..Default::default() };
            change(&mut request);
            request
        };
        let requests = [
            request(&|_| {}),
            request(&|it| it.name = "KNOWN%".into()),
            request(&|it| it.open = Some(true)),
            request(&|it| it.lang_tag = "en".into()),
            request(&|it| it.members = Some(2)),
            request(&|it| (it.lang_tag, it.members) = ("en".into(), Some(2))),
            request(&|it| (it.lang_tag, it.open) = ("en".into(), Some(true))),
            request(&|it| (it.open, it.members) = (Some(true), Some(2))),
            request(&|it| {
                (it.lang_tag, it.open, it.members) = ("en".into(), Some(true), Some(2));
            }),
        ];
        for (place, request) in requests.into_iter().enumerate() {
            let page = async |cursor| {
                let request = ListGroupsRequest { cursor, ..request.clone() };
                let list = ListGroups::handle(cx, &mut Caller::default(), request).await.unwrap();
                (list.groups.into_iter().map(|group| group.id).collect(), list.cursor)
            };
            let between = async |number| {
                if number < 3 {
                    let name = format!("known too {place} {number}");
                    named_group(cx, users[2], &name, true, 10).await;
                }
            };
            let all = pages(page, between).await;
            let each: BTreeSet<_> = all.iter().cloned().collect();
            assert_eq!(all.len(), each.len(), "once: {request:?}");
            assert!(each.is_superset(&known), "all: {request:?}");
            sql(&cx.db, "DELETE FROM groups WHERE name LIKE 'known too%'").await;
        }
        let order = async |change: &dyn Fn(&mut ListGroupsRequest)| {
            let request = ListGroupsRequest { limit: Some(100), ..request(change) };
            let list = ListGroups::handle(cx, &mut Caller::default(), request).await.unwrap();
            list.groups.iter().map(|group| group.edge_count).collect::<Vec<_>>()
        };
        assert_eq!(order(&|it| it.members = Some(2)).await, [2, 2, 2, 2, 1, 1, 1]);
        assert_eq!(order(&|it| it.members = Some(1)).await, [1, 1, 1]);
        assert_eq!(order(&|it| it.lang_tag = "en".into()).await, [1, 1, 1, 2, 2, 2, 2]);
        assert!(order(&|it| it.open = Some(false)).await.is_empty());
        sql(&cx.db, "UPDATE groups SET disable_time = now()").await;
        assert!(order(&|_| {}).await.is_empty());
    });
}

#[test]
fn pages_of_members_and_of_their_groups_show_each_once_while_others_come() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let users = new_users(cx, 12).await;
        let group = new_group(cx, users[0], true, 100).await;
        let mut groups = vec![group.to_string()];
        for user in &users[1..7] {
            members::join(cx, group, *user, "user").await.unwrap();
        }
        members::change(cx, Verb::Promote, None, group, &[users[3], users[5]]).await.unwrap();
        let page = async |cursor| {
            let request = ListGroupUsersRequest {
                group_id: group.to_string(),
                limit: Some(2),
                cursor,
                ..Default::default()
            };
            let list = ListGroupUsers::handle(cx, &mut Caller::default(), request).await.unwrap();
            let ids = list.group_users.into_iter().map(|it| it.user.unwrap().id);
            (ids.collect(), list.cursor)
        };
        let between = async |number: usize| {
            let user = users.get(7 + number).copied();
            for user in user.into_iter().filter(|_| number < 3) {
                members::join(cx, group, user, "user").await.unwrap();
            }
        };
        let all = pages(page, between).await;
        let order = [0, 3, 5, 1, 2, 4, 6, 7, 8, 9].map(|at: usize| users[at].to_string());
        assert_eq!(all, order);

        for _ in 0..4 {
            groups.push(new_group(cx, users[0], true, 100).await.to_string());
        }
        let page = async |cursor| {
            let request = ListUserGroupsRequest {
                user_id: users[0].to_string(),
                limit: Some(2),
                state: Some(0),
                cursor,
            };
            let list = ListUserGroups::handle(cx, &mut Caller::default(), request).await.unwrap();
            let ids = list.user_groups.into_iter().map(|it| it.group.unwrap().id);
            (ids.collect(), list.cursor)
        };
        let between = async |number: usize| {
            if number == 0 {
                new_group(cx, users[0], true, 100).await;
            }
        };
        let all: Vec<String> = pages(page, between).await;
        assert_eq!((&all[..5], all.len()), (&groups[..], 6));
    });
}

#[test]
fn a_cursor_of_another_list_is_refused() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let users = new_users(cx, 2).await;
        let group = named_group(cx, users[0], "a", true, 100).await;
        named_group(cx, users[0], "b", true, 100).await;
        members::join(cx, group, users[1], "user").await.unwrap();
        let groups = async |open, cursor: &str| {
            let request = ListGroupsRequest {
                limit: Some(1),
                name: if open { String::new() } else { "%a%".into() },
                cursor: cursor.into(),
                ..Default::default()
            };
            let list = ListGroups::handle(cx, &mut Caller::default(), request).await;
            list.map(|list| list.cursor)
        };
        let users_of = async |state, cursor: &str| {
            let request = ListGroupUsersRequest {
                group_id: group.to_string(),
                limit: Some(1),
                state,
                cursor: cursor.into(),
            };
            let list = ListGroupUsers::handle(cx, &mut Caller::default(), request).await;
            list.map(|list| list.cursor)
        };
        let groups_of = async |state, cursor: &str| {
            let request = ListUserGroupsRequest {
                user_id: users[0].to_string(),
                limit: Some(1),
                state,
                cursor: cursor.into(),
            };
            let list = ListUserGroups::handle(cx, &mut Caller::default(), request).await;
            list.map(|list| list.cursor)
        };
        let cursors = [
            groups(true, "").await.unwrap(),
            users_of(None, "").await.unwrap(),
            groups_of(None, "").await.unwrap(),
        ];
        assert!(cursors.iter().all(|cursor| !cursor.is_empty()), "{cursors:?}");
        let [of_groups, of_users, of_user] = &cursors;
        assert!(groups(true, of_groups).await.is_ok());
        assert!(
            users_of(None, of_users).await.is_ok() && users_of(Some(0), of_users).await.is_ok()
        );
        assert!(groups_of(None, of_user).await.is_ok());

        let failed = (Code::Internal, "Error while trying to list groups.".to_owned());
        let invalid = (Code::InvalidArgument, "Cursor is invalid.".to_owned());
        for garbage in ["garbage", "====", "ä", &"A".repeat(10_000)] {
            assert_eq!(refused(groups(true, garbage).await), failed);
            assert_eq!(refused(users_of(None, garbage).await), invalid);
            assert_eq!(refused(groups_of(None, garbage).await), invalid);
        }
        for cursor in [of_users, of_user] {
            assert_eq!(refused(groups(true, cursor).await), failed);
        }
        assert_eq!(refused(groups(false, of_groups).await), failed, "of another order");
        for cursor in [of_groups, of_user] {
            assert_eq!(refused(users_of(None, cursor).await), invalid);
        }
        for cursor in [of_groups, of_users] {
            assert_eq!(refused(groups_of(None, cursor).await), invalid);
        }
        assert_eq!(refused(users_of(Some(2), of_users).await), invalid, "of another state");
    });
}
