//! Sessions: the tokens that open them, and the tokens that were revoked.
//!
//! A revocation stands in PostgreSQL schema `guildhall` before anybody is told that it was done, so
//! it outlasts a restart; the copy in memory answers every request without I/O. It is either one
//! token, by its id, or all tokens of a user that were issued before a second. It ends when no
//! token that it could mean is alive.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use guildhall_core::{
    caller::{User, Vars},
    config,
    session::{Claims, TokenKey},
};
use guildhall_proto::api;
use parking_lot::RwLock;
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::{
    clock::now_s,
    database::{Database, DbError, Sql},
};

/// How often revocations that have ended are removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(300);

const DAY_S: i64 = 86_400;

/// The latest time that is stored, 9999-12-31: a token may name any.
const LATEST_S: i64 = 253_402_300_799;

/// $1 user, $2 token ids, $3 which of them are of refresh tokens, $4 when each ends.
const REVOKE_TOKENS: &str = "
    INSERT INTO guildhall.revoked_token AS r (user_id, token_id, refresh, expiry_time)
    SELECT $1, t.token_id, t.refresh, t.expiry_time
      FROM unnest($2::text[], $3::bool[], $4::timestamptz[]) AS t (token_id, refresh, expiry_time)
    ON CONFLICT (user_id, token_id, refresh)
    DO UPDATE SET expiry_time = greatest(r.expiry_time, excluded.expiry_time)";

/// $1 users, $2 the second before which their tokens are void, $3 when the last of those ends.
const REVOKE_USERS: &str = "
    INSERT INTO guildhall.revoked_user AS r (user_id, issued_before, expiry_time)
    SELECT DISTINCT u.id, $2::timestamptz, $3::timestamptz FROM unnest($1::uuid[]) AS u (id)
    ON CONFLICT (user_id)
    DO UPDATE SET issued_before = greatest(r.issued_before, excluded.issued_before),
                  expiry_time = greatest(r.expiry_time, excluded.expiry_time)";

const REVOKED_TOKENS: &str = "
    SELECT user_id, token_id, refresh, expiry_time
      FROM guildhall.revoked_token WHERE expiry_time > now()";

const REVOKED_USERS: &str = "
    SELECT user_id, issued_before, expiry_time
      FROM guildhall.revoked_user WHERE expiry_time > now()";

/// Reads index revoked_token_expiry_time_idx.
const FORGET_TOKENS: &str = "DELETE FROM guildhall.revoked_token WHERE expiry_time <= now()";

/// Reads index revoked_user_expiry_time_idx.
const FORGET_USERS: &str = "DELETE FROM guildhall.revoked_user WHERE expiry_time <= now()";

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Session,
    Refresh,
}

/// A token given to [`Sessions::revoke`] is not a living one of that user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// The session token.
    Session,
    /// The refresh token.
    Refresh,
}

/// Why [`Sessions::revoke`] failed.
#[derive(Debug)]
pub enum RevokeError {
    /// Nothing was revoked: a token is not what it was said to be.
    Invalid(Invalid),
    /// The database failed.
    Database(DbError),
}

/// What [`Sessions::revoke`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The tokens given are void.
    Tokens,
    /// All of the user's are.
    User,
}

/// All tokens of some users are void in the database; to be given to [`Sessions::apply`] once the
/// transaction is committed.
#[derive(Debug)]
#[must_use = "the tokens stay valid until this is applied"]
pub struct Cut {
    users: Vec<Uuid>,
    before_s: i64,
    until_s: i64,
}

/// The sessions of all users. Clones share them.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    session_key: TokenKey,
    refresh_key: TokenKey,
    session_life_s: i64,
    refresh_life_s: i64,
    single: bool,
    /// No token that was ever given out ends later than this, Unix seconds; also stored.
    horizon_s: AtomicI64,
    revoked: RwLock<Revoked>,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

impl Sessions {
    /// Sessions by these keys and lives, nothing revoked yet.
    pub fn new(settings: &config::Session) -> Self {
        let seconds = |life: u64| i64::try_from(life).unwrap_or(i64::MAX);
        Self(Arc::new(Inner {
            session_key: TokenKey::new(settings.encryption_key.reveal().as_bytes()),
            refresh_key: TokenKey::new(settings.refresh_encryption_key.reveal().as_bytes()),
            session_life_s: seconds(settings.token_expiry_sec),
            refresh_life_s: seconds(settings.refresh_token_expiry_sec),
            single: settings.single_session,
            horizon_s: AtomicI64::new(0),
            revoked: RwLock::default(),
        }))
    }

    /// A session and a refresh token for a user who has just signed in, and the user they name.
    /// Where a user may have one session only, this ends the others.
    ///
    /// # Errors
    /// [`DbError`] of ending the others.
    pub async fn sign_in(
        &self,
        db: &Database,
        user_id: Uuid,
        username: String,
        vars: Vars,
    ) -> Result<(api::Session, User), DbError> {
        if self.0.single {
            let cut = self.cut(db, vec![user_id]).await?;
            self.apply(cut);
        }
        let token_id = Uuid::new_v4().to_string();
        let issued_s = now_s();
        Ok(self.renew(Claims { token_id, user_id, username, vars, expires_s: 0, issued_s }))
    }

    /// Fresh tokens of the session that `claims` are of, and the user they name. The claims'
    /// `expires_s` is not read.
    pub fn renew(&self, mut claims: Claims) -> (api::Session, User) {
        let now_s = now_s();
        claims.expires_s = now_s.saturating_add(self.0.refresh_life_s);
        let refresh_token = self.0.refresh_key.issue(&claims);
        claims.expires_s = now_s.saturating_add(self.0.session_life_s);
        let token = self.0.session_key.issue(&claims);
        (api::Session { created: false, token, refresh_token }, claims.into())
    }

    /// A session token alone, and when it ends (Unix seconds): at `expires_s`, or after the
    /// configured life.
    ///
    /// # Errors
    /// [`DbError`] of noting a life longer than the configured one.
    pub async fn generate(
        &self,
        db: &Database,
        user_id: Uuid,
        username: String,
        vars: Vars,
        expires_s: Option<i64>,
    ) -> Result<(String, i64), DbError> {
        let issued_s = now_s();
        let expires_s = expires_s.unwrap_or(issued_s.saturating_add(self.0.session_life_s));
        self.expect(db, expires_s).await?;
        let token_id = Uuid::new_v4().to_string();
        let claims = Claims { token_id, user_id, username, vars, expires_s, issued_s };
        Ok((self.0.session_key.issue(&claims), expires_s))
    }

    /// What a session token says, if it opens a session now.
    pub fn session(&self, token: &str) -> Option<Claims> {
        self.valid(Kind::Session, token)
    }

    /// What a refresh token says, if it can be used now.
    pub fn refresh(&self, token: &str) -> Option<Claims> {
        self.valid(Kind::Refresh, token)
    }

    fn valid(&self, kind: Kind, token: &str) -> Option<Claims> {
        let claims = self.key(kind).verify(token, now_s())?;
        let issued_s = self.issued_s(kind, claims.issued_s, claims.expires_s);
        let revoked = self.0.revoked.read();
        (!revoked.has(claims.user_id, kind, &claims.token_id, issued_s)).then_some(claims)
    }

    /// Whether the session token that told of this user was revoked since.
    pub fn is_revoked(&self, user: &User) -> bool {
        let issued_s = self.issued_s(Kind::Session, user.issued_s, user.expires_s);
        self.0.revoked.read().has(user.id, Kind::Session, &user.token_id, issued_s)
    }

    fn issued_s(&self, kind: Kind, issued_s: i64, expires_s: i64) -> i64 {
        match issued_s {
            // A token that is silent about it was issued one life before it ends.
            0 => expires_s.saturating_sub(self.life_s(kind)),
            issued_s => issued_s,
        }
    }

    fn key(&self, kind: Kind) -> &TokenKey {
        match kind {
            Kind::Session => &self.0.session_key,
            Kind::Refresh => &self.0.refresh_key,
        }
    }

    fn life_s(&self, kind: Kind) -> i64 {
        match kind {
            Kind::Session => self.0.session_life_s,
            Kind::Refresh => self.0.refresh_life_s,
        }
    }

    /// Revokes the tokens of a user that are given (not empty), or all of them where none is.
    ///
    /// # Errors
    /// [`RevokeError`].
    ///
    /// Source: Nakama, `server/core_session.go`.
    pub async fn revoke(
        &self,
        db: &Database,
        user_id: Uuid,
        token: &str,
        refresh_token: &str,
    ) -> Result<Extent, RevokeError> {
        let now_s = now_s();
        let mut tokens = Vec::new();
        for (kind, text, invalid) in [
            (Kind::Session, token, Invalid::Session),
            (Kind::Refresh, refresh_token, Invalid::Refresh),
        ] {
            if text.is_empty() {
                continue;
            }
            let claims = self
                .key(kind)
                .verify(text, now_s)
                .filter(|claims| claims.user_id == user_id)
                .ok_or(RevokeError::Invalid(invalid))?;
            if !claims.token_id.is_empty() {
                // Tokens that a refresh made have the same id and may live longer than this one.
                let until_s = claims.expires_s.max(now_s.saturating_add(self.life_s(kind)));
                tokens.push(Token { kind, id: claims.token_id, until_s });
            }
        }
        if tokens.is_empty() {
            let cut = self.cut(db, vec![user_id]).await?;
            self.apply(cut);
            return Ok(Extent::User);
        }

        let ids: Vec<&str> = tokens.iter().map(|token| token.id.as_str()).collect();
        let refresh: Vec<bool> = tokens.iter().map(|token| token.kind == Kind::Refresh).collect();
        let until: Vec<_> = tokens.iter().map(|token| time(token.until_s)).collect();
        db.execute(REVOKE_TOKENS, &[&user_id, &ids, &refresh, &until]).await?;
        let mut revoked = self.0.revoked.write();
        for token in tokens {
            revoked.token(user_id, token);
        }
        Ok(Extent::Tokens)
    }

    /// Stores that all tokens of `users` which were issued before this second are void. It takes
    /// effect with [`apply`](Self::apply).
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn cut(&self, sql: &impl Sql, users: Vec<Uuid>) -> Result<Cut, DbError> {
        let before_s = now_s();
        let until_s = self.reach_s(before_s).max(self.0.horizon_s.load(Ordering::Relaxed));
        sql.execute(REVOKE_USERS, &[&users, &time(before_s), &time(until_s)]).await?;
        Ok(Cut { users, before_s, until_s })
    }

    /// Makes a stored cut take effect.
    pub fn apply(&self, cut: Cut) {
        let mut revoked = self.0.revoked.write();
        for user in cut.users {
            revoked.user(user, cut.before_s, cut.until_s);
        }
    }

    /// When the longest-lived token of usual life that is issued at `now_s` ends.
    fn reach_s(&self, now_s: i64) -> i64 {
        now_s.saturating_add(self.0.session_life_s.max(self.0.refresh_life_s))
    }

    /// Notes that tokens may live until `expires_s`, and those issued within a day for their usual
    /// life. By whole days, so that it is seldom written.
    async fn expect(&self, db: &Database, expires_s: i64) -> Result<(), DbError> {
        let horizon_s = self.0.horizon_s.load(Ordering::Relaxed);
        let wanted_s = self.reach_s(now_s()).max(expires_s).min(LATEST_S);
        if wanted_s <= horizon_s {
            return Ok(());
        }
        let next_s = (wanted_s / DAY_S).saturating_add(2).saturating_mul(DAY_S).min(LATEST_S);
        db.execute(REVOKE_USERS, &[&vec![Uuid::nil()], &time(0), &time(next_s)]).await?;
        self.0.horizon_s.fetch_max(next_s, Ordering::Relaxed);
        Ok(())
    }

    /// Reads the revocations of the database, once, before tokens are asked about. Those that
    /// have ended are removed from time to time by a task on `io`.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn load(&self, db: &Database, io: &Handle) -> Result<(), DbError> {
        self.read(db).await?;
        self.expect(db, 0).await?;
        io.spawn(sweep(Arc::downgrade(&self.0), db.clone()));
        Ok(())
    }

    async fn read(&self, db: &Database) -> Result<(), DbError> {
        let users = db.query(REVOKED_USERS, &[]).await?;
        let tokens = db.query(REVOKED_TOKENS, &[]).await?;
        let mut revoked = self.0.revoked.write();
        for row in users {
            let user: Uuid = row.try_get("user_id")?;
            let until_s = row.try_get::<_, DateTime<Utc>>("expiry_time")?.timestamp();
            if user.is_nil() {
                self.0.horizon_s.fetch_max(until_s, Ordering::Relaxed);
            }
            let before: DateTime<Utc> = row.try_get("issued_before")?;
            revoked.user(user, before.timestamp(), until_s);
        }
        for row in tokens {
            let kind = if row.try_get("refresh")? { Kind::Refresh } else { Kind::Session };
            let until: DateTime<Utc> = row.try_get("expiry_time")?;
            let token = Token { kind, id: row.try_get("token_id")?, until_s: until.timestamp() };
            revoked.token(row.try_get("user_id")?, token);
        }
        Ok(())
    }
}

impl From<DbError> for RevokeError {
    fn from(error: DbError) -> Self {
        Self::Database(error)
    }
}

/// Removes what has ended, until the sessions are gone.
async fn sweep(sessions: Weak<Inner>, db: Database) {
    let mut clock = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        clock.tick().await;
        let Some(sessions) = sessions.upgrade().map(Sessions) else { return };
        sessions.0.revoked.write().forget(now_s());
        for outcome in [
            db.execute(FORGET_TOKENS, &[]).await.map(drop),
            db.execute(FORGET_USERS, &[]).await.map(drop),
            sessions.expect(&db, 0).await,
        ] {
            if let Err(error) = outcome {
                tracing::warn!(%error, "revoked tokens not cleaned up, will be tried again");
            }
        }
    }
}

fn time(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds.clamp(0, LATEST_S), 0).unwrap_or_default()
}

/// The revocations in memory.
#[derive(Debug, Default)]
struct Revoked(HashMap<Uuid, OfUser>);

#[derive(Debug, Default)]
struct OfUser {
    /// Tokens issued before this are void.
    before_s: i64,
    until_s: i64,
    tokens: Vec<Token>,
}

#[derive(Debug)]
struct Token {
    kind: Kind,
    id: String,
    until_s: i64,
}

impl Revoked {
    fn has(&self, user: Uuid, kind: Kind, token_id: &str, issued_s: i64) -> bool {
        self.0.get(&user).is_some_and(|user| {
            issued_s < user.before_s
                || user.tokens.iter().any(|token| token.kind == kind && token.id == token_id)
        })
    }

    fn user(&mut self, user: Uuid, before_s: i64, until_s: i64) {
        let user = self.0.entry(user).or_default();
        user.before_s = user.before_s.max(before_s);
        user.until_s = user.until_s.max(until_s);
    }

    fn token(&mut self, user: Uuid, token: Token) {
        let tokens = &mut self.0.entry(user).or_default().tokens;
        match tokens.iter_mut().find(|known| known.kind == token.kind && known.id == token.id) {
            Some(known) => known.until_s = known.until_s.max(token.until_s),
            None => tokens.push(token),
        }
    }

    fn forget(&mut self, now_s: i64) {
        self.0.retain(|_, user| {
            user.tokens.retain(|token| token.until_s > now_s);
            if user.until_s <= now_s {
                user.before_s = 0;
            }
            user.before_s != 0 || !user.tokens.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const ANN: Uuid = Uuid::from_u128(1);
    const BOB: Uuid = Uuid::from_u128(2);

    fn sessions() -> Sessions {
        Sessions::new(&config::Session::default())
    }

    /// The tokens of a sign-in at `issued_s`.
    fn signed_in(sessions: &Sessions, user_id: Uuid, issued_s: i64) -> api::Session {
        let token_id = Uuid::new_v4().to_string();
        let username = "ann".to_owned();
        let claims =
            Claims { token_id, user_id, username, vars: Vars::new(), expires_s: 0, issued_s };
        sessions.renew(claims).0
    }

    #[test]
    fn each_token_is_good_for_its_own_purpose_only() {
        let sessions = sessions();
        let tokens = signed_in(&sessions, ANN, now_s());
        assert!(sessions.session(&tokens.token).is_some());
        assert!(sessions.refresh(&tokens.refresh_token).is_some());
        assert!(sessions.session(&tokens.refresh_token).is_none());
        assert!(sessions.refresh(&tokens.token).is_none());
    }

    #[test]
    fn a_refresh_keeps_the_token_id_and_the_time_of_the_sign_in() {
        let sessions = sessions();
        let issued_s = now_s() - 30;
        let first = sessions.refresh(&signed_in(&sessions, ANN, issued_s).refresh_token).unwrap();
        let (tokens, user) = sessions.renew(first.clone());
        let second = sessions.session(&tokens.token).unwrap();
        assert_eq!((&second.token_id, second.issued_s), (&first.token_id, issued_s));
        assert_eq!((user.token_id, user.expires_s), (second.token_id, second.expires_s));
    }

    #[test]
    fn a_revoked_token_leaves_its_sibling_and_other_users() {
        let sessions = sessions();
        let tokens = signed_in(&sessions, ANN, now_s());
        let user: User = sessions.session(&tokens.token).unwrap().into();
        let id = user.token_id.clone();
        let until_s = now_s() + 60;
        let token = Token { kind: Kind::Session, id: id.clone(), until_s };
        sessions.0.revoked.write().token(BOB, token);
        assert!(sessions.session(&tokens.token).is_some() && !sessions.is_revoked(&user));
        let token = Token { kind: Kind::Session, id, until_s };
        sessions.0.revoked.write().token(ANN, token);
        assert!(sessions.session(&tokens.token).is_none() && sessions.is_revoked(&user));
        assert!(sessions.refresh(&tokens.refresh_token).is_some());
    }

    #[test]
    fn a_cut_voids_by_whole_seconds_and_refreshed_tokens_too() {
        let sessions = sessions();
        let cut_s = now_s();
        let [before, same] = [cut_s - 1, cut_s].map(|at| signed_in(&sessions, ANN, at));
        let other = signed_in(&sessions, BOB, cut_s - 1);
        sessions.apply(Cut { users: vec![ANN], before_s: cut_s, until_s: cut_s + 60 });
        assert!(sessions.session(&before.token).is_none());
        assert!(sessions.refresh(&before.refresh_token).is_none());
        assert!(sessions.session(&same.token).is_some());
        assert!(sessions.session(&other.token).is_some());
    }

    #[test]
    fn a_token_that_is_silent_about_its_sign_in_counts_from_its_end() {
        let sessions = sessions();
        let token = signed_in(&sessions, ANN, 0).token;
        let user = sessions.session(&token).unwrap().into();
        sessions.apply(Cut { users: vec![ANN], before_s: now_s() - 5, until_s: i64::MAX });
        assert!(sessions.session(&token).is_some() && !sessions.is_revoked(&user));
        sessions.apply(Cut { users: vec![ANN], before_s: now_s() + 5, until_s: i64::MAX });
        assert!(sessions.session(&token).is_none() && sessions.is_revoked(&user));
    }

    #[test]
    fn what_has_ended_is_forgotten() {
        let mut revoked = Revoked::default();
        revoked.user(ANN, 100, 160);
        revoked.token(ANN, Token { kind: Kind::Refresh, id: "a".into(), until_s: 200 });
        revoked.forget(159);
        assert!(revoked.has(ANN, Kind::Session, "b", 99));
        revoked.forget(160);
        assert!(!revoked.has(ANN, Kind::Session, "b", 99));
        assert!(revoked.has(ANN, Kind::Refresh, "a", 300));
        revoked.forget(200);
        assert!(revoked.0.is_empty());
    }
}
