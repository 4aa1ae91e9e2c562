# Every target works in .venv, which it creates and fills from constraints.txt when needed.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INPUT ?=
export HF_HUB_OFFLINE := 1
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help install demo up test faults test-real test-unit lint format bench images chart kafka kafka-down mongo mongo-down clean

help: ## List every target
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | while IFS=$$'\t' read -r name text; do printf '  %-12s %s\n' "$$name" "$$text"; done

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Groundswell needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..." >&2; exit 78; }
	@$(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed; on Debian: apt-get install python3-venv" >&2; exit 78; }

$(VENV)/.all: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing Groundswell into $(VENV); the first time takes some minutes ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all]'
	@touch $@

$(VENV)/.test: $(VENV)/.all
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all,test]'
	@touch $@

$(VENV)/.bench: $(VENV)/.all
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all,bench]'
	@touch $@

install: $(VENV)/.all ## Create the environment

demo: $(VENV)/.all ## Run everything once on the bundled sample, or on INPUT=file.jsonl|file.csv
	@$(BIN)/groundswell demo $(if $(INPUT),--input '$(INPUT)')

up: $(VENV)/.all ## Keep the embedded stack running until Ctrl-C
	@$(BIN)/groundswell up

test: $(VENV)/.test ## Run every test that needs nothing but this machine
	@$(BIN)/pytest -n 2 --dist loadgroup --ignore tests/faults
	@echo "Left out, unless shown above as run:"
	@echo "  mongo   set GROUNDSWELL_TEST_MONGO_URL=mongodb://HOST:PORT and run make test"
	@echo "  faults  make faults"
	@echo "  real    make test-real, where Java, Maven and Go are"
	@echo "  images  make images, where a Docker daemon runs"
	@echo "  benches make bench"

SEED ?= 1
MINUTES ?= 3
ENGINE ?= embedded

faults: $(VENV)/.test ## Hurt the running services by SEED for MINUTES, on ENGINE=embedded|real, and judge what is left; PROMISED=1: all of it
	@$(BIN)/python -m tests.faults --seed $(SEED) --minutes $(MINUTES) --engine $(ENGINE) $(if $(PROMISED),--promised)

LOOP_TESTS := $(filter-out %_network_test.py,$(wildcard tests/integration/loop_*_test.py))
ON_REAL := $(BIN)/python -m tests.support.engines

test-real: $(VENV)/.test ## Test on Apache Kafka and FerretDB (Java, Maven, Go): stores, services, the stack, three minutes of faults
	@$(ON_REAL) $(SHELL) -ec '$(BIN)/pytest -n 0 -m mongo tests/contract tests/integration; $(BIN)/pytest -n 0 $(LOOP_TESTS); $(BIN)/pytest -n 0 tests/e2e --ignore tests/e2e/demo_test.py; \
	  $(BIN)/python -m tests.faults --seed $(SEED) --minutes $(MINUTES) --engine real'

test-unit: $(VENV)/.test ## Run the tests that start no process
	@$(BIN)/pytest tests/unit tests/contract -m 'not stack'

lint: $(VENV)/.test $(VENV)/.bench ## Check format, style, types and walls
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(VENV)/.test ## Rewrite the code in its format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(VENV)/.bench ## Measure the worker loop beside what a user would pick instead
	@$(BIN)/python -m bench.worker

images: ## Build the container images, where a Docker daemon runs
	@deploy/docker/build.sh

chart: $(VENV)/.test ## Lint and render the Helm chart against strict Kubernetes schemas
	@$(BIN)/pytest tests/contract -k deploy

BROKERS ?= 1

kafka: $(VENV)/.all ## Start Apache Kafka without Docker (Java 17, Maven); BROKERS=3 for three
	@$(BIN)/python -m services.console.engines.kafka up --brokers $(BROKERS)

kafka-down: $(VENV)/.all ## Stop it
	@$(BIN)/python -m services.console.engines.kafka down

mongo: $(VENV)/.all ## Start FerretDB, which speaks MongoDB's protocol, without Docker (Go)
	@$(BIN)/python -m services.console.engines.ferretdb up

mongo-down: $(VENV)/.all ## Stop it
	@$(BIN)/python -m services.console.engines.ferretdb down

clean: ## Remove the environment and what runs left behind
	@rm -rf $(VENV) .groundswell .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
