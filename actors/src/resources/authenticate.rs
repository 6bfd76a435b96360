//! Signing in, and up, by e-mail or username and password, by device and by custom id.

use guildhall_core::{Caller, Code, Error, OrFault, Result, Status, caller::Vars};
use guildhall_proto::api::{
    AuthenticateCustomRequest, AuthenticateDeviceRequest, AuthenticateEmailRequest, Session,
};
use rand::Rng;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    identifier::{Kind, find_or_make},
    rules,
};
use crate::{
    cx::Cx,
    database::{DbError, Sql},
    endpoint::Body,
    endpoints,
    sign_in::Attempt,
};

endpoints! {
    /// Signs in by a custom id; makes the account unless told otherwise.
    Post "/v2/account/authenticate/custom"
        => AuthenticateCustom(AuthenticateCustomRequest) -> Session
        { auth: ServerKey, body: Body::Field("account"), handle: custom }

    /// Signs in by a device id; makes the account unless told otherwise.
    Post "/v2/account/authenticate/device"
        => AuthenticateDevice(AuthenticateDeviceRequest) -> Session
        { auth: ServerKey, body: Body::Field("account"), handle: device }

    /// Signs in by e-mail and password, making the account unless told otherwise; or by username
    /// and password.
    Post "/v2/account/authenticate/email"
        => AuthenticateEmail(AuthenticateEmailRequest) -> Session
        { auth: ServerKey, body: Body::Field("account"), handle: email }
}

const CUSTOM_ID_REQUIRED: Status = Status::new(Code::InvalidArgument, "Custom ID is required.");
const CUSTOM_ID_CHARACTERS: Status = Status::new(
    Code::InvalidArgument,
    "Custom ID invalid, no spaces or control characters allowed.",
);
const CUSTOM_ID_LENGTH: Status =
    Status::new(Code::InvalidArgument, "Custom ID invalid, must be 6-128 bytes.");
const DEVICE_ID_REQUIRED: Status = Status::new(Code::InvalidArgument, "Device ID is required.");
const DEVICE_ID_CHARACTERS: Status = Status::new(
    Code::InvalidArgument,
    "Device ID invalid, no spaces or control characters allowed.",
);
const DEVICE_ID_LENGTH: Status =
    Status::new(Code::InvalidArgument, "Device ID invalid, must be 10-128 bytes.");
const EMAIL_AND_PASSWORD_REQUIRED: Status =
    Status::new(Code::InvalidArgument, "Email address and password is required.");
const EMAIL_CHARACTERS: Status = Status::new(
    Code::InvalidArgument,
    "Invalid email address, no spaces or control characters allowed.",
);
const EMAIL_FORMAT: Status = Status::new(Code::InvalidArgument, "Invalid email address format.");
const EMAIL_LENGTH: Status =
    Status::new(Code::InvalidArgument, "Invalid email address, must be 10-255 bytes.");
const PASSWORD_LENGTH: Status =
    Status::new(Code::InvalidArgument, "Password must be at least 8 characters long.");
const USERNAME_REQUIRED: Status =
    Status::new(Code::InvalidArgument, "Username is required when email address is not supplied.");
pub(super) const USERNAME_CHARACTERS: Status = Status::new(
    Code::InvalidArgument,
    "Username invalid, no spaces or control characters allowed.",
);
pub(super) const USERNAME_LENGTH: Status =
    Status::new(Code::InvalidArgument, "Username invalid, must be 1-128 bytes.");
pub(super) const USERNAME_TAKEN: Status =
    Status::new(Code::AlreadyExists, "Username is already in use.");
pub(super) const NO_ACCOUNT: Status = Status::new(Code::NotFound, "User account not found.");
pub(super) const BANNED: Status = Status::new(Code::PermissionDenied, "User account banned.");
const WRONG_PASSWORD: Status = Status::new(Code::Unauthenticated, "Invalid credentials.");

pub(super) const FINDING: &str = "Error finding user account.";
pub(super) const MAKING: &str = "Error finding or creating user account.";

async fn custom(
    cx: &Cx,
    caller: &mut Caller,
    request: AuthenticateCustomRequest,
) -> Result<Session> {
    let account = request.account.unwrap_or_default();
    check_custom_id(&account.id)?;
    let username = username_or_letters(request.username)?;
    let known = by_custom_id(cx, &account.id, &username, request.create != Some(false)).await?;
    open(cx, caller, known, account.vars).await
}

async fn device(
    cx: &Cx,
    caller: &mut Caller,
    request: AuthenticateDeviceRequest,
) -> Result<Session> {
    let account = request.account.unwrap_or_default();
    check_device_id(&account.id)?;
    let username = username_or_letters(request.username)?;
    let known = by_device_id(cx, &account.id, &username, request.create != Some(false)).await?;
    open(cx, caller, known, account.vars).await
}

async fn email(cx: &Cx, caller: &mut Caller, request: AuthenticateEmailRequest) -> Result<Session> {
    let account = request.account.ok_or(EMAIL_AND_PASSWORD_REQUIRED)?;
    let create = request.create != Some(false);
    let (email, password) = (&account.email, &account.password);
    let known = by_password(cx, Some(&*caller), email, password, request.username, create).await?;
    open(cx, caller, known, account.vars).await
}

/// Opens a session for an account that has shown who it is.
pub(super) async fn open(
    cx: &Cx,
    caller: &mut Caller,
    known: Known,
    vars: Vars,
) -> Result<Session> {
    let Known { id, username, created } = known;
    let (session, user) = cx.sessions.sign_in(&cx.db, id, username, vars).await.or_fault(MAKING)?;
    caller.user = Some(user);
    Ok(Session { created, ..session })
}

/// The account behind an identifier.
#[derive(Debug)]
pub struct Known {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub username: String,
    /// Whether it was made just now.
    pub created: bool,
}

/// The account with a custom id, made under `username` if there is none and `create`.
///
/// # Errors
/// `NotFound` without `create`, `PermissionDenied` for a banned account, `AlreadyExists` for a
/// username that is taken.
pub async fn by_custom_id(cx: &Cx, id: &str, username: &str, create: bool) -> Result<Known> {
    find_or_make(cx, Kind::Custom, id, username, create).await
}

/// The account with a device id, made under `username` if there is none and `create`.
///
/// # Errors
/// As [`by_custom_id`].
pub async fn by_device_id(cx: &Cx, id: &str, username: &str, create: bool) -> Result<Known> {
    find_or_make(cx, Kind::Device, id, username, create).await
}

pub(super) fn known(row: Row) -> Result<Known> {
    let read = || -> Result<_, DbError> {
        let known = Known {
            id: row.try_get("id")?,
            username: row.try_get("username")?,
            created: row.try_get("created")?,
        };
        Ok((known, row.try_get::<_, bool>("banned")?))
    };
    let (known, banned) = read().or_fault(FINDING)?;
    if banned { Err(BANNED.into()) } else { Ok(known) }
}

/// The account with this e-mail (or, where it is empty, this username) and password. With an
/// e-mail and `create` it is made under `username`, or some letters, if there is none.
///
/// Failures count against the limits for `client`; a module's own calls have no client.
///
/// # Errors
/// `InvalidArgument`, `NotFound`, `PermissionDenied` for a banned account, `Unauthenticated` for a
/// wrong password, `AlreadyExists` for a username that is taken, `ResourceExhausted`.
pub async fn by_password(
    cx: &Cx,
    client: Option<&Caller>,
    email: &str,
    password: &str,
    username: String,
    create: bool,
) -> Result<Known> {
    if !email.is_empty() {
        check_email(email)?;
    }
    if password.len() < 8 {
        return Err(PASSWORD_LENGTH.into());
    }
    if email.is_empty() {
        if username.is_empty() {
            return Err(USERNAME_REQUIRED.into());
        }
        check_username(&username)?;
        return by_username(cx, client, &username, password).await;
    }
    let username = username_or_letters(username)?;
    let email = rules::normal_email(email);

    if let Some(known) = by_email(cx, client, &email, password, create).await? {
        return Ok(known);
    }
    let hash = cx.passwords.hash(password).await.map_err(|error| match error {
        Error::Fault(mut fault) => {
            fault.message = MAKING.into();
            Error::Fault(fault)
        }
        full => full,
    })?;
    let id = Uuid::new_v4();
    match cx.db.execute(MAKE_BY_EMAIL, &[&id, &username, &email, &hash.as_bytes()]).await {
        Err(error) if error.unique_violation().is_some() => {
            // Another sign-in may have made this very account meanwhile.
            let known = by_email(cx, client, &email, password, true).await?;
            known.ok_or_else(|| USERNAME_TAKEN.into())
        }
        done => {
            done.or_fault(MAKING)?;
            Ok(Known { id, username, created: true })
        }
    }
}

/// `None` where there is no such account and `create`.
async fn by_email(
    cx: &Cx,
    client: Option<&Caller>,
    email: &str,
    password: &str,
    create: bool,
) -> Result<Option<Known>> {
    let row = cx.db.opt(BY_EMAIL, &[&email]).await.or_fault(FINDING)?;
    match row {
        None if create => Ok(None),
        row => check_password(cx, client, email, password, row).await.map(Some),
    }
}

async fn by_username(
    cx: &Cx,
    client: Option<&Caller>,
    username: &str,
    password: &str,
) -> Result<Known> {
    let row = cx.db.opt(BY_USERNAME, &[&username]).await.or_fault(FINDING)?;
    check_password(cx, client, username, password, row).await
}

/// Whether `password` is that of the account in `row`, which was looked for under `identifier`.
async fn check_password(
    cx: &Cx,
    client: Option<&Caller>,
    identifier: &str,
    password: &str,
    row: Option<Row>,
) -> Result<Known> {
    let Some(row) = row else {
        fail(begin(cx, client, identifier).await?);
        return Err(NO_ACCOUNT.into());
    };
    let hash: Option<Vec<u8>> = row.try_get("password").or_fault(FINDING)?;
    let known = known(row)?;
    // By its id, so that e-mail and username lead to one count.
    let attempt =
        begin(cx, client, known.id.simple().encode_lower(&mut Uuid::encode_buffer())).await?;
    let right = match hash {
        Some(hash) => cx.passwords.check(password, hash).await?,
        None => false,
    };
    if !right {
        fail(attempt);
        return Err(WRONG_PASSWORD.into());
    }
    Ok(known)
}

async fn begin(cx: &Cx, client: Option<&Caller>, account: &str) -> Result<Option<Attempt>> {
    match client {
        Some(client) => Ok(Some(cx.sign_in.begin(account, client.client_ip).await?)),
        None => Ok(None),
    }
}

fn fail(attempt: Option<Attempt>) {
    if let Some(attempt) = attempt {
        attempt.failed();
    }
}

fn check_custom_id(id: &str) -> Result<(), Status> {
    match id {
        "" => Err(CUSTOM_ID_REQUIRED),
        id if rules::has_space_or_control(id) => Err(CUSTOM_ID_CHARACTERS),
        id if !(6..=128).contains(&id.len()) => Err(CUSTOM_ID_LENGTH),
        _ => Ok(()),
    }
}

/// Whether `id` can be a device's.
///
/// # Errors
/// `InvalidArgument`.
pub(super) fn check_device_id(id: &str) -> Result<(), Status> {
    match id {
        "" => Err(DEVICE_ID_REQUIRED),
        id if rules::has_space_or_control(id) => Err(DEVICE_ID_CHARACTERS),
        id if !(10..=128).contains(&id.len()) => Err(DEVICE_ID_LENGTH),
        _ => Ok(()),
    }
}

fn check_email(email: &str) -> Result<(), Status> {
    match email {
        email if rules::has_space_or_control(email) => Err(EMAIL_CHARACTERS),
        email if !rules::is_email(email) => Err(EMAIL_FORMAT),
        email if !(10..=255).contains(&email.len()) => Err(EMAIL_LENGTH),
        _ => Ok(()),
    }
}

/// Whether `email` and `password` can be linked to an account. The order of the checks differs
/// from that of a sign-in.
///
/// # Errors
/// `InvalidArgument`.
pub(super) fn check_email_and_password(email: &str, password: &str) -> Result<(), Status> {
    if email.is_empty() || password.is_empty() {
        return Err(EMAIL_AND_PASSWORD_REQUIRED);
    }
    if rules::has_space_or_control(email) {
        return Err(EMAIL_CHARACTERS);
    }
    if password.len() < 8 {
        return Err(PASSWORD_LENGTH);
    }
    check_email(email)
}

fn check_username(username: &str) -> Result<(), Status> {
    match username {
        username if rules::is_bad_username(username) => Err(USERNAME_CHARACTERS),
        username if username.len() > 128 => Err(USERNAME_LENGTH),
        _ => Ok(()),
    }
}

pub(super) fn username_or_letters(username: String) -> Result<String, Status> {
    if username.is_empty() {
        return Ok(letters());
    }
    check_username(&username).map(|()| username)
}

/// A username for an account that names none: ten letters.
fn letters() -> String {
    const LETTERS: &[u8; 52] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut random = rand::rng();
    (0..10).map(|_| char::from(LETTERS[random.random_range(0..LETTERS.len())])).collect()
}

/// $1 e-mail in lower case. Reads the unique index users_email_key.
const BY_EMAIL: &str = "
    SELECT id, username, password, disable_time <> to_timestamp(0) AS banned, false AS created
      FROM users WHERE email = $1";

/// $1 username. Reads the unique index users_username_key.
const BY_USERNAME: &str = "
    SELECT id, username, password, disable_time <> to_timestamp(0) AS banned, false AS created
      FROM users WHERE username = $1";

/// $1 id, $2 username, $3 e-mail in lower case, $4 password hash.
const MAKE_BY_EMAIL: &str = "
    INSERT INTO users (id, username, email, password, create_time, update_time)
    VALUES ($1, $2, $3, $4, now(), now())";

/// The host functions.
pub mod nk {
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::{
        host::{HostFn, Language, Origin, Returns, defaults},
        resources::raised,
    };

    pub(in crate::resources) const DOING: &str = "error authenticating";

    /// An account, as modules get it.
    #[derive(Debug, JsonSchema, Serialize)]
    #[schemars(rename = "AuthResult")]
    pub struct Authenticated {
        user_id: Uuid,
        username: String,
        created: bool,
    }

    impl From<Known> for Authenticated {
        fn from(known: Known) -> Self {
            Self { user_id: known.id, username: known.username, created: known.created }
        }
    }

    /// `nk.authenticate_custom(id, username, create)`
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct AuthenticateCustom {
        id: String,
        #[serde(default)]
        username: String,
        #[serde(default = "defaults::yes")]
        create: bool,
    }

    impl HostFn for AuthenticateCustom {
        const NAME: &'static str = "authenticate_custom";
        const RETURNS: Returns = Returns::Each;
        type Output = Authenticated;
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<Authenticated> {
            check_custom_id(&self.id)?;
            let username = username_or_letters(self.username)?;
            let known = by_custom_id(cx, &self.id, &username, self.create).await;
            known.map(Authenticated::from).map_err(|error| raised(DOING, error))
        }
    }

    /// `nk.authenticate_device(id, username, create)`
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct AuthenticateDevice {
        id: String,
        #[serde(default)]
        username: String,
        #[serde(default = "defaults::yes")]
        create: bool,
    }

    impl HostFn for AuthenticateDevice {
        const NAME: &'static str = "authenticate_device";
        const RETURNS: Returns = Returns::Each;
        type Output = Authenticated;
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<Authenticated> {
            check_device_id(&self.id)?;
            let username = username_or_letters(self.username)?;
            let known = by_device_id(cx, &self.id, &username, self.create).await;
            known.map(Authenticated::from).map_err(|error| raised(DOING, error))
        }
    }

    /// `nk.authenticate_email(email, password, username, create)`: by username and password where
    /// the e-mail is left out.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct AuthenticateEmail {
        #[serde(default)]
        email: String,
        password: String,
        #[serde(default)]
        username: String,
        #[serde(default = "defaults::yes")]
        create: bool,
    }

    impl HostFn for AuthenticateEmail {
        const NAME: &'static str = "authenticate_email";
        const RETURNS: Returns = Returns::Each;
        type Output = Authenticated;
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<Authenticated> {
            let Self { email, password, username, create } = self;
            let known = by_password(cx, None, &email, &password, username, create).await;
            known.map(Authenticated::from).map_err(|error| raised(DOING, error))
        }
    }

    /// A session token and when it ends, Unix seconds.
    #[derive(Debug, JsonSchema, Serialize)]
    #[schemars(rename = "TokenGenerateResult")]
    pub struct Generated {
        token: String,
        exp: i64,
    }

    /// `nk.authenticate_token_generate(user_id, username, exp, vars)`: a session token for any
    /// user, without looking the user up; `exp` in Unix seconds. Lua must name the user or give
    /// an empty name, as in the reference.
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct AuthenticateTokenGenerate {
        user_id: Uuid,
        #[serde(default)]
        username: Option<String>,
        #[serde(default)]
        exp: i64,
        #[serde(default)]
        vars: Vars,
    }

    const TOKEN_NEEDS_A_NAME: Status = Status::new(
        Code::InvalidArgument,
        "bad argument #2 to authenticate_token_generate (expects username string)",
    );

    impl HostFn for AuthenticateTokenGenerate {
        const NAME: &'static str = "authenticate_token_generate";
        const RETURNS: Returns = Returns::Each;
        type Output = Generated;
        async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<Generated> {
            if self.username.is_none() && origin.language == Language::Lua {
                return Err(TOKEN_NEEDS_A_NAME.into());
            }
            let username = self.username.filter(|name| !name.is_empty()).unwrap_or_else(letters);
            let expires_s = Some(self.exp).filter(|exp| *exp != 0);
            let generated =
                cx.sessions.generate(&cx.db, self.user_id, username, self.vars, expires_s).await;
            let (token, exp) = generated.or_fault("Error generating session token.")?;
            Ok(Generated { token, exp })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_checked_in_the_references_order() {
        let long = "x".repeat(129);
        assert_eq!(check_custom_id(""), Err(CUSTOM_ID_REQUIRED));
        assert_eq!(check_custom_id("a b"), Err(CUSTOM_ID_CHARACTERS));
        assert_eq!(check_custom_id("short"), Err(CUSTOM_ID_LENGTH));
        assert_eq!(check_custom_id(&long), Err(CUSTOM_ID_LENGTH));
        assert_eq!(check_custom_id("enough"), Ok(()));
        assert_eq!(check_device_id("nine9nine"), Err(DEVICE_ID_LENGTH));
        assert_eq!(check_device_id("tenbytes10"), Ok(()));
        assert_eq!(check_email("a b@c.d"), Err(EMAIL_CHARACTERS));
        assert_eq!(check_email("nowhere"), Err(EMAIL_FORMAT));
        assert_eq!(check_email("a@b.c"), Err(EMAIL_LENGTH));
        assert_eq!(check_email("ann@example.com"), Ok(()));
    }

    #[test]
    fn linking_an_address_checks_the_password_before_the_form() {
        assert_eq!(check_email_and_password("", "a password"), Err(EMAIL_AND_PASSWORD_REQUIRED));
        assert_eq!(check_email_and_password("nowhere", "short"), Err(PASSWORD_LENGTH));
        assert_eq!(check_email_and_password("no where", "short"), Err(EMAIL_CHARACTERS));
        assert_eq!(check_email_and_password("nowhere", "a password"), Err(EMAIL_FORMAT));
    }

    #[test]
    fn a_username_has_up_to_128_bytes_or_is_ten_letters() {
        assert_eq!(username_or_letters("x".repeat(128)), Ok("x".repeat(128)));
        assert_eq!(username_or_letters("é".repeat(65)), Err(USERNAME_LENGTH));
        assert_eq!(username_or_letters("[]".repeat(65)), Err(USERNAME_CHARACTERS));
        let made = letters();
        assert!(made.len() == 10 && made.bytes().all(|byte| byte.is_ascii_alphabetic()), "{made}");
    }
}
