# The one door: `make` alone lists what there is. The work itself is in scripts/, one file for each thing done.

SHELL := /bin/bash
# A Rust that was installed a minute ago is found without a new shell.
export PATH := $(PATH):$(HOME)/.cargo/bin

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1 \2/p' $(firstword $(MAKEFILE_LIST)) \
	  | while read -r target what; do printf '  make %-8s %s\n' "$$target" "$$what"; done

.PHONY: demo
demo: ## set up, build, answer a question from docs/ offline, verify the receipts
	@scripts/demo.sh

.PHONY: test
test: ## set up, then every test and check; ends with what was skipped and why
	@scripts/test.sh

.PHONY: bench
bench: ## the benchmarks of docs/BENCHMARKS.md (release build, a quiet machine)
	@scripts/setup.sh test
	cargo bench --workspace

.PHONY: audit
audit: ## known vulnerabilities and more of deny.toml than `make test` checks (needs cargo-deny and its database)
	cargo deny check

.PHONY: page
page: ## build the page that verifies receipts in a browser, target/verify.html (needs the target wasm32-unknown-unknown)
	@scripts/page.sh target/verify.html

.PHONY: fuzz
fuzz: ## fuzz every parser of signed or foreign bytes, ten minutes each (FUZZ_SECONDS=60 for less)
	@scripts/fuzz.sh "$${FUZZ_SECONDS:-600}"

.PHONY: models
models: ## fetch the embedding model all-MiniLM-L6-v2 (46 MB) into the home's folder of models
	@scripts/models.sh

.PHONY: eval
eval: ## two-hop questions on real text, from $II_SHARED (../shared)
	@scripts/setup.sh demo
	@scripts/eval.sh

.PHONY: picture
picture: ## draw docs/run.svg anew from a real run
	@scripts/setup.sh demo
	cargo build --workspace --no-default-features
	@scripts/picture.sh

.PHONY: setup
setup: ## only what demo and test need on this machine; says nothing when all is there
	@scripts/setup.sh test

.PHONY: clean
clean: ## remove what was built
	@if command -v cargo >/dev/null; then cargo clean --quiet; fi
	@rm -rf target .eval
