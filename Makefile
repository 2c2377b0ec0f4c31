# Holdfast. `make run` starts a signer with a demo key; `make test` and `make check` are what CI runs.

VENV    := .venv
BIN     := $(VENV)/bin
RUNTIME := $(VENV)/.runtime-installed
DEV     := $(VENV)/.dev-installed
ORACLES := .venv-consensus-specs
POLICY_TOOLS := .venv-policy-tools
DATA    := data

# Tests start hundreds of processes: each reads what the first has compiled, also where the environment forbids it.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help install run test check bench torture oracles counterparts policies lock clean

help:  ## this list
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

run: $(RUNTIME)  ## a signer on 127.0.0.1:9000 with a demo key, and a curl line that gets a signature
	@$(BIN)/holdfast init --preset development --data-directory $(DATA) --demo
	@$(BIN)/holdfast serve --config $(DATA)/holdfast.yaml

install: $(RUNTIME)  ## Holdfast and its locked packages into .venv, nothing else

test: $(DEV) oracles counterparts policies  ## every test but the torture, with coverage
	$(BIN)/pytest -n 2 --dist worksteal -m "not torture" \
		--cov --cov-report=term:skip-covered --cov-fail-under=90

check: $(DEV)  ## style, types, floors of the house, documents, licences, known vulnerabilities
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest tests/docs
	$(BIN)/python .ci/audit.py requirements.lock

bench: $(DEV)  ## the table of README, measured here (QUICK=1, ROWS="slot burst")
	$(BIN)/python tests/bench $(if $(QUICK),--quick) $(ROWS)

torture: $(DEV) oracles counterparts policies  ## the long forms: hours of crashes, races and random histories
	$(BIN)/pytest -n 2 --dist worksteal -m torture

oracles: $(ORACLES)/.installed  ## the consensus specification itself, in an environment of its own

counterparts: $(DEV)  ## the real programs that tests talk to (Debian packages, where we may install them)
	@.ci/counterparts

policies:  ## the compilers of policies that Debian does not have: AssemblyScript's, and Open Policy Agent's
	@.ci/policy-tools $(POLICY_TOOLS)

lock:  ## the newest allowed versions into the lock files
	@.ci/lock

clean:  ## everything that make made, except data/
	rm -rf $(VENV) $(ORACLES) $(POLICY_TOOLS) build dist *.egg-info .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	.ci/venv $(VENV)

$(RUNTIME): requirements.lock requirements-build.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install -q --require-hashes -r requirements-build.lock
	$(BIN)/pip install -q --require-hashes -r requirements.lock
	$(BIN)/pip install -q --no-deps --no-index --no-build-isolation -e .
	@touch $@

$(DEV): requirements-dev.lock $(RUNTIME)
	$(BIN)/pip install -q --require-hashes -r requirements-dev.lock
	@touch $@

$(ORACLES)/.installed: tests/oracles/consensus-specs.lock
	.ci/venv $(ORACLES)
	$(ORACLES)/bin/pip install -q --require-hashes -r $<
	@touch $@
