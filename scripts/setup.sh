#!/usr/bin/env bash
# Installs what building, running or testing needs and is missing: `setup.sh run` or `setup.sh test`.
# Debian and Ubuntu, as root or with sudo. Does nothing where everything is there.
set -euo pipefail

what=${1:-run}
missing=()
need() { # need COMMAND PACKAGE...
  command -v "$1" >/dev/null 2>&1 || missing+=("${@:2}")
}

need cc gcc libc6-dev
need c++ g++
need make make
need curl curl
need git git
if [ "$what" = test ]; then
  need python3 python3
  need node nodejs
  need npm npm
  # Go modules are tested where Go is; CI insists on it.
  [ "${CI:-}" = true ] && need go golang-go
fi

if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || {
    echo "setup: install these by hand, then try again: ${missing[*]}" >&2
    exit 1
  }
  sudo=
  [ "$(id -u)" = 0 ] || sudo=sudo
  echo "setup: installing ${missing[*]}"
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

# Rust: the version that Cargo.toml names, or newer.
wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "$0")/../Cargo.toml" | head -n 1)
[ -f "$HOME/.cargo/env" ] && . "$HOME/.cargo/env"
have() { cargo --version 2>/dev/null | awk '{print $2}'; }
newer() { [ -n "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }
if ! newer "$wanted" "$(have)"; then
  if ! command -v rustup >/dev/null 2>&1; then
    sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    echo "setup: installing rustup"
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq rustup || {
      echo "setup: Rust $wanted or newer is needed and this system has no package 'rustup':" >&2
      echo "setup: install it as https://rust-lang.org/tools/install says, then try again" >&2
      exit 1
    }
  fi
  rustup toolchain install stable --profile minimal -c rustfmt -c clippy
  rustup default stable
fi
if [ "$what" = test ]; then
  cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 ||
    rustup component add rustfmt clippy
fi
