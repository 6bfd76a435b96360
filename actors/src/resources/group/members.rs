//! Who belongs to a group: joining, leaving, and what admins do to others.

use std::collections::HashSet;

use super::*;
use crate::resources::{
    channel_message::{self, Channel, Kind, Message},
    notification,
};

/// Codes of notifications.
const ADDED_TO_GROUP: i32 = -4;
const JOIN_REQUESTED: i32 = -5;

/// What a user is to a group, the highest rank first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i16)]
pub enum State {
    /// May do all, and stays until another superadmin is there or nobody else is.
    Superadmin = 0,
    /// May take in, put out, promote and demote who is not above.
    Admin = 1,
    /// Belongs to it.
    Member = 2,
    /// Asked to join.
    JoinRequest = 3,
    /// May not join.
    Banned = 4,
}

impl State {
    fn of(column: i16) -> Option<Self> {
        use State::*;
        [Superadmin, Admin, Member, JoinRequest, Banned].into_iter().find(|s| *s as i16 == column)
    }

    /// Whether such a one is counted.
    fn belongs(self) -> bool {
        self <= Self::Member
    }
}

/// What is done to users of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the endpoints'")]
pub enum Verb {
    Add,
    Ban,
    Kick,
    Promote,
    Demote,
}

impl Verb {
    /// What becomes of a user who is `now` to the group (`None`: nothing) when somebody who is
    /// `mine` does this; `None` where it changes nothing. `led` says whether there is a superadmin
    /// besides this user.
    fn outcome(self, mine: State, now: Option<State>, led: bool) -> Option<Option<State>> {
        use State::*;
        // The last superadmin cannot be put out, and an admin puts out who is below.
        let removable = match now {
            Some(Superadmin) => mine == Superadmin && led,
            Some(Admin) => mine == Superadmin,
            Some(Member | JoinRequest | Banned) => true,
            None => false,
        };
        match (self, now) {
            (Self::Add, None | Some(JoinRequest)) => Some(Some(Member)),
            (Self::Kick, _) if removable => Some(None),
            (Self::Ban, Some(state)) if removable && state != Banned => Some(Some(Banned)),
            (Self::Promote, Some(Member)) => Some(Some(Admin)),
            (Self::Promote, Some(Admin)) if mine == Superadmin => Some(Some(Superadmin)),
            (Self::Demote, Some(Superadmin)) if mine == Superadmin && led => Some(Some(Admin)),
            (Self::Demote, Some(Admin)) if mine == Admin || led => Some(Some(Member)),
            _ => None,
        }
    }

    /// What the group's channel hears.
    fn message(self) -> Kind {
        match self {
            Self::Add => Kind::GroupAdd,
            Self::Ban => Kind::GroupBan,
            Self::Kick => Kind::GroupKick,
            Self::Promote => Kind::GroupPromote,
            Self::Demote => Kind::GroupDemote,
        }
    }
}

/// What a [`Verb`] comes to for several users.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    /// Who gets edges.
    entering: Vec<(Uuid, State)>,
    /// Whose edges change.
    changing: Vec<(Uuid, State)>,
    /// Whose edges go.
    leaving: Vec<Uuid>,
    /// Who of these gets a ban.
    banned: Vec<Uuid>,
    /// By how much the number of members changes.
    growth: i32,
    /// Of whom the group's channel hears, once for each change.
    told: Vec<Uuid>,
}

impl Plan {
    /// `verb`, done by somebody who is `mine` to the group, to one user after the other. `states`
    /// has these users and all superadmins, `names` those that have accounts; `seats` are free.
    fn new(
        verb: Verb,
        mine: State,
        users: &[Uuid],
        names: &HashMap<Uuid, String>,
        states: &HashMap<Uuid, State>,
        seats: i32,
    ) -> Result<Self, Refusal> {
        let mut plan = Self::default();
        let mut after = states.clone();
        let is = |state: Option<State>, wanted| state == Some(wanted);
        let counted = |state: Option<State>| state.is_some_and(State::belongs);
        let mut superadmins = states.values().filter(|s| **s == State::Superadmin).count();
        for user in users {
            if verb == Verb::Add && !names.contains_key(user) {
                return Err(Refusal::UserNotFound);
            }
            let now = after.get(user).copied();
            let others = superadmins - usize::from(is(now, State::Superadmin));
            let Some(then) = verb.outcome(mine, now, others > 0) else { continue };
            superadmins = others + usize::from(is(then, State::Superadmin));
            plan.growth += i32::from(counted(then)) - i32::from(counted(now));
            if plan.growth > seats.max(0) {
                return Err(Refusal::Full);
            }
            // That a wish to join is turned down, or a ban lifted, is not for the channel.
            if counted(now) || counted(then) {
                plan.told.push(*user);
            }
            match then {
                Some(state) => after.insert(*user, state),
                None => after.remove(user),
            };
        }
        let mut seen = HashSet::new();
        for user in users.iter().copied().filter(|user| seen.insert(*user)) {
            match (states.get(&user), after.get(&user)) {
                (now, then) if now == then => {}
                (None, Some(then)) => plan.entering.push((user, *then)),
                (_, None) => plan.leaving.push(user),
                (_, Some(State::Banned)) => {
                    plan.leaving.push(user);
                    plan.banned.push(user);
                }
                (_, Some(then)) => plan.changing.push((user, *then)),
            }
        }
        Ok(plan)
    }

    async fn carry_out(&self, sql: &impl Sql, group: Uuid) -> Result<(), DbError> {
        if !self.leaving.is_empty() {
            sql.execute(LEAVE, &[&group, &self.leaving]).await?;
        }
        if !self.banned.is_empty() {
            sql.execute(BAN, &[&group, &self.banned, &positions(self.banned.len())]).await?;
        }
        if !self.entering.is_empty() {
            enter(sql, group, &self.entering).await?;
        }
        if !self.changing.is_empty() {
            let (users, states): (Vec<_>, Vec<_>) =
                self.changing.iter().map(|(user, state)| (*user, *state as i16)).unzip();
            sql.execute(CHANGE, &[&group, &users, &states]).await?;
        }
        grow(sql, group, self.growth).await
    }
}

/// Does `verb` to users of a group, for `caller` or for the server, to whom all is allowed. What is
/// not possible for one of them is left out.
///
/// # Errors
/// A refusal where the caller is no admin, or there is no such group, user or seat.
pub async fn change(
    cx: &Cx,
    verb: Verb,
    caller: Option<Uuid>,
    group: Uuid,
    users: &[Uuid],
) -> Result<(), Failed> {
    if users.is_empty() {
        return Ok(());
    }
    // Nobody does this to himself.
    let users: Vec<Uuid> = users.iter().copied().filter(|user| Some(*user) != caller).collect();
    let mut concerned = users.clone();
    concerned.extend(caller);
    let told = cx
        .db
        .transaction(async |sql| {
            let names = hold(sql, &users).await?;
            let locked = lock(sql, group).await?;
            let states = states(sql, group, &concerned).await?;
            let mine = match caller {
                None => State::Superadmin,
                Some(caller) => match states.get(&caller) {
                    Some(state) if *state <= State::Admin => *state,
                    _ => return Err(Refusal::Denied.into()),
                },
            };
            let Some(locked) = locked else {
                // Nobody can be put out of no group.
                let fine = verb == Verb::Ban;
                return if fine { Ok(Told::default()) } else { Err(Refusal::NotFound.into()) };
            };
            let plan = Plan::new(verb, mine, &users, &names, &states, locked.seats)?;
            plan.carry_out(sql, group).await?;
            let of = plan.told.iter().filter_map(|user| Some((*user, names.get(user)?.as_str())));
            let mut told =
                Told { messages: record(sql, group, verb.message(), of).await?, ..Told::default() };
            match verb {
                Verb::Add => {
                    let content = serde_json::json!({ "group_id": group, "name": locked.name });
                    let notify = |user: &Uuid| notification::Draft {
                        user: *user,
                        subject: format!("You've been added to group {}", locked.name),
                        content: content.to_string(),
                        code: ADDED_TO_GROUP,
                        sender: caller.unwrap_or_default(),
                        persistent: true,
                    };
                    told.notifications = plan.told.iter().map(notify).collect();
                }
                Verb::Ban | Verb::Kick => told.out = plan.told,
                Verb::Promote | Verb::Demote => {}
            }
            Ok::<_, Failed>(told)
        })
        .await?;
    told.deliver(cx, group).await;
    Ok(())
}

/// Joins an open group, or asks to join a closed one, which its admins are told. For somebody who
/// has to do with the group already, a banned one too, nothing changes.
///
/// # Errors
/// A refusal where there is no such group or user, or no seat.
pub async fn join(cx: &Cx, group: Uuid, user: Uuid, username: &str) -> Result<(), Failed> {
    let told = cx
        .db
        .transaction(async |sql| {
            let known = !hold(sql, &[user]).await?.is_empty();
            let locked = lock(sql, group).await?.ok_or(Refusal::NotFound)?;
            if locked.seats < 1 {
                return Err(Refusal::Full.into());
            }
            if !known {
                return Err(Refusal::UserNotFound.into());
            }
            if states(sql, group, &[user]).await?.contains_key(&user) {
                return Ok(Told::default());
            }
            if locked.open {
                enter(sql, group, &[(user, State::Member)]).await?;
                grow(sql, group, 1).await?;
                let messages = record(sql, group, Kind::GroupJoin, [(user, username)]).await?;
                return Ok(Told { messages, ..Told::default() });
            }
            enter(sql, group, &[(user, State::JoinRequest)]).await?;
            let content = serde_json::json!({ "group_id": group, "username": username });
            let mut notifications = Vec::new();
            for row in sql.query(ADMINS, &[&group]).await? {
                notifications.push(notification::Draft {
                    user: row.try_get("id").map_err(DbError::from)?,
                    subject: format!("User {username} wants to join your group"),
                    content: content.to_string(),
                    code: JOIN_REQUESTED,
                    sender: user,
                    persistent: true,
                });
            }
            Ok::<_, Failed>(Told { notifications, ..Told::default() })
        })
        .await?;
    told.deliver(cx, group).await;
    Ok(())
}

/// Leaves a group, or takes back the wish to join it. With its last member a group goes; a ban
/// stays; for somebody who has nothing to do with the group nothing changes.
///
/// # Errors
/// A refusal for the only superadmin while there are other members.
pub async fn leave(cx: &Cx, group: Uuid, user: Uuid, username: &str) -> Result<(), Failed> {
    let left = cx
        .db
        .transaction(async |sql| {
            let known = !hold(sql, &[user]).await?.is_empty();
            if lock(sql, group).await?.is_none() {
                return Ok(Left::Nothing);
            }
            let state = match states(sql, group, &[user]).await?.get(&user) {
                None | Some(State::Banned) => return Ok(Left::Nothing),
                Some(state) => *state,
            };
            if state == State::Superadmin {
                let others = sql.one(OTHERS, &[&group, &user]).await?;
                let are = |column| others.try_get::<_, bool>(column).map_err(DbError::from);
                match (are("superadmins")?, are("members")?) {
                    (true, _) => {}
                    (false, true) => return Err(Refusal::LastSuperadmin.into()),
                    (false, false) => {
                        sql.execute(DELETE, &[&group]).await?;
                        return Ok(Left::Deleted);
                    }
                }
            }
            sql.execute(LEAVE, &[&group, &vec![user]]).await?;
            grow(sql, group, -i32::from(state.belongs())).await?;
            let of = known.then_some((user, username));
            let messages = record(sql, group, Kind::GroupLeave, of).await?;
            Ok::<_, Failed>(Left::Members(Told { messages, out: vec![user], ..Told::default() }))
        })
        .await?;
    match left {
        Left::Nothing => {}
        Left::Members(told) => told.deliver(cx, group).await,
        Left::Deleted => cx.empty_channel(&Channel::group(group)),
    }
    Ok(())
}

/// What became of a wish to leave a group.
enum Left {
    /// There was nothing to leave.
    Nothing,
    /// There are others.
    Members(Told),
    /// It was the last one.
    Deleted,
}

/// Takes a user who is being deleted out of all groups; one of which nobody else is superadmin
/// goes. Gives those that are gone, whose channels are to be emptied after the commit. The caller has
/// deleted or locked the user's row, so that no group comes in between.
///
/// # Errors
/// A fault of the database.
pub async fn leave_all(sql: &impl Sql, user: Uuid) -> Result<Vec<Uuid>, DbError> {
    // First, since it takes long, and nobody waits for the groups yet.
    sql.execute(FORGET_BANS, &[&user]).await?;
    sql.query(LOCK_ALL, &[&user]).await?;
    let gone = sql.query(DELETE_LED, &[&user]).await?;
    sql.execute(LEAVE_ALL, &[&user]).await?;
    gone.iter().map(|row| Ok(row.try_get("id")?)).collect()
}

/// Locks the accounts of these users against deletion, and gives the names of those that exist.
pub(super) async fn hold(sql: &impl Sql, users: &[Uuid]) -> Result<HashMap<Uuid, String>, DbError> {
    let mut names = HashMap::new();
    for row in sql.query(HOLD, &[&users]).await? {
        names.insert(row.try_get("id")?, row.try_get("username")?);
    }
    Ok(names)
}

/// A group of which nobody else changes anything until the transaction ends.
struct Locked {
    name: String,
    open: bool,
    seats: i32,
}

async fn lock(sql: &impl Sql, group: Uuid) -> Result<Option<Locked>, DbError> {
    let Some(row) = sql.opt(LOCK, &[&group]).await? else { return Ok(None) };
    Ok(Some(Locked {
        name: row.try_get("name")?,
        open: row.try_get::<_, i16>("state")? != 1,
        seats: row.try_get("seats")?,
    }))
}

/// What these users are to a group, and who its superadmins are.
pub(super) async fn states(
    sql: &impl Sql,
    group: Uuid,
    users: &[Uuid],
) -> Result<HashMap<Uuid, State>, Failed> {
    let mut states = HashMap::new();
    for row in sql.query(STATES, &[&group, &users]).await? {
        let column: i16 = row.try_get("state").map_err(DbError::from)?;
        let Some(state) = State::of(column) else {
            let fault = Fault::new(READING, format!("{column} is no state of a member"));
            return Err(Error::from(fault).into());
        };
        states.insert(row.try_get("id").map_err(DbError::from)?, state);
    }
    Ok(states)
}

/// Adds edges both ways.
pub(super) async fn enter(
    sql: &impl Sql,
    group: Uuid,
    users: &[(Uuid, State)],
) -> Result<(), DbError> {
    let (users, states): (Vec<_>, Vec<_>) =
        users.iter().map(|(user, state)| (*user, *state as i16)).unzip();
    sql.execute(ENTER, &[&group, &users, &states, &positions(users.len())]).await.map(drop)
}

/// Changes the number of members.
async fn grow(sql: &impl Sql, group: Uuid, growth: i32) -> Result<(), DbError> {
    match growth {
        0 => Ok(()),
        growth => sql.execute(GROW, &[&group, &growth]).await.map(drop),
    }
}

/// Places in the lists of a group's users and a user's groups: the time in nanoseconds, each once.
fn positions(count: usize) -> Vec<i64> {
    let now = Utc::now().timestamp_nanos_opt().unwrap_or_default();
    (now..).take(count).collect()
}

/// Puts into the history of the group's channel what happened to users, each by id and name.
async fn record<'a>(
    sql: &impl Sql,
    group: Uuid,
    kind: Kind,
    users: impl IntoIterator<Item = (Uuid, &'a str)>,
) -> Result<Vec<Message>> {
    let channel = Channel::group(group);
    let message = |(user, name): (Uuid, &str)| {
        Message::new(channel.clone(), kind, user, name.to_owned(), "{}".to_owned())
    };
    let messages: Vec<_> = users.into_iter().map(message).collect();
    channel_message::store_all(sql, &messages).await?;
    Ok(messages)
}

/// What is to be told of a change, once it is made.
#[derive(Debug, Default)]
struct Told {
    /// To the group's channel, whose history has it.
    messages: Vec<Message>,
    /// Who is put out of the channel after that.
    out: Vec<Uuid>,
    notifications: Vec<notification::Draft>,
}

impl Told {
    /// Tells it. The change is made already, so that a failure is only logged.
    async fn deliver(self, cx: &Cx, group: Uuid) {
        for message in &self.messages {
            channel_message::deliver(cx, message, true);
        }
        if !self.out.is_empty() {
            cx.expel(&Channel::group(group), &self.out);
        }
        if self.notifications.is_empty() {
            return;
        }
        if let Err(error) = notification::send(cx, self.notifications).await {
            tracing::error!(%error, "notifications of a group not sent");
        }
    }
}

/// $1 users. Reads the primary key of users.
const HOLD: &str = "SELECT id, username FROM users WHERE id = ANY($1) ORDER BY id FOR KEY SHARE";

/// $1 group. Reads groups_id_key.
const LOCK: &str = concat!(
    "SELECT g.name, g.state, g.max_count - g.edge_count AS seats
       FROM groups g WHERE g.id = $1 AND ",
    enabled!(),
    " FOR UPDATE"
);

/// $1 group, $2 users, looked up one by one however large the group is. Reads the primary key of
/// group_edge and group_edge_source_id_destination_id_key.
const STATES: &str = "
    SELECT destination_id AS id, state FROM group_edge WHERE source_id = $1 AND state = 0
     UNION ALL
    SELECT e.destination_id, e.state
      FROM unnest($2::uuid[]) AS u (id)
     CROSS JOIN LATERAL (SELECT destination_id, state FROM group_edge
                          WHERE source_id = $1 AND destination_id = u.id LIMIT 1) AS e";

/// $1 group. Reads the primary key of group_edge.
const ADMINS: &str =
    "SELECT destination_id AS id FROM group_edge WHERE source_id = $1 AND state <= 1";

/// $1 group, $2 the user besides whom there may be others. Reads the primary key of group_edge.
const OTHERS: &str = "
    SELECT EXISTS (SELECT 1 FROM group_edge
                    WHERE source_id = $1 AND state = 0 AND destination_id <> $2) AS superadmins,
           EXISTS (SELECT 1 FROM group_edge
                    WHERE source_id = $1 AND state <= 2 AND destination_id <> $2) AS members";

/// $1 group, $2 users, $3 states, $4 positions.
const ENTER: &str = "
    INSERT INTO group_edge (source_id, destination_id, state, position)
    SELECT edge.*, e.state, e.position
      FROM unnest($2::uuid[], $3::int2[], $4::int8[]) AS e (user_id, state, position)
     CROSS JOIN LATERAL (VALUES ($1::uuid, e.user_id), (e.user_id, $1)) AS edge (source, target)";

/// $1 group, $2 users, $3 positions.
const BAN: &str = "
    INSERT INTO group_edge (source_id, destination_id, state, position)
    SELECT $1, e.user_id, 4, e.position
      FROM unnest($2::uuid[], $3::int8[]) AS e (user_id, position)";

/// $1 group, $2 users. Reads group_edge_source_id_destination_id_key.
const LEAVE: &str = "
    DELETE FROM group_edge e USING unnest($2::uuid[]) AS u (id)
     WHERE (e.source_id = $1 AND e.destination_id = u.id)
        OR (e.source_id = u.id AND e.destination_id = $1)";

/// $1 group, $2 users, $3 their states. Reads group_edge_source_id_destination_id_key.
const CHANGE: &str = "
    UPDATE group_edge e SET state = c.state, update_time = now()
      FROM unnest($2::uuid[], $3::int2[]) AS c (user_id, state)
     WHERE (e.source_id = $1 AND e.destination_id = c.user_id)
        OR (e.source_id = c.user_id AND e.destination_id = $1)";

/// $1 group, $2 how many more members. Reads groups_id_key.
const GROW: &str =
    "UPDATE groups SET edge_count = edge_count + $2, update_time = now() WHERE id = $1";

/// $1 user: its groups. Reads the primary key of group_edge and groups_id_key.
const LOCK_ALL: &str = "
    SELECT 1 FROM groups g JOIN group_edge e ON e.destination_id = g.id
     WHERE e.source_id = $1 ORDER BY g.id FOR UPDATE OF g";

/// $1 user: the groups of which nobody else is superadmin, with their edges both ways. Gives them.
/// Reads the primary key and group_edge_source_id_destination_id_key.
const DELETE_LED: &str = "
    WITH gone AS (
        DELETE FROM groups g USING group_edge e
         WHERE e.source_id = $1 AND e.state = 0 AND e.destination_id = g.id
           AND NOT EXISTS (SELECT 1 FROM group_edge other
                            WHERE other.source_id = g.id AND other.state = 0
                              AND other.destination_id <> $1)
        RETURNING g.id
    ), members AS (
        SELECT m.source_id AS group_id, m.destination_id AS user_id
          FROM group_edge m JOIN gone ON m.source_id = gone.id
    ), edges AS (
        DELETE FROM group_edge e USING members m
         WHERE (e.source_id = m.group_id AND e.destination_id = m.user_id)
            OR (e.source_id = m.user_id AND e.destination_id = m.group_id)
    )
    SELECT id FROM gone";

/// $1 user: the edges between it and its groups, both ways, and the count of members.
/// Reads the primary key and group_edge_source_id_destination_id_key.
const LEAVE_ALL: &str = "
    WITH mine AS (
        DELETE FROM group_edge WHERE source_id = $1 RETURNING destination_id AS group_id, state
    ), theirs AS (
        DELETE FROM group_edge e USING mine
         WHERE e.source_id = mine.group_id AND e.destination_id = $1
    )
    UPDATE groups g SET edge_count = g.edge_count - 1, update_time = now()
      FROM mine WHERE g.id = mine.group_id AND mine.state < 3";

/// $1 user: its bans, which stand at the groups alone. No index knows them: reads all of
/// group_edge, as the reference does when an account is deleted.
const FORGET_BANS: &str = "DELETE FROM group_edge WHERE destination_id = $1 AND state = 4";

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of who is a superadmin, an admin, a member, somebody who asked, who is banned
    /// and who is nobody, as one text: `-` for no change, `x` for out.
    fn outcomes(verb: Verb, mine: State, led: bool) -> String {
        use State::*;
        [Some(Superadmin), Some(Admin), Some(Member), Some(JoinRequest), Some(Banned), None]
            .into_iter()
            .map(|now| match verb.outcome(mine, now, led) {
                None => '-',
                Some(None) => 'x',
                Some(Some(state)) => char::from(b'0' + state as u8),
            })
            .collect()
    }

    #[test]
    fn a_superadmin_does_all_but_leave_the_group_without_one() {
        let of = |verb, led| outcomes(verb, State::Superadmin, led);
        assert_eq!(of(Verb::Add, true), "---2-2");
        assert_eq!(of(Verb::Kick, true), "xxxxx-");
        assert_eq!(of(Verb::Kick, false), "-xxxx-");
        assert_eq!(of(Verb::Ban, true), "4444--");
        assert_eq!(of(Verb::Ban, false), "-444--");
        assert_eq!(of(Verb::Promote, true), "-01---");
        assert_eq!(of(Verb::Demote, true), "12----");
        assert_eq!(of(Verb::Demote, false), "------");
    }

    #[test]
    fn an_admin_puts_out_and_promotes_who_is_below_and_demotes_equals() {
        let of = |verb| outcomes(verb, State::Admin, true);
        assert_eq!(of(Verb::Add), "---2-2");
        assert_eq!(of(Verb::Kick), "--xxx-");
        assert_eq!(of(Verb::Ban), "--44--");
        assert_eq!(of(Verb::Promote), "--1---");
        assert_eq!(of(Verb::Demote), "-2----");
    }

    #[test]
    fn a_plan_goes_on_from_user_to_user_and_ends_with_what_is_left_to_do() {
        let [ann, bob, cyd] = [1, 2, 3].map(Uuid::from_u128);
        let names: HashMap<_, _> = [ann, bob, cyd].map(|user| (user, String::new())).into();
        let plan = |verb, users: &[Uuid], states: &[(Uuid, State)], seats| {
            let states = states.iter().copied().collect();
            Plan::new(verb, State::Superadmin, users, &names, &states, seats)
        };
        let led = [(ann, State::Superadmin), (bob, State::Superadmin)];
        // Of two superadmins one stays.
        let kicked = Plan { leaving: vec![ann], growth: -1, told: vec![ann], ..Plan::default() };
        assert_eq!(plan(Verb::Kick, &[ann, bob], &led, 0), Ok(kicked));
        let raised = Plan {
            changing: vec![(cyd, State::Superadmin)],
            told: vec![cyd, cyd],
            ..Plan::default()
        };
        let member = [(cyd, State::Member)];
        assert_eq!(plan(Verb::Promote, &[cyd, cyd], &member, 0), Ok(raised));
        let asked = [(ann, State::JoinRequest)];
        let added = Plan {
            entering: vec![(bob, State::Member)],
            changing: vec![(ann, State::Member)],
            growth: 2,
            told: vec![bob, ann],
            ..Plan::default()
        };
        assert_eq!(plan(Verb::Add, &[bob, ann, bob], &asked, 2), Ok(added));
        assert_eq!(plan(Verb::Add, &[bob, ann], &asked, 1), Err(Refusal::Full));
        assert_eq!(plan(Verb::Add, &[Uuid::nil()], &[], 1), Err(Refusal::UserNotFound));
        let banned = Plan { leaving: vec![ann], banned: vec![ann], ..Plan::default() };
        assert_eq!(plan(Verb::Ban, &[ann, bob], &asked, 0), Ok(banned));
        assert_eq!(plan(Verb::Add, &[bob], &[(bob, State::Member)], 0), Ok(Plan::default()));
    }
}
