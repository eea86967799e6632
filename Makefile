# `make help` lists everything. The virtual environment is made and kept up to date by the targets that need it.

VENV := .venv
PY := $(VENV)/bin/python
RUNTIME := $(VENV)/.stamp-runtime
DEVELOPMENT := $(VENV)/.stamp-development
BESIDE_SERVICES := $(PY) -m integrations.embedded services --
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))
# The first Python that fits; from 3.13 on there is no wheel of the embedded Redis.
PYTHON ?= $(shell for python in python3.11 python3.12 python3 python; do \
	$$python -c "$(SUPPORTED)" 2>/dev/null && echo $$python && break; done)

# Otherwise each process of the stack, and each of the tests', compiles all it imports anew: seconds of each start.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run kafka demo test test-kafka event-tests coverage chaos check check-code check-tests lint types imports migrations-check openapi-check format bench providers lock clean python

help: ## list all targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(RUNTIME) ## install, start everything, and keep it running until Ctrl-C (QUIET=1, WEB_PORT=8010, GATEWAY_PORT=8011)
	@$(PY) -m integrations.embedded run $(if $(QUIET),--quiet)

kafka: $(RUNTIME) ## a real Apache Kafka (needs Java 17, Maven); for KAFKA_BOOTSTRAP_SERVERS=... make run
	@$(PY) -m integrations.embedded kafka

demo: $(RUNTIME) ## play two purchases and a refund over HTTP, step by step, against the running stack or one of its own
	@$(PY) -m integrations.demo $(ARGS)

test: $(DEVELOPMENT) ## run the tests on a PostgreSQL, Redis and broker of their own (ARGS="-k cart")
	@$(PY) -m pytest -n 4 --quiet $(ARGS)

test-kafka: $(DEVELOPMENT) ## whatever concerns events, on a real Apache Kafka (needs Java 17 and Maven)
	@$(PY) -m integrations.embedded kafka $(IF_POSSIBLE) -- $(MAKE) --no-print-directory event-tests

# On the Kafka that KAFKA_BOOTSTRAP_SERVERS names. The purchase goes first: its consumers would hear what the others tell.
event-tests:
	@$(PY) -m pytest --quiet tests/journeys/test_purchase.py
	@$(PY) -m pytest -n 4 --quiet -m "not chaos" tests/integrations/kafka tests/integrations/embedded/test_apache_kafka.py $(ARGS)

coverage: $(DEVELOPMENT) ## the tests, and which branches of the code none of them takes
	@$(PY) -m pytest -n 4 --quiet --cov --cov-report term-missing:skip-covered $(ARGS)

chaos: $(DEVELOPMENT) ## kill -9, full disks and brokers away in the middle of purchases and events; takes about nine minutes
	@$(PY) -m pytest -m chaos tests/chaos $(ARGS)

check: check-code check-tests ## everything CI runs

check-code: lint types imports migrations-check openapi-check ## the checks that run no test

check-tests: IF_POSSIBLE := --if-possible
check-tests: test-kafka test ## the tests, first those on a real Apache Kafka, where there is Java and Maven

lint: $(DEVELOPMENT) ## ruff: rules and format
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

types: $(DEVELOPMENT) ## mypy, strict
	@$(PY) -m mypy .

imports: $(DEVELOPMENT) ## import-linter: who may import whom
	@$(PY) -c "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"

migrations-check: $(DEVELOPMENT) ## every change of a model has its migration
	@$(BESIDE_SERVICES) $(PY) manage.py makemigrations --check --dry-run --settings settings.test

openapi-check: $(DEVELOPMENT) ## the OpenAPI document is valid and complete
	@$(BESIDE_SERVICES) $(PY) manage.py spectacular --settings settings.test --validate --fail-on-warn --file /dev/null

format: $(DEVELOPMENT) ## let ruff rewrite what it can
	@$(PY) -m ruff check --fix --quiet .
	@$(PY) -m ruff format .

bench: $(DEVELOPMENT) ## purchases per second against the production-like server, and the floor in raw SQL
	@$(PY) -m bench.purchase $(ARGS)

providers: $(DEVELOPMENT) ## install stripe-mock (needs Go) and localstripe, which some tests of gateways run against
	@GOBIN=$(CURDIR)/$(VENV)/bin go install github.com/stripe/stripe-mock@v0.203.0
	@$(PY) -m venv $(VENV)/localstripe
	@$(VENV)/localstripe/bin/python -m pip install --quiet localstripe==1.15.10

lock: $(DEVELOPMENT) ## write requirements.lock: every package that runs, pinned, with hashes
	@$(VENV)/bin/uv pip compile --quiet --system-certs --generate-hashes --python-version 3.11 --output-file requirements.lock requirements.txt

clean: python ## remove all data of the embedded services (not while they run)
	@$(PYTHON) -m integrations.embedded.clean

python:
	@test -n "$(PYTHON)" || { echo "shop: Python 3.11 or 3.12 is needed; on Debian: apt-get install python3.11 python3.11-venv" >&2; exit 1; }

$(RUNTIME): requirements.txt | python
	@$(PYTHON) -m integrations.embedded.install requirements.txt $@

$(DEVELOPMENT): requirements-dev.txt requirements-stripe.txt requirements.txt | python
	@$(PYTHON) -m integrations.embedded.install requirements-dev.txt $@
	@touch $(RUNTIME)
