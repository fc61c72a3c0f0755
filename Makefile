# make demo · make test · make check. Each sets up .venv by itself, once; nothing is needed but python3 (3.11+) and make.
PYTHON ?= python3
BIN := .venv/bin
LOCKS := requirements/server.txt requirements/dev.txt pyproject.toml
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
.DEFAULT_GOAL := help
.PHONY: help demo test test-long test-all test-whole test-services check bench wrk lock

help:
	@echo "make demo    train, register and serve the three income classifiers on http://127.0.0.1:8000"
	@echo "make test    the tests; no services needed"
	@echo "make test-long  the tests that take minutes: hostile uploads, models of every kind, kills, the oracle"
	@echo "make test-all   both in one run"
	@echo "make test-whole all of it, behind both doors and with every repetition; an hour and more"
	@echo "make test-services  the tests on MariaDB, under uWSGI, on a Ray cluster and in a browser; needs Debian's mariadb-server, libmariadb-dev, pkg-config, gcc, chromium, prometheus"
	@echo "make check   style, types, imports, migrations, documentation"
	@echo "make bench   the data plane beside other servers, an hour (needs wrk); BENCH=--short: minutes"
	@echo "make lock    lock the newest versions that pyproject.toml allows (needs uv)"

.venv/made:
	@$(PYTHON) -c 'import sys; sys.exit("ML_Pipeline needs Python 3.11 or newer, and $(PYTHON) is %d.%d. Name another: make PYTHON=python3.12 …" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) lacks the venv module. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

# A stamp each: the demo needs the server's packages alone, tests and checks need theirs too.
.venv/server-installed: .venv/made $(LOCKS)
	$(PIP) --require-hashes -r requirements/server.txt
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev-installed: .venv/server-installed
	$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@

# Built from source; whoever does not test on MariaDB or under uWSGI needs neither compiler nor headers.
.venv/services-installed: .venv/dev-installed requirements/services.txt
	$(PIP) --require-hashes -r requirements/services.txt
	@touch $@

demo: .venv/server-installed
	@$(BIN)/ml-pipeline demo

test: .venv/dev-installed
	$(BIN)/pytest

test-long: .venv/dev-installed
	$(BIN)/pytest -m 'long and not services'

# The algorithms are trained and registered once for both.
test-all: .venv/dev-installed
	$(BIN)/pytest -m 'not services' --durations=60

test-whole: .venv/dev-installed
	$(BIN)/pytest -m 'not services' --whole --durations=60

test-services: .venv/services-installed
	$(BIN)/pytest -m services

# Settings for tools that load Django and serve nothing.
CHECKED := ML_PIPELINE_HOME=.venv/check ML_PIPELINE_SECRET_KEY=only-for-checks-nothing-is-served-with-it
check: .venv/dev-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(CHECKED) $(BIN)/mypy
	$(BIN)/lint-imports
	$(CHECKED) $(BIN)/python backend/manage.py makemigrations --check --dry-run
	$(CHECKED) $(BIN)/python docs/check.py

# The servers that the product is compared with need a few packages more. wrk first: it is missed in a second.
.venv/bench-installed: .venv/dev-installed requirements/bench.txt
	$(PIP) --require-hashes -r requirements/bench.txt
	@touch $@

wrk:
	@command -v wrk >/dev/null || { echo "make bench needs wrk. Debian and Ubuntu: apt install wrk"; exit 1; }

bench: wrk .venv/bench-installed
	$(BIN)/python -m benchmarks.data_plane $(BENCH)

LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
  --no-annotate --upgrade
SERVER := pyproject.toml --group build --extra server
lock:
	$(LOCK) $(SERVER) --extra postgres --extra boosting --extra oidc --extra otel --group dev -o requirements/dev.txt
	$(LOCK) $(SERVER) -c requirements/dev.txt -o requirements/server.txt
	$(LOCK) --group bench -c requirements/dev.txt -o requirements/bench.txt
	$(LOCK) --group services -c requirements/dev.txt -o requirements/services.txt
