//! The rules of the house: which way imports point, how long a file may be, where `unsafe` may
//! stand, that each slice is tested, and (in `tidy/published.rs`) that what is declared agrees with
//! the published API. A failure says what to do.
#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub, reason = "tests")]

#[path = "tidy/not_built.rs"]
mod not_built;
#[path = "tidy/published.rs"]
mod published;
#[path = "tidy/source.rs"]
mod source;

use std::fs;

use source::{File, files, root};

/// The longest file, in lines.
const MAX_LINES: usize = 900;

/// Each crate's manifest, and which of our crates it may name.
const CRATES: &[(&str, &[&str])] = &[
    ("proto/Cargo.toml", &[]),
    ("core/Cargo.toml", &["proto"]),
    ("sdk/Cargo.toml", &["proto"]),
    ("sdk/samples/rust-hello/Cargo.toml", &["sdk"]),
    ("tests/forward/Cargo.toml", &["sdk"]),
    ("actors/Cargo.toml", &["core", "proto", "sdk"]),
    ("Cargo.toml", &["actors", "core", "proto"]),
];

/// A folder, and the paths that its files do not name.
const FOLDERS: &[(&str, &[&str])] = &[
    ("actors/src/runtime/", &["resources"]),
    ("actors/src/resources/", INTERPRETERS),
    ("actors/src/realtime/", INTERPRETERS),
    ("src/http/", &["resources"]),
];

const INTERPRETERS: &[&str] =
    &["mlua", "rquickjs", "libloading", "runtime::lua", "runtime::javascript", "runtime::native"];

/// Where `unsafe` may stand (ARCHITECTURE.md, "Habits").
const UNSAFE: &[&str] = &[
    // The C ABI and both its sides.
    "sdk/",
    "actors/src/runtime/native/",
    // Bytecode, bytes, memory limits, the watchdog and stack switching of the script runtimes.
    "actors/src/runtime/javascript/memory.rs",
    "actors/src/runtime/javascript/raw.rs",
    "actors/src/runtime/lua/raw/",
    "actors/src/runtime/matches/fiber.rs",
    "actors/src/runtime/memory.rs",
    // Processes and signals of the embedded database.
    "src/postgres/supervisor.rs",
];

/// Slices without tests in their own file, and a test that tells their story.
const SLICES_TESTED_ELSEWHERE: &[(&str, &str, &str)] = &[
    (
        "channel_message",
        "actors/tests/slices/channel_message.rs",
        "cursors_lead_through_a_history_both_ways",
    ),
    ("event", "tests/endpoints.rs", "an_event_is_taken_and_the_server_is_healthy"),
    ("group", "actors/tests/slices/group.rs", "whatever_is_done_a_group_is_as_the_rules_say"),
    (
        "friend",
        "actors/tests/slices/friend.rs",
        "an_import_befriends_who_is_known_and_leaves_blocks",
    ),
    ("healthcheck", "tests/endpoints.rs", "an_event_is_taken_and_the_server_is_healthy"),
    (
        "identifier",
        "actors/tests/slices/main.rs",
        "sign_ins_at_once_share_a_statement_and_each_has_its_own_outcome",
    ),
    (
        "leaderboard",
        "actors/tests/slices/leaderboard.rs",
        "ends_and_resets_are_told_once_and_also_over_a_restart",
    ),
    ("link", "tests/endpoints.rs", "an_account_is_reached_by_every_id_that_is_linked_to_it"),
    (
        "matches",
        "actors/tests/slices/matches.rs",
        "what_is_asked_of_matches_is_checked_and_finds_none",
    ),
    (
        "matchmaker",
        "actors/tests/slices/matches.rs",
        "what_is_asked_of_parties_is_checked_and_finds_none",
    ),
    (
        "multi_update",
        "actors/tests/slices/multi_update.rs",
        "a_failure_of_any_part_undoes_the_others",
    ),
    ("bought", "tests/stores.rs", "purchases_are_listed_in_pages_both_ways"),
    ("provider", "tests/providers.rs", "every_provider_signs_in_links_and_unlinks"),
    ("purchase", "tests/stores.rs", "every_store_confirms_a_purchase_once"),
    ("session", "tests/sessions.rs", "a_log_out_lasts_over_a_restart"),
    (
        "storage",
        "actors/tests/slices/storage.rs",
        "writes_at_once_are_gathered_and_each_has_its_own_outcome",
    ),
    (
        "tournament",
        "actors/tests/slices/leaderboard.rs",
        "a_tournament_has_room_for_so_many_and_no_more",
    ),
    ("subscription", "tests/stores.rs", "subscriptions_are_validated_got_and_listed"),
];

#[test]
fn crates_import_one_way() {
    let mut wrong = Vec::new();
    for (manifest, allowed) in CRATES {
        for named in our_crates(&fs::read_to_string(root().join(manifest)).unwrap()) {
            if !allowed.contains(&named.as_str()) {
                wrong.push(format!("{manifest} depends on guildhall-{named}"));
            }
        }
    }
    check(
        wrong,
        "Imports point proto <- core <- actors <- src, and sdk only at proto: move the code.",
    );
}

#[test]
fn every_manifest_is_under_the_rules() {
    let mut wrong = Vec::new();
    for manifest in files("Cargo.toml") {
        if !CRATES.iter().any(|(path, _)| *path == manifest.path) {
            wrong.push(format!("{} is not in the list CRATES of tests/tidy.rs", manifest.path));
        }
        if !manifest.text.contains("[lints]\nworkspace = true") {
            wrong.push(format!("{} lacks [lints] workspace = true", manifest.path));
        }
    }
    check(wrong, "Say what the crate may import, and give it the workspace's lints.");
}

#[test]
fn folders_do_not_name_each_other() {
    let mut wrong = Vec::new();
    for (folder, forbidden) in FOLDERS {
        for file in rust().filter(|file| file.path.starts_with(folder)) {
            let names = file.names();
            for path in *forbidden {
                if names.iter().any(|name| source::holds(name, path)) {
                    wrong.push(format!("{} names {path}", file.path));
                }
            }
        }
    }
    check(
        wrong,
        "runtime/ names no resource, resources/ and realtime/ no interpreter, src/http no endpoint: \
         they meet in HostFn, Endpoint and Routes.",
    );
}

#[test]
fn the_edge_names_no_endpoint() {
    let endpoints = published::endpoint_names();
    let mut wrong = Vec::new();
    for file in rust().filter(|file| file.path.starts_with("src/http/") && !file.is_test()) {
        let shipped = file.shipped();
        for name in endpoints.iter().filter(|name| shipped.contains(&format!("\"{name}\""))) {
            wrong.push(format!("{} names {name}", file.path));
        }
    }
    check(
        wrong,
        "src/http serves any E: Endpoint: put what is special into the endpoint's declaration.",
    );
}

#[test]
fn files_are_short() {
    let long = rust().filter(|file| file.text.lines().count() > MAX_LINES);
    let wrong = long.map(|file| format!("{}: {} lines", file.path, file.text.lines().count()));
    check(wrong.collect(), &format!("Make a folder of a file past {MAX_LINES} lines."));
}

#[test]
fn unsafe_stands_in_its_places() {
    let mut wrong = Vec::new();
    for file in rust().filter(|file| !UNSAFE.iter().any(|place| file.path.starts_with(place))) {
        let code = file.code();
        if source::words(&code).any(|word| word == "unsafe") {
            wrong.push(file.path);
        }
    }
    check(
        wrong,
        "Find a safe way, or move it to one of the places in the list UNSAFE of tests/tidy.rs.",
    );
}

#[test]
fn the_lints_of_the_house_are_on() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let wanted = [
        "unsafe_code = \"deny\"",
        "missing_docs = \"warn\"",
        "unwrap_used = \"warn\"",
        "expect_used = \"warn\"",
        "dbg_macro = \"warn\"",
        "todo = \"warn\"",
        "unimplemented = \"warn\"",
        // Each unsafe block has a SAFETY comment.
        "undocumented_unsafe_blocks = \"warn\"",
    ];
    let missing = wanted.iter().filter(|lint| !manifest.contains(**lint));
    check(
        missing.map(|lint| (*lint).to_owned()).collect(),
        "Set these lints in the root Cargo.toml: `make check` denies warnings.",
    );
}

#[test]
fn nothing_is_left_for_later() {
    // Spelt so that this file does not hold them.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let mut wrong = Vec::new();
    for file in ["rs", "lua", "js", "mjs", "go", "c", "h", "proto", "sql", "sh", "yml"]
        .iter()
        .flat_map(|extension| files(&format!(".{extension}")))
    {
        for (number, line) in file.text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                wrong.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    check(wrong, "Do it now, or write an issue.");
}

#[test]
fn every_slice_has_tests() {
    let mut wrong = Vec::new();
    for file in rust().filter(|file| file.path.starts_with("actors/src/resources/")) {
        let slice = file.path.trim_start_matches("actors/src/resources/").trim_end_matches(".rs");
        let slice = slice.split('/').next().unwrap_or(slice);
        if slice == "mod" || file.text.contains("#[cfg(test)]") {
            continue;
        }
        let elsewhere = SLICES_TESTED_ELSEWHERE.iter().any(|(name, path, test)| {
            let tests = fs::read_to_string(root().join(path)).unwrap_or_default();
            *name == slice && tests.contains(&format!("fn {test}("))
        });
        if !elsewhere {
            wrong.push(file.path);
        }
    }
    check(
        wrong,
        "Test the slice in its file, or name its end-to-end test in SLICES_TESTED_ELSEWHERE.",
    );
}

/// Every Rust file of ours.
fn rust() -> impl Iterator<Item = File> {
    files(".rs").into_iter()
}

/// Our crates that a manifest depends on, without the prefix; tests may use any.
fn our_crates(manifest: &str) -> Vec<String> {
    let mut named = Vec::new();
    let mut counts = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            counts = matches!(line.trim(), "[dependencies]" | "[build-dependencies]");
        } else if counts && let Some(rest) = line.strip_prefix("guildhall-") {
            named.push(rest.split(['.', ' ', '=']).next().unwrap_or(rest).to_owned());
        }
    }
    named
}

/// Fails with what is wrong and what to do, if anything is.
#[track_caller]
fn check(wrong: Vec<String>, what_to_do: &str) {
    assert!(wrong.is_empty(), "\n  {}\n{what_to_do}\n", wrong.join("\n  "));
}

#[test]
fn the_rules_can_fail() {
    assert_eq!(
        our_crates(
            "[dependencies]\nguildhall-core.workspace = true\n[dev-dependencies]\nguildhall-sdk = 1"
        ),
        ["core"],
    );
    let file = File {
        path: "x.rs".to_owned(),
        text: "use crate::{host::A, runtime::{lua::{self, Machine}, seat}}; // mlua\n\
               fn f() { let s = \"rquickjs\"; crate::resources::user::get() }\n\
               #[cfg(test)]\nmod tests { use libloading::Library; }\n"
            .to_owned(),
    };
    let names = file.names();
    let named = |path: &str| names.iter().any(|name| source::holds(name, path));
    assert!(named("runtime::lua") && named("resources") && named("runtime::seat"));
    assert!(!named("mlua") && !named("rquickjs") && !named("libloading") && !named("resource"));
}
