# PYTHON chooses the interpreter of a new environment; ARGS goes to the command that is run.
PYTHON ?= python3
VENV ?= .venv
# Most tests wait for a server: more workers than cores.
WORKERS ?= 3
# Which tests are run, by their marks.
MARKS ?= not long
RUN := $(VENV)/bin/python -m
PIP = test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV); $(RUN) pip install --quiet --constraint constraints.txt
.PHONY: test drills test-long demo lint bench wheel-test
test: $(VENV)/.dev ; $(RUN) $(COVERAGE) pytest -n $(WORKERS) -m '$(MARKS)' $(ARGS) $(AGAIN)
drills: $(VENV)/.dev ; $(RUN) pytest tests/faults/drills -m 'not long' $(ARGS)
test-long: $(VENV)/.dev ; $(RUN) pytest -m long --timeout 1800 $(ARGS)
demo: $(VENV)/.demo ; $(VENV)/bin/regionware demo $(ARGS)
lint: $(VENV)/.dev ; $(RUN) ruff check . && $(RUN) ruff format --check . && $(RUN) mypy && $(VENV)/bin/lint-imports
bench: $(VENV)/.dev ; $(RUN) pytest bench $(ARGS) $(AGAIN)
wheel-test: $(VENV)/.dev ; .ci/wheel-test $(VENV)/bin/python -n $(WORKERS) $(ARGS) $(AGAIN)
$(VENV)/.demo: pyproject.toml constraints.txt ; $(PIP) --editable '.[demo]' && touch $@
$(VENV)/.dev: pyproject.toml constraints.txt ; $(PIP) pip && $(RUN) pip install --quiet --constraint constraints.txt --editable '.[demo,cli,binary]' --group dev && touch $@
