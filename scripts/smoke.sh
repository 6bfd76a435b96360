#!/usr/bin/env bash
# Builds what `make run` runs and uses it as a newcomer would: the sample modules on an embedded
# database, a sign-in, an RPC in each script language, a socket. The other tests run debug builds,
# which hide what only the optimiser brings to light.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked
work=$(mktemp -d /tmp/guildhall-smoke.XXXXXX)
chmod 755 "$work"
stop() {
  [ -z "${server:-}" ] || { kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }
  rm -rf "$work"
}
trap stop EXIT

read -r port console < <(python3 -c '
import socket
sockets = [socket.socket() for _ in range(2)]
for it in sockets: it.bind(("127.0.0.1", 0))
print(*[it.getsockname()[1] for it in sockets])')
target/release/guildhall --data_dir "$work" --runtime.path data/modules --socket.port "$port" \
  --console.port "$console" >"$work/log" 2>&1 &
server=$!
base=http://127.0.0.1:$port
until curl -sf "$base/healthcheck" >/dev/null; do
  kill -0 "$server" || { cat "$work/log"; exit 1; }
  sleep 0.05
done
# answers WHAT EXPECTED CURL-ARGUMENTS...: the answer holds what is expected.
answers() {
  local answer
  answer=$(curl -s -m 10 "${@:3}") || true
  case $answer in
    *"$2"*) echo "smoke: $1" ;;
    *) echo "smoke: $1 answered: $answer" >&2; cat "$work/log" >&2; exit 1 ;;
  esac
}
answers "an RPC in Lua" you "$base/v2/rpc/hello_lua?unwrap&http_key=defaulthttpkey" -d '"you"'
answers "an RPC in JavaScript" you "$base/v2/rpc/hello_js?unwrap&http_key=defaulthttpkey" -d '"you"'
answers "a sign-in" '"token"' "$base/v2/account/authenticate/device" -u defaultkey: -d '{"id":"smoke-0123456789"}'
token=$(curl -s "$base/v2/account/authenticate/device" -u defaultkey: -d '{"id":"smoke-0123456789"}' |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["token"])')
answers "an account" '"user"' "$base/v2/account" -H "Authorization: Bearer $token"
answers "a socket" '101 Switching' -i -N --max-time 1 "$base/ws?token=$token" -H 'Connection: Upgrade' \
  -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: c21va2Utc21va2Utc21vaw=='
