//! Rules that span several keys. What one key may hold stands in its declaration.
//!
//! Source: Nakama checks the same at its start; the sentences are ours.

use super::keys::Config;
use super::problem::Problem;

/// Whether the keys fit together.
///
/// # Errors
/// The first that do not.
pub(super) fn check(config: &Config) -> Result<(), Problem> {
    let Config { session, socket, console, runtime, logger, metrics, satori, .. } = config;
    let rules = [
        (
            session.encryption_key != session.refresh_encryption_key,
            "session.encryption_key and session.refresh_encryption_key are the same, but expect two different secrets",
        ),
        (
            !session.single_match || session.single_socket,
            "session.single_match is true, but expects session.single_socket to be true as well",
        ),
        (
            !session.single_party || session.single_socket,
            "session.single_party is true, but expects session.single_socket to be true as well",
        ),
        (
            is_username(&console.username),
            "console.username expects 3 or more characters: letters and digits at both ends, a letter, digit, '.' or '_' second",
        ),
        (
            socket.ssl_certificate.is_empty() == socket.ssl_private_key.is_empty(),
            "socket.ssl_certificate and socket.ssl_private_key expect to be set together",
        ),
        (
            !logger.rotation || !logger.file.is_empty(),
            "logger.rotation is true, but expects logger.file to be set",
        ),
        (
            satori.url.is_empty()
                || satori.url.starts_with("http://")
                || satori.url.starts_with("https://"),
            "satori.url expects an address that begins with http:// or https://",
        ),
        (
            metrics.prometheus_port == 0 || metrics.prometheus_port != socket.port,
            "metrics.prometheus_port and socket.port are the same, but expect two different ports",
        ),
    ];
    if let Some((_, line)) = rules.into_iter().find(|(kept, _)| !kept) {
        return Err(Problem::new(line));
    }

    let orders = [
        (
            "runtime.lua_min_count",
            runtime.lua_min_count,
            "runtime.lua_max_count",
            runtime.lua_max_count,
        ),
        (
            "runtime.js_min_count",
            runtime.js_min_count,
            "runtime.js_max_count",
            runtime.js_max_count,
        ),
    ];
    for (low_key, low, high_key, high) in orders {
        if low > high {
            return Err(Problem::new(format!(
                "{low_key} is {low}, but expects at most {high_key}, which is {high}"
            )));
        }
    }
    let (ping, pong) = (socket.ping_period_ms, socket.pong_wait_ms);
    if ping >= pong {
        let line = format!(
            "socket.ping_period_ms is {ping}, but expects less than socket.pong_wait_ms, which is {pong}"
        );
        return Err(Problem::new(line));
    }
    Ok(())
}

/// Source: the reference's pattern `^[a-zA-Z0-9][a-zA-Z0-9._].*[a-zA-Z0-9]$`.
fn is_username(name: &str) -> bool {
    let plain = |c: &char| c.is_ascii_alphanumeric();
    let chars: Vec<char> = name.chars().collect();
    match chars.as_slice() {
        [first, second, .., last] => {
            plain(first) && (plain(second) || matches!(second, '.' | '_')) && plain(last)
        }
        _ => false,
    }
}
