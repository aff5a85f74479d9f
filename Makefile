# Everything a developer runs; CI runs the same. Each target sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
GUIDE_ARGS ?=

.PHONY: help test lint types unit demo bench schema clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

# The wheel, not the source tree, is what gets tested: end-to-end tests run the installed console script.
$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[dev,guide]'
	touch $@

$(VENV)/system: scripts/install-system-packages
	scripts/install-system-packages postgresql:initdb openssl:openssl
	touch $@

test: lint types unit  ## every check that CI makes

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/ready
	$(BIN)/mypy --python-version 3.11
	$(BIN)/mypy --python-version 3.14

unit: $(VENV)/ready $(VENV)/system
	rm -rf dist
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .
	$(BIN)/pip install --quiet --no-deps --force-reinstall dist/*.whl
	$(BIN)/pytest

demo: $(VENV)/ready  ## the guide's last script against its Django API
	$(BIN)/python examples/guide/demo.py $(GUIDE_ARGS)

bench: $(VENV)/ready  ## the scoreboard against k6, k9-load, Locust and wrk; is latency told truthfully?
	$(BIN)/python -m benchmarks.scoreboard $(BENCH_ARGS)
	$(BIN)/python -m benchmarks.latency

schema: $(VENV)/ready  ## write the published JSON Schema of result.json anew
	$(BIN)/python -c 'import json; from ciload.result.document import json_schema; print(json.dumps(json_schema(), indent=1))' > docs/result-1.schema.json

clean:
	rm -rf $(VENV) dist .mypy_cache .pytest_cache .ruff_cache ciload-results
