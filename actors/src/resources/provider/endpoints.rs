//! The endpoints: what each message holds, and one handler each for sign-in, link and unlink.

use guildhall_core::{Caller, Code, Result, Status, caller::Vars};
use guildhall_proto::{
    Empty,
    api::{
        AccountApple, AccountFacebook, AccountFacebookInstantGame, AccountGameCenter,
        AccountGoogle, AccountSteam, AuthenticateAppleRequest,
        AuthenticateFacebookInstantGameRequest, AuthenticateFacebookRequest,
        AuthenticateGameCenterRequest, AuthenticateGoogleRequest, AuthenticateSteamRequest,
        LinkFacebookRequest, LinkSteamRequest, Session,
    },
};

use super::{Proof, Signed, authenticate, link, sign_in, unlink};
use crate::{cx::Cx, endpoint::Body, endpoints};

endpoints! {
    /// Signs in with Apple; makes the account unless told otherwise.
    Post "/v2/account/authenticate/apple"
        => AuthenticateApple(AuthenticateAppleRequest) -> Session
        { auth: ServerKey, body: Body::Field("account"), handle: on_sign_in }

    /// Signs in with Facebook; makes the account unless told otherwise.
    Post "/v2/account/authenticate/facebook"
        => AuthenticateFacebook(AuthenticateFacebookRequest) -> Session
        { auth: ServerKey, body: Body::Field("account"), handle: on_sign_in }

    /// Signs in from a Facebook Instant Game; makes the account unless told otherwise.
    Post "/v2/account/authenticate/facebookinstantgame"
        => AuthenticateFacebookInstantGame(AuthenticateFacebookInstantGameRequest) -> Session
        { auth: ServerKey, body: Body::Field("account"), handle: on_sign_in }

    /// Signs in with Game Center; makes the account unless told otherwise.
    Post "/v2/account/authenticate/gamecenter"
        => AuthenticateGameCenter(AuthenticateGameCenterRequest) -> Session
        { auth: ServerKey, body: Body::Field("account"), handle: on_sign_in }

    /// Signs in with Google; makes the account unless told otherwise.
    Post "/v2/account/authenticate/google"
        => AuthenticateGoogle(AuthenticateGoogleRequest) -> Session
        { auth: ServerKey, body: Body::Field("account"), handle: on_sign_in }

    /// Signs in with Steam; makes the account unless told otherwise.
    Post "/v2/account/authenticate/steam"
        => AuthenticateSteam(AuthenticateSteamRequest) -> Session
        { auth: ServerKey, body: Body::Field("account"), handle: on_sign_in }

    /// Adds or replaces the caller's Apple id.
    Post "/v2/account/link/apple" => LinkApple(AccountApple) -> Empty
        { auth: Session, body: Body::Whole, handle: on_link }

    /// Adds or replaces the caller's Facebook id.
    Post "/v2/account/link/facebook" => LinkFacebook(LinkFacebookRequest) -> Empty
        { auth: Session, body: Body::Field("account"), handle: on_link }

    /// Adds or replaces the caller's id of a Facebook Instant Game.
    Post "/v2/account/link/facebookinstantgame"
        => LinkFacebookInstantGame(AccountFacebookInstantGame) -> Empty
        { auth: Session, body: Body::Whole, handle: on_link }

    /// Adds or replaces the caller's Game Center id.
    Post "/v2/account/link/gamecenter" => LinkGameCenter(AccountGameCenter) -> Empty
        { auth: Session, body: Body::Whole, handle: on_link }

    /// Adds or replaces the caller's Google id.
    Post "/v2/account/link/google" => LinkGoogle(AccountGoogle) -> Empty
        { auth: Session, body: Body::Whole, handle: on_link }

    /// Adds or replaces the caller's Steam id.
    Post "/v2/account/link/steam" => LinkSteam(LinkSteamRequest) -> Empty
        { auth: Session, body: Body::Whole, handle: on_link }

    /// Removes the caller's Apple id.
    Post "/v2/account/unlink/apple" => UnlinkApple(AccountApple) -> Empty
        { auth: Session, body: Body::Whole, handle: on_unlink }

    /// Removes the caller's Facebook id.
    Post "/v2/account/unlink/facebook" => UnlinkFacebook(AccountFacebook) -> Empty
        { auth: Session, body: Body::Whole, handle: on_unlink }

    /// Removes the caller's id of a Facebook Instant Game.
    Post "/v2/account/unlink/facebookinstantgame"
        => UnlinkFacebookInstantGame(AccountFacebookInstantGame) -> Empty
        { auth: Session, body: Body::Whole, handle: on_unlink }

    /// Removes the caller's Game Center id.
    Post "/v2/account/unlink/gamecenter" => UnlinkGameCenter(AccountGameCenter) -> Empty
        { auth: Session, body: Body::Whole, handle: on_unlink }

    /// Removes the caller's Google id.
    Post "/v2/account/unlink/google" => UnlinkGoogle(AccountGoogle) -> Empty
        { auth: Session, body: Body::Whole, handle: on_unlink }

    /// Removes the caller's Steam id.
    Post "/v2/account/unlink/steam" => UnlinkSteam(AccountSteam) -> Empty
        { auth: Session, body: Body::Whole, handle: on_unlink }
}

const GAME_CENTER_REQUIRED: Status =
    Status::new(Code::InvalidArgument, "GameCenter access credentials are required.");

async fn on_sign_in<R: SignIn>(cx: &Cx, caller: &mut Caller, request: R) -> Result<Session> {
    let Parts { account, create, username, sync } = request.parts();
    let account = match (account, R::Account::REQUIRED) {
        (None, Some(refusal)) => return Err(refusal.into()),
        (account, _) => account.unwrap_or_default(),
    };
    let proof = account.proof();
    proof.check(cx)?;
    let username = authenticate::username_or_letters(username)?;
    let (create, import) = (create != Some(false), sync == Some(true));
    let known = sign_in(cx, proof, &username, create, import).await?;
    authenticate::open(cx, caller, known, account.vars()).await
}

async fn on_link<R: Link>(cx: &Cx, caller: &mut Caller, request: R) -> Result<Empty> {
    let (account, sync) = request.parts();
    let proof = account.proof();
    proof.check_link(cx)?;
    let username = caller.user.as_ref().map_or("", |user| user.username.as_str());
    link(cx, caller.user_id(), username, proof, sync != Some(false)).await?;
    Ok(Empty {})
}

async fn on_unlink<A: Account>(cx: &Cx, caller: &mut Caller, account: A) -> Result<Empty> {
    unlink(cx, caller.user_id(), account.proof()).await.map(|()| Empty {})
}

/// A message that shows who a player is.
trait Account: Default {
    /// What the client sees where the message is left out altogether, if that is not what it sees
    /// for an empty one.
    const REQUIRED: Option<Status> = None;
    fn proof(&self) -> Proof<'_>;
    fn vars(self) -> Vars;
}

/// A message that signs in.
trait SignIn {
    type Account: Account;
    fn parts(self) -> Parts<Self::Account>;
}

struct Parts<A> {
    account: Option<A>,
    create: Option<bool>,
    username: String,
    sync: Option<bool>,
}

/// A message that links: who the player is, and whether to import friends.
trait Link {
    type Account: Account;
    fn parts(self) -> (Self::Account, Option<bool>);
}

macro_rules! accounts {
    ($($account:ident |$it:ident| $proof:expr $(, required: $required:expr)? ;)*) => {$(
        impl Account for $account {
            $(const REQUIRED: Option<Status> = Some($required);)?
            fn proof(&self) -> Proof<'_> {
                let $it = self;
                $proof
            }
            fn vars(self) -> Vars {
                self.vars
            }
        }
    )*};
}

accounts! {
    AccountApple |it| Proof::Apple(&it.token);
    AccountFacebook |it| Proof::Facebook(&it.token);
    AccountFacebookInstantGame |it| Proof::InstantGame(&it.signed_player_info);
    AccountGameCenter |it| Proof::GameCenter(Signed {
        player_id: &it.player_id,
        bundle_id: &it.bundle_id,
        timestamp: it.timestamp_seconds,
        salt: &it.salt,
        signature: &it.signature,
        public_key_url: &it.public_key_url,
    }), required: GAME_CENTER_REQUIRED;
    AccountGoogle |it| Proof::Google(&it.token);
    AccountSteam |it| Proof::Steam(&it.token);
}

macro_rules! sign_ins {
    ($($request:ident($account:ident) $($sync:ident)?;)*) => {$(
        impl SignIn for $request {
            type Account = $account;
            fn parts(self) -> Parts<$account> {
                let sync = None $(.or(self.$sync))?;
                let Self { account, create, username, .. } = self;
                Parts { account, create, username, sync }
            }
        }
    )*};
}

sign_ins! {
    AuthenticateAppleRequest(AccountApple);
    AuthenticateFacebookRequest(AccountFacebook) sync;
    AuthenticateFacebookInstantGameRequest(AccountFacebookInstantGame);
    AuthenticateGameCenterRequest(AccountGameCenter);
    AuthenticateGoogleRequest(AccountGoogle);
    AuthenticateSteamRequest(AccountSteam) sync;
}

macro_rules! links {
    ($($account:ident;)*) => {$(
        impl Link for $account {
            type Account = Self;
            fn parts(self) -> (Self, Option<bool>) {
                (self, None)
            }
        }
    )*};
}

links! { AccountApple; AccountFacebookInstantGame; AccountGameCenter; AccountGoogle; }

impl Link for LinkFacebookRequest {
    type Account = AccountFacebook;
    fn parts(self) -> (AccountFacebook, Option<bool>) {
        (self.account.unwrap_or_default(), self.sync)
    }
}

impl Link for LinkSteamRequest {
    type Account = AccountSteam;
    fn parts(self) -> (AccountSteam, Option<bool>) {
        (self.account.unwrap_or_default(), self.sync)
    }
}
