# Everything a developer runs; CI runs the same. Each target sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
GUIDE_ARGS ?=
MINUTES ?= 60
RUNS ?= gate-runs
LOOP_ARGS ?=

.PHONY: help install test lint types unit green demo bench gate-runs gate-queues gate-loops fuzz soak schema clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

$(VENV)/ready: pyproject.toml
	@# Debian's python3 comes without the means to make a virtual environment.
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || scripts/install-system-packages python3-venv:-
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet '.[dev,guide]'
	touch $@

# The wheel, not the source tree, is what runs: end-to-end tests, demo and benchmarks use the installed console script.
install: $(VENV)/ready
	rm -rf dist
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .
	$(BIN)/pip install --quiet --no-deps --force-reinstall dist/*.whl

$(VENV)/system: scripts/install-system-packages Makefile
	scripts/install-system-packages postgresql:initdb openssl:openssl chromium:chromium tinyproxy:tinyproxy \
		microsocks:microsocks nginx-light:nginx redis-server:redis-server
	touch $@

# A server that nobody here wrote, in an environment of its own: it wants other versions of what the tests need.
$(VENV)/httpbin/ready: Makefile
	$(PYTHON) -m venv $(VENV)/httpbin
	$(VENV)/httpbin/bin/pip install --quiet 'httpbin>=0.10.4' 'gunicorn>=25.1'
	touch $@

# Libraries on top of httpx and httpx2, beside ciload and what that needs, which the tests load a service with.
$(VENV)/sdks/ready: Makefile $(VENV)/ready
	$(BIN)/python -m venv $(VENV)/sdks
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> "$$($(VENV)/sdks/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/ciload.pth"
	$(VENV)/sdks/bin/pip install --quiet 'openai>=3.57' 'postgrest>=2.34'
	touch $@

test: lint types unit  ## every check that CI makes

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/ready
	$(BIN)/mypy --python-version 3.11
	$(BIN)/mypy --python-version 3.14

unit: install $(VENV)/system $(VENV)/httpbin/ready $(VENV)/sdks/ready
	$(BIN)/pytest

green: install  ## every place in a script times every way to end there, with all numbers of workers; ten minutes
	CILOAD_TEST_ALL=1 $(BIN)/pytest tests/e2e/test_no_way_to_green.py

demo: install  ## the guide's last script against its Django API
	$(BIN)/python examples/guide/demo.py $(GUIDE_ARGS)

bench: install  ## the scoreboard against k6, k9-load, Locust and wrk; is latency told truthfully?
	$(BIN)/python -m benchmarks.scoreboard $(BENCH_ARGS)
	$(BIN)/python -m benchmarks.latency

fuzz: install  ## damaged responses for MINUTES=60, read as llhttp and h11 read them; and 100,000 requests with an id each
	end=$$(( $$(date +%s) + 60 * $(MINUTES) )); while [ $$(date +%s) -lt $$end ]; do \
		CILOAD_FUZZ_EXAMPLES=20000 $(BIN)/pytest --hypothesis-seed=random tests/http/test_fuzz.py || exit 1; done
	CILOAD_TEST_ALL=1 $(BIN)/pytest tests/http/test_attribution.py

soak: install  ## 2,000 requests per second for MINUTES=10, a fifth of them faults: memory, descriptors and tasks stay flat
	$(BIN)/python -m benchmarks.soak --minutes $(if $(filter file,$(origin MINUTES)),10,$(MINUTES))

gate-runs: $(VENV)/ready  ## real runs for docs/gate.md, MINUTES=60 of them: go on where the last ones stopped; whole ones in RUNS
	$(BIN)/python -m benchmarks.gate_servers --minutes $(MINUTES) --keep $(RUNS)

gate-queues: $(VENV)/ready  ## the gate on simulated queues, MINUTES=60 of them; goes on where it stopped
	$(BIN)/python -m benchmarks.queue_rates gate-queues.jsonl --minutes $(MINUTES)

gate-loops: install  ## the gate against history as it runs for months, simulated; slow drift; ten minutes
	$(BIN)/python -m benchmarks.history_loop $(LOOP_ARGS)
	$(BIN)/python -m benchmarks.drift

schema: install  ## write the published JSON Schemas anew
	$(BIN)/python -c 'import json; from ciload.result.document import json_schema; print(json.dumps(json_schema(), indent=1))' > docs/result-1.schema.json
	$(BIN)/python -c 'import json; from ciload.gate.document import json_schema; print(json.dumps(json_schema(), indent=1))' > docs/baseline-1.schema.json

clean:
	rm -rf $(VENV) dist .mypy_cache .pytest_cache .ruff_cache ciload-results
