# Everything a user needs, from nothing but Python (3.10 or newer) and make.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
MODEL ?= runs/demo/model

.PHONY: help install demo demo-hour page test test-page test-all lint bench clean

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

page: .venv/.page        ## play with MODEL (runs/demo/model) in the browser; installs Gradio once
	$(BIN)/python sample/demo.py --model $(MODEL)

# The browser tests' driver comes with it.
.venv/.page: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[demo,browser]'
	touch $@

test-page: .venv/.page   ## the page used in a real browser (Debian's chromium)
	$(BIN)/python -m pytest tests/page -m 'not gpu'

lint: $(INSTALLED)       ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

test: lint               ## lint and the quick tests (a few minutes)
	$(BIN)/python -m pytest

test-all: lint           ## the slow tests too
	$(BIN)/python -m pytest -m 'not gpu'

clean:                   ## remove .venv, keep runs/
	rm -rf .venv
