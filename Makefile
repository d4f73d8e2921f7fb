# Everything a user needs, from nothing but Python (3.10 or newer) and make.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: help install demo demo-hour test test-all lint bench clean

help:            ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:[^#]*##/\t/' | expand -t 14

install: $(INSTALLED)  ## create .venv with the exact versions of constraints.txt

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(INSTALLED)       ## train both parts on rendered scenes (about 15 minutes on 2 cores), show the result
	$(BIN)/python train/demo.py --configs configs/demo --out runs/demo

demo-hour: $(INSTALLED)  ## the same with an hour
	$(BIN)/python train/demo.py --configs configs/demo configs/demo-hour --out runs/demo-hour

lint: $(INSTALLED)       ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

test: lint               ## lint and the quick tests (a few minutes)
	$(BIN)/python -m pytest

test-all: lint           ## the slow tests too
	$(BIN)/python -m pytest -m 'not gpu'

clean:                   ## remove .venv, keep runs/
	rm -rf .venv
