# What a person types. `make setup`, `make demo` and `make test` work in a fresh clone with Python 3.11+ (with venv) and make.
#
# Three hashed locks, each made from pyproject.toml by `make lock`:
#   requirements.lock  what the program needs to run
#   build.lock         what it takes to install this checkout
#   dev.lock           all of it, and what tests, lint and types need
# An empty stamp in .venv/ says which of them is installed, so that a second run costs nothing.

.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help setup demo test check lint types coverage packages crash bench bench-million lock clean

VENV    := .venv
BIN     := $(VENV)/bin
PIP     := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq install
# The first of these that is new enough and can make a virtual environment. The distribution's own comes first: it is what a service of this
# machine runs on, and is built for speed (a copy costs a fifth less by it than by one that was compiled with the defaults).
PYTHON  ?= $(shell for p in /usr/bin/python3 python3 python3.14 python3.13 python3.12 python3.11; do \
             $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
RUNTIME := $(VENV)/.runtime
DEV     := $(VENV)/.dev

help:
	@echo "make demo    the whole gate with a sample city, played over real SMTP and HTTP; Ctrl-C ends it (ARGS=--exit: it ends itself)"
	@echo "make test    every test"
	@echo "make check   lint, types, and every test with coverage"
	@echo "make crash   kill the gate N=500 times and count what is lost: a quarter of an hour (WORKERS=2 gates at once)"
	@echo "make bench   how fast it is beside Postfix and others, on the loopback: six minutes (ARGS=--help: what can be chosen)"
	@echo "make setup   .venv/bin/mailgate and nothing else"
	@echo "make lock    pin again what pyproject.toml asks for (needs uv)"
	@echo "make clean   remove what the others made"

setup: $(RUNTIME)

demo: $(RUNTIME)
	$(BIN)/mailgate demo $(ARGS)

test: $(DEV) packages
	$(BIN)/python -m pytest -q $(ARGS)

check: lint types coverage

lint: $(DEV)
	$(BIN)/ruff check .

types: $(DEV)
	$(BIN)/mypy

# Decisions live in core/: there, every branch is taken by some test.
coverage: $(DEV) packages
	$(BIN)/coverage run -m pytest -q
	$(BIN)/coverage report --skip-covered
	$(BIN)/coverage report --include='mailgate/core/*' --fail-under=100

# Chromium and a Japanese font for the browser tests: installed where we may, named where we may not.
packages:
	@bash .ci/packages

# What `make test` does with twenty kills, at length. ARGS=--seed=7 deals the same instants again.
crash: $(DEV)
	@$(BIN)/python -m tests.crash $(or $(N),500) --workers $(or $(WORKERS),2) $(ARGS)

# Six minutes; the second one sends a broadcast to 1,000,000 recipients as well. Both write bench/RESULTS.md and bench/results.svg.
bench: $(RUNTIME)
	@bash .ci/bench
	$(BIN)/python -m bench $(ARGS)

bench-million: $(RUNTIME)
	@bash .ci/bench
	$(BIN)/python -m bench --million $(ARGS)

lock:
	uv pip compile -q --generate-hashes --python-version 3.11 --universal --no-emit-index-url --no-header pyproject.toml -o requirements.lock
	uv pip compile -q --generate-hashes --python-version 3.11 --universal --no-emit-index-url --no-header --group build -o build.lock
	uv pip compile -q --generate-hashes --python-version 3.11 --universal --no-emit-index-url --no-header pyproject.toml --group dev -o dev.lock

clean:
	rm -rf $(VENV) build dist demo-state test-artefacts .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "mailgate needs Python 3.11 or newer with venv (Debian: apt install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# --no-deps twice: a lock is complete, so there is nothing to resolve.
$(RUNTIME): requirements.lock build.lock pyproject.toml | $(BIN)/python
	@test -e $(DEV) || { echo "installing what mailgate runs on into $(VENV)/"; $(PIP) --no-deps --require-hashes -r requirements.lock -r build.lock; }
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): dev.lock $(RUNTIME)
	@echo "installing what developers need into $(VENV)/"
	@$(PIP) --no-deps --require-hashes -r dev.lock
	@touch $@
