//! The host functions.

use guildhall_core::Result;
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use super::{Proof, Signed, authenticate, link, sign_in, unlink};
use crate::{
    cx::Cx,
    host::{HostFn, Origin, Returns, defaults},
    resources::{
        authenticate::nk::{Authenticated, DOING},
        link::nk::{LINKING, UNLINKING},
        raised,
    },
};

async fn authenticate(
    cx: &Cx,
    proof: Proof<'_>,
    username: String,
    create: bool,
    import: bool,
) -> Result<Authenticated> {
    proof.check(cx)?;
    let username = authenticate::username_or_letters(username)?;
    let known = sign_in(cx, proof, &username, create, import).await;
    known.map(Authenticated::from).map_err(|error| raised(DOING, error))
}

async fn add(cx: &Cx, user: Uuid, username: &str, proof: Proof<'_>, import: bool) -> Result<()> {
    proof.check_link(cx)?;
    let done = link(cx, user, username, proof, import).await;
    done.map_err(|error| raised(LINKING, error))
}

async fn remove(cx: &Cx, user: Uuid, proof: Proof<'_>) -> Result<()> {
    unlink(cx, user, proof).await.map_err(|error| raised(UNLINKING, error))
}

/// Declares host functions that differ in nothing but their parameters and what they show.
macro_rules! functions {
    ($(
        $(#[$doc:meta])*
        $function:ident = $name:literal -> $output:ty = $returns:ident {
            $( $(#[$about:meta])* $field:ident: $ty:ty, )*
        }
        |$it:ident, $cx:ident| $work:expr
    )*) => {$(
        $(#[$doc])*
        #[derive(Debug, Deserialize, JsonSchema)]
        pub struct $function {
            $( $(#[$about])* $field: $ty, )*
        }

        impl HostFn for $function {
            const NAME: &'static str = $name;
            const RETURNS: Returns = Returns::$returns;
            type Output = $output;
            async fn call(self, cx: &Cx, _: Origin<'_>) -> Result<$output> {
                let ($it, $cx) = (self, cx);
                $work.await
            }
        }
    )*};
}

functions! {
    /// `nk.authenticate_apple(token, username, create)`: signs in with Apple.
    AuthenticateApple = "authenticate_apple" -> Authenticated = Each {
        /// An ID token of Apple.
        token: String,
        /// The username of a new account; letters if not given.
        #[serde(default)]
        username: String,
        /// Whether an account is made if there is none; it is unless told otherwise.
        #[serde(default = "defaults::yes")]
        create: bool,
    }
    |it, cx| authenticate(cx, Proof::Apple(&it.token), it.username, it.create, false)

    /// `nk.authenticate_facebook(token, import_friends, username, create)`: signs in with Facebook.
    AuthenticateFacebook = "authenticate_facebook" -> Authenticated = Each {
        /// An access token, or a token of Limited Login.
        token: String,
        /// Whether friends at Facebook become friends here; they do unless told otherwise.
        #[serde(default = "defaults::yes")]
        import_friends: bool,
        /// The username of a new account; letters if not given.
        #[serde(default)]
        username: String,
        /// Whether an account is made if there is none; it is unless told otherwise.
        #[serde(default = "defaults::yes")]
        create: bool,
    }
    |it, cx| authenticate(
        cx, Proof::Facebook(&it.token), it.username, it.create, it.import_friends,
    )

    /// `nk.authenticate_facebook_instant_game(player_info, username, create)`: signs in from a
    /// Facebook Instant Game.
    AuthenticateFacebookInstantGame =
        "authenticate_facebook_instant_game" -> Authenticated = Each
    {
        /// The signed player information.
        player_info: String,
        /// The username of a new account; letters if not given.
        #[serde(default)]
        username: String,
        /// Whether an account is made if there is none; it is unless told otherwise.
        #[serde(default = "defaults::yes")]
        create: bool,
    }
    |it, cx| authenticate(
        cx, Proof::InstantGame(&it.player_info), it.username, it.create, false,
    )

    /// `nk.authenticate_game_center(player_id, bundle_id, timestamp, salt, signature,
    /// public_key_url, username, create)`: signs in with Game Center.
    AuthenticateGameCenter = "authenticate_game_center" -> Authenticated = Each {
        /// The player's id.
        player_id: String,
        /// The game's bundle id.
        bundle_id: String,
        /// When it was signed, as Game Center tells it.
        timestamp: i64,
        /// The random bytes, in base64.
        salt: String,
        /// The signature, in base64.
        signature: String,
        /// Where Apple's public key is.
        public_key_url: String,
        /// The username of a new account; letters if not given.
        #[serde(default)]
        username: String,
        /// Whether an account is made if there is none; it is unless told otherwise.
        #[serde(default = "defaults::yes")]
        create: bool,
    }
    |it, cx| authenticate(
        cx,
        Proof::GameCenter(Signed {
            player_id: &it.player_id,
            bundle_id: &it.bundle_id,
            timestamp: it.timestamp,
            salt: &it.salt,
            signature: &it.signature,
            public_key_url: &it.public_key_url,
        }),
        it.username,
        it.create,
        false,
    )

    /// `nk.authenticate_google(token, username, create)`: signs in with Google.
    AuthenticateGoogle = "authenticate_google" -> Authenticated = Each {
        /// An ID token, or an authorization code of Google Play Games.
        token: String,
        /// The username of a new account; letters if not given.
        #[serde(default)]
        username: String,
        /// Whether an account is made if there is none; it is unless told otherwise.
        #[serde(default = "defaults::yes")]
        create: bool,
    }
    |it, cx| authenticate(cx, Proof::Google(&it.token), it.username, it.create, false)

    /// `nk.authenticate_steam(token, import, username, create)`: signs in with Steam.
    AuthenticateSteam = "authenticate_steam" -> Authenticated = Each {
        /// A session ticket.
        token: String,
        /// Whether friends at Steam become friends here; they do unless told otherwise.
        #[serde(default = "defaults::yes")]
        import: bool,
        /// The username of a new account; letters if not given.
        #[serde(default)]
        username: String,
        /// Whether an account is made if there is none; it is unless told otherwise.
        #[serde(default = "defaults::yes")]
        create: bool,
    }
    |it, cx| authenticate(cx, Proof::Steam(&it.token), it.username, it.create, it.import)

    /// `nk.link_apple(user_id, token)`: adds or replaces the user's Apple id.
    LinkApple = "link_apple" -> () = Nothing {
        /// The user.
        user_id: Uuid,
        /// An ID token of Apple.
        token: String,
    }
    |it, cx| add(cx, it.user_id, "", Proof::Apple(&it.token), false)

    /// `nk.link_facebook(user_id, username, token, import_friends)`: adds or replaces the user's
    /// Facebook id.
    LinkFacebook = "link_facebook" -> () = Nothing {
        /// The user.
        user_id: Uuid,
        /// How imported friends are told the user is called.
        #[serde(default)]
        username: String,
        /// An access token, or a token of Limited Login.
        token: String,
        /// Whether friends at Facebook become friends here; they do unless told otherwise.
        #[serde(default = "defaults::yes")]
        import_friends: bool,
    }
    |it, cx| add(cx, it.user_id, &it.username, Proof::Facebook(&it.token), it.import_friends)

    /// `nk.link_facebook_instant_game(user_id, player_info)`: adds or replaces the user's id of a
    /// Facebook Instant Game.
    LinkFacebookInstantGame = "link_facebook_instant_game" -> () = Nothing {
        /// The user.
        user_id: Uuid,
        /// The signed player information.
        player_info: String,
    }
    |it, cx| add(cx, it.user_id, "", Proof::InstantGame(&it.player_info), false)

    /// `nk.link_gamecenter(user_id, player_id, bundle_id, timestamp, salt, signature,
    /// public_key_url)`: adds or replaces the user's Game Center id.
    LinkGameCenter = "link_gamecenter" -> () = Nothing {
        /// The user.
        user_id: Uuid,
        /// The player's id.
        player_id: String,
        /// The game's bundle id.
        bundle_id: String,
        /// When it was signed, as Game Center tells it.
        timestamp: i64,
        /// The random bytes, in base64.
        salt: String,
        /// The signature, in base64.
        signature: String,
        /// Where Apple's public key is.
        public_key_url: String,
    }
    |it, cx| add(
        cx,
        it.user_id,
        "",
        Proof::GameCenter(Signed {
            player_id: &it.player_id,
            bundle_id: &it.bundle_id,
            timestamp: it.timestamp,
            salt: &it.salt,
            signature: &it.signature,
            public_key_url: &it.public_key_url,
        }),
        false,
    )

    /// `nk.link_google(user_id, token)`: adds or replaces the user's Google id.
    LinkGoogle = "link_google" -> () = Nothing {
        /// The user.
        user_id: Uuid,
        /// An ID token, or an authorization code of Google Play Games.
        token: String,
    }
    |it, cx| add(cx, it.user_id, "", Proof::Google(&it.token), false)

    /// `nk.link_steam(user_id, username, token, import)`: adds or replaces the user's Steam id.
    LinkSteam = "link_steam" -> () = Nothing {
        /// The user.
        user_id: Uuid,
        /// How imported friends are told the user is called.
        username: String,
        /// A session ticket.
        token: String,
        /// Whether friends at Steam become friends here; they do unless told otherwise.
        #[serde(default = "defaults::yes")]
        import: bool,
    }
    |it, cx| add(cx, it.user_id, &it.username, Proof::Steam(&it.token), it.import)

    /// `nk.unlink_apple(user_id, token)`: removes the user's Apple id.
    UnlinkApple = "unlink_apple" -> () = Nothing {
        /// The user.
        user_id: Uuid,
        /// An ID token of the player who is removed; anyone if not given.
        #[serde(default)]
        token: String,
    }
    |it, cx| remove(cx, it.user_id, Proof::Apple(&it.token))

    /// `nk.unlink_facebook(user_id, token)`: removes the user's Facebook id.
    UnlinkFacebook = "unlink_facebook" -> () = Nothing {
        /// The user.
        user_id: Uuid,
        /// A token of the player who is removed; anyone if not given.
        #[serde(default)]
        token: String,
    }
    |it, cx| remove(cx, it.user_id, Proof::Facebook(&it.token))

    /// `nk.unlink_facebook_instant_game(user_id, player_info)`: removes the user's id of a Facebook
    /// Instant Game.
    UnlinkFacebookInstantGame = "unlink_facebook_instant_game" -> () = Nothing {
        /// The user.
        user_id: Uuid,
        /// The signed information of the player who is removed; anyone if not given.
        #[serde(default)]
        player_info: String,
    }
    |it, cx| remove(cx, it.user_id, Proof::InstantGame(&it.player_info))

    /// `nk.unlink_gamecenter(user_id, player_id, bundle_id, timestamp, salt, signature,
    /// public_key_url)`: removes the user's Game Center id; whosever it is, where one of the others
    /// is not given.
    UnlinkGameCenter = "unlink_gamecenter" -> () = Nothing {
        /// The user.
        user_id: Uuid,
        /// The player's id.
        #[serde(default)]
        player_id: String,
        /// The game's bundle id.
        #[serde(default)]
        bundle_id: String,
        /// When it was signed, as Game Center tells it.
        #[serde(default)]
        timestamp: i64,
        /// The random bytes, in base64.
        #[serde(default)]
        salt: String,
        /// The signature, in base64.
        #[serde(default)]
        signature: String,
        /// Where Apple's public key is.
        #[serde(default)]
        public_key_url: String,
    }
    |it, cx| remove(
        cx,
        it.user_id,
        Proof::GameCenter(Signed {
            player_id: &it.player_id,
            bundle_id: &it.bundle_id,
            timestamp: it.timestamp,
            salt: &it.salt,
            signature: &it.signature,
            public_key_url: &it.public_key_url,
        }),
    )

    /// `nk.unlink_google(user_id, token)`: removes the user's Google id.
    UnlinkGoogle = "unlink_google" -> () = Nothing {
        /// The user.
        user_id: Uuid,
        /// An ID token of the player who is removed; anyone if not given.
        #[serde(default)]
        token: String,
    }
    |it, cx| remove(cx, it.user_id, Proof::Google(&it.token))

    /// `nk.unlink_steam(user_id, token)`: removes the user's Steam id.
    UnlinkSteam = "unlink_steam" -> () = Nothing {
        /// The user.
        user_id: Uuid,
        /// A session ticket of the player who is removed; anyone if not given.
        #[serde(default)]
        token: String,
    }
    |it, cx| remove(cx, it.user_id, Proof::Steam(&it.token))
}
