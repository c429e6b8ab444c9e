.DEFAULT_GOAL := help
PY := scripts/py

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## See the cache work: a catalogue site on Flask, at an address it prints
	@$(PY) scripts/run_demo.py

.PHONY: demo-rust
demo-rust: ## The same site on axum
	@echo 'building the site and SQLite (the first time takes two to six minutes)'
	cargo run --release -p demo-axum

# Where `make edge` listens, and where its pages lie; EDGE is for all other options (EDGE=--help).
PORT ?= 8080
STORE ?= memory://?size=256MB

.PHONY: edge
edge: ## A caching proxy in front of a server: make edge ORIGIN=http://127.0.0.1:8000 PORT=8080
	@test -n '$(ORIGIN)$(findstring --help,$(EDGE))' || { echo 'ORIGIN is missing: which server is the proxy to stand in front of? (make edge ORIGIN=http://127.0.0.1:8000)' >&2; exit 2; }
	@cargo run --release --manifest-path examples/edge/Cargo.toml --target-dir target/examples -- \
		--listen '127.0.0.1:$(PORT)' $(if $(ORIGIN),--origin '$(ORIGIN)') --store '$(STORE)' $(EDGE)

.PHONY: test
test: ## Run every test, Rust and Python, with a real Redis
	@$(PY) scripts/run_tests.py

.PHONY: matrix
matrix: ## Run the Python tests on every promised Python and Flask
	@$(PY) scripts/run_matrix.py

.PHONY: soak
soak: ## Run the long tests for hours: storms of processes, kills, damage at every offset
	@$(PY) scripts/run_soak.py

.PHONY: lint
lint: ## Check format, lints, types, documentation and the floors
	@$(PY) scripts/run_lint.py

.PHONY: conformance
conformance: ## Run the test suites of Flask-Caching and cachelib against flask_larder.compat
	@$(PY) conformance/run.py; suites=$$?; $(PY) conformance/differential/run.py && exit $$suites

.PHONY: wheel
wheel: ## Build dist/flask_larder-*.whl: one for this Python, one for all
	@$(PY) scripts/run_wheel.py

.PHONY: bench
bench: ## Measure against Flask-Caching and other caches, side by side
	@bench/run

.PHONY: clean
clean: ## Remove everything that was built or downloaded
	rm -rf target examples/*/target dist .venv .venv-* bench/rust/target conformance/.work conformance/report.txt demo/.data
	rm -f python/flask_larder/_native*.so
