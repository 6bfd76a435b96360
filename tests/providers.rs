//! Signing in by social networks, against a server of our own that answers as they do.

use serde_json::{Value, json};

use crate::support::{
    SERVER_KEY, Server, Setup,
    providers::{BUNDLE_ID, CLIENT_ID, Providers, Trouble, now_s},
};

const LAST: &str =
    "Cannot unlink last account identifier. Check profile exists and is not last link.";

fn start(providers: &Providers) -> Server {
    providers.setup(Setup::new()).start()
}

fn sign_in(server: &Server, provider: &str, query: &str, proof: &Value) -> crate::support::Answer {
    let path = format!("/v2/account/authenticate/{provider}?{query}");
    server.call("POST", &path, SERVER_KEY, Some(proof))
}

/// The session of a player who is known or made.
#[track_caller]
fn token(server: &Server, provider: &str, proof: &Value) -> String {
    let answer = sign_in(server, provider, "", proof);
    assert_eq!(answer.status, 200, "{provider}: {answer:?}\n{}", server.log());
    answer.text("token")
}

#[track_caller]
fn account(server: &Server, token: &str) -> Value {
    server.get("/v2/account", token).ok()
}

/// The body of a link: that of Steam holds the account.
fn link_body(provider: &str, proof: &Value) -> Value {
    if provider == "steam" { json!({ "account": proof }) } else { proof.clone() }
}

fn id(server: &Server, token: &str) -> Value {
    account(server, token)["user"]["id"].clone()
}

/// A provider as a client meets it.
struct Row {
    provider: &'static str,
    /// Its name in sentences.
    account: &'static str,
    /// The field of the account.
    field: &'static str,
    /// The ids of two players and how they show who they are.
    ann: (&'static str, Value),
    bob: (&'static str, Value),
    wrong: Value,
    /// What a wrong proof gives at sign-in and elsewhere.
    refusals: [(u16, i64, &'static str); 2],
    /// Whether the provider tells an e-mail address, which counts as a way to sign in.
    email: bool,
}

fn rows(providers: &Providers) -> Vec<Row> {
    let by_token = |token: String| json!({ "token": token });
    let mut forged = providers.game_center("G:1");
    forged["player_id"] = "G:2".into();
    let info = |player| json!({ "signed_player_info": providers.instant_game(player) });
    let no = |sentence| [(401, 16, sentence); 2];
    vec![
        Row {
            provider: "apple",
            account: "Apple ID",
            field: "apple_id",
            ann: ("a.1", by_token(providers.apple_token("a.1"))),
            bob: ("a.2", by_token(providers.apple_token("a.2"))),
            wrong: by_token("x".to_owned()),
            refusals: no("Could not authenticate Apple profile."),
            email: true,
        },
        Row {
            provider: "facebook",
            account: "Facebook ID",
            field: "facebook_id",
            ann: ("101", by_token(providers.facebook("101", &[]))),
            bob: ("102", by_token(providers.limited_token("102"))),
            wrong: by_token("x".to_owned()),
            refusals: no("Could not authenticate Facebook profile."),
            email: true,
        },
        Row {
            provider: "facebookinstantgame",
            account: "Facebook Instant Game ID",
            field: "facebook_instant_game_id",
            ann: ("201", info("201")),
            bob: ("202", info("202")),
            wrong: json!({ "signed_player_info": "eA.eA" }),
            refusals: [
                (
                    500,
                    15,
                    "Error extracting the Facebook Instant Game player ID or validating the \
                     signature",
                ),
                (401, 16, "Could not authenticate Facebook Instant Game profile."),
            ],
            email: false,
        },
        Row {
            provider: "gamecenter",
            account: "GameCenter ID",
            field: "gamecenter_id",
            ann: ("G:1", providers.game_center("G:1")),
            bob: ("G:3", providers.game_center("G:3")),
            wrong: forged,
            refusals: no("Could not authenticate GameCenter profile."),
            email: false,
        },
        Row {
            provider: "google",
            account: "Google ID",
            field: "google_id",
            ann: ("301", by_token(providers.google_token("301"))),
            bob: ("302", by_token(providers.google_token("302"))),
            wrong: by_token("x".to_owned()),
            refusals: no("Could not authenticate Google profile."),
            email: true,
        },
        Row {
            provider: "steam",
            account: "Steam ID",
            field: "steam_id",
            ann: ("76561197960435530", by_token(providers.steam(76561197960435530, None))),
            bob: ("76561197960435531", by_token(providers.steam(76561197960435531, None))),
            wrong: by_token("x".to_owned()),
            refusals: no("Could not authenticate Steam profile."),
            email: false,
        },
    ]
}

#[test]
fn every_provider_signs_in_links_and_unlinks() {
    let providers = Providers::start();
    let server = start(&providers);
    for row in rows(&providers) {
        let Row { provider, account: name, field, .. } = row;
        let (link, unlink) =
            (format!("/v2/account/link/{provider}"), format!("/v2/account/unlink/{provider}"));

        let unknown = sign_in(&server, provider, "create=false", &row.ann.1).refused();
        assert_eq!(unknown, (404, 5, "User account not found.".to_owned()), "{provider}");
        let username = format!("ann-{provider}");
        let made = sign_in(&server, provider, &format!("username={username}"), &row.ann.1);
        let made_token = made.text("token");
        assert_eq!(made.ok()["created"], true, "{provider}");
        let again = sign_in(&server, provider, "username=other", &row.ann.1);
        let again_token = again.text("token");
        assert_eq!(again.ok()["created"], Value::Null, "{provider}");
        let ann = account(&server, &made_token);
        assert_eq!(ann, account(&server, &again_token), "{provider}");
        assert_eq!(ann["user"][field], row.ann.0, "{provider}");
        assert_eq!(ann["user"]["username"], username.as_str(), "{provider}");
        let taken = sign_in(&server, provider, &format!("username={username}"), &row.bob.1);
        let username_taken = (409, 6, "Username is already in use.".to_owned());
        assert_eq!(taken.refused(), username_taken, "{provider}");

        let [at_sign_in, elsewhere] =
            row.refusals.map(|(status, code, text)| (status, code, text.to_owned()));
        assert_eq!(sign_in(&server, provider, "", &row.wrong).refused(), at_sign_in);
        assert_eq!(
            server.post(&link, &made_token, link_body(provider, &row.wrong)).refused(),
            elsewhere
        );
        assert_eq!(server.post(&unlink, &made_token, row.wrong).refused(), elsewhere);

        let bob = server.sign_in(&format!("bob-{provider}"));
        let taken = server.post(&link, &bob, link_body(provider, &row.ann.1)).refused();
        assert_eq!(taken, (409, 6, format!("{name} is already in use.")));
        server.post(&link, &bob, link_body(provider, &row.bob.1)).ok();
        assert_eq!(account(&server, &bob)["user"][field], row.bob.0, "{provider}");
        let by_provider = token(&server, provider, &row.bob.1);
        assert_eq!(id(&server, &by_provider), id(&server, &bob), "{provider}");
        // Linking once more is fine, and so is linking another player in place of the first.
        server.post(&link, &bob, link_body(provider, &row.bob.1)).ok();

        let another = server.post(&unlink, &bob, row.ann.1.clone()).refused();
        assert_eq!(another, (403, 7, LAST.to_owned()), "{provider}");
        server.post(&unlink, &bob, row.bob.1).ok();
        assert_eq!(account(&server, &bob)["user"][field], Value::Null, "{provider}");
        let last = server.post(&unlink, &made_token, json!({}));
        assert_eq!(last.status, if row.email { 200 } else { 403 }, "{provider}: {last:?}");
    }
}

#[test]
fn a_profile_comes_with_the_player() {
    let providers = Providers::start();
    let server = start(&providers);
    let google = json!({ "token": providers.google_token("Gia") });
    let gia = account(&server, &token(&server, "google", &google));
    assert_eq!(gia["user"]["display_name"], "Google Gia");
    assert_eq!(gia["user"]["avatar_url"], "https://google.example/Gia.png");
    assert_eq!(gia["email"], "gia@gmail.example");

    // An address that another account has stays there.
    let claims = json!({
        "iss": "https://appleid.apple.com", "aud": "com.example.web", "sub": "a.9",
        "email": "gia@gmail.example", "email_verified": true,
    });
    let apple = json!({ "token": providers.token(claims) });
    let other = account(&server, &token(&server, "apple", &apple));
    assert_eq!(other["email"], Value::Null);

    // A link fills in what the account lacks and leaves what it has; the address is taken over.
    let dan = server.sign_in("dan");
    server.put("/v2/account", &dan, json!({ "display_name": "Dan" })).ok();
    let facebook = json!({ "token": providers.facebook("dan", &[]) });
    server.post("/v2/account/link/facebook", &dan, facebook).ok();
    let linked = account(&server, &dan);
    assert_eq!(linked["user"]["display_name"], "Dan");
    assert_eq!(linked["user"]["avatar_url"], "https://facebook.example/dan.jpg");
    assert_eq!(linked["email"], "dan@facebook.example");

    // A sign-in with Google fills in, too.
    let eve = server.sign_in("eve");
    let claims = |name: &str, picture: &str| {
        json!({
            "iss": "accounts.google.com", "aud": CLIENT_ID, "sub": "303", "name": name,
            "picture": picture, "email": "eve@gmail.example", "email_verified": false,
        })
    };
    let bare = json!({ "token": providers.token(claims(&"x".repeat(256), "")) });
    server.post("/v2/account/link/google", &eve, bare).ok();
    let linked = account(&server, &eve);
    assert_eq!((&linked["user"]["display_name"], &linked["email"]), (&Value::Null, &Value::Null));
    let full = json!({ "token": providers.token(claims("Eve", "https://google.example/e.png")) });
    token(&server, "google", &full);
    let filled = account(&server, &eve);
    assert_eq!(filled["user"]["display_name"], "Eve");
    assert_eq!(filled["user"]["avatar_url"], "https://google.example/e.png");
}

#[test]
fn a_token_counts_only_if_it_is_signed_for_us_and_still_good() {
    let providers = Providers::start();
    let server = start(&providers);
    let good = json!({ "iss": "https://appleid.apple.com", "aud": BUNDLE_ID, "sub": "a.1" });
    let changed = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        providers.token(claims)
    };
    let whole = providers.token(good.clone());
    let (head, signature) = whole.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let wrong = [
        changed("exp", (now_s() - 60).into()),
        changed("nbf", (now_s() + 600).into()),
        changed("aud", "com.example.other".into()),
        changed("aud", Value::Null),
        changed("iss", "https://accounts.google.com".into()),
        changed("iss", Value::Null),
        changed("sub", "".into()),
        format!("{head}.{flipped}{}", &signature[1..]),
        format!("{head}."),
        head.to_owned(),
        "x.y.z".to_owned(),
    ];
    for token in wrong {
        let answer = sign_in(&server, "apple", "", &json!({ "token": token })).refused();
        let refused = "Could not authenticate Apple profile.".to_owned();
        assert_eq!(answer, (401, 16, refused), "{token}");
    }
    assert_eq!(sign_in(&server, "apple", "", &json!({ "token": whole })).status, 200);
    assert_eq!(providers.requests("/apple/keys").len(), 1, "keys are kept");

    let other = json!({ "iss": "accounts.google.com", "aud": "other.app", "sub": "1" });
    let answer = sign_in(&server, "google", "", &json!({ "token": providers.token(other) }));
    assert_eq!(answer.status, 401);
    let other = json!({ "iss": "https://www.facebook.com", "aud": "other", "sub": "1" });
    let answer = sign_in(&server, "facebook", "", &json!({ "token": providers.token(other) }));
    assert_eq!(answer.status, 401);
}

#[test]
fn new_keys_are_fetched_but_not_for_every_made_up_one() {
    let providers = Providers::start();
    let server = start(&providers);
    token(&server, "apple", &json!({ "token": providers.apple_token("a.1") }));
    providers.change_keys("key-2");
    token(&server, "apple", &json!({ "token": providers.apple_token("a.2") }));
    assert_eq!(providers.requests("/apple/keys").len(), 2);
    let made_up = {
        providers.change_keys("made-up");
        let token = providers.apple_token("a.3");
        providers.change_keys("key-2");
        json!({ "token": token })
    };
    for _ in 0..20 {
        assert_eq!(sign_in(&server, "apple", "", &made_up).status, 401);
    }
    let fetches = providers.requests("/apple/keys").len();
    assert!((3..=7).contains(&fetches), "{fetches}");
    token(&server, "apple", &json!({ "token": providers.apple_token("a.2") }));
}

#[test]
fn a_provider_in_trouble_is_asked_again_but_not_for_ever() {
    let providers = Providers::start();
    let server = start(&providers);
    let path = "/steam/ISteamUserAuth/AuthenticateUserTicket/v1/";
    let proof = json!({ "token": providers.steam(76561197960435530, None) });
    providers.fail(path, Trouble::Status(500));
    providers.fail(path, Trouble::Hangup);
    token(&server, "steam", &proof);
    assert_eq!(providers.requests(path).len(), 3);

    for trouble in [Trouble::Silence, Trouble::Status(503), Trouble::Status(429)] {
        providers.fail(path, trouble);
    }
    let refused = (401, 16, "Could not authenticate Steam profile.".to_owned());
    assert_eq!(sign_in(&server, "steam", "", &proof).refused(), refused);
    assert_eq!(providers.requests(path).len(), 6);
    assert!(server.log().contains("Steam cannot be asked: status 429"), "{}", server.log());
    assert!(!server.log().contains("publisher"), "no secret in the log");

    // A provider that answers no is not asked again.
    let unknown = json!({ "token": "unknown" });
    assert_eq!(sign_in(&server, "steam", "", &unknown).refused(), refused);
    assert_eq!(providers.requests(path).len(), 7);
    token(&server, "steam", &proof);
}

#[test]
fn a_player_of_google_play_games_keeps_the_account_under_a_new_id() {
    let providers = Providers::start();
    let server = start(&providers);
    let old = token(&server, "google", &json!({ "token": providers.google_token("old-1") }));
    let code = json!({ "token": providers.google_code("new-1", "old-1") });
    let new = token(&server, "google", &code);
    assert_eq!(id(&server, &old), id(&server, &new));
    assert_eq!(account(&server, &new)["user"]["google_id"], "new-1");
    let exchanged = &providers.requests("/google/oauth")[0];
    assert!(exchanged.contains("redirect_uri=https%3A%2F%2Fgame.example"), "{exchanged}");
}

#[test]
fn game_center_keys_come_from_apple_only() {
    let providers = Providers::start();
    let server = Setup::new().start();
    // Here the server is not told to trust the address.
    let answer = sign_in(&server, "gamecenter", "", &providers.game_center("G:1")).refused();
    assert_eq!(answer, (401, 16, "Could not authenticate GameCenter profile.".to_owned()));
    assert_eq!(providers.requests("/game-center/key.cer").len(), 0);
}

#[test]
fn a_provider_that_is_not_configured_signs_nobody_in() {
    let server = Setup::new().start();
    for (provider, body, sentence) in [
        ("apple", json!({ "token": "x" }), "Apple authentication is not configured."),
        ("steam", json!({ "token": "x" }), "Steam authentication is not configured."),
        (
            "facebookinstantgame",
            json!({ "signed_player_info": "x.y" }),
            "Facebook Instant Game authentication is not configured.",
        ),
    ] {
        let refused = (400, 9, sentence.to_owned());
        assert_eq!(sign_in(&server, provider, "", &body).refused(), refused);
        let user = server.sign_in(&format!("user-{provider}"));
        let body = link_body(provider, &body);
        let linked = server.post(&format!("/v2/account/link/{provider}"), &user, body);
        assert_eq!(linked.refused(), refused);
    }
}

#[test]
fn friends_at_the_provider_become_friends_here() {
    let providers = Providers::start();
    let server = start(&providers);
    let friends = |token: &str| -> Vec<String> {
        let list = server.get("/v2/friend", token).ok();
        let name = |friend: &Value| friend["user"]["username"].as_str().unwrap().to_owned();
        let mut names: Vec<String> =
            list["friends"].as_array().into_iter().flatten().map(name).collect();
        names.sort();
        names
    };
    let session = |provider: &str, query: &str, token: String| {
        sign_in(&server, provider, query, &json!({ "token": token })).text("token")
    };
    let ann = session("facebook", "username=ann", providers.facebook("f1", &[]));
    let bob = session("facebook", "username=bob", providers.facebook("f2", &["f1"]));
    assert_eq!(friends(&bob), Vec::<String>::new(), "not without being asked to");
    // Over two pages, with one who does not play here.
    let token = providers.facebook("f3", &["f1", "f9", "f2"]);
    let carl = session("facebook", "username=carl&sync=true", token);
    assert_eq!(friends(&carl), ["ann", "bob"]);
    assert_eq!(friends(&ann), ["carl"]);
    assert_eq!(providers.requests("/graph/me/friends").len(), 2);

    let dora = session("steam", "username=dora", providers.steam(76561197960265801, None));
    let link = |user: &str, ticket: String, sync: Value| {
        let body = json!({ "account": { "token": ticket }, "sync": sync });
        server.post("/v2/account/link/steam", user, body).ok();
    };
    // A link asks for friends unless told otherwise; private ones are none.
    let ticket = providers.steam(76561197960265802, Some(&[76561197960265801]));
    link(&ann, ticket, Value::Null);
    assert_eq!(friends(&dora), ["ann"]);
    link(&bob, providers.steam(76561197960265803, Some(&[76561197960265801])), json!(false));
    link(&carl, providers.steam(76561197960265804, None), Value::Null);
    assert_eq!(friends(&dora), ["ann"]);

    // Friends that cannot be had do not keep anybody out.
    for _ in 0..3 {
        providers.fail("/graph/me/friends", Trouble::Status(500));
    }
    session("facebook", "username=eve&sync=true", providers.facebook("f4", &["f1"]));
}
