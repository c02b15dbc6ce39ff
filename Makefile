# The tasks of the repository. `make` alone lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test ci lint doc bench bench-smoke bench-coordinator bench-coordinator-smoke simulate mutants conformance kubectl clean

CARGO ?= cargo
PYTHON ?= python3
# cargo's own name for the folder, should the environment move it.
TARGET := $(or $(CARGO_TARGET_DIR),target)
KUBECTL := .venv/bin/kubectl
export XEBEC_KUBECTL ?= $(CURDIR)/$(KUBECTL)

help: ## lists the tasks
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 26

run: ## builds xebec and starts a cluster; its kubeconfig is .xebec/kubeconfig (RUN_FLAGS adds flags)
	@mkdir -p .xebec
	$(CARGO) build --locked --release --package xebec
	$(TARGET)/release/xebec up --kubeconfig .xebec/kubeconfig $(RUN_FLAGS)

test: kubectl ## installs what the tests need, and runs all of them
	$(CARGO) xtask test

ci: ## what CI runs
	$(CARGO) fmt --all --check
	$(CARGO) xtask tidy
	$(CARGO) clippy --locked --workspace --all-targets -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' $(CARGO) doc --locked --workspace --no-deps --document-private-items
	$(MAKE) --no-print-directory bench-smoke
	$(MAKE) --no-print-directory bench-coordinator-smoke
	$(MAKE) --no-print-directory test

bench: ## measures a release build beside its bars; exits non-zero where one is missed (BENCH_FLAGS adds flags)
	$(CARGO) build --locked --release --package xebec
	$(TARGET)/release/xebec bench --spawn '$(TARGET)/release/xebec apiserver --port 0' $(BENCH_FLAGS)

bench-smoke: ## the same benchmark on a development build, small: that it works, not how fast
	$(CARGO) build --locked --package xebec
	$(TARGET)/debug/xebec bench --smoke --spawn '$(TARGET)/debug/xebec apiserver --port 0'

simulate: ## plays SEEDS seeds (500) of faults against everything of ours; prints the shortest trace of one that fails (SIMULATE_FLAGS adds flags)
	$(CARGO) build --locked --release --package xebec-sim
	$(TARGET)/release/xebec-sim --seeds $(or $(SEEDS),500) $(SIMULATE_FLAGS)

mutants: ## breaks rules of the coordinator, one at a time, and shows the seed that finds each (MUTANTS names some)
	$(CARGO) xtask mutants $(MUTANTS)

bench-coordinator: ## measures the coordinator beside kube-rs, on one server; exits non-zero where a bar is missed (BENCH_FLAGS adds flags)
	$(CARGO) build --locked --release --package xebec --package xebec-bench-coordinator
	$(TARGET)/release/xebec-bench-coordinator --spawn '$(TARGET)/release/xebec apiserver --port 0' $(BENCH_FLAGS)

bench-coordinator-smoke: ## the same on a development build, small: that it works, not how fast
	$(CARGO) build --locked --package xebec --package xebec-bench-coordinator
	$(TARGET)/debug/xebec-bench-coordinator --smoke --spawn '$(TARGET)/debug/xebec apiserver --port 0'

conformance: ## how many recorded answers of a real kube-apiserver come back equal, a folder
	.ci/conformance

kubectl: $(KUBECTL)

# A virtual environment of the tests' own. The stamp is kubectl itself: a pip that was interrupted leaves none.
$(KUBECTL): .ci/requirements.txt
	$(PYTHON) -m venv .venv || { echo "make: the tests need python3-venv (Debian: apt-get install python3-venv)"; exit 1; }
	.venv/bin/pip install --quiet --disable-pip-version-check --requirement .ci/requirements.txt
	@touch $@

clean: ## removes what was built and installed
	$(CARGO) clean
	rm -rf .venv .xebec
