# Every target does all of its set-up by itself, on a bare Debian machine as root.
SHELL := /bin/sh
PYTHON := .venv/bin/python
ARTIFACTS := build/artifacts
# Each worker has a lab of its own; lab tests wait for kubelets most of their time. Four left a
# third of two cores idle; a lab may take 2 GB.
WORKERS ?= $(shell awk '/^MemAvailable/ { n = int($$2 / 2000000); print (n < 1 ? 1 : n > 6 ? 6 : n) }' /proc/meminfo)
LAB ?= demo

# Some environments forbid it; compiling every module for every command of the tests is a third of their time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-unit test-programs bench lint lab-up lab-down clean venv

help:
	@echo "make demo           bring up a lab cluster, break things in it, sweep it, show the report"
	@echo "make test           all tests, on a real cluster that is removed afterwards"
	@echo "make test-unit      the pure tests: no cluster, no other program (half a minute)"
	@echo "make test-programs  those that run shells and whole commands, without a cluster"
	@echo "make bench          what it costs, beside what it replaces (half an hour, an idle machine)"
	@echo "make lint           ruff, mypy, import-linter"
	@echo "make lab-up         a lab cluster to play with (LAB=name)"
	@echo "make lab-down       remove it"

venv:
	@scripts/venv.sh

demo: venv
	@$(PYTHON) -m lab.demo

test: venv
	@mkdir -p $(ARTIFACTS)
	@$(PYTHON) -m lab.prepare
	@scripts/test.sh $(WORKERS) $(ARTIFACTS) $(PYTEST_ARGS)

# They compute, so each core has one worker; each worker collects them all.
test-unit: venv
	@$(PYTHON) -m pytest -q -n $(shell nproc) --dist worksteal tests/unit $(PYTEST_ARGS)

# They wait, too.
test-programs: venv
	@$(PYTHON) -m lab.prepare programs
	@$(PYTHON) -m pytest -q -n 4 --dist worksteal tests/programs $(PYTEST_ARGS)

bench: venv
	@mkdir -p $(ARTIFACTS)
	@$(PYTHON) -m bench.all --output $(ARTIFACTS)/bench.json

lint: venv
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

lab-up: venv
	@$(PYTHON) -m lab --name $(LAB) up
	@echo 'eval "$$($(PYTHON) -m lab --name $(LAB) env)"   # then: kubectl get pods -A'

lab-down: venv
	@$(PYTHON) -m lab --name $(LAB) down
