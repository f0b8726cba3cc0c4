# sitin: every target prepares what it needs. `make help` lists them.
# Overridable: PYTHON (a Python 3.11 or newer), APT=0 (install no system packages), EXTRAS (optional
# parts, e.g. whisper; remembered until EXTRAS= takes them away), TESTERS (processes that run tests),
# ARGS (for the target's command).

PYTHON ?= $(shell command -v /usr/bin/python3 || command -v python3)
UV_VERSION := 0.13.9
UV := .uv/bin/uv
BIN := .venv/bin
APT ?= 1
# Processes that run tests, many of which wait most of the time.
TESTERS ?= 4
# pytest's exit code where ARGS leave nothing to run.
NO_TESTS := 5
EXTRAS ?= $(shell cat .venv/.extras 2>/dev/null)

# What a bot and the rehearsal take from the system; libatomic1 is for the driver of the browser.
APT_PACKAGES := python3-venv chromium espeak-ng libatomic1
# What makes bots smaller, what keeps them apart, and what only some tests take: can be done without.
APT_WELCOME := chromium-headless-shell bubblewrap nftables libseccomp2 janus nodejs npm
# What only the comparison with the usual way of recording takes.
APT_BENCH_PACKAGES := xvfb pulseaudio ffmpeg

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test test-meetings test-rest test-graph check bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo 'Each does the set-up first. Options of a command: make demo ARGS="--keep"'

setup: .venv/.ready tests/sdk/node_modules/.ready ## install everything, start nothing

demo: .venv/.ready ## hold a rehearsal meeting, send a bot into it, show what it reports
	$(BIN)/sitin demo $(ARGS)

serve: .venv/.ready ## run the API, the scheduler and the worker on this machine
	$(BIN)/sitin serve $(ARGS)

test: .venv/.ready tests/sdk/node_modules/.ready ## run all tests
	@echo 'Two runs beside each other; each reports when it has ended.'
	@$(MAKE) --no-print-directory --keep-going --jobs=2 --output-sync=target test-meetings test-rest

test-meetings: .venv/.ready tests/sdk/node_modules/.ready ## run those in real time, with browsers
	$(BIN)/pytest -n 2 --dist loadfile -m e2e $(ARGS) || [ $$? = $(NO_TESTS) ]

test-rest: .venv/.ready tests/sdk/node_modules/.ready ## run the others
	@# Meetings do not wait: the rest takes what they leave of the machine.
	nice -n 10 $(BIN)/pytest -n $(TESTERS) --dist worksteal -m 'not e2e' $(ARGS) || [ $$? = $(NO_TESTS) ]

test-graph: .venv/.ready ## run the tests against Microsoft's own client, which takes 392 MB
	UV_PROJECT_ENVIRONMENT=.venv-graph $(UV) sync --quiet --frozen --group graph --python "$(PYTHON)"
	@# The client warns of its own code when it is imported, and never closes its connections.
	.venv-graph/bin/pytest -W ignore::DeprecationWarning -W ignore::ResourceWarning tests/rehearsal/calendars/test_graph_sdk.py $(ARGS)

check: .venv/.ready ## format, lint, types, architecture
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/.ready ## measure; prints the table and writes it as JSON
	@APT='$(APT)' scripts/system-packages $(APT_BENCH_PACKAGES)
	$(BIN)/python -m bench $(ARGS)

clean: ## remove what the targets made
	rm -rf .venv .venv-graph .uv build dist tests/sdk/node_modules .mypy_cache .ruff_cache .pytest_cache

ifneq ($(strip $(EXTRAS)),$(strip $(shell cat .venv/.extras 2>/dev/null)))
.PHONY: .venv/.ready
endif

# Of its own, because make looks for Python before it runs the first line of what follows.
.uv/.system: Makefile scripts/system-packages
	@APT='$(APT)' PYTHON='$(PYTHON)' scripts/system-packages $(APT_PACKAGES) -- $(APT_WELCOME)
	@mkdir -p .uv && touch $@

.venv/.ready: .uv/.system pyproject.toml uv.lock
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "sitin needs Python 3.11 or newer; $(PYTHON) is older. Run make PYTHON=/path/to/python3.11 setup" >&2; exit 1; }
	@test -x $(UV) || { "$(PYTHON)" -m venv .uv && .uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); }
	@# Compiled now: where nobody may write it down (a bot's user, PYTHONDONTWRITEBYTECODE), every
	@# process would compile all that it imports, which takes two seconds.
	$(UV) sync --quiet --frozen --compile-bytecode --python "$(PYTHON)" $(EXTRAS:%=--extra %)
	@$(BIN)/python -m compileall -q src
	@echo '$(EXTRAS)' > .venv/.extras
	@touch $@

# The public API's own client, for the tests that drive this service with it.
tests/sdk/node_modules/.ready: .uv/.system tests/sdk/package-lock.json
	@mkdir -p tests/sdk/node_modules
	@if command -v npm >/dev/null; then npm ci --prefix tests/sdk --silent --no-audit --no-fund; \
		else echo "npm is missing: the tests with the public API's own client are left out" >&2; fi
	@touch $@
