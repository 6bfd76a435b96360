//! The cases, one group for each file of host functions.

use guildhall_actors::host::Language::{JavaScript, Lua, Native};
use serde_json::json;

use super::{Case, fails, gives, runs};

mod account_export;
mod channel_message;
mod friend;
mod group;
mod leaderboard;
mod matches;
mod multi_update;
mod notification;
pub(super) mod provider;
pub(super) mod purchase;
mod realtime;
mod storage;
mod tournament;
mod wallet;

const NOBODY: &str = "11111111-2222-4333-8444-555555555555";
const SYSTEM: &str = "00000000-0000-0000-0000-000000000000";
const RSA_SIGNATURE: &str = "620357a6f369e40e4e72b5245e6aa7ff1d7e801db609dc1a40487c14b3300a281ebeb\
    aa0f2c2e5ead431fddb2ff3e474ce8d7abf138b4466f5c1fcced9d66660ccc6678b60d085255be4fb060a37e96819c6\
    6df0a6cdff97082dc3ab34d45bda2ffb72a820090def62e42afe658cf713f7a002c73595d9beb41591ab634009c5";

/// All cases, in an order in which they can be run.
pub fn all() -> Vec<Case> {
    [
        codecs(),
        hashes(),
        ciphers(),
        passwords_and_tokens(),
        ids_and_times(),
        cache(),
        http(),
        files(),
        settings(),
        sign_in(),
        accounts(),
        users(),
        links(),
        sessions(),
        storage::cases(),
        notification::cases(),
        group::cases(),
        channel_message::cases(),
        wallet::cases(),
        friend::cases(),
        multi_update::cases(),
        account_export::cases(),
        leaderboard::cases(),
        tournament::cases(),
        matches::cases(),
        realtime::cases(),
        sql(),
        events(),
        metrics(),
        provider::cases(),
        purchase::cases(),
        farewell(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn codecs() -> Vec<Case> {
    let bytes = json!({ "base16": "fffe3f3e" });
    vec![
        gives("base64_encode", json!(["hello"]), json!("aGVsbG8=")),
        gives("base64_encode", json!(["hello", false]), json!("aGVsbG8")),
        gives("base64_encode", json!([bytes]), json!("//4/Pg==")),
        gives("base64_decode", json!(["aGVsbG8="]), json!("hello")),
        gives("base64_decode", json!(["//4/Pg"]), bytes.clone()),
        fails("base64_decode", json!(["?"]), "not a valid base64 string").only(&[Lua, Native]),
        fails("base64_decode", json!(["?"]), "Failed to decode string: ?").only(&[JavaScript]),
        gives("base64url_encode", json!([bytes]), json!("__4_Pg==")),
        gives("base64url_encode", json!([bytes, false]), json!("__4_Pg")),
        gives("base64url_decode", json!(["__4_Pg==", true]), bytes.clone()),
        gives("base64url_decode", json!(["__4_Pg", false]), bytes.clone()),
        fails("base64url_decode", json!(["?"]), "not a valid base64 url string")
            .only(&[Lua, Native]),
        fails("base64url_decode", json!(["?"]), "Failed to decode string: ?").only(&[JavaScript]),
        gives("base16_encode", json!([bytes]), json!("fffe3f3e")),
        gives("base16_decode", json!(["68656C6c6f"]), json!("hello")),
        fails("base16_decode", json!(["6"]), "not a valid base16 string").only(&[Lua, Native]),
        fails("base16_decode", json!(["6"]), "Failed to decode string: 6").only(&[JavaScript]),
        fails("base16_encode", json!([""]), "input").only(&[Lua, Native]),
        gives("string_to_binary", json!(["ä"]), json!({ "base16": "c3a4" })),
        gives("binary_to_string", json!([{ "base16": "c3a4" }]), json!("ä")),
        fails("binary_to_string", json!([{ "base16": "ff" }]), "expects data to be UTF-8 encoded"),
    ]
}

fn hashes() -> Vec<Case> {
    let mac = json!({
        "base16": "9307b3b915efb5171ff14d8cb55fbcc798c6c0ef1456d66ded1a6aa723a58b7b"
    });
    let sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    vec![
        gives("md5_hash", json!(["hello"]), json!("5d41402abc4b2a76b9719d911017c592")),
        gives("sha256_hash", json!(["hello"]), json!(sha256)),
        gives("hmac_sha256_hash", json!(["hello", "key"]), mac),
        fails("hmac_sha256_hash", json!(["hello", ""]), "expects string"),
        gives("rsa_sha256_hash", json!(["hello", "$rsa_key"]), json!({ "base16": RSA_SIGNATURE }))
            .only(&[Lua, Native]),
        // As text, as in the reference: what is not UTF-8 is lost.
        gives("rsa_sha256_hash", json!(["hello", "$rsa_key"]), json!("~b\u{3}W\u{fffd}"))
            .only(&[JavaScript]),
        fails("rsa_sha256_hash", json!(["hello", "no key"]), "could not parse private key"),
        gives("secure_random_bytes", json!([16]), json!("$any")),
        fails("secure_random_bytes", json!([0]), "count must be 1-1000"),
        fails("secure_random_bytes", json!([1001]), "count must be 1-1000"),
    ]
}

fn ciphers() -> Vec<Case> {
    let (short, long) = ("0123456789abcdef", "0123456789abcdef0123456789abcdef");
    vec![
        gives("aes128_encrypt", json!(["twelve bytes", short]), json!("$=sealed")),
        gives("aes128_decrypt", json!(["$sealed", short]), json!("twelve bytes")),
        fails("aes128_encrypt", json!(["text", long]), "expects key 16 bytes long"),
        fails("aes128_decrypt", json!(["$sealed", long]), "expects key 16 bytes long"),
        // The padding stays, as in the reference.
        gives("aes256_encrypt", json!(["hello", long]), json!("$=sealed")),
        gives("aes256_decrypt", json!(["$sealed", long]), json!("hello   ")),
        fails("aes256_encrypt", json!(["text", short]), "expects key 32 bytes long"),
    ]
}

fn passwords_and_tokens() -> Vec<Case> {
    // A known hash: that of "U*U" in the tests of crypt_blowfish.
    let hash = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    let claims = json!({ "sub": "ann" });
    vec![
        gives("bcrypt_hash", json!(["secret"]), json!("~$2a$13$")),
        gives("bcrypt_compare", json!([hash, "U*U"]), json!(true)),
        gives("bcrypt_compare", json!([hash, "U*V"]), json!(false)),
        fails("bcrypt_compare", json!([hash, ""]), "expects string"),
        gives("jwt_generate", json!(["HS256", "key", claims]), json!("~.eyJzdWIiOiJhbm4ifQ.")),
        gives("jwt_generate", json!(["RS256", "$jwt_key", claims]), json!("~.eyJzdWIiOiJhbm4ifQ.")),
        fails("jwt_generate", json!(["RS256", "$rsa_key", claims]), "could not parse private key"),
        fails("jwt_generate", json!(["none", "key", claims]), "unsupported algo type"),
    ]
}

fn ids_and_times() -> Vec<Case> {
    let id = "00112233-4455-6677-8899-aabbccddeeff";
    let bytes = json!({ "base16": "00112233445566778899aabbccddeeff" });
    let new_year = json!([{ "year": 2024, "month": 1, "day": 1, "hour": 0 }]);
    vec![
        gives("uuid_v4", json!([]), json!("~-4")),
        gives("uuid_bytes_to_string", json!([bytes]), json!(id)),
        fails("uuid_bytes_to_string", json!(["short"]), "not a valid UUID byte string"),
        gives("uuid_string_to_bytes", json!([id]), bytes),
        fails("uuid_string_to_bytes", json!(["none"]), "not a valid UUID string"),
        gives("time", json!([]), json!("$any")),
        gives("time", new_year, json!(1_704_067_200_000_u64)),
        gives("cron_next", json!(["0 0 * * *", 1_700_000_000]), json!(1_700_006_400)),
        gives("cron_prev", json!(["0 0 * * *", 1_700_000_000]), json!(1_699_920_000)),
        fails("cron_next", json!(["never", 0]), "expects a valid cron string"),
    ]
}

fn cache() -> Vec<Case> {
    vec![
        runs("localcache_get", json!(["colour"])),
        gives("localcache_get", json!(["colour", "grey"]), json!("grey")),
        runs("localcache_put", json!(["colour", "red", 60])),
        runs("localcache_put", json!(["size", 7])),
        gives("localcache_get", json!(["colour"]), json!("red")),
        gives("localcache_get", json!(["size"]), json!(7)),
        runs("localcache_delete", json!(["colour"])),
        runs("localcache_get", json!(["colour"])),
        runs("localcache_clear", json!([])),
        runs("localcache_get", json!(["size"])),
        fails("localcache_put", json!(["size", 7, -1]), "ttl must be 0 or more"),
        fails("localcache_put", json!(["", 7]), "key"),
    ]
}

fn http() -> Vec<Case> {
    let request = json!(["$http/path?x=1", "post", { "X-Asked": "yes" }, "body", 2000]);
    let answer = |header: serde_json::Value| {
        let headers = json!({ "X-Test": header, "...": true });
        json!({ "code": 202, "headers": headers, "body": "POST /path?x=1 HTTP/1.1|body" })
    };
    vec![
        gives("http_request", request.clone(), answer(json!("one"))).only(&[Lua]),
        gives("http_request", request, answer(json!(["one"]))).only(&[JavaScript, Native]),
        fails("http_request", json!(["$http", "brew", {}]), "expects method to be one of"),
        fails("http_request", json!(["http://127.0.0.1:1", "get", {}]), "HTTP request error"),
    ]
}

fn files() -> Vec<Case> {
    vec![
        gives("file_read", json!(["forward.lua"]), json!("~Calls any host function")),
        gives("file_read", json!(["../modules/forward.lua"]), json!("~Calls any host function")),
        fails("file_read", json!(["../data/none"]), "outside of the runtime path"),
        fails("file_read", json!(["/etc/passwd"]), "failed to open file: /etc/passwd"),
        fails("file_read", json!([""]), "expects relative path string"),
    ]
}

fn settings() -> Vec<Case> {
    vec![gives("get_config", json!([]), json!({ "name": "nakama", "...": true }))]
}

fn sign_in() -> Vec<Case> {
    let custom = json!({ "user_id": "$=user", "username": "custom_$language", "created": true });
    let known = json!({ "user_id": "$user", "username": "custom_$language", "created": false });
    let made = |kind: &str| {
        let name = format!("{kind}_$language");
        json!({ "user_id": format!("$={kind}"), "username": name, "created": true })
    };
    let email = json!(["$language@example.com", "password", "email_$language", true]);
    let by_name = json!(["", "password", "email_$language", false]);
    let by_name_known =
        json!({ "user_id": "$email", "username": "email_$language", "created": false });
    vec![
        gives("authenticate_custom", json!(["id-$language", "custom_$language", true]), custom),
        gives("authenticate_custom", json!(["id-$language", "", false]), known),
        fails("authenticate_custom", json!(["short"]), "must be 6-128 bytes"),
        fails("authenticate_custom", json!(["unknown", "", false]), "User account not found."),
        gives(
            "authenticate_device",
            json!(["device-$language", "device_$language"]),
            made("device"),
        ),
        fails("authenticate_device", json!(["short"]), "must be 10-128 bytes"),
        gives("authenticate_email", email, made("email")),
        gives("authenticate_email", by_name, by_name_known),
        fails(
            "authenticate_email",
            json!(["$language@example.com", "wrong password"]),
            "Invalid credentials.",
        ),
    ]
}

fn accounts() -> Vec<Case> {
    let update = json!(["$user", { "level": "3" }, null, "Ann", "Europe/Oslo"]);
    let user = json!({
        "username": "custom_$language", "display_name": "Ann", "timezone": "Europe/Oslo",
        "metadata": { "level": "3" }, "...": true
    });
    let account = json!({ "user": user, "custom_id": "id-$language", "...": true });
    vec![
        runs("account_update_id", update),
        gives("account_get_id", json!(["$user"]), account.clone()),
        gives("accounts_get_id", json!([["$user"]]), json!([account])),
        gives("accounts_get_id", json!([[], ["device-$language"]]), json!(["$any"])),
        fails("account_get_id", json!([NOBODY]), "account not found"),
        fails(
            "account_update_id",
            json!(["$user", null, "device_$language"]),
            "Username is already in use.",
        ),
    ]
}

fn users() -> Vec<Case> {
    let user = json!({ "user_id": "$user", "username": "custom_$language", "...": true });
    let known = json!(["id-$language", "", false]);
    vec![
        gives("users_get_id", json!([["$user"]]), json!([user])),
        gives("users_get_id", json!([[NOBODY]]), json!([])),
        gives("users_get_username", json!([["custom_$language"]]), json!([user])),
        gives("users_get_random", json!([1]), json!(["$any"])),
        fails("users_get_random", json!([1001]), "count must be 0-1000"),
        runs("users_ban_id", json!([["$user"]])),
        fails("authenticate_custom", known.clone(), "User account banned."),
        runs("users_unban_id", json!([["$user"]])),
        gives("authenticate_custom", known, json!({ "user_id": "$user", "...": true })),
    ]
}

fn links() -> Vec<Case> {
    vec![
        runs("link_custom", json!(["$device", "linked-$language"])),
        fails("link_custom", json!(["$device", "id-$language"]), "Custom ID is already in use."),
        runs("link_device", json!(["$device", "second-device-$language"])),
        runs("link_email", json!(["$device", "linked_$language@example.com", "password"])),
        gives(
            "account_get_id",
            json!(["$device"]),
            json!({
                "custom_id": "linked-$language", "email": "linked_$language@example.com",
                "devices": ["$any", "$any"], "...": true
            }),
        ),
        runs("unlink_custom", json!(["$device", "linked-$language"])),
        runs("unlink_email", json!(["$device", "linked_$language@example.com"])),
        runs("unlink_device", json!(["$device", "second-device-$language"])),
        fails(
            "unlink_device",
            json!(["$device", "device-$language"]),
            "Cannot unlink last account identifier.",
        ),
    ]
}

fn sessions() -> Vec<Case> {
    let generate = json!(["$user", "custom_$language", 4_000_000_000_u64, { "team": "red" }]);
    vec![
        gives(
            "authenticate_token_generate",
            generate,
            json!({ "token": "$=token", "exp": 4_000_000_000_u64 }),
        ),
        fails("session_logout", json!(["$user", "no token"]), "session token invalid"),
        runs("session_logout", json!(["$user", "$token"])),
        runs("session_logout", json!(["$user"])),
    ]
}

fn sql() -> Vec<Case> {
    let select =
        "SELECT 7 AS seven, 1.5::float8 AS half, $1::text AS said, true AS yes, NULL AS none";
    let row = json!({ "seven": 7, "half": 1.5, "said": "hi", "yes": true });
    vec![
        gives("sql_query", json!([select, ["hi"]]), json!([row])),
        gives("sql_query", json!(["SELECT 1 AS one WHERE false"]), json!([])),
        gives(
            "sql_exec",
            json!(["UPDATE users SET location = $1 WHERE id = $2", ["here", "$user"]]),
            json!({ "rows_affected": 1 }),
        ),
        gives(
            "sql_query",
            json!(["SELECT location FROM users WHERE id = $1", ["$user"]]),
            json!([{ "location": "here" }]),
        ),
        fails("sql_query", json!(["SELECT * FROM nowhere"]), "nowhere"),
        fails("sql_exec", json!(["no statement"]), "syntax error"),
    ]
}

fn events() -> Vec<Case> {
    vec![
        runs("event", json!(["level_done", { "level": "3" }, 1_700_000_000, true])),
        fails("event", json!(["", { "level": "3" }]), "expects name string").only(&[Lua, Native]),
    ]
}

fn metrics() -> Vec<Case> {
    let tags = json!({ "language": "$language" });
    vec![
        runs("metrics_counter_add", json!(["cases_played", tags, 2])),
        runs("metrics_counter_add", json!(["cases_played", tags, 5])),
        runs("metrics_gauge_set", json!(["cases_left", tags, 1.5])),
        runs("metrics_timer_record", json!(["case_time", tags, 1_000_000])),
        runs("metrics_gauge_set", json!(["cases_left", null, 3])).only(&[Lua, Native]),
        fails("metrics_gauge_set", json!(["cases_left", null, 3]), "expects object with string")
            .only(&[JavaScript]),
    ]
}

fn farewell() -> Vec<Case> {
    vec![
        runs("account_delete_id", json!(["$user", true])),
        runs("account_delete_id", json!(["$device"])),
        runs("account_delete_id", json!(["$email"])),
        fails("account_get_id", json!(["$user"]), "account not found"),
    ]
}
