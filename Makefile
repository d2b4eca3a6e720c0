# `make` lists what there is. Needs python3 (3.11 or newer, with venv), make and git; no root.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Exist once the virtual environment has what runs the demo, and what the tests need beside it.
RUNS := $(VENV)/.runs
INSTALLED := $(VENV)/.installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

MAKEFLAGS += --no-print-directory
# Tests start hundreds of processes; none should compile anew what another has compiled.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help
.PHONY: help venv demo check format test mutants docs docs-links chaos hostile soak bench bench-peers audit lock clean
.PHONY: check-format check-lint check-types check-imports check-schemas check-tests

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

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
	$(BIN)/pytest -n 2 --no-loadscope-reorder --durations 25 tests

# In an environment of its own, which takes the rest from .venv: it wants a newer click than Faust.
MUTMUT := build/mutmut
PURELIB := -c 'import sysconfig; print(sysconfig.get_path("purelib"))'

$(MUTMUT)/.installed: $(INSTALLED)
	@$(BIN)/python -m venv $(MUTMUT)
	@$(BIN)/python $(PURELIB) > "$$($(MUTMUT)/bin/python $(PURELIB))/venv.pth"
	@$(MUTMUT)/bin/python -m pip install --quiet --disable-pip-version-check --no-warn-conflicts mutmut==3.8.1
	@touch $@

# It leaves out what is decorated: @override, which does nothing at run time, is taken off its copy.
mutants: $(MUTMUT)/.installed ## Break the core in small ways; what no test sees. ONLY='llm_worker.domain.spend*'
	@rm -rf build/mutants && mkdir -p build/mutants
	@cp -R llm_worker tests schemas topics.yaml pyproject.toml README.md build/mutants
	@find build/mutants/llm_worker -name '*.py' -exec sed -i '/^ *@override$$/d' {} +
	cd build/mutants && ../mutmut/bin/mutmut run $(foreach names,$(ONLY),'$(names)')
	@cd build/mutants && ../mutmut/bin/mutmut results | grep -v 'not checked' || true
	@cd build/mutants && ../mutmut/bin/mutmut results --all true | grep -v 'not checked' | awk -F ': ' \
		'{ sub(/^ */, "", $$1); sub(/\.[^.]*$$/, "", $$1); all[$$1]++; seen[$$1] += $$2 ~ /killed|timeout/ } \
		END { for (name in all) printf "%4d of %4d  %s\n", seen[name], all[name], name }' | sort -k 4

SPHINX = $(BIN)/sphinx-build -c docs --nitpicky --fail-on-warning --keep-going --fresh-env --quiet

docs: $(INSTALLED) ## The pages as HTML in build/docs; a link to nowhere within them is an error
	$(SPHINX) -b html . build/docs

docs-links: $(INSTALLED) ## Ask for every page of others that ours link to; needs the internet
	$(SPHINX) -b linkcheck . build/links

STORM = --minutes $(or $(MINUTES),10) --nodes $(or $(NODES),3)
chaos: $(INSTALLED) ## The reliability tests at full size; SEED=n: all faults at once, MINUTES=10 NODES=3
	$(if $(SEED),$(BIN)/python -m tests.chaos.storm --seed $(SEED) $(STORM),CHAOS=full $(BIN)/pytest tests/chaos)

SOAK = --seed $(or $(SEED),1) --minutes $(or $(MINUTES),60) --nodes $(or $(NODES),3)
soak: $(INSTALLED) ## Half load for MINUTES=60, a fault every few minutes by SEED=1; draws docs/images/soak.svg
	@mkdir -p build
	$(BIN)/python -m tests.chaos.soak $(SOAK) --plot docs/images/soak.svg > build/soak.json

hostile: $(INSTALLED) ## Input made wrong, 10,000 of each kind; HOSTILE_SEED=n draws other ones
	CHAOS=full $(BIN)/pytest tests/hostile

bench: $(INSTALLED) ## Speed and memory, into docs/performance.md with its plots; about 40 minutes
	$(BIN)/python benchmarks/run.py --markdown docs/performance.md

# Each peer has an environment of its own; the last one is Go's, for the provider that they call.
PEERS = $(patsubst benchmarks/peers/%.lock,build/peers/%/.installed,$(wildcard benchmarks/peers/*.lock))

build/peers/%/.installed: benchmarks/peers/%.lock
	@echo "installing into build/peers/$*" >&2
	@$(PYTHON) -m venv build/peers/$*
	@build/peers/$*/bin/python -m pip install --quiet --disable-pip-version-check \
		--require-hashes -r $<
	@touch $@

bench-peers: $(INSTALLED) $(PEERS) ## Comparisons of one core, beside LiteLLM and FastStream; QUICK=1: a short look
	$(BIN)/python -m benchmarks.peers.run $(if $(QUICK),--quick)

# Both keep the versions that are locked already, except where pyproject.toml rules them out; the
# tests' libraries have a say in what the worker runs with, so that it is tested with that.
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate
COMPILE = $(LOCK) pyproject.toml

lock: $(INSTALLED) ## Lock the dependencies of pyproject.toml again
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(COMPILE) --all-extras --output-file requirements-test.lock
	$(COMPILE) --constraint requirements-test.lock --extra dev --extra build --output-file requirements-dev.lock
	$(COMPILE) --constraint requirements-test.lock --output-file requirements.lock
	for peer in benchmarks/peers/*.in; do $(LOCK) $$peer --output-file $${peer%.in}.lock || exit; done

build/audit/.installed:
	@$(PYTHON) -m venv build/audit
	@build/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	@touch $@

# Strict: a version that nobody could be asked about is no version without known holes.
audit: build/audit/.installed ## Ask for known holes in the versions that are locked; needs the internet
	build/audit/bin/pip-audit --strict --disable-pip --require-hashes -r requirements-test.lock

clean: ## Remove everything that make has made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
