//! Signing in by a social network, and linking and unlinking one.
//!
//! A provider is described once, by its `Description` and its arms in [`Proof`]; that yields its
//! sign-in, link and unlink, for clients and modules alike.

mod description;
mod endpoints;
pub mod nk;

use guildhall_core::{OrFault, Result};
use uuid::Uuid;

use self::description::Description;
pub use self::endpoints::*;
use super::{
    authenticate::{self, FINDING, Known, MAKING, NO_ACCOUNT, USERNAME_TAKEN},
    friend,
    link::LAST_IDENTIFIER,
    rules,
};
use crate::{
    cx::Cx,
    database::{DbError, Params, Sql},
    providers::{Login, Profile, ProviderError, Signed},
};

/// The longest texts that an account has room for, bytes; longer ones of a provider are left out.
const MAX_DISPLAY_NAME: usize = 255;
const MAX_AVATAR_URL: usize = 512;
const MAX_EMAIL: usize = 255;

/// What a player shows to prove who they are at a provider.
#[derive(Clone, Copy, Debug)]
pub enum Proof<'a> {
    /// An ID token of Apple.
    Apple(&'a str),
    /// An access token, or a token of Limited Login.
    Facebook(&'a str),
    /// The signed player information of a Facebook Instant Game.
    InstantGame(&'a str),
    /// What Game Center signed.
    GameCenter(Signed<'a>),
    /// An ID token of Google, or an authorization code of Google Play Games.
    Google(&'a str),
    /// A session ticket of Steam.
    Steam(&'a str),
}

/// Where the friends of a player can be asked for.
enum Friends<'a> {
    Facebook(&'a str),
    Steam(String),
}

impl<'a> Proof<'a> {
    /// The player at the provider, and where their friends are, if they are to be had.
    async fn profile(self, cx: &Cx) -> Result<(Profile, Option<Friends<'a>>), ProviderError> {
        let providers = &cx.providers;
        let (mut profile, friends) = match self {
            Self::Apple(token) => (providers.apple().profile(token).await?, None),
            Self::Facebook(token) => {
                let (profile, login) = providers.facebook().profile(token).await?;
                (profile, (login == Login::Full).then_some(Friends::Facebook(token)))
            }
            Self::InstantGame(info) => (providers.instant_game().profile(info)?, None),
            Self::GameCenter(signed) => (providers.game_center().profile(signed).await?, None),
            Self::Google(token) => (providers.google().profile(token).await?, None),
            Self::Steam(ticket) => {
                let profile = providers.steam().profile(ticket).await?;
                let friends = Friends::Steam(profile.id.clone());
                (profile, Some(friends))
            }
        };
        fit(&mut profile.display_name, MAX_DISPLAY_NAME);
        fit(&mut profile.avatar_url, MAX_AVATAR_URL);
        fit(&mut profile.email, MAX_EMAIL);
        profile.email = rules::normal_email(&profile.email);
        Ok((profile, friends))
    }
}

/// Empties a text that is too long, or that the database cannot hold.
fn fit(text: &mut String, max: usize) {
    if text.len() > max || text.contains('\0') {
        text.clear();
    }
}

/// The account of the player who shows `proof`, made under `username` if there is none and
/// `create`. With `import`, the player's friends at the provider become friends here; failing to
/// get at them fails nothing.
///
/// # Errors
/// `Unauthenticated` where the provider does not confirm (`DataLoss` for a Facebook Instant Game);
/// `NotFound` without `create`, `PermissionDenied` for a banned account, `AlreadyExists` for a
/// username that is taken.
pub async fn sign_in(
    cx: &Cx,
    proof: Proof<'_>,
    username: &str,
    create: bool,
    import: bool,
) -> Result<Known> {
    let provider = proof.description();
    let confirmed = proof.profile(cx).await;
    let (profile, friends) =
        confirmed.map_err(|error| error.told(provider.unconfirmed_sign_in.clone()))?;
    remap(cx, provider, &profile, FINDING).await?;
    let known = find_or_make(cx, provider, profile, username, create).await?;
    if import {
        import_friends(cx, known.id, &known.username, friends).await;
    }
    Ok(known)
}

async fn find_or_make(
    cx: &Cx,
    provider: &Description,
    profile: Profile,
    username: &str,
    create: bool,
) -> Result<Known> {
    let new = Uuid::new_v4();
    let Profile { id, display_name, avatar_url, mut email, .. } = profile;
    let fills = &provider.fills_profile;
    let mut taken = false;
    loop {
        let make = create && !taken;
        let params: Params<'_> =
            &[&id, &make, &new, &username, &display_name, &avatar_url, &email, fills];
        match cx.db.opt(provider.sign_in, params).await {
            // Another account has taken the address meanwhile, so this one goes without.
            Err(error) if is_email_taken(&error) && !email.is_empty() => email.clear(),
            // Another sign-in may have made this very account meanwhile.
            Err(error) if error.unique_violation().is_some() && make => taken = true,
            row => {
                let row = row.or_fault(if create { MAKING } else { FINDING })?;
                let missing = if taken { USERNAME_TAKEN } else { NO_ACCOUNT };
                return authenticate::known(row.ok_or(missing)?);
            }
        }
    }
}

/// Adds the player who shows `proof` as a way to sign in to `user`, in place of another player of
/// that provider. Display name and picture are taken over where the account has none, the e-mail
/// address where no other account has it. With `import`, the player's friends at the provider
/// become friends of `user`, who is named `username` to them.
///
/// # Errors
/// `Unauthenticated` where the provider does not confirm; `AlreadyExists` where the player belongs
/// to another account, or `user` does not exist.
pub async fn link(
    cx: &Cx,
    user: Uuid,
    username: &str,
    proof: Proof<'_>,
    import: bool,
) -> Result<()> {
    let provider = proof.description();
    let confirmed = proof.profile(cx).await;
    let (profile, friends) = confirmed.map_err(|error| error.told(provider.unconfirmed.clone()))?;
    remap(cx, provider, &profile, provider.linking).await?;
    let Profile { id, display_name, avatar_url, mut email, .. } = profile;
    let linked = loop {
        let params: Params<'_> = &[&user, &id, &display_name, &avatar_url, &email];
        match cx.db.execute(provider.link, params).await {
            Err(error) if is_email_taken(&error) && !email.is_empty() => email.clear(),
            Err(error) if error.unique_violation().is_some() => break 0,
            done => break done.or_fault(provider.linking)?,
        }
    };
    if linked == 0 {
        return Err(provider.taken.clone().into());
    }
    if import {
        import_friends(cx, user, username, friends).await;
    }
    Ok(())
}

/// Removes the provider of `proof` as a way to sign in to `user`: the player who shows it, or any
/// where it is left empty.
///
/// # Errors
/// `Unauthenticated` where the provider does not confirm; `PermissionDenied` where there is no such
/// player on the account or no other way to sign in.
pub async fn unlink(cx: &Cx, user: Uuid, proof: Proof<'_>) -> Result<()> {
    let provider = proof.description();
    let id = if proof.is_shown() {
        let confirmed = proof.profile(cx).await;
        let (profile, _) = confirmed.map_err(|error| error.told(provider.unconfirmed.clone()))?;
        remap(cx, provider, &profile, provider.unlinking).await?;
        profile.id
    } else {
        String::new()
    };
    let unlinked = cx.db.execute(provider.unlink, &[&user, &id]).await;
    match unlinked.or_fault(provider.unlinking)? {
        0 => Err(LAST_IDENTIFIER.into()),
        _ => Ok(()),
    }
}

/// Renames the player where the provider has changed how it calls them.
async fn remap(
    cx: &Cx,
    provider: &Description,
    profile: &Profile,
    failing: &'static str,
) -> Result<()> {
    let former = profile.former_id.as_ref().filter(|former| **former != profile.id);
    if let Some(former) = former {
        match cx.db.execute(provider.rename, &[&profile.id, former]).await {
            // Somebody has it under the new id meanwhile, which is as well.
            Err(error) if error.unique_violation().is_some() => {}
            done => {
                done.or_fault(failing)?;
            }
        }
    }
    Ok(())
}

/// Makes friends of those who are friends at the provider. What fails is told to the log only:
/// signing in does not depend on it.
async fn import_friends(cx: &Cx, user: Uuid, username: &str, friends: Option<Friends<'_>>) {
    let (provider, ids) = match friends {
        Some(Friends::Facebook(token)) => {
            (friend::Provider::Facebook, cx.providers.facebook().friends(token).await)
        }
        Some(Friends::Steam(id)) => {
            (friend::Provider::Steam, cx.providers.steam().friends(&id).await)
        }
        None => return,
    };
    let imported = match ids {
        Ok(ids) => friend::import(cx, user, username, provider, &ids, false).await,
        Err(error) => {
            tracing::warn!(%user, ?provider, %error, "friends not imported");
            return;
        }
    };
    if let Err(error) = imported {
        tracing::warn!(%user, ?provider, %error, "friends not imported");
    }
}

fn is_email_taken(error: &DbError) -> bool {
    error.unique_violation() == Some("users_email_key")
}
