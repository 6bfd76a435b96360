//! Friends from other networks, against a server of our own that answers as they do.

use serde_json::{Value, json};

use crate::support::{SERVER_KEY, Server, Setup, bearer, providers::Providers};

/// The session of a player whom the network knows.
#[track_caller]
fn sign_in(server: &Server, network: &str, name: &str, token: &str) -> String {
    let path = format!("/v2/account/authenticate/{network}?sync=false&username={name}");
    server.call("POST", &path, SERVER_KEY, Some(&json!({ "token": token }))).text("token")
}

/// The username, state and metadata of everybody with whom a player has to do.
#[track_caller]
fn friends(server: &Server, token: &str) -> Vec<(String, i64, String)> {
    let list = server.get("/v2/friend", token).ok();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let friends = list["friends"].as_array().cloned().unwrap_or_default();
    let friends = friends.iter().map(|friend| {
        let state = friend["state"].as_i64().unwrap();
        (text(&friend["user"]["username"]), state, text(&friend["metadata"]))
    });
    friends.collect()
}

#[test]
fn friends_come_from_facebook_and_steam_but_not_over_a_block() {
    let providers = Providers::start();
    let server = providers.setup(Setup::new()).start();
    let import = |network: &str, query: &str, token: &str, proof: &str| {
        let path = format!("/v2/friend/{network}{query}");
        server.post(&path, token, json!({ "token": proof }))
    };
    let ann = server.sign_in("ann");
    let bob = sign_in(&server, "facebook", "bob", &providers.facebook("fb-bob", &[]));
    sign_in(&server, "facebook", "cyd", &providers.facebook("fb-cyd", &[]));
    let dan = sign_in(&server, "facebook", "dan", &providers.facebook("fb-dan", &[]));
    let eve = sign_in(&server, "steam", "eve", &providers.steam(5005, Some(&[])));
    server.call("POST", "/v2/friend?usernames=ann", &bearer(&eve), None).ok();
    server.call("POST", "/v2/friend/block?usernames=cyd", &bearer(&ann), None).ok();
    server.call("POST", "/v2/friend/block?usernames=ann", &bearer(&dan), None).ok();

    let on_facebook = providers.facebook("fb-ann", &["fb-nobody", "fb-cyd", "fb-bob", "fb-dan"]);
    let friend = |name: &str, state, metadata: &str| (name.to_owned(), state, metadata.to_owned());
    let blocked = friend("cyd", 3, "{}");
    let from_facebook = friend("bob", 0, r#"{"provider": "facebook"}"#);
    let from_steam = friend("eve", 0, r#"{"provider": "steam"}"#);
    for _ in 0..2 {
        assert_eq!(import("facebook", "", &ann, &on_facebook).ok(), json!({}));
        let invited = friend("eve", 2, "{}");
        assert_eq!(friends(&server, &ann), [from_facebook.clone(), invited, blocked.clone()]);
    }
    let told = server.get("/v2/notification?limit=10", &bob).ok()["notifications"].take();
    let told = told.as_array().unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["code"], -6);
    assert_eq!(told[0]["subject"], "Your friend has just joined the game");
    assert_eq!(told[0]["content"], r#"{"username": "ann"}"#);

    // An invitation counts as accepted; the friend there is, is kept.
    let on_steam = providers.steam(4004, Some(&[5005, 6006]));
    import("steam", "", &ann, &on_steam).ok();
    assert_eq!(friends(&server, &ann), [from_steam, from_facebook, blocked.clone()]);

    // A reset takes all friends away, but no block, even where the new ones are not shown.
    let in_private = providers.steam(7007, None);
    import("steam", "?reset=true", &ann, &in_private).ok();
    assert_eq!(friends(&server, &ann), [blocked]);
    assert_eq!(friends(&server, &bob), []);
    assert_eq!(friends(&server, &dan), [friend("ann", 3, "{}")]);
    let account = server.get("/v2/account", &ann).ok();
    assert_eq!(account["user"]["edge_count"], 1);

    let refusals = [
        ("facebook", "wrong", (401, 16, "Could not authenticate Facebook profile.".to_owned())),
        ("steam", "wrong", (401, 16, "Could not authenticate Steam profile.".to_owned())),
        ("facebook", "", (400, 3, "Facebook token is required.".to_owned())),
        ("steam", "", (400, 3, "Steam token is required.".to_owned())),
    ];
    for (network, proof, refusal) in refusals {
        assert_eq!(import(network, "?reset=true", &ann, proof).refused(), refusal, "{network}");
    }
    assert_eq!(friends(&server, &dan), [friend("ann", 3, "{}")]);
}
