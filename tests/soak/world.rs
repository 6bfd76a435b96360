//! What the clients of the soak share: who they are, where they can meet, and what was found wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use rand::{Rng, rngs::StdRng};

use super::{
    view::{Kind, View},
    wire::request,
};

/// The server key as HTTP Basic has it: `defaultkey:`.
const SERVER_KEY: &str = "Basic ZGVmYXVsdGtleTo=";
/// Findings that are printed.
const PRINTED: usize = 20;
/// How many matches and parties are known to all.
const KNOWN: usize = 40;

/// A user, who may have several clients.
#[derive(Clone, Debug)]
pub struct User {
    pub name: String,
    pub id: String,
    pub token: String,
}

/// What all clients are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Whatever they like.
    Play,
    /// Stop, and say what they know, at the request of this number.
    Tell(u32),
    /// Send marks to all places where they are.
    Mark(u32),
    /// Leave everything.
    Leave(u32),
    /// End.
    End,
}

/// What a client has to say, if it is connected.
#[derive(Debug)]
pub struct Told {
    pub client: usize,
    pub request: Phase,
    pub view: Option<View>,
    pub history: Option<Arc<Mutex<History>>>,
}

/// What the soak is run with.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub seed: u64,
    pub sockets: usize,
    /// The mean time between two things that a client does (ms).
    pub pause_ms: u64,
    pub port: u16,
    pub metrics_port: u16,
    pub has_native: bool,
    /// One socket a user, one match and one party a session.
    pub single: bool,
    /// How long they play at a time.
    pub round: Duration,
}

/// What the clients share.
pub struct World {
    pub plan: Plan,
    users: Mutex<Vec<User>>,
    /// Ids of accounts, the deleted ones too.
    ids: Mutex<BTreeSet<String>>,
    pub groups: Vec<String>,
    /// Matches and parties that somebody made; they may have ended.
    known: Mutex<BTreeMap<Kind, Vec<String>>>,
    natives: Mutex<BTreeSet<String>>,
    /// Sessions that the server was asked to end.
    doomed: Mutex<BTreeSet<String>>,
    found: AtomicU64,
    /// Things done, by what they are and how they ended.
    pub done: Mutex<BTreeMap<String, u64>>,
}

impl World {
    /// Signs the users in and makes the groups.
    pub async fn new(plan: Plan) -> Self {
        // One user in four has two sockets.
        let count = (plan.sockets * 4 / 5).max(1);
        let mut users = Vec::with_capacity(count);
        for number in 0..count {
            users.push(sign_in(plan.port, &format!("soak{number:04}")).await);
        }
        let mut groups = Vec::new();
        for user in users.iter().take((count / 20).max(1)) {
            let group = serde_json::json!({
                "name": format!("group of {}", user.name), "open": true, "max_count": 10_000,
            });
            let auth = format!("Bearer {}", user.token);
            let (status, made) =
                request(plan.port, "POST", "/v2/group", &auth, Some(&group)).await.unwrap();
            assert_eq!(status, 200, "{made}");
            groups.push(made["id"].as_str().unwrap().to_owned());
        }
        Self {
            plan,
            ids: Mutex::new(users.iter().map(|user| user.id.clone()).collect()),
            users: Mutex::new(users),
            groups,
            known: Mutex::default(),
            natives: Mutex::default(),
            doomed: Mutex::default(),
            found: AtomicU64::new(0),
            done: Mutex::default(),
        }
    }

    /// Lets others know of a match or a party.
    pub fn publish(&self, kind: Kind, id: &str, rng: &mut StdRng) {
        let mut known = self.known.lock();
        let ids = known.entry(kind).or_default();
        if ids.iter().any(|known| known == id) {
            return;
        }
        if ids.len() < KNOWN.max(self.plan.sockets / 10) {
            ids.push(id.to_owned());
        } else {
            let at = rng.random_range(0..ids.len());
            ids[at] = id.to_owned();
        }
    }

    /// A match or a party that somebody made.
    pub fn any(&self, kind: Kind, rng: &mut StdRng) -> Option<String> {
        let known = self.known.lock();
        let ids = known.get(&kind)?;
        Some(ids[rng.random_range(0..ids.len())].clone())
    }

    /// Nobody finds a match or a party any more that has ended.
    pub fn unpublish(&self, kind: Kind, id: &str) {
        let mut known = self.known.lock();
        let Some(ids) = known.get_mut(&kind) else { return };
        ids.retain(|known| known != id);
        if ids.is_empty() {
            known.remove(&kind);
        }
    }

    /// Notes that a native handler runs a match.
    pub fn add_native(&self, id: &str) {
        self.natives.lock().insert(id.to_owned());
    }

    pub fn is_native(&self, id: &str) -> bool {
        self.natives.lock().contains(id)
    }

    /// Notes that the server is about to be asked to end a session.
    pub fn doom(&self, session: &str) {
        self.doomed.lock().insert(session.to_owned());
    }

    pub fn is_doomed(&self, session: &str) -> bool {
        self.doomed.lock().contains(session)
    }

    /// The user of a client, and whether no other client is of the same.
    pub fn user_of(&self, client: usize) -> (User, bool) {
        let users = self.users.lock();
        let at = client % users.len();
        (users[at].clone(), at + users.len() >= self.plan.sockets)
    }

    /// A user of the soak.
    pub fn anybody(&self, rng: &mut StdRng) -> User {
        let users = self.users.lock();
        users[rng.random_range(0..users.len())].clone()
    }

    /// A user of the soak whose account nobody deletes.
    pub fn anybody_lasting(&self, rng: &mut StdRng) -> User {
        let users = self.users.lock();
        let lasting = (self.plan.sockets - users.len()).max(1);
        users[rng.random_range(0..lasting)].clone()
    }

    /// Whose id this is, if that user is still there.
    pub fn named(&self, id: &str) -> Option<String> {
        let users = self.users.lock();
        users.iter().find(|user| user.id == id).map(|user| user.name.clone())
    }

    /// A client has another account now, under the same name.
    pub fn replace(&self, user: &User) {
        self.ids.lock().insert(user.id.clone());
        let mut users = self.users.lock();
        if let Some(before) = users.iter_mut().find(|before| before.name == user.name) {
            *before = user.clone();
        }
    }

    /// The ids of all accounts that were ever there.
    pub fn all_ids(&self) -> Vec<String> {
        self.ids.lock().iter().cloned().collect()
    }

    /// Counts what was done.
    pub fn count(&self, what: impl Into<String>) {
        *self.done.lock().entry(what.into()).or_default() += 1;
    }

    /// How often something was counted.
    pub fn counted(&self, what: &str) -> u64 {
        self.done.lock().get(what).copied().unwrap_or(0)
    }

    /// Something is wrong.
    pub fn finding(&self, what: impl fmt::Display) {
        let number = self.found.fetch_add(1, Ordering::Relaxed) as usize;
        if number < PRINTED {
            eprintln!("FINDING {}: {what}", number + 1);
        }
    }

    pub fn found(&self) -> u64 {
        self.found.load(Ordering::Relaxed)
    }
}

/// Signs a user in by device.
pub async fn sign_in(port: u16, name: &str) -> User {
    let path = format!("/v2/account/authenticate/device?create=true&username={name}");
    let body = serde_json::json!({ "id": format!("device-of-{name}") });
    let (status, answer) = request(port, "POST", &path, SERVER_KEY, Some(&body)).await.unwrap();
    assert_eq!(status, 200, "{answer}");
    let token = answer["token"].as_str().unwrap().to_owned();
    User { name: name.to_owned(), id: user_of(&token), token }
}

/// The user's id in a session token.
fn user_of(token: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    claims["uid"].as_str().unwrap().to_owned()
}

/// The last things that a client did and heard.
#[derive(Clone, Debug, Default)]
pub struct History {
    entries: std::collections::VecDeque<(Duration, Entry)>,
}

/// Something that a client did or heard.
#[derive(Clone, Debug)]
pub enum Entry {
    Sent(guildhall_proto::realtime::Envelope),
    Heard(guildhall_proto::realtime::Envelope),
    Note(String),
}

impl History {
    const LENGTH: usize = 300;

    pub fn add(&mut self, at: Duration, entry: Entry) {
        if self.entries.len() == Self::LENGTH {
            self.entries.pop_front();
        }
        self.entries.push_back((at, entry));
    }

    /// The last entries that say something of `about`, and all notes.
    pub fn about(&self, about: &str, most: usize) -> String {
        let lines = self.entries.iter().filter_map(|(at, entry)| {
            let (who, text) = match entry {
                Entry::Sent(envelope) => ("sent ", json(envelope)),
                Entry::Heard(envelope) => ("heard", json(envelope)),
                Entry::Note(text) => ("     ", text.clone()),
            };
            let told = matches!(entry, Entry::Note(_)) || text.contains(about);
            let mut end = text.len().min(600);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            told.then(|| format!("    {:9.3} {who} {}", at.as_secs_f64(), &text[..end]))
        });
        let lines: Vec<String> = lines.collect();
        lines[lines.len().saturating_sub(most)..].join("\n")
    }
}

fn json(envelope: &guildhall_proto::realtime::Envelope) -> String {
    String::from_utf8_lossy(&envelope.to_json().unwrap_or_default()).into_owned()
}
