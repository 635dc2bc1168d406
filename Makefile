# One command for each habit. `make` alone lists them; azure-pipelines.yml and .ci/run call the same ones.
# ARGS goes to the command behind a target: make test ARGS=operations::health

.DEFAULT_GOAL := help
.PHONY: help run demo prepare test test-fast hold simulate lint lint-fast fmt bench package docs hook \
	toolchain clients-newest evaluate deny advisories check-infra coverage drop ci

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: ## Start the service on http://127.0.0.1:8000
	cargo run --release $(if $(ARGS),-- $(ARGS))

demo: ## Schedule one conversation, deliver it and show its status
	cargo run --release -- demo

prepare: ## Install what the tests need under target/
	scripts/prepare

test: ## Run all tests; JUNIT=FILE writes the results there, PACKAGED_APP=FOLDER tests that app
	scripts/test $(ARGS)

test-fast: ## Run the tests that start no process, no host and no Azurite (under 2 minutes)
	scripts/test-fast $(ARGS)

clients-newest: ## Let programs of others in as the tests do, but with their newest versions (needs the internet)
	scripts/clients-newest

evaluate: ## Let a small model on this machine do the tasks of the evaluation, and count what is right
	scripts/evaluate

hold: ## Run the tests that take minutes: floods, failures and restarts of the real process
	scripts/hold

simulate: ## Run the simulation with 20,000 seeds; ARGS="SEEDS FIRST" runs others
	scripts/simulate $(ARGS)

lint: ## Check format, clippy, documentation and shell scripts
	scripts/lint

lint-fast: ## Check only what needs no compiler: format and shell scripts
	scripts/lint fast

fmt: ## Format the Rust sources
	cargo fmt

bench: ## Run the benchmarks; ARGS="--bench load -- stalled-host" runs one
	cargo bench --locked $(ARGS)

package: ## Build the function app as one checked zip file in target/package
	scripts/package

docs: ## Build the documentation of the code in target/doc
	cargo doc --locked --no-deps --document-private-items

hook: ## Run lint-fast before each commit of this checkout
	ln -s "$(CURDIR)/scripts/pre-commit" "$$(git rev-parse --git-path hooks)/pre-commit"

toolchain: ## Install the Rust toolchain that rust-toolchain.toml names
	scripts/toolchain

deny: ## Check licences, sources and bans of the dependencies
	scripts/deny

advisories: ## Check the dependencies for known vulnerabilities (needs the internet)
	scripts/deny advisories

check-infra: ## Check the infrastructure templates
	scripts/check-infra

coverage: ## Measure the test coverage: COBERTURA=FILE
	scripts/coverage $(COBERTURA)

drop: ## Copy the package, its checksum and its bill of materials: DROP=FOLDER
	scripts/drop $(DROP)

ci: ## Run every step that a change must pass
	.ci/run
