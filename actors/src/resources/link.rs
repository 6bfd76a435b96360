//! Linking: more ways to sign in to an account, and fewer.

use guildhall_core::{Caller, Code, Error, OrFault, Result, Status};
use guildhall_proto::{
    Empty,
    api::{AccountCustom, AccountDevice, AccountEmail},
};
use uuid::Uuid;

use super::{authenticate, rules};
use crate::{cx::Cx, database::Sql, endpoint::Body, endpoints, passwords};

endpoints! {
    /// Adds or replaces the caller's custom id.
    Post "/v2/account/link/custom" => LinkCustom(AccountCustom) -> Empty
        { auth: Session, body: Body::Whole, handle: on_link_custom }

    /// Adds a device id to the caller's account.
    Post "/v2/account/link/device" => LinkDevice(AccountDevice) -> Empty
        { auth: Session, body: Body::Whole, handle: on_link_device }

    /// Adds or replaces the caller's e-mail and password.
    Post "/v2/account/link/email" => LinkEmail(AccountEmail) -> Empty
        { auth: Session, body: Body::Whole, handle: on_link_email }

    /// Removes the caller's custom id.
    Post "/v2/account/unlink/custom" => UnlinkCustom(AccountCustom) -> Empty
        { auth: Session, body: Body::Whole, handle: on_unlink_custom }

    /// Removes a device id from the caller's account.
    Post "/v2/account/unlink/device" => UnlinkDevice(AccountDevice) -> Empty
        { auth: Session, body: Body::Whole, handle: on_unlink_device }

    /// Removes the caller's e-mail and password.
    Post "/v2/account/unlink/email" => UnlinkEmail(AccountEmail) -> Empty
        { auth: Session, body: Body::Whole, handle: on_unlink_email }
}

const CUSTOM_ID_REQUIRED: Status = Status::new(Code::InvalidArgument, "Custom ID is required.");
const CUSTOM_ID_CHARACTERS: Status = Status::new(
    Code::InvalidArgument,
    "Invalid custom ID, no spaces or control characters allowed.",
);
const CUSTOM_ID_LENGTH: Status =
    Status::new(Code::InvalidArgument, "Invalid custom ID, must be 6-128 bytes.");
const CUSTOM_ID_TAKEN: Status = Status::new(Code::AlreadyExists, "Custom ID is already in use.");
const DEVICE_ID_TAKEN: Status = Status::new(Code::AlreadyExists, "Device ID already in use.");
const DEVICE_ID_MISSING: Status =
    Status::new(Code::InvalidArgument, "A device ID must be supplied.");
const EMAIL_TAKEN: Status = Status::new(Code::AlreadyExists, "Email is already in use.");
/// The reference links such an address without any password.
const PASSWORD_TOO_LONG: Status =
    Status::new(Code::InvalidArgument, "Password must be at most 72 bytes long.");
pub(super) const LAST_IDENTIFIER: Status = Status::new(
    Code::PermissionDenied,
    "Cannot unlink last account identifier. Check profile exists and is not last link.",
);

const LINKING_CUSTOM_ID: &str = "Error while trying to link Custom ID.";
const LINKING_DEVICE: &str = "Error linking Device ID.";
const LINKING_EMAIL: &str = "Error while trying to link email.";

async fn on_link_custom(cx: &Cx, caller: &mut Caller, account: AccountCustom) -> Result<Empty> {
    link_custom(cx, caller.user_id(), &account.id).await.map(|()| Empty {})
}

async fn on_link_device(cx: &Cx, caller: &mut Caller, account: AccountDevice) -> Result<Empty> {
    link_device(cx, caller.user_id(), &account.id).await.map(|()| Empty {})
}

async fn on_link_email(cx: &Cx, caller: &mut Caller, account: AccountEmail) -> Result<Empty> {
    let AccountEmail { email, password, .. } = account;
    link_email(cx, caller.user_id(), &email, &password).await.map(|()| Empty {})
}

async fn on_unlink_custom(cx: &Cx, caller: &mut Caller, account: AccountCustom) -> Result<Empty> {
    unlink_custom(cx, caller.user_id(), &account.id).await.map(|()| Empty {})
}

async fn on_unlink_device(cx: &Cx, caller: &mut Caller, account: AccountDevice) -> Result<Empty> {
    unlink_device(cx, caller.user_id(), &account.id).await.map(|()| Empty {})
}

async fn on_unlink_email(cx: &Cx, caller: &mut Caller, account: AccountEmail) -> Result<Empty> {
    unlink_email(cx, caller.user_id(), &account.email).await.map(|()| Empty {})
}

/// Gives `user` this custom id, in place of one there may be.
///
/// # Errors
/// `InvalidArgument`; `AlreadyExists` where another account has it, or `user` does not exist.
pub async fn link_custom(cx: &Cx, user: Uuid, id: &str) -> Result<()> {
    match id {
        "" => return Err(CUSTOM_ID_REQUIRED.into()),
        id if rules::has_space_or_control(id) => return Err(CUSTOM_ID_CHARACTERS.into()),
        id if !(6..=128).contains(&id.len()) => return Err(CUSTOM_ID_LENGTH.into()),
        _ => {}
    }
    match cx.db.execute(LINK_CUSTOM, &[&user, &id]).await {
        Err(error) if error.unique_violation().is_some() => Err(CUSTOM_ID_TAKEN.into()),
        done => one_row(done.or_fault(LINKING_CUSTOM_ID)?, CUSTOM_ID_TAKEN),
    }
}

/// Adds a device id to `user`, which may have it already.
///
/// # Errors
/// `InvalidArgument`; `AlreadyExists` where another account has it.
pub async fn link_device(cx: &Cx, user: Uuid, id: &str) -> Result<()> {
    authenticate::check_device_id(id)?;
    let linked = cx.db.execute(LINK_DEVICE, &[&user, &id]).await.or_fault(LINKING_DEVICE)?;
    one_row(linked, DEVICE_ID_TAKEN)
}

/// Gives `user` this e-mail and password, in place of those there may be.
///
/// # Errors
/// `InvalidArgument`; `AlreadyExists` where another account has the e-mail, or `user` does not
/// exist; `ResourceExhausted`.
pub async fn link_email(cx: &Cx, user: Uuid, email: &str, password: &str) -> Result<()> {
    authenticate::check_email_and_password(email, password)?;
    if password.len() > passwords::MAX_BYTES {
        return Err(PASSWORD_TOO_LONG.into());
    }
    let hash = cx.passwords.hash(password).await?;
    let email = rules::normal_email(email);
    match cx.db.execute(LINK_EMAIL, &[&user, &email, &hash.as_bytes()]).await {
        Err(error) if error.unique_violation().is_some() => Err(EMAIL_TAKEN.into()),
        done => one_row(done.or_fault(LINKING_EMAIL)?, EMAIL_TAKEN),
    }
}

/// Removes the custom id of `user`: this one, or any where `id` is empty.
///
/// # Errors
/// `PermissionDenied` where there is none such or no other way to sign in.
pub async fn unlink_custom(cx: &Cx, user: Uuid, id: &str) -> Result<()> {
    let done = cx.db.execute(UNLINK_CUSTOM, &[&user, &id]).await;
    one_row(done.or_fault("Error while trying to unlink custom ID.")?, LAST_IDENTIFIER)
}

/// Removes a device id of `user`.
///
/// # Errors
/// `InvalidArgument`; `PermissionDenied` where there is none such or no other way to sign in.
pub async fn unlink_device(cx: &Cx, user: Uuid, id: &str) -> Result<()> {
    if id.is_empty() {
        return Err(DEVICE_ID_MISSING.into());
    }
    let done = cx.db.execute(UNLINK_DEVICE, &[&user, &id]).await;
    one_row(done.or_fault("Could not unlink device ID.")?, LAST_IDENTIFIER)
}

/// Removes e-mail and password of `user`: of this e-mail, or any where it is empty.
///
/// # Errors
/// `PermissionDenied` where there is none such or no other way to sign in.
pub async fn unlink_email(cx: &Cx, user: Uuid, email: &str) -> Result<()> {
    let done = cx.db.execute(UNLINK_EMAIL, &[&user, &rules::normal_email(email)]).await;
    one_row(done.or_fault("Error while trying to unlink email.")?, LAST_IDENTIFIER)
}

fn one_row(rows: u64, otherwise: Status) -> Result<()> {
    if rows == 0 { Err(Error::Status(otherwise)) } else { Ok(()) }
}

/// $1 user, $2 custom id. Reads users_custom_id_key and the primary key of users.
const LINK_CUSTOM: &str = "
    UPDATE users SET custom_id = $2, update_time = now()
     WHERE id = $1
       AND NOT EXISTS (SELECT 1 FROM users WHERE custom_id = $2 AND id <> $1)";

/// $1 user, $2 device id. Reads the primary keys of user_device and users.
const LINK_DEVICE: &str = "
    WITH added AS (
        INSERT INTO user_device (id, user_id) VALUES ($2, $1)
        ON CONFLICT (id) DO NOTHING
        RETURNING id
    )
    UPDATE users SET update_time = now()
     WHERE id = $1
       AND (EXISTS (SELECT 1 FROM added)
            OR EXISTS (SELECT 1 FROM user_device WHERE id = $2 AND user_id = $1))";

/// $1 user, $2 e-mail in lower case, $3 password hash. Reads users_email_key and the primary key
/// of users.
const LINK_EMAIL: &str = "
    UPDATE users SET email = $2, password = $3, update_time = now()
     WHERE id = $1
       AND NOT EXISTS (SELECT 1 FROM users WHERE email = $2 AND id <> $1)";

/// $1 user, $2 custom id or nothing for any. Reads the primary key of users and
/// user_device_user_id_id_key.
const UNLINK_CUSTOM: &str = "
    UPDATE users SET custom_id = NULL, update_time = now()
     WHERE id = $1 AND ($2::text = '' OR custom_id = $2)
       AND (coalesce(apple_id, facebook_id, facebook_instant_game_id, google_id, gamecenter_id,
                     steam_id, email) IS NOT NULL
            OR EXISTS (SELECT 1 FROM user_device WHERE user_id = $1))";

/// $1 user, $2 device id. Reads the primary keys of user_device and users, and
/// user_device_user_id_id_key.
const UNLINK_DEVICE: &str = "
    WITH removed AS (
        DELETE FROM user_device
         WHERE id = $2 AND user_id = $1
           AND (EXISTS (SELECT 1 FROM users
                         WHERE id = $1
                           AND coalesce(apple_id, facebook_id, facebook_instant_game_id, google_id,
                                        gamecenter_id, steam_id, email, custom_id) IS NOT NULL)
                OR EXISTS (SELECT 1 FROM user_device WHERE user_id = $1 AND id <> $2))
        RETURNING id
    )
    UPDATE users SET update_time = now() WHERE id = $1 AND EXISTS (SELECT 1 FROM removed)";

/// $1 user, $2 e-mail in lower case or nothing for any. Reads the primary key of users and
/// user_device_user_id_id_key.
const UNLINK_EMAIL: &str = "
    UPDATE users SET email = NULL, password = NULL, update_time = now()
     WHERE id = $1 AND ($2::text = '' OR email = $2)
       AND (coalesce(apple_id, facebook_id, facebook_instant_game_id, google_id, gamecenter_id,
                     steam_id, custom_id) IS NOT NULL
            OR EXISTS (SELECT 1 FROM user_device WHERE user_id = $1))";

/// The host functions.
pub mod nk {
    use schemars::JsonSchema;
    use serde::Deserialize;

    use super::*;
    use crate::{
        host::{HostFn, Origin, Returns},
        resources::raised,
    };

    pub(in crate::resources) const LINKING: &str = "error linking";
    pub(in crate::resources) const UNLINKING: &str = "error unlinking";

    /// `nk.link_custom(user_id, custom_id)`
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct LinkCustom {
        user_id: Uuid,
        custom_id: String,
    }

    impl HostFn for LinkCustom {
        const NAME: &'static str = "link_custom";
        const RETURNS: Returns = Returns::Nothing;
        type Output = ();
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
            let done = link_custom(cx, self.user_id, &self.custom_id).await;
            done.map_err(|error| raised(LINKING, error))
        }
    }

    /// `nk.link_device(user_id, device_id)`
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct LinkDevice {
        user_id: Uuid,
        device_id: String,
    }

    impl HostFn for LinkDevice {
        const NAME: &'static str = "link_device";
        const RETURNS: Returns = Returns::Nothing;
        type Output = ();
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
            let done = link_device(cx, self.user_id, &self.device_id).await;
            done.map_err(|error| raised(LINKING, error))
        }
    }

    /// `nk.link_email(user_id, email, password)`
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct LinkEmail {
        user_id: Uuid,
        email: String,
        password: String,
    }

    impl HostFn for LinkEmail {
        const NAME: &'static str = "link_email";
        const RETURNS: Returns = Returns::Nothing;
        type Output = ();
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
            let done = link_email(cx, self.user_id, &self.email, &self.password).await;
            done.map_err(|error| raised(LINKING, error))
        }
    }

    /// `nk.unlink_custom(user_id, custom_id)`
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct UnlinkCustom {
        user_id: Uuid,
        #[serde(default)]
        custom_id: String,
    }

    impl HostFn for UnlinkCustom {
        const NAME: &'static str = "unlink_custom";
        const RETURNS: Returns = Returns::Nothing;
        type Output = ();
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
            let done = unlink_custom(cx, self.user_id, &self.custom_id).await;
            done.map_err(|error| raised(UNLINKING, error))
        }
    }

    /// `nk.unlink_device(user_id, device_id)`
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct UnlinkDevice {
        user_id: Uuid,
        device_id: String,
    }

    impl HostFn for UnlinkDevice {
        const NAME: &'static str = "unlink_device";
        const RETURNS: Returns = Returns::Nothing;
        type Output = ();
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
            let done = unlink_device(cx, self.user_id, &self.device_id).await;
            done.map_err(|error| raised(UNLINKING, error))
        }
    }

    /// `nk.unlink_email(user_id, email)`
    #[derive(Debug, Deserialize, JsonSchema)]
    pub struct UnlinkEmail {
        user_id: Uuid,
        #[serde(default)]
        email: String,
    }

    impl HostFn for UnlinkEmail {
        const NAME: &'static str = "unlink_email";
        const RETURNS: Returns = Returns::Nothing;
        type Output = ();
        async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<()> {
            let done = unlink_email(cx, self.user_id, &self.email).await;
            done.map_err(|error| raised(UNLINKING, error))
        }
    }
}
