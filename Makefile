# Each target makes .venv first where it is missing; a second run does nothing twice.

# The interpreter that .venv is made with: the first of these that is Python >= 3.11, or `make PYTHON=...`.
CANDIDATES := python3 python3.12 python3.11 python3.13
PYTHON ?= $(shell for python in $(CANDIDATES); do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
CXX_FOUND = $(shell command -v $(CXX) || command -v g++ || command -v clang++)

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Versions in place of those of constraints.txt, as in: make VENV=.venv-older OLDER=constraints-older.txt setup
OLDER ?=
INSTALL := $(PIP) install --constraint $(STAMPS)/constraints.txt
# fairseq requires torchaudio and uses it for speech alone. The wheel on PyPI is built for CUDA: beside a CPU build of torch
# it cannot be loaded, and transformers imports it wherever it is installed. Each install of the package brings it back.
WITHOUT_AUDIO := $(PIP) uninstall --yes torchaudio
# More arguments for the program behind `make demo` and `make test`, as in: make demo ARGS="--seed 2"
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow test-older lint bench docs

help: ## print this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMPS)/package ## make .venv with everything installed, at the versions of constraints.txt
	@:

demo: setup ## the quick start: corpus, training, evaluation, table (at most 10 minutes on two cores after set-up)
	@$(BIN)/python examples/quickstart/quickstart.py $(ARGS)

test: lint ## lint, then the test suite
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadscope $(ARGS)

test-slow: setup test-older ## the tests that take longer than the suite may, and the suite with older versions
	@$(BIN)/python -m pytest -m slow $(ARGS)

test-older: ## make test in .venv-older, with the versions of constraints-older.txt
	@$(MAKE) --no-print-directory VENV=.venv-older OLDER=constraints-older.txt test

lint: setup ## ruff: rules and formatting
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "error: run '$(BIN)/ruff format .' on the files above" >&2; exit 1; }

bench: setup ## the benchmarks of training; TEXT=DIR names a directory of <lang>.txt files (default: CLDR data)
	@test -n "$(TEXT)" || $(BIN)/python examples/quickstart/corpus.py --output runs/benchmarks
	@set -e; for script in train_throughput profile_step; do echo "== benchmarks/$$script.py"; \
	  $(BIN)/python benchmarks/$$script.py --text $(or $(TEXT),runs/benchmarks/text) $(ARGS); done
	@echo "== benchmarks/head.py"; $(BIN)/python benchmarks/head.py

docs: $(STAMPS)/docs ## the documentation as a site, in site/; a warning is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet $(ARGS)
	@echo "wrote site/index.html"

# One stamp a step. A later step's stamp is newer than an earlier one's, and a changed version repeats what follows it.

$(STAMPS)/venv:
	@$(if $(PYTHON),$(PYTHON),false) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "error: Python >= 3.11 is needed; install it or name it, as in: make PYTHON=/path/to/python3.12 setup" >&2; exit 1; }
	@test -n "$(CXX_FOUND)" || { \
	  echo "error: a C++ compiler is needed to build fairseq; install g++ or clang++, or name yours with CXX=..." >&2; exit 1; }
	@test -x $(BIN)/python || { echo "making $(VENV) with $(PYTHON)"; $(PYTHON) -m venv $(VENV); }
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/constraints.txt: $(STAMPS)/venv constraints.txt $(OLDER)
	@awk -F == 'FILENAME != "constraints.txt" && NF == 2 {older[$$1] = 1} !($$1 in older) || FILENAME != "constraints.txt"' \
	  $(OLDER) constraints.txt > $@

$(STAMPS)/pip: $(STAMPS)/constraints.txt
	@$(INSTALL) pip
	@touch $@

# Before fairseq: its build imports torch, numpy and cython, and an isolated build would fetch torch a second time.
# seqeval takes its version from setuptools-scm: without it pip finds 0.0.0 where 1.2.2 is asked for, and gives up.
$(STAMPS)/torch: $(STAMPS)/pip
	@echo "installing torch"
	@$(INSTALL) torch numpy cython setuptools setuptools-scm wheel
	@touch $@

$(STAMPS)/fairseq: $(STAMPS)/torch
	@echo "installing fairseq (where pip finds no wheel it compiles one, about five minutes, once)"
	@$(INSTALL) --no-build-isolation fairseq-fixed
	@touch $@

$(STAMPS)/package: $(STAMPS)/fairseq setup.py pyproject.toml
	@echo "installing translit-ppa"
	@$(INSTALL) --no-build-isolation --editable '.[dev]'
	@$(WITHOUT_AUDIO)
	@touch $@

# Not part of `make setup`: only `make docs` needs it.
$(STAMPS)/docs: $(STAMPS)/package
	@echo "installing mkdocs"
	@$(INSTALL) --no-build-isolation --editable '.[docs]'
	@$(WITHOUT_AUDIO)
	@touch $@
