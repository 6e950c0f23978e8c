# Two commands matter: `make demo` and `make test`. Everything else serves them.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo $$p; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
PORT ?= 8000
PYTEST_ARGS ?=

.PHONY: demo test lint types imports pytest coverage faults lock clean

demo: $(VENV)/.ready
	$(BIN)/aftercare demo --port $(PORT)

test: $(VENV)/.ready-dev lint types imports pytest

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

imports:
	$(BIN)/lint-imports

pytest:
	$(BIN)/pytest -n auto $(PYTEST_ARGS)

# What `make test` runs, with coverage, which takes half as long again.
coverage: $(VENV)/.ready-dev
	$(BIN)/pytest -n auto --cov --cov-report=term:skip-covered $(PYTEST_ARGS)

# The published fault run: writes docs/reliability.md, fails if a figure that must be 0 is not.
TEXTS ?= 5000
SEED ?= 1
WORKERS ?= 4
MINUTES ?= 2.5
faults: $(VENV)/.ready-dev
	$(BIN)/python -m tests.faults --texts $(TEXTS) --seed $(SEED) --workers $(WORKERS) --minutes $(MINUTES)

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and was not found; install it, or run make PYTHON=/path/to/python"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot make a virtual environment; install its venv package (Debian: python3-venv)"; rm -rf $(VENV); exit 2; }

$(VENV)/.ready: $(VENV)/bin/python requirements.txt pyproject.toml
	$(BIN)/pip install --quiet --require-hashes -r requirements.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.ready-dev: $(VENV)/bin/python requirements-dev.txt pyproject.toml
	$(BIN)/pip install --quiet --require-hashes -r requirements-dev.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

# Lock files carry hashes and no address of any index.
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet --extra build pyproject.toml -o requirements.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet --extra build --extra dev pyproject.toml -o requirements-dev.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* htmlcov
