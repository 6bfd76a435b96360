//! The declaration against the published keys and the generated files; loading as an operator meets it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::load::known;
use super::source::variable;
use super::{Config, LogFormat, LogLevel, Problem, reference, yaml};

#[derive(Deserialize)]
struct Published {
    key: String,
    r#type: String,
    default: serde_json::Value,
}

/// Keys whose default is ours: the database is embedded, and the data folder is named from the working
/// directory, which is the same folder.
const OUR_DEFAULTS: &[(&str, &str)] = &[("database.address", "[]"), ("data_dir", "\"data\"")];

#[test]
fn every_published_key_is_declared_with_its_type_and_default() {
    let published: Vec<Published> =
        serde_json::from_str(include_str!("../../../tests/published/config.json")).unwrap();
    assert_eq!(published.len(), 139);
    let known = known();
    for expected in published {
        let key = known.iter().find(|key| key.path == expected.key).expect(&expected.key);
        let kinds: &[&str] = match expected.r#type.as_str() {
            "string" => &["string", "secret"],
            "int" => &["int"],
            "bool" => &["bool"],
            "string list" => &["list"],
            other => panic!("{other}"),
        };
        assert!(kinds.contains(&key.kind), "{} is a {}", key.path, key.kind);
        let ours = OUR_DEFAULTS.iter().find(|(path, _)| *path == key.path);
        let default =
            ours.map_or_else(|| expected.default.to_string(), |(_, default)| (*default).to_owned());
        let choice = default.trim_matches('"');
        assert!(
            key.value == default || key.value == choice,
            "{}: {} {default}",
            key.path,
            key.value
        );
    }
}

#[test]
fn every_key_has_an_environment_variable_of_its_own() {
    let mut names: Vec<String> = known().iter().map(|key| variable(&key.path)).collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn every_key_has_a_sentence() {
    for key in known() {
        assert!(
            key.about.doc.len() > 3 && key.about.doc.ends_with('.'),
            "{}: {}",
            key.path,
            key.about.doc
        );
    }
}

/// `UPDATE_REFERENCE=1` writes the files instead of comparing them.
#[test]
fn the_files_made_from_the_declaration_are_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (path, text) in [
        ("config/default.yml", reference::default_yml()),
        ("docs/configuration.md", reference::page()),
    ] {
        let path = root.join(path);
        if std::env::var_os("UPDATE_REFERENCE").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            written,
            text,
            "{} is old: run this test with UPDATE_REFERENCE=1",
            path.display()
        );
    }
}

#[test]
fn the_default_file_loads_as_the_defaults() {
    let file = temporary("default.yml", &reference::default_yml());
    let loaded = load(&["--config", file.as_str()], &[]).unwrap();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert_eq!(Config { config: Default::default(), ..loaded.config }, Config::default());
}

#[test]
fn a_flag_wins_over_the_environment_over_files_over_the_default() {
    let first = temporary(
        "first.yml",
        "socket: { port: 1_000, address: one, proxy_count: 1 }\nname: one\n",
    );
    let second = temporary("second.yml", "socket:\n  address: two\n  proxy_count: 2\nname: two\n");
    let args = ["--config", &first, "-config", &second, "--name=four"];
    let config = load(&args, &[("GUILDHALL_SOCKET_PROXY_COUNT", "3"), ("GUILDHALL_NAME", "three")])
        .unwrap()
        .config;
    assert_eq!(config.socket.port, 1000);
    assert_eq!(config.socket.address, "two");
    assert_eq!(config.socket.proxy_count, 3);
    assert_eq!(config.name, "four");
    assert_eq!(config.socket.read_timeout_ms, 10_000);
}

#[test]
fn flags_are_written_as_the_reference_takes_them() {
    let args = [
        "-socket.port",
        "80",
        "--logger.stdout=false",
        "--dev",
        "--session.single_socket=T",
        "-logger.level=DEBUG",
    ];
    let config = load(&args, &[]).unwrap().config;
    assert_eq!(config.socket.port, 80);
    assert!(!config.logger.stdout && config.dev && config.session.single_socket);
    assert_eq!(config.logger.level, LogLevel::Debug);
    let config =
        load(&["--database.address", "a:b,c@x/y", "--database.address=d@z"], &[]).unwrap().config;
    assert_eq!(config.database.address.reveal(), ["a:b,c@x/y", "d@z"]);
}

#[test]
fn an_empty_log_format_is_json_as_in_the_reference() {
    let config = load(&["--logger.format", ""], &[]).unwrap().config;
    assert_eq!(config.logger.format, LogFormat::Json);
}

#[test]
fn a_list_in_the_environment_has_commas_or_brackets() {
    let read = |value| {
        load(&[], &[("GUILDHALL_SOCKET_RESPONSE_HEADERS", value)])
            .unwrap()
            .config
            .socket
            .response_headers
    };
    assert_eq!(read("a=1, b=2").to_vec(), ["a=1", "b=2"]);
    assert_eq!(read("[\"a=1,2\", b=3]").to_vec(), ["a=1,2", "b=3"]);
    assert!(read("").is_empty());
    let problem = load(&[], &[("GUILDHALL_RUNTIME_ENV", "[{ hush: 1 }]")]).unwrap_err().to_string();
    assert_eq!(
        problem,
        "GUILDHALL_RUNTIME_ENV expects texts in its brackets, [\"like\", \"this\"]"
    );
}

#[test]
fn runtime_env_adds_up_by_name_over_all_sources() {
    let file = temporary("env.yml", "runtime:\n  env:\n    - A=file\n    - B=file\n    - EMPTY=\n");
    let args = ["--config", &file, "--runtime.env", "B=flag=more", "--runtime.env=C=flag"];
    let config = load(&args, &[("GUILDHALL_RUNTIME_ENV", "D=environment")]).unwrap().config;
    let expected =
        [("A", "file"), ("B", "flag=more"), ("C", "flag"), ("D", "environment"), ("EMPTY", "")];
    assert_eq!(config.runtime.env, expected.into_iter().collect());
}

#[test]
fn an_empty_value_keeps_the_default_and_an_empty_file_all_of_them() {
    for text in ["", "# nothing\n", "socket:\n  port:\nlogger:\n", "socket: {}"] {
        let file = temporary("empty.yml", text);
        let config = load(&["--config", &file], &[]).unwrap().config;
        assert_eq!(Config { config: Default::default(), ..config }, Config::default(), "{text}");
    }
}

#[test]
fn yaml_is_read_with_anchors_dotted_keys_and_plain_numbers_as_text() {
    let text = "session: { encryption_key: &key 12345 }\nsocket.server_key: *key\nname: 2024\n";
    let file = temporary("yaml.yml", text);
    let config = load(&["--config", &file], &[]).unwrap().config;
    assert_eq!(config.session.encryption_key.reveal(), "12345");
    assert_eq!(config.socket.server_key.reveal(), "12345");
    assert_eq!(config.name, "2024");
}

#[test]
fn what_a_file_holds_wrongly_is_named_with_file_and_line() {
    let check = |text: &str, expected: &str| {
        let problem = yaml::settings("x.yml", text).err().map_or_else(
            || {
                let file = temporary("wrong.yml", text);
                load(&["--config", &file], &[]).unwrap_err().to_string().replace(&file, "x.yml")
            },
            |problem| problem.to_string(),
        );
        assert_eq!(problem, expected);
    };
    check(
        "socket:\n  port: abc\n",
        "x.yml:2: socket.port is \"abc\", but expects a whole number from 0 to 65535",
    );
    check(
        "socket:\n  port: \"80\"\n",
        "x.yml:2: socket.port is \"80\", but expects a whole number from 0 to 65535",
    );
    check(
        "socket:\n  port: 65536\n",
        "x.yml:2: socket.port is \"65536\", but expects a whole number from 0 to 65535",
    );
    check(
        "shutdown_grace_sec: -1\n",
        "x.yml:1: shutdown_grace_sec is \"-1\", but expects a whole number, 0 or more",
    );
    check(
        "logger: { level: loud }\n",
        "x.yml:1: logger.level is \"loud\", but expects one of: debug, info, warn, error",
    );
    check(
        "logger:\n\n  stdout: maybe\n",
        "x.yml:3: logger.stdout is \"maybe\", but expects true or false",
    );
    check("name: ''\n", "x.yml:1: name is \"\", but expects a text of 1 to 16 bytes");
    check("socket: 5\n", "x.yml:1: socket is \"5\", but expects a mapping of keys to values");
    check(
        "socket: { port: { a: 1 } }\n",
        "x.yml:1: socket.port is a mapping, but expects a whole number from 0 to 65535",
    );
    check(
        "runtime: { env: [A] }\n",
        "x.yml:1: runtime.env has an unusable value, not shown since it is secret; it expects a list of NAME=VALUE texts",
    );
    check(
        "socket: { response_headers: [\"=x\"] }\n",
        "x.yml:1: socket.response_headers is [\"=x\"], but expects a list of name=value texts",
    );
    check(
        "session:\n  encryption_key: [hush]\n",
        "x.yml:2: session.encryption_key has an unusable value, not shown since it is secret; it expects a text that is not empty",
    );
    check(
        "socket:\n  prot: 80\n",
        "x.yml:2: unknown key socket.prot (value \"80\"); the nearest known key is socket.port, which expects a whole number from 0 to 65535",
    );
    check(
        "session: { encription_key: hush }\n",
        "x.yml:1: unknown key session.encription_key (value not shown); the nearest known key is session.encryption_key, which expects a text that is not empty",
    );
    check(
        "port: 80\n",
        "x.yml:1: unknown key port (value \"80\"); the nearest known key is socket.port, which expects a whole number from 0 to 65535",
    );
    check("name: a\nname: b\n", "x.yml:2: name stands twice in this file");
    check("- a\n", "x.yml:1: expects a mapping of keys to values");
    check("name: a\n---\nname: b\n", "x.yml:2: expects one YAML document, not several");
    let problem = yaml::settings("x.yml", "name: [a\nsocket: {\n").unwrap_err().to_string();
    assert!(problem.starts_with("x.yml:2:") && problem.contains("not YAML"), "{problem}");
}

#[test]
fn what_a_flag_or_variable_holds_wrongly_is_named_as_it_was_written() {
    let check = |args: &[&str], variables: &[(&str, &str)], expected: &str| {
        assert_eq!(load(args, variables).unwrap_err().to_string(), expected);
    };
    check(
        &["--socket.port", "abc"],
        &[],
        "--socket.port is \"abc\", but expects a whole number from 0 to 65535",
    );
    check(
        &["--socket.port"],
        &[],
        "--socket.port has no value; it expects a whole number from 0 to 65535",
    );
    check(
        &["--socket.prt", "1"],
        &[],
        "unknown key --socket.prt (value \"1\"); the nearest known key is --socket.port, which expects a whole number from 0 to 65535",
    );
    check(
        &["--dev", "false"],
        &[],
        "unexpected argument \"false\"; flags are written --key value or --key=value",
    );
    check(
        &["--socket.server_key="],
        &[],
        "--socket.server_key has an unusable value, not shown since it is secret; it expects a text that is not empty",
    );
    check(
        &[],
        &[("GUILDHALL_SOCKET_PORT", "")],
        "GUILDHALL_SOCKET_PORT is \"\", but expects a whole number from 0 to 65535",
    );
    check(
        &[],
        &[("GUILDHALL_SOCKET_PROT", "1")],
        "unknown key GUILDHALL_SOCKET_PROT (value \"1\"); the nearest known key is GUILDHALL_SOCKET_PORT, which expects a whole number from 0 to 65535",
    );
    check(
        &["--config=/nowhere.yml"],
        &[],
        "/nowhere.yml: the configuration file cannot be read: No such file or directory (os error 2)",
    );
    check(
        &["--runtime.js_min_count=40"],
        &[],
        "runtime.js_min_count is 40, but expects at most runtime.js_max_count, which is 32",
    );
    check(
        &["--socket.ping_period_ms=25000"],
        &[],
        "socket.ping_period_ms is 25000, but expects less than socket.pong_wait_ms, which is 25000",
    );
    check(
        &["--runtime.registry_size=1"],
        &[],
        "runtime.lua_registry_size is \"1\", but expects a whole number, 128 or more",
    );
    check(
        &["--console.username=-a"],
        &[],
        "console.username expects 3 or more characters: letters and digits at both ends, a letter, digit, '.' or '_' second",
    );
    check(
        &["--session.single_party"],
        &[],
        "session.single_party is true, but expects session.single_socket to be true as well",
    );
    check(
        &["--satori.retry_count=4"],
        &[],
        "--satori.retry_count is \"4\", but expects a whole number from 0 to 3",
    );
}

#[test]
fn variables_that_kubernetes_sets_for_a_service_are_passed_over() {
    let variables = [
        ("GUILDHALL_SERVICE_HOST", "10.0.0.1"),
        ("GUILDHALL_SERVICE_PORT_HTTP", "7350"),
        ("GUILDHALL_PORT", "tcp://10.0.0.1:7350"),
        ("GUILDHALL_PORT_7350_TCP_ADDR", "10.0.0.1"),
        ("GUILDHALL_DB_PORT_5432_TCP", "tcp://10.0.0.1:5432"),
        ("HOME", "/root"),
    ];
    assert_eq!(load(&[], &variables).unwrap().config, Config::default());
    assert!(load(&[], &[("GUILDHALL_SOKCET_PORT", "7350")]).is_err());
}

#[test]
fn old_names_set_the_new_ones_and_are_named() {
    let loaded = load(
        &["--runtime.max_count=5", "--runtime.min_count=2", "--runtime.read_only_globals=false"],
        &[],
    )
    .unwrap();
    assert_eq!((loaded.config.runtime.lua_min_count, loaded.config.runtime.lua_max_count), (2, 5));
    assert!(!loaded.config.runtime.lua_read_only_globals);
    assert_eq!(loaded.warnings[0], "runtime.min_count is an old name: use runtime.lua_min_count");
    assert_eq!(loaded.warnings.len(), 3);
}

#[test]
fn keys_without_effect_are_named_together_if_they_are_set() {
    let file = temporary(
        "unserved.yml",
        "config: [a.yml]\nmetrics: { reporting_freq_sec: 5 }\niap: { google: { package_name: x } }\n",
    );
    let warnings = load(&["--config", &file], &[]).unwrap().warnings;
    assert_eq!(
        warnings,
        [
            format!("{file}: config has no effect in a file"),
            "not served yet, so without effect: metrics.reporting_freq_sec".to_owned(),
            "without effect: iap.google.package_name".to_owned(),
        ]
    );
}

#[test]
fn debug_output_holds_no_secret() {
    let args = [
        "--socket.server_key=hush",
        "--database.address=root:hush@localhost",
        "--runtime.env=NAME=hush",
        "--console.password=hush",
        "--iap.google.private_key=hush",
    ];
    let shown = format!("{:?}", load(&args, &[]).unwrap().config);
    assert!(!shown.contains("hush") && shown.contains("NAME"), "{shown}");
}

#[test]
fn the_module_folder_is_in_the_data_folder_unless_it_is_named() {
    assert_eq!(Config::default().modules_path(), PathBuf::from("data/modules"));
    let config = load(&["--data_dir=/srv", "--runtime.path=code"], &[]).unwrap().config;
    assert_eq!(config.modules_path(), PathBuf::from("code"));
}

fn load(args: &[&str], variables: &[(&str, &str)]) -> Result<super::Loaded, Problem> {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(&args, variables)
}

/// A file of that content; its name is of this process and thread, so that tests run side by side.
fn temporary(name: &str, text: &str) -> String {
    let id = format!("{}-{:?}", std::process::id(), std::thread::current().id());
    let folder = std::env::temp_dir().join(format!("guildhall-config-{id}"));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}
