# All a user needs; requires only Python (3.10 or newer) and make.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: help install demo demo-hour bundled page test test-page test-all lint clean

help:            ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:[^#]*##/\t/' | expand -t 14

install: $(INSTALLED)  ## create .venv with the exact versions of constraints.txt

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(INSTALLED)       ## train both models on rendered scenes (about 15 minutes on 2 cores) and print the results
	$(BIN)/unitok demo --configs configs/demo --out runs/demo

demo-hour: $(INSTALLED)  ## the same with an hour of training
	$(BIN)/unitok demo --configs configs/demo configs/demo-hour --out runs/demo-hour

bundled: $(INSTALLED)    ## train the model inside the package anew (for a release, about 25 minutes on 2 cores)
	$(BIN)/unitok demo --configs configs/demo configs/bundled --out runs/bundled --dtype float16
	rm -rf unitok/api/bundled
	mv runs/bundled/model unitok/api/bundled
	rm -r runs/bundled

page: .venv/.page        ## serve the web page of MODEL (runs/demo/model, else the bundled one); installs Gradio once
	$(BIN)/unitok page $(if $(MODEL),--model $(MODEL))

# The extra `browser` is the driver of the browser tests.
.venv/.page: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[demo,browser]'
	touch $@

test-page: .venv/.page   ## test the web page in a real browser (Debian's chromium)
	$(BIN)/python -m pytest tests/page tests/modalities/test_kinds_own.py -m 'not gpu'

lint: $(INSTALLED)       ## ruff check and ruff format --check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Bytecode is written whatever the environment says: many tests start processes, which would compile the package anew.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 8

test: lint               ## lint, then the fast tests, one process per core (a few minutes)
	$(PYTEST) --dist worksteal

test-all: lint           ## lint, then all tests but those on a GPU (an hour or two)
	$(PYTEST) --dist loadfile -m 'not gpu'

clean:                   ## remove .venv, keep runs/
	rm -rf .venv
