# `make` lists what there is. Needs python3 (3.11 or newer, with venv), make and git; no root.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Exist once the virtual environment has what runs the demo, and what the tests need beside it.
RUNS := $(VENV)/.runs
INSTALLED := $(VENV)/.installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help venv demo check format test docs docs-links chaos bench lock clean
.PHONY: check-format check-lint check-types check-imports check-schemas check-tests

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(INSTALLED) ## Make .venv with everything that tests and docs need, from the lock files
	@:

$(RUNS): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) has no venv: on Debian and Ubuntu, apt-get install python3-venv" >&2; exit 1; }
	@echo "installing into $(VENV)" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --require-hashes -r requirements-dev.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(INSTALLED): requirements-test.lock $(RUNS)
	@echo "installing what the tests need" >&2
	@$(PIP) --require-hashes -r requirements-test.lock
	@touch $@

# In a terminal, a job of its own (-m): or Ctrl-C would also hit make, which then cannot end with 0.
# The shell, not make, puts ESSAYS in: its name may hold spaces and quotes.
demo: DEMO = $(BIN)/llm-worker demo $(if $(ESSAYS),--essays "$$ESSAYS")
demo: ## Rank twelve essays, or ESSAYS=dir/, on an embedded Kafka; ends by itself
	@if [ -t 0 ]; then bash -mc '$(MAKE) $(RUNS) && $(DEMO) || test $$? -eq 130'; \
	else $(MAKE) $(RUNS) && $(DEMO); fi

check: $(INSTALLED) ## Format, lint, types, import contracts, schemas, unit tests: before each commit
	@$(MAKE) -j 2 --keep-going --output-sync=target \
		check-tests check-types check-format check-lint check-imports check-schemas

check-format: ; $(BIN)/ruff format --check .
check-lint: ; $(BIN)/ruff check .
check-types: ; $(BIN)/mypy
check-imports: ; $(BIN)/lint-imports
check-schemas: ; $(BIN)/llm-worker schemas check
check-tests: ; $(BIN)/pytest -q tests/unit tests/architecture tests/contract tests/schemas

format: $(INSTALLED) ## Format, and fix what ruff can fix
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

test: $(INSTALLED) ## All tests, on a real Kafka and a real Redis that they start themselves
	$(BIN)/pytest tests

SPHINX = $(BIN)/sphinx-build -c docs --nitpicky --fail-on-warning --keep-going --fresh-env --quiet

docs: $(INSTALLED) ## The pages as HTML in build/docs; a link to nowhere within them is an error
	$(SPHINX) -b html . build/docs

docs-links: $(INSTALLED) ## Ask for every page of others that ours link to; needs the internet
	$(SPHINX) -b linkcheck . build/links

chaos: $(INSTALLED) ## The reliability tests at full size
	CHAOS=full $(BIN)/pytest tests/chaos

bench: $(INSTALLED) ## Speed and memory
	$(BIN)/python benchmarks/run.py

# Both keep the versions that are locked already, except where pyproject.toml rules them out; the
# tests' libraries have a say in what the worker runs with, so that it is tested with that.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate pyproject.toml

lock: $(INSTALLED) ## Lock the dependencies of pyproject.toml again
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(COMPILE) --all-extras --output-file requirements-test.lock
	$(COMPILE) --constraint requirements-test.lock --extra dev --extra build --output-file requirements-dev.lock
	$(COMPILE) --constraint requirements-test.lock --output-file requirements.lock

clean: ## Remove everything that make has made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
