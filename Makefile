target := $(or $(CARGO_TARGET_DIR),target)

.DEFAULT_GOAL := help
.PHONY: help demo test format lint docs unit dependencies bench compare compat

help: ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## */  make \1\t/' | expand -t 22

demo: cargo ## build, load a sample of 90 days and serve it
	cargo build --release --locked
	"$(target)/release/spendlake" demo

test: format lint docs unit dependencies ## every check that CI makes

format: cargo ## is the code formatted?
	cargo fmt --check

lint: cargo ## clippy, warnings are errors
	cargo clippy --locked --all-targets -- -D warnings

docs: cargo ## rustdoc, warnings are errors
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items --lib

unit: cargo postgres ## unit and integration tests
	cargo test --locked

dependencies: cargo ## licences, and one version each of the data crates
	python3 scripts/check_dependencies.py

bench: cargo ## criterion benches
	cargo bench --locked

compare: cargo ## the same questions asked of other engines
	bash scripts/compare/run.sh

compat: cargo ## real clients of SQL, and every route as each role
	cargo build --locked
	bash tests/clients/compat.sh "$(target)/debug/spendlake"
	bash tests/clients/openapi.sh "$(target)/debug/spendlake"

.PHONY: postgres
postgres:
	@command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || { \
	  echo "PostgreSQL is missing: the directory is tested on it as well as on SQLite."; \
	  echo "Install your system's package (Debian: apt-get install postgresql)."; \
	  exit 1; }

.PHONY: cargo
cargo:
	@command -v cargo >/dev/null || { \
	  echo "cargo is missing: Spendlake needs Rust 1.95 or newer."; \
	  echo "Install it with rustup (https://rustup.rs), or with your system's packages, and"; \
	  echo "a C compiler as well (Debian: apt-get install build-essential)."; \
	  exit 1; }
