//! Accounts by an identifier that the client made up, a custom id or a device id: looked up, and
//! made where there is none. Sign-ins at the same time share a statement.

use std::{
    cmp::Ordering,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use guildhall_core::{Error, OrFault, Result, Status, config};
use tokio::runtime::Handle;
use tokio_postgres::Row;
use uuid::Uuid;

use super::authenticate::{BANNED, FINDING, Known, MAKING, NO_ACCOUNT, USERNAME_TAKEN};
use crate::{
    batch::{Batch, Batcher, Limits},
    cx::Cx,
    database::{Database, DbError, Sql},
};

/// The batchers of sign-ins.
#[derive(Debug)]
pub struct Batches {
    custom: Batcher<SignIns>,
    device: Batcher<SignIns>,
    /// The accounts that were made here.
    made: AtomicU64,
}

/// The numbers of accounts made at which the statistics of a young database are renewed.
///
/// PostgreSQL plans a prepared statement by what a table held then, and reads all of a table that
/// was nearly empty. It looks again only when there are new statistics, which autovacuum brings once
/// a minute: too late where thousands sign up in the first one. (Measured: 183 us of PostgreSQL's
/// CPU a sign-in without this.)
const MILESTONES: [u64; 4] = [64, 512, 4096, 32_768];

impl Batches {
    /// Batchers on `db`.
    pub fn new(config: &config::Batch, db: &Database, io: &Handle) -> Self {
        // One statement at a time: an account is unique by its identifier and by its username, so
        // two statements that make accounts could wait for each other whatever their order.
        let limits = Limits { in_flight: 1, ..Limits::from(config) };
        let batcher = |statements| Batcher::new(statements, limits, db.clone(), io.clone());
        Self { custom: batcher(CUSTOM), device: batcher(DEVICE), made: AtomicU64::new(0) }
    }
}

/// The kinds of identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A custom id.
    Custom,
    /// A device id.
    Device,
}

/// The account with this identifier, made under `username` if there is none and `create`.
///
/// # Errors
/// `NotFound` without `create`, `PermissionDenied` for a banned account, `AlreadyExists` for a
/// username that is taken.
pub async fn find_or_make(
    cx: &Cx,
    kind: Kind,
    id: &str,
    username: &str,
    create: bool,
) -> Result<Known> {
    let batcher = match kind {
        Kind::Custom => &cx.batches.sign_in.custom,
        Kind::Device => &cx.batches.sign_in.device,
    };
    let (id, username) = (id.to_owned(), username.to_owned());
    let outcome = batcher.run(SignIn { id, username, create, new: Uuid::new_v4() }).await?;
    if let Ok(Known { created: true, .. }) = &outcome {
        let made = cx.batches.sign_in.made.fetch_add(1, Relaxed) + 1;
        if MILESTONES.contains(&made) {
            cx.io.spawn(renew_statistics(cx.db.clone(), made));
        }
    }
    outcome.map_err(Error::from)
}

/// Renews the statistics of the tables of accounts, if they speak of fewer accounts than were made.
async fn renew_statistics(db: Database, made: u64) {
    let renew = async {
        if db.opt(IS_YOUNG, &[&(made as f64)]).await?.is_some() {
            db.session().await?.batch("ANALYZE users, user_device").await?;
        }
        Ok::<_, DbError>(())
    };
    if let Err(error) = renew.await {
        tracing::debug!(%error, "statistics of accounts were not renewed");
    }
}

/// Somebody who signs in.
struct SignIn {
    id: String,
    /// The name of the account if it is made.
    username: String,
    create: bool,
    /// The id of the account if it is made.
    new: Uuid,
}

/// The statements of one kind of identifier.
struct SignIns {
    one: &'static str,
    many: &'static str,
}

const CUSTOM: SignIns = SignIns { one: BY_CUSTOM_ID, many: BY_CUSTOM_IDS };
const DEVICE: SignIns = SignIns { one: BY_DEVICE_ID, many: BY_DEVICE_IDS };

impl Batch for SignIns {
    type Item = SignIn;
    type Outcome = Result<Known, Status>;
    const DOING: &'static str = MAKING;

    fn order(a: &SignIn, b: &SignIn) -> Ordering {
        a.id.cmp(&b.id)
    }

    async fn one(&self, db: &Database, item: &SignIn) -> Result<Result<Known, Status>> {
        let SignIn { id, username, create, new } = item;
        let doing = if *create { MAKING } else { FINDING };
        let (row, missing) = match db.opt(self.one, &[id, create, new, username]).await {
            Err(error) if error.unique_violation().is_some() => {
                // Another sign-in may have made this very account meanwhile.
                let row = db.opt(self.one, &[id, &false, new, username]).await.or_fault(doing)?;
                (row, USERNAME_TAKEN)
            }
            row => (row.or_fault(doing)?, NO_ACCOUNT),
        };
        match row {
            Some(row) => known(&row).or_fault(FINDING),
            None => Ok(Err(missing)),
        }
    }

    async fn many(
        &self,
        db: &Database,
        items: &[SignIn],
    ) -> Result<Vec<Option<Result<Known, Status>>>, DbError> {
        let ids: Vec<&str> = items.iter().map(|item| item.id.as_str()).collect();
        let create: Vec<bool> = items.iter().map(|item| item.create).collect();
        let new: Vec<Uuid> = items.iter().map(|item| item.new).collect();
        let usernames: Vec<&str> = items.iter().map(|item| item.username.as_str()).collect();
        let rows = db.query(self.many, &[&ids, &create, &new, &usernames]).await?;
        // Who was to be made and has no row met a name that is taken, or another sign-in.
        let missing = |item: &SignIn| (!item.create).then_some(Err(NO_ACCOUNT));
        let mut outcomes: Vec<_> = items.iter().map(missing).collect();
        for row in &rows {
            let place = usize::try_from(row.try_get::<_, i64>("place")? - 1);
            if let Some(outcome) = place.ok().and_then(|place| outcomes.get_mut(place)) {
                *outcome = Some(known(row)?);
            }
        }
        Ok(outcomes)
    }
}

fn known(row: &Row) -> Result<Result<Known, Status>, DbError> {
    if row.try_get("banned")? {
        return Ok(Err(BANNED));
    }
    Ok(Ok(Known {
        id: row.try_get("id")?,
        username: row.try_get("username")?,
        created: row.try_get("created")?,
    }))
}

/// $1 accounts. Gives a row if statistics speak of fewer.
const IS_YOUNG: &str =
    "SELECT 1 FROM pg_class WHERE oid = 'users'::regclass AND reltuples < $1::float8";

/// $1 custom id, $2 whether to make the account, $3 its id then, $4 its username then.
/// Reads the unique index users_custom_id_key.
const BY_CUSTOM_ID: &str = "
    WITH known AS (
        SELECT id, username, disable_time <> to_timestamp(0) AS banned
          FROM users WHERE custom_id = $1
    ), made AS (
        INSERT INTO users (id, username, custom_id, create_time, update_time)
        SELECT $3::uuid, $4::text, $1, now(), now()
         WHERE $2 AND NOT EXISTS (SELECT 1 FROM known)
        RETURNING id, username
    )
    SELECT id, username, banned, false AS created FROM known
    UNION ALL
    SELECT id, username, false, true FROM made";

/// $1 custom ids, $2 whether to make each account, $3 its id then, $4 its username then. Gives the
/// place, from 1, with each account. Reads the unique index users_custom_id_key.
///
/// Inserts before it looks: a prepared lookup on a table that was nearly empty when it was planned
/// reads all of it, until PostgreSQL has new statistics, and an insert that conflicts costs little.
const BY_CUSTOM_IDS: &str = "
    WITH given AS MATERIALIZED (
        SELECT *
          FROM unnest($1::text[], $2::bool[], $3::uuid[], $4::text[]) WITH ORDINALITY
               AS g (identifier, may_make, id, username, place)
    ), made AS (
        INSERT INTO users (id, username, custom_id, create_time, update_time)
        SELECT id, username, identifier, now(), now() FROM given WHERE may_make
        ON CONFLICT DO NOTHING
        RETURNING id
    ), others AS MATERIALIZED (
        SELECT * FROM given g WHERE NOT EXISTS (SELECT 1 FROM made WHERE made.id = g.id)
    )
    SELECT o.place, u.id, u.username, u.banned, false AS created
      FROM others o CROSS JOIN LATERAL (
           SELECT id, username, disable_time <> to_timestamp(0) AS banned
             FROM users WHERE custom_id = o.identifier LIMIT 1
      ) u
    UNION ALL
    SELECT g.place, g.id, g.username, false, true FROM made JOIN given g ON g.id = made.id";

/// $1 device id, $2 whether to make the account, $3 its id then, $4 its username then.
/// Reads the primary keys of user_device and users.
const BY_DEVICE_ID: &str = "
    WITH known AS (
        SELECT u.id, u.username, u.disable_time <> to_timestamp(0) AS banned
          FROM user_device d JOIN users u ON u.id = d.user_id
         WHERE d.id = $1
    ), made AS (
        INSERT INTO users (id, username, create_time, update_time)
        SELECT $3::uuid, $4::text, now(), now()
         WHERE $2 AND NOT EXISTS (SELECT 1 FROM known)
        RETURNING id, username
    ), linked AS (
        INSERT INTO user_device (id, user_id) SELECT $1, id FROM made
    )
    SELECT id, username, banned, false AS created FROM known
    UNION ALL
    SELECT id, username, false, true FROM made";

/// $1 device ids, $2 whether to make each account, $3 its id then, $4 its username then. Gives the
/// place, from 1, with each account. Reads the primary keys of user_device and users.
const BY_DEVICE_IDS: &str = "
    WITH given AS MATERIALIZED (
        SELECT *
          FROM unnest($1::text[], $2::bool[], $3::uuid[], $4::text[]) WITH ORDINALITY
               AS g (identifier, may_make, id, username, place)
    ), known AS MATERIALIZED (
        SELECT g.place, u.id, u.username, u.banned
          FROM given g CROSS JOIN LATERAL (
               SELECT u.id, u.username, u.disable_time <> to_timestamp(0) AS banned
                 FROM user_device d JOIN users u ON u.id = d.user_id
                WHERE d.id = g.identifier LIMIT 1
          ) u
    ), made AS (
        INSERT INTO users (id, username, create_time, update_time)
        SELECT g.id, g.username, now(), now()
          FROM given g
         WHERE g.may_make AND NOT EXISTS (SELECT 1 FROM known k WHERE k.place = g.place)
        ON CONFLICT DO NOTHING
        RETURNING id
    ), linked AS (
        INSERT INTO user_device (id, user_id)
        SELECT g.identifier, g.id FROM made JOIN given g ON g.id = made.id
    )
    SELECT place, id, username, banned, false AS created FROM known
    UNION ALL
    SELECT g.place, g.id, g.username, false, true FROM made JOIN given g ON g.id = made.id";
