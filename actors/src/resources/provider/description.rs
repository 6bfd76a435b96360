//! What differs from one provider to another: its column, its sentences, what must be shown.

use guildhall_core::{Code, Status};

use super::Proof;
use crate::{cx::Cx, providers::Signed};

/// A provider.
pub(super) struct Description {
    /// What the client sees where the provider does not confirm.
    pub(super) unconfirmed: Status,
    /// The same at sign-in.
    pub(super) unconfirmed_sign_in: Status,
    /// Linking a player who belongs to another account.
    pub(super) taken: Status,
    /// A failed link, and a failed unlink.
    pub(super) linking: &'static str,
    pub(super) unlinking: &'static str,
    /// Whether a sign-in fills in display name and picture where the account has none.
    pub(super) fills_profile: bool,
    /// $1 player's id, $2 whether to make the account, $3 its id then, $4 its username then,
    /// $5 display name, $6 picture, $7 e-mail address, $8 whether to fill in. Empty texts are none.
    /// Reads the unique index of the provider's column, and users_email_key.
    pub(super) sign_in: &'static str,
    /// $1 user, $2 player's id, $3 display name, $4 picture, $5 e-mail address. Empty texts are
    /// none. Reads the unique index of the provider's column, users_email_key and the primary key.
    pub(super) link: &'static str,
    /// $1 user, $2 player's id or nothing for any. Reads the primary key of users and
    /// user_device_user_id_id_key.
    pub(super) unlink: &'static str,
    /// $1 player's id, $2 the former one. Reads the unique index of the provider's column.
    pub(super) rename: &'static str,
}

/// Describes the provider of a column, with all columns but this one that identify an account.
macro_rules! describe {
    (
        column: $column:literal, others: $others:literal, name: $name:literal,
        account: $account:literal
        $(, unconfirmed_sign_in: $unconfirmed:expr)? $(, fills_profile: $fills:literal)?
    ) => {
        Description {
            unconfirmed: Status::new(
                Code::Unauthenticated,
                concat!("Could not authenticate ", $name, " profile."),
            ),
            unconfirmed_sign_in: describe!(
                @first $($unconfirmed,)?
                Status::new(
                    Code::Unauthenticated,
                    concat!("Could not authenticate ", $name, " profile."),
                )
            ),
            taken: Status::new(Code::AlreadyExists, concat!($account, " is already in use.")),
            linking: concat!("Error while trying to link ", $account, "."),
            unlinking: concat!("Error while trying to unlink ", $account, "."),
            fills_profile: describe!(@first $($fills,)? false),
            sign_in: concat!("
                WITH known AS (
                    SELECT id, username, disable_time <> to_timestamp(0) AS banned
                      FROM users WHERE ", $column, " = $1
                ), filled AS (
                    UPDATE users u
                       SET display_name = coalesce(nullif(u.display_name, ''), nullif($5, '')),
                           avatar_url = coalesce(nullif(u.avatar_url, ''), nullif($6, '')),
                           update_time = now()
                      FROM known k
                     WHERE $8 AND u.id = k.id AND NOT k.banned
                       AND (coalesce(u.display_name, '') = '' AND $5 <> ''
                            OR coalesce(u.avatar_url, '') = '' AND $6 <> '')
                ), made AS (
                    INSERT INTO users (id, username, ", $column, ", display_name, avatar_url,
                                       email, create_time, update_time)
                    SELECT $3::uuid, $4::text, $1, nullif($5::text, ''), nullif($6::text, ''),
                           (SELECT $7::text
                             WHERE $7 <> '' AND NOT EXISTS (SELECT 1 FROM users WHERE email = $7)),
                           now(), now()
                     WHERE $2 AND NOT EXISTS (SELECT 1 FROM known)
                    RETURNING id, username
                )
                SELECT id, username, banned, false AS created FROM known
                UNION ALL
                SELECT id, username, false, true FROM made"),
            link: concat!("
                UPDATE users u
                   SET ", $column, " = $2,
                       display_name = coalesce(nullif(u.display_name, ''), nullif($3, '')),
                       avatar_url = coalesce(nullif(u.avatar_url, ''), nullif($4, '')),
                       email = CASE WHEN $5::text <> ''
                                     AND NOT EXISTS (SELECT 1 FROM users
                                                      WHERE email = $5 AND id <> $1)
                                    THEN $5 ELSE u.email END,
                       update_time = now()
                 WHERE id = $1
                   AND NOT EXISTS (SELECT 1 FROM users WHERE ", $column, " = $2 AND id <> $1)"),
            unlink: concat!("
                UPDATE users
                   SET ", $column, " = NULL,
                       update_time = CASE WHEN ", $column, " IS NULL
                                          THEN update_time ELSE now() END
                 WHERE id = $1 AND ($2::text = '' OR ", $column, " = $2)
                   AND (coalesce(", $others, ", custom_id, email) IS NOT NULL
                        OR EXISTS (SELECT 1 FROM user_device WHERE user_id = $1))"),
            rename: concat!("
                UPDATE users SET ", $column, " = $1, update_time = now()
                 WHERE ", $column, " = $2
                   AND NOT EXISTS (SELECT 1 FROM users WHERE ", $column, " = $1)"),
        }
    };
    (@first $first:expr $(, $rest:expr)*) => { $first };
}

static APPLE: Description = describe! {
    column: "apple_id",
    others: "facebook_id, facebook_instant_game_id, gamecenter_id, google_id, steam_id",
    name: "Apple", account: "Apple ID"
};

static FACEBOOK: Description = describe! {
    column: "facebook_id",
    others: "apple_id, facebook_instant_game_id, gamecenter_id, google_id, steam_id",
    name: "Facebook", account: "Facebook ID"
};

static INSTANT_GAME: Description = describe! {
    column: "facebook_instant_game_id",
    others: "apple_id, facebook_id, gamecenter_id, google_id, steam_id",
    name: "Facebook Instant Game", account: "Facebook Instant Game ID",
    unconfirmed_sign_in: Status::new(
        Code::DataLoss,
        "Error extracting the Facebook Instant Game player ID or validating the signature",
    )
};

static GAME_CENTER: Description = describe! {
    column: "gamecenter_id",
    others: "apple_id, facebook_id, facebook_instant_game_id, google_id, steam_id",
    name: "GameCenter", account: "GameCenter ID"
};

static GOOGLE: Description = describe! {
    column: "google_id",
    others: "apple_id, facebook_id, facebook_instant_game_id, gamecenter_id, steam_id",
    name: "Google", account: "Google ID", fills_profile: true
};

static STEAM: Description = describe! {
    column: "steam_id",
    others: "apple_id, facebook_id, facebook_instant_game_id, gamecenter_id, google_id",
    name: "Steam", account: "Steam ID"
};

const NO_APPLE: Status =
    Status::new(Code::FailedPrecondition, "Apple authentication is not configured.");
/// The reference takes what anybody signed with an empty secret.
const NO_INSTANT_GAME: Status = Status::new(
    Code::FailedPrecondition,
    "Facebook Instant Game authentication is not configured.",
);
const NO_STEAM: Status =
    Status::new(Code::FailedPrecondition, "Steam authentication is not configured.");

const APPLE_TOKEN: Status = required("Apple ID token is required.");
const FACEBOOK_TOKEN: Status = required("Facebook access token is required.");
const INSTANT_GAME_INFO: Status =
    required("Signed Player Info for a Facebook Instant Game is required.");
const BUNDLE_ID: Status = required("GameCenter bundle ID is required.");
const PLAYER_ID: Status = required("GameCenter player ID is required.");
const PUBLIC_KEY_URL: Status = required("GameCenter public key URL is required.");
const SALT: Status = required("GameCenter salt is required.");
const SIGNATURE: Status = required("GameCenter signature is required.");
const TIMESTAMP: Status = required("GameCenter timestamp is required.");
const GOOGLE_TOKEN: Status = required("Google access token is required.");
const STEAM_TOKEN: Status = required("Steam access token is required.");

const fn required(sentence: &'static str) -> Status {
    Status::new(Code::InvalidArgument, sentence)
}

impl Proof<'_> {
    /// The provider that is to confirm it.
    pub(super) fn description(&self) -> &'static Description {
        match self {
            Self::Apple(_) => &APPLE,
            Self::Facebook(_) => &FACEBOOK,
            Self::InstantGame(_) => &INSTANT_GAME,
            Self::GameCenter(_) => &GAME_CENTER,
            Self::Google(_) => &GOOGLE,
            Self::Steam(_) => &STEAM,
        }
    }

    /// Whether anything is shown, as far as an unlink is concerned.
    pub(super) fn is_shown(&self) -> bool {
        match self {
            Self::GameCenter(signed) => complete(signed).is_ok(),
            Self::Apple(text)
            | Self::Facebook(text)
            | Self::InstantGame(text)
            | Self::Google(text)
            | Self::Steam(text) => !text.is_empty(),
        }
    }

    /// Whether it can be asked about: the provider is configured and all parts are shown.
    ///
    /// # Errors
    /// `FailedPrecondition` or `InvalidArgument`.
    pub(super) fn check(&self, cx: &Cx) -> Result<(), Status> {
        match self {
            Self::Apple(_) if !cx.providers.apple().is_configured() => Err(NO_APPLE),
            Self::Apple("") => Err(APPLE_TOKEN),
            Self::Facebook("") => Err(FACEBOOK_TOKEN),
            Self::InstantGame("") => Err(INSTANT_GAME_INFO),
            Self::InstantGame(_) if !cx.providers.instant_game().is_configured() => {
                Err(NO_INSTANT_GAME)
            }
            Self::GameCenter(signed) => complete(signed),
            Self::Google("") => Err(GOOGLE_TOKEN),
            Self::Steam(_) if !cx.providers.steam().is_configured() => Err(NO_STEAM),
            Self::Steam("") => Err(STEAM_TOKEN),
            _ => Ok(()),
        }
    }

    /// As [`check`](Self::check), in the order of a link.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub(super) fn check_link(&self, cx: &Cx) -> Result<(), Status> {
        match self {
            Self::Steam("") => Err(STEAM_TOKEN),
            _ => self.check(cx),
        }
    }
}

fn complete(signed: &Signed<'_>) -> Result<(), Status> {
    match signed {
        Signed { bundle_id: "", .. } => Err(BUNDLE_ID),
        Signed { player_id: "", .. } => Err(PLAYER_ID),
        Signed { public_key_url: "", .. } => Err(PUBLIC_KEY_URL),
        Signed { salt: "", .. } => Err(SALT),
        Signed { signature: "", .. } => Err(SIGNATURE),
        Signed { timestamp: 0, .. } => Err(TIMESTAMP),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn each_column_stands_for_itself_only() {
        let all = [
            (&APPLE, "apple_id"),
            (&FACEBOOK, "facebook_id"),
            (&INSTANT_GAME, "facebook_instant_game_id"),
            (&GAME_CENTER, "gamecenter_id"),
            (&GOOGLE, "google_id"),
            (&STEAM, "steam_id"),
        ];
        for (provider, own) in all {
            let kept = provider.unlink.split("coalesce(").nth(1).unwrap();
            let kept: Vec<&str> = kept.split(')').next().unwrap().split(", ").collect();
            let mut wanted: Vec<&str> = all.map(|(_, column)| column).to_vec();
            wanted.retain(|column| *column != own);
            wanted.extend(["custom_id", "email"]);
            assert_eq!(kept, wanted);
            for sql in [provider.sign_in, provider.link, provider.unlink, provider.rename] {
                assert!(sql.contains(&format!(" {own} =")), "{sql}");
            }
        }
    }

    #[test]
    fn game_center_shows_all_parts_or_nothing() {
        let whole = Signed {
            player_id: "p",
            bundle_id: "b",
            timestamp: 1,
            salt: "s",
            signature: "g",
            public_key_url: "u",
        };
        assert_eq!(complete(&whole), Ok(()));
        assert_eq!(complete(&Signed { bundle_id: "", player_id: "", ..whole }), Err(BUNDLE_ID));
        assert_eq!(complete(&Signed { timestamp: 0, ..whole }), Err(TIMESTAMP));
        assert!(!Proof::GameCenter(Signed { salt: "", ..whole }).is_shown());
    }
}
