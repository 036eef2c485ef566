# Everything a newcomer needs: python3 >= 3.11 and make. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BOOT := .venv-bootstrap
BIN := $(VENV)/bin
UV := $(BOOT)/bin/uv
export TENANTRY_HOME ?= $(CURDIR)/.tenantry
# Where an environment forbids bytecode, each process that starts would compile all it imports anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-all mutation mutation-isolation soak lint docs conformance-aws check-lock lock clean

help: ## list the targets
	@grep -hE '^[a-z%-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z%-]+):.*## /\1\t/' | expand -t 20

$(UV): locks/bootstrap.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tenantry needs Python 3.11 or newer")'
	@$(PYTHON) -m venv --clear $(BOOT)
	@$(BOOT)/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
	  --only-binary :all: -r locks/bootstrap.txt
	@touch $(UV)

$(VENV)/.runtime: locks/runtime.txt pyproject.toml $(UV)
	@echo "setting up $(VENV) (once)"
	@test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) $(VENV)
	@if test -e $(VENV)/.dev; then LOCK=locks/dev.txt; else LOCK=locks/runtime.txt; fi; \
	  VIRTUAL_ENV=$(VENV) $(UV) pip sync --quiet --require-hashes $$LOCK
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --offline -e .
	@touch $@

$(VENV)/.dev: locks/dev.txt $(VENV)/.runtime
	@echo "adding the development tools to $(VENV) (once)"
	@VIRTUAL_ENV=$(VENV) $(UV) pip sync --quiet --require-hashes locks/dev.txt
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --offline -e .
	@touch $@

demo: $(VENV)/.runtime ## three tenants, real documents, real wire; CHECK=1 verifies and stops
	@$(BIN)/tenantry demo $(if $(CHECK),--check,)

# Three tests at once on two cores: they wait for processes and timers for a quarter of their time.
test: $(VENV)/.dev ## every test that belongs in a ten-minute run
	@$(BIN)/python -m pytest tests -n 3 --dist loadgroup -m "not slow"

test-all: $(VENV)/.dev ## also the slow suites, longer searches for counterexamples, mutation testing
	@$(BIN)/python -m pytest tests -n 2 --dist loadgroup --hypothesis-profile=thorough \
	  --ignore-glob='tests/mutation/test_isolation_*'
	@$(MAKE) --no-print-directory mutation-isolation mutation

mutation: $(VENV)/.dev ## plant errors into the code of money; MUTATION_MINUTES=30 at most
	@$(BIN)/python -m tools.mutation

mutation-isolation: $(VENV)/.dev ## take away each guard between two tenants; ISOLATION_MINUTES=40 at most
	@timeout $${ISOLATION_MINUTES:-40}m $(BIN)/python -m pytest tests/mutation/test_isolation_sql.py \
	  tests/mutation/test_isolation_code.py tests/mutation/test_isolation_table.py -n 2 --dist load -q

soak: $(VENV)/.dev ## a deployment under mixed traffic and mishaps; SOAK_MINUTES=60, SOAK_SEED=… plays one again
	@$(BIN)/python -m benchmarks.soak

lint: $(VENV)/.dev check-lock ## format, lint, types, import contracts
	@$(BIN)/ruff format --check src tests benchmarks tools
	@$(BIN)/ruff check src tests benchmarks tools
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

docs: $(VENV)/.dev ## check that docs name what exists and every link resolves
	@$(BIN)/python -m pytest tests/architecture/test_docs.py -q

bench-%: $(VENV)/.dev ## run a benchmark: bench-gateway, bench-admission, ...
	@$(BIN)/python -m benchmarks.$(subst -,_,$*)

conformance-aws: $(VENV)/.dev ## the conformance suite against Bedrock itself, where there are AWS credentials
	@$(BIN)/python -m tests.conformance

check-lock: ## locks hold names, markers and hashes only
	@! grep -nE '://|^--|^-e|^\.|file:' locks/*.txt

lock: $(UV) ## resolve the locks anew
	@env -u PIP_FIND_LINKS -u PIP_EXTRA_INDEX_URL $(UV) pip compile --quiet --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --only-binary :all: \
	  --extra emulator pyproject.toml -o locks/runtime.txt
	@env -u PIP_FIND_LINKS -u PIP_EXTRA_INDEX_URL $(UV) pip compile --quiet --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --only-binary :all: \
	  --all-extras --group dev -c locks/runtime.txt pyproject.toml -o locks/dev.txt

clean: ## remove the environments, never the data
	@rm -rf $(VENV) $(BOOT)
