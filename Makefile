# Every target sets up what it needs in .venv; nothing but Python 3.11 (or newer) and make is expected.

PYTHON ?= $(firstword $(foreach python,python3.11 python3.12 python3.13 python3.14 python3,$(if $(shell command -v $(python)),$(python))))
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
RUN_READY := $(VENV)/ready-to-run

.DEFAULT_GOAL := help
.PHONY: help demo test check fix docs bench chaos rivals lock clean

help:  ## Show this list.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(RUN_READY)  ## Play an outage from start to recovery, with no account.
	@$(BIN)/fairlead demo

test: $(READY)  ## Run every test.
	$(BIN)/pytest -n auto

check: $(READY)  ## Check format, lint, types, layers and spelling.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

fix: $(READY)  ## Mend what the checks can mend, and refresh what is generated.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python tests/docs/refresh.py

docs: $(READY)  ## Build the documentation into build/docs.
	$(BIN)/python -m zensical build --strict

bench: $(READY)  ## Measure what the README and the docs state.
	$(BIN)/python bench/run.py

chaos: $(READY)  ## Kill an application a hundred times on each store, and count what was lost.
	$(BIN)/python tests/crashes.py

rivals: $(VENV)-rivals/ready  ## Run the cases of the resilience suite on other libraries, and write their page.
	$(VENV)-rivals/bin/python bench/rivals/run.py

lock:  ## Resolve the newest versions that the declarations allow into constraints.txt.
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/pip install --quiet --upgrade pip
	$(VENV)-lock/bin/pip install --quiet . --group dev
	$(VENV)-lock/bin/pip freeze --all --exclude fairlead --exclude setuptools > constraints.txt
	rm -rf $(VENV)-lock

clean:  ## Remove what these targets made.
	rm -rf $(VENV) $(VENV)-rivals build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(VENV)/bin/pip:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; name it with make PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --upgrade --constraint constraints.txt pip

$(RUN_READY): pyproject.toml constraints.txt | $(VENV)/bin/pip
	@echo "Setting up .venv ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

$(READY): $(RUN_READY)
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --group dev
	@touch $@

$(VENV)-rivals/ready: pyproject.toml bench/rivals/constraints.txt
	@echo "Setting up $(VENV)-rivals ..."
	@$(PYTHON) -m venv $(VENV)-rivals
	@$(VENV)-rivals/bin/pip install --quiet --disable-pip-version-check --upgrade --constraint constraints.txt pip
	@$(VENV)-rivals/bin/pip install --quiet --disable-pip-version-check --constraint bench/rivals/constraints.txt --editable . --group rivals
	@touch $@
