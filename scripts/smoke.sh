#!/usr/bin/env bash
# Builds what `make run` runs and uses it as a newcomer would: the sample modules on an embedded
# database, a sign-in, an RPC in each script language, a socket. The other tests run debug builds,
# which hide what only the optimiser brings to light.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/server.sh
cargo build --release --locked
begin smoke
serve target/release/guildhall "$(free_port)" --data_dir "$work" --runtime.path data/modules

# answers WHAT EXPECTED CURL-ARGUMENTS...: the answer, kept in $answer, holds what is expected.
answers() {
  answer=$(curl -s -m 10 "${@:3}") || true
  case $answer in
    *"$2"*) echo "smoke: $1" ;;
    *) echo "smoke: $1 answered: $answer" >&2; cat "$work/log" >&2; exit 1 ;;
  esac
}
answers "an RPC in Lua" you "$base/v2/rpc/hello_lua?unwrap&http_key=defaulthttpkey" -d '"you"'
answers "an RPC in JavaScript" you "$base/v2/rpc/hello_js?unwrap&http_key=defaulthttpkey" -d '"you"'
answers "a sign-in" '"token"' "$base/v2/account/authenticate/device" -u defaultkey: -d '{"id":"smoke-0123456789"}'
token=$(python3 -c 'import json, sys; print(json.loads(sys.argv[1])["token"])' "$answer")
answers "an account" '"user"' "$base/v2/account" -H "Authorization: Bearer $token"
answers "a socket" '101 Switching' -i -N --max-time 1 "$base/ws?token=$token" -H 'Connection: Upgrade' \
  -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: c21va2Utc21va2Utc21vaw=='
