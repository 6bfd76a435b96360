//! A server in the place of the social networks and stores, for one test.
//!
//! It answers with what they answered when they were asked, in the form that they document: an
//! answer stands for a path and a text that the request holds, such as its token. What no answer
//! stands for is refused in the words of the provider. Keys and certificates are its own.

pub mod receipts;

use std::{
    collections::VecDeque,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    sync::{Arc, LazyLock, Mutex},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rsa::{
    Pkcs1v15Sign, RsaPrivateKey,
    pkcs8::DecodePrivateKey as _,
    sha2::{Digest as _, Sha256},
    traits::PublicKeyParts as _,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Setup;
use receipts::AppleChain;

/// The key of Apple, Facebook, Google, Game Center and Huawei alike.
pub const KEY: &str = include_str!("key.pem");
/// The secret of the Facebook Instant Game, and of its shop.
pub const SECRET: &str = "instant-secret";
/// The bundle id at Apple.
pub const BUNDLE_ID: &str = "com.example.game";
/// The client id at Google.
pub const CLIENT_ID: &str = "game.apps.googleusercontent.example";

static RSA: LazyLock<RsaPrivateKey> = LazyLock::new(|| RsaPrivateKey::from_pkcs8_pem(KEY).unwrap());

/// A running server. It ends with the test.
pub struct Providers {
    pub port: u16,
    pub apple: AppleChain,
    state: Arc<Mutex<State>>,
    folder: TempDir,
}

#[derive(Default)]
struct State {
    /// Path, text that the request holds, status and body; the last one wins.
    answers: Vec<(String, String, u16, Body)>,
    /// What goes wrong next: the path and how.
    troubles: VecDeque<(String, Trouble)>,
    /// All requests: path, then query and body.
    requests: Vec<(String, String)>,
    kid: String,
}

#[derive(Clone)]
enum Body {
    Json(Value),
    Bytes(Vec<u8>),
}

/// How a request fails.
#[derive(Clone, Copy)]
pub enum Trouble {
    /// With this status.
    Status(u16),
    /// The connection ends without an answer.
    Hangup,
    /// No answer for longer than the server waits.
    Silence,
}

impl Providers {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State { kid: "key-1".to_owned(), ..State::default() }));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let state = Arc::clone(&shared);
                thread::spawn(move || serve(stream.unwrap(), &state));
            }
        });
        let folder = tempfile::Builder::new().prefix("guildhall-providers-").tempdir().unwrap();
        let providers = Self { port, apple: AppleChain::new(), state, folder };
        std::fs::write(providers.root_file(), &providers.apple.root_pem).unwrap();
        providers.bytes("/game-center/key.cer", "", 200, receipts::certificate(KEY));
        providers
    }

    /// The flags that lead a server here, with credentials for every provider.
    pub fn setup(&self, setup: Setup) -> Setup {
        let credentials = json!({ "web": {
            "client_id": CLIENT_ID, "client_secret": "client-secret",
            "redirect_uris": ["https://game.example"],
            "token_uri": self.url("/google/oauth"),
        } });
        let flags = [
            ("providers.timeout_ms", "1500".to_owned()),
            ("providers.facebook_graph_url", self.url("/graph")),
            ("providers.facebook_keys_url", self.url("/facebook/keys")),
            ("providers.apple_keys_url", self.url("/apple/keys")),
            ("providers.google_keys_url", self.url("/google/keys")),
            ("providers.google_games_url", self.url("/games")),
            ("providers.steam_url", self.url("/steam")),
            ("providers.game_center_hosts", self.url("")),
            ("social.apple.bundle_id", format!("com.example.web, {BUNDLE_ID}")),
            ("social.google.client_ids", CLIENT_ID.to_owned()),
            ("social.facebook_limited_login.app_id", "1234".to_owned()),
            ("social.facebook_instant_game.app_secret", SECRET.to_owned()),
            ("social.steam.publisher_key", "publisher".to_owned()),
            ("social.steam.app_id", "480".to_owned()),
            ("google_auth.credentials_json", credentials.to_string()),
        ];
        let flags = flags.into_iter().chain(self.store_flags());
        flags.fold(setup, |setup, (key, value)| setup.flag(format!("--{key}={value}")))
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Signs the App Store's transactions by another chain, whose root servers started later trust.
    pub fn trust(&mut self, chain: AppleChain) {
        std::fs::write(self.root_file(), &chain.root_pem).unwrap();
        self.apple = chain;
    }

    fn root_file(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }

    /// What is answered on `path` where query or body hold `holding`.
    pub fn answer(&self, path: &str, holding: &str, status: u16, body: Value) {
        self.put(path, holding, status, Body::Json(body));
    }

    pub fn bytes(&self, path: &str, holding: &str, status: u16, body: Vec<u8>) {
        self.put(path, holding, status, Body::Bytes(body));
    }

    fn put(&self, path: &str, holding: &str, status: u16, body: Body) {
        let answer = (path.to_owned(), holding.to_owned(), status, body);
        self.state.lock().unwrap().answers.push(answer);
    }

    /// The next request for `path` fails so.
    pub fn fail(&self, path: &str, trouble: Trouble) {
        self.state.lock().unwrap().troubles.push_back((path.to_owned(), trouble));
    }

    /// Queries and bodies of the requests for `path` so far.
    pub fn requests(&self, path: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.requests.iter().filter(|it| it.0 == path).map(|it| it.1.clone()).collect()
    }

    /// From now on keys have this name.
    pub fn change_keys(&self, kid: &str) {
        self.state.lock().unwrap().kid = kid.to_owned();
    }

    /// A token with these claims, signed with the key of now; issued now and good for an hour where
    /// they do not say.
    pub fn token(&self, claims: Value) -> String {
        let now = now_s();
        let mut all = json!({ "iat": now, "exp": now + 3600 });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(self.state.lock().unwrap().kid.clone());
        jsonwebtoken::encode(&header, &all, &EncodingKey::from_rsa_pem(KEY.as_bytes()).unwrap())
            .unwrap()
    }

    /// An ID token of Apple.
    pub fn apple_token(&self, sub: &str) -> String {
        self.token(json!({
            "iss": "https://appleid.apple.com", "aud": BUNDLE_ID, "sub": sub,
            "email": format!("{sub}@Apple.example"), "email_verified": "true",
        }))
    }

    /// An ID token of Google.
    pub fn google_token(&self, sub: &str) -> String {
        self.token(json!({
            "iss": "https://accounts.google.com", "aud": CLIENT_ID, "azp": CLIENT_ID, "sub": sub,
            "email": format!("{sub}@gmail.example"), "email_verified": true,
            "name": format!("Google {sub}"), "picture": format!("https://google.example/{sub}.png"),
        }))
    }

    /// A token of Facebook Limited Login.
    pub fn limited_token(&self, sub: &str) -> String {
        self.token(json!({
            "iss": "https://www.facebook.com", "aud": "1234", "sub": sub,
            "name": format!("Limited {sub}"),
        }))
    }

    /// An access token of Facebook whose owner has these friends, in pages of two.
    pub fn facebook(&self, id: &str, friends: &[&str]) -> String {
        let token = format!("facebook-token-of-{id}");
        let person = json!({
            "id": id, "name": format!("Facebook {id}"), "email": format!("{id}@facebook.example"),
            "picture": { "data": {
                "height": 50, "is_silhouette": false, "width": 50,
                "url": format!("https://facebook.example/{id}.jpg"),
            } },
        });
        self.answer("/graph/me", &token, 200, person);
        let pages: Vec<&[&str]> =
            if friends.is_empty() { vec![&[]] } else { friends.chunks(2).collect() };
        for (page, friends) in pages.iter().enumerate() {
            let data: Vec<Value> =
                friends.iter().map(|id| json!({ "id": id, "name": "A friend" })).collect();
            let cursors = json!({ "before": format!("B{page}"), "after": format!("A{page}") });
            let mut paging = json!({ "cursors": cursors });
            if page + 1 < pages.len() {
                paging["next"] = "https://graph.facebook.com/next".into();
            }
            let query = match page {
                0 => token.clone(),
                page => format!("{token}&after=A{}", page - 1),
            };
            let list = json!({ "data": data, "paging": paging });
            self.answer("/graph/me/friends", &query, 200, list);
        }
        token
    }

    /// A session ticket of Steam, whose owner has these friends; private ones for `None`.
    pub fn steam(&self, id: u64, friends: Option<&[u64]>) -> String {
        let ticket = format!("14000000{id:x}");
        let params = json!({
            "result": "OK", "steamid": id.to_string(), "ownersteamid": id.to_string(),
            "vacbanned": false, "publisherbanned": false,
        });
        let path = "/steam/ISteamUserAuth/AuthenticateUserTicket/v1/";
        let query = format!("format=json&key=publisher&appid=480&ticket={ticket}");
        self.answer(path, &query, 200, json!({ "response": { "params": params } }));
        let path = "/steam/ISteamUser/GetFriendList/v0001/";
        let query = format!("key=publisher&steamid={id}&relationship=friend");
        match friends {
            Some(friends) => {
                let friend = |id: &u64| json!({ "steamid": id.to_string(), "relationship": "friend", "friend_since": 1 });
                let friends: Vec<Value> = friends.iter().map(friend).collect();
                self.answer(path, &query, 200, json!({ "friendslist": { "friends": friends } }));
            }
            None => self.answer(path, &query, 401, json!({})),
        }
        ticket
    }

    /// What Game Center gives a player, as the body of a request.
    pub fn game_center(&self, player: &str) -> Value {
        let (salt, timestamp) = (b"salt".as_slice(), 1_460_981_421_303_i64);
        let mut digest = Sha256::new();
        digest.update(player);
        digest.update(BUNDLE_ID);
        digest.update(timestamp.to_be_bytes());
        digest.update(salt);
        let signature = RSA.sign(Pkcs1v15Sign::new::<Sha256>(), &digest.finalize()).unwrap();
        json!({
            "player_id": player, "bundle_id": BUNDLE_ID, "timestamp_seconds": timestamp,
            "salt": STANDARD.encode(salt), "signature": STANDARD.encode(signature),
            "public_key_url": self.url("/game-center/key.cer"),
        })
    }

    /// The signed player information of a Facebook Instant Game.
    pub fn instant_game(&self, player: &str) -> String {
        signed(&json!({ "algorithm": "HMAC-SHA256", "issued_at": now_s(), "player_id": player,
            "request_payload": "" }))
    }

    /// An authorization code of Google Play Games.
    pub fn google_code(&self, player: &str, former: &str) -> String {
        let (code, token) = (format!("4/code-{player}"), format!("ya29.{player}"));
        let answer = json!({
            "access_token": token, "expires_in": 3599, "token_type": "Bearer",
            "scope": "https://www.googleapis.com/auth/games_lite",
        });
        self.answer("/google/oauth", &code.replace('/', "%2F"), 200, answer);
        let player = json!({
            "kind": "games#player", "playerId": player, "originalPlayerId": former,
            "displayName": format!("Player {player}"),
            "avatarImageUrl": format!("https://google.example/{player}.png"),
        });
        self.answer("/games/players/me", &token, 200, player);
        code
    }
}

/// `signature.payload`, as Facebook Instant Games have it.
pub fn signed(payload: &Value) -> String {
    let payload = URL_SAFE_NO_PAD.encode(payload.to_string());
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(payload.as_bytes());
    format!("{}.{payload}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

pub fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed()
}

/// Answers one request and closes.
fn serve(mut stream: TcpStream, state: &Mutex<State>) {
    let Some((path, rest)) = read(&mut stream) else { return };
    let (trouble, answer) = {
        let mut state = state.lock().unwrap();
        state.requests.push((path.clone(), rest.clone()));
        let trouble = state.troubles.iter().position(|it| it.0 == path);
        let trouble = trouble.and_then(|at| state.troubles.remove(at)).map(|it| it.1);
        let found = state.answers.iter().rev().find(|it| it.0 == path && rest.contains(&it.1));
        let answer = found.map(|it| (it.2, it.3.clone()));
        (trouble, answer.unwrap_or_else(|| refusal(&path, &state.kid)))
    };
    let (status, body) = match trouble {
        Some(Trouble::Hangup) => return,
        Some(Trouble::Silence) => {
            // Longer than providers.timeout_ms in `setup`.
            thread::sleep(Duration::from_secs(3));
            return;
        }
        Some(Trouble::Status(status)) => (status, Body::Json(json!({ "error": "trouble" }))),
        None => answer,
    };
    let (kind, body) = match body {
        Body::Json(value) => ("application/json", value.to_string().into_bytes()),
        Body::Bytes(bytes) => ("application/octet-stream", bytes),
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncache-control: public, max-age=300\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}

/// The path of a request, and its query and body.
fn read(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut request = Vec::new();
    let mut chunk = [0; 16_384];
    loop {
        let count = stream.read(&mut chunk).ok().filter(|count| *count > 0)?;
        request.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
        });
        if body.len() < length.unwrap_or(0) {
            continue;
        }
        let target = head.split(' ').nth(1)?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let authorization =
            head.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization:"));
        let rest = format!("{query}\n{}\n{body}", authorization.unwrap_or_default());
        return Some((path.to_owned(), rest));
    }
}

/// What a provider says to what it does not know.
fn refusal(path: &str, kid: &str) -> (u16, Body) {
    let unknown = |status, value| (status, Body::Json(value));
    match path {
        "/apple/keys" | "/facebook/keys" | "/google/keys" => {
            let number = |bytes: Vec<u8>| URL_SAFE_NO_PAD.encode(bytes);
            let key = json!({
                "kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256",
                "n": number(RSA.n().to_bytes_be()), "e": number(RSA.e().to_bytes_be()),
            });
            unknown(200, json!({ "keys": [key] }))
        }
        path if path.starts_with("/graph/") => unknown(
            400,
            json!({ "error": {
                "message": "Invalid OAuth access token - Cannot parse access token",
                "type": "OAuthException", "code": 190, "fbtrace_id": "A2Wq",
            } }),
        ),
        path if path.starts_with("/steam/ISteamUserAuth/") => {
            let error = json!({ "errorcode": 101, "errordesc": "Invalid ticket" });
            unknown(200, json!({ "response": { "error": error } }))
        }
        "/google/oauth" => unknown(
            400,
            json!({ "error": "invalid_grant", "error_description": "Malformed auth code." }),
        ),
        path => receipts::refusal(path)
            .map_or_else(|| unknown(404, json!({})), |(status, value)| unknown(status, value)),
    }
}
