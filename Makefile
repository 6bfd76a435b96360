# Guildhall. `make run` starts a server on its own database; `make test` runs everything.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
CARGO := . "$$HOME/.cargo/env" 2>/dev/null || true; cargo
CONFORMANCE ?= ../shared/conformance

SECS ?= 600
SOCKETS ?= 1000

.PHONY: run test check unit e2e smoke conform soak bench setup setup-test

## Installs what is missing, builds, and starts on the embedded database with the sample modules.
run: setup
	$(CARGO) build --release --locked
	@echo 'When the line "guildhall is ready" has shown the addresses, try this in another terminal:'
	@echo "  curl 'http://localhost:7350/v2/rpc/hello_lua?unwrap&http_key=defaulthttpkey' -d '\"you\"'"
	exec target/release/guildhall --logger.format console

## Format, lints, docs, unit tests, end-to-end tests, a look at the release build, and conformance
## where its cases are at hand.
test: check unit e2e smoke conform

check: setup-test
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --document-private-items

unit: setup-test
	$(CARGO) test --workspace --lib --bins --locked

e2e: setup-test tests/js/node_modules
	$(CARGO) test --workspace --test '*' --locked

tests/js/node_modules: tests/js/package-lock.json
	cd tests/js && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

smoke: setup-test
	scripts/smoke.sh

conform: setup-test
	scripts/conform.sh $(CONFORMANCE)

## Many clients at random, for SECS seconds; against the release build if there is one.
soak: setup-test
	export SERVER_PROGRAM="$$(realpath -qe target/release/guildhall || true)"; \
	export SOAK_SECS=$(SECS) SOAK_SOCKETS=$(SOCKETS); \
	$(CARGO) test --locked --test soak -- --nocapture clients_at_random

bench:
	bench/run.sh

setup:
	@scripts/setup.sh run

setup-test:
	@scripts/setup.sh test
