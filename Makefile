# One verb for each need. `make test` is exactly what .ci/run runs.
#
#   SEEDS=…    how many seeds the simulation tries (soak)     SECONDS=…  how long (fuzz)
#   PREFIX=…   where to install                               DEEP=1     lint with clang-tidy too
#   TESTS=…    a checkout of dask/distributed (conformance)   ARGS=…     more for the runner below it
.DEFAULT_GOAL := help
.PHONY: help setup demo test build bench format lint install soak fuzz asan tsan wheel test-python \
  test-interop dask-tests conformance

JOBS    ?= $(shell nproc)
PREFIX  ?= /usr/local
SECONDS ?= 600
SEEDS   ?= 100000
CONFORMANCE ?= ../shared/conformance
VENV_PYTHON := $(CURDIR)/build/venv/bin/python

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1@\2/p' Makefile | column -t -s @

setup:
	@tools/setup.sh

demo: build ## build rask and show what it does, in a minute
	@tools/demo.sh

build: setup ## the release build: build/rask
	@tools/ci/build.sh release rask rask_cli
	@ln -sfn release/bin/rask build/rask

test: ## everything that guards a change: tests, simulation, sanitizers, fuzz targets, lint
	@tools/ci/test.sh

asan: setup ## unit tests and simulation under the address and undefined-behaviour sanitizers
	@tools/ci/sanitize.sh asan

tsan: setup ## tests of the rooms with threads under the thread sanitizer
	@tools/ci/sanitize.sh tsan

fuzz: setup ## fuzz targets on the kept corpus, SECONDS in all
	@tools/ci/fuzz.sh $(SECONDS)

soak: setup ## the simulation with SEEDS new seeds
	@SEEDS=$(SEEDS) tools/ci/soak.sh

test-interop: build ## Python programs and a part of Dask's own tests on build/rask: minutes
	@tools/setup.sh --python
	@$(VENV_PYTHON) -m pytest -q -p no:cacheprovider --timeout 300 tests/interop examples/python
	@PYTHONPATH=python $(VENV_PYTHON) -m pytest -q -p no:cacheprovider python/tests/test_lower.py
	@$(VENV_PYTHON) tests/dask/run.py $(ARGS)

dask-tests: build ## all of Dask's own tests of its collections; what fails, with stock too: hours
	@tools/setup.sh --python
	@$(VENV_PYTHON) tests/dask/run.py --all --stock --jobs $(JOBS) $(ARGS)

conformance: ## distributed's own tests on build/rask: TESTS=<checkout of dask/distributed>
	@tools/ci/conformance.sh "$(CONFORMANCE)" "$(TESTS)" $(ARGS)

bench: setup ## rask beside stock Dask, as ratios: build/bench/results.json
	@tools/setup.sh --python
	@tools/ci/build.sh release
	@build/venv/bin/python bench/run.py $(BENCH)

format: setup ## formats every C++ file in place
	@python3 tools/tidy.py --list-cpp | xargs -r clang-format-19 -i

lint: setup ## rooms, purity, sizes, formatting; DEEP=1: clang-tidy on what you changed
	@python3 tools/tidy.py
	@if [ -n "$(DEEP)" ]; then tools/ci/clang_tidy.sh; fi

install: build ## installs to PREFIX: binary, library, headers, CMake and pkg-config files
	@cmake --install build/release --prefix $(PREFIX)

wheel: build ## the Python package dask-rask with the native program: build/wheel
	@tools/build_wheel.sh

test-python: wheel ## tests the wheel in an environment that has only it and Dask
	@python/tests/run.sh
