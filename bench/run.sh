#!/usr/bin/env bash
# Measures this server by the shared load generator, on a PostgreSQL of its own that runs beside it.
#   bench/run.sh [SCENARIO,...] [SECONDS] [ARGUMENTS OF THE LOAD GENERATOR...]
# Memory (ws_idle, matches) is true only for the first scenario of a run.
# GUILDHALL names a binary to measure; without it one is built.
# Prints one JSON line a scenario (the best-known figure is cpu_us_per_op: see the README there).
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/server.sh
shared=${BENCH:-../shared/bench}
scenarios=${1:-healthcheck,account_get,session_refresh,auth_custom,auth_custom_login,storage_write,storage_insert,storage_read,storage_list,leaderboard_write,leaderboard_list,rpc_lua_echo,rpc_js_echo,rpc_lua_storage,rpc_js_storage,rpc_lua_cpu,rpc_js_cpu,hook_before,ws_connect,ws_rpc_echo,ws_chat_fanout,ws_chat_persist,ws_match_relay,ws_match_authoritative,ws_match_authoritative_js,matchmaker}
seconds=${2:-6}
[ -d "$shared/loadgen" ] || { echo "bench: no load generator at $shared/loadgen" >&2; exit 1; }

[ -n "${GUILDHALL:-}" ] || cargo build --release --locked
guildhall=${GUILDHALL:-target/release/guildhall}
CARGO_TARGET_DIR=target/loadgen cargo build --release --quiet --manifest-path "$shared/loadgen/Cargo.toml"
loadgen=target/loadgen/release/loadgen

begin bench
tools=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1 || true)
export PATH="${tools:+$tools:}$PATH"
postgres_user() { if [ "$(id -u)" = 0 ]; then setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; else "$@"; fi; }
ended() {
  [ ! -d "$work/db" ] || postgres_user pg_ctl -D "$work/db" -m immediate stop >/dev/null 2>&1 || true
}
mkdir "$work/db" && { [ "$(id -u)" != 0 ] || chown postgres "$work/db"; }
postgres_user initdb -D "$work/db" -U bench --auth=trust -E UTF8 --locale=C >/dev/null
port=${BENCH_PG_PORT:-54399}
postgres_user pg_ctl -D "$work/db" -w -l "$work/db/log" -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=''" start >/dev/null
psql -q -h 127.0.0.1 -p "$port" -U bench -d postgres -c 'CREATE DATABASE bench'
address="bench@127.0.0.1:$port/bench"
"$guildhall" migrate up --database.address "$address" >/dev/null

modules=$work/modules
mkdir "$modules" && cp "$shared"/modules/* "$modules"
serve "$guildhall" "${BENCH_PORT:-17350}" --database.address "$address" --database.max_open_conns 40 \
  --runtime.path "$modules" --data_dir "$work" --logger.level warn --session.token_expiry_sec 3600
"$loadgen" run --base "$base" --pid "$server" --pg-db bench --scenarios "$scenarios" --secs "$seconds" "${@:3}"
