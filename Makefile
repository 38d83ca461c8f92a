# The same few commands on a desk and in CI. Each sets up .venv by itself, once for each change of
# pyproject.toml or of the pinned versions.

SHELL := /bin/bash
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
CONSTRAINTS := .ci/constraints.txt
TORCH := .ci/torch.txt
# pip builds wheels in environments of their own. Up to pip 25.2 they obey the first of these
# variables, later the second.
LOCKED := PIP_CONSTRAINT="$(CONSTRAINTS) $$PIP_CONSTRAINT" PIP_BUILD_CONSTRAINT=$(CONSTRAINTS)
PIP_INSTALL := -m pip install -qq --disable-pip-version-check
# Without compiled files each process would compile all modules again, a second of each start.
unexport PYTHONDONTWRITEBYTECODE
# Tests run in as many processes as there are cores. Threads that wait leave the cores to others.
WAITING := OMP_WAIT_POLICY=passive OPENBLAS_THREAD_TIMEOUT=4
PARALLEL := -n auto --dist worksteal

# The first Python on the path that is new enough and can make a virtual environment; `make PYTHON=...` chooses another.
SUITS := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	$$python -c '$(SUITS)' 2>/dev/null && { echo $$python; break; }; done)

.PHONY: help install lock demo test test-slow soak soak-tests soak-load mutants check docs format wheel floors newest mutants clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 18

install: $(INSTALLED)  ## set up .venv with everything the other commands need

$(INSTALLED): pyproject.toml $(CONSTRAINTS)
	@test -n "$(PYTHON)" || { echo "vecsearch needs Python 3.11 or newer with its venv module, and none was found." \
		"Install one (Debian and Ubuntu: apt install python3 python3-venv), or name it: make PYTHON=/path/to/python" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV): a few minutes the first time, for PyTorch is large." >&2
	@$(LOCKED) $(BIN)/python $(PIP_INSTALL) -e ".[dev]"
	@touch $@

lock:  ## renew .ci/constraints.txt: the newest versions of all that is installed, torch as it is
	$(PYTHON) .ci/lock.py

demo: $(INSTALLED)  ## search the docstrings of Python's standard library
	@$(BIN)/vecsearch demo

test: $(INSTALLED)  ## run the tests; ARGS="-k filter" passes on to pytest
	@$(WAITING) $(BIN)/python -m pytest -m "not slow" $(PARALLEL) $(ARGS)

test-slow: $(INSTALLED)  ## run the code of the documentation and the examples, and other tests of minutes
	@$(WAITING) $(BIN)/python -m pytest -m slow $(PARALLEL) $(ARGS)

SOAK := system query ingest maintenance/test_backup.py storage/test_purge.py index/test_checkpoint.py index/test_kernels.py evaluation/test_query_sample.py fuzz golden

soak: $(INSTALLED)  ## the long tests of docs/promises.md, beside an hour of load: see there how long
	$(MAKE) -j2 soak-tests soak-load

soak-tests: $(INSTALLED)
	VECSEARCH_SOAK=1 $(BIN)/python -m pytest -s -rs $(SOAK:%=tests/%) $(ARGS)

soak-load: $(INSTALLED)
	$(BIN)/python tests/support/load.py --busy-machine --save

mutants: $(INSTALLED)  ## put realistic faults into copies of the code, and count those that the tests find
	$(BIN)/python tests/mutants/run.py $(ARGS)

check: $(INSTALLED) docs  ## lint, formatting, types, import rules, dead code, and the documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/vulture

docs: $(INSTALLED)  ## build the documentation in build/site, offline and strict
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

format: $(INSTALLED)  ## fix what the linter and the formatter can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: $(INSTALLED)  ## build the wheel, install it alone in a new environment, and try it there
	rm -rf dist build/wheel
	$(LOCKED) $(BIN)/python -m pip wheel -qq --disable-pip-version-check --no-deps -w dist .
	$(BIN)/python -m venv build/wheel
	$(LOCKED) build/wheel/bin/python $(PIP_INSTALL) dist/*.whl
	.ci/try-installed build/wheel/bin

floors: $(INSTALLED)  ## run the tests with the oldest version of every dependency that pyproject.toml admits
	rm -rf build/floors
	$(BIN)/python -m venv build/floors
	$(BIN)/python .ci/floors.py > build/floors/requirements.txt
	build/floors/bin/python $(PIP_INSTALL) -c $(TORCH) -r build/floors/requirements.txt
	build/floors/bin/python $(PIP_INSTALL) --no-deps -e .
	$(WAITING) build/floors/bin/python -m pytest -q $(PARALLEL) $(ARGS)

newest: $(INSTALLED)  ## run the tests with the newest version of every dependency but torch
	rm -rf build/newest
	$(BIN)/python -m venv build/newest
	build/newest/bin/python $(PIP_INSTALL) -c $(TORCH) -e ".[dev]"
	$(WAITING) build/newest/bin/python -m pytest -q $(PARALLEL) $(ARGS)

clean:  ## remove what was built; .venv and collections stay
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
