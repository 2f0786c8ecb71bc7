# Everything a developer types. A fresh clone needs make and a Python from 3.10 on, nothing else.

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest
PARALLEL := -n 2 --dist loadscope

.DEFAULT_GOAL := help
.PHONY: help install test test-all chaos demo check format matrix bench image release-check audit links docs pictures clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 12

install: $(INSTALLED)  ## virtual environment with the project and all its tools

$(INSTALLED): pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python from 3.10 on was found; name one: make PYTHON=/path/to/python3"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[worker]" --group dev
	@touch $@

test: install  ## the tests, without the slow ones
	$(PYTEST) $(PARALLEL)

test-all: install  ## every test, the slow ones too
	$(PYTEST) $(PARALLEL) -m "slow or not slow"

chaos: install  ## kill -9, SIGTERM, lost servers, full disk, wrong clocks, against the real relays: hours
	$(PYTEST) tests/e2e -m "slow or not slow" -k "p1 or p2 or p6 or p8"
	$(BIN)/python -m tests.chaos --rounds 20
	$(BIN)/python -m tests.chaos --soak 30 --rate 200

demo: install  ## two projects, a relay and an SMTP server: watch mail travel
	$(BIN)/python -m demo

check: install  ## linters, types, layers, migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit -q -c pyproject.toml -r email_relay relay_worker
	EMAIL_RELAY_TEST_DB=sqlite DJANGO_SETTINGS_MODULE=tests.settings PYTHONPATH=. \
		$(BIN)/python -m django makemigrations --check --dry-run email_relay

release-check: install  ## what is published: built, its metadata and content checked, installed in bare environments
	$(PYTEST) tests/release -m "slow or not slow"

links: install  ## the documentation's links to other sites; needs the internet
	$(BIN)/python -m sphinx -q -b linkcheck docs docs/_build/links

audit: install  ## known vulnerabilities of the pinned requirements; asks a service on the internet
	$(BIN)/pip-audit --strict --vulnerability-service osv --disable-pip --require-hashes --requirement docker/requirements.txt

format: install  ## let ruff put things right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

matrix: install  ## the client and the engine on every supported Python and Django
	$(BIN)/nox

bench: install  ## every measurement beside the peers; results go to benchmarks/results
	$(BIN)/python -m benchmarks all

image: install  ## the container image without an engine: its steps in a chroot, then every role tried; needs root, debootstrap
	$(BIN)/python -m docker.proof

docs: install  ## the documentation, into docs/_build/html
	$(BIN)/python -m sphinx -W -b html docs docs/_build/html

pictures: install  ## the documentation's pictures of the console, taken anew
	$(BIN)/python -m tests.console.pictures

clean:
	rm -rf $(VENV) .nox docs/_build .mypy_cache .ruff_cache .pytest_cache
