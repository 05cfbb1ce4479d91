# Waybill. `make help` lists the targets; `make demo` and `make test` do everything, downloads and set-up included.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

include deploy/local/stack.mk

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/waybill
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := $(CACHE)/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny
CARGO_FUZZ_VERSION := 0.13.2
CARGO_FUZZ := $(CACHE)/cargo-fuzz-$(CARGO_FUZZ_VERSION)/bin/cargo-fuzz
# How long each fuzz target runs.
FUZZ_SECONDS ?= 60
# Addresses of the stack for whatever runs against it.
WITH_STACK = eval "$$($(STACK) env)";

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: prerequisites
prerequisites:
	@deploy/local/prerequisites

.PHONY: build
build: prerequisites ## build all services and tools
	cargo build --workspace --bins

.PHONY: demo
demo: stack-up build ## the real stack, all services, real messages, and a balance sheet that must be zero
	@$(WITH_STACK) target/debug/demo

.PHONY: run
run: stack-up build ## all services in the foreground against the stack; Ctrl-C stops them
	@$(WITH_STACK) target/debug/demo run

.PHONY: test
test: stack-up build ## all tests, on the real stack
	@$(WITH_STACK) cargo test --workspace

.PHONY: chaos
chaos: stack-up build ## kill -9 of every service and the broker, ten times each, while messages flow
	@$(WITH_STACK) WAYBILL_CHAOS_ROUNDS=$${WAYBILL_CHAOS_ROUNDS:-10} cargo test -p waybill-tests --test chaos -- --nocapture

.PHONY: bench
bench: stack-up ## speed beside two HL7 crates, a raw producer, a null MLLP server and Apache Camel; BENCH='--quick partitions=1 listen' does less
	cargo build --release -p ehr-ingest -p waybillctl -p waybill-tests --bins
	@$(WITH_STACK) target/release/bench $(BENCH)

.PHONY: fuzz
fuzz: $(CARGO_FUZZ) ## every fuzz target for FUZZ_SECONDS (60); stops at the first finding
	@# No nightly toolchain and no sanitizer: there is no unsafe code of ours that one would watch.
	@cd fuzz; for target in $$($(CARGO_FUZZ) list); do \
		mkdir -p corpus/$$target; \
		RUSTC_BOOTSTRAP=1 $(CARGO_FUZZ) run $$target --sanitizer none corpus/$$target seeds/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=1024 -timeout=10 -verbosity=0 -print_final_stats=1; \
	done

.PHONY: check
check: prerequisites $(CARGO_DENY) ## format, lints, licences and layering, documentation
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	@# The crates of every platform, which a build leaves out: cargo-deny looks at all and asks nobody.
	cargo fetch --locked --quiet
	$(CARGO_DENY) --offline check bans licenses sources
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet

$(CARGO_DENY):
	cargo install cargo-deny --version $(CARGO_DENY_VERSION) --locked --quiet --root $(CACHE)/cargo-deny-$(CARGO_DENY_VERSION)

$(CARGO_FUZZ):
	cargo install cargo-fuzz --version $(CARGO_FUZZ_VERSION) --locked --quiet --root $(CACHE)/cargo-fuzz-$(CARGO_FUZZ_VERSION)
