#!/bin/sh
# build.sh OUTDIR: builds the sample modules into OUTDIR: rust_hello.so, c_hello.so, go_hello.so.
# What is not built is named in a line that begins with "skipped"; with CI=true that is a failure.
set -eu

out=${1:?usage: build.sh OUTDIR}
mkdir -p "$out"
out=$(cd "$out" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

# Beside OUTDIR, so that moving is whole: another build may run, or a server have an old one loaded.
temporary=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$temporary"' EXIT

place() {
    mv -f "$temporary/$1" "$out/$1"
    echo "built $out/$1"
}

skip() {
    echo "skipped $1: $2"
    if [ "${CI:-}" = true ]; then
        echo "error: CI must build $1" >&2
        exit 1
    fi
}

(cd "$root" && "${CARGO:-cargo}" build --quiet -p rust-hello)
cp "${CARGO_TARGET_DIR:-$root/target}/debug/librust_hello.so" "$temporary/rust_hello.so"
place rust_hello.so

if command -v "${CC:-cc}" >/dev/null; then
    "${CC:-cc}" -std=c11 -Wall -Wextra -Werror -shared -fPIC -I "$root/sdk/include" \
        -o "$temporary/c_hello.so" "$here/c-hello/hello.c"
    place c_hello.so
else
    skip c_hello.so "no C compiler on PATH"
fi

if command -v go >/dev/null; then
    (cd "$here/go-hello" && CGO_ENABLED=1 go build -buildmode=c-shared -trimpath \
        -ldflags="-s -w" -o "$temporary/go_hello.so" .)
    place go_hello.so
else
    skip go_hello.so "no Go toolchain on PATH"
fi
