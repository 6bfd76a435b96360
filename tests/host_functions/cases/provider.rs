//! Social networks.

use serde_json::{Value, json};

use super::{Case, fails, gives, runs};
use crate::support::providers::{BUNDLE_ID, CLIENT_ID, Providers};

/// What two players of each provider show, one and two, and what nobody does.
pub(in crate::host_functions) fn proofs(
    providers: &Providers,
    language: &str,
) -> Vec<(String, Value)> {
    let sub = |player: &str| format!("{language}-{player}");
    let apple = |player: &str| {
        let issuer = "https://appleid.apple.com";
        let claims = json!({ "iss": issuer, "aud": BUNDLE_ID, "sub": sub(player) });
        providers.token(claims)
    };
    let google = |player: &str| {
        let issuer = "https://accounts.google.com";
        let claims = json!({ "iss": issuer, "aud": CLIENT_ID, "sub": sub(player) });
        providers.token(claims)
    };
    // A number of its own for each language.
    let steam = |player: u64| {
        let id = 76_561_197_960_000_000 + player + language.len() as u64 * 10;
        providers.steam(id, None)
    };
    let mut proofs: Vec<(String, String)> = Vec::new();
    let mut add = |kind: &str, one: String, two: String, nobody: &str| {
        proofs.push((format!("{kind}_one"), one));
        proofs.push((format!("{kind}_two"), two));
        proofs.push((format!("{kind}_nobody"), nobody.to_owned()));
    };
    add("apple", apple("one"), apple("two"), "x");
    add("google", google("one"), google("two"), "x.y.z");
    let (one, two) = (providers.facebook(&sub("one"), &[]), providers.limited_token(&sub("two")));
    add("facebook", one, two, "x");
    let instant = |player: &str| providers.instant_game(&sub(player));
    add("instant", instant("one"), instant("two"), "x.y");
    add("steam", steam(1), steam(2), "x");
    let mut proofs: Vec<(String, Value)> =
        proofs.into_iter().map(|(name, proof)| (name, proof.into())).collect();
    for player in ["one", "two", "nobody"] {
        let mut signed = providers.game_center(&sub(player));
        if player == "nobody" {
            signed["player_id"] = "somebody".into();
        }
        for (part, value) in signed.as_object().unwrap() {
            proofs.push((format!("gc_{player}_{part}"), value.clone()));
        }
    }
    proofs
}

/// Signs in as a player, again, and wrongly; then another player is linked and unlinked.
fn provider(
    name: &str,
    functions: [&'static str; 3],
    show: impl Fn(&str) -> Vec<Value>,
    after: &[Value],
    linking: &[Value],
) -> Vec<Case> {
    let [authenticate, link, unlink] = functions;
    let with = |before: &[Value], player: &str, after: &[Value]| {
        json!([before, &show(player), after].concat())
    };
    let username = format!("{name}-$language");
    let named = [after, &[json!(username)]].concat();
    let user = [json!("$user")];
    let linker = [&user, linking].concat();
    let known = |created| json!({ "user_id": "$any", "username": username, "created": created });
    vec![
        gives(authenticate, with(&[], "one", &named), known(true)),
        gives(authenticate, with(&[], "one", &[]), known(false)),
        fails(authenticate, with(&[], "nobody", &[]), "rror authenticating: "),
        fails(
            authenticate,
            with(&[], "one", &[after, &[json!("a[]")]].concat()),
            "Username invalid",
        ),
        fails(link, with(&linker, "one", &[]), "is already in use."),
        fails(link, with(&linker, "nobody", &[]), "Could not authenticate"),
        runs(link, with(&linker, "two", &[])),
        fails(unlink, with(&user, "one", &[]), "Cannot unlink last account identifier"),
        runs(unlink, with(&user, "two", &[])),
        runs(unlink, json!(["$user"])),
    ]
}

pub(super) fn cases() -> Vec<Case> {
    let text = |kind: &'static str| move |player: &str| vec![json!(format!("${kind}_{player}"))];
    let signed = |player: &str| {
        let part = |name: &str| json!(format!("$gc_{player}_{name}"));
        vec![
            part("player_id"),
            part("bundle_id"),
            json!(1_460_981_421_303_i64),
            part("salt"),
            part("signature"),
            part("public_key_url"),
        ]
    };
    let import = [json!(true)];
    let username = [json!("ann")];
    [
        provider(
            "apple",
            ["authenticate_apple", "link_apple", "unlink_apple"],
            text("apple"),
            &[],
            &[],
        ),
        provider(
            "facebook",
            ["authenticate_facebook", "link_facebook", "unlink_facebook"],
            text("facebook"),
            &import,
            &username,
        ),
        provider(
            "instant",
            [
                "authenticate_facebook_instant_game",
                "link_facebook_instant_game",
                "unlink_facebook_instant_game",
            ],
            text("instant"),
            &[],
            &[],
        ),
        provider(
            "gamecenter",
            ["authenticate_game_center", "link_gamecenter", "unlink_gamecenter"],
            signed,
            &[],
            &[],
        ),
        provider(
            "google",
            ["authenticate_google", "link_google", "unlink_google"],
            text("google"),
            &[],
            &[],
        ),
        provider(
            "steam",
            ["authenticate_steam", "link_steam", "unlink_steam"],
            text("steam"),
            &import,
            &username,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}
