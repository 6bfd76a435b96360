//! Every host function in every language: each case stands once, and runs through a module in Lua,
//! one in JavaScript and a native one that call whatever function they are asked for.
//!
//! A case is written as Lua has it: arguments in Lua's order, names in snake case, results that are
//! several as one object. What the languages do otherwise is undone in [`Speaker`] and in the three
//! modules. Bytes stand as `{"base16": "…"}`, or as text where they are ASCII.
//!
//! In arguments and wanted values, `$name` stands for what was kept; in wanted values `$any` is
//! anything but nothing, `$=name` is the same and kept, `~text` is a text that holds this one, and
//! an object with `"...": true` may have more fields.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
    thread,
};

use guildhall_actors::{
    host::{HostFunction, Language, Returns},
    runtime::script::{camel_case, javascript_name},
    tables::HOST_FUNCTIONS,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::support::{Server, Setup, providers::Providers};

mod cases;

/// A call of a host function and what is to come of it.
struct Case {
    function: &'static str,
    arguments: Value,
    wanted: Wanted,
    languages: &'static [Language],
}

enum Wanted {
    Value(Value),
    /// An error that holds this text.
    Error(&'static str),
}

/// A call that gives this value.
fn gives(function: &'static str, arguments: Value, wanted: Value) -> Case {
    Case { function, arguments, wanted: Wanted::Value(wanted), languages: &Language::ALL }
}

/// A call that gives nothing.
fn runs(function: &'static str, arguments: Value) -> Case {
    gives(function, arguments, Value::Null)
}

/// A call that fails with an error that holds this text.
fn fails(function: &'static str, arguments: Value, error: &'static str) -> Case {
    Case { function, arguments, wanted: Wanted::Error(error), languages: &Language::ALL }
}

impl Case {
    /// Where the languages are to differ, as in the reference.
    fn only(mut self, languages: &'static [Language]) -> Self {
        self.languages = languages;
        self
    }
}

#[test]
fn every_case_is_the_same_in_every_language() {
    let providers = Providers::start();
    let server = providers
        .setup(Setup::new())
        .module("forward.so", std::fs::read(&*FORWARD).unwrap())
        .module("forward.lua", include_str!("host_functions/forward.lua"))
        .module("played.lua", include_str!("host_functions/played.lua"))
        .module("index.js", include_str!("host_functions/forward.js"))
        .start();
    let wrong: Vec<String> = Language::ALL
        .into_iter()
        .flat_map(|language| Speaker::new(&server, &providers, language).play(cases::all()))
        .collect();
    assert!(wrong.is_empty(), "\n{}\n\n{}", wrong.join("\n"), server.log());
}

/// With the modules that [`call`] needs.
pub fn with_modules(setup: Setup) -> Setup {
    setup
        .module("forward.so", std::fs::read(&*FORWARD).unwrap())
        .module("forward.lua", include_str!("host_functions/forward.lua"))
        .module("index.js", include_str!("host_functions/forward.js"))
}

#[test]
fn every_host_function_has_a_case() {
    let cases: BTreeSet<&str> = cases::all().into_iter().map(|case| case.function).collect();
    let declared: BTreeSet<&str> = HOST_FUNCTIONS.iter().map(|function| function.name).collect();
    assert_eq!(cases, declared, "add a case to tests/host_functions/cases.rs");
}

/// The native module, built beside the server.
pub static FORWARD: LazyLock<PathBuf> = LazyLock::new(|| {
    let target = Path::new(env!("CARGO_BIN_EXE_guildhall")).ancestors().nth(2).unwrap();
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "-p", "forward", "--target-dir"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    target.join("debug/libforward.so")
});

/// Says cases in one language: the one place that knows how the languages differ.
struct Speaker<'a> {
    server: &'a Server,
    language: Language,
    kept: BTreeMap<String, Value>,
}

impl<'a> Speaker<'a> {
    fn new(server: &'a Server, providers: &Providers, language: Language) -> Self {
        let text = |text: &str| Value::String(text.to_owned());
        let mut kept = BTreeMap::from([
            ("language".to_owned(), text(language.name())),
            ("http".to_owned(), text(&HTTP)),
            // The same key in the forms PKCS #1 and PKCS #8.
            ("rsa_key".to_owned(), text(include_str!("host_functions/rsa.pem"))),
            ("jwt_key".to_owned(), text(include_str!("host_functions/jwt.pem"))),
        ]);
        kept.extend(cases::provider::proofs(providers, language.name()));
        kept.extend(cases::purchase::receipts(providers, language.name()));
        Self { server, language, kept }
    }

    /// Runs the cases in order and gives back what is wrong.
    fn play(&mut self, cases: Vec<Case>) -> Vec<String> {
        let mut wrong = Vec::new();
        for case in cases {
            let function = function(case.function);
            let has = |languages: &[Language]| languages.contains(&self.language);
            if !has(case.languages) || !has(function.languages) {
                continue;
            }
            let arguments = fill(&self.kept, &case.arguments);
            let answer = call(self.server, self.language, function, &arguments);
            let same = match (&case.wanted, &answer) {
                (Wanted::Value(wanted), Ok(got)) => self.same(wanted, got),
                (Wanted::Error(wanted), Err(got)) => got.contains(wanted),
                _ => false,
            };
            if !same {
                let wanted = match case.wanted {
                    Wanted::Value(value) => value.to_string(),
                    Wanted::Error(text) => format!("an error with {text:?}"),
                };
                let (language, name) = (self.language.name(), case.function);
                wrong.push(format!(
                    "{language}: {name}{arguments}\n  wanted {wanted}\n  got {answer:?}"
                ));
            }
        }
        wrong
    }

    /// Whether `got` is as `wanted`; keeps what `wanted` says.
    fn same(&mut self, wanted: &Value, got: &Value) -> bool {
        match (wanted, got) {
            (Value::String(text), _) if text == "$any" => !got.is_null(),
            (Value::String(text), _) if text.starts_with("$=") => {
                self.kept.insert(text[2..].to_owned(), got.clone());
                !got.is_null()
            }
            (Value::String(text), Value::String(got)) if text.starts_with('~') => {
                got.contains(&text[1..])
            }
            (Value::String(_), _) => fill(&self.kept, wanted) == *got,
            (Value::Number(wanted), Value::Number(got)) => wanted.as_f64() == got.as_f64(),
            (Value::Array(wanted), Value::Array(got)) => {
                let pairs = wanted.iter().zip(got);
                wanted.len() == got.len()
                    && pairs.fold(true, |so_far, (a, b)| self.same(a, b) && so_far)
            }
            // An empty table of Lua is both.
            (Value::Array(list), Value::Object(map)) | (Value::Object(map), Value::Array(list)) => {
                list.is_empty() && map.is_empty()
            }
            (Value::Object(wanted), Value::Object(got)) => {
                let more = wanted.contains_key("...");
                let known = |name: &String| more || wanted.contains_key(name);
                got.iter().filter(|(_, value)| !value.is_null()).all(|(name, _)| known(name))
                    && wanted.iter().filter(|(name, _)| *name != "...").fold(
                        true,
                        |so_far, (name, wanted)| {
                            self.same(wanted, got.get(name).unwrap_or(&Value::Null)) && so_far
                        },
                    )
            }
            _ => wanted == got,
        }
    }
}

/// Calls a function in a language, with the arguments as Lua has them.
pub fn call(
    server: &Server,
    language: Language,
    function: &HostFunction,
    arguments: &Value,
) -> Result<Value, String> {
    let request = request(language, function, arguments);
    let mut answer = server.rpc(&format!("call_{}", language.name()), &request.to_string()).ok();
    if let Some(error) = answer.get("error") {
        return Err(error.as_str().unwrap_or_default().to_owned());
    }
    let value = answer["value"].take();
    Ok(match (language, function.returns) {
        (Language::Lua, Returns::Each) => object(fields(function.name), without_holes(value)),
        (Language::Lua, _) => without_holes(value).get(0).cloned().unwrap_or_default(),
        (Language::JavaScript, _) => rename(value, &snake_case),
        (Language::Native, _) => value,
    })
}

/// What the module of a language is to be asked for such a call.
pub fn request(language: Language, function: &HostFunction, arguments: &Value) -> Value {
    let mut arguments = arguments.as_array().unwrap().clone();
    let name = match language {
        Language::JavaScript => {
            arguments = in_javascript(function, arguments);
            javascript_name(function.name)
        }
        Language::Lua | Language::Native => function.name.to_owned(),
    };
    json!({ "name": name, "count": arguments.len(), "arguments": arguments })
}

pub fn function(name: &str) -> &'static HostFunction {
    HOST_FUNCTIONS.iter().find(|function| function.name == name).expect(name)
}

/// `value` with every `$name` that is known put in.
fn fill(kept: &BTreeMap<String, Value>, value: &Value) -> Value {
    match value {
        Value::String(text) => match text.strip_prefix('$').and_then(|name| kept.get(name)) {
            Some(value) => value.clone(),
            None => kept
                .iter()
                .fold(text.clone(), |text, (name, value)| match value {
                    Value::String(value) => text.replace(&format!("${name}"), value),
                    _ => text,
                })
                .into(),
        },
        Value::Array(values) => values.iter().map(|value| fill(kept, value)).collect(),
        Value::Object(entries) => {
            entries.iter().map(|(name, value)| (name.clone(), fill(kept, value))).collect()
        }
        other => other.clone(),
    }
}

/// Arguments in the order and with the names of JavaScript.
fn in_javascript(function: &HostFunction, arguments: Vec<Value>) -> Vec<Value> {
    let arguments = match function.javascript_order {
        None => arguments,
        Some(order) => {
            let parameters = parameters(function.name);
            let place = |name: &&str| parameters.iter().position(|it| it == name);
            let at = |name| place(name).and_then(|at| arguments.get(at).cloned());
            order.iter().map(|name| at(name).unwrap_or_default()).collect()
        }
    };
    arguments.into_iter().map(|argument| rename(argument, &camel_case)).collect()
}

/// The published parameters of a function, in Lua's order.
fn parameters(name: &str) -> Vec<String> {
    #[derive(Deserialize)]
    struct Published {
        name: String,
        parameters: Vec<String>,
    }
    let list: Vec<Published> =
        serde_json::from_str(include_str!("published/host_functions.json")).unwrap();
    list.into_iter().find(|it| it.name == name).map(|it| it.parameters).unwrap_or_default()
}

/// The names of the results that Lua gets without names.
fn fields(function: &str) -> &'static [&'static str] {
    match function {
        "authenticate_token_generate" => &["token", "exp"],
        name if name.starts_with("authenticate_") => &["user_id", "username", "created"],
        "channel_messages_list" => &["messages", "next_cursor", "prev_cursor"],
        "group_users_list" => &["group_users", "cursor"],
        "groups_list" => &["groups", "cursor"],
        "friends_list" => &["friends", "cursor"],
        "friends_of_friends_list" => &["friends_of_friends", "cursor"],
        "http_request" => &["code", "headers", "body"],
        "multi_update" => &["storage_write_acks", "wallet_update_acks"],
        "leaderboard_list" => &["leaderboards", "cursor"],
        "leaderboard_records_haystack" | "tournament_records_haystack" => {
            &["records", "next_cursor", "prev_cursor", "rank_count"]
        }
        "leaderboard_records_list" | "tournament_records_list" => {
            &["records", "owner_records", "next_cursor", "prev_cursor", "rank_count"]
        }
        "notifications_list" => &["notifications", "cursor"],
        "wallet_ledger_list" => &["items", "cursor"],
        "wallet_update" => &["updated", "previous"],
        "party_list" => &["parties", "cursor"],
        "purchases_list" => &["validated_purchases", "cursor", "prev_cursor"],
        "sql_exec" => &["rows_affected"],
        "storage_index_list" | "storage_list" => &["objects", "cursor"],
        "subscriptions_list" => &["validated_subscriptions", "cursor", "prev_cursor"],
        "user_groups_list" => &["user_groups", "cursor"],
        "tournament_list" => &["tournaments", "cursor"],
        other => panic!("name the results of {other}"),
    }
}

/// Lua's results with the nils that are marked as such.
fn without_holes(mut values: Value) -> Value {
    for value in values.as_array_mut().into_iter().flatten() {
        if value["nothing"] == true {
            *value = Value::Null;
        }
    }
    values
}

fn object(names: &[&str], values: Value) -> Value {
    let values = values.as_array().cloned().unwrap_or_default();
    let entries = names.iter().map(|name| (*name).to_owned()).zip(values);
    Value::Object(entries.collect::<Map<_, _>>())
}

/// `value` with the names of all fields changed.
fn rename(value: Value, name: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::Array(values) => values.into_iter().map(|value| rename(value, name)).collect(),
        Value::Object(entries) => {
            entries.into_iter().map(|(key, value)| (name(&key), rename(value, name))).collect()
        }
        other => other,
    }
}

/// `userId` as `user_id`; what is no name of a field (`Content-Type`) stays as it is.
fn snake_case(name: &str) -> String {
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return name.to_owned();
    }
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// The address of an HTTP server that tells each caller the first line of the request and its body.
static HTTP: LazyLock<String> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = String::new();
            let mut chunk = [0; 4096];
            // Requests here are short: one is whole when its body of the announced length is there.
            while !whole(&request) {
                let read = stream.read(&mut chunk).unwrap();
                if read == 0 {
                    break;
                }
                request += &String::from_utf8_lossy(&chunk[..read]);
            }
            let first = request.lines().next().unwrap_or_default();
            let body = request.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            let answer = format!("{first}|{body}");
            let head =
                "HTTP/1.1 202 Accepted\r\nx-test: one\r\nconnection: close\r\ncontent-length";
            let _ = write!(stream, "{head}: {}\r\n\r\n{answer}", answer.len());
        }
    });
    address
});

fn whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase().strip_prefix("content-length:").map(|it| it.trim().parse())
    });
    body.len() >= length.map_or(0, Result::unwrap_or_default)
}
