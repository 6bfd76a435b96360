# For scripts with a server of their own; they source it.
#   begin NAME             makes the folder $work. When the script ends, the server does, then what the
#                          function `ended` of the script ends, if it has one, and the folder goes.
#   serve PROGRAM PORT ARGUMENT...  starts a server on PORT, its log in $work/log, and waits until it is
#                          healthy: $server is its process, $base its address.

begin() {
  work=$(mktemp -d "/tmp/guildhall-$1.XXXXXX")
  chmod 755 "$work"
  trap stop EXIT
}

stop() {
  [ -z "${server:-}" ] || { kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }
  [ "$(type -t ended)" != function ] || ended
  rm -rf "$work"
}

serve() {
  base=http://127.0.0.1:$2
  "$1" --socket.port "$2" --console.port $(($2 + 1)) "${@:3}" >"$work/log" 2>&1 &
  server=$!
  until curl -sf "$base/healthcheck" >/dev/null; do
    kill -0 "$server" || { cat "$work/log"; exit 1; }
    sleep 0.02
  done
}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
