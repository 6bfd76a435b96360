#!/usr/bin/env bash
# Plays the conformance cases against a server on its embedded database: conform.sh FOLDER [OPTION...].
# Without options, all are judged against the cases that may still fail
# (tests/conformance.txt): a case that fails and is not named there, or passes and is, ends with 1.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/server.sh
cases=${1:?the folder of the conformance cases}
shift
[ -x "$cases/conform" ] || { echo "conform: no cases at $cases, nothing to compare with"; exit 0; }
cases=$(cd "$cases" && pwd)

cargo build --release --locked
begin conform
serve target/release/guildhall "$(free_port)" --data_dir "$work/data" --runtime.path "$cases/modules" \
  --logger.level error --matchmaker.interval_sec 1 --sign_in.account_address_limit 1000000 \
  --sign_in.account_limit 1000000 --sign_in.address_limit 1000000
conform=("$cases/conform" run --base "$base" --jobs 4)
if [ $# -gt 0 ]; then
  "${conform[@]}" "$@"
else
  "${conform[@]}" --report "$work/report.json" >"$work/output" || true
  sed -n '/^area/,$p' "$work/output" | head -n -1
  scripts/judge.py "$work/report.json" tests/conformance.txt
fi
