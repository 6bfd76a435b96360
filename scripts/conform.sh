#!/usr/bin/env bash
# Plays the conformance cases against a server on its embedded database: conform.sh FOLDER [OPTION...].
# Without options, all are judged against the cases that may still fail
# (tests/conformance.txt): a case that fails and is not named there, or passes and is, ends with 1.
set -euo pipefail
cd "$(dirname "$0")/.."
cases=${1:?the folder of the conformance cases}
shift
[ -x "$cases/conform" ] || { echo "conform: no cases at $cases, nothing to compare with"; exit 0; }
cases=$(cd "$cases" && pwd)

cargo build --release --locked
work=$(mktemp -d /tmp/guildhall-conform.XXXXXX)
chmod 755 "$work"
stop() {
  [ -z "${server:-}" ] || { kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }
  rm -rf "$work"
}
trap stop EXIT

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
target/release/guildhall --data_dir "$work/data" --runtime.path "$cases/modules" --logger.level error \
  --matchmaker.interval_sec 1 --sign_in.account_address_limit 1000000 --sign_in.account_limit 1000000 \
  --sign_in.address_limit 1000000 --socket.port "$port" --console.port $((port + 1)) >"$work/log" 2>&1 &
server=$!
until curl -sf "http://127.0.0.1:$port/healthcheck" >/dev/null; do
  kill -0 "$server" || { cat "$work/log"; exit 1; }
  sleep 0.05
done
conform=("$cases/conform" run --base "http://127.0.0.1:$port" --jobs 4)
if [ $# -gt 0 ]; then
  "${conform[@]}" "$@"
else
  "${conform[@]}" --report "$work/report.json" >"$work/output" || true
  sed -n '/^area/,$p' "$work/output" | head -n -1
  scripts/judge.py "$work/report.json" tests/conformance.txt
fi
